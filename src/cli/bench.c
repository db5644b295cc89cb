/* carousel bench: what this machine can do, and how close training comes. */
#include "config.h"

#include <jansson.h>
#include <string.h>

#include "cli/bench.h"

enum {
    OPTION_CELL,
    OPTION_HIDDEN,
    OPTION_LAYERS,
    OPTION_BATCH,
    OPTION_WINDOW,
    OPTION_THREADS,
    OPTION_SECONDS,
    OPTION_JSON,
    OPTIONS
};

static const crs_cli_option options[OPTIONS] = {
    [OPTION_CELL] = {0, "cell", "CELL", "lstm, peephole, gru or rnn (lstm)"},
    [OPTION_HIDDEN] = {0, "hidden", "N", "measure one model: units of a layer"},
    [OPTION_LAYERS] = {0, "layers", "N", "its layers (2)"},
    [OPTION_BATCH] = {0, "batch", "N", "its rows over all ranks (32)"},
    [OPTION_WINDOW] = {0, "window", "N", "its steps of back-propagation (64)"},
    [OPTION_THREADS] = {0, "threads", "N", "threads of a rank (the cores it may run on)"},
    [OPTION_SECONDS] = {0, "seconds", "F", "how long to measure a model at least (4)"},
    [OPTION_JSON] = {0, "json", NULL, "print one JSON object"},
};

static const char *const operands[] = {""};

typedef struct request {
    int cell;
    int64_t hidden, layers, batch, window, threads;
    double seconds;
    bool json;
} request;

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    static const char *const cells[] = {"lstm", "peephole", "gru", "rnn", NULL};
    request *r = context;
    const crs_range seconds = {.low = 0, .high = 3600, .above_low = true};
    switch (option) {
    case OPTION_CELL:
        return crs_typed_choice(typed, cells, &r->cell, error);
    case OPTION_HIDDEN:
        return crs_typed_whole(typed, 1, 1 << 14, &r->hidden, error);
    case OPTION_LAYERS:
        return crs_typed_whole(typed, 1, 64, &r->layers, error);
    case OPTION_BATCH:
        return crs_typed_whole(typed, 1, 1 << 14, &r->batch, error);
    case OPTION_WINDOW:
        return crs_typed_whole(typed, 1, 1 << 12, &r->window, error);
    case OPTION_THREADS:
        return crs_typed_whole(typed, 1, 1024, &r->threads, error);
    case OPTION_SECONDS:
        return crs_typed_real(typed, &seconds, &r->seconds, error);
    default:
        r->json = true;
        return CRS_OK;
    }
}

