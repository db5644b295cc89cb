/* Reading data sets: what others may write, what is refused, damage, rows and windows. Every rank works on files of its
 * own. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/reader.h"
#include "data_fixture.h"
#include "harness.h"
#include "store/h5.h"

static const char *const abc[] = {"a", "b", "c", "\xc3\xa9"};
static const uint8_t some[] = {0, 1, 2, 3, 3, 2, 1, 0, 0, 3, 1, 2};
enum { SOME = sizeof some };

/* A good data set, which a test spoils by leaving something out of it. */
static hid_t new_dataset(const char *path, const char *without) {
    hid_t file = new_file(path);
    put_head(file, "carousel/tokens", 1);
    if (strcmp(without, "vocabulary") != 0)
        put_vocabulary(file, abc, 4, 4, H5T_STR_NULLPAD);
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        if (strcmp(without, crs_split_name(split)) != 0)
            put_tokens(file, crs_split_name(split), H5T_STD_U8LE, some, SOME, 5, H5P_DEFAULT);
    return file;
}

static bool reads_some(const char *path, char digest[CRS_HASH_HEX]) {
    crs_dataset dataset;
    uint32_t tokens[SOME];
    bool good = true;
    if (crs_dataset_open(&dataset, path, &said)) {
        fprintf(stderr, "%s\n", said.message);
        return false;
    }
    for (crs_split split = 0; split < CRS_SPLITS; split++) {
        good = good && dataset.length[split] == SOME && !crs_dataset_verify(&dataset, split, &said) &&
               !crs_dataset_read(&dataset, split, 0, SOME, tokens, &said);
        for (int i = 0; i < SOME && good; i++)
            good = tokens[i] == some[i];
    }
    memcpy(digest, dataset.digest, CRS_HASH_HEX);
    crs_dataset_close(&dataset);
    return good;
}

/* ---- reading ---- */

static void test_open_refused(void) {
    const char *path = own("bad.h5");
    unlink(path);
    CU_ASSERT(refuses(&said, try_open(path), CRS_NO_INPUT, "bad.h5"));
    CU_ASSERT(refuses(&said, try_open(""), CRS_NO_INPUT, "No such"));
    CU_ASSERT(refuses(&said, try_open(harness_dir()), CRS_NO_INPUT, "folder"));
    CU_ASSERT(refuses(&said, try_open("/dev/null"), CRS_NO_INPUT, "regular"));
    put_text(path, "");
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "bad.h5 empty"));
    put_text(path, "First Citizen: before we proceed any further, hear me speak.");
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "bad.h5 HDF5 carousel pack text"));
    put_text(path, "\x89HDF\r\n\x1a\n and nothing more that would be HDF5");
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "bad.h5 damaged"));
}

static void test_truncated(void) {
    size_t count;
    char text[6000];
    const char *in = own("cut.txt"), *whole = own("whole.h5"), *part = own("part.h5");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 23);
    put_file(in, text, sizeof text);
    request r = usual(whole, in);
    r.tuning.chunk_bytes = 512;
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    unsigned char *bytes = get_file(whole, &count);
    CU_ASSERT_EQUAL(try_open(whole), CRS_OK);
    for (size_t length = 1; length < count; length += length < 64 ? 7 : 331) {
        put_file(part, bytes, length);
        CU_ASSERT(refuses(&said, try_open(part), CRS_DATA, "part.h5"));
    }
    put_file(part, bytes, count - 1);
    CU_ASSERT(refuses(&said, try_open(part), CRS_DATA, "part.h5"));
    crs_free(&bytes);
}

static void test_heads_refused(void) {
    const char *path = own("head.h5");
    hid_t file = new_file(path);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 format carousel/tokens"));
    file = new_file(path);
    put_number(file, "format", 1);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 format carousel/tokens"));
    file = new_file(path);
    put_head(file, "carousel/checkpoint", 1);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 carousel/checkpoint carousel/tokens carousel pack"));
    file = new_file(path);
    put_head(file, "carousel/tokens", 2);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 version 2 newer"));
    file = new_file(path);
    put_string(file, "format", "carousel/tokens", false);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 version"));
    file = new_file(path);
    put_string(file, "format", "carousel/tokens", false);
    put_number(file, "version", 1);
    put_string(file, "level", "line", false);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 level char byte word line"));
    file = new_dataset(path, "");
    H5Adelete(file, "source");
    H5Fclose(file);
    CU_ASSERT_EQUAL(try_open(path), CRS_OK);
    file = new_dataset(path, "");
    H5Adelete(file, "source");
    put_string(file, "source", "\033[31mred\n", true);
    H5Fclose(file);
    crs_dataset dataset;
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, path, &said), CRS_OK);
    CU_ASSERT_STRING_EQUAL(dataset.source, "?[31mred?");
    crs_dataset_close(&dataset);
}

