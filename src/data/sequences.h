/* Reading what stands in a data set of sequences. Private to room data. */
#ifndef CAROUSEL_DATA_SEQUENCES_H
#define CAROUSEL_DATA_SEQUENCES_H

#include "carousel/data.h"

/* Steps step .. step + count - 1 of a split. tokens: uint32_t[count]; values: float[count][D], not scaled; bits:
 * float[count][D]. Here and below: what can't be (a token out of range, a bit that is not 0 or 1, ...) is CRS_DATA with
 * its place, and so is a file that has changed. */
crs_status crs_sequences_inputs(const crs_dataset *dataset, crs_split split, int64_t step, int64_t count, void *out,
                                crs_error *error);
/* Of steps, or of sequences. class: uint32_t[count]; values (not scaled), bits: float[count][K]. */
crs_status crs_sequences_targets(const crs_dataset *dataset, crs_split split, int64_t first, int64_t count, void *out,
                                 crs_error *error);
/* Of steps (crs_sequences.weights_by_step), or of sequences. */
crs_status crs_sequences_weights(const crs_dataset *dataset, crs_split split, int64_t first, int64_t count, float *out,
                                 crs_error *error);

/* Counts the windows of forecasts, once lengths and leads are known: fills windows and window_start. False when out of
 * memory. */
bool crs_sequences_count_windows(const crs_schema *schema, crs_sequences *sequences);

#endif
