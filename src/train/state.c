/* The state of a run to a checkpoint and back. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "train/load.h"
#include "train/training.h"

/* ---- what there is besides tensors ---- */

/* A scalar, and where it stands in a crs_training. In the order of the file; the last one only where it is not 0. */
static const struct {
    const char *path;
    crs_type type; /* of 8 bytes */
    size_t offset;
} scalars[] = {
    {"/state/updates", CRS_I64, offsetof(crs_training, optim.updates)},
    {"/state/window", CRS_I64, offsetof(crs_training, window)},
    {"/state/refused_in_a_row", CRS_I64, offsetof(crs_training, refused_row)},
    {"/run/schedule_total", CRS_I64, offsetof(crs_training, schedule_total)},
    {"/run/refused", CRS_I64, offsetof(crs_training, refused_total)},
    {"/run/seconds", CRS_F64, offsetof(crs_training, seconds_before)},
    {"/run/save_seconds", CRS_F64, offsetof(crs_training, save_seconds)},
    {"/run/validation_seconds", CRS_F64, offsetof(crs_training, validation_seconds)},
    {"/history/mean_loss_sum", CRS_F64, offsetof(crs_training, mean.sum)},
    {"/history/mean_loss_count", CRS_I64, offsetof(crs_training, mean.count)},
    {"/run/owes_validation", CRS_I64, offsetof(crs_training, owes_validation)},
};
enum { SCALARS = sizeof scalars / sizeof *scalars - 1 };

/* The columns of a history, ended by NULL: the steps, and what belongs to each. */
static const char *const validation_columns[] = {"/history/step", "/history/validation_loss", "/history/training_loss",
                                                 NULL},
                         *const rate_columns[] = {"/history/rate_step", "/history/rate", NULL};

crs_status crs_history_add(crs_history *h, int64_t step, double value, double second, crs_error *error) {
    if (!crs_list_grow(&h->list, (size_t)h->count, sizeof *h->list))
        return crs_fail(error, CRS_INTERNAL, "out of memory for the history of a run");
    h->list[h->count++] = (crs_event){step, {value, second}};
    return CRS_OK;
}

/* ---- capture ---- */

static crs_status put_scalars(const crs_training *t, crs_checkpoint *c, crs_error *error) {
    for (int i = 0; i < SCALARS + (t->owes_validation != 0); i++) {
        const crs_array *array = crs_checkpoint_add(c, scalars[i].path, scalars[i].type, 0, NULL, error);
        if (!array)
            return error->status;
        memcpy(array->values, (const char *)t + scalars[i].offset, sizeof(int64_t));
    }
    return CRS_OK;
}

static crs_status put_history(const crs_history *h, const char *const *columns, crs_checkpoint *c, crs_error *error) {
    for (int k = 0; columns[k] && h->count > 0; k++) {
        const crs_array *array = crs_checkpoint_add(c, columns[k], k > 0 ? CRS_F64 : CRS_I64, 1, &h->count, error);
        if (!array)
            return error->status;
        for (int64_t i = 0; i < h->count; i++)
            if (k > 0)
                ((double *)array->values)[i] = h->list[i].value[k - 1];
            else
                ((int64_t *)array->values)[i] = h->list[i].step;
    }
    return CRS_OK;
}

static const char *loss_unit(const crs_spec *spec) {
    if (spec->targets == CRS_TARGET_NEXT && spec->input == CRS_INPUT_TOKENS)
        return "nats a token";
    if (spec->head == CRS_HEAD_SOFTMAX)
        return "nats a target";
    if (spec->head == CRS_HEAD_LOGISTIC)
        return "nats a step";
    return spec->head == CRS_HEAD_GAUSSIAN ? "nats a number" : "scaled, a number";
}

/* In the order of the file. */
static void put_attributes(const crs_training *t, crs_attributes *a) {
    const crs_vocabulary *v = &t->dataset.vocabulary;
    crs_spec_put(&t->plan.spec, a);
    crs_attributes_put_integer(a, "step", t->step);
    crs_attributes_put_integer(a, "epoch", t->step / t->plan.windows);
    crs_attributes_put_integer(a, "tokens", t->tokens);
    crs_attributes_put_real(a, "best_validation_loss", t->best_validation_loss);
    crs_attributes_put_text(a, "best_validation_loss_units", loss_unit(&t->plan.spec));
    if (v->count > 0)
        crs_attributes_put_text(a, "level", crs_level_name(v->level));
    if (v->level == CRS_LEVEL_WORD) {
        crs_attributes_put_text(a, "words", crs_words_names()[v->words]);
        crs_attributes_put_integer(a, "lower", v->lower);
    }
    crs_attributes_put_text(a, "data", t->dataset.digest);
}

