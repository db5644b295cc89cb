/* What bench measures. Private to room bench. Rates are operations or bytes a second. */
#ifndef CRS_BENCH_BENCH_H
#define CRS_BENCH_BENCH_H

#include "bench/model.h"
#include "carousel/bench.h"
#include "kernel/kernels.h"

/* ---- what is asked for ---- */

typedef struct crs_bench_case {
    const crs_config *config; /* model, batch, window, lane, dropout, optimizer; borrowed */
    crs_spec shape;
    int batch, window; /* rows over all ranks */
} crs_bench_case;

/* Who works: each rank with so many threads. */
typedef struct crs_bench_team {
    crs_comm *comm;
    const crs_kernels *kernels;
    int threads;
} crs_bench_team;

/* ---- machine.c ---- */

enum { CRS_BENCH_LEVELS = 4 };

/* A pass that reads and writes so many bytes of each thread's own, which lie in one level of its memory. */
typedef struct crs_bench_level {
    const char *name;
    int64_t bytes;
    double one, all;
} crs_bench_level;

typedef struct crs_bench_machine {
    char processor[96];
    double peak_one, peak_all; /* fused multiply-adds, as two operations: of one core, of all threads at once */
    crs_bench_level level[CRS_BENCH_LEVELS];
} crs_bench_machine;

double crs_bench_median(double *values, int count); /* sorts */
/* The rate of passes over values[n], or (NULL) of multiply-adds, over a few milliseconds; calling thread. Local. */
double crs_bench_rate(const crs_kernels *kernels, float *values, size_t n);
/* The same on all threads of all ranks at once, values[threads][n], added up: the same at every rank. Collective. */
double crs_bench_rate_all(const crs_bench_team *team, float *values, size_t n);
/* Rank 0's numbers count. Collective. */
crs_status crs_bench_machine_measure(const crs_bench_team *team, crs_bench_machine *machine, crs_error *error);

/* ---- arithmetic.c ---- */

/* Operations of matrix products (a multiply-add is two) in each phase of a step, for so many rows at one rank: those
 * really done. With a token table, layer 0 has no product over the rows, but products over the vocabulary. */
void crs_bench_operations(const crs_spec *shape, int rows, int window, double operations[CRS_PHASES]);
/* Those of a whole step of all ranks. */
double crs_bench_operations_of_all(const crs_spec *shape, int batch, int window, int ranks);

/* ---- kernels.c ---- */

/* A kernel by itself, its operands hot where they can be, beside its limit: the multiply-adds of a core for products, a
 * plain pass over as many bytes for the others. Both are measured in turn. */
typedef struct crs_bench_kernel {
    const char *name;
    bool products; /* rate and limit in operations a second, else in bytes read and written */
    double rate, limit;
} crs_bench_kernel;

enum { CRS_BENCH_KERNELS = 16, CRS_BENCH_ROWS = 6 };

typedef struct crs_bench_list {
    int count;
    crs_bench_kernel kernel[CRS_BENCH_KERNELS];
    /* the recurrent step's fraction of the peak with 2, 4, ... 64 rows at a time */
    double of_rows[CRS_BENCH_ROWS];
    double sums_pass; /* seconds of a pass over the model's sums, all ranks at once: what adding them takes at least */
} crs_bench_list;

/* The rows that go through the network together at one thread. */
int crs_bench_rows(const crs_bench_case *c, const crs_bench_team *team);
/* One thread of each rank, all ranks at once, at the sizes of the case; rank 0's numbers count. Collective: sums over
 * ranks are measured too. */
crs_status crs_bench_kernels(const crs_bench_team *team, const crs_bench_case *c, crs_bench_list *list,
                             crs_error *error);

/* ---- traffic.c: a step's exchange of so many sums, and as many parameters, as they are in training ---- */

typedef struct crs_bench_traffic crs_bench_traffic;

/* At this rank. */
typedef struct crs_bench_trip {
    double sums, parameters;           /* seconds: sums to their owners; what has become of parameters to all */
    double sum_bytes, parameter_bytes; /* sent */
} crs_bench_trip;

