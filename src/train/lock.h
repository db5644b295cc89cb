/* RUN/.lock: one training at a time in a folder. Private to room train; rank 0 alone. Local. */
#ifndef CRS_TRAIN_LOCK_H
#define CRS_TRAIN_LOCK_H

#include "carousel/base.h"

/* Locks RUN/.lock where there is one, and changes nothing; *lock is -1 where there is none. CRS_CREATE where another
 * process has it, or where RUN is no folder. */
crs_status crs_lock_take(const char *run, int *lock, crs_error *error);
/* Makes RUN where it is missing, and RUN/.lock, and locks it. CRS_CREATE, also where RUN/.lock has come into being
 * meanwhile. */
crs_status crs_lock_make(const char *run, int *lock, crs_error *error);
void crs_lock_release(int *lock);
/* Whether files can be made in RUN. CRS_CREATE. */
crs_status crs_lock_writable(const char *run, crs_error *error);

/* Whether RUN holds anything but RUN/.lock. */
bool crs_run_holds_files(const char *run);

#endif
