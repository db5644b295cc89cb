/* Options and operands: GNU's getopt_long over a table, with messages of our own. */
#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"

enum { OPTIONS_MOST = 64, VALUE_FIRST = 1000, VALUE_HELP = 900, VALUE_QUIET, VALUE_VERBOSE };

static const struct {
    const char *name;
    int letter, value;
    const char *help;
} common[] = {{"help", 'h', VALUE_HELP, "print this help"},
              {"quiet", 'q', VALUE_QUIET, "say nothing but errors and warnings"},
              {"verbose", 'v', VALUE_VERBOSE, "say more"}};
enum { COMMON = sizeof common / sizeof *common };

typedef struct table {
    struct option options[OPTIONS_MOST + COMMON + 1];
    char letters[2 * (OPTIONS_MOST + COMMON) + 3];
} table;

static void fill(table *t, const crs_cli *cli) {
    int n = 0;
    char *letter = t->letters;
    *letter++ = ':';
    CRS_ASSERT(cli->options_count <= OPTIONS_MOST);
    for (int i = 0; i < cli->options_count; i++) {
        const crs_cli_option *o = &cli->options[i];
        t->options[n++] =
            (struct option){o->name, o->argument ? required_argument : no_argument, NULL, VALUE_FIRST + i};
        if (o->letter) {
            *letter++ = o->letter;
            if (o->argument)
                *letter++ = ':';
        }
    }
    for (int i = 0; i < COMMON; i++) {
        t->options[n++] = (struct option){common[i].name, no_argument, NULL, common[i].value};
        *letter++ = (char)common[i].letter;
    }
    *letter = 0;
    t->options[n] = (struct option){0};
}

/* The value of a long option (VALUE_...) for what getopt returned: short options come as their letters. */
static int value_of(const crs_cli *cli, int got) {
    for (int i = 0; i < cli->options_count; i++)
        if (cli->options[i].letter && got == cli->options[i].letter)
            return VALUE_FIRST + i;
    for (int i = 0; i < COMMON; i++)
        if (got == common[i].letter)
            return common[i].value;
    return got;
}

static const char *name_of(const crs_cli *cli, int value) {
    if (value >= VALUE_FIRST)
        return cli->options[value - VALUE_FIRST].name;
    return common[value - VALUE_HELP].name;
}

/* "--name", or "-o" where a short option was typed. */
static void typed_name(const crs_cli *cli, int got, char *out, size_t size) {
    if (got < VALUE_HELP)
        snprintf(out, size, "-%c", got);
    else
        snprintf(out, size, "--%s", name_of(cli, got));
}

static crs_status refuse_unknown(const crs_cli *cli, const table *t, const char *word, crs_error *error) {
    const char *names[OPTIONS_MOST + COMMON];
    char name[64], list[256] = "";
    int count = 0, fitting = 0;
    size_t length = 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (; t->options[count].name; count++) {
        names[count] = t->options[count].name;
        if (strncmp(names[count], name, strlen(name)) == 0 && length < sizeof list - 40) {
            length +=
                (size_t)snprintf(list + length, sizeof list - length, "%s--%s", fitting ? ", " : "", names[count]);
            fitting++;
        }
    }
    if (fitting > 1 && *name)
        return crs_fail(error, CRS_USAGE, "--%s could be %s; write it out", name, list);
    const char *close = crs_name_suggest(name, names, count);
    return crs_fail(error, CRS_USAGE, "unknown option --%s%s%s; 'carousel %s --help' lists them", name,
                    close ? ": did you mean --" : "", close ? close : "", cli->name);
}

/* getopt's ':' and '?'. */
static crs_status refuse(const crs_cli *cli, const table *t, int got, char **argv, crs_error *error) {
    char name[80];
    const char *word = argv[optind - 1];
    if (optopt == 0)
        return refuse_unknown(cli, t, word, error);
    const bool known = optopt >= VALUE_HELP || value_of(cli, optopt) >= VALUE_HELP;
    typed_name(cli, optopt, name, sizeof name);
    if (got == ':') {
        const crs_cli_option *o = &cli->options[value_of(cli, optopt) - VALUE_FIRST];
        return crs_fail(error, CRS_USAGE, "%s: a value is missing; write %s%s%s", name, name,
                        o->letter == optopt ? " " : "=", o->argument);
    }
    if (known)
        return crs_fail(error, CRS_USAGE, "%s takes no value; write %s alone", name, name);
    return crs_fail(error, CRS_USAGE, "unknown option -%c; 'carousel %s --help' lists them", optopt, cli->name);
}

