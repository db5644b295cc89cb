/* The exact loss of a whole split, shared out over ranks by streams or sequences. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "train/evaluate.h"
#include "train/tally.h"

/* Rows and steps of one pass: at most 4,095 losses of less than 2^19 nats, so that a trailer can't wrap before it is
 * folded. Of sequences, rows and pairs. */
enum { ROWS = 32, STEPS = 120, PAIRS = ROWS * STEPS };

/* About how often ranks ask each other whether to go on, in seconds. They count passes until then, as their clocks
 * differ. */
static const double asking_seconds = 0.5;

/* What one rank works with. */
typedef struct crs_evaluator {
    crs_model *model;
    crs_workspace *workspace;
    const crs_dataset *dataset;
    float *state;      /* [rows of a pass][crs_model_state] */
    double loss_limit; /* crs_batch */
    crs_tally *tally;  /* counts what is said, or NULL */

    /* whether to go on */
    crs_comm *comm;
    crs_listen *listen;
    void *context;
    int64_t passes, made;   /* of the rank that has most; of this one, or those that it waited for */
    int64_t next, interval; /* the pass after which ranks ask each other, and how many lie before it */
    double asked;           /* when */
    int64_t *news;          /* [CRS_NEWS], the caller's */
    bool stopped;
} crs_evaluator;

/* After each pass: now and then (the same passes at every rank) ranks tell each other whether one failed or wants to
 * end. A rank that has no more passes takes part. */
static void end_pass(crs_evaluator *e, const crs_error *error) {
    if (++e->made < e->next || e->made >= e->passes)
        return;
    memset(e->news, 0, CRS_NEWS * sizeof *e->news);
    if (e->listen)
        e->listen(e->context, e->news);
    e->news[CRS_NEWS_BAD] = error->status != CRS_OK;
    const int64_t slowest = crs_comm_max(e->comm, (int64_t)((crs_seconds() - e->asked) * 1e9));
    crs_comm_sum(e->comm, e->news, CRS_NEWS);
    e->stopped = e->news[CRS_NEWS_BAD] > 0 || e->news[CRS_NEWS_SIGNAL] > 0 || e->news[CRS_NEWS_FILE] > 0 ||
                 e->news[CRS_NEWS_TIME] > 0;
    const double wanted = asking_seconds * 1e9 * (double)e->interval / (double)(slowest > 0 ? slowest : 1);
    e->interval = wanted < 1 ? 1 : wanted < 2.0 * (double)e->interval ? (int64_t)wanted : 2 * e->interval;
    e->next = e->made + e->interval;
    e->asked = crs_seconds();
}

void crs_total_fold(crs_total *total, int64_t trailer[CRS_SUM_TRAILER]) {
    const int64_t loss = trailer[CRS_SUM_LOSS], low = loss & UINT32_MAX;
    total->high += (loss - low) / (INT64_C(1) << 32);
    total->low += low;
    total->weight_high += trailer[CRS_SUM_WEIGHT] >> 32;
    total->weight_low += trailer[CRS_SUM_WEIGHT] & UINT32_MAX;
    total->targets += trailer[CRS_SUM_TARGETS];
    total->refused += trailer[CRS_SUM_REFUSED];
    memset(trailer, 0, CRS_SUM_TRAILER * sizeof *trailer);
}

/* high + low * 2^-32, rounded once. */
static double real_of(int64_t high, int64_t low) {
    const int64_t rest = low & UINT32_MAX;
    return (double)(high + (low - rest) / (INT64_C(1) << 32)) + (double)rest * CRS_SUM_STEP;
}

double crs_total_nats(const crs_total *total) {
    return real_of(total->high, total->low);
}

double crs_total_mean(const crs_total *total) {
    return crs_total_nats(total) / real_of(total->weight_high, total->weight_low);
}

/* --change: what a forecast is relative to. */
static const float *last_values(void *context, const crs_batch *batch, ptrdiff_t i) {
    return crs_feed_place_of(context, batch, i).base;
}

