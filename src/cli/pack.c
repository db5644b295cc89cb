/* carousel pack: which kind of input, and what the kinds share. */
#include "config.h"

#include "cli/pack.h"

#include <limits.h>
#include <string.h>

typedef struct kind {
    const char *name, *about;
    crs_command *run;
} kind;

static const kind kinds[] = {
    {"text", "texts: a token a character, a byte or a word, in one stream", crs_pack_text_command},
    {"table", "tables (CSV): forecasts, numbers or classes of rows or groups", crs_pack_table_command},
    {"series", "series of the UEA/UCR archive (.ts), each with a class", crs_pack_series_command},
    {"task", "made-up tasks: adding, temporal order, Reber's grammar, spikes, waves", crs_pack_task_command},
    {"notes", "music: piano rolls of MIDI or JSON, whose next step is to be said", crs_pack_notes_command},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const kind *find(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* ---- the command line up to the kind ---- */

enum { OPTION_OUTPUT, OPTIONS };
static const crs_cli_option options[OPTIONS] = {
    [OPTION_OUTPUT] = {'o', "output", "DATA.h5", "the data set to write"},
};

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    (void)context, (void)option, (void)typed;
    return error->status;
}

static const char *kind_names(void) {
    static char text[32 + 16 * KINDS];
    size_t length = (size_t)snprintf(text, sizeof text, "the kind of input (");
    for (int i = 0; i < KINDS; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s%s", kinds[i].name, i == KINDS - 1 ? ")" : ", ");
    return text;
}

/* Whether a word is an option whose value is the next word. -q, -v and -h have none, and neither have their long forms,
 * nor options with a value of their own. */
static bool wants_value(const char *word) {
    if (word[0] != '-' || !word[1] || strchr(word, '='))
        return false;
    if (word[1] != '-')
        return !word[2] && !strchr("qvh", word[1]);
    const size_t length = strlen(word + 2);
    return length > 0 && strncmp(word + 2, "quiet", length) != 0 && strncmp(word + 2, "verbose", length) != 0 &&
           strncmp(word + 2, "help", length) != 0;
}

/* Where the kind stands in argv: the first operand. 0: nowhere. */
static int find_place(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-' && !(i > 1 && wants_value(argv[i - 1])))
            return i;
    return 0;
}

static crs_status refuse(const char *name, crs_error *error) {
    const char *names[KINDS];
    for (int i = 0; i < KINDS; i++)
        names[i] = kinds[i].name;
    const char *close = crs_name_suggest(name, names, KINDS);
    if (close)
        return crs_fail(error, CRS_USAGE, "pack knows no '%.60s': did you mean '%s'? 'carousel pack --help' lists them",
                        name, close);
    return crs_fail(error, CRS_USAGE, "pack knows no '%.60s'; 'carousel pack --help' lists what it knows", name);
}

static crs_status print_help(crs_error *error) {
    puts("Usage: carousel pack KIND [OPTION]... -o DATA.h5 FILE...\n"
         "Turn what there is to learn from into a data set.\n\n"
         "Kinds:");
    for (int i = 0; i < KINDS; i++)
        printf("  %-8s %s\n", kinds[i].name, kinds[i].about);
    puts("\n'carousel pack KIND --help' tells a kind's options.\n\n"
         "Examples:\n"
         "  carousel pack text -o shakespeare.h5 input.txt\n"
         "  carousel pack table -o load.h5 --time=date --context=96 --horizon=24 load.csv\n"
         "  carousel pack series -o vowels.h5 Vowels_TRAIN.ts Vowels_TEST.ts\n"
         "  carousel pack task -o adding.h5 adding --length=100");
    return crs_output_flush(error);
}

/* The kind comes to the front, where its name is argv[0] of what it runs. */
static crs_status run(const kind *k, int place, int argc, char **argv, crs_error *error) {
    char *name = argv[place];
    for (int i = place; i > 1; i--)
        argv[i] = argv[i - 1];
    argv[1] = name;
    return k->run(argc - 1, argv + 1, error);
}

crs_status crs_command_pack(int argc, char **argv, crs_error *error) {
    const char *operands[] = {kind_names()};
    const crs_cli cli = {.name = "pack",
                         .usage = "KIND [OPTION]... -o DATA.h5 FILE...",
                         .operands = operands,
                         .operands_least = 1,
                         .operands_most = INT_MAX,
                         .options = options,
                         .options_count = OPTIONS,
                         .take = take};
    crs_cli_arguments arguments;
    const int place = find_place(argc, argv);
    const kind *k = place ? find(argv[place]) : NULL;
    if (k)
        return run(k, place, argc, argv, error);
    if (crs_cli_asks_help(&cli, argc, argv))
        return print_help(error);
    if (place && *argv[place])
        return refuse(argv[place], error);
    return crs_cli_parse(&cli, argc, argv, NULL, &arguments, error);
}

/* ---- what the kinds share ---- */

crs_status crs_pack_take_shares(const crs_typed *typed, const char *example, double split[CRS_SPLITS],
                                crs_error *error) {
    double shares[CRS_SPLITS], sum = 0;
    const char *at = typed->value;
    for (int i = 0; i < CRS_SPLITS; i++) {
        const size_t length = strcspn(at, ",");
        char text[40] = "";
        if (length < sizeof text)
            memcpy(text, at, length);
        const crs_typed part = {text, typed->where, typed->status};
        const crs_range range = {.low = 0, .high = 1};
        crs_error ours = {0};
        if (crs_typed_real(&part, &range, &shares[i], &ours) || (at[length] == ',') != (i < CRS_SPLITS - 1))
            return crs_typed_refuse(typed, error, "three shares from 0 to 1, as %s", example);
        sum += shares[i];
        at += length + 1;
    }
    if (sum < 1 - 1e-9 || sum > 1 + 1e-9)
        return crs_fail(error, typed->status, "%s: the shares of %.60s make %g; they must make 1, as %s", typed->where,
                        typed->value, sum, example);
    memcpy(split, shares, sizeof shares);
    return CRS_OK;
}

crs_status crs_pack_take_three(const crs_typed *typed, int64_t low, int64_t high, bool one, const char *give,
                               int64_t number[CRS_SPLITS], crs_error *error) {
    const char *at = typed->value;
    int found = 0;
    for (bool more = true; more; found++) {
        const size_t length = strcspn(at, ",");
        char text[40] = "";
        if (length < sizeof text)
            memcpy(text, at, length);
        const crs_typed part = {text, typed->where, typed->status};
        crs_error ours = {0};
        if (found == CRS_SPLITS || crs_typed_whole(&part, low, high, &number[found], &ours))
            return crs_typed_refuse(typed, error, "%s", give);
        more = at[length] == ',';
        at += length + more;
    }
    if (found == 1 && one)
        number[1] = number[2] = number[0];
    else if (found != CRS_SPLITS)
        return crs_typed_refuse(typed, error, "%s", give);
    return CRS_OK;
}

crs_status crs_pack_check_output(const char *output, const crs_cli *cli, crs_error *error) {
    if (output)
        return CRS_OK;
    return crs_fail(error, CRS_USAGE, "-o is missing: the data set to write; usage: carousel %s %s", cli->name,
                    cli->usage);
}

crs_status crs_pack_take_missing(const crs_typed *typed, crs_missing *missing, crs_error *error) {
    static const char *const names[] = {[CRS_MISSING_ERROR] = "error",
                                        [CRS_MISSING_FORWARD] = "forward",
                                        [CRS_MISSING_ZERO] = "zero",
                                        [CRS_MISSING_DROP] = "drop",
                                        NULL};
    int choice = 0;
    if (crs_typed_choice(typed, names, &choice, error) == CRS_OK)
        *missing = (crs_missing)choice;
    return error->status;
}

static void tell_split(const crs_packed_sequences *packed, crs_split split, bool windows) {
    char sequences[32], steps[32], more[32];
    crs_format_count(packed->sequences[split], sequences);
    crs_format_count(packed->steps[split], steps);
    crs_format_count(packed->windows[split], more);
    crs_note("%-10s  %s sequence%s of %s steps%s%s%s", crs_split_name(split), sequences,
             crs_plural(packed->sequences[split], "", "s"), steps, windows ? ": " : "", windows ? more : "",
             windows ? crs_plural(packed->windows[split], " window", " windows") : "");
    if (windows && packed->windows[split] == 0 && packed->sequences[split] > 0)
        crs_warn("%s has no room for a context and a horizon: there is nothing to forecast in it",
                 crs_split_name(split));
}

void crs_pack_tell_sequences(const char *output, const crs_packed_sequences *packed, crs_missing missing) {
    char sequences[32], steps[32], number[32];
    int64_t sums[3] = {0};
    for (int split = 0; split < CRS_SPLITS; split++) {
        sums[0] += packed->sequences[split];
        sums[1] += packed->steps[split];
        sums[2] += packed->windows[split];
    }
    const char *one = packed->inputs == CRS_INPUT_VALUES ? "number a step" : "bit a step";
    const char *many = packed->inputs == CRS_INPUT_VALUES ? "numbers a step" : "bits a step";
    char inputs[48];
    if (packed->inputs == CRS_INPUT_TOKENS)
        snprintf(inputs, sizeof inputs, "tokens of %d kinds", packed->input_size);
    else
        snprintf(inputs, sizeof inputs, "%d %s", packed->input_size, crs_plural(packed->input_size, one, many));
    crs_note("%s: %s sequence%s of %s steps, %s", output, crs_format_count(sums[0], sequences),
             crs_plural(sums[0], "", "s"), crs_format_count(sums[1], steps), inputs);
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        tell_split(packed, split, sums[2] > 0);
    if (packed->filled > 0)
        crs_note("missing: %s value%s, %s", crs_format_count(packed->filled, number),
                 crs_plural(packed->filled, "", "s"),
                 missing == CRS_MISSING_ZERO ? "taken as 0" : "for which the last one of the series was taken");
    if (packed->dropped > 0)
        crs_note("dropped: %s row%s in which something was missing", crs_format_count(packed->dropped, number),
                 crs_plural(packed->dropped, "", "s"));
    if (packed->unused > 0)
        crs_note("not used: %s row%s behind the last split", crs_format_count(packed->unused, number),
                 crs_plural(packed->unused, "", "s"));
    crs_pack_tell_next(output);
}

void crs_pack_tell_next(const char *output) {
    char *file = crs_shell_word(output);
    if (file)
        crs_note("next: carousel train %s -o run", file);
    crs_free(&file);
}
