/* The same bits for any threads, instruction set, ranks and neighbours; and golden digests of a few small runs. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carousel/optim.h"
#include "cases.h"
#include "harness.h"
#include "norm.h"

/* Sizes that go different ways through src/nn: gathered embeddings, the table of tokens, one-hot input; teams of
 * rows and shared units; panels that fit the cache and that don't. */
static const struct setting {
    int vocabulary, embed, hidden, layers, rows, steps, lane_rows;
    float dropout;
    bool baseline; /* small enough for it */
    enum { PLAIN = 0, BIDIRECTIONAL = 1, NORM = 2, RESIDUAL = 4, TIED = 8, GATHERED = 16 } options;
} settings[] = {
    {65, 20, 33, 2, 13, 17, 2, 0.3f, true, PLAIN},
    {20, 33, 50, 2, 50, 9, 3, 0.3f, true, PLAIN},
    {30, 0, 100, 3, 5, 20, 1, 0.1f, false, PLAIN},
    {90, 80, 240, 1, 26, 3, 4, 0.2f, false, PLAIN},
    {7, 7, 16, 1, 8, 200, 4, 0.5f, true, PLAIN},
    {9, 5, 40, 2, 11, 50, 6, 0, true, PLAIN}, /* a lane alone has fewer rows than 6 */
    {19, 12, 21, 2, 13, 17, 2, 0.3f, true, BIDIRECTIONAL | NORM | RESIDUAL},
    {9, 0, 34, 2, 26, 40, 3, 0, true, BIDIRECTIONAL},
    {7, 30, 33, 3, 11, 50, 2, 0.2f, true, NORM | RESIDUAL},
    {70, 33, 33, 2, 13, 20, 2, 0.2f, true, TIED},
    {7, 20, 34, 2, 26, 20, 2, 0, true, GATHERED},
    {9, 0, 20, 1, 11, 20, 2, 0.2f, true, GATHERED | BIDIRECTIONAL},
};
enum { SETTINGS = sizeof settings / sizeof *settings, LARGE = 3 };

/* The programs run at several numbers of ranks: each rank takes its share of the cases. */
static bool my_turn(void) {
    static int turn;
    return turn++ % harness_size() == harness_rank();
}

static void create(nn_case *c, crs_cell cell, int setting) {
    const struct setting *s = &settings[setting];
    /* The plain cell has fewer weights: it takes more units to outgrow the cache. */
    int hidden = setting == LARGE && cell == CRS_RNN ? 420 : s->hidden;
    crs_spec shape = crs_spec_text(cell, s->vocabulary, s->embed, hidden, s->layers);
    shape.bidirectional = s->options & BIDIRECTIONAL;
    shape.layer_norm = s->options & NORM;
    shape.residual = s->options & RESIDUAL;
    shape.tie = s->options & TIED;
    shape.gather = s->options & GATHERED;
    case_create(c, &shape, s->rows, s->steps, s->lane_rows, s->dropout, 40 + (uint64_t)setting);
}

/* ---- some lanes of a case, as one rank would train them -----------------------------------------------*/

typedef struct run {
    const nn_case *c;
    crs_isa isa;
    int threads;
    int first_lane, end_lane;
    int64_t shift; /* of the global row; of seed and step below */
    uint64_t seed_shift, step_shift;
} run;

static run whole(const nn_case *c) {
    return (run){c, crs_isa_best(), 1, 0, c->lanes, 0, 0, 0};
}

/* What a run leaves. state is that of all rows of the case; the other lanes' rows are as at the start. */
typedef struct outcome {
    size_t sums_size, state_size;
    int64_t *sums;
    float *state;
} outcome;

static outcome outcome_of(const nn_case *c, const crs_model *model) {
    outcome o = {.sums_size = crs_model_sums(model), .state_size = case_state_size(c)};
    o.sums = crs_alloc(o.sums_size, sizeof *o.sums, CRS_MEMORY_GRADIENTS);
    CRS_ASSERT(o.sums != NULL);
    o.state = case_state(c);
    return o;
}

static void outcome_free(outcome *o) {
    crs_free(&o->sums);
    crs_free(&o->state);
}

