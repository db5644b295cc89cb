/* What stands in the sequences of a data set, for a person. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "data/sequences.h"
#include "data/tokens.h"

enum { BLOCK_BYTES = 1 << 18, TEXT_MAX = 4096 };

char *crs_dataset_text(const crs_dataset *d, const char *attribute) {
    char text[TEXT_MAX];
    char *copy = crs_h5_text(d->file->file, attribute, text, sizeof text) == CRS_FOUND ? crs_copy_text(text) : NULL;
    if (copy)
        crs_utf8_mend(copy);
    return copy;
}

/* ---- a split, block by block ---- */

typedef struct scan {
    const crs_dataset *dataset;
    crs_split split;
    crs_summary *summary;
    char *block;      /* owned, BLOCK_BYTES or one row */
    float *weight;    /* owned: of the rows of a block, or of all sequences */
    int64_t sequence; /* that the row in question is of */
    bool any;         /* whether there is a target is all that is asked: one is enough */
} scan;

/* Rows that go into a block, at least 1; 0: there is no such array. */
static int64_t block_rows(const crs_set *set) {
    if (!set)
        return 0;
    const int64_t rows = BLOCK_BYTES / ((int64_t)set->width * set->unit);
    return rows > 0 ? rows : 1;
}

static void count_ones(const uint8_t *bits, int64_t rows, int width, int64_t *ones) {
    for (int64_t row = 0; row < rows; row++)
        for (int i = 0; i < width; i++)
            ones[i] += bits[row * width + i];
}

static void find_range(const void *values, int64_t rows, int width, float *least, float *most) {
    for (int64_t row = 0; row < rows; row++)
        for (int i = 0; i < width; i++) {
            const float value = crs_value_float(values, (size_t)(row * width + i));
            least[i] = fminf(least[i], value);
            most[i] = fmaxf(most[i], value);
        }
}

/* What a block of inputs, or of targets that are bits, adds. */
static void take_numbers(scan *s, crs_part part, int64_t rows) {
    const crs_schema *schema = &s->dataset->schema;
    crs_summary *sum = s->summary;
    if (part == CRS_PART_TARGETS)
        count_ones((uint8_t *)s->block, rows, schema->target_size, sum->target_ones);
    else if (schema->inputs == CRS_INPUT_BITS)
        count_ones((uint8_t *)s->block, rows, schema->input_size, sum->ones);
    else
        find_range(s->block, rows, schema->input_size, sum->least, sum->most);
}

static crs_status scan_numbers(scan *s, crs_part part, crs_error *error) {
    const crs_set *set = crs_part_of(s->dataset, s->split, part);
    const int64_t some = block_rows(set), all = set ? (int64_t)set->rows : 0;
    for (int64_t row = 0; row < all && !error->status; row += some) {
        const int64_t rows = all - row < some ? all - row : some;
        if (crs_part_read(s->dataset, s->split, part, row, rows, s->block, error) == CRS_OK)
            take_numbers(s, part, rows);
    }
    return error->status;
}

/* Whether a step (by sequence: the sequence itself) has a target. */
static bool has_target(scan *s, int64_t row, int64_t first) {
    const crs_schema *schema = &s->dataset->schema;
    const crs_sequences *q = &s->dataset->sequences[s->split];
    if (schema->alignment == CRS_ALIGN_SEQUENCE)
        return !q->has_weights || crs_value_float(s->weight, (size_t)row) > 0;
    while (row >= q->start[s->sequence + 1])
        s->sequence++;
    const int64_t step = row - q->start[s->sequence] + (schema->targets == CRS_TARGET_NEXT);
    if (step >= q->length[s->sequence] || (q->lead && step < q->lead[s->sequence]))
        return false;
    return !q->has_weights || crs_value_float(s->weight, (size_t)(q->weights_by_step ? row - first : s->sequence)) > 0;
}

/* index: of its class in the block. */
static void count_target(scan *s, int64_t row, int64_t index) {
    const crs_schema *schema = &s->dataset->schema;
    const bool forecast = crs_schema_is_forecast(schema);
    s->summary->targets[s->split] += forecast ? crs_windows_of(schema, &s->dataset->sequences[s->split], row) : 1;
    if (schema->targets == CRS_TARGET_CLASS) {
        const int unit = crs_part_of(s->dataset, s->split, CRS_PART_TARGETS)->unit;
        uint32_t class;
        crs_tokens_widen(s->block + (size_t)index * (size_t)unit, unit, 1, &class);
        s->summary->classes[s->split][class]++;
    }
}

