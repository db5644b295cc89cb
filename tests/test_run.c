/* The folder of a run: what is kept, what is found again, and that nothing a disk or a kill does loses the last
 * good one. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint_fixture.h"
#include "harness.h"

static crs_error error;

static const char *own(const char *name) {
    char mine[96];
    snprintf(mine, sizeof mine, "%d-%s", harness_rank(), name);
    return harness_path(mine);
}

static const char *in(const char *folder, const char *name) {
    static char paths[8][4096];
    static int turn;
    char *path = paths[turn++ % 8];
    CRS_ASSERT(snprintf(path, sizeof paths[0], "%s/%s", folder, name) < (int)sizeof paths[0]);
    return path;
}

static crs_status save(const char *run, int64_t step, bool best, int keep) {
    crs_checkpoint c;
    fixture_make(&c, "lstm", 3, CRS_LEVEL_CHAR, step);
    mkdir(run, 0700); /* as the training does that has locked it */
    crs_status status = crs_run_save(run, &c, best, keep, &error);
    crs_checkpoint_free(&c);
    return status;
}

/* The step that a run goes on from; -1: none found; -2: it is not what was saved; -status on errors. */
static int64_t load(const char *run, char *path, size_t size) {
    crs_checkpoint got, wanted;
    bool found;
    char ignored[4096];
    crs_status status = crs_run_load(run, &found, &got, path ? path : ignored, path ? size : sizeof ignored, &error);
    if (status || !found)
        return status ? -(int64_t)status : -1;
    int64_t step = crs_checkpoint_step(&got);
    fixture_make(&wanted, "lstm", 3, CRS_LEVEL_CHAR, step);
    if (!fixture_equal(&wanted, &got))
        step = -2;
    crs_checkpoint_free(&wanted);
    crs_checkpoint_free(&got);
    return step;
}

