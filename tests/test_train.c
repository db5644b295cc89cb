/* Room train: plans, the step, evaluation, metrics. */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carousel/train.h"
#include "harness.h"
#include "train/evaluate.h"
#include "train/load.h"
#include "train/lock.h"
#include "train/metrics.h"
#include "train/plan.h"
#include "train/progress.h"
#include "train/step.h"

/* ---- a small data set, a model and an engine ---- */

enum { TEXT = 3000, BATCH = 11, WINDOW = 7 };

static const char *data_path(void) {
    return harness_path("data.h5");
}

/* Collective: rank 0 packs a text of few words in a drawn order. */
static void pack(void) {
    static const char *const words[] = {"the ", "ring ", "of ", "ranks ", "turns ", "and ", "sums\n"};
    static bool done;
    if (!done && harness_rank() == 0) {
        FILE *file = fopen(harness_path("text"), "w");
        uint64_t drawn = 1;
        CRS_ASSERT(file);
        for (long written = 0; written < TEXT;) {
            drawn = drawn * UINT64_C(6364136223846793005) + 1442695040888963407;
            written += fprintf(file, "%s", words[(drawn >> 33) % 7]);
        }
        fclose(file);
        const char *const inputs[] = {harness_path("text")};
        const crs_pack job = {
            .output = data_path(), .inputs = 1, .input = inputs, .level = CRS_LEVEL_CHAR, .split = {0.8, 0.2, 0}};
        crs_packed packed;
        crs_error error = {0};
        if (crs_pack_text(&job, &packed, &error) != CRS_OK)
            crs_panic(__FILE__, __LINE__, "%s", error.message);
    }
    done = true;
    harness_barrier();
}

typedef struct fixture {
    crs_comm *comm;
    crs_dataset dataset;
    crs_model *model;
    crs_shards shards;
    crs_optim optim;
    crs_engine engine;
    int64_t windows;
} fixture;

static void must(crs_status status, const crs_error *error) {
    if (status != CRS_OK)
        crs_panic(__FILE__, __LINE__, "%s", error->message);
}

/* Collective. */
static void fixture_open(fixture *f, crs_cell cell, int pass_rows, crs_reduce reduce) {
    crs_error error = {0};
    crs_lanes lanes;
    *f = (fixture){0};
    pack();
    f->comm = crs_comm_open(NULL, NULL);
    must(crs_dataset_open(&f->dataset, data_path(), &error), &error);
    const crs_spec shape = crs_spec_text(cell, (int)f->dataset.vocabulary.count, 5, 18, 2);
    const crs_kernels *kernels = crs_kernels_of(crs_isa_best());
    const crs_optimizer_settings adam = {
        .optimizer = CRS_ADAM, .momentum = -1, .beta1 = -1, .beta2 = -1, .epsilon = -1};
    must(crs_model_create(&f->model, &shape, kernels, 1, &error), &error);
    crs_model_initialize(f->model, 7, 1);
    must(crs_shards_create(&f->shards, f->model, harness_size(), &error), &error);
    must(crs_optim_create(&f->optim, &adam, crs_shards_owned(&f->shards, harness_rank()), &error), &error);
    must(crs_lanes_plan(&lanes, BATCH, WINDOW, 1, 0, harness_rank(), harness_size(), &error), &error);
    const int64_t stride = (f->dataset.length[CRS_TRAIN] - 1) / BATCH;
    f->windows = stride / WINDOW;
    const crs_engine_setup setup = {
        .comm = f->comm,
        .model = f->model,
        .shards = &f->shards,
        .optim = &f->optim,
        .kernels = kernels,
        .dataset = &f->dataset,
        .lanes = lanes,
        .schedule = {.schedule = CRS_CONSTANT, .rate = 0.01, .total = 1000, .decay_every = 1},
        .windows = f->windows,
        .window = WINDOW,
        .threads = 1,
        .pass_rows = pass_rows,
        .dropout = 0.25,
        .clip = 1,
        .seed = 3,
        .reduce = reduce,
        .overlap = true};
    must(crs_engine_create(&f->engine, &setup, &error), &error);
}

static void fixture_close(fixture *f) {
    crs_engine_free(&f->engine);
    crs_optim_free(&f->optim);
    crs_shards_free(&f->shards);
    crs_model_free(&f->model);
    crs_dataset_close(&f->dataset);
    crs_comm_close(&f->comm);
}

static crs_status step(fixture *f, int64_t number, crs_outcome *outcome, crs_error *error) {
    const int64_t news[CRS_NEWS] = {0};
    return crs_engine_step(&f->engine, number, news, outcome, error);
}

/* All of them; collective. */
static float *parameters_of(fixture *f) {
    crs_engine_settle(&f->engine);
    return crs_model_parameters(f->model);
}

static void hash_parameters(fixture *f, char hex[CRS_HASH_HEX]) {
    crs_hash_bytes(parameters_of(f), crs_model_arena(f->model) * sizeof(float), hex);
}

static size_t state_bytes(const fixture *f) {
    return (size_t)f->engine.setup.lanes.own_rows * crs_model_state(f->model) * sizeof(float);
}

/* Collective: the hash of the parameters after some steps, the last of them beyond an epoch. */
static void train_some(crs_cell cell, int pass_rows, crs_reduce reduce, double *loss, char hex[CRS_HASH_HEX]) {
    fixture f;
    crs_outcome outcome;
    crs_error error = {0};
    fixture_open(&f, cell, pass_rows, reduce);
    for (int64_t i = 0; i < f.windows + 3; i++)
        CU_ASSERT_EQUAL(step(&f, i, &outcome, &error), CRS_OK);
    *loss = outcome.loss;
    hash_parameters(&f, hex);
    fixture_close(&f);
}

/* ---- the step ---- */

static void test_pass_size_leaves_the_bits(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        char all[CRS_HASH_HEX], some[CRS_HASH_HEX];
        double loss, other_loss;
        train_some((crs_cell)cell, 1000, CRS_REDUCE_INT64, &loss, all);
        for (int rows = 1; rows <= 4; rows += 3) {
            train_some((crs_cell)cell, rows, CRS_REDUCE_INT64, &other_loss, some);
            CU_ASSERT_STRING_EQUAL(all, some);
            CU_ASSERT_EQUAL(loss, other_loss);
        }
        CU_ASSERT(loss > 0 && loss < 2.65); /* of log(15) = 2.71 untrained */
    }
}

/* Sums that travel as floats give nearly the same, and every rank the same. */
static void test_float_sums_agree(void) {
    char exact[CRS_HASH_HEX], rounded[CRS_HASH_HEX], of_root[CRS_HASH_HEX];
    double loss, rounded_loss;
    crs_comm *comm = crs_comm_open(NULL, NULL);
    train_some(CRS_LSTM, 32, CRS_REDUCE_INT64, &loss, exact);
    train_some(CRS_LSTM, 32, CRS_REDUCE_FLOAT, &rounded_loss, rounded);
    memcpy(of_root, rounded, sizeof of_root);
    crs_comm_broadcast(comm, of_root, sizeof of_root);
    CU_ASSERT_STRING_EQUAL(of_root, rounded);
    if (harness_size() > 1)
        CU_ASSERT_STRING_NOT_EQUAL(exact, rounded);
    CU_ASSERT_DOUBLE_EQUAL(loss, rounded_loss, 1e-3);
    crs_comm_close(&comm);
}

static void test_warm_step_allocates_nothing(void) {
    fixture f;
    crs_outcome outcome;
    crs_error error = {0};
    fixture_open(&f, CRS_LSTM, 4, CRS_REDUCE_INT64);
    step(&f, 0, &outcome, &error);
    step(&f, 1, &outcome, &error);
    const int64_t before = crs_memory_allocations();
    for (int64_t i = 2; i < 12; i++)
        step(&f, i, &outcome, &error);
    CU_ASSERT_EQUAL(crs_memory_allocations(), before);
    CU_ASSERT(outcome.seconds > 0 && outcome.comm_seconds >= 0 && outcome.comm_seconds <= outcome.seconds);
    fixture_close(&f);
}

