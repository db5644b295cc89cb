/* bench: for a person. */
#include "config.h"

#include <inttypes.h>

#include "bench/bench.h"

static const double giga = 1e-9, milli = 1e3, percent = 100, mebi = 0x1p-20;

static void print_size(char out[24], int64_t bytes) {
    if (bytes >= 1 << 20)
        snprintf(out, 24, "%.4g MiB", (double)bytes * mebi);
    else
        snprintf(out, 24, "%.4g KiB", (double)bytes / 1024);
}

void crs_bench_print_machine(const crs_bench_team *team, const crs_bench_machine *machine) {
    const int ranks = crs_comm_size(team->comm);
    printf("machine  %s; %d %s of %d %s, instruction set %s\n", machine->processor, ranks, ranks > 1 ? "ranks" : "rank",
           team->threads, team->threads > 1 ? "threads" : "thread", crs_isa_name(team->kernels->isa));
    printf("peak     %.1f GFLOP/s of fused multiply-adds on one core, %.1f on all at once\n", machine->peak_one * giga,
           machine->peak_all * giga);
    printf("memory   GB/s read and written             one core  all at once\n");
    for (int i = 0; i < CRS_BENCH_LEVELS; i++) {
        const crs_bench_level *l = &machine->level[i];
        char size[24];
        print_size(size, l->bytes);
        printf("         %-13s %-14s %12.1f %12.1f\n", l->name, size, l->one * giga, l->all * giga);
    }
}

/* ---- a model ---- */

static void print_model(const crs_bench_result *r) {
    const crs_spec *s = &r->of.shape;
    char dropout[40] = "", embed[40] = "one-hot input";
    if (r->of.config->dropout > 0)
        snprintf(dropout, sizeof dropout, " --dropout=%g", r->of.config->dropout);
    if (s->embed > 0)
        snprintf(embed, sizeof embed, "embedding of %d", s->embed);
    printf("\nmodel    %s, %d %s of %d, %s, %d tokens, %" PRId64 " parameters; --batch=%d --window=%d%s\n",
           crs_cell_name(s->cell), s->layers, s->layers > 1 ? "layers" : "layer", s->hidden, embed, s->outputs,
           r->step.parameters, r->of.batch, r->of.window, dropout);
}

static void print_kernels(const crs_bench_result *r, const crs_bench_team *team) {
    printf("kernels  one thread, %d rows at a time        rate            its limit\n", crs_bench_rows(&r->of, team));
    for (int i = 0; i < r->kernels.count; i++) {
        const crs_bench_kernel *k = &r->kernels.kernel[i];
        printf("         %-26s %12.1f %-8s %8.1f  %5.0f %%\n", k->name, k->rate * giga,
               k->products ? "GFLOP/s" : "GB/s", k->limit * giga, percent * k->rate / k->limit);
    }
    printf("rows     at a time, and the recurrent step's part of the peak:");
    for (int i = 0; i < CRS_BENCH_ROWS; i++)
        printf("%s %d: %.0f %%", i > 0 ? "," : "", 2 << i, percent * r->kernels.of_rows[i]);
    printf("\n");
}

/* A phase of rank 0 against the multiply-adds of its own threads. */
static double peak_of_rank(const crs_bench_result *r, const crs_bench_team *team) {
    return r->step.peak / crs_comm_size(team->comm);
}

