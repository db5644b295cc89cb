/* The HDF5 file of a data set of sequences. */
#include "config.h"

#include "data/sequence_writer.h"

#include <errno.h>
#include <string.h>

#include "data/dataset.h"
#include "data/growing.h"
#include "data/moments.h"
#include "data/tokens.h"

enum { CHUNK_BYTES = 1 << 18, NARROW = 4096, NAMES_AT_ONCE = 256 };

/* The data sets of a split, in the order in which they are written. */
typedef enum part { LENGTHS, INPUTS, TARGETS, COLUMNS, WEIGHTS, LEAD, NAMES, PARTS } part;

typedef struct split_file {
    hid_t group;
    crs_growing part[PARTS]; /* those that there are have a name */
    crs_names names;         /* owned: strings of one length, which only the end tells */
} split_file;

struct crs_sequence_writer {
    const crs_output *output;      /* borrowed */
    const crs_sequence_plan *plan; /* borrowed: plan_copy */
    crs_sequence_plan plan_copy;
    hid_t file;
    split_file split[CRS_SPLITS];
    crs_moments inputs, targets; /* of training */
    crs_sequence_counts counts;
    char missing[96]; /* for a person */
    bool open;        /* a sequence is */
    crs_split at;
    int64_t length, lead; /* of it: steps so far */
};

static crs_status fail(const crs_sequence_writer *w, crs_error *error) {
    return crs_output_fail(w->output, errno, error);
}

static bool has_targets(const crs_schema *s) {
    return s->targets != CRS_TARGET_NEXT && !crs_schema_is_forecast(s);
}

static bool scales_targets(const crs_schema *s) {
    return s->targets == CRS_TARGET_VALUES && !crs_schema_is_forecast(s);
}

/* ---- names and units ---- */

static const char *part_name(part p) {
    static const char *const names[PARTS] = {"lengths", "inputs", "targets", "target_columns",
                                             "weights", "lead",   "names"};
    return names[p];
}

static const char *part_units(const crs_schema *s, part p) {
    const bool class = s->targets == CRS_TARGET_CLASS;
    switch (p) {
    case LENGTHS:
    case LEAD:
        return "step";
    case INPUTS:
        return s->inputs == CRS_INPUT_TOKENS ? "token" : s->inputs == CRS_INPUT_BITS ? "bit" : NULL;
    case TARGETS:
        return class ? "class" : s->targets == CRS_TARGET_BITS ? "bit" : NULL;
    case COLUMNS:
        return "column";
    default:
        return p == WEIGHTS ? "1" : NULL;
    }
}

static const char *part_description(const crs_schema *s, part p) {
    static const char *const inputs[CRS_INPUTS] = {
        "the steps of all sequences, one sequence after the other; a token is an index of /vocabulary",
        "the steps of all sequences, one sequence after the other; a number a column of /columns, not scaled",
        "the steps of all sequences, one sequence after the other; 0 or 1 for each of /columns"};
    static const char *const targets[CRS_TARGETS] = {
        [CRS_TARGET_CLASS] = "what is to be said, an index of /classes",
        [CRS_TARGET_BITS] = "what is to be said, 0 or 1 for each of /target_names",
        [CRS_TARGET_VALUES] = "what is to be said, a number for each of /target_names, not scaled"};
    static const char *const others[PARTS] = {
        [LENGTHS] = "how many steps each sequence has",
        [COLUMNS] = "which of /columns are to be forecast",
        [WEIGHTS] = "what each target counts for; with 0 there is none",
        [LEAD] = "so many first steps of each sequence are context alone: nothing in them is a target",
        [NAMES] = "what each sequence is called in its source"};
    return p == INPUTS ? inputs[s->inputs] : p == TARGETS ? targets[s->targets] : others[p];
}

/* ---- opening ---- */

static hid_t token_type(int count) {
    return crs_token_type(crs_token_bytes((uint32_t)count));
}

static hid_t input_type(const crs_schema *s) {
    return s->inputs == CRS_INPUT_TOKENS ? token_type(s->input_size)
           : s->inputs == CRS_INPUT_BITS ? H5T_STD_U8LE
                                         : H5T_IEEE_F32LE;
}

