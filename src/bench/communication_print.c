/* bench --comm: for a person, and for a machine. */
#include "config.h"

#include <inttypes.h>
#include <jansson.h>

#include "bench/bench.h"

static const double milli = 1e3, micro = 1e6, nano = 1e9, gigabit = 8e-9, percent = 100;

static void print_terms(const crs_bench_team *team, const crs_bench_communication *c) {
    const int ranks = crs_comm_size(team->comm);
    const crs_bench_terms *t = &c->terms;
    const crs_spec *s = &c->of.shape;
    printf("model    %s, %d %s of %d, %d tokens, %" PRId64 " parameters; --batch=%d --window=%d\n",
           crs_cell_name(s->cell), s->layers, crs_plural(s->layers, "layer", "layers"), s->hidden, s->outputs,
           c->step.parameters, c->of.batch, c->of.window);
    printf("ranks    %d of %d %s on %d %s; %d rows at rank 0\n", ranks, team->threads,
           crs_plural(team->threads, "thread", "threads"), c->nodes, crs_plural(c->nodes, "node", "nodes"),
           c->step.rows);
    if (c->linked)
        printf("link     %s: %.1f us one way, %.2f us a message of many, %.2f Gbit/s a rank%s\n",
               c->given ? "as given" : "measured", t->latency * micro, t->message * micro, t->bandwidth * gigabit,
               c->given ? "" : " while all send");
    else
        printf("link     one rank alone has no way to others: latency, bandwidth, exchange and gathering can't be "
               "measured\n         (start it by mpirun -n 2 or more; or give --link)\n");
    printf("work     ns a number: packing sums %.2f, adding %.2f, packing changes %.2f, applying %.2f\n",
           t->pack * nano, t->add * nano, t->change * nano, t->apply * nano);
    printf("bytes    %.2f a sum, %.2f a parameter's change, packed\n", t->sum_bytes, t->change_bytes);
}

static void print_checks(const crs_bench_team *team, const crs_bench_communication *c) {
    const int ranks = crs_comm_size(team->comm);
    printf("alone    %10s %12s\n", "measured", c->given && ranks > 1 ? "measured link" : "by the terms");
    if (ranks > 1)
        printf("         %7.2f ms %9.2f ms  exchange of all sums\n         %7.2f ms %9.2f ms  gathering of all "
               "parameters\n",
               c->exchange * milli, c->exchange_by_terms * milli, c->gather * milli, c->gather_by_terms * milli);
    printf("         %7.2f ms %9.2f ms  step%s\n", c->step.seconds * milli, c->now.step * milli,
           c->given && ranks > 1 ? " (over the link as given)" : "");
}

static void print_row(const crs_bench_communication *c, const crs_bench_forecast *f) {
    char batch[32] = "-";
    if (f->ranks > 1 && f->batch > 0)
        snprintf(batch, sizeof batch, "%.0f", f->batch);
    printf("         %5d %8.0f %9.2f %8.2f %8.2f %8.2f %9.2f %7.0f %% %10s\n", f->ranks,
           (double)f->ranks * c->step.rows, f->compute * milli, f->work * milli, f->hidden * milli, f->exposed * milli,
           f->step * milli, percent * f->efficiency, batch);
}

void crs_bench_print_communication(const crs_bench_team *team, const crs_bench_communication *c) {
    print_terms(team, c);
    print_checks(team, c);
    if (!c->linked)
        return;
    char faster[64] = "";
    if (c->faster != 1)
        snprintf(faster, sizeof faster, ", computing %g times as fast as here", c->faster);
    printf("steps    worked out, ms; %d rows a rank%s\n", c->step.rows, faster);
    printf("         %5s %8s %9s %8s %8s %8s %9s %9s %10s\n", "ranks", "batch", "compute", "packing", "hidden",
           "exposed", "step", "of ideal", "tenth from");
    for (int i = 0; i < CRS_BENCH_FORECASTS; i++)
        print_row(c, &c->at[i]);
    printf("         (tenth from: the --batch from which packing and what is exposed are a tenth of a step at most)\n");
}

/* ---- JSON: seconds and bytes ---- */

static json_t *forecast_json(const crs_bench_communication *c, const crs_bench_forecast *f) {
    json_t *object =
        json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "ranks", f->ranks, "batch",
                  f->ranks * c->step.rows, "compute", f->compute, "work", f->work, "exchange", f->exchange, "gather",
                  f->gather, "hidden", f->hidden, "exposed", f->exposed, "step", f->step, "efficiency", f->efficiency);
    json_object_set_new(object, "largest_share", json_real(f->share));
    if (f->ranks > 1 && f->batch > 0)
        json_object_set_new(object, "tenth_from_batch", json_real(f->batch));
    return object;
}

static json_t *terms_json(const crs_bench_communication *c) {
    const crs_bench_terms *t = &c->terms;
    json_t *object =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "sum_bytes", t->sum_bytes, "change_bytes",
                  t->change_bytes, "pack", t->pack, "add", t->add, "change", t->change, "apply", t->apply, "up", t->up,
                  "down", t->down, "rest", t->rest, "own", t->own, "every", t->every);
    if (c->linked) {
        json_object_set_new(object, "latency", json_real(t->latency));
        json_object_set_new(object, "message", json_real(t->message));
        json_object_set_new(object, "bandwidth", json_real(t->bandwidth));
    }
    return object;
}

static json_t *measured_json(const crs_bench_team *team, const crs_bench_communication *c) {
    json_t *object = json_pack("{s:f, s:f}", "step", c->step.seconds, "apart", c->step.apart_seconds);
    if (crs_comm_size(team->comm) > 1) {
        json_object_set_new(object, "exchange", json_real(c->exchange));
        json_object_set_new(object, "gather", json_real(c->gather));
        json_object_set_new(object, "exchange_by_terms", json_real(c->exchange_by_terms));
        json_object_set_new(object, "gather_by_terms", json_real(c->gather_by_terms));
    }
    return object;
}

void crs_bench_communication_json(const crs_bench_team *team, const crs_bench_communication *c) {
    const crs_spec *s = &c->of.shape;
    json_t *steps = json_array();
    for (int i = 0; i < CRS_BENCH_FORECASTS && c->linked; i++)
        json_array_append_new(steps, forecast_json(c, &c->at[i]));
    json_t *object =
        json_pack("{s:i, s:i, s:i, s:b, s:f, s:s, s:i, s:i, s:i, s:i, s:i, s:I, s:i, s:o, s:o, s:o, s:o}", "ranks",
                  crs_comm_size(team->comm), "threads", team->threads, "nodes", c->nodes, "link_given", c->given,
                  "faster", c->faster, "cell", crs_cell_name(s->cell), "hidden", s->hidden, "layers", s->layers,
                  "vocabulary", s->outputs, "batch", c->of.batch, "window", c->of.window, "parameters",
                  (json_int_t)c->step.parameters, "rows", c->step.rows, "terms", terms_json(c), "measured",
                  measured_json(team, c), "now", forecast_json(c, &c->now), "steps", steps);
    CRS_ASSERT(object);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}
