/* Copies in another order: columns packed for the weight gradient, blocks gathered and transposed. */
#include "config.h"

#include "isa.h"

/* Tiles packed side by side: a row's part of them is a few neighbouring lines. */
enum { PACK_TILES = 16, WHOLE = 8 };
_Static_assert((int)CRS_OUTER_WIDTH <= (int)WHOLE, "a row of a tile is copied as one vector");

CRS_INLINE const float *row_of(const crs_rows *rows, int time, int row) {
    return rows->first + time * rows->step + (rows->index ? rows->index[row] : row) * rows->row;
}

/* A whole vector is copied where the next rows of the tile, written later, cover what is too much. */
static void pack_tiles(const crs_pack_columns *p, int first, int count) {
    float *to[PACK_TILES];
    int from[PACK_TILES], width[PACK_TILES];
    for (int i = 0; i < count; i++) {
        from[i] = crs_share(p->k, first + i, p->tiles);
        width[i] = crs_share(p->k, first + i + 1, p->tiles) - from[i];
        to[i] = p->to + (ptrdiff_t)from[i] * p->a_rows;
    }
    int left = p->from.times * p->from.rows;
    for (int t = 0; t < p->from.times; t++)
        for (int r = 0; r < p->from.rows; r++, left--) {
            const float *row = row_of(&p->from, t, r);
            for (int i = 0; i < count; to[i] += width[i], i++)
                if (left > WHOLE)
                    memcpy(to[i], row + from[i], WHOLE * sizeof *row);
                else
                    memcpy(to[i], row + from[i], (size_t)width[i] * sizeof *row);
        }
}

void CRS_ISA(crs_pack_columns)(const crs_pack_columns *p) {
    for (int tile = p->first_tile; tile < p->end_tile; tile += PACK_TILES)
        pack_tiles(p, tile, p->end_tile - tile < PACK_TILES ? p->end_tile - tile : PACK_TILES);
}

/* The rows stand apart, so that the processor does not foresee them: prefetched this many times ahead. */
enum { AHEAD = 3 };

void CRS_ISA(crs_gather)(const crs_rows *from, int columns, float *to) {
    const ptrdiff_t block = (ptrdiff_t)from->times * from->rows * CRS_BLOCK;
    for (int t = 0; t < from->times; t++)
        for (int r = 0; r < from->rows; r++, to += CRS_BLOCK) {
            const float *row = row_of(from, t, r);
            for (int j = 0; j * CRS_BLOCK < columns; j++) {
                __builtin_prefetch(row + AHEAD * from->step + j * CRS_BLOCK);
                for (int part = 0; part < CRS_BLOCK; part += VL)
                    store(to + j * block + part, load(row + j * CRS_BLOCK + part));
            }
        }
}

/* Transposes by halves, quarters, ... (Eklundh): after the step of size s, bit s of row and column have changed places.
 */
#define FIRST(j) (j & s ? VL + j - s : j)
#define SECOND(j) (j & s ? VL + j : j + s)
#if VL == 16
#define EACH(f) \
    { f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15) }
#elif VL == 8
#define EACH(f) \
    { f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7) }
#else
#define EACH(f) \
    { f(0), f(1), f(2), f(3) }
#endif

CRS_INLINE void exchange(vf *upper, vf *lower, const int s) {
    const vi first = EACH(FIRST), second = EACH(SECOND); /* from memory: built element by element they cost more */
    const vf x = __builtin_shuffle(*upper, *lower, first);
    *lower = __builtin_shuffle(*upper, *lower, second);
    *upper = x;
}

CRS_INLINE void transpose_square(const float *from, ptrdiff_t from_row, float *to, ptrdiff_t to_row) {
    vf x[VL];
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++)
        x[i] = load(from + i * from_row);
#pragma GCC unroll 4
    for (int s = VL / 2; s > 0; s /= 2)
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++)
            if (!(i & s))
                exchange(&x[i], &x[i + s], s);
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++)
        store(to + i * to_row, x[i]);
}

void CRS_ISA(crs_transpose)(const float *from, ptrdiff_t from_row, float *to, ptrdiff_t to_row) {
    for (int i = 0; i < CRS_BLOCK; i += VL)
        for (int j = 0; j < CRS_BLOCK; j += VL)
            transpose_square(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
}
