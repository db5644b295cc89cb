/* Data sets of sequences: what is taken, what is refused. */
#include "config.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "data_fixture.h"
#include "harness.h"
#include "sequence_fixture.h"

/* ---- kinds of data ---- */

#define T CRS_INPUT_TOKENS
#define V CRS_INPUT_VALUES
#define B CRS_INPUT_BITS
static const made_plan kinds[] = {
    {T, CRS_TARGET_NEXT, CRS_ALIGN_STEP, 300, 0, 0, 0, {9, 3, 2}, 12, .seed = 1},
    {B, CRS_TARGET_NEXT, CRS_ALIGN_STEP, 5, 0, 0, 0, {7, 2, 0}, 9, .lead = true, .weights = 2, .seed = 2},
    {V, CRS_TARGET_CLASS, CRS_ALIGN_SEQUENCE, 3, 4, 0, 0, {8, 1, 3}, 20, .seed = 3},
    {T, CRS_TARGET_CLASS, CRS_ALIGN_STEP, 7, 300, 0, 0, {6, 2, 2}, 6, .lead = true, .weights = 1, .seed = 4},
    {V, CRS_TARGET_VALUES, CRS_ALIGN_STEP, 2, 3, 0, 0, {5, 2, 1}, 11, .weights = 2, .seed = 5},
    {B, CRS_TARGET_VALUES, CRS_ALIGN_SEQUENCE, 4, 1, 0, 0, {5, 2, 1}, 7, .weights = 1, .seed = 6},
    {V, CRS_TARGET_BITS, CRS_ALIGN_STEP, 1, 6, 0, 0, {5, 0, 1}, 7, .lead = true, .seed = 7},
    {V,
     CRS_TARGET_VALUES,
     CRS_ALIGN_SEQUENCE,
     3,
     2,
     4,
     3,
     {3, 2, 1},
     40,
     .equal = true,
     .lead = true,
     .weights = 1,
     .seed = 8},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static made_style any_style(int i) {
    return (made_style){.big = i & 1,
                        .chunked = i & 2,
                        .variable = i & 4,
                        .hashes = i & 8,
                        .names = i & 16,
                        .wide = i % 3 == 1 ? 4 : 0};
}

static void open_data(crs_dataset *d, const char *path) {
    said = (crs_error){0};
    crs_dataset_open(d, path, &said);
    if (said.status)
        fprintf(stderr, "%s\n", said.message);
    CU_ASSERT_EQUAL_FATAL(said.status, CRS_OK);
}

/* ---- what is taken ---- */

static void check_split(const crs_dataset *d, const made_data *data, crs_split split) {
    const made_split *s = &data->split[split];
    const crs_sequences *q = &d->sequences[split];
    int64_t longest = 0, windows = 0;
    CU_ASSERT_EQUAL_FATAL(q->count, s->count);
    CU_ASSERT_EQUAL(d->length[split], s->steps);
    for (int64_t i = 0; i < s->count; i++) {
        CU_ASSERT_EQUAL(q->length[i], s->length[i]);
        CU_ASSERT_EQUAL(q->start[i], s->start[i]);
        CU_ASSERT(!s->lead || q->lead[i] == s->lead[i]);
        longest = s->length[i] > longest ? s->length[i] : longest;
        int64_t first = s->lead ? s->lead[i] - data->schema.context : 0;
        for (first = first > 0 ? first : 0; data->schema.context > 0; first++) {
            if (first + data->schema.context + data->schema.horizon > s->length[i])
                break;
            windows++;
        }
    }
    CU_ASSERT_EQUAL(q->start[s->count], s->steps);
    CU_ASSERT_EQUAL(q->longest, longest);
    CU_ASSERT_EQUAL(q->windows, windows);
    CU_ASSERT_EQUAL(q->has_weights, s->weight != NULL);
    CU_ASSERT_EQUAL(!q->lead, !s->lead);
}

static void check_names(const crs_dataset *d, crs_split split, bool names) {
    for (int64_t i = 0; i < d->sequences[split].count; i++) {
        char wanted[32] = "", *name = crs_dataset_name(d, split, i, &said);
        if (names)
            snprintf(wanted, sizeof wanted, "sequence %d\xc3\xa4", (int)i);
        CU_ASSERT_FATAL(name != NULL);
        CU_ASSERT_STRING_EQUAL(name, wanted);
        crs_free(&name);
    }
}

static void test_opened(void) {
    const char *path = own("kinds.h5");
    for (int kind = 0; kind < KINDS; kind++) {
        made_data data = make_data(&kinds[kind]);
        char digest[CRS_HASH_HEX] = "";
        for (int style = 0; style < 32; style += kind % 2 ? 3 : 5) {
            crs_dataset d;
            made_style how = any_style(style);
            how.wide = 0; /* hashes are of what is stored */
            write_data(&data, path, how);
            open_data(&d, path);
            CU_ASSERT(!d.text);
            CU_ASSERT_EQUAL(crs_schema_same(&d.schema, "a", &data.schema, "b", &said), CRS_OK);
            CU_ASSERT(crs_schema_is_forecast(&d.schema) == (data.schema.context > 0));
            for (crs_split split = 0; split < CRS_SPLITS; split++) {
                check_split(&d, &data, split);
                check_names(&d, split, how.names);
                CU_ASSERT_EQUAL(crs_dataset_verify(&d, split, &said), CRS_OK);
            }
            if (how.names)
                CU_ASSERT(strcmp(digest, d.digest) != 0);
            if (*digest && !how.names)
                CU_ASSERT_STRING_EQUAL(digest, d.digest); /* whatever the bytes are stored like */
            if (!how.names)
                memcpy(digest, d.digest, sizeof digest);
            crs_dataset_close(&d);
        }
        free_data(&data);
    }
    unlink(path);
}

/* Two splits, or one; none in the others. */
static void test_missing_splits(void) {
    const char *path = own("some.h5");
    made_data data = make_data(&kinds[2]);
    for (int splits = 1; splits <= 2; splits++) {
        crs_dataset d;
        write_data(&data, path, (made_style){.splits = splits});
        open_data(&d, path);
        CU_ASSERT_EQUAL(d.sequences[CRS_TRAIN].count, 8);
        CU_ASSERT_EQUAL(d.sequences[CRS_TEST].count, 0);
        CU_ASSERT_EQUAL(d.sequences[CRS_TEST].start[0], 0);
        CU_ASSERT_EQUAL(crs_dataset_verify(&d, CRS_TEST, &said), CRS_OK);
        crs_dataset_close(&d);
    }
    put_array(path, "train", 0, -1, 0, 0, NULL);
    put_array(path, "validation", 0, -1, 0, 0, NULL);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "some.h5 /train /validation /test"));
    free_data(&data);
    unlink(path);
}

