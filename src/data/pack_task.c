/* Sequences of made-up tasks, which recurrent networks are measured by. Each is a function of the seed, the split
 * and its number. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "data/sequence_writer.h"

enum { DEFAULT_LENGTH = 100, DEFAULT_PERIOD = 10, REBER_MOST = 1000, REPORT_EVERY = 1000 };

/* ---- random numbers ---- */

typedef struct draws {
    uint64_t seed, split, sequence, block, number[4];
    int left; /* of number */
} draws;

static uint64_t draw(draws *d) {
    if (d->left == 0) {
        crs_random(d->seed, CRS_DRAW_TASK, d->split, d->sequence, d->block++, 0, d->number);
        d->left = 4;
    }
    return d->number[--d->left];
}

/* 0 .. n - 1 */
static int64_t draw_below(draws *d, int64_t n) {
    return (int64_t)(((draw(d) >> 32) * (uint64_t)n) >> 32);
}

/* ---- sequences ---- */

/* One as it is made; arrays owned, of as many steps as the longest may have. */
typedef struct made {
    int64_t steps;
    float *input, *target, *weight; /* [steps][2], [steps], [steps] */
    uint32_t *token;
    uint8_t *bit;
    uint32_t class; /* of a whole sequence */
    float sum;
} made;

typedef struct task {
    const char *name, *definition;
    const char *inputs, *targets; /* names, with blanks between */
    crs_input_kind input_kind;
    crs_target_kind target_kind;
    crs_alignment alignment;
    bool weights, has_length, has_period;
    int64_t least; /* length */
    int parameter; /* marked symbols; shape */
    void (*make)(const struct task *task, draws *d, int64_t length, int64_t period, made *m);
} task;

/* Hochreiter and Schmidhuber 1997, experiment 4. */
static void make_adding(const task *t, draws *d, int64_t length, int64_t period, made *m) {
    (void)t, (void)period;
    m->steps = length + draw_below(d, length / 10 + 1);
    for (int64_t i = 0; i < m->steps; i++) {
        m->input[2 * i] = (float)(2 * crs_unit_double(draw(d)) - 1);
        m->input[2 * i + 1] = i == 0 || i == m->steps - 1 ? -1 : 0;
    }
    const int64_t first = draw_below(d, 10);
    int64_t second = draw_below(d, length / 2 - 1);
    second += second >= first; /* of those that are not marked yet */
    if (first == 0 || second == 0)
        m->input[0] = 0;
    m->input[2 * first + 1] = m->input[2 * second + 1] = 1;
    m->sum = 0.5f + (m->input[2 * first] + m->input[2 * second]) / 4;
}

enum { ORDER_E, ORDER_B, ORDER_A, ORDER_X = 6 };

/* Hochreiter and Schmidhuber 1997, experiment 6. */
static void make_order(const task *t, draws *d, int64_t length, int64_t period, made *m) {
    const int marked = t->parameter;
    (void)period;
    m->steps = length + draw_below(d, length / 10 + 1);
    m->class = 0;
    for (int64_t i = 0; i < m->steps; i++)
        m->token[i] = (uint32_t)(ORDER_A + draw_below(d, 4));
    m->token[0] = ORDER_E;
    m->token[m->steps - 1] = ORDER_B;
    for (int i = 0; i < marked; i++) {
        const int64_t from = i == 0 ? length / 10 : length * i / marked;
        const uint32_t which = (uint32_t)draw_below(d, 2);
        m->token[from + draw_below(d, length / 10 + 1)] = ORDER_X + which;
        m->class = 2 * m->class + which;
    }
}

enum { REBER_B, REBER_T, REBER_P, REBER_S, REBER_X, REBER_V, REBER_E };