/* What goes before the moments. Rank 0. */
static crs_status capture_model(const crs_training *t, crs_checkpoint *c, crs_error *error) {
    put_attributes(t, &c->attributes);
    if (!t->dataset.text && crs_checkpoint_put_schema(c, &t->dataset.schema, error))
        return error->status;
    c->config = crs_config_text(t->config);
    if (!c->config)
        return crs_fail(error, CRS_INTERNAL, "out of memory for a checkpoint");
    if (crs_vocabulary_copy(&c->vocabulary, &t->dataset.vocabulary, error))
        return error->status;
    return crs_arena_capture(t->model, crs_model_parameters(t->model), c, "/model", error);
}

/* What goes behind them. Rank 0. */
static crs_status capture_rest(crs_training *t, crs_checkpoint *c, crs_error *error) {
    t->window = t->step % t->plan.windows;
    t->seconds_before += crs_seconds() - t->start;
    t->start = crs_seconds();
    if (put_scalars(t, c, error) || put_history(&t->history, validation_columns, c, error))
        return error->status;
    return put_history(&t->rates, rate_columns, c, error);
}

static void name_moment(const crs_training *t, int moment, char name[64]) {
    snprintf(name, 64, "/optimizer/%s/%s", crs_optimizer_name(t->config->optimizer), t->optim.moment_name[moment]);
}

/* Each owner's floats, one run after the other, from or to where they stand in an arena. */
static void copy_runs(const crs_shards *shards, int owner, float *runs, float *arena, bool to_arena) {
    int first;
    const int count = crs_shards_runs(shards, owner, &first);
    for (int i = first; i < first + count; runs += shards->run[i++].count) {
        float *at = arena + shards->run[i].at;
        memcpy(to_arena ? at : runs, to_arena ? runs : at, shards->run[i].count * sizeof *at);
    }
}

/* The moments of all owners, one after the other, at rank 0: gathered[arena], arena[arena]. Collective. */
static void gather_moment(const crs_training *t, int moment, const int *blocks_of, float *gathered, float *arena) {
    enum { BLOCK_BYTES = CRS_BLOCK * sizeof(float) };
    crs_comm_gather(t->comm, t->optim.moment[moment], gathered, blocks_of, BLOCK_BYTES);
    for (int r = 0; r < t->shards.owners && gathered; r++) {
        copy_runs(&t->shards, r, gathered, arena, true);
        gathered += (size_t)blocks_of[r] * CRS_BLOCK;
    }
}

/* Collective, with an error of rank 0 too. */
static crs_status capture_moments(crs_training *t, crs_checkpoint *c, crs_error *error) {
    const size_t n = crs_model_arena(t->model), ranks = (size_t)t->shards.owners;
    float *gathered = NULL, *arena = NULL;
    int *blocks_of = crs_alloc_or_fail(ranks, sizeof *blocks_of, CRS_MEMORY_OTHER, "a checkpoint", error);
    if (blocks_of && crs_at_root(t) && error->status == CRS_OK && ranks > 1 &&
        (gathered = crs_alloc_or_fail(n, sizeof *gathered, CRS_MEMORY_OTHER, "the moments of all ranks", error)))
        arena = crs_alloc_or_fail(n, sizeof *arena, CRS_MEMORY_OTHER, "the moments of all ranks", error);
    for (int r = 0; blocks_of && r < t->shards.owners; r++)
        blocks_of[r] = (int)(crs_shards_owned(&t->shards, r) / CRS_BLOCK);
    crs_comm_agree(t->comm, error);
    for (int i = 0; i < t->optim.moments && error->status == CRS_OK; i++) {
        char name[64];
        name_moment(t, i, name);
        if (ranks > 1)
            gather_moment(t, i, blocks_of, gathered, arena);
        if (crs_at_root(t))
            crs_arena_capture(t->model, ranks > 1 ? arena : t->optim.moment[i], c, name, error);
        crs_comm_agree(t->comm, error);
    }
    crs_free(&arena);
    crs_free(&gathered);
    crs_free(&blocks_of);
    return error->status;
}

