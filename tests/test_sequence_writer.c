/* Writing data sets of sequences: what stands in the file, read by plain HDF5. */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "data/moments.h"
#include "data/sequence_writer.h"
#include "data_fixture.h"
#include "harness.h"

/* ---- writing in short ---- */

enum { SEQUENCES = 5, LONGEST = 7, WIDTH = 3 };
static const int64_t lengths[SEQUENCES] = {3, 1, 7, 2, 4};
static const crs_split splits[SEQUENCES] = {CRS_TRAIN, CRS_TEST, CRS_TRAIN, CRS_VALIDATION, CRS_TRAIN};
static const char *const names[SEQUENCES] = {"one", "", "three\n\xff", "\xc3\xa4", "five"};
static const int64_t leads[SEQUENCES] = {1, 0, 0, 1, 2};

static float value(int sequence, int64_t t, int column) {
    return column == 1 ? 2.5f : (float)(100 * sequence + 10 * t + column) / 8;
}

/* A schema of so many columns and classes or targets. */
static crs_schema schema_of(crs_input_kind inputs, int width, crs_target_kind targets, int target_width,
                            crs_alignment alignment) {
    crs_schema s = {.inputs = inputs, .targets = targets, .alignment = alignment};
    s.input_size = width;
    s.target_size = targets == CRS_TARGET_NEXT ? width : target_width;
    for (int i = 0; i < width && inputs != CRS_INPUT_TOKENS; i++) {
        char name[16];
        snprintf(name, sizeof name, "column %d", i);
        CU_ASSERT(crs_names_add(&s.columns, name));
    }
    for (int i = 0; i < target_width && targets != CRS_TARGET_NEXT; i++)
        CU_ASSERT(crs_names_add(targets == CRS_TARGET_CLASS ? &s.classes : &s.target_names, i ? "b" : "a"));
    return s;
}

static crs_sequence_plan plan_of(const crs_schema *s) {
    return (crs_sequence_plan){.schema = s, .source = "a test", .description = "numbers", .chunk_bytes = 40};
}

/* Steps t .. t + some - 1 of a sequence, of whatever kind. */
static crs_status add_some(crs_sequence_writer *w, const crs_sequence_plan *plan, int sequence, int64_t t,
                           int64_t some) {
    const crs_schema *s = plan->schema;
    const bool by_step = s->alignment == CRS_ALIGN_STEP && s->targets != CRS_TARGET_NEXT;
    float reals[LONGEST * WIDTH], targets[LONGEST * 2], weights[LONGEST];
    uint8_t bits[LONGEST * WIDTH];
    uint32_t tokens[LONGEST], classes[LONGEST];
    for (int64_t i = 0; i < some; i++) {
        for (int d = 0; d < WIDTH; d++) {
            reals[i * WIDTH + d] = value(sequence, t + i, d);
            bits[i * WIDTH + d] = (sequence + t + i + d) % 3 == 0;
        }
        targets[2 * i] = value(sequence, t + i, 0) + 1;
        targets[2 * i + 1] = value(sequence, t + i, 2) - 1;
        tokens[i] = (uint32_t)(sequence * 50 + t + i);
        classes[i] = (uint32_t)(sequence + t + i) % 2;
        weights[i] = (float)((sequence + t + i) % 3);
    }
    const void *inputs = s->inputs == CRS_INPUT_TOKENS ? tokens : s->inputs == CRS_INPUT_BITS ? (void *)bits : reals;
    const void *wanted = !by_step ? NULL : s->targets == CRS_TARGET_CLASS ? (void *)classes : targets;
    return crs_sequence_writer_add(w, some, inputs, wanted,
                                   plan->weights && s->alignment == CRS_ALIGN_STEP ? weights : NULL, &said);
}

