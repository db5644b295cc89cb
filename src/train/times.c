/* What the time of a step goes into at each rank, and ranks that keep the others waiting all the time. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/training.h"

/* A rank is slow where it takes so many times what the others do for a row, and so many seconds a step more, after so
 * many steps: less is noise, or too little to care about. */
static const double slow_ratio = 1.8, slow_seconds = 3e-3;
enum { PATIENT_STEPS = 30 };

double crs_spent_longest(const crs_spent *spent, int ranks) {
    double longest = 0;
    for (int r = 0; r < ranks; r++)
        longest = fmax(longest, crs_spent_busy(&spent[r]));
    return longest;
}

static double value_of(const crs_spent *spent, int what, double longest) {
    switch (what) {
    case CRS_TIME_COMPUTING:
        return spent->computing;
    case CRS_TIME_READING:
        return spent->reading;
    case CRS_TIME_WAITING:
        return longest - crs_spent_busy(spent);
    default:
        return spent->sending;
    }
}

void crs_times_of(const crs_spent *spent, int ranks, crs_times *times) {
    const double longest = crs_spent_longest(spent, ranks);
    for (int what = 0; what < CRS_TIMES; what++) {
        crs_time *t = &times->of[what];
        *t = (crs_time){.least = HUGE_VAL, .most = -1};
        for (int r = 0; r < ranks; r++) {
            const double value = value_of(&spent[r], what, longest);
            t->least = fmin(t->least, value);
            t->mean += value / ranks;
            if (value > t->most) {
                t->most = value;
                t->rank = r;
            }
        }
    }
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* pace[r]: of late, what a rank's rows take each. */
static void tell_slow(crs_training *t, int ranks) {
    double *sorted = t->pace + ranks;
    int slowest = 0;
    memcpy(sorted, t->pace, (size_t)ranks * sizeof *sorted);
    qsort(sorted, (size_t)ranks, sizeof *sorted, by_value);
    while (t->pace[slowest] < sorted[ranks - 1])
        slowest++;
    const double others = sorted[(ranks - 1) / 2], own = t->pace[slowest];
    const double rows = (double)t->plan.lanes.own_rows; /* of rank 0: about those of each */
    if (own < slow_ratio * others || (own - others) * rows < slow_seconds)
        return;
    t->told_slow = true;
    crs_warn("rank %d on %s takes %.1f times as long for its rows as the others, which wait for it: is it sharing its "
             "cores, or held back?",
             slowest, crs_comm_host(t->comm, slowest), own / others);
}

crs_status crs_times_open(crs_training *t, crs_error *error) {
    const size_t ranks = (size_t)crs_comm_size(t->comm);
    t->pace = crs_alloc(2 * ranks, sizeof *t->pace, CRS_MEMORY_OTHER);
    t->rows_of = crs_alloc(ranks, sizeof *t->rows_of, CRS_MEMORY_OTHER);
    if (!t->pace || !t->rows_of)
        return crs_fail(error, CRS_INTERNAL, "out of memory for the times of %zu ranks", ranks);
    crs_lanes_rows(&t->plan.lanes, (int)ranks, t->rows_of);
    return CRS_OK;
}

void crs_times_watch(crs_training *t) {
    const int ranks = crs_comm_size(t->comm);
    if (ranks == 1 || t->told_slow)
        return;
    for (int r = 0; r < ranks; r++) {
        const double now = crs_spent_busy(&t->engine.spent[r]) / (t->rows_of[r] > 0 ? t->rows_of[r] : 1);
        t->pace[r] += (now - t->pace[r]) / fmin((double)t->timed + 1, PATIENT_STEPS);
    }
    if (++t->timed >= PATIENT_STEPS)
        tell_slow(t, ranks);
}

void crs_times_tell(const crs_training *t) {
    static const char *const names[CRS_TIMES] = {"computing", "reading", "waiting", "sending"};
    const int ranks = crs_comm_size(t->comm);
    crs_times times;
    if (ranks == 1)
        return;
    crs_times_of(t->engine.spent, ranks, &times);
    for (int what = 0; what < CRS_TIMES; what++)
        crs_debug("%-9s %.2f ms a step (%.2f to %.2f, rank %d)", names[what], times.of[what].mean * 1e3,
                  times.of[what].least * 1e3, times.of[what].most * 1e3, times.of[what].rank);
}
