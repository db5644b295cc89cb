/* What a model says of each target of a split, as a table.
 *
 * Sequences are worked on by groups of neighbours, a round of one group a rank at a time; after each, rank 0 has what
 * they say, in order, and writes it: no rank ever holds more than that. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/evaluate.h"
#include "train/tally.h"

/* What is said of a target: its sequence and step, then ... */
enum { AT_SEQUENCE, AT_STEP, AT_SAID };
/* ... of one of many: */
enum { AT_CLASS = AT_SAID, AT_PROBABILITY, AT_TRUE_CLASS, CLASS_WIDTH };
/* ... of bits and values: what is said, gaussian: the deviations, the truth; `numbers` of each. */

typedef struct crs_predictor {
    crs_comm *comm;
    crs_model *model;
    const crs_dataset *dataset;
    const crs_prediction_plan *plan;
    const char **name; /* [numbers], owned: of bits and values; rank 0 */
    crs_names names;   /* of a forecast's: column and step */
    int numbers;
    bool deviates; /* gaussian */
    int width;     /* of a row of what is said */

    /* this rank's */
    crs_workspace *workspace;
    crs_feed_size room; /* of workspace */
    float *state;
    crs_feed *feed;
    crs_feed_place diverged; /* the first target of a batch whose outputs are not finite; step -1: none */
    int64_t window;          /* of a text: steps before the batch */
    double *said;            /* [most][width], owned */
    crs_truth *truth;        /* values alone */
    int64_t count, most;

    /* rank 0's */
    crs_table *table;
    double *all; /* of a round: [all_most][width], owned */
    int64_t all_most;
    char *sequence_name; /* owned; of the sequence in named */
    int64_t named;

    /* over ranks */
    int64_t *counts; /* [ranks], owned: rows of a round */
    int *rows_of;    /* [ranks], owned: the same */
    int64_t written; /* rows so far, handed in */
    bool over;       /* all know of an error */
} crs_predictor;

/* ---- what is said of a target ---- */

static double probability_of(const float *outputs, int count, int most) {
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += crs_exp(fmax((double)outputs[i] - (double)outputs[most], -700));
    return 1 / sum;
}

static double logistic(double x) {
    return x > -700 ? 1 / (1 + crs_exp(-fmin(x, 700))) : x < 0 ? 0 : x;
}

/* In units; the truth is read once the group is in order. */
static void put_values(const crs_predictor *p, const float *outputs, const float *base, double *said) {
    const crs_schema *s = &p->dataset->schema;
    double *deviation = said + p->numbers;
    for (int j = 0; j < p->numbers; j++) {
        const int c = j % s->target_size;
        const double unit = s->target_scale.deviation[c], mean = s->target_scale.mean[c], shift = base ? base[c] : 0;
        said[j] = ((double)outputs[j] + shift) * unit + mean;
        if (p->deviates)
            deviation[j] = crs_exp(fmin(fmax((double)outputs[p->numbers + j] / 2, -700), 700)) * unit;
    }
}

static void put(const crs_predictor *p, const crs_batch *batch, ptrdiff_t i, const float *outputs, const float *base,
                double *row) {
    const float *truth = batch->target.numbers ? batch->target.numbers + i * p->numbers : NULL;
    if (crs_schema_says_one(&p->dataset->schema)) {
        const int classes = p->dataset->schema.target_size, said = crs_likeliest(outputs, classes);
        row[AT_CLASS] = said;
        row[AT_PROBABILITY] = probability_of(outputs, classes, said);
        row[AT_TRUE_CLASS] = batch->target.tokens[i];
    } else if (p->dataset->schema.targets == CRS_TARGET_VALUES) {
        put_values(p, outputs, base, row + AT_SAID);
    } else {
        for (int j = 0; j < p->numbers; j++) {
            row[AT_SAID + j] = logistic(outputs[j]);
            row[AT_SAID + p->numbers + j] = truth[j];
        }
    }
}

/* Targets come in any order: of several, the first is told at any number of threads. */
static void note_finite(crs_predictor *p, const crs_feed_place *place, const float *outputs) {
    const crs_feed_place *had = &p->diverged;
    const int count = crs_model_spec(p->model)->outputs;
    bool finite = true;
    for (int i = 0; i < count; i++)
        finite = finite && isfinite(outputs[i]);
    if (!finite && (had->step < 0 || place->sequence < had->sequence ||
                    (place->sequence == had->sequence && place->step < had->step)))
        p->diverged = *place;
}