/* The tokens of some rows as a batch of their own. */
static uint32_t *rows_of(const nn_case *c, const uint32_t *tokens, int first, int rows) {
    uint32_t *out = malloc((size_t)rows * (size_t)c->steps * sizeof *out);
    CRS_ASSERT(out != NULL);
    for (int t = 0; t < c->steps; t++)
        memcpy(out + t * rows, tokens + t * c->rows + first, (size_t)rows * sizeof *out);
    return out;
}

static void add_lanes(const run *r, crs_model *model, outcome *o) {
    const nn_case *c = r->c;
    int first = c->lane_starts[r->first_lane], rows = c->lane_starts[r->end_lane] - first;
    int lanes = r->end_lane - r->first_lane;
    int *starts = malloc(((size_t)lanes + 1) * sizeof *starts);
    CRS_ASSERT(starts != NULL);
    for (int l = 0; l <= lanes; l++)
        starts[l] = c->lane_starts[r->first_lane + l] - first;
    uint32_t *inputs = rows_of(c, c->inputs, first, rows), *targets = rows_of(c, c->targets, first, rows);
    crs_batch batch = case_batch(c, o->state + (size_t)first * crs_model_state(model));
    batch.rows = rows;
    batch.input.tokens = inputs;
    batch.target.tokens = targets;
    batch.lanes = lanes;
    batch.lane_starts = starts;
    int64_t *row_id = malloc((size_t)rows * sizeof *row_id);
    CRS_ASSERT(row_id != NULL);
    for (int i = 0; i < rows; i++)
        row_id[i] = first + r->shift + i;
    batch.row_id = row_id;
    batch.seed += r->seed_shift;
    batch.step += r->step_shift;
    nn_case own = *c;
    own.rows = rows; /* as a rank has it: no room for more */
    crs_workspace *workspace = case_workspace(&own, model);
    crs_model_train(model, workspace, &batch, o->sums, NULL);
    crs_workspace_free(&workspace);
    free(inputs);
    free(targets);
    free(starts);
    free(row_id);
}

static outcome train(const run *r) {
    crs_model *model = case_model(r->c, crs_kernels_of(r->isa), r->threads);
    outcome o = outcome_of(r->c, model);
    add_lanes(r, model, &o);
    CU_ASSERT_EQUAL(o.sums[o.sums_size - CRS_SUM_TRAILER + CRS_SUM_REFUSED], 0);
    crs_model_free(&model);
    return o;
}

static bool same(const outcome *a, const outcome *b) {
    return a->sums_size == b->sums_size && memcmp(a->sums, b->sums, a->sums_size * sizeof *a->sums) == 0 &&
           memcmp(a->state, b->state, a->state_size * sizeof *a->state) == 0;
}

static void expect_same(const outcome *a, const outcome *b, const run *r, const char *what) {
    bool fine = same(a, b);
    if (!fine) {
        size_t differ = 0;
        for (size_t k = 0; k < a->sums_size; k++)
            differ += a->sums[k] != b->sums[k];
        fprintf(stderr, "%s, %s, %d threads: %s: %zu of %zu sums differ; state %s\n", case_name(r->c),
                crs_isa_name(r->isa), r->threads, what, differ, a->sums_size,
                memcmp(a->state, b->state, a->state_size * sizeof *a->state) == 0 ? "is the same" : "differs");
    }
    CU_ASSERT(fine);
}

/* ---- threads, instruction sets, ranks -----------------------------------------------------------------*/

/* `check` for every cell and setting. */
static void for_each_case(void (*check)(const nn_case *c, const struct setting *s)) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int setting = 0; setting < SETTINGS; setting++) {
            if (!my_turn())
                continue;
            nn_case c;
            create(&c, (crs_cell)cell, setting);
            check(&c, &settings[setting]);
            case_free(&c);
        }
}

static void check_threads(const nn_case *c, const struct setting *s) {
    (void)s;
    run r = whole(c);
    outcome one = train(&r);
    for (r.threads = 2; r.threads <= 4; r.threads++) {
        outcome o = train(&r);
        expect_same(&one, &o, &r, "more threads");
        outcome_free(&o);
    }
    outcome_free(&one);
}

static void test_threads(void) {
    for_each_case(check_threads);
}

