/* Weight gradients: sums over a lane's rows and some of the time (a piece), each rounded once to fixed point.
 *
 * Never a sum over rows of two lanes: then the bits would depend on which rank owns them. */
#include "config.h"

#include <string.h>

#include "model.h"

typedef struct piece {
    int first_row, end_row, first_time, end_time;
    int n; /* (time, row) pairs */
} piece;

/* One operand's columns, packed as [tile][n][width of the tile]. */
typedef struct columns {
    const float *x; /* [steps][rows][length] */
    ptrdiff_t length;
    int k, width, tiles;
    float *packed;
} columns;

static columns columns_of(const float *x, ptrdiff_t length, int k, int width, float *packed) {
    return (columns){x, length, k, width, (k + width - 1) / width, packed};
}

enum { PACK_TILES = 8 };

/* Whole vectors are copied where the next row of the tile, written later, covers what is too much. */
static inline void copy_row(float *to, const float *from, int width, int room) {
    if (room >= CRS_BLOCK)
        memcpy(to, from, (width <= 8 ? 8 : CRS_BLOCK) * sizeof *to);
    else
        memcpy(to, from, (size_t)width * sizeof *to);
}

static void pack_tiles(const crs_pass *pass, const piece *p, const columns *c, int first, int end) {
    int i = 0;
    for (int t = p->first_time; t < p->end_time; t++)
        for (int r = p->first_row; r < p->end_row; r++, i++) {
            const float *row = c->x + ((ptrdiff_t)t * pass->batch->rows + r) * c->length;
            for (int tile = first; tile < end; tile++) {
                const int k = crs_share(c->k, tile, c->tiles), width = crs_share(c->k, tile + 1, c->tiles) - k;
                copy_row(c->packed + (ptrdiff_t)k * p->n + (ptrdiff_t)i * width, row + k, width, (p->n - i) * width);
            }
        }
}

static void pack(const crs_pass *pass, const crs_worker *worker, const piece *p, const columns *c) {
    const int end = crs_share(c->tiles, worker->thread + 1, worker->threads);
    for (int tile = crs_share(c->tiles, worker->thread, worker->threads); tile < end; tile += PACK_TILES)
        pack_tiles(pass, p, c, tile, tile + PACK_TILES < end ? tile + PACK_TILES : end);
}

/* Copies rows of a piece that are `row` floats apart into one run; returns it. */
static const float *gather(const crs_pass *pass, const piece *p, const float *from, ptrdiff_t row, int count, float *to) {
    float *out = to;
    for (int t = p->first_time; t < p->end_time; t++) {
        const float *at = from + ((ptrdiff_t)t * pass->batch->rows + p->first_row) * row;
        for (int r = p->first_row; r < p->end_row; r++, at += row, out += count)
            memcpy(out, at, (size_t)count * sizeof *out);
    }
    return to;
}

static void outer(const crs_pass *pass, const piece *p, const columns *c, int tile, const float *b, ptrdiff_t b_row, int count,
                  int64_t *sums, int64_t *refused) {
    const int k = crs_share(c->k, tile, c->tiles);
    const crs_outer o = {.n = p->n,
                         .width = crs_share(c->k, tile + 1, c->tiles) - k,
                         .blocks = count / CRS_BLOCK,
                         .a = c->packed + (ptrdiff_t)k * p->n,
                         .b = b,
                         .b_row = b_row,
                         .sums = sums + (ptrdiff_t)k * count,
                         .sums_row = count,
                         .refused = refused};
    pass->model->kernels->outer(&o);
}

static void add_column_sums(const crs_pass *pass, const piece *p, const float *b, ptrdiff_t b_row, int count, int64_t *sums,
                            int64_t *refused) {
    float total[CRS_GROUP] __attribute__((aligned(64)));
    pass->model->kernels->column_sums(b, b_row, p->n, count, total);
    pass->model->kernels->add_fixed(total, (size_t)count, sums, refused);
}

/* ---- tokens: a slot for each one that occurs in the piece ---- */

static void assign_slots(const crs_pass *pass, const piece *p) {
    crs_workspace *w = pass->workspace;
    int i = 0;
    w->slots = 0;
    for (int t = p->first_time; t < p->end_time; t++)
        for (int r = p->first_row; r < p->end_row; r++) {
            const uint32_t token = pass->batch->inputs[(ptrdiff_t)t * pass->batch->rows + r];
            if (w->slot_of[token] < 0) {
                w->slot_of[token] = w->slots;
                w->slot_token[w->slots++] = token;
            }
            w->slot[i++] = w->slot_of[token];
        }
    for (i = 0; i < w->slots; i++)
        w->slot_of[w->slot_token[i]] = -1;
}

