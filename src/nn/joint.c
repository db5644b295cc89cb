/* What a layer gives, where that is more than its state: both directions side by side, normed, with the layer's input
 * added, dropped out.
 *
 *   x = h of the forward direction, and of the backward one, put back in order: [H] or [2H]
 *   z = (x - mean) / sqrt(variance + 1e-5), y = z * weight + bias   (layer norm, over the units of a step)
 *   y + the layer's input (residual); dropout of that
 *
 * Sums over units are of 16 interleaved parts in double: no instruction set shows. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "nn/pieces.h"

static const crs_joint *joint_of(const crs_part *part) {
    return (const crs_joint *)part;
}

/* ---- parameters ---- */

static bool declare(crs_model *m, crs_part *part) {
    crs_joint *joint = (crs_joint *)part;
    char weight[sizeof m->tensor->name], bias[sizeof m->tensor->name];
    if (!m->spec.layer_norm)
        return true;
    snprintf(weight, sizeof weight, "layers/%d/norm/weight", joint->layer);
    snprintf(bias, sizeof bias, "layers/%d/norm/bias", joint->layer);
    crs_slice *slice = crs_slice_begin(m, part, true);
    joint->weight = crs_slice_take(m, slice, (size_t)part->padded);
    joint->bias = crs_slice_take(m, slice, (size_t)part->padded);
    return crs_place_rows(m, weight, joint->weight, 1) && crs_place_rows(m, bias, joint->bias, 1);
}

static bool reserve(crs_workspace *w, const crs_part *part) {
    crs_part_memory *own = crs_memory_of(w, part);
    const size_t pairs = (size_t)w->pairs, width = (size_t)part->padded;
    if (!crs_reserve(w, &own->y, pairs, width))
        return false;
    if (!(w->uses & CRS_TRAINING))
        return true;
    if (w->model->spec.layer_norm &&
        (!crs_reserve(w, &own->standard, pairs, width) || !crs_reserve(w, &own->inverse, pairs, 1)))
        return false;
    if (w->uses & CRS_DROPOUT) {
        own->kept = crs_reserve_block(w, pairs, width / CRS_BLOCK * sizeof *own->kept);
        if (!own->kept)
            return false;
    }
    return crs_reserve_backward(w, part);
}

/* ---- sums over units ---- */

