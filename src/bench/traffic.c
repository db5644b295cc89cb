/* bench: a step's sums and parameters from rank to rank, by the exchange that trains, packed as in training. */
#include "config.h"

#include <string.h>

#include "bench/bench.h"

enum { REPEATS = 5 };

struct crs_bench_traffic {
    const crs_bench_team *team;
    crs_exchange *exchange;
    size_t n, *bound; /* [ranks + 1] */
    crs_extent *extent;
    int *first; /* [ranks][2] */
    int64_t *sums;
    float *values;
};

void crs_bench_traffic_close(crs_bench_traffic **traffic) {
    crs_bench_traffic *t = *traffic;
    if (!t)
        return;
    crs_exchange_free(&t->exchange);
    crs_free(&t->bound);
    crs_free(&t->extent);
    crs_free(&t->first);
    crs_free(&t->sums);
    crs_free(&t->values);
    crs_free(traffic);
}

static crs_status open_traffic(crs_bench_traffic *t, size_t n, crs_error *error) {
    static const bool derived[] = {false};
    const size_t ranks = (size_t)crs_comm_size(t->team->comm);
    t->n = n / CRS_BLOCK * CRS_BLOCK;
    t->bound = crs_alloc(ranks + 1, sizeof *t->bound, CRS_MEMORY_OTHER);
    t->extent = crs_alloc(ranks, sizeof *t->extent, CRS_MEMORY_OTHER);
    t->first = crs_alloc(2 * ranks, sizeof *t->first, CRS_MEMORY_OTHER);
    t->sums = crs_alloc(t->n, sizeof *t->sums, CRS_MEMORY_GRADIENTS);
    t->values = crs_alloc(t->n, sizeof *t->values, CRS_MEMORY_PARAMETERS);
    if (!t->bound || !t->extent || !t->first || !t->sums || !t->values)
        return crs_fail(error, CRS_INTERNAL, "out of memory for %zu sums over ranks", n);
    for (size_t r = 0; r < ranks; r++) {
        t->bound[r + 1] = t->n / CRS_BLOCK * (r + 1) / ranks * CRS_BLOCK;
        t->extent[r] = (crs_extent){t->bound[r], t->bound[r + 1] - t->bound[r]};
        t->first[2 * r] = (int)r;
        t->first[2 * r + 1] = (int)r + 1;
    }
    const crs_exchange_plan plan = {.kernels = t->team->kernels,
                                    .regions = 1,
                                    .bound = t->bound,
                                    .derived = derived,
                                    .stages = 1,
                                    .extent = t->extent,
                                    .first_extent = t->first};
    return crs_exchange_create(&t->exchange, t->team->comm, &plan, error);
}

crs_status crs_bench_traffic_open(crs_bench_traffic **traffic, const crs_bench_team *team, size_t n, crs_error *error) {
    *traffic = crs_alloc_or_fail(1, sizeof **traffic, CRS_MEMORY_OTHER, "sums over ranks", error);
    if (!*traffic)
        return error->status;
    (*traffic)->team = team;
    return open_traffic(*traffic, n, error);
}

/* Sums of about 32 bits. */
void crs_bench_fill_sums(int64_t *sums, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t bits[4] = {0};
        if (i % 4 == 0)
            crs_random(1, CRS_DRAW_SAMPLE, (uint64_t)i, 0, 0, 0, bits);
        sums[i] = (int64_t)(bits[i % 4] >> 32) - ((int64_t)1 << 31);
    }
}

/* Changes of about 22. */
void crs_bench_change_values(float *values, const int64_t *sums, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t value;
        memcpy(&value, values + i, sizeof value);
        value = (value + ((uint32_t)sums[i] >> 11)) & 0x3fffffff; /* a finite number */
        memcpy(values + i, &value, sizeof value);
    }
}

void crs_bench_traffic_once(crs_bench_traffic *t, bool rounded, crs_bench_trip *trip) {
    crs_comm *comm = t->team->comm;
    const size_t own = t->bound[crs_comm_rank(comm)], end = t->bound[crs_comm_rank(comm) + 1];
    const int64_t before = crs_exchange_bytes(t->exchange);
    crs_bench_fill_sums(t->sums, t->n);
    crs_exchange_keep(t->exchange, t->values);
    crs_bench_change_values(t->values + own, t->sums + own, end - own);
    crs_comm_barrier(comm);
    double start = crs_seconds();
    crs_exchange_begin(t->exchange, t->sums, rounded);
    crs_exchange_finish(t->exchange, NULL);
    trip->sums = crs_seconds() - start;
    const int64_t between = crs_exchange_bytes(t->exchange);
    crs_comm_barrier(comm);
    start = crs_seconds();
    crs_exchange_spread(t->exchange, t->values);
    crs_exchange_here(t->exchange, 0);
    trip->parameters = crs_seconds() - start;
    trip->sum_bytes = (double)(between - before);
    trip->parameter_bytes = (double)(crs_exchange_bytes(t->exchange) - between);
}

crs_status crs_bench_sums(const crs_bench_team *team, size_t n, float *room, crs_bench_list *list, crs_error *error) {
    double seconds[2][REPEATS], limits[REPEATS];
    crs_bench_traffic *t = NULL;
    crs_bench_trip trip;
    if (crs_comm_size(team->comm) > 1)
        crs_bench_traffic_open(&t, team, n, error);
    if (crs_comm_agree(team->comm, error) == CRS_OK)
        for (int i = 0; i < REPEATS; i++) {
            crs_comm_barrier(team->comm);
            limits[i] = crs_bench_rate(team->kernels, room, 2 * n); /* an int64 has two floats' bytes */
            for (int as_float = 0; as_float < 2 && t; as_float++) {
                crs_bench_traffic_once(t, as_float, &trip);
                seconds[as_float][i] = trip.sums + trip.parameters;
            }
        }
    const double limit = error->status ? 1 : crs_bench_median(limits, REPEATS);
    list->sums_pass = 16.0 * (double)n / limit;
    for (int as_float = 0; as_float < 2 && t && error->status == CRS_OK; as_float++)
        list->kernel[list->count++] =
            (crs_bench_kernel){as_float ? "sum over ranks, float" : "sum over ranks, int64", false,
                               16.0 * (double)n / crs_bench_median(seconds[as_float], REPEATS), limit};
    crs_bench_traffic_close(&t);
    return error->status;
}