static hid_t target_type(const crs_schema *s) {
    return s->targets == CRS_TARGET_CLASS  ? token_type(s->target_size)
           : s->targets == CRS_TARGET_BITS ? H5T_STD_U8LE
                                           : H5T_IEEE_F32LE;
}

static bool begin_part(crs_sequence_writer *w, split_file *f, part p, hid_t type, int width) {
    const size_t bytes = w->plan->chunk_bytes ? w->plan->chunk_bytes : CHUNK_BYTES;
    f->part[p] = (crs_growing){.group = f->group, .name = part_name(p), .type = type, .width = (hsize_t)width};
    f->part[p].text = p == NAMES;
    f->part[p].little = type != H5T_IEEE_F32LE && type != H5T_STD_I64LE;
    return crs_growing_begin(&f->part[p], bytes);
}

static bool begin_split(crs_sequence_writer *w, crs_split split) {
    split_file *f = &w->split[split];
    const crs_schema *s = w->plan->schema;
    const bool token_inputs = s->inputs == CRS_INPUT_TOKENS, class_targets = s->targets == CRS_TARGET_CLASS;
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    errno = 0;
    H5Pset_obj_track_times(creation, false);
    f->group = H5Gcreate2(w->file, crs_split_name(split), H5P_DEFAULT, creation, H5P_DEFAULT);
    crs_h5_close(&creation);
    bool good = f->group >= 0 && begin_part(w, f, LENGTHS, H5T_STD_I64LE, 0) &&
                begin_part(w, f, INPUTS, input_type(s), token_inputs ? 0 : s->input_size);
    if (good && has_targets(s))
        good = begin_part(w, f, TARGETS, target_type(s), class_targets ? 0 : s->target_size);
    if (good && crs_schema_is_forecast(s))
        good = begin_part(w, f, COLUMNS, H5T_STD_I64LE, 0);
    if (good && w->plan->weights)
        good = begin_part(w, f, WEIGHTS, H5T_IEEE_F32LE, 0);
    if (good && w->plan->lead)
        good = begin_part(w, f, LEAD, H5T_STD_I64LE, 0);
    return good;
}

/* A list of strings at the root. */
static bool put_names(hid_t file, const char *name, const crs_names *names, const char *description) {
    const size_t longest = crs_names_longest(names);
    hid_t type = crs_h5_text_type(longest);
    crs_growing g = {.group = file, .name = name, .type = type, .text = true};
    char *entry = crs_alloc(1, longest, CRS_MEMORY_DATA);
    bool good = crs_growing_begin(&g, CHUNK_BYTES) && entry;
    for (int i = 0; i < names->count && good; i++) {
        memset(entry, 0, longest);
        memcpy(entry, names->name[i], strlen(names->name[i]));
        good = crs_growing_add(&g, entry, 1);
    }
    good = good && crs_growing_finish(&g, NULL, description);
    const int reason = entry ? errno : ENOMEM;
    crs_free(&entry);
    crs_growing_free(&g);
    crs_h5_close(&type);
    errno = reason;
    return good;
}

static bool write_lists(crs_sequence_writer *w) {
    const crs_schema *s = w->plan->schema;
    bool good = true;
    if (s->inputs == CRS_INPUT_TOKENS)
        good = put_names(w->file, "vocabulary", w->plan->vocabulary, "index: token; value: what it stands for");
    else
        good = put_names(w->file, "columns", &s->columns, "what the numbers of an input are");
    if (good && s->targets == CRS_TARGET_CLASS)
        good = put_names(w->file, "classes", &s->classes, "index: class; value: its name");
    if (good && has_targets(s) && s->targets != CRS_TARGET_CLASS)
        good = put_names(w->file, "target_names", &s->target_names, "what the numbers of a target are");
    return good;
}

