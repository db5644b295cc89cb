/* A model as a stack of parts: made, filled, refreshed. */
#include "config.h"

#include <string.h>

#include "nn/head.h"
#include "nn/model.h"

static void stack_part(crs_model *m, crs_part *part, const crs_part_kind *kind, const crs_part *below, int width) {
    part->kind = kind;
    part->number = m->parts;
    part->below = below;
    part->width = width;
    part->groups = crs_groups_of(width);
    part->padded = part->groups.padded;
    m->part[m->parts++] = part;
}

/* Where a kind of input has its part; heads have theirs in head.c. */
static const crs_part_kind *input_kind(const crs_spec *s) {
    const bool embedded = s->input == CRS_INPUT_TOKENS && (s->embed > 0 || crs_spec_has_table(s));
    return embedded ? &crs_tokens_kind : &crs_numbers_kind;
}

/* Whether a layer gives more than its state. */
static bool joins(const crs_spec *s) {
    return s->bidirectional || s->layer_norm || s->residual;
}

static crs_layer *stack_layer(crs_model *m, int l, bool reverse, const crs_part *below) {
    crs_layer *layer = &m->layers[(reverse ? m->spec.layers : 0) + l];
    layer->layer = l;
    layer->reverse = reverse;
    layer->gates = crs_gates_of(m->spec.cell, m->spec.hidden);
    layer->part.within = joins(&m->spec);
    stack_part(m, &layer->part, &crs_layer_kind, below, m->spec.hidden);
    return layer;
}

/* Layer l with all that belongs to it. On the way down the forward direction begins the gradient of what is below, to
 * which the other adds its own: so it stands above. */
static void stack_joint(crs_model *m, int l, const crs_part *below) {
    crs_joint *joint = &m->joints[l];
    joint->layer = l;
    if (m->spec.bidirectional) {
        stack_part(m, &m->reversals[l], &crs_reverse_kind, below, below->width);
        joint->way[1] = stack_layer(m, l, true, &m->reversals[l]);
    }
    crs_layer *layer = stack_layer(m, l, false, below);
    joint->way[0] = layer;
    layer->adds = m->spec.residual && l > 0;
    joint->residual = layer->adds ? below : NULL;
    stack_part(m, &joint->part, &crs_joint_kind, &layer->part, crs_spec_width(&m->spec));
}

static void stack(crs_model *m) {
    const crs_spec *s = &m->spec;
    stack_part(m, m->input, input_kind(s), NULL, crs_spec_layer_inputs(s, 0));
    for (int l = 0; l < s->layers; l++) {
        const crs_part *below = m->part[m->parts - 1];
        if (joins(s))
            stack_joint(m, l, below);
        else
            stack_layer(m, l, false, below);
    }
    if (s->alignment == CRS_ALIGN_SEQUENCE)
        stack_part(m, &m->pool, &crs_pool_kind, m->part[m->parts - 1], crs_spec_width(s));
    m->output.head = crs_head_of(s->head);
    stack_part(m, &m->output.part, &crs_output_kind, m->part[m->parts - 1], s->outputs);
}

static bool reserve_parts(crs_model *m) {
    const crs_spec *s = &m->spec;
    const size_t layers = (size_t)s->layers, of_layer = joins(s) ? s->bidirectional ? 4 : 2 : 1;
    m->directions = s->bidirectional ? 2 : 1;
    m->input = crs_alloc(1, input_kind(s)->bytes, CRS_MEMORY_OTHER);
    m->layers = crs_alloc((size_t)m->directions * layers, sizeof *m->layers, CRS_MEMORY_OTHER);
    m->reversals = crs_alloc(s->bidirectional ? layers : 0, sizeof *m->reversals, CRS_MEMORY_OTHER);
    m->joints = crs_alloc(joins(s) ? layers : 0, sizeof *m->joints, CRS_MEMORY_OTHER);
    m->part = crs_alloc(layers * of_layer + 3, sizeof *m->part, CRS_MEMORY_OTHER);
    return m->input && m->layers && m->reversals && m->joints && m->part;
}

