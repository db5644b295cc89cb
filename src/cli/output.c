/* Standard output whose loss is noticed; which kernels to use. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"

crs_status crs_output_flush(crs_error *error) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CRS_OK;
    if (errno == EPIPE) {
        error->status = CRS_CREATE;
        error->message[0] = 0;
        return CRS_CREATE;
    }
    return crs_fail(error, CRS_CREATE, "standard output: %s", errno ? strerror(errno) : "it can't be written");
}

crs_status crs_choose_kernels(crs_comm *comm, const crs_kernels **kernels, crs_error *error) {
    crs_isa isa;
    crs_isa_choose(&isa, error);
    if (comm && crs_comm_agree(comm, error) == CRS_OK)
        isa = (crs_isa)crs_comm_min(comm, isa);
    if (error->status == CRS_OK)
        *kernels = crs_kernels_of(isa);
    return error->status;
}
