/* The output layer, and under it the head's loss. Worked on a chunk at a time, up and, in training, at once down again:
 * where there are many outputs, those for all pairs never stand in memory together. In training a chunk is some whole
 * pieces. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "nn/head.h"
#include "nn/tokens.h"

/* About as many outputs as stay in a cache; a large vocabulary goes piece by piece. */
enum { CHUNK_BYTES = 4 << 20 };

static const float zeros[CRS_GROUP] __attribute__((aligned(64)));

static const crs_output *output_of(const crs_part *part) {
    return (const crs_output *)part;
}

/* ---- parameters ---- */

static bool declare(crs_model *m, crs_part *part) {
    crs_output *o = (crs_output *)part;
    o->inputs = part->below->width;
    crs_slice *slice = crs_slice_begin(m, part, true);
    if (!m->spec.tie)
        o->weight = crs_slice_take(m, slice, (size_t)o->inputs * (size_t)part->padded);
    o->bias = crs_slice_take(m, slice, (size_t)part->padded);
    o->transposed = crs_alloc((size_t)part->below->padded * (size_t)part->padded, sizeof(float), CRS_MEMORY_PACKED);
    return o->transposed &&
           (m->spec.tie ? crs_tie_declare(m, o) : crs_place_columns(m, "output/weight", o->weight, &part->groups)) &&
           crs_place_rows(m, "output/bias", o->bias, 1);
}

static void release(crs_part *part) {
    crs_free(&((crs_output *)part)->transposed);
    crs_tie_release((crs_output *)part);
}

/* A group's panel, [K][columns], from its first column on. */
static const float *panel_of(const crs_model *m, const crs_output *o, int first) {
    return (o->tied ? o->panels : m->parameters + o->weight) + (size_t)first * (size_t)o->inputs;
}

/* Where the sums of the gradient of the weight begin. */
static size_t weight_sums(const crs_output *o) {
    return o->tied ? o->part.other_sum : crs_sum_of(&o->part.slice[0], o->weight);
}

static void refresh(crs_model *m, const crs_part *part) {
    const crs_output *o = output_of(part);
    const crs_groups *g = &part->groups;
#pragma omp for schedule(static) nowait
    for (int group = 0; group < g->groups; group++) {
        const int first = crs_group_first(g, group), columns = crs_group_columns(g, group);
        if (o->tied)
            crs_tie_refresh(m, o, group);
        crs_transpose_panel(m->kernels, panel_of(m, o, first), o->inputs, columns, first, part->padded,
                            &part->below->groups, o->transposed);
    }
}

double crs_workspace_chunk(int outputs, double rows, double pairs) {
    const int cached = CHUNK_BYTES / (int)sizeof(float) / crs_pad(outputs);
    return fmin(pairs, fmax(cached, CRS_PIECE_PAIRS + rows));
}

static bool reserve(crs_workspace *w, const crs_part *part) {
    crs_part_memory *own = crs_memory_of(w, part);
    const int all = w->model->spec.alignment == CRS_ALIGN_SEQUENCE ? w->rows : w->pairs;
    w->chunk = (int)crs_workspace_chunk(part->width, w->rows, all); /* of all: its pairs are neighbours */
    const int piece = !(w->uses & CRS_TRAINING) ? 0 : w->piece < all ? w->piece : all;
    const int room = w->chunk < piece ? piece : w->chunk;
    return crs_reserve(w, &own->outputs, (size_t)room, (size_t)part->padded) &&
           (w->chunk == all || crs_reserve(w, &own->gathered, (size_t)room, (size_t)part->below->padded));
}

/* ---- a chunk ---- */

typedef struct chunk {
    int pairs;
    ptrdiff_t first;            /* the pair of the batch that it begins with ... */
    const int *index;           /* ... or [pairs]: those that it has, piece by piece; NULL: neighbours */
    int first_piece, end_piece; /* in training */
} chunk;

/* Some of a chunk's pairs that are neighbours in the batch: `first` is that of the batch, `at` that of the chunk. */
typedef struct neighbours {
    ptrdiff_t first;
    int at, pairs;
} neighbours;

/* Those from pair `at` of the chunk on, not beyond `end`. */
static neighbours neighbours_at(const chunk *c, int at, int end) {
    if (!c->index)
        return (neighbours){c->first + at, at, end - at};
    int pairs = 0;
    while (at + pairs < end && c->index[at + pairs] == c->index[at] + pairs)
        pairs++;
    return (neighbours){pairs > 0 ? c->index[at] : 0, at, pairs};
}

