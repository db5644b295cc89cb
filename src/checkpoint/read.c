/* Reading a checkpoint: everything is checked before it is believed. */
#include "config.h"

#include <string.h>

#include "carousel/checkpoint.h"
#include "checkpoint/image.h"
#include "checkpoint/listing.h"
#include "checkpoint/read.h"
#include "store/names_file.h"
#include "store/vocabulary_file.h"

typedef struct reader {
    const char *name;
    hid_t file;
    int64_t bytes;
    crs_listing listing;
} reader;

/* ---- opening ---- */

static const crs_h5_words words = {
    .folder = "is a folder; give a file in it, such as best.h5 or last.h5",
    .special = "is no file that can be read twice; give a file",
    .empty = "is empty; give a checkpoint or a data set of carousel",
    .foreign = "is no HDF5 file, or its beginning is damaged; give a checkpoint (or data set) of carousel",
    .broken = "HDF5 can't open it: truncated or damaged; use another checkpoint of the run, or a backup",
};

/* Without locks, which not every network file system has; files of this project are replaced, never changed. */
static crs_status open_reader(reader *r, const char *path, crs_error *error) {
    hsize_t bytes;
    *r = (reader){.name = path, .file = crs_h5_open(path, &words, error)};
    if (r->file < 0)
        return error->status;
    if (H5Fget_filesize(r->file, &bytes) < 0)
        return crs_fail(error, CRS_DATA, "%s: %s", path, words.broken);
    r->bytes = (int64_t)bytes;
    return CRS_OK;
}

static void close_reader(reader *r) {
    crs_listing_free(&r->listing);
    crs_h5_close(&r->file);
}

/* ---- attributes ---- */

static crs_status root_integer(const reader *r, const char *attribute, int64_t *out, crs_error *error) {
    if (crs_h5_integer(r->file, attribute, out) == CRS_FOUND)
        return CRS_OK;
    return crs_fail(error, CRS_DATA, "%s: the attribute %s is missing, or no integer; %s", r->name, attribute,
                    CRS_DAMAGED_ADVICE);
}

static crs_status read_format(const reader *r, char format[32], crs_error *error) {
    crs_h5_value value;
    if (crs_h5_is_newer(r->file))
        return crs_fail(error, CRS_DATA, "%s: %s", r->name, crs_h5_newer_words());
    htri_t there = H5Aexists(r->file, "format");
    if (there < 0)
        return crs_fail(error, CRS_DATA, "%s: its attributes can't be read; %s", r->name, CRS_DAMAGED_ADVICE);
    bool named = there && crs_h5_get(r->file, "format", &value) == CRS_FOUND && value.kind == CRS_ATTRIBUTE_TEXT;
    if (named && (strcmp(value.text, CRS_FORMAT_CHECKPOINT) == 0 || strcmp(value.text, CRS_FORMAT_TOKENS) == 0 ||
                  strcmp(value.text, CRS_FORMAT_SEQUENCES) == 0)) {
        memcpy(format, value.text, strlen(value.text) + 1);
        return CRS_OK;
    }
    return crs_fail(
        error, CRS_DATA,
        "%s: is HDF5, but neither a checkpoint nor a data set of carousel (attribute format: %s); give one of those",
        r->name, named ? value.text : "none");
}

/* That it is a checkpoint of a version that this program knows. */
static crs_status check_format(const reader *r, crs_error *error) {
    char format[32];
    int64_t version;
    if (read_format(r, format, error))
        return error->status;
    if (strcmp(format, CRS_FORMAT_CHECKPOINT) != 0)
        return crs_fail(error, CRS_DATA, "%s: this is a data set of %s; give a checkpoint", r->name,
                        strcmp(format, CRS_FORMAT_TOKENS) == 0 ? "tokens" : "sequences");
    if (root_integer(r, "version", &version, error))
        return error->status;
    if (version > CRS_CHECKPOINT_VERSION)
        return crs_fail(error, CRS_DATA,
                        "%s: is a checkpoint of version %lld, and this program knows version %d; use a newer carousel",
                        r->name, (long long)version, CRS_CHECKPOINT_VERSION);
    if (version < CRS_CHECKPOINT_VERSION)
        return crs_fail(error, CRS_DATA, "%s: there is no checkpoint of version %lld; %s", r->name, (long long)version,
                        CRS_DAMAGED_ADVICE);
    return CRS_OK;
}

