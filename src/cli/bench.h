/* What bench measures. Private to room cli. */
#ifndef CRS_CLI_BENCH_H
#define CRS_CLI_BENCH_H

#include "cli/cli.h"
#include "kernel/kernels.h"

typedef struct crs_bench_case {
    crs_shape shape;
    int batch, window; /* rows over all ranks */
} crs_bench_case;

/* Medians, in seconds, of one step of all ranks. */
typedef struct crs_bench_step {
    double whole, forward, backward, sum, sum_float, gradient, update, refresh;
    double operations; /* floating-point operations really done by one rank (the one with most rows) */
    double tokens;     /* of all ranks */
    double peak;       /* operations a second of this rank's threads, measured beside the step */
    int64_t bytes[CRS_MEMORY_PURPOSES];
} crs_bench_step;

/* One kernel: its rate and what limits it. */
typedef struct crs_bench_kernel {
    const char *name, *unit; /* "GFLOP/s" or "GB/s" */
    double rate, limit;
} crs_bench_kernel;

enum { CRS_BENCH_KERNELS = 8 };

/* Fused multiply-adds a second of one core, in GFLOP/s; memory bandwidth of one core (copying), in GB/s. Local. */
double crs_bench_peak(const crs_kernels *kernels);
double crs_bench_bandwidth(crs_error *error);
/* The kernels at the sizes of a case. Local. */
crs_status crs_bench_kernels(const crs_kernels *kernels, const crs_bench_case *c, double peak, double bandwidth,
                             crs_bench_kernel out[CRS_BENCH_KERNELS], crs_error *error);
/* Whole steps, for at least `seconds`. Collective. */
crs_status crs_bench_steps(crs_comm *comm, const crs_kernels *kernels, const crs_bench_case *c, int threads,
                           double seconds, crs_bench_step *out, crs_error *error);
double crs_bench_median(double *values, int count); /* sorts */

#endif
