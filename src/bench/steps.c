/* bench: whole training steps, by the code that trains (train/step.h), on a text made up for it. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "train/plan.h"
#include "train/step.h"

enum { WINDOWS = 4, MOST_STEPS = 256, LEAST_STEPS = 3 };

typedef struct bench {
    const crs_bench_team *team;
    const crs_bench_case *of;
    crs_plan plan;
    crs_dataset dataset;
    crs_model *model;
    crs_shards shards;
    crs_optim optim;
    crs_engine engine;
    int64_t step;
} bench;

/* One measurement of each kind; seconds of the slowest rank. */
typedef struct turn {
    double exact, rounded, apart, sent, peak, phase[CRS_PHASES], apart_phase[CRS_PHASES];
} turn;

/* ---- data ---- */

/* Every character once, then drawn evenly: how often each occurs changes no time worth telling. */
static bool write_text(const char *path, int64_t count, int vocabulary) {
    FILE *file = fopen(path, "w");
    bool good = file != NULL;
    for (int64_t i = 0; good && i < count; i++) {
        uint64_t bits[4];
        char out[4];
        crs_random(1, CRS_DRAW_SAMPLE, (uint64_t)i, 0, 0, 0, bits);
        const uint32_t token = i < vocabulary ? (uint32_t)i : (uint32_t)(bits[0] % (uint64_t)vocabulary);
        /* From the space on, past the surrogates. */
        const uint32_t point = token + 0x20 < 0xd800 ? token + 0x20 : token + 0x20 + 0x800;
        good = fwrite(out, 1, (size_t)crs_utf8_encode(point, out), file) > 0;
    }
    if (file && fclose(file) != 0)
        good = false;
    return good;
}

/* A data set of this rank's own, gone from the folder as soon as it is open. */
static crs_status make_data(bench *b, crs_error *error) {
    const char *folder = getenv("TMPDIR");
    const int64_t tokens = (int64_t)b->of->batch * b->of->window * WINDOWS + 1, v = b->of->shape.outputs;
    folder = folder && *folder ? folder : "/tmp";
    char *text = crs_format_text("%s/carousel-bench-%ld-%d.txt", folder, (long)getpid(), crs_rank());
    char *data = crs_format_text("%s/carousel-bench-%ld-%d.h5", folder, (long)getpid(), crs_rank());
    const char *const input[] = {text};
    const crs_pack pack = {
        .output = data, .inputs = 1, .input = input, .level = CRS_LEVEL_CHAR, .split = {[CRS_TRAIN] = 1}};
    crs_packed packed;
    if (!text || !data)
        crs_fail(error, CRS_INTERNAL, "out of memory for the names of two files");
    else if (!write_text(text, tokens > v ? tokens : v, (int)v))
        crs_fail(error, CRS_CREATE, "%s: can't be written; the environment variable TMPDIR names another folder", text);
    else if (crs_pack_text(&pack, &packed, error) == CRS_OK)
        crs_dataset_open(&b->dataset, data, error);
    if (text && data) {
        unlink(text);
        unlink(data);
    }
    crs_free(&text);
    crs_free(&data);
    return error->status;
}

/* ---- set up, as train does ---- */

