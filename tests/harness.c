/* The one main loop of all CUnit programs. */
#include "config.h"

#include "harness.h"

#include <CUnit/TestRun.h>
#include <ftw.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carousel/base.h"

enum { SUITES_MAX = 64, TESTS_MAX = 1024, PATHS = 8, PATH_SIZE = 4096 };

static struct {
    const char *name;
    const harness_test *tests;
} suites[SUITES_MAX];
static int suite_count;

static const char *names[TESTS_MAX]; /* of the tests that run, in their order */
static int failed[TESTS_MAX];        /* on this rank; the maximum over ranks in the end */
static int skipped[TESTS_MAX];       /* likewise */
static int test_count, tests_done;

static int rank, size;
static char folder[PATH_SIZE - 256];

int harness_rank(void) {
    return rank;
}

int harness_size(void) {
    return size;
}

void harness_barrier(void) {
    MPI_Barrier(MPI_COMM_WORLD);
}

const char *harness_dir(void) {
    return folder;
}

static const char *join_path(const char *directory, const char *name) {
    static char paths[PATHS][PATH_SIZE];
    static int turn;
    char *path = paths[turn++ % PATHS];
    int length = snprintf(path, PATH_SIZE, "%s/%s", directory, name);
    CRS_ASSERT(length > 0 && length < PATH_SIZE);
    return path;
}

const char *harness_path(const char *name) {
    return join_path(folder, name);
}

const char *harness_source(const char *name) {
    const char *srcdir = getenv("srcdir");
    char directory[PATH_SIZE - 256];
    snprintf(directory, sizeof directory, "%s/tests", srcdir && *srcdir ? srcdir : ".");
    return join_path(directory, name);
}

void harness_skip(const char *why) {
    skipped[tests_done] = 1;
    fprintf(stderr, "rank %d: %s: skipped: %s\n", rank, names[tests_done], why);
}

void harness_add(const char *suite, const harness_test *tests) {
    CRS_ASSERT(suite_count < SUITES_MAX);
    suites[suite_count].name = suite;
    suites[suite_count++].tests = tests;
}

static void make_folder(void) {
    const char *base = getenv("TMPDIR");
    if (rank == 0) {
        snprintf(folder, sizeof folder, "%s/carousel-test-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(folder)) {
            perror(folder);
            MPI_Abort(MPI_COMM_WORLD, 1);
        }
    }
    MPI_Bcast(folder, (int)sizeof folder, MPI_CHAR, 0, MPI_COMM_WORLD);
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *walk) {
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

static void test_ended(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord first) {
    int index = tests_done++;
    for (CU_pFailureRecord record = first; record; record = record->pNext) {
        if (record->pSuite != suite || record->pTest != test)
            continue;
        failed[index] = 1;
        fprintf(stderr, "rank %d: %s: %s:%u: %s\n", rank, test->pName, record->strFileName, record->uiLineNumber,
                record->strCondition);
    }
}

/* Registers what is asked for. Returns false where CUnit refuses. */
static bool register_tests(const char *wanted) {
    if (CU_initialize_registry() != CUE_SUCCESS)
        return false;
    for (int s = 0; s < suite_count; s++) {
        CU_pSuite suite = CU_add_suite(suites[s].name, NULL, NULL);
        if (!suite)
            return false;
        for (const harness_test *test = suites[s].tests; test->name; test++) {
            if (wanted && !strstr(test->name, wanted))
                continue;
            CRS_ASSERT(test_count < TESTS_MAX - 1);
            if (!CU_add_test(suite, test->name, test->run))
                return false;
            names[test_count++] = test->name;
        }
    }
    return true;
}

/* The balance of crs_alloc counts as one more test. */
static void check_memory(void) {
    names[test_count] = "memory_balance";
    failed[test_count] = crs_memory_blocks() != 0;
    if (failed[test_count])
        fprintf(stderr, "rank %d: memory_balance: %lld blocks are not freed\n", rank, (long long)crs_memory_blocks());
    test_count++;
}

/* The balance of memory alone, when every test was skipped, shows nothing. */
static int report(void) {
    int bad = 0, out = 0;
    MPI_Allreduce(MPI_IN_PLACE, failed, test_count, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, skipped, test_count, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    for (int i = 0; i < test_count; i++) {
        skipped[i] = skipped[i] && !failed[i];
        bad += failed[i];
        out += skipped[i];
        if ((failed[i] || skipped[i]) && rank == 0)
            printf("%s at %d rank%s: %s\n", failed[i] ? "FAILED" : "SKIPPED", size, size == 1 ? "" : "s", names[i]);
    }
    const bool nothing = out == test_count - 1 && bad == 0;
    if (rank == 0 && out > 0)
        printf("%d skipped\n", out);
    if (rank == 0)
        printf("%d passed, %d failed\n", nothing ? 0 : test_count - bad - out, bad);
    fflush(stdout);
    return bad ? 1 : nothing ? 77 : 0;
}

static int run_registered(void) {
    CU_set_test_complete_handler(test_ended);
    CU_set_error_action(CUEA_IGNORE);
    CU_run_all_tests();
    CU_cleanup_registry();
    MPI_Allreduce(MPI_IN_PLACE, &tests_done, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (tests_done != test_count || tests_done == 0) {
        if (rank == 0)
            printf("%d tests ran of %d\n0 passed, 1 failed\n", tests_done, test_count);
        return 1;
    }
    check_memory();
    return report();
}

int harness_run(int argc, char **argv) {
    int level;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    make_folder();
    int status = 1;
    if (register_tests(argc > 1 ? argv[1] : NULL))
        status = run_registered();
    else
        fprintf(stderr, "rank %d: CUnit: %s\n", rank, CU_get_error_msg());
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    MPI_Finalize();
    return status;
}
