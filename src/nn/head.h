/* Heads: from what the output layer says to a loss and its gradient. Private to the room nn.
 *
 * A head is called with a block of targets, never with an element. A new one is a file with its crs_head, and a line in
 * heads[] of head.c. */
#ifndef CRS_HEAD_H
#define CRS_HEAD_H

#include "nn/model.h"

/* Neighbouring pairs (by sequence: rows) of a batch. */
typedef struct crs_head_block {
    int pairs, outputs;
    float *values; /* [pairs][row]: outputs become gradients of the loss, their padding 0 */
    ptrdiff_t row;
    const crs_batch *batch;
    ptrdiff_t first; /* the pair of the batch that values begins with */
} crs_head_block;

struct crs_head {
    /* Adds loss, targets, weights and what was refused to losses[CRS_SUM_TRAILER]. */
    void (*loss)(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses);
};

extern const crs_head crs_head_softmax, crs_head_logistic, crs_head_mse, crs_head_mae, crs_head_huber,
    crs_head_gaussian;
const crs_head *crs_head_of(crs_head_kind kind);

/* Whether pair number i of a block has a target; where it has none, its gradient becomes 0. */
bool crs_head_has_target(const crs_head_block *block, int i);
/* Adds a target's loss, and weighs it and the gradient that stands there by now. A loss beyond the batch's limit is a
 * diverged model's, and refused: so the sum over all targets stays in range. numbers: that it counts for. */
void crs_head_add(const crs_head_block *block, int i, double loss, int numbers, int64_t *losses);

/* A target of `numbers` numbers: values, of which there may be more, become gradients; returns the loss. */
typedef double crs_fit(const crs_kernels *kernels, float *values, const float *target, int numbers);
/* The same for each target of a block, padding and weights as crs_head_add has them. */
void crs_head_fit(const crs_kernels *kernels, const crs_head_block *block, crs_fit *fit, int numbers, int counted,
                  int64_t *losses);

#endif