static ino_t inode(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

static void damage(const char *path) {
    size_t size;
    unsigned char *bytes = fixture_slurp(path, &size);
    CRS_ASSERT(bytes != NULL);
    for (size_t at = size / 3; at < size; at += 97)
        bytes[at] ^= 0x55;
    fixture_spill(path, bytes, size);
    free(bytes);
}

/* ---- processes of their own: this program again, without MPI ---- */

static pid_t spawn(const char *fault, const char *action, const char *argument, int out) {
    pid_t child = fork();
    if (child != 0)
        return child;
    if (fault)
        setenv("CAROUSEL_FAULT", fault, 1);
    if (out >= 0)
        dup2(out, STDOUT_FILENO);
    execl("/proc/self/exe", "test_run", "--child", action, argument, (char *)NULL);
    _exit(126);
}

/* The exit status, or 1000 + the signal. */
static int await(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int child_says(crs_status status, crs_status wanted, const char *words) {
    if (status == wanted && (!words || strstr(error.message, words)))
        return 0;
    fprintf(stderr, "child: wanted %d and '%s', got %d: %s\n", wanted, words ? words : "", status,
            status ? error.message : "");
    return 1;
}

/* Saves step after step, and says each that is done. */
static int child_loop(const char *run) {
    for (int64_t step = load(run, NULL, 0) + 1;; step++) {
        if (save(run, step, step % 3 == 0, 2))
            return child_says(error.status, CRS_OK, NULL);
        printf("%lld\n", (long long)step);
        fflush(stdout);
    }
}

/* No temporary file is left, and the step before can be loaded. */
static int child_intact(const char *run, int files) {
    if (load(run, NULL, 0) != 1 || fixture_count(run) != files || crs_memory_blocks() != 0) {
        fprintf(stderr, "child: %d files, %s\n", fixture_count(run), error.message);
        return 1;
    }
    return 0;
}

static int child_limited(const char *run) {
    struct rlimit limit = {.rlim_cur = 9000, .rlim_max = RLIM_INFINITY};
    int bad = child_says(save(run, 1, false, 2), CRS_OK, NULL);
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    bad += child_says(save(run, 2, false, 2), CRS_CREATE, "ulimit");
    bad += child_says(save(run, 1, false, 2), CRS_CREATE, "ulimit");
    return bad + child_intact(run, 2);
}

/* A disk that has room for one checkpoint and a half. */
static int child_full(const char *run) {
    char options[32];
    struct stat one;
    int bad = child_says(save(run, 1, false, 2), CRS_OK, NULL);
    if (stat(in(run, "last.h5"), &one) != 0)
        return 1;
    snprintf(options, sizeof options, "size=%lld", (long long)one.st_size * 3 / 2);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", run, "tmpfs", 0, options) != 0)
        return 77;
    bad += child_says(save(run, 1, false, 2), CRS_OK, NULL);
    bad += child_says(save(run, 2, false, 2), CRS_CREATE, "make room");
    bad += child_says(save(run, 3, true, 2), CRS_CREATE, "make room");
    return bad + child_intact(run, 2);
}

static int child_read_only(const char *run) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(run, run, NULL, MS_BIND, NULL) != 0 ||
        mount("none", run, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)
        return 77;
    int bad = child_says(save(run, 2, false, 2), CRS_CREATE, "Read-only");
    bad += child_says(save(in(run, "new"), 2, false, 2), CRS_CREATE, "No such file");
    return bad + child_intact(run, 2);
}

/* The folder is the root of a file system. */
static int child_mounted(const char *run) {
    char moved[4096];
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", run, "tmpfs", 0, "size=1m") != 0)
        return 77;
    int bad = child_says(save(run, 1, false, 2), CRS_OK, NULL);
    bad += child_says(crs_run_move_aside(run, moved, sizeof moved, &error), CRS_CREATE, "mounted");
    return bad + child_intact(run, 2);
}

static int child(const char *action, const char *run) {
    if (strcmp(action, "save-2") == 0)
        return save(run, 2, true, 2);
    if (strcmp(action, "loop") == 0)
        return child_loop(run);
    if (strcmp(action, "limited") == 0)
        return child_limited(run);
    if (strcmp(action, "full") == 0)
        return child_full(run);
    if (strcmp(action, "mounted") == 0)
        return child_mounted(run);
    return strcmp(action, "read-only") == 0 ? child_read_only(run) : 125;
}

/* ---- keeping ---- */

static void test_keeps(void) {
    const char *run = own("keeps");
    CU_ASSERT_EQUAL(load(run, NULL, 0), -1);
    CU_ASSERT_FALSE(fixture_exists(run));
    for (int64_t step = 10; step <= 50; step += 10)
        CU_ASSERT_EQUAL(save(run, step, step == 20, 2), CRS_OK);
    CU_ASSERT_EQUAL(fixture_count(run), 4);
    CU_ASSERT_TRUE(fixture_exists(in(run, "step-00000040.h5")));
    CU_ASSERT_TRUE(fixture_exists(in(run, "step-00000050.h5")));
    CU_ASSERT_EQUAL(inode(in(run, "last.h5")), inode(in(run, "step-00000050.h5")));
    crs_checkpoint best;
    CU_ASSERT_EQUAL(crs_checkpoint_read(in(run, "best.h5"), &best, &error), CRS_OK);
    CU_ASSERT_EQUAL(crs_checkpoint_step(&best), 20); /* though its step file is gone */
    crs_checkpoint_free(&best);
    CU_ASSERT_EQUAL(load(run, NULL, 0), 50);
    /* the same step again, and now it is the best */
    CU_ASSERT_EQUAL(save(run, 50, true, 1), CRS_OK);
    CU_ASSERT_EQUAL(fixture_count(run), 3);
    CU_ASSERT_EQUAL(inode(in(run, "best.h5")), inode(in(run, "last.h5")));
    CU_ASSERT_EQUAL(save(run, 123456789, false, 0), CRS_OK);
    CU_ASSERT_TRUE(fixture_exists(in(run, "step-123456789.h5")));
    CU_ASSERT_EQUAL(load(run, NULL, 0), 123456789);
}

static void test_stale_temporaries(void) {
    static const char *const stale[] = {"step-00000002.h5.tmp-999", "last.h5.tmp-7", "best.h5.tmp-123456"};
    static const char *const others[] = {"metrics.jsonl", "notes.tmp-77", "step-00000002.h5.tmp-mine", "last.h5.tmp-"};
    const char *run = own("stale");
    CU_ASSERT_EQUAL(save(run, 1, false, 2), CRS_OK);
    for (int i = 0; i < 3; i++)
        fixture_spill(in(run, stale[i]), (const unsigned char *)"half", 4);
    for (int i = 0; i < 4; i++)
        fixture_spill(in(run, others[i]), (const unsigned char *)"mine", 4);
    CU_ASSERT_EQUAL(load(run, NULL, 0), 1);
    CU_ASSERT_TRUE(fixture_exists(in(run, stale[0]))); /* loading changes nothing */
    CU_ASSERT_EQUAL(save(run, 2, false, 2), CRS_OK);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_FALSE(fixture_exists(in(run, stale[i])));
    for (int i = 0; i < 4; i++)
        CU_ASSERT_TRUE(fixture_exists(in(run, others[i])));
}

/* Where the file system has no hard links. */
static void test_without_links(void) {
    const char *run = own("copies");
    setenv("CAROUSEL_FAULT", "checkpoint-no-links", 1);
    CU_ASSERT_EQUAL(save(run, 1, true, 2), CRS_OK);
    CU_ASSERT_EQUAL(save(run, 2, false, 1), CRS_OK);
    unsetenv("CAROUSEL_FAULT");
    CU_ASSERT_EQUAL(fixture_count(run), 3);
    CU_ASSERT_NOT_EQUAL(inode(in(run, "last.h5")), inode(in(run, "step-00000002.h5")));
    damage(in(run, "step-00000002.h5"));
    char path[4096];
    CU_ASSERT_EQUAL(load(run, path, sizeof path), 2); /* from the copy */
    CU_ASSERT_STRING_EQUAL(path, in(run, "last.h5"));
    damage(in(run, "last.h5"));
    CU_ASSERT_EQUAL(load(run, path, sizeof path), 1);
    CU_ASSERT_STRING_EQUAL(path, in(run, "best.h5"));
}

/* ---- finding ---- */

/* What a call says on standard error. */
static int64_t load_listening(const char *run, char *said, size_t size) {
    const char *path = own("said");
    fflush(stderr);
    int before = dup(STDERR_FILENO), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDERR_FILENO);
    int64_t step = load(run, NULL, 0);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    ssize_t count = pread(file, said, size - 1, 0);
    said[count > 0 ? count : 0] = '\0';
    close(before);
    close(file);
    return step;
}

