/* Mean and deviation of columns (Welford 1962). */
#include "config.h"

#include "data/moments.h"

#include <math.h>

bool crs_moments_begin(crs_moments *m, int columns) {
    *m = (crs_moments){.columns = columns};
    m->mean = crs_alloc((size_t)columns, sizeof *m->mean, CRS_MEMORY_DATA);
    m->square = crs_alloc((size_t)columns, sizeof *m->square, CRS_MEMORY_DATA);
    return m->mean && m->square;
}

void crs_moments_add(crs_moments *m, const float *row) {
    const double n = (double)++m->count;
    for (int i = 0; i < m->columns; i++) {
        const double from_old = (double)row[i] - m->mean[i];
        m->mean[i] += from_old / n;
        m->square[i] += from_old * ((double)row[i] - m->mean[i]);
    }
}

void crs_moments_scale(const crs_moments *m, crs_scale *scale) {
    for (int i = 0; i < m->columns; i++) {
        const double deviation = m->count > 0 ? sqrt(m->square[i] / (double)m->count) : 0;
        scale->mean[i] = m->mean[i];
        scale->deviation[i] = deviation > 0 ? deviation : 1;
    }
}

void crs_moments_free(crs_moments *m) {
    crs_free(&m->mean);
    crs_free(&m->square);
}
