/* The HDF5 file that packing makes: tokens in whole chunks, each written where it will lie. */
#include "config.h"

#include "data/dataset.h"
#include "data/pack.h"
#include "data/tokens.h"
#include "store/vocabulary_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* After so many bytes the disk is told to begin, so that the flush in the end has little left to wait for. */
enum { START_BYTES = 16 << 20 };

struct crs_writer {
    const crs_output *output; /* borrowed */
    int64_t length[CRS_SPLITS];
    int token_bytes;
    size_t chunk; /* tokens */
    hid_t file;
    hid_t set;            /* of the split being written; below 0: none */
    int split;            /* CRS_SPLITS in the end */
    int64_t written;      /* tokens of the split in the file; a multiple of chunk, or all */
    size_t filled;        /* tokens in block */
    size_t unflushed;     /* bytes since the disk was last told */
    int descriptor;       /* of the same file, or -1: only to tell the disk */
    unsigned char *block; /* owned, [chunk] tokens */
    crs_hash *hash;       /* owned, of the split so far */
};

/* HDF5 keeps errno as the system left it, mostly. */
static crs_status fail(const crs_writer *writer, crs_error *error) {
    return crs_output_fail(writer->output, errno, error);
}

/* A hint only: what comes of it doesn't matter. */
static void start_disk(crs_writer *writer, size_t bytes) {
    writer->unflushed += bytes;
    if (writer->unflushed < START_BYTES || writer->descriptor < 0)
        return;
    writer->unflushed = 0;
#ifdef SYNC_FILE_RANGE_WRITE
    sync_file_range(writer->descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
}

/* The data set of writer->split. A chunk is no longer than the split, so that little texts make little files. */
static bool begin_split(crs_writer *writer) {
    hsize_t length = (hsize_t)writer->length[writer->split], most = length ? length : 1;
    hsize_t chunk = writer->chunk < most ? writer->chunk : most;
    hid_t space = H5Screate_simple(1, &length, &most);
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE), access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk(plan, 1, &chunk);
    H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(plan, false);
    H5Pset_chunk_cache(access, 1, 0, 1.0); /* none: each chunk is written once, whole */
    writer->set = H5Dcreate2(writer->file, crs_split_name((crs_split)writer->split),
                             crs_token_type(writer->token_bytes), space, H5P_DEFAULT, plan, access);
    crs_h5_close(&access);
    crs_h5_close(&plan);
    crs_h5_close(&space);
    writer->written = 0;
    crs_hash_reset(writer->hash);
    return writer->set >= 0;
}

static bool end_split(crs_writer *writer) {
    char hex[CRS_HASH_HEX];
    crs_hash_text(writer->hash, hex);
    bool good =
        crs_h5_put_text(writer->set, "units", "token") &&
        crs_h5_put_text(writer->set, "description",
                        "tokens of this part of the text, in its order; a token is an index of /vocabulary, or a "
                        "byte's value with level `byte`") &&
        crs_h5_put_text(writer->set, CRS_HASH_ATTRIBUTE, hex);
    return crs_h5_close(&writer->set) && good;
}

/* Writes the block, which is a whole chunk or the split's last. */
static bool flush_block(crs_writer *writer) {
    if (writer->filled == 0)
        return true;
    hsize_t start = (hsize_t)writer->written, count = writer->filled;
    hid_t space = H5Dget_space(writer->set), memory = H5Screate_simple(1, &count, NULL);
    errno = 0;
    bool good =
        H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
        H5Dwrite(writer->set, crs_token_type(writer->token_bytes), memory, space, H5P_DEFAULT, writer->block) >= 0;
    int reason = errno;
    crs_h5_close(&memory);
    crs_h5_close(&space);
    crs_hash_add(writer->hash, writer->block, writer->filled * (size_t)writer->token_bytes);
    start_disk(writer, writer->filled * (size_t)writer->token_bytes);
    writer->written += (int64_t)writer->filled;
    writer->filled = 0;
    errno = reason;
    return good;
}

/* Ends the split that is full, and begins the next; and so on, as some may be empty. */
static bool advance(crs_writer *writer) {
    while (writer->split < CRS_SPLITS && writer->written + (int64_t)writer->filled == writer->length[writer->split]) {
        errno = 0;
        if (!flush_block(writer) || !end_split(writer))
            return false;
        writer->split++;
        if (writer->split < CRS_SPLITS && !begin_split(writer))
            return false;
    }
    return true;
}

