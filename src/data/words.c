/* A text's words and their tokens: a table of the words met, which is all of a text that stays in memory. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "data/pack.h"

enum { FIRST_SLOTS = 1 << 12, FIRST_ROOM = 1 << 15, WORDS_MOST = 1 << 24 };

typedef struct entry {
    size_t start; /* in text */
    int64_t count;
    uint32_t hash, token; /* token + 1; 0: it has none */
} entry;

struct crs_cutter {
    crs_word_reader reader;
    char *text; /* [room] words met, one after the other, each with a zero behind it; owned */
    size_t bytes, room;
    entry *word; /* [count], owned */
    uint32_t count;
    uint32_t
        *slot; /* [slots]: index of a word + 1, or 0; slots is a power of two, at least half of them empty; owned */
    size_t slots;
    uint32_t unknown; /* the token of CRS_UNKNOWN + 1, or 0 */
    bool known;       /* there is a vocabulary: words met for the first time are not added */
};

static crs_status grow_slots(crs_cutter *c, size_t slots, crs_error *error) {
    uint32_t *list = crs_alloc_or_fail(slots, sizeof *list, CRS_MEMORY_DATA, "a table of words", error);
    if (!list)
        return error->status;
    for (uint32_t i = 0; i < c->count; i++) {
        size_t at = c->word[i].hash & (slots - 1);
        while (list[at])
            at = (at + 1) & (slots - 1);
        list[at] = i + 1;
    }
    crs_free(&c->slot);
    c->slot = list;
    c->slots = slots;
    return CRS_OK;
}

static crs_status grow_text(crs_cutter *c, size_t room, crs_error *error) {
    char *text = crs_alloc_or_fail(room, 1, CRS_MEMORY_DATA, "a table of words", error);
    if (!text)
        return error->status;
    if (c->bytes > 0)
        memcpy(text, c->text, c->bytes);
    crs_free(&c->text);
    c->text = text;
    c->room = room;
    return CRS_OK;
}

crs_status crs_cutter_create(crs_cutter **cutter, crs_words words, bool lower, crs_error *error) {
    crs_cutter *c = *cutter = crs_alloc_or_fail(1, sizeof *c, CRS_MEMORY_DATA, "a table of words", error);
    if (!c)
        return error->status;
    c->reader = (crs_word_reader){.words = words, .lower = lower};
    return grow_text(c, FIRST_ROOM, error) ? error->status : grow_slots(c, FIRST_SLOTS, error);
}

void crs_cutter_free(crs_cutter **cutter) {
    if (!*cutter)
        return;
    crs_free(&(*cutter)->slot);
    crs_free(&(*cutter)->word);
    crs_free(&(*cutter)->text);
    crs_free(cutter);
}

/* The slot of a word, or the empty one where it belongs. */
static uint32_t *slot_of(const crs_cutter *c, const char *bytes, size_t length, uint32_t hash) {
    size_t at = hash & (c->slots - 1);
    for (; c->slot[at]; at = (at + 1) & (c->slots - 1)) {
        const entry *w = &c->word[c->slot[at] - 1];
        if (w->hash == hash && strncmp(c->text + w->start, bytes, length) == 0 && c->text[w->start + length] == 0)
            break;
    }
    return &c->slot[at];
}

static crs_status add(crs_cutter *c, const char *bytes, size_t length, uint32_t hash, uint32_t **slot,
                      crs_error *error) {
    if (c->bytes + length + 1 > c->room && grow_text(c, 2 * c->room + length + 1, error))
        return error->status;
    if (!crs_list_grow(&c->word, c->count, sizeof *c->word))
        return crs_fail(error, CRS_INTERNAL, "out of memory for a table of %u words", c->count);
    if ((size_t)c->count + 1 > c->slots / 2) {
        if (grow_slots(c, 2 * c->slots, error))
            return error->status;
        *slot = slot_of(c, bytes, length, hash);
    }
    c->word[c->count] = (entry){.start = c->bytes, .hash = hash};
    memcpy(c->text + c->bytes, bytes, length);
    c->text[c->bytes + length] = 0;
    c->bytes += length + 1;
    **slot = ++c->count;
    return CRS_OK;
}

/* The word that the reader holds: counted, and where there is a vocabulary, its token at the end of the list. */
static crs_status take_word(crs_cutter *c, crs_cut_words *cut, crs_error *error) {
    const crs_word_reader *r = &c->reader;
    const uint32_t hash = (uint32_t)crs_hash_short(r->bytes, r->length);
    uint32_t *slot = slot_of(c, r->bytes, r->length, hash);
    cut->words++;
    if (!*slot && !c->known && add(c, r->bytes, r->length, hash, &slot, error))
        return error->status;
    if (!c->known) {
        c->word[*slot - 1].count++;
        return CRS_OK;
    }
    uint32_t token = *slot ? c->word[*slot - 1].token : 0;
    if (!token) {
        cut->unknown++;
        token = c->unknown;
    }
    if (token)
        cut->tokens[cut->count++] = token - 1;
    else if (!cut->drop)
        cut->stopped = true;
    return CRS_OK;
}

