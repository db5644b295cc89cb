/* HDF5 files: opening, attributes. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/h5.h"

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
    /* What a file says must not decide which code is loaded. */
    H5PLset_loading_state(0);
}

/* ---- opening ---- */

/* What can be said without HDF5. */
static crs_status check_file(const char *path, const crs_h5_words *words, crs_error *error) {
    struct stat about;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int failed = descriptor < 0 || fstat(descriptor, &about) != 0;
    int reason = errno;
    if (descriptor >= 0)
        close(descriptor);
    if (failed)
        return crs_fail(error, CRS_NO_INPUT, "%s: can't be read: %s; give a file that is there and can be read", path,
                        strerror(reason));
    if (!S_ISREG(about.st_mode))
        return crs_fail(error, CRS_NO_INPUT, "%s: %s", path, S_ISDIR(about.st_mode) ? words->folder : words->special);
    return about.st_size > 0 ? CRS_OK : crs_fail(error, CRS_DATA, "%s: %s", path, words->empty);
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

hid_t crs_h5_create(const char *path, hid_t access) {
    hid_t creation = H5Pcreate(H5P_FILE_CREATE), file = H5I_INVALID_HID;
    /* Not the format of 1.10: a chunk that is the whole data set, written past the cache, is lost in it by 1.10.8. */
#if H5_VERSION_GE(1, 10, 2)
    const H5F_libver_t version = H5F_LIBVER_V18;
#else
    const H5F_libver_t version = H5F_LIBVER_LATEST;
#endif
    if (H5Pset_libver_bounds(access, version, version) >= 0 && H5Pset_obj_track_times(creation, false) >= 0)
        file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    crs_h5_close(&creation);
    crs_h5_close(&access);
    return file;
}

static herr_t look_for_version(unsigned n, const H5E_error2_t *entry, void *found) {
    (void)n;
    if (entry->min_num == H5E_VERSION || (entry->desc && strstr(entry->desc, "version number")))
        *(bool *)found = true;
    return 0;
}

bool crs_h5_met_newer(void) {
    bool found = false;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, look_for_version, &found);
    return found;
}

const char *crs_h5_newer_words(void) {
    return "it was written by a newer HDF5 than that in use here (" H5_VERS_INFO
           "), or is damaged; where the newer one is, `h5repack --low=0 --high=2 FILE NEW` makes a copy that can be "
           "read";
}

hid_t crs_h5_open(const char *path, const crs_h5_words *words, crs_error *error) {
    crs_h5_silence();
    if (check_file(path, words, error))
        return H5I_INVALID_HID;
    if (H5Fis_hdf5(path) <= 0) {
        crs_fail(error, CRS_DATA, "%s: %s", path, words->foreign);
        return H5I_INVALID_HID;
    }
    hid_t access = crs_h5_access();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0)
        crs_fail(error, CRS_DATA, "%s: %s", path, crs_h5_met_newer() ? crs_h5_newer_words() : words->broken);
    crs_h5_close(&access);
    return file;
}

static herr_t refuse_link(const char *from, const char *link, const char *to, const char *there, unsigned *flags,
                          hid_t access, void *met) {
    (void)from, (void)link, (void)to, (void)there, (void)flags, (void)access;
    *(bool *)met = true;
    return -1;
}

hid_t crs_h5_stay(hid_t class, bool *met) {
    hid_t access = H5Pcreate(class);
    *met = false;
    if (H5Pset_elink_cb(access, refuse_link, met) < 0)
        crs_h5_close(&access);
    return access;
}

bool crs_h5_close(hid_t *id) {
    hid_t handle = *id;
    *id = H5I_INVALID_HID;
    return handle <= 0 || H5Idec_ref(handle) >= 0;
}

/* ---- attributes ---- */

hid_t crs_h5_text_type(size_t size) {
    hid_t type = H5Tcopy(H5T_C_S1);
    if (H5Tset_size(type, size ? size : 1) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0 ||
        H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)
        crs_h5_close(&type);
    return type;
}

/* A scalar attribute of this type with this value. */
static bool put(hid_t object, const char *name, hid_t file_type, hid_t memory_type, const void *value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Awrite(attribute, memory_type, value) >= 0;
    good = crs_h5_close(&attribute) && good;
    crs_h5_close(&space);
    return good;
}

bool crs_h5_put_text(hid_t object, const char *name, const char *text) {
    hid_t type = crs_h5_text_type(strlen(text));
    bool good = put(object, name, type, type, text);
    crs_h5_close(&type);
    return good;
}

