/* Training's options: values, text and back, INI files, what contradicts, resuming. */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carousel/config.h"
#include "harness.h"

/* ---- helpers ---- */

static crs_status set(crs_settings *settings, const char *name, const char *value, crs_error *error) {
    *error = (crs_error){0};
    const int option = crs_option_find(name);
    CU_ASSERT_FATAL(option >= 0);
    const crs_status status = crs_settings_set(settings, option, value, "--typed", CRS_USAGE, error);
    CU_ASSERT_EQUAL(status, error->status);
    return status;
}

static void text_of(const crs_settings *settings, const char *name, char *out, size_t size) {
    crs_option_text(&settings->config, crs_option_find(name), out, size);
}

static void expect_value(const char *name, const char *value, const char *text) {
    crs_settings settings;
    crs_error error;
    char got[64];
    crs_settings_default(&settings);
    CU_ASSERT_EQUAL(set(&settings, name, value, &error), CRS_OK);
    CU_ASSERT(settings.given[crs_option_find(name)]);
    text_of(&settings, name, got, sizeof got);
    crs_settings_free(&settings);
    CU_ASSERT_STRING_EQUAL(got, text);
    if (strcmp(got, text) != 0)
        fprintf(stderr, "--%s=%s became %s, not %s\n", name, value, got, text);
}

static void expect_refused(const char *name, const char *value) {
    crs_settings settings, before;
    crs_error error;
    crs_settings_default(&settings);
    before = settings;
    CU_ASSERT_EQUAL(set(&settings, name, value, &error), CRS_USAGE);
    CU_ASSERT_EQUAL(strncmp(error.message, "--typed: ", 9), 0);
    CU_ASSERT_EQUAL(memcmp(&settings, &before, sizeof before), 0);
    if (!error.status)
        fprintf(stderr, "--%s=%s was taken\n", name, value);
}

/* ---- values ---- */

/* Of every recorded option: a value other than the default, and how it is written down. */
static const struct {
    const char *name, *typed, *text;
} values[] = {
    {"cell", "peephole", "peephole"},
    {"hidden", "0077", "77"},
    {"layers", "3", "3"},
    {"embed", "0", "0"},
    {"forget-bias", "-0.10", "-0.1"},
    {"input-bias", "-7", "-7"},
    {"output-bias", "0", "0"},
    {"bidirectional", NULL, "true"},
    {"layer-norm", "yes", "true"},
    {"residual", "1", "true"},
    {"tie", NULL, "true"},
    {"pool", "mean", "mean"},
    {"loss", "gaussian", "gaussian"},
    {"change", NULL, "true"},
    {"dropout", ".25", "0.25"},
    {"input-dropout", "0.2", "0.2"},
    {"input-noise", "0.05", "0.05"},
    {"batch", "48", "48"},
    {"window", "16777216", "16777216"},
    {"order", "file", "file"},
    {"lane", "4", "4"},
    {"lanes", "6", "6"},
    {"optimizer", "rmsprop", "rmsprop"},
    {"momentum", "0.9", "0.9"},
    {"beta1", "0", "0"},
    {"beta2", "0.99999999999999989", "0.9999999999999999"},
    {"epsilon", "1E-7", "1e-07"},
    {"rate", "0.1000000000000000055", "0.1"},
    {"schedule", "cosine", "cosine"},
    {"warmup", "1000000000000000", "1000000000000000"},
    {"decay-after", "0", "0"},
    {"decay-every", "0.3333333333333333", "0.3333333333333333"},
    {"decay-factor", "0.97", "0.97"},
    {"clip", "-0", "0"},
    {"weight-decay", "1e-300", "1e-300"},
    {"seed", "18446744073709551615", "18446744073709551615"},
    {"reduce", "float", "float"},
    {"epochs", "7", "7"},
    {"steps", "123456789012", "123456789012"},
    {"validate-every", "9223372036854775807", "9223372036854775807"},
    {"save-every", "1h30m0.1s", "5400.1s"},
    {"keep", "1048576", "1048576"},
    {"patience", "3", "3"},
};
enum { VALUES = sizeof values / sizeof *values };

