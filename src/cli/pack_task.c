/* carousel pack task: made-up tasks into a data set. */
#include "config.h"

#include <string.h>

#include "cli/pack.h"

enum { OPTION_OUTPUT, OPTION_LENGTH, OPTION_COUNT, OPTION_PERIOD, OPTION_SEED, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    [OPTION_OUTPUT] = {'o', "output", "DATA.h5", "the data set to write"},
    [OPTION_LENGTH] =
        {0, "length", "N[,N,N]",
         "steps of a sequence (adding, temporal-order: up to a tenth more), where they differ in training, "
         "validation and test (100)"},
    [OPTION_COUNT] = {0, "count", "N,N,N", "sequences for training, validation and test (1000,100,100)"},
    [OPTION_PERIOD] = {0, "period", "N", "steps from spike to spike, or of a period (10)"},
    [OPTION_SEED] = {0, "seed", "N", "of what is drawn (1)"},
};

static const char *const operands[] = {"NAME"};

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    crs_task_pack *pack = context;
    switch (option) {
    case OPTION_OUTPUT:
        pack->output = typed->value;
        return CRS_OK;
    case OPTION_LENGTH:
        return crs_pack_take_three(typed, 1, 100000000, true,
                                   "a number of steps from 1 to 100000000, or three, as 60,60,1050", pack->length,
                                   error);
    case OPTION_COUNT:
        return crs_pack_take_three(typed, 0, INT64_MAX / 4, false, "three numbers of sequences, as 1000,100,100",
                                   pack->count, error);
    case OPTION_PERIOD:
        return crs_typed_whole(typed, 2, 1000000, &pack->period, error);
    default:
        return crs_typed_seed(typed, &pack->seed, error);
    }
}

static const crs_cli task_cli = {
    .name = "pack task",
    .usage = "[OPTION]... -o DATA.h5 NAME",
    .about = "Make up sequences of a task that recurrent networks are measured by: adding,\n"
             "temporal-order-3, temporal-order-4, reber, spike-delay, timed-spikes,\n"
             "periodic-cos, periodic-triangle, periodic-rectangle. `carousel show DATA.h5`\n"
             "tells what each is.",
    .more = "Examples:\n"
            "  carousel pack task -o adding.h5 adding --length=100 --count=20000,500,2000\n"
            "  carousel pack task -o spikes.h5 timed-spikes --length=60,60,1050\n",
    .operands = operands,
    .operands_least = 1,
    .operands_most = 1,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

static crs_status check_name(const char *name, crs_error *error) {
    const char *const *names = crs_task_names();
    int count = 0, found = -1;
    for (; names[count]; count++)
        found = strcmp(names[count], name) == 0 ? count : found;
    const char *close = found < 0 ? crs_name_suggest(name, names, count) : NULL;
    if (close)
        return crs_fail(error, CRS_USAGE,
                        "'%.60s' is no task: did you mean '%s'? 'carousel pack task --help' lists them", name, close);
    return CRS_OK;
}

crs_status crs_pack_task_command(int argc, char **argv, crs_error *error) {
    crs_task_pack pack = {.count = {1000, 100, 100}, .seed = 1};
    crs_cli_arguments arguments;
    crs_packed_sequences packed;
    if (crs_cli_parse(&task_cli, argc, argv, &pack, &arguments, error) || arguments.help ||
        crs_pack_check_output(pack.output, &task_cli, error) || check_name(arguments.operand[0], error))
        return error->status;
    pack.name = arguments.operand[0];
    if (crs_pack_task(&pack, &packed, error) == CRS_OK)
        crs_pack_tell_sequences(pack.output, &packed, CRS_MISSING_ERROR);
    return error->status;
}
