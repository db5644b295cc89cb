/* A layer backward through time. The gradient of its sums overwrites its gates. */
#include "config.h"

#include <string.h>

#include "nn/model.h"

static const float zeros[CRS_GROUP] __attribute__((aligned(64)));

/* out[rows][groups' columns] = start + the gradients of the sums of rows n on, times a transposed weight, one group of
 * columns. */
static void transposed_product(const crs_pass *pass, const crs_layer *layer, bool hidden, int group, ptrdiff_t n,
                               int rows, float *out, const float *start, ptrdiff_t ahead) {
    const crs_gates *gates = &layer->gates;
    const crs_groups *g = hidden ? &gates->units : &layer->part.below->groups;
    const int first = crs_group_first(g, group), columns = crs_group_columns(g, group);
    const ptrdiff_t all = crs_panel_first(gates, gates->groups);
    crs_product p = {.rows = rows, .blocks = columns / CRS_BLOCK, .c = out + first, .c_row = g->padded, .start = start};
    p.ahead = ahead;
    p.chains = 1;
    p.chain[0] = crs_chain_of_gates(gates, crs_memory_of(pass->workspace, &layer->part)->gates, pass->n, n, hidden);
    p.chain[0].panel = (hidden ? layer->transposed_hh : layer->transposed_ih) + first * all;
    p.chain[0].panel_row = columns;
    crs_product_in_parts(pass->model->kernels, &p);
}

static void step(const crs_pass *pass, const crs_layer *layer, int group, int t, int first_row, int rows) {
    const crs_gates *g = &layer->gates;
    const crs_part_memory *own = crs_memory_of(pass->workspace, &layer->part);
    const ptrdiff_t hidden = g->padded, unit = crs_unit_first(g, group), n = crs_pair(pass->batch, t, first_row);
    crs_cell_step s = crs_cell_step_of(pass, layer, group, t, first_row, rows);
    if (s.c)
        s.dc = pass->workspace->dc + first_row * hidden + unit;
    s.dh = own->dy + n * hidden + unit;
    s.dh_before = t > 0 ? own->dy + crs_pair(pass->batch, t - 1, first_row) * hidden + unit : NULL;
    if (s.c_before) /* the next group's */
        crs_prefetch_units(g, s.c_before + CRS_BLOCK, rows, CRS_BLOCK);
    pass->model->kernels->backward[g->cell](&s);
}

/* The gradient of the layer's input at all times, where it was not made step by step. */
static void backward_inputs(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer, float *dx) {
    const crs_groups *g = &layer->part.below->groups;
    const float *start = layer->adds ? NULL : zeros;
    for (int group = crs_share(g->groups, worker->member, worker->team_size);
         group < crs_share(g->groups, worker->member + 1, worker->team_size); group++) {
        if (worker->all_rows)
            transposed_product(pass, layer, false, group, 0, pass->n, dx, start, 0);
        for (int t = 0; t < pass->batch->steps && !worker->all_rows; t++) {
            const ptrdiff_t n = crs_pair(pass->batch, t, worker->first_row);
            transposed_product(pass, layer, false, group, n, crs_worker_rows(pass, worker, t), dx + n * g->padded,
                               start, 0);
        }
    }
    crs_team_wait(worker);
}

/* dx: the gradient of the input, where it is made step by step. */
static void backward_time(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer, int t, float *dx) {
    const crs_gates *g = &layer->gates;
    const int rows = crs_worker_rows(pass, worker, t), member = worker->member, size = worker->team_size;
    const ptrdiff_t n = crs_pair(pass->batch, t, worker->first_row),
                    before = t > 0 ? crs_pair(pass->batch, t - 1, worker->first_row) : 0;
    float *dy = crs_memory_of(pass->workspace, &layer->part)->dy;
    for (int group = crs_share(g->groups, member, size); group < crs_share(g->groups, member + 1, size) && rows > 0;
         group++)
        step(pass, layer, group, t, worker->first_row, rows);
    crs_team_wait(worker);
    const int hidden = g->units.groups, inputs = layer->part.below->groups.groups;
    const int last_hidden = t > 0 && rows > 0 ? crs_share(hidden, member + 1, size) : 0;
    const int last_input = dx && rows > 0 ? crs_share(inputs, member + 1, size) : 0;
    const ptrdiff_t ahead = (before - n) * g->row;
    for (int group = crs_share(hidden, member, size); group < last_hidden; group++)
        transposed_product(pass, layer, true, group, n, rows, dy + before * g->padded, NULL,
                           group == last_hidden - 1 && last_input == 0 ? ahead : 0);
    for (int group = crs_share(inputs, member, size); group < last_input; group++)
        transposed_product(pass, layer, false, group, n, rows, dx + n * layer->part.below->padded,
                           layer->adds ? NULL : zeros, group == last_input - 1 && t > 0 ? ahead : 0);
    crs_team_wait(worker);
}

void crs_layer_backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_layer *layer = (const crs_layer *)part;
    const crs_workspace *w = pass->workspace;
    float *dx = layer->table ? NULL : crs_memory_of(w, part->below)->dy;
    const size_t rows = (size_t)(worker->end_row - worker->first_row), padded = (size_t)layer->gates.padded;
    if (pass->dropout && !part->within)
        crs_dropout_backward(pass, worker, layer);
    if (crs_memory_of(w, part)->c && worker->member == 0)
        memset(w->dc + (size_t)worker->first_row * padded, 0, rows * padded * sizeof *w->dc);
    crs_team_wait(worker);
    crs_worker_phase(worker, CRS_PHASE_BACKWARD);
    for (int t = pass->batch->steps - 1; t >= 0; t--) {
        backward_time(pass, worker, layer, t, layer->joined ? dx : NULL);
        crs_pass_progress(pass, worker);
    }
    if (dx && !layer->joined) {
        crs_worker_phase(worker, CRS_PHASE_BACKWARD_INPUT);
        backward_inputs(pass, worker, layer, dx);
    }
}