static void test_passes_over_damage(void) {
    const char *run = own("damage");
    char said[8192];
    for (int64_t step = 1; step <= 4; step++)
        CU_ASSERT_EQUAL(save(run, step, step == 2, 3), CRS_OK);
    CU_ASSERT_EQUAL(load_listening(run, said, sizeof said), 4);
    CU_ASSERT_STRING_EQUAL(said, "");
    damage(in(run, "step-00000004.h5")); /* and with it last.h5, which is the same file */
    CU_ASSERT_EQUAL(load_listening(run, said, sizeof said), 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "warning: "));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "step-00000004.h5"));
    CU_ASSERT_PTR_NULL(strstr(said, "last.h5"));
    fixture_spill(in(run, "step-00000003.h5"), (const unsigned char *)"", 0);
    CU_ASSERT_EQUAL(load_listening(run, said, sizeof said), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "step-00000003.h5: is empty"));
    unlink(in(run, "step-00000002.h5"));
    CU_ASSERT_EQUAL(load(run, NULL, 0), 2); /* best.h5 alone */
}

static void test_none_whole(void) {
    const char *run = own("none");
    CU_ASSERT_EQUAL(save(run, 1, true, 2), CRS_OK);
    CU_ASSERT_EQUAL(save(run, 2, false, 2), CRS_OK);
    damage(in(run, "step-00000001.h5"));
    damage(in(run, "step-00000002.h5"));
    size_t before, after;
    unsigned char *a = fixture_slurp(in(run, "last.h5"), &before);
    CU_ASSERT_EQUAL(load(run, NULL, 0), -CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, run));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--fresh"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "step-00000002.h5"));
    unsigned char *b = fixture_slurp(in(run, "last.h5"), &after);
    CU_ASSERT(a && b && before == after && memcmp(a, b, before) == 0);
    CU_ASSERT_EQUAL(fixture_count(run), 4);
    free(a);
    free(b);
}

/* A file's own word about its step counts, not its name. */
static void test_step_in_file(void) {
    const char *run = own("renamed");
    CU_ASSERT_EQUAL(save(run, 5, false, 3), CRS_OK);
    CU_ASSERT_EQUAL(save(run, 6, false, 3), CRS_OK);
    unlink(in(run, "last.h5"));
    CU_ASSERT_EQUAL(rename(in(run, "step-00000005.h5"), in(run, "step-00000099.h5")), 0);
    CU_ASSERT_EQUAL(load(run, NULL, 0), 6);
    CU_ASSERT_EQUAL(rename(in(run, "step-00000006.h5"), in(run, "best.h5")), 0);
    CU_ASSERT_EQUAL(load(run, NULL, 0), 6);
}

