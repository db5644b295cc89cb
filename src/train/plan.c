/* What a run will do, worked out before anything is allocated. */
#include "config.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>

#include "train/plan.h"

/* At most this many contributions to one element, so that no partial sum can wrap (docs/numerics.md). */
enum { CONTRIBUTIONS_MAX = 4095 };

/* Rows that share one pass over the weights each time step. From LARGE_HIDDEN on a layer's weights come from memory,
 * not from a cache, and more rows have to share them. */
enum { PASS_ROWS = 32, LARGE_PASS_ROWS = 64, LARGE_HIDDEN = 1024, THREAD_ROWS = 16 };

/* The batch becomes smaller where it may, and then the window. */
static crs_status fit(crs_settings *settings, int64_t length, const char *unit, const char *data, bool *fitted,
                      crs_error *error) {
    crs_config *config = &settings->config;
    const int64_t targets = length - 1, batch = config->batch, window = config->window;
    const bool own_batch = crs_settings_given(settings, "batch"), own_window = crs_settings_given(settings, "window");
    *fitted = targets / batch < window;
    if (!*fitted)
        return CRS_OK;
    if (own_batch && own_window && targets / window >= 1 && targets / batch >= 1)
        return crs_fail(error, CRS_CONFIG,
                        "%s: its train split of %" PRId64 " %ss is too short for --batch=%" PRId64
                        " with --window=%" PRId64 "; --batch=%" PRId64 " or --window=%" PRId64 " would fit",
                        data, length, unit, batch, window, targets / window, targets / batch);
    if (own_batch && targets / batch < 1)
        return crs_fail(error, CRS_CONFIG,
                        "%s: its train split of %" PRId64 " %ss is too short for --batch=%" PRId64 "; --batch=%" PRId64
                        " would fit%s",
                        data, length, unit, batch, own_window && targets / window >= 1 ? targets / window : targets,
                        own_window && targets / window < 1 ? " with --window=1" : "");
    if (own_window && targets / window < 1)
        return crs_fail(error, CRS_CONFIG,
                        "%s: its train split of %" PRId64 " %ss is too short for --window=%" PRId64
                        "; --window=%" PRId64 " would fit",
                        data, length, unit, window, own_batch ? targets / batch : targets);
    if (own_batch) {
        config->window = targets / batch;
        return CRS_OK;
    }
    config->batch = targets / window >= 1 ? targets / window : 1;
    config->window = window < targets ? window : targets;
    return CRS_OK;
}

static crs_status plan_total(crs_plan *plan, const crs_config *config, crs_error *error) {
    plan->total = config->steps;
    if (config->steps == 0 && __builtin_mul_overflow(config->epochs, plan->windows, &plan->total))
        return crs_fail(error, CRS_CONFIG, "--epochs=%" PRId64 " of %" PRId64 " steps are more than can be counted",
                        config->epochs, plan->windows);
    return CRS_OK;
}

crs_status crs_plan_length(crs_plan *plan, crs_settings *settings, int64_t length, const char *unit, const char *data,
                           crs_error *error) {
    crs_config *config = &settings->config;
    if (length < 2)
        return crs_fail(error, CRS_DATA,
                        "%s: its train split has %" PRId64
                        " %s%s; training needs at least 2 (pack more, or a larger share of it: --split=1,0,0 for all)",
                        data, length, unit, crs_plural(length, "", "s"));
    if (fit(settings, length, unit, data, &plan->fitted, error))
        return error->status;
    plan->stride = (length - 1) / config->batch;
    plan->windows = plan->stride / config->window;
    plan->longest = config->window;
    return plan_total(plan, config, error);
}

/* ---- data of any kind ---- */

/* Sequences longer than this are cut into windows, where nothing speaks against it. */
enum { WHOLE_STEPS = 512 };

static crs_status check_window(const crs_config *config, const crs_dataset *dataset, crs_error *error) {
    if (dataset->text && config->window == 0)
        return crs_fail(error, CRS_CONFIG, "--window=0 is for data sets of sequences, and %s is one text; give steps",
                        dataset->path);
    if (dataset->text || config->window == 0)
        return CRS_OK;
    if (dataset->schema.alignment != CRS_ALIGN_STEP)
        return crs_fail(error, CRS_CONFIG,
                        "--window=%" PRId64 ": %s has one target a sequence, which is read whole; leave --window out",
                        config->window, dataset->path);
    if (config->bidirectional)
        return crs_fail(error, CRS_CONFIG,
                        "--window=%" PRId64 ": --bidirectional reads whole sequences; leave one of them out",
                        config->window);
    return CRS_OK;
}

