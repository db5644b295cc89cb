/* Memory runs out at every allocation of a whole command in turn, on one rank: all ranks leave with the same error,
 * nothing leaks, and what lies on the disk is as whole as before; or the command makes what it makes undisturbed. */
#include "config.h"

#undef main /* the commands are linked with their own under another name */

#include <ftw.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "harness.h"

enum { WORDS_MOST = 32, ALLOCATIONS_MOST = 4000 };

static crs_comm *comm;

/* ---- files ---- */

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *walk) {
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

/* Collective. */
static void remove_all(const char *name) {
    harness_barrier();
    if (harness_rank() == 0)
        nftw(harness_path(name), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    harness_barrier();
}

static int entries;

static int count_entry(const char *path, const struct stat *about, int kind, struct FTW *walk) {
    (void)path, (void)about, (void)kind, (void)walk;
    entries++;
    return 0;
}

static int files_in(const char *name) {
    entries = 0;
    nftw(harness_path(name), count_entry, 16, FTW_PHYS);
    return entries;
}

/* The hash of a file, or of nothing. */
static void hash_file(const char *name, char hex[CRS_HASH_HEX]) {
    static char bytes[1 << 16];
    FILE *file = fopen(harness_path(name), "rb");
    const size_t count = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        fclose(file);
    crs_hash_bytes(bytes, count, hex);
}

/* ---- a command, as main calls it ---- */

typedef struct command {
    crs_command *alone;         /* by rank 0; or: */
    crs_command_all *all_ranks; /* by all */
    const char *words;          /* separated by blanks; DIR/ stands for this program's folder */
} command;

static int kept[2];

/* What a command prints goes to a file of this rank; *said: bytes of standard error. */
static void hide_output(void) {
    char name[32];
    fflush(stdout);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        snprintf(name, sizeof name, "said-%d-%d", harness_rank(), fd);
        kept[fd - 1] = dup(fd);
        CRS_ASSERT(kept[fd - 1] >= 0 && freopen(harness_path(name), "w", fd == STDOUT_FILENO ? stdout : stderr));
    }
}

static void show_output(int64_t *said) {
    struct stat about;
    fflush(stdout);
    fflush(stderr);
    *said = fstat(STDERR_FILENO, &about) == 0 ? about.st_size : -1;
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        CRS_ASSERT(dup2(kept[fd - 1], fd) == fd);
        close(kept[fd - 1]);
    }
}

static int split(const char *words, char *room, size_t size, char **argv) {
    int argc = 0;
    size_t used = 0;
    char *state, text[1024];
    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok_r(text, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
        const char *path = strstr(word, "DIR/");
        argv[argc++] = room + used;
        CRS_ASSERT(argc < WORDS_MOST);
        const int length =
            path ? snprintf(room + used, size - used, "%.*s%s", (int)(path - word), word, harness_path(path + 4))
                 : snprintf(room + used, size - used, "%s", word);
        used += (size_t)length + 1;
        CRS_ASSERT(used < size);
    }
    argv[argc] = NULL;
    return argc;
}

/* Collective. fail_at: the allocation of this rank that fails; 0: none. Returns whether it came to that. */
static bool run(const command *c, int64_t fail_at, crs_error *error, int64_t *said) {
    static char room[WORDS_MOST * 4200];
    char *argv[WORDS_MOST + 1];
    const int argc = split(c->words, room, sizeof room, argv);
    const int64_t blocks = crs_memory_blocks(), before = crs_memory_allocations();
    *error = (crs_error){0};
    hide_output();
    crs_memory_fail_at(fail_at);
    if (c->all_ranks)
        c->all_ranks(comm, argc, argv, error);
    else if (harness_rank() == 0)
        c->alone(argc, argv, error);
    crs_memory_fail_at(0);
    show_output(said);
    CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    return fail_at > 0 && crs_memory_allocations() - before >= fail_at;
}

