/* One vector a row, where a sequence has one target: what is given after each direction's last step, or the mean over
 * the row's own steps. What stands on top of it works on rows as if they were pairs of a single step. */
#include "config.h"

#include <string.h>

#include "nn/model.h"

static bool declare(crs_model *m, crs_part *part) {
    (void)m, (void)part;
    return true;
}

static bool reserve(crs_workspace *w, const crs_part *part) {
    return crs_reserve(w, &crs_memory_of(w, part)->y, (size_t)w->rows, (size_t)part->padded) &&
           (!(w->uses & CRS_TRAINING) || crs_reserve_backward(w, part));
}

/* ---- up ---- */

/* The first H columns are the forward direction's; others, the backward's, whose last step is the row's first. */
static void give_last(const crs_pass *pass, const crs_part *part, int row, int steps, int first, float *to) {
    const float *given = crs_given(pass, part->below);
    for (int j = first; j < first + CRS_BLOCK; j++) {
        const int time = j < pass->model->spec.hidden ? steps - 1 : 0;
        to[j] = given[crs_pair(pass->batch, time, row) * part->padded + j];
    }
}

static void give_mean(const crs_pass *pass, const crs_part *part, int row, int steps, int first, float *to) {
    const float *given = crs_given(pass, part->below) + first;
    double sum[CRS_BLOCK] = {0};
    for (int t = 0; t < steps; t++) {
        const float *from = given + crs_pair(pass->batch, t, row) * part->padded;
        for (int i = 0; i < CRS_BLOCK; i++)
            sum[i] += (double)from[i];
    }
    for (int i = 0; i < CRS_BLOCK; i++)
        to[first + i] = (float)(sum[i] / steps);
}

/* This worker's rows, its share of the columns. */
static void forward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const bool last = pass->model->spec.pool == CRS_POOL_LAST;
    int steps = pass->batch->steps;
    for (int row = worker->first_row; row < worker->end_row; row++) {
        float *to = crs_memory_of(pass->workspace, part)->y + (ptrdiff_t)row * part->padded;
        steps = crs_row_steps(pass->batch, row, steps);
        for (int j = worker->member * CRS_BLOCK; j < part->padded; j += worker->team_size * CRS_BLOCK)
            (last ? give_last : give_mean)(pass, part, row, steps, j, to);
    }
    crs_team_wait(worker);
}

/* ---- down ---- */

static void take_last(const crs_pass *pass, const crs_part *part, int time, int steps, const float *from, float *to) {
    const int hidden = pass->model->spec.hidden;
    const int begin = time == steps - 1 ? 0 : hidden, end = time == 0 ? part->width : hidden;
    memset(to, 0, (size_t)part->padded * sizeof *to);
    if (begin < end)
        memcpy(to + begin, from + begin, (size_t)(end - begin) * sizeof *to);
}

static void take_mean(const crs_pass *pass, const crs_part *part, int time, int steps, const float *from, float *to) {
    const float share = 1.0f / (float)steps;
    (void)pass, (void)time;
    for (int j = 0; j < part->padded; j++)
        to[j] = from[j] * share;
}

/* This worker's rows, its share of the times. */
static void backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const bool last = pass->model->spec.pool == CRS_POOL_LAST;
    float *below = crs_memory_of(pass->workspace, part->below)->dy;
    int steps = pass->batch->steps;
    for (int row = worker->first_row; row < worker->end_row; row++) {
        const float *from = crs_memory_of(pass->workspace, part)->dy + (ptrdiff_t)row * part->padded;
        steps = crs_row_steps(pass->batch, row, steps);
        for (int t = worker->member; t < steps; t += worker->team_size)
            (last ? take_last : take_mean)(pass, part, t, steps, from,
                                           below + crs_pair(pass->batch, t, row) * part->padded);
    }
    crs_team_wait(worker);
}

const crs_part_kind crs_pool_kind = {.declare = declare, .reserve = reserve, .forward = forward, .backward = backward};
