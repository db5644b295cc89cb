/* Backward through time, top layer down. The gradient of a layer's sums overwrites its gates. */
#include "config.h"

#include <string.h>

#include "model.h"

static const float zeros[CRS_GROUP] __attribute__((aligned(64)));

crs_chain crs_chain_of_gates(const crs_model *m, const float *gates, int rows, ptrdiff_t n, bool hidden) {
    if (m->gates.flat)
        return (crs_chain){
            .a = gates + n * m->gates.row, .a_row = m->gates.row, .segments = 1, .segment = m->hidden_padded};
    return (crs_chain){.a = gates + n * CRS_GROUP + (hidden ? m->gates.h_slot : m->gates.x_slot),
                       .a_row = CRS_GROUP,
                       .a_segment = crs_group_rows(rows) * CRS_GROUP,
                       .segments = m->gates.groups,
                       .segment = hidden ? m->gates.h_columns : m->gates.x_columns};
}

/* Beyond this k, the part of the panel that all rows share would leave the second-level cache: the sums are parked in
 * c. */
enum { PRODUCT_K = 512 };

static void product_in_parts(const crs_kernels *kernels, crs_product *p) {
    crs_chain *chain = &p->chain[0];
    const int segments = chain->segments, most = PRODUCT_K / chain->segment > 1 ? PRODUCT_K / chain->segment : 1;
    const int parts = (segments + most - 1) / most;
    for (int i = 0; i < parts; i++) {
        chain->segments = crs_share(segments, i + 1, parts) - crs_share(segments, i, parts);
        kernels->product(p);
        chain->a += chain->segments * chain->a_segment;
        chain->panel += (ptrdiff_t)chain->segments * chain->segment * chain->panel_row;
        p->start = NULL;
    }
}

/* out[rows][groups' columns] = start + the gradients of the sums of rows n on, times a transposed weight, one group of
 * columns. */
static void transposed_product(const crs_pass *pass, int l, bool hidden, int group, ptrdiff_t n, int rows, float *out,
                               const float *start, ptrdiff_t ahead) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    const crs_groups *g = hidden ? &m->hidden_groups : &layer->input_groups;
    const int first = crs_group_first(g, group), columns = crs_group_columns(g, group);
    const ptrdiff_t all = hidden ? crs_h_all(m) : crs_x_all(m);
    crs_product p = {.rows = rows, .blocks = columns / CRS_BLOCK, .c = out + first, .c_row = g->padded, .start = start};
    p.ahead = ahead;
    p.chains = 1;
    p.chain[0] = crs_chain_of_gates(m, pass->workspace->gates[l], pass->n, n, hidden);
    p.chain[0].panel = (hidden ? layer->transposed_hh : layer->transposed_ih) + first * all;
    p.chain[0].panel_row = columns;
    product_in_parts(m->kernels, &p);
}

static void step(const crs_pass *pass, int l, int group, int t, int first_row, int rows, float *dh) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    const ptrdiff_t hidden = m->hidden_padded, unit = crs_unit_first(m, group), one = pass->batch->rows * hidden;
    const ptrdiff_t n = (ptrdiff_t)t * pass->batch->rows + first_row, at = n * hidden + unit;
    crs_cell_step s = {.rows = rows, .blocks = crs_units(m, group) / CRS_BLOCK, .row = hidden};
    s.gates = crs_gates_at(m, w->gates[l], pass->n, group, n);
    s.gates_row = m->gates.row;
    s.h_before = w->h[l] + at;
    s.h = w->h[l] + at + one;
    if (w->c[l]) {
        s.c_before = w->c[l] + at;
        s.c = w->c[l] + at + one;
        s.dc = w->dc + first_row * hidden + unit;
    }
    s.dh = dh + at;
    s.dh_before = t > 0 ? dh + at - one : NULL;
    s.peephole = m->parameters + m->layers[l].peephole + unit;
    s.peephole_row = hidden;
    if (s.c_before) /* the next group's */
        crs_fetch_units(m, s.c_before + CRS_BLOCK, rows, CRS_BLOCK);
    m->kernels->backward[m->spec.cell](&s);
}

