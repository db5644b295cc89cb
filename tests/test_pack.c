/* Packing text: what comes out, what is refused, and what is left of the output where it fails. Every rank works on
 * files of its own. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/dataset.h"
#include "data_fixture.h"
#include "harness.h"

/* Whether the file holds exactly these characters, in a vocabulary in ascending order without any that is not met. */
static bool holds(const char *path, const uint32_t *characters, size_t count) {
    crs_dataset dataset;
    crs_error error = {0};
    int64_t found;
    bool good = true;
    if (crs_dataset_open(&dataset, path, &error)) {
        fprintf(stderr, "%s\n", error.message);
        return false;
    }
    const crs_vocabulary *v = &dataset.vocabulary;
    uint32_t *tokens = read_tokens(&dataset, &found);
    unsigned char *met = crs_alloc(v->count, 1, CRS_MEMORY_OTHER);
    good = found == (int64_t)count;
    for (size_t i = 0; i < count && good; i++) {
        good = tokens[i] < v->count && v->code_points[tokens[i]] == characters[i];
        met[good ? tokens[i] : 0] = 1;
    }
    for (uint32_t token = 0; token < v->count && good; token++)
        good = met[token] && (token == 0 || v->code_points[token] > v->code_points[token - 1]);
    crs_free(&met);
    crs_free(&tokens);
    crs_dataset_close(&dataset);
    return good;
}

/* ---- packing ---- */

static void test_round_trip(void) {
    static const char text[] = "hello,\r\nworld\t\n\0zero and on";
    uint32_t characters[sizeof text - 1];
    const char *in = own("a.txt"), *out = own("a.h5");
    for (size_t i = 0; i < sizeof text - 1; i++)
        characters[i] = (unsigned char)text[i];
    put_file(in, text, sizeof text - 1);
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    CU_ASSERT(holds(out, characters, sizeof text - 1));
    CU_ASSERT_EQUAL(last.bytes, sizeof text - 1);
    CU_ASSERT_EQUAL(last.tokens, sizeof text - 1);
    CU_ASSERT_EQUAL(last.dropped, 0);
    CU_ASSERT_EQUAL(last.vocabulary, 16);
    CU_ASSERT(last.length[0] == 24 && last.length[1] == 1 && last.length[2] == 2);
    CU_ASSERT_EQUAL(count_leftovers(), 0);
    crs_dataset dataset;
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    CU_ASSERT_EQUAL(dataset.vocabulary.code_points[0], 0);
    CU_ASSERT_STRING_EQUAL(dataset.source, in);
    CU_ASSERT_STRING_EQUAL(dataset.path, out);
    CU_ASSERT_EQUAL(dataset.token_bytes, 1);
    CU_ASSERT(dataset.length[0] == 24 && dataset.length[1] == 1 && dataset.length[2] == 2);
    crs_dataset_close(&dataset);
}

