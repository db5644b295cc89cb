/* Pieces of a pass, and their columns in the order in which the weight gradient reads them. */
#include "config.h"

#include "pieces.h"

int crs_pieces(const crs_pass *pass) {
    const int steps = crs_piece_steps(pass->batch->lane_rows);
    return pass->batch->lanes * ((pass->batch->steps + steps - 1) / steps);
}

crs_piece crs_piece_at(const crs_pass *pass, int number) {
    const crs_batch *b = pass->batch;
    const int a_lane = crs_pieces(pass) / b->lanes, lane = number / a_lane, part = number % a_lane;
    crs_piece p = {.first_row = b->lane_starts[lane],
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

static crs_rows rows_of(const crs_pass *pass, const crs_piece *p, const float *from, ptrdiff_t row) {
    const ptrdiff_t step = pass->batch->rows * row;
    return (crs_rows){.first = from + p->first_time * step + p->first_row * row,
                      .step = step,
                      .row = row,
                      .times = p->end_time - p->first_time,
                      .rows = p->end_row - p->first_row};
}

crs_columns crs_columns_of(const float *x, ptrdiff_t length, int k, float *packed) {
    return (crs_columns){
        .x = x, .length = length, .k = k, .tiles = (k + CRS_OUTER_WIDTH - 1) / CRS_OUTER_WIDTH, .packed = packed};
}

void crs_pack(const crs_pass *pass, const crs_worker *worker, const crs_columns *c) {
    for (int i = 0; i < crs_pieces(pass); i++) {
        const crs_piece p = crs_piece_at(pass, i);
        crs_pack_columns pack = {.from = rows_of(pass, &p, c->x, c->length),
                                 .k = c->k,
                                 .tiles = c->tiles,
                                 .first_tile = crs_share(c->tiles, worker->thread, worker->threads),
                                 .end_tile = crs_share(c->tiles, worker->thread + 1, worker->threads),
                                 .a_rows = p.n + p.end_row - p.first_row,
                                 .to = crs_packed_at(c, &p)};
        pack.from.times += c->state;
        pass->model->kernels->pack_columns(&pack);
    }
}

void crs_gather_run(const crs_pass *pass, const crs_worker *worker, int first, const float *from, ptrdiff_t row,
                    int count, crs_run *run) {
    const crs_workspace *w = pass->workspace;
    const int pieces = crs_pieces(pass);
    int n = 0;
    for (run->pieces = 0; run->pieces < CRS_RUN_PIECES && first + run->pieces < pieces; run->pieces++) {
        const crs_piece p = crs_piece_at(pass, first + run->pieces);
        if (run->pieces > 0 && n + p.n > w->panel_pairs)
            break;
        const crs_rows rows = rows_of(pass, &p, from, row);
        run->piece[run->pieces] = p;
        run->panel[run->pieces] = w->panel[worker->thread] + (ptrdiff_t)n * count;
        pass->model->kernels->gather(&rows, count, run->panel[run->pieces]);
        n += p.n;
    }
}
