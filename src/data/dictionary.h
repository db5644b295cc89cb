/* Names by number, and numbers by name: groups, classes. */
#ifndef CAROUSEL_DATA_DICTIONARY_H
#define CAROUSEL_DATA_DICTIONARY_H

#include "carousel/schema.h"

typedef struct crs_dictionary {
    crs_names names; /* in the order in which they came */
    int *place;      /* [places] a name's index + 1, or 0. Owned */
    int places;      /* 0, or a power of 2 */
} crs_dictionary;

/* The index of a name, or -1. */
int crs_dictionary_find(const crs_dictionary *dictionary, const char *name);
/* The same, of a name that is added at the end where it is new (then *added). -1: out of memory, or there are INT_MAX
 * / 2. */
int crs_dictionary_add(crs_dictionary *dictionary, const char *name, bool *added);
void crs_dictionary_free(crs_dictionary *dictionary);

#endif
