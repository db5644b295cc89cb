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

const char *const *crs_loss_names(void) {
    static const char *const names[CRS_HEADS + 1] = {"softmax", "logistic", "mse", "mae", "huber", "gaussian", NULL};
    return names;
}

const char *const *crs_pool_names(void) {
    static const char *const names[CRS_POOLS + 1] = {"last", "mean", NULL};
    return names;
}

crs_spec crs_spec_text(crs_cell cell, int vocabulary, int embed, int hidden, int layers) {
    return (crs_spec){.input = CRS_INPUT_TOKENS,
                      .input_size = vocabulary,
                      .embed = embed,
                      .cell = cell,
                      .hidden = hidden,
                      .layers = layers,
                      .targets = CRS_TARGET_NEXT,
                      .alignment = CRS_ALIGN_STEP,
                      .head = CRS_HEAD_SOFTMAX,
                      .outputs = vocabulary};
}

/* ---- for data ---- */

static crs_head_kind head_for(const crs_schema *schema, crs_head_kind loss) {
    if (schema->targets == CRS_TARGET_VALUES)
        return loss;
    return crs_schema_says_bits(schema) ? CRS_HEAD_LOGISTIC : CRS_HEAD_SOFTMAX;
}

static int outputs_for(const crs_schema *schema, crs_head_kind head) {
    if (head == CRS_HEAD_SOFTMAX)
        return schema->target_size;
    return crs_schema_numbers(schema) * (head == CRS_HEAD_GAUSSIAN ? 2 : 1);
}

static crs_status refuse(crs_error *error, const char *what, const char *why) {
    return crs_fail(error, CRS_CONFIG, "%s: %s; leave it out", what, why);
}

crs_status crs_spec_for(const crs_schema *schema, const crs_spec *wanted, crs_head_kind loss, crs_spec *spec,
                        crs_error *error) {
    *spec = *wanted;
    spec->input = schema->inputs;
    spec->input_size = schema->input_size;
    spec->targets = schema->targets;
    spec->alignment = schema->alignment;
    spec->head = head_for(schema, loss);
    spec->outputs = outputs_for(schema, spec->head);
    if (spec->input != CRS_INPUT_TOKENS)
        spec->embed = 0;
    if (wanted->bidirectional && schema->targets == CRS_TARGET_NEXT)
        return refuse(error, "--bidirectional", "what comes next would be seen by the backward direction");
    if (wanted->change && !crs_schema_is_forecast(schema))
        return refuse(error, "--change", "these data are no forecast (pack table --context --horizon)");
    if (wanted->pool != CRS_POOL_LAST && schema->alignment != CRS_ALIGN_SEQUENCE)
        return refuse(error, "--pool", "these data have a target for each step, and every output is read");
    if (wanted->tie && (spec->input != CRS_INPUT_TOKENS || schema->targets != CRS_TARGET_NEXT))
        return refuse(error, "--tie", "it needs tokens on both sides of the model");
    if (wanted->tie && (spec->embed != spec->hidden || spec->embed < 1))
        return crs_fail(error, CRS_CONFIG, "--tie needs --embed as --hidden: both %d", spec->hidden);
    return CRS_OK;
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
    if (s->bidirectional)
        return 0;
    return (size_t)s->layers * (size_t)crs_cell_parts(s->cell) * (size_t)s->hidden;
}

int crs_spec_width(const crs_spec *s) {
    return s->bidirectional ? 2 * s->hidden : s->hidden;
}

int crs_spec_layer_inputs(const crs_spec *s, int layer) {
    return layer > 0 ? crs_spec_width(s) : s->embed > 0 ? s->embed : s->input_size;
}

bool crs_spec_has_table(const crs_spec *s) {
    return s->input == CRS_INPUT_TOKENS && !s->bidirectional && !s->tie && !s->gather &&
           (s->embed == 0 || s->input_size <= s->embed);
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
static void add(list *l, const char *name, int64_t rows, int64_t columns, crs_start start) {
    if (l->count++ >= l->most)
        return;
    crs_tensor *tensor = &l->out[l->count - 1];
    *tensor = (crs_tensor){.rank = columns > 0 ? 2 : 1, .dims = {rows, columns > 0 ? columns : 1}, .start = start};
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
}

/* way: "", "reverse/" or "norm/". */
static void add_to_layer(list *l, int layer, const char *way, const char *what, int64_t rows, int64_t columns,
                         crs_start start) {
    char name[sizeof l->out->name];
    snprintf(name, sizeof name, "layers/%d/%s%s", layer, way, what);
    add(l, name, rows, columns, start);
}

/* Half widths of the distributions. Measured on characters: input weights four times as wide as recurrent ones, and
 * output weights twice, save an LSTM about two of its first epochs; no cell loses by it. Numbers have no embedding
 * whose variance is 1 a column: their input weights are as wide as the width of a step asks for. */
static double input_range(const crs_spec *s, int layer) {
    const double unit = 1.0 / sqrt((double)s->hidden);
    return unit * 4 * (layer == 0 && s->input != CRS_INPUT_TOKENS ? 0.5 : 1);
}

static void add_direction(list *l, const crs_spec *s, int layer, const char *way) {
    const double unit = 1.0 / sqrt((double)s->hidden);
    const crs_start uniform = {.range = unit}, bias = {.range = has_c(s->cell) ? 0 : unit, .forget = has_c(s->cell)};
    const int64_t hidden = s->hidden, gates = crs_cell_gates(s->cell) * hidden;
    add_to_layer(l, layer, way, "weight_ih", gates, crs_spec_layer_inputs(s, layer),
                 (crs_start){.range = input_range(s, layer)});
    add_to_layer(l, layer, way, "weight_hh", gates, hidden, uniform);
    add_to_layer(l, layer, way, "bias_ih", gates, 0, bias);
    if (s->cell == CRS_GRU)
        add_to_layer(l, layer, way, "bias_hh", gates, 0, bias);
    if (s->cell == CRS_PEEPHOLE)
        add_to_layer(l, layer, way, "peephole", 3, hidden, uniform);
}

int crs_spec_tensors(const crs_spec *s, crs_tensor *out, int most) {
    const double unit = 1.0 / sqrt((double)s->hidden);
    list l = {out, most, 0};
    if (s->embed > 0)
        add(&l, "embedding/weight", s->input_size, s->embed, (crs_start){.range = s->tie ? unit * 2 : sqrt(3.0)});
    for (int i = 0; i < s->layers; i++) {
        add_direction(&l, s, i, "");
        if (s->bidirectional)
            add_direction(&l, s, i, "reverse/");
        if (s->layer_norm) {
            add_to_layer(&l, i, "norm/", "weight", crs_spec_width(s), 0, (crs_start){.one = true});
            add_to_layer(&l, i, "norm/", "bias", crs_spec_width(s), 0, (crs_start){0});
        }
    }
    if (!s->tie)
        add(&l, "output/weight", s->outputs, crs_spec_width(s), (crs_start){.range = unit * 2});
    add(&l, "output/bias", s->outputs, 0, (crs_start){.range = unit});
    return l.count;
}

static double parameters_with(crs_spec s, int layers) {
    enum { MOST = 32 };
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
