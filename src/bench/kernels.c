/* bench: each kernel by itself, at the sizes and strides that a model gives it. */
#include "config.h"

#include "bench/bench.h"
#include "nn/model.h"
#include "train/plan.h"

/* Pairs of (time, row) that a measurement covers at most: more change no rate, and take long. The weight gradient has
 * pieces of its own, a run of them at a time. */
enum { REPEATS = 5, MOST_PAIRS = 512, PIECE = 256, RUN = 4, PARTS_K = 512 };
static const double burst = 0.01;

/* What the kernels work on: one layer. */
typedef struct site {
    const crs_kernels *kernels;
    const crs_spec *shape;
    crs_optimizer optimizer;
    int rows, times, n;   /* n = rows * times */
    int piece, stretches; /* of the weight gradient: pairs summed as floats, and how many of those follow */
    crs_groups hidden;
    bool flat; /* rnn */
    int groups, blocks;
    ptrdiff_t slot, row; /* of the hidden state's product; floats from one row of gates to the next */
    size_t parameters, weights;
    float *gates, *x, *c, *dh, *dc, *weight, *packed, *panel, *logits, *arena, *float_sums;
    int64_t *sums;
    int64_t refused;
} site;

static int columns_of(const site *s, int group) {
    return s->flat ? crs_group_columns(&s->hidden, group) : s->blocks * CRS_BLOCK;
}

static ptrdiff_t first_of(const site *s, int group) {
    return s->flat ? crs_group_first(&s->hidden, group) : (ptrdiff_t)group * s->blocks * CRS_BLOCK;
}

static float *gates_at(const site *s, int group, ptrdiff_t n) {
    return s->flat ? s->gates + n * s->row + crs_group_first(&s->hidden, group)
                   : s->gates + (group * crs_group_rows(s->n) + n) * CRS_GROUP;
}

static const float zeros[CRS_GROUP] __attribute__((aligned(64)));

static void fill(float *values, size_t n, float value) {
    for (size_t i = 0; i < n; i++)
        values[i] = value;
}

static double products_of_layer(const site *s, double pairs) {
    return 2 * pairs * crs_cell_gates(s->shape->cell) * (double)s->shape->hidden * s->shape->hidden;
}

/* ---- products ---- */

static void product(const site *s, int group, ptrdiff_t n, int rows, ptrdiff_t slot) {
    const int columns = columns_of(s, group);
    crs_product p = {.rows = rows, .blocks = columns / CRS_BLOCK, .c = gates_at(s, group, n) + slot, .c_row = s->row};
    p.start = zeros;
    p.chains = 1;
    p.chain[0] = (crs_chain){s->x + n * s->hidden.padded,
                             s->hidden.padded,
                             0,
                             1,
                             s->shape->hidden,
                             s->weight + first_of(s, group) * s->shape->hidden,
                             columns};
    s->kernels->product(&p);
}

static double input_product(site *s) {
    for (int group = 0; group < s->groups; group++)
        product(s, group, 0, s->n, 0);
    return products_of_layer(s, s->n);
}

