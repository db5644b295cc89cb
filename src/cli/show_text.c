/* Numbers and vocabularies for a person. */
#include "config.h"

#include "cli/show_text.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <utf8proc.h>

enum { NAME_COLUMN = 14, LINE_COLUMNS = 100, LINES_MAX = 8 };

/* number / unit as 1 to 999 of one of four names; 999.5 and more would round to 1000. */
static double scale(int64_t number, double unit, int *name) {
    double value = (double)number / unit;
    for (*name = 0; value >= 999.5 && *name < 3; ++*name)
        value /= unit;
    return value;
}

void crs_show_words(int64_t number, char out[48]) {
    static const char *const names[] = {"thousand", "million", "billion", "trillion"};
    int name;
    const double value = scale(number, 1000, &name);
    out[0] = '\0';
    if (number >= 1000)
        snprintf(out, 48, "about %.*f %s", value < 9.95 ? 1 : 0, value, names[name]);
}

void crs_show_bytes(int64_t bytes, char out[32]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    int unit;
    const double value = scale(bytes, 1024, &unit);
    if (bytes < 1024)
        snprintf(out, 32, "%" PRId64 " bytes", bytes);
    else
        snprintf(out, 32, "%.*f %s", value < 99.95 ? 1 : 0, value, units[unit]);
}