static crs_status put_sequence(crs_sequence_writer *w, const crs_sequence_plan *plan, int n, int64_t at_once) {
    const crs_schema *s = plan->schema;
    const bool whole = s->alignment == CRS_ALIGN_SEQUENCE && !crs_schema_is_forecast(s);
    const uint32_t class = (uint32_t)n % 2;
    const float target[2] = {value(n, 0, 0), value(n, 0, 2)};
    crs_status status =
        crs_sequence_writer_begin(w, splits[n], plan->names ? names[n] : NULL, plan->lead ? leads[n] : 0, &said);
    for (int64_t t = 0; t < lengths[n] && !status; t += at_once)
        status = add_some(w, plan, n, t, t + at_once < lengths[n] ? at_once : lengths[n] - t);
    if (!status)
        status = crs_sequence_writer_end(w,
                                         !whole                           ? NULL
                                         : s->targets == CRS_TARGET_CLASS ? (void *)&class
                                                                          : target,
                                         (float)(n % 2), &said);
    return status;
}

/* All sequences, so many steps at once. */
static crs_status put_all(const char *path, const crs_sequence_plan *plan, int64_t at_once) {
    crs_output output;
    crs_sequence_writer *w = NULL;
    memset(&said, 0, sizeof said);
    crs_status status = crs_output_open(&output, path, &said);
    if (!status)
        status = crs_sequence_writer_open(&w, &output, plan, &said);
    for (int n = 0; n < SEQUENCES && !status; n++)
        status = put_sequence(w, plan, n, at_once);
    if (!status)
        status = crs_sequence_writer_finish(w, &said);
    if (!status) {
        CU_ASSERT_EQUAL(crs_sequence_writer_counts(w)->sequences[CRS_TRAIN], 3);
        CU_ASSERT_EQUAL(crs_sequence_writer_counts(w)->steps[CRS_TRAIN], 14);
        CU_ASSERT_EQUAL(crs_sequence_writer_counts(w)->steps[CRS_TEST], 1);
    }
    crs_sequence_writer_free(&w);
    if (!status)
        status = crs_output_finish(&output, &said);
    crs_output_discard(&output);
    return status;
}

/* ---- reading ---- */

/* Reads a data set whole as doubles: its numbers, or -1. extent: of its dimensions (0: there is no second). */
static int64_t get(const char *path, const char *name, double *out, hsize_t extent[2]) {
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), set = H5I_INVALID_HID;
    int64_t count = -1;
    extent[0] = extent[1] = 0;
    if (H5Lexists(file, name, H5P_DEFAULT) > 0)
        set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set >= 0) {
        hid_t space = H5Dget_space(set);
        count = H5Sget_simple_extent_npoints(space);
        H5Sget_simple_extent_dims(space, extent, NULL);
        CU_ASSERT(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
        H5Sclose(space);
        H5Dclose(set);
    }
    H5Fclose(file);
    return count;
}

/* Whether a data set holds these numbers. */
static bool holds(const char *path, const char *name, const double *wanted, int64_t count) {
    double found[64] = {0};
    hsize_t extent[2];
    bool good = get(path, name, found, extent) == count;
    for (int64_t i = 0; i < count && good; i++)
        good = found[i] == wanted[i];
    if (!good)
        fprintf(stderr, "%s: %s is not as wanted\n", path, name);
    return good;
}

/* Its hash, which is that of bytes[0..count). */
static bool hashed(const char *path, const char *name, const void *bytes, size_t count) {
    char found[64] = "", wanted[CRS_HASH_HEX];
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(file, name, H5P_DEFAULT);
    crs_hash_bytes(bytes, count, wanted);
    CU_ASSERT_EQUAL(crs_h5_text(set, CRS_HASH_ATTRIBUTE, found, sizeof found), CRS_FOUND);
    H5Dclose(set);
    H5Fclose(file);
    return strcmp(found, wanted) == 0;
}

static bool has_text(const char *path, const char *name, const char *wanted) {
    char found[256];
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const bool good = crs_h5_text(file, name, found, sizeof found) == CRS_FOUND && strcmp(found, wanted) == 0;
    H5Fclose(file);
    return good;
}

static bool absent(const char *path, const char *name) {
    double found[64];
    hsize_t extent[2];
    return get(path, name, found, extent) < 0;
}

/* ---- tests ---- */

