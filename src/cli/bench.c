/* carousel bench: this machine's limits, and how close training comes. */
#include "config.h"

#include <string.h>

#include "cli/bench.h"
#include "train/plan.h"

/* Those of train that choose a model and who works, first; then bench's own. */
enum {
    OPTION_CELL,
    OPTION_HIDDEN,
    OPTION_LAYERS,
    OPTION_EMBED,
    OPTION_DROPOUT,
    OPTION_BATCH,
    OPTION_WINDOW,
    OPTION_LANE,
    OPTION_OPTIMIZER,
    OPTION_THREADS,
    OF_TRAIN,
    OPTION_VOCABULARY = OF_TRAIN,
    OPTION_SECONDS,
    OPTION_JSON,
    OPTIONS
};

static const crs_cli_option options[OPTIONS] = {
    [OPTION_CELL] = {0, "cell", "CELL", "lstm, peephole, gru or rnn (lstm)"},
    [OPTION_HIDDEN] = {0, "hidden", "N", "units of a layer (128)"},
    [OPTION_LAYERS] = {0, "layers", "N", "layers (2)"},
    [OPTION_EMBED] = {0, "embed", "N", "width of the embedding (as hidden); 0: one-hot input"},
    [OPTION_DROPOUT] = {0, "dropout", "P", "share of units dropped (0)"},
    [OPTION_BATCH] = {0, "batch", "N", "rows, over all ranks (50)"},
    [OPTION_WINDOW] = {0, "window", "N", "steps of back-propagation (50)"},
    [OPTION_LANE] = {0, "lane", "N", "rows a lane (by batch and window)"},
    [OPTION_OPTIMIZER] = {0, "optimizer", "NAME", "adam, rmsprop, sgd or adagrad (adam)"},
    [OPTION_THREADS] = {0, "threads", "N", "threads of a rank (the cores it may run on)"},
    [OPTION_VOCABULARY] = {0, "vocabulary", "N", "different tokens (65)"},
    [OPTION_SECONDS] = {0, "seconds", "F", "about how long to measure the steps of a model (6)"},
    [OPTION_JSON] = {0, "json", NULL, "print one JSON object"},
};

enum { CASES = 3 };

typedef struct request {
    crs_settings settings;
    crs_config config[CASES];
    int cases;
    int64_t vocabulary;
    double seconds;
    bool json;
} request;

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    const crs_range seconds = {.low = 0, .high = 3600, .above_low = true};
    request *r = context;
    if (option < OF_TRAIN)
        return crs_settings_set(&r->settings, crs_option_find(options[option].name), typed->value, typed->where,
                                typed->status, error);
    if (option == OPTION_VOCABULARY)
        return crs_typed_whole(typed, 2, 1 << 20, &r->vocabulary, error);
    if (option == OPTION_SECONDS)
        return crs_typed_real(typed, &seconds, &r->seconds, error);
    r->json = true;
    return CRS_OK;
}

