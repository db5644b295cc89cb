/* Whether the arrays of a checkpoint are those that its attributes ask for. Private to room checkpoint. */
#ifndef CRS_CHECKPOINT_CHECK_H
#define CRS_CHECKPOINT_CHECK_H

#include "carousel/checkpoint.h"

/* Every tensor of the model is there with its shape, and nothing else below /model; every moment of the optimizer
 * has the parameters' names and shapes. Looks at no values. CRS_DATA names the data set; name: of the file. */
crs_status crs_check_shapes(const crs_checkpoint *checkpoint, const char *name, crs_error *error);

/* All values of an array below /model are finite (CRS_DATA says where one is not); others pass. */
crs_status crs_check_finite(const crs_array *array, const char *name, crs_error *error);

#endif
