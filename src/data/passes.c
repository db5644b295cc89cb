/* The lanes of a rank, cut into passes. */
#include "config.h"

#include <string.h>

#include "data/feed.h"

bool crs_passes_create(crs_passes *passes, int lanes, const int *lane_start) {
    const size_t starts = (size_t)lanes + 1;
    *passes = (crs_passes){.lanes = lanes};
    passes->lane_start = crs_alloc(starts, sizeof *passes->lane_start, CRS_MEMORY_DATA);
    passes->pass = crs_alloc((size_t)lanes, sizeof *passes->pass, CRS_MEMORY_DATA);
    if (!passes->lane_start || !passes->pass)
        return false;
    memcpy(passes->lane_start, lane_start, starts * sizeof *lane_start);
    return true;
}

void crs_passes_free(crs_passes *passes) {
    crs_free(&passes->lane_start);
    crs_free(&passes->pass);
}

void crs_passes_cut(crs_passes *passes, int pass_rows) {
    const int limit = pass_rows > 0 ? pass_rows : 1, *start = passes->lane_start;
    const int wanted = (start[passes->lanes] - start[0] + limit - 1) / limit;
    passes->count = wanted < passes->lanes ? wanted : passes->lanes;
    for (int p = 0; p < passes->count; p++) {
        const int first = crs_share(passes->lanes, p, passes->count),
                  end = crs_share(passes->lanes, p + 1, passes->count);
        passes->pass[p] = (crs_lane_pass){first, end - first, start[first], start[end] - start[first]};
    }
}

void crs_passes_lane_starts(const crs_passes *passes, int pass, int *lane_starts) {
    const crs_lane_pass *p = &passes->pass[pass];
    for (int i = 0; i <= p->lanes; i++)
        lane_starts[i] = passes->lane_start[p->first_lane + i] - p->first_row;
}
