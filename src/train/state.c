/* The state of a run to a checkpoint and back. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "train/load.h"
#include "train/training.h"

/* ---- history ---- */

crs_status crs_history_add(crs_history *h, int64_t step, double validation_loss, double training_loss,
                           crs_error *error) {
    const size_t count = (size_t)h->count;
    if (!crs_list_grow(&h->step, count, sizeof *h->step) ||
        !crs_list_grow(&h->validation_loss, count, sizeof *h->validation_loss) ||
        !crs_list_grow(&h->training_loss, count, sizeof *h->training_loss))
        return crs_fail(error, CRS_INTERNAL, "out of memory for the history of %" PRId64 " validations", h->count + 1);
    h->step[h->count] = step;
    h->validation_loss[h->count] = validation_loss;
    h->training_loss[h->count++] = training_loss;
    return CRS_OK;
}

void crs_history_free(crs_history *history) {
    crs_free(&history->step);
    crs_free(&history->validation_loss);
    crs_free(&history->training_loss);
    *history = (crs_history){0};
}

/* ---- capture ---- */

static bool put(crs_checkpoint *c, const char *path, crs_type type, int64_t count, const void *values,
                crs_error *error) {
    const int rank = count < 0 ? 0 : 1;
    crs_array *array = crs_checkpoint_add(c, path, type, rank, &count, error);
    if (array)
        memcpy(array->values, values, (size_t)crs_array_size(array) * sizeof(int64_t));
    return array != NULL;
}

static bool put_integer(crs_checkpoint *c, const char *path, int64_t value, crs_error *error) {
    return put(c, path, CRS_I64, -1, &value, error);
}

static bool put_run(const crs_training *t, crs_checkpoint *c, crs_error *error) {
    const double seconds = t->seconds_before + (crs_seconds() - t->start);
    const crs_history *h = &t->history;
    bool good = put_integer(c, "/state/updates", t->optim.updates, error) &&
                put_integer(c, "/state/window", t->step % t->plan.windows, error) &&
                put_integer(c, "/state/refused_in_a_row", t->refused_row, error) &&
                put_integer(c, "/run/schedule_total", t->schedule_total, error) &&
                put_integer(c, "/run/refused", t->refused_total, error) &&
                put(c, "/run/seconds", CRS_F64, -1, &seconds, error) &&
                put(c, "/run/save_seconds", CRS_F64, -1, &t->save_seconds, error) &&
                put(c, "/run/validation_seconds", CRS_F64, -1, &t->validation_seconds, error) &&
                put(c, "/history/mean_loss_sum", CRS_F64, -1, &t->mean.sum, error) &&
                put_integer(c, "/history/mean_loss_count", t->mean.count, error);
    if (good && t->owes_validation)
        good = put_integer(c, "/run/owes_validation", 1, error);
    if (good && h->count > 0)
        good = put(c, "/history/step", CRS_I64, h->count, h->step, error) &&
               put(c, "/history/validation_loss", CRS_F64, h->count, h->validation_loss, error) &&
               put(c, "/history/training_loss", CRS_F64, h->count, h->training_loss, error);
    if (good && t->rates.count > 0)
        good = put(c, "/history/rate_step", CRS_I64, t->rates.count, t->rates.step, error) &&
               put(c, "/history/rate", CRS_F64, t->rates.count, t->rates.rate, error);
    return good;
}

static bool copy_vocabulary(const crs_training *t, crs_checkpoint *c, crs_error *error) {
    const crs_vocabulary *v = &t->dataset.vocabulary;
    return crs_vocabulary_create(&c->vocabulary, v->level, v->code_points, v->count, error) == CRS_OK;
}

/* In the order of the file. */
static void put_attributes(const crs_training *t, crs_attributes *a) {
    crs_spec_put(&t->plan.spec, a);
    crs_attributes_put_integer(a, "step", t->step);
    crs_attributes_put_integer(a, "epoch", t->step / t->plan.windows);
    crs_attributes_put_integer(a, "tokens", t->step * t->config->batch * t->config->window);
    crs_attributes_put_real(a, "best_validation_loss", t->best_validation_loss);
    crs_attributes_put_text(a, "best_validation_loss_units", "nats a token");
    crs_attributes_put_text(a, "level", crs_level_name(t->dataset.vocabulary.level));
    crs_attributes_put_text(a, "data", t->dataset.digest);
}

