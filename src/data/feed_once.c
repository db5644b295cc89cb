/* Sequences read once, for evaluation: each from a zero state. Some of about one length go together, from their first
 * step to their last; in pieces of time where rows may be cut. */
#include "config.h"

#include "data/feed.h"
#include "data/segments.h"

/* Neighbours are sorted by length so many groups at a time: they are read from the same pages. */
enum { BLOCK_GROUPS = 64 };

typedef struct group {
    int64_t first; /* place of its first row */
    int rows, steps;
    int piece;     /* steps that go through the network together */
    int64_t batch; /* its first */
} group;

typedef struct once {
    crs_segments segments;
    crs_feed_size most;
    int64_t rows;   /* places: those that have a target */
    int64_t *order; /* [2 rows], owned: which sequence has a place, counted from the plan's first; NULL: the same */
    int *steps;     /* of each sequence of the plan, owned; NULL: all alike */
    int64_t groups, batches;
    group *group; /* [groups], owned */
} once;

static crs_segment segment_at(const crs_feed *f, int64_t place) {
    const once *o = f->own;
    return crs_whole_segment(f->dataset, f->plan.split, f->plan.first + (o->order ? o->order[place] : place));
}

/* ---- order ---- */

/* Windows of a forecast are of one length, and stay as they are. */
static crs_status sort_rows(const crs_feed *f, once *o, crs_error *error) {
    const crs_feed_plan *plan = &f->plan;
    const size_t count = (size_t)(plan->end - plan->first);
    o->rows = (int64_t)count;
    if (crs_schema_is_forecast(&f->dataset->schema))
        return CRS_OK;
    o->order = crs_alloc_or_fail(count, 2 * sizeof *o->order, CRS_MEMORY_DATA, "the order of what is read", error);
    o->steps = crs_alloc_or_fail(count, sizeof *o->steps, CRS_MEMORY_DATA, "the order of what is read", error);
    if (!o->order || !o->steps)
        return error->status;
    o->rows = 0;
    for (int64_t i = 0; i < (int64_t)count; i++) {
        o->steps[i] = crs_whole_segment(f->dataset, plan->split, plan->first + i).steps;
        if (o->steps[i] > 0)
            o->order[o->rows++] = i;
    }
    const int64_t block = BLOCK_GROUPS * (int64_t)plan->pass_rows;
    for (int64_t first = 0; first < o->rows; first += block)
        crs_order_sort(o->order + first, o->rows - first < block ? o->rows - first : block, o->steps, o->order + count);
    return CRS_OK;
}

/* ---- groups ---- */

/* Pairs of a group's first piece, which has most of them. */
static int pairs_of(const crs_feed *f, const group *g) {
    int pairs = 0;
    for (int row = 0; row < g->rows; row++) {
        const int steps = segment_at(f, g->first + row).steps;
        pairs += steps < g->piece ? steps : g->piece;
    }
    return pairs;
}

/* The group that begins with a place; rows that are whole go together up to so many pairs. */
static group group_at(const crs_feed *f, int64_t first) {
    const once *o = f->own;
    const crs_feed_plan *plan = &f->plan;
    group g = {.first = first, .batch = o->batches};
    int64_t pairs = 0;
    for (; g.rows < plan->pass_rows && first + g.rows < o->rows; g.rows++) {
        const int steps = segment_at(f, first + g.rows).steps;
        pairs += steps;
        if (plan->whole && g.rows > 0 && pairs > plan->pass_pairs)
            break;
        g.steps = steps > g.steps ? steps : g.steps;
    }
    const int most = plan->pass_pairs / g.rows > 1 ? plan->pass_pairs / g.rows : 1;
    g.piece = plan->whole || g.steps < most ? g.steps : most;
    return g;
}

static int64_t pieces(const group *g) {
    return (g->steps + g->piece - 1) / g->piece;
}

static crs_status list_groups(const crs_feed *f, once *o, crs_error *error) {
    for (int64_t first = 0; first < o->rows;) {
        if (!crs_list_grow(&o->group, (size_t)o->groups, sizeof *o->group))
            return crs_fail(error, CRS_INTERNAL, "out of memory for the list of what is read");
        group *g = &o->group[o->groups++];
        *g = group_at(f, first);
        o->batches += pieces(g);
        first += g->rows;
        const int pairs = pairs_of(f, g);
        o->most.rows = g->rows > o->most.rows ? g->rows : o->most.rows;
        o->most.steps = g->piece > o->most.steps ? g->piece : o->most.steps;
        o->most.pairs = pairs > o->most.pairs ? pairs : o->most.pairs;
        if (pieces(g) > 1)
            o->most.states = g->rows > o->most.states ? g->rows : o->most.states;
    }
    return CRS_OK;
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

/* ---- the feed ---- */

static crs_status open_once(crs_feed *f, crs_error *error) {
    once *o = f->own = crs_alloc_or_fail(1, sizeof *o, CRS_MEMORY_DATA, "reading the data", error);
    if (!o)
        return error->status;
    *o = (once){.most = {.rows = 1, .steps = 1, .pairs = 1}};
    CRS_ASSERT(f->plan.pass_rows >= 1 && f->plan.first <= f->plan.end);
    if (sort_rows(f, o, error) || list_groups(f, o, error))
        return error->status;
    f->steps = o->batches;
    return crs_segments_create(&o->segments, f->dataset, &f->plan, &o->most, 0, error);
}

static void close_once(crs_feed *f) {
    once *o = f->own;
    crs_segments_free(&o->segments);
    crs_free(&o->order);
    crs_free(&o->steps);
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

static crs_status read_once(crs_feed *f, int64_t step, int pass, crs_batch *batch, crs_error *error) {
    once *o = f->own;
    const group *g = group_of(o, step);
    const int at = (int)(step - g->batch) * g->piece;
    (void)pass;
    o->segments.count = 0;
    for (int row = 0; row < g->rows; row++) {
        crs_segment segment = segment_at(f, g->first + row);
        const int left = segment.steps - at;
        if (left <= 0)
            continue;
        segment.id = f->plan.first + g->first + row;
        segment.first += at;
        segment.steps = left < g->piece ? left : g->piece;
        segment.from = at > 0 ? row : -1;
        segment.to = left > g->piece ? row : -1;
        o->segments.segment[o->segments.count++] = segment;
    }
    return crs_segments_fill(&o->segments, 0, batch, error);
}

static crs_feed_place place(const crs_feed *f, const crs_batch *batch, ptrdiff_t i) {
    return crs_segments_place(&((const once *)f->own)->segments, batch, i);
}

static double order_memory(const crs_dataset *dataset, const crs_feed_plan *plan) {
    const double rows = (double)(plan->end - plan->first);
    return crs_schema_is_forecast(&dataset->schema) ? 0 : rows * (2 * sizeof(int64_t) + sizeof(int));
}

const crs_feed_kind crs_feed_once = {.open = open_once,
                                     .close = close_once,
                                     .order_memory = order_memory,
                                     .most = most,
                                     .passes = passes,
                                     .state_row = state_row,
                                     .read = read_once,
                                     .place = place};
