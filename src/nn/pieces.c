/* Pieces of a pass, and their columns in the order in which the weight gradient reads them. */
#include "config.h"

#include "nn/pieces.h"

int crs_pieces_of_lane(const crs_pass *pass) {
    const int steps = crs_piece_steps(pass->batch->lane_rows);
    return (pass->batch->steps + steps - 1) / steps;
}

int crs_pieces(const crs_pass *pass) {
    return pass->batch->lanes * crs_pieces_of_lane(pass);
}

crs_piece crs_piece_at(const crs_pass *pass, int number) {
    const crs_batch *b = pass->batch;
    const int a_lane = crs_pieces_of_lane(pass), lane = number / a_lane, part = number % a_lane;
    crs_piece p = {.number = number,
                   .first_row = b->lane_starts[lane],
                   .end_row = b->lane_starts[lane + 1],
                   .first_time = crs_share(b->steps, part, a_lane),
                   .end_time = crs_share(b->steps, part + 1, a_lane)};
    const int rows = p.end_row - p.first_row;
    p.n = rows * (p.end_time - p.first_time);
    p.start = p.first_row * b->steps + rows * p.first_time;
    p.packed = p.first_row * (b->steps + a_lane) + rows * (p.first_time + part);
    CRS_ASSERT(p.n <= pass->workspace->piece && p.packed + p.n + rows <= pass->workspace->packed);
    return p;
}

static crs_rows rows_of(const crs_piece *p, const crs_gradients *from) {
    const ptrdiff_t step = from->rows * from->row;
    return (crs_rows){.first = from->base + (p->first_time - from->first_time) * step +
                               (p->first_row - from->first_row) * from->row,
                      .step = step,
                      .row = from->row,
                      .times = p->end_time - p->first_time,
                      .rows = p->end_row - p->first_row};
}

/* ---- packed columns ---- */

static crs_columns columns_of(const crs_pass *pass, const crs_part *part, const float *x) {
    return (crs_columns){.x = x,
                         .length = part->padded,
                         .k = part->width,
                         .tiles = (part->width + CRS_OUTER_WIDTH - 1) / CRS_OUTER_WIDTH,
                         .packed = crs_room_of(pass->workspace, part)->packed};
}

crs_columns crs_columns_of_state(const crs_pass *pass, const crs_layer *layer) {
    crs_columns c = columns_of(pass, &layer->part, crs_room_of(pass->workspace, &layer->part)->h);
    c.state = true;
    return c;
}

crs_columns crs_columns_given(const crs_pass *pass, const crs_part *part) {
    crs_columns c = columns_of(pass, part, crs_given(pass, part));
    if (crs_room_of(pass->workspace, part)->h && !pass->dropout) {
        c.x = crs_room_of(pass->workspace, part)->h;
        c.state = c.later = true;
    }
    return c;
}

static float *packed_at(const crs_columns *c, const crs_piece *p) {
    return c->packed + (ptrdiff_t)p->packed * c->k;
}

void crs_pack(const crs_pass *pass, const crs_worker *worker, const crs_columns *c) {
    const crs_gradients all = {.base = c->x, .row = c->length, .rows = pass->batch->rows};
    for (int i = 0; i < crs_pieces(pass); i++) {
        const crs_piece p = crs_piece_at(pass, i);
        crs_pack_columns pack = {.from = rows_of(&p, &all),
                                 .k = c->k,
                                 .tiles = c->tiles,
                                 .first_tile = crs_share(c->tiles, worker->thread, worker->threads),
                                 .end_tile = crs_share(c->tiles, worker->thread + 1, worker->threads),
                                 .a_rows = p.n + p.end_row - p.first_row,
                                 .to = packed_at(c, &p)};
        pack.from.times += c->state;
        pass->model->kernels->pack_columns(&pack);
    }
}

/* ---- gathered gradients ---- */

void crs_gather_run(const crs_pass *pass, const crs_worker *worker, crs_piece_range *range, const crs_gradients *from,
                    int count, crs_run *run) {
    const crs_workspace *w = pass->workspace;
    int n = 0;
    for (run->pieces = 0; run->pieces < CRS_RUN_PIECES && range->first < range->end; range->first += range->stride) {
        const crs_piece p = crs_piece_at(pass, range->first);
        if (run->pieces > 0 && n + p.n > w->panel_pairs)
            break;
        const crs_rows rows = rows_of(&p, from);
        run->piece[run->pieces] = p;
        run->panel[run->pieces] = w->panel[worker->thread] + (ptrdiff_t)n * count;
        pass->model->kernels->gather(&rows, count, run->panel[run->pieces++]);
        n += p.n;
    }
}

/* ---- sums ---- */

void crs_add_outer(const crs_pass *pass, const crs_run *run, const crs_columns *c, int first, int end, int slot,
                   int count, int64_t *sums, int64_t *refused) {
    crs_stretch stretch[CRS_RUN_PIECES];
    for (int i = 0; i < run->pieces; i++) {
        const crs_piece *p = &run->piece[i];
        const int rows = p->end_row - p->first_row;
        stretch[i] = (crs_stretch){.n = p->n,
                                   .a = packed_at(c, p),
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

void crs_add_column_sums(const crs_pass *pass, const crs_piece *p, const float *b, int count, int64_t *sums,
                         int64_t *refused) {
    float total[CRS_GROUP] __attribute__((aligned(64)));
    for (int j = 0; j < count; j += CRS_BLOCK)
        pass->model->kernels->column_sums(b + (ptrdiff_t)j * p->n, CRS_BLOCK, p->n, CRS_BLOCK, total + j);
    pass->model->kernels->add_fixed(total, (size_t)count, sums, refused);
}
