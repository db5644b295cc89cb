/* The configuration of a run: one table of options serves the command line, INI files, /config of checkpoints, --help,
 * and the check of a resumed run. Local. */
#ifndef CAROUSEL_CONFIG_H
#define CAROUSEL_CONFIG_H

#include "carousel/data.h"
#include "carousel/optim.h"
#include "carousel/spec.h"

/* ---- values as a person types them, for the options of any command. Local. ---- */

typedef struct crs_typed {
    const char *value;
    const char *where; /* what a message starts with: "--hidden" as typed, or "FILE:LINE: hidden" */
    crs_status status; /* of a value that won't do: CRS_USAGE, CRS_CONFIG or CRS_DATA */
} crs_typed;

/* Fails with "WHERE: 'VALUE' won't do; give ..." (a long value is cut). */
crs_status crs_typed_refuse(const crs_typed *typed, crs_error *error, const char *give, ...)
    __attribute__((format(printf, 3, 4)));
/* Each takes the whole value and nothing but it (no spaces, no other base, nan or inf), leaves *out as it was on
 * failure, and says what would do. */
crs_status crs_typed_whole(const crs_typed *typed, int64_t low, int64_t high, int64_t *out, crs_error *error);
crs_status crs_typed_seed(const crs_typed *typed, uint64_t *out, crs_error *error);

typedef struct crs_range {
    double low, high;
    bool above_low, below_high; /* the limit itself won't do */
} crs_range;
crs_status crs_typed_real(const crs_typed *typed, const crs_range *range, double *out, crs_error *error);
/* names: ended by NULL; *out becomes the index. */
crs_status crs_typed_choice(const crs_typed *typed, const char *const *names, int *out, crs_error *error);
/* The closest of names[count] to a mistyped one, or NULL where none is close. */
const char *crs_name_suggest(const char *name, const char *const *names, int count);

/* ---- the options of training ---- */

typedef enum crs_reduce { CRS_REDUCE_INT64, CRS_REDUCE_FLOAT } crs_reduce;

/* `500` steps, or `30m` of time. Both 0: once an epoch (and a checkpoint every 10 minutes too). */
typedef struct crs_every {
    int64_t steps;
    double seconds;
} crs_every;

typedef struct crs_config {
    /* the model */
    crs_cell cell;
    int64_t hidden, layers, embed; /* embed -1: = hidden */
    double forget_bias, input_bias;
    double output_bias; /* share of the log odds of bits; below 0: the default */
    bool bidirectional, layer_norm, residual, tie, change;
    crs_pool pool;
    int loss; /* of real numbers: the head CRS_HEAD_MSE + loss */
    /* the arithmetic */
    double dropout, input_dropout, input_noise;
    int64_t batch, window, lane, lanes; /* window 0: whole sequences; lane, lanes 0: the default of crs_lanes_plan */
    int order;                          /* crs_order */
    crs_optimizer optimizer;
    double momentum, beta1, beta2, epsilon; /* below 0: the optimizer's default */
    double rate;
    crs_schedule schedule;
    int64_t warmup;
    double decay_after, decay_every; /* epochs; decay_after below 0: as decay_every */
    double decay_factor, clip, weight_decay;
    uint64_t seed;
    crs_reduce reduce;
    /* the run: may differ from one invocation to the next */
    int64_t epochs, steps; /* of one, the other is 0 */
    int64_t threads;       /* 0: crs_comm_threads */
    crs_every validate_every, save_every;
    int64_t keep;
    int64_t patience;    /* validations; 0: any */
    double stop_after;   /* seconds; 0: never */
    double hang_timeout; /* seconds; 0: never */
    int64_t check_every; /* steps; 0: before saving alone */
    /* not recorded */
    bool fresh, dry_run, json;
    char *init_from, *data, *output, *config_file; /* owned by the settings; NULL: not given. Copies borrow them */
} crs_config;

typedef enum crs_option_class {
    CRS_OPTION_FIXED, /* a resumed run must have the same */
    CRS_OPTION_FREE,  /* recorded, may change */
    CRS_OPTION_LOCAL, /* not recorded */
} crs_option_class;

typedef struct crs_option {
    const char *name;     /* "hidden" */
    const char *argument; /* "N", for --help; NULL: a switch */
    const char *help;
    crs_option_class class;
    /* the rest is private to options.c */
    int kind;
    bool brief;          /* not written down where it is zero, the default: /config of a text stays as it always was */
    size_t offset, size; /* of its field in crs_config */
    crs_range range;
    const char *const *(*names)(void); /* of an enum, by its values; ended by NULL */
} crs_option;

extern const crs_option crs_options[];
extern const int crs_options_count;

enum { CRS_OPTIONS_MOST = 64 }; /* of any command */

typedef struct crs_settings {
    crs_config config;
    bool given[CRS_OPTIONS_MOST]; /* by index into crs_options: set by the user (command line or INI) */
} crs_settings;

void crs_settings_default(crs_settings *settings);
void crs_settings_free(crs_settings *settings);                          /* the strings */
int crs_option_find(const char *name);                                   /* index, or -1 */
bool crs_settings_given(const crs_settings *settings, const char *name); /* that option */
/* The closest option name to a mistyped one, or NULL. */
const char *crs_option_suggest(const char *name);
/* where: "--hidden" as typed, or "FILE:LINE: hidden"; status: CRS_USAGE or CRS_CONFIG. */
crs_status crs_settings_set(crs_settings *settings, int option, const char *value, const char *where, crs_status status,
                            crs_error *error);
/* Reads an INI file (no sections); what the command line gave (given) wins. CRS_NO_INPUT, CRS_CONFIG. */
crs_status crs_settings_read_file(crs_settings *settings, const char *path, crs_error *error);
/* What contradicts itself: epochs with steps, decay options without --schedule=step, ... (CRS_CONFIG). */
crs_status crs_settings_check(const crs_settings *settings, crs_error *error);
/* All recorded options as INI, in the order of the table. Owned by the caller (crs_free); NULL when out of memory. */
char *crs_config_text(const crs_config *config);
/* From /config of a checkpoint. Unknown keys are CRS_DATA. No string is set. */
crs_status crs_config_parse(crs_config *config, const char *text, const char *path, crs_error *error);
/* Lets a run be resumed: takes every fixed option not given from recorded; a given one that differs is CRS_CONFIG with
 * its name and both values. */
crs_status crs_settings_resume(crs_settings *settings, const crs_config *recorded, const char *run, crs_error *error);
void crs_option_text(const crs_config *config, int option, char *out, size_t size); /* the value as one would type it */
/* The pairs of a text of INI lines, in order; other lines are passed over. False when out of memory. */
typedef void crs_ini_take(void *context, const char *name, const char *value);
bool crs_ini_pairs(const char *text, crs_ini_take *take, void *context);
/* "90", "30m", "1h30m", "2.5h" in seconds; false where it is not a time. */
bool crs_parse_time(const char *text, double *seconds);

#endif
