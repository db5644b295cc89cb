/* Weight gradients: sums over a lane's rows and some of the time (a piece), each rounded once to fixed point. */
#include "config.h"

#include <string.h>

#include "pieces.h"

/* sums[k][count] += the outer products of some tiles of c and `count` columns of a run's panels from column `slot` on.
 */
static void outer(const crs_pass *pass, const crs_run *run, const crs_columns *c, int first, int end, int slot,
                  int count, int64_t *sums, int64_t *refused) {
    crs_stretch stretch[CRS_RUN_PIECES];
    for (int i = 0; i < run->pieces; i++) {
        const crs_piece *p = &run->piece[i];
        const int rows = p->end_row - p->first_row;
        stretch[i] = (crs_stretch){.n = p->n,
                                   .a = crs_packed_at(c, p),
                                   .a_rows = p->n + rows,
                                   .a_first = c->later ? rows : 0,
                                   .b = run->panel[i] + (ptrdiff_t)slot * p->n};
    }
    const crs_outer o = {.stretches = run->pieces,
                         .stretch = stretch,
                         .blocks = count / CRS_BLOCK,
                         .k = c->k,
                         .tiles = c->tiles,
                         .first_tile = first,
                         .end_tile = end,
                         .sums = sums,
                         .refused = refused};
    pass->model->kernels->outer(&o);
}

/* sums[count] += the column sums of a gathered panel from b on. */
static void add_column_sums(const crs_pass *pass, const crs_piece *p, const float *b, int count, int64_t *sums,
                            int64_t *refused) {
    float total[CRS_GROUP] __attribute__((aligned(64)));
    for (int j = 0; j < count; j += CRS_BLOCK)
        pass->model->kernels->column_sums(b + (ptrdiff_t)j * p->n, CRS_BLOCK, p->n, CRS_BLOCK, total + j);
    pass->model->kernels->add_fixed(total, (size_t)count, sums, refused);
}

/* ---- tokens: a slot for each one that occurs in a piece ---- */

static void assign_slots(const crs_pass *pass) {
    crs_workspace *w = pass->workspace;
    const int pieces = crs_pieces(pass);
    for (int j = 0; j < pieces; j++) {
        const crs_piece p = crs_piece_at(pass, j);
        uint32_t *token_of = w->slot_token + p.start;
        int slots = 0, *slot = w->slot + p.start;
        for (int t = p.first_time; t < p.end_time; t++)
            for (int r = p.first_row; r < p.end_row; r++) {
                const uint32_t token = pass->batch->inputs[(ptrdiff_t)t * pass->batch->rows + r];
                if (w->slot_of[token] < 0) {
                    w->slot_of[token] = slots;
                    token_of[slots++] = token;
                }
                *slot++ = w->slot_of[token];
            }
        for (int i = 0; i < slots; i++)
            w->slot_of[token_of[i]] = -1;
        w->slots[j] = slots;
    }
}

static void add_table(const crs_pass *pass, const crs_worker *worker, const crs_piece *p, int slots, int group,
                      const float *panel, int count, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    float *scatter = w->scatter[worker->thread];
    memset(scatter, 0, (size_t)slots * (size_t)count * sizeof *scatter);
    for (int j = 0; j < count; j += CRS_BLOCK)
        m->kernels->scatter_rows(panel + (ptrdiff_t)j * p->n, CRS_BLOCK, p->n, CRS_BLOCK, w->slot + p->start,
                                 scatter + j, count);
    for (int i = 0; i < slots; i++) {
        const ptrdiff_t v = w->slot_token[p->start + i];
        const ptrdiff_t at = m->gates.flat ? v * m->hidden_padded + crs_unit_first(m, group)
                                           : (group * crs_group_rows(m->spec.input_size) + v) * CRS_GROUP;
        m->kernels->add_fixed(scatter + (ptrdiff_t)i * count, (size_t)count, pass->sums + m->sum_table + at, refused);
    }
}

