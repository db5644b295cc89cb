/* bench: each kernel by itself, at the sizes and strides that a model gives it. */
#include "config.h"

#include "bench/bench.h"
#include "carousel/batch.h"
#include "nn/gates.h"
#include "train/plan.h"

/* Pairs of (time, row) that a measurement covers at most: more change no rate, and take long. The weight gradient has
 * pieces of its own, a run of them at a time. */
enum { REPEATS = 5, MOST_PAIRS = 512, RUN = 4, ACTIVATION_FLOATS = 4096 };
static const double burst = 0.01;

/* What the kernels work on: one layer. */
typedef struct site {
    const crs_kernels *kernels;
    const crs_spec *shape;
    crs_optimizer optimizer;
    crs_gates g;
    int rows, times, n;   /* n = rows * times */
    int piece, stretches; /* of the weight gradient: pairs summed as floats, and how many of those follow */
    size_t parameters, weights;
    float *floats; /* all of these: */
    float *gates, *x, *c, *dh, *dc, *weight, *packed, *panel, *logits, *arena, *float_sums;
    int64_t *sums;
    int64_t refused;
} site;

static const float zeros[CRS_GROUP] __attribute__((aligned(64)));

static void fill(float *values, size_t n, float value) {
    for (size_t i = 0; i < n; i++)
        values[i] = value;
}

static double products_of_layer(const site *s, double pairs) {
    return 2 * pairs * crs_cell_gates(s->g.cell) * (double)s->g.hidden * s->g.hidden;
}

/* ---- the layer ---- */

static void product(const site *s, int group, ptrdiff_t n, int rows, bool hidden) {
    const crs_gates *g = &s->g;
    const int columns = crs_panel_columns(g, group);
    const ptrdiff_t first = crs_panel_first(g, group);
    crs_product p = {.rows = rows, .blocks = columns / CRS_BLOCK, .c_row = g->row, .start = zeros, .chains = 1};
    p.c = s->gates + crs_gates_offset(g, s->n, group, n) + (hidden ? g->h_slot : 0);
    p.near = hidden && !g->flat;
    p.chain[0] = crs_chain_of_rows(s->x + n * g->padded, g->padded, g->hidden, s->weight + first * g->hidden, columns);
    s->kernels->product(&p);
}

static double input_product(site *s, int unused) {
    (void)unused;
    for (int group = 0; group < s->g.groups; group++)
        product(s, group, 0, s->n, false);
    return products_of_layer(s, s->n);
}

static crs_cell_step cell_step(const site *s, int group, int t) {
    const crs_gates *g = &s->g;
    const ptrdiff_t row = g->padded, unit = crs_unit_first(g, group), one = s->rows * row, at = t * one + unit;
    return (crs_cell_step){.rows = s->rows,
                           .blocks = crs_units(g, group) / CRS_BLOCK,
                           .gates = s->gates + crs_gates_offset(g, s->n, group, (ptrdiff_t)t * s->rows),
                           .gates_row = g->row,
                           .c_before = s->c + at,
                           .c = s->c + at + one,
                           .h_before = s->x + at,
                           .h = s->x + at + one,
                           .dh = s->dh + at,
                           .dc = s->dc + unit,
                           .dh_before = t > 0 ? s->dh + at - one : NULL,
                           .peephole = s->weight,
                           .peephole_row = row,
                           .row = row};
}

/* Bytes that the gates read and write. */
static double gates_bytes(const site *s, bool backward) {
    static const int floats[CRS_CELLS][2] = {
        [CRS_LSTM] = {11, 13}, [CRS_PEEPHOLE] = {11, 13}, [CRS_GRU] = {10, 12}, [CRS_RNN] = {2, 3}};
    return 4.0 * floats[s->g.cell][backward] * s->n * s->g.padded;
}

/* The gates at all times, with the recurrent products or without. */
static double forward(site *s, int products) {
    for (int t = 0; t < s->times; t++)
        for (int group = 0; group < s->g.groups; group++) {
            if (products)
                product(s, group, (ptrdiff_t)t * s->rows, s->rows, true);
            const crs_cell_step step = cell_step(s, group, t);
            s->kernels->forward[s->g.cell](&step);
        }
    return products ? products_of_layer(s, s->n) : gates_bytes(s, false);
}