static void test_vocabularies_refused(void) {
    static const struct {
        const char *entry[3];
        size_t size;
        const char *words;
    } cases[] = {{{"a", "bc", "d"}, 4, "entry 1"},   {{"a", "b", "a"}, 4, "0 2 'a'"},
                 {{"a", "\xff", "c"}, 4, "entry 1"}, {{"a", "b", "\xc3"}, 0, "entry 2"},
                 {{"", "", "c"}, 4, "0 1 U+0000"},   {{"a", "\xed\xa0\x80", "c"}, 4, "entry 1"},
                 {{"ab", "c", "d"}, 0, "entry 0"},   {{"a", "b", "c"}, 200, "bytes 200"}};
    const char *path = own("voc.h5");
    hid_t file = new_dataset(path, "vocabulary");
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "voc.h5 /vocabulary"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file = new_dataset(path, "vocabulary");
        put_vocabulary(file, cases[i].entry, 3, cases[i].size, H5T_STR_NULLPAD);
        H5Fclose(file);
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "voc.h5 vocabulary"));
        CU_ASSERT(refuses(&said, said.status, CRS_DATA, cases[i].words));
    }
    file = new_dataset(path, "vocabulary");
    put_tokens(file, "vocabulary", H5T_STD_U8LE, some, SOME, 0, H5P_DEFAULT);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "voc.h5 /vocabulary strings"));
    file = new_dataset(path, "vocabulary");
    H5Gclose(H5Gcreate2(file, "vocabulary", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "voc.h5 /vocabulary"));
    /* Spaces fill strings of Fortran; a space alone is one. */
    file = new_dataset(path, "vocabulary");
    put_vocabulary(file, (const char *const[]){" ", "b", "c", "d"}, 4, 4, H5T_STR_SPACEPAD);
    H5Fclose(file);
    crs_dataset dataset;
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, path, &said), CRS_OK);
    CU_ASSERT(dataset.vocabulary.code_points[0] == ' ' && dataset.vocabulary.code_points[1] == 'b');
    crs_dataset_close(&dataset);
}

static void put_words(const char *path, const char *const *words, hsize_t count, size_t size) {
    hid_t file = new_file(path);
    put_string(file, "format", "carousel/tokens", false);
    put_number(file, "version", 1);
    put_string(file, "level", "word", false);
    put_string(file, "words", "blank", false);
    put_vocabulary(file, words, count, size, H5T_STR_NULLPAD);
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        put_tokens(file, crs_split_name(split), H5T_STD_U8LE, some, SOME, 5, H5P_DEFAULT);
    H5Fclose(file);
}

/* Words that others have written: strings of fixed or variable length, hashes missing. */
static void test_words_of_others(void) {
    static const char *const words[] = {"<eos>", "caf\xc3\xa9 noir", "\n", "a"};
    static const struct {
        const char *entry[3];
        size_t size;
        const char *said;
    } refused[] = {{{"a", "", "b"}, 8, "entry 1 empty"},
                   {{"a", "bc", "a"}, 0, "0 2 'a'"},
                   {{"ab", "cd\xff", "e"}, 8, "token 1 UTF-8 byte 2"}};
    const char *path = own("words.h5");
    crs_dataset dataset;
    char digest[2][CRS_HASH_HEX];
    for (size_t size = 0; size < 2; size++) {
        put_words(path, words, 4, size ? 12 : 0);
        CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, path, &said), CRS_OK);
        const crs_vocabulary *v = &dataset.vocabulary;
        CU_ASSERT(v->level == CRS_LEVEL_WORD && v->words == CRS_WORDS_BLANK && !v->lower && v->longest == 10);
        CU_ASSERT(crs_vocabulary_find(v, "caf\xc3\xa9 noir", 10) == 1 && crs_vocabulary_token(v, '\n') == 2);
        memcpy(digest[size], dataset.digest, CRS_HASH_HEX);
        crs_dataset_close(&dataset);
    }
    CU_ASSERT_STRING_EQUAL(digest[0], digest[1]); /* however they are stored */
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        put_words(path, refused[i].entry, 3, refused[i].size);
        said.status = CRS_OK;
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "words.h5 vocabulary"));
        CU_ASSERT(refuses(&said, said.status, CRS_DATA, refused[i].said));
    }
}

