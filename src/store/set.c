/* Data sets by anyone's hand. */
#include "config.h"

#include <string.h>

#include "store/set.h"

/* A compressed chunk is unpacked whole: that much memory at most is spent on one, and on all that are kept. */
enum { CHUNK_MAX = 256 << 20, CACHE_BYTES = 32 << 20, CACHE_CHUNKS = 64 };

/* Behind a link to another file: whoever opens it will say so. */
bool crs_set_exists(hid_t file, const char *path) {
    bool elsewhere;
    hid_t access = crs_h5_stay(H5P_LINK_ACCESS, &elsewhere);
    const bool exists = H5Lexists(file, path, access) > 0;
    crs_h5_close(&access);
    return exists || elsewhere;
}

/* ---- types ---- */

static const char *kind_words(crs_set_kind kind) {
    static const char *const words[CRS_SET_KINDS] = {
        "unsigned integers of 8, 16 or 32 bits", "unsigned integers of 8 bits",       "signed integers of 64 bits",
        "floating-point numbers of 32 bits",     "floating-point numbers of 64 bits", "strings"};
    return words[kind];
}

/* The types of a kind, little-endian before big-endian, narrow before wide; how many. */
static int allowed_types(crs_set_kind kind, hid_t types[6]) {
    const hid_t tokens[] = {H5T_STD_U8LE, H5T_STD_U8BE, H5T_STD_U16LE, H5T_STD_U16BE, H5T_STD_U32LE, H5T_STD_U32BE};
    const hid_t pairs[CRS_SET_KINDS][2] = {[CRS_SET_BYTES] = {H5T_STD_U8LE, H5T_STD_U8BE},
                                           [CRS_SET_WHOLE] = {H5T_STD_I64LE, H5T_STD_I64BE},
                                           [CRS_SET_FLOAT] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE},
                                           [CRS_SET_DOUBLE] = {H5T_IEEE_F64LE, H5T_IEEE_F64BE}};
    const int count = kind == CRS_SET_TOKENS ? 6 : 2;
    memcpy(types, kind == CRS_SET_TOKENS ? tokens : pairs[kind], (size_t)count * sizeof *types);
    return count;
}

/* Bytes of an element, or 0 where the type is none that is allowed. */
static int unit_of(crs_set *set) {
    hid_t type = H5Dget_type(set->id), types[6];
    int bytes = 0;
    if (set->plan.kind == CRS_SET_STRINGS && type >= 0 && H5Tget_class(type) == H5T_STRING) {
        set->variable = H5Tis_variable_str(type) > 0;
        set->spaces = !set->variable && H5Tget_strpad(type) == H5T_STR_SPACEPAD;
        const size_t size = H5Tget_size(type);
        bytes = set->variable ? (int)sizeof(char *) : size <= INT32_MAX ? (int)size : 0;
    } else if (set->plan.kind != CRS_SET_STRINGS) {
        const int count = allowed_types(set->plan.kind, types);
        for (int i = 0; i < count && type >= 0; i++)
            if (H5Tequal(type, types[i]) > 0)
                bytes = (int)H5Tget_size(type);
    }
    crs_h5_close(&type);
    return bytes;
}

/* Of numbers in memory: little-endian, of so many bytes. Owned by the caller. */
static hid_t memory_type(const crs_set *set, int unit) {
    hid_t types[6];
    if (set->plan.kind == CRS_SET_STRINGS)
        return H5Dget_type(set->id);
    const int count = allowed_types(set->plan.kind, types);
    for (int i = 0; i < count; i += 2)
        if ((int)H5Tget_size(types[i]) == unit)
            return H5Tcopy(types[i]);
    return H5I_INVALID_HID;
}

