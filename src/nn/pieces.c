/* Pieces of a pass, and their columns in the order in which the weight gradient reads them. */
#include "config.h"

#include "nn/pieces.h"

/* ---- the list ---- */

static int lane_row(const crs_batch *b, int place) {
    return b->lane_row ? b->lane_row[place] : place;
}

/* Whether pairs are [times][rows of the lane], neighbours. */
static bool regular(const crs_batch *b) {
    return !b->start && !b->lane_row;
}

static int lane_rows(const crs_batch *b, int lane) {
    return b->lane_starts[lane + 1] - b->lane_starts[lane];
}

/* Of a lane's first `most` rows, those that run at a time: rows ascend, and the longest come first. */
static int running(const crs_batch *b, int lane, int time, int most) {
    while (most > 0 && lane_row(b, b->lane_starts[lane] + most - 1) >= crs_rows_at(b, time))
        most--;
    return most;
}

/* How a lane is cut: into parts of as many steps, or, of pairs, where its rows are of unlike lengths or other than so
 * many as a lane should have. */
typedef struct cut {
    int steps, all, parts; /* all: of what is shared out over the parts */
    bool of_pairs;
} cut;

/* Of whole lanes, or, of pairs, at least CRS_PIECE_PAIRS where there are as many, and at most twice that and a step's:
 * no more parts than those of whole lanes (crs_contributions). */
static cut cut_of(const crs_batch *b, int lane) {
    enum { MOST_PAIRS = 2 * CRS_PIECE_PAIRS };
    const int rows = lane_rows(b, lane), piece_steps = crs_piece_steps(b->lane_rows);
    const int whole = piece_steps * b->lane_rows < MOST_PAIRS ? piece_steps * b->lane_rows : MOST_PAIRS;
    cut c = {0};
    int pairs = 0;
    for (int now = rows; c.steps < b->steps && (now = running(b, lane, c.steps, now)) > 0; c.steps++)
        pairs += now;
    c.of_pairs = pairs != rows * c.steps || rows > b->lane_rows || 2 * rows < b->lane_rows;
    c.all = c.of_pairs ? pairs : c.steps;
    c.parts = c.of_pairs ? (pairs + whole - 1) / whole : (c.steps + piece_steps - 1) / piece_steps;
    return c;
}

/* Those rows of the lane that run at a time, as spans of the piece. */
static void list_rows(const crs_pass *pass, crs_piece *p, int time) {
    const crs_batch *b = pass->batch;
    crs_pieces *list = pass->pieces;
    crs_span *span = NULL;
    for (int place = b->lane_starts[p->lane]; place < b->lane_starts[p->lane + 1]; place++, p->n++) {
        const int row = lane_row(b, place);
        if (row >= crs_rows_at(b, time))
            break;
        if (!span || row != span->row + span->rows) {
            span = &list->span_at[list->spans++];
            *span = (crs_span){.time = time, .row = row, .at = p->n};
        }
        span->rows++;
        list->pair[p->start + p->n] = (int)crs_pair(b, time, row);
        list->before[p->start + p->n] = (int)crs_state_before(b, time, row);
    }
}

/* Packed rows of a piece: a state that is shared has those of one time more. */
static int packed_rows(const crs_batch *b, const crs_piece *p) {
    return regular(b) ? p->n + lane_rows(b, p->lane) : p->n;
}

static crs_piece *begin_piece(crs_pieces *list, int lane, int time) {
    crs_piece *p = &list->piece_at[list->pieces];
    *p = (crs_piece){.number = list->pieces++,
                     .lane = lane,
                     .first_time = time,
                     .start = list->pairs,
                     .packed = list->packed,
                     .first_span = list->spans};
    return p;
}

static void end_piece(const crs_pass *pass, crs_piece *p, int time) {
    crs_pieces *list = pass->pieces;
    p->end_time = time;
    p->end_span = list->spans;
    list->pairs += p->n;
    list->packed += packed_rows(pass->batch, p);
    CRS_ASSERT(p->n <= pass->workspace->piece && list->packed <= pass->workspace->packed);
}

static void list_lane(const crs_pass *pass, int lane) {
    const cut c = cut_of(pass->batch, lane);
    const int first = pass->pieces->pairs;
    crs_piece *p = NULL;
    for (int t = 0, part = 0; t < c.steps; t++) {
        if (!p)
            p = begin_piece(pass->pieces, lane, t);
        list_rows(pass, p, t);
        const int done = c.of_pairs ? p->start + p->n - first : t + 1;
        if (done < crs_share(c.all, part + 1, c.parts))
            continue;
        end_piece(pass, p, t + 1);
        p = NULL;
        while (part < c.parts && done >= crs_share(c.all, part + 1, c.parts))
            part++;
    }
}

void crs_list_pieces(const crs_pass *pass) {
    crs_pieces *list = pass->pieces;
    list->pieces = list->spans = list->pairs = list->packed = 0;
    for (int lane = 0; lane < pass->batch->lanes; lane++)
        list_lane(pass, lane);
}

