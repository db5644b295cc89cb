/* A layer forward through time: the input product, then step by step the recurrent product and the gates. */
#include "config.h"

#include <string.h>

#include "nn/model.h"

static crs_chain input_chain(const crs_pass *pass, const crs_layer *layer, int group, ptrdiff_t n) {
    const crs_part *below = layer->part.below;
    const float *panel =
        pass->model->parameters + layer->weight_ih + crs_panel_first(&layer->gates, group) * layer->inputs;
    return crs_chain_of_rows(crs_given(pass, below) + n * below->padded, below->padded, layer->inputs, panel,
                             crs_panel_columns(&layer->gates, group));
}

static crs_chain hidden_chain(const crs_pass *pass, const crs_layer *layer, int group, ptrdiff_t before) {
    const crs_gates *g = &layer->gates;
    const float *panel = pass->model->parameters + layer->weight_hh + crs_panel_first(g, group) * g->hidden;
    return crs_chain_of_rows(crs_memory_of(pass->workspace, &layer->part)->h + before * g->padded, g->padded, g->hidden,
                             panel, crs_panel_columns(g, group));
}

/* gru: the input's and the hidden state's products fill different slots, so that what they start from is written first.
 */
static void write_start(const crs_product *p, float *gates) {
    for (int r = 0; r < p->rows; r++)
        memcpy(gates + r * p->c_row, p->start + (p->index ? (ptrdiff_t)p->index[r] * p->start_row : 0),
               CRS_GROUP * sizeof *gates);
}

/* The gates of a group, row n on. */
static float *gates_at(const crs_pass *pass, const crs_layer *layer, int group, ptrdiff_t n) {
    return crs_memory_of(pass->workspace, &layer->part)->gates + crs_gates_offset(&layer->gates, pass->n, group, n);
}

/* The input product of one group for rows n .. n + rows - 1, biases included. */
static void input_product(const crs_pass *pass, const crs_layer *layer, int group, ptrdiff_t n, int rows) {
    const crs_gates *g = &layer->gates;
    float *gates = gates_at(pass, layer, group, n);
    crs_product p = {.rows = rows, .blocks = crs_panel_columns(g, group) / CRS_BLOCK, .c = gates};
    p.c_row = g->row;
    p.start = layer->start + crs_gates_offset(g, 1, group, 0);
    if (g->cell == CRS_GRU) {
        write_start(&p, gates);
        p.start = NULL;
    }
    p.chains = 1;
    p.chain[0] = input_chain(pass, layer, group, n);
    crs_sparse_product sparse = {.rows = rows, .blocks = p.blocks, .c = p.c, .c_row = p.c_row, .start = p.start};
    if (!crs_sparse_given(pass, layer->part.below, n, &sparse.a)) {
        pass->model->kernels->product(&p);
        return;
    }
    sparse.panel = p.chain[0].panel;
    sparse.panel_row = p.chain[0].panel_row;
    pass->model->kernels->sparse_product(&sparse);
}

/* The sums of one group at one time: what the layer's input gives for pairs n on, and the recurrent product with the
 * states `before` on. */
static void recurrent_product(const crs_pass *pass, const crs_layer *layer, int group, ptrdiff_t n, ptrdiff_t before,
                              int rows) {
    const crs_gates *g = &layer->gates;
    float *gates = gates_at(pass, layer, group, n);
    crs_product p = {.rows = rows, .blocks = crs_panel_columns(g, group) / CRS_BLOCK, .c = gates + g->h_slot};
    crs_sparse sparse;
    p.c_row = g->row;
    p.near = !g->flat;
    if (layer->table) {
        p.start = layer->table->table + crs_gates_offset(g, layer->table->tokens, group, 0);
        p.start_row = g->row;
        p.index = pass->batch->input.tokens + n;
        if (g->cell == CRS_GRU) {
            write_start(&p, gates);
            p.start = NULL;
        }
    } else if (layer->joined && (g->cell == CRS_GRU || crs_sparse_given(pass, layer->part.below, n, &sparse))) {
        input_product(pass, layer, group, n, rows);
    } else if (layer->joined) {
        p.start = layer->start + crs_gates_offset(g, 1, group, 0);
        p.chain[p.chains++] = input_chain(pass, layer, group, n);
    }
    p.chain[p.chains++] = hidden_chain(pass, layer, group, before);
    pass->model->kernels->product(&p);
}

static void step(const crs_pass *pass, const crs_layer *layer, int group, int t, int first_row, int rows) {
    const crs_gates *g = &layer->gates;
    const ptrdiff_t n = crs_pair(pass->batch, t, first_row);
    const crs_cell_step s = crs_cell_step_of(pass, layer, group, t, first_row, rows);
    crs_prefetch_units(g, s.h, rows, crs_units(g, group));
    if (s.c)
        crs_prefetch_units(g, s.c, rows, crs_units(g, group));
    recurrent_product(pass, layer, group, n, crs_state_before(pass->batch, t, first_row), rows);
    pass->model->kernels->forward[g->cell](&s);
}

void crs_layer_forward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_layer *layer = (const crs_layer *)part;
    const int steps = pass->batch->steps;
    const int first = crs_share(layer->gates.groups, worker->member, worker->team_size);
    const int end = crs_share(layer->gates.groups, worker->member + 1, worker->team_size);
    if (!layer->table && !layer->joined) {
        crs_worker_phase(worker, CRS_PHASE_INPUT);
        for (int group = first; group < end; group++) {
            if (worker->all_rows)
                input_product(pass, layer, group, 0, pass->n);
            for (int t = 0; t < steps && !worker->all_rows; t++)
                input_product(pass, layer, group, crs_pair(pass->batch, t, worker->first_row),
                              crs_worker_rows(pass, worker, t));
        }
    }
    crs_worker_phase(worker, CRS_PHASE_RECURRENT);
    for (int t = 0; t < steps; t++) {
        const int rows = crs_worker_rows(pass, worker, t);
        for (int group = first; group < end && rows > 0; group++)
            step(pass, layer, group, t, worker->first_row, rows);
        crs_pass_progress(pass, worker);
        crs_team_wait(worker);
    }
    if (pass->dropout && !part->within)
        crs_dropout_forward(pass, worker, layer);
}
