/* Known answers of random numbers and hashes, UTF-8 at its edges, vocabularies, memory, messages. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "carousel/base.h"
#include "harness.h"

/* ---- random numbers -----------------------------------------------------------------------------------*/

typedef struct known_draw {
    uint64_t counter[4], key[2], drawn[4];
} known_draw;

/* The vectors of Random123's kat_vectors: zeros, all ones, digits of pi. */
static const known_draw known_draws[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b}},
    {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
     {UINT64_MAX, UINT64_MAX},
     {0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0}},
    {{0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89},
     {0x452821e638d01377, 0xbe5466cf34e90c6c},
     {0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6}},
};

/* Philox 4x64-10 as the paper has it. The second key word of crs_random is an enumeration, so that only the first
 * known answer reaches it; this one is held against all of them, and crs_random against this one. */
static void plain_philox(const uint64_t counter[4], const uint64_t key[2], uint64_t out[4]) {
    uint64_t k0 = key[0], k1 = key[1];
    memcpy(out, counter, 4 * sizeof *out);
    for (int round = 0; round < 10; round++) {
        unsigned __int128 p = (unsigned __int128)0xd2e7470ee14c6c93u * out[0];
        unsigned __int128 q = (unsigned __int128)0xca5a826395121157u * out[2];
        uint64_t next[4] = {(uint64_t)(q >> 64) ^ out[1] ^ k0, (uint64_t)q, (uint64_t)(p >> 64) ^ out[3] ^ k1,
                            (uint64_t)p};
        memcpy(out, next, sizeof next);
        k0 += 0x9e3779b97f4a7c15u;
        k1 += 0xbb67ae8584caa73bu;
    }
}

static void test_philox_known(void) {
    uint64_t out[4];
    for (size_t i = 0; i < sizeof known_draws / sizeof *known_draws; i++) {
        plain_philox(known_draws[i].counter, known_draws[i].key, out);
        CU_ASSERT(memcmp(out, known_draws[i].drawn, sizeof out) == 0);
    }
    crs_random(0, (crs_draw)0, 0, 0, 0, 0, out);
    CU_ASSERT(memcmp(out, known_draws[0].drawn, sizeof out) == 0);
}

static void test_philox_arguments(void) {
    static const crs_draw draws[] = {CRS_DRAW_PARAMETER, CRS_DRAW_DROPOUT, CRS_DRAW_SAMPLE};
    for (size_t i = 0; i < sizeof known_draws / sizeof *known_draws; i++)
        for (size_t k = 0; k < 3; k++) {
            const uint64_t *c = known_draws[i].counter, key[2] = {known_draws[i].key[0], (uint64_t)draws[k]};
            uint64_t out[4], expected[4];
            plain_philox(c, key, expected);
            crs_random(key[0], draws[k], c[0], c[1], c[2], c[3], out);
            CU_ASSERT(memcmp(out, expected, sizeof out) == 0);
        }
    CU_ASSERT_EQUAL(crs_unit_double(0), 0);
    CU_ASSERT_EQUAL(crs_unit_double(UINT64_MAX), 1 - 0x1p-53);
    CU_ASSERT_EQUAL(crs_unit_double((uint64_t)1 << 63), 0.5);
    CU_ASSERT_EQUAL(crs_unit_double(2047), 0);
}

/* ---- hashes -------------------------------------------------------------------------------------------*/

enum { HASHED = 5000 };

/* The bytes that xxHash's own known answers are of. */
static void fill_known(unsigned char *bytes, size_t count) {
    uint64_t state = 2654435761u;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(state >> 56);
        state *= 11400714785074694797u;
    }
}

static void test_hash_known(void) {
    static const struct {
        size_t count;
        const char *hex;
    } known[] = {
        {0, "99aa06d3014798d86001c324468d497f"},   {1, "a6cd5e9392000f6ac44bdff4074eecdb"},
        {4, "970d585ac632bf8e2e7d8d6876a39fe9"},   {16, "c68c368ecf8a9c05562980258a998629"},
        {17, "955fa78643ed3669abbc12d11973d7db"},  {32, "98fc6458710dc2e8278410a17595e3f9"},
        {100, "9b50b05817ab158e5fcbc2e3295f2476"}, {240, "aa4202daa2769dc85c9aae94c8ebe5a0"},
        {241, "99a80ecf0ecfc647c5a639ecd2030e5e"}, {1000, "9b857abf662e5a25aca2dde0f1951b9a"},
        {403, "1b6de21e332dd73dcdeb804d65c6dea4"}, {2367, "e89c0f6ff369b427cb37aeb9e5d361ed"},
    };
    unsigned char bytes[HASHED];
    char hex[CRS_HASH_HEX];
    fill_known(bytes, HASHED);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        crs_hash_bytes(bytes, known[i].count, hex);
        CU_ASSERT_STRING_EQUAL(hex, known[i].hex);
    }
    crs_hash_bytes("abc", 3, hex);
    CU_ASSERT_STRING_EQUAL(hex, "06b05ab6733a618578af5f94892f3950");
    crs_hash_bytes(NULL, 0, hex);
    CU_ASSERT_STRING_EQUAL(hex, "99aa06d3014798d86001c324468d497f");
}

