/* Where there is no libFuzzer: a main loop that goes through a kept corpus, and then through seeded changes of it.
 *
 *   fuzz_NAME CORPUS [CHANGES [SEED]]
 *
 * CORPUS is a folder; of each file in it, in the order of their names, CHANGES changed ones are tried too (0). Says
 * how many were valid, `N accepted, and M with changes`, and ends with `N passed, 0 failed`, N being the inputs; one
 * that is not dealt with ends the program with a signal, and lies in $FUZZ_LAST, where that names a file. */
#include "config.h"

#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_OF_FILE = 1 << 16, FILES_MAX = 4096 };

static uint8_t original[SIZE_MAX_OF_FILE], changed[SIZE_MAX_OF_FILE];
static long long inputs;
static uint64_t seed = 1;

static uint64_t draw(uint64_t below, uint64_t input, uint64_t which) {
    uint64_t out[4];
    crs_random(seed, CRS_DRAW_SAMPLE, input, which, 0, 0, out);
    return below ? out[0] % below : 0;
}

static void one(const uint8_t *data, size_t size) {
    const char *last = getenv("FUZZ_LAST");
    FILE *file = last ? fopen(last, "wb") : NULL;
    if (file) {
        fwrite(data, 1, size, file);
        fclose(file);
    }
    LLVMFuzzerTestOneInput(data, size);
    inputs++;
}

/* One change: a byte, a bit, a number of 1 to 8 bytes at an end of its range, a piece copied elsewhere, a cut. Returns
 * the new size. */
static size_t change_once(uint8_t *data, size_t size, uint64_t input, uint64_t which) {
    if (size == 0)
        return 0;
    const size_t at = draw(size, input, which), from = draw(size, input, which + 1);
    const size_t room = size - (at > from ? at : from), length = draw(room < 32 ? room : 32, input, which + 2) + 1;
    switch (draw(6, input, which + 3)) {
    case 0:
        data[at] = (uint8_t)draw(256, input, which + 4);
        return size;
    case 1:
        data[at] ^= (uint8_t)(1u << draw(8, input, which + 4));
        return size;
    case 2:
        memset(data + at, draw(2, input, which + 4) ? 0xff : 0, length < 8 ? length : 8);
        return size;
    case 3:
        memmove(data + at, data + from, length);
        return size;
    case 4:
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    default:
        return at;
    }
}

static void change_and_try(size_t size, long changes) {
    for (long i = 0; i < changes; i++) {
        const uint64_t input = (uint64_t)inputs, times = 1 + draw(4, input, 0);
        size_t new_size = size;
        memcpy(changed, original, size);
        for (uint64_t k = 0; k < times; k++)
            new_size = change_once(changed, new_size, input, 8 * k + 1);
        one(changed, new_size);
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *folder, char **paths) {
    DIR *directory = opendir(folder);
    int count = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory)) && count < FILES_MAX;) {
        if (entry->d_name[0] == '.')
            continue;
        const size_t size = strlen(folder) + strlen(entry->d_name) + 2;
        paths[count] = malloc(size);
        CRS_ASSERT(paths[count]);
        snprintf(paths[count++], size, "%s/%s", folder, entry->d_name);
    }
    if (directory)
        closedir(directory);
    qsort(paths, (size_t)count, sizeof *paths, by_name);
    return count;
}

int main(int argc, char **argv) {
    static char *paths[FILES_MAX];
    const int count = argc > 1 ? list(argv[1], paths) : 0;
    const long changes = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    long long changed_ones = 0;
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    for (int i = 0; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        CRS_ASSERT(file);
        const size_t size = fread(original, 1, sizeof original, file);
        fclose(file);
        one(original, size);
        const long long before = fuzz_accepted;
        change_and_try(size, changes);
        changed_ones += fuzz_accepted - before;
        free(paths[i]);
    }
    printf("%lld accepted, and %lld with changes\n", fuzz_accepted - changed_ones, changed_ones);
    printf("%lld passed, %d failed\n", inputs, count == 0);
    return count == 0;
}