/* Local. *traffic is to be closed in any case. */
crs_status crs_bench_traffic_open(crs_bench_traffic **traffic, const crs_bench_team *team, size_t n, crs_error *error);
void crs_bench_traffic_close(crs_bench_traffic **traffic);
/* rounded: sums as floats. Collective. */
void crs_bench_traffic_once(crs_bench_traffic *traffic, bool rounded, crs_bench_trip *trip);
/* Sums as training has them, and values changed as it changes them. Local. */
void crs_bench_fill_sums(int64_t *sums, size_t n);
void crs_bench_change_values(float *values, const int64_t *sums, size_t n);
/* Adds the sum over ranks to the list, where there are others, and what a pass over the numbers takes. room[2 n].
 * Collective. */
crs_status crs_bench_sums(const crs_bench_team *team, size_t n, float *room, crs_bench_list *list, crs_error *error);

/* ---- steps.c ---- */

/* Medians of whole steps. */
typedef struct crs_bench_step {
    int steps;                      /* of each kind */
    double seconds;                 /* of the slowest rank; sums over ranks as int64 */
    double float_seconds;           /* with --reduce=float */
    double apart_seconds;           /* nothing on its way while it computes; as `seconds` for one rank */
    double sent;                    /* bytes that rank 0 sends to others in a step */
    double spread;                  /* (third quartile - first quartile) / median */
    double peak;                    /* multiply-adds of all threads at once, measured between the steps */
    double phase[CRS_PHASES];       /* seconds at rank 0, means of the middle half */
    double apart_phase[CRS_PHASES]; /* the same where nothing is on its way while it computes: computing alone */
    double operations[CRS_PHASES];  /* of rank 0 */
    double operations_of_all;
    int64_t parameters;
    int rows; /* of rank 0 */
    int64_t bytes[CRS_MEMORY_PURPOSES];
} crs_bench_step;

/* Takes turns between the peak, a step, one with --reduce=float and, of several ranks, one that sends nothing while it
 * computes, for at least so many seconds. Collective. */
crs_status crs_bench_steps(const crs_bench_team *team, const crs_bench_case *c, double seconds, crs_bench_step *step,
                           crs_error *error);

/* ---- communication.c: the terms of the model, and what follows from them ---- */

enum { CRS_BENCH_FORECASTS = 8 };

typedef struct crs_bench_communication {
    crs_bench_case of;
    crs_bench_step step;
    int nodes;
    double faster;      /* what is worked out for more ranks: how many times as fast they compute */
    bool linked, given; /* whether the link is known, and whether from the user */
    crs_bench_terms terms;
    /* of several ranks: all sums in one exchange and all parameters in one gathering, seconds of the slowest rank */
    double exchange, gather, exchange_by_terms, gather_by_terms;
    crs_bench_forecast now, at[CRS_BENCH_FORECASTS]; /* of as many ranks as there are; of more and fewer */
} crs_bench_communication;

/* Collective. */
crs_status crs_bench_communicate(const crs_bench_team *team, const crs_bench_case *c, const crs_bench_request *request,
                                 crs_bench_communication *result, crs_error *error);
void crs_bench_print_communication(const crs_bench_team *team, const crs_bench_communication *result);
void crs_bench_communication_json(const crs_bench_team *team, const crs_bench_communication *result);

/* ---- print.c, json.c: rank 0 ---- */

typedef struct crs_bench_result {
    crs_bench_case of;
    crs_bench_list kernels;
    crs_bench_step step;
} crs_bench_result;

void crs_bench_print_machine(const crs_bench_team *team, const crs_bench_machine *machine);
void crs_bench_print_result(const crs_bench_team *team, const crs_bench_result *result);
/* One object on one line. */
void crs_bench_print_json(const crs_bench_team *team, const crs_bench_machine *machine, const crs_bench_result *results,
                          int count);

/* About how many times as many tokens a second there would be with so many times the rows and the ranks. Sums over
 * ranks that do not exist yet are taken for a pass over the numbers, as on one node. */
double crs_bench_gain(const crs_bench_result *result, const crs_bench_team *team, int times_rows, int times_ranks);

#endif
