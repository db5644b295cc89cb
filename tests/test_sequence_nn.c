/* Models of sequences: numbers as input, every head, weights, a target a sequence, carried states from and to anywhere;
 * against a plain model in double precision, and bit for bit. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "plain.h"

enum { ROWS = 12, STEPS = 160, WIDTH = 121, STATE = 400 };

/* The programs run at several numbers of ranks: each rank takes its share of the cases. */
static bool my_turn(void) {
    static int turn;
    return turn++ % harness_size() == harness_rank();
}

/* ---- drawn sequences ----------------------------------------------------------------------------------*/

/* Of falling lengths. */
typedef struct sequences {
    plain_model *plain;
    int rows, targets; /* targets: numbers of one */
    uint64_t seed;
    plain_row row[ROWS];
    float numbers[ROWS][STEPS * WIDTH], target_numbers[ROWS][STEPS * WIDTH], weight[ROWS][STEPS], state[ROWS][STATE];
    uint32_t tokens[ROWS][STEPS], target_tokens[ROWS][STEPS];
} sequences;

enum { NUMBERS = 100, TARGETS = 200, TOKENS = 300, CLASSES = 400, WEIGHTS = 500, STATES = 600 };

static float drawn(const sequences *s, int stream, int row, int i) {
    return (float)plain_draw(s->seed, (uint64_t)(stream + row), (uint64_t)i);
}

static uint32_t drawn_below(const sequences *s, int stream, int row, int i, int most) {
    return (uint32_t)(((double)drawn(s, stream, row, i) + 1) / 2 * most);
}

/* Far from where an absolute error bends; bits for a logistic head. */
static float drawn_target(const sequences *s, int row, int i) {
    const float x = drawn(s, TARGETS, row, i);
    const crs_head_kind head = s->plain->spec.head;
    return head == CRS_HEAD_LOGISTIC ? x > 0.3f : head == CRS_HEAD_MAE ? x + (x > 0 ? 6 : -6) : 2 * x;
}

/* Some are 0, but not the first. */
static float drawn_weight(const sequences *s, int row, int i) {
    const float x = row + i > 0 ? drawn(s, WEIGHTS, row, i) : 0;
    return x < -0.5f ? 0 : x > 0.5f ? 1 : 1.25f + x;
}

static void draw_row(sequences *s, int r, int steps, bool weights) {
    const crs_spec *spec = &s->plain->spec;
    plain_row *row = &s->row[r];
    *row =
        (plain_row){steps, s->numbers[r], s->tokens[r], s->target_numbers[r], s->target_tokens[r], NULL, s->state[r]};
    CRS_ASSERT(steps <= STEPS && spec->input_size <= WIDTH && s->targets <= WIDTH && crs_spec_state(spec) <= STATE);
    for (int i = 0; i < steps * spec->input_size; i++)
        s->numbers[r][i] = spec->input == CRS_INPUT_BITS ? drawn(s, NUMBERS, r, i) > 0 : drawn(s, NUMBERS, r, i);
    for (int i = 0; i < steps; i++) {
        s->tokens[r][i] = drawn_below(s, TOKENS, r, i, spec->input_size);
        s->target_tokens[r][i] = drawn_below(s, CLASSES, r, i, spec->outputs);
        s->weight[r][i] = drawn_weight(s, r, i);
    }
    for (int i = 0; i < steps * s->targets; i++)
        s->target_numbers[r][i] = drawn_target(s, r, i);
    for (int i = 0; i < STATE; i++)
        s->state[r][i] = spec->bidirectional ? 0 : 0.8f * drawn(s, STATES, r, i);
    if (weights)
        row->weight = s->weight[r];
}

static sequences *sequences_create(const crs_spec *spec, int rows, const int *length, bool weights, uint64_t seed) {
    sequences *s = calloc(1, sizeof *s);
    CRS_ASSERT(s != NULL && rows <= ROWS);
    s->plain = plain_create(spec, seed);
    s->seed = seed;
    s->rows = rows;
    s->targets = spec->head == CRS_HEAD_GAUSSIAN ? spec->outputs / 2 : spec->outputs;
    for (int r = 0; r < rows; r++)
        draw_row(s, r, length[r], weights);
    return s;
}

static void sequences_free(sequences **s) {
    plain_free(&(*s)->plain);
    free(*s);
    *s = NULL;
}

static crs_model *model_of(const plain_model *plain, crs_isa isa, int threads) {
    crs_model *model = NULL;
    crs_error error;
    if (crs_model_create(&model, &plain->spec, crs_kernels_of(isa), threads, &error))
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    CRS_ASSERT(crs_model_tensors(model) == plain->tensors);
    for (int k = 0; k < plain->tensors; k++) {
        const size_t size = (size_t)crs_tensor_size(&plain->tensor[k]);
        float *values = calloc(size, sizeof *values);
        CRS_ASSERT(values != NULL && strcmp(crs_model_tensor(model, k)->name, plain->tensor[k].name) == 0);
        for (size_t e = 0; e < size; e++)
            values[e] = (float)plain->values[k][e];
        crs_model_import(model, crs_model_parameters(model), k, values);
        free(values);
    }
    crs_model_refresh(model);
    return model;
}

static const char *name_of(const crs_spec *s) {
    static char name[160];
    snprintf(name, sizeof name, "%s D%d E%d H%d L%d, %s K%d, %s %s%s%s%s", crs_cell_name(s->cell), s->input_size,
             s->embed, s->hidden, s->layers, crs_loss_names()[s->head], s->outputs, crs_alignment_names()[s->alignment],
             crs_pool_names()[s->pool], s->bidirectional ? ", both ways" : "", s->layer_norm ? ", norm" : "",
             s->residual ? ", residual" : "");
    return name;
}

/* ---- batches ------------------------------------------------------------------------------------------*/

/* Some of the rows, packed. */
typedef struct packed {
    crs_batch batch;
    int rows, which[ROWS], start[STEPS + 1], lane_starts[ROWS + 2], lane_row[ROWS];
    int64_t row_id[ROWS];
    float numbers[ROWS * STEPS * WIDTH], target_numbers[ROWS * STEPS * WIDTH], weight[ROWS * STEPS];
    uint32_t tokens[ROWS * STEPS], target_tokens[ROWS * STEPS];
    float state[ROWS * STATE];
} packed;

/* Puts a target, number i of its row, at place n. */
static void pack_target(packed *p, const sequences *s, int r, int i, int n) {
    const int k = s->targets;
    memcpy(p->target_numbers + n * k, s->target_numbers[r] + i * k, (size_t)k * sizeof(float));
    p->target_tokens[n] = s->target_tokens[r][i];
    p->weight[n] = s->weight[r][i];
}