static const crs_cli bench_cli = {
    .name = "bench",
    .usage = "[OPTION]...",
    .about = "Measure this machine's fused multiply-adds and memory, each kernel, and whole training\n"
             "steps of a few models (or of one that the options choose), all in one run.",
    .more = "Examples:\n"
            "  carousel bench\n"
            "  mpirun -n 2 carousel bench --hidden=512 --layers=2 --batch=64 --window=64\n",
    .operands = operands,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

const crs_cli *crs_bench_cli(void) {
    return &bench_cli;
}

enum { CASES = 3, SYMBOLS = 65 };

static int choose_cases(const request *r, crs_bench_case cases[CASES]) {
    static const int standard[CASES][4] = {{2, 512, 32, 64}, {2, 128, 50, 50}, {1, 1024, 64, 64}};
    const bool one = r->hidden || r->layers || r->batch || r->window;
    for (int i = 0; i < CASES; i++) {
        const int *s = standard[i];
        const int hidden = one && r->hidden ? (int)r->hidden : s[1];
        cases[i].shape =
            (crs_shape){(crs_cell)r->cell, SYMBOLS, hidden, hidden, one && r->layers ? (int)r->layers : s[0]};
        cases[i].batch = one && r->batch ? (int)r->batch : s[2];
        cases[i].window = one && r->window ? (int)r->window : s[3];
    }
    return one ? 1 : CASES;
}

/* ---- for a person ---- */

static void print_machine(const crs_comm *comm, const crs_kernels *kernels, int threads, double peak, double all,
                          double bandwidth) {
    printf("machine      %d %s of %d %s, instruction set %s\n", crs_comm_size(comm),
           crs_comm_size(comm) > 1 ? "ranks" : "rank", threads, threads > 1 ? "threads" : "thread",
           crs_isa_name(kernels->isa));
    printf("peak         %.1f GFLOP/s of fused multiply-adds on one core; %.1f on every rank's at once\n", peak, all);
    printf("memory       %.1f GB/s, copying on one core\n", bandwidth);
}

static void print_kernels(const crs_bench_kernel *k) {
    printf("\n%-24s %10s %14s\n", "kernel, one core", "rate", "of its limit");
    for (int i = 0; i < CRS_BENCH_KERNELS; i++)
        printf("%-24s %6.1f %-8s %5.0f %%%s\n", k[i].name, k[i].rate, k[i].unit, 100 * k[i].rate / k[i].limit,
               k[i].unit[1] == 'F' ? " of the peak" : " of the memory's");
}

/* The largest part says what would help. */
static const char *advice(const crs_bench_step *s, const crs_bench_case *c, int ranks) {
    const double used = s->operations / s->whole / s->peak;
    if (ranks > 1 && s->sum > 0.15 * s->whole)
        return "the sums over ranks take much: a larger --batch, or fewer ranks";
    if (s->gradient + s->update + s->refresh > 0.1 * s->whole)
        return "what is done once a step takes much: a larger --batch or --window";
    if (c->batch / ranks < 12)
        return "few rows a rank leave the units idle: a larger --batch, or fewer ranks";
    if (used > 0.85)
        return "the fused multiply-add units are busy: only more cores help";
    return "small products and gates: a larger --batch or --hidden comes closer to the peak";
}

static void print_step(const crs_bench_case *c, const crs_bench_step *s, int ranks) {
    const double ms = 1e3, mib = 1.0 / (1 << 20);
    int64_t bytes = 0;
    printf("\nmodel        %s, %d x %d, --batch=%d --window=%d\n", crs_cell_name(c->shape.cell), c->shape.layers,
           c->shape.hidden, c->batch, c->window);
    printf("step         %.1f ms: %.0f tokens/s, %.1f GFLOP/s a rank, %.0f %% of the peak\n", ms * s->whole,
           s->tokens / s->whole, s->operations / s->whole * 1e-9, 100 * s->operations / s->whole / s->peak);
    printf("parts        forward and loss %.1f, backward and weight gradients %.1f, sums over ranks %.1f, gradient and "
           "norm %.1f, "
           "optimizer %.1f, packing %.1f ms\n",
           ms * s->forward, ms * s->backward, ms * s->sum, ms * s->gradient, ms * s->update, ms * s->refresh);
    if (ranks > 1)
        printf("exact sums   %.1f ms; as floats (--reduce=float) %.1f ms\n", ms * s->sum, ms * s->sum_float);
    printf("memory       ");
    for (int i = 0; i < CRS_MEMORY_PURPOSES; i++) {
        printf("%s %.1f, ", crs_purpose_name((crs_purpose)i), (double)s->bytes[i] * mib);
        bytes += s->bytes[i];
    }
    printf("in all %.1f MiB a rank\n", (double)bytes * mib);
    printf("what limits  %s\n", advice(s, c, ranks));
}

/* ---- for a machine ---- */

static json_t *step_json(const crs_bench_case *c, const crs_bench_step *s) {
    json_t *bytes = json_object();
    for (int i = 0; i < CRS_MEMORY_PURPOSES; i++)
        json_object_set_new(bytes, crs_purpose_name((crs_purpose)i), json_integer(s->bytes[i]));
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f, s:f, s:f, s:f}, s:o}",
                     "cell", crs_cell_name(c->shape.cell), "hidden", c->shape.hidden, "layers", c->shape.layers,
                     "batch", c->batch, "window", c->window, "seconds", s->whole, "tokens_per_second",
                     s->tokens / s->whole, "gflops", s->operations / s->whole * 1e-9, "fraction_of_peak",
                     s->operations / s->whole / s->peak, "parts", "forward", s->forward, "backward", s->backward,
                     "sum_int64", s->sum, "sum_float", s->sum_float, "gradient", s->gradient, "optimizer", s->update,
                     "packing", s->refresh, "bytes", bytes);
}

