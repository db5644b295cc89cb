/* Passes over a batch: who does what, the carried state, and the entry points. */
#include "config.h"

#include <string.h>

#include "nn/pieces.h"

/* Fewer rows than this a team leave the tiles of the recurrent product thin: then units are shared out instead. */
enum { TEAM_ROWS = 12 };

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

/* One part (h or c) of a row of a layer in the carried state, that of row of[row]. NULL: it has none. */
static float *state_part(const crs_pass *pass, const int *of, int row, const crs_layer *layer, int part) {
    const crs_spec *s = &pass->model->spec;
    const int carried = of ? of[row] : row;
    if (!pass->batch->state || s->bidirectional || carried < 0)
        return NULL;
    return pass->batch->state + (size_t)carried * crs_spec_state(s) +
           (size_t)(layer->layer * crs_cell_parts(s->cell) + part) * (size_t)s->hidden;
}

static void read_state(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer) {
    const crs_part_memory *own = crs_memory_of(pass->workspace, &layer->part);
    const int rows = worker->end_row - worker->first_row;
    const int first = worker->first_row + crs_share(rows, worker->member, worker->team_size);
    const int end = worker->first_row + crs_share(rows, worker->member + 1, worker->team_size);
    const size_t hidden = (size_t)layer->gates.hidden, padded = (size_t)layer->gates.padded;
    for (int row = first; row < end; row++)
        for (int part = 0; part < crs_cell_parts(layer->gates.cell); part++) {
            const float *from = state_part(pass, pass->batch->state_from, row, layer, part);
            const size_t given = from ? hidden : 0;
            float *to = (part ? own->c : own->h) + (size_t)row * padded;
            if (from)
                memcpy(to, from, given * sizeof *to);
            memset(to + given, 0, (padded - given) * sizeof *to);
        }
}

static void write_state(const crs_pass *pass, const crs_layer *layer) {
    const crs_part_memory *own = crs_memory_of(pass->workspace, &layer->part);
    const size_t hidden = (size_t)layer->gates.hidden;
    int steps = pass->batch->steps;
    for (int row = 0; row < pass->batch->rows; row++) {
        steps = crs_row_steps(pass->batch, row, steps);
        for (int part = 0; part < crs_cell_parts(layer->gates.cell); part++) {
            const float *from = part ? own->c : own->h;
            float *to = state_part(pass, pass->batch->state_to, row, layer, part);
            if (to)
                memcpy(to, from + crs_state_after(pass->batch, steps - 1, row) * layer->gates.padded,
                       hidden * sizeof *from);
        }
    }
}

/* Tells that the sums up to the end of this part's are complete. */
static void tell(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    if (!pass->watch || !pass->watch->ready)
        return;
#pragma omp barrier
    if (worker->thread == 0)
        pass->watch->ready(pass->watch->context, part->sums_end);
}

/* Waits for the parameters of a part, and of what comes with it. */
static void want(crs_pass *pass, const crs_worker *worker, int part) {
    if (!pass->watch || !pass->watch->wanted)
        return;
#pragma omp barrier
    if (worker->thread == 0)
        pass->renewed = pass->watch->wanted(pass->watch->context, part);
#pragma omp barrier
    if (pass->renewed == 0)
        return;
    crs_worker_phase(worker, CRS_PHASE_REFRESH);
    crs_refresh_parts(pass->model, part, part + pass->renewed);
#pragma omp barrier
}

static const crs_pass *pass_of(const crs_pass *pass, int part) {
    return part == pass->model->parts - 1 ? pass->top : pass;
}

