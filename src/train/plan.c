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
static crs_status fit(crs_settings *settings, int64_t tokens, const char *data, bool *fitted, crs_error *error) {
    crs_config *config = &settings->config;
    const int64_t targets = tokens - 1, batch = config->batch, window = config->window;
    const bool own_batch = crs_settings_given(settings, "batch"), own_window = crs_settings_given(settings, "window");
    *fitted = targets / batch < window;
    if (!*fitted)
        return CRS_OK;
    if (own_batch && own_window && targets / window >= 1 && targets / batch >= 1)
        return crs_fail(error, CRS_CONFIG,
                        "%s: its train split of %" PRId64 " tokens is too short for --batch=%" PRId64
                        " with --window=%" PRId64 "; --batch=%" PRId64 " or --window=%" PRId64 " would fit",
                        data, tokens, batch, window, targets / window, targets / batch);
    if (own_batch && targets / batch < 1)
        return crs_fail(error, CRS_CONFIG,
                        "%s: its train split of %" PRId64 " tokens is too short for --batch=%" PRId64
                        "; --batch=%" PRId64 " would fit%s",
                        data, tokens, batch, own_window && targets / window >= 1 ? targets / window : targets,
                        own_window && targets / window < 1 ? " with --window=1" : "");
    if (own_window && targets / window < 1)
        return crs_fail(error, CRS_CONFIG,
                        "%s: its train split of %" PRId64 " tokens is too short for --window=%" PRId64
                        "; --window=%" PRId64 " would fit",
                        data, tokens, window, own_batch ? targets / batch : targets);
    if (own_batch) {
        config->window = targets / batch;
        return CRS_OK;
    }
    config->batch = targets / window >= 1 ? targets / window : 1;
    config->window = window < targets ? window : targets;
    return CRS_OK;
}

crs_status crs_plan_length(crs_plan *plan, crs_settings *settings, int64_t tokens, const char *data, crs_error *error) {
    crs_config *config = &settings->config;
    if (tokens < 2)
        return crs_fail(error, CRS_DATA,
                        "%s: its train split has %" PRId64
                        " tokens; training needs at least 2 (pack a longer text, or a larger share of it: "
                        "--split=1,0,0 for all)",
                        data, tokens);
    if (fit(settings, tokens, data, &plan->fitted, error))
        return error->status;
    plan->stride = (tokens - 1) / config->batch;
    plan->windows = plan->stride / config->window;
    plan->total = config->steps;
    if (config->steps == 0 && __builtin_mul_overflow(config->epochs, plan->windows, &plan->total))
        return crs_fail(error, CRS_CONFIG, "--epochs=%" PRId64 " of %" PRId64 " steps are more than can be counted",
                        config->epochs, plan->windows);
    return CRS_OK;
}

crs_spec crs_plan_spec(const crs_config *config, int64_t vocabulary) {
    return crs_spec_text(config->cell, (int)vocabulary, (int)(config->embed < 0 ? config->hidden : config->embed),
                         (int)config->hidden, (int)config->layers);
}

double crs_plan_memory(const crs_config *config, const crs_spec *spec, double rows, double pass_rows) {
    /* The parameters, packed copies, moments, gradient, sums, what travels, and a copy in a checkpoint. */
    enum { PARAMETER_BYTES = 48, STATE_COPIES = 3 };
    const double h = spec->hidden, gates = crs_cell_gates(spec->cell) * h, window = (double)config->window;
    const double row = spec->layers * (gates + h * (config->dropout > 0 ? 4 : 2)) + 2 * h + spec->embed;
    const double outputs = spec->outputs * crs_workspace_chunk(spec->outputs, pass_rows, pass_rows * window);
    const double table = crs_spec_has_table(spec) ? spec->input_size * gates : 0;
    return PARAMETER_BYTES * crs_spec_parameters(spec) + 12 * table +
           4 * (STATE_COPIES * rows * (double)crs_spec_state(spec) + pass_rows * window * row + outputs) +
           16 * rows * window;
}

