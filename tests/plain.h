/* A plain model of sequences in double precision, forward alone: every option of a spec, a row at a time, as
 * carousel/nn.h and the formats say it. Its gradient is by differences. Nothing shared with src/nn. */
#ifndef CAROUSEL_TESTS_PLAIN_H
#define CAROUSEL_TESTS_PLAIN_H

#include "carousel/nn.h"

enum { PLAIN_TENSORS = 64 };

typedef struct plain_model {
    crs_spec spec;
    int tensors;
    crs_tensor tensor[PLAIN_TENSORS];
    double *values[PLAIN_TENSORS]; /* owned */
} plain_model;

/* Values are drawn, and are floats. Ends the program when out of memory. */
plain_model *plain_create(const crs_spec *spec, uint64_t seed);
void plain_free(plain_model **plain);
double plain_draw(uint64_t seed, uint64_t stream, uint64_t index); /* in [-1, 1) */

/* A sequence: what it reads and what is to be said of it, of each step or at all. Those that are not asked for may be
 * NULL. */
typedef struct plain_row {
    int steps;
    const float *numbers;   /* [steps][D] */
    const uint32_t *tokens; /* [steps] */
    const float *target_numbers;
    const uint32_t *target_tokens;
    const float *weight; /* NULL: 1 */
    const float *state;  /* [layers][parts][H]; NULL: zero */
} plain_row;

/* The weighted loss; weight: of its targets (values: times numbers), added to; outputs: [targets][outputs] or NULL. */
double plain_loss(const plain_model *plain, const plain_row *row, double *weight, double *outputs);

#endif
