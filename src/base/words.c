/* A text cut into words, one code point after the other. */
#include "config.h"

#include <string.h>

#include <utf8proc.h>

#include "carousel/base.h"

const char *const *crs_words_names(void) {
    static const char *const names[] = {"unicode", "blank", NULL};
    return names;
}

/* What a character does to words: separates them, goes on with one, is one. */
typedef enum role { GAP, RUN, SINGLE } role;

static role role_of(crs_words words, uint32_t code_point) {
    if (code_point == '\n')
        return SINGLE;
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code_point);
    switch (category) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
        return GAP;
    case UTF8PROC_CATEGORY_CF:
        return words == CRS_WORDS_BLANK ? RUN : GAP;
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
        return RUN;
    default: /* also what the library's edition of Unicode does not know yet */
        return words == CRS_WORDS_BLANK ? RUN : SINGLE;
    }
}

bool crs_word_next(crs_word_reader *reader, const uint32_t *code_points, size_t count, size_t *at) {
    if (reader->whole)
        reader->length = 0;
    reader->whole = false;
    for (; *at < count; (*at)++) {
        char bytes[4];
        const uint32_t given = code_points[*at];
        const role does = role_of(reader->words, given);
        const uint32_t taken = reader->lower ? (uint32_t)utf8proc_tolower((utf8proc_int32_t)given) : given;
        const size_t length = does == GAP ? 0 : (size_t)crs_utf8_encode(taken, bytes);
        /* A word ends before what does not belong to it, which is for the next call. */
        if (reader->length > 0 && (does != RUN || reader->length + length > CRS_WORD_BYTES))
            return reader->whole = true;
        if (reader->length == 0)
            reader->start = reader->place;
        memcpy(reader->bytes + reader->length, bytes, length);
        reader->length += length;
        reader->place += crs_utf8_encode(given, bytes);
        if (does == SINGLE) {
            (*at)++;
            return reader->whole = true;
        }
    }
    return false;
}

bool crs_word_last(crs_word_reader *reader) {
    const bool begun = reader->length > 0 && !reader->whole;
    if (!begun)
        reader->length = 0;
    return reader->whole = begun;
}
