/* What a run says at its turning points. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <unistd.h>

#include "train/training.h"

/* Epochs of a small model end many times a second: then only some of them are told of, but with --verbose. */
static const double turn_seconds = 1;

static bool worth_telling(const crs_training *t, double last) {
    return last == 0 || crs_seconds() - last >= turn_seconds || t->step == t->plan.total ||
           crs_get_verbosity() == CRS_VERBOSE;
}

static void say_model(const crs_training *t) {
    const crs_spec *s = &t->plan.spec;
    char input[48] = "one-hot input", output[64] = "", count[32];
    if (s->embed > 0)
        snprintf(input, sizeof input, "embedding of %d", s->embed);
    else if (s->input != CRS_INPUT_TOKENS)
        snprintf(input, sizeof input, "%d %s%s", s->input_size, s->input == CRS_INPUT_BITS ? "bit" : "number",
                 crs_plural(s->input_size, "", "s"));
    if (!t->dataset.text)
        snprintf(output, sizeof output, ", %d %s (%s)", s->outputs, crs_plural(s->outputs, "output", "outputs"),
                 crs_loss_names()[s->head]);
    crs_note("model: %s, %d %s of %d%s, %s%s; %s parameters", crs_cell_name(s->cell), s->layers,
             crs_plural(s->layers, "layer", "layers"), s->hidden, s->bidirectional ? " each way" : "", input, output,
             crs_format_count((int64_t)crs_spec_parameters(s), count));
}

static void say_text(const crs_training *t) {
    const crs_dataset *d = &t->dataset;
    const crs_config *config = t->config;
    char count[3][32];
    crs_note("data: %s; %s tokens to train on, %s for validation, vocabulary of %s", d->path,
             crs_format_count(d->length[CRS_TRAIN], count[0]), crs_format_count(d->length[CRS_VALIDATION], count[1]),
             crs_format_count(d->vocabulary.count, count[2]));
    if (d->length[CRS_VALIDATION] < 2)
        crs_note("no validation: that split is empty or too short");
    if (t->plan.fitted)
        crs_note("the text is short: batch and window are the largest that fit, %" PRId64 " and %" PRId64,
                 config->batch, config->window);
}

static void say_sequences(const crs_training *t) {
    const crs_dataset *d = &t->dataset;
    const crs_sequences *train = &d->sequences[CRS_TRAIN], *validation = &d->sequences[CRS_VALIDATION];
    const bool forecast = crs_schema_is_forecast(&d->schema);
    char count[4][32];
    crs_note("data: %s; %s %s of %s steps to train on, %s for validation; %s to %s by %s", d->path,
             crs_format_count(train->count, count[0]), crs_plural(train->count, "sequence", "sequences"),
             crs_format_count(d->length[CRS_TRAIN], count[1]), crs_format_count(validation->count, count[2]),
             crs_input_names()[d->schema.inputs], crs_target_names()[d->schema.targets],
             crs_alignment_names()[d->schema.alignment]);
    if (forecast)
        crs_note("forecasts: %" PRId64 " steps from %" PRId64 "; %s windows to train on", d->schema.horizon,
                 d->schema.context, crs_format_count(train->windows, count[3]));
    if (crs_training_streams(t) == 0)
        crs_note("no validation: that split is empty or too short");
}

static void say_patience(const crs_training *t) {
    if (t->config->patience > 0 && crs_training_streams(t) == 0)
        crs_warn("--patience=%" PRId64 " never ends this run: the validation split of %s is empty or too short",
                 t->config->patience, t->dataset.path);
}

static void say_data(const crs_training *t) {
    char count[2][32];
    if (t->dataset.text)
        say_text(t);
    else
        say_sequences(t);
    if (t->config->window > 0)
        crs_note("steps: %" PRId64 " rows of %" PRId64 " %s each; %s an epoch, %s in all", t->config->batch,
                 t->config->window, t->dataset.text ? "tokens" : "time steps",
                 crs_format_count(t->plan.windows, count[0]), crs_format_count(t->plan.total, count[1]));
    else
        crs_note("steps: %" PRId64 " whole %s each; %s an epoch, %s in all", t->config->batch,
                 crs_schema_is_forecast(&t->dataset.schema) ? "windows" : "sequences",
                 crs_format_count(t->plan.windows, count[0]), crs_format_count(t->plan.total, count[1]));
}

