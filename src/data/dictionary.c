/* Names by number, and numbers by name: a table with open addressing. */
#include "config.h"

#include "data/dictionary.h"

#include <limits.h>
#include <string.h>

enum { FIRST_PLACES = 64 };

/* FNV-1a */
static uint32_t hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

/* Where a name stands, or would. */
static int *find_place(const crs_dictionary *d, const char *name) {
    const uint32_t mask = (uint32_t)d->places - 1;
    uint32_t at = hash(name) & mask;
    while (d->place[at] && strcmp(d->names.name[d->place[at] - 1], name) != 0)
        at = (at + 1) & mask;
    return &d->place[at];
}

int crs_dictionary_find(const crs_dictionary *d, const char *name) {
    return d->places ? *find_place(d, name) - 1 : -1;
}

static bool grow(crs_dictionary *d) {
    crs_dictionary larger = *d;
    larger.places = d->places ? 2 * d->places : FIRST_PLACES;
    larger.place = crs_alloc((size_t)larger.places, sizeof *larger.place, CRS_MEMORY_DATA);
    if (!larger.place)
        return false;
    for (int i = 0; i < d->names.count; i++)
        *find_place(&larger, d->names.name[i]) = i + 1;
    crs_free(&d->place);
    *d = larger;
    return true;
}

int crs_dictionary_add(crs_dictionary *d, const char *name, bool *added) {
    const int known = crs_dictionary_find(d, name);
    *added = known < 0;
    if (known >= 0)
        return known;
    if (d->names.count >= d->places / 2 && (d->places > INT_MAX / 2 || !grow(d)))
        return -1;
    if (!crs_names_add(&d->names, name))
        return -1;
    *find_place(d, name) = d->names.count;
    return d->names.count - 1;
}

void crs_dictionary_free(crs_dictionary *d) {
    crs_names_free(&d->names);
    crs_free(&d->place);
    d->places = 0;
}