static void test_values(void) {
    int recorded = 0;
    for (int i = 0; i < crs_options_count; i++)
        recorded += crs_options[i].class != CRS_OPTION_LOCAL;
    CU_ASSERT_EQUAL(recorded, VALUES); /* each is in the table above */
    for (int i = 0; i < VALUES; i++)
        expect_value(values[i].name, values[i].typed, values[i].text);
    expect_value("save-every", "30m", "1800s");
    expect_value("save-every", "0.000000001s", "0.000000001s");
    expect_value("stop-after", "90", "90s");
    expect_value("fresh", NULL, "true");
    expect_value("fresh", "no", "false");
    expect_value("output", "a b/ü", "a b/ü");
}

static void test_limits(void) {
    static const struct {
        const char *name, *lowest, *highest, *below, *above;
    } limits[] = {
        {"hidden", "1", "1048576", "0", "1048577"},
        {"layers", "1", "4096", "0", "4097"},
        {"embed", "0", "1048576", "-1", "1048577"},
        {"forget-bias", "-1000", "1000", "-1000.1", "1000.1"},
        {"input-bias", "-1000", "1000", "-1000.1", "1000.1"},
        {"output-bias", "0", "1", "-0.001", "1.001"},
        {"dropout", "0", "0.999", "-0.001", "1"},
        {"batch", "1", "16777216", "0", "16777217"},
        {"momentum", "0", "0.999", "-1e-9", "1"},
        {"epsilon", "1e-300", "1", "0", "1.1"},
        {"rate", "1e-300", "1e+30", "0", "1.1e30"},
        {"decay-factor", "0.001", "1000", "0", "1000.1"},
        {"clip", "0", "1e+30", "-1", "1e31"},
        {"seed", "0", "18446744073709551615", "-1", "18446744073709551616"},
        {"steps", "1", "1000000000000000", "0", "1000000000000001"},
        {"threads", "1", "1024", "0", "1025"},
        {"save-every", "1", "9223372036854775807", "0", "9223372036854775808"},
        {"stop-after", "0.000000001s", "1000000000000s", "0.0000000001s", "1000000000001s"},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        expect_value(limits[i].name, limits[i].lowest, limits[i].lowest);
        expect_value(limits[i].name, limits[i].highest, limits[i].highest);
        expect_refused(limits[i].name, limits[i].below);
        expect_refused(limits[i].name, limits[i].above);
    }
    expect_refused("cell", "LSTM");
    expect_refused("fresh", "maybe");
    expect_refused("output", "");
}

static void test_times(void) {
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"90", 90},        {"90s", 90}, {"30m", 1800}, {"1h30m", 5400}, {"2.5h", 9000},
                {"1h30m5s", 5405}, {".5m", 30}, {"0", 0},      {"1m90s", 150},  {"1h5s", 3605}};
    static const char *const bad[] = {"",    " ",   "h",    "m5",    "-5s",  "+5",  "5d",  "5 m",
                                      "1e3", "0x5", "1..5", "nan",   "inf",  ".",   "5ss", "1,5h",
                                      "5M",  "5s ", "1h30", "30m1h", "1h1h", "5s5", "1m5m"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double seconds = -1;
        CU_ASSERT(crs_parse_time(good[i].text, &seconds));
        CU_ASSERT_EQUAL(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double seconds = -1;
        CU_ASSERT_FALSE(crs_parse_time(bad[i], &seconds));
        CU_ASSERT_EQUAL(seconds, -1);
    }
}

