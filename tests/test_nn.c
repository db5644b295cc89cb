/* The model's tensors, initial values and norm; refused sums; evaluation and generation; memory. */
#include "config.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carousel/optim.h"
#include "cases.h"
#include "count.h"
#include "harness.h"
#include "norm.h"

static const crs_kernels *best(void) {
    return crs_kernels_of(crs_isa_best());
}

static crs_model *model_of(const crs_spec *shape, const crs_kernels *kernels, int threads) {
    crs_model *model = NULL;
    crs_error error;
    if (crs_model_create(&model, shape, kernels, threads, &error) != CRS_OK)
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    return model;
}

static crs_workspace *workspace_of(const crs_model *model, int rows, int steps, int uses) {
    crs_workspace *workspace = NULL;
    crs_error error;
    if (crs_workspace_create(&workspace, model, rows, steps, uses, &error) != CRS_OK)
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    return workspace;
}

static float *floats(size_t n) {
    float *block = crs_alloc(n, sizeof *block, CRS_MEMORY_OTHER);
    CRS_ASSERT(block != NULL);
    return block;
}

static int64_t *sums_of(const crs_model *model) {
    int64_t *sums = crs_alloc(crs_model_sums(model), sizeof *sums, CRS_MEMORY_GRADIENTS);
    CRS_ASSERT(sums != NULL);
    return sums;
}

static size_t tensor_size(const crs_model *model, int k) {
    return (size_t)crs_tensor_size(crs_model_tensor(model, k));
}

/* Models of more than plain layers, of 2 layers. */
enum { VARIANTS = 6 };
static crs_spec variant_of(crs_cell cell, int variant) {
    static const struct {
        int vocabulary, embed, hidden;
        bool bidirectional, layer_norm, residual, tie, gather;
    } variants[VARIANTS] = {
        {65, 5, 7, true, false, false, false, false},  {9, 0, 18, true, true, true, false, false},
        {90, 33, 33, false, true, false, true, false}, {16, 16, 16, false, false, true, true, false},
        {5, 20, 7, false, true, true, false, true},    {2, 0, 40, false, false, true, false, true}};
    crs_spec shape =
        crs_spec_text(cell, variants[variant].vocabulary, variants[variant].embed, variants[variant].hidden, 2);
    shape.bidirectional = variants[variant].bidirectional;
    shape.layer_norm = variants[variant].layer_norm;
    shape.residual = variants[variant].residual;
    shape.tie = variants[variant].tie;
    shape.gather = variants[variant].gather;
    return shape;
}

/* Every cell at odd sizes, up to groups of units and of columns that come out uneven; and the variants. */
static void for_each_shape(void (*check)(const crs_spec *shape)) {
    static const int hidden[] = {1, 7, 33, 16, 70, 100}, vocabulary[] = {2, 300, 65, 1, 90, 5};
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int h = 0; h < 6; h++)
            for (int e = 0; e < 3; e++) {
                int embed[] = {0, 5, hidden[h]};
                crs_spec shape =
                    crs_spec_text((crs_cell)cell, vocabulary[(h + e) % 6], embed[e], hidden[h], 1 + (h + e) % 3);
                check(&shape);
            }
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int variant = 0; variant < VARIANTS; variant++) {
            crs_spec shape = variant_of((crs_cell)cell, variant);
            check(&shape);
        }
}

/* ---- shapes -------------------------------------------------------------------------------------------*/

static void test_cells(void) {
    static const char *const names[CRS_CELLS] = {"lstm", "peephole", "gru", "rnn"};
    static const int gates[CRS_CELLS] = {4, 4, 3, 1}, parts[CRS_CELLS] = {2, 2, 1, 1};
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        CU_ASSERT_STRING_EQUAL(crs_cell_name((crs_cell)cell), names[cell]);
        CU_ASSERT_EQUAL(crs_cell_gates((crs_cell)cell), gates[cell]);
        CU_ASSERT_EQUAL(crs_cell_parts((crs_cell)cell), parts[cell]);
    }
    crs_spec shape = crs_spec_text(CRS_PEEPHOLE, 11, 3, 5, 2);
    crs_model *model = model_of(&shape, best(), 1);
    CU_ASSERT_EQUAL(memcmp(crs_model_spec(model), &shape, sizeof shape), 0);
    CU_ASSERT_EQUAL(crs_model_state(model), 2 * 2 * 5);
    crs_model_free(&model);
    CU_ASSERT_PTR_NULL(model);
    crs_model_free(&model);
}

static void expect_refused(int vocabulary, int embed, int hidden, int layers, const char *word) {
    crs_spec shape = crs_spec_text(CRS_LSTM, vocabulary, embed, hidden, layers);
    crs_model *model = NULL;
    crs_error error = {0};
    CU_ASSERT_EQUAL(crs_model_create(&model, &shape, best(), 1, &error), CRS_CONFIG);
    CU_ASSERT_EQUAL(error.status, CRS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, word));
    CU_ASSERT_PTR_NULL(model);
}

static void test_refused_shapes(void) {
    int64_t blocks = crs_memory_blocks();
    expect_refused(0, 4, 4, 1, "tokens");
    expect_refused(4, -1, 4, 1, "--embed=-1");
    expect_refused(4, 4, 0, 1, "--hidden=0");
    expect_refused(4, 4, -7, 1, "--hidden=-7");
    expect_refused(4, 4, 4, 0, "--layers=0");
    expect_refused(4, 4, INT32_MAX, 1, "--hidden=2147483647");
    expect_refused(4, INT32_MAX, 4, 1, "--embed=2147483647");
    expect_refused(4, 4, 4, INT32_MAX, "--layers=2147483647");
    CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
}

/* Every allocation fails in turn: a status, a message, nothing kept; without a failure it works. */
static void check_out_of_memory(const crs_spec *shape) {
    crs_error error = {0};
    crs_status status = CRS_INTERNAL;
    int64_t blocks = crs_memory_blocks();
    crs_model *model = NULL;
    int tries = 0;
    for (int fail = 1; status != CRS_OK; fail++, tries++) {
        crs_memory_fail_at(fail);
        status = crs_model_create(&model, shape, best(), 2, &error);
        CU_ASSERT(status == CRS_OK || (status == CRS_INTERNAL && strlen(error.message) > 0));
        CU_ASSERT(status == CRS_OK || (model == NULL && crs_memory_blocks() == blocks));
        if (fail > 1000)
            break;
    }
    CU_ASSERT(tries > 5);
    blocks = crs_memory_blocks();
    crs_workspace *workspace = NULL;
    status = CRS_INTERNAL;
    for (int fail = 1; status != CRS_OK && fail <= 1000; fail++) {
        crs_memory_fail_at(fail);
        status = crs_workspace_create(&workspace, model, 3, 4, CRS_TRAINING | CRS_DROPOUT, &error);
        CU_ASSERT(status == CRS_OK || (status == CRS_INTERNAL && strlen(error.message) > 0));
        CU_ASSERT(status == CRS_OK || (workspace == NULL && crs_memory_blocks() == blocks));
    }
    crs_memory_fail_at(0);
    CU_ASSERT_EQUAL(status, CRS_OK);
    crs_workspace_free(&workspace);
    CU_ASSERT_PTR_NULL(workspace);
    CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    crs_model_free(&model);
}

