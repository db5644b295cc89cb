/* bench: whole training steps, by the code that trains, on a text made up for it. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench.h"
#include "train/plan.h"
#include "train/step.h"

enum { SYMBOLS = 65, WINDOWS = 4, MOST_STEPS = 200, LEAST_STEPS = 5 };

typedef struct bench {
    crs_comm *comm;
    const crs_kernels *kernels;
    const crs_bench_case *of;
    int threads;
    crs_dataset dataset;
    crs_model *model;
    crs_optim optim;
    crs_engine engine;
    bool has_engine;
} bench;

/* A data set of this rank's own, of letters drawn at random, gone from the folder as soon as it is open. */
static crs_status make_data(bench *b, crs_error *error) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .\n";
    const char *folder = getenv("TMPDIR");
    char text[4096], data[4096];
    const int64_t count = (int64_t)b->of->batch * b->of->window * WINDOWS + 1;
    snprintf(text, sizeof text, "%.4000s/carousel-bench-%ld.txt", folder ? folder : "/tmp", (long)getpid());
    snprintf(data, sizeof data, "%.4000s/carousel-bench-%ld.h5", folder ? folder : "/tmp", (long)getpid());
    FILE *file = fopen(text, "w");
    if (!file)
        return crs_fail(error, CRS_CREATE, "%s: can't be written; TMPDIR=FOLDER names another place", text);
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits[4];
        crs_random(1, CRS_DRAW_SAMPLE, (uint64_t)i, 0, 0, 0, bits);
        fputc(letters[i < SYMBOLS ? i : (int64_t)(bits[0] % SYMBOLS)], file);
    }
    const char *const input[] = {text};
    const crs_pack pack = {.output = data, .inputs = 1, .input = input, .split = {1, 0, 0}};
    crs_packed packed;
    const bool written = fclose(file) == 0;
    if (!written)
        crs_fail(error, CRS_CREATE, "%s: can't be written; TMPDIR=FOLDER names another place", text);
    else if (crs_pack_text(&pack, &packed, error) == CRS_OK)
        crs_dataset_open(&b->dataset, data, error);
    unlink(text);
    unlink(data);
    return error->status;
}

static crs_status open_engine(bench *b, crs_error *error) {
    const crs_bench_case *c = b->of;
    const crs_optimizer_settings settings = {.optimizer = CRS_ADAM, .beta1 = -1, .beta2 = -1, .epsilon = -1};
    crs_engine_setup setup = {.comm = b->comm,
                              .optim = &b->optim,
                              .kernels = b->kernels,
                              .dataset = &b->dataset,
                              .schedule = {.schedule = CRS_CONSTANT, .rate = 1e-4, .total = MOST_STEPS},
                              .stride = (int64_t)c->window * WINDOWS,
                              .windows = WINDOWS,
                              .window = c->window,
                              .threads = b->threads,
                              .pass_rows = crs_plan_pass_rows(b->threads),
                              .clip = 5,
                              .seed = 1};
    if (crs_lanes_plan(&setup.lanes, c->batch, c->window, 0, crs_comm_rank(b->comm), crs_comm_size(b->comm), error) ||
        make_data(b, error) || crs_model_create(&b->model, &c->shape, b->kernels, b->threads, error) ||
        crs_optim_create(&b->optim, &settings, crs_model_arena(b->model), error))
        return error->status;
    crs_model_initialize(b->model, 1, 1);
    setup.model = b->model;
    b->has_engine = crs_engine_create(&b->engine, &setup, error) == CRS_OK;
    return error->status;
}

/* Operations of one step that this rank really does: with a token table, layer 0 has no input product over the rows. */
static double operations(const bench *b) {
    const crs_shape *s = &b->of->shape;
    const double tokens = (double)b->engine.setup.lanes.own_rows * b->of->window, h = s->hidden, v = s->vocabulary;
    const double gates = crs_cell_gates(s->cell);
    const bool table = s->embed == 0 || s->vocabulary <= s->embed;
    double products = gates * h * h * s->layers + gates * h * h * (s->layers - 1) + h * v;
    if (!table)
        products += gates * h * s->embed;
    return 6 * tokens * products + (table ? 6 * v * gates * h * s->embed : 0);
}

