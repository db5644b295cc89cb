/* For tests: a reader with little room. */
#ifndef CAROUSEL_DATA_READER_H
#define CAROUSEL_DATA_READER_H

#include "carousel/data.h"

/* As crs_reader_create; the rows' buffers take about `budget` bytes together, but at least `least` tokens each. */
crs_status crs_reader_create_within(crs_reader **reader, const crs_dataset *dataset, crs_split split, int64_t stride,
                                    int64_t first_row, int rows, size_t budget, size_t least, crs_error *error);
/* How often a file was read so far. */
int64_t crs_reader_reads(const crs_reader *reader);

#endif
