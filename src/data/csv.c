/* Rows of a CSV file. libcsv gets a line at a time, so that it is known where a row stands. */
#include "config.h"

#include "data/csv.h"

#include <csv.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where quotes don't end, all that follows is one field: no table has fields, or rows, that long. */
enum { READ_BYTES = 1 << 18, FIELD_MOST = 1 << 16, ROW_MOST = 1 << 24 };

typedef struct reading {
    const crs_csv *csv;
    crs_error *error;
    crs_csv_row row;      /* field: owned */
    size_t *start;        /* owned, [row.count]: of each field in text */
    char *text;           /* owned: all fields of the row, each ended by a zero byte */
    size_t used, room;    /* bytes of text */
    int fields;           /* there is room for */
    int64_t line;         /* that is being read, from 1 */
    bool within, carried; /* a row has begun and not ended; the last byte was a carriage return */
} reading;

crs_status crs_csv_fail(const crs_csv_row *row, crs_error *error, const char *format, ...) {
    char text[CRS_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return crs_fail(error, CRS_DATA, "%s:%lld: %s", crs_source_name(row->source), (long long)row->line, text);
}

/* ---- numbers ---- */

bool crs_csv_number(const crs_csv_field *field, double *number) {
    char *end;
    if (field->length == 0 || strspn(field->text, "0123456789+-.eE") != field->length)
        return false;
    *number = strtod(field->text, &end);
    return end == field->text + field->length && fabs(*number) <= FLT_MAX;
}

/* A whole number of exactly so many digits; moves *at behind it. */
static bool take_digits(const char **at, int digits, int low, int high, int *out) {
    *out = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *out = 10 * *out + (**at - '0');
    }
    return *out >= low && *out <= high;
}

