/* RUN/metrics.jsonl: one JSON object a line a step. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "carousel/store.h"
#include "train/metrics.h"

static const double flush_seconds = 3;
enum { DUMP_FLAGS = JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12) };
/* Room for lines at first; when they are written early; what they may take while a disk is full. */
enum { LINES_LEAST = 1 << 17, LINES_FULL = 1 << 16, LINES_MOST = 1 << 24 };

static crs_status can_not(const char *what, const char *path, crs_error *error) {
    return crs_fail(error, CRS_CREATE, "cannot %s %s: %s%s", what, path, strerror(errno),
                    errno == EFBIG ? "; raise the limit on file sizes (ulimit -f)" : "");
}

/* Of what waits, as much as the file takes. False with errno. */
static bool write_lines(crs_metrics *metrics) {
    size_t done = 0;
    while (done < metrics->count) {
        const ssize_t n = write(metrics->file, metrics->lines + done, metrics->count - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    const int reason = errno;
    metrics->count -= done;
    memmove(metrics->lines, metrics->lines + done, metrics->count);
    errno = reason;
    return metrics->count == 0;
}

/* A file that was removed or replaced takes lines and tells nobody: that is noticed here. Some network file systems
 * give a file another inode now and then, so the size must differ, too. */
static crs_status check_there(crs_metrics *metrics, crs_error *error) {
    struct stat own, there;
    if (fstat(metrics->file, &own) != 0)
        return can_not("write", metrics->path, error);
    const bool seen = stat(metrics->path, &there) == 0;
    if (seen ? (there.st_dev == own.st_dev && there.st_ino == own.st_ino) || there.st_size == own.st_size
             : errno != ENOENT && errno != ENOTDIR)
        return CRS_OK;
    metrics->gone = true;
    return crs_fail(error, CRS_CREATE,
                    "%s was %s while the run wrote to it: its last lines are lost; the same command goes on from the "
                    "newest checkpoint that is left, if one is",
                    metrics->path, seen ? "replaced" : "removed");
}

/* A disk may have room again: a person is told once that lines wait, and once how it ended. */
static crs_status flush(crs_metrics *metrics, bool to_disk, bool last, crs_error *error) {
    metrics->flushed = crs_seconds();
    if (!write_lines(metrics) || (to_disk && !crs_disk_flush(metrics->file))) {
        can_not("write", metrics->path, error);
        if (!metrics->failing && !last)
            crs_warn("%s; its lines wait in memory, and this is tried again", error->message);
        metrics->failing = true;
        return error->status;
    }
    if (metrics->failing && metrics->lost > 0)
        crs_warn("%s is written again; %" PRId64 " lines are missing", metrics->path, metrics->lost);
    else if (metrics->failing)
        crs_note("%s is written again; no line is missing", metrics->path);
    metrics->failing = false;
    metrics->lost = 0;
    return check_there(metrics, error);
}

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static bool dump_line(FILE *file, const json_t *object) {
    return json_dumpf(object, file, DUMP_FLAGS) == 0 && fputc('\n', file) != EOF;
}

/* ---- what an earlier run left ---- */

/* The lines to keep are those of steps 1, 2, ... in this order, up to the step of the checkpoint. */
typedef struct crs_metrics_copy {
    FILE *from, *to;
    int64_t step; /* the last to keep */
    double validation_loss;
    int64_t last; /* kept so far */
    bool changed; /* whether the new file differs from the old one */
} crs_metrics_copy;

/* The step of a whole line, or -1. */
static int64_t step_of(json_t **object, const char *line, size_t length) {
    *object = length > 0 && line[length - 1] == '\n' ? json_loadb(line, length, 0, NULL) : NULL;
    const json_t *step = json_object_get(*object, "step");
    return json_is_integer(step) ? (int64_t)json_integer_value(step) : -1;
}

static bool copy_line(crs_metrics_copy *copy, const char *line, size_t length) {
    json_t *object;
    const int64_t step = step_of(&object, line, length);
    bool good = true;
    if (step > copy->step || step <= copy->last) {
        copy->changed = true;
    } else {
        copy->last = step;
        if (step == copy->step && isfinite(copy->validation_loss)) {
            json_object_set_new(object, "validation_loss", json_real(copy->validation_loss));
            copy->changed = true;
            good = dump_line(copy->to, object);
        } else {
            good = fwrite(line, 1, length, copy->to) == length;
        }
    }
    json_decref(object);
    return good;
}

/* False, with errno, where the lines can't be written. */
static bool copy_lines(crs_metrics_copy *copy) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    bool good = true;
    while (good && (length = getline(&line, &room, copy->from)) > 0)
        good = copy_line(copy, line, (size_t)length);
    crs_free_foreign(line);
    return ferror(copy->from) || (good && fflush(copy->to) == 0 && crs_disk_flush(fileno(copy->to)));
}

/* Makes the file end with the line of this step. */
static crs_status trim(const char *path, const char *new_path, int64_t step, double validation_loss, crs_error *error) {
    crs_metrics_copy copy = {.step = step, .validation_loss = validation_loss};
    copy.from = fopen(path, "re");
    if (!copy.from && errno == ENOENT) {
        if (step > 0)
            crs_warn("%s is missing; its lines before step %" PRId64 " are lost", path, step + 1);
        return CRS_OK;
    }
    if (!copy.from)
        return can_not("read", path, error);
    copy.to = fopen(new_path, "we");
    if (!copy.to || !copy_lines(&copy))
        can_not("write", new_path, error);
    else if (ferror(copy.from))
        can_not("read", path, error);
    fclose(copy.from);
    if (copy.to && fclose(copy.to) != 0 && error->status == CRS_OK)
        can_not("write", new_path, error);
    if (error->status == CRS_OK && copy.changed && rename(new_path, path) != 0)
        can_not("rename", new_path, error);
    if (copy.to && (error->status || !copy.changed))
        unlink(new_path);
    return error->status;
}

/* ---- lines ---- */

crs_status crs_metrics_open(crs_metrics *metrics, const char *run, int64_t step, double validation_loss,
                            crs_error *error) {
    char *path = crs_format_text("%s/metrics.jsonl", run), *new_path = crs_format_text("%s/metrics.jsonl.new", run);
    *metrics = (crs_metrics){.flushed = crs_seconds()};
    if (!path || !new_path)
        crs_fail(error, CRS_INTERNAL, "out of memory for %s/metrics.jsonl", run);
    else if (trim(path, new_path, step, validation_loss, error) == CRS_OK) {
        metrics->file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        if (metrics->file < 0)
            can_not("write", path, error);
    }
    crs_free(&new_path);
    if (error->status)
        crs_free(&path);
    metrics->path = path;
    return error->status;
}

/* "start": {...}: within the line of a step, so that each line is one of a step, for whoever reads them so. */
static json_t *start_object(const crs_metrics_start *start) {
    json_t *object = json_object(), *hosts = json_array();
    int nodes = 0;
    for (int r = 0; r < start->ranks; r++) {
        const char *name = start->host(start->comm, r);
        int before = 0;
        while (before < r && strcmp(name, start->host(start->comm, before)) != 0)
            before++;
        nodes += before == r;
        json_array_append_new(hosts, json_string_nocheck(name));
    }
    if (start->job)
        json_object_set_new(object, "job", json_string(start->job));
    json_object_set_new(object, "ranks", json_integer(start->ranks));
    json_object_set_new(object, "threads", json_integer(start->threads));
    json_object_set_new(object, "nodes", json_integer(nodes));
    json_object_set_new(object, "hosts", hosts);
    return object;
}

/* Puts a line behind those that wait, or counts it as lost. */
static void add_line(crs_metrics *metrics, const char *text, size_t length) {
    const size_t wanted = metrics->count + length + 1;
    if (wanted > metrics->room) {
        const size_t room = wanted < LINES_LEAST ? LINES_LEAST : 2 * wanted;
        char *lines = wanted <= LINES_MOST ? crs_alloc(room, 1, CRS_MEMORY_OTHER) : NULL;
        if (!lines) {
            metrics->lost++;
            return;
        }
        if (metrics->count > 0)
            memcpy(lines, metrics->lines, metrics->count);
        crs_free(&metrics->lines);
        metrics->lines = lines;
        metrics->room = room;
    }
    memcpy(metrics->lines + metrics->count, text, length);
    metrics->lines[wanted - 1] = '\n';
    metrics->count = wanted;
}

/* "computing": [least, mean, most, rank of the most], ...: milliseconds. */
static void set_times(json_t *object, const crs_times *times) {
    static const char *const names[CRS_TIMES] = {"computing", "reading", "waiting", "sending"};
    for (int what = 0; what < CRS_TIMES; what++) {
        const crs_time *t = &times->of[what];
        const double values[] = {t->least, t->mean, t->most};
        json_t *list = json_array();
        for (int i = 0; i < 3; i++)
            json_array_append_new(list, json_real(rint(values[i] * 1e6) / 1e3));
        json_array_append_new(list, json_integer(t->rank));
        json_object_set_new(object, names[what], list);
    }
}

crs_status crs_metrics_write(crs_metrics *metrics, const crs_metrics_line *line, crs_error *error) {
    json_t *object = json_object();
    json_object_set_new(object, "step", json_integer(line->step));
    json_object_set_new(object, "epoch", json_integer(line->epoch));
    json_object_set_new(object, "tokens", json_integer(line->tokens));
    json_object_set_new(object, "loss", real_or_null(line->loss));
    json_object_set_new(object, "rate", real_or_null(line->rate));
    json_object_set_new(object, "grad_norm", real_or_null(line->grad_norm));
    json_object_set_new(object, "tokens_per_second", real_or_null(rint(line->tokens_per_second)));
    json_object_set_new(object, "comm_share", real_or_null(rint(line->comm_share * 1e4) / 1e4));
    if (line->times)
        json_object_set_new(object, "wait_share", real_or_null(rint(line->wait_share * 1e4) / 1e4));
    json_object_set_new(object, "seconds", real_or_null(rint(line->seconds * 1e4) / 1e4));
    if (line->refused > 0)
        json_object_set_new(object, "refused", json_integer(line->refused));
    if (line->times)
        set_times(object, line->times);
    if (line->start)
        json_object_set_new(object, "start", start_object(line->start));
    if (isfinite(line->validation_loss))
        json_object_set_new(object, "validation_loss", json_real(line->validation_loss));
    char *text = json_dumps(object, DUMP_FLAGS);
    json_decref(object);
    if (text)
        add_line(metrics, text, strlen(text));
    else
        metrics->lost++;
    crs_free_foreign(text);
    if (crs_seconds() - metrics->flushed < flush_seconds && (metrics->count < LINES_FULL || metrics->failing))
        return CRS_OK;
    crs_error why = {0};
    flush(metrics, false, false, &why);
    if (metrics->gone)
        *error = why;
    return error->status;
}

crs_status crs_metrics_flush(crs_metrics *metrics, bool last, crs_error *error) {
    return flush(metrics, true, last, error);
}

void crs_metrics_close(crs_metrics *metrics) {
    if (!metrics->path)
        return;
    if (!metrics->gone)
        write_lines(metrics);
    close(metrics->file);
    crs_free(&metrics->lines);
    crs_free(&metrics->path);
}
