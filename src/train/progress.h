/* What a person sees while a run trains. Private to room train; rank 0 alone. Local. */
#ifndef CRS_TRAIN_PROGRESS_H
#define CRS_TRAIN_PROGRESS_H

#include "carousel/base.h"

typedef struct crs_progress {
    int64_t total, windows; /* steps of the run, of an epoch */
    const char *unit;       /* "bits/char"; NULL: the loss is no nats of tokens */
    const char *speed_unit; /* "tokens/s" */
    double shown;           /* when the last line was */
    double interval;        /* seconds to the next */
    double loss, weight;    /* smoothed: a weighted sum and the sum of its weights */
    double pace;            /* seconds a step, smoothed; 0: not known yet */
    int64_t step;           /* of the last line */
    double tokens_step;     /* tokens a step */
} crs_progress;

/* unit, speed_unit: as above. */
void crs_progress_start(crs_progress *progress, int64_t step, int64_t total, int64_t windows, double tokens_step,
                        const char *unit, const char *speed_unit);
/* After a step: shows something now and then. loss may be NaN. */
void crs_progress_step(crs_progress *progress, int64_t step, double loss);

#endif
