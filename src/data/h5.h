/* Opening HDF5 files that anyone may have written, and reading and writing small things in them. HDF5's own messages
 * are silenced: callers say what is wrong. Nothing that a file claims is believed before it is checked. */
#ifndef CAROUSEL_DATA_H5_H
#define CAROUSEL_DATA_H5_H

/* The names and meanings of HDF5 1.10, also where a newer library is installed. */
#define H5_USE_110_API
#include <hdf5.h>

#include "carousel/base.h"

enum { CRS_FORMAT_VERSION = 1 }; /* the newest that is known */

/* Turns off HDF5's messages, and what it would do at exit; before the first call of HDF5. */
void crs_h5_silence(void);
/* Opens path for reading, without a lock, so that read-only media and network file systems serve. Negative on failure:
 * CRS_NO_INPUT where it is missing or unreadable, CRS_DATA where it is no whole HDF5 file. */
hid_t crs_h5_open(const char *path, crs_error *error);
/* A list of properties for opening files: by this process alone, without a lock. Owned by the caller. */
hid_t crs_h5_access(void);
/* Closes a handle of any kind (a negative or zero one is fine), and makes it H5I_INVALID_HID. False where that fails.
 */
bool crs_h5_close(hid_t *id);

typedef enum crs_found { CRS_ABSENT, CRS_FOUND, CRS_WRONG } crs_found;

/* The attribute as text, cut where it is longer than text; CRS_WRONG (and an empty text): it is no single string. */
crs_found crs_h5_text(hid_t object, const char *name, char *text, size_t size);
/* CRS_WRONG: it is no single integer. */
crs_found crs_h5_integer(hid_t object, const char *name, int64_t *value);
bool crs_h5_put_text(hid_t object, const char *name, const char *text);
bool crs_h5_put_integer(hid_t object, const char *name, int64_t value);

/* Checks /format, which is to be the text format, and /version. Fails with CRS_DATA and what would do. */
crs_status crs_h5_check_format(hid_t file, const char *path, const char *format, crs_error *error);

#endif
