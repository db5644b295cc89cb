/* Parts of writing text. Private to room generate. Local. */
#ifndef CRS_GENERATE_TEXT_H
#define CRS_GENERATE_TEXT_H

#include "carousel/base.h"

/* ---- words with blanks between them (join.c) ----
 *
 * --words=blank: a blank between two words, none beside a line end. --words=unicode, which had cut where no blank was:
 * none besides
 * - before , . ; : ! ? % and what closes a bracket or a quotation, after what opens one and after a currency, # and @;
 * - beside hyphens, dashes, / \ and _;
 * - between digits with . , or : between them;
 * - between a word, an apostrophe and a word of one or two characters (don't, o'er); before an apostrophe behind a
 *   word; after any other apostrophe ('tis);
 * - after a " that opens, before one that closes, which is every other one of a line;
 * - beside wide characters (Chinese, Japanese), which no blanks separate. */

typedef enum crs_joint {
    CRS_JOINT_START, /* of the text, or of a line */
    CRS_JOINT_WORD,
    CRS_JOINT_OPEN,
    CRS_JOINT_CLOSE,
    CRS_JOINT_HYPHEN,
    CRS_JOINT_APOSTROPHE,
    CRS_JOINT_QUOTE,
    CRS_JOINT_OTHER,
} crs_joint;

/* What was written last. Begins as zeros but for words. */
typedef struct crs_join {
    crs_words words;
    crs_joint last, before; /* the last word, and the one before it */
    uint32_t end;           /* the last word's last character */
    bool digit;             /* the one before it ended with a digit */
    bool quoted;            /* a " is open */
} crs_join;

/* Whether a blank stands before this word; it is now the last. */
bool crs_join_blank(crs_join *join, const char *word, size_t length);

/* ---- the text that ends a text (until.c) ---- */

typedef struct crs_until {
    const char *text; /* [bytes], borrowed; bytes 0: nothing does */
    size_t bytes;
    size_t *shorter; /* [bytes]: of its first n + 1 bytes, how many of the last are also the first; owned */
    size_t matched;  /* bytes of it that what came so far ends with */
} crs_until;

/* CRS_INTERNAL: out of memory. To be freed in any case. */
crs_status crs_until_create(crs_until *until, const char *text, size_t bytes, crs_error *error);
void crs_until_free(crs_until *until);
/* Forgets what came so far. */
void crs_until_begin(crs_until *until);
/* Whether the text stands in what came so far and these bytes, and ends in these. */
bool crs_until_take(crs_until *until, const char *bytes, size_t count);

#endif