static void test_out_of_memory(void) {
    crs_spec shape = crs_spec_text(CRS_PEEPHOLE, 11, 3, 5, 2);
    check_out_of_memory(&shape);
    for (int variant = 0; variant < VARIANTS; variant++) {
        shape = variant_of(CRS_PEEPHOLE, variant);
        check_out_of_memory(&shape);
    }
}

/* ---- tensors in arenas --------------------------------------------------------------------------------*/

static float value_at(int tensor, size_t element) {
    return 1 + (float)tensor + (float)element / 65536;
}

static size_t fill_tensors(const crs_model *model, float *arena) {
    size_t elements = 0;
    for (int k = 0; k < crs_model_tensors(model); k++) {
        size_t size = tensor_size(model, k);
        float *values = floats(size);
        for (size_t e = 0; e < size; e++)
            values[e] = value_at(k, e);
        crs_model_import(model, arena, k, values);
        crs_free(&values);
        elements += size;
    }
    return elements;
}

/* What was put in comes out, and every element has a place of its own. */
static void check_round_trip(const crs_spec *shape) {
    crs_model *model = model_of(shape, best(), 1);
    size_t n = crs_model_arena(model), filled = 0, wrong = 0;
    float *arena = floats(n);
    size_t elements = fill_tensors(model, arena);
    for (size_t k = 0; k < n; k++)
        filled += arena[k] != 0;
    CU_ASSERT_EQUAL(filled, elements);
    CU_ASSERT_EQUAL(n % CRS_BLOCK, 0);
    for (int k = 0; k < crs_model_tensors(model); k++) {
        size_t size = tensor_size(model, k);
        float *values = floats(size);
        crs_model_export(model, arena, k, values);
        for (size_t e = 0; e < size; e++)
            wrong += values[e] != value_at(k, e);
        crs_free(&values);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    crs_free(&arena);
    crs_model_free(&model);
}

static void test_round_trip(void) {
    for_each_shape(check_round_trip);
}

/* Padding of the parameters, the gradient and the moments is zero, and stays so through a step. */
static void check_padding(const crs_spec *shape) {
    nn_case c;
    case_create(&c, shape, 5, 4, 2, 0, 3);
    crs_model *model = case_model(&c, best(), 1);
    size_t n = crs_model_arena(model), wrong = 0, moved = 0;
    float *used = floats(n), *gradient = floats(n), *state = case_state(&c);
    fill_tensors(model, used);
    int64_t *sums = sums_of(model);
    crs_workspace *workspace = case_workspace(&c, model);
    const crs_optimizer_settings settings = {CRS_ADAM, 0, -1, -1, -1, 0.1};
    crs_optim optim;
    crs_error error;
    CU_ASSERT_EQUAL(crs_optim_create(&optim, &settings, n, &error), CRS_OK);
    for (int step = 0; step < 2; step++) {
        crs_batch batch = case_batch(&c, state);
        crs_model_train(model, workspace, &batch, sums, NULL);
        crs_model_gradient(model, NULL, 0, sums, gradient);
        crs_optim_update(&optim, best(), &(crs_extent){0, optim.n}, 1, crs_model_parameters(model), gradient, 1, 0.01,
                         1);
        crs_model_refresh(model);
    }
    for (size_t k = 0; k < n; k++) {
        if (used[k] != 0)
            moved += gradient[k] != 0;
        else
            wrong += gradient[k] != 0 || crs_model_parameters(model)[k] != 0 || optim.moment[0][k] != 0 ||
                     optim.moment[1][k] != 0;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(moved > 0 || shape->input_size == 1);
    crs_optim_free(&optim);
    crs_workspace_free(&workspace);
    crs_free(&sums);
    crs_free(&used);
    crs_free(&gradient);
    crs_free(&state);
    crs_model_free(&model);
    case_free(&c);
}

static void test_padding(void) {
    for_each_shape(check_padding);
}

/* ---- initial values, norm -----------------------------------------------------------------------------*/

/* The bound that values are drawn within; 0: not drawn. */
static double drawn_within(const crs_spec *shape, const char *name) {
    bool lstm = shape->cell == CRS_LSTM || shape->cell == CRS_PEEPHOLE;
    if (strcmp(name, "embedding/weight") == 0)
        return shape->tie ? 2 / sqrt(shape->hidden) : sqrt(3);
    if ((lstm && strstr(name, "bias_ih") != NULL) || strstr(name, "norm/") != NULL)
        return 0;
    double wide = strstr(name, "weight_ih") != NULL ? 4 : strcmp(name, "output/weight") == 0 ? 2 : 1;
    return 1 / sqrt(shape->hidden) * wide;
}

static float drawn_value(uint64_t seed, int tensor, size_t element, double bound) {
    uint64_t out[4];
    crs_random(seed, CRS_DRAW_PARAMETER, (uint64_t)tensor, element / 4, 0, 0, out);
    return (float)((2 * crs_unit_double(out[element % 4]) - 1) * bound);
}

static void check_initial_tensor(const crs_model *model, const crs_spec *shape, const float *arena, int k) {
    size_t size = tensor_size(model, k), wrong = 0, hidden = (size_t)shape->hidden;
    const char *name = crs_model_tensor(model, k)->name;
    const bool norm = strstr(name, "norm/") != NULL;
    double bound = drawn_within(shape, name), squares = 0;
    float *values = floats(size);
    crs_model_export(model, arena, k, values);
    for (size_t e = 0; e < size; e++) {
        squares += (double)values[e] * (double)values[e];
        if (bound > 0)
            wrong += !(fabs((double)values[e]) <= bound) || values[e] != drawn_value(9, k, e, bound);
        else if (norm)
            wrong += values[e] != (strstr(name, "weight") != NULL ? 1.0f : 0);
        else
            wrong += values[e] != (e / hidden == 1 ? 1.5f : 0);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    if (bound > 0 && size > 1000)
        CU_ASSERT_DOUBLE_EQUAL(squares / (double)size, bound * bound / 3, 0.1 * bound * bound);
    crs_free(&values);
}

static void check_initial(const crs_spec *shape) {
    crs_model *model = model_of(shape, best(), 1);
    crs_model_initialize(model, 9, 1.5f);
    for (int k = 0; k < crs_model_tensors(model); k++)
        check_initial_tensor(model, shape, crs_model_parameters(model), k);
    crs_model_free(&model);
}

static void test_initial(void) {
    for_each_shape(check_initial);
}

/* Of the biases the input gates' alone, which come first; of both directions. */
static void test_input_bias(void) {
    crs_spec shape = crs_spec_text(CRS_PEEPHOLE, 7, 3, 5, 2);
    shape.bidirectional = true;
    crs_model *model = model_of(&shape, best(), 1), *other = model_of(&shape, best(), 1);
    crs_model_initialize(model, 9, 1.5f);
    crs_model_initialize(other, 9, 1.5f);
    crs_model_set_input_bias(model, -7);
    for (int k = 0; k < crs_model_tensors(model); k++) {
        const size_t size = tensor_size(model, k);
        float *set = floats(size), *old = floats(size);
        crs_model_export(model, crs_model_parameters(model), k, set);
        crs_model_export(other, crs_model_parameters(other), k, old);
        const bool bias = strstr(crs_model_tensor(model, k)->name, "bias_ih") != NULL;
        for (size_t e = 0; e < size; e++)
            CU_ASSERT_EQUAL(set[e], bias && e < 5 ? -7 : old[e]);
        crs_free(&set);
        crs_free(&old);
    }
    crs_model_free(&model);
    crs_model_free(&other);
}

/* The same values for all threads and instruction sets; others for another seed. */
static void test_initial_same(void) {
    crs_spec shape = crs_spec_text(CRS_PEEPHOLE, 65, 20, 33, 2);
    crs_model *model = model_of(&shape, best(), 1);
    size_t bytes = crs_model_arena(model) * sizeof(float);
    crs_model_initialize(model, 9, 1);
    for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
        if (!crs_isa_here((crs_isa)isa))
            continue;
        crs_model *other = model_of(&shape, crs_kernels_of((crs_isa)isa), 2 + isa);
        CU_ASSERT_EQUAL(crs_model_arena(other) * sizeof(float), bytes);
        crs_model_initialize(other, 10, 1);
        CU_ASSERT_NOT_EQUAL(memcmp(crs_model_parameters(model), crs_model_parameters(other), bytes), 0);
        crs_model_initialize(other, 9, 1);
        CU_ASSERT_EQUAL(memcmp(crs_model_parameters(model), crs_model_parameters(other), bytes), 0);
        crs_model_free(&other);
    }
    crs_model_free(&model);
}

static void check_norm(const crs_spec *shape) {
    nn_case c;
    case_create(&c, shape, 1, 1, 1, 0, 6);
    crs_model *model = case_model(&c, best(), 1), *other = case_model(&c, crs_kernels_of(CRS_ISA_BASELINE), 3);
    double sum = 0;
    for (int k = 0; k < c.ref->tensors; k++)
        for (int64_t e = 0; e < c.ref->tensor[k].size; e++)
            sum += c.ref->tensor[k].values[e] * c.ref->tensor[k].values[e];
    double norm = norm_of_arena(model, crs_model_parameters(model));
    CU_ASSERT(fabs(norm - sqrt(sum)) <= 1e-13 * norm);
    CU_ASSERT_EQUAL(norm_of_arena(other, crs_model_parameters(other)), norm);
    memset(crs_model_parameters(model), 0, crs_model_arena(model) * sizeof(float));
    CU_ASSERT_EQUAL(norm_of_arena(model, crs_model_parameters(model)), 0);
    crs_model_free(&model);
    crs_model_free(&other);
    case_free(&c);
}

static void test_norm(void) {
    for_each_shape(check_norm);
}

/* ---- refused sums -------------------------------------------------------------------------------------*/

/* A plain model of zeros but for the output: the gradient of its only hidden unit at a step is the difference of
 * the two output weights, halved: -size where the target is 0, and each contribution to the bias is that. */
typedef struct probe {
    crs_model *model;
    crs_workspace *workspace;
    int64_t *sums, *trailer;
    float state[64];
    uint32_t tokens[4096];
} probe;

static void set_tensor(crs_model *model, int tensor, float a, float b) {
    float values[2] = {a, b};
    CRS_ASSERT(tensor_size(model, tensor) == 2);
    crs_model_import(model, crs_model_parameters(model), tensor, values);
    crs_model_refresh(model);
}

/* Tensors: embedding, weight_ih, weight_hh, bias_ih, output/weight, output/bias. */
static probe *probe_create(crs_isa isa, int embed, int rows, int steps) {
    crs_spec shape = crs_spec_text(CRS_RNN, 2, embed, 1, 1);
    probe *p = crs_alloc(1, sizeof *p, CRS_MEMORY_OTHER);
    CRS_ASSERT(p != NULL && rows <= 64 && rows * steps <= 4096);
    p->model = model_of(&shape, crs_kernels_of(isa), 1);
    p->workspace = workspace_of(p->model, rows, steps, CRS_TRAINING);
    p->sums = sums_of(p->model);
    p->trailer = p->sums + crs_model_sums(p->model) - CRS_SUM_TRAILER;
    return p;
}

static void probe_free(probe **p) {
    crs_free(&(*p)->sums);
    crs_workspace_free(&(*p)->workspace);
    crs_model_free(&(*p)->model);
    crs_free(p);
}

static void probe_train(probe *p, int rows, int steps, int lane_rows) {
    int starts[65], lanes = (rows + lane_rows - 1) / lane_rows;
    for (int l = 0; l <= lanes; l++)
        starts[l] = l * rows / lanes;
    crs_batch batch = {
        .steps = steps, .rows = rows, .input.tokens = p->tokens, .target.tokens = p->tokens, .state = p->state};
    batch.lanes = lanes;
    batch.lane_starts = starts;
    batch.lane_rows = lane_rows;
    memset(p->sums, 0, crs_model_sums(p->model) * sizeof *p->sums);
    memset(p->state, 0, sizeof p->state);
    crs_model_train(p->model, p->workspace, &batch, p->sums, NULL);
}

/* Up to 2^19, and no further. Both ways into the first layer: gathered embeddings (E = 1), and the table (E = 2). */
static void test_refused_range(void) {
    for (int isa = 0; isa < CRS_ISA_COUNT; isa++)
        for (int embed = 1; embed <= 2 && crs_isa_here((crs_isa)isa); embed++)
            for (int sign = -1; sign <= 1; sign += 2) {
                probe *p = probe_create((crs_isa)isa, embed, 1, 1);
                const float most = 0x1p19f * (float)sign, more = nextafterf(0x1p19f, INFINITY) * (float)sign;
                set_tensor(p->model, 4, most, -most);
                probe_train(p, 1, 1, 1);
                CU_ASSERT_EQUAL(p->trailer[CRS_SUM_REFUSED], 0);
                CU_ASSERT_EQUAL(p->trailer[CRS_SUM_TARGETS], 1);
                CU_ASSERT_DOUBLE_EQUAL((double)p->trailer[CRS_SUM_LOSS] * CRS_SUM_STEP, log(2), 1e-6);
                float *gradient = floats(crs_model_arena(p->model)), bias;
                crs_model_gradient(p->model, NULL, 0, p->sums, gradient);
                crs_model_export(p->model, gradient, 3, &bias);
                CU_ASSERT_EQUAL(bias, -most);
                set_tensor(p->model, 4, more, -more);
                probe_train(p, 1, 1, 1);
                CU_ASSERT_EQUAL(p->trailer[CRS_SUM_REFUSED], 1);
                crs_free(&gradient);
                probe_free(&p);
            }
}

/* Where every contribution to the bias is refused, they can be counted: as many as crs_contributions says. */
static void test_contributions(void) {
    static const int sizes[][3] = {{1, 1, 1},   {5, 3, 2},   {13, 17, 1}, {13, 300, 3},
                                   {8, 256, 1}, {8, 257, 1}, {9, 64, 4},  {10, 100, 3}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int rows = sizes[k][0], steps = sizes[k][1], lane_rows = sizes[k][2],
            lanes = (rows + lane_rows - 1) / lane_rows;
        probe *p = probe_create(crs_isa_best(), 1, rows, steps);
        set_tensor(p->model, 4, 0x1p21f, -0x1p21f);
        probe_train(p, rows, steps, lane_rows);
        CU_ASSERT_EQUAL(p->trailer[CRS_SUM_REFUSED], crs_contributions(lanes, lane_rows, steps));
        probe_free(&p);
    }
    CU_ASSERT(crs_contributions(8, 7, 50) <= 4095);
    CU_ASSERT(crs_contributions(4096, 1, 1) > 4095);
    CU_ASSERT_EQUAL(crs_contributions(4095, 1, 1), 4095);
    CU_ASSERT_EQUAL(crs_contributions(2, 1, 1 << 20), 2 * crs_contributions(1, 1, 1 << 20));
    CU_ASSERT(crs_contributions(1, 1, 1 << 20) >= (1 << 20) / 512);
}

static void test_refused_loss(void) {
    probe *p = probe_create(crs_isa_best(), 1, 1, 1);
    set_tensor(p->model, 5, 0, 4e3f);
    probe_train(p, 1, 1, 1);
    CU_ASSERT_EQUAL(p->trailer[CRS_SUM_REFUSED], 0);
    CU_ASSERT_EQUAL(p->trailer[CRS_SUM_LOSS], (int64_t)4000 << 32);
    set_tensor(p->model, 5, 0, 5e3f);
    probe_train(p, 1, 1, 1);
    CU_ASSERT_EQUAL(p->trailer[CRS_SUM_REFUSED], 1);
    probe_free(&p);
}

/* A value that is not finite in any tensor is noticed, without a trap, and counted alike by every instruction set
 * and any threads. first_tensor: the first that is tried, below 0 from the end. */
static void check_not_finite(const crs_spec *shape, int first_tensor, float bad) {
    nn_case c;
    case_create(&c, shape, 5, 6, 2, 0, 8);
    for (int k = first_tensor < 0 ? c.ref->tensors + first_tensor : first_tensor; k < c.ref->tensors; k++) {
        double kept = c.ref->tensor[k].values[0];
        if (k == 0 && shape->embed > 0)
            c.inputs[0] = 0; /* so that the bad embedding is read */
        c.ref->tensor[k].values[0] = (double)bad;
        int64_t first = -1;
        for (int isa = CRS_ISA_BASELINE; isa < CRS_ISA_COUNT; isa++) {
            if (!crs_isa_here((crs_isa)isa))
                continue;
            crs_model *model = case_model(&c, crs_kernels_of((crs_isa)isa), 1 + isa % 2);
            crs_workspace *workspace = case_workspace(&c, model);
            int64_t *sums = sums_of(model), *trailer = sums + crs_model_sums(model) - CRS_SUM_TRAILER;
            float *state = case_state(&c);
            crs_batch batch = case_batch(&c, state);
            crs_model_train(model, workspace, &batch, sums, NULL);
            first = first < 0 ? trailer[CRS_SUM_REFUSED] : first;
            if (trailer[CRS_SUM_REFUSED] == 0)
                fprintf(stderr, "%s, %s = %g: nothing refused\n", case_name(&c), c.ref->tensor[k].name, (double)bad);
            CU_ASSERT(trailer[CRS_SUM_REFUSED] > 0);
            CU_ASSERT_EQUAL(trailer[CRS_SUM_REFUSED], first);
            CU_ASSERT_EQUAL(trailer[CRS_SUM_TARGETS], 30);
            crs_free(&state);
            crs_free(&sums);
            crs_workspace_free(&workspace);
            crs_model_free(&model);
        }
        c.ref->tensor[k].values[0] = kept;
    }
    case_free(&c);
}

static void test_refused_nan(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        crs_spec shape = crs_spec_text((crs_cell)cell, 9, 4, 18, 2);
        check_not_finite(&shape, 0, NAN);
        /* The two of the output; elsewhere these only saturate. */
        check_not_finite(&shape, -2, INFINITY);
        check_not_finite(&shape, -2, FLT_MAX);
        for (int variant = 0; variant < VARIANTS; variant++) {
            shape = variant_of((crs_cell)cell, variant);
            shape.gather = false; /* or what is bad might be dropped out */
            check_not_finite(&shape, 0, NAN);
        }
    }
}

/* A refused step leaves nothing behind in a workspace: the next one with good values has the bits of a first one. */
static void test_refused_forgotten(void) {
    for (int turn = 0; turn < CRS_CELLS * (1 + VARIANTS); turn++) {
        const int cell = turn % CRS_CELLS, variant = turn / CRS_CELLS - 1;
        crs_spec shape = crs_spec_text((crs_cell)cell, 9, cell % 2 == 0 ? 4 : 12, 18, 2);
        if (variant >= 0)
            shape = variant_of((crs_cell)cell, variant);
        nn_case c;
        case_create(&c, &shape, 5, 6, 2, 0.2f, 8);
        crs_model *model = case_model(&c, best(), 1), *spoilt = case_model(&c, best(), 1);
        crs_workspace *workspace = case_workspace(&c, model), *used = case_workspace(&c, spoilt);
        int64_t *first = sums_of(model), *second = sums_of(model);
        float *state = case_state(&c);
        crs_batch batch = case_batch(&c, state);
        crs_model_train(model, workspace, &batch, first, NULL);
        size_t bytes = crs_model_arena(model) * sizeof(float);
        memset(crs_model_parameters(spoilt), 0xff, bytes); /* NaN, in the padding too */
        crs_model_refresh(spoilt);
        memcpy(state, c.state, case_state_size(&c) * sizeof *state);
        crs_model_train(spoilt, used, &batch, second, NULL);
        memcpy(crs_model_parameters(spoilt), crs_model_parameters(model), bytes);
        crs_model_refresh(spoilt);
        memcpy(state, c.state, case_state_size(&c) * sizeof *state);
        memset(second, 0, crs_model_sums(model) * sizeof *second);
        crs_model_train(spoilt, used, &batch, second, NULL);
        CU_ASSERT_EQUAL(memcmp(first, second, crs_model_sums(model) * sizeof *first), 0);
        crs_free(&state);
        crs_free(&first);
        crs_free(&second);
        crs_workspace_free(&workspace);
        crs_workspace_free(&used);
        crs_model_free(&model);
        crs_model_free(&spoilt);
        case_free(&c);
    }
}

/* ---- evaluation, generation ---------------------------------------------------------------------------*/

/* Evaluation gives training's loss and state, bit for bit, where there is no dropout; and knows of none itself. */
static void check_evaluate(const crs_spec *shape) {
    nn_case c;
    case_create(&c, shape, 5, 7, 2, 0, 12);
    crs_model *model = case_model(&c, best(), 1);
    crs_workspace *workspace = case_workspace(&c, model), *forward = workspace_of(model, 6, 9, CRS_FORWARD);
    int64_t *sums = sums_of(model), trailer[CRS_SUM_TRAILER] = {0};
    float *trained = case_state(&c), *evaluated = case_state(&c);
    crs_batch batch = case_batch(&c, trained);
    batch.input_dropout = 0;
    crs_model_train(model, workspace, &batch, sums, NULL);
    batch.state = evaluated;
    batch.dropout = batch.input_dropout = batch.input_noise = 0.5f;
    batch.lanes = 0;
    batch.lane_starts = NULL;
    crs_model_evaluate(model, forward, &batch, trailer, NULL);
    CU_ASSERT_EQUAL(memcmp(trailer, sums + crs_model_sums(model) - CRS_SUM_TRAILER, sizeof trailer), 0);
    CU_ASSERT_EQUAL(memcmp(trained, evaluated, case_state_size(&c) * sizeof *trained), 0);
    CU_ASSERT_EQUAL(trailer[CRS_SUM_TARGETS], 35);
    CU_ASSERT_EQUAL(trailer[CRS_SUM_LOSS] == 0, shape->input_size == 1);
    batch.rows = 0;
    crs_model_evaluate(model, forward, &batch, trailer, NULL);
    CU_ASSERT_EQUAL(trailer[CRS_SUM_TARGETS], 35);
    crs_free(&trained);
    crs_free(&evaluated);
    crs_free(&sums);
    crs_workspace_free(&workspace);
    crs_workspace_free(&forward);
    crs_model_free(&model);
    case_free(&c);
}

static void test_evaluate(void) {
    for_each_shape(check_evaluate);
}

/* What is gathered for training alone evaluates to the same bits without. */
static void test_evaluate_gathered(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int embed = 0; embed < 50; embed += 12) {
            crs_spec shape = crs_spec_text((crs_cell)cell, 11, embed, 21, 2);
            int64_t trailer[2][CRS_SUM_TRAILER] = {{0}};
            for (int gather = 0; gather < 2; gather++) {
                nn_case c;
                shape.gather = gather;
                case_create(&c, &shape, 5, 7, 2, 0, 12);
                crs_model *model = case_model(&c, best(), 1);
                crs_workspace *forward = workspace_of(model, 5, 7, CRS_FORWARD);
                float *state = case_state(&c);
                crs_batch batch = case_batch(&c, state);
                crs_model_evaluate(model, forward, &batch, trailer[gather], NULL);
                crs_free(&state);
                crs_workspace_free(&forward);
                crs_model_free(&model);
                case_free(&c);
            }
            CU_ASSERT_EQUAL(memcmp(trailer[0], trailer[1], sizeof *trailer), 0);
        }
}

