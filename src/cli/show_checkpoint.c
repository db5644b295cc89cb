/* A checkpoint, for a person or a program. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "carousel/checkpoint.h"
#include "carousel/config.h"
#include "cli/show.h"
#include "cli/show_text.h"

/* ---- what is asked of an array ---- */

typedef struct figures {
    double min, mean, max, std; /* nan for an empty array */
} figures;

static double value_at(const crs_array *array, int64_t i) {
    switch (array->type) {
    case CRS_F32:
        return (double)((const float *)array->values)[i];
    case CRS_F64:
        return ((const double *)array->values)[i];
    case CRS_I64:
        return (double)((const int64_t *)array->values)[i];
    default:
        return (double)((const uint64_t *)array->values)[i];
    }
}

static figures figures_of(const crs_array *array) {
    int64_t size = crs_array_size(array);
    double least = INFINITY, most = -INFINITY, sum = 0, squares = 0;
    if (size == 0)
        return (figures){NAN, NAN, NAN, NAN};
    for (int64_t i = 0; i < size; i++) {
        double value = value_at(array, i);
        least = fmin(least, value);
        most = fmax(most, value);
        sum += value;
    }
    double mean = sum / (double)size;
    for (int64_t i = 0; i < size; i++)
        squares += (value_at(array, i) - mean) * (value_at(array, i) - mean);
    return (figures){least, mean, most, sqrt(squares / (double)size)};
}

static const char *type_name(crs_type type) {
    static const char *const names[] = {
        [CRS_F32] = "float32", [CRS_F64] = "float64", [CRS_I64] = "int64", [CRS_U64] = "uint64"};
    return names[type];
}

static bool is_below(const char *path, const char *folder) {
    return strncmp(path, folder, strlen(folder)) == 0;
}

/* 0, or "", where this kind of model has no attribute of that name. */
static int64_t number_of(const crs_checkpoint *c, const char *name) {
    const crs_attribute *found = crs_attributes_find(&c->attributes, name);
    return found ? found->integer : 0;
}

static const char *text_of(const crs_checkpoint *c, const char *name) {
    const crs_attribute *found = crs_attributes_find(&c->attributes, name);
    return found ? found->text : "";
}

static int64_t parameters_of(const crs_checkpoint *c) {
    int64_t sum = 0;
    for (int i = 0; i < c->arrays; i++)
        if (is_below(c->array[i].path, "/model/"))
            sum += crs_array_size(&c->array[i]);
    return sum;
}

static void take_optimizer(void *context, const char *name, const char *value) {
    if (strcmp(name, "optimizer") == 0)
        snprintf(context, 64, "%.63s", value);
}

/* The optimizer's name, as the configuration or else the moments say it; "" where neither does. */
static void optimizer_of(const crs_checkpoint *c, char out[64]) {
    static const char folder[] = "/optimizer/";
    out[0] = '\0';
    crs_ini_pairs(c->config, take_optimizer, out);
    for (int i = 0; i < c->arrays && !*out; i++)
        if (is_below(c->array[i].path, folder))
            snprintf(out, 64, "%.*s", (int)strcspn(c->array[i].path + sizeof folder - 1, "/"),
                     c->array[i].path + sizeof folder - 1);
}

/* ---- for a person ---- */

/* Tokens are characters, bytes or words. */
static const char *unit_of(const crs_checkpoint *c) {
    return crs_level_unit(c->vocabulary.level);
}

/* What a step of the input is to the first layer. */
static void print_reading(const crs_checkpoint *c, char *out, size_t size) {
    const long long embed = number_of(c, "embed");
    const crs_schema *s = &c->schema;
    if (s->inputs != CRS_INPUT_TOKENS)
        snprintf(out, size, "%d %s%s a step", s->input_size, s->inputs == CRS_INPUT_BITS ? "bit" : "number",
                 crs_plural(s->input_size, "", "s"));
    else if (embed > 0)
        snprintf(out, size, "an embedding of %lld, %u %ss", embed, c->vocabulary.count, unit_of(c));
    else
        snprintf(out, size, "one-hot input, %u %ss", c->vocabulary.count, unit_of(c));
}

/* What it says, and what it has beside cell and sizes. */
static void print_kind(const crs_checkpoint *c) {
    static const struct {
        const char *attribute, *words;
    } switches[] = {{"layer_norm", "layer norm"},
                    {"residual", "residual"},
                    {"tie", "embedding and output tied"},
                    {"change", "the change from the last value is said"}};
    const crs_schema *s = &c->schema;
    const bool pools = s->alignment == CRS_ALIGN_SEQUENCE;
    char text[160] = "";
    if (!crs_schema_says_tokens(&c->schema)) {
        crs_show_targets(s, text, sizeof text);
        crs_show_line("says", "%s; loss %s%s%s", text, text_of(c, "loss"), pools ? ", pool " : "",
                      pools ? text_of(c, "pool") : "");
        *text = '\0';
    }
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (number_of(c, switches[i].attribute) > 0) {
            const size_t used = strlen(text);
            snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? ", " : "", switches[i].words);
        }
    if (*text)
        crs_show_line("with", "%s", text);
}