static void must_run(const command *c) {
    crs_error error;
    int64_t said;
    run(c, 0, &error, &said);
    CU_ASSERT_EQUAL(error.status, CRS_OK);
    if (error.status)
        fprintf(stderr, "%s: %s\n", c->words, error.message);
}

/* ---- every allocation in turn ---- */

typedef struct torture {
    const char *name;
    command command;
    void (*prepare)(void); /* collective: before each run */
    void (*check)(void);   /* collective: what must hold after a run that failed */
    /* What the command makes, and a hash of it: after each run that ended well it is that of the undisturbed one. */
    void (*look)(const char *name, char hex[CRS_HASH_HEX]);
    const char *result;
} torture;

/* Every rank left with the same words, and those are of memory. */
static void check_error(const torture *t, int64_t n, const crs_error *error, int64_t said) {
    crs_error of_root = *error;
    if (t->command.all_ranks) {
        crs_comm_broadcast(comm, &of_root, sizeof of_root);
        CU_ASSERT_EQUAL(of_root.status, error->status);
        CU_ASSERT_STRING_EQUAL(of_root.message, error->message);
    }
    if (error->status != CRS_OK && (error->status != CRS_INTERNAL || !strstr(error->message, "memory") || said > 0)) {
        fprintf(stderr, "%s, allocation %lld: status %d, %lld bytes said, %s\n", t->name, (long long)n,
                (int)error->status, (long long)said, error->message);
        CU_FAIL("an allocation that failed is said to be something else");
    }
}

static char undisturbed[CRS_HASH_HEX];

/* An allocation that was not needed changes nothing. */
static void check_result(const torture *t) {
    char hex[CRS_HASH_HEX];
    if (harness_rank() != 0)
        return;
    t->look(t->result, hex);
    CU_ASSERT_STRING_EQUAL(hex, undisturbed);
}

/* On rank `victim`. Returns how many allocations there were. */
static int64_t fail_each(const torture *t, int victim) {
    int64_t refused = 0;
    for (int64_t n = 1; n < ALLOCATIONS_MOST; n++) {
        crs_error error;
        int64_t said;
        t->prepare();
        int came = run(&t->command, harness_rank() == victim ? n : 0, &error, &said);
        MPI_Bcast(&came, 1, MPI_INT, victim, MPI_COMM_WORLD);
        if (!came) {
            CU_ASSERT_EQUAL(error.status, CRS_OK);
            check_result(t);
            if (t->command.all_ranks || harness_rank() == 0)
                CU_ASSERT(refused > (n - 1) / 2); /* most allocations are needed */
            return n - 1;
        }
        check_error(t, n, &error, said);
        if (t->command.all_ranks || harness_rank() == 0)
            refused += error.status != CRS_OK;
        int ended = error.status;
        MPI_Bcast(&ended, 1, MPI_INT, 0, MPI_COMM_WORLD);
        if (ended != CRS_OK)
            t->check();
        else
            check_result(t);
    }
    CU_FAIL("there is no end to it");
    return 0;
}

static void fail_one(const torture *t) {
    const int last = t->command.all_ranks ? harness_size() - 1 : 0;
    t->prepare();
    must_run(&t->command);
    t->look(t->result, undisturbed);
    CU_ASSERT(harness_rank() > 0 || strlen(undisturbed) == CRS_HASH_HEX - 1);
    const int64_t count = fail_each(t, last);
    CU_ASSERT(count >= 5);
    if (last > 0)
        CU_ASSERT(fail_each(t, 0) >= count);
    if (harness_rank() == 0)
        printf("%s: %lld allocations\n", t->name, (long long)count);
}

static void fail_all(const torture *t, size_t count) {
    for (size_t i = 0; i < count; i++)
        fail_one(&t[i]);
    crs_comm_close(&comm);
}

static void nothing(void) {}

/* ---- pack ---- */

