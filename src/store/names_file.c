/* Lists of names in HDF5 files. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "store/names_file.h"

enum { BLOCK_BYTES = 1 << 18 };

crs_status crs_name_check(const crs_set *set, int64_t index, const char *bytes, size_t length, crs_error *error) {
    uint32_t code_point;
    if (length > CRS_NAME_BYTES)
        return crs_fail(error, CRS_DATA, "%s: /%s[%" PRId64 "] has %zu bytes, and at most %d are read", set->plan.file,
                        set->plan.path, index, length, (int)CRS_NAME_BYTES);
    for (size_t at = 0; at < length;) {
        const int step = crs_utf8_decode((const unsigned char *)bytes + at, length - at, &code_point);
        if (step < 1)
            return crs_fail(error, CRS_DATA, "%s: /%s[%" PRId64 "] is not UTF-8 at its byte %zu", set->plan.file,
                            set->plan.path, index, at);
        at += (size_t)step;
    }
    return CRS_OK;
}

static crs_status add_name(const crs_set *set, int64_t index, const char *bytes, size_t length, crs_names *names,
                           crs_error *error) {
    if (crs_name_check(set, index, bytes, length, error))
        return error->status;
    char *name = crs_format_text("%.*s", (int)length, bytes);
    if (!name || !crs_names_add(names, name))
        crs_fail(error, CRS_INTERNAL, "out of memory for a list of names");
    crs_free(&name);
    return error->status;
}

/* Entries first .. first + count - 1. room: of so many units. */
static crs_status read_block(const crs_set *set, int64_t first, int64_t count, void *room, size_t *bytes,
                             crs_names *names, crs_hash *hash, crs_error *error) {
    const size_t size = (size_t)count * (size_t)set->unit;
    memset(room, 0, size);
    if (!crs_set_read(set, first, count, set->unit, room))
        crs_fail(error, CRS_DATA, "%s: /%s can't be read at %" PRId64 ": the file is damaged", set->plan.file,
                 set->plan.path, first);
    for (int64_t i = 0; i < count && error->status == CRS_OK; i++) {
        size_t length;
        const char *text = crs_set_string(set, room, i, &length);
        *bytes += length;
        if (*bytes > CRS_NAMES_BYTES)
            crs_fail(error, CRS_DATA, "%s: /%s has more than %d bytes of names", set->plan.file, set->plan.path,
                     (int)CRS_NAMES_BYTES);
        else
            add_name(set, first + i, text, length, names, error);
    }
    if (!set->variable)
        crs_hash_add(hash, room, size);
    crs_set_free_strings(set, count, room);
    return error->status;
}

/* The hash of entries of one length, the longest's. */
static void hash_padded(const crs_names *names, crs_hash *hash) {
    const size_t longest = crs_names_longest(names);
    for (int i = 0; i < names->count; i++) {
        const size_t length = strlen(names->name[i]);
        crs_hash_add(hash, names->name[i], length);
        for (size_t j = length; j < longest; j++)
            crs_hash_add(hash, "", 1);
    }
}

static crs_status check_hash(const crs_set *set, bool hashed, const char *advice, const crs_names *names,
                             crs_hash *hash, crs_error *error) {
    char hex[CRS_HASH_HEX];
    if (!*set->hash && hashed)
        return crs_fail(error, CRS_DATA, "%s: /%s carries no hash (attribute " CRS_HASH_ATTRIBUTE "); %s",
                        set->plan.file, set->plan.path, advice);
    if (!*set->hash)
        return CRS_OK;
    if (set->variable)
        hash_padded(names, hash);
    crs_hash_text(hash, hex);
    if (strcmp(hex, set->hash) == 0)
        return CRS_OK;
    return crs_fail(error, CRS_DATA, "%s: /%s is damaged: its hash is %s, and %s was stated; %s", set->plan.file,
                    set->plan.path, hex, set->hash, advice);
}