/* More than anyone has: refused before room is made for it. */
static void test_huge_claims(void) {
    static const hsize_t many = (hsize_t)1 << 40, more = (hsize_t)1 << 60;
    const char *path = own("huge.h5");
    int64_t peak = crs_memory_peak(CRS_MEMORY_DATA);
    hid_t deflate = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_deflate(deflate, 1);
    hid_t file = new_dataset(path, "train");
    put_tokens(file, "train", H5T_STD_U8LE, NULL, more, 1 << 20, H5P_DEFAULT);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "huge.h5 /train truncated"));
    file = new_dataset(path, "test");
    put_tokens(file, "test", H5T_STD_U32LE, NULL, many, 0, H5P_DEFAULT);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "huge.h5 /test truncated"));
    file = new_dataset(path, "validation");
    put_tokens(file, "validation", H5T_STD_U16LE, NULL, many, 1 << 16, deflate);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "huge.h5 /validation truncated"));
    /* A chunk of a gigabyte that was packed to nothing. */
    file = new_dataset(path, "train");
    hsize_t length = 4, most = H5S_UNLIMITED, chunk = 1 << 30;
    hid_t space = H5Screate_simple(1, &length, &most);
    H5Pset_chunk(deflate, 1, &chunk);
    hid_t set = H5Dcreate2(file, "train", H5T_STD_U8LE, space, H5P_DEFAULT, deflate, H5P_DEFAULT);
    static const char packed[] = "x\x9c\x03";
    CU_ASSERT(H5Dwrite_chunk(set, H5P_DEFAULT, 0, (const hsize_t[]){0}, 3, packed) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "huge.h5 /train chunks 1073741824"));
    file = new_dataset(path, "vocabulary");
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 4);
    space = H5Screate_simple(1, &more, NULL);
    hsize_t small = 1024;
    H5Pset_chunk(deflate, 1, &small);
    H5Dclose(H5Dcreate2(file, "vocabulary", type, space, H5P_DEFAULT, deflate, H5P_DEFAULT));
    H5Sclose(space);
    H5Tclose(type);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "huge.h5 /vocabulary 1152921504606846976"));
    H5Pclose(deflate);
    CU_ASSERT_EQUAL(crs_memory_peak(CRS_MEMORY_DATA), peak);
}

static void test_splits_refused(void) {
    const char *path = own("split.h5");
    for (crs_split split = 0; split < CRS_SPLITS; split++) {
        char words[64];
        const char *name = crs_split_name(split);
        H5Fclose(new_dataset(path, name));
        snprintf(words, sizeof words, "split.h5 /%s", name);
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, words));
        const hid_t types[] = {H5T_IEEE_F32LE, H5T_STD_I8LE, H5T_STD_I64LE, H5T_STD_U64LE, H5T_STD_B8LE};
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            hid_t file = new_dataset(path, name);
            put_tokens(file, name, types[i], i < 4 ? some : NULL, SOME, 5, H5P_DEFAULT);
            H5Fclose(file);
            CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, words));
            CU_ASSERT(refuses(&said, said.status, CRS_DATA, "unsigned"));
        }
        hid_t file = new_dataset(path, name);
        hid_t space = H5Screate_simple(2, (const hsize_t[]){3, 4}, NULL);
        H5Dclose(H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Sclose(space);
        H5Fclose(file);
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, words));
        file = new_dataset(path, name);
        space = H5Screate(H5S_SCALAR);
        H5Dclose(H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Sclose(space);
        H5Fclose(file);
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, words));
        file = new_dataset(path, name);
        H5Gclose(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Fclose(file);
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, words));
    }
}

/* Tokens that are not in the file itself: HDF5 reads zeros where the other file is missing. */
static void test_tokens_elsewhere(void) {
    const char *path = own("else.h5");
    hsize_t length = SOME;
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(plan, own("else.bin"), 0, SOME);
    hid_t file = new_dataset(path, "train");
    put_tokens(file, "train", H5T_STD_U8LE, some, SOME, 0, plan);
    H5Fclose(file);
    H5Pclose(plan);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "else.h5 /train other files"));
    file = new_dataset(path, "train");
    plan = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(1, &length, NULL);
    H5Pset_virtual(plan, space, "nowhere.h5", "train", space);
    put_tokens(file, "train", H5T_STD_U8LE, NULL, SOME, 0, plan);
    H5Sclose(space);
    H5Pclose(plan);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "else.h5 /train other files"));
}

static size_t pass_through(unsigned flags, size_t values, const unsigned *value, size_t bytes, size_t *size,
                           void **buffer) {
    (void)flags, (void)values, (void)value, (void)size, (void)buffer;
    return bytes;
}

static void test_filters(void) {
    char plain[CRS_HASH_HEX], digest[CRS_HASH_HEX];
    const char *path = own("filter.h5");
    H5Fclose(new_dataset(path, ""));
    CU_ASSERT(reads_some(path, plain));
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_shuffle(plan);
    H5Pset_deflate(plan, 9);
    H5Pset_fletcher32(plan);
    hid_t file = new_dataset(path, "train");
    put_tokens(file, "train", H5T_STD_U8LE, some, SOME, 5, plan);
    H5Fclose(file);
    H5Pclose(plan);
    CU_ASSERT(reads_some(path, digest));
    CU_ASSERT_STRING_EQUAL(digest, plain);
    /* A filter that the reader hasn't. */
    static const H5Z_class2_t odd = {H5Z_CLASS_T_VERS, 300, 1, 1, "oddity", NULL, NULL, pass_through};
    crs_h5_silence();
    CU_ASSERT(H5Zregister(&odd) >= 0);
    plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_filter(plan, 300, H5Z_FLAG_MANDATORY, 0, NULL);
    file = new_dataset(path, "train");
    put_tokens(file, "train", H5T_STD_U8LE, some, SOME, 5, plan);
    H5Fclose(file);
    H5Pclose(plan);
    CU_ASSERT(reads_some(path, digest));
    CU_ASSERT(H5Zunregister(300) >= 0);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "filter.h5 /train 300 oddity"));
}

