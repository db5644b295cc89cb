/* The folder of a run: which checkpoints stand in it, under which names, and which of them counts. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carousel/checkpoint.h"
#include "carousel/store.h"
#include "checkpoint/read.h"

static const char last_name[] = "last.h5", best_name[] = "best.h5";

typedef struct run_file {
    char name[CRS_RUN_NAME];
    int64_t step; /* what a step file's name says, or the file; -1: not known */
    dev_t device;
    ino_t inode; /* 0: not known */
} run_file;

typedef struct run_files {
    int count;
    run_file *file; /* [count], owned; the newest first */
    bool remains;   /* there were temporary files, too */
} run_files;

/* ---- the list of a folder ---- */

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

/* What a run left that was killed while it saved. */
static bool is_temporary(const char *name) {
    return crs_disk_is_temporary(name) &&
           (strncmp(name, "step-", 5) == 0 || strncmp(name, last_name, 7) == 0 || strncmp(name, best_name, 7) == 0);
}

/* RUN/name; what calls it has made sure by list_files that it fits. In one of two buffers used in turn. */
static const char *in_run(const char *run, const char *name) {
    static char paths[2][PATH_MAX];
    static int turn;
    turn ^= 1;
    CRS_ASSERT(snprintf(paths[turn], PATH_MAX, "%s/%s", run, name) < PATH_MAX);
    return paths[turn];
}

static crs_status note_file(run_files *files, const char *run, const char *name, crs_error *error) {
    const int64_t step = step_of_name(name);
    struct stat status;
    files->remains |= is_temporary(name);
    if (step < 0 && strcmp(name, last_name) != 0 && strcmp(name, best_name) != 0)
        return CRS_OK;
    if (!crs_list_grow(&files->file, (size_t)files->count, sizeof *files->file))
        return crs_fail(error, CRS_INTERNAL, "%s: out of memory for the list of its files; free some and try again",
                        run);
    run_file *file = &files->file[files->count++];
    const bool known = stat(in_run(run, name), &status) == 0;
    *file = (run_file){.step = step, .device = known ? status.st_dev : 0, .inode = known ? status.st_ino : 0};
    memcpy(file->name, name, strlen(name) + 1); /* step_of_name has bounded it */
    return CRS_OK;
}

/* Of one step the step file comes first, then last.h5: that is the alphabet from its end. */
static int newest_first(const void *a, const void *b) {
    const run_file *x = a, *y = b;
    return x->step != y->step ? (x->step < y->step) - (x->step > y->step) : strcmp(y->name, x->name);
}

/* The step files of RUN, the newest first, then last.h5 and best.h5. sweep: temporary files are removed. CRS_NO_INPUT
 * where the folder can't be listed. */
static crs_status list_files(run_files *files, const char *run, bool sweep, crs_error *error) {
    const struct dirent *entry;
    crs_status status = CRS_OK;
    *files = (run_files){0};
    if (strlen(run) + 2 * CRS_RUN_NAME > PATH_MAX) /* room for a temporary name */
        return crs_fail(error, CRS_NO_INPUT, "%s: too long a name; give a shorter one", run);
    DIR *folder = opendir(run);
    if (!folder)
        return crs_fail(error, CRS_NO_INPUT, "%s: can't be read: %s; give a folder that can", run, strerror(errno));
    while (!status && (entry = readdir(folder))) {
        status = note_file(files, run, entry->d_name, error);
        if (sweep && is_temporary(entry->d_name))
            unlink(in_run(run, entry->d_name));
    }
    closedir(folder);
    if (status)
        crs_free(&files->file);
    else if (files->count)
        qsort(files->file, (size_t)files->count, sizeof *files->file, newest_first);
    return status;
}

static int64_t ask_step(const char *run, const run_file *file) {
    int64_t step;
    crs_error ignored;
    return crs_read_step(in_run(run, file->name), &step, &ignored) ? -1 : step;
}

/* ---- what a checkpoint records of validations ---- */

/* How many validations the checkpoint records, and of which steps with which losses. */
static int64_t history_of(const crs_checkpoint *checkpoint, const int64_t **steps, const double **losses) {
    const crs_array *step = crs_checkpoint_find(checkpoint, "/history/step");
    const crs_array *loss = crs_checkpoint_find(checkpoint, "/history/validation_loss");
    if (!step || !loss || step->type != CRS_I64 || loss->type != CRS_F64)
        return 0;
    *steps = step->values;
    *losses = loss->values;
    return crs_array_size(step) == crs_array_size(loss) ? crs_array_size(step) : 0;
}

