/* A recurrent layer: its parameters, and its weight gradient. Forward and backward through time: forward.c,
 * backward.c. */
#include "config.h"

#include <string.h>

#include "nn/tokens.h"

static crs_layer *layer_of(const crs_part *part) {
    return (crs_layer *)part;
}

/* ---- parameters ---- */

/* The column of gate `gate` (in the order of the file), unit u, within its group's panel. gru: the input's panel has n
 * r z, the hidden state's r z n, so that both are one run of the slots n r z n'. */
static int panel_column(const crs_gates *g, int gate, int u, bool hidden) {
    static const int gru[2][3] = {{1, 2, 0}, {0, 1, 2}};
    return (g->cell == CRS_GRU ? gru[hidden][gate] : gate) * CRS_BLOCK + u % CRS_BLOCK;
}

static void name_tensor(const crs_layer *layer, const char *what, char name[sizeof((crs_tensor *)0)->name]) {
    snprintf(name, sizeof((crs_tensor *)0)->name, "layers/%d/%s%s", layer->layer, layer->reverse ? "reverse/" : "",
             what);
}

/* A tensor whose rows are gates: a weight (K inputs) or a bias (K = 1). */
static bool place_gates(crs_model *m, const crs_layer *layer, const char *what, size_t at, int k, bool hidden) {
    char name[sizeof m->tensor->name];
    const crs_gates *g = &layer->gates;
    name_tensor(layer, what, name);
    crs_place *place = crs_place_tensor(m, name);
    for (int group = 0; place && group < g->groups; group++) {
        const size_t panel = at + (size_t)crs_panel_first(g, group) * (size_t)k;
        const int stride = crs_panel_columns(g, group);
        const int first = crs_unit_first(g, group), end = first + crs_units(g, group);
        for (int gate = 0; gate < crs_cell_gates(g->cell); gate++)
            for (int u = first; u < end && u < g->hidden; u++) {
                const int column = g->flat ? u - first : panel_column(g, gate, u, hidden);
                place[gate * g->hidden + u] = (crs_place){panel + (size_t)column, stride};
            }
    }
    return place != NULL;
}

/* The slices are complete together; with a table, that of the input follows from the table's sums. */
static void take_slices(crs_model *m, crs_layer *layer) {
    const crs_gates *g = &layer->gates;
    const size_t all = (size_t)crs_panel_first(g, g->groups);
    crs_slice *slice = crs_slice_begin(m, &layer->part, true);
    layer->weight_hh = crs_slice_take(m, slice, (size_t)g->hidden * all);
    if (g->cell == CRS_PEEPHOLE)
        layer->peephole = crs_slice_take(m, slice, 3 * (size_t)g->padded);
    slice = crs_slice_begin(m, &layer->part, !layer->table);
    layer->weight_ih = crs_slice_take(m, slice, (size_t)layer->inputs * all);
    layer->bias_ih = crs_slice_take(m, slice, all);
    if (g->cell == CRS_GRU)
        layer->bias_hh = crs_slice_take(m, slice, all);
}

static bool place_tensors(crs_model *m, const crs_layer *layer) {
    char name[sizeof m->tensor->name];
    const crs_gates *g = &layer->gates;
    name_tensor(layer, "peephole", name);
    return place_gates(m, layer, "weight_ih", layer->weight_ih, layer->inputs, false) &&
           place_gates(m, layer, "weight_hh", layer->weight_hh, g->hidden, true) &&
           place_gates(m, layer, "bias_ih", layer->bias_ih, 1, false) &&
           (g->cell != CRS_GRU || place_gates(m, layer, "bias_hh", layer->bias_hh, 1, true)) &&
           (g->cell != CRS_PEEPHOLE || crs_place_rows(m, name, layer->peephole, g->padded));
}

/* Small layers run the input product beside the recurrent one, while both panels stay in the second-level cache. All
 * layers of a model alike: as those above the first. */
static bool joined(const crs_model *m, const crs_gates *g) {
    enum { JOINED_BYTES = 768 << 10 };
    const int64_t inputs = crs_spec_layer_inputs(&m->spec, m->spec.layers > 1);
    return (inputs + g->hidden) * crs_panel_first(g, g->groups) * (int64_t)sizeof(float) <= JOINED_BYTES;
}

static bool declare(crs_model *m, crs_part *part) {
    crs_layer *layer = layer_of(part);
    const crs_gates *g = &layer->gates;
    layer->inputs = part->below->width;
    layer->joined = joined(m, g);
    take_slices(m, layer);
    if (!place_tensors(m, layer))
        return false;
    layer->start = crs_alloc(crs_gates_size(g, 1), sizeof(float), CRS_MEMORY_PACKED);
    layer->transposed_hh =
        crs_alloc((size_t)g->padded * (size_t)crs_panel_first(g, g->groups), sizeof(float), CRS_MEMORY_PACKED);
    if (!layer->start || !layer->transposed_hh)
        return false;
    if (!crs_learns(m, part->below))
        return true;
    layer->transposed_ih = crs_alloc((size_t)part->below->padded * (size_t)crs_panel_first(g, g->groups), sizeof(float),
                                     CRS_MEMORY_PACKED);
    return layer->transposed_ih != NULL;
}

