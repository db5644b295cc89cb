/* One training step over all ranks: read, forward and backward, one sum, one update. */
#include "config.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "train/step.h"

static crs_status open_feed(crs_engine *e, crs_error *error) {
    const crs_engine_setup *s = &e->setup;
    int own = s->lanes.own_lanes;
    if (crs_fault("lane") && crs_rank() == 1)
        own--;
    int *starts = crs_alloc_or_fail((size_t)own + 1, sizeof *starts, CRS_MEMORY_OTHER, "a step's rows", error);
    if (!starts)
        return error->status;
    for (int lane = 0; lane <= own; lane++)
        starts[lane] = crs_lane_start(&s->lanes, s->lanes.first_lane + lane);
    const crs_feed_plan plan = {.split = CRS_TRAIN,
                                .batch = s->lanes.batch,
                                .window = s->window,
                                .change = s->change,
                                .order = s->order,
                                .seed = s->seed,
                                .lanes = own,
                                .lane_start = starts,
                                .pass_rows = s->pass_rows,
                                .pass_pairs = s->pass_pairs};
    crs_feed_open(&e->feed, s->dataset, &plan, error);
    crs_free(&starts);
    return error->status;
}

static crs_status allocate(crs_engine *e, crs_error *error) {
    const crs_engine_setup *s = &e->setup;
    if (open_feed(e, error))
        return error->status;
    const crs_feed_size most = crs_feed_most(e->feed);
    const int uses = CRS_TRAINING | (s->dropout > 0 ? CRS_DROPOUT : 0);
    e->states = (size_t)most.states * crs_model_state(s->model);
    e->state = crs_alloc(e->states, sizeof *e->state, CRS_MEMORY_ACTIVATIONS);
    e->state_before = crs_alloc(e->states, sizeof *e->state_before, CRS_MEMORY_ACTIVATIONS);
    e->sums = crs_alloc(crs_model_sums(s->model) + CRS_NEWS, sizeof *e->sums, CRS_MEMORY_GRADIENTS);
    e->gradient = crs_alloc(crs_model_arena(s->model), sizeof *e->gradient, CRS_MEMORY_GRADIENTS);
    if (!e->state || !e->state_before || !e->sums || !e->gradient)
        return crs_fail(error, CRS_INTERNAL, "out of memory for a step of %d rows x %d", s->lanes.own_rows, most.steps);
    return crs_workspace_create_packed(&e->workspace, s->model, most.rows, most.steps, most.pairs, uses, error);
}

crs_status crs_engine_create(crs_engine *engine, const crs_engine_setup *setup, crs_error *error) {
    *engine = (crs_engine){.setup = *setup};
    if (allocate(engine, error) != CRS_OK)
        crs_engine_free(engine);
    return error->status;
}

void crs_engine_free(crs_engine *engine) {
    crs_feed_close(&engine->feed);
    crs_workspace_free(&engine->workspace);
    crs_free(&engine->state);
    crs_free(&engine->state_before);
    crs_free(&engine->sums);
    crs_free(&engine->gradient);
}

/* Adds what this rank's rows have to say to the sums. */
static crs_status contribute(crs_engine *e, int64_t step, crs_error *error) {
    const crs_engine_setup *s = &e->setup;
    if (crs_fault("slow-step"))
        usleep(700000);
    const bool other_mask = crs_fault("mask") && crs_rank() == 1;
    const int passes = crs_feed_passes(e->feed, step);
    for (int p = 0; p < passes; p++) {
        crs_batch batch = {.state = e->state + (size_t)crs_feed_state_row(e->feed, p) * crs_model_state(s->model),
                           .lane_rows = s->lanes.lane_rows,
                           .dropout = (float)s->dropout,
                           .input_dropout = (float)s->input_dropout,
                           .input_noise = (float)s->input_noise,
                           .loss_limit = s->loss_limit,
                           .seed = other_mask ? ~s->seed : s->seed,
                           .step = (uint64_t)step};
        if (crs_feed_read(e->feed, step, p, &batch, error))
            return error->status;
        crs_model_train(s->model, e->workspace, &batch, e->sums, NULL);
    }
    return CRS_OK;
}