/* Any change of what is in it is another digest. */
static void test_digest_notices(void) {
    const char *path = own("digest.h5");
    made_data data = make_data(&kinds[7]);
    char first[CRS_HASH_HEX];
    for (int change = 0; change < 9; change++) {
        crs_dataset d;
        made_split *s = &data.split[CRS_VALIDATION];
        double *changed[] = {&s->input[3], &s->weight[1], &data.schema.scale.mean[2], &data.schema.scale.deviation[0]};
        if (change >= 1 && change <= 4)
            *changed[change - 1] += 1;
        if (change == 5)
            s->lead[0]++;
        if (change == 6)
            data.schema.context++;
        if (change == 7)
            data.schema.columns.name[0][0]++;
        if (change == 8) {
            s->length[0]--;
            s->length[1]++;
        }
        write_data(&data, path, (made_style){.hashes = change & 1});
        open_data(&d, path);
        CU_ASSERT(change == 0 || strcmp(d.digest, first) != 0);
        memcpy(first, d.digest, sizeof first);
        crs_dataset_close(&d);
    }
    free_data(&data);
    unlink(path);
}

/* ---- what is refused ---- */

/* A root that says something else. */
static void test_heads_refused(void) {
    static const struct {
        const char *name, *text, *words;
    } cases[] = {{"inputs", "images", "head.h5 inputs 'images'"},
                 {"inputs", NULL, "head.h5 inputs ''"},
                 {"targets", "labels", "head.h5 targets 'labels'"},
                 {"targets", "next", "head.h5 targets 'next'"},
                 {"alignment", "free", "head.h5 alignment 'free'"},
                 {"format", "carousel/sequence", "head.h5 carousel/sequence carousel/tokens"},
                 {"version", "one", "head.h5 version"},
                 {"context", "two", "head.h5 context horizon"}};
    const char *path = own("head.h5");
    made_data data = make_data(&kinds[4]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_data(&data, path, (made_style){0});
        put_root(path, cases[i].name, cases[i].text);
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, cases[i].words));
    }
    write_data(&data, path, (made_style){0});
    put_root_number(path, "version", 2);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 version 2 newer"));
    write_data(&data, path, (made_style){0});
    put_root_number(path, "context", 2);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 context horizon"));
    put_root_number(path, "horizon", 2); /* of data by step */
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 context horizon sequence"));
    free_data(&data);
    data = make_data(&kinds[7]);
    write_data(&data, path, (made_style){0});
    put_root_number(path, "horizon", 0);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 context horizon"));
    put_root_number(path, "horizon", INT32_MAX);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "head.h5 /train/target_columns horizon"));
    free_data(&data);
    unlink(path);
}