/* Those that say what kind of file it is, and are no part of the list. */
static bool is_about_file(const char *name) {
    static const char *const names[] = {"format", "version", "program", CRS_LISTING_ATTRIBUTE};
    bool known = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        known |= strcmp(name, names[i]) == 0;
    return known;
}

/* A guest's that are too long are passed over: whoever needs one of that name finds it missing. */
static herr_t take_attribute(hid_t root, const char *name, const H5A_info_t *info, void *context) {
    crs_h5_value value;
    crs_attribute a = {0};
    (void)info;
    if (is_about_file(name) || strlen(name) >= sizeof a.name)
        return 0;
    if (crs_h5_get(root, name, &value) != CRS_FOUND)
        return -1;
    if (strlen(value.text) >= sizeof a.text)
        return 0;
    memcpy(a.name, name, strlen(name) + 1);
    memcpy(a.text, value.text, strlen(value.text) + 1);
    a.kind = value.kind;
    a.integer = value.integer;
    a.real = value.real;
    return crs_attributes_put(context, &a) ? 0 : -1;
}

static crs_status read_attributes(const reader *r, crs_checkpoint *c, crs_error *error) {
    const char *level;
    const crs_attribute *inputs;
    if (H5Aiterate2(r->file, H5_INDEX_NAME, H5_ITER_INC, NULL, take_attribute, &c->attributes) < 0)
        return crs_fail(error, CRS_DATA, "%s: its attributes can't be read, or are more than %d; %s", r->name,
                        CRS_ATTRIBUTES_MOST, CRS_DAMAGED_ADVICE);
    inputs = crs_attributes_find(&c->attributes, "inputs");
    if (inputs && strcmp(inputs->text, crs_input_names()[CRS_INPUT_TOKENS]) != 0)
        return CRS_OK; /* numbers have no vocabulary */
    if (crs_attributes_text(&c->attributes, "level", r->name, &level, error))
        return error->status;
    if (!crs_level_of(level, &c->vocabulary.level))
        return crs_fail(error, CRS_DATA, "%s: the attribute level is '%s', not char, byte or word; %s", r->name, level,
                        CRS_DAMAGED_ADVICE);
    return CRS_OK;
}

/* ---- data sets ---- */

static crs_status check_hash(const reader *r, hid_t set, const char *path, const char *hash, crs_error *error) {
    crs_h5_value value;
    if (crs_h5_get(set, CRS_HASH_ATTRIBUTE, &value) != CRS_FOUND || value.kind != CRS_ATTRIBUTE_TEXT)
        return crs_fail(error, CRS_DATA, "%s: %s carries no hash (attribute %s); %s", r->name, path, CRS_HASH_ATTRIBUTE,
                        CRS_DAMAGED_ADVICE);
    if (strcmp(value.text, hash) != 0)
        return crs_fail(error, CRS_DATA,
                        "%s: the values of %s are not those that were written (hash %s, recorded %s); %s", r->name,
                        path, hash, value.text, CRS_DAMAGED_ADVICE);
    return CRS_OK;
}

/* status: CRS_DATA where HDF5 failed, CRS_INTERNAL where memory is out. */
static crs_status cant_read(const reader *r, const char *path, crs_status status, crs_error *error) {
    return crs_fail(error, status, "%s: %s can't be read; %s", r->name, path,
                    status == CRS_INTERNAL ? "out of memory: free some and try again" : CRS_DAMAGED_ADVICE);
}

static const crs_object *find_text(const reader *r, const char *path, int rank, crs_error *error) {
    const crs_object *object = crs_listing_find(&r->listing, path);
    if (object && object->kind == CRS_OBJECT_TEXT && object->rank == rank)
        return object;
    crs_fail(error, CRS_DATA, "%s: %s is missing, or not %s; %s", r->name, path,
             rank ? "a list of strings" : "a string", CRS_DAMAGED_ADVICE);
    return NULL;
}

/* The string of a scalar data set, of size bytes (0: of variable length, as others' tools write it). CRS_DATA where
 * HDF5 fails, CRS_INTERNAL where memory is out. */
static crs_status read_string(hid_t set, size_t size, char **out) {
    hid_t type = H5Dget_type(set);
    char *text = size > 0 ? *out = crs_alloc(size + 1, 1, CRS_MEMORY_OTHER) : NULL;
    crs_status status = size > 0 && !text ? CRS_INTERNAL : CRS_OK;
    if (!status && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, size > 0 ? (void *)text : (void *)&text) < 0)
        status = CRS_DATA;
    if (!status && size == 0) {
        *out = crs_copy_text(text ? text : "");
        status = *out ? CRS_OK : CRS_INTERNAL;
        H5free_memory(text);
    }
    crs_h5_close(&type);
    return status;
}

