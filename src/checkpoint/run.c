/* The folder of a run: which checkpoints stand in it, and which of them counts. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carousel/checkpoint.h"
#include "checkpoint/disk.h"
#include "checkpoint/read.h"

enum { NAME_MAX_BYTES = 32 };

typedef struct candidate {
    char name[NAME_MAX_BYTES];
    int64_t step; /* what its name says, or the file; INT64_MAX: unknown */
    dev_t device;
    ino_t inode;
} candidate;

typedef struct candidates {
    int count;
    candidate *file; /* [count], owned; the newest first */
} candidates;

/* The number in step-NNNNNNNN.h5, or -1. */
static int64_t step_of_name(const char *name) {
    static const char head[] = "step-", tail[] = ".h5";
    size_t digits;
    if (strncmp(name, head, sizeof head - 1) != 0)
        return -1;
    name += sizeof head - 1;
    digits = strspn(name, "0123456789");
    return digits >= 1 && digits <= 18 && strcmp(name + digits, tail) == 0 ? strtoll(name, NULL, 10) : -1;
}

static bool join(char *out, size_t size, const char *folder, const char *name) {
    return snprintf(out, size, "%s/%s", folder, name) < (int)size;
}

/* Calls take for each name in the folder. CRS_NO_INPUT where it can't be listed. */
static crs_status each_name(const char *run, crs_status (*take)(void *, const char *, crs_error *), void *context,
                            crs_error *error) {
    DIR *folder = opendir(run);
    const struct dirent *entry;
    crs_status status = CRS_OK;
    if (!folder)
        return crs_fail(error, CRS_NO_INPUT, "%s: can't be read: %s; give a folder that can", run, strerror(errno));
    while (!status && (entry = readdir(folder)))
        status = take(context, entry->d_name, error);
    closedir(folder);
    return status;
}

/* ---- saving ---- */

static crs_status create_run(const char *run, crs_error *error) {
    struct stat status;
    if (mkdir(run, 0777) == 0)
        return crs_disk_flush_folder(run, error);
    if (errno != EEXIST)
        return crs_fail(error, CRS_CREATE,
                        "%s: can't be created: %s; give a folder whose parent is there and can be written", run,
                        strerror(errno));
    if (stat(run, &status) != 0 || !S_ISDIR(status.st_mode))
        return crs_fail(error, CRS_CREATE, "%s: is a file, not a folder; give another name for the run", run);
    return CRS_OK;
}

static bool begins_a_checkpoint(const char *name) {
    return strncmp(name, "step-", 5) == 0 || strncmp(name, "last.h5", 7) == 0 || strncmp(name, "best.h5", 7) == 0;
}

/* What a run left that was killed while it saved. */
static crs_status remove_if_stale(void *context, const char *name, crs_error *error) {
    char path[PATH_MAX];
    (void)error;
    if (begins_a_checkpoint(name) && crs_disk_is_temporary(name) && join(path, sizeof path, context, name))
        unlink(path);
    return CRS_OK;
}

static bool no_links_here(int cause) {
    return cause == EPERM || cause == ENOTSUP || cause == ENOSYS || cause == EMLINK || cause == EXDEV ||
           cause == EACCES || cause == EINVAL;
}

/* Makes RUN/alias another name of the file at path. */
static crs_status make_alias(const char *path, const char *run, const char *alias, crs_error *error) {
    char to[PATH_MAX], temporary[PATH_MAX];
    if (!join(to, sizeof to, run, alias) || !crs_disk_temporary(to, temporary, sizeof temporary))
        return crs_fail(error, CRS_CREATE, "%s: too long a name; give a shorter one", run);
    unlink(temporary);
    bool linked = !crs_fault("checkpoint-no-links") && link(path, temporary) == 0;
    if (!linked && !crs_fault("checkpoint-no-links") && !no_links_here(errno))
        return crs_fail(error, CRS_CREATE, "%s: can't be made: %s; give a folder that can be written", to,
                        strerror(errno));
    crs_status status = linked ? CRS_OK : crs_disk_copy(path, temporary, error);
    if (!status)
        status = crs_disk_rename(temporary, to, error);
    unlink(temporary); /* a rename between two names of one file leaves both */
    return status;
}