static void check_isas(const nn_case *c, const struct setting *s) {
    run r = whole(c);
    outcome best = train(&r);
    for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
        if (!crs_isa_here((crs_isa)isa) || (isa == CRS_ISA_BASELINE && !s->baseline))
            continue;
        for (int threads = 1; threads <= 3; threads += 2) {
            r.isa = (crs_isa)isa;
            r.threads = threads;
            outcome o = train(&r);
            expect_same(&best, &o, &r, "another instruction set");
            outcome_free(&o);
        }
    }
    outcome_free(&best);
}

static void test_instruction_sets(void) {
    for_each_case(check_isas);
}

/* The lanes shared out over `ranks`, the int64 sums added. */
static outcome train_shared(const nn_case *c, int ranks) {
    crs_model *model = case_model(c, crs_kernels_of(crs_isa_best()), 1);
    outcome total = outcome_of(c, model);
    for (int rank = 0; rank < ranks; rank++) {
        run r = whole(c);
        r.first_lane = rank * c->lanes / ranks;
        r.end_lane = (rank + 1) * c->lanes / ranks;
        outcome own = outcome_of(c, model);
        add_lanes(&r, model, &own);
        size_t from = (size_t)c->lane_starts[r.first_lane] * crs_model_state(model);
        size_t to = (size_t)c->lane_starts[r.end_lane] * crs_model_state(model);
        memcpy(total.state + from, own.state + from, (to - from) * sizeof *own.state);
        for (size_t k = 0; k < own.sums_size; k++)
            total.sums[k] += own.sums[k];
        outcome_free(&own);
    }
    crs_model_free(&model);
    return total;
}

static void check_ranks(const nn_case *c, const struct setting *s) {
    (void)s;
    run r = whole(c);
    outcome one = train(&r);
    for (int ranks = 2; ranks <= 5 && ranks <= c->lanes; ranks++) {
        outcome o = train_shared(c, ranks);
        expect_same(&one, &o, &r, "lanes shared out");
        outcome_free(&o);
    }
    outcome_free(&one);
}

static void test_ranks(void) {
    for_each_case(check_ranks);
}

/* With a large vocabulary the output works lane by lane: the same sums as from all lanes at once, by any threads, and
 * its outputs never stand in memory together. */
static void test_large_vocabulary(void) {
    enum { TOKENS = 2500, ROWS = 40, STEPS = 30 };
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        if (!my_turn())
            continue;
        nn_case c;
        crs_spec shape = crs_spec_text((crs_cell)cell, TOKENS, 9, 18, 1);
        case_create(&c, &shape, ROWS, STEPS, 4, cell % 2 ? 0.2f : 0, 83);
        run r = whole(&c);
        outcome one = train_shared(&c, c.lanes);
        for (r.threads = 1; r.threads <= 3; r.threads++) {
            outcome o = train(&r);
            expect_same(&one, &o, &r, "a large vocabulary");
            outcome_free(&o);
        }
        outcome_free(&one);
        crs_model *model = case_model(&c, crs_kernels_of(crs_isa_best()), 1);
        const int64_t before = crs_memory_bytes(CRS_MEMORY_ACTIVATIONS);
        crs_workspace *workspace = case_workspace(&c, model);
        CU_ASSERT(crs_memory_bytes(CRS_MEMORY_ACTIVATIONS) - before < (int64_t)ROWS * STEPS * TOKENS * 4);
        crs_workspace_free(&workspace);
        crs_model_free(&model);
        case_free(&c);
    }
}

/* ---- rows of unlike lengths ---------------------------------------------------------------------------*/

/* A row by itself, all of whose steps are neighbours: as a batch without lengths. */
static crs_batch lone_batch(case_ragged *g, const nn_case *c, int row, float *state) {
    crs_batch b = case_ragged_batch(g, c, row, c->rows, state);
    b.start = NULL;
    b.lane_row = NULL;
    return b;
}

/* lanes: of the rows of the case, each every so many rows; apart: lane by lane, rows without lengths where each is a
 * lane of its own. */