/* Arrays of another type, shape or with values that can't be; each in turn takes the place of a good one. */
typedef struct bad_array {
    int kind;
    const char *name;
    int64_t rows, width; /* rows -1: removed */
    int type;            /* of bad_types */
    double value[4];
    const char *words;
} bad_array;

enum { F32, F64, I64, U8, U16, U32, I32, U64, BAD_TYPES };

static const bad_array bad_arrays[] = {
    {4, "train/lengths", -1, 0, I64, {0}, "/train/lengths has no"},
    {4, "train/inputs", -1, 0, F32, {0}, "/train/inputs has no"},
    {4, "train/targets", -1, 0, F32, {0}, "/train/targets has no"},
    {4, "validation/lengths", 2, 0, U32, {1, 1}, "/validation/lengths signed 64"},
    {4, "validation/lengths", 1, 2, I64, {1, 1}, "/validation/lengths one dimension"},
    {4, "train/lengths", 3, 0, I64, {3, 0, 4}, "/train/lengths[1] is 0"},
    {4, "train/lengths", 3, 0, I64, {3, -7, 4}, "/train/lengths[1] is -7"},
    {4, "train/lengths", 2, 0, I64, {1, 9e18}, "/train/lengths[1] is 9000000000000000000 at most 1073741824"},
    {4, "train/lengths", 2, 0, I64, {1, 1000}, "/train/lengths[1] is 1000 /train/inputs left"},
    {4, "train/lengths", 2, 0, I64, {1, 1}, "/train/lengths add up to 2 steps /train/inputs"},
    {4, "train/inputs", 2, 2, F64, {1, 1, 1, 1}, "/train/inputs floating-point 32"},
    {4, "train/inputs", 4, 0, F32, {1, 1, 1, 1}, "/train/inputs two dimensions"},
    {4, "train/inputs", 4, 1, F32, {1, 1, 1, 1}, "/train/inputs 1 columns 2"},
    {4, "train/inputs", 0, 2, F32, {0}, "/train/lengths rows 0 steps"},
    {4, "train/targets", 1, 3, F32, {1, 1, 1}, "/train/targets 1 rows steps"},
    {4, "train/targets", 1, 4, F32, {1, 1, 1, 1}, "/train/targets 4 columns 3"},
    {4, "train/weights", 3, 0, F32, {1, 1, 1}, "/train/weights 3 rows steps"},
    {4, "train/weights", 3, 0, F64, {1, 1, 1}, "/train/weights floating-point"},
    {4, "train/lead", 3, 0, I64, {1, 1, 1}, "/train/lead 3 rows 5 sequences"},
    {4, "validation/lead", 2, 0, I64, {0, -1}, "/validation/lead[1] is -1"},
    {4, "scale/mean", -1, 0, F64, {0}, "/scale/mean has no"},
    {4, "scale/mean", 2, 0, F32, {0}, "/scale/mean floating-point 64"},
    {4, "scale/mean", 3, 0, F64, {0}, "/scale/mean 3 numbers 2 columns"},
    {4, "scale/mean", 2, 0, F64, {0, NAN}, "/scale/mean[1] finite"},
    {4, "scale/deviation", 2, 0, F64, {1, 0}, "/scale/deviation[1] above 0"},
    {4, "target_scale/deviation", 3, 0, F64, {1, -1, 1}, "/target_scale/deviation[1] above 0"},
    {4, "scale/deviation", 2, 0, F64, {1, NAN}, "/scale/deviation[1] above 0"},
    {4, "scale/deviation", 2, 0, F64, {INFINITY, 1}, "/scale/deviation[0] finite"},
    {4, "scale/deviation", -1, 0, F64, {0}, "/scale/deviation has no"},
    {4, "scale", -1, 0, F64, {0}, "/scale/mean has no"},
    {4, "target_scale", -1, 0, F64, {0}, "/target_scale/mean has no"},
    {4, "target_scale/mean", -1, 0, F64, {0}, "/target_scale/mean has no"},
    {4, "columns", -1, 0, U8, {0}, "/columns has no"},
    {4, "columns", 2, 0, U8, {0}, "/columns strings"},
    {4, "target_names", -1, 0, U8, {0}, "/target_names has no"},
    {4, "train/target_columns", 1, 0, I64, {0}, "/train/target_columns values"},
    {4, "validation/names", 2, 0, U8, {0}, "/validation/names strings"},
    {0, "train/inputs", 4, 0, I32, {1, 1, 1, 1}, "/train/inputs unsigned"},
    {0, "train/inputs", 4, 0, U64, {1, 1, 1, 1}, "/train/inputs unsigned"},
    {0, "train/targets", 1, 0, U8, {1}, "/train/targets next"},
    {0, "vocabulary", -1, 0, U8, {0}, "/vocabulary"},
    {1, "train/inputs", 1, 5, U16, {0}, "/train/inputs 8 bits"},
    {2, "train/targets", 1, 0, U8, {0}, "/train/targets 1 rows 8 sequences"},
    {2, "train/targets", 8, 1, U8, {0}, "/train/targets one dimension"},
    {2, "train/weights", 9, 0, F32, {0}, "/train/weights 9 rows 8 sequences"},
    {2, "classes", -1, 0, U8, {0}, "/classes has no"},
    {7, "train/target_columns", -1, 0, I64, {0}, "/train/target_columns has no"},
    {7, "train/target_columns", 2, 0, I64, {0, 3}, "/train/target_columns[1] is 3"},
    {7, "train/target_columns", 2, 0, I64, {-1, 0}, "/train/target_columns[0] is -1"},
    {7, "train/target_columns", 2, 0, I64, {2, 2}, "/train/target_columns[1] is 2 once more"},
    {7, "train/target_columns", 0, 0, I64, {0}, "/train/target_columns has 0 columns"},
    {7, "test/target_columns", 2, 0, I64, {0, 1}, "/test/target_columns[0] is 0 another split"},
    {7, "test/target_columns", 1, 0, I64, {1}, "/test/target_columns has 1 columns another split"},
    {7, "train/targets", 1, 1, F32, {1}, "/train/targets forecast"},
};