/* Infinite where the step was not validated, or gave no number. */
static double loss_of_step(const crs_checkpoint *checkpoint, int64_t step) {
    const int64_t *steps;
    const double *losses;
    for (int64_t i = history_of(checkpoint, &steps, &losses) - 1; i >= 0; i--)
        if (steps[i] == step)
            return isfinite(losses[i]) ? losses[i] : INFINITY;
    return INFINITY;
}

/* The lowest validation loss on record; NaN: none. */
static double best_loss(const crs_checkpoint *checkpoint) {
    const crs_attribute *loss = crs_attributes_find(&checkpoint->attributes, "best_validation_loss");
    return loss ? loss->real : NAN;
}

/* Its step, by the history; -1: not known. */
static int64_t best_step(const crs_checkpoint *checkpoint) {
    const int64_t *steps;
    const double *losses;
    const int64_t count = history_of(checkpoint, &steps, &losses);
    for (int64_t i = 0; i < count; i++)
        if (losses[i] == best_loss(checkpoint))
            return steps[i];
    return -1;
}

/* ---- saving ---- */

static bool no_links_here(int cause) {
    return cause == EPERM || cause == ENOTSUP || cause == ENOSYS || cause == EMLINK || cause == EXDEV ||
           cause == EACCES || cause == EINVAL;
}

/* Makes RUN/alias another name of RUN/name. */
static crs_status make_alias(const char *run, const char *name, const char *alias, crs_error *error) {
    const char *path = in_run(run, name), *to = in_run(run, alias);
    char temporary[PATH_MAX];
    CRS_ASSERT(crs_disk_temporary(to, temporary, sizeof temporary));
    unlink(temporary);
    bool linked = !crs_fault("checkpoint-no-links") && link(path, temporary) == 0;
    if (!linked && !crs_fault("checkpoint-no-links") && !no_links_here(errno))
        return crs_fail(error, CRS_CREATE, "%s: can't be made: %s; give a folder that can be written", to,
                        strerror(errno));
    crs_status status = linked ? CRS_OK : crs_disk_copy(path, temporary, error);
    if (!status && alias == best_name && crs_fault("checkpoint-full-best"))
        status = crs_fail(error, CRS_CREATE, "%s: can't be made: %s; make room there", to, strerror(ENOSPC));
    if (!status)
        status = crs_disk_rename(temporary, to, error);
    unlink(temporary); /* a rename between two names of one file leaves both */
    return status;
}

static crs_status make_names(const char *run, const char *name, bool best, crs_error *error) {
    char why[CRS_MESSAGE_MAX];
    if (make_alias(run, name, last_name, error) == CRS_OK) {
        if (crs_fault("checkpoint-kill-last"))
            raise(SIGKILL);
        if (!best || make_alias(run, name, best_name, error) == CRS_OK)
            return CRS_OK;
    }
    memcpy(why, error->message, sizeof why);
    return crs_fail(error, error->status, "%s; %s/%s is whole, and the same command goes on from it", why, run, name);
}

/* Removes the step files before the newest `keep` up to this checkpoint's, one of which is new. Those beyond it are
 * not counted: they are damaged, or another run's. As long as there is no best.h5, the file stays that should be it. */
static void prune(const char *run, const run_files *before, const crs_checkpoint *newest, int keep) {
    const bool named = access(in_run(run, best_name), F_OK) == 0;
    const int64_t best = named ? -1 : best_step(newest);
    int kept = 1;
    for (int i = 0; i < before->count; i++) {
        const run_file *file = &before->file[i];
        if (file->step < 0 || file->step >= crs_checkpoint_step(newest) || kept++ < keep || file->step == best)
            continue;
        unlink(in_run(run, file->name));
        if (crs_fault("checkpoint-kill-pruned"))
            raise(SIGKILL);
    }
}