static void pack_steps(packed *p, const sequences *s) {
    const int d = s->plain->spec.input_size;
    int n = 0;
    for (int t = 0; t < s->row[p->which[0]].steps; t++) {
        for (int i = 0; i < p->rows && s->row[p->which[i]].steps > t; i++, n++) {
            const int r = p->which[i];
            memcpy(p->numbers + n * d, s->numbers[r] + t * d, (size_t)d * sizeof(float));
            p->tokens[n] = s->tokens[r][t];
            if (s->plain->spec.alignment == CRS_ALIGN_STEP)
                pack_target(p, s, r, t, n);
        }
        p->start[t + 1] = n;
    }
}

/* lane_of[row of the sequences]; lanes: their number; only: the one lane that is packed, or -1: all. */
static packed *pack(const sequences *s, const int *lane_of, int lanes, int lane_rows, int only) {
    packed *p = calloc(1, sizeof *p);
    CRS_ASSERT(p != NULL);
    const crs_spec *spec = &s->plain->spec;
    const size_t state = crs_spec_state(spec);
    for (int r = 0; r < s->rows; r++)
        if (only < 0 || lane_of[r] == only) {
            memcpy(p->state + (size_t)p->rows * state, s->state[r], state * sizeof(float));
            p->row_id[p->rows] = r;
            if (spec->alignment == CRS_ALIGN_SEQUENCE)
                pack_target(p, s, r, 0, p->rows);
            p->which[p->rows++] = r;
        }
    if (p->rows > 0)
        pack_steps(p, s);
    int place = 0, lane = 0;
    for (; lane < lanes; lane++) {
        p->lane_starts[lane] = place;
        for (int i = 0; i < p->rows; i++)
            if (lane_of[p->which[i]] == lane)
                p->lane_row[place++] = i;
    }
    p->lane_starts[lane] = place;
    const bool numbers = spec->input != CRS_INPUT_TOKENS, classes = spec->head == CRS_HEAD_SOFTMAX;
    p->batch = (crs_batch){.steps = p->rows > 0 ? s->row[p->which[0]].steps : 0,
                           .rows = p->rows,
                           .start = p->start,
                           .input = {numbers ? NULL : p->tokens, numbers ? p->numbers : NULL},
                           .target = {classes ? p->target_tokens : NULL, classes ? NULL : p->target_numbers},
                           .weight = s->row[0].weight ? p->weight : NULL,
                           .state = p->state,
                           .row_id = p->row_id,
                           .lanes = lanes,
                           .lane_starts = p->lane_starts,
                           .lane_row = p->lane_row,
                           .lane_rows = lane_rows,
                           .seed = s->seed,
                           .step = 2};
    return p;
}

static int pairs_of(const crs_batch *b) {
    return b->rows > 0 ? (int)crs_pair(b, b->steps, 0) : 0;
}

/* No larger than the batch. */
static crs_workspace *workspace_of(const crs_model *model, const crs_batch *b, int uses) {
    crs_workspace *workspace = NULL;
    crs_error error;
    if (crs_workspace_create_packed(&workspace, model, b->rows, b->steps, pairs_of(b), uses, &error))
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    return workspace;
}

static int64_t *sums_of(const crs_model *model) {
    int64_t *sums = crs_alloc(crs_model_sums(model), sizeof *sums, CRS_MEMORY_GRADIENTS);
    CRS_ASSERT(sums != NULL);
    return sums;
}

static const int64_t *trailer_of(const crs_model *model, const int64_t *sums) {
    return sums + crs_model_sums(model) - CRS_SUM_TRAILER;
}

/* Rows by turns. */
static void deal_lanes(int *lane_of, int lanes) {
    for (int r = 0; r < ROWS; r++)
        lane_of[r] = r % lanes;
}

/* ---- gradients against differences --------------------------------------------------------------------*/

static double loss_of_all(const sequences *s, double *weight) {
    double loss = 0;
    *weight = 0;
    for (int r = 0; r < s->rows; r++)
        loss += plain_loss(s->plain, &s->row[r], weight, NULL);
    return loss;
}

/* Six points: the error is of the sixth order in the distance, but where Huber's loss bends. */
static double difference_of(const sequences *s, double *value) {
    static const double factor[3] = {45.0 / 60, -9.0 / 60, 1.0 / 60};
    const double distance = 1e-5, centre = *value;
    double sum = 0, weight;
    for (int p = 0; p < 3; p++) {
        *value = centre + (p + 1) * distance;
        const double above = loss_of_all(s, &weight);
        *value = centre - (p + 1) * distance;
        sum += factor[p] * (above - loss_of_all(s, &weight));
    }
    *value = centre;
    return sum / distance;
}

typedef struct expected {
    double loss, weight, norm;
    double *gradient[PLAIN_TENSORS];
} expected;

static expected expected_of(const sequences *s) {
    expected e = {0};
    e.loss = loss_of_all(s, &e.weight);
    for (int k = 0; k < s->plain->tensors; k++) {
        const int64_t size = crs_tensor_size(&s->plain->tensor[k]);
        e.gradient[k] = calloc((size_t)size, sizeof(double));
        CRS_ASSERT(e.gradient[k] != NULL);
        for (int64_t i = 0; i < size; i++) {
            e.gradient[k][i] = difference_of(s, &s->plain->values[k][i]);
            e.norm += e.gradient[k][i] * e.gradient[k][i];
        }
    }
    e.norm = sqrt(e.norm);
    return e;
}

static void expected_free(expected *e) {
    for (int k = 0; k < PLAIN_TENSORS; k++)
        free(e->gradient[k]);
}

static void check(bool fine, const crs_spec *spec, const char *what, double off) {
    if (!fine)
        fprintf(stderr, "%s: %s is off by %g\n", name_of(spec), what, off);
    CU_ASSERT(fine);
}

static void check_tensors(const sequences *s, const expected *e, crs_model *model, const int64_t *sums) {
    float *gradient = crs_alloc(crs_model_arena(model), sizeof *gradient, CRS_MEMORY_GRADIENTS);
    CRS_ASSERT(gradient != NULL);
    crs_model_gradient(model, NULL, 0, sums, gradient);
    for (int k = 0; k < s->plain->tensors; k++) {
        const size_t size = (size_t)crs_tensor_size(&s->plain->tensor[k]);
        float *values = calloc(size, sizeof *values);
        CRS_ASSERT(values != NULL);
        crs_model_export(model, gradient, k, values);
        double off = 0, norm = 0;
        for (size_t i = 0; i < size; i++) {
            const double difference = (double)values[i] * e->weight - e->gradient[k][i];
            off += difference * difference;
            norm += e->gradient[k][i] * e->gradient[k][i];
        }
        check(sqrt(off) <= 1e-5 * sqrt(norm) + 1e-6 * e->norm, &s->plain->spec, s->plain->tensor[k].name,
              sqrt(off / (norm > 0 ? norm : 1)));
        free(values);
    }
    crs_free(&gradient);
}

