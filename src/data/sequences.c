/* Opening and checking data sets of sequences. */
#include "config.h"

#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "carousel/notes.h"
#include "data/columns.h"
#include "data/sequences.h"
#include "store/names_file.h"
#include "store/vocabulary_file.h"

/* Steps of a sequence: places in memory are counted by int. */
enum { LENGTH_MAX = 1 << 30 };

static const char advice[] = CRS_SEQUENCES_ADVICE, again[] = "pack it again";

#define PATHS(split)                                                                                                   \
    {                                                                                                                  \
        split "/lengths", split "/inputs", split "/targets", split "/target_columns", split "/weights", split "/lead", \
            split "/names"                                                                                             \
    }
static const char *const paths[CRS_SPLITS][CRS_PARTS] = {PATHS("train"), PATHS("validation"), PATHS("test")};

/* ---- what it is made of ---- */

/* The number of an attribute's word among names; -1: it is none of them. */
static int read_word(const crs_dataset *d, const char *name, const char *const *names) {
    char word[32];
    int i = 0;
    crs_h5_text(d->file->file, name, word, sizeof word);
    while (names[i] && strcmp(names[i], word) != 0)
        i++;
    return names[i] ? i : -1;
}

static crs_status read_kinds(crs_dataset *d, crs_error *error) {
    crs_schema *s = &d->schema;
    const int inputs = read_word(d, "inputs", crs_input_names()), targets = read_word(d, "targets", crs_target_names()),
              alignment = read_word(d, "alignment", crs_alignment_names());
    bool known = inputs >= 0 && targets >= 0 && alignment >= 0;
    if (targets == CRS_TARGET_NEXT)
        known = known && inputs != CRS_INPUT_VALUES && alignment == CRS_ALIGN_STEP;
    if (!known) {
        char words[3][32];
        crs_h5_text(d->file->file, "inputs", words[0], sizeof words[0]);
        crs_h5_text(d->file->file, "targets", words[1], sizeof words[1]);
        crs_h5_text(d->file->file, "alignment", words[2], sizeof words[2]);
        return crs_fail(error, CRS_DATA,
                        "%s: its attributes inputs '%s', targets '%s' and alignment '%s' are no kind of data that this "
                        "carousel knows (docs/formats.md); %s",
                        d->path, words[0], words[1], words[2], advice);
    }
    s->inputs = (crs_input_kind)inputs;
    s->targets = (crs_target_kind)targets;
    s->alignment = (crs_alignment)alignment;
    return CRS_OK;
}

/* What is no grid is none. */
static void read_grid(crs_dataset *d) {
    char grid[16];
    if (crs_h5_text(d->file->file, "grid", grid, sizeof grid) == CRS_FOUND)
        d->schema.grid = crs_grid_of(grid);
}

/* Context and horizon, both or neither. */
static crs_status read_forecast(crs_dataset *d, crs_error *error) {
    crs_schema *s = &d->schema;
    const crs_found context = crs_h5_integer(d->file->file, "context", &s->context),
                    horizon = crs_h5_integer(d->file->file, "horizon", &s->horizon);
    if (context == CRS_ABSENT && horizon == CRS_ABSENT)
        return CRS_OK;
    if (context != CRS_FOUND || horizon != CRS_FOUND || s->context < 1 || s->horizon < 1 || s->context > INT32_MAX ||
        s->horizon > INT32_MAX)
        return crs_fail(error, CRS_DATA,
                        "%s: its attributes `context` and `horizon` are to be both whole numbers of 1 or more, or both "
                        "absent; %s",
                        d->path, advice);
    if (s->inputs != CRS_INPUT_VALUES || s->targets != CRS_TARGET_VALUES || s->alignment != CRS_ALIGN_SEQUENCE)
        return crs_fail(error, CRS_DATA,
                        "%s: it has `context` and `horizon`, and a forecast is of inputs values to targets values, by "
                        "sequence; %s",
                        d->path, advice);
    return CRS_OK;
}

