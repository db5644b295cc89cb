/* Vocabularies in HDF5 files. */
#ifndef CRS_STORE_VOCABULARY_FILE_H
#define CRS_STORE_VOCABULARY_FILE_H

#include "store/h5.h"

/* Bytes of a character's entry as we write it: its UTF-8, filled up with zeros. */
enum { CRS_ENTRY_BYTES = 4 };

/* Reads /vocabulary of an open file: strings of fixed or variable length, level char of one character each (the empty
 * one: U+0000), level word of any; and compares its hash. hashed: it must carry one. advice: what would do about a
 * damaged one. With level word the attributes `words` and `lower` of the root, where they are there, say how a text is
 * cut. CRS_DATA. On failure *vocabulary is empty. */
crs_status crs_vocabulary_read(hid_t file, const char *path, crs_level level, bool hashed, const char *advice,
                               crs_vocabulary *vocabulary, crs_error *error);
/* Bytes of an entry as it is written: CRS_ENTRY_BYTES, or those of the longest word. */
size_t crs_vocabulary_entry_bytes(const crs_vocabulary *vocabulary);
/* The entries of level char or word as they are written, [count][entry bytes]; owned by the caller. NULL: out of
 * memory. */
char *crs_vocabulary_entries(const crs_vocabulary *vocabulary);
/* Adds all entries, as they are written, to a hash. */
void crs_vocabulary_hash(const crs_vocabulary *vocabulary, crs_hash *hash);

#endif
