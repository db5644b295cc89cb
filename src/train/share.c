/* Checkpoints from rank 0 to the others. */
#include "config.h"

#include <string.h>

#include "train/share.h"

static crs_status share_vocabulary(crs_comm *comm, crs_checkpoint *c, const crs_vocabulary *head, crs_error *error) {
    const bool root = crs_comm_rank(comm) == 0;
    const size_t count = head->level == CRS_LEVEL_CHAR ? head->count : 0;
    uint32_t *points = root ? c->vocabulary.code_points
                            : crs_alloc_or_fail(count, sizeof *points, CRS_MEMORY_OTHER, "a vocabulary", error);
    if (crs_comm_agree(comm, error) == CRS_OK) {
        crs_comm_broadcast(comm, points, count * sizeof *points);
        if (!root)
            crs_vocabulary_create(&c->vocabulary, head->level, points, (uint32_t)count, error);
        crs_comm_agree(comm, error);
    }
    if (!root)
        crs_free(&points);
    return error->status;
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
        if (share_vocabulary(comm, checkpoint, &head.vocabulary, error) == CRS_OK)
            share_arrays(comm, checkpoint, head.arrays, error);
    }
    if (error->status && !root)
        crs_checkpoint_free(checkpoint);
    return error->status;
}
