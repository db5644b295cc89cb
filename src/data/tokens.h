/* Arrays of tokens as files have them: 1, 2 or 4 bytes each, little-endian. */
#ifndef CAROUSEL_DATA_TOKENS_H
#define CAROUSEL_DATA_TOKENS_H

#include "carousel/base.h"

/* The fewest bytes that hold every token below `vocabulary`: 1, 2 or 4. */
int crs_token_bytes(uint32_t vocabulary);
void crs_tokens_widen(const void *packed, int token_bytes, size_t count, uint32_t *tokens);
void crs_tokens_narrow(const uint32_t *tokens, size_t count, int token_bytes, void *packed);
/* The index of the first token that is not below `vocabulary`, or count. */
size_t crs_tokens_outside(const void *packed, int token_bytes, size_t count, uint32_t vocabulary);

#endif
