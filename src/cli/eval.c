/* carousel eval: a checkpoint's loss on a split of a data set. */
#include "config.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/show_text.h"

enum { OPTION_SPLIT, OPTION_STREAMS, OPTION_THREADS, OPTION_JSON, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    [OPTION_SPLIT] = {0, "split", "NAME", "train, validation or test (test)"},
    [OPTION_STREAMS] =
        {0, "streams", "N",
         "read the split as N contiguous pieces, each from a zero state, shared out over ranks and threads (1)"},
    [OPTION_THREADS] = {0, "threads", "N", "threads of a rank (the cores it may run on)"},
    [OPTION_JSON] = {0, "json", NULL, "print one JSON object"},
};

static const char *const operands[] = {"CHECKPOINT", "DATA.h5"};

typedef struct request {
    int split;
    int64_t streams, threads;
    bool json;
} request;

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    static const char *const splits[] = {"train", "validation", "test", NULL};
    request *r = context;
    if (option == OPTION_SPLIT)
        return crs_typed_choice(typed, splits, &r->split, error);
    if (option == OPTION_STREAMS)
        return crs_typed_whole(typed, 1, INT32_MAX, &r->streams, error);
    if (option == OPTION_THREADS)
        return crs_typed_whole(typed, 1, 1024, &r->threads, error);
    r->json = true;
    return CRS_OK;
}