/* Layouts and types that others choose; without hashes, the digest comes from the tokens as stored. */
static void test_other_hands(void) {
    char plain[CRS_HASH_HEX], digest[CRS_HASH_HEX];
    const char *path = own("others.h5");
    H5Fclose(new_dataset(path, ""));
    CU_ASSERT(reads_some(path, plain));
    hid_t compact = H5Pcreate(H5P_DATASET_CREATE), file = new_dataset(path, "train");
    H5Pset_layout(compact, H5D_COMPACT);
    put_tokens(file, "train", H5T_STD_U8BE, some, SOME, 0, compact);
    H5Ldelete(file, "test", H5P_DEFAULT);
    put_tokens(file, "test", H5T_STD_U8LE, some, SOME, 0, H5P_DEFAULT);
    H5Fclose(file);
    H5Pclose(compact);
    CU_ASSERT(reads_some(path, digest));
    CU_ASSERT_STRING_EQUAL(digest, plain);
    /* A wider split among narrow ones, big-endian. */
    file = new_dataset(path, "validation");
    put_tokens(file, "validation", H5T_STD_U32BE, some, SOME, 7, H5P_DEFAULT);
    H5Fclose(file);
    CU_ASSERT(reads_some(path, digest));
    CU_ASSERT_STRING_NOT_EQUAL(digest, plain);
    char big[CRS_HASH_HEX];
    file = new_dataset(path, "validation");
    put_tokens(file, "validation", H5T_STD_U32LE, some, SOME, 7, H5P_DEFAULT);
    H5Fclose(file);
    CU_ASSERT(reads_some(path, big));
    CU_ASSERT_STRING_EQUAL(digest, big);
    file = new_dataset(path, "");
    hid_t set = H5Dopen2(file, "train", H5P_DEFAULT);
    put_string(set, "xxh3_128", "no hash", false);
    H5Dclose(set);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "others.h5 /train xxh3_128"));
}

/* The digest is of the level, the vocabulary and the hashes, as docs/formats.md says. */
static void test_digest(void) {
    static const char entries[] = "a\0\0\0b\0\0\0\xc3\xa9\0\0";
    char hex[CRS_HASH_HEX], wanted[CRS_HASH_HEX];
    crs_dataset dataset;
    const char *in = own("d.txt"), *out = own("d.h5");
    request r = usual(out, in);
    put_text(in, "abba\xc3\xa9");
    memcpy(r.pack.split, (double[]){0.6, 0.4, 0}, sizeof r.pack.split);
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    crs_hash *hash = crs_hash_new();
    crs_hash_add(hash, "char", 4);
    crs_hash_add(hash, entries, sizeof entries - 1);
    crs_hash_bytes("\0\1\1", 3, hex);
    CU_ASSERT_STRING_EQUAL(dataset.hash[CRS_TRAIN], hex);
    crs_hash_add(hash, hex, 32);
    crs_hash_bytes("\0\2", 2, hex);
    CU_ASSERT_STRING_EQUAL(dataset.hash[CRS_VALIDATION], hex);
    crs_hash_add(hash, hex, 32);
    crs_hash_bytes("", 0, hex);
    CU_ASSERT_STRING_EQUAL(dataset.hash[CRS_TEST], hex);
    crs_hash_add(hash, hex, 32);
    crs_hash_text(hash, wanted);
    CU_ASSERT_STRING_EQUAL(dataset.digest, wanted);
    crs_hash_free(&hash);
    crs_dataset_close(&dataset);
}

/* ---- damage ---- */

