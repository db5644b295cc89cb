/* The output layer and its softmax loss: a member of a team takes its share of the times. */
#include "config.h"

#include "model.h"

/* Calls for runs of neighbouring rows: all of a worker's times at once where it has all rows, else a time at a time. */
typedef struct rows_of_worker {
    int first_time, end_time, runs, rows;
} rows_of_worker;

static rows_of_worker share_times(const crs_pass *pass, const crs_worker *worker) {
    const int steps = pass->batch->steps;
    rows_of_worker r = {crs_share(steps, worker->member, worker->team_size),
                        crs_share(steps, worker->member + 1, worker->team_size), 0, 0};
    const int times = r.end_time - r.first_time;
    r.runs = worker->all_rows ? times > 0 : times;
    r.rows = worker->all_rows ? times * pass->batch->rows : worker->end_row - worker->first_row;
    return r;
}

static ptrdiff_t run_start(const crs_pass *pass, const crs_worker *worker, const rows_of_worker *r, int run) {
    return (ptrdiff_t)(r->first_time + run) * pass->batch->rows + worker->first_row;
}

/* The last layer's output as the output layer sees it: dropped out in training. */
void crs_logits(const crs_pass *pass, const crs_worker *worker) {
    const crs_model *m = pass->model;
    const crs_groups *v = &m->vocabulary_groups;
    const rows_of_worker r = share_times(pass, worker);
    int length;
    const float *h = crs_layer_input(pass, m->spec.layers, &length);
    for (int group = 0; group < v->groups; group++)
        for (int run = 0; run < r.runs; run++) {
            const ptrdiff_t n = run_start(pass, worker, &r, run);
            const int first = crs_group_first(v, group), columns = crs_group_columns(v, group);
            crs_product p = {.rows = r.rows, .blocks = columns / CRS_BLOCK, .chains = 1};
            p.c = pass->workspace->logits + n * v->padded + first;
            p.c_row = v->padded;
            p.start = m->parameters + m->output_bias + first;
            p.chain[0] = (crs_chain){h + n * length,
                                     length,
                                     0,
                                     1,
                                     m->spec.hidden,
                                     m->parameters + m->output_weight + (size_t)first * (size_t)m->spec.hidden,
                                     columns};
            m->kernels->product(&p);
        }
}

/* Nats in steps of 2^-32, rounded as the kernels round. A loss of thousands of nats is a diverged model's, and refused:
 * the sum over half a million targets stays in range. */
static bool fixed_loss(double loss, int64_t *fixed) {
    if (!(loss < 0x1p12 && loss > -0x1p12))
        return false;
    *fixed = (int64_t)(loss * 0x1p32 + (loss < 0 ? -0.5 : 0.5));
    return true;
}

static void backward_output(const crs_pass *pass, const crs_worker *worker, const rows_of_worker *r) {
    static const float zeros[CRS_GROUP] __attribute__((aligned(64)));
    const crs_model *m = pass->model;
    const int v = m->vocabulary_groups.padded;
    float *dh = pass->workspace->dh[(m->spec.layers - 1) & 1];
    for (int group = 0; group < m->hidden_groups.groups; group++)
        for (int run = 0; run < r->runs; run++) {
            const ptrdiff_t n = run_start(pass, worker, r, run);
            const int first = crs_group_first(&m->hidden_groups, group),
                      columns = crs_group_columns(&m->hidden_groups, group);
            crs_product p = {.rows = r->rows, .blocks = columns / CRS_BLOCK, .start = zeros, .chains = 1};
            p.c = dh + n * m->hidden_padded + first;
            p.c_row = m->hidden_padded;
            p.chain[0] = (crs_chain){pass->workspace->logits + n * v,
                                     v,
                                     0,
                                     1,
                                     m->spec.outputs,
                                     m->transposed_output + (ptrdiff_t)first * v,
                                     columns};
            m->kernels->product(&p);
        }
    if (worker->team_size > 1) {
#pragma omp barrier
    }
    if (pass->batch->dropout > 0)
        crs_dropout_backward(pass, worker, m->spec.layers - 1, dh);
}

void crs_loss(const crs_pass *pass, const crs_worker *worker) {
    const crs_model *m = pass->model;
    const rows_of_worker r = share_times(pass, worker);
    int64_t *losses = pass->workspace->losses + worker->thread * CRS_LOSS_STRIDE;
    for (int run = 0; run < r.runs; run++) {
        const ptrdiff_t start = run_start(pass, worker, &r, run);
        for (ptrdiff_t n = start; n < start + r.rows; n++) {
            float *logits = pass->workspace->logits + n * m->vocabulary_groups.padded;
            int64_t fixed = 0;
            if (!fixed_loss(m->kernels->softmax(logits, m->spec.outputs, pass->batch->targets[n]), &fixed))
                losses[CRS_SUM_REFUSED]++;
            losses[CRS_SUM_LOSS] = (int64_t)((uint64_t)losses[CRS_SUM_LOSS] + (uint64_t)fixed);
            losses[CRS_SUM_TARGETS]++;
        }
    }
    crs_worker_phase(worker, CRS_PHASE_OUTPUT);
    if (pass->backward)
        backward_output(pass, worker, &r);
}
