/* The file of a checkpoint: round trips, damage of every kind, digests. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/image.h"
#include "checkpoint/listing.h"
#include "checkpoint_fixture.h"
#include "harness.h"

static crs_error error;

/* A file of this rank alone. */
static const char *own(const char *name) {
    char mine[64];
    snprintf(mine, sizeof mine, "%d-%s", harness_rank(), name);
    return harness_path(mine);
}

/* A whole file of the small checkpoint; returns its path. */
static const char *make_file(const char *name) {
    crs_checkpoint c;
    const char *path = own(name);
    fixture_make(&c, "lstm", 3, CRS_LEVEL_CHAR, 7);
    CU_ASSERT_EQUAL(crs_checkpoint_write(path, &c, &error), CRS_OK);
    crs_checkpoint_free(&c);
    return path;
}

/* Reading ends with this status and a message with these words. */
static void refused(const char *path, crs_status status, const char *words, const char *more) {
    crs_checkpoint c;
    crs_status got = crs_checkpoint_read(path, &c, &error);
    CU_ASSERT_EQUAL(got, status);
    CU_ASSERT(c.arrays == 0 && !c.array && !c.config);
    bool said = strstr(error.message, words) && strstr(error.message, more) && strstr(error.message, path);
    if (got != status || !said)
        fprintf(stderr, "wanted %d and '%s', '%s'; got %d: %s\n", status, words, more, got, error.message);
    CU_ASSERT(said);
    crs_checkpoint_free(&c);
}

/* ---- round trips ---- */

static void test_round_trip(void) {
    static const char *const cells[] = {"lstm", "peephole", "gru", "rnn"};
    for (int i = 0; i < 16; i++) {
        crs_checkpoint written, got;
        fixture_make(&written, cells[i % 4], i / 4 % 2 ? 3 : 0, i / 8 ? CRS_LEVEL_BYTE : CRS_LEVEL_CHAR, i);
        if (i % 3 == 0)
            crs_attributes_put_real(&written.attributes, "best_validation_loss", NAN);
        if (i % 5 == 0)
            written.attributes.count--; /* the last: data */
        const char *path = own("round.h5");
        CU_ASSERT_EQUAL(crs_checkpoint_write(path, &written, &error), CRS_OK);
        CU_ASSERT_EQUAL(crs_checkpoint_read(path, &got, &error), CRS_OK);
        CU_ASSERT(fixture_equal(&written, &got));
        /* what was read can grow, as what was made */
        for (int k = 0; k < 9; k++) {
            char name[32];
            snprintf(name, sizeof name, "/state/more%d", k);
            CU_ASSERT_PTR_NOT_NULL(crs_checkpoint_add(&got, name, CRS_I64, 0, NULL, &error));
        }
        CU_ASSERT_EQUAL(crs_checkpoint_write(path, &got, &error), CRS_OK);
        crs_checkpoint_free(&got);
        CU_ASSERT_EQUAL(crs_checkpoint_read(path, &got, &error), CRS_OK);
        CU_ASSERT_EQUAL(got.arrays, written.arrays + 9);
        crs_checkpoint_free(&got);
        crs_checkpoint_free(&written);
    }
}

