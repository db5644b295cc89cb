/* Vectors of the instruction set that this file is compiled for (CRS_ISA_ID: baseline, v3 or v4), in GNU C vector
 * types.
 *
 * Every operation is exact to IEEE per element, so the width of a vector never shows in a bit: blocks are 16 wide
 * everywhere. */
#ifndef CRS_ISA_H
#define CRS_ISA_H

#include <stdint.h>
#include <string.h>

#include "kernels.h"

#define CRS_PASTE_(a, b) a##_##b
#define CRS_PASTE(a, b) CRS_PASTE_(a, b)
#define CRS_ISA(name) CRS_PASTE(name, CRS_ISA_ID)

#if defined __AVX512F__
#define VL 16
#define CRS_SIMD _Pragma("omp simd simdlen(16)")
#elif defined __AVX2__
#define VL 8
#define CRS_SIMD _Pragma("omp simd simdlen(8)")
#else
#define VL 4
#define CRS_SIMD _Pragma("omp simd simdlen(4)")
#endif

#define CRS_INLINE static inline __attribute__((always_inline))

enum { PARTS = CRS_BLOCK / VL }; /* vectors a block */

typedef float vf __attribute__((vector_size(VL * 4), may_alias));
typedef int32_t vi __attribute__((vector_size(VL * 4), may_alias));
typedef uint32_t vu __attribute__((vector_size(VL * 4), may_alias));

/* Broadcast: subtracting zero is free, adding it is an addition (-0). */
CRS_INLINE vf all(float x) {
    return x - (vf){0};
}
CRS_INLINE vf load(const float *p) {
    return *(const vf *)p;
}
CRS_INLINE void store(float *p, vf x) {
    *(vf *)p = x;
}

/* a * b + c rounded once; gcc makes one instruction of the loop where there is one, and the same bits where not. */
CRS_INLINE vf fma_(vf a, vf b, vf c) {
    vf r;
    CRS_SIMD
    for (int i = 0; i < VL; i++)
        r[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return r;
}

CRS_INLINE vf select(vi mask, vf a, vf b) {
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}

/* The lesser (greater) one, one instruction each; where one is NaN, b. */
CRS_INLINE vf min_(vf a, vf b) {
    vf r;
    CRS_SIMD
    for (int i = 0; i < VL; i++)
        r[i] = a[i] < b[i] ? a[i] : b[i];
    return r;
}
CRS_INLINE vf max_(vf a, vf b) {
    vf r;
    CRS_SIMD
    for (int i = 0; i < VL; i++)
        r[i] = a[i] > b[i] ? a[i] : b[i];
    return r;
}

/* 2^n * e^r = e^x with n an integer and |r| <= ln 2 / 2. *power: 2^n; returns e^r - 1. Coefficients: a least-maximum
 * fit of (e^r - 1 - r) / r^2, error 3e-9. x within [-87, 88]; a NaN stays one. */
CRS_INLINE vf reduced_expm1(vf x, vf *power) {
    const vf magic = all(0x1.8p23f);
    vf shifted = fma_(x, all(0x1.715476p0f), magic);
    vf n = shifted - magic;
    vf r = fma_(n, all(-0.693359375f), x);
    r = fma_(n, all(0x1.bd0106p-13f), r);
    vf p = fma_(all(0x1.6db51ap-10f), r, all(0x1.123c02p-7f));
    p = fma_(p, r, all(0x1.55545cp-5f));
    p = fma_(p, r, all(0x1.55548ep-3f));
    p = fma_(p, r, all(0.5f));
    *power = (vf)(((vu)shifted << 23) + (127u << 23)); /* what the magic number adds is shifted out */
    return fma_(p, r * r, r);
}

/* e^x within 2 ulp; 0 below -87, e^88 above 88. */
CRS_INLINE vf exp_(vf x) {
    vf power, y = min_(all(88.0f), x);
    vi gone = y < all(-87.0f);
    y = max_(all(-87.0f), y);
    vf q = reduced_expm1(y, &power);
    return select(gone, all(0.0f), fma_(power, q, power));
}

/* The logistic function is 1 / this: 1 + e^-x, with x held to +-30 so that products of three denominators are finite.
 */
CRS_INLINE vf logistic_denominator(vf x) {
    vf power, q = reduced_expm1(max_(all(-30.0f), min_(all(30.0f), -x)), &power);
    return all(1.0f) + fma_(power, q, power);
}

/* tanh |x| = e / (e + 2) with e = expm1(2 |x|), which keeps small x exact. */
CRS_INLINE vf tanh_numerator(vf x) {
    vf power, y = (vf)((vi)x & ~(vi)all(-0.0f));
    y = min_(all(10.0f), y);
    vf q = reduced_expm1(y + y, &power);
    return fma_(power, q, power - all(1.0f));
}

CRS_INLINE vf with_sign(vf magnitude, vf sign) {
    return (vf)((vi)magnitude | ((vi)sign & (vi)all(-0.0f)));
}

CRS_INLINE vf logistic(vf x) {
    return all(1.0f) / logistic_denominator(x);
}

CRS_INLINE vf tanh_(vf x) {
    vf e = tanh_numerator(x);
    return with_sign(e / (e + all(2.0f)), x);
}

/* ---- fixed point: a float in steps of 2^-32 as an int64. Exact rounding by adding 1.5 * 2^20 in double, whose last
 * place is 2^-32 there; in range when |x| <= 2^19. Half vectors of VL / 2 doubles. ---- */
#define HALF (VL / 2)
typedef float hf __attribute__((vector_size(HALF * 4), may_alias));
typedef double hd __attribute__((vector_size(HALF * 8), may_alias));
typedef int64_t hi __attribute__((vector_size(HALF * 8), may_alias));
typedef uint64_t hu __attribute__((vector_size(HALF * 8), may_alias)); /* for adding: a refused value may wrap a sum */

/* One instruction, where convertvector takes five. */
CRS_INLINE hd widen(const float *x) {
#if HALF == 8
    return (hd){x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]};
#elif HALF == 4
    return (hd){x[0], x[1], x[2], x[3]};
#else
    return (hd){x[0], x[1]};
#endif
}