static crs_status check_type(crs_set *set, crs_error *error) {
    const crs_set_plan *plan = &set->plan;
    hsize_t sizes[2] = {0, 1};
    int dimensions = -1;
    hid_t space = H5Dget_space(set->id);
    if (space >= 0 && H5Sget_simple_extent_type(space) == H5S_SIMPLE)
        dimensions = H5Sget_simple_extent_ndims(space);
    if (dimensions == plan->dimensions)
        H5Sget_simple_extent_dims(space, sizes, NULL);
    crs_h5_close(&space);
    if (dimensions != plan->dimensions)
        return crs_fail(error, CRS_DATA, "%s: /%s has not %s; %s", plan->file, plan->path,
                        plan->dimensions == 1 ? "one dimension" : "two dimensions", plan->advice);
    set->unit = unit_of(set);
    if (set->unit == 0)
        return crs_fail(error, CRS_DATA, "%s: /%s does not hold %s; store it as %s", plan->file, plan->path,
                        kind_words(plan->kind), plan->kind == CRS_SET_TOKENS ? "one of these" : "these");
    /* More than can be claimed is cut, so as to be refused as not there. */
    set->rows = sizes[0] > INT64_MAX ? INT64_MAX : (int64_t)sizes[0];
    set->width = sizes[1] > INT64_MAX ? INT64_MAX : (int64_t)sizes[1];
    return CRS_OK;
}

/* ---- storage ---- */

/* Chunks that hold something, or -1 where this HDF5 can't tell. */
static int64_t count_chunks(hid_t set) {
    hsize_t chunks = 0;
#if H5_VERSION_GE(1, 10, 5)
    hid_t space = H5Dget_space(set);
    bool good = H5Dget_num_chunks(set, space, &chunks) >= 0;
    crs_h5_close(&space);
    return good ? (int64_t)chunks : 0;
#else
    (void)set, (void)chunks;
    return -1;
#endif
}

static crs_status fail_incomplete(const crs_set *set, crs_error *error) {
    return crs_fail(error, CRS_DATA,
                    "%s: /%s claims more %s than the file holds: it is truncated or was never finished; "
                    "pack it again",
                    set->plan.file, set->plan.path, set->plan.things);
}

/* Bytes of a chunk, and how many of them the dimensions ask for; false where the chunks can't be made out. */
static bool chunk_sizes(const crs_set *set, hid_t creation, hsize_t *bytes, hsize_t *wanted) {
    const hsize_t sizes[2] = {(hsize_t)set->rows, (hsize_t)set->width};
    hsize_t chunk[2] = {0, 1};
    if (H5Pget_chunk(creation, set->plan.dimensions, chunk) != set->plan.dimensions || chunk[0] == 0 || chunk[1] == 0)
        return false;
    *wanted = 1;
    for (int d = 0; d < 2; d++)
        *wanted *= sizes[d] / chunk[d] + (sizes[d] % chunk[d] > 0);
    *bytes = chunk[0] * chunk[1] * (hsize_t)set->unit;
    return true;
}

/* That what the dimensions claim is really there: HDF5 would invent zeros for it. */
static crs_status check_storage(const crs_set *set, hid_t creation, crs_error *error) {
    const crs_set_plan *plan = &set->plan;
    hsize_t chunk = 0, chunks = 0, stored = H5Dget_storage_size(set->id);
    int64_t claimed;
    if (__builtin_mul_overflow(set->rows, set->width, &claimed) || claimed > INT64_MAX / 8 / set->unit)
        return fail_incomplete(set, error);
    if (H5Pget_layout(creation) != H5D_CHUNKED)
        return stored < (hsize_t)claimed * (hsize_t)set->unit ? fail_incomplete(set, error) : CRS_OK;
    if (!chunk_sizes(set, creation, &chunk, &chunks))
        return crs_fail(error, CRS_DATA, "%s: the chunks of /%s can't be made out: the file is damaged", plan->file,
                        plan->path);
    int64_t found = count_chunks(set->id);
    if (found >= 0 && (hsize_t)found < chunks)
        return fail_incomplete(set, error);
    if (H5Pget_nfilters(creation) == 0)
        return stored / chunk < chunks ? fail_incomplete(set, error) : CRS_OK;
    if (chunk > CHUNK_MAX)
        return crs_fail(
            error, CRS_DATA,
            "%s: /%s has compressed chunks of %llu bytes, of which each read would unpack one; store it with "
            "chunks of about 1 MiB (h5repack -l CHUNK=1048576 OLD.h5 NEW.h5)",
            plan->file, plan->path, (unsigned long long)chunk);
    return CRS_OK;
}