static void test_names(void) {
    CU_ASSERT_EQUAL(crs_option_find("hiden"), -1);
    CU_ASSERT_STRING_EQUAL(crs_option_suggest("hiden"), "hidden");
    CU_ASSERT_STRING_EQUAL(crs_option_suggest("optimiser"), "optimizer");
    CU_ASSERT_STRING_EQUAL(crs_option_suggest("weight_decay"), "weight-decay");
    CU_ASSERT_PTR_NULL(crs_option_suggest("frobnicate"));
    /* What other programs call it. */
    CU_ASSERT_STRING_EQUAL(crs_option_suggest("learning-rate"), "rate");
    CU_ASSERT_STRING_EQUAL(crs_option_suggest("batch_size"), "batch");
    CU_ASSERT_STRING_EQUAL(crs_option_suggest("num-layers"), "layers");
    CU_ASSERT_PTR_NULL(crs_option_suggest("corporate"));
    for (int i = 0; i < crs_options_count; i++)
        CU_ASSERT_EQUAL(crs_option_find(crs_options[i].name), i);
}

/* ---- text and back ---- */

static void check_round_trip(const crs_settings *settings) {
    crs_config back;
    crs_error error = {0};
    char *text = crs_config_text(&settings->config), *again;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(crs_config_parse(&back, text, "file.h5", &error), CRS_OK);
    again = crs_config_text(&back);
    CU_ASSERT_STRING_EQUAL(text, again);
    for (int i = 0; i < crs_options_count; i++) {
        char mine[64], theirs[64];
        if (crs_options[i].class == CRS_OPTION_LOCAL || strcmp(crs_options[i].name, "embed") == 0)
            continue;
        crs_option_text(&settings->config, i, mine, sizeof mine);
        if (strcmp(mine, "default") == 0)
            continue; /* test_defaults tells what becomes of it */
        crs_option_text(&back, i, theirs, sizeof theirs);
        CU_ASSERT_STRING_EQUAL(mine, theirs);
    }
    CU_ASSERT_EQUAL(back.embed, settings->config.embed < 0 ? settings->config.hidden : settings->config.embed);
    crs_free(&text);
    crs_free(&again);
}

static void test_round_trip(void) {
    crs_settings settings, all;
    crs_error error;
    crs_settings_default(&settings);
    check_round_trip(&settings);
    crs_settings_default(&all);
    for (int i = 0; i < VALUES; i++) {
        crs_settings_default(&settings);
        set(&settings, values[i].name, values[i].typed, &error);
        check_round_trip(&settings);
        if (strcmp(values[i].name, "epochs") != 0)
            set(&all, values[i].name, values[i].typed, &error);
    }
    check_round_trip(&all);
    char *text = crs_config_text(&all.config), line[128];
    for (int i = 0; i < VALUES; i++) {
        snprintf(line, sizeof line, "%s = %s\n", values[i].name, values[i].text);
        CU_ASSERT_EQUAL(strstr(text, line) != NULL, strcmp(values[i].name, "epochs") != 0);
    }
    crs_free(&text);
}

/* What is recorded of a moment's decay that no one gave is what the optimizer takes, and nothing where it takes none.
 */
