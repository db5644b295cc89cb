/* What a model says of a split, counted; and the simplest guess. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "train/tally.h"

/* ---- sums of real numbers ---- */

enum { PART_BITS = 48 };

void crs_fixed_add(crs_fixed *sum, double term) {
    const double most = 0x1p40;
    term = term < most ? term : most; /* not a number: a loss that is refused anyway */
    term = term > -most ? term : -most;
    const double whole = floor(term);
    sum->part += (int64_t)((term - whole) * 0x1p48 + 0.5);
    sum->whole += (int64_t)whole + (sum->part >> PART_BITS);
    sum->part &= (INT64_C(1) << PART_BITS) - 1;
}

double crs_fixed_real(const crs_fixed *sum) {
    return (double)sum->whole + (double)sum->part * 0x1p-48;
}

/* ---- what is counted ---- */

enum { HITS = 3 };

/* The arrays in order, whole numbers first. */
static void place(crs_tally *tally, size_t ones, size_t confusion, size_t sums) {
    int64_t *at = tally->number;
    tally->targets = at++;
    tally->hits = at;
    at += HITS;
    tally->ones = at;
    at += ones;
    tally->confusion = at;
    at += confusion;
    tally->weight = (crs_fixed *)at;
    tally->sum = tally->weight + 1;
    CRS_ASSERT((int64_t *)(tally->sum + sums) == tally->number + tally->numbers);
}

crs_status crs_tally_create(crs_tally *tally, const crs_schema *schema, bool truth_alone, crs_error *error) {
    const size_t columns = (size_t)schema->target_size;
    *tally = (crs_tally){.schema = schema,
                         .columns = schema->target_size,
                         .confuses = schema->targets == CRS_TARGET_CLASS && !truth_alone};
    const size_t ones = crs_schema_says_bits(schema) ? columns : 0, confusion = tally->confuses ? columns * columns : 0,
                 sums = columns * (schema->targets == CRS_TARGET_VALUES ? CRS_OF_VALUE : 1);
    tally->numbers = 1 + HITS + ones + confusion + (1 + sums) * (sizeof(crs_fixed) / sizeof(int64_t));
    tally->number =
        crs_alloc_or_fail(tally->numbers, sizeof *tally->number, CRS_MEMORY_OTHER, "what is counted of a split", error);
    if (tally->number)
        place(tally, ones, confusion, sums);
    return error->status;
}

void crs_tally_free(crs_tally *tally) {
    crs_free(&tally->number);
    *tally = (crs_tally){0};
}

int crs_likeliest(const float *outputs, int count) {
    int most = 0;
    for (int i = 1; i < count; i++)
        if (outputs[i] > outputs[most])
            most = i;
    return most;
}

static void take_class(crs_tally *tally, uint32_t truth, const float *outputs, double weight) {
    crs_fixed_add(&tally->sum[truth], weight);
    if (tally->confuses && outputs) {
        const int said = crs_likeliest(outputs, tally->columns);
        tally->confusion[(size_t)truth * (size_t)tally->columns + (size_t)said]++;
    }
}

/* A logistic output above 0 is a probability above 0.5. */
static void take_bits(crs_tally *tally, const float *truth, const float *outputs, double weight) {
    for (int c = 0; c < tally->columns; c++) {
        const bool is = truth[c] > 0, said = outputs && outputs[c] > 0;
        if (is)
            crs_fixed_add(&tally->sum[c], weight);
        tally->ones[c] += is;
        if (is || said)
            tally->hits[is && said ? 0 : said ? 1 : 2]++;
    }
}

/* The scaled values of the context's last step, where the batch has them in its input. */
static const float *last_input(const crs_tally *tally, const crs_batch *batch, ptrdiff_t row) {
    const ptrdiff_t pair = crs_pair(batch, (int)tally->schema->context - 1, (int)row);
    return batch->input.numbers + pair * tally->schema->input_size;
}

/* outputs may go on behind the means, with log-variances. */
static void take_values(crs_tally *tally, const crs_batch *batch, ptrdiff_t i, const float *truth, const float *outputs,
                        double weight) {
    const crs_schema *s = tally->schema;
    const int numbers = crs_schema_numbers(s);
    const float *base = tally->last ? tally->last(tally->last_context, batch, i) : NULL;
    const float *input = crs_schema_is_forecast(s) && !base ? last_input(tally, batch, i) : NULL;
    for (int j = 0; j < numbers; j++) {
        const int c = j % tally->columns; /* forecasts: step by step */
        crs_fixed *sum = tally->sum + (ptrdiff_t)c * CRS_OF_VALUE;
        const double y = truth[j], value = base ? y + base[c] : y, off = outputs ? outputs[j] - y : 0,
                     guess = input ? y - input[s->target_columns[c]] : y;
        crs_fixed_add(&sum[CRS_OFF_SQUARE], weight * off * off);
        crs_fixed_add(&sum[CRS_OFF_ABSOLUTE], weight * fabs(off));
        crs_fixed_add(&sum[CRS_TRUE], weight * value);
        crs_fixed_add(&sum[CRS_TRUE_SQUARE], weight * value * value);
        crs_fixed_add(&sum[CRS_GUESS_SQUARE], weight * guess * guess);
        crs_fixed_add(&sum[CRS_GUESS_ABSOLUTE], weight * fabs(guess));
    }
}

