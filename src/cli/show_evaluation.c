/* What an evaluation of sequences found, for a person and as JSON. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/show_evaluation.h"
#include "cli/show_text.h"

/* More classes or columns than this are left to --json; longer names are cut. */
enum { SHOWN_MOST = 20, NAME_MOST = 24, LABEL_COLUMNS = 11, NUMBER_COLUMNS = 12 };

static void print_count(const char *name, int64_t count) {
    printf("%-*s  %" PRId64 "\n", LABEL_COLUMNS, name, count);
}

/* ---- a figure a line ---- */

/* A number in at most 10 columns; what is none, or has no end, by a word. */
static void print_number(double value) {
    const double size = fabs(value);
    if (isnan(value))
        printf("  %*s", NUMBER_COLUMNS - 2, "-");
    else if (size > 0 && (size < 1e-3 || size >= 1e6))
        printf("  %*.4g", NUMBER_COLUMNS - 2, value);
    else
        printf("  %*.*f", NUMBER_COLUMNS - 2, size < 1000 ? 6 : 3, value);
}

/* What the model has, what the guess has (NaN: nothing to compare), and of what. */
static void print_figure(const crs_evaluation *e, const char *name, double value, double guess, const char *of) {
    printf("%-*s", LABEL_COLUMNS, name);
    print_number(value);
    if (e->guessed)
        print_number(guess);
    printf("%s%s\n", *of ? "  " : "", of);
}

/* guess: how it guesses. */
static void print_head(const crs_evaluation *e, const char *guess) {
    printf("%*s%*s", LABEL_COLUMNS, "", NUMBER_COLUMNS, "model");
    if (e->guessed)
        printf("%*s  (the guess: %s)", NUMBER_COLUMNS, "guess", guess);
    putchar('\n');
}

/* ---- classes ---- */

static void print_name(const char *name, int columns) {
    char cut[4 * NAME_MOST + 8];
    printf("%s%*s", cut, columns - crs_show_cut(name, columns, cut, sizeof cut), "");
}

static void print_confusion(const crs_schema *s, const crs_evaluation *e) {
    int label = LABEL_COLUMNS, cell = 5;
    if (e->classes > SHOWN_MOST) {
        printf("\nThe table of %d classes is in --json.\n", e->classes);
        return;
    }
    for (int c = 0; c < e->classes; c++) {
        const int columns = crs_show_columns(s->classes.name[c]);
        label = columns > label ? columns : label;
    }
    label = label > NAME_MOST ? NAME_MOST : label;
    for (int64_t i = 0; i < (int64_t)e->classes * e->classes; i++) {
        char number[32];
        const int columns = snprintf(number, sizeof number, "%" PRId64, e->confusion[i]);
        cell = columns > cell ? columns : cell;
    }
    putchar('\n');
    print_name("true \\ said", label);
    for (int c = 0; c < e->classes; c++) {
        char cut[4 * NAME_MOST + 8];
        const int columns = crs_show_cut(s->classes.name[c], cell, cut, sizeof cut);
        printf("  %*s%s", cell - columns, "", cut);
    }
    for (int c = 0; c < e->classes; c++) {
        putchar('\n');
        print_name(s->classes.name[c], label);
        for (int said = 0; said < e->classes; said++)
            printf("  %*" PRId64, cell, e->confusion[c * e->classes + said]);
    }
    putchar('\n');
}

static void print_classes(const crs_schema *s, const crs_evaluation *e) {
    char guess[4 * NAME_MOST + 64] = "", cut[4 * NAME_MOST + 8];
    if (e->guessed) {
        crs_show_cut(s->classes.name[e->guess_class], NAME_MOST, cut, sizeof cut);
        snprintf(guess, sizeof guess, "how often training has each class; always %s", cut);
    }
    print_head(e, guess);
    print_figure(e, "nats", e->loss, e->guess_loss, "a target");
    print_figure(e, "accuracy", e->accuracy, e->guess_accuracy, "");
    print_figure(e, "macro f1", e->macro_f1, e->guess_macro_f1, "");
    print_confusion(s, e);
}

/* ---- values ---- */

static void print_columns(const crs_schema *s, const crs_evaluation *e) {
    int label = LABEL_COLUMNS;
    const bool has_units = s->target_units.count > 0;
    const int shown = e->columns > SHOWN_MOST ? SHOWN_MOST : e->columns;
    for (int c = 0; c < shown; c++) {
        const int columns = crs_show_columns(s->target_names.name[c]);
        label = columns > label ? columns : label;
    }
    label = label > NAME_MOST ? NAME_MOST : label;
    printf("\nIn units:\n");
    print_name("column", label);
    printf("%*s%*s%*s%*s%*s%*s%s\n", NUMBER_COLUMNS, "mse", NUMBER_COLUMNS, "guess", NUMBER_COLUMNS, "mae",
           NUMBER_COLUMNS, "guess", NUMBER_COLUMNS, "r2", NUMBER_COLUMNS, "guess", has_units ? "  units" : "");
    for (int c = 0; c < shown; c++) {
        const crs_column_error *column = &e->column[c];
        print_name(s->target_names.name[c], label);
        print_number(column->mse);
        print_number(column->guess_mse);
        print_number(column->mae);
        print_number(column->guess_mae);
        print_number(column->r2);
        print_number(column->guess_r2);
        if (has_units)
            printf("  %s", s->target_units.name[c]);
        putchar('\n');
    }
    if (shown < e->columns)
        printf("and %d more, in --json\n", e->columns - shown);
}