static void test_defaults(void) {
    static const char *const names[] = {"beta1", "beta2", "epsilon"};
    static const bool used[CRS_OPTIMIZERS][3] = {
        [CRS_ADAM] = {true, true, true}, [CRS_RMSPROP] = {false, true, true}, [CRS_ADAGRAD] = {false, false, true}};
    for (int o = 0; o < CRS_OPTIMIZERS; o++) {
        crs_settings settings;
        crs_config back;
        crs_error error = {0};
        crs_optim optim;
        crs_settings_default(&settings);
        settings.config.optimizer = (crs_optimizer)o;
        const crs_optimizer_settings unset = {.optimizer = (crs_optimizer)o, .beta1 = -1, .beta2 = -1, .epsilon = -1};
        CU_ASSERT_EQUAL_FATAL(crs_optim_create(&optim, &unset, 16, &error), CRS_OK);
        const double theirs[] = {optim.settings.beta1, optim.settings.beta2, optim.settings.epsilon};
        char *text = crs_config_text(&settings.config);
        CU_ASSERT_EQUAL(crs_config_parse(&back, text, "file.h5", &error), CRS_OK);
        const double recorded[] = {back.beta1, back.beta2, back.epsilon};
        for (int i = 0; i < 3; i++) {
            CU_ASSERT_EQUAL(strstr(text, names[i]) != NULL, used[o][i]);
            if (used[o][i])
                CU_ASSERT_EQUAL(recorded[i], theirs[i]);
        }
        crs_free(&text);
        crs_optim_free(&optim);
    }
    /* Typed, such a value is no contradiction; another one is. */
    crs_settings settings, begun;
    crs_error error;
    crs_settings_default(&begun);
    crs_settings_default(&settings);
    set(&settings, "beta2", "0.999", &error);
    set(&settings, "embed", "128", &error);
    CU_ASSERT_EQUAL(crs_settings_resume(&settings, &begun.config, "a/run", &error), CRS_OK);
    CU_ASSERT_EQUAL(settings.config.beta1, 0.9);
    crs_settings_default(&settings);
    set(&settings, "beta2", "0.99", &error);
    CU_ASSERT_EQUAL(crs_settings_resume(&settings, &begun.config, "a/run", &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--beta2=0.99 contradicts a/run, which was begun with --beta2=0.999"));
}

/* A long value is cut, not within a character. */
static void test_long_values(void) {
    char value[200] = "x";
    crs_settings settings;
    crs_error error;
    for (int i = 0; i < 90; i++)
        memcpy(value + 1 + 2 * i, "\xc3\xa4", 3);
    crs_settings_default(&settings);
    CU_ASSERT_EQUAL(set(&settings, "hidden", value, &error), CRS_USAGE);
    value[1 + 2 * 29] = 0;
    char wanted[200];
    snprintf(wanted, sizeof wanted, "--typed: '%s...' won't do; give a whole number from 1 to 1048576", value);
    CU_ASSERT_STRING_EQUAL(error.message, wanted);
}

static void expect_bad_text(const char *text, const char *says) {
    crs_config config;
    crs_error error = {0};
    CU_ASSERT_EQUAL(crs_config_parse(&config, text, "file.h5", &error), CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "file.h5"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, says));
}

static void test_bad_text(void) {
    expect_bad_text("hidden = 8\ncolour = red\n", ":2: colour");
    expect_bad_text("hidden = 0\n", ":1: hidden");
    expect_bad_text("hidden = 8\n\nrubbish\n", ":3: 'rubbish'");
    expect_bad_text("[model]\nhidden = 8\n", ":1: sections");
    expect_bad_text("threads = 2\n", ":1: threads"); /* not recorded */
}

/* ---- INI files ---- */

static crs_status read_bytes(crs_settings *settings, const char *text, size_t length, crs_error *error) {
    char name[32];
    snprintf(name, sizeof name, "rank-%d.ini", harness_rank());
    const char *path = harness_path(name);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fwrite(text, 1, length, file);
    fclose(file);
    *error = (crs_error){0};
    const crs_status status = crs_settings_read_file(settings, path, error);
    unlink(path);
    return status;
}

static crs_status read_ini(crs_settings *settings, const char *text, crs_error *error) {
    return read_bytes(settings, text, strlen(text), error);
}

static void expect_bad_file(const char *text, const char *says) {
    crs_settings settings;
    crs_error error;
    crs_settings_default(&settings);
    CU_ASSERT_EQUAL(read_ini(&settings, text, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, says));
}

static void test_lines(void) {
    crs_settings settings;
    crs_error error;
    static char line[70000];
    crs_settings_default(&settings);
    CU_ASSERT_EQUAL(read_ini(&settings,
                             "\xef\xbb\xbfhidden = 8 # half\nlayers\t=\t3\t; more\n#rate = 9\n ;keep = 9\n\n"
                             "output = run#1;a\n   dropout=0.5",
                             &error),
                    CRS_OK);
    CU_ASSERT_EQUAL(settings.config.hidden, 8);
    CU_ASSERT_EQUAL(settings.config.layers, 3);
    CU_ASSERT_EQUAL(settings.config.rate, 2e-3);
    CU_ASSERT_EQUAL(settings.config.keep, 2);
    CU_ASSERT_EQUAL(settings.config.dropout, 0.5);
    CU_ASSERT_STRING_EQUAL(settings.config.output, "run#1;a");
    crs_settings_free(&settings);
    CU_ASSERT_EQUAL(read_ini(&settings, "", &error), CRS_OK);

    /* As long as a name can be, and a longer remark before it. */
    memset(line, '#', sizeof line);
    snprintf(line + sizeof line - 4200, 4200, "\noutput = ");
    char *name = line + strlen(line);
    memset(name, 'x', PATH_MAX - 1);
    name[PATH_MAX - 1] = 0;
    crs_settings_default(&settings);
    CU_ASSERT_EQUAL(read_ini(&settings, line, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(settings.config.output, name);
    crs_settings_free(&settings);
    name[PATH_MAX - 1] = 'x';
    name[PATH_MAX] = 0;
    expect_bad_file(line, ":2: output: a name of 4096 bytes is too long");

    expect_bad_file("keep = 3\nhidden = 8\n\nhidden = 8\n", ":4: hidden: given in line 2 already");
    expect_bad_file("\xef\xbb\xbf[model]\n", ":1: sections");
    expect_bad_file("keep = 3\n\thidden\n", ":2: 'hidden' is no");
    expect_bad_file("keep = 3\n # hidden = 8\n= 5\n", ":3: ");
    expect_bad_file("config = other.ini\n", ":1: config");
    crs_settings_default(&settings);
    CU_ASSERT_EQUAL(read_bytes(&settings, "keep = 3\nhidden = 8\0009\n", 22, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, ":2: a zero byte"));
}

/* LF, CR LF and CR end a line; all count the same. A checkpoint's text may have them too. */
static void test_line_ends(void) {
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    for (int i = 0; i < 3; i++) {
        const char *e = ends[i];
        char text[200];
        crs_settings settings;
        crs_config config;
        crs_error error = {0};
        crs_settings_default(&settings);
        snprintf(text, sizeof text, "# mine%shidden = 16 ; half%s%s  layers = 1%s", e, e, e, e);
        CU_ASSERT_EQUAL(read_ini(&settings, text, &error), CRS_OK);
        CU_ASSERT_EQUAL(settings.config.hidden, 16);
        CU_ASSERT_EQUAL(settings.config.layers, 1);
        CU_ASSERT_EQUAL(crs_config_parse(&config, text, "file.h5", &error), CRS_OK);
        CU_ASSERT_EQUAL(config.layers, 1);
        snprintf(text, sizeof text, "hidden = 16%s%s# no%sno-such-option = 3%slayers = 1", e, e, e, e);
        expect_bad_file(text, ":4: no-such-option");
        snprintf(text, sizeof text, "hidden = 16%slayers%s", e, e);
        expect_bad_file(text, ":2: 'layers' is no");
    }
    /* Too large for one of options, and no text. */
    static char large[(1 << 20) + 2];
    memset(large, '\r', sizeof large - 1);
    expect_bad_file(large, "more than 1048576 bytes");
}

static void add_pair(void *context, const char *name, const char *value) {
    char *list = context;
    snprintf(list + strlen(list), 100 - strlen(list), "%s=%s|", name, value);
}

static void test_pairs(void) {
    char list[100] = "";
    CU_ASSERT(crs_ini_pairs("[s]\n a\t= b c ;no\r# d = e\nrubbish\r\nf:\n=g", add_pair, list));
    CU_ASSERT_STRING_EQUAL(list, "a=b c|f=|=g|");
}

static void test_files(void) {
    crs_settings settings;
    crs_error error;
    crs_settings_default(&settings);
    set(&settings, "hidden", "9", &error);
    CU_ASSERT_EQUAL(read_ini(&settings,
                             "# a remark\r\n; another\n\nhidden = 8\r\n  layers=3\nrate : 0.5 ; beside it\n"
                             "fresh = yes\noutput = a run\nstop-after = 2m\nsteps = 6\nkeep = 4",
                             &error),
                    CRS_OK);
    CU_ASSERT_EQUAL(settings.config.hidden, 9); /* the command line wins */
    CU_ASSERT_EQUAL(settings.config.layers, 3);
    CU_ASSERT_EQUAL(settings.config.rate, 0.5);
    CU_ASSERT(settings.config.fresh);
    CU_ASSERT_STRING_EQUAL(settings.config.output, "a run");
    crs_settings_free(&settings);
    CU_ASSERT_EQUAL(settings.config.stop_after, 120);
    CU_ASSERT_EQUAL(settings.config.steps, 6);
    CU_ASSERT_EQUAL(settings.config.epochs, 0);
    CU_ASSERT_EQUAL(settings.config.keep, 4);
    CU_ASSERT(settings.given[crs_option_find("layers")]);
    CU_ASSERT_FALSE(settings.given[crs_option_find("batch")]);

    /* Either end on the command line wins over both of a file. */
    crs_settings_default(&settings);
    set(&settings, "epochs", "2", &error);
    CU_ASSERT_EQUAL(read_ini(&settings, "steps = 6\nepochs = 3\n", &error), CRS_OK);
    CU_ASSERT_EQUAL(settings.config.epochs, 2);
    CU_ASSERT_EQUAL(settings.config.steps, 0);
    CU_ASSERT_EQUAL(crs_settings_check(&settings, &error), CRS_OK);

    crs_settings_default(&settings);
    CU_ASSERT_EQUAL(read_ini(&settings, "layers = 1\nhiden = 3\n", &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, ".ini:2: hiden"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "did you mean hidden?"));
    error = (crs_error){0};
    CU_ASSERT_EQUAL(crs_settings_read_file(&settings, harness_path("none.ini"), &error), CRS_NO_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "none.ini"));
}

/* ---- what contradicts ---- */

static void test_contradictions(void) {
    static const char *const cases[][4] = {
        {"epochs", "1", "steps", "2"},
        {"momentum", "0.5", "optimizer", "adam"},
        {"beta1", "0.5", "optimizer", "sgd"},
        {"beta2", "0.5", "optimizer", "adagrad"},
        {"epsilon", "0.5", "optimizer", "sgd"},
        {"decay-after", "2", "schedule", "cosine"},
        {"decay-every", "2", "schedule", "cosine"},
        {"decay-factor", "0.2", "schedule", "constant"},
        {"forget-bias", "2", "cell", "gru"},
        {"input-bias", "-2", "cell", "rnn"},
        {"lane", "9", "batch", "8"},
        {"lanes", "9", "batch", "8"},
        {"lane", "2", "lanes", "4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crs_settings settings;
        crs_error error;
        crs_settings_default(&settings);
        set(&settings, cases[i][0], cases[i][1], &error);
        set(&settings, cases[i][2], cases[i][3], &error);
        CU_ASSERT_EQUAL(crs_settings_check(&settings, &error), CRS_CONFIG);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, cases[i][0]));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, cases[i][2]));
    }
}