/* A character of each length at every place of the reader's blocks, of the decoder's strides and of the chunks. */
static void test_block_boundaries(void) {
    static const uint32_t one_of_each[] = {0x41, 0xe9, 0x20ac, 0x1f600, 0, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
    enum { RUN = 70, COUNT = RUN * (RUN + 1) / 2 + RUN };
    uint32_t *characters = crs_alloc(COUNT, sizeof *characters, CRS_MEMORY_OTHER);
    char *bytes = crs_alloc(COUNT, 4, CRS_MEMORY_OTHER);
    const char *in = own("b.txt"), *out = own("b.h5");
    size_t count = 0;
    for (int run = 0; run < RUN; run++) {
        for (int i = 0; i < run; i++)
            characters[count++] = (uint32_t)('a' + (run + i) % 26);
        characters[count++] = one_of_each[run % 10];
    }
    put_file(in, bytes, encode(characters, count, bytes));
    for (size_t size = 1; size <= 40; size++) {
        request r = usual(out, in);
        r.tuning.read_bytes = size;
        r.tuning.chunk_bytes = 3 * size + 4;
        CU_ASSERT_EQUAL(pack(r), CRS_OK);
        CU_ASSERT(holds(out, characters, count));
    }
    crs_free(&bytes);
    crs_free(&characters);
}

/* The smallest type that holds the greatest token. */
static void test_token_types(void) {
    static const struct {
        uint32_t vocabulary;
        int bytes;
    } cases[] = {{1, 1}, {256, 1}, {257, 2}, {65536, 2}, {65537, 4}};
    enum { MOST = 65537 };
    uint32_t *characters = crs_alloc(MOST, sizeof *characters, CRS_MEMORY_OTHER);
    char *bytes = crs_alloc(MOST, 4, CRS_MEMORY_OTHER);
    const char *in = own("t.txt"), *out = own("t.h5");
    for (uint32_t i = 0; i < MOST; i++) /* downwards, without the surrogates */
        characters[i] = MOST + 0x800 - i - (MOST + 0x800 - i < 0xe000 ? 0x800 : 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crs_dataset dataset;
        put_file(in, bytes, encode(characters, cases[i].vocabulary, bytes));
        CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
        CU_ASSERT_EQUAL(last.vocabulary, cases[i].vocabulary);
        CU_ASSERT(holds(out, characters, cases[i].vocabulary));
        CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
        CU_ASSERT_EQUAL(dataset.token_bytes, cases[i].bytes);
        crs_dataset_close(&dataset);
    }
    crs_free(&bytes);
    crs_free(&characters);
}

static void test_several_files(void) {
    static const uint32_t characters[] = {'a', 0xe4, 'b', 'c', 0x1f600, 'a'};
    const char *one = own("1.txt"), *two = own("2.txt"), *three = own("3.txt"), *out = own("f.h5");
    request r = usual(out, one);
    r.pack.inputs = 3;
    r.input[1] = two;
    r.input[2] = three;
    put_text(one, "a\xc3\xa4");
    put_text(two, "");
    put_text(three, "bc\xf0\x9f\x98\x80"
                    "a");
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    CU_ASSERT(holds(out, characters, 6));
    CU_ASSERT_EQUAL(last.bytes, 10);
    /* A character may not reach from one file into the next. */
    put_text(one, "a\xc3");
    put_text(three, "\xa4 bc");
    CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "1.txt byte 1 UTF-8"));
    /* Offsets count from the beginning of their file. */
    put_text(one, "abc");
    put_text(three, "d\xff");
    CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "3.txt byte 1 0xff"));
}

static void test_split_lengths(void) {
    static const struct {
        double share[3];
        int64_t n, length[3];
    } cases[] = {
        {{0.9, 0.05, 0.05}, 1115394, {1003854, 55770, 55770}},
        {{0.7, 0.2, 0.1}, 10, {7, 2, 1}}, /* (0.7 + 0.2) * 10 < 9 in doubles */
        {{0.29, 0.28, 0.43}, 100, {29, 28, 43}},
        {{1, 0, 0}, 7, {7, 0, 0}},
        {{0, 1, 0}, 7, {0, 7, 0}},
        {{0, 0, 1}, 7, {0, 0, 7}},
        {{0.3333333333, 0.6666666666, 0}, 3000000000, {999999999, 2000000001, 0}},
        {{0.5, 0.25, 0.25}, 1, {0, 0, 1}},
        {{0.9, 0.05, 0.05}, 4000000000000, {3600000000000, 200000000000, 200000000000}},
    };
    static const double usual_shares[] = {0.9, 0.05, 0.05};
    int64_t length[3];
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crs_split_lengths(cases[i].share, cases[i].n, length);
        CU_ASSERT(memcmp(length, cases[i].length, sizeof length) == 0);
    }
    /* As scripts do it: int(n * 0.9), int(n * 0.95). */
    for (int64_t n = 1; n < 200000; n++) {
        crs_split_lengths(usual_shares, n, length);
        wrong += length[0] != (int64_t)((double)n * 0.9) || length[0] + length[1] != (int64_t)((double)n * 0.95);
        wrong += length[0] + length[1] + length[2] != n;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_shares_refused(void) {
    static const double bad[][3] = {{0.9, 0.05, 0.04}, {1.1, -0.1, 0},   {0, 0, 0},
                                    {NAN, 0.5, 0.5},   {INFINITY, 0, 0}, {0.5, 0.5, 1e-8}};
    const char *in = own("s.txt"), *out = own("s.h5");
    request r = usual(out, in);
    put_text(in, "some text");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(r.pack.split, bad[i], sizeof bad[i]);
        CU_ASSERT(refuses(&said, pack(r), CRS_USAGE, "--split="));
        CU_ASSERT_NOT_EQUAL(access(out, F_OK), 0);
    }
    memcpy(r.pack.split, (double[]){0.5, 0.5, 1e-10}, sizeof r.pack.split);
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    memcpy(r.pack.split, (double[]){0, 1, 0}, sizeof r.pack.split);
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    CU_ASSERT(last.length[0] == 0 && last.length[1] == 9 && last.length[2] == 0);
    CU_ASSERT(holds(out, (const uint32_t[]){'s', 'o', 'm', 'e', ' ', 't', 'e', 'x', 't'}, 9));
}

