/* Windows of neighbouring rows of a split cut into streams, read ahead in pieces. Private to room data. */
#ifndef CAROUSEL_DATA_READER_H
#define CAROUSEL_DATA_READER_H

#include "carousel/data.h"

/* Rows first_row .. first_row + rows - 1: row b reads the tokens from b * stride on. */
typedef struct crs_reader crs_reader;
/* Borrows dataset. The rows' buffers take about `budget` bytes together, but at least `least` tokens each. */
crs_status crs_reader_create_within(crs_reader **reader, const crs_dataset *dataset, crs_split split, int64_t stride,
                                    int64_t first_row, int rows, size_t budget, size_t least, crs_error *error);
/* With a budget for reads of a useful size; one of so many readers. */
crs_status crs_reader_create(crs_reader **reader, const crs_dataset *dataset, crs_split split, int64_t stride,
                             int64_t first_row, int rows, int readers, crs_error *error);
void crs_reader_free(crs_reader **reader);
/* inputs[t][row] = tokens[(first_row + row) * stride + offset + t], targets one further; [steps][rows], the caller's
 * memory. offset + steps <= stride. */
crs_status crs_reader_window(crs_reader *reader, int64_t offset, int steps, uint32_t *inputs, uint32_t *targets,
                             crs_error *error);
/* How often a file was read so far. */
int64_t crs_reader_reads(const crs_reader *reader);

#endif
