/* Reading a checkpoint file, and whether its arrays are those that its attributes ask for. Private to room
 * checkpoint. */
#ifndef CRS_CHECKPOINT_READ_H
#define CRS_CHECKPOINT_READ_H

#include "carousel/checkpoint.h"

/* As crs_checkpoint_read; listing gets the hash over everything in the file. */
crs_status crs_read_file(const char *path, crs_checkpoint *checkpoint, char listing[CRS_HASH_HEX], crs_error *error);

/* The step that the file says, and nothing else of it. CRS_NO_INPUT, CRS_DATA. */
crs_status crs_read_step(const char *path, int64_t *step, crs_error *error);

/* Every tensor of the model is there with its shape, and nothing else below /model; every moment of the optimizer
 * has the parameters' names and shapes. Looks at no values. CRS_DATA names the data set; name: of the file. */
crs_status crs_check_shapes(const crs_checkpoint *checkpoint, const char *name, crs_error *error);

/* All values of an array below /model are finite (CRS_DATA says where one is not); others pass. */
crs_status crs_check_finite(const crs_array *array, const char *name, crs_error *error);

/* The lists of names that a checkpoint may have, and where they stand in a crs_schema. */
typedef struct crs_name_list {
    const char *path;
    size_t offset;
} crs_name_list;
enum { CRS_NAME_LISTS = 5 };
extern const crs_name_list crs_name_lists[CRS_NAME_LISTS];

#endif
