/* Data sets of sequences by other hands. */
#include "config.h"

#include <math.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "data/tokens.h"
#include "sequence_fixture.h"

/* ---- making ---- */

typedef struct dice {
    uint64_t seed, at;
} dice;

static uint64_t roll(dice *d, uint64_t sides) {
    uint64_t out[4];
    crs_random(d->seed, 99, d->at++, 0, 0, 0, out);
    return out[0] % sides;
}

static void *room(int64_t count, size_t size) {
    void *block = crs_alloc((size_t)count, size, CRS_MEMORY_OTHER);
    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    return block;
}

static double roll_value(dice *d, int kind, int size) {
    return kind == CRS_INPUT_TOKENS ? (double)roll(d, (uint64_t)size)
           : kind == CRS_INPUT_BITS ? (double)roll(d, 2)
                                    : (double)(float)(((double)roll(d, 100000) - 50000) / 777);
}

static made_split make_split(const made_plan *p, int64_t count, dice *d) {
    made_split s = {.count = count};
    const bool has_targets = p->targets != CRS_TARGET_NEXT && p->context == 0;
    const int width = p->inputs == CRS_INPUT_TOKENS ? 1 : p->input_size;
    s.length = room(count, sizeof *s.length);
    s.start = room(count + 1, sizeof *s.start);
    for (int64_t i = 0; i < count; i++) {
        s.length[i] = p->equal ? p->most : 1 + (int64_t)roll(d, (uint64_t)p->most);
        s.start[i + 1] = s.start[i] + s.length[i];
    }
    s.steps = s.start[count];
    s.input = room(s.steps * width, sizeof *s.input);
    for (int64_t i = 0; i < s.steps * width; i++)
        s.input[i] = roll_value(d, (int)p->inputs, p->input_size);
    s.targets = !has_targets ? 0 : p->alignment == CRS_ALIGN_STEP ? s.steps : count;
    const int numbers = p->targets == CRS_TARGET_CLASS ? 1 : p->target_size;
    const int kinds[CRS_TARGETS] = {0, CRS_INPUT_TOKENS, CRS_INPUT_BITS, CRS_INPUT_VALUES};
    s.target = room(s.targets * numbers, sizeof *s.target);
    for (int64_t i = 0; i < s.targets * numbers; i++)
        s.target[i] = roll_value(d, kinds[p->targets], p->target_size);
    s.weights = p->weights == 0 ? 0 : p->weights == 1 ? count : s.steps;
    s.weight = p->weights ? room(s.weights, sizeof *s.weight) : NULL;
    for (int64_t i = 0; i < s.weights; i++)
        s.weight[i] = (double)roll(d, 4) / 2;
    s.lead = p->lead ? room(count, sizeof *s.lead) : NULL;
    for (int64_t i = 0; i < count && p->lead; i++)
        s.lead[i] = (int64_t)roll(d, (uint64_t)s.length[i] + 1);
    return s;
}

static void add_names(crs_names *names, const char *what, int count) {
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s %d\xc3\xa4", what, i);
        CU_ASSERT_FATAL(crs_names_add(names, name));
    }
}

/* Any scale will do. */
static crs_scale make_scale(int count) {
    crs_scale scale = {room(count, sizeof(double)), room(count, sizeof(double))};
    for (int i = 0; i < count; i++) {
        scale.mean[i] = 0.1 + i / 3.0;
        scale.deviation[i] = 1 / (0.3 + i);
    }
    return scale;
}

made_data make_data(const made_plan *p) {
    made_data data = {.schema = {.inputs = p->inputs,
                                 .targets = p->targets,
                                 .alignment = p->alignment,
                                 .context = p->context,
                                 .horizon = p->horizon,
                                 .input_size = p->input_size,
                                 .target_size = p->targets == CRS_TARGET_NEXT ? p->input_size : p->target_size}};
    crs_schema *s = &data.schema;
    dice d = {p->seed, 0};
    for (int i = 0; i < CRS_SPLITS; i++)
        data.split[i] = make_split(p, p->count[i], &d);
    if (p->inputs != CRS_INPUT_TOKENS)
        add_names(&s->columns, "column", p->input_size);
    if (p->inputs == CRS_INPUT_VALUES)
        s->scale = make_scale(p->input_size);
    if (p->targets == CRS_TARGET_CLASS)
        add_names(&s->classes, "class", p->target_size);
    if (p->context > 0) {
        s->target_columns = room(p->target_size, sizeof *s->target_columns);
        s->target_scale = make_scale(p->target_size);
        for (int k = 0; k < p->target_size; k++) {
            const int column = s->target_columns[k] = 1 - k;
            s->target_scale.mean[k] = s->scale.mean[column];
            s->target_scale.deviation[k] = s->scale.deviation[column];
            CU_ASSERT_FATAL(crs_names_add(&s->target_names, s->columns.name[column]));
        }
    } else if (p->targets == CRS_TARGET_BITS || p->targets == CRS_TARGET_VALUES) {
        add_names(&s->target_names, "target", p->target_size);
        if (p->targets == CRS_TARGET_VALUES)
            s->target_scale = make_scale(p->target_size);
    }
    return data;
}