static hid_t bad_type(int type) {
    const hid_t types[BAD_TYPES] = {H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_STD_I64LE, H5T_STD_U8LE,
                                    H5T_STD_U16LE,  H5T_STD_U32BE,  H5T_STD_I32LE, H5T_STD_U64LE};
    return types[type];
}

static void test_arrays_refused(void) {
    const char *path = own("bad.h5");
    double values[64];
    for (size_t i = 0; i < sizeof bad_arrays / sizeof *bad_arrays; i++) {
        const bad_array *bad = &bad_arrays[i];
        made_data data = make_data(&kinds[bad->kind]);
        write_data(&data, path, (made_style){0});
        for (int j = 0; j < 64; j++)
            values[j] = bad->value[j % 4];
        put_array(path, bad->name, bad_type(bad->type), bad->rows, bad->width, H5T_NATIVE_DOUBLE, values);
        const bool refused = refuses(&said, try_open(path), CRS_DATA, bad->words);
        if (!refused)
            fprintf(stderr, "not as wanted: %s (wanted: %s)\n", said.message, bad->words);
        CU_ASSERT(refused);
        free_data(&data);
    }
    unlink(path);
}

/* Values that can't be: found by whoever reads them, with their place. */
static void test_values_refused(void) {
    static const struct {
        int kind, part;
        int64_t at;
        double value;
        const char *words;
    } cases[] = {{0, 0, 7, 300, "/validation/inputs[7] is 300 300 vocabulary"},
                 {1, 0, 12, 2, "/validation/inputs[2, 2] is 2 bit"},
                 {4, 0, 5, NAN, "/validation/inputs[2, 1] is nan"},
                 {4, 1, 7, INFINITY, "/validation/targets[2, 1] is inf"},
                 {6, 1, 3, 7, "/validation/targets[0, 3] is 7 bit"},
                 {3, 1, 1, 301, "/validation/targets[1] is 301 300 classes"},
                 {4, 2, 2, -1, "/validation/weights[2] is -1"},
                 {4, 2, 2, 0x1p-21, "/validation/weights[2] is 4.76837e-07 2^-20"},
                 {4, 2, 2, 0x1.8p20, "/validation/weights[2] is 1.57286e+06 2^20"},
                 {4, 2, 2, NAN, "/validation/weights[2] is nan"}};
    const char *path = own("values.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        made_plan plan = kinds[cases[i].kind];
        plan.count[CRS_VALIDATION] = 3;
        made_data data = make_data(&plan);
        made_split *s = &data.split[CRS_VALIDATION];
        double *parts[] = {s->input, s->target, s->weight};
        parts[cases[i].part][cases[i].at] = cases[i].value;
        write_data(&data, path, (made_style){.hashes = true, .wide = 2});
        crs_dataset d;
        open_data(&d, path);
        CU_ASSERT_EQUAL(crs_dataset_verify(&d, CRS_TRAIN, &said), CRS_OK);
        const bool refused = refuses(&said, crs_dataset_verify(&d, CRS_VALIDATION, &said), CRS_DATA, cases[i].words);
        if (!refused)
            fprintf(stderr, "not as wanted: %s (wanted: %s)\n", said.message, cases[i].words);
        CU_ASSERT(refused);
        crs_dataset_close(&d);
        /* Without hashes the digest needs them all. */
        write_data(&data, path, (made_style){.wide = 2});
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, cases[i].words));
        free_data(&data);
    }
    unlink(path);
}

