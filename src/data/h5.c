/* HDF5 files of others: opening, attributes. */
#include "config.h"

#include "data/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 16 };

#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
#define CRS_H5_HAS_LOCKING_PROPERTY 1
#else
#define CRS_H5_HAS_LOCKING_PROPERTY 0
#endif

void crs_h5_silence(void) {
    /* Without the property, the environment is asked when the library starts; a user's own setting stands. */
    if (!CRS_H5_HAS_LOCKING_PROPERTY)
        setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
    /* A file that can't be closed, for a full disk, crashes HDF5 1.10 when it tidies up at exit; we close all by
     * ourselves. This has to be its first call, and fails harmlessly where it is not. */
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* What can be said without HDF5. */
static crs_status check_file(const char *path, crs_error *error) {
    struct stat about;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return crs_fail(error, CRS_NO_INPUT, "%s: %s", path, strerror(errno));
    int failed = fstat(descriptor, &about);
    int reason = errno;
    close(descriptor);
    if (failed)
        return crs_fail(error, CRS_NO_INPUT, "%s: %s", path, strerror(reason));
    if (S_ISDIR(about.st_mode))
        return crs_fail(error, CRS_NO_INPUT, "%s: it is a folder; give an HDF5 file", path);
    if (!S_ISREG(about.st_mode))
        return crs_fail(error, CRS_NO_INPUT, "%s: it is no regular file; HDF5 files are read from regular files", path);
    if (about.st_size == 0)
        return crs_fail(error, CRS_DATA, "%s: it is empty; an HDF5 file was expected", path);
    return CRS_OK;
}

hid_t crs_h5_access(void) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_sec2(access);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#if CRS_H5_HAS_LOCKING_PROPERTY
    H5Pset_file_locking(access, false, true);
#endif
    return access;
}

hid_t crs_h5_open(const char *path, crs_error *error) {
    crs_h5_silence();
    if (check_file(path, error))
        return H5I_INVALID_HID;
    if (H5Fis_hdf5(path) <= 0) {
        crs_fail(error, CRS_DATA,
                 "%s: it is not an HDF5 file; `carousel pack text -o DATA.h5 FILE` makes one of a text", path);
        return H5I_INVALID_HID;
    }
    hid_t access = crs_h5_access();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    crs_h5_close(&access);
    if (file < 0)
        crs_fail(error, CRS_DATA,
                 "%s: this HDF5 file is truncated or damaged, or still being written; make or copy it again", path);
    return file;
}

bool crs_h5_close(hid_t *id) {
    hid_t handle = *id;
    *id = H5I_INVALID_HID;
    return handle <= 0 || H5Idec_ref(handle) >= 0;
}

/* Reads an attribute of one string, of variable or fixed length. */
static bool read_string(hid_t attribute, hid_t type, char *text, size_t size) {
    if (H5Tis_variable_str(type) > 0) {
        char *found = NULL;
        if (H5Aread(attribute, type, &found) < 0)
            return false;
        snprintf(text, size, "%s", found ? found : "");
        H5free_memory(found);
        return true;
    }
    if (H5Tget_size(type) == 0 || H5Tget_size(type) > TEXT_MAX)
        return false;
    hid_t cut = H5Tcopy(type);
    H5Tset_size(cut, size);
    H5Tset_strpad(cut, H5T_STR_NULLTERM); /* HDF5 turns one padding into another */
    bool good = H5Aread(attribute, cut, text) >= 0;
    crs_h5_close(&cut);
    text[good ? size - 1 : 0] = '\0';
    return good;
}

/* Opens a scalar attribute (or one of a single element); its type too. */
static crs_found open_scalar(hid_t object, const char *name, hid_t *attribute, hid_t *type) {
    *attribute = *type = H5I_INVALID_HID;
    htri_t exists = H5Aexists(object, name);
    if (exists <= 0)
        return exists == 0 ? CRS_ABSENT : CRS_WRONG;
    *attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (*attribute < 0)
        return CRS_WRONG;
    hid_t space = H5Aget_space(*attribute);
    hssize_t points = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    crs_h5_close(&space);
    *type = H5Aget_type(*attribute);
    return points == 1 && *type >= 0 ? CRS_FOUND : CRS_WRONG;
}

crs_found crs_h5_text(hid_t object, const char *name, char *text, size_t size) {
    hid_t attribute, type;
    *text = '\0';
    crs_found found = open_scalar(object, name, &attribute, &type);
    if (found == CRS_FOUND && (H5Tget_class(type) != H5T_STRING || !read_string(attribute, type, text, size)))
        found = CRS_WRONG;
    crs_h5_close(&type);
    crs_h5_close(&attribute);
    return found;
}

crs_found crs_h5_integer(hid_t object, const char *name, int64_t *value) {
    hid_t attribute, type;
    crs_found found = open_scalar(object, name, &attribute, &type);
    if (found == CRS_FOUND && (H5Tget_class(type) != H5T_INTEGER || H5Aread(attribute, H5T_NATIVE_INT64, value) < 0))
        found = CRS_WRONG;
    crs_h5_close(&type);
    crs_h5_close(&attribute);
    return found;
}

/* A scalar attribute of this type with this value. */
static bool put_scalar(hid_t object, const char *name, hid_t file_type, hid_t memory_type, const void *value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Awrite(attribute, memory_type, value) >= 0;
    good = crs_h5_close(&attribute) && good;
    crs_h5_close(&space);
    return good;
}

bool crs_h5_put_text(hid_t object, const char *name, const char *text) {
    /* Of fixed length: strings of variable length live in a heap without a checksum, and HDF5 1.10 crashes on a damaged
     * one. */
    size_t length = strlen(text);
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, length ? length : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    bool good = put_scalar(object, name, type, type, text);
    crs_h5_close(&type);
    return good;
}

bool crs_h5_put_integer(hid_t object, const char *name, int64_t value) {
    return put_scalar(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

crs_status crs_h5_check_format(hid_t file, const char *path, const char *format, crs_error *error) {
    char text[64];
    int64_t version = 0;
    crs_status status = CRS_OK;
    crs_found found = crs_h5_text(file, "format", text, sizeof text);
    if (found != CRS_FOUND)
        status = crs_fail(
            error, CRS_DATA,
            "%s: this HDF5 file is none of carousel's: its root has no text attribute `format` (%s); give a file "
            "that carousel made, or one like it (docs/formats.md)",
            path, format);
    else if (strcmp(text, format) != 0)
        status = crs_fail(error, CRS_DATA,
                          "%s: its attribute `format` is '%s', not %s; give a data set that `carousel pack` made", path,
                          text, format);
    else if (crs_h5_integer(file, "version", &version) != CRS_FOUND || version < 1)
        status =
            crs_fail(error, CRS_DATA, "%s: its root has no attribute `version` with an integer of 1 or more", path);
    else if (version > CRS_FORMAT_VERSION)
        status =
            crs_fail(error, CRS_DATA,
                     "%s: it has version %lld of its format, and this carousel knows up to %d; use a newer carousel",
                     path, (long long)version, (int)CRS_FORMAT_VERSION);
    return status;
}