crs_status crs_run_save(const char *run, const crs_checkpoint *checkpoint, bool best, int keep, crs_error *error) {
    char name[CRS_RUN_NAME];
    run_files before;
    if (list_files(&before, run, true, error))
        return error->status == CRS_NO_INPUT ? (error->status = CRS_CREATE) : error->status;
    snprintf(name, sizeof name, "step-%08lld.h5", (long long)crs_checkpoint_step(checkpoint));
    crs_status status = crs_checkpoint_write(in_run(run, name), checkpoint, error);
    if (!status)
        status = make_names(run, name, best, error);
    if (!status && crs_fault("checkpoint-kill-linked"))
        raise(SIGKILL);
    if (!status)
        prune(run, &before, checkpoint, keep);
    crs_free(&before.file);
    return status;
}

/* ---- loading ---- */

/* Whether a file of the list is another name of one before it. */
static bool is_known(const run_files *files, int file) {
    const run_file *f = files->file;
    for (int i = 0; i < file && f[file].inode; i++)
        if (f[i].inode == f[file].inode && f[i].device == f[file].device)
            return true;
    return false;
}

/* Reads the first of the list that is whole. */
static crs_status load_newest(const char *run, const run_files *files, crs_checkpoint *checkpoint, char *path,
                              size_t path_size, crs_error *error) {
    char newest[CRS_MESSAGE_MAX] = "";
    int tried = 0;
    for (int i = 0; i < files->count; i++) {
        if (is_known(files, i))
            continue;
        if (snprintf(path, path_size, "%s", in_run(run, files->file[i].name)) >= (int)path_size)
            return crs_fail(error, CRS_NO_INPUT, "%s: too long a name; give a shorter one", run);
        crs_status status = crs_checkpoint_read(path, checkpoint, error);
        if (status != CRS_DATA && status != CRS_NO_INPUT) /* whole; or out of memory, which says nothing of the file */
            return status;
        crs_warn("%s; passed over", error->message);
        if (tried++ == 0)
            memcpy(newest, error->message, sizeof newest);
    }
    return crs_fail(error, CRS_DATA,
                    "%s: none of its %d checkpoints is whole; restore one from a backup, or start over with --fresh "
                    "(the newest: %s)",
                    run, tried, newest);
}

