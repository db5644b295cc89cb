/* What is in a data set, as it stands there: for whoever wants a piece of it. */
#include "config.h"

#include "carousel/data.h"
#include "data/sequences.h"

crs_status crs_dataset_bits(const crs_dataset *dataset, crs_split split, int64_t n, int64_t steps, uint8_t *bits,
                            crs_error *error) {
    const crs_sequences *s = &dataset->sequences[split];
    CRS_ASSERT(dataset->schema.inputs == CRS_INPUT_BITS && n >= 0 && n < s->count && steps <= s->length[n]);
    return crs_part_read(dataset, split, CRS_PART_INPUTS, s->start[n], steps, bits, error);
}
