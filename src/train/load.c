/* Models from checkpoints, and checkpoints from rank 0 to the others. */
#include "config.h"

#include <string.h>

#include "carousel/train.h"
#include "train/load.h"

crs_status crs_arena_restore(const crs_model *model, float *arena, const crs_checkpoint *checkpoint, const char *prefix,
                             const char *path, crs_error *error) {
    for (int i = 0; i < crs_model_tensors(model); i++) {
        const crs_tensor *tensor = crs_model_tensor(model, i);
        char name[sizeof checkpoint->array->path];
        snprintf(name, sizeof name, "%s/%s", prefix, tensor->name);
        const crs_array *array = crs_checkpoint_find(checkpoint, name);
        if (!array)
            return crs_fail(error, CRS_DATA, "%s: %s is missing", path, name);
        bool fits = array->type == CRS_F32 && array->rank == tensor->rank;
        for (int d = 0; fits && d < tensor->rank; d++)
            fits = array->dims[d] == tensor->dims[d];
        if (!fits)
            return crs_fail(error, CRS_DATA, "%s: %s has not the shape of this model", path, name);
        crs_model_import(model, arena, i, array->values);
    }
    return CRS_OK;
}

crs_status crs_arena_capture(const crs_model *model, const float *arena, crs_checkpoint *checkpoint, const char *prefix,
                             crs_error *error) {
    for (int i = 0; i < crs_model_tensors(model); i++) {
        const crs_tensor *tensor = crs_model_tensor(model, i);
        char name[sizeof checkpoint->array->path];
        snprintf(name, sizeof name, "%s/%s", prefix, tensor->name);
        crs_array *array = crs_checkpoint_add(checkpoint, name, CRS_F32, tensor->rank, tensor->dims, error);
        if (!array)
            return error->status;
        crs_model_export(model, arena, i, array->values);
    }
    return CRS_OK;
}

static crs_status share_vocabulary(crs_comm *comm, crs_checkpoint *c, const crs_vocabulary *head, crs_error *error) {
    const bool root = crs_comm_rank(comm) == 0;
    const bool words = head->level == CRS_LEVEL_WORD;
    const size_t bytes = words                           ? head->text_bytes
                         : head->level == CRS_LEVEL_CHAR ? head->count * sizeof *head->code_points
                                                         : 0;
    if (head->count == 0)
        return CRS_OK;
    void *list = root && words ? (void *)c->vocabulary.text
                 : root        ? (void *)c->vocabulary.code_points
                               : crs_alloc_or_fail(bytes, 1, CRS_MEMORY_OTHER, "a vocabulary", error);
    if (crs_comm_agree(comm, error) == CRS_OK) {
        crs_comm_broadcast(comm, list, bytes);
        if (!root && words)
            crs_vocabulary_create_words(&c->vocabulary, list, bytes, head->count, error);
        else if (!root)
            crs_vocabulary_create(&c->vocabulary, head->level, list, head->count, error);
        c->vocabulary.words = head->words;
        c->vocabulary.lower = head->lower;
        crs_comm_agree(comm, error);
    }
    if (!root)
        crs_free(&list);
    return error->status;
}

/* A list of names as one text, each ended by a zero. */
static crs_status share_names(crs_comm *comm, crs_names *names, crs_error *error) {
    const bool root = crs_comm_rank(comm) == 0;
    int64_t head[2] = {names->count, 0}; /* how many, and their bytes */
    for (int i = 0; root && i < names->count; i++)
        head[1] += (int64_t)strlen(names->name[i]) + 1;
    crs_comm_broadcast(comm, head, sizeof head);
    char *texts = crs_alloc_or_fail((size_t)head[1], 1, CRS_MEMORY_OTHER, "a list of names", error), *at = texts;
    for (int i = 0; root && texts && i < names->count; i++)
        at = stpcpy(at, names->name[i]) + 1;
    if (crs_comm_agree(comm, error) == CRS_OK) {
        crs_comm_broadcast(comm, texts, (size_t)head[1]);
        for (at = texts; !root && at < texts + head[1] && error->status == CRS_OK; at += strlen(at) + 1)
            if (!crs_names_add(names, at))
                crs_fail(error, CRS_INTERNAL, "out of memory for a list of names");
    }
    crs_free(&texts);
    return error->status;
}

/* count numbers of any size, where rank 0 has them. */
static crs_status share_block(crs_comm *comm, void *address, int count, size_t size, crs_error *error) {
    void **block = address;
    bool there = *block != NULL;
    crs_comm_broadcast(comm, &there, sizeof there);
    if (!there)
        return CRS_OK;
    if (crs_comm_rank(comm) != 0)
        *block = crs_alloc_or_fail((size_t)count, size, CRS_MEMORY_OTHER, "a scale", error);
    if (crs_comm_agree(comm, error) == CRS_OK)
        crs_comm_broadcast(comm, *block, (size_t)count * size);
    return error->status;
}

