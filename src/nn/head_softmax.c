/* The head of one class of many: softmax, and -ln of the right one's probability. */
#include "config.h"

#include "nn/head.h"

static void loss(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses) {
    const uint32_t *target = block->batch->target.tokens + block->first;
    for (int i = 0; i < block->pairs; i++)
        if (crs_head_has_target(block, i))
            crs_head_add(block, i, kernels->softmax(block->values + i * block->row, block->outputs, target[i]), 1,
                         losses);
}

const crs_head crs_head_softmax = {.loss = loss};
