/* The shape of a model, and the list of its parameters. */
#include "config.h"

#include <math.h>
#include <stdio.h>

#include "carousel/spec.h"
#include "spec/limits.h"

static const char *const cell_names[CRS_CELLS + 1] = {"lstm", "peephole", "gru", "rnn", NULL};

const char *const *crs_cell_names(void) {
    return cell_names;
}

const char *crs_cell_name(crs_cell cell) {
    return cell_names[cell];
}

int crs_cell_gates(crs_cell cell) {
    static const int gates[CRS_CELLS] = {4, 4, 3, 1};
    return gates[cell];
}

static bool has_c(crs_cell cell) {
    return cell == CRS_LSTM || cell == CRS_PEEPHOLE;
}

int crs_cell_parts(crs_cell cell) {
    return has_c(cell) ? 2 : 1;
}

crs_spec crs_spec_text(crs_cell cell, int vocabulary, int embed, int hidden, int layers) {
    return (crs_spec){.input = CRS_INPUT_TOKENS,
                      .input_size = vocabulary,
                      .embed = embed,
                      .cell = cell,
                      .hidden = hidden,
                      .layers = layers,
                      .head = CRS_HEAD_SOFTMAX,
                      .outputs = vocabulary};
}

crs_status crs_spec_check(const crs_spec *s, crs_error *error) {
    if (s->input_size < 1 || s->outputs < 1 || s->hidden < 1 || s->layers < 1 || s->embed < 0)
        return crs_fail(
            error, CRS_CONFIG,
            "a model of %d tokens, --hidden=%d, --layers=%d, --embed=%d: each must be at least 1 (embed: 0)",
            s->input_size, s->hidden, s->layers, s->embed);
    if (s->hidden > CRS_MOST_UNITS || s->embed > CRS_MOST_UNITS || s->layers > CRS_MOST_LAYERS ||
        s->input_size > CRS_MOST_TOKENS || s->outputs > CRS_MOST_TOKENS)
        return crs_fail(error, CRS_CONFIG,
                        "a model of %d tokens, --hidden=%d, --layers=%d, --embed=%d is larger than this program can "
                        "train; at most --hidden=%d --layers=%d --embed=%d",
                        s->input_size, s->hidden, s->layers, s->embed, CRS_MOST_UNITS, CRS_MOST_LAYERS, CRS_MOST_UNITS);
    return CRS_OK;
}

size_t crs_spec_state(const crs_spec *s) {
    return (size_t)s->layers * (size_t)crs_cell_parts(s->cell) * (size_t)s->hidden;
}

int crs_spec_layer_inputs(const crs_spec *s, int layer) {
    return layer > 0 ? s->hidden : s->embed > 0 ? s->embed : s->input_size;
}

bool crs_spec_has_table(const crs_spec *s) {
    return s->input == CRS_INPUT_TOKENS && (s->embed == 0 || s->input_size <= s->embed);
}

/* ---- the list ---- */

int64_t crs_tensor_size(const crs_tensor *tensor) {
    return tensor->dims[0] * tensor->dims[1];
}

typedef struct list {
    crs_tensor *out;
    int most, count;
} list;

/* columns 0: a vector. */
static void add(list *l, const char *name, int64_t rows, int64_t columns, double range, bool forget) {
    if (l->count++ >= l->most)
        return;
    crs_tensor *tensor = &l->out[l->count - 1];
    *tensor =
        (crs_tensor){.rank = columns > 0 ? 2 : 1, .dims = {rows, columns > 0 ? columns : 1}, .start = {range, forget}};
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
}

static void add_to_layer(list *l, int layer, const char *what, int64_t rows, int64_t columns, double range,
                         bool forget) {
    char name[sizeof l->out->name];
    snprintf(name, sizeof name, "layers/%d/%s", layer, what);
    add(l, name, rows, columns, range, forget);
}

/* Half widths of the distributions. Measured on characters: input weights four times as wide as recurrent ones, and
 * output weights twice, save an LSTM about two of its first epochs; no cell loses by it. */
int crs_spec_tensors(const crs_spec *s, crs_tensor *out, int most) {
    const double unit = 1.0 / sqrt((double)s->hidden), bias = has_c(s->cell) ? 0 : unit;
    const int64_t hidden = s->hidden, gates = crs_cell_gates(s->cell) * hidden;
    list l = {out, most, 0};
    if (s->embed > 0)
        add(&l, "embedding/weight", s->input_size, s->embed, sqrt(3.0), false);
    for (int i = 0; i < s->layers; i++) {
        add_to_layer(&l, i, "weight_ih", gates, crs_spec_layer_inputs(s, i), unit * 4, false);
        add_to_layer(&l, i, "weight_hh", gates, hidden, unit, false);
        add_to_layer(&l, i, "bias_ih", gates, 0, bias, has_c(s->cell));
        if (s->cell == CRS_GRU)
            add_to_layer(&l, i, "bias_hh", gates, 0, bias, false);
        if (s->cell == CRS_PEEPHOLE)
            add_to_layer(&l, i, "peephole", 3, hidden, unit, false);
    }
    add(&l, "output/weight", s->outputs, hidden, unit * 2, false);
    add(&l, "output/bias", s->outputs, 0, unit, false);
    return l.count;
}

static double parameters_with(crs_spec s, int layers) {
    enum { MOST = 16 };
    crs_tensor tensor[MOST];
    double total = 0;
    s.layers = layers;
    const int tensors = crs_spec_tensors(&s, tensor, MOST);
    CRS_ASSERT(tensors <= MOST);
    for (int i = 0; i < tensors; i++)
        total += (double)tensor[i].dims[0] * (double)tensor[i].dims[1];
    return total;
}

/* Layers above the first are alike. */
double crs_spec_parameters(const crs_spec *s) {
    const double one = parameters_with(*s, 1), two = parameters_with(*s, 2);
    return one + (s->layers - 1) * (two - one);
}
