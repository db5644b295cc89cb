/* bench: how many operations a step has, and what a change of its size would gain. */
#include "config.h"

#include <math.h>

#include "bench/bench.h"

void crs_bench_operations(const crs_spec *s, int rows, int window, double operations[CRS_PHASES]) {
    const double n = (double)rows * window, before = (double)rows * (window - 1), h = s->hidden, v = s->outputs;
    const double gates = crs_cell_gates(s->cell) * h, e = s->embed, upper = s->layers - 1;
    const bool table = crs_spec_has_table(s);
    const double inputs = upper * h + (table ? 0 : e); /* of all layers' dense input products */
    for (int i = 0; i < CRS_PHASES; i++)
        operations[i] = 0;
    operations[CRS_PHASE_INPUT] = 2 * n * gates * inputs;
    operations[CRS_PHASE_RECURRENT] = 2 * n * gates * h * s->layers;
    operations[CRS_PHASE_OUTPUT] = 4 * n * h * v;
    operations[CRS_PHASE_BACKWARD] = 2 * before * gates * h * s->layers;
    operations[CRS_PHASE_BACKWARD_INPUT] = 2 * n * gates * inputs;
    operations[CRS_PHASE_WEIGHTS] = 2 * n * (gates * (h * s->layers + inputs) + h * v);
    if (table) {
        operations[CRS_PHASE_REFRESH] = 2 * v * gates * e;
        operations[CRS_PHASE_GRADIENT] = 4 * v * gates * e;
    }
}

double crs_bench_operations_of_all(const crs_spec *s, int batch, int window, int ranks) {
    double operations[CRS_PHASES], total = 0;
    crs_bench_operations(s, batch, window, operations);
    for (int i = 0; i < CRS_PHASES; i++)
        total += operations[i] * (i == CRS_PHASE_REFRESH || i == CRS_PHASE_GRADIENT ? ranks : 1);
    return total;
}

/* The fraction of the peak that a recurrent step has with so many rows, between those measured. */
static double fraction_of(const crs_bench_list *list, double rows) {
    const double place = log2(rows > 2 ? rows : 2) - 1;
    const int below = place < CRS_BENCH_ROWS - 1 ? (int)place : CRS_BENCH_ROWS - 2;
    const double part = place - below < 1 ? place - below : 1;
    const double scale = rows < 2 ? rows / 2 : 1; /* a lone row costs what two do */
    return scale * (list->of_rows[below] + part * (list->of_rows[below + 1] - list->of_rows[below]));
}

double crs_bench_gain(const crs_bench_result *result, const crs_bench_team *team, int times_rows, int times_ranks) {
    const crs_bench_step *s = &result->step;
    const double of_sum = s->phase[CRS_PHASE_SUM];
    double once = s->phase[CRS_PHASE_GRADIENT] + s->phase[CRS_PHASE_UPDATE] + s->phase[CRS_PHASE_REFRESH];
    const double by_rows = s->seconds - once - of_sum;
    const int rows = crs_bench_rows(&result->of, team);
    crs_bench_case other = result->of;
    other.batch = (int)((double)other.batch * times_rows / times_ranks);
    const int other_rows = crs_bench_rows(&other, team);
    const double share = (double)times_rows / times_ranks;
    double sum = of_sum;
    if (times_ranks > 1 && crs_comm_size(team->comm) == 1)
        sum = result->kernels.sums_pass;
    const double seconds =
        by_rows * share * fraction_of(&result->kernels, rows) / fraction_of(&result->kernels, other_rows) + once + sum;
    return times_rows * s->seconds / seconds;
}
