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
/* Without --save-every no more than so much work is lost, however long an epoch is; and how long a disk that took no
 * checkpoint is left alone. */
static const double save_seconds = 600, again_seconds = 60;
/* A run goes back to its last checkpoint so many times, and no more, for ranks that hold different parameters. */
enum { BACK_MAX = 3 };

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
    crs_training *t = context;
    news[CRS_NEWS_SIGNAL] = crs_signals_caught() != 0;
    news[CRS_NEWS_FILE] = crs_at_root(t) && crs_stop_file_seen(t->config->output, &t->looked);
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
        crs_report_stop(t, news, error);
    if (error->status == CRS_STOPPED && again && news[CRS_NEWS_SIGNAL] == 0 && news[CRS_NEWS_FILE] == 0)
        crs_fail(error, CRS_STOPPED, "%s; the validation after that step needs a longer --stop-after", error->message);
    t->owes_validation = error->status != CRS_OK;
    if (error->status)
        return error->status;
    *loss = total.refused > 0 ? NAN : crs_total_mean(&total);
    *best = isfinite(*loss) && !(t->best_validation_loss <= *loss);
    t->best_before = t->best_validation_loss;
    if (*best)
        t->best_validation_loss = *loss;
    const double mean = t->mean.count > 0 ? t->mean.sum / (double)t->mean.count : NAN;
    memset(&t->mean, 0, sizeof t->mean);
    t->last_validation = crs_seconds();
    t->validation_seconds = fmax(t->last_validation - start, t->validation_seconds / 2);
    if (crs_at_root(t)) {
        crs_report_validation(t, *loss, *best, t->last_validation - start);
        crs_times_tell(t);
    }
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

static bool time_is_up(double seconds, double last) {
    return seconds > 0 && crs_seconds() - last >= seconds;
}

static bool time_to_validate(const crs_training *t) {
    return time_is_up(t->config->validate_every.seconds, t->last_validation);
}

static bool time_to_save(const crs_training *t) {
    const crs_every *every = &t->config->save_every;
    const double hurry = crs_fault("hurry") ? 1e-3 : 1; /* minutes become milliseconds, in tests */
    if (t->save_failed && time_is_up(hurry * again_seconds, t->last_save))
        return true;
    return time_is_up(every->steps > 0 || every->seconds > 0 ? every->seconds : hurry * save_seconds, t->last_save);
}

/* Whether rank 0 must leave after the step that begins now, to have saved before --stop-after. */
static bool time_to_stop(const crs_training *t) {
    const crs_config *config = t->config;
    double needed = 2 * t->step_seconds + t->save_seconds;
    if (due(t, &config->validate_every, t->step + 1) || time_to_validate(t))
        needed += t->validation_seconds;
    if (due(t, &config->save_every, t->step + 1) || time_to_save(t))
        needed += t->save_seconds;
    return time_is_short(t, needed);
}

static bool means_stop(const int64_t news[CRS_NEWS]) {
    return news[CRS_NEWS_SIGNAL] > 0 || news[CRS_NEWS_FILE] > 0 || news[CRS_NEWS_TIME] > 0;
}

/* A number that is out of range may be the first that is seen of a bit that has flipped. */
static bool time_to_compare(const crs_training *t, const crs_outcome *outcome) {
    const int64_t every = t->config->check_every;
    return every > 0 && (t->step % every == 0 || outcome->refused > 0);
}

static void gather_news(crs_training *t, int64_t news[CRS_NEWS]) {
    memset(news, 0, CRS_NEWS * sizeof *news);
    news[CRS_NEWS_SIGNAL] = crs_signals_caught() != 0;
    if (!crs_at_root(t))
        return;
    news[CRS_NEWS_FILE] = crs_stop_file_seen(t->config->output, &t->looked);
    news[CRS_NEWS_TIME] = time_to_stop(t);
    news[CRS_NEWS_SAVE] = time_to_save(t);
    news[CRS_NEWS_VALIDATE] = time_to_validate(t);
}

/* ---- one turn ---- */

