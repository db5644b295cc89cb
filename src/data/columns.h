/* Lists of names that a data set of sequences has: of columns, targets and classes. Private to room data. */
#ifndef CAROUSEL_DATA_COLUMNS_H
#define CAROUSEL_DATA_COLUMNS_H

#include "data/dataset.h"

/* The list `path` ("classes"), as reports can show it: control characters, which could drive a terminal or break the
 * line of a table, become '?'. CRS_DATA, also where a name stands there twice. *names is the caller's in any case. */
crs_status crs_columns_read(const crs_dataset *dataset, const char *path, crs_names *names, crs_error *error);

#endif
