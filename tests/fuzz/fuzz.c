/* Files in memory, and what any parser owes its caller. */
#define _GNU_SOURCE
#include "config.h"

#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *fuzz_file(const uint8_t *data, size_t size) {
    static char path[64];
    static int file = -1;
    if (file < 0) {
        file = memfd_create("fuzz", MFD_CLOEXEC);
        CRS_ASSERT(file >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    CRS_ASSERT(ftruncate(file, (off_t)size) == 0);
    CRS_ASSERT(pwrite(file, data, size, 0) == (ssize_t)size);
    return path;
}

void fuzz_check_outcome(crs_status status, const crs_error *error) {
    CRS_ASSERT(status == error->status);
    CRS_ASSERT(status == CRS_OK || status == CRS_DATA || status == CRS_NO_INPUT || status == CRS_CONFIG);
    CRS_ASSERT(status == CRS_OK || *error->message);
    for (const unsigned char *c = (const unsigned char *)error->message; *c; c++)
        CRS_ASSERT(*c >= ' ');
}

void fuzz_check_memory(int64_t blocks) {
    CRS_ASSERT(crs_memory_blocks() == blocks);
}
