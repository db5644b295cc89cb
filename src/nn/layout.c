/* Where each parameter stands: arenas, sums, tensors in the order of the file. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "model.h"

static void set_gates(crs_model *m) {
    crs_gates *g = &m->gates;
    if (m->spec.cell == CRS_RNN)
        *g = (crs_gates){m->hidden_groups.groups, true, m->hidden_padded, 0, 0, m->hidden_padded, m->hidden_padded};
    else if (m->spec.cell == CRS_GRU)
        *g = (crs_gates){m->hidden_padded / CRS_BLOCK, false, CRS_GROUP, 0, 16, 48, 48};
    else
        *g = (crs_gates){m->hidden_padded / CRS_BLOCK, false, CRS_GROUP, 0, 0, 64, 64};
}

/* The column of gate `gate` (in the order of the file), unit u, within its group's panel. gru: the input's panel has n
 * r z, the hidden state's r z n, so that both are one run of the slots n r z n'. */
static int panel_column(const crs_model *m, int gate, int u, bool hidden) {
    static const int gru[2][3] = {{1, 2, 0}, {0, 1, 2}};
    return (m->spec.cell == CRS_GRU ? gru[hidden][gate] : gate) * CRS_BLOCK + u % CRS_BLOCK;
}

/* The next tensor of the list, to be placed. */
static size_t *add_tensor(crs_model *m, const char *name, int stride) {
    const crs_tensor *tensor = &m->tensor[m->placed];
    CRS_ASSERT(strcmp(tensor->name, name) == 0);
    crs_place *place = &m->place[m->placed++];
    place->stride = stride;
    place->base = crs_alloc((size_t)tensor->dims[0], sizeof *place->base, CRS_MEMORY_OTHER);
    return place->base;
}

/* A tensor whose rows are gates: a weight (K inputs) or a bias (K = 1). */
static bool add_gate_tensor(crs_model *m, int layer, const char *what, size_t offset, int k, bool hidden) {
    char name[sizeof m->tensor->name];
    const int gates = crs_cell_gates(m->spec.cell), units = m->spec.hidden;
    snprintf(name, sizeof name, "layers/%d/%s", layer, what);
    size_t *base = add_tensor(m, name, m->gates.flat ? 0 : hidden ? m->gates.h_columns : m->gates.x_columns);
    for (int group = 0; base && group < m->gates.groups; group++) {
        const size_t panel = (size_t)(hidden ? crs_h_first(m, group) : crs_x_first(m, group)) * (size_t)k;
        const int first = crs_unit_first(m, group), end = first + crs_units(m, group);
        for (int gate = 0; gate < gates; gate++)
            for (int u = first; u < end && u < units; u++)
                base[gate * units + u] =
                    offset + panel + (size_t)(m->gates.flat ? u - first : panel_column(m, gate, u, hidden));
    }
    return base != NULL;
}

static bool add_rows_tensor(crs_model *m, const char *name, int row_length, size_t offset) {
    size_t *base = add_tensor(m, name, 1);
    for (int64_t j = 0; base && j < m->tensor[m->placed - 1].dims[0]; j++)
        base[j] = offset + (size_t)j * (size_t)row_length;
    return base != NULL;
}

/* Weights of columns in groups: [group][K][columns of the group]. The rows of the file are the columns. */
static bool add_output_tensor(crs_model *m) {
    const crs_groups *v = &m->vocabulary_groups;
    const int k = m->spec.hidden;
    size_t *base = add_tensor(m, "output/weight", 0);
    for (int group = 0; base && group < v->groups; group++) {
        const int first = crs_group_first(v, group), end = crs_group_first(v, group + 1);
        for (int j = first; j < end && j < m->spec.outputs; j++)
            base[j] = m->output_weight + (size_t)first * (size_t)k + (size_t)(j - first);
    }
    return base && add_rows_tensor(m, "output/bias", 1, m->output_bias);
}

/* The stride of a panel differs from group to group where groups are uneven: the row's own. */
static int stride_of(const crs_model *m, int tensor, int64_t row) {
    if (m->place[tensor].stride)
        return m->place[tensor].stride;
    const bool output = tensor >= m->tensors - 2;
    const crs_groups *g = output ? &m->vocabulary_groups : &m->hidden_groups;
    int group = (int)(row / CRS_GROUP); /* at or below the right one: no group is wider */
    while (crs_group_first(g, group + 1) <= row)
        group++;
    return crs_group_columns(g, group);
}

