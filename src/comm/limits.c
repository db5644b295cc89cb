/* Control groups, and the binding that this process began with. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "config.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "comm/limits.h"

/* ---- control groups ---- */

/* The numbers that a file begins with; returns how many. No limit is the word "max". */
static int read_numbers(const char *folder, const char *name, double number[2]) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    const int count = file ? fscanf(file, "%lf %lf", &number[0], &number[1]) : 0;
    if (file)
        fclose(file);
    return count > 0 ? count : 0;
}

static void read_folder(const char *folder, crs_limits *limits) {
    double number[2], period[2];
    if (read_numbers(folder, "memory.max", number) || read_numbers(folder, "memory.limit_in_bytes", number))
        limits->memory = fmin(limits->memory, number[0]);
    if (read_numbers(folder, "cpu.max", number) == 2 && number[1] > 0)
        limits->cores = fmin(limits->cores, number[0] / number[1]);
    if (read_numbers(folder, "cpu.cfs_quota_us", number) && number[0] > 0 &&
        read_numbers(folder, "cpu.cfs_period_us", period) && period[0] > 0)
        limits->cores = fmin(limits->cores, number[0] / period[0]);
}

crs_limits crs_limits_read(const char *root, const char *groups) {
    crs_limits limits = {INFINITY, INFINITY};
    char line[PATH_MAX], folder[2 * PATH_MAX];
    FILE *file = fopen(groups, "re");
    while (file && fgets(line, sizeof line, file)) {
        /* NUMBER:CONTROLLERS:PATH, of version 2 NUMBER::PATH */
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        const int mount = snprintf(folder, sizeof folder, "%s/%s", root, controllers + 1);
        snprintf(folder + mount, sizeof folder - (size_t)mount, "/%s", path);
        for (size_t length = strlen(folder); length >= (size_t)mount; length--)
            if (folder[length] == 0 || folder[length] == '/') {
                folder[length] = 0;
                read_folder(folder, &limits);
            }
    }
    if (file)
        fclose(file);
    return limits;
}

/* ---- binding ---- */

enum { WORD_BITS = 8 * sizeof(unsigned long), WORDS = 4096 / WORD_BITS };
static unsigned long first_mask[WORDS];

/* The system calls these before any library's own beginning. No sanitizer is ready then. */
__attribute__((no_sanitize("address", "undefined"))) static void keep_mask(void) {
    sched_getaffinity(0, sizeof first_mask, (cpu_set_t *)first_mask);
}
__attribute__((section(".preinit_array"), used)) static void (*const keep)(void) = keep_mask;

void crs_restore_binding(void) {
    sched_setaffinity(0, sizeof first_mask, (const cpu_set_t *)first_mask);
}

hwloc_bitmap_t crs_first_binding(void) {
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    for (unsigned i = 0; set && i < WORDS; i++)
        hwloc_bitmap_set_ith_ulong(set, i, first_mask[i]);
    if (set && hwloc_bitmap_iszero(set)) {
        hwloc_bitmap_free(set);
        set = NULL;
    }
    return set;
}