/* Steps or sequences, and what is to be said of each. */
static crs_status scan_targets(scan *s, crs_error *error) {
    const crs_schema *schema = &s->dataset->schema;
    const crs_sequences *q = &s->dataset->sequences[s->split];
    const bool by_step = schema->alignment == CRS_ALIGN_STEP, class = schema->targets == CRS_TARGET_CLASS;
    const int64_t all = by_step ? s->dataset->length[s->split] : q->count;
    const int64_t some = BLOCK_BYTES / (int64_t)sizeof(uint32_t);
    s->sequence = 0;
    if (q->has_weights && !q->weights_by_step &&
        crs_part_read(s->dataset, s->split, CRS_PART_WEIGHTS, 0, q->count, s->weight, error))
        return error->status;
    for (int64_t row = 0; row < all && !(s->any && s->summary->targets[s->split] > 0); row += some) {
        const int64_t rows = all - row < some ? all - row : some;
        if ((class && crs_part_read(s->dataset, s->split, CRS_PART_TARGETS, row, rows, s->block, error)) ||
            (q->weights_by_step && crs_part_read(s->dataset, s->split, CRS_PART_WEIGHTS, row, rows, s->weight, error)))
            return error->status;
        for (int64_t i = 0; i < rows; i++)
            if (has_target(s, row + i, row))
                count_target(s, row + i, i);
    }
    return CRS_OK;
}

/* ---- the whole ---- */

static bool make_room(const crs_dataset *d, crs_summary *sum) {
    const crs_schema *s = &d->schema;
    const size_t inputs = (size_t)s->input_size, targets = (size_t)s->target_size;
    bool good = true;
    if (s->inputs == CRS_INPUT_VALUES) {
        sum->least = crs_alloc(inputs, sizeof *sum->least, CRS_MEMORY_DATA);
        sum->most = crs_alloc(inputs, sizeof *sum->most, CRS_MEMORY_DATA);
        good = sum->least && sum->most;
        for (size_t i = 0; i < inputs && good; i++) {
            sum->least[i] = INFINITY;
            sum->most[i] = -INFINITY;
        }
    }
    if (s->inputs == CRS_INPUT_BITS)
        good = (sum->ones = crs_alloc(inputs, sizeof *sum->ones, CRS_MEMORY_DATA)) != NULL;
    if (good && s->targets == CRS_TARGET_BITS)
        good = (sum->target_ones = crs_alloc(targets, sizeof *sum->target_ones, CRS_MEMORY_DATA)) != NULL;
    for (crs_split split = 0; split < CRS_SPLITS && good && s->targets == CRS_TARGET_CLASS; split++)
        good = (sum->classes[split] = crs_alloc(targets, sizeof *sum->classes[split], CRS_MEMORY_DATA)) != NULL;
    return good;
}

static crs_status scan_split(const crs_dataset *d, crs_split split, bool any, crs_summary *sum, crs_error *error) {
    const crs_schema *schema = &d->schema;
    scan s = {.dataset = d, .split = split, .summary = sum, .any = any};
    int64_t bytes = BLOCK_BYTES, weights = BLOCK_BYTES / (int64_t)sizeof *s.weight;
    for (crs_part part = CRS_PART_INPUTS; part <= CRS_PART_TARGETS; part++) {
        const crs_set *set = crs_part_of(d, split, part);
        if (set && set->width * set->unit > bytes)
            bytes = set->width * set->unit;
    }
    if (d->sequences[split].count > weights)
        weights = d->sequences[split].count;
    s.block = crs_alloc_or_fail((size_t)bytes, 1, CRS_MEMORY_DATA, "looking at a data set", error);
    if (s.block)
        s.weight =
            crs_alloc_or_fail((size_t)weights, sizeof *s.weight, CRS_MEMORY_DATA, "looking at a data set", error);
    const bool values = schema->inputs == CRS_INPUT_VALUES && split == CRS_TRAIN;
    if (!error->status && !any && (values || schema->inputs == CRS_INPUT_BITS))
        scan_numbers(&s, CRS_PART_INPUTS, error);
    if (!error->status && !any && schema->targets == CRS_TARGET_BITS)
        scan_numbers(&s, CRS_PART_TARGETS, error);
    if (!error->status)
        scan_targets(&s, error);
    crs_free(&s.block);
    crs_free(&s.weight);
    return error->status;
}

crs_status crs_dataset_summarize(const crs_dataset *d, crs_summary *sum, crs_error *error) {
    *sum = (crs_summary){0};
    if (!make_room(d, sum))
        crs_fail(error, CRS_INTERNAL, "out of memory for looking at a data set");
    for (crs_split split = 0; split < CRS_SPLITS && !error->status; split++)
        scan_split(d, split, false, sum, error);
    if (error->status)
        crs_summary_free(sum);
    return error->status;
}

crs_status crs_dataset_any_target(const crs_dataset *d, crs_split split, bool *any, crs_error *error) {
    crs_summary sum = {0};
    *any = false;
    if (!make_room(d, &sum))
        crs_fail(error, CRS_INTERNAL, "out of memory for looking at a data set");
    else if (scan_split(d, split, true, &sum, error) == CRS_OK)
        *any = sum.targets[split] > 0;
    crs_summary_free(&sum);
    return error->status;
}

void crs_summary_free(crs_summary *sum) {
    for (int split = 0; split < CRS_SPLITS; split++)
        crs_free(&sum->classes[split]);
    crs_free(&sum->least);
    crs_free(&sum->most);
    crs_free(&sum->ones);
    crs_free(&sum->target_ones);
}
