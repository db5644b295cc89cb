/* What code asks of the system: calls of the kernel, and mutexes locked. */
#ifndef COUNT_H
#define COUNT_H

#include <stdbool.h>

typedef struct count {
    long calls, locks;
} count;

/* Runs work(context) twice in a child process and counts what the second run does. The caller's memory stays as it was.
 * False where the system lets no process be traced. */
bool count_system(void (*work)(void *), void *context, count *counted);

#endif
