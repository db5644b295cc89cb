/* Models from checkpoints, and back. Private to room train. Local. */
#ifndef CRS_TRAIN_LOAD_H
#define CRS_TRAIN_LOAD_H

#include "carousel/checkpoint.h"
#include "carousel/nn.h"

/* Copies the arrays PREFIX/TENSOR of all tensors into an arena. CRS_DATA: one is missing or of another shape. */
crs_status crs_arena_restore(const crs_model *model, float *arena, const crs_checkpoint *checkpoint, const char *prefix,
                             const char *path, crs_error *error);
/* Adds an array PREFIX/TENSOR for each tensor of an arena. */
crs_status crs_arena_capture(const crs_model *model, const float *arena, crs_checkpoint *checkpoint, const char *prefix,
                             crs_error *error);

#endif
