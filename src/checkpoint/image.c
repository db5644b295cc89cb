/* From a checkpoint to the bytes of its file. */
#include "config.h"

#include <string.h>

#include "checkpoint/image.h"
#include "checkpoint/listing.h"
#include "checkpoint/read.h"
#include "store/vocabulary_file.h"

/* By how much the file in memory grows at least. */
#define GROWTH ((size_t)1 << 20)

/* Creates the groups above path that are not there yet. */
static bool create_groups(hid_t file, const char *path) {
    char group[sizeof((crs_array *)NULL)->path];
    for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
        snprintf(group, sizeof group, "%.*s", (int)(end - path), path);
        if (H5Lexists(file, group, H5P_DEFAULT) > 0)
            continue;
        hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
        H5Pset_obj_track_times(creation, false);
        hid_t id = H5Gcreate2(file, group, H5P_DEFAULT, creation, H5P_DEFAULT);
        H5Pclose(creation);
        if (id < 0)
            return false;
        H5Gclose(id);
    }
    return true;
}

/* Writes one data set whole, with its attributes. */
static bool put_set(hid_t file, const char *path, hid_t type, int rank, const int64_t *dims, const void *values,
                    size_t bytes, const char *cell) {
    hsize_t extent[CRS_RANK_MAX];
    char hash[CRS_HASH_HEX];
    crs_hash_bytes(values, bytes, hash);
    for (int i = 0; i < rank; i++)
        extent[i] = (hsize_t)dims[i];
    hid_t space = rank ? H5Screate_simple(rank, extent, NULL) : H5Screate(H5S_SCALAR),
          creation = H5Pcreate(H5P_DATASET_CREATE);
    bool good = H5Pset_obj_track_times(creation, false) >= 0 && H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0 &&
                create_groups(file, path);
    hid_t set = good ? H5Dcreate2(file, path, type, space, H5P_DEFAULT, creation, H5P_DEFAULT) : -1;
    good = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0 &&
           crs_h5_put_text(set, CRS_HASH_ATTRIBUTE, hash) && crs_describe(set, path, cell);
    good = crs_h5_close(&set) && good;
    H5Pclose(creation);
    H5Sclose(space);
    return good;
}

static bool put_array(hid_t file, const crs_array *array, const char *cell) {
    return put_set(file, array->path, crs_type_stored(array->type), array->rank, array->dims, array->values,
                   (size_t)crs_array_size(array) * crs_type_size(array->type), cell);
}

static bool put_config(hid_t file, const crs_checkpoint *checkpoint) {
    const char *text = checkpoint->config ? checkpoint->config : "";
    size_t length = strlen(text);
    hid_t type = crs_h5_text_type(length);
    bool good = type >= 0 && put_set(file, "/config", type, 0, NULL, text, length, "");
    crs_h5_close(&type);
    return good;
}

static bool put_vocabulary(hid_t file, const crs_vocabulary *vocabulary) {
    const int64_t count = vocabulary->count;
    const size_t size = crs_vocabulary_entry_bytes(vocabulary);
    char *texts = crs_vocabulary_entries(vocabulary);
    hid_t type = crs_h5_text_type(size);
    bool good = texts && type >= 0 && put_set(file, "/vocabulary", type, 1, &count, texts, (size_t)count * size, "");
    crs_h5_close(&type);
    crs_free(&texts);
    return good;
}

/* A list of names as strings of the longest one's bytes; nothing where it is empty. */
static bool put_names(hid_t file, const char *path, const crs_names *names) {
    const int64_t count = names->count;
    const size_t longest = crs_names_longest(names);
    if (count == 0)
        return true;
    char *texts = crs_alloc((size_t)count, longest, CRS_MEMORY_OTHER);
    hid_t type = crs_h5_text_type(longest);
    for (int i = 0; texts && i < names->count; i++)
        memcpy(texts + (size_t)i * longest, names->name[i], strlen(names->name[i]));
    bool good = texts && type >= 0 && put_set(file, path, type, 1, &count, texts, (size_t)count * longest, "");
    crs_h5_close(&type);
    crs_free(&texts);
    return good;
}

