/* The one table of training's options: command line, INI files, /config of checkpoints, --help, and the check of a
 * resumed run. */
#include "config.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carousel/config.h"
#include "carousel/spec.h"

/* ---- kinds of values: how each is typed, and written down so that it reads back to the same ---- */

typedef struct crs_option_kind {
    size_t size; /* of a field */
    crs_status (*set)(const crs_option *option, const crs_typed *typed, void *field, crs_error *error);
    void (*text)(const crs_option *option, const void *field, char *out, size_t size);
    /* Whether a field stands at what no one can type, for "by default": it is not written down. NULL: never. */
    bool (*unset)(const crs_option *option, const void *field);
} kind;

static crs_status set_whole(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    return crs_typed_whole(typed, (int64_t)o->range.low, (int64_t)o->range.high, field, error);
}

static void whole_text(const crs_option *o, const void *field, char *out, size_t size) {
    (void)o;
    snprintf(out, size, "%" PRId64, *(const int64_t *)field);
}

static bool whole_unset(const crs_option *o, const void *field) {
    return *(const int64_t *)field < (int64_t)o->range.low;
}

static crs_status set_seed(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    (void)o;
    return crs_typed_seed(typed, field, error);
}

static void seed_text(const crs_option *o, const void *field, char *out, size_t size) {
    (void)o;
    snprintf(out, size, "%" PRIu64, *(const uint64_t *)field);
}

static crs_status set_real(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    return crs_typed_real(typed, &o->range, field, error);
}

static bool real_unset(const crs_option *o, const void *field) {
    return *(const double *)field < o->range.low;
}

/* The fewest digits that read back to the same double; up to six stand without an exponent: 10, not 1e+01. */
static void real_text(const crs_option *o, const void *field, char *out, size_t size) {
    const double x = *(const double *)field;
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            break;
    }
    if (real_unset(o, field))
        snprintf(out, size, "default");
}

/* An enum has the size of an int. */
static crs_status set_choice(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    int choice;
    if (crs_typed_choice(typed, o->names(), &choice, error) == CRS_OK)
        memcpy(field, &choice, sizeof choice);
    return error->status;
}

static void choice_text(const crs_option *o, const void *field, char *out, size_t size) {
    int choice;
    memcpy(&choice, field, sizeof choice);
    snprintf(out, size, "%s", o->names()[choice]);
}

/* A time above zero that seconds_text can write down in full. */
static bool parse_span(const char *text, double *seconds) {
    return crs_parse_time(text, seconds) && *seconds >= 1e-9 && *seconds <= 1e12;
}

static crs_status set_time(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    double seconds;
    (void)o;
    if (!parse_span(typed->value, &seconds))
        return crs_typed_refuse(typed, error, "a time above zero, as 90s, 30m or 1h30m");
    *(double *)field = seconds;
    return CRS_OK;
}

/* As a time is typed: without an exponent, with the fewest digits that read back to the same double. */
static void seconds_text(double seconds, char *out, size_t size) {
    for (int digits = 0; digits <= 30; digits++) {
        const int length = snprintf(out, size, "%.*f", digits, seconds);
        if (length > 0 && (size_t)length + 2 <= size && strtod(out, NULL) == seconds)
            break;
    }
    snprintf(out + strlen(out), size - strlen(out), "s");
}

static void time_text(const crs_option *o, const void *field, char *out, size_t size) {
    (void)o;
    seconds_text(*(const double *)field, out, size);
}

static crs_status set_every(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    crs_every value = {0};
    const bool bare = typed->value[strspn(typed->value, "0123456789")] == 0;
    crs_error ours = {0};
    (void)o;
    if (bare ? crs_typed_whole(typed, 1, INT64_MAX, &value.steps, &ours) != CRS_OK
             : !parse_span(typed->value, &value.seconds))
        return crs_typed_refuse(typed, error, "steps (500) or a time (90s, 30m, 1h30m), above zero");
    *(crs_every *)field = value;
    return CRS_OK;
}

