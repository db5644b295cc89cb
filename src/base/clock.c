/* Time that only goes forward, and what it is spent on. */
#include "config.h"

#include <time.h>

#include "carousel/base.h"

double crs_seconds(void) {
    struct timespec now;
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    CRS_ASSERT(!failed);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double *watched; /* [CRS_PHASES]; NULL: nobody watches */
static crs_phase current;
static double since;

const char *crs_phase_name(crs_phase phase) {
    static const char *const names[CRS_PHASES] = {
        "read",           "input",   "recurrent",      "output",   "loss",   "backward",
        "backward input", "weights", "sum over ranks", "gradient", "update", "refresh",
    };
    CRS_ASSERT((unsigned)phase < CRS_PHASES);
    return names[phase];
}

void crs_phase_begin(crs_phase phase) {
    if (!watched)
        return;
    const double now = crs_seconds();
    watched[current] += now - since;
    current = phase;
    since = now;
}

void crs_phase_watch(double seconds[CRS_PHASES]) {
    crs_phase_begin(CRS_PHASE_READ);
    watched = seconds;
    current = CRS_PHASE_READ;
    since = crs_seconds();
}
