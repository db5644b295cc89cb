/* What is counted of what a model says: against plain sums, and the same bits in any order, at any number of ranks. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "carousel/train.h"
#include "harness.h"
#include "train/tally.h"

enum { TARGETS = 60, COLUMNS = 3, CONTEXT = 2, HORIZON = 2, INPUTS = 4, MOST = COLUMNS * HORIZON };

/* Made-up batches: each target is a row of its own. */
typedef struct fixture {
    crs_schema schema;
    crs_batch batch;
    uint32_t tokens[TARGETS];
    float truth[TARGETS * MOST], outputs[TARGETS * MOST], weight[TARGETS], input[CONTEXT * TARGETS * INPUTS];
    int target_columns[COLUMNS];
    double mean[COLUMNS], deviation[COLUMNS];
    float last[TARGETS][COLUMNS];
} fixture;

static double draw(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (double)(*state >> 11) * 0x1p-52 - 1; /* -1 to 1 */
}

/* A fifth of the targets has no weight. */
static void make(fixture *f, crs_input_kind inputs, crs_target_kind targets, bool forecast) {
    uint64_t state = 5;
    memset(f, 0, sizeof *f);
    f->schema = (crs_schema){.inputs = inputs,
                             .targets = targets,
                             .alignment = forecast ? CRS_ALIGN_SEQUENCE : CRS_ALIGN_STEP,
                             .context = forecast ? CONTEXT : 0,
                             .horizon = forecast ? HORIZON : 0,
                             .input_size = INPUTS,
                             .target_size = COLUMNS,
                             .target_columns = f->target_columns,
                             .target_scale = {f->mean, f->deviation}};
    f->batch = (crs_batch){.steps = forecast ? CONTEXT : 1,
                           .rows = TARGETS,
                           .input.numbers = f->input,
                           .target = {f->tokens, f->truth},
                           .weight = f->weight};
    for (int c = 0; c < COLUMNS; c++) {
        f->target_columns[c] = COLUMNS - c;
        f->mean[c] = c;
        f->deviation[c] = 0.5 + c;
    }
    for (int i = 0; i < TARGETS; i++) {
        f->tokens[i] = (uint32_t)(i * i % 7 % COLUMNS);
        f->weight[i] = i % 5 == 1 ? 0 : (float)(1 + draw(&state) / 2);
        for (int c = 0; c < COLUMNS; c++)
            f->last[i][c] = (float)draw(&state);
    }
    for (int i = 0; i < TARGETS * MOST; i++) {
        const double y = draw(&state);
        f->truth[i] = targets == CRS_TARGET_VALUES ? (float)y : y > 0.2F;
        f->outputs[i] = (float)(f->truth[i] - 0.4F + draw(&state));
    }
    for (int i = 0; i < CONTEXT * TARGETS * INPUTS; i++)
        f->input[i] = (float)draw(&state);
}

static void must(crs_status status, const crs_error *error) {
    if (status != CRS_OK)
        crs_panic(__FILE__, __LINE__, "%s", error->message);
}

/* Counts targets by the piece, backwards, this rank every so many of them. NULL outputs: the truth. Collective. */
static void count(fixture *f, crs_comm *comm, int piece, bool truth_alone, crs_last_values *last, crs_tally *tally) {
    crs_error error = {0};
    const ptrdiff_t row = crs_schema_numbers(&f->schema) == 1 ? COLUMNS : crs_schema_numbers(&f->schema);
    must(crs_tally_create(tally, &f->schema, truth_alone, &error), &error);
    tally->last = last;
    tally->last_context = f;
    for (int at = (TARGETS - 1) / piece * piece, n = 0; at >= 0; at -= piece, n++)
        if (n % harness_size() == harness_rank())
            crs_tally_take(tally, &f->batch, at, TARGETS - at < piece ? TARGETS - at : piece,
                           truth_alone ? NULL : f->outputs + at * row, row);
    crs_tally_sum(comm, tally);
}