static crs_status evaluate_feed(crs_evaluator *e, crs_feed *feed, crs_total *total, crs_error *error) {
    const crs_feed_size most = crs_feed_most(feed);
    const size_t state = (size_t)most.states * crs_model_state(e->model);
    const crs_said said = {crs_tally_said, e->tally};
    e->state = crs_alloc_or_fail(state, sizeof *e->state, CRS_MEMORY_ACTIVATIONS, "the state of an evaluation", error);
    if (!e->state ||
        crs_workspace_create_packed(&e->workspace, e->model, most.rows, most.steps, most.pairs, CRS_FORWARD, error))
        return error->status;
    int64_t trailer[CRS_SUM_TRAILER] = {0};
    for (int64_t step = 0; step < crs_feed_steps(feed) && !e->stopped && error->status == CRS_OK; step++) {
        crs_batch batch = {.state = e->state, .loss_limit = e->loss_limit};
        if (crs_feed_read(feed, step, 0, &batch, error))
            break;
        if (crs_fault("slow-pass"))
            usleep(20000);
        crs_model_evaluate(e->model, e->workspace, &batch, trailer, e->tally ? &said : NULL);
        crs_total_fold(total, trailer);
        end_pass(e, error);
    }
    return error->status;
}

/* This rank's share, and how many passes it takes, to be agreed on before the first. Local, but for that. */
static crs_status evaluate_own(crs_evaluator *e, const crs_feed_plan *plan, crs_total *total, crs_error *error) {
    crs_feed *feed = NULL;
    if (plan->first < plan->end)
        crs_feed_open(&feed, e->dataset, plan, error);
    if (e->tally && plan->change) {
        e->tally->last = last_values;
        e->tally->last_context = feed;
    }
    e->passes = crs_comm_max(e->comm, feed ? crs_feed_steps(feed) : 0);
    if (feed)
        evaluate_feed(e, feed, total, error);
    crs_feed_close(&feed);
    crs_workspace_free(&e->workspace);
    crs_free(&e->state);
    return error->status;
}

/* ---- what is read ---- */

static crs_status check_text(const crs_model *model, const crs_dataset *dataset, crs_split split, int64_t streams,
                             crs_error *error) {
    const int64_t tokens = dataset->length[split];
    if (tokens < 2)
        return crs_fail(error, CRS_DATA,
                        "%s: its %s split has %" PRId64 " tokens, and 2 are the least: give another --split",
                        dataset->path, crs_split_name(split), tokens);
    if (streams < 1 || streams > tokens - 1)
        return crs_fail(error, CRS_CONFIG,
                        "--streams=%" PRId64 " is more than the %" PRId64
                        " predictions of the %s split; at most --streams=%" PRId64,
                        streams, tokens - 1, crs_split_name(split), tokens - 1);
    if ((int64_t)dataset->vocabulary.count != crs_model_spec(model)->input_size)
        return crs_fail(error, CRS_DATA, "%s: its vocabulary has %" PRIu32 " tokens, and that of the model %d",
                        dataset->path, dataset->vocabulary.count, crs_model_spec(model)->input_size);
    return CRS_OK;
}

static crs_status check_sequences(const crs_model *model, const crs_dataset *dataset, crs_split split,
                                  crs_error *error) {
    const crs_schema *schema = &dataset->schema;
    const crs_spec *spec = crs_model_spec(model);
    if (crs_dataset_rows(dataset, split) < 1)
        return crs_fail(error, CRS_DATA, "%s: its %s split has no %s", dataset->path, crs_split_name(split),
                        crs_schema_is_forecast(schema) ? "window of context and horizon" : "sequences");
    if (spec->input != schema->inputs || spec->targets != schema->targets || spec->alignment != schema->alignment ||
        spec->input_size != schema->input_size)
        return crs_fail(error, CRS_DATA, "%s is not what the model was made for", dataset->path);
    return CRS_OK;
}

crs_status crs_evaluation_check(const crs_model *model, const crs_dataset *dataset, crs_split split, int64_t streams,
                                crs_error *error) {
    return dataset->text ? check_text(model, dataset, split, streams, error)
                         : check_sequences(model, dataset, split, error);
}

