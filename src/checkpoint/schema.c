/* What a model's data are made of, as a checkpoint keeps it: names as lists of strings, scales and target columns as
 * arrays, the rest as attributes. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "carousel/checkpoint.h"
#include "carousel/notes.h"
#include "carousel/spec.h"
#include "checkpoint/read.h"

const crs_name_list crs_name_lists[CRS_NAME_LISTS] = {{"/columns", offsetof(crs_schema, columns)},
                                                      {"/target_names", offsetof(crs_schema, target_names)},
                                                      {"/classes", offsetof(crs_schema, classes)},
                                                      {"/units", offsetof(crs_schema, units)},
                                                      {"/target_units", offsetof(crs_schema, target_units)}};

static const struct scale {
    const char *path;
    size_t offset;
    bool deviation, target;
} scales[] = {{"/scale/mean", offsetof(crs_schema, scale.mean), false, false},
              {"/scale/deviation", offsetof(crs_schema, scale.deviation), true, false},
              {"/target_scale/mean", offsetof(crs_schema, target_scale.mean), false, true},
              {"/target_scale/deviation", offsetof(crs_schema, target_scale.deviation), true, true}};
enum { SCALES = sizeof scales / sizeof *scales };

static double **numbers_of(crs_schema *schema, const struct scale *scale) {
    return (double **)(void *)((char *)schema + scale->offset);
}

/* ---- put ---- */

static crs_status put_scales(crs_checkpoint *c, crs_error *error) {
    for (int i = 0; i < SCALES; i++) {
        const double *numbers = *numbers_of(&c->schema, &scales[i]);
        const int64_t count = scales[i].target ? c->schema.target_size : c->schema.input_size;
        if (!numbers)
            continue;
        const crs_array *array = crs_checkpoint_add(c, scales[i].path, CRS_F64, 1, &count, error);
        if (!array)
            return error->status;
        memcpy(array->values, numbers, (size_t)count * sizeof *numbers);
    }
    return CRS_OK;
}

crs_status crs_checkpoint_put_schema(crs_checkpoint *c, const crs_schema *schema, crs_error *error) {
    const int64_t count = schema->target_size;
    if (!crs_schema_copy(&c->schema, schema))
        return crs_fail(error, CRS_INTERNAL, "out of memory for a checkpoint's names");
    if (put_scales(c, error))
        return error->status;
    if (schema->grid > 0) {
        char grid[16];
        snprintf(grid, sizeof grid, "1/%d", schema->grid);
        crs_attributes_put_text(&c->attributes, "grid", grid);
    }
    if (!crs_schema_is_forecast(schema))
        return CRS_OK;
    crs_attributes_put_integer(&c->attributes, "context", schema->context);
    crs_attributes_put_integer(&c->attributes, "horizon", schema->horizon);
    const crs_array *array = crs_checkpoint_add(c, "/target_columns", CRS_I64, 1, &count, error);
    for (int64_t i = 0; array && i < count; i++)
        ((int64_t *)array->values)[i] = schema->target_columns[i];
    return error->status;
}

/* ---- take ---- */

static crs_status damaged(const char *file, const char *path, const char *what, crs_error *error) {
    return crs_fail(error, CRS_DATA, "%s: %s %s; %s", file, path, what, CRS_DAMAGED_ADVICE);
}

/* A scale is there where its numbers are real, and nowhere else. */
static crs_status take_scale(crs_checkpoint *c, const struct scale *scale, const char *file, crs_error *error) {
    crs_schema *s = &c->schema;
    const bool wanted = scale->target ? s->targets == CRS_TARGET_VALUES : s->inputs == CRS_INPUT_VALUES;
    const int64_t count = scale->target ? s->target_size : s->input_size;
    const crs_array *array = crs_checkpoint_find(c, scale->path);
    if (!array != !wanted || (array && (array->type != CRS_F64 || array->rank != 1 || array->dims[0] != count)))
        return damaged(file, scale->path, "is missing, or has not a number for each column", error);
    if (!wanted)
        return CRS_OK;
    double *numbers = crs_alloc_or_fail((size_t)count, sizeof *numbers, CRS_MEMORY_OTHER, "a scale", error);
    if (!numbers)
        return error->status;
    *numbers_of(s, scale) = numbers;
    memcpy(numbers, array->values, (size_t)count * sizeof *numbers);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(numbers[i]) || (scale->deviation && !(numbers[i] > 0)))
            return damaged(file, scale->path, "holds a number that no scale has", error);
    return CRS_OK;
}

