/* Options and operands: GNU's getopt_long over a table, with messages of our own. */
#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "carousel/notes.h"
#include "cli/cli.h"

enum { HELP, QUIET, VERBOSE, COMMON };
static const crs_cli_option common[COMMON] = {[HELP] = {'h', "help", NULL, "print this help"},
                                              [QUIET] = {'q', "quiet", NULL, "say nothing but errors and warnings"},
                                              [VERBOSE] = {'v', "verbose", NULL, "say more"}};

/* An option by its number: those of the command, then the common ones. */
static const crs_cli_option *option_at(const crs_cli *cli, int number) {
    return number < cli->options_count ? &cli->options[number] : &common[number - cli->options_count];
}

/* What getopt returns for a long option: this, above all letters, and its number. */
enum { FIRST = 1000 };

/* getopt at work. What stands on the command line is never moved, also where POSIXLY_CORRECT is set. */
typedef struct scan {
    const crs_cli *cli;
    int argc;
    char **argv;
    const char *word; /* the element of argv that the last option or operand stands in */
    struct option options[CRS_OPTIONS_MOST + COMMON + 1];
    char letters[2 * (CRS_OPTIONS_MOST + COMMON) + 3];
} scan;

enum { GOT_OPERAND = 1, GOT_ONE_DASH = 2, GOT_END = -1 };

static void begin(scan *s, const crs_cli *cli, int argc, char **argv) {
    int n = 0;
    char *letter = s->letters;
    CRS_ASSERT(cli->options_count <= CRS_OPTIONS_MOST);
    s->cli = cli;
    s->argc = argc;
    s->argv = argv;
    *letter++ = '-'; /* operands are returned in their places */
    *letter++ = ':';
    for (; n < cli->options_count + COMMON; n++) {
        const crs_cli_option *o = option_at(cli, n);
        s->options[n] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, FIRST + n};
        if (o->letter) {
            *letter++ = o->letter;
            if (o->argument)
                *letter++ = ':';
        }
    }
    *letter = 0;
    s->options[n] = (struct option){0};
    opterr = 0;
    optind = 0;
}

/* Whether a word with one dash is a long option by its name: -hidden=8 would be taken for -h. */
static bool is_long_name(const scan *s, const char *word) {
    if (!word || word[0] != '-' || word[1] == '-')
        return false;
    const size_t length = strcspn(word + 1, "=");
    for (const struct option *o = s->options; o->name; o++)
        if (length > 1 && strlen(o->name) == length && strncmp(word + 1, o->name, length) == 0)
            return true;
    return false;
}

/* What getopt_long returns, or a GOT_... */
static int next(scan *s) {
    const int at = optind > 0 ? optind : 1;
    s->word = at < s->argc ? s->argv[at] : NULL;
    const int got = getopt_long(s->argc, s->argv, s->letters, s->options, NULL);
    if (got > GOT_ONE_DASH && is_long_name(s, s->word))
        return GOT_ONE_DASH;
    return got;
}

/* The number of the option that getopt returned, which short options do as their letters; -1: there is none. */
static int number_of(const crs_cli *cli, int got) {
    for (int i = 0; i < cli->options_count + COMMON; i++)
        if (got == FIRST + i || (got && got == option_at(cli, i)->letter))
            return i;
    return -1;
}

/* As it was typed: "-o", "--hidden", and for a shortened one "--hid (--hidden)". */
static void typed_name(const scan *s, int got, char *out, size_t size) {
    if (got < FIRST) {
        snprintf(out, size, "-%c", got);
        return;
    }
    const char *name = option_at(s->cli, got - FIRST)->name, *typed = s->word + 2;
    const int length = (int)strcspn(typed, "=");
    if (strlen(name) == (size_t)length)
        snprintf(out, size, "--%s", name);
    else
        snprintf(out, size, "--%.*s (--%s)", length, typed, name);
}

static crs_status refuse_unknown(const scan *s, crs_error *error) {
    const char *names[CRS_OPTIONS_MOST + COMMON], *cli = s->cli->name;
    char name[64], list[256] = "";
    int count = 0, fitting = 0;
    size_t length = 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(s->word + 2, "="), s->word + 2);
    for (; s->options[count].name; count++) {
        names[count] = s->options[count].name;
        if (strncmp(names[count], name, strlen(name)) == 0 && length < sizeof list - 40) {
            length +=
                (size_t)snprintf(list + length, sizeof list - length, "%s--%s", fitting ? ", " : "", names[count]);
            fitting++;
        }
    }
    if (fitting > 1 && *name)
        return crs_fail(error, CRS_USAGE, "--%s could be %s; write it out", name, list);
    const char *close = crs_name_suggest(name, names, count);
    if (close)
        return crs_fail(error, CRS_USAGE, "unknown option --%s: did you mean --%s? 'carousel %s --help' lists them",
                        name, close, cli);
    return crs_fail(error, CRS_USAGE, "unknown option --%s; 'carousel %s --help' lists them", name, cli);
}

