#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

/* What the backward pass needs of one direction of a layer, in its own order of time. */
typedef struct layer_trace {
    int width;                               /* of the input */
    double *input;                           /* [steps][width] */
    double *gate;                            /* [steps][gates][H], after the activation */
    double *recurrent;                       /* [steps][H]; gru: U h + b' of the candidate */
    double *h, *c;                           /* [steps + 1][H]; index 0: at the start */
    double *carried_h, *carried_c;           /* [H]: d loss / d h, c, from the later steps */
    const ref_tensor *w, *u, *b, *b2, *peep; /* b2, peep: NULL where the cell has none */
} layer_trace;

/* A layer: its directions, and what comes after them. */
typedef struct joint_trace {
    int ways, width;                  /* width: of what it gives, W */
    layer_trace way[2];               /* forward, backward */
    double *input;                    /* [steps][width of the input] */
    double *standard, *inverse;       /* [steps][W], [steps]: of the norm */
    double *mask, *out;               /* [steps][W] */
    const ref_tensor *weight, *shift; /* of the norm; NULL without */
} joint_trace;

typedef struct trace {
    const ref_model *model;
    const ref_batch *batch;
    int row, steps;     /* steps: of this row */
    joint_trace *layer; /* [layers] */
    double *top;        /* [steps][W]: the input of the output layer */
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
    char full[64];
    snprintf(full, sizeof full, "layers/%d/%s", layer, name);
    add_tensor(model, full, rank, rows, columns);
}

static int ways_of(const crs_spec *shape) {
    return shape->bidirectional ? 2 : 1;
}

static int input_width(const crs_spec *shape, int layer) {
    if (layer > 0)
        return ways_of(shape) * shape->hidden;
    return shape->embed > 0 ? shape->embed : shape->input_size;
}

static void add_direction(ref_model *model, int layer, const char *way) {
    const crs_spec *shape = &model->shape;
    const int64_t wide = (int64_t)model->gates * shape->hidden;
    const struct {
        const char *name;
        int rank;
        int64_t rows, columns;
        bool there;
    } tensors[] = {{"weight_ih", 2, wide, input_width(shape, layer), true},
                   {"weight_hh", 2, wide, shape->hidden, true},
                   {"bias_ih", 1, wide, 1, true},
                   {"bias_hh", 1, wide, 1, shape->cell == CRS_GRU},
                   {"peephole", 2, 3, shape->hidden, shape->cell == CRS_PEEPHOLE}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        char name[40];
        snprintf(name, sizeof name, "%s%s", way, tensors[i].name);
        if (tensors[i].there)
            add_layer_tensor(model, layer, name, tensors[i].rank, tensors[i].rows, tensors[i].columns);
    }
}