void crs_show_line(const char *name, const char *format, ...) {
    va_list arguments;
    printf("  %-*s", NAME_COLUMN - 2, name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* ---- vocabularies ---- */

/* A character that stands for itself; blanks, controls and marks by a name. */
static void write_character(uint32_t code_point, char out[32]) {
    char name[32];
    crs_utf8_name(code_point, name);
    const char *first = strchr(name, '\''), *last = strrchr(name, '\'');
    if (code_point == '\n' || code_point == '\t' || code_point == '\r')
        snprintf(out, 32, "\\%c", code_point == '\n' ? 'n' : code_point == '\t' ? 't' : 'r');
    else if (code_point == ' ')
        snprintf(out, 32, "space");
    else if (first)
        snprintf(out, 32, "%.*s", (int)(last - first - 1), first + 1);
    else
        snprintf(out, 32, "%s", name);
}

/* Letters and digits make ranges that a person understands; signs in a row don't. */
static bool makes_ranges(uint32_t code_point) {
    switch (utf8proc_category((utf8proc_int32_t)code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
        return true;
    default:
        return false;
    }
}

/* How many tokens from `first` on, by code point, are neighbours of one category. */
static uint32_t run_length(const crs_vocabulary *v, uint32_t first) {
    uint32_t start = v->code_points[v->sorted[first]], length = 1;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)start);
    if (!makes_ranges(start))
        return 1;
    while (first + length < v->count && v->code_points[v->sorted[first + length]] == start + length &&
           utf8proc_category((utf8proc_int32_t)(start + length)) == category)
        length++;
    return length;
}

int crs_show_cut(const char *text, int most, char *out, size_t size) {
    int columns = 0;
    size_t at = 0, used = 0;
    for (const size_t length = strlen(text); at < length;) {
        uint32_t code_point = 0;
        const int bytes = crs_utf8_decode((const unsigned char *)text + at, length - at, &code_point);
        const bool shown = bytes > 0 && !crs_utf8_is_control(code_point);
        const int width = shown ? utf8proc_charwidth((utf8proc_int32_t)code_point) : 1;
        const size_t takes = shown ? (size_t)bytes : 1;
        if (columns + width > most || used + takes + 1 > size)
            break;
        memcpy(out + used, shown ? text + at : "?", takes);
        used += takes;
        columns += width;
        at += bytes > 0 ? (size_t)bytes : 1;
    }
    out[used] = '\0';
    return columns;
}

int crs_show_columns(const char *text) {
    char cut[512];
    return crs_show_cut(text, INT_MAX, cut, sizeof cut);
}

/* A word, without what could drive a terminal, and cut short where it is long. */
static void write_word(const char *word, char out[80]) {
    size_t length = strlen(word), used = 0;
    if (strcmp(word, "\n") == 0) {
        snprintf(out, 80, "\\n");
        return;
    }
    for (size_t at = 0; at < length;) {
        uint32_t code_point;
        const int step = crs_utf8_decode((const unsigned char *)word + at, length - at, &code_point);
        const bool shown = step > 0 && utf8proc_charwidth((utf8proc_int32_t)code_point) > 0;
        if (used > 60) {
            snprintf(out + used, 80 - used, "...");
            return;
        }
        memcpy(out + used, shown ? word + at : "?", shown ? (size_t)step : 1);
        used += shown ? (size_t)step : 1;
        at += step > 0 ? (size_t)step : 1;
    }
    out[used] = '\0';
}

/* The tokens from `first` on that are told as one, as item: how many. Characters by code point, words by token. */
static uint32_t write_item(const crs_vocabulary *v, uint32_t first, char item[80]) {
    if (v->level == CRS_LEVEL_WORD) {
        write_word(v->text + v->start[first], item);
        return 1;
    }
    char begin[32], end[32];
    uint32_t run = run_length(v, first), start = v->code_points[v->sorted[first]];
    if (run < 3)
        run = 1;
    write_character(start, begin);
    write_character(start + run - 1, end);
    snprintf(item, 80, run > 1 ? "%s-%s" : "%s", begin, end);
    return run;
}

void crs_show_vocabulary(const crs_vocabulary *vocabulary) {
    int column = LINE_COLUMNS, lines = 0;
    if (vocabulary->level == CRS_LEVEL_BYTE) {
        crs_show_line("vocabulary", "the 256 bytes");
        return;
    }
    crs_show_line("vocabulary", "%u %s%s:", vocabulary->count, crs_level_unit(vocabulary->level),
                  crs_plural(vocabulary->count, "", "s"));
    for (uint32_t i = 0; i < vocabulary->count;) {
        char item[80], count[32];
        const uint32_t run = write_item(vocabulary, i, item);
        if (column + crs_show_columns(item) + 1 > LINE_COLUMNS) {
            if (lines == LINES_MAX) {
                crs_format_count(vocabulary->count - i, count);
                printf(" and %s more", count);
                break;
            }
            printf("%s%*s", lines++ ? "\n" : "", NAME_COLUMN - 1, "");
            column = NAME_COLUMN - 1;
        }
        column += printf(" %s", item) > 0 ? crs_show_columns(item) + 1 : 0;
        i += run;
    }
    putchar('\n');
}

void crs_show_targets(const crs_schema *s, char *out, size_t size) {
    const char *of = s->alignment == CRS_ALIGN_STEP ? "of each step" : "of each sequence";
    if (crs_schema_is_forecast(s))
        snprintf(out, size, "from %" PRId64 " steps, the next %" PRId64 " of %d column%s", s->context, s->horizon,
                 s->target_size, crs_plural(s->target_size, "", "s"));
    else if (s->targets == CRS_TARGET_NEXT)
        snprintf(out, size, "the next step");
    else if (s->targets == CRS_TARGET_CLASS)
        snprintf(out, size, "a class %s, of %d", of, s->target_size);
    else
        snprintf(out, size, "%d %s%s %s", s->target_size, s->targets == CRS_TARGET_BITS ? "bit" : "number",
                 crs_plural(s->target_size, "", "s"), of);
}

/* ---- JSON ---- */

json_t *crs_show_json_text(const char *text) {
    json_t *string = json_string(text);
    char *copy = string ? NULL : crs_copy_text(text);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    if (copy)
        string = json_string(copy);
    crs_free(&copy);
    return string;
}

json_t *crs_show_json_real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *crs_show_json_vocabulary(const crs_vocabulary *vocabulary) {
    json_t *tokens = json_array();
    const uint32_t count = vocabulary->level == CRS_LEVEL_BYTE ? 0 : vocabulary->count;
    for (uint32_t i = 0; i < count; i++) {
        char room[4];
        size_t length;
        const char *text = crs_vocabulary_text(vocabulary, i, room, &length);
        json_array_append_new(tokens, json_stringn(text, length));
    }
    return tokens;
}

crs_status crs_show_json_print(json_t *object, size_t flags, crs_error *error) {
    const bool done = object && json_dumpf(object, stdout, flags | JSON_REAL_PRECISION(17)) == 0;
    json_decref(object);
    if (done)
        putchar('\n');
    else if (!ferror(stdout)) /* crs_output_flush tells of that */
        crs_fail(error, CRS_INTERNAL, "out of memory while JSON is put together; free some and try again");
    return error->status;
}