/* After ASCII of any length, whatever the blocks: the byte where the bad sequence begins. */
static void test_invalid_utf8(void) {
    static const struct {
        const char *bytes;
        const char *first;
    } cases[] = {{"\x80", "0x80"},
                 {"\xc0\xaf", "0xc0"},
                 {"\xc3(", "0xc3"},
                 {"\xe0\x80\xaf", "0xe0"},
                 {"\xe2\x82(", "0xe2"},
                 {"\xe2(\xa1", "0xe2"},
                 {"\xed\xa0\x80", "0xed"},
                 {"\xf0\x80\x80\xaf", "0xf0"},
                 {"\xf4\x90\x80\x80", "0xf4"},
                 {"\xf5\x80\x80\x80", "0xf5"},
                 {"\xff", "0xff"},
                 {"\xf0\x9f\x98(", "0xf0"}};
    static const size_t before[] = {0, 1, 3, 31, 32, 33, 100};
    const char *in = own("i.txt"), *out = own("i.h5"), *keep = own("keep.h5"), *raw = own("raw.h5");
    put_text(in, "good text");
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    CU_ASSERT_EQUAL(pack(usual(keep, in)), CRS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t j = 0; j < sizeof before / sizeof *before; j++) {
            char text[160], words[64];
            memset(text, 'x', sizeof text);
            memcpy(text + before[j], cases[i].bytes, strlen(cases[i].bytes));
            put_file(in, text, sizeof text);
            snprintf(words, sizeof words, "i.txt: byte %zu (%s)", before[j], cases[i].first);
            request r = usual(out, in);
            r.tuning.read_bytes = j % 2 ? 1 + i : 4096;
            CU_ASSERT(refuses(&said, pack(r), CRS_DATA, words));
            r.pack.level = CRS_LEVEL_BYTE;
            r.pack.output = raw;
            CU_ASSERT_EQUAL(pack(r), CRS_OK);
        }
    }
    CU_ASSERT(same_files(out, keep));
    CU_ASSERT_EQUAL(count_leftovers(), 0);
}

static void test_cut_character(void) {
    static const char *const cut[] = {"\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98"};
    const char *in = own("c.txt"), *out = own("c.h5");
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        for (size_t size = 1; size <= 5; size++) {
            char text[16];
            snprintf(text, sizeof text, "abc%s", cut[i]);
            put_text(in, text);
            request r = usual(out, in);
            r.tuning.read_bytes = size;
            CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "c.txt: byte 3 UTF-8 end"));
        }
    }
    CU_ASSERT_NOT_EQUAL(access(out, F_OK), 0);
}