/* A string of Reber's grammar; false where it gets too long. */
static bool make_reber_string(draws *d, made *m) {
    static const struct {
        uint32_t symbol;
        int next;
    } edges[5][2] = {{{REBER_T, 1}, {REBER_P, 2}},
                     {{REBER_S, 1}, {REBER_X, 3}},
                     {{REBER_T, 2}, {REBER_V, 4}},
                     {{REBER_X, 2}, {REBER_S, 5}},
                     {{REBER_P, 3}, {REBER_V, 5}}};
    m->token[m->steps++] = REBER_B;
    for (int node = 0; node < 5;) {
        const int64_t edge = draw_below(d, 2);
        if (m->steps >= REBER_MOST - 3)
            return false;
        m->token[m->steps++] = edges[node][edge].symbol;
        node = edges[node][edge].next;
    }
    m->token[m->steps++] = REBER_E;
    return true;
}

static void make_reber(const task *t, draws *d, int64_t length, int64_t period, made *m) {
    (void)t, (void)length, (void)period;
    do {
        m->steps = 0;
        m->token[m->steps++] = REBER_B;
        m->token[m->steps++] = draw_below(d, 2) ? REBER_P : REBER_T;
    } while (!make_reber_string(d, m));
    m->token[m->steps] = m->token[1];
    m->token[m->steps + 1] = REBER_E;
    m->steps += 2;
}

/* Gers, Schraudolph and Schmidhuber 2002; time is from 1. */
static void make_spike_delay(const task *t, draws *d, int64_t length, int64_t period, made *m) {
    int64_t delay = draw_below(d, 2), spike = period + delay;
    (void)t;
    m->steps = length;
    for (int64_t time = 1; time <= length; time++) {
        const bool now = time == spike;
        m->input[time - 1] = m->weight[time - 1] = now;
        m->target[time - 1] = now ? (float)delay : 0;
        if (now) {
            delay = draw_below(d, 2);
            spike += period + delay;
        }
    }
}

static void make_timed_spikes(const task *t, draws *d, int64_t length, int64_t period, made *m) {
    int64_t delay = draw_below(d, 2), spike = period + delay;
    (void)t;
    m->steps = length;
    for (int64_t time = 1; time <= length; time++) {
        m->input[time - 1] = (float)delay;
        m->bit[time - 1] = time == spike;
        if (time == spike) {
            delay = draw_below(d, 2);
            spike += period + delay;
        }
    }
}

enum { SHAPE_COS, SHAPE_TRIANGLE, SHAPE_RECTANGLE };

static void make_periodic(const task *t, draws *d, int64_t length, int64_t period, made *m) {
    (void)d;
    m->steps = length;
    for (int64_t time = 1; time <= length; time++) {
        /* 0 .. 2 over a period */
        const double phase = 2 * (double)(time % period) / (double)period, triangle = phase <= 1 ? phase : 2 - phase;
        m->input[time - 1] = 0;
        m->target[time - 1] = t->parameter == SHAPE_TRIANGLE    ? (float)triangle
                              : t->parameter == SHAPE_RECTANGLE ? phase > 1
                                                                : (float)((1 - crs_cospi(triangle)) / 2);
    }
}

/* ---- the tasks ---- */

