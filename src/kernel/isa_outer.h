/* One tile of a sum over rows and time, in registers. */
#ifndef CRS_ISA_OUTER_H
#define CRS_ISA_OUTER_H

#include "isa.h"

/* parked[k][j] = sum over n in order of a(n, k_first + k) * b(n, column + j), k < width, j < blocks * 16. */
CRS_INLINE void outer_tile(const int width, const int blocks, const crs_stretch *s, int k_first, int column,
                           float parked[CRS_OUTER_WIDTH][CRS_GROUP]) {
    vf acc[CRS_OUTER_WIDTH][4 * PARTS];
#pragma GCC unroll 16
    for (int k = 0; k < width; k++)
#pragma GCC unroll 16
        for (int j = 0; j < blocks * PARTS; j++)
            acc[k][j] = (vf){0};
    const ptrdiff_t b_block = (ptrdiff_t)s->n * CRS_BLOCK;
    const float *a = s->a + (ptrdiff_t)k_first * s->a_rows + (ptrdiff_t)s->a_first * width,
                *b = s->b + column / CRS_BLOCK * b_block;
    for (int n = s->n; n > 0; n--, a += width, b += CRS_BLOCK) {
        vf w[4 * PARTS];
#pragma GCC unroll 16
        for (int j = 0; j < blocks; j++)
#pragma GCC unroll 16
            for (int part = 0; part < PARTS; part++)
                w[j * PARTS + part] = load(b + j * b_block + part * VL);
#pragma GCC unroll 16
        for (int k = 0; k < width; k++) {
            vf x = all(a[k]);
#pragma GCC unroll 16
            for (int j = 0; j < blocks * PARTS; j++)
                acc[k][j] = fma_(x, w[j], acc[k][j]);
        }
    }
#pragma GCC unroll 16
    for (int k = 0; k < width; k++)
#pragma GCC unroll 16
        for (int j = 0; j < blocks * PARTS; j++)
            store(&parked[k][j * VL], acc[k][j]);
}

static inline int outer_width_of(const crs_outer *p, int tile) {
    return crs_share(p->k, tile + 1, p->tiles) - crs_share(p->k, tile, p->tiles);
}

#endif
