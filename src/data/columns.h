/* Lists of names that a data set of sequences has: of columns, targets and classes; and their units. Private to room
 * data. */
#ifndef CAROUSEL_DATA_COLUMNS_H
#define CAROUSEL_DATA_COLUMNS_H

#include "data/dataset.h"

/* The list `path` ("classes"), as reports can show it: control characters, which could drive a terminal or break the
 * line of a table, become '?'. CRS_DATA, also where a name stands there twice. *names is the caller's in any case. */
crs_status crs_columns_read(const crs_dataset *dataset, const char *path, crs_names *names, crs_error *error);
/* What the numbers of such a list are in, by its attribute `units`: count names, or none where it has no attribute. */
crs_status crs_units_read(const crs_dataset *dataset, const char *path, int count, crs_names *units, crs_error *error);

#endif
