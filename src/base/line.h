/* Lines to standard error; private to room base. */
#ifndef CRS_BASE_LINE_H
#define CRS_BASE_LINE_H

#include <stdarg.h>
#include <stddef.h>

/* vsnprintf of one harmless line: control characters become '?', and where the text was cut it ends in "...", not
 * within a character. */
void crs_line_format(char *text, size_t size, const char *format, va_list arguments);

/* Writes prefix, text and a newline to standard error in one call, after clearing the live line. */
void crs_line_write(const char *prefix, const char *text);

#endif
