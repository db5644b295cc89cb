/* Signals that ask a run to stop, and the clock of the process. Private to room train. Local. */
#ifndef CRS_TRAIN_SIGNALS_H
#define CRS_TRAIN_SIGNALS_H

#include <stdbool.h>

/* From now on SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 are remembered, and nothing else happens; those that were
 * ignored before (nohup; SIGINT of a job in the background) stay ignored. alone: a second SIGINT ends the process, for
 * whom the step takes too long. */
void crs_signals_catch(bool alone);
/* The first that came since, or 0. */
int crs_signals_caught(void);
/* As it was before crs_signals_catch. */
void crs_signals_release(void);

/* Seconds since the process began. */
double crs_process_seconds(void);

#endif
