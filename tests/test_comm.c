/* Agreement, sums, broadcast, rows there and back, lanes; over as many ranks as there are. */
#include "config.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "comm/comm.h"
#include "comm/limits.h"
#include "harness.h"

static crs_comm *open_comm(void) {
    crs_comm *comm = crs_comm_open(NULL, NULL);
    CRS_ASSERT(comm != NULL);
    return comm;
}

static void test_open(void) {
    crs_comm *comm = open_comm();
    CU_ASSERT_EQUAL(crs_comm_rank(comm), harness_rank());
    CU_ASSERT_EQUAL(crs_comm_size(comm), harness_size());
    CU_ASSERT_EQUAL(crs_rank(), harness_rank());
    /* The tests run on one machine. */
    CU_ASSERT_EQUAL(crs_comm_node_size(comm), harness_size());
    CU_ASSERT_EQUAL(comm->node_rank, harness_rank());
    CU_ASSERT_EQUAL(crs_comm_time(comm), 0);
    crs_comm_barrier(comm);
    CU_ASSERT(crs_comm_time(comm) > 0);
    crs_comm_close(&comm);
    CU_ASSERT_PTR_NULL(comm);
    crs_comm_close(&comm);
}

/* What a launcher says in the environment, as it would. */
static void test_launched(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE",      "MV2_COMM_WORLD_SIZE", "PMIX_RANK",
                                        "SLURM_NTASKS",         "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS"};
    enum { COUNT = sizeof names / sizeof *names };
    char *kept[COUNT];
    for (int i = 0; i < COUNT; i++) {
        const char *value = getenv(names[i]);
        kept[i] = value ? crs_copy_text(value) : NULL;
        unsetenv(names[i]);
    }
    CU_ASSERT(!crs_comm_launched());
    for (int i = 0; i < 3; i++) {
        setenv(names[i], "2", 1);
        CU_ASSERT(crs_comm_launched());
        setenv(names[i], "1", 1);
        CU_ASSERT(!crs_comm_launched());
        unsetenv(names[i]);
    }
    /* A batch script of Slurm is no step of it. */
    setenv("SLURM_NTASKS", "4", 1);
    setenv("PMIX_RANK", "0", 1);
    CU_ASSERT(!crs_comm_launched());
    setenv("SLURM_STEP_ID", "0", 1);
    CU_ASSERT(crs_comm_launched());
    /* The shell that salloc gives is a step of one task. */
    setenv("SLURM_STEP_NUM_TASKS", "1", 1);
    CU_ASSERT(!crs_comm_launched());
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    CU_ASSERT(crs_comm_launched());
    for (int i = 0; i < COUNT; i++) {
        unsetenv(names[i]);
        if (kept[i])
            setenv(names[i], kept[i], 1);
        crs_free(&kept[i]);
    }
}

/* At least one each, and together no more than there are processors, where the ranks may run on the same ones. */
static void test_threads(void) {
    const char *variable = getenv("OMP_NUM_THREADS");
    char *kept = variable ? crs_copy_text(variable) : NULL;
    unsetenv("OMP_NUM_THREADS");
    crs_comm *comm = open_comm();
    const int threads = crs_comm_threads(comm, 0), size = crs_comm_size(comm);
    CU_ASSERT(threads >= 1);
    cpu_set_t set, first;
    CPU_ZERO(&set);
    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof set, &set), 0);
    const int processors = CPU_COUNT(&set);
    CU_ASSERT(threads <= processors);
    first = set;
    crs_comm_broadcast(comm, &first, sizeof first);
    if (crs_comm_min(comm, CPU_EQUAL(&first, &set))) {
        CU_ASSERT(threads == 1 || threads * size <= processors);
        CU_ASSERT_EQUAL(crs_comm_min(comm, threads), crs_comm_max(comm, threads));
    }
    CU_ASSERT_EQUAL(crs_comm_threads(comm, 0), threads);
    /* What was asked for counts; --threads most. */
    static const char *const asked[] = {"7", "7,3", " 7", "0", "-7", "", "many", "99999999999"};
    const int wanted[] = {7, 7, 7, threads, threads, threads, threads, CRS_THREADS_MOST};
    for (int i = 0; i < 8; i++) {
        setenv("OMP_NUM_THREADS", asked[i], 1);
        CU_ASSERT_EQUAL(crs_comm_threads(comm, 0), wanted[i]);
        CU_ASSERT_EQUAL(crs_comm_threads(comm, 5), 5);
    }
    unsetenv("OMP_NUM_THREADS");
    if (kept)
        setenv("OMP_NUM_THREADS", kept, 1);
    crs_free(&kept);
    const double memory = crs_comm_memory(comm);
    CU_ASSERT(memory > 1e6 && memory < 1e15 &&
              memory * size <= (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE));
    crs_comm_close(&comm);
}