/* Rows of what is below, as neighbours: those of the pairs at .. end - 1. */
static const float *gather(const crs_pass *pass, const crs_part *part, const chunk *c, int at, int end) {
    const ptrdiff_t row = part->below->padded;
    const float *from = crs_given(pass, part->below);
    if (!c->index)
        return from + (c->first + at) * row;
    float *to = crs_memory_of(pass->workspace, part)->gathered;
    for (neighbours s = neighbours_at(c, at, end); s.pairs > 0; s = neighbours_at(c, s.at + s.pairs, end))
        memcpy(to + s.at * row, from + s.first * row, (size_t)s.pairs * (size_t)row * sizeof *to);
    return to + at * row;
}

static void products(const crs_pass *pass, const crs_part *part, const float *x, int pairs, float *outputs) {
    const crs_output *o = output_of(part);
    const crs_groups *g = &part->groups;
    const float *parameters = pass->model->parameters;
    for (int group = 0; group < g->groups; group++) {
        const int first = crs_group_first(g, group), columns = crs_group_columns(g, group);
        crs_product p = {.rows = pairs, .blocks = columns / CRS_BLOCK, .c = outputs + first, .c_row = g->padded};
        p.start = parameters + o->bias + first;
        p.chains = 1;
        p.chain[0] = crs_chain_of_rows(x, part->below->padded, o->inputs, panel_of(pass->model, o, first), columns);
        pass->model->kernels->product(&p);
    }
}

/* The gradient of what is below, for the pairs at .. end - 1. */
static void backward_products(const crs_pass *pass, const crs_part *part, const chunk *c, int at, int end) {
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    const crs_groups *g = &part->below->groups;
    const ptrdiff_t row = g->padded;
    float *dy = crs_memory_of(pass->workspace, part->below)->dy;
    float *to = !c->index ? dy + (c->first + at) * row : own->gathered + at * row; /* the outputs are made by now */
    for (int group = 0; group < g->groups; group++) {
        const int first = crs_group_first(g, group), columns = crs_group_columns(g, group);
        crs_product p = {.rows = end - at, .blocks = columns / CRS_BLOCK, .c = to + first, .c_row = row};
        p.start = zeros;
        p.chains = 1;
        p.chain[0] = crs_chain_of_rows(own->outputs + (ptrdiff_t)at * part->padded, part->padded, part->width,
                                       output_of(part)->transposed + (ptrdiff_t)first * part->padded, columns);
        pass->model->kernels->product(&p);
    }
    if (!c->index)
        return;
    for (neighbours s = neighbours_at(c, at, end); s.pairs > 0; s = neighbours_at(c, s.at + s.pairs, end))
        memcpy(dy + s.first * row, own->gathered + s.at * row, (size_t)s.pairs * (size_t)row * sizeof *dy);
}

static void head_loss(const crs_pass *pass, const crs_worker *worker, const crs_part *part, const chunk *c, int at,
                      int end) {
    float *outputs = crs_memory_of(pass->workspace, part)->outputs;
    for (neighbours s = neighbours_at(c, at, end); s.pairs > 0; s = neighbours_at(c, s.at + s.pairs, end)) {
        const crs_head_block block = {.pairs = s.pairs,
                                      .outputs = part->width,
                                      .values = outputs + (ptrdiff_t)s.at * part->padded,
                                      .row = part->padded,
                                      .batch = pass->batch,
                                      .first = s.first};
        output_of(part)->head->loss(pass->model->kernels, &block, crs_losses_of(pass, worker));
    }
}

/* To whoever wants to know; the head writes over them. Never in training, so that the pairs are neighbours. */
static void say(const crs_pass *pass, const crs_part *part, ptrdiff_t first, int count, const float *outputs) {
    if (!pass->said || count == 0)
        return;
#pragma omp critical
    pass->said->take(pass->said->context, pass->whole, first, count, outputs, part->padded);
}

/* A thread's share of a chunk's pairs: outputs, their loss, in training the gradient of what is below. */
static void work_on(const crs_pass *pass, const crs_worker *worker, const crs_part *part, const chunk *c) {
    const int at = crs_share(c->pairs, worker->thread, worker->threads),
              end = crs_share(c->pairs, worker->thread + 1, worker->threads);
    float *outputs = crs_memory_of(pass->workspace, part)->outputs + (ptrdiff_t)at * part->padded;
    crs_worker_phase(worker, CRS_PHASE_OUTPUT);
    products(pass, part, gather(pass, part, c, at, end), end - at, outputs);
    for (int i = at; pass->outputs && i < end; i++)
        memcpy(pass->outputs + (ptrdiff_t)i * part->width, outputs + (ptrdiff_t)(i - at) * part->padded,
               (size_t)part->width * sizeof *outputs);
    say(pass, part, c->first + at, end - at, outputs);
    if (!pass->loss)
        return;
    crs_worker_phase(worker, CRS_PHASE_LOSS);
    head_loss(pass, worker, part, c, at, end);
    crs_worker_phase(worker, CRS_PHASE_OUTPUT);
    if (pass->backward)
        backward_products(pass, part, c, at, end);
}