/* Words, where a token has more than one character. */
static crs_status make_words(crs_dataset *d, const crs_names *names, crs_error *error) {
    size_t bytes = 0;
    for (int i = 0; i < names->count; i++)
        bytes += strlen(names->name[i]) + 1;
    char *text = crs_alloc_or_fail(bytes, 1, CRS_MEMORY_DATA, "a vocabulary", error), *at = text;
    for (int i = 0; text && i < names->count; i++)
        at = stpcpy(at, names->name[i]) + 1;
    if (text)
        crs_vocabulary_create_words(&d->vocabulary, text, bytes, (uint32_t)names->count, error);
    d->vocabulary.words = CRS_WORDS_BLANK;
    crs_free(&text);
    return error->status;
}

/* Each token one character; the empty one is U+0000. */
static crs_status make_characters(crs_dataset *d, const crs_names *names, crs_error *error) {
    const size_t count = (size_t)names->count;
    uint32_t *points = crs_alloc_or_fail(count, sizeof *points, CRS_MEMORY_DATA, "a vocabulary", error);
    for (size_t i = 0; points && i < count; i++)
        crs_utf8_decode((const unsigned char *)names->name[i], strlen(names->name[i]), &points[i]);
    if (points)
        crs_vocabulary_create(&d->vocabulary, CRS_LEVEL_CHAR, points, (uint32_t)count, error);
    crs_free(&points);
    return error->status;
}

/* Characters, where each token is one and the file says nothing else. */
static crs_status read_vocabulary(crs_dataset *d, crs_error *error) {
    char level[16];
    crs_names names;
    crs_error inner = {0};
    crs_h5_text(d->file->file, "level", level, sizeof level);
    bool characters = strcmp(level, crs_level_name(CRS_LEVEL_WORD)) != 0;
    if (crs_names_read(d->file->file, d->path, "vocabulary", false, again, &names, error))
        return error->status;
    for (int i = 0; i < names.count; i++) {
        const size_t length = strlen(names.name[i]);
        uint32_t point;
        characters &=
            length == 0 || crs_utf8_decode((const unsigned char *)names.name[i], length, &point) == (int)length;
    }
    if (characters ? make_characters(d, &names, &inner) : make_words(d, &names, &inner))
        crs_fail(error, inner.status, inner.status == CRS_DATA ? "%s: /%s" : "%s: %s", d->path, inner.message);
    crs_names_free(&names);
    return error->status;
}

/* Names of inputs and targets, and from them the sizes. Those of a forecast's targets follow from its columns. */
static crs_status read_lists(crs_dataset *d, crs_error *error) {
    crs_schema *s = &d->schema;
    if (s->inputs == CRS_INPUT_TOKENS) {
        if (read_vocabulary(d, error))
            return error->status;
        s->input_size = (int)d->vocabulary.count;
    } else {
        if (crs_columns_read(d, "columns", &s->columns, error))
            return error->status;
        s->input_size = s->columns.count;
    }
    if (s->targets == CRS_TARGET_NEXT) {
        s->target_size = s->input_size;
        return CRS_OK;
    }
    if (crs_schema_is_forecast(s))
        return CRS_OK;
    crs_names *names = s->targets == CRS_TARGET_CLASS ? &s->classes : &s->target_names;
    crs_columns_read(d, s->targets == CRS_TARGET_CLASS ? "classes" : "target_names", names, error);
    s->target_size = names->count;
    return error->status;
}

/* What numbers are in. */
static crs_status read_units(crs_dataset *d, crs_error *error) {
    crs_schema *s = &d->schema;
    if (s->inputs == CRS_INPUT_VALUES && crs_units_read(d, "columns", s->input_size, &s->units, error))
        return error->status;
    if (s->targets == CRS_TARGET_VALUES && !crs_schema_is_forecast(s))
        crs_units_read(d, "target_names", s->target_size, &s->target_units, error);
    return error->status;
}

/* ---- scales ---- */

/* As they are stored. */
static crs_status check_numbers(const crs_set *set, const double *numbers, int count, crs_error *error) {
    char hex[CRS_HASH_HEX];
    crs_hash_bytes(numbers, (size_t)count * sizeof *numbers, hex);
    if (!*set->hash || strcmp(hex, set->hash) == 0)
        return CRS_OK;
    return crs_fail(error, CRS_DATA, "%s: /%s is damaged: its hash is %s, and %s was stated; %s", set->plan.file,
                    set->plan.path, hex, set->hash, advice);
}

