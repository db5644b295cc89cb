/* Signals that ask a run to stop, and the clock of the process. Private to room train. Local. */
#ifndef CRS_TRAIN_SIGNALS_H
#define CRS_TRAIN_SIGNALS_H

/* The first that came since, or 0. */
int crs_signals_caught(void);
/* As it was before crs_signals_catch (carousel/train.h). */
void crs_signals_release(void);

/* Seconds since the process began. */
double crs_process_seconds(void);

#endif
