/* carousel pack series: series of the UEA/UCR archive into a data set. */
#include "config.h"

#include "cli/pack.h"

enum { OPTION_OUTPUT, OPTION_VALIDATION, OPTION_MISSING, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    [OPTION_OUTPUT] = {'o', "output", "DATA.h5", "the data set to write"},
    [OPTION_VALIDATION] =
        {0, "validation", "SHARE",
         "so much of TRAIN.ts is for validation: every k-th series, k being 1 / SHARE; 0: none (0.1)"},
    [OPTION_MISSING] = {0, "missing", "WHAT",
                        "where a value is missing (?, NaN): error, forward (take the last one of the dimension), zero, "
                        "or drop (leave the step out) (error)"},
};

static const char *const operands[] = {"TRAIN.ts"};

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    crs_series_pack *pack = context;
    const crs_range range = {.low = 0, .high = 0.5};
    switch (option) {
    case OPTION_OUTPUT:
        pack->output = typed->value;
        return CRS_OK;
    case OPTION_VALIDATION:
        return crs_typed_real(typed, &range, &pack->validation, error);
    default:
        return crs_pack_take_missing(typed, &pack->missing, error);
    }
}

static const crs_cli series_cli = {
    .name = "pack series",
    .usage = "[OPTION]... -o DATA.h5 TRAIN.ts [TEST.ts]",
    .about = "Turn series of the UEA/UCR archive (.ts), each with a class, into a data set.\n"
             "- is standard input.",
    .more = "Examples:\n"
            "  carousel pack series -o vowels.h5 JapaneseVowels_TRAIN.ts \\\n"
            "      JapaneseVowels_TEST.ts\n",
    .operands = operands,
    .operands_least = 1,
    .operands_most = 2,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

crs_status crs_pack_series_command(int argc, char **argv, crs_error *error) {
    crs_series_pack pack = {.validation = 0.1};
    crs_cli_arguments arguments;
    crs_packed_sequences packed;
    if (crs_cli_parse(&series_cli, argc, argv, &pack, &arguments, error) || arguments.help ||
        crs_pack_check_output(pack.output, &series_cli, error))
        return error->status;
    pack.train = arguments.operand[0];
    pack.test = arguments.count > 1 ? arguments.operand[1] : NULL;
    if (crs_pack_series(&pack, &packed, error) == CRS_OK)
        crs_pack_tell_sequences(pack.output, &packed, pack.missing);
    return error->status;
}
