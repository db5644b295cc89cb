/* The heads of real numbers: squared, absolute, Huber's error; Gaussian, whose outputs are means and then logarithms of
 * variances. Sums over numbers are of 16 interleaved parts in double. */
#include "config.h"

#include <math.h>

#include "nn/head.h"

static double total_of(const double part[CRS_BLOCK]) {
    double total = 0;
    for (int i = 0; i < CRS_BLOCK; i++)
        total += part[i];
    return total;
}

static float sign_of(float e) {
    return e > 0 ? 1.0f : e < 0 ? -1.0f : 0.0f;
}

static double fit_squared(const crs_kernels *kernels, float *values, const float *target, int numbers) {
    double part[CRS_BLOCK] = {0};
    (void)kernels;
    for (int j = 0; j < numbers; j += CRS_BLOCK)
        for (int i = 0; i < CRS_BLOCK && j + i < numbers; i++) {
            const float e = values[j + i] - target[j + i];
            part[i] += (double)e * (double)e;
            values[j + i] = 2 * e;
        }
    return total_of(part);
}

static double fit_absolute(const crs_kernels *kernels, float *values, const float *target, int numbers) {
    double part[CRS_BLOCK] = {0};
    (void)kernels;
    for (int j = 0; j < numbers; j += CRS_BLOCK)
        for (int i = 0; i < CRS_BLOCK && j + i < numbers; i++) {
            const float e = values[j + i] - target[j + i];
            part[i] += fabs((double)e);
            values[j + i] = sign_of(e);
        }
    return total_of(part);
}

/* Squared within 1 of the target, and goes on as a straight line. */
static double fit_huber(const crs_kernels *kernels, float *values, const float *target, int numbers) {
    double part[CRS_BLOCK] = {0};
    (void)kernels;
    for (int j = 0; j < numbers; j += CRS_BLOCK)
        for (int i = 0; i < CRS_BLOCK && j + i < numbers; i++) {
            const float e = values[j + i] - target[j + i];
            const double size = fabs((double)e);
            part[i] += size <= 1 ? 0.5 * size * size : size - 0.5;
            values[j + i] = size <= 1 ? e : sign_of(e);
        }
    return total_of(part);
}

/* 0.5 (ln 2pi + v + e^2 / exp v), e the error of the mean. */
static double fit_gaussian(const crs_kernels *kernels, float *values, const float *target, int numbers) {
    static const double ln_2pi = 0x1.d67f1c864beb5p0;
    double part[CRS_BLOCK] = {0};
    float precision[CRS_BLOCK] __attribute__((aligned(64)));
    float *log_variance = values + numbers;
    for (int j = 0; j < numbers; j += CRS_BLOCK) {
        for (int i = 0; i < CRS_BLOCK; i++)
            precision[i] = j + i < numbers ? -log_variance[j + i] : 0.0f;
        kernels->activation[CRS_ACTIVATION_EXP](precision, CRS_BLOCK);
        for (int i = 0; i < CRS_BLOCK && j + i < numbers; i++) {
            const float e = values[j + i] - target[j + i];
            const double squares = (double)e * (double)e * (double)precision[i];
            part[i] += 0.5 * (ln_2pi + (double)log_variance[j + i] + squares);
            values[j + i] = e * precision[i];
            log_variance[j + i] = (float)(0.5 - 0.5 * squares);
        }
    }
    return total_of(part);
}

/* Every number counts. */
static void squared(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses) {
    crs_head_fit(kernels, block, fit_squared, block->outputs, block->outputs, losses);
}
static void absolute(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses) {
    crs_head_fit(kernels, block, fit_absolute, block->outputs, block->outputs, losses);
}
static void huber(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses) {
    crs_head_fit(kernels, block, fit_huber, block->outputs, block->outputs, losses);
}
static void gaussian(const crs_kernels *kernels, const crs_head_block *block, int64_t *losses) {
    crs_head_fit(kernels, block, fit_gaussian, block->outputs / 2, block->outputs / 2, losses);
}

const crs_head crs_head_mse = {.loss = squared};
const crs_head crs_head_mae = {.loss = absolute};
const crs_head crs_head_huber = {.loss = huber};
const crs_head crs_head_gaussian = {.loss = gaussian};
