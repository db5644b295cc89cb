/* RUN/metrics.jsonl: one JSON object a line a step. Private to room train; rank 0 alone. Local. */
#ifndef CRS_TRAIN_METRICS_H
#define CRS_TRAIN_METRICS_H

#include "carousel/base.h"
#include "carousel/comm.h"
#include "train/step.h"

/* Lines wait in memory for the file, and longer where its disk is full. */
typedef struct crs_metrics {
    int file;
    char *path;         /* owned; NULL: closed */
    char *lines;        /* [room], owned: what is not yet in the file ... */
    size_t count, room; /* ... and how much of it there is */
    int64_t lost;       /* lines for which there was no room */
    double flushed;     /* when; crs_seconds */
    bool failing;       /* the file did not take the lines the last time */
    bool gone;          /* it was removed or replaced */
} crs_metrics;

/* Where a run is started: stands in the first line that it then writes. */
typedef struct crs_metrics_start {
    const char *job;                                     /* its number; NULL: none */
    const char *(*host)(const crs_comm *comm, int rank); /* the name of a rank's node: crs_comm_host */
    const crs_comm *comm;
    int ranks, threads;
} crs_metrics_start;

/* A line. NaN stands for what is not known: it becomes null, but is left out for the validation loss. */
typedef struct crs_metrics_line {
    int64_t step, epoch, tokens, refused;
    double loss, rate, grad_norm, tokens_per_second, comm_share, wait_share, seconds, validation_loss;
    const crs_metrics_start *start; /* NULL: it is not the first one */
    const crs_times *times;         /* NULL: of one rank */
} crs_metrics_line;

/* Opens the file so that it ends with the line of this step: lines beyond it, a torn last line and lines out of order
 * are dropped, by writing a new file in its place where there are any. A validation loss that is not NaN is added to
 * the last line. CRS_CREATE. */
crs_status crs_metrics_open(crs_metrics *metrics, const char *run, int64_t step, double validation_loss,
                            crs_error *error);
/* Lines reach the file every few seconds. CRS_CREATE where the file was removed or replaced; where it can't be written,
 * this is warned of once, and tried again. */
crs_status crs_metrics_write(crs_metrics *metrics, const crs_metrics_line *line, crs_error *error);
/* All lines so far, to the disk. CRS_CREATE where they don't get there, for either reason. last: the caller tells of
 * it. */
crs_status crs_metrics_flush(crs_metrics *metrics, bool last, crs_error *error);
void crs_metrics_close(crs_metrics *metrics);

#endif
