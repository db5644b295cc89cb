/* bench --comm: each term of the model (model.h) is measured by itself, and a step of as many ranks as there are beside
 * what the model says of it. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "bench/bench.h"
#include "train/plan.h"

enum { REPEATS = 5, SMALL_MESSAGES = 32 };

/* ---- the link ---- */

/* A message of the exchange has up to 2^18 sums; of many ranks it is smaller. */
static crs_status measure_link(const crs_bench_team *team, crs_bench_terms *t, crs_error *error) {
    enum { LEAST = 64 << 10, ALL = 8 << 20 };
    const int others = crs_comm_size(team->comm) - 1;
    const size_t bytes = ALL / others > LEAST ? (size_t)(ALL / others) : LEAST;
    double small, large;
    t->latency = crs_comm_latency(team->comm);
    if (crs_comm_flood(team->comm, 1, SMALL_MESSAGES, &small, error) ||
        crs_comm_flood(team->comm, bytes, 1, &large, error))
        return error->status;
    t->message = small / SMALL_MESSAGES / others;
    t->bandwidth = (double)bytes * others / large;
    return CRS_OK;
}

static int count_nodes(const crs_comm *comm) {
    int nodes = 0;
    for (int r = 0; r < crs_comm_size(comm); r++) {
        bool known = false;
        for (int other = 0; other < r && !known; other++)
            known = strcmp(crs_comm_host(comm, other), crs_comm_host(comm, r)) == 0;
        nodes += !known;
    }
    return nodes;
}

/* ---- packing, and what comes of it ---- */

typedef struct numbers {
    size_t n;
    int64_t *sums, *totals;
    float *before, *after;
    uint8_t *packed;
} numbers;

static crs_status measure_work(const crs_bench_team *team, numbers *x, crs_bench_terms *t, crs_error *error) {
    enum { KINDS = 4 };
    const crs_kernels *kernels = team->kernels;
    double *const terms[KINDS] = {&t->pack, &t->add, &t->change, &t->apply}, seconds[KINDS][REPEATS];
    x->sums = crs_alloc(x->n, sizeof *x->sums, CRS_MEMORY_OTHER);
    x->totals = crs_alloc(x->n, sizeof *x->totals, CRS_MEMORY_OTHER);
    x->before = crs_alloc(x->n, sizeof *x->before, CRS_MEMORY_OTHER);
    x->after = crs_alloc(x->n, sizeof *x->after, CRS_MEMORY_OTHER);
    x->packed = crs_alloc(crs_packed_most(x->n), 1, CRS_MEMORY_OTHER);
    if (!x->sums || !x->totals || !x->before || !x->after || !x->packed)
        crs_fail(error, CRS_INTERNAL, "out of memory for packing %zu numbers", x->n);
    if (crs_comm_agree(team->comm, error))
        return error->status;
    crs_bench_fill_sums(x->sums, x->n);
    for (int i = -1; i < REPEATS; i++) {
        double clock[KINDS + 1];
        memcpy(x->before, x->after, x->n * sizeof *x->before);
        crs_bench_change_values(x->after, x->sums, x->n);
        crs_comm_barrier(team->comm);
        clock[0] = crs_seconds();
        t->sum_bytes = (double)crs_pack_sums(kernels, x->sums, x->n, x->packed) / (double)x->n;
        clock[1] = crs_seconds();
        crs_unpack_sums(kernels, x->packed, x->n, true, x->totals);
        clock[2] = crs_seconds();
        t->change_bytes = (double)crs_pack_changes(kernels, x->after, x->before, x->n, x->packed) / (double)x->n;
        clock[3] = crs_seconds();
        crs_unpack_changes(kernels, x->packed, x->n, x->before);
        clock[4] = crs_seconds();
        for (int k = 0; k < KINDS && i >= 0; k++)
            seconds[k][i] = crs_comm_slowest(team->comm, clock[k + 1] - clock[k]);
    }
    for (int k = 0; k < KINDS; k++)
        *terms[k] = crs_bench_median(seconds[k], REPEATS) / (double)x->n;
    return CRS_OK;
}

static crs_status measure_packing(const crs_bench_team *team, size_t parameters, crs_bench_terms *t, crs_error *error) {
    enum { MOST = 1 << 22 };
    numbers x = {.n = parameters < MOST ? parameters : MOST};
    measure_work(team, &x, t, error);
    crs_free(&x.sums);
    crs_free(&x.totals);
    crs_free(&x.before);
    crs_free(&x.after);
    crs_free(&x.packed);
    return error->status;
}