/* A damaged file of a later step takes no good one's place. */
static void test_keep_counts_older(void) {
    const char *run = own("later");
    CU_ASSERT_EQUAL(save(run, 30, false, 1), CRS_OK);
    damage(in(run, "step-00000030.h5"));
    CU_ASSERT_EQUAL(save(run, 20, false, 1), CRS_OK);
    CU_ASSERT_EQUAL(save(run, 21, false, 1), CRS_OK);
    CU_ASSERT_FALSE(fixture_exists(in(run, "step-00000020.h5")));
    CU_ASSERT_TRUE(fixture_exists(in(run, "step-00000021.h5")));
    CU_ASSERT_TRUE(fixture_exists(in(run, "step-00000030.h5")));
    CU_ASSERT_EQUAL(load(run, NULL, 0), 21);
    CU_ASSERT_EQUAL(save(run, 31, false, 1), CRS_OK);
    CU_ASSERT_FALSE(fixture_exists(in(run, "step-00000030.h5")));
}

static void test_no_folder(void) {
    const char *file = own("a-file");
    fixture_spill(file, (const unsigned char *)"x", 1);
    CU_ASSERT_EQUAL(save(file, 1, false, 2), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "Not a directory"));
    CU_ASSERT_EQUAL(load(file, NULL, 0), -CRS_NO_INPUT);
    CU_ASSERT_EQUAL(load(in(file, "run"), NULL, 0), -1);
    CU_ASSERT_EQUAL(save(own("no/such/place"), 1, false, 2), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "No such file"));
    CU_ASSERT_FALSE(fixture_exists(own("no")));
    CU_ASSERT_EQUAL(mkdir(own("empty"), 0700), 0);
    CU_ASSERT_EQUAL(load(own("empty"), NULL, 0), -1);
    CU_ASSERT_EQUAL(mkdir(own("taken"), 0700), 0);
    CU_ASSERT_EQUAL(mkdir(in(own("taken"), "step-00000001.h5"), 0700), 0);
    CU_ASSERT_EQUAL(save(own("taken"), 1, false, 2), CRS_CREATE);
    CU_ASSERT_EQUAL(fixture_count(own("taken")), 1);
}

/* ---- names ---- */

/* Validated after each step, with these losses. */
static const double *losses;

static int64_t lowest(int64_t step) {
    int64_t best = 1;
    for (int64_t i = 2; i <= step; i++)
        best = losses[i] < losses[best] ? i : best;
    return best;
}

static crs_status save_validated(const char *run, int64_t step, int keep) {
    crs_checkpoint c;
    fixture_make(&c, "lstm", 3, CRS_LEVEL_CHAR, step);
    crs_attributes_put_real(&c.attributes, "best_validation_loss", losses[lowest(step)]);
    crs_array *loss = crs_checkpoint_find(&c, "/history/validation_loss");
    crs_free(&loss->values);
    loss->values = crs_alloc((size_t)step, sizeof(double), CRS_MEMORY_OTHER);
    loss->dims[0] = step;
    crs_array *steps = crs_checkpoint_add(&c, "/history/step", CRS_I64, 1, &step, &error);
    loss = crs_checkpoint_find(&c, "/history/validation_loss");
    CRS_ASSERT(steps && loss->values);
    for (int64_t i = 0; i < step; i++) {
        ((int64_t *)steps->values)[i] = i + 1;
        ((double *)loss->values)[i] = losses[i + 1];
    }
    mkdir(run, 0700);
    crs_status status = crs_run_save(run, &c, lowest(step) == step, keep, &error);
    crs_checkpoint_free(&c);
    return status;
}

static int64_t step_in(const char *run, const char *name) {
    crs_checkpoint c;
    if (crs_checkpoint_read(in(run, name), &c, &error))
        return -1;
    int64_t step = crs_checkpoint_step(&c);
    crs_checkpoint_free(&c);
    return step;
}

/* What a training does first: the step that it goes on from (-status on errors), and the lowest loss that it knows. */
static int64_t resume(const char *run, double *best, bool *wrong) {
    crs_checkpoint c;
    crs_run_names names;
    bool found;
    char path[4096];
    if (crs_run_load(run, &found, &c, path, sizeof path, &error))
        return -(int64_t)error.status;
    crs_status status = crs_run_check_names(run, &c, path, &names, &error);
    int64_t step = crs_checkpoint_step(&c);
    *best = crs_attributes_find(&c.attributes, "best_validation_loss")->real;
    *wrong = names.wrong;
    crs_checkpoint_free(&c);
    if (!status)
        status = crs_run_mend_names(run, &names, &error);
    return status ? -(int64_t)status : step;
}

