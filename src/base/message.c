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

bool crs_write(int file, const void *from, size_t count) {
    const char *bytes = from;
    const size_t most = (size_t)1 << 30; /* Linux writes less than 2 GiB at once */
    while (count > 0) {
        ssize_t n = write(file, bytes, count < most ? count : most);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        count -= (size_t)n;
    }
    return true;
}

/* Makes text one harmless line; it would have had `wanted` bytes. */
static void clean(char *text, size_t wanted) {
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
    if (length > 0) /* what can't be written has nowhere else to go: errors are passed over */
        crs_write(STDERR_FILENO, line, (size_t)length);
}

void crs_line_format(char *text, size_t size, const char *format, va_list arguments) {
    int wanted = vsnprintf(text, size, format, arguments);
    CRS_ASSERT(wanted >= 0);
    clean(text, (size_t)wanted);
}

void crs_say(crs_verbosity least, const char *prefix, const char *format, ...) {
    char text[LINE_MAX_BYTES];
    if (own_rank != 0 || own_verbosity < least)
        return;
    va_list arguments;
    va_start(arguments, format);
    crs_line_format(text, sizeof text, format, arguments);
    va_end(arguments);
    crs_line_write(prefix, text);
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
    clean(text, (size_t)wanted);
    /* The last column stays free: some terminals wrap as soon as it is filled. */
    size_t fitting = fitting_bytes(text, terminal_columns() - 1);
    int length = snprintf(out, sizeof out, "%s%.*s", clear_line, (int)fitting, text);
    live_shown = *line != '\0';
    crs_write(STDERR_FILENO, out, (size_t)length);
}
