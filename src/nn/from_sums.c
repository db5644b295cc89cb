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

/* What follows from derived sums is made by every owner, whole; of a tied weight it is added to what stands there. */
void crs_model_gradient(crs_model *m, const crs_shards *shards, int owner, const int64_t *sums, float *gradient) {
    const double weight = (double)sums[m->sums - CRS_SUM_TRAILER + CRS_SUM_WEIGHT] * CRS_SUM_STEP;
    const double factor = CRS_SUM_STEP / (weight > 0 ? weight : 1);
    int first = 0;
    const int runs = shards ? crs_shards_runs(shards, owner, &first) : 0;
    for (int i = first; i < first + runs; i++)
        if (shards->run_sum[i] != CRS_NOT_SUMMED)
            crs_convert(m, sums + shards->run_sum[i], shards->run[i].count, factor, gradient + shards->run[i].at);
    for (int p = 0; p < m->parts && !shards; p++)
        for (int i = 0; i < m->part[p]->slices; i++) {
            const crs_slice *slice = &m->part[p]->slice[i];
            if (slice->summed)
                crs_convert(m, sums + slice->sum, slice->count, factor, gradient + slice->arena);
        }
    for (int p = 0; p < m->parts; p++)
        if (m->part[p]->kind->gradient)
            m->part[p]->kind->gradient(m, m->part[p], sums, factor, gradient);
}