static const task tasks[] = {
    {"adding",
     "adding: steps of a value from [-1, 1) and a mark, at two steps 1, at the first and the last else -1, elsewhere "
     "0; "
     "the first mark is among the first ten steps, the second among the first length / 2; a marked first step has the "
     "value 0. To be said of the sequence: 0.5 + (sum of the marked values) / 4. Of length to length * 1.1 steps. "
     "(Hochreiter and Schmidhuber 1997, experiment 4)",
     "value mark", "sum", CRS_INPUT_VALUES, CRS_TARGET_VALUES, CRS_ALIGN_SEQUENCE, false, true, false, 20, 0,
     make_adding},
    {"temporal-order-3",
     "temporal order: E, then a, b, c, d at random, then B, but X or Y at three steps, one at length / 10, length / 3 "
     "and "
     "length * 2 / 3 or up to length / 10 later each. To be said of the sequence: which, in their order. Of length to "
     "length * 1.1 steps. (Hochreiter and Schmidhuber 1997, experiment 6)",
     "E B a b c d X Y", "", CRS_INPUT_TOKENS, CRS_TARGET_CLASS, CRS_ALIGN_SEQUENCE, false, true, false, 20, 3,
     make_order},
    {"temporal-order-4",
     "temporal order: E, then a, b, c, d at random, then B, but X or Y at four steps, one at length / 10, length / 4, "
     "length / 2 and length * 3 / 4 or up to length / 10 later each. To be said of the sequence: which, in their "
     "order. Of "
     "length to length * 1.1 steps. (after Hochreiter and Schmidhuber 1997, experiment 6)",
     "E B a b c d X Y", "", CRS_INPUT_TOKENS, CRS_TARGET_CLASS, CRS_ALIGN_SEQUENCE, false, true, false, 20, 4,
     make_order},
    {"reber",
     "embedded Reber grammar: B, then T or P, then a string of Reber's grammar, then the same of T and P again, then "
     "E; "
     "each branch is as likely as the other. To be said: the next symbol. (Hochreiter and Schmidhuber 1997, experiment "
     "1)",
     "B T P S X V E", "", CRS_INPUT_TOKENS, CRS_TARGET_NEXT, CRS_ALIGN_STEP, false, false, false, 0, 0, make_reber},
    {"spike-delay",
     "measure spike delays: the input is 1 at the times T(n) and 0 elsewhere; T(0) = 0, T(n) = T(n-1) + period + I(n), "
     "I(n) being 0 or 1, each as likely; times are 1 to length. To be said at each T(n): I(n). (Gers, Schraudolph and "
     "Schmidhuber 2002)",
     "spike", "delay", CRS_INPUT_VALUES, CRS_TARGET_VALUES, CRS_ALIGN_STEP, true, true, true, 1, 0, make_spike_delay},
    {"timed-spikes",
     "generate timed spikes: the input is I(n) at the times T(n-1) < t <= T(n); T(0) = 0, T(n) = T(n-1) + period + "
     "I(n), "
     "I(n) being 0 or 1, each as likely; times are 1 to length. To be said at each step: 1 at T(n), else 0. (Gers, "
     "Schraudolph and Schmidhuber 2002)",
     "delay", "spike", CRS_INPUT_VALUES, CRS_TARGET_BITS, CRS_ALIGN_STEP, false, true, true, 1, 0, make_timed_spikes},
    {"periodic-cos",
     "a periodic function: the input is 0; to be said at each time t, from 1 to length: (1 - cos(2 pi t / period)) / "
     "2. "
     "(Gers, Schraudolph and Schmidhuber 2002)",
     "nothing", "wave", CRS_INPUT_VALUES, CRS_TARGET_VALUES, CRS_ALIGN_STEP, false, true, true, 1, SHAPE_COS,
     make_periodic},
    {"periodic-triangle",
     "a periodic function: the input is 0; to be said at each time t, from 1 to length: with u = 2 (t mod period) / "
     "period, u where that is at most 1, else 2 - u. (Gers, Schraudolph and Schmidhuber 2002)",
     "nothing", "wave", CRS_INPUT_VALUES, CRS_TARGET_VALUES, CRS_ALIGN_STEP, false, true, true, 1, SHAPE_TRIANGLE,
     make_periodic},
    {"periodic-rectangle",
     "a periodic function: the input is 0; to be said at each time t, from 1 to length: 1 where t mod period is more "
     "than "
     "period / 2, else 0. (Gers, Schraudolph and Schmidhuber 2002)",
     "nothing", "wave", CRS_INPUT_VALUES, CRS_TARGET_VALUES, CRS_ALIGN_STEP, false, true, true, 1, SHAPE_RECTANGLE,
     make_periodic},
};
enum { TASKS = sizeof tasks / sizeof *tasks };

const char *const *crs_task_names(void) {
    static const char *names[TASKS + 1];
    for (int i = 0; i < TASKS; i++)
        names[i] = tasks[i].name;
    return names;
}

static const task *find_task(const char *name) {
    for (int i = 0; i < TASKS; i++)
        if (strcmp(tasks[i].name, name) == 0)
            return &tasks[i];
    return NULL;
}

/* ---- a data set ---- */

typedef struct making {
    const crs_task_pack *pack;
    const task *task;
    int64_t length[CRS_SPLITS], period;
    crs_output output;
    crs_schema schema;    /* owned */
    crs_names vocabulary; /* owned */
    crs_sequence_writer *writer;
    char *description, *source; /* owned */
    made made;                  /* arrays owned */
} making;

