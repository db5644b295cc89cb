/* A file that appears whole or not at all. */
#include "config.h"

#include "data/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BASE_MAX = 200, ATTEMPTS = 1000 };

/* ---- signals: what would end the program removes the temporary file first ---- */

static const int fatal[] = {SIGINT, SIGTERM, SIGHUP};
enum { FATAL = sizeof fatal / sizeof *fatal };
static char *volatile doomed; /* the path to remove; NULL: none */
static bool armed[FATAL];

static void remove_and_die(int signal_number) {
    char *path = doomed;
    if (path)
        unlink(path);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void arm(char *path) {
    doomed = path;
    for (int i = 0; i < FATAL; i++) {
        struct sigaction before, action = {.sa_handler = remove_and_die};
        /* Someone else's way with the signal, and that it is ignored (nohup), stand. */
        armed[i] = sigaction(fatal[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL;
        if (armed[i])
            sigaction(fatal[i], &action, NULL);
    }
}

static void disarm(void) {
    doomed = NULL;
    for (int i = 0; i < FATAL; i++) {
        if (armed[i])
            signal(fatal[i], SIG_DFL);
        armed[i] = false;
    }
}

/* ---- names ---- */

crs_status crs_output_fail(const crs_output *output, int reason, crs_error *error) {
    if (reason == ENOMEM)
        return crs_fail(error, CRS_INTERNAL, "%s: out of memory while it was written", output->name);
    const char *hint = reason == ENOSPC || reason == EDQUOT ? "; make room, or choose another folder with -o"
                       : reason == ENOENT                   ? "; make the folder first (mkdir -p)"
                                                            : "; choose another place with -o";
    return crs_fail(error, CRS_CREATE, "%s: it can't be written: %s%s", output->name,
                    reason ? strerror(reason) : "HDF5 gives no reason", hint);
}

/* Where name leads, and its folder. */
static crs_status find_place(crs_output *output, crs_error *error) {
    struct stat about;
    const char *name = output->name;
    if (!*name)
        return crs_fail(error, CRS_USAGE, "-o: the name of the output is empty; give one, as in -o data.h5");
    if (stat(name, &about) == 0) {
        if (S_ISDIR(about.st_mode))
            return crs_fail(error, CRS_CREATE, "%s: it is a folder; give the name of a file in it, as in -o data.h5",
                            name);
        if (!S_ISREG(about.st_mode))
            return crs_fail(error, CRS_CREATE, "%s: it is no regular file; HDF5 needs one, as in -o data.h5", name);
        char *real = realpath(name, NULL);
        if (!real)
            return crs_output_fail(output, errno, error);
        output->path = crs_copy_text(real);
        crs_free_foreign(real);
    } else if (errno == ENOENT && name[strlen(name) - 1] != '/') {
        output->path = crs_copy_text(name);
    } else {
        return crs_output_fail(output, errno, error);
    }
    output->folder = output->path ? crs_copy_text(output->path) : NULL;
    if (!output->folder)
        return crs_fail(error, CRS_INTERNAL, "out of memory");
    char *slash = strrchr(output->folder, '/');
    if (!slash)
        memcpy(output->folder, ".", sizeof "."); /* the path has at least one character */
    else if (slash == output->folder)
        slash[1] = '\0';
    else
        *slash = '\0';
    return CRS_OK;
}

crs_status crs_output_open(crs_output *output, const char *name, crs_error *error) {
    *output = (crs_output){.name = name};
    crs_status status = find_place(output, error);
    if (status)
        return status;
    const char *slash = strrchr(output->path, '/'), *base = slash ? slash + 1 : output->path;
    size_t size = strlen(output->folder) + BASE_MAX + 64;
    char *path = crs_alloc_or_fail(size, 1, CRS_MEMORY_OTHER, "a file name", error);
    if (!path)
        return error->status;
    int descriptor = -1;
    for (int attempt = 0; attempt < ATTEMPTS && descriptor < 0; attempt++) {
        snprintf(path, size, "%s/.%.*s.%ld-%d.tmp", output->folder, (int)BASE_MAX, base, (long)getpid(), attempt);
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0 && errno != EEXIST)
            break;
    }
    if (descriptor < 0) {
        status = crs_output_fail(output, errno, error);
        crs_free(&path);
        return status;
    }
    close(descriptor);
    output->temporary = path;
    arm(path);
    return CRS_OK;
}

/* Flushes a file or a folder to the disk; 0 or errno. */
static int flush(const char *path) {
    int reason = 0, descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return errno;
    if (fsync(descriptor))
        reason = errno;
    close(descriptor);
    return reason;
}

crs_status crs_output_finish(crs_output *output, crs_error *error) {
    int reason = flush(output->temporary);
    if (!reason && rename(output->temporary, output->path))
        reason = errno;
    if (reason)
        return crs_output_fail(output, reason, error);
    disarm();
    crs_free(&output->temporary);
    reason = flush(output->folder);
    /* Some file systems can't flush folders. The file is there and whole, whatever they say. */
    if (reason && reason != EINVAL && reason != ENOTSUP && reason != EACCES)
        crs_warn("%s: its folder can't be flushed to the disk: %s", output->name, strerror(reason));
    return CRS_OK;
}

void crs_output_discard(crs_output *output) {
    if (output->temporary) {
        unlink(output->temporary);
        disarm();
    }
    crs_free(&output->temporary);
    crs_free(&output->folder);
    crs_free(&output->path);
}

bool crs_output_is(const crs_output *output, dev_t device, ino_t inode) {
    struct stat about;
    return stat(output->path, &about) == 0 && about.st_dev == device && about.st_ino == inode;
}
