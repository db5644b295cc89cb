#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

/* What the backward pass needs of one layer in one row's window. */
typedef struct layer_trace {
    int width;                               /* of the input */
    double *input;                           /* [steps][width] */
    double *gate;                            /* [steps][gates][H], after the activation */
    double *recurrent;                       /* [steps][H]; gru: U h + b' of the candidate */
    double *h, *c;                           /* [steps + 1][H]; index 0: at the start */
    double *mask;                            /* [steps][H], of the output */
    double *carried_h, *carried_c;           /* [H]: d loss / d h, c, from the later steps */
    const ref_tensor *w, *u, *b, *b2, *peep; /* b2, peep: NULL where the cell has none */
} layer_trace;

typedef struct trace {
    const ref_model *model;
    const ref_batch *batch;
    int row;
    layer_trace *layer; /* [layers] */
    double *top;        /* [steps][H]: the input of the output layer */
    double *share;      /* [steps][V]: the softmax */
} trace;

static void *need(size_t count, size_t size) {
    void *block = calloc(count > 0 ? count : 1, size);
    if (block == NULL) {
        fputs("reference: out of memory\n", stderr);
        exit(1);
    }
    return block;
}

static double *doubles(size_t a, size_t b) {
    return need(a * b, sizeof(double));
}

static double logistic(double x) {
    return 1 / (1 + exp(-x));
}

/* ---- the model ----------------------------------------------------------------------------------------*/

static void add_tensor(ref_model *model, const char *name, int rank, int64_t rows, int64_t columns) {
    ref_tensor *tensor = &model->tensor[model->tensors++];
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->rank = rank;
    tensor->dims[0] = rows;
    tensor->dims[1] = columns;
    tensor->size = rows * columns;
    tensor->values = doubles((size_t)rows, (size_t)columns);
    tensor->gradient = doubles((size_t)rows, (size_t)columns);
    tensor->magnitude = doubles((size_t)rows, (size_t)columns);
}

static void add_layer_tensor(ref_model *model, int layer, const char *name, int rank, int64_t rows, int64_t columns) {
    char full[40];
    snprintf(full, sizeof full, "layers/%d/%s", layer, name);
    add_tensor(model, full, rank, rows, columns);
}

static int input_width(const crs_spec *shape, int layer) {
    if (layer > 0)
        return shape->hidden;
    return shape->embed > 0 ? shape->embed : shape->input_size;
}

ref_model *ref_create(const crs_spec *shape) {
    ref_model *model = need(1, sizeof *model);
    model->shape = *shape;
    model->gates = shape->cell == CRS_RNN ? 1 : shape->cell == CRS_GRU ? 3 : 4;
    model->parts = shape->cell == CRS_LSTM || shape->cell == CRS_PEEPHOLE ? 2 : 1;
    model->tensor = need(3 + 5 * (size_t)shape->layers, sizeof *model->tensor);
    if (shape->embed > 0)
        add_tensor(model, "embedding/weight", 2, shape->input_size, shape->embed);
    int64_t wide = (int64_t)model->gates * shape->hidden;
    for (int l = 0; l < shape->layers; l++) {
        add_layer_tensor(model, l, "weight_ih", 2, wide, input_width(shape, l));
        add_layer_tensor(model, l, "weight_hh", 2, wide, shape->hidden);
        add_layer_tensor(model, l, "bias_ih", 1, wide, 1);
        if (shape->cell == CRS_GRU)
            add_layer_tensor(model, l, "bias_hh", 1, wide, 1);
        if (shape->cell == CRS_PEEPHOLE)
            add_layer_tensor(model, l, "peephole", 2, 3, shape->hidden);
    }
    add_tensor(model, "output/weight", 2, shape->input_size, shape->hidden);
    add_tensor(model, "output/bias", 1, shape->input_size, 1);
    return model;
}

void ref_free(ref_model **model) {
    if (*model == NULL)
        return;
    for (int k = 0; k < (*model)->tensors; k++) {
        free((*model)->tensor[k].values);
        free((*model)->tensor[k].gradient);
        free((*model)->tensor[k].magnitude);
    }
    free((*model)->tensor);
    free(*model);
    *model = NULL;
}

ref_tensor *ref_find(const ref_model *model, const char *name) {
    for (int k = 0; k < model->tensors; k++)
        if (strcmp(model->tensor[k].name, name) == 0)
            return &model->tensor[k];
    return NULL;
}

