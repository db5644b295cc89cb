/* Numbers as input: values or bits, which go straight into the first layer; or tokens as the one-hot rows themselves,
 * where no table says what a layer makes of each. They have no parameters, so that nothing asks for their gradient. */
#include "config.h"

#include <string.h>

#include "nn/model.h"

static bool declare(crs_model *m, crs_part *part) {
    (void)m, (void)part;
    return true;
}

/* Bits (a roll of notes has few of its keys down) and one-hot rows: what is not zero is 1, or what dropout makes of it.
 */
static bool is_sparse(const crs_model *m) {
    return m->spec.input != CRS_INPUT_VALUES;
}

bool crs_sparse_given(const crs_pass *pass, const crs_part *part, ptrdiff_t n, crs_sparse *sparse) {
    const crs_batch *b = pass->batch;
    if (part->kind != &crs_numbers_kind || !is_sparse(pass->model))
        return false;
    if (pass->backward && b->input.numbers && b->input_noise > 0) /* then nothing is zero */
        return false;
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    const ptrdiff_t blocks = part->padded / CRS_BLOCK;
    const float value = pass->backward && b->input_dropout > 0 ? crs_input_dropout(b).scale : 1;
    *sparse = (crs_sparse){own->set + n * blocks, blocks, part->width, value};
    return true;
}

static bool reserve(crs_workspace *w, const crs_part *part) {
    if (is_sparse(w->model)) {
        uint16_t **set = &crs_memory_of(w, part)->set;
        *set = crs_reserve_block(w, (size_t)w->pairs, (size_t)part->padded / CRS_BLOCK * sizeof **set);
        if (!*set)
            return false;
    }
    return crs_reserve(w, &crs_memory_of(w, part)->y, (size_t)w->pairs, (size_t)part->padded) &&
           (!(w->uses & CRS_TRAINING) || crs_reserve_backward(w, part));
}

static void fill(const crs_batch *b, ptrdiff_t n, int width, float *y) {
    const size_t bytes = (size_t)width * sizeof *y;
    if (b->input.numbers) {
        memcpy(y, b->input.numbers + n * width, bytes);
    } else {
        memset(y, 0, bytes);
        y[b->input.tokens[n]] = 1;
    }
}

/* In training. Of tokens nothing but dropout. */
static void disturb(const crs_batch *b, const crs_part *part, int row, int time, float *y) {
    if (b->input.numbers && b->input_noise > 0)
        crs_add_noise(b, row, time, part->width, y);
    if (b->input_dropout > 0) {
        const crs_dropout d = crs_input_dropout(b);
        crs_drop(&d, (uint64_t)b->row_id[row], (uint64_t)time, part->padded / CRS_BLOCK, y, y, NULL);
    }
}

static void mark(const crs_part *part, const float *y, uint16_t *set) {
    for (int first = 0; first < part->padded; first += CRS_BLOCK, y += CRS_BLOCK) {
        unsigned bits = 0;
        for (int i = 0; i < CRS_BLOCK; i++)
            bits |= (unsigned)(y[i] != 0) << i;
        *set++ = (uint16_t)bits;
    }
}

/* This worker's rows, its share of the times. Padding stays 0. */
static void forward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_batch *b = pass->batch;
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    for (int t = worker->member; t < b->steps; t += worker->team_size)
        for (int r = worker->first_row; r < worker->first_row + crs_worker_rows(pass, worker, t); r++) {
            const ptrdiff_t n = crs_pair(b, t, r);
            float *y = own->y + n * part->padded;
            fill(b, n, part->width, y);
            if (pass->backward)
                disturb(b, part, r, t, y);
            if (own->set)
                mark(part, y, own->set + n * (part->padded / CRS_BLOCK));
        }
    crs_team_wait(worker);
}

static void backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    (void)pass, (void)worker, (void)part;
}

const crs_part_kind crs_numbers_kind = {
    .bytes = sizeof(crs_part), .declare = declare, .reserve = reserve, .forward = forward, .backward = backward};
