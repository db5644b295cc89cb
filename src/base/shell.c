/* Words of commands that a person is to type. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "carousel/base.h"

/* Needs no quotes anywhere in a word. */
static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_@%+=:,./-", c));
}

/* Between quotes nothing is special but the quote itself, which stands outside of them, escaped. */
static void quote(const char *text, char *out) {
    bool plain = *text != '\0';
    for (const char *at = text; *at; at++)
        plain = plain && is_plain(*at);
    if (*text == '-')
        out = mempcpy(out, "./", 2);
    if (!plain)
        *out++ = '\'';
    for (; *text; text++)
        out = *text == '\'' ? mempcpy(out, "'\\''", 4) : mempcpy(out, text, 1);
    if (!plain)
        *out++ = '\'';
    *out = '\0';
}

char *crs_shell_word(const char *format, ...) {
    char *text = NULL, *word = NULL;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    CRS_ASSERT(length >= 0);
    text = crs_alloc((size_t)length + 1, 1, CRS_MEMORY_OTHER);
    word = crs_alloc(4 * (size_t)length + 8, 1, CRS_MEMORY_OTHER);
    if (text && word) {
        vsnprintf(text, (size_t)length + 1, format, again);
        quote(text, word);
    } else {
        crs_free(&word);
    }
    crs_free(&text);
    va_end(again);
    va_end(arguments);
    return word;
}