/* The gradient of the layer's input at all times, where it was not made step by step. */
static void backward_inputs(const crs_pass *pass, const crs_worker *worker, int l, float *dx) {
    const crs_groups *g = &pass->model->layers[l].input_groups;
    const int rows = worker->end_row - worker->first_row;
    for (int group = crs_share(g->groups, worker->member, worker->team_size);
         group < crs_share(g->groups, worker->member + 1, worker->team_size); group++) {
        if (worker->all_rows)
            transposed_product(pass, l, false, group, 0, pass->n, dx, zeros, 0);
        for (int t = 0; t < pass->batch->steps && !worker->all_rows; t++) {
            const ptrdiff_t n = (ptrdiff_t)t * pass->batch->rows + worker->first_row;
            transposed_product(pass, l, false, group, n, rows, dx + n * g->padded, zeros, 0);
        }
    }
    if (worker->team_size > 1) {
#pragma omp barrier
    }
}

static void backward_time(const crs_pass *pass, const crs_worker *worker, int l, int t, float *dh, float *dx) {
    const crs_model *m = pass->model;
    const int rows = worker->end_row - worker->first_row, member = worker->member, size = worker->team_size;
    const ptrdiff_t n = (ptrdiff_t)t * pass->batch->rows + worker->first_row;
    for (int group = crs_share(m->gates.groups, member, size); group < crs_share(m->gates.groups, member + 1, size);
         group++)
        step(pass, l, group, t, worker->first_row, rows, dh);
    if (size > 1) {
#pragma omp barrier
    }
    const int hidden = m->hidden_groups.groups, inputs = m->layers[l].input_groups.groups;
    const int last_hidden = t > 0 ? crs_share(hidden, member + 1, size) : 0;
    const int last_input = dx ? crs_share(inputs, member + 1, size) : 0;
    const ptrdiff_t before = -(ptrdiff_t)pass->batch->rows * m->gates.row;
    for (int group = crs_share(hidden, member, size); group < last_hidden; group++)
        transposed_product(pass, l, true, group, n, rows, dh + (n - pass->batch->rows) * m->hidden_padded, NULL,
                           group == last_hidden - 1 && last_input == 0 ? before : 0);
    for (int group = crs_share(inputs, member, size); group < last_input; group++)
        transposed_product(pass, l, false, group, n, rows, dx + n * m->layers[l].inputs_padded, zeros,
                           group == last_input - 1 && t > 0 ? before : 0);
    if (size > 1) {
#pragma omp barrier
    }
}

static void backward_layer(const crs_pass *pass, const crs_worker *worker, int l) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    float *dh = w->dh[l & 1], *dx = m->layers[l].from_tokens ? NULL : w->dh[(l + 1) & 1];
    if (w->c[l] && worker->member == 0)
        memset(w->dc + (ptrdiff_t)worker->first_row * m->hidden_padded, 0,
               (size_t)((worker->end_row - worker->first_row) * m->hidden_padded) * sizeof *w->dc);
    if (worker->team_size > 1) {
#pragma omp barrier
    }
    crs_worker_phase(worker, CRS_PHASE_BACKWARD);
    for (int t = pass->batch->steps - 1; t >= 0; t--)
        backward_time(pass, worker, l, t, dh, pass->joined ? dx : NULL);
    if (dx && !pass->joined) {
        crs_worker_phase(worker, CRS_PHASE_BACKWARD_INPUT);
        backward_inputs(pass, worker, l, dx);
    }
    if (l > 0 && pass->batch->dropout > 0)
        crs_dropout_backward(pass, worker, l - 1, dx);
}

void crs_backward(const crs_pass *pass, const crs_worker *worker) {
    crs_weight_gradient(pass, worker, pass->model->spec.layers);
    for (int l = pass->model->spec.layers - 1; l >= 0; l--) {
        backward_layer(pass, worker, l);
        crs_weight_gradient(pass, worker, l);
    }
}
