/* Lines to standard error; private to room base. */
#ifndef CRS_BASE_LINE_H
#define CRS_BASE_LINE_H

#include <stddef.h>

/* Makes text one harmless line: control characters become '?', and where the text was cut (it would have had `wanted`
 * bytes, and has less) it ends in "...", not within a character. */
void crs_line_clean(char *text, size_t wanted);

/* Writes prefix, text and a newline to standard error in one call, after clearing the live line. */
void crs_line_write(const char *prefix, const char *text);

#endif
