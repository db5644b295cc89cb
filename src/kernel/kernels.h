/* The table of one instruction set, and what its entries take. Private to the rooms kernel and nn (and to bench).
 *
 * Shapes: a "group" is 1 to 4 blocks of 16 neighbouring columns; a panel is the part of a weight matrix that makes one
 * group, [K][blocks * 16]. Every output is one chain of fused multiply-adds in ascending k, whatever the tile it stands
 * in. */
#ifndef CRS_KERNELS_H
#define CRS_KERNELS_H

#include "carousel/kernel.h"

enum { CRS_GROUP_BLOCKS = 4, CRS_GROUP = CRS_GROUP_BLOCKS * CRS_BLOCK };

/* One stretch of k: a(row, k) = a[row * a_row + (k / segment) * a_segment + k % segment], k < segments * segment. */
typedef struct crs_chain {
    const float *a;
    ptrdiff_t a_row, a_segment;
    int segments, segment;
    const float *panel; /* [segments * segment][panel_row] */
    ptrdiff_t panel_row;
} crs_chain;

/* c[row][0 .. blocks*16) = start + the chains, one after the other. */
typedef struct crs_product {
    int rows, blocks;
    float *c;
    ptrdiff_t c_row;
    const float *start;    /* NULL: go on from what stands in c; otherwise start[index[row] * start_row ...] */
    const uint32_t *index; /* [rows]; NULL: the same start for every row */
    ptrdiff_t start_row;
    ptrdiff_t ahead; /* what is prefetched while computing: a from this many floats on; 0: the next rows of a */
    bool near;       /* a is in a near cache, and rows of c are one run: c is prefetched instead */
    int chains;
    crs_chain chain[2];
} crs_product;

/* Columns of a in one tile of a sum over rows, at most. */
enum { CRS_OUTER_WIDTH = 6 };

/* Rows of neighbouring batch rows at some times: row r of time t at first + t * step + r * row. Or, with an index, of
 * one time: row r at first + index[r] * row. */
typedef struct crs_rows {
    const float *first;
    ptrdiff_t step, row;
    int times, rows;
    const int *index; /* [rows]; NULL: neighbours */
} crs_rows;

/* to[tile][a_rows][width of the tile] = the rows' columns, cut into tiles as crs_outer does; some tiles of it. */
typedef struct crs_pack_columns {
    crs_rows from;
    int k, tiles, first_tile, end_tile;
    int a_rows; /* at least times * rows */
    float *to;
} crs_pack_columns;

/* Rows that are summed as floats. */
typedef struct crs_stretch {
    int n;
    const float *a;      /* [tile][a_rows][width of the tile]: tile i begins at its first k times a_rows */
    int a_rows, a_first; /* a's rows, and the first of the n that count */
    const float *b;      /* [blocks][n][16] */
} crs_stretch;

/* sums[k][j] += for each stretch fixed(sum over n of a(n, k) * b(n, j)), j < blocks * 16, for the k of some tiles: tile
 * i of `tiles` has the k from crs_share(k, i, tiles) on, none more than CRS_OUTER_WIDTH. */
typedef struct crs_outer {
    int stretches;
    const crs_stretch *stretch;
    int blocks;
    int k, tiles, first_tile, end_tile;
    int64_t *sums; /* [k][blocks * 16] */
    int64_t *refused;
} crs_outer;

/* Rows of which most elements are zero, and the others alike: bit k % 16 of set[n * set_row + k / 16] says whether
 * element k of row n is `value`. */
typedef struct crs_sparse {
    const uint16_t *set;
    ptrdiff_t set_row;
    int k;
    float value;
} crs_sparse;

/* c[row][0 .. blocks*16) = start + a * panel, as crs_product makes it. */
typedef struct crs_sparse_product {
    crs_sparse a;
    int rows, blocks;
    const float *panel; /* [k][panel_row] */
    ptrdiff_t panel_row;
    const float *start; /* NULL: go on from what stands in c; otherwise the same for every row */
    float *c;
    ptrdiff_t c_row;
} crs_sparse_product;

/* sums[k][j] += fixed(sum over n of a(row[n], k) * b(n, j)), j < blocks * 16, first_k <= k < end_k, as crs_outer makes
 * it. */
typedef struct crs_sparse_outer {
    crs_sparse a;
    int n;
    const int *row; /* [n] */
    const float *b; /* [blocks][n][16] */
    int blocks, first_k, end_k;
    int64_t *sums; /* [k][blocks * 16] */
    int64_t *refused;
} crs_sparse_outer;