static void add_table(const crs_pass *pass, const crs_worker *worker, const piece *p, int group, const float *panel, int count,
                      int64_t *refused) {
    const crs_model *m = pass->model;
    crs_workspace *w = pass->workspace;
    float *scatter = w->scatter[worker->thread];
    memset(scatter, 0, (size_t)w->slots * (size_t)count * sizeof *scatter);
    m->kernels->scatter_rows(panel, count, p->n, count, w->slot, scatter);
    for (int i = 0; i < w->slots; i++) {
        const ptrdiff_t v = w->slot_token[i];
        const ptrdiff_t at = m->gates.flat ? v * m->hidden_padded + crs_unit_first(m, group)
                                           : ((ptrdiff_t)group * m->shape.vocabulary + v) * CRS_GROUP;
        m->kernels->add_fixed(scatter + (ptrdiff_t)i * count, (size_t)count, pass->sums + m->sum_table + at, refused);
    }
}

/* The gradient of the gathered embeddings; a thread takes its share of the columns. */
static void add_embedding(const crs_pass *pass, const crs_worker *worker, const piece *p, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    const int length = crs_pad(m->shape.embed), blocks = length / CRS_BLOCK;
    const int first = crs_share(blocks, worker->thread, worker->threads) * CRS_BLOCK;
    const int count = crs_share(blocks, worker->thread + 1, worker->threads) * CRS_BLOCK - first;
    if (count == 0)
        return;
    float *scatter = w->scatter[worker->thread];
    const int *slot = w->slot;
    memset(scatter, 0, (size_t)w->slots * (size_t)count * sizeof *scatter);
    for (int t = p->first_time; t < p->end_time; t++, slot += p->end_row - p->first_row)
        m->kernels->scatter_rows(w->dh[1] + ((ptrdiff_t)t * pass->batch->rows + p->first_row) * length + first, length,
                                 p->end_row - p->first_row, count, slot, scatter);
    for (int i = 0; i < w->slots; i++)
        m->kernels->add_fixed(scatter + (ptrdiff_t)i * count, (size_t)count,
                              pass->sums + m->sum_embedding + (ptrdiff_t)w->slot_token[i] * length + first, refused);
}

/* i and f saw the cell state before, o the one after. */
static void add_peephole(const crs_pass *pass, const piece *p, int l, int group, const float *panel, int64_t *refused) {
    const crs_model *m = pass->model;
    static const int slots[3] = {0, 16, 48};
    const ptrdiff_t hidden = m->hidden_padded, unit = crs_unit_first(m, group);
    const int rows = p->end_row - p->first_row;
    for (int gate = 0; gate < 3; gate++) {
        float total[CRS_BLOCK] __attribute__((aligned(64))) = {0};
        for (int t = p->first_time; t < p->end_time; t++) {
            const ptrdiff_t n = (ptrdiff_t)(t + (gate == 2)) * pass->batch->rows + p->first_row;
            m->kernels->dot_rows(panel + (ptrdiff_t)(t - p->first_time) * rows * CRS_GROUP + slots[gate], CRS_GROUP,
                                 pass->workspace->c[l] + n * hidden + unit, hidden, rows, total);
        }
        m->kernels->add_fixed(total, CRS_BLOCK, pass->sums + m->layers[l].sum_peephole + gate * hidden + unit, refused);
    }
}

/* ---- a layer ---- */

/* What a group has besides products: biases (or rows of the table), peepholes. */
static void add_group_rest(const crs_pass *pass, const crs_worker *worker, const piece *p, int l, int group, const float *panel,
                           int count, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    if (layer->from_tokens) {
        add_table(pass, worker, p, group, panel, count, refused);
    } else {
        add_column_sums(pass, p, panel + m->gates.x_slot, count, crs_x_columns(m, group),
                        pass->sums + layer->sum_bias_ih + crs_x_first(m, group), refused);
        if (m->shape.cell == CRS_GRU)
            add_column_sums(pass, p, panel + m->gates.h_slot, count, crs_h_columns(m, group),
                            pass->sums + layer->sum_bias_hh + crs_h_first(m, group), refused);
    }
    if (m->shape.cell == CRS_PEEPHOLE)
        add_peephole(pass, p, l, group, panel, refused);
}

