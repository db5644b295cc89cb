/* RUN/metrics.jsonl: one JSON object a line a step. */
#include "config.h"

#include <errno.h>
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

static crs_status can_not(const char *what, const char *path, crs_error *error) {
    return crs_fail(error, CRS_CREATE, "cannot %s %s: %s%s", what, path, strerror(errno),
                    errno == EFBIG ? "; raise the limit on file sizes (ulimit -f)" : "");
}

/* All lines to the file. A file that was removed or replaced takes them and tells nobody: that is noticed here. Some
 * network file systems give a file another inode now and then, so the size must differ, too. */
static crs_status flush(const crs_metrics *metrics, crs_error *error) {
    struct stat own, there;
    if (fflush(metrics->file) != 0 || fstat(fileno(metrics->file), &own) != 0)
        return can_not("write", metrics->path, error);
    const bool seen = stat(metrics->path, &there) == 0;
    if (seen ? (there.st_dev == own.st_dev && there.st_ino == own.st_ino) || there.st_size == own.st_size
             : errno != ENOENT && errno != ENOTDIR)
        return CRS_OK;
    return crs_fail(error, CRS_CREATE,
                    "%s was %s while the run wrote to it: its last lines are lost; the same command goes on from the "
                    "newest checkpoint that is left, if one is",
                    metrics->path, seen ? "replaced" : "removed");
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
    *metrics = (crs_metrics){.flushed = crs_seconds(), .path = crs_format_text("%s/metrics.jsonl", run)};
    char *new_path = crs_format_text("%s/metrics.jsonl.new", run);
    if (!metrics->path || !new_path)
        crs_fail(error, CRS_INTERNAL, "out of memory for %s/metrics.jsonl", run);
    else if (trim(metrics->path, new_path, step, validation_loss, error) == CRS_OK) {
        metrics->file = fopen(metrics->path, "ae");
        if (!metrics->file)
            can_not("write", metrics->path, error);
    }
    crs_free(&new_path);
    if (error->status)
        crs_metrics_close(metrics);
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
    json_object_set_new(object, "seconds", real_or_null(rint(line->seconds * 1e4) / 1e4));
    if (line->refused > 0)
        json_object_set_new(object, "refused", json_integer(line->refused));
    if (line->start)
        json_object_set_new(object, "start", start_object(line->start));
    if (isfinite(line->validation_loss))
        json_object_set_new(object, "validation_loss", json_real(line->validation_loss));
    const bool good = dump_line(metrics->file, object);
    json_decref(object);
    if (!good)
        return can_not("write", metrics->path, error);
    const double now = crs_seconds();
    if (now - metrics->flushed < flush_seconds)
        return CRS_OK;
    metrics->flushed = now;
    return flush(metrics, error);
}

crs_status crs_metrics_flush(crs_metrics *metrics, crs_error *error) {
    metrics->flushed = crs_seconds();
    if (flush(metrics, error))
        return error->status;
    return crs_disk_flush(fileno(metrics->file)) ? CRS_OK : can_not("write", metrics->path, error);
}

void crs_metrics_close(crs_metrics *metrics) {
    if (metrics->file)
        fclose(metrics->file);
    metrics->file = NULL;
    crs_free(&metrics->path);
}
