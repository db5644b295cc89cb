/* Every gradient against the reference in double precision, and that against its own central differences. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "harness.h"

static const int hidden_sizes[] = {1, 7, 33, 16, 100};
static const int row_counts[] = {1, 5, 13};
static const int step_counts[] = {1, 3, 17};
static const int vocabularies[] = {2, 5, 65, 90, 300};
enum { HIDDENS = 5, SMALL_HIDDENS = 3, COUNTS = 3, VOCABULARIES = 5 };

/* The programs run at several numbers of ranks: each rank takes its share of the cases. */
static bool my_turn(void) {
    static int turn;
    return turn++ % harness_size() == harness_rank();
}

static double *widen(const float *values, size_t n) {
    double *wide = malloc(n * sizeof *wide);
    CRS_ASSERT(wide != NULL);
    for (size_t k = 0; k < n; k++)
        wide[k] = (double)values[k];
    return wide;
}

static ref_batch reference_batch(const nn_case *c, const crs_batch *batch, const double *state) {
    return (ref_batch){.steps = c->steps,
                       .rows = c->rows,
                       .inputs = c->inputs,
                       .targets = c->targets,
                       .state = state,
                       .dropout = (double)batch->dropout,
                       .input_dropout = (double)batch->input_dropout,
                       .seed = batch->seed,
                       .step = batch->step,
                       .first_row = batch->row_id[0]};
}

/* ---- the reference against its own differences --------------------------------------------------------*/

enum { SAMPLES = 8 }; /* elements of a tensor that are tried; all where there are fewer */

/* Six points: the error is of the sixth order in the distance, so that the distance may be large against the
 * roundings. */
static double difference_of(const ref_model *ref, const ref_batch *batch, double *value) {
    static const double weight[3] = {45.0 / 60, -9.0 / 60, 1.0 / 60};
    const double distance = 5e-3, centre = *value;
    double sum = 0;
    for (int p = 0; p < 3; p++) {
        *value = centre + (p + 1) * distance;
        double above = ref_loss(ref, batch, NULL);
        *value = centre - (p + 1) * distance;
        sum += weight[p] * (above - ref_loss(ref, batch, NULL));
    }
    *value = centre;
    return sum / distance;
}

/* The norm of the difference over the norm, over the elements that are tried. */
static double difference_error(const ref_model *ref, const ref_batch *batch, ref_tensor *tensor) {
    int64_t tried = tensor->size < 2 * SAMPLES ? tensor->size : SAMPLES;
    double off = 0, norm = 0;
    for (int64_t k = 0; k < tried; k++) {
        int64_t e = tried == tensor->size ? k : (2 * k + 1) * tensor->size / (2 * tried);
        double numeric = difference_of(ref, batch, &tensor->values[e]), analytic = tensor->gradient[e];
        off += (numeric - analytic) * (numeric - analytic);
        norm += analytic * analytic;
    }
    return norm > 0 ? sqrt(off / norm) : sqrt(off);
}

/* Of all rows and steps, or (ragged) of rows that end early. */
static crs_batch batch_of(const nn_case *c, case_ragged *ragged, float *state) {
    return ragged ? case_ragged_batch(ragged, c, -1, c->lanes, state) : case_batch(c, state);
}

static void check_differences(const crs_spec *shape, int rows, int steps, bool ragged, float dropout, uint64_t seed) {
    static case_ragged lengths;
    nn_case c;
    case_create(&c, shape, rows, steps, 2, dropout, seed);
    double *state = widen(c.state, case_state_size(&c));
    float *carried = case_state(&c);
    crs_batch batch = batch_of(&c, ragged ? &lengths : NULL, carried);
    ref_batch plain = reference_batch(&c, &batch, state);
    plain.length = ragged ? lengths.length : NULL;
    crs_free(&carried);
    ref_gradient(c.ref, &plain, NULL);
    for (int k = 0; k < c.ref->tensors; k++) {
        double error = difference_error(c.ref, &plain, &c.ref->tensor[k]);
        if (!(error <= 1e-7))
            fprintf(stderr, "%s: %s: the reference is off by %g\n", case_name(&c), c.ref->tensor[k].name, error);
        CU_ASSERT(error <= 1e-7);
    }
    free(state);
    case_free(&c);
}

