/* Sums over rows and time: weight gradients, rounded once to fixed point. */
#include "config.h"

#include "isa.h"

/* acc[width][blocks] over n, then into the int64 tile, which was asked for before the loop. */
CRS_INLINE void tile(const int width, const int blocks, const crs_outer *p, int first, int column) {
    (void)first;
    vf acc[12][4 * PARTS];
    int64_t *sums = p->sums + column;
    for (int k = 0; k < width; k++)
        for (int j = 0; j < blocks * 2; j++)
            __builtin_prefetch(sums + k * p->sums_row + j * 8, 1);
#pragma GCC unroll 16
    for (int k = 0; k < width; k++)
#pragma GCC unroll 16
        for (int j = 0; j < blocks * PARTS; j++)
            acc[k][j] = (vf){0};
    const float *a = p->a, *b = p->b + column;
    const ptrdiff_t b_row = p->b_row;
    for (int n = p->n; n > 0; n--, a += width, b += b_row) {
        vf w[4 * PARTS];
#pragma GCC unroll 16
        for (int j = 0; j < blocks * PARTS; j++)
            w[j] = load(b + j * VL);
#pragma GCC unroll 16
        for (int k = 0; k < width; k++) {
            vf x = all(a[k]);
#pragma GCC unroll 16
            for (int j = 0; j < blocks * PARTS; j++)
                acc[k][j] = fma_(x, w[j], acc[k][j]);
        }
    }
    float parked[12][CRS_GROUP] __attribute__((aligned(64)));
    vi bad = {0};
#pragma GCC unroll 16
    for (int k = 0; k < width; k++)
#pragma GCC unroll 16
        for (int j = 0; j < blocks * PARTS; j++) {
            bad += out_of_range(acc[k][j]);
            store(&parked[k][j * VL], acc[k][j]);
        }
    for (int k = 0; k < width; k++)
        for (int j = 0; j < blocks * PARTS; j++)
            add_fixed_vector(&parked[k][j * VL], sums + k * p->sums_row + j * VL);
    *p->refused += count_mask(bad);
}

#define TILE_OPERANDS crs_outer
#include "isa_tiles.h"

void CRS_ISA(crs_outer)(const crs_outer *p) { tile_of(p->width, p->blocks, p, 0); }

void CRS_ISA(crs_add_fixed)(const float *values, size_t n, int64_t *sums, int64_t *refused) {
    vi bad = {0};
    for (size_t i = 0; i < n; i += VL) {
        bad += out_of_range(load(values + i));
        add_fixed_vector(values + i, sums + i);
    }
    *refused += count_mask(bad);
}

void CRS_ISA(crs_column_sums)(const float *b, ptrdiff_t b_row, int n, int columns, float *out) {
    for (int j = 0; j < columns; j += VL) {
        vf acc = {0};
        for (int i = 0; i < n; i++)
            acc += load(b + i * b_row + j);
        store(out + j, acc);
    }
}

void CRS_ISA(crs_scatter_rows)(const float *b, ptrdiff_t b_row, int n, int columns, const int *index, float *out) {
    for (int i = 0; i < n; i++) {
        float *to = out + (ptrdiff_t)index[i] * columns;
        for (int j = 0; j < columns; j += VL)
            store(to + j, load(to + j) + load(b + i * b_row + j));
    }
}

void CRS_ISA(crs_dot_rows)(const float *a, ptrdiff_t a_row, const float *b, ptrdiff_t b_row, int n, float *out) {
    for (int j = 0; j < CRS_BLOCK; j += VL) {
        vf acc = load(out + j);
        for (int i = 0; i < n; i++)
            acc = fma_(load(a + i * a_row + j), load(b + i * b_row + j), acc);
        store(out + j, acc);
    }
}

void CRS_ISA(crs_from_fixed)(const int64_t *sums, size_t n, double factor, float *out) {
    for (size_t i = 0; i < n; i += HALF) {
        hd wide = __builtin_convertvector(*(const hi *)(sums + i), hd) * factor;
        *(hf *)(out + i) = __builtin_convertvector(wide, hf);
    }
}
