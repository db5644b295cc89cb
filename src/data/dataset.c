/* Opening, checking and reading data sets of tokens. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "data/sequences.h"
#include "data/tokens.h"
#include "store/vocabulary_file.h"

enum { SOURCE_MAX = 8192, SCAN_BYTES = 1 << 20, READ_BYTES = 1 << 15 };

static const crs_h5_words words = {
    .folder = "it is a folder; give an HDF5 file",
    .special = "it is no regular file; HDF5 files are read from regular files",
    .empty = "it is empty; an HDF5 file was expected",
    .foreign = "it is not an HDF5 file; `carousel pack text -o DATA.h5 FILE` makes one of a text",
    .broken = "this HDF5 file is truncated or damaged, or still being written; make or copy it again",
};
static const char again[] = "make the file again"; /* what would do about a damaged one */

crs_status crs_vocabulary_load(const char *path, crs_vocabulary *vocabulary, crs_error *error) {
    char format[64], name[16];
    crs_level level = CRS_LEVEL_CHAR;
    memset(vocabulary, 0, sizeof *vocabulary);
    hid_t file = crs_h5_open(path, &words, error);
    if (file < 0)
        return error->status;
    crs_h5_text(file, "format", format, sizeof format);
    crs_status status = strcmp(format, CRS_FORMAT_CHECKPOINT) == 0
                            ? crs_h5_check_format(file, path, CRS_FORMAT_CHECKPOINT, CRS_CHECKPOINT_VERSION, error)
                            : crs_h5_check_format(file, path, CRS_FORMAT_TOKENS, CRS_TOKENS_VERSION, error);
    if (!status) { /* one without a level, or of bytes, is refused as it has no vocabulary of characters */
        crs_h5_text(file, "level", name, sizeof name);
        level = strcmp(name, crs_level_name(CRS_LEVEL_WORD)) == 0 ? CRS_LEVEL_WORD : CRS_LEVEL_CHAR;
        status = crs_vocabulary_read(file, path, level, false, again, vocabulary, error);
    }
    crs_h5_close(&file);
    return status;
}

/* ---- whether it is still what was opened ---- */

/* What the open file is now; that of HDF5's own descriptor, as another file may have taken its name. */
static bool look_at_open(const crs_dataset_file *file, struct stat *about) {
    void *descriptor = NULL;
    return H5Fget_vfd_handle(file->file, H5P_DEFAULT, &descriptor) >= 0 && descriptor &&
           fstat(*(const int *)descriptor, about) == 0;
}

/* HDF5 invents zeros for what is no longer there, and reads what is written meanwhile. So this is asked after each
 * read, before anything of it is used. A file that has lost its name is as good as before. */
crs_status crs_dataset_check_unchanged(const crs_dataset *dataset, crs_error *error) {
    const struct stat *was = &dataset->file->opened;
    struct stat is, named;
    char what[96] = "";
    if (!look_at_open(dataset->file, &is))
        return crs_fail(error, CRS_DATA, "%s: it can't be looked at: %s; run the same command again", dataset->path,
                        strerror(errno));
    if (is.st_size != was->st_size)
        snprintf(what, sizeof what, "it had %lld bytes and has %lld", (long long)was->st_size, (long long)is.st_size);
    else if (is.st_mtim.tv_sec != was->st_mtim.tv_sec || is.st_mtim.tv_nsec != was->st_mtim.tv_nsec)
        snprintf(what, sizeof what, "it was written to");
    else if (stat(dataset->path, &named) == 0 && (named.st_ino != was->st_ino || named.st_dev != was->st_dev))
        snprintf(what, sizeof what, "another file took its place");
    if (!*what)
        return CRS_OK;
    return crs_fail(error, CRS_DATA,
                    "%s: it changed while it was read: %s; put back what was there, and run the same command again",
                    dataset->path, what);
}

/* ---- opening ---- */