/* Every fixed option given anew with another value is refused with its name and both; every free one is taken. */
static void test_resume(void) {
    for (int i = 0; i < VALUES; i++) {
        crs_settings recorded, settings;
        crs_error error;
        char theirs[64], wanted[160];
        const int option = crs_option_find(values[i].name);
        crs_settings_default(&recorded);
        set(&recorded, "momentum", "0.5", &error);
        set(&recorded, "beta1", "0.5", &error);
        set(&recorded, "beta2", "0.5", &error);
        set(&recorded, "epsilon", "0.5", &error);
        set(&recorded, "lane", "9", &error);
        set(&recorded, "lanes", "7", &error);
        set(&recorded, "embed", "9", &error);
        text_of(&recorded, values[i].name, theirs, sizeof theirs);

        crs_settings_default(&settings);
        set(&settings, values[i].name, values[i].typed, &error);
        const crs_status status = crs_settings_resume(&settings, &recorded.config, "a/run", &error);
        if (crs_options[option].class == CRS_OPTION_FREE || strcmp(values[i].name, "rate") == 0) {
            char mine[64];
            CU_ASSERT_EQUAL(status, CRS_OK);
            text_of(&settings, values[i].name, mine, sizeof mine);
            CU_ASSERT_STRING_EQUAL(mine, values[i].text);
            continue;
        }
        CU_ASSERT_EQUAL(status, CRS_CONFIG);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "a/run"));
        snprintf(wanted, sizeof wanted, "--%s=%s contradicts", values[i].name, values[i].text);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, wanted));
        snprintf(wanted, sizeof wanted, "with --%s=%s;", values[i].name, theirs);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, wanted));

        /* The same again, and not given at all. */
        crs_settings_default(&settings);
        set(&settings, values[i].name, theirs, &error);
        CU_ASSERT_EQUAL(crs_settings_resume(&settings, &recorded.config, "a/run", &error), CRS_OK);
        crs_settings_default(&settings);
        set(&recorded, values[i].name, values[i].typed, &error);
        CU_ASSERT_EQUAL(crs_settings_resume(&settings, &recorded.config, "a/run", &error), CRS_OK);
        text_of(&settings, values[i].name, theirs, sizeof theirs);
        CU_ASSERT_STRING_EQUAL(theirs, values[i].text);
    }
}