static json_t *kernels_json(const crs_bench_kernel *k) {
    json_t *list = json_array();
    for (int i = 0; i < CRS_BENCH_KERNELS; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f}", "name", k[i].name, "unit", k[i].unit, "rate",
                                              k[i].rate, "fraction_of_limit", k[i].rate / k[i].limit));
    return list;
}

/* ---- the run ---- */

/* The peak of each rank while all measure theirs, added up. Collective. */
static double peak_of_all(crs_comm *comm, const crs_kernels *kernels) {
    crs_comm_barrier(comm);
    int64_t sum = (int64_t)(crs_bench_peak(kernels) * 1e6);
    crs_comm_sum(comm, &sum, 1);
    return (double)sum * 1e-6;
}

static crs_status run(crs_comm *comm, const request *r, crs_error *error) {
    const crs_kernels *kernels;
    crs_bench_case cases[CASES];
    crs_bench_kernel list[CRS_BENCH_KERNELS];
    const int threads = r->threads ? (int)r->threads : crs_comm_threads(comm), count = choose_cases(r, cases);
    const bool first = crs_comm_rank(comm) == 0;
    if (crs_choose_kernels(comm, &kernels, error))
        return error->status;
    crs_note("measuring the machine and its kernels");
    const double peak = crs_bench_peak(kernels), bandwidth = crs_bench_bandwidth(error),
                 all = peak_of_all(comm, kernels);
    if (error->status == CRS_OK)
        crs_bench_kernels(kernels, &cases[0], peak, bandwidth, list, error);
    if (crs_comm_agree(comm, error))
        return error->status;
    json_t *steps = json_array();
    if (first && !r->json) {
        print_machine(comm, kernels, threads, peak, all, bandwidth);
        print_kernels(list);
    }
    for (int i = 0; i < count && error->status == CRS_OK; i++) {
        crs_bench_step step;
        crs_note("measuring %s, %d x %d", crs_cell_name(cases[i].shape.cell), cases[i].shape.layers,
                 cases[i].shape.hidden);
        if (crs_bench_steps(comm, kernels, &cases[i], threads, r->seconds, &step, error) || !first)
            continue;
        if (r->json)
            json_array_append_new(steps, step_json(&cases[i], &step));
        else
            print_step(&cases[i], &step, crs_comm_size(comm));
        fflush(stdout);
    }
    if (first && r->json && error->status == CRS_OK) {
        json_t *object =
            json_pack("{s:s, s:i, s:i, s:f, s:f, s:f, s:o, s:O}", "isa", crs_isa_name(kernels->isa), "ranks",
                      crs_comm_size(comm), "threads", threads, "peak_gflops", peak, "peak_gflops_all_ranks", all,
                      "copy_gbytes", bandwidth, "kernels", kernels_json(list), "steps", steps);
        json_dumpf(object, stdout, JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(object);
    }
    json_decref(steps);
    if (first && error->status == CRS_OK)
        crs_output_flush(error);
    return crs_comm_agree(comm, error);
}

crs_status crs_command_bench(crs_comm *comm, int argc, char **argv, crs_error *error) {
    request r = {.seconds = 4};
    crs_cli_arguments arguments;
    if (crs_cli_parse(&bench_cli, argc, argv, &r, &arguments, error) || arguments.help)
        return error->status;
    return run(comm, &r, error);
}
