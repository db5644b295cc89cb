/* The one table of training's options: command line, INI files, /config of checkpoints, --help, and the check of a
 * resumed run. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carousel/train.h"

enum {
    KIND_WHOLE,
    KIND_SEED,
    KIND_REAL,
    KIND_ABOVE,
    KIND_SHARE,
    KIND_CHOICE,
    KIND_EVERY,
    KIND_TIME,
    KIND_SWITCH,
    KIND_PATH
};

static const char *const cells[] = {"lstm", "peephole", "gru", "rnn", NULL};
static const char *const optimizers[] = {"adam", "rmsprop", "sgd", "adagrad", NULL};
static const char *const schedules[] = {"constant", "step", "cosine", NULL};
static const char *const reduces[] = {"int64", "float", NULL};

#define AT(field) offsetof(crs_config, field)
static const double many = 1e15;

const crs_option crs_options[] = {
    {"cell", "CELL", "lstm, peephole, gru or rnn (lstm)", CRS_OPTION_FIXED, KIND_CHOICE, AT(cell), 0, 0, cells},
    {"hidden", "N", "units of a layer (128)", CRS_OPTION_FIXED, KIND_WHOLE, AT(hidden), 1, 1 << 20, NULL},
    {"layers", "N", "layers (2)", CRS_OPTION_FIXED, KIND_WHOLE, AT(layers), 1, 4096, NULL},
    {"embed", "N", "width of the embedding (as hidden); 0: one-hot input", CRS_OPTION_FIXED, KIND_WHOLE, AT(embed), 0,
     1 << 20, NULL},
    {"forget-bias", "F", "bias of forget gates at the start (1)", CRS_OPTION_FIXED, KIND_REAL, AT(forget_bias), -1000,
     1000, NULL},
    {"dropout", "P", "share of units dropped between layers and before the output (0)", CRS_OPTION_FIXED, KIND_SHARE,
     AT(dropout), 0, 1, NULL},
    {"batch", "N", "rows of the global batch, over all ranks (50)", CRS_OPTION_FIXED, KIND_WHOLE, AT(batch), 1, 1 << 24,
     NULL},
    {"window", "N", "steps of truncated back-propagation (50)", CRS_OPTION_FIXED, KIND_WHOLE, AT(window), 1, 1 << 24,
     NULL},
    {"lane", "N", "rows a lane, the least a rank can own (by batch and window)", CRS_OPTION_FIXED, KIND_WHOLE, AT(lane),
     1, 1 << 24, NULL},
    {"optimizer", "NAME", "adam, rmsprop, sgd or adagrad (adam)", CRS_OPTION_FIXED, KIND_CHOICE, AT(optimizer), 0, 0,
     optimizers},
    {"momentum", "F", "of sgd (0)", CRS_OPTION_FIXED, KIND_SHARE, AT(momentum), 0, 1, NULL},
    {"beta1", "F", "decay of adam's first moment (0.9)", CRS_OPTION_FIXED, KIND_SHARE, AT(beta1), 0, 1, NULL},
    {"beta2", "F", "decay of the second moment (adam 0.999, rmsprop 0.99)", CRS_OPTION_FIXED, KIND_SHARE, AT(beta2), 0,
     1, NULL},
    {"epsilon", "F", "added to the root of the second moment (1e-8, adagrad 1e-10)", CRS_OPTION_FIXED, KIND_ABOVE,
     AT(epsilon), 0, 1, NULL},
    {"rate", "F", "learning rate, the highest of the schedule (0.002)", CRS_OPTION_FIXED, KIND_ABOVE, AT(rate), 0, 1e30,
     NULL},
    {"schedule", "NAME", "constant, step or cosine (constant)", CRS_OPTION_FIXED, KIND_CHOICE, AT(schedule), 0, 0,
     schedules},
    {"warmup", "N", "steps over which the rate grows to its height (0)", CRS_OPTION_FIXED, KIND_WHOLE, AT(warmup), 0,
     many, NULL},
    {"decay-every", "EPOCHS", "schedule step: epochs between decays (1)", CRS_OPTION_FIXED, KIND_ABOVE, AT(decay_every),
     0, many, NULL},
    {"decay-factor", "F", "schedule step: factor of a decay (0.5)", CRS_OPTION_FIXED, KIND_ABOVE, AT(decay_factor), 0,
     1e3, NULL},
    {"clip", "F", "the most the gradient's norm may be (5); 0: any", CRS_OPTION_FIXED, KIND_REAL, AT(clip), 0, 1e30,
     NULL},
    {"weight-decay", "F", "decoupled weight decay (0)", CRS_OPTION_FIXED, KIND_REAL, AT(weight_decay), 0, 1e3, NULL},
    {"seed", "N", "of weights and dropout masks (1)", CRS_OPTION_FIXED, KIND_SEED, AT(seed), 0, 0, NULL},
    {"reduce", "TYPE", "sums over ranks: int64, the same bits at any number of ranks, or float, half the bytes (int64)",
     CRS_OPTION_FIXED, KIND_CHOICE, AT(reduce), 0, 0, reduces},
    {"epochs", "N", "passes over the data (50)", CRS_OPTION_FREE, KIND_WHOLE, AT(epochs), 1, many, NULL},
    {"steps", "N", "the same end in steps", CRS_OPTION_FREE, KIND_WHOLE, AT(steps), 1, many, NULL},
    {"threads", "N", "threads of a rank (the cores it may run on, shared with the ranks that may too)",
     CRS_OPTION_LOCAL, KIND_WHOLE, AT(threads), 1, 1024, NULL},
    {"validate-every", "N|TIME", "steps, or time as 30m, between validations (an epoch)", CRS_OPTION_FREE, KIND_EVERY,
     AT(validate_every), 0, 0, NULL},
    {"save-every", "N|TIME", "steps, or time as 30m, between checkpoints (an epoch)", CRS_OPTION_FREE, KIND_EVERY,
     AT(save_every), 0, 0, NULL},
    {"keep", "N", "how many step-*.h5 stay (2)", CRS_OPTION_FREE, KIND_WHOLE, AT(keep), 1, 1 << 20, NULL},
    {"stop-after", "TIME", "save and leave with exit status 75 by then, as 1h30m", CRS_OPTION_LOCAL, KIND_TIME,
     AT(stop_after), 0, 0, NULL},
    {"init-from", "CHECKPOINT", "begin a new run with these weights", CRS_OPTION_LOCAL, KIND_PATH, AT(init_from), 0, 0,
     NULL},
    {"fresh", NULL, "start over, after moving the old run aside", CRS_OPTION_LOCAL, KIND_SWITCH, AT(fresh), 0, 0, NULL},
    {"output", "RUN", "the folder of the run; -o is short for it", CRS_OPTION_LOCAL, KIND_PATH, AT(output), 0, 0, NULL},
    {"config", "FILE", "INI file of these options; the command line wins", CRS_OPTION_LOCAL, KIND_PATH, AT(config_file),
     0, 0, NULL},
};

const int crs_options_count = sizeof crs_options / sizeof *crs_options;

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

/* A time above zero that crs_option_text can write down in full. */
static bool parse_span(const char *text, double *seconds) {
    return crs_parse_time(text, seconds) && *seconds >= 1e-9 && *seconds <= 1e12;
}

