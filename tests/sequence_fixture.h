/* Data sets of sequences for tests: made in memory, written by plain HDF5 as any hand may write them. */
#ifndef CAROUSEL_TESTS_SEQUENCE_FIXTURE_H
#define CAROUSEL_TESTS_SEQUENCE_FIXTURE_H

#include "data/sequences.h"

/* One split. Rows of inputs and targets lie one after the other; all owned. */
typedef struct made_split {
    int64_t count, steps, targets;  /* targets: rows of them */
    int64_t *length, *start, *lead; /* [count]; start: [count + 1] */
    double *input;                  /* [steps][D]; tokens: [steps] */
    double *target;                 /* [targets][K]; class: [targets] */
    double *weight;                 /* [weights]; NULL: none */
    int64_t weights;
} made_split;

typedef struct made_data {
    crs_schema schema; /* owned; tokens: input_size of them */
    made_split split[CRS_SPLITS];
} made_data;

/* What there is of one. */
typedef struct made_plan {
    crs_input_kind inputs;
    crs_target_kind targets;
    crs_alignment alignment;
    int input_size, target_size;
    int64_t context, horizon;        /* forecasts: of columns 1 and, with target_size 2, 0 */
    int64_t count[CRS_SPLITS], most; /* sequences, and steps of the longest that may be */
    bool equal;                      /* all have the most */
    bool lead;
    int weights; /* 0: none; 1: a sequence; 2: a step */
    uint64_t seed;
} made_plan;

made_data make_data(const made_plan *plan);
void free_data(made_data *data);

/* How another hand stores it. */
typedef struct made_style {
    bool big;      /* big-endian */
    bool chunked;  /* with gzip */
    bool variable; /* strings of variable length */
    bool hashes;
    int wide;   /* bytes of a token or class: 1, 2 or 4; 0: as few as will do */
    int splits; /* how many of the three there are; 0: all */
    bool names;
} made_style;
void write_data(const made_data *data, const char *path, made_style style);

/* Replaces (or, with rows < 0, removes) an array of a file, as it may not be. type: in the file; values: of `given`. */
void put_array(const char *path, const char *name, hid_t type, int64_t rows, int64_t width, hid_t given,
               const void *values);
/* Replaces (text NULL: removes) an attribute of the root. */
void put_root(const char *path, const char *name, const char *text);
void put_root_number(const char *path, const char *name, int64_t value);

#endif
