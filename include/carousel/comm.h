/* The only room that talks to other ranks: start and end, who owns which rows, agreement, exact sums.
 *
 * Every function says whether it is collective. A failure of MPI is a panic (rank, file:line, MPI_Abort). */
#ifndef CAROUSEL_COMM_H
#define CAROUSEL_COMM_H

#include "carousel/kernel.h"

typedef struct crs_comm crs_comm; /* opaque; owns a duplicate of MPI_COMM_WORLD with MPI_ERRORS_RETURN */

/* Collective over all processes: starts MPI (MPI_THREAD_FUNNELED), sets crs_set_rank and crs_set_abort. */
crs_comm *crs_comm_open(int *argc, char ***argv);
/* Collective; sets *comm to NULL and ends MPI. */
void crs_comm_close(crs_comm **comm);
/* Whether a launcher started more than one process (from the environment; before crs_comm_open). Local. */
bool crs_comm_launched(void);
bool crs_comm_launched_by_mpirun(void); /* of Open MPI; one process or more. Local */
/* Before crs_comm_open: CRS_USAGE where srun started several processes and each believes that it is alone; only the
 * first then reports (crs_set_rank). Local. */
crs_status crs_comm_check(crs_error *error);

/* Local. */
int crs_comm_rank(const crs_comm *comm);
int crs_comm_size(const crs_comm *comm);
/* Ranks on this node. Local: found once by crs_comm_open. */
int crs_comm_node_size(const crs_comm *comm);
/* The name of a rank's node: that of Slurm, where it has one. Owned by the comm. Local. */
const char *crs_comm_host(const crs_comm *comm, int rank);
/* Seconds this rank has spent waiting for and talking to others since the start. Local. */
double crs_comm_time(const crs_comm *comm);
/* How many threads this rank should run: wanted, where that is above 0; else the first number of OMP_NUM_THREADS; else
 * the cores it may run on (hwloc; the binding that the process began with), divided by the ranks that may run on them
 * too, and within what Slurm gave it and its share of the processor time that its control group allows; at least 1.
 * Collective. */
int crs_comm_threads(crs_comm *comm, int wanted);
enum { CRS_THREADS_MOST = 1024 };

/* What threads and cores there are. */
typedef struct crs_crowd {
    int ranks, cores;                   /* on this node: ranks, the cores that they may use */
    int machine;                        /* what they could use if no launcher bound them */
    int crowded_threads, crowded_cores; /* of the node that has the most threads a core; alike on every rank */
    int most;                           /* threads of a rank; alike */
} crs_crowd;
/* threads: of this rank. Collective. */
crs_crowd crs_comm_crowd(crs_comm *comm, int threads);
/* Where this process shares its cores with other ranks: starts the program anew (as argv), so that OpenMP and MPI do
 * not spin while they wait. Not where OMP_WAIT_POLICY or GOMP_SPINCOUNT decide. Before anything else. Local. */
void crs_comm_calm(char **argv);
/* Bytes that one rank may use: the machine's memory, or what a control group allows where that is less, divided by the
 * node's ranks; the least over all nodes. Collective. */
double crs_comm_memory(crs_comm *comm);

/* Collective. Every rank gives its own error (status CRS_OK where all is well) and gets, in *error and as the returned
 * status, the one of the lowest rank that has one; "rank R: " stands before it where R is not 0, or where rank 0 alone
 * has one of CRS_INTERNAL.
 * The only way in which ranks decide to go on, stop, or fail. */
crs_status crs_comm_agree(crs_comm *comm, crs_error *error);
/* Collective: as crs_comm_agree, and then whether every rank has the same text (of what it opened or was told; lines,
 * any length). Where not, every rank gets `status` and a message that names a rank, `what` ("data.h5"), the first line
 * that differs, here and there, and `advice`. Where only some ranks have an error, rank 0's is named as such too. */
crs_status crs_comm_same(crs_comm *comm, const char *text, crs_status status, const char *what, const char *advice,
                         crs_error *error);
/* Collective: the lowest / highest of all ranks' values. */
int64_t crs_comm_min(crs_comm *comm, int64_t value);
int64_t crs_comm_max(crs_comm *comm, int64_t value);
double crs_comm_slowest(crs_comm *comm, double seconds); /* the highest, to a picosecond; below a hundred days */

/* Collective: values[n] become the sums over ranks. Integer addition: the same bits for any number and order of ranks.
 * Any n. */
void crs_comm_sum(crs_comm *comm, int64_t *values, size_t n);
/* Collective: rank 0's bytes for everyone. Any count. */
void crs_comm_broadcast(crs_comm *comm, void *bytes, size_t count);
/* Collective: rows_of[r] neighbouring rows of row_bytes from each rank r (in the order of ranks) to all[] at rank 0
 * (NULL elsewhere). mine: this rank's. */
