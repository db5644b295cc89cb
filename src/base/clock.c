/* Time that only goes forward. */
#include "config.h"

#include <time.h>

#include "carousel/base.h"

double crs_seconds(void) {
    struct timespec now;
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    CRS_ASSERT(!failed);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