static void differences_of_cell(crs_cell cell) {
    int turn = 0;
    for (int h = 0; h < SMALL_HIDDENS; h++)
        for (int r = 0; r < COUNTS; r++)
            for (int t = 0; t < COUNTS; t++, turn++) {
                int hidden = hidden_sizes[h];
                /* The largest are left to one layer, the rest have them all in turn. */
                int layers = hidden * row_counts[r] * step_counts[t] > 2000 ? 1 : 1 + turn % 3;
                int embeds[] = {0, 5, hidden};
                crs_spec shape = crs_spec_text(cell, vocabularies[(turn + turn / 3) % 3], embeds[(turn + turn / 9) % 3],
                                               hidden, layers);
                if (my_turn())
                    check_differences(&shape, row_counts[r], step_counts[t], false, turn % 2 == 0 ? 0 : 0.4f,
                                      71 + (uint64_t)turn);
            }
}

static void test_reference_lstm(void) {
    differences_of_cell(CRS_LSTM);
}
static void test_reference_peephole(void) {
    differences_of_cell(CRS_PEEPHOLE);
}
static void test_reference_gru(void) {
    differences_of_cell(CRS_GRU);
}
static void test_reference_rnn(void) {
    differences_of_cell(CRS_RNN);
}

/* Drops about as many units as it should, in another pattern for each row, layer, time and step. */
static void test_reference_masks(void) {
    ref_batch batch = {.dropout = 0.25, .seed = 5, .step = 7, .first_row = 100};
    int dropped = 0, differ[3] = {0}, units = 4000;
    for (int u = 0; u < units; u++) {
        ref_batch next = batch;
        next.step++;
        bool kept = ref_mask(&batch, 1, 2, 3, u) > 0;
        dropped += !kept;
        differ[0] += kept != (ref_mask(&batch, 2, 2, 3, u) > 0);
        differ[1] += kept != (ref_mask(&batch, 1, 2, 4, u) > 0);
        differ[2] += kept != (ref_mask(&next, 1, 2, 3, u) > 0);
    }
    CU_ASSERT(abs(dropped - units / 4) < 150);
    for (int k = 0; k < 3; k++)
        CU_ASSERT(abs(differ[k] - units * 3 / 8) < 200);
    CU_ASSERT_EQUAL(ref_mask(&batch, 0, 0, 0, 0),
                    ref_mask(&(ref_batch){.dropout = 0.25, .seed = 5, .step = 7}, 100, 0, 0, 0));
}

/* ---- the model against the reference ------------------------------------------------------------------*/

/* What a person needs to find the fault again. */
static bool check(bool fine, const nn_case *c, crs_isa isa, const char *what, double error) {
    if (!fine)
        fprintf(stderr, "%s, %s: %s is off by %g\n", case_name(c), crs_isa_name(isa), what, error);
    CU_ASSERT(fine);
    return fine;
}

/* The norm of the difference over the norm; where the reference has zeros alone, the norm itself. */
static double relative_error(const double *ref, const float *values, double factor, size_t n) {
    double off = 0, norm = 0;
    for (size_t k = 0; k < n; k++) {
        double difference = (double)values[k] * factor - ref[k];
        off += difference * difference;
        norm += ref[k] * ref[k];
    }
    return norm > 0 ? sqrt(off / norm) : sqrt(off);
}

