/* Rows of CSV files, numbers and times as tables have them, names by number. */
#include "config.h"

#include <string.h>

#include "data/csv.h"
#include "data/dictionary.h"
#include "data_fixture.h"
#include "harness.h"

/* ---- rows ---- */

/* All rows of a text: "LINE:field|field;LINE:...", cut where it gets too long. */
typedef struct found {
    char text[4096];
    size_t length;
} found;

static crs_status take(void *context, const crs_csv_row *row, crs_error *error) {
    found *f = context;
    f->length += (size_t)snprintf(f->text + f->length, sizeof f->text - f->length, "%lld:", (long long)row->line);
    for (int i = 0; i < row->count; i++) {
        CU_ASSERT_EQUAL(strlen(row->field[i].text), row->field[i].length);
        f->length += (size_t)snprintf(f->text + f->length, sizeof f->text - f->length, "%s%s", row->field[i].text,
                                      i == row->count - 1 ? ";" : "|");
    }
    return error->status;
}

static crs_status read_text(const char *text, size_t read_bytes, found *f) {
    const char *path = own("t.csv");
    crs_source source = {.input = path, .spool = -1};
    const crs_csv csv = {.source = &source, .delimiter = ',', .take = take, .context = f, .read_bytes = read_bytes};
    char hash[CRS_HASH_HEX], wanted[CRS_HASH_HEX];
    int64_t size = -1;
    memset(&said, 0, sizeof said);
    f->length = 0;
    f->text[0] = '\0';
    put_text(path, text);
    if (crs_csv_read(&csv, &size, hash, &said) == CRS_OK) {
        CU_ASSERT_EQUAL(size, strlen(text));
        crs_hash_bytes(text, strlen(text), wanted);
        CU_ASSERT_STRING_EQUAL(hash, wanted);
    }
    return said.status;
}

/* However many bytes are read at once. */
static void test_rows(void) {
    static const struct {
        const char *text, *rows;
    } cases[] = {
        {"a,b\n1,2\n", "1:a|b;2:1|2;"},
        {"a,b\r\n1,2\r\n", "1:a|b;2:1|2;"},
        {"a,b\r1,2\r", "1:a|b;2:1|2;"},
        {"a,b\n1,2", "1:a|b;2:1|2;"},
        {"\n\n a , b\n \n1,2\n\n", "3:a|b;5:1|2;"},
        {"a,,\n,\n", "1:a||;2:|;"},
        {"\"a\nb\",c\n1,2\n", "1:a\nb|c;3:1|2;"},
        {"\"a\r\nb\",c\r\n1,2\r\n", "1:a\r\nb|c;3:1|2;"},
        {"\"a\"\"b,\", c c ,\"\"\n", "1:a\"b,|c c|;"},
        {"\n\"\n\n\",1\n\n2,3\n", "2:\n\n|1;6:2|3;"},
        {"\xef\xbb\xbf"
         "a,\xc3\xa4\n",
         "1:a|\xc3\xa4;"},
        {"", ""},
        {"\r\n\r\n", ""},
    };
    found f;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t size = 3; size < 20; size++) {
            CU_ASSERT_EQUAL(read_text(cases[i].text, size, &f), CRS_OK);
            CU_ASSERT_STRING_EQUAL(f.text, cases[i].rows);
        }
    CU_ASSERT_EQUAL(read_text("a,b\n1,2\n", 0, &f), CRS_OK);
    CU_ASSERT_STRING_EQUAL(f.text, "1:a|b;2:1|2;");
}

static void test_refused(void) {
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"a\n1\n\"2\n3\n", "t.csv:3: end"},      {"a\n1\n2\"3\n", "t.csv:3: quote"},
        {"a\n1\n\"2\"3\n", "t.csv:3: quote"},    {"a\n\n\xff\n", "t.csv:3: UTF-8"},
        {"a\n\"\n\n\xc3\"\n", "t.csv:2: UTF-8"},
    };
    found f;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t size = 3; size < 12; size++)
            CU_ASSERT(refuses(&said, read_text(cases[i].text, size, &f), CRS_DATA, cases[i].words));
}

