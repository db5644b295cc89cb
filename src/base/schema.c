/* What a data set's sequences are made of. */
#include "config.h"

#include <string.h>

#include "carousel/schema.h"

const char *const *crs_input_names(void) {
    static const char *const names[CRS_INPUTS + 1] = {"tokens", "values", "bits", NULL};
    return names;
}

const char *const *crs_target_names(void) {
    static const char *const names[CRS_TARGETS + 1] = {"next", "class", "bits", "values", NULL};
    return names;
}

const char *const *crs_alignment_names(void) {
    static const char *const names[CRS_ALIGNMENTS + 1] = {"step", "sequence", NULL};
    return names;
}

/* ---- names ---- */

bool crs_names_add(crs_names *names, const char *name) {
    if (!crs_list_grow(&names->name, (size_t)names->count, sizeof *names->name))
        return false;
    names->name[names->count] = crs_copy_text(name);
    return names->name[names->count] && ++names->count;
}

bool crs_names_copy(crs_names *to, const crs_names *from) {
    *to = (crs_names){0};
    for (int i = 0; i < from->count; i++)
        if (!crs_names_add(to, from->name[i])) {
            crs_names_free(to);
            return false;
        }
    return true;
}

bool crs_names_equal(const crs_names *a, const crs_names *b) {
    bool same = a->count == b->count;
    for (int i = 0; same && i < a->count; i++)
        same = strcmp(a->name[i], b->name[i]) == 0;
    return same;
}

int crs_names_find(const crs_names *names, const char *name) {
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0)
            return i;
    return -1;
}

size_t crs_names_longest(const crs_names *names) {
    size_t longest = 1;
    for (int i = 0; i < names->count; i++) {
        const size_t length = strlen(names->name[i]);
        longest = length > longest ? length : longest;
    }
    return longest;
}

void crs_names_free(crs_names *names) {
    for (int i = 0; i < names->count; i++)
        crs_free(&names->name[i]);
    crs_free(&names->name);
    names->count = 0;
}

/* ---- schemas ---- */

crs_schema crs_schema_text(uint32_t tokens) {
    return (crs_schema){.inputs = CRS_INPUT_TOKENS,
                        .targets = CRS_TARGET_NEXT,
                        .alignment = CRS_ALIGN_STEP,
                        .input_size = (int)tokens,
                        .target_size = (int)tokens};
}

bool crs_schema_is_forecast(const crs_schema *s) {
    return s->context > 0;
}

bool crs_schema_says_tokens(const crs_schema *s) {
    return s->targets == CRS_TARGET_NEXT && s->inputs == CRS_INPUT_TOKENS;
}

bool crs_schema_says_one(const crs_schema *s) {
    return s->targets == CRS_TARGET_CLASS || crs_schema_says_tokens(s);
}

bool crs_schema_says_bits(const crs_schema *s) {
    return s->targets == CRS_TARGET_BITS || (s->targets == CRS_TARGET_NEXT && s->inputs == CRS_INPUT_BITS);
}

int crs_schema_numbers(const crs_schema *s) {
    if (crs_schema_says_one(s))
        return 1;
    return s->target_size * (crs_schema_is_forecast(s) ? (int)s->horizon : 1);
}

/* NULL stays NULL. False when out of memory. */
static bool copy_block(void *to, const void *from, int count, size_t size) {
    void **out = to;
    *out = NULL;
    if (!from)
        return true;
    *out = crs_alloc((size_t)count, size, CRS_MEMORY_OTHER);
    if (*out)
        memcpy(*out, from, (size_t)count * size);
    return *out != NULL;
}

bool crs_schema_copy(crs_schema *to, const crs_schema *from) {
    const int inputs = from->input_size, targets = from->target_size;
    const size_t real = sizeof(double);
    *to = *from;
    to->columns = to->target_names = to->classes = to->units = to->target_units = (crs_names){0};
    to->scale = to->target_scale = (crs_scale){0};
    to->target_columns = NULL;
    const bool good = crs_names_copy(&to->columns, &from->columns) &&
                      crs_names_copy(&to->target_names, &from->target_names) &&
                      crs_names_copy(&to->classes, &from->classes) && crs_names_copy(&to->units, &from->units) &&
                      crs_names_copy(&to->target_units, &from->target_units) &&
                      copy_block(&to->scale.mean, from->scale.mean, inputs, real) &&
                      copy_block(&to->scale.deviation, from->scale.deviation, inputs, real) &&
                      copy_block(&to->target_scale.mean, from->target_scale.mean, targets, real) &&
                      copy_block(&to->target_scale.deviation, from->target_scale.deviation, targets, real) &&
                      copy_block(&to->target_columns, from->target_columns, targets, sizeof *to->target_columns);
    if (!good)
        crs_schema_free(to);
    return good;
}