/* News of each rank are summed, and say nothing of the numbers. */
static void test_news_travel(void) {
    fixture f;
    crs_outcome outcome;
    crs_error error = {0};
    int64_t news[CRS_NEWS] = {0};
    fixture_open(&f, CRS_RNN, 32, CRS_REDUCE_FLOAT);
    news[CRS_NEWS_SIGNAL] = harness_rank() == harness_size() - 1;
    news[CRS_NEWS_SAVE] = 1;
    CU_ASSERT_EQUAL(crs_engine_step(&f.engine, 0, news, &outcome, &error), CRS_OK);
    CU_ASSERT_EQUAL(outcome.news[CRS_NEWS_SIGNAL], 1);
    CU_ASSERT_EQUAL(outcome.news[CRS_NEWS_SAVE], harness_size());
    CU_ASSERT_EQUAL(outcome.news[CRS_NEWS_TIME] + outcome.news[CRS_NEWS_VALIDATE] + outcome.news[CRS_NEWS_BAD], 0);
    CU_ASSERT_EQUAL(outcome.targets, BATCH * WINDOW);
    fixture_close(&f);
}

/* A NaN among the parameters: every rank refuses, and nothing has changed, the carried state included. */
static void test_refused_step_changes_nothing(void) {
    fixture f;
    crs_outcome outcome;
    crs_error error = {0};
    char before[CRS_HASH_HEX], after[CRS_HASH_HEX];
    fixture_open(&f, CRS_GRU, 4, CRS_REDUCE_INT64);
    step(&f, 0, &outcome, &error);
    CU_ASSERT_EQUAL(outcome.refused, 0);
    float *state = malloc(state_bytes(&f));
    float *parameter = parameters_of(&f), good = parameter[0];
    memcpy(state, f.engine.state, state_bytes(&f));
    parameter[0] = NAN;
    crs_model_refresh(f.model);
    hash_parameters(&f, before);
    CU_ASSERT_EQUAL(step(&f, 1, &outcome, &error), CRS_OK);
    CU_ASSERT(outcome.refused > 0);
    CU_ASSERT(isnan(outcome.loss) && isnan(outcome.norm));
    hash_parameters(&f, after);
    CU_ASSERT_STRING_EQUAL(before, after);
    CU_ASSERT_EQUAL(f.optim.updates, 1);
    CU_ASSERT_EQUAL(memcmp(state, f.engine.state, state_bytes(&f)), 0);
    parameter[0] = good;
    crs_model_refresh(f.model);
    CU_ASSERT_EQUAL(step(&f, 2, &outcome, &error), CRS_OK);
    CU_ASSERT_EQUAL(outcome.refused, 0);
    CU_ASSERT_EQUAL(f.optim.updates, 2);
    CU_ASSERT(isfinite(outcome.loss));
    free(state);
    fixture_close(&f);
}

/* One rank fails: all leave with its error, and no parameter has changed. */
static void test_bad_news_end_all_ranks(void) {
    fixture f;
    crs_outcome outcome;
    crs_error error = {0};
    char before[CRS_HASH_HEX], after[CRS_HASH_HEX];
    fixture_open(&f, CRS_LSTM, 32, CRS_REDUCE_INT64);
    hash_parameters(&f, before);
    if (harness_rank() == harness_size() - 1)
        crs_fail(&error, CRS_CREATE, "the disk is full");
    CU_ASSERT_EQUAL(step(&f, 0, &outcome, &error), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "the disk is full"));
    hash_parameters(&f, after);
    CU_ASSERT_STRING_EQUAL(before, after);
    fixture_close(&f);
}

/* The state is carried from window to window, and is zero at the start of an epoch. */
static void test_state_is_carried(void) {
    fixture f;
    crs_outcome outcome;
    crs_error error = {0};
    fixture_open(&f, CRS_LSTM, 32, CRS_REDUCE_INT64);
    f.engine.setup.schedule.rate = 0;
    step(&f, 0, &outcome, &error);
    const double first = outcome.loss;
    step(&f, 1, &outcome, &error);
    const double carried = outcome.loss;
    memset(f.engine.state, 0, state_bytes(&f));
    step(&f, 1, &outcome, &error);
    f.engine.setup.dropout = 0;
    step(&f, 1, &outcome, &error);
    const double other_start = outcome.loss;
    memset(f.engine.state, 0, state_bytes(&f));
    step(&f, 1, &outcome, &error);
    CU_ASSERT_NOT_EQUAL(other_start, outcome.loss);
    step(&f, f.windows, &outcome, &error);
    const double epoch = outcome.loss;
    memset(f.engine.state, 0, state_bytes(&f));
    step(&f, f.windows, &outcome, &error);
    CU_ASSERT_EQUAL(epoch, outcome.loss);
    CU_ASSERT(first > 0 && carried > 0);
    fixture_close(&f);
}

/* The length of a step's change of the parameters. */
static double change(fixture *f, int64_t number, crs_outcome *outcome) {
    const size_t n = crs_model_arena(f->model);
    const float *parameters = parameters_of(f);
    float *before = malloc(n * sizeof *before);
    crs_error error = {0};
    double sum = 0;
    CRS_ASSERT(before);
    memcpy(before, parameters, n * sizeof *before);
    CU_ASSERT_EQUAL(step(f, number, outcome, &error), CRS_OK);
    parameters = parameters_of(f);
    for (size_t i = 0; i < n; i++) {
        const double d = (double)parameters[i] - (double)before[i];
        sum += d * d;
    }
    free(before);
    return sqrt(sum);
}

/* Without moments a step is as long as the rate times the gradient's norm, cut to clip. */
static void test_clip_and_schedule_reach_the_update(void) {
    const crs_optimizer_settings sgd = {.optimizer = CRS_SGD, .momentum = -1, .beta1 = -1, .beta2 = -1, .epsilon = -1};
    fixture f;
    crs_outcome outcome;
    crs_error error = {0};
    fixture_open(&f, CRS_LSTM, 32, CRS_REDUCE_INT64);
    crs_optim_free(&f.optim);
    must(crs_optim_create(&f.optim, &sgd, crs_shards_owned(&f.shards, harness_rank()), &error), &error);
    f.engine.setup.schedule = (crs_schedule_plan){.schedule = CRS_STEP,
                                                  .rate = 0.5,
                                                  .warmup = 2,
                                                  .total = 1000,
                                                  .decay_after = 4,
                                                  .decay_every = 4,
                                                  .decay_factor = 0.25};
    static const double rates[] = {0.25, 0.5, 0.5, 0.5, 0.125, 0.125};
    static const double clips[] = {0, 0.01, 0.02, 1e9, 0.01, 0};
    for (int i = 0; i < 6; i++) {
        f.engine.setup.clip = clips[i];
        const double length = change(&f, i, &outcome), norm = outcome.norm;
        const double wanted = rates[i] * (clips[i] > 0 && clips[i] < norm ? clips[i] : norm);
        CU_ASSERT(norm > 0.05);
        CU_ASSERT_DOUBLE_EQUAL(outcome.rate, rates[i], 1e-15);
        CU_ASSERT_DOUBLE_EQUAL(length, wanted, 1e-3 * wanted);
    }
    fixture_close(&f);
}

/* ---- evaluation ---- */

static void test_totals_fold_exactly(void) {
    crs_total whole = {0}, parts = {0};
    const int64_t big = INT64_MAX - 5;
    for (int i = 0; i < 40; i++) {
        int64_t trailer[CRS_SUM_TRAILER] = {big, 3, i == 7};
        crs_total_fold(i % 2 ? &whole : &parts, trailer);
        CU_ASSERT_EQUAL(trailer[CRS_SUM_LOSS] | trailer[CRS_SUM_TARGETS] | trailer[CRS_SUM_REFUSED], 0);
    }
    whole.high += parts.high;
    whole.low += parts.low;
    CU_ASSERT_EQUAL(whole.targets + parts.targets, 120);
    CU_ASSERT_EQUAL(whole.refused + parts.refused, 1);
    CU_ASSERT_DOUBLE_EQUAL(crs_total_nats(&whole), 40 * 0x1p31, 1e-6);
    /* The same number in one piece and in another grouping. */
    const crs_total same[] = {{.high = 5, .low = INT64_C(3) << 31}, {.high = 6, .low = INT64_C(1) << 31}};
    CU_ASSERT_EQUAL(crs_total_nats(&same[0]), crs_total_nats(&same[1]));
    CU_ASSERT_EQUAL(crs_total_nats(&same[0]), 6.5);
}