/* The gradient of the gathered embeddings; a thread takes its share of the columns. */
static void add_embedding(const crs_pass *pass, const crs_worker *worker, const crs_piece *p, int slots,
                          int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    const int length = crs_pad(m->spec.embed), blocks = length / CRS_BLOCK;
    const int first = crs_share(blocks, worker->thread, worker->threads) * CRS_BLOCK;
    const int count = crs_share(blocks, worker->thread + 1, worker->threads) * CRS_BLOCK - first;
    if (count == 0)
        return;
    float *scatter = w->scatter[worker->thread];
    const int *slot = w->slot + p->start;
    memset(scatter, 0, (size_t)slots * (size_t)count * sizeof *scatter);
    for (int t = p->first_time; t < p->end_time; t++, slot += p->end_row - p->first_row)
        m->kernels->scatter_rows(w->dh[1] + ((ptrdiff_t)t * pass->batch->rows + p->first_row) * length + first, length,
                                 p->end_row - p->first_row, count, slot, scatter, count);
    for (int i = 0; i < slots; i++)
        m->kernels->add_fixed(scatter + (ptrdiff_t)i * count, (size_t)count,
                              pass->sums + m->sum_embedding + (ptrdiff_t)w->slot_token[p->start + i] * length + first,
                              refused);
}

/* i and f saw the cell state before, o the one after. */
static void add_peephole(const crs_pass *pass, const crs_piece *p, int l, int group, const float *panel,
                         int64_t *refused) {
    const crs_model *m = pass->model;
    static const int block_of[3] = {0, 1, 3};
    const ptrdiff_t hidden = m->hidden_padded, unit = crs_unit_first(m, group);
    const int rows = p->end_row - p->first_row;
    for (int gate = 0; gate < 3; gate++) {
        float total[CRS_BLOCK] __attribute__((aligned(64))) = {0};
        for (int t = p->first_time; t < p->end_time; t++) {
            const ptrdiff_t n = (ptrdiff_t)(t + (gate == 2)) * pass->batch->rows + p->first_row;
            m->kernels->dot_rows(panel + ((ptrdiff_t)block_of[gate] * p->n + (t - p->first_time) * rows) * CRS_BLOCK,
                                 CRS_BLOCK, pass->workspace->c[l] + n * hidden + unit, hidden, rows, total);
        }
        m->kernels->add_fixed(total, CRS_BLOCK, pass->sums + m->layers[l].sum_peephole + gate * hidden + unit, refused);
    }
}

/* ---- a layer ---- */

/* What a group has besides products: biases (or rows of the table), peepholes. */
static void add_group_rest(const crs_pass *pass, const crs_worker *worker, const crs_piece *p, int slots, int l,
                           int group, const float *panel, int count, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    if (layer->from_tokens) {
        add_table(pass, worker, p, slots, group, panel, count, refused);
    } else {
        add_column_sums(pass, p, panel + m->gates.x_slot * p->n, crs_x_columns(m, group),
                        pass->sums + layer->sum_bias_ih + crs_x_first(m, group), refused);
        if (m->spec.cell == CRS_GRU)
            add_column_sums(pass, p, panel + m->gates.h_slot * p->n, crs_h_columns(m, group),
                            pass->sums + layer->sum_bias_hh + crs_h_first(m, group), refused);
    }
    if (m->spec.cell == CRS_PEEPHOLE)
        add_peephole(pass, p, l, group, panel, refused);
}

/* Some tiles of one operand. */
typedef struct range {
    const crs_columns *c;
    int first, end;
} range;

static void layer_group(const crs_pass *pass, const crs_worker *worker, int l, int group, const range *x,
                        const range *h, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    const int count = m->gates.flat ? crs_units(m, group) : CRS_GROUP;
    const float *gates = crs_gates_at(m, pass->workspace->gates[l], pass->n, group, 0);
    crs_run run;
    for (int i = 0; i < crs_pieces(pass); i += run.pieces) {
        crs_gather_run(pass, worker, i, gates, m->gates.row, count, &run);
        for (int j = 0; h->first == 0 && h->end > 0 && j < run.pieces; j++)
            add_group_rest(pass, worker, &run.piece[j], pass->workspace->slots[i + j], l, group, run.panel[j], count,
                           refused);
        if (x->first < x->end)
            outer(pass, &run, x->c, x->first, x->end, m->gates.x_slot, crs_x_columns(m, group),
                  pass->sums + layer->sum_ih + crs_x_first(m, group) * layer->inputs, refused);
        if (h->first < h->end)
            outer(pass, &run, h->c, h->first, h->end, m->gates.h_slot, crs_h_columns(m, group),
                  pass->sums + layer->sum_hh + crs_h_first(m, group) * m->spec.hidden, refused);
    }
}

