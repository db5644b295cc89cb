/* RUN/.lock: one training at a time in a folder. The file stays: removing it would let two in. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "train/lock.h"

static crs_status busy(const char *run, crs_error *error) {
    return crs_fail(error, CRS_CREATE, "another process is training into %s; wait for it, or give another -o", run);
}

/* Some file systems know no locks: then there is none. Takes the file over. */
static crs_status keep_locked(const char *run, int file, int *lock, crs_error *error) {
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            close(file);
            return busy(run, error);
        }
        crs_debug("%s can't be locked: %s", run, strerror(errno));
    }
    *lock = file;
    return CRS_OK;
}

/* Of a file that can't be opened. */
static crs_status status_of(int reason) {
    return reason == ENOMEM ? CRS_INTERNAL : CRS_CREATE;
}

static crs_status cannot_write(const char *run, crs_error *error) {
    return crs_fail(error, status_of(errno), "cannot write into the folder %s: %s", run, strerror(errno));
}

static int open_lock(const char *run, int flags) {
    char *path = crs_format_text("%s/.lock", run);
    const int file = path ? open(path, flags | O_CLOEXEC, 0666) : -1, reason = path ? errno : ENOMEM;
    crs_free(&path);
    errno = reason;
    return file;
}

crs_status crs_lock_take(const char *run, int *lock, crs_error *error) {
    struct stat status;
    *lock = -1;
    if (stat(run, &status) != 0)
        return errno == ENOENT ? CRS_OK : crs_fail(error, CRS_CREATE, "cannot look into %s: %s", run, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return crs_fail(error, CRS_CREATE, "%s is no folder; give another -o", run);
    int file = open_lock(run, O_RDWR);
    if (file < 0 && (errno == EACCES || errno == EROFS))
        file = open_lock(run, O_RDONLY);
    if (file < 0 && errno != ENOENT)
        return crs_fail(error, errno == ENOMEM ? CRS_INTERNAL : CRS_CREATE, "cannot open %s/.lock: %s", run,
                        strerror(errno));
    if (file < 0)
        return CRS_OK;
    return keep_locked(run, file, lock, error);
}

crs_status crs_lock_make(const char *run, int *lock, crs_error *error) {
    *lock = -1;
    if (mkdir(run, 0777) != 0 && errno != EEXIST)
        return crs_fail(error, CRS_CREATE, "cannot make the folder %s: %s", run, strerror(errno));
    const int file = open_lock(run, O_RDWR | O_CREAT | O_EXCL);
    if (file < 0 && errno == EEXIST)
        return busy(run, error);
    if (file < 0 && errno == ENOENT)
        return crs_fail(error, CRS_CREATE,
                        "%s is a link to a folder that is not there; make that folder, or remove the link", run);
    if (file < 0)
        return cannot_write(run, error);
    return keep_locked(run, file, lock, error);
}

void crs_lock_release(int *lock) {
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}

crs_status crs_lock_writable(const char *run, crs_error *error) {
    return access(run, W_OK | X_OK) == 0 ? CRS_OK : cannot_write(run, error);
}

bool crs_run_holds_files(const char *run) {
    DIR *folder = opendir(run);
    bool holds = false;
    if (!folder)
        return false;
    for (const struct dirent *entry; !holds && (entry = readdir(folder));)
        holds =
            strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && strcmp(entry->d_name, ".lock") != 0;
    closedir(folder);
    return holds;
}