/* The beginning of a text in another encoding. */
static void test_other_encodings(void) {
    static const struct {
        const char *text;
        size_t count;
        const char *name;
    } cases[] = {
        {"a\0b\0\n\0c\0", 8, "UTF-16LE"},
        {"\0a\0b\0\n\0c", 8, "UTF-16BE"},
        {"\x12\x04\x3e\x04\x42\x04 \0", 8, "UTF-16LE"}, /* Cyrillic */
        {"\xac\x20 \0e\0x\0t\0", 10, "UTF-16LE"},
        {"a\0\0\0b\0\0\0", 8, "UTF-32LE"},
        {"\0\0\0a\0\0\0b", 8, "UTF-32BE"},
        {"\xff\xfe"
         "a\0",
         4, "UTF-16"},
        {"\xfe\xff\0a", 4, "UTF-16"},
        {"\xff\xfe", 2, "UTF-16"},
        {"\xff\xfe\0\0a\0\0\0", 8, "UTF-32"},
        {"\0\0\xfe\xff\0\0\0a", 8, "UTF-32"},
        {"the ring turns\r\n\t", 17, NULL},
        {"\xef\xbb\xbf"
         "abc",
         6, NULL},
        {"a", 1, NULL},
        {"\0\0\0\0\0\0\0\0", 8, NULL}, /* what this is, nobody knows */
        {"\r\n\r\n\r\n\r\n", 8, NULL},
        {"a\0bcdefg\0hij", 12, NULL}, /* rare zeros */
        {"\xff", 1, NULL},
        {"", 0, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = crs_guess_encoding((const unsigned char *)cases[i].text, cases[i].count);
        CU_ASSERT_STRING_EQUAL(name ? name : "none", cases[i].name ? cases[i].name : "none");
    }
}

/* Whole below CRS_PACK_SHORT tokens, and in three pieces from there on, of which each can be predicted. */
static void test_short_texts(void) {
    const char *in = own("short.txt"), *out = own("short.h5");
    char text[64];
    for (int n = 1; n < 60; n++) {
        snprintf(text, sizeof text, "%.*s", n, "a ring of ranks turns, and each of them adds what it knows: sums");
        put_text(in, text);
        request r = usual(out, in);
        r.pack.whole_if_short = true;
        CU_ASSERT_EQUAL(pack(r), CRS_OK);
        CU_ASSERT_EQUAL(last.length[CRS_TRAIN] == n, n < CRS_PACK_SHORT);
        CU_ASSERT(n < CRS_PACK_SHORT || (last.length[CRS_VALIDATION] >= 2 && last.length[CRS_TEST] >= 2));
        r.pack.whole_if_short = false;
        CU_ASSERT_EQUAL(pack(r), CRS_OK);
        CU_ASSERT_EQUAL(last.length[CRS_TRAIN], (int64_t)(n * 0.9));
    }
}

static void test_inputs_refused(void) {
    const char *in = own("e.txt"), *out = own("e.h5");
    request r = usual(out, in);
    put_text(in, "");
    CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "e.txt nothing to pack"));
    r.pack.level = CRS_LEVEL_BYTE;
    CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "e.txt nothing to pack"));
    r = usual(out, own("nowhere.txt"));
    CU_ASSERT(refuses(&said, pack(r), CRS_NO_INPUT, "nowhere.txt"));
    r = usual(out, harness_dir());
    CU_ASSERT(refuses(&said, pack(r), CRS_NO_INPUT, "folder"));
    r.pack.inputs = 0;
    CU_ASSERT(refuses(&said, pack(r), CRS_USAGE, "nothing to pack"));
    r = usual(out, "-");
    r.input[1] = "-";
    r.pack.inputs = 2;
    CU_ASSERT(refuses(&said, pack(r), CRS_USAGE, "standard input once"));
    CU_ASSERT_NOT_EQUAL(access(out, F_OK), 0);
    CU_ASSERT_EQUAL(count_leftovers(), 0);
}

