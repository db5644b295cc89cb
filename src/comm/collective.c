/* Sums over ranks, and bytes from rank to rank, of any length, in chunks. Begun, and then waited for, so that whoever
 * is missing is named (wait.c). */
#include "config.h"

#include <string.h>

#include "comm/comm.h"

/* Large enough to fill a network, small enough for any count and for a buffer. */
enum { CHUNK = 1 << 20 };

void crs_comm_set_chunk(crs_comm *comm, size_t chunk) {
    comm->chunk = chunk ? chunk : CHUNK;
}

static size_t chunk_of(const crs_comm *comm, size_t left) {
    return left < comm->chunk ? left : comm->chunk;
}

void crs_comm_sum(crs_comm *comm, int64_t *values, size_t n) {
    const double start = crs_seconds();
    MPI_Request request;
    for (size_t done = 0; comm->size > 1 && done < n; done += chunk_of(comm, n - done)) {
        CRS_MPI(MPI_Iallreduce(MPI_IN_PLACE, values + done, (int)chunk_of(comm, n - done), MPI_INT64_T, MPI_SUM,
                               comm->world, &request));
        crs_wait(comm, &request, 1);
    }
    comm->seconds += crs_seconds() - start;
}

void crs_comm_broadcast(crs_comm *comm, void *bytes, size_t count) {
    const double start = crs_seconds();
    MPI_Request request;
    for (size_t done = 0; comm->size > 1 && done < count; done += chunk_of(comm, count - done)) {
        CRS_MPI(
            MPI_Ibcast((char *)bytes + done, (int)chunk_of(comm, count - done), MPI_BYTE, 0, comm->world, &request));
        crs_wait(comm, &request, 1);
    }
    comm->seconds += crs_seconds() - start;
}

/* Rank 0 takes each rank's in turn. */
void crs_comm_gather(crs_comm *comm, const void *mine, void *all, const int *rows_of, size_t row_bytes) {
    const double start = crs_seconds();
    char *at = all;
    for (int r = 0; r < comm->size; r++) {
        const size_t count = (size_t)rows_of[r] * row_bytes;
        if (r == 0 && comm->rank == 0)
            memcpy(at, mine, count);
        for (size_t done = 0, size; r > 0 && done < count; done += size) {
            MPI_Request request = MPI_REQUEST_NULL;
            size = chunk_of(comm, count - done);
            if (comm->rank == r)
                CRS_MPI(
                    MPI_Isend((const char *)mine + done, (int)size, MPI_BYTE, 0, CRS_TAG_ROWS, comm->world, &request));
            else if (comm->rank == 0)
                CRS_MPI(MPI_Irecv(at + done, (int)size, MPI_BYTE, r, CRS_TAG_ROWS, comm->world, &request));
            crs_wait(comm, &request, 1);
        }
        at += at ? count : 0;
    }
    comm->seconds += crs_seconds() - start;
}

void crs_comm_share(crs_comm *comm, void *bytes, const size_t *at) {
    enum { MOST = 64 }; /* requests at a time: each rank's next and last so many */
    const double start = crs_seconds();
    char *all = bytes;
    for (int first = 1; first < comm->size; first += MOST) {
        MPI_Request request[2 * MOST];
        int requests = 0;
        for (int i = first; i < first + MOST && i < comm->size; i++) {
            const int to = (comm->rank + i) % comm->size, from = (comm->rank + comm->size - i) % comm->size;
            CRS_MPI(MPI_Irecv(all + at[from], (int)(at[from + 1] - at[from]), MPI_BYTE, from, CRS_TAG_SHARE,
                              comm->world, &request[requests++]));
            CRS_MPI(MPI_Isend(all + at[comm->rank], (int)(at[comm->rank + 1] - at[comm->rank]), MPI_BYTE, to,
                              CRS_TAG_SHARE, comm->world, &request[requests++]));
        }
        crs_wait(comm, request, requests);
    }
    comm->seconds += crs_seconds() - start;
}

void crs_comm_barrier(crs_comm *comm) {
    const double start = crs_seconds();
    MPI_Request request;
    CRS_MPI(MPI_Ibarrier(comm->world, &request));
    crs_wait(comm, &request, 1);
    comm->seconds += crs_seconds() - start;
}

static int64_t extreme(crs_comm *comm, int64_t value, MPI_Op op) {
    const double start = crs_seconds();
    int64_t result;
    MPI_Request request;
    CRS_MPI(MPI_Iallreduce(&value, &result, 1, MPI_INT64_T, op, comm->world, &request));
    crs_wait(comm, &request, 1);
    comm->seconds += crs_seconds() - start;
    return result;
}

int64_t crs_comm_min(crs_comm *comm, int64_t value) {
    return extreme(comm, value, MPI_MIN);
}
int64_t crs_comm_max(crs_comm *comm, int64_t value) {
    return extreme(comm, value, MPI_MAX);
}
double crs_comm_slowest(crs_comm *comm, double seconds) {
    return (double)crs_comm_max(comm, (int64_t)(seconds * 1e12)) * 1e-12;
}