static void release(crs_part *part) {
    crs_layer *layer = layer_of(part);
    crs_free(&layer->start);
    crs_free(&layer->transposed_ih);
    crs_free(&layer->transposed_hh);
}

/* ---- what is derived from them ---- */

static void refresh_start(const crs_model *m, const crs_layer *layer, int group) {
    const crs_gates *g = &layer->gates;
    const float *x = m->parameters + layer->bias_ih + crs_panel_first(g, group);
    float *start = layer->start + crs_gates_offset(g, 1, group, 0);
    if (g->cell == CRS_GRU) {
        const float *h = m->parameters + layer->bias_hh + crs_panel_first(g, group);
        for (int u = 0; u < CRS_BLOCK; u++) {
            start[u] = x[u];
            start[CRS_BLOCK + u] = x[CRS_BLOCK + u] + h[u];
            start[2 * CRS_BLOCK + u] = x[2 * CRS_BLOCK + u] + h[CRS_BLOCK + u];
            start[3 * CRS_BLOCK + u] = h[2 * CRS_BLOCK + u];
        }
    } else {
        memcpy(start, x, (size_t)crs_panel_columns(g, group) * sizeof *start);
    }
}

static void refresh(crs_model *m, const crs_part *part) {
    const crs_layer *layer = layer_of(part);
    const crs_gates *g = &layer->gates;
#pragma omp for schedule(static) nowait
    for (int group = 0; group < g->groups; group++) {
        const ptrdiff_t first = crs_panel_first(g, group), all = crs_panel_first(g, g->groups);
        const int columns = crs_panel_columns(g, group);
        refresh_start(m, layer, group);
        crs_transpose_panel(m->kernels, m->parameters + layer->weight_hh + first * g->hidden, g->hidden, columns, first,
                            all, &g->units, layer->transposed_hh);
        if (layer->transposed_ih)
            crs_transpose_panel(m->kernels, m->parameters + layer->weight_ih + first * layer->inputs, layer->inputs,
                                columns, first, all, &part->below->groups, layer->transposed_ih);
    }
}

static bool reserve(crs_workspace *w, const crs_part *part) {
    const crs_gates *g = &layer_of(part)->gates;
    crs_part_memory *own = crs_memory_of(w, part);
    const size_t rows = (size_t)w->rows, n = (size_t)w->pairs, hidden = (size_t)g->padded;
    bool good = crs_reserve(w, &own->gates, 1, crs_gates_size(g, w->pairs)) &&
                crs_reserve(w, &own->h, n + rows, hidden) &&
                (!crs_has_c(g->cell) || crs_reserve(w, &own->c, n + rows, hidden));
    if (good && (w->uses & CRS_DROPOUT) && !part->within) {
        own->kept = crs_reserve_block(w, n, hidden / CRS_BLOCK * sizeof *own->kept);
        good = own->kept && crs_reserve(w, &own->dropped, n, hidden);
    }
    return good && (!(w->uses & CRS_TRAINING) || crs_reserve_backward(w, part));
}

/* ---- the weight gradient ---- */

/* i and f saw the cell state before, o the one after. */
static void add_peephole(const crs_pass *pass, const crs_piece *p, const crs_layer *layer, int group,
                         const float *panel, int64_t *refused) {
    const crs_kernels *kernels = pass->model->kernels;
    static const int block_of[3] = {0, 1, 3};
    const ptrdiff_t hidden = layer->gates.padded, unit = crs_unit_first(&layer->gates, group);
    const crs_span *spans = pass->pieces->span_at;
    const float *c = crs_memory_of(pass->workspace, &layer->part)->c;
    int64_t *sums = pass->sums + crs_sum_of(&layer->part.slice[0], layer->peephole);
    for (int gate = 0; gate < 3; gate++) {
        float total[CRS_BLOCK] __attribute__((aligned(64))) = {0};
        for (const crs_span *s = spans + p->first_span; s < spans + p->end_span; s++) {
            const ptrdiff_t n = gate == 2 ? crs_state_after(pass->batch, s->time, s->row)
                                          : crs_state_before(pass->batch, s->time, s->row);
            kernels->dot_rows(panel + ((ptrdiff_t)block_of[gate] * p->n + s->at) * CRS_BLOCK, CRS_BLOCK,
                              c + n * hidden + unit, hidden, s->rows, total);
        }
        kernels->add_fixed(total, CRS_BLOCK, sums + gate * hidden + unit, refused);
    }
}