/* last.h5 and best.h5 are of these steps, whatever was; then nothing is wrong any more. */
static void resumes(const char *run, int64_t last, int64_t best, bool expect_wrong) {
    double loss;
    bool wrong;
    CU_ASSERT_EQUAL(resume(run, &loss, &wrong), last);
    CU_ASSERT_EQUAL(wrong, expect_wrong);
    CU_ASSERT_EQUAL(step_in(run, "last.h5"), last);
    CU_ASSERT_EQUAL(step_in(run, "best.h5"), best);
    CU_ASSERT_EQUAL(loss, losses[best]);
    CU_ASSERT_EQUAL(resume(run, &loss, &wrong), last);
    CU_ASSERT_FALSE(wrong);
}

static void no_links(bool none) {
    if (none)
        setenv("CAROUSEL_FAULT", "checkpoint-no-links", 1);
    else
        unsetenv("CAROUSEL_FAULT");
}

static const double falls[] = {0, 2, 1.5, 1, 4, 3}, rises[] = {0, 2, 1, 3, 4, 5};

static void test_names_are_mended(void) {
    losses = falls;
    for (int copies = 0; copies < 2; copies++) {
        const char *run = own(copies ? "mended-copies" : "mended");
        no_links(copies);
        for (int64_t step = 1; step <= 4; step++)
            CU_ASSERT_EQUAL(save_validated(run, step, 2), CRS_OK);
        resumes(run, 4, 3, false);
        unlink(in(run, "best.h5"));
        resumes(run, 4, 3, true);
        CU_ASSERT_EQUAL(fixture_count(run), 4);
        unlink(in(run, "last.h5"));
        fixture_spill(in(run, "best.h5.tmp-12"), (const unsigned char *)"half", 4);
        resumes(run, 4, 3, true);
        CU_ASSERT_EQUAL(fixture_count(run), 4);
        unlink(in(run, "last.h5")); /* so that damage is to no other file */
        unlink(in(run, "best.h5"));
        fixture_spill(in(run, "last.h5"), (const unsigned char *)"torn", 4);
        fixture_spill(in(run, "best.h5"), (const unsigned char *)"torn", 4);
        resumes(run, 4, 3, true);
        /* an older, worse one under the name; and the newest under it */
        unlink(in(run, "best.h5"));
        CU_ASSERT_EQUAL(rename(in(run, "last.h5"), in(run, "best.h5")), 0);
        resumes(run, 4, 3, true);
        no_links(false);
    }
}

/* Nothing is pruned that should be best.h5; where it is gone all the same, the best that is left takes its place. */
static void test_best_is_lost(void) {
    const char *run = own("lost");
    double loss;
    bool wrong;
    losses = rises;
    CU_ASSERT_EQUAL(save_validated(run, 1, 1), CRS_OK);
    CU_ASSERT_EQUAL(save_validated(run, 2, 1), CRS_OK);
    unlink(in(run, "best.h5"));
    CU_ASSERT_EQUAL(save_validated(run, 3, 1), CRS_OK);
    CU_ASSERT_TRUE(fixture_exists(in(run, "step-00000002.h5")));
    resumes(run, 3, 2, true);
    unlink(in(run, "best.h5"));
    unlink(in(run, "step-00000002.h5"));
    resumes(run, 3, 3, true);
    CU_ASSERT_EQUAL(save(run, 5, false, 9), CRS_OK); /* of another history */
    CU_ASSERT_EQUAL(resume(run, &loss, &wrong), 5);
    CU_ASSERT_EQUAL(step_in(run, "best.h5"), 3); /* it says nothing of the losses: all stays */
}

/* The best alone can't be copied: it is kept, and copied later. */
static void test_no_room_for_best(void) {
    const char *run = own("no-room");
    losses = falls;
    setenv("CAROUSEL_FAULT", "checkpoint-no-links", 1);
    CU_ASSERT_EQUAL(save_validated(run, 1, 1), CRS_OK);
    setenv("CAROUSEL_FAULT", "checkpoint-no-links,checkpoint-full-best", 1);
    CU_ASSERT_EQUAL(save_validated(run, 2, 1), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "best.h5"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "step-00000002.h5 is whole"));
    CU_ASSERT_EQUAL(fixture_count(run), 4);
    setenv("CAROUSEL_FAULT", "checkpoint-no-links", 1);
    resumes(run, 2, 2, true);
    CU_ASSERT_EQUAL(save_validated(run, 3, 1), CRS_OK);
    resumes(run, 3, 3, false);
    CU_ASSERT_EQUAL(fixture_count(run), 3);
    unsetenv("CAROUSEL_FAULT");
}

/* The beginning of the kernel's struct ptrace_syscall_info, whose name differs between C libraries. */
struct syscall_entry {
    uint8_t op;
    uint32_t arch;
    uint64_t instruction, stack, number;
};