/* The first sequence of a rank's share: shares are even in steps. rank = ranks: their number. */
static int64_t first_sequence(const crs_sequences *sequences, int64_t rank, int64_t ranks) {
    const int64_t all = sequences->start[sequences->count], wanted = all / ranks * rank + all % ranks * rank / ranks;
    int64_t low = 0, high = sequences->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sequences->start[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What this rank reads: its streams, sequences, or windows of a forecast. */
static void share(crs_comm *comm, const crs_dataset *dataset, crs_feed_plan *plan) {
    const int64_t rank = crs_comm_rank(comm), ranks = crs_comm_size(comm);
    const crs_sequences *sequences = &dataset->sequences[plan->split];
    const int64_t rows = dataset->text ? plan->batch : sequences->windows;
    if (dataset->text || crs_schema_is_forecast(&dataset->schema)) {
        /* A single stream is rank 0's: floor(r * 1 / ranks) would give it to the last. */
        plan->first = rows - rows * (ranks - rank) / ranks;
        plan->end = rows - rows * (ranks - rank - 1) / ranks;
    } else {
        plan->first = first_sequence(sequences, rank, ranks);
        plan->end = first_sequence(sequences, rank + 1, ranks);
    }
}

crs_feed_plan crs_evaluation_feed(const crs_model *model, const crs_dataset *dataset, crs_split split,
                                  int64_t streams) {
    const crs_spec *spec = crs_model_spec(model);
    crs_feed_plan plan = {.split = split, .once = true, .batch = 1, .pass_rows = ROWS, .pass_pairs = PAIRS};
    if (dataset->text) {
        plan.batch = streams;
        plan.window = STEPS;
    } else {
        plan.whole = spec->bidirectional || spec->alignment == CRS_ALIGN_SEQUENCE;
        plan.change = spec->change;
    }
    return plan;
}

/* Whole rows may be longer than a pass otherwise is. Whichever rank it is on, a target has the same limit. */
static double loss_limit(const crs_dataset *dataset, crs_split split) {
    const int64_t longest = dataset->sequences[split].longest;
    return dataset->text ? 0 : 0x1p30 / (double)(longest > PAIRS ? longest : PAIRS);
}

/* ---- over ranks ---- */

/* comm, model, dataset, tally and who listens are set. Collective. */
static crs_status evaluate_split(crs_evaluator *e, crs_split split, int64_t streams, crs_total *total,
                                 crs_error *error) {
    *error = (crs_error){0};
    *total = (crs_total){0};
    crs_evaluation_check(e->model, e->dataset, split, streams, error);
    if (crs_comm_agree(e->comm, error))
        return error->status;
    e->next = e->interval = 1;
    e->asked = crs_seconds();
    e->loss_limit = loss_limit(e->dataset, split);
    crs_feed_plan plan = crs_evaluation_feed(e->model, e->dataset, split, streams);
    share(e->comm, e->dataset, &plan);
    evaluate_own(e, &plan, total, error);
    while (e->made < e->passes && !e->stopped)
        end_pass(e, error);
    if (crs_comm_agree(e->comm, error) == CRS_OK && e->stopped)
        crs_fail(error, CRS_STOPPED, "the evaluation of %s was stopped before its end", e->dataset->path);
    if (error->status)
        return error->status;
    _Static_assert(sizeof *total % sizeof(int64_t) == 0, "whole numbers alone");
    crs_comm_sum(e->comm, (int64_t *)total, sizeof *total / sizeof(int64_t));
    return CRS_OK;
}

crs_status crs_evaluate_total(crs_comm *comm, crs_model *model, const crs_dataset *dataset, crs_split split,
                              int64_t streams, crs_listen *listen, void *context, int64_t news[CRS_NEWS],
                              crs_total *total, crs_error *error) {
    crs_evaluator e = {
        .model = model, .dataset = dataset, .comm = comm, .listen = listen, .context = context, .news = news};
    return evaluate_split(&e, split, streams, total, error);
}

crs_status crs_each_training_batch(crs_comm *comm, const crs_dataset *dataset, crs_take_targets *take, void *context,
                                   crs_error *error) {
    crs_feed_plan plan = {.split = CRS_TRAIN, .once = true, .batch = 1, .pass_rows = ROWS, .pass_pairs = PAIRS};
    const bool by_step = dataset->schema.alignment == CRS_ALIGN_STEP;
    crs_feed *feed = NULL;
    share(comm, dataset, &plan);
    if (plan.first == plan.end || crs_feed_open(&feed, dataset, &plan, error))
        return error->status;
    for (int64_t step = 0; step < crs_feed_steps(feed); step++) {
        crs_batch batch = {0};
        if (crs_feed_read(feed, step, 0, &batch, error))
            break;
        take(context, &batch, by_step ? (int)crs_pair(&batch, batch.steps, 0) : batch.rows);
    }
    crs_feed_close(&feed);
    return error->status;
}

static void take_truth(void *tally, const crs_batch *batch, int targets) {
    crs_tally_take(tally, batch, 0, targets, NULL, 0);
}

/* The truth of the training split, into a tally. Collective. */
static crs_status count_training(crs_comm *comm, const crs_dataset *dataset, crs_tally *tally, crs_error *error) {
    if (crs_tally_create(tally, &dataset->schema, true, error) == CRS_OK)
        crs_each_training_batch(comm, dataset, take_truth, tally, error);
    if (crs_comm_agree(comm, error) == CRS_OK)
        crs_tally_sum(comm, tally);
    return error->status;
}

crs_status crs_evaluation_fail_empty(const crs_dataset *dataset, crs_split split, crs_error *error) {
    return crs_fail(
        error, CRS_DATA,
        "%s: its %s split has nothing to be said: no target %shas a weight above 0; give another --split",
        dataset->path, crs_split_name(split),
        dataset->schema.targets == CRS_TARGET_NEXT ? "(a step behind the first of a sequence, and its lead) " : "");
}

static crs_status check_total(const crs_dataset *dataset, crs_split split, const crs_total *total, crs_error *error) {
    if (total->refused > 0)
        return crs_fail(error, CRS_DATA,
                        "%" PRId64 " of %" PRId64
                        " predictions of the %s split of %s have a loss that is out of range or not "
                        "finite: this model has diverged; evaluate an earlier checkpoint",
                        total->refused, total->targets, crs_split_name(split), dataset->path);
    return total->targets > 0 ? CRS_OK : crs_evaluation_fail_empty(dataset, split, error);
}

/* Collective. */
static crs_status evaluate_sequences(crs_evaluator *e, const crs_evaluation_plan *plan, crs_total *total,
                                     crs_evaluation *evaluation, crs_error *error) {
    const bool values = e->dataset->schema.targets == CRS_TARGET_VALUES; /* are guessed without training */
    crs_tally tally = {0}, training = {0};
    e->tally = &tally;
    crs_tally_create(&tally, &e->dataset->schema, false, error);
    if (crs_comm_agree(e->comm, error) == CRS_OK && evaluate_split(e, plan->split, 0, total, error) == CRS_OK &&
        check_total(e->dataset, plan->split, total, error) == CRS_OK) {
        crs_tally_sum(e->comm, &tally);
        if (!plan->guess || values || count_training(e->comm, e->dataset, &training, error) == CRS_OK)
            crs_tally_figures(&tally, training.number ? &training : NULL, evaluation, error);
        crs_comm_agree(e->comm, error);
    }
    crs_tally_free(&tally);
    crs_tally_free(&training);
    return error->status;
}

crs_status crs_evaluate(crs_comm *comm, crs_model *model, const crs_dataset *dataset, const crs_evaluation_plan *plan,
                        crs_evaluation *evaluation, crs_error *error) {
    const double start = crs_seconds();
    int64_t news[CRS_NEWS];
    crs_total total;
    crs_evaluator e = {.model = model, .dataset = dataset, .comm = comm, .news = news};
    *evaluation = (crs_evaluation){0};
    *error = (crs_error){0};
    if (!dataset->text)
        evaluate_sequences(&e, plan, &total, evaluation, error);
    else if (evaluate_split(&e, plan->split, plan->streams, &total, error) == CRS_OK)
        check_total(dataset, plan->split, &total, error);
    if (error->status) {
        crs_evaluation_free(evaluation);
        return error->status;
    }
    evaluation->sequences = dataset->sequences[plan->split].count;
    evaluation->targets = total.targets;
    evaluation->loss = crs_total_mean(&total);
    evaluation->bits_per_token = evaluation->loss / M_LN2;
    evaluation->perplexity = evaluation->loss < 700 ? crs_exp(evaluation->loss) : INFINITY;
    evaluation->seconds = crs_seconds() - start;
    return CRS_OK;
}
