/* What is below, each row from its own end to its beginning: what a layer of the backward direction reads. Rows stand
 * packed by length, and a row's reversal is as long as the row: the same shape, so that the layer knows nothing of it.
 */
#include "config.h"

#include <string.h>

#include "nn/model.h"

static bool declare(crs_model *m, crs_part *part) {
    (void)m, (void)part;
    return true;
}

static bool reserve(crs_workspace *w, const crs_part *part) {
    const size_t pairs = (size_t)w->pairs;
    return crs_reserve(w, &crs_memory_of(w, part)->y, pairs, (size_t)part->padded) &&
           (!(w->uses & CRS_TRAINING) || crs_reserve_backward(w, part));
}

static void forward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_batch *b = pass->batch;
    const float *from = crs_given(pass, part->below);
    float *to = crs_memory_of(pass->workspace, part)->y;
    const ptrdiff_t row = part->padded;
    int steps = b->steps;
    crs_worker_phase(worker, CRS_PHASE_RECURRENT);
    for (int r = worker->first_row; r < worker->end_row; r++) {
        steps = crs_row_steps(b, r, steps);
        for (int t = worker->member; t < steps; t += worker->team_size)
            memcpy(to + crs_pair(b, t, r) * row, from + crs_pair(b, steps - 1 - t, r) * row, (size_t)row * sizeof *to);
    }
    crs_team_wait(worker);
}

/* Adds to the gradient of what is below, which the layer of the forward direction began. */
static void backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_batch *b = pass->batch;
    const float *from = crs_memory_of(pass->workspace, part)->dy;
    float *to = crs_memory_of(pass->workspace, part->below)->dy;
    const ptrdiff_t row = part->padded;
    int steps = b->steps;
    crs_worker_phase(worker, CRS_PHASE_BACKWARD);
    for (int r = worker->first_row; r < worker->end_row && to; r++) {
        steps = crs_row_steps(b, r, steps);
        for (int t = worker->member; t < steps; t += worker->team_size) {
            const float *d = from + crs_pair(b, t, r) * row;
            float *sum = to + crs_pair(b, steps - 1 - t, r) * row;
            for (ptrdiff_t j = 0; j < row; j++)
                sum[j] += d[j];
        }
    }
#pragma omp barrier /* what is below may look at all rows */
}

const crs_part_kind crs_reverse_kind = {
    .declare = declare, .reserve = reserve, .forward = forward, .backward = backward};
