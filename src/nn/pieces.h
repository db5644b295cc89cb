/* What the weight gradient sums as floats: a lane's rows over some of the time (a piece), its columns packed and
 * gathered.
 *
 * Never a sum over rows of two lanes: then the bits would depend on which rank owns them. What shapes a piece is its
 * lane, up to the end of the longest of its rows, and never what else is in the pass. */
#ifndef CRS_PIECES_H
#define CRS_PIECES_H

#include "nn/model.h"

typedef struct crs_piece {
    int number, lane;
    int first_time, end_time;
    int n;      /* (time, row) pairs */
    int start;  /* pairs of the pieces before */
    int packed; /* packed rows of the pieces before */
    int first_span, end_span;
} crs_piece;

/* Rows of a piece that are neighbours, at one time. */
typedef struct crs_span {
    int time, row, rows;
    int at; /* pairs of the piece before it */
} crs_span;

/* Lists the pieces of a pass: lane by lane, each lane's in the order of time. A lane may have any number of rows, none
 * too. One thread. */
void crs_list_pieces(const crs_pass *pass);

/* One operand: columns of h or of a layer's input, packed as [piece][tile][rows][width of the tile]. Where all rows run
 * to the end, a state is packed once for two uses (shared): as what the layer's steps begin from and, a time later, as
 * what the next layer reads; then there is one time more, the first being the one before the window. */
typedef struct crs_columns {
    const float *x;
    ptrdiff_t length;
    int k, tiles;
    const int *index; /* [pairs], piece by piece: the row of x; NULL: [times][rows], all in order */
    bool shared;
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
typedef struct crs_piece_run {
    int pieces;
    const crs_piece *piece[CRS_RUN_PIECES];
    float *panel[CRS_RUN_PIECES]; /* [blocks][n][16] each, of this thread */
} crs_piece_run;

/* Rows of gradients, `row` floats apart: those of all pairs in the order of the batch; or, by_piece, those of some
 * pieces, piece by piece, from pair number `start` of that order on. */
typedef struct crs_gradients {
    const float *base;
    ptrdiff_t row;
    bool by_piece;
    int start;
} crs_gradients;

/* Gathers `count` columns (a multiple of 16) of as many of the pieces first .. end - 1 as make a run. */
void crs_gather_run(const crs_pass *pass, const crs_worker *worker, int first, int end, const crs_gradients *from,
                    int count, crs_piece_run *run);

/* sums[k][count] += the outer products of the tiles first .. end - 1 of c, and `count` columns of a run's panels from
 * column `slot` on. */
void crs_add_outer(const crs_pass *pass, const crs_piece_run *run, const crs_columns *c, int first, int end, int slot,
                   int count, int64_t *sums, int64_t *refused);
/* sums[count] += the column sums of a piece's panel from b on. */
void crs_add_column_sums(const crs_pass *pass, const crs_piece *p, const float *b, int count, int64_t *sums,
                         int64_t *refused);

#endif
