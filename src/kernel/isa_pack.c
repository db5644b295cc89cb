/* Numbers packed without loss for the way to another rank: blocks of 16, each in as many bits as its largest needs.
 *
 * A block is a byte, how many bits a number has (0 to 64), and the 16 numbers, the first in the lowest bits, in bytes
 * from the lowest up (little-endian): 1 + 2 * bits bytes. Small numbers of either sign become small ones without one
 * (zigzag). */
#include "config.h"

#include "isa.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words of a packed block are stored as they stand"
#endif

typedef uint64_t hz __attribute__((vector_size(HALF * 8), may_alias, aligned(8)));
typedef int64_t hs __attribute__((vector_size(HALF * 8), may_alias, aligned(8)));

/* Words that hold 16 numbers of so many bits; the last may be begun only. `bits` is a constant wherever this is
 * inlined: shifts and places are too, and no branch is left. */
CRS_INLINE void put_bits(const uint64_t *numbers, const unsigned bits, uint8_t *out) {
    uint64_t word = 0;
    unsigned used = 0;
#pragma GCC unroll 16
    for (int i = 0; i < CRS_BLOCK; i++) {
        word |= numbers[i] << used;
        used += bits;
        if (used >= 64) {
            memcpy(out, &word, sizeof word);
            out += sizeof word;
            used -= 64;
            word = used ? numbers[i] >> (bits - used) : 0;
        }
    }
    if (used)
        memcpy(out, &word, sizeof word);
}

CRS_INLINE void get_bits(const uint8_t *in, const unsigned bits, uint64_t *numbers) {
    const uint64_t mask = bits == 64 ? ~(uint64_t)0 : ((uint64_t)1 << bits % 64) - 1;
    uint64_t word;
    unsigned used = 0;
    memcpy(&word, in, sizeof word);
#pragma GCC unroll 16
    for (int i = 0; i < CRS_BLOCK; i++) {
        uint64_t number = word >> used;
        used += bits;
        if (used >= 64) {
            used -= 64;
            in += sizeof word;
            if (i < CRS_BLOCK - 1 || used)
                memcpy(&word, in, sizeof word);
            if (used)
                number |= word << (bits - used);
        }
        numbers[i] = number & mask;
    }
}

#define FOUR(f, n) f(n) f((n) + 1) f((n) + 2) f((n) + 3)
#define SIXTEEN(f, n) FOUR(f, n) FOUR(f, (n) + 4) FOUR(f, (n) + 8) FOUR(f, (n) + 12)
#define EACH_WIDTH(f) SIXTEEN(f, 1) SIXTEEN(f, 17) SIXTEEN(f, 33) SIXTEEN(f, 49)

static uint8_t *put_block(const uint64_t *numbers, uint64_t any, uint8_t *out) {
    const unsigned bits = any ? 64 - (unsigned)__builtin_clzll(any) : 0;
    *out++ = (uint8_t)bits;
#define PUT(n)                     \
    case n:                        \
        put_bits(numbers, n, out); \
        break;
    switch (bits) { EACH_WIDTH(PUT) }
    return out + 2 * bits;
}

static const uint8_t *get_block(const uint8_t *in, uint64_t *numbers) {
    const unsigned bits = *in++;
#define GET(n)                    \
    case n:                       \
        get_bits(in, n, numbers); \
        break;
    switch (bits) {
        EACH_WIDTH(GET)
    default:
        memset(numbers, 0, CRS_BLOCK * sizeof *numbers);
    }
    return in + 2 * bits;
}

/* A shift of a vector of int64 to the right, of which AVX2 has none that keeps the sign. */
CRS_INLINE hz signs(hs x) {
    return (hz)(x < 0);
}

CRS_INLINE uint64_t any_of(hz x) {
    uint64_t all = 0;
    for (int i = 0; i < HALF; i++)
        all |= x[i];
    return all;
}

size_t CRS_ISA(crs_pack_sums)(const int64_t *values, size_t n, uint8_t *out) {
    const uint8_t *first = out;
    for (size_t i = 0; i < n; i += CRS_BLOCK) {
        uint64_t numbers[CRS_BLOCK] __attribute__((aligned(64)));
        hz any = {0};
        for (int j = 0; j < CRS_BLOCK; j += HALF) {
            const hs x = *(const hs *)(values + i + j);
            const hz z = ((hz)x << 1) ^ signs(x);
            *(hz *)(numbers + j) = z;
            any |= z;
        }
        out = put_block(numbers, any_of(any), out);
    }
    return (size_t)(out - first);
}

size_t CRS_ISA(crs_unpack_sums)(const uint8_t *in, size_t n, bool add, int64_t *values) {
    const uint8_t *first = in;
    const hz keep = (hz){0} - (uint64_t)add;
    for (size_t i = 0; i < n; i += CRS_BLOCK) {
        uint64_t numbers[CRS_BLOCK] __attribute__((aligned(64)));
        in = get_block(in, numbers);
        for (int j = 0; j < CRS_BLOCK; j += HALF) {
            const hz z = *(const hz *)(numbers + j);
            hz *to = (hz *)(values + i + j);
            *to = (*to & keep) + ((z >> 1) ^ ((hz){0} - (z & 1)));
        }
    }
    return (size_t)(in - first);
}

/* Bit patterns as whole numbers: neighbouring floats differ by 1. */
size_t CRS_ISA(crs_pack_changes)(const float *after, const float *before, size_t n, uint8_t *out) {
    const uint8_t *first = out;
    for (size_t i = 0; i < n; i += CRS_BLOCK) {
        uint64_t numbers[CRS_BLOCK] __attribute__((aligned(64)));
        uint32_t change[CRS_BLOCK] __attribute__((aligned(64)));
        uint64_t any = 0;
        for (int j = 0; j < CRS_BLOCK; j += VL) {
            const vu x = (vu)load(after + i + j) - (vu)load(before + i + j);
            *(vu *)(change + j) = (x << 1) ^ (vu)((vi)x < 0);
        }
        CRS_SIMD
        for (int j = 0; j < CRS_BLOCK; j++) {
            numbers[j] = change[j];
            any |= numbers[j];
        }
        out = put_block(numbers, any, out);
    }
    return (size_t)(out - first);
}

size_t CRS_ISA(crs_unpack_changes)(const uint8_t *in, size_t n, float *values) {
    const uint8_t *first = in;
    for (size_t i = 0; i < n; i += CRS_BLOCK) {
        uint64_t numbers[CRS_BLOCK] __attribute__((aligned(64)));
        uint32_t change[CRS_BLOCK] __attribute__((aligned(64)));
        in = get_block(in, numbers);
        CRS_SIMD
        for (int j = 0; j < CRS_BLOCK; j++)
            change[j] = (uint32_t)numbers[j];
        for (int j = 0; j < CRS_BLOCK; j += VL) {
            const vu z = *(const vu *)(change + j);
            vu *to = (vu *)(values + i + j);
            *to += (z >> 1) ^ ((vu){0} - (z & 1));
        }
    }
    return (size_t)(in - first);
}