static int targets_of(const sequences *s) {
    int targets = 0;
    for (int r = 0; r < s->rows; r++)
        for (int i = 0; i < (s->plain->spec.alignment == CRS_ALIGN_SEQUENCE ? 1 : s->row[r].steps); i++)
            targets += !s->row[r].weight || s->row[r].weight[i] > 0;
    return targets;
}

static void check_pass(const sequences *s, const expected *e, crs_isa isa, int threads) {
    int lane_of[ROWS];
    deal_lanes(lane_of, 2);
    packed *p = pack(s, lane_of, 2, (s->rows + 1) / 2, -1);
    crs_model *model = model_of(s->plain, isa, threads);
    crs_workspace *workspace = workspace_of(model, &p->batch, CRS_TRAINING);
    int64_t *sums = sums_of(model);
    const int64_t *trailer = trailer_of(model, sums);
    crs_model_train(model, workspace, &p->batch, sums, NULL);
    const double off = fabs((double)trailer[CRS_SUM_LOSS] * CRS_SUM_STEP - e->loss);
    check(off <= 1e-6 * (fabs(e->loss) + e->weight), &s->plain->spec, "the loss", off);
    CU_ASSERT_EQUAL((double)trailer[CRS_SUM_WEIGHT] * CRS_SUM_STEP, e->weight);
    CU_ASSERT_EQUAL(trailer[CRS_SUM_TARGETS], targets_of(s));
    CU_ASSERT_EQUAL(trailer[CRS_SUM_REFUSED], 0);
    check_tensors(s, e, model, sums);
    crs_free(&sums);
    crs_workspace_free(&workspace);
    crs_model_free(&model);
    free(p);
}

static void check_gradient(const crs_spec *spec, int rows, const int *length, bool weights, uint64_t seed) {
    if (!my_turn())
        return;
    sequences *s = sequences_create(spec, rows, length, weights, seed);
    expected e = expected_of(s);
    CU_ASSERT(e.norm > 0);
    for (int isa = 0; isa < CRS_ISA_COUNT; isa++)
        if (crs_isa_here((crs_isa)isa))
            check_pass(s, &e, (crs_isa)isa, 1 + isa);
    expected_free(&e);
    sequences_free(&s);
}

static crs_spec spec_of(crs_cell cell, int inputs, int hidden, int layers, crs_head_kind head, int numbers) {
    return (crs_spec){.input = CRS_INPUT_VALUES,
                      .input_size = inputs,
                      .cell = cell,
                      .hidden = hidden,
                      .layers = layers,
                      .targets = head == CRS_HEAD_SOFTMAX    ? CRS_TARGET_CLASS
                                 : head == CRS_HEAD_LOGISTIC ? CRS_TARGET_BITS
                                                             : CRS_TARGET_VALUES,
                      .alignment = CRS_ALIGN_STEP,
                      .head = head,
                      .outputs = head == CRS_HEAD_GAUSSIAN ? 2 * numbers : numbers};
}

/* Lengths of several rows, alike, of 1; one row, one step. */
static const int lengths[][ROWS] = {{7, 7, 4, 1}, {5, 5, 5, 5}, {6}, {1, 1, 1}};
static const int row_counts[] = {4, 4, 1, 3};
enum { LENGTHS = 4 };

/* Every head, of each step and of sequences, with weights and without. */
static void gradients_of_cell(crs_cell cell) {
    static const int numbers[] = {1, 3, 17}, inputs[] = {3, 1, 5, 17}, hidden[] = {5, 1, 7};
    int turn = (int)cell;
    for (int head = 0; head < CRS_HEADS; head++)
        for (int pool = -1; pool < (int)CRS_POOLS; pool++, turn++) {
            crs_spec spec = spec_of(cell, inputs[turn % 4], hidden[turn % 3], 1 + turn / 2 % 2, (crs_head_kind)head,
                                    numbers[(turn + turn / 3) % 3]);
            if (head == CRS_HEAD_SOFTMAX)
                spec.outputs++;
            spec.alignment = pool < 0 ? CRS_ALIGN_STEP : CRS_ALIGN_SEQUENCE;
            spec.pool = pool < 0 ? CRS_POOL_LAST : (crs_pool)pool;
            const int which = turn / 2 % LENGTHS;
            check_gradient(&spec, row_counts[which], lengths[which], turn % 3 == 0, 20 + (uint64_t)turn);
        }
}

static void test_gradient_lstm(void) {
    gradients_of_cell(CRS_LSTM);
}
static void test_gradient_peephole(void) {
    gradients_of_cell(CRS_PEEPHOLE);
}
static void test_gradient_gru(void) {
    gradients_of_cell(CRS_GRU);
}
static void test_gradient_rnn(void) {
    gradients_of_cell(CRS_RNN);
}

/* Bits; tokens by table, gathered, and as the one-hot rows themselves. */
static void test_gradient_inputs(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int input = 0; input < 5; input++) {
            crs_spec spec = spec_of((crs_cell)cell, 6, 5, 1, CRS_HEAD_SOFTMAX, 4);
            spec.input = input == 0 ? CRS_INPUT_BITS : CRS_INPUT_TOKENS;
            spec.embed = input == 2 ? 3 : input == 3 ? 8 : 0;
            spec.gather = input == 4;
            spec.alignment = (cell + input) % 2 ? CRS_ALIGN_SEQUENCE : CRS_ALIGN_STEP;
            check_gradient(&spec, row_counts[0], lengths[0], input % 2, 70 + (uint64_t)input);
        }
}

/* Both directions, norm, residual, tied weights, under every head and pool: what a target a sequence reads is either
 * direction's own last step. */
static void test_gradient_options(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int option = 0; option < 6; option++) {
            const int turn = (int)cell + option;
            crs_spec spec = spec_of((crs_cell)cell, 3, 5 + turn % 2 * 2, 2, (crs_head_kind)(turn % CRS_HEADS), 3);
            spec.bidirectional = option % 3 != 2;
            spec.layer_norm = option % 2 == 1 || option == 2;
            spec.residual = option >= 2;
            spec.alignment = option == 4 ? CRS_ALIGN_STEP : CRS_ALIGN_SEQUENCE;
            spec.pool = turn % 2 ? CRS_POOL_MEAN : CRS_POOL_LAST;
            if (option == 3) {
                spec.input = CRS_INPUT_TOKENS;
                spec.embed = 4;
            }
            check_gradient(&spec, row_counts[turn % LENGTHS], lengths[turn % LENGTHS], turn % 3 == 0,
                           110 + (uint64_t)turn);
        }
}