static int bounded(int n, int most) {
    return n < 0 ? 0 : n < most ? n : most;
}

static void layer_gradient(const crs_pass *pass, const crs_worker *worker, int l, const crs_columns *x,
                           const crs_columns *h, int64_t *refused) {
    const crs_model *m = pass->model;
    const int tiles = x->tiles + h->tiles, items = m->gates.groups * tiles;
    const int begin = crs_share(items, worker->thread, worker->threads),
              end = crs_share(items, worker->thread + 1, worker->threads);
    for (int group = begin / tiles; group * tiles < end; group++) {
        const int first = begin - group * tiles, last = end - group * tiles;
        const range of_x = {x, bounded(first, x->tiles), bounded(last, x->tiles)};
        const range of_h = {h, bounded(first - x->tiles, h->tiles), bounded(last - x->tiles, h->tiles)};
        layer_group(pass, worker, l, group, &of_x, &of_h, refused);
    }
    if (l == 0 && !m->layers[0].from_tokens)
        for (int i = 0; i < crs_pieces(pass); i++) {
            const crs_piece p = crs_piece_at(pass, i);
            add_embedding(pass, worker, &p, pass->workspace->slots[i], refused);
        }
}

static void output_gradient(const crs_pass *pass, const crs_worker *worker, const crs_columns *x, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_groups *v = &m->vocabulary_groups;
    const int begin = crs_share(x->tiles, worker->thread, worker->threads);
    const int end = crs_share(x->tiles, worker->thread + 1, worker->threads);
    for (int group = 0; group < v->groups && begin < end; group++) {
        const int first = crs_group_first(v, group), count = crs_group_columns(v, group);
        crs_run run;
        for (int i = 0; i < crs_pieces(pass); i += run.pieces) {
            crs_gather_run(pass, worker, i, pass->workspace->logits + first, v->padded, count, &run);
            for (int j = 0; begin == 0 && j < run.pieces; j++)
                add_column_sums(pass, &run.piece[j], run.panel[j], count, pass->sums + m->sum_output_bias + first,
                                refused);
            outer(pass, &run, x, begin, end, 0, count,
                  pass->sums + m->sum_output_weight + (size_t)first * (size_t)m->spec.hidden, refused);
        }
    }
}

/* What a layer (or the output) reads: the state of the layer below a time later, unless dropout or tokens come between.
 */
static crs_columns columns_of_input(const crs_pass *pass, int layer) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    int length;
    const float *input = crs_layer_input(pass, layer, &length);
    float *packed = w->columns[(layer + 1) & 1];
    if (layer == 0)
        return crs_columns_of(input, length, m->layers[0].inputs, packed);
    crs_columns x = crs_columns_of(input, length, m->spec.hidden, packed);
    if (pass->batch->dropout == 0) {
        x.x = w->h[layer - 1];
        x.state = x.later = true;
    }
    return x;
}

void crs_weight_gradient(const crs_pass *pass, const crs_worker *worker, int layer) {
    crs_worker_phase(worker, CRS_PHASE_WEIGHTS);
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    const bool output = layer == m->spec.layers;
    crs_columns x = {0}, h = {0};
    if (output || !m->layers[layer].from_tokens)
        x = columns_of_input(pass, layer);
    if (!output) {
        h = crs_columns_of(w->h[layer], m->hidden_padded, m->spec.hidden, w->columns[layer & 1]);
        h.state = true;
    }
    int64_t refused = 0;
#pragma omp barrier
    if (!output && pass->batch->dropout > 0) /* else packed as what the layer above reads */
        crs_pack(pass, worker, &h);
    if (x.tiles)
        crs_pack(pass, worker, &x);
    if (layer == 0 && worker->thread == 0)
        assign_slots(pass);
#pragma omp barrier
    if (output)
        output_gradient(pass, worker, &x, &refused);
    else
        layer_gradient(pass, worker, layer, &x, &h, &refused);
    pass->workspace->losses[worker->thread * CRS_LOSS_STRIDE + CRS_SUM_REFUSED] += refused;
}