static crs_status take(const crs_cli *cli, int got, void *context, crs_error *error) {
    const int value = value_of(cli, got);
    char where[80];
    if (value == VALUE_QUIET || value == VALUE_VERBOSE) {
        crs_set_verbosity(value == VALUE_QUIET ? CRS_QUIET : CRS_VERBOSE);
        return CRS_OK;
    }
    typed_name(cli, got, where, sizeof where);
    const crs_typed typed = {optarg, where, CRS_USAGE};
    return cli->take(context, value - VALUE_FIRST, &typed, error);
}

static crs_status check_operands(const crs_cli *cli, const crs_cli_arguments *arguments, crs_error *error) {
    if (arguments->count < cli->operands_least)
        return crs_fail(error, CRS_USAGE, "%s is missing; usage: carousel %s %s", cli->operands[arguments->count],
                        cli->name, cli->usage);
    if (arguments->count > cli->operands_most)
        return crs_fail(error, CRS_USAGE, "'%.200s' is one argument too many; usage: carousel %s %s",
                        arguments->operand[cli->operands_most], cli->name, cli->usage);
    for (int i = 0; i < arguments->count; i++)
        if (!*arguments->operand[i])
            return crs_fail(error, CRS_USAGE, "an argument is empty; usage: carousel %s %s", cli->name, cli->usage);
    return CRS_OK;
}

static void print_help(const crs_cli *cli);

crs_status crs_cli_parse(const crs_cli *cli, int argc, char **argv, void *context, crs_cli_arguments *arguments,
                         crs_error *error) {
    table t;
    int got;
    fill(&t, cli);
    *arguments = (crs_cli_arguments){0};
    if (crs_cli_asks_help(cli, argc, argv)) {
        arguments->help = true;
        print_help(cli);
        return crs_output_flush(error);
    }
    opterr = 0;
    optind = 0;
    while ((got = getopt_long(argc, argv, t.letters, t.options, NULL)) != -1) {
        if (got == ':' || got == '?')
            return refuse(cli, &t, got, argv, error);
        if (take(cli, got, context, error))
            return error->status;
    }
    arguments->count = argc - optind;
    arguments->operand = argv + optind;
    return check_operands(cli, arguments, error);
}

bool crs_cli_asks_help(const crs_cli *cli, int argc, char **argv) {
    table t;
    char *copy[argc + 1];
    int got;
    fill(&t, cli);
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    copy[argc] = NULL;
    opterr = 0;
    optind = 0;
    while ((got = getopt_long(argc, copy, t.letters, t.options, NULL)) != -1 && got != ':' && got != '?')
        if (value_of(cli, got) == VALUE_HELP)
            return true;
    return false;
}

/* ---- help ---- */

enum { HELP_COLUMN = 28, HELP_WIDTH = 79 };

/* Wraps text at HELP_WIDTH, from HELP_COLUMN on. */
static void print_wrapped(const char *text, int column) {
    while (*text) {
        int fits = 0, length = (int)strlen(text);
        if (column > HELP_COLUMN - 1) {
            putchar('\n');
            column = 0;
        }
        if (length <= HELP_WIDTH - HELP_COLUMN)
            fits = length;
        else
            for (int i = 0; i <= HELP_WIDTH - HELP_COLUMN; i++)
                if (text[i] == ' ')
                    fits = i;
        fits = fits ? fits : length;
        printf("%*s%.*s\n", HELP_COLUMN - column, "", fits, text);
        text += fits + strspn(text + fits, " ");
        column = 0;
    }
}

static void print_option(char letter, const char *name, const char *argument, const char *help) {
    char text[80];
    const int column = snprintf(text, sizeof text, letter ? "  -%c, --%s%s%s" : "  %c   --%s%s%s",
                                letter ? letter : ' ', name, argument ? "=" : "", argument ? argument : "");
    fputs(text, stdout);
    print_wrapped(help, column);
}

static void print_help(const crs_cli *cli) {
    printf("Usage: carousel %s %s\n%s\n\nOptions:\n", cli->name, cli->usage, cli->about);
    for (int i = 0; i < cli->options_count; i++)
        print_option(cli->options[i].letter, cli->options[i].name, cli->options[i].argument, cli->options[i].help);
    for (int i = 0; i < COMMON; i++)
        print_option((char)common[i].letter, common[i].name, NULL, common[i].help);
    if (cli->more)
        printf("\n%s", cli->more);
}