static void test_level_byte(void) {
    unsigned char bytes[512];
    crs_dataset dataset;
    int64_t count;
    const char *in = own("l.txt"), *out = own("l.h5");
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(255 - i);
    put_file(in, bytes, sizeof bytes);
    request r = usual(out, in);
    r.pack.level = CRS_LEVEL_BYTE;
    r.tuning.read_bytes = 100;
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    CU_ASSERT_EQUAL(last.vocabulary, 256);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    CU_ASSERT_EQUAL(dataset.vocabulary.level, CRS_LEVEL_BYTE);
    CU_ASSERT_EQUAL(H5Lexists(dataset.file->file, "vocabulary", H5P_DEFAULT), 0);
    uint32_t *tokens = read_tokens(&dataset, &count);
    CU_ASSERT_EQUAL_FATAL(count, sizeof bytes);
    int wrong = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        wrong += tokens[i] != bytes[i];
    CU_ASSERT_EQUAL(wrong, 0);
    crs_free(&tokens);
    crs_dataset_close(&dataset);
}

/* ---- vocabularies given ---- */

static void test_given_vocabulary(void) {
    static const char *const order[] = {"z", "", "\xc3\xa9", "a"}; /* not ascending; the second is U+0000 */
    static const struct {
        size_t size;
        H5T_str_t padding;
        const char *format;
    } kinds[] = {{4, H5T_STR_NULLPAD, "carousel/tokens"},
                 {0, H5T_STR_NULLTERM, "carousel/checkpoint"},
                 {16, H5T_STR_NULLTERM, "carousel/tokens"}};
    static const char text[] = "az\0\xc3\xa9z";
    static const uint32_t wanted[] = {3, 0, 1, 2, 0};
    const char *in = own("v.txt"), *out = own("v.h5"), *other = own("other.h5");
    put_file(in, text, sizeof text - 1);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        crs_dataset dataset;
        int64_t count;
        hid_t file = new_file(other);
        put_head(file, kinds[i].format, 1);
        put_vocabulary(file, order, 4, kinds[i].size, kinds[i].padding);
        H5Fclose(file);
        request r = usual(out, in);
        r.pack.vocabulary = other;
        CU_ASSERT_EQUAL(pack(r), CRS_OK);
        CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
        uint32_t *tokens = read_tokens(&dataset, &count);
        CU_ASSERT_EQUAL(count, 5);
        CU_ASSERT(memcmp(tokens, wanted, sizeof wanted) == 0);
        CU_ASSERT(dataset.vocabulary.count == 4 && dataset.vocabulary.code_points[0] == 'z');
        crs_free(&tokens);
        crs_dataset_close(&dataset);
        /* And again from what was made with it. */
        CU_ASSERT_EQUAL(rename(out, other), 0);
        CU_ASSERT_EQUAL(pack(r), CRS_OK);
        CU_ASSERT(same_files(out, other));
    }
}

static void test_unknown_characters(void) {
    const char *in = own("u.txt"), *out = own("u.h5"), *other = own("known.h5");
    put_text(in, "ab\xc3\xa9");
    CU_ASSERT_EQUAL(pack(usual(other, in)), CRS_OK);
    put_text(in, "ab\xc3\xa9\xc3\xa9 a\xf0\x9f\x98\x80"
                 "b");
    request r = usual(out, in);
    r.pack.vocabulary = other;
    for (size_t size = 1; size < 9; size++) {
        r.tuning.read_bytes = size;
        CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "u.txt ' ' byte 6 known.h5 --unknown=drop"));
    }
    CU_ASSERT_NOT_EQUAL(access(out, F_OK), 0);
    r.pack.drop_unknown = true;
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    CU_ASSERT(last.dropped == 2 && last.tokens == 6 && last.vocabulary == 3 && last.bytes == 13);
    CU_ASSERT(holds(out, (const uint32_t[]){'a', 'b', 0xe9, 0xe9, 'a', 'b'}, 6));
    put_text(in, "xyz");
    CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "nothing to pack 3 known.h5"));
    r.pack.vocabulary = NULL;
    CU_ASSERT(refuses(&said, pack(r), CRS_USAGE, "--unknown=drop --vocabulary"));
    r = usual(out, in);
    r.pack.level = CRS_LEVEL_BYTE;
    r.pack.vocabulary = other;
    CU_ASSERT(refuses(&said, pack(r), CRS_USAGE, "--vocabulary --level=byte"));
    /* Files without characters. */
    r = usual(own("u2.h5"), in);
    r.pack.level = CRS_LEVEL_BYTE;
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    r = usual(out, in);
    r.pack.vocabulary = own("u2.h5");
    CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "u2.h5 /vocabulary"));
    r.pack.vocabulary = in;
    CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "u.txt HDF5"));
    r.pack.vocabulary = own("nowhere.h5");
    CU_ASSERT(refuses(&said, pack(r), CRS_NO_INPUT, "nowhere.h5"));
}

