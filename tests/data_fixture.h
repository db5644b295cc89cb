/* What the tests of room data share: files of a rank, packing in short, HDF5 files as others write them. */
#ifndef CAROUSEL_TESTS_DATA_FIXTURE_H
#define CAROUSEL_TESTS_DATA_FIXTURE_H

#include "data/pack.h"
#include "store/h5.h"

/* ---- files ---- */

/* A file of this rank, in one of 32 buffers used in turn. */
const char *own(const char *name);
void put_file(const char *path, const void *bytes, size_t count);
void put_text(const char *path, const char *text);
/* Owned by the caller (crs_free). */
unsigned char *get_file(const char *path, size_t *count);
bool same_files(const char *a, const char *b);
/* Files of this rank's folder that packing should have removed. */
int count_leftovers(void);

/* The status is the wanted one, and the message is one line with each of the blank-separated words. */
bool refuses(const crs_error *error, crs_status status, crs_status wanted, const char *words);

/* ---- packing ---- */

typedef struct request {
    crs_pack pack;
    crs_pack_tuning tuning;
    const char *input[8];
} request;

extern crs_packed last; /* what the last packing gave, */
extern crs_error said;  /* and the error of that, or of try_open */

/* What most tests want: one input, level char, the usual shares. */
request usual(const char *output, const char *input);
crs_status pack(request r);
/* The length in bytes. */
size_t encode(const uint32_t *characters, size_t count, char *bytes);
/* All tokens of a file, in the order train, validation, test; owned by the caller (crs_free). Each split is verified
 * too. */
uint32_t *read_tokens(const crs_dataset *dataset, int64_t *count);
/* Opens and closes a data set. */
crs_status try_open(const char *path);

/* ---- HDF5 files by other hands ---- */

hid_t new_file(const char *path);
void put_string(hid_t object, const char *name, const char *text, bool variable);
void put_number(hid_t object, const char *name, int value);
void put_head(hid_t file, const char *format, int version);
/* size 0: strings of variable length. */
void put_vocabulary(hid_t file, const char *const *entries, hsize_t count, size_t size, H5T_str_t padding);
/* chunk 0: contiguous; plan: more properties, or H5P_DEFAULT; tokens NULL: written by nobody. */
void put_tokens(hid_t file, const char *name, hid_t type, const uint8_t *tokens, hsize_t count, hsize_t chunk,
                hid_t plan);

#endif