static ref_tensor *find_in_layer(const ref_model *model, int layer, const char *name) {
    char full[40];
    snprintf(full, sizeof full, "layers/%d/%s", layer, name);
    return ref_find(model, full);
}

size_t ref_state_size(const ref_model *model) {
    return (size_t)model->shape.layers * (size_t)model->parts * (size_t)model->shape.hidden;
}

double ref_mask(const ref_batch *batch, int row, int layer, int time, int unit) {
    if (!(batch->dropout > 0))
        return 1;
    uint64_t out[4];
    crs_random(batch->seed, CRS_DRAW_DROPOUT, batch->step, (uint64_t)(batch->first_row + row),
               (uint64_t)layer << 32 | (uint64_t)time, (uint64_t)unit / 8, out);
    uint64_t pair = out[unit % 8 / 2];
    uint64_t word = unit % 2 == 0 ? pair & 0xffffffff : pair >> 32;
    return (double)word >= floor(batch->dropout * 0x1p32) ? 1 / (1 - batch->dropout) : 0;
}

/* ---- one row's window ---------------------------------------------------------------------------------*/

static trace *trace_create(const ref_model *model, const ref_batch *batch) {
    size_t steps = (size_t)batch->steps, hidden = (size_t)model->shape.hidden;
    trace *tr = need(1, sizeof *tr);
    tr->model = model;
    tr->batch = batch;
    tr->layer = need((size_t)model->shape.layers, sizeof *tr->layer);
    for (int l = 0; l < model->shape.layers; l++) {
        layer_trace *layer = &tr->layer[l];
        layer->width = input_width(&model->shape, l);
        layer->input = doubles(steps, (size_t)layer->width);
        layer->gate = doubles(steps, (size_t)model->gates * hidden);
        layer->recurrent = doubles(steps, hidden);
        layer->h = doubles(steps + 1, hidden);
        layer->c = doubles(steps + 1, hidden);
        layer->mask = doubles(steps, hidden);
        layer->carried_h = doubles(1, hidden);
        layer->carried_c = doubles(1, hidden);
        layer->w = find_in_layer(model, l, "weight_ih");
        layer->u = find_in_layer(model, l, "weight_hh");
        layer->b = find_in_layer(model, l, "bias_ih");
        layer->b2 = find_in_layer(model, l, "bias_hh");
        layer->peep = find_in_layer(model, l, "peephole");
    }
    tr->top = doubles(steps, hidden);
    tr->share = doubles(steps, (size_t)model->shape.input_size);
    return tr;
}

static void trace_free(trace *tr) {
    for (int l = 0; l < tr->model->shape.layers; l++) {
        layer_trace *layer = &tr->layer[l];
        free(layer->input);
        free(layer->gate);
        free(layer->recurrent);
        free(layer->h);
        free(layer->c);
        free(layer->mask);
        free(layer->carried_h);
        free(layer->carried_c);
    }
    free(tr->layer);
    free(tr->top);
    free(tr->share);
    free(tr);
}

/* Begins a row: its state at the start, and nothing from later steps. */
static void trace_begin(trace *tr, int row) {
    const ref_model *model = tr->model;
    int hidden = model->shape.hidden;
    const double *state = tr->batch->state + (size_t)row * ref_state_size(model);
    tr->row = row;
    for (int l = 0; l < model->shape.layers; l++) {
        layer_trace *layer = &tr->layer[l];
        for (int u = 0; u < hidden; u++) {
            layer->h[u] = state[(l * model->parts) * hidden + u];
            layer->c[u] = model->parts == 2 ? state[(l * model->parts + 1) * hidden + u] : 0;
            layer->carried_h[u] = 0;
            layer->carried_c[u] = 0;
        }
    }
}

static void trace_final(const trace *tr, double *final) {
    const ref_model *model = tr->model;
    int hidden = model->shape.hidden, steps = tr->batch->steps;
    double *state = final + (size_t)tr->row * ref_state_size(model);
    for (int l = 0; l < model->shape.layers; l++)
        for (int u = 0; u < hidden; u++) {
            state[(l * model->parts) * hidden + u] = tr->layer[l].h[steps * hidden + u];
            if (model->parts == 2)
                state[(l * model->parts + 1) * hidden + u] = tr->layer[l].c[steps * hidden + u];
        }
}

/* ---- forward ------------------------------------------------------------------------------------------*/

