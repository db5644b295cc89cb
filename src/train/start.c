/* Where training begins for bits: the output's bias knows in part how often each of them is set. Without it the first
 * hundreds of steps only learn that bits are rare; with all of it Adam's second moments are small from the first step
 * on, and a high rate overfits soon (docs/tasks.md). */
#include "config.h"

#include "train/evaluate.h"
#include "train/tally.h"
#include "train/training.h"

/* Of the log odds, in streams. Whole sequences are few to an epoch and soon overfitted: as any other bias begins. */
static const double stream_part = 0.5;

typedef struct shares {
    int outputs;
    int64_t *set; /* [outputs + 1]: how often each bit is, and how many targets there are */
} shares;

/* Whatever their weights, but for those of none. */
static void count(void *context, const crs_batch *batch, int targets) {
    const shares *s = context;
    for (ptrdiff_t i = 0; i < targets; i++) {
        if (batch->weight && !(batch->weight[i] > 0))
            continue;
        s->set[s->outputs]++;
        for (int k = 0; k < s->outputs; k++)
            s->set[k] += batch->target.numbers[i * s->outputs + k] > 0;
    }
}

crs_status crs_training_start_bits(crs_training *t, crs_error *error) {
    const bool given = t->config->output_bias >= 0;
    const double part = given ? t->config->output_bias : stream_part;
    if (!given && t->config->window == 0) /* it stays as it was drawn */
        return CRS_OK;
    const size_t outputs = (size_t)t->plan.spec.outputs;
    int64_t *set = crs_alloc_or_fail(outputs + 1, sizeof *set, CRS_MEMORY_OTHER, "the shares of bits", error);
    float *bias = crs_alloc_or_fail(outputs, sizeof *bias, CRS_MEMORY_OTHER, "the shares of bits", error);
    shares own = {(int)outputs, set};
    if (set && bias)
        crs_each_training_batch(t->comm, &t->dataset, count, &own, error);
    if (crs_comm_agree(t->comm, error) == CRS_OK) {
        crs_comm_sum(t->comm, set, outputs + 1);
        for (size_t k = 0; k < outputs; k++) {
            const double p = crs_held_share(set[outputs] > 0 ? (double)set[k] / (double)set[outputs] : 0.5);
            bias[k] = (float)(part * (crs_log(p) - crs_log(1 - p)));
        }
        crs_model_set_output_bias(t->model, bias);
        crs_model_refresh(t->model);
    }
    crs_free(&set);
    crs_free(&bias);
    return error->status;
}
