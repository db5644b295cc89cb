/* The objects of a checkpoint file and the hash over their names, shapes and attributes. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "checkpoint/listing.h"

/* A checkpoint's groups are at most five deep: /optimizer/adam/first_moment/layers/0. */
enum { DEPTH_MAX = 8, OBJECTS_MAX = 1 << 20 };

typedef struct walk {
    crs_listing *listing;
    const char *name; /* of the file */
    int64_t bytes;    /* of the file */
    const char *path; /* of the group that is being walked */
    int depth;
    crs_error *error;
} walk;

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [CRS_F32] = {"float32", 4},
    [CRS_F64] = {"float64", 8},
    [CRS_I64] = {"int64", 8},
    [CRS_U64] = {"uint64", 8},
};

const char *crs_type_name(crs_type type) {
    return types[type].name;
}

size_t crs_type_size(crs_type type) {
    return types[type].size;
}

hid_t crs_type_stored(crs_type type) {
    const hid_t stored[] = {
        [CRS_F32] = H5T_IEEE_F32LE, [CRS_F64] = H5T_IEEE_F64LE, [CRS_I64] = H5T_STD_I64LE, [CRS_U64] = H5T_STD_U64LE};
    return stored[type];
}

static crs_object *append(crs_listing *listing, crs_error *error) {
    if (crs_list_grow(&listing->object, (size_t)listing->count, sizeof *listing->object))
        return &listing->object[listing->count++];
    crs_fail(error, CRS_INTERNAL,
             "out of memory: no room for the list of a checkpoint's data sets; free some and try again");
    return NULL;
}

static bool find_type(crs_object *object, hid_t type) {
    if (H5Tget_class(type) == H5T_STRING) {
        object->kind = CRS_OBJECT_TEXT;
        object->text_size = H5Tis_variable_str(type) > 0 ? 0 : H5Tget_size(type);
        return object->text_size == 0 || H5Tget_strpad(type) != H5T_STR_SPACEPAD;
    }
    object->kind = CRS_OBJECT_ARRAY;
    for (int i = 0; i < (int)(sizeof types / sizeof *types); i++) {
        object->type = (crs_type)i;
        if (H5Tequal(type, crs_type_stored(object->type)) > 0)
            return true;
    }
    return false;
}

static bool find_shape(crs_object *object, hid_t space) {
    hsize_t dims[CRS_RANK_MAX] = {0};
    H5S_class_t class = H5Sget_simple_extent_type(space);
    if (class != H5S_SCALAR && class != H5S_SIMPLE)
        return false;
    object->rank = H5Sget_simple_extent_ndims(space);
    if (object->rank < 0 || object->rank > CRS_RANK_MAX)
        return false;
    H5Sget_simple_extent_dims(space, dims, NULL);
    object->count = 1;
    for (int i = 0; i < object->rank; i++) {
        object->dims[i] = (int64_t)dims[i];
        if (dims[i] > INT64_MAX || __builtin_mul_overflow(object->count, object->dims[i], &object->count))
            return false;
    }
    return true;
}

/* Whether the values stand in this file, whole and as they are: no filters, no other file. */
static bool stored_plainly(hid_t set) {
    hid_t list = H5Dget_create_plist(set);
    if (list < 0)
        return false;
    H5D_layout_t layout = H5Pget_layout(list);
    bool plain = (layout == H5D_CONTIGUOUS || layout == H5D_COMPACT || layout == H5D_CHUNKED) &&
                 H5Pget_nfilters(list) == 0 && (layout != H5D_CONTIGUOUS || H5Pget_external_count(list) == 0);
    H5Pclose(list);
    return plain;
}