static crs_status check_request(making *g, crs_error *error) {
    const crs_task_pack *pack = g->pack;
    g->task = find_task(pack->name);
    if (!g->task)
        return crs_fail(error, CRS_USAGE, "'%.60s' is no task; 'carousel pack task --help' lists them", pack->name);
    const bool asks_length = pack->length[CRS_TRAIN] > 0;
    if (asks_length && !g->task->has_length)
        return crs_fail(error, CRS_USAGE, "--length: the grammar of %s says how long a sequence is; leave it out",
                        pack->name);
    if (pack->period > 0 && !g->task->has_period)
        return crs_fail(error, CRS_USAGE, "--period: %s has no period; leave it out", pack->name);
    g->period = pack->period > 0 ? pack->period : DEFAULT_PERIOD;
    for (int split = 0; split < CRS_SPLITS; split++) {
        g->length[split] = asks_length ? pack->length[split] : DEFAULT_LENGTH;
        /* A sequence without a spike has no target. */
        const int64_t least = g->task->weights ? g->period + 1 : g->task->least;
        if (g->length[split] < least)
            return crs_fail(error, CRS_USAGE, "--length=%lld: %s needs sequences of at least %lld steps",
                            (long long)g->length[split], pack->name, (long long)least);
    }
    if (pack->count[CRS_TRAIN] < 1)
        return crs_fail(error, CRS_USAGE, "--count: nothing is for training; give 1 or more");
    return CRS_OK;
}

/* Names with blanks between. */
static bool add_words(crs_names *names, const char *words) {
    bool good = true;
    while (*words && good) {
        const size_t length = strcspn(words, " ");
        char *word = crs_format_text("%.*s", (int)length, words);
        good = word && crs_names_add(names, word);
        crs_free(&word);
        words += length + strspn(words + length, " ");
    }
    return good;
}

/* XXX, XXY, ... */
static bool add_orders(crs_names *classes, int marked) {
    bool good = true;
    for (int class = 0; class < 1 << marked && good; class ++) {
        char name[16] = "";
        for (int i = 0; i < marked; i++)
            name[i] = class >> (marked - 1 - i) & 1 ? 'Y' : 'X';
        good = crs_names_add(classes, name);
    }
    return good;
}

static bool make_schema(making *g) {
    const task *t = g->task;
    crs_schema *s = &g->schema;
    const bool tokens = t->input_kind == CRS_INPUT_TOKENS, class = t->target_kind == CRS_TARGET_CLASS;
    s->inputs = t->input_kind;
    s->targets = t->target_kind;
    s->alignment = t->alignment;
    if (!add_words(tokens ? &g->vocabulary : &s->columns, t->inputs) || !add_words(&s->target_names, t->targets) ||
        (class && !add_orders(&s->classes, t->parameter)))
        return false;
    s->input_size = tokens ? g->vocabulary.count : s->columns.count;
    s->target_size = t->target_kind == CRS_TARGET_NEXT ? s->input_size
                     : class                           ? s->classes.count
                                                       : s->target_names.count;
    return true;
}

/* What would make the same again. */
static bool describe(making *g) {
    const crs_task_pack *p = g->pack;
    char length[96] = "", period[48] = "";
    if (g->task->has_length)
        snprintf(length, sizeof length, " --length=%lld,%lld,%lld", (long long)g->length[0], (long long)g->length[1],
                 (long long)g->length[2]);
    if (g->task->has_period)
        snprintf(period, sizeof period, " --period=%lld", (long long)g->period);
    g->source = crs_format_text("carousel pack task %s%s --count=%lld,%lld,%lld%s --seed=%llu", p->name, length,
                                (long long)p->count[0], (long long)p->count[1], (long long)p->count[2], period,
                                (unsigned long long)p->seed);
    g->description = crs_format_text("%s", g->task->definition);
    return g->source && g->description;
}

