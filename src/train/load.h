/* Models from checkpoints, and back. Private to room train. */
#ifndef CRS_TRAIN_LOAD_H
#define CRS_TRAIN_LOAD_H

#include "carousel/checkpoint.h"
#include "carousel/comm.h"
#include "carousel/nn.h"

/* Copies the arrays PREFIX/TENSOR of all tensors into an arena. CRS_DATA: one is missing or of another shape.
 * Local. */
crs_status crs_arena_restore(const crs_model *model, float *arena, const crs_checkpoint *checkpoint, const char *prefix,
                             const char *path, crs_error *error);
/* Adds an array PREFIX/TENSOR for each tensor of an arena. Local. */
crs_status crs_arena_capture(const crs_model *model, const float *arena, crs_checkpoint *checkpoint, const char *prefix,
                             crs_error *error);

/* Rank 0's checkpoint for everyone; elsewhere *checkpoint is filled, and owned by the caller. On failure it is empty
 * at every rank but 0. Collective. */
crs_status crs_checkpoint_share(crs_comm *comm, crs_checkpoint *checkpoint, crs_error *error);

#endif
