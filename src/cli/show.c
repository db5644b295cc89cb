/* carousel show: what is in a file. */
#include "config.h"

#include "cli/show.h"

#include <string.h>
#include <sys/stat.h>

#include "carousel/checkpoint.h"
#include "cli/cli.h"

enum { OPTION_JSON, OPTION_DIGEST, OPTION_VERIFY, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    [OPTION_JSON] = {0, "json", NULL, "print one JSON object"},
    [OPTION_DIGEST] = {0, "digest", NULL,
                       "print hashes alone: of the parameters and of the whole state (a data set: of its tokens and "
                       "vocabulary); with equal ones, training would go on to the same bits"},
    [OPTION_VERIFY] = {0, "verify", NULL, "say alone whether the file is whole; status 65 where it is not"},
};

static const char *const operands[] = {"FILE.h5"};

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    static const crs_show_form forms[OPTIONS] = {CRS_SHOW_JSON, CRS_SHOW_DIGEST, CRS_SHOW_VERIFY};
    crs_show_form *form = context, asked = forms[option];
    if (*form != CRS_SHOW_PEOPLE && *form != asked)
        return crs_fail(error, CRS_USAGE,
                        "%s: --json, --digest and --verify ask for different things; give one of them", typed->where);
    *form = asked;
    return CRS_OK;
}

static const crs_cli show_cli = {
    .name = "show",
    .usage = "[OPTION]... FILE.h5",
    .about = "Tell what is in a checkpoint or a data set, after checking that it is whole.",
    .more = "Examples:\n"
            "  carousel show run/best.h5\n"
            "  carousel show --json run/last.h5 | jq .best_validation_loss\n",
    .operands = operands,
    .operands_least = 1,
    .operands_most = 1,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

/* What tells of a file of this format. */
static crs_status (*show_of(const char *format))(const char *, int64_t, crs_show_form, crs_error *) {
    return strcmp(format, "carousel/tokens") == 0      ? crs_show_tokens
           : strcmp(format, "carousel/sequences") == 0 ? crs_show_sequences
                                                       : crs_show_checkpoint;
}

crs_status crs_command_show(int argc, char **argv, crs_error *error) {
    crs_show_form form = CRS_SHOW_PEOPLE;
    crs_cli_arguments arguments;
    char format[32];
    if (crs_cli_parse(&show_cli, argc, argv, &form, &arguments, error) || arguments.help)
        return error->status;
    const char *path = arguments.operand[0];
    struct stat about = {0};
    if (crs_file_format(path, format, error))
        return error->status;
    stat(path, &about);
    if (show_of(format)(path, about.st_size, form, error))
        return error->status;
    return crs_output_flush(error);
}