/* getopt's ':' and '?'. */
static crs_status refuse(const scan *s, int got, crs_error *error) {
    const crs_cli *cli = s->cli;
    char name[160];
    if (optopt == 0)
        return refuse_unknown(s, error);
    if (number_of(cli, optopt) < 0) {
        if (optopt > ' ' && optopt < 0x7f)
            snprintf(name, sizeof name, "-%c", optopt);
        else
            snprintf(name, sizeof name, "%.60s", s->word);
        return crs_fail(error, CRS_USAGE, "unknown option %s; 'carousel %s --help' lists them", name, cli->name);
    }
    typed_name(s, optopt, name, sizeof name);
    const crs_cli_option *o = option_at(cli, number_of(cli, optopt));
    if (got == '?')
        return crs_fail(error, CRS_USAGE, "%s takes no value; write --%s alone", name, o->name);
    if (optopt < FIRST)
        return crs_fail(error, CRS_USAGE, "%s: a value is missing; write %s %s", name, name, o->argument);
    return crs_fail(error, CRS_USAGE, "%s: a value is missing; write --%s=%s", name, o->name, o->argument);
}

static crs_status take(const scan *s, int got, void *context, crs_error *error) {
    const int number = number_of(s->cli, got);
    char where[160];
    if (number >= s->cli->options_count) {
        crs_set_verbosity(number == s->cli->options_count + QUIET ? CRS_QUIET : CRS_VERBOSE);
        return CRS_OK;
    }
    typed_name(s, got, where, sizeof where);
    const crs_typed typed = {optarg, where, CRS_USAGE};
    return s->cli->take(context, number, &typed, error);
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

/* Operands move to the front of argv, over what has been read already. */
static crs_status read_all(scan *s, void *context, crs_cli_arguments *arguments, crs_error *error) {
    int got;
    arguments->operand = s->argv + 1;
    while ((got = next(s)) != GOT_END) {
        if (got == GOT_OPERAND)
            arguments->operand[arguments->count++] = optarg;
        else if (got == GOT_ONE_DASH)
            return crs_fail(error, CRS_USAGE, "%.60s: long options begin with two dashes; write -%.60s", s->word,
                            s->word);
        else if (got == ':' || got == '?')
            return refuse(s, got, error);
        else if (take(s, got, context, error))
            return error->status;
    }
    while (optind < s->argc) /* behind -- */
        arguments->operand[arguments->count++] = s->argv[optind++];
    return check_operands(s->cli, arguments, error);
}

crs_status crs_cli_parse(const crs_cli *cli, int argc, char **argv, void *context, crs_cli_arguments *arguments,
                         crs_error *error) {
    scan s;
    *arguments = (crs_cli_arguments){0};
    if (crs_cli_asks_help(cli, argc, argv)) {
        arguments->help = true;
        print_help(cli);
        return crs_output_flush(error);
    }
    begin(&s, cli, argc, argv);
    return read_all(&s, context, arguments, error);
}

bool crs_cli_asks_help(const crs_cli *cli, int argc, char **argv) {
    scan s;
    int got;
    begin(&s, cli, argc, argv);
    while ((got = next(&s)) != GOT_END && got != GOT_ONE_DASH && got != ':' && got != '?')
        if (number_of(cli, got) == cli->options_count + HELP)
            return true;
    return false;
}

crs_status crs_take_grid(const crs_typed *typed, int *grid, crs_error *error) {
    *grid = crs_grid_of(typed->value);
    return *grid > 0
               ? CRS_OK
               : crs_typed_refuse(typed, error, "a part of a whole note from 1/1 to 1/%d, as 1/16", (int)CRS_GRID_MOST);
}

/* ---- help ---- */

enum { HELP_COLUMN = 28, HELP_WIDTH = 79 };

/* Wraps text at HELP_WIDTH, from HELP_COLUMN on. */
static void print_wrapped(const char *text, int column) {
    if (column > HELP_COLUMN - 1) {
        putchar('\n');
        column = 0;
    }
    for (; *text; column = 0) {
        const int length = (int)strlen(text);
        int fits = HELP_WIDTH - HELP_COLUMN;
        while (fits > 0 && fits < length && text[fits] != ' ')
            fits--;
        fits = fits > 0 && fits < length ? fits : length;
        printf("%*s%.*s\n", HELP_COLUMN - column, "", fits, text);
        text += fits + strspn(text + fits, " ");
    }
}

static void print_option(const crs_cli_option *o) {
    char text[80];
    const int column =
        snprintf(text, sizeof text, o->letter ? "  -%c, --%s%s%s" : "  %c   --%s%s%s", o->letter ? o->letter : ' ',
                 o->name, o->argument ? "=" : "", o->argument ? o->argument : "");
    fputs(text, stdout);
    print_wrapped(o->help, column);
}

static void print_help(const crs_cli *cli) {
    printf("Usage: carousel %s %s\n%s\n\nOptions:\n", cli->name, cli->usage, cli->about);
    for (int i = 0; i < cli->options_count + COMMON; i++)
        print_option(option_at(cli, i));
    if (cli->more)
        printf("\n%s", cli->more);
}