/* ---- the same bits ------------------------------------------------------------------------------------*/

typedef struct outcome {
    size_t count;
    int64_t *sums;
    float state[ROWS * STATE]; /* [row of the sequences][crs_model_state] */
} outcome;

static outcome *outcome_of(const crs_model *model) {
    outcome *o = calloc(1, sizeof *o);
    CRS_ASSERT(o != NULL);
    o->count = crs_model_sums(model);
    o->sums = sums_of(model);
    return o;
}

static void outcome_free(outcome **o) {
    crs_free(&(*o)->sums);
    free(*o);
    *o = NULL;
}

static bool same(const outcome *a, const outcome *b) {
    return a->count == b->count && memcmp(a->sums, b->sums, a->count * sizeof *a->sums) == 0 &&
           memcmp(a->state, b->state, sizeof a->state) == 0;
}

static void add_pass(const sequences *s, crs_model *model, packed *p, float dropout, outcome *o) {
    const size_t size = crs_model_state(model);
    p->batch.dropout = dropout;
    crs_workspace *workspace = workspace_of(model, &p->batch, CRS_TRAINING | (dropout > 0 ? CRS_DROPOUT : 0));
    crs_model_train(model, workspace, &p->batch, o->sums, NULL);
    crs_workspace_free(&workspace);
    for (int i = 0; i < p->rows; i++)
        memcpy(o->state + (size_t)p->which[i] * size, p->state + (size_t)i * size, size * sizeof(float));
    (void)s;
}

typedef struct way_of {
    const int *lane_of;
    int lanes, lane_rows;
    float dropout;
    crs_isa isa;
    int threads;
    bool apart; /* lane by lane */
} way_of;

static outcome *train(const sequences *s, const way_of *w) {
    crs_model *model = model_of(s->plain, w->isa, w->threads);
    outcome *o = outcome_of(model);
    for (int lane = w->apart ? 0 : -1; lane < (w->apart ? w->lanes : 0); lane++) {
        packed *p = pack(s, w->lane_of, w->lanes, w->lane_rows, lane);
        add_pass(s, model, p, w->dropout, o);
        free(p);
    }
    CU_ASSERT_EQUAL(trailer_of(model, o->sums)[CRS_SUM_REFUSED], 0);
    crs_model_free(&model);
    return o;
}

/* baseline: that instruction set too, which takes a hundred times as long. */
static void check_same(const sequences *s, way_of w, bool baseline) {
    w.isa = crs_isa_best();
    w.apart = true;
    w.threads = 1;
    outcome *apart = train(s, &w);
    w.apart = false;
    const crs_isa best = crs_isa_best(); /* how threads share work out does not depend on it */
    for (int isa = baseline ? 0 : 1; isa < CRS_ISA_COUNT; isa++)
        for (w.threads = 1; w.threads <= (isa == (int)best ? 3 : 1) && crs_isa_here((crs_isa)isa); w.threads++) {
            w.isa = (crs_isa)isa;
            outcome *o = train(s, &w);
            if (!same(apart, o))
                fprintf(stderr, "%s, %s, %d threads, %d lanes of %d: other bits\n", name_of(&s->plain->spec),
                        crs_isa_name(w.isa), w.threads, w.lanes, w.lane_rows);
            CU_ASSERT(same(apart, o));
            outcome_free(&o);
        }
    outcome_free(&apart);
}

/* Lanes as they should be; each row one; fewer rows than they should have, and none; far more. */
static void check_lanes(const crs_spec *spec, int rows, const int *length, float dropout, uint64_t seed) {
    int lane_of[ROWS];
    if (!my_turn())
        return;
    sequences *s = sequences_create(spec, rows, length, seed % 2, seed);
    deal_lanes(lane_of, 3);
    check_same(s, (way_of){lane_of, 3, 4, dropout, 0, 0, 0}, seed % 4 == 0);
    check_same(s, (way_of){lane_of, 5, 300, dropout, 0, 0, 0}, false);
    deal_lanes(lane_of, ROWS);
    check_same(s, (way_of){lane_of, ROWS, 1, dropout, 0, 0, 0}, false);
    deal_lanes(lane_of, 1);
    check_same(s, (way_of){lane_of, 1, 1, dropout, 0, 0, 0}, false);
    for (int r = 0; r < ROWS; r++)
        lane_of[r] = r < 2 ? 3 : r < 9 ? 1 : 0;
    check_same(s, (way_of){lane_of, 4, 3, dropout, 0, 0, 0}, false);
    sequences_free(&s);
}

static const int long_lengths[ROWS] = {160, 160, 131, 90, 90, 41, 17, 17, 16, 2, 1, 1};
static const int even_lengths[ROWS] = {33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33};

static void test_exact(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int head = 0; head < CRS_HEADS; head++) {
            crs_spec spec =
                spec_of((crs_cell)cell, 19, 33 - 16 * (head % 2), 1 + (cell + head) % 2, (crs_head_kind)head, 17);
            spec.alignment = (cell + head) % 3 == 0 ? CRS_ALIGN_STEP : CRS_ALIGN_SEQUENCE;
            spec.pool = head % 2 ? CRS_POOL_MEAN : CRS_POOL_LAST;
            check_lanes(&spec, head == 2 ? 9 : ROWS, head % 3 == 1 ? even_lengths : long_lengths, head % 2 ? 0 : 0.25f,
                        90 + (uint64_t)head);
        }
}

/* The same for layers of two directions, norm and residual. */
static void test_exact_options(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int option = cell % 2; option < 4; option += 2) {
            crs_spec spec = spec_of((crs_cell)cell, 19, 17, 2, option % 2 ? CRS_HEAD_SOFTMAX : CRS_HEAD_LOGISTIC, 17);
            spec.bidirectional = option < 3;
            spec.layer_norm = option > 0;
            spec.residual = option % 2 == 1;
            spec.alignment = option == 1 ? CRS_ALIGN_STEP : CRS_ALIGN_SEQUENCE;
            spec.pool = (cell + option) % 2 ? CRS_POOL_MEAN : CRS_POOL_LAST;
            check_lanes(&spec, ROWS, option == 2 ? even_lengths : long_lengths, option % 2 ? 0.25f : 0,
                        91 + 2 * (uint64_t)option);
        }
}