/* ---- the output ---- */

static void test_output_refused(void) {
    const char *in = own("o.txt"), *copy = own("o2.txt");
    put_text(in, "some text");
    put_text(copy, "some text");
    CU_ASSERT(refuses(&said, pack(usual(in, in)), CRS_USAGE, "o.txt -o"));
    const char *alias = own("alias.txt");
    CU_ASSERT_EQUAL(symlink("o.txt", alias), 0);
    CU_ASSERT(refuses(&said, pack(usual(alias, in)), CRS_USAGE, "o.txt -o"));
    CU_ASSERT(refuses(&said, pack(usual(in, alias)), CRS_USAGE, "alias.txt -o"));
    CU_ASSERT(same_files(in, copy));
    CU_ASSERT(refuses(&said, pack(usual(harness_dir(), in)), CRS_CREATE, "folder -o"));
    CU_ASSERT(refuses(&said, pack(usual(own("no/such/x.h5"), in)), CRS_CREATE, "x.h5 mkdir"));
    CU_ASSERT(refuses(&said, pack(usual(own("o2.txt/x.h5"), in)), CRS_CREATE, "x.h5"));
    CU_ASSERT(refuses(&said, pack(usual(own("x/"), in)), CRS_CREATE, "x/"));
    /* A pipe of our own, and no device: should this ever fail, what is replaced is ours. */
    const char *pipe_name = own("pipe.h5");
    CU_ASSERT_EQUAL_FATAL(mkfifo(pipe_name, 0600), 0);
    CU_ASSERT(refuses(&said, pack(usual(pipe_name, in)), CRS_CREATE, "pipe.h5 regular"));
    CU_ASSERT(refuses(&said, pack(usual("", in)), CRS_USAGE, "-o"));
    CU_ASSERT_EQUAL(count_leftovers(), 0);
}

static void test_output_replaced(void) {
    struct stat about;
    const char *in = own("r.txt"), *out = own("r.h5"), *link = own("link.h5"), *fresh = own("fresh.h5");
    put_text(in, "first");
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    CU_ASSERT_EQUAL(symlink("r.h5", link), 0);
    put_text(in, "second");
    CU_ASSERT_EQUAL(pack(usual(link, in)), CRS_OK);
    CU_ASSERT(lstat(link, &about) == 0 && S_ISLNK(about.st_mode));
    CU_ASSERT(holds(out, (const uint32_t[]){'s', 'e', 'c', 'o', 'n', 'd'}, 6));
    /* As open(2) would have made it, and without a trace of when. */
    mode_t mask = umask(027);
    CU_ASSERT_EQUAL(pack(usual(fresh, in)), CRS_OK);
    umask(mask);
    CU_ASSERT(stat(fresh, &about) == 0 && (about.st_mode & 0777) == 0640);
    CU_ASSERT(same_files(fresh, out));
    hid_t file = H5Fopen(fresh, H5F_ACC_RDONLY, H5P_DEFAULT);
    static const char *const objects[] = {"/", "train", "validation", "test", "vocabulary"};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        H5O_info_t info;
        CU_ASSERT(H5Oget_info_by_name(file, objects[i], &info, H5P_DEFAULT) >= 0);
        CU_ASSERT(info.ctime == 0 && info.mtime == 0);
    }
    H5Fclose(file);
    CU_ASSERT_EQUAL(count_leftovers(), 0);
}

