/* What a crs_comm is made of. Private to the room comm. */
#ifndef CRS_COMM_COMM_H
#define CRS_COMM_COMM_H

#include <mpi.h>

#include "carousel/comm.h"

enum { CRS_HOST_NAME = 64 };

/* The cores of this rank alone (ranks bound to cores of their own share with none; unbound ranks share all), of all
 * ranks of the node, and of the machine. */
typedef struct crs_core_counts {
    int own, node, machine;
} crs_core_counts;

struct crs_comm {
    MPI_Comm world, node; /* owned */
    bool owns_mpi;        /* whether to end MPI */
    int rank, size, node_rank, node_size;
    char *hosts;           /* [size][CRS_HOST_NAME], owned: the names of their nodes */
    size_t chunk;          /* most elements in one call of MPI: its counts are ints */
    double seconds;        /* spent with the others */
    crs_core_counts cores; /* found by the first who asks; own is 0 before */
    double patience;       /* seconds to wait for another rank; 0: for ever */
};

/* A panic where code is not MPI_SUCCESS. */
void crs_mpi_check(int code, const char *file, int line, const char *call);
#define CRS_MPI(call) crs_mpi_check(call, __FILE__, __LINE__, #call)

/* What messages from rank to rank are for; each exchange takes as many more as it has regions and stages. */
enum { CRS_TAG_ROWS = 1, CRS_TAG_HERE, CRS_TAG_SHARE, CRS_TAG_EXCHANGE };

/* Until all requests are done. */
void crs_wait(crs_comm *comm, MPI_Request *requests, int count);

/* For who looks by himself whether what he waits for is there: a turn of waiting, in which others may run. Does not
 * return where it took too long: says who was waited for, and ends all ranks. */
typedef struct crs_vigil {
    double since;
    unsigned turns;
} crs_vigil;
void crs_vigil_turn(crs_comm *comm, crs_vigil *vigil);

/* For tests: smaller chunks. */
void crs_comm_set_chunk(crs_comm *comm, size_t chunk);

#endif
