/* The shape of a model as the attributes of a file. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "carousel/spec.h"
#include "spec/limits.h"

static crs_status take(const crs_attributes *attributes, const char *name, int low, int high, const char *file,
                       int *out, crs_error *error) {
    int64_t value;
    if (crs_attributes_integer(attributes, name, file, &value, error))
        return error->status;
    if (value < low || value > high)
        return crs_fail(error, CRS_DATA, "%s: the attribute %s is %lld, not between %d and %d; %s", file, name,
                        (long long)value, low, high, CRS_DAMAGED_ADVICE);
    *out = (int)value;
    return CRS_OK;
}

/* The index of a name that an attribute has; absent: that of a text model. */
static crs_status take_name(const crs_attributes *attributes, const char *name, const char *const *names, int absent,
                            const char *file, int *out, crs_error *error) {
    const char *text;
    *out = absent;
    if (!crs_attributes_find(attributes, name))
        return CRS_OK;
    if (crs_attributes_text(attributes, name, file, &text, error))
        return error->status;
    for (*out = 0; names[*out]; ++*out)
        if (strcmp(names[*out], text) == 0)
            return CRS_OK;
    return crs_fail(error, CRS_DATA, "%s: the attribute %s is '%s', which this program does not know; %s", file, name,
                    text, CRS_DAMAGED_ADVICE);
}

static crs_status take_flag(const crs_attributes *attributes, const char *name, const char *file, bool *out,
                            crs_error *error) {
    int flag = 0;
    if (crs_attributes_find(attributes, name) && take(attributes, name, 0, 1, file, &flag, error))
        return error->status;
    *out = flag != 0;
    return CRS_OK;
}

/* What a model of text does not say. */
static crs_status take_kind(const crs_attributes *a, uint32_t tokens, const char *file, crs_spec *s, crs_error *error) {
    int inputs, targets, alignment, head, pool;
    if (take_name(a, "inputs", crs_input_names(), CRS_INPUT_TOKENS, file, &inputs, error) ||
        take_name(a, "targets", crs_target_names(), CRS_TARGET_NEXT, file, &targets, error) ||
        take_name(a, "alignment", crs_alignment_names(), CRS_ALIGN_STEP, file, &alignment, error) ||
        take_name(a, "loss", crs_loss_names(), CRS_HEAD_SOFTMAX, file, &head, error) ||
        take_name(a, "pool", crs_pool_names(), CRS_POOL_LAST, file, &pool, error) ||
        take_flag(a, "bidirectional", file, &s->bidirectional, error) ||
        take_flag(a, "layer_norm", file, &s->layer_norm, error) ||
        take_flag(a, "residual", file, &s->residual, error) || take_flag(a, "tie", file, &s->tie, error) ||
        take_flag(a, "change", file, &s->change, error))
        return error->status;
    s->input = (crs_input_kind)inputs;
    s->targets = (crs_target_kind)targets;
    s->alignment = (crs_alignment)alignment;
    s->head = (crs_head_kind)head;
    s->pool = (crs_pool)pool;
    if (!crs_attributes_find(a, "inputs"))
        return CRS_OK;
    const int least = 1, most = CRS_MOST_TOKENS;
    if (take(a, "input_size", least, most, file, &s->input_size, error) ||
        take(a, "output_size", least, most, file, &s->outputs, error))
        return error->status;
    if (s->input == CRS_INPUT_TOKENS && (uint32_t)s->input_size != tokens)
        return crs_fail(error, CRS_DATA, "%s: the attribute input_size is %d, and its vocabulary has %u tokens; %s",
                        file, s->input_size, tokens, CRS_DAMAGED_ADVICE);
    return CRS_OK;
}

crs_status crs_spec_of(const crs_attributes *attributes, uint32_t tokens, const char *file, crs_spec *spec,
                       crs_error *error) {
    int cell = 0, hidden = 0, layers = 0, embed = 0;
    const char *name;
    if (crs_attributes_text(attributes, "cell", file, &name, error))
        return error->status;
    while (cell < CRS_CELLS && strcmp(crs_cell_name((crs_cell)cell), name) != 0)
        cell++;
    if (cell == CRS_CELLS)
        return crs_fail(error, CRS_DATA, "%s: the attribute cell is '%s', not lstm, peephole, gru or rnn; %s", file,
                        name, CRS_DAMAGED_ADVICE);
    if (take(attributes, "hidden", 1, CRS_MOST_UNITS, file, &hidden, error) ||
        take(attributes, "layers", 1, CRS_MOST_LAYERS, file, &layers, error) ||
        take(attributes, "embed", 0, CRS_MOST_UNITS, file, &embed, error))
        return error->status;
    *spec = crs_spec_text((crs_cell)cell, (int)tokens, embed, hidden, layers);
    return take_kind(attributes, tokens, file, spec, error);
}

/* Whether it is one that today's attributes alone say. */
static bool is_text(const crs_spec *s) {
    return s->input == CRS_INPUT_TOKENS && s->targets == CRS_TARGET_NEXT && s->alignment == CRS_ALIGN_STEP &&
           !s->layer_norm && !s->residual && !s->tie;
}

void crs_spec_put(const crs_spec *spec, crs_attributes *attributes) {
    crs_attributes_put_text(attributes, "cell", crs_cell_name(spec->cell));
    crs_attributes_put_integer(attributes, "hidden", spec->hidden);
    crs_attributes_put_integer(attributes, "layers", spec->layers);
    crs_attributes_put_integer(attributes, "embed", spec->embed);
    if (is_text(spec))
        return;
    crs_attributes_put_text(attributes, "inputs", crs_input_names()[spec->input]);
    crs_attributes_put_text(attributes, "targets", crs_target_names()[spec->targets]);
    crs_attributes_put_text(attributes, "alignment", crs_alignment_names()[spec->alignment]);
    crs_attributes_put_text(attributes, "loss", crs_loss_names()[spec->head]);
    crs_attributes_put_text(attributes, "pool", crs_pool_names()[spec->pool]);
    crs_attributes_put_integer(attributes, "bidirectional", spec->bidirectional);
    crs_attributes_put_integer(attributes, "layer_norm", spec->layer_norm);
    crs_attributes_put_integer(attributes, "residual", spec->residual);
    crs_attributes_put_integer(attributes, "tie", spec->tie);
    crs_attributes_put_integer(attributes, "change", spec->change);
    crs_attributes_put_integer(attributes, "input_size", spec->input_size);
    crs_attributes_put_integer(attributes, "output_size", spec->outputs);
}

/* At most 127 bytes. */
void crs_spec_describe(const crs_spec *spec, char out[128]) {
    const char *what = spec->input == CRS_INPUT_TOKENS ? "tokens" : spec->input == CRS_INPUT_BITS ? "bits" : "numbers";
    if (is_text(spec))
        snprintf(out, 128, "cell %s, hidden %d, layers %d, embed %d and %d tokens", crs_cell_name(spec->cell),
                 spec->hidden, spec->layers, spec->embed, spec->input_size);
    else
        snprintf(out, 128, "cell %s, hidden %d, layers %d, embed %d, %d %s and %d outputs", crs_cell_name(spec->cell),
                 spec->hidden, spec->layers, spec->embed, spec->input_size, what, spec->outputs);
}
