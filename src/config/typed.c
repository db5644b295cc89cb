/* Values as a person types them: all of the text, and nothing but it. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "carousel/config.h"

/* What a message quotes of a value, and what follows where there is more. */
enum { SHOWN = 60 };
static const char more[] = "...";

crs_status crs_typed_refuse(const crs_typed *typed, crs_error *error, const char *give, ...) {
    char would_do[512];
    va_list arguments;
    va_start(arguments, give);
    vsnprintf(would_do, sizeof would_do, give, arguments);
    va_end(arguments);
    const size_t length = strlen(typed->value);
    size_t shown = length <= SHOWN ? length : SHOWN;
    while (shown < length && shown > 0 && ((unsigned char)typed->value[shown] & 0xc0) == 0x80)
        shown--; /* not within a character */
    return crs_fail(error, typed->status, "%s: '%.*s%s' won't do; give %s", typed->where, (int)shown, typed->value,
                    shown < length ? more : "", would_do);
}

static bool only(const char *text, const char *characters) {
    return *text && strspn(text, characters) == strlen(text);
}

crs_status crs_typed_whole(const crs_typed *typed, int64_t low, int64_t high, int64_t *out, crs_error *error) {
    const char *text = typed->value, *digits = *text == '-' || *text == '+' ? text + 1 : text;
    errno = 0;
    const int64_t value = strtoll(text, NULL, 10);
    if (!only(digits, "0123456789") || errno || value < low || value > high)
        return crs_typed_refuse(typed, error, "a whole number from %" PRId64 " to %" PRId64, low, high);
    *out = value;
    return CRS_OK;
}

crs_status crs_typed_seed(const crs_typed *typed, uint64_t *out, crs_error *error) {
    errno = 0;
    const uint64_t value = strtoull(typed->value, NULL, 10);
    if (!only(typed->value, "0123456789") || errno)
        return crs_typed_refuse(typed, error, "a whole number from 0 to %" PRIu64, UINT64_MAX);
    *out = value;
    return CRS_OK;
}

crs_status crs_typed_real(const crs_typed *typed, const crs_range *range, double *out, crs_error *error) {
    char *end;
    const double value = strtod(typed->value, &end);
    const bool plain = only(typed->value, "0123456789+-.eE") && !*end;
    if (!plain || !isfinite(value) || value < range->low || value > range->high ||
        (range->above_low && value <= range->low) || (range->below_high && value >= range->high))
        return crs_typed_refuse(typed, error, "a number %s %g to %s%g", range->above_low ? "above" : "from", range->low,
                                range->below_high ? "below " : "", range->high);
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

/* Whether the name is a whole part of what was typed: "rate" of "learning-rate". */
static bool is_part(const char *typed, const char *name) {
    const size_t length = strlen(name);
    for (const char *at = typed; (at = strstr(at, name)) != NULL; at++) {
        const bool begins = at == typed || at[-1] == '-' || at[-1] == '_';
        if (begins && (at[length] == '-' || at[length] == '_' || at[length] == 0))
            return true;
    }
    return false;
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
    for (int i = 0; i < count && !best; i++)
        if (is_part(name, names[i]))
            best = names[i];
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
    return crs_typed_refuse(typed, error, "one of %s", list);
}

/* ---- times ---- */

/* Seconds in the unit that text begins with, below the unit before; 0 where it is none. */
static double unit_of(const char *text, double before) {
    static const char letters[] = "hms";
    static const double units[] = {3600, 60, 1};
    const char *letter = *text ? strchr(letters, *text) : NULL;
    const double unit = letter ? units[letter - letters] : 0;
    return unit < before ? unit : 0;
}

bool crs_parse_time(const char *text, double *seconds) {
    double total = 0, unit = HUGE_VAL;
    const char *begin = text;
    do {
        char *end;
        const size_t digits = strspn(text, "0123456789.");
        const double number = strtod(text, &end);
        /* seconds alone need no letter; behind hours or minutes one would have to guess */
        unit = !*end && text == begin ? 1 : unit_of(end, unit);
        if (digits == 0 || end != text + digits || unit == 0)
            return false;
        total += number * unit;
        text = *end ? end + 1 : end;
    } while (*text);
    if (!isfinite(total))
        return false;
    *seconds = total;
    return true;
}
