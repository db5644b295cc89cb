/* What the weight gradient sums as floats: a lane's rows over some of the time (a piece), its columns packed and
 * gathered.
 *
 * Never a sum over rows of two lanes: then the bits would depend on which rank owns them. */
#ifndef CRS_PIECES_H
#define CRS_PIECES_H

#include "nn/model.h"

typedef struct crs_piece {
    int number;
    int first_row, end_row, first_time, end_time;
    int n;      /* (time, row) pairs */
    int start;  /* pairs of the pieces before */
    int packed; /* packed rows of the pieces before: each has those of one time more than n */
} crs_piece;

/* Lane by lane, each lane's pieces in the order of time: piece number i is of lane i / pieces a lane. */
int crs_pieces(const crs_pass *pass);
int crs_pieces_of_lane(const crs_pass *pass);
crs_piece crs_piece_at(const crs_pass *pass, int number);

/* One operand: columns of h or of a layer's input, packed as [piece][tile][n + rows of the lane][width of the tile].
 * A state is packed once for two uses, as what the layer's steps begin from and, a time later, as what the next layer
 * reads. */
typedef struct crs_columns {
    const float *x; /* [times][rows][length] */
    ptrdiff_t length;
    int k, tiles;
    bool state; /* there is one time more, the first being the one before the window */
    bool later; /* of each time, the state at its end is meant */
    float *packed;
} crs_columns;

/* The columns of what a part gives; of the state that a layer begins each step from. */
crs_columns crs_columns_given(const crs_pass *pass, const crs_part *part);
crs_columns crs_columns_of_state(const crs_pass *pass, const crs_layer *layer);
/* Every thread packs its share of the tiles of every piece. */
void crs_pack(const crs_pass *pass, const crs_worker *worker, const crs_columns *c);

/* Neighbouring pieces whose gathered columns stay in the second-level cache together. */
enum { CRS_RUN_PIECES = 32 };
typedef struct crs_run {
    int pieces;
    crs_piece piece[CRS_RUN_PIECES];
    float *panel[CRS_RUN_PIECES]; /* [blocks][n][16] each, of this thread */
} crs_run;

/* Rows of gradients: that of time t, row r at base + ((t - first_time) * rows + r - first_row) * row. */
typedef struct crs_gradients {
    const float *base;
    ptrdiff_t row;
    int first_time, first_row, rows;
} crs_gradients;

/* The pieces first, first + stride, ... before end. */
typedef struct crs_piece_range {
    int first, end, stride;
} crs_piece_range;

/* Gathers `count` columns (a multiple of 16) of as many pieces as make a run; range->first moves behind them. */
void crs_gather_run(const crs_pass *pass, const crs_worker *worker, crs_piece_range *range, const crs_gradients *from,
                    int count, crs_run *run);

/* sums[k][count] += the outer products of the tiles first .. end - 1 of c, and `count` columns of a run's panels from
 * column `slot` on. */
void crs_add_outer(const crs_pass *pass, const crs_run *run, const crs_columns *c, int first, int end, int slot,
                   int count, int64_t *sums, int64_t *refused);
/* sums[count] += the column sums of a piece's panel from b on. */
void crs_add_column_sums(const crs_pass *pass, const crs_piece *p, const float *b, int count, int64_t *sums,
                         int64_t *refused);

#endif