static crs_status read_numbers(const crs_dataset *d, const char *path, int count, bool deviation, double **numbers,
                               crs_error *error) {
    const crs_set_plan plan = {.file = d->path,
                               .path = path,
                               .kind = CRS_SET_DOUBLE,
                               .dimensions = 1,
                               .things = "numbers",
                               .advice = "store a number for each column"};
    crs_set set;
    if (!crs_set_exists(d->file->file, path))
        return crs_fail(error, CRS_DATA, "%s: it has no /%s, which values need; %s", d->path, path, advice);
    if (crs_set_open(&set, d->file->file, &plan, error))
        return error->status;
    if (set.rows != count)
        crs_fail(error, CRS_DATA, "%s: /%s has %" PRId64 " numbers for %d columns; %s", d->path, path, set.rows, count,
                 advice);
    else
        *numbers = crs_alloc_or_fail((size_t)count, sizeof **numbers, CRS_MEMORY_DATA, "a scale", error);
    if (*numbers && !crs_set_read(&set, 0, count, set.unit, *numbers))
        crs_fail(error, CRS_DATA, "%s: /%s can't be read: the file is damaged; %s", d->path, path, advice);
    if (error->status == CRS_OK)
        check_numbers(&set, *numbers, count, error);
    for (int i = 0; i < count && error->status == CRS_OK; i++) {
        uint64_t bits;
        memcpy(&bits, &(*numbers)[i], sizeof bits);
        bits = le64toh(bits);
        memcpy(&(*numbers)[i], &bits, sizeof bits);
        if (!isfinite((*numbers)[i]) || (deviation && !((*numbers)[i] > 0)))
            crs_fail(error, CRS_DATA, "%s: /%s[%d] is %g, and should be %s; %s", d->path, path, i, (*numbers)[i],
                     deviation ? "finite and above 0" : "finite", advice);
    }
    crs_set_close(&set);
    return error->status;
}

static crs_status read_scales(crs_dataset *d, crs_error *error) {
    crs_schema *s = &d->schema;
    if (s->inputs == CRS_INPUT_VALUES &&
        (read_numbers(d, "scale/mean", s->input_size, false, &s->scale.mean, error) ||
         read_numbers(d, "scale/deviation", s->input_size, true, &s->scale.deviation, error)))
        return error->status;
    if (s->targets == CRS_TARGET_VALUES && !crs_schema_is_forecast(s) &&
        (read_numbers(d, "target_scale/mean", s->target_size, false, &s->target_scale.mean, error) ||
         read_numbers(d, "target_scale/deviation", s->target_size, true, &s->target_scale.deviation, error)))
        return error->status;
    return CRS_OK;
}

/* A forecast's targets are named and scaled as their columns are, and in their units. */
static crs_status scale_forecast(crs_dataset *d, crs_error *error) {
    crs_schema *s = &d->schema;
    const size_t count = (size_t)s->target_size;
    s->target_scale.mean = crs_alloc(count, sizeof(double), CRS_MEMORY_DATA);
    s->target_scale.deviation = crs_alloc(count, sizeof(double), CRS_MEMORY_DATA);
    bool good = s->target_scale.mean && s->target_scale.deviation;
    for (size_t k = 0; good && k < count; k++) {
        const int column = s->target_columns[k];
        s->target_scale.mean[k] = s->scale.mean[column];
        s->target_scale.deviation[k] = s->scale.deviation[column];
        good = crs_names_add(&s->target_names, s->columns.name[column]) &&
               (s->units.count == 0 || crs_names_add(&s->target_units, s->units.name[column]));
    }
    return good ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory for a forecast's columns");
}

/* ---- arrays of a split ---- */

static bool has_targets(const crs_schema *s) {
    return s->targets != CRS_TARGET_NEXT && !crs_schema_is_forecast(s);
}

