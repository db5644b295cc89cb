/* What the commands share: their table, options and operands, help, standard output. Private to room cli. */
#ifndef CRS_CLI_CLI_H
#define CRS_CLI_CLI_H

#include "carousel/comm.h"
#include "carousel/train.h"

/* A command gets its own arguments: argv[0] is its name. It returns its status, with *error filled where that is not
 * CRS_OK; main prints the error, once over all ranks, and makes the status the exit status. */

/* Runs in one process (under a launcher: at rank 0 alone, without MPI). */
typedef crs_status crs_command(int argc, char **argv, crs_error *error);
/* Collective: every rank calls it with the same arguments and returns the same status. */
typedef crs_status crs_command_all(crs_comm *comm, int argc, char **argv, crs_error *error);

crs_command crs_command_pack, crs_command_sample, crs_command_show;
crs_command_all crs_command_train, crs_command_eval, crs_command_predict, crs_command_bench;

/* ---- options and operands ----
 *
 * Options may stand anywhere among the operands; `--` ends them. Long ones can be cut short where that leaves no doubt.
 * --help (-h), --quiet (-q) and --verbose (-v) belong to every command and stand in no table. */

typedef struct crs_cli_option {
    char letter;          /* 0: none */
    const char *name;     /* "streams" */
    const char *argument; /* "N", for --help; NULL: a switch */
    const char *help;     /* any length; --help wraps it */
} crs_cli_option;

/* Takes option number `option` of the table. typed->where is the option as it was typed ("--streams", "-o"),
 * typed->value its argument (NULL for a switch), typed->status CRS_USAGE: what the crs_typed_... functions of config.h
 * take. */
typedef crs_status crs_cli_take(void *context, int option, const crs_typed *typed, crs_error *error);

typedef struct crs_cli {
    const char *name;              /* "eval" */
    const char *usage;             /* what stands behind the name: "[OPTION]... CHECKPOINT DATA.h5" */
    const char *about;             /* what it does: lines of at most 80 columns */
    const char *more;              /* what --help ends with (examples); may be NULL */
    const char *const *operands;   /* names of the operands that must be there, for messages */
    int operands_least;            /* how many those are */
    int operands_most;             /* INT_MAX: any number */
    const crs_cli_option *options; /* [options_count] */
    int options_count;
    crs_cli_take *take;
} crs_cli;

typedef struct crs_cli_arguments {
    int count;
    char **operand; /* [count], a part of argv */
    bool help;      /* --help was there and has been answered: nothing is left to do */
} crs_cli_arguments;

/* Parses argv[1 .. argc) and calls cli->take for each option, in order. Writes to argv. Refuses (CRS_USAGE) what the
 * table does not know, with what would do; sets the verbosity. --help prints the help to standard output at once. */
crs_status crs_cli_parse(const crs_cli *cli, int argc, char **argv, void *context, crs_cli_arguments *arguments,
                         crs_error *error);
/* Whether crs_cli_parse would answer --help. Does not change argv. */
bool crs_cli_asks_help(const crs_cli *cli, int argc, char **argv);

/* The tables of the collective commands: main asks them whether --help is meant before it starts MPI. */
const crs_cli *crs_train_cli(void);
const crs_cli *crs_eval_cli(void);
const crs_cli *crs_predict_cli(void);
const crs_cli *crs_bench_cli(void);

/* Steps a whole note: 16 of "1/16". */
crs_status crs_take_grid(const crs_typed *typed, int *grid, crs_error *error);

/* ---- standard output ---- */

/* Writes to, and flushes standard output. CRS_CREATE where this, or with the latter anything before, was lost; a reader
 * that went away (a closed pipe) gives that status with an empty message, which main does not print. */
crs_status crs_output_write(const char *bytes, size_t count, crs_error *error);
crs_status crs_output_flush(crs_error *error);

/* ---- kernels ---- */

/* What CAROUSEL_ISA says, or the best that this processor (with comm, collective: every rank's) has. */
crs_status crs_choose_kernels(crs_comm *comm, const crs_kernels **kernels, crs_error *error);

#endif
