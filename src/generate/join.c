/* Words with blanks between them, so that a text reads as it is written. */
#include "config.h"

#include <string.h>

#include <utf8proc.h>

#include "generate/text.h"

enum { APOSTROPHE = 0x2019, WIDE = 2 };

static crs_joint joint_of_sign(uint32_t sign) {
    if (sign == '\'' || sign == APOSTROPHE)
        return CRS_JOINT_APOSTROPHE;
    if (sign == '"')
        return CRS_JOINT_QUOTE;
    if (sign < CRS_ASCII && strchr(",.;:!?%", (int)sign))
        return CRS_JOINT_CLOSE;
    if (sign == '#' || sign == '@')
        return CRS_JOINT_OPEN;
    if (sign == '/' || sign == '\\')
        return CRS_JOINT_HYPHEN;
    switch (utf8proc_category((utf8proc_int32_t)sign)) {
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_SC:
        return CRS_JOINT_OPEN;
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PF:
        return CRS_JOINT_CLOSE;
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PC:
        return CRS_JOINT_HYPHEN;
    default:
        return CRS_JOINT_OTHER;
    }
}

static bool is_part(uint32_t code_point) {
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code_point);
    return category <= UTF8PROC_CATEGORY_ND && category != UTF8PROC_CATEGORY_CN;
}

static bool is_digit(uint32_t code_point) {
    return utf8proc_category((utf8proc_int32_t)code_point) == UTF8PROC_CATEGORY_ND;
}

/* Wide letters and signs; pictures are wide, too, and stand by themselves. */
static bool is_wide(uint32_t code_point) {
    return utf8proc_charwidth((utf8proc_int32_t)code_point) == WIDE &&
           utf8proc_category((utf8proc_int32_t)code_point) != UTF8PROC_CATEGORY_SO;
}

/* What is needed to know of a word. */
typedef struct look {
    uint32_t first, last;
    int characters;
    crs_joint joint;
} look;

static look look_at(const char *word, size_t length, crs_words words) {
    look l = {0};
    for (size_t at = 0; at < length; l.characters++) {
        const int step = crs_utf8_decode((const unsigned char *)word + at, length - at, &l.last);
        if (at == 0)
            l.first = l.last;
        at += step > 0 ? (size_t)step : 1;
    }
    if (l.characters == 1 && l.first == '\n')
        l.joint = CRS_JOINT_START;
    else if (l.characters != 1 || words == CRS_WORDS_BLANK || is_part(l.first))
        l.joint = CRS_JOINT_WORD;
    else
        l.joint = joint_of_sign(l.first);
    return l;
}

/* Neither is the start or the end of a line. */
static bool stand_apart(const crs_join *join, const look *next) {
    const crs_joint last = join->last, joint = next->joint;
    if (last == CRS_JOINT_HYPHEN || joint == CRS_JOINT_HYPHEN || last == CRS_JOINT_OPEN || joint == CRS_JOINT_CLOSE ||
        is_wide(join->end) || is_wide(next->first))
        return false;
    if (joint == CRS_JOINT_QUOTE)
        return !join->quoted;
    if (last == CRS_JOINT_QUOTE)
        return !join->quoted;
    if (joint == CRS_JOINT_APOSTROPHE)
        return last != CRS_JOINT_WORD;
    if (last == CRS_JOINT_APOSTROPHE && joint == CRS_JOINT_WORD)
        return join->before == CRS_JOINT_WORD && next->characters > 2;
    if (last == CRS_JOINT_CLOSE && join->before == CRS_JOINT_WORD && join->digit && is_digit(next->first))
        return join->end != '.' && join->end != ',' && join->end != ':';
    return true;
}

bool crs_join_blank(crs_join *join, const char *word, size_t length) {
    const look next = look_at(word, length, join->words);
    bool blank = join->last != CRS_JOINT_START && next.joint != CRS_JOINT_START;
    if (blank && join->words == CRS_WORDS_UNICODE)
        blank = stand_apart(join, &next);
    join->quoted = next.joint == CRS_JOINT_QUOTE ? !join->quoted : next.joint != CRS_JOINT_START && join->quoted;
    join->digit = is_digit(join->end);
    join->before = join->last;
    join->last = next.joint;
    join->end = next.last;
    return blank;
}