static void layer_piece(const crs_pass *pass, const crs_worker *worker, const piece *p, int l, const columns *x,
                        const columns *h, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    const int tiles = x->tiles + h->tiles, items = m->gates.groups * tiles;
    const int end = crs_share(items, worker->thread + 1, worker->threads);
    const float *panel = NULL;
    int count = 0, current = -1;
    for (int item = crs_share(items, worker->thread, worker->threads); item < end; item++) {
        const int group = item / tiles, tile = item % tiles;
        if (group != current) {
            current = group;
            count = m->gates.flat ? crs_units(m, group) : CRS_GROUP;
            panel = gather(pass, p, crs_gates_at(m, pass->workspace->gates[l], pass->n, group, 0), m->gates.row, count,
                           pass->workspace->panel[worker->thread]);
        }
        if (tile == 0)
            add_group_rest(pass, worker, p, l, group, panel, count, refused);
        if (tile < x->tiles)
            outer(pass, p, x, tile, panel + m->gates.x_slot, count, crs_x_columns(m, group),
                  pass->sums + layer->sum_ih + crs_x_first(m, group) * layer->inputs, refused);
        else
            outer(pass, p, h, tile - x->tiles, panel + m->gates.h_slot, count, crs_h_columns(m, group),
                  pass->sums + layer->sum_hh + crs_h_first(m, group) * m->shape.hidden, refused);
    }
    if (l == 0 && !layer->from_tokens)
        add_embedding(pass, worker, p, refused);
}

static void output_piece(const crs_pass *pass, const crs_worker *worker, const piece *p, const columns *h, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_groups *v = &m->vocabulary_groups;
    const int items = v->groups * h->tiles, end = crs_share(items, worker->thread + 1, worker->threads);
    const float *panel = NULL;
    int current = -1;
    for (int item = crs_share(items, worker->thread, worker->threads); item < end; item++) {
        const int group = item / h->tiles, tile = item % h->tiles;
        const int first = crs_group_first(v, group), count = crs_group_columns(v, group);
        if (group != current) {
            current = group;
            panel = gather(pass, p, pass->workspace->logits + first, v->padded, count, pass->workspace->panel[worker->thread]);
        }
        if (tile == 0)
            add_column_sums(pass, p, panel, count, count, pass->sums + m->sum_output_bias + first, refused);
        outer(pass, p, h, tile, panel, count, count,
              pass->sums + m->sum_output_weight + (size_t)first * (size_t)m->shape.hidden, refused);
    }
}

static void add_piece(const crs_pass *pass, const crs_worker *worker, const piece *p, int l, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    const bool output = l == m->shape.layers;
    const int *widths = m->kernels->outer_width;
    int length;
    const float *input = crs_layer_input(pass, l, &length);
    columns x = {0}, h = {0};
    if (output) {
        h = columns_of(input, length, m->shape.hidden, widths[crs_groups_widest(&m->vocabulary_groups)], w->columns_h);
    } else {
        const int width = widths[m->gates.flat ? crs_groups_widest(&m->hidden_groups) : m->gates.h_columns / CRS_BLOCK];
        h = columns_of(w->h[l], m->hidden_padded, m->shape.hidden, width, w->columns_h);
        if (!m->layers[l].from_tokens)
            x = columns_of(input, length, m->layers[l].inputs, width, w->columns_x);
    }
#pragma omp barrier
    pack(pass, worker, p, &h);
    pack(pass, worker, p, &x);
    if (l == 0 && worker->thread == 0)
        assign_slots(pass, p);
#pragma omp barrier
    if (output)
        output_piece(pass, worker, p, &h, refused);
    else
        layer_piece(pass, worker, p, l, &x, &h, refused);
}

void crs_weight_gradient(const crs_pass *pass, const crs_worker *worker, int layer) {
    const crs_batch *b = pass->batch;
    const int most = crs_piece_steps(b->lane_rows), pieces = (b->steps + most - 1) / most;
    int64_t refused = 0;
    for (int lane = 0; lane < b->lanes; lane++)
        for (int i = 0; i < pieces; i++) {
            piece p = {b->lane_starts[lane], b->lane_starts[lane + 1], crs_share(b->steps, i, pieces),
                       crs_share(b->steps, i + 1, pieces), 0};
            p.n = (p.end_row - p.first_row) * (p.end_time - p.first_time);
            CRS_ASSERT(p.n <= pass->workspace->piece);
            add_piece(pass, worker, &p, layer, &refused);
        }
    pass->workspace->losses[worker->thread * CRS_LOSS_STRIDE + CRS_SUM_REFUSED] += refused;
}
