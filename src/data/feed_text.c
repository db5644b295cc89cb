/* A text, cut into streams: row b reads the tokens from b * stride on. */
#include "config.h"

#include "data/feed.h"
#include "data/reader.h"

typedef struct text {
    int64_t stride;
    int rows, readers;          /* rows: of the largest pass */
    crs_reader **reader;        /* [readers], a pass each, owned; once: of the rows that are read now */
    int64_t group;              /* once: which rows these are; -1: none yet */
    int64_t *ids;               /* of all rows, owned; once: of a batch's */
    int *lane_starts;           /* of a pass, owned */
    int *zero;                  /* [rows] -1: they begin from zero; owned */
    uint32_t *inputs, *targets; /* [window][rows], owned */
} text;

static int64_t stride_of(const crs_dataset *dataset, const crs_feed_plan *plan) {
    return (dataset->length[plan->split] - 1) / plan->batch;
}

/* Once: rows that go to their ends before others begin. */
static int64_t groups(const crs_feed_plan *plan) {
    return (plan->end - plan->first + plan->pass_rows - 1) / plan->pass_rows;
}

/* Once: batches until a group's end, the last of which may be shorter. */
static int64_t group_steps(int64_t stride, const crs_feed_plan *plan) {
    return (stride + plan->window - 1) / plan->window;
}

static int64_t steps(const crs_dataset *dataset, const crs_feed_plan *plan) {
    const int64_t stride = stride_of(dataset, plan);
    return plan->once ? groups(plan) * group_steps(stride, plan) : stride / plan->window;
}

static bool allocate(const crs_feed *f, text *t, int64_t all) {
    const size_t rows = (size_t)t->rows, pairs = (size_t)f->plan.window * rows;
    t->reader = crs_alloc((size_t)t->readers, sizeof *t->reader, CRS_MEMORY_DATA);
    t->ids = crs_alloc((size_t)all, sizeof *t->ids, CRS_MEMORY_DATA);
    t->lane_starts = crs_alloc((size_t)f->plan.lanes + 1, sizeof *t->lane_starts, CRS_MEMORY_DATA);
    t->zero = crs_alloc(rows, sizeof *t->zero, CRS_MEMORY_DATA);
    t->inputs = crs_alloc(pairs, sizeof *t->inputs, CRS_MEMORY_DATA);
    t->targets = crs_alloc(pairs, sizeof *t->targets, CRS_MEMORY_DATA);
    for (size_t row = 0; row < rows && t->zero; row++)
        t->zero[row] = -1;
    return t->reader && t->ids && t->lane_starts && t->zero && t->inputs && t->targets;
}

static crs_status open_passes(crs_feed *f, text *t, crs_error *error) {
    const int first = f->passes.lane_start[0], all = f->passes.lane_start[f->passes.lanes] - first;
    crs_passes_cut(&f->passes, f->plan.pass_rows);
    t->readers = f->passes.count;
    for (int p = 0; p < t->readers; p++)
        t->rows = f->passes.pass[p].rows > t->rows ? f->passes.pass[p].rows : t->rows;
    if (!allocate(f, t, all))
        return crs_fail(error, CRS_INTERNAL, "out of memory for the tokens of a step");
    for (int row = 0; row < all; row++)
        t->ids[row] = first + row;
    for (int p = 0; p < t->readers && !error->status; p++)
        crs_reader_create(&t->reader[p], f->dataset, f->plan.split, t->stride, f->passes.pass[p].first_row,
                          f->passes.pass[p].rows, t->readers, error);
    return error->status;
}

static crs_status open_text(crs_feed *f, crs_error *error) {
    const crs_feed_plan *plan = &f->plan;
    text *t = f->own = crs_alloc_or_fail(1, sizeof *t, CRS_MEMORY_DATA, "reading the data", error);
    if (!t)
        return error->status;
    *t = (text){.stride = stride_of(f->dataset, plan), .group = -1};
    CRS_ASSERT(t->stride >= 1);
    if (!plan->once)
        return open_passes(f, t, error);
    const int64_t rows = plan->end - plan->first;
    t->rows = rows < plan->pass_rows ? (int)rows : plan->pass_rows;
    t->readers = 1;
    return allocate(f, t, t->rows) ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory for the tokens of a step");
}

static void close_text(crs_feed *f) {
    text *t = f->own;
    for (int i = 0; i < t->readers && t->reader; i++)
        crs_reader_free(&t->reader[i]);
    crs_free(&t->reader);
    crs_free(&t->ids);
    crs_free(&t->lane_starts);
    crs_free(&t->zero);
    crs_free(&t->inputs);
    crs_free(&t->targets);
}

static crs_feed_size most(const crs_feed *f) {
    const text *t = f->own;
    const int window = t->stride < f->plan.window ? (int)t->stride : f->plan.window;
    const int own = f->plan.once ? t->rows : f->passes.lane_start[f->passes.lanes] - f->passes.lane_start[0];
    return (crs_feed_size){.rows = t->rows, .steps = window, .pairs = t->rows * window, .states = own};
}

static int passes(crs_feed *f, int64_t step) {
    (void)step;
    return f->plan.once ? 1 : f->passes.count;
}

static int state_row(const crs_feed *f, int pass) {
    return f->plan.once ? 0 : f->passes.pass[pass].first_row - f->passes.lane_start[0];
}

static crs_status read_window(const text *t, int pass, int64_t offset, int window, crs_batch *batch, crs_error *error) {
    const int64_t left = t->stride - offset;
    batch->steps = left < window ? (int)left : window;
    batch->input.tokens = t->inputs;
    batch->target.tokens = t->targets;
    return crs_reader_window(t->reader[pass], offset, batch->steps, t->inputs, t->targets, error);
}

static crs_status read_once(crs_feed *f, int64_t step, crs_batch *batch, crs_error *error) {
    const crs_feed_plan *plan = &f->plan;
    text *t = f->own;
    const int64_t group = step / group_steps(t->stride, plan),
                  offset = step % group_steps(t->stride, plan) * plan->window;
    const int64_t first = plan->first + group * plan->pass_rows, left = plan->end - first;
    batch->rows = left < plan->pass_rows ? (int)left : plan->pass_rows;
    if (group != t->group) {
        t->group = -1;
        crs_reader_free(&t->reader[0]);
        if (crs_reader_create(&t->reader[0], f->dataset, plan->split, t->stride, first, batch->rows, 1, error))
            return error->status;
        t->group = group;
        for (int row = 0; row < batch->rows; row++)
            t->ids[row] = first + row;
    }
    batch->row_id = t->ids;
    if (offset == 0)
        batch->state_from = t->zero;
    return read_window(t, 0, offset, plan->window, batch, error);
}

static crs_status read_text(crs_feed *f, int64_t step, int pass, crs_batch *batch, crs_error *error) {
    const text *t = f->own;
    if (f->plan.once)
        return read_once(f, step, batch, error);
    const crs_lane_pass *p = &f->passes.pass[pass];
    crs_passes_lane_starts(&f->passes, pass, t->lane_starts);
    batch->rows = p->rows;
    batch->row_id = t->ids + state_row(f, pass);
    batch->lanes = p->lanes;
    batch->lane_starts = t->lane_starts;
    return read_window(t, pass, step % (t->stride / f->plan.window) * f->plan.window, f->plan.window, batch, error);
}

const crs_feed_kind crs_feed_text = {.open = open_text,
                                     .close = close_text,
                                     .steps = steps,
                                     .most = most,
                                     .passes = passes,
                                     .state_row = state_row,
                                     .read = read_text};