/* ---- packed columns ---- */

static crs_columns columns_of(const crs_pass *pass, const crs_part *part, const float *x) {
    return (crs_columns){.x = x,
                         .length = part->padded,
                         .k = part->width,
                         .tiles = (part->width + CRS_OUTER_WIDTH - 1) / CRS_OUTER_WIDTH,
                         .packed = crs_memory_of(pass->workspace, part)->packed};
}

/* Whether the part above packs the columns of what this one gives. */
static bool is_packed(const crs_pass *pass, const crs_part *part) {
    const crs_part *above = pass->model->part[part->number + 1];
    return above->below == part && (above->kind == &crs_layer_kind || above->kind == &crs_output_kind);
}

static bool shares_state(const crs_pass *pass, const crs_part *part) {
    return crs_memory_of(pass->workspace, part)->h && !pass->dropout && regular(pass->batch) && is_packed(pass, part);
}

crs_columns crs_columns_of_state(const crs_pass *pass, const crs_layer *layer) {
    crs_columns c = columns_of(pass, &layer->part, crs_memory_of(pass->workspace, &layer->part)->h);
    c.shared = shares_state(pass, &layer->part);
    c.index = regular(pass->batch) ? NULL : pass->pieces->before;
    return c;
}

crs_columns crs_columns_given(const crs_pass *pass, const crs_part *part) {
    crs_columns c = columns_of(pass, part, crs_given(pass, part));
    c.index = regular(pass->batch) ? NULL : pass->pieces->pair;
    if (shares_state(pass, part)) {
        c.x = crs_memory_of(pass->workspace, part)->h;
        c.shared = c.later = true;
    }
    return c;
}

static float *packed_at(const crs_columns *c, const crs_piece *p) {
    return c->packed + (ptrdiff_t)p->packed * c->k;
}

/* A piece's rows of x, row by row of length `row`. */
static crs_rows rows_of(const crs_pass *pass, const crs_piece *p, const float *x, ptrdiff_t row, const int *index) {
    const crs_batch *b = pass->batch;
    if (index)
        return (crs_rows){.first = x, .row = row, .times = 1, .rows = p->n, .index = index + p->start};
    return (crs_rows){.first = x + crs_pair(b, p->first_time, b->lane_starts[p->lane]) * row,
                      .step = b->rows * row,
                      .row = row,
                      .times = p->end_time - p->first_time,
                      .rows = lane_rows(b, p->lane)};
}

void crs_pack(const crs_pass *pass, const crs_worker *worker, const crs_columns *c) {
    for (int i = 0; i < pass->pieces->pieces; i++) {
        const crs_piece *p = &pass->pieces->piece_at[i];
        crs_pack_columns pack = {.from = rows_of(pass, p, c->x, c->length, c->index),
                                 .k = c->k,
                                 .tiles = c->tiles,
                                 .first_tile = crs_share(c->tiles, worker->thread, worker->threads),
                                 .end_tile = crs_share(c->tiles, worker->thread + 1, worker->threads),
                                 .a_rows = packed_rows(pass->batch, p),
                                 .to = packed_at(c, p)};
        pack.from.times += c->shared;
        pass->model->kernels->pack_columns(&pack);
    }
}

/* ---- gathered gradients ---- */

void crs_gather_run(const crs_pass *pass, const crs_worker *worker, int first, int end, const crs_gradients *from,
                    int count, crs_piece_run *run) {
    const crs_workspace *w = pass->workspace;
    int n = 0;
    crs_pass_progress(pass, worker);
    for (run->pieces = 0; run->pieces < CRS_RUN_PIECES && first < end; first++) {
        const crs_piece *p = &pass->pieces->piece_at[first];
        if (run->pieces > 0 && n + p->n > w->panel_pairs)
            break;
        crs_rows rows = rows_of(pass, p, from->base, from->row, regular(pass->batch) ? NULL : pass->pieces->pair);
        if (from->by_piece)
            rows = (crs_rows){from->base + (p->start - from->start) * from->row, 0, from->row, 1, p->n, NULL};
        run->piece[run->pieces] = p;
        run->panel[run->pieces] = w->panel[worker->thread] + (ptrdiff_t)n * count;
        pass->model->kernels->gather(&rows, count, run->panel[run->pieces++]);
        n += p->n;
    }
}

/* ---- sums ---- */

void crs_add_outer(const crs_pass *pass, const crs_piece_run *run, const crs_columns *c, int first, int end, int slot,
                   int count, int64_t *sums, int64_t *refused) {
    crs_stretch stretch[CRS_RUN_PIECES];
    for (int i = 0; i < run->pieces; i++) {
        const crs_piece *p = run->piece[i];
        const int a_rows = packed_rows(pass->batch, p);
        stretch[i] = (crs_stretch){.n = p->n,
                                   .a = packed_at(c, p),
                                   .a_rows = a_rows,
                                   .a_first = c->later ? a_rows - p->n : 0,
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
