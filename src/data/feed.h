/* What the kinds of feeds share. Private to room data. */
#ifndef CAROUSEL_DATA_FEED_H
#define CAROUSEL_DATA_FEED_H

#include "carousel/data.h"

/* Neighbouring lanes of a rank that go through the network together. */
typedef struct crs_lane_pass {
    int first_lane, lanes; /* of the rank's */
    int first_row, rows;   /* first_row: of the global batch */
} crs_lane_pass;

/* The rank's lanes, and how they are cut. */
typedef struct crs_passes {
    int lanes, count;
    int *lane_start;     /* [lanes + 1]: rows of the global batch, owned */
    crs_lane_pass *pass; /* [count], room for `lanes`; owned */
} crs_passes;

/* Copies the lanes. False when out of memory; to be freed in any case. */
bool crs_passes_create(crs_passes *passes, int lanes, const int *lane_start);
void crs_passes_free(crs_passes *passes);
/* As even as can be, of about so many rows each. */
void crs_passes_cut(crs_passes *passes, int pass_rows);
/* By rows and pairs: lanes go together up to so many of both; lane l has rows[l] rows of pairs[l] pairs. */
void crs_passes_cut_pairs(crs_passes *passes, int pass_rows, int pass_pairs, const int *rows, const int64_t *pairs);
/* Starts of a pass's lanes, counted from its first row. */
void crs_passes_lane_starts(const crs_passes *passes, int pass, int *lane_starts);

typedef struct crs_feed_kind {
    /* Fills feed->own; what it leaves there is freed by close, also where it fails. */
    crs_status (*open)(crs_feed *feed, crs_error *error);
    void (*close)(crs_feed *feed);
    /* Of an epoch; NULL: open has set feed->steps. */
    int64_t (*steps)(const crs_dataset *dataset, const crs_feed_plan *plan);
    /* Bytes of the order of an epoch; NULL: it has none. */
    double (*order_memory)(const crs_dataset *dataset, const crs_feed_plan *plan);
    crs_feed_size (*most)(const crs_feed *feed);
    int (*passes)(crs_feed *feed, int64_t step);
    int (*state_row)(const crs_feed *feed, int pass);
    crs_status (*read)(crs_feed *feed, int64_t step, int pass, crs_batch *batch, crs_error *error);
    crs_feed_place (*place)(const crs_feed *feed, const crs_batch *batch, ptrdiff_t i); /* NULL: of a text */
} crs_feed_kind;
extern const crs_feed_kind crs_feed_text, crs_feed_whole, crs_feed_streams, crs_feed_once;

struct crs_feed {
    const crs_feed_kind *kind;
    const crs_dataset *dataset; /* borrowed */
    crs_feed_plan plan;         /* lane_start: NULL */
    crs_passes passes;          /* not with once */
    int64_t steps;              /* of an epoch */
    void *own;                  /* of the kind */
};

/* ---- order.c: which sequence an epoch has where ---- */

/* A permutation of 0 .. count - 1, keyed by (seed, epoch). */
void crs_order_shuffle(int64_t *order, int64_t count, uint64_t seed, int64_t epoch);
/* Sorts by steps[order[i]], the longest first; equal ones stay as they stand. room: [count]. */
void crs_order_sort(int64_t *order, int64_t count, const int *steps, int64_t *room);
/* The same as crs_order_shuffle, for batches of whole sequences: sorted by steps (NULL: all are of one length) within
 * blocks of 64 batches, and the batches shuffled. Batch b has the places batch_start[b] .. batch_start[b + 1] - 1; one
 * may be short, wherever it falls. order has room for 2 * count + the number of batches. */
void crs_order_batches(int64_t *order, int64_t count, int64_t batch, const int *steps, uint64_t seed, int64_t epoch,
                       int64_t *batch_start);

#endif
