/* Learning rates by step, and the clipping factor. */
#include "config.h"

#include "carousel/optim.h"

static const char *const schedule_names[CRS_SCHEDULES + 1] = {
    [CRS_CONSTANT] = "constant",
    [CRS_STEP] = "step",
    [CRS_COSINE] = "cosine",
};

const char *const *crs_schedule_names(void) {
    return schedule_names;
}

const char *crs_schedule_name(crs_schedule schedule) {
    CRS_ASSERT((unsigned)schedule < CRS_SCHEDULES);
    return schedule_names[schedule];
}

double crs_schedule_rate(const crs_schedule_plan *plan, int64_t step) {
    CRS_ASSERT((unsigned)plan->schedule < CRS_SCHEDULES);
    CRS_ASSERT(step >= 0);
    if (step >= plan->total)
        step = plan->total > 0 ? plan->total - 1 : 0;
    if (step < plan->warmup)
        return plan->rate * (double)(step + 1) / (double)plan->warmup;
    if (plan->schedule == CRS_STEP && plan->decay_every > 0) {
        const int64_t behind = step - plan->decay_after;
        return behind < 0 ? plan->rate
                          : plan->rate * crs_power(plan->decay_factor, (uint64_t)(behind / plan->decay_every + 1));
    }
    if (plan->schedule == CRS_COSINE && plan->total > plan->warmup) {
        double part = (double)(step - plan->warmup) / (double)(plan->total - plan->warmup);
        return plan->rate * (1 + crs_cospi(part)) / 2;
    }
    return plan->rate;
}

double crs_clip_scale(double norm, double clip) {
    return clip > 0 && norm > clip ? clip / norm : 1;
}
