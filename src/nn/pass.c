/* Passes over a batch: who does what, the carried state, and the entry points. */
#include "config.h"

#include <string.h>

#include "model.h"

/* Fewer rows than this a team leave the tiles of the recurrent product thin: then units are shared out instead. */
enum { TEAM_ROWS = 12 };

/* Small layers run the input product beside the recurrent one, while both panels stay in the second-level cache. */
enum { JOINED_BYTES = 768 << 10 };

static crs_worker worker_of(const crs_pass *pass, int thread, int threads) {
    const int rows = pass->batch->rows;
    int teams = threads;
    while (teams > 1 && (threads % teams || rows / teams < TEAM_ROWS))
        teams--;
    crs_worker w = {.thread = thread, .threads = threads, .team_size = threads / teams};
    const int team = thread / w.team_size;
    w.member = thread % w.team_size;
    w.first_row = crs_share(rows, team, teams);
    w.end_row = crs_share(rows, team + 1, teams);
    w.all_rows = teams == 1;
    return w;
}

static bool joined(const crs_model *m) {
    const int64_t inputs = m->spec.layers > 1 ? m->spec.hidden : m->layers[0].inputs;
    return (inputs + m->spec.hidden) * crs_h_all(m) * (int64_t)sizeof(float) <= JOINED_BYTES;
}

/* One part (h or c) of a row of a layer in the carried state. */
static float *state_part(const crs_model *m, float *state, int row, int layer, int part) {
    const int parts = crs_cell_parts(m->spec.cell);
    return state + (size_t)row * crs_model_state(m) + (size_t)(layer * parts + part) * (size_t)m->spec.hidden;
}

static void read_state(const crs_pass *pass, const crs_worker *worker) {
    const crs_model *m = pass->model;
    const int parts = crs_cell_parts(m->spec.cell), rows = worker->end_row - worker->first_row;
    const int first = worker->first_row + crs_share(rows, worker->member, worker->team_size);
    const int end = worker->first_row + crs_share(rows, worker->member + 1, worker->team_size);
    const size_t hidden = (size_t)m->spec.hidden, padded = (size_t)m->hidden_padded;
    for (int row = first; row < end; row++)
        for (int l = 0; l < m->spec.layers; l++)
            for (int part = 0; part < parts; part++) {
                float *to = (part ? pass->workspace->c[l] : pass->workspace->h[l]) + (size_t)row * padded;
                memcpy(to, state_part(m, pass->batch->state, row, l, part), hidden * sizeof *to);
                memset(to + hidden, 0, (padded - hidden) * sizeof *to);
            }
}

static void write_state(const crs_pass *pass) {
    const crs_model *m = pass->model;
    const int parts = crs_cell_parts(m->spec.cell);
    for (int row = 0; row < pass->batch->rows; row++)
        for (int l = 0; l < m->spec.layers; l++)
            for (int part = 0; part < parts; part++) {
                const float *from = part ? pass->workspace->c[l] : pass->workspace->h[l];
                memcpy(state_part(m, pass->batch->state, row, l, part),
                       from + (ptrdiff_t)(pass->n + row) * m->hidden_padded, (size_t)m->spec.hidden * sizeof *from);
            }
}

static void work(void *context, int thread, int threads) {
    const crs_pass *pass = context;
    const crs_worker worker = worker_of(pass, thread, threads);
    read_state(pass, &worker);
    if (worker.team_size > 1) {
#pragma omp barrier
    }
    crs_forward(pass, &worker);
    crs_worker_phase(&worker, CRS_PHASE_OUTPUT);
    crs_logits(pass, &worker);
    crs_worker_phase(&worker, CRS_PHASE_LOSS);
    if (pass->with_loss)
        crs_loss(pass, &worker);
    if (pass->backward)
        crs_backward(pass, &worker);
}

static void run(crs_pass *pass) {
    crs_model *m = pass->model;
    const crs_batch *b = pass->batch;
    CRS_ASSERT(b->steps >= 1 && b->steps <= pass->workspace->steps && b->rows <= pass->workspace->rows);
    CRS_ASSERT(pass->workspace->model == m && (!pass->backward || pass->workspace->uses & CRS_TRAINING));
    CRS_ASSERT(!pass->backward || b->dropout == 0 || pass->workspace->uses & CRS_DROPOUT);
    if (b->rows == 0)
        return;
    pass->n = b->steps * b->rows;
    pass->joined = joined(m);
    crs_parallel(m->threads, work, pass);
    crs_phase_begin(CRS_PHASE_READ);
    write_state(pass);
}

static void gather_losses(const crs_pass *pass, int64_t *trailer) {
    for (int i = 0; i < pass->model->threads; i++)
        for (int j = 0; j < CRS_SUM_TRAILER; j++) {
            const uint64_t own = (uint64_t)pass->workspace->losses[i * CRS_LOSS_STRIDE + j];
            trailer[j] = (int64_t)((uint64_t)trailer[j] + own);
            pass->workspace->losses[i * CRS_LOSS_STRIDE + j] = 0;
        }
}

void crs_model_train(crs_model *model, crs_workspace *workspace, const crs_batch *batch, int64_t *sums) {
    crs_pass pass = {
        .model = model, .workspace = workspace, .batch = batch, .sums = sums, .with_loss = true, .backward = true};
    run(&pass);
    gather_losses(&pass, sums + model->sums - CRS_SUM_TRAILER);
}

void crs_model_evaluate(crs_model *model, crs_workspace *workspace, const crs_batch *batch, int64_t *trailer) {
    crs_pass pass = {.model = model, .workspace = workspace, .batch = batch, .with_loss = true};
    run(&pass);
    gather_losses(&pass, trailer);
}

void crs_model_step(crs_model *model, crs_workspace *workspace, int rows, const uint32_t *inputs, float *state,
                    float *logits) {
    const crs_batch batch = {.steps = 1, .rows = rows, .inputs = inputs, .state = state};
    crs_pass pass = {.model = model, .workspace = workspace, .batch = &batch};
    run(&pass);
    for (int row = 0; row < rows; row++)
        memcpy(logits + (ptrdiff_t)row * model->spec.outputs,
               workspace->logits + (ptrdiff_t)row * model->vocabulary_groups.padded,
               (size_t)model->spec.outputs * sizeof *logits);
}

int64_t crs_contributions(int lanes, int lane_rows, int window) {
    const int steps = crs_piece_steps(lane_rows);
    return (int64_t)lanes * ((window + steps - 1) / steps);
}