static void check_tensors(const nn_case *c, crs_model *model, const int64_t *sums, crs_isa isa) {
    const double targets = (double)sums[crs_model_sums(model) - CRS_SUM_TRAILER + CRS_SUM_TARGETS];
    float *gradient = crs_alloc(crs_model_arena(model), sizeof *gradient, CRS_MEMORY_GRADIENTS);
    crs_model_gradient(model, NULL, 0, sums, gradient);
    for (int k = 0; k < c->ref->tensors; k++) {
        const ref_tensor *tensor = &c->ref->tensor[k];
        float *values = crs_alloc((size_t)tensor->size, sizeof *values, CRS_MEMORY_OTHER);
        crs_model_export(model, gradient, k, values);
        double error = relative_error(tensor->gradient, values, targets, (size_t)tensor->size);
        check(error <= 1e-5, c, isa, tensor->name, error);
        crs_free(&values);
    }
    crs_free(&gradient);
}

static void check_names(const nn_case *c, const crs_model *model) {
    CU_ASSERT_EQUAL(crs_model_tensors(model), c->ref->tensors);
    for (int k = 0; k < c->ref->tensors; k++) {
        const crs_tensor *tensor = crs_model_tensor(model, k);
        const ref_tensor *expected = &c->ref->tensor[k];
        CU_ASSERT_STRING_EQUAL(tensor->name, expected->name);
        CU_ASSERT_EQUAL(tensor->rank, expected->rank);
        CU_ASSERT_EQUAL(tensor->dims[0], expected->dims[0]);
        CU_ASSERT_EQUAL(tensor->dims[1], expected->dims[1]);
        CU_ASSERT_EQUAL(crs_tensor_size(tensor), expected->size);
    }
}

/* loss and final: the reference's. */
static void check_isa(const nn_case *c, case_ragged *ragged, crs_isa isa, int threads, double loss,
                      const double *final) {
    crs_model *model = case_model(c, crs_kernels_of(isa), threads);
    crs_workspace *workspace = case_workspace(c, model);
    size_t n = crs_model_sums(model);
    int64_t *sums = crs_alloc(n, sizeof *sums, CRS_MEMORY_GRADIENTS);
    float *state = case_state(c);
    crs_batch batch = batch_of(c, ragged, state);
    crs_model_train(model, workspace, &batch, sums, NULL);

    const int64_t *trailer = sums + n - CRS_SUM_TRAILER;
    double error = fabs((double)trailer[CRS_SUM_LOSS] * CRS_SUM_STEP - loss) / loss;
    check(error <= 1e-6, c, isa, "the loss", error);
    CU_ASSERT_EQUAL(trailer[CRS_SUM_TARGETS], (int64_t)crs_pair(&batch, batch.steps, 0));
    CU_ASSERT_EQUAL(trailer[CRS_SUM_REFUSED], 0);
    error = relative_error(final, state, 1, case_state_size(c));
    check(error <= 1e-5, c, isa, "the carried state", error);
    check_names(c, model);
    check_tensors(c, model, sums, isa);

    crs_free(&state);
    crs_free(&sums);
    crs_workspace_free(&workspace);
    crs_model_free(&model);
}

static void check_each_isa(const nn_case *c, case_ragged *ragged, double loss, const double *final) {
    for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
        /* The baseline takes a hundred times as long. */
        bool small = c->shape.hidden * c->rows * c->steps <= 400 && c->shape.input_size <= 90;
        if (crs_isa_here((crs_isa)isa) && (isa != CRS_ISA_BASELINE || small))
            check_isa(c, ragged, (crs_isa)isa, 1 + (int)(c->seed % 2), loss, final);
    }
}

/* A tensor of one or two numbers may be a sum that cancels to nearly nothing: no relative error in floats is small
 * then, whatever the program. Such a case is drawn again. */
static bool well_conditioned(const ref_model *ref) {
    for (int k = 0; k < ref->tensors; k++)
        if (ref_condition(&ref->tensor[k]) < 0.03)
            return false;
    return true;
}