void free_data(made_data *data) {
    for (int i = 0; i < CRS_SPLITS; i++) {
        made_split *s = &data->split[i];
        crs_free(&s->length);
        crs_free(&s->start);
        crs_free(&s->lead);
        crs_free(&s->input);
        crs_free(&s->target);
        crs_free(&s->weight);
    }
    crs_schema_free(&data->schema);
}

/* ---- writing ---- */

static hid_t type_of(int kind, int bytes, bool big) {
    switch (kind) {
    case CRS_INPUT_TOKENS:
        return bytes == 1   ? H5T_STD_U8LE
               : bytes == 2 ? (big ? H5T_STD_U16BE : H5T_STD_U16LE)
               : big        ? H5T_STD_U32BE
                            : H5T_STD_U32LE;
    case CRS_INPUT_BITS:
        return big ? H5T_STD_U8BE : H5T_STD_U8LE;
    default:
        return big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE;
    }
}

/* width 0: one dimension. The hash is of the values, little-endian. */
static void put_numbers(hid_t group, const char *name, hid_t type, int64_t rows, int64_t width, hid_t given,
                        const void *values, const made_style *style) {
    const hsize_t size[2] = {(hsize_t)rows, (hsize_t)width}, chunk[2] = {3, width > 2 ? 2 : 1};
    const int dimensions = width > 0 ? 2 : 1;
    hid_t space = H5Screate_simple(dimensions, size, NULL), plan = H5Pcreate(H5P_DATASET_CREATE);
    if (style->chunked && rows > 2) {
        H5Pset_chunk(plan, dimensions, chunk);
        H5Pset_deflate(plan, 4);
    }
    hid_t set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    CU_ASSERT(set >= 0);
    if (rows > 0) {
        CU_ASSERT(H5Dwrite(set, given, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    }
    if (style->hashes) {
        char hex[CRS_HASH_HEX];
        const size_t count = (size_t)(rows * (width > 0 ? width : 1)), bytes = H5Tget_size(type);
        hid_t little = H5Tcopy(type);
        char *block = room((int64_t)count + 1, 8);
        H5Tset_order(little, H5T_ORDER_LE);
        if (rows > 0) {
            CU_ASSERT(H5Dread(set, little, H5S_ALL, H5S_ALL, H5P_DEFAULT, block) >= 0);
        }
        crs_hash_bytes(block, count * bytes, hex);
        CU_ASSERT(crs_h5_put_text(set, CRS_HASH_ATTRIBUTE, hex));
        crs_free(&block);
        H5Tclose(little);
    }
    H5Dclose(set);
    H5Pclose(plan);
    H5Sclose(space);
}

static void put_strings(hid_t group, const char *name, const crs_names *names, const made_style *style) {
    const hsize_t count = (hsize_t)names->count;
    size_t longest = 1;
    for (int i = 0; i < names->count; i++)
        longest = strlen(names->name[i]) > longest ? strlen(names->name[i]) : longest;
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &count, NULL);
    H5Tset_size(type, style->variable ? H5T_VARIABLE : longest);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    char *block = room(names->count, longest), hex[CRS_HASH_HEX];
    for (int i = 0; i < names->count; i++)
        memcpy(block + (size_t)i * longest, names->name[i], strlen(names->name[i]));
    hid_t set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (count > 0) {
        CU_ASSERT(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, style->variable ? (void *)names->name : block) >=
                  0);
    }
    crs_hash_bytes(block, count * longest, hex);
    if (style->hashes)
        crs_h5_put_text(set, CRS_HASH_ATTRIBUTE, hex);
    crs_free(&block);
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(type);
}

static void put_vocabulary_of(hid_t file, int count, const made_style *style) {
    const made_style unhashed = {.variable = style->variable};
    crs_names names = {0};
    for (int i = 0; i < count; i++) {
        char name[8] = "";
        crs_utf8_encode(0x4e00 + (uint32_t)i, name);
        CU_ASSERT_FATAL(crs_names_add(&names, name));
    }
    put_strings(file, "vocabulary", &names, &unhashed);
    crs_names_free(&names);
}

