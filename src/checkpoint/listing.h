/* What a checkpoint file holds: its groups and data sets, found and bounded before anything is allocated for them,
 * and the hash that covers their names, shapes and attributes. Private to room checkpoint. */
#ifndef CRS_CHECKPOINT_LISTING_H
#define CRS_CHECKPOINT_LISTING_H

#include "carousel/checkpoint.h"
#include "store/h5.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values stand in memory as in the file");

enum { CRS_RANK_MAX = 3 };

typedef enum crs_object_kind { CRS_OBJECT_GROUP, CRS_OBJECT_ARRAY, CRS_OBJECT_TEXT } crs_object_kind;

typedef struct crs_object {
    char path[sizeof((crs_array *)NULL)->path];
    crs_object_kind kind;
    crs_type type;    /* of an array */
    size_t text_size; /* of a text: bytes of each string; 0 where they vary */
    int rank;
    int64_t dims[CRS_RANK_MAX];
    int64_t count; /* elements */
} crs_object;

typedef struct crs_listing {
    int count;
    crs_object *object; /* [count], owned; by path */
} crs_listing;

/* "float32", "float64", "int64", "uint64": as NumPy calls them. */
const char *crs_type_name(crs_type type);
size_t crs_type_size(crs_type type);
hid_t crs_type_stored(crs_type type); /* in the file, and in memory; not to be closed */

/* What the memory of an array of this path is for. */
crs_purpose crs_array_purpose(const char *path);

/* Every object of the file; name and bytes are the file's, for messages and bounds. CRS_DATA where one can't be
 * ours: a link to elsewhere, a type, rank or layout that no checkpoint has, more bytes than the file holds. */
crs_status crs_listing_make(crs_listing *listing, hid_t file, const char *name, int64_t bytes, crs_error *error);
void crs_listing_free(crs_listing *listing);
/* By full path, or NULL. */
const crs_object *crs_listing_find(const crs_listing *listing, const char *path);

/* XXH3-128 over all objects and all attributes but the root's attributes_xxh3_128 (docs/formats.md says how). */
crs_status crs_listing_hash(const crs_listing *listing, hid_t file, const char *name, char hex[CRS_HASH_HEX],
                            crs_error *error);

/* Adds a line for one object: its path, what it is, and its dimensions. */
void crs_hash_shape(crs_hash *hash, const char *path, const char *kind, int rank, const int64_t *dims);

/* Of the whole listing. */
#define CRS_LISTING_ATTRIBUTE "attributes_xxh3_128"

#endif
