/* What `carousel sample` was asked for. Private to it. */
#ifndef CRS_CLI_SAMPLE_H
#define CRS_CLI_SAMPLE_H

#include "carousel/data.h"
#include "carousel/generate.h"

typedef struct crs_sample_request {
    crs_sampling sampling;  /* text; music has its temperature and seed */
    const char *prime_file; /* NULL: none */
    int64_t threads;
    const char *for_text, *for_music; /* an option that was given and is for one alone; NULL: none */
    const char *output, *prime_from;  /* music; NULL: not given */
    int64_t prime_steps, steps;       /* prime_steps -1: all */
    int grid;                         /* 0: as the data say */
    double tempo;
} crs_sample_request;

/* Music by a model of next bits. */
crs_status crs_sample_music(const crs_sample_request *request, const char *checkpoint, crs_model *model,
                            const crs_schema *schema, crs_error *error);

#endif
