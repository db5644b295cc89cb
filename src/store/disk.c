/* Writing, flushing, renaming. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carousel/store.h"

static const char mark[] = ".tmp-";

bool crs_disk_temporary(const char *path, char *out, size_t size) {
    return snprintf(out, size, "%s%s%ld", path, mark, (long)getpid()) < (int)size;
}

bool crs_disk_is_temporary(const char *name) {
    const char *tail = strstr(name, mark);
    if (!tail || tail == name)
        return false;
    tail += sizeof mark - 1;
    return *tail != '\0' && strspn(tail, "0123456789") == strlen(tail);
}

static crs_status fail(const char *path, const char *what, crs_error *error) {
    const char *advice = errno == ENOSPC || errno == EDQUOT ? "make room there, or give another folder"
                         : errno == EFBIG                   ? "raise the limit on file sizes (ulimit -f)"
                                                            : "give a folder that can be written";
    return crs_fail(error, CRS_CREATE, "%s: can't be %s: %s; %s", path, what, strerror(errno), advice);
}

bool crs_disk_flush(int file) {
    return fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP /* and EOPNOTSUPP */ || errno == ENOSYS;
}

static int create(const char *path) {
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

/* Flushes what was written whole, and closes; what is read back afterwards comes from the disk, as far as the kernel
 * goes along. */
static crs_status finish(int file, bool written, const char *path, crs_error *error) {
    bool good = written && crs_disk_flush(file);
    int cause = errno;
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    if (close(file) != 0 && good)
        return fail(path, "flushed to the disk", error);
    errno = cause;
    return good ? CRS_OK : fail(path, written ? "flushed to the disk" : "written", error);
}

crs_status crs_disk_write(const char *path, const void *bytes, size_t count, crs_error *error) {
    int file = create(path);
    return file < 0 ? fail(path, "created", error) : finish(file, crs_write(file, bytes, count), path, error);
}

static bool copy_all(int from, int to) {
    static char buffer[1 << 16];
    for (;;) {
        ssize_t n = read(from, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        if (!crs_write(to, buffer, (size_t)n))
            return false;
    }
}

crs_status crs_disk_copy(const char *from, const char *path, crs_error *error) {
    int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0)
        return fail(from, "read", error);
    int file = create(path);
    crs_status status = file < 0 ? fail(path, "created", error) : finish(file, copy_all(source, file), path, error);
    close(source);
    return status;
}

bool crs_disk_same(const char *a, const char *b) {
    struct stat x, y;
    if (stat(a, &x) != 0 || stat(b, &y) != 0 || x.st_size != y.st_size)
        return false;
    if (x.st_dev == y.st_dev && x.st_ino == y.st_ino)
        return true;
    FILE *one = fopen(a, "re"), *other = fopen(b, "re");
    bool same = one && other;
    for (int byte = 0; same && byte != EOF;)
        same = (byte = getc_unlocked(one)) == getc_unlocked(other);
    if (one)
        fclose(one);
    if (other)
        fclose(other);
    return same;
}

crs_status crs_disk_rename(const char *from, const char *to, crs_error *error) {
    if (rename(from, to) != 0)
        return fail(to, "replaced", error);
    return crs_disk_flush_folder(to, error);
}

crs_status crs_disk_flush_folder(const char *path, crs_error *error) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    crs_status status = folder >= 0 && crs_disk_flush(folder) ? CRS_OK : fail(path, "flushed to the disk", error);
    if (folder >= 0)
        close(folder);
    return status;
}