/* All but the carried state. Rank 0. */
static crs_status capture(crs_training *t, crs_checkpoint *c, crs_error *error) {
    *c = (crs_checkpoint){0};
    put_attributes(t, &c->attributes);
    c->config = crs_config_text(t->config);
    if (!c->config)
        return crs_fail(error, CRS_INTERNAL, "out of memory for a checkpoint");
    if (!copy_vocabulary(t, c, error) ||
        crs_arena_capture(t->model, crs_model_parameters(t->model), c, "/model", error))
        return error->status;
    for (int i = 0; i < t->optim.moments; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "/optimizer/%s/%s", crs_optimizer_name(t->config->optimizer),
                 t->optim.moment_name[i]);
        if (crs_arena_capture(t->model, t->optim.moment[i], c, prefix, error))
            return error->status;
    }
    put_run(t, c, error);
    return error->status;
}

crs_status crs_state_capture(crs_training *t, crs_checkpoint *checkpoint, crs_error *error) {
    const int ranks = crs_comm_size(t->comm);
    const size_t state = crs_model_state(t->model);
    const int64_t dims[] = {t->config->batch, (int64_t)state};
    crs_array *hidden = NULL;
    int *rows_of = crs_alloc((size_t)ranks, sizeof *rows_of, CRS_MEMORY_OTHER);
    *checkpoint = (crs_checkpoint){0};
    if (!rows_of)
        crs_fail(error, CRS_INTERNAL, "out of memory for a checkpoint");
    else if (crs_comm_rank(t->comm) == 0 && capture(t, checkpoint, error) == CRS_OK)
        hidden = crs_checkpoint_add(checkpoint, "/state/hidden", CRS_F32, 2, dims, error);
    if (crs_comm_agree(t->comm, error) == CRS_OK) {
        crs_lanes_rows(&t->plan.lanes, ranks, rows_of);
        crs_comm_gather(t->comm, t->engine.state, hidden ? hidden->values : NULL, rows_of, state * sizeof(float));
    }
    crs_free(&rows_of);
    if (error->status)
        crs_checkpoint_free(checkpoint);
    return error->status;
}

/* ---- restore ---- */

static crs_status missing(const char *path, const char *name, crs_error *error) {
    return crs_fail(error, CRS_DATA, "%s: %s is missing or has not the shape that this run needs", path, name);
}

crs_status crs_state_integer(const crs_checkpoint *checkpoint, const char *name, const char *path, int64_t *value,
                             crs_error *error) {
    const crs_array *array = crs_checkpoint_find(checkpoint, name);
    if (!array || array->type != CRS_I64 || crs_array_size(array) != 1)
        return missing(path, name, error);
    *value = *(const int64_t *)array->values;
    return CRS_OK;
}

static crs_status get_real(const crs_checkpoint *checkpoint, const char *name, const char *path, double *value,
                           crs_error *error) {
    const crs_array *array = crs_checkpoint_find(checkpoint, name);
    if (!array || array->type != CRS_F64 || crs_array_size(array) != 1)
        return missing(path, name, error);
    *value = *(const double *)array->values;
    return CRS_OK;
}

bool crs_state_validated(const crs_checkpoint *checkpoint) {
    const crs_array *step = crs_checkpoint_find(checkpoint, "/history/step");
    const int64_t count = step && step->type == CRS_I64 ? crs_array_size(step) : 0;
    return count > 0 && ((const int64_t *)step->values)[count - 1] == crs_checkpoint_step(checkpoint);
}

crs_status crs_state_check_data(const crs_checkpoint *checkpoint, const char *path, const crs_dataset *dataset,
                                crs_error *error) {
    const crs_attribute *data = crs_attributes_find(&checkpoint->attributes, "data");
    if (!crs_vocabulary_equal(&checkpoint->vocabulary, &dataset->vocabulary))
        return crs_fail(
            error, CRS_DATA,
            "%s: its vocabulary is not that of %s; give the data that this run was trained on, or another -o",
            dataset->path, path);
    if (!data || strcmp(data->text, dataset->digest) != 0)
        return crs_fail(error, CRS_DATA,
                        "%s: its data (digest %s) is not what %s was trained on (%s); give that, or another -o",
                        dataset->path, dataset->digest, path, data ? data->text : "");
    return CRS_OK;
}

static crs_status restore_history(crs_training *t, const crs_checkpoint *c, const char *path, crs_error *error) {
    static const char *const names[] = {"/history/step", "/history/validation_loss", "/history/training_loss"};
    const crs_array *column[3];
    if (!crs_checkpoint_find(c, names[0]))
        return CRS_OK;
    for (int i = 0; i < 3; i++) {
        column[i] = crs_checkpoint_find(c, names[i]);
        if (!column[i] || column[i]->type != (i == 0 ? CRS_I64 : CRS_F64) || column[i]->rank != 1 ||
            column[i]->dims[0] != column[0]->dims[0])
            return missing(path, names[i], error);
    }
    const int64_t *step = column[0]->values;
    const double *validation = column[1]->values, *training = column[2]->values;
    for (int64_t i = 0; i < column[0]->dims[0]; i++)
        if (crs_history_add(&t->history, step[i], validation[i], training[i], error))
            break;
    return error->status;
}

