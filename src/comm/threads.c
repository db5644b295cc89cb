/* How many threads a rank should run, and how much memory it may take; whether there are too many, or too few. */
#include "config.h"

#include <hwloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm.h"
#include "comm/limits.h"

enum { CORES = 4096 };

/* The cores (not hardware threads) that this process may run on, marked at the number that the system gives a core's
 * first hardware thread: a process that sees only its own cores counts them from 0. Returns how many; *machine: how
 * many there are, for whoever is not bound. */
static int allowed_cores(hwloc_topology_t topology, unsigned char *is_allowed, int *machine) {
    hwloc_bitmap_t set = crs_first_binding();
    if (!set)
        set = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
    const int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
    int count = 0;
    *machine = cores;
    for (int i = 0; i < cores; i++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(topology, HWLOC_OBJ_CORE, (unsigned)i);
        const int number = hwloc_bitmap_first(core->complete_cpuset);
        if (number >= 0 && number < CORES && hwloc_bitmap_intersects(core->cpuset, set)) {
            is_allowed[number] = 1;
            count++;
        }
    }
    hwloc_bitmap_free(set);
    return count;
}

/* Once: a launcher binds a process before it begins. Collective. */
static crs_core_counts find_cores(crs_comm *comm) {
    if (comm->cores.own > 0)
        return comm->cores;
    static unsigned char mine[CORES], theirs[CORES], all[CORES];
    memset(mine, 0, sizeof mine);
    memset(all, 0, sizeof all);
    hwloc_topology_t topology;
    crs_core_counts found = {0};
    int sharing = 1;
    if (hwloc_topology_init(&topology) == 0) {
        if (hwloc_topology_load(topology) == 0)
            found.own = allowed_cores(topology, mine, &found.machine);
        hwloc_topology_destroy(topology);
    }
    for (int r = 0; r < comm->node_size; r++) {
        unsigned char *has = r == comm->node_rank ? mine : theirs;
        bool shares = false;
        MPI_Request request;
        CRS_MPI(MPI_Ibcast(has, CORES, MPI_BYTE, r, comm->node, &request));
        crs_wait(comm, &request, 1);
        for (int i = 0; i < CORES; i++) {
            shares = shares || (mine[i] && theirs[i]);
            all[i] |= has[i];
        }
        sharing += has == theirs && shares;
    }
    for (int i = 0; i < CORES; i++)
        found.node += all[i];
    found.own = found.own / sharing > 1 ? found.own / sharing : 1;
    return comm->cores = found;
}

static crs_limits own_limits(void) {
    return crs_limits_read("/sys/fs/cgroup", "/proc/self/cgroup");
}

int crs_threads_choose(int cores, double given, double share, const char *variable, const char **from) {
    const long asked = variable ? strtol(variable, NULL, 10) : 0; /* the first of a list */
    *from = "OMP_NUM_THREADS";
    if (asked > 0)
        return asked < CRS_THREADS_MOST ? (int)asked : CRS_THREADS_MOST;
    *from = "the cores it may run on";
    if (share >= cores && given >= cores)
        return cores;
    *from = "its share of the processor time that its control group may take";
    if (given <= share) {
        *from = "the processors that Slurm gave it";
        share = given;
    }
    return share > 1 ? (int)share : 1;
}

int crs_comm_threads(crs_comm *comm, int wanted) {
    const char *from;
    const crs_core_counts found = find_cores(comm); /* collective, so whatever is wanted */
    const double share = own_limits().cores / comm->node_size, given = crs_slurm_given(comm->node_size);
    const int threads = crs_threads_choose(found.own, given, share, getenv("OMP_NUM_THREADS"), &from);
    if (wanted > 0)
        return wanted;
    crs_debug("threads of a rank: %d, by %s", threads, from);
    return threads;
}

crs_crowd crs_comm_crowd(crs_comm *comm, int threads) {
    enum { BITS = 20, MOST = (1 << BITS) - 1 };
    const crs_core_counts found = find_cores(comm);
    const double given = crs_slurm_given(comm->node_size) * comm->node_size;
    int64_t at_work = threads, most = threads;
    MPI_Request request;
    CRS_MPI(MPI_Iallreduce(MPI_IN_PLACE, &at_work, 1, MPI_INT64_T, MPI_SUM, comm->node, &request));
    crs_wait(comm, &request, 1);
    crs_crowd crowd = {.most = (int)crs_comm_max(comm, most), .ranks = comm->node_size, .machine = found.machine};
    crowd.machine = given < crowd.machine ? (int)given : crowd.machine;
    crowd.cores = found.node > 0 ? (int)fmin(found.node, given) : 1;
    crowd.cores = crowd.cores > 1 ? crowd.cores : 1;
    /* Of the worst node: by its threads a core, in front of both numbers. */
    at_work = at_work < MOST ? at_work : MOST;
    const int64_t worst =
        crs_comm_max(comm, (at_work * 1024 / crowd.cores) << 2 * BITS | at_work << BITS | crowd.cores);
    crowd.crowded_threads = (int)(worst >> BITS & MOST);
    crowd.crowded_cores = (int)(worst & MOST);
    return crowd;
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