static void figure(fixture *f, crs_last_values *last, const crs_tally *training, crs_evaluation *e) {
    crs_comm *comm = crs_comm_open(NULL, NULL);
    crs_error error = {0};
    crs_tally tally, other;
    crs_evaluation again;
    count(f, comm, TARGETS, false, last, &tally);
    must(crs_tally_figures(&tally, training, e, &error), &error);
    count(f, comm, 7, false, last, &other);
    CU_ASSERT_EQUAL(memcmp(tally.number, other.number, tally.numbers * sizeof *tally.number), 0);
    must(crs_tally_figures(&other, training, &again, &error), &error);
    CU_ASSERT_EQUAL(e->mse, again.mse);
    CU_ASSERT_EQUAL(e->accuracy, again.accuracy);
    crs_evaluation_free(&again);
    crs_tally_free(&tally);
    crs_tally_free(&other);
    crs_comm_close(&comm);
}

/* ---- sums ---- */

static void test_sums_in_any_order(void) {
    enum { TERMS = 1000 };
    double term[TERMS], plain = 0;
    uint64_t state = 9;
    crs_fixed forth = {0}, back = {0};
    for (int i = 0; i < TERMS; i++) {
        term[i] = draw(&state) * pow(2, (double)(i % 30) - 15);
        plain += term[i];
        crs_fixed_add(&forth, term[i]);
    }
    for (int i = TERMS - 1; i >= 0; i--)
        crs_fixed_add(&back, term[i]);
    CU_ASSERT_EQUAL(memcmp(&forth, &back, sizeof forth), 0);
    CU_ASSERT_DOUBLE_EQUAL(crs_fixed_real(&forth), plain, 1e-9);
}

static void test_sums_at_the_ends(void) {
    crs_fixed sum = {0};
    crs_fixed_add(&sum, -0.25);
    CU_ASSERT_EQUAL(crs_fixed_real(&sum), -0.25);
    crs_fixed_add(&sum, -0x1p-50);
    CU_ASSERT_EQUAL(crs_fixed_real(&sum), -0.25);
    crs_fixed_add(&sum, 0x1p-48);
    CU_ASSERT_EQUAL(crs_fixed_real(&sum), -0.25 + 0x1p-48);
    sum = (crs_fixed){0};
    crs_fixed_add(&sum, 1e300);
    CU_ASSERT_EQUAL(crs_fixed_real(&sum), 0x1p40);
    crs_fixed_add(&sum, -INFINITY);
    CU_ASSERT_EQUAL(crs_fixed_real(&sum), 0);
    crs_fixed_add(&sum, NAN);
    CU_ASSERT_EQUAL(crs_fixed_real(&sum), 0x1p40);
}

/* ---- classes ---- */

static void test_classes(void) {
    fixture f;
    crs_evaluation e;
    int64_t confusion[COLUMNS][COLUMNS] = {0}, targets = 0, right = 0;
    double f1 = 0;
    make(&f, CRS_INPUT_BITS, CRS_TARGET_CLASS, false);
    f.outputs[2] = f.outputs[0] = 5; /* of equal ones, the first */
    for (int i = 0; i < TARGETS; i++) {
        const float *o = f.outputs + (ptrdiff_t)i * COLUMNS;
        const int said = o[0] >= o[1] && o[0] >= o[2] ? 0 : o[1] >= o[2] ? 1 : 2;
        targets += f.weight[i] > 0;
        confusion[f.tokens[i]][said] += f.weight[i] > 0;
        right += f.weight[i] > 0 && said == (int)f.tokens[i];
    }
    for (int c = 0; c < COLUMNS; c++) {
        int64_t true_of = 0, said_of = 0;
        for (int o = 0; o < COLUMNS; o++) {
            true_of += confusion[c][o];
            said_of += confusion[o][c];
        }
        f1 += 2.0 * (double)confusion[c][c] / (double)(true_of + said_of) / COLUMNS;
    }
    figure(&f, NULL, NULL, &e);
    CU_ASSERT_EQUAL(e.targets, targets);
    CU_ASSERT_EQUAL(e.classes, COLUMNS);
    CU_ASSERT_EQUAL(memcmp(e.confusion, confusion, sizeof confusion), 0);
    CU_ASSERT_EQUAL(e.accuracy, (double)right / (double)targets);
    CU_ASSERT(right > 0 && right < targets);
    CU_ASSERT_DOUBLE_EQUAL(e.macro_f1, f1, 1e-12);
    CU_ASSERT(!e.guessed);
    crs_evaluation_free(&e);
}

