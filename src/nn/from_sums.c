/* From the total of the exact sums to the gradient of the mean loss. */
#include "config.h"

#include "nn/model.h"

typedef struct conversion {
    const crs_model *m;
    const int64_t *sums;
    size_t count;
    double factor;
    float *out;
} conversion;

static void convert_share(void *context, int thread, int threads) {
    const conversion *c = context;
    const size_t blocks = c->count / CRS_BLOCK, of = (size_t)threads, share = (size_t)thread;
    const size_t from = blocks * share / of * CRS_BLOCK, to = blocks * (share + 1) / of * CRS_BLOCK;
    c->m->kernels->from_fixed(c->sums + from, to - from, c->factor, c->out + from);
}

void crs_convert(const crs_model *m, const int64_t *sums, size_t count, double factor, float *out) {
    enum { WORTH_THREADS = 1 << 16 };
    CRS_ASSERT(count % CRS_BLOCK == 0);
    conversion c = {m, sums, count, factor, out};
    crs_parallel(count > WORTH_THREADS ? m->threads : 1, convert_share, &c);
}

void crs_model_gradient(crs_model *m, const int64_t *sums, float *gradient) {
    const double weight = (double)sums[m->sums - CRS_SUM_TRAILER + CRS_SUM_WEIGHT] * CRS_SUM_STEP;
    const double factor = CRS_SUM_STEP / (weight > 0 ? weight : 1);
    for (int p = 0; p < m->parts; p++) {
        const crs_part *part = m->part[p];
        for (int i = 0; i < part->slices; i++)
            if (part->slice[i].summed)
                crs_convert(m, sums + part->slice[i].sum, part->slice[i].count, factor,
                            gradient + part->slice[i].arena);
        if (part->kind->gradient)
            part->kind->gradient(m, part, sums, factor, gradient);
    }
}