static void put_split(hid_t file, const made_data *data, crs_split split, const made_style *style) {
    const crs_schema *schema = &data->schema;
    const made_split *s = &data->split[split];
    const int kinds[CRS_TARGETS] = {0, CRS_INPUT_TOKENS, CRS_INPUT_BITS, CRS_INPUT_VALUES};
    const hid_t whole = style->big ? H5T_STD_I64BE : H5T_STD_I64LE;
    hid_t group = H5Gcreate2(file, crs_split_name(split), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const int bytes = style->wide ? style->wide : crs_token_bytes((uint32_t)schema->input_size);
    const int class_bytes = style->wide ? style->wide : crs_token_bytes((uint32_t)schema->target_size);
    put_numbers(group, "lengths", whole, s->count, 0, H5T_NATIVE_INT64, s->length, style);
    put_numbers(group, "inputs", type_of((int)schema->inputs, bytes, style->big), s->steps,
                schema->inputs == CRS_INPUT_TOKENS ? 0 : schema->input_size, H5T_NATIVE_DOUBLE, s->input, style);
    if (crs_schema_is_forecast(schema))
        put_numbers(group, "target_columns", whole, schema->target_size, 0, H5T_NATIVE_INT, schema->target_columns,
                    style);
    else if (schema->targets != CRS_TARGET_NEXT)
        put_numbers(group, "targets", type_of(kinds[schema->targets], class_bytes, style->big), s->targets,
                    schema->targets == CRS_TARGET_CLASS ? 0 : schema->target_size, H5T_NATIVE_DOUBLE, s->target, style);
    if (s->weight)
        put_numbers(group, "weights", style->big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE, s->weights, 0, H5T_NATIVE_DOUBLE,
                    s->weight, style);
    if (s->lead)
        put_numbers(group, "lead", whole, s->count, 0, H5T_NATIVE_INT64, s->lead, style);
    if (style->names) {
        crs_names names = {0};
        add_names(&names, "sequence", (int)s->count);
        put_strings(group, "names", &names, style);
        crs_names_free(&names);
    }
    H5Gclose(group);
}

static void put_scale(hid_t file, const char *name, const crs_scale *scale, int count, const made_style *style) {
    const hid_t type = style->big ? H5T_IEEE_F64BE : H5T_IEEE_F64LE;
    hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_numbers(group, "mean", type, count, 0, H5T_NATIVE_DOUBLE, scale->mean, style);
    put_numbers(group, "deviation", type, count, 0, H5T_NATIVE_DOUBLE, scale->deviation, style);
    H5Gclose(group);
}

void write_data(const made_data *data, const char *path, made_style style) {
    const crs_schema *s = &data->schema;
    crs_h5_silence();
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT_FATAL(file >= 0);
    crs_h5_put_text(file, "format", "carousel/sequences");
    crs_h5_put_integer(file, "version", 1);
    crs_h5_put_text(file, "inputs", crs_input_names()[s->inputs]);
    crs_h5_put_text(file, "targets", crs_target_names()[s->targets]);
    crs_h5_put_text(file, "alignment", crs_alignment_names()[s->alignment]);
    crs_h5_put_text(file, "source", "a test");
    if (crs_schema_is_forecast(s)) {
        crs_h5_put_integer(file, "context", s->context);
        crs_h5_put_integer(file, "horizon", s->horizon);
    }
    if (s->inputs == CRS_INPUT_TOKENS)
        put_vocabulary_of(file, s->input_size, &style);
    else
        put_strings(file, "columns", &s->columns, &style);
    if (s->inputs == CRS_INPUT_VALUES)
        put_scale(file, "scale", &s->scale, s->input_size, &style);
    if (s->targets == CRS_TARGET_CLASS)
        put_strings(file, "classes", &s->classes, &style);
    if (s->target_names.count > 0 && !crs_schema_is_forecast(s))
        put_strings(file, "target_names", &s->target_names, &style);
    if (s->targets == CRS_TARGET_VALUES && !crs_schema_is_forecast(s))
        put_scale(file, "target_scale", &s->target_scale, s->target_size, &style);
    for (int split = 0; split < (style.splits ? style.splits : CRS_SPLITS); split++)
        put_split(file, data, (crs_split)split, &style);
    H5Fclose(file);
}

/* ---- what may not be ---- */

void put_array(const char *path, const char *name, hid_t type, int64_t rows, int64_t width, hid_t given,
               const void *values) {
    const made_style plain = {0};
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    CU_ASSERT_FATAL(file >= 0);
    if (H5Lexists(file, name, H5P_DEFAULT) > 0)
        H5Ldelete(file, name, H5P_DEFAULT);
    if (rows >= 0)
        put_numbers(file, name, type, rows, width, given, values, &plain);
    H5Fclose(file);
}

static hid_t open_without(const char *path, const char *name) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    CU_ASSERT_FATAL(file >= 0);
    if (H5Aexists(file, name) > 0)
        H5Adelete(file, name);
    return file;
}

void put_root(const char *path, const char *name, const char *text) {
    hid_t file = open_without(path, name);
    if (text)
        crs_h5_put_text(file, name, text);
    H5Fclose(file);
}

void put_root_number(const char *path, const char *name, int64_t value) {
    hid_t file = open_without(path, name);
    crs_h5_put_integer(file, name, value);
    H5Fclose(file);
}