static void print_step(const crs_bench_result *r, const crs_bench_team *team) {
    const crs_bench_step *s = &r->step;
    const double peak = peak_of_rank(r, team), rate = s->operations_of_all / s->seconds;
    printf("step     %.2f ms (quartiles %.1f %% apart, %d steps), %.0f tokens/s\n", s->seconds * milli,
           s->spread * percent, s->steps, (double)r->of.batch * r->of.window / s->seconds);
    printf("         %.1f GFLOP/s of products really done: %.1f %% of the peak, %.1f beside the steps\n", rate * giga,
           percent * rate / s->peak, s->peak * giga);
    printf("phases   %-22s %9s %7s %9s %8s\n", crs_comm_size(team->comm) > 1 ? "at rank 0" : "", "ms", "share",
           "GFLOP/s", "of peak");
    for (int i = 0; i < CRS_PHASES; i++) {
        if (s->phase[i] == 0)
            continue;
        printf("         %-22s %9.2f %6.1f%%", crs_phase_name((crs_phase)i), s->phase[i] * milli,
               percent * s->phase[i] / s->seconds);
        if (s->operations[i] > 0)
            printf(" %9.1f %7.1f%%", s->operations[i] / s->phase[i] * giga,
                   percent * s->operations[i] / s->phase[i] / peak);
        printf("\n");
    }
    printf("exact    with int64 sums %.2f ms a step, with --reduce=float %.2f: %+.1f %%\n", s->seconds * milli,
           s->float_seconds * milli, percent * (s->seconds / s->float_seconds - 1));
    if (crs_comm_size(team->comm) > 1)
        printf("hidden   %.2f ms a step where nothing is sent while it computes; rank 0 sends %.2f MB, %.2f bytes a "
               "parameter to each other rank's share\n",
               s->apart_seconds * milli, s->sent * 1e-6,
               s->sent / (double)s->parameters / (crs_comm_size(team->comm) - 1) * crs_comm_size(team->comm));
}

static void print_memory(const crs_bench_step *s) {
    int64_t all = 0;
    printf("bytes   ");
    for (int i = 0; i < CRS_MEMORY_PURPOSES; i++) {
        printf(" %s %.1f,", crs_purpose_name((crs_purpose)i), (double)s->bytes[i] * mebi);
        all += s->bytes[i];
    }
    printf(" in all %.1f MiB a rank\n", (double)all * mebi);
}

/* What would make a phase lose less. */
static const char *remedy(const crs_bench_result *r, int phase) {
    switch (phase) {
    case CRS_PHASE_RECURRENT:
    case CRS_PHASE_BACKWARD:
        return r->kernels.of_rows[CRS_BENCH_ROWS - 1] > 0 && r->step.rows < 24
                   ? "few rows at a time leave the units idle: a larger --batch, fewer ranks or threads"
                   : "gates are between the products: a larger --hidden, which has more product a gate";
    case CRS_PHASE_SUM:
        return "sums cost the same whatever the batch: a larger --batch, or fewer ranks";
    case CRS_PHASE_GRADIENT:
    case CRS_PHASE_UPDATE:
    case CRS_PHASE_REFRESH:
        return "it is done once a step whatever the batch: a larger --batch or --window";
    case CRS_PHASE_WEIGHTS:
        return "packing, and rounding to exact sums; a longer --window, or larger --lane, has more product a sum";
    case CRS_PHASE_OUTPUT:
    case CRS_PHASE_LOSS:
        return "it grows with the vocabulary alone";
    default:
        return "a larger --hidden makes it less of a step";
    }
}

/* The phase that is slower than its multiply-adds by the most. */
static void print_limits(const crs_bench_result *r, const crs_bench_team *team) {
    const crs_bench_step *s = &r->step;
    const double peak = peak_of_rank(r, team), used = s->operations_of_all / s->seconds / s->peak;
    const int ranks = crs_comm_size(team->comm);
    int worst = 0;
    double most = 0;
    for (int i = 0; i < CRS_PHASES; i++) {
        const double lost = s->phase[i] - s->operations[i] / peak;
        if (lost > most) {
            most = lost;
            worst = i;
        }
    }
    printf("limits   the multiply-add units are busy %.0f %% of the time%s; most is lost in the phase %s: %.1f %% of a "
           "step\n",
           percent * used, used > 0.88 ? ", and more cores are what helps" : "", crs_phase_name((crs_phase)worst),
           percent * most / s->seconds);
    printf("         (%s)\n", remedy(r, worst));
    printf("gains    about, in tokens/s: twice the --batch x %.2f", crs_bench_gain(r, team, 2, 1));
    for (int times = 2; times <= 8; times *= 2)
        if (r->of.batch / (ranks * times) >= 1)
            printf("; %d ranks x %.2f", ranks * times, crs_bench_gain(r, team, 1, times));
    printf("; %d ranks with twice the --batch x %.2f\n", 2 * ranks, crs_bench_gain(r, team, 2, 2));
}

void crs_bench_print_result(const crs_bench_team *team, const crs_bench_result *result) {
    print_model(result);
    print_step(result, team);
    print_kernels(result, team);
    print_memory(&result->step);
    print_limits(result, team);
}