/* For crs_said; there is room. A text's sequences are its streams. */
static void take(void *context, const crs_batch *batch, ptrdiff_t first, int count, const float *outputs,
                 ptrdiff_t row) {
    crs_predictor *p = context;
    for (ptrdiff_t i = first; i < first + count; i++) {
        crs_feed_place place = {0};
        if (batch->weight && !(batch->weight[i] > 0))
            continue;
        if (p->dataset->text)
            place = (crs_feed_place){batch->row_id[i % batch->rows], p->window + i / batch->rows + 1, NULL};
        else
            place = crs_feed_place_of(p->feed, batch, i);
        CRS_ASSERT(p->count < p->most);
        note_finite(p, &place, outputs + (i - first) * row);
        double *said = p->said + p->count++ * p->width;
        said[AT_SEQUENCE] = (double)place.sequence;
        said[AT_STEP] = (double)place.step;
        put(p, batch, i, outputs + (i - first) * row, place.base, said);
    }
}

/* ---- a group of neighbours ---- */

/* Room for so many rows of what is said; the first `kept` stay. */
static crs_status make_room(double **rows, int64_t *most, int64_t kept, int64_t wanted, int width, crs_error *error) {
    if (wanted <= *most)
        return CRS_OK;
    const int64_t room = wanted > 2 * *most ? wanted : 2 * *most;
    double *larger = crs_alloc_or_fail((size_t)room, (size_t)width * sizeof *larger, CRS_MEMORY_OTHER,
                                       "what is said of a few sequences", error);
    if (!larger)
        return error->status;
    if (kept > 0)
        memcpy(larger, *rows, (size_t)(kept * width) * sizeof *larger);
    crs_free(rows);
    *rows = larger;
    *most = room;
    return CRS_OK;
}

/* Workspace and states for the feed that is open; those of the group before, where they are large enough. */
static crs_status make_workspace(crs_predictor *p, crs_error *error) {
    const crs_feed_size most = crs_feed_most(p->feed), *had = &p->room;
    crs_free(&p->state);
    p->state = crs_alloc_or_fail((size_t)most.states * crs_model_state(p->model), sizeof *p->state,
                                 CRS_MEMORY_ACTIVATIONS, "the state of a few sequences", error);
    if (!p->state)
        return error->status;
    if (p->workspace && most.rows <= had->rows && most.steps <= had->steps && most.pairs <= had->pairs)
        return CRS_OK;
    crs_workspace_free(&p->workspace);
    p->room = most;
    return crs_workspace_create_packed(&p->workspace, p->model, most.rows, most.steps, most.pairs, CRS_FORWARD, error);
}

