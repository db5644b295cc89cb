/* UTF-8 in bulk: ASCII 32 bytes at a time, two and three bytes inline, what is rare or wrong by room base. */
#include "config.h"

#include "data/pack.h"

#include <endian.h>
#include <string.h>

enum { STRIDE = 32 };

/* How many of the STRIDE bytes come before the first that is not ASCII. */
static inline size_t count_ascii(const unsigned char *bytes) {
    uint64_t word[STRIDE / sizeof(uint64_t)], all = 0;
    memcpy(word, bytes, sizeof word);
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        all |= word[i] &= 0x8080808080808080u;
    if (all == 0)
        return STRIDE;
    size_t i = 0;
    while (word[i] == 0)
        i++;
    return i * sizeof *word + (size_t)__builtin_ctzll(le64toh(word[i])) / 8;
}

static inline bool is_continuation(unsigned char byte) {
    return (byte & 0xc0) == 0x80;
}

/* One character; as crs_utf8_decode. */
static inline int decode_one(const unsigned char *bytes, size_t count, uint32_t *code_point) {
    unsigned char first = bytes[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    if (count >= 2 && first >= 0xc2 && first <= 0xdf && is_continuation(bytes[1])) {
        *code_point = (uint32_t)(first & 0x1f) << 6 | (bytes[1] & 0x3f);
        return 2;
    }
    /* E0 could be overlong, ED a surrogate: those are left to the careful way. */
    if (count >= 3 && first >= 0xe1 && first <= 0xef && first != 0xed && is_continuation(bytes[1]) &&
        is_continuation(bytes[2])) {
        *code_point = (uint32_t)(first & 0x0f) << 12 | (uint32_t)(bytes[1] & 0x3f) << 6 | (bytes[2] & 0x3f);
        return 3;
    }
    return crs_utf8_decode(bytes, count, code_point);
}

crs_decoded crs_decode(const unsigned char *bytes, size_t count, uint32_t *code_points, size_t room, size_t *found,
                       size_t *used) {
    size_t in = 0, out = 0;
    crs_decoded result = CRS_DECODED_ALL;
    while (in < count && out < room) {
        /* A single one between others, as the spaces of most scripts, is not worth it. */
        if (bytes[in] < 0x80 && count - in >= STRIDE && room - out >= STRIDE && bytes[in + 1] < 0x80) {
            size_t ascii = count_ascii(bytes + in);
            for (size_t i = 0; i < STRIDE;
                 i++) /* of a fixed number, so as to be vectors; what is beyond is overwritten */
                code_points[out + i] = bytes[in + i];
            in += ascii;
            out += ascii;
            if (ascii == STRIDE)
                continue;
        }
        int length = decode_one(bytes + in, count - in, &code_points[out]);
        if (length <= 0) {
            result = length == 0 ? CRS_DECODED_PART : CRS_DECODED_INVALID;
            break;
        }
        in += (size_t)length;
        out++;
    }
    *found = out;
    *used = in;
    return result;
}

const char *crs_guess_encoding(const unsigned char *bytes, size_t count) {
    /* By the places among four, the first as the lowest bit, at which more than half of the bytes are control
     * characters. */
    static const char *const by_places[16] = {
        [0x5] = "UTF-16BE", [0x7] = "UTF-32BE", [0xa] = "UTF-16LE", [0xe] = "UTF-32LE"};
    size_t controls[4] = {0};
    unsigned places = 0;
    if (count >= 4 && (memcmp(bytes, "\xff\xfe\0\0", 4) == 0 || memcmp(bytes, "\0\0\xfe\xff", 4) == 0))
        return "UTF-32";
    if (count >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0))
        return "UTF-16";
    for (size_t i = 0; i < count; i++)
        controls[i % 4] += bytes[i] < '\t' || (bytes[i] > '\r' && bytes[i] < ' ');
    for (int i = 0; i < 4; i++)
        places |= (unsigned)(controls[i] > count / 8) << i;
    return by_places[places];
}
