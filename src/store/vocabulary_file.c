/* Vocabularies in HDF5 files. */
#include "config.h"

#include <string.h>

#include "store/vocabulary_file.h"

enum { FIXED_MAX = 64, BLOCK = 1024, UNICODE = 0x110000 };

/* An open /vocabulary. */
typedef struct strings {
    const char *path, *advice;
    hid_t set, type, space;
    bool variable;
    size_t size; /* of a fixed string */
    hsize_t count;
} strings;

static void close_strings(strings *s) {
    crs_h5_close(&s->space);
    crs_h5_close(&s->type);
    crs_h5_close(&s->set);
}

static crs_status open_strings(hid_t file, const char *path, const char *advice, strings *s, crs_error *error) {
    *s = (strings){
        .path = path, .advice = advice, .set = H5I_INVALID_HID, .type = H5I_INVALID_HID, .space = H5I_INVALID_HID};
    if (H5Lexists(file, "vocabulary", H5P_DEFAULT) <= 0)
        return crs_fail(error, CRS_DATA, "%s: it has no /vocabulary; give a file with characters (--level=char)", path);
    s->set = H5Dopen2(file, "vocabulary", H5P_DEFAULT);
    if (s->set < 0 && crs_h5_met_newer())
        return crs_fail(error, CRS_DATA, "%s: /vocabulary: %s", path, crs_h5_newer_words());
    if (s->set < 0)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary is no data set, or damaged; %s", path, advice);
    s->type = H5Dget_type(s->set);
    s->space = H5Dget_space(s->set);
    if (s->type < 0 || H5Tget_class(s->type) != H5T_STRING)
        return crs_fail(error, CRS_DATA,
                        "%s: /vocabulary does not hold strings; it should: one character of UTF-8 a token", path);
    if (s->space < 0 || H5Sget_simple_extent_type(s->space) != H5S_SIMPLE || H5Sget_simple_extent_ndims(s->space) != 1)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary has not one dimension; it should: one character a token",
                        path);
    H5Sget_simple_extent_dims(s->space, &s->count, NULL);
    if (s->count == 0 || s->count > UNICODE)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary has %llu entries; it should have 1 to %d", path,
                        (unsigned long long)s->count, (int)UNICODE);
    s->variable = H5Tis_variable_str(s->type) > 0;
    s->size = s->variable ? sizeof(char *) : H5Tget_size(s->type);
    if (s->size == 0 || s->size > FIXED_MAX)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary has strings of %zu bytes; a character takes at most %d", path,
                        s->size, (int)CRS_ENTRY_BYTES);
    return CRS_OK;
}

/* The character of entry `index`, whose text is bytes[0..length). */
static crs_status read_entry(const strings *s, hsize_t index, const char *bytes, size_t length, uint32_t *code_point,
                             crs_error *error) {
    while (!s->variable && H5Tget_strpad(s->type) == H5T_STR_SPACEPAD && length > 1 && bytes[length - 1] == ' ')
        length--;
    if (length == 0) {
        *code_point = 0;
        return CRS_OK;
    }
    if (crs_utf8_decode((const unsigned char *)bytes, length, code_point) != (int)length)
        return crs_fail(error, CRS_DATA, "%s: entry %llu of /vocabulary is not one character of UTF-8; %s", s->path,
                        (unsigned long long)index, s->advice);
    return CRS_OK;
}

