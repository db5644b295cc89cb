/* A checkpoint in memory: its arrays and their digests. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "carousel/checkpoint.h"
#include "checkpoint/listing.h"

void crs_checkpoint_free(crs_checkpoint *checkpoint) {
    for (int i = 0; i < checkpoint->arrays; i++)
        crs_free(&checkpoint->array[i].values);
    crs_free(&checkpoint->array);
    crs_free(&checkpoint->config);
    crs_vocabulary_free(&checkpoint->vocabulary);
    crs_schema_free(&checkpoint->schema);
    memset(checkpoint, 0, sizeof *checkpoint);
}

int64_t crs_array_size(const crs_array *array) {
    int64_t size = 1;
    for (int i = 0; i < array->rank; i++)
        CRS_ASSERT(array->dims[i] >= 0 && !__builtin_mul_overflow(size, array->dims[i], &size));
    return size;
}

int64_t crs_checkpoint_step(const crs_checkpoint *checkpoint) {
    const crs_attribute *step = crs_attributes_find(&checkpoint->attributes, "step");
    return step ? step->integer : 0;
}

crs_purpose crs_array_purpose(const char *path) {
    if (strncmp(path, "/model/", 7) == 0)
        return CRS_MEMORY_PARAMETERS;
    return strncmp(path, "/optimizer/", 11) == 0 ? CRS_MEMORY_OPTIMIZER : CRS_MEMORY_OTHER;
}

crs_array *crs_checkpoint_add(crs_checkpoint *checkpoint, const char *path, crs_type type, int rank,
                              const int64_t *dims, crs_error *error) {
    crs_array array = {.type = type, .rank = rank};
    CRS_ASSERT(path[0] == '/' && strlen(path) < sizeof array.path && !crs_checkpoint_find(checkpoint, path));
    CRS_ASSERT(rank >= 0 && rank <= CRS_RANK_MAX);
    snprintf(array.path, sizeof array.path, "%s", path);
    if (rank)
        memcpy(array.dims, dims, (size_t)rank * sizeof *dims);
    array.values =
        crs_alloc_or_fail((size_t)crs_array_size(&array), crs_type_size(type), crs_array_purpose(path), path, error);
    if (!array.values)
        return NULL;
    if (!crs_list_grow(&checkpoint->array, (size_t)checkpoint->arrays, sizeof array)) {
        crs_free(&array.values);
        crs_fail(error, CRS_INTERNAL,
                 "out of memory: no room for the list of a checkpoint's data sets; free some and try again");
        return NULL;
    }
    checkpoint->array[checkpoint->arrays] = array;
    return &checkpoint->array[checkpoint->arrays++];
}

crs_array *crs_checkpoint_find(const crs_checkpoint *checkpoint, const char *path) {
    for (int i = 0; i < checkpoint->arrays; i++)
        if (strcmp(checkpoint->array[i].path, path) == 0)
            return &checkpoint->array[i];
    return NULL;
}

/* ---- digests ---- */

static bool is_below(const char *path, const char *folder) {
    return strncmp(path, folder, strlen(folder)) == 0;
}

/* The array with the least path after `last` (NULL: of all). */
static const crs_array *next_by_path(const crs_checkpoint *checkpoint, const crs_array *last) {
    const crs_array *least = NULL;
    for (int i = 0; i < checkpoint->arrays; i++) {
        const crs_array *array = &checkpoint->array[i];
        if ((!last || strcmp(array->path, last->path) > 0) && (!least || strcmp(array->path, least->path) < 0))
            least = array;
    }
    return least;
}

static void add_array(crs_hash *hash, const crs_array *array) {
    crs_hash_shape(hash, array->path, crs_type_name(array->type), array->rank, array->dims);
    crs_hash_add(hash, array->values, (size_t)crs_array_size(array) * crs_type_size(array->type));
}

void crs_checkpoint_digests(const crs_checkpoint *checkpoint, char parameters[CRS_HASH_HEX], char state[CRS_HASH_HEX]) {
    crs_hash *model = crs_hash_new(), *all = crs_hash_new();
    char head[48];
    if (!model || !all)
        crs_panic(__FILE__, __LINE__, "out of memory");
    int used = snprintf(head, sizeof head, "step %lld", (long long)crs_checkpoint_step(checkpoint));
    crs_hash_add(all, head, (size_t)used + 1);
    for (const crs_array *array = NULL; (array = next_by_path(checkpoint, array));) {
        bool in_model = is_below(array->path, "/model/");
        if (in_model)
            add_array(model, array);
        if (in_model || is_below(array->path, "/optimizer/") || is_below(array->path, "/state/"))
            add_array(all, array);
    }
    crs_hash_text(model, parameters);
    crs_hash_text(all, state);
    crs_hash_free(&model);
    crs_hash_free(&all);
}