/* ---- numbers and times ---- */

static crs_csv_field field_of(const char *text) {
    return (crs_csv_field){text, strlen(text)};
}

static void test_numbers(void) {
    static const char *const bad[] = {"",    "1x", "0x1",  "inf",    "nan", "1e", "--1", "1.2.3",
                                      "1,5", " 1", "1e39", "-1e400", "e5",  ".",  "+",   "1e+"};
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},      {"-1.5", -1.5},    {"+2", 2},          {".5", .5},   {"5.", 5},
                {"1e3", 1000}, {"-2.5E-1", -.25}, {"3.4e38", 3.4e38}, {"1e-400", 0}};
    double number;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const crs_csv_field field = field_of(bad[i]);
        CU_ASSERT_FALSE(crs_csv_number(&field, &number));
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const crs_csv_field field = field_of(good[i].text);
        CU_ASSERT(crs_csv_number(&field, &number) && number == good[i].value);
    }
}

static void test_missing(void) {
    static const char *const missing[] = {"", "NA", "nan", "NaN", "na"}, *const there[] = {"0", "-", "N", "nano", "?"};
    for (size_t i = 0; i < 5; i++) {
        const crs_csv_field a = field_of(missing[i]), b = field_of(there[i]);
        CU_ASSERT(crs_csv_missing(&a) && !crs_csv_missing(&b));
    }
}

static void test_times(void) {
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"12.5", 12.5},
                {"1970-01-01", 0},
                {"1970/01/02", 86400},
                {"2000-03-01", 951868800},
                {"2000-02-29", 951782400},
                {"2024-02-29 12:30", 1709209800},
                {"2015-12-31", 1451520000},
                {"2016-07-01T13:00:00Z", 1467378000},
                {"2016-07-01 15:00:00.25+02:00", 1467378000.25},
                {"2016-07-01 15:00:00+02", 1467378000},
                {"2016-07-01 09:30:00-0330", 1467378000},
                {"1969-12-31", -86400}};
    static const char *const bad[] = {
        "",           "noon",         "2016-7-1",          "2016-13-01",  "2016-00-10",
        "2016-01-32", "2016-01-01 1", "2016-01-01 25:00",  "01.02.2016",  "2016-01-01 10:00 ",
        "2016-01",    "2016-01-01x",  "2016-01-01 10:00+", "2016-01-01T", "2016-",
        "2016-02-30", "2023-02-29",   "1900-02-29",        "2016-04-31",  "2016-11-31"};
    double time;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const crs_csv_field field = field_of(good[i].text);
        CU_ASSERT(crs_csv_time(&field, &time));
        CU_ASSERT_DOUBLE_EQUAL(time, good[i].seconds, 1e-6);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const crs_csv_field field = field_of(bad[i]);
        CU_ASSERT_FALSE(crs_csv_time(&field, &time));
    }
}

/* ---- names by number ---- */

static void test_dictionary(void) {
    crs_dictionary d = {0};
    char name[16];
    bool added;
    CU_ASSERT_EQUAL(crs_dictionary_find(&d, "x"), -1);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3000; i++) {
            snprintf(name, sizeof name, "%d", i * 7919 % 3000);
            CU_ASSERT_EQUAL(crs_dictionary_add(&d, name, &added), i);
            CU_ASSERT_EQUAL(added, round == 0);
            CU_ASSERT_EQUAL(crs_dictionary_find(&d, name), i);
        }
    CU_ASSERT_EQUAL(crs_dictionary_find(&d, "3000"), -1);
    CU_ASSERT_EQUAL(d.names.count, 3000);
    crs_dictionary_free(&d);
}

static const harness_test csv_tests[] = {HARNESS_TEST(test_rows),
                                         HARNESS_TEST(test_refused),
                                         HARNESS_TEST(test_numbers),
                                         HARNESS_TEST(test_missing),
                                         HARNESS_TEST(test_times),
                                         HARNESS_TEST(test_dictionary),
                                         HARNESS_END};

int main(int argc, char **argv) {
    harness_add("csv", csv_tests);
    return harness_run(argc, argv);
}
