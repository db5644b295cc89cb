/* One token from logits. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "carousel/generate.h"

/* A total order, so that every sort gives the same. */
static int by_probability(const void *left, const void *right) {
    const crs_candidate *a = left, *b = right;
    if (a->probability != b->probability)
        return a->probability < b->probability ? 1 : -1;
    return (a->token > b->token) - (a->token < b->token);
}

/* The lowest token of the greatest logit; one that is not a number is no candidate. */
static uint32_t likeliest(const float *logits, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (logits[i] > logits[best] || isnan(logits[best]))
            best = i;
    return isnan(logits[best]) ? 0 : best;
}

/* In proportion to its probability; the greatest has 1. */
static double weigh(float logit, float greatest, double temperature) {
    if (logit == greatest)
        return 1; /* also where both are infinite */
    const double x = ((double)logit - (double)greatest) / temperature;
    return x > -700 ? crs_exp(x) : 0;
}

/* How many of the sorted candidates are left, and their sum. One that has no probability at all is never left. */
static uint32_t cut(const crs_candidate *sorted, uint32_t count, int64_t top_k, double top_p, double *sum) {
    const uint32_t most = top_k > 0 && top_k < (int64_t)count ? (uint32_t)top_k : count;
    uint32_t left = 0;
    *sum = 0;
    while (left < most && sorted[left].probability > 0 && (left == 0 || *sum < top_p))
        *sum += sorted[left++].probability;
    return left;
}

uint32_t crs_choose(const float *logits, uint32_t count, double temperature, int64_t top_k, double top_p, double u,
                    crs_candidate *scratch) {
    const uint32_t best = likeliest(logits, count);
    double total = 0, sum;
    if (temperature == 0 || isnan(logits[best]))
        return best;
    for (uint32_t i = 0; i < count; i++) {
        scratch[i] = (crs_candidate){weigh(logits[i], logits[best], temperature), i};
        total += scratch[i].probability;
    }
    for (uint32_t i = 0; i < count; i++)
        scratch[i].probability /= total;
    qsort(scratch, count, sizeof *scratch, by_probability);
    /* Rounding must not cut where nothing is to be cut: the sum of all may be a little less than 1. */
    const uint32_t left = cut(scratch, count, top_k, top_p < 1 ? top_p : INFINITY, &sum);
    double rest = u * sum;
    for (uint32_t i = 0; i + 1 < left; i++) {
        rest -= scratch[i].probability;
        if (rest < 0)
            return scratch[i].token;
    }
    return scratch[left - 1].token;
}