static outcome train_ragged(const nn_case *c, int lanes, bool apart, crs_isa isa, int threads) {
    crs_model *model = case_model(c, crs_kernels_of(isa), threads);
    crs_workspace *workspace = case_workspace(c, model);
    outcome o = outcome_of(c, model);
    const size_t of_row = crs_model_state(model);
    float *state = case_state(c);
    case_ragged g;
    for (int lane = apart ? 0 : -1; lane < (apart ? lanes : 0); lane++) {
        const crs_batch b =
            apart && lanes == c->rows ? lone_batch(&g, c, lane, state) : case_ragged_batch(&g, c, lane, lanes, state);
        crs_model_train(model, workspace, &b, o.sums, NULL);
        for (int r = 0; r < g.rows; r++)
            memcpy(o.state + (size_t)g.row_id[r] * of_row, state + (size_t)r * of_row, of_row * sizeof *state);
    }
    crs_free(&state);
    crs_workspace_free(&workspace);
    crs_model_free(&model);
    return o;
}

/* isas: every instruction set, too. */
static void check_lengths(const nn_case *c, bool isas) {
    const crs_isa best = crs_isa_best();
    run r = whole(c);
    outcome lone = train_ragged(c, c->rows, true, best, 1);
    for (int lanes = c->rows; lanes >= 1; lanes = lanes == c->rows ? 3 : lanes == 3 ? 1 : 0) {
        outcome apart = train_ragged(c, lanes, true, best, 1);
        for (r.threads = 1; r.threads <= 3; r.threads++) {
            outcome o = train_ragged(c, lanes, false, best, r.threads);
            expect_same(&apart, &o, &r, "rows of unlike lengths");
            outcome_free(&o);
        }
        for (int isa = 0; isas && isa < CRS_ISA_COUNT; isa++) {
            if (!crs_isa_here((crs_isa)isa) || isa == (int)best)
                continue;
            r.isa = (crs_isa)isa;
            r.threads = 1;
            outcome o = train_ragged(c, lanes, false, r.isa, 1);
            expect_same(&apart, &o, &r, "rows of unlike lengths, another instruction set");
            outcome_free(&o);
        }
        r.isa = best;
        /* Other lanes round elsewhere, and sum the same. */
        double difference = 0, all = 0;
        for (size_t k = 0; k < lone.sums_size - CRS_SUM_TRAILER; k++) {
            const double a = (double)lone.sums[k], b = (double)apart.sums[k];
            difference += (a - b) * (a - b);
            all += a * a;
        }
        CU_ASSERT(all > 0 && difference <= 1e-10 * all);
        CU_ASSERT_EQUAL(memcmp(lone.state, apart.state, lone.state_size * sizeof *lone.state), 0);
        const size_t trailer = lone.sums_size - CRS_SUM_TRAILER;
        CU_ASSERT_EQUAL(memcmp(lone.sums + trailer, apart.sums + trailer, CRS_SUM_TRAILER * sizeof *lone.sums), 0);
        outcome_free(&apart);
    }
    outcome_free(&lone);
}

/* Every row as if it were alone, up to its own end: padding is neither computed nor summed. With a table, gathered
 * embeddings, pieces in a row, and outputs that go piece by piece. */
static void test_lengths(void) {
    static const struct {
        int vocabulary, embed, hidden, layers, rows, steps;
        bool joint;
    } sizes[] = {{12, 17, 21, 2, 13, 19, false}, {40, 7, 18, 2, 9, 24, false}, {40, 7, 18, 2, 9, 24, true},
                 {9, 0, 33, 1, 7, 300, false},   {9, 0, 33, 1, 7, 300, true},  {2300, 6, 17, 1, 14, 60, false}};
    enum { SMALL = 3 };
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            if (!my_turn())
                continue;
            nn_case c;
            crs_spec shape =
                crs_spec_text((crs_cell)cell, sizes[i].vocabulary, sizes[i].embed, sizes[i].hidden, sizes[i].layers);
            shape.bidirectional = shape.layer_norm = shape.residual = sizes[i].joint;
            case_create(&c, &shape, sizes[i].rows, sizes[i].steps, 1, (cell + i) % 2 ? 0.3f : 0, 61);
            check_lengths(&c, i < SMALL);
            case_free(&c);
        }
}

