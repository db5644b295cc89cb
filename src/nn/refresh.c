/* Copies of the parameters in the order that a pass reads them in; made again after every update. */
#include "config.h"

#include <string.h>

#include "model.h"

/* Panels [K][columns] of one group to panels [column group over K][all columns][group], from column `first` on. */
static void transpose_panel(const crs_kernels *kernels, const float *panel, int k_count, int columns, ptrdiff_t first,
                            ptrdiff_t all_columns, const crs_groups *groups, float *out) {
    for (int group = 0; group < groups->groups; group++) {
        const int k_first = crs_group_first(groups, group), width = crs_group_columns(groups, group);
        float *to = out + k_first * all_columns + first * width;
        /* Asked for line after line: squares are too far apart to be foreseen. */
        for (int i = 0; i < columns * width; i += CRS_BLOCK) {
            __builtin_prefetch(panel + (ptrdiff_t)k_first * columns + i);
            __builtin_prefetch(to + i, 1);
        }
        for (int block = 0; block < width; block += CRS_BLOCK) {
            const int k_end = k_count - k_first - block < CRS_BLOCK ? k_count - k_first - block : CRS_BLOCK;
            const float *from = panel + (ptrdiff_t)(k_first + block) * columns;
            for (int c = 0; c < columns && k_end == CRS_BLOCK; c += CRS_BLOCK)
                kernels->transpose(from + c, columns, to + c * width + block, width);
            for (int c = 0; c < columns && k_end < CRS_BLOCK; c++)
                for (int k = 0; k < k_end; k++)
                    to[c * width + block + k] = from[k * columns + c];
        }
    }
}

static void refresh_start(crs_model *m, crs_layer *layer, int group) {
    const float *x = m->parameters + layer->bias_ih + crs_x_first(m, group);
    float *start = crs_gates_at(m, layer->start, 1, group, 0);
    if (m->spec.cell == CRS_GRU) {
        const float *h = m->parameters + layer->bias_hh + crs_h_first(m, group);
        for (int u = 0; u < CRS_BLOCK; u++) {
            start[u] = x[u];
            start[16 + u] = x[16 + u] + h[u];
            start[32 + u] = x[32 + u] + h[16 + u];
            start[48 + u] = h[32 + u];
        }
    } else {
        memcpy(start, x, (size_t)crs_x_columns(m, group) * sizeof *start);
    }
}

static void refresh_group(crs_model *m, int l, int group) {
    crs_layer *layer = &m->layers[l];
    const int x_columns = crs_x_columns(m, group), h_columns = crs_h_columns(m, group);
    const ptrdiff_t x_first = crs_x_first(m, group), h_first = crs_h_first(m, group);
    refresh_start(m, layer, group);
    transpose_panel(m->kernels, m->parameters + layer->weight_hh + h_first * m->spec.hidden, m->spec.hidden, h_columns,
                    h_first, crs_h_all(m), &m->hidden_groups, layer->transposed_hh);
    if (layer->transposed_ih)
        transpose_panel(m->kernels, m->parameters + layer->weight_ih + x_first * layer->inputs, layer->inputs,
                        x_columns, x_first, crs_x_all(m), &layer->input_groups, layer->transposed_ih);
}

/* Row v of the table: the biases, and the chain over the embedding of v (one-hot: its column of W_ih). */
static void refresh_table(crs_model *m, int group) {
    const crs_layer *layer = &m->layers[0];
    const int rows = m->spec.input_size, columns = crs_x_columns(m, group);
    const float *panel = m->parameters + layer->weight_ih + crs_x_first(m, group) * layer->inputs;
    const float *start = crs_gates_at(m, layer->start, 1, group, 0);
    float *table = crs_gates_at(m, m->table, rows, group, 0);
    const int filled = m->gates.flat ? columns : CRS_GROUP;
    for (int v = 0; v < rows; v++)
        memcpy(table + v * m->gates.row, start, (size_t)filled * sizeof *table);
    if (m->spec.embed == 0) {
        for (int v = 0; v < rows; v++)
            for (int j = 0; j < columns; j++)
                table[v * m->gates.row + m->gates.x_slot + j] += panel[(ptrdiff_t)v * columns + j];
        return;
    }
    crs_product product = {.rows = rows, .blocks = columns / CRS_BLOCK, .chains = 1};
    product.c = table + m->gates.x_slot;
    product.c_row = m->gates.row;
    product.chain[0] =
        (crs_chain){m->parameters + m->embedding, crs_pad(m->spec.embed), 0, 1, m->spec.embed, panel, columns};
    m->kernels->product(&product);
}

static void refresh(void *context, int thread, int threads) {
    crs_model *m = context;
    const int groups = m->gates.groups, layers = m->spec.layers, e_padded = crs_pad(m->spec.embed);
    const crs_groups *v = &m->vocabulary_groups;
    (void)thread, (void)threads;
#pragma omp for schedule(static)
    for (int i = 0; i < groups * layers; i++)
        refresh_group(m, i / groups, i % groups);
#pragma omp for schedule(static) nowait
    for (int group = 0; group < v->groups; group++) {
        const int first = crs_group_first(v, group), columns = crs_group_columns(v, group);
        transpose_panel(m->kernels, m->parameters + m->output_weight + (size_t)first * (size_t)m->spec.hidden,
                        m->spec.hidden, columns, first, v->padded, &m->hidden_groups, m->transposed_output);
    }
    if (!m->table)
        return;
#pragma omp for schedule(static)
    for (int group = 0; group < groups; group++)
        refresh_table(m, group);
#pragma omp for schedule(static)
    for (int e = 0; e < m->spec.embed; e++)
        for (int j = 0; j < m->spec.input_size; j++)
            m->embedding_columns[(ptrdiff_t)e * v->padded + j] =
                m->parameters[m->embedding + (size_t)(j * e_padded + e)];
}

void crs_model_refresh(crs_model *m) {
    crs_parallel(m->threads, refresh, m);
}