/* Bits leave out what is zero, numbers do not. Wide enough that sums over rows are made in parts. */
static void test_sparse(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int width = 1; width <= WIDTH; width += (WIDTH - 1) / 2) {
            crs_spec spec = spec_of((crs_cell)cell, width, 18, 1, CRS_HEAD_MSE, 3);
            int lane_of[ROWS];
            if (!my_turn())
                continue;
            deal_lanes(lane_of, 3);
            spec.input = CRS_INPUT_BITS;
            sequences *s = sequences_create(&spec, ROWS, long_lengths, false, 97);
            way_of w = {lane_of, 3, 4, 0, 0, 0, 0};
            for (int isa = cell == CRS_GRU ? 0 : 1; isa < CRS_ISA_COUNT && crs_isa_here((crs_isa)isa); isa++)
                for (w.threads = 1; w.threads <= (isa == 0 ? 1 : 3); w.threads += 2) {
                    w.isa = (crs_isa)isa;
                    s->plain->spec.input = CRS_INPUT_BITS;
                    outcome *bits = train(s, &w);
                    s->plain->spec.input = CRS_INPUT_VALUES;
                    outcome *numbers = train(s, &w);
                    CU_ASSERT(same(bits, numbers));
                    outcome_free(&bits);
                    outcome_free(&numbers);
                }
            sequences_free(&s);
        }
}

/* A row's loss and state are those that it has alone; and a state may come from and go to any place. */
static void test_neighbours(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        const crs_spec spec = spec_of((crs_cell)cell, 4, 20, 2, CRS_HEAD_GAUSSIAN, 3);
        sequences *s = sequences_create(&spec, ROWS, long_lengths, true, 31);
        int lane_of[ROWS];
        deal_lanes(lane_of, ROWS);
        crs_model *model = model_of(s->plain, crs_isa_best(), 2);
        const size_t size = crs_model_state(model);
        packed *all = pack(s, lane_of, ROWS, 1, -1);
        int64_t together[CRS_SUM_TRAILER] = {0}, alone[CRS_SUM_TRAILER] = {0};
        crs_workspace *workspace = workspace_of(model, &all->batch, CRS_FORWARD);
        crs_model_evaluate(model, workspace, &all->batch, together, NULL);
        for (int r = 0; r < ROWS; r++) {
            packed *one = pack(s, lane_of, ROWS, 1, r);
            crs_model_evaluate(model, workspace, &one->batch, alone, NULL);
            CU_ASSERT_EQUAL(memcmp(one->state, all->state + (size_t)r * size, size * sizeof(float)), 0);
            free(one);
        }
        CU_ASSERT_EQUAL(memcmp(together, alone, sizeof alone), 0);
        crs_workspace_free(&workspace);
        crs_model_free(&model);
        free(all);
        sequences_free(&s);
    }
}

/* ---- carried states -----------------------------------------------------------------------------------*/

/* Three rows of which the first begins with state 2, the second with none, the third with state 0; they go to state 1,
 * nowhere, and state 0. */
static void test_states(void) {
    static const int from[] = {2, -1, 0}, to[] = {1, -1, 0}, length[] = {5, 3, 3};
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        const crs_spec spec = spec_of((crs_cell)cell, 3, 9, 2, CRS_HEAD_MSE, 2);
        const size_t size = crs_spec_state(&spec);
        sequences *s = sequences_create(&spec, 3, length, false, 5);
        int lane_of[ROWS];
        deal_lanes(lane_of, 1);
        crs_model *model = model_of(s->plain, crs_isa_best(), 1);
        packed *moved = pack(s, lane_of, 1, 3, -1), *plain = pack(s, lane_of, 1, 3, -1);
        crs_workspace *workspace = workspace_of(model, &plain->batch, CRS_TRAINING);
        int64_t *a = sums_of(model), *b = sums_of(model);
        for (int r = 0; r < 3; r++)
            for (size_t i = 0; i < size; i++)
                plain->state[(size_t)r * size + i] = from[r] < 0 ? 0 : moved->state[(size_t)from[r] * size + i];
        moved->batch.state_from = from;
        moved->batch.state_to = to;
        float kept[STATE];
        memcpy(kept, moved->state + 2 * size, size * sizeof *kept);
        crs_model_train(model, workspace, &plain->batch, a, NULL);
        crs_model_train(model, workspace, &moved->batch, b, NULL);
        CU_ASSERT_EQUAL(memcmp(a, b, crs_model_sums(model) * sizeof *a), 0);
        CU_ASSERT_EQUAL(memcmp(moved->state + size, plain->state, size * sizeof(float)), 0);
        CU_ASSERT_EQUAL(memcmp(moved->state, plain->state + 2 * size, size * sizeof(float)), 0);
        CU_ASSERT_EQUAL(memcmp(moved->state + 2 * size, kept, size * sizeof(float)), 0);
        /* No state at all: from zero. */
        const int nowhere[] = {-1, -1, -1};
        int64_t none[CRS_SUM_TRAILER] = {0}, zero[CRS_SUM_TRAILER] = {0};
        plain->batch.state = NULL;
        crs_model_evaluate(model, workspace, &plain->batch, none, NULL);
        moved->batch.state_from = moved->batch.state_to = nowhere;
        crs_model_evaluate(model, workspace, &moved->batch, zero, NULL);
        CU_ASSERT_EQUAL(memcmp(none, zero, sizeof none), 0);
        crs_free(&a);
        crs_free(&b);
        crs_workspace_free(&workspace);
        crs_model_free(&model);
        free(moved);
        free(plain);
        sequences_free(&s);
    }
}

/* A pass without rows leaves everything as it is. */
static void test_no_rows(void) {
    for (int by_sequence = 0; by_sequence < 2; by_sequence++) {
        crs_spec spec = spec_of(CRS_LSTM, 3, 9, 1, CRS_HEAD_LOGISTIC, 2);
        spec.alignment = by_sequence ? CRS_ALIGN_SEQUENCE : CRS_ALIGN_STEP;
        static const int length[] = {5};
        sequences *s = sequences_create(&spec, 1, length, false, 5);
        const int lane_of[] = {1};
        crs_model *model = model_of(s->plain, crs_isa_best(), 2);
        int64_t *sums = sums_of(model), trailer[CRS_SUM_TRAILER] = {0};
        packed *none = pack(s, lane_of, 2, 3, 0);
        CU_ASSERT_EQUAL(none->batch.rows, 0);
        crs_workspace *workspace = workspace_of(model, &none->batch, CRS_TRAINING);
        crs_model_train(model, workspace, &none->batch, sums, NULL);
        crs_model_evaluate(model, workspace, &none->batch, trailer, NULL);
        for (size_t i = 0; i < crs_model_sums(model); i++)
            CU_ASSERT_EQUAL(sums[i], 0);
        CU_ASSERT_EQUAL(trailer[CRS_SUM_TARGETS], 0);
        crs_free(&sums);
        crs_workspace_free(&workspace);
        crs_model_free(&model);
        free(none);
        sequences_free(&s);
    }
}