typedef struct steps {
    int64_t newest; /* files beyond it are not counted: they are damaged, or another run's */
    int count;
    int64_t *step; /* [count], owned */
} steps;

static crs_status note_step(void *context, const char *name, crs_error *error) {
    steps *s = context;
    int64_t step = step_of_name(name);
    if (step < 0 || step > s->newest)
        return CRS_OK;
    if ((s->count & (s->count - 1)) == 0) { /* full: room for twice as many */
        int64_t *more = crs_alloc_or_fail(s->count ? 2 * (size_t)s->count : 1, sizeof *more, CRS_MEMORY_OTHER,
                                          "a list of files", error);
        if (!more)
            return error->status;
        if (s->count)
            memcpy(more, s->step, (size_t)s->count * sizeof *more);
        crs_free(&s->step);
        s->step = more;
    }
    s->step[s->count++] = step;
    return CRS_OK;
}

static int newest_first(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static void step_name(int64_t step, char name[NAME_MAX_BYTES]) {
    snprintf(name, NAME_MAX_BYTES, "step-%08lld.h5", (long long)step);
}

/* Removes the step files before the newest `keep` up to this step. */
static crs_status prune(const char *run, int64_t newest, int keep, crs_error *error) {
    steps s = {.newest = newest};
    crs_status status = each_name(run, note_step, &s, error);
    if (!status && s.count)
        qsort(s.step, (size_t)s.count, sizeof *s.step, newest_first);
    for (int i = keep > 1 ? keep : 1; !status && i < s.count; i++) {
        char name[NAME_MAX_BYTES], path[PATH_MAX];
        step_name(s.step[i], name);
        if (join(path, sizeof path, run, name))
            unlink(path);
    }
    crs_free(&s.step);
    return status;
}

crs_status crs_run_save(const char *run, const crs_checkpoint *checkpoint, bool best, int keep, crs_error *error) {
    char path[PATH_MAX], name[NAME_MAX_BYTES];
    step_name(crs_checkpoint_step(checkpoint), name);
    if (!join(path, sizeof path, run, name))
        return crs_fail(error, CRS_CREATE, "%s: too long a name; give a shorter one", run);
    if (create_run(run, error))
        return error->status;
    each_name(run, remove_if_stale, (void *)run, error);
    if (crs_checkpoint_write(path, checkpoint, error) || make_alias(path, run, "last.h5", error) ||
        (best && make_alias(path, run, "best.h5", error)))
        return error->status;
    if (crs_fault("checkpoint-kill-linked"))
        raise(SIGKILL);
    return prune(run, crs_checkpoint_step(checkpoint), keep, error);
}

/* ---- loading ---- */

typedef struct search {
    const char *run;
    candidates found;
} search;

static crs_status note_candidate(void *context, const char *name, crs_error *error) {
    search *s = context;
    candidates *c = &s->found;
    char path[PATH_MAX];
    struct stat status;
    int64_t step = step_of_name(name);
    bool alias = strcmp(name, "last.h5") == 0 || strcmp(name, "best.h5") == 0;
    if ((step < 0 && !alias) || !join(path, sizeof path, s->run, name))
        return CRS_OK;
    if ((c->count & (c->count - 1)) == 0) { /* full: room for twice as many */
        candidate *more = crs_alloc_or_fail(c->count ? 2 * (size_t)c->count : 1, sizeof *more, CRS_MEMORY_OTHER,
                                            "a list of files", error);
        if (!more)
            return error->status;
        if (c->count)
            memcpy(more, c->file, (size_t)c->count * sizeof *more);
        crs_free(&c->file);
        c->file = more;
    }
    candidate *one = &c->file[c->count++];
    *one = (candidate){.step = alias ? INT64_MAX : step};
    snprintf(one->name, sizeof one->name, "%s", name);
    if (stat(path, &status) == 0) {
        one->device = status.st_dev;
        one->inode = status.st_ino;
    }
    return CRS_OK;
}

static bool is_alias(const candidate *file) {
    return step_of_name(file->name) < 0;
}

/* Newest first; the step file before its aliases, last.h5 (the later in the alphabet) before best.h5. */
static int newest_candidate_first(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->step != y->step)
        return (x->step < y->step) - (x->step > y->step);
    return strcmp(y->name, x->name);
}

