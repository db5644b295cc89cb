/* From the total of the exact sums to the gradient of the mean loss. */
#include "config.h"

#include <string.h>

#include "model.h"

static const float zeros[CRS_GROUP] __attribute__((aligned(64)));

typedef struct conversion {
    const crs_model *m;
    const int64_t *sums;
    size_t count;
    double factor;
    float *out;
} conversion;

static void convert_share(void *context, int thread, int threads) {
    const conversion *c = context;
    const size_t blocks = c->count / CRS_BLOCK, of = (size_t)threads, share = (size_t)thread;
    const size_t from = blocks * share / of * CRS_BLOCK, to = blocks * (share + 1) / of * CRS_BLOCK;
    c->m->kernels->from_fixed(c->sums + from, to - from, c->factor, c->out + from);
}

/* A run of sums with the layout of a slice of the arena. */
static void convert(const crs_model *m, const int64_t *sums, size_t count, double factor, float *out) {
    enum { WORTH_THREADS = 1 << 16 };
    conversion c = {m, sums, (count + CRS_BLOCK - 1) / CRS_BLOCK * CRS_BLOCK, factor, out};
    crs_parallel(count > WORTH_THREADS ? m->threads : 1, convert_share, &c);
}

static void gradient_of_biases(const crs_model *m, int group, float *gradient) {
    const crs_layer *layer = &m->layers[0];
    const int v = m->spec.input_size;
    const float *rows = crs_gates_at(m, m->table_gradient, v, group, 0);
    m->kernels->column_sums(rows + m->gates.x_slot, m->gates.row, v, crs_x_columns(m, group),
                            gradient + layer->bias_ih + crs_x_first(m, group));
    if (m->spec.cell == CRS_GRU)
        m->kernels->column_sums(rows + m->gates.h_slot, m->gates.row, v, crs_h_columns(m, group),
                                gradient + layer->bias_hh + crs_h_first(m, group));
}

/* W_ih = sum over tokens of embedding x table gradient; one-hot: the table's rows themselves. */
static void gradient_of_inputs(const crs_model *m, int group, float *gradient) {
    const crs_layer *layer = &m->layers[0];
    const int v = m->spec.input_size, columns = crs_x_columns(m, group);
    const float *rows = crs_gates_at(m, m->table_gradient, v, group, 0) + m->gates.x_slot;
    float *out = gradient + layer->weight_ih + crs_x_first(m, group) * layer->inputs;
    if (m->spec.embed == 0) {
        for (int i = 0; i < v; i++)
            memcpy(out + (ptrdiff_t)i * columns, rows + i * m->gates.row, (size_t)columns * sizeof *out);
        return;
    }
    crs_product p = {.rows = m->spec.embed, .blocks = columns / CRS_BLOCK, .c = out, .c_row = columns, .start = zeros};
    p.chains = 1;
    p.chain[0] = (crs_chain){m->embedding_columns, m->vocabulary_groups.padded, 0, 1, v, rows, m->gates.row};
    m->kernels->product(&p);
}

static void gradient_of_embedding(const crs_model *m, int group, float *gradient) {
    const crs_layer *layer = &m->layers[0];
    const crs_groups *e = &layer->input_groups;
    const int first = crs_group_first(e, group), columns = crs_group_columns(e, group);
    crs_product p = {.rows = m->spec.input_size, .blocks = columns / CRS_BLOCK, .start = zeros, .chains = 1};
    p.c = gradient + m->embedding + first;
    p.c_row = e->padded;
    p.chain[0] = crs_chain_of_gates(m, m->table_gradient, m->spec.input_size, 0, false);
    p.chain[0].panel = layer->transposed_ih + (ptrdiff_t)first * crs_x_all(m);
    p.chain[0].panel_row = columns;
    m->kernels->product(&p);
}

typedef struct table_share {
    const crs_model *m;
    float *gradient;
} table_share;

static void share_of_table(void *context, int thread, int threads) {
    const table_share *t = context;
    const crs_model *m = t->m;
    const int groups = m->gates.groups, embedding = m->spec.embed > 0 ? m->layers[0].input_groups.groups : 0;
    for (int i = thread; i < groups; i += threads) {
        gradient_of_biases(m, i, t->gradient);
        gradient_of_inputs(m, i, t->gradient);
    }
    for (int i = thread; i < embedding; i += threads)
        gradient_of_embedding(m, i, t->gradient);
}

static void gradient_from_table(const crs_model *m, const int64_t *sums, double factor, float *gradient) {
    convert(m, sums + m->sum_table, crs_gates_size(m, m->spec.input_size), factor, m->table_gradient);
    table_share t = {m, gradient};
    crs_parallel(m->threads, share_of_table, &t);
}

void crs_model_gradient(crs_model *m, const int64_t *sums, float *gradient) {
    const crs_spec *s = &m->spec;
    const int64_t targets = sums[m->sums - CRS_SUM_TRAILER + CRS_SUM_TARGETS];
    const double factor = CRS_SUM_STEP / (double)(targets > 0 ? targets : 1);
    const size_t hidden = (size_t)s->hidden, v = (size_t)m->vocabulary_groups.padded;
    if (m->layers[0].from_tokens)
        gradient_from_table(m, sums, factor, gradient);
    else
        convert(m, sums + m->sum_embedding, (size_t)s->input_size * (size_t)crs_pad(s->embed), factor,
                gradient + m->embedding);
    for (int l = 0; l < s->layers; l++) {
        const crs_layer *layer = &m->layers[l];
        convert(m, sums + layer->sum_hh, hidden * (size_t)crs_h_all(m), factor, gradient + layer->weight_hh);
        if (!layer->from_tokens) {
            convert(m, sums + layer->sum_ih, (size_t)layer->inputs * (size_t)crs_x_all(m), factor,
                    gradient + layer->weight_ih);
            convert(m, sums + layer->sum_bias_ih, (size_t)crs_x_all(m), factor, gradient + layer->bias_ih);
            if (s->cell == CRS_GRU)
                convert(m, sums + layer->sum_bias_hh, (size_t)crs_h_all(m), factor, gradient + layer->bias_hh);
        }
        if (s->cell == CRS_PEEPHOLE)
            convert(m, sums + layer->sum_peephole, 3 * (size_t)m->hidden_padded, factor, gradient + layer->peephole);
    }
    convert(m, sums + m->sum_output_weight, hidden * v, factor, gradient + m->output_weight);
    convert(m, sums + m->sum_output_bias, v, factor, gradient + m->output_bias);
}