static const crs_cli bench_cli = {
    .name = "bench",
    .usage = "[OPTION]...",
    .about = "Measure this machine's fused multiply-adds and memory, each kernel, and whole\n"
             "training steps of a few models, or of the one that the options describe; all in\n"
             "one run, in less than a minute. Under mpirun, all ranks at once.",
    .more = "Examples:\n"
            "  carousel bench --threads=1\n"
            "  carousel bench --hidden=256 --batch=64\n"
            "  mpirun -n 2 carousel bench --hidden=512 --batch=64 --window=64 --json\n",
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

const crs_cli *crs_bench_cli(void) {
    return &bench_cli;
}

/* The models where options choose none: each rank has 16 rows at least. The baseline is a hundred times slower: a small
 * one. */
static void choose_cases(const crs_bench_team *team, request *r) {
    static const int standard[CASES][4] = {{2, 512, 32, 64}, {2, 128, 50, 50}, {1, 1024, 64, 64}};
    static const char *const choosing[] = {"hidden", "layers", "embed", "batch", "window", "lane"};
    const int least = 16 * crs_comm_size(team->comm);
    const bool slow = team->kernels->isa == CRS_ISA_BASELINE;
    r->cases = slow ? 1 : CASES;
    for (int i = 0; i < CASES; i++) {
        const int *s = standard[i], batch = slow ? 16 : s[2];
        r->config[i] = r->settings.config;
        r->config[i].layers = slow ? 1 : s[0];
        r->config[i].hidden = slow ? 64 : s[1];
        r->config[i].batch = batch > least ? batch : least;
        r->config[i].window = slow ? 16 : s[3];
    }
    for (size_t i = 0; i < sizeof choosing / sizeof *choosing; i++)
        if (r->settings.given[crs_option_find(choosing[i])]) {
            r->cases = 1;
            r->config[0] = r->settings.config;
        }
}

static crs_bench_case case_of(const crs_config *config, int64_t vocabulary) {
    return (crs_bench_case){.config = config,
                            .shape = crs_plan_spec(config, vocabulary),
                            .batch = (int)config->batch,
                            .window = (int)config->window};
}

/* Steps first: they know whether the sizes can be had. */
static crs_status measure(const crs_bench_team *team, const request *r, crs_bench_result *results, crs_error *error) {
    crs_bench_machine machine;
    const bool first = crs_comm_rank(team->comm) == 0;
    crs_note("measuring the machine");
    if (crs_bench_machine_measure(team, &machine, error))
        return error->status;
    if (first && !r->json)
        crs_bench_print_machine(team, &machine);
    fflush(stdout);
    for (int i = 0; i < r->cases; i++) {
        results[i].of = case_of(&r->config[i], r->vocabulary);
        crs_note("measuring %s, %d x %d", crs_cell_name(results[i].of.shape.cell), results[i].of.shape.layers,
                 results[i].of.shape.hidden);
        if (crs_bench_steps(team, &results[i].of, r->seconds, &results[i].step, error) ||
            crs_bench_kernels(team, &results[i].of, &results[i].kernels, error))
            return error->status;
        if (first && !r->json)
            crs_bench_print_result(team, &results[i]);
        fflush(stdout);
    }
    if (first && r->json)
        crs_bench_print_json(team, &machine, results, r->cases);
    if (first)
        crs_output_flush(error);
    return crs_comm_agree(team->comm, error);
}

/* Whether all ranks are to measure the same. Collective. */
static crs_status agree(crs_comm *comm, const request *r, crs_error *error) {
    char more[96];
    snprintf(more, sizeof more, "vocabulary = %lld\nseconds = %.17g\n", (long long)r->vocabulary, r->seconds);
    return crs_settings_agree(comm, &r->settings, more, error);
}

crs_status crs_command_bench(crs_comm *comm, int argc, char **argv, crs_error *error) {
    crs_cli_arguments arguments = {0};
    crs_bench_team team = {.comm = comm};
    crs_bench_result *results = NULL;
    request *r = crs_alloc_or_fail(1, sizeof *r, CRS_MEMORY_OTHER, "the settings", error);
    if (r) {
        crs_settings_default(&r->settings);
        r->vocabulary = 65;
        r->seconds = 6;
        crs_cli_parse(&bench_cli, argc, argv, r, &arguments, error);
    }
    if (arguments.help || crs_comm_agree(comm, error) || agree(comm, r, error) ||
        crs_choose_kernels(comm, &team.kernels, error))
        goto out;
    team.threads = crs_comm_threads(comm);
    if (r->settings.config.threads > 0)
        team.threads = (int)r->settings.config.threads;
    choose_cases(&team, r);
    results = crs_alloc_or_fail(CASES, sizeof *results, CRS_MEMORY_OTHER, "results", error);
    if (crs_comm_agree(comm, error) == CRS_OK)
        measure(&team, r, results, error);
out:
    crs_free(&results);
    crs_free(&r);
    return error->status;
}