/* Which open file an object lies in; false where HDF5 can't tell. */
static bool file_of(hid_t id, unsigned long *number) {
    H5O_info_t info;
#if H5_VERSION_GE(1, 10, 3)
    const bool good = H5Oget_info2(id, &info, H5O_INFO_BASIC) >= 0;
#else
    const bool good = H5Oget_info(id, &info) >= 0;
#endif
    *number = good ? info.fileno : 0;
    return good;
}

/* Whether it lies in another file, to which a link leads. */
static bool is_foreign(hid_t file, hid_t id) {
    unsigned long ours, its;
    return !file_of(file, &ours) || !file_of(id, &its) || ours != its;
}

bool crs_set_elsewhere(hid_t file, hid_t set) {
    hid_t creation = H5Dget_create_plist(set);
    const H5D_layout_t layout = H5Pget_layout(creation);
    const bool elsewhere = (layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) ||
                           H5Pget_external_count(creation) > 0 || is_foreign(file, set);
    crs_h5_close(&creation);
    return elsewhere;
}

static crs_status fail_elsewhere(const crs_set *set, crs_error *error) {
    return crs_fail(error, CRS_DATA,
                    "%s: /%s keeps its %s in other files; store them in one (h5repack -l CONTI OLD.h5 NEW.h5)",
                    set->plan.file, set->plan.path, set->plan.things);
}

/* That it is stored in this file, in a way that can be read here. */
static crs_status check_layout(const crs_set *set, hid_t file, hid_t creation, crs_error *error) {
    const crs_set_plan *plan = &set->plan;
    if (crs_set_elsewhere(file, set->id))
        return fail_elsewhere(set, error);
    for (int i = 0; H5Pget_layout(creation) == H5D_CHUNKED && i < H5Pget_nfilters(creation); i++) {
        char filter_name[64] = "";
        unsigned flags = 0, config = 0;
        size_t values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(creation, (unsigned)i, &flags, &values, NULL, sizeof filter_name, filter_name, &config);
        if (filter < 0 || H5Zfilter_avail(filter) <= 0)
            return crs_fail(
                error, CRS_DATA,
                "%s: /%s is stored with the filter %d %.63s, which this HDF5 lacks; where it is known, take it off "
                "(h5repack -f NONE OLD.h5 NEW.h5); filters from plug-ins are not loaded",
                plan->file, plan->path, (int)filter, filter_name);
    }
    return CRS_OK;
}

/* Opens again with a cache that fits: none for plain chunks, which are then read where they lie. */
static bool open_with_cache(crs_set *set, hid_t file, hid_t creation) {
    hsize_t chunk = 0, chunks;
    size_t bytes = 0;
    if (H5Pget_nfilters(creation) > 0 && H5Pget_layout(creation) == H5D_CHUNKED &&
        chunk_sizes(set, creation, &chunk, &chunks)) {
        bytes = (size_t)chunk * CACHE_CHUNKS;
        if (bytes > CACHE_BYTES)
            bytes = (size_t)chunk > CACHE_BYTES ? (size_t)chunk : CACHE_BYTES;
    }
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk_cache(access, 10007, bytes, 1.0);
    crs_h5_close(&set->id);
    set->id = H5Dopen2(file, set->plan.path, access);
    crs_h5_close(&access);
    return set->id >= 0;
}