static crs_status create(bench *b, crs_error *error) {
    const crs_config *config = b->of->config;
    const int threads = b->team->threads;
    const crs_optimizer_settings optimizer = {
        .optimizer = config->optimizer, .momentum = -1, .beta1 = -1, .beta2 = -1, .epsilon = -1};
    if (make_data(b, error) || crs_model_create(&b->model, &b->of->shape, b->team->kernels, threads, error) ||
        crs_shards_create(&b->shards, b->model, crs_comm_size(b->team->comm), error) ||
        crs_optim_create(&b->optim, &optimizer, crs_shards_owned(&b->shards, crs_comm_rank(b->team->comm)), error))
        return error->status;
    crs_model_initialize(b->model, 1, 1);
    const crs_engine_setup setup = {.comm = b->team->comm,
                                    .model = b->model,
                                    .shards = &b->shards,
                                    .optim = &b->optim,
                                    .kernels = b->team->kernels,
                                    .dataset = &b->dataset,
                                    .lanes = b->plan.lanes,
                                    .schedule = {.schedule = CRS_CONSTANT, .rate = 1e-4, .total = 1, .decay_every = 1},
                                    .windows = b->plan.windows,
                                    .window = b->of->window,
                                    .threads = threads,
                                    .pass_rows = crs_plan_pass_rows(config, threads),
                                    .dropout = config->dropout,
                                    .clip = 5,
                                    .seed = 1,
                                    .overlap = true};
    return crs_engine_create(&b->engine, &setup, error);
}

/* ---- measuring ---- */

/* Two, since the first leaves parameters on their way for the second: seconds of one, with what is left at the end. */
static crs_status two_steps(bench *b, crs_reduce reduce, bool overlap, double *seconds, crs_error *error) {
    const int64_t news[CRS_NEWS] = {0};
    crs_outcome outcome;
    b->engine.setup.reduce = reduce;
    b->engine.setup.overlap = overlap;
    crs_comm_barrier(b->team->comm);
    const double start = crs_seconds();
    for (int i = 0; i < 2 && error->status == CRS_OK; i++)
        if (crs_engine_step(&b->engine, b->step++, news, &outcome, error) == CRS_OK && outcome.refused > 0)
            crs_fail(error, CRS_INTERNAL, "a step of the benchmark was refused: %" PRId64 " values out of range",
                     outcome.refused);
    crs_engine_settle(&b->engine);
    *seconds = crs_comm_slowest(b->team->comm, crs_seconds() - start) / 2;
    return error->status;
}

/* The phases are named by the step itself (base.h): a clock is read at each change, some tens of times a step, and each
 * takes some tens of nanoseconds. Parts of a step called one by one would find other caches, and no products beside
 * each other. */
static crs_status take_turn(bench *b, turn *t, crs_error *error) {
    const int64_t before = crs_exchange_bytes(b->engine.exchange);
    *t = (turn){.peak = crs_bench_rate_all(b->team, NULL, 0)};
    crs_phase_watch(t->phase);
    two_steps(b, CRS_REDUCE_INT64, true, &t->exact, error);
    crs_phase_watch(NULL);
    for (int i = 0; i < CRS_PHASES; i++)
        t->apart_phase[i] = t->phase[i] /= 2;
    t->sent = (double)(crs_exchange_bytes(b->engine.exchange) - before) / 2;
    if (error->status == CRS_OK)
        two_steps(b, CRS_REDUCE_FLOAT, true, &t->rounded, error);
    t->apart = t->exact;
    if (error->status == CRS_OK && crs_comm_size(b->team->comm) > 1) {
        memset(t->apart_phase, 0, sizeof t->apart_phase);
        crs_phase_watch(t->apart_phase);
        two_steps(b, CRS_REDUCE_INT64, false, &t->apart, error);
        crs_phase_watch(NULL);
        for (int i = 0; i < CRS_PHASES; i++)
            t->apart_phase[i] /= 2;
    }
    return error->status;
}

static int by_exact(const void *a, const void *b) {
    const double x = ((const turn *)a)->exact, y = ((const turn *)b)->exact;
    return (x > y) - (x < y);
}