/* Drops last.h5 and best.h5 where they are other names of a file in the list. */
static void drop_aliases(candidates *c) {
    int kept = 0;
    for (int i = 0; i < c->count; i++) {
        bool known = false;
        for (int j = 0; j < c->count && is_alias(&c->file[i]) && c->file[i].inode; j++)
            known |= c->file[j].inode == c->file[i].inode && c->file[j].device == c->file[i].device &&
                     (!is_alias(&c->file[j]) || j < i);
        if (!known)
            c->file[kept++] = c->file[i];
    }
    c->count = kept;
}

/* What the files themselves say their step is; a file that can't say so keeps what its name says. */
static void ask_steps(const char *run, candidates *c) {
    for (int i = 0; i < c->count; i++) {
        char path[PATH_MAX];
        int64_t step;
        crs_error ignored;
        if (join(path, sizeof path, run, c->file[i].name) && !crs_read_step(path, &step, &ignored))
            c->file[i].step = step;
    }
    qsort(c->file, (size_t)c->count, sizeof *c->file, newest_candidate_first);
}

/* Reads the first of the list that is whole. */
static crs_status load_newest(const char *run, const candidates *c, crs_checkpoint *checkpoint, char *path,
                              size_t path_size, crs_error *error) {
    char newest[CRS_MESSAGE_MAX] = "";
    for (int i = 0; i < c->count; i++) {
        if (!join(path, path_size, run, c->file[i].name))
            return crs_fail(error, CRS_NO_INPUT, "%s: too long a name; give a shorter one", run);
        crs_status status = crs_checkpoint_read(path, checkpoint, error);
        if (status != CRS_DATA && status != CRS_NO_INPUT) /* whole; or out of memory, which says nothing of the file */
            return status;
        crs_warn("%s; passed over", error->message);
        if (!*newest)
            memcpy(newest, error->message, sizeof newest);
    }
    return crs_fail(error, CRS_DATA,
                    "%s: none of its %d checkpoints is whole; restore one from a backup, or start over with --fresh "
                    "(the newest: %s)",
                    run, c->count, newest);
}

crs_status crs_run_load(const char *run, bool *found, crs_checkpoint *checkpoint, char *path, size_t path_size,
                        crs_error *error) {
    search s = {.run = run};
    struct stat status;
    crs_status result;
    *found = false;
    memset(checkpoint, 0, sizeof *checkpoint);
    if (stat(run, &status) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return CRS_OK;
    result = each_name(run, note_candidate, &s, error);
    if (!result && s.found.count) {
        drop_aliases(&s.found);
        ask_steps(run, &s.found);
        result = load_newest(run, &s.found, checkpoint, path, path_size, error);
        *found = result == CRS_OK;
    }
    crs_free(&s.found.file);
    return result;
}

/* ---- starting over ---- */

crs_status crs_run_move_aside(const char *run, char *moved, size_t moved_size, crs_error *error) {
    char from[PATH_MAX];
    struct stat status;
    size_t length = strlen(run);
    while (length > 1 && run[length - 1] == '/')
        length--;
    moved[0] = '\0';
    if (snprintf(from, sizeof from, "%.*s", (int)length, run) >= (int)sizeof from)
        return crs_fail(error, CRS_CREATE, "%s: too long a name; give a shorter one", run);
    if (lstat(from, &status) != 0 && errno == ENOENT)
        return CRS_OK;
    for (int n = 1;; n++) {
        char number[16] = "";
        if (n > 1)
            snprintf(number, sizeof number, "-%d", n);
        if (snprintf(moved, moved_size, "%s.old%s", from, number) >= (int)moved_size)
            return crs_fail(error, CRS_CREATE, "%s: too long a name; give a shorter one", run);
        if (lstat(moved, &status) != 0 && errno == ENOENT)
            break;
    }
    if (rename(from, moved) != 0)
        return crs_fail(error, CRS_CREATE, "%s: can't be moved to %s: %s; move it by hand, or give another name", run,
                        moved, strerror(errno));
    return crs_disk_flush_folder(moved, error);
}