static bool changes_files(uint64_t call) {
#ifdef SYS_rename
    if (call == SYS_rename || call == SYS_link || call == SYS_unlink)
        return true;
#endif
    return call == SYS_renameat || call == SYS_renameat2 || call == SYS_linkat || call == SYS_unlinkat ||
           call == SYS_write || call == SYS_fsync;
}

/* Saves a step in another process, which is killed before its n-th system call that changes files. 1: it was; 0: there
 * are not so many; -1: this machine allows no tracing; -2: it failed. */
static int save_killed(const char *run, int64_t step, int n) {
    const int entry = 1, get_info = 0x420e; /* PTRACE_SYSCALL_INFO_ENTRY, PTRACE_GET_SYSCALL_INFO */
    struct syscall_entry info;
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(77);
        raise(SIGSTOP);
        _exit(save_validated(run, step, 1));
    }
    for (;;) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
        if (!WIFSTOPPED(status))
            return !WIFEXITED(status) ? -2 : WEXITSTATUS(status) == 77 ? -1 : WEXITSTATUS(status) == 0 ? 0 : -2;
        ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_TRACESYSGOOD); /* without it nothing is told of calls */
        memset(&info, 0, sizeof info);
        long got = ptrace((enum __ptrace_request)get_info, child, (void *)sizeof info, &info);
        if (got > 0 && info.op == entry && changes_files(info.number) && --n == 0) {
            kill(child, SIGKILL);
            await(child);
            return 1;
        }
        const bool is_unknown = got < 0 && errno == EIO; /* before Linux 5.3 */
        if (got < 0 || ptrace(PTRACE_SYSCALL, child, NULL, NULL) != 0) {
            kill(child, SIGKILL);
            await(child);
            return is_unknown ? -1 : -2;
        }
    }
}

/* What the run stood at before, each file under its names again. */
static void set_up(const char *run, const char *before, bool copies) {
    static const char *const names[] = {"step-00000002.h5", "last.h5", "best.h5"};
    mkdir(run, 0700);
    for (int i = 0; i < 3; i++) {
        size_t size;
        unsigned char *bytes = fixture_slurp(in(before, names[i]), &size);
        CRS_ASSERT(bytes);
        unlink(in(run, names[i]));
        if (i == 0 || copies)
            fixture_spill(in(run, names[i]), bytes, size);
        else
            CU_ASSERT_EQUAL(link(in(run, names[0]), in(run, names[i])), 0);
        free(bytes);
    }
}

/* The third save is killed before its n-th call, the run goes on, and the fourth prunes. */
static int killed_at_call(const char *run, int n) {
    double loss;
    bool wrong;
    const int killed = save_killed(run, 3, n);
    if (killed < 0)
        return killed;
    const int64_t step = resume(run, &loss, &wrong);
    CU_ASSERT(step == 2 || step == 3);
    CU_ASSERT_EQUAL(step_in(run, "last.h5"), step);
    CU_ASSERT_EQUAL(step_in(run, "best.h5"), step);
    CU_ASSERT_EQUAL(loss, losses[step]);
    if (step == 2)
        CU_ASSERT_EQUAL(save_validated(run, 3, 1), CRS_OK);
    CU_ASSERT_EQUAL(save_validated(run, 4, 1), CRS_OK);
    CU_ASSERT_EQUAL(step_in(run, "last.h5"), 4);
    CU_ASSERT_EQUAL(step_in(run, "best.h5"), 3);
    CU_ASSERT_EQUAL(fixture_count(run), 3);
    unlink(in(run, "step-00000004.h5"));
    return killed;
}

static void test_killed_at_each_call(void) {
    if (harness_rank() != 0)
        return;
    losses = falls;
    for (int copies = 0; copies < 2; copies++) {
        const char *run = own("call"), *before = own(copies ? "before-copies" : "before");
        int killed = 1, kills = 0;
        no_links(copies);
        CU_ASSERT_EQUAL(save_validated(before, 1, 1), CRS_OK);
        CU_ASSERT_EQUAL(save_validated(before, 2, 1), CRS_OK);
        while (killed > 0) {
            set_up(run, before, copies);
            killed = killed_at_call(run, kills + 1);
            kills += killed > 0;
        }
        no_links(false);
        if (killed == -1 && kills == 0)
            harness_skip("this machine allows no tracing");
        else
            CU_ASSERT(killed == 0 && kills >= 13); /* three files and their names, and one that is pruned */
    }
}

/* ---- starting over ---- */

