/* Whole sequences, or windows of forecasts: a row each, from a zero state. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "data/feed.h"
#include "data/segments.h"

typedef struct whole {
    crs_segments segments;
    crs_feed_size most;
    int64_t rows, batches; /* of the split */
    int64_t epoch;         /* whose order stands here; -1: none */
    int64_t *order;        /* shuffled: [2 rows + batches], owned */
    int64_t *batch_start;  /* shuffled: [batches + 1], owned */
    int *steps;            /* shuffled, unless all are alike: [rows], owned */
    int64_t step;          /* whose passes are cut; -1: none */
    int *lane_rows;        /* [lanes] of that step, owned; a short batch fills not all */
    int64_t *lane_pairs;   /* [lanes], owned */
    crs_segment *own;      /* [rows of its lanes], owned: what stands in each of that step, lane after lane */
} whole;

static int64_t batches_of(const crs_dataset *dataset, const crs_feed_plan *plan) {
    return (crs_dataset_rows(dataset, plan->split) + plan->batch - 1) / plan->batch;
}

static bool allocate(const crs_feed *f, whole *w) {
    const size_t rows = (size_t)w->rows, batches = (size_t)w->batches, lanes = (size_t)f->plan.lanes,
                 own = (size_t)(f->passes.lane_start[lanes] - f->passes.lane_start[0]);
    w->lane_rows = crs_alloc(lanes, sizeof *w->lane_rows, CRS_MEMORY_DATA);
    w->lane_pairs = crs_alloc(lanes, sizeof *w->lane_pairs, CRS_MEMORY_DATA);
    w->own = crs_alloc(own, sizeof *w->own, CRS_MEMORY_DATA);
    if (!w->lane_rows || !w->lane_pairs || !w->own)
        return false;
    if (f->plan.order == CRS_ORDER_FILE)
        return true;
    w->order = crs_alloc(2 * rows + batches, sizeof *w->order, CRS_MEMORY_DATA);
    w->batch_start = crs_alloc(batches + 1, sizeof *w->batch_start, CRS_MEMORY_DATA);
    if (!w->order || !w->batch_start || crs_schema_is_forecast(&f->dataset->schema))
        return w->order && w->batch_start;
    w->steps = crs_alloc(rows, sizeof *w->steps, CRS_MEMORY_DATA);
    for (int64_t row = 0; w->steps && row < w->rows; row++)
        w->steps[row] = crs_whole_segment(f->dataset, f->plan.split, row).steps;
    return w->steps != NULL;
}

/* As above. */
static double order_memory(const crs_dataset *dataset, const crs_feed_plan *plan) {
    const double rows = (double)crs_dataset_rows(dataset, plan->split), batches = (double)batches_of(dataset, plan);
    if (plan->order == CRS_ORDER_FILE)
        return 0;
    return sizeof(int64_t) * (2 * rows + 2 * batches + 1) +
           (crs_schema_is_forecast(&dataset->schema) ? 0 : sizeof(int) * rows);
}

