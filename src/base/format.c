/* Numbers and times as a person likes to read them. */
#include "config.h"

#include <inttypes.h>

#include "carousel/base.h"

const char *crs_format_count(int64_t count, char out[32]) {
    char digits[32];
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, count < 0 ? -(uint64_t)count : (uint64_t)count);
    char *to = out;
    if (count < 0)
        *to++ = '-';
    for (int i = 0; i < length; i++) {
        *to++ = digits[i];
        if (i + 1 < length && (length - i - 1) % 3 == 0)
            *to++ = ',';
    }
    *to = '\0';
    return out;
}

const char *crs_format_time(double seconds, char out[32]) {
    const int64_t s = seconds < 1e12 ? (int64_t)(seconds + 0.5) : INT64_C(1000000000000);
    if (seconds < 9.95)
        snprintf(out, 32, "%.1fs", seconds);
    else if (s < 60)
        snprintf(out, 32, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(out, 32, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, 32, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
    return out;
}

const char *crs_plural(int64_t count, const char *one, const char *many) {
    return count == 1 ? one : many;
}
