/* A data set of sequences, for a person or a program. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "carousel/data.h"
#include "cli/show.h"
#include "cli/show_text.h"

/* More columns or classes than this are left to --json; longer names are cut. */
enum { SHOWN_MOST = 24, NAME_MOST = 24, BINS_MOST = 12, BAR_MOST = 40, LINE_MOST = 86 };

/* ---- the first lines ---- */

/* A text of any length, wrapped at blanks. */
static void print_wrapped(const char *name, const char *text) {
    while (*text) {
        int length = (int)strlen(text), fits = length > LINE_MOST ? LINE_MOST : length;
        while (fits < length && fits > 0 && text[fits] != ' ')
            fits--;
        fits = fits > 0 ? fits : length;
        crs_show_line(name, "%.*s", fits, text);
        name = "";
        text += fits + (int)strspn(text + fits, " ");
    }
}

static void print_attribute(const crs_dataset *d, const char *name) {
    char *text = crs_dataset_text(d, name);
    if (text && *text)
        print_wrapped(name, text);
    crs_free(&text);
}

static void print_inputs(const crs_schema *s) {
    if (s->inputs == CRS_INPUT_TOKENS)
        crs_show_line("inputs", "a token a step, of %d", s->input_size);
    else
        crs_show_line("inputs", "%d %s%s a step", s->input_size, s->inputs == CRS_INPUT_BITS ? "bit" : "number",
                      crs_plural(s->input_size, "", "s"));
}

static void print_splits(const crs_dataset *d, const crs_summary *sum) {
    char sequences[32], steps[32], targets[32];
    printf("\n%-12s  %14s  %16s  %16s\n", "Splits", "sequences", "steps",
           crs_schema_is_forecast(&d->schema) ? "windows" : "targets");
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        printf("  %-10s  %14s  %16s  %16s\n", crs_split_name(split),
               crs_format_count(d->sequences[split].count, sequences), crs_format_count(d->length[split], steps),
               crs_format_count(sum->targets[split], targets));
}

/* ---- lengths ---- */

/* Sequences whose lengths are from `low` to `high`. */
typedef struct bin {
    int64_t low, high, count;
} bin;

static void find_extremes(const crs_dataset *d, int64_t *least, int64_t *most) {
    *least = INT64_MAX;
    *most = 0;
    for (int split = 0; split < CRS_SPLITS; split++)
        for (int64_t i = 0; i < d->sequences[split].count; i++) {
            const int64_t length = d->sequences[split].length[i];
            *least = length < *least ? length : *least;
            *most = length > *most ? length : *most;
        }
}

/* Of one width, or where lengths differ much, each twice as wide as the one before. Returns how many. */
static int make_bins(int64_t least, int64_t most, bin bins[64]) {
    int count = 0;
    const bool doubling = most / 16 >= least;
    const int64_t width = (most - least) / BINS_MOST + 1;
    for (int64_t low = least; low <= most; count++) {
        const int64_t high = doubling ? 2 * low - 1 : low + width - 1;
        bins[count] = (bin){low, high > most ? most : high, 0};
        low = bins[count].high + 1;
    }
    return count;
}

static int fill_bins(const crs_dataset *d, bin bins[64]) {
    int64_t least, most;
    find_extremes(d, &least, &most);
    const int count = most > 0 ? make_bins(least, most, bins) : 0;
    for (int split = 0; split < CRS_SPLITS; split++)
        for (int64_t i = 0; i < d->sequences[split].count; i++) {
            int b = 0;
            while (d->sequences[split].length[i] > bins[b].high)
                b++;
            bins[b].count++;
        }
    return count;
}