/* What bounds the number, and what is said to. */
static void test_threads_choose(void) {
    static const struct {
        int cores;
        double given, share;
        const char *variable;
        int wanted;
        const char *from;
    } cases[] = {
        {8, INFINITY, INFINITY, NULL, 8, "cores"},
        {8, INFINITY, 8, NULL, 8, "cores"},
        {8, INFINITY, 2.5, NULL, 2, "control group"},
        {8, INFINITY, 7.9, NULL, 7, "control group"},
        {8, INFINITY, 0.3, NULL, 1, "control group"},
        {1, INFINITY, 2.5, NULL, 1, "cores"},
        {8, 1, 2, "7,3", 7, "OMP_NUM_THREADS"},
        {2, INFINITY, INFINITY, "7", 7, "OMP_NUM_THREADS"},
        {8, INFINITY, 2.5, "0", 2, "control group"},
        {8, INFINITY, 2.5, "many", 2, "control group"},
        {8, INFINITY, INFINITY, "-3", 8, "cores"},
        {8, INFINITY, 2, "4000", CRS_THREADS_MOST, "OMP_NUM_THREADS"},
        {8, 3, INFINITY, NULL, 3, "Slurm"},
        {8, 0.5, INFINITY, NULL, 1, "Slurm"},
        {8, 8, INFINITY, NULL, 8, "cores"},
        {8, 6, 2.5, NULL, 2, "control group"},
        {8, 2, 2.5, NULL, 2, "Slurm"},
        {2, 4, INFINITY, NULL, 2, "cores"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *from = "";
        CU_ASSERT_EQUAL(crs_threads_choose(cases[i].cores, cases[i].given, cases[i].share, cases[i].variable, &from),
                        cases[i].wanted);
        CU_ASSERT_PTR_NOT_NULL(strstr(from, cases[i].from));
    }
    CU_ASSERT_EQUAL(crs_memory_choose(8e9, INFINITY, 2), 4e9);
    CU_ASSERT_EQUAL(crs_memory_choose(8e9, 2e9, 2), 1e9);
    CU_ASSERT_EQUAL(crs_memory_choose(INFINITY, 2e9, 1), 2e9);
    CU_ASSERT_EQUAL(crs_memory_choose(INFINITY, INFINITY, 4), INFINITY);
}

/* What Slurm says in the environment. */
static void test_slurm(void) {
    static const char *const names[] = {"SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "SLURM_STEP_ID",
                                        "SLURM_NTASKS",        "SLURM_PROCID",       "SLURMD_NODENAME"};
    enum { COUNT = sizeof names / sizeof *names };
    char *kept[COUNT];
    for (int i = 0; i < COUNT; i++) {
        kept[i] = getenv(names[i]) ? crs_copy_text(getenv(names[i])) : NULL;
        unsetenv(names[i]);
    }
    CU_ASSERT_EQUAL(crs_slurm_given(2), INFINITY);
    setenv("SLURM_CPUS_ON_NODE", "6", 1);
    CU_ASSERT_EQUAL(crs_slurm_given(2), 3);
    setenv("SLURM_CPUS_PER_TASK", "2", 1);
    CU_ASSERT_EQUAL(crs_slurm_given(2), 2);
    static const int numbers[] = {2, 2, 2, 1, 0};
    for (int node = 0; node < 5; node++)
        CU_ASSERT_EQUAL(crs_slurm_number("2(x3),1", node), numbers[node]);
    CU_ASSERT_EQUAL(crs_slurm_number(NULL, 0), 0);
    CU_ASSERT_EQUAL(crs_slurm_number("many", 0), 0);
    CU_ASSERT_EQUAL(crs_slurm_number("12", 0), 12);
    /* Bound to cores of its own or not, alone on the machine or not, and on more than Slurm gave. */
    CU_ASSERT(!crs_cores_shared(8, 8, 1, INFINITY));
    CU_ASSERT(!crs_cores_shared(4, 8, 2, INFINITY));
    CU_ASSERT(crs_cores_shared(8, 8, 2, INFINITY));
    CU_ASSERT(crs_cores_shared(8, 8, 1, 4));
    CU_ASSERT(!crs_cores_shared(4, 8, 1, 4));

    setenv("SLURMD_NODENAME", harness_rank() % 2 ? "odd" : "even", 1);
    crs_comm *comm = open_comm();
    for (int r = 0; r < harness_size(); r++)
        CU_ASSERT_STRING_EQUAL(crs_comm_host(comm, r), r % 2 ? "odd" : "even");
    setenv("SLURM_CPUS_PER_TASK", "1000", 1);
    crs_crowd crowd = crs_comm_crowd(comm, 1000);
    CU_ASSERT_EQUAL(crowd.crowded_threads, 1000 * harness_size());
    CU_ASSERT_EQUAL(crowd.crowded_cores, crowd.cores);
    CU_ASSERT_EQUAL(crowd.ranks, harness_size());
    CU_ASSERT_EQUAL(crowd.most, 1000);
    CU_ASSERT(crowd.cores >= 1 && crowd.cores <= crowd.machine);
    crs_comm_close(&comm);
    for (int i = 0; i < COUNT; i++) {
        unsetenv(names[i]);
        if (kept[i])
            setenv(names[i], kept[i], 1);
        crs_free(&kept[i]);
    }
}

/* ---- control groups ---- */

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    CU_ASSERT_FATAL(file != NULL);
    fputs(text, file);
    fclose(file);
}

