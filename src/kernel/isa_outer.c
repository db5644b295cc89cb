/* Sums over rows and time: weight gradients, rounded once to fixed point. */
#include "config.h"

#include "isa.h"
#include "isa_outer.h"

/* sums[row][0 .. columns) += fixed(values[row][0 .. columns)). Not inlined: its constants would cost the tile's loop a
 * register. */
static __attribute__((noinline)) void add_fixed_rows(const float *values, ptrdiff_t values_row, int rows,
                                                     size_t columns, int64_t *sums, ptrdiff_t sums_row,
                                                     int64_t *refused) {
    vi bad = {0};
    for (int row = 0; row < rows; row++, values += values_row, sums += sums_row)
        for (size_t j = 0; j < columns; j += VL) {
            bad += out_of_range(load(values + j));
            add_fixed_vector(values + j, sums + j);
        }
    *refused += count_mask(bad);
}

/* One tile: all of a stretch in registers, then into the int64 sums, which stay in the first-level cache where stretch
 * follows stretch. first: the tile's number. */
CRS_INLINE void tile(const int width, const int blocks, const crs_outer *p, int first, int column) {
    const int k_first = crs_share(p->k, first, p->tiles), sums_row = p->blocks * CRS_BLOCK;
    int64_t *sums = p->sums + (ptrdiff_t)k_first * sums_row + column;
    float parked[CRS_OUTER_WIDTH][CRS_GROUP] __attribute__((aligned(64)));
    for (int k = 0; k < width; k++)
        for (int j = 0; j < blocks * 2; j++)
            __builtin_prefetch(sums + k * sums_row + j * 8, 1);
    for (int i = 0; i < p->stretches; i++) {
        outer_tile(width, blocks, &p->stretch[i], k_first, column, parked);
        add_fixed_rows(parked[0], CRS_GROUP, width, (size_t)blocks * CRS_BLOCK, sums, sums_row, p->refused);
    }
}

#define TILE_OPERANDS crs_outer
#define TILE_ROWS 6
_Static_assert((int)CRS_OUTER_WIDTH <= TILE_ROWS, "a function for each width");
#include "isa_tiles.h"

/* Where a tile has one block, that block of a stretch stays in the first-level cache from tile to tile. */
void CRS_ISA(crs_outer)(const crs_outer *p) {
#if VL == 16
    for (int tile = p->first_tile; tile < p->end_tile; tile++)
        tile_of(outer_width_of(p, tile), p->blocks, p, tile);
#else
    crs_outer one = *p;
    for (one.stretches = 1; one.stretch < p->stretch + p->stretches; one.stretch++)
        for (int block = 0; block < p->blocks; block++)
            for (int tile = p->first_tile; tile < p->end_tile; tile++)
                tiles[outer_width_of(p, tile) - 1](&one, tile, block * CRS_BLOCK);
#endif
}

void CRS_ISA(crs_add_fixed)(const float *values, size_t n, int64_t *sums, int64_t *refused) {
    add_fixed_rows(values, 0, 1, n, sums, 0, refused);
}

void CRS_ISA(crs_column_sums)(const float *b, ptrdiff_t b_row, int n, int columns, float *out) {
    for (int j = 0; j < columns; j += VL) {
        vf acc = {0};
        for (int i = 0; i < n; i++)
            acc += load(b + i * b_row + j);
        store(out + j, acc);
    }
}

void CRS_ISA(crs_squares)(const float *first, ptrdiff_t stride, int64_t n, double *sums) {
    hd total[CRS_BLOCK / HALF] = {0};
    for (int64_t k = 0; k < n; k++, first += stride)
        for (int i = 0; i < CRS_BLOCK / HALF; i++) {
            const hd x = widen(first + i * HALF);
            total[i] += x * x;
        }
    memcpy(sums, total, sizeof total);
}

void CRS_ISA(crs_scatter_rows)(const float *b, ptrdiff_t b_row, int n, int columns, const int *index, float *out,
                               ptrdiff_t out_row) {
    for (int i = 0; i < n; i++) {
        float *to = out + index[i] * out_row;
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
