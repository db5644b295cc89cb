/* Arrays of tokens as files have them. Plain loops that the compiler makes vectors of. */
#include "config.h"

#include "data/tokens.h"

#include <endian.h>

int crs_token_bytes(uint32_t vocabulary) {
    return vocabulary <= 0x100 ? 1 : vocabulary <= 0x10000 ? 2 : 4;
}

void crs_tokens_widen(const void *packed, int token_bytes, size_t count, uint32_t *restrict tokens) {
    if (token_bytes == 1) {
        const uint8_t *restrict from = packed;
        for (size_t i = 0; i < count; i++)
            tokens[i] = from[i];
    } else if (token_bytes == 2) {
        const uint16_t *restrict from = packed;
        for (size_t i = 0; i < count; i++)
            tokens[i] = le16toh(from[i]);
    } else {
        const uint32_t *restrict from = packed;
        for (size_t i = 0; i < count; i++)
            tokens[i] = le32toh(from[i]);
    }
}

void crs_tokens_narrow(const uint32_t *restrict tokens, size_t count, int token_bytes, void *packed) {
    if (token_bytes == 1) {
        uint8_t *restrict to = packed;
        for (size_t i = 0; i < count; i++)
            to[i] = (uint8_t)tokens[i];
    } else if (token_bytes == 2) {
        uint16_t *restrict to = packed;
        for (size_t i = 0; i < count; i++)
            to[i] = htole16((uint16_t)tokens[i]);
    } else {
        uint32_t *restrict to = packed;
        for (size_t i = 0; i < count; i++)
            to[i] = htole32(tokens[i]);
    }
}

static uint32_t greatest(const void *packed, int token_bytes, size_t count) {
    uint32_t most = 0;
    if (token_bytes == 1) {
        const uint8_t *from = packed;
        uint8_t most8 = 0;
        for (size_t i = 0; i < count; i++)
            most8 = from[i] > most8 ? from[i] : most8;
        most = most8;
    } else if (token_bytes == 2) {
        const uint16_t *from = packed;
        for (size_t i = 0; i < count; i++)
            most = le16toh(from[i]) > most ? le16toh(from[i]) : most;
    } else {
        const uint32_t *from = packed;
        for (size_t i = 0; i < count; i++)
            most = le32toh(from[i]) > most ? le32toh(from[i]) : most;
    }
    return most;
}

size_t crs_tokens_outside(const void *packed, int token_bytes, size_t count, uint32_t vocabulary) {
    if (count == 0 || greatest(packed, token_bytes, count) < vocabulary)
        return count;
    for (size_t i = 0; i < count; i++) {
        uint32_t token;
        crs_tokens_widen((const char *)packed + i * (size_t)token_bytes, token_bytes, 1, &token);
        if (token >= vocabulary)
            return i;
    }
    CRS_ASSERT(false);
}