/* The gradient of the hidden state before, a group of its columns. */
static void transposed_product(const site *s, int group, int t) {
    const crs_gates *g = &s->g;
    const int first = crs_group_first(&g->units, group), columns = crs_group_columns(&g->units, group);
    const ptrdiff_t n = (ptrdiff_t)t * s->rows;
    crs_product p = {.rows = s->rows, .blocks = columns / CRS_BLOCK, .c_row = g->padded, .chains = 1};
    p.c = s->dh + (n - s->rows) * g->padded + first;
    p.chain[0] = crs_chain_of_gates(g, s->gates, s->n, n, true);
    p.chain[0].panel = s->weight + first * crs_panel_first(g, g->groups);
    p.chain[0].panel_row = columns;
    crs_product_in_parts(s->kernels, &p);
}

static void prepare_backward(site *s) {
    fill(s->gates, crs_gates_size(&s->g, s->n), 0.4f);
    fill(s->dh, (size_t)s->n * (size_t)s->g.padded, 1e-3f);
    fill(s->dc, (size_t)s->rows * (size_t)s->g.padded, 1e-3f);
}

static double backward(site *s, int products) {
    for (int t = s->times - 1; t >= 0; t--) {
        for (int group = 0; group < s->g.groups; group++) {
            const crs_cell_step step = cell_step(s, group, t);
            s->kernels->backward[s->g.cell](&step);
        }
        for (int group = 0; products && t > 0 && group < s->g.units.groups; group++)
            transposed_product(s, group, t);
    }
    return products ? products_of_layer(s, s->n - s->rows) : gates_bytes(s, true);
}

/* A run of pieces, all groups: with int64 sums, or as floats. */
static double weight_gradient(site *s, int exact) {
    crs_stretch stretch[RUN];
    for (int i = 0; i < s->stretches; i++) {
        const ptrdiff_t before = (ptrdiff_t)i * s->piece;
        stretch[i] = (crs_stretch){.n = s->piece,
                                   .a = s->packed + before * s->g.hidden,
                                   .a_rows = s->piece,
                                   .b = s->panel + before * CRS_GROUP};
    }
    for (int group = 0; group < s->g.groups; group++) {
        const ptrdiff_t sums = crs_panel_first(&s->g, group) * s->g.hidden;
        crs_outer o = {.stretches = s->stretches, .stretch = stretch, .k = s->g.hidden, .refused = &s->refused};
        o.blocks = crs_panel_columns(&s->g, group) / CRS_BLOCK;
        o.tiles = o.end_tile = (o.k + CRS_OUTER_WIDTH - 1) / CRS_OUTER_WIDTH;
        o.sums = s->sums + sums;
        if (exact)
            s->kernels->outer(&o);
        else
            s->kernels->outer_float(&o, s->float_sums + sums);
    }
    return products_of_layer(s, s->piece * s->stretches);
}

/* ---- the rest: bytes read and written ---- */

static void prepare_activation(site *s) {
    fill(s->arena, ACTIVATION_FLOATS, 0.5f);
}

static double activation(site *s, int which) {
    s->kernels->activation[which](s->arena, ACTIVATION_FLOATS);
    return 8.0 * ACTIVATION_FLOATS;
}

static double softmax(site *s, int unused) {
    (void)unused;
    const int padded = crs_pad(s->shape->outputs);
    for (int i = 0; i < s->n; i++)
        s->kernels->softmax(s->logits + (ptrdiff_t)i * padded, s->shape->outputs, (uint32_t)(i % s->shape->outputs));
    return 8.0 * s->n * padded;
}

static double sums_to_floats(site *s, int unused) {
    (void)unused;
    s->kernels->from_fixed(s->sums, s->weights, 0x1p-40, s->float_sums);
    return 12.0 * (double)s->weights;
}

static void prepare_optimizer(site *s) {
    fill(s->arena, 4 * s->parameters, 1e-3f);
}

