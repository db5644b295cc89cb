/* What a model is given to work on at once: some rows of the global batch over some time. Below data, which fills it, and
 * nn, which reads it. The memory is another's (that of the feed or engine) for as long as the batch is used. */
#ifndef CAROUSEL_BATCH_H
#define CAROUSEL_BATCH_H

#include <stddef.h>
#include <stdint.h>

/* One number or vector a (time, row) pair, time by time (crs_pair). Another kind of input or target is another pointer
 * here. */
typedef struct crs_series {
    const uint32_t
        *tokens; /* [steps][rows], each below the model's input_size or outputs (checked by whoever fills it) */
} crs_series;

typedef struct crs_batch {
    int steps, rows; /* rows may be 0 */
    crs_series input, target;
    float *state;          /* [rows][crs_model_state], read at the start, written at the end */
    const int64_t *row_id; /* [rows]: rows of the global batch; they key the dropout masks */
    /* the rest for training alone */
    int lanes;              /* neighbouring groups of rows, each summed by itself */
    const int *lane_starts; /* [lanes + 1], rows of this batch */
    int lane_rows; /* the nominal rows a lane, from the configuration: it shapes the sums; no lane has less than half */
    float dropout; /* between layers and before the output; 0 for none */
    uint64_t seed, step; /* key the dropout masks */
} crs_batch;

/* Where the pair (time, row) stands among those of a batch. The one place that knows that every row runs to the end:
 * rows of unlike lengths, by falling length, would ask a list of the pairs before each time. */
static inline ptrdiff_t crs_pair(const crs_batch *batch, int time, int row) {
    return (ptrdiff_t)time * batch->rows + row;
}

#endif
