/* What must stand in a checkpoint, from its attributes. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "carousel/spec.h"
#include "checkpoint/listing.h"
#include "checkpoint/read.h"

/* The arrays of a model, as its attributes ask for them. */
typedef struct model {
    char words[128];
    int tensors;
    crs_tensor *tensor; /* [tensors], owned */
} model;

static void shape_text(int rank, const int64_t *dims, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)dims[i]);
}

static crs_status check_tensor(const crs_array *array, int rank, const int64_t *dims, const model *m, const char *name,
                               crs_error *error) {
    char has[80], asked[80];
    if (array->type != CRS_F32)
        return crs_fail(error, CRS_DATA, "%s: %s holds %s, not float32; %s", name, array->path,
                        crs_type_name(array->type), CRS_DAMAGED_ADVICE);
    if (array->rank == rank && memcmp(array->dims, dims, (size_t)rank * sizeof *dims) == 0)
        return CRS_OK;
    shape_text(array->rank, array->dims, has, sizeof has);
    shape_text(rank, dims, asked, sizeof asked);
    return crs_fail(error, CRS_DATA, "%s: %s has the shape [%s], not the [%s] of %s; %s", name, array->path, has, asked,
                    m->words, CRS_DAMAGED_ADVICE);
}

static bool in_model(const crs_array *array) {
    return strncmp(array->path, "/model/", 7) == 0;
}

static crs_status check_model(const crs_checkpoint *c, const model *m, const char *name, crs_error *error) {
    for (int i = 0; i < m->tensors; i++) {
        char path[sizeof m->tensor->name + 8];
        snprintf(path, sizeof path, "/model/%s", m->tensor[i].name);
        const crs_array *array = crs_checkpoint_find(c, path);
        if (!array)
            return crs_fail(error, CRS_DATA, "%s: %s is missing; %s", name, path, CRS_DAMAGED_ADVICE);
        if (check_tensor(array, m->tensor[i].rank, m->tensor[i].dims, m, name, error))
            return error->status;
    }
    for (int a = 0; a < c->arrays; a++) {
        bool known = !in_model(&c->array[a]);
        for (int i = 0; !known && i < m->tensors; i++)
            known = strcmp(m->tensor[i].name, c->array[a].path + 7) == 0;
        if (!known)
            return crs_fail(error, CRS_DATA, "%s: a model of %s has no %s; %s", name, m->words, c->array[a].path,
                            CRS_DAMAGED_ADVICE);
    }
    return CRS_OK;
}

/* The part of /optimizer/NAME/MOMENT/TENSOR from /TENSOR on, or NULL where the path has fewer parts (a number of
 * its own). */
static const char *tensor_part(const char *path) {
    if (strncmp(path, "/optimizer/", 11) != 0)
        return NULL;
    const char *moment = strchr(path + 11, '/');
    return moment ? strchr(moment + 1, '/') : NULL;
}

/* A moment is there for all tensors or for none. */
static crs_status check_whole_moment(const crs_checkpoint *c, const crs_array *first, const char *name,
                                     crs_error *error) {
    int length = (int)(tensor_part(first->path) - first->path);
    for (int a = 0; a < c->arrays; a++) {
        char path[2 * sizeof first->path];
        if (!in_model(&c->array[a]))
            continue;
        snprintf(path, sizeof path, "%.*s%s", length, first->path, c->array[a].path + 6);
        if (!crs_checkpoint_find(c, path))
            return crs_fail(error, CRS_DATA, "%s: %s is missing; %s", name, path, CRS_DAMAGED_ADVICE);
    }
    return CRS_OK;
}