static crs_status read_level(crs_dataset *dataset, crs_error *error) {
    char name[16];
    crs_level level;
    hid_t file = dataset->file->file;
    crs_h5_text(file, "level", name, sizeof name);
    if (!crs_level_of(name, &level))
        return crs_fail(error, CRS_DATA,
                        "%s: its root has no attribute `level` of `char`, `byte` or `word`%s%s; pack it again",
                        dataset->path, *name ? ", but " : "", name);
    if (level != CRS_LEVEL_BYTE)
        return crs_vocabulary_read(file, dataset->path, level, false, again, &dataset->vocabulary, error);
    if (H5Lexists(file, "vocabulary", H5P_DEFAULT) > 0)
        return crs_fail(error, CRS_DATA, "%s: level byte has no /vocabulary, but this file has one; pack it again",
                        dataset->path);
    return crs_vocabulary_create(&dataset->vocabulary, CRS_LEVEL_BYTE, NULL, 0, error);
}

/* What it was packed from; as others may have written it, nothing in it may drive a terminal. */
static crs_status read_source(crs_dataset *dataset, crs_error *error) {
    char text[SOURCE_MAX];
    crs_found found = crs_h5_text(dataset->file->file, "source", text, sizeof text);
    if (found == CRS_WRONG)
        return crs_fail(error, CRS_DATA, "%s: its attribute `source` is no text; leave it out, or make it one",
                        dataset->path);
    dataset->source = crs_copy_text(found == CRS_FOUND ? text : "unknown");
    if (!dataset->source)
        return crs_fail(error, CRS_INTERNAL, "out of memory");
    crs_utf8_mend(dataset->source);
    return CRS_OK;
}

hid_t crs_token_type(int token_bytes) {
    return token_bytes == 1 ? H5T_STD_U8LE : token_bytes == 2 ? H5T_STD_U16LE : H5T_STD_U32LE;
}

/* Reads with this many bytes a token, and checks against the vocabulary. */
static crs_status read_packed(const crs_dataset *dataset, crs_split split, int64_t offset, int64_t count,
                              int token_bytes, void *packed, crs_error *error) {
    CRS_ASSERT(offset >= 0 && count >= 0 && offset <= dataset->length[split] &&
               count <= dataset->length[split] - offset);
    if (count == 0)
        return CRS_OK;
    bool good = crs_set_read(&dataset->file->split[split], offset, count, token_bytes, packed);
    if (crs_dataset_check_unchanged(dataset, error))
        return error->status;
    if (!good)
        return crs_fail(error, CRS_DATA, "%s: /%s can't be read at token %lld: the file is damaged; pack it again",
                        dataset->path, crs_split_name(split), (long long)offset);
    size_t outside = crs_tokens_outside(packed, token_bytes, (size_t)count, dataset->vocabulary.count);
    if (outside == (size_t)count)
        return CRS_OK;
    uint32_t token;
    crs_tokens_widen((const char *)packed + outside * (size_t)token_bytes, token_bytes, 1, &token);
    return crs_fail(
        error, CRS_DATA,
        "%s: /%s has the token %u at %lld, outside its vocabulary of %u: the file is damaged; pack it again",
        dataset->path, crs_split_name(split), token, (long long)offset + (long long)outside, dataset->vocabulary.count);
}

crs_status crs_dataset_read_packed(const crs_dataset *dataset, crs_split split, int64_t offset, int64_t count,
                                   void *packed, crs_error *error) {
    return read_packed(dataset, split, offset, count, dataset->token_bytes, packed, error);
}