/* head: rank 0's, with its addresses. */
static crs_status share_schema(crs_comm *comm, crs_schema *schema, const crs_schema *head, crs_error *error) {
    const size_t real = sizeof(double);
    if (crs_comm_rank(comm) != 0)
        *schema = (crs_schema){.inputs = head->inputs,
                               .targets = head->targets,
                               .alignment = head->alignment,
                               .context = head->context,
                               .horizon = head->horizon,
                               .grid = head->grid,
                               .input_size = head->input_size,
                               .target_size = head->target_size};
    crs_names *const lists[] = {&schema->columns, &schema->target_names, &schema->classes, &schema->units,
                                &schema->target_units};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        share_names(comm, lists[i], error);
        if (crs_comm_agree(comm, error))
            return error->status;
    }
    if (share_block(comm, &schema->scale.mean, schema->input_size, real, error) ||
        share_block(comm, &schema->scale.deviation, schema->input_size, real, error) ||
        share_block(comm, &schema->target_scale.mean, schema->target_size, real, error) ||
        share_block(comm, &schema->target_scale.deviation, schema->target_size, real, error))
        return error->status;
    return share_block(comm, &schema->target_columns, schema->target_size, sizeof *schema->target_columns, error);
}

/* Names and shapes first, so that all have room for the values before any are sent. */
static crs_status share_arrays(crs_comm *comm, crs_checkpoint *c, int arrays, crs_error *error) {
    const bool root = crs_comm_rank(comm) == 0;
    for (int i = 0; i < arrays; i++) {
        crs_array shape = {0};
        if (root)
            shape = c->array[i];
        crs_comm_broadcast(comm, &shape, sizeof shape);
        if (!root && error->status == CRS_OK)
            crs_checkpoint_add(c, shape.path, shape.type, shape.rank, shape.dims, error);
    }
    if (crs_comm_agree(comm, error))
        return error->status;
    for (int i = 0; i < arrays; i++) {
        const crs_array *array = &c->array[i];
        const size_t size = array->type == CRS_F32 ? sizeof(float) : sizeof(int64_t);
        crs_comm_broadcast(comm, array->values, (size_t)crs_array_size(array) * size);
    }
    return CRS_OK;
}

crs_status crs_checkpoint_share(crs_comm *comm, crs_checkpoint *checkpoint, crs_error *error) {
    const bool root = crs_comm_rank(comm) == 0;
    crs_checkpoint head = {0}; /* what the others need to know before they can make room; its addresses are rank 0's */
    uint64_t config_bytes = 0;
    *error = (crs_error){0};
    if (root) {
        head = *checkpoint;
        config_bytes = head.config ? strlen(head.config) + 1 : 0;
    }
    crs_comm_broadcast(comm, &head, sizeof head);
    crs_comm_broadcast(comm, &config_bytes, sizeof config_bytes);
    if (!root) {
        *checkpoint = (crs_checkpoint){.attributes = head.attributes};
        if (config_bytes > 0)
            checkpoint->config = crs_alloc_or_fail(config_bytes, 1, CRS_MEMORY_OTHER, "a configuration", error);
    }
    if (crs_comm_agree(comm, error) == CRS_OK) {
        crs_comm_broadcast(comm, checkpoint->config, config_bytes);
        if (share_vocabulary(comm, checkpoint, &head.vocabulary, error) == CRS_OK &&
            share_schema(comm, &checkpoint->schema, &head.schema, error) == CRS_OK)
            share_arrays(comm, checkpoint, head.arrays, error);
    }
    if (error->status && !root)
        crs_checkpoint_free(checkpoint);
    return error->status;
}

/* Takes vocabulary and schema out of the checkpoint. */
static crs_status model_of(crs_checkpoint *checkpoint, const char *path, const crs_kernels *kernels, int threads,
                           crs_model **model, crs_vocabulary *vocabulary, crs_schema *schema, crs_error *error) {
    crs_spec spec;
    if (crs_spec_of(&checkpoint->attributes, checkpoint->vocabulary.count, path, &spec, error) ||
        crs_model_create(model, &spec, kernels, threads, error) ||
        crs_arena_restore(*model, crs_model_parameters(*model), checkpoint, "/model", path, error))
        return error->status;
    crs_model_refresh(*model);
    *vocabulary = checkpoint->vocabulary;
    checkpoint->vocabulary = (crs_vocabulary){0};
    *schema = checkpoint->schema;
    checkpoint->schema = (crs_schema){0};
    return CRS_OK;
}

crs_status crs_model_load(crs_comm *comm, const char *path, const crs_kernels *kernels, int threads, crs_model **model,
                          crs_vocabulary *vocabulary, crs_schema *schema, crs_error *error) {
    crs_checkpoint checkpoint = {0};
    *error = (crs_error){0};
    *model = NULL;
    *vocabulary = (crs_vocabulary){0};
    *schema = (crs_schema){0};
    if (!comm || crs_comm_rank(comm) == 0)
        crs_checkpoint_read(path, &checkpoint, error);
    if (comm && crs_comm_agree(comm, error) == CRS_OK)
        crs_checkpoint_share(comm, &checkpoint, error);
    if (error->status == CRS_OK)
        model_of(&checkpoint, path, kernels, threads, model, vocabulary, schema, error);
    if (comm)
        crs_comm_agree(comm, error);
    if (error->status) {
        crs_model_free(model);
        crs_vocabulary_free(vocabulary);
        crs_schema_free(schema);
    }
    crs_checkpoint_free(&checkpoint);
    return error->status;
}
