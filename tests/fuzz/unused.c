/* What the room of the optimizers brings along beside their names, and no parser calls: for `make fuzz`, which leaves
 * out OpenMP and the kernels. */
#include "config.h"

#include "carousel/kernel.h"

void crs_parallel(int threads, crs_parallel_body *body, void *context) {
    (void)threads, (void)body, (void)context;
    CRS_ASSERT(!"called by a parser");
}

void crs_kernel_update(const crs_kernels *kernels, const crs_update *update) {
    (void)kernels, (void)update;
    CRS_ASSERT(!"called by a parser");
}
