/* Forward through time: for each layer the input product, then step by step the recurrent product and the gates. */
#include "config.h"

#include <string.h>

#include "model.h"

const float *crs_layer_input(const crs_pass *pass, int layer, int *length) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    if (layer == 0) {
        *length = crs_pad(m->spec.embed);
        return w->inputs;
    }
    *length = m->hidden_padded;
    if (pass->backward && pass->batch->dropout > 0)
        return w->dropped[layer - 1];
    return w->h[layer - 1] + (ptrdiff_t)pass->batch->rows * m->hidden_padded;
}

/* Embeddings of this worker's rows, its share of the times. */
static void gather_embeddings(const crs_pass *pass, const crs_worker *worker) {
    const crs_model *m = pass->model;
    const crs_batch *b = pass->batch;
    const ptrdiff_t row = crs_pad(m->spec.embed);
    for (int t = worker->member; t < b->steps; t += worker->team_size)
        for (int r = worker->first_row; r < worker->end_row; r++) {
            const ptrdiff_t n = (ptrdiff_t)t * b->rows + r;
            memcpy(pass->workspace->inputs + n * row, m->parameters + m->embedding + b->inputs[n] * row,
                   (size_t)row * sizeof(float));
        }
}

static crs_chain input_chain(const crs_pass *pass, int l, int group, ptrdiff_t n) {
    const crs_layer *layer = &pass->model->layers[l];
    const int columns = crs_x_columns(pass->model, group);
    int length;
    const float *x = crs_layer_input(pass, l, &length);
    return (crs_chain){x + n * length,
                       length,
                       0,
                       1,
                       layer->inputs,
                       pass->model->parameters + layer->weight_ih + crs_x_first(pass->model, group) * layer->inputs,
                       columns};
}

static crs_chain hidden_chain(const crs_pass *pass, int l, int group, ptrdiff_t n) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    return (crs_chain){pass->workspace->h[l] + n * m->hidden_padded,
                       m->hidden_padded,
                       0,
                       1,
                       m->spec.hidden,
                       m->parameters + layer->weight_hh + crs_h_first(m, group) * m->spec.hidden,
                       crs_h_columns(m, group)};
}

/* gru: the input's and the hidden state's products fill different slots, so that what they start from is written first.
 */
static void write_start(const crs_product *p, float *gates) {
    for (int r = 0; r < p->rows; r++)
        memcpy(gates + r * p->c_row, p->start + (p->index ? (ptrdiff_t)p->index[r] * p->start_row : 0),
               CRS_GROUP * sizeof *gates);
}

/* The input product of one group for rows n .. n + rows - 1, biases included. */
static void input_product(const crs_pass *pass, int l, int group, ptrdiff_t n, int rows) {
    const crs_model *m = pass->model;
    float *gates = crs_gates_at(m, pass->workspace->gates[l], pass->n, group, n);
    crs_product p = {.rows = rows, .blocks = crs_x_columns(m, group) / CRS_BLOCK, .c = gates + m->gates.x_slot};
    p.c_row = m->gates.row;
    p.start = crs_gates_at(m, m->layers[l].start, 1, group, 0);
    if (m->spec.cell == CRS_GRU) {
        write_start(&p, gates);
        p.start = NULL;
    }
    p.chains = 1;
    p.chain[0] = input_chain(pass, l, group, n);
    m->kernels->product(&p);
}

/* The sums of one group at one time: what the layer's input gives, and the recurrent product. */
static void recurrent_product(const crs_pass *pass, int l, int group, ptrdiff_t n, int rows) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    float *gates = crs_gates_at(m, pass->workspace->gates[l], pass->n, group, n);
    crs_product p = {.rows = rows, .blocks = crs_h_columns(m, group) / CRS_BLOCK, .c = gates + m->gates.h_slot};
    p.c_row = m->gates.row;
    p.near = !m->gates.flat;
    if (layer->from_tokens) {
        p.start = crs_gates_at(m, m->table, m->spec.input_size, group, 0);
        p.start_row = m->gates.row;
        p.index = pass->batch->inputs + n;
        if (m->spec.cell == CRS_GRU) {
            write_start(&p, gates);
            p.start = NULL;
        }
    } else if (pass->joined && m->spec.cell == CRS_GRU) {
        input_product(pass, l, group, n, rows);
    } else if (pass->joined) {
        p.start = crs_gates_at(m, layer->start, 1, group, 0);
        p.chain[p.chains++] = input_chain(pass, l, group, n);
    }
    p.chain[p.chains++] = hidden_chain(pass, l, group, n);
    m->kernels->product(&p);
}

static void step(const crs_pass *pass, int l, int group, int t, int first_row, int rows) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    const ptrdiff_t n = (ptrdiff_t)t * pass->batch->rows + first_row, hidden = m->hidden_padded;
    const ptrdiff_t before = n * hidden + crs_unit_first(m, group), after = before + pass->batch->rows * hidden;
    crs_fetch_units(m, w->h[l] + after, rows, crs_units(m, group));
    if (w->c[l])
        crs_fetch_units(m, w->c[l] + after, rows, crs_units(m, group));
    recurrent_product(pass, l, group, n, rows);
    crs_cell_step s = {.rows = rows, .blocks = crs_units(m, group) / CRS_BLOCK, .row = hidden};
    s.gates = crs_gates_at(m, w->gates[l], pass->n, group, n);
    s.gates_row = m->gates.row;
    s.h_before = w->h[l] + before;
    s.h = w->h[l] + after;
    if (w->c[l]) {
        s.c_before = w->c[l] + before;
        s.c = w->c[l] + after;
    }
    s.peephole = m->parameters + m->layers[l].peephole + crs_unit_first(m, group);
    s.peephole_row = hidden;
    m->kernels->forward[m->spec.cell](&s);
}

static void forward_layer(const crs_pass *pass, const crs_worker *worker, int l) {
    const crs_model *m = pass->model;
    const int rows = worker->end_row - worker->first_row, steps = pass->batch->steps;
    const int first = crs_share(m->gates.groups, worker->member, worker->team_size);
    const int end = crs_share(m->gates.groups, worker->member + 1, worker->team_size);
    if (!m->layers[l].from_tokens && !pass->joined) {
        crs_worker_phase(worker, CRS_PHASE_INPUT);
        for (int group = first; group < end; group++) {
            if (worker->all_rows)
                input_product(pass, l, group, 0, pass->n);
            for (int t = 0; t < steps && !worker->all_rows; t++)
                input_product(pass, l, group, (ptrdiff_t)t * pass->batch->rows + worker->first_row, rows);
        }
    }
    crs_worker_phase(worker, CRS_PHASE_RECURRENT);
    for (int t = 0; t < steps; t++) {
        for (int group = first; group < end; group++)
            step(pass, l, group, t, worker->first_row, rows);
        if (worker->team_size > 1) {
#pragma omp barrier
        }
    }
}

void crs_forward(const crs_pass *pass, const crs_worker *worker) {
    const crs_model *m = pass->model;
    if (!m->layers[0].from_tokens) {
        gather_embeddings(pass, worker);
        if (worker->team_size > 1) {
#pragma omp barrier
        }
    }
    for (int l = 0; l < m->spec.layers; l++) {
        forward_layer(pass, worker, l);
        if (pass->backward && pass->batch->dropout > 0)
            crs_dropout_forward(pass, worker, l);
    }
}