static crs_status count_refused(crs_training *t, const crs_outcome *outcome, crs_error *error) {
    if (outcome->refused == 0) {
        t->refused_row = 0;
        t->own_refused = 0;
        if (outcome->targets > 0) {
            t->mean.sum += outcome->loss;
            t->mean.count++;
        }
        return CRS_OK;
    }
    char whose[96];
    t->refused_row++;
    t->refused_total++;
    t->own_refused += t->engine.own_refused > 0;
    crs_debug("step %" PRId64 " refused: %" PRId64 " numbers out of range or not finite", t->step, outcome->refused);
    if (t->refused_row < REFUSED_MAX)
        return CRS_OK;
    crs_name_refuser(t, whose);
    crs_fail(error, CRS_CONFIG,
             "steps %" PRId64 " to %" PRId64 ": the gradient was out of range or not finite %d times in a row%s",
             t->step - REFUSED_MAX + 1, t->step, REFUSED_MAX, whose);
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
    crs_times times;
    crs_times_of(t->engine.spent, start.ranks, &times);
    const crs_metrics_line line = {.step = t->step,
                                   .epoch = (t->step - 1) / t->plan.windows + 1,
                                   .tokens = t->tokens,
                                   .refused = outcome->refused,
                                   .loss = outcome->loss,
                                   .rate = outcome->rate,
                                   .grad_norm = outcome->norm,
                                   .tokens_per_second = (double)outcome->targets / outcome->seconds,
                                   .comm_share = times.of[CRS_TIME_SENDING].mean / outcome->seconds,
                                   .wait_share = times.of[CRS_TIME_WAITING].mean / outcome->seconds,
                                   .times = start.ranks > 1 ? &times : NULL,
                                   .seconds = t->seconds_before + crs_seconds() - t->start,
                                   .validation_loss = validation_loss,
                                   .start = t->told_start ? NULL : &start};
    crs_metrics_write(&t->metrics, &line, error);
    t->told_start = true;
    crs_times_watch(t);
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
        return crs_training_save_good(t, error);
    t->step++;
    if (time_to_compare(t, &outcome) && crs_parameters_agree(t, error))
        return error->status;
    t->tokens += outcome.targets;
    t->step_seconds = fmax(outcome.seconds, 0.9 * t->step_seconds);
    const crs_config *config = t->config;
    const crs_status refused = count_refused(t, &outcome, error);
    const bool by_clock = outcome.news[CRS_NEWS_VALIDATE] > 0;
    t->owes_validation = crs_training_streams(t) > 0 && (by_clock || due(t, &config->validate_every, t->step));
    if (means_stop(outcome.news) && t->step < t->plan.total)
        crs_report_stop(t, outcome.news, &why);
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
    if (crs_comm_agree(t->comm, error) || crs_training_save(t, best, last || why.status, error))
        return error->status;
    *error = why;
    return crs_training_save_good(t, error);
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
    news[CRS_NEWS_TIME] *= validated;
    crs_comm_sum(t->comm, news, CRS_NEWS);
    if (t->step < t->plan.total && means_stop(news))
        crs_report_stop(t, news, error);
    return error->status;
}

double crs_training_targets(const crs_training *t, const char **unit) {
    const crs_dataset *d = &t->dataset;
    const bool by_step = d->schema.alignment == CRS_ALIGN_STEP;
    *unit = d->text ? "tokens" : by_step ? "steps" : crs_schema_is_forecast(&d->schema) ? "windows" : "sequences";
    if (t->config->window > 0)
        return (double)t->config->batch * (double)t->config->window;
    const int64_t all = by_step ? d->length[CRS_TRAIN] : crs_dataset_rows(d, CRS_TRAIN);
    return (double)all / (double)t->plan.windows;
}

static void start_progress(crs_training *t) {
    const crs_dataset *d = &t->dataset;
    const crs_schema *schema = &d->schema;
    static const char *const units[CRS_LEVELS] = {"bits/char", "bits/byte", "bits/word"};
    const char *unit = units[d->vocabulary.level], *speed = "tokens/s";
    const char *targets_unit;
    const double targets = crs_training_targets(t, &targets_unit);
    if (!d->text) {
        unit = NULL;
        speed = schema->alignment == CRS_ALIGN_SEQUENCE ? "sequences/s" : "steps/s";
    }
    crs_progress_start(&t->progress, t->step, t->plan.total, t->plan.windows, targets, unit, speed);
}

/* From a run that is set up to the first step. */
static crs_status begin(crs_training *t, crs_error *error) {
    double loss = NAN;
    bool best = false;
    if (!t->resumed && crs_training_save(t, false, true, error))
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
    if (crs_comm_agree(t->comm, error) || (owes && crs_training_save(t, best, false, error)))
        return error->status;
    return stop_early(t, owes, error);
}

/* From the newest checkpoint, or from new, to the end. *differ: what ended it is that ranks hold different parameters;
 * *saved: the newest checkpoint's step. */
static crs_status run(crs_comm *comm, crs_settings *settings, bool *differ, int64_t *saved, crs_error *error) {
    crs_training training;
    bool removed;
    crs_training_open(&training, comm, settings, error);
    const bool dry = settings->config.dry_run;
    if (error->status == CRS_OK && dry)
        crs_dry_run(&training, error);
    else if (error->status == CRS_OK && !training.finished)
        begin(&training, error);
    while (error->status == CRS_OK && !dry && training.step < training.plan.total && !crs_training_gave_up(&training))
        take_turn(&training, error);
    if (error->status == CRS_OK && training.finished)
        crs_report_finished(&training);
    else if (error->status == CRS_OK && !dry)
        crs_report_end(&training);
    crs_live("");
    if (crs_at_root(&training) && error->status == CRS_STOPPED && !dry)
        crs_stop_file_remove(settings->config.output, &removed, error);
    *differ = training.differ;
    *saved = training.saved;
    crs_training_close(&training);
    return error->status;
}

crs_status crs_train(crs_comm *comm, crs_settings *settings, crs_error *error) {
    bool differ = false;
    int64_t saved;
    crs_signals_catch(crs_comm_size(comm) == 1);
    for (int back = 0; run(comm, settings, &differ, &saved, error) && differ; back++) {
        if (back == BACK_MAX || saved < 0) {
            crs_fail(error, CRS_INTERNAL,
                     "%s; it came back each of %d times: leave its node out, and the same command goes on from step "
                     "%" PRId64,
                     error->message, back, saved);
            break;
        }
        crs_warn("%s; the run goes back to step %" PRId64 ", its last checkpoint", error->message, saved);
        settings->config.fresh = false; /* the old run is moved aside already */
    }
    crs_signals_release();
    return error->status;
}