/* A tree as the system shows it: the lowest of a group and those above it counts, of either version. */
static void test_limits(void) {
    static const struct {
        const char *groups, *file, *text;
        double memory, cores;
    } cases[] = {
        {"0::/", NULL, NULL, INFINITY, INFINITY},
        {"0::/a/b\n", "a/b/memory.max", "max\n", INFINITY, INFINITY},
        {"0::/a/b\n", "a/b/memory.max", "8000000\n", 8e6, INFINITY},
        {"0::/a/b\n", "a/memory.max", "7000000\n", 7e6, INFINITY},
        {"0::/a/b\n", "memory.max", "9000000\n", 7e6, INFINITY},
        {"0::/a/b\n", "a/cpu.max", "max 100000\n", 7e6, INFINITY},
        {"0::/a/b\n", "a/b/cpu.max", "250000 100000\n", 7e6, 2.5},
        {"0::/a\n", NULL, NULL, 7e6, INFINITY},
        {"0::/elsewhere/seen/from/outside\n", NULL, NULL, 9e6, INFINITY},
        {"rubbish\n\n7\n", NULL, NULL, INFINITY, INFINITY},
        {"3:memory:/j\n2:cpu,cpuacct:/j\n1:name=systemd:/a/b\n", "memory/j/memory.limit_in_bytes", "6000000\n", 6e6,
         INFINITY},
        {"3:memory:/j\n2:cpu,cpuacct:/j\n", "cpu,cpuacct/j/cpu.cfs_period_us", "100000\n", 6e6, INFINITY},
        {"3:memory:/j\n2:cpu,cpuacct:/j\n", "cpu,cpuacct/j/cpu.cfs_quota_us", "-1\n", 6e6, INFINITY},
        {"3:memory:/j\n2:cpu,cpuacct:/j\n", "cpu,cpuacct/cpu.cfs_period_us", "200000\n", 6e6, INFINITY},
        {"3:memory:/j\n2:cpu,cpuacct:/j\n", "cpu,cpuacct/cpu.cfs_quota_us", "100000\n", 6e6, 0.5},
    };
    static const char *const folders[] = {"", "/a", "/a/b", "/memory", "/memory/j", "/cpu,cpuacct", "/cpu,cpuacct/j"};
    char name[32], path[4200], groups[4200];
    snprintf(name, sizeof name, "groups-%d", harness_rank());
    const char *root = harness_path(name);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s%s", root, folders[i]);
        CU_ASSERT_EQUAL_FATAL(mkdir(path, 0777), 0);
    }
    snprintf(groups, sizeof groups, "%s/groups", root);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(path, sizeof path, "%s/%s", root, cases[i].file ? cases[i].file : "none");
        if (cases[i].file)
            write_file(path, cases[i].text);
        write_file(groups, cases[i].groups);
        const crs_limits limits = crs_limits_read(root, groups);
        CU_ASSERT_EQUAL(limits.memory, cases[i].memory);
        CU_ASSERT_EQUAL(limits.cores, cases[i].cores);
    }
    snprintf(groups, sizeof groups, "%s/no-such-file", root);
    CU_ASSERT_EQUAL(crs_limits_read(root, groups).memory, INFINITY);
}

/* The binding at the start is the one that the launcher gave; OpenMP's may be narrower. */
static void test_first_binding(void) {
    cpu_set_t now;
    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof now, &now), 0);
    hwloc_bitmap_t first = crs_first_binding();
    CU_ASSERT_PTR_NOT_NULL_FATAL(first);
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        CU_ASSERT(!CPU_ISSET(i, &now) || hwloc_bitmap_isset(first, i));
    hwloc_bitmap_free(first);
}

/* ---- agreement ----------------------------------------------------------------------------------------*/

/* The ranks of the bit mask fail, each with its own message and status, or all with the same ones. */
static void agree(crs_comm *comm, unsigned failing, bool same) {
    static const crs_status statuses[] = {CRS_DATA, CRS_CONFIG, CRS_NO_INPUT, CRS_CREATE};
    const int rank = crs_comm_rank(comm), size = crs_comm_size(comm);
    crs_error error = {.status = CRS_OK, .message = "nothing"};
    if (failing >> rank & 1)
        crs_fail(&error, same ? CRS_DATA : statuses[rank], "failure %d", same ? 7 : rank);
    int first = 0;
    while (first < size && !(failing >> first & 1))
        first++;
    const crs_status got = crs_comm_agree(comm, &error);
    CU_ASSERT_EQUAL(got, error.status);
    if (first == size) {
        CU_ASSERT_EQUAL(got, CRS_OK);
        return;
    }
    char expected[64], plain[32];
    snprintf(plain, sizeof plain, "failure %d", same ? 7 : first);
    snprintf(expected, sizeof expected, "rank %d: %s", first, plain);
    CU_ASSERT_EQUAL(got, same ? CRS_DATA : statuses[first]);
    CU_ASSERT_STRING_EQUAL(error.message, first == 0 ? plain : expected);
}

static void test_agree(void) {
    crs_comm *comm = open_comm();
    for (unsigned failing = 0; failing < 1u << crs_comm_size(comm); failing++) {
        agree(comm, failing, false);
        agree(comm, failing, true);
    }
    crs_comm_close(&comm);
}

/* A message that only just fits stays one, with the rank before it. */
static void test_agree_long(void) {
    crs_comm *comm = open_comm();
    const int last = crs_comm_size(comm) - 1;
    char text[CRS_MESSAGE_MAX];
    crs_error error = {0};
    memset(text, 'm', sizeof text);
    text[sizeof text - 1] = '\0';
    if (crs_comm_rank(comm) == last)
        crs_fail(&error, CRS_DATA, "%s", text);
    CU_ASSERT_EQUAL(crs_comm_agree(comm, &error), CRS_DATA);
    CU_ASSERT_EQUAL(strlen(error.message), CRS_MESSAGE_MAX - 1);
    if (last > 0) {
        char start[32];
        snprintf(start, sizeof start, "rank %d: mmm", last);
        CU_ASSERT(strncmp(error.message, start, strlen(start)) == 0);
        CU_ASSERT_STRING_EQUAL(error.message + CRS_MESSAGE_MAX - 4, "...");
    }
    crs_comm_close(&comm);
}