/* ---- pieces -------------------------------------------------------------------------------------------*/

/* In a model of zeros an error beyond all range is refused once a target, and once a piece in the gradient of the
 * output's bias. */
static int64_t pieces_of(const crs_batch *b, crs_model *model) {
    int64_t *sums = sums_of(model);
    crs_workspace *workspace = workspace_of(model, b, CRS_TRAINING);
    crs_model_train(model, workspace, b, sums, NULL);
    const int64_t *trailer = trailer_of(model, sums);
    const int64_t pieces = trailer[CRS_SUM_REFUSED] - trailer[CRS_SUM_TARGETS];
    crs_workspace_free(&workspace);
    crs_free(&sums);
    return pieces;
}

static int falling(const void *a, const void *b) {
    return *(const int *)b - *(const int *)a;
}

/* Streams of sequences: each lane has lane_rows rows of the stream, which fall apart into sequences. No more pieces
 * than crs_contributions foresees, however they do. */
static void check_pieces(crs_model *model, int lane_rows, int window, int longest, uint64_t seed) {
    enum { MOST = 4096 };
    int length[MOST], rows = 0, pairs = 0, starts[2] = {0, 0};
    for (int stream = 0; stream < lane_rows; stream++)
        for (int left = window; left > 0 && rows < MOST; left -= length[rows++]) {
            const int own = 1 + (int)((plain_draw(seed, 0, (uint64_t)rows) + 1) / 2 * longest);
            length[rows] = own < left ? own : left;
        }
    qsort(length, (size_t)rows, sizeof *length, falling);
    int *start = calloc((size_t)length[0] + 1, sizeof *start);
    CRS_ASSERT(start != NULL);
    for (int t = 0; t < length[0]; t++) {
        for (int r = 0; r < rows && length[r] > t; r++)
            pairs++;
        start[t + 1] = pairs;
    }
    float *zeros = calloc((size_t)pairs, sizeof *zeros), *far = calloc((size_t)pairs, sizeof *far);
    CRS_ASSERT(zeros != NULL && far != NULL);
    for (int n = 0; n < pairs; n++)
        far[n] = -0x1p40f;
    starts[1] = rows;
    const crs_batch b = {.steps = length[0],
                         .rows = rows,
                         .start = start,
                         .input.numbers = zeros,
                         .target.numbers = far,
                         .lanes = 1,
                         .lane_starts = starts,
                         .lane_rows = lane_rows};
    const int64_t pieces = pieces_of(&b, model);
    CU_ASSERT(pieces >= 1 && pieces <= crs_contributions(1, lane_rows, window));
    CU_ASSERT(pieces >= pairs / (2 * CRS_PIECE_PAIRS + rows));
    free(start);
    free(zeros);
    free(far);
}

static void test_pieces(void) {
    const crs_spec spec = spec_of(CRS_RNN, 1, 1, 1, CRS_HEAD_MSE, 1);
    crs_model *model = NULL;
    crs_error error;
    CU_ASSERT_EQUAL(crs_model_create(&model, &spec, crs_kernels_of(crs_isa_best()), 1, &error), CRS_OK);
    crs_model_refresh(model);
    static const int lane_rows[] = {1, 3, 8, 37, 129, 200, 255, 256, 300};
    for (size_t i = 0; i < sizeof lane_rows / sizeof *lane_rows; i++)
        for (int longest = 1; longest <= 64; longest *= 4) {
            check_pieces(model, lane_rows[i], 10, longest, i);
            check_pieces(model, lane_rows[i], lane_rows[i] < 40 ? 100 : 12, longest, i + 50);
            check_pieces(model, lane_rows[i], 1, longest, i);
        }
    crs_model_free(&model);
}

/* ---- heads: weights, limits, bounds -------------------------------------------------------------------*/

/* A model of zeros but for the output's bias, and one row: outputs are the bias. */
typedef struct biased {
    crs_model *model;
    crs_workspace *workspace;
    int64_t *sums;
    const int64_t *trailer;
    float *gradient; /* of the output's bias, [outputs] */
} biased;

static biased biased_create(crs_isa isa, crs_head_kind head, int outputs, const float *bias) {
    const crs_spec spec = spec_of(CRS_LSTM, 1, 3, 1, head, head == CRS_HEAD_GAUSSIAN ? outputs / 2 : outputs);
    biased b = {0};
    crs_error error;
    if (crs_model_create(&b.model, &spec, crs_kernels_of(isa), 1, &error) ||
        crs_workspace_create(&b.workspace, b.model, 1, 4, CRS_TRAINING, &error))
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    crs_model_set_output_bias(b.model, bias);
    crs_model_refresh(b.model);
    b.sums = sums_of(b.model);
    b.trailer = trailer_of(b.model, b.sums);
    b.gradient = calloc((size_t)outputs, sizeof *b.gradient);
    CRS_ASSERT(b.gradient != NULL);
    return b;
}

static void biased_free(biased *b) {
    free(b->gradient);
    crs_free(&b->sums);
    crs_workspace_free(&b->workspace);
    crs_model_free(&b->model);
}

/* One pass of so many steps, anew. */
static double biased_loss(biased *b, int steps, const float *target, const float *weight, double limit) {
    static const int starts[] = {0, 1};
    static const float zeros[4];
    const crs_batch batch = {.steps = steps,
                             .rows = 1,
                             .input.numbers = zeros,
                             .target.numbers = target,
                             .weight = weight,
                             .lanes = 1,
                             .lane_starts = starts,
                             .lane_rows = 1,
                             .loss_limit = limit};
    memset(b->sums, 0, crs_model_sums(b->model) * sizeof *b->sums);
    crs_model_train(b->model, b->workspace, &batch, b->sums, NULL);
    float *gradient = crs_alloc(crs_model_arena(b->model), sizeof *gradient, CRS_MEMORY_GRADIENTS);
    CRS_ASSERT(gradient != NULL);
    crs_model_gradient(b->model, NULL, 0, b->sums, gradient);
    crs_model_export(b->model, gradient, crs_model_tensors(b->model) - 1, b->gradient);
    crs_free(&gradient);
    return (double)b->trailer[CRS_SUM_LOSS] * CRS_SUM_STEP;
}

