/* carousel predict: what a checkpoint says of a split of a data set, target by target. */
#include "config.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/subject.h"

enum { OPTION_OUTPUT, OPTION_SPLIT, OPTION_STREAMS, OPTION_THREADS, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    [OPTION_OUTPUT] = {'o', "output", "OUT", "OUT.csv (text) or OUT.h5 (HDF5, a data set a column); must be given"},
    [OPTION_SPLIT] = {0, "split", "NAME", "train, validation or test (test)"},
    [OPTION_STREAMS] =
        {0, "streams", "N",
         "of a text: read the split as N contiguous pieces, each from a zero state, each a sequence (1)"},
    [OPTION_THREADS] = {0, "threads", "N", "threads of a rank (the cores it may run on)"},
};

static const char *const operands[] = {"CHECKPOINT", "DATA.h5"};

typedef struct request {
    crs_subject_request subject;
    const char *output;
} request;

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    request *r = context;
    if (option >= OPTION_SPLIT)
        return crs_subject_take(&r->subject, (crs_subject_option)(option - OPTION_SPLIT), typed, error);
    r->output = typed->value;
    return CRS_OK;
}

static const crs_cli predict_cli = {
    .name = "predict",
    .usage = "[OPTION]... CHECKPOINT DATA.h5 -o OUT.csv|OUT.h5",
    .about = "Write what a checkpoint says of each target of a split: a class or token and its\n"
             "probability, every bit's probability, or values in units, and the truth beside\n"
             "it. The same bytes at any number of ranks and threads.",
    .more = "Examples:\n"
            "  carousel predict run/best.h5 vowels.h5 -o said.csv\n"
            "  mpirun -n 4 carousel predict run/best.h5 load.h5 --split=validation -o said.h5\n",
    .operands = operands,
    .operands_least = 2,
    .operands_most = 2,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

const crs_cli *crs_predict_cli(void) {
    return &predict_cli;
}

static crs_status predict(crs_comm *comm, const request *r, const char *checkpoint, const char *data,
                          crs_error *error) {
    const crs_split split = (crs_split)r->subject.split;
    const double start = crs_seconds();
    crs_prediction_plan plan = {.split = split, .streams = r->subject.streams, .output = r->output};
    crs_subject subject = {0};
    int64_t targets;
    char *description = crs_format_text("what %s says of the %s split of %s", checkpoint, crs_split_name(split), data);
    if (!description)
        crs_fail(error, CRS_INTERNAL, "out of memory");
    plan.description = description;
    if (crs_comm_agree(comm, error) == CRS_OK &&
        crs_subject_open(&subject, comm, checkpoint, data, &r->subject, error) == CRS_OK &&
        crs_predict(comm, subject.model, &subject.dataset, &plan, &targets, error) == CRS_OK) {
        const double seconds = crs_seconds() - start;
        char count[32];
        crs_note("%s: %s prediction%s, %.1f s", r->output, crs_format_count(targets, count),
                 crs_plural(targets, "", "s"), seconds);
    }
    crs_subject_close(&subject);
    crs_free(&description);
    return error->status;
}

/* What is read would be gone. */
static crs_status check_output(const char *output, const char *input, crs_error *error) {
    struct stat made, read;
    if (stat(output, &made) == 0 && stat(input, &read) == 0 && made.st_dev == read.st_dev && made.st_ino == read.st_ino)
        return crs_fail(error, CRS_USAGE, "%s: it is an input and the output; choose another name with -o", output);
    return CRS_OK;
}

crs_status crs_command_predict(crs_comm *comm, int argc, char **argv, crs_error *error) {
    request r = {.subject = {.split = CRS_TEST, .streams = 1}};
    crs_cli_arguments arguments = {0};
    crs_cli_parse(&predict_cli, argc, argv, &r, &arguments, error);
    if (arguments.help)
        return error->status;
    if (error->status == CRS_OK && !r.output)
        crs_fail(error, CRS_USAGE, "predict: -o is missing: where to write, as in -o said.csv or -o said.h5");
    if (error->status == CRS_OK && crs_table_check(r.output, error) == CRS_OK &&
        check_output(r.output, arguments.operand[0], error) == CRS_OK)
        check_output(r.output, arguments.operand[1], error);
    if (crs_subject_agree(comm, &r.subject, error))
        return error->status;
    return predict(comm, &r, arguments.operand[0], arguments.operand[1], error);
}
