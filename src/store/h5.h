/* HDF5 files that anyone may have written: opening them, and small things in them. HDF5's own messages are silenced:
 * callers say what is wrong. Nothing that a file claims is believed before it is checked. */
#ifndef CRS_STORE_H5_H
#define CRS_STORE_H5_H

/* The names and meanings of HDF5 1.10, also where a newer library is installed. */
#define H5_USE_110_API
#include <hdf5.h>

#include "carousel/base.h"

/* What a file of ours says that it is, and the newest version of each that is known. */
#define CRS_FORMAT_TOKENS "carousel/tokens"
#define CRS_FORMAT_SEQUENCES "carousel/sequences"
#define CRS_FORMAT_CHECKPOINT "carousel/checkpoint"
enum { CRS_TOKENS_VERSION = 1, CRS_SEQUENCES_VERSION = 1, CRS_CHECKPOINT_VERSION = 1 };

/* Of a data set: the hash of its values. */
#define CRS_HASH_ATTRIBUTE "xxh3_128"

/* Turns off HDF5's messages, and what it would do at exit; before the first call of HDF5. */
void crs_h5_silence(void);

/* What is said of a path that won't do, after its name: a folder, no regular file, an empty one, not HDF5, an HDF5 file
 * that can't be opened. */
typedef struct crs_h5_words {
    const char *folder, *special, *empty, *foreign, *broken;
} crs_h5_words;
/* Opens path for reading, without a lock, so that read-only media and network file systems serve. Negative on failure:
 * CRS_NO_INPUT where it is missing or unreadable, CRS_DATA where it is no whole HDF5 file, or one of a newer HDF5. */
hid_t crs_h5_open(const char *path, const crs_h5_words *words, crs_error *error);
/* A list of properties for opening files: by this process alone, without a lock. Owned by the caller. */
hid_t crs_h5_access(void);
/* For a file that this library can read whatever made it: headers carry checksums (HDF5 1.8), and no times of day, so
 * that the same contents are the same bytes. access is closed. Negative on failure. */
hid_t crs_h5_create(const char *path, hid_t access);
/* Properties of this class (of opening a link or a data set) with which nothing is opened that is in another file: a
 * link that leads there ends the call, and sets *met, which must live as long. Owned by the caller. */
hid_t crs_h5_stay(hid_t class, bool *met);
/* Whether the call of HDF5 just before failed as it met a version of something that it does not know. */
bool crs_h5_met_newer(void);
/* Whether that is why /format can't be read. */
bool crs_h5_is_newer(hid_t file);
/* That it was written by a newer HDF5 (or is damaged), and what would do. */
const char *crs_h5_newer_words(void);
/* Closes a handle of any kind (a negative or zero one is fine), and makes it H5I_INVALID_HID. False where that fails.
 */
bool crs_h5_close(hid_t *id);

/* Strings are of a fixed length, UTF-8, padded with zeros, and not HDF5's strings of variable length: those live in
 * a heap without a checksum, and HDF5 1.10 crashes on a damaged one. A type of size bytes (0: of 1); owned by the
 * caller. */
hid_t crs_h5_text_type(size_t size);

/* Attributes of one value. False where HDF5 fails. */
bool crs_h5_put_text(hid_t object, const char *name, const char *text);
bool crs_h5_put_integer(hid_t object, const char *name, int64_t value);
bool crs_h5_put_real(hid_t object, const char *name, double value);

typedef enum crs_found { CRS_ABSENT, CRS_FOUND, CRS_WRONG } crs_found;

/* Of an attribute, the one that kind says. */
typedef struct crs_h5_value {
    crs_attribute_kind kind;
    char text[1024];
    int64_t integer;
    double real;
} crs_h5_value;
/* CRS_WRONG: it is not one string (shorter than value's), integer or number. */
crs_found crs_h5_get(hid_t object, const char *name, crs_h5_value *value);
/* The attribute as text, cut where it is longer than text; CRS_WRONG (and an empty text): it is no single string. */
crs_found crs_h5_text(hid_t object, const char *name, char *text, size_t size);
/* CRS_WRONG: it is no single integer. */
crs_found crs_h5_integer(hid_t object, const char *name, int64_t *value);

/* Checks /format, which is to be the text format, and /version, at most the one that is known. Fails with CRS_DATA and
 * what would do. */
crs_status crs_h5_check_format(hid_t file, const char *path, const char *format, int known, crs_error *error);

#endif
