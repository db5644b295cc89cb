/* What a crs_comm is made of. Private to the room comm. */
#ifndef CRS_COMM_COMM_H
#define CRS_COMM_COMM_H

#include <mpi.h>

#include "carousel/comm.h"

struct crs_comm {
    MPI_Comm world, node; /* owned */
    bool owns_mpi;        /* whether to end MPI */
    int rank, size, node_rank, node_size;
    size_t chunk;   /* most elements in one call of MPI: its counts are ints */
    float *floats;  /* [chunk], owned; made by the first crs_comm_sum_float */
    double seconds; /* spent with the others */
};

/* A panic where code is not MPI_SUCCESS. */
void crs_mpi_check(int code, const char *file, int line, const char *call);
#define CRS_MPI(call) crs_mpi_check(call, __FILE__, __LINE__, #call)

/* For tests: smaller chunks. */
void crs_comm_set_chunk(crs_comm *comm, size_t chunk);

#endif
