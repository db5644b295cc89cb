/* What the data sets of a checkpoint mean, for their attributes. Private to room checkpoint. */
#ifndef CRS_CHECKPOINT_DESCRIBE_H
#define CRS_CHECKPOINT_DESCRIBE_H

#include "carousel/base.h"

/* In words; "" where the path says it all. */
const char *crs_describe_meaning(const char *path);
/* "1" for a plain number; "" where it is not known. */
const char *crs_describe_units(const char *path);
/* The gates, in the order in which their rows stand, of a data set that has a block of rows for each; "" otherwise. */
const char *crs_describe_gates(const char *path, const char *cell);

#endif
