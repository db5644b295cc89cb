/* bench: what this machine's multiply-add units and memory can do. */
#include "config.h"

#include <hwloc.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"

/* Seconds of one measurement, and how many make a median. */
static const double burst = 0.003, together = 0.02;
enum { REPEATS = 5 };

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double crs_bench_median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count > 0 ? values[count / 2] : 0;
}

/* ---- rates ---- */

/* So many rounds of multiply-adds, or passes over values[n]: the operations, or the bytes read and written. */
static double work(const crs_kernels *kernels, float *values, size_t n, int64_t rounds) {
    float sink[2 * CRS_BLOCK] __attribute__((aligned(64)));
    for (int j = 0; j < 2 * CRS_BLOCK; j++)
        sink[j] = j < CRS_BLOCK ? 0.999f : 1e-6f; /* it is overwritten, and has to stay below 1 */
    if (!values)
        return kernels->peak(rounds, sink);
    for (int64_t i = 0; i < rounds; i++)
        kernels->negate(values, n);
    return (double)rounds * 2 * sizeof *values * (double)n;
}

static double rate_for(const crs_kernels *kernels, float *values, size_t n, double seconds) {
    double done = 0;
    const double start = crs_seconds();
    double now = start;
    int64_t rounds = values ? 1 : 16;
    while (now - start < seconds) {
        done += work(kernels, values, n, rounds);
        now = crs_seconds();
        if (now - start < seconds / 8)
            rounds *= 2;
    }
    return done / (now - start);
}

double crs_bench_rate(const crs_kernels *kernels, float *values, size_t n) {
    return rate_for(kernels, values, n, burst);
}

double crs_bench_rate_all(const crs_bench_team *team, float *values, size_t n) {
    double rate = 0;
    crs_comm_barrier(team->comm);
#pragma omp parallel num_threads(team->threads) reduction(+ : rate) if (team->threads > 1)
    rate += rate_for(team->kernels, values ? values + (size_t)omp_get_thread_num() * n : NULL, n, together);
    int64_t sum = (int64_t)(rate * 1e-3); /* about nine digits */
    crs_comm_sum(team->comm, &sum, 1);
    return (double)sum * 1e3;
}

/* ---- what the processor is ---- */

static int64_t cache_size(hwloc_topology_t topology, hwloc_obj_type_t level, int64_t otherwise) {
    const hwloc_obj_t cache = hwloc_get_obj_by_type(topology, level, 0);
    return cache && cache->attr->cache.size > 0 ? (int64_t)cache->attr->cache.size : otherwise;
}

static void find_processor(hwloc_topology_t topology, char *out, size_t size) {
    hwloc_obj_t of = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
    const char *model = of ? hwloc_obj_get_info_by_name(of, "CPUModel") : NULL;
    of = hwloc_get_root_obj(topology);
    if (!model && of)
        model = hwloc_obj_get_info_by_name(of, "CPUModel");
    snprintf(out, size, "%s", model ? model : "unknown processor");
}

/* Half of each cache, so that it fits with room to spare; of what all cores share, this thread's part; and much more
 * than the last cache holds. */
static void choose_levels(const crs_bench_team *team, hwloc_topology_t topology,
                          crs_bench_level level[CRS_BENCH_LEVELS]) {
    const int64_t first = cache_size(topology, HWLOC_OBJ_L1CACHE, 32 << 10),
                  second = cache_size(topology, HWLOC_OBJ_L2CACHE, 1 << 20),
                  third = cache_size(topology, HWLOC_OBJ_L3CACHE, 32 << 20);
    const int64_t sharing = (int64_t)crs_comm_node_size(team->comm) * team->threads, most = 256 << 20;
    int64_t large = 4 * third / sharing, third_part = third / 2 / sharing;
    large = large < 4 * second ? 4 * second : large;
    third_part = third_part < 2 * second ? 2 * second : third_part;
    level[0] = (crs_bench_level){.name = "first cache", .bytes = first / 2};
    level[1] = (crs_bench_level){.name = "second cache", .bytes = second / 2};
    level[2] = (crs_bench_level){.name = "third cache", .bytes = third_part};
    level[3] = (crs_bench_level){.name = "memory", .bytes = large < most ? large : most};
}

/* One thread by itself, rank 0's: others sleep, as a rank that waits for a message keeps its core busy. Then all. */
static void measure(const crs_bench_team *team, float *values, size_t n, double *one, double *all) {
    double rates[REPEATS];
    crs_comm_barrier(team->comm);
    if (crs_comm_rank(team->comm) == 0) {
        for (int i = 0; i < REPEATS; i++)
            rates[i] = rate_for(team->kernels, values, n, together);
        *one = crs_bench_median(rates, REPEATS);
    } else {
        const struct timespec time = {0, (long)(together * REPEATS * 1e9)};
        nanosleep(&time, NULL);
    }
    for (int i = 0; i < REPEATS; i++)
        rates[i] = crs_bench_rate_all(team, values, n);
    *all = crs_bench_median(rates, REPEATS);
}

static void measure_level(const crs_bench_team *team, crs_bench_level *level, float *values) {
    const size_t n = (size_t)level->bytes / sizeof *values / CRS_BLOCK * CRS_BLOCK;
    /* Each thread's part lies near its core: it is the first to write to it. */
#pragma omp parallel num_threads(team->threads) if (team->threads > 1)
    memset(values + (size_t)omp_get_thread_num() * n, 1, n * sizeof *values);
    measure(team, values, n, &level->one, &level->all);
}

crs_status crs_bench_machine_measure(const crs_bench_team *team, crs_bench_machine *machine, crs_error *error) {
    size_t most = 0;
    *machine = (crs_bench_machine){0};
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0 || hwloc_topology_load(topology) != 0)
        crs_panic(__FILE__, __LINE__, "hwloc finds no machine"); /* out of memory */
    find_processor(topology, machine->processor, sizeof machine->processor);
    choose_levels(team, topology, machine->level);
    hwloc_topology_destroy(topology);
    for (int i = 0; i < CRS_BENCH_LEVELS; i++)
        most = most < (size_t)machine->level[i].bytes ? (size_t)machine->level[i].bytes : most;
    float *values = crs_alloc_or_fail((size_t)team->threads, most, CRS_MEMORY_OTHER, "measuring the memory", error);
    if (crs_comm_agree(team->comm, error) == CRS_OK) {
        measure(team, NULL, 0, &machine->peak_one, &machine->peak_all);
        for (int i = 0; i < CRS_BENCH_LEVELS; i++)
            measure_level(team, &machine->level[i], values);
    }
    crs_free(&values);
    return error->status;
}
