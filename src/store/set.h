/* A data set of numbers or strings in a file that anyone may have written: checked before anything of it is believed,
 * and read row by row. */
#ifndef CRS_STORE_SET_H
#define CRS_STORE_SET_H

#include "store/h5.h"

/* What may stand in it, little- or big-endian. */
typedef enum crs_set_kind {
    CRS_SET_TOKENS, /* unsigned integers of 8, 16 or 32 bits */
    CRS_SET_BYTES,  /* unsigned integers of 8 bits */
    CRS_SET_WHOLE,  /* signed integers of 64 bits */
    CRS_SET_FLOAT,
    CRS_SET_DOUBLE,
    CRS_SET_STRINGS, /* of fixed or variable length */
    CRS_SET_KINDS
} crs_set_kind;

typedef struct crs_set_plan {
    const char *file; /* its name, for messages; borrowed while the set is open */
    const char *path; /* "train/inputs"; borrowed likewise */
    crs_set_kind kind;
    int dimensions;     /* 1 or 2 */
    const char *things; /* what it holds, for messages: "tokens" */
    const char *advice; /* where it has other dimensions: "store the tokens as one sequence" */
} crs_set_plan;

typedef struct crs_set {
    crs_set_plan plan;
    hid_t id;                /* 0: not open */
    int64_t rows;            /* its first dimension */
    int64_t width;           /* its second, or 1 */
    int unit;                /* bytes of a number; strings: of each, or of an address where their length varies */
    bool variable;           /* strings */
    bool spaces;             /* strings filled up with blanks */
    char hash[CRS_HASH_HEX]; /* as stated; empty where none is */
} crs_set;

/* Whether there is something of that name. */
bool crs_set_exists(hid_t file, const char *path);
/* Opens it and checks its type, its dimensions, that it lies in this file, that what it claims is there, and its
 * filters. CRS_DATA: what is wrong, and what would do. On failure it is closed. */
crs_status crs_set_open(crs_set *set, hid_t file, const crs_set_plan *plan, crs_error *error);
void crs_set_close(crs_set *set); /* also one that is all zero */
/* Whether the values of an open data set, or it itself, are in other files than this one. Its shape must not have been
 * asked for. */
bool crs_set_elsewhere(hid_t file, hid_t set);
/* Rows first .. first + count - 1 as [count][width] numbers of `unit` bytes (set->unit; tokens may be wider),
 * little-endian on any machine. Strings as they are stored, or addresses to be freed by crs_set_free_strings. False
 * where HDF5 can't. */
bool crs_set_read(const crs_set *set, int64_t first, int64_t count, int unit, void *values);
void crs_set_free_strings(const crs_set *set, int64_t count, void *values);
/* String number i of values: its bytes (no zero need follow) and how many. */
const char *crs_set_string(const crs_set *set, const void *values, int64_t i, size_t *length);

#endif