static void say_ranks(const crs_training *t) {
    const crs_lanes *lanes = &t->plan.lanes;
    const int ranks = crs_comm_size(t->comm);
    char uneven[96] = "";
    if (lanes->efficiency < 1)
        snprintf(uneven, sizeof uneven, "; shares are uneven: efficiency %.0f %% at most", 100 * lanes->efficiency);
    crs_note("ranks: %d with %d %s%s, instruction set %s%s; %d %s%s", ranks, t->threads,
             crs_plural(t->threads, "thread", "threads"), ranks > 1 ? " each" : "", crs_isa_name(t->isa),
             t->isa == CRS_ISA_BASELINE ? " (slow: a reference for any processor)" : "", lanes->lanes,
             crs_plural(lanes->lanes, "lane", "lanes"), uneven);
}

/* Threads that want the same cores take turns, and so do all that wait for them. */
static void say_crowd(const crs_training *t) {
    const crs_crowd *c = &t->crowd;
    const int fits = c->crowded_cores / c->ranks > 1 ? c->crowded_cores / c->ranks : 1;
    if (c->crowded_threads > c->crowded_cores && c->most > 1)
        crs_warn(
            "%d threads on the %d %s of a node: they wait for each other; --threads=%d, or fewer ranks a node, would "
            "do",
            c->crowded_threads, c->crowded_cores, crs_plural(c->crowded_cores, "core", "cores"), fits);
    else if (c->crowded_threads > c->crowded_cores)
        crs_note("%d ranks on the %d %s of a node", c->crowded_threads, c->crowded_cores,
                 crs_plural(c->crowded_cores, "core", "cores"));
    else if (crs_comm_launched_by_mpirun() && t->config->threads == 0 && t->threads < c->machine / c->ranks)
        crs_note(
            "mpirun gave each rank %d %s, and %d of the %d cores of a node are idle: --map-by slot:pe=%d would give "
            "it %d",
            t->threads, crs_plural(t->threads, "core", "cores"), c->machine - c->cores, c->machine,
            c->machine / c->ranks, c->machine / c->ranks);
}

void crs_report_start(const crs_training *t) {
    if (t->resumed)
        crs_note("%s %s at step %" PRId64, t->config->dry_run ? "this would resume" : "resuming", t->config->output,
                 t->step);
    if (t->resumed && t->config->rate != t->rate_before)
        crs_note("the rate is %g from here on; it was %g", t->config->rate, t->rate_before);
    say_model(t);
    say_data(t);
    say_ranks(t);
    say_crowd(t);
    say_patience(t);
}

void crs_report_validation(crs_training *t, double loss, bool best, double seconds) {
    const int64_t epoch = t->step > 0 ? (t->step - 1) / t->plan.windows + 1 : 1;
    char step[32], time[32];
    if (!worth_telling(t, t->told_validation))
        return;
    t->told_validation = crs_seconds();
    if (!isfinite(loss)) {
        crs_note("epoch %" PRId64 ", step %s: the validation loss is out of range or not finite", epoch,
                 crs_format_count(t->step, step));
        return;
    }
    char bits[64] = "";
    if (t->dataset.text)
        snprintf(bits, sizeof bits, " (%.3f %s)", loss / M_LN2, t->progress.unit ? t->progress.unit : "bits/token");
    crs_note("epoch %" PRId64 ", step %s: validation loss %.4f%s%s, in %s", epoch, crs_format_count(t->step, step),
             loss, bits, best ? ", the lowest so far" : "", crs_format_time(seconds, time));
}

void crs_report_save(crs_training *t) {
    if (!worth_telling(t, t->told_save))
        return;
    t->told_save = crs_seconds();
    crs_note("saved %s/step-%08" PRId64 ".h5", t->config->output, t->step);
}

