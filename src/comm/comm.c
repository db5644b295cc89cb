/* MPI: start and end, agreement, sums, broadcast, rows to rank 0 and back. */
#include "config.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm.h"

static void end_all(int status) {
    MPI_Abort(MPI_COMM_WORLD, status);
}

void crs_mpi_check(int code, const char *file, int line, const char *call) {
    if (code == MPI_SUCCESS)
        return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    crs_panic(file, line, "%s: %.*s", call, length, text);
}

/* Tasks of this job step of Slurm; 0 outside of one. */
static long slurm_tasks(void) {
    const char *step = getenv("SLURM_STEP_NUM_TASKS"), *tasks = step ? step : getenv("SLURM_NTASKS");
    return tasks && getenv("SLURM_STEP_ID") ? strtol(tasks, NULL, 10) : 0;
}

bool crs_comm_launched(void) {
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *size = getenv(sizes[i]);
        if (size && strtol(size, NULL, 10) > 1)
            return true;
    }
    return getenv("PMIX_RANK") && slurm_tasks() > 1;
}

bool crs_comm_launched_by_mpirun(void) {
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL;
}

static bool has_any(const char *const *names) {
    while (*names && !getenv(*names))
        names++;
    return *names != NULL;
}

crs_status crs_comm_check(crs_error *error) {
    /* What a task of Slurm finds that can learn of the others. */
    static const char *const told[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", NULL};
    const char *task = getenv("SLURM_PROCID");
    if (slurm_tasks() < 2 || has_any(told))
        return CRS_OK;
    crs_set_rank(task ? (int)strtol(task, NULL, 10) : 0);
    return crs_fail(error, CRS_USAGE,
                    "Slurm started %ld tasks, and none of them is told of the others: start them by srun --mpi=pmix "
                    "carousel (srun --mpi=list tells what there is), or by mpirun in the script of the job",
                    slurm_tasks());
}

/* A process by itself needs none of Open MPI's runtime, for which another program (orted) would be started, by way of
 * the PATH. In a shell of `srun --pty` it is no rank of that step, but Open MPI would look for the step's server. */
static void stay_alone(void) {
    if (getenv("OMPI_COMM_WORLD_SIZE") || slurm_tasks() > 1)
        return;
    setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    unsetenv("SLURM_STEP_ID");
    unsetenv("SLURM_STEPID");
}

static void name_hosts(crs_comm *comm) {
    char own[CRS_HOST_NAME] = "";
    const char *node = getenv("SLURMD_NODENAME"); /* where one machine is several nodes, or is called otherwise */
    if (node)
        snprintf(own, sizeof own, "%s", node);
    else
        gethostname(own, sizeof own - 1);
    comm->hosts = crs_alloc((size_t)comm->size, sizeof own, CRS_MEMORY_OTHER);
    CRS_ASSERT(comm->hosts);
    CRS_MPI(MPI_Allgather(own, sizeof own, MPI_CHAR, comm->hosts, sizeof own, MPI_CHAR, comm->world));
}

crs_comm *crs_comm_open(int *argc, char ***argv) {
    int started, provided;
    CRS_MPI(MPI_Initialized(&started));
    if (!started && !crs_comm_launched())
        stay_alone();
    if (!started)
        CRS_MPI(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided));
    CRS_MPI(MPI_Query_thread(&provided));
    crs_set_abort(end_all);
    CRS_ASSERT(provided >= MPI_THREAD_FUNNELED);
    crs_comm *comm = crs_alloc(1, sizeof *comm, CRS_MEMORY_OTHER);
    CRS_ASSERT(comm);
    comm->owns_mpi = !started;
    CRS_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm->world));
    CRS_MPI(MPI_Comm_set_errhandler(comm->world, MPI_ERRORS_RETURN));
    CRS_MPI(MPI_Comm_rank(comm->world, &comm->rank));
    CRS_MPI(MPI_Comm_size(comm->world, &comm->size));
    CRS_MPI(MPI_Comm_split_type(comm->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &comm->node));
    CRS_MPI(MPI_Comm_rank(comm->node, &comm->node_rank));
    CRS_MPI(MPI_Comm_size(comm->node, &comm->node_size));
    name_hosts(comm);
    crs_comm_set_chunk(comm, 0);
    crs_set_rank(comm->rank);
    return comm;
}