static double optimizer(site *s, int unused) {
    (void)unused;
    static const int floats[CRS_OPTIMIZERS] = {[CRS_ADAM] = 7, [CRS_RMSPROP] = 5, [CRS_SGD] = 3, [CRS_ADAGRAD] = 5};
    const crs_update u = {.optimizer = s->optimizer,
                          .n = s->parameters,
                          .values = s->arena,
                          .first = s->optimizer == CRS_ADAM ? s->arena + s->parameters : NULL,
                          .second = s->arena + 2 * s->parameters,
                          .gradient = s->arena + 3 * s->parameters,
                          .scale = 1,
                          .rate = 1e-6f,
                          .beta1 = s->optimizer == CRS_ADAM ? 0.9f : 0,
                          .beta2 = 0.999f,
                          .epsilon = 1e-8f,
                          .correction1 = 0.1f,
                          .correction2 = 0.001f};
    crs_kernel_update(s->kernels, &u);
    return 4.0 * floats[s->optimizer] * (double)s->parameters;
}

/* ---- measuring ---- */

typedef struct kernel {
    const char *name;
    bool products;
    double (*run)(site *s, int which); /* does it once; returns operations or bytes */
    int which;
    void (*prepare)(site *s); /* before each run, not timed; may be NULL */
} kernel;

enum { RECURRENT_STEP = 1 };
static const kernel kernels_of_step[] = {{"input product", true, input_product, 0, NULL},
                                         [RECURRENT_STEP] = {"recurrent step, forward", true, forward, true, NULL},
                                         {"recurrent step, backward", true, backward, true, prepare_backward},
                                         {"weight gradient, int64", true, weight_gradient, true, NULL},
                                         {"weight gradient, float", true, weight_gradient, false, NULL},
                                         {"gates, forward", false, forward, false, NULL},
                                         {"gates, backward", false, backward, false, prepare_backward},
                                         {"exp", false, activation, CRS_ACTIVATION_EXP, prepare_activation},
                                         {"tanh", false, activation, CRS_ACTIVATION_TANH, prepare_activation},
                                         {"logistic", false, activation, CRS_ACTIVATION_LOGISTIC, prepare_activation},
                                         {"softmax and loss", false, softmax, 0, NULL},
                                         {"sums to floats", false, sums_to_floats, 0, NULL},
                                         {"optimizer", false, optimizer, 0, prepare_optimizer}};

static double run_for(site *s, const kernel *k, double *bytes) {
    double done = 0, seconds = 0;
    while (seconds < burst) {
        if (k->prepare)
            k->prepare(s);
        const double start = crs_seconds();
        *bytes = k->run(s, k->which);
        seconds += crs_seconds() - start;
        done += *bytes;
    }
    return done / seconds;
}

/* The kernel and its limit in turn. A plain pass covers as many bytes as the kernel does. */
static crs_bench_kernel measure(site *s, const kernel *k) {
    double rates[REPEATS], limits[REPEATS], bytes;
    run_for(s, k, &bytes); /* warms up */
    size_t pass = (size_t)bytes / 8 / CRS_BLOCK * CRS_BLOCK, most = 4 * s->parameters;
    pass = pass < CRS_BLOCK ? CRS_BLOCK : pass < most ? pass : most;
    for (int i = 0; i < REPEATS; i++) {
        limits[i] = crs_bench_rate(s->kernels, k->products ? NULL : s->arena, pass);
        rates[i] = run_for(s, k, &bytes);
    }
    return (crs_bench_kernel){k->name, k->products, crs_bench_median(rates, REPEATS),
                              crs_bench_median(limits, REPEATS)};
}

static void measure_rows(site *s, crs_bench_list *list) {
    const site whole = *s;
    for (int i = 0; i < CRS_BENCH_ROWS; i++) {
        s->rows = 2 << i;
        s->times = MOST_PAIRS / 64;
        s->n = s->rows * s->times;
        const crs_bench_kernel found = measure(s, &kernels_of_step[RECURRENT_STEP]);
        list->of_rows[i] = found.rate < found.limit ? found.rate / found.limit : 1;
        if (i > 0 && list->of_rows[i] < list->of_rows[i - 1])
            list->of_rows[i] = list->of_rows[i - 1]; /* a noisy machine; or the last two, which are as good */
    }
    *s = whole;
}