/* Of padded[CRS_BLOCK], in a fixed tree. */
static double total_of(double *part) {
    for (int width = CRS_BLOCK / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            part[i] += part[i + width];
    return part[0];
}

static double sum_of(const float *x, int padded) {
    double part[CRS_BLOCK] = {0};
    for (int j = 0; j < padded; j += CRS_BLOCK)
        for (int i = 0; i < CRS_BLOCK; i++)
            part[i] += (double)x[j + i];
    return total_of(part);
}

static double sum_of_products(const float *x, const float *y, int padded) {
    double part[CRS_BLOCK] = {0};
    for (int j = 0; j < padded; j += CRS_BLOCK)
        for (int i = 0; i < CRS_BLOCK; i++)
            part[i] += (double)x[j + i] * (double)y[j + i];
    return total_of(part);
}

/* ---- up ---- */

/* x becomes z; returns 1 / sqrt(variance + 1e-5). Padding stays 0. */
static float standardize(float *x, int width, int padded) {
    const float mean = (float)(sum_of(x, padded) / width);
    for (int j = 0; j < width; j++)
        x[j] -= mean;
    const float inverse = (float)(1 / sqrt(sum_of_products(x, x, padded) / width + 1e-5));
    for (int j = 0; j < padded; j++)
        x[j] *= inverse;
    return inverse;
}

static void norm(const crs_pass *pass, const crs_joint *joint, ptrdiff_t n, float *y) {
    const crs_part *part = &joint->part;
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    const float *weight = pass->model->parameters + joint->weight, *bias = pass->model->parameters + joint->bias;
    const float inverse = standardize(y, part->width, part->padded);
    if (pass->backward) {
        memcpy(own->standard + n * part->padded, y, (size_t)part->padded * sizeof *y);
        own->inverse[n] = inverse;
    }
    for (int j = 0; j < part->padded; j++)
        y[j] = y[j] * weight[j] + bias[j];
}

/* A row of `steps` steps at a time. */
static void join(const crs_pass *pass, const crs_joint *joint, int t, int row, int steps, const crs_dropout *dropout) {
    const crs_batch *b = pass->batch;
    const crs_part *part = &joint->part;
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    const ptrdiff_t n = crs_pair(b, t, row);
    const int time[2] = {t, steps - 1 - t}, padded = part->padded, blocks = padded / CRS_BLOCK;
    float *y = own->y + n * padded;
    for (int way = 0; way < 2 && joint->way[way]; way++) {
        const crs_part *layer = &joint->way[way]->part;
        memcpy(y + way * layer->width,
               crs_memory_of(pass->workspace, layer)->h + crs_state_after(b, time[way], row) * layer->padded,
               (size_t)layer->width * sizeof *y);
    }
    memset(y + part->width, 0, (size_t)(padded - part->width) * sizeof *y);
    if (pass->model->spec.layer_norm)
        norm(pass, joint, n, y);
    if (joint->residual) {
        const float *x = crs_given(pass, joint->residual) + n * padded;
        for (int j = 0; j < padded; j++)
            y[j] += x[j];
    }
    if (pass->dropout)
        crs_drop(dropout, (uint64_t)b->row_id[row], crs_dropout_place(joint->layer, t), blocks, y, y,
                 own->kept + n * blocks);
}

static void forward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_batch *b = pass->batch;
    const crs_dropout dropout = crs_dropout_of(b, CRS_DRAW_DROPOUT, b->dropout);
    int steps = b->steps;
    crs_worker_phase(worker, CRS_PHASE_RECURRENT);
    for (int r = worker->first_row; r < worker->end_row; r++) {
        steps = crs_row_steps(b, r, steps);
        for (int t = worker->member; t < steps; t += worker->team_size)
            join(pass, joint_of(part), t, r, steps, &dropout);
    }
    crs_team_wait(worker);
}

/* ---- down ---- */

/* The gradient of x from that of y, columns first .. first + count - 1: inverse * (g - mean of g - z * mean of g z),
 * g = dy * weight. */
typedef struct norm_gradient {
    const float *dy, *weight, *standard;
    float inverse, mean, mean_of_products;
} norm_gradient;

static norm_gradient norm_gradient_of(const crs_pass *pass, const crs_joint *joint, ptrdiff_t n, const float *dy) {
    const crs_part *part = &joint->part;
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    norm_gradient d = {.dy = dy,
                       .weight = pass->model->parameters + joint->weight,
                       .standard = own->standard + n * part->padded,
                       .inverse = own->inverse[n]};
    double sum[CRS_BLOCK] = {0}, products[CRS_BLOCK] = {0};
    for (int j = 0; j < part->padded; j += CRS_BLOCK)
        for (int i = 0; i < CRS_BLOCK; i++) {
            const double g = (double)(dy[j + i] * d.weight[j + i]);
            sum[i] += g;
            products[i] += g * (double)d.standard[j + i];
        }
    d.mean = (float)(total_of(sum) / part->width);
    d.mean_of_products = (float)(total_of(products) / part->width);
    return d;
}

static void norm_backward(const norm_gradient *d, int first, int count, float *dx) {
    for (int u = 0, j = first; u < count; u++, j++)
        dx[u] = d->inverse * (d->dy[j] * d->weight[j] - d->mean - d->standard[j] * d->mean_of_products);
}