static void test_long_name(void) {
    char name[256];
    const char *in = own("n.txt");
    put_text(in, "text");
    memset(name, 'n', sizeof name);
    strcpy(name + 252, ".h5");
    CU_ASSERT_EQUAL(pack(usual(own(name), in)), CRS_OK);
    CU_ASSERT_EQUAL(access(own(name), F_OK), 0);
}

/* ---- inputs that change between the passes ---- */

typedef struct change {
    const char *path, *text; /* text NULL: removed */
} change;

static void make_change(void *context) {
    const change *c = context;
    if (c->text)
        put_text(c->path, c->text);
    else
        unlink(c->path);
}

static void test_changed_input(void) {
    static const char *const later[] = {"abcabcabd",
                                        "abcabcabcabc",
                                        "abcabc",
                                        "",
                                        "abcabcab\xc3",
                                        "abcabcab\xff",
                                        "abcabcabz",
                                        "\xc3\xa9"
                                        "bcabcab"};
    const char *in = own("x.txt"), *out = own("x.h5"), *keep = own("x2.h5");
    put_text(in, "before");
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    CU_ASSERT_EQUAL(pack(usual(keep, in)), CRS_OK);
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        change c = {in, later[i]};
        request r = usual(out, in);
        r.tuning.between = make_change;
        r.tuning.context = &c;
        r.tuning.read_bytes = 1 + i;
        put_text(in, "abcabcabc");
        CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "x.txt changed"));
    }
    change gone = {in, NULL};
    request r = usual(out, in);
    r.tuning.between = make_change;
    r.tuning.context = &gone;
    put_text(in, "abcabcabc");
    CU_ASSERT(refuses(&said, pack(r), CRS_NO_INPUT, "x.txt"));
    /* With a vocabulary given and what it lacks dropped, a change can be hard to see: only the hash tells. */
    change swap = {in, "bcfoer?x"};
    r.tuning.context = &swap;
    r.pack.vocabulary = keep;
    r.pack.drop_unknown = true;
    put_text(in, "bcfoer!x");
    CU_ASSERT(refuses(&said, pack(r), CRS_DATA, "x.txt changed"));
    CU_ASSERT(same_files(out, keep));
    CU_ASSERT_EQUAL(count_leftovers(), 0);
    /* Touched, not changed. */
    change same = {in, "bcfoer!x"};
    r.tuning.context = &same;
    put_text(in, "bcfoer!x");
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
}

static void test_memory_out(void) {
    const char *in = own("m.txt"), *out = own("m.h5"), *other = own("m2.h5");
    put_text(in, "some text \xc3\xa9");
    CU_ASSERT_EQUAL(pack(usual(other, in)), CRS_OK);
    int64_t blocks = crs_memory_blocks();
    for (int given = 0; given < 2; given++) {
        request r = usual(out, in);
        r.pack.vocabulary = given ? other : NULL;
        int64_t before = crs_memory_allocations();
        CU_ASSERT_EQUAL(pack(r), CRS_OK);
        int64_t needed = crs_memory_allocations() - before;
        CU_ASSERT(needed > 10);
        unlink(out);
        for (int64_t n = 1; n <= needed; n++) {
            crs_memory_fail_at(n);
            crs_status status = pack(r);
            crs_memory_fail_at(0);
            CU_ASSERT(refuses(&said, status, CRS_INTERNAL, "memory"));
            CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
            CU_ASSERT_EQUAL(count_leftovers(), 0);
            CU_ASSERT_NOT_EQUAL(access(out, F_OK), 0);
        }
    }
    int64_t before = crs_memory_allocations();
    CU_ASSERT_EQUAL(try_open(other), CRS_OK);
    int64_t needed = crs_memory_allocations() - before;
    for (int64_t n = 1; n <= needed; n++) {
        crs_memory_fail_at(n);
        crs_status status = try_open(other);
        crs_memory_fail_at(0);
        CU_ASSERT(refuses(&said, status, CRS_INTERNAL, "memory"));
    }
}

