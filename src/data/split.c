/* One split of a data set: whether it is what it should be. */
#include "config.h"

#include "data/dataset.h"

#include <string.h>

/* A compressed chunk is unpacked whole: that much memory at most is spent on one, and on all that are kept. */
enum { CHUNK_MAX = 256 << 20, CACHE_BYTES = 32 << 20, CACHE_CHUNKS = 64 };

const char *crs_split_name(crs_split split) {
    static const char *const names[CRS_SPLITS] = {"train", "validation", "test"};
    return names[split];
}

/* Bytes of a token, or 0 where the type is none of the six that are allowed. */
static int token_bytes_of(hid_t set) {
    const hid_t allowed[] = {H5T_STD_U8LE, H5T_STD_U8BE, H5T_STD_U16LE, H5T_STD_U16BE, H5T_STD_U32LE, H5T_STD_U32BE};
    int bytes = 0;
    hid_t type = H5Dget_type(set);
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && type >= 0; i++)
        if (H5Tequal(type, allowed[i]) > 0)
            bytes = (int)H5Tget_size(type);
    crs_h5_close(&type);
    return bytes;
}

int crs_split_bytes(const crs_dataset *dataset, crs_split split) {
    return token_bytes_of(dataset->file->split[split]);
}

static crs_status check_type(const crs_dataset *dataset, const char *name, hid_t set, hsize_t *length,
                             crs_error *error) {
    int dimensions = -1;
    hid_t space = H5Dget_space(set);
    if (space >= 0 && H5Sget_simple_extent_type(space) == H5S_SIMPLE)
        dimensions = H5Sget_simple_extent_ndims(space);
    if (dimensions == 1)
        H5Sget_simple_extent_dims(space, length, NULL);
    crs_h5_close(&space);
    if (dimensions != 1)
        return crs_fail(error, CRS_DATA, "%s: /%s has not one dimension; store the tokens as one sequence",
                        dataset->path, name);
    if (token_bytes_of(set) == 0)
        return crs_fail(error, CRS_DATA,
                        "%s: /%s does not hold unsigned integers of 8, 16 or 32 bits; store it as one of these",
                        dataset->path, name);
    return CRS_OK;
}

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

static crs_status fail_incomplete(const crs_dataset *dataset, const char *name, crs_error *error) {
    return crs_fail(error, CRS_DATA,
                    "%s: /%s claims more tokens than the file holds: it is truncated or was never finished; "
                    "pack it again",
                    dataset->path, name);
}

/* That what the dimensions claim is really there: HDF5 would invent zeros for it. */
static crs_status check_storage(const crs_dataset *dataset, const char *name, hid_t set, hid_t plan, hsize_t length,
                                crs_error *error) {
    hsize_t chunk = 0, unit = (hsize_t)token_bytes_of(set), stored = H5Dget_storage_size(set);
    if (length > (hsize_t)INT64_MAX / 8)
        return fail_incomplete(dataset, name, error);
    if (H5Pget_layout(plan) != H5D_CHUNKED)
        return stored < length * unit ? fail_incomplete(dataset, name, error) : CRS_OK;
    if (H5Pget_chunk(plan, 1, &chunk) != 1 || chunk == 0)
        return crs_fail(error, CRS_DATA, "%s: the chunks of /%s can't be made out: the file is damaged", dataset->path,
                        name);
    hsize_t chunks = length / chunk + (length % chunk > 0);
    int64_t found = count_chunks(set);
    if (found >= 0 && (hsize_t)found < chunks)
        return fail_incomplete(dataset, name, error);
    if (H5Pget_nfilters(plan) == 0)
        return stored / unit / chunk < chunks ? fail_incomplete(dataset, name, error) : CRS_OK;
    if (chunk * unit > CHUNK_MAX)
        return crs_fail(
            error, CRS_DATA,
            "%s: /%s has compressed chunks of %llu bytes, of which each read would unpack one; store it with "
            "chunks of about 1 MiB (h5repack -l CHUNK=1048576 OLD.h5 NEW.h5)",
            dataset->path, name, (unsigned long long)(chunk * unit));
    return CRS_OK;
}