static crs_status take_set(const walk *w, crs_object *object, hid_t set) {
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    crs_status status = CRS_OK;
    int64_t least;
    if (type < 0 || space < 0 || !find_type(object, type))
        status = crs_fail(w->error, CRS_DATA,
                          "%s: %s has a type that no checkpoint has (float32, float64, int64, uint64 or text); %s",
                          w->name, object->path, CRS_DAMAGED_ADVICE);
    else if (!find_shape(object, space))
        status = crs_fail(w->error, CRS_DATA, "%s: %s has a shape that no checkpoint has (at most %d dimensions); %s",
                          w->name, object->path, CRS_RANK_MAX, CRS_DAMAGED_ADVICE);
    else if (!stored_plainly(set))
        status = crs_fail(w->error, CRS_DATA,
                          "%s: the values of %s are compressed or stand in another file; `h5repack -f NONE -l CONTI "
                          "OLD.h5 NEW.h5` makes them plain",
                          w->name, object->path);
    else {
        size_t size = object->kind == CRS_OBJECT_ARRAY ? crs_type_size(object->type)
                      : object->text_size              ? object->text_size
                                                       : sizeof(char *);
        hsize_t stored = H5Dget_storage_size(set);
        if (size > INT64_MAX || __builtin_mul_overflow(object->count, (int64_t)size, &least) ||
            stored < (hsize_t)least || stored > (hsize_t)w->bytes)
            status = crs_fail(w->error, CRS_DATA, "%s: %s claims more values than the file holds; %s", w->name,
                              object->path, CRS_DAMAGED_ADVICE);
    }
    crs_h5_close(&space);
    crs_h5_close(&type);
    return status;
}

static crs_status walk_group(walk *w, hid_t group, const char *path);

static herr_t take_link(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    walk *w = context;
    crs_object *object = NULL, found = {.kind = CRS_OBJECT_GROUP};
    int length = snprintf(found.path, sizeof found.path, "%s/%s", strcmp(w->path, "/") == 0 ? "" : w->path, name);
    if (info->type != H5L_TYPE_HARD || length >= (int)sizeof found.path || w->listing->count >= OBJECTS_MAX) {
        crs_fail(w->error, CRS_DATA, "%s: %s is nothing that a checkpoint holds (%s); %s", w->name, found.path,
                 info->type != H5L_TYPE_HARD ? "a link to elsewhere" : "too long a name, or too many of them",
                 CRS_DAMAGED_ADVICE);
        return -1;
    }
    hid_t id = H5Oopen(group, name, H5P_DEFAULT);
    H5I_type_t class = id >= 0 ? H5Iget_type(id) : H5I_BADID;
    crs_status status = CRS_OK;
    if (id < 0 && crs_h5_met_newer())
        status = crs_fail(w->error, CRS_DATA, "%s: %s: %s", w->name, found.path, crs_h5_newer_words());
    else if (class != H5I_GROUP && class != H5I_DATASET)
        status = crs_fail(w->error, CRS_DATA, "%s: %s can't be opened or is nothing that a checkpoint holds; %s",
                          w->name, found.path, CRS_DAMAGED_ADVICE);
    if (!status && class == H5I_DATASET)
        status = take_set(w, &found, id);
    if (!status && !(object = append(w->listing, w->error)))
        status = CRS_INTERNAL;
    if (!status)
        *object = found;
    if (!status && class == H5I_GROUP)
        status = walk_group(w, id, found.path);
    crs_h5_close(&id);
    return status ? -1 : 0;
}

static crs_status walk_group(walk *w, hid_t group, const char *path) {
    walk below = *w;
    below.path = path;
    below.depth++;
    if (below.depth > DEPTH_MAX)
        return crs_fail(w->error, CRS_DATA, "%s: %s: groups deeper than a checkpoint's; %s", w->name, path,
                        CRS_DAMAGED_ADVICE);
    w->error->status = CRS_OK;
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, take_link, &below) >= 0)
        return CRS_OK;
    if (w->error->status == CRS_OK) /* HDF5 failed, not one of ours */
        crs_fail(w->error, CRS_DATA, "%s: the group %s can't be read; %s", w->name, path, CRS_DAMAGED_ADVICE);
    return w->error->status;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const crs_object *)a)->path, ((const crs_object *)b)->path);
}