/* What an array should be. */
static crs_set_plan plan_of(const crs_dataset *d, crs_split split, crs_part part) {
    static const char *const things[CRS_PARTS] = {"lengths",          "steps", "targets", "columns", "weights",
                                                  "numbers of steps", "names"};
    static const crs_set_kind inputs[CRS_INPUTS] = {CRS_SET_TOKENS, CRS_SET_FLOAT, CRS_SET_BYTES};
    static const crs_set_kind targets[CRS_TARGETS] = {
        [CRS_TARGET_CLASS] = CRS_SET_TOKENS, [CRS_TARGET_BITS] = CRS_SET_BYTES, [CRS_TARGET_VALUES] = CRS_SET_FLOAT};
    const crs_schema *s = &d->schema;
    crs_set_plan plan = {.file = d->path,
                         .path = paths[split][part],
                         .kind = CRS_SET_WHOLE,
                         .dimensions = 1,
                         .things = things[part],
                         .advice = "store a row for each step, or one list"};
    if (part == CRS_PART_INPUTS) {
        plan.kind = inputs[s->inputs];
        plan.dimensions = s->inputs == CRS_INPUT_TOKENS ? 1 : 2;
    } else if (part == CRS_PART_TARGETS) {
        plan.kind = targets[s->targets];
        plan.dimensions = s->targets == CRS_TARGET_CLASS ? 1 : 2;
    } else if (part == CRS_PART_WEIGHTS) {
        plan.kind = CRS_SET_FLOAT;
    } else if (part == CRS_PART_NAMES) {
        plan.kind = CRS_SET_STRINGS;
    }
    return plan;
}

static bool needs(const crs_schema *s, crs_part part) {
    return part == CRS_PART_LENGTHS || part == CRS_PART_INPUTS || (part == CRS_PART_TARGETS && has_targets(s)) ||
           (part == CRS_PART_COLUMNS && crs_schema_is_forecast(s));
}

static bool forbids(const crs_schema *s, crs_part part) {
    return (part == CRS_PART_TARGETS && !has_targets(s)) || (part == CRS_PART_COLUMNS && !crs_schema_is_forecast(s));
}

static crs_status open_part(crs_dataset *d, crs_split split, crs_part part, crs_error *error) {
    const crs_schema *s = &d->schema;
    crs_set *set = &d->file->part[split][part];
    const crs_set_plan plan = plan_of(d, split, part);
    const bool exists = crs_set_exists(d->file->file, plan.path);
    if (!exists && needs(s, part))
        return crs_fail(error, CRS_DATA, "%s: it has no /%s; %s", d->path, plan.path, advice);
    if (exists && forbids(s, part))
        return crs_fail(error, CRS_DATA, "%s: it has /%s, which targets '%s'%s leave no place for; %s", d->path,
                        plan.path, crs_target_names()[s->targets], crs_schema_is_forecast(s) ? " of a forecast" : "",
                        advice);
    if (!exists)
        return CRS_OK;
    if (crs_set_open(set, d->file->file, &plan, error))
        return error->status;
    memcpy(d->file->part_hash[split][part], set->hash, CRS_HASH_HEX);
    const int width = part == CRS_PART_INPUTS && s->inputs != CRS_INPUT_TOKENS     ? s->input_size
                      : part == CRS_PART_TARGETS && s->targets != CRS_TARGET_CLASS ? s->target_size
                                                                                   : 1;
    if (set->width != width)
        return crs_fail(error, CRS_DATA, "%s: /%s has %" PRId64 " columns, and there are names for %d; %s", d->path,
                        plan.path, set->width, width, advice);
    return CRS_OK;
}

static crs_status fail_rows(const crs_dataset *d, const crs_set *set, int64_t wanted, const char *of,
                            crs_error *error) {
    return crs_fail(error, CRS_DATA, "%s: /%s has %" PRId64 " rows, and there are %" PRId64 " %s; %s", d->path,
                    set->plan.path, set->rows, wanted, of, advice);
}

/* That each array has a row for each step or sequence. */
static crs_status check_rows(const crs_dataset *d, crs_split split, crs_error *error) {
    const crs_set *part = d->file->part[split];
    const int64_t sequences = part[CRS_PART_LENGTHS].rows, steps = part[CRS_PART_INPUTS].rows;
    const bool by_step = d->schema.alignment == CRS_ALIGN_STEP;
    const int64_t targets = by_step ? steps : sequences;
    if (sequences > steps) /* before room for the lengths is asked for */
        return fail_rows(d, &part[CRS_PART_LENGTHS], steps, "steps in all, of which a sequence has at least 1", error);
    if (part[CRS_PART_TARGETS].id && part[CRS_PART_TARGETS].rows != targets)
        return fail_rows(d, &part[CRS_PART_TARGETS], targets, by_step ? "steps" : "sequences", error);
    if (part[CRS_PART_WEIGHTS].id && part[CRS_PART_WEIGHTS].rows != sequences &&
        !(by_step && part[CRS_PART_WEIGHTS].rows == steps))
        return fail_rows(d, &part[CRS_PART_WEIGHTS], targets, by_step ? "steps" : "sequences", error);
    for (crs_part p = CRS_PART_LEAD; p <= CRS_PART_NAMES; p++)
        if (part[p].id && part[p].rows != sequences)
            return fail_rows(d, &part[p], sequences, "sequences", error);
    return CRS_OK;
}