static bool write_head(crs_sequence_writer *w) {
    const crs_schema *s = w->plan->schema;
    errno = 0;
    bool good = crs_h5_put_text(w->file, "format", CRS_FORMAT_SEQUENCES) &&
                crs_h5_put_integer(w->file, "version", CRS_SEQUENCES_VERSION) &&
                crs_h5_put_text(w->file, "inputs", crs_input_names()[s->inputs]) &&
                crs_h5_put_text(w->file, "targets", crs_target_names()[s->targets]) &&
                crs_h5_put_text(w->file, "alignment", crs_alignment_names()[s->alignment]) &&
                crs_h5_put_text(w->file, "source", w->plan->source) &&
                crs_h5_put_text(w->file, "description", w->plan->description);
    if (good && crs_schema_is_forecast(s))
        good = crs_h5_put_integer(w->file, "context", s->context) && crs_h5_put_integer(w->file, "horizon", s->horizon);
    for (int i = 0; w->plan->more && i < w->plan->more->count && good; i++)
        good = crs_h5_put_text(w->file, w->plan->more->list[i].name, w->plan->more->list[i].text);
    return good && write_lists(w);
}

crs_status crs_sequence_writer_open(crs_sequence_writer **writer, const crs_output *output,
                                    const crs_sequence_plan *plan, crs_error *error) {
    const crs_schema *s = plan->schema;
    crs_sequence_writer *w = *writer = crs_alloc_or_fail(1, sizeof *w, CRS_MEMORY_DATA, "writing a data set", error);
    if (!w)
        return error->status;
    *w = (crs_sequence_writer){.output = output, .plan_copy = *plan, .file = H5I_INVALID_HID};
    w->plan = &w->plan_copy;
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        w->split[split].group = H5I_INVALID_HID;
    if (!crs_moments_begin(&w->inputs, s->inputs == CRS_INPUT_VALUES ? s->input_size : 0) ||
        !crs_moments_begin(&w->targets, scales_targets(s) ? s->target_size : 0))
        return crs_fail(error, CRS_INTERNAL, "out of memory for means and deviations");
    errno = 0;
    crs_h5_silence();
    w->file = crs_h5_create(output->temporary, crs_h5_access());
    if (w->file < 0 || !write_head(w))
        return fail(w, error);
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        if (!begin_split(w, split))
            return fail(w, error);
    return CRS_OK;
}

/* ---- sequences ---- */

static bool add(split_file *f, part p, const void *rows, int64_t count) {
    return crs_growing_add(&f->part[p], rows, (size_t)count);
}

/* uint32_t as tokens of the data set's own width. */
static bool add_tokens(split_file *f, part p, const uint32_t *tokens, int64_t count) {
    const int bytes = (int)f->part[p].size;
    char narrow[NARROW * sizeof(uint32_t)];
    for (int64_t i = 0; i < count; i += NARROW) {
        const size_t some = (size_t)(count - i < NARROW ? count - i : NARROW);
        crs_tokens_narrow(tokens + i, some, bytes, narrow);
        if (!crs_growing_add(&f->part[p], narrow, some))
            return false;
    }
    return true;
}

static bool add_inputs(crs_sequence_writer *w, split_file *f, const void *inputs, int64_t steps) {
    return w->plan->schema->inputs == CRS_INPUT_TOKENS ? add_tokens(f, INPUTS, inputs, steps)
                                                       : add(f, INPUTS, inputs, steps);
}

static bool add_targets(crs_sequence_writer *w, split_file *f, const void *targets, int64_t count) {
    return w->plan->schema->targets == CRS_TARGET_CLASS ? add_tokens(f, TARGETS, targets, count)
                                                        : add(f, TARGETS, targets, count);
}

crs_status crs_sequence_writer_begin(crs_sequence_writer *w, crs_split split, const char *name, int64_t lead,
                                     crs_error *error) {
    split_file *f = &w->split[split];
    CRS_ASSERT(!w->open && !name == !w->plan->names && lead >= 0 && (w->plan->lead || lead == 0));
    w->open = true;
    w->at = split;
    w->length = 0;
    w->lead = lead;
    if (name && !crs_names_add(&f->names, name))
        return crs_fail(error, CRS_INTERNAL, "out of memory for the names of sequences");
    if (name)
        crs_utf8_mend(f->names.name[f->names.count - 1]);
    return !w->plan->lead || add(f, LEAD, &lead, 1) ? CRS_OK : fail(w, error);
}