/* What stands in the file, of values to values by step, with all that there may be beside. */
static void test_values_by_step(void) {
    const char *path = own("values.h5");
    crs_schema s = schema_of(CRS_INPUT_VALUES, WIDTH, CRS_TARGET_VALUES, 2, CRS_ALIGN_STEP);
    crs_sequence_plan plan = plan_of(&s);
    plan.weights = plan.lead = plan.names = true;
    CU_ASSERT_EQUAL_FATAL(put_all(path, &plan, 2), CRS_OK);
    CU_ASSERT_EQUAL(count_leftovers(), 0);
    CU_ASSERT(has_text(path, "format", "carousel/sequences"));
    CU_ASSERT(has_text(path, "inputs", "values") && has_text(path, "targets", "values"));
    CU_ASSERT(has_text(path, "alignment", "step") && has_text(path, "source", "a test"));
    CU_ASSERT(holds(path, "train/lengths", (double[]){3, 7, 4}, 3));
    CU_ASSERT(holds(path, "train/lead", (double[]){1, 0, 2}, 3));
    CU_ASSERT(holds(path, "validation/lengths", (double[]){2}, 1));
    CU_ASSERT(holds(path, "test/inputs", (double[]){12.5, 2.5, 12.75}, 3));
    CU_ASSERT(holds(path, "test/targets", (double[]){13.5, 11.75}, 2));
    CU_ASSERT(holds(path, "validation/weights", (double[]){0, 1}, 2));
    double inputs[14 * WIDTH];
    hsize_t extent[2];
    CU_ASSERT_EQUAL(get(path, "train/inputs", inputs, extent), 14 * WIDTH);
    CU_ASSERT(extent[0] == 14 && extent[1] == WIDTH);
    CU_ASSERT(inputs[3 * WIDTH] == value(2, 0, 0) && inputs[13 * WIDTH + 2] == value(4, 3, 2));
    const float stored[] = {12.5f, 2.5f, 12.75f};
    CU_ASSERT(hashed(path, "test/inputs", stored, sizeof stored));
    CU_ASSERT(hashed(path, "train/names", "one\0\0\0\0three??five\0\0\0", 21)); /* as stored */
    CU_ASSERT(hashed(path, "test/names", "", 1));
    CU_ASSERT(hashed(path, "columns", "column 0column 1column 2", 24));
    crs_schema_free(&s);
}

/* Of training, each step once; targets of weight above 0 outside the lead. */
static void test_scale(void) {
    const char *path = own("scale.h5");
    crs_schema s = schema_of(CRS_INPUT_VALUES, WIDTH, CRS_TARGET_VALUES, 2, CRS_ALIGN_STEP);
    crs_sequence_plan plan = plan_of(&s);
    double mean[3], deviation[3], sum[2] = {0}, square[2] = {0}, target_sum = 0, target_square = 0, steps = 0,
                                  targets = 0;
    hsize_t extent[2];
    plan.weights = plan.lead = true;
    CU_ASSERT_EQUAL_FATAL(put_all(path, &plan, LONGEST), CRS_OK);
    for (int n = 0; n < SEQUENCES; n++)
        for (int64_t t = 0; t < lengths[n] && splits[n] == CRS_TRAIN; t++) {
            steps++;
            for (int i = 0; i < 2; i++) {
                sum[i] += value(n, t, 2 * i);
                square[i] += (double)value(n, t, 2 * i) * value(n, t, 2 * i);
            }
            if (t >= leads[n] && (n + t) % 3 > 0) {
                targets++;
                target_sum += value(n, t, 0) + 1;
                target_square += pow(value(n, t, 0) + 1, 2);
            }
        }
    CU_ASSERT_EQUAL(get(path, "scale/mean", mean, extent), 3);
    CU_ASSERT_EQUAL(get(path, "scale/deviation", deviation, extent), 3);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_DOUBLE_EQUAL(mean[2 * i], sum[i] / steps, 1e-12);
        CU_ASSERT_DOUBLE_EQUAL(deviation[2 * i], sqrt(square[i] / steps - mean[2 * i] * mean[2 * i]), 1e-12);
    }
    CU_ASSERT(mean[1] == 2.5 && deviation[1] == 1);
    CU_ASSERT_EQUAL(get(path, "target_scale/mean", mean, extent), 2);
    CU_ASSERT_EQUAL(get(path, "target_scale/deviation", deviation, extent), 2);
    CU_ASSERT_DOUBLE_EQUAL(mean[0], target_sum / targets, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(deviation[0], sqrt(target_square / targets - mean[0] * mean[0]), 1e-12);
    crs_schema_free(&s);
}

