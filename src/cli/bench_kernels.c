/* bench: each kernel by itself, at the sizes that a model has. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"

enum { REPEATS = 7, FLOATS = 1 << 24 };

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double crs_bench_median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count > 0 ? values[count / 2] : 0;
}

double crs_bench_peak(const crs_kernels *kernels) {
    enum { ROUNDS = 1 << 20 };
    float sink[2 * CRS_BLOCK] __attribute__((aligned(64)));
    double rates[REPEATS];
    const int64_t rounds = kernels->isa == CRS_ISA_BASELINE ? ROUNDS / 256 : ROUNDS;
    for (int i = 0; i < REPEATS; i++) {
        for (int j = 0; j < 2 * CRS_BLOCK; j++)
            sink[j] = j < CRS_BLOCK ? 0.999f : 1e-6f;
        const double start = crs_seconds(), done = kernels->peak(rounds, sink);
        rates[i] = done / (crs_seconds() - start) * 1e-9;
    }
    return crs_bench_median(rates, REPEATS);
}

double crs_bench_bandwidth(crs_error *error) {
    double rates[REPEATS] = {0};
    float *from = crs_alloc_or_fail(FLOATS, sizeof *from, CRS_MEMORY_OTHER, "measuring the memory", error);
    float *to = crs_alloc_or_fail(FLOATS, sizeof *to, CRS_MEMORY_OTHER, "measuring the memory", error);
    for (int i = 0; from && to && i < REPEATS; i++) {
        from[i] = (float)i; /* each copy differs from the one before */
        const double start = crs_seconds();
        memcpy(to, from, FLOATS * sizeof *to);
        rates[i] = 2.0 * FLOATS * sizeof *to / (crs_seconds() - start) * 1e-9;
    }
    crs_free(&from);
    crs_free(&to);
    return crs_bench_median(rates, REPEATS);
}

/* What the kernels work on. */
typedef struct arena {
    const crs_kernels *kernels;
    int rows, hidden, n; /* n: (time, row) pairs */
    float *a, *panel, *c, *state;
    int64_t *sums;
    int64_t refused;
} arena;

typedef double work(arena *m); /* does it once; returns operations or bytes */

/* One group of 64 gate columns for `rows` rows and k inputs, `times` groups one after the other. */
static double product(arena *m, int rows, int k, int groups) {
    for (int i = 0; i < groups; i++) {
        crs_product p = {.rows = rows, .blocks = 4, .c = m->c, .c_row = CRS_GROUP, .chains = 1};
        p.chain[0] = (crs_chain){m->a, m->hidden, 0, 1, k, m->panel + (ptrdiff_t)i * k * CRS_GROUP, CRS_GROUP};
        m->kernels->product(&p);
    }
    return 2.0 * rows * k * CRS_GROUP * groups;
}

static double input_product(arena *m) {
    return product(m, m->n, m->hidden, m->hidden / CRS_BLOCK);
}

static double recurrent_product(arena *m) {
    return product(m, m->rows, m->hidden, m->hidden / CRS_BLOCK);
}

static double weight_gradient(arena *m) {
    const int width = m->kernels->outer_width[4], n = m->n < 256 ? m->n : 256;
    const crs_outer o = {.n = n,
                         .blocks = 4,
                         .k = m->hidden,
                         .tiles = (m->hidden + width - 1) / width,
                         .end_tile = (m->hidden + width - 1) / width,
                         .a = m->a,
                         .b = m->c,
                         .b_block = (ptrdiff_t)n * CRS_BLOCK,
                         .sums = m->sums,
                         .refused = &m->refused};
    m->kernels->outer(&o);
    return 2.0 * n * m->hidden * CRS_GROUP;
}

static crs_cell_step cell_step(arena *m) {
    return (crs_cell_step){.rows = m->rows,
                           .blocks = 1,
                           .gates = m->c,
                           .gates_row = CRS_GROUP,
                           .c_before = m->state,
                           .c = m->state + m->rows * CRS_BLOCK,
                           .h_before = m->state,
                           .h = m->state + 2 * m->rows * CRS_BLOCK,
                           .dh = m->state + 3 * m->rows * CRS_BLOCK,
                           .dc = m->state + 4 * m->rows * CRS_BLOCK,
                           .row = CRS_BLOCK};
}

static double gates_forward(arena *m) {
    const crs_cell_step s = cell_step(m);
    m->kernels->forward[CRS_LSTM](&s);
    return (double)m->rows * CRS_BLOCK * 4 * (5 + 4); /* gates and c read, gates, c and h written */
}

static double gates_backward(arena *m) {
    const crs_cell_step s = cell_step(m);
    m->kernels->backward[CRS_LSTM](&s);
    return (double)m->rows * CRS_BLOCK * 4 * (8 + 5);
}