static void put_hash(const char *path, const char *name) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, name, H5P_DEFAULT);
    H5Adelete(set, CRS_HASH_ATTRIBUTE);
    crs_h5_put_text(set, CRS_HASH_ATTRIBUTE, "0123456789abcdef0123456789abcdef");
    H5Dclose(set);
    H5Fclose(file);
}

static void test_hashes_refused(void) {
    static const struct {
        const char *name;
        bool later;
    } cases[] = {
        {"train/lengths", false}, {"train/lead", false},   {"columns", false},   {"train/target_columns", false},
        {"train/inputs", true},   {"train/weights", true}, {"train/names", true}};
    const char *path = own("hash.h5");
    made_data data = make_data(&kinds[7]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crs_dataset d;
        char words[96];
        snprintf(words, sizeof words, "/%s damaged hash 0123456789abcdef", cases[i].name);
        write_data(&data, path, (made_style){.hashes = true, .names = true});
        put_hash(path, cases[i].name);
        if (!cases[i].later) {
            CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, words));
            continue;
        }
        open_data(&d, path);
        CU_ASSERT(refuses(&said, crs_dataset_verify(&d, CRS_TRAIN, &said), CRS_DATA, words));
        crs_dataset_close(&d);
    }
    free_data(&data);
    unlink(path);
}