/* One stream in one piece, by the model itself. */
static double plain_loss(fixture *f, crs_split split, int64_t *targets) {
    const int steps = (int)f->dataset.length[split] - 1;
    uint32_t *tokens = malloc(((size_t)steps + 1) * sizeof *tokens);
    float *state = calloc(crs_model_state(f->model), sizeof *state);
    int64_t trailer[CRS_SUM_TRAILER] = {0};
    crs_workspace *workspace;
    crs_error error = {0};
    must(crs_dataset_read(&f->dataset, split, 0, steps + 1, tokens, &error), &error);
    must(crs_workspace_create(&workspace, f->model, 1, steps, CRS_FORWARD, &error), &error);
    const crs_batch batch = {
        .steps = steps, .rows = 1, .input.tokens = tokens, .target.tokens = tokens + 1, .state = state};
    crs_model_evaluate(f->model, workspace, &batch, trailer, NULL);
    crs_workspace_free(&workspace);
    free(tokens);
    free(state);
    *targets = trailer[CRS_SUM_TARGETS];
    return (double)trailer[CRS_SUM_LOSS] * CRS_SUM_STEP / (double)trailer[CRS_SUM_TARGETS];
}

/* Of a text: what is filled owns nothing. Collective. */
static crs_status evaluate(fixture *f, crs_split split, int64_t streams, crs_evaluation *evaluation, crs_error *error) {
    const crs_evaluation_plan plan = {.split = split, .streams = streams};
    return crs_evaluate(f->comm, f->model, &f->dataset, &plan, evaluation, error);
}

static void test_one_stream_is_the_plain_loss(void) {
    fixture f;
    crs_evaluation evaluation;
    crs_error error = {0};
    int64_t targets;
    fixture_open(&f, CRS_PEEPHOLE, 32, CRS_REDUCE_INT64);
    const double plain = plain_loss(&f, CRS_VALIDATION, &targets);
    CU_ASSERT_EQUAL(evaluate(&f, CRS_VALIDATION, 1, &evaluation, &error), CRS_OK);
    CU_ASSERT_EQUAL(evaluation.loss, plain);
    CU_ASSERT_EQUAL(evaluation.targets, targets);
    CU_ASSERT_EQUAL(evaluation.targets, f.dataset.length[CRS_VALIDATION] - 1);
    CU_ASSERT_DOUBLE_EQUAL(evaluation.bits_per_token, plain / log(2), 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(evaluation.perplexity, exp(plain), 1e-9);
    fixture_close(&f);
}

/* Streams that fill several passes of 32 rows: the sum over each stream by itself. */
static void test_streams_add_up(void) {
    enum { STREAMS = 37 };
    fixture f;
    crs_evaluation evaluation, alone;
    crs_error error = {0};
    fixture_open(&f, CRS_LSTM, 32, CRS_REDUCE_INT64);
    const int64_t stride = (f.dataset.length[CRS_VALIDATION] - 1) / STREAMS;
    CU_ASSERT_EQUAL(evaluate(&f, CRS_VALIDATION, STREAMS, &evaluation, &error), CRS_OK);
    CU_ASSERT_EQUAL(evaluation.targets, stride * STREAMS);
    CU_ASSERT_EQUAL(evaluate(&f, CRS_VALIDATION, 1, &alone, &error), CRS_OK);
    CU_ASSERT(fabs(alone.loss - evaluation.loss) < 0.5);
    CU_ASSERT_NOT_EQUAL(alone.loss, evaluation.loss);
    crs_total total, again;
    int64_t news[CRS_NEWS];
    crs_evaluate_total(f.comm, f.model, &f.dataset, CRS_VALIDATION, STREAMS, NULL, NULL, news, &total, &error);
    double sum = 0;
    for (int row = 0; row < STREAMS; row++) {
        uint32_t tokens[512];
        float state[512] = {0};
        int64_t trailer[CRS_SUM_TRAILER] = {0};
        crs_workspace *workspace;
        CRS_ASSERT(stride + 1 <= 512 && crs_model_state(f.model) <= 512);
        must(crs_dataset_read(&f.dataset, CRS_VALIDATION, row * stride, stride + 1, tokens, &error), &error);
        must(crs_workspace_create(&workspace, f.model, 1, (int)stride, CRS_FORWARD, &error), &error);
        const crs_batch batch = {
            .steps = (int)stride, .rows = 1, .input.tokens = tokens, .target.tokens = tokens + 1, .state = state};
        crs_model_evaluate(f.model, workspace, &batch, trailer, NULL);
        crs_workspace_free(&workspace);
        sum += (double)trailer[CRS_SUM_LOSS] * CRS_SUM_STEP;
    }
    CU_ASSERT_EQUAL(crs_total_nats(&total), sum);
    /* The same from rank 0 alone: what any number of ranks gives. */
    again = total;
    crs_comm_broadcast(f.comm, &again, sizeof again);
    CU_ASSERT_EQUAL(memcmp(&again, &total, sizeof total), 0);
    fixture_close(&f);
}

/* Ends an evaluation at its n-th question, for what a rank has to say. */
typedef struct questions {
    int asked, last, rank, news;
} questions;

static void answer(void *context, int64_t news[CRS_NEWS]) {
    questions *q = context;
    if (++q->asked == q->last && harness_rank() == q->rank)
        news[q->news] = 1;
}

/* However few passes a rank has, it is asked as often as the others; asking changes no bit, and any rank ends it. */
static void test_evaluation_can_be_ended(void) {
    static const int streams[] = {1, 33, 200};
    fixture f;
    crs_error error = {0};
    int64_t news[CRS_NEWS];
    fixture_open(&f, CRS_GRU, 32, CRS_REDUCE_INT64);
    const int last_rank = harness_size() - 1;
    for (int i = 0; i < 3; i++) {
        crs_total plain, heard, ended;
        questions q = {.last = -1};
        crs_evaluate_total(f.comm, f.model, &f.dataset, CRS_VALIDATION, streams[i], NULL, NULL, news, &plain, &error);
        CU_ASSERT_EQUAL(crs_evaluate_total(f.comm, f.model, &f.dataset, CRS_VALIDATION, streams[i], answer, &q, news,
                                           &heard, &error),
                        CRS_OK);
        CU_ASSERT_EQUAL(memcmp(&heard, &plain, sizeof plain), 0);
        CU_ASSERT_EQUAL(crs_comm_min(f.comm, q.asked), crs_comm_max(f.comm, q.asked));
        const int asked = q.asked;
        CU_ASSERT(asked > 0 || i == 2 || (i == 1 && harness_size() > 1));
        for (int rank = 0; asked > 0 && rank <= last_rank; rank += last_rank > 0 ? last_rank : 1) {
            q = (questions){.last = 1, .rank = rank, .news = rank == 0 ? CRS_NEWS_TIME : CRS_NEWS_SIGNAL};
            CU_ASSERT_EQUAL(crs_evaluate_total(f.comm, f.model, &f.dataset, CRS_VALIDATION, streams[i], answer, &q,
                                               news, &ended, &error),
                            CRS_STOPPED);
            CU_ASSERT_EQUAL(q.asked, 1);
            CU_ASSERT_EQUAL(news[CRS_NEWS_TIME], rank == 0);
            CU_ASSERT_EQUAL(news[CRS_NEWS_SIGNAL], rank != 0);
        }
    }
    fixture_close(&f);
}

/* A rank that fails ends the evaluation of all at the next question, whose answers it alone has not to wait for. */
static void test_evaluation_fails_together(void) {
    fixture f;
    crs_error error = {0};
    crs_total total;
    int64_t news[CRS_NEWS];
    questions q = {.last = -1};
    fixture_open(&f, CRS_RNN, 32, CRS_REDUCE_INT64);
    const int last_rank = harness_size() - 1;
    if (harness_rank() == last_rank)
        crs_memory_fail_at(1);
    crs_evaluate_total(f.comm, f.model, &f.dataset, CRS_VALIDATION, 37 * harness_size(), answer, &q, news, &total,
                       &error);
    crs_memory_fail_at(0);
    CU_ASSERT_EQUAL(error.status, CRS_INTERNAL);
    CU_ASSERT(last_rank == 0 || strstr(error.message, "rank ") == error.message);
    CU_ASSERT(q.asked <= 1);
    fixture_close(&f);
}

static void test_evaluation_leaves_training_alone(void) {
    char plain[CRS_HASH_HEX], with[CRS_HASH_HEX];
    crs_evaluation evaluation;
    crs_error error = {0};
    for (int validated = 0; validated < 2; validated++) {
        fixture f;
        crs_outcome outcome;
        fixture_open(&f, CRS_LSTM, 32, CRS_REDUCE_INT64);
        for (int64_t i = 0; i < 5; i++) {
            step(&f, i, &outcome, &error);
            if (validated)
                evaluate(&f, CRS_VALIDATION, BATCH, &evaluation, &error);
        }
        hash_parameters(&f, validated ? with : plain);
        fixture_close(&f);
    }
    CU_ASSERT_STRING_EQUAL(plain, with);
}

static void test_evaluation_refuses(void) {
    fixture f;
    crs_evaluation evaluation;
    crs_error error = {0};
    fixture_open(&f, CRS_RNN, 32, CRS_REDUCE_INT64);
    const int64_t most = f.dataset.length[CRS_VALIDATION] - 1;
    CU_ASSERT_EQUAL(evaluate(&f, CRS_TEST, 1, &evaluation, &error), CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "test split"));
    CU_ASSERT_EQUAL(evaluate(&f, CRS_VALIDATION, most + 1, &evaluation, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--streams"));
    CU_ASSERT_EQUAL(evaluate(&f, CRS_VALIDATION, most, &evaluation, &error), CRS_OK);
    CU_ASSERT_EQUAL(evaluation.targets, most);
    parameters_of(&f)[0] = NAN;
    crs_model_refresh(f.model);
    CU_ASSERT_EQUAL(evaluate(&f, CRS_VALIDATION, 3, &evaluation, &error), CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "not finite"));
    fixture_close(&f);
}

static void hash_file(const char *name, char hex[CRS_HASH_HEX]) {
    char bytes[1 << 16];
    FILE *file = fopen(harness_path(name), "rb");
    const size_t count = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        fclose(file);
    crs_hash_bytes(bytes, count, hex);
}

/* What a model that diverged says is not written, nor over what was there; every rank says the same of the first target
 * that it is so of, wherever that was worked on. */
static void test_predictions_of_a_diverged_model(void) {
    fixture f;
    crs_error error = {0}, of_root;
    int64_t targets;
    char kept[CRS_HASH_HEX], left[CRS_HASH_HEX];
    fixture_open(&f, CRS_RNN, 32, CRS_REDUCE_INT64);
    const crs_prediction_plan plan = {
        .split = CRS_VALIDATION, .streams = 5, .output = harness_path("said.csv"), .description = "what is said"};
    must(crs_predict(f.comm, f.model, &f.dataset, &plan, &targets, &error), &error);
    CU_ASSERT_EQUAL(targets, (f.dataset.length[CRS_VALIDATION] - 1) / 5 * 5);
    hash_file("said.csv", kept);
    for (size_t i = 0; i < crs_model_arena(f.model); i++)
        crs_model_parameters(f.model)[i] = NAN;
    crs_model_refresh(f.model);
    CU_ASSERT_EQUAL(crs_predict(f.comm, f.model, &f.dataset, &plan, &targets, &error), CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "sequence 0, step 1, of the validation split"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "not finite: it has diverged; predict with an earlier checkpoint"));
    of_root = error;
    crs_comm_broadcast(f.comm, &of_root, sizeof of_root);
    CU_ASSERT_STRING_EQUAL(of_root.message, error.message);
    hash_file("said.csv", left);
    CU_ASSERT_STRING_EQUAL(left, kept);
    fixture_close(&f);
}