static double softmax(arena *m) {
    for (int row = 0; row < m->rows; row++)
        m->kernels->softmax(m->c + row * 80, 65, (uint32_t)row % 65);
    return (double)m->rows * 80 * 4 * 2;
}

static double optimizer(arena *m) {
    enum { N = 1 << 20 };
    const crs_update u = {.optimizer = CRS_ADAM,
                          .n = N,
                          .values = m->panel,
                          .first = m->panel + N,
                          .second = m->panel + 2 * N,
                          .gradient = m->panel + 3 * N,
                          .scale = 1,
                          .rate = 1e-6f,
                          .beta1 = 0.9f,
                          .beta2 = 0.999f,
                          .epsilon = 1e-8f,
                          .correction1 = 0.1f,
                          .correction2 = 0.001f};
    m->kernels->update(&u);
    return 7.0 * 4 * N;
}

static double from_fixed(arena *m) {
    enum { N = 1 << 20 };
    m->kernels->from_fixed(m->sums, N, 0x1p-40, m->panel);
    return 12.0 * N;
}

static double rate_of(work *kernel, arena *m) {
    double rates[REPEATS];
    for (int i = 0; i < REPEATS; i++) {
        double done = 0;
        const double start = crs_seconds();
        do
            done += kernel(m);
        while (crs_seconds() - start < 0.02);
        rates[i] = done / (crs_seconds() - start) * 1e-9;
    }
    return crs_bench_median(rates, REPEATS);
}

static crs_status allocate(arena *m, crs_error *error) {
    const size_t panel = (size_t)m->hidden * (size_t)m->hidden * 4;
    const size_t panel_floats = panel > 4 << 20 ? panel : 4 << 20, n = (size_t)(m->n > 256 ? m->n : 256);
    const size_t sums = (size_t)m->hidden * CRS_GROUP;
    m->a = crs_alloc(n * (size_t)m->hidden, sizeof *m->a, CRS_MEMORY_OTHER);
    m->panel = crs_alloc(panel_floats, sizeof *m->panel, CRS_MEMORY_OTHER);
    m->c = crs_alloc(n * 80, sizeof *m->c, CRS_MEMORY_OTHER);
    m->state = crs_alloc((size_t)m->rows * CRS_BLOCK * 5, sizeof *m->state, CRS_MEMORY_OTHER);
    m->sums = crs_alloc(sums > 1 << 20 ? sums : 1 << 20, sizeof *m->sums, CRS_MEMORY_OTHER);
    if (!m->a || !m->panel || !m->c || !m->state || !m->sums)
        return crs_fail(error, CRS_INTERNAL, "out of memory for measuring the kernels");
    for (size_t i = 0; i < n * (size_t)m->hidden; i++)
        m->a[i] = 1e-3f;
    for (size_t i = 0; i < panel_floats; i++)
        m->panel[i] = 1e-3f;
    return CRS_OK;
}

crs_status crs_bench_kernels(const crs_kernels *kernels, const crs_bench_case *c, double peak, double bandwidth,
                             crs_bench_kernel out[CRS_BENCH_KERNELS], crs_error *error) {
    static const struct {
        const char *name, *unit;
        work *run;
    } list[CRS_BENCH_KERNELS] = {{"input product", "GFLOP/s", input_product},
                                 {"recurrent product", "GFLOP/s", recurrent_product},
                                 {"weight gradient, int64", "GFLOP/s", weight_gradient},
                                 {"gates, forward", "GB/s", gates_forward},
                                 {"gates, backward", "GB/s", gates_backward},
                                 {"softmax and loss", "GB/s", softmax},
                                 {"sums to floats", "GB/s", from_fixed},
                                 {"optimizer, adam", "GB/s", optimizer}};
    const int rows = c->batch < 32 ? c->batch : 32, hidden = (c->shape.hidden + CRS_BLOCK - 1) / CRS_BLOCK * CRS_BLOCK;
    arena m = {.kernels = kernels, .rows = rows, .hidden = hidden, .n = rows * (c->window < 64 ? c->window : 64)};
    if (allocate(&m, error) == CRS_OK)
        for (int i = 0; i < CRS_BENCH_KERNELS; i++) {
            const double limit = list[i].unit[1] == 'F' ? peak : bandwidth;
            out[i] = (crs_bench_kernel){list[i].name, list[i].unit, rate_of(list[i].run, &m), limit};
        }
    crs_free(&m.a);
    crs_free(&m.panel);
    crs_free(&m.c);
    crs_free(&m.state);
    crs_free(&m.sums);
    return error->status;
}
