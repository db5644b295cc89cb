/* Statuses with a message, and panics. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/line.h"
#include "carousel/base.h"

static void (*abort_hook)(int status);

crs_status crs_fail(crs_error *error, crs_status status, const char *format, ...) {
    /* The arguments may point into *error, so the message is made aside. */
    char message[CRS_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    crs_line_format(message, sizeof message, format, arguments);
    va_end(arguments);
    error->status = status;
    memcpy(error->message, message, strlen(message) + 1);
    return status;
}

_Noreturn void crs_panic(const char *file, int line, const char *format, ...) {
    char message[CRS_MESSAGE_MAX], prefix[CRS_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    crs_line_format(message, sizeof message, format, arguments);
    va_end(arguments);
    snprintf(prefix, sizeof prefix, "carousel: rank %d: %s:%d: ", crs_rank(), file, line);
    crs_line_write(prefix, message);
    if (abort_hook)
        abort_hook(CRS_INTERNAL);
    abort();
}

void crs_set_abort(void (*hook)(int status)) {
    abort_hook = hook;
}