/* The comparison above sees another mask: by global row, step or seed. */
static void check_masks(const nn_case *c, const struct setting *s) {
    if (!s->baseline || s->dropout == 0)
        return;
    run plain = whole(c);
    outcome one = train(&plain);
    for (int k = 0; k < 3; k++) {
        run r = plain;
        r.shift = k == 0;
        r.step_shift = k == 1;
        r.seed_shift = k == 2;
        outcome o = train(&r);
        CU_ASSERT(!same(&one, &o));
        outcome_free(&o);
    }
    outcome_free(&one);
}

static void test_masks(void) {
    for_each_case(check_masks);
}

/* A second pass adds to the sums what the first one did; no rows add nothing. */
static void test_adds_up(void) {
    nn_case c;
    create(&c, CRS_LSTM, 0);
    crs_model *model = case_model(&c, crs_kernels_of(crs_isa_best()), 2);
    outcome once = outcome_of(&c, model), twice = outcome_of(&c, model);
    run r = whole(&c);
    add_lanes(&r, model, &once);
    add_lanes(&r, model, &twice);
    memcpy(twice.state, c.state, twice.state_size * sizeof *c.state);
    add_lanes(&r, model, &twice);
    run none = r;
    none.end_lane = none.first_lane = 2;
    add_lanes(&none, model, &twice);
    int wrong = 0;
    for (size_t k = 0; k < once.sums_size; k++)
        wrong += twice.sums[k] != 2 * once.sums[k];
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(memcmp(once.state, twice.state, once.state_size * sizeof *once.state), 0);
    outcome_free(&once);
    outcome_free(&twice);
    crs_model_free(&model);
    case_free(&c);
}

/* ---- numbers that are disturbed -----------------------------------------------------------------------*/

enum { NUMBER_ROWS = 5, NUMBER_STEPS = 7, NUMBER_COLUMNS = 19, NUMBERS = NUMBER_ROWS * NUMBER_STEPS * NUMBER_COLUMNS };

/* What training is to see of a number. */
static float disturbed(const crs_batch *b, int row, int time, int column, float x) {
    uint64_t bits[4];
    if (b->input_noise > 0) {
        crs_random(b->seed, CRS_DRAW_INPUT_NOISE, b->step, (uint64_t)b->row_id[row], (uint64_t)time,
                   (uint64_t)column / 2, bits);
        const uint64_t *own = bits + column % 2 * 2;
        const double z = sqrt(-2 * crs_log(1 - crs_unit_double(own[0]))) * crs_cospi(crs_unit_double(own[1]));
        x += (float)((double)b->input_noise * z);
    }
    const ref_batch keys = {
        .input_dropout = (double)b->input_dropout, .seed = b->seed, .step = b->step, .first_row = b->row_id[0]};
    return x * (float)ref_input_mask(&keys, row, time, column);
}

static void train_numbers(const nn_case *c, const crs_batch *b, int threads, int64_t *sums) {
    crs_model *model = case_model(c, crs_kernels_of(crs_isa_best()), threads);
    crs_workspace *workspace = case_workspace(c, model);
    memset(sums, 0, crs_model_sums(model) * sizeof *sums);
    crs_model_train(model, workspace, b, sums, NULL);
    crs_workspace_free(&workspace);
    crs_model_free(&model);
}