static crs_status check_optimizer(const crs_checkpoint *c, const model *m, const char *name, crs_error *error) {
    const crs_array *last = NULL;
    for (int a = 0; a < c->arrays; a++) {
        const crs_array *array = &c->array[a], *parameters;
        const char *tensor = tensor_part(array->path);
        char path[sizeof array->path + 8];
        if (!tensor)
            continue;
        snprintf(path, sizeof path, "/model%s", tensor);
        if (!(parameters = crs_checkpoint_find(c, path)))
            return crs_fail(error, CRS_DATA, "%s: %s belongs to no %s; %s", name, array->path, path,
                            CRS_DAMAGED_ADVICE);
        if (check_tensor(array, parameters->rank, parameters->dims, m, name, error))
            return error->status;
        bool same_moment = last && tensor_part(last->path) - last->path == tensor - array->path &&
                           strncmp(last->path, array->path, (size_t)(tensor - array->path)) == 0;
        if (!same_moment && check_whole_moment(c, array, name, error))
            return error->status;
        last = array;
    }
    return CRS_OK;
}

static crs_status check_count(const crs_checkpoint *c, const char *what, const char *name, crs_error *error) {
    int64_t value;
    crs_status status = crs_attributes_integer(&c->attributes, what, name, &value, error);
    if (!status && value < 0)
        status = crs_fail(error, CRS_DATA, "%s: the attribute %s is %lld, not between 0 and %lld; %s", name, what,
                          (long long)value, (long long)INT64_MAX, CRS_DAMAGED_ADVICE);
    return status;
}

/* What every run has, whatever its model. */
static crs_status check_run(const crs_checkpoint *c, const char *name, crs_error *error) {
    const char *level;
    double loss;
    if (check_count(c, "step", name, error) || check_count(c, "epoch", name, error) ||
        check_count(c, "tokens", name, error) ||
        crs_attributes_real(&c->attributes, "best_validation_loss", name, &loss, error))
        return error->status;
    if (c->vocabulary.count == 0)
        return CRS_OK;
    if (crs_attributes_text(&c->attributes, "level", name, &level, error))
        return error->status;
    CRS_ASSERT(strcmp(level, crs_level_name(c->vocabulary.level)) == 0);
    return CRS_OK;
}

crs_status crs_check_shapes(const crs_checkpoint *checkpoint, const char *name, crs_error *error) {
    crs_spec spec;
    model m;
    if (crs_spec_of(&checkpoint->attributes, checkpoint->vocabulary.count, name, &spec, error) ||
        check_run(checkpoint, name, error))
        return error->status;
    crs_spec_describe(&spec, m.words);
    m.tensors = crs_spec_tensors(&spec, NULL, 0);
    m.tensor = crs_alloc_or_fail((size_t)m.tensors, sizeof *m.tensor, CRS_MEMORY_OTHER, "a list of parameters", error);
    if (!m.tensor)
        return error->status;
    crs_spec_tensors(&spec, m.tensor, m.tensors);
    crs_status status = check_model(checkpoint, &m, name, error);
    if (!status)
        status = check_optimizer(checkpoint, &m, name, error);
    crs_free(&m.tensor);
    return status;
}

crs_status crs_check_finite(const crs_array *array, const char *name, crs_error *error) {
    int64_t size = crs_array_size(array), columns = array->rank > 1 ? array->dims[1] : 1;
    const float *values = array->values;
    if (!in_model(array) || array->type != CRS_F32)
        return CRS_OK;
    for (int64_t i = 0; i < size; i++) {
        if (isfinite(values[i]))
            continue;
        char at[48];
        if (array->rank > 1)
            snprintf(at, sizeof at, "%lld, %lld", (long long)(i / columns), (long long)(i % columns));
        else
            snprintf(at, sizeof at, "%lld", (long long)i);
        return crs_fail(error, CRS_DATA,
                        "%s: %s holds %s at [%s]: the training had diverged, or the file is damaged; use an "
                        "earlier checkpoint, and a lower --rate or gradients clipped at less (--clip)",
                        name, array->path, isnan(values[i]) ? "nan" : "inf", at);
    }
    return CRS_OK;
}
