/* The heads that there are. */
#include "config.h"

#include "nn/head.h"

/* One of the classes is right: softmax, -ln of its probability. */
static void softmax_loss(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses) {
    const uint32_t *target = block->batch->target.tokens + block->first;
    for (int i = 0; i < block->pairs; i++)
        crs_sum_loss(kernels->softmax(block->values + i * block->row, block->outputs, target[i]), losses);
}

const crs_head *crs_head_of(crs_head_kind kind) {
    static const crs_head heads[CRS_HEADS] = {[CRS_HEAD_SOFTMAX] = {.loss = softmax_loss}};
    return &heads[kind];
}
