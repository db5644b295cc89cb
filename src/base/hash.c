/* XXH3-128 of a stream of bytes, as text. */
#include "config.h"

#include <xxhash.h>

#include "carousel/base.h"

struct crs_hash {
    XXH3_state_t *state; /* owned; the library makes it, as its size differs between versions */
};

crs_hash *crs_hash_new(void) {
    crs_hash *hash = crs_alloc(1, sizeof *hash, CRS_MEMORY_OTHER);
    if (!hash)
        return NULL;
    hash->state = XXH3_createState();
    if (!hash->state) {
        crs_free(&hash);
        return NULL;
    }
    crs_hash_reset(hash);
    return hash;
}

void crs_hash_free(crs_hash **hash) {
    if (!*hash)
        return;
    XXH3_freeState((*hash)->state);
    crs_free(hash);
}

void crs_hash_reset(crs_hash *hash) {
    XXH_errorcode code = XXH3_128bits_reset(hash->state);
    CRS_ASSERT(code == XXH_OK);
}

void crs_hash_add(crs_hash *hash, const void *bytes, size_t count) {
    if (count == 0)
        return;
    XXH_errorcode code = XXH3_128bits_update(hash->state, bytes, count);
    CRS_ASSERT(code == XXH_OK);
}

/* The canonical form is big-endian, so the text is the number as one writes it. */
static void write_hex(XXH128_hash_t value, char hex[CRS_HASH_HEX]) {
    static const char digits[] = "0123456789abcdef";
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, value);
    for (size_t i = 0; i < sizeof canonical.digest; i++) {
        hex[2 * i] = digits[canonical.digest[i] >> 4];
        hex[2 * i + 1] = digits[canonical.digest[i] & 15];
    }
    hex[CRS_HASH_HEX - 1] = '\0';
}

void crs_hash_text(const crs_hash *hash, char hex[CRS_HASH_HEX]) {
    write_hex(XXH3_128bits_digest(hash->state), hex);
}

void crs_hash_bytes(const void *bytes, size_t count, char hex[CRS_HASH_HEX]) {
    write_hex(XXH3_128bits(count ? bytes : "", count), hex);
}

uint64_t crs_hash_short(const void *bytes, size_t count) {
    return XXH3_64bits(bytes, count);
}