static void test_move_aside_link(void) {
    const char *link_name = own("by-link"), *target = own("on-disk"), *hop = own("hop");
    char moved[4096], slashed[4096];
    struct stat status;
    CU_ASSERT_EQUAL(symlink(target, hop), 0);
    CU_ASSERT_EQUAL(symlink(strrchr(hop, '/') + 1, link_name), 0);
    CU_ASSERT_EQUAL(crs_run_move_aside(link_name, moved, sizeof moved, &error), CRS_OK); /* it dangles */
    CU_ASSERT_STRING_EQUAL(moved, "");
    CU_ASSERT_FALSE(fixture_exists(target));
    for (int i = 1; i <= 2; i++) {
        CU_ASSERT_EQUAL(save(target, i, false, 2), CRS_OK);
        snprintf(slashed, sizeof slashed, "%s%s", link_name, i == 2 ? "/" : "");
        CU_ASSERT_EQUAL(crs_run_move_aside(slashed, moved, sizeof moved, &error), CRS_OK);
        CU_ASSERT_PTR_NOT_NULL(strstr(moved, i == 2 ? "on-disk.old-2" : "on-disk.old"));
        CU_ASSERT_EQUAL(load(moved, NULL, 0), i);
        CU_ASSERT(lstat(link_name, &status) == 0 && S_ISLNK(status.st_mode));
        CU_ASSERT(lstat(hop, &status) == 0 && S_ISLNK(status.st_mode));
        CU_ASSERT(lstat(target, &status) == 0 && S_ISDIR(status.st_mode));
        CU_ASSERT_EQUAL(fixture_count(link_name), 0);
    }
}

