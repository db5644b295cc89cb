/* Standard output whose loss is noticed; which kernels to use. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"

/* Why the first thing that was lost was lost: a later call of the library may no longer know. */
static int lost;

static crs_status told(bool written, crs_error *error) {
    if (written)
        return CRS_OK;
    lost = lost ? lost : errno;
    crs_fail(error, CRS_CREATE, "standard output: %s", lost ? strerror(lost) : "it can't be written");
    if (lost == EPIPE)
        error->message[0] = 0;
    return CRS_CREATE;
}

crs_status crs_output_write(const char *bytes, size_t count, crs_error *error) {
    errno = 0;
    return told(fwrite(bytes, 1, count, stdout) == count, error);
}

crs_status crs_output_flush(crs_error *error) {
    errno = 0;
    return told(fflush(stdout) == 0 && !ferror(stdout), error);
}

crs_status crs_choose_kernels(crs_comm *comm, const crs_kernels **kernels, crs_error *error) {
    crs_isa isa;
    crs_isa_choose(&isa, error);
    if (comm && crs_comm_agree(comm, error) == CRS_OK)
        isa = (crs_isa)crs_comm_min(comm, isa);
    if (error->status)
        return error->status;
    if (isa == CRS_ISA_BASELINE)
        crs_note("instruction set baseline: slow, a reference for any processor");
    *kernels = crs_kernels_of(isa);
    return CRS_OK;
}