/* Days from 1970-01-01 in the Gregorian calendar, years from March on. */
static int64_t days_of(int year, int month, int day) {
    const int64_t y = year - (month < 3), m = (month + 9) % 12;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static int days_in(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* HH:MM[:SS[.FRACTION]] */
static bool take_clock(const char **at, double *seconds) {
    int hour, minute, second = 0;
    double fraction = 0;
    if (!take_digits(at, 2, 0, 24, &hour) || *(*at)++ != ':' || !take_digits(at, 2, 0, 59, &minute))
        return false;
    if (**at == ':' && (++*at, !take_digits(at, 2, 0, 60, &second)))
        return false;
    if (**at == '.')
        for (double unit = 0.1; *++*at >= '0' && **at <= '9'; unit /= 10)
            fraction += (**at - '0') * unit;
    *seconds = 3600.0 * hour + 60.0 * minute + second + fraction;
    return true;
}

/* Z, or +HH:MM, +HHMM, +HH, or nothing. */
static bool take_zone(const char **at, double *seconds) {
    int hour, minute = 0;
    const char sign = **at;
    *seconds = 0;
    if (sign == 'Z')
        ++*at;
    if (sign != '+' && sign != '-')
        return true;
    ++*at;
    if (!take_digits(at, 2, 0, 23, &hour))
        return false;
    if (**at == ':')
        ++*at;
    if (**at && !take_digits(at, 2, 0, 59, &minute))
        return false;
    *seconds = (sign == '-' ? -60.0 : 60.0) * (60 * hour + minute);
    return true;
}

bool crs_csv_time(const crs_csv_field *field, double *time) {
    int year, month, day;
    double clock = 0, zone = 0;
    const char *at = field->text;
    if (crs_csv_number(field, time))
        return true;
    if (!take_digits(&at, 4, 0, 9999, &year) || !*at || !strchr("-/", *at++) || !take_digits(&at, 2, 1, 12, &month) ||
        !*at || !strchr("-/", *at++) || !take_digits(&at, 2, 1, days_in(year, month), &day))
        return false;
    if ((*at == ' ' || *at == 'T') && (++at, !take_clock(&at, &clock) || !take_zone(&at, &zone)))
        return false;
    *time = 86400.0 * (double)days_of(year, month, day) + clock - zone;
    return at == field->text + field->length;
}

bool crs_csv_missing(const crs_csv_field *field) {
    static const char *const words[] = {"", "na", "nan"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (field->length == strlen(words[i]) && strcasecmp(field->text, words[i]) == 0)
            return true;
    return false;
}

/* ---- memory ---- */

/* Room for a field is asked for at once, and never more. */
static void *give_room(void *block, size_t size) {
    return block ? NULL : crs_alloc(size, 1, CRS_MEMORY_DATA);
}

static crs_status fail_memory(reading *r) {
    return crs_fail(r->error, CRS_INTERNAL, "out of memory for a row of %s", crs_source_name(r->csv->source));
}

/* Room for a field of so many bytes more; false with *error. */
static bool make_room(reading *r, size_t length) {
    if (r->used + length + 1 > ROW_MOST) {
        crs_csv_fail(&r->row, r->error, "the row has more than %d bytes; is a quote missing?", (int)ROW_MOST);
        return false;
    }
    if (r->used + length + 1 > r->room) {
        const size_t room = 2 * (r->used + length + 1);
        char *text = crs_alloc(room, 1, CRS_MEMORY_DATA);
        if (!text)
            return fail_memory(r), false;
        memcpy(text, r->text ? r->text : "", r->used);
        crs_free(&r->text);
        r->text = text;
        r->room = room;
    }
    if (r->row.count == r->fields) {
        const int fields = r->fields > 0 ? 2 * r->fields : 16;
        crs_csv_field *field = crs_alloc((size_t)fields, sizeof *field, CRS_MEMORY_DATA);
        size_t *start = crs_alloc((size_t)fields, sizeof *start, CRS_MEMORY_DATA);
        if (start && r->fields > 0)
            memcpy(start, r->start, (size_t)r->fields * sizeof *start);
        crs_csv_field *old = (crs_csv_field *)r->row.field;
        crs_free(&old);
        crs_free(&r->start);
        r->row.field = field;
        r->start = start;
        r->fields = fields;
        if (!field || !start)
            return fail_memory(r), false;
    }
    return true;
}

/* ---- what libcsv calls ---- */

static void take_field(void *text, size_t length, void *context) {
    reading *r = context;
    if (r->error->status || !make_room(r, length))
        return;
    if (length > 0 && memchr(text, '\0', length)) {
        crs_csv_fail(&r->row, r->error, "there is a zero byte in the row; is it a table at all?");
        return;
    }
    r->start[r->row.count++] = r->used;
    if (length > 0)
        memcpy(r->text + r->used, text, length);
    r->text[r->used + length] = '\0';
    r->used += length + 1;
}

static void check_text(reading *r) {
    char high = 0;
    for (size_t at = 0; at < r->used; at++)
        high |= r->text[at];
    if (!(high & 0x80))
        return;
    for (size_t at = 0; at < r->used;) {
        uint32_t code_point;
        const int step = crs_utf8_decode((unsigned char *)r->text + at, r->used - at, &code_point);
        if (step < 1) {
            crs_csv_fail(&r->row, r->error,
                         "the row is not valid UTF-8; convert the file, which may be WINDOWS-1252 (iconv -f "
                         "WINDOWS-1252 -t UTF-8)");
            return;
        }
        at += (size_t)step;
    }
}

static void end_row(int character, void *context) {
    reading *r = context;
    crs_csv_field *field = (crs_csv_field *)r->row.field;
    (void)character;
    if (!r->error->status && r->row.count > 0)
        check_text(r);
    for (int i = 0; i < r->row.count && !r->error->status; i++) {
        const size_t end = i + 1 < r->row.count ? r->start[i + 1] : r->used;
        field[i] = (crs_csv_field){r->text + r->start[i], end - r->start[i] - 1};
    }
    if (!r->error->status && r->row.count > 0)
        r->csv->take(r->csv->context, &r->row, r->error);
    r->row.count = 0;
    r->used = 0;
    r->within = false;
}

/* ---- a file ---- */

static crs_status refuse(reading *r, struct csv_parser *parser) {
    if (r->error->status)
        return r->error->status;
    r->row.line = r->line;
    if (csv_error(parser) == CSV_ENOMEM && csv_get_buffer_size(parser) > 0)
        return crs_csv_fail(&r->row, r->error, "a field has more than %d bytes; is a quote missing before?",
                            (int)FIELD_MOST);
    if (csv_error(parser) == CSV_ENOMEM)
        return fail_memory(r);
    return crs_csv_fail(&r->row, r->error,
                        "a quote within a field, or behind one; a field with quotes is written "
                        "\"so, with \"\"quotes\"\" doubled\"");
}

/* A line of blanks is passed over, and begins no row. */
static bool is_blank(const reading *r, const char *bytes, size_t count) {
    bool blank = true;
    for (size_t i = 0; i < count && blank; i++)
        blank = strchr(" \t\r\n", bytes[i]) && bytes[i] && bytes[i] != r->csv->delimiter;
    return blank;
}

/* bytes[0..count) of one line, which may go on: the last is its end, or not. */
static crs_status take_line(reading *r, struct csv_parser *parser, const char *bytes, size_t count) {
    if (!r->within && !is_blank(r, bytes, count)) {
        r->row.line = r->line;
        r->within = true;
    }
    if (csv_parse(parser, bytes, count, take_field, end_row, r) != count || r->error->status)
        return refuse(r, parser);
    return CRS_OK;
}

static crs_status take_block(reading *r, struct csv_parser *parser, const char *bytes, size_t count) {
    crs_status status = CRS_OK;
    for (size_t at = 0; at < count && !status;) {
        if (r->carried && bytes[at] == '\n') { /* the second half of a line's end */
            r->carried = false;
            if (r->within) /* between quotes: it belongs to the field */
                status = take_line(r, parser, bytes + at, 1);
            at++;
            continue;
        }
        size_t length = 0;
        while (at + length < count && bytes[at + length] != '\n' && bytes[at + length] != '\r')
            length++;
        const bool ends = at + length < count;
        status = take_line(r, parser, bytes + at, length + ends);
        at += length + ends;
        r->carried = ends && bytes[at - 1] == '\r';
        r->line += ends;
    }
    return status;
}

/* What a table never begins with. */
static crs_status check_beginning(reading *r, const char *bytes, size_t count) {
    const char *guess = crs_guess_encoding((const unsigned char *)bytes, count);
    if (!guess)
        return CRS_OK;
    return crs_fail(r->error, CRS_DATA, "%s: it looks like %s, not UTF-8; convert it first (iconv -f %s -t UTF-8)",
                    crs_source_name(r->csv->source), guess, guess);
}

static crs_status read_all(reading *r, struct csv_parser *parser, int descriptor, char *bytes, int64_t *size,
                           crs_hash *hash) {
    const crs_csv *csv = r->csv;
    for (;;) {
        const ssize_t got =
            crs_source_read(csv->source, descriptor, bytes, csv->read_bytes ? csv->read_bytes : READ_BYTES, r->error);
        if (got <= 0)
            break;
        const size_t mark = *size == 0 ? crs_utf8_mark(bytes, (size_t)got) : 0;
        if (*size == 0 && check_beginning(r, bytes, (size_t)got))
            break;
        *size += got;
        crs_hash_add(hash, bytes, (size_t)got);
        if (take_block(r, parser, bytes + mark, (size_t)got - mark))
            break;
        if (csv->progress)
            csv->progress(csv->context, got);
    }
    if (r->error->status)
        return r->error->status;
    if (csv_fini(parser, take_field, end_row, r) != 0 && !r->error->status)
        return crs_csv_fail(&r->row, r->error, "quotes that begin in this row don't end");
    return r->error->status;
}

crs_status crs_csv_read(const crs_csv *csv, int64_t *size, char hash[CRS_HASH_HEX], crs_error *error) {
    reading r = {.csv = csv, .error = error, .row = {.source = csv->source, .line = 1}, .line = 1};
    struct csv_parser parser;
    int64_t bytes_read = 0;
    char *bytes =
        crs_alloc_or_fail(csv->read_bytes ? csv->read_bytes : READ_BYTES, 1, CRS_MEMORY_DATA, "reading a table", error);
    crs_hash *sum = crs_hash_new();
    const int descriptor = bytes && sum ? crs_source_begin(csv->source, error) : -1;
    if (bytes && !sum)
        crs_fail(error, CRS_INTERNAL, "out of memory for a hash");
    if (descriptor >= 0) {
        csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI);
        csv_set_delim(&parser, (unsigned char)csv->delimiter);
        csv_set_realloc_func(&parser, give_room);
        csv_set_free_func(&parser, crs_free_block);
        csv_set_blk_size(&parser, FIELD_MOST);
        read_all(&r, &parser, descriptor, bytes, &bytes_read, sum);
        csv_free(&parser);
        crs_source_end(csv->source, descriptor);
    }
    if (size)
        *size = bytes_read;
    if (hash && sum)
        crs_hash_text(sum, hash);
    crs_csv_field *field = (crs_csv_field *)r.row.field;
    crs_free(&field);
    crs_free(&r.start);
    crs_free(&r.text);
    crs_free(&bytes);
    crs_hash_free(&sum);
    return error->status;
}