static const crs_cli eval_cli = {
    .name = "eval",
    .usage = "[OPTION]... CHECKPOINT DATA.h5",
    .about = "Measure a checkpoint on a split of a data set: the mean loss of its predictions.\n"
             "The same number at any number of ranks and threads.",
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

static bool is_same(const crs_vocabulary *a, const crs_vocabulary *b, uint32_t token) {
    char room[2][4];
    size_t length[2];
    const char *one = crs_vocabulary_text(a, token, room[0], &length[0]),
               *other = crs_vocabulary_text(b, token, room[1], &length[1]);
    return length[0] == length[1] && memcmp(one, other, length[0]) == 0;
}

static crs_status refuse_other(const crs_vocabulary *model, const crs_dataset *data, const char *checkpoint,
                               crs_error *error) {
    const crs_vocabulary *theirs = &data->vocabulary;
    const bool bytes = model->level == CRS_LEVEL_BYTE;
    if (model->level != theirs->level)
        return crs_fail(error, CRS_DATA, "%s is of level %s, %s of level %s: pack the data with %s%s", checkpoint,
                        crs_level_name(model->level), data->path, crs_level_name(theirs->level),
                        bytes ? "--level=byte" : "--vocabulary=", bytes ? "" : checkpoint);
    uint32_t token = 0;
    while (token < model->count && token < theirs->count && is_same(model, theirs, token))
        token++;
    char mine[64] = "none", other[64] = "none";
    if (token < model->count)
        crs_vocabulary_name(model, token, mine);
    if (token < theirs->count)
        crs_vocabulary_name(theirs, token, other);
    if (token == model->count && token == theirs->count)
        return crs_fail(error, CRS_DATA,
                        "the words of %s and of %s are cut otherwise (--words, --lower); pack the data with "
                        "--vocabulary=%s",
                        checkpoint, data->path, checkpoint);
    return crs_fail(error, CRS_DATA,
                    "the vocabulary of %s (%" PRIu32 ") is not that of %s (%" PRIu32 "): token %" PRIu32
                    " is %s in the one and %s in the other; pack the data with --vocabulary=%s",
                    checkpoint, model->count, data->path, theirs->count, token, mine, other, checkpoint);
}

static crs_status check(const crs_vocabulary *vocabulary, const crs_dataset *data, const char *checkpoint,
                        const request *r, crs_error *error) {
    const char *name = crs_split_name((crs_split)r->split);
    const int64_t length = data->length[r->split];
    if (!crs_vocabulary_equal(vocabulary, &data->vocabulary))
        return refuse_other(vocabulary, data, checkpoint, error);
    if (length < 2)
        return crs_fail(error, CRS_DATA,
                        "%s: its split %s has %" PRId64 " tokens, and 2 are the least: give another --split",
                        data->path, name, length);
    if (r->streams > length - 1)
        return crs_fail(error, CRS_CONFIG,
                        "--streams=%" PRId64 " is more than the %" PRId64
                        " predictions of the split %s; at most --streams=%" PRId64,
                        r->streams, length - 1, name, length - 1);
    return CRS_OK;
}

static json_t *whole_object(const request *r, const crs_evaluation *e) {
    return json_pack("{s:s, s:I, s:o, s:o, s:o}", "split", crs_split_name((crs_split)r->split), "tokens",
                     (json_int_t)e->targets, "nats_per_token", crs_show_json_real(e->loss), "bits_per_token",
                     crs_show_json_real(e->bits_per_token), "perplexity", crs_show_json_real(e->perplexity));
}

static crs_status print(const request *r, const crs_evaluation *e, crs_level level, crs_error *error) {
    const char *unit = crs_level_unit(level);
    if (r->json) {
        crs_show_json_print(whole_object(r, e), 0, error);
    } else {
        printf("split        %s\n", crs_split_name((crs_split)r->split));
        printf("predictions  %" PRId64 "\n", e->targets);
        printf("nats         %.6f a %s\n", e->loss, unit);
        printf("bits         %.6f a %s\n", e->bits_per_token, unit);
        printf("perplexity   %.4f\n", e->perplexity);
    }
    if (error->status || crs_output_flush(error))
        return error->status;
    crs_note("%.1f s, %.0f tokens/s", e->seconds, e->seconds > 0 ? (double)e->targets / e->seconds : 0.0);
    return CRS_OK;
}

static crs_status evaluate(crs_comm *comm, const request *r, const char *checkpoint, const char *data,
                           crs_error *error) {
    const crs_kernels *kernels;
    crs_model *model = NULL;
    crs_vocabulary vocabulary = {0};
    crs_schema schema = {0};
    crs_dataset dataset = {0};
    crs_evaluation evaluation = {0};
    const crs_evaluation_plan plan = {.split = (crs_split)r->split, .streams = r->streams};
    const int threads = crs_comm_threads(comm, (int)r->threads);
    if (crs_choose_kernels(comm, &kernels, error) ||
        crs_model_load(comm, checkpoint, kernels, threads, &model, &vocabulary, &schema, error))
        goto out;
    crs_dataset_open(&dataset, data, error);
    if (crs_dataset_agree(comm, &dataset, error))
        goto out;
    if (check(&vocabulary, &dataset, checkpoint, r, error) == CRS_OK)
        crs_dataset_verify(&dataset, (crs_split)r->split, error);
    if (crs_comm_agree(comm, error) || crs_evaluate(comm, model, &dataset, &plan, &evaluation, error))
        goto out;
    if (crs_comm_rank(comm) == 0)
        print(r, &evaluation, dataset.vocabulary.level, error);
    crs_comm_broadcast(comm, error, sizeof *error);
out:
    crs_evaluation_free(&evaluation);
    crs_dataset_close(&dataset);
    crs_vocabulary_free(&vocabulary);
    crs_schema_free(&schema);
    crs_model_free(&model);
    return error->status;
}

crs_status crs_command_eval(crs_comm *comm, int argc, char **argv, crs_error *error) {
    request r = {.split = CRS_TEST, .streams = 1};
    crs_cli_arguments arguments = {0};
    char text[64];
    crs_cli_parse(&eval_cli, argc, argv, &r, &arguments, error);
    if (arguments.help)
        return error->status;
    snprintf(text, sizeof text, "--split=%s\n--streams=%" PRId64 "\n", crs_split_name((crs_split)r.split), r.streams);
    if (crs_comm_same(comm, text, CRS_USAGE, "the command line", "start every rank with the same options", error))
        return error->status;
    return evaluate(comm, &r, arguments.operand[0], arguments.operand[1], error);
}
