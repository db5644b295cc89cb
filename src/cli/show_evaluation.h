/* What `carousel eval` found. Private to room cli. */
#ifndef CRS_CLI_SHOW_EVALUATION_H
#define CRS_CLI_SHOW_EVALUATION_H

#include <jansson.h>

#include "carousel/train.h"

/* Of a data set of sequences; for a person, with the simplest guess beside what was measured, where there is one. */
void crs_show_evaluation(const crs_schema *schema, const crs_spec *spec, crs_split split, const crs_evaluation *e);
/* The same numbers as one object, without the guess; NULL when out of memory. Owned by the caller. */
json_t *crs_show_json_evaluation(const crs_schema *schema, const crs_spec *spec, crs_split split,
                                 const crs_evaluation *e);

#endif