/* Noise and dropout of numbers: as if they had been disturbed before; and not in an evaluation. */
static void check_disturbed(crs_cell cell, float noise, float dropout) {
    static float numbers[NUMBERS], seen[NUMBERS];
    nn_case c;
    crs_spec shape = crs_spec_text(cell, NUMBER_COLUMNS, 0, 12, 1);
    shape.input = CRS_INPUT_VALUES;
    shape.targets = CRS_TARGET_CLASS;
    case_create(&c, &shape, NUMBER_ROWS, NUMBER_STEPS, 2, 0, 31);
    float *state = case_state(&c), *again = case_state(&c);
    crs_batch plain = case_batch(&c, again), b = case_batch(&c, state);
    b.input_noise = noise;
    b.input_dropout = dropout;
    b.input = (crs_series){.numbers = numbers};
    plain.input = (crs_series){.numbers = seen};
    for (int i = 0; i < NUMBERS; i++) {
        const int n = i / NUMBER_COLUMNS;
        numbers[i] = (float)case_draw(5, 3, (uint64_t)i);
        seen[i] = disturbed(&b, n % NUMBER_ROWS, n / NUMBER_ROWS, i % NUMBER_COLUMNS, numbers[i]);
    }
    crs_model *model = case_model(&c, crs_kernels_of(crs_isa_best()), 1);
    const size_t n = crs_model_sums(model);
    int64_t *sums = crs_alloc(2 * n, sizeof *sums, CRS_MEMORY_GRADIENTS);
    CRS_ASSERT(sums != NULL);
    train_numbers(&c, &b, 1, sums);
    train_numbers(&c, &plain, 2, sums + n);
    CU_ASSERT_EQUAL(memcmp(sums, sums + n, n * sizeof *sums), 0);
    int64_t trailer[2][CRS_SUM_TRAILER] = {{0}};
    crs_workspace *workspace = case_workspace(&c, model);
    crs_model_evaluate(model, workspace, &b, trailer[0], NULL);
    plain.input.numbers = numbers;
    crs_model_evaluate(model, workspace, &plain, trailer[1], NULL);
    CU_ASSERT_EQUAL(memcmp(trailer[0], trailer[1], sizeof *trailer), 0);
    crs_workspace_free(&workspace);
    crs_free(&sums);
    crs_free(&state);
    crs_free(&again);
    crs_model_free(&model);
    case_free(&c);
}

static void test_disturbed(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int k = 1; k < 4; k++)
            if (my_turn())
                check_disturbed((crs_cell)cell, k & 1 ? 0.3f : 0, k & 2 ? 0.25f : 0);
}

/* Noise of a mean, deviation and kurtosis as a normal distribution's, that differs by row, time, column and step. */
static void test_noise(void) {
    enum { DRAWS = 20000 };
    const int64_t ids[2] = {0, 1};
    crs_batch b = {.input_noise = 1, .seed = 3, .step = 5, .row_id = ids};
    double sum[5] = {0}, product = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double x = (double)disturbed(&b, 0, i / 50, i % 50, 0), y = (double)disturbed(&b, 1, i / 50, i % 50, 0);
        double power = 1;
        for (int k = 0; k < 5; k++, power *= x)
            sum[k] += power / DRAWS;
        product += x * y / DRAWS;
    }
    CU_ASSERT(fabs(sum[1]) < 0.03 && fabs(sum[2] - 1) < 0.04 && fabs(sum[3]) < 0.1 && fabs(sum[4] - 3) < 0.25);
    CU_ASSERT(fabs(product) < 0.03);
    const double first = (double)disturbed(&b, 0, 0, 0, 0);
    CU_ASSERT(first != (double)disturbed(&b, 0, 1, 0, 0) && first != (double)disturbed(&b, 0, 0, 1, 0));
    b.step++;
    CU_ASSERT(first != (double)disturbed(&b, 0, 0, 0, 0));
}

/* ---- neighbours ---------------------------------------------------------------------------------------*/

/* Every row a lane: then all sums of single rows add up to those of all, whoever sits beside whom. */
static void test_neighbours(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        if (!my_turn())
            continue;
        nn_case c;
        crs_spec shape = crs_spec_text((crs_cell)cell, 20, 20, 40, 2);
        case_create(&c, &shape, 29, 6, 1, 0.25f, 77);
        run r = whole(&c);
        outcome one = train(&r);
        for (int ranks = 29; ranks >= 2; ranks = ranks == 29 ? 13 : ranks == 13 ? 2 : 0) {
            outcome o = train_shared(&c, ranks);
            expect_same(&one, &o, &r, "rows apart");
            outcome_free(&o);
        }
        outcome_free(&one);
        case_free(&c);
    }
}

/* Evaluates rows in the order given; rows of the state follow. */
static void evaluate_rows(const nn_case *c, crs_model *model, const int *order, int rows, float *state,
                          int64_t *trailer) {
    size_t size = crs_model_state(model), n = (size_t)rows * (size_t)c->steps;
    uint32_t *inputs = malloc(n * sizeof *inputs), *targets = malloc(n * sizeof *targets);
    CRS_ASSERT(inputs != NULL && targets != NULL);
    for (int r = 0; r < rows; r++) {
        memcpy(state + (size_t)r * size, c->state + (size_t)order[r] * size, size * sizeof *state);
        for (int t = 0; t < c->steps; t++) {
            inputs[t * rows + r] = c->inputs[t * c->rows + order[r]];
            targets[t * rows + r] = c->targets[t * c->rows + order[r]];
        }
    }
    crs_batch batch = {
        .steps = c->steps, .rows = rows, .input.tokens = inputs, .target.tokens = targets, .state = state};
    crs_workspace *workspace = case_workspace(c, model);
    crs_model_evaluate(model, workspace, &batch, trailer, NULL);
    crs_workspace_free(&workspace);
    free(inputs);
    free(targets);
}