/* What dimensions claim and the file does not hold, before room for it is asked for. */
static void test_claims_refused(void) {
    static const char *const names[] = {"train/lengths", "train/inputs", "train/targets", "train/weights",
                                        "train/lead"};
    const char *path = own("claims.h5");
    made_data data = make_data(&kinds[4]);
    const int64_t peak = crs_memory_peak(CRS_MEMORY_DATA);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const int64_t width = i == 1 ? 2 : i == 2 ? 3 : 0;
        const hid_t type = i == 0 || i == 4 ? H5T_STD_I64LE : H5T_IEEE_F32LE;
        for (int layout = 0; layout < 2; layout++) {
            char words[64];
            const hsize_t sizes[2] = {(hsize_t)1 << 40, (hsize_t)width}, chunk[2] = {1000, 1};
            write_data(&data, path, (made_style){0});
            hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), plan = H5Pcreate(H5P_DATASET_CREATE);
            hid_t space = H5Screate_simple(width ? 2 : 1, sizes, NULL);
            if (layout)
                H5Pset_chunk(plan, width ? 2 : 1, chunk);
            H5Ldelete(file, names[i], H5P_DEFAULT);
            H5Dclose(H5Dcreate2(file, names[i], type, space, H5P_DEFAULT, plan, H5P_DEFAULT));
            H5Sclose(space);
            H5Pclose(plan);
            H5Fclose(file);
            snprintf(words, sizeof words, "claims.h5 /%s claims more truncated", names[i]);
            CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, words));
        }
    }
    CU_ASSERT(crs_memory_peak(CRS_MEMORY_DATA) < peak + (1 << 21));
    free_data(&data);
    unlink(path);
}

/* Kept elsewhere, behind a link to another file. */
static void test_elsewhere_refused(void) {
    const char *path = own("here.h5"), *other = own("there.h5");
    made_data data = make_data(&kinds[4]);
    write_data(&data, path, (made_style){0});
    write_data(&data, other, (made_style){0});
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "train/inputs", H5P_DEFAULT);
    CU_ASSERT(H5Lcreate_external(other, "/train/inputs", file, "train/inputs", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "here.h5 /train/inputs other files"));
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "train", H5P_DEFAULT);
    CU_ASSERT(H5Lcreate_external(other, "/train", file, "train", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(file);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "here.h5 /train/lengths other files"));
    free_data(&data);
    unlink(path);
    unlink(other);
}

/* The same shape and type, but the bytes in another file, by HDF5's external storage. */
static void put_elsewhere(const char *path, const char *name, const char *other) {
    hsize_t sizes[2];
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), plan = H5Pcreate(H5P_DATASET_CREATE);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT), type = H5Dget_type(set), space = H5Dget_space(set);
    H5Sget_simple_extent_dims(space, sizes, NULL);
    H5Pset_external(plan, other, 0, (hsize_t)H5Sget_simple_extent_npoints(space) * H5Tget_size(type));
    H5Dclose(set);
    H5Ldelete(file, name, H5P_DEFAULT);
    set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    CU_ASSERT(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(type);
    H5Pclose(plan);
    H5Fclose(file);
}

static void test_external_refused(void) {
    static const char *const names[] = {
        "train/lengths",     "train/inputs",          "train/targets", "train/weights", "train/lead", "train/names",
        "validation/inputs", "test/lengths",          "columns",       "target_names",  "scale/mean", "scale/deviation",
        "target_scale/mean", "target_scale/deviation"};
    const char *path = own("here.h5"), *other = own("there.bytes");
    made_plan plan = kinds[4];
    plan.lead = true;
    made_data data = make_data(&plan);
    put_text(other, "bytes of another");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char words[96];
        write_data(&data, path, (made_style){.names = true});
        put_elsewhere(path, names[i], other);
        snprintf(words, sizeof words, "here.h5 /%s other files", names[i]);
        const bool refused = refuses(&said, try_open(path), CRS_DATA, words);
        if (!refused)
            fprintf(stderr, "not as wanted: %s (wanted: %s)\n", said.message, words);
        CU_ASSERT(refused);
    }
    free_data(&data);
    unlink(path);
    unlink(other);
}

