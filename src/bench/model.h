/* A model of a step over ranks. Private to room bench. Local.
 *
 * R ranks have b rows each, which go through the network in p = ceil(b / pass rows) passes. Of the sums in region k the
 * rank that owns most has S_k, of the parameters in stage g P_g (crs_shards: near 1/R of them, until a rank's share is
 * less than the rows of a tensor that stay together). A rank gets its share from each of the R - 1 others, and
 * sends what it owns to each:
 *
 *   exchange of region k   x_k = (R - 1) (message + S_k sum_bytes / bandwidth)
 *   gathering of stage g   y_g = (R - 1) (message + P_g change_bytes / bandwidth)
 *   derived regions        z   = latency + the sum of x_k of those: their totals go back to all
 *   norm                   n   = latency + (R - 1) message + 8 rows of tensors / bandwidth
 *   computing              c   = b (up + down + rest) + own max P + every
 *   packing, adding        w   = pack all sums + add (R - 1) sum S_k + change sum P_g + apply all parameters
 *                                (derived ones once more, back)
 *
 * What is hidden: region k is complete when end_k / all of the last pass's way down is done, b down / p, and its
 * messages go one region after the other; of stage g the first pass has need when it comes to it, on its way up,
 * b up / p. What is not done by then is exposed; so is the last region, the first stage, z and n:
 *
 *   step = c + w + exposed,   exposed + hidden = sum x_k + sum y_g + z + n + 2 latency
 *
 * Rows cost alike whatever their number. Ranks are alike, and none waits for another that is late. */
#ifndef CRS_BENCH_MODEL_H
#define CRS_BENCH_MODEL_H

#include "carousel/nn.h"

/* Seconds, bytes, bytes a second. */
typedef struct crs_bench_terms {
    double latency, message;         /* of a small message alone; of each of many that are on their way together */
    double bandwidth;                /* of a rank, each way, while all send */
    double sum_bytes, change_bytes;  /* packed: of a sum, of a parameter's change */
    double pack, add, change, apply; /* a number: sums packed, sums unpacked and added, and the same of parameters */
    double up, down, rest;           /* a row: input and recurrence; backward and weights; reading, output, loss */
    double own, every; /* gradient and update a parameter that a rank owns; what each rank does for all of them */
    int pass_rows;
} crs_bench_terms;

typedef struct crs_bench_forecast {
    int ranks;
    double share;            /* sums of the rank that owns most */
    double exchange, gather; /* the wire's part of the sums' and of the parameters' way */
    double compute, work, hidden, exposed, step;
    double efficiency; /* of one rank's tokens a second, times ranks */
    double batch; /* the least over all ranks with which packing, adding and what is exposed take a tenth of the step at
                     most; 0: none */
} crs_bench_forecast;

/* shards: among so many owners as there are to be ranks. rows: of each. */
void crs_bench_forecast_of(const crs_bench_terms *terms, const crs_shards *shards, double rows,
                           crs_bench_forecast *forecast);

#endif
