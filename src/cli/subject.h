/* A checkpoint and the data that it is to be measured on, or to predict. Private to room cli. */
#ifndef CRS_CLI_SUBJECT_H
#define CRS_CLI_SUBJECT_H

#include "cli/cli.h"

typedef struct crs_subject {
    crs_model *model;
    crs_vocabulary vocabulary;
    crs_schema schema; /* of the checkpoint */
    crs_dataset dataset;
} crs_subject;

/* How the data are to be read, by the options that their commands share. */
typedef struct crs_subject_request {
    int split; /* crs_split */
    int64_t streams, threads;
} crs_subject_request;
/* In the order of their tables. */
typedef enum crs_subject_option { CRS_SUBJECT_SPLIT, CRS_SUBJECT_STREAMS, CRS_SUBJECT_THREADS } crs_subject_option;
crs_status crs_subject_take(crs_subject_request *request, crs_subject_option option, const crs_typed *typed,
                            crs_error *error);
/* Whether every rank was asked for the same; *error may come with what this rank failed at before. Collective. */
crs_status crs_subject_agree(crs_comm *comm, const crs_subject_request *request, crs_error *error);

/* Reads both, checks that they go together (CRS_DATA), that a text can be read in so many streams (CRS_CONFIG), and all
 * of the split. To be closed also where this fails. Collective. */
crs_status crs_subject_open(crs_subject *subject, crs_comm *comm, const char *checkpoint, const char *data,
                            const crs_subject_request *request, crs_error *error);
void crs_subject_close(crs_subject *subject);

#endif