crs_status crs_cutter_take(crs_cutter *c, const uint32_t *code_points, size_t count, crs_cut_words *cut,
                           crs_error *error) {
    size_t at = 0;
    cut->count = 0;
    cut->words = cut->unknown = 0;
    cut->stopped = false;
    while (!cut->stopped && crs_word_next(&c->reader, code_points, count, &at))
        if (take_word(c, cut, error))
            return error->status;
    return CRS_OK;
}

crs_status crs_cutter_end(crs_cutter *c, crs_cut_words *cut, crs_error *error) {
    cut->count = 0;
    cut->words = cut->unknown = 0;
    cut->stopped = false;
    return crs_word_last(&c->reader) ? take_word(c, cut, error) : CRS_OK;
}

void crs_cutter_begin(crs_cutter *c, bool anew) {
    c->reader.place = c->reader.start = 0;
    if (anew) {
        c->reader.length = 0;
        c->reader.whole = false;
    }
}

const crs_word_reader *crs_cutter_word(const crs_cutter *c) {
    return &c->reader;
}

bool crs_cutter_has_unknown(const crs_cutter *c) {
    return c->unknown > 0;
}

/* ---- vocabularies ---- */

crs_status crs_cutter_know(crs_cutter *c, const crs_vocabulary *vocabulary, crs_error *error) {
    for (uint32_t token = 0; token < vocabulary->count; token++) {
        const char *bytes = vocabulary->text + vocabulary->start[token];
        const size_t length = strlen(bytes);
        const uint32_t hash = (uint32_t)crs_hash_short(bytes, length);
        uint32_t *slot = slot_of(c, bytes, length, hash);
        if (!*slot && add(c, bytes, length, hash, &slot, error))
            return error->status;
        c->word[*slot - 1].token = token + 1;
        if (strcmp(bytes, CRS_UNKNOWN) == 0)
            c->unknown = token + 1;
    }
    c->known = true;
    return CRS_OK;
}

/* A word that gets a token. */
typedef struct chosen {
    const char *bytes;
    int64_t count;
} chosen;

/* The more frequent first; equally frequent ones by their bytes. */
static int by_count(const void *left, const void *right) {
    const chosen *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count) - (a->count > b->count) : strcmp(a->bytes, b->bytes);
}

/* The words that get a token, sorted, into list; *unknown: CRS_UNKNOWN is to be there. How many. */
static uint32_t choose(const crs_cutter *c, int64_t least, chosen *list, bool *unknown) {
    uint32_t count = 0;
    *unknown = least > 1;
    for (uint32_t i = 0; i < c->count; i++) {
        const char *bytes = c->text + c->word[i].start;
        if (strcmp(bytes, CRS_UNKNOWN) == 0)
            *unknown = true;
        else if (c->word[i].count >= least)
            list[count++] = (chosen){bytes, c->word[i].count};
    }
    qsort(list, count, sizeof *list, by_count);
    return count;
}

static crs_status make(const crs_cutter *c, int64_t least, chosen *list, char *text, crs_vocabulary *vocabulary,
                       crs_error *error) {
    bool unknown;
    const uint32_t count = choose(c, least, list, &unknown);
    size_t bytes = 0;
    if (count > WORDS_MOST - 1)
        return crs_fail(error, CRS_DATA, "the text has %u different words, more than %d; --min-count=%lld leaves fewer",
                        count, (int)WORDS_MOST - 1, (long long)(least > 1 ? least + 1 : 2));
    if (unknown)
        bytes = sizeof CRS_UNKNOWN;
    memcpy(text, CRS_UNKNOWN, bytes);
    for (uint32_t i = 0; i < count; i++) {
        const size_t size = strlen(list[i].bytes) + 1;
        memcpy(text + bytes, list[i].bytes, size);
        bytes += size;
    }
    const crs_status status = crs_vocabulary_create_words(vocabulary, text, bytes, count + unknown, error);
    vocabulary->words = c->reader.words;
    vocabulary->lower = c->reader.lower;
    return status;
}

crs_status crs_cutter_vocabulary(const crs_cutter *c, int64_t least, crs_vocabulary *vocabulary, crs_error *error) {
    chosen *list = crs_alloc_or_fail((size_t)c->count + 1, sizeof *list, CRS_MEMORY_DATA, "a vocabulary", error);
    char *text = crs_alloc_or_fail(c->bytes + sizeof CRS_UNKNOWN, 1, CRS_MEMORY_DATA, "a vocabulary", error);
    const crs_status status = list && text ? make(c, least, list, text, vocabulary, error) : CRS_INTERNAL;
    crs_free(&text);
    crs_free(&list);
    return status;
}