static crs_status read_config(const reader *r, crs_checkpoint *c, crs_error *error) {
    const crs_object *object = find_text(r, "/config", 0, error);
    char hash[CRS_HASH_HEX];
    if (!object)
        return error->status;
    hid_t set = H5Dopen2(r->file, object->path, H5P_DEFAULT);
    crs_status status = set >= 0 ? read_string(set, object->text_size, &c->config) : CRS_DATA;
    if (status) {
        cant_read(r, object->path, status, error);
    } else {
        crs_hash_bytes(c->config, strlen(c->config), hash);
        status = check_hash(r, set, object->path, hash, error);
    }
    crs_h5_close(&set);
    return status;
}

/* A list of names, where the file has it; of fixed length, as those of variable length have no checksum. */
static crs_status read_names(const reader *r, const char *path, crs_names *names, crs_error *error) {
    const crs_object *object = crs_listing_find(&r->listing, path);
    if (!object)
        return CRS_OK;
    if (object->kind != CRS_OBJECT_TEXT || object->rank != 1 || object->text_size == 0)
        return crs_fail(error, CRS_DATA, "%s: %s is no list of names; %s", r->name, path, CRS_DAMAGED_ADVICE);
    crs_names_read(r->file, r->name, path + 1, true, CRS_DAMAGED_ADVICE, names, error);
    for (int i = 0; i < names->count; i++) /* as they are read from data */
        crs_utf8_mend(names->name[i]);
    return error->status;
}

static crs_status read_all_names(const reader *r, crs_checkpoint *c, crs_error *error) {
    for (int i = 0; i < CRS_NAME_LISTS; i++) {
        crs_names *names = (crs_names *)(void *)((char *)&c->schema + crs_name_lists[i].offset);
        if (read_names(r, crs_name_lists[i].path, names, error))
            return error->status;
    }
    return CRS_OK;
}

static crs_status read_vocabulary(const reader *r, crs_checkpoint *c, crs_error *error) {
    if (!crs_attributes_find(&c->attributes, "level"))
        return CRS_OK;
    if (c->vocabulary.level == CRS_LEVEL_BYTE) {
        if (crs_listing_find(&r->listing, "/vocabulary"))
            return crs_fail(error, CRS_DATA, "%s: level byte, and a /vocabulary; %s", r->name, CRS_DAMAGED_ADVICE);
        return crs_vocabulary_create(&c->vocabulary, CRS_LEVEL_BYTE, NULL, 0, error);
    }
    if (!find_text(r, "/vocabulary", 1, error))
        return error->status;
    return crs_vocabulary_read(r->file, r->name, c->vocabulary.level, true, CRS_DAMAGED_ADVICE, &c->vocabulary, error);
}

/* An object's array, without its values. */
static crs_array array_of(const crs_object *object) {
    crs_array array = {.type = object->type, .rank = object->rank};
    memcpy(array.path, object->path, sizeof array.path);
    memcpy(array.dims, object->dims, sizeof array.dims);
    return array;
}

static bool is_known_text(const char *path) {
    bool known = strcmp(path, "/config") == 0 || strcmp(path, "/vocabulary") == 0;
    for (int i = 0; i < CRS_NAME_LISTS; i++)
        known |= strcmp(path, crs_name_lists[i].path) == 0;
    return known;
}

/* The arrays without their values: enough to check that all are there and have the right shapes. */
static crs_status list_arrays(const reader *r, crs_checkpoint *c, crs_error *error) {
    for (int i = 0; i < r->listing.count; i++) {
        const crs_object *object = &r->listing.object[i];
        if (object->kind == CRS_OBJECT_TEXT && !is_known_text(object->path))
            return crs_fail(error, CRS_DATA, "%s: %s is a text that no checkpoint has; %s", r->name, object->path,
                            CRS_DAMAGED_ADVICE);
        if (object->kind != CRS_OBJECT_ARRAY)
            continue;
        if (!crs_list_grow(&c->array, (size_t)c->arrays, sizeof *c->array))
            return crs_fail(error, CRS_INTERNAL,
                            "%s: out of memory for the list of its data sets; free some and try again", r->name);
        c->array[c->arrays++] = array_of(object);
    }
    return CRS_OK;
}

