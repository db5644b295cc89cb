/* Mean and deviation of columns, as they go by. */
#ifndef CAROUSEL_DATA_MOMENTS_H
#define CAROUSEL_DATA_MOMENTS_H

#include "carousel/schema.h"

typedef struct crs_moments {
    int columns;
    int64_t count;         /* rows so far */
    double *mean, *square; /* [columns] of those rows: mean, sum of squares about it. Owned */
} crs_moments;

/* False when out of memory. */
bool crs_moments_begin(crs_moments *moments, int columns);
void crs_moments_add(crs_moments *moments, const float *row); /* [columns] */
/* Mean and the population's deviation of each; of columns that are constant, or without rows, the deviation is 1.
 * scale's arrays are there. */
void crs_moments_scale(const crs_moments *moments, crs_scale *scale);
void crs_moments_free(crs_moments *moments);

#endif
