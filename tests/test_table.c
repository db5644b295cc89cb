/* Tables: what is put comes back, as text and as HDF5; whole or not at all. */
#include "config.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carousel/data.h"
#include "harness.h"
#include "store/h5.h"

static const char *const numbers[] = {"a", "b, \"c\""};
static const crs_table_column columns[] = {
    {.name = "sequence", .kind = CRS_TABLE_INTEGER, .description = "which"},
    {.name = "name", .kind = CRS_TABLE_TEXT, .width = 7, .description = "what it is called"},
    {.name = "probability", .kind = CRS_TABLE_REAL, .description = "of what is said"},
    {.name = "says",
     .kind = CRS_TABLE_REAL,
     .width = 2,
     .number = numbers,
     .description = "two numbers",
     .units = "m"}};
enum { COLUMNS = sizeof columns / sizeof *columns };

static const char *text_of(int row) {
    static const char *const texts[] = {"plain", "a, b", "say \"o\"", "", "l1\nl2", "\303\244"};
    return texts[row % 6];
}

static crs_status put(crs_table *t, int row, crs_error *error) {
    crs_table_integer(t, row);
    crs_table_text(t, text_of(row));
    crs_table_reals(t, &(const double){row == 2 ? NAN : row / 4.0}, 1);
    crs_table_reals(t, (const double[]){-row, row * 0.1}, 2);
    return crs_table_end(t, error);
}

static crs_status write_table(const char *path, int rows, crs_error *error) {
    crs_table *t;
    *error = (crs_error){0};
    if (crs_table_create(&t, path, "of a test", columns, COLUMNS, error))
        return error->status;
    for (int row = 0; row < rows && put(t, row, error) == CRS_OK; row++)
        ;
    if (error->status == CRS_OK)
        crs_table_finish(t, error);
    crs_table_free(&t);
    return error->status;
}

static void read_file(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "r");
    const size_t count = file ? fread(text, 1, size - 1, file) : 0;
    text[count] = '\0';
    if (file)
        fclose(file);
}

static void test_text(void) {
    char text[512];
    crs_error error;
    CU_ASSERT_EQUAL(write_table(harness_path("t.csv"), 6, &error), CRS_OK);
    read_file(harness_path("t.csv"), text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "sequence,name,probability,says:a,\"says:b, \"\"c\"\"\"\n"
                                 "0,plain,0,0,0\n"
                                 "1,\"a, b\",0.25,-1,0.1\n"
                                 "2,\"say \"\"o\"\"\",nan,-2,0.2\n"
                                 "3,,0.75,-3,0.3\n"
                                 "4,\"l1\nl2\",1,-4,0.4\n"
                                 "5,\303\244,1.25,-5,0.5\n");
    CU_ASSERT_EQUAL(write_table(harness_path("t.csv"), 0, &error), CRS_OK);
    read_file(harness_path("t.csv"), text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "sequence,name,probability,says:a,\"says:b, \"\"c\"\"\"\n");
}

/* Of data set `name`, all, as that type; and how many rows it has. */
static hssize_t read_set(hid_t file, const char *name, hid_t type, void *values) {
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    CU_ASSERT(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Sclose(space);
    H5Dclose(set);
    return count;
}

/* More rows than a block has, a whole number of blocks of them, and none. */
static void test_hdf5(void) {
    enum { MOST = 10000 };
    static int64_t sequence[MOST];
    static double probability[MOST], says[MOST][2];
    static char names[MOST][7];
    static const int cases[] = {MOST, 4096, 5, 0};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        crs_error error;
        char text[64];
        const int rows = cases[n];
        CU_ASSERT_EQUAL(write_table(harness_path("t.h5"), rows, &error), CRS_OK);
        hid_t file = H5Fopen(harness_path("t.h5"), H5F_ACC_RDONLY, H5P_DEFAULT), type = crs_h5_text_type(7);
        CU_ASSERT_FATAL(file >= 0);
        CU_ASSERT_EQUAL(read_set(file, "sequence", H5T_NATIVE_INT64, sequence), rows);
        CU_ASSERT_EQUAL(read_set(file, "probability", H5T_NATIVE_DOUBLE, probability), rows);
        CU_ASSERT_EQUAL(read_set(file, "says", H5T_NATIVE_DOUBLE, says), 2 * rows);
        CU_ASSERT_EQUAL(read_set(file, "name", type, names), rows);
        CU_ASSERT_EQUAL(crs_h5_text(file, "description", text, sizeof text), CRS_FOUND);
        CU_ASSERT_STRING_EQUAL(text, "of a test");
        bool good = true;
        for (int row = 0; row < rows; row++)
            good = good && sequence[row] == row &&
                   (row == 2 ? isnan(probability[row]) : probability[row] == row / 4.0) && says[row][0] == -row &&
                   says[row][1] == row * 0.1 && strncmp(names[row], text_of(row), 7) == 0;
        CU_ASSERT(good);
        H5Tclose(type);
        H5Fclose(file);
    }
}