/* Bits from certain to certainly wrong, more than have their logarithm taken at once. */
static void test_bits(void) {
    enum { BITS = 1100 };
    float bias[BITS], target[BITS];
    double loss = 0, gradient[BITS];
    for (int k = 0; k < BITS; k++) {
        const double z = (double)(bias[k] = (float)(plain_draw(8, 0, (uint64_t)k) * (k % 3 == 0 ? 90 : 4)));
        target[k] = k % 7 < 3;
        loss += fmax(z, 0) + log1p(exp(-fabs(z))) - (double)target[k] * z;
        gradient[k] = 1 / (1 + exp(-z)) - (double)target[k];
    }
    for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
        if (!crs_isa_here((crs_isa)isa))
            continue;
        biased b = biased_create((crs_isa)isa, CRS_HEAD_LOGISTIC, BITS, bias);
        CU_ASSERT_DOUBLE_EQUAL(biased_loss(&b, 1, target, NULL, 1e6), loss, 1e-7 * loss);
        CU_ASSERT_EQUAL(b.trailer[CRS_SUM_WEIGHT], INT64_C(1) << 32);
        for (int k = 0; k < BITS; k++)
            CU_ASSERT_DOUBLE_EQUAL((double)b.gradient[k], gradient[k], 2e-7);
        biased_free(&b);
        /* One that is right and certain costs next to nothing, but not nothing. */
        const float sure[] = {12}, one[] = {1};
        b = biased_create((crs_isa)isa, CRS_HEAD_LOGISTIC, 1, sure);
        CU_ASSERT_DOUBLE_EQUAL(biased_loss(&b, 1, one, NULL, 0), log1p(exp(-12)), 1e-9);
        biased_free(&b);
    }
}

static void test_weights(void) {
    static const float bias[] = {1, 2, 3}, target[] = {1, 1, 1, 9, 9, 9, 0, 2, 3};
    static const float weight[] = {0.5f, 0, 3}, none[] = {0, 0, 0};
    biased b = biased_create(crs_isa_best(), CRS_HEAD_MSE, 3, bias);
    CU_ASSERT_DOUBLE_EQUAL(biased_loss(&b, 3, target, weight, 0), 0.5 * 5 + 3, 1e-9);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_TARGETS], 2);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_WEIGHT], (int64_t)(3.5 * 3 * 0x1p32));
    CU_ASSERT_DOUBLE_EQUAL((double)b.gradient[0], 2 * 3 / 10.5, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL((double)b.gradient[2], 0.5 * 4 / 10.5, 1e-6);
    CU_ASSERT_EQUAL(biased_loss(&b, 3, target, none, 0), 0);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_TARGETS], 0);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_WEIGHT], 0);
    for (int k = 0; k < 3; k++)
        CU_ASSERT_EQUAL(b.gradient[k], 0);
    biased_free(&b);
}

/* A loss beyond the limit is refused, weighted as it counts; so is one that is not a number. */
static void test_limit(void) {
    static const float bias[] = {100}, target[] = {0, 0, 0}, light[] = {0.25f, 0.25f, 0.25f}, heavy[] = {0x1p20f, 0, 0};
    static const float bad[] = {NAN, 0, INFINITY};
    biased b = biased_create(crs_isa_best(), CRS_HEAD_MSE, 1, bias);
    biased_loss(&b, 3, target, NULL, 0);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_REFUSED], 3);
    CU_ASSERT_DOUBLE_EQUAL(biased_loss(&b, 3, target, light, 0), 7500, 1e-6);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_REFUSED], 0);
    CU_ASSERT_DOUBLE_EQUAL(biased_loss(&b, 3, target, NULL, 10001), 30000, 1e-6);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_REFUSED], 0);
    biased_loss(&b, 3, target, NULL, 9999);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_REFUSED], 3);
    biased_loss(&b, 3, bad, NULL, 1e6);
    CU_ASSERT(b.trailer[CRS_SUM_REFUSED] >= 2);
    biased_free(&b);
    static const float right[] = {0};
    b = biased_create(crs_isa_best(), CRS_HEAD_MSE, 1, right);
    biased_loss(&b, 3, target, heavy, 0);
    CU_ASSERT_EQUAL(b.trailer[CRS_SUM_REFUSED], 1);
    biased_free(&b);
}

/* A value that is not finite in what is read, in a target or in a parameter is noticed by every head, and counted alike
 * by every instruction set. */
static void test_not_finite(void) {
    static const int length[] = {4, 4, 2};
    for (int head = 0; head < CRS_HEADS; head++)
        for (int where = 0; where < 2; where++) {
            const crs_spec spec = spec_of(CRS_GRU, 3, 5, 1, (crs_head_kind)head, 3);
            int64_t first = -1;
            for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
                if (!crs_isa_here((crs_isa)isa))
                    continue;
                sequences *s = sequences_create(&spec, 3, length, false, 4);
                int lane_of[ROWS];
                deal_lanes(lane_of, 1);
                if (where == 0)
                    s->numbers[1][4] = NAN;
                else
                    s->plain->values[s->plain->tensors - 1][1] = (double)INFINITY;
                crs_model *model = model_of(s->plain, (crs_isa)isa, 1);
                packed *p = pack(s, lane_of, 1, 3, -1);
                crs_workspace *workspace = workspace_of(model, &p->batch, CRS_TRAINING);
                int64_t *sums = sums_of(model);
                crs_model_train(model, workspace, &p->batch, sums, NULL);
                const int64_t refused = trailer_of(model, sums)[CRS_SUM_REFUSED];
                first = first < 0 ? refused : first;
                CU_ASSERT(refused > 0 && refused == first);
                crs_free(&sums);
                crs_workspace_free(&workspace);
                crs_model_free(&model);
                free(p);
                sequences_free(&s);
            }
        }
}

/* ---- what a pass says ---------------------------------------------------------------------------------*/

typedef struct hearing {
    const crs_batch *batch;
    int outputs, seen[ROWS * STEPS];
    float said[ROWS * STEPS * WIDTH];
} hearing;

static void hear(void *context, const crs_batch *batch, ptrdiff_t first, int count, const float *outputs,
                 ptrdiff_t row) {
    hearing *h = context;
    CU_ASSERT_PTR_EQUAL(batch, h->batch);
    for (int i = 0; i < count; i++) {
        h->seen[first + i]++;
        memcpy(h->said + (first + i) * h->outputs, outputs + i * row, (size_t)h->outputs * sizeof *outputs);
    }
}

/* Every target once, with what the plain model says, with a loss or without; the loss is that of a pass that nobody
 * hears. */
