/* --dry-run: what a run would be, and by some of its own steps how long it would take. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "train/training.h"

/* A row for each of 1, 2, 4, ... 64 ranks. */
enum { ROWS = 7, LEAST_STEPS = 3 };
static const double most_seconds = 3;

typedef struct row {
    int ranks, lanes; /* lanes 0: there are fewer than ranks */
    double efficiency, bytes;
} row;

typedef struct dry_run {
    const crs_training *t;
    row row[ROWS];
    crs_plan_bytes bytes; /* of a rank, as it is now */
    int64_t steps;        /* measured */
    double seconds;       /* of one */
} dry_run;

/* ---- lanes and memory ---- */

static void fill_rows(dry_run *d) {
    const crs_training *t = d->t;
    const crs_config *config = t->config;
    for (int i = 0; i < ROWS; i++) {
        row *r = &d->row[i];
        crs_lanes lanes;
        crs_error ignored = {0};
        *r = (row){.ranks = 1 << i};
        if (crs_lanes_plan(&lanes, (int)config->batch, (int)t->plan.longest, (int)config->lane, (int)config->lanes, 0,
                           r->ranks, &ignored))
            continue;
        r->lanes = lanes.lanes;
        r->efficiency = lanes.efficiency;
        r->bytes = crs_plan_bytes_of(&t->plan, config, r->ranks, t->threads, t->optim.moments).all;
    }
    d->bytes = crs_plan_bytes_of(&t->plan, config, crs_comm_size(t->comm), t->threads, t->optim.moments);
}

/* ---- time ---- */

/* Steps of whole sequences are of unlike lengths: those measured are spread over the epoch, by the golden section. */
static int64_t step_of(const crs_training *t, int64_t i) {
    const int64_t windows = t->plan.windows, first = t->step - t->step % windows;
    if (t->config->window > 0)
        return t->step + i;
    return first + (t->step % windows + (int64_t)((double)i * 0.6180339887 * (double)windows)) % windows;
}

/* Until rank 0 says that it is enough; the first step makes what later ones find ready. */
static crs_status measure(crs_training *t, dry_run *d, crs_error *error) {
    double start = 0;
    bool enough = false;
    for (int64_t i = 0; !enough; i++) {
        const double spent = crs_seconds() - start;
        crs_outcome outcome;
        int64_t news[CRS_NEWS] = {0};
        news[CRS_NEWS_SIGNAL] = crs_signals_caught() != 0;
        news[CRS_NEWS_TIME] = crs_at_root(t) && i >= LEAST_STEPS && spent >= most_seconds;
        if (crs_engine_step(&t->engine, step_of(t, i), news, &outcome, error))
            return error->status;
        if (outcome.news[CRS_NEWS_SIGNAL] > 0)
            return crs_fail(error, CRS_STOPPED, "stopped by a signal; a dry run has nothing to save");
        if (i == 0) {
            crs_engine_settle(&t->engine);
            start = crs_seconds();
            continue;
        }
        d->steps = i;
        enough = outcome.news[CRS_NEWS_TIME] > 0;
    }
    crs_engine_settle(&t->engine);
    d->seconds = (crs_seconds() - start) / (double)d->steps;
    return CRS_OK;
}

/* ---- for a person ---- */

static const char *format_bytes(double bytes, char out[32]) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    for (; bytes >= 1023.5 && unit < 4; unit++)
        bytes /= 1024;
    snprintf(out, 32, bytes < 9.95 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return out;
}

static void print_bytes(const dry_run *d) {
    const crs_plan_bytes *b = &d->bytes;
    const int ranks = crs_comm_size(d->t->comm);
    char text[7][32];
    printf("bytes       a rank of %d, about: activations %s, parameters %s, gradients %s, moments %s, messages %s, "
           "data %s; in all %s\n",
           ranks, format_bytes(b->activations, text[0]), format_bytes(b->parameters, text[1]),
           format_bytes(b->gradients, text[2]), format_bytes(b->moments, text[3]), format_bytes(b->messages, text[4]),
           format_bytes(b->data, text[5]), format_bytes(b->all, text[6]));
}