/* ---- models and checkpoints over ranks ---- */

/* Collective: model.h5, the model of the fixture (a gru). */
static void write_model(fixture *f) {
    crs_error error = {0};
    crs_checkpoint checkpoint = {0};
    crs_attributes *a = &checkpoint.attributes;
    crs_attributes_put_text(a, "cell", "gru");
    crs_attributes_put_integer(a, "hidden", 18);
    crs_attributes_put_integer(a, "layers", 2);
    crs_attributes_put_integer(a, "embed", 5);
    crs_attributes_put_integer(a, "step", 4);
    crs_attributes_put_integer(a, "epoch", 0);
    crs_attributes_put_integer(a, "tokens", 0);
    crs_attributes_put_real(a, "best_validation_loss", NAN);
    crs_attributes_put_text(a, "level", crs_level_name(f->dataset.vocabulary.level));
    if (harness_rank() == 0) {
        const crs_vocabulary *v = &f->dataset.vocabulary;
        checkpoint.config = crs_copy_text("hidden = 18\n");
        must(crs_vocabulary_create(&checkpoint.vocabulary, v->level, v->code_points, v->count, &error), &error);
        must(crs_arena_capture(f->model, parameters_of(f), &checkpoint, "/model", &error), &error);
        must(crs_checkpoint_write(harness_path("model.h5"), &checkpoint, &error), &error);
    }
    crs_checkpoint_free(&checkpoint);
    harness_barrier();
}

static void test_model_goes_to_all_ranks(void) {
    fixture f;
    crs_error error = {0};
    crs_model *model = NULL;
    crs_vocabulary vocabulary = {0};
    crs_schema schema;
    fixture_open(&f, CRS_GRU, 32, CRS_REDUCE_INT64);
    const char *path = harness_path("model.h5");
    write_model(&f);
    CU_ASSERT_EQUAL(
        crs_model_load(f.comm, path, crs_kernels_of(CRS_ISA_BASELINE), 2, &model, &vocabulary, &schema, &error),
        CRS_OK);
    CU_ASSERT_EQUAL(schema.input_size, (int)vocabulary.count);
    CU_ASSERT_EQUAL(crs_model_arena(model), crs_model_arena(f.model));
    CU_ASSERT_EQUAL(memcmp(crs_model_parameters(model), parameters_of(&f), crs_model_arena(model) * sizeof(float)), 0);
    CU_ASSERT(crs_vocabulary_equal(&vocabulary, &f.dataset.vocabulary));
    crs_model_free(&model);
    crs_vocabulary_free(&vocabulary);
    CU_ASSERT_EQUAL(crs_model_load(f.comm, harness_path("none.h5"), crs_kernels_of(CRS_ISA_BASELINE), 1, &model,
                                   &vocabulary, &schema, &error),
                    CRS_NO_INPUT);
    CU_ASSERT_PTR_NULL(model);
    fixture_close(&f);
}

