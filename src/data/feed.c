/* Feeds: one of a kind is opened, and asked. */
#include "config.h"

#include "data/feed.h"
#include "data/segments.h"

static const crs_feed_kind *kind_of(const crs_dataset *dataset, const crs_feed_plan *plan) {
    if (dataset->text) {
        CRS_ASSERT(plan->window >= 1);
        return &crs_feed_text;
    }
    return plan->once ? &crs_feed_once : plan->window > 0 ? &crs_feed_streams : &crs_feed_whole;
}

crs_status crs_feed_open(crs_feed **feed, const crs_dataset *dataset, const crs_feed_plan *plan, crs_error *error) {
    crs_feed *f = *feed = crs_alloc_or_fail(1, sizeof *f, CRS_MEMORY_DATA, "reading the data", error);
    if (!f)
        return error->status;
    *f = (crs_feed){.kind = kind_of(dataset, plan), .dataset = dataset, .plan = *plan};
    f->plan.lane_start = NULL;
    crs_status status = CRS_OK;
    if (!plan->once && !crs_passes_create(&f->passes, plan->lanes, plan->lane_start))
        status = crs_fail(error, CRS_INTERNAL, "out of memory for the plan of a step");
    if (!status)
        status = f->kind->open(f, error);
    if (!status && f->kind->steps)
        f->steps = f->kind->steps(dataset, plan);
    if (status)
        crs_feed_close(feed);
    return status;
}

double crs_feed_memory(const crs_dataset *dataset, const crs_feed_plan *plan) {
    const crs_feed_kind *kind = kind_of(dataset, plan);
    if (dataset->text || dataset->sequences[plan->split].count == 0)
        return 0;
    return crs_segments_memory(dataset, plan->split) + (kind->order_memory ? kind->order_memory(dataset, plan) : 0);
}

void crs_feed_close(crs_feed **feed) {
    if (!*feed)
        return;
    if ((*feed)->own)
        (*feed)->kind->close(*feed);
    crs_free(&(*feed)->own);
    crs_passes_free(&(*feed)->passes);
    crs_free(feed);
}

int64_t crs_feed_steps(const crs_feed *feed) {
    return feed->steps;
}

crs_feed_size crs_feed_most(const crs_feed *feed) {
    return feed->kind->most(feed);
}

int crs_feed_passes(crs_feed *feed, int64_t step) {
    return feed->kind->passes(feed, step);
}

int crs_feed_state_row(const crs_feed *feed, int pass) {
    return feed->kind->state_row(feed, pass);
}

crs_status crs_feed_read(crs_feed *feed, int64_t step, int pass, crs_batch *batch, crs_error *error) {
    return feed->kind->read(feed, step, pass, batch, error);
}

int64_t crs_epoch_steps(const crs_dataset *dataset, const crs_feed_plan *plan) {
    const crs_feed_kind *kind = kind_of(dataset, plan);
    CRS_ASSERT(kind->steps); /* what is read once of sequences takes a feed to tell */
    return kind->steps(dataset, plan);
}

crs_feed_place crs_feed_place_of(const crs_feed *feed, const crs_batch *batch, ptrdiff_t i) {
    CRS_ASSERT(feed->kind->place);
    return feed->kind->place(feed, batch, i);
}
