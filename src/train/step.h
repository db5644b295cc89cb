/* One training step over all ranks. Private to room train. */
#ifndef CRS_TRAIN_STEP_H
#define CRS_TRAIN_STEP_H

#include "carousel/train.h"

/* What ranks tell each other in a step's sum, behind the model's own numbers: how many of them ... */
enum {
    CRS_NEWS_BAD,      /* ... failed; set by crs_engine_step */
    CRS_NEWS_SIGNAL,   /* ... were asked by a signal to stop */
    CRS_NEWS_FILE,     /* ... see RUN/stop (rank 0 alone) */
    CRS_NEWS_TIME,     /* ... see --stop-after coming (rank 0's clock, like the next two) */
    CRS_NEWS_SAVE,     /* ... find that it is time to save */
    CRS_NEWS_VALIDATE, /* ... find that it is time to validate */
    CRS_NEWS
};

typedef struct crs_engine_setup {
    /* borrowed for as long as the engine lives */
    crs_comm *comm;
    crs_model *model;
    const crs_shards *shards; /* among the ranks of comm */
    crs_optim *optim;         /* of what this rank owns */
    const crs_kernels *kernels;
    const crs_dataset *dataset;
    /* the rest is copied */
    crs_lanes lanes;
    crs_schedule_plan schedule;
    int64_t windows;
    int window, threads;       /* window 0: whole sequences */
    int pass_rows, pass_pairs; /* about how much goes through the network at once; the bits do not depend on it */
    bool change;
    crs_order order;
    double dropout, input_dropout, input_noise, clip;
    double loss_limit; /* of crs_batch */
    uint64_t seed;
    crs_reduce reduce;
    bool overlap; /* sums are sent while others are still made */
} crs_engine_setup;

/* What a step's time went into at a rank, in seconds; `sending` is that of the step before, which alone is known when
 * the step tells it to the others: of all talking to others, what was not waiting for a slower one. */
typedef struct crs_spent {
    double computing, reading, sending;
} crs_spent;

/* Before it waits for others. */
static inline double crs_spent_busy(const crs_spent *spent) {
    return spent->computing + spent->reading;
}
double crs_spent_longest(const crs_spent *spent, int ranks); /* the busiest rank's; times.c */

/* The same over ranks; waiting: for the slowest of them. rank: that of the most. */
enum { CRS_TIME_COMPUTING, CRS_TIME_READING, CRS_TIME_WAITING, CRS_TIME_SENDING, CRS_TIMES };
typedef struct crs_time {
    double least, mean, most;
    int rank;
} crs_time;
typedef struct crs_times {
    crs_time of[CRS_TIMES];
} crs_times;
void crs_times_of(const crs_spent *spent, int ranks, crs_times *times); /* times.c */

typedef struct crs_engine {
    crs_engine_setup setup;
    crs_feed *feed;
    crs_workspace *workspace;
    size_t states;               /* floats of carried states, 0 where sequences are whole */
    float *state, *state_before; /* [states], [own_rows][crs_model_state]: carried from window to window */
    int64_t *sums;               /* [crs_model_sums + CRS_NEWS] */
    float *gradient;             /* [crs_model_arena] */
    crs_exchange *exchange;
    bool begun;                   /* this step's sums are on their way */
    double *squares, *travelling; /* [rows of all tensors]: in the order of the file, and by owner */
    int *place;                   /* [rows]: where each travels */
    size_t *share_at;             /* [ranks + 1]: the bytes of each owner's */
    int64_t *notes;               /* [ranks][CRS_NOTES] */
    crs_spent *spent;             /* [ranks]: in the last step */
    double reading, sending;      /* of this rank: in this step, in the one before */
    int64_t own_refused;          /* numbers of this rank that were out of range or not finite in the last step */
} crs_engine;

typedef struct crs_outcome {
    int64_t news[CRS_NEWS]; /* summed over ranks */
    int64_t targets, refused;
    double loss; /* the weighted mean; NaN where the step was refused, as the norm, or there was no target */
    double norm, rate;
    double seconds, comm_seconds; /* at this rank */
} crs_outcome;

/* Local; callers agree on the status. The carried state is zero. */
crs_status crs_engine_create(crs_engine *engine, const crs_engine_setup *setup, crs_error *error);
/* Collective where a step was made. */
void crs_engine_free(crs_engine *engine);

/* Collective: step number `step` (from 0). news: this rank's. *error may come with bad news of this rank: then, as
 * where the data can't be read, the rank contributes nothing, and every rank leaves with the same error and nothing
 * changed but the carried state. A step with contributions that are out of range or not finite is refused: parameters
 * and state stay as they were, outcome->refused is above 0. Allocates nothing.
 * Parameters of other ranks may still be on their way: crs_engine_settle before anyone else reads the model. */
crs_status crs_engine_step(crs_engine *engine, int64_t step, const int64_t news[CRS_NEWS], crs_outcome *outcome,
                           crs_error *error);
/* Collective: waits for all parameters. The model is whole, and the same on every rank. */
void crs_engine_settle(crs_engine *engine);

#endif
