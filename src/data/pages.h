/* What a feed reads of a split, page by page: small splits are read once and stay, of large ones some pages do. Private
 * to room data. */
#ifndef CAROUSEL_DATA_PAGES_H
#define CAROUSEL_DATA_PAGES_H

#include "data/sequences.h"

/* Rows (steps, or sequences) of 4-byte numbers: tokens and classes as uint32_t, the rest as float; values are
 * scaled. */
typedef struct crs_pages {
    const crs_dataset *dataset; /* borrowed */
    crs_split split;
    crs_part part;      /* inputs, targets or weights */
    bool plain;         /* values as the data have them: not scaled */
    const crs_set *set; /* borrowed */
    int width;          /* numbers a row */
    int64_t rows, each; /* of the split; of a page */
    int64_t pages, most, held;
    void **page;   /* [pages], owned; NULL: not here */
    int64_t *ring; /* [most]: pages that are here; owned */
    int64_t next;  /* of ring, the one that makes room: they take turns */
    void *spare;   /* of a page that could not be read; owned */
} crs_pages;

/* bytes: about as many as may stay. CRS_INTERNAL: out of memory. */
crs_status crs_pages_open(crs_pages *pages, const crs_dataset *dataset, crs_split split, crs_part part, size_t bytes,
                          crs_error *error);
double crs_pages_memory(const crs_set *set, size_t bytes); /* that such pages take at most */
void crs_pages_close(crs_pages *pages);                    /* also one that is all zero */
/* Row number `row`, and how many from it on stand behind each other; valid until the next call. NULL with *error. */
const void *crs_pages_at(crs_pages *pages, int64_t row, int64_t *count, crs_error *error);
/* Copies rows, whatever pages they are on: [count][width]. */
crs_status crs_pages_copy(crs_pages *pages, int64_t row, int64_t count, void *out, crs_error *error);

#endif