static void test_damaged_tokens(void) {
    size_t count;
    char text[4000];
    crs_dataset dataset;
    uint32_t tokens[100];
    const char *in = own("dam.txt"), *out = own("dam.h5");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 7); /* residues 0, 1, 2, 4 */
    put_file(in, text, sizeof text);
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    unsigned char *bytes = get_file(out, &count);
    unsigned char run[500]; /* longer than the other splits together */
    for (size_t i = 0; i < sizeof run; i++)
        run[i] = (unsigned char[]){0, 1, 3, 2, 2, 3, 1}[i % 7];
    unsigned char *train = memmem(bytes, count, run, sizeof run);
    CU_ASSERT_FATAL(train != NULL);
    train[1000] ^= 1; /* to another token of the vocabulary: only the hash tells */
    put_file(out, bytes, count);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    CU_ASSERT(refuses(&said, crs_dataset_verify(&dataset, CRS_TRAIN, &said), CRS_DATA, "dam.h5 /train hash"));
    CU_ASSERT_EQUAL(crs_dataset_verify(&dataset, CRS_VALIDATION, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_dataset_verify(&dataset, CRS_TEST, &said), CRS_OK);
    crs_dataset_close(&dataset);
    train[1000] = 4; /* the vocabulary has 4 */
    put_file(out, bytes, count);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    CU_ASSERT(refuses(&said, crs_dataset_verify(&dataset, CRS_TRAIN, &said), CRS_DATA, "dam.h5 /train token 4 1000"));
    CU_ASSERT(
        refuses(&said, crs_dataset_read(&dataset, CRS_TRAIN, 950, 100, tokens, &said), CRS_DATA, "dam.h5 4 1000"));
    CU_ASSERT_EQUAL(crs_dataset_read(&dataset, CRS_TRAIN, 900, 100, tokens, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_dataset_read(&dataset, CRS_TRAIN, 1001, 100, tokens, &said), CRS_OK);
    crs_reader *reader;
    uint32_t inputs[50], targets[50];
    CU_ASSERT_EQUAL_FATAL(crs_reader_create_within(&reader, &dataset, CRS_TRAIN, 500, 0, 5, 5 * 64, 16, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_reader_window(reader, 100, 10, inputs, targets, &said), CRS_OK);
    CU_ASSERT(refuses(&said, crs_reader_window(reader, 0, 10, inputs, targets, &said), CRS_DATA, "dam.h5 4 1000"));
    crs_reader_free(&reader);
    crs_dataset_close(&dataset);
    crs_free(&bytes);
}

/* With the address sanitizer: HDF5 asks for as much memory as a damaged file claims, and is to get none. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1:detect_leaks=0";
}

/* Replaces the first of these bytes of a file; false where they are not there. */
static bool patch(const char *path, const char *from, size_t size, char to) {
    size_t count;
    unsigned char *bytes = get_file(path, &count), *place = memmem(bytes, count, from, size);
    if (place) {
        *place = (unsigned char)to;
        put_file(path, bytes, count);
    }
    crs_free(&bytes);
    return place != NULL;
}

/* Files of a newer HDF5 are not called damaged alone: the superblock's version, and that of a data type. */
static void test_newer_hdf5(void) {
    const char *path = own("later.h5");
    H5Fclose(new_dataset(path, ""));
    CU_ASSERT(patch(path, "\0\0\0\0\0\x08\x08", 7, 4));
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "later.h5 newer h5repack"));
    H5Fclose(new_dataset(path, ""));
    /* version 1, class 0, 8 bits */
    CU_ASSERT(patch(path, "\x10\0\0\0\x01\0\0\0\0\0\x08\0", 12, 0x60));
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "later.h5 newer h5repack"));
    H5Fclose(new_dataset(path, ""));
    /* version 1, class 9, a string: that of the attribute format */
    CU_ASSERT(patch(path, "\x19\x01\0\0\x10\0\0\0", 8, 0x69));
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "later.h5 newer h5repack"));
}

/* The first line of `carousel show`. */
static bool shows(const char *path, const char *words) {
    char command[1200], line[600] = "";
    snprintf(command, sizeof command, "'%s' show '%s'", getenv("CAROUSEL"), path);
    FILE *output = popen(command, "r");
    bool good = output && fgets(line, sizeof line, output) && strstr(line, words);
    while (output && fgets(command, sizeof command, output))
        ;
    good = output && pclose(output) == 0 && good;
    if (!good)
        fprintf(stderr, "shown, not %s: %s\n", words, line);
    return good;
}

static void test_shown_hashes(void) {
    const char *path = own("hashes.h5");
    char hex[CRS_HASH_HEX];
    if (!getenv("CAROUSEL")) {
        harness_skip("CAROUSEL names no program");
        return;
    }
    if (harness_rank() != 0)
        return;
    crs_hash_bytes(some, sizeof some, hex);
    hid_t file = new_dataset(path, "");
    H5Fclose(file);
    CU_ASSERT(shows(path, "as far as can be told: /train, /validation, /test carry no hash"));
    for (crs_split split = CRS_SPLITS; split-- > 0;) {
        file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        hid_t set = H5Dopen2(file, crs_split_name(split), H5P_DEFAULT);
        put_string(set, CRS_HASH_ATTRIBUTE, hex, false);
        H5Dclose(set);
        H5Fclose(file);
        CU_ASSERT(shows(path, split == CRS_TEST         ? "/train, /validation carry no hash"
                              : split == CRS_VALIDATION ? "/train carries no hash"
                                                        : "whole: every hash in it agrees"));
    }
}