/* That it is stored in this file, in a way that can be read here. */
static crs_status check_layout(const crs_dataset *dataset, const char *name, hid_t plan, crs_error *error) {
    H5D_layout_t layout = H5Pget_layout(plan);
    if ((layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) || H5Pget_external_count(plan) > 0)
        return crs_fail(error, CRS_DATA,
                        "%s: /%s keeps its tokens in other files; store them in one (h5repack -l CONTI OLD.h5 NEW.h5)",
                        dataset->path, name);
    for (int i = 0; layout == H5D_CHUNKED && i < H5Pget_nfilters(plan); i++) {
        char filter_name[64] = "";
        unsigned flags = 0, config = 0;
        size_t values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(plan, (unsigned)i, &flags, &values, NULL, sizeof filter_name, filter_name, &config);
        if (filter < 0 || H5Zfilter_avail(filter) <= 0)
            return crs_fail(
                error, CRS_DATA,
                "%s: /%s is stored with the filter %d %.63s, which this HDF5 lacks; where it is known, take it off "
                "(h5repack -f NONE OLD.h5 NEW.h5), or set HDF5_PLUGIN_PATH",
                dataset->path, name, (int)filter, filter_name);
    }
    return CRS_OK;
}

/* Opens again with a cache that fits: none for plain chunks, which are then read where they lie. */
static hid_t open_with_cache(const crs_dataset *dataset, const char *name, hid_t plan, hsize_t unit) {
    hsize_t chunk = 0;
    size_t bytes = 0;
    if (H5Pget_nfilters(plan) > 0 && H5Pget_chunk(plan, 1, &chunk) == 1) {
        bytes = (size_t)(chunk * unit) * CACHE_CHUNKS;
        if (bytes > CACHE_BYTES)
            bytes = (size_t)(chunk * unit) > CACHE_BYTES ? (size_t)(chunk * unit) : CACHE_BYTES;
    }
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk_cache(access, 10007, bytes, 1.0);
    hid_t set = H5Dopen2(dataset->file->file, name, access);
    crs_h5_close(&access);
    return set;
}

static crs_status read_hash(crs_dataset *dataset, crs_split split, crs_error *error) {
    char text[64];
    crs_found found = crs_h5_text(dataset->file->split[split], CRS_HASH_ATTRIBUTE, text, sizeof text);
    if (found == CRS_WRONG || (found == CRS_FOUND && (strlen(text) != CRS_HASH_HEX - 1 ||
                                                      strspn(text, "0123456789abcdef") != CRS_HASH_HEX - 1)))
        return crs_fail(error, CRS_DATA,
                        "%s: the attribute `xxh3_128` of /%s is no hash: 32 hexadecimal digits, or none at all",
                        dataset->path, crs_split_name(split));
    if (found == CRS_FOUND)
        memcpy(dataset->hash[split], text, CRS_HASH_HEX);
    return CRS_OK;
}

crs_status crs_split_open(crs_dataset *dataset, crs_split split, crs_error *error) {
    const char *name = crs_split_name(split);
    hsize_t length = 0;
    hid_t plan = H5I_INVALID_HID;
    if (H5Lexists(dataset->file->file, name, H5P_DEFAULT) <= 0)
        return crs_fail(error, CRS_DATA,
                        "%s: it has no /%s; a data set has /train, /validation and /test (which may be empty)",
                        dataset->path, name);
    hid_t set = H5Dopen2(dataset->file->file, name, H5P_DEFAULT);
    if (set < 0 && crs_h5_met_newer())
        return crs_fail(error, CRS_DATA, "%s: /%s: %s", dataset->path, name, crs_h5_newer_words());
    if (set < 0)
        return crs_fail(error, CRS_DATA, "%s: /%s is no data set, or damaged; pack it again", dataset->path, name);
    crs_status status = check_type(dataset, name, set, &length, error);
    if (status)
        goto out;
    plan = H5Dget_create_plist(set);
    status = check_layout(dataset, name, plan, error);
    if (!status)
        status = check_storage(dataset, name, set, plan, length, error);
    if (status)
        goto out;
    int bytes = token_bytes_of(set);
    crs_h5_close(&set);
    dataset->file->split[split] = open_with_cache(dataset, name, plan, (hsize_t)bytes);
    dataset->length[split] = (int64_t)length;
    dataset->token_bytes = bytes > dataset->token_bytes ? bytes : dataset->token_bytes;
    status = dataset->file->split[split] < 0 ? crs_fail(error, CRS_DATA, "%s: /%s can't be opened", dataset->path, name)
                                             : read_hash(dataset, split, error);
out:
    crs_h5_close(&plan);
    crs_h5_close(&set);
    return status;
}
