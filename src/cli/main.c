/* carousel: which command, with MPI or without; one error line over all ranks. */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "build_id.h"
#include "cli/cli.h"

/* Of the sources that this program is made of; faults on purpose are a build of their own. */
#ifdef CRS_FAULTS
static const char build[] = CRS_BUILD_ID " with faults";
#else
static const char build[] = CRS_BUILD_ID;
#endif

typedef struct command {
    const char *name, *about;
    crs_command *alone;         /* one of these two */
    crs_command_all *all_ranks; /* and with it: */
    const crs_cli *(*cli)(void);
} command;

static const command commands[] = {
    {"pack", "turn text, tables, music into a data set", crs_command_pack, NULL, NULL},
    {"train", "train a network; under mpirun, on all ranks", NULL, crs_command_train, crs_train_cli},
    {"eval", "measure a checkpoint on a data set", NULL, crs_command_eval, crs_eval_cli},
    {"predict", "write what a checkpoint says of a data set", NULL, crs_command_predict, crs_predict_cli},
    {"sample", "write text with a checkpoint", crs_command_sample, NULL, NULL},
    {"show", "tell what is in a checkpoint or a data set", crs_command_show, NULL, NULL},
    {"bench", "this machine's limits, and how close training comes", NULL, crs_command_bench, crs_bench_cli},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const command *find(const char *name) {
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_help(void) {
    puts("Usage: carousel COMMAND [OPTION]... [ARGUMENT]...\n"
         "Train recurrent networks on any sequence, on one core or many ranks, with the\nsame bits.\n\n"
         "Commands:");
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].about);
    puts("\n'carousel COMMAND --help' tells a command's options.\n\n"
         "Examples:\n"
         "  carousel pack text -o shakespeare.h5 input.txt\n"
         "  mpirun -n 8 carousel train shakespeare.h5 -o run\n"
         "  carousel eval run/best.h5 shakespeare.h5\n"
         "  carousel sample run/best.h5 --prime='KING' --length=500 --temperature=0.8");
}

/* ---- the command line up to the command ---- */

typedef enum what { DO_RUN, DO_HELP, DO_VERSION } what;

typedef struct task {
    what what;
    const command *command; /* to be run */
    int argc;               /* its own arguments: argv[0] is its name */
    char **argv;
    char *words[4]; /* what argv is for `carousel help COMMAND [KIND]` */
} task;

enum { EARLY_HELP, EARLY_VERSION, EARLY_QUIET, EARLY_VERBOSE, EARLY };
static const char *const early[EARLY] = {"help", "version", "quiet", "verbose"};
static const char early_letters[EARLY + 1] = "hVqv";

static crs_status refuse_command(const char *name, crs_error *error) {
    const char *names[COMMANDS + 1] = {"help"};
    for (int i = 0; i < COMMANDS; i++)
        names[i + 1] = commands[i].name;
    const char *close = crs_name_suggest(name, names, COMMANDS + 1);
    if (close)
        return crs_fail(error, CRS_USAGE, "unknown command '%.60s': did you mean '%s'? 'carousel --help' lists them",
                        name, close);
    return crs_fail(error, CRS_USAGE, "unknown command '%.60s'; 'carousel --help' lists them", name);
}

/* An option before the command: its number, or -1 with *error. */
static int find_early(const char *word, crs_error *error) {
    const char *letter = word[1] && !word[2] ? strchr(early_letters, word[1]) : NULL;
    if (letter)
        return (int)(letter - early_letters);
    const bool is_long = word[1] == '-' && word[2];
    int found = -1, fitting = 0;
    for (int i = 0; is_long && i < EARLY; i++)
        if (strncmp(word + 2, early[i], strlen(word + 2)) == 0) {
            found = i;
            fitting++;
        }
    if (fitting == 1)
        return found;
    const char *close = is_long && fitting == 0 ? crs_name_suggest(word + 2, early, EARLY) : NULL;
    if (close)
        crs_fail(error, CRS_USAGE,
                 "unknown option %.60s before the command: did you mean --%s? 'carousel --help' tells the usage", word,
                 close);
    else
        crs_fail(error, CRS_USAGE, "%s option %.60s before the command; 'carousel --help' tells the usage",
                 fitting > 1 ? "ambiguous" : "unknown", word);
    return -1;
}