/* What another kind of model says of itself is kept, whatever it is; what does not fit the list is a guest's. */
static void test_other_attributes(void) {
    crs_checkpoint written, got;
    crs_error why;
    int64_t heads = 0;
    char name[16];
    fixture_make(&written, "lstm", 3, CRS_LEVEL_CHAR, 7);
    crs_attributes_put_text(&written.attributes, "head", "squares");
    crs_attributes_put_integer(&written.attributes, "heads", -8);
    crs_attributes_put_real(&written.attributes, "scale", -0.0);
    const char *path = own("other.h5");
    CU_ASSERT_EQUAL(crs_checkpoint_write(path, &written, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_checkpoint_read(path, &got, &error), CRS_OK);
    CU_ASSERT(fixture_equal(&written, &got));
    CU_ASSERT_EQUAL(crs_attributes_integer(&got.attributes, "heads", path, &heads, &why), CRS_OK);
    CU_ASSERT_EQUAL(heads, -8);
    CU_ASSERT_EQUAL(crs_attributes_integer(&got.attributes, "head", path, &heads, &why), CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.message, "the attribute head is missing, or no integer"));
    crs_checkpoint_free(&got);
    for (int i = 0; written.attributes.count < CRS_ATTRIBUTES_MOST; i++) {
        snprintf(name, sizeof name, "many%d", i);
        crs_attributes_put_integer(&written.attributes, name, i);
    }
    CU_ASSERT_FALSE(crs_attributes_put(&written.attributes, &(crs_attribute){.name = "one too many"}));
    CU_ASSERT_EQUAL(crs_checkpoint_write(path, &written, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_checkpoint_read(path, &got, &error), CRS_OK);
    CU_ASSERT(fixture_equal(&written, &got));
    crs_checkpoint_free(&got);
    crs_checkpoint_free(&written);
}

static void test_same_bytes(void) {
    size_t a, b;
    unsigned char *one = fixture_slurp(make_file("one.h5"), &a);
    sleep(1); /* a time of day in the file would show */
    unsigned char *two = fixture_slurp(make_file("two.h5"), &b);
    CU_ASSERT(one && two && a == b && memcmp(one, two, a) == 0);
    free(one);
    free(two);
}

static void test_replaces(void) {
    crs_checkpoint c, got;
    const char *path = make_file("replaced.h5");
    fixture_make(&c, "gru", 0, CRS_LEVEL_CHAR, 8);
    CU_ASSERT_EQUAL(crs_checkpoint_write(path, &c, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_checkpoint_read(path, &got, &error), CRS_OK);
    CU_ASSERT(fixture_equal(&c, &got));
    crs_checkpoint_free(&got);
    crs_checkpoint_free(&c);
}

/* ---- damage ---- */

/* Reads a damaged file: an error, or exactly what was written. Counts the errors. */
static void read_damaged(const char *path, const crs_checkpoint *written, int *errors) {
    crs_checkpoint got;
    crs_status status = crs_checkpoint_read(path, &got, &error);
    if (status == CRS_OK) {
        CU_ASSERT(fixture_equal(written, &got));
    } else {
        CU_ASSERT_EQUAL(status, CRS_DATA);
        CU_ASSERT(strlen(error.message) > 20);
        ++*errors;
    }
    crs_checkpoint_free(&got);
}

static void test_flipped_bytes(void) {
    static const unsigned char patterns[] = {0xff, 0x01, 0x80, 0x10};
    crs_checkpoint written;
    size_t size;
    int errors = 0, places = 0;
    if (harness_rank() != 0)
        return;
    const char *path = make_file("flipped.h5");
    unsigned char *bytes = fixture_slurp(path, &size);
    fixture_make(&written, "lstm", 3, CRS_LEVEL_CHAR, 7);
    /* the superblock and the root's attributes closely, the rest in even steps */
    for (size_t at = 0; at < size; at += at < 3000 ? 13 : size / 300, places++) {
        unsigned char before = bytes[at];
        bytes[at] ^= patterns[places % 4];
        fixture_spill(path, bytes, size);
        read_damaged(path, &written, &errors);
        bytes[at] = before;
    }
    CU_ASSERT(places > 400);
    CU_ASSERT(errors > places / 4); /* the rest is padding */
    fixture_spill(path, bytes, size);
    errors = 0;
    read_damaged(path, &written, &errors);
    CU_ASSERT_EQUAL(errors, 0);
    crs_checkpoint_free(&written);
    free(bytes);
}

/* No byte of any value can change unnoticed. */
static void test_flipped_values(void) {
    crs_checkpoint written;
    size_t size;
    int errors = 0, places = 0;
    if (harness_rank() != 0)
        return;
    const char *path = make_file("values.h5");
    unsigned char *bytes = fixture_slurp(path, &size);
    fixture_make(&written, "lstm", 3, CRS_LEVEL_CHAR, 7);
    for (int i = 0; i < written.arrays; i++) {
        const crs_array *array = &written.array[i];
        size_t count = (size_t)crs_array_size(array) * crs_type_size(array->type);
        unsigned char *at = memmem(bytes, size, array->values, count);
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        if (count == 0)
            continue;
        at[count / 2] ^= 0x04;
        fixture_spill(path, bytes, size);
        read_damaged(path, &written, &errors);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, array->path));
        at[count / 2] ^= 0x04;
        places++;
    }
    CU_ASSERT_EQUAL(errors, places);
    crs_checkpoint_free(&written);
    free(bytes);
}

static void test_truncated(void) {
    crs_checkpoint written;
    size_t size;
    int errors = 0, lengths = 0;
    if (harness_rank() != 0)
        return;
    const char *path = make_file("truncated.h5");
    unsigned char *bytes = fixture_slurp(path, &size);
    fixture_make(&written, "lstm", 3, CRS_LEVEL_CHAR, 7);
    for (size_t length = 0; length < size; length += length < 64 ? 1 : size / 97, lengths++) {
        fixture_spill(path, bytes, length);
        read_damaged(path, &written, &errors);
    }
    fixture_spill(path, bytes, size - 1);
    read_damaged(path, &written, &errors);
    CU_ASSERT_EQUAL(errors, lengths + 1);
    crs_checkpoint_free(&written);
    free(bytes);
}