/* ragged: rows end early. */
static void check_lengths(const crs_spec *shape, int rows, int steps, bool ragged, int lane_rows, float dropout,
                          uint64_t seed) {
    static case_ragged lengths;
    case_ragged *g = ragged ? &lengths : NULL;
    bool done = false;
    for (uint64_t draw = 0; draw < 20 && !done; draw++) {
        nn_case c;
        case_create(&c, shape, rows, steps, lane_rows, dropout, seed + 100000 * draw);
        size_t states = case_state_size(&c);
        double *state = widen(c.state, states), *final = widen(c.state, states);
        float *carried = case_state(&c);
        crs_batch batch = batch_of(&c, g, carried);
        ref_batch plain = reference_batch(&c, &batch, state);
        plain.length = ragged ? lengths.length : NULL;
        double loss = ref_gradient(c.ref, &plain, final);
        done = well_conditioned(c.ref);
        if (done)
            check_each_isa(&c, g, loss, final);
        crs_free(&carried);
        free(state);
        free(final);
        case_free(&c);
    }
    CU_ASSERT(done);
}

static void check_case(const crs_spec *shape, int rows, int steps, int lane_rows, float dropout, uint64_t seed) {
    check_lengths(shape, rows, steps, false, lane_rows, dropout, seed);
}

/* One size of layers, rows and windows with each kind of input; the vocabulary, the layers, the lanes and the
 * dropout in turn. */
static void gradients_of_size(crs_cell cell, int h, int r, int t) {
    int embeds[] = {0, 5, hidden_sizes[h]};
    for (int e = 0; e < 3; e++) {
        int turn = ((h * COUNTS + r) * COUNTS + t) * 3 + e;
        int vocabulary = vocabularies[(h + 2 * r + 3 * t + e + (int)cell) % VOCABULARIES];
        int layers = 1 + (h + r + t + 2 * (e > 0)) % 3;
        float dropout = (h + r + t / 2 + e + (int)cell) % 2 == 0 ? 0 : 0.3f;
        crs_spec shape = crs_spec_text(cell, vocabulary, embeds[e], hidden_sizes[h], layers);
        if (my_turn())
            check_case(&shape, row_counts[r], step_counts[t], 1 + turn % 4, dropout,
                       1000 * (uint64_t)cell + (uint64_t)turn);
    }
}

static void gradients_of_cell(crs_cell cell) {
    for (int h = 0; h < HIDDENS; h++)
        for (int r = 0; r < COUNTS; r++)
            for (int t = 0; t < COUNTS; t++)
                gradients_of_size(cell, h, r, t);
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

/* Both ways into the first layer, the table of tokens and the dense product, and the one-hot input, for each cell and
 * every vocabulary. */
static void test_gradient_inputs(void) {
    const int hidden = 33;
    int embeds[] = {0, 5, hidden, 70};
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int v = 0; v < VOCABULARIES; v++)
            for (int e = 0; e < 4; e++) {
                crs_spec shape = crs_spec_text((crs_cell)cell, vocabularies[v], embeds[e], hidden, 1 + (v + e) % 2);
                if (my_turn())
                    check_case(&shape, 5, 4, 2, (cell + v + e) % 2 == 0 ? 0 : 0.5f, 300 + (uint64_t)(v * 4 + e));
            }
}

/* Windows and lanes as large as in use: several blocks of the sums in a lane. */
static void test_gradient_long(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        crs_spec shape = crs_spec_text((crs_cell)cell, 65, 20, 24, 2);
        if (my_turn())
            check_case(&shape, 8, 200, 4, 0.2f, 500);
        if (my_turn())
            check_case(&shape, 9, 70, 9, 0, 501);
    }
}

/* ---- layers that give more than their state -----------------------------------------------------------*/