static void add_rate(crs_rates *rates, int64_t step, double rate) {
    if (rates->count > 0 && rates->step[rates->count - 1] == step)
        rates->count--; /* no step was made with that one */
    rates->step[rates->count] = step;
    rates->rate[rates->count++] = rate;
}

/* The rates that there were, and this invocation's where it is another. */
static crs_status restore_rates(crs_training *t, const crs_checkpoint *c, const char *path, crs_error *error) {
    static const char *const names[] = {"/history/rate_step", "/history/rate"};
    const crs_array *step = crs_checkpoint_find(c, names[0]), *rate = crs_checkpoint_find(c, names[1]);
    const int64_t count = step ? step->dims[0] : 0;
    if (step && (step->type != CRS_I64 || step->rank != 1))
        return missing(path, names[0], error);
    if (!step != !rate || (rate && (rate->type != CRS_F64 || rate->rank != 1 || rate->dims[0] != count)))
        return missing(path, names[1], error);
    t->rates.step = crs_alloc((size_t)count + 2, sizeof *t->rates.step, CRS_MEMORY_OTHER);
    t->rates.rate = crs_alloc((size_t)count + 2, sizeof *t->rates.rate, CRS_MEMORY_OTHER);
    if (!t->rates.step || !t->rates.rate)
        return crs_fail(error, CRS_INTERNAL, "out of memory for the history of rates");
    for (int64_t i = 0; i < count; i++)
        add_rate(&t->rates, ((const int64_t *)step->values)[i], ((const double *)rate->values)[i]);
    if (t->config->rate != t->rate_before) {
        if (count == 0)
            add_rate(&t->rates, 0, t->rate_before);
        add_rate(&t->rates, crs_checkpoint_step(c), t->config->rate);
    }
    return CRS_OK;
}

static crs_status restore_optimizer(crs_training *t, const crs_checkpoint *c, const char *path, crs_error *error) {
    for (int i = 0; i < t->optim.moments; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "/optimizer/%s/%s", crs_optimizer_name(t->config->optimizer),
                 t->optim.moment_name[i]);
        if (crs_arena_restore(t->model, t->optim.moment[i], c, prefix, path, error))
            return error->status;
    }
    if (crs_state_integer(c, "/state/updates", path, &t->optim.updates, error))
        return error->status;
    if (t->optim.updates < 0 || t->optim.updates > crs_checkpoint_step(c))
        return crs_fail(error, CRS_DATA, "%s: %" PRId64 " updates in %" PRId64 " steps", path, t->optim.updates,
                        crs_checkpoint_step(c));
    return CRS_OK;
}

crs_status crs_state_restore(crs_training *t, const crs_checkpoint *c, const char *path, crs_error *error) {
    const crs_array *hidden = crs_checkpoint_find(c, "/state/hidden");
    const size_t state = crs_model_state(t->model);
    int64_t window = 0;
    if (!hidden || hidden->type != CRS_F32 || hidden->rank != 2 || hidden->dims[0] != t->config->batch ||
        hidden->dims[1] != (int64_t)state)
        return missing(path, "/state/hidden", error);
    if (crs_arena_restore(t->model, crs_model_parameters(t->model), c, "/model", path, error) ||
        restore_optimizer(t, c, path, error) || crs_state_integer(c, "/state/window", path, &window, error) ||
        crs_state_integer(c, "/state/refused_in_a_row", path, &t->refused_row, error) ||
        crs_state_integer(c, "/run/refused", path, &t->refused_total, error) ||
        get_real(c, "/run/seconds", path, &t->seconds_before, error) ||
        get_real(c, "/run/save_seconds", path, &t->save_seconds, error) ||
        get_real(c, "/run/validation_seconds", path, &t->validation_seconds, error) ||
        get_real(c, "/history/mean_loss_sum", path, &t->mean.sum, error) ||
        crs_state_integer(c, "/history/mean_loss_count", path, &t->mean.count, error) ||
        restore_history(t, c, path, error) || restore_rates(t, c, path, error))
        return error->status;
    t->owes_validation = crs_checkpoint_find(c, "/run/owes_validation") != NULL;
    if (window != crs_checkpoint_step(c) % t->plan.windows)
        return crs_fail(error, CRS_DATA, "%s: window %" PRId64 " is not that of step %" PRId64, path, window,
                        crs_checkpoint_step(c));
    memcpy(t->engine.state, (const float *)hidden->values + (size_t)t->plan.lanes.first_row * state,
           (size_t)t->plan.lanes.own_rows * state * sizeof(float));
    crs_model_refresh(t->model);
    return CRS_OK;
}
