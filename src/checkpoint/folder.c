/* The folder of a run: its files and their names. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/disk.h"
#include "checkpoint/folder.h"
#include "checkpoint/read.h"

/* ---- names ---- */

crs_status crs_run_check_name(const char *run, crs_error *error) {
    const size_t room = CRS_RUN_NAME + 32; /* of a temporary name */
    if (strlen(run) + room < PATH_MAX)
        return CRS_OK;
    return crs_fail(error, CRS_CREATE, "%s: too long a name; give a shorter one", run);
}

const char *crs_run_path(const char *run, const char *name) {
    static char paths[2][PATH_MAX];
    static int turn;
    char *path = paths[turn ^= 1];
    CRS_ASSERT(snprintf(path, PATH_MAX, "%s/%s", run, name) < PATH_MAX);
    return path;
}

void crs_run_step_name(int64_t step, char name[CRS_RUN_NAME]) {
    snprintf(name, CRS_RUN_NAME, "step-%08lld.h5", (long long)step);
}

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

static bool is_temporary(const char *name) {
    return crs_disk_is_temporary(name) &&
           (strncmp(name, "step-", 5) == 0 || strncmp(name, CRS_RUN_LAST, sizeof CRS_RUN_LAST - 1) == 0 ||
            strncmp(name, CRS_RUN_BEST, sizeof CRS_RUN_BEST - 1) == 0);
}

/* ---- listing ---- */

/* Room for one more. The list grows at each power of two, so that its capacity need not be kept. */
static crs_run_file *add_file(crs_run_files *files, crs_error *error) {
    const int count = files->count;
    if ((count & (count - 1)) == 0) {
        crs_run_file *more = crs_alloc_or_fail(count ? 2 * (size_t)count : 1, sizeof *more, CRS_MEMORY_OTHER,
                                               "a list of files", error);
        if (!more)
            return NULL;
        if (count)
            memcpy(more, files->file, (size_t)count * sizeof *more);
        crs_free(&files->file);
        files->file = more;
    }
    return &files->file[files->count++];
}

static crs_status note_file(crs_run_files *files, const char *run, const char *name, crs_error *error) {
    struct stat status;
    const int64_t step = step_of_name(name);
    files->remains |= is_temporary(name);
    if (step < 0 && strcmp(name, CRS_RUN_LAST) != 0 && strcmp(name, CRS_RUN_BEST) != 0)
        return CRS_OK;
    crs_run_file *file = add_file(files, error);
    if (!file)
        return error->status;
    *file = (crs_run_file){.step = step};
    memcpy(file->name, name, strlen(name) + 1); /* step_of_name has bounded it */
    if (stat(crs_run_path(run, name), &status) == 0) {
        file->device = status.st_dev;
        file->inode = status.st_ino;
    }
    return CRS_OK;
}

/* In the order of names, step-, last.h5 and best.h5 go from the end to the beginning. */
int crs_run_newest_first(const void *a, const void *b) {
    const crs_run_file *x = a, *y = b;
    return x->step != y->step ? (x->step < y->step) - (x->step > y->step) : strcmp(y->name, x->name);
}

crs_status crs_run_list(crs_run_files *files, const char *run, crs_error *error) {
    const struct dirent *entry;
    crs_status status = CRS_OK;
    *files = (crs_run_files){0};
    if (crs_run_check_name(run, error))
        return error->status;
    DIR *folder = opendir(run);
    if (!folder)
        return crs_fail(error, CRS_NO_INPUT, "%s: can't be read: %s; give a folder that can", run, strerror(errno));
    while (!status && (entry = readdir(folder)))
        status = note_file(files, run, entry->d_name, error);
    closedir(folder);
    if (status)
        crs_run_files_free(files);
    else if (files->count)
        qsort(files->file, (size_t)files->count, sizeof *files->file, crs_run_newest_first);
    return status;
}

void crs_run_files_free(crs_run_files *files) {
    crs_free(&files->file);
    files->count = 0;
}

int64_t crs_run_ask_step(const char *run, const crs_run_file *file) {
    int64_t step;
    crs_error ignored;
    return crs_read_step(crs_run_path(run, file->name), &step, &ignored) ? -1 : step;
}

void crs_run_sweep(const char *run) {
    DIR *folder = opendir(run);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (is_temporary(entry->d_name))
            unlink(crs_run_path(run, entry->d_name));
    if (folder)
        closedir(folder);
}

/* ---- further names ---- */

static bool no_links_here(int cause) {
    return cause == EPERM || cause == ENOTSUP || cause == ENOSYS || cause == EMLINK || cause == EXDEV ||
           cause == EACCES || cause == EINVAL;
}

/* For tests: whether this goes wrong with this name. */
static bool alias_fault(const char *what, const char *alias) {
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%s-%s", what, alias);
    return crs_fault(name);
}

static crs_status link_or_copy(const char *path, const char *temporary, const char *to, crs_error *error) {
    const bool links = !crs_fault("checkpoint-no-links");
    if (links && link(path, temporary) == 0)
        return CRS_OK;
    if (links && !no_links_here(errno))
        return crs_fail(error, CRS_CREATE, "%s: can't be made: %s; give a folder that can be written", to,
                        strerror(errno));
    return crs_disk_copy(path, temporary, error);
}

crs_status crs_run_alias(const char *run, const char *name, const char *alias, crs_error *error) {
    const char *path = crs_run_path(run, name), *to = crs_run_path(run, alias);
    char temporary[PATH_MAX];
    CRS_ASSERT(crs_disk_temporary(to, temporary, sizeof temporary));
    unlink(temporary);
    crs_status status = link_or_copy(path, temporary, to, error);
    if (!status && alias_fault("full", alias))
        status = crs_fail(error, CRS_CREATE, "%s: can't be written: %s; make room there", to, strerror(ENOSPC));
    if (!status && alias_fault("kill-made", alias))
        raise(SIGKILL);
    if (!status)
        status = crs_disk_rename(temporary, to, error);
    if (!status && alias_fault("kill-named", alias))
        raise(SIGKILL);
    unlink(temporary); /* a rename between two names of one file leaves both */
    return status;
}