static bool add_tensors(crs_model *m) {
    const crs_spec *s = &m->spec;
    m->tensors = crs_spec_tensors(s, NULL, 0);
    m->tensor = crs_alloc((size_t)m->tensors, sizeof *m->tensor, CRS_MEMORY_OTHER);
    m->place = crs_alloc((size_t)m->tensors, sizeof *m->place, CRS_MEMORY_OTHER);
    if (!m->tensor || !m->place)
        return false;
    crs_spec_tensors(s, m->tensor, m->tensors);
    bool good = true;
    if (s->embed > 0)
        good = add_rows_tensor(m, "embedding/weight", crs_pad(s->embed), m->embedding);
    for (int l = 0; good && l < s->layers; l++) {
        const crs_layer *layer = &m->layers[l];
        char name[sizeof m->tensor->name];
        good = add_gate_tensor(m, l, "weight_ih", layer->weight_ih, layer->inputs, false) &&
               add_gate_tensor(m, l, "weight_hh", layer->weight_hh, s->hidden, true) &&
               add_gate_tensor(m, l, "bias_ih", layer->bias_ih, 1, false);
        if (good && s->cell == CRS_GRU)
            good = add_gate_tensor(m, l, "bias_hh", layer->bias_hh, 1, true);
        snprintf(name, sizeof name, "layers/%d/peephole", l);
        if (good && s->cell == CRS_PEEPHOLE)
            good = add_rows_tensor(m, name, m->hidden_padded, layer->peephole);
    }
    return good && add_output_tensor(m);
}

static size_t take(size_t *end, size_t count) {
    const size_t at = *end;
    *end += (count + CRS_BLOCK - 1) / CRS_BLOCK * CRS_BLOCK;
    return at;
}

/* Offsets, in the order of the file. */
static void lay_out(crs_model *m) {
    const crs_spec *s = &m->spec;
    const size_t hidden = (size_t)m->hidden_padded, x_all = (size_t)crs_x_all(m), h_all = (size_t)crs_h_all(m);
    const size_t v = (size_t)s->input_size, e = (size_t)crs_pad(s->embed),
                 v_padded = (size_t)m->vocabulary_groups.padded;
    const bool table = m->layers[0].from_tokens;
    size_t arena = 0, sums = 0;
    if (s->embed > 0) {
        m->embedding = take(&arena, v * e);
        if (!table)
            m->sum_embedding = take(&sums, v * e);
    }
    if (table)
        m->sum_table = take(&sums, crs_gates_size(m, s->input_size));
    for (int l = 0; l < s->layers; l++) {
        crs_layer *layer = &m->layers[l];
        const bool summed = !layer->from_tokens;
        layer->weight_ih = take(&arena, (size_t)layer->inputs * x_all);
        layer->weight_hh = take(&arena, (size_t)s->hidden * h_all);
        layer->bias_ih = take(&arena, x_all);
        layer->sum_hh = take(&sums, (size_t)s->hidden * h_all);
        if (summed) {
            layer->sum_ih = take(&sums, (size_t)layer->inputs * x_all);
            layer->sum_bias_ih = take(&sums, x_all);
        }
        if (s->cell == CRS_GRU) {
            layer->bias_hh = take(&arena, h_all);
            if (summed)
                layer->sum_bias_hh = take(&sums, h_all);
        }
        if (s->cell == CRS_PEEPHOLE) {
            layer->peephole = take(&arena, 3 * hidden);
            layer->sum_peephole = take(&sums, 3 * hidden);
        }
    }
    m->output_weight = take(&arena, (size_t)s->hidden * v_padded);
    m->output_bias = take(&arena, v_padded);
    m->sum_output_weight = take(&sums, (size_t)s->hidden * v_padded);
    m->sum_output_bias = take(&sums, v_padded);
    m->arena = arena;
    m->sums = sums + CRS_SUM_TRAILER;
}

static void set_layers(crs_model *m) {
    const crs_spec *s = &m->spec;
    for (int l = 0; l < s->layers; l++) {
        crs_layer *layer = &m->layers[l];
        layer->inputs = l > 0 ? s->hidden : s->embed > 0 ? s->embed : s->input_size;
        layer->inputs_padded = crs_pad(layer->inputs);
        layer->input_groups = crs_groups_of(layer->inputs);
        /* A table of V rows saves the input product; beyond V = E, gathering embeddings is cheaper. */
        layer->from_tokens = l == 0 && (s->embed == 0 || s->input_size <= s->embed);
    }
}