/* Classes that neither occur nor are said have no part in macro_f1; one that is said alone has, with 0. */
static void test_absent_classes(void) {
    fixture f;
    crs_evaluation e;
    make(&f, CRS_INPUT_VALUES, CRS_TARGET_CLASS, false);
    for (int i = 0; i < TARGETS; i++) {
        f.tokens[i] = 1;
        memcpy(f.outputs + (ptrdiff_t)i * COLUMNS, (const float[]){0, 1, 0}, COLUMNS * sizeof(float));
    }
    figure(&f, NULL, NULL, &e);
    CU_ASSERT_EQUAL(e.macro_f1, 1);
    crs_evaluation_free(&e);
    f.outputs[COLUMNS * 2 + 2] = 2; /* target 2 has weight */
    figure(&f, NULL, NULL, &e);
    const double one = 2.0 * (double)(e.targets - 1) / (double)(2 * e.targets - 1);
    CU_ASSERT_DOUBLE_EQUAL(e.macro_f1, one / 2, 1e-12);
    crs_evaluation_free(&e);
}

/* Shares by weight; what training has never shown costs infinitely much where it is true. */
static void test_guess_by_class(void) {
    fixture f;
    crs_comm *comm = crs_comm_open(NULL, NULL);
    crs_tally training;
    crs_evaluation e;
    double weight[COLUMNS] = {0}, all = 0, nats = 0;
    int64_t ones = 0;
    make(&f, CRS_INPUT_TOKENS, CRS_TARGET_CLASS, false);
    f.schema.target_size = COLUMNS;
    for (int i = 0; i < TARGETS; i++) {
        f.tokens[i] = (uint32_t)(i % 4 ? 1 : i % 3);
        weight[f.tokens[i]] += f.weight[i];
        all += f.weight[i];
        ones += f.tokens[i] == 1 && f.weight[i] > 0;
    }
    for (int c = 0; c < COLUMNS; c++)
        nats -= weight[c] * log(weight[c] / all) / all;
    count(&f, comm, 9, true, NULL, &training);
    figure(&f, NULL, &training, &e);
    CU_ASSERT(e.guessed);
    CU_ASSERT_EQUAL(e.guess_class, 1);
    CU_ASSERT_EQUAL(e.guess_accuracy, (double)ones / (double)e.targets);
    CU_ASSERT(weight[0] > 0 && weight[1] > 0 && weight[2] > 0); /* three classes occur, and one is said */
    CU_ASSERT_DOUBLE_EQUAL(e.guess_macro_f1, 2 * (double)ones / (double)(ones + e.targets) / 3, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(e.guess_loss, nats, 1e-9);
    crs_evaluation_free(&e);
    memset(&training.sum[2], 0, sizeof training.sum[2]);
    figure(&f, NULL, &training, &e);
    CU_ASSERT_EQUAL(e.guess_loss, INFINITY);
    crs_evaluation_free(&e);
    crs_tally_free(&training);
    crs_comm_close(&comm);
}

/* ---- bits ---- */

static void test_bits(void) {
    fixture f;
    crs_comm *comm = crs_comm_open(NULL, NULL);
    crs_tally training;
    crs_evaluation e;
    double hits = 0, said_of = 0, true_of = 0, on[COLUMNS] = {0}, all = 0, nats = 0, ones = 0;
    make(&f, CRS_INPUT_BITS, CRS_TARGET_NEXT, false);
    for (int i = 0; i < TARGETS; i++)
        for (int c = 0; c < COLUMNS; c++) /* the first is 1 most often, the others seldom */
            f.truth[i * COLUMNS + c] = c == 0 ? i % 3 > 0 : i % 4 == c;
    for (int i = 0; i < TARGETS; i++)
        for (int c = 0; c < COLUMNS; c++) {
            const bool said = f.outputs[i * COLUMNS + c] > 0, is = f.truth[i * COLUMNS + c] > 0,
                       is_one = f.weight[i] > 0;
            hits += said && is && is_one;
            said_of += said && is_one;
            true_of += is && is_one;
            ones += c == 0 && is && is_one;
            on[c] += is ? (double)f.weight[i] : 0;
            all += c == 0 ? (double)f.weight[i] : 0;
        }
    for (int c = 0; c < COLUMNS; c++)
        nats -= on[c] / all * log(on[c] / all) + (1 - on[c] / all) * log(1 - on[c] / all);
    count(&f, comm, 4, true, NULL, &training);
    figure(&f, NULL, &training, &e);
    CU_ASSERT_EQUAL(e.precision, hits / said_of);
    CU_ASSERT_EQUAL(e.recall, hits / true_of);
    CU_ASSERT_DOUBLE_EQUAL(e.f1, 2 * hits / (said_of + true_of), 1e-12);
    CU_ASSERT(hits > 0 && hits < said_of && hits < true_of);
    CU_ASSERT_EQUAL(e.guess_precision, ones / (double)e.targets); /* the guess: the first, always */
    CU_ASSERT_EQUAL(e.guess_recall, ones / true_of);
    CU_ASSERT_DOUBLE_EQUAL(e.guess_f1, 2 * ones / ((double)e.targets + true_of), 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(e.guess_loss, nats, 1e-9);
    crs_evaluation_free(&e);
    crs_tally_free(&training);
    crs_comm_close(&comm);
}

/* Bits that training always or never has are guessed with 1e-4 left for the other: what is seldom is not endless. */
static void test_guess_of_constant_bits(void) {
    static const double share[COLUMNS] = {1 - 1e-4, 1e-4, 1e-4};
    fixture f;
    crs_comm *comm = crs_comm_open(NULL, NULL);
    crs_tally training;
    crs_evaluation e;
    double nats = 0, all = 0;
    make(&f, CRS_INPUT_BITS, CRS_TARGET_BITS, false);
    for (int i = 0; i < TARGETS * COLUMNS; i++)
        f.truth[i] = i % COLUMNS == 0;
    count(&f, comm, 4, true, NULL, &training);
    for (int i = 0; i < TARGETS; i++) {
        all += (double)f.weight[i];
        for (int c = 0; c < COLUMNS; c++) { /* the last stays as it was */
            f.truth[i * COLUMNS + c] = c < 2 ? i % 3 == c : 0;
            nats -= (double)f.weight[i] * log(f.truth[i * COLUMNS + c] > 0 ? share[c] : 1 - share[c]);
        }
    }
    figure(&f, NULL, &training, &e);
    CU_ASSERT(e.guessed);
    CU_ASSERT_DOUBLE_EQUAL(e.guess_loss, nats / all, 1e-9);
    crs_evaluation_free(&e);
    crs_tally_free(&training);
    crs_comm_close(&comm);
}

/* Nothing on, nothing said: 0 each, and no division by it. */
static void test_silence(void) {
    fixture f;
    crs_evaluation e;
    make(&f, CRS_INPUT_BITS, CRS_TARGET_BITS, false);
    memset(f.truth, 0, sizeof f.truth);
    memset(f.outputs, 0, sizeof f.outputs); /* a probability of 0.5 is not said */
    figure(&f, NULL, NULL, &e);
    CU_ASSERT(e.targets > 0 && e.precision == 0 && e.recall == 0 && e.f1 == 0);
    crs_evaluation_free(&e);
}

/* ---- values ---- */

typedef struct plain {
    double mse, mae, r2, guess_mse, guess_mae, guess_r2;
} plain;

/* Column c by the definitions, in units. */
static plain plainly(const fixture *f, int c, bool relative) {
    const bool forecast = crs_schema_is_forecast(&f->schema);
    const int numbers = crs_schema_numbers(&f->schema);
    double all = 0, mean = 0, spread = 0;
    plain p = {0};
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < TARGETS; i++)
            for (int j = c; j < numbers; j += COLUMNS) {
                const double w = f->weight[i], unit = f->deviation[c], y = (double)f->truth[i * numbers + j],
                             base = relative ? f->last[i][c] : 0, value = (y + base) * unit + f->mean[c],
                             off = ((double)f->outputs[i * numbers + j] - y) * unit,
                             input = f->input[((CONTEXT - 1) * TARGETS + i) * INPUTS + f->target_columns[c]],
                             guess = (relative || !forecast ? y : y - input) * unit;
                if (pass == 1) {
                    spread += w * (value - mean / all) * (value - mean / all);
                    continue;
                }
                all += w;
                mean += w * value;
                p.mse += w * off * off;
                p.mae += w * fabs(off);
                p.guess_mse += w * guess * guess;
                p.guess_mae += w * fabs(guess);
            }
    return (plain){p.mse / all,       p.mae / all,       1 - p.mse / spread,
                   p.guess_mse / all, p.guess_mae / all, 1 - p.guess_mse / spread};
}

static const float *last_of(void *context, const crs_batch *batch, ptrdiff_t i) {
    fixture *f = context;
    CU_ASSERT_PTR_EQUAL(batch, &f->batch);
    return f->last[i];
}

static void check_values(bool forecast, bool relative) {
    fixture f;
    crs_evaluation e;
    double mse = 0, mae = 0;
    make(&f, CRS_INPUT_VALUES, CRS_TARGET_VALUES, forecast);
    figure(&f, relative ? last_of : NULL, NULL, &e);
    CU_ASSERT_EQUAL_FATAL(e.columns, COLUMNS);
    CU_ASSERT(e.guessed && isnan(e.guess_loss));
    for (int c = 0; c < COLUMNS; c++) {
        const plain p = plainly(&f, c, relative);
        CU_ASSERT_DOUBLE_EQUAL(e.column[c].mse, p.mse, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(e.column[c].mae, p.mae, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(e.column[c].r2, p.r2, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(e.column[c].guess_mse, p.guess_mse, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(e.column[c].guess_mae, p.guess_mae, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(e.column[c].guess_r2, p.guess_r2, 1e-9);
        mse += p.mse / f.deviation[c] / f.deviation[c] / COLUMNS;
        mae += p.mae / f.deviation[c] / COLUMNS;
    }
    CU_ASSERT_DOUBLE_EQUAL(e.mse, mse, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(e.mae, mae, 1e-9);
    crs_evaluation_free(&e);
}

static void test_values(void) {
    check_values(false, false);
}

static void test_forecasts(void) {
    check_values(true, false);
    check_values(true, true);
}

/* Behind the means of a row there may be as many log-variances. A constant truth has no r2. */
static void test_constant_values(void) {
    fixture f;
    crs_evaluation e;
    make(&f, CRS_INPUT_VALUES, CRS_TARGET_VALUES, false);
    for (int i = 0; i < TARGETS * COLUMNS; i++)
        f.truth[i] = i % COLUMNS == 1 ? 0.3F : f.truth[i];
    figure(&f, NULL, NULL, &e);
    CU_ASSERT(isfinite(e.column[0].r2) && isnan(e.column[1].r2) && isfinite(e.column[2].r2));
    crs_evaluation_free(&e);
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_sums_in_any_order),
                                         HARNESS_TEST(test_sums_at_the_ends),
                                         HARNESS_TEST(test_classes),
                                         HARNESS_TEST(test_absent_classes),
                                         HARNESS_TEST(test_guess_by_class),
                                         HARNESS_TEST(test_bits),
                                         HARNESS_TEST(test_guess_of_constant_bits),
                                         HARNESS_TEST(test_silence),
                                         HARNESS_TEST(test_values),
                                         HARNESS_TEST(test_forecasts),
                                         HARNESS_TEST(test_constant_values),
                                         HARNESS_END};
    harness_add("score", tests);
    return harness_run(argc, argv);
}
