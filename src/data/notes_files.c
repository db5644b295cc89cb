/* Finding files and folders of music, and reading them whole. */
#include "config.h"

#include "data/notes_files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { FIRST_BYTES = 1 << 16 };

static bool ends_with(const char *name, size_t length, const char *end) {
    const size_t size = strlen(end);
    return length >= size && strncasecmp(name + length - size, end, size) == 0;
}

static bool is_midi(const char *name) {
    size_t length = strlen(name);
    if (ends_with(name, length, ".gz"))
        length -= 3;
    return ends_with(name, length, ".mid") || ends_with(name, length, ".midi");
}

static crs_status add(crs_notes_files *files, const char *path, const char *name, crs_error *error) {
    crs_notes_file file = {.path = crs_copy_text(path), .name = crs_copy_text(name)};
    if (!file.path || !file.name || !crs_list_grow(&files->file, (size_t)files->count, sizeof *files->file)) {
        crs_free(&file.path);
        crs_free(&file.name);
        return crs_fail(error, CRS_INTERNAL, "out of memory for a list of %d files", files->count);
    }
    files->file[files->count++] = file;
    return CRS_OK;
}

static int by_name(const FTSENT **left, const FTSENT **right) {
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

/* The part of a path below a folder. */
static const char *below(const char *path, const char *folder) {
    path += strlen(folder);
    return path + strspn(path, "/");
}

static crs_status find_below(crs_notes_files *files, const char *folder, crs_error *error) {
    const int before = files->count;
    char *roots[] = {crs_copy_text(folder), NULL};
    crs_status status = CRS_OK;
    FTS *tree = roots[0] ? fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name) : NULL;
    for (FTSENT *at; tree && !status && (at = fts_read(tree));) {
        if (at->fts_info == FTS_DNR || at->fts_info == FTS_ERR)
            status = crs_fail(error, CRS_NO_INPUT, "%s: it can't be read: %s", at->fts_path, strerror(at->fts_errno));
        else if (at->fts_info == FTS_F && is_midi(at->fts_name))
            status = add(files, at->fts_path, below(at->fts_path, folder), error);
    }
    if (!tree)
        status = crs_fail(error, roots[0] ? CRS_NO_INPUT : CRS_INTERNAL, "%s: it can't be read: %s", folder,
                          roots[0] ? strerror(errno) : "out of memory");
    else
        fts_close(tree);
    crs_free(&roots[0]);
    if (!status && files->count == before)
        return crs_fail(error, CRS_NO_INPUT, "%s: no MIDI file is in this folder (.mid, .midi, or with .gz)", folder);
    return status;
}

crs_status crs_notes_files_find(crs_notes_files *files, const char *const *input, int inputs, crs_error *error) {
    crs_status status = CRS_OK;
    *files = (crs_notes_files){0};
    for (int i = 0; i < inputs && !status; i++) {
        struct stat about;
        if (stat(input[i], &about))
            return crs_fail(error, CRS_NO_INPUT, "%s: %s", input[i], strerror(errno));
        status = S_ISDIR(about.st_mode) ? find_below(files, input[i], error) : add(files, input[i], input[i], error);
    }
    return status;
}

void crs_notes_files_free(crs_notes_files *files) {
    for (int i = 0; i < files->count; i++) {
        crs_free(&files->file[i].path);
        crs_free(&files->file[i].name);
    }
    crs_free(&files->file);
    files->count = 0;
}

/* ---- reading ---- */

static gzFile open_file(const char *path, const crs_output *output, crs_error *error) {
    struct stat about;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    gzFile file = NULL;
    if (descriptor < 0 || fstat(descriptor, &about))
        crs_fail(error, CRS_NO_INPUT, "%s: %s", path, strerror(errno));
    else if (S_ISDIR(about.st_mode))
        crs_fail(error, CRS_NO_INPUT, "%s: it is a folder; give the files in it", path);
    else if (crs_output_is(output, about.st_dev, about.st_ino))
        crs_fail(error, CRS_USAGE, "%s: it is an input and the output; choose another name with -o", path);
    else if (!(file = gzdopen(descriptor, "rb")))
        crs_fail(error, CRS_INTERNAL, "out of memory for reading %s", path);
    if (!file && descriptor >= 0)
        close(descriptor);
    return file;
}

/* Twice the room, or the first. */
static bool grow(char **bytes, size_t *room, size_t count, const char *path, crs_error *error) {
    const size_t wanted = *room > 0 ? 2 * *room : FIRST_BYTES;
    char *more = crs_alloc(wanted + 1, 1, CRS_MEMORY_DATA);
    if (!more) {
        crs_fail(error, CRS_INTERNAL, "%s: out of memory: there is no room for %zu bytes", path, wanted);
        return false;
    }
    if (count > 0)
        memcpy(more, *bytes, count);
    crs_free(bytes);
    *bytes = more;
    *room = wanted;
    return true;
}

char *crs_file_read(const char *path, const crs_output *output, size_t most, size_t *count, crs_error *error) {
    char *bytes = NULL;
    size_t room = 0;
    int got = 1, code = Z_OK;
    *count = 0;
    gzFile file = open_file(path, output, error);
    if (!file)
        return NULL;
    while (got > 0 && *count <= most && (*count < room || grow(&bytes, &room, *count, path, error))) {
        const size_t left = room - *count;
        got = gzread(file, bytes + *count, left < 1 << 30 ? (unsigned)left : 1 << 30);
        *count += got > 0 ? (size_t)got : 0;
    }
    const char *why = gzerror(file, &code);
    if (error->status == CRS_OK && got < 0 && code == Z_ERRNO)
        crs_fail(error, CRS_NO_INPUT, "%s: it can't be read: %s", path, strerror(errno));
    else if (error->status == CRS_OK && (got < 0 || code == Z_BUF_ERROR))
        crs_fail(error, CRS_DATA, "%s: what gzip packed is cut off or damaged after byte %zu: %s; get it again", path,
                 *count, why);
    else if (error->status == CRS_OK && *count > most)
        crs_fail(error, CRS_DATA, "%s: it has more than %zu bytes; give it in parts", path, most);
    gzclose(file);
    if (error->status)
        crs_free(&bytes);
    return bytes;
}
