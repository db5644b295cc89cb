/* One training step over all ranks: read, forward and backward, sums to their owners, one update, parameters to all. */
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

/* What ranks tell each other of where their time went, in nanoseconds. */
enum { NOTE_COMPUTING, NOTE_READING, NOTE_SENDING, NOTES };

/* The squares of rows travel by owner, those of each in the order of the file. */
static crs_status place_squares(crs_engine *e, crs_error *error) {
    const crs_shards *shards = e->setup.shards;
    const size_t rows = (size_t)shards->rows, owners = (size_t)shards->owners;
    e->squares = crs_alloc(rows, sizeof *e->squares, CRS_MEMORY_OTHER);
    e->travelling = crs_alloc(rows, sizeof *e->travelling, CRS_MEMORY_OTHER);
    e->place = crs_alloc(rows, sizeof *e->place, CRS_MEMORY_OTHER);
    e->share_at = crs_alloc(owners + 1, sizeof *e->share_at, CRS_MEMORY_OTHER);
    if (!e->squares || !e->travelling || !e->place || !e->share_at)
        return crs_fail(error, CRS_INTERNAL, "out of memory for the norm of a gradient of %zu rows", rows);
    /* Counted, then placed: meanwhile share_at[owner] is where its next row goes, and in the end where the next owner
     * begins. */
    for (size_t row = 0; row < rows; row++)
        e->share_at[shards->owner_of_row[row] + 1] += sizeof(double);
    for (size_t owner = 1; owner <= owners; owner++)
        e->share_at[owner] += e->share_at[owner - 1];
    for (size_t row = 0; row < rows; row++) {
        size_t *next = &e->share_at[shards->owner_of_row[row]];
        e->place[row] = (int)(*next / sizeof(double));
        *next += sizeof(double);
    }
    memmove(e->share_at + 1, e->share_at, owners * sizeof *e->share_at);
    e->share_at[0] = 0;
    return CRS_OK;
}

static crs_status open_exchange(crs_engine *e, crs_error *error) {
    const crs_engine_setup *s = &e->setup;
    const crs_shards *shards = s->shards;
    const crs_exchange_plan plan = {.kernels = s->kernels,
                                    .regions = shards->regions,
                                    .bound = shards->bound,
                                    .derived = shards->derived,
                                    .trailer = CRS_SUM_TRAILER + CRS_NEWS,
                                    .notes = NOTES,
                                    .stages = shards->stages,
                                    .extent = shards->run,
                                    .first_extent = shards->first_run};
    e->notes = crs_alloc((size_t)shards->owners * NOTES, sizeof *e->notes, CRS_MEMORY_OTHER);
    e->spent = crs_alloc((size_t)shards->owners, sizeof *e->spent, CRS_MEMORY_OTHER);
    if (!e->notes || !e->spent)
        return crs_fail(error, CRS_INTERNAL, "out of memory for the times of %d ranks", shards->owners);
    if (place_squares(e, error))
        return error->status;
    return crs_exchange_create(&e->exchange, s->comm, &plan, error);
}

static crs_status allocate(crs_engine *e, crs_error *error) {
    const crs_engine_setup *s = &e->setup;
    if (open_feed(e, error) || open_exchange(e, error))
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

/* ---- on the way while the network computes ---- */

/* Parameters of a stage are waited for when the pass comes to it; returns how many parts it has. */
static int want_stage(void *context, int part) {
    const crs_engine *e = context;
    const crs_shards *shards = e->setup.shards;
    int stage = 1;
    while (stage < shards->stages && shards->stage_part[stage] != part)
        stage++;
    if (stage == shards->stages)
        return 0;
    crs_phase_begin(CRS_PHASE_SUM);
    return crs_exchange_here(e->exchange, stage) ? shards->stage_part[stage + 1] - part : 0;
}

/* The parameters of one stage, and what is derived from them. */
static void bring(crs_engine *e, int stage) {
    const int *part = e->setup.shards->stage_part + stage;
    crs_phase_begin(CRS_PHASE_SUM);
    if (crs_exchange_here(e->exchange, stage)) {
        crs_phase_begin(CRS_PHASE_REFRESH);
        crs_model_refresh_parts(e->setup.model, part[0], part[1]);
    }
}

/* All that no pass has asked for. */
static void settle(crs_engine *e, int first_stage) {
    for (int stage = first_stage; stage < e->setup.shards->stages; stage++)
        bring(e, stage);
}

void crs_engine_settle(crs_engine *engine) {
    settle(engine, 0);
}

void crs_engine_free(crs_engine *engine) {
    if (engine->exchange)
        settle(engine, 0); /* nothing is on its way into what is freed */
    crs_feed_close(&engine->feed);
    crs_workspace_free(&engine->workspace);
    crs_free(&engine->state);
    crs_free(&engine->state_before);
    crs_free(&engine->sums);
    crs_free(&engine->gradient);
    crs_exchange_free(&engine->exchange);
    crs_free(&engine->squares);
    crs_free(&engine->travelling);
    crs_free(&engine->place);
    crs_free(&engine->share_at);
    crs_free(&engine->notes);
    crs_free(&engine->spent);
}

/* The first sums may go: by now the pass has had all parameters. */
static void begin_sums(crs_engine *e) {
    if (!e->begun)
        crs_exchange_begin(e->exchange, e->sums, e->setup.reduce == CRS_REDUCE_FLOAT);
    e->begun = true;
}

static void send_ready(void *context, size_t complete) {
    crs_engine *e = context;
    begin_sums(e);
    crs_exchange_ready(e->exchange, complete);
}

static void look_after(void *context) {
    const crs_engine *e = context;
    crs_exchange_progress(e->exchange);
}

/* Adds what this rank's rows have to say to the sums. */
static crs_status contribute(crs_engine *e, int64_t step, crs_error *error) {
    const crs_engine_setup *s = &e->setup;
    if (crs_fault("slow-step"))
        usleep(700000);
    if (crs_fault("slow-rank") && crs_rank() == 1)
        usleep(20000);
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
        const double start = crs_seconds();
        if (crs_feed_read(e->feed, step, p, &batch, error))
            return error->status;
        e->reading += crs_seconds() - start;
        const crs_watch watch = {.wanted = p == 0 ? want_stage : NULL,
                                 .ready = p == passes - 1 && s->overlap ? send_ready : NULL,
                                 .progress = s->overlap ? look_after : NULL,
                                 .context = e};
        crs_model_train(s->model, e->workspace, &batch, e->sums, &watch);
    }
    return CRS_OK;
}