static crs_spec joint_spec(crs_cell cell, int vocabulary, int embed, int hidden, int layers, int options) {
    crs_spec shape = crs_spec_text(cell, vocabulary, embed, hidden, layers);
    shape.bidirectional = options & 1;
    shape.layer_norm = options & 2;
    shape.residual = options & 4;
    return shape;
}

static crs_spec tied_spec(crs_cell cell, int vocabulary, int hidden, int layers) {
    crs_spec shape = crs_spec_text(cell, vocabulary, hidden, hidden, layers);
    shape.tie = true;
    return shape;
}

enum { JOINT_OPTIONS = 8 };

static void test_reference_joint(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int options = 1; options < JOINT_OPTIONS; options++) {
            crs_spec shape = joint_spec((crs_cell)cell, 7, 5, 9, 2, options);
            if (my_turn())
                check_differences(&shape, 5, 6, options % 2, cell % 2 ? 0.3f : 0, 90 + (uint64_t)options);
        }
}

static void test_reference_tied(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        crs_spec shape = tied_spec((crs_cell)cell, 7, 6, 2);
        if (my_turn())
            check_differences(&shape, 5, 6, cell % 2 == 0, cell % 2 ? 0.3f : 0, 80);
    }
}

/* Vocabularies that are, and are not, whole blocks; a large one goes piece by piece. */
static void test_gradient_tied(void) {
    static const int tokens[] = {2, 5, 16, 65, 64, 90, 2500};
    enum { LARGE = 6 };
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int v = 0; v <= LARGE; v++) {
            const int hidden = v == LARGE ? 18 : hidden_sizes[(v + cell) % HIDDENS];
            crs_spec shape = tied_spec((crs_cell)cell, tokens[v], hidden, 1 + v % 2);
            shape.layer_norm = v == 3 && hidden > 1;
            if (my_turn())
                check_lengths(&shape, v == LARGE ? 12 : 5, v == LARGE ? 70 : 9, (v + cell) % 2, 2, v % 2 ? 0.2f : 0,
                              440 + (uint64_t)v);
        }
}

/* Embeddings and one-hot rows that are dropped out, which no table is made of. */
static void test_gradient_input_dropout(void) {
    static const int embeds[] = {0, 5, 33};
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int e = 0; e < 3; e++)
            for (int options = 0; options < 2; options++) {
                crs_spec shape = joint_spec((crs_cell)cell, 11, embeds[e], 21, 1 + cell % 2, options);
                shape.gather = true;
                if (my_turn())
                    check_lengths(&shape, 13, 9, options == 0 && e % 2, 3, e % 2 ? 0.3f : 0, 470 + (uint64_t)e);
                if (my_turn() && e > 0 && cell % 2)
                    check_differences(&shape, 5, 3, e % 2, 0, 475);
            }
}

/* Every set of options, with each cell; sizes, kinds of input, lengths, lanes and dropout in turn. One unit has no
 * norm: it is its own mean. */
static void test_gradient_joint(void) {
    int turn = 0;
    for (int options = 1; options < JOINT_OPTIONS; options++)
        for (int cell = 0; cell < CRS_CELLS; cell++)
            for (int h = 0; h < HIDDENS; h++, turn++) {
                const int hidden = options & 2 && h == 0 ? 3 : hidden_sizes[h], embeds[] = {0, 5, hidden};
                const int rows = row_counts[(turn / 2 + h) % COUNTS], steps = step_counts[(turn + cell) % COUNTS];
                crs_spec shape = joint_spec((crs_cell)cell, vocabularies[(turn + h) % 3], embeds[(turn + options) % 3],
                                            hidden, 1 + (h + cell) % 3, options);
                if (my_turn())
                    check_lengths(&shape, rows, steps, turn % 3 > 0, 1 + turn % 4, turn % 2 ? 0.3f : 0,
                                  9100 + (uint64_t)turn);
            }
}

