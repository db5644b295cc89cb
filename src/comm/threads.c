/* How many threads a rank should run. */
#include "config.h"

#include <hwloc.h>
#include <string.h>

#include "comm/comm.h"

/* The cores (not hardware threads) that this process may run on, marked at the number that the system gives a core's
 * first hardware thread: a process that sees only its own cores counts them from 0. Returns how many. */
static int allowed_cores(hwloc_topology_t topology, unsigned char *is_allowed, int most) {
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (!set || hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_PROCESS) != 0) {
        hwloc_bitmap_free(set);
        set = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
    }
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
int crs_comm_threads(crs_comm *comm) {
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
        if (r == comm->node_rank)
            for (int i = 0; i < CORES; i++)
                theirs[i] = mine[i];
        CRS_MPI(MPI_Bcast(theirs, CORES, MPI_BYTE, r, comm->node));
        bool shares = false;
        for (int i = 0; i < CORES; i++)
            shares = shares || (mine[i] && theirs[i]);
        sharing += r != comm->node_rank && shares;
    }
    return cores / sharing > 1 ? cores / sharing : 1;
}