/* ---- the weight gradient of a chunk ---- */

static void add_weights(const crs_pass *pass, const crs_worker *worker, const crs_part *part, const chunk *c,
                        const crs_columns *x) {
    const crs_output *o = output_of(part);
    const crs_slice *slice = &part->slice[0];
    const int begin = crs_share(x->tiles, worker->thread, worker->threads),
              end = crs_share(x->tiles, worker->thread + 1, worker->threads);
    const float *outputs = crs_memory_of(pass->workspace, part)->outputs;
    int64_t *refused = &crs_losses_of(pass, worker)[CRS_SUM_REFUSED];
    crs_worker_phase(worker, CRS_PHASE_WEIGHTS);
    for (int group = 0; group < part->groups.groups && begin < end; group++) {
        const int first = crs_group_first(&part->groups, group), count = crs_group_columns(&part->groups, group);
        const int start = pass->pieces->piece_at[c->first_piece].start;
        const crs_gradients from = {outputs + first, part->padded, c->index != NULL, start};
        crs_piece_run run;
        for (int piece = c->first_piece; piece < c->end_piece; piece += run.pieces) {
            crs_gather_run(pass, worker, piece, c->end_piece, &from, count, &run);
            for (int j = 0; begin == 0 && j < run.pieces; j++)
                crs_add_column_sums(pass, run.piece[j], run.panel[j], count,
                                    pass->sums + crs_sum_of(slice, o->bias) + first, refused);
            crs_add_outer(pass, &run, x, begin, end, 0, count,
                          pass->sums + weight_sums(o) + (size_t)first * (size_t)o->inputs, refused);
        }
    }
}

/* ---- chunk by chunk ---- */

/* The pieces from this one on that go together. */
static chunk next_chunk(const crs_pass *pass, int piece) {
    const crs_pieces *list = pass->pieces;
    const int most = pass->workspace->chunk;
    chunk c = {.first_piece = piece, .end_piece = piece};
    if (pass->n <= most) {
        c.pairs = pass->n;
        c.end_piece = list->pieces;
        return c;
    }
    c.index = list->pair + list->piece_at[piece].start;
    do
        c.pairs += list->piece_at[c.end_piece++].n;
    while (c.end_piece < list->pieces && c.pairs + list->piece_at[c.end_piece].n <= most);
    CRS_ASSERT(c.pairs <= most || c.end_piece == piece + 1);
    return c;
}

static void train(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_columns x = crs_columns_given(pass, part->below);
    crs_worker_phase(worker, CRS_PHASE_WEIGHTS);
    crs_pack(pass, worker, &x);
    for (int piece = 0; piece < pass->pieces->pieces;) {
        const chunk c = next_chunk(pass, piece);
        work_on(pass, worker, part, &c);
#pragma omp barrier
        add_weights(pass, worker, part, &c, &x);
#pragma omp barrier
        piece = c.end_piece;
    }
}

static void evaluate(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const int most = pass->workspace->chunk;
    for (int n = 0; n < pass->n; n += most) {
        const chunk c = {.pairs = pass->n - n < most ? pass->n - n : most, .first = n};
        work_on(pass, worker, part, &c);
#pragma omp barrier
    }
}

/* What is below is complete before anyone looks at other rows than its own. */
static void forward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
#pragma omp barrier
    if (pass->backward)
        train(pass, worker, part);
    else
        evaluate(pass, worker, part);
}

/* Made chunk by chunk on the way up. */
static void backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    (void)pass, (void)worker, (void)part;
}

static void gradient(const crs_model *m, const crs_part *part, const int64_t *sums, double factor, float *out) {
    if (output_of(part)->tied)
        crs_tie_gradient(m, output_of(part), sums, factor, out);
}

const crs_part_kind crs_output_kind = {.declare = declare,
                                       .reserve = reserve,
                                       .refresh = refresh,
                                       .forward = forward,
                                       .backward = backward,
                                       .gradient = gradient,
                                       .release = release};