/* Numbers go into the first layer as they are. What stands for the default is recorded as what it then is: none. */
static crs_status check_embed(crs_settings *settings, const crs_dataset *dataset, crs_error *error) {
    crs_config *config = &settings->config;
    if (dataset->schema.inputs == CRS_INPUT_TOKENS)
        return CRS_OK;
    if (crs_settings_given(settings, "embed") && config->embed > 0)
        return crs_fail(error, CRS_CONFIG,
                        "--embed=%" PRId64 ": an embedding is of tokens, and a step of %s is %d %s%s; leave it out",
                        config->embed, dataset->path, dataset->schema.input_size,
                        dataset->schema.inputs == CRS_INPUT_BITS ? "bit" : "number",
                        crs_plural(dataset->schema.input_size, "", "s"));
    config->embed = 0;
    return CRS_OK;
}

static crs_status check_training(const crs_dataset *dataset, crs_error *error) {
    const crs_schema *schema = &dataset->schema;
    bool any;
    if (dataset->text)
        return CRS_OK;
    if (crs_dataset_rows(dataset, CRS_TRAIN) == 0 && crs_schema_is_forecast(schema))
        return crs_fail(error, CRS_DATA,
                        "%s: no sequence of its train split is as long as context and horizon, %" PRId64
                        " steps; pack longer ones, or with less of either",
                        dataset->path, schema->context + schema->horizon);
    if (crs_dataset_rows(dataset, CRS_TRAIN) == 0)
        return crs_fail(error, CRS_DATA, "%s: its train split is empty; pack more, or a larger share of it",
                        dataset->path);
    if (crs_dataset_any_target(dataset, CRS_TRAIN, &any, error) || any)
        return error->status;
    return crs_fail(error, CRS_DATA,
                    "%s: its train split has nothing to be learned: no target %shas a weight above 0; mend the file "
                    "(docs/formats.md), or pack it again",
                    dataset->path,
                    schema->targets == CRS_TARGET_NEXT ? "(a step behind the first of a sequence, and its lead) " : "");
}

/* A row is a sequence. */
static void plan_whole(crs_plan *plan, crs_settings *settings, const crs_dataset *dataset) {
    const crs_sequences *train = &dataset->sequences[CRS_TRAIN];
    const bool forecast = crs_schema_is_forecast(&dataset->schema);
    const int64_t rows = crs_dataset_rows(dataset, CRS_TRAIN);
    plan->longest = forecast ? dataset->schema.context : train->longest;
    plan->fitted = !crs_settings_given(settings, "batch") && !plan->resumed && rows < settings->config.batch;
    if (plan->fitted)
        settings->config.batch = rows;
}

/* That of training, and beside it that of a validation. */
static double data_memory(const crs_dataset *dataset, const crs_config *config) {
    const crs_feed_plan train = {
        .split = CRS_TRAIN, .batch = config->batch, .window = config->window, .order = config->order};
    const crs_feed_plan validation = {
        .split = CRS_VALIDATION, .once = true, .end = crs_dataset_rows(dataset, CRS_VALIDATION)};
    return dataset->text ? 0 : crs_feed_memory(dataset, &train) + crs_feed_memory(dataset, &validation);
}

crs_status crs_plan_data(crs_plan *plan, crs_settings *settings, const crs_dataset *dataset, crs_error *error) {
    crs_config *config = &settings->config;
    const crs_sequences *train = &dataset->sequences[CRS_TRAIN];
    const bool whole =
        dataset->schema.alignment != CRS_ALIGN_STEP || config->bidirectional || train->longest <= WHOLE_STEPS;
    if (!dataset->text && !crs_settings_given(settings, "window") && !plan->resumed && whole)
        config->window = 0;
    if (check_training(dataset, error) || check_window(config, dataset, error) || check_embed(settings, dataset, error))
        return error->status;
    if (config->window > 0) { /* streams: as of one text */
        const char *unit = dataset->schema.inputs == CRS_INPUT_TOKENS ? "token" : "step";
        if (crs_plan_length(plan, settings, dataset->length[CRS_TRAIN], unit, dataset->path, error) == CRS_OK)
            plan->data = data_memory(dataset, config);
        return error->status;
    }
    plan_whole(plan, settings, dataset);
    plan->data = data_memory(dataset, config);
    const crs_feed_plan feed = {.split = CRS_TRAIN, .batch = config->batch, .change = config->change};
    plan->windows = crs_epoch_steps(dataset, &feed);
    return plan_total(plan, config, error);
}

