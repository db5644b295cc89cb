/* Writing a checkpoint: all of it under its name, or nothing. */
#include "config.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "carousel/checkpoint.h"
#include "carousel/store.h"
#include "checkpoint/image.h"
#include "checkpoint/read.h"

/* What may not be saved: a diverged model, or arrays that don't fit the attributes, which are our own fault. */
static crs_status check_before(const crs_checkpoint *checkpoint, const char *path, crs_error *error) {
    if (crs_check_shapes(checkpoint, path, error))
        return error->status = CRS_INTERNAL;
    for (int i = 0; i < checkpoint->arrays; i++)
        if (crs_check_finite(&checkpoint->array[i], path, error))
            return error->status = CRS_CREATE;
    return CRS_OK;
}

/* Reads what the disk holds now, and compares it with what was meant. */
static crs_status read_back(const char *temporary, const char *listing, crs_error *error) {
    crs_checkpoint written;
    char found[CRS_HASH_HEX];
    crs_status status = crs_read_file(temporary, &written, found, error);
    if (status == CRS_INTERNAL)
        return status;
    if (status == CRS_OK) {
        crs_checkpoint_free(&written);
        if (strcmp(found, listing) == 0)
            return CRS_OK;
    }
    return crs_fail(
        error, CRS_CREATE,
        "%s: read back, it is not what was written: the disk or its file system is failing; give another folder",
        temporary);
}

static crs_status write_temporary(const char *temporary, const crs_checkpoint *checkpoint, crs_error *error) {
    crs_image image;
    if (crs_image_make(&image, checkpoint, temporary, error))
        return error->status;
    crs_status status = crs_disk_write(temporary, image.bytes, image.count, error);
    crs_image_free(&image);
    if (!status && crs_fault("checkpoint-torn") && truncate(temporary, (off_t)image.count / 2) != 0)
        return crs_fail(error, CRS_INTERNAL, "%s: the fault checkpoint-torn can't be made", temporary);
    return status ? status : read_back(temporary, image.listing, error);
}

crs_status crs_checkpoint_write(const char *path, const crs_checkpoint *checkpoint, crs_error *error) {
    char temporary[PATH_MAX];
    if (!crs_disk_temporary(path, temporary, sizeof temporary))
        return crs_fail(error, CRS_CREATE, "%s: too long a name; give a shorter one", path);
    if (check_before(checkpoint, path, error))
        return error->status;
    crs_status status = write_temporary(temporary, checkpoint, error);
    if (!status && crs_fault("checkpoint-kill-written"))
        raise(SIGKILL);
    if (!status)
        status = crs_disk_rename(temporary, path, error);
    if (status)
        unlink(temporary);
    else if (crs_fault("checkpoint-kill-renamed"))
        raise(SIGKILL);
    return status;
}
