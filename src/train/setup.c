/* Everything up to the first step. Each stage ends with an agreement, so that all ranks go on or none; the folder of
 * the run is touched last, when nothing else can fail. */
#include "config.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "train/load.h"
#include "train/lock.h"
#include "train/training.h"

/* ---- what there is: data, an earlier run, a model to start from ---- */

/* A checkpoint of rank 0 for all, if it has one: *found is set alike everywhere. */
static crs_status share(crs_training *t, bool *found, crs_checkpoint *checkpoint, char *path, size_t path_size,
                        crs_error *error) {
    if (crs_comm_agree(t->comm, error))
        return error->status;
    crs_comm_broadcast(t->comm, found, sizeof *found);
    crs_comm_broadcast(t->comm, path, path_size);
    return *found ? crs_checkpoint_share(t->comm, checkpoint, error) : CRS_OK;
}

static crs_status find_run(crs_training *t, crs_checkpoint *checkpoint, char *path, size_t path_size,
                           crs_error *error) {
    const char *run = t->config->output;
    bool found = false;
    /* A dry run touches nothing, and may look at a folder that another process trains into. */
    const bool dry = t->config->dry_run;
    if (crs_at_root(t) && run && (dry || crs_lock_take(run, &t->lock, error) == CRS_OK) && !t->config->fresh &&
        crs_run_load(run, &found, checkpoint, path, path_size, error) == CRS_OK && found)
        crs_run_check_names(run, checkpoint, path, &t->names, error);
    const crs_status status = share(t, &found, checkpoint, path, path_size, error);
    t->resumed = found && status == CRS_OK;
    return status;
}

static crs_status find_model(crs_training *t, crs_checkpoint *checkpoint, char *path, size_t path_size,
                             crs_error *error) {
    bool found = true;
    snprintf(path, path_size, "%s", t->config->init_from);
    if (crs_at_root(t))
        crs_checkpoint_read(path, checkpoint, error);
    return share(t, &found, checkpoint, path, path_size, error);
}

/* ---- --init-from: what was not given is taken from the file, what was given must be the same ---- */

/* What a model is made of becomes options. */
static void options_of(const crs_spec *spec, crs_config *config) {
    config->cell = spec->cell;
    config->hidden = spec->hidden;
    config->layers = spec->layers;
    if (spec->input == CRS_INPUT_TOKENS)
        config->embed = spec->embed;
    config->bidirectional = spec->bidirectional;
    config->layer_norm = spec->layer_norm;
    config->residual = spec->residual;
    config->tie = spec->tie;
    config->pool = spec->pool;
    config->change = spec->change;
    if (spec->head >= CRS_HEAD_MSE)
        config->loss = spec->head - CRS_HEAD_MSE;
}

static crs_status take_shape(crs_training *t, const crs_checkpoint *checkpoint, const char *path, crs_error *error) {
    static const char *const names[] = {"cell",     "hidden", "layers", "embed", "bidirectional", "layer-norm",
                                        "residual", "tie",    "pool",   "loss",  "change"};
    crs_config *config = &t->settings->config, taken = *config;
    const bool bytes = checkpoint->vocabulary.level == CRS_LEVEL_BYTE;
    crs_spec spec;
    if (crs_spec_of(&checkpoint->attributes, checkpoint->vocabulary.count, path, &spec, error))
        return error->status;
    options_of(&spec, &taken);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const int option = crs_option_find(names[i]);
        char typed[64], wanted[64];
        crs_option_text(config, option, typed, sizeof typed);
        crs_option_text(&taken, option, wanted, sizeof wanted);
        if (t->settings->given[option] && strcmp(typed, wanted) != 0)
            return crs_fail(error, CRS_CONFIG, "--%s=%s, but the model of --init-from=%s has %s %s; leave --%s out",
                            names[i], typed, path, names[i], wanted, names[i]);
    }
    *config = taken;
    const crs_schema *own = &t->dataset.schema, *other = &checkpoint->schema;
    const bool kin =
        own->inputs == other->inputs && own->targets == other->targets && own->alignment == other->alignment;
    const bool words = crs_vocabulary_equal(&checkpoint->vocabulary, &t->dataset.vocabulary);
    if (kin && !words && t->dataset.text)
        return crs_fail(error, CRS_DATA, "%s: its vocabulary is not that of --init-from=%s; pack the text with %s%s",
                        t->dataset.path, path, bytes ? "--level=byte" : "--vocabulary=", bytes ? "" : path);
    if (kin && !words)
        return crs_fail(error, CRS_DATA, "%s: its vocabulary is not that of --init-from=%s", t->dataset.path, path);
    return kin && t->dataset.text ? CRS_OK : crs_schema_same(other, path, own, t->dataset.path, error);
}