/* Nothing was learned from this step: the next one begins where it began. */
static void take_back(crs_engine *e) {
    memcpy(e->state, e->state_before, e->states * sizeof *e->state);
}

/* A row's squares are summed by the owner of the row, and added by every rank in the order of the file. */
static double norm_of_gradient(crs_engine *e) {
    const crs_engine_setup *s = &e->setup;
    const int rank = crs_comm_rank(s->comm);
    const int64_t rows = s->shards->rows;
    crs_model_squares(s->model, s->shards, rank, e->gradient, e->squares);
    if (s->shards->owners == 1)
        return crs_norm_of(e->squares, rows);
    for (int64_t i = 0; i < rows; i++)
        if (s->shards->owner_of_row[i] == rank)
            e->travelling[e->place[i]] = e->squares[i];
    crs_phase_begin(CRS_PHASE_SUM);
    crs_comm_share(s->comm, e->travelling, e->share_at);
    crs_phase_begin(CRS_PHASE_GRADIENT);
    for (int64_t i = 0; i < rows; i++)
        e->squares[i] = e->travelling[e->place[i]];
    return crs_norm_of(e->squares, rows);
}

static void update(crs_engine *e, int64_t step, crs_outcome *outcome) {
    const crs_engine_setup *s = &e->setup;
    const int rank = crs_comm_rank(s->comm);
    int first;
    const int runs = crs_shards_runs(s->shards, rank, &first);
    crs_phase_begin(CRS_PHASE_GRADIENT);
    outcome->rate = crs_schedule_rate(&s->schedule, step);
    if (outcome->refused == 0) {
        crs_model_gradient(s->model, s->shards, rank, e->sums, e->gradient);
        outcome->norm = norm_of_gradient(e);
        outcome->refused = !isfinite(outcome->norm);
    }
    if (outcome->refused > 0) {
        take_back(e);
        outcome->loss = outcome->norm = NAN;
        return;
    }
    crs_phase_begin(CRS_PHASE_UPDATE);
    float *parameters = crs_model_parameters(s->model);
    crs_exchange_keep(e->exchange, parameters);
    crs_optim_update(s->optim, s->kernels, s->shards->run + first, runs, parameters, e->gradient,
                     crs_clip_scale(outcome->norm, s->clip), outcome->rate, s->threads);
    crs_phase_begin(CRS_PHASE_SUM);
    crs_exchange_spread(e->exchange, parameters);
    if (!s->overlap)
        settle(e, 0);
    if (s->shards->owners == 1) {
        crs_phase_begin(CRS_PHASE_REFRESH);
        crs_model_refresh(s->model);
    }
}

/* The last sums, and with them what this rank's time went into; then what that of all did. */
static void tell_times(crs_engine *e, double computing) {
    const int ranks = e->setup.shards->owners;
    int64_t *own = e->notes + (size_t)crs_comm_rank(e->setup.comm) * NOTES;
    own[NOTE_COMPUTING] = (int64_t)((computing - e->reading) * 1e9);
    own[NOTE_READING] = (int64_t)(e->reading * 1e9);
    own[NOTE_SENDING] = (int64_t)(e->sending * 1e9);
    crs_exchange_finish(e->exchange, e->notes);
    for (int r = 0; r < ranks; r++) {
        const int64_t *note = e->notes + (size_t)r * NOTES;
        e->spent[r] = (crs_spent){(double)note[NOTE_COMPUTING] * 1e-9, (double)note[NOTE_READING] * 1e-9,
                                  (double)note[NOTE_SENDING] * 1e-9};
    }
}

/* Of what talking took, that which was not waiting for the slowest. */
static double sending(const crs_engine *e, double talking) {
    const double longest = crs_spent_longest(e->spent, e->setup.shards->owners);
    return fmax(0, talking - (longest - crs_spent_busy(&e->spent[crs_comm_rank(e->setup.comm)])));
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
    engine->begun = false;
    engine->reading = 0;
    bring(engine, 0);
    if (error->status == CRS_OK)
        contribute(engine, step, error);
    if (error->status != CRS_OK)
        memset(engine->sums, 0, n * sizeof *engine->sums);
    if (crs_fault("refuse") && crs_rank() == 1)
        engine->sums[n - CRS_SUM_TRAILER + CRS_SUM_REFUSED]++;
    engine->own_refused = engine->sums[n - CRS_SUM_TRAILER + CRS_SUM_REFUSED];
    memcpy(engine->sums + n, news, CRS_NEWS * sizeof *news);
    engine->sums[n + CRS_NEWS_BAD] = error->status != CRS_OK;
    settle(engine, 1); /* of a rank without rows */
    crs_phase_begin(CRS_PHASE_SUM);
    begin_sums(engine);
    tell_times(engine, crs_seconds() - start - (crs_comm_time(s->comm) - comm_start));

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
    engine->sending = sending(engine, outcome->comm_seconds);
    return CRS_OK;
}
