/* The exact loss of a whole split, shared out over ranks by streams. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "train/evaluate.h"

/* Rows and steps of one pass: at most 4,095 losses of less than 2^19 nats, so that a trailer can't wrap before it is
 * folded. */
enum { ROWS = 32, STEPS = 120 };

/* About how often ranks ask each other whether to go on, in seconds. They count passes until then, as their clocks
 * differ. */
static const double asking_seconds = 0.5;

/* What one rank works with. */
typedef struct crs_evaluator {
    crs_model *model;
    crs_workspace *workspace;
    const crs_dataset *dataset;
    float *state; /* [rows of a pass][crs_model_state] */

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
    e->stopped = e->news[CRS_NEWS_BAD] > 0 || e->news[CRS_NEWS_SIGNAL] > 0 || e->news[CRS_NEWS_TIME] > 0;
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

static crs_status evaluate_feed(crs_evaluator *e, crs_feed *feed, crs_total *total, crs_error *error) {
    const crs_feed_size most = crs_feed_most(feed);
    const size_t state = (size_t)most.states * crs_model_state(e->model);
    e->state = crs_alloc_or_fail(state, sizeof *e->state, CRS_MEMORY_ACTIVATIONS, "the state of an evaluation", error);
    if (!e->state || crs_workspace_create(&e->workspace, e->model, most.rows, most.steps, CRS_FORWARD, error))
        return error->status;
    int64_t trailer[CRS_SUM_TRAILER] = {0};
    for (int64_t step = 0; step < crs_feed_steps(feed) && !e->stopped && error->status == CRS_OK; step++) {
        crs_batch batch = {.state = e->state};
        if (crs_feed_read(feed, step, 0, &batch, error))
            break;
        if (crs_fault("slow-pass"))
            usleep(20000);
        crs_model_evaluate(e->model, e->workspace, &batch, trailer, NULL);
        crs_total_fold(total, trailer);
        end_pass(e, error);
    }
    return error->status;
}

/* This rank's share of the streams. Local. */
static crs_status evaluate_own(crs_evaluator *e, const crs_feed_plan *plan, crs_total *total, crs_error *error) {
    crs_feed *feed = NULL;
    if (plan->first < plan->end && crs_feed_open(&feed, e->dataset, plan, error) == CRS_OK)
        evaluate_feed(e, feed, total, error);
    crs_feed_close(&feed);
    crs_workspace_free(&e->workspace);
    crs_free(&e->state);
    return error->status;
}

static crs_status check_split(const crs_model *model, const crs_dataset *dataset, crs_split split, int64_t streams,
                              crs_error *error) {
    const int64_t tokens = dataset->length[split];
    if (tokens < 2)
        return crs_fail(error, CRS_DATA, "%s: its %s split has %" PRId64 " tokens; a prediction needs 2", dataset->path,
                        crs_split_name(split), tokens);
    if (streams < 1 || streams > tokens - 1)
        return crs_fail(error, CRS_CONFIG,
                        "--streams=%" PRId64 ": the %s split of %s has %" PRId64 " tokens, so 1 to %" PRId64
                        " would do",
                        streams, crs_split_name(split), dataset->path, tokens, tokens - 1);
    if ((int64_t)dataset->vocabulary.count != crs_model_spec(model)->input_size)
        return crs_fail(error, CRS_DATA, "%s: its vocabulary has %" PRIu32 " tokens, and that of the model %d",
                        dataset->path, dataset->vocabulary.count, crs_model_spec(model)->input_size);
    return CRS_OK;
}

crs_status crs_evaluate_total(crs_comm *comm, crs_model *model, const crs_dataset *dataset, crs_split split,
                              int64_t streams, crs_listen *listen, void *context, int64_t news[CRS_NEWS],
                              crs_total *total, crs_error *error) {
    const int64_t rank = crs_comm_rank(comm), ranks = crs_comm_size(comm);
    *error = (crs_error){0};
    *total = (crs_total){0};
    check_split(model, dataset, split, streams, error);
    if (crs_comm_agree(comm, error))
        return error->status;
    crs_evaluator e = {.model = model,
                       .dataset = dataset,
                       .comm = comm,
                       .listen = listen,
                       .context = context,
                       .next = 1,
                       .interval = 1,
                       .asked = crs_seconds(),
                       .news = news};
    crs_feed_plan plan = {.split = split,
                          .batch = streams,
                          .window = STEPS,
                          .once = true,
                          .end = (streams + ranks - 1) / ranks,
                          .pass_rows = ROWS};
    e.passes = crs_epoch_steps(dataset, &plan);
    /* A single stream is rank 0's: floor(r * 1 / ranks) would give it to the last. */
    plan.first = streams - streams * (ranks - rank) / ranks;
    plan.end = streams - streams * (ranks - rank - 1) / ranks;
    evaluate_own(&e, &plan, total, error);
    while (e.made < e.passes && !e.stopped)
        end_pass(&e, error);
    if (crs_comm_agree(comm, error) == CRS_OK && e.stopped)
        crs_fail(error, CRS_STOPPED, "the evaluation of %s was stopped before its end", dataset->path);
    if (error->status)
        return error->status;
    _Static_assert(sizeof *total % sizeof(int64_t) == 0, "whole numbers alone");
    crs_comm_sum(comm, (int64_t *)total, sizeof *total / sizeof(int64_t));
    return CRS_OK;
}

crs_status crs_evaluate(crs_comm *comm, crs_model *model, const crs_dataset *dataset, const crs_evaluation_plan *plan,
                        crs_evaluation *evaluation, crs_error *error) {
    const double start = crs_seconds();
    int64_t news[CRS_NEWS];
    crs_total total;
    *evaluation = (crs_evaluation){0};
    if (crs_evaluate_total(comm, model, dataset, plan->split, plan->streams, NULL, NULL, news, &total, error))
        return error->status;
    if (total.refused > 0)
        return crs_fail(error, CRS_DATA,
                        "%" PRId64 " of %" PRId64
                        " predictions of the %s split of %s have a loss that is out of range or not "
                        "finite: this model has diverged",
                        total.refused, total.targets, crs_split_name(plan->split), dataset->path);
    evaluation->targets = total.targets;
    evaluation->loss = crs_total_mean(&total);
    evaluation->bits_per_token = evaluation->loss / M_LN2;
    evaluation->perplexity = evaluation->loss < 700 ? crs_exp(evaluation->loss) : INFINITY;
    evaluation->seconds = crs_seconds() - start;
    return CRS_OK;
}