/* What is no grid is none. */
static void take_grid(crs_checkpoint *c) {
    const crs_attribute *grid = crs_attributes_find(&c->attributes, "grid");
    if (grid && grid->kind == CRS_ATTRIBUTE_TEXT)
        c->schema.grid = crs_grid_of(grid->text);
}

static crs_status take_forecast(crs_checkpoint *c, const char *file, crs_error *error) {
    crs_schema *s = &c->schema;
    const crs_array *array = crs_checkpoint_find(c, "/target_columns");
    if (!crs_attributes_find(&c->attributes, "context"))
        return CRS_OK;
    if (crs_attributes_integer(&c->attributes, "context", file, &s->context, error) ||
        crs_attributes_integer(&c->attributes, "horizon", file, &s->horizon, error))
        return error->status;
    const int64_t count = array && array->type == CRS_I64 && array->rank == 1 ? array->dims[0] : 0;
    if (s->context < 1 || s->horizon < 1 || count < 1 || count > s->input_size)
        return damaged(file, "/target_columns", "is missing, or no list of columns", error);
    s->target_size = (int)count;
    s->target_columns =
        crs_alloc_or_fail((size_t)count, sizeof *s->target_columns, CRS_MEMORY_OTHER, "a list of columns", error);
    for (int64_t i = 0; s->target_columns && i < count; i++) {
        const int64_t column = ((const int64_t *)array->values)[i];
        if (column < 0 || column >= s->input_size)
            return damaged(file, "/target_columns", "names a column that there is not", error);
        s->target_columns[i] = (int)column;
    }
    return error->status;
}

/* Numbers of a target, from the outputs of the model and the names. */
static int target_size(const crs_schema *s, const crs_spec *spec) {
    if (s->targets == CRS_TARGET_NEXT)
        return s->input_size;
    return s->targets == CRS_TARGET_CLASS ? s->classes.count
           : s->target_names.count > 0    ? s->target_names.count
                                          : spec->outputs;
}

static crs_status check_names(const crs_checkpoint *c, const crs_spec *spec, const char *file, crs_error *error) {
    const crs_schema *s = &c->schema;
    const int outputs = crs_schema_numbers(s) * (spec->head == CRS_HEAD_GAUSSIAN ? 2 : 1);
    if (s->inputs != CRS_INPUT_TOKENS && s->columns.count != s->input_size)
        return damaged(file, "/columns", "has not a name for each input", error);
    if ((s->targets == CRS_TARGET_BITS || s->targets == CRS_TARGET_VALUES) && s->target_names.count != s->target_size)
        return damaged(file, "/target_names", "has not a name for each target", error);
    if (s->units.count > 0 && s->units.count != s->input_size)
        return damaged(file, "/units", "has not a unit for each input", error);
    if (s->target_units.count > 0 && s->target_units.count != s->target_size)
        return damaged(file, "/target_units", "has not a unit for each target", error);
    if (s->targets == CRS_TARGET_CLASS && s->classes.count != spec->outputs)
        return damaged(file, "/classes", "has not a name for each output", error);
    if (s->targets != CRS_TARGET_CLASS && spec->head != CRS_HEAD_SOFTMAX && outputs != spec->outputs)
        return damaged(file, "the attribute output_size", "is not what its targets ask for", error);
    return CRS_OK;
}

crs_status crs_checkpoint_take_schema(crs_checkpoint *c, const char *file, crs_error *error) {
    crs_schema *s = &c->schema;
    crs_spec spec;
    if (crs_spec_of(&c->attributes, c->vocabulary.count, file, &spec, error))
        return error->status;
    s->inputs = spec.input;
    s->targets = spec.targets;
    s->alignment = spec.alignment;
    s->input_size = spec.input_size;
    s->target_size = target_size(s, &spec);
    take_grid(c);
    if (take_forecast(c, file, error))
        return error->status;
    for (int i = 0; i < SCALES; i++)
        if (take_scale(c, &scales[i], file, error))
            return error->status;
    return check_names(c, &spec, file, error);
}
