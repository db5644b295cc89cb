/* Checkpoints from rank 0 to the others, and models from checkpoints. Private to room train. */
#ifndef CRS_TRAIN_SHARE_H
#define CRS_TRAIN_SHARE_H

#include "carousel/train.h"

/* Rank 0's checkpoint for everyone; elsewhere *checkpoint is filled, and owned by the caller. On failure it is empty
 * at every rank but 0. Collective. */
crs_status crs_checkpoint_share(crs_comm *comm, crs_checkpoint *checkpoint, crs_error *error);

/* The shape that a checkpoint has; path is for messages. CRS_DATA: an unknown cell, sizes that are none. Local. */
crs_status crs_spec_of(const crs_checkpoint *checkpoint, const char *path, crs_spec *spec, crs_error *error);

/* Copies the arrays PREFIX/TENSOR of all tensors into an arena. CRS_DATA: one is missing or of another shape. Local. */
crs_status crs_arena_restore(const crs_model *model, float *arena, const crs_checkpoint *checkpoint, const char *prefix,
                             const char *path, crs_error *error);
/* Adds an array PREFIX/TENSOR for each tensor of an arena. Local. */
crs_status crs_arena_capture(const crs_model *model, const float *arena, crs_checkpoint *checkpoint, const char *prefix,
                             crs_error *error);

#endif