/* Whether the machine could hold it. The option named is the one that weighs most. */
static crs_status check_memory(const crs_plan *plan, const crs_config *config, int ranks, double memory,
                               crs_error *error) {
    const crs_spec *spec = &plan->spec;
    const char *elsewhere = plan->resumed ? "more memory, or fewer ranks on each node," : NULL;
    const double rows = ceil((double)config->batch / ranks);
    const double lanes = (double)(config->lanes > 0 ? config->lanes : config->batch);
    const double lane_rows = config->lane > 0 ? (double)config->lane : ceil((double)config->batch / lanes);
    const double pass_rows = fmin(fmax(lane_rows, crs_plan_pass_rows(config, 1)), rows);
    const double wanted = crs_plan_memory(config, spec, rows, pass_rows);
    const double giga = 1e9;
    if (wanted <= memory)
        return CRS_OK;
    if (crs_plan_memory(config, spec, 0, 0) <= memory / 2)
        return crs_fail(error, CRS_CONFIG,
                        "--window=%" PRId64 " with --batch=%" PRId64 " and --hidden=%" PRId64
                        " needs about %.0f GB a rank, and this machine has %.1f GB for each; %s would do",
                        config->window, config->batch, config->hidden, wanted / giga, memory / giga,
                        elsewhere ? elsewhere : "a smaller --window or --batch");
    char embed[40] = "";
    if (config->embed >= 0)
        snprintf(embed, sizeof embed, ", --embed=%" PRId64, config->embed);
    return crs_fail(error, CRS_CONFIG,
                    "a model of --hidden=%" PRId64 ", --layers=%" PRId64
                    "%s has %.3g parameters and needs about %.0f GB a rank, and "
                    "this machine has %.1f GB for each; %s would do",
                    config->hidden, config->layers, embed, crs_spec_parameters(spec), wanted / giga, memory / giga,
                    elsewhere ? elsewhere : "a smaller model");
}

/* More ranks than lanes, where no other lane or batch would do: a run that goes on has its own, and a short text has no
 * more rows. */
static crs_status check_lanes(const crs_plan *plan, const crs_config *config, int ranks, crs_error *error) {
    const int batch = (int)config->batch;
    const bool too_short = ranks > plan->stride * config->batch;
    crs_lanes lanes;
    crs_error ignored;
    if (crs_lanes_plan(&lanes, batch, (int)config->window, (int)config->lane, (int)config->lanes, 0, 1, &ignored) !=
            CRS_OK ||
        ranks <= lanes.lanes || (!plan->resumed && !too_short))
        return CRS_OK;
    char fresh[96] = "";
    if (!too_short && ranks > batch)
        snprintf(fresh, sizeof fresh, ", or start over with --fresh and a larger --batch");
    else if (!too_short)
        snprintf(fresh, sizeof fresh, ", or start over with --fresh and a --lane of at most %d", batch / ranks);
    return crs_fail(error, CRS_CONFIG, "%d ranks are more than the %d lanes of %s; at most %d ranks would do%s", ranks,
                    lanes.lanes, plan->resumed ? plan->resumed : "so short a text", lanes.lanes, fresh);
}

static crs_status check_contributions(const crs_plan *plan, const crs_config *config, int rank, int ranks,
                                      crs_error *error) {
    const int window = (int)config->window, batch = plan->lanes.batch;
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
                    "--batch=%d with --window=%d in lanes of %d rows adds %" PRId64
                    " numbers to one element, and an exact sum takes %d; %s",
                    batch, window, plan->lanes.lane_rows, made, CONTRIBUTIONS_MAX, would);
}

crs_status crs_plan_ranks(crs_plan *plan, const crs_config *config, int64_t vocabulary, int rank, int ranks,
                          double memory, crs_error *error) {
    const int64_t most = INT_MAX / 4;
    if (config->batch > most || config->window > most || config->lane > most || config->lanes > most)
        return crs_fail(error, CRS_CONFIG, "--batch, --window, --lane and --lanes can be %" PRId64 " at most", most);
    plan->spec = crs_plan_spec(config, vocabulary);
    if (check_memory(plan, config, ranks, memory, error) || check_lanes(plan, config, ranks, error) ||
        crs_lanes_plan(&plan->lanes, (int)config->batch, (int)config->window, (int)config->lane, (int)config->lanes,
                       rank, ranks, error))
        return error->status;
    return check_contributions(plan, config, rank, ranks, error);
}

crs_schedule_plan crs_plan_schedule(const crs_plan *plan, const crs_config *config, int64_t total) {
    const double every = config->decay_every * (double)plan->windows;
    return (crs_schedule_plan){.schedule = config->schedule,
                               .rate = config->rate,
                               .warmup = config->warmup,
                               .total = total,
                               .decay_every = every < 1        ? 1
                                              : every > 0x1p62 ? INT64_C(1) << 62
                                                               : (int64_t)(every + 0.5),
                               .decay_factor = config->decay_factor};
}

int crs_plan_pass_rows(const crs_config *config, int threads) {
    const int rows = config->hidden < LARGE_HIDDEN ? PASS_ROWS : LARGE_PASS_ROWS;
    return threads * THREAD_ROWS > rows ? threads * THREAD_ROWS : rows;
}
