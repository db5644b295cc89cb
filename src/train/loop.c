/* The loop of a training: steps, validation, saving, and the reasons to stop. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/evaluate.h"
#include "train/training.h"

/* So many refused steps in a row end the run. */
enum { REFUSED_MAX = 10 };
/* --stop-after leaves room for so many of the longest steps, validations and savings seen of late, and some seconds. */
static const double stop_margin = 2, stop_reserve = 0.5;

/* ---- saving ---- */

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

/* Writes a checkpoint of where it stands. Collective. */
static crs_status save(crs_training *t, bool best, crs_error *error) {
    crs_checkpoint checkpoint;
    const double start = crs_seconds();
    crs_engine_settle(&t->engine);
    if (check_finite(t, error)) /* alike on every rank, as the parameters are */
        return error->status;
    if (crs_state_capture(t, &checkpoint, error))
        return error->status;
    if (crs_at_root(t) && (!t->metrics.file || crs_metrics_flush(&t->metrics, error) == CRS_OK))
        crs_run_save(t->config->output, &checkpoint, best, (int)t->config->keep, error);
    crs_checkpoint_free(&checkpoint);
    t->last_save = crs_seconds();
    t->save_seconds = fmax(t->last_save - start, t->save_seconds / 2);
    if (crs_comm_agree(t->comm, error) == CRS_OK)
        t->saved = t->step;
    return error->status;
}

/* Data that can't be read any more end a run, but what it made of them is whole. *error stays, and tells of it. */
static crs_status save_good(crs_training *t, crs_error *error) {
    const crs_error why = *error;
    *error = (crs_error){0};
    if (why.status == CRS_DATA && t->saved != t->step)
        save(t, false, error);
    if (error->status)
        crs_note("step %" PRId64 " could not be saved: %s", t->step, error->message);
    *error = why;
    if (why.status == CRS_DATA && t->saved == t->step)
        crs_fail(error, why.status, "%s; step %" PRId64 " is saved in %s", why.message, t->step, t->config->output);
    return error->status;
}

/* ---- validation ---- */

int64_t crs_training_streams(const crs_training *t) {
    const int64_t targets = t->dataset.length[CRS_VALIDATION] - 1;
    if (!t->dataset.text)
        return crs_dataset_rows(&t->dataset, CRS_VALIDATION) > 0;
    if (targets < 1)
        return 0;
    return targets < t->config->batch ? targets : t->config->batch;
}

bool crs_training_gave_up(const crs_training *t) {
    const crs_history *h = &t->history;
    int64_t lowest = -1;
    for (int64_t i = 0; i < h->count; i++)
        if (isfinite(h->list[i].value[0]) && (lowest < 0 || h->list[i].value[0] < h->list[lowest].value[0]))
            lowest = i;
    return t->config->patience > 0 && !t->owes_validation && h->count - 1 - lowest >= t->config->patience;
}

/* Whether --stop-after is so near that no more than saving can be done. */
static bool time_is_short(const crs_training *t, double needed) {
    const double most = t->config->stop_after;
    return most > 0 && crs_process_seconds() + stop_margin * needed + stop_reserve >= most;
}

/* What a rank has to say in a validation, or before the first step. */
static void hear(void *context, int64_t news[CRS_NEWS]) {
    const crs_training *t = context;
    news[CRS_NEWS_SIGNAL] = crs_signals_caught() != 0;
    news[CRS_NEWS_TIME] = crs_at_root(t) && time_is_short(t, 2 * t->step_seconds + t->save_seconds);
}

/* Collective. *loss: NaN where the model gives no number; *best: whether it is the lowest so far. CRS_STOPPED: given
 * up, for a signal or --stop-after. again: it is one that was given up, or left out, before. */
static crs_status validate(crs_training *t, bool again, double *loss, bool *best, crs_error *error) {
    int64_t news[CRS_NEWS];
    crs_total total;
    const double start = crs_seconds();
    crs_engine_settle(&t->engine);
    crs_evaluate_total(t->comm, t->model, &t->dataset, CRS_VALIDATION, crs_training_streams(t), hear, t, news, &total,
                       error);
    if (error->status == CRS_STOPPED)
        crs_report_stop(t, news[CRS_NEWS_SIGNAL] > 0, error);
    if (error->status == CRS_STOPPED && again && news[CRS_NEWS_SIGNAL] == 0)
        crs_fail(error, CRS_STOPPED, "%s; the validation after that step needs a longer --stop-after", error->message);
    t->owes_validation = error->status != CRS_OK;
    if (error->status)
        return error->status;
    *loss = total.refused > 0 ? NAN : crs_total_mean(&total);
    *best = isfinite(*loss) && !(t->best_validation_loss <= *loss);
    if (*best)
        t->best_validation_loss = *loss;
    const double mean = t->mean.count > 0 ? t->mean.sum / (double)t->mean.count : NAN;
    memset(&t->mean, 0, sizeof t->mean);
    t->last_validation = crs_seconds();
    t->validation_seconds = fmax(t->last_validation - start, t->validation_seconds / 2);
    if (crs_at_root(t))
        crs_report_validation(t, *loss, *best, t->last_validation - start);
    crs_history_add(&t->history, t->step, *loss, mean, error);
    return crs_comm_agree(t->comm, error);
}