static void test_zeroed_pages(void) {
    enum { PAGE = 512 };
    crs_checkpoint written;
    size_t size;
    int errors = 0;
    if (harness_rank() != 0)
        return;
    const char *path = make_file("zeroed.h5");
    unsigned char *bytes = fixture_slurp(path, &size), *whole = malloc(size);
    memcpy(whole, bytes, size);
    fixture_make(&written, "lstm", 3, CRS_LEVEL_CHAR, 7);
    for (size_t at = 0; at < size; at += PAGE) {
        size_t count = size - at < PAGE ? size - at : PAGE;
        memset(bytes + at, 0, count);
        fixture_spill(path, bytes, size);
        read_damaged(path, &written, &errors);
        memcpy(bytes + at, whole + at, count);
    }
    CU_ASSERT(errors > (int)(size / PAGE / 2));
    crs_checkpoint_free(&written);
    free(bytes);
    free(whole);
}

/* ---- foreign files ---- */

static void test_foreign(void) {
    static const unsigned char text[] = "It is a truth universally acknowledged, that a file of text is no checkpoint.";
    const char *path = own("foreign.h5");
    refused(own("missing.h5"), CRS_NO_INPUT, "No such file", "give a file");
    refused(harness_dir(), CRS_NO_INPUT, "folder", "last.h5");
    fixture_spill(path, text, 0);
    refused(path, CRS_DATA, "empty", "give");
    fixture_spill(path, text, sizeof text);
    refused(path, CRS_DATA, "no HDF5 file", "give");
    unlink(path);
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
    refused(path, CRS_NO_INPUT, "no file", "give a file");
}

static void put_format(int64_t file, const void *context) {
    H5Adelete((hid_t)file, "format");
    if (context)
        CU_ASSERT(crs_h5_put_text((hid_t)file, "format", context));
}

static void put_version(int64_t file, const void *context) {
    H5Adelete((hid_t)file, "version");
    CU_ASSERT(crs_h5_put_integer((hid_t)file, "version", *(const int *)context));
}

