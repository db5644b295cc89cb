/* What must stand in a checkpoint, from its attributes. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "checkpoint/check.h"
#include "checkpoint/listing.h"

/* Far above any model that fits a machine, and low enough that 4 * hidden * hidden does not overflow. */
#define SIZE_LIMIT ((int64_t)1 << 28)

static const struct cell {
    const char *name;
    int gates;
    bool two_biases, peepholes;
} cells[] = {
    {"lstm", 4, false, false},
    {"peephole", 4, false, true},
    {"gru", 3, true, false},
    {"rnn", 1, false, false},
};

/* A tensor that must be there. */
typedef struct wanted {
    char path[sizeof((crs_array *)NULL)->path];
    int rank;
    int64_t dims[2];
} wanted;

static const struct cell *find_cell(const char *name) {
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (strcmp(cells[i].name, name) == 0)
            return &cells[i];
    return NULL;
}

static void want(wanted *w, const char *path, int rank, int64_t rows, int64_t columns) {
    snprintf(w->path, sizeof w->path, "%s", path);
    w->rank = rank;
    w->dims[0] = rows;
    w->dims[1] = columns;
}

static void want_of_layer(const crs_checkpoint *c, const struct cell *cell, int64_t layer, int64_t part, wanted *w) {
    static const char *const names[] = {"weight_ih", "weight_hh", "bias_ih"};
    const char *name = part < 3 ? names[part] : cell->two_biases ? "bias_hh" : "peephole";
    char path[sizeof w->path];
    int64_t rows = cell->gates * c->hidden;
    snprintf(path, sizeof path, "/model/layers/%lld/%s", (long long)layer, name);
    if (part == 0)
        want(w, path, 2, rows, layer > 0 ? c->hidden : c->embed > 0 ? c->embed : (int64_t)c->vocabulary.count);
    else if (part == 1)
        want(w, path, 2, rows, c->hidden);
    else if (part == 3 && cell->peepholes)
        want(w, path, 2, 3, c->hidden);
    else
        want(w, path, 1, rows, 1);
}

/* Tensor number i of the model; false behind the last. */
static bool want_number(const crs_checkpoint *c, const struct cell *cell, int64_t i, wanted *w) {
    int64_t parts = 3 + cell->two_biases + cell->peepholes, tokens = c->vocabulary.count;
    if (c->embed > 0 && i-- == 0) {
        want(w, "/model/embedding/weight", 2, tokens, c->embed);
        return true;
    }
    if (i < parts * c->layers) {
        want_of_layer(c, cell, i / parts, i % parts, w);
        return true;
    }
    i -= parts * c->layers;
    if (i == 0)
        want(w, "/model/output/weight", 2, tokens, c->hidden);
    else if (i == 1)
        want(w, "/model/output/bias", 1, tokens, 1);
    return i < 2;
}

static void shape_text(int rank, const int64_t *dims, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)dims[i]);
}

static crs_status check_tensor(const crs_checkpoint *c, const crs_array *array, const wanted *w, const char *name,
                               crs_error *error) {
    char has[80], asked[80];
    if (array->type != CRS_F32)
        return crs_fail(error, CRS_DATA, "%s: %s holds %s, not float32; %s", name, array->path,
                        crs_type_name(array->type), CRS_DAMAGED_ADVICE);
    if (array->rank == w->rank && memcmp(array->dims, w->dims, (size_t)w->rank * sizeof *w->dims) == 0)
        return CRS_OK;
    shape_text(array->rank, array->dims, has, sizeof has);
    shape_text(w->rank, w->dims, asked, sizeof asked);
    return crs_fail(
        error, CRS_DATA,
        "%s: %s has the shape [%s], not the [%s] of cell %s, hidden %lld, layers %lld, embed %lld and %u tokens; %s",
        name, array->path, has, asked, c->cell, (long long)c->hidden, (long long)c->layers, (long long)c->embed,
        c->vocabulary.count, CRS_DAMAGED_ADVICE);
}

static bool in_model(const crs_array *array) {
    return strncmp(array->path, "/model/", 7) == 0;
}