/* The hash of a split, from its tokens as stored. */
static crs_status scan_split(const crs_dataset *dataset, crs_split split, char hex[CRS_HASH_HEX], crs_error *error) {
    int token_bytes = dataset->file->split[split].unit;
    int64_t length = dataset->length[split], most = SCAN_BYTES / token_bytes;
    crs_hash *hash = crs_hash_new();
    void *block = crs_alloc_or_fail(SCAN_BYTES, 1, CRS_MEMORY_DATA, "reading a data set", error);
    crs_status status = !block ? error->status
                        : hash ? CRS_OK
                               : crs_fail(error, CRS_INTERNAL, "out of memory for a hash");
    for (int64_t offset = 0; offset < length && !status; offset += most) {
        int64_t count = length - offset < most ? length - offset : most;
        status = read_packed(dataset, split, offset, count, token_bytes, block, error);
        if (!status)
            crs_hash_add(hash, block, (size_t)count * (size_t)token_bytes);
    }
    if (!status)
        crs_hash_text(hash, hex);
    crs_hash_free(&hash);
    crs_free(&block);
    return status;
}

static crs_status make_digest(crs_dataset *dataset, crs_error *error) {
    const char *level = crs_level_name(dataset->vocabulary.level);
    crs_status status = CRS_OK;
    crs_hash *hash = crs_hash_new();
    if (!hash)
        return crs_fail(error, CRS_INTERNAL, "out of memory for a hash");
    crs_hash_add(hash, level, strlen(level));
    crs_vocabulary_hash(&dataset->vocabulary, hash);
    for (crs_split split = 0; split < CRS_SPLITS && !status; split++) {
        char hex[CRS_HASH_HEX];
        memcpy(hex, dataset->hash[split], sizeof hex);
        if (!*hex)
            status = scan_split(dataset, split, hex, error);
        crs_hash_add(hash, hex, CRS_HASH_HEX - 1);
    }
    crs_hash_text(hash, dataset->digest);
    crs_hash_free(&hash);
    return status;
}

static crs_status open_text(crs_dataset *dataset, crs_error *error) {
    if (read_level(dataset, error))
        return error->status;
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        if (crs_split_open(dataset, split, error))
            return error->status;
    dataset->schema = crs_schema_text(dataset->vocabulary.count);
    return make_digest(dataset, error);
}

static crs_status open_file(crs_dataset *dataset, crs_error *error) {
    const char *path = dataset->path;
    dataset->file->file = crs_h5_open(path, &words, error);
    if (dataset->file->file < 0)
        return error->status;
    if (!look_at_open(dataset->file, &dataset->file->opened))
        return crs_fail(error, CRS_NO_INPUT, "%s: it can't be looked at: %s; give a regular file", path,
                        strerror(errno));
    return CRS_OK;
}

static crs_status open_all(crs_dataset *dataset, const char *path, crs_error *error) {
    char format[64];
    dataset->path = crs_copy_text(path);
    dataset->file = crs_alloc(1, sizeof *dataset->file, CRS_MEMORY_DATA);
    if (!dataset->path || !dataset->file)
        return crs_fail(error, CRS_INTERNAL, "out of memory");
    if (open_file(dataset, error))
        return error->status;
    hid_t file = dataset->file->file;
    crs_h5_text(file, "format", format, sizeof format);
    dataset->text = strcmp(format, CRS_FORMAT_SEQUENCES) != 0;
    if (dataset->text ? crs_h5_check_format(file, path, CRS_FORMAT_TOKENS, CRS_TOKENS_VERSION, error)
                      : crs_h5_check_format(file, path, CRS_FORMAT_SEQUENCES, CRS_SEQUENCES_VERSION, error))
        return error->status;
    if (read_source(dataset, error))
        return error->status;
    return dataset->text ? open_text(dataset, error) : crs_sequences_open(dataset, error);
}

crs_status crs_dataset_open(crs_dataset *dataset, const char *path, crs_error *error) {
    memset(dataset, 0, sizeof *dataset);
    crs_status status = open_all(dataset, path, error);
    if (status)
        crs_dataset_close(dataset);
    return status;
}

void crs_dataset_close(crs_dataset *dataset) {
    for (int split = 0; split < CRS_SPLITS && dataset->file; split++)
        crs_set_close(&dataset->file->split[split]);
    if (dataset->file) {
        crs_sequences_close(dataset);
        crs_h5_close(&dataset->file->file);
    }
    crs_free(&dataset->file);
    crs_vocabulary_free(&dataset->vocabulary);
    crs_free(&dataset->source);
    crs_free(&dataset->path);
    memset(dataset, 0, sizeof *dataset);
}