crs_status crs_listing_make(crs_listing *listing, hid_t file, const char *name, int64_t bytes, crs_error *error) {
    memset(listing, 0, sizeof *listing);
    walk w = {.listing = listing, .name = name, .bytes = bytes, .error = error};
    crs_object *root = append(listing, error);
    if (!root)
        return CRS_INTERNAL;
    *root = (crs_object){.path = "/", .kind = CRS_OBJECT_GROUP};
    crs_status status = walk_group(&w, file, "/");
    if (status)
        crs_listing_free(listing);
    else
        qsort(listing->object, (size_t)listing->count, sizeof *listing->object, by_path);
    return status;
}

void crs_listing_free(crs_listing *listing) {
    crs_free(&listing->object);
    listing->count = 0;
}

const crs_object *crs_listing_find(const crs_listing *listing, const char *path) {
    crs_object key;
    snprintf(key.path, sizeof key.path, "%s", path);
    return bsearch(&key, listing->object, (size_t)listing->count, sizeof key, by_path);
}

/* ---- the hash ---- */

typedef struct hashing {
    crs_hash *hash;
    bool root;
} hashing;

/* Each line ends with a zero, which stands in no name and no value. */
static void add_line(crs_hash *hash, const char *text) {
    crs_hash_add(hash, text, strlen(text) + 1);
}

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context) {
    hashing *h = context;
    crs_h5_value value;
    char number[32];
    (void)info;
    if (h->root && strcmp(name, CRS_LISTING_ATTRIBUTE) == 0)
        return 0;
    if (crs_h5_get(object, name, &value) != CRS_FOUND)
        return -1;
    if (value.kind == CRS_ATTRIBUTE_INTEGER) {
        snprintf(number, sizeof number, "%lld", (long long)value.integer);
    } else if (value.kind == CRS_ATTRIBUTE_REAL) {
        uint64_t bits;
        memcpy(&bits, &value.real, sizeof bits);
        snprintf(number, sizeof number, "%016llx", (unsigned long long)bits);
    }
    add_line(h->hash, name);
    add_line(h->hash, value.kind == CRS_ATTRIBUTE_TEXT ? value.text : number);
    return 0;
}

void crs_hash_shape(crs_hash *hash, const char *path, const char *kind, int rank, const int64_t *dims) {
    char line[sizeof((crs_object *)NULL)->path + 96];
    int used = snprintf(line, sizeof line, "%s %s", path, kind);
    for (int i = 0; i < rank; i++)
        used += snprintf(line + used, sizeof line - (size_t)used, " %lld", (long long)dims[i]);
    add_line(hash, line);
}

crs_status crs_listing_hash(const crs_listing *listing, hid_t file, const char *name, char hex[CRS_HASH_HEX],
                            crs_error *error) {
    hashing h = {.hash = crs_hash_new()};
    crs_status status = CRS_OK;
    if (!h.hash)
        return crs_fail(error, CRS_INTERNAL, "out of memory while %s is hashed; free some and try again", name);
    for (int i = 0; i < listing->count && !status; i++) {
        const crs_object *object = &listing->object[i];
        hid_t id = H5Oopen(file, object->path, H5P_DEFAULT);
        h.root = i == 0;
        crs_hash_shape(h.hash, object->path,
                       object->kind == CRS_OBJECT_GROUP  ? "group"
                       : object->kind == CRS_OBJECT_TEXT ? "string"
                                                         : crs_type_name(object->type),
                       object->rank, object->dims);
        if (id < 0 || H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, NULL, add_attribute, &h) < 0)
            status = crs_fail(error, CRS_DATA, "%s: an attribute of %s can't be read; %s", name, object->path,
                              CRS_DAMAGED_ADVICE);
        crs_h5_close(&id);
    }
    crs_hash_text(h.hash, hex);
    crs_hash_free(&h.hash);
    return status;
}
