/* Runs of neighbouring steps of sequences, as the rows of a batch. Private to room data. */
#ifndef CAROUSEL_DATA_SEGMENTS_H
#define CAROUSEL_DATA_SEGMENTS_H

#include "data/pages.h"

/* A row of a batch: steps first .. first + steps - 1 of a sequence (forecasts: of its context). */
typedef struct crs_segment {
    int64_t sequence, first;
    int64_t id;   /* row_id */
    int lane;     /* among those of the pass */
    int steps;    /* at least 1 */
    int from, to; /* rows of state; -1: zero, nowhere */
} crs_segment;

/* What a batch of so many rows, steps and pairs points to. */
typedef struct crs_segments {
    const crs_dataset *dataset; /* borrowed */
    crs_split split;
    bool change;
    crs_pages inputs, targets, weights;
    int rows, lanes;      /* most of a pass */
    int count;            /* of this batch: */
    crs_segment *segment; /* [rows]: as they were given, then the longest first; owned, as all below */
    crs_segment *sorted;  /* [rows]: room to sort in */
    int *start, *lane_starts, *lane_row, *from, *to;
    int64_t *row_id;
    void *input, *target; /* [pairs][width] */
    float *weight, *base; /* base: [rows][K], forecasts with change */
} crs_segments;

crs_status crs_segments_create(crs_segments *segments, const crs_dataset *dataset, const crs_feed_plan *plan,
                               const crs_feed_size *most, int lanes, crs_error *error);
double crs_segments_memory(const crs_dataset *dataset, crs_split split); /* bytes of pages, at most */
void crs_segments_free(crs_segments *segments);                          /* also one that is all zero */
/* Sorts the segments [count] that stand there, reads them, and makes a batch of them. lanes 0: for evaluation. */
crs_status crs_segments_fill(crs_segments *segments, int lanes, crs_batch *batch, crs_error *error);
/* Of which sequence, and which of its steps, target i of that batch is. */
crs_feed_place crs_segments_place(const crs_segments *segments, const crs_batch *batch, ptrdiff_t i);

/* Of what begins at start[0] = 0 <= start[1] <= ... the last of `count` that begins at or before `at`. */
int64_t crs_start_before(const int64_t *start, int64_t count, int64_t at);
/* Row number `row` (crs_dataset_rows) as a segment; of `next`, its last step is no input. Steps 0: nothing in it has
 * a target. */
crs_segment crs_whole_segment(const crs_dataset *dataset, crs_split split, int64_t row);
/* The most steps that one has, at least 1. */
int64_t crs_whole_longest(const crs_dataset *dataset, crs_split split);

#endif