static crs_status read_all(const crs_set *set, bool hashed, const char *advice, crs_names *names, crs_error *error) {
    if (set->rows < 1 || set->rows > INT32_MAX / 2)
        return crs_fail(error, CRS_DATA, "%s: /%s has %" PRId64 " names; it should have 1 to %d", set->plan.file,
                        set->plan.path, set->rows, INT32_MAX / 2);
    if (!set->variable && set->unit > CRS_NAME_BYTES)
        return crs_fail(error, CRS_DATA, "%s: /%s has names of %d bytes, and at most %d are read", set->plan.file,
                        set->plan.path, set->unit, (int)CRS_NAME_BYTES);
    const int64_t most = BLOCK_BYTES / set->unit, block = set->rows < most ? set->rows : most;
    crs_hash *hash = crs_hash_new();
    void *room = crs_alloc_or_fail((size_t)block, (size_t)set->unit, CRS_MEMORY_DATA, "a list of names", error);
    size_t bytes = 0;
    if (!hash)
        crs_fail(error, CRS_INTERNAL, "out of memory for a hash");
    for (int64_t first = 0; first < set->rows && error->status == CRS_OK; first += block)
        read_block(set, first, set->rows - first < block ? set->rows - first : block, room, &bytes, names, hash, error);
    if (error->status == CRS_OK)
        check_hash(set, hashed, advice, names, hash, error);
    crs_free(&room);
    crs_hash_free(&hash);
    return error->status;
}

crs_status crs_names_read(hid_t open, const char *file, const char *path, bool hashed, const char *advice,
                          crs_names *names, crs_error *error) {
    const crs_set_plan plan = {.file = file,
                               .path = path,
                               .kind = CRS_SET_STRINGS,
                               .dimensions = 1,
                               .things = "names",
                               .advice = "store the names as one list"};
    crs_set set;
    *names = (crs_names){0};
    if (!crs_set_exists(open, path))
        return crs_fail(error, CRS_DATA, "%s: it has no /%s, a list of names; pack it again, or add it", file, path);
    if (crs_set_open(&set, open, &plan, error))
        return error->status;
    if (read_all(&set, hashed, advice, names, error))
        crs_names_free(names);
    crs_set_close(&set);
    return error->status;
}

/* ---- attributes: a text for each entry of a list, or one for all ---- */

/* Of an open attribute that has `stored` strings. */
static crs_status read_texts(hid_t attribute, hid_t type, int stored, crs_names *names, bool *good, crs_error *error) {
    const bool variable = H5Tis_variable_str(type) > 0;
    const size_t size = variable ? sizeof(char *) : H5Tget_size(type) + 1;
    if (!variable && size > CRS_NAME_BYTES)
        return CRS_OK;
    char *texts = crs_alloc_or_fail((size_t)stored, size, CRS_MEMORY_DATA, "a list of names", error);
    hid_t wanted = H5Tcopy(type), space = H5Aget_space(attribute);
    if (!variable) { /* HDF5 turns one padding into another */
        H5Tset_size(wanted, size);
        H5Tset_strpad(wanted, H5T_STR_NULLTERM);
    }
    const bool read = texts && H5Aread(attribute, wanted, texts) >= 0;
    for (int i = 0; read && i < stored && error->status == CRS_OK; i++) {
        const char *text = variable ? ((char **)(void *)texts)[i] : texts + (size_t)i * size;
        if (!crs_names_add(names, text ? text : ""))
            crs_fail(error, CRS_INTERNAL, "out of memory for a list of names");
    }
    if (read && variable)
        H5Dvlen_reclaim(wanted, space, H5P_DEFAULT, texts);
    *good = read;
    crs_h5_close(&space);
    crs_h5_close(&wanted);
    crs_free(&texts);
    return error->status;
}

crs_status crs_names_attribute(hid_t open, const char *file, const char *path, const char *name, int count,
                               crs_names *names, crs_error *error) {
    *names = (crs_names){0};
    if (H5Aexists_by_name(open, path, name, H5P_DEFAULT) <= 0)
        return CRS_OK;
    hid_t attribute = H5Aopen_by_name(open, path, name, H5P_DEFAULT, H5P_DEFAULT), type = H5I_INVALID_HID,
          space = H5I_INVALID_HID;
    bool good = false;
    if (attribute >= 0) {
        type = H5Aget_type(attribute);
        space = H5Aget_space(attribute);
    }
    const hssize_t stored = space >= 0 ? H5Sget_simple_extent_npoints(space) : 0;
    if (type >= 0 && H5Tget_class(type) == H5T_STRING && (stored == 1 || stored == count))
        read_texts(attribute, type, (int)stored, names, &good, error);
    for (int i = names->count; good && i < count && error->status == CRS_OK; i++)
        if (!crs_names_add(names, names->name[0]))
            crs_fail(error, CRS_INTERNAL, "out of memory for a list of names");
    if (error->status == CRS_OK && !good)
        crs_fail(
            error, CRS_DATA,
            "%s: the attribute `%s` of /%s is neither a text nor a list of %d, one for each; make it one, or leave "
            "it out",
            file, name, path, count);
    if (error->status)
        crs_names_free(names);
    crs_h5_close(&space);
    crs_h5_close(&type);
    crs_h5_close(&attribute);
    return error->status;
}
