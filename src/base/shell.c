/* Words of commands that a person is to type. */
#include "config.h"

#include <string.h>

#include "carousel/base.h"

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";

/* Between quotes nothing is special but the quote itself, which stands outside of them, escaped. */
char *crs_shell_word(const char *path) {
    const size_t length = strlen(path);
    const bool quoted = length == 0 || path[strspn(path, plain)] != '\0';
    char *word = crs_alloc(4 * length + 5, 1, CRS_MEMORY_OTHER), *end = word; /* zeroed */
    if (!word)
        return NULL;
    if (*path == '-')
        end = mempcpy(end, "./", 2);
    if (quoted)
        *end++ = '\'';
    for (; *path; path++)
        end = *path == '\'' ? mempcpy(end, "'\\''", 4) : mempcpy(end, path, 1);
    if (quoted)
        *end = '\'';
    return word;
}