static char packed_before[CRS_HASH_HEX];
static int files_before;

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
    comm = crs_comm_open(NULL, NULL);
    write_text("text", 40);
    must_run(&pack_data);
    harness_barrier();
}

static void check_output(void) {
    char hex[CRS_HASH_HEX];
    if (harness_rank() != 0)
        return;
    hash_file("made/old.h5", hex);
    CU_ASSERT_STRING_EQUAL(hex, packed_before);
    CU_ASSERT_EQUAL(files_in("made"), files_before);
}

/* The old data set and nothing else. */
static void put_output(void) {
    static const command old = {crs_command_pack, NULL, "pack text --level=byte " SPLIT "DIR/made/old.h5 DIR/text"};
    remove_all("made");
    if (harness_rank() == 0)
        CRS_ASSERT(mkdir(harness_path("made"), 0777) == 0);
    must_run(&old);
    hash_file("made/old.h5", packed_before);
    files_before = files_in("made");
}

static void test_pack(void) {
    static const torture all[] = {
        {"pack",
         {crs_command_pack, NULL, "pack text " SPLIT "DIR/made/old.h5 DIR/text"},
         put_output,
         check_output,
         hash_file,
         "made/old.h5"},
        {"pack words",
         {crs_command_pack, NULL, "pack text --level=word --min-count=2 " SPLIT "DIR/made/old.h5 DIR/text"},
         put_output,
         check_output,
         hash_file,
         "made/old.h5"},
        {"pack with a vocabulary",
         {crs_command_pack, NULL, "pack text --vocabulary=DIR/data.h5 " SPLIT "DIR/made/old.h5 DIR/text DIR/text"},
         put_output,
         check_output,
         hash_file,
         "made/old.h5"}};
    begin();
    fail_all(all, sizeof all / sizeof *all);
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
    must_run(&train_all);
    if (harness_rank() == 0)
        CU_ASSERT(steps_of("run/last.h5") == 2 && access(harness_path("run/best.h5"), R_OK) == 0);
}

static void no_run(void) {
    remove_all("run");
}

/* One that most failures have left as it was. */
static void half_a_run(void) {
    int there = harness_rank() == 0 && steps_of("run/last.h5") == 1;
    crs_comm_broadcast(comm, &there, sizeof there);
    if (there)
        return;
    remove_all("run");
    must_run(&train_some);
}

static void begin_training(void) {
    begin();
    no_run();
    must_run(&train_some);
    state_of("run/step-00000000.h5", states[0]);
    state_of("run/step-00000001.h5", states[1]);
    no_run();
    must_run(&train_all);
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
    fail_all(all, sizeof all / sizeof *all);
}

/* ---- what only reads ---- */

static void test_eval_and_sample(void) {
    static const torture all[] = {
        {"eval",
         {NULL, crs_command_eval, "eval --streams=3 --threads=1 --json --quiet DIR/run/last.h5 DIR/data.h5"},
         nothing,
         nothing,
         hash_file,
         "said-0-1"},
        {"predict, as text",
         {NULL, crs_command_predict,
          "predict --streams=3 --threads=1 --quiet -o DIR/said.csv DIR/run/last.h5 DIR/data.h5"},
         nothing,
         nothing,
         hash_file,
         "said.csv"},
        {"predict, as HDF5",
         {NULL, crs_command_predict, "predict --threads=1 --quiet -o DIR/said.h5 DIR/run/last.h5 DIR/data.h5"},
         nothing,
         nothing,
         hash_file,
         "said.h5"},
        {"sample",
         {crs_command_sample, NULL, "sample --length=20 --quiet --prime=ring DIR/run/last.h5"},
         nothing,
         nothing,
         hash_file,
         "said-0-1"},
    };
    begin_training();
    fail_all(all, sizeof all / sizeof *all);
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_pack), HARNESS_TEST(test_train),
                                         HARNESS_TEST(test_eval_and_sample), HARNESS_END};
    harness_add("torture", tests);
    return harness_run(argc, argv);
}
