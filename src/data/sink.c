/* A driver of HDF5 (a "virtual file"): a plain file, written until that fails. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "data/sink.h"

typedef struct sink {
    H5FD_t base; /* HDF5's own part; first */
    int file;
    int *failed;      /* errno, or EIO; another's */
    haddr_t end, eof; /* of what HDF5 has given out, and of what it has written */
} sink;

static sink *sink_of(H5FD_t *file) {
    return (sink *)file;
}

static const sink *sink_at(const H5FD_t *file) {
    return (const sink *)file;
}

static H5FD_t *open_sink(const char *path, unsigned flags, hid_t access, haddr_t most) {
    (void)most;
    int *const *failed = H5Pget_driver_info(access);
    sink *s = crs_alloc(1, sizeof *s, CRS_MEMORY_DATA);
    if (!s) {
        errno = ENOMEM;
        return NULL;
    }
    s->failed = *failed;
    s->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (flags & H5F_ACC_TRUNC ? O_TRUNC : 0), 0666);
    if (s->file < 0)
        crs_free(&s);
    return s ? &s->base : NULL;
}

static herr_t close_sink(H5FD_t *file) {
    sink *s = sink_of(file);
    close(s->file);
    crs_free(&s);
    return 0;
}

/* So that metadata goes out in larger pieces. */
static herr_t query(const H5FD_t *file, unsigned long *flags) {
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t get_end(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return sink_at(file)->end;
}

static herr_t set_end(H5FD_t *file, H5FD_mem_t type, haddr_t end) {
    (void)type;
    sink_of(file)->end = end;
    return 0;
}

static haddr_t get_eof(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return sink_at(file)->eof;
}

/* What was not written is zeros. */
static herr_t read_sink(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t count, void *bytes) {
    (void)type, (void)transfer;
    for (char *to = bytes; count > 0;) {
        const ssize_t some = pread(sink_of(file)->file, to, count, (off_t)at);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0) {
            memset(to, 0, count);
            break;
        }
        to += some;
        at += (haddr_t)some;
        count -= (size_t)some;
    }
    return 0;
}

static herr_t write_sink(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t count, const void *bytes) {
    (void)type, (void)transfer;
    sink *s = sink_of(file);
    s->eof = at + count > s->eof ? at + count : s->eof;
    for (const char *from = bytes; count > 0 && !*s->failed;) {
        const ssize_t some = pwrite(s->file, from, count, (off_t)at);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0) {
            *s->failed = some < 0 ? errno : EIO;
            break;
        }
        from += some;
        at += (haddr_t)some;
        count -= (size_t)some;
    }
    return 0;
}

static herr_t truncate_sink(H5FD_t *file, hid_t transfer, hbool_t closing) {
    (void)transfer, (void)closing;
    sink *s = sink_of(file);
    if (!*s->failed && s->eof != s->end && ftruncate(s->file, (off_t)s->end) != 0)
        *s->failed = errno;
    s->eof = s->end;
    return 0;
}

hid_t crs_sink_access(int *failed) {
    static const H5FD_class_t kind = {
#ifdef H5FD_CLASS_VERSION /* HDF5 1.14 */
        .version = H5FD_CLASS_VERSION,
        .value = 511, /* of those that are for a program's own */
#endif
        .name = "sink",
        .maxaddr = (haddr_t)INT64_MAX,
        .fc_degree = H5F_CLOSE_STRONG,
        .fapl_size = sizeof failed,
        .open = open_sink,
        .close = close_sink,
        .query = query,
        .get_eoa = get_end,
        .set_eoa = set_end,
        .get_eof = get_eof,
        .read = read_sink,
        .write = write_sink,
        .truncate = truncate_sink,
        .fl_map = H5FD_FLMAP_DICHOTOMY};
    hid_t driver = H5FDregister(&kind), access = H5Pcreate(H5P_FILE_ACCESS);
    if (H5Pset_driver(access, driver, &failed) < 0 || H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0)
        crs_h5_close(&access);
    crs_h5_close(&driver); /* the list has it still */
    return access;
}