static void test_hash_streamed(void) {
    unsigned char bytes[HASHED];
    char whole[CRS_HASH_HEX], pieces[CRS_HASH_HEX];
    fill_known(bytes, HASHED);
    crs_hash *hash = crs_hash_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(hash);
    for (size_t step = 1; step < 1500; step = step * 3 + 2) {
        crs_hash_reset(hash);
        for (size_t done = 0, piece = 0; done < HASHED;) {
            piece = (piece * 7 + step) % 1031 + 1;
            piece = piece < HASHED - done ? piece : HASHED - done;
            crs_hash_add(hash, bytes + done, piece);
            crs_hash_add(hash, NULL, 0);
            done += piece;
            /* Of all so far, and more can follow. */
            crs_hash_text(hash, pieces);
            crs_hash_bytes(bytes, done, whole);
            CU_ASSERT_STRING_EQUAL(pieces, whole);
        }
    }
    crs_hash_free(&hash);
    CU_ASSERT_PTR_NULL(hash);
    crs_hash_free(&hash);
    crs_memory_fail_at(1);
    CU_ASSERT_PTR_NULL(crs_hash_new());
    crs_memory_fail_at(0);
}

/* ---- UTF-8 --------------------------------------------------------------------------------------------*/

static int decode(const char *bytes, size_t count, uint32_t *code_point) {
    return crs_utf8_decode((const unsigned char *)bytes, count, code_point);
}

/* Every code point there is goes there and back; each of its beginnings is incomplete. */
static void test_utf8_round_trip(void) {
    int bad = 0;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        char bytes[8] = {0};
        uint32_t got = 0;
        const int length = crs_utf8_encode(c, bytes), wanted = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        bytes[4] = 'x';
        bad += length != wanted || decode(bytes, (size_t)length, &got) != length || got != c;
        bad += decode(bytes, 5, &got) != length || got != c;
        for (int part = 0; part < length; part++)
            bad += decode(bytes, (size_t)part, &got) != 0;
    }
    CU_ASSERT_EQUAL(bad, 0);
}

