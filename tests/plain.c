#include "config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"

enum { MOST = 64 }; /* units, columns */

static void *need(size_t count, size_t size) {
    void *block = calloc(count > 0 ? count : 1, size);
    if (block == NULL)
        crs_panic(__FILE__, __LINE__, "out of memory");
    return block;
}

double plain_draw(uint64_t seed, uint64_t stream, uint64_t index) {
    uint64_t out[4];
    crs_random(seed, CRS_DRAW_SAMPLE, stream, index, 0, 0, out);
    return 2 * crs_unit_double(out[0]) - 1;
}

plain_model *plain_create(const crs_spec *spec, uint64_t seed) {
    plain_model *p = need(1, sizeof *p);
    p->spec = *spec;
    p->tensors = crs_spec_tensors(spec, p->tensor, PLAIN_TENSORS);
    CRS_ASSERT(p->tensors <= PLAIN_TENSORS);
    for (int k = 0; k < p->tensors; k++) {
        const int64_t size = crs_tensor_size(&p->tensor[k]);
        const double bound = p->tensor[k].rank == 1 ? 0.6 : 1.5 / sqrt((double)p->tensor[k].dims[1]);
        p->values[k] = need((size_t)size, sizeof(double));
        for (int64_t e = 0; e < size; e++)
            p->values[k][e] =
                (float)(bound * plain_draw(seed, (uint64_t)k, (uint64_t)e) + (p->tensor[k].start.one ? 1 : 0));
    }
    return p;
}

void plain_free(plain_model **plain) {
    for (int k = 0; k < (*plain)->tensors; k++)
        free((*plain)->values[k]);
    free(*plain);
    *plain = NULL;
}