static void every_text(const crs_option *o, const void *field, char *out, size_t size) {
    const crs_every *every = field;
    if (every->seconds > 0)
        seconds_text(every->seconds, out, size);
    else
        whole_text(o, &every->steps, out, size);
}

static bool every_unset(const crs_option *o, const void *field) {
    const crs_every *every = field;
    (void)o;
    return every->steps <= 0 && every->seconds <= 0;
}

static crs_status set_switch(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    static const char *const names[] = {"true", "yes", "1", "false", "no", "0", NULL};
    int choice = 0;
    (void)o;
    if (typed->value && crs_typed_choice(typed, names, &choice, error))
        return error->status;
    *(bool *)field = choice < 3;
    return CRS_OK;
}

static void switch_text(const crs_option *o, const void *field, char *out, size_t size) {
    (void)o;
    snprintf(out, size, "%s", *(const bool *)field ? "true" : "false");
}

static crs_status set_path(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    char **path = field, *copy;
    (void)o;
    if (!*typed->value)
        return crs_fail(error, typed->status, "%s: an empty name; give a file or folder", typed->where);
    if (strlen(typed->value) >= PATH_MAX)
        return crs_fail(error, typed->status, "%s: a name of %zu bytes is too long", typed->where,
                        strlen(typed->value));
    copy = crs_copy_text(typed->value);
    if (!copy)
        return crs_fail(error, CRS_INTERNAL, "%s: out of memory", typed->where);
    crs_free(path);
    *path = copy;
    return CRS_OK;
}

static void path_text(const crs_option *o, const void *field, char *out, size_t size) {
    const char *const *path = field;
    (void)o;
    snprintf(out, size, "%s", *path ? *path : "");
}

static const kind whole_kind = {sizeof(int64_t), set_whole, whole_text, whole_unset},
                  seed_kind = {sizeof(uint64_t), set_seed, seed_text, NULL},
                  real_kind = {sizeof(double), set_real, real_text, real_unset},
                  choice_kind = {sizeof(int), set_choice, choice_text, NULL},
                  every_kind = {sizeof(crs_every), set_every, every_text, every_unset},
                  time_kind = {sizeof(double), set_time, time_text, NULL},
                  switch_kind = {sizeof(bool), set_switch, switch_text, NULL},
                  path_kind = {sizeof(char *), set_path, path_text, NULL};

/* ---- the table ---- */

static const char *const *reduce_names(void) {
    static const char *const names[] = {"int64", "float", NULL};
    return names;
}

#define FIXED CRS_OPTION_FIXED
#define FREE CRS_OPTION_FREE
#define LOCAL CRS_OPTION_LOCAL
/* What stands behind a row's name, argument, help and class: the kind of its value, the field, and what it may be. */
#define FIELD(name, its_kind) .kind = &its_kind##_kind, .offset = offsetof(crs_config, name)
#define WHOLE(field, least, most) FIELD(field, whole), .range = {.low = least, .high = most}
#define REAL(field, least, most) FIELD(field, real), .range = {.low = least, .high = most}
#define ABOVE_0(field, most) FIELD(field, real), .range = {.high = most, .above_low = true}
#define SHARE(field) FIELD(field, real), .range = {.high = 1, .below_high = true}
#define CHOICE(field, its_names) FIELD(field, choice), .names = its_names
static const double many = 1e15;