static void print_rows(const dry_run *d) {
    char text[32];
    printf("lanes       %5s %6s %11s %14s\n", "ranks", "lanes", "efficiency", "bytes a rank");
    for (int i = 0; i < ROWS; i++) {
        const row *r = &d->row[i];
        if (r->lanes > 0)
            printf("            %5d %6d %9.0f %% %14s\n", r->ranks, r->lanes, 100 * r->efficiency,
                   format_bytes(r->bytes, text));
        else
            printf("            %5d      - (more than the %d lanes of --batch=%" PRId64 ")\n", r->ranks,
                   d->t->plan.lanes.lanes, d->t->config->batch);
    }
}

static void print_time(const dry_run *d) {
    const crs_training *t = d->t;
    const int64_t left = t->plan.total > t->step ? t->plan.total - t->step : 0;
    char text[2][32], time[2][32];
    printf("time        %.4g ms a step (the mean of %" PRId64 ", %d %s of %d %s); an epoch of %s steps takes %s, the "
           "%s %s of the run %s; validations and checkpoints come on top\n",
           1e3 * d->seconds, d->steps, crs_comm_size(t->comm), crs_plural(crs_comm_size(t->comm), "rank", "ranks"),
           t->threads, crs_plural(t->threads, "thread", "threads"), crs_format_count(t->plan.windows, text[0]),
           crs_format_time(d->seconds * (double)t->plan.windows, time[0]), crs_format_count(left, text[1]),
           t->resumed ? "steps left" : "steps", crs_format_time(d->seconds * (double)left, time[1]));
}

static void print(const dry_run *d) {
    const crs_training *t = d->t;
    const char *unit;
    const double targets = crs_training_targets(t, &unit);
    char text[2][32];
    printf("parameters  %s\n", crs_format_count((int64_t)crs_spec_parameters(&t->plan.spec), text[0]));
    printf("a step      %s %s%s, %" PRId64 " rows; %s steps an epoch\n",
           crs_format_count((int64_t)(targets + 0.5), text[0]), unit, t->config->window > 0 ? "" : " on average",
           t->config->batch, crs_format_count(t->plan.windows, text[1]));
    print_bytes(d);
    print_rows(d);
    print_time(d);
}

/* ---- for a machine ---- */

static json_t *bytes_json(const crs_plan_bytes *b) {
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "activations", b->activations, "parameters", b->parameters,
                     "gradients", b->gradients, "moments", b->moments, "messages", b->messages, "data", b->data, "all",
                     b->all);
}

/* What has really been allocated, at rank 0. */
static json_t *allocated_json(void) {
    json_t *object = json_object();
    for (int i = 0; i < CRS_MEMORY_PURPOSES; i++)
        json_object_set_new(object, crs_purpose_name((crs_purpose)i), json_integer(crs_memory_bytes((crs_purpose)i)));
    return object;
}

static void print_json(const dry_run *d) {
    const crs_training *t = d->t;
    const char *unit;
    const double targets = crs_training_targets(t, &unit);
    json_t *rows = json_array();
    for (int i = 0; i < ROWS; i++) {
        const row *r = &d->row[i];
        if (r->lanes > 0)
            json_array_append_new(rows, json_pack("{s:i, s:i, s:f, s:f}", "ranks", r->ranks, "lanes", r->lanes,
                                                  "efficiency", r->efficiency, "bytes", r->bytes));
    }
    json_t *object = json_pack(
        "{s:b, s:I, s:I, s:f, s:s, s:I, s:I, s:i, s:i, s:o, s:o, s:o, s:I, s:f, s:f}", "resumes", t->resumed, "step",
        (json_int_t)t->step, "parameters", (json_int_t)crs_spec_parameters(&t->plan.spec), "targets_a_step", targets,
        "targets", unit, "epoch_steps", (json_int_t)t->plan.windows, "total_steps", (json_int_t)t->plan.total, "ranks",
        crs_comm_size(t->comm), "threads", t->threads, "bytes", bytes_json(&d->bytes), "allocated", allocated_json(),
        "by_ranks", rows, "measured_steps", (json_int_t)d->steps, "step_seconds", d->seconds, "epoch_seconds",
        d->seconds * (double)t->plan.windows);
    CRS_ASSERT(object);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

crs_status crs_dry_run(crs_training *t, crs_error *error) {
    dry_run d = {.t = t};
    if (crs_at_root(t))
        crs_report_start(t);
    fill_rows(&d);
    if (measure(t, &d, error))
        return error->status;
    if (crs_at_root(t) && t->config->json)
        print_json(&d);
    else if (crs_at_root(t))
        print(&d);
    return CRS_OK;
}
