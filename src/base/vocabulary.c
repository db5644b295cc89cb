/* Characters and their tokens. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "carousel/base.h"

enum { BYTES = 256 };

const char *crs_level_name(crs_level level) {
    return level == CRS_LEVEL_BYTE ? "byte" : "char";
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

void crs_vocabulary_free(crs_vocabulary *vocabulary) {
    crs_free(&vocabulary->sorted);
    crs_free(&vocabulary->code_points);
    memset(vocabulary, 0, sizeof *vocabulary);
}

bool crs_vocabulary_equal(const crs_vocabulary *a, const crs_vocabulary *b) {
    if (a->level != b->level || a->count != b->count)
        return false;
    return a->level == CRS_LEVEL_BYTE || a->count == 0 ||
           memcmp(a->code_points, b->code_points, a->count * sizeof *a->code_points) == 0;
}

int64_t crs_vocabulary_token(const crs_vocabulary *vocabulary, uint32_t code_point) {
    if (vocabulary->level == CRS_LEVEL_BYTE)
        return code_point < vocabulary->count ? (int64_t)code_point : -1;
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
