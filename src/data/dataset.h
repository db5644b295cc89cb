/* What the parts of this room share about an open data set. */
#ifndef CAROUSEL_DATA_DATASET_H
#define CAROUSEL_DATA_DATASET_H

#include "carousel/data.h"

/* tokens[offset .. offset + count) of a split, dataset->token_bytes each, little-endian; checked against the
 * vocabulary. */
crs_status crs_dataset_read_packed(const crs_dataset *dataset, crs_split split, int64_t offset, int64_t count,
                                   void *packed, crs_error *error);
/* Opens and checks one split of dataset->file: sets dataset->split, length and hash, and raises token_bytes. */
crs_status crs_split_open(crs_dataset *dataset, crs_split split, crs_error *error);
/* Bytes of a token of this split on the disk. */
int crs_split_bytes(const crs_dataset *dataset, crs_split split);

#endif