static void print_lengths(const crs_dataset *d) {
    static const char bar[BAR_MOST + 1] = "########################################";
    bin bins[64];
    const int count = fill_bins(d, bins);
    int64_t largest = 1;
    char number[32];
    for (int b = 0; b < count; b++)
        largest = bins[b].count > largest ? bins[b].count : largest;
    printf("\nLengths in steps\n");
    for (int b = 0; b < count; b++) {
        char range[64];
        const int64_t n = bins[b].count;
        const int hashes = n > 0 ? 1 + (int)((BAR_MOST - 1) * n / largest) : 0;
        snprintf(range, sizeof range, bins[b].low < bins[b].high ? "%" PRId64 "-%" PRId64 : "%" PRId64, bins[b].low,
                 bins[b].high);
        printf("  %-16s  %10s%s%.*s\n", range, crs_format_count(n, number), hashes ? "  " : "", hashes, bar);
    }
}

/* ---- columns ---- */

static void print_name(const char *name) {
    char cut[4 * NAME_MOST + 8];
    printf("  %s%*s", cut, NAME_MOST - crs_show_cut(name, NAME_MOST, cut, sizeof cut), "");
}

static void print_more(int count) {
    if (count > SHOWN_MOST)
        printf("  and %d more (--json)\n", count - SHOWN_MOST);
}

/* Names with mean and deviation, and where they are known, least and most, and units. */
static void print_columns(const char *title, const crs_names *names, const crs_names *units, const crs_scale *scale,
                          const float *least, const float *most) {
    printf("\n%-*s  %12s  %12s", NAME_MOST + 2, title, "mean", "deviation");
    if (least)
        printf("  %12s  %12s", "least", "most");
    printf("%s   (of training)\n", units->count > 0 ? "  units" : "");
    for (int i = 0; i < names->count && i < SHOWN_MOST; i++) {
        print_name(names->name[i]);
        printf("  %12.6g  %12.6g", scale->mean[i], scale->deviation[i]);
        if (least)
            printf("  %12.6g  %12.6g", (double)least[i], (double)most[i]);
        if (units->count > 0)
            printf("  %s", units->name[i]);
        putchar('\n');
    }
    print_more(names->count);
}

static void print_values(const crs_dataset *d, const crs_summary *sum) {
    const crs_schema *s = &d->schema;
    const bool forecast = crs_schema_is_forecast(s);
    if (s->inputs == CRS_INPUT_VALUES)
        print_columns("Columns", &s->columns, &s->units, &s->scale,
                      d->sequences[CRS_TRAIN].count > 0 ? sum->least : NULL, sum->most);
    if (s->targets == CRS_TARGET_VALUES && (!forecast || s->target_size < s->input_size))
        print_columns(forecast ? "To be forecast" : "Targets", &s->target_names, &s->target_units, &s->target_scale,
                      NULL, NULL);
}

/* ---- bits ---- */

/* From the first to the last that is ever 1, and how many are at once. */
static void print_bits(const char *name, const crs_names *names, const int64_t *ones, int64_t steps) {
    int first = -1, last = -1;
    int64_t sum = 0;
    for (int i = 0; i < names->count; i++) {
        if (ones[i] > 0 && first < 0)
            first = i;
        last = ones[i] > 0 ? i : last;
        sum += ones[i];
    }
    if (first < 0)
        crs_show_line(name, "no bit is ever 1");
    else
        crs_show_line(name, "from %.40s to %.40s, of %.40s to %.40s; %.2f at once on average", names->name[first],
                      names->name[last], names->name[0], names->name[names->count - 1],
                      steps > 0 ? (double)sum / (double)steps : 0);
}

static int64_t sum_splits(const int64_t numbers[CRS_SPLITS]) {
    return numbers[CRS_TRAIN] + numbers[CRS_VALIDATION] + numbers[CRS_TEST];
}

static int64_t sequences_of(const crs_dataset *d) {
    int64_t sum = 0;
    for (int split = 0; split < CRS_SPLITS; split++)
        sum += d->sequences[split].count;
    return sum;
}

