/* The head of bits, each by itself: logistic, and -ln of the right one's probability. */
#include "config.h"

#include "nn/head.h"

static double fit(const crs_kernels *kernels, float *values, const float *target, int numbers) {
    return kernels->bits(values, numbers, target);
}

static void loss(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses) {
    crs_head_fit(kernels, block, fit, block->outputs, 1, losses);
}

const crs_head crs_head_logistic = {.loss = loss};
