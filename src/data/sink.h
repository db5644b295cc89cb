/* A file for HDF5 to write to that never fails. */
#ifndef CAROUSEL_DATA_SINK_H
#define CAROUSEL_DATA_SINK_H

#include "store/h5.h"

/* Where a file can't be closed, for a full disk, HDF5 1.10 crashes later on, at the end of MPI at the latest. So this
 * driver takes what it is given: once a write failed, the rest goes nowhere, and the reason is kept. */

/* As crs_h5_access, for crs_h5_create; H5I_INVALID_HID on failure. Owned by the caller. *failed, the caller's for as
 * long as the file is open, becomes errno of the first write that fails. Whoever sets it gives the file up: nothing
 * more is written. */
hid_t crs_sink_access(int *failed);

#endif