static void print_model(const crs_checkpoint *c) {
    const int64_t layers = number_of(c, "layers"), hidden = number_of(c, "hidden");
    char count[32], words[48], reading[96];
    print_reading(c, reading, sizeof reading);
    crs_show_line("model", "%s, %lld layer%s of %lld unit%s%s, %s", text_of(c, "cell"), (long long)layers,
                  crs_plural(layers, "", "s"), (long long)hidden, crs_plural(hidden, "", "s"),
                  number_of(c, "bidirectional") > 0 ? " each way" : "", reading);
    print_kind(c);
    crs_format_count(parameters_of(c), count);
    crs_show_words(parameters_of(c), words);
    crs_show_line("parameters", *words ? "%s, %s" : "%s", count, words);
}

static void print_validation(const crs_checkpoint *c) {
    const crs_attribute *best = crs_attributes_find(&c->attributes, "best_validation_loss");
    const double loss = best ? best->real : NAN;
    if (!isfinite(loss))
        crs_show_line("validation", "none yet");
    else if (crs_schema_says_tokens(&c->schema))
        crs_show_line("validation", "best loss %.4f nats = %.4f bits a %s (perplexity %.3f)", loss, loss / M_LN2,
                      unit_of(c), exp(loss));
    else
        crs_show_line("validation", "best loss %.4f (%s)", loss, text_of(c, "best_validation_loss_units"));
}

static void print_training(const crs_checkpoint *c) {
    const int64_t step = number_of(c, "step"), epoch = number_of(c, "epoch"), seen = number_of(c, "tokens");
    const char *data = text_of(c, "data"), *of = crs_schema_says_tokens(&c->schema) ? "token" : "target";
    char steps[32], epochs[32], tokens[32], words[48], optimizer[64];
    crs_format_count(step, steps);
    crs_format_count(epoch, epochs);
    crs_format_count(seen, tokens);
    crs_show_words(seen, words);
    crs_show_line("trained", *words ? "%s step%s, %s epoch%s, %s %s%s (%s)" : "%s step%s, %s epoch%s, %s %s%s", steps,
                  crs_plural(step, "", "s"), epochs, crs_plural(epoch, "", "s"), tokens, of, crs_plural(seen, "", "s"),
                  words);
    print_validation(c);
    optimizer_of(c, optimizer);
    if (*optimizer)
        crs_show_line("optimizer", "%s", optimizer);
    if (*data)
        crs_show_line("data", "%s (as `show --digest` of the data set prints it)", data);
}

static void shape_text(const crs_array *array, char *out, size_t size) {
    size_t used = 0;
    snprintf(out, size, "scalar");
    for (int i = 0; i < array->rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? " x " : "", (long long)array->dims[i]);
}

static void print_figures(const crs_array *array, int width, size_t skip) {
    char shape[80];
    shape_text(array, shape, sizeof shape);
    printf("  %-*s  %16s", width, array->path + skip, shape);
    figures f = figures_of(array);
    if (crs_array_size(array) == 0)
        printf("  %11s\n", "empty");
    else if (array->rank == 0 && array->type == CRS_I64)
        printf("  %11lld\n", (long long)*(const int64_t *)array->values);
    else if (array->rank == 0 && array->type == CRS_U64)
        printf("  %11llu\n", (unsigned long long)*(const uint64_t *)array->values);
    else if (crs_array_size(array) == 1)
        printf("  %11.5g\n", f.mean);
    else
        printf("  %11.5g  %11.5g  %11.5g  %11.5g\n", f.min, f.mean, f.max, f.std);
}

/* The tables of a file, and the arrays that stand in each; the last takes what none before it does. */
static const struct {
    const char *title, *folder;
} tables[] = {
    {"Parameters", "/model/"}, {"Optimizer", "/optimizer/"}, {"State", "/state/"},
    {"Run", "/run/"},          {"History", "/history/"},     {"Others", "/"},
};
enum { TABLES = sizeof tables / sizeof *tables };

static int table_of(const crs_array *array) {
    int table = 0;
    while (!is_below(array->path, tables[table].folder))
        table++;
    return table;
}

/* The first column is as wide in every table. */
static int name_width(const crs_checkpoint *c) {
    int width = 0;
    for (int i = 0; i < c->arrays; i++) {
        const char *folder = tables[table_of(&c->array[i])].folder;
        int length = (int)(strlen(c->array[i].path) - strlen(folder));
        width = length > width ? length : width;
    }
    return width;
}

