/* What this room needs of HDF5, in few words. Private to room checkpoint. */
#ifndef CRS_CHECKPOINT_HDF_H
#define CRS_CHECKPOINT_HDF_H

/* The names and meanings of HDF5 1.10, also where a newer library is installed. */
#define H5_USE_110_API
#include <hdf5.h>

#include "carousel/base.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values in memory are hashed as they stand in the file");

/* Silences HDF5's own error stack, which would print a page where one line is due. */
void crs_hdf_quiet(void);

/* Strings are of a fixed length, UTF-8, padded with zeros, and not HDF5's strings of variable length: those live in
 * a heap without a checksum, and HDF5 1.10 crashes on a damaged one. A type of size bytes; the caller closes it. */
hid_t crs_hdf_text_type(size_t size);

/* Attributes of one value. False where HDF5 fails. */
bool crs_hdf_put_text(hid_t object, const char *name, const char *text);
bool crs_hdf_put_integer(hid_t object, const char *name, int64_t value);
bool crs_hdf_put_real(hid_t object, const char *name, double value);

typedef struct crs_hdf_value {
    crs_attribute_kind kind;
    char text[1024];
    int64_t integer;
    double real;
} crs_hdf_value;

/* False where there is none of that name, or what it holds is not one string (shorter than text), integer or number. */
bool crs_hdf_get(hid_t object, const char *name, crs_hdf_value *value);

/* The string of a scalar data set, of size bytes (0: of variable length); owned by the caller. CRS_DATA where HDF5
 * fails, CRS_INTERNAL where memory is out. */
crs_status crs_hdf_read_text(hid_t set, size_t size, char **out);
/* Reads count strings of a data set, each into size bytes, cut there and ended by a zero. Status as above. */
crs_status crs_hdf_read_texts(hid_t set, int64_t count, size_t size, char *out);

#endif