/* The opposite of join. */
static void part_ways(const crs_pass *pass, const crs_joint *joint, int t, int row, int steps,
                      const crs_dropout *dropout) {
    const crs_batch *b = pass->batch;
    const crs_part *part = &joint->part;
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    const ptrdiff_t n = crs_pair(b, t, row);
    const int time[2] = {t, steps - 1 - t}, padded = part->padded, blocks = padded / CRS_BLOCK;
    float *dy = own->dy + n * padded;
    if (pass->dropout)
        crs_drop_gradient(dropout, blocks, own->kept + n * blocks, dy);
    if (joint->residual) /* the layers add to it */
        memcpy(crs_memory_of(pass->workspace, joint->residual)->dy + n * padded, dy, (size_t)padded * sizeof *dy);
    norm_gradient d;
    if (pass->model->spec.layer_norm)
        d = norm_gradient_of(pass, joint, n, dy);
    for (int way = 0; way < 2 && joint->way[way]; way++) {
        const crs_part *layer = &joint->way[way]->part;
        const int width = layer->width;
        float *dx = crs_memory_of(pass->workspace, layer)->dy + crs_pair(b, time[way], row) * layer->padded;
        if (pass->model->spec.layer_norm)
            norm_backward(&d, way * width, width, dx);
        else
            memcpy(dx, dy + way * width, (size_t)width * sizeof *dx);
        memset(dx + width, 0, (size_t)(layer->padded - width) * sizeof *dx);
    }
}

/* Of weight and bias, the columns of some blocks. */
static void add_block(const crs_pass *pass, const crs_worker *worker, const crs_joint *joint, int first,
                      int64_t *refused) {
    const crs_kernels *kernels = pass->model->kernels;
    const crs_pieces *list = pass->pieces;
    const crs_part *part = &joint->part;
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    const crs_slice *slice = &part->slice[0];
    const crs_gradients from = {.base = own->dy + first, .row = part->padded};
    crs_piece_run run;
    for (int piece = 0; piece < list->pieces; piece += run.pieces) {
        crs_gather_run(pass, worker, piece, list->pieces, &from, CRS_BLOCK, &run);
        for (int i = 0; i < run.pieces; i++) {
            const crs_piece *p = run.piece[i];
            float total[CRS_BLOCK] __attribute__((aligned(64))) = {0};
            for (const crs_span *s = list->span_at + p->first_span; s < list->span_at + p->end_span; s++)
                kernels->dot_rows(run.panel[i] + (ptrdiff_t)s->at * CRS_BLOCK, CRS_BLOCK,
                                  own->standard + crs_pair(pass->batch, s->time, s->row) * part->padded + first,
                                  part->padded, s->rows, total);
            kernels->add_fixed(total, CRS_BLOCK, pass->sums + crs_sum_of(slice, joint->weight) + first, refused);
            crs_add_column_sums(pass, p, run.panel[i], CRS_BLOCK, pass->sums + crs_sum_of(slice, joint->bias) + first,
                                refused);
        }
    }
}

static void add_weights(const crs_pass *pass, const crs_worker *worker, const crs_joint *joint) {
    const int blocks = joint->part.padded / CRS_BLOCK;
    int64_t refused = 0;
    crs_worker_phase(worker, CRS_PHASE_WEIGHTS);
#pragma omp barrier
    for (int i = crs_share(blocks, worker->thread, worker->threads);
         i < crs_share(blocks, worker->thread + 1, worker->threads); i++)
        add_block(pass, worker, joint, i * CRS_BLOCK, &refused);
    crs_losses_of(pass, worker)[CRS_SUM_REFUSED] += refused;
}

static void backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_batch *b = pass->batch;
    const crs_dropout dropout = crs_dropout_of(b, CRS_DRAW_DROPOUT, b->dropout);
    int steps = b->steps;
    crs_worker_phase(worker, CRS_PHASE_BACKWARD);
    for (int r = worker->first_row; r < worker->end_row; r++) {
        steps = crs_row_steps(b, r, steps);
        for (int t = worker->member; t < steps; t += worker->team_size)
            part_ways(pass, joint_of(part), t, r, steps, &dropout);
    }
    crs_team_wait(worker);
    if (pass->model->spec.layer_norm)
        add_weights(pass, worker, joint_of(part));
}

const crs_part_kind crs_joint_kind = {.declare = declare, .reserve = reserve, .forward = forward, .backward = backward};
