/* Drawn inputs for tests of src/nn: parameters, tokens and carried state, for the model and for its reference alike. */
#ifndef CAROUSEL_TESTS_CASES_H
#define CAROUSEL_TESTS_CASES_H

#include "reference.h"

typedef struct nn_case {
    crs_spec shape;
    int rows, steps, lanes, lane_rows;
    float dropout, input_dropout; /* input_dropout: 0.25 where the spec gathers */
    uint64_t seed;                /* of all that is drawn, and of the masks */
    ref_model *ref;               /* every value is a float's */
    uint32_t *inputs, *targets;
    float *state;     /* at the start; left as it is by all below */
    int *lane_starts; /* [lanes + 1] */
    int64_t *row_id;  /* [rows]: 0, 1, ... */
} nn_case;

/* A number in [-1, 1), a function of its arguments. */
double case_draw(uint64_t seed, uint64_t stream, uint64_t index);

/* Lanes of lane_rows, spread as evenly as can be. Owned by the caller: case_free. */
void case_create(nn_case *c, const crs_spec *shape, int rows, int steps, int lane_rows, float dropout, uint64_t seed);
void case_free(nn_case *c);
/* A model with the case's parameters; a failed creation ends the program. */
crs_model *case_model(const nn_case *c, const crs_kernels *kernels, int threads);
/* A workspace for the case's rows and steps, for training with its dropout. */
crs_workspace *case_workspace(const nn_case *c, const crs_model *model);
/* A batch of all rows; state: the carried state in and out, as large as the case's. */
crs_batch case_batch(const nn_case *c, float *state);
size_t case_state_size(const nn_case *c); /* floats of all rows */
/* A copy of the state at the start, by crs_alloc. */
float *case_state(const nn_case *c);

enum { CASE_ROWS = 16, CASE_STEPS = 320 };

/* Some rows of a case that end early, packed as a batch has them: the longest first. At most CASE_ROWS rows. */
typedef struct case_ragged {
    int rows, steps, length[CASE_ROWS], start[CASE_STEPS + 1];
    int lane_starts[CASE_ROWS + 1], lane_row[CASE_ROWS];
    int64_t row_id[CASE_ROWS];
    uint32_t inputs[CASE_ROWS * CASE_STEPS], targets[CASE_ROWS * CASE_STEPS];
    float *state;
} case_ragged;

/* Those rows of the case whose number leaves rest `lane` when divided by `lanes` (lane -1: all rows, lane by lane). */
crs_batch case_ragged_batch(case_ragged *g, const nn_case *c, int lane, int lanes, float *state);

/* As a line for messages: "gru V65 E5 H33 L2, 13 rows (lanes of 2), 17 steps, dropout 0.3". In a static buffer. */
const char *case_name(const nn_case *c);

#endif
