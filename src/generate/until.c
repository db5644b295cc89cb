/* Finding a text in what comes piece by piece: Knuth, Morris and Pratt. */
#include "config.h"

#include "generate/text.h"

/* How much of the text matches once `byte` comes after `matched` bytes of it. */
static size_t next(const crs_until *until, size_t matched, char byte) {
    while (matched > 0 && until->text[matched] != byte)
        matched = until->shorter[matched - 1];
    return matched + (until->text[matched] == byte);
}

crs_status crs_until_create(crs_until *until, const char *text, size_t bytes, crs_error *error) {
    *until = (crs_until){.text = text, .bytes = bytes};
    until->shorter =
        crs_alloc_or_fail(bytes, sizeof *until->shorter, CRS_MEMORY_OTHER, "the text that ends a text", error);
    for (size_t i = 1; i < bytes && until->shorter; i++)
        until->shorter[i] = next(until, until->shorter[i - 1], text[i]);
    return until->shorter ? CRS_OK : CRS_INTERNAL;
}

void crs_until_free(crs_until *until) {
    crs_free(&until->shorter);
}

void crs_until_begin(crs_until *until) {
    until->matched = 0;
}

bool crs_until_take(crs_until *until, const char *bytes, size_t count) {
    bool found = false;
    for (size_t i = 0; i < count && until->bytes > 0; i++) {
        until->matched = next(until, until->matched, bytes[i]);
        if (until->matched == until->bytes) {
            found = true;
            until->matched = until->shorter[until->bytes - 1];
        }
    }
    return found;
}
