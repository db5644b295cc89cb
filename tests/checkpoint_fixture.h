/* A small checkpoint with everything in it, for the tests of room checkpoint. */
#ifndef CAROUSEL_TESTS_CHECKPOINT_FIXTURE_H
#define CAROUSEL_TESTS_CHECKPOINT_FIXTURE_H

#include "carousel/checkpoint.h"

/* A model of this cell with embed units (0: one-hot) of two layers, moments, state of every type, history. Values
 * follow from step. Panics when out of memory. */
void fixture_make(crs_checkpoint *checkpoint, const char *cell, int64_t embed, crs_level level, int64_t step);
/* Attributes, texts and the bits of all values. */
bool fixture_equal(const crs_checkpoint *a, const crs_checkpoint *b);

/* The whole file; freed with free(). NULL where it can't be read. */
unsigned char *fixture_slurp(const char *path, size_t *size);
void fixture_spill(const char *path, const unsigned char *bytes, size_t size);
bool fixture_exists(const char *path);
/* Names in the folder, without "." and "..". */
int fixture_count(const char *folder);

/* Changes a file of HDF5 by `change`, then records all hashes anew, as one who means it would. */
typedef void fixture_change(int64_t file, const void *context);
void fixture_edit(const char *path, fixture_change *change, const void *context, bool seal);

#endif
