/* carousel: which command, with MPI or without; one error line over all ranks. */
#include "config.h"

#include <signal.h>
#include <string.h>

#include "cli/cli.h"

typedef struct command {
    const char *name, *about;
    crs_command *alone;         /* one of these two */
    crs_command_all *all_ranks; /* and with it: */
    const crs_cli *(*cli)(void);
} command;

static const command commands[] = {
    {"pack", "turn text into a data set", crs_command_pack, NULL, NULL},
    {"train", "train a network; under mpirun, on all ranks", NULL, crs_command_train, crs_train_cli},
    {"eval", "measure a checkpoint on a data set", NULL, crs_command_eval, crs_eval_cli},
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
         "Train recurrent networks on text, on one core or many ranks, with the same bits.\n\n"
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

static crs_status refuse(const char *name, crs_error *error) {
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *close = crs_name_suggest(name, names, COMMANDS);
    return crs_fail(error, CRS_USAGE, "unknown command '%.60s'%s%s%s; 'carousel --help' lists them", name,
                    close ? ": did you mean '" : "", close ? close : "", close ? "'?" : "");
}

/* What main itself answers: no command, help, version. Returns whether it did. */
static bool answer(int argc, char **argv, crs_error *error) {
    if (argc < 2) {
        crs_fail(error, CRS_USAGE, "a command is missing; 'carousel --help' lists them");
        return true;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts(PACKAGE_STRING);
    } else if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
               (strcmp(argv[1], "help") == 0 && argc < 3)) {
        print_help();
    } else if (strcmp(argv[1], "help") != 0 && argv[1][0] == '-') {
        crs_fail(error, CRS_USAGE, "unknown option %.60s before the command; 'carousel --help' tells the usage",
                 argv[1]);
        return true;
    } else {
        return false;
    }
    crs_output_flush(error);
    return true;
}

/* Under a launcher rank 0 works for all, who leave with its status. */
static crs_status run_alone(const command *c, crs_comm *comm, int argc, char **argv, crs_error *error) {
    if (!comm || crs_comm_rank(comm) == 0)
        c->alone(argc, argv, error);
    if (comm)
        crs_comm_broadcast(comm, error, sizeof *error);
    return error->status;
}

static crs_status run(const command *c, int argc, char **argv, crs_error *error) {
    const bool help = c->cli && crs_cli_asks_help(c->cli(), argc, argv);
    crs_comm *comm = !help && (c->all_ranks || crs_comm_launched()) ? crs_comm_open(&argc, &argv) : NULL;
    if (c->all_ranks)
        c->all_ranks(comm, argc, argv, error);
    else
        run_alone(c, comm, argc, argv, error);
    crs_live("");
    if (error->status && error->message[0])
        crs_report(error);
    if (comm)
        crs_comm_close(&comm);
    return error->status;
}

int main(int argc, char **argv) {
    crs_error error = {0};
    const command *c = NULL;
    signal(SIGPIPE, SIG_IGN);
    if (!answer(argc, argv, &error)) {
        char *help[] = {argv[argc > 2 ? 2 : 1], (char[]){"--help"}, NULL};
        const bool asks = strcmp(argv[1], "help") == 0;
        c = find(asks ? help[0] : argv[1]);
        if (!c)
            refuse(asks ? help[0] : argv[1], &error);
        else if (asks)
            run(c, 2, help, &error);
        else
            run(c, argc - 1, argv + 1, &error);
    }
    if (!c && error.status && error.message[0])
        crs_report(&error);
    if (crs_memory_blocks() != 0 && crs_get_verbosity() == CRS_VERBOSE)
        crs_warn("%lld blocks of memory were not freed", (long long)crs_memory_blocks());
    return (int)error.status;
}