void crs_schema_free(crs_schema *s) {
    crs_names_free(&s->columns);
    crs_names_free(&s->target_names);
    crs_names_free(&s->classes);
    crs_names_free(&s->units);
    crs_names_free(&s->target_units);
    crs_free(&s->scale.mean);
    crs_free(&s->scale.deviation);
    crs_free(&s->target_scale.mean);
    crs_free(&s->target_scale.deviation);
    crs_free(&s->target_columns);
    *s = (crs_schema){0};
}

static void hash_names(const crs_names *names, crs_hash *hash) {
    const int64_t count = names->count;
    crs_hash_add(hash, &count, sizeof count);
    for (int i = 0; i < names->count; i++)
        crs_hash_add(hash, names->name[i], strlen(names->name[i]) + 1);
}

static void hash_block(const void *block, int count, size_t size, crs_hash *hash) {
    const int64_t bytes = block ? (int64_t)count * (int64_t)size : 0;
    crs_hash_add(hash, &bytes, sizeof bytes);
    crs_hash_add(hash, block, (size_t)bytes);
}

void crs_schema_hash(const crs_schema *s, crs_hash *hash) {
    const int64_t numbers[] = {s->inputs,  s->targets,    s->alignment,  s->context,
                               s->horizon, s->input_size, s->target_size};
    const size_t real = sizeof(double);
    crs_hash_add(hash, numbers, sizeof numbers);
    hash_names(&s->columns, hash);
    hash_names(&s->target_names, hash);
    hash_names(&s->classes, hash);
    hash_block(s->scale.mean, s->input_size, real, hash);
    hash_block(s->scale.deviation, s->input_size, real, hash);
    hash_block(s->target_scale.mean, s->target_size, real, hash);
    hash_block(s->target_scale.deviation, s->target_size, real, hash);
    hash_block(s->target_columns, s->target_size, sizeof *s->target_columns, hash);
}

/* ---- whether they go together ---- */

static crs_status names_same(const char *what, const crs_names *a, const char *a_name, const crs_names *b,
                             const char *b_name, crs_error *error) {
    if (a->count != b->count)
        return crs_fail(error, CRS_DATA, "%s has %d %s, and %s %d: pack the data as those were that it was trained on",
                        a_name, a->count, what, b_name, b->count);
    for (int i = 0; i < a->count; i++)
        if (strcmp(a->name[i], b->name[i]) != 0)
            return crs_fail(error, CRS_DATA,
                            "number %d of the %s is '%.60s' in %s, and '%.60s' in %s: pack the data as those were that "
                            "it was trained on",
                            i, what, a->name[i], a_name, b->name[i], b_name);
    return CRS_OK;
}

static bool blocks_same(const double *a, const double *b, int count) {
    return !a == !b && (!a || memcmp(a, b, (size_t)count * sizeof *a) == 0);
}

crs_status crs_schema_same(const crs_schema *a, const char *a_name, const crs_schema *b, const char *b_name,
                           crs_error *error) {
    if (a->inputs != b->inputs || a->targets != b->targets || a->alignment != b->alignment)
        return crs_fail(error, CRS_DATA, "%s is of %s to %s by %s, and %s of %s to %s by %s: they don't go together",
                        a_name, crs_input_names()[a->inputs], crs_target_names()[a->targets],
                        crs_alignment_names()[a->alignment], b_name, crs_input_names()[b->inputs],
                        crs_target_names()[b->targets], crs_alignment_names()[b->alignment]);
    if (a->context != b->context || a->horizon != b->horizon)
        return crs_fail(error, CRS_DATA,
                        "%s forecasts %lld steps from %lld, and %s %lld from %lld: pack the data with the --context "
                        "and --horizon of the first",
                        a_name, (long long)a->horizon, (long long)a->context, b_name, (long long)b->horizon,
                        (long long)b->context);
    if (names_same("columns", &a->columns, a_name, &b->columns, b_name, error) ||
        names_same("targets", &a->target_names, a_name, &b->target_names, b_name, error) ||
        names_same("classes", &a->classes, a_name, &b->classes, b_name, error))
        return error->status;
    if (a->input_size != b->input_size || a->target_size != b->target_size)
        return crs_fail(error, CRS_DATA, "%s has %d inputs and %d targets, and %s %d and %d: they don't go together",
                        a_name, a->input_size, a->target_size, b_name, b->input_size, b->target_size);
    if (!blocks_same(a->scale.mean, b->scale.mean, a->input_size) ||
        !blocks_same(a->scale.deviation, b->scale.deviation, a->input_size) ||
        !blocks_same(a->target_scale.mean, b->target_scale.mean, a->target_size) ||
        !blocks_same(a->target_scale.deviation, b->target_scale.deviation, a->target_size))
        return crs_fail(error, CRS_DATA,
                        "the scale of %s is not that of %s: pack the data together with those that it was trained on",
                        a_name, b_name);
    return CRS_OK;
}
