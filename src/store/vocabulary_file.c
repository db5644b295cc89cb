/* Vocabularies in HDF5 files. */
#include "config.h"

#include <string.h>

#include "store/set.h"
#include "store/vocabulary_file.h"

enum { FIXED_MAX = 64, WORD_MAX = 1 << 16, BLOCK = 1024, BLOCK_BYTES = 1 << 20, UNICODE = 0x110000, WORDS = 1 << 24 };
static const size_t text_most = (size_t)1 << 30; /* bytes of all words */

/* An open /vocabulary. */
typedef struct strings {
    const char *path, *advice;
    crs_level level;
    hid_t set, type, space;
    bool variable;
    size_t size;           /* of a fixed string */
    hsize_t count, block;  /* block: how many are read at once */
    uint32_t *code_points; /* [count], level char; owned */
    char *text;            /* [room], level word: what was read so far, each word with a zero behind it; owned */
    size_t text_bytes, room;
} strings;

static void close_strings(strings *s) {
    crs_free(&s->code_points);
    crs_free(&s->text);
    crs_h5_close(&s->space);
    crs_h5_close(&s->type);
    crs_h5_close(&s->set);
}

/* What may be: entries, and bytes of a string. */
static crs_status check_sizes(strings *s, crs_error *error) {
    const bool words = s->level == CRS_LEVEL_WORD;
    const hsize_t most = words ? WORDS : UNICODE;
    H5Sget_simple_extent_dims(s->space, &s->count, NULL);
    if (s->count == 0 || s->count > most)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary has %llu entries; it should have 1 to %llu", s->path,
                        (unsigned long long)s->count, (unsigned long long)most);
    s->variable = H5Tis_variable_str(s->type) > 0;
    s->size = s->variable ? sizeof(char *) : H5Tget_size(s->type);
    if (s->size == 0 || s->size > (words ? WORD_MAX : FIXED_MAX))
        return crs_fail(error, CRS_DATA, "%s: /vocabulary has strings of %zu bytes; a %s takes at most %d", s->path,
                        s->size, crs_level_unit(s->level), words ? (int)WORD_MAX : (int)CRS_ENTRY_BYTES);
    s->block = s->size > BLOCK_BYTES / BLOCK ? BLOCK_BYTES / s->size : BLOCK;
    return CRS_OK;
}

static crs_status open_strings(hid_t file, strings *s, crs_error *error) {
    const char *path = s->path, *unit = crs_level_unit(s->level);
    s->set = s->type = s->space = H5I_INVALID_HID;
    if (H5Lexists(file, "vocabulary", H5P_DEFAULT) <= 0)
        return crs_fail(error, CRS_DATA, "%s: it has no /vocabulary; give a file with %ss (--level=%s)", path, unit,
                        crs_level_name(s->level));
    bool elsewhere;
    hid_t access = crs_h5_stay(H5P_DATASET_ACCESS, &elsewhere);
    s->set = H5Dopen2(file, "vocabulary", access);
    const bool newer = s->set < 0 && crs_h5_met_newer();
    crs_h5_close(&access);
    if (elsewhere || (s->set >= 0 && crs_set_elsewhere(file, s->set)))
        return crs_fail(error, CRS_DATA, "%s: /vocabulary keeps its %ss in other files; %s", path, unit, s->advice);
    if (newer)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary: %s", path, crs_h5_newer_words());
    if (s->set < 0)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary is no data set, or damaged; %s", path, s->advice);
    s->type = H5Dget_type(s->set);
    s->space = H5Dget_space(s->set);
    if (s->type < 0 || H5Tget_class(s->type) != H5T_STRING)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary does not hold strings; it should: one %s of UTF-8 a token",
                        path, unit);
    if (s->space < 0 || H5Sget_simple_extent_type(s->space) != H5S_SIMPLE || H5Sget_simple_extent_ndims(s->space) != 1)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary has not one dimension; it should: one %s a token", path,
                        unit);
    return check_sizes(s, error);
}

/* Puts a word behind those that were read. */
static crs_status add_word(strings *s, hsize_t index, const char *bytes, size_t length, crs_error *error) {
    if (length == 0 || memchr(bytes, 0, length))
        return crs_fail(error, CRS_DATA, "%s: entry %llu of /vocabulary is an empty word; %s", s->path,
                        (unsigned long long)index, s->advice);
    if (length > text_most - s->text_bytes - 1)
        return crs_fail(error, CRS_DATA, "%s: /vocabulary has more than %zu bytes of words at entry %llu; %s", s->path,
                        text_most, (unsigned long long)index, s->advice);
    if (s->text_bytes + length + 1 > s->room) {
        const size_t room = 2 * (s->text_bytes + length + 1);
        char *text = crs_alloc_or_fail(room, 1, CRS_MEMORY_DATA, "a vocabulary", error);
        if (!text)
            return error->status;
        if (s->text)
            memcpy(text, s->text, s->text_bytes);
        crs_free(&s->text);
        s->text = text;
        s->room = room;
    }
    memcpy(s->text + s->text_bytes, bytes, length);
    s->text[s->text_bytes + length] = 0;
    s->text_bytes += length + 1;
    return CRS_OK;
}

/* Takes entry `index`, whose text is bytes[0..length). */
static crs_status take_entry(strings *s, hsize_t index, const char *bytes, size_t length, crs_error *error) {
    while (!s->variable && H5Tget_strpad(s->type) == H5T_STR_SPACEPAD && length > 1 && bytes[length - 1] == ' ')
        length--;
    if (s->level == CRS_LEVEL_WORD)
        return add_word(s, index, bytes, length, error);
    s->code_points[index] = 0;
    if (length > 0 && crs_utf8_decode((const unsigned char *)bytes, length, &s->code_points[index]) != (int)length)
        return crs_fail(error, CRS_DATA, "%s: entry %llu of /vocabulary is not one character of UTF-8; %s", s->path,
                        (unsigned long long)index, s->advice);
    return CRS_OK;
}

