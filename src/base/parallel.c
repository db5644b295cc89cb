/* Threads: one way into a parallel region. */
#include "config.h"

#include <omp.h>

#include "carousel/base.h"

void crs_parallel(int threads, crs_parallel_body *body, void *context) {
    if (threads <= 1) {
        body(context, 0, 1);
        return;
    }
#pragma omp parallel num_threads(threads)
    body(context, omp_get_thread_num(), omp_get_num_threads());
}
