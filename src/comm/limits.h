/* What the system lets this process have. Private to room comm. Local. */
#ifndef CRS_COMM_LIMITS_H
#define CRS_COMM_LIMITS_H

#include <hwloc.h>
#include <stdbool.h>

typedef struct crs_limits {
    double memory; /* bytes; INFINITY: no limit */
    double cores;  /* processor time a time; INFINITY: no limit */
} crs_limits;

/* The lowest limits of this process's control groups and those above them, version 1 or 2: groups is its list of them
 * ("/proc/self/cgroup"), root where they are mounted ("/sys/fs/cgroup"). They hold for all of the group together. */
crs_limits crs_limits_read(const char *root, const char *groups);

/* Threads of a rank, with so many cores, processors that its job was given and share of processor time (both INFINITY:
 * any); variable: what OMP_NUM_THREADS says, or NULL. *from: where the number comes from, static. */
int crs_threads_choose(int cores, double given, double share, const char *variable, const char **from);
/* The processors that Slurm gave each of so many ranks on this node; INFINITY where it is not known (from the
 * environment). */
double crs_slurm_given(int ranks);
/* The number of a node in a list of Slurm's, as "2(x3),1"; 0 where it has none. */
int crs_slurm_number(const char *list, int node);
/* Bytes of a rank, of so many ranks on a machine, where all of them together are held to a limit (INFINITY: none). */
double crs_memory_choose(double machine, double limit, int ranks);

/* Where this process was allowed to run when it began: OpenMP's library, as soon as it is loaded, ties the main thread
 * to one place where OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY say so. Owned by the caller; NULL: not known. */
hwloc_bitmap_t crs_first_binding(void);
void crs_restore_binding(void); /* what was found so holds again, for a program that takes this one's place */

/* Whether a process that may run on so many processors of a machine, with so many ranks on it, shares them: with these
 * ranks, or with whatever else Slurm starts there (given: what it gave each rank; INFINITY: not known). */
bool crs_cores_shared(int allowed, int machine, int ranks, double given);

#endif