crs_status crs_dataset_verify(const crs_dataset *dataset, crs_split split, crs_error *error) {
    char hex[CRS_HASH_HEX];
    if (!dataset->text)
        return crs_sequences_verify(dataset, split, error);
    crs_status status = scan_split(dataset, split, hex, error);
    if (!status && dataset->hash[split][0] && strcmp(hex, dataset->hash[split]) != 0)
        status = crs_fail(error, CRS_DATA, "%s: /%s is damaged: its hash is %s, and %s was stated; pack it again",
                          dataset->path, crs_split_name(split), hex, dataset->hash[split]);
    return status;
}

/* As stored; of sequences, with the bytes of their split. */
static crs_status read_any(const crs_dataset *dataset, crs_split split, int64_t offset, int64_t count, void *packed,
                           crs_error *error) {
    return dataset->text ? crs_dataset_read_packed(dataset, split, offset, count, packed, error)
                         : crs_part_read(dataset, split, CRS_PART_INPUTS, offset, count, packed, error);
}

crs_status crs_dataset_read(const crs_dataset *dataset, crs_split split, int64_t offset, int64_t count,
                            uint32_t *tokens, crs_error *error) {
    CRS_ASSERT(dataset->schema.inputs == CRS_INPUT_TOKENS);
    uint32_t piece[READ_BYTES / sizeof(uint32_t)];
    const int bytes = dataset->text ? dataset->token_bytes : dataset->file->part[split][CRS_PART_INPUTS].unit;
    const int64_t most = READ_BYTES / (bytes > 0 ? bytes : 1); /* a split that is not there has none */
    crs_status status = CRS_OK;
    for (int64_t done = 0; done < count && !status; done += most) {
        int64_t part = count - done < most ? count - done : most;
        status = read_any(dataset, split, offset + done, part, piece, error);
        if (!status)
            crs_tokens_widen(piece, bytes, (size_t)part, tokens + done);
    }
    return status;
}

char *crs_dataset_name(const crs_dataset *dataset, crs_split split, int64_t n, crs_error *error) {
    const crs_set *set = dataset->text ? NULL : crs_part_of(dataset, split, CRS_PART_NAMES);
    if (!set) {
        char *none = crs_copy_text("");
        if (!none)
            crs_fail(error, CRS_INTERNAL, "out of memory for a name");
        return none;
    }
    size_t length = 0;
    char *name = NULL;
    void *room = crs_alloc_or_fail(1, (size_t)set->unit, CRS_MEMORY_DATA, "a name", error);
    if (!room)
        return NULL;
    const bool good = crs_set_read(set, n, 1, set->unit, room);
    if (crs_dataset_check_unchanged(dataset, error) == CRS_OK && !good)
        crs_fail(error, CRS_DATA, "%s: /%s can't be read at row %lld: the file is damaged; pack it again",
                 dataset->path, set->plan.path, (long long)n);
    if (error->status == CRS_OK) {
        const char *text = crs_set_string(set, room, 0, &length);
        name = crs_format_text("%.*s", length < INT32_MAX ? (int)length : INT32_MAX, text);
        if (name)
            crs_utf8_mend(name);
        else
            crs_fail(error, CRS_INTERNAL, "out of memory for a name");
    }
    crs_set_free_strings(set, 1, room);
    crs_free(&room);
    return name;
}

crs_status crs_dataset_bits(const crs_dataset *dataset, crs_split split, int64_t n, int64_t steps, uint8_t *bits,
                            crs_error *error) {
    const crs_sequences *s = &dataset->sequences[split];
    CRS_ASSERT(dataset->schema.inputs == CRS_INPUT_BITS && n >= 0 && n < s->count && steps <= s->length[n]);
    return crs_part_read(dataset, split, CRS_PART_INPUTS, s->start[n], steps, bits, error);
}
