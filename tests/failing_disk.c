/* To be preloaded: a disk that fails. Calls of DISK_CALL (write, fsync, open, rename or link; of open those that
 * write) on files whose path contains DISK_FILE fail with DISK_ERROR (EIO, ...), from the DISK_FROM-th such call of the
 * process (the first) to the DISK_TO-th (the last). It takes the place of functions of libc. */
#include "config.h"

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long number_of(const char *name, long otherwise) {
    const char *value = getenv(name);
    return value ? strtol(value, NULL, 10) : otherwise;
}

static int error_of(const char *name) {
    static const struct {
        const char *name;
        int number;
    } errors[] = {{"EDQUOT", EDQUOT}, {"EFBIG", EFBIG}, {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}};
    for (size_t i = 0; name && i < sizeof errors / sizeof *errors; i++)
        if (strcmp(name, errors[i].name) == 0)
            return errors[i].number;
    return EIO;
}

/* Whether this call fails; then errno is set. */
static int fails(const char *call, const char *path) {
    static long calls;
    const char *file = getenv("DISK_FILE"), *wanted = getenv("DISK_CALL");
    if (!file || !wanted || strcmp(call, wanted) != 0 || !strstr(path, file))
        return 0;
    calls++;
    if (calls < number_of("DISK_FROM", 1) || calls > number_of("DISK_TO", 1000000000))
        return 0;
    errno = error_of(getenv("DISK_ERROR"));
    return 1;
}

static int fails_at(const char *call, int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    return fails(call, path);
}

/* The function of that name behind this one. */
#define BEHIND(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    return fails_at("write", file) ? -1 : BEHIND(write)(file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t place) {
    return fails_at("write", file) ? -1 : BEHIND(pwrite)(file, bytes, count, place);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t place) {
    return fails_at("write", file) ? -1 : BEHIND(pwrite64)(file, bytes, count, place);
}

int fsync(int file) {
    return fails_at("fsync", file) ? -1 : BEHIND(fsync)(file);
}

int rename(const char *from, const char *to) {
    return fails("rename", to) ? -1 : BEHIND(rename)(from, to);
}

int link(const char *from, const char *to) {
    return fails("link", to) ? -1 : BEHIND(link)(from, to);
}

static mode_t mode_of(int flags, va_list more) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = mode_of(flags, more);
    va_end(more);
    return (flags & (O_WRONLY | O_RDWR)) && fails("open", path) ? -1 : BEHIND(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = mode_of(flags, more);
    va_end(more);
    return (flags & (O_WRONLY | O_RDWR)) && fails("open", path) ? -1 : BEHIND(open64)(path, flags, mode);
}