/* Whether something stands where a fixed string is padded with zeros; what other tools pad may hold anything there. */
static bool has_more(const strings *s, const char *bytes, size_t length) {
    while (length < s->size && bytes[length] == 0)
        length++;
    return length < s->size && H5Tget_strpad(s->type) == H5T_STR_NULLPAD;
}

/* Entries start .. start + count - 1; room: block * size bytes. */
static crs_status read_block(strings *s, hsize_t start, hsize_t count, char *room, crs_error *error) {
    const size_t most = s->level == CRS_LEVEL_WORD ? WORD_MAX + 1 : FIXED_MAX;
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
        size_t length = !bytes ? 0 : s->variable ? strnlen(bytes, most) : strnlen(bytes, s->size);
        if (!s->variable && has_more(s, bytes, length))
            status =
                crs_fail(error, CRS_DATA, "%s: entry %llu of /vocabulary goes on behind its end: it is damaged; %s",
                         s->path, (unsigned long long)(start + i), s->advice);
        else if (length > WORD_MAX)
            status = crs_fail(error, CRS_DATA, "%s: entry %llu of /vocabulary has more than %d bytes; %s", s->path,
                              (unsigned long long)(start + i), (int)WORD_MAX, s->advice);
        else
            status = take_entry(s, start + i, bytes, length, error);
    }
    if (s->variable && good)
        H5Dvlen_reclaim(s->type, memory, H5P_DEFAULT, room);
    crs_h5_close(&memory);
    return status;
}

static crs_status read_all(strings *s, crs_error *error) {
    crs_status status = CRS_OK;
    char *room = crs_alloc_or_fail(s->block, s->size, CRS_MEMORY_DATA, "reading a vocabulary", error);
    if (room && s->level == CRS_LEVEL_CHAR)
        s->code_points = crs_alloc_or_fail(s->count, sizeof *s->code_points, CRS_MEMORY_DATA, "a vocabulary", error);
    if (!room || (s->level == CRS_LEVEL_CHAR && !s->code_points))
        status = error->status;
    for (hsize_t start = 0; start < s->count && !status; start += s->block)
        status = read_block(s, start, s->count - start < s->block ? s->count - start : s->block, room, error);
    crs_free(&room);
    return status;
}

/* What was read, as a vocabulary. */
static crs_status make(const strings *s, hid_t file, crs_vocabulary *vocabulary, crs_error *error) {
    crs_error inner = {0};
    char name[16];
    int64_t lower = 0;
    const crs_status status =
        s->level == CRS_LEVEL_WORD
            ? crs_vocabulary_create_words(vocabulary, s->text, s->text_bytes, (uint32_t)s->count, &inner)
            : crs_vocabulary_create(vocabulary, s->level, s->code_points, (uint32_t)s->count, &inner);
    if (status)
        return crs_fail(error, status, status == CRS_DATA ? "%s: /%s" : "%s: %s", s->path, inner.message);
    if (s->level == CRS_LEVEL_WORD) {
        crs_h5_text(file, "words", name, sizeof name);
        crs_h5_integer(file, "lower", &lower);
        vocabulary->words = strcmp(name, crs_words_names()[CRS_WORDS_BLANK]) == 0 ? CRS_WORDS_BLANK : CRS_WORDS_UNICODE;
        vocabulary->lower = lower == 1;
    }
    return CRS_OK;
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

crs_status crs_vocabulary_read(hid_t file, const char *path, crs_level level, bool hashed, const char *advice,
                               crs_vocabulary *vocabulary, crs_error *error) {
    strings s = {.path = path, .advice = advice, .level = level};
    memset(vocabulary, 0, sizeof *vocabulary);
    crs_status status = open_strings(file, &s, error);
    if (!status)
        status = read_all(&s, error);
    if (!status)
        status = make(&s, file, vocabulary, error);
    if (!status && (status = check_hash(&s, vocabulary, hashed, error)))
        crs_vocabulary_free(vocabulary);
    close_strings(&s);
    return status;
}

size_t crs_vocabulary_entry_bytes(const crs_vocabulary *vocabulary) {
    return vocabulary->level == CRS_LEVEL_WORD ? vocabulary->longest : CRS_ENTRY_BYTES;
}

char *crs_vocabulary_entries(const crs_vocabulary *vocabulary) {
    const size_t size = crs_vocabulary_entry_bytes(vocabulary);
    char room[4], *entries = crs_alloc(vocabulary->count, size, CRS_MEMORY_OTHER);
    for (uint32_t token = 0; entries && token < vocabulary->count; token++) {
        size_t length; /* U+0000 is padding alone: the empty string */
        const char *text = crs_vocabulary_text(vocabulary, token, room, &length);
        memcpy(entries + size * token, text, length);
    }
    return entries;
}

void crs_vocabulary_hash(const crs_vocabulary *vocabulary, crs_hash *hash) {
    static const char zeros[64];
    const size_t size = crs_vocabulary_entry_bytes(vocabulary);
    const uint32_t count = vocabulary->level == CRS_LEVEL_BYTE ? 0 : vocabulary->count;
    for (uint32_t token = 0; token < count; token++) {
        char room[4];
        size_t length;
        const char *text = crs_vocabulary_text(vocabulary, token, room, &length);
        crs_hash_add(hash, text, length);
        for (size_t left = size - length, part; left > 0; left -= part) {
            part = left < sizeof zeros ? left : sizeof zeros;
            crs_hash_add(hash, zeros, part);
        }
    }
}
