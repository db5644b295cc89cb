/* Vocabularies in HDF5 files. */
#ifndef CRS_STORE_VOCABULARY_FILE_H
#define CRS_STORE_VOCABULARY_FILE_H

#include "store/h5.h"

/* Bytes of an entry as we write it: the character's UTF-8, filled up with zeros. */
enum { CRS_ENTRY_BYTES = 4 };

/* Reads /vocabulary of an open file: strings of fixed or variable length, of one character each (the empty one:
 * U+0000), and compares its hash. hashed: it must carry one. advice: what would do about a damaged one. CRS_DATA. On
 * failure *vocabulary is empty. */
crs_status crs_vocabulary_read(hid_t file, const char *path, bool hashed, const char *advice,
                               crs_vocabulary *vocabulary, crs_error *error);
/* The entries of level char as they are written, [count][CRS_ENTRY_BYTES]; owned by the caller. NULL: out of memory. */
char *crs_vocabulary_entries(const crs_vocabulary *vocabulary);
/* Adds all entries, CRS_ENTRY_BYTES each, to a hash. */
void crs_vocabulary_hash(const crs_vocabulary *vocabulary, crs_hash *hash);

#endif
