/* Where training begins for bits: the output says at first how often each of them is set. */
#include "config.h"

#include "train/training.h"

/* Shares are held this far from 0 and 1, whose logarithms would be infinite. */
static const double least_share = 1e-4;

/* Of a batch's targets: how many there are, and how often each bit is set. */
static void count(const crs_batch *batch, const crs_spec *spec, int64_t *set) {
    const bool by_step = spec->alignment == CRS_ALIGN_STEP;
    const ptrdiff_t targets = by_step ? crs_pair(batch, batch->steps, 0) : batch->rows;
    for (ptrdiff_t i = 0; i < targets; i++) {
        if (batch->weight && !(batch->weight[i] > 0))
            continue;
        set[spec->outputs]++;
        for (int k = 0; k < spec->outputs; k++)
            set[k] += batch->target.numbers[i * spec->outputs + k] > 0;
    }
}

/* This rank's share of the training split. set: [outputs + 1], the last of them targets. Local. */
static crs_status count_own(const crs_training *t, int64_t *set, crs_error *error) {
    enum { ROWS = 64, PAIRS = 1 << 14 };
    const crs_spec *spec = &t->plan.spec;
    const int64_t rows = t->dataset.sequences[CRS_TRAIN].count, rank = crs_comm_rank(t->comm),
                  ranks = crs_comm_size(t->comm);
    const crs_feed_plan plan = {.split = CRS_TRAIN,
                                .once = true,
                                .first = rows * rank / ranks,
                                .end = rows * (rank + 1) / ranks,
                                .pass_rows = ROWS,
                                .pass_pairs = PAIRS};
    crs_feed *feed = NULL;
    if (plan.first == plan.end || crs_feed_open(&feed, &t->dataset, &plan, error))
        return error->status;
    for (int64_t step = 0; step < crs_feed_steps(feed) && error->status == CRS_OK; step++) {
        crs_batch batch = {0};
        if (crs_feed_read(feed, step, 0, &batch, error) == CRS_OK)
            count(&batch, spec, set);
    }
    crs_feed_close(&feed);
    return error->status;
}

crs_status crs_training_start_bits(crs_training *t, crs_error *error) {
    const size_t outputs = (size_t)t->plan.spec.outputs;
    int64_t *set = crs_alloc_or_fail(outputs + 1, sizeof *set, CRS_MEMORY_OTHER, "the shares of bits", error);
    float *bias = crs_alloc_or_fail(outputs, sizeof *bias, CRS_MEMORY_OTHER, "the shares of bits", error);
    if (set && bias)
        count_own(t, set, error);
    if (crs_comm_agree(t->comm, error) == CRS_OK) {
        crs_comm_sum(t->comm, set, outputs + 1);
        for (size_t k = 0; k < outputs; k++) {
            const double share = set[outputs] > 0 ? (double)set[k] / (double)set[outputs] : 0.5;
            const double p = share < least_share ? least_share : share > 1 - least_share ? 1 - least_share : share;
            bias[k] = (float)(crs_log(p) - crs_log(1 - p));
        }
        crs_model_set_output_bias(t->model, bias);
        crs_model_refresh(t->model);
    }
    crs_free(&set);
    crs_free(&bias);
    return error->status;
}