/* Medians; of phases the means over the middle half of the steps: medians of each by itself would not add up. */
static void summarize(const bench *b, turn *turns, int count, crs_bench_step *step) {
    double rounded[MOST_STEPS], apart[MOST_STEPS], sent[MOST_STEPS], peaks[MOST_STEPS];
    const crs_lanes *lanes = &b->plan.lanes;
    const int first = count / 4, end = count - first;
    *step = (crs_bench_step){.steps = count, .rows = lanes->own_rows};
    qsort(turns, (size_t)count, sizeof *turns, by_exact);
    for (int i = 0; i < count; i++) {
        rounded[i] = turns[i].rounded;
        apart[i] = turns[i].apart;
        sent[i] = turns[i].sent;
        peaks[i] = turns[i].peak;
        for (int p = 0; p < CRS_PHASES && i >= first && i < end; p++) {
            step->phase[p] += turns[i].phase[p] / (end - first);
            step->apart_phase[p] += turns[i].apart_phase[p] / (end - first);
        }
    }
    step->seconds = turns[count / 2].exact;
    step->spread = (turns[count * 3 / 4].exact - turns[count / 4].exact) / step->seconds;
    step->float_seconds = crs_bench_median(rounded, count);
    step->apart_seconds = crs_bench_median(apart, count);
    step->sent = crs_bench_median(sent, count);
    step->peak = crs_bench_median(peaks, count);
    crs_bench_operations(&b->of->shape, lanes->own_rows, b->of->window, step->operations);
    step->operations_of_all =
        crs_bench_operations_of_all(&b->of->shape, b->of->batch, b->of->window, crs_comm_size(b->team->comm));
    /* What runs beside another product has no time of its own. */
    if (step->phase[CRS_PHASE_INPUT] == 0) {
        step->operations[CRS_PHASE_RECURRENT] += step->operations[CRS_PHASE_INPUT];
        step->operations[CRS_PHASE_INPUT] = 0;
    }
    if (step->phase[CRS_PHASE_BACKWARD_INPUT] == 0) {
        step->operations[CRS_PHASE_BACKWARD] += step->operations[CRS_PHASE_BACKWARD_INPUT];
        step->operations[CRS_PHASE_BACKWARD_INPUT] = 0;
    }
    for (int i = 0; i < crs_model_tensors(b->model); i++)
        step->parameters += crs_tensor_size(crs_model_tensor(b->model, i));
    for (int i = 0; i < CRS_MEMORY_PURPOSES; i++)
        step->bytes[i] = crs_memory_bytes((crs_purpose)i);
}

static crs_status measure(bench *b, double seconds, crs_bench_step *step, crs_error *error) {
    turn *turns = crs_alloc_or_fail(MOST_STEPS, sizeof *turns, CRS_MEMORY_OTHER, "measurements", error);
    int count = 0;
    if (crs_comm_agree(b->team->comm, error) == CRS_OK)
        take_turn(b, &turns[0], error); /* warms up */
    const double start = crs_seconds();
    while (error->status == CRS_OK && count < MOST_STEPS &&
           (count < LEAST_STEPS || crs_comm_slowest(b->team->comm, crs_seconds() - start) < seconds))
        take_turn(b, &turns[count++], error);
    if (error->status == CRS_OK)
        summarize(b, turns, count, step);
    crs_free(&turns);
    return error->status;
}

crs_status crs_bench_steps(const crs_bench_team *team, const crs_bench_case *c, double seconds, crs_bench_step *step,
                           crs_error *error) {
    bench b = {.team = team, .of = c};
    const crs_schema schema = crs_schema_text((uint32_t)c->shape.outputs);
    const double memory = crs_comm_memory(team->comm);
    b.plan = (crs_plan){.stride = (int64_t)c->window * WINDOWS, .windows = WINDOWS, .longest = c->window};
    crs_plan_ranks(&b.plan, c->config, &schema, crs_comm_rank(team->comm), crs_comm_size(team->comm), memory, error);
    if (error->status == CRS_OK)
        create(&b, error);
    if (crs_comm_agree(team->comm, error) == CRS_OK)
        measure(&b, seconds, step, error);
    crs_engine_free(&b.engine);
    crs_optim_free(&b.optim);
    crs_shards_free(&b.shards);
    crs_model_free(&b.model);
    crs_dataset_close(&b.dataset);
    return error->status;
}