void crs_comm_gather(crs_comm *comm, const void *mine, void *all, const int *rows_of, size_t row_bytes);
/* Collective: every rank's bytes for all: those of rank r stand at[r] .. at[r + 1] in bytes. */
void crs_comm_share(crs_comm *comm, void *bytes, const size_t *at);
void crs_comm_barrier(crs_comm *comm); /* collective */
/* How long to wait for another rank, in seconds; 0: for ever. A rank that waits longer says for whom, and ends all
 * ranks with status 75. Local. */
void crs_comm_set_patience(crs_comm *comm, double seconds);

/* ---- a step's numbers over ranks: sums that go to their owners while others are still made, parameters that come back
 * while the next step begins. Packed without loss on the way: the same bits for any number of ranks. ---- */

typedef struct crs_exchange crs_exchange;

/* The arrays are the caller's, for as long as the exchange lives. */
typedef struct crs_exchange_plan {
    const crs_kernels *kernels;
    int regions;         /* of sums, at least one, in the order in which they are complete; one follows the other */
    const size_t *bound; /* [regions][ranks + 1]: rank r gets the totals of bound[r] .. bound[r + 1] of a region */
    const bool *derived; /* [regions]: every rank gets all totals of it */
    size_t trailer;      /* numbers behind the last region, of which every rank gets the totals */
    size_t notes;        /* numbers of each rank that all get as they are */
    int stages;          /* of parameters, in the order in which they are wanted */
    const crs_extent *extent; /* of an arena: what each rank owns of each stage, multiples of CRS_BLOCK */
    const int *first_extent;  /* [ranks][stages + 1] */
} crs_exchange_plan;

/* Local; so is what follows, unless stated. */
crs_status crs_exchange_create(crs_exchange **exchange, crs_comm *comm, const crs_exchange_plan *plan,
                               crs_error *error);
void crs_exchange_free(crs_exchange **exchange);
/* A step's sums are about to be made in sums[]. rounded: they travel as floats, --reduce=float, which gives up the same
 * bits at other numbers of ranks (every rank gets the same). */
void crs_exchange_begin(crs_exchange *exchange, int64_t *sums, bool rounded);
/* This rank will not change sums[0 .. complete) any more: what is worth a message is sent. */
void crs_exchange_ready(crs_exchange *exchange, size_t complete);
/* Looks after what is on its way; to be called often, takes little time. */
void crs_exchange_progress(crs_exchange *exchange);
/* Collective: all sums of this rank are complete. Then this rank's own, the derived and the trailer are totals, and the
 * others are undefined. notes[ranks][notes]: with this rank's own; then with all (NULL where the plan has none). */
void crs_exchange_finish(crs_exchange *exchange, int64_t *notes);
/* Before this rank updates its own parameters: keeps what they were. */
void crs_exchange_keep(crs_exchange *exchange, const float *values);
/* Its own have been updated: their changes go to all. */
void crs_exchange_spread(crs_exchange *exchange, float *values);
/* Collective: waits until the parameters of this stage (and those before it) have come. False: they were here. To be
 * called for each stage in turn, the last one before the next step's sums begin. */
bool crs_exchange_here(crs_exchange *exchange, int stage);
/* How many bytes this rank has sent. */
int64_t crs_exchange_bytes(const crs_exchange *exchange);

/* ---- what the way between ranks can do ---- */

/* Seconds that a message of one byte takes one way, between the slowest of some pairs of ranks: neighbours, and those
 * half of all ranks apart, a pair at a time. 0 for one rank. Collective. */
double crs_comm_latency(crs_comm *comm);
/* Seconds until each rank has sent `count` messages of so many bytes to every other, all at once, and got theirs: of
 * the slowest, the median of a few times. 0 for one rank. bytes: below 2^31. Collective. */
crs_status crs_comm_flood(crs_comm *comm, size_t bytes, int count, double *seconds, crs_error *error);

/* ---- lanes: a fixed group of neighbouring rows of the global batch, the smallest thing a rank can own. Local. ---- */
typedef struct crs_lanes {
    int batch;                 /* rows over all ranks */
    int lane_rows;             /* nominal rows a lane: ceil(batch / lanes), or --lane */
    int lanes;                 /* lane l has the rows floor(l batch / lanes) .. floor((l+1) batch / lanes) */
    int first_lane, own_lanes; /* this rank's: lanes floor(r lanes / ranks) .. floor((r+1) lanes / ranks) */
    int first_row, own_rows;
    double efficiency; /* mean rows a rank / most rows a rank */
} crs_lanes;

/* lane: --lane, rows of each, or 0; count: --lanes, how many, or 0. By count, else ceil(batch / lane); by default the
 * largest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... not above ceil(batch / m), m = min(ceil(256 / window), floor(batch / 8))
 * and at least 1. Refuses (CRS_CONFIG) more ranks than lanes, naming the --batch, --lane or --lanes that would do. */
crs_status crs_lanes_plan(crs_lanes *lanes, int batch, int window, int lane, int count, int rank, int ranks,
                          crs_error *error);
int crs_lane_start(const crs_lanes *lanes, int lane);                 /* first global row; lane = lanes gives batch */
void crs_lanes_rows(const crs_lanes *lanes, int ranks, int *rows_of); /* rows_of[ranks]: rows of each rank */

#endif