/* All at once, with nothing beside it: both parts by themselves, and what the terms say of them. */
static crs_status measure_trip(const crs_bench_team *team, size_t parameters, crs_bench_communication *c,
                               crs_error *error) {
    const crs_bench_terms *t = &c->terms;
    const double n = (double)parameters, ranks = crs_comm_size(team->comm), others = ranks - 1;
    double exchange[REPEATS], gather[REPEATS];
    crs_bench_traffic *traffic;
    crs_bench_trip trip;
    crs_bench_traffic_open(&traffic, team, parameters, error);
    if (crs_comm_agree(team->comm, error) == CRS_OK) {
        crs_bench_traffic_once(traffic, false, &trip); /* connections are made */
        for (int i = 0; i < REPEATS; i++) {
            crs_bench_traffic_once(traffic, false, &trip);
            exchange[i] = crs_comm_slowest(team->comm, trip.sums);
            gather[i] = crs_comm_slowest(team->comm, trip.parameters);
        }
        c->exchange = crs_bench_median(exchange, REPEATS);
        c->gather = crs_bench_median(gather, REPEATS);
    }
    const double each = n / ranks, of_others = n - each;
    c->exchange_by_terms =
        t->latency + others * (t->message + each * t->sum_bytes / t->bandwidth) + of_others * (t->pack + t->add);
    c->gather_by_terms = t->latency + others * (t->message + each * t->change_bytes / t->bandwidth) + each * t->change +
                         of_others * t->apply;
    crs_bench_traffic_close(&traffic);
    return error->status;
}

/* ---- computing ---- */

/* Of steps that send nothing while they compute, at rank 0. */
static void take_compute(const crs_bench_team *team, const crs_bench_communication *c, double owned,
                         crs_bench_terms *t) {
    const double *phase = c->step.apart_phase, rows = c->step.rows;
    t->up = (phase[CRS_PHASE_INPUT] + phase[CRS_PHASE_RECURRENT]) / rows;
    t->down = (phase[CRS_PHASE_BACKWARD] + phase[CRS_PHASE_BACKWARD_INPUT] + phase[CRS_PHASE_WEIGHTS]) / rows;
    t->rest = (phase[CRS_PHASE_READ] + phase[CRS_PHASE_OUTPUT] + phase[CRS_PHASE_LOSS]) / rows;
    t->own = (phase[CRS_PHASE_GRADIENT] + phase[CRS_PHASE_UPDATE]) / owned;
    t->every = phase[CRS_PHASE_REFRESH];
    t->pass_rows = crs_plan_pass_rows(c->of.config, team->threads);
}

static crs_status forecast(const crs_model *model, const crs_bench_communication *c, int ranks, crs_bench_forecast *to,
                           crs_error *error) {
    crs_shards shards;
    if (crs_shards_create(&shards, model, ranks, error) == CRS_OK)
        crs_bench_forecast_of(&c->terms, &shards, c->step.rows, to);
    crs_shards_free(&shards);
    return error->status;
}

/* Local. */
static crs_status predict(const crs_bench_team *team, crs_bench_communication *c, crs_error *error) {
    static const int ranks[CRS_BENCH_FORECASTS] = {1, 2, 4, 8, 16, 32, 64, 1024};
    const int here = crs_comm_size(team->comm), rank = crs_comm_rank(team->comm);
    crs_shards shards = {0};
    crs_model *model = NULL;
    if (crs_model_create(&model, &c->of.shape, team->kernels, team->threads, error) == CRS_OK &&
        crs_shards_create(&shards, model, here, error) == CRS_OK) {
        take_compute(team, c, fmax(1, (double)crs_shards_owned(&shards, rank)), &c->terms);
        crs_bench_forecast_of(&c->terms, &shards, c->step.rows, &c->now);
        double *const computing[] = {&c->terms.up, &c->terms.down, &c->terms.rest, &c->terms.own, &c->terms.every};
        for (size_t i = 0; i < sizeof computing / sizeof *computing; i++)
            *computing[i] /= c->faster;
    }
    crs_shards_free(&shards);
    for (int i = 0; i < CRS_BENCH_FORECASTS && error->status == CRS_OK && c->linked; i++)
        forecast(model, c, ranks[i], &c->at[i], error);
    crs_model_free(&model);
    return error->status;
}

crs_status crs_bench_communicate(const crs_bench_team *team, const crs_bench_case *of, const crs_bench_request *request,
                                 crs_bench_communication *c, crs_error *error) {
    const crs_bench_link *link = &request->link;
    const int ranks = crs_comm_size(team->comm);
    *c = (crs_bench_communication){
        .of = *of, .nodes = count_nodes(team->comm), .given = link->bandwidth > 0, .faster = request->faster};
    c->linked = c->given || ranks > 1;
    if (crs_bench_steps(team, &c->of, request->seconds, &c->step, error))
        return error->status;
    const size_t parameters = (size_t)(c->step.parameters + CRS_BLOCK) / CRS_BLOCK * CRS_BLOCK;
    if (measure_packing(team, parameters, &c->terms, error) ||
        (ranks > 1 && (measure_link(team, &c->terms, error) || measure_trip(team, parameters, c, error))))
        return error->status;
    if (c->given) {
        c->terms.bandwidth = link->bandwidth;
        c->terms.latency = link->latency;
        c->terms.message = link->message;
    }
    predict(team, c, error);
    return crs_comm_agree(team->comm, error);
}