static void check_said(const sequences *s, int threads) {
    const crs_spec *spec = &s->plain->spec;
    int lane_of[ROWS];
    deal_lanes(lane_of, 1);
    packed *p = pack(s, lane_of, 1, s->rows, -1);
    crs_model *model = model_of(s->plain, crs_isa_best(), threads);
    crs_workspace *workspace = workspace_of(model, &p->batch, CRS_FORWARD);
    hearing *h = calloc(1, sizeof *h);
    CRS_ASSERT(h != NULL);
    h->batch = &p->batch;
    h->outputs = spec->outputs;
    const crs_said said = {hear, h};
    int64_t heard[CRS_SUM_TRAILER] = {0}, alone[CRS_SUM_TRAILER] = {0};
    p->batch.state_to = (const int[ROWS]){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    crs_model_evaluate(model, workspace, &p->batch, NULL, &said);
    crs_model_evaluate(model, workspace, &p->batch, heard, &said);
    crs_model_evaluate(model, workspace, &p->batch, alone, NULL);
    CU_ASSERT_EQUAL(memcmp(heard, alone, sizeof alone), 0);
    for (int r = 0; r < s->rows; r++) {
        static double outputs[STEPS * WIDTH];
        double weight = 0;
        plain_loss(s->plain, &s->row[r], &weight, outputs);
        const bool by_sequence = spec->alignment == CRS_ALIGN_SEQUENCE;
        for (int t = 0; t < (by_sequence ? 1 : s->row[r].steps); t++) {
            const ptrdiff_t n = by_sequence ? r : crs_pair(&p->batch, t, r);
            CU_ASSERT_EQUAL(h->seen[n], 2);
            for (int k = 0; k < spec->outputs; k++)
                CU_ASSERT_DOUBLE_EQUAL((double)h->said[n * spec->outputs + k], outputs[t * spec->outputs + k], 2e-5);
        }
    }
    free(h);
    crs_workspace_free(&workspace);
    crs_model_free(&model);
    free(p);
}

static void test_said(void) {
    for (int by_sequence = 0; by_sequence < 2; by_sequence++)
        for (int head = 0; head < CRS_HEADS; head++) {
            crs_spec spec = spec_of(CRS_LSTM, 3, 7, 2, (crs_head_kind)head, 4);
            spec.alignment = by_sequence ? CRS_ALIGN_SEQUENCE : CRS_ALIGN_STEP;
            spec.pool = head % 2 ? CRS_POOL_LAST : CRS_POOL_MEAN;
            sequences *s = sequences_create(&spec, ROWS, long_lengths, true, 3);
            for (int threads = 1; threads <= 3; threads++)
                check_said(s, threads);
            sequences_free(&s);
        }
}

/* Step by step, as a piece of music is made: the same state, and what the whole says. */
static void test_step(void) {
    static const int length[] = {9, 9};
    crs_spec spec = spec_of(CRS_LSTM, 5, 7, 2, CRS_HEAD_LOGISTIC, 5);
    spec.input = CRS_INPUT_BITS;
    spec.targets = CRS_TARGET_NEXT;
    sequences *s = sequences_create(&spec, 2, length, false, 3);
    int lane_of[ROWS];
    deal_lanes(lane_of, 1);
    packed *p = pack(s, lane_of, 1, 2, -1), *q = pack(s, lane_of, 1, 2, -1);
    crs_model *model = model_of(s->plain, crs_isa_best(), 1);
    crs_workspace *workspace = workspace_of(model, &p->batch, CRS_FORWARD);
    double weight = 0, whole[9 * 5];
    float outputs[2 * 5];
    crs_model_evaluate(model, workspace, &p->batch, NULL, NULL);
    plain_loss(s->plain, &s->row[1], &weight, whole);
    for (int t = 0; t < 9; t++) {
        const crs_batch now = {.steps = 1, .rows = 2, .input.numbers = q->numbers + t * 2 * 5, .state = q->state};
        crs_model_step(model, workspace, &now, outputs);
        for (int k = 0; k < 5; k++)
            CU_ASSERT_DOUBLE_EQUAL((double)outputs[5 + k], whole[t * 5 + k], 1e-5);
    }
    CU_ASSERT_EQUAL(memcmp(p->state, q->state, 2 * crs_model_state(model) * sizeof(float)), 0);
    crs_workspace_free(&workspace);
    crs_model_free(&model);
    free(p);
    free(q);
    sequences_free(&s);
}

/* Every allocation fails in turn: nothing is kept. */
static void test_out_of_memory(void) {
    crs_spec spec = spec_of(CRS_GRU, 3, 7, 2, CRS_HEAD_GAUSSIAN, 4);
    spec.alignment = CRS_ALIGN_SEQUENCE;
    const int64_t before = crs_memory_blocks();
    crs_status status = CRS_INTERNAL;
    int fail = 1;
    for (; status && fail < 1000; fail++) {
        crs_model *model = NULL;
        crs_workspace *workspace = NULL;
        crs_error error = {0};
        crs_memory_fail_at(fail);
        status = crs_model_create(&model, &spec, crs_kernels_of(crs_isa_best()), 2, &error);
        if (!status)
            status = crs_workspace_create_packed(&workspace, model, 5, 7, 20, CRS_TRAINING | CRS_DROPOUT, &error);
        crs_memory_fail_at(0);
        CU_ASSERT(status == CRS_OK || (status == CRS_INTERNAL && strlen(error.message) > 0));
        crs_workspace_free(&workspace);
        crs_model_free(&model);
        CU_ASSERT_EQUAL(crs_memory_blocks(), before);
    }
    CU_ASSERT(status == CRS_OK && fail > 20);
}

int main(int argc, char **argv) {
    static const harness_test gradient[] = {HARNESS_TEST(test_gradient_lstm),
                                            HARNESS_TEST(test_gradient_peephole),
                                            HARNESS_TEST(test_gradient_gru),
                                            HARNESS_TEST(test_gradient_rnn),
                                            HARNESS_TEST(test_gradient_inputs),
                                            HARNESS_TEST(test_gradient_options),
                                            HARNESS_END};
    static const harness_test exact[] = {HARNESS_TEST(test_exact),  HARNESS_TEST(test_exact_options),
                                         HARNESS_TEST(test_sparse), HARNESS_TEST(test_neighbours),
                                         HARNESS_TEST(test_states), HARNESS_TEST(test_no_rows),
                                         HARNESS_TEST(test_pieces), HARNESS_END};
    static const harness_test heads[] = {HARNESS_TEST(test_bits),          HARNESS_TEST(test_weights),
                                         HARNESS_TEST(test_limit),         HARNESS_TEST(test_not_finite),
                                         HARNESS_TEST(test_said),          HARNESS_TEST(test_step),
                                         HARNESS_TEST(test_out_of_memory), HARNESS_END};
    harness_add("gradient", gradient);
    harness_add("exact", exact);
    harness_add("heads", heads);
    return harness_run(argc, argv);
}