static void test_checkpoint_is_shared_whole(void) {
    crs_comm *comm = crs_comm_open(NULL, NULL);
    crs_checkpoint c = {0};
    crs_error error = {0};
    const int64_t dims[] = {2, 3};
    char mine[2][CRS_HASH_HEX], root[2][CRS_HASH_HEX];
    if (harness_rank() == 0) {
        crs_attributes_put_integer(&c.attributes, "step", 41);
        crs_attributes_put_text(&c.attributes, "cell", "rnn");
        crs_attributes_put_real(&c.attributes, "scale", 0.1);
        c.config = crs_copy_text("cell = rnn\n");
        must(crs_vocabulary_create(&c.vocabulary, CRS_LEVEL_BYTE, NULL, 0, &error), &error);
        for (int type = CRS_F32; type <= CRS_U64; type++) {
            char path[32];
            snprintf(path, sizeof path, "/state/array%d", type);
            crs_array *array = crs_checkpoint_add(&c, path, (crs_type)type, type == CRS_U64 ? 0 : 2, dims, &error);
            memset(array->values, type + 1, (size_t)crs_array_size(array) * (type == CRS_F32 ? 4 : 8));
        }
    }
    CU_ASSERT_EQUAL(crs_checkpoint_share(comm, &c, &error), CRS_OK);
    const char *cell;
    double scale = 0;
    CU_ASSERT_EQUAL(c.arrays, 4);
    CU_ASSERT_EQUAL(c.vocabulary.count, 256);
    CU_ASSERT_STRING_EQUAL(c.config, "cell = rnn\n");
    CU_ASSERT_EQUAL(c.attributes.count, 3);
    CU_ASSERT_EQUAL(crs_checkpoint_step(&c), 41);
    CU_ASSERT_EQUAL(crs_attributes_text(&c.attributes, "cell", "shared", &cell, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(cell, "rnn");
    CU_ASSERT_EQUAL(crs_attributes_real(&c.attributes, "scale", "shared", &scale, &error), CRS_OK);
    CU_ASSERT_EQUAL(scale, 0.1);
    CU_ASSERT_EQUAL(crs_attributes_integer(&c.attributes, "cell", "shared", &(int64_t){0}, &error), CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "shared: the attribute cell is missing, or no integer"));
    error = (crs_error){0};
    crs_checkpoint_digests(&c, mine[0], mine[1]);
    memcpy(root, mine, sizeof root);
    crs_comm_broadcast(comm, root, sizeof root);
    CU_ASSERT_STRING_EQUAL(root[1], mine[1]);
    crs_checkpoint_free(&c);
    crs_comm_close(&comm);
}

/* The last rank runs out of memory, at one allocation after another: all ranks say so together, nothing is left. */
static void test_one_rank_runs_out_of_memory(void) {
    fixture f;
    crs_error error = {0};
    crs_evaluation evaluation;
    crs_model *model = NULL;
    crs_vocabulary vocabulary = {0};
    crs_schema schema;
    const int last = harness_size() - 1;
    int refused[3] = {0};
    fixture_open(&f, CRS_GRU, 32, CRS_REDUCE_INT64);
    write_model(&f);
    const int64_t blocks = crs_memory_blocks();
    for (int n = 1; n < 80; n += 3) {
        crs_memory_fail_at(harness_rank() == last ? n : 0);
        refused[0] += evaluate(&f, CRS_VALIDATION, 40, &evaluation, &error) != CRS_OK;
        crs_memory_fail_at(harness_rank() == last ? n : 0);
        refused[1] += crs_model_load(f.comm, harness_path("model.h5"), crs_kernels_of(CRS_ISA_BASELINE), 1, &model,
                                     &vocabulary, &schema, &error) != CRS_OK;
        crs_memory_fail_at(0);
        crs_model_free(&model);
        crs_vocabulary_free(&vocabulary);
        crs_schema_free(&schema);
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
        crs_engine engine;
        error = (crs_error){0};
        crs_memory_fail_at(n);
        refused[2] += crs_engine_create(&engine, &f.engine.setup, &error) != CRS_OK;
        crs_memory_fail_at(0);
        crs_engine_free(&engine);
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    }
    int everywhere[3];
    memcpy(everywhere, refused, sizeof everywhere);
    crs_comm_broadcast(f.comm, everywhere, sizeof everywhere);
    CU_ASSERT_EQUAL(memcmp(everywhere, refused, 2 * sizeof *refused), 0);
    CU_ASSERT(refused[0] >= 5 && refused[1] >= 5 && refused[2] >= 5);
    fixture_close(&f);
}

/* ---- plans ---- */

typedef struct fit_case {
    int64_t tokens, batch, window; /* 0: not given */
    crs_status status;
    int64_t fitted_batch, fitted_window;
    const char *words; /* in the message */
} fit_case;

static void test_short_texts_fit(void) {
    static const fit_case cases[] = {
        {100000, 0, 0, CRS_OK, 50, 50, ""},
        {2501, 0, 0, CRS_OK, 50, 50, ""},
        {2500, 0, 0, CRS_OK, 49, 50, ""},
        {51, 0, 0, CRS_OK, 1, 50, ""},
        {50, 0, 0, CRS_OK, 1, 49, ""},
        {5, 0, 0, CRS_OK, 1, 4, ""},
        {2, 0, 0, CRS_OK, 1, 1, ""},
        {1, 0, 0, CRS_DATA, 0, 0, "at least 2"},
        {0, 0, 0, CRS_DATA, 0, 0, "--split"},
        {100, 10, 0, CRS_OK, 10, 9, ""},
        {100, 0, 20, CRS_OK, 4, 20, ""},
        {100, 99, 0, CRS_OK, 99, 1, ""},
        {100, 100, 0, CRS_CONFIG, 0, 0, "--batch=99"},
        {100, 0, 100, CRS_CONFIG, 0, 0, "--window=99"},
        {100, 20, 20, CRS_CONFIG, 0, 0, "--batch=4 --window=4"},
        {100, 200, 20, CRS_CONFIG, 0, 0, "--batch=4"},
        {100, 20, 200, CRS_CONFIG, 0, 0, "--window=4"},
        {100, 4, 24, CRS_OK, 4, 24, ""},
        {100, 4, 25, CRS_CONFIG, 0, 0, "--batch=3 --window=24"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const fit_case *c = &cases[i];
        crs_settings settings;
        crs_plan plan = {0};
        crs_error error = {0};
        crs_settings_default(&settings);
        settings.given[crs_option_find("batch")] = c->batch > 0;
        settings.given[crs_option_find("window")] = c->window > 0;
        settings.config.batch = c->batch > 0 ? c->batch : settings.config.batch;
        settings.config.window = c->window > 0 ? c->window : settings.config.window;
        CU_ASSERT_EQUAL(crs_plan_length(&plan, &settings, c->tokens, "token", "x.h5", &error), c->status);
        char words[64];
        snprintf(words, sizeof words, "%s", c->words);
        for (char *word = strtok(words, " "); word && c->status != CRS_OK && c->words[0] == '-';
             word = strtok(NULL, " "))
            CU_ASSERT_PTR_NOT_NULL(strstr(error.message, word));
        if (c->status != CRS_OK)
            continue;
        CU_ASSERT_EQUAL(settings.config.batch, c->fitted_batch);
        CU_ASSERT_EQUAL(settings.config.window, c->fitted_window);
        CU_ASSERT(plan.windows >= 1 && plan.stride == (c->tokens - 1) / c->fitted_batch);
        CU_ASSERT_EQUAL(plan.fitted, c->tokens < 2501 && !(c->batch && c->window));
        CU_ASSERT_EQUAL(plan.total, settings.config.epochs * plan.windows);
    }
}

/* No sequences for training, or none as long as a window of a forecast: bad data, also where they would be streams. */
static void test_no_training(void) {
    static const struct {
        crs_alignment alignment;
        int64_t context, window;
        const char *words;
    } cases[] = {{CRS_ALIGN_SEQUENCE, 0, 0, "x.h5: its train split is empty"},
                 {CRS_ALIGN_STEP, 0, 0, "x.h5: its train split is empty"},
                 {CRS_ALIGN_STEP, 0, 20, "x.h5: its train split is empty"},
                 {CRS_ALIGN_SEQUENCE, 3, 0, "x.h5: no sequence of its train split is as long as context and horizon"}};
    char path[] = "x.h5";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crs_settings settings;
        crs_plan plan = {0};
        crs_error error = {0};
        const crs_dataset dataset = {.path = path,
                                     .schema = {.inputs = CRS_INPUT_VALUES,
                                                .targets = CRS_TARGET_VALUES,
                                                .alignment = cases[i].alignment,
                                                .context = cases[i].context,
                                                .horizon = cases[i].context > 0}};
        crs_settings_default(&settings);
        settings.given[crs_option_find("window")] = true;
        settings.config.window = cases[i].window;
        CU_ASSERT_EQUAL(crs_plan_data(&plan, &settings, &dataset, &error), CRS_DATA);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, cases[i].words));
    }
}

/* Whether sequences are read whole where nobody says: up to 512 steps, or where they may not be cut; else in windows. A
 * run that goes on keeps its window. */
