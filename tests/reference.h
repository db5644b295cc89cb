/* A plain model in double precision, to compare with: loops as the formulas of carousel/nn.h are written, one row
 * after the other, time step by time step, every tensor in the shape it has in files. Slow, and nothing shared
 * with src/nn. */
#ifndef CAROUSEL_TESTS_REFERENCE_H
#define CAROUSEL_TESTS_REFERENCE_H

#include "carousel/nn.h"

typedef struct ref_tensor {
    char name[64]; /* as in files, below /model */
    int rank;
    int64_t dims[2];
    int64_t size;
    double *values, *gradient; /* [size] */
    double *magnitude;         /* [size]: the absolute values of what the gradient sums: how much of it cancels */
} ref_tensor;

typedef struct ref_model {
    crs_spec shape;
    int gates; /* of a cell: 4, 4, 3, 1 */
    int parts; /* of the state: h, c or h */
    int tensors;
    ref_tensor *tensor; /* in the order of the file */
} ref_model;

/* Ends the program when out of memory. Owned by the caller. */
ref_model *ref_create(const crs_spec *shape);
void ref_free(ref_model **model);
/* The tensor of that name, or NULL. */
ref_tensor *ref_find(const ref_model *model, const char *name);
size_t ref_state_size(const ref_model *model); /* [layers][parts][H] */

typedef struct ref_batch {
    int steps, rows;
    const uint32_t *inputs, *targets; /* [steps][rows] */
    const int *length;                /* [rows]: steps of each; NULL: all */
    const double *state;              /* [rows][ref_state_size]: at the start */
    double dropout, input_dropout;    /* keys of the masks as in crs_batch */
    uint64_t seed, step;
    int64_t first_row;
} ref_batch;

/* The loss summed over all targets, in nats; final[rows][ref_state_size], where not NULL, gets the carried state. */
double ref_loss(const ref_model *model, const ref_batch *batch, double *final);
/* The same, and every tensor's gradient becomes that of the summed loss; magnitude too. */
double ref_gradient(ref_model *model, const ref_batch *batch, double *final);
/* The norm of a tensor's gradient over that of the magnitudes: 1 where nothing cancels, or where all is zero. */
double ref_condition(const ref_tensor *tensor);
/* The factor of one unit's output under dropout: 0, or 1 / (1 - p). */
double ref_mask(const ref_batch *batch, int row, int layer, int time, int unit);
/* The same of a column of the input. */
double ref_input_mask(const ref_batch *batch, int row, int time, int column);

#endif