/* One more read of a file that was opened before something happened to it. */
static crs_status read_again(const crs_dataset *dataset) {
    uint32_t tokens[SOME];
    memset(&said, 0, sizeof said);
    return crs_dataset_read(dataset, CRS_TRAIN, 0, SOME, tokens, &said);
}

static void test_changes(void) {
    crs_dataset dataset;
    crs_reader *reader;
    uint32_t inputs[SOME], targets[SOME];
    size_t count;
    const char *path = own("moving.h5"), *other = own("other.h5");
    H5Fclose(new_dataset(path, ""));
    unsigned char *bytes = get_file(path, &count);
    put_file(other, bytes, count);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, path, &said), CRS_OK);
    CU_ASSERT_EQUAL(read_again(&dataset), CRS_OK);
    CU_ASSERT_EQUAL(truncate(path, (off_t)count / 2), 0);
    CU_ASSERT(refuses(&said, read_again(&dataset), CRS_DATA, "moving.h5 changed bytes again"));
    CU_ASSERT_EQUAL(crs_reader_create_within(&reader, &dataset, CRS_TRAIN, SOME - 1, 0, 1, 1, 4, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_reader_window(reader, 0, 4, inputs, targets, &said), CRS_DATA);
    CU_ASSERT_EQUAL(crs_dataset_verify(&dataset, CRS_TEST, &said), CRS_DATA);
    crs_reader_free(&reader);
    put_file(path, bytes, count); /* as long as before, and yet another */
    CU_ASSERT(refuses(&said, read_again(&dataset), CRS_DATA, "moving.h5 changed written"));
    crs_dataset_close(&dataset);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, path, &said), CRS_OK);
    CU_ASSERT_EQUAL(read_again(&dataset), CRS_OK);
    CU_ASSERT_EQUAL(rename(other, path), 0);
    CU_ASSERT(refuses(&said, read_again(&dataset), CRS_DATA, "moving.h5 changed place"));
    CU_ASSERT_EQUAL(unlink(path), 0); /* what is open stays what it was */
    CU_ASSERT_EQUAL(read_again(&dataset), CRS_OK);
    crs_dataset_close(&dataset);
    crs_free(&bytes);
}

/* Any byte of the file spoilt: refused, or the tokens are what they were, or verifying tells. */
static void test_any_byte_damaged(void) {
    size_t count;
    char text[300], digest[CRS_HASH_HEX];
    crs_dataset dataset;
    const char *in = own("any.txt"), *out = own("any.h5");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 7);
    put_file(in, text, sizeof text);
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    memcpy(digest, dataset.digest, sizeof digest);
    int64_t whole_count, found_count;
    uint32_t *whole = read_tokens(&dataset, &whole_count), *found = crs_alloc(sizeof text, 4, CRS_MEMORY_OTHER);
    crs_dataset_close(&dataset);
    unsigned char *bytes = get_file(out, &count);
    int refused = 0, silent = 0;
    for (size_t i = (size_t)harness_rank() % 7; i < count; i += 7) {
        for (int mask = 1; mask < 256; mask = mask == 1 ? 0x80 : mask == 0x80 ? 0xff : 256) {
            bytes[i] ^= (unsigned char)mask;
            put_file(out, bytes, count);
            bytes[i] ^= (unsigned char)mask;
            bool good = crs_dataset_open(&dataset, out, &said) == CRS_OK;
            if (!good) {
                refused++;
                continue;
            }
            found_count = 0;
            for (crs_split split = 0; split < CRS_SPLITS; split++) {
                int64_t length = dataset.length[split], left = (int64_t)sizeof text - found_count;
                good = good && !crs_dataset_verify(&dataset, split, &said) && length <= left &&
                       !crs_dataset_read(&dataset, split, 0, length, found + found_count, &said);
                found_count += length;
            }
            if (good && strcmp(dataset.digest, digest) == 0)
                silent += found_count != whole_count || memcmp(found, whole, sizeof text * 4) != 0;
            crs_dataset_close(&dataset);
        }
    }
    CU_ASSERT(refused > 50);
    CU_ASSERT_EQUAL(silent, 0);
    crs_free(&bytes);
    crs_free(&found);
    crs_free(&whole);
}

static void test_damaged_vocabulary(void) {
    size_t count;
    const char *in = own("dv.txt"), *out = own("dv.h5");
    put_text(in, "hello world");
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    unsigned char *bytes = get_file(out, &count);
    unsigned char *entry = memmem(bytes, count, "w\0\0\0", 4);
    CU_ASSERT_FATAL(entry != NULL);
    *entry = 'x';
    put_file(out, bytes, count);
    CU_ASSERT(refuses(&said, try_open(out), CRS_DATA, "dv.h5 /vocabulary hash"));
    crs_free(&bytes);
}

