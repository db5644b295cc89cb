/* bench: a step over ranks, worked out (model.h has the formula). */
#include "config.h"

#include <math.h>

#include "bench/model.h"

typedef struct step {
    const crs_bench_terms *t;
    const crs_shards *s;
    double others, parameters, sums;
} step;

/* ---- what the rank that owns most has ---- */

static double share_of(const crs_shards *s, int region) {
    const size_t *bound = s->bound + (size_t)region * (size_t)(s->owners + 1);
    size_t most = 0;
    for (int r = 0; r < s->owners; r++)
        most = bound[r + 1] - bound[r] > most ? bound[r + 1] - bound[r] : most;
    return (double)most;
}

static double all_of(const crs_shards *s, int region) {
    const size_t *bound = s->bound + (size_t)region * (size_t)(s->owners + 1);
    return (double)(bound[s->owners] - bound[0]);
}

static double stage_of(const crs_shards *s, int stage, bool all) {
    size_t most = 0, sum = 0;
    for (int r = 0; r < s->owners; r++) {
        const int *first = s->first_run + (size_t)r * (size_t)(s->stages + 1) + stage;
        size_t own = 0;
        for (int i = first[0]; i < first[1]; i++)
            own += s->run[i].count;
        most = own > most ? own : most;
        sum += own;
    }
    return (double)(all ? sum : most);
}

static double most_owned(const crs_shards *s) {
    size_t most = 0;
    for (int r = 0; r < s->owners; r++) {
        const size_t own = crs_shards_owned(s, r);
        most = own > most ? own : most;
    }
    return (double)most;
}

static step step_of(const crs_bench_terms *t, const crs_shards *s) {
    step x = {.t = t, .s = s, .others = s->owners - 1};
    for (int k = 0; k < s->regions; k++)
        x.sums += all_of(s, k);
    for (int g = 0; g < s->stages; g++)
        x.parameters += stage_of(s, g, true);
    return x;
}

/* ---- the wire ---- */

static double wire(const step *x, double share, double bytes) {
    return x->others * (x->t->message + share * bytes / x->t->bandwidth);
}

/* Seconds beyond the way down; *all: what there would be if nothing were hidden. */
static double exchange(const step *x, double down, double *all) {
    double sent = 0, done = 0, back = 0;
    *all = 0;
    for (int k = 0; k < x->s->regions; k++) {
        const double seconds = wire(x, share_of(x->s, k), x->t->sum_bytes);
        done += all_of(x->s, k);
        sent = fmax(sent, down * done / x->sums) + seconds;
        *all += seconds;
        back += x->s->derived[k] ? seconds : 0;
    }
    back += back > 0 ? x->t->latency : 0;
    *all += back + x->t->latency;
    return sent - down + back + x->t->latency;
}

/* Seconds beyond the way up. */
static double gather(const step *x, double up, double *all) {
    double now = 0;
    *all = x->t->latency;
    for (int g = 0; g < x->s->stages; g++) {
        *all += wire(x, stage_of(x->s, g, false), x->t->change_bytes);
        now = fmax(now, *all) + up * stage_of(x->s, g, true) / x->parameters;
    }
    return now - up;
}

/* ---- the cores ---- */

static double packing(const step *x) {
    const crs_bench_terms *t = x->t;
    double seconds = t->pack * x->sums + t->apply * x->parameters;
    for (int k = 0; k < x->s->regions; k++) {
        seconds += t->add * x->others * share_of(x->s, k);
        if (x->s->derived[k])
            seconds += t->pack * share_of(x->s, k) + t->add * all_of(x->s, k);
    }
    for (int g = 0; g < x->s->stages; g++)
        seconds += t->change * stage_of(x->s, g, false);
    return seconds;
}

/* ---- together ---- */

/* What is as it is whatever the rows. */
typedef struct fixed {
    double own, work, norm;
} fixed;

static void put_rows(const step *x, const fixed *f, double rows, crs_bench_forecast *forecast) {
    const crs_bench_terms *t = x->t;
    const double passes = ceil(rows / t->pass_rows);
    forecast->compute = rows * (t->up + t->down + t->rest) + f->own + t->every;
    forecast->work = f->work;
    forecast->exposed = forecast->hidden = 0;
    if (x->others > 0) {
        const double beyond = exchange(x, rows * t->down / passes, &forecast->exchange) +
                              gather(x, rows * t->up / passes, &forecast->gather);
        forecast->exposed = beyond + f->norm;
        forecast->hidden = forecast->exchange + forecast->gather - beyond;
    }
    forecast->step = forecast->compute + forecast->work + forecast->exposed;
}

void crs_bench_forecast_of(const crs_bench_terms *t, const crs_shards *s, double rows, crs_bench_forecast *forecast) {
    enum { ROWS_MOST = 1 << 20 };
    static const double part = 0.1;
    const step x = step_of(t, s);
    const fixed f = {.own = t->own * most_owned(s),
                     .work = x.others > 0 ? packing(&x) : 0,
                     .norm = t->latency + x.others * t->message + 8 * (double)s->rows / t->bandwidth};
    *forecast = (crs_bench_forecast){.ranks = s->owners};
    for (int k = 0; k < s->regions; k++)
        forecast->share += share_of(s, k);
    for (double b = 1; b < ROWS_MOST && forecast->batch == 0; b = fmax(b + 1, floor(b * 1.02))) {
        put_rows(&x, &f, b, forecast);
        if (forecast->exposed + forecast->work <= part * forecast->step)
            forecast->batch = b * s->owners;
    }
    put_rows(&x, &f, rows, forecast);
    const double alone = rows * (t->up + t->down + t->rest) + t->own * x.parameters + t->every;
    forecast->efficiency = alone / forecast->step;
}
