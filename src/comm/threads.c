/* How many threads a rank should run. */
#include "config.h"

#include <hwloc.h>

#include "comm/comm.h"

/* The cores (not hardware threads) that this process may run on: their numbers in order; returns how many. */
static int allowed_cores(hwloc_topology_t topology, unsigned char *is_allowed, int most) {
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (!set || hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_PROCESS) != 0) {
        hwloc_bitmap_free(set);
        set = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
    }
    int count = 0;
    for (int i = 0; i < most; i++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(topology, HWLOC_OBJ_CORE, (unsigned)i);
        is_allowed[i] = core && hwloc_bitmap_intersects(core->cpuset, set);
        count += is_allowed[i];
    }
    hwloc_bitmap_free(set);
    return count;
}

/* Ranks bound to cores of their own share with none; unbound ranks share all cores. */
int crs_comm_threads(crs_comm *comm) {
    enum { CORES = 4096 };
    static unsigned char mine[CORES], theirs[CORES];
    hwloc_topology_t topology;
    int cores = 0, total = 0, sharing = 1;
    if (hwloc_topology_init(&topology) == 0) {
        if (hwloc_topology_load(topology) == 0) {
            total = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
            cores = allowed_cores(topology, mine, total < CORES ? total : CORES);
        }
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
