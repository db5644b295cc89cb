#include "config.h"

#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_TOKENS = 1000, STREAM_TARGETS, STREAM_STATE };

static void *need(size_t count, size_t size) {
    void *block = calloc(count, size);
    if (block == NULL)
        crs_panic(__FILE__, __LINE__, "out of memory");
    return block;
}

double case_draw(uint64_t seed, uint64_t stream, uint64_t index) {
    uint64_t out[4];
    crs_random(seed, CRS_DRAW_SAMPLE, stream, index / 4, 0, 0, out);
    return 2 * crs_unit_double(out[index % 4]) - 1;
}

/* Large enough for bent activations and uneven predictions, small enough to keep them from saturating. */
static double bound_of(const ref_tensor *tensor) {
    if (strstr(tensor->name, "bias") != NULL || strstr(tensor->name, "peephole") != NULL)
        return 0.6;
    if (strstr(tensor->name, "norm") != NULL)
        return 0.9;
    if (strstr(tensor->name, "embedding") != NULL)
        return 1.2;
    double bound = 1.7 / sqrt((double)tensor->dims[1]);
    return bound < 0.25 ? 0.25 : bound;
}

static void draw_parameters(nn_case *c) {
    for (int k = 0; k < c->ref->tensors; k++) {
        ref_tensor *tensor = &c->ref->tensor[k];
        double bound = bound_of(tensor);
        for (int64_t e = 0; e < tensor->size; e++)
            tensor->values[e] = (float)(bound * case_draw(c->seed, (uint64_t)k, (uint64_t)e));
    }
}

static uint32_t draw_token(const nn_case *c, uint64_t stream, uint64_t index) {
    return (uint32_t)((case_draw(c->seed, stream, index) + 1) / 2 * c->shape.input_size);
}

void case_create(nn_case *c, const crs_spec *shape, int rows, int steps, int lane_rows, float dropout, uint64_t seed) {
    memset(c, 0, sizeof *c);
    c->shape = *shape;
    c->rows = rows;
    c->steps = steps;
    c->lane_rows = lane_rows;
    c->lanes = (rows + lane_rows - 1) / lane_rows;
    c->dropout = dropout;
    c->input_dropout = shape->gather ? 0.25f : 0;
    c->seed = seed;
    c->ref = ref_create(shape);
    draw_parameters(c);
    size_t tokens = (size_t)rows * (size_t)steps, states = case_state_size(c);
    c->inputs = need(tokens, sizeof *c->inputs);
    c->targets = need(tokens, sizeof *c->targets);
    for (size_t k = 0; k < tokens; k++) {
        c->inputs[k] = draw_token(c, STREAM_TOKENS, k);
        c->targets[k] = draw_token(c, STREAM_TARGETS, k);
    }
    c->state = need(states, sizeof *c->state);
    for (size_t k = 0; k < states; k++)
        c->state[k] = (float)(0.9 * case_draw(seed, STREAM_STATE, k));
    c->lane_starts = need((size_t)c->lanes + 1, sizeof *c->lane_starts);
    for (int l = 0; l <= c->lanes; l++)
        c->lane_starts[l] = l * rows / c->lanes;
    c->row_id = need((size_t)rows, sizeof *c->row_id);
    for (int r = 0; r < rows; r++)
        c->row_id[r] = r;
}

void case_free(nn_case *c) {
    ref_free(&c->ref);
    free(c->inputs);
    free(c->targets);
    free(c->state);
    free(c->lane_starts);
    free(c->row_id);
    memset(c, 0, sizeof *c);
}

static void import_tensor(crs_model *model, int k, const ref_tensor *tensor) {
    float *values = need((size_t)tensor->size, sizeof *values);
    for (int64_t e = 0; e < tensor->size; e++)
        values[e] = (float)tensor->values[e];
    crs_model_import(model, crs_model_parameters(model), k, values);
    free(values);
}

crs_model *case_model(const nn_case *c, const crs_kernels *kernels, int threads) {
    crs_model *model = NULL;
    crs_error error;
    if (crs_model_create(&model, &c->shape, kernels, threads, &error) != CRS_OK)
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    CRS_ASSERT(crs_model_tensors(model) == c->ref->tensors);
    for (int k = 0; k < c->ref->tensors; k++)
        import_tensor(model, k, &c->ref->tensor[k]);
    crs_model_refresh(model);
    return model;
}

