/* Weight gradients: sums over a lane's rows and some of the time (a piece), each rounded once to fixed point.
 *
 * Never a sum over rows of two lanes: then the bits would depend on which rank owns them. */
#include "config.h"

#include <string.h>

#include "model.h"

typedef struct piece {
    int first_row, end_row, first_time, end_time;
    int n;     /* (time, row) pairs */
    int start; /* pairs of the pieces before */
} piece;

static int pieces_of(const crs_pass *pass) {
    const int steps = crs_piece_steps(pass->batch->lane_rows);
    return pass->batch->lanes * ((pass->batch->steps + steps - 1) / steps);
}

static piece piece_of(const crs_pass *pass, int number) {
    const crs_batch *b = pass->batch;
    const int a_lane = pieces_of(pass) / b->lanes, lane = number / a_lane, part = number % a_lane;
    piece p = {b->lane_starts[lane],
               b->lane_starts[lane + 1],
               crs_share(b->steps, part, a_lane),
               crs_share(b->steps, part + 1, a_lane),
               0,
               0};
    const int rows = p.end_row - p.first_row;
    p.n = rows * (p.end_time - p.first_time);
    p.start = p.first_row * b->steps + rows * p.first_time;
    CRS_ASSERT(p.n <= pass->workspace->piece);
    return p;
}

/* One operand's columns; of each piece packed as [tile][n][width of the tile]. */
typedef struct columns {
    const float *x; /* [steps][rows][length] */
    ptrdiff_t length;
    int k, width, tiles;
    float *packed;
} columns;

static columns columns_of(const float *x, ptrdiff_t length, int k, int width, float *packed) {
    return (columns){x, length, k, width, (k + width - 1) / width, packed};
}

static float *packed_at(const columns *c, const piece *p, int k) {
    return c->packed + (ptrdiff_t)p->start * c->k + (ptrdiff_t)k * p->n;
}

enum { PACK_TILES = 8 };

/* Whole vectors are copied where the next rows of the tile, written later, cover what is too much. */
static void pack_tiles(const crs_pass *pass, const piece *p, const columns *c, int first, int count) {
    float *to[PACK_TILES];
    int from[PACK_TILES], width[PACK_TILES];
    for (int i = 0; i < count; i++) {
        from[i] = crs_share(c->k, first + i, c->tiles);
        width[i] = crs_share(c->k, first + i + 1, c->tiles) - from[i];
        to[i] = packed_at(c, p, from[i]);
    }
    const bool narrow = c->width <= 8;
    int left = p->n;
    for (int t = p->first_time; t < p->end_time; t++)
        for (int r = p->first_row; r < p->end_row; r++, left--) {
            const float *row = c->x + ((ptrdiff_t)t * pass->batch->rows + r) * c->length;
            for (int i = 0; i < count; to[i] += width[i], i++) {
                if (left < CRS_BLOCK)
                    memcpy(to[i], row + from[i], (size_t)width[i] * sizeof *row);
                else if (narrow)
                    memcpy(to[i], row + from[i], 8 * sizeof *row);
                else
                    memcpy(to[i], row + from[i], CRS_BLOCK * sizeof *row);
            }
        }
}

/* A thread packs its share of the tiles of every piece. */
static void pack(const crs_pass *pass, const crs_worker *worker, const columns *c) {
    const int end = crs_share(c->tiles, worker->thread + 1, worker->threads), pieces = pieces_of(pass);
    for (int i = 0; i < pieces; i++) {
        const piece p = piece_of(pass, i);
        for (int tile = crs_share(c->tiles, worker->thread, worker->threads); tile < end; tile += PACK_TILES)
            pack_tiles(pass, &p, c, tile, end - tile < PACK_TILES ? end - tile : PACK_TILES);
    }
}

/* The rows of a piece stand apart, so that they must be asked for: this many time steps before they are copied. */
enum { AHEAD = 3 };

/* A group's columns of a piece as [block][n][16]: rows of `from` are `row` floats apart. */
static void gather(const crs_pass *pass, const piece *p, const float *from, ptrdiff_t row, int count, float *to) {
    const ptrdiff_t step = pass->batch->rows * row, block = (ptrdiff_t)p->n * CRS_BLOCK;
    const float *at = from + ((ptrdiff_t)p->first_time * pass->batch->rows + p->first_row) * row;
    for (int t = p->first_time; t < p->end_time; t++, at += step)
        for (int r = 0; r < p->end_row - p->first_row; r++, to += CRS_BLOCK)
            for (int j = 0; j * CRS_BLOCK < count; j++) {
                const float *line = at + r * row + j * CRS_BLOCK;
                __builtin_prefetch(line + AHEAD * step);
                memcpy(to + j * block, line, CRS_BLOCK * sizeof *to);
            }
}