static crs_status set_every(const crs_typed *typed, crs_every *every, crs_error *error) {
    crs_every value = {0};
    const bool bare = typed->value[strspn(typed->value, "0123456789")] == 0;
    crs_error ours = {0};
    if (bare ? crs_typed_whole(typed, 1, INT64_MAX, &value.steps, &ours) != CRS_OK
             : !parse_span(typed->value, &value.seconds))
        return crs_typed_refuse(typed, error, "steps (500) or a time (90s, 30m, 1h30m), above zero");
    *every = value;
    return CRS_OK;
}

static crs_status set_switch(const crs_typed *typed, bool *out, crs_error *error) {
    static const char *const names[] = {"true", "yes", "1", "false", "no", "0", NULL};
    int choice = 0;
    if (typed->value && crs_typed_choice(typed, names, &choice, error))
        return error->status;
    *out = choice < 3;
    return CRS_OK;
}

static crs_status set_path(const crs_typed *typed, char *out, crs_error *error) {
    if (!*typed->value)
        return crs_fail(error, typed->status, "%s: an empty name; give a file or folder", typed->where);
    if (strlen(typed->value) >= sizeof((crs_config *)0)->output)
        return crs_fail(error, typed->status, "%s: a name of %zu bytes is too long", typed->where,
                        strlen(typed->value));
    snprintf(out, sizeof((crs_config *)0)->output, "%s", typed->value);
    return CRS_OK;
}