/* ---- lengths, leads, columns: read whole ---- */

/* All of a list of whole numbers; owned by the caller. Its hash is compared, or found. */
static crs_status read_whole(crs_dataset *d, crs_split split, crs_part part, int64_t **numbers, crs_error *error) {
    crs_set *set = &d->file->part[split][part];
    char *hash = d->file->part_hash[split][part], hex[CRS_HASH_HEX];
    const size_t count = (size_t)set->rows;
    *numbers = crs_alloc_or_fail(count, sizeof **numbers, CRS_MEMORY_DATA, set->plan.path, error);
    if (!*numbers)
        return error->status;
    const bool good = crs_set_read(set, 0, set->rows, set->unit, *numbers);
    if (crs_dataset_check_unchanged(d, error))
        return error->status;
    if (!good)
        return crs_fail(error, CRS_DATA, "%s: /%s can't be read: the file is damaged; %s", d->path, set->plan.path,
                        advice);
    crs_hash_bytes(*numbers, count * sizeof **numbers, hex);
    if (*hash && strcmp(hash, hex) != 0)
        return crs_fail(error, CRS_DATA, "%s: /%s is damaged: its hash is %s, and %s was stated; %s", d->path,
                        set->plan.path, hex, hash, advice);
    memcpy(hash, hex, sizeof hex);
    for (size_t i = 0; i < count; i++)
        (*numbers)[i] = (int64_t)le64toh((uint64_t)(*numbers)[i]);
    crs_h5_close(&set->id);
    return CRS_OK;
}

static crs_status read_lengths(crs_dataset *d, crs_split split, crs_error *error) {
    crs_sequences *q = &d->sequences[split];
    const char *path = paths[split][CRS_PART_LENGTHS];
    const int64_t steps = d->file->part[split][CRS_PART_INPUTS].rows;
    if (read_whole(d, split, CRS_PART_LENGTHS, &q->length, error))
        return error->status;
    q->count = d->file->part[split][CRS_PART_LENGTHS].rows;
    q->start = crs_alloc_or_fail((size_t)q->count + 1, sizeof *q->start, CRS_MEMORY_DATA, path, error);
    for (int64_t i = 0; q->start && i < q->count; i++) {
        if (q->length[i] < 1)
            return crs_fail(error, CRS_DATA,
                            "%s: /%s[%" PRId64 "] is %" PRId64 ", and a sequence has at least 1 step; %s", d->path,
                            path, i, q->length[i], advice);
        if (q->length[i] > LENGTH_MAX)
            return crs_fail(error, CRS_DATA,
                            "%s: /%s[%" PRId64 "] is %" PRId64 ", and a sequence has at most %d steps; cut it", d->path,
                            path, i, q->length[i], (int)LENGTH_MAX);
        if (q->length[i] > steps - q->start[i])
            return crs_fail(
                error, CRS_DATA,
                "%s: /%s[%" PRId64 "] is %" PRId64 ", and /%s has only %" PRId64 " of its %" PRId64 " steps left; %s",
                d->path, path, i, q->length[i], paths[split][CRS_PART_INPUTS], steps - q->start[i], steps, advice);
        q->start[i + 1] = q->start[i] + q->length[i];
        q->longest = q->length[i] > q->longest ? q->length[i] : q->longest;
    }
    if (q->start && q->start[q->count] != steps)
        return crs_fail(error, CRS_DATA, "%s: /%s add up to %" PRId64 " steps, and /%s has %" PRId64 "; %s", d->path,
                        path, q->start[q->count], paths[split][CRS_PART_INPUTS], steps, advice);
    d->length[split] = steps;
    return error->status;
}