/* sums[0..VL) += fixed(x[0..VL)), read from memory. */
CRS_INLINE void add_fixed_vector(const float *x, int64_t *sums) {
    for (int part = 0; part < 2; part++) {
        const hd magic = 0x1.8p20 - (hd){0};
        hu fixed = (hu)(widen(x + part * HALF) + magic) - (hu)magic;
        *(hu *)(sums + part * HALF) += fixed;
    }
}

/* -1 in each element that is out of range or not finite. */
CRS_INLINE vi out_of_range(vf x) {
    return (vi)(((vu)x & 0x7fffffffu) > (vu)((vu){0} + 0x49000000u)); /* the bits of 2^19 */
}

CRS_INLINE int64_t count_mask(vi mask) {
    int64_t n = 0;
    for (int i = 0; i < VL; i++)
        n -= mask[i];
    return n;
}

/* The entries of this instruction set's table. */
void CRS_ISA(crs_product)(const crs_product *p);
void CRS_ISA(crs_outer)(const crs_outer *p);
void CRS_ISA(crs_pack_columns)(const crs_pack_columns *p);
void CRS_ISA(crs_gather)(const crs_rows *from, int columns, float *to);
void CRS_ISA(crs_transpose)(const float *from, ptrdiff_t from_row, float *to, ptrdiff_t to_row);
void CRS_ISA(crs_squares)(const float *first, ptrdiff_t stride, int64_t n, double *sums);
void CRS_ISA(crs_sparse_product)(const crs_sparse_product *p);
void CRS_ISA(crs_sparse_outer)(const crs_sparse_outer *p);
void CRS_ISA(crs_add_fixed)(const float *values, size_t n, int64_t *sums, int64_t *refused);
void CRS_ISA(crs_column_sums)(const float *b, ptrdiff_t b_row, int n, int columns, float *out);
void CRS_ISA(crs_scatter_rows)(const float *b, ptrdiff_t b_row, int n, int columns, const int *index, float *out,
                               ptrdiff_t out_row);
void CRS_ISA(crs_dot_rows)(const float *a, ptrdiff_t a_row, const float *b, ptrdiff_t b_row, int n, float *out);
void CRS_ISA(crs_from_fixed)(const int64_t *sums, size_t n, double factor, float *out);
size_t CRS_ISA(crs_pack_sums)(const int64_t *values, size_t n, uint8_t *out);
size_t CRS_ISA(crs_unpack_sums)(const uint8_t *in, size_t n, bool add, int64_t *values);
size_t CRS_ISA(crs_pack_changes)(const float *after, const float *before, size_t n, uint8_t *out);
size_t CRS_ISA(crs_unpack_changes)(const uint8_t *in, size_t n, float *values);
void CRS_ISA(crs_lstm_forward)(const crs_cell_step *s);
void CRS_ISA(crs_lstm_backward)(const crs_cell_step *s);
void CRS_ISA(crs_peephole_forward)(const crs_cell_step *s);
void CRS_ISA(crs_peephole_backward)(const crs_cell_step *s);
void CRS_ISA(crs_gru_forward)(const crs_cell_step *s);
void CRS_ISA(crs_gru_backward)(const crs_cell_step *s);
void CRS_ISA(crs_rnn_forward)(const crs_cell_step *s);
void CRS_ISA(crs_rnn_backward)(const crs_cell_step *s);
double CRS_ISA(crs_softmax)(float *values, int columns, uint32_t target);
double CRS_ISA(crs_bits)(float *values, int columns, const float *targets);
void CRS_ISA(crs_exp)(float *values, size_t n);
void CRS_ISA(crs_tanh)(float *values, size_t n);
void CRS_ISA(crs_logistic)(float *values, size_t n);
void CRS_ISA(crs_update)(const crs_update *u);
double CRS_ISA(crs_peak)(int64_t rounds, float *sink);
void CRS_ISA(crs_negate)(float *values, size_t n);
void CRS_ISA(crs_outer_float)(const crs_outer *p, float *sums);

#endif
