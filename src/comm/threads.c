/* How many threads a rank should run, and how much memory it may take. */
#include "config.h"

#include <hwloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm.h"
#include "comm/limits.h"

/* The cores (not hardware threads) that this process may run on, marked at the number that the system gives a core's
 * first hardware thread: a process that sees only its own cores counts them from 0. Returns how many. */
static int allowed_cores(hwloc_topology_t topology, unsigned char *is_allowed, int most) {
    hwloc_bitmap_t set = crs_first_binding();
    if (!set)
        set = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
    const int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
    int count = 0;
    for (int i = 0; i < cores; i++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(topology, HWLOC_OBJ_CORE, (unsigned)i);
        const int number = hwloc_bitmap_first(core->complete_cpuset);
        if (number >= 0 && number < most && hwloc_bitmap_intersects(core->cpuset, set)) {
            is_allowed[number] = 1;
            count++;
        }
    }
    hwloc_bitmap_free(set);
    return count;
}

/* Ranks bound to cores of their own share with none; unbound ranks share all cores. */
static int cores_of_rank(crs_comm *comm) {
    enum { CORES = 4096 };
    static unsigned char mine[CORES], theirs[CORES];
    memset(mine, 0, sizeof mine);
    hwloc_topology_t topology;
    int cores = 0, sharing = 1;
    if (hwloc_topology_init(&topology) == 0) {
        if (hwloc_topology_load(topology) == 0)
            cores = allowed_cores(topology, mine, CORES);
        hwloc_topology_destroy(topology);
    }
    for (int r = 0; r < comm->node_size; r++) {
        unsigned char *has = r == comm->node_rank ? mine : theirs;
        bool shares = false;
        CRS_MPI(MPI_Bcast(has, CORES, MPI_BYTE, r, comm->node));
        for (int i = 0; i < CORES; i++)
            shares = shares || (mine[i] && theirs[i]);
        sharing += has == theirs && shares;
    }
    return cores / sharing > 1 ? cores / sharing : 1;
}

static crs_limits own_limits(void) {
    return crs_limits_read("/sys/fs/cgroup", "/proc/self/cgroup");
}

int crs_threads_choose(int cores, double share, const char *variable, const char **from) {
    const long asked = variable ? strtol(variable, NULL, 10) : 0; /* the first of a list */
    *from = "OMP_NUM_THREADS";
    if (asked > 0)
        return asked < CRS_THREADS_MOST ? (int)asked : CRS_THREADS_MOST;
    *from = "the cores it may run on";
    if (share >= cores)
        return cores;
    *from = "its share of the processor time that its control group may take";
    return share > 1 ? (int)share : 1;
}

int crs_comm_threads(crs_comm *comm, int wanted) {
    const char *from;
    const int cores = cores_of_rank(comm); /* collective, so whatever is wanted */
    const double share = own_limits().cores / comm->node_size;
    const int threads = crs_threads_choose(cores, share, getenv("OMP_NUM_THREADS"), &from);
    if (wanted > 0)
        return wanted;
    crs_debug("threads of a rank: %d, by %s", threads, from);
    return threads;
}

double crs_memory_choose(double machine, double limit, int ranks) {
    return fmin(machine, limit) / ranks;
}

double crs_comm_memory(crs_comm *comm) {
    const double pages = (double)sysconf(_SC_PHYS_PAGES), size = (double)sysconf(_SC_PAGESIZE);
    const double machine = pages > 0 && size > 0 ? pages * size : INFINITY;
    const double memory = crs_memory_choose(machine, own_limits().memory, comm->node_size);
    return (double)crs_comm_min(comm, memory < 0x1p62 ? (int64_t)memory : INT64_C(1) << 62);
}