static crs_status read_hash(crs_set *set, crs_error *error) {
    char text[64];
    crs_found found = crs_h5_text(set->id, CRS_HASH_ATTRIBUTE, text, sizeof text);
    if (found == CRS_WRONG || (found == CRS_FOUND && (strlen(text) != CRS_HASH_HEX - 1 ||
                                                      strspn(text, "0123456789abcdef") != CRS_HASH_HEX - 1)))
        return crs_fail(error, CRS_DATA,
                        "%s: the attribute `xxh3_128` of /%s is no hash: 32 hexadecimal digits, or none at all",
                        set->plan.file, set->plan.path);
    if (found == CRS_FOUND)
        memcpy(set->hash, text, CRS_HASH_HEX);
    return CRS_OK;
}

static crs_status open_checked(crs_set *set, hid_t file, hid_t *creation, crs_error *error) {
    const crs_set_plan *plan = &set->plan;
    bool elsewhere;
    hid_t access = crs_h5_stay(H5P_DATASET_ACCESS, &elsewhere);
    set->id = H5Dopen2(file, plan->path, access);
    const bool newer = set->id < 0 && crs_h5_met_newer();
    crs_h5_close(&access);
    if (elsewhere)
        return fail_elsewhere(set, error);
    if (newer)
        return crs_fail(error, CRS_DATA, "%s: /%s: %s", plan->file, plan->path, crs_h5_newer_words());
    if (set->id < 0)
        return crs_fail(error, CRS_DATA, "%s: /%s is no data set, or damaged; pack it again", plan->file, plan->path);
    *creation = H5Dget_create_plist(set->id);
    /* The layout first: to be asked for its shape, a virtual one would open the other files. */
    if (check_layout(set, file, *creation, error) || check_type(set, error) || check_storage(set, *creation, error))
        return error->status;
    if (!open_with_cache(set, file, *creation))
        return crs_fail(error, CRS_DATA, "%s: /%s can't be opened", plan->file, plan->path);
    return read_hash(set, error);
}

crs_status crs_set_open(crs_set *set, hid_t file, const crs_set_plan *plan, crs_error *error) {
    hid_t creation = H5I_INVALID_HID;
    *set = (crs_set){.plan = *plan};
    crs_status status = open_checked(set, file, &creation, error);
    crs_h5_close(&creation);
    if (status)
        crs_set_close(set);
    return status;
}

void crs_set_close(crs_set *set) {
    crs_h5_close(&set->id);
    *set = (crs_set){0};
}

/* ---- reading ---- */

bool crs_set_read(const crs_set *set, int64_t first, int64_t count, int unit, void *values) {
    CRS_ASSERT(first >= 0 && count >= 0 && first <= set->rows && count <= set->rows - first);
    const hsize_t start[2] = {(hsize_t)first, 0}, size[2] = {(hsize_t)count, (hsize_t)set->width};
    if (count == 0 || set->width == 0)
        return true;
    hid_t type = memory_type(set, unit), space = H5Dget_space(set->id);
    hid_t memory = H5Screate_simple(set->plan.dimensions, size, NULL);
    bool good = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 &&
                H5Dread(set->id, type, memory, space, H5P_DEFAULT, values) >= 0;
    crs_h5_close(&memory);
    crs_h5_close(&space);
    crs_h5_close(&type);
    return good;
}

void crs_set_free_strings(const crs_set *set, int64_t count, void *values) {
    for (int64_t i = 0; set->variable && i < count; i++)
        H5free_memory(((char **)values)[i]);
}

const char *crs_set_string(const crs_set *set, const void *values, int64_t i, size_t *length) {
    const char *bytes = (const char *)values + i * set->unit;
    if (set->variable) {
        bytes = ((char *const *)values)[i];
        *length = bytes ? strlen(bytes) : 0;
        return bytes ? bytes : "";
    }
    *length = strnlen(bytes, (size_t)set->unit);
    while (set->spaces && *length > 0 && bytes[*length - 1] == ' ')
        --*length;
    return bytes;
}