/* What is derived from the parameters. */
static bool allocate_derived(crs_model *m) {
    const crs_spec *s = &m->spec;
    const size_t table = crs_gates_size(m, s->input_size);
    bool good = true;
    for (int l = 0; l < s->layers && good; l++) {
        crs_layer *layer = &m->layers[l];
        layer->start = crs_alloc(crs_gates_size(m, 1), sizeof(float), CRS_MEMORY_PACKED);
        layer->transposed_hh =
            crs_alloc((size_t)m->hidden_padded * (size_t)crs_h_all(m), sizeof(float), CRS_MEMORY_PACKED);
        good = layer->start && layer->transposed_hh;
        if (good && (l > 0 || s->embed > 0)) {
            layer->transposed_ih =
                crs_alloc((size_t)layer->inputs_padded * (size_t)crs_x_all(m), sizeof(float), CRS_MEMORY_PACKED);
            good = layer->transposed_ih != NULL;
        }
    }
    m->transposed_output =
        crs_alloc((size_t)m->hidden_padded * (size_t)m->vocabulary_groups.padded, sizeof(float), CRS_MEMORY_PACKED);
    good = good && m->transposed_output;
    if (good && m->layers[0].from_tokens) {
        m->table = crs_alloc(table, sizeof(float), CRS_MEMORY_PACKED);
        m->table_gradient = crs_alloc(table, sizeof(float), CRS_MEMORY_GRADIENTS);
        m->embedding_columns =
            crs_alloc((size_t)s->embed * (size_t)m->vocabulary_groups.padded, sizeof(float), CRS_MEMORY_PACKED);
        good = m->table && m->table_gradient && m->embedding_columns;
    }
    return good;
}

crs_status crs_model_create(crs_model **model, const crs_spec *spec, const crs_kernels *kernels, int threads,
                            crs_error *error) {
    *model = NULL;
    crs_status status = crs_spec_check(spec, error);
    if (status)
        return status;
    crs_model *m = crs_alloc_or_fail(1, sizeof *m, CRS_MEMORY_OTHER, "a model", error);
    if (!m)
        return error->status;
    m->spec = *spec;
    m->kernels = kernels;
    m->threads = threads > 0 ? threads : 1;
    m->hidden_padded = crs_pad(spec->hidden);
    m->hidden_groups = crs_groups_of(spec->hidden);
    m->vocabulary_groups = crs_groups_of(spec->outputs);
    set_gates(m);
    m->layers = crs_alloc((size_t)spec->layers, sizeof *m->layers, CRS_MEMORY_OTHER);
    bool good = m->layers != NULL;
    if (good) {
        set_layers(m);
        lay_out(m);
        m->parameters = crs_alloc(m->arena, sizeof(float), CRS_MEMORY_PARAMETERS);
        good = m->parameters && add_tensors(m) && allocate_derived(m);
    }
    if (!good) {
        crs_model_free(&m);
        return crs_fail(error, CRS_INTERNAL, "out of memory for a model of --hidden=%d --layers=%d with %d tokens",
                        spec->hidden, spec->layers, spec->input_size);
    }
    *model = m;
    return CRS_OK;
}

void crs_model_free(crs_model **model) {
    crs_model *m = *model;
    if (!m)
        return;
    for (int l = 0; m->layers && l < m->spec.layers; l++) {
        crs_free(&m->layers[l].start);
        crs_free(&m->layers[l].transposed_ih);
        crs_free(&m->layers[l].transposed_hh);
    }
    for (int i = 0; m->place && i < m->tensors; i++)
        crs_free(&m->place[i].base);
    crs_free(&m->layers);
    crs_free(&m->tensor);
    crs_free(&m->place);
    crs_free(&m->parameters);
    crs_free(&m->table);
    crs_free(&m->table_gradient);
    crs_free(&m->embedding_columns);
    crs_free(&m->transposed_output);
    crs_free(model);
}

const crs_spec *crs_model_spec(const crs_model *m) {
    return &m->spec;
}
size_t crs_model_arena(const crs_model *m) {
    return m->arena;
}
size_t crs_model_sums(const crs_model *m) {
    return m->sums;
}
float *crs_model_parameters(crs_model *m) {
    return m->parameters;
}
int crs_model_tensors(const crs_model *m) {
    return m->tensors;
}
const crs_tensor *crs_model_tensor(const crs_model *m, int tensor) {
    return &m->tensor[tensor];
}

size_t crs_model_state(const crs_model *m) {
    return crs_spec_state(&m->spec);
}

void crs_model_export(const crs_model *m, const float *arena, int tensor, float *values) {
    const int64_t rows = m->tensor[tensor].dims[0], columns = m->tensor[tensor].dims[1];
    for (int64_t j = 0; j < rows; j++) {
        const float *from = arena + m->place[tensor].base[j];
        const int stride = stride_of(m, tensor, j);
        for (int64_t k = 0; k < columns; k++)
            values[j * columns + k] = from[k * stride];
    }
}

