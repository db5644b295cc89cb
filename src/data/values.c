/* Reading the arrays of sequences: whether values can be what they stand for, and hashes. */
#include "config.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "data/sequences.h"
#include "data/tokens.h"

static const char advice[] = CRS_SEQUENCES_ADVICE;

/* ---- values: plain loops that the compiler makes vectors of ---- */

static uint32_t bits_at(const void *values, size_t i) {
    uint32_t bits;
    memcpy(&bits, (const char *)values + i * sizeof bits, sizeof bits);
    return le32toh(bits);
}

float crs_value_float(const void *values, size_t i) {
    const uint32_t bits = bits_at(values, i);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A number that is finite; of weights, 0 or one whose sum in steps of 2^-32 is near it, and whose gradients have room
 * in an exact sum: from 2^-20 to 2^20. Floats of one sign are in the order of their bits. */
static bool is_real(uint32_t bits, bool weight) {
    const uint32_t infinite = 0x7f800000u, least = 107u << 23, most = 147u << 23;
    return weight ? bits << 1 == 0 || (bits >= least && bits <= most) : (bits & infinite) != infinite;
}

static size_t wrong_float(const void *values, size_t count, bool weight) {
    uint32_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong |= !is_real(bits_at(values, i), weight);
    for (size_t i = 0; wrong && i < count; i++)
        if (!is_real(bits_at(values, i), weight))
            return i;
    return count;
}

size_t crs_values_wrong(crs_value_kind kind, uint32_t limit, const void *values, int unit, size_t count) {
    if (kind == CRS_VALUE_REAL || kind == CRS_VALUE_WEIGHT)
        return wrong_float(values, count, kind == CRS_VALUE_WEIGHT);
    return crs_tokens_outside(values, unit, count, kind == CRS_VALUE_BIT ? 2 : limit);
}

/* ---- rows ---- */

const crs_set *crs_part_of(const crs_dataset *d, crs_split split, crs_part part) {
    const crs_set *set = &d->file->part[split][part];
    return set->id > 0 ? set : NULL;
}

/* What the values of an array stand for, and of tokens and classes how many there are. */
static crs_value_kind values_of(const crs_schema *s, crs_part part, uint32_t *limit) {
    *limit = (uint32_t)(part == CRS_PART_INPUTS ? s->input_size : s->target_size);
    if (part == CRS_PART_WEIGHTS)
        return CRS_VALUE_WEIGHT;
    if (part == CRS_PART_INPUTS)
        return s->inputs == CRS_INPUT_TOKENS ? CRS_VALUE_BELOW
               : s->inputs == CRS_INPUT_BITS ? CRS_VALUE_BIT
                                             : CRS_VALUE_REAL;
    return s->targets == CRS_TARGET_CLASS  ? CRS_VALUE_BELOW
           : s->targets == CRS_TARGET_BITS ? CRS_VALUE_BIT
                                           : CRS_VALUE_REAL;
}

/* Value number i of rows from `first` on can't be. */
static crs_status fail_value(const crs_dataset *d, const crs_set *set, crs_part part, crs_value_kind kind,
                             uint32_t limit, int64_t first, const void *values, size_t i, crs_error *error) {
    const size_t width = (size_t)set->width;
    char place[64];
    if (set->plan.dimensions == 2)
        snprintf(place, sizeof place, "/%s[%" PRId64 ", %zu]", set->plan.path, first + (int64_t)(i / width), i % width);
    else
        snprintf(place, sizeof place, "/%s[%" PRId64 "]", set->plan.path, first + (int64_t)i);
    if (kind == CRS_VALUE_REAL)
        return crs_fail(error, CRS_DATA, "%s: %s is %f, and no finite number; %s", d->path, place,
                        (double)crs_value_float(values, i), advice);
    if (kind == CRS_VALUE_WEIGHT)
        return crs_fail(error, CRS_DATA,
                        "%s: %s is %g, and a weight is 0, or from 2^-20 to 2^20 (only how they compare matters); %s",
                        d->path, place, (double)crs_value_float(values, i), advice);
    uint32_t value;
    crs_tokens_widen((const char *)values + i * (size_t)set->unit, set->unit, 1, &value);
    if (kind == CRS_VALUE_BIT)
        return crs_fail(error, CRS_DATA, "%s: %s is %" PRIu32 ", and a bit is 0 or 1; %s", d->path, place, value,
                        advice);
    return crs_fail(error, CRS_DATA, "%s: %s is %" PRIu32 ", and there are %" PRIu32 " %s; %s", d->path, place, value,
                    limit, part == CRS_PART_INPUTS ? "tokens in the vocabulary" : "classes", advice);
}

crs_status crs_part_read(const crs_dataset *d, crs_split split, crs_part part, int64_t first, int64_t count,
                         void *values, crs_error *error) {
    const crs_set *set = &d->file->part[split][part];
    const size_t all = (size_t)count * (size_t)set->width;
    uint32_t limit;
    const crs_value_kind kind = values_of(&d->schema, part, &limit);
    const bool good = crs_set_read(set, first, count, set->unit, values);
    if (crs_dataset_check_unchanged(d, error))
        return error->status;
    if (!good)
        return crs_fail(error, CRS_DATA, "%s: /%s can't be read at row %" PRId64 ": the file is damaged; %s", d->path,
                        set->plan.path, first, advice);
    const size_t wrong = crs_values_wrong(kind, limit, values, set->unit, all);
    return wrong < all ? fail_value(d, set, part, kind, limit, first, values, wrong, error) : CRS_OK;
}

/* ---- hashes ---- */

enum { SCAN_BYTES = 1 << 20 };

/* Rows first .. first + count - 1, into a hash; names of any length each with a zero behind it. */
static crs_status scan_rows(const crs_dataset *d, crs_split split, crs_part part, int64_t first, int64_t count,
                            void *block, crs_hash *hash, crs_error *error) {
    const crs_set *set = &d->file->part[split][part];
    const size_t bytes = (size_t)count * (size_t)set->width * (size_t)set->unit;
    if (part != CRS_PART_NAMES) {
        if (crs_part_read(d, split, part, first, count, block, error) == CRS_OK)
            crs_hash_add(hash, block, bytes);
        return error->status;
    }
    memset(block, 0, bytes);
    const bool good = crs_set_read(set, first, count, set->unit, block);
    if (crs_dataset_check_unchanged(d, error) == CRS_OK && !good)
        crs_fail(error, CRS_DATA, "%s: /%s can't be read at row %" PRId64 ": the file is damaged; %s", d->path,
                 set->plan.path, first, advice);
    for (int64_t i = 0; set->variable && good && i < count; i++) {
        size_t length;
        const char *name = crs_set_string(set, block, i, &length);
        crs_hash_add(hash, name, length);
        crs_hash_add(hash, "", 1);
    }
    if (!set->variable)
        crs_hash_add(hash, block, bytes);
    crs_set_free_strings(set, count, block);
    return error->status;
}

crs_status crs_part_hash(const crs_dataset *d, crs_split split, crs_part part, char hex[CRS_HASH_HEX],
                         crs_error *error) {
    const crs_set *set = &d->file->part[split][part];
    const int64_t row = set->width * set->unit, most = row < SCAN_BYTES ? SCAN_BYTES / row : 1;
    crs_hash *hash = crs_hash_new();
    void *block = crs_alloc_or_fail((size_t)most, (size_t)row, CRS_MEMORY_DATA, "reading a data set", error);
    if (!hash && error->status == CRS_OK)
        crs_fail(error, CRS_INTERNAL, "out of memory for a hash");
    for (int64_t first = 0; first < set->rows && error->status == CRS_OK; first += most)
        scan_rows(d, split, part, first, set->rows - first < most ? set->rows - first : most, block, hash, error);
    if (error->status == CRS_OK)
        crs_hash_text(hash, hex);
    crs_hash_free(&hash);
    crs_free(&block);
    return error->status;
}

crs_status crs_sequences_verify(const crs_dataset *d, crs_split split, crs_error *error) {
    for (crs_part part = 0; part < CRS_PARTS; part++) {
        const crs_set *set = crs_part_of(d, split, part);
        char hex[CRS_HASH_HEX];
        if (!set)
            continue;
        if (crs_part_hash(d, split, part, hex, error))
            return error->status;
        if (*set->hash && !set->variable && strcmp(hex, set->hash) != 0)
            return crs_fail(error, CRS_DATA, "%s: /%s is damaged: its hash is %s, and %s was stated; %s", d->path,
                            set->plan.path, hex, set->hash, advice);
    }
    return CRS_OK;
}