/* ---- room ---- */

int crs_bench_rows(const crs_bench_case *c, const crs_bench_team *team) {
    const int ranks = crs_comm_size(team->comm), most = crs_plan_pass_rows(c->config, team->threads) / team->threads;
    const int rows = (c->batch + ranks * team->threads - 1) / (ranks * team->threads);
    return rows < most ? rows : most;
}

static crs_status allocate(site *s, crs_error *error) {
    const size_t hidden = (size_t)s->g.padded, n = MOST_PAIRS, run = RUN * CRS_PIECE_PAIRS;
    const size_t updated = 4 * s->parameters > ACTIVATION_FLOATS ? 4 * s->parameters : ACTIVATION_FLOATS;
    const struct {
        float **to;
        size_t n;
    } parts[] = {{&s->gates, crs_gates_size(&s->g, MOST_PAIRS)},
                 {&s->x, 2 * n * hidden},
                 {&s->c, 2 * n * hidden},
                 {&s->dh, n * hidden},
                 {&s->dc, n * hidden},
                 {&s->weight, s->weights + 3 * hidden},
                 {&s->packed, run * hidden},
                 {&s->panel, run * CRS_GROUP},
                 {&s->logits, n * (size_t)crs_pad(s->shape->outputs)},
                 {&s->arena, updated},
                 {&s->float_sums, s->weights}};
    const size_t count = sizeof parts / sizeof *parts;
    size_t all = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        all += parts[i].n;
    s->floats = crs_alloc(all, sizeof *s->floats, CRS_MEMORY_OTHER);
    s->sums = crs_alloc(s->weights > s->parameters ? s->weights : s->parameters, sizeof *s->sums, CRS_MEMORY_OTHER);
    if (!s->floats || !s->sums)
        return crs_fail(error, CRS_INTERNAL, "out of memory for measuring kernels of --hidden=%d", s->shape->hidden);
    fill(s->floats, all, 1e-3f);
    for (size_t i = 0; i < count; at += parts[i++].n)
        *parts[i].to = s->floats + at;
    return CRS_OK;
}

static site site_of(const crs_bench_team *team, const crs_bench_case *c) {
    site s = {.kernels = team->kernels, .shape = &c->shape, .optimizer = c->config->optimizer};
    s.g = crs_gates_of(c->shape.cell, c->shape.hidden);
    s.rows = crs_bench_rows(c, team);
    s.times = MOST_PAIRS / s.rows < c->window ? MOST_PAIRS / s.rows : c->window;
    s.n = s.rows * s.times;
    const int64_t pairs = (int64_t)s.rows * c->window;
    s.piece = pairs < CRS_PIECE_PAIRS ? (int)pairs : CRS_PIECE_PAIRS;
    s.stretches = pairs / s.piece < RUN ? (int)(pairs / s.piece) : RUN;
    s.weights = (size_t)crs_panel_first(&s.g, s.g.groups) * (size_t)s.g.padded;
    s.parameters = ((size_t)crs_spec_parameters(&c->shape) + CRS_BLOCK) / CRS_BLOCK * CRS_BLOCK;
    return s;
}

crs_status crs_bench_kernels(const crs_bench_team *team, const crs_bench_case *c, crs_bench_list *list,
                             crs_error *error) {
    site s = site_of(team, c);
    *list = (crs_bench_list){0};
    allocate(&s, error);
    if (crs_comm_agree(team->comm, error) == CRS_OK) {
        for (size_t i = 0; i < sizeof kernels_of_step / sizeof *kernels_of_step; i++)
            list->kernel[list->count++] = measure(&s, &kernels_of_step[i]);
        measure_rows(&s, list);
        crs_bench_sums(team, s.parameters, s.arena, list, error);
    }
    crs_free(&s.floats);
    crs_free(&s.sums);
    return error->status;
}
