/* Heads: from what the output layer says to a loss and its gradient. Private to the room nn.
 *
 * A head is called with a block of pairs, never with an element. A new one is a file with its crs_head, and a line in
 * heads[] of head.c. */
#ifndef CRS_HEAD_H
#define CRS_HEAD_H

#include "nn/model.h"

/* Neighbouring pairs of a batch. */
typedef struct crs_head_block {
    int pairs, outputs;
    float *values; /* [pairs][row]: outputs become gradients of the loss, their padding 0 */
    ptrdiff_t row;
    const crs_batch *batch;
    ptrdiff_t first; /* the pair of the batch that values begins with */
} crs_head_block;

struct crs_head {
    /* Adds loss, targets and what was refused (crs_sum_loss) to losses[CRS_SUM_TRAILER]. */
    void (*loss)(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses);
};

extern const crs_head crs_head_softmax;
const crs_head *crs_head_of(crs_head_kind kind);

/* Adds a target's loss, rounded to steps of 2^-32 as the kernels round. A loss of thousands of nats is a diverged
 * model's, and refused: the sum over half a million targets stays in range. */
static inline void crs_sum_loss(double loss, int64_t *losses) {
    losses[CRS_SUM_TARGETS]++;
    losses[CRS_SUM_WEIGHT] += INT64_C(1) << 32;
    if (!(loss < 0x1p12 && loss > -0x1p12)) {
        losses[CRS_SUM_REFUSED]++;
        return;
    }
    const int64_t fixed = (int64_t)(loss * 0x1p32 + (loss < 0 ? -0.5 : 0.5));
    losses[CRS_SUM_LOSS] = (int64_t)((uint64_t)losses[CRS_SUM_LOSS] + (uint64_t)fixed);
}

#endif