crs_workspace *case_workspace(const nn_case *c, const crs_model *model) {
    crs_workspace *workspace = NULL;
    crs_error error;
    int uses = CRS_TRAINING | (c->dropout > 0 ? CRS_DROPOUT : 0);
    if (crs_workspace_create(&workspace, model, c->rows, c->steps, uses, &error) != CRS_OK)
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    return workspace;
}

crs_batch case_batch(const nn_case *c, float *state) {
    return (crs_batch){.steps = c->steps,
                       .rows = c->rows,
                       .input.tokens = c->inputs,
                       .target.tokens = c->targets,
                       .state = state,
                       .lanes = c->lanes,
                       .lane_starts = c->lane_starts,
                       .lane_rows = c->lane_rows,
                       .dropout = c->dropout,
                       .input_dropout = c->input_dropout,
                       .seed = c->seed,
                       .step = 3,
                       .row_id = c->row_id};
}

/* Falling; a few alike, the last ones of one step. */
static int length_of(const nn_case *c, int row) {
    const int length = c->steps - row / 2 * 2 * c->steps / c->rows;
    return row >= c->rows - 2 || length < 1 ? 1 : length;
}

crs_batch case_ragged_batch(case_ragged *g, const nn_case *c, int lane, int lanes, float *state) {
    const size_t of_row = case_state_size(c) / (size_t)c->rows;
    *g = (case_ragged){.state = state};
    for (int row = 0; row < c->rows; row++)
        if (lane < 0 || row % lanes == lane) {
            g->row_id[g->rows] = row;
            memcpy(state + (size_t)g->rows * of_row, c->state + (size_t)row * of_row, of_row * sizeof *state);
            g->length[g->rows++] = length_of(c, row);
        }
    g->steps = g->length[0];
    int n = 0;
    for (int t = 0; t < g->steps; t++)
        for (int r = 0; r < g->rows && g->length[r] > t; r++, n++) {
            g->start[t + 1] = n + 1;
            g->inputs[n] = c->inputs[t * c->rows + g->row_id[r]];
            g->targets[n] = c->targets[t * c->rows + g->row_id[r]];
        }
    int place = 0, own = lane < 0 ? lanes : 1;
    for (int l = 0; l < own; l++) {
        g->lane_starts[l] = place;
        for (int r = 0; r < g->rows; r++)
            if (lane >= 0 || r % lanes == l)
                g->lane_row[place++] = r;
    }
    g->lane_starts[own] = place;
    crs_batch b = case_batch(c, state);
    b.steps = g->steps;
    b.rows = g->rows;
    b.start = g->start;
    b.input.tokens = g->inputs;
    b.target.tokens = g->targets;
    b.row_id = g->row_id;
    b.lanes = own;
    b.lane_starts = g->lane_starts;
    b.lane_row = g->lane_row;
    b.lane_rows = (c->rows + lanes - 1) / lanes;
    return b;
}

size_t case_state_size(const nn_case *c) {
    return (size_t)c->rows * ref_state_size(c->ref);
}

float *case_state(const nn_case *c) {
    size_t size = case_state_size(c);
    float *state = crs_alloc(size, sizeof *state, CRS_MEMORY_OTHER);
    CRS_ASSERT(state != NULL);
    memcpy(state, c->state, size * sizeof *state);
    return state;
}

const char *case_name(const nn_case *c) {
    static char name[200];
    const crs_spec *s = &c->shape;
    snprintf(name, sizeof name, "%s V%d E%d H%d L%d%s%s%s%s%s, %d rows (lanes of %d), %d steps, dropout %g",
             crs_cell_name(s->cell), s->input_size, s->embed, s->hidden, s->layers,
             s->bidirectional ? " bidirectional" : "", s->layer_norm ? " norm" : "", s->residual ? " residual" : "",
             s->tie ? " tied" : "", s->gather ? " gathered" : "", c->rows, c->lane_rows, c->steps, (double)c->dropout);
    return name;
}