static int compare(const void *a, const void *b) {
    const double *x = a, *y = b;
    for (int i = AT_SEQUENCE; i <= AT_STEP; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

static crs_status fail_diverged(const crs_predictor *p, crs_error *error) {
    return crs_fail(error, CRS_DATA,
                    "what the model says of sequence %lld, step %lld, of the %s split of %s is not finite: it has "
                    "diverged; predict with an earlier checkpoint",
                    (long long)p->diverged.sequence, (long long)p->diverged.step, crs_split_name(p->plan->split),
                    p->dataset->path);
}

static crs_status read_group(crs_predictor *p, const crs_feed_plan *plan, crs_error *error) {
    const crs_said said = {take, p};
    const bool by_step = p->dataset->schema.alignment == CRS_ALIGN_STEP;
    if (make_workspace(p, error))
        return error->status;
    for (int64_t step = 0; step < crs_feed_steps(p->feed) && error->status == CRS_OK; step++) {
        crs_batch batch = {.state = p->state};
        if (crs_feed_read(p->feed, step, 0, &batch, error))
            break;
        const int64_t targets = by_step ? crs_pair(&batch, batch.steps, 0) : batch.rows;
        if (make_room(&p->said, &p->most, p->count, p->count + targets, p->width, error))
            break;
        p->window = step * plan->window;
        p->diverged.step = -1;
        crs_model_evaluate(p->model, p->workspace, &batch, NULL, &said);
        if (p->diverged.step >= 0)
            fail_diverged(p, error);
    }
    return error->status;
}

/* Beside what is said of the group, which is in order. */
static crs_status read_truth(crs_predictor *p, crs_error *error) {
    double *row = p->said;
    for (int64_t i = 0; p->truth && i < p->count && error->status == CRS_OK; i++, row += p->width)
        crs_truth_read(p->truth, (int64_t)row[AT_SEQUENCE], (int64_t)row[AT_STEP], row + p->width - p->numbers, error);
    return error->status;
}

/* What is said of the plan's sequences, in order. Local. */
static crs_status work_on(crs_predictor *p, const crs_feed_plan *plan, crs_error *error) {
    p->count = 0;
    if (crs_feed_open(&p->feed, p->dataset, plan, error) == CRS_OK)
        read_group(p, plan, error);
    crs_feed_close(&p->feed);
    if (error->status == CRS_OK && p->count > 0)
        qsort(p->said, (size_t)p->count, (size_t)p->width * sizeof *p->said, compare);
    if (error->status || read_truth(p, error))
        p->count = 0;
    return error->status;
}

/* ---- rows of the table ---- */

/* Text of a class or token; room for a token. */
static const char *text_of(const crs_predictor *p, int which, char room[8]) {
    const crs_vocabulary *v = &p->dataset->vocabulary;
    if (p->dataset->schema.targets == CRS_TARGET_CLASS)
        return p->dataset->schema.classes.name[which];
    if (v->level == CRS_LEVEL_WORD)
        return v->text + v->start[which];
    if (v->level == CRS_LEVEL_BYTE)
        snprintf(room, 8, "%u", (unsigned)which & 0xFF);
    else
        room[crs_utf8_encode(v->code_points[which], room)] = '\0';
    return room;
}

static crs_status find_name(crs_predictor *p, int64_t sequence, crs_error *error) {
    if (p->sequence_name && p->named == sequence)
        return CRS_OK;
    crs_free(&p->sequence_name);
    p->named = sequence;
    if (!p->dataset->text)
        p->sequence_name = crs_dataset_name(p->dataset, p->plan->split, sequence, error);
    else if (!(p->sequence_name = crs_copy_text("")))
        crs_fail(error, CRS_INTERNAL, "out of memory");
    return error->status;
}

static crs_status write_row(crs_predictor *p, const double *row, crs_error *error) {
    char room[2][8];
    const double *at = row + AT_SAID;
    if (find_name(p, (int64_t)row[AT_SEQUENCE], error))
        return error->status;
    crs_table_integer(p->table, (int64_t)row[AT_SEQUENCE]);
    crs_table_text(p->table, p->sequence_name);
    crs_table_integer(p->table, (int64_t)row[AT_STEP]);
    if (crs_schema_says_one(&p->dataset->schema)) {
        crs_table_text(p->table, text_of(p, (int)row[AT_CLASS], room[0]));
        crs_table_reals(p->table, &row[AT_PROBABILITY], 1);
        crs_table_text(p->table, text_of(p, (int)row[AT_TRUE_CLASS], room[1]));
    } else {
        for (; at < row + p->width; at += p->numbers)
            crs_table_reals(p->table, at, p->numbers);
    }
    return crs_table_end(p->table, error);
}

/* What this round's groups say, in their order, to rank 0, which writes it: what fails there is known to all after the
 * next round. Collective, also where this rank has an error. */
static crs_status hand_in(crs_predictor *p, crs_error *error) {
    const int ranks = crs_comm_size(p->comm);
    int64_t sum = 0;
    memset(p->counts, 0, (size_t)ranks * sizeof *p->counts);
    p->counts[crs_comm_rank(p->comm)] = p->count;
    crs_comm_sum(p->comm, p->counts, (size_t)ranks);
    for (int r = 0; r < ranks; r++) {
        p->rows_of[r] = (int)p->counts[r];
        sum += p->counts[r];
    }
    if (p->table && error->status == CRS_OK)
        make_room(&p->all, &p->all_most, 0, sum, p->width, error);
    p->over = crs_comm_agree(p->comm, error) != CRS_OK;
    if (p->over)
        return error->status;
    p->written += sum;
    crs_comm_gather(p->comm, p->said, p->all, p->rows_of, (size_t)p->width * sizeof *p->said);
    for (int64_t i = 0; p->table && i < sum && error->status == CRS_OK; i++)
        write_row(p, p->all + i * p->width, error);
    return error->status;
}

/* ---- groups ---- */

/* About how much a group is: pairs that go through the network, bytes of what is said. */
enum { GROUP_PAIRS = 1 << 14, GROUP_BYTES = 1 << 22 };

/* Streams of a text, windows of a forecast, or sequences. */
static int64_t rows_in_all(const crs_predictor *p) {
    return p->dataset->text ? p->plan->streams : crs_dataset_rows(p->dataset, p->plan->split);
}

static int64_t pairs_of(const crs_predictor *p, int64_t row) {
    const crs_schema *schema = &p->dataset->schema;
    if (p->dataset->text)
        return p->dataset->length[p->plan->split] / p->plan->streams;
    return crs_schema_is_forecast(schema) ? schema->context : p->dataset->sequences[p->plan->split].length[row];
}

/* Where the group ends that begins with this row; at least one row is in it. */
static int64_t group_end(const crs_predictor *p, int64_t first) {
    const int64_t all = rows_in_all(p);
    const bool by_step = p->dataset->schema.alignment == CRS_ALIGN_STEP;
    int64_t end = first;
    for (int64_t pairs = 0, bytes = 0; end < all; end++) {
        const int64_t more = pairs_of(p, end);
        pairs += more;
        bytes += (by_step ? more : 1) * p->width * (int64_t)sizeof *p->said;
        if (end > first && (pairs > GROUP_PAIRS || bytes > GROUP_BYTES))
            break;
    }
    return end;
}

/* Round after round, group number n is worked on by rank n modulo ranks. Collective. */
static crs_status predict_rounds(crs_predictor *p, crs_error *error) {
    crs_feed_plan plan = crs_evaluation_feed(p->model, p->dataset, p->plan->split, p->plan->streams);
    const int ranks = crs_comm_size(p->comm), rank = crs_comm_rank(p->comm);
    const int64_t all = rows_in_all(p);
    for (int64_t at = 0; at < all && !p->over;) {
        p->count = 0;
        for (int r = 0; r < ranks && at < all; r++) {
            plan.first = at;
            plan.end = at = group_end(p, at);
            if (r == rank && error->status == CRS_OK)
                work_on(p, &plan, error);
        }
        hand_in(p, error);
    }
    return crs_comm_agree(p->comm, error);
}

/* ---- the table ---- */

/* What the numbers that are said are called. */
static crs_status name_numbers(crs_predictor *p, crs_error *error) {
    const crs_schema *s = &p->dataset->schema;
    const crs_names *columns = s->targets == CRS_TARGET_NEXT ? &s->columns : &s->target_names;
    bool good = true;
    p->name = crs_alloc((size_t)p->numbers, sizeof *p->name, CRS_MEMORY_OTHER);
    good = p->name != NULL;
    for (int j = 0; good && j < p->numbers; j++) {
        const char *column = columns->name[j % s->target_size];
        p->name[j] = column;
        if (!crs_schema_is_forecast(s))
            continue;
        char *name = crs_format_text("%s+%d", column, j / s->target_size + 1);
        good = name && crs_names_add(&p->names, name);
        crs_free(&name);
        if (good)
            p->name[j] = p->names.name[j];
    }
    return good ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory for the names of what is said");
}

/* Bytes of the longest name of a sequence. */
static int longest_name(const crs_predictor *p, crs_error *error) {
    const crs_sequences *sequences = &p->dataset->sequences[p->plan->split];
    size_t longest = 0;
    for (int64_t n = 0; !p->dataset->text && sequences->has_names && n < sequences->count; n++) {
        char *name = crs_dataset_name(p->dataset, p->plan->split, n, error);
        if (!name)
            break;
        longest = strlen(name) > longest ? strlen(name) : longest;
        crs_free(&name);
    }
    return (int)longest;
}

/* Bytes of the longest text of a class or token. */
static int longest_text(const crs_predictor *p) {
    enum { LEAST = 4 };
    const size_t class = crs_names_longest(&p->dataset->schema.classes), token = p->dataset->vocabulary.longest,
                 longest = class > token ? class : token;
    return longest > LEAST ? (int)longest : LEAST;
}

static crs_status create_table(crs_predictor *p, crs_error *error) {
    const bool one_of_many = crs_schema_says_one(&p->dataset->schema),
               values = p->dataset->schema.targets == CRS_TARGET_VALUES;
    const int name = longest_name(p, error), text = longest_text(p);
    const crs_table_column head[] = {
        {"sequence", CRS_TABLE_INTEGER, 0, NULL, "number of the sequence in its split, from 0", NULL},
        {"name", CRS_TABLE_TEXT, name, NULL, "name of the sequence", NULL},
        {"step", CRS_TABLE_INTEGER, 0, NULL, "step of the sequence that is said, from 0; a forecast's first", NULL}};
    const crs_table_column one[] = {{"says", CRS_TABLE_TEXT, text, NULL, "the likeliest", NULL},
                                    {"probability", CRS_TABLE_REAL, 0, NULL, "of what is said", NULL},
                                    {"true", CRS_TABLE_TEXT, text, NULL, "the truth", NULL}};
    const crs_table_column many[] = {
        {"says", CRS_TABLE_REAL, p->numbers, p->name, values ? "values in units" : "the probability of each bit", NULL},
        {"deviation", CRS_TABLE_REAL, p->numbers, p->name, "deviation of each value", NULL},
        {"true", CRS_TABLE_REAL, p->numbers, p->name, "the truth", NULL}};
    crs_table_column columns[6];
    int count = 3;
    if (error->status)
        return error->status;
    memcpy(columns, head, sizeof head);
    for (int i = 0; i < 3; i++)
        if (one_of_many || p->deviates || i != 1)
            columns[count++] = one_of_many ? one[i] : many[i];
    return crs_table_create(&p->table, p->plan->output, p->plan->description, columns, count, error);
}

/* ---- all of it ---- */

/* Local: but for the table, the same on all ranks. */
static crs_status prepare(crs_predictor *p, crs_error *error) {
    const crs_schema *schema = &p->dataset->schema;
    const size_t ranks = (size_t)crs_comm_size(p->comm);
    bool any = true;
    if (crs_evaluation_check(p->model, p->dataset, p->plan->split, p->plan->streams, error))
        return error->status;
    if (!p->dataset->text && crs_dataset_any_target(p->dataset, p->plan->split, &any, error))
        return error->status;
    if (!any)
        return crs_evaluation_fail_empty(p->dataset, p->plan->split, error);
    p->numbers = crs_schema_numbers(schema);
    p->deviates = crs_model_spec(p->model)->head == CRS_HEAD_GAUSSIAN;
    p->width = crs_schema_says_one(schema) ? CLASS_WIDTH : AT_SAID + (p->deviates ? 3 : 2) * p->numbers;
    p->counts = crs_alloc_or_fail(ranks, sizeof *p->counts, CRS_MEMORY_OTHER, "counts", error);
    if (!p->counts)
        return error->status;
    p->rows_of = crs_alloc_or_fail(ranks, sizeof *p->rows_of, CRS_MEMORY_OTHER, "counts", error);
    if (schema->targets == CRS_TARGET_VALUES && crs_truth_open(&p->truth, p->dataset, p->plan->split, error))
        return error->status;
    if (!p->rows_of || make_room(&p->said, &p->most, 0, 1, p->width, error) || crs_comm_rank(p->comm) != 0)
        return error->status;
    if (make_room(&p->all, &p->all_most, 0, 1, p->width, error) ||
        (!crs_schema_says_one(schema) && name_numbers(p, error)))
        return error->status;
    return create_table(p, error);
}

static void release(crs_predictor *p) {
    crs_table_free(&p->table);
    crs_truth_close(&p->truth);
    crs_workspace_free(&p->workspace);
    crs_names_free(&p->names);
    crs_free(&p->name);
    crs_free(&p->state);
    crs_free(&p->said);
    crs_free(&p->all);
    crs_free(&p->counts);
    crs_free(&p->rows_of);
    crs_free(&p->sequence_name);
}

crs_status crs_predict(crs_comm *comm, crs_model *model, const crs_dataset *dataset, const crs_prediction_plan *plan,
                       int64_t *targets, crs_error *error) {
    crs_predictor p = {.comm = comm, .model = model, .dataset = dataset, .plan = plan};
    *error = (crs_error){0};
    prepare(&p, error);
    if (crs_comm_agree(comm, error) == CRS_OK && predict_rounds(&p, error) == CRS_OK) {
        if (p.table)
            crs_table_finish(p.table, error);
        crs_comm_agree(comm, error);
    }
    *targets = p.written;
    release(&p);
    return error->status;
}
