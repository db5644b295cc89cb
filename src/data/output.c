/* A file that appears whole or not at all. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carousel/store.h"
#include "data/pack.h"

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
                       : reason == EFBIG                    ? "; raise the limit on file sizes (ulimit -f)"
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
    char *path = output->path ? crs_copy_text(output->path) : NULL;
    output->folder = path ? crs_copy_text(dirname(path)) : NULL;
    crs_free(&path);
    return output->folder ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory");
}

/* ---- the temporary file: .BASE.PID-N.tmp, locked as long as its process lives, on whatever host that is ---- */

/* Not flock(), which HDF5 may use on a descriptor of its own. False with errno. */
static bool lock(int file) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(file, F_OFD_SETLK, &whole) == 0;
}

static bool is_temporary(const char *name, const char *base) {
    const size_t length = strnlen(base, BASE_MAX);
    if (name[0] != '.' || strncmp(name + 1, base, length) != 0 || name[1 + length] != '.')
        return false;
    name += length + 2;
    const size_t digits = strspn(name, "0123456789-");
    return digits > 0 && strcmp(name + digits, ".tmp") == 0;
}

/* Those that nobody holds: whoever made them was killed. Where there are no locks, all stay. */
static void remove_stale(const char *path, const char *base) {
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        if (!is_temporary(entry->d_name, base))
            continue;
        int file = openat(dirfd(folder), entry->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (file >= 0 && lock(file))
            unlinkat(dirfd(folder), entry->d_name, 0);
        if (file >= 0)
            close(file);
    }
    if (folder)
        closedir(folder);
}

/* A new one, named in path. Another process that cleans up may come between its making and its lock: then once more. -1
 * with errno. */
static int create_temporary(const crs_output *output, const char *base, char *path, size_t size) {
    struct stat about;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        snprintf(path, size, "%s/.%.*s.%ld-%d.tmp", output->folder, (int)BASE_MAX, base, (long)getpid(), attempt);
        int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file < 0 && errno != EEXIST)
            return -1;
        if (file < 0)
            continue;
        bool mine = lock(file) || (errno != EAGAIN && errno != EACCES);
        if (mine && fstat(file, &about) == 0 && about.st_nlink > 0)
            return file;
        close(file);
    }
    errno = EEXIST;
    return -1;
}

crs_status crs_output_open(crs_output *output, const char *name, crs_error *error) {
    *output = (crs_output){.name = name, .lock = -1};
    crs_status status = find_place(output, error);
    if (status)
        return status;
    const char *slash = strrchr(output->path, '/'), *base = slash ? slash + 1 : output->path;
    size_t size = strlen(output->folder) + BASE_MAX + 64;
    char *path = crs_alloc_or_fail(size, 1, CRS_MEMORY_OTHER, "a file name", error);
    if (!path)
        return error->status;
    remove_stale(output->folder, base);
    output->lock = create_temporary(output, base, path, size);
    if (output->lock < 0) {
        status = crs_output_fail(output, errno, error);
        crs_free(&path);
        return status;
    }
    output->temporary = path;
    arm(path);
    return CRS_OK;
}

crs_status crs_output_verify(const crs_output *output, crs_error *error) {
    crs_dataset dataset;
    crs_error inner = {0};
    crs_status status = crs_dataset_open(&dataset, output->temporary, &inner);
    if (!status) {
        for (crs_split split = 0; split < CRS_SPLITS && !status; split++)
            status = crs_dataset_verify(&dataset, split, &inner);
        crs_dataset_close(&dataset);
    }
    if (!status)
        return CRS_OK;
    return crs_fail(error, status == CRS_INTERNAL ? status : CRS_CREATE,
                    "%s: what was written does not read back as it should (is the disk sound?): %s", output->name,
                    inner.message);
}

/* The file is there and whole, whatever comes of it. */
static void flush_folder(const crs_output *output) {
    int folder = open(output->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 ? errno != EACCES : !crs_disk_flush(folder))
        crs_warn("%s: its folder can't be flushed to the disk: %s", output->name, strerror(errno));
    if (folder >= 0)
        close(folder);
}

crs_status crs_output_finish(crs_output *output, crs_error *error) {
    if (!crs_disk_flush(output->lock) || rename(output->temporary, output->path) != 0)
        return crs_output_fail(output, errno, error);
    disarm();
    crs_free(&output->temporary);
    flush_folder(output);
    return CRS_OK;
}

void crs_output_discard(crs_output *output) {
    if (output->temporary) {
        unlink(output->temporary);
        disarm();
    }
    if (output->lock >= 0)
        close(output->lock);
    output->lock = -1;
    crs_free(&output->temporary);
    crs_free(&output->folder);
    crs_free(&output->path);
}

bool crs_output_is(const crs_output *output, dev_t device, ino_t inode) {
    struct stat about;
    return stat(output->path, &about) == 0 && about.st_dev == device && about.st_ino == inode;
}