static bool fill_model(crs_model *m) {
    m->tensors = crs_spec_tensors(&m->spec, NULL, 0);
    m->tensor = crs_alloc((size_t)m->tensors, sizeof *m->tensor, CRS_MEMORY_OTHER);
    m->place = crs_alloc((size_t)m->tensors, sizeof *m->place, CRS_MEMORY_OTHER);
    if (!reserve_parts(m) || !m->tensor || !m->place)
        return false;
    crs_spec_tensors(&m->spec, m->tensor, m->tensors);
    stack(m);
    for (int p = 0; p < m->parts; p++)
        if (!m->part[p]->kind->declare(m, m->part[p]))
            return false;
    CRS_ASSERT(m->placed == m->tensors);
    crs_lay_out_sums(m);
    m->parameters = crs_alloc(m->arena, sizeof(float), CRS_MEMORY_PARAMETERS);
    return m->parameters != NULL;
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
    if (!fill_model(m)) {
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
    for (int p = 0; p < m->parts; p++)
        if (m->part[p]->kind->release)
            m->part[p]->kind->release(m->part[p]);
    for (int i = 0; m->place && i < m->tensors; i++)
        crs_free(&m->place[i]);
    crs_free(&m->input);
    crs_free(&m->layers);
    crs_free(&m->reversals);
    crs_free(&m->joints);
    crs_free(&m->part);
    crs_free(&m->tensor);
    crs_free(&m->place);
    crs_free(&m->parameters);
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
void crs_model_set_output_bias(crs_model *m, const float *bias) {
    crs_model_import(m, m->parameters, m->tensors - 1, bias);
}
size_t crs_model_state(const crs_model *m) {
    return crs_spec_state(&m->spec);
}

/* From the output down: the table is derived from the biases of the layer that reads it. */
void crs_refresh_parts(crs_model *m, int first, int end) {
    for (int p = end - 1; p >= first; p--)
        if (m->part[p]->kind->refresh)
            m->part[p]->kind->refresh(m, m->part[p]);
}

typedef struct renewal {
    crs_model *m;
    int first, end;
} renewal;

static void refresh(void *context, int thread, int threads) {
    const renewal *r = context;
    (void)thread, (void)threads;
    crs_refresh_parts(r->m, r->first, r->end);
}

void crs_model_refresh_parts(crs_model *m, int first, int end) {
    renewal r = {m, first, end};
    crs_parallel(m->threads, refresh, &r);
}

void crs_model_refresh(crs_model *m) {
    crs_model_refresh_parts(m, 0, m->parts);
}

/* ---- initial values ---- */

static void draw_uniform(const crs_model *m, int tensor, uint64_t seed, double range) {
    const int64_t rows = m->tensor[tensor].dims[0], columns = m->tensor[tensor].dims[1];
    uint64_t bits[4] = {0};
    for (int64_t i = 0; i < rows * columns; i++) {
        const crs_place *place = &m->place[tensor][i / columns];
        if (i % 4 == 0)
            crs_random(seed, CRS_DRAW_PARAMETER, (uint64_t)tensor, (uint64_t)i / 4, 0, 0, bits);
        const double x = (crs_unit_double(bits[i % 4]) * 2.0 - 1.0) * range;
        m->parameters[place->base + (size_t)((i % columns) * place->stride)] = (float)x;
    }
}

void crs_model_initialize(crs_model *m, uint64_t seed, float forget_bias) {
    memset(m->parameters, 0, m->arena * sizeof(float));
    for (int i = 0; i < m->tensors; i++) {
        const crs_start *start = &m->tensor[i].start;
        if (start->range > 0)
            draw_uniform(m, i, seed, start->range);
        for (int64_t j = 0; start->one && j < m->tensor[i].dims[0]; j++)
            m->parameters[m->place[i][j].base] = 1;
        for (int u = 0; start->forget && u < m->spec.hidden; u++)
            m->parameters[m->place[i][m->spec.hidden + u].base] = forget_bias;
    }
    crs_model_refresh(m);
}

void crs_model_set_input_bias(crs_model *m, float input_bias) {
    for (int i = 0; i < m->tensors; i++)
        for (int u = 0; m->tensor[i].start.forget && u < m->spec.hidden; u++)
            m->parameters[m->place[i][u].base] = input_bias;
    crs_model_refresh(m);
}
