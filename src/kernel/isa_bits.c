/* The loss of bits: of each, softplus(z) - y z = ln(1 + e^-|z|) + max(z, 0) - y z; its gradient, logistic(z) - y. */
#include "config.h"

#include "isa.h"

/* So many columns have their factors 1 + e^-|z| <= 2 multiplied before a logarithm is taken: below 2^512. */
enum { MOST = 512 };

/* 16 products and 16 sums of every 16th column in double, by halves of a vector. */
typedef struct totals {
    hd product[2 * PARTS], sum[2 * PARTS];
} totals;

CRS_INLINE void add_columns(float *values, const float *y, int part, totals *to) {
    float exponential[VL] __attribute__((aligned(64))), hinge[VL] __attribute__((aligned(64)));
    vf z = load(values);
    vf e = exp_((vf)((vi)z | (vi)all(-0.0f)));
    store(exponential, e);
    store(hinge, max_(all(0.0f), z)); /* a NaN stays one */
    for (int half = 0; half < 2; half++) {
        const int at = half * HALF;
        to->product[2 * part + half] *= 1.0 + widen(exponential + at);
        to->sum[2 * part + half] += widen(hinge + at) - widen(y + at) * widen(values + at);
    }
    store(values, select(z < all(0.0f), e, all(1.0f)) / (all(1.0f) + e) - load(y));
}

static double loss_of(float *values, const float *y, int padded) {
    totals all_of;
    for (int i = 0; i < 2 * PARTS; i++) {
        all_of.product[i] = 1.0 - (hd){0};
        all_of.sum[i] = (hd){0};
    }
    for (int j = 0; j < padded; j += CRS_BLOCK)
        for (int part = 0; part < PARTS; part++)
            add_columns(values + j + part * VL, y + j + part * VL, part, &all_of);
    double product = 1, sum = 0;
    for (int i = 0; i < 2 * PARTS; i++)
        for (int k = 0; k < HALF; k++) {
            product *= all_of.product[i][k];
            sum += all_of.sum[i][k];
        }
    return crs_log(product) + sum;
}

double CRS_ISA(crs_bits)(float *values, int columns, const float *targets) {
    double loss = 0;
    float y[MOST] __attribute__((aligned(64)));
    for (int first = 0; first < columns; first += MOST) {
        const int n = columns - first < MOST ? columns - first : MOST;
        const int padded = (n + CRS_BLOCK - 1) / CRS_BLOCK * CRS_BLOCK;
        memcpy(y, targets + first, (size_t)n * sizeof *y);
        for (int j = n; j < padded; j++) { /* what adds nothing, and has no gradient */
            values[first + j] = -1000.0f;
            y[j] = 0.0f;
        }
        loss += loss_of(values + first, y, padded);
    }
    return loss;
}
