/* Files in memory, and what any parser owes its caller. */
#include "config.h"

#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long long fuzz_accepted;
static char path[4096];

static void remove_file(void) {
    unlink(path);
}

/* A name that stays: HDF5 asks where a link leads, so that one of /proc to a file without a name won't do. */
static int create_file(void) {
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof path, "/dev/shm/carousel-fuzz-XXXXXX");
    int file = mkostemp(path, O_CLOEXEC);
    if (file < 0) {
        snprintf(path, sizeof path, "%s/carousel-fuzz-XXXXXX", base && *base ? base : "/tmp");
        file = mkostemp(path, O_CLOEXEC);
    }
    CRS_ASSERT(file >= 0);
    atexit(remove_file);
    return file;
}

const char *fuzz_file(const uint8_t *data, size_t size) {
    static int file = -1;
    if (file < 0)
        file = create_file();
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