/* Level byte: nothing to write. */
static bool write_vocabulary(hid_t file, const crs_vocabulary *vocabulary) {
    if (vocabulary->level == CRS_LEVEL_BYTE)
        return true;
    hsize_t count = vocabulary->count;
    const size_t size = crs_vocabulary_entry_bytes(vocabulary);
    const bool words = vocabulary->level == CRS_LEVEL_WORD;
    char hex[CRS_HASH_HEX], *entries = crs_vocabulary_entries(vocabulary);
    if (!entries) {
        errno = ENOMEM;
        return false;
    }
    crs_hash_bytes(entries, count * size, hex);
    hid_t type = crs_h5_text_type(size), space = H5Screate_simple(1, &count, NULL),
          plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(plan, false);
    hid_t set = H5Dcreate2(file, "vocabulary", type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    bool good =
        set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, entries) >= 0 &&
        crs_h5_put_text(set, CRS_HASH_ATTRIBUTE, hex) &&
        crs_h5_put_text(set, "units", crs_level_unit(vocabulary->level)) &&
        crs_h5_put_text(set, "description",
                        words ? "index: token; value: the word it stands for, in UTF-8; a line end is U+000A"
                              : "index: token; value: the character it stands for, in UTF-8; the empty string is "
                                "U+0000");
    good = crs_h5_close(&set) && good;
    crs_h5_close(&plan);
    crs_h5_close(&space);
    crs_h5_close(&type);
    crs_free(&entries);
    return good;
}

/* How the text was cut, so that others can be cut likewise. */
static bool write_words(hid_t file, const crs_vocabulary *vocabulary) {
    return vocabulary->level != CRS_LEVEL_WORD ||
           (crs_h5_put_text(file, "words", crs_words_names()[vocabulary->words]) &&
            crs_h5_put_integer(file, "lower", vocabulary->lower));
}

static bool write_head(crs_writer *writer, const crs_writer_plan *plan) {
    errno = 0;
    return crs_h5_put_text(writer->file, "format", CRS_FORMAT_TOKENS) &&
           crs_h5_put_integer(writer->file, "version", CRS_TOKENS_VERSION) &&
           crs_h5_put_text(writer->file, "level", crs_level_name(plan->vocabulary->level)) &&
           crs_h5_put_text(writer->file, "source", plan->source) &&
           crs_h5_put_text(writer->file, "description",
                           "text as tokens, in consecutive parts: train, validation, test") &&
           write_words(writer->file, plan->vocabulary) && write_vocabulary(writer->file, plan->vocabulary);
}

crs_status crs_writer_open(crs_writer **writer, const crs_output *output, const crs_writer_plan *plan,
                           crs_error *error) {
    crs_writer *w = *writer = crs_alloc_or_fail(1, sizeof *w, CRS_MEMORY_DATA, "writing a data set", error);
    if (!w)
        return error->status;
    *w = (crs_writer){.output = output, .file = H5I_INVALID_HID, .set = H5I_INVALID_HID, .descriptor = -1};
    memcpy(w->length, plan->length, sizeof w->length);
    w->token_bytes = crs_token_bytes(plan->vocabulary->count);
    w->chunk = plan->chunk_bytes / (size_t)w->token_bytes;
    w->block = crs_alloc_or_fail(w->chunk, (size_t)w->token_bytes, CRS_MEMORY_DATA, "writing a data set", error);
    if (!w->block)
        return error->status;
    w->hash = crs_hash_new();
    if (!w->hash)
        return crs_fail(error, CRS_INTERNAL, "out of memory for a hash");
    errno = 0;
    crs_h5_silence();
    w->file = crs_h5_create(output->temporary, crs_h5_access());
    w->descriptor = open(output->temporary, O_RDONLY | O_CLOEXEC);
    if (w->file < 0 || !write_head(w, plan) || !begin_split(w))
        return fail(w, error);
    return CRS_OK;
}

crs_status crs_writer_add(crs_writer *writer, const uint32_t *tokens, size_t count, bool *fits, crs_error *error) {
    *fits = true;
    while (count > 0) {
        if (!advance(writer))
            return fail(writer, error);
        if (writer->split == CRS_SPLITS) {
            *fits = false;
            return CRS_OK;
        }
        int64_t left = writer->length[writer->split] - writer->written - (int64_t)writer->filled;
        size_t part = writer->chunk - writer->filled;
        if (part > count)
            part = count;
        if (left < (int64_t)part)
            part = (size_t)left;
        crs_tokens_narrow(tokens, part, writer->token_bytes,
                          writer->block + writer->filled * (size_t)writer->token_bytes);
        writer->filled += part;
        tokens += part;
        count -= part;
        if (writer->filled == writer->chunk && !flush_block(writer))
            return fail(writer, error);
    }
    return CRS_OK;
}

crs_status crs_writer_finish(crs_writer *writer, crs_error *error) {
    if (!advance(writer))
        return fail(writer, error);
    CRS_ASSERT(writer->split == CRS_SPLITS);
    errno = 0;
    bool flushed = H5Fflush(writer->file, H5F_SCOPE_LOCAL) >= 0;
    int reason = errno;
    bool closed = crs_h5_close(&writer->file);
    return flushed && closed ? CRS_OK : crs_output_fail(writer->output, reason ? reason : errno, error);
}

void crs_writer_free(crs_writer **writer) {
    if (!*writer)
        return;
    crs_h5_close(&(*writer)->set);
    crs_h5_close(&(*writer)->file);
    if ((*writer)->descriptor >= 0)
        close((*writer)->descriptor);
    crs_hash_free(&(*writer)->hash);
    crs_free(&(*writer)->block);
    crs_free(writer);
}
