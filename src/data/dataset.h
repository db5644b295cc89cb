/* What the parts of this room share about an open data set. */
#ifndef CAROUSEL_DATA_DATASET_H
#define CAROUSEL_DATA_DATASET_H

#include <sys/stat.h>

#include "carousel/data.h"
#include "store/set.h"

/* The arrays of a split of sequences. */
typedef enum crs_part {
    CRS_PART_LENGTHS,
    CRS_PART_INPUTS,
    CRS_PART_TARGETS,
    CRS_PART_COLUMNS, /* of a forecast, that are its targets */
    CRS_PART_WEIGHTS,
    CRS_PART_LEAD,
    CRS_PART_NAMES,
    CRS_PARTS
} crs_part;

struct crs_dataset_file {
    hid_t file;
    crs_set split[CRS_SPLITS];           /* of a text */
    crs_set part[CRS_SPLITS][CRS_PARTS]; /* of sequences: those that there are; lengths and leads stay open no longer
                                            than it takes to read them */
    char part_hash[CRS_SPLITS][CRS_PARTS][CRS_HASH_HEX]; /* as stated or found, empty where there is no such array */
    struct stat opened;                                  /* what it was when it was opened */
};

/* CRS_DATA where the file is no longer what was opened: to be asked after each read, before anything of it is used. */
crs_status crs_dataset_check_unchanged(const crs_dataset *dataset, crs_error *error);
/* tokens[offset .. offset + count) of a split, dataset->token_bytes each, little-endian; checked against the
 * vocabulary. */
crs_status crs_dataset_read_packed(const crs_dataset *dataset, crs_split split, int64_t offset, int64_t count,
                                   void *packed, crs_error *error);
/* The vocabulary of a data set or a checkpoint. CRS_NO_INPUT, CRS_DATA. */
crs_status crs_vocabulary_load(const char *path, crs_vocabulary *vocabulary, crs_error *error);
/* Opens and checks one split of dataset->file: sets its handle, length and hash, and raises token_bytes.
 */
crs_status crs_split_open(crs_dataset *dataset, crs_split split, crs_error *error);
/* Of tokens that we write, and in memory; not to be closed. */
hid_t crs_token_type(int token_bytes);

#endif
