/* The model of a step over ranks (bench/model.h), against numbers by hand. */
#include "config.h"

#include <math.h>

#include "bench/model.h"
#include "harness.h"

/* Two ranks; regions of 60 and 40 sums, of which one rank owns 40 and 20; stages of 32 and 48 parameters, 16 and 32. */
static size_t bound[] = {0, 40, 60, 60, 80, 100};
static crs_extent run[] = {{0, 16}, {16, 32}, {48, 16}, {64, 16}};
static int first_run[] = {0, 1, 2, 2, 3, 4};

static crs_shards shards_with(bool *derived) {
    return (crs_shards){.owners = 2,
                        .regions = 2,
                        .stages = 2,
                        .runs = 4,
                        .bound = bound,
                        .derived = derived,
                        .run = run,
                        .first_run = first_run,
                        .rows = 6};
}

static const crs_bench_terms terms = {.latency = 1,
                                      .message = 2,
                                      .bandwidth = 4,
                                      .sum_bytes = 4,
                                      .change_bytes = 2,
                                      .pack = 0.01,
                                      .add = 0.02,
                                      .change = 0.03,
                                      .apply = 0.04,
                                      .up = 10,
                                      .down = 50,
                                      .rest = 5,
                                      .own = 0.1,
                                      .every = 3,
                                      .pass_rows = 1000};

static void expect_near(double value, double wanted) {
    CU_ASSERT_DOUBLE_EQUAL(value, wanted, 1e-9 * (1 + fabs(wanted)));
}

/* Regions take 42 and 22, stages 10 and 18, the norm 15. The way down takes 100, the way up 20: the first region is
 * complete at 60 and has come at 102, the second at 124; parameters are here at 11 and at 29, not at 8. */
static void test_hidden(void) {
    bool derived[] = {false, false};
    const crs_shards shards = shards_with(derived);
    crs_bench_forecast f;
    crs_bench_forecast_of(&terms, &shards, 2, &f);
    CU_ASSERT_EQUAL(f.ranks, 2);
    CU_ASSERT_EQUAL(f.share, 60);
    expect_near(f.exchange, 42 + 22 + 1);
    expect_near(f.gather, 10 + 18 + 1);
    expect_near(f.exposed, (24 + 1) + 21 + 15);
    expect_near(f.hidden, 65 + 29 - 25 - 21);
    expect_near(f.compute, 2 * 65 + 0.1 * 48 + 3);
    expect_near(f.work, 0.01 * 100 + 0.02 * 60 + 0.03 * 48 + 0.04 * 80);
    expect_near(f.step, f.compute + f.work + f.exposed);
    expect_near(f.efficiency, (2 * 65 + 0.1 * 80 + 3) / f.step);
}

/* Only the last pass's way down hides sums, and the first one's way up parameters. */
static void test_passes(void) {
    bool derived[] = {false, false};
    const crs_shards shards = shards_with(derived);
    crs_bench_terms small = terms;
    crs_bench_forecast f;
    small.pass_rows = 1;
    crs_bench_forecast_of(&small, &shards, 2, &f);
    expect_near(f.exposed, (44 + 1) + 25 + 15);
}

/* The totals of what no parameter stands for go back to all. */
static void test_derived(void) {
    bool derived[] = {true, false};
    const crs_shards shards = shards_with(derived);
    crs_bench_forecast f;
    crs_bench_forecast_of(&terms, &shards, 2, &f);
    expect_near(f.exposed, 61 + 42 + 1);
    expect_near(f.exchange, 65 + 42 + 1);
    expect_near(f.work, 6.84 + 0.01 * 40 + 0.02 * 60);
}

/* From 8 rows on what is exposed (23, 11 and 15) and packing (6.84) are a tenth of a step at most. */
static void test_batch(void) {
    bool derived[] = {false, false};
    const crs_shards shards = shards_with(derived);
    crs_bench_forecast f;
    crs_bench_forecast_of(&terms, &shards, 2, &f);
    CU_ASSERT_EQUAL(f.batch, 16);
    crs_bench_forecast_of(&terms, &shards, 7, &f);
    CU_ASSERT(f.exposed + f.work > 0.1 * f.step);
    crs_bench_forecast_of(&terms, &shards, 8, &f);
    CU_ASSERT(f.exposed + f.work <= 0.1 * f.step);
}

static void test_alone(void) {
    static size_t all[] = {0, 100};
    static crs_extent whole[] = {{0, 80}};
    static int first[] = {0, 1};
    static bool derived[] = {false};
    const crs_shards shards = {.owners = 1,
                               .regions = 1,
                               .stages = 1,
                               .runs = 1,
                               .bound = all,
                               .derived = derived,
                               .run = whole,
                               .first_run = first,
                               .rows = 6};
    crs_bench_forecast f;
    crs_bench_forecast_of(&terms, &shards, 2, &f);
    expect_near(f.step, 2 * 65 + 8 + 3);
    expect_near(f.efficiency, 1);
    CU_ASSERT(f.exposed == 0 && f.hidden == 0 && f.work == 0);
}

int main(int argc, char **argv) {
    static const harness_test model[] = {HARNESS_TEST(test_hidden),  HARNESS_TEST(test_passes),
                                         HARNESS_TEST(test_derived), HARNESS_TEST(test_batch),
                                         HARNESS_TEST(test_alone),   HARNESS_END};
    harness_add("model", model);
    return harness_run(argc, argv);
}
