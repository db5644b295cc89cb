/* What a model is given to work on at once: some rows of the global batch over some time. Below data, which fills it,
 * and nn, which reads it. The memory is another's (that of the feed or engine) for as long as the batch is used. */
#ifndef CAROUSEL_BATCH_H
#define CAROUSEL_BATCH_H

#include <stddef.h>
#include <stdint.h>

/* One token or vector of numbers a (time, row) pair, time by time (crs_pair); targets by sequence: one a row. The
 * one of the two that the model reads; the other is NULL. */
typedef struct crs_series {
    const uint32_t *tokens; /* [pairs], each below the model's input_size or outputs (checked by whoever fills it);
                               also classes */
    const float *numbers;   /* [pairs][D or K], scaled; bits are 0 or 1 */
} crs_series;

typedef struct crs_batch {
    int steps, rows;  /* rows may be 0 */
    const int *start; /* [steps + 1]: pairs before each time, of rows of unlike lengths, the longest first: those that
                         still run at t are the first start[t + 1] - start[t]. NULL: all have `steps` */
    crs_series input, target;
    const float *weight;   /* [pairs], or [rows] by sequence: of each target, 0: there is none; NULL: 1 each */
    float *state;          /* [rows][crs_model_state], read at the start, written after each row's own last step; NULL:
                              all begin from zero, and nothing is written */
    const int *state_from; /* [rows]: of which row of state it begins with, -1: from zero; NULL: its own */
    const int *state_to;   /* [rows]: where its state goes after its last step, -1: nowhere; NULL: its own */
    const int64_t *row_id; /* [rows]: rows of the global batch; they key the dropout masks */
    /* the rest for training alone */
    int lanes;              /* neighbouring groups of rows, each summed by itself; of any number of rows, none too */
    const int *lane_starts; /* [lanes + 1], rows of this batch; with lane_row: places in it */
    const int *lane_row;    /* [rows]: each lane's rows, ascending; NULL: neighbours */
    int lane_rows;          /* the nominal rows a lane, from the configuration: it shapes the sums */
    float dropout;          /* between layers and before the output; 0 for none */
    float input_dropout, input_noise; /* of the inputs: share (tokens: crs_spec.gather), deviation; 0 for none */
    double loss_limit; /* a target's loss beyond this is refused; 0: 4096. A step's targets times it stay below 2^31 */
    uint64_t seed, step; /* key the dropout masks */
} crs_batch;

/* A piece of the weight gradient, a lane's rows over some time that are summed as floats, has about so many pairs */
enum { CRS_PIECE_PAIRS = 256 };
/* and so this many steps. */
static inline int crs_piece_steps(int lane_rows) {
    return lane_rows >= CRS_PIECE_PAIRS ? 1 : (CRS_PIECE_PAIRS + lane_rows - 1) / lane_rows;
}

/* Where the pair (time, row) stands among those of a batch; (steps, 0): how many there are. */
static inline ptrdiff_t crs_pair(const crs_batch *batch, int time, int row) {
    return (batch->start ? batch->start[time] : (ptrdiff_t)time * batch->rows) + row;
}
/* Rows that run at a time. */
static inline int crs_rows_at(const crs_batch *batch, int time) {
    return batch->start ? batch->start[time + 1] - batch->start[time] : batch->rows;
}

#endif
