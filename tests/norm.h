/* The norm of a whole arena, as training makes it of its owners' squares. */
#ifndef NORM_H
#define NORM_H

#include "carousel/nn.h"

static inline double norm_of_arena(const crs_model *model, const float *arena) {
    int64_t rows = 0;
    for (int i = 0; i < crs_model_tensors(model); i++)
        rows += crs_model_tensor(model, i)->dims[0];
    double *squares = crs_alloc((size_t)rows, sizeof *squares, CRS_MEMORY_OTHER);
    CRS_ASSERT(squares);
    crs_model_squares(model, NULL, 0, arena, squares);
    const double norm = crs_norm_of(squares, rows);
    crs_free(&squares);
    return norm;
}

#endif