static crs_status set_time(const crs_typed *typed, double *out, crs_error *error) {
    double seconds;
    if (!parse_span(typed->value, &seconds))
        return crs_typed_refuse(typed, error, "a time above zero, as 90s, 30m or 1h30m");
    *out = seconds;
    return CRS_OK;
}

static crs_status set_value(crs_config *config, const crs_option *o, const crs_typed *typed, crs_error *error) {
    void *field = field_of(config, o);
    const crs_range range = {o->low, o->high, o->kind == KIND_ABOVE, o->kind == KIND_SHARE};
    int choice;
    switch (o->kind) {
    case KIND_WHOLE:
        return crs_typed_whole(typed, (int64_t)o->low, (int64_t)o->high, field, error);
    case KIND_SEED:
        return crs_typed_seed(typed, field, error);
    case KIND_CHOICE:
        if (crs_typed_choice(typed, o->choices, &choice, error))
            return error->status;
        memcpy(field, &choice, sizeof choice); /* an enum has the size of an int */
        return CRS_OK;
    case KIND_EVERY:
        return set_every(typed, field, error);
    case KIND_TIME:
        return set_time(typed, field, error);
    case KIND_SWITCH:
        return set_switch(typed, field, error);
    case KIND_PATH:
        return set_path(typed, field, error);
    default:
        return crs_typed_real(typed, &range, field, error);
    }
}

crs_status crs_settings_set(crs_settings *settings, int option, const char *value, const char *where, crs_status status,
                            crs_error *error) {
    const crs_typed typed = {value, where, status};
    if (set_value(&settings->config, &crs_options[option], &typed, error))
        return error->status;
    settings->given[option] = true;
    const int epochs = crs_option_find("epochs"), steps = crs_option_find("steps");
    if (option == steps && !settings->given[epochs])
        settings->config.epochs = 0;
    if (option == epochs && !settings->given[steps])
        settings->config.steps = 0;
    return CRS_OK;
}

/* The fewest digits that read back to the same double; up to six stand without an exponent: 10, not 1e+01. */
static void real_text(double x, char *out, size_t size) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            return;
    }
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

/* Whether an option stands at what no one can type, for "by default": it is not written down. */
static bool is_unset(const crs_config *config, const crs_option *o) {
    const void *value = value_of(config, o);
    if (o->kind == KIND_EVERY)
        return ((const crs_every *)value)->steps <= 0 && ((const crs_every *)value)->seconds <= 0;
    if (o->kind == KIND_WHOLE)
        return *(const int64_t *)value < (int64_t)o->low;
    if (o->kind == KIND_SHARE || o->kind == KIND_ABOVE)
        return *(const double *)value < 0;
    return false;
}

/* What stands for a default that depends on other options becomes that default; one that this optimizer has no use for
 * stays unset. */
static void resolve(crs_config *c) {
    if (c->embed < 0)
        c->embed = c->hidden;
    if (c->beta1 < 0 && c->optimizer == CRS_ADAM)
        c->beta1 = 0.9;
    if (c->beta2 < 0 && (c->optimizer == CRS_ADAM || c->optimizer == CRS_RMSPROP))
        c->beta2 = c->optimizer == CRS_ADAM ? 0.999 : 0.99;
    if (c->epsilon < 0 && c->optimizer != CRS_SGD)
        c->epsilon = c->optimizer == CRS_ADAGRAD ? 1e-10 : 1e-8;
}