static void test_default_windows(void) {
    static const struct {
        const char *task; /* targets of each step, or of each sequence */
        int64_t longest;
        bool bidirectional, given, resumed, whole;
    } cases[] = {{"timed-spikes", 512, false, false, false, true}, {"timed-spikes", 513, false, false, false, false},
                 {"timed-spikes", 513, true, false, false, true},  {"timed-spikes", 512, false, true, false, false},
                 {"timed-spikes", 512, false, false, true, false}, {"adding", 700, false, false, false, true}};
    char name[32];
    snprintf(name, sizeof name, "whole-%d.h5", harness_rank());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t longest = cases[i].longest;
        const crs_task_pack pack = {harness_path(name), cases[i].task, {longest, longest, longest}, {3, 1, 1}, 0, 1};
        crs_plan plan = {.resumed = cases[i].resumed ? "run" : NULL};
        crs_packed_sequences packed;
        crs_settings settings;
        crs_dataset dataset;
        crs_error error = {0};
        must(crs_pack_task(&pack, &packed, &error), &error);
        must(crs_dataset_open(&dataset, harness_path(name), &error), &error);
        crs_settings_default(&settings);
        settings.config.batch = 2;
        settings.given[crs_option_find("batch")] = true;
        settings.given[crs_option_find("window")] = cases[i].given;
        settings.config.bidirectional = cases[i].bidirectional;
        CU_ASSERT_EQUAL(crs_plan_data(&plan, &settings, &dataset, &error), CRS_OK);
        CU_ASSERT_EQUAL(settings.config.window, cases[i].whole ? 0 : 50);
        /* Two batches of at most two sequences; or windows of two rows, each half of all steps. */
        CU_ASSERT_EQUAL(plan.windows, cases[i].whole ? 2 : (3 * longest - 1) / 2 / 50);
        crs_dataset_close(&dataset);
        unlink(harness_path(name));
    }
}

static const char *resumed; /* the run that goes on, for plan_of */

static crs_status plan_of(int64_t batch, int64_t window, int64_t lane, int64_t lanes, int64_t hidden, double memory,
                          crs_error *error) {
    crs_settings settings;
    crs_plan plan = {.resumed = resumed, .longest = window};
    const crs_schema schema = crs_schema_text(65);
    crs_settings_default(&settings);
    settings.config.batch = batch;
    settings.config.window = window;
    settings.config.lane = lane;
    settings.config.lanes = lanes;
    settings.config.hidden = hidden;
    *error = (crs_error){0};
    return crs_plan_ranks(&plan, &settings.config, &schema, 0, 1, memory, error);
}