void crs_comm_close(crs_comm **comm) {
    crs_comm *c = *comm;
    if (!c)
        return;
    const bool owns_mpi = c->owns_mpi;
    CRS_MPI(MPI_Comm_free(&c->node));
    CRS_MPI(MPI_Comm_free(&c->world));
    crs_free(&c->hosts);
    crs_free(comm);
    crs_set_abort(NULL);
    if (owns_mpi)
        CRS_MPI(MPI_Finalize());
}

int crs_comm_rank(const crs_comm *comm) {
    return comm->rank;
}
int crs_comm_size(const crs_comm *comm) {
    return comm->size;
}
int crs_comm_node_size(const crs_comm *comm) {
    return comm->node_size;
}
const char *crs_comm_host(const crs_comm *comm, int rank) {
    return comm->hosts + (size_t)rank * CRS_HOST_NAME;
}
double crs_comm_time(const crs_comm *comm) {
    return comm->seconds;
}

/* ---- agreement ---- */

crs_status crs_comm_agree(crs_comm *comm, crs_error *error) {
    if (comm->size == 1)
        return error->status;
    const double start = crs_seconds();
    const int failed = error->status != CRS_OK;
    int mine = failed ? comm->rank : comm->size, first, all = comm->size;
    MPI_Request request;
    CRS_MPI(MPI_Iallreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm->world, &request));
    crs_wait(comm, &request, 1);
    if (first < comm->size) {
        CRS_MPI(MPI_Ibcast(error, sizeof *error, MPI_BYTE, first, comm->world, &request));
        crs_wait(comm, &request, 1);
    }
    /* What rank 0 says is said of all, as are its notes; but memory that it alone is out of. */
    if (first == 0 && error->status == CRS_INTERNAL) {
        CRS_MPI(MPI_Iallreduce(&failed, &all, 1, MPI_INT, MPI_SUM, comm->world, &request));
        crs_wait(comm, &request, 1);
    }
    if (first < comm->size && (first > 0 || all < comm->size))
        crs_fail(error, error->status, "rank %d: %s", first, error->message);
    comm->seconds += crs_seconds() - start;
    return error->status;
}

/* The first line in which two texts that are not the same differ. */
static crs_status tell_difference(const char *mine, const char *theirs, crs_status status, const char *what,
                                  const char *advice, crs_error *error) {
    size_t line = 0, most = 200;
    for (size_t i = 0; mine[i] && mine[i] == theirs[i]; i++)
        if (mine[i] == '\n')
            line = i + 1;
    const size_t here = strcspn(mine + line, "\n"), there = strcspn(theirs + line, "\n");
    return crs_fail(error, status, "%s is not that of rank 0: %.*s here, %.*s there; %s", what,
                    (int)(here < most ? here : most), mine + line, (int)(there < most ? there : most), theirs + line,
                    advice);
}

crs_status crs_comm_same(crs_comm *comm, const char *text, crs_status status, const char *what, const char *advice,
                         crs_error *error) {
    int64_t failed = error->status != CRS_OK;
    uint64_t size = text && !failed ? strlen(text) + 1 : 0;
    crs_comm_sum(comm, &failed, 1);
    if (comm->rank == 0 && error->status && failed < comm->size)
        crs_fail(error, error->status, "rank 0: %s", error->message);
    if (crs_comm_agree(comm, error) || comm->size == 1)
        return error->status;
    crs_comm_broadcast(comm, &size, sizeof size);
    char *theirs = crs_alloc_or_fail(size, 1, CRS_MEMORY_OTHER, "what rank 0 has", error);
    if (crs_comm_agree(comm, error) == CRS_OK) {
        if (comm->rank == 0)
            memcpy(theirs, text, size);
        crs_comm_broadcast(comm, theirs, size);
        if (strcmp(text, theirs) != 0)
            tell_difference(text, theirs, status, what, advice, error);
        crs_comm_agree(comm, error);
    }
    crs_free(&theirs);
    return error->status;
}