static void test_format(void) {
    char format[32];
    const char *path = make_file("format.h5");
    CU_ASSERT_EQUAL(crs_file_format(path, format, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(format, "carousel/checkpoint");
    fixture_edit(path, put_format, "carousel/tokens", false);
    refused(path, CRS_DATA, "this is a data set of tokens", "give a checkpoint");
    CU_ASSERT_EQUAL(crs_file_format(path, format, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(format, "carousel/tokens");
    fixture_edit(path, put_format, "weather/clouds", false);
    refused(path, CRS_DATA, "weather/clouds", "neither");
    CU_ASSERT_EQUAL(crs_file_format(path, format, &error), CRS_DATA);
    fixture_edit(path, put_format, NULL, false);
    refused(path, CRS_DATA, "neither", "format");
    CU_ASSERT_EQUAL(crs_file_format(own("missing.h5"), format, &error), CRS_NO_INPUT);
}

static void test_version(void) {
    const int newer = 2, none = 0;
    const char *path = make_file("version.h5");
    fixture_edit(path, put_version, &newer, true);
    refused(path, CRS_DATA, "version 2", "newer carousel");
    fixture_edit(path, put_version, &newer, false);
    refused(path, CRS_DATA, "version 2", "newer carousel");
    fixture_edit(path, put_version, &none, true);
    refused(path, CRS_DATA, "version 0", "damaged");
}

static void test_newer_hdf5(void) {
    size_t size;
    const char *path = make_file("newer.h5");
    unsigned char *bytes = fixture_slurp(path, &size);
    CU_ASSERT(bytes[8] < 4);
    bytes[8] = 4; /* the superblock's version */
    fixture_spill(path, bytes, size);
    refused(path, CRS_DATA, "newer HDF5", "h5repack");
    free(bytes);
}

/* ---- changes that keep HDF5 content ---- */

typedef struct root_change {
    const char *attribute;
    int64_t integer;
    const char *text; /* NULL: the integer; "": the attribute goes */
} root_change;

static void change_root(int64_t file, const void *context) {
    const root_change *change = context;
    if (H5Aexists((hid_t)file, change->attribute) > 0)
        H5Adelete((hid_t)file, change->attribute);
    if (!change->text)
        CU_ASSERT(crs_h5_put_integer((hid_t)file, change->attribute, change->integer));
    if (change->text && *change->text)
        CU_ASSERT(crs_h5_put_text((hid_t)file, change->attribute, change->text));
}

static void test_changed_attributes(void) {
    static const root_change changes[] = {
        {"step", 8, NULL},    {"epoch", 5, NULL},
        {"tokens", 1, NULL},  {"data", 0, "deadbeef"},
        {"data", 0, ""},      {"program", 0, "carousel 9"},
        {"note", 0, "added"}, {"best_validation_loss_units", 0, "bits"},
        {"level", 0, "byte"}, {"cell", 0, "peephole"},
        {"hidden", 6, NULL},  {"layers", 1, NULL},
        {"embed", 4, NULL},   {"step", 0, ""},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *path = make_file("changed.h5");
        fixture_edit(path, change_root, &changes[i], false);
        refused(path, CRS_DATA, "attribute", "not what was written");
    }
}

static void move_link(int64_t file, const void *context) {
    const char *const *names = context;
    herr_t done = names[1] ? H5Lmove((hid_t)file, names[0], (hid_t)file, names[1], H5P_DEFAULT, H5P_DEFAULT)
                           : H5Ldelete((hid_t)file, names[0], H5P_DEFAULT);
    CU_ASSERT(done >= 0);
}

static void add_copy(int64_t file, const void *context) {
    const char *const *names = context;
    CU_ASSERT(H5Ocopy((hid_t)file, names[0], (hid_t)file, names[1], H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void change_description(int64_t file, const void *context) {
    hid_t set = H5Dopen2((hid_t)file, context, H5P_DEFAULT);
    H5Adelete(set, "description");
    CU_ASSERT(crs_h5_put_text(set, "description", "something else"));
    H5Dclose(set);
}

static void test_changed_objects(void) {
    static const char *const moves[][2] = {
        {"/history/validation_loss", NULL},      {"/state/seed", NULL}, {"/state/seed", "/state/sown"},
        {"/model/output/bias", "/history/bias"}, {"/config", NULL},
    };
    static const char *const copy[] = {"/state/seed", "/state/again"};
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        const char *path = make_file("moved.h5");
        fixture_edit(path, move_link, moves[i], false);
        refused(path, CRS_DATA, "a name", "not what was written");
    }
    const char *path = make_file("copied.h5");
    fixture_edit(path, add_copy, copy, false);
    refused(path, CRS_DATA, "a name", "not what was written");
    path = make_file("description.h5");
    fixture_edit(path, change_description, "/model/output/bias", false);
    refused(path, CRS_DATA, "an attribute", "not what was written");
}

/* With all hashes recorded anew, what is asked for decides. */
static void test_sealed_attributes(void) {
    static const struct {
        root_change change;
        const char *words;
    } cases[] = {
        {{"cell", 0, "perceptron"}, "perceptron"},
        {{"cell", 0, "peephole"}, "/model/layers/0/peephole is missing"},
        {{"cell", 0, "gru"}, "/model/layers/0/weight_ih has the shape [20, 3], not the [15, 3]"},
        {{"hidden", 6, NULL}, "/model/layers/0/weight_ih"},
        {{"hidden", 0, NULL}, "hidden is 0"},
        {{"hidden", INT64_MAX, NULL}, "hidden"},
        {{"layers", 3, NULL}, "/model/layers/2/weight_ih is missing"},
        {{"layers", 1, NULL}, "has no /model/layers/1"},
        {{"layers", -1, NULL}, "layers is -1"},
        {{"embed", 4, NULL}, "/model/embedding/weight has the shape [4, 3], not the [4, 4]"},
        {{"embed", 0, NULL}, "/model/layers/0/weight_ih"},
        {{"step", -5, NULL}, "step is -5"},
        {{"level", 0, "byte"}, "/vocabulary"},
        {{"level", 0, "line"}, "line"},
        {{"step", 0, ""}, "attribute step"},
        {{"best_validation_loss", 3, NULL}, "best_validation_loss"},
        {{"step", 0, "seven"}, "attribute step"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make_file("sealed.h5");
        fixture_edit(path, change_root, &cases[i].change, true);
        refused(path, CRS_DATA, cases[i].words, "the file is damaged");
    }
    const char *path = make_file("sealed.h5");
    fixture_edit(path, change_root, &(root_change){"note", 0, "a guest's"}, true);
    crs_checkpoint c;
    fixture_edit(
        path, change_root,
        &(root_change){"story", 0, "a guest's, too long for the list: it is passed over, as nobody asks for it"}, true);
    CU_ASSERT_EQUAL(crs_checkpoint_read(path, &c, &error), CRS_OK);
    CU_ASSERT_PTR_NOT_NULL(crs_attributes_find(&c.attributes, "note"));
    CU_ASSERT_PTR_NULL(crs_attributes_find(&c.attributes, "story"));
    crs_checkpoint_free(&c);
}

static void test_sealed_objects(void) {
    static const char *const moves[][2] = {
        {"/config", NULL},
        {"/vocabulary", NULL},
        {"/model/output/bias", NULL},
        {"/model/embedding/weight", NULL},
        {"/optimizer/adam/first_moment/output/weight", NULL},
        {"/optimizer/adam/second_moment/layers/1/bias_ih", NULL},
    };
    static const char *const odd[][2] = {
        {"/state/seed", "/model/seed"},
        {"/model/output/bias", "/model/output/scale"},
        {"/model/output/bias", "/optimizer/adam/first_moment/output/scale"},
        {"/config", "/advice"},
    };
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        const char *path = make_file("missing-set.h5");
        fixture_edit(path, move_link, moves[i], true);
        refused(path, CRS_DATA, moves[i][0], "missing");
    }
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const char *path = make_file("odd-set.h5");
        fixture_edit(path, add_copy, odd[i], true);
        refused(path, CRS_DATA, odd[i][1], "damaged");
    }
}

/* ---- sets that lie ---- */

typedef struct new_set {
    const char *path;
    hid_t type;
    int rank;
    hsize_t dims[5];
    bool squeezed;
} new_set;

static void add_set(int64_t file, const void *context) {
    const new_set *set = context;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(set->rank, set->dims, NULL);
    if (H5Lexists((hid_t)file, set->path, H5P_DEFAULT) > 0)
        H5Ldelete((hid_t)file, set->path, H5P_DEFAULT);
    if (set->squeezed) {
        H5Pset_chunk(creation, set->rank, set->dims);
        H5Pset_shuffle(creation);
    }
    hid_t id = H5Dcreate2((hid_t)file, set->path, set->type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    CU_ASSERT(id >= 0);
    H5Dclose(id);
    H5Sclose(space);
    H5Pclose(creation);
}

static void add_link(int64_t file, const void *context) {
    CU_ASSERT(H5Lcreate_soft("/model", (hid_t)file, context, H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void add_cycle(int64_t file, const void *context) {
    CU_ASSERT(H5Lcreate_hard((hid_t)file, "/", (hid_t)file, context, H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

static void test_lying_sets(void) {
    const hsize_t huge = (hsize_t)1 << 40;
    const new_set cases[] = {
        {"/state/huge", H5T_IEEE_F32LE, 1, {huge}, false}, /* no storage behind it */
        {"/state/vast", H5T_STD_I64LE, 3, {huge, huge, huge}, false},
        {"/state/squeezed", H5T_IEEE_F32LE, 1, {1000}, true},
        {"/state/big_endian", H5T_IEEE_F32BE, 1, {4}, false},
        {"/state/bytes", H5T_STD_U8LE, 1, {4}, false},
        {"/state/deep", H5T_IEEE_F32LE, 5, {1, 1, 1, 1, 1}, false},
        {"/model/output/bias", H5T_IEEE_F64LE, 1, {4}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make_file("lying.h5");
        int64_t peak = crs_memory_peak(CRS_MEMORY_OTHER);
        fixture_edit(path, add_set, &cases[i], false);
        refused(path, CRS_DATA, cases[i].path, "");
        CU_ASSERT(crs_memory_peak(CRS_MEMORY_OTHER) < peak + (1 << 20));
    }
    const char *path = make_file("linked.h5");
    fixture_edit(path, add_link, "/state/soft", false);
    refused(path, CRS_DATA, "/state/soft", "link to elsewhere");
    path = make_file("cycle.h5");
    fixture_edit(path, add_cycle, "/state/root", false);
    refused(path, CRS_DATA, "/state/root", "damaged");
}

/* ---- values ---- */

typedef struct new_value {
    const char *path;
    int64_t index;
    float value;
} new_value;

static void put_value(int64_t file, const void *context) {
    const new_value *change = context;
    float values[256];
    hid_t set = H5Dopen2((hid_t)file, change->path, H5P_DEFAULT);
    CU_ASSERT(H5Dget_storage_size(set) <= sizeof values);
    CU_ASSERT(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    values[change->index] = change->value;
    CU_ASSERT(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
}

static void test_not_finite(void) {
    static const struct {
        new_value change;
        const char *words;
    } cases[] = {
        {{"/model/layers/1/weight_hh", 17, NAN}, "/model/layers/1/weight_hh holds nan at [3, 2]"},
        {{"/model/output/bias", 2, INFINITY}, "/model/output/bias holds inf at [2]"},
        {{"/model/embedding/weight", 0, -INFINITY}, "/model/embedding/weight holds inf at [0, 0]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make_file("nan.h5");
        fixture_edit(path, put_value, &cases[i].change, true);
        refused(path, CRS_DATA, cases[i].words, "earlier checkpoint");
        path = make_file("nan.h5");
        fixture_edit(path, put_value, &cases[i].change, false);
        refused(path, CRS_DATA, cases[i].words, "damaged"); /* rather than that a hash differs */
    }
    const char *both = make_file("nan.h5"); /* the data set sealed, the whole not */
    fixture_edit(both, put_value, &cases[0].change, true);
    fixture_edit(both, change_root, &(root_change){"step", 8, NULL}, false);
    refused(both, CRS_DATA, cases[0].words, "damaged");
    const char *path = make_file("nan.h5"); /* elsewhere it may stand */
    fixture_edit(path, put_value, &(new_value){"/optimizer/adam/first_moment/output/bias", 0, NAN}, true);
    crs_checkpoint c;
    CU_ASSERT_EQUAL(crs_checkpoint_read(path, &c, &error), CRS_OK);
    crs_checkpoint_free(&c);
}

/* What is not fit to be read is not written either, and what stood there stays. */
static void test_writes_nothing_bad(void) {
    crs_checkpoint c, got;
    const char *path = make_file("kept.h5");
    fixture_make(&c, "lstm", 3, CRS_LEVEL_CHAR, 9);
    float *values = crs_checkpoint_find(&c, "/model/output/weight")->values;
    values[3] = NAN;
    CU_ASSERT_EQUAL(crs_checkpoint_write(path, &c, &error), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "/model/output/weight holds nan at [0, 3]"));
    values[3] = 0;
    crs_attributes_put_integer(&c.attributes, "hidden", 6);
    CU_ASSERT_EQUAL(crs_checkpoint_write(path, &c, &error), CRS_INTERNAL);
    crs_checkpoint_free(&c);
    CU_ASSERT_EQUAL(crs_checkpoint_read(path, &got, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_checkpoint_step(&got), 7);
    crs_checkpoint_free(&got);
}

/* ---- what others' tools write ---- */

static void put_variable(hid_t object, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Awrite(attribute, type, &text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void put_variable_sets(int64_t file, const void *context) {
    static const char *const characters[] = {"", "a", "\xc3\xa9", "\xf0\x9f\x98\x80"};
    const hsize_t count = 4;
    const char *config = "hidden = 5\n", *cell = "lstm";
    char hash[CRS_HASH_HEX];
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &count, NULL), scalar = H5Screate(H5S_SCALAR);
    (void)context;
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Adelete((hid_t)file, "cell");
    put_variable((hid_t)file, "cell", cell);
    H5Ldelete((hid_t)file, "/vocabulary", H5P_DEFAULT);
    H5Ldelete((hid_t)file, "/config", H5P_DEFAULT);
    hid_t set = H5Dcreate2((hid_t)file, "/vocabulary", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, characters) >= 0);
    crs_hash_bytes("\0\0\0\0a\0\0\0\xc3\xa9\0\0\xf0\x9f\x98\x80", 16, hash);
    put_variable(set, CRS_HASH_ATTRIBUTE, hash);
    H5Dclose(set);
    set = H5Dcreate2((hid_t)file, "/config", type, scalar, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &config) >= 0);
    crs_hash_bytes(config, strlen(config), hash);
    put_variable(set, CRS_HASH_ATTRIBUTE, hash);
    H5Dclose(set);
    H5Sclose(scalar);
    H5Sclose(space);
    H5Tclose(type);
}

static void test_variable_strings(void) {
    crs_checkpoint c, got;
    const char *path = make_file("variable.h5");
    fixture_edit(path, put_variable_sets, NULL, true);
    fixture_make(&c, "lstm", 3, CRS_LEVEL_CHAR, 7);
    CU_ASSERT_EQUAL(crs_checkpoint_read(path, &got, &error), CRS_OK);
    if (got.config) {
        CU_ASSERT_STRING_EQUAL(got.config, "hidden = 5\n");
        CU_ASSERT(crs_vocabulary_equal(&c.vocabulary, &got.vocabulary));
    }
    crs_checkpoint_free(&got);
    crs_checkpoint_free(&c);
}

static void put_characters(int64_t file, const void *context) {
    const char *texts = context; /* 4 of 6 bytes */
    const hsize_t count = 4;
    char hash[CRS_HASH_HEX];
    crs_hash *hashing = crs_hash_new();
    hid_t type = crs_h5_text_type(6), space = H5Screate_simple(1, &count, NULL);
    H5Ldelete((hid_t)file, "/vocabulary", H5P_DEFAULT);
    hid_t set = H5Dcreate2((hid_t)file, "/vocabulary", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) >= 0);
    for (int i = 0; i < 4; i++)
        crs_hash_add(hashing, texts + 6 * i, 4);
    crs_hash_text(hashing, hash);
    CU_ASSERT(crs_h5_put_text(set, CRS_HASH_ATTRIBUTE, hash));
    crs_hash_free(&hashing);
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(type);
}

static void test_bad_vocabulary(void) {
    static const char bad[][24] = {
        "a\0\0\0\0\0b\0\0\0\0\0a\0\0\0\0\0c\0\0\0\0",         /* twice the same */
        "ab\0\0\0\0b\0\0\0\0\0c\0\0\0\0\0d\0\0\0\0",          /* two characters in one */
        "\xff\0\0\0\0\0b\0\0\0\0\0c\0\0\0\0\0d\0\0\0\0",      /* no UTF-8 */
        "\xc3\0\0\0\0\0b\0\0\0\0\0c\0\0\0\0\0d\0\0\0\0",      /* half a character */
        "a\0\0\0\0\0b\0\0\0\0\0\0\0\0\0\0\0\xed\xa0\x80\0\0", /* a surrogate */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = make_file("vocabulary.h5");
        fixture_edit(path, put_characters, bad[i], true);
        refused(path, CRS_DATA, "/vocabulary", "");
        CU_ASSERT_PTR_NULL(strstr(error.message, "not what was written"));
        CU_ASSERT_PTR_NULL(strstr(error.message, "recorded"));
    }
}

/* ---- memory ---- */

static void test_out_of_memory(void) {
    crs_checkpoint c, got;
    const char *path = make_file("memory.h5");
    int refusals = 0;
    fixture_make(&c, "lstm", 3, CRS_LEVEL_CHAR, 8);
    for (int n = 1;; n++, refusals++) {
        int64_t blocks = crs_memory_blocks();
        crs_memory_fail_at(n);
        crs_status status = crs_checkpoint_write(path, &c, &error);
        crs_memory_fail_at(0);
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
        if (status == CRS_OK)
            break;
        CU_ASSERT_EQUAL(status, CRS_INTERNAL);
        CU_ASSERT_EQUAL(crs_checkpoint_read(path, &got, &error), CRS_OK);
        CU_ASSERT_EQUAL(crs_checkpoint_step(&got), 7); /* the old one */
        crs_checkpoint_free(&got);
    }
    for (int n = 1;; n++, refusals++) {
        int64_t blocks = crs_memory_blocks();
        crs_memory_fail_at(n);
        crs_status status = crs_checkpoint_read(path, &got, &error);
        crs_memory_fail_at(0);
        if (status == CRS_OK)
            break;
        CU_ASSERT_EQUAL(status, CRS_INTERNAL);
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    }
    CU_ASSERT(refusals > 60);
    CU_ASSERT(fixture_equal(&c, &got));
    crs_checkpoint_free(&got);
    crs_checkpoint_free(&c);
}

/* ---- digests ---- */

typedef struct digests {
    char parameters[CRS_HASH_HEX], state[CRS_HASH_HEX];
} digests;

static digests digest(const crs_checkpoint *c) {
    digests d;
    crs_checkpoint_digests(c, d.parameters, d.state);
    return d;
}

static void test_digests(void) {
    crs_checkpoint c, other;
    fixture_make(&c, "peephole", 3, CRS_LEVEL_CHAR, 7);
    digests first = digest(&c);
    for (int i = 0; i < c.arrays; i++) {
        crs_array *array = &c.array[i];
        unsigned char *values = array->values;
        size_t count = (size_t)crs_array_size(array) * crs_type_size(array->type);
        bool history = strncmp(array->path, "/history/", 9) == 0, model = strncmp(array->path, "/model/", 7) == 0;
        for (size_t at = 0; at<count; at += count> 40 ? count / 7 : 1) {
            values[at] ^= 1;
            digests changed = digest(&c);
            values[at] ^= 1;
            CU_ASSERT_EQUAL(strcmp(changed.parameters, first.parameters) != 0, model);
            CU_ASSERT_EQUAL(strcmp(changed.state, first.state) != 0, !history);
        }
    }
    crs_attributes_put_integer(&c.attributes, "step", 8);
    CU_ASSERT_STRING_EQUAL(digest(&c).parameters, first.parameters);
    CU_ASSERT_STRING_NOT_EQUAL(digest(&c).state, first.state);
    crs_attributes_put_integer(&c.attributes, "step", 7);
    crs_attributes_put_real(&c.attributes, "best_validation_loss", 0.5);
    c.config[0] = 'C';
    crs_attributes_put_integer(&c.attributes, "epoch", 99);
    CU_ASSERT_STRING_EQUAL(digest(&c).state, first.state);
    /* the order in which arrays were added does not count, their names and shapes do */
    crs_array swapped = c.array[0];
    c.array[0] = c.array[c.arrays - 1];
    c.array[c.arrays - 1] = swapped;
    CU_ASSERT_STRING_EQUAL(digest(&c).state, first.state);
    CU_ASSERT_STRING_EQUAL(digest(&c).parameters, first.parameters);
    crs_array *array = crs_checkpoint_find(&c, "/model/layers/0/peephole");
    array->dims[0] = 5, array->dims[1] = 3;
    CU_ASSERT_STRING_NOT_EQUAL(digest(&c).parameters, first.parameters);
    array->dims[0] = 3, array->dims[1] = 5;
    strcpy(crs_checkpoint_find(&c, "/state/seed")->path, "/state/sown");
    CU_ASSERT_STRING_NOT_EQUAL(digest(&c).state, first.state);
    /* and they live through a file */
    const char *path = own("digest.h5");
    CU_ASSERT_EQUAL(crs_checkpoint_write(path, &c, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_checkpoint_read(path, &other, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(digest(&c).state, digest(&other).state);
    crs_checkpoint_free(&other);
    crs_checkpoint_free(&c);
}

/* As docs/formats.md defines it, so that it stays what it is. */
static void test_digest_bytes(void) {
    static const char model[] = "/model/output/bias float32 2\0\0\0\x80\x3f\0\0\0\xc0";
    static const char state[] =
        "step 3\0/model/output/bias float32 2\0\0\0\x80\x3f\0\0\0\xc0/state/position int64\0\x05\0\0\0\0\0\0";
    static const int64_t two = 2;
    crs_checkpoint c = {0};
    char hash[CRS_HASH_HEX];
    crs_attributes_put_integer(&c.attributes, "step", 3);
    float *bias = crs_checkpoint_add(&c, "/model/output/bias", CRS_F32, 1, &two, &error)->values;
    bias[0] = 1, bias[1] = -2;
    *(int64_t *)crs_checkpoint_add(&c, "/state/position", CRS_I64, 0, NULL, &error)->values = 5;
    digests d = digest(&c);
    crs_hash_bytes(model, sizeof model - 1, hash);
    CU_ASSERT_STRING_EQUAL(d.parameters, hash);
    crs_hash_bytes(state, sizeof state, hash);
    CU_ASSERT_STRING_EQUAL(d.state, hash);
    crs_checkpoint_free(&c);
}

static const harness_test tests[] = {
    HARNESS_TEST(test_round_trip),
    HARNESS_TEST(test_other_attributes),
    HARNESS_TEST(test_same_bytes),
    HARNESS_TEST(test_replaces),
    HARNESS_TEST(test_flipped_bytes),
    HARNESS_TEST(test_flipped_values),
    HARNESS_TEST(test_truncated),
    HARNESS_TEST(test_zeroed_pages),
    HARNESS_TEST(test_foreign),
    HARNESS_TEST(test_format),
    HARNESS_TEST(test_version),
    HARNESS_TEST(test_newer_hdf5),
    HARNESS_TEST(test_changed_attributes),
    HARNESS_TEST(test_changed_objects),
    HARNESS_TEST(test_sealed_attributes),
    HARNESS_TEST(test_sealed_objects),
    HARNESS_TEST(test_lying_sets),
    HARNESS_TEST(test_not_finite),
    HARNESS_TEST(test_writes_nothing_bad),
    HARNESS_TEST(test_variable_strings),
    HARNESS_TEST(test_bad_vocabulary),
    HARNESS_TEST(test_out_of_memory),
    HARNESS_TEST(test_digests),
    HARNESS_TEST(test_digest_bytes),
    HARNESS_END,
};

int main(int argc, char **argv) {
    harness_add("checkpoint", tests);
    return harness_run(argc, argv);
}
