/* carousel bench: this machine's limits, and how close training comes. */
#include "config.h"

#include <stdlib.h>

#include "carousel/bench.h"
#include "cli/cli.h"

/* Behind those of train that choose a model and who works. */
enum { OPTION_VOCABULARY = 11, OPTION_SECONDS, OPTION_COMM, OPTION_LINK, OPTION_FASTER, OPTION_JSON, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    {0, "cell", "CELL", "lstm, peephole, gru or rnn (lstm)"},
    {0, "hidden", "N", "units of a layer (128)"},
    {0, "layers", "N", "layers (2)"},
    {0, "embed", "N", "width of the embedding (as hidden); 0: one-hot input"},
    {0, "dropout", "P", "share of units dropped (0)"},
    {0, "batch", "N", "rows, over all ranks (50)"},
    {0, "window", "N", "steps of back-propagation (50)"},
    {0, "lane", "N", "rows a lane (by batch and window)"},
    {0, "lanes", "N", "how many lanes (by batch and window)"},
    {0, "optimizer", "NAME", "adam, rmsprop, sgd or adagrad (adam)"},
    {0, "threads", "N", "threads of a rank (the cores it may run on)"},
    [OPTION_VOCABULARY] = {0, "vocabulary", "N", "different tokens (65)"},
    [OPTION_SECONDS] = {0, "seconds", "F", "about how long to measure the steps of a model (6)"},
    [OPTION_COMM] = {0, "comm", NULL, "measure what ranks send each other, and work out a step of 1 to 1,024 of them"},
    [OPTION_LINK] =
        {0, "link", "GBIT:US[:US]",
         "with --comm: of such a network, not this one: Gbit/s of a rank, microseconds one way and of each of "
         "many messages (as one way)"},
    [OPTION_FASTER] = {0, "faster", "F",
                       "with --comm: of ranks that compute F times as fast as here, and pack as fast (1)"},
    [OPTION_JSON] = {0, "json", NULL, "print one JSON object"},
};

/* "10:20" or "10:20:2". */
static crs_status take_link(const crs_typed *typed, crs_bench_link *link, crs_error *error) {
    char *end;
    const double gbit = strtod(typed->value, &end), latency = *end == ':' ? strtod(end + 1, &end) : -1;
    const double message = *end == ':' ? strtod(end + 1, &end) : latency;
    if (*end || !(gbit > 0 && gbit <= 1e6) || !(latency >= 0 && latency <= 1e6) || !(message >= 0 && message <= 1e6))
        return crs_typed_refuse(typed, error, "Gbit/s and microseconds, as 10:20 or 10:20:2");
    *link = (crs_bench_link){.bandwidth = gbit * 1e9 / 8, .latency = latency * 1e-6, .message = message * 1e-6};
    return CRS_OK;
}

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    const crs_range seconds = {.low = 0, .high = 3600, .above_low = true};
    const crs_range faster = {.low = 0, .high = 1e6, .above_low = true};
    crs_bench_request *r = context;
    if (option < OPTION_VOCABULARY)
        return crs_settings_set(&r->settings, crs_option_find(options[option].name), typed->value, typed->where,
                                typed->status, error);
    if (option == OPTION_VOCABULARY)
        return crs_typed_whole(typed, 2, 1 << 20, &r->vocabulary, error);
    if (option == OPTION_SECONDS)
        return crs_typed_real(typed, &seconds, &r->seconds, error);
    if (option == OPTION_FASTER)
        return crs_typed_real(typed, &faster, &r->faster, error);
    if (option == OPTION_LINK)
        return take_link(typed, &r->link, error);
    *(option == OPTION_COMM ? &r->comm : &r->json) = true;
    return CRS_OK;
}

static const crs_cli bench_cli = {
    .name = "bench",
    .usage = "[OPTION]...",
    .about = "Measure this machine's fused multiply-adds and memory, each kernel, and whole\n"
             "training steps of a few models, or of the one that the options describe; all in\n"
             "one run, in less than a minute. Under mpirun, all ranks at once. --comm measures\n"
             "what goes from rank to rank instead.",
    .more = "Examples:\n"
            "  carousel bench --threads=1\n"
            "  carousel bench --hidden=256 --batch=64\n"
            "  mpirun -n 2 carousel bench --hidden=512 --batch=64 --window=64 --json\n"
            "  mpirun -n 8 carousel bench --comm --hidden=512 --batch=256 --window=64\n",
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

const crs_cli *crs_bench_cli(void) {
    return &bench_cli;
}

/* Whether all ranks are to measure the same. Collective. */
static crs_status agree(crs_comm *comm, const crs_bench_request *r, crs_error *error) {
    char more[256];
    snprintf(
        more, sizeof more, "vocabulary = %lld\nseconds = %.17g\ncomm = %d\nlink = %.17g:%.17g:%.17g\nfaster = %.17g\n",
        (long long)r->vocabulary, r->seconds, r->comm, r->link.bandwidth, r->link.latency, r->link.message, r->faster);
    return crs_settings_agree(comm, &r->settings, more, error);
}

crs_status crs_command_bench(crs_comm *comm, int argc, char **argv, crs_error *error) {
    crs_cli_arguments arguments = {0};
    const crs_kernels *kernels;
    crs_bench_request *r = crs_alloc_or_fail(1, sizeof *r, CRS_MEMORY_OTHER, "the settings", error);
    if (r) {
        crs_settings_default(&r->settings);
        r->vocabulary = 65;
        r->seconds = 6;
        r->faster = 1;
        if (crs_cli_parse(&bench_cli, argc, argv, r, &arguments, error) == CRS_OK && r->link.bandwidth > 0 && !r->comm)
            crs_fail(error, CRS_USAGE, "--link goes with --comm alone: leave it out, or give both");
    }
    if (arguments.help || crs_comm_agree(comm, error) || agree(comm, r, error) ||
        crs_choose_kernels(comm, &kernels, error) || crs_bench(comm, kernels, r, error))
        goto out;
    if (crs_comm_rank(comm) == 0)
        crs_output_flush(error);
    crs_comm_agree(comm, error);
out:
    crs_free(&r);
    return error->status;
}
