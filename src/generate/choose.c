/* One token from logits. */
#include "config.h"

#include <stdlib.h>

#include "carousel/generate.h"

static int by_probability(const void *left, const void *right) {
    const crs_candidate *a = left, *b = right;
    if (a->probability != b->probability)
        return a->probability < b->probability ? 1 : -1;
    return (a->token > b->token) - (a->token < b->token);
}

static uint32_t likeliest(const float *logits, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* How many of the sorted candidates are left, and the sum of their probabilities (not yet divided by `total`). */
static uint32_t cut(const crs_candidate *sorted, uint32_t count, int64_t top_k, double top_p, double total,
                    double *sum) {
    const uint32_t most = top_k > 0 && top_k < (int64_t)count ? (uint32_t)top_k : count;
    uint32_t left = 0;
    *sum = 0;
    while (left < most && (left == 0 || *sum < top_p * total || top_p >= 1))
        *sum += sorted[left++].probability;
    return left;
}

uint32_t crs_choose(const float *logits, uint32_t count, double temperature, int64_t top_k, double top_p, double u,
                    crs_candidate *scratch) {
    const uint32_t best = likeliest(logits, count);
    if (temperature == 0)
        return best;
    double total = 0, sum;
    for (uint32_t i = 0; i < count; i++) {
        const double x = ((double)logits[i] - (double)logits[best]) / temperature;
        scratch[i] = (crs_candidate){x > -700 ? crs_exp(x) : 0, i};
        total += scratch[i].probability;
    }
    qsort(scratch, count, sizeof *scratch, by_probability);
    const uint32_t left = cut(scratch, count, top_k, top_p, total, &sum);
    double rest = u * sum;
    for (uint32_t i = 0; i + 1 < left; i++) {
        rest -= scratch[i].probability;
        if (rest < 0)
            return scratch[i].token;
    }
    return scratch[left - 1].token;
}