static double loss_of(const float *logits, int vocabulary, uint32_t target) {
    double highest = -INFINITY, sum = 0;
    for (int v = 0; v < vocabulary; v++)
        highest = fmax(highest, (double)logits[v]);
    for (int v = 0; v < vocabulary; v++)
        sum += exp((double)logits[v] - highest);
    return highest + log(sum) - (double)logits[target];
}

/* Token by token: the same state, bit for bit, and logits that give the same loss. */
static void check_step(const crs_spec *shape) {
    nn_case c;
    if (shape->bidirectional)
        return;
    case_create(&c, shape, 3, 6, 1, 0, 14);
    crs_model *model = case_model(&c, best(), 1);
    crs_workspace *workspace = workspace_of(model, 3, 6, CRS_FORWARD), *one = workspace_of(model, 4, 1, CRS_FORWARD);
    float *state = case_state(&c), *stepped = case_state(&c), *logits = floats(3 * (size_t)shape->input_size);
    int64_t trailer[CRS_SUM_TRAILER] = {0};
    crs_batch batch = case_batch(&c, state);
    crs_model_evaluate(model, workspace, &batch, trailer, NULL);
    double loss = 0;
    for (int t = 0; t < c.steps; t++) {
        crs_batch now = {.steps = 1, .rows = 3, .input.tokens = c.inputs + t * 3, .state = stepped};
        crs_model_step(model, one, &now, logits);
        for (int r = 0; r < 3; r++)
            loss += loss_of(logits + r * shape->input_size, shape->input_size, c.targets[t * 3 + r]);
    }
    CU_ASSERT_EQUAL(memcmp(state, stepped, case_state_size(&c) * sizeof *state), 0);
    CU_ASSERT_DOUBLE_EQUAL(loss, (double)trailer[CRS_SUM_LOSS] * CRS_SUM_STEP, 1e-5 * (loss + 1e-3));
    crs_free(&state);
    crs_free(&stepped);
    crs_free(&logits);
    crs_workspace_free(&workspace);
    crs_workspace_free(&one);
    crs_model_free(&model);
    case_free(&c);
}