/* What the first bytes are, by the table of well-formed byte sequences in the Unicode standard. */
static int plain_state(const unsigned char *b, int count) {
    static const struct {
        unsigned char first[2], second[2];
        int length;
    } rows[] = {
        {{0x00, 0x7f}, {0, 0}, 1},       {{0xc2, 0xdf}, {0x80, 0xbf}, 2}, {{0xe0, 0xe0}, {0xa0, 0xbf}, 3},
        {{0xe1, 0xec}, {0x80, 0xbf}, 3}, {{0xed, 0xed}, {0x80, 0x9f}, 3}, {{0xee, 0xef}, {0x80, 0xbf}, 3},
        {{0xf0, 0xf0}, {0x90, 0xbf}, 4}, {{0xf1, 0xf3}, {0x80, 0xbf}, 4}, {{0xf4, 0xf4}, {0x80, 0x8f}, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (b[0] < rows[i].first[0] || b[0] > rows[i].first[1])
            continue;
        for (int k = 1; k < rows[i].length && k < count; k++) {
            const unsigned char low = k == 1 ? rows[i].second[0] : 0x80, high = k == 1 ? rows[i].second[1] : 0xbf;
            if (b[k] < low || b[k] > high)
                return -1;
        }
        return count >= rows[i].length ? rows[i].length : 0;
    }
    return -1;
}

/* All pairs of bytes, and each followed by bytes at the borders of what may follow. */
static void test_utf8_table(void) {
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    const size_t n = sizeof edges;
    int bad = 0;
    uint32_t c;
    for (int pair = 0; pair < 0x10000; pair++)
        for (size_t k = 0; k < n * n; k++) {
            const unsigned char b[4] = {(unsigned char)(pair >> 8), (unsigned char)pair, edges[k / n], edges[k % n]};
            for (int count = k == 0 ? 1 : 3; count <= 4; count++)
                bad += crs_utf8_decode(b, (size_t)count, &c) != plain_state(b, count);
        }
    CU_ASSERT_EQUAL(bad, 0);
}

static void test_utf8_edges(void) {
    static const char *const invalid[] = {
        "\xc0\x80",     "\xc1\xbf",     "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\x80",         "\xbf",         "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xf8",         "\xfc",         "\xfe",         "\xff",         "\xf8\x88\x80\x80", "\xe2\x28\xa1",
        "\xc3\x28",     "\xe0\x80",     "\xed\xa0",     "\xf0\x80",     "\xf4\x90",         "\xf0\x90\x28",
    };
    uint32_t c = 0;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        CU_ASSERT_EQUAL(decode(invalid[i], strlen(invalid[i]), &c), -1);
    CU_ASSERT_EQUAL(decode("", 0, &c), 0);
    CU_ASSERT_EQUAL(decode("\xf4\x8f\xbf", 3, &c), 0);
    CU_ASSERT_EQUAL(decode("\xed", 1, &c), 0);
    CU_ASSERT_EQUAL(decode("\xf4\x8f\xbf\xbf", 4, &c), 4);
    CU_ASSERT_EQUAL(c, 0x10ffff);
    CU_ASSERT_EQUAL(decode("\0", 1, &c), 1);
    CU_ASSERT_EQUAL(c, 0);
    /* What is no character by the standard is a code point all the same. */
    CU_ASSERT_EQUAL(decode("\xef\xbf\xbf", 3, &c), 3);
    CU_ASSERT_EQUAL(c, 0xffff);
}

static void test_shell_word(void) {
    static const char *const words[][2] = {
        {"run/best.h5", "run/best.h5"},
        {"a b", "'a b'"},
        {"it's", "'it'\\''s'"},
        {"-o", "./-o"},
        {"-a b", "./'-a b'"},
        {"$HOME", "'$HOME'"},
        {"", "''"},
        {"'", "''\\'"
              "''"},
        {"a;b&c\\", "'a;b&c\\'"},
        {"\xc3\xa9", "'\xc3\xa9'"},
        {"~", "'~'"},
        {"*", "'*'"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *word = crs_shell_word(words[i][0]);
        CU_ASSERT_STRING_EQUAL(word, words[i][1]);
        crs_free(&word);
    }
    crs_memory_fail_at(1);
    CU_ASSERT_PTR_NULL(crs_shell_word("a"));
}

static void test_utf8_mended(void) {
    char text[] = "a\n\x1b\x7f\xc2\x9b\xc2\xa0\xe2\x82\xac\xff";
    crs_utf8_mend(text);
    CU_ASSERT_STRING_EQUAL(text, "a?????\xc2\xa0\xe2\x82\xac?");
    CU_ASSERT_EQUAL(crs_utf8_mark("\xef\xbb\xbf", 3), 3);
    CU_ASSERT_EQUAL(crs_utf8_mark("\xef\xbb\xbf", 2), 0);
    CU_ASSERT_EQUAL(crs_utf8_mark("abc", 3), 0);
}

static void test_utf8_names(void) {
    static const struct {
        uint32_t code_point;
        const char *name;
    } known[] = {
        {'a', "'a'"},
        {' ', "' '"},
        {'\t', "U+0009"},
        {0x7f, "U+007F"},
        {0x85, "U+0085"},
        {0xa0, "U+00A0"},
        {0xe9, "U+00E9 '\xc3\xa9'"},
        {0x301, "U+0301"},
        {0x202e, "U+202E"},
        {0x1f600, "U+1F600 '\xf0\x9f\x98\x80'"},
        {0xd800, "U+D800"},
        {0x10ffff, "U+10FFFF"},
        {0x110000, "U+110000"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char name[32];
        crs_utf8_name(known[i].code_point, name);
        CU_ASSERT_STRING_EQUAL(name, known[i].name);
    }
}

/* ---- vocabularies -------------------------------------------------------------------------------------*/

static void test_vocabulary_lookup(void) {
    /* In no order, with the first and last code points, and neighbours of ASCII. */
    static const uint32_t points[] = {0x10ffff, 'b', 0, 0x80, 'a', 0x7f, 0x4e00, 0xffff};
    enum { COUNT = sizeof points / sizeof *points };
    crs_vocabulary v;
    crs_error error = {0};
    CU_ASSERT_EQUAL_FATAL(crs_vocabulary_create(&v, CRS_LEVEL_CHAR, points, COUNT, &error), CRS_OK);
    CU_ASSERT_EQUAL(v.count, COUNT);
    CU_ASSERT(v.code_points != points);
    int bad = 0;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        int64_t wanted = -1;
        for (int k = 0; k < COUNT; k++)
            wanted = points[k] == c ? k : wanted;
        bad += crs_vocabulary_token(&v, c) != wanted;
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT_EQUAL(crs_vocabulary_token(&v, UINT32_MAX), -1);
    crs_vocabulary_free(&v);
    CU_ASSERT_PTR_NULL(v.code_points);
    CU_ASSERT_EQUAL(crs_vocabulary_token(&v, 'a'), -1);
    CU_ASSERT_EQUAL_FATAL(crs_vocabulary_create(&v, CRS_LEVEL_BYTE, NULL, 0, &error), CRS_OK);
    CU_ASSERT_EQUAL(v.count, 256);
    CU_ASSERT_PTR_NULL(v.code_points);
    for (uint32_t b = 0; b < 256; b++)
        CU_ASSERT_EQUAL(crs_vocabulary_token(&v, b), b);
    CU_ASSERT_EQUAL(crs_vocabulary_token(&v, 256), -1);
    crs_vocabulary_free(&v);
    CU_ASSERT_STRING_EQUAL(crs_level_name(CRS_LEVEL_CHAR), "char");
    CU_ASSERT_STRING_EQUAL(crs_level_name(CRS_LEVEL_BYTE), "byte");
}

static void test_vocabulary_equal(void) {
    static const uint32_t lists[][3] = {{'a', 'b', 'c'}, {'a', 'b', 'c'}, {'a', 'c', 'b'}, {'a', 'b', 'd'}};
    crs_vocabulary v[6];
    crs_error error = {0};
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(crs_vocabulary_create(&v[i], CRS_LEVEL_CHAR, lists[i], 3, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_vocabulary_create(&v[4], CRS_LEVEL_CHAR, lists[0], 2, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_vocabulary_create(&v[5], CRS_LEVEL_BYTE, NULL, 0, &error), CRS_OK);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 6; k++)
            CU_ASSERT_EQUAL(crs_vocabulary_equal(&v[i], &v[k]), i == k || i + k == 1);
    for (int i = 0; i < 6; i++)
        crs_vocabulary_free(&v[i]);
}

static void test_vocabulary_words(void) {
    static const char text[] = "the\0<unk>\0\n\0th\0thee"; /* and a zero */
    static const char *const missing[] = {"", "t", "theee", "\n\n", "zzz", "!"};
    crs_vocabulary v, copy, other;
    crs_error error = {0};
    char room[4], name[64];
    size_t length;
    CU_ASSERT_EQUAL_FATAL(crs_vocabulary_create_words(&v, text, sizeof text, 5, &error), CRS_OK);
    for (uint32_t token = 0; token < 5; token++) {
        const char *word = crs_vocabulary_text(&v, token, room, &length);
        CU_ASSERT_EQUAL(crs_vocabulary_find(&v, word, length), token);
    }
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        CU_ASSERT_EQUAL(crs_vocabulary_find(&v, missing[i], strlen(missing[i])), -1);
    CU_ASSERT(v.longest == 5 && crs_vocabulary_token(&v, '\n') == 2 && crs_vocabulary_token(&v, 't') == -1);
    crs_vocabulary_name(&v, 2, name);
    CU_ASSERT_STRING_EQUAL(name, "the line end");
    crs_vocabulary_name(&v, 4, name);
    CU_ASSERT_STRING_EQUAL(name, "'thee'");
    CU_ASSERT_EQUAL(crs_vocabulary_copy(&copy, &v, &error), CRS_OK);
    CU_ASSERT(crs_vocabulary_equal(&copy, &v));
    copy.lower = true; /* the same words, of another text */
    CU_ASSERT_FALSE(crs_vocabulary_equal(&copy, &v));
    CU_ASSERT_EQUAL(crs_vocabulary_create_words(&other, text, sizeof text - 5, 4, &error), CRS_OK);
    CU_ASSERT_FALSE(crs_vocabulary_equal(&other, &v));
    crs_vocabulary_free(&other);
    crs_vocabulary_free(&copy);
    crs_vocabulary_free(&v);
    CU_ASSERT_EQUAL(crs_vocabulary_create_words(&v, "a\0b\0a", 6, 3, &error), CRS_DATA);
    CU_ASSERT_EQUAL(crs_vocabulary_create_words(&v, "a\0\0", 3, 2, &error), CRS_DATA);
    CU_ASSERT_EQUAL(crs_vocabulary_create_words(&v, "a\0\xc3", 4, 2, &error), CRS_DATA);
}

/* A text's words with a bar after each, however it is cut up on the way. */
static void cut(const char *text, crs_words words, bool lower, const char *wanted) {
    uint32_t code_points[64];
    char got[256] = "";
    size_t count = 0, used = 0, at = 0;
    for (size_t bytes = strlen(text); at < bytes; count++)
        at += (size_t)crs_utf8_decode((const unsigned char *)text + at, bytes - at, &code_points[count]);
    for (size_t piece = 1; piece <= count + 1; piece++) {
        crs_word_reader reader = {.words = words, .lower = lower};
        used = 0;
        for (size_t start = 0; start < count; start += piece) {
            const size_t part = count - start < piece ? count - start : piece;
            for (at = 0; crs_word_next(&reader, code_points + start, part, &at);)
                used += (size_t)snprintf(got + used, sizeof got - used, "%.*s@%d|", (int)reader.length, reader.bytes,
                                         (int)reader.start);
            CU_ASSERT_EQUAL(at, part);
        }
        if (crs_word_last(&reader))
            used += (size_t)snprintf(got + used, sizeof got - used, "%.*s@%d|", (int)reader.length, reader.bytes,
                                     (int)reader.start);
        CU_ASSERT_FALSE(crs_word_last(&reader));
        CU_ASSERT_STRING_EQUAL(got, wanted);
    }
}

static void test_words(void) {
    cut("Ab, c\n\nd", CRS_WORDS_UNICODE, false, "Ab@0|,@2|c@4|\n@5|\n@6|d@7|");
    cut("Ab, c\n\nd", CRS_WORDS_BLANK, true, "ab,@0|c@4|\n@5|\n@6|d@7|");
    cut("", CRS_WORDS_UNICODE, false, "");
    cut(" \t\r\xe2\x80\xa8", CRS_WORDS_BLANK, false, "");
    cut("\xc3\x89t\xc3\xa9 e\xcc\x81x\xe2\x82\xac"
        "5",
        CRS_WORDS_UNICODE, true, "\xc3\xa9t\xc3\xa9@0|e\xcc\x81x@6|\xe2\x82\xac@10|5@13|");
    cut("soft\xc2\xadhyphen \xc2\xbd", CRS_WORDS_UNICODE, false, "soft@0|hyphen@6|\xc2\xbd@13|");
    cut("soft\xc2\xadhyphen \xc2\xbd", CRS_WORDS_BLANK, false, "soft\xc2\xadhyphen@0|\xc2\xbd@13|");
    uint32_t run[700];
    size_t at = 0;
    crs_word_reader reader = {0};
    for (size_t i = 0; i < 700; i++)
        run[i] = 0xe9; /* two bytes each */
    for (int i = 0; i < 5; i++) {
        CU_ASSERT(crs_word_next(&reader, run, 700, &at));
        CU_ASSERT_EQUAL(reader.length, CRS_WORD_BYTES);
    }
    CU_ASSERT(!crs_word_next(&reader, run, 700, &at) && crs_word_last(&reader) && reader.length == 2 * 60);
}

static void refuse(const uint32_t *points, uint32_t count, const char *said) {
    const int64_t blocks = crs_memory_blocks();
    crs_vocabulary v;
    crs_error error = {0};
    CU_ASSERT_EQUAL(crs_vocabulary_create(&v, CRS_LEVEL_CHAR, points, count, &error), CRS_DATA);
    CU_ASSERT_EQUAL(error.status, CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, said));
    CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
}

static void test_vocabulary_refusals(void) {
    refuse(NULL, 0, "empty");
    refuse((const uint32_t[]){'a', 'b', 'a'}, 3, "tokens 0 and 2 both stand for 'a'");
    refuse((const uint32_t[]){'a', 0xd800}, 2, "token 1 stands for 0xd800");
    refuse((const uint32_t[]){0xdfff}, 1, "0xdfff");
    refuse((const uint32_t[]){'a', 'b', 0x110000}, 3, "token 2 stands for 0x110000");
    refuse((const uint32_t[]){UINT32_MAX}, 1, "0xffffffff");
    refuse((const uint32_t[]){'a'}, 0x110001, "1114113 entries");
    const int64_t blocks = crs_memory_blocks();
    for (int fail = 1; fail <= 3; fail++) {
        crs_vocabulary v;
        crs_error error = {0};
        crs_memory_fail_at(fail);
        CU_ASSERT_EQUAL(crs_vocabulary_create(&v, CRS_LEVEL_CHAR, (const uint32_t[]){'a'}, 1, &error), CRS_INTERNAL);
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    }
    crs_memory_fail_at(0);
}

/* ---- scalar functions ---------------------------------------------------------------------------------*/

enum { POINTS = 200000 };

/* A number in [0, 1), another for each k. */
static double unit(uint64_t k) {
    uint64_t out[4];
    crs_random(77, CRS_DRAW_PARAMETER, k, 0, 0, 0, out);
    return crs_unit_double(out[0]);
}

/* How many units in the last place of the double next to `exact` lie between. */
static double ulps(double got, long double exact) {
    const double near = fabs((double)exact);
    return (double)(fabsl((long double)got - exact) / ((long double)nextafter(near, INFINITY) - (long double)near));
}

static void test_exp(void) {
    double worst = 0;
    for (uint64_t k = 0; k < POINTS; k++) {
        /* Half of them near 0, where what is lost would be lost for all. */
        const double x = k % 2 ? (2 * unit(k) - 1) * 700 : (2 * unit(k) - 1) * pow(2, -(double)(k % 60));
        worst = fmax(worst, ulps(crs_exp(x), expl((long double)x)));
    }
    CU_ASSERT(worst < 2);
    CU_ASSERT_EQUAL(crs_exp(0), 1);
    CU_ASSERT_EQUAL(crs_exp(-0.0), 1);
    CU_ASSERT_EQUAL(crs_exp(711), INFINITY);
    CU_ASSERT_EQUAL(crs_exp(INFINITY), INFINITY);
    CU_ASSERT_EQUAL(crs_exp(-747), 0);
    CU_ASSERT_EQUAL(crs_exp(-INFINITY), 0);
    CU_ASSERT(isnan(crs_exp(NAN)));
    CU_ASSERT(crs_exp(-740) > 0 && crs_exp(-740) < 0x1p-1060);
    CU_ASSERT(isfinite(crs_exp(709.7)));
}

static void test_log(void) {
    double worst = 0;
    for (uint64_t k = 0; k < POINTS; k++) {
        const double scale = k % 4 == 0 ? ldexp(1, (int)(k % 2098) - 1074) : 1;
        const double x = k % 4 == 1 ? 1 + (unit(k) - 0.5) * pow(2, -(double)(k % 50)) : (unit(k) + 0.5) * scale;
        if (x > 0 && isfinite(x))
            worst = fmax(worst, x == 1 ? crs_log(x) != 0 : ulps(crs_log(x), logl((long double)x)));
    }
    CU_ASSERT(worst < 2);
    CU_ASSERT_EQUAL(crs_log(1), 0);
    CU_ASSERT_EQUAL(crs_log(0), -INFINITY);
    CU_ASSERT_EQUAL(crs_log(INFINITY), INFINITY);
    CU_ASSERT(isnan(crs_log(-1)));
    CU_ASSERT(isnan(crs_log(NAN)));
    CU_ASSERT(ulps(crs_log(0x1p-1074), logl(0x1p-1074L)) < 2);
    CU_ASSERT(ulps(crs_log(0x1.fffffffffffffp1023), logl(0x1.fffffffffffffp1023L)) < 2);
}

static void test_cospi(void) {
    const long double pi = 3.14159265358979323846264338327950288L;
    double worst = 0;
    for (uint64_t k = 0; k <= POINTS; k++) {
        const double x = k % 2 ? (double)k / POINTS : unit(k);
        worst = fmax(worst, (double)fabsl((long double)crs_cospi(x) - cosl(pi * (long double)x)));
    }
    CU_ASSERT(worst < 1e-15);
    CU_ASSERT_EQUAL(crs_cospi(0), 1);
    CU_ASSERT_EQUAL(crs_cospi(0.5), 0);
    CU_ASSERT_EQUAL(crs_cospi(1), -1);
}

static void test_power(void) {
    double worst = 0;
    for (uint64_t k = 0; k < POINTS; k++) {
        const uint64_t n = k % 997 + 1;
        const double x = 0.5 + unit(k);
        const long double exact = powl((long double)x, (long double)n);
        /* Each of the n - 1 products in x^n may be half a unit off. */
        worst =
            fmax(worst, (double)fabsl((long double)crs_power(x, n) - exact) / (double)exact / ((double)n * 0x1p-53));
    }
    CU_ASSERT(worst < 1);
    CU_ASSERT_EQUAL(crs_power(3, 0), 1);
    CU_ASSERT_EQUAL(crs_power(0, 0), 1);
    CU_ASSERT_EQUAL(crs_power(0, 5), 0);
    CU_ASSERT_EQUAL(crs_power(3, 5), 243);
    CU_ASSERT_EQUAL(crs_power(-2, 3), -8);
    CU_ASSERT_EQUAL(crs_power(1, UINT64_MAX), 1);
    CU_ASSERT_EQUAL(crs_power(0.999, (uint64_t)1 << 40), 0);
}

/* ---- memory -------------------------------------------------------------------------------------------*/

static void test_alloc_blocks(void) {
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 100000, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9 << 20};
    const int64_t blocks = crs_memory_blocks();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int again = 0; again < 2; again++) {
            unsigned char *block = crs_alloc(sizes[i], 1, CRS_MEMORY_OTHER);
            CU_ASSERT_PTR_NOT_NULL_FATAL(block);
            CU_ASSERT_EQUAL((uintptr_t)block % 64, 0);
            size_t dirty = 0;
            for (size_t k = 0; k < sizes[i]; k++)
                dirty += block[k] != 0;
            CU_ASSERT_EQUAL(dirty, 0);
            /* So that a second block, in the same place, would show what was not cleared. */
            memset(block, 0xa5, sizes[i]);
            CU_ASSERT_EQUAL(crs_memory_blocks(), blocks + 1);
            crs_free(&block);
            CU_ASSERT_PTR_NULL(block);
            CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
            crs_free(&block);
        }
    void *empty = crs_alloc(0, SIZE_MAX, CRS_MEMORY_OTHER);
    CU_ASSERT_PTR_NOT_NULL(empty);
    crs_free(&empty);
}

#ifndef __SANITIZE_ADDRESS__ /* whose allocator serves the large blocks too */

/* Bytes of address space that this process has. */
static int64_t mapped_bytes(void) {
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fscanf(file, "%lld", &pages), 1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Whether the kernel was advised to use huge pages at this address; true where the kernel has none to give. */
static bool is_advised(const void *address) {
    char line[4096];
    bool inside = false, advised = false;
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
        return true;
    FILE *file = fopen("/proc/self/smaps", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (fgets(line, sizeof line, file)) {
        uint64_t first, end;
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            inside = first <= (uintptr_t)address && (uintptr_t)address < end;
        advised = advised || (inside && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg"));
    }
    fclose(file);
    return advised;
}

/* From 4 MiB on, a block starts on a huge page; what was mapped to get there is given back at once, the rest when it is
 * freed. */
static void test_large_blocks(void) {
    static const size_t sizes[] = {4 << 20, (4 << 20) + 4097, 9 << 20};
    const int64_t slack = 1 << 19;
    for (int k = 0; k < 48; k++) {
        const size_t size = sizes[k % 3];
        const int64_t before = mapped_bytes();
        char *block = crs_alloc(size, 1, CRS_MEMORY_OTHER), *where = block;
        CU_ASSERT_PTR_NOT_NULL_FATAL(block);
        CU_ASSERT_EQUAL((uintptr_t)block % (2 << 20), 0);
        CU_ASSERT(mapped_bytes() - before < (int64_t)size + slack);
        CU_ASSERT(is_advised(block));
        CU_ASSERT(is_advised(block + size - 1));
        crs_free(&block);
        CU_ASSERT(mapped_bytes() - before < slack);
        CU_ASSERT(msync(where, 1, MS_ASYNC) == -1 && errno == ENOMEM);
    }
}

#endif

static void test_alloc_refusals(void) {
    const int64_t blocks = crs_memory_blocks(), bytes = crs_memory_bytes(CRS_MEMORY_DATA);
    /* Through a volatile, for a compiler that would see the overflow itself. */
    volatile size_t most = SIZE_MAX;
    CU_ASSERT_PTR_NULL(crs_alloc(most, 2, CRS_MEMORY_DATA));
    CU_ASSERT_PTR_NULL(crs_alloc(most / 2 + 2, 2, CRS_MEMORY_DATA));
    CU_ASSERT_PTR_NULL(crs_alloc(most / 8 + 1, 8, CRS_MEMORY_DATA));
    CU_ASSERT_PTR_NULL(crs_alloc(most, 1, CRS_MEMORY_DATA));
#ifndef __SANITIZE_ADDRESS__ /* which ends the program where memory is out */
    CU_ASSERT_PTR_NULL(crs_alloc(most / 2, 1, CRS_MEMORY_DATA));
#endif
    crs_error error = {0};
    CU_ASSERT_PTR_NULL(crs_alloc_or_fail(most / 4, 4, CRS_MEMORY_DATA, "the whole world", &error));
    CU_ASSERT_EQUAL(error.status, CRS_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "the whole world (data)"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "1.75922e+13 MiB"));
    CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    CU_ASSERT_EQUAL(crs_memory_bytes(CRS_MEMORY_DATA), bytes);
}

static void test_fail_at(void) {
    for (int at = 1; at <= 4; at++) {
        crs_memory_fail_at(at);
        const int64_t calls = crs_memory_allocations();
        for (int k = 1; k <= 5; k++) {
            void *block = crs_alloc(1, 8, CRS_MEMORY_OTHER);
            CU_ASSERT_EQUAL(block == NULL, k == at);
            crs_free(&block);
        }
        CU_ASSERT_EQUAL(crs_memory_allocations(), calls + 5);
    }
    crs_memory_fail_at(1);
    crs_memory_fail_at(0);
    char *copy = crs_copy_text("text");
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_STRING_EQUAL(copy, "text");
    crs_free(&copy);
    crs_memory_fail_at(1);
    CU_ASSERT_PTR_NULL(crs_copy_text("text"));
}

static void test_memory_by_purpose(void) {
    for (int p = 0; p < CRS_MEMORY_PURPOSES; p++) {
        const crs_purpose purpose = (crs_purpose)p, other = (crs_purpose)((p + 1) % CRS_MEMORY_PURPOSES);
        const int64_t now = crs_memory_bytes(purpose), size = crs_memory_peak(purpose) + 1000;
        const int64_t other_now = crs_memory_bytes(other), other_peak = crs_memory_peak(other);
        void *first = crs_alloc((size_t)size, 1, purpose), *second = crs_alloc(7, 3, purpose);
        CU_ASSERT_EQUAL(crs_memory_bytes(purpose), now + size + 21);
        CU_ASSERT_EQUAL(crs_memory_peak(purpose), now + size + 21);
        crs_free(&first);
        CU_ASSERT_EQUAL(crs_memory_bytes(purpose), now + 21);
        CU_ASSERT_EQUAL(crs_memory_peak(purpose), now + size + 21);
        crs_free(&second);
        second = crs_alloc(1, 1, purpose);
        CU_ASSERT_EQUAL(crs_memory_peak(purpose), now + size + 21);
        crs_free(&second);
        CU_ASSERT_EQUAL(crs_memory_bytes(purpose), now);
        CU_ASSERT_EQUAL(crs_memory_bytes(other), other_now);
        CU_ASSERT_EQUAL(crs_memory_peak(other), other_peak);
        for (int q = 0; q < p; q++)
            CU_ASSERT_STRING_NOT_EQUAL(crs_purpose_name(purpose), crs_purpose_name((crs_purpose)q));
    }
}

/* ---- errors and messages ------------------------------------------------------------------------------*/

static void test_fail(void) {
    crs_error error = {0};
    CU_ASSERT_EQUAL(crs_fail(&error, CRS_DATA, "a\tb\nc\x1b[31m\x7f %d \xc2\x9b \xc2\xa0\xc3\xa9", 7), CRS_DATA);
    CU_ASSERT_EQUAL(error.status, CRS_DATA);
    CU_ASSERT_STRING_EQUAL(error.message, "a?b?c?[31m? 7 ?? \xc2\xa0\xc3\xa9");
    /* Its own message among the arguments. */
    crs_fail(&error, CRS_CONFIG, "%s", "before");
    CU_ASSERT_EQUAL(crs_fail(&error, CRS_USAGE, "after %s", error.message), CRS_USAGE);
    CU_ASSERT_STRING_EQUAL(error.message, "after before");
}

/* What is too long ends in three dots, not within a character. */
static void test_fail_long(void) {
    char text[2 * CRS_MESSAGE_MAX];
    for (size_t shift = 0; shift < 4; shift++) {
        crs_error error = {0};
        memset(text, 'x', shift);
        for (size_t k = shift; k + 3 < sizeof text; k += 3)
            memcpy(text + k, "\xe2\x82\xac", 4);
        crs_fail(&error, CRS_DATA, "%s", text);
        const size_t length = strlen(error.message);
        CU_ASSERT(length > CRS_MESSAGE_MAX - 8 && length < CRS_MESSAGE_MAX);
        CU_ASSERT_STRING_EQUAL(error.message + length - 3, "...");
        CU_ASSERT_EQUAL((length - 3 - shift) % 3, 0);
        CU_ASSERT(memcmp(error.message, text, length - 3) == 0);
        memset(text, 'y', sizeof text);
        text[CRS_MESSAGE_MAX - 1] = '\0';
        crs_fail(&error, CRS_DATA, "%s", text);
        CU_ASSERT_STRING_EQUAL(error.message, text);
    }
}

/* Standard error goes to a file between these two. */
static int to_file(void) {
    char name[32];
    snprintf(name, sizeof name, "stderr-%d", harness_rank());
    const int kept = dup(STDERR_FILENO), file = open(harness_path(name), O_CREAT | O_TRUNC | O_RDWR, 0600);
    CRS_ASSERT(kept >= 0 && file >= 0);
    dup2(file, STDERR_FILENO);
    close(file);
    return kept;
}

static void from_file(int kept, char *text, size_t size) {
    lseek(STDERR_FILENO, 0, SEEK_SET);
    ssize_t length = read(STDERR_FILENO, text, size - 1);
    text[length < 0 ? 0 : length] = '\0';
    dup2(kept, STDERR_FILENO);
    close(kept);
}

static void say_all(char *text, size_t size, int rank, crs_verbosity verbosity) {
    const int rank_was = crs_rank();
    const crs_verbosity verbosity_was = crs_get_verbosity();
    crs_error error = {0};
    crs_fail(&error, CRS_DATA, "a report");
    crs_set_rank(rank);
    crs_set_verbosity(verbosity);
    const int kept = to_file();
    crs_note("a note\n%d", 1);
    crs_warn("mind %s", "this");
    crs_debug("details");
    crs_report(&error);
    crs_live("50 %");
    crs_live("");
    from_file(kept, text, size);
    crs_set_rank(rank_was);
    crs_set_verbosity(verbosity_was);
}

static void test_messages(void) {
    char text[4096];
    say_all(text, sizeof text, 0, CRS_NORMAL);
    CU_ASSERT_STRING_EQUAL(text, "a note?1\ncarousel: warning: mind this\ncarousel: a report\n");
    say_all(text, sizeof text, 0, CRS_QUIET);
    CU_ASSERT_STRING_EQUAL(text, "carousel: warning: mind this\ncarousel: a report\n");
    say_all(text, sizeof text, 0, CRS_VERBOSE);
    CU_ASSERT_STRING_EQUAL(text, "a note?1\ncarousel: warning: mind this\ndetails\ncarousel: a report\n");
    say_all(text, sizeof text, 1, CRS_VERBOSE);
    CU_ASSERT_STRING_EQUAL(text, "");
}

/* A terminal of 20 columns becomes standard error; returns its other end. */
static int to_terminal(int *kept) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    CU_ASSERT_FATAL(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    const int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    CU_ASSERT_FATAL(terminal >= 0);
    struct winsize window = {.ws_row = 24, .ws_col = 20};
    struct termios modes;
    ioctl(terminal, TIOCSWINSZ, &window);
    tcgetattr(terminal, &modes);
    cfmakeraw(&modes); /* no carriage return before a newline */
    tcsetattr(terminal, TCSANOW, &modes);
    *kept = dup(STDERR_FILENO);
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    return master;
}

/* All that was written to the terminal since the last call; a mark tells where it ends. */
static const char *shown(int master) {
    static char text[1024];
    size_t length = 0;
    struct pollfd wait = {.fd = master, .events = POLLIN};
    CU_ASSERT_EQUAL(write(STDERR_FILENO, "|", 1), 1);
    while ((length == 0 || text[length - 1] != '|') && length < sizeof text - 1 && poll(&wait, 1, 5000) > 0) {
        const ssize_t got = read(master, text + length, sizeof text - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length > 0 ? length - 1 : 0] = '\0';
    return text;
}

/* The live line is cut to the width less one, replaced by the next, and cleared before any other message. */
static void test_live(void) {
    const int rank_was = crs_rank();
    char *term_was = getenv("TERM") ? crs_copy_text(getenv("TERM")) : NULL;
    int kept;
    const int master = to_terminal(&kept);
    setenv("TERM", "xterm", 1);
    crs_set_rank(0);
    CU_ASSERT(crs_is_terminal());
    crs_live("");
    CU_ASSERT_STRING_EQUAL(shown(master), "");
    crs_live("abcdefghijklmnopqrstuvwxyz");
    CU_ASSERT_STRING_EQUAL(shown(master), "\r\033[Kabcdefghijklmnopqrs");
    /* Ten characters of two columns each are one too many. */
    crs_live("\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5");
    CU_ASSERT_STRING_EQUAL(shown(master), "\r\033[K\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5");
    crs_note("a note");
    CU_ASSERT_STRING_EQUAL(shown(master), "\r\033[Ka note\n");
    crs_note("another");
    CU_ASSERT_STRING_EQUAL(shown(master), "another\n");
    crs_live("a\x1b[2Jb");
    CU_ASSERT_STRING_EQUAL(shown(master), "\r\033[Ka?[2Jb");
    crs_live("");
    CU_ASSERT_STRING_EQUAL(shown(master), "\r\033[K");
    crs_live("");
    crs_set_rank(1);
    crs_live("another rank");
    crs_set_rank(0);
    crs_set_verbosity(CRS_QUIET);
    crs_live("quiet");
    crs_set_verbosity(CRS_NORMAL);
    setenv("TERM", "dumb", 1);
    CU_ASSERT(!crs_is_terminal());
    crs_live("dumb");
    CU_ASSERT_STRING_EQUAL(shown(master), "");
    unsetenv("TERM");
    if (term_was)
        setenv("TERM", term_was, 1);
    crs_free(&term_was);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(master);
    crs_set_rank(rank_was);
}

static jmp_buf after_panic;
static volatile int aborted_with;

static void jump_out(int status) {
    aborted_with = status;
    longjmp(after_panic, 1);
}

static void test_panic(void) {
    char text[4096];
    const int kept = to_file();
    crs_set_abort(jump_out);
    if (setjmp(after_panic) == 0)
        crs_panic("some.c", 12, "%s\n%d", "it broke", 3);
    crs_set_abort(NULL);
    from_file(kept, text, sizeof text);
    char expected[80];
    snprintf(expected, sizeof expected, "carousel: rank %d: some.c:12: it broke?3\n", crs_rank());
    CU_ASSERT_STRING_EQUAL(text, expected);
    CU_ASSERT_EQUAL(aborted_with, CRS_INTERNAL);
}

/* A list of names, each taken whole. */
static void test_fault(void) {
    char *was = getenv("CAROUSEL_FAULT") ? crs_copy_text(getenv("CAROUSEL_FAULT")) : NULL;
    unsetenv("CAROUSEL_FAULT");
    CU_ASSERT(!crs_fault("mask"));
    setenv("CAROUSEL_FAULT", "", 1);
    CU_ASSERT(!crs_fault("mask"));
    setenv("CAROUSEL_FAULT", "mask", 1);
    CU_ASSERT(crs_fault("mask"));
    CU_ASSERT(!crs_fault("mas"));
    CU_ASSERT(!crs_fault("masks"));
    setenv("CAROUSEL_FAULT", "masks,a,sum-float", 1);
    CU_ASSERT(!crs_fault("mask"));
    CU_ASSERT(!crs_fault("float"));
    CU_ASSERT(crs_fault("masks"));
    CU_ASSERT(crs_fault("a"));
    CU_ASSERT(crs_fault("sum-float"));
    unsetenv("CAROUSEL_FAULT");
    if (was)
        setenv("CAROUSEL_FAULT", was, 1);
    crs_free(&was);
}

static void test_seconds(void) {
    double last = crs_seconds();
    const double start = last;
    int back = 0;
    while (last - start < 0.01) {
        const double now = crs_seconds();
        back += now < last;
        last = now;
    }
    CU_ASSERT_EQUAL(back, 0);
}

int main(int argc, char **argv) {
    static const harness_test numbers[] = {HARNESS_TEST(test_philox_known),
                                           HARNESS_TEST(test_philox_arguments),
                                           HARNESS_TEST(test_hash_known),
                                           HARNESS_TEST(test_hash_streamed),
                                           HARNESS_TEST(test_exp),
                                           HARNESS_TEST(test_log),
                                           HARNESS_TEST(test_cospi),
                                           HARNESS_TEST(test_power),
                                           HARNESS_END};
    static const harness_test texts[] = {HARNESS_TEST(test_utf8_round_trip),
                                         HARNESS_TEST(test_utf8_table),
                                         HARNESS_TEST(test_utf8_edges),
                                         HARNESS_TEST(test_utf8_mended),
                                         HARNESS_TEST(test_utf8_names),
                                         HARNESS_TEST(test_shell_word),
                                         HARNESS_TEST(test_vocabulary_lookup),
                                         HARNESS_TEST(test_vocabulary_equal),
                                         HARNESS_TEST(test_vocabulary_refusals),
                                         HARNESS_TEST(test_vocabulary_words),
                                         HARNESS_TEST(test_words),
                                         HARNESS_END};
    static const harness_test the_rest[] = {HARNESS_TEST(test_alloc_blocks),
#ifndef __SANITIZE_ADDRESS__
                                            HARNESS_TEST(test_large_blocks),
#endif
                                            HARNESS_TEST(test_alloc_refusals),
                                            HARNESS_TEST(test_fail_at),
                                            HARNESS_TEST(test_memory_by_purpose),
                                            HARNESS_TEST(test_fail),
                                            HARNESS_TEST(test_fail_long),
                                            HARNESS_TEST(test_messages),
                                            HARNESS_TEST(test_live),
                                            HARNESS_TEST(test_panic),
                                            HARNESS_TEST(test_fault),
                                            HARNESS_TEST(test_seconds),
                                            HARNESS_END};
    harness_add("numbers", numbers);
    harness_add("texts", texts);
    harness_add("memory and messages", the_rest);
    return harness_run(argc, argv);
}