static void measure_once(bench *b, int64_t step, crs_bench_step *out, double peak[2], crs_error *error) {
    crs_engine *e = &b->engine;
    const crs_engine_setup *s = &e->setup;
    const int64_t news[CRS_NEWS] = {0};
    crs_outcome outcome;
    peak[0] = crs_bench_peak(b->kernels);
    crs_comm_barrier(b->comm);
    const double start = crs_seconds();
    crs_engine_step(e, step, news, &outcome, error);
    out->whole = crs_seconds() - start;
    peak[1] = crs_bench_peak(b->kernels);
    out->sum = outcome.comm_seconds;

    /* The parts again, each by itself. */
    const crs_pass_plan *pass = &e->pass[0];
    const crs_batch batch = {
        .steps = s->window, .rows = pass->rows, .inputs = e->inputs, .targets = e->targets, .state = e->state};
    int64_t trailer[CRS_SUM_TRAILER] = {0};
    double t = crs_seconds();
    crs_model_evaluate(s->model, e->workspace, &batch, trailer);
    out->forward = (crs_seconds() - t) * s->lanes.own_rows / pass->rows;
    t = crs_seconds();
    crs_model_gradient(s->model, e->sums, e->gradient);
    const double norm = crs_model_norm(s->model, e->gradient);
    out->gradient = crs_seconds() - t;
    t = crs_seconds();
    crs_optim_update(s->optim, s->kernels, crs_model_parameters(s->model), e->gradient, crs_clip_scale(norm, s->clip),
                     1e-4, s->threads);
    out->update = crs_seconds() - t;
    t = crs_seconds();
    crs_model_refresh(s->model);
    out->refresh = crs_seconds() - t;
    t = crs_seconds();
    crs_comm_sum_float(b->comm, e->sums, crs_model_sums(s->model) - CRS_SUM_TRAILER);
    out->sum_float = crs_seconds() - t;
    out->backward = out->whole - out->forward - out->gradient - out->update - out->refresh - out->sum;
}

/* Medians of each field over the steps measured. */
static void summarize(const crs_bench_step *all, int count, crs_bench_step *out) {
    static const size_t fields[] = {
        offsetof(crs_bench_step, whole),  offsetof(crs_bench_step, forward),   offsetof(crs_bench_step, backward),
        offsetof(crs_bench_step, sum),    offsetof(crs_bench_step, sum_float), offsetof(crs_bench_step, gradient),
        offsetof(crs_bench_step, update), offsetof(crs_bench_step, refresh),   offsetof(crs_bench_step, peak)};
    double values[MOST_STEPS];
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
        for (int i = 0; i < count; i++)
            memcpy(&values[i], (const char *)&all[i] + fields[f], sizeof *values);
        const double median = crs_bench_median(values, count);
        memcpy((char *)out + fields[f], &median, sizeof median);
    }
}

static crs_status measure(bench *b, double seconds, crs_bench_step *out, crs_error *error) {
    static crs_bench_step all[MOST_STEPS];
    const double start = crs_seconds();
    int count = 0;
    for (int step = 0; step < MOST_STEPS && error->status == CRS_OK; step++) {
        double peak[2];
        measure_once(b, step, &all[count], peak, error);
        all[count].peak = (peak[0] + peak[1]) / 2 * 1e9 * b->threads;
        if (step > 0) /* the first warms up */
            count++;
        if (crs_comm_min(b->comm, count >= LEAST_STEPS && crs_seconds() - start > seconds))
            break;
    }
    summarize(all, count, out);
    out->operations = operations(b);
    out->tokens = (double)b->of->batch * b->of->window;
    for (int i = 0; i < CRS_MEMORY_PURPOSES; i++)
        out->bytes[i] = crs_memory_bytes((crs_purpose)i);
    return error->status;
}

crs_status crs_bench_steps(crs_comm *comm, const crs_kernels *kernels, const crs_bench_case *c, int threads,
                           double seconds, crs_bench_step *out, crs_error *error) {
    bench b = {.comm = comm, .kernels = kernels, .of = c, .threads = threads};
    open_engine(&b, error);
    if (crs_comm_agree(comm, error) == CRS_OK)
        measure(&b, seconds, out, error);
    if (b.has_engine)
        crs_engine_free(&b.engine);
    crs_optim_free(&b.optim);
    crs_model_free(&b.model);
    crs_dataset_close(&b.dataset);
    return error->status;
}