static void test_step(void) {
    for_each_shape(check_step);
}

/* ---- memory -------------------------------------------------------------------------------------------*/

/* A warm step, all of it, allocates nothing. */
static void check_no_allocation(const crs_spec *shape) {
    nn_case c;
    case_create(&c, shape, 5, 7, 2, 0.2f, 15);
    crs_model *model = case_model(&c, best(), 2);
    crs_workspace *workspace = case_workspace(&c, model);
    int64_t *sums = sums_of(model);
    float *gradient = floats(crs_model_arena(model)), *state = case_state(&c),
          *logits = floats(5 * (size_t)shape->input_size);
    int64_t before = 0, rows = 0;
    for (int i = 0; i < crs_model_tensors(model); i++)
        rows += crs_model_tensor(model, i)->dims[0];
    double *squares = crs_alloc((size_t)rows, sizeof *squares, CRS_MEMORY_OTHER);
    for (int step = 0; step < 2; step++) {
        crs_batch batch = case_batch(&c, state);
        crs_model_train(model, workspace, &batch, sums, NULL);
        crs_model_gradient(model, NULL, 0, sums, gradient);
        crs_model_squares(model, NULL, 0, gradient, squares);
        CU_ASSERT(crs_norm_of(squares, rows) >= 0);
        crs_model_refresh(model);
        crs_model_evaluate(model, workspace, &batch, sums + crs_model_sums(model) - CRS_SUM_TRAILER, NULL);
        crs_batch now = {.steps = 1, .rows = 5, .input.tokens = c.inputs, .state = state};
        crs_model_step(model, workspace, &now, logits);
        if (step == 0)
            before = crs_memory_allocations();
    }
    CU_ASSERT_EQUAL(crs_memory_allocations(), before);
    crs_free(&squares);
    crs_free(&sums);
    crs_free(&gradient);
    crs_free(&state);
    crs_free(&logits);
    crs_workspace_free(&workspace);
    crs_model_free(&model);
    case_free(&c);
}

