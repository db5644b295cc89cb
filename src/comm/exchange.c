/* Sums over ranks, and bytes from rank to rank, of any length, in chunks. */
#include "config.h"

#include <string.h>

#include "comm/comm.h"

/* Large enough to fill a network, small enough for any count and for a buffer. */
enum { CHUNK = 1 << 20 };

void crs_comm_set_chunk(crs_comm *comm, size_t chunk) {
    crs_free(&comm->floats);
    comm->chunk = chunk ? chunk : CHUNK;
}

static size_t chunk_of(const crs_comm *comm, size_t left) {
    return left < comm->chunk ? left : comm->chunk;
}

/* In steps of 2^-32; what an int64 can't hold becomes the most it can, NaN the least. */
static int64_t fixed_of(float x) {
    if (x >= 0x1p31f)
        return INT64_MAX;
    if (!(x > -0x1p31f))
        return INT64_MIN;
    return (int64_t)((double)x * 0x1p32);
}

/* Reduced at one rank and sent to all: MPI promises no more than that, and every rank needs the same bits. */
static void sum_as_floats(crs_comm *comm, int64_t *values, size_t n) {
    if (!comm->floats)
        comm->floats = crs_alloc(comm->chunk, sizeof *comm->floats, CRS_MEMORY_GRADIENTS);
    CRS_ASSERT(comm->floats);
    for (size_t done = 0; done < n;) {
        const size_t count = chunk_of(comm, n - done);
        for (size_t i = 0; i < count; i++)
            comm->floats[i] = (float)((double)values[done + i] * 0x1p-32);
        void *from = comm->rank == 0 ? MPI_IN_PLACE : comm->floats;
        CRS_MPI(MPI_Reduce(from, comm->floats, (int)count, MPI_FLOAT, MPI_SUM, 0, comm->world));
        CRS_MPI(MPI_Bcast(comm->floats, (int)count, MPI_FLOAT, 0, comm->world));
        for (size_t i = 0; i < count; i++)
            values[done + i] = fixed_of(comm->floats[i]);
        done += count;
    }
}

void crs_comm_sum(crs_comm *comm, int64_t *values, size_t n) {
    const double start = crs_seconds();
    if (crs_fault("sum-float"))
        sum_as_floats(comm, values, n);
    else
        for (size_t done = 0; comm->size > 1 && done < n; done += chunk_of(comm, n - done))
            CRS_MPI(MPI_Allreduce(MPI_IN_PLACE, values + done, (int)chunk_of(comm, n - done), MPI_INT64_T, MPI_SUM,
                                  comm->world));
    comm->seconds += crs_seconds() - start;
}

void crs_comm_sum_float(crs_comm *comm, int64_t *values, size_t n) {
    const double start = crs_seconds();
    sum_as_floats(comm, values, n);
    comm->seconds += crs_seconds() - start;
}

void crs_comm_broadcast(crs_comm *comm, void *bytes, size_t count) {
    const double start = crs_seconds();
    for (size_t done = 0; comm->size > 1 && done < count; done += chunk_of(comm, count - done))
        CRS_MPI(MPI_Bcast((char *)bytes + done, (int)chunk_of(comm, count - done), MPI_BYTE, 0, comm->world));
    comm->seconds += crs_seconds() - start;
}

/* Rank 0 takes each rank's in turn. */
void crs_comm_gather(crs_comm *comm, const void *mine, void *all, const int *rows_of, size_t row_bytes) {
    enum { TAG_ROWS = 1 };
    const double start = crs_seconds();
    char *at = all;
    for (int r = 0; r < comm->size; r++) {
        const size_t count = (size_t)rows_of[r] * row_bytes;
        if (r == 0 && comm->rank == 0)
            memcpy(at, mine, count);
        for (size_t done = 0, size; r > 0 && done < count; done += size) {
            size = chunk_of(comm, count - done);
            if (comm->rank == r)
                CRS_MPI(MPI_Send((const char *)mine + done, (int)size, MPI_BYTE, 0, TAG_ROWS, comm->world));
            else if (comm->rank == 0)
                CRS_MPI(MPI_Recv(at + done, (int)size, MPI_BYTE, r, TAG_ROWS, comm->world, MPI_STATUS_IGNORE));
        }
        at += at ? count : 0;
    }
    comm->seconds += crs_seconds() - start;
}

void crs_comm_barrier(crs_comm *comm) {
    const double start = crs_seconds();
    CRS_MPI(MPI_Barrier(comm->world));
    comm->seconds += crs_seconds() - start;
}

static int64_t extreme(crs_comm *comm, int64_t value, MPI_Op op) {
    const double start = crs_seconds();
    int64_t result;
    CRS_MPI(MPI_Allreduce(&value, &result, 1, MPI_INT64_T, op, comm->world));
    comm->seconds += crs_seconds() - start;
    return result;
}

int64_t crs_comm_min(crs_comm *comm, int64_t value) {
    return extreme(comm, value, MPI_MIN);
}
int64_t crs_comm_max(crs_comm *comm, int64_t value) {
    return extreme(comm, value, MPI_MAX);
}