/* Entries start .. start + count - 1; room: BLOCK * size bytes. */
static crs_status read_block(const strings *s, hsize_t start, hsize_t count, char *room, uint32_t *code_points,
                             crs_error *error) {
    crs_status status = CRS_OK;
    hid_t memory = H5Screate_simple(1, &count, NULL);
    memset(room, 0, count * s->size);
    bool good = H5Sselect_hyperslab(s->space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
                H5Dread(s->set, s->type, memory, s->space, H5P_DEFAULT, room) >= 0;
    if (!good)
        status = crs_fail(error, CRS_DATA,
                          "%s: /vocabulary can't be read: the file is damaged, or its filter is not here", s->path);
    for (hsize_t i = 0; i < count && !status; i++) {
        const char *bytes = room + i * s->size;
        if (s->variable)
            memcpy(&bytes, room + i * s->size, sizeof bytes);
        size_t length = !bytes ? 0 : s->variable ? strnlen(bytes, FIXED_MAX) : strnlen(bytes, s->size);
        status = read_entry(s, start + i, bytes, length, &code_points[start + i], error);
    }
    if (s->variable && good)
        H5Dvlen_reclaim(s->type, memory, H5P_DEFAULT, room);
    crs_h5_close(&memory);
    return status;
}

static crs_status read_all(const strings *s, uint32_t *code_points, crs_error *error) {
    crs_status status = CRS_OK;
    char *room = crs_alloc_or_fail(BLOCK, s->size, CRS_MEMORY_DATA, "reading a vocabulary", error);
    if (!room)
        return error->status;
    for (hsize_t start = 0; start < s->count && !status; start += BLOCK)
        status = read_block(s, start, s->count - start < BLOCK ? s->count - start : BLOCK, room, code_points, error);
    crs_free(&room);
    return status;
}

static crs_status check_hash(const strings *s, const crs_vocabulary *vocabulary, bool hashed, crs_error *error) {
    char stated[64], hex[CRS_HASH_HEX];
    crs_found found = crs_h5_text(s->set, CRS_HASH_ATTRIBUTE, stated, sizeof stated);
    if (found == CRS_ABSENT && !hashed)
        return CRS_OK;
    crs_hash *hash = crs_hash_new();
    if (!hash)
        return crs_fail(error, CRS_INTERNAL, "out of memory for a hash");
    crs_vocabulary_hash(vocabulary, hash);
    crs_hash_text(hash, hex);
    crs_hash_free(&hash);
    if (found == CRS_FOUND && strcmp(stated, hex) == 0)
        return CRS_OK;
    return crs_fail(error, CRS_DATA, "%s: /vocabulary is damaged: its hash is not the one stated; %s", s->path,
                    s->advice);
}

crs_status crs_vocabulary_read(hid_t file, const char *path, bool hashed, const char *advice,
                               crs_vocabulary *vocabulary, crs_error *error) {
    strings s;
    crs_error inner = {0};
    uint32_t *code_points = NULL;
    memset(vocabulary, 0, sizeof *vocabulary);
    crs_status status = open_strings(file, path, advice, &s, error);
    if (!status) {
        code_points = crs_alloc_or_fail(s.count, sizeof *code_points, CRS_MEMORY_DATA, "a vocabulary", error);
        status = code_points ? read_all(&s, code_points, error) : error->status;
    }
    if (!status) {
        status = crs_vocabulary_create(vocabulary, CRS_LEVEL_CHAR, code_points, (uint32_t)s.count, &inner);
        if (status)
            crs_fail(error, status, status == CRS_DATA ? "%s: /%s" : "%s: %s", path, inner.message);
        else if ((status = check_hash(&s, vocabulary, hashed, error)))
            crs_vocabulary_free(vocabulary);
    }
    crs_free(&code_points);
    close_strings(&s);
    return status;
}

char *crs_vocabulary_entries(const crs_vocabulary *vocabulary) {
    char *entries = crs_alloc(vocabulary->count, CRS_ENTRY_BYTES, CRS_MEMORY_OTHER);
    for (size_t token = 0; entries && token < vocabulary->count;
         token++) /* U+0000 is padding alone: the empty string */
        crs_utf8_encode(vocabulary->code_points[token], entries + CRS_ENTRY_BYTES * token);
    return entries;
}

void crs_vocabulary_hash(const crs_vocabulary *vocabulary, crs_hash *hash) {
    for (uint32_t token = 0; token < vocabulary->count && vocabulary->code_points; token++) {
        char entry[CRS_ENTRY_BYTES] = {0};
        crs_utf8_encode(vocabulary->code_points[token], entry);
        crs_hash_add(hash, entry, sizeof entry);
    }
}
