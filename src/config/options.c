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

enum { WHOLE, SEED, REAL, CHOICE, EVERY, TIME, SWITCH, PATH };

/* A time above zero that seconds_text can write down in full. */
static bool parse_span(const char *text, double *seconds) {
    return crs_parse_time(text, seconds) && *seconds >= 1e-9 && *seconds <= 1e12;
}

static crs_status set_time(const crs_typed *typed, const crs_option *o, double *field, crs_error *error) {
    double seconds = 0;
    const bool never = o->range.high > 0 && strcmp(typed->value, "0") == 0; /* 0 means something */
    if (!never && !parse_span(typed->value, &seconds))
        return crs_typed_refuse(typed, error, "a time above zero, as 90s, 30m or 1h30m%s",
                                o->range.high > 0 ? "; 0 for never" : "");
    *field = seconds;
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

/* The fewest digits that read back to the same double; up to six stand without an exponent: 10, not 1e+01. */
static void real_text(double x, double least, char *out, size_t size) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            break;
    }
    if (x < least)
        snprintf(out, size, "default");
}

static crs_status set_every(const crs_typed *typed, crs_every *field, crs_error *error) {
    crs_every value = {0};
    const bool bare = typed->value[strspn(typed->value, "0123456789")] == 0;
    crs_error ours = {0};
    if (bare ? crs_typed_whole(typed, 1, INT64_MAX, &value.steps, &ours) : !parse_span(typed->value, &value.seconds))
        return crs_typed_refuse(typed, error, "steps (500) or a time (90s, 30m, 1h30m), above zero");
    *field = value;
    return CRS_OK;
}

static crs_status set_switch(const crs_typed *typed, bool *field, crs_error *error) {
    static const char *const names[] = {"true", "yes", "1", "false", "no", "0", NULL};
    int choice = 0;
    if (typed->value && crs_typed_choice(typed, names, &choice, error))
        return error->status;
    *field = choice < 3;
    return CRS_OK;
}

static crs_status set_path(const crs_typed *typed, char **path, crs_error *error) {
    if (!*typed->value)
        return crs_fail(error, typed->status, "%s: an empty name; give a file or folder", typed->where);
    if (strlen(typed->value) >= PATH_MAX)
        return crs_fail(error, typed->status, "%s: a name of %zu bytes is too long", typed->where,
                        strlen(typed->value));
    char *copy = crs_copy_text(typed->value);
    if (!copy)
        return crs_fail(error, CRS_INTERNAL, "%s: out of memory", typed->where);
    crs_free(path);
    *path = copy;
    return CRS_OK;
}

/* An enum has the size of an int. */
static crs_status set_value(const crs_option *o, const crs_typed *typed, void *field, crs_error *error) {
    switch (o->kind) {
    case WHOLE:
        return crs_typed_whole(typed, (int64_t)o->range.low, (int64_t)o->range.high, field, error);
    case SEED:
        return crs_typed_seed(typed, field, error);
    case REAL:
        return crs_typed_real(typed, &o->range, field, error);
    case CHOICE:
        return crs_typed_choice(typed, o->names(), field, error);
    case EVERY:
        return set_every(typed, field, error);
    case TIME:
        return set_time(typed, o, field, error);
    case SWITCH:
        return set_switch(typed, field, error);
    default:
        return set_path(typed, field, error);
    }
}

/* Whether a field stands at what no one can type, for "by default", or at a default of zero that goes without
 * saying: it is not written down. */
static bool is_unset(const crs_option *o, const void *field) {
    static const char zeros[sizeof(double)];
    const crs_every *every = field;
    return (o->brief && memcmp(field, zeros, o->size) == 0) ||
           (o->kind == WHOLE && *(const int64_t *)field < (int64_t)o->range.low) ||
           (o->kind == REAL && *(const double *)field < o->range.low) ||
           (o->kind == EVERY && every->steps <= 0 && every->seconds <= 0);
}

static void value_text(const crs_option *o, const void *field, char *out, size_t size) {
    const crs_every *every = field;
    switch (o->kind) {
    case WHOLE:
        snprintf(out, size, "%" PRId64, *(const int64_t *)field);
        break;
    case SEED:
        snprintf(out, size, "%" PRIu64, *(const uint64_t *)field);
        break;
    case REAL:
        real_text(*(const double *)field, o->range.low, out, size);
        break;
    case CHOICE:
        snprintf(out, size, "%s", o->names()[*(const int *)field]);
        break;
    case EVERY:
        if (every->seconds > 0)
            seconds_text(every->seconds, out, size);
        else
            snprintf(out, size, "%" PRId64, every->steps);
        break;
    case TIME:
        seconds_text(*(const double *)field, out, size);
        break;
    case SWITCH:
        snprintf(out, size, "%s", *(const bool *)field ? "true" : "false");
        break;
    default:
        snprintf(out, size, "%s", *(char *const *)field ? *(char *const *)field : "");
    }
}

