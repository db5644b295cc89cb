/* A checkpoint and the data that it is to be measured on, or to predict. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "cli/subject.h"

/* ---- what is asked for ---- */

crs_status crs_subject_take(crs_subject_request *request, crs_subject_option option, const crs_typed *typed,
                            crs_error *error) {
    static const char *const splits[] = {"train", "validation", "test", NULL};
    switch (option) {
    case CRS_SUBJECT_SPLIT:
        return crs_typed_choice(typed, splits, &request->split, error);
    case CRS_SUBJECT_STREAMS:
        return crs_typed_whole(typed, 1, INT32_MAX, &request->streams, error);
    default:
        return crs_typed_whole(typed, 1, 1024, &request->threads, error);
    }
}

crs_status crs_subject_agree(crs_comm *comm, const crs_subject_request *request, crs_error *error) {
    char text[64];
    snprintf(text, sizeof text, "--split=%s\n--streams=%" PRId64 "\n", crs_split_name((crs_split)request->split),
             request->streams);
    return crs_comm_same(comm, text, CRS_USAGE, "the command line", "start every rank with the same options", error);
}

/* ---- whether they go together ---- */

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
    char advice[CRS_MESSAGE_MAX] = "as those were that it was trained on";
    if (data->text && bytes)
        snprintf(advice, sizeof advice, "with --level=byte");
    else if (data->text)
        snprintf(advice, sizeof advice, "with --vocabulary=%s", checkpoint);
    if (model->level != theirs->level)
        return crs_fail(error, CRS_DATA, "%s is of level %s, %s of level %s: pack the data %s", checkpoint,
                        crs_level_name(model->level), data->path, crs_level_name(theirs->level), advice);
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
                    " is %s in the one and %s in the other; pack the data %s",
                    checkpoint, model->count, data->path, theirs->count, token, mine, other, advice);
}

static crs_status refuse_streams(const crs_dataset *data, int64_t streams, crs_error *error) {
    if (data->text || streams == 1)
        return CRS_OK;
    return crs_fail(error, CRS_CONFIG,
                    "--streams=%" PRId64 ": %s holds sequences, each of which is read from a zero state; leave "
                    "--streams out",
                    streams, data->path);
}

/* Of what both are made; tokens must mean the same. */
static crs_status check_fit(const crs_subject *s, const char *checkpoint, crs_error *error) {
    const crs_schema *model = &s->schema, *data = &s->dataset.schema;
    const bool alike =
        model->inputs == data->inputs && model->targets == data->targets && model->alignment == data->alignment;
    if (alike && data->inputs == CRS_INPUT_TOKENS && !crs_vocabulary_equal(&s->vocabulary, &s->dataset.vocabulary))
        return refuse_other(&s->vocabulary, &s->dataset, checkpoint, error);
    return crs_schema_same(model, checkpoint, data, s->dataset.path, error);
}

/* ---- both ---- */

crs_status crs_subject_open(crs_subject *s, crs_comm *comm, const char *checkpoint, const char *data,
                            const crs_subject_request *request, crs_error *error) {
    const crs_split split = (crs_split)request->split;
    const crs_kernels *kernels;
    *s = (crs_subject){0};
    const int threads = crs_comm_threads(comm, (int)request->threads);
    if (crs_choose_kernels(comm, &kernels, error) ||
        crs_model_load(comm, checkpoint, kernels, threads, &s->model, &s->vocabulary, &s->schema, error))
        return error->status;
    crs_dataset_open(&s->dataset, data, error);
    if (crs_dataset_agree(comm, &s->dataset, error))
        return error->status;
    if (check_fit(s, checkpoint, error) == CRS_OK && refuse_streams(&s->dataset, request->streams, error) == CRS_OK &&
        crs_evaluation_check(s->model, &s->dataset, split, request->streams, error) == CRS_OK)
        crs_dataset_verify(&s->dataset, split, error);
    return crs_comm_agree(comm, error);
}

void crs_subject_close(crs_subject *s) {
    crs_dataset_close(&s->dataset);
    crs_vocabulary_free(&s->vocabulary);
    crs_schema_free(&s->schema);
    crs_model_free(&s->model);
}
