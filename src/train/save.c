/* Saving, also to a disk that is full for a while. */
#include "config.h"

#include <inttypes.h>
#include <math.h>

#include "train/training.h"

/* Parameters that are no numbers would make a checkpoint that nothing can go on from. */
static crs_status check_finite(const crs_training *t, crs_error *error) {
    const float *values = crs_model_parameters(t->model);
    const size_t n = crs_model_arena(t->model);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i])) {
            crs_fail(error, CRS_CONFIG, "step %" PRId64 ": the parameters are not finite any more", t->step);
            return crs_report_diverged(t, error);
        }
    return CRS_OK;
}

/* Collective. *lines: what rank 0 has to say of the metrics; a checkpoint is worth more than they are. */
static crs_status save(crs_training *t, bool best, bool last, crs_error *lines, crs_error *error) {
    crs_checkpoint checkpoint;
    const double start = crs_seconds();
    if (crs_parameters_agree(t, error) || check_finite(t, error)) /* the latter is then alike on every rank */
        return error->status;
    if (crs_state_capture(t, &checkpoint, error))
        return error->status;
    if (crs_at_root(t)) {
        if (t->metrics.path)
            crs_metrics_flush(&t->metrics, last, lines);
        crs_run_save(t->config->output, &checkpoint, best, (int)t->config->keep, error);
    }
    crs_checkpoint_free(&checkpoint);
    t->last_save = crs_seconds();
    t->save_seconds = fmax(t->last_save - start, t->save_seconds / 2);
    if (crs_comm_agree(t->comm, error) == CRS_OK)
        t->saved = t->step;
    return error->status;
}

/* A disk may have room again, or come back, before the run ends. */
static crs_status bear(crs_training *t, bool best, crs_error *error) {
    if (!t->save_failed)
        crs_warn("%s; training goes on, and saving is tried again within a minute", error->message);
    t->save_failed = true;
    if (best) /* a lowest loss that has no file would keep others from theirs */
        t->best_validation_loss = t->best_before;
    *error = (crs_error){0};
    return CRS_OK;
}

crs_status crs_training_save(crs_training *t, bool best, bool last, crs_error *error) {
    crs_error lines = {0};
    save(t, best, last, &lines, error);
    if (error->status == CRS_CREATE && !last)
        bear(t, best, error);
    else if (error->status == CRS_OK) {
        if (t->save_failed)
            t->told_save = 0; /* a person should know that it works again */
        t->save_failed = false;
        if (crs_at_root(t) && t->step > 0)
            crs_report_save(t);
    }
    if (error->status == CRS_OK && last) {
        if (lines.status)
            crs_fail(error, lines.status, "%s; step %" PRId64 " is saved in %s all the same", lines.message, t->step,
                     t->config->output);
        crs_comm_agree(t->comm, error);
    } else if (t->metrics.gone) {
        t->pending = lines;
    }
    return error->status;
}

crs_status crs_training_save_good(crs_training *t, crs_error *error) {
    const crs_error why = *error;
    *error = (crs_error){0};
    if (why.status == CRS_DATA && t->saved != t->step)
        crs_training_save(t, false, true, error);
    if (error->status)
        crs_note("step %" PRId64 " could not be saved: %s", t->step, error->message);
    *error = why;
    if (why.status == CRS_DATA && t->saved == t->step)
        crs_fail(error, why.status, "%s; step %" PRId64 " is saved in %s", why.message, t->step, t->config->output);
    return error->status;
}