static crs_status read_leads(crs_dataset *d, crs_split split, crs_error *error) {
    crs_sequences *q = &d->sequences[split];
    if (!d->file->part[split][CRS_PART_LEAD].id)
        return CRS_OK;
    if (read_whole(d, split, CRS_PART_LEAD, &q->lead, error))
        return error->status;
    for (int64_t i = 0; i < q->count; i++)
        if (q->lead[i] < 0)
            return crs_fail(error, CRS_DATA, "%s: /%s[%" PRId64 "] is %" PRId64 ", and should be 0 or more; %s",
                            d->path, paths[split][CRS_PART_LEAD], i, q->lead[i], advice);
    return CRS_OK;
}

/* The first split's: how many there are. */
static crs_status begin_columns(crs_dataset *d, const char *path, int64_t count, crs_error *error) {
    crs_schema *s = &d->schema;
    if (count < 1 || count > s->input_size || count * s->horizon > INT32_MAX / 4)
        return crs_fail(error, CRS_DATA,
                        "%s: /%s has %" PRId64 " columns for a horizon of %" PRId64
                        "; it should have 1 to %d, and no more than a model can say; %s",
                        d->path, path, count, s->horizon, s->input_size, advice);
    s->target_size = (int)count;
    s->target_columns =
        crs_alloc_or_fail((size_t)count, sizeof *s->target_columns, CRS_MEMORY_DATA, "a forecast's columns", error);
    return error->status;
}

/* That they are there, each once. */
static crs_status check_columns(const crs_dataset *d, const char *path, const int64_t *columns, int64_t count,
                                crs_error *error) {
    const int64_t size = d->schema.input_size;
    bool *seen = crs_alloc_or_fail((size_t)size, sizeof *seen, CRS_MEMORY_DATA, "a forecast's columns", error);
    for (int64_t i = 0; seen && i < count && error->status == CRS_OK; i++)
        if (columns[i] < 0 || columns[i] >= size)
            crs_fail(error, CRS_DATA, "%s: /%s[%" PRId64 "] is %" PRId64 ", and there are %" PRId64 " columns; %s",
                     d->path, path, i, columns[i], size, advice);
        else if (seen[columns[i]])
            crs_fail(error, CRS_DATA, "%s: /%s[%" PRId64 "] is %" PRId64 " once more; %s", d->path, path, i, columns[i],
                     advice);
        else
            seen[columns[i]] = true;
    crs_free(&seen);
    return error->status;
}

/* Takes the first split's, or compares. */
static crs_status take_columns(crs_dataset *d, crs_split split, const int64_t *columns, int64_t count,
                               crs_error *error) {
    crs_schema *s = &d->schema;
    const char *path = paths[split][CRS_PART_COLUMNS];
    const bool first = !s->target_columns;
    if (first && begin_columns(d, path, count, error))
        return error->status;
    if (count != s->target_size)
        return crs_fail(error, CRS_DATA, "%s: /%s has %" PRId64 " columns, and another split has %d; %s", d->path, path,
                        count, s->target_size, advice);
    if (check_columns(d, path, columns, count, error))
        return error->status;
    for (int64_t i = 0; i < count; i++)
        if (!first && columns[i] != s->target_columns[i])
            return crs_fail(error, CRS_DATA, "%s: /%s[%" PRId64 "] is %" PRId64 ", and another split has %d; %s",
                            d->path, path, i, columns[i], s->target_columns[i], advice);
        else
            s->target_columns[i] = (int)columns[i];
    return CRS_OK;
}

static crs_status read_columns(crs_dataset *d, crs_split split, crs_error *error) {
    int64_t *columns = NULL;
    if (!crs_schema_is_forecast(&d->schema))
        return CRS_OK;
    if (read_whole(d, split, CRS_PART_COLUMNS, &columns, error) == CRS_OK)
        take_columns(d, split, columns, d->file->part[split][CRS_PART_COLUMNS].rows, error);
    crs_free(&columns);
    return error->status;
}