/* One rank has another text than rank 0, in the line that is told; or fails by itself. */
static void test_same(void) {
    enum { LONG = 5000 };
    crs_comm *comm = open_comm();
    const int size = crs_comm_size(comm), rank = crs_comm_rank(comm);
    char text[LONG], expected[128];
    crs_comm_set_chunk(comm, 7);
    for (int odd = 0; odd < size; odd++) {
        crs_error error = {0};
        CU_ASSERT_EQUAL(crs_comm_same(comm, "one\ntwo\n", CRS_DATA, "file", "mend it", &error), CRS_OK);
        CU_ASSERT_EQUAL(
            crs_comm_same(comm, rank == odd ? "one\nTWO\nx" : "one\ntwo\nx", CRS_CONFIG, "file", "mend it", &error),
            size > 1 ? CRS_CONFIG : CRS_OK);
        snprintf(expected, sizeof expected, "rank %d: file is not that of rank 0: %s here, %s there; mend it",
                 odd > 0 ? odd : 1, odd > 0 ? "TWO" : "two", odd > 0 ? "two" : "TWO");
        CU_ASSERT_STRING_EQUAL(error.message, size > 1 ? expected : "");
        error = (crs_error){0};
        memset(text, 'm', LONG - 1);
        text[LONG - 1] = '\0';
        text[LONG - 2 - (rank == odd)] = '\0'; /* the beginning of the others' */
        CU_ASSERT_EQUAL(crs_comm_same(comm, text, CRS_DATA, "file", "mend it", &error), size > 1 ? CRS_DATA : CRS_OK);
        error = (crs_error){0};
        if (rank == odd)
            crs_fail(&error, CRS_NO_INPUT, "none.h5: is missing");
        CU_ASSERT_EQUAL(crs_comm_same(comm, rank == odd ? NULL : "", CRS_DATA, "file", "mend it", &error),
                        CRS_NO_INPUT);
        snprintf(expected, sizeof expected, "rank %d: none.h5: is missing", odd);
        CU_ASSERT_STRING_EQUAL(error.message, size > 1 ? expected : "none.h5: is missing");
    }
    crs_error error = {.status = CRS_NO_INPUT, .message = "of all"};
    CU_ASSERT_EQUAL(crs_comm_same(comm, NULL, CRS_DATA, "file", "mend it", &error), CRS_NO_INPUT);
    CU_ASSERT_STRING_EQUAL(error.message, "of all");
    crs_comm_close(&comm);
}

/* ---- sums, extremes, broadcast ------------------------------------------------------------------------*/

enum { VALUES = 37 };

static void test_sum(void) {
    static const size_t chunks[] = {0, 1, 2, 7, 36, 37, 38};
    crs_comm *comm = open_comm();
    const int64_t size = crs_comm_size(comm), rank = crs_comm_rank(comm);
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        crs_comm_set_chunk(comm, chunks[c]);
        for (size_t n = 0; n <= VALUES; n += n < 3 ? 1 : 17) {
            int64_t values[VALUES + 1];
            for (int64_t i = 0; i <= VALUES; i++)
                values[i] = i % 2 ? (rank + 1) * (i + ((int64_t)1 << 59)) : -(rank + 1) * i;
            crs_comm_sum(comm, values, n);
            /* 1 + 2 + .. + size times; what is beyond n stays. */
            const int64_t times = size * (size + 1) / 2;
            for (int64_t i = 0; i <= VALUES; i++) {
                const int64_t factor = i < (int64_t)n ? times : rank + 1;
                CU_ASSERT_EQUAL(values[i], i % 2 ? factor * (i + ((int64_t)1 << 59)) : -factor * i);
            }
        }
    }
    crs_comm_close(&comm);
}

/* 1 + 2^60 - 2^60 over three ranks, in whatever order: a sum in floating point would lose the 1. */
static void test_sum_exact(void) {
    static const int64_t parts[] = {1, (int64_t)1 << 60, -((int64_t)1 << 60), 3};
    crs_comm *comm = open_comm();
    int64_t value = parts[crs_comm_rank(comm) % 4], expected = 0;
    for (int r = 0; r < crs_comm_size(comm); r++)
        expected += parts[r % 4];
    crs_comm_sum(comm, &value, 1);
    CU_ASSERT_EQUAL(value, expected);
    crs_comm_close(&comm);
}

/* Value i of a rank: of many sizes, with a sign. */
static int64_t drawn(int rank, size_t i) {
    uint64_t out[4];
    crs_random(5, CRS_DRAW_PARAMETER, (uint64_t)rank, i, 0, 0, out);
    const int64_t size = (int64_t)(out[0] >> (3 + i % 50));
    return out[1] & 1 ? size : -size;
}

/* What ranks own: regions of unlike sizes, of which some ranks have nothing; one that all get; two stages. */
enum { REGIONS = 3, STAGES = 2, NUMBERS = 1600, TRAILER = 5 };
typedef struct owned {
    size_t bound[REGIONS * 65];
    bool derived[REGIONS];
    crs_extent extent[2 * 64];
    int first[64 * (STAGES + 1)];
    crs_exchange_plan plan;
} owned;

static void own(owned *o, int ranks, crs_isa isa) {
    static const size_t begin[REGIONS + 1] = {0, 16, 1008, NUMBERS};
    for (int k = 0; k < REGIONS; k++) {
        o->derived[k] = k == 1;
        for (int r = 0; r <= ranks; r++)
            o->bound[k * (ranks + 1) + r] =
                begin[k] + (begin[k + 1] - begin[k]) / CRS_BLOCK * (size_t)r / (size_t)ranks * CRS_BLOCK;
    }
    for (int r = 0, i = 0; r < ranks; r++)
        for (int g = 0; g <= STAGES; g++) {
            o->first[r * (STAGES + 1) + g] = i;
            if (g < STAGES) {
                const size_t from = 50 * (size_t)(g * ranks + r) / (size_t)(STAGES * ranks) * CRS_BLOCK;
                const size_t to = 50 * (size_t)(g * ranks + r + 1) / (size_t)(STAGES * ranks) * CRS_BLOCK;
                o->extent[i++] = (crs_extent){from, to - from};
            }
        }
    o->plan = (crs_exchange_plan){crs_kernels_of(isa), REGIONS, o->bound, o->derived, TRAILER, 2, STAGES,
                                  o->extent,           o->first};
}