static void test_no_allocation(void) {
    for_each_shape(check_no_allocation);
}

/* ---- what a pass tells on its way back ---- */

typedef struct listener {
    const int64_t *sums;
    int64_t *seen; /* what was said to be complete, as it stood then */
    size_t complete;
    int told, early, progress; /* early: how often some, but not all, was complete */
    size_t all;
} listener;

static void on_ready(void *context, size_t complete) {
    listener *l = context;
    CU_ASSERT(complete >= l->complete && complete <= l->all);
    memcpy(l->seen + l->complete, l->sums + l->complete, (complete - l->complete) * sizeof *l->seen);
    l->complete = complete;
    l->told++;
    l->early += complete > 0 && complete < l->all;
}

static void on_progress(void *context) {
    ((listener *)context)->progress++;
}

/* Sums are complete in the order in which they stand, part by part, long before the pass ends. */
static void check_watch_of(const crs_spec *shape, int rows, int steps, bool is_ragged) {
    const int layers = shape->layers, ways = shape->bidirectional ? 2 : 1;
    nn_case c;
    case_ragged ragged;
    case_create(&c, shape, rows, steps, 2, 0.2f, 19);
    for (int threads = 1; threads <= 3; threads++) {
        crs_model *model = case_model(&c, best(), threads);
        crs_workspace *workspace = case_workspace(&c, model);
        int64_t *sums = sums_of(model), *seen = sums_of(model);
        float *state = case_state(&c);
        const crs_batch batch = is_ragged ? case_ragged_batch(&ragged, &c, -1, c.lanes, state) : case_batch(&c, state);
        listener l = {.sums = sums, .seen = seen, .all = crs_model_sums(model) - CRS_SUM_TRAILER};
        const crs_watch watch = {.ready = on_ready, .progress = on_progress, .context = &l};
        crs_model_train(model, workspace, &batch, sums, &watch);
        CU_ASSERT_EQUAL(l.complete, l.all);
        CU_ASSERT_EQUAL(memcmp(seen, sums, l.all * sizeof *sums), 0);
        CU_ASSERT(l.told >= layers + 1 && l.early >= layers);
        CU_ASSERT(l.progress >= 2 * ways * layers * steps);
        crs_free(&sums);
        crs_free(&seen);
        crs_free(&state);
        crs_workspace_free(&workspace);
        crs_model_free(&model);
    }
    case_free(&c);
}

