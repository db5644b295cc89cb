/* UTF-8: one character at a time against the definition (Unicode, table 3-7), in bulk against one at a time; and a
 * vocabulary of what was found. */
#include "config.h"

#include <string.h>

#include "data/pack.h"
#include "fuzz.h"

enum { MOST = 1 << 12, LETTERS = 48 };

/* The bytes that may stand second, by the first: what keeps out overlong forms, surrogates and what is too high. */
static void second_byte(unsigned char first, unsigned char *low, unsigned char *high) {
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
}

/* As crs_utf8_decode, by the table. */
static int defined(const unsigned char *bytes, size_t count, uint32_t *code_point) {
    if (count == 0)
        return 0;
    const unsigned char first = bytes[0];
    const int length = first < 0x80                    ? 1
                       : first >= 0xc2 && first < 0xe0 ? 2
                       : first >= 0xe0 && first < 0xf0 ? 3
                       : first >= 0xf0 && first < 0xf5 ? 4
                                                       : -1;
    if (length < 0)
        return -1;
    *code_point = length == 1 ? first : first & (0xffu >> (length + 1));
    for (int i = 1; i < length; i++) {
        unsigned char low = 0x80, high = 0xbf;
        if ((size_t)i == count)
            return 0;
        if (i == 1)
            second_byte(first, &low, &high);
        if (bytes[i] < low || bytes[i] > high)
            return -1;
        *code_point = *code_point << 6 | (bytes[i] & 0x3f);
    }
    return length;
}

/* Returns how many characters begin the bytes; they are left in found. */
static size_t one_by_one(const unsigned char *bytes, size_t count, uint32_t *found, size_t *used, int *end) {
    size_t characters = 0;
    *used = 0;
    *end = 0;
    while (*used < count) {
        uint32_t code_point = 0, wanted = 0;
        char again[4];
        const int length = crs_utf8_decode(bytes + *used, count - *used, &code_point);
        CRS_ASSERT(length == defined(bytes + *used, count - *used, &wanted));
        *end = length;
        if (length <= 0)
            break;
        CRS_ASSERT(code_point == wanted);
        CRS_ASSERT(crs_utf8_encode(code_point, again) == length && memcmp(again, bytes + *used, (size_t)length) == 0);
        found[characters++] = code_point;
        *used += (size_t)length;
    }
    return characters;
}

/* room: of a piece, so that ends fall anywhere. */
static void in_bulk(const unsigned char *bytes, size_t count, size_t room, const uint32_t *wanted, size_t characters,
                    size_t used, int end) {
    static uint32_t found[MOST];
    size_t in = 0, out = 0;
    crs_decoded result = CRS_DECODED_ALL;
    while (result == CRS_DECODED_ALL && in < count) {
        size_t some, eaten;
        result = crs_decode(bytes + in, count - in, found, room, &some, &eaten);
        CRS_ASSERT(some <= room && out + some <= characters && memcmp(found, wanted + out, some * sizeof *found) == 0);
        CRS_ASSERT(some > 0 || result != CRS_DECODED_ALL);
        in += eaten;
        out += some;
    }
    CRS_ASSERT(in == used && out == characters);
    CRS_ASSERT((result == CRS_DECODED_ALL) == (used == count));
    CRS_ASSERT(used == count || (result == CRS_DECODED_PART) == (end == 0));
}

/* Refused exactly where a character comes twice; else each has its own token, and no other has. */
static void vocabulary_of(const uint32_t *characters, size_t count) {
    crs_vocabulary vocabulary;
    crs_error error = {0};
    const crs_status status = crs_vocabulary_create(&vocabulary, CRS_LEVEL_CHAR, characters, (uint32_t)count, &error);
    bool repeats = count == 0;
    for (size_t i = 0; i < count && !repeats; i++)
        for (size_t k = 0; k < i; k++)
            repeats |= characters[k] == characters[i];
    CRS_ASSERT(status == (repeats ? CRS_DATA : CRS_OK));
    fuzz_check_outcome(status, &error);
    if (status != CRS_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        const int64_t next = crs_vocabulary_token(&vocabulary, characters[i] + 1);
        CRS_ASSERT(crs_vocabulary_token(&vocabulary, characters[i]) == (int64_t)i);
        CRS_ASSERT(next == -1 || characters[next] == characters[i] + 1);
    }
    crs_vocabulary_free(&vocabulary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint32_t found[MOST];
    const int64_t blocks = crs_memory_blocks();
    size_t used;
    int end;
    if (size > MOST)
        size = MOST;
    const size_t characters = one_by_one(data, size, found, &used, &end);
    fuzz_accepted += size > 0 && used == size;
    in_bulk(data, size, MOST, found, characters, used, end);
    in_bulk(data, size, 1 + size % 61, found, characters, used, end);
    if (characters > 0) {
        char name[32];
        crs_utf8_name(found[0], name);
        CRS_ASSERT(strlen(name) >= 3 && strlen(name) < sizeof name);
    }
    vocabulary_of(found, characters < LETTERS ? characters : LETTERS);
    fuzz_check_memory(blocks);
    return 0;
}
