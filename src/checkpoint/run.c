/* The folder of a run: saving into it, finding the newest checkpoint, starting over. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/disk.h"
#include "checkpoint/folder.h"

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

/* Removes the step files before the newest `keep` up to this checkpoint's. Those beyond it are not counted: they are
 * damaged, or another run's. The best stays as long as there is no best.h5, which should be another name of it. */
static crs_status prune(const char *run, const crs_checkpoint *newest, int keep, crs_error *error) {
    crs_run_files files;
    const bool named = access(crs_run_path(run, CRS_RUN_BEST), F_OK) == 0;
    const int64_t best = named ? -1 : crs_run_best_step(newest);
    int seen = 0;
    if (crs_run_list(&files, run, error))
        return error->status;
    for (int i = 0; i < files.count; i++) {
        const crs_run_file *file = &files.file[i];
        if (file->step < 0 || file->step > newest->step || ++seen <= keep || seen == 1 || file->step == best)
            continue;
        unlink(crs_run_path(run, file->name));
        if (crs_fault("checkpoint-kill-pruned"))
            raise(SIGKILL);
    }
    crs_run_files_free(&files);
    return CRS_OK;
}

/* What is saved is not lost: the same command finds it, and makes the names that are missing. */
static crs_status no_name(const char *run, const char *name, crs_error *error) {
    char why[CRS_MESSAGE_MAX];
    memcpy(why, error->message, sizeof why);
    return crs_fail(error, error->status, "%s; %s/%s is whole, and the same command goes on from it", why, run, name);
}

crs_status crs_run_save(const char *run, const crs_checkpoint *checkpoint, bool best, int keep, crs_error *error) {
    char name[CRS_RUN_NAME];
    crs_run_step_name(checkpoint->step, name);
    if (crs_run_check_name(run, error) || create_run(run, error))
        return error->status;
    crs_run_sweep(run);
    if (crs_checkpoint_write(crs_run_path(run, name), checkpoint, error))
        return error->status;
    if (crs_run_alias(run, name, CRS_RUN_LAST, error) || (best && crs_run_alias(run, name, CRS_RUN_BEST, error)))
        return no_name(run, name, error);
    if (crs_fault("checkpoint-kill-linked"))
        raise(SIGKILL);
    return prune(run, checkpoint, keep, error);
}

/* ---- loading ---- */

/* Of the names of one file, leaves the first. */
static void drop_further_names(crs_run_files *files) {
    int kept = 0;
    for (int i = 0; i < files->count; i++) {
        const crs_run_file file = files->file[i];
        bool known = false;
        for (int j = 0; j < kept && file.inode; j++)
            known |= files->file[j].inode == file.inode && files->file[j].device == file.device;
        if (!known)
            files->file[kept++] = file;
    }
    files->count = kept;
}

/* By what the files themselves say their step is; a file that can't say so keeps what its name says. */
static void order_by_step(const char *run, crs_run_files *files) {
    for (int i = 0; i < files->count; i++) {
        const int64_t step = crs_run_ask_step(run, &files->file[i]);
        if (step >= 0)
            files->file[i].step = step;
    }
    qsort(files->file, (size_t)files->count, sizeof *files->file, crs_run_newest_first);
}

/* Reads the first of the list that is whole. */
static crs_status load_newest(const char *run, const crs_run_files *files, crs_checkpoint *checkpoint, char *path,
                              size_t path_size, crs_error *error) {
    char newest[CRS_MESSAGE_MAX] = "";
    for (int i = 0; i < files->count; i++) {
        if (snprintf(path, path_size, "%s", crs_run_path(run, files->file[i].name)) >= (int)path_size)
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
                    run, files->count, newest);
}

crs_status crs_run_load(const char *run, bool *found, crs_checkpoint *checkpoint, char *path, size_t path_size,
                        crs_error *error) {
    crs_run_files files;
    struct stat status;
    crs_status result = CRS_OK;
    *found = false;
    memset(checkpoint, 0, sizeof *checkpoint);
    if (stat(run, &status) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return CRS_OK;
    if (crs_run_list(&files, run, error))
        return error->status;
    if (files.count) {
        drop_further_names(&files);
        order_by_step(run, &files);
        result = load_newest(run, &files, checkpoint, path, path_size, error);
        *found = result == CRS_OK;
    }
    crs_run_files_free(&files);
    return result;
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

/* The folder itself: RUN without slashes at its end or, where that is a link, what it leads to. */
static crs_status find_folder(const char *run, char folder[PATH_MAX], bool *linked, crs_error *error) {
    struct stat status;
    char name[PATH_MAX];
    size_t length = strlen(run);
    while (length > 1 && run[length - 1] == '/')
        length--;
    if (crs_run_check_name(run, error))
        return error->status;
    snprintf(name, sizeof name, "%.*s", (int)length, run);
    *linked = lstat(name, &status) == 0 && S_ISLNK(status.st_mode);
    if (!*linked)
        memcpy(folder, name, length + 1);
    else if (!realpath(name, folder))
        return crs_fail(error, CRS_CREATE, "%s: the link can't be followed: %s; give another name", run,
                        strerror(errno));
    return CRS_OK;
}

crs_status crs_run_move_aside(const char *run, char *moved, size_t moved_size, crs_error *error) {
    char folder[PATH_MAX];
    struct stat status;
    bool linked;
    moved[0] = '\0';
    if (stat(run, &status) != 0 && errno == ENOENT)
        return CRS_OK;
    if (find_folder(run, folder, &linked, error) || free_name(folder, moved, moved_size, error))
        return error->status;
    if (rename(folder, moved) != 0)
        return crs_fail(error, CRS_CREATE, "%s: can't be moved to %s: %s; %s", folder, moved, strerror(errno),
                        errno == EBUSY ? "a file system is mounted there: give a folder in it"
                                       : "move it by hand, or give another name");
    if (linked && mkdir(folder, 0777) != 0)
        return crs_fail(error, CRS_CREATE,
                        "%s: was moved to %s, and can't be made anew: %s; make this folder by hand, or give another "
                        "name",
                        folder, moved, strerror(errno));
    return crs_disk_flush_folder(moved, error);
}
