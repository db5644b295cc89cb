/* Attributes and strings of HDF5. */
#include "config.h"

#include <string.h>

#include "checkpoint/hdf.h"

void crs_hdf_quiet(void) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

hid_t crs_hdf_text_type(size_t size) {
    hid_t type = H5Tcopy(H5T_C_S1);
    if (H5Tset_size(type, size) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0 ||
        H5Tset_strpad(type, H5T_STR_NULLPAD) < 0) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

static bool put(hid_t object, const char *name, hid_t file_type, hid_t memory_type, const void *value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Awrite(attribute, memory_type, value) >= 0;
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return good;
}

bool crs_hdf_put_text(hid_t object, const char *name, const char *text) {
    size_t length = strlen(text);
    hid_t type = crs_hdf_text_type(length ? length : 1);
    if (type < 0)
        return false;
    bool good = put(object, name, type, type, text);
    H5Tclose(type);
    return good;
}

bool crs_hdf_put_integer(hid_t object, const char *name, int64_t value) {
    return put(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

bool crs_hdf_put_real(hid_t object, const char *name, double value) {
    return put(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

static bool get_text(hid_t attribute, hid_t type, crs_hdf_value *value) {
    size_t size = H5Tget_size(type);
    if (H5Tis_variable_str(type) > 0) { /* not ours, but what h5py writes when it changes an attribute */
        char *text = NULL;
        if (H5Aread(attribute, type, &text) < 0)
            return false;
        bool fits = !text || strlen(text) < sizeof value->text;
        if (text && fits)
            memcpy(value->text, text, strlen(text) + 1);
        H5free_memory(text);
        return fits;
    }
    return size < sizeof value->text && H5Aread(attribute, type, value->text) >= 0;
}

static bool get(hid_t attribute, hid_t type, crs_hdf_value *value) {
    switch (H5Tget_class(type)) {
    case H5T_STRING:
        value->kind = CRS_ATTRIBUTE_TEXT;
        return get_text(attribute, type, value);
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

bool crs_hdf_get(hid_t object, const char *name, crs_hdf_value *value) {
    memset(value, 0, sizeof *value);
    hid_t attribute = H5Aexists(object, name) > 0 ? H5Aopen(object, name, H5P_DEFAULT) : -1;
    if (attribute < 0)
        return false;
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    bool good = type >= 0 && space >= 0 && H5Sget_simple_extent_npoints(space) == 1 && get(attribute, type, value);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    H5Aclose(attribute);
    return good;
}

crs_status crs_hdf_read_text(hid_t set, size_t size, char **out) {
    hid_t type = H5Dget_type(set);
    char *text = NULL;
    crs_status status = CRS_DATA;
    *out = NULL;
    if (type < 0)
        return CRS_DATA;
    if (size > 0) {
        *out = crs_alloc(size + 1, 1, CRS_MEMORY_OTHER);
        if (!*out)
            status = CRS_INTERNAL;
        else if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) >= 0)
            status = CRS_OK;
    } else if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) >= 0) {
        *out = crs_copy_text(text ? text : "");
        status = *out ? CRS_OK : CRS_INTERNAL;
        H5free_memory(text);
    }
    H5Tclose(type);
    if (status)
        crs_free(out);
    return status;
}

/* Strings of variable length, which others' tools write. */
static crs_status read_variable(hid_t set, hid_t type, int64_t count, size_t size, char *out) {
    char **text = crs_alloc((size_t)count, sizeof *text, CRS_MEMORY_OTHER);
    if (!text)
        return CRS_INTERNAL;
    bool good = H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0;
    for (int64_t i = 0; i < count; i++) {
        if (good && text[i])
            strncpy(out + (size_t)i * size, text[i], size - 1);
        H5free_memory(text[i]);
    }
    crs_free(&text);
    return good ? CRS_OK : CRS_DATA;
}

crs_status crs_hdf_read_texts(hid_t set, int64_t count, size_t size, char *out) {
    hid_t type = H5Dget_type(set);
    crs_status status = CRS_DATA;
    if (type < 0)
        return CRS_DATA;
    memset(out, 0, (size_t)count * size);
    if (H5Tis_variable_str(type) > 0) {
        status = read_variable(set, type, count, size, out);
    } else {
        hid_t memory = H5Tcopy(type);
        /* Null-terminated: the last byte of each place is a zero. */
        if (H5Tset_size(memory, size) >= 0 && H5Tset_strpad(memory, H5T_STR_NULLTERM) >= 0 &&
            H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0)
            status = CRS_OK;
        H5Tclose(memory);
    }
    H5Tclose(type);
    return status;
}