/* `carousel help [COMMAND]`, or `help pack KIND` */
static crs_status read_help(int argc, char **argv, task *t, crs_error *error) {
    static char help[] = "--help";
    const int most = argc > 2 && strcmp(argv[1], "pack") == 0 ? 3 : 2;
    if (argc > most)
        return crs_fail(error, CRS_USAGE, "'%.200s' is one argument too many; usage: carousel help [COMMAND]",
                        argv[most]);
    t->what = DO_HELP;
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
        return CRS_OK;
    t->command = find(argv[1]);
    if (!t->command)
        return refuse_command(argv[1], error);
    t->what = DO_RUN;
    for (int i = 1; i < argc; i++)
        t->words[i - 1] = argv[i];
    t->words[argc - 1] = help;
    t->argv = t->words;
    t->argc = argc;
    return CRS_OK;
}

static crs_status read_line(int argc, char **argv, task *t, crs_error *error) {
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        const int option = find_early(argv[at], error);
        if (option < 0)
            return error->status;
        if (option == EARLY_HELP || option == EARLY_VERSION) {
            t->what = option == EARLY_HELP ? DO_HELP : DO_VERSION;
            return CRS_OK;
        }
        crs_set_verbosity(option == EARLY_QUIET ? CRS_QUIET : CRS_VERBOSE);
    }
    if (at >= argc)
        return crs_fail(error, CRS_USAGE, "a command is missing; 'carousel --help' lists them");
    if (strcmp(argv[at], "help") == 0)
        return read_help(argc - at, argv + at, t, error);
    t->command = find(argv[at]);
    if (!t->command)
        return refuse_command(argv[at], error);
    t->argc = argc - at;
    t->argv = argv + at;
    return CRS_OK;
}

/* ---- running it ---- */

/* What one process does for all. */
static void do_alone(const task *t, crs_error *error) {
    if (t->what == DO_VERSION) {
        puts(PACKAGE_STRING);
        if (crs_get_verbosity() == CRS_VERBOSE)
            printf("build %s\n", build);
    } else if (t->what == DO_HELP)
        print_help();
    else if (t->command->alone)
        t->command->alone(t->argc, t->argv, error);
    else /* its --help */
        t->command->all_ranks(NULL, t->argc, t->argv, error);
    if (t->what != DO_RUN)
        crs_output_flush(error);
}

/* MPI is started for what all ranks do together, and, under a launcher, to do the rest and to report errors just once:
 * rank 0 works, and all leave with its status. */
static void carry_out(const task *t, int argc, char **argv, crs_error *error) {
    const command *c = t->what == DO_RUN ? t->command : NULL;
    const bool together = c && c->all_ranks && !crs_cli_asks_help(c->cli(), t->argc, t->argv);
    char text[160];
    if (together && crs_comm_check(error)) {
        crs_report(error);
        return;
    }
    if (together && c->all_ranks == crs_command_train)
        crs_signals_catch(false);
    crs_comm *comm = together || crs_comm_launched() ? crs_comm_open(&argc, &argv) : NULL;
    snprintf(text, sizeof text, "%s %s\nbuild %s", PACKAGE_STRING, together ? c->name : "by one rank", build);
    if (comm)
        crs_comm_same(comm, text, CRS_USAGE, "the program or its command",
                      "start the same on every rank ('carousel -v --version' tells the build)", error);
    if (error->status == CRS_OK && together) {
        c->all_ranks(comm, t->argc, t->argv, error);
    } else if (error->status == CRS_OK) {
        if (!comm || crs_comm_rank(comm) == 0)
            do_alone(t, error);
        if (comm)
            crs_comm_broadcast(comm, error, sizeof *error);
    }
    crs_live("");
    if (error->status && error->message[0])
        crs_report(error);
    if (comm)
        crs_comm_close(&comm);
}

/* Where a standard stream is closed, the next file that is opened would take its place, and get what is printed: hold
 * the place with a file in which printing fails. */
static void hold_standard_files(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(CRS_INTERNAL);
}

int main(int argc, char **argv) {
    crs_error error = {0};
    task t = {0};
    crs_comm_calm(argv);
    hold_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of the writing */
    signal(SIGXFSZ, SIG_IGN); /* as is a file that grows beyond ulimit -f */
    if (read_line(argc, argv, &t, &error))
        t = (task){.what = DO_HELP};
    carry_out(&t, argc, argv, &error);
    if (crs_memory_blocks() != 0 && crs_get_verbosity() == CRS_VERBOSE)
        crs_warn("%lld blocks of memory were not freed", (long long)crs_memory_blocks());
    return (int)error.status;
}
