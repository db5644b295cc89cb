/* Lists of names in HDF5 files. */
#ifndef CRS_STORE_NAMES_FILE_H
#define CRS_STORE_NAMES_FILE_H

#include "carousel/schema.h"
#include "store/set.h"

/* Bytes of a name, and of all of a list, that are read at most. */
enum { CRS_NAME_BYTES = 1 << 16, CRS_NAMES_BYTES = 1 << 28 };

/* Reads the list `path` ("classes") of an open file whose name is file: strings of fixed or variable length, UTF-8, at
 * least one; and compares its hash, where one is stated: that of the entries as stored, or where their length varies of
 * each filled up with zeros to the longest's. hashed: it must carry one. advice: what would do about a damaged one.
 * CRS_DATA. On failure *names is empty. */
crs_status crs_names_read(hid_t open, const char *file, const char *path, bool hashed, const char *advice,
                          crs_names *names, crs_error *error);
/* The attribute `name` ("units") of the list `path`: a text for each of its count entries, or a single one that holds
 * for all. Nothing where it has none. CRS_DATA: it is something else. On failure *names is empty. */
crs_status crs_names_attribute(hid_t open, const char *file, const char *path, const char *name, int count,
                               crs_names *names, crs_error *error);
/* What is wrong with a name: CRS_DATA. */
crs_status crs_name_check(const crs_set *set, int64_t index, const char *bytes, size_t length, crs_error *error);

#endif