/* Whole sequences begin from zero states, and leave none behind. */
static bool carries_state(const crs_training *t) {
    return t->config->window > 0;
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
    else if (crs_at_root(t))
        capture_model(t, checkpoint, error);
    if (capture_moments(t, checkpoint, error) == CRS_OK && crs_at_root(t) &&
        capture_rest(t, checkpoint, error) == CRS_OK && carries_state(t))
        hidden = crs_checkpoint_add(checkpoint, "/state/hidden", CRS_F32, 2, dims, error);
    if (crs_comm_agree(t->comm, error) == CRS_OK && carries_state(t)) {
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

crs_status crs_state_scalar(const crs_checkpoint *checkpoint, const char *name, crs_type type, const char *path,
                            void *value, crs_error *error) {
    const crs_array *array = crs_checkpoint_find(checkpoint, name);
    if (!array || array->type != type || crs_array_size(array) != 1)
        return missing(path, name, error);
    memcpy(value, array->values, sizeof(int64_t));
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
    if (!crs_vocabulary_equal(&checkpoint->vocabulary, &dataset->vocabulary) && dataset->text)
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

static crs_status restore_history(crs_history *h, const char *const *columns, const crs_checkpoint *c, const char *path,
                                  crs_error *error) {
    const crs_array *first = crs_checkpoint_find(c, columns[0]);
    const int64_t count = first ? first->dims[0] : 0, *step = first ? first->values : NULL;
    const double *values[2] = {NULL, NULL};
    for (int k = 0; columns[k]; k++) {
        const crs_array *array = crs_checkpoint_find(c, columns[k]);
        const crs_type type = k > 0 ? CRS_F64 : CRS_I64;
        if (!array != !first || (array && (array->type != type || array->rank != 1 || array->dims[0] != count)))
            return missing(path, columns[k], error);
        if (k > 0 && array)
            values[k - 1] = array->values;
    }
    for (int64_t i = 0; i < count && !error->status; i++)
        crs_history_add(h, step[i], values[0][i], values[1] ? values[1][i] : 0, error);
    return error->status;
}

/* The rates that there were, and this invocation's where it is another. */
static crs_status restore_rates(crs_training *t, const crs_checkpoint *c, const char *path, crs_error *error) {
    crs_history *rates = &t->rates;
    const int64_t step = crs_checkpoint_step(c);
    if (restore_history(rates, rate_columns, c, path, error) || t->config->rate == t->rate_before)
        return error->status;
    if (rates->count == 0 && crs_history_add(rates, 0, t->rate_before, 0, error))
        return error->status;
    if (rates->list[rates->count - 1].step == step)
        rates->count--; /* no step was made with that one */
    return crs_history_add(rates, step, t->config->rate, 0, error);
}

static crs_status restore_optimizer(crs_training *t, const crs_checkpoint *c, const char *path, crs_error *error) {
    float *arena = crs_alloc_or_fail(crs_model_arena(t->model), sizeof *arena, CRS_MEMORY_OTHER,
                                     "the moments of all ranks", error);
    for (int i = 0; i < t->optim.moments && error->status == CRS_OK; i++) {
        char name[64];
        name_moment(t, i, name);
        if (crs_arena_restore(t->model, arena, c, name, path, error) == CRS_OK)
            copy_runs(&t->shards, crs_comm_rank(t->comm), t->optim.moment[i], arena, false);
    }
    crs_free(&arena);
    if (error->status)
        return error->status;
    if (t->optim.updates < 0 || t->optim.updates > crs_checkpoint_step(c))
        return crs_fail(error, CRS_DATA, "%s: %" PRId64 " updates in %" PRId64 " steps", path, t->optim.updates,
                        crs_checkpoint_step(c));
    return CRS_OK;
}

crs_status crs_state_restore(crs_training *t, const crs_checkpoint *c, const char *path, crs_error *error) {
    const crs_array *hidden = crs_checkpoint_find(c, "/state/hidden");
    const size_t state = crs_model_state(t->model);
    if (carries_state(t) && (!hidden || hidden->type != CRS_F32 || hidden->rank != 2 ||
                             hidden->dims[0] != t->config->batch || hidden->dims[1] != (int64_t)state))
        return missing(path, "/state/hidden", error);
    for (int i = 0; i < SCALARS; i++)
        if (crs_state_scalar(c, scalars[i].path, scalars[i].type, path, (char *)t + scalars[i].offset, error))
            return error->status;
    if (crs_arena_restore(t->model, crs_model_parameters(t->model), c, "/model", path, error) ||
        restore_optimizer(t, c, path, error) || restore_history(&t->history, validation_columns, c, path, error) ||
        restore_rates(t, c, path, error))
        return error->status;
    t->owes_validation = crs_checkpoint_find(c, scalars[SCALARS].path) != NULL;
    if (t->window != crs_checkpoint_step(c) % t->plan.windows)
        return crs_fail(error, CRS_DATA, "%s: window %" PRId64 " is not that of step %" PRId64, path, t->window,
                        crs_checkpoint_step(c));
    crs_attributes_integer(&c->attributes, "tokens", path, &t->tokens, error);
    if (carries_state(t))
        memcpy(t->engine.state, (const float *)hidden->values + (size_t)t->plan.lanes.first_row * state,
               (size_t)t->plan.lanes.own_rows * state * sizeof(float));
    crs_model_refresh(t->model);
    return error->status;
}