/* Read-only media and network file systems know no locks. */
static void test_locked_file(void) {
    const char *in = own("lock.txt"), *out = own("lock.h5");
    put_text(in, "hello world");
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    CU_ASSERT_EQUAL(chmod(out, 0444), 0);
    FILE *file = fopen(out, "rb");
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT_EQUAL(flock(fileno(file), LOCK_EX | LOCK_NB), 0);
    CU_ASSERT_EQUAL(try_open(out), CRS_OK);
    fclose(file);
}

/* ---- rows and windows ---- */

/* Compares some windows of these rows with the tokens themselves. */
static int count_wrong(crs_reader *reader, const uint32_t *tokens, int64_t stride, int64_t first_row, int rows,
                       int steps) {
    int wrong = 0;
    uint32_t *inputs = crs_alloc((size_t)(rows * steps), 4, CRS_MEMORY_OTHER);
    uint32_t *targets = crs_alloc((size_t)(rows * steps), 4, CRS_MEMORY_OTHER);
    for (int round = 0; round < 2; round++) {
        for (int64_t offset = 0; offset + steps <= stride; offset += steps) {
            memset(inputs, 0xff, (size_t)(rows * steps) * 4);
            memset(targets, 0xff, (size_t)(rows * steps) * 4);
            wrong += crs_reader_window(reader, offset, steps, inputs, targets, &said) != CRS_OK;
            for (int row = 0; row < rows; row++) {
                const uint32_t *from = tokens + (first_row + row) * stride + offset;
                for (int t = 0; t < steps; t++)
                    wrong += inputs[t * rows + row] != from[t] || targets[t * rows + row] != from[t + 1];
            }
        }
    }
    crs_free(&inputs);
    crs_free(&targets);
    return wrong;
}

static void test_reader(void) {
    enum { COUNT = 20000 };
    static const int rows_of[] = {1, 5, 13}, steps_of[] = {1, 3, 17, 64, 300};
    static const struct { size_t budget, least; } rooms[] = {{0, 1}, {0, 7}, {4000, 1}, {1 << 20, 1024}};
    uint32_t *characters = crs_alloc(COUNT, 4, CRS_MEMORY_OTHER);
    char *bytes = crs_alloc(COUNT, 4, CRS_MEMORY_OTHER);
    const char *in = own("w.txt"), *out = own("w.h5");
    for (int wide = 0; wide < 2; wide++) {
        crs_dataset dataset;
        int64_t count;
        for (uint32_t i = 0; i < COUNT; i++)
            characters[i] = wide ? 0x4e00 + i * i % 5003 : 'A' + i * i % 53;
        put_file(in, bytes, encode(characters, COUNT, bytes));
        request r = usual(out, in);
        memcpy(r.pack.split, (double[]){1, 0, 0}, sizeof r.pack.split);
        r.tuning.chunk_bytes = 1000;
        CU_ASSERT_EQUAL(pack(r), CRS_OK);
        CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
        uint32_t *tokens = read_tokens(&dataset, &count);
        for (int i = 0; i < 3 * 5 * 4; i++) {
            int rows = rows_of[i % 3], steps = steps_of[i / 3 % 5], room = i / 15;
            int64_t stride = (COUNT - 1) / (rows + 2),
                    first_row = room % 3; /* to the last token, where first_row is 2 */
            crs_reader *reader;
            CU_ASSERT_EQUAL_FATAL(crs_reader_create_within(&reader, &dataset, CRS_TRAIN, stride, first_row, rows,
                                                           rooms[room].budget, rooms[room].least, &said),
                                  CRS_OK);
            CU_ASSERT_EQUAL(count_wrong(reader, tokens, stride, first_row, rows, steps), 0);
            crs_reader_free(&reader);
        }
        crs_free(&tokens);
        crs_dataset_close(&dataset);
    }
    crs_free(&bytes);
    crs_free(&characters);
}