/* What a group has besides products: biases (or rows of the table), peepholes. */
static void add_group_rest(const crs_pass *pass, const crs_worker *worker, const crs_piece *p, const crs_layer *layer,
                           int group, const float *panel, int64_t *refused) {
    const crs_gates *g = &layer->gates;
    const crs_slice *input = &layer->part.slice[1];
    if (layer->table) {
        crs_tokens_add_table(pass, worker, layer->table, p, group, panel, refused);
    } else {
        crs_add_column_sums(pass, p, panel, crs_panel_columns(g, group),
                            pass->sums + crs_sum_of(input, layer->bias_ih) + crs_panel_first(g, group), refused);
        if (g->cell == CRS_GRU)
            crs_add_column_sums(pass, p, panel + g->h_slot * p->n, crs_panel_columns(g, group),
                                pass->sums + crs_sum_of(input, layer->bias_hh) + crs_panel_first(g, group), refused);
    }
    if (g->cell == CRS_PEEPHOLE)
        add_peephole(pass, p, layer, group, panel, refused);
}

/* Some tiles of one operand. */
typedef struct tiles {
    const crs_columns *c;
    int first, end;
} tiles;

/* The weights of the input, of some of its tiles. */
static void add_inputs(const crs_pass *pass, const crs_piece_run *run, const crs_layer *layer, int group,
                       const tiles *x, int64_t *refused) {
    const crs_gates *g = &layer->gates;
    const int count = crs_panel_columns(g, group);
    int64_t *sums =
        pass->sums + crs_sum_of(&layer->part.slice[1], layer->weight_ih) + crs_panel_first(g, group) * layer->inputs;
    crs_sparse_outer o = {.blocks = count / CRS_BLOCK, .sums = sums, .refused = refused};
    if (!crs_sparse_given(pass, layer->part.below, 0, &o.a)) {
        crs_add_outer(pass, run, x->c, x->first, x->end, 0, count, sums, refused);
        return;
    }
    o.first_k = crs_share(x->c->k, x->first, x->c->tiles);
    o.end_k = crs_share(x->c->k, x->end, x->c->tiles);
    for (int i = 0; i < run->pieces; i++) {
        o.n = run->piece[i]->n;
        o.row = pass->pieces->pair + run->piece[i]->start;
        o.b = run->panel[i];
        pass->model->kernels->sparse_outer(&o);
    }
}

static void add_group(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer, int group, const tiles *x,
                      const tiles *h, int64_t *refused) {
    const crs_gates *g = &layer->gates;
    const crs_slice *slice = layer->part.slice;
    float *gates = crs_memory_of(pass->workspace, &layer->part)->gates;
    const crs_gradients from = {.base = gates + crs_gates_offset(g, pass->n, group, 0), .row = g->row};
    crs_piece_run run;
    for (int first_piece = 0; first_piece < pass->pieces->pieces; first_piece += run.pieces) {
        crs_gather_run(pass, worker, first_piece, pass->pieces->pieces, &from, crs_gate_columns(g, group), &run);
        for (int j = 0; h->first == 0 && h->end > 0 && j < run.pieces; j++)
            add_group_rest(pass, worker, run.piece[j], layer, group, run.panel[j], refused);
        if (x->first < x->end)
            add_inputs(pass, &run, layer, group, x, refused);
        if (h->first < h->end)
            crs_add_outer(pass, &run, h->c, h->first, h->end, g->h_slot, crs_panel_columns(g, group),
                          pass->sums + crs_sum_of(&slice[0], layer->weight_hh) + crs_panel_first(g, group) * g->hidden,
                          refused);
    }
}

static int bounded(int n, int most) {
    return n < 0 ? 0 : n < most ? n : most;
}

/* Threads share out the tiles of both operands, group by group. */
static void add_groups(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer, const crs_columns *x,
                       const crs_columns *h) {
    const int all = x->tiles + h->tiles, items = layer->gates.groups * all;
    const int begin = crs_share(items, worker->thread, worker->threads),
              end = crs_share(items, worker->thread + 1, worker->threads);
    int64_t refused = 0;
    for (int group = begin / all; group * all < end; group++) {
        const int first = begin - group * all, last = end - group * all;
        const tiles of_x = {x, bounded(first, x->tiles), bounded(last, x->tiles)};
        const tiles of_h = {h, bounded(first - x->tiles, h->tiles), bounded(last - x->tiles, h->tiles)};
        add_group(pass, worker, layer, group, &of_x, &of_h, &refused);
    }
    crs_losses_of(pass, worker)[CRS_SUM_REFUSED] += refused;
}

static void add_weights(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer) {
    crs_worker_phase(worker, CRS_PHASE_WEIGHTS);
    crs_columns x = {0}, h = crs_columns_of_state(pass, layer);
    crs_sparse sparse;
    if (!layer->table)
        x = crs_columns_given(pass, layer->part.below);
#pragma omp barrier
    if (!h.shared) /* else packed as what the part above reads */
        crs_pack(pass, worker, &h);
    if (x.tiles && !crs_sparse_given(pass, layer->part.below, 0, &sparse))
        crs_pack(pass, worker, &x);
#pragma omp barrier
    add_groups(pass, worker, layer, &x, &h);
}

static void backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    crs_layer_backward(pass, worker, part);
    add_weights(pass, worker, layer_of(part));
}

const crs_part_kind crs_layer_kind = {.declare = declare,
                                      .reserve = reserve,
                                      .refresh = refresh,
                                      .forward = crs_layer_forward,
                                      .backward = backward,
                                      .release = release};
