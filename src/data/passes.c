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

void crs_passes_cut_pairs(crs_passes *passes, int pass_rows, int pass_pairs, const int *rows, const int64_t *pairs) {
    int lane = 0;
    passes->count = 0;
    while (lane < passes->lanes) {
        crs_lane_pass *pass = &passes->pass[passes->count++];
        int64_t all = pairs[lane];
        *pass = (crs_lane_pass){.first_lane = lane, .lanes = 1, .first_row = passes->lane_start[lane]};
        pass->rows = rows[lane++];
        while (lane < passes->lanes && pass->rows + rows[lane] <= pass_rows && all + pairs[lane] <= pass_pairs) {
            all += pairs[lane];
            pass->rows += rows[lane++];
            pass->lanes++;
        }
    }
}

void crs_passes_lane_starts(const crs_passes *passes, int pass, int *lane_starts) {
    const crs_lane_pass *p = &passes->pass[pass];
    for (int i = 0; i <= p->lanes; i++)
        lane_starts[i] = passes->lane_start[p->first_lane + i] - p->first_row;
}
