/* Models from checkpoints. */
#include "config.h"

#include <string.h>

#include "carousel/train.h"
#include "train/load.h"
#include "train/share.h"

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

/* Takes the vocabulary out of the checkpoint. */
static crs_status model_of(crs_checkpoint *checkpoint, const char *path, const crs_kernels *kernels, int threads,
                           crs_model **model, crs_vocabulary *vocabulary, crs_error *error) {
    crs_spec spec;
    if (crs_spec_of(&checkpoint->attributes, checkpoint->vocabulary.count, path, &spec, error) ||
        crs_model_create(model, &spec, kernels, threads, error) ||
        crs_arena_restore(*model, crs_model_parameters(*model), checkpoint, "/model", path, error))
        return error->status;
    crs_model_refresh(*model);
    *vocabulary = checkpoint->vocabulary;
    checkpoint->vocabulary = (crs_vocabulary){0};
    return CRS_OK;
}

crs_status crs_model_load(crs_comm *comm, const char *path, const crs_kernels *kernels, int threads, crs_model **model,
                          crs_vocabulary *vocabulary, crs_error *error) {
    crs_checkpoint checkpoint = {0};
    *error = (crs_error){0};
    *model = NULL;
    *vocabulary = (crs_vocabulary){0};
    if (!comm || crs_comm_rank(comm) == 0)
        crs_checkpoint_read(path, &checkpoint, error);
    if (comm && crs_comm_agree(comm, error) == CRS_OK)
        crs_checkpoint_share(comm, &checkpoint, error);
    if (error->status == CRS_OK)
        model_of(&checkpoint, path, kernels, threads, model, vocabulary, error);
    if (comm)
        crs_comm_agree(comm, error);
    if (error->status) {
        crs_model_free(model);
        crs_vocabulary_free(vocabulary);
    }
    crs_checkpoint_free(&checkpoint);
    return error->status;
}
