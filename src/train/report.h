/* What a run says at its turning points. Private to room train; rank 0 (elsewhere nothing is printed). Local. */
#ifndef CRS_TRAIN_REPORT_H
#define CRS_TRAIN_REPORT_H

#include "train/training.h"

void crs_report_start(const crs_training *training);
/* loss: NaN where the model gives no number. seconds: how long it took. */
void crs_report_validation(crs_training *training, double loss, bool best, double seconds);
void crs_report_save(crs_training *training);
/* Fills *error with CRS_STOPPED and why. */
crs_status crs_report_stop(const crs_training *training, bool by_signal, crs_error *error);
/* Adds to *error, which says that the run has diverged, what would do. Returns its status. */
crs_status crs_report_diverged(const crs_training *training, crs_error *error);
void crs_report_end(const crs_training *training);
/* Of a run that has nothing left to do. */
void crs_report_finished(const crs_training *training);

#endif
