/* Products with rows of which most elements are zero: what is zero is left out, with the bits of the whole product. (A
 * sum is never -0 but where it starts from that.) */
#include "config.h"

#include "isa.h"

/* The sums of a row stay in registers. */
CRS_INLINE void product_row(const int blocks, const crs_sparse_product *p, int row) {
    const uint16_t *set = p->a.set + row * p->a.set_row;
    float *c = p->c + row * p->c_row;
    const float *start = p->start ? p->start : c;
    const vf x = all(p->a.value);
    vf acc[4 * PARTS];
#pragma GCC unroll 16
    for (int j = 0; j < blocks * PARTS; j++)
        acc[j] = load(start + j * VL);
    for (int first = 0; first < p->a.k; first += CRS_BLOCK, set++)
        for (unsigned left = *set; left; left &= left - 1) {
            const int k = first + __builtin_ctz(left);
            const float *panel = p->panel + k * p->panel_row;
#pragma GCC unroll 16
            for (int j = 0; j < blocks * PARTS; j++)
                acc[j] = fma_(x, load(panel + j * VL), acc[j]);
        }
#pragma GCC unroll 16
    for (int j = 0; j < blocks * PARTS; j++)
        store(c + j * VL, acc[j]);
}

void CRS_ISA(crs_sparse_product)(const crs_sparse_product *p) {
    for (int row = 0; row < p->rows; row++)
        switch (p->blocks) {
        case 1:
            product_row(1, p, row);
            break;
        case 2:
            product_row(2, p, row);
            break;
        case 3:
            product_row(3, p, row);
            break;
        default:
            product_row(4, p, row);
            break;
        }
}

/* The sums of so many blocks of k at a time, 24 KiB, stay in the first-level cache beside what is added. */
enum { SUM_BLOCKS = 6 };

/* Bits of block number `block` of k that stand for some of first_k .. end_k - 1. */
static unsigned bits_within(const crs_sparse_outer *p, int block) {
    unsigned bits = 0xffff;
    const int before = p->first_k - block * CRS_BLOCK, after = p->end_k - block * CRS_BLOCK;
    if (before > 0)
        bits &= before < CRS_BLOCK ? bits << before : 0;
    if (after < CRS_BLOCK)
        bits &= after > 0 ? (1u << after) - 1 : 0;
    return bits;
}

CRS_INLINE void add_row(const int blocks, const crs_sparse_outer *p, int n, float *sums) {
    const vf x = all(p->a.value);
    const float *b = p->b + n * CRS_BLOCK;
    const ptrdiff_t b_block = (ptrdiff_t)p->n * CRS_BLOCK;
#pragma GCC unroll 4
    for (int j = 0; j < blocks; j++)
#pragma GCC unroll 4
        for (int part = 0; part < CRS_BLOCK; part += VL) {
            float *to = sums + j * CRS_BLOCK + part;
            store(to, fma_(x, load(b + j * b_block + part), load(to)));
        }
}

static void add_row_of(const crs_sparse_outer *p, int n, float *sums) {
    if (p->blocks == CRS_GROUP_BLOCKS)
        add_row(CRS_GROUP_BLOCKS, p, n, sums);
    else
        add_row(p->blocks, p, n, sums);
}

/* Some blocks of k. Those k that no row has add nothing, and are not rounded either. */
static void outer_blocks(const crs_sparse_outer *p, int first, int count) {
    float sums[SUM_BLOCKS * CRS_BLOCK][CRS_GROUP] __attribute__((aligned(64)));
    unsigned within[SUM_BLOCKS], seen[SUM_BLOCKS] = {0};
    memset(sums, 0, (size_t)count * CRS_BLOCK * sizeof *sums);
    for (int i = 0; i < count; i++)
        within[i] = bits_within(p, first + i);
    for (int n = 0; n < p->n; n++) {
        const uint16_t *set = p->a.set + p->row[n] * p->a.set_row + first;
        for (int i = 0; i < count; i++) {
            unsigned left = set[i] & within[i];
            for (seen[i] |= left; left; left &= left - 1)
                add_row_of(p, n, sums[i * CRS_BLOCK + __builtin_ctz(left)]);
        }
    }
    for (int i = 0; i < count; i++)
        for (unsigned left = seen[i]; left; left &= left - 1) {
            const int k = i * CRS_BLOCK + __builtin_ctz(left), columns = p->blocks * CRS_BLOCK;
            CRS_ISA(crs_add_fixed)
            (sums[k], (size_t)columns, p->sums + (ptrdiff_t)(first * CRS_BLOCK + k) * columns, p->refused);
        }
}

void CRS_ISA(crs_sparse_outer)(const crs_sparse_outer *p) {
    const int end = (p->end_k + CRS_BLOCK - 1) / CRS_BLOCK;
    for (int first = p->first_k / CRS_BLOCK; first < end; first += SUM_BLOCKS)
        outer_blocks(p, first, end - first < SUM_BLOCKS ? end - first : SUM_BLOCKS);
}