/* The steps of training are what scales are made of: inputs all, targets where there are any. */
static void add_moments(crs_sequence_writer *w, int64_t steps, const float *inputs, const float *targets,
                        const float *weights) {
    for (int64_t t = 0; t < steps && w->inputs.columns > 0; t++)
        crs_moments_add(&w->inputs, inputs + t * w->inputs.columns);
    for (int64_t t = 0; t < steps && w->targets.columns > 0 && targets; t++)
        if (w->length + t >= w->lead && (!weights || weights[t] > 0))
            crs_moments_add(&w->targets, targets + t * w->targets.columns);
}

crs_status crs_sequence_writer_add(crs_sequence_writer *w, int64_t steps, const void *inputs, const void *targets,
                                   const float *weights, crs_error *error) {
    const crs_schema *s = w->plan->schema;
    const bool by_step = s->alignment == CRS_ALIGN_STEP;
    split_file *f = &w->split[w->at];
    CRS_ASSERT(w->open && steps >= 0 && !targets == !(by_step && has_targets(s)) &&
               !weights == !(by_step && w->plan->weights));
    if (w->at == CRS_TRAIN)
        add_moments(w, steps, inputs, targets, weights);
    w->length += steps;
    if (!add_inputs(w, f, inputs, steps) || (targets && !add_targets(w, f, targets, steps)) ||
        (weights && !add(f, WEIGHTS, weights, steps)))
        return fail(w, error);
    return CRS_OK;
}

/* Of a sequence: one for each start of a context from which a horizon fits, whose targets lie behind the lead. */
static int64_t count_windows(const crs_schema *s, int64_t steps, int64_t lead) {
    const int64_t first = lead > s->context ? lead - s->context : 0, last = steps - s->context - s->horizon;
    return crs_schema_is_forecast(s) && last >= first ? last - first + 1 : 0;
}

crs_status crs_sequence_writer_end(crs_sequence_writer *w, const void *target, float weight, crs_error *error) {
    const crs_schema *s = w->plan->schema;
    const bool whole = s->alignment == CRS_ALIGN_SEQUENCE, weighed = whole && w->plan->weights;
    split_file *f = &w->split[w->at];
    CRS_ASSERT(w->open && w->length > 0 && !target == !(whole && has_targets(s)));
    if (w->at == CRS_TRAIN && target && w->targets.columns > 0 && (!weighed || weight > 0))
        crs_moments_add(&w->targets, target);
    w->open = false;
    w->counts.sequences[w->at]++;
    w->counts.steps[w->at] += w->length;
    w->counts.windows[w->at] += count_windows(s, w->length, w->lead);
    if (!add(f, LENGTHS, &w->length, 1) || (target && !add_targets(w, f, target, 1)) ||
        (weighed && !add(f, WEIGHTS, &weight, 1)))
        return fail(w, error);
    return CRS_OK;
}

/* ---- the end ---- */

static bool put_names_of(crs_sequence_writer *w, split_file *f) {
    return !w->plan->names || put_names(f->group, part_name(NAMES), &f->names, part_description(NULL, NAMES));
}

static bool finish_split(crs_sequence_writer *w, split_file *f) {
    const crs_schema *s = w->plan->schema;
    for (int k = 0; k < s->target_size && crs_schema_is_forecast(s); k++) {
        const int64_t column = s->target_columns[k];
        if (!add(f, COLUMNS, &column, 1))
            return false;
    }
    for (part p = 0; p < NAMES; p++)
        if (f->part[p].name && !crs_growing_finish(&f->part[p], part_units(s, p), part_description(s, p)))
            return false;
    return put_names_of(w, f) && crs_h5_close(&f->group);
}