/* A row's loss and state are the same alone, in the middle of others, and last of them. */
static void check_evaluated(const nn_case *c, const struct setting *s) {
    (void)s;
    enum { MOST = 64 };
    CRS_ASSERT(c->rows <= MOST);
    crs_model *model = case_model(c, crs_kernels_of(crs_isa_best()), 1);
    size_t size = crs_model_state(model);
    float *all = case_state(c), *back = case_state(c), *alone = case_state(c);
    int64_t sum[CRS_SUM_TRAILER] = {0}, forward[CRS_SUM_TRAILER] = {0}, backward[CRS_SUM_TRAILER] = {0};
    int order[MOST], reverse[MOST];
    for (int r = 0; r < c->rows; r++) {
        order[r] = r;
        reverse[r] = c->rows - 1 - r;
    }
    evaluate_rows(c, model, order, c->rows, all, forward);
    evaluate_rows(c, model, reverse, c->rows, back, backward);
    for (int r = 0; r < c->rows; r++) {
        evaluate_rows(c, model, &order[r], 1, alone, sum);
        CU_ASSERT_EQUAL(memcmp(alone, all + (size_t)r * size, size * sizeof *all), 0);
        CU_ASSERT_EQUAL(memcmp(alone, back + (size_t)reverse[r] * size, size * sizeof *all), 0);
    }
    CU_ASSERT_EQUAL(memcmp(sum, forward, sizeof sum), 0);
    CU_ASSERT_EQUAL(memcmp(sum, backward, sizeof sum), 0);
    CU_ASSERT_EQUAL(sum[CRS_SUM_TARGETS], (int64_t)c->rows * c->steps);
    crs_free(&all);
    crs_free(&back);
    crs_free(&alone);
    crs_model_free(&model);
}

static void test_evaluated_rows(void) {
    for_each_case(check_evaluated);
}

/* ---- golden digests -----------------------------------------------------------------------------------*/

/* Three steps of a small run from initial values: windows, clipping, Adam; all in the order of the file, so that
 * the layout in memory does not matter. gradients: of the three steps; result: the parameters, the carried state,
 * the losses. */
typedef struct digests {
    char initial[CRS_HASH_HEX], gradients[CRS_HASH_HEX], result[CRS_HASH_HEX];
} digests;

static void hash_arena(crs_hash *hash, const crs_model *model, const float *arena) {
    for (int k = 0; k < crs_model_tensors(model); k++) {
        size_t size = (size_t)crs_tensor_size(crs_model_tensor(model, k));
        float *values = crs_alloc(size, sizeof *values, CRS_MEMORY_OTHER);
        CRS_ASSERT(values != NULL);
        crs_model_export(model, arena, k, values);
        crs_hash_add(hash, values, size * sizeof *values);
        crs_free(&values);
    }
}