/* Neighbouring pieces whose gathered columns stay in the second-level cache together. */
enum { RUN_PIECES = 32 };
typedef struct run {
    int first, pieces;
    piece piece[RUN_PIECES];
    float *panel[RUN_PIECES];
} run;

/* The run from a piece on; `count` columns of each will be gathered. */
static void run_from(const crs_pass *pass, const crs_worker *worker, int first, int count, run *r) {
    const int pieces = pieces_of(pass);
    int n = 0;
    r->first = first;
    for (r->pieces = 0; r->pieces < RUN_PIECES && first + r->pieces < pieces; r->pieces++) {
        const piece p = piece_of(pass, first + r->pieces);
        if (r->pieces > 0 && n + p.n > pass->workspace->panel_pairs)
            break;
        r->piece[r->pieces] = p;
        r->panel[r->pieces] = pass->workspace->panel[worker->thread] + (ptrdiff_t)n * count;
        n += p.n;
    }
}

/* sums[k][count] += the outer products of some tiles of c and `count` columns of a run's panels from column `slot` on. */
static void outer(const crs_pass *pass, const run *r, const columns *c, int first, int end, int slot, int count,
                  int64_t *sums, int64_t *refused) {
    crs_stretch stretch[RUN_PIECES];
    for (int i = 0; i < r->pieces; i++) {
        const piece *p = &r->piece[i];
        stretch[i] = (crs_stretch){p->n, packed_at(c, p, 0), r->panel[i] + (ptrdiff_t)slot * p->n};
    }
    const crs_outer o = {.stretches = r->pieces,
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
static void add_column_sums(const crs_pass *pass, const piece *p, const float *b, int count, int64_t *sums,
                            int64_t *refused) {
    float total[CRS_GROUP] __attribute__((aligned(64)));
    for (int j = 0; j < count; j += CRS_BLOCK)
        pass->model->kernels->column_sums(b + (ptrdiff_t)j * p->n, CRS_BLOCK, p->n, CRS_BLOCK, total + j);
    pass->model->kernels->add_fixed(total, (size_t)count, sums, refused);
}

/* ---- tokens: a slot for each one that occurs in a piece ---- */

static void assign_slots(const crs_pass *pass) {
    crs_workspace *w = pass->workspace;
    const int pieces = pieces_of(pass);
    for (int j = 0; j < pieces; j++) {
        const piece p = piece_of(pass, j);
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

static void add_table(const crs_pass *pass, const crs_worker *worker, const piece *p, int slots, int group,
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
                                           : (group * crs_group_rows(m->shape.vocabulary) + v) * CRS_GROUP;
        m->kernels->add_fixed(scatter + (ptrdiff_t)i * count, (size_t)count, pass->sums + m->sum_table + at, refused);
    }
}

/* The gradient of the gathered embeddings; a thread takes its share of the columns. */
static void add_embedding(const crs_pass *pass, const crs_worker *worker, const piece *p, int slots, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    const int length = crs_pad(m->shape.embed), blocks = length / CRS_BLOCK;
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
static void add_peephole(const crs_pass *pass, const piece *p, int l, int group, const float *panel, int64_t *refused) {
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
static void add_group_rest(const crs_pass *pass, const crs_worker *worker, const piece *p, int slots, int l, int group,
                           const float *panel, int count, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    if (layer->from_tokens) {
        add_table(pass, worker, p, slots, group, panel, count, refused);
    } else {
        add_column_sums(pass, p, panel + m->gates.x_slot * p->n, crs_x_columns(m, group),
                        pass->sums + layer->sum_bias_ih + crs_x_first(m, group), refused);
        if (m->shape.cell == CRS_GRU)
            add_column_sums(pass, p, panel + m->gates.h_slot * p->n, crs_h_columns(m, group),
                            pass->sums + layer->sum_bias_hh + crs_h_first(m, group), refused);
    }
    if (m->shape.cell == CRS_PEEPHOLE)
        add_peephole(pass, p, l, group, panel, refused);
}

/* Some tiles of one operand. */
typedef struct range {
    const columns *c;
    int first, end;
} range;

static void layer_group(const crs_pass *pass, const crs_worker *worker, int l, int group, const range *x,
                        const range *h, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_layer *layer = &m->layers[l];
    const int pieces = pieces_of(pass), count = m->gates.flat ? crs_units(m, group) : CRS_GROUP;
    const float *gates = crs_gates_at(m, pass->workspace->gates[l], pass->n, group, 0);
    run r;
    for (int i = 0; i < pieces; i += r.pieces) {
        run_from(pass, worker, i, count, &r);
        for (int j = 0; j < r.pieces; j++) {
            gather(pass, &r.piece[j], gates, m->gates.row, count, r.panel[j]);
            if (h->first == 0 && h->end > 0)
                add_group_rest(pass, worker, &r.piece[j], pass->workspace->slots[i + j], l, group, r.panel[j], count,
                               refused);
        }
        if (x->first < x->end)
            outer(pass, &r, x->c, x->first, x->end, m->gates.x_slot, crs_x_columns(m, group),
                  pass->sums + layer->sum_ih + crs_x_first(m, group) * layer->inputs, refused);
        if (h->first < h->end)
            outer(pass, &r, h->c, h->first, h->end, m->gates.h_slot, crs_h_columns(m, group),
                  pass->sums + layer->sum_hh + crs_h_first(m, group) * m->shape.hidden, refused);
    }
}

static int bounded(int n, int most) {
    return n < 0 ? 0 : n < most ? n : most;
}

static void layer_gradient(const crs_pass *pass, const crs_worker *worker, int l, const columns *x, const columns *h,
                           int64_t *refused) {
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
        for (int i = 0; i < pieces_of(pass); i++) {
            const piece p = piece_of(pass, i);
            add_embedding(pass, worker, &p, pass->workspace->slots[i], refused);
        }
}

static void output_gradient(const crs_pass *pass, const crs_worker *worker, const columns *h, int64_t *refused) {
    const crs_model *m = pass->model;
    const crs_groups *v = &m->vocabulary_groups;
    const int begin = crs_share(h->tiles, worker->thread, worker->threads);
    const int end = crs_share(h->tiles, worker->thread + 1, worker->threads);
    for (int group = 0; group < v->groups && begin < end; group++) {
        const int first = crs_group_first(v, group), count = crs_group_columns(v, group);
        run r;
        for (int i = 0; i < pieces_of(pass); i += r.pieces) {
            run_from(pass, worker, i, count, &r);
            for (int j = 0; j < r.pieces; j++) {
                gather(pass, &r.piece[j], pass->workspace->logits + first, v->padded, count, r.panel[j]);
                if (begin == 0)
                    add_column_sums(pass, &r.piece[j], r.panel[j], count, pass->sums + m->sum_output_bias + first,
                                    refused);
            }
            outer(pass, &r, h, begin, end, 0, count,
                  pass->sums + m->sum_output_weight + (size_t)first * (size_t)m->shape.hidden, refused);
        }
    }
}

void crs_weight_gradient(const crs_pass *pass, const crs_worker *worker, int layer) {
    crs_worker_phase(worker, CRS_PHASE_WEIGHTS);
    const crs_model *m = pass->model;
    const crs_workspace *w = pass->workspace;
    const bool output = layer == m->shape.layers;
    const int *widths = m->kernels->outer_width;
    int length;
    const float *input = crs_layer_input(pass, layer, &length);
    columns x = {0}, h = {0};
    if (output) {
        h = columns_of(input, length, m->shape.hidden, widths[crs_groups_widest(&m->vocabulary_groups)], w->columns_h);
    } else {
        const int width = widths[m->gates.flat ? crs_groups_widest(&m->hidden_groups) : m->gates.h_columns / CRS_BLOCK];
        h = columns_of(w->h[layer], m->hidden_padded, m->shape.hidden, width, w->columns_h);
        if (!m->layers[layer].from_tokens)
            x = columns_of(input, length, m->layers[layer].inputs, width, w->columns_x);
    }
    int64_t refused = 0;
#pragma omp barrier
    pack(pass, worker, &h);
    if (x.tiles)
        pack(pass, worker, &x);
    if (layer == 0 && worker->thread == 0)
        assign_slots(pass);
#pragma omp barrier
    if (output)
        output_gradient(pass, worker, &h, &refused);
    else
        layer_gradient(pass, worker, layer, &x, &h, &refused);
    pass->workspace->losses[worker->thread * CRS_LOSS_STRIDE + CRS_SUM_REFUSED] += refused;
}