crs_status crs_plan_spec(const crs_config *config, const crs_schema *schema, crs_spec *spec, crs_error *error) {
    const crs_spec wanted = {.embed = (int)(config->embed < 0 ? config->hidden : config->embed),
                             .cell = config->cell,
                             .hidden = (int)config->hidden,
                             .layers = (int)config->layers,
                             .bidirectional = config->bidirectional,
                             .layer_norm = config->layer_norm,
                             .residual = config->residual,
                             .tie = config->tie,
                             .change = config->change,
                             .pool = config->pool,
                             .gather = config->input_dropout > 0};
    crs_spec_for(schema, &wanted, (crs_head_kind)(CRS_HEAD_MSE + config->loss), spec, error);
    if (error->status == CRS_OK && config->output_bias >= 0 && spec->head != CRS_HEAD_LOGISTIC)
        return crs_fail(error, CRS_CONFIG, "--output-bias: these data have no bits as targets; leave it out");
    return error->status;
}

/* What a step of the input takes where it is no embedding: a one-hot row with a table takes nothing. */
static int input_width(const crs_spec *spec) {
    return spec->input == CRS_INPUT_TOKENS && !spec->bidirectional && !spec->gather ? 0 : spec->input_size;
}

/* Outputs of a chunk, padded; and where a chunk is not all, what they are made of, gathered. */
static double output_floats(const crs_spec *spec, double pass_rows, double steps) {
    const double pairs = spec->alignment == CRS_ALIGN_SEQUENCE ? pass_rows : pass_rows * steps;
    const double chunk = crs_workspace_chunk(spec->outputs, pass_rows, pairs);
    return chunk * (16 * ceil(spec->outputs / 16.0) + (chunk < pairs ? 16 * ceil(crs_spec_width(spec) / 16.0) : 0));
}

/* Inputs and targets: of a text as tokens, of all rows; of sequences as numbers, of a pass. */
static double batch_bytes(const crs_spec *spec, double rows, double pass_rows, double steps) {
    const bool tokens = spec->input == CRS_INPUT_TOKENS;
    const double targets = spec->head == CRS_HEAD_SOFTMAX ? 1 : spec->outputs, pairs = pass_rows * steps;
    if (tokens && spec->targets == CRS_TARGET_NEXT)
        return 16 * rows * steps;
    return 4 * (pairs * (tokens ? 1 : spec->input_size) +
                (spec->alignment == CRS_ALIGN_SEQUENCE ? pass_rows : pairs) * (targets + 1));
}

static double activation_bytes(const crs_config *config, const crs_spec *spec, double rows, double pass_rows,
                               double steps) {
    enum { STATE_COPIES = 3 };
    const double h = spec->hidden, gates = crs_cell_gates(spec->cell) * h, ways = spec->bidirectional ? 2 : 1;
    const double joint = spec->bidirectional || spec->layer_norm || spec->residual ? 6 * ways * h : 0;
    const double layer = ways * (gates + h * (config->dropout > 0 ? 4 : 2)) + joint;
    const double row = spec->layers * layer + 2 * h + spec->embed + (spec->embed > 0 ? 0 : 2.0 * input_width(spec));
    return 4 * (STATE_COPIES * rows * (double)crs_spec_state(spec) + pass_rows * steps * row +
                output_floats(spec, pass_rows, steps)) +
           batch_bytes(spec, rows, pass_rows, steps);
}

/* Numbers of the table of tokens, where there is one: 4 bytes as it is, 8 a sum. */
static double table_numbers(const crs_spec *spec) {
    return crs_spec_has_table(spec) ? (double)spec->input_size * crs_cell_gates(spec->cell) * spec->hidden : 0;
}

double crs_plan_memory(const crs_config *config, const crs_spec *spec, double rows, double pass_rows, double steps) {
    /* The parameters, packed copies, moments, gradient, sums, what travels, and a copy in a checkpoint. */
    enum { PARAMETER_BYTES = 56 };
    return PARAMETER_BYTES * crs_spec_parameters(spec) + 12 * table_numbers(spec) +
           activation_bytes(config, spec, rows, pass_rows, steps);
}

/* Rows that go through the network together. */
static double pass_rows_of(const crs_plan *plan, const crs_config *config, int ranks, int threads) {
    const double rows = ceil((double)config->batch / ranks);
    const double lanes = (double)(config->lanes > 0 ? config->lanes : config->batch);
    const double lane_rows = config->lane > 0 ? (double)config->lane : ceil((double)config->batch / lanes);
    const double most = config->window > 0 ? rows : crs_plan_pass_pairs(plan, config, threads) / (double)plan->longest;
    return fmin(fmax(lane_rows, fmin(crs_plan_pass_rows(config, threads), fmax(most, 1))), rows);
}