/* Names that no list can have. */
static void test_names_refused(void) {
    const char *path = own("names.h5");
    made_data data = make_data(&kinds[4]);
    for (int variable = 0; variable < 2; variable++) {
        data.schema.columns.name[1][0] = (char)0xff;
        write_data(&data, path, (made_style){.variable = variable});
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "names.h5 /columns[1] UTF-8 byte 0"));
        data.schema.columns.name[1][0] = 'c';
        CU_ASSERT_FATAL(crs_names_add(&data.schema.columns, "one more"));
        write_data(&data, path, (made_style){.variable = variable});
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "names.h5 3"));
        crs_free(&data.schema.columns.name[2]);
        data.schema.columns.count = 2;
    }
    /* Of a sequence, whatever they are, they never drive a terminal. */
    crs_dataset d;
    write_data(&data, path, (made_style){.names = true});
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "train/names", H5P_DEFAULT),
          type = H5Dget_type(set);
    char *block = crs_alloc(5, H5Tget_size(type), CRS_MEMORY_OTHER);
    memcpy(block,
           "a\033[\xff"
           "b",
           5);
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, block);
    crs_free(&block);
    H5Tclose(type);
    H5Dclose(set);
    H5Fclose(file);
    open_data(&d, path);
    char *name = crs_dataset_name(&d, CRS_TRAIN, 0, &said);
    CU_ASSERT_STRING_EQUAL(name, "a?[?b");
    crs_free(&name);
    crs_dataset_close(&d);
    free_data(&data);
    unlink(path);
}

/* Makes the attribute `units` of a list: so many strings of `size` bytes each (0: of variable length), or numbers. */
static void put_units(const char *path, const char *list, const char *const *units, int count, size_t size) {
    const hsize_t n = (hsize_t)count;
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate_simple(1, &n, NULL),
          type = units ? H5Tcopy(H5T_C_S1) : H5Tcopy(H5T_NATIVE_INT64);
    char block[8 * 16] = "";
    CU_ASSERT_FATAL(file >= 0 && count <= 8 && size <= 16);
    if (units)
        H5Tset_size(type, size ? size : H5T_VARIABLE);
    for (int i = 0; units && size > 0 && i < count; i++)
        memcpy(block + (size_t)i * size, units[i], strlen(units[i]));
    if (size > 0)
        H5Tset_strpad(type, H5T_STR_NULLPAD);
    if (H5Aexists_by_name(file, list, "units", H5P_DEFAULT) > 0)
        H5Adelete_by_name(file, list, "units", H5P_DEFAULT);
    hid_t made = H5Acreate_by_name(file, list, "units", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Awrite(made, type, units && size == 0 ? (const void *)units : block) >= 0);
    H5Aclose(made);
    H5Tclose(type);
    H5Sclose(space);
    H5Fclose(file);
}

/* Of any length, with or without a zero behind; those of a forecast's targets are the columns'. */
static void test_units(void) {
    static const char *const three[] = {"MW", "",
                                        "\xc2\xb0"
                                        "C\n"};
    const char *path = own("units.h5");
    made_data data = make_data(&kinds[7]);
    crs_dataset d;
    for (size_t size = 0; size <= 12; size += 4) {
        write_data(&data, path, (made_style){0});
        put_units(path, "columns", three, 3, size);
        open_data(&d, path);
        CU_ASSERT_EQUAL_FATAL(d.schema.units.count, 3);
        CU_ASSERT_STRING_EQUAL(d.schema.units.name[0], "MW");
        CU_ASSERT_STRING_EQUAL(d.schema.units.name[1], "");
        CU_ASSERT_STRING_EQUAL(d.schema.units.name[2], "\xc2\xb0"
                                                       "C?");
        CU_ASSERT_EQUAL_FATAL(d.schema.target_units.count, 2);
        CU_ASSERT_STRING_EQUAL(d.schema.target_units.name[0], "");
        CU_ASSERT_STRING_EQUAL(d.schema.target_units.name[1], "MW");
        crs_dataset_close(&d);
        put_units(path, "columns", three, 1, size);
        open_data(&d, path);
        CU_ASSERT_EQUAL_FATAL(d.schema.units.count, 3);
        CU_ASSERT_STRING_EQUAL(d.schema.units.name[2], "MW");
        crs_dataset_close(&d);
        put_units(path, "columns", three, 2, size);
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "units.h5 /columns `units` 3"));
    }
    put_units(path, "columns", NULL, 3, 0);
    CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, "units.h5 /columns `units` 3"));
    free_data(&data);
    unlink(path);
}