/* bias[r] + sum over k of matrix[r][k] x[k]; bias may be NULL. */
static double affine(const ref_tensor *matrix, const ref_tensor *bias, int r, const double *x) {
    double sum = bias != NULL ? bias->values[r] : 0;
    const double *weights = matrix->values + r * matrix->dims[1];
    for (int64_t k = 0; k < matrix->dims[1]; k++)
        sum += weights[k] * x[k];
    return sum;
}

static void forward_lstm(layer_trace *layer, int hidden, int t) {
    const double *x = layer->input + (size_t)t * (size_t)layer->width;
    const double *h = layer->h + (size_t)t * (size_t)hidden, *c = layer->c + (size_t)t * (size_t)hidden;
    const double *peep = layer->peep != NULL ? layer->peep->values : NULL;
    double *gate = layer->gate + (size_t)t * 4 * (size_t)hidden;
    for (int u = 0; u < hidden; u++) {
        double a[4];
        for (int g = 0; g < 4; g++)
            a[g] = affine(layer->w, layer->b, g * hidden + u, x) + affine(layer->u, NULL, g * hidden + u, h);
        double i = logistic(a[0] + (peep != NULL ? peep[u] * c[u] : 0));
        double f = logistic(a[1] + (peep != NULL ? peep[hidden + u] * c[u] : 0));
        double g = tanh(a[2]);
        double next = f * c[u] + i * g;
        double o = logistic(a[3] + (peep != NULL ? peep[2 * hidden + u] * next : 0));
        gate[u] = i;
        gate[hidden + u] = f;
        gate[2 * hidden + u] = g;
        gate[3 * hidden + u] = o;
        layer->c[(t + 1) * hidden + u] = next;
        layer->h[(t + 1) * hidden + u] = o * tanh(next);
    }
}

static void forward_gru(layer_trace *layer, int hidden, int t) {
    const double *x = layer->input + (size_t)t * (size_t)layer->width;
    const double *h = layer->h + (size_t)t * (size_t)hidden;
    double *gate = layer->gate + (size_t)t * 3 * (size_t)hidden;
    for (int u = 0; u < hidden; u++) {
        double a[3], b[3];
        for (int g = 0; g < 3; g++) {
            a[g] = affine(layer->w, layer->b, g * hidden + u, x);
            b[g] = affine(layer->u, layer->b2, g * hidden + u, h);
        }
        double r = logistic(a[0] + b[0]), z = logistic(a[1] + b[1]), n = tanh(a[2] + r * b[2]);
        gate[u] = r;
        gate[hidden + u] = z;
        gate[2 * hidden + u] = n;
        layer->recurrent[t * hidden + u] = b[2];
        layer->h[(t + 1) * hidden + u] = (1 - z) * n + z * h[u];
    }
}

static void forward_rnn(layer_trace *layer, int hidden, int t) {
    const double *x = layer->input + (size_t)t * (size_t)layer->width;
    const double *h = layer->h + (size_t)t * (size_t)hidden;
    for (int u = 0; u < hidden; u++) {
        double y = tanh(affine(layer->w, layer->b, u, x) + affine(layer->u, NULL, u, h));
        layer->gate[t * hidden + u] = y;
        layer->h[(t + 1) * hidden + u] = y;
    }
}

static void forward_input(trace *tr, int t) {
    const ref_model *model = tr->model;
    int width = tr->layer[0].width;
    uint32_t token = tr->batch->inputs[t * tr->batch->rows + tr->row];
    double *x = tr->layer[0].input + (size_t)t * (size_t)width;
    for (int k = 0; k < width; k++)
        x[k] = model->shape.embed > 0 ? model->tensor[0].values[(int64_t)token * width + k] : (uint32_t)k == token;
}

/* The loss of step t. */
static double forward_output(trace *tr, int t) {
    const ref_model *model = tr->model;
    const ref_tensor *weight = ref_find(model, "output/weight"), *bias = ref_find(model, "output/bias");
    int vocabulary = model->shape.input_size;
    uint32_t target = tr->batch->targets[t * tr->batch->rows + tr->row];
    double *share = tr->share + (size_t)t * (size_t)vocabulary;
    double highest = -INFINITY, sum = 0;
    for (int v = 0; v < vocabulary; v++) {
        share[v] = affine(weight, bias, v, tr->top + (size_t)t * (size_t)model->shape.hidden);
        highest = fmax(highest, share[v]);
    }
    for (int v = 0; v < vocabulary; v++)
        sum += exp(share[v] - highest);
    double whole = highest + log(sum);
    double loss = whole - share[target];
    for (int v = 0; v < vocabulary; v++)
        share[v] = exp(share[v] - whole);
    return loss;
}

