/* Values as a person types them: all of the text, and nothing but it. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "carousel/train.h"

/* What a message quotes of a long value. */
enum { SHOWN = 60 };

static bool only(const char *text, const char *characters) {
    return *text && strspn(text, characters) == strlen(text);
}

static crs_status refuse_whole(const crs_typed *t, int64_t low, int64_t high, crs_error *error) {
    return crs_fail(error, t->status, "%s: '%.*s' won't do; give a whole number from %" PRId64 " to %" PRId64, t->where,
                    SHOWN, t->value, low, high);
}

crs_status crs_typed_whole(const crs_typed *typed, int64_t low, int64_t high, int64_t *out, crs_error *error) {
    const char *text = typed->value, *digits = *text == '-' || *text == '+' ? text + 1 : text;
    errno = 0;
    const int64_t value = strtoll(text, NULL, 10);
    if (!only(digits, "0123456789") || errno || value < low || value > high)
        return refuse_whole(typed, low, high, error);
    *out = value;
    return CRS_OK;
}

crs_status crs_typed_seed(const crs_typed *typed, uint64_t *out, crs_error *error) {
    errno = 0;
    const uint64_t value = strtoull(typed->value, NULL, 10);
    if (!only(typed->value, "0123456789") || errno)
        return crs_fail(error, typed->status, "%s: '%.*s' won't do; give a whole number from 0 to %" PRIu64,
                        typed->where, SHOWN, typed->value, UINT64_MAX);
    *out = value;
    return CRS_OK;
}

static crs_status refuse_real(const crs_typed *t, const crs_range *r, crs_error *error) {
    char low[64] = "", high[64] = "";
    if (r->low > -HUGE_VAL)
        snprintf(low, sizeof low, " %s %g", r->above_low ? "above" : "from", r->low);
    if (r->high < HUGE_VAL)
        snprintf(high, sizeof high, " %s %g", r->below_high ? "below" : "to", r->high);
    return crs_fail(error, t->status, "%s: '%.*s' won't do; give a number%s%s%s", t->where, SHOWN, t->value, low,
                    *low && r->below_high ? " and" : "", high);
}

crs_status crs_typed_real(const crs_typed *typed, const crs_range *range, double *out, crs_error *error) {
    char *end;
    const double value = strtod(typed->value, &end);
    const bool plain = only(typed->value, "0123456789+-.eE") && !*end;
    if (!plain || !isfinite(value) || value < range->low || value > range->high ||
        (range->above_low && value <= range->low) || (range->below_high && value >= range->high))
        return refuse_real(typed, range, error);
    *out = value + 0.0; /* -0 is 0 */
    return CRS_OK;
}

/* ---- names ---- */

/* Levenshtein's distance of two short names. */
static int distance(const char *a, const char *b) {
    enum { LONGEST = 32 };
    int row[LONGEST + 1];
    const int m = (int)strlen(a), n = (int)strlen(b);
    if (m > LONGEST || n > LONGEST)
        return LONGEST;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            const int above = row[j];
            int best = diagonal + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[n];
}

const char *crs_name_suggest(const char *name, const char *const *names, int count) {
    const char *best = NULL;
    int least = (int)strlen(name) / 3 + 1;
    for (int i = 0; i < count; i++) {
        const int d = distance(name, names[i]);
        if (d < least || (d == least && !best)) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

crs_status crs_typed_choice(const crs_typed *typed, const char *const *names, int *out, crs_error *error) {
    char list[256] = "";
    size_t length = 0;
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], typed->value) == 0) {
            *out = i;
            return CRS_OK;
        }
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", i ? ", " : "", names[i]);
        CRS_ASSERT(length < sizeof list);
    }
    return crs_fail(error, typed->status, "%s: '%.*s' won't do; give one of %s", typed->where, SHOWN, typed->value,
                    list);
}

/* ---- times ---- */

bool crs_parse_time(const char *text, double *seconds) {
    double total = 0;
    if (!*text)
        return false;
    while (*text) {
        char *end;
        const size_t digits = strspn(text, "0123456789.");
        const double number = strtod(text, &end);
        if (digits == 0 || end != text + digits || !isfinite(number))
            return false;
        const double unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;
        if (*end && !strchr("hms", *end))
            return false;
        total += number * unit;
        text = end + (*end != 0);
    }
    *seconds = total;
    return isfinite(total);
}
