/* Signals that ask a run to stop, and the clock of the process. */
#include "config.h"

#include <signal.h>
#include <stddef.h>

#include "train/training.h"

static const int stopping[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
enum { STOPPING = sizeof stopping / sizeof *stopping };

static volatile sig_atomic_t caught;
static struct sigaction before[STOPPING];
static bool catching;
static double process_start;

__attribute__((constructor)) static void note_start(void) {
    process_start = crs_seconds();
}

double crs_process_seconds(void) {
    return crs_seconds() - process_start;
}

static void remember(int signal) {
    if (caught == 0)
        caught = signal;
}

void crs_signals_catch(bool alone) {
    if (!catching)
        caught = 0;
    for (int i = 0; i < STOPPING; i++) {
        struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
        if (alone && stopping[i] == SIGINT)
            action.sa_flags |= (int)SA_RESETHAND;
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

void crs_signals_release(void) {
    catching = false;
    for (int i = 0; i < STOPPING; i++)
        sigaction(stopping[i], &before[i], NULL);
}
