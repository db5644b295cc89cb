/* Lanes: which rows a rank owns. */
#include "config.h"

#include <inttypes.h>

#include "carousel/batch.h"
#include "carousel/comm.h"

static int lanes_of(int batch, int lane_rows) {
    return (int)(((int64_t)batch + lane_rows - 1) / lane_rows);
}

/* The largest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that is not above most: these share out evenly over most numbers of
 * ranks. */
static int even_lanes(int most) {
    int n = 1;
    while (n <= most / 2)
        n *= 2;
    return n > 1 && n / 2 * 3 <= most ? n / 2 * 3 : n;
}

static int default_lanes(int batch, int window) {
    const int wanted = (CRS_PIECE_PAIRS + window - 1) / window, most = batch / 8;
    const int rows = wanted < most ? wanted : most;
    return even_lanes(lanes_of(batch, rows > 1 ? rows : 1));
}

/* The smallest batch from this one on that has a lane for every rank. */
static int64_t batch_for(int batch, int window, int lane, int ranks) {
    if (lane > 0)
        return (int64_t)(ranks - 1) * lane + 1;
    batch = batch > ranks ? batch : ranks;
    while (default_lanes(batch, window) < ranks)
        batch++;
    return batch;
}

static crs_status too_many_ranks(const crs_lanes *l, int window, int lane, int count, int ranks, crs_error *error) {
    if (count > 0 && ranks > l->batch)
        return crs_fail(error, CRS_CONFIG,
                        "%d ranks are more than the %d rows of --batch=%d; --batch=%d with --lanes=%d would do", ranks,
                        l->batch, l->batch, ranks, ranks);
    if (count > 0)
        return crs_fail(error, CRS_CONFIG,
                        "%d ranks are more than the lanes of --lanes=%d; at most %d ranks, or --lanes=%d would do",
                        ranks, l->lanes, l->lanes, ranks);
    const int64_t batch = batch_for(l->batch, window, lane, ranks);
    if (ranks > l->batch)
        return crs_fail(error, CRS_CONFIG,
                        "%d ranks are more than the %d rows of --batch=%d; --batch=%" PRId64 " would do", ranks,
                        l->batch, l->batch, batch);
    return crs_fail(
        error, CRS_CONFIG,
        "%d ranks are more than the %d lanes of --batch=%d (%d rows each); at most %d ranks, or --lane=%d, or "
        "--batch=%" PRId64 " would do",
        ranks, l->lanes, l->batch, l->lane_rows, l->lanes, l->batch / ranks, batch);
}

/* How many lanes there are, and their nominal rows: either follows from the other. */
static crs_status choose(crs_lanes *l, int window, int lane, int count, int ranks, crs_error *error) {
    const int batch = l->batch;
    if (lane > batch && ranks <= batch)
        return crs_fail(error, CRS_CONFIG, "--lane=%d is more than the %d rows of --batch=%d; --lane=%d would do", lane,
                        batch, batch, batch / ranks);
    if (count > batch && ranks <= batch)
        return crs_fail(error, CRS_CONFIG, "--lanes=%d is more than the %d rows of --batch=%d; --lanes=%d would do",
                        count, batch, batch, batch);
    if (count > 0)
        l->lanes = count < batch ? count : batch;
    else
        l->lanes = lane > 0 ? lanes_of(batch, lane) : default_lanes(batch, window);
    l->lane_rows = lane > 0 && lanes_of(batch, lane) == l->lanes ? lane : lanes_of(batch, l->lanes);
    return CRS_OK;
}

static int first_row(const crs_lanes *lanes, int rank, int ranks) {
    return crs_lane_start(lanes, crs_share(lanes->lanes, rank, ranks));
}

crs_status crs_lanes_plan(crs_lanes *l, int batch, int window, int lane, int count, int rank, int ranks,
                          crs_error *error) {
    *l = (crs_lanes){.batch = batch};
    if (choose(l, window, lane, count, ranks, error))
        return error->status;
    if (ranks > l->lanes)
        return too_many_ranks(l, window, lane, count, ranks, error);
    l->first_lane = crs_share(l->lanes, rank, ranks);
    l->own_lanes = crs_share(l->lanes, rank + 1, ranks) - l->first_lane;
    l->first_row = first_row(l, rank, ranks);
    l->own_rows = first_row(l, rank + 1, ranks) - l->first_row;
    int most = 0;
    for (int r = 0; r < ranks; r++) {
        const int rows = first_row(l, r + 1, ranks) - first_row(l, r, ranks);
        most = rows > most ? rows : most;
    }
    l->efficiency = (double)batch / ranks / most;
    return CRS_OK;
}

int crs_lane_start(const crs_lanes *lanes, int lane) {
    return crs_share(lanes->batch, lane, lanes->lanes);
}

void crs_lanes_rows(const crs_lanes *lanes, int ranks, int *rows_of) {
    for (int r = 0; r < ranks; r++)
        rows_of[r] = first_row(lanes, r + 1, ranks) - first_row(lanes, r, ranks);
}