static bool put_schema(hid_t file, const crs_schema *schema) {
    bool good = true;
    for (int i = 0; good && i < CRS_NAME_LISTS; i++)
        good = put_names(file, crs_name_lists[i].path,
                         (const crs_names *)(const void *)((const char *)schema + crs_name_lists[i].offset));
    return good;
}

static bool put_attribute(hid_t file, const crs_attribute *a) {
    switch (a->kind) {
    case CRS_ATTRIBUTE_TEXT:
        return crs_h5_put_text(file, a->name, a->text);
    case CRS_ATTRIBUTE_INTEGER:
        return crs_h5_put_integer(file, a->name, a->integer);
    default:
        return crs_h5_put_real(file, a->name, a->real);
    }
}

static bool put_root(hid_t file, const crs_checkpoint *c) {
    bool good = crs_h5_put_text(file, "format", CRS_FORMAT_CHECKPOINT) &&
                crs_h5_put_integer(file, "version", CRS_CHECKPOINT_VERSION) &&
                crs_h5_put_text(file, "program", PACKAGE_STRING);
    for (int i = 0; good && i < c->attributes.count; i++)
        good = put_attribute(file, &c->attributes.list[i]);
    return good;
}

/* The hash over everything, last of all. */
static bool put_listing(crs_image *image, const char *name) {
    crs_listing listing;
    crs_error ignored;
    bool good = crs_listing_make(&listing, image->file, name, INT64_MAX, &ignored) == CRS_OK &&
                crs_listing_hash(&listing, image->file, name, image->listing, &ignored) == CRS_OK &&
                crs_h5_put_text(image->file, CRS_LISTING_ATTRIBUTE, image->listing);
    crs_listing_free(&listing);
    return good;
}

/* Where the bytes of the file stand in memory. */
static bool find_bytes(crs_image *image) {
    void *handle = NULL;
    ssize_t count;
    if (H5Fflush(image->file, H5F_SCOPE_GLOBAL) < 0 || H5Fget_vfd_handle(image->file, H5P_DEFAULT, &handle) < 0 ||
        !handle || (count = H5Fget_file_image(image->file, NULL, 0)) <= 0)
        return false;
    image->bytes = *(unsigned char **)handle;
    image->count = (size_t)count;
    return image->bytes != NULL;
}

static bool put_all(hid_t file, const crs_checkpoint *checkpoint) {
    if (!put_root(file, checkpoint) || !put_config(file, checkpoint))
        return false;
    if (checkpoint->vocabulary.count > 0 && checkpoint->vocabulary.level != CRS_LEVEL_BYTE &&
        !put_vocabulary(file, &checkpoint->vocabulary))
        return false;
    if (!put_schema(file, &checkpoint->schema))
        return false;
    const crs_attribute *cell = crs_attributes_find(&checkpoint->attributes, "cell");
    for (int i = 0; i < checkpoint->arrays; i++)
        if (!put_array(file, &checkpoint->array[i], cell ? cell->text : ""))
            return false;
    return true;
}

crs_status crs_image_make(crs_image *image, const crs_checkpoint *checkpoint, const char *name, crs_error *error) {
    crs_h5_silence();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    bool in_memory = H5Pset_fapl_core(access, GROWTH, false) >= 0;
    *image = (crs_image){.file = in_memory ? crs_h5_create(name, access) : H5I_INVALID_HID};
    if (image->file >= 0 && put_all(image->file, checkpoint) && put_listing(image, name) && find_bytes(image))
        return CRS_OK;
    crs_image_free(image);
    return crs_fail(error, CRS_INTERNAL,
                    "%s: out of memory while the checkpoint is put together (HDF5); a smaller model, or more memory at "
                    "rank 0, would do",
                    name);
}

void crs_image_free(crs_image *image) {
    crs_h5_close(&image->file);
    image->bytes = NULL;
}