/* ---- whose turn it is ---- */

/* Whether something with this interval is due after `step` steps by their count. */
static bool due(const crs_training *t, const crs_every *every, int64_t step) {
    if (step == t->plan.total)
        return true;
    if (every->steps == 0 && every->seconds > 0)
        return false;
    return step % (every->steps > 0 ? every->steps : t->plan.windows) == 0;
}

static bool time_is_up(const crs_every *every, double last) {
    return every->seconds > 0 && crs_seconds() - last >= every->seconds;
}

/* Whether rank 0 must leave after the step that begins now, to have saved before --stop-after. */
static bool time_to_stop(const crs_training *t) {
    const crs_config *config = t->config;
    double needed = 2 * t->step_seconds + t->save_seconds;
    if (due(t, &config->validate_every, t->step + 1) || time_is_up(&config->validate_every, t->last_validation))
        needed += t->validation_seconds;
    if (due(t, &config->save_every, t->step + 1) || time_is_up(&config->save_every, t->last_save))
        needed += t->save_seconds;
    return time_is_short(t, needed);
}

static void gather_news(const crs_training *t, int64_t news[CRS_NEWS]) {
    memset(news, 0, CRS_NEWS * sizeof *news);
    news[CRS_NEWS_SIGNAL] = crs_signals_caught() != 0;
    if (!crs_at_root(t))
        return;
    news[CRS_NEWS_TIME] = time_to_stop(t);
    news[CRS_NEWS_SAVE] = time_is_up(&t->config->save_every, t->last_save);
    news[CRS_NEWS_VALIDATE] = time_is_up(&t->config->validate_every, t->last_validation);
}

/* ---- one turn ---- */

static crs_status count_refused(crs_training *t, const crs_outcome *outcome, crs_error *error) {
    if (outcome->refused == 0) {
        t->refused_row = 0;
        if (outcome->targets > 0) {
            t->mean.sum += outcome->loss;
            t->mean.count++;
        }
        return CRS_OK;
    }
    t->refused_row++;
    t->refused_total++;
    crs_debug("step %" PRId64 " refused: %" PRId64 " numbers out of range or not finite", t->step, outcome->refused);
    if (t->refused_row < REFUSED_MAX)
        return CRS_OK;
    crs_fail(error, CRS_CONFIG,
             "steps %" PRId64 " to %" PRId64 ": the gradient was out of range or not finite %d times in a row",
             t->step - REFUSED_MAX + 1, t->step, REFUSED_MAX);
    return crs_report_diverged(t, error);
}

