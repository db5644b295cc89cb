/* Each allocation of a command fails once in turn. */
#include "config.h"

#include <ftw.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "harness.h"
#include "torture.h"

enum { WORDS_MOST = 32, ALLOCATIONS_MOST = 4000 };

crs_comm *torture_comm;

/* ---- files ---- */

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *walk) {
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

void torture_remove_all(const char *name) {
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

int torture_files_in(const char *name) {
    entries = 0;
    nftw(harness_path(name), count_entry, 16, FTW_PHYS);
    return entries;
}

void torture_hash_file(const char *name, char hex[CRS_HASH_HEX]) {
    static char bytes[1 << 16];
    FILE *file = fopen(harness_path(name), "rb");
    const size_t count = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
        fclose(file);
    crs_hash_bytes(bytes, count, hex);
}

/* ---- a command, as main calls it ---- */

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
        c->all_ranks(torture_comm, argc, argv, error);
    else if (harness_rank() == 0)
        c->alone(argc, argv, error);
    crs_memory_fail_at(0);
    show_output(said);
    CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    return fail_at > 0 && crs_memory_allocations() - before >= fail_at;
}

void torture_must_run(const command *c) {
    crs_error error;
    int64_t said;
    run(c, 0, &error, &said);
    CU_ASSERT_EQUAL(error.status, CRS_OK);
    if (error.status)
        fprintf(stderr, "%s: %s\n", c->words, error.message);
}

/* ---- every allocation in turn ---- */

/* Every rank left with the same words, and those are of memory. */
static void check_error(const torture *t, int64_t n, const crs_error *error, int64_t said) {
    crs_error of_root = *error;
    if (t->command.all_ranks) {
        crs_comm_broadcast(torture_comm, &of_root, sizeof of_root);
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

/* From one allocation that fails to the next: each third fails, but for TEST_ALLOCATIONS=all (scripts/check --full). */
static int64_t stride(void) {
    const char *which = getenv("TEST_ALLOCATIONS");
    return which && strcmp(which, "all") == 0 ? 1 : 3;
}

/* On rank `victim`. What comes first differs, so that one rank, the first and the last of several have each a third of
 * their own to fail. Returns how many allocations there were, to the next of those that are to fail. */
static int64_t fail_each(const torture *t, int victim) {
    int64_t refused = 0;
    const int64_t first = stride() == 1 || harness_size() == 1 ? 1 : victim == 0 ? 3 : 2;
    for (int64_t n = first, tried = 0; n < ALLOCATIONS_MOST; n += stride(), tried++) {
        crs_error error;
        int64_t said;
        t->prepare();
        int came = run(&t->command, harness_rank() == victim ? n : 0, &error, &said);
        MPI_Bcast(&came, 1, MPI_INT, victim, MPI_COMM_WORLD);
        if (!came) {
            if (error.status != CRS_OK)
                fprintf(stderr, "%s, undisturbed: %s\n", t->name, error.message);
            CU_ASSERT_EQUAL(error.status, CRS_OK);
            check_result(t);
            if (t->command.all_ranks || harness_rank() == 0)
                CU_ASSERT(refused > tried / 2); /* most allocations are needed */
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
    torture_must_run(&t->command);
    t->look(t->result, undisturbed);
    CU_ASSERT(harness_rank() > 0 || strlen(undisturbed) == CRS_HASH_HEX - 1);
    const int64_t count = fail_each(t, last);
    CU_ASSERT(count >= 5);
    if (last > 0)
        CU_ASSERT(fail_each(t, 0) > count - stride()); /* each to the next that was to fail */
    if (harness_rank() == 0)
        printf("%s: %lld allocations\n", t->name, (long long)count);
}

void torture_fail_all(const torture *t, size_t count) {
    for (size_t i = 0; i < count; i++)
        fail_one(&t[i]);
    crs_comm_close(&torture_comm);
}

void torture_nothing(void) {}

/* ---- a file that a command writes ---- */

static char written_before[CRS_HASH_HEX];
static int files_before;

void torture_put_output(void) {
    static const command old = {crs_command_pack, NULL, "pack task -q --count=1,0,0 -o DIR/made/old.h5 adding"};
    torture_remove_all("made");
    if (harness_rank() == 0)
        CRS_ASSERT(mkdir(harness_path("made"), 0777) == 0);
    torture_must_run(&old);
    torture_hash_file("made/old.h5", written_before);
    files_before = torture_files_in("made");
}

void torture_check_output(void) {
    char hex[CRS_HASH_HEX];
    if (harness_rank() != 0)
        return;
    torture_hash_file("made/old.h5", hex);
    CU_ASSERT_STRING_EQUAL(hex, written_before);
    CU_ASSERT_EQUAL(torture_files_in("made"), files_before);
}