static double forward_step(trace *tr, int t) {
    const ref_model *model = tr->model;
    int hidden = model->shape.hidden;
    forward_input(tr, t);
    for (int l = 0; l < model->shape.layers; l++) {
        layer_trace *layer = &tr->layer[l];
        if (model->shape.cell == CRS_GRU)
            forward_gru(layer, hidden, t);
        else if (model->shape.cell == CRS_RNN)
            forward_rnn(layer, hidden, t);
        else
            forward_lstm(layer, hidden, t);
        double *up = l + 1 < model->shape.layers ? tr->layer[l + 1].input : tr->top;
        for (int u = 0; u < hidden; u++) {
            layer->mask[t * hidden + u] = ref_mask(tr->batch, tr->row, l, t, u);
            up[t * hidden + u] = layer->h[(t + 1) * hidden + u] * layer->mask[t * hidden + u];
        }
    }
    return forward_output(tr, t);
}

/* ---- backward -----------------------------------------------------------------------------------------*/

static void add_gradient(const ref_tensor *tensor, int64_t at, double x) {
    tensor->gradient[at] += x;
    tensor->magnitude[at] += fabs(x);
}

/* matrix, bias of outputs = matrix x + bias: adds their gradients, and what flows back to x into dx (which may be
 * NULL). */
static void backward_affine(const ref_tensor *matrix, const ref_tensor *bias, const double *d, const double *x,
                            double *dx) {
    int64_t columns = matrix->dims[1];
    for (int64_t r = 0; r < matrix->dims[0]; r++) {
        if (bias != NULL)
            add_gradient(bias, r, d[r]);
        for (int64_t k = 0; k < columns; k++)
            add_gradient(matrix, r * columns + k, d[r] * x[k]);
        for (int64_t k = 0; dx != NULL && k < columns; k++)
            dx[k] += d[r] * matrix->values[r * columns + k];
    }
}

/* The three below: from d loss / d h of step t in carried_h (and c in carried_c) to that of the sums before the
 * activations, da (input side) and db (recurrent side); carried_h and carried_c get what reaches the step before
 * directly, without the product with U. */
static void backward_lstm(layer_trace *layer, int hidden, int t, double *da, double *db) {
    const double *gate = layer->gate + (size_t)t * 4 * (size_t)hidden;
    const ref_tensor *peep = layer->peep;
    for (int u = 0; u < hidden; u++) {
        double i = gate[u], f = gate[hidden + u], g = gate[2 * hidden + u], o = gate[3 * hidden + u];
        double c = layer->c[t * hidden + u], next = layer->c[(t + 1) * hidden + u], bent = tanh(next);
        double dh = layer->carried_h[u];
        double dao = dh * bent * o * (1 - o);
        double dc = layer->carried_c[u] + dh * o * (1 - bent * bent);
        if (peep != NULL)
            dc += dao * peep->values[2 * hidden + u];
        double dai = dc * g * i * (1 - i), daf = dc * c * f * (1 - f), dag = dc * i * (1 - g * g);
        layer->carried_c[u] = dc * f;
        if (peep != NULL) {
            layer->carried_c[u] += dai * peep->values[u] + daf * peep->values[hidden + u];
            add_gradient(peep, u, dai * c);
            add_gradient(peep, hidden + u, daf * c);
            add_gradient(peep, 2 * hidden + u, dao * next);
        }
        layer->carried_h[u] = 0;
        da[u] = db[u] = dai;
        da[hidden + u] = db[hidden + u] = daf;
        da[2 * hidden + u] = db[2 * hidden + u] = dag;
        da[3 * hidden + u] = db[3 * hidden + u] = dao;
    }
}