const crs_option crs_options[] = {
    {"cell", "CELL", "lstm, peephole, gru or rnn (lstm)", FIXED, CHOICE(cell, crs_cell_names)},
    {"hidden", "N", "units of a layer (128)", FIXED, WHOLE(hidden, 1, 1 << 20)},
    {"layers", "N", "layers (2)", FIXED, WHOLE(layers, 1, 4096)},
    {"embed", "N", "width of the embedding (as hidden); 0: one-hot input", FIXED, WHOLE(embed, 0, 1 << 20)},
    {"forget-bias", "F", "bias of forget gates at the start (1)", FIXED, REAL(forget_bias, -1000, 1000)},
    {"dropout", "P", "share of units dropped between layers and before the output (0)", FIXED, SHARE(dropout)},
    {"batch", "N", "rows of the global batch, over all ranks (50)", FIXED, WHOLE(batch, 1, 1 << 24)},
    {"window", "N", "steps of truncated back-propagation (50)", FIXED, WHOLE(window, 1, 1 << 24)},
    {"lane", "N", "rows a lane, the least a rank can own (by batch and window)", FIXED, WHOLE(lane, 1, 1 << 24)},
    {"lanes", "N", "how many lanes, at most as many ranks (by batch and window)", FIXED, WHOLE(lanes, 1, 1 << 24)},
    {"optimizer", "NAME", "adam, rmsprop, sgd or adagrad (adam)", FIXED, CHOICE(optimizer, crs_optimizer_names)},
    {"momentum", "F", "of sgd (0)", FIXED, SHARE(momentum)},
    {"beta1", "F", "decay of adam's first moment (0.9)", FIXED, SHARE(beta1)},
    {"beta2", "F", "decay of the second moment (adam 0.999, rmsprop 0.99)", FIXED, SHARE(beta2)},
    {"epsilon", "F", "added to the root of the second moment (1e-8, adagrad 1e-10)", FIXED, ABOVE_0(epsilon, 1)},
    {"rate", "F", "learning rate, the highest of the schedule (0.002)", FIXED, ABOVE_0(rate, 1e30)},
    {"schedule", "NAME", "constant, step or cosine (constant)", FIXED, CHOICE(schedule, crs_schedule_names)},
    {"warmup", "N", "steps over which the rate grows to its height (0)", FIXED, WHOLE(warmup, 0, many)},
    {"decay-every", "EPOCHS", "schedule step: epochs between decays (1)", FIXED, ABOVE_0(decay_every, many)},
    {"decay-factor", "F", "schedule step: factor of a decay (0.5)", FIXED, ABOVE_0(decay_factor, 1e3)},
    {"clip", "F", "the most the gradient's norm may be (5); 0: any", FIXED, REAL(clip, 0, 1e30)},
    {"weight-decay", "F", "decoupled weight decay (0)", FIXED, REAL(weight_decay, 0, 1e3)},
    {"seed", "N", "of weights and dropout masks (1)", FIXED, FIELD(seed, seed)},
    {"reduce", "TYPE", "sums over ranks: int64, the same bits at any number of ranks, or float, half the bytes (int64)",
     FIXED, CHOICE(reduce, reduce_names)},
    {"epochs", "N", "passes over the data (50)", FREE, WHOLE(epochs, 1, many)},
    {"steps", "N", "the same end in steps", FREE, WHOLE(steps, 1, many)},
    {"threads", "N",
     "threads of a rank (OMP_NUM_THREADS; or the cores it may run on, shared with the ranks that may too)", LOCAL,
     WHOLE(threads, 1, 1024)},
    {"validate-every", "N|TIME", "steps, or time as 30m, between validations (an epoch)", FREE,
     FIELD(validate_every, every)},
    {"save-every", "N|TIME", "steps, or time as 30m, between checkpoints (an epoch)", FREE, FIELD(save_every, every)},
    {"keep", "N", "how many step-*.h5 stay (2)", FREE, WHOLE(keep, 1, 1 << 20)},
    {"stop-after", "TIME", "save and leave with exit status 75 by then, as 1h30m", LOCAL, FIELD(stop_after, time)},
    {"init-from", "CHECKPOINT", "begin a new run with these weights", LOCAL, FIELD(init_from, path)},
    {"fresh", NULL, "start over, after moving the old run aside", LOCAL, FIELD(fresh, switch)},
    {"output", "RUN", "the folder of the run; -o is short for it", LOCAL, FIELD(output, path)},
    {"config", "FILE", "INI file of these options; the command line wins", LOCAL, FIELD(config_file, path)},
};

const int crs_options_count = sizeof crs_options / sizeof *crs_options;
_Static_assert(sizeof crs_options / sizeof *crs_options <= CRS_OPTIONS_MOST, "settings count them");