static int64_t total_of(int ranks, size_t i, double *sizes) {
    uint64_t sum = 0;
    *sizes = 0;
    for (int r = 0; r < ranks; r++) {
        sum += (uint64_t)drawn(r, i);
        *sizes += fabs((double)drawn(r, i));
    }
    return (int64_t)sum;
}

/* Sums of every size arrive whole at their owners, derived ones and the trailer at all; told early, late or not at all
 * that they are complete; twice, as buffers are used again. */
static void test_exchange_sums(void) {
    static owned o;
    static int64_t values[NUMBERS + TRAILER];
    crs_comm *comm = open_comm();
    const int ranks = crs_comm_size(comm), rank = crs_comm_rank(comm);
    crs_error error = {0};
    crs_exchange *x;
    own(&o, ranks, crs_isa_best());
    CU_ASSERT_EQUAL_FATAL(crs_exchange_create(&x, comm, &o.plan, &error), CRS_OK);
    for (int round = 0; round < 6; round++) {
        const bool rounded = round % 2, early = round < 2 || rank % 2;
        memset(values, 0x55, sizeof values);
        crs_exchange_begin(x, values, rounded);
        for (int k = 0; k < REGIONS; k++) {
            const size_t begin = o.bound[k * (ranks + 1)], end = o.bound[k * (ranks + 1) + ranks];
            for (size_t i = begin; i < end; i++)
                values[i] = drawn(rank, i);
            if (round < 4 && early)
                crs_exchange_ready(x, end - (k == 2 ? 1 : 0));
            if (round < 4 && !early)
                usleep(2000); /* what comes from others comes before this rank's own are complete */
            crs_exchange_progress(x);
        }
        for (size_t i = NUMBERS; i < NUMBERS + TRAILER; i++)
            values[i] = drawn(rank, i);
        int64_t notes[2 * 64] = {0};
        notes[2 * rank] = 100 * rank + round;
        notes[2 * rank + 1] = -rank;
        crs_exchange_finish(x, notes);
        for (int r = 0; r < ranks; r++)
            CU_ASSERT(notes[2 * r] == 100 * r + round && notes[2 * r + 1] == -r);
        int wrong = 0, exact = 0, known = 0;
        for (size_t i = 0; i < NUMBERS + TRAILER; i++) {
            int k = 0;
            double sizes;
            while (k < REGIONS && i >= o.bound[k * (ranks + 1) + ranks])
                k++;
            const size_t *bound = o.bound + k * (ranks + 1);
            if (k < REGIONS && !o.derived[k] && (i < bound[rank] || i >= bound[rank + 1]))
                continue;
            const int64_t total = total_of(ranks, i, &sizes);
            known += k < REGIONS;
            exact += k < REGIONS && values[i] == total;
            wrong += rounded && k < REGIONS ? fabs((double)values[i] - (double)total) > sizes * ranks * 0x1p-24
                                            : values[i] != total;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT(known >= 992);
        /* They did travel as floats: what has more than 24 bits is rounded. */
        if (rounded && ranks > 1)
            CU_ASSERT(exact < known / 2);
    }
    if (ranks > 1)
        CU_ASSERT(crs_exchange_bytes(x) > 0);
    crs_exchange_free(&x);
    crs_comm_close(&comm);
}

/* Rounded up to 2^63, which no int64 holds. */
static void test_exchange_ends(void) {
    static owned o;
    static int64_t values[NUMBERS + TRAILER];
    crs_comm *comm = open_comm();
    const int ranks = crs_comm_size(comm), rank = crs_comm_rank(comm);
    crs_error error = {0};
    crs_exchange *x;
    own(&o, ranks, CRS_ISA_BASELINE);
    CU_ASSERT_EQUAL_FATAL(crs_exchange_create(&x, comm, &o.plan, &error), CRS_OK);
    for (size_t i = 0; i < NUMBERS; i++)
        values[i] = i % 2 ? INT64_MIN : INT64_MAX;
    crs_exchange_begin(x, values, true);
    int64_t notes[2 * 64] = {0};
    crs_exchange_finish(x, notes);
    int wrong = 0;
    for (size_t i = o.bound[2 * (ranks + 1) + rank]; i < o.bound[2 * (ranks + 1) + rank + 1]; i++)
        wrong += values[i] != (i % 2 ? INT64_MIN : INT64_MAX);
    CU_ASSERT_EQUAL(wrong, 0);
    crs_exchange_free(&x);
    crs_comm_close(&comm);
}

static float parameter(size_t i, int step) {
    uint64_t out[4];
    crs_random(6, CRS_DRAW_PARAMETER, (uint64_t)step, i, 0, 0, out);
    uint32_t bits = (uint32_t)(i % 7 == 0 ? out[0] : out[0] >> 44); /* any at all, and near each other */
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Each rank changes its own; stage by stage all have them, bit for bit, NaN and -0 too. */
static void test_exchange_parameters(void) {
    static owned o;
    static float values[800], wanted[800];
    crs_comm *comm = open_comm();
    const int ranks = crs_comm_size(comm), rank = crs_comm_rank(comm);
    crs_error error = {0};
    crs_exchange *x;
    own(&o, ranks, crs_isa_best());
    CU_ASSERT_EQUAL_FATAL(crs_exchange_create(&x, comm, &o.plan, &error), CRS_OK);
    for (int step = 0; step < 3; step++) {
        crs_exchange_keep(x, values);
        for (int g = 0; g < STAGES; g++)
            for (size_t i = o.extent[o.first[rank * 3 + g]].at, end = i + o.extent[o.first[rank * 3 + g]].count;
                 i < end; i++)
                values[i] = parameter(i, step);
        for (size_t i = 0; i < 800; i++)
            wanted[i] = parameter(i, step);
        crs_exchange_spread(x, values);
        CU_ASSERT_EQUAL(crs_exchange_here(x, 0), ranks > 1);
        CU_ASSERT(memcmp(values, wanted, 25 * 16 * sizeof *values) == 0);
        CU_ASSERT_EQUAL(crs_exchange_here(x, 0), false);
        crs_exchange_here(x, 1);
        CU_ASSERT(memcmp(values, wanted, sizeof values) == 0);
    }
    crs_exchange_free(&x);
    crs_comm_close(&comm);
}

/* Every rank has what each had. */
static void test_share(void) {
    crs_comm *comm = open_comm();
    const int ranks = crs_comm_size(comm), rank = crs_comm_rank(comm);
    size_t at[65] = {0};
    static char bytes[64 * 200];
    for (int r = 0; r < ranks; r++)
        at[r + 1] = at[r] + (size_t)(r * 37 % 150);
    memset(bytes, 0, sizeof bytes);
    memset(bytes + at[rank], 'a' + rank, at[rank + 1] - at[rank]);
    crs_comm_share(comm, bytes, at);
    int wrong = 0;
    for (int r = 0; r < ranks; r++)
        for (size_t i = at[r]; i < at[r + 1]; i++)
            wrong += bytes[i] != 'a' + r;
    CU_ASSERT_EQUAL(wrong, 0);
    crs_comm_close(&comm);
}

static void test_extremes(void) {
    crs_comm *comm = open_comm();
    const int rank = crs_comm_rank(comm), size = crs_comm_size(comm);
    for (int at = 0; at < size; at++) {
        CU_ASSERT_EQUAL(crs_comm_min(comm, rank == at ? -3 : rank), -3);
        CU_ASSERT_EQUAL(crs_comm_max(comm, rank == at ? 100 : rank), 100);
        CU_ASSERT_EQUAL(crs_comm_min(comm, rank == at ? INT64_MIN : INT64_MAX), INT64_MIN);
        CU_ASSERT_EQUAL(crs_comm_max(comm, rank == at ? INT64_MAX : INT64_MIN), INT64_MAX);
        /* More than a double can tell apart. */
        CU_ASSERT_EQUAL(crs_comm_max(comm, INT64_MAX - (rank == at ? 1 : 2)), INT64_MAX - 1);
    }
    crs_comm_close(&comm);
}

static void test_broadcast(void) {
    static const size_t chunks[] = {0, 1, 7, 64, 99, 100, 101};
    crs_comm *comm = open_comm();
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        crs_comm_set_chunk(comm, chunks[c]);
        for (size_t count = 0; count <= 100; count += count == 0 ? 1 : 33) {
            unsigned char bytes[101];
            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (unsigned char)(i + 1 + 100 * (size_t)crs_comm_rank(comm));
            crs_comm_broadcast(comm, bytes, count);
            for (size_t i = 0; i < sizeof bytes; i++)
                CU_ASSERT_EQUAL(bytes[i], (unsigned char)(i + 1 + (i < count ? 0 : 100 * (size_t)crs_comm_rank(comm))));
        }
    }
    crs_comm_close(&comm);
}

/* ---- rows ---------------------------------------------------------------------------------------------*/

/* Byte k of a row, of all of them. */
static unsigned char row_byte(int row, size_t k) {
    return (unsigned char)(row * 31 + (int)k * 7 + 1);
}

/* Gathers the rows, which must come in order; what each rank has stays as it was. */
static void gather_rows(crs_comm *comm, const int *rows_of, size_t row_bytes) {
    const int rank = crs_comm_rank(comm), size = crs_comm_size(comm);
    int first = 0, total = 0, bad = 0;
    for (int r = 0; r < size; r++) {
        first += r < rank ? rows_of[r] : 0;
        total += rows_of[r];
    }
    const size_t own = (size_t)rows_of[rank] * row_bytes, whole = (size_t)total * row_bytes;
    unsigned char *mine = crs_alloc(own + 1, 1, CRS_MEMORY_OTHER);
    unsigned char *all = rank == 0 ? crs_alloc(whole + 1, 1, CRS_MEMORY_OTHER) : NULL;
    for (size_t i = 0; i < own; i++)
        mine[i] = row_byte(first + (int)(i / row_bytes), i % row_bytes);
    mine[own] = 0xee;
    if (all)
        all[whole] = 0xdd;
    crs_comm_gather(comm, mine, all, rows_of, row_bytes);
    for (size_t i = 0; all && i < whole; i++)
        bad += all[i] != row_byte((int)(i / row_bytes), i % row_bytes);
    for (size_t i = 0; i < own; i++)
        bad += mine[i] != row_byte(first + (int)(i / row_bytes), i % row_bytes);
    bad += mine[own] != 0xee || (all && all[whole] != 0xdd);
    CU_ASSERT_EQUAL(bad, 0);
    crs_free(&mine);
    crs_free(&all);
}

static void test_rows(void) {
    static const int shares[][4] = {{1, 1, 1, 1}, {3, 1, 4, 2}, {0, 5, 0, 3}, {2, 0, 0, 0}, {0, 0, 0, 9}, {0, 0, 0, 0}};
    static const size_t chunks[] = {0, 1, 5, 24}, widths[] = {1, 8, 13};
    crs_comm *comm = open_comm();
    CU_ASSERT_FATAL(crs_comm_size(comm) <= 4);
    for (size_t c = 0; c < 4; c++) {
        crs_comm_set_chunk(comm, chunks[c]);
        for (size_t s = 0; s < sizeof shares / sizeof *shares; s++)
            for (size_t w = 0; w < 3; w++)
                gather_rows(comm, shares[s], widths[w]);
    }
    crs_comm_close(&comm);
}

/* ---- lanes --------------------------------------------------------------------------------------------*/

static const int batches[] = {1, 5, 50, 64}, windows[] = {1, 50, 64, 300};

/* Lanes of min(ceil(256 / window), floor(batch / 8)) rows, at least 1, but no more than a number of the list says. */
static int plain_lanes(int batch, int window) {
    static const int list[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512};
    const double rows = fmax(1, fmin(ceil(256.0 / window), floor(batch / 8.0)));
    int i = 0;
    while (list[i + 1] <= ceil(batch / rows))
        i++;
    return list[i];
}

/* Every row has one owner, and the ranks' rows follow each other. */
static void check_owners(int batch, int window, int lane, int count, int ranks) {
    int owners[64] = {0}, rows_of[9], next_row = 0, next_lane = 0, most = 0;
    crs_error error = {0};
    crs_lanes l;
    const int lanes = count ? count : lane ? (batch + lane - 1) / lane : plain_lanes(batch, window);
    for (int rank = 0; rank < ranks; rank++) {
        CU_ASSERT_EQUAL_FATAL(crs_lanes_plan(&l, batch, window, lane, count, rank, ranks, &error), CRS_OK);
        CU_ASSERT_EQUAL(l.batch, batch);
        CU_ASSERT_EQUAL(l.lanes, lanes);
        CU_ASSERT_EQUAL(l.lane_rows, lane ? lane : (batch + lanes - 1) / lanes);
        CU_ASSERT_EQUAL(l.first_lane, next_lane);
        CU_ASSERT_EQUAL(l.first_row, next_row);
        CU_ASSERT(l.own_lanes >= 1);
        CU_ASSERT(l.own_rows >= 1);
        CU_ASSERT_EQUAL(l.first_row, crs_lane_start(&l, l.first_lane));
        CU_ASSERT_EQUAL(l.first_row + l.own_rows, crs_lane_start(&l, l.first_lane + l.own_lanes));
        for (int row = l.first_row; row < l.first_row + l.own_rows && row < 64; row++)
            owners[row]++;
        crs_lanes_rows(&l, ranks, rows_of);
        CU_ASSERT_EQUAL(rows_of[rank], l.own_rows);
        next_lane += l.own_lanes;
        next_row += l.own_rows;
        most = l.own_rows > most ? l.own_rows : most;
    }
    CU_ASSERT_EQUAL(next_lane, l.lanes);
    CU_ASSERT_EQUAL(next_row, batch);
    for (int row = 0; row < 64; row++)
        CU_ASSERT_EQUAL(owners[row], row < batch);
    CU_ASSERT_DOUBLE_EQUAL(l.efficiency, (double)batch / ranks / most, 1e-15);
    for (int k = 0; k < l.lanes; k++) {
        const int rows = crs_lane_start(&l, k + 1) - crs_lane_start(&l, k);
        CU_ASSERT(rows >= 1 && rows <= l.lane_rows);
    }
}

/* The number behind `--name=` in a message, or 0. */
static int suggested(const char *message, const char *name) {
    const char *would = strstr(message, ";"), *at = would ? strstr(would, name) : NULL;
    return at ? (int)strtol(at + strlen(name), NULL, 10) : 0;
}

/* What a refusal says would do is tried: it does. */
static void check_refusal(int batch, int window, int lane, int count, int ranks, const crs_error *error) {
    crs_lanes l;
    crs_error other = {0};
    const int new_batch = suggested(error->message, "--batch="), new_lane = suggested(error->message, "--lane=");
    const int new_ranks = suggested(error->message, "at most "), new_count = suggested(error->message, "--lanes=");
    CU_ASSERT_EQUAL(error->status, CRS_CONFIG);
    CU_ASSERT(new_batch > batch || new_lane > 0 || new_count > 0);
    CU_ASSERT_EQUAL(new_lane > 0 || (new_count > 0 && new_batch == 0), ranks <= batch);
    CU_ASSERT_EQUAL(new_count > 0, count > 0); /* the two exclude each other */
    if (new_batch)
        CU_ASSERT_EQUAL(crs_lanes_plan(&l, new_batch, window, lane, new_count, ranks - 1, ranks, &other), CRS_OK);
    if (new_lane)
        CU_ASSERT_EQUAL(crs_lanes_plan(&l, batch, window, new_lane, 0, ranks - 1, ranks, &other), CRS_OK);
    if (new_count && !new_batch)
        CU_ASSERT_EQUAL(crs_lanes_plan(&l, batch, window, 0, new_count, ranks - 1, ranks, &other), CRS_OK);
    if (new_ranks)
        CU_ASSERT_EQUAL(crs_lanes_plan(&l, batch, window, lane, count, new_ranks - 1, new_ranks, &other), CRS_OK);
}

static void test_lanes(void) {
    static const int lanes[] = {0, 1, 3, 7, 8, 64};
    int planned = 0, refused = 0;
    for (int k = 0; k < 4 * 4 * 6 * 9 * 2; k++) {
        const int batch = batches[k % 4], window = windows[k / 4 % 4], given = lanes[k / 16 % 6],
                  ranks = k / 96 % 9 + 1;
        const int lane = k < 4 * 4 * 6 * 9 ? given : 0, count = given - lane;
        const int wanted = count ? count : lane ? (batch + lane - 1) / lane : plain_lanes(batch, window);
        crs_lanes l;
        crs_error error = {0};
        const crs_status status = crs_lanes_plan(&l, batch, window, lane, count, 0, ranks, &error);
        CU_ASSERT_EQUAL(status == CRS_OK, lane <= batch && wanted <= batch && ranks <= wanted);
        if (status == CRS_OK)
            check_owners(batch, window, lane, count, ranks);
        else
            check_refusal(batch, window, lane, count, ranks, &error);
        planned += status == CRS_OK;
        refused += status != CRS_OK;
    }
    CU_ASSERT(planned > 200);
    CU_ASSERT(refused > 200);
}

static void test_lane_default(void) {
    static const int known[][4] = {{1, 1, 1, 1},       {64, 1, 8, 8},        {64, 50, 8, 8},       {64, 64, 16, 4},
                                   {64, 300, 64, 1},   {50, 50, 8, 7},       {50, 64, 12, 5},      {50, 257, 48, 2},
                                   {7, 1, 6, 2},       {16, 128, 8, 2},      {15, 1, 12, 2},       {100, 50, 16, 7},
                                   {3, 9, 3, 1},       {2, 9, 2, 1},         {4096, 1, 16, 256},   {300, 257, 256, 2},
                                   {400, 257, 384, 2}, {3000, 300, 2048, 2}, {3072, 300, 3072, 1}, {1000, 1, 8, 125},
                                   {4096, 10, 128, 32}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        crs_lanes l;
        crs_error error = {0};
        CU_ASSERT_EQUAL(crs_lanes_plan(&l, known[i][0], known[i][1], 0, 0, 0, 1, &error), CRS_OK);
        CU_ASSERT_EQUAL(l.lanes, known[i][2]);
        CU_ASSERT_EQUAL(l.lane_rows, known[i][3]);
    }
}

/* Both recorded: as they are. Runs of before recorded the rows alone, and have as many lanes as then. */
static void test_lanes_recorded(void) {
    for (int batch = 1; batch < 200; batch++)
        for (int lane = 0; lane <= batch; lane += 1 + lane / 2) {
            crs_lanes first, again;
            crs_error error = {0};
            CU_ASSERT_EQUAL(crs_lanes_plan(&first, batch, 20, lane, 0, 0, 1, &error), CRS_OK);
            CU_ASSERT(lane == 0 || first.lanes == (batch + lane - 1) / lane);
            CU_ASSERT(lane == 0 || first.lane_rows == lane);
            CU_ASSERT_EQUAL(crs_lanes_plan(&again, batch, 20, first.lane_rows, first.lanes, 0, 1, &error), CRS_OK);
            CU_ASSERT(again.lanes == first.lanes && again.lane_rows == first.lane_rows);
        }
    /* Two that do not belong together: no lane has less than half of its nominal rows. */
    crs_lanes l;
    crs_error error = {0};
    CU_ASSERT_EQUAL(crs_lanes_plan(&l, 50, 20, 50, 25, 0, 1, &error), CRS_OK);
    CU_ASSERT(l.lanes == 25 && l.lane_rows == 2);
}

/* Many ranks, and the largest batch there can be: no number in between is too large. */
static void test_lanes_large(void) {
    crs_lanes l;
    crs_error error = {0};
    for (int ranks = 10; ranks < 2000; ranks += 37)
        for (int k = 0; k < 16; k++)
            if (crs_lanes_plan(&l, batches[k % 4], windows[k / 4], 0, 0, 0, ranks, &error) != CRS_OK)
                check_refusal(batches[k % 4], windows[k / 4], 0, 0, ranks, &error);
    const int most = INT_MAX / 4;
    CU_ASSERT_EQUAL(crs_lanes_plan(&l, most, 50, 0, 0, 99, 100, &error), CRS_OK);
    CU_ASSERT_EQUAL(l.first_row + l.own_rows, most);
    CU_ASSERT_EQUAL(crs_lanes_plan(&l, most, 50, 0, most, 99, 100, &error), CRS_OK);
    CU_ASSERT_EQUAL(l.first_row + l.own_rows, most);
    CU_ASSERT_EQUAL(crs_lanes_plan(&l, most, 50, most, 0, 0, 9, &error), CRS_CONFIG);
    CU_ASSERT_EQUAL(suggested(error.message, "--lane="), most / 9);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--batch=4294967289 would do"));
}

int main(int argc, char **argv) {
    static const harness_test ranks[] = {HARNESS_TEST(test_open),
                                         HARNESS_TEST(test_launched),
                                         HARNESS_TEST(test_slurm),
                                         HARNESS_TEST(test_threads),
                                         HARNESS_TEST(test_threads_choose),
                                         HARNESS_TEST(test_limits),
                                         HARNESS_TEST(test_first_binding),
                                         HARNESS_TEST(test_agree),
                                         HARNESS_TEST(test_agree_long),
                                         HARNESS_TEST(test_same),
                                         HARNESS_TEST(test_sum),
                                         HARNESS_TEST(test_sum_exact),
                                         HARNESS_TEST(test_share),
                                         HARNESS_TEST(test_exchange_sums),
                                         HARNESS_TEST(test_exchange_ends),
                                         HARNESS_TEST(test_exchange_parameters),
                                         HARNESS_TEST(test_extremes),
                                         HARNESS_TEST(test_broadcast),
                                         HARNESS_TEST(test_rows),
                                         HARNESS_END};
    static const harness_test lanes[] = {HARNESS_TEST(test_lanes), HARNESS_TEST(test_lane_default),
                                         HARNESS_TEST(test_lanes_recorded), HARNESS_TEST(test_lanes_large),
                                         HARNESS_END};
    harness_add("ranks", ranks);
    harness_add("lanes", lanes);
    return harness_run(argc, argv);
}