static void test_move_aside(void) {
    const char *run = own("aside");
    char moved[4096], slashed[4096], wanted[4096];
    CU_ASSERT_EQUAL(crs_run_move_aside(run, moved, sizeof moved, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(moved, "");
    for (int i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(save(run, i, false, 2), CRS_OK);
        snprintf(slashed, sizeof slashed, "%s//", run);
        CU_ASSERT_EQUAL(crs_run_move_aside(i == 2 ? slashed : run, moved, sizeof moved, &error), CRS_OK);
        snprintf(wanted, sizeof wanted, i == 1 ? "%s.old" : "%s.old-%d", run, i);
        CU_ASSERT_STRING_EQUAL(moved, wanted);
        CU_ASSERT_FALSE(fixture_exists(run));
        CU_ASSERT_EQUAL(load(moved, NULL, 0), i);
    }
    CU_ASSERT_EQUAL(load(in(harness_dir(), strrchr(wanted, '/') + 1), NULL, 0), 3);
    CU_ASSERT_EQUAL(save(run, 1, false, 2), CRS_OK);
    CU_ASSERT_EQUAL(crs_run_move_aside(run, moved, strlen(run) + 2, &error), CRS_CREATE);
    CU_ASSERT_TRUE(fixture_exists(run));
}

/* ---- faults ---- */

static void test_torn(void) {
    const char *run = own("torn");
    CU_ASSERT_EQUAL(save(run, 1, false, 2), CRS_OK);
    setenv("CAROUSEL_FAULT", "checkpoint-torn", 1);
    CU_ASSERT_EQUAL(save(run, 2, true, 2), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "read back"));
    CU_ASSERT_EQUAL(save(run, 1, true, 2), CRS_CREATE);
    unsetenv("CAROUSEL_FAULT");
    CU_ASSERT_EQUAL(fixture_count(run), 2);
    CU_ASSERT_EQUAL(load(run, NULL, 0), 1);
}

static void test_killed_at_each_moment(void) {
    static const struct {
        const char *fault;
        int64_t step;
        int files;
    } moments[] = {
        {"checkpoint-kill-written", 1, 3}, /* step 1, last.h5, and the temporary file */
        {"checkpoint-kill-renamed", 2, 3},
        {"checkpoint-kill-linked", 2, 4},
    };
    for (int i = 0; i < 3; i++) {
        const char *run = own(moments[i].fault);
        CU_ASSERT_EQUAL(save(run, 1, false, 2), CRS_OK);
        CU_ASSERT_EQUAL(await(spawn(moments[i].fault, "save-2", run, -1)), 1000 + SIGKILL);
        CU_ASSERT_EQUAL(fixture_count(run), moments[i].files);
        CU_ASSERT_EQUAL(load(run, NULL, 0), moments[i].step);
        CU_ASSERT_EQUAL(save(run, 2, true, 2), CRS_OK); /* and the run goes on */
        CU_ASSERT_EQUAL(fixture_count(run), 4);
        CU_ASSERT_EQUAL(load(run, NULL, 0), 2);
    }
}

/* The last step that the child said was done. */
static int64_t last_said(int pipe) {
    char text[1 << 16];
    ssize_t used = 0, count;
    while ((count = read(pipe, text + used, sizeof text - 1 - (size_t)used)) > 0)
        used += count;
    text[used] = '\0';
    char *end = strrchr(text, '\n');
    if (!end)
        return 0;
    *end = '\0';
    const char *line = strrchr(text, '\n');
    return atoll(line ? line + 1 : text);
}

static void test_killed_at_any_instant(void) {
    enum { ROUNDS = 25 };
    const char *run = own("killed");
    int64_t before = 0;
    if (harness_rank() != 0)
        return;
    /* On a busy machine a child gets little done before it is killed: then more rounds, and longer ones. */
    for (int round = 0; round < ROUNDS || (before <= 3 && round < 20 * ROUNDS); round++) {
        int pipes[2];
        uint64_t draw[4];
        crs_random((uint64_t)getpid(), CRS_DRAW_SAMPLE, (uint64_t)round, 0, 0, 0, draw);
        CU_ASSERT_EQUAL(pipe(pipes), 0);
        pid_t running = spawn(NULL, "loop", run, pipes[1]);
        close(pipes[1]);
        usleep(20000 + (useconds_t)(draw[0] % 60000) + (useconds_t)(round / ROUNDS) * 50000);
        kill(running, SIGKILL);
        CU_ASSERT_EQUAL(await(running), 1000 + SIGKILL);
        int64_t said = last_said(pipes[0]), step = load(run, NULL, 0);
        close(pipes[0]);
        if (said > before)
            before = said;
        CU_ASSERT(step >= before || (before == 0 && step == -1)); /* nothing that was saved is lost */
        CU_ASSERT(step <= before + 1);
        if (step > before)
            before = step;
    }
    CU_ASSERT(before > 3);
    CU_ASSERT_EQUAL(save(run, before + 1, true, 2), CRS_OK);
    CU_ASSERT_EQUAL(fixture_count(run), 4); /* no remains */
}

/* HDF5 1.10 would crash at the exit of a process in which it met a full disk: the exit is part of these. */
static void test_size_limit(void) {
    CU_ASSERT_EQUAL(await(spawn(NULL, "limited", own("limited"), -1)), 0);
}

static void test_full_disk(void) {
    int status = await(spawn(NULL, "full", own("full"), -1));
    if (status == 77)
        harness_skip("no right to mount a full disk");
    else
        CU_ASSERT_EQUAL(status, 0);
}

static void test_mounted(void) {
    CU_ASSERT_EQUAL(mkdir(own("mounted"), 0700), 0);
    int status = await(spawn(NULL, "mounted", own("mounted"), -1));
    if (status == 77)
        harness_skip("no right to mount a disk");
    else
        CU_ASSERT_EQUAL(status, 0);
}

static void test_unwritable(void) {
    const char *run = own("read-only");
    CU_ASSERT_EQUAL(save(run, 1, false, 2), CRS_OK);
    int status = await(spawn(NULL, "read-only", run, -1));
    CU_ASSERT(status == 0 || status == 77);
    if (geteuid() == 0) {
        if (status == 77)
            harness_skip("no right to mount a disk that can't be written");
        return;
    }
    chmod(run, 0500);
    CU_ASSERT_EQUAL(save(run, 2, false, 2), CRS_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "can be written"));
    chmod(run, 0700);
    CU_ASSERT_EQUAL(load(run, NULL, 0), 1);
}

static const harness_test tests[] = {
    HARNESS_TEST(test_keeps),
    HARNESS_TEST(test_stale_temporaries),
    HARNESS_TEST(test_without_links),
    HARNESS_TEST(test_passes_over_damage),
    HARNESS_TEST(test_none_whole),
    HARNESS_TEST(test_step_in_file),
    HARNESS_TEST(test_keep_counts_older),
    HARNESS_TEST(test_no_folder),
    HARNESS_TEST(test_names_are_mended),
    HARNESS_TEST(test_best_is_lost),
    HARNESS_TEST(test_no_room_for_best),
    HARNESS_TEST(test_killed_at_each_call),
    HARNESS_TEST(test_move_aside_link),
    HARNESS_TEST(test_mounted),
    HARNESS_TEST(test_move_aside),
    HARNESS_TEST(test_torn),
    HARNESS_TEST(test_killed_at_each_moment),
    HARNESS_TEST(test_killed_at_any_instant),
    HARNESS_TEST(test_size_limit),
    HARNESS_TEST(test_full_disk),
    HARNESS_TEST(test_unwritable),
    HARNESS_END,
};

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        return child(argv[2], argv[3]);
    harness_add("run", tests);
    return harness_run(argc, argv);
}