void crs_tally_take(crs_tally *tally, const crs_batch *batch, ptrdiff_t first, int count, const float *outputs,
                    ptrdiff_t row) {
    const int numbers = crs_schema_numbers(tally->schema);
    for (ptrdiff_t i = first; i < first + count; i++) {
        const double weight = batch->weight ? batch->weight[i] : 1;
        const float *said = outputs ? outputs + (i - first) * row : NULL;
        if (!(weight > 0))
            continue;
        ++*tally->targets;
        crs_fixed_add(tally->weight, weight);
        if (crs_schema_says_one(tally->schema))
            take_class(tally, batch->target.tokens[i], said, weight);
        else if (tally->schema->targets == CRS_TARGET_VALUES)
            take_values(tally, batch, i, batch->target.numbers + i * numbers, said, weight);
        else
            take_bits(tally, batch->target.numbers + i * numbers, said, weight);
    }
}

void crs_tally_said(void *context, const crs_batch *batch, ptrdiff_t first, int count, const float *outputs,
                    ptrdiff_t row) {
    crs_tally_take(context, batch, first, count, outputs, row);
}

/* Whole numbers are added, parts too: of 2^15 ranks they stay in range. */
void crs_tally_sum(crs_comm *comm, crs_tally *tally) {
    crs_comm_sum(comm, tally->number, tally->numbers);
    const crs_fixed *end = (crs_fixed *)(tally->number + tally->numbers);
    for (crs_fixed *sum = tally->weight; sum < end; sum++) {
        sum->whole += sum->part >> PART_BITS;
        sum->part &= (INT64_C(1) << PART_BITS) - 1;
    }
}

/* ---- figures ---- */

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

/* Of a column's sums, over the weight `over`. */
static double mean(const crs_tally *tally, int column, int sum, double over) {
    return crs_fixed_real(&tally->sum[column * CRS_OF_VALUE + sum]) / over;
}

/* 1 - the share of the truth's variance that is left; NaN where it has none but for the rounding of the sums. */
static double r2_of(double mse, double truth, double truth_square) {
    const double variance = truth_square - truth * truth;
    return variance > truth_square * 0x1p-44 ? 1 - mse / variance : NAN;
}

/* Summed over columns in their order. A forecast's column is that of each step of the horizon. */
static crs_status value_figures(const crs_tally *tally, crs_evaluation *e, crs_error *error) {
    const int columns = tally->columns;
    const double over = crs_fixed_real(tally->weight) * (crs_schema_numbers(tally->schema) / columns);
    e->column = crs_alloc_or_fail((size_t)columns, sizeof *e->column, CRS_MEMORY_OTHER, "what is off by column", error);
    if (!e->column)
        return error->status;
    e->columns = columns;
    e->guessed = true;
    e->guess_loss = NAN;
    for (int c = 0; c < columns; c++) {
        const double unit = tally->schema->target_scale.deviation[c], truth = mean(tally, c, CRS_TRUE, over),
                     square = mean(tally, c, CRS_TRUE_SQUARE, over), mse = mean(tally, c, CRS_OFF_SQUARE, over),
                     mae = mean(tally, c, CRS_OFF_ABSOLUTE, over), guess_mse = mean(tally, c, CRS_GUESS_SQUARE, over),
                     guess_mae = mean(tally, c, CRS_GUESS_ABSOLUTE, over);
        e->column[c] = (crs_column_error){.mse = mse * unit * unit,
                                          .mae = mae * unit,
                                          .r2 = r2_of(mse, truth, square),
                                          .guess_mse = guess_mse * unit * unit,
                                          .guess_mae = guess_mae * unit,
                                          .guess_r2 = r2_of(guess_mse, truth, square)};
        e->mse += mse / columns;
        e->mae += mae / columns;
        e->guess_mse += guess_mse / columns;
        e->guess_mae += guess_mae / columns;
    }
    return CRS_OK;
}

