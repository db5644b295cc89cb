/* Streams: the sequences of an epoch laid end to end, cut into rows as a text is. Of row b a window has the steps from
 * b * stride + window * (its number) on; where a sequence begins in it, a segment begins, from a zero state. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "data/feed.h"
#include "data/segments.h"

typedef struct streams {
    crs_segments segments;
    crs_feed_size most;
    int64_t stride, epoch;
    int64_t *order; /* [N], owned: of the epoch */
    int64_t *start; /* [N + 1], owned: steps before each place of the order */
} streams;

static int64_t stride_of(const crs_dataset *dataset, const crs_feed_plan *plan) {
    return (dataset->length[plan->split] - 1) / plan->batch;
}

static int64_t steps(const crs_dataset *dataset, const crs_feed_plan *plan) {
    return stride_of(dataset, plan) / plan->window;
}

static int compare(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How many segments a window can have: of the sequences that lie in it whole, the shortest there are, and the ends
 * of two others. lengths: [N], to be sorted. */
static int most_segments(int64_t *lengths, int64_t count, int window) {
    int64_t steps = 2;
    int segments = window < 2 ? window : 2;
    qsort(lengths, (size_t)count, sizeof *lengths, compare);
    for (int64_t i = 0; i < count && steps + lengths[i] <= window; i++, segments++)
        steps += lengths[i];
    return segments;
}

static crs_feed_size most_of(crs_feed *f, const streams *s) {
    const crs_feed_plan *plan = &f->plan;
    const crs_sequences *of = &f->dataset->sequences[plan->split];
    int rows = 0;
    for (int p = 0; p < f->passes.count; p++)
        rows = f->passes.pass[p].rows > rows ? f->passes.pass[p].rows : rows;
    memcpy(s->order, of->length, (size_t)of->count * sizeof *s->order);
    return (crs_feed_size){.rows = rows * most_segments(s->order, of->count, plan->window),
                           .steps = plan->window,
                           .pairs = rows * plan->window,
                           .states = f->passes.lane_start[f->passes.lanes] - f->passes.lane_start[0]};
}

static crs_status open_streams(crs_feed *f, crs_error *error) {
    const crs_feed_plan *plan = &f->plan;
    const size_t count = (size_t)f->dataset->sequences[plan->split].count;
    streams *s = f->own = crs_alloc_or_fail(1, sizeof *s, CRS_MEMORY_DATA, "reading the data", error);
    if (!s)
        return error->status;
    *s = (streams){.stride = stride_of(f->dataset, plan), .epoch = -1};
    CRS_ASSERT(s->stride >= plan->window);
    crs_passes_cut(&f->passes, plan->pass_rows);
    s->order = crs_alloc_or_fail(count, sizeof *s->order, CRS_MEMORY_DATA, "the order of the sequences", error);
    s->start = crs_alloc_or_fail(count + 1, sizeof *s->start, CRS_MEMORY_DATA, "the order of the sequences", error);
    if (error->status)
        return error->status;
    s->most = most_of(f, s);
    return crs_segments_create(&s->segments, f->dataset, plan, &s->most, plan->lanes, error);
}

static void close_streams(crs_feed *f) {
    streams *s = f->own;
    crs_segments_free(&s->segments);
    crs_free(&s->order);
    crs_free(&s->start);
}

static crs_feed_size most(const crs_feed *f) {
    return ((const streams *)f->own)->most;
}

static int passes(crs_feed *f, int64_t step) {
    (void)step;
    return f->passes.count;
}

static int state_row(const crs_feed *f, int pass) {
    return f->passes.pass[pass].first_row - f->passes.lane_start[0];
}

static void lay_out(const crs_feed *f, int64_t epoch) {
    streams *s = f->own;
    const crs_sequences *of = &f->dataset->sequences[f->plan.split];
    if (epoch == s->epoch)
        return;
    s->epoch = epoch;
    for (int64_t n = 0; n < of->count; n++)
        s->order[n] = n;
    if (f->plan.order == CRS_ORDER_SHUFFLED)
        crs_order_shuffle(s->order, of->count, f->plan.seed, epoch);
    for (int64_t n = 0; n < of->count; n++)
        s->start[n + 1] = s->start[n] + of->length[s->order[n]];
}

/* The segments of a row in a window. row: of the pass; at: where the window begins. */
static void cut_row(crs_feed *f, int lane, int64_t row, int state, int64_t at) {
    streams *s = f->own;
    const bool next = f->dataset->schema.targets == CRS_TARGET_NEXT;
    const int64_t end = at + f->plan.window;
    int number = 0;
    for (int64_t place = crs_start_before(s->start, f->dataset->sequences[f->plan.split].count, at); at < end;
         place++, number++) {
        const int64_t first = at - s->start[place], whole = s->start[place + 1] - at,
                      steps = whole < end - at ? whole : end - at;
        const bool ends = steps == whole; /* then a last step says nothing of what comes next, and nothing is carried */
        const crs_segment segment = {.sequence = s->order[place],
                                     .first = first,
                                     .id = row + f->plan.batch * number,
                                     .lane = lane,
                                     .steps = (int)(steps - (ends && next)),
                                     .from = first > 0 ? state : -1,
                                     .to = ends ? -1 : state};
        if (segment.steps > 0)
            s->segments.segment[s->segments.count++] = segment;
        at += steps;
    }
}

static crs_status read_streams(crs_feed *f, int64_t step, int pass, crs_batch *batch, crs_error *error) {
    streams *s = f->own;
    const int64_t windows = s->stride / f->plan.window, window = step % windows * f->plan.window;
    const crs_lane_pass *p = &f->passes.pass[pass];
    lay_out(f, step / windows);
    s->segments.count = 0;
    for (int lane = 0; lane < p->lanes; lane++) {
        const int *start = &f->passes.lane_start[p->first_lane + lane];
        for (int row = start[0]; row < start[1]; row++)
            cut_row(f, lane, row, row - p->first_row, row * s->stride + window);
    }
    return crs_segments_fill(&s->segments, p->lanes, batch, error);
}

static crs_feed_place place(const crs_feed *f, const crs_batch *batch, ptrdiff_t i) {
    return crs_segments_place(&((const streams *)f->own)->segments, batch, i);
}

static double order_memory(const crs_dataset *dataset, const crs_feed_plan *plan) {
    return sizeof(int64_t) * (2 * (double)dataset->sequences[plan->split].count + 1);
}

const crs_feed_kind crs_feed_streams = {.open = open_streams,
                                        .close = close_streams,
                                        .steps = steps,
                                        .order_memory = order_memory,
                                        .most = most,
                                        .passes = passes,
                                        .state_row = state_row,
                                        .read = read_streams,
                                        .place = place};
