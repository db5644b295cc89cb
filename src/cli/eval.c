/* carousel eval: a checkpoint's loss on a split of a data set. */
#include "config.h"

#include <inttypes.h>
#include <jansson.h>

#include "cli/cli.h"
#include "cli/show_evaluation.h"
#include "cli/show_text.h"
#include "cli/subject.h"

enum { OPTION_SPLIT, OPTION_STREAMS, OPTION_THREADS, OPTION_JSON, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    [OPTION_SPLIT] = {0, "split", "NAME", "train, validation or test (test)"},
    [OPTION_STREAMS] =
        {0, "streams", "N",
         "of a text: read the split as N contiguous pieces, each from a zero state, shared out over ranks and threads "
         "(1)"},
    [OPTION_THREADS] = {0, "threads", "N", "threads of a rank (the cores it may run on)"},
    [OPTION_JSON] = {0, "json", NULL, "print one JSON object"},
};

static const char *const operands[] = {"CHECKPOINT", "DATA.h5"};

typedef struct request {
    crs_subject_request subject;
    bool json;
} request;

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    request *r = context;
    if (option < OPTION_JSON)
        return crs_subject_take(&r->subject, (crs_subject_option)option, typed, error);
    r->json = true;
    return CRS_OK;
}

static const crs_cli eval_cli = {
    .name = "eval",
    .usage = "[OPTION]... CHECKPOINT DATA.h5",
    .about = "Measure a checkpoint on a split of a data set: the mean loss of its predictions,\n"
             "and of sequences what goes with it (accuracy, errors by column), beside what\n"
             "the simplest guess would have had. The same numbers at any number of ranks and\n"
             "threads.",
    .more = "Examples:\n"
            "  carousel eval run/best.h5 shakespeare.h5\n"
            "  mpirun -n 4 carousel eval --streams=64 run/best.h5 shakespeare.h5\n",
    .operands = operands,
    .operands_least = 2,
    .operands_most = 2,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

const crs_cli *crs_eval_cli(void) {
    return &eval_cli;
}

static json_t *text_object(const request *r, const crs_evaluation *e) {
    return json_pack("{s:s, s:I, s:o, s:o, s:o}", "split", crs_split_name((crs_split)r->subject.split), "tokens",
                     (json_int_t)e->targets, "nats_per_token", crs_show_json_real(e->loss), "bits_per_token",
                     crs_show_json_real(e->bits_per_token), "perplexity", crs_show_json_real(e->perplexity));
}

static void print_text(const request *r, const crs_evaluation *e, crs_level level) {
    const char *unit = crs_level_unit(level);
    printf("split        %s\n", crs_split_name((crs_split)r->subject.split));
    printf("predictions  %" PRId64 "\n", e->targets);
    printf("nats         %.6f a %s\n", e->loss, unit);
    printf("bits         %.6f a %s\n", e->bits_per_token, unit);
    printf("perplexity   %.4f\n", e->perplexity);
}

static crs_status print(const request *r, const crs_subject *subject, const crs_evaluation *e, crs_error *error) {
    const crs_dataset *d = &subject->dataset;
    const crs_spec *spec = crs_model_spec(subject->model);
    const crs_split split = (crs_split)r->subject.split;
    if (r->json)
        crs_show_json_print(d->text ? text_object(r, e) : crs_show_json_evaluation(&d->schema, spec, split, e), 0,
                            error);
    else if (d->text)
        print_text(r, e, d->vocabulary.level);
    else
        crs_show_evaluation(&d->schema, spec, split, e);
    if (error->status || crs_output_flush(error))
        return error->status;
    crs_note("%.1f s, %.0f %s/s", e->seconds, e->seconds > 0 ? (double)e->targets / e->seconds : 0.0,
             d->text ? "tokens" : "targets");
    return CRS_OK;
}

static crs_status evaluate(crs_comm *comm, const request *r, const char *checkpoint, const char *data,
                           crs_error *error) {
    const crs_split split = (crs_split)r->subject.split;
    const crs_evaluation_plan plan = {.split = split, .streams = r->subject.streams, .guess = !r->json};
    crs_evaluation evaluation = {0};
    crs_subject subject = {0};
    if (crs_subject_open(&subject, comm, checkpoint, data, &r->subject, error) == CRS_OK &&
        crs_evaluate(comm, subject.model, &subject.dataset, &plan, &evaluation, error) == CRS_OK) {
        if (crs_comm_rank(comm) == 0)
            print(r, &subject, &evaluation, error);
        crs_comm_broadcast(comm, error, sizeof *error);
    }
    crs_evaluation_free(&evaluation);
    crs_subject_close(&subject);
    return error->status;
}

crs_status crs_command_eval(crs_comm *comm, int argc, char **argv, crs_error *error) {
    request r = {.subject = {.split = CRS_TEST, .streams = 1}};
    crs_cli_arguments arguments = {0};
    crs_cli_parse(&eval_cli, argc, argv, &r, &arguments, error);
    if (arguments.help)
        return error->status;
    if (crs_subject_agree(comm, &r.subject, error))
        return error->status;
    return evaluate(comm, &r, arguments.operand[0], arguments.operand[1], error);
}