static int compare(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Steps of the so many longest rows; false when out of memory. */
static bool longest_pairs(const crs_feed *f, int64_t rows, int64_t *pairs) {
    const crs_schema *schema = &f->dataset->schema;
    const crs_sequences *of = &f->dataset->sequences[f->plan.split];
    const size_t bytes = (size_t)of->count * sizeof *of->length;
    *pairs = rows * schema->context;
    if (crs_schema_is_forecast(schema))
        return true;
    int64_t *sorted = crs_alloc((size_t)of->count, sizeof *sorted, CRS_MEMORY_DATA);
    if (!sorted)
        return false;
    memcpy(sorted, of->length, bytes);
    qsort(sorted, (size_t)of->count, sizeof *sorted, compare);
    for (int64_t i = 0; i < rows; i++)
        *pairs += sorted[i] - (schema->targets == CRS_TARGET_NEXT);
    crs_free(&sorted);
    return true;
}

/* A pass has one lane at least, and that may be of the longest sequences alone. */
static crs_status find_most(const crs_feed *f, whole *w, crs_error *error) {
    const crs_feed_plan *plan = &f->plan;
    const int *start = f->passes.lane_start;
    int64_t lane = 0, own = start[plan->lanes] - start[0], pairs, all;
    for (int i = 0; i < plan->lanes; i++)
        lane = start[i + 1] - start[i] > lane ? start[i + 1] - start[i] : lane;
    lane = lane < w->rows ? lane : w->rows;
    own = own < w->rows ? own : w->rows;
    if (!longest_pairs(f, lane, &pairs) || !longest_pairs(f, own, &all))
        return crs_fail(error, CRS_INTERNAL, "out of memory for the lengths of the sequences");
    const int64_t rows = plan->pass_rows > lane ? plan->pass_rows : lane;
    pairs = plan->pass_pairs > pairs ? plan->pass_pairs : pairs;
    pairs = pairs < all ? pairs : all;
    if (pairs > INT32_MAX)
        return crs_fail(error, CRS_CONFIG,
                        "%" PRId64 " sequences of %s may have %" PRId64
                        " steps, and at most %d go through the network at once; more --lanes, or --window=N, would do",
                        lane, f->dataset->path, pairs, INT32_MAX);
    w->most = (crs_feed_size){.rows = (int)(rows < own ? rows : own),
                              .steps = (int)crs_whole_longest(f->dataset, plan->split),
                              .pairs = (int)(pairs > 1 ? pairs : 1)};
    return CRS_OK;
}

static crs_status open_whole(crs_feed *f, crs_error *error) {
    whole *w = f->own = crs_alloc_or_fail(1, sizeof *w, CRS_MEMORY_DATA, "reading the data", error);
    if (!w)
        return error->status;
    *w = (whole){.rows = crs_dataset_rows(f->dataset, f->plan.split),
                 .batches = batches_of(f->dataset, &f->plan),
                 .epoch = -1,
                 .step = -1};
    CRS_ASSERT(w->rows >= 1);
    if (find_most(f, w, error))
        return error->status;
    if (!allocate(f, w))
        return crs_fail(error, CRS_INTERNAL, "out of memory for the order of %lld sequences", (long long)w->rows);
    return crs_segments_create(&w->segments, f->dataset, &f->plan, &w->most, f->plan.lanes, error);
}

static void close_whole(crs_feed *f) {
    whole *w = f->own;
    crs_segments_free(&w->segments);
    crs_free(&w->order);
    crs_free(&w->batch_start);
    crs_free(&w->steps);
    crs_free(&w->lane_rows);
    crs_free(&w->lane_pairs);
    crs_free(&w->own);
}

static crs_feed_size most(const crs_feed *f) {
    return ((const whole *)f->own)->most;
}

/* The rows of a batch: its first place, and how many. */
static int64_t batch_places(const crs_feed *f, int64_t step, int64_t *first) {
    whole *w = f->own;
    const int64_t epoch = step / w->batches, batch = step % w->batches;
    if (f->plan.order == CRS_ORDER_FILE) {
        *first = batch * f->plan.batch;
        return w->rows - *first < f->plan.batch ? w->rows - *first : f->plan.batch;
    }
    if (epoch != w->epoch) {
        crs_order_batches(w->order, w->rows, f->plan.batch, w->steps, f->plan.seed, epoch, w->batch_start);
        w->epoch = epoch;
    }
    *first = w->batch_start[batch];
    return w->batch_start[batch + 1] - *first;
}

static crs_segment segment_at(const crs_feed *f, int64_t place) {
    const whole *w = f->own;
    return crs_whole_segment(f->dataset, f->plan.split, f->plan.order == CRS_ORDER_FILE ? place : w->order[place]);
}

static crs_segment *own_row(const crs_feed *f, int row) {
    return &((const whole *)f->own)->own[row - f->passes.lane_start[0]];
}

/* What of a step each of the rank's lanes has: a short batch has fewer rows, and a sequence without a target none. */
static int passes(crs_feed *f, int64_t step) {
    whole *w = f->own;
    if (step == w->step)
        return f->passes.count;
    int64_t first;
    const int64_t rows = batch_places(f, step, &first);
    for (int lane = 0; lane < f->passes.lanes; lane++) {
        w->lane_rows[lane] = 0;
        w->lane_pairs[lane] = 0;
        for (int row = f->passes.lane_start[lane]; row < f->passes.lane_start[lane + 1] && row < rows; row++) {
            crs_segment *segment = own_row(f, row);
            *segment = segment_at(f, first + row);
            segment->id = row;
            w->lane_rows[lane] += segment->steps > 0;
            w->lane_pairs[lane] += segment->steps;
        }
    }
    crs_passes_cut_pairs(&f->passes, f->plan.pass_rows, f->plan.pass_pairs, w->lane_rows, w->lane_pairs);
    w->step = step;
    return f->passes.count;
}

static int state_row(const crs_feed *f, int pass) {
    (void)f, (void)pass;
    return 0;
}

static crs_status read_whole(crs_feed *f, int64_t step, int pass, crs_batch *batch, crs_error *error) {
    whole *w = f->own;
    int64_t first;
    passes(f, step);
    const int64_t rows = batch_places(f, step, &first); /* own rows behind them are an earlier step's */
    const crs_lane_pass *p = &f->passes.pass[pass];
    w->segments.count = 0;
    for (int lane = 0; lane < p->lanes; lane++) {
        const int *start = &f->passes.lane_start[p->first_lane + lane];
        for (int row = start[0]; row < start[1] && row < rows; row++) {
            crs_segment segment = *own_row(f, row);
            segment.lane = lane;
            if (segment.steps > 0)
                w->segments.segment[w->segments.count++] = segment;
        }
    }
    return crs_segments_fill(&w->segments, p->lanes, batch, error);
}

static crs_feed_place place(const crs_feed *f, const crs_batch *batch, ptrdiff_t i) {
    return crs_segments_place(&((const whole *)f->own)->segments, batch, i);
}

const crs_feed_kind crs_feed_whole = {.open = open_whole,
                                      .close = close_whole,
                                      .steps = batches_of,
                                      .order_memory = order_memory,
                                      .most = most,
                                      .passes = passes,
                                      .state_row = state_row,
                                      .read = read_whole,
                                      .place = place};
