/* Faults on purpose; empty outside the test build. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "carousel/base.h"

#ifdef CRS_FAULTS

bool crs_fault(const char *name) {
    const char *names = getenv("CAROUSEL_FAULT");
    size_t length = strlen(name);
    while (names && *names) {
        size_t next = strcspn(names, ",");
        if (next == length && memcmp(names, name, length) == 0)
            return true;
        names += next + (names[next] == ',');
    }
    return false;
}

#endif