void crs_settings_default(crs_settings *settings) {
    *settings = (crs_settings){0};
    settings->config = (crs_config){.hidden = 128,
                                    .layers = 2,
                                    .embed = -1,
                                    .forget_bias = 1,
                                    .batch = 50,
                                    .window = 50,
                                    .beta1 = -1,
                                    .beta2 = -1,
                                    .epsilon = -1,
                                    .rate = 2e-3,
                                    .decay_every = 1,
                                    .decay_factor = 0.5,
                                    .clip = 5,
                                    .seed = 1,
                                    .epochs = 50,
                                    .keep = 2};
}

void crs_settings_free(crs_settings *settings) {
    crs_config *c = &settings->config;
    crs_free(&c->init_from);
    crs_free(&c->data);
    crs_free(&c->output);
    crs_free(&c->config_file);
}

int crs_option_find(const char *name) {
    for (int i = 0; i < crs_options_count; i++)
        if (strcmp(crs_options[i].name, name) == 0)
            return i;
    return -1;
}

const char *crs_option_suggest(const char *name) {
    const char *names[sizeof crs_options / sizeof *crs_options];
    for (int i = 0; i < crs_options_count; i++)
        names[i] = crs_options[i].name;
    return crs_name_suggest(name, names, crs_options_count);
}

/* ---- one value ---- */

static void *field_of(crs_config *config, const crs_option *option) {
    return (char *)config + option->offset;
}
static const void *value_of(const crs_config *config, const crs_option *option) {
    return (const char *)config + option->offset;
}

crs_status crs_settings_set(crs_settings *settings, int option, const char *value, const char *where, crs_status status,
                            crs_error *error) {
    const crs_typed typed = {value, where, status};
    const crs_option *o = &crs_options[option];
    if (o->kind->set(o, &typed, field_of(&settings->config, o), error))
        return error->status;
    settings->given[option] = true;
    const int epochs = crs_option_find("epochs"), steps = crs_option_find("steps");
    if (option == steps && !settings->given[epochs])
        settings->config.epochs = 0;
    if (option == epochs && !settings->given[steps])
        settings->config.steps = 0;
    return CRS_OK;
}

/* What stands for a default that depends on other options becomes that default; one that this optimizer has no use for
 * stays unset. */
static void resolve(crs_config *c) {
    if (c->embed < 0)
        c->embed = c->hidden;
    crs_optimizer_settings moments = {
        .optimizer = c->optimizer, .beta1 = c->beta1, .beta2 = c->beta2, .epsilon = c->epsilon};
    crs_optimizer_defaults(&moments);
    c->beta1 = moments.beta1;
    c->beta2 = moments.beta2;
    c->epsilon = moments.epsilon;
}

void crs_option_text(const crs_config *config, int option, char *out, size_t size) {
    const crs_option *o = &crs_options[option];
    o->kind->text(o, value_of(config, o), out, size);
}

/* ---- all of them ---- */

char *crs_config_text(const crs_config *given_config) {
    crs_config resolved = *given_config;
    const crs_config *config = &resolved;
    resolve(&resolved);
    char text[8192];
    size_t length = 0;
    for (int i = 0; i < crs_options_count; i++) {
        const crs_option *o = &crs_options[i];
        char value[64];
        if (o->class == CRS_OPTION_LOCAL || (o->kind->unset && o->kind->unset(o, value_of(config, o))))
            continue;
        crs_option_text(config, i, value, sizeof value);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s = %s\n", o->name, value);
        CRS_ASSERT(length < sizeof text);
    }
    return crs_copy_text(text);
}

bool crs_settings_given(const crs_settings *settings, const char *name) {
    return settings->given[crs_option_find(name)];
}

static crs_status needs(const crs_settings *s, const char *name, bool fits, const char *other, crs_error *error) {
    if (!crs_settings_given(s, name) || fits)
        return CRS_OK;
    return crs_fail(error, CRS_CONFIG, "--%s goes with %s alone: leave it out, or give both", name, other);
}