static crs_cell_step cell_step(const site *s, int group, int t) {
    const ptrdiff_t row = s->hidden.padded, unit = s->flat ? crs_group_first(&s->hidden, group) : group * CRS_BLOCK;
    const ptrdiff_t at = (ptrdiff_t)t * s->rows * row + unit, one = s->rows * row;
    return (crs_cell_step){.rows = s->rows,
                           .blocks = s->flat ? columns_of(s, group) / CRS_BLOCK : 1,
                           .gates = gates_at(s, group, (ptrdiff_t)t * s->rows),
                           .gates_row = s->row,
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

static double recurrent_forward(site *s) {
    for (int t = 0; t < s->times; t++)
        for (int group = 0; group < s->groups; group++) {
            product(s, group, (ptrdiff_t)t * s->rows, s->rows, s->slot);
            const crs_cell_step step = cell_step(s, group, t);
            s->kernels->forward[s->shape->cell](&step);
        }
    return products_of_layer(s, s->n);
}

/* The gradient of the hidden state before, a group of its columns, in parts of k as the network does it. */
static void transposed_product(const site *s, int group, int t) {
    const int columns = crs_group_columns(&s->hidden, group), all = (int)first_of(s, s->groups);
    const ptrdiff_t n = (ptrdiff_t)t * s->rows;
    crs_product p = {.rows = s->rows, .blocks = columns / CRS_BLOCK, .c_row = s->hidden.padded, .chains = 1};
    p.c = s->dh + (n - s->rows) * s->hidden.padded + crs_group_first(&s->hidden, group);
    crs_chain *chain = &p.chain[0];
    *chain = (crs_chain){.a = gates_at(s, 0, n) + s->slot, .a_row = s->row, .panel_row = columns};
    chain->a_segment = crs_group_rows(s->n) * CRS_GROUP;
    chain->segment = s->flat ? s->hidden.padded : s->blocks * CRS_BLOCK;
    chain->panel = s->weight + (ptrdiff_t)crs_group_first(&s->hidden, group) * all;
    const int segments = s->flat ? 1 : s->groups, most = PARTS_K / chain->segment > 1 ? PARTS_K / chain->segment : 1;
    const int parts = (segments + most - 1) / most;
    for (int i = 0; i < parts; i++) {
        chain->segments = crs_share(segments, i + 1, parts) - crs_share(segments, i, parts);
        s->kernels->product(&p);
        chain->a += chain->segments * chain->a_segment;
        chain->panel += (ptrdiff_t)chain->segments * chain->segment * columns;
    }
}

static void prepare_backward(site *s) {
    fill(s->gates, crs_group_rows(s->n) * (size_t)s->groups * CRS_GROUP, 0.4f);
    fill(s->dh, (size_t)s->n * (size_t)s->hidden.padded, 1e-3f);
    fill(s->dc, (size_t)s->rows * (size_t)s->hidden.padded, 1e-3f);
}

static double recurrent_backward(site *s) {
    for (int t = s->times - 1; t >= 0; t--) {
        for (int group = 0; group < s->groups; group++) {
            const crs_cell_step step = cell_step(s, group, t);
            s->kernels->backward[s->shape->cell](&step);
        }
        for (int group = 0; t > 0 && group < s->hidden.groups; group++)
            transposed_product(s, group, t);
    }
    return products_of_layer(s, s->n - s->rows);
}

/* A run of pieces, all groups: with int64 sums, or as floats. */
static double weight_gradient(site *s, bool exact) {
    crs_stretch stretch[RUN];
    for (int i = 0; i < s->stretches; i++) {
        const ptrdiff_t before = (ptrdiff_t)i * s->piece;
        stretch[i] = (crs_stretch){.n = s->piece,
                                   .a = s->packed + before * s->shape->hidden,
                                   .a_rows = s->piece,
                                   .b = s->panel + before * CRS_GROUP};
    }
    for (int group = 0; group < s->groups; group++) {
        const int columns = columns_of(s, group);
        crs_outer o = {
            .stretches = s->stretches, .stretch = stretch, .blocks = columns / CRS_BLOCK, .k = s->shape->hidden};
        o.tiles = o.end_tile = (o.k + CRS_OUTER_WIDTH - 1) / CRS_OUTER_WIDTH;
        o.sums = s->sums + first_of(s, group) * o.k;
        o.refused = &s->refused;
        if (exact)
            s->kernels->outer(&o);
        else
            s->kernels->outer_float(&o, s->float_sums + first_of(s, group) * o.k);
    }
    return products_of_layer(s, s->piece * s->stretches);
}

static double weights_exact(site *s) {
    return weight_gradient(s, true);
}
static double weights_float(site *s) {
    return weight_gradient(s, false);
}

/* ---- the rest: bytes read and written ---- */

/* Floats of a unit that the gates read and write. */
static double gates_bytes(const site *s, bool backward) {
    static const int floats[CRS_CELLS][2] = {
        [CRS_LSTM] = {11, 13}, [CRS_PEEPHOLE] = {11, 13}, [CRS_GRU] = {10, 12}, [CRS_RNN] = {2, 3}};
    return 4.0 * floats[s->shape->cell][backward] * s->n * s->hidden.padded;
}

static double gates_forward(site *s) {
    for (int t = 0; t < s->times; t++)
        for (int group = 0; group < s->groups; group++) {
            const crs_cell_step step = cell_step(s, group, t);
            s->kernels->forward[s->shape->cell](&step);
        }
    return gates_bytes(s, false);
}

static double gates_backward(site *s) {
    for (int t = s->times - 1; t >= 0; t--)
        for (int group = 0; group < s->groups; group++) {
            const crs_cell_step step = cell_step(s, group, t);
            s->kernels->backward[s->shape->cell](&step);
        }
    return gates_bytes(s, true);
}

enum { ACTIVATION_FLOATS = 4096 };

static void prepare_activation(site *s) {
    fill(s->arena, ACTIVATION_FLOATS, 0.5f);
}

static double activation(site *s, int which) {
    s->kernels->activation[which](s->arena, ACTIVATION_FLOATS);
    return 8.0 * ACTIVATION_FLOATS;
}
static double activation_exp(site *s) {
    return activation(s, CRS_ACTIVATION_EXP);
}
static double activation_tanh(site *s) {
    return activation(s, CRS_ACTIVATION_TANH);
}
static double activation_logistic(site *s) {
    return activation(s, CRS_ACTIVATION_LOGISTIC);
}

static double softmax(site *s) {
    const int padded = crs_pad(s->shape->outputs);
    for (int i = 0; i < s->n; i++)
        s->kernels->softmax(s->logits + (ptrdiff_t)i * padded, s->shape->outputs, (uint32_t)(i % s->shape->outputs));
    return 8.0 * s->n * padded;
}

static double sums_to_floats(site *s) {
    s->kernels->from_fixed(s->sums, s->weights, 0x1p-40, s->float_sums);
    return 12.0 * (double)s->weights;
}

static void prepare_optimizer(site *s) {
    fill(s->arena, 4 * s->parameters, 1e-3f);
}

static double optimizer(site *s) {
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

typedef double work(site *s); /* does it once; returns operations or bytes */

typedef struct kernel {
    const char *name;
    bool products;
    work *run;
    void (*prepare)(site *s); /* before each run, not timed; may be NULL */
} kernel;

static const kernel kernels_of_step[] = {{"input product", true, input_product, NULL},
                                         {"recurrent step, forward", true, recurrent_forward, NULL},
                                         {"recurrent step, backward", true, recurrent_backward, prepare_backward},
                                         {"weight gradient, int64", true, weights_exact, NULL},
                                         {"weight gradient, float", true, weights_float, NULL},
                                         {"gates, forward", false, gates_forward, NULL},
                                         {"gates, backward", false, gates_backward, prepare_backward},
                                         {"exp", false, activation_exp, prepare_activation},
                                         {"tanh", false, activation_tanh, prepare_activation},
                                         {"logistic", false, activation_logistic, prepare_activation},
                                         {"softmax and loss", false, softmax, NULL},
                                         {"sums to floats", false, sums_to_floats, NULL},
                                         {"optimizer", false, optimizer, prepare_optimizer}};

static double run_for(site *s, const kernel *k, double *bytes) {
    double done = 0, seconds = 0;
    while (seconds < burst) {
        if (k->prepare)
            k->prepare(s);
        const double start = crs_seconds();
        *bytes = k->run(s);
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
        limits[i] = k->products ? crs_bench_peak(s->kernels) : crs_bench_pass(s->kernels, s->arena, pass);
        rates[i] = run_for(s, k, &bytes);
    }
    return (crs_bench_kernel){k->name, k->products, crs_bench_median(rates, REPEATS),
                              crs_bench_median(limits, REPEATS)};
}

static void measure_rows(site *s, crs_bench_list *list) {
    const kernel k = {"recurrent step, forward", true, recurrent_forward, NULL};
    const site whole = *s;
    for (int i = 0; i < CRS_BENCH_ROWS; i++) {
        s->rows = 2 << i;
        s->times = MOST_PAIRS / 64;
        s->n = s->rows * s->times;
        const crs_bench_kernel found = measure(s, &k);
        list->of_rows[i] = found.rate < found.limit ? found.rate / found.limit : 1;
        if (i > 0 && list->of_rows[i] < list->of_rows[i - 1])
            list->of_rows[i] = list->of_rows[i - 1]; /* a noisy machine; or the last two, which are as good */
    }
    *s = whole;
}

/* Numbers of all ranks, as a step adds them. One rank has nothing to add. Collective. */
static void measure_sums(const crs_bench_team *team, site *s, crs_bench_list *list) {
    double seconds[2][REPEATS], limits[REPEATS];
    const size_t n = s->parameters;
    for (int i = 0; i < REPEATS; i++) {
        crs_comm_barrier(team->comm);
        limits[i] = crs_bench_pass(s->kernels, s->arena, 2 * n); /* an int64 has two floats' bytes */
        for (int as_float = 0; as_float < 2; as_float++) {
            crs_comm_barrier(team->comm);
            const double start = crs_seconds();
            if (as_float)
                crs_comm_sum_float(team->comm, s->sums, n);
            else
                crs_comm_sum(team->comm, s->sums, n);
            seconds[as_float][i] = crs_seconds() - start;
        }
    }
    const double limit = crs_bench_median(limits, REPEATS);
    list->sums_pass = 16.0 * (double)n / limit;
    for (int as_float = 0; as_float < 2 && crs_comm_size(team->comm) > 1; as_float++)
        list->kernel[list->count++] =
            (crs_bench_kernel){as_float ? "sum over ranks, float" : "sum over ranks, int64", false,
                               16.0 * (double)n / crs_bench_median(seconds[as_float], REPEATS), limit};
}

/* ---- room ---- */

int crs_bench_rows(const crs_bench_case *c, const crs_bench_team *team) {
    const int ranks = crs_comm_size(team->comm), most = crs_plan_pass_rows(c->config, team->threads) / team->threads;
    const int rows = (c->batch + ranks * team->threads - 1) / (ranks * team->threads);
    return rows < most ? rows : most;
}

static float *room(size_t n, float value) {
    float *values = crs_alloc(n, sizeof *values, CRS_MEMORY_OTHER);
    if (values)
        fill(values, n, value);
    return values;
}

static crs_status allocate(site *s, crs_error *error) {
    const size_t hidden = (size_t)s->hidden.padded, n = MOST_PAIRS, run = RUN * PIECE;
    const size_t floats = 4 * s->parameters > ACTIVATION_FLOATS ? 4 * s->parameters : ACTIVATION_FLOATS;
    s->gates = room(((n | 1) + 1) * (size_t)s->groups * CRS_GROUP, 0.4f);
    s->x = room(2 * n * hidden, 1e-3f);
    s->c = room(2 * n * hidden, 1e-3f);
    s->dh = room(n * hidden, 1e-3f);
    s->dc = room(n * hidden, 1e-3f);
    s->weight = room(s->weights + 3 * hidden, 1e-3f);
    s->packed = room(run * hidden, 1e-3f);
    s->panel = room(run * CRS_GROUP, 1e-3f);
    s->logits = room(n * (size_t)crs_pad(s->shape->outputs), 1e-3f);
    s->arena = room(floats, 1e-3f);
    s->float_sums = room(s->weights, 0);
    s->sums = crs_alloc(s->weights > s->parameters ? s->weights : s->parameters, sizeof *s->sums, CRS_MEMORY_OTHER);
    if (!s->gates || !s->x || !s->c || !s->dh || !s->dc || !s->weight || !s->packed || !s->panel || !s->logits ||
        !s->arena || !s->float_sums || !s->sums)
        return crs_fail(error, CRS_INTERNAL, "out of memory for measuring kernels of --hidden=%d", s->shape->hidden);
    return CRS_OK;
}

static void release(site *s) {
    crs_free(&s->gates);
    crs_free(&s->x);
    crs_free(&s->c);
    crs_free(&s->dh);
    crs_free(&s->dc);
    crs_free(&s->weight);
    crs_free(&s->packed);
    crs_free(&s->panel);
    crs_free(&s->logits);
    crs_free(&s->arena);
    crs_free(&s->float_sums);
    crs_free(&s->sums);
}

static site site_of(const crs_bench_team *team, const crs_bench_case *c) {
    site s = {.kernels = team->kernels, .shape = &c->shape, .optimizer = c->config->optimizer};
    s.hidden = crs_groups_of(c->shape.hidden);
    s.flat = c->shape.cell == CRS_RNN;
    s.groups = s.flat ? s.hidden.groups : s.hidden.padded / CRS_BLOCK;
    s.blocks = c->shape.cell == CRS_GRU ? 3 : 4;
    s.slot = c->shape.cell == CRS_GRU ? CRS_BLOCK : 0;
    s.row = s.flat ? s.hidden.padded : CRS_GROUP;
    s.rows = crs_bench_rows(c, team);
    s.times = MOST_PAIRS / s.rows < c->window ? MOST_PAIRS / s.rows : c->window;
    s.n = s.rows * s.times;
    const int64_t pairs = (int64_t)s.rows * c->window;
    s.piece = pairs < PIECE ? (int)pairs : PIECE;
    s.stretches = pairs / s.piece < RUN ? (int)(pairs / s.piece) : RUN;
    s.weights = (size_t)first_of(&s, s.groups) * (size_t)s.hidden.padded;
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
        measure_sums(team, &s, list);
    }
    release(&s);
    return error->status;
}