/* The values of a tensor; NULL: there is none of that name. */
static __attribute__((format(printf, 2, 3))) const double *tensor(const plain_model *p, const char *format, ...) {
    char name[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    for (int k = 0; k < p->tensors; k++)
        if (strcmp(p->tensor[k].name, name) == 0)
            return p->values[k];
    return NULL;
}

static double dot(const double *a, const double *b, int n) {
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

static double logistic(double x) {
    return 1 / (1 + exp(-x));
}

/* ---- a direction of a layer ---- */

typedef struct way {
    crs_cell cell;
    int inputs, hidden;
    const double *w, *u, *b, *b2, *peephole;
    double h[MOST], c[MOST];
} way;

static void step(way *v, const double *x) {
    const int H = v->hidden, gates = crs_cell_gates(v->cell);
    double a[4][MOST], r[4][MOST], h[MOST];
    for (int g = 0; g < gates; g++)
        for (int j = 0; j < H; j++) {
            const int row = g * H + j;
            a[g][j] = v->b[row] + dot(v->w + row * v->inputs, x, v->inputs);
            r[g][j] = dot(v->u + row * H, v->h, H) + (v->b2 ? v->b2[row] : 0);
        }
    for (int j = 0; j < H; j++) {
        const double *p = v->peephole;
        if (v->cell == CRS_RNN) {
            h[j] = tanh(a[0][j] + r[0][j]);
        } else if (v->cell == CRS_GRU) {
            const double z = logistic(a[1][j] + r[1][j]), reset = logistic(a[0][j] + r[0][j]);
            h[j] = (1 - z) * tanh(a[2][j] + reset * r[2][j]) + z * v->h[j];
        } else {
            const double i = logistic(a[0][j] + r[0][j] + (p ? p[j] * v->c[j] : 0));
            const double f = logistic(a[1][j] + r[1][j] + (p ? p[H + j] * v->c[j] : 0));
            v->c[j] = f * v->c[j] + i * tanh(a[2][j] + r[2][j]);
            h[j] = logistic(a[3][j] + r[3][j] + (p ? p[2 * H + j] * v->c[j] : 0)) * tanh(v->c[j]);
        }
    }
    memcpy(v->h, h, sizeof h);
}

/* y[step][width] from column `first` on. */
static void run_way(const plain_model *p, const plain_row *row, int layer, bool reverse, const double *x, double *y) {
    const crs_spec *s = &p->spec;
    const char *name = reverse ? "reverse/" : "";
    const int H = s->hidden, parts = crs_cell_parts(s->cell), width = crs_spec_width(s);
    way v = {.cell = s->cell, .inputs = crs_spec_layer_inputs(s, layer), .hidden = H};
    v.w = tensor(p, "layers/%d/%sweight_ih", layer, name);
    v.u = tensor(p, "layers/%d/%sweight_hh", layer, name);
    v.b = tensor(p, "layers/%d/%sbias_ih", layer, name);
    v.b2 = tensor(p, "layers/%d/%sbias_hh", layer, name);
    v.peephole = tensor(p, "layers/%d/%speephole", layer, name);
    for (int j = 0; j < H && row->state; j++) {
        v.h[j] = (double)row->state[layer * parts * H + j];
        v.c[j] = parts > 1 ? (double)row->state[(layer * parts + 1) * H + j] : 0;
    }
    for (int i = 0; i < row->steps; i++) {
        const int t = reverse ? row->steps - 1 - i : i;
        step(&v, x + t * v.inputs);
        memcpy(y + t * width + (reverse ? H : 0), v.h, (size_t)H * sizeof *y);
    }
}

static void norm(const plain_model *p, int layer, double *y) {
    const int n = crs_spec_width(&p->spec);
    const double *weight = tensor(p, "layers/%d/norm/weight", layer), *bias = tensor(p, "layers/%d/norm/bias", layer);
    double mean = 0, variance = 0;
    for (int j = 0; j < n; j++)
        mean += y[j] / n;
    for (int j = 0; j < n; j++)
        variance += (y[j] - mean) * (y[j] - mean) / n;
    for (int j = 0; j < n; j++)
        y[j] = (y[j] - mean) / sqrt(variance + 1e-5) * weight[j] + bias[j];
}

static void run_layer(const plain_model *p, const plain_row *row, int layer, const double *x, double *y) {
    const crs_spec *s = &p->spec;
    const int width = crs_spec_width(s);
    run_way(p, row, layer, false, x, y);
    if (s->bidirectional)
        run_way(p, row, layer, true, x, y);
    for (int t = 0; t < row->steps; t++) {
        if (s->layer_norm)
            norm(p, layer, y + t * width);
        for (int j = 0; j < width && s->residual && layer > 0; j++)
            y[t * width + j] += x[t * width + j];
    }
}

/* ---- input, pool, output ---- */

static void read_input(const plain_model *p, const plain_row *row, double *x) {
    const crs_spec *s = &p->spec;
    const int n = crs_spec_layer_inputs(s, 0);
    const double *embedding = tensor(p, "embedding/weight");
    for (int t = 0; t < row->steps; t++)
        for (int j = 0; j < n; j++)
            x[t * n + j] = s->input != CRS_INPUT_TOKENS ? (double)row->numbers[t * n + j]
                           : embedding                  ? embedding[row->tokens[t] * (uint32_t)n + (uint32_t)j]
                                                        : row->tokens[t] == (uint32_t)j;
}

static void pool(const plain_model *p, int steps, double *y) {
    const int width = crs_spec_width(&p->spec);
    for (int j = 0; j < width; j++) {
        double mean = 0;
        for (int t = 0; t < steps; t++)
            mean += y[t * width + j] / steps;
        const double last = y[(j < p->spec.hidden ? steps - 1 : 0) * width + j];
        y[j] = p->spec.pool == CRS_POOL_MEAN ? mean : last; /* what is read later stands behind it */
    }
}

static double softmax_loss(const double *z, int n, uint32_t target) {
    double most = -INFINITY, sum = 0;
    for (int k = 0; k < n; k++)
        most = fmax(most, z[k]);
    for (int k = 0; k < n; k++)
        sum += exp(z[k] - most);
    return most + log(sum) - z[target];
}

static double number_loss(crs_head_kind head, const double *z, int numbers, int k, double y) {
    const double e = fabs(z[k] - y);
    switch (head) {
    case CRS_HEAD_LOGISTIC:
        return fmax(z[k], 0) + log1p(exp(-fabs(z[k]))) - y * z[k];
    case CRS_HEAD_MSE:
        return e * e;
    case CRS_HEAD_MAE:
        return e;
    case CRS_HEAD_HUBER:
        return e <= 1 ? 0.5 * e * e : e - 0.5;
    default:
        return 0.5 * (log(2 * acos(-1)) + z[numbers + k] + e * e / exp(z[numbers + k]));
    }
}

/* Of target number i, unweighted; *count: by how much its weight counts. */
static double target_loss(const plain_model *p, const plain_row *row, int i, const double *z, int *count) {
    const crs_spec *s = &p->spec;
    const int numbers = s->head == CRS_HEAD_GAUSSIAN ? s->outputs / 2 : s->outputs;
    *count = s->head == CRS_HEAD_SOFTMAX || s->head == CRS_HEAD_LOGISTIC ? 1 : numbers;
    if (s->head == CRS_HEAD_SOFTMAX)
        return softmax_loss(z, s->outputs, row->target_tokens[i]);
    double loss = 0;
    for (int k = 0; k < numbers; k++)
        loss += number_loss(s->head, z, numbers, k, (double)row->target_numbers[i * numbers + k]);
    return loss;
}

static double output_loss(const plain_model *p, const plain_row *row, const double *y, double *weight,
                          double *outputs) {
    const crs_spec *s = &p->spec;
    const int targets = s->alignment == CRS_ALIGN_SEQUENCE ? 1 : row->steps, width = crs_spec_width(s);
    const double *w = tensor(p, s->tie ? "embedding/weight" : "output/weight"), *b = tensor(p, "output/bias");
    double loss = 0, z[4 * MOST];
    for (int i = 0; i < targets; i++) {
        int count;
        for (int k = 0; k < s->outputs; k++)
            z[k] = b[k] + dot(w + k * width, y + i * width, width);
        if (outputs)
            memcpy(outputs + i * s->outputs, z, (size_t)s->outputs * sizeof *z);
        const double own = row->weight ? (double)row->weight[i] : 1;
        if (own == 0)
            continue;
        loss += own * target_loss(p, row, i, z, &count);
        *weight += own * count;
    }
    return loss;
}

double plain_loss(const plain_model *p, const plain_row *row, double *weight, double *outputs) {
    double *x = need((size_t)row->steps * MOST, sizeof *x), *y = need((size_t)row->steps * MOST, sizeof *y);
    CRS_ASSERT(crs_spec_width(&p->spec) <= MOST && crs_spec_layer_inputs(&p->spec, 0) <= MOST &&
               p->spec.outputs <= 4 * MOST);
    read_input(p, row, x);
    for (int layer = 0; layer < p->spec.layers; layer++) {
        run_layer(p, row, layer, x, y);
        double *given = y;
        y = x;
        x = given;
    }
    if (p->spec.alignment == CRS_ALIGN_SEQUENCE)
        pool(p, row->steps, x);
    const double loss = output_loss(p, row, x, weight, outputs);
    free(x);
    free(y);
    return loss;
}