crs_status crs_report_stop(const crs_training *t, const int64_t news[CRS_NEWS], crs_error *error) {
    const char *why = news[CRS_NEWS_SIGNAL] > 0 ? "a signal"
                      : news[CRS_NEWS_FILE] > 0 ? "the file stop"
                                                : "--stop-after";
    return crs_fail(error, CRS_STOPPED,
                    "stopped by %s after step %" PRId64 " of %" PRId64
                    "; all is saved in %s, and the same command goes on",
                    why, t->step, t->plan.total, t->config->output);
}

/* What an option's value could be instead, where the gradient gets too large. */
static const char *lower_clip(const crs_training *t, char out[64]) {
    if (t->config->clip > 0)
        snprintf(out, 64, "a lower --clip (now %g)", t->config->clip);
    else
        snprintf(out, 64, "--clip=5 (now none)");
    return out;
}

/* Whether there is a best.h5: after a validation, and where nobody removed it. */
static bool has_best(const crs_training *t) {
    char *path = crs_format_text("%s/best.h5", t->config->output);
    const bool there = path && !isnan(t->best_validation_loss) && access(path, R_OK) == 0;
    crs_free(&path);
    return there;
}

crs_status crs_report_diverged(const crs_training *t, crs_error *error) {
    const crs_config *config = t->config;
    char again[160] = "", clip[64], *run = crs_shell_word(config->output);
    if (config->schedule == CRS_CONSTANT && t->saved < t->step - t->refused_row) /* before what is refused */
        snprintf(again, sizeof again,
                 "the same command with a lower --rate (now %g) goes on from step %" PRId64 "; or ", config->rate,
                 t->saved);
    crs_fail(error, error->status,
             "%s; %sstart a new run (another -o) with --init-from=%s/%s.h5 and a lower --rate or %s", error->message,
             again, run ? run : config->output, has_best(t) ? "best" : "last", lower_clip(t, clip));
    crs_free(&run);
    return error->status;
}

static void say_next(const crs_training *t) {
    const char *name = has_best(t) ? "best" : "last";
    char *run = crs_shell_word(t->config->output), *data = crs_shell_word(t->config->data);
    if (run && data && t->dataset.text)
        crs_note("next: carousel sample %s/%s.h5 --length=500", run, name);
    else if (run && data)
        crs_note("next: carousel eval %s/%s.h5 %s", run, name, data);
    crs_free(&run);
    crs_free(&data);
}

void crs_report_end(const crs_training *t) {
    char steps[32], time[32], refused[64] = "", best[64] = "", clip[64];
    if (t->refused_total > 0)
        snprintf(refused, sizeof refused, " (%" PRId64 " refused)", t->refused_total);
    if (!isnan(t->best_validation_loss))
        snprintf(best, sizeof best, "; lowest validation loss %.4f", t->best_validation_loss);
    crs_live("");
    if (t->step < t->plan.total)
        crs_note("%" PRId64 " validations without a lower loss: --patience ends the run", t->config->patience);
    crs_note("done: %s steps%s in %s%s", crs_format_count(t->step, steps), refused,
             crs_format_time(t->seconds_before + crs_seconds() - t->start, time), best);
    if (t->refused_row > 0)
        crs_warn("the last steps were refused: gradients out of range or not finite; a lower --rate or %s may help",
                 lower_clip(t, clip));
    crs_note("files: %s/last.h5%s, step-*.h5, metrics.jsonl", t->config->output, has_best(t) ? ", best.h5" : "");
    say_next(t);
}

void crs_report_finished(const crs_training *t) {
    if (t->step > t->plan.total)
        crs_note("%s is at step %" PRId64 " already, past its end at %" PRId64, t->config->output, t->step,
                 t->plan.total);
    else
        crs_note("%s is finished: %" PRId64 " of %" PRId64 " steps are done", t->config->output, t->step,
                 t->plan.total);
    crs_note("more --epochs (or --steps) would go on; --fresh would start over");
    say_next(t);
}