static void check_watch(const crs_spec *shape) {
    check_watch_of(shape, 26, 5, false);
    check_watch_of(shape, 13, 9, true);
}

/* Also where the output goes chunk by chunk, of some 400 pairs. */
static void test_watch(void) {
    for_each_shape(check_watch);
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        const crs_spec large = crs_spec_text((crs_cell)cell, 2500, 9, 18, 2);
        check_watch_of(&large, 26, 40, false);
        check_watch_of(&large, 13, 120, true);
    }
}

/* ---- shards ---- */

static const crs_spec shard_specs[] = {
    {.cell = CRS_LSTM, .input = CRS_INPUT_TOKENS, .input_size = 65, .embed = 20, .hidden = 130, .layers = 3},
    {.cell = CRS_GRU,
     .input = CRS_INPUT_TOKENS,
     .input_size = 1000,
     .embed = 70,
     .hidden = 70,
     .layers = 2,
     .tie = true},
    {.cell = CRS_PEEPHOLE,
     .input = CRS_INPUT_TOKENS,
     .input_size = 30,
     .hidden = 100,
     .layers = 2,
     .bidirectional = true},
    {.cell = CRS_RNN, .input = CRS_INPUT_TOKENS, .input_size = 9, .embed = 5, .hidden = 17, .layers = 1}};
enum { SHARD_SPECS = sizeof shard_specs / sizeof *shard_specs };

static crs_spec shard_spec(int i) {
    const crs_spec *given = &shard_specs[i];
    crs_spec spec = crs_spec_text(given->cell, given->input_size, given->embed, given->hidden, given->layers);
    spec.tie = given->tie;
    spec.bidirectional = given->bidirectional;
    return spec;
}

/* Each parameter and each sum has one owner, who has whole rows; none has much more than the others. */
static void check_shards(const crs_model *model, const crs_shards *s) {
    const size_t arena = crs_model_arena(model), sums = crs_model_sums(model) - CRS_SUM_TRAILER;
    int *owner = crs_alloc(arena, sizeof *owner, CRS_MEMORY_OTHER);
    float *index = floats(arena);
    size_t most = 0, owned = 0;
    for (int r = 0; r < s->owners; r++) {
        int first;
        const int runs = crs_shards_runs(s, r, &first);
        for (int i = first; i < first + runs; i++)
            for (size_t at = s->run[i].at; at < s->run[i].at + s->run[i].count; at++) {
                CU_ASSERT_EQUAL(owner[at], 0);
                owner[at] = r + 1;
            }
        owned += crs_shards_owned(s, r);
        most = crs_shards_owned(s, r) > most ? crs_shards_owned(s, r) : most;
    }
    CU_ASSERT_EQUAL(owned, arena);
    CU_ASSERT(arena < 100000 || most < 2 * arena / (size_t)s->owners);
    size_t at = 0;
    for (int k = 0; k < s->regions; k++) {
        const size_t *bound = s->bound + k * (s->owners + 1);
        CU_ASSERT_EQUAL(bound[0], at);
        for (int r = 0; r < s->owners; r++)
            CU_ASSERT(bound[r] <= bound[r + 1] && bound[r] % CRS_BLOCK == 0);
        at = bound[s->owners];
    }
    CU_ASSERT_EQUAL(at, sums);
    for (size_t i = 0; i < arena; i++)
        index[i] = (float)owner[i];
    int64_t row = 0;
    for (int i = 0; i < crs_model_tensors(model); i++) {
        const crs_tensor *tensor = crs_model_tensor(model, i);
        float *values = floats((size_t)crs_tensor_size(tensor));
        crs_model_export(model, index, i, values);
        int torn = 0;
        for (int64_t j = 0; j < tensor->dims[0]; j++, row++)
            for (int64_t k = 0; k < tensor->dims[1]; k++)
                torn += values[j * tensor->dims[1] + k] != (float)(s->owner_of_row[row] + 1);
        CU_ASSERT_EQUAL(torn, 0);
        crs_free(&values);
    }
    CU_ASSERT_EQUAL(row, s->rows);
    crs_free(&owner);
    crs_free(&index);
}