/* Some pieces a lane; panels that do not fit the cache. */
static void test_gradient_joint_large(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int options = 1; options < JOINT_OPTIONS; options += 3) {
            crs_spec small = joint_spec((crs_cell)cell, 11, 20, 24, 2, options);
            crs_spec wide = joint_spec((crs_cell)cell, 25, 20, 230, 2, options);
            if (my_turn())
                check_lengths(&small, 9, 90, cell % 2, 4, 0.2f, 530);
            if (my_turn())
                check_lengths(&wide, 4, 3, cell % 2 == 0, 2, 0, 531);
        }
}

/* A probability at which the word of one unit (first layer and time) is the threshold itself, and fits a float. */
static float threshold_of_unit(uint64_t seed, uint64_t step, int rows, int hidden) {
    for (int k = 0; k < rows * hidden; k++) {
        uint64_t out[4], unit = (uint64_t)(k % hidden);
        crs_random(seed, CRS_DRAW_DROPOUT, step, (uint64_t)(k / hidden), 0, unit / 8, out);
        uint32_t word = (uint32_t)(out[unit % 8 / 2] >> (unit % 2 * 32));
        if (word < 1 << 24 && word > 1 << 16)
            return (float)word * 0x1p-32f;
    }
    return 0;
}

/* That unit is kept. */
static void test_gradient_threshold(void) {
    const int rows = 13, hidden = 100;
    const uint64_t seed = 700;
    crs_spec shape = crs_spec_text(CRS_LSTM, 20, 5, hidden, 1);
    float dropout = threshold_of_unit(seed, 3, rows, hidden);
    CU_ASSERT(dropout > 0);
    ref_batch at = {.dropout = (double)dropout, .seed = seed, .step = 3}, above = at;
    above.dropout = (double)dropout + 0x1p-32;
    int differ = 0;
    for (int k = 0; k < rows * hidden; k++)
        differ +=
            (ref_mask(&at, k / hidden, 0, 0, k % hidden) > 0) != (ref_mask(&above, k / hidden, 0, 0, k % hidden) > 0);
    CU_ASSERT_EQUAL(differ, 1);
    check_case(&shape, rows, 1, 2, dropout, seed);
}

/* Panels that do not fit the cache: input products apart from recurrent ones, products in parts. */
static void test_gradient_wide(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int turn = 0; turn < 3; turn++) {
            crs_spec shape = crs_spec_text((crs_cell)cell, 25,
                                           turn == 0   ? 20
                                           : turn == 1 ? 40
                                                       : 0,
                                           330, turn == 0 ? 2 : 1);
            if (my_turn())
                check_case(&shape, turn == 2 ? 26 : 4, 3, 2, turn == 1 ? 0.2f : 0, 600);
        }
}

int main(int argc, char **argv) {
    static const harness_test reference[] = {HARNESS_TEST(test_reference_masks), HARNESS_TEST(test_reference_lstm),
                                             HARNESS_TEST(test_reference_gru),   HARNESS_TEST(test_reference_peephole),
                                             HARNESS_TEST(test_reference_rnn),   HARNESS_TEST(test_reference_joint),
                                             HARNESS_TEST(test_reference_tied),  HARNESS_END};
    static const harness_test gradient[] = {
        HARNESS_TEST(test_gradient_lstm),
        HARNESS_TEST(test_gradient_peephole),
        HARNESS_TEST(test_gradient_gru),
        HARNESS_TEST(test_gradient_rnn),
        HARNESS_TEST(test_gradient_inputs),
        HARNESS_TEST(test_gradient_long),
        HARNESS_TEST(test_gradient_wide),
        HARNESS_TEST(test_gradient_threshold),
        HARNESS_TEST(test_gradient_joint),
        HARNESS_TEST(test_gradient_tied),
        HARNESS_TEST(test_gradient_input_dropout),
        HARNESS_TEST(test_gradient_joint_large),
        HARNESS_END,
    };
    harness_add("reference", reference);
    harness_add("gradient", gradient);
    return harness_run(argc, argv);
}