crs_status crs_run_load(const char *run, bool *found, crs_checkpoint *checkpoint, char *path, size_t path_size,
                        crs_error *error) {
    run_files files;
    struct stat status;
    crs_status result = CRS_OK;
    *found = false;
    memset(checkpoint, 0, sizeof *checkpoint);
    if (stat(run, &status) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return CRS_OK;
    if (list_files(&files, run, false, error))
        return error->status;
    for (int i = 0; i < files.count; i++) { /* the file's own word counts; where it has none, what its name says */
        const int64_t step = ask_step(run, &files.file[i]);
        if (step >= 0)
            files.file[i].step = step;
    }
    if (files.count) {
        qsort(files.file, (size_t)files.count, sizeof *files.file, newest_first);
        result = load_newest(run, &files, checkpoint, path, path_size, error);
        *found = result == CRS_OK;
    }
    crs_free(&files.file);
    return result;
}

/* ---- putting names right: what a run had not got to can be worked out from what its checkpoints record ---- */

/* Whether the file, of this step, is whole, and was written after the validation that gave this loss. */
static crs_status is_validated(const char *path, int64_t step, double loss, bool *validated, crs_error *error) {
    crs_checkpoint found;
    const crs_status status = crs_checkpoint_read(path, &found, error);
    *validated = status == CRS_OK && loss_of_step(&found, step) == loss;
    crs_checkpoint_free(&found);
    if (status != CRS_DATA && status != CRS_NO_INPUT)
        return status;
    crs_warn("%s; passed over", error->message);
    return error->status = CRS_OK;
}

/* The file of the lowest loss; best.h5 before others, and then the oldest. NULL: there is none. */
static crs_status find_best(const char *run, const run_files *files, const crs_checkpoint *newest, const char *path,
                            const run_file **best, double *lowest, crs_error *error) {
    *best = NULL;
    *lowest = INFINITY;
    for (int i = files->count - 1; i >= 0; i--) {
        const run_file *file = &files->file[i];
        const char *other = in_run(run, file->name);
        const int64_t step = ask_step(run, file);
        const double loss = loss_of_step(newest, step);
        bool validated = true; /* the newest itself is */
        if (!(loss < *lowest))
            continue;
        if (!crs_disk_same(other, path) && is_validated(other, step, loss, &validated, error))
            return error->status;
        if (validated) {
            *best = file;
            *lowest = loss;
        }
    }
    return CRS_OK;
}

crs_status crs_run_check_names(const char *run, crs_checkpoint *newest, const char *path, crs_run_names *names,
                               crs_error *error) {
    const int64_t step = best_step(newest);
    const run_file *best;
    run_files files;
    double loss;
    crs_status status = CRS_OK;
    *names = (crs_run_names){0};
    if (list_files(&files, run, false, error))
        return error->status;
    names->remains = files.remains;
    if (!crs_disk_same(path, in_run(run, last_name)))
        snprintf(names->last, sizeof names->last, "%s", strrchr(path, '/') + 1);
    /* without a history that knows the lowest loss there is nothing to go by, and best.h5 stays as it is */
    if (step >= 0 && !(status = find_best(run, &files, newest, path, &best, &loss, error))) {
        if (loss > best_loss(newest))
            crs_warn("%s: its best checkpoint, of step %lld with a validation loss of %.4f, is not there any more; "
                     "best.h5 will be of another",
                     run, (long long)step, best_loss(newest));
        crs_attributes_put_real(&newest->attributes, "best_validation_loss", best ? loss : NAN);
        if (best && strcmp(best->name, best_name) != 0)
            memcpy(names->best, best->name, sizeof names->best);
    }
    crs_free(&files.file);
    names->wrong = names->remains || *names->last || *names->best;
    return status;
}

crs_status crs_run_mend_names(const char *run, const crs_run_names *names, crs_error *error) {
    const bool last_first = strcmp(names->last, best_name) == 0; /* before that is another file */
    run_files files = {0};
    if (names->remains && list_files(&files, run, true, error))
        return error->status;
    crs_free(&files.file);
    for (int i = 0; i < 2; i++) {
        const bool last = (i == 0) == last_first;
        const char *name = last ? names->last : names->best, *alias = last ? last_name : best_name;
        if (*name && make_alias(run, name, alias, error))
            return error->status;
        if (*name)
            crs_note("put right: %s/%s is %s", run, alias, name);
    }
    return CRS_OK;
}

/* ---- starting over ---- */

/* The first of FOLDER.old, FOLDER.old-2, ... that is free. */
static crs_status free_name(const char *folder, char *moved, size_t moved_size, crs_error *error) {
    struct stat status;
    for (int n = 1;; n++) {
        char number[16] = "";
        if (n > 1)
            snprintf(number, sizeof number, "-%d", n);
        if (snprintf(moved, moved_size, "%s.old%s", folder, number) >= (int)moved_size)
            return crs_fail(error, CRS_CREATE, "%s: too long a name; give a shorter one", folder);
        if (lstat(moved, &status) != 0 && errno == ENOENT)
            return CRS_OK;
    }
}

crs_status crs_run_move_aside(const char *run, char *moved, size_t moved_size, crs_error *error) {
    char folder[PATH_MAX];
    struct stat status;
    size_t length = strlen(run);
    while (length > 1 && run[length - 1] == '/')
        length--;
    moved[0] = '\0';
    if (snprintf(folder, sizeof folder, "%.*s", (int)length, run) >= (int)sizeof folder)
        return crs_fail(error, CRS_CREATE, "%s: too long a name; give a shorter one", run);
    if (stat(folder, &status) != 0 && errno == ENOENT)
        return CRS_OK;
    const bool linked = lstat(folder, &status) == 0 && S_ISLNK(status.st_mode);
    if (linked && !realpath(run, folder))
        return crs_fail(error, CRS_CREATE, "%s: can't be followed: %s; give another name", run, strerror(errno));
    if (free_name(folder, moved, moved_size, error))
        return error->status;
    if (rename(folder, moved) != 0)
        return crs_fail(error, CRS_CREATE, "%s: can't be moved to %s: %s; %s", folder, moved, strerror(errno),
                        errno == EBUSY ? "where a file system is mounted, give a folder in it"
                                       : "move it by hand, or give another name");
    if (linked && mkdir(folder, 0777) != 0)
        return crs_fail(error, CRS_CREATE, "%s: was moved to %s, and can't be made anew: %s; make it by hand", folder,
                        moved, strerror(errno));
    return crs_disk_flush_folder(moved, error);
}