/* Over the classes that occur or are said. */
static crs_status class_figures(const crs_tally *tally, crs_evaluation *e, crs_error *error) {
    const size_t classes = (size_t)tally->columns;
    int64_t right = 0;
    int occur = 0;
    e->confusion =
        crs_alloc_or_fail(classes * classes, sizeof *e->confusion, CRS_MEMORY_OTHER, "a table of classes", error);
    if (!e->confusion)
        return error->status;
    memcpy(e->confusion, tally->confusion, classes * classes * sizeof *e->confusion);
    e->classes = tally->columns;
    for (size_t c = 0; c < classes; c++) {
        int64_t both = 0;
        for (size_t other = 0; other < classes; other++)
            both += e->confusion[c * classes + other] + e->confusion[other * classes + c];
        const int64_t good = e->confusion[c * classes + c];
        right += good;
        occur += both > 0;
        e->macro_f1 += ratio(2 * (double)good, (double)both);
    }
    e->macro_f1 = ratio(e->macro_f1, occur);
    e->accuracy = ratio((double)right, (double)e->targets);
    return CRS_OK;
}

/* hits: [3], as of a tally. */
static void bit_figures(const int64_t hits[HITS], double *precision, double *recall, double *f1) {
    const double good = (double)hits[0], wrong = (double)hits[1], missed = (double)hits[2];
    *precision = ratio(good, good + wrong);
    *recall = ratio(good, good + missed);
    *f1 = ratio(2 * good, 2 * good + wrong + missed);
}

/* -sum w ln p: no w needs no p. */
static double surprise(double weight, double share) {
    return !(weight > 0) ? 0 : share > 0 ? -weight * crs_log(share) : INFINITY;
}

double crs_held_share(double share) {
    static const double least = 1e-4;
    return share < least ? least : share > 1 - least ? 1 - least : share;
}

/* The likeliest class is said everywhere: the others that occur have an f1 of 0. */
static void guess_one_class(const crs_tally *tally, crs_evaluation *e) {
    const size_t classes = (size_t)tally->columns;
    int64_t right = 0;
    int occur = 0;
    for (size_t c = 0; c < classes; c++) {
        int64_t count = 0;
        for (size_t said = 0; said < classes; said++)
            count += tally->confusion[c * classes + said];
        occur += count > 0 || c == (size_t)e->guess_class;
        right = c == (size_t)e->guess_class ? count : right;
    }
    e->guess_accuracy = ratio((double)right, (double)e->targets);
    e->guess_macro_f1 = ratio(2 * (double)right, (double)(right + e->targets)) / occur;
}

/* The bits that training has in more than half of its targets are said to be 1, the others never. */
static void guess_frequent_bits(const crs_tally *tally, const crs_tally *training, crs_evaluation *e) {
    const double half = crs_fixed_real(training->weight) / 2;
    int64_t hits[HITS] = {0};
    for (int c = 0; c < tally->columns; c++) {
        const bool said = crs_fixed_real(&training->sum[c]) > half;
        hits[said ? 0 : 2] += tally->ones[c];
        hits[1] += said ? e->targets - tally->ones[c] : 0;
    }
    bit_figures(hits, &e->guess_precision, &e->guess_recall, &e->guess_f1);
}

/* Shares of training as probabilities of what is true here. */
static void guess_by_shares(const crs_tally *tally, const crs_tally *training, crs_evaluation *e) {
    const double all = crs_fixed_real(training->weight), over = crs_fixed_real(tally->weight);
    double nats = 0, most = -1;
    for (int c = 0; c < tally->columns; c++) {
        const bool one_of_many = crs_schema_says_one(tally->schema);
        const double weight = crs_fixed_real(&tally->sum[c]), of_all = crs_fixed_real(&training->sum[c]) / all;
        const double share = one_of_many ? of_all : crs_held_share(of_all);
        nats += surprise(weight, share);
        if (!one_of_many)
            nats += surprise(over - weight, 1 - share);
        if (share > most) {
            most = share;
            e->guess_class = c;
        }
    }
    e->guessed = true;
    e->guess_loss = nats / over;
    if (tally->confuses)
        guess_one_class(tally, e);
    if (crs_schema_says_bits(tally->schema))
        guess_frequent_bits(tally, training, e);
}

crs_status crs_tally_figures(const crs_tally *tally, const crs_tally *training, crs_evaluation *e, crs_error *error) {
    *e = (crs_evaluation){.targets = *tally->targets};
    if (tally->schema->targets == CRS_TARGET_VALUES)
        return value_figures(tally, e, error);
    if (tally->confuses && class_figures(tally, e, error))
        return error->status;
    if (crs_schema_says_bits(tally->schema))
        bit_figures(tally->hits, &e->precision, &e->recall, &e->f1);
    if (training && *training->targets > 0)
        guess_by_shares(tally, training, e);
    return CRS_OK;
}

void crs_evaluation_free(crs_evaluation *evaluation) {
    crs_free(&evaluation->confusion);
    crs_free(&evaluation->column);
    *evaluation = (crs_evaluation){0};
}