/* The rate of a schedule that keeps it may change; the others' may not. */
static void test_resume_rate(void) {
    static const char *const schedules[] = {"constant", "step", "cosine"};
    for (int i = 0; i < 3; i++) {
        crs_settings recorded, settings;
        crs_error error;
        crs_settings_default(&recorded);
        set(&recorded, "schedule", schedules[i], &error);
        crs_settings_default(&settings);
        set(&settings, "rate", "0.5", &error);
        CU_ASSERT_EQUAL(crs_settings_resume(&settings, &recorded.config, "a/run", &error), i ? CRS_CONFIG : CRS_OK);
        CU_ASSERT(i > 0 || settings.config.rate == 0.5);
        CU_ASSERT(i == 0 || strstr(error.message, "--rate=0.5 contradicts a/run, which was begun with --rate=0.002"));
    }
}

/* What was begun when lanes had no number of their own has one that one can type. */
static void test_resume_lanes(void) {
    crs_settings recorded, settings;
    crs_error error;
    crs_settings_default(&recorded);
    set(&recorded, "lane", "6", &error);
    crs_settings_default(&settings);
    CU_ASSERT_EQUAL(crs_settings_resume(&settings, &recorded.config, "a/run", &error), CRS_OK);
    CU_ASSERT_EQUAL(settings.config.lanes, 9);
    set(&settings, "lanes", "9", &error);
    CU_ASSERT_EQUAL(crs_settings_resume(&settings, &recorded.config, "a/run", &error), CRS_OK);
    set(&settings, "lanes", "8", &error);
    CU_ASSERT_EQUAL(crs_settings_resume(&settings, &recorded.config, "a/run", &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--lanes=8 contradicts a/run, which was begun with --lanes=9"));
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_values),
                                         HARNESS_TEST(test_limits),
                                         HARNESS_TEST(test_times),
                                         HARNESS_TEST(test_names),
                                         HARNESS_TEST(test_round_trip),
                                         HARNESS_TEST(test_bad_text),
                                         HARNESS_TEST(test_lines),
                                         HARNESS_TEST(test_line_ends),
                                         HARNESS_TEST(test_pairs),
                                         HARNESS_TEST(test_defaults),
                                         HARNESS_TEST(test_long_values),
                                         HARNESS_TEST(test_files),
                                         HARNESS_TEST(test_contradictions),
                                         HARNESS_TEST(test_resume),
                                         HARNESS_TEST(test_resume_rate),
                                         HARNESS_TEST(test_resume_lanes),
                                         HARNESS_END};
    harness_add("config", tests);
    return harness_run(argc, argv);
}
