/* carousel pack text: text into a data set. */
#include "config.h"

#include <inttypes.h>
#include <limits.h>

#include "cli/pack.h"

enum {
    OPTION_OUTPUT,
    OPTION_LEVEL,
    OPTION_SPLIT,
    OPTION_VOCABULARY,
    OPTION_UNKNOWN,
    OPTION_WORDS,
    OPTION_LOWER,
    OPTION_MIN_COUNT,
    OPTIONS
};

static const crs_cli_option options[OPTIONS] = {
    [OPTION_OUTPUT] = {'o', "output", "DATA.h5", "the data set to write"},
    [OPTION_LEVEL] = {0, "level", "LEVEL",
                      "char: a token a Unicode code point of valid UTF-8; byte: a byte; word: a word, or a line end "
                      "(char)"},
    [OPTION_SPLIT] = {0, "split", "A,B,C",
                      "shares for training, validation and test, consecutive pieces (0.9,0.05,0.05; a text too short "
                      "for that: 1,0,0)"},
    [OPTION_VOCABULARY] = {0, "vocabulary", "OTHER.h5", "use the vocabulary of this data set or checkpoint"},
    [OPTION_UNKNOWN] = {0, "unknown", "WHAT",
                        "with --vocabulary: error, or drop what it lacks and count that (error); words it lacks are "
                        "<unk> anyway, where it has that"},
    [OPTION_WORDS] = {0, "words", "HOW",
                      "level word: unicode: runs of letters, digits and marks, or one other visible character; blank: "
                      "what stands between blanks (unicode)"},
    [OPTION_LOWER] = {0, "lower", NULL, "level word: capital letters become small ones"},
    [OPTION_MIN_COUNT] = {0, "min-count", "N", "level word: words that occur fewer times are <unk> (1)"},
};

static const char *const operands[] = {"FILE"};

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    static const char *const levels[] = {"char", "byte", "word", NULL}, *const unknowns[] = {"error", "drop", NULL};
    crs_pack *pack = context;
    int choice = 0;
    switch (option) {
    case OPTION_OUTPUT:
        pack->output = typed->value;
        break;
    case OPTION_LEVEL:
        pack->level_given = true;
        if (crs_typed_choice(typed, levels, &choice, error) == CRS_OK)
            pack->level = (crs_level)choice;
        break;
    case OPTION_WORDS:
        pack->words_given = true;
        if (crs_typed_choice(typed, crs_words_names(), &choice, error) == CRS_OK)
            pack->words = (crs_words)choice;
        break;
    case OPTION_LOWER:
        pack->lower = pack->lower_given = true;
        break;
    case OPTION_MIN_COUNT:
        return crs_typed_whole(typed, 1, INT64_MAX, &pack->min_count, error);
    case OPTION_SPLIT:
        pack->whole_if_short = false;
        return crs_pack_take_shares(typed, "0.9,0.05,0.05", pack->split, error);
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

static const crs_cli text_cli = {
    .name = "pack text",
    .usage = "[OPTION]... -o DATA.h5 FILE...",
    .about = "Turn text into a data set; - is standard input. Several files are taken as one.",
    .more = "Examples:\n"
            "  carousel pack text -o shakespeare.h5 input.txt\n"
            "  cat src/*.c | carousel pack text -o code.h5 --level=byte -\n",
    .operands = operands,
    .operands_least = 1,
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
        crs_note("dropped: %" PRId64 " %ss that the vocabulary lacks", packed->dropped, crs_level_unit(packed->level));
    if (packed->unknown > 0)
        crs_note("unknown: %" PRId64 " words, %.2f %%, are " CRS_UNKNOWN, packed->unknown,
                 100 * (double)packed->unknown / (double)packed->tokens);
    crs_note("splits: train %" PRId64 ", validation %" PRId64 ", test %" PRId64, packed->length[CRS_TRAIN],
             packed->length[CRS_VALIDATION], packed->length[CRS_TEST]);
    if (pack->whole_if_short && packed->length[CRS_TRAIN] == packed->tokens)
        crs_note("the text is too short for three splits: all of it is for training; --split says otherwise");
    crs_pack_tell_next(pack->output);
}

crs_status crs_pack_text_command(int argc, char **argv, crs_error *error) {
    crs_pack pack = {.level = CRS_LEVEL_CHAR, .split = {0.9, 0.05, 0.05}, .whole_if_short = true};
    crs_cli_arguments arguments;
    crs_packed packed;
    if (crs_cli_parse(&text_cli, argc, argv, &pack, &arguments, error) || arguments.help)
        return error->status;
    if (crs_pack_check_output(pack.output, &text_cli, error))
        return error->status;
    if (pack.drop_unknown && !pack.vocabulary)
        return crs_fail(error, CRS_USAGE, "--unknown=drop goes with --vocabulary: without it nothing is unknown");
    pack.inputs = arguments.count;
    pack.input = (const char *const *)arguments.operand;
    if (crs_pack_text(&pack, &packed, error) == CRS_OK)
        tell(&pack, &packed);
    return error->status;
}
