/* What `carousel show` tells of each kind of file. Private to it. */
#ifndef CRS_CLI_SHOW_H
#define CRS_CLI_SHOW_H

#include "carousel/data.h"

typedef enum crs_show_form { CRS_SHOW_PEOPLE, CRS_SHOW_JSON, CRS_SHOW_DIGEST, CRS_SHOW_VERIFY } crs_show_form;

/* To standard output, after the whole file of so many bytes has been read and checked. */
crs_status crs_show_checkpoint(const char *path, int64_t bytes, crs_show_form form, crs_error *error);
crs_status crs_show_tokens(const char *path, int64_t bytes, crs_show_form form, crs_error *error);
crs_status crs_show_sequences(const char *path, int64_t bytes, crs_show_form form, crs_error *error);
/* Reads and checks all of a data set, and says so while it does. */
crs_status crs_show_verify(const crs_dataset *dataset, crs_error *error);

#endif