bool crs_h5_put_integer(hid_t object, const char *name, int64_t value) {
    return put(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

bool crs_h5_put_real(hid_t object, const char *name, double value) {
    return put(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

/* Reads one string, of variable or fixed length, and its length, of which text has what fits. */
static bool read_string(hid_t attribute, hid_t type, char *text, size_t size, size_t *length) {
    if (H5Tis_variable_str(type) > 0) { /* not ours, but what h5py writes */
        char *found = NULL;
        if (H5Aread(attribute, type, &found) < 0)
            return false;
        *length = (size_t)snprintf(text, size, "%s", found ? found : "");
        H5free_memory(found);
        return true;
    }
    *length = H5Tget_size(type);
    if (*length == 0 || *length > TEXT_MAX)
        return false;
    hid_t cut = H5Tcopy(type);
    H5Tset_size(cut, size);
    H5Tset_strpad(cut, H5T_STR_NULLTERM); /* HDF5 turns one padding into another */
    bool good = H5Aread(attribute, cut, text) >= 0;
    crs_h5_close(&cut);
    text[good ? size - 1 : 0] = '\0';
    return good;
}

/* value->text is not touched: a text goes to text, as much of it as fits. */
static bool read_value(hid_t attribute, hid_t type, crs_h5_value *value, char *text, size_t size, size_t *length) {
    switch (H5Tget_class(type)) {
    case H5T_STRING:
        value->kind = CRS_ATTRIBUTE_TEXT;
        return read_string(attribute, type, text, size, length);
    case H5T_INTEGER:
        value->kind = CRS_ATTRIBUTE_INTEGER;
        return H5Aread(attribute, H5T_NATIVE_INT64, &value->integer) >= 0;
    case H5T_FLOAT:
        value->kind = CRS_ATTRIBUTE_REAL;
        return H5Aread(attribute, H5T_NATIVE_DOUBLE, &value->real) >= 0;
    default:
        return false;
    }
}

/* Of a scalar attribute, or one of a single element. */
static crs_found get(hid_t object, const char *name, crs_h5_value *value, char *text, size_t size, size_t *length) {
    htri_t exists = H5Aexists(object, name);
    *length = 0;
    if (exists <= 0)
        return exists == 0 ? CRS_ABSENT : CRS_WRONG;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return CRS_WRONG;
    hid_t space = H5Aget_space(attribute), type = H5Aget_type(attribute);
    bool good = space >= 0 && type >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
                read_value(attribute, type, value, text, size, length);
    crs_h5_close(&type);
    crs_h5_close(&space);
    crs_h5_close(&attribute);
    return good ? CRS_FOUND : CRS_WRONG;
}

crs_found crs_h5_get(hid_t object, const char *name, crs_h5_value *value) {
    size_t length;
    memset(value, 0, sizeof *value);
    crs_found found = get(object, name, value, value->text, sizeof value->text, &length);
    return found == CRS_FOUND && length >= sizeof value->text ? CRS_WRONG : found;
}

crs_found crs_h5_text(hid_t object, const char *name, char *text, size_t size) {
    crs_h5_value value = {0};
    size_t length;
    *text = '\0';
    crs_found found = get(object, name, &value, text, size, &length);
    return found == CRS_FOUND && value.kind != CRS_ATTRIBUTE_TEXT ? CRS_WRONG : found;
}

crs_found crs_h5_integer(hid_t object, const char *name, int64_t *value) {
    crs_h5_value found;
    crs_found result = crs_h5_get(object, name, &found);
    if (result == CRS_FOUND && found.kind != CRS_ATTRIBUTE_INTEGER)
        return CRS_WRONG;
    *value = found.integer;
    return result;
}

bool crs_h5_is_newer(hid_t file) {
    hid_t attribute = H5Aopen(file, "format", H5P_DEFAULT);
    bool newer = attribute < 0 && crs_h5_met_newer();
    crs_h5_close(&attribute);
    return newer;
}

crs_status crs_h5_check_format(hid_t file, const char *path, const char *format, int known, crs_error *error) {
    char text[64];
    int64_t version = 0;
    if (crs_h5_text(file, "format", text, sizeof text) != CRS_FOUND)
        return crs_h5_is_newer(file)
                   ? crs_fail(error, CRS_DATA, "%s: %s", path, crs_h5_newer_words())
                   : crs_fail(error, CRS_DATA,
                              "%s: this HDF5 file is none of carousel's: its root has no text attribute `format` (%s); "
                              "give a file that carousel made, or one like it (docs/formats.md)",
                              path, format);
    if (strcmp(text, format) != 0)
        return crs_fail(error, CRS_DATA,
                        "%s: its attribute `format` is '%s', not %s; give a data set that `carousel pack` made", path,
                        text, format);
    if (crs_h5_integer(file, "version", &version) != CRS_FOUND || version < 1)
        return crs_fail(error, CRS_DATA, "%s: its root has no attribute `version` with an integer of 1 or more", path);
    if (version > known)
        return crs_fail(error, CRS_DATA,
                        "%s: it has version %lld of its format, and this carousel knows up to %d; use a newer carousel",
                        path, (long long)version, known);
    return CRS_OK;
}