/* Two of a name, in any list. */
static void test_repeated_names_refused(void) {
    static const struct {
        int kind;
        size_t list;
        const char *words;
    } cases[] = {{2, offsetof(crs_schema, columns), "twice.h5 /columns[0] /columns[2] 'column"},
                 {2, offsetof(crs_schema, classes), "twice.h5 /classes[0] /classes[2] 'class"},
                 {4, offsetof(crs_schema, target_names), "twice.h5 /target_names[0] /target_names[2] 'target"}};
    const char *path = own("twice.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        made_data data = make_data(&kinds[cases[i].kind]);
        char **name = ((crs_names *)(void *)((char *)&data.schema + cases[i].list))->name;
        strcpy(name[2], name[0]);
        write_data(&data, path, (made_style){.variable = i & 1});
        CU_ASSERT(refuses(&said, try_open(path), CRS_DATA, cases[i].words));
        free_data(&data);
    }
    unlink(path);
}

/* A part of a file, and one that changes while it is open. */
static void test_changing_files(void) {
    const char *path = own("moving.h5"), *part = own("part.h5");
    made_data data = make_data(&kinds[4]);
    size_t bytes;
    write_data(&data, path, (made_style){.hashes = true});
    unsigned char *all = get_file(path, &bytes);
    for (size_t length = 1; length < bytes; length += bytes / 40 + 1) {
        put_file(part, all, length);
        CU_ASSERT(refuses(&said, try_open(part), CRS_DATA, "part.h5"));
    }
    crs_dataset d;
    open_data(&d, path);
    put_file(part, all, bytes);
    CU_ASSERT_EQUAL(rename(part, path), 0);
    CU_ASSERT(refuses(&said, crs_dataset_verify(&d, CRS_TRAIN, &said), CRS_DATA, "moving.h5 changed place"));
    crs_dataset_close(&d);
    said = (crs_error){0};
    open_data(&d, path);
    CU_ASSERT_EQUAL(truncate(path, (off_t)bytes / 2), 0);
    CU_ASSERT(refuses(&said, crs_dataset_verify(&d, CRS_TRAIN, &said), CRS_DATA, "moving.h5 changed bytes"));
    crs_dataset_close(&d);
    said = (crs_error){0};
    put_file(path, all, bytes);
    open_data(&d, path);
    unlink(path); /* without its name it is as good as before */
    CU_ASSERT_EQUAL(crs_dataset_verify(&d, CRS_TRAIN, &said), CRS_OK);
    crs_dataset_close(&d);
    crs_free(&all);
    free_data(&data);
}

/* Each allocation of opening and verifying fails in turn. */
static void test_opening_without_memory(void) {
    const char *path = own("memory.h5");
    made_data data = make_data(&kinds[7]);
    write_data(&data, path, (made_style){.names = true});
    put_units(path, "columns", (const char *const[]){"MW", "kg", "mm"}, 3, 0);
    const int64_t blocks = crs_memory_blocks();
    int refused = 0;
    for (int n = 1; n < 200; n++) {
        crs_dataset d;
        said = (crs_error){0};
        crs_memory_fail_at(n);
        if (crs_dataset_open(&d, path, &said) == CRS_OK)
            crs_dataset_verify(&d, CRS_TRAIN, &said);
        crs_memory_fail_at(0);
        CU_ASSERT(said.status == CRS_OK || said.status == CRS_INTERNAL);
        refused += said.status != CRS_OK;
        crs_dataset_close(&d);
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    }
    CU_ASSERT(refused > 20 && refused < 190);
    free_data(&data);
    unlink(path);
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_opened),
                                         HARNESS_TEST(test_missing_splits),
                                         HARNESS_TEST(test_digest_notices),
                                         HARNESS_TEST(test_heads_refused),
                                         HARNESS_TEST(test_arrays_refused),
                                         HARNESS_TEST(test_values_refused),
                                         HARNESS_TEST(test_hashes_refused),
                                         HARNESS_TEST(test_claims_refused),
                                         HARNESS_TEST(test_elsewhere_refused),
                                         HARNESS_TEST(test_external_refused),
                                         HARNESS_TEST(test_names_refused),
                                         HARNESS_TEST(test_units),
                                         HARNESS_TEST(test_repeated_names_refused),
                                         HARNESS_TEST(test_changing_files),
                                         HARNESS_TEST(test_opening_without_memory),
                                         HARNESS_END};
    harness_add("sequences", tests);
    return harness_run(argc, argv);
}
