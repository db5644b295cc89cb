/* Signals that ask a run to stop, a file that does, and the clock of the process. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "train/training.h"

static const int stopping[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
enum { STOPPING = sizeof stopping / sizeof *stopping };

/* Some launchers pass on a SIGINT that the terminal has sent to every rank too: over ranks, one that comes as soon as
 * this is no second one. */
static const double echo_seconds = 0.5;
/* Looking for RUN/stop costs a call of the system; so often is enough. */
static const double look_seconds = 0.25;

static volatile sig_atomic_t caught;
static volatile double interrupted, echo; /* when SIGINT came first (0: not yet); what goes for its echo */
static struct sigaction before[STOPPING];
static bool catching;
static double process_start;

__attribute__((constructor)) static void note_start(void) {
    process_start = crs_seconds();
}

double crs_process_seconds(void) {
    return crs_seconds() - process_start;
}

/* A second SIGINT ends the process as if nobody had asked for it: what is on the disk is whole at any time. */
static void remember(int number) {
    if (caught == 0)
        caught = number;
    if (number != SIGINT)
        return;
    if (interrupted == 0) {
        interrupted = crs_seconds();
    } else if (crs_seconds() - interrupted >= echo) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
}

void crs_signals_catch(bool alone) {
    if (!catching) {
        caught = 0;
        interrupted = 0;
    }
    echo = alone ? 0 : echo_seconds;
    for (int i = 0; i < STOPPING; i++) {
        struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        if (!catching)
            sigaction(stopping[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(stopping[i], &action, NULL);
    }
    catching = true;
}

int crs_signals_caught(void) {
    return caught;
}

bool crs_stop_file_seen(const char *run, double *looked) {
    char path[PATH_MAX];
    const double now = crs_seconds();
    if (*looked > 0 && now - *looked < look_seconds)
        return false;
    *looked = now;
    return snprintf(path, sizeof path, "%s/stop", run) < (int)sizeof path && access(path, F_OK) == 0;
}

crs_status crs_stop_file_remove(const char *run, bool *removed, crs_error *error) {
    char path[PATH_MAX];
    *removed = false;
    if (snprintf(path, sizeof path, "%s/stop", run) >= (int)sizeof path)
        return CRS_OK; /* then nobody has seen it either */
    *removed = remove(path) == 0;
    if (!*removed && errno != ENOENT)
        return crs_fail(error, CRS_CREATE, "%s asks the run to stop and can't be removed: %s; remove it by hand", path,
                        strerror(errno));
    return CRS_OK;
}

void crs_signals_release(void) {
    catching = false;
    for (int i = 0; i < STOPPING; i++)
        sigaction(stopping[i], &before[i], NULL);
}