static void test_source_attribute(void) {
    enum { FILES = 600 };
    static char names[FILES][64];
    const char *input[FILES];
    crs_dataset dataset;
    const char *out = own("source.h5");
    request r = usual(out, own("odd \xff\n name.txt"));
    put_text(r.input[0], "text");
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    CU_ASSERT(strstr(dataset.source, "odd ?? name.txt") != NULL);
    crs_dataset_close(&dataset);
    /* The list of many files is cut, and says how many are left out. */
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i], sizeof names[i], "/dev/../dev/../dev/../dev/null");
        input[i] = names[i];
    }
    input[FILES - 1] = own("odd \xff\n name.txt");
    crs_pack many = {.output = out, .inputs = FILES, .input = input, .split = {1, 0, 0}};
    CU_ASSERT_EQUAL(crs_pack_text(&many, &last, &said), CRS_OK);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    CU_ASSERT(strlen(dataset.source) < 4200 && strstr(dataset.source, "null and 472 more") == NULL);
    CU_ASSERT(strstr(dataset.source, " files more") != NULL);
    crs_dataset_close(&dataset);
}

/* What a killed process left is removed by the next with the same output; what a living one works on stays. */
static void test_stale_temporaries(void) {
    static const struct {
        const char *name;
        bool held, stays;
    } files[] = {
        {".stale.h5.1-0.tmp", false, false}, {".stale.h5.99999-12.tmp", false, false},
        {".stale.h5.1-1.tmp", true, true},   {".stale.h5.note.tmp", false, true},
        {".other.h5.1-0.tmp", false, true},  {"stale.h5.1-0.tmp", false, true},
    };
    enum { FILES = sizeof files / sizeof *files };
    char folder[512], path[FILES][600];
    int held[FILES];
    const char *in = own("stale.txt");
    put_text(in, "a text");
    snprintf(folder, sizeof folder, "%s", own("stale"));
    CU_ASSERT(mkdir(folder, 0777) == 0 || errno == EEXIST);
    for (int i = 0; i < FILES; i++) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        snprintf(path[i], sizeof path[i], "%s/%s", folder, files[i].name);
        held[i] = open(path[i], O_RDWR | O_CREAT, 0666);
        CU_ASSERT_FATAL(held[i] >= 0);
        if (files[i].held)
            CU_ASSERT_EQUAL(fcntl(held[i], F_OFD_SETLK, &whole), 0);
    }
    char out[600];
    snprintf(out, sizeof out, "%s/stale.h5", folder);
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    for (int i = 0; i < FILES; i++) {
        CU_ASSERT_EQUAL(access(path[i], F_OK) == 0, files[i].stays);
        close(held[i]);
        unlink(path[i]);
    }
    CU_ASSERT_EQUAL(unlink(out), 0);
    CU_ASSERT_EQUAL(rmdir(folder), 0); /* nothing else is left */
}

static const harness_test pack_tests[] = {
    HARNESS_TEST(test_stale_temporaries),  HARNESS_TEST(test_round_trip),
    HARNESS_TEST(test_block_boundaries),   HARNESS_TEST(test_token_types),
    HARNESS_TEST(test_several_files),      HARNESS_TEST(test_split_lengths),
    HARNESS_TEST(test_shares_refused),     HARNESS_TEST(test_invalid_utf8),
    HARNESS_TEST(test_cut_character),      HARNESS_TEST(test_other_encodings),
    HARNESS_TEST(test_short_texts),        HARNESS_TEST(test_inputs_refused),
    HARNESS_TEST(test_level_byte),         HARNESS_TEST(test_given_vocabulary),
    HARNESS_TEST(test_unknown_characters), HARNESS_TEST(test_output_refused),
    HARNESS_TEST(test_output_replaced),    HARNESS_TEST(test_long_name),
    HARNESS_TEST(test_changed_input),      HARNESS_TEST(test_memory_out),
    HARNESS_TEST(test_source_attribute),   HARNESS_END,
};

int main(int argc, char **argv) {
    harness_add("pack", pack_tests);
    return harness_run(argc, argv);
}