static void backward_gru(layer_trace *layer, int hidden, int t, double *da, double *db) {
    const double *gate = layer->gate + (size_t)t * 3 * (size_t)hidden;
    for (int u = 0; u < hidden; u++) {
        double r = gate[u], z = gate[hidden + u], n = gate[2 * hidden + u];
        double h = layer->h[t * hidden + u], dh = layer->carried_h[u];
        double dan = dh * (1 - z) * (1 - n * n);
        layer->carried_h[u] = dh * z;
        da[u] = db[u] = dan * layer->recurrent[t * hidden + u] * r * (1 - r);
        da[hidden + u] = db[hidden + u] = dh * (h - n) * z * (1 - z);
        da[2 * hidden + u] = dan;
        db[2 * hidden + u] = dan * r;
    }
}

static void backward_rnn(layer_trace *layer, int hidden, int t, double *da, double *db) {
    for (int u = 0; u < hidden; u++) {
        double y = layer->gate[t * hidden + u];
        da[u] = db[u] = layer->carried_h[u] * (1 - y * y);
        layer->carried_h[u] = 0;
    }
}

/* Adds d loss / d (output of layer l at t) into carried_h, goes through the cell, and adds to dx. */
static void backward_layer(trace *tr, int l, int t, const double *dy, double *dx) {
    const ref_model *model = tr->model;
    layer_trace *layer = &tr->layer[l];
    int hidden = model->shape.hidden;
    double *da = doubles((size_t)model->gates, (size_t)hidden), *db = doubles((size_t)model->gates, (size_t)hidden);
    for (int u = 0; u < hidden; u++)
        layer->carried_h[u] += dy[u] * layer->mask[t * hidden + u];
    if (model->shape.cell == CRS_GRU)
        backward_gru(layer, hidden, t, da, db);
    else if (model->shape.cell == CRS_RNN)
        backward_rnn(layer, hidden, t, da, db);
    else
        backward_lstm(layer, hidden, t, da, db);
    backward_affine(layer->w, layer->b, da, layer->input + (size_t)t * (size_t)layer->width, dx);
    backward_affine(layer->u, layer->b2, db, layer->h + (size_t)t * (size_t)hidden, layer->carried_h);
    free(da);
    free(db);
}

static void backward_step(trace *tr, int t) {
    const ref_model *model = tr->model;
    int vocabulary = model->shape.input_size, hidden = model->shape.hidden;
    size_t at = (size_t)t * (size_t)tr->batch->rows + (size_t)tr->row;
    double *d = tr->share + (size_t)t * (size_t)vocabulary;
    d[tr->batch->targets[at]] -= 1;
    double *dy = doubles(1, (size_t)hidden);
    backward_affine(ref_find(model, "output/weight"), ref_find(model, "output/bias"), d,
                    tr->top + (size_t)t * (size_t)hidden, dy);
    for (int l = model->shape.layers - 1; l >= 0; l--) {
        double *dx = doubles(1, (size_t)tr->layer[l].width);
        backward_layer(tr, l, t, dy, dx);
        free(dy);
        dy = dx;
    }
    if (model->shape.embed > 0)
        for (int k = 0; k < model->shape.embed; k++)
            add_gradient(&model->tensor[0], (int64_t)tr->batch->inputs[at] * model->shape.embed + k, dy[k]);
    free(dy);
}

static double run(const ref_model *model, const ref_batch *batch, double *final, bool backward) {
    double loss = 0;
    trace *tr = trace_create(model, batch);
    for (int row = 0; row < batch->rows; row++) {
        trace_begin(tr, row);
        for (int t = 0; t < batch->steps; t++)
            loss += forward_step(tr, t);
        if (final != NULL)
            trace_final(tr, final);
        for (int t = batch->steps - 1; backward && t >= 0; t--)
            backward_step(tr, t);
    }
    trace_free(tr);
    return loss;
}

double ref_loss(const ref_model *model, const ref_batch *batch, double *final) {
    return run(model, batch, final, false);
}

double ref_gradient(ref_model *model, const ref_batch *batch, double *final) {
    for (int k = 0; k < model->tensors; k++) {
        memset(model->tensor[k].gradient, 0, (size_t)model->tensor[k].size * sizeof(double));
        memset(model->tensor[k].magnitude, 0, (size_t)model->tensor[k].size * sizeof(double));
    }
    return run(model, batch, final, true);
}

double ref_condition(const ref_tensor *tensor) {
    double norm = 0, whole = 0;
    for (int64_t e = 0; e < tensor->size; e++) {
        norm += tensor->gradient[e] * tensor->gradient[e];
        whole += tensor->magnitude[e] * tensor->magnitude[e];
    }
    return whole > 0 ? sqrt(norm / whole) : 1;
}
