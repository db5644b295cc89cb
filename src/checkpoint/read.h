/* Reading a checkpoint file. Private to room checkpoint. */
#ifndef CRS_CHECKPOINT_READ_H
#define CRS_CHECKPOINT_READ_H

#include "carousel/checkpoint.h"

/* As crs_checkpoint_read; listing gets the hash over everything in the file. */
crs_status crs_read_file(const char *path, crs_checkpoint *checkpoint, char listing[CRS_HASH_HEX], crs_error *error);

/* The step that the file says, and nothing else of it. CRS_NO_INPUT, CRS_DATA. */
crs_status crs_read_step(const char *path, int64_t *step, crs_error *error);

#endif