static void print_ranges(const crs_dataset *d, const crs_summary *sum) {
    const crs_schema *s = &d->schema;
    const int64_t steps = sum_splits(d->length);
    if (s->inputs == CRS_INPUT_BITS)
        print_bits("range", &s->columns, sum->ones, steps);
    if (s->targets == CRS_TARGET_BITS)
        print_bits("said", &s->target_names, sum->target_ones,
                   s->alignment == CRS_ALIGN_STEP ? steps : sequences_of(d));
}

/* ---- classes ---- */

static void print_classes(const crs_dataset *d, const crs_summary *sum) {
    const crs_schema *s = &d->schema;
    char number[32];
    if (s->targets != CRS_TARGET_CLASS)
        return;
    printf("\n%-*s", NAME_MOST + 2, "Classes");
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        printf("  %20s", crs_split_name(split));
    putchar('\n');
    for (int c = 0; c < s->classes.count && c < SHOWN_MOST; c++) {
        print_name(s->classes.name[c]);
        for (int split = 0; split < CRS_SPLITS; split++) {
            const int64_t count = sum->classes[split][c], all = sum->targets[split];
            printf("  %10s  %6.2f %%", crs_format_count(count, number),
                   all > 0 ? 100 * (double)count / (double)all : 0.0);
        }
        putchar('\n');
    }
    print_more(s->classes.count);
}

static void print_first(const crs_dataset *d) {
    printf("%s: a data set of sequences, whole: what hashes it has agree\n", d->path);
}

static void print_all(const crs_dataset *d, const crs_summary *sum, int64_t bytes) {
    char size[32], targets[96];
    print_first(d);
    print_wrapped("source", d->source);
    print_attribute(d, "description");
    print_inputs(&d->schema);
    crs_show_targets(&d->schema, targets, sizeof targets);
    crs_show_line("targets", "%s", targets);
    if (d->schema.inputs == CRS_INPUT_TOKENS)
        crs_show_vocabulary(&d->vocabulary);
    print_ranges(d, sum);
    if (d->schema.grid > 0)
        crs_show_line("grid", "a step is 1/%d of a whole note", d->schema.grid);
    print_attribute(d, "missing");
    crs_show_line("digest", "%s", d->digest);
    crs_show_bytes(bytes, size);
    crs_show_line("size", "%s", size);
    print_splits(d, sum);
    print_lengths(d);
    print_values(d, sum);
    print_classes(d, sum);
}

/* ---- JSON ---- */

static json_t *splits_object(const crs_dataset *d, const crs_summary *sum) {
    json_t *splits = json_object();
    for (crs_split split = 0; split < CRS_SPLITS; split++) {
        const crs_sequences *q = &d->sequences[split];
        json_t *object =
            json_pack("{s:I, s:I, s:I, s:I}", "sequences", (json_int_t)q->count, "steps", (json_int_t)d->length[split],
                      "targets", (json_int_t)sum->targets[split], "longest", (json_int_t)q->longest);
        json_object_set_new(splits, crs_split_name(split), object);
    }
    return splits;
}

static json_t *lengths_array(const crs_dataset *d) {
    bin bins[64];
    const int count = fill_bins(d, bins);
    json_t *lengths = json_array();
    for (int b = 0; b < count; b++)
        json_array_append_new(lengths, json_pack("{s:I, s:I, s:I}", "least", (json_int_t)bins[b].low, "most",
                                                 (json_int_t)bins[b].high, "sequences", (json_int_t)bins[b].count));
    return lengths;
}

/* What is known of each column. */
static json_t *columns_array(const crs_names *names, const crs_names *units, const crs_scale *scale, const float *least,
                             const float *most, const int64_t *ones) {
    json_t *columns = json_array();
    for (int i = 0; i < names->count; i++) {
        json_t *column = json_pack("{s:o}", "name", crs_show_json_text(names->name[i]));
        if (units->count > 0)
            json_object_set_new(column, "units", crs_show_json_text(units->name[i]));
        if (scale && scale->mean) {
            json_object_set_new(column, "mean", crs_show_json_real(scale->mean[i]));
            json_object_set_new(column, "deviation", crs_show_json_real(scale->deviation[i]));
        }
        if (least) {
            json_object_set_new(column, "least", crs_show_json_real((double)least[i]));
            json_object_set_new(column, "most", crs_show_json_real((double)most[i]));
        }
        if (ones)
            json_object_set_new(column, "ones", json_integer((json_int_t)ones[i]));
        json_array_append_new(columns, column);
    }
    return columns;
}