/* ---- plan ---- */

static crs_status resume_settings(crs_training *t, const crs_checkpoint *checkpoint, const char *path,
                                  crs_error *error) {
    crs_config recorded;
    if (crs_config_parse(&recorded, checkpoint->config, path, error) ||
        crs_settings_resume(t->settings, &recorded, t->config->output, error) ||
        crs_state_check_data(checkpoint, path, &t->dataset, error))
        return error->status;
    t->rate_before = recorded.rate;
    return crs_state_scalar(checkpoint, "/run/schedule_total", CRS_I64, path, &t->schedule_total, error);
}

static crs_status plan_length(crs_training *t, const crs_checkpoint *checkpoint, crs_error *error) {
    t->plan.resumed = t->resumed ? t->config->output : NULL;
    if (crs_plan_data(&t->plan, t->settings, &t->dataset, error))
        return error->status;
    if (t->resumed) {
        t->step = t->saved = crs_checkpoint_step(checkpoint);
        if (crs_attributes_real(&checkpoint->attributes, "best_validation_loss", t->config->output,
                                &t->best_validation_loss, error))
            return error->status;
    } else {
        t->schedule_total = t->plan.total;
    }
    const bool validated = crs_training_streams(t) == 0 || crs_state_validated(checkpoint);
    t->finished = t->resumed && (t->step > t->plan.total || (t->step == t->plan.total && validated));
    return CRS_OK;
}

/* What this rank can do, and what all can. Collective. */
static crs_status plan_ranks(crs_training *t, crs_error *error) {
    const double memory = crs_comm_memory(t->comm);
    crs_plan_ranks(&t->plan, t->config, &t->dataset.schema, crs_comm_rank(t->comm), crs_comm_size(t->comm), memory,
                   error);
    if (error->status == CRS_OK)
        crs_isa_choose(&t->isa, error);
    if (crs_comm_agree(t->comm, error))
        return error->status;
    t->isa = (crs_isa)crs_comm_min(t->comm, t->isa);
    t->kernels = crs_kernels_of(t->isa);
    t->threads = crs_comm_threads(t->comm, (int)t->config->threads);
    t->crowd = crs_comm_crowd(t->comm, t->threads);
    t->settings->config.lane = t->plan.lanes.lane_rows; /* to be recorded: they shape the sums */
    t->settings->config.lanes = t->plan.lanes.lanes;
    return CRS_OK;
}

static crs_status verify_data(crs_training *t, crs_error *error) {
    /* Every rank its own: a copy on its node may have other tokens under the same hashes. */
    if (crs_dataset_verify(&t->dataset, CRS_TRAIN, error) == CRS_OK)
        crs_dataset_verify(&t->dataset, CRS_VALIDATION, error);
    return crs_comm_agree(t->comm, error);
}

/* ---- model ---- */

static crs_status create_engine(crs_training *t, crs_error *error) {
    const crs_config *config = t->config;
    const crs_engine_setup setup = {.comm = t->comm,
                                    .model = t->model,
                                    .shards = &t->shards,
                                    .optim = &t->optim,
                                    .kernels = t->kernels,
                                    .dataset = &t->dataset,
                                    .lanes = t->plan.lanes,
                                    .schedule = crs_plan_schedule(&t->plan, config, t->schedule_total),
                                    .windows = t->plan.windows,
                                    .window = (int)config->window,
                                    .threads = t->threads,
                                    .pass_rows = crs_plan_pass_rows(t->config, t->threads),
                                    .pass_pairs = crs_plan_pass_pairs(&t->plan, t->config, t->threads),
                                    .change = config->change,
                                    .order = config->order,
                                    .dropout = config->dropout,
                                    .input_dropout = config->input_dropout,
                                    .input_noise = config->input_noise,
                                    .loss_limit = crs_plan_loss_limit(&t->plan, config, &t->dataset),
                                    .clip = config->clip,
                                    .seed = config->seed,
                                    .reduce = config->reduce,
                                    .overlap = true};
    if (crs_engine_create(&t->engine, &setup, error) == CRS_OK && crs_at_root(t))
        crs_times_open(t, error);
    return error->status;
}

