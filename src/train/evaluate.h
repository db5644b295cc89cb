/* The exact loss of a whole split. Private to room train. */
#ifndef CRS_TRAIN_EVALUATE_H
#define CRS_TRAIN_EVALUATE_H

#include "train/step.h"

/* A sum of losses of any length: nats = high + low * 2^-32. Parts may be added in any grouping; crs_total_nats gives
 * the same bits. */
typedef struct crs_total {
    int64_t high, low, targets, refused;
    int64_t weight_high, weight_low; /* the sum of weights, likewise */
} crs_total;

/* Adds a trailer of crs_model_evaluate, and makes it zero. Local. */
void crs_total_fold(crs_total *total, int64_t trailer[CRS_SUM_TRAILER]);
double crs_total_nats(const crs_total *total);
/* Divided by the sum of weights. */
double crs_total_mean(const crs_total *total);

/* Asked between passes, on every rank: sets CRS_NEWS_SIGNAL or CRS_NEWS_TIME of this rank's news to 1 to give up. */
typedef void crs_listen(void *context, int64_t news[CRS_NEWS]);

/* As crs_evaluate, but losses that are out of range or not finite are counted in total->refused, and are no error.
 * listen: NULL where nobody wants to end it; where a rank does, all leave with CRS_STOPPED within a second or a pass,
 * and news is what they said, summed. Collective. */
crs_status crs_evaluate_total(crs_comm *comm, crs_model *model, const crs_dataset *dataset, crs_split split,
                              int64_t streams, crs_listen *listen, void *context, int64_t news[CRS_NEWS],
                              crs_total *total, crs_error *error);

/* How a split is read once: all but first and end. streams: of a text. Local. */
crs_feed_plan crs_evaluation_feed(const crs_model *model, const crs_dataset *dataset, crs_split split, int64_t streams);

/* That no target of a split counts (CRS_DATA). */
crs_status crs_evaluation_fail_empty(const crs_dataset *dataset, crs_split split, crs_error *error);

/* Takes each batch of this rank's share of the training split, read once: so many targets. Local. */
typedef void crs_take_targets(void *context, const crs_batch *batch, int targets);
crs_status crs_each_training_batch(crs_comm *comm, const crs_dataset *dataset, crs_take_targets *take, void *context,
                                   crs_error *error);

#endif