static void test_shards(void) {
    for (int i = 0; i < SHARD_SPECS; i++)
        for (int owners = 1; owners <= 40; owners += owners < 6 ? 1 : 17) {
            const crs_spec spec = shard_spec(i);
            crs_error error = {0};
            crs_model *model;
            crs_shards shards;
            CU_ASSERT_EQUAL_FATAL(crs_model_create(&model, &spec, best(), 1, &error), CRS_OK);
            CU_ASSERT_EQUAL_FATAL(crs_shards_create(&shards, model, owners, &error), CRS_OK);
            check_shards(model, &shards);
            crs_shards_free(&shards);
            crs_model_free(&model);
        }
}

/* What each owner makes of its own sums, put together, is the gradient, and its squares. */
static void check_owners(crs_model *model, const int64_t *sums, int owners) {
    const size_t arena = crs_model_arena(model);
    float *whole = floats(arena), *part = floats(arena);
    crs_shards s;
    crs_error error = {0};
    int wrong = 0;
    CU_ASSERT_EQUAL_FATAL(crs_shards_create(&s, model, owners, &error), CRS_OK);
    double *squares = crs_alloc((size_t)s.rows, sizeof *squares, CRS_MEMORY_OTHER),
           *own = crs_alloc((size_t)s.rows, sizeof *own, CRS_MEMORY_OTHER);
    int64_t *theirs = crs_alloc(crs_model_sums(model), sizeof *theirs, CRS_MEMORY_OTHER);
    crs_model_gradient(model, NULL, 0, sums, whole);
    crs_model_squares(model, NULL, 0, whole, squares);
    for (int r = 0; r < owners; r++) {
        int first;
        const int runs = crs_shards_runs(&s, r, &first);
        memset(part, 0, arena * sizeof *part);
        memcpy(theirs, sums, crs_model_sums(model) * sizeof *theirs);
        for (int k = 0; k < s.regions; k++)
            for (size_t at = s.bound[k * (owners + 1)]; at < s.bound[k * (owners + 1) + owners] && !s.derived[k]; at++)
                if (at < s.bound[k * (owners + 1) + r] || at >= s.bound[k * (owners + 1) + r + 1])
                    theirs[at] = 12345; /* nobody's business */
        crs_model_gradient(model, &s, r, theirs, part);
        crs_model_squares(model, &s, r, part, own);
        for (int i = first; i < first + runs; i++)
            wrong += memcmp(part + s.run[i].at, whole + s.run[i].at, s.run[i].count * sizeof *part) != 0;
        for (int64_t i = 0; i < s.rows; i++)
            wrong += s.owner_of_row[i] == r && own[i] != squares[i];
    }
    CU_ASSERT_EQUAL(wrong, 0);
    crs_free(&theirs);
    crs_free(&squares);
    crs_free(&own);
    crs_free(&whole);
    crs_free(&part);
    crs_shards_free(&s);
}

typedef struct supplier {
    crs_model *model;
    const crs_shards *shards;
    const float *right; /* the parameters as they should be */
    int stages, asked;
} supplier;

/* The parameters of a stage come when they are asked for, not before. */
static int on_wanted(void *context, int part) {
    supplier *s = context;
    float *parameters = crs_model_parameters(s->model);
    CU_ASSERT_EQUAL(part, s->asked++);
    for (int stage = 0; stage < s->shards->stages; stage++)
        if (s->shards->stage_part[stage] == part) {
            for (int i = s->shards->first_run[stage]; i < s->shards->first_run[stage + 1]; i++)
                memcpy(parameters + s->shards->run[i].at, s->right + s->shards->run[i].at,
                       s->shards->run[i].count * sizeof *parameters);
            s->stages++;
            return s->shards->stage_part[stage + 1] - part;
        }
    return 0;
}

static void check_wanted(const crs_spec *spec, int threads) {
    nn_case c;
    case_create(&c, spec, 26, 5, 2, 0.2f, 19);
    crs_model *model = case_model(&c, best(), threads);
    crs_workspace *workspace = case_workspace(&c, model);
    const size_t arena = crs_model_arena(model);
    int64_t *sums = sums_of(model), *wanted = sums_of(model);
    float *state = case_state(&c), *right = floats(arena), *parameters = crs_model_parameters(model);
    crs_shards shards;
    crs_error error = {0};
    CU_ASSERT_EQUAL_FATAL(crs_shards_create(&shards, model, 1, &error), CRS_OK);
    crs_batch batch = case_batch(&c, state);
    crs_model_train(model, workspace, &batch, wanted, NULL);
    memcpy(right, parameters, arena * sizeof *right);
    memset(parameters, 0, arena * sizeof *right);
    crs_model_refresh(model);
    memset(state, 0, 26 * crs_model_state(model) * sizeof *state);
    supplier s = {.model = model, .shards = &shards, .right = right};
    const crs_watch watch = {.wanted = on_wanted, .context = &s};
    float *again = case_state(&c);
    batch = case_batch(&c, again);
    crs_model_train(model, workspace, &batch, sums, &watch);
    CU_ASSERT_EQUAL(memcmp(sums, wanted, crs_model_sums(model) * sizeof *sums), 0);
    CU_ASSERT_EQUAL(s.stages, shards.stages);
    CU_ASSERT(spec->hidden < 100 || shards.stages > 1);
    for (int owners = 1; owners <= 5; owners++)
        check_owners(model, sums, owners);
    crs_shards_free(&shards);
    crs_free(&sums);
    crs_free(&wanted);
    crs_free(&state);
    crs_free(&again);
    crs_free(&right);
    crs_workspace_free(&workspace);
    crs_model_free(&model);
    case_free(&c);
}

static void test_wanted(void) {
    for (int i = 0; i < SHARD_SPECS; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            const crs_spec spec = shard_spec(i);
            check_wanted(&spec, threads);
        }
}

/* ---- numbers on their way ---- */