/* That a value is not finite says more than that a hash differs: it is looked for first. */
static crs_status read_array(const reader *r, crs_array *array, crs_error *error) {
    size_t count = (size_t)crs_array_size(array), size = crs_type_size(array->type);
    char hash[CRS_HASH_HEX];
    hid_t set = H5Dopen2(r->file, array->path, H5P_DEFAULT);
    if (set < 0)
        return cant_read(r, array->path, CRS_DATA, error);
    array->values = crs_alloc_or_fail(count, size, crs_array_purpose(array->path), array->path, error);
    if (array->values && H5Dread(set, crs_type_stored(array->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, array->values) < 0)
        cant_read(r, array->path, CRS_DATA, error);
    if (!error->status && !crs_check_finite(array, r->name, error)) {
        crs_hash_bytes(array->values, count * size, hash);
        check_hash(r, set, array->path, hash, error);
    }
    H5Dclose(set);
    return error->status;
}

/* Whether a parameter of a file with a wrong hash is not finite. */
static crs_status look_for_nan(const reader *r, crs_error *error) {
    for (int i = 0; i < r->listing.count; i++) {
        const crs_object *object = &r->listing.object[i];
        crs_array array = array_of(object);
        crs_error why = {0};
        if (object->kind != CRS_OBJECT_ARRAY || strncmp(object->path, "/model/", 7) != 0)
            continue;
        if (read_array(r, &array, &why) && array.values && crs_check_finite(&array, r->name, &why))
            *error = why;
        crs_free(&array.values);
        if (error->status)
            return error->status;
    }
    return CRS_OK;
}

static crs_status check_listing(const reader *r, char listing[CRS_HASH_HEX], crs_error *error) {
    crs_h5_value recorded;
    if (crs_h5_get(r->file, CRS_LISTING_ATTRIBUTE, &recorded) != CRS_FOUND || recorded.kind != CRS_ATTRIBUTE_TEXT ||
        strlen(recorded.text) >= CRS_HASH_HEX)
        return crs_fail(error, CRS_DATA, "%s: the attribute %s is missing, or no text that it may be; %s", r->name,
                        CRS_LISTING_ATTRIBUTE, CRS_DAMAGED_ADVICE);
    if (crs_listing_hash(&r->listing, r->file, r->name, listing, error))
        return error->status;
    if (strcmp(listing, recorded.text) == 0)
        return CRS_OK;
    if (look_for_nan(r, error))
        return error->status;
    return crs_fail(error, CRS_DATA,
                    "%s: an attribute, a name or a shape is not what was written (hash %s, recorded %s); %s", r->name,
                    listing, recorded.text, CRS_DAMAGED_ADVICE);
}

static crs_status read_all(reader *r, crs_checkpoint *c, char listing[CRS_HASH_HEX], crs_error *error) {
    if (check_format(r, error) || crs_listing_make(&r->listing, r->file, r->name, r->bytes, error) ||
        check_listing(r, listing, error) || read_attributes(r, c, error) || read_config(r, c, error) ||
        read_vocabulary(r, c, error) || read_all_names(r, c, error) || list_arrays(r, c, error) ||
        crs_check_shapes(c, r->name, error))
        return error->status;
    for (int i = 0; i < c->arrays; i++)
        if (read_array(r, &c->array[i], error))
            return error->status;
    return crs_checkpoint_take_schema(c, r->name, error);
}

crs_status crs_read_file(const char *path, crs_checkpoint *checkpoint, char listing[CRS_HASH_HEX], crs_error *error) {
    reader r;
    memset(checkpoint, 0, sizeof *checkpoint);
    error->status = CRS_OK;
    if (!open_reader(&r, path, error))
        read_all(&r, checkpoint, listing, error);
    close_reader(&r);
    if (error->status)
        crs_checkpoint_free(checkpoint);
    return error->status;
}

crs_status crs_checkpoint_read(const char *path, crs_checkpoint *checkpoint, crs_error *error) {
    char listing[CRS_HASH_HEX];
    return crs_read_file(path, checkpoint, listing, error);
}

crs_status crs_read_step(const char *path, int64_t *step, crs_error *error) {
    reader r;
    error->status = CRS_OK;
    if (!open_reader(&r, path, error) && !check_format(&r, error))
        root_integer(&r, "step", step, error);
    close_reader(&r);
    return error->status;
}

crs_status crs_file_format(const char *path, char format[32], crs_error *error) {
    reader r;
    error->status = CRS_OK;
    if (!open_reader(&r, path, error))
        read_format(&r, format, error);
    close_reader(&r);
    return error->status;
}
