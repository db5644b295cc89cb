/* carousel train. */
#include "config.h"

#include <limits.h>
#include <string.h>

#include "cli/cli.h"

static crs_cli_option options[CRS_OPTIONS_MOST];
static const char *const operands[] = {"DATA.h5"};

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    return crs_settings_set(context, option, typed->value, typed->where, typed->status, error);
}

static crs_cli train_cli = {
    .name = "train",
    .usage = "[OPTION]... DATA.h5 -o RUN",
    .about = "Train a network on a data set; checkpoints go to the folder RUN. The same\n"
             "command, run again, goes on where the last one stopped. Defaults stand in\n"
             "parentheses.",
    .more = "Examples:\n"
            "  carousel train shakespeare.h5 -o run\n"
            "  mpirun -n 8 carousel train shakespeare.h5 -o run --hidden=512 --dropout=0.3\n"
            "  mpirun -n 8 carousel train shakespeare.h5 -o run --stop-after=1h30m\n"
            "  mpirun -n 8 carousel train shakespeare.h5 --hidden=512 --dry-run\n",
    .operands = operands,
    .operands_least = 1,
    .operands_most = 1,
    .options = options,
    .take = take,
};

const crs_cli *crs_train_cli(void) {
    train_cli.options_count = crs_options_count;
    for (int i = 0; i < crs_options_count; i++) {
        const crs_option *o = &crs_options[i];
        options[i] = (crs_cli_option){strcmp(o->name, "output") == 0 ? 'o' : 0, o->name, o->argument, o->help};
    }
    return &train_cli;
}

static crs_status take_operand(crs_config *config, const char *path, crs_error *error) {
    if (strlen(path) >= PATH_MAX)
        return crs_fail(error, CRS_USAGE, "the name of the data set is too long: %zu bytes", strlen(path));
    config->data = crs_copy_text(path);
    return config->data ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory for the name of the data set");
}

/* Command line and --config. Local. */
static crs_status read_settings(crs_settings *settings, int argc, char **argv, crs_cli_arguments *arguments,
                                crs_error *error) {
    crs_settings_default(settings);
    if (crs_cli_parse(crs_train_cli(), argc, argv, settings, arguments, error) || arguments->help ||
        take_operand(&settings->config, arguments->operand[0], error))
        return error->status;
    if (settings->config.config_file && crs_settings_read_file(settings, settings->config.config_file, error))
        return error->status;
    if (!settings->config.output && !settings->config.dry_run)
        crs_fail(error, CRS_USAGE, "-o is missing: the folder of the run; usage: carousel train %s", train_cli.usage);
    return error->status;
}

crs_status crs_command_train(crs_comm *comm, int argc, char **argv, crs_error *error) {
    crs_cli_arguments arguments = {0};
    crs_settings *settings = crs_alloc_or_fail(1, sizeof *settings, CRS_MEMORY_OTHER, "the settings", error);
    if (settings)
        read_settings(settings, argc, argv, &arguments, error);
    if (!arguments.help && crs_comm_agree(comm, error) == CRS_OK)
        crs_train(comm, settings, error);
    if (!arguments.help && error->status == CRS_OK && settings->config.dry_run) {
        if (crs_comm_rank(comm) == 0)
            crs_output_flush(error);
        crs_comm_agree(comm, error);
    }
    if (settings)
        crs_settings_free(settings);
    crs_free(&settings);
    return error->status;
}
