/* carousel pack: text into a data set. */
#include "config.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { OPTION_OUTPUT, OPTION_LEVEL, OPTION_SPLIT, OPTION_VOCABULARY, OPTION_UNKNOWN, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    [OPTION_OUTPUT] = {'o', "output", "DATA.h5", "the data set to write"},
    [OPTION_LEVEL] = {0, "level", "LEVEL",
                      "char: a token a Unicode code point of valid UTF-8; byte: a token a byte (char)"},
    [OPTION_SPLIT] = {0, "split", "A,B,C",
                      "shares for training, validation and test, consecutive pieces (0.9,0.05,0.05; a text too short "
                      "for that: 1,0,0)"},
    [OPTION_VOCABULARY] = {0, "vocabulary", "OTHER.h5", "use the vocabulary of this data set or checkpoint"},
    [OPTION_UNKNOWN] = {0, "unknown", "WHAT",
                        "with --vocabulary: error, or drop characters it lacks and count them (error)"},
};

static const char *const operands[] = {"the kind of input (text)", "FILE"};

static crs_status take_split(const crs_typed *typed, double split[CRS_SPLITS], crs_error *error) {
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
            return crs_typed_refuse(typed, error, "three shares from 0 to 1, as 0.9,0.05,0.05");
        sum += shares[i];
        at += length + 1;
    }
    if (sum < 1 - 1e-9 || sum > 1 + 1e-9)
        return crs_fail(error, typed->status, "%s: the shares of %.60s make %g; they must make 1, as 0.9,0.05,0.05",
                        typed->where, typed->value, sum);
    memcpy(split, shares, sizeof shares);
    return CRS_OK;
}

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    static const char *const levels[] = {"char", "byte", NULL}, *const unknowns[] = {"error", "drop", NULL};
    crs_pack *pack = context;
    int choice = 0;
    switch (option) {
    case OPTION_OUTPUT:
        pack->output = typed->value;
        break;
    case OPTION_LEVEL:
        if (crs_typed_choice(typed, levels, &choice, error) == CRS_OK)
            pack->level = (crs_level)choice;
        break;
    case OPTION_SPLIT:
        pack->whole_if_short = false;
        return take_split(typed, pack->split, error);
    case OPTION_VOCABULARY:
        if (!*typed->value)
            return crs_fail(error, typed->status, "%s: an empty name; give a data set or a checkpoint", typed->where);
        pack->vocabulary = typed->value;
        break;
    default:
        if (crs_typed_choice(typed, unknowns, &choice, error) == CRS_OK)
            pack->drop_unknown = choice == 1;
    }
    return error->status;
}

static const crs_cli pack_cli = {
    .name = "pack",
    .usage = "text [OPTION]... -o DATA.h5 FILE...",
    .about = "Turn text into a data set; - is standard input. Several files are taken as one.",
    .more = "Examples:\n"
            "  carousel pack text -o shakespeare.h5 input.txt\n"
            "  cat src/*.c | carousel pack text -o code.h5 --level=byte -\n",
    .operands = operands,
    .operands_least = 2,
    .operands_most = INT_MAX,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

static void tell(const crs_pack *pack, const crs_packed *packed) {
    const double megabytes = (double)packed->bytes / 1e6;
    crs_note("%s: %" PRId64 " tokens of %" PRIu32 " kinds, from %" PRId64 " bytes at %.0f MB/s", pack->output,
             packed->tokens, packed->vocabulary, packed->bytes,
             packed->seconds > 0 ? megabytes / packed->seconds : 0.0);
    if (packed->dropped > 0)
        crs_note("dropped: %" PRId64 " characters that the vocabulary lacks", packed->dropped);
    crs_note("splits: train %" PRId64 ", validation %" PRId64 ", test %" PRId64, packed->length[CRS_TRAIN],
             packed->length[CRS_VALIDATION], packed->length[CRS_TEST]);
    if (pack->whole_if_short && packed->length[CRS_TRAIN] == packed->tokens)
        crs_note("the text is too short for three splits: all of it is for training; --split says otherwise");
    char *file = crs_shell_word(pack->output);
    if (file)
        crs_note("next: carousel train %s -o run", file);
    crs_free(&file);
}

crs_status crs_command_pack(int argc, char **argv, crs_error *error) {
    crs_pack pack = {.level = CRS_LEVEL_CHAR, .split = {0.9, 0.05, 0.05}, .whole_if_short = true};
    crs_cli_arguments arguments;
    crs_packed packed;
    if (crs_cli_parse(&pack_cli, argc, argv, &pack, &arguments, error) || arguments.help)
        return error->status;
    if (strcmp(arguments.operand[0], "text") != 0)
        return crs_fail(error, CRS_USAGE, "pack knows no '%.60s'; usage: carousel pack %s", arguments.operand[0],
                        pack_cli.usage);
    if (!pack.output)
        return crs_fail(error, CRS_USAGE, "-o is missing: the data set to write; usage: carousel pack %s",
                        pack_cli.usage);
    if (pack.drop_unknown && !pack.vocabulary)
        return crs_fail(error, CRS_USAGE, "--unknown=drop goes with --vocabulary: without it nothing is unknown");
    pack.inputs = arguments.count - 1;
    pack.input = (const char *const *)arguments.operand + 1;
    if (crs_pack_text(&pack, &packed, error) == CRS_OK)
        tell(&pack, &packed);
    return error->status;
}