/* One sum for the gradient, the loss and the news; with --reduce=float the gradient alone travels as floats. */
static void reduce(crs_engine *e) {
    const size_t n = crs_model_sums(e->setup.model), gradients = n - CRS_SUM_TRAILER;
    crs_phase_begin(CRS_PHASE_SUM);
    if (e->setup.reduce == CRS_REDUCE_INT64) {
        crs_comm_sum(e->setup.comm, e->sums, n + CRS_NEWS);
        return;
    }
    crs_comm_sum_float(e->setup.comm, e->sums, gradients);
    crs_comm_sum(e->setup.comm, e->sums + gradients, CRS_SUM_TRAILER + CRS_NEWS);
}

/* Nothing was learned from this step: the next one begins where it began. */
static void take_back(crs_engine *e) {
    memcpy(e->state, e->state_before, e->states * sizeof *e->state);
}

static void update(crs_engine *e, int64_t step, crs_outcome *outcome) {
    const crs_engine_setup *s = &e->setup;
    crs_phase_begin(CRS_PHASE_GRADIENT);
    outcome->rate = crs_schedule_rate(&s->schedule, step);
    if (outcome->refused == 0) {
        crs_model_gradient(s->model, e->sums, e->gradient);
        outcome->norm = crs_model_norm(s->model, e->gradient);
        outcome->refused = !isfinite(outcome->norm);
    }
    if (outcome->refused > 0) {
        take_back(e);
        outcome->loss = outcome->norm = NAN;
        return;
    }
    crs_phase_begin(CRS_PHASE_UPDATE);
    crs_optim_update(s->optim, s->kernels, crs_model_parameters(s->model), e->gradient,
                     crs_clip_scale(outcome->norm, s->clip), outcome->rate, s->threads);
    crs_phase_begin(CRS_PHASE_REFRESH);
    crs_model_refresh(s->model);
}

crs_status crs_engine_step(crs_engine *engine, int64_t step, const int64_t news[CRS_NEWS], crs_outcome *outcome,
                           crs_error *error) {
    const crs_engine_setup *s = &engine->setup;
    const double start = crs_seconds(), comm_start = crs_comm_time(s->comm);
    const size_t n = crs_model_sums(s->model);
    if (step % s->windows == 0)
        memset(engine->state, 0, engine->states * sizeof *engine->state);
    memcpy(engine->state_before, engine->state, engine->states * sizeof *engine->state);
    memset(engine->sums, 0, n * sizeof *engine->sums);
    if (error->status == CRS_OK)
        contribute(engine, step, error);
    if (error->status != CRS_OK)
        memset(engine->sums, 0, n * sizeof *engine->sums);
    memcpy(engine->sums + n, news, CRS_NEWS * sizeof *news);
    engine->sums[n + CRS_NEWS_BAD] = error->status != CRS_OK;
    reduce(engine);

    *outcome = (crs_outcome){0};
    memcpy(outcome->news, engine->sums + n, sizeof outcome->news);
    const int64_t *trailer = engine->sums + n - CRS_SUM_TRAILER;
    outcome->targets = trailer[CRS_SUM_TARGETS];
    outcome->refused = trailer[CRS_SUM_REFUSED];
    outcome->loss = (double)trailer[CRS_SUM_LOSS] / (double)trailer[CRS_SUM_WEIGHT];
    if (outcome->news[CRS_NEWS_BAD] > 0) {
        take_back(engine);
        return crs_comm_agree(s->comm, error);
    }
    update(engine, step, outcome);
    outcome->seconds = crs_seconds() - start;
    outcome->comm_seconds = crs_comm_time(s->comm) - comm_start;
    return CRS_OK;
}
