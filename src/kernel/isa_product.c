/* c = start + a * panel: input products, recurrent products and their transposes. */
#include "config.h"

#include "isa.h"

/* What row r starts from, at the tile's column. */
CRS_INLINE const float *start_of(const crs_product *p, int row, int column) {
    if (!p->start)
        return p->c + row * p->c_row + column;
    return p->start + (p->index ? (ptrdiff_t)p->index[row] * p->start_row : 0) + column;
}

/* ---- what is prefetched while a tile computes; product.ahead and .near say what is worth it ---- */

/* In time: what this tile writes, and what the next one starts from. */
CRS_INLINE void prefetch_edges(const int rows, const int blocks, const crs_product *p, int first, int column,
                               const float *c) {
    for (int r = 0; p->start && !p->near && r < rows; r++)
        for (int j = 0; j < blocks; j++)
            __builtin_prefetch(c + r * p->c_row + j * CRS_BLOCK, 1);
    for (int r = 0; (p->index || !(p->start || p->near)) && r < rows; r++) {
        const int next = first + rows + r;
        const float *from = start_of(p, next < p->rows ? next : p->rows - 1, column);
        for (int j = 0; j < blocks; j++)
            __builtin_prefetch(from + j * CRS_BLOCK, 1);
    }
}

/* Where the lines begin that are prefetched one a turn of k: those of c, or of a further on. */
CRS_INLINE const float *prefetch_from(const int rows, const crs_product *p, const float *c, const float *a,
                                      ptrdiff_t a_row) {
    return p->near ? c : a + (p->ahead ? p->ahead : rows * a_row);
}

/* Floats from one to the next: so that up to eight rows of a come, where they stand close. */
CRS_INLINE ptrdiff_t prefetch_stride(const crs_product *p) {
    return p->near ? CRS_BLOCK / 4 : CRS_BLOCK / 2;
}

/* ---- a tile ---- */

/* Accumulators of rows x blocks stay in registers over all of k. */
CRS_INLINE void tile(const int rows, const int blocks, const crs_product *p, int first, int column) {
    vf acc[12][4 * PARTS];
    float *c = p->c + first * p->c_row + column;
    for (int r = 0; r < rows; r++) {
        const float *from = start_of(p, first + r, column);
#pragma GCC unroll 16
        for (int j = 0; j < blocks * PARTS; j++)
            acc[r][j] = load(from + j * VL);
    }
    prefetch_edges(rows, blocks, p, first, column, c);
    /* One loop over all chains and segments: nested loops would park the accumulators at each turn. */
    const crs_chain *chain = p->chain, *last = p->chain + p->chains;
    const float *panel = chain->panel + column, *a = chain->a + first * chain->a_row, *end = a + chain->segment;
    ptrdiff_t a_row = chain->a_row, panel_row = chain->panel_row;
    const float *ahead = prefetch_from(rows, p, c, a, a_row);
    const ptrdiff_t stride = prefetch_stride(p);
    for (int segment = 0;;) {
        vf w[4 * PARTS];
        __builtin_prefetch(ahead);
        ahead += stride;
#pragma GCC unroll 16
        for (int j = 0; j < blocks * PARTS; j++)
            w[j] = load(panel + j * VL);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            vf x = all(a[r * a_row]);
#pragma GCC unroll 16
            for (int j = 0; j < blocks * PARTS; j++)
                acc[r][j] = fma_(x, w[j], acc[r][j]);
        }
        panel += panel_row;
        if (__builtin_expect(++a == end, 0)) {
            if (++segment < chain->segments) {
                a += chain->a_segment - chain->segment;
            } else if (++chain < last) {
                a = chain->a + first * chain->a_row;
                a_row = chain->a_row;
                panel = chain->panel + column;
                panel_row = chain->panel_row;
                segment = 0;
            } else {
                break;
            }
            end = a + chain->segment;
            if (!p->near)
                ahead = prefetch_from(rows, p, c, a, a_row);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int j = 0; j < blocks * PARTS; j++)
            store(c + r * p->c_row + j * VL, acc[r][j]);
}

#define TILE_OPERANDS crs_product
#define TILE_ROWS 12
#include "isa_tiles.h"

/* Rows of a tile by blocks: 24 accumulators of 16 in the 32 registers of AVX-512; with fewer registers the columns of a
 * tile are taken one block at a time. */
#if VL == 16
static const int most_rows[CRS_GROUP_BLOCKS + 1] = {0, 12, 12, 8, 6};
#else
static const int most_rows[CRS_GROUP_BLOCKS + 1] = {0, 6, 6, 6, 6};
#endif

/* Rows are cut into tiles as evenly as can be: a thin last tile would leave the units idle. With one block a tile, the
 * rows stay in the first-level cache from block to block, and the panel comes from the second. */
void CRS_ISA(crs_product)(const crs_product *p) {
    const int most = most_rows[p->blocks];
    const int count = (p->rows + most - 1) / most;
    for (int i = 0; i < count; i++) {
        const int first = crs_share(p->rows, i, count), rows = crs_share(p->rows, i + 1, count) - first;
#if VL == 16
        tile_of(rows, p->blocks, p, first);
#else
        for (int block = 0; block < p->blocks; block++)
            tiles[rows - 1](p, first, block * CRS_BLOCK);
#endif
    }
}
