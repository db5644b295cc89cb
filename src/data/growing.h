/* Data sets that grow row by row, in whole chunks, each written once: how many rows there will be need not be known. */
#ifndef CAROUSEL_DATA_GROWING_H
#define CAROUSEL_DATA_GROWING_H

#include "store/h5.h"

typedef struct crs_growing {
    hid_t group;      /* borrowed */
    const char *name; /* in it; borrowed */
    hid_t type;       /* of a number, in the file and in what is added; borrowed */
    size_t size;      /* bytes of a number */
    hsize_t width;    /* numbers a row; 0: one, and the data set has one dimension */
    size_t chunk;     /* rows */
    bool text;        /* numbers are strings of `size` bytes */
    bool little;      /* what is added is little-endian on any machine; else it has this machine's order */
    hid_t set;        /* once there is more than a chunk */
    hsize_t written;  /* rows */
    size_t filled;    /* rows in block */
    char *block;      /* owned, [chunk][width] */
    crs_hash *hash;   /* owned */
} crs_growing;

/* The rest of it: name, group, type, width, text and little are set. About so many bytes a chunk. False: out of
 * memory. */
bool crs_growing_begin(crs_growing *growing, size_t chunk_bytes);
/* False with errno (0: HDF5 gives no reason). */
bool crs_growing_add(crs_growing *growing, const void *rows, size_t count);
/* Writes what is left, and what the data set says of itself; units may be NULL. False as above. */
bool crs_growing_finish(crs_growing *growing, const char *units, const char *description);
void crs_growing_free(crs_growing *growing); /* also one that is all zero */

#endif
