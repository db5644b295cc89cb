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

const char *crs_format_count(int64_t count, char out[32]) {
    char digits[32];
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, count < 0 ? -(uint64_t)count : (uint64_t)count);
    char *to = out;
    if (count < 0)
        *to++ = '-';
    for (int i = 0; i < length; i++) {
        *to++ = digits[i];
        if (i + 1 < length && (length - i - 1) % 3 == 0)
            *to++ = ',';
    }
    *to = '\0';
    return out;
}

const char *crs_format_time(double seconds, char out[32]) {
    const int64_t s = seconds < 1e12 ? (int64_t)(seconds + 0.5) : INT64_C(1000000000000);
    if (seconds < 9.95)
        snprintf(out, 32, "%.1fs", seconds);
    else if (s < 60)
        snprintf(out, 32, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(out, 32, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, 32, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
    return out;
}

const char *crs_plural(int64_t count, const char *one, const char *many) {
    return count == 1 ? one : many;
}

void crs_progress_start(crs_progress *progress, int64_t step, int64_t total, int64_t windows, double tokens_step,
                        crs_level level) {
    *progress = (crs_progress){.total = total,
                               .windows = windows,
                               .unit = level == CRS_LEVEL_BYTE ? "bits/byte" : "bits/char",
                               .shown = crs_seconds(),
                               .interval = crs_is_terminal() ? live_interval : first_interval,
                               .step = step,
                               .tokens_step = tokens_step};
}

void crs_progress_show(crs_progress *progress, int64_t step) {
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
        snprintf(loss, sizeof loss, "loss %.3f (%.2f %s)  ", nats, nats / M_LN2, progress->unit);
    }
    const int64_t epoch = step > 0 ? (step - 1) / progress->windows + 1 : 1;
    const double speed = progress->pace > 0 ? progress->tokens_step / progress->pace : 0;
    snprintf(line, sizeof line, "epoch %" PRId64 "  step %s/%s  %s%s tokens/s  %s left", epoch,
             crs_format_count(step, count[0]), crs_format_count(progress->total, count[1]), loss,
             crs_format_count((int64_t)speed, tokens),
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
    crs_progress_show(progress, step);
}