/* ---- whole or not at all ---- */

static bool is_there(const char *name) {
    struct stat about;
    return stat(harness_path(name), &about) == 0;
}

static void test_unfinished_is_gone(void) {
    static const char *const names[] = {"u.csv", "u.h5"};
    for (int n = 0; n < 2; n++) {
        crs_table *t;
        crs_error error = {0};
        CU_ASSERT_EQUAL_FATAL(crs_table_create(&t, harness_path(names[n]), "x", columns, COLUMNS, &error), CRS_OK);
        CU_ASSERT_EQUAL(put(t, 0, &error), CRS_OK);
        crs_table_free(&t);
        CU_ASSERT_PTR_NULL(t);
        CU_ASSERT(!is_there(names[n]));
    }
}

static void test_refused(void) {
    static const struct {
        const char *name;
        crs_status status;
    } cases[] = {{"x", CRS_USAGE},
                 {"x.txt", CRS_USAGE},
                 {"csv", CRS_USAGE},
                 {".h5x", CRS_USAGE},
                 {"no/where.csv", CRS_CREATE},
                 {"X.CSV", CRS_OK},
                 {"no/where.h5", CRS_CREATE},
                 {"y.H5", CRS_OK}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        crs_error error;
        CU_ASSERT_EQUAL(write_table(harness_path(cases[n].name), 1, &error), cases[n].status);
        CU_ASSERT_EQUAL(is_there(cases[n].name), cases[n].status == CRS_OK);
    }
}

/* A file that grows too large is an error, and leaves the one that was there. */
static void test_full(void) {
    static const char *const names[] = {"f.csv", "f.h5"};
    struct rlimit before, little = {8192, 8192};
    for (int n = 0; n < 2; n++) {
        char hash[2][CRS_HASH_HEX], text[512];
        crs_error error;
        CU_ASSERT_EQUAL(write_table(harness_path(names[n]), 1, &error), CRS_OK);
        getrlimit(RLIMIT_FSIZE, &before);
        for (int i = 0; i < 2; i++) {
            read_file(harness_path(names[n]), text, sizeof text);
            crs_hash_bytes(text, sizeof text, hash[i]);
            if (i > 0)
                break;
            little.rlim_max = before.rlim_max;
            setrlimit(RLIMIT_FSIZE, &little);
            CU_ASSERT_EQUAL(write_table(harness_path(names[n]), 20000, &error), CRS_CREATE);
            setrlimit(RLIMIT_FSIZE, &before);
        }
        CU_ASSERT_STRING_EQUAL(hash[0], hash[1]);
    }
}

/* Each allocation fails in turn. */
static void test_out_of_memory(void) {
    static const char *const names[] = {"m.csv", "m.h5"};
    for (int n = 0; n < 2; n++) {
        crs_error error = {.status = CRS_INTERNAL};
        for (int at = 1; error.status != CRS_OK && at < 100; at++) {
            const int64_t blocks = crs_memory_blocks();
            crs_memory_fail_at(at);
            write_table(harness_path(names[n]), 3, &error);
            crs_memory_fail_at(0);
            CU_ASSERT(error.status == CRS_OK || error.status == CRS_INTERNAL);
            CU_ASSERT_EQUAL(is_there(names[n]), error.status == CRS_OK);
            CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
        }
        CU_ASSERT_EQUAL(error.status, CRS_OK);
    }
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_text),
                                         HARNESS_TEST(test_hdf5),
                                         HARNESS_TEST(test_unfinished_is_gone),
                                         HARNESS_TEST(test_refused),
                                         HARNESS_TEST(test_full),
                                         HARNESS_TEST(test_out_of_memory),
                                         HARNESS_END};
    signal(SIGXFSZ, SIG_IGN);
    harness_add("table", tests);
    return harness_run(argc, argv);
}