static json_t *classes_array(const crs_dataset *d, const crs_summary *sum) {
    json_t *classes = json_array();
    for (int c = 0; c < d->schema.classes.count; c++) {
        json_t *class = json_pack("{s:o}", "name", crs_show_json_text(d->schema.classes.name[c]));
        for (crs_split split = 0; split < CRS_SPLITS; split++)
            json_object_set_new(class, crs_split_name(split), json_integer((json_int_t)sum->classes[split][c]));
        json_array_append_new(classes, class);
    }
    return classes;
}

static void set_text(json_t *object, const crs_dataset *d, const char *name) {
    char *text = crs_dataset_text(d, name);
    if (text)
        json_object_set_new(object, name, crs_show_json_text(text));
    crs_free(&text);
}

static json_t *whole_object(const crs_dataset *d, const crs_summary *sum, int64_t bytes) {
    const crs_schema *s = &d->schema;
    json_t *object = json_pack(
        "{s:o, s:s, s:o, s:s, s:s, s:s, s:i, s:i, s:s, s:I, s:o, s:o}", "file", crs_show_json_text(d->path), "format",
        "carousel/sequences", "source", crs_show_json_text(d->source), "inputs", crs_input_names()[s->inputs],
        "targets", crs_target_names()[s->targets], "alignment", crs_alignment_names()[s->alignment], "input_size",
        s->input_size, "target_size", s->target_size, "data_digest", d->digest, "bytes", (json_int_t)bytes, "splits",
        splits_object(d, sum), "lengths", lengths_array(d));
    set_text(object, d, "description");
    set_text(object, d, "missing");
    set_text(object, d, "grid");
    if (crs_schema_is_forecast(s)) {
        json_object_set_new(object, "context", json_integer((json_int_t)s->context));
        json_object_set_new(object, "horizon", json_integer((json_int_t)s->horizon));
    }
    if (s->inputs == CRS_INPUT_TOKENS)
        json_object_set_new(object, "vocabulary", crs_show_json_vocabulary(&d->vocabulary));
    else
        json_object_set_new(object, "columns",
                            columns_array(&s->columns, &s->units, &s->scale,
                                          d->sequences[CRS_TRAIN].count > 0 ? sum->least : NULL, sum->most, sum->ones));
    if (s->targets == CRS_TARGET_CLASS)
        json_object_set_new(object, "classes", classes_array(d, sum));
    else if (s->targets != CRS_TARGET_NEXT)
        json_object_set_new(
            object, "target_columns",
            columns_array(&s->target_names, &s->target_units, &s->target_scale, NULL, NULL, sum->target_ones));
    return object;
}

crs_status crs_show_sequences(const char *path, int64_t bytes, crs_show_form form, crs_error *error) {
    crs_dataset d;
    crs_summary sum;
    if (crs_dataset_open(&d, path, error))
        return error->status;
    if (crs_show_verify(&d, error)) {
        /* nothing is told of it */
    } else if (form == CRS_SHOW_DIGEST) {
        printf("data %s\n", d.digest);
    } else if (form == CRS_SHOW_VERIFY) {
        print_first(&d);
    } else if (crs_dataset_summarize(&d, &sum, error) == CRS_OK) {
        if (form == CRS_SHOW_JSON)
            crs_show_json_print(whole_object(&d, &sum, bytes), JSON_COMPACT, error);
        else
            print_all(&d, &sum, bytes);
        crs_summary_free(&sum);
    }
    crs_dataset_close(&d);
    return error->status;
}