/* The number of the batch job; NULL where there is none. */
static const char *job_number(void) {
    static const char *const names[] = {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"};
    const char *number = NULL;
    for (size_t i = 0; !number && i < sizeof names / sizeof *names; i++)
        number = getenv(names[i]);
    return number;
}

static void write_line(crs_training *t, const crs_outcome *outcome, double validation_loss, crs_error *error) {
    const crs_metrics_start start = {.job = job_number(),
                                     .host = crs_comm_host,
                                     .comm = t->comm,
                                     .ranks = crs_comm_size(t->comm),
                                     .threads = t->threads};
    const crs_metrics_line line = {.step = t->step,
                                   .epoch = (t->step - 1) / t->plan.windows + 1,
                                   .tokens = t->tokens,
                                   .refused = outcome->refused,
                                   .loss = outcome->loss,
                                   .rate = outcome->rate,
                                   .grad_norm = outcome->norm,
                                   .tokens_per_second = (double)outcome->targets / outcome->seconds,
                                   .comm_share = outcome->comm_seconds / outcome->seconds,
                                   .seconds = t->seconds_before + crs_seconds() - t->start,
                                   .validation_loss = validation_loss,
                                   .start = t->told_start ? NULL : &start};
    crs_metrics_write(&t->metrics, &line, error);
    t->told_start = true;
    crs_progress_step(&t->progress, t->step, outcome->loss);
}

/* A step and what is due after it. CRS_STOPPED: everything is saved. An error that rank 0 alone knows of (the metrics)
 * is news of the next step, or of the next saving. */
static crs_status take_turn(crs_training *t, crs_error *error) {
    int64_t news[CRS_NEWS];
    crs_outcome outcome;
    crs_error why = {0}; /* why to leave when all is saved */
    double loss = NAN;
    bool best = false;
    gather_news(t, news);
    *error = t->pending;
    if (crs_engine_step(&t->engine, t->step, news, &outcome, error))
        return save_good(t, error);
    t->step++;
    t->tokens += outcome.targets;
    t->step_seconds = fmax(outcome.seconds, 0.9 * t->step_seconds);
    const crs_config *config = t->config;
    const crs_status refused = count_refused(t, &outcome, error);
    const bool by_clock = outcome.news[CRS_NEWS_VALIDATE] > 0;
    t->owes_validation = crs_training_streams(t) > 0 && (by_clock || due(t, &config->validate_every, t->step));
    if ((outcome.news[CRS_NEWS_SIGNAL] > 0 || outcome.news[CRS_NEWS_TIME] > 0) && t->step < t->plan.total)
        crs_report_stop(t, outcome.news[CRS_NEWS_SIGNAL] > 0, &why);
    else if (refused == CRS_OK && t->owes_validation)
        validate(t, false, &loss, &best, &why);
    const bool last = t->step == t->plan.total || crs_training_gave_up(t);
    if (crs_at_root(t))
        write_line(t, &outcome, loss, &t->pending);
    if (refused)
        return refused;
    /* While steps are refused, the parameters are those that make them so: what was saved before is better. */
    const bool worth = t->refused_row == 0 || last;
    const bool wanted = outcome.news[CRS_NEWS_SAVE] > 0 || last || due(t, &config->save_every, t->step);
    if (!why.status && !best && !(wanted && worth))
        return CRS_OK;
    *error = t->pending;
    if (crs_comm_agree(t->comm, error) || save(t, best, error))
        return error->status;
    if (crs_at_root(t))
        crs_report_save(t);
    *error = why;
    return save_good(t, error);
}

/* A run that was stopped left out a validation that was due, or gave it up: it is made up for. */
static bool owes_validation(const crs_training *t) {
    const crs_history *h = &t->history;
    return t->resumed && t->step > 0 && crs_training_streams(t) > 0 &&
           (t->owes_validation || due(t, &t->config->validate_every, t->step)) &&
           (h->count == 0 || h->list[h->count - 1].step < t->step);
}

/* Whether to leave before the first step: for a signal, or because a validation has used up the time. A run that does
 * nothing else makes a step in any case. */
static crs_status stop_early(crs_training *t, bool validated, crs_error *error) {
    int64_t news[CRS_NEWS] = {0};
    hear(t, news);
    crs_comm_sum(t->comm, news, CRS_NEWS);
    if (t->step < t->plan.total && (news[CRS_NEWS_SIGNAL] > 0 || (validated && news[CRS_NEWS_TIME] > 0)))
        crs_report_stop(t, news[CRS_NEWS_SIGNAL] > 0, error);
    return error->status;
}

static void start_progress(crs_training *t) {
    const crs_dataset *d = &t->dataset;
    const crs_schema *schema = &d->schema;
    static const char *const units[CRS_LEVELS] = {"bits/char", "bits/byte", "bits/word"};
    const char *unit = units[d->vocabulary.level], *speed = "tokens/s";
    double targets = (double)t->config->batch * (double)t->config->window;
    if (!d->text) {
        unit = NULL;
        speed = schema->alignment == CRS_ALIGN_SEQUENCE ? "sequences/s" : "steps/s";
    }
    if (t->config->window == 0) {
        const int64_t all = schema->alignment == CRS_ALIGN_STEP ? d->length[CRS_TRAIN] : crs_dataset_rows(d, CRS_TRAIN);
        targets = (double)all / (double)t->plan.windows;
    }
    crs_progress_start(&t->progress, t->step, t->plan.total, t->plan.windows, targets, unit, speed);
}

/* From a run that is set up to the first step. */
static crs_status begin(crs_training *t, crs_error *error) {
    double loss = NAN;
    bool best = false;
    if (!t->resumed && save(t, false, error))
        return error->status;
    if (crs_at_root(t)) {
        crs_report_start(t);
        start_progress(t);
    }
    const bool owes = owes_validation(t);
    if (owes && validate(t, true, &loss, &best, error))
        return error->status;
    if (crs_at_root(t))
        crs_metrics_open(&t->metrics, t->config->output, t->step, loss, error);
    if (crs_comm_agree(t->comm, error) || (owes && save(t, best, error)))
        return error->status;
    return stop_early(t, owes, error);
}

crs_status crs_train(crs_comm *comm, crs_settings *settings, crs_error *error) {
    crs_training training;
    crs_signals_catch(crs_comm_size(comm) == 1);
    crs_training_open(&training, comm, settings, error);
    if (error->status == CRS_OK && !training.finished)
        begin(&training, error);
    while (error->status == CRS_OK && training.step < training.plan.total && !crs_training_gave_up(&training))
        take_turn(&training, error);
    if (error->status == CRS_OK && training.finished)
        crs_report_finished(&training);
    else if (error->status == CRS_OK)
        crs_report_end(&training);
    crs_live("");
    crs_training_close(&training);
    crs_signals_release();
    return error->status;
}
