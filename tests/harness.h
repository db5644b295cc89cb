/* What every CUnit program shares: MPI is started and ended here, failures are counted over all ranks.
 *
 * A program is run at 1, 2, 3 and 4 ranks; every rank runs every test. A test that only makes sense at some number
 * of ranks asks harness_size(). crs_comm_open finds MPI started, and crs_comm_close leaves it running. */
#ifndef CAROUSEL_TESTS_HARNESS_H
#define CAROUSEL_TESTS_HARNESS_H

#include <CUnit/CUnit.h>
#include <stddef.h>

typedef struct harness_test {
    const char *name;
    void (*run)(void);
} harness_test;

/* clang-format off */
#define HARNESS_TEST(function) { #function, function }
#define HARNESS_END { NULL, NULL }
/* clang-format on */

/* Adds a suite: an array ended by HARNESS_END. Local; before harness_run. */
void harness_add(const char *suite, const harness_test *tests);

/* Collective: runs the tests, all or those whose name contains argv[1]. Rank 0 prints on standard output a line for
 * each failed or skipped test, `N skipped` where some were, and ends with `N passed, N failed`; each rank says its own
 * failures on standard error. No test run, or memory of crs_alloc that is not freed at the end (the test
 * `memory_balance`), is a failure. Returns the exit status: 77 where every test was skipped. */
int harness_run(int argc, char **argv);

/* The test that runs can't be done here: where no assertion of it fails, it neither passed nor failed. why: what would
 * do. Skipped on one rank, it is skipped on all. Local. */
void harness_skip(const char *why);

/* Local. */
int harness_rank(void);
int harness_size(void);

/* An empty folder for this program's files, the same on every rank; removed at the end. Local. */
const char *harness_dir(void);
/* The path of a file in it, in one of 8 buffers used in turn. Local. */
const char *harness_path(const char *name);
/* The path of a file of tests/ in the source tree (from the environment variable srcdir, or "."). As harness_path. */
const char *harness_source(const char *name);
/* Collective. */
void harness_barrier(void);

#endif