/* ---- the table ---- */

static const char *const *reduce_names(void) {
    static const char *const names[] = {"int64", "float", NULL};
    return names;
}

static const char *const *order_names(void) {
    static const char *const names[] = {"shuffled", "file", NULL};
    return names;
}

/* The losses of real numbers alone can be chosen, and the first is the default. */
static const char *const *value_losses(void) {
    return crs_loss_names() + CRS_HEAD_MSE;
}

#define FIXED CRS_OPTION_FIXED
#define FREE CRS_OPTION_FREE
#define LOCAL CRS_OPTION_LOCAL
/* What stands behind a row's name, argument, help and class: the kind of its value, the field, and what it may be. */
#define FIELD(name, its_kind) \
    .kind = its_kind, .offset = offsetof(crs_config, name), .size = sizeof((crs_config *)0)->name
#define INTEGER(field, least, most) FIELD(field, WHOLE), .range = {.low = least, .high = most}
#define NUMBER(field, least, most) FIELD(field, REAL), .range = {.low = least, .high = most}
#define ABOVE_0(field, most) FIELD(field, REAL), .range = {.high = most, .above_low = true}
#define SHARE(field) FIELD(field, REAL), .range = {.high = 1, .below_high = true}
#define NAME(field, its_names) FIELD(field, CHOICE), .names = its_names
#define SWITCHED(field) FIELD(field, SWITCH), .brief = true
#define BRIEF(field, its_names) NAME(field, its_names), .brief = true
static const double many = 1e15;

