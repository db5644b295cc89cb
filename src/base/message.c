/* Notes, warnings and the live line, all to standard error. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <utf8proc.h>

#include "base/line.h"
#include "carousel/base.h"

enum { LINE_MAX_BYTES = 4096, PREFIX_MAX_BYTES = 1024, DEFAULT_COLUMNS = 80 };

static const char clear_line[] = "\r\033[K";

static int own_rank;
static crs_verbosity own_verbosity = CRS_NORMAL;
static bool live_shown;

void crs_set_rank(int rank) {
    own_rank = rank;
}

int crs_rank(void) {
    return own_rank;
}

void crs_set_verbosity(crs_verbosity verbosity) {
    own_verbosity = verbosity;
}

crs_verbosity crs_get_verbosity(void) {
    return own_verbosity;
}

bool crs_is_terminal(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

/* A message that can't be written has nowhere else to go: errors are passed over. */
static void write_bytes(const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        count -= (size_t)written;
    }
}

void crs_line_clean(char *text, size_t wanted) {
    size_t length = strlen(text);
    if (wanted > length && length > 3) {
        size_t end = length - 3;
        while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
            end--;
        memcpy(text + end, "...", 4);
        length = end + 3;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        /* U+0080 to U+009F are control characters too, and some terminals obey them. */
        bool c1 = byte == 0xc2 && ((unsigned char)text[i + 1] & 0xe0) == 0x80;
        if (byte < 0x20 || byte == 0x7f || c1)
            text[i] = '?';
        if (c1)
            text[++i] = '?';
    }
}

void crs_line_write(const char *prefix, const char *text) {
    char line[sizeof clear_line + PREFIX_MAX_BYTES + LINE_MAX_BYTES + 2];
    int length = snprintf(line, sizeof line, "%s%.*s%.*s\n", live_shown ? clear_line : "", PREFIX_MAX_BYTES, prefix,
                          LINE_MAX_BYTES, text);
    live_shown = false;
    if (length > 0)
        write_bytes(line, (size_t)length);
}

static void print_line(const char *prefix, const char *format, va_list arguments) {
    char text[LINE_MAX_BYTES];
    int wanted = vsnprintf(text, sizeof text, format, arguments);
    CRS_ASSERT(wanted >= 0);
    crs_line_clean(text, (size_t)wanted);
    crs_line_write(prefix, text);
}

void crs_note(const char *format, ...) {
    if (own_rank != 0 || own_verbosity == CRS_QUIET)
        return;
    va_list arguments;
    va_start(arguments, format);
    print_line("", format, arguments);
    va_end(arguments);
}

void crs_warn(const char *format, ...) {
    if (own_rank != 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    print_line("carousel: warning: ", format, arguments);
    va_end(arguments);
}

void crs_debug(const char *format, ...) {
    if (own_rank != 0 || own_verbosity != CRS_VERBOSE)
        return;
    va_list arguments;
    va_start(arguments, format);
    print_line("", format, arguments);
    va_end(arguments);
}

void crs_report(const crs_error *error) {
    if (own_rank == 0)
        crs_line_write("carousel: ", error->message);
}

static int terminal_columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return DEFAULT_COLUMNS;
}

/* How many bytes of the line fit into so many columns. */
static size_t fitting_bytes(const char *line, int columns) {
    size_t count = strlen(line), used = 0;
    while (used < count) {
        uint32_t code_point;
        int length = crs_utf8_decode((const unsigned char *)line + used, count - used, &code_point);
        int width = length > 0 ? utf8proc_charwidth((utf8proc_int32_t)code_point) : 1;
        columns -= width;
        if (columns < 0)
            break;
        used += length > 0 ? (size_t)length : 1;
    }
    return used;
}

void crs_live(const char *line) {
    if (own_rank != 0 || own_verbosity == CRS_QUIET || !crs_is_terminal())
        return;
    if (!*line && !live_shown)
        return;
    char text[LINE_MAX_BYTES], out[sizeof clear_line + LINE_MAX_BYTES];
    int wanted = snprintf(text, sizeof text, "%s", line);
    crs_line_clean(text, (size_t)wanted);
    /* The last column stays free: some terminals wrap as soon as it is filled. */
    size_t fitting = fitting_bytes(text, terminal_columns() - 1);
    int length = snprintf(out, sizeof out, "%s%.*s", clear_line, (int)fitting, text);
    live_shown = *line != '\0';
    write_bytes(out, (size_t)length);
}
