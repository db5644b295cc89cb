/* What is to be said of a target, in the numbers of the data: what a feed gives of them is scaled and rounded. */
#include "config.h"

#include "data/pages.h"

struct crs_truth {
    crs_pages pages;
};

enum { BYTES = 32 << 20 };

crs_status crs_truth_open(crs_truth **truth, const crs_dataset *dataset, crs_split split, crs_error *error) {
    const crs_part part = crs_schema_is_forecast(&dataset->schema) ? CRS_PART_INPUTS : CRS_PART_TARGETS;
    CRS_ASSERT(dataset->schema.targets == CRS_TARGET_VALUES);
    *truth = crs_alloc_or_fail(1, sizeof **truth, CRS_MEMORY_DATA, "reading the truth", error);
    if (!*truth)
        return error->status;
    (*truth)->pages = (crs_pages){0};
    if (crs_pages_open(&(*truth)->pages, dataset, split, part, BYTES, error))
        crs_truth_close(truth);
    else
        (*truth)->pages.plain = true;
    return error->status;
}

void crs_truth_close(crs_truth **truth) {
    if (*truth)
        crs_pages_close(&(*truth)->pages);
    crs_free(truth);
}

crs_status crs_truth_read(crs_truth *truth, int64_t sequence, int64_t step, double *numbers, crs_error *error) {
    crs_pages *pages = &truth->pages;
    const crs_schema *s = &pages->dataset->schema;
    const int64_t *start = pages->dataset->sequences[pages->split].start,
                  first = s->alignment == CRS_ALIGN_STEP || s->horizon > 0 ? start[sequence] + step : sequence;
    for (int64_t row = first; row < first + (s->horizon > 0 ? s->horizon : 1); row++) {
        int64_t count;
        const float *values = crs_pages_at(pages, row, &count, error);
        if (!values)
            return error->status;
        for (int k = 0; k < s->target_size; k++)
            *numbers++ = (double)values[s->target_columns ? s->target_columns[k] : k];
    }
    return CRS_OK;
}