const crs_option crs_options[] = {
    {"cell", "CELL", "lstm, peephole, gru or rnn (lstm)", FIXED, NAME(cell, crs_cell_names)},
    {"hidden", "N", "units of a layer (128)", FIXED, INTEGER(hidden, 1, 1 << 20)},
    {"layers", "N", "layers (2)", FIXED, INTEGER(layers, 1, 4096)},
    {"embed", "N", "width of the embedding (as hidden); 0: one-hot input", FIXED, INTEGER(embed, 0, 1 << 20)},
    {"bidirectional", NULL, "each layer runs both ways over a sequence", FIXED, SWITCHED(bidirectional)},
    {"layer-norm", NULL, "normalize what each layer gives", FIXED, SWITCHED(layer_norm)},
    {"residual", NULL, "layers above the first add their input to what they give", FIXED, SWITCHED(residual)},
    {"tie", NULL, "tokens: the output's weight is the embedding's", FIXED, SWITCHED(tie)},
    {"pool", "HOW", "one target a sequence: last or mean of the outputs (last)", FIXED, BRIEF(pool, crs_pool_names)},
    {"loss", "NAME", "of real numbers: mse, mae, huber or gaussian (mse)", FIXED, BRIEF(loss, value_losses)},
    {"change", NULL, "forecasts: say the change from the last value", FIXED, SWITCHED(change)},
    {"forget-bias", "F", "bias of forget gates at the start (1)", FIXED, NUMBER(forget_bias, -1000, 1000)},
    {"input-bias", "F", "bias of input gates at the start (0)", FIXED, NUMBER(input_bias, -1000, 1000), .brief = true},
    {"output-bias", "F", "bits: the output's bias at the start is F times their log odds (streams: 0.5)", FIXED,
     NUMBER(output_bias, 0, 1)},
    {"dropout", "P", "share of units dropped between layers and before the output (0)", FIXED, SHARE(dropout)},
    {"input-dropout", "P", "share of inputs (tokens: of units of embeddings) dropped (0)", FIXED, SHARE(input_dropout),
     .brief = true},
    {"input-noise", "F", "deviation of noise on real inputs, in scaled units (0)", FIXED, NUMBER(input_noise, 0, 1e3),
     .brief = true},
    {"batch", "N", "rows of the global batch, over all ranks (50)", FIXED, INTEGER(batch, 1, 1 << 24)},
    {"window", "N",
     "steps of truncated back-propagation (50); 0: whole sequences (where none is longer than 512 steps)", FIXED,
     INTEGER(window, 0, 1 << 24)},
    {"order", "NAME", "of sequences: shuffled in each epoch, or file (shuffled)", FIXED, BRIEF(order, order_names)},
    {"lane", "N", "rows a lane, the least a rank can own (by batch and window)", FIXED, INTEGER(lane, 1, 1 << 24)},
    {"lanes", "N", "how many lanes, at most as many ranks (by batch and window)", FIXED, INTEGER(lanes, 1, 1 << 24)},
    {"optimizer", "NAME", "adam, rmsprop, sgd or adagrad (adam)", FIXED, NAME(optimizer, crs_optimizer_names)},
    {"momentum", "F", "of sgd (0)", FIXED, SHARE(momentum)},
    {"beta1", "F", "decay of adam's first moment (0.9)", FIXED, SHARE(beta1)},
    {"beta2", "F", "decay of the second moment (adam 0.999, rmsprop 0.99)", FIXED, SHARE(beta2)},
    {"epsilon", "F", "added to the root of the second moment (1e-8, adagrad 1e-10)", FIXED, ABOVE_0(epsilon, 1)},
    {"rate", "F", "learning rate, the highest of the schedule (0.002)", FIXED, ABOVE_0(rate, 1e30)},
    {"schedule", "NAME", "constant, step or cosine (constant)", FIXED, NAME(schedule, crs_schedule_names)},
    {"warmup", "N", "steps over which the rate grows to its height (0)", FIXED, INTEGER(warmup, 0, many)},
    {"decay-after", "EPOCHS", "schedule step: epochs before the first decay (as decay-every)", FIXED,
     NUMBER(decay_after, 0, many)},
    {"decay-every", "EPOCHS", "schedule step: epochs between decays (1)", FIXED, ABOVE_0(decay_every, many)},
    {"decay-factor", "F", "schedule step: factor of a decay (0.5)", FIXED, ABOVE_0(decay_factor, 1e3)},
    {"clip", "F", "the most the gradient's norm may be (5); 0: any", FIXED, NUMBER(clip, 0, 1e30)},
    {"weight-decay", "F", "decoupled weight decay (0)", FIXED, NUMBER(weight_decay, 0, 1e3)},
    {"seed", "N", "of weights and dropout masks (1)", FIXED, FIELD(seed, SEED)},
    {"reduce", "TYPE", "sums over ranks: int64, the same bits at any number of ranks, or float (int64)", FIXED,
     NAME(reduce, reduce_names)},
    {"epochs", "N", "passes over the data (50)", FREE, INTEGER(epochs, 1, many)},
    {"steps", "N", "the same end in steps", FREE, INTEGER(steps, 1, many)},
    {"threads", "N",
     "threads of a rank (OMP_NUM_THREADS; or the cores it may run on, shared with the ranks that may too)", LOCAL,
     INTEGER(threads, 1, 1024)},
    {"validate-every", "N|TIME", "steps, or time as 30m, between validations (an epoch)", FREE,
     FIELD(validate_every, EVERY)},
    {"save-every", "N|TIME", "steps, or time as 30m, between checkpoints (an epoch or 10m, whichever comes first)",
     FREE, FIELD(save_every, EVERY)},
    {"keep", "N", "how many step-*.h5 stay (2)", FREE, INTEGER(keep, 1, 1 << 20)},
    {"patience", "N", "end after so many validations without a new lowest (0: never)", FREE,
     INTEGER(patience, 0, 1 << 20), .brief = true},
    {"check-every", "N", "steps after which ranks compare their parameters (1000; 0: before saving alone)", LOCAL,
     INTEGER(check_every, 0, many)},
    {"stop-after", "TIME", "save and leave with exit status 75 by then, as 1h30m", LOCAL, FIELD(stop_after, TIME)},
    {"hang-timeout", "TIME", "end all ranks where one has kept the others waiting for so long (5m; 0: never)", LOCAL,
     FIELD(hang_timeout, TIME), .range = {0, 1}},
    {"init-from", "CHECKPOINT", "begin a new run with these weights", LOCAL, FIELD(init_from, PATH)},
    {"fresh", NULL, "start over, after moving the old run aside", LOCAL, FIELD(fresh, SWITCH)},
    {"dry-run", NULL, "write nothing: tell of the model, memory, lanes and how long an epoch will take", LOCAL,
     FIELD(dry_run, SWITCH)},
    {"json", NULL, "with --dry-run: one JSON object", LOCAL, FIELD(json, SWITCH)},
    {"output", "RUN", "the folder of the run; -o is short for it", LOCAL, FIELD(output, PATH)},
    {"config", "FILE", "INI file of these options; the command line wins", LOCAL, FIELD(config_file, PATH)},
};

