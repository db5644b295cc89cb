/* What the way between ranks can do: how long a message takes, and how many bytes go at once. */
#include "config.h"

#include <string.h>

#include "comm/comm.h"

enum { ROUNDS = 40, WARM = 5, PAIRS_MOST = 64 };

/* The median; sorts. */
static double middle(double *values, int count) {
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && values[j - 1] > values[j]; j--) {
            const double other = values[j];
            values[j] = values[j - 1];
            values[j - 1] = other;
        }
    return values[count / 2];
}

/* There and back, of two ranks; the others wait. Seconds of one way at the first. */
static double go_and_return(crs_comm *comm, int first, int second) {
    double seconds[ROUNDS];
    char byte = 1;
    MPI_Request request;
    const bool begins = comm->rank == first;
    if (comm->rank != first && comm->rank != second)
        return 0;
    for (int i = -WARM; i < ROUNDS; i++) {
        const double start = crs_seconds();
        for (int way = 0; way < 2; way++) {
            if (begins == (way == 0))
                CRS_MPI(MPI_Isend(&byte, 1, MPI_BYTE, begins ? second : first, CRS_TAG_ROWS, comm->world, &request));
            else
                CRS_MPI(MPI_Irecv(&byte, 1, MPI_BYTE, begins ? second : first, CRS_TAG_ROWS, comm->world, &request));
            crs_wait(comm, &request, 1);
        }
        if (i >= 0)
            seconds[i] = (crs_seconds() - start) / 2;
    }
    return begins ? middle(seconds, ROUNDS) : 0;
}

double crs_comm_latency(crs_comm *comm) {
    const int size = comm->size, stride = (size + PAIRS_MOST - 1) / PAIRS_MOST;
    const int distances[] = {1, size / 2};
    double most = 0;
    /* Neighbours may share a node, and so may those half of all ranks apart, but seldom both. */
    for (int d = 0; d < (size > 3 ? 2 : 1) && size > 1; d++)
        for (int first = 0; first < size; first += stride) {
            crs_comm_barrier(comm);
            const double seconds = go_and_return(comm, first, (first + distances[d]) % size);
            most = seconds > most ? seconds : most;
        }
    return crs_comm_slowest(comm, most);
}

/* Each to the next one first, as the exchange sends. */
static double all_at_once(crs_comm *comm, char *room, size_t bytes, int count, MPI_Request *request) {
    int requests = 0;
    crs_comm_barrier(comm);
    const double start = crs_seconds();
    for (int k = 0; k < count; k++)
        for (int i = 1; i < comm->size; i++) {
            const int to = (comm->rank + i) % comm->size, from = (comm->rank + comm->size - i) % comm->size;
            CRS_MPI(MPI_Irecv(room + (size_t)i * bytes, (int)bytes, MPI_BYTE, from, CRS_TAG_ROWS, comm->world,
                              &request[requests++]));
            CRS_MPI(MPI_Isend(room, (int)bytes, MPI_BYTE, to, CRS_TAG_ROWS, comm->world, &request[requests++]));
        }
    crs_wait(comm, request, requests);
    return crs_seconds() - start;
}

crs_status crs_comm_flood(crs_comm *comm, size_t bytes, int count, double *seconds, crs_error *error) {
    enum { TIMES = 5 };
    const size_t others = (size_t)comm->size - 1;
    double times[TIMES];
    CRS_ASSERT(bytes <= INT32_MAX);
    char *room = crs_alloc_or_fail((others + 1) * bytes, 1, CRS_MEMORY_OTHER, "messages to all ranks", error);
    MPI_Request *request = crs_alloc_or_fail(2 * others * (size_t)count, sizeof(MPI_Request), CRS_MEMORY_OTHER,
                                             "messages to all ranks", error);
    *seconds = 0;
    if (crs_comm_agree(comm, error) == CRS_OK && others > 0) {
        all_at_once(comm, room, bytes, count, request); /* connections are made */
        for (int i = 0; i < TIMES; i++)
            times[i] = crs_comm_slowest(comm, all_at_once(comm, room, bytes, count, request));
        *seconds = middle(times, TIMES);
    }
    crs_free(&room);
    crs_free(&request);
    return error->status;
}