static bool make_room(making *g) {
    int64_t most = REBER_MOST;
    for (int split = 0; split < CRS_SPLITS; split++)
        most = g->length[split] + g->length[split] / 10 > most ? g->length[split] + g->length[split] / 10 : most;
    const size_t steps = (size_t)most;
    made *m = &g->made;
    m->input = crs_alloc(steps, 2 * sizeof *m->input, CRS_MEMORY_DATA);
    m->target = crs_alloc(steps, sizeof *m->target, CRS_MEMORY_DATA);
    m->weight = crs_alloc(steps, sizeof *m->weight, CRS_MEMORY_DATA);
    m->token = crs_alloc(steps, sizeof *m->token, CRS_MEMORY_DATA);
    m->bit = crs_alloc(steps, sizeof *m->bit, CRS_MEMORY_DATA);
    return m->input && m->target && m->weight && m->token && m->bit;
}

static crs_status put(making *g, crs_split split, int64_t sequence, crs_error *error) {
    const task *t = g->task;
    made *m = &g->made;
    draws d = {.seed = g->pack->seed, .split = split, .sequence = (uint64_t)sequence};
    const bool whole = t->alignment == CRS_ALIGN_SEQUENCE, class = t->target_kind == CRS_TARGET_CLASS;
    t->make(t, &d, g->length[split], g->period, m);
    const void *inputs = t->input_kind == CRS_INPUT_TOKENS ? (const void *)m->token : m->input;
    const void *step_targets = whole || t->target_kind == CRS_TARGET_NEXT ? NULL
                               : t->target_kind == CRS_TARGET_BITS        ? (const void *)m->bit
                                                                          : m->target;
    if (crs_sequence_writer_begin(g->writer, split, NULL, 0, error) ||
        crs_sequence_writer_add(g->writer, m->steps, inputs, step_targets, t->weights ? m->weight : NULL, error))
        return error->status;
    return crs_sequence_writer_end(g->writer, !whole ? NULL : class ? (const void *)&m->class : &m->sum, 1, error);
}

static crs_status put_all(making *g, crs_error *error) {
    const int64_t *count = g->pack->count, all = count[0] + count[1] + count[2];
    int64_t done = 0;
    char line[64];
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        for (int64_t i = 0; i < count[split]; i++) {
            if (put(g, split, i, error))
                return error->status;
            if (++done % REPORT_EVERY == 0) {
                snprintf(line, sizeof line, "packing: %.0f %%", 100.0 * (double)done / (double)all);
                crs_live(line);
            }
        }
    return CRS_OK;
}

static crs_status run(making *g, crs_error *error) {
    if (check_request(g, error))
        return error->status;
    if (!make_schema(g) || !describe(g) || !make_room(g))
        return crs_fail(error, CRS_INTERNAL, "out of memory for a task");
    const crs_sequence_plan plan = {.schema = &g->schema,
                                    .vocabulary = g->vocabulary.count > 0 ? &g->vocabulary : NULL,
                                    .source = g->source,
                                    .description = g->description,
                                    .weights = g->task->weights};
    if (crs_output_open(&g->output, g->pack->output, error) ||
        crs_sequence_writer_open(&g->writer, &g->output, &plan, error) || put_all(g, error) ||
        crs_sequence_writer_finish(g->writer, error) || crs_output_verify(&g->output, error))
        return error->status;
    return crs_output_finish(&g->output, error);
}

crs_status crs_pack_task(const crs_task_pack *pack, crs_packed_sequences *packed, crs_error *error) {
    const double start = crs_seconds();
    making g = {.pack = pack, .output = {.lock = -1}};
    if (run(&g, error) == CRS_OK) {
        crs_sequence_writer_result(g.writer, packed);
        packed->seconds = crs_seconds() - start;
    }
    crs_live("");
    crs_sequence_writer_free(&g.writer);
    crs_output_discard(&g.output);
    crs_schema_free(&g.schema);
    crs_names_free(&g.vocabulary);
    crs_free(&g.description);
    crs_free(&g.source);
    crs_free(&g.made.input);
    crs_free(&g.made.target);
    crs_free(&g.made.weight);
    crs_free(&g.made.token);
    crs_free(&g.made.bit);
    return error->status;
}
