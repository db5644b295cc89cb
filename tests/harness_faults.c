/* A program of which tests/harness.sh asks each thing that has to make a run of tests fail. Never right by itself. */
#include "config.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carousel/base.h"
#include "harness.h"

static const char *wrong; /* what goes wrong */

static bool is_last(void) {
    return harness_rank() == harness_size() - 1;
}

static void test_good(void) {
    CU_ASSERT_EQUAL(access(harness_dir(), W_OK), 0);
}

static void test_wrong(void) {
    static void *leak;
    if (strcmp(wrong, "assertion") == 0 && is_last())
        CU_FAIL("the last rank fails");
    if (strcmp(wrong, "leak") == 0 && is_last())
        leak = crs_alloc(1, 1, CRS_MEMORY_OTHER);
    if (strcmp(wrong, "crash") == 0 && is_last())
        abort();
    if (strcmp(wrong, "exit") == 0)
        _exit(0);
    if (strcmp(wrong, "hang") == 0 && is_last())
        pause();
    if (strcmp(wrong, "skip") == 0 && is_last())
        harness_skip("the last rank can't");
    if (strcmp(wrong, "skipped assertion") == 0) {
        harness_skip("it fails all the same");
        CU_FAIL("a failure that says that it was skipped");
    }
    CU_ASSERT(leak == NULL || is_last());
}

/* What goes wrong is the first argument; a second one chooses tests by name. */
int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_good), HARNESS_TEST(test_wrong), HARNESS_END};
    wrong = argc > 1 ? argv[1] : "";
    harness_add("faults", tests);
    return harness_run(argc - 1, argv + 1);
}