static bool put_reals(hid_t group, const char *name, const double *values, int count, const char *description) {
    crs_growing g = {.group = group, .name = name, .type = H5T_IEEE_F64LE};
    bool good = crs_growing_begin(&g, CHUNK_BYTES) && crs_growing_add(&g, values, (size_t)count) &&
                crs_growing_finish(&g, NULL, description);
    const int reason = errno;
    crs_growing_free(&g);
    errno = reason;
    return good;
}

static bool write_scale(crs_sequence_writer *w, const char *name, const crs_moments *moments) {
    crs_scale scale = {crs_alloc((size_t)moments->columns, sizeof(double), CRS_MEMORY_DATA),
                       crs_alloc((size_t)moments->columns, sizeof(double), CRS_MEMORY_DATA)};
    bool good = scale.mean && scale.deviation;
    int reason = ENOMEM;
    if (good) {
        hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
        crs_moments_scale(moments, &scale);
        H5Pset_obj_track_times(creation, false);
        errno = 0;
        hid_t group = H5Gcreate2(w->file, name, H5P_DEFAULT, creation, H5P_DEFAULT);
        good = group >= 0 && put_reals(group, "mean", scale.mean, moments->columns, "of each column in training") &&
               put_reals(group, "deviation", scale.deviation, moments->columns,
                         "of each column in training, of the population; 1 where it is constant");
        reason = errno;
        crs_h5_close(&group);
        crs_h5_close(&creation);
    }
    crs_free(&scale.mean);
    crs_free(&scale.deviation);
    errno = reason;
    return good;
}

void crs_sequence_writer_missing(crs_sequence_writer *w, crs_missing what, int64_t filled, int64_t dropped) {
    if (filled > 0)
        snprintf(w->missing, sizeof w->missing, "%lld %s", (long long)filled,
                 what == CRS_MISSING_ZERO ? "values, taken as 0"
                                          : "values, for which the last one of the series stands");
    if (dropped > 0)
        snprintf(w->missing, sizeof w->missing, "%lld steps left out, in which a value was missing",
                 (long long)dropped);
}

crs_status crs_sequence_writer_finish(crs_sequence_writer *w, crs_error *error) {
    CRS_ASSERT(!w->open);
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        if (!finish_split(w, &w->split[split]))
            return fail(w, error);
    if ((w->inputs.columns > 0 && !write_scale(w, "scale", &w->inputs)) ||
        (w->targets.columns > 0 && !write_scale(w, "target_scale", &w->targets)))
        return fail(w, error);
    errno = 0;
    if (*w->missing && !crs_h5_put_text(w->file, "missing", w->missing))
        return fail(w, error);
    bool flushed = H5Fflush(w->file, H5F_SCOPE_LOCAL) >= 0;
    const int reason = errno;
    bool closed = crs_h5_close(&w->file);
    return flushed && closed ? CRS_OK : crs_output_fail(w->output, reason ? reason : errno, error);
}

const crs_sequence_counts *crs_sequence_writer_counts(const crs_sequence_writer *w) {
    return &w->counts;
}

void crs_sequence_writer_result(const crs_sequence_writer *w, crs_packed_sequences *packed) {
    const crs_schema *schema = w->plan->schema;
    *packed = (crs_packed_sequences){
        .inputs = schema->inputs, .input_size = schema->input_size, .target_size = schema->target_size};
    memcpy(packed->sequences, w->counts.sequences, sizeof packed->sequences);
    memcpy(packed->steps, w->counts.steps, sizeof packed->steps);
    memcpy(packed->windows, w->counts.windows, sizeof packed->windows);
}

void crs_sequence_writer_free(crs_sequence_writer **writer) {
    crs_sequence_writer *w = *writer;
    if (!w)
        return;
    for (crs_split split = 0; split < CRS_SPLITS; split++) {
        split_file *f = &w->split[split];
        for (part p = 0; p < PARTS; p++)
            crs_growing_free(&f->part[p]);
        crs_names_free(&f->names);
        crs_h5_close(&f->group);
    }
    crs_h5_close(&w->file);
    crs_moments_free(&w->inputs);
    crs_moments_free(&w->targets);
    crs_free(writer);
}
