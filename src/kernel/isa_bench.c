/* For bench alone: what the fused multiply-add units and the memory can do, and the weight gradient with float sums. */
#include "config.h"

#include "isa.h"
#include "isa_outer.h"

#if VL == 16
enum { ACCUMULATORS = 24 };
#else
enum { ACCUMULATORS = 12 };
#endif

double CRS_ISA(crs_peak)(int64_t rounds, float *sink) {
    vf acc[ACCUMULATORS];
#pragma GCC unroll 32
    for (int i = 0; i < ACCUMULATORS; i++)
        acc[i] = all((float)i);
    const vf x = load(sink), y = load(sink + CRS_BLOCK);
    for (int64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 32
        for (int i = 0; i < ACCUMULATORS; i++)
            acc[i] = fma_(acc[i], x, y);
    }
    vf total = {0};
#pragma GCC unroll 32
    for (int i = 0; i < ACCUMULATORS; i++)
        total += acc[i];
    store(sink, total);
    return 2.0 * VL * ACCUMULATORS * (double)rounds;
}

void CRS_ISA(crs_negate)(float *values, size_t n) {
    for (size_t i = 0; i < n; i += CRS_BLOCK)
        for (int part = 0; part < PARTS; part++)
            store(values + i + part * VL, -load(values + i + part * VL));
}

typedef struct outer_float {
    const crs_outer *outer;
    float *sums;
} outer_float;

/* As the exact one (isa_outer.c), but for what becomes of the tile. */
CRS_INLINE void tile(const int width, const int blocks, const outer_float *p, int first, int column) {
    const crs_outer *o = p->outer;
    const int k_first = crs_share(o->k, first, o->tiles), sums_row = o->blocks * CRS_BLOCK;
    float *sums = p->sums + (ptrdiff_t)k_first * sums_row + column;
    float parked[CRS_OUTER_WIDTH][CRS_GROUP] __attribute__((aligned(64)));
    for (int k = 0; k < width; k++)
        for (int j = 0; j < blocks; j++)
            __builtin_prefetch(sums + k * sums_row + j * CRS_BLOCK, 1);
    for (int i = 0; i < o->stretches; i++) {
        outer_tile(width, blocks, &o->stretch[i], k_first, column, parked);
        for (int k = 0; k < width; k++)
            for (int j = 0; j < blocks * PARTS; j++)
                store(sums + k * sums_row + j * VL, load(sums + k * sums_row + j * VL) + load(&parked[k][j * VL]));
    }
}

#define TILE_OPERANDS outer_float
#define TILE_ROWS 6
_Static_assert((int)CRS_OUTER_WIDTH <= TILE_ROWS, "a function for each width");
#include "isa_tiles.h"

void CRS_ISA(crs_outer_float)(const crs_outer *p, float *sums) {
#if VL == 16
    const outer_float o = {p, sums};
    for (int tile = p->first_tile; tile < p->end_tile; tile++)
        tile_of(outer_width_of(p, tile), p->blocks, &o, tile);
#else
    crs_outer one = *p;
    const outer_float o = {&one, sums};
    for (one.stretches = 1; one.stretch < p->stretch + p->stretches; one.stretch++)
        for (int block = 0; block < p->blocks; block++)
            for (int tile = p->first_tile; tile < p->end_tile; tile++)
                tiles[outer_width_of(p, tile) - 1](&o, tile, block * CRS_BLOCK);
#endif
}