crs_plan_bytes crs_plan_bytes_of(const crs_plan *plan, const crs_config *config, int ranks, int threads, int moments) {
    const double all = crs_spec_parameters(&plan->spec), table = table_numbers(&plan->spec), own = all / ranks;
    const double rows = ceil((double)config->batch / ranks);
    crs_plan_bytes b = {.parameters = 8 * all + 4 * table, /* as they are, and in another order */
                        .gradients = 12 * all + 8 * table, /* sums, and what comes of them */
                        .moments = 4 * moments * own,
                        .data = plan->data};
    if (ranks > 1) /* sums on their way in and out; an owner's parameters as they were */
        b.messages = 2 * (double)crs_packed_most(CRS_BLOCK) / CRS_BLOCK * (all + table - own) + 4 * own;
    b.activations =
        activation_bytes(config, &plan->spec, rows, pass_rows_of(plan, config, ranks, threads), (double)plan->longest);
    b.all = b.parameters + b.gradients + b.moments + b.messages + b.activations + b.data;
    return b;
}

/* Whether the machine could hold it. The option named is the one that weighs most. */
static crs_status check_memory(const crs_plan *plan, const crs_config *config, int ranks, double memory,
                               crs_error *error) {
    const crs_spec *spec = &plan->spec;
    const char *elsewhere = plan->resumed ? "more memory, or fewer ranks on each node," : NULL;
    const double rows = ceil((double)config->batch / ranks);
    const double pass_rows = pass_rows_of(plan, config, ranks, 1);
    const double wanted = plan->data + crs_plan_memory(config, spec, rows, pass_rows, (double)plan->longest);
    const double giga = 1e9;
    if (wanted <= memory)
        return CRS_OK;
    if (plan->data > memory / 2) {
        const bool shuffles = config->window == 0 && config->order != CRS_ORDER_FILE && !plan->resumed;
        return crs_fail(error, CRS_CONFIG,
                        "pages of the data and the order of an epoch need up to %.1f GB a rank, and this machine has "
                        "%.1f GB for each; %sfewer ranks on each node would do",
                        plan->data / giga, memory / giga, shuffles ? "--order=file, or " : "");
    }
    if (crs_plan_memory(config, spec, 0, 0, 0) <= memory / 2)
        return crs_fail(error, CRS_CONFIG,
                        "--window=%" PRId64 " with --batch=%" PRId64 " and --hidden=%" PRId64
                        " needs about %.0f GB a rank, and this machine has %.1f GB for each; %s would do",
                        config->window, config->batch, config->hidden, wanted / giga, memory / giga,
                        elsewhere ? elsewhere : "a smaller --window or --batch");
    char embed[40] = "";
    if (config->embed >= 0 && spec->input == CRS_INPUT_TOKENS)
        snprintf(embed, sizeof embed, ", --embed=%" PRId64, config->embed);
    return crs_fail(error, CRS_CONFIG,
                    "a model of --hidden=%" PRId64 ", --layers=%" PRId64
                    "%s has %.3g parameters and needs about %.0f GB a rank, and "
                    "this machine has %.1f GB for each; %s would do",
                    config->hidden, config->layers, embed, crs_spec_parameters(spec), wanted / giga, memory / giga,
                    elsewhere ? elsewhere : "a smaller model");
}

/* More ranks than lanes, where no other lane or batch would do: a run that goes on has its own, and little data have no
 * more rows. */
static crs_status check_lanes(const crs_plan *plan, const crs_config *config, int ranks, crs_error *error) {
    const int batch = (int)config->batch;
    const bool too_short = config->window > 0 ? ranks > plan->stride * config->batch : plan->fitted && ranks > batch;
    crs_lanes lanes;
    crs_error ignored;
    if (crs_lanes_plan(&lanes, batch, (int)plan->longest, (int)config->lane, (int)config->lanes, 0, 1, &ignored) !=
            CRS_OK ||
        ranks <= lanes.lanes || (!plan->resumed && !too_short))
        return CRS_OK;
    char fresh[96] = "";
    if (!too_short && ranks > batch)
        snprintf(fresh, sizeof fresh, ", or start over with --fresh and a larger --batch");
    else if (!too_short)
        snprintf(fresh, sizeof fresh, ", or start over with --fresh and a --lane of at most %d", batch / ranks);
    return crs_fail(error, CRS_CONFIG, "%d ranks are more than the %d lanes of %s; at most %d ranks would do%s", ranks,
                    lanes.lanes, plan->resumed ? plan->resumed : "so little data", lanes.lanes, fresh);
}

