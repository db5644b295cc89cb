/* What the sequences of a data set are made of, and what is to be said of them: data sets and checkpoints say it alike,
 * so that a checkpoint alone can read, scale and name what it is given. Format: docs/formats.md.
 *
 * Local; below every room that reads or writes it. */
#ifndef CAROUSEL_SCHEMA_H
#define CAROUSEL_SCHEMA_H

#include "carousel/base.h"

/* A step of a sequence is one of V tokens, D real numbers, or D bits. */
typedef enum crs_input_kind { CRS_INPUT_TOKENS, CRS_INPUT_VALUES, CRS_INPUT_BITS, CRS_INPUTS } crs_input_kind;
/* What is to be said: the input one step later, a class, K bits, K real numbers. */
typedef enum crs_target_kind {
    CRS_TARGET_NEXT,
    CRS_TARGET_CLASS,
    CRS_TARGET_BITS,
    CRS_TARGET_VALUES,
    CRS_TARGETS
} crs_target_kind;
/* Of what: of each step, or of a whole sequence. */
typedef enum crs_alignment { CRS_ALIGN_STEP, CRS_ALIGN_SEQUENCE, CRS_ALIGNMENTS } crs_alignment;

/* As files say them ("tokens", ...); ended by NULL. */
const char *const *crs_input_names(void);
const char *const *crs_target_names(void);
const char *const *crs_alignment_names(void);

/* A list of names, of any length; owned. */
typedef struct crs_names {
    int count;
    char **name; /* [count] */
} crs_names;

/* Copies a name to the end of the list. False when out of memory. */
bool crs_names_add(crs_names *names, const char *name);
bool crs_names_copy(crs_names *to, const crs_names *from);
bool crs_names_equal(const crs_names *a, const crs_names *b);
int crs_names_find(const crs_names *names, const char *name); /* its index, or -1 */
size_t crs_names_longest(const crs_names *names);             /* bytes of the longest, at least 1 */
void crs_names_free(crs_names *names);

/* Of columns: scaled = (x - mean) / deviation, in double, rounded to float once. */
typedef struct crs_scale {
    double *mean, *deviation; /* [count of the columns], owned; NULL where nothing is scaled */
} crs_scale;

typedef struct crs_schema {
    crs_input_kind inputs;
    crs_target_kind targets;
    crs_alignment alignment;
    int64_t context, horizon; /* forecasting: steps; 0 elsewhere */
    int input_size;           /* V (of the vocabulary, which stands beside it), or D */
    int grid;                 /* piano rolls: a step is this part of a whole note; 0: nobody says */
    int target_size;          /* V or D (next), classes, K (forecasting: of the target columns) */
    crs_names columns;        /* [D] values, bits */
    crs_names target_names;   /* [K] bits, values (forecasting: those of the target columns) */
    crs_names classes;        /* class */
    crs_names units;          /* [D] of values where known; count 0 where not */
    crs_names target_units;   /* [K] likewise (forecasting: those of the target columns) */
    crs_scale scale;          /* [D] values */
    crs_scale target_scale;   /* [K] values (forecasting: those of the target columns) */
    int *target_columns;      /* [K] forecasting alone: indices of columns; owned */
} crs_schema;

/* A text of V tokens, whose next one is to be said. */
crs_schema crs_schema_text(uint32_t tokens);
bool crs_schema_is_forecast(const crs_schema *schema);
/* What a model of it says: the next token; one of many (that, or a class); bits (those of the next step, or others).
 * Else: real numbers. */
bool crs_schema_says_tokens(const crs_schema *schema);
bool crs_schema_says_one(const crs_schema *schema);
bool crs_schema_says_bits(const crs_schema *schema);
/* Numbers that a target is made of: 1 (next token, class), K, D (next bits), horizon * K (forecasts, step-major). */
int crs_schema_numbers(const crs_schema *schema);
/* A copy that owns all. False when out of memory: *to is empty. */
bool crs_schema_copy(crs_schema *to, const crs_schema *from);
void crs_schema_free(crs_schema *schema);
/* Adds all that there is to a hash, in an order of its own. */
void crs_schema_hash(const crs_schema *schema, crs_hash *hash);
/* Whether a model made for one can read the other; where not, what (CRS_DATA) says what differs. a, b: files, for the
 * message. */
crs_status crs_schema_same(const crs_schema *a, const char *a_name, const crs_schema *b, const char *b_name,
                           crs_error *error);

#endif
