/* Feeds: today's one kind, a split of tokens cut into streams. */
#include "config.h"

#include "data/reader.h"

struct crs_feed {
    crs_feed_plan plan;
    crs_feed_pass *pass;        /* [passes], owned */
    crs_reader **reader;        /* [passes], owned */
    int64_t **row_id;           /* [passes], into ids */
    int64_t *ids;               /* owned */
    uint32_t *inputs, *targets; /* [window][rows of the largest pass], owned */
};

/* Room for a list of each pass's rows, and for the tokens of the largest. */
static bool allocate(crs_feed *f) {
    const size_t passes = (size_t)f->plan.passes;
    size_t all = 0, largest = 0;
    f->pass = crs_alloc(passes, sizeof *f->pass, CRS_MEMORY_DATA);
    f->reader = crs_alloc(passes, sizeof *f->reader, CRS_MEMORY_DATA);
    f->row_id = crs_alloc(passes, sizeof *f->row_id, CRS_MEMORY_DATA);
    if (!f->pass || !f->reader || !f->row_id)
        return false;
    for (size_t p = 0; p < passes; p++) {
        f->pass[p] = f->plan.pass[p];
        const size_t rows = (size_t)f->pass[p].rows;
        largest = rows > largest ? rows : largest;
        all += rows;
    }
    f->ids = crs_alloc(all, sizeof *f->ids, CRS_MEMORY_DATA);
    f->inputs = crs_alloc((size_t)f->plan.window * largest, sizeof *f->inputs, CRS_MEMORY_DATA);
    f->targets = crs_alloc((size_t)f->plan.window * largest, sizeof *f->targets, CRS_MEMORY_DATA);
    int64_t *id = f->ids;
    for (size_t p = 0; p < passes && f->ids; p++) {
        f->row_id[p] = id;
        for (int row = 0; row < f->pass[p].rows; row++)
            *id++ = f->pass[p].first_row + row;
    }
    return f->ids && f->inputs && f->targets;
}

crs_status crs_feed_open(crs_feed **feed, const crs_dataset *dataset, const crs_feed_plan *plan, crs_error *error) {
    CRS_ASSERT(plan->window >= 1 && plan->stride >= 1);
    crs_feed *f = *feed = crs_alloc_or_fail(1, sizeof *f, CRS_MEMORY_DATA, "reading the data", error);
    if (!f)
        return error->status;
    f->plan = *plan;
    crs_status status = CRS_OK;
    if (!allocate(f))
        status = crs_fail(error, CRS_INTERNAL, "out of memory for the tokens of a step");
    for (int p = 0; p < plan->passes && !status; p++)
        status = crs_reader_create(&f->reader[p], dataset, plan->split, plan->stride, f->pass[p].first_row,
                                   f->pass[p].rows, plan->passes, error);
    if (status)
        crs_feed_close(feed);
    return status;
}

void crs_feed_close(crs_feed **feed) {
    crs_feed *f = *feed;
    if (!f)
        return;
    for (int p = 0; p < f->plan.passes && f->reader; p++)
        crs_reader_free(&f->reader[p]);
    crs_free(&f->pass);
    crs_free(&f->reader);
    crs_free(&f->row_id);
    crs_free(&f->ids);
    crs_free(&f->inputs);
    crs_free(&f->targets);
    crs_free(feed);
}

int64_t crs_feed_steps(const crs_feed *f) {
    return (f->plan.stride + (f->plan.rest ? f->plan.window - 1 : 0)) / f->plan.window;
}

crs_status crs_feed_read(crs_feed *f, int64_t step, int pass, crs_batch *batch, crs_error *error) {
    const int64_t offset = step % crs_feed_steps(f) * f->plan.window, left = f->plan.stride - offset;
    batch->steps = left < f->plan.window ? (int)left : f->plan.window;
    batch->rows = f->pass[pass].rows;
    batch->row_id = f->row_id[pass];
    batch->input.tokens = f->inputs;
    batch->target.tokens = f->targets;
    return crs_reader_window(f->reader[pass], offset, batch->steps, f->inputs, f->targets, error);
}