static void test_impossible_plans_are_refused(void) {
    crs_error error;
    CU_ASSERT_EQUAL(plan_of(50, 50, 0, 0, 128, 1e9, &error), CRS_OK);
    CU_ASSERT_EQUAL(plan_of(50, 50, 0, 0, 200000, 64e9, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--hidden=200000"));
    CU_ASSERT_EQUAL(plan_of(50, 5000000, 0, 0, 128, 16e9, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--window=5000000"));
    CU_ASSERT_EQUAL(plan_of(INT64_C(1) << 40, 50, 0, 0, 128, 1e18, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--batch"));
    /* More than 4,095 contributions, and the lane that the message names works. */
    CU_ASSERT_EQUAL(plan_of(5000, 50, 1, 0, 16, 1e12, &error), CRS_CONFIG);
    const char *would = strstr(error.message, "--lane=");
    CU_ASSERT_PTR_NOT_NULL(would);
    if (would)
        CU_ASSERT_EQUAL(plan_of(5000, 50, strtoll(would + 7, NULL, 10), 0, 16, 1e12, &error), CRS_OK);
    CU_ASSERT_EQUAL(plan_of(5000, 50, 0, 5000, 16, 1e12, &error), CRS_CONFIG);
    would = strstr(error.message, "--lanes=");
    CU_ASSERT_PTR_NOT_NULL(would);
    if (would)
        CU_ASSERT_EQUAL(plan_of(5000, 50, 0, strtoll(would + 8, NULL, 10), 16, 1e12, &error), CRS_OK);
    CU_ASSERT_EQUAL(plan_of(4, 2000000, 0, 0, 1, 1e12, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--window"));
    /* What a run that goes on can't change is not what would do. */
    resumed = "run";
    CU_ASSERT_EQUAL(plan_of(50, 50, 0, 0, 200000, 64e9, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "; more memory, or fewer ranks on each node, would do"));
    CU_ASSERT_EQUAL(plan_of(50, 5000000, 0, 0, 128, 16e9, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "; more memory, or fewer ranks on each node, would do"));
    resumed = NULL;
}

/* ---- memory: what a plan estimates against what is allocated ---- */

static double bytes_now(void) {
    double bytes = 0;
    for (int i = 0; i < CRS_MEMORY_PURPOSES; i++)
        bytes += (double)crs_memory_bytes((crs_purpose)i);
    return bytes;
}

typedef struct memory_case {
    int64_t hidden, layers, vocabulary, window;
    int rows, pass_rows;
} memory_case;

static crs_settings settings_of(const memory_case *c) {
    crs_settings settings;
    crs_settings_default(&settings);
    settings.config.hidden = c->hidden;
    settings.config.layers = c->layers;
    settings.config.window = c->window;
    return settings;
}

static double allocated_of(const crs_spec *shape, int rows, int pass_rows, int window);

static crs_spec spec_of(const memory_case *c) {
    return crs_spec_text(CRS_LSTM, (int)c->vocabulary, (int)c->hidden, (int)c->hidden, (int)c->layers);
}

/* What training allocates for it: model, optimizer, sums, gradient, workspace, and the carried states twice. */
static double allocated(const memory_case *c) {
    const crs_spec shape = spec_of(c);
    return allocated_of(&shape, c->rows, c->pass_rows, (int)c->window);
}

static double allocated_of(const crs_spec *shape, int rows, int pass_rows, int window) {
    const crs_optimizer_settings adam = {
        .optimizer = CRS_ADAM, .momentum = -1, .beta1 = -1, .beta2 = -1, .epsilon = -1};
    const double before = bytes_now();
    crs_error error = {0};
    crs_model *model;
    crs_workspace *workspace;
    crs_optim optim;
    must(crs_model_create(&model, shape, crs_kernels_of(CRS_ISA_BASELINE), 1, &error), &error);
    must(crs_optim_create(&optim, &adam, crs_model_arena(model), &error), &error);
    must(crs_workspace_create(&workspace, model, pass_rows, window, CRS_TRAINING, &error), &error);
    const double bytes = bytes_now() - before + 8 * (double)crs_model_sums(model) + 4 * (double)crs_model_arena(model) +
                         2 * 4 * (double)rows * (double)crs_model_state(model);
    crs_workspace_free(&workspace);
    crs_optim_free(&optim);
    crs_model_free(&model);
    return bytes;
}

/* Where one term outweighs the others, the estimate is neither below what is allocated nor far above: no term can be
 * missing, or count for another. */
static void test_memory_is_estimated(void) {
    static const memory_case cases[] = {
        {.hidden = 64, .layers = 2, .vocabulary = 65, .window = 50, .rows = 50, .pass_rows = 50},
        {.hidden = 256, .layers = 3, .vocabulary = 65, .window = 1, .rows = 1, .pass_rows = 1},       /* parameters */
        {.hidden = 16, .layers = 1, .vocabulary = 20000, .window = 1, .rows = 1, .pass_rows = 1},     /* of tokens */
        {.hidden = 64, .layers = 4, .vocabulary = 3, .window = 1, .rows = 20000, .pass_rows = 1},     /* states */
        {.hidden = 64, .layers = 4, .vocabulary = 3, .window = 200, .rows = 20, .pass_rows = 20},     /* layers */
        {.hidden = 16, .layers = 1, .vocabulary = 8000, .window = 25, .rows = 10, .pass_rows = 10},   /* outputs */
        {.hidden = 16, .layers = 1, .vocabulary = 8000, .window = 100, .rows = 40, .pass_rows = 40}}; /* of a chunk */
    const int64_t blocks = crs_memory_blocks();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const memory_case *c = &cases[i];
        const crs_settings settings = settings_of(c);
        const crs_spec spec = spec_of(c);
        const double estimate = crs_plan_memory(&settings.config, &spec, c->rows, c->pass_rows, (double)c->window);
        const double bytes = allocated(c);
        if (estimate < 0.9 * bytes || estimate > 3 * bytes)
            fprintf(stderr, "case %zu: %.0f bytes estimated, %.0f allocated\n", i, estimate, bytes);
        CU_ASSERT(estimate >= 0.9 * bytes);
        CU_ASSERT(estimate <= 3 * bytes);
    }
    /* The outputs of few pairs, beside a model that weighs more: what they add. */
    memory_case outputs = cases[5];
    const crs_settings settings = settings_of(&outputs);
    const crs_spec spec = spec_of(&outputs);
    const double grown =
        crs_plan_memory(&settings.config, &spec, 10, 10, 25) - crs_plan_memory(&settings.config, &spec, 0, 0, 0);
    const double bytes = allocated(&outputs);
    outputs.window = outputs.rows = outputs.pass_rows = 1;
    CU_ASSERT(grown > 0.8 * (bytes - allocated(&outputs)));
    CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
}

/* The same of sequences: wide inputs, wide outputs of each step and of each sequence, both directions. */
static void test_memory_of_sequences_is_estimated(void) {
    static const crs_spec specs[] = {{.input = CRS_INPUT_VALUES,
                                      .input_size = 300,
                                      .hidden = 32,
                                      .layers = 1,
                                      .targets = CRS_TARGET_VALUES,
                                      .alignment = CRS_ALIGN_STEP,
                                      .head = CRS_HEAD_MSE,
                                      .outputs = 2000},
                                     {.input = CRS_INPUT_VALUES,
                                      .input_size = 3,
                                      .hidden = 400,
                                      .layers = 1,
                                      .targets = CRS_TARGET_VALUES,
                                      .alignment = CRS_ALIGN_STEP,
                                      .head = CRS_HEAD_GAUSSIAN,
                                      .outputs = 6},
                                     {.input = CRS_INPUT_BITS,
                                      .input_size = 20,
                                      .hidden = 48,
                                      .layers = 2,
                                      .bidirectional = true,
                                      .targets = CRS_TARGET_CLASS,
                                      .alignment = CRS_ALIGN_SEQUENCE,
                                      .head = CRS_HEAD_SOFTMAX,
                                      .outputs = 9}};
    enum { ROWS = 40, STEPS = 150 };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        crs_settings settings;
        crs_settings_default(&settings);
        const double estimate = crs_plan_memory(&settings.config, &specs[i], ROWS, ROWS, STEPS);
        const bool by_step = specs[i].alignment == CRS_ALIGN_STEP;
        const double pairs = ROWS * STEPS, targets = by_step ? pairs : ROWS;
        const double batch =
            4 * (pairs * specs[i].input_size + targets * (specs[i].head == CRS_HEAD_SOFTMAX ? 1 : specs[i].outputs));
        const double bytes = allocated_of(&specs[i], ROWS, ROWS, STEPS) + batch;
        if (estimate < 0.9 * bytes || estimate > 2 * bytes)
            fprintf(stderr, "case %zu: %.0f bytes estimated, %.0f allocated\n", i, estimate, bytes);
        CU_ASSERT(estimate >= 0.9 * bytes);
        CU_ASSERT(estimate <= 2 * bytes);
    }
}

/* Of data that are too many to be shuffled it is said what would do. */
static void test_memory_of_data_is_planned(void) {
    crs_settings settings;
    crs_error error = {0};
    crs_schema schema = {.inputs = CRS_INPUT_BITS,
                         .targets = CRS_TARGET_BITS,
                         .alignment = CRS_ALIGN_SEQUENCE,
                         .input_size = 2,
                         .target_size = 1};
    crs_plan plan = {.longest = 20, .data = 3e9};
    crs_settings_default(&settings);
    settings.config.window = 0;
    CU_ASSERT_EQUAL(crs_plan_ranks(&plan, &settings.config, &schema, 0, 1, 4e9, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_plan_ranks(&plan, &settings.config, &schema, 0, 1, 3e9, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--order=file"));
    settings.config.order = CRS_ORDER_FILE;
    error = (crs_error){0};
    CU_ASSERT_EQUAL(crs_plan_ranks(&plan, &settings.config, &schema, 0, 1, 3e9, &error), CRS_CONFIG);
    CU_ASSERT_PTR_NULL(strstr(error.message, "--order=file"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "fewer ranks"));
}

/* As many are planned for as the model has. */
static void test_parameters_are_counted(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int embed = 0; embed <= 5; embed += 5) {
            const crs_spec spec = crs_spec_text((crs_cell)cell, 7, embed, 18, 3);
            crs_error error = {0};
            crs_model *model;
            double counted = 0;
            must(crs_model_create(&model, &spec, crs_kernels_of(CRS_ISA_BASELINE), 1, &error), &error);
            for (int i = 0; i < crs_model_tensors(model); i++)
                counted += (double)crs_tensor_size(crs_model_tensor(model, i));
            CU_ASSERT_EQUAL(crs_spec_parameters(&spec), counted);
            crs_model_free(&model);
        }
}

static void test_schedule_is_in_steps(void) {
    crs_settings settings;
    crs_plan plan = {.windows = 40};
    crs_settings_default(&settings);
    settings.config.decay_every = 2.5;
    settings.config.warmup = 9;
    const crs_schedule_plan schedule = crs_plan_schedule(&plan, &settings.config, 123);
    CU_ASSERT_EQUAL(schedule.decay_every, 100);
    CU_ASSERT_EQUAL(schedule.decay_after, 100);
    CU_ASSERT_EQUAL(schedule.total, 123);
    CU_ASSERT_EQUAL(schedule.warmup, 9);
    settings.config.decay_after = 7.5;
    CU_ASSERT_EQUAL(crs_plan_schedule(&plan, &settings.config, 123).decay_after, 300);
    CU_ASSERT_EQUAL(crs_plan_schedule(&plan, &settings.config, 123).decay_every, 100);
    settings.config.decay_every = 1e-9;
    CU_ASSERT_EQUAL(crs_plan_schedule(&plan, &settings.config, 123).decay_every, 1);
}

/* ---- metrics, the folder's lock, numbers for people (local; each rank has a folder of its own) ---- */

static const char *own_folder(const char *name) {
    char own[64];
    snprintf(own, sizeof own, "%s-%d", name, harness_rank());
    const char *path = harness_path(own);
    mkdir(path, 0777);
    return path;
}

static void write_text(const char *folder, const char *text) {
    char path[4200];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    FILE *file = fopen(path, "w");
    CRS_ASSERT(file);
    fputs(text, file);
    fclose(file);
}

static const char *read_text(const char *folder) {
    static char text[4096];
    char path[4200];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    FILE *file = fopen(path, "r");
    CRS_ASSERT(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void test_metrics_drop_what_is_beyond(void) {
    char folder[4096];
    crs_metrics metrics;
    crs_error error = {0};
    snprintf(folder, sizeof folder, "%s", own_folder("metrics"));
    write_text(folder, "{\"step\": 1, \"loss\": 3.5}\n{\"step\": 2}\n{\"step\": 2}\n{\"step\": 1}\nno json\n"
                       "{\"step\": 3}\n{\"step\": 4}\n{\"step\": 5, \"lo");
    CU_ASSERT_EQUAL(crs_metrics_open(&metrics, folder, 3, NAN, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(read_text(folder), "{\"step\": 1, \"loss\": 3.5}\n{\"step\": 2}\n{\"step\": 3}\n");
    const crs_metrics_line line = {
        .step = 4, .epoch = 1, .tokens = 8, .refused = 2, .loss = NAN, .rate = 0.5, .validation_loss = NAN};
    CU_ASSERT_EQUAL(crs_metrics_write(&metrics, &line, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_metrics_flush(&metrics, false, &error), CRS_OK);
    crs_metrics_close(&metrics);
    const char *added = strstr(read_text(folder), "{\"step\": 4, ");
    CU_ASSERT_PTR_NOT_NULL(added);
    CU_ASSERT(added && strstr(added, "\"loss\": null") && strstr(added, "\"refused\": 2") &&
              !strstr(added, "validation"));
    /* A validation that was made up for goes into its line. */
    CU_ASSERT_EQUAL(crs_metrics_open(&metrics, folder, 2, 1.25, &error), CRS_OK);
    crs_metrics_close(&metrics);
    CU_ASSERT_STRING_EQUAL(read_text(folder),
                           "{\"step\": 1, \"loss\": 3.5}\n{\"step\": 2, \"validation_loss\": 1.25}\n");
    CU_ASSERT_EQUAL(crs_metrics_open(&metrics, folder, 0, NAN, &error), CRS_OK);
    crs_metrics_close(&metrics);
    CU_ASSERT_STRING_EQUAL(read_text(folder), "");
}

static const char *two_hosts(const crs_comm *comm, int rank) {
    (void)comm;
    return rank % 2 ? "n2" : "n1";
}

/* Within the line of a step, before the validation loss. */
static void test_metrics_tell_of_a_start(void) {
    crs_metrics metrics;
    crs_error error = {0};
    char folder[1024], path[1100], text[1024] = "";
    snprintf(folder, sizeof folder, "%s", own_folder("start"));
    CU_ASSERT_EQUAL_FATAL(crs_metrics_open(&metrics, folder, 0, NAN, &error), CRS_OK);
    const crs_metrics_start start = {.job = "12", .host = two_hosts, .ranks = 4, .threads = 3};
    const crs_metrics_line line = {.step = 1, .validation_loss = 2, .start = &start};
    CU_ASSERT_EQUAL(crs_metrics_write(&metrics, &line, &error), CRS_OK);
    crs_metrics_close(&metrics);
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    FILE *file = fopen(path, "r");
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT_PTR_NOT_NULL(fgets(text, sizeof text, file));
    CU_ASSERT_PTR_NULL(fgets(path, sizeof path, file));
    fclose(file);
    CU_ASSERT_EQUAL(strncmp(text, "{\"step\": 1, ", 12), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"start\": {\"job\": \"12\", \"ranks\": 4, \"threads\": 3, \"nodes\": 2, "
                                        "\"hosts\": [\"n1\", \"n2\", \"n1\", \"n2\"]}, \"validation_loss\": 2.0}\n"));
}

static void test_metrics_tell_of_a_full_disk(void) {
    crs_metrics metrics;
    crs_error error = {0};
    CU_ASSERT_EQUAL(crs_metrics_open(&metrics, harness_path("nowhere"), 0, NAN, &error), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "nowhere/metrics.jsonl"));
    error = (crs_error){0};
    metrics = (crs_metrics){.file = open("/dev/full", O_WRONLY | O_CLOEXEC), .path = crs_copy_text("metrics.jsonl")};
    if (metrics.file >= 0) {
        const crs_metrics_line line = {.step = 1};
        CU_ASSERT_EQUAL(crs_metrics_write(&metrics, &line, &error), CRS_OK); /* a line may wait */
        CU_ASSERT(metrics.failing && metrics.count > 0);
        CU_ASSERT_EQUAL(crs_metrics_flush(&metrics, true, &error), CRS_CREATE);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "metrics.jsonl"));
    }
    crs_metrics_close(&metrics);
}

static void test_one_lock_a_folder(void) {
    char folder[4096];
    int first, second;
    crs_error error = {0};
    snprintf(folder, sizeof folder, "%s", own_folder("lock"));
    CU_ASSERT_EQUAL(crs_lock_take(folder, &first, &error), CRS_OK);
    CU_ASSERT_EQUAL(first, -1);
    CU_ASSERT_EQUAL(crs_lock_make(folder, &first, &error), CRS_OK);
    CU_ASSERT(first >= 0 && !crs_run_holds_files(folder));
    CU_ASSERT_EQUAL(crs_lock_take(folder, &second, &error), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, folder));
    CU_ASSERT_EQUAL(crs_lock_make(folder, &second, &error), CRS_CREATE);
    crs_lock_release(&first);
    error = (crs_error){0};
    CU_ASSERT_EQUAL(crs_lock_take(folder, &second, &error), CRS_OK);
    CU_ASSERT(second >= 0);
    crs_lock_release(&second);
    write_text(folder, "");
    CU_ASSERT(crs_run_holds_files(folder));
}

static void test_numbers_for_people(void) {
    char out[32];
    CU_ASSERT_STRING_EQUAL(crs_format_count(0, out), "0");
    CU_ASSERT_STRING_EQUAL(crs_format_count(999, out), "999");
    CU_ASSERT_STRING_EQUAL(crs_format_count(1003854, out), "1,003,854");
    CU_ASSERT_STRING_EQUAL(crs_format_count(-12345, out), "-12,345");
    CU_ASSERT_STRING_EQUAL(crs_format_time(0.24, out), "0.2s");
    CU_ASSERT_STRING_EQUAL(crs_format_time(9.97, out), "10s");
    CU_ASSERT_STRING_EQUAL(crs_format_time(59.6, out), "1m00s");
    CU_ASSERT_STRING_EQUAL(crs_format_time(3 * 3600 + 125, out), "3h02m");
    CU_ASSERT_STRING_EQUAL(crs_format_time(2 * 86400 + 4 * 3600, out), "2d04h");
}

int main(int argc, char **argv) {
    static const harness_test steps[] = {HARNESS_TEST(test_pass_size_leaves_the_bits),
                                         HARNESS_TEST(test_float_sums_agree),
                                         HARNESS_TEST(test_warm_step_allocates_nothing),
                                         HARNESS_TEST(test_news_travel),
                                         HARNESS_TEST(test_refused_step_changes_nothing),
                                         HARNESS_TEST(test_bad_news_end_all_ranks),
                                         HARNESS_TEST(test_state_is_carried),
                                         HARNESS_TEST(test_clip_and_schedule_reach_the_update),
                                         HARNESS_END};
    static const harness_test evaluation[] = {HARNESS_TEST(test_totals_fold_exactly),
                                              HARNESS_TEST(test_one_stream_is_the_plain_loss),
                                              HARNESS_TEST(test_streams_add_up),
                                              HARNESS_TEST(test_evaluation_can_be_ended),
                                              HARNESS_TEST(test_evaluation_fails_together),
                                              HARNESS_TEST(test_evaluation_leaves_training_alone),
                                              HARNESS_TEST(test_evaluation_refuses),
                                              HARNESS_TEST(test_predictions_of_a_diverged_model),
                                              HARNESS_END};
    static const harness_test sharing[] = {HARNESS_TEST(test_model_goes_to_all_ranks),
                                           HARNESS_TEST(test_checkpoint_is_shared_whole),
                                           HARNESS_TEST(test_one_rank_runs_out_of_memory), HARNESS_END};
    static const harness_test plans[] = {
        HARNESS_TEST(test_short_texts_fit),           HARNESS_TEST(test_no_training),
        HARNESS_TEST(test_default_windows),           HARNESS_TEST(test_impossible_plans_are_refused),
        HARNESS_TEST(test_memory_is_estimated),       HARNESS_TEST(test_memory_of_sequences_is_estimated),
        HARNESS_TEST(test_memory_of_data_is_planned), HARNESS_TEST(test_parameters_are_counted),
        HARNESS_TEST(test_schedule_is_in_steps),      HARNESS_END};
    static const harness_test folder[] = {
        HARNESS_TEST(test_metrics_drop_what_is_beyond), HARNESS_TEST(test_metrics_tell_of_a_full_disk),
        HARNESS_TEST(test_metrics_tell_of_a_start),     HARNESS_TEST(test_one_lock_a_folder),
        HARNESS_TEST(test_numbers_for_people),          HARNESS_END};
    harness_add("step", steps);
    harness_add("evaluation", evaluation);
    harness_add("sharing", sharing);
    harness_add("plans", plans);
    harness_add("folder", folder);
    return harness_run(argc, argv);
}