/* A large offset leaves the deviation exact, where sums of squares would not. */
static void test_moments(void) {
    crs_moments m;
    double mean, deviation;
    crs_scale scale = {&mean, &deviation};
    CU_ASSERT(crs_moments_begin(&m, 1));
    crs_moments_scale(&m, &scale);
    CU_ASSERT(mean == 0 && deviation == 1);
    for (int i = 0; i < 100000; i++)
        crs_moments_add(&m, (float[]){16777216.0f - (float)(i % 2)});
    crs_moments_scale(&m, &scale);
    CU_ASSERT_DOUBLE_EQUAL(mean, 16777215.5, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(deviation, 0.5, 1e-9);
    crs_moments_free(&m);
}

static void test_tokens(void) {
    const char *path = own("tokens.h5");
    crs_schema s = schema_of(CRS_INPUT_TOKENS, 300, CRS_TARGET_NEXT, 0, CRS_ALIGN_STEP);
    crs_sequence_plan plan = plan_of(&s);
    crs_names vocabulary = {0};
    for (int i = 0; i < 300; i++)
        CU_ASSERT(crs_names_add(&vocabulary, i ? "word" : "w"));
    plan.vocabulary = &vocabulary;
    CU_ASSERT_EQUAL_FATAL(put_all(path, &plan, 3), CRS_OK);
    CU_ASSERT(holds(path, "validation/inputs", (double[]){150, 151}, 2));
    CU_ASSERT(hashed(path, "validation/inputs", "\x96\0\x97", 4)); /* two bytes each */
    CU_ASSERT(absent(path, "train/targets") && absent(path, "scale") && absent(path, "columns"));
    CU_ASSERT(absent(path, "train/weights") && absent(path, "train/lead") && absent(path, "train/names"));
    crs_names_free(&vocabulary);
    crs_schema_free(&s);
}

static void test_bits_to_class(void) {
    const char *path = own("bits.h5");
    crs_schema s = schema_of(CRS_INPUT_BITS, WIDTH, CRS_TARGET_CLASS, 2, CRS_ALIGN_SEQUENCE);
    crs_sequence_plan plan = plan_of(&s);
    plan.weights = true;
    CU_ASSERT_EQUAL_FATAL(put_all(path, &plan, 1), CRS_OK);
    CU_ASSERT(holds(path, "train/targets", (double[]){0, 0, 0}, 3));
    CU_ASSERT(holds(path, "validation/targets", (double[]){1}, 1));
    CU_ASSERT(holds(path, "validation/weights", (double[]){1}, 1));
    CU_ASSERT(holds(path, "train/weights", (double[]){0, 0, 0}, 3));
    CU_ASSERT(holds(path, "test/inputs", (double[]){0, 0, 1}, 3));
    CU_ASSERT(absent(path, "scale/mean"));
    crs_schema_free(&s);
}

static void test_forecast(void) {
    const char *path = own("forecast.h5");
    int columns[] = {2, 0};
    crs_schema s = schema_of(CRS_INPUT_VALUES, WIDTH, CRS_TARGET_VALUES, 2, CRS_ALIGN_SEQUENCE);
    crs_sequence_plan plan = plan_of(&s);
    s.context = 2;
    s.horizon = 1;
    s.target_columns = columns;
    plan.lead = true;
    CU_ASSERT_EQUAL_FATAL(put_all(path, &plan, 4), CRS_OK);
    for (crs_split split = 0; split < CRS_SPLITS; split++) {
        char name[64];
        snprintf(name, sizeof name, "%s/target_columns", crs_split_name(split));
        CU_ASSERT(holds(path, name, (double[]){2, 0}, 2));
    }
    CU_ASSERT(absent(path, "train/targets") && absent(path, "target_scale") && absent(path, "target_names"));
    s.target_columns = NULL;
    crs_schema_free(&s);
}

/* The same steps make the same bytes, however many come at once; chunks of any size hold the same. */
static void test_same_bytes(void) {
    const char *one = own("one.h5"), *other = own("other.h5");
    double a[64], b[64];
    hsize_t extent[2];
    crs_schema s = schema_of(CRS_INPUT_VALUES, WIDTH, CRS_TARGET_CLASS, 2, CRS_ALIGN_STEP);
    crs_sequence_plan plan = plan_of(&s);
    plan.names = true;
    CU_ASSERT_EQUAL_FATAL(put_all(one, &plan, 1), CRS_OK);
    for (int64_t at_once = 1; at_once <= LONGEST; at_once++) {
        CU_ASSERT_EQUAL_FATAL(put_all(other, &plan, at_once), CRS_OK);
        CU_ASSERT(same_files(one, other));
    }
    CU_ASSERT_EQUAL(get(one, "train/inputs", a, extent), 42);
    for (plan.chunk_bytes = 1; plan.chunk_bytes < 200; plan.chunk_bytes += 9) {
        CU_ASSERT_EQUAL_FATAL(put_all(other, &plan, 2), CRS_OK);
        CU_ASSERT_EQUAL(get(other, "train/inputs", b, extent), 42);
        CU_ASSERT(memcmp(a, b, 42 * sizeof *a) == 0);
    }
    crs_schema_free(&s);
}

/* A split without sequences is there all the same. */
static void test_empty_split(void) {
    const char *path = own("empty.h5");
    crs_schema s = schema_of(CRS_INPUT_VALUES, WIDTH, CRS_TARGET_NEXT, 0, CRS_ALIGN_STEP);
    crs_sequence_plan plan = plan_of(&s);
    crs_output output;
    crs_sequence_writer *w = NULL;
    double found[4];
    hsize_t extent[2];
    plan.names = true;
    s.inputs = CRS_INPUT_BITS;
    CU_ASSERT_EQUAL_FATAL(crs_output_open(&output, path, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_sequence_writer_open(&w, &output, &plan, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_sequence_writer_finish(w, &said), CRS_OK);
    crs_sequence_writer_free(&w);
    CU_ASSERT_EQUAL(crs_output_finish(&output, &said), CRS_OK);
    crs_output_discard(&output);
    CU_ASSERT_EQUAL(get(path, "test/inputs", found, extent), 0);
    CU_ASSERT(extent[0] == 0 && extent[1] == WIDTH);
    CU_ASSERT_EQUAL(get(path, "test/lengths", found, extent), 0);
    CU_ASSERT(hashed(path, "test/names", "", 0));
    crs_schema_free(&s);
}

/* Out of memory at each allocation in turn: an error, and no file. */
static void test_memory(void) {
    const char *path = own("memory.h5");
    crs_schema s = schema_of(CRS_INPUT_VALUES, WIDTH, CRS_TARGET_VALUES, 2, CRS_ALIGN_STEP);
    crs_sequence_plan plan = plan_of(&s);
    crs_status status = CRS_INTERNAL;
    plan.weights = plan.lead = plan.names = true;
    for (int64_t n = 1; n < 200 && status; n++) {
        crs_memory_fail_at(n);
        status = put_all(path, &plan, 2);
        crs_memory_fail_at(0);
        CU_ASSERT(!status || (status == CRS_INTERNAL && access(path, F_OK) != 0));
    }
    CU_ASSERT_EQUAL(status, CRS_OK);
    CU_ASSERT_EQUAL(count_leftovers(), 0);
    crs_schema_free(&s);
}

static const harness_test writer_tests[] = {HARNESS_TEST(test_values_by_step), HARNESS_TEST(test_scale),
                                            HARNESS_TEST(test_moments),        HARNESS_TEST(test_tokens),
                                            HARNESS_TEST(test_bits_to_class),  HARNESS_TEST(test_forecast),
                                            HARNESS_TEST(test_same_bytes),     HARNESS_TEST(test_empty_split),
                                            HARNESS_TEST(test_memory),         HARNESS_END};

int main(int argc, char **argv) {
    harness_add("sequence_writer", writer_tests);
    return harness_run(argc, argv);
}
