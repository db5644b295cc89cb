/* Memory runs out at every allocation of a whole command in turn: text. See torture.h. */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "harness.h"
#include "torture.h"

/* ---- pack ---- */

static void write_text(const char *name, int repeats) {
    FILE *file = harness_rank() == 0 ? fopen(harness_path(name), "w") : NULL;
    for (int i = 0; file && i < repeats; i++)
        fputs(i % 3 ? "ring of ranks\n" : "the sum \xc3\xa4\xe2\x82\xac\n", file);
    if (file)
        fclose(file);
    harness_barrier();
}

#define SPLIT "--split=0.6,0.2,0.2 --quiet -o "
static const command pack_data = {crs_command_pack, NULL, "pack text " SPLIT "DIR/data.h5 DIR/text"};

/* Collective: what every test starts with. */
static void begin(void) {
    torture_comm = crs_comm_open(NULL, NULL);
    write_text("text", 40);
    torture_must_run(&pack_data);
    harness_barrier();
}

static void test_pack(void) {
    static const torture all[] = {
        {"pack",
         {crs_command_pack, NULL, "pack text " SPLIT "DIR/made/old.h5 DIR/text"},
         torture_put_output,
         torture_check_output,
         torture_hash_file,
         "made/old.h5"},
        {"pack words",
         {crs_command_pack, NULL, "pack text --level=word --min-count=2 " SPLIT "DIR/made/old.h5 DIR/text"},
         torture_put_output,
         torture_check_output,
         torture_hash_file,
         "made/old.h5"},
        {"pack with a vocabulary",
         {crs_command_pack, NULL, "pack text --vocabulary=DIR/data.h5 " SPLIT "DIR/made/old.h5 DIR/text DIR/text"},
         torture_put_output,
         torture_check_output,
         torture_hash_file,
         "made/old.h5"}};
    begin();
    torture_fail_all(all, sizeof all / sizeof *all);
}

/* ---- train ---- */

#define TRAIN                                                                                                \
    "train --hidden=3 --layers=2 --batch=4 --window=5 --dropout=0.2 --threads=1 --validate-every=2 --quiet " \
    "DIR/data.h5 "
static const command train_some = {NULL, crs_command_train, TRAIN "-o DIR/run --steps=1"};
static const command train_all = {NULL, crs_command_train, TRAIN "-o DIR/run --steps=2"};
enum { STATES = 3, GOES_ON_EVERY = 8 };
static char states[STATES][CRS_HASH_HEX]; /* after so many steps */

/* The state that a checkpoint holds; "" where there is none. Local. */
static void state_of(const char *name, char state[CRS_HASH_HEX]) {
    crs_checkpoint checkpoint;
    crs_error error = {0};
    char parameters[CRS_HASH_HEX];
    state[0] = '\0';
    if (crs_checkpoint_read(harness_path(name), &checkpoint, &error) != CRS_OK)
        return;
    crs_checkpoint_digests(&checkpoint, parameters, state);
    crs_checkpoint_free(&checkpoint);
}

/* After how many steps; -1: it is not one of these. Local; reading takes as long as a step. */
static int steps_of(const char *name) {
    char state[CRS_HASH_HEX];
    int steps = STATES - 1;
    state_of(name, state);
    while (steps >= 0 && strcmp(state, states[steps]) != 0)
        steps--;
    return steps;
}

/* The last checkpoint is there and whole, or there is none yet; and (now and then, as it takes time) the same command
 * goes on to the same end. */
static void check_run(void) {
    static int turn;
    if (harness_rank() == 0 && access(harness_path("run/last.h5"), F_OK) == 0)
        CU_ASSERT(steps_of("run/last.h5") >= 0);
    if (turn++ % GOES_ON_EVERY != 0)
        return;
    torture_must_run(&train_all);
    if (harness_rank() == 0)
        CU_ASSERT(steps_of("run/last.h5") == 2 && access(harness_path("run/best.h5"), R_OK) == 0);
}

static void no_run(void) {
    torture_remove_all("run");
}

/* One that most failures have left as it was. */
static void half_a_run(void) {
    int there = harness_rank() == 0 && steps_of("run/last.h5") == 1;
    crs_comm_broadcast(torture_comm, &there, sizeof there);
    if (there)
        return;
    torture_remove_all("run");
    torture_must_run(&train_some);
}

static void begin_training(void) {
    begin();
    no_run();
    torture_must_run(&train_some);
    state_of("run/step-00000000.h5", states[0]);
    state_of("run/step-00000001.h5", states[1]);
    no_run();
    torture_must_run(&train_all);
    state_of("run/last.h5", states[2]);
    for (int i = 0; i < STATES; i++)
        CU_ASSERT_EQUAL(strlen(states[i]), CRS_HASH_HEX - 1);
}

static void test_train(void) {
    static const torture all[] = {
        {"train", {NULL, crs_command_train, TRAIN "-o DIR/run --steps=2"}, no_run, check_run, state_of, "run/last.h5"},
        {"train, going on",
         {NULL, crs_command_train, TRAIN "-o DIR/run --steps=2"},
         half_a_run,
         check_run,
         state_of,
         "run/last.h5"},
    };
    begin_training();
    torture_fail_all(all, sizeof all / sizeof *all);
}

/* ---- what only reads ---- */

static void test_eval_and_sample(void) {
    static const torture all[] = {
        {"eval",
         {NULL, crs_command_eval, "eval --streams=3 --threads=1 --json --quiet DIR/run/last.h5 DIR/data.h5"},
         torture_nothing,
         torture_nothing,
         torture_hash_file,
         "said-0-1"},
        {"predict, as text",
         {NULL, crs_command_predict,
          "predict --streams=3 --threads=1 --quiet -o DIR/said.csv DIR/run/last.h5 DIR/data.h5"},
         torture_nothing,
         torture_nothing,
         torture_hash_file,
         "said.csv"},
        {"predict, as HDF5",
         {NULL, crs_command_predict, "predict --threads=1 --quiet -o DIR/said.h5 DIR/run/last.h5 DIR/data.h5"},
         torture_nothing,
         torture_nothing,
         torture_hash_file,
         "said.h5"},
        {"sample",
         {crs_command_sample, NULL, "sample --length=20 --quiet --prime=ring DIR/run/last.h5"},
         torture_nothing,
         torture_nothing,
         torture_hash_file,
         "said-0-1"},
    };
    begin_training();
    torture_fail_all(all, sizeof all / sizeof *all);
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_pack), HARNESS_TEST(test_train),
                                         HARNESS_TEST(test_eval_and_sample), HARNESS_END};
    harness_add("torture", tests);
    return harness_run(argc, argv);
}
