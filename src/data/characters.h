/* Vocabularies in HDF5 files. */
#ifndef CAROUSEL_DATA_CHARACTERS_H
#define CAROUSEL_DATA_CHARACTERS_H

#include "data/h5.h"

/* Bytes of an entry as we write it: the character's UTF-8, filled up with zeros. */
enum { CRS_ENTRY_BYTES = 4 };

/* Reads /vocabulary of an open file: strings of fixed or variable length, of one character each (the empty one:
 * U+0000), and compares its hash where it has one. CRS_DATA. On failure *vocabulary is empty. */
crs_status crs_vocabulary_read(hid_t file, const char *path, crs_vocabulary *vocabulary, crs_error *error);
/* Writes /vocabulary; false where HDF5 fails. Level byte: nothing to write. */
bool crs_vocabulary_write(hid_t file, const crs_vocabulary *vocabulary);
/* The vocabulary of a data set or a checkpoint. CRS_NO_INPUT, CRS_DATA. */
crs_status crs_vocabulary_load(const char *path, crs_vocabulary *vocabulary, crs_error *error);
/* Adds all entries, CRS_ENTRY_BYTES each, to a hash. */
void crs_vocabulary_hash(const crs_vocabulary *vocabulary, crs_hash *hash);

#endif