void crs_model_import(const crs_model *m, float *arena, int tensor, const float *values) {
    const int64_t rows = m->tensor[tensor].dims[0], columns = m->tensor[tensor].dims[1];
    for (int64_t j = 0; j < rows; j++) {
        float *to = arena + m->place[tensor].base[j];
        const int stride = stride_of(m, tensor, j);
        for (int64_t k = 0; k < columns; k++)
            to[k * stride] = values[j * columns + k];
    }
}

/* A row of a tensor is summed by itself, k ascending; 16 rows at a time keep the adders busy. */
static void row_squares(const crs_model *m, const float *arena, int tensor, int64_t first, int rows, double *squares) {
    const int64_t columns = m->tensor[tensor].dims[1];
    const float *from[CRS_BLOCK];
    ptrdiff_t stride[CRS_BLOCK];
    double sum[CRS_BLOCK] = {0};
    for (int i = 0; i < CRS_BLOCK; i++) {
        const int64_t row = first + (i < rows ? i : 0);
        from[i] = arena + m->place[tensor].base[row];
        stride[i] = stride_of(m, tensor, row);
    }
    bool neighbours = true;
    for (int i = 1; i < CRS_BLOCK; i++)
        neighbours = neighbours && from[i] == from[0] + i && stride[i] == stride[0];
    if (neighbours)
        m->kernels->squares(from[0], stride[0], columns, sum);
    for (int64_t k = 0; k < columns && !neighbours; k++)
        for (int i = 0; i < CRS_BLOCK; i++) {
            const double x = from[i][k * stride[i]];
            sum[i] += x * x;
        }
    memcpy(squares, sum, (size_t)rows * sizeof *sum);
}

typedef struct norm {
    const crs_model *m;
    const float *arena;
    int tensor;
    int64_t begin;
    int count;
    double *squares; /* [count] */
} norm;

static void share_of_norm(void *context, int thread, int threads) {
    const norm *n = context;
    const int blocks = (n->count + CRS_BLOCK - 1) / CRS_BLOCK;
    for (int i = crs_share(blocks, thread, threads); i < crs_share(blocks, thread + 1, threads); i++) {
        const int first = i * CRS_BLOCK, rows = n->count - first < CRS_BLOCK ? n->count - first : CRS_BLOCK;
        row_squares(n->m, n->arena, n->tensor, n->begin + first, rows, n->squares + first);
    }
}

double crs_model_norm(const crs_model *m, const float *arena) {
    double total = 0;
    enum { ROWS = 4096, WORTH_THREADS = 64 };
    double squares[ROWS];
    for (int tensor = 0; tensor < m->tensors; tensor++) {
        const int64_t rows = m->tensor[tensor].dims[0];
        for (int64_t begin = 0; begin < rows; begin += ROWS) {
            const int count = (int)(rows - begin < ROWS ? rows - begin : ROWS);
            norm n = {m, arena, tensor, begin, count, squares};
            crs_parallel(count > WORTH_THREADS ? m->threads : 1, share_of_norm, &n);
            for (int j = 0; j < count; j++)
                total += squares[j];
        }
    }
    return sqrt(total);
}

/* ---- initial values ---- */

static void draw_uniform(const crs_model *m, int tensor, uint64_t seed, double range) {
    const int64_t rows = m->tensor[tensor].dims[0], columns = m->tensor[tensor].dims[1];
    uint64_t bits[4] = {0};
    for (int64_t i = 0; i < rows * columns; i++) {
        if (i % 4 == 0)
            crs_random(seed, CRS_DRAW_PARAMETER, (uint64_t)tensor, (uint64_t)i / 4, 0, 0, bits);
        const double x = (crs_unit_double(bits[i % 4]) * 2.0 - 1.0) * range;
        m->parameters[m->place[tensor].base[i / columns] +
                      (size_t)((i % columns) * stride_of(m, tensor, i / columns))] = (float)x;
    }
}

void crs_model_initialize(crs_model *m, uint64_t seed, float forget_bias) {
    memset(m->parameters, 0, m->arena * sizeof(float));
    for (int i = 0; i < m->tensors; i++) {
        const crs_start *start = &m->tensor[i].start;
        if (start->range > 0)
            draw_uniform(m, i, seed, start->range);
        for (int u = 0; start->forget && u < m->spec.hidden; u++)
            m->parameters[m->place[i].base[m->spec.hidden + u]] = forget_bias;
    }
    crs_model_refresh(m);
}
