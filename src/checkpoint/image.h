/* A checkpoint as the bytes of an HDF5 file, in memory.
 *
 * HDF5 1.10 that meets a full disk while it closes a file leaves it half closed, and crashes at exit. So HDF5 never
 * writes to a disk here: it builds the file in memory, and room checkpoint writes the bytes. Private to room
 * checkpoint. */
#ifndef CRS_CHECKPOINT_IMAGE_H
#define CRS_CHECKPOINT_IMAGE_H

#include "carousel/checkpoint.h"
#include "store/h5.h"

typedef struct crs_image {
    hid_t file;        /* owned */
    const void *bytes; /* [count], the file's: valid until crs_image_free */
    size_t count;
    char listing[CRS_HASH_HEX]; /* the hash over all that it holds; stays, like count, after crs_image_free */
} crs_image;

/* Checks nothing: what stands in the checkpoint stands in the file, with the right hashes. The same checkpoint
 * gives the same bytes. CRS_INTERNAL when out of memory. name: for messages. */
crs_status crs_image_make(crs_image *image, const crs_checkpoint *checkpoint, const char *name, crs_error *error);
void crs_image_free(crs_image *image);

/* Writes the attributes of a data set that say what it means, from its path: description, units ("1" for a plain
 * number), gates; each where it is known. False where HDF5 fails. */
bool crs_describe(hid_t set, const char *path, const char *cell);

#endif