static void work(void *context, int thread, int threads) {
    crs_pass *pass = context;
    const crs_model *m = pass->model;
    const crs_worker worker = worker_of(pass, thread, threads);
    for (int l = 0; l < m->directions * m->spec.layers; l++)
        read_state(pass, &worker, &m->layers[l]);
    crs_team_wait(&worker);
    for (int p = 0; p < m->parts; p++) {
        want(pass, &worker, p);
        m->part[p]->kind->forward(pass_of(pass, p), &worker, m->part[p]);
    }
    for (int p = m->parts - 1; p >= 0 && pass->backward; p--) {
        m->part[p]->kind->backward(pass_of(pass, p), &worker, m->part[p]);
        tell(pass, &worker, m->part[p]);
    }
}

/* The pass of the output by sequence: a batch of one step, with a target a row. */
static void make_top(const crs_pass *pass, crs_pass *top, crs_batch *rows) {
    *rows = *pass->batch;
    rows->steps = 1;
    rows->start = NULL;
    top->batch = rows;
    top->n = rows->rows;
    top->pieces = &pass->workspace->top_pieces;
    if (top->backward)
        crs_list_pieces(top);
}

static void run(crs_pass *pass) {
    crs_model *m = pass->model;
    const crs_batch *b = pass->batch;
    crs_workspace *w = pass->workspace;
    CRS_ASSERT(w->model == m && (!pass->backward || w->uses & CRS_TRAINING));
    if (b->rows == 0)
        return;
    pass->n = (int)crs_pair(b, b->steps, 0);
    CRS_ASSERT(b->steps >= 1 && b->steps <= w->steps && b->rows <= w->rows && pass->n <= w->pairs);
    CRS_ASSERT(crs_rows_at(b, 0) == b->rows);
    pass->dropout = pass->backward && b->dropout > 0;
    CRS_ASSERT(!pass->dropout || w->uses & CRS_DROPOUT);
    pass->pieces = &w->pieces;
    pass->whole = b;
    if (pass->backward)
        crs_list_pieces(pass);
    crs_batch rows;
    crs_pass top = *pass;
    pass->top = &top;
    if (m->spec.alignment == CRS_ALIGN_SEQUENCE)
        make_top(pass, &top, &rows);
    crs_parallel(m->threads, work, pass);
    crs_phase_begin(CRS_PHASE_READ);
    for (int l = 0; l < m->spec.layers; l++)
        write_state(pass, &m->layers[l]);
}

static void gather_losses(const crs_pass *pass, int64_t *trailer) {
    for (int i = 0; i < pass->model->threads; i++)
        for (int j = 0; j < CRS_SUM_TRAILER; j++) {
            const uint64_t own = (uint64_t)pass->workspace->losses[i * CRS_LOSS_STRIDE + j];
            trailer[j] = (int64_t)((uint64_t)trailer[j] + own);
            pass->workspace->losses[i * CRS_LOSS_STRIDE + j] = 0;
        }
}

void crs_model_train(crs_model *model, crs_workspace *workspace, const crs_batch *batch, int64_t *sums,
                     const crs_watch *watch) {
    crs_pass pass = {.model = model,
                     .workspace = workspace,
                     .batch = batch,
                     .sums = sums,
                     .loss = true,
                     .backward = true,
                     .watch = watch};
    run(&pass);
    gather_losses(&pass, sums + model->sums - CRS_SUM_TRAILER);
}

void crs_model_evaluate(crs_model *model, crs_workspace *workspace, const crs_batch *batch, int64_t *trailer,
                        const crs_said *said) {
    crs_pass pass = {.model = model, .workspace = workspace, .batch = batch, .loss = trailer != NULL, .said = said};
    run(&pass);
    if (trailer)
        gather_losses(&pass, trailer);
}

void crs_model_step(crs_model *model, crs_workspace *workspace, const crs_batch *batch, float *outputs) {
    CRS_ASSERT(batch->steps == 1);
    crs_pass pass = {.model = model, .workspace = workspace, .batch = batch, .outputs = outputs};
    run(&pass);
}

int64_t crs_contributions(int lanes, int lane_rows, int window) {
    const int steps = crs_piece_steps(lane_rows);
    return (int64_t)lanes * ((window + steps - 1) / steps);
}