static void print_values(const crs_schema *s, const crs_spec *spec, const crs_evaluation *e) {
    print_head(e, crs_schema_is_forecast(s) ? "the last value goes on" : "the mean of training");
    if (spec->head == CRS_HEAD_GAUSSIAN)
        print_figure(e, "nats", e->loss, NAN, "a number");
    if (spec->head == CRS_HEAD_HUBER)
        print_figure(e, "huber", e->loss, NAN, "of scaled values");
    print_figure(e, "mse", e->mse, e->guess_mse, "of scaled values");
    print_figure(e, "mae", e->mae, e->guess_mae, "of scaled values");
    print_columns(s, e);
}

/* ---- all of it ---- */

void crs_show_evaluation(const crs_schema *s, const crs_spec *spec, crs_split split, const crs_evaluation *e) {
    printf("%-*s  %s\n", LABEL_COLUMNS, "split", crs_split_name(split));
    print_count("sequences", e->sequences);
    print_count("targets", e->targets);
    if (s->targets == CRS_TARGET_CLASS) {
        print_classes(s, e);
    } else if (s->targets == CRS_TARGET_VALUES) {
        print_values(s, spec, e);
    } else if (crs_schema_says_bits(s)) {
        print_head(e, "how often training has each bit");
        print_figure(e, "nats", e->loss, e->guess_loss, s->alignment == CRS_ALIGN_STEP ? "a step" : "a sequence");
        print_figure(e, "precision", e->precision, e->guess_precision, "at 0.5");
        print_figure(e, "recall", e->recall, e->guess_recall, "at 0.5");
        print_figure(e, "f1", e->f1, e->guess_f1, "at 0.5");
    } else {
        print_head(e, "how often training has each token");
        print_figure(e, "nats", e->loss, e->guess_loss, "a token");
        print_figure(e, "bits", e->bits_per_token, e->guess_loss / M_LN2, "a token");
        print_figure(e, "perplexity", e->perplexity, e->guess_loss < 700 ? crs_exp(e->guess_loss) : INFINITY, "");
    }
}

/* ---- JSON ---- */

/* True where the object took it. */
static bool put(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0;
}

static bool put_real(json_t *object, const char *key, double value) {
    return put(object, key, crs_show_json_real(value));
}

static bool put_confusion(json_t *object, const crs_evaluation *e) {
    json_t *rows = json_array();
    bool good = rows != NULL;
    for (int c = 0; good && c < e->classes; c++) {
        json_t *row = json_array();
        for (int said = 0; row && good && said < e->classes; said++)
            good = json_array_append_new(row, json_integer((json_int_t)e->confusion[c * e->classes + said])) == 0;
        good = json_array_append_new(rows, row) == 0 && good;
    }
    return put(object, "confusion", rows) && good;
}

static bool put_columns(json_t *object, const crs_schema *s, const crs_evaluation *e) {
    json_t *columns = json_array();
    bool good = columns != NULL;
    for (int c = 0; good && c < e->columns; c++) {
        const crs_column_error *column = &e->column[c];
        json_t *entry = json_object();
        good = put(entry, "name", crs_show_json_text(s->target_names.name[c])) && put_real(entry, "mse", column->mse) &&
               put_real(entry, "mae", column->mae) && put_real(entry, "r2", column->r2);
        good = json_array_append_new(columns, entry) == 0 && good;
    }
    return put(object, "columns", columns) && good;
}

static bool put_kind(json_t *object, const crs_schema *s, const crs_spec *spec, const crs_evaluation *e) {
    if (s->targets == CRS_TARGET_CLASS)
        return put_real(object, "nats", e->loss) && put_real(object, "accuracy", e->accuracy) &&
               put_real(object, "macro_f1", e->macro_f1) && put_confusion(object, e);
    if (s->targets == CRS_TARGET_VALUES)
        return (spec->head != CRS_HEAD_GAUSSIAN || put_real(object, "nats", e->loss)) &&
               put_real(object, "mse", e->mse) && put_real(object, "mae", e->mae) && put_columns(object, s, e);
    if (crs_schema_says_tokens(s))
        return put(object, "tokens", json_integer((json_int_t)e->targets)) &&
               put_real(object, "nats_per_token", e->loss) && put_real(object, "bits_per_token", e->bits_per_token) &&
               put_real(object, "perplexity", e->perplexity);
    return put(object, "steps", json_integer((json_int_t)e->targets)) && put_real(object, "nats_per_step", e->loss) &&
           put_real(object, "precision", e->precision) && put_real(object, "recall", e->recall) &&
           put_real(object, "f1", e->f1);
}

json_t *crs_show_json_evaluation(const crs_schema *s, const crs_spec *spec, crs_split split, const crs_evaluation *e) {
    json_t *object = json_object();
    if (put(object, "split", json_string(crs_split_name(split))) &&
        put(object, "sequences", json_integer((json_int_t)e->sequences)) &&
        put(object, "targets", json_integer((json_int_t)e->targets)) && put_real(object, "loss", e->loss) &&
        put_kind(object, s, spec, e))
        return object;
    json_decref(object);
    return NULL;
}