static crs_status check_contributions(const crs_plan *plan, const crs_config *config, int rank, int ranks,
                                      crs_error *error) {
    const int window = (int)plan->longest, batch = plan->lanes.batch;
    const int64_t made = crs_contributions(plan->lanes.lanes, plan->lanes.lane_rows, window);
    if (made <= CONTRIBUTIONS_MAX)
        return CRS_OK;
    char would[64] = "a smaller --batch or --window would do";
    const bool counted = config->lanes > 0; /* it was --lanes that chose them */
    for (int lane = plan->lanes.lane_rows + 1; lane <= batch / ranks; lane++) {
        crs_lanes lanes;
        crs_error ignored;
        const int count = (batch + lane - 1) / lane;
        if (crs_lanes_plan(&lanes, batch, window, counted ? 0 : lane, counted ? count : 0, rank, ranks, &ignored))
            break;
        if (crs_contributions(lanes.lanes, lanes.lane_rows, window) <= CONTRIBUTIONS_MAX) {
            snprintf(would, sizeof would, "--%s=%d would do", counted ? "lanes" : "lane", counted ? count : lane);
            break;
        }
    }
    return crs_fail(error, CRS_CONFIG,
                    "--batch=%d with %s%d in lanes of %d rows adds %" PRId64
                    " numbers to one element, and an exact sum takes %d; %s",
                    batch, config->window > 0 ? "--window=" : "sequences of up to ", window, plan->lanes.lane_rows,
                    made, CONTRIBUTIONS_MAX, would);
}

crs_status crs_plan_ranks(crs_plan *plan, const crs_config *config, const crs_schema *schema, int rank, int ranks,
                          double memory, crs_error *error) {
    const int64_t most = INT_MAX / 4;
    if (config->batch > most || config->window > most || config->lane > most || config->lanes > most)
        return crs_fail(error, CRS_CONFIG, "--batch, --window, --lane and --lanes can be %" PRId64 " at most", most);
    if (plan->longest > most)
        return crs_fail(error, CRS_CONFIG,
                        "a sequence of %" PRId64 " steps is too long to be taken whole; give a --window",
                        plan->longest);
    if (crs_plan_spec(config, schema, &plan->spec, error) || check_memory(plan, config, ranks, memory, error) ||
        check_lanes(plan, config, ranks, error) ||
        crs_lanes_plan(&plan->lanes, (int)config->batch, (int)plan->longest, (int)config->lane, (int)config->lanes,
                       rank, ranks, error))
        return error->status;
    return check_contributions(plan, config, rank, ranks, error);
}

/* The nearest number of steps to so many epochs. */
static int64_t steps_of(const crs_plan *plan, double epochs) {
    const double steps = epochs * (double)plan->windows;
    return steps > 0x1p62 ? INT64_C(1) << 62 : (int64_t)(steps + 0.5);
}

crs_schedule_plan crs_plan_schedule(const crs_plan *plan, const crs_config *config, int64_t total) {
    const int64_t every = steps_of(plan, config->decay_every);
    const int64_t between = every < 1 ? 1 : every;
    return (crs_schedule_plan){.schedule = config->schedule,
                               .rate = config->rate,
                               .warmup = config->warmup,
                               .total = total,
                               .decay_after = config->decay_after < 0 ? between : steps_of(plan, config->decay_after),
                               .decay_every = between,
                               .decay_factor = config->decay_factor};
}

int crs_plan_pass_rows(const crs_config *config, int threads) {
    const int rows = config->hidden < LARGE_HIDDEN ? PASS_ROWS : LARGE_PASS_ROWS;
    return threads * THREAD_ROWS > rows ? threads * THREAD_ROWS : rows;
}

int crs_plan_pass_pairs(const crs_plan *plan, const crs_config *config, int threads) {
    enum { PASS_STEPS = 256 };
    const int64_t rows = crs_plan_pass_rows(config, threads);
    return (int)(rows * (plan->longest < PASS_STEPS ? plan->longest : PASS_STEPS));
}

double crs_plan_loss_limit(const crs_plan *plan, const crs_config *config, const crs_dataset *dataset) {
    const double steps = dataset->schema.alignment == CRS_ALIGN_STEP ? (double)plan->longest : 1;
    return dataset->text ? 0 : fmin(0x1p24, 0x1p30 / ((double)config->batch * steps));
}