static void print_table(const crs_checkpoint *c, int table, int width) {
    bool begun = false;
    for (int i = 0; i < c->arrays; i++) {
        if (table_of(&c->array[i]) != table)
            continue;
        if (!begun)
            printf("\n%-*s  %16s  %11s  %11s  %11s  %11s\n", width + 2, tables[table].title, "shape", "min", "mean",
                   "max", "std");
        begun = true;
        print_figures(&c->array[i], width, strlen(tables[table].folder));
    }
}

static void print_setting(void *context, const char *name, const char *value) {
    (void)context;
    printf("  %-16s %s\n", name, value);
}

static void print_config(const crs_checkpoint *c) {
    printf("\nConfiguration\n");
    crs_ini_pairs(c->config, print_setting, NULL);
}

static void print_first(const char *path) {
    printf("%s: a checkpoint, whole: every hash in it agrees\n", path);
}

static void print_all(const char *path, const crs_checkpoint *c, int64_t bytes) {
    char size[32], parameters[CRS_HASH_HEX], state[CRS_HASH_HEX];
    print_first(path);
    print_model(c);
    print_training(c);
    if (c->schema.inputs == CRS_INPUT_TOKENS)
        crs_show_vocabulary(&c->vocabulary);
    crs_checkpoint_digests(c, parameters, state);
    crs_show_line("digests", "parameters %s", parameters);
    crs_show_line("", "state      %s", state);
    crs_show_bytes(bytes, size);
    crs_show_line("size", "%s", size);
    int width = name_width(c);
    for (int t = 0; t < TABLES; t++)
        print_table(c, t, width);
    print_config(c);
}

/* ---- for a program ---- */

static json_t *array_object(const crs_array *array) {
    json_t *shape = json_array();
    figures f = figures_of(array);
    for (int i = 0; i < array->rank; i++)
        json_array_append_new(shape, json_integer(array->dims[i]));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "name", array->path, "type", type_name(array->type),
                     "shape", shape, "min", crs_show_json_real(f.min), "mean", crs_show_json_real(f.mean), "max",
                     crs_show_json_real(f.max), "std", crs_show_json_real(f.std));
}

static void add_setting(void *context, const char *name, const char *value) {
    json_object_set_new(context, name, crs_show_json_text(value));
}

static json_t *attribute_value(const crs_attribute *a) {
    if (a->kind == CRS_ATTRIBUTE_TEXT)
        return crs_show_json_text(a->text);
    return a->kind == CRS_ATTRIBUTE_INTEGER ? json_integer(a->integer) : crs_show_json_real(a->real);
}

/* Whatever the file has at its root, the usual ones first. */
static void add_attributes(json_t *object, const crs_attributes *attributes) {
    static const char *const first[] = {"cell", "hidden", "layers", "embed", "level"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        const crs_attribute *found = crs_attributes_find(attributes, first[i]);
        if (found)
            json_object_set_new(object, found->name, attribute_value(found));
    }
    for (int i = 0; i < attributes->count; i++)
        json_object_set_new(object, attributes->list[i].name, attribute_value(&attributes->list[i]));
}

static json_t *whole_object(const char *path, const crs_checkpoint *c, int64_t bytes) {
    char optimizer[64], parameters[CRS_HASH_HEX], state[CRS_HASH_HEX];
    json_t *tensors = json_array(), *config = json_object();
    for (int i = 0; i < c->arrays; i++)
        json_array_append_new(tensors, array_object(&c->array[i]));
    crs_ini_pairs(c->config, add_setting, config);
    optimizer_of(c, optimizer);
    crs_checkpoint_digests(c, parameters, state);
    json_t *object = json_pack("{s:o, s:s}", "file", crs_show_json_text(path), "format", "carousel/checkpoint");
    json_t *rest =
        json_pack("{s:i, s:I, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "vocabulary_size", (int)c->vocabulary.count,
                  "parameters", (json_int_t)parameters_of(c), "optimizer", optimizer, "data_digest", text_of(c, "data"),
                  "parameters_digest", parameters, "state_digest", state, "bytes", (json_int_t)bytes, "vocabulary",
                  crs_show_json_vocabulary(&c->vocabulary), "config", config, "tensors", tensors);
    add_attributes(object, &c->attributes);
    json_object_update(object, rest);
    json_decref(rest);
    return object;
}

crs_status crs_show_checkpoint(const char *path, int64_t bytes, crs_show_form form, crs_error *error) {
    crs_checkpoint c;
    if (crs_checkpoint_read(path, &c, error))
        return error->status;
    if (form == CRS_SHOW_DIGEST) {
        char parameters[CRS_HASH_HEX], state[CRS_HASH_HEX];
        crs_checkpoint_digests(&c, parameters, state);
        printf("parameters %s\nstate %s\n", parameters, state);
    } else if (form == CRS_SHOW_VERIFY) {
        print_first(path);
    } else if (form == CRS_SHOW_JSON) {
        crs_show_json_print(whole_object(path, &c, bytes), JSON_COMPACT, error);
    } else {
        print_all(path, &c, bytes);
    }
    crs_checkpoint_free(&c);
    return error->status;
}
