/* What the weight gradient sums as floats: a lane's rows over some of the time (a piece), its columns packed and
 * gathered.
 *
 * Never a sum over rows of two lanes: then the bits would depend on which rank owns them. */
#ifndef CRS_PIECES_H
#define CRS_PIECES_H

#include "model.h"

typedef struct crs_piece {
    int first_row, end_row, first_time, end_time;
    int n;      /* (time, row) pairs */
    int start;  /* pairs of the pieces before */
    int packed; /* packed rows of the pieces before: each has those of one time more than n */
} crs_piece;

int crs_pieces(const crs_pass *pass);
crs_piece crs_piece_at(const crs_pass *pass, int number);

/* One operand: columns of h or of a layer's input, packed as [piece][tile][n + rows of the lane][width of the tile].
 * A state is packed once for two uses, as what the layer's steps begin from and, a time later, as what the next layer
 * reads. */
typedef struct crs_columns {
    const float *x; /* [times][rows][length] */
    ptrdiff_t length;
    int k, tiles;
    bool state; /* there is one time more, the first being the one before the window */
    bool later; /* those a time later are meant */
    float *packed;
} crs_columns;

crs_columns crs_columns_of(const float *x, ptrdiff_t length, int k, float *packed);
static inline float *crs_packed_at(const crs_columns *c, const crs_piece *p) {
    return c->packed + (ptrdiff_t)p->packed * c->k;
}
/* Every thread packs its share of the tiles of every piece. */
void crs_pack(const crs_pass *pass, const crs_worker *worker, const crs_columns *c);

/* Neighbouring pieces whose gathered columns stay in the second-level cache together. */
enum { CRS_RUN_PIECES = 32 };
typedef struct crs_run {
    int pieces;
    crs_piece piece[CRS_RUN_PIECES];
    float *panel[CRS_RUN_PIECES]; /* [blocks][n][16] each, of this thread */
} crs_run;

/* The run from a piece on, and the columns of each row of `from`, `row` floats apart: count, a multiple of 16. */
void crs_gather_run(const crs_pass *pass, const crs_worker *worker, int first, const float *from, ptrdiff_t row,
                    int count, crs_run *run);

#endif