const int crs_options_count = sizeof crs_options / sizeof *crs_options;
_Static_assert(sizeof crs_options / sizeof *crs_options <= CRS_OPTIONS_MOST, "settings count them");

void crs_settings_default(crs_settings *settings) {
    *settings = (crs_settings){0};
    settings->config = (crs_config){.hidden = 128,
                                    .layers = 2,
                                    .embed = -1,
                                    .forget_bias = 1,
                                    .output_bias = -1,
                                    .batch = 50,
                                    .window = 50,
                                    .beta1 = -1,
                                    .beta2 = -1,
                                    .epsilon = -1,
                                    .rate = 2e-3,
                                    .decay_after = -1,
                                    .decay_every = 1,
                                    .decay_factor = 0.5,
                                    .clip = 5,
                                    .seed = 1,
                                    .epochs = 50,
                                    .hang_timeout = 300,
                                    .check_every = 1000,
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
    if (set_value(o, &typed, field_of(&settings->config, o), error))
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
static crs_config resolved(crs_config c) {
    if (c.embed < 0)
        c.embed = c.hidden;
    crs_optimizer_settings moments = {
        .optimizer = c.optimizer, .beta1 = c.beta1, .beta2 = c.beta2, .epsilon = c.epsilon};
    crs_optimizer_defaults(&moments);
    c.beta1 = moments.beta1;
    c.beta2 = moments.beta2;
    c.epsilon = moments.epsilon;
    return c;
}

void crs_option_text(const crs_config *config, int option, char *out, size_t size) {
    const crs_option *o = &crs_options[option];
    value_text(o, value_of(config, o), out, size);
}

/* ---- all of them ---- */

char *crs_config_text(const crs_config *given_config) {
    const crs_config config = resolved(*given_config);
    char text[8192];
    size_t length = 0;
    for (int i = 0; i < crs_options_count; i++) {
        const crs_option *o = &crs_options[i];
        char value[64];
        if (o->class == CRS_OPTION_LOCAL || is_unset(o, value_of(&config, o)))
            continue;
        crs_option_text(&config, i, value, sizeof value);
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
    const bool has_c = c->cell == CRS_LSTM || c->cell == CRS_PEEPHOLE;
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
        needs(s, "decay-after", c->schedule == CRS_STEP, "--schedule=step", error) ||
        needs(s, "decay-every", c->schedule == CRS_STEP, "--schedule=step", error) ||
        needs(s, "decay-factor", c->schedule == CRS_STEP, "--schedule=step", error) ||
        needs(s, "forget-bias", has_c, "--cell=lstm or peephole", error) ||
        needs(s, "json", c->dry_run || !c->json, "--dry-run", error) ||
        needs(s, "input-bias", has_c, "--cell=lstm or peephole", error))
        return error->status;
    return CRS_OK;
}

/* ---- resuming ---- */

crs_status crs_settings_resume(crs_settings *settings, const crs_config *recorded_config, const char *run,
                               crs_error *error) {
    /* a default that was not written down is as good as one that was */
    crs_config recorded = resolved(*recorded_config);
    if (recorded.lanes < 1 && recorded.lane > 0) /* once these followed from the rows of a lane alone */
        recorded.lanes = (recorded.batch + recorded.lane - 1) / recorded.lane;
    const bool ends = crs_settings_given(settings, "epochs") || crs_settings_given(settings, "steps");
    for (int i = 0; i < crs_options_count; i++) {
        const crs_option *o = &crs_options[i];
        const bool end = strcmp(o->name, "epochs") == 0 || strcmp(o->name, "steps") == 0;
        char mine[64], theirs[64];
        if (o->class == CRS_OPTION_LOCAL)
            continue;
        if (!settings->given[i]) {
            if (!end || !ends)
                memcpy(field_of(&settings->config, o), value_of(&recorded, o), o->size);
            continue;
        }
        /* A rate that would have stayed the same may be another from here on; of the other schedules it is a part. */
        if (o->class != CRS_OPTION_FIXED || (strcmp(o->name, "rate") == 0 && recorded.schedule == CRS_CONSTANT))
            continue;
        crs_option_text(&settings->config, i, mine, sizeof mine);
        crs_option_text(&recorded, i, theirs, sizeof theirs);
        if (strcmp(mine, theirs) != 0)
            return crs_fail(
                error, CRS_CONFIG,
                "--%s=%s contradicts %s, which was begun with --%s=%s; leave it out, or start over with --fresh or "
                "another -o",
                o->name, mine, run, o->name, theirs);
    }
    return CRS_OK;
}
