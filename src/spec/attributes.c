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

crs_status crs_spec_of(const crs_attributes *attributes, uint32_t tokens, const char *file, crs_spec *spec,
                       crs_error *error) {
    const char *name;
    int cell = 0, hidden = 0, layers = 0, embed = 0;
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
    return CRS_OK;
}

void crs_spec_put(const crs_spec *spec, crs_attributes *attributes) {
    crs_attributes_put_text(attributes, "cell", crs_cell_name(spec->cell));
    crs_attributes_put_integer(attributes, "hidden", spec->hidden);
    crs_attributes_put_integer(attributes, "layers", spec->layers);
    crs_attributes_put_integer(attributes, "embed", spec->embed);
}

void crs_spec_describe(const crs_spec *spec, char out[128]) {
    snprintf(out, 128, "cell %s, hidden %d, layers %d, embed %d and %d tokens", crs_cell_name(spec->cell), spec->hidden,
             spec->layers, spec->embed, spec->input_size);
}