/* One group of hidden units (16; rnn: blocks * 16) at one time for rows. Row r of an array is at r * its row length. */
typedef struct crs_cell_step {
    int rows, blocks;      /* blocks: rnn alone */
    float *gates;          /* forward: sums in, gates out; backward: gates in, gradients of the sums out */
    ptrdiff_t gates_row;   /* slots of 16: lstm i f g o; gru n r z (U h + b'); rnn h */
    const float *c_before; /* lstm, peephole */
    float *c;              /* forward: out; backward: in */
    const float *h_before; /* gru */
    float *h;              /* forward: out; backward: in (rnn) */
    const float *dh;       /* backward: gradient of h */
    float *dc;             /* backward, lstm, peephole: gradient of c, in and out */
    float *dh_before;      /* backward, gru: the direct path's part is added to it; NULL at the first time step */
    const float *peephole; /* [3][peephole_row]: i f o, of this group's units */
    ptrdiff_t peephole_row;
    ptrdiff_t row; /* row length of c, h, dh, dc, dh_before */
} crs_cell_step;

/* Softmax and its loss over one row: values[columns padded to 16] of logits become the gradient (probability, minus 1
 * at the target), padding becomes 0. Returns the loss in nats. */
typedef double crs_softmax(float *values, int columns, uint32_t target);

/* The loss of bits over one row: values[columns padded to 16] of logits become the gradient (probability minus target),
 * padding becomes 0; targets[columns] need not be aligned. Returns the sum of -ln of the right ones' probabilities. */
typedef double crs_bits(float *values, int columns, const float *targets);

enum { CRS_ACTIVATION_EXP, CRS_ACTIVATION_TANH, CRS_ACTIVATION_LOGISTIC, CRS_ACTIVATIONS };

struct crs_kernels {
    crs_isa isa;
    void (*product)(const crs_product *product);
    void (*outer)(const crs_outer *outer);
    void (*sparse_product)(const crs_sparse_product *product);
    void (*sparse_outer)(const crs_sparse_outer *outer);
    void (*forward[CRS_CELLS])(const crs_cell_step *step);
    void (*backward[CRS_CELLS])(const crs_cell_step *step);
    crs_softmax *softmax;
    crs_bits *bits;
    void (*pack_columns)(const crs_pack_columns *pack);
    /* to[block][times * rows][16] = the first columns of rows; columns a multiple of 16 */
    void (*gather)(const crs_rows *from, int columns, float *to);
    /* to[j][i] = from[i][j], i, j < 16 */
    void (*transpose)(const float *from, ptrdiff_t from_row, float *to, ptrdiff_t to_row);
    /* sums[i] = sum over k < n in order of first[k * stride + i]^2, i < 16, in double */
    void (*squares)(const float *first, ptrdiff_t stride, int64_t n, double *sums);
    /* sums[i] += fixed(values[i]), n a multiple of 16 */
    void (*add_fixed)(const float *values, size_t n, int64_t *sums, int64_t *refused);
    /* out[j] = sum over n in order of b[n][j], j < columns (a multiple of 16) */
    void (*column_sums)(const float *b, ptrdiff_t b_row, int n, int columns, float *out);
    /* out[index[n]][0 .. columns) += b[n][0 .. columns), n in order */
    void (*scatter_rows)(const float *b, ptrdiff_t b_row, int n, int columns, const int *index, float *out,
                         ptrdiff_t out_row);
    /* out[16] += sum over n in order of a[n] * b[n] */
    void (*dot_rows)(const float *a, ptrdiff_t a_row, const float *b, ptrdiff_t b_row, int n, float *out);
    /* out[i] = sums[i] * factor, rounded to float */
    void (*from_fixed)(const int64_t *sums, size_t n, double factor, float *out);
    /* Without loss, n a multiple of 16; out[crs_packed_most(n)]; returns the bytes. Read back: added, or set. */
    size_t (*pack_sums)(const int64_t *values, size_t n, uint8_t *out);
    size_t (*unpack_sums)(const uint8_t *in, size_t n, bool add, int64_t *values);
    /* Of bit patterns, how far each is from that before; read back: that far from what stands in values. */
    size_t (*pack_changes)(const float *after, const float *before, size_t n, uint8_t *out);
    size_t (*unpack_changes)(const uint8_t *in, size_t n, float *values);
    void (*update)(const crs_update *update);
    void (*activation[CRS_ACTIVATIONS])(float *values, size_t n); /* n a multiple of 16 */
    /* For bench: as many fused multiply-adds as the units can do; sink[32] in and out. Returns the operations done. */
    double (*peak)(int64_t rounds, float *sink);
    /* For bench: reads and writes n floats, n a multiple of 16, and hardly computes. */
    void (*negate)(float *values, size_t n);
    /* For bench: as outer, but adds the tiles to floats, without rounding. */
    void (*outer_float)(const crs_outer *outer, float *sums);
};

extern const crs_kernels crs_kernels_baseline, crs_kernels_v3, crs_kernels_v4;

#endif