void crs_option_text(const crs_config *config, int option, char *out, size_t size) {
    const crs_option *o = &crs_options[option];
    const void *value = value_of(config, o);
    const crs_every *every = value;
    int choice;
    switch (o->kind) {
    case KIND_WHOLE:
        snprintf(out, size, "%" PRId64, *(const int64_t *)value);
        break;
    case KIND_SEED:
        snprintf(out, size, "%" PRIu64, *(const uint64_t *)value);
        break;
    case KIND_CHOICE:
        memcpy(&choice, value, sizeof choice);
        snprintf(out, size, "%s", o->choices[choice]);
        break;
    case KIND_EVERY:
        if (every->seconds > 0)
            seconds_text(every->seconds, out, size);
        else
            snprintf(out, size, "%" PRId64, every->steps);
        break;
    case KIND_TIME:
        seconds_text(*(const double *)value, out, size);
        break;
    case KIND_SWITCH:
        snprintf(out, size, "%s", *(const bool *)value ? "true" : "false");
        break;
    case KIND_PATH:
        snprintf(out, size, "%s", (const char *)value);
        break;
    default:
        real_text(*(const double *)value, out, size);
        if (is_unset(config, o))
            snprintf(out, size, "default");
    }
}

/* ---- all of them ---- */

char *crs_config_text(const crs_config *given_config) {
    crs_config resolved = *given_config;
    const crs_config *config = &resolved;
    resolve(&resolved);
    char text[8192];
    size_t length = 0;
    for (int i = 0; i < crs_options_count; i++) {
        char value[64];
        if (crs_options[i].class == CRS_OPTION_LOCAL || is_unset(config, &crs_options[i]))
            continue;
        crs_option_text(config, i, value, sizeof value);
        length += (size_t)snprintf(text + length, sizeof text - length, "%s = %s\n", crs_options[i].name, value);
        CRS_ASSERT(length < sizeof text);
    }
    return crs_copy_text(text);
}

static bool given(const crs_settings *settings, const char *name) {
    return settings->given[crs_option_find(name)];
}

static crs_status needs(const crs_settings *s, const char *name, bool fits, const char *other, crs_error *error) {
    if (!given(s, name) || fits)
        return CRS_OK;
    return crs_fail(error, CRS_CONFIG, "--%s goes with %s alone: leave it out, or give both", name, other);
}

crs_status crs_settings_check(const crs_settings *s, crs_error *error) {
    const crs_config *c = &s->config;
    const bool moments = c->optimizer == CRS_ADAM || c->optimizer == CRS_RMSPROP;
    if (given(s, "epochs") && given(s, "steps"))
        return crs_fail(error, CRS_CONFIG,
                        "--epochs=%" PRId64 " and --steps=%" PRId64 " both say where to end: give one", c->epochs,
                        c->steps);
    if (given(s, "init-from") && c->fresh && strcmp(c->init_from, c->output) == 0)
        return crs_fail(error, CRS_CONFIG, "--init-from=%s is the run that --fresh moves aside", c->init_from);
    if (given(s, "lane") && c->lane > c->batch)
        return crs_fail(error, CRS_CONFIG,
                        "--lane=%" PRId64 " is more than the rows of --batch=%" PRId64 "; at most --lane=%" PRId64
                        " would do",
                        c->lane, c->batch, c->batch);
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

static void take(crs_config *to, const crs_config *from, const crs_option *o) {
    static const size_t sizes[] = {
        [KIND_WHOLE] = sizeof(int64_t),  [KIND_SEED] = sizeof(uint64_t), [KIND_REAL] = sizeof(double),
        [KIND_ABOVE] = sizeof(double),   [KIND_SHARE] = sizeof(double),  [KIND_CHOICE] = sizeof(int),
        [KIND_EVERY] = sizeof(crs_every)};
    memcpy(field_of(to, o), value_of(from, o), sizes[o->kind]);
}

crs_status crs_settings_resume(crs_settings *settings, const crs_config *recorded_config, const char *run,
                               crs_error *error) {
    crs_config resolved = *recorded_config;
    const crs_config *recorded = &resolved;
    resolve(&resolved); /* a default that was not written down is as good as one that was */
    const bool ends = given(settings, "epochs") || given(settings, "steps");
    for (int i = 0; i < crs_options_count; i++) {
        const crs_option *o = &crs_options[i];
        const bool end = strcmp(o->name, "epochs") == 0 || strcmp(o->name, "steps") == 0;
        char mine[64], theirs[64];
        if (o->class == CRS_OPTION_LOCAL)
            continue;
        if (!settings->given[i]) {
            if (!end || !ends)
                take(&settings->config, recorded, o);
            continue;
        }
        if (o->class != CRS_OPTION_FIXED)
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