/* Any number survives, in blocks of every width, as every instruction set packs it; and what was there is added to. */
static void test_packing(void) {
    enum { NUMBERS = 65 * 64 * CRS_BLOCK };
    int64_t *values = crs_alloc(NUMBERS, sizeof *values, CRS_MEMORY_OTHER),
            *back = crs_alloc(NUMBERS, sizeof *back, CRS_MEMORY_OTHER);
    float *after = floats(NUMBERS), *before = floats(NUMBERS);
    uint8_t *packed[2] = {crs_alloc(crs_packed_most(NUMBERS), 1, CRS_MEMORY_OTHER),
                          crs_alloc(crs_packed_most(NUMBERS), 1, CRS_MEMORY_OTHER)};
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t bits[4];
        const unsigned width = (unsigned)(i / CRS_BLOCK % 65);
        crs_random(4, CRS_DRAW_PARAMETER, i, 0, 0, 0, bits);
        const uint64_t zigzag = width == 64 ? bits[0] : bits[0] & (((uint64_t)1 << width) - 1);
        values[i] = (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
        values[i] = i % 1021 == 0 ? INT64_MIN : i % 1031 == 0 ? INT64_MAX : values[i];
        const uint32_t a = (uint32_t)bits[1], b = a + (uint32_t)values[i];
        memcpy(after + i, &a, sizeof a);
        memcpy(before + i, &b, sizeof b);
    }
    size_t bytes = 0;
    for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
        if (!crs_isa_here((crs_isa)isa))
            continue;
        const crs_kernels *kernels = crs_kernels_of((crs_isa)isa);
        const size_t now = crs_pack_sums(kernels, values, NUMBERS, packed[isa > 0]);
        CU_ASSERT(now <= crs_packed_most(NUMBERS));
        CU_ASSERT(isa == 0 || (now == bytes && memcmp(packed[0], packed[1], now) == 0));
        bytes = now;
        CU_ASSERT_EQUAL(crs_unpack_sums(kernels, packed[0], NUMBERS, false, back), bytes);
        CU_ASSERT_EQUAL(memcmp(values, back, NUMBERS * sizeof *back), 0);
        CU_ASSERT_EQUAL(crs_unpack_sums(kernels, packed[0], NUMBERS, true, back), bytes);
        int wrong = 0;
        for (size_t i = 0; i < NUMBERS; i++)
            wrong += (uint64_t)back[i] != 2 * (uint64_t)values[i];
        CU_ASSERT_EQUAL(wrong, 0);
    }
    /* As many bits as the largest of a block needs, and a byte. */
    memset(values, 0, NUMBERS * sizeof *values);
    CU_ASSERT_EQUAL(crs_pack_sums(best(), values, CRS_BLOCK, packed[0]), 1);
    values[3] = -4;
    CU_ASSERT_EQUAL(crs_pack_sums(best(), values, CRS_BLOCK, packed[0]), 1 + 2 * 3);
    for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
        if (!crs_isa_here((crs_isa)isa))
            continue;
        const crs_kernels *kernels = crs_kernels_of((crs_isa)isa);
        float *values32 = floats(NUMBERS);
        memcpy(values32, before, NUMBERS * sizeof *before);
        const size_t now = crs_pack_changes(kernels, after, before, NUMBERS, packed[isa > 0]);
        CU_ASSERT(isa == 0 || (now == bytes && memcmp(packed[0], packed[1], now) == 0));
        bytes = now;
        CU_ASSERT_EQUAL(crs_unpack_changes(kernels, packed[0], NUMBERS, values32), bytes);
        CU_ASSERT_EQUAL(memcmp(values32, after, NUMBERS * sizeof *after), 0);
        crs_free(&values32);
    }
    crs_free(&values);
    crs_free(&back);
    crs_free(&after);
    crs_free(&before);
    crs_free(&packed[0]);
    crs_free(&packed[1]);
}

typedef struct warm {
    nn_case c;
    crs_model *model;
    crs_workspace *workspace;
    crs_optim optim;
    int64_t *sums;
    float *gradient, *state;
    double *squares;
    int64_t rows;
    bool dirty; /* asks the system, to see that it is noticed */
} warm;

static void one_step(void *context) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    warm *w = context;
    crs_batch batch = case_batch(&w->c, w->state);
    crs_phase_begin(CRS_PHASE_READ);
    memset(w->sums, 0, crs_model_sums(w->model) * sizeof *w->sums);
    crs_model_train(w->model, w->workspace, &batch, w->sums, NULL);
    crs_model_gradient(w->model, NULL, 0, w->sums, w->gradient);
    crs_model_squares(w->model, NULL, 0, w->gradient, w->squares);
    const double norm = crs_norm_of(w->squares, w->rows);
    crs_optim_update(&w->optim, best(), &(crs_extent){0, w->optim.n}, 1, crs_model_parameters(w->model), w->gradient,
                     crs_clip_scale(norm, 1), 1e-3, 1);
    crs_model_refresh(w->model);
    if (w->dirty) {
        getuid();
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
}

/* Neither calls of the kernel nor locks: from a window of tokens to new parameters. */
static void check_quiet(const crs_spec *shape) {
    const crs_optimizer_settings settings = {CRS_ADAM, -1, -1, -1, -1, 0};
    warm w = {0};
    count counted;
    crs_error error = {0};
    case_create(&w.c, shape, 5, 7, 2, 0.2f, 15);
    w.model = case_model(&w.c, best(), 1);
    w.workspace = case_workspace(&w.c, w.model);
    w.sums = sums_of(w.model);
    w.gradient = floats(crs_model_arena(w.model));
    w.state = case_state(&w.c);
    for (int i = 0; i < crs_model_tensors(w.model); i++)
        w.rows += crs_model_tensor(w.model, i)->dims[0];
    w.squares = crs_alloc((size_t)w.rows, sizeof *w.squares, CRS_MEMORY_OTHER);
    CU_ASSERT_EQUAL(crs_optim_create(&w.optim, &settings, crs_model_arena(w.model), &error), CRS_OK);
    if (count_system(one_step, &w, &counted)) {
        CU_ASSERT_EQUAL(counted.calls, 0);
        CU_ASSERT_EQUAL(counted.locks, 0);
        w.dirty = true;
        CU_ASSERT(count_system(one_step, &w, &counted));
        CU_ASSERT_EQUAL(counted.calls, 1);
        CU_ASSERT_EQUAL(counted.locks, 1);
    } else {
        harness_skip("this system lets no process be traced");
    }
    crs_optim_free(&w.optim);
    crs_free(&w.squares);
    crs_free(&w.sums);
    crs_free(&w.gradient);
    crs_free(&w.state);
    crs_workspace_free(&w.workspace);
    crs_model_free(&w.model);
    case_free(&w.c);
}

static void test_quiet(void) {
    for_each_shape(check_quiet);
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_cells),
                                         HARNESS_TEST(test_refused_shapes),
                                         HARNESS_TEST(test_out_of_memory),
                                         HARNESS_TEST(test_round_trip),
                                         HARNESS_TEST(test_padding),
                                         HARNESS_TEST(test_initial),
                                         HARNESS_TEST(test_input_bias),
                                         HARNESS_TEST(test_initial_same),
                                         HARNESS_TEST(test_norm),
                                         HARNESS_TEST(test_refused_range),
                                         HARNESS_TEST(test_refused_loss),
                                         HARNESS_TEST(test_refused_nan),
                                         HARNESS_TEST(test_refused_forgotten),
                                         HARNESS_TEST(test_contributions),
                                         HARNESS_TEST(test_evaluate),
                                         HARNESS_TEST(test_evaluate_gathered),
                                         HARNESS_TEST(test_step),
                                         HARNESS_TEST(test_no_allocation),
                                         HARNESS_TEST(test_shards),
                                         HARNESS_TEST(test_wanted),
                                         HARNESS_TEST(test_packing),
                                         HARNESS_TEST(test_watch),
                                         HARNESS_TEST(test_quiet),
                                         HARNESS_END};
    harness_add("nn", tests);
    return harness_run(argc, argv);
}