/* Something below /model that is none of the model's tensors (of which all are there). */
static crs_status find_stranger(const crs_checkpoint *c, const struct cell *cell, const char *name, crs_error *error) {
    for (int a = 0; a < c->arrays; a++) {
        wanted w;
        bool known = !in_model(&c->array[a]);
        for (int64_t i = 0; !known && want_number(c, cell, i, &w); i++)
            known = strcmp(w.path, c->array[a].path) == 0;
        if (!known)
            return crs_fail(error, CRS_DATA, "%s: a model of cell %s, %lld layers and embed %lld has no %s; %s", name,
                            c->cell, (long long)c->layers, (long long)c->embed, c->array[a].path, CRS_DAMAGED_ADVICE);
    }
    return CRS_OK;
}

static crs_status check_model(const crs_checkpoint *c, const struct cell *cell, const char *name, crs_error *error) {
    int there = 0, wanted_count = 0;
    wanted w;
    for (int64_t i = 0; want_number(c, cell, i, &w); i++, wanted_count++) {
        const crs_array *array = crs_checkpoint_find(c, w.path);
        if (!array)
            return crs_fail(error, CRS_DATA, "%s: %s is missing; %s", name, w.path, CRS_DAMAGED_ADVICE);
        if (check_tensor(c, array, &w, name, error))
            return error->status;
    }
    for (int a = 0; a < c->arrays; a++)
        there += in_model(&c->array[a]);
    return there == wanted_count ? CRS_OK : find_stranger(c, cell, name, error);
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

static crs_status check_optimizer(const crs_checkpoint *c, const char *name, crs_error *error) {
    const crs_array *last = NULL;
    for (int a = 0; a < c->arrays; a++) {
        const crs_array *array = &c->array[a], *parameters;
        const char *tensor = tensor_part(array->path);
        char path[sizeof array->path + 8];
        wanted w;
        if (!tensor)
            continue;
        snprintf(path, sizeof path, "/model%s", tensor);
        if (!(parameters = crs_checkpoint_find(c, path)))
            return crs_fail(error, CRS_DATA, "%s: %s belongs to no %s; %s", name, array->path, path,
                            CRS_DAMAGED_ADVICE);
        want(&w, array->path, parameters->rank, parameters->dims[0], parameters->dims[1]);
        if (check_tensor(c, array, &w, name, error))
            return error->status;
        bool same_moment = last && tensor_part(last->path) - last->path == tensor - array->path &&
                           strncmp(last->path, array->path, (size_t)(tensor - array->path)) == 0;
        if (!same_moment && check_whole_moment(c, array, name, error))
            return error->status;
        last = array;
    }
    return CRS_OK;
}

static crs_status check_number(const char *what, int64_t value, int64_t low, int64_t high, const char *name,
                               crs_error *error) {
    if (value >= low && value <= high)
        return CRS_OK;
    return crs_fail(error, CRS_DATA, "%s: the attribute %s is %lld, not between %lld and %lld; %s", name, what,
                    (long long)value, (long long)low, (long long)high, CRS_DAMAGED_ADVICE);
}

crs_status crs_check_shapes(const crs_checkpoint *checkpoint, const char *name, crs_error *error) {
    const crs_checkpoint *c = checkpoint;
    const struct cell *cell = find_cell(c->cell);
    if (!cell)
        return crs_fail(error, CRS_DATA, "%s: the attribute cell is '%s', not lstm, peephole, gru or rnn; %s", name,
                        c->cell, CRS_DAMAGED_ADVICE);
    if (check_number("hidden", c->hidden, 1, SIZE_LIMIT, name, error) ||
        check_number("layers", c->layers, 1, SIZE_LIMIT, name, error) ||
        check_number("embed", c->embed, 0, SIZE_LIMIT, name, error) ||
        check_number("step", c->step, 0, INT64_MAX, name, error) ||
        check_number("epoch", c->epoch, 0, INT64_MAX, name, error) ||
        check_number("tokens", c->tokens, 0, INT64_MAX, name, error))
        return error->status;
    if (check_model(c, cell, name, error))
        return error->status;
    return check_optimizer(c, name, error);
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