ref_model *ref_create(const crs_spec *shape) {
    ref_model *model = need(1, sizeof *model);
    const int width = ways_of(shape) * shape->hidden;
    model->shape = *shape;
    model->gates = shape->cell == CRS_RNN ? 1 : shape->cell == CRS_GRU ? 3 : 4;
    model->parts = shape->cell == CRS_LSTM || shape->cell == CRS_PEEPHOLE ? 2 : 1;
    model->tensor = need(3 + 12 * (size_t)shape->layers, sizeof *model->tensor);
    if (shape->embed > 0)
        add_tensor(model, "embedding/weight", 2, shape->input_size, shape->embed);
    for (int l = 0; l < shape->layers; l++) {
        add_direction(model, l, "");
        if (shape->bidirectional)
            add_direction(model, l, "reverse/");
        if (shape->layer_norm) {
            add_layer_tensor(model, l, "norm/weight", 1, width, 1);
            add_layer_tensor(model, l, "norm/bias", 1, width, 1);
        }
    }
    if (!shape->tie)
        add_tensor(model, "output/weight", 2, shape->outputs, width);
    add_tensor(model, "output/bias", 1, shape->outputs, 1);
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

static ref_tensor *find_in_layer(const ref_model *model, int layer, const char *way, const char *name) {
    char full[64];
    snprintf(full, sizeof full, "layers/%d/%s%s", layer, way, name);
    return ref_find(model, full);
}

static const ref_tensor *output_weight(const ref_model *model) {
    return ref_find(model, model->shape.tie ? "embedding/weight" : "output/weight");
}

size_t ref_state_size(const ref_model *model) {
    if (model->shape.bidirectional)
        return 0;
    return (size_t)model->shape.layers * (size_t)model->parts * (size_t)model->shape.hidden;
}

static double mask_of(const ref_batch *batch, double share, crs_draw draw, int row, uint64_t place, int unit) {
    if (!(share > 0))
        return 1;
    uint64_t out[4];
    crs_random(batch->seed, draw, batch->step, (uint64_t)(batch->first_row + row), place, (uint64_t)unit / 8, out);
    uint64_t pair = out[unit % 8 / 2];
    uint64_t word = unit % 2 == 0 ? pair & 0xffffffff : pair >> 32;
    return (double)word >= floor(share * 0x1p32) ? 1 / (1 - share) : 0;
}

double ref_mask(const ref_batch *batch, int row, int layer, int time, int unit) {
    return mask_of(batch, batch->dropout, CRS_DRAW_DROPOUT, row, (uint64_t)layer << 32 | (uint64_t)time, unit);
}

double ref_input_mask(const ref_batch *batch, int row, int time, int column) {
    return mask_of(batch, batch->input_dropout, CRS_DRAW_INPUT_DROPOUT, row, (uint64_t)time, column);
}

/* ---- one row's window ---------------------------------------------------------------------------------*/

static void layer_create(layer_trace *layer, const ref_model *model, int steps, int l, const char *way) {
    const size_t hidden = (size_t)model->shape.hidden, times = (size_t)steps;
    layer->width = input_width(&model->shape, l);
    layer->input = doubles(times, (size_t)layer->width);
    layer->gate = doubles(times, (size_t)model->gates * hidden);
    layer->recurrent = doubles(times, hidden);
    layer->h = doubles(times + 1, hidden);
    layer->c = doubles(times + 1, hidden);
    layer->carried_h = doubles(1, hidden);
    layer->carried_c = doubles(1, hidden);
    layer->w = find_in_layer(model, l, way, "weight_ih");
    layer->u = find_in_layer(model, l, way, "weight_hh");
    layer->b = find_in_layer(model, l, way, "bias_ih");
    layer->b2 = find_in_layer(model, l, way, "bias_hh");
    layer->peep = find_in_layer(model, l, way, "peephole");
}

static void layer_free(layer_trace *layer) {
    free(layer->input);
    free(layer->gate);
    free(layer->recurrent);
    free(layer->h);
    free(layer->c);
    free(layer->carried_h);
    free(layer->carried_c);
}

static trace *trace_create(const ref_model *model, const ref_batch *batch) {
    const size_t steps = (size_t)batch->steps;
    trace *tr = need(1, sizeof *tr);
    tr->model = model;
    tr->batch = batch;
    tr->layer = need((size_t)model->shape.layers, sizeof *tr->layer);
    for (int l = 0; l < model->shape.layers; l++) {
        joint_trace *joint = &tr->layer[l];
        joint->ways = ways_of(&model->shape);
        joint->width = joint->ways * model->shape.hidden;
        joint->input = doubles(steps, (size_t)input_width(&model->shape, l));
        joint->standard = doubles(steps, (size_t)joint->width);
        joint->inverse = doubles(steps, 1);
        joint->mask = doubles(steps, (size_t)joint->width);
        joint->out = doubles(steps, (size_t)joint->width);
        for (int way = 0; way < joint->ways; way++)
            layer_create(&joint->way[way], model, batch->steps, l, way ? "reverse/" : "");
        joint->weight = find_in_layer(model, l, "norm/", "weight");
        joint->shift = find_in_layer(model, l, "norm/", "bias");
    }
    tr->top = tr->layer[model->shape.layers - 1].out;
    tr->share = doubles(steps, (size_t)model->shape.outputs);
    return tr;
}

static void trace_free(trace *tr) {
    for (int l = 0; l < tr->model->shape.layers; l++) {
        joint_trace *joint = &tr->layer[l];
        for (int way = 0; way < joint->ways; way++)
            layer_free(&joint->way[way]);
        free(joint->input);
        free(joint->standard);
        free(joint->inverse);
        free(joint->mask);
        free(joint->out);
    }
    free(tr->layer);
    free(tr->share);
    free(tr);
}

/* Begins a row: its state at the start, and nothing from later steps. Two directions begin from zero. */
static void trace_begin(trace *tr, int row) {
    const ref_model *model = tr->model;
    int hidden = model->shape.hidden;
    const double *state = tr->batch->state + (size_t)row * ref_state_size(model);
    tr->row = row;
    tr->steps = tr->batch->length != NULL ? tr->batch->length[row] : tr->batch->steps;
    for (int l = 0; l < model->shape.layers; l++)
        for (int way = 0; way < tr->layer[l].ways; way++) {
            layer_trace *layer = &tr->layer[l].way[way];
            const bool zero = model->shape.bidirectional;
            for (int u = 0; u < hidden; u++) {
                layer->h[u] = zero ? 0 : state[(l * model->parts) * hidden + u];
                layer->c[u] = zero || model->parts < 2 ? 0 : state[(l * model->parts + 1) * hidden + u];
                layer->carried_h[u] = 0;
                layer->carried_c[u] = 0;
            }
        }
}

static void trace_final(const trace *tr, double *final) {
    const ref_model *model = tr->model;
    int hidden = model->shape.hidden, steps = tr->steps;
    double *state = final + (size_t)tr->row * ref_state_size(model);
    for (int l = 0; l < model->shape.layers && !model->shape.bidirectional; l++)
        for (int u = 0; u < hidden; u++) {
            const layer_trace *layer = &tr->layer[l].way[0];
            state[(l * model->parts) * hidden + u] = layer->h[steps * hidden + u];
            if (model->parts == 2)
                state[(l * model->parts + 1) * hidden + u] = layer->c[steps * hidden + u];
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
    int width = input_width(&model->shape, 0);
    uint32_t token = tr->batch->inputs[t * tr->batch->rows + tr->row];
    double *x = tr->layer[0].input + (size_t)t * (size_t)width;
    for (int k = 0; k < width; k++) {
        x[k] = model->shape.embed > 0 ? model->tensor[0].values[(int64_t)token * width + k] : (uint32_t)k == token;
        x[k] *= ref_input_mask(tr->batch, tr->row, t, k);
    }
}

/* The loss of step t. */
static double forward_output(trace *tr, int t) {
    const ref_model *model = tr->model;
    const ref_tensor *weight = output_weight(model), *bias = ref_find(model, "output/bias");
    int vocabulary = model->shape.outputs;
    uint32_t target = tr->batch->targets[t * tr->batch->rows + tr->row];
    double *share = tr->share + (size_t)t * (size_t)vocabulary;
    double highest = -INFINITY, sum = 0;
    for (int v = 0; v < vocabulary; v++) {
        share[v] = affine(weight, bias, v, tr->top + (size_t)t * (size_t)weight->dims[1]);
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

/* A direction over the whole row, in its own order of time. */
static void forward_direction(trace *tr, int l, int way) {
    const ref_model *model = tr->model;
    layer_trace *layer = &tr->layer[l].way[way];
    const size_t width = (size_t)layer->width;
    for (int t = 0; t < tr->steps; t++) {
        memcpy(layer->input + (size_t)t * width, tr->layer[l].input + (size_t)(way ? tr->steps - 1 - t : t) * width,
               width * sizeof(double));
        if (model->shape.cell == CRS_GRU)
            forward_gru(layer, model->shape.hidden, t);
        else if (model->shape.cell == CRS_RNN)
            forward_rnn(layer, model->shape.hidden, t);
        else
            forward_lstm(layer, model->shape.hidden, t);
    }
}

/* x[W] becomes (x - mean) / sqrt(variance + 1e-5); returns what it was multiplied by. */
static double standardize(double *x, int width) {
    double mean = 0, variance = 0;
    for (int u = 0; u < width; u++)
        mean += x[u] / width;
    for (int u = 0; u < width; u++)
        variance += (x[u] - mean) * (x[u] - mean) / width;
    const double inverse = 1 / sqrt(variance + 1e-5);
    for (int u = 0; u < width; u++)
        x[u] = (x[u] - mean) * inverse;
    return inverse;
}

/* What layer l gives at t. */
static void forward_joint(trace *tr, int l, int t) {
    const ref_model *model = tr->model;
    joint_trace *joint = &tr->layer[l];
    const int hidden = model->shape.hidden, width = joint->width;
    double *z = joint->standard + (size_t)t * (size_t)width;
    for (int way = 0; way < joint->ways; way++) {
        const int time = way ? tr->steps - 1 - t : t;
        memcpy(z + way * hidden, joint->way[way].h + (size_t)(time + 1) * (size_t)hidden,
               (size_t)hidden * sizeof(double));
    }
    if (model->shape.layer_norm)
        joint->inverse[t] = standardize(z, width);
    for (int u = 0; u < width; u++) {
        double y = model->shape.layer_norm ? z[u] * joint->weight->values[u] + joint->shift->values[u] : z[u];
        if (model->shape.residual && l > 0)
            y += joint->input[t * width + u];
        joint->mask[t * width + u] = ref_mask(tr->batch, tr->row, l, t, u);
        joint->out[t * width + u] = y * joint->mask[t * width + u];
    }
}

/* The loss of a row. */
static double forward_row(trace *tr) {
    double loss = 0;
    for (int t = 0; t < tr->steps; t++)
        forward_input(tr, t);
    for (int l = 0; l < tr->model->shape.layers; l++) {
        joint_trace *joint = &tr->layer[l];
        const size_t size = (size_t)tr->steps * (size_t)joint->width;
        if (l > 0)
            memcpy(joint->input, tr->layer[l - 1].out, size * sizeof(double));
        for (int way = 0; way < joint->ways; way++)
            forward_direction(tr, l, way);
        for (int t = 0; t < tr->steps; t++)
            forward_joint(tr, l, t);
    }
    for (int t = 0; t < tr->steps; t++)
        loss += forward_output(tr, t);
    return loss;
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

/* Adds d loss / d h (of a direction, at its time t) into carried_h, goes through the cell, and adds to dx. */
static void backward_layer(const ref_model *model, layer_trace *layer, int t, const double *dh, double *dx) {
    int hidden = model->shape.hidden;
    double *da = doubles((size_t)model->gates, (size_t)hidden), *db = doubles((size_t)model->gates, (size_t)hidden);
    for (int u = 0; u < hidden; u++)
        layer->carried_h[u] += dh[u];
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

/* From d loss / d z w + b to d loss / d x, in place. */
static void backward_norm(const joint_trace *joint, int t, double *d) {
    const int width = joint->width;
    const double *z = joint->standard + (size_t)t * (size_t)width;
    double mean = 0, along = 0;
    for (int u = 0; u < width; u++) {
        add_gradient(joint->weight, u, d[u] * z[u]);
        add_gradient(joint->shift, u, d[u]);
        d[u] *= joint->weight->values[u];
        mean += d[u] / width;
        along += d[u] * z[u] / width;
    }
    for (int u = 0; u < width; u++)
        d[u] = joint->inverse[t] * (d[u] - mean - z[u] * along);
}

/* dy[steps][W]: of what layer l gives, used up; adds to dx[steps][width of the input]. */
static void backward_joint(trace *tr, int l, double *dy, double *dx) {
    const ref_model *model = tr->model;
    joint_trace *joint = &tr->layer[l];
    const int width = joint->width, hidden = model->shape.hidden, inputs = joint->way[0].width;
    for (int t = 0; t < tr->steps; t++) {
        double *d = dy + (size_t)t * (size_t)width;
        for (int u = 0; u < width; u++) {
            d[u] *= joint->mask[t * width + u];
            if (model->shape.residual && l > 0)
                dx[t * width + u] += d[u];
        }
        if (model->shape.layer_norm)
            backward_norm(joint, t, d);
    }
    for (int way = 0; way < joint->ways; way++)
        for (int t = tr->steps - 1; t >= 0; t--) {
            const int time = way ? tr->steps - 1 - t : t;
            backward_layer(model, &joint->way[way], t, dy + time * width + way * hidden, dx + time * inputs);
        }
}

static void backward_output(trace *tr, int t, double *dy) {
    const ref_model *model = tr->model;
    const ref_tensor *weight = output_weight(model);
    double *d = tr->share + (size_t)t * (size_t)model->shape.outputs;
    d[tr->batch->targets[t * tr->batch->rows + tr->row]] -= 1;
    backward_affine(weight, ref_find(model, "output/bias"), d, tr->top + (size_t)t * (size_t)weight->dims[1], dy);
}

static void backward_input(trace *tr, int t, const double *dx) {
    const ref_model *model = tr->model;
    const int64_t token = tr->batch->inputs[t * tr->batch->rows + tr->row];
    for (int k = 0; k < model->shape.embed; k++)
        add_gradient(&model->tensor[0], token * model->shape.embed + k,
                     dx[k] * ref_input_mask(tr->batch, tr->row, t, k));
}

static void backward_row(trace *tr) {
    const ref_model *model = tr->model;
    const int layers = model->shape.layers, width = tr->layer[layers - 1].width;
    double *dy = doubles((size_t)tr->steps, (size_t)width);
    for (int t = 0; t < tr->steps; t++)
        backward_output(tr, t, dy + (size_t)t * (size_t)width);
    for (int l = layers - 1; l >= 0; l--) {
        double *dx = doubles((size_t)tr->steps, (size_t)tr->layer[l].way[0].width);
        backward_joint(tr, l, dy, dx);
        free(dy);
        dy = dx;
    }
    for (int t = 0; t < tr->steps; t++)
        backward_input(tr, t, dy + (size_t)t * (size_t)tr->layer[0].way[0].width);
    free(dy);
}

static double run(const ref_model *model, const ref_batch *batch, double *final, bool backward) {
    double loss = 0;
    trace *tr = trace_create(model, batch);
    for (int row = 0; row < batch->rows; row++) {
        trace_begin(tr, row);
        loss += forward_row(tr);
        if (final != NULL)
            trace_final(tr, final);
        if (backward)
            backward_row(tr);
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
