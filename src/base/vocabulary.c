/* Characters or words, and their tokens. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "carousel/base.h"

enum { BYTES = 256 };

static const char *const names[CRS_LEVELS] = {"char", "byte", "word"};

const char *crs_level_name(crs_level level) {
    return names[level];
}

const char *crs_level_unit(crs_level level) {
    return level == CRS_LEVEL_CHAR ? "character" : names[level];
}

bool crs_level_of(const char *name, crs_level *level) {
    for (int i = 0; i < CRS_LEVELS; i++)
        if (strcmp(name, names[i]) == 0) {
            *level = (crs_level)i;
            return true;
        }
    return false;
}

static int compare_keys(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Fills sorted and ascii; keys[count] is room to work in: code point * 2^32 + token. */
static crs_status sort_tokens(crs_vocabulary *vocabulary, uint64_t *keys, crs_error *error) {
    char name[32];
    for (uint32_t token = 0; token < vocabulary->count; token++) {
        uint32_t code_point = vocabulary->code_points[token];
        if (code_point > 0x10ffff || !utf8proc_codepoint_valid((utf8proc_int32_t)code_point))
            return crs_fail(error, CRS_DATA, "vocabulary: token %u stands for %#x, which is no Unicode character",
                            token, code_point);
        keys[token] = (uint64_t)code_point << 32 | token;
    }
    qsort(keys, vocabulary->count, sizeof *keys, compare_keys);
    for (uint32_t i = 0; i < vocabulary->count; i++) {
        uint32_t code_point = (uint32_t)(keys[i] >> 32), token = (uint32_t)keys[i];
        if (i > 0 && keys[i - 1] >> 32 == code_point) {
            crs_utf8_name(code_point, name);
            return crs_fail(error, CRS_DATA, "vocabulary: tokens %u and %u both stand for %s", (uint32_t)keys[i - 1],
                            token, name);
        }
        vocabulary->sorted[i] = token;
        if (code_point < CRS_ASCII)
            vocabulary->ascii[code_point] = (int32_t)token;
    }
    return CRS_OK;
}

crs_status crs_vocabulary_create(crs_vocabulary *vocabulary, crs_level level, const uint32_t *code_points,
                                 uint32_t count, crs_error *error) {
    memset(vocabulary, 0, sizeof *vocabulary);
    vocabulary->level = level;
    if (level == CRS_LEVEL_BYTE) {
        vocabulary->count = BYTES;
        for (int i = 0; i < CRS_ASCII; i++)
            vocabulary->ascii[i] = i;
        return CRS_OK;
    }
    for (int i = 0; i < CRS_ASCII; i++)
        vocabulary->ascii[i] = -1;
    if (count == 0)
        return crs_fail(error, CRS_DATA, "vocabulary: it is empty");
    if (count > 0x110000)
        return crs_fail(error, CRS_DATA, "vocabulary: %u entries are more than there are Unicode characters", count);
    vocabulary->count = count;
    vocabulary->code_points = crs_alloc_or_fail(count, sizeof *code_points, CRS_MEMORY_DATA, "a vocabulary", error);
    vocabulary->sorted = crs_alloc_or_fail(count, sizeof *vocabulary->sorted, CRS_MEMORY_DATA, "a vocabulary", error);
    uint64_t *keys = crs_alloc_or_fail(count, sizeof *keys, CRS_MEMORY_DATA, "a vocabulary", error);
    crs_status status = CRS_INTERNAL;
    if (vocabulary->code_points && vocabulary->sorted && keys) {
        memcpy(vocabulary->code_points, code_points, count * sizeof *code_points);
        status = sort_tokens(vocabulary, keys, error);
    }
    crs_free(&keys);
    if (status)
        crs_vocabulary_free(vocabulary);
    return status;
}

/* ---- words ---- */

/* A word and its token: by its bytes. */
typedef struct named {
    const char *word;
    uint32_t token;
} named;

static int compare_words(const void *left, const void *right) {
    const named *a = left, *b = right;
    const int order = strcmp(a->word, b->word);
    return order ? order : (a->token > b->token) - (a->token < b->token);
}

static crs_status check_word(const char *word, uint32_t token, crs_error *error) {
    const size_t length = strlen(word);
    uint32_t code_point;
    if (length == 0)
        return crs_fail(error, CRS_DATA, "vocabulary: token %u is an empty word", token);
    for (size_t at = 0; at < length;) {
        const int step = crs_utf8_decode((const unsigned char *)word + at, length - at, &code_point);
        if (step <= 0)
            return crs_fail(error, CRS_DATA, "vocabulary: token %u is no UTF-8 at its byte %zu", token, at);
        at += (size_t)step;
    }
    return CRS_OK;
}

/* Fills start, sorted and longest; list[count] is room to work in. */
static crs_status sort_words(crs_vocabulary *vocabulary, named *list, crs_error *error) {
    size_t at = 0;
    for (uint32_t token = 0; token < vocabulary->count; token++) {
        CRS_ASSERT(at < vocabulary->text_bytes);
        const char *word = vocabulary->text + at;
        const size_t length = strlen(word);
        if (check_word(word, token, error))
            return error->status;
        list[token] = (named){word, token};
        vocabulary->start[token] = at;
        vocabulary->longest = length > vocabulary->longest ? length : vocabulary->longest;
        at += length + 1;
    }
    CRS_ASSERT(at == vocabulary->text_bytes);
    qsort(list, vocabulary->count, sizeof *list, compare_words);
    for (uint32_t i = 0; i < vocabulary->count; i++) {
        vocabulary->sorted[i] = list[i].token;
        if (i > 0 && strcmp(list[i - 1].word, list[i].word) == 0)
            return crs_fail(error, CRS_DATA, "vocabulary: tokens %u and %u are both the word '%.60s'",
                            list[i - 1].token, list[i].token, list[i].word);
    }
    return CRS_OK;
}