static void golden_steps(const nn_case *c, crs_model *model, const crs_kernels *kernels, int threads,
                         crs_hash *gradients, crs_hash *result) {
    const crs_optimizer_settings settings_of_adam = {CRS_ADAM, 0, -1, -1, -1, 0.01};
    crs_optim optim;
    crs_error error;
    CRS_ASSERT(crs_optim_create(&optim, &settings_of_adam, crs_model_arena(model), &error) == CRS_OK);
    float *gradient = crs_alloc(crs_model_arena(model), sizeof *gradient, CRS_MEMORY_GRADIENTS);
    CRS_ASSERT(gradient != NULL);
    crs_workspace *workspace = case_workspace(c, model);
    outcome o = outcome_of(c, model);
    for (uint64_t step = 0; step < 3; step++) {
        crs_batch batch = case_batch(c, o.state);
        batch.step = step;
        memset(o.sums, 0, o.sums_size * sizeof *o.sums);
        crs_model_train(model, workspace, &batch, o.sums, NULL);
        crs_hash_add(result, o.sums + o.sums_size - CRS_SUM_TRAILER, CRS_SUM_WEIGHT * sizeof *o.sums);
        crs_model_gradient(model, NULL, 0, o.sums, gradient);
        hash_arena(gradients, model, gradient);
        double scale = crs_clip_scale(norm_of_arena(model, gradient), 0.25);
        crs_optim_update(&optim, kernels, &(crs_extent){0, optim.n}, 1, crs_model_parameters(model), gradient, scale,
                         0.01, threads);
        crs_model_refresh(model);
    }
    hash_arena(result, model, crs_model_parameters(model));
    crs_hash_add(result, o.state, o.state_size * sizeof *o.state);
    outcome_free(&o);
    crs_workspace_free(&workspace);
    crs_free(&gradient);
    crs_optim_free(&optim);
}

static digests golden_run(const nn_case *c, crs_isa isa, int threads) {
    digests d;
    crs_model *model = case_model(c, crs_kernels_of(isa), threads);
    crs_hash *initial = crs_hash_new(), *gradients = crs_hash_new(), *result = crs_hash_new();
    CRS_ASSERT(initial != NULL && gradients != NULL && result != NULL);
    crs_model_initialize(model, 11, 1);
    hash_arena(initial, model, crs_model_parameters(model));
    golden_steps(c, model, crs_kernels_of(isa), threads, gradients, result);
    crs_hash_text(initial, d.initial);
    crs_hash_text(gradients, d.gradients);
    crs_hash_text(result, d.result);
    crs_hash_free(&initial);
    crs_hash_free(&gradients);
    crs_hash_free(&result);
    crs_model_free(&model);
    return d;
}

static const struct golden {
    int vocabulary, embed, hidden, layers, rows, steps, lane_rows;
    float dropout;
    digests digest[CRS_CELLS];
} golden[] = {
#include "golden.inc"
};

/* Another machine, compiler, library or option that changes one bit is seen here. A change made on purpose, which
 * ends every old run's promise to go on with the same bits, is put into golden.inc from what is printed. */
static void test_golden(void) {
    for (size_t g = 0; g < sizeof golden / sizeof *golden; g++)
        for (int cell = 0; cell < CRS_CELLS; cell++) {
            nn_case c;
            crs_spec shape = crs_spec_text((crs_cell)cell, golden[g].vocabulary, golden[g].embed, golden[g].hidden,
                                           golden[g].layers);
            case_create(&c, &shape, golden[g].rows, golden[g].steps, golden[g].lane_rows, golden[g].dropout, 21);
            for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
                if (!crs_isa_here((crs_isa)isa) || !my_turn())
                    continue;
                const digests *expected = &golden[g].digest[cell], got = golden_run(&c, (crs_isa)isa, 1 + cell % 2);
                bool fine = strcmp(got.initial, expected->initial) == 0 && strcmp(got.result, expected->result) == 0 &&
                            strcmp(got.gradients, expected->gradients) == 0;
                if (!fine)
                    fprintf(stderr, "golden %zu, %s, %s: {\"%s\", \"%s\", \"%s\"},\n", g, crs_cell_name((crs_cell)cell),
                            crs_isa_name((crs_isa)isa), got.initial, got.gradients, got.result);
                CU_ASSERT(fine);
            }
            case_free(&c);
        }
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_threads),
                                         HARNESS_TEST(test_instruction_sets),
                                         HARNESS_TEST(test_ranks),
                                         HARNESS_TEST(test_masks),
                                         HARNESS_TEST(test_disturbed),
                                         HARNESS_TEST(test_noise),
                                         HARNESS_TEST(test_neighbours),
                                         HARNESS_TEST(test_evaluated_rows),
                                         HARNESS_TEST(test_adds_up),
                                         HARNESS_TEST(test_large_vocabulary),
                                         HARNESS_TEST(test_lengths),
                                         HARNESS_TEST(test_golden),
                                         HARNESS_END};
    harness_add("exact", tests);
    return harness_run(argc, argv);
}
