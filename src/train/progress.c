/* What a person sees while a run trains: one live line on a terminal, otherwise a line every few seconds. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "train/progress.h"

/* Seconds from one line to the next; without a terminal the first comes soon, and they get rarer. */
static const double live_interval = 0.1, first_interval = 2, second_interval = 5, last_interval = 10;
/* A step's share of the smoothed loss. */
static const double smoothing = 0.02;

void crs_progress_start(crs_progress *progress, int64_t step, int64_t total, int64_t windows, double tokens_step,
                        const char *unit, const char *speed_unit) {
    *progress = (crs_progress){.total = total,
                               .windows = windows,
                               .unit = unit,
                               .speed_unit = speed_unit,
                               .shown = crs_seconds(),
                               .interval = crs_is_terminal() ? live_interval : first_interval,
                               .step = step,
                               .tokens_step = tokens_step};
}

/* The line of now, whatever was shown last. */
static void show(crs_progress *progress, int64_t step) {
    char line[256], loss[64] = "", count[2][32], left[32], tokens[32];
    const double now = crs_seconds();
    if (step > progress->step) {
        const double pace = (now - progress->shown) / (double)(step - progress->step);
        /* Lines come often on a terminal: a new pace counts for as much as the time it was measured in. */
        const double share = 1 - crs_exp(-(now - progress->shown) / 2);
        progress->pace = progress->pace > 0 ? progress->pace + share * (pace - progress->pace) : pace;
    }
    progress->shown = now;
    progress->step = step;
    if (progress->weight > 0) {
        const double nats = progress->loss / progress->weight;
        if (progress->unit)
            snprintf(loss, sizeof loss, "loss %.3f (%.2f %s)  ", nats, nats / M_LN2, progress->unit);
        else
            snprintf(loss, sizeof loss, "loss %.4g  ", nats);
    }
    const int64_t epoch = step > 0 ? (step - 1) / progress->windows + 1 : 1;
    const double speed = progress->pace > 0 ? progress->tokens_step / progress->pace : 0;
    snprintf(line, sizeof line, "epoch %" PRId64 "  step %s/%s  %s%s %s  %s left", epoch,
             crs_format_count(step, count[0]), crs_format_count(progress->total, count[1]), loss,
             crs_format_count((int64_t)speed, tokens), progress->speed_unit,
             crs_format_time(progress->pace * (double)(progress->total - step), left));
    if (crs_is_terminal())
        crs_live(line);
    else
        crs_note("%s", line);
}

void crs_progress_step(crs_progress *progress, int64_t step, double loss) {
    if (isfinite(loss)) {
        progress->loss = (1 - smoothing) * progress->loss + smoothing * loss;
        progress->weight = (1 - smoothing) * progress->weight + smoothing;
    }
    if (crs_get_verbosity() == CRS_QUIET || crs_seconds() - progress->shown < progress->interval)
        return;
    if (!crs_is_terminal())
        progress->interval = progress->interval < second_interval ? second_interval : last_interval;
    show(progress, step);
}
