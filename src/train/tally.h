/* What a model says of a split, counted beside the truth: accuracy, confusion, precision, errors by column; and what
 * the simplest guess would have had. Private to room train.
 *
 * All that is summed is whole numbers, so that the figures have the same bits at any number of ranks, threads and
 * passes. */
#ifndef CRS_TRAIN_TALLY_H
#define CRS_TRAIN_TALLY_H

#include "carousel/train.h"

/* A sum of real numbers in fixed point: whole + part * 2^-48. Each term is rounded to that once; beyond 2^40 it counts
 * as 2^40. Parts may be added in any grouping: the same bits come of it. */
typedef struct crs_fixed {
    int64_t whole, part; /* 0 <= part < 2^48 */
} crs_fixed;

void crs_fixed_add(crs_fixed *sum, double term);
double crs_fixed_real(const crs_fixed *sum);

/* Sums of a column of values. guess: what is off where the mean is said (0, as all is scaled), or, in a forecast, the
 * last value of the context. */
enum {
    CRS_OFF_SQUARE,
    CRS_OFF_ABSOLUTE,
    CRS_TRUE,
    CRS_TRUE_SQUARE,
    CRS_GUESS_SQUARE,
    CRS_GUESS_ABSOLUTE,
    CRS_OF_VALUE
};

/* The last values of the context that a forecast's target i of a batch is relative to ([K]; --change), or NULL. */
typedef const float *crs_last_values(void *context, const crs_batch *batch, ptrdiff_t i);

typedef struct crs_tally {
    const crs_schema *schema; /* borrowed */
    crs_last_values *last;    /* forecasts alone; NULL: batches are not relative */
    void *last_context;
    bool confuses; /* of classes: what is said is counted by class */
    int columns;   /* classes, tokens, bits, or target columns */
    /* Owned, one flat array; what follows points into it. */
    size_t numbers;
    int64_t *number;
    int64_t *targets;   /* [1]: of a weight above 0 */
    int64_t *hits;      /* bits: [3], said and true, said alone, true alone */
    int64_t *ones;      /* bits: [columns], how often each is 1 */
    int64_t *confusion; /* classes: [true][said] */
    crs_fixed *weight;  /* [1]: of all targets */
    crs_fixed *sum;     /* classes, tokens: [columns], weight by true class; bits: [columns], weight times bit; values:
                           [columns][CRS_OF_VALUE], times weight */
} crs_tally;

/* truth_alone: nothing is said, the truth is counted (for shares). CRS_INTERNAL: out of memory. */
crs_status crs_tally_create(crs_tally *tally, const crs_schema *schema, bool truth_alone, crs_error *error);
void crs_tally_free(crs_tally *tally);
/* Targets first .. first + count - 1 of a batch, as crs_said has them; outputs NULL: the truth alone. */
void crs_tally_take(crs_tally *tally, const crs_batch *batch, ptrdiff_t first, int count, const float *outputs,
                    ptrdiff_t row);
/* The same, for crs_said: context is a crs_tally. */
void crs_tally_said(void *context, const crs_batch *batch, ptrdiff_t first, int count, const float *outputs,
                    ptrdiff_t row);
/* The share with which training has a bit, as a probability: what it never (or always) has is not held for impossible.
 * So the simplest guess has it, and what the output's bias begins with. */
double crs_held_share(double share);
/* Of the greatest output; of equal ones the first. */
int crs_likeliest(const float *outputs, int count);
/* Sums over ranks. Collective. */
void crs_tally_sum(crs_comm *comm, crs_tally *tally);

/* The figures of what has been summed, and with training (the truth of the training split, or NULL) those of guessing
 * by it, to *evaluation, which takes ownership of what it points to there: all but sequences, loss and seconds. */
crs_status crs_tally_figures(const crs_tally *tally, const crs_tally *training, crs_evaluation *evaluation,
                             crs_error *error);

#endif