static crs_status count_windows(const crs_schema *s, crs_sequences *q, crs_error *error) {
    const size_t starts = (size_t)q->count + 1;
    if (!crs_schema_is_forecast(s))
        return CRS_OK;
    q->window_start = crs_alloc_or_fail(starts, sizeof *q->window_start, CRS_MEMORY_DATA, "the windows", error);
    if (!q->window_start)
        return error->status;
    for (int64_t i = 0; i < q->count; i++)
        q->window_start[i + 1] = q->window_start[i] + crs_windows_of(s, q, i);
    q->windows = q->window_start[q->count];
    return CRS_OK;
}

static crs_status open_split(crs_dataset *d, crs_split split, crs_error *error) {
    crs_sequences *q = &d->sequences[split];
    for (crs_part part = 0; part < CRS_PARTS; part++)
        if (open_part(d, split, part, error))
            return error->status;
    if (check_rows(d, split, error) || read_lengths(d, split, error) || read_leads(d, split, error) ||
        read_columns(d, split, error))
        return error->status;
    const crs_set *inputs = &d->file->part[split][CRS_PART_INPUTS];
    q->has_weights = d->file->part[split][CRS_PART_WEIGHTS].id != 0;
    q->has_names = d->file->part[split][CRS_PART_NAMES].id != 0;
    d->token_bytes = inputs->unit > d->token_bytes ? inputs->unit : d->token_bytes;
    q->weights_by_step =
        d->schema.alignment == CRS_ALIGN_STEP && d->file->part[split][CRS_PART_WEIGHTS].rows == d->length[split];
    return count_windows(&d->schema, q, error);
}

/* A split may be missing: there is none of it then. */
static crs_status open_splits(crs_dataset *d, crs_error *error) {
    int found = 0;
    for (crs_split split = 0; split < CRS_SPLITS; split++) {
        crs_sequences *q = &d->sequences[split];
        if (crs_set_exists(d->file->file, crs_split_name(split))) {
            found++;
            if (open_split(d, split, error))
                return error->status;
        } else {
            q->length = crs_alloc_or_fail(0, sizeof *q->length, CRS_MEMORY_DATA, "a split", error);
            q->start = crs_alloc_or_fail(1, sizeof *q->start, CRS_MEMORY_DATA, "a split", error);
        }
    }
    if (error->status == CRS_OK && found == 0)
        return crs_fail(error, CRS_DATA, "%s: it has none of the groups /train, /validation and /test; %s", d->path,
                        advice);
    return error->status;
}

/* ---- the whole ---- */

/* Of all that it is made of, and of every array's hash; what states none is read. */
static crs_status make_digest(crs_dataset *d, crs_error *error) {
    crs_hash *hash = crs_hash_new();
    if (!hash)
        return crs_fail(error, CRS_INTERNAL, "out of memory for a hash");
    crs_hash_add(hash, CRS_FORMAT_SEQUENCES, sizeof CRS_FORMAT_SEQUENCES);
    crs_schema_hash(&d->schema, hash);
    crs_vocabulary_hash(&d->vocabulary, hash);
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        for (crs_part part = 0; part < CRS_PARTS && error->status == CRS_OK; part++) {
            char *hex = d->file->part_hash[split][part];
            if (!*hex && crs_part_of(d, split, part))
                crs_part_hash(d, split, part, hex, error);
            crs_hash_add(hash, hex, strlen(hex) + 1);
        }
    crs_hash_text(hash, d->digest);
    crs_hash_free(&hash);
    return error->status;
}

crs_status crs_sequences_open(crs_dataset *d, crs_error *error) {
    if (read_kinds(d, error) || read_forecast(d, error) || read_lists(d, error) || read_units(d, error) ||
        read_scales(d, error) || open_splits(d, error))
        return error->status;
    read_grid(d);
    if (crs_schema_is_forecast(&d->schema) && scale_forecast(d, error))
        return error->status;
    return make_digest(d, error);
}

void crs_sequences_close(crs_dataset *d) {
    for (int split = 0; split < CRS_SPLITS; split++) {
        crs_sequences *q = &d->sequences[split];
        for (int part = 0; part < CRS_PARTS; part++)
            crs_set_close(&d->file->part[split][part]);
        crs_free(&q->length);
        crs_free(&q->start);
        crs_free(&q->lead);
        crs_free(&q->window_start);
    }
    crs_schema_free(&d->schema);
}
