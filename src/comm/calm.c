/* Waiting where cores are shared: a thread that waits by spinning then takes the core of the one that it waits for.
 * OpenMP and MPI wait so by default, and the first is told otherwise by its environment alone, when it is loaded. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "config.h"

#include <math.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm.h"
#include "comm/limits.h"

static long number_of(const char *name) {
    const char *value = getenv(name);
    return value ? strtol(value, NULL, 10) : 0;
}

int crs_slurm_number(const char *list, int node) {
    while (list && *list) {
        char *end;
        const long number = strtol(list, &end, 10);
        long times = 1;
        if (end == list)
            return 0;
        if (strncmp(end, "(x", 2) == 0) {
            times = strtol(end + 2, &end, 10);
            end += *end == ')';
        }
        if (node < times)
            return (int)number;
        node -= (int)times;
        list = end + (*end == ',');
    }
    return 0;
}

double crs_slurm_given(int ranks) {
    const long task = number_of("SLURM_CPUS_PER_TASK"), node = number_of("SLURM_CPUS_ON_NODE");
    if (task > 0)
        return (double)task;
    return node > 0 ? (double)node / ranks : INFINITY;
}

/* How many ranks the launcher started on this node; 1 where it does not tell. */
static int local_ranks(void) {
    long ranks = number_of("OMPI_COMM_WORLD_LOCAL_SIZE");
    if (ranks < 1)
        ranks = crs_slurm_number(getenv("SLURM_STEP_TASKS_PER_NODE"), (int)number_of("SLURM_NODEID"));
    return ranks > 1 ? (int)ranks : 1;
}

/* A Slurm that is tried out on one machine: its nodes have names of their own, and the same cores. */
static bool node_is_shared(void) {
    const char *node = getenv("SLURMD_NODENAME");
    char host[256] = "";
    if (!node || gethostname(host, sizeof host - 1) != 0)
        return false;
    const size_t length = strcspn(host, ".");
    return strncmp(node, host, length) != 0 || (node[length] && node[length] != '.');
}

bool crs_cores_shared(int allowed, int machine, int ranks, double given) {
    return (ranks > 1 && (double)allowed * ranks > machine) || given < allowed;
}

void crs_comm_calm(char **argv) {
    int started;
    CRS_MPI(MPI_Initialized(&started));
    if (started || !crs_comm_launched() || getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
        return;
    hwloc_bitmap_t set = crs_first_binding();
    const int ranks = local_ranks(), allowed = set ? hwloc_bitmap_weight(set) : 0;
    if (set)
        hwloc_bitmap_free(set);
    if (!node_is_shared() &&
        !crs_cores_shared(allowed, (int)sysconf(_SC_NPROCESSORS_ONLN), ranks, crs_slurm_given(ranks)))
        return;
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    setenv("OMP_WAIT_POLICY", "passive", 0);
    crs_restore_binding();
    execv("/proc/self/exe", argv);
}