crs_status crs_settings_check(const crs_settings *s, crs_error *error) {
    const crs_config *c = &s->config;
    const bool moments = c->optimizer == CRS_ADAM || c->optimizer == CRS_RMSPROP;
    if (crs_settings_given(s, "epochs") && crs_settings_given(s, "steps"))
        return crs_fail(error, CRS_CONFIG,
                        "--epochs=%" PRId64 " and --steps=%" PRId64 " both say where to end: give one", c->epochs,
                        c->steps);
    if (crs_settings_given(s, "init-from") && c->fresh && c->output && strcmp(c->init_from, c->output) == 0)
        return crs_fail(error, CRS_CONFIG, "--init-from=%s is the run that --fresh moves aside", c->init_from);
    if (crs_settings_given(s, "lane") && c->lane > c->batch)
        return crs_fail(error, CRS_CONFIG,
                        "--lane=%" PRId64 " is more than the rows of --batch=%" PRId64 "; at most --lane=%" PRId64
                        " would do",
                        c->lane, c->batch, c->batch);
    if (crs_settings_given(s, "lane") && crs_settings_given(s, "lanes"))
        return crs_fail(error, CRS_CONFIG,
                        "--lane=%" PRId64 " and --lanes=%" PRId64 " both say how rows are grouped: give one", c->lane,
                        c->lanes);
    if (crs_settings_given(s, "lanes") && c->lanes > c->batch)
        return crs_fail(error, CRS_CONFIG,
                        "--lanes=%" PRId64 " is more than the rows of --batch=%" PRId64 "; at most --lanes=%" PRId64
                        " would do",
                        c->lanes, c->batch, c->batch);
    if (needs(s, "momentum", c->optimizer == CRS_SGD, "--optimizer=sgd", error) ||
        needs(s, "beta1", c->optimizer == CRS_ADAM, "--optimizer=adam", error) ||
        needs(s, "beta2", moments, "--optimizer=adam or rmsprop", error) ||
        needs(s, "epsilon", c->optimizer != CRS_SGD, "an optimizer other than sgd", error) ||
        needs(s, "decay-every", c->schedule == CRS_STEP, "--schedule=step", error) ||
        needs(s, "decay-factor", c->schedule == CRS_STEP, "--schedule=step", error) ||
        needs(s, "forget-bias", c->cell == CRS_LSTM || c->cell == CRS_PEEPHOLE, "--cell=lstm or peephole", error))
        return error->status;
    return CRS_OK;
}

/* ---- resuming ---- */

crs_status crs_settings_resume(crs_settings *settings, const crs_config *recorded_config, const char *run,
                               crs_error *error) {
    crs_config resolved = *recorded_config;
    const crs_config *recorded = &resolved;
    resolve(&resolved);                          /* a default that was not written down is as good as one that was */
    if (resolved.lanes < 1 && resolved.lane > 0) /* once these followed from the rows of a lane alone */
        resolved.lanes = (resolved.batch + resolved.lane - 1) / resolved.lane;
    const bool ends = crs_settings_given(settings, "epochs") || crs_settings_given(settings, "steps");
    for (int i = 0; i < crs_options_count; i++) {
        const crs_option *o = &crs_options[i];
        const bool end = strcmp(o->name, "epochs") == 0 || strcmp(o->name, "steps") == 0;
        char mine[64], theirs[64];
        if (o->class == CRS_OPTION_LOCAL)
            continue;
        if (!settings->given[i]) {
            if (!end || !ends)
                memcpy(field_of(&settings->config, o), value_of(recorded, o), o->kind->size);
            continue;
        }
        /* A rate that would have stayed the same may be another from here on; of the other schedules it is a part. */
        if (o->class != CRS_OPTION_FIXED || (strcmp(o->name, "rate") == 0 && recorded->schedule == CRS_CONSTANT))
            continue;
        crs_option_text(&settings->config, i, mine, sizeof mine);
        crs_option_text(recorded, i, theirs, sizeof theirs);
        if (strcmp(mine, theirs) != 0)
            return crs_fail(
                error, CRS_CONFIG,
                "--%s=%s contradicts %s, which was begun with --%s=%s; leave it out, or start over with --fresh or "
                "another -o",
                o->name, mine, run, o->name, theirs);
    }
    return CRS_OK;
}