static void test_reader_reads_little(void) {
    enum { COUNT = 300000 };
    uint32_t inputs[13 * 50], targets[13 * 50];
    char *bytes = crs_alloc(COUNT, 1, CRS_MEMORY_OTHER);
    crs_dataset dataset;
    crs_reader *reader;
    const char *in = own("q.txt"), *out = own("q.h5");
    memset(bytes, 'q', COUNT);
    put_file(in, bytes, COUNT);
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    int64_t stride = (dataset.length[CRS_TRAIN] - 1) / 13, before = crs_memory_bytes(CRS_MEMORY_DATA);
    CU_ASSERT_EQUAL_FATAL(crs_reader_create(&reader, &dataset, CRS_TRAIN, stride, 0, 13, 1, &said), CRS_OK);
    int64_t made = crs_memory_allocations();
    for (int epoch = 0; epoch < 2; epoch++)
        for (int64_t offset = 0; offset + 50 <= stride; offset += 50)
            CU_ASSERT_EQUAL(crs_reader_window(reader, offset, 50, inputs, targets, &said), CRS_OK);
    /* What fits is read once for all epochs; and no window asks for memory. */
    CU_ASSERT_EQUAL(crs_reader_reads(reader), 13);
    CU_ASSERT_EQUAL(crs_memory_allocations(), made);
    crs_reader_free(&reader);
    /* With less room: a read a row for about 1,000 tokens. */
    CU_ASSERT_EQUAL_FATAL(crs_reader_create_within(&reader, &dataset, CRS_TRAIN, stride, 0, 13, 13000, 1, &said),
                          CRS_OK);
    CU_ASSERT(crs_memory_bytes(CRS_MEMORY_DATA) - before < 15000);
    for (int64_t offset = 0; offset + 50 <= stride; offset += 50)
        CU_ASSERT_EQUAL(crs_reader_window(reader, offset, 50, inputs, targets, &said), CRS_OK);
    CU_ASSERT(crs_reader_reads(reader) >= 13 * (stride / 1000) && crs_reader_reads(reader) <= 13 * (stride / 1000 + 2));
    crs_reader_free(&reader);
    /* However many rows, the room stays within bounds. */
    CU_ASSERT_EQUAL_FATAL(crs_reader_create(&reader, &dataset, CRS_TRAIN, 1, 0, 100000, 1, &said), CRS_OK);
    CU_ASSERT(crs_memory_bytes(CRS_MEMORY_DATA) - before < 17 << 20);
    crs_reader_free(&reader);
    crs_dataset_close(&dataset);
    crs_free(&bytes);
}

/* The last row may be shorter than the others: reading ahead stops where the split does. */
static void test_reader_at_the_end(void) {
    crs_dataset dataset;
    crs_reader *reader;
    uint32_t inputs[2 * 3], targets[2 * 3];
    const char *in = own("end.txt"), *out = own("end.h5");
    request r = usual(out, in);
    put_text(in, "abcdefghijklm"); /* rows of 8 and 5 */
    memcpy(r.pack.split, (double[]){1, 0, 0}, sizeof r.pack.split);
    CU_ASSERT_EQUAL(pack(r), CRS_OK);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    CU_ASSERT_EQUAL_FATAL(crs_reader_create(&reader, &dataset, CRS_TRAIN, 8, 0, 2, 1, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_reader_window(reader, 1, 3, inputs, targets, &said), CRS_OK);
    CU_ASSERT(memcmp(inputs, (uint32_t[]){1, 9, 2, 10, 3, 11}, sizeof inputs) == 0);
    CU_ASSERT(memcmp(targets, (uint32_t[]){2, 10, 3, 11, 4, 12}, sizeof targets) == 0);
    crs_reader_free(&reader);
    crs_dataset_close(&dataset);
}

static void test_reader_memory_out(void) {
    crs_dataset dataset;
    crs_reader *reader;
    const char *in = own("rm.txt"), *out = own("rm.h5");
    put_text(in, "hello hello hello hello");
    CU_ASSERT_EQUAL(pack(usual(out, in)), CRS_OK);
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&dataset, out, &said), CRS_OK);
    int64_t blocks = crs_memory_blocks();
    for (int64_t n = 1; n <= 3; n++) {
        crs_memory_fail_at(n);
        CU_ASSERT(
            refuses(&said, crs_reader_create(&reader, &dataset, CRS_TRAIN, 4, 0, 5, 1, &said), CRS_INTERNAL, "memory"));
        crs_memory_fail_at(0);
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    }
    crs_dataset_close(&dataset);
}

static const harness_test dataset_tests[] = {
    HARNESS_TEST(test_newer_hdf5),
    HARNESS_TEST(test_shown_hashes),
    HARNESS_TEST(test_changes),
    HARNESS_TEST(test_open_refused),
    HARNESS_TEST(test_truncated),
    HARNESS_TEST(test_heads_refused),
    HARNESS_TEST(test_vocabularies_refused),
    HARNESS_TEST(test_words_of_others),
    HARNESS_TEST(test_huge_claims),
    HARNESS_TEST(test_splits_refused),
    HARNESS_TEST(test_tokens_elsewhere),
    HARNESS_TEST(test_filters),
    HARNESS_TEST(test_other_hands),
    HARNESS_TEST(test_digest),
    HARNESS_TEST(test_damaged_tokens),
    HARNESS_TEST(test_any_byte_damaged),
    HARNESS_TEST(test_damaged_vocabulary),
    HARNESS_TEST(test_locked_file),
    HARNESS_END,
};

static const harness_test reader_tests[] = {
    HARNESS_TEST(test_reader),
    HARNESS_TEST(test_reader_reads_little),
    HARNESS_TEST(test_reader_at_the_end),
    HARNESS_TEST(test_reader_memory_out),
    HARNESS_END,
};

int main(int argc, char **argv) {
    harness_add("dataset", dataset_tests);
    harness_add("reader", reader_tests);
    return harness_run(argc, argv);
}
