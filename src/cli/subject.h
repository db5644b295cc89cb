/* A checkpoint and the data that it is to be measured on, or to predict. Private to room cli. */
#ifndef CRS_CLI_SUBJECT_H
#define CRS_CLI_SUBJECT_H

#include "carousel/train.h"

typedef struct crs_subject {
    crs_model *model;
    crs_vocabulary vocabulary;
    crs_schema schema; /* of the checkpoint */
    crs_dataset dataset;
} crs_subject;

/* Reads both, checks that they go together (CRS_DATA), that a text can be read in so many streams (CRS_CONFIG), and all
 * of the split. To be closed also where this fails. Collective. */
crs_status crs_subject_open(crs_subject *subject, crs_comm *comm, const char *checkpoint, const char *data,
                            crs_split split, int64_t streams, int threads, crs_error *error);
void crs_subject_close(crs_subject *subject);

#endif
