/* Waiting for other ranks, on cores that others may need, and not for ever. */
#include "config.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "comm/comm.h"

/* The clock is read each so many turns. After PROMPT_TURNS, which take about a millisecond, a turn is a short sleep: a
 * network takes no notice, and ranks that share cores with this one have them, where a yield would keep asking. */
enum { TURNS = 64, PROMPT_TURNS = 1500, NAP = 40 };

void crs_comm_set_patience(crs_comm *comm, double seconds) {
    comm->patience = seconds;
}

/* "rank 2 on node7, rank 3 on node8", as far as there is room. */
static void name_missing(const crs_comm *comm, const bool *here, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int r = 0; r < comm->size && used + 1 < size; r++)
        if (!here[r]) {
            const char *host = crs_comm_host(comm, r);
            const int n =
                snprintf(text + used, size - used, "%srank %d%s%s", used ? ", " : "", r, *host ? " on " : "", host);
            used += n > 0 ? (size_t)n : 0;
        }
    if (used >= size)
        memcpy(text + size - 4, "...", 4);
}

/* All who wait have waited about as long: they tell each other that they are here. Who says nothing is missing. */
static void call_the_roll(crs_comm *comm, bool *here, MPI_Request *requests, char *said) {
    const double start = crs_seconds(), most = comm->patience < 50 ? 1 + comm->patience / 10 : 6;
    const char word = 1;
    for (int r = 0; r < comm->size; r++) {
        requests[r] = MPI_REQUEST_NULL;
        here[r] = r == comm->rank;
        if (here[r])
            continue;
        MPI_Request sent; /* never waited for: who is not there takes nothing */
        MPI_Isend(&word, 1, MPI_BYTE, r, CRS_TAG_HERE, comm->world, &sent);
        MPI_Irecv(said + r, 1, MPI_BYTE, r, CRS_TAG_HERE, comm->world, &requests[r]);
    }
    while (crs_seconds() - start < most) {
        for (int r = 0; r < comm->size; r++) {
            int done = 0;
            if (!here[r] && MPI_Test(&requests[r], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done)
                here[r] = true;
        }
        usleep(1000);
    }
}

/* Where mpirun can't end the others (their hosts are gone), this one is ended all the same. */
static _Noreturn void give_up(crs_comm *comm, double waited) {
    enum { MOST = 1 << 16 };
    static bool here[MOST];
    static MPI_Request requests[MOST];
    static char said[MOST], missing[600];
    int first = 0;
    if (comm->size <= MOST) {
        call_the_roll(comm, here, requests, said);
        while (first < comm->size && !here[first])
            first++;
    }
    if (first == comm->rank) {
        name_missing(comm, here, missing, sizeof missing);
        fprintf(stderr,
                "carousel: waited %.0f s for %s: stopped, unreachable, or gone; what was saved goes on with the same "
                "command (--hang-timeout says how long to wait)\n",
                waited, *missing ? missing : "a message from ranks that are here");
        fflush(stderr);
    }
    signal(SIGALRM, SIG_DFL);
    alarm(5);
    usleep(first == comm->rank ? 0 : 500000); /* the line first */
    MPI_Abort(MPI_COMM_WORLD, 75);
    _exit(75);
}

void crs_vigil_turn(crs_comm *comm, crs_vigil *vigil) {
    if (++vigil->turns < PROMPT_TURNS)
        sched_yield();
    else
        usleep(NAP);
    if (vigil->turns % TURNS)
        return;
    const double now = crs_seconds();
    if (vigil->since == 0)
        vigil->since = now;
    if (comm->patience > 0 && now - vigil->since > comm->patience)
        give_up(comm, now - vigil->since);
}

void crs_wait(crs_comm *comm, MPI_Request *requests, int count) {
    crs_vigil vigil = {0};
    int done = 0;
    CRS_MPI(MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE));
    while (!done) {
        crs_vigil_turn(comm, &vigil);
        CRS_MPI(MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE));
    }
}