/* Local. */
static crs_status create(crs_training *t, const crs_checkpoint *checkpoint, const char *path, crs_error *error) {
    const crs_config *config = t->config;
    const crs_optimizer_settings optimizer = {.optimizer = config->optimizer,
                                              .momentum = config->momentum,
                                              .beta1 = config->beta1,
                                              .beta2 = config->beta2,
                                              .epsilon = config->epsilon,
                                              .weight_decay = config->weight_decay};
    if (crs_model_create(&t->model, &t->plan.spec, t->kernels, t->threads, error) ||
        crs_shards_create(&t->shards, t->model, crs_comm_size(t->comm), error) ||
        crs_optim_create(&t->optim, &optimizer, crs_shards_owned(&t->shards, crs_comm_rank(t->comm)), error) ||
        create_engine(t, error))
        return error->status;
    if (t->resumed)
        return crs_state_restore(t, checkpoint, path, error);
    if (!config->init_from) {
        crs_model_initialize(t->model, config->seed, (float)config->forget_bias);
        if (config->input_bias != 0)
            crs_model_set_input_bias(t->model, (float)config->input_bias);
        return CRS_OK;
    }
    if (crs_arena_restore(t->model, crs_model_parameters(t->model), checkpoint, "/model", path, error) == CRS_OK)
        crs_model_refresh(t->model);
    return error->status;
}

/* ---- the folder ---- */

/* Rank 0. */
static crs_status open_folder(crs_training *t, crs_error *error) {
    const char *run = t->config->output;
    char moved[PATH_MAX];
    bool removed;
    if (t->config->dry_run || (t->finished && !t->names.wrong))
        return CRS_OK; /* nothing is touched */
    if (t->config->fresh && crs_run_holds_files(run)) {
        if (crs_run_move_aside(run, moved, sizeof moved, error))
            return error->status;
        crs_note("moved the earlier run to %s", moved);
        crs_lock_release(&t->lock);
    }
    if (t->lock < 0 && crs_lock_make(run, &t->lock, error))
        return error->status;
    if (crs_lock_writable(run, error) || crs_stop_file_remove(run, &removed, error))
        return error->status;
    if (removed)
        crs_note("removed %s/stop, which an earlier run had not come to", run);
    if (!t->resumed)
        return CRS_OK;
    return crs_run_mend_names(run, &t->names, error);
}

static crs_status prepare(crs_training *t, crs_checkpoint *checkpoint, crs_error *error) {
    char path[PATH_MAX] = "";
    crs_comm_set_patience(t->comm, t->config->hang_timeout);
    if (crs_settings_agree(t->comm, t->settings, NULL, error))
        return error->status;
    crs_dataset_open(&t->dataset, t->config->data, error);
    if (crs_dataset_agree(t->comm, &t->dataset, error) || find_run(t, checkpoint, path, sizeof path, error))
        return error->status;
    const bool init = !t->resumed && t->config->init_from;
    if (init && find_model(t, checkpoint, path, sizeof path, error))
        return error->status;
    if (t->resumed)
        resume_settings(t, checkpoint, path, error);
    else if (init)
        take_shape(t, checkpoint, path, error);
    /* Only now is it known what was not given: of an option that needs another, the other may be the earlier run's. */
    if (error->status == CRS_OK && crs_settings_check(t->settings, error) == CRS_OK)
        plan_length(t, checkpoint, error);
    if (crs_comm_agree(t->comm, error))
        return error->status;
    const bool trains = !t->finished || t->config->dry_run;
    if (trains && (plan_ranks(t, error) || verify_data(t, error)))
        return error->status;
    if (trains)
        create(t, checkpoint, path, error);
    const bool fresh = trains && !t->resumed && !init && !t->config->dry_run;
    if (crs_comm_agree(t->comm, error) ||
        (fresh && t->plan.spec.head == CRS_HEAD_LOGISTIC && crs_training_start_bits(t, error)))
        return error->status;
    if (crs_at_root(t))
        open_folder(t, error);
    return crs_comm_agree(t->comm, error);
}

crs_status crs_training_open(crs_training *training, crs_comm *comm, crs_settings *settings, crs_error *error) {
    const double now = crs_seconds();
    crs_checkpoint checkpoint = {0};
    *error = (crs_error){0};
    *training = (crs_training){.comm = comm,
                               .settings = settings,
                               .config = &settings->config,
                               .lock = -1,
                               .saved = -1,
                               .best_validation_loss = NAN,
                               .start = now,
                               .last_save = now,
                               .last_validation = now};
    prepare(training, &checkpoint, error);
    crs_checkpoint_free(&checkpoint);
    return error->status;
}

void crs_training_close(crs_training *training) {
    crs_metrics_close(&training->metrics);
    crs_engine_free(&training->engine);
    crs_optim_free(&training->optim);
    crs_shards_free(&training->shards);
    crs_model_free(&training->model);
    crs_free(&training->pace);
    crs_free(&training->rows_of);
    crs_free(&training->history.list);
    crs_free(&training->rates.list);
    crs_dataset_close(&training->dataset);
    crs_lock_release(&training->lock);
}
