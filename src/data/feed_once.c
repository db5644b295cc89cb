/* Sequences read once, for evaluation: each from a zero state; a group of neighbours goes together, from its first step
 * to its last, in pieces of time where rows may be cut. */
#include "config.h"

#include <string.h>

#include "data/feed.h"
#include "data/segments.h"

typedef struct group {
    int64_t first; /* of its rows */
    int rows, steps;
    int piece;     /* steps that go through the network together */
    int64_t batch; /* its first */
} group;

typedef struct once {
    crs_segments segments;
    crs_feed_size most;
    int64_t groups, batches;
    group *group; /* [groups], owned */
} once;

/* The group that begins with a row. */
static group group_at(const crs_dataset *dataset, const crs_feed_plan *plan, int64_t first) {
    group g = {.first = first};
    int64_t pairs = 0;
    for (int64_t row = first; row < plan->end && g.rows < plan->pass_rows; row++) {
        const int steps = crs_whole_segment(dataset, plan->split, row).steps;
        if (g.rows > 0 && pairs + steps > plan->pass_pairs)
            break;
        pairs += steps;
        g.steps = steps > g.steps ? steps : g.steps;
        g.rows++;
    }
    g.steps = g.steps > 0 ? g.steps : 1;
    const int most = plan->pass_pairs / g.rows > 1 ? plan->pass_pairs / g.rows : 1;
    g.piece = plan->whole || g.steps < most ? g.steps : most;
    return g;
}

static int64_t pieces(const group *g) {
    return (g->steps + g->piece - 1) / g->piece;
}

static int64_t steps(const crs_dataset *dataset, const crs_feed_plan *plan) {
    int64_t all = 0;
    for (int64_t row = plan->first; row < plan->end;) {
        const group g = group_at(dataset, plan, row);
        all += pieces(&g);
        row += g.rows;
    }
    return all;
}

static crs_status list_groups(const crs_feed *f, once *o, crs_error *error) {
    for (int64_t row = f->plan.first; row < f->plan.end;) {
        if (!crs_list_grow(&o->group, (size_t)o->groups, sizeof *o->group))
            return crs_fail(error, CRS_INTERNAL, "out of memory for the list of what is read");
        group *g = &o->group[o->groups++];
        *g = group_at(f->dataset, &f->plan, row);
        g->batch = o->batches;
        o->batches += pieces(g);
        row += g->rows;
        const int pairs = g->rows * g->piece;
        o->most.rows = g->rows > o->most.rows ? g->rows : o->most.rows;
        o->most.steps = g->piece > o->most.steps ? g->piece : o->most.steps;
        o->most.pairs = pairs > o->most.pairs ? pairs : o->most.pairs;
    }
    o->most.states = o->most.rows;
    return CRS_OK;
}

static crs_status open_once(crs_feed *f, crs_error *error) {
    once *o = f->own = crs_alloc_or_fail(1, sizeof *o, CRS_MEMORY_DATA, "reading the data", error);
    if (!o)
        return error->status;
    *o = (once){0};
    if (list_groups(f, o, error))
        return error->status;
    return crs_segments_create(&o->segments, f->dataset, &f->plan, &o->most, 0, error);
}

static void close_once(crs_feed *f) {
    once *o = f->own;
    crs_segments_free(&o->segments);
    crs_free(&o->group);
}

static crs_feed_size most(const crs_feed *f) {
    return ((const once *)f->own)->most;
}

static int passes(crs_feed *f, int64_t step) {
    (void)f, (void)step;
    return 1;
}

static int state_row(const crs_feed *f, int pass) {
    (void)f, (void)pass;
    return 0;
}

static const group *group_of(const once *o, int64_t batch) {
    int64_t low = 0, end = o->groups;
    while (end - low > 1) {
        const int64_t middle = low + (end - low) / 2;
        if (o->group[middle].batch <= batch)
            low = middle;
        else
            end = middle;
    }
    return &o->group[low];
}

static crs_status read_once(crs_feed *f, int64_t step, int pass, crs_batch *batch, crs_error *error) {
    once *o = f->own;
    const int64_t number = step % o->batches;
    const group *g = group_of(o, number);
    const int at = (int)(number - g->batch) * g->piece;
    (void)pass;
    o->segments.count = 0;
    for (int row = 0; row < g->rows; row++) {
        crs_segment segment = crs_whole_segment(f->dataset, f->plan.split, g->first + row);
        const int left = segment.steps - at;
        if (left <= 0)
            continue;
        segment.id = g->first + row;
        segment.first += at;
        segment.steps = left < g->piece ? left : g->piece;
        segment.from = at > 0 ? row : -1;
        segment.to = row;
        o->segments.segment[o->segments.count++] = segment;
    }
    return crs_segments_fill(&o->segments, 0, batch, error);
}

static crs_feed_place place(const crs_feed *f, const crs_batch *batch, ptrdiff_t i) {
    return crs_segments_place(&((const once *)f->own)->segments, batch, i);
}

const crs_feed_kind crs_feed_once = {.open = open_once,
                                     .close = close_once,
                                     .steps = steps,
                                     .most = most,
                                     .passes = passes,
                                     .state_row = state_row,
                                     .read = read_once,
                                     .place = place};
