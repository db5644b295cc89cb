/* Checkpoints from rank 0 to the others. Private to room train. */
#ifndef CRS_TRAIN_SHARE_H
#define CRS_TRAIN_SHARE_H

#include "carousel/checkpoint.h"
#include "carousel/comm.h"

/* Rank 0's checkpoint for everyone; elsewhere *checkpoint is filled, and owned by the caller. On failure it is empty
 * at every rank but 0. Collective. */
crs_status crs_checkpoint_share(crs_comm *comm, crs_checkpoint *checkpoint, crs_error *error);

#endif
