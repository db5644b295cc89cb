/* The texts that are packed. */
#include "config.h"

#include "carousel/store.h"
#include "data/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20 };

static bool is_standard_input(const char *input) {
    return strcmp(input, "-") == 0;
}

const char *crs_source_name(const crs_source *source) {
    return is_standard_input(source->input) ? "standard input" : source->input;
}

void crs_sources_describe(const crs_source *sources, int count, char text[CRS_SOURCES_TEXT]) {
    size_t length = 0;
    int named = 0;
    for (; named < count; named++) {
        const char *name = crs_source_name(&sources[named]);
        if (length + strlen(name) + 2 > CRS_SOURCES_MOST)
            break;
        length += (size_t)snprintf(text + length, CRS_SOURCES_MOST + 1 - length, "%s%s", named ? ", " : "", name);
    }
    if (named < count)
        snprintf(text + length, CRS_SOURCES_TEXT - length, "%s%d files%s", named ? " and " : "", count - named,
                 named ? " more" : "");
    crs_utf8_mend(text); /* file names may be any bytes */
}

static crs_status fail_reading(const crs_source *source, int reason, crs_error *error) {
    return crs_fail(error, CRS_NO_INPUT, "%s: it can't be read: %s", crs_source_name(source), strerror(reason));
}

ssize_t crs_source_read(const crs_source *source, int descriptor, void *bytes, size_t count, crs_error *error) {
    size_t done = 0;
    while (done < count) {
        ssize_t got = read(descriptor, (char *)bytes + done, count - done);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR) {
            fail_reading(source, errno, error);
            return -1;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)done;
}

int crs_spool_open(const crs_output *output, const char **folder) {
    const char *wish = getenv("TMPDIR");
    *folder = wish && *wish ? wish : output->folder;
    char *path = crs_format_text("%s/.carousel-XXXXXX", *folder);
    if (!path) {
        errno = ENOMEM;
        return -1;
    }
    int descriptor = mkostemp(path, O_CLOEXEC);
    if (descriptor >= 0)
        unlink(path);
    crs_free(&path);
    return descriptor;
}

crs_status crs_spool_fail(const char *folder, const char *what, int reason, crs_error *error) {
    if (reason == ENOMEM)
        return crs_fail(error, CRS_INTERNAL, "out of memory for a temporary copy of %s", what);
    return crs_fail(error, CRS_CREATE, "%s: a temporary copy of %s can't be written there: %s; %s", folder, what,
                    strerror(reason),
                    reason == EFBIG ? "raise the limit on file sizes (ulimit -f)" : "set TMPDIR to a folder with room");
}

/* Copies all of `from` to a file that can be read again. */
static crs_status spool(crs_source *source, int from, const crs_output *output, crs_error *error) {
    const char *folder;
    crs_status status = CRS_OK;
    char *bytes = crs_alloc_or_fail(COPY_BYTES, 1, CRS_MEMORY_DATA, "copying the input", error);
    if (!bytes)
        return error->status;
    int reason = 0, to = crs_spool_open(output, &folder);
    if (to < 0)
        reason = errno;
    while (!reason) {
        ssize_t got = crs_source_read(source, from, bytes, COPY_BYTES, error);
        if (got < 0)
            status = error->status;
        if (got <= 0)
            break;
        reason = crs_write(to, bytes, (size_t)got) ? 0 : errno;
        source->size += got;
    }
    if (reason) {
        char what[CRS_MESSAGE_MAX / 2];
        snprintf(what, sizeof what, "%s, which is read twice,", crs_source_name(source));
        status = crs_spool_fail(folder, what, reason, error);
    }
    if (status && to >= 0)
        close(to);
    else
        source->spool = to;
    crs_free(&bytes);
    return status;
}

/* What is known of an open input before it is read. */
static crs_status examine(crs_source *source, int descriptor, const crs_output *output, bool *regular,
                          crs_error *error) {
    struct stat about;
    const char *name = crs_source_name(source);
    if (fstat(descriptor, &about))
        return fail_reading(source, errno, error);
    if (S_ISDIR(about.st_mode))
        return crs_fail(error, CRS_NO_INPUT, "%s: it is a folder; give the text files in it", name);
    *regular = S_ISREG(about.st_mode);
    if (*regular && crs_output_is(output, about.st_dev, about.st_ino))
        return crs_fail(error, CRS_USAGE, "%s: it is an input and the output; choose another name with -o", name);
    source->size = *regular ? about.st_size : 0;
    return CRS_OK;
}

crs_status crs_source_open(crs_source *source, const char *input, const crs_output *output, crs_error *error) {
    bool regular = false;
    *source = (crs_source){.input = input, .spool = -1};
    bool standard = is_standard_input(input);
    int descriptor = standard ? STDIN_FILENO : open(input, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return crs_fail(error, CRS_NO_INPUT, "%s: %s", input, strerror(errno));
    crs_status status = examine(source, descriptor, output, &regular, error);
    if (!status && !regular)
        status = spool(source, descriptor, output, error);
    if (!status && regular && standard) {
        source->spool = descriptor;
        source->start = lseek(descriptor, 0, SEEK_CUR);
    }
    if (!standard)
        close(descriptor);
    return status;
}

void crs_source_close(crs_source *source) {
    if (source->spool > STDIN_FILENO)
        close(source->spool);
    source->spool = -1;
}

int crs_source_begin(const crs_source *source, crs_error *error) {
    int descriptor = source->spool >= 0 ? source->spool : open(source->input, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || (source->spool >= 0 && lseek(descriptor, source->start, SEEK_SET) < 0)) {
        fail_reading(source, errno, error);
        return -1;
    }
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    return descriptor;
}

void crs_source_end(const crs_source *source, int descriptor) {
    if (descriptor >= 0 && descriptor != source->spool)
        close(descriptor);
}

crs_status crs_source_changed(const crs_source *source, crs_error *error) {
    return crs_fail(error, CRS_DATA, "%s: it changed while it was being packed; pack it again when it rests",
                    crs_source_name(source));
}

void crs_pack_progress_add(crs_pack_progress *p, int64_t bytes) {
    enum { REPORT_BYTES = 16 << 20 };
    char line[64];
    p->done += bytes;
    if (p->done - p->reported < REPORT_BYTES || p->total <= 0)
        return;
    p->reported = p->done;
    const double percent = 100.0 * (double)p->done / (double)p->total;
    snprintf(line, sizeof line, "packing: %.0f %%", percent < 100 ? percent : 100);
    crs_live(line);
}
