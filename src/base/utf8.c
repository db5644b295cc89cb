/* Code points of UTF-8, one at a time. */
#include "config.h"

#include <string.h>

#include <utf8proc.h>

#include "carousel/base.h"

/* Whether bytes[0..count), which is no whole code point, could become one if more bytes followed. */
static bool is_beginning(const unsigned char *bytes, size_t count) {
    unsigned char first = bytes[0], low = 0x80, high = 0xbf;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || count >= length)
        return false;
    /* The second byte tells overlong forms (E0, F0), surrogates (ED) and what is beyond U+10FFFF (F4). */
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (count > 1 && (bytes[1] < low || bytes[1] > high))
        return false;
    return count < 3 || (bytes[2] & 0xc0) == 0x80;
}

int crs_utf8_decode(const unsigned char *bytes, size_t count, uint32_t *code_point) {
    if (count == 0)
        return 0;
    if (bytes[0] < 0x80) {
        *code_point = bytes[0];
        return 1;
    }
    utf8proc_int32_t value;
    utf8proc_ssize_t length = utf8proc_iterate(bytes, count < 4 ? (utf8proc_ssize_t)count : 4, &value);
    if (length > 0) {
        *code_point = (uint32_t)value;
        return (int)length;
    }
    return is_beginning(bytes, count) ? 0 : -1;
}

int crs_utf8_encode(uint32_t code_point, char out[4]) {
    CRS_ASSERT(utf8proc_codepoint_valid((utf8proc_int32_t)code_point));
    return (int)utf8proc_encode_char((utf8proc_int32_t)code_point, (utf8proc_uint8_t *)out);
}

bool crs_utf8_is_control(uint32_t code_point) {
    return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
}

size_t crs_utf8_mark(const void *bytes, size_t count) {
    static const char mark[] = "\xef\xbb\xbf";
    const size_t length = sizeof mark - 1;
    return count >= length && memcmp(bytes, mark, length) == 0 ? length : 0;
}

void crs_utf8_mend(char *text) {
    for (size_t i = 0, length = strlen(text); i < length;) {
        uint32_t code_point = 0;
        const int step = crs_utf8_decode((unsigned char *)text + i, length - i, &code_point);
        const int takes = step < 1 ? 1 : step;
        if (step < 1 || crs_utf8_is_control(code_point))
            memset(text + i, '?', (size_t)takes);
        i += (size_t)takes;
    }
}

/* Whether a terminal shows something of its own for it: no control, no mark that joins its neighbour, nothing unknown.
 * The categories of marks stand side by side, and so do those from separators to the last. */
static bool is_visible(uint32_t code_point) {
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code_point);
    return category != UTF8PROC_CATEGORY_CN && category < UTF8PROC_CATEGORY_ZS &&
           (category < UTF8PROC_CATEGORY_MN || category > UTF8PROC_CATEGORY_ME);
}

void crs_utf8_name(uint32_t code_point, char out[32]) {
    if (code_point >= 0x20 && code_point < 0x7f) {
        snprintf(out, 32, "'%c'", (int)code_point);
    } else if (utf8proc_codepoint_valid((utf8proc_int32_t)code_point) && is_visible(code_point)) {
        char bytes[4];
        int length = crs_utf8_encode(code_point, bytes);
        snprintf(out, 32, "U+%04X '%.*s'", (unsigned)code_point, length, bytes);
    } else {
        snprintf(out, 32, "U+%04X", (unsigned)code_point);
    }
}
