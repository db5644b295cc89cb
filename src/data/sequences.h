/* Data sets of sequences: opening, checking, reading. Private to room data. */
#ifndef CAROUSEL_DATA_SEQUENCES_H
#define CAROUSEL_DATA_SEQUENCES_H

#include "data/dataset.h"

/* What would do about a data set that is not what it should be. */
#define CRS_SEQUENCES_ADVICE "mend the file (docs/formats.md), or pack it again"

/* The rest of opening a data set of sequences, whose path, source and open file stand in it: all is checked but the
 * values of inputs, targets and weights. CRS_DATA. What was opened is closed with crs_sequences_close. */
crs_status crs_sequences_open(crs_dataset *dataset, crs_error *error);
void crs_sequences_close(crs_dataset *dataset);
crs_status crs_sequences_verify(const crs_dataset *dataset, crs_split split, crs_error *error);

/* Of a split, an array that it has; NULL where it has none. */
const crs_set *crs_part_of(const crs_dataset *dataset, crs_split split, crs_part part);
/* Rows first .. first + count - 1 of inputs, targets or weights as they are stored, little-endian; CRS_DATA where one
 * can't be what it stands for, or the file has changed. */
crs_status crs_part_read(const crs_dataset *dataset, crs_split split, crs_part part, int64_t first, int64_t count,
                         void *values, crs_error *error);

/* The hash of all of it, as it is stored; of names of any length, each with a zero behind it. */
crs_status crs_part_hash(const crs_dataset *dataset, crs_split split, crs_part part, char hex[CRS_HASH_HEX],
                         crs_error *error);

/* Of a forecast: where the first window of sequence i begins, and how many there are. */
static inline int64_t crs_first_window(const crs_schema *schema, const crs_sequences *sequences, int64_t i) {
    const int64_t lead = sequences->lead ? sequences->lead[i] : 0;
    return lead > schema->context ? lead - schema->context : 0;
}
static inline int64_t crs_windows_of(const crs_schema *schema, const crs_sequences *sequences, int64_t i) {
    const int64_t first = crs_first_window(schema, sequences, i), length = sequences->length[i];
    const int64_t end = length - schema->context - schema->horizon + 1;
    return end > first ? end - first : 0;
}

/* ---- whether values can be what they stand for ---- */

typedef enum crs_value_kind { CRS_VALUE_BELOW, CRS_VALUE_BIT, CRS_VALUE_REAL, CRS_VALUE_WEIGHT } crs_value_kind;
/* The index of the first of count values, `unit` bytes each and little-endian, that can't be; or count. limit: of
 * CRS_VALUE_BELOW. */
size_t crs_values_wrong(crs_value_kind kind, uint32_t limit, const void *values, int unit, size_t count);
/* A float as it is stored. */
float crs_value_float(const void *values, size_t i);

#endif
