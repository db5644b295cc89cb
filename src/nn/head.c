/* The heads that there are, and what they have in common: targets with weights. */
#include "config.h"

#include <string.h>

#include "nn/head.h"

static const crs_head *const heads[CRS_HEADS] = {
    [CRS_HEAD_SOFTMAX] = &crs_head_softmax, [CRS_HEAD_LOGISTIC] = &crs_head_logistic,
    [CRS_HEAD_MSE] = &crs_head_mse,         [CRS_HEAD_MAE] = &crs_head_mae,
    [CRS_HEAD_HUBER] = &crs_head_huber,     [CRS_HEAD_GAUSSIAN] = &crs_head_gaussian,
};

const crs_head *crs_head_of(crs_head_kind kind) {
    return heads[kind];
}

bool crs_head_has_target(const crs_head_block *block, int i) {
    const float *weight = block->batch->weight;
    if (!weight || weight[block->first + i] != 0)
        return true;
    memset(block->values + i * block->row, 0, (size_t)block->row * sizeof *block->values);
    return false;
}

/* In steps of 2^-32, rounded as the kernels round. */
static int64_t fixed(double x) {
    return (int64_t)(x * 0x1p32 + (x < 0 ? -0.5 : 0.5));
}

static void add(int64_t *sum, double x) {
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)fixed(x));
}

void crs_head_add(const crs_head_block *block, int i, double loss, int numbers, int64_t *losses) {
    static const double default_limit = 0x1p12, most_weight = 0x1p19;
    const crs_batch *b = block->batch;
    const float weight = b->weight ? b->weight[block->first + i] : 1.0f;
    const double limit = b->loss_limit > 0 ? b->loss_limit : default_limit, share = (double)weight * numbers;
    losses[CRS_SUM_TARGETS]++;
    if (weight != 1.0f) {
        float *gradient = block->values + i * block->row;
        for (int j = 0; j < block->outputs; j++)
            gradient[j] *= weight;
        loss *= (double)weight;
    }
    if (!(loss < limit && loss > -limit && share < most_weight)) {
        losses[CRS_SUM_REFUSED]++;
        return;
    }
    add(&losses[CRS_SUM_WEIGHT], share);
    add(&losses[CRS_SUM_LOSS], loss);
}

void crs_head_fit(const crs_kernels *kernels, const crs_head_block *block, crs_fit *fit, int numbers, int counted,
                  int64_t *losses) {
    const float *target = block->batch->target.numbers + block->first * numbers;
    for (int i = 0; i < block->pairs; i++) {
        float *values = block->values + i * block->row;
        if (!crs_head_has_target(block, i))
            continue;
        const double loss = fit(kernels, values, target + (ptrdiff_t)i * numbers, numbers);
        memset(values + block->outputs, 0, (size_t)(block->row - block->outputs) * sizeof *values);
        crs_head_add(block, i, loss, counted, losses);
    }
}