crs_status crs_vocabulary_create_words(crs_vocabulary *vocabulary, const char *text, size_t bytes, uint32_t count,
                                       crs_error *error) {
    *vocabulary = (crs_vocabulary){.level = CRS_LEVEL_WORD, .count = count, .text_bytes = bytes};
    if (count == 0)
        return crs_fail(error, CRS_DATA, "vocabulary: it is empty");
    CRS_ASSERT(bytes > 0 && text[bytes - 1] == 0);
    vocabulary->text = crs_alloc_or_fail(bytes, 1, CRS_MEMORY_DATA, "a vocabulary", error);
    vocabulary->start = crs_alloc_or_fail(count, sizeof *vocabulary->start, CRS_MEMORY_DATA, "a vocabulary", error);
    vocabulary->sorted = crs_alloc_or_fail(count, sizeof *vocabulary->sorted, CRS_MEMORY_DATA, "a vocabulary", error);
    named *list = crs_alloc_or_fail(count, sizeof *list, CRS_MEMORY_DATA, "a vocabulary", error);
    crs_status status = CRS_INTERNAL;
    for (int i = 0; i < CRS_ASCII; i++)
        vocabulary->ascii[i] = -1;
    if (vocabulary->text && vocabulary->start && vocabulary->sorted && list) {
        memcpy(vocabulary->text, text, bytes);
        status = sort_words(vocabulary, list, error);
    }
    crs_free(&list);
    if (status)
        crs_vocabulary_free(vocabulary);
    return status;
}

int64_t crs_vocabulary_find(const crs_vocabulary *vocabulary, const char *word, size_t length) {
    uint32_t first = 0, end = vocabulary->level == CRS_LEVEL_WORD ? vocabulary->count : 0;
    while (first < end) {
        const uint32_t middle = first + (end - first) / 2, token = vocabulary->sorted[middle];
        const char *other = vocabulary->text + vocabulary->start[token];
        int order = strncmp(other, word, length);
        if (order == 0 && other[length] == 0)
            return token;
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return -1;
}

/* ---- of any level ---- */

crs_status crs_vocabulary_copy(crs_vocabulary *to, const crs_vocabulary *from, crs_error *error) {
    *to = (crs_vocabulary){0};
    if (from->count == 0)
        return CRS_OK;
    if (from->level != CRS_LEVEL_WORD)
        return crs_vocabulary_create(to, from->level, from->code_points, from->count, error);
    const crs_status status = crs_vocabulary_create_words(to, from->text, from->text_bytes, from->count, error);
    to->words = from->words;
    to->lower = from->lower;
    return status;
}

void crs_vocabulary_free(crs_vocabulary *vocabulary) {
    crs_free(&vocabulary->start);
    crs_free(&vocabulary->text);
    crs_free(&vocabulary->sorted);
    crs_free(&vocabulary->code_points);
    memset(vocabulary, 0, sizeof *vocabulary);
}

bool crs_vocabulary_equal(const crs_vocabulary *a, const crs_vocabulary *b) {
    if (a->level != b->level || a->count != b->count)
        return false;
    if (a->level == CRS_LEVEL_WORD)
        return a->words == b->words && a->lower == b->lower && a->text_bytes == b->text_bytes &&
               (a->count == 0 || memcmp(a->text, b->text, a->text_bytes) == 0);
    return a->level == CRS_LEVEL_BYTE || a->count == 0 ||
           memcmp(a->code_points, b->code_points, a->count * sizeof *a->code_points) == 0;
}

const char *crs_vocabulary_text(const crs_vocabulary *vocabulary, uint32_t token, char room[4], size_t *length) {
    CRS_ASSERT(token < vocabulary->count);
    if (vocabulary->level == CRS_LEVEL_WORD) {
        const char *word = vocabulary->text + vocabulary->start[token];
        *length = strlen(word);
        return word;
    }
    *room = (char)token;
    *length = vocabulary->level == CRS_LEVEL_BYTE ? 1 : (size_t)crs_utf8_encode(vocabulary->code_points[token], room);
    return room;
}

void crs_vocabulary_name(const crs_vocabulary *vocabulary, uint32_t token, char out[64]) {
    if (vocabulary->level != CRS_LEVEL_WORD) {
        crs_utf8_name(vocabulary->code_points ? vocabulary->code_points[token] : token, out);
        return;
    }
    const char *word = vocabulary->text + vocabulary->start[token];
    size_t fits = strlen(word) < 58 ? strlen(word) : 56;
    while ((word[fits] & 0xc0) == 0x80) /* never within a character */
        fits--;
    if (strcmp(word, "\n") == 0)
        snprintf(out, 64, "the line end");
    else
        snprintf(out, 64, "'%.*s%s'", (int)fits, word, word[fits] ? "..." : "");
}

int64_t crs_vocabulary_token(const crs_vocabulary *vocabulary, uint32_t code_point) {
    char bytes[4];
    if (vocabulary->level == CRS_LEVEL_BYTE)
        return code_point < vocabulary->count ? (int64_t)code_point : -1;
    if (vocabulary->level == CRS_LEVEL_WORD)
        return crs_vocabulary_find(vocabulary, bytes, (size_t)crs_utf8_encode(code_point, bytes));
    if (code_point < CRS_ASCII && vocabulary->count > 0)
        return vocabulary->ascii[code_point];
    uint32_t first = 0, end = vocabulary->count;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2, token = vocabulary->sorted[middle];
        if (vocabulary->code_points[token] == code_point)
            return token;
        if (vocabulary->code_points[token] < code_point)
            first = middle + 1;
        else
            end = middle;
    }
    return -1;
}
