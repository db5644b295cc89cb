/* Blocks of memory, counted by what they are for.
 *
 * Each block has a header in front of it, one cache line long. Small blocks come from the C library. Large ones are
 * mapped, so that they can start on a huge page and need no clearing; their header sits at the end of the page before.
 */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "carousel/base.h"

#define LARGE_BYTES ((size_t)4 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4096)

/* The address sanitizer sees only what its own allocator hands out. */
#ifdef __SANITIZE_ADDRESS__
#define MAP_LARGE_BLOCKS 0
#else
#define MAP_LARGE_BLOCKS 1
#endif

enum { ALIGNMENT = 64 };

static const uint64_t block_mark = 0x6361726f7573656cu, freed_mark = 0x66726565645f5f5fu;

typedef struct block_header {
    uint64_t mark; /* block_mark while the block is in use */
    size_t bytes;  /* as asked for */
    size_t mapped; /* length of the mapping; 0 for a block of the C library */
    void *base;    /* what to free or unmap */
    crs_purpose purpose;
} block_header;

_Static_assert(sizeof(block_header) <= ALIGNMENT, "the header fits before an aligned block");

static int64_t blocks, allocations, fail_countdown;
static int64_t bytes_now[CRS_MEMORY_PURPOSES], bytes_peak[CRS_MEMORY_PURPOSES];

static block_header *header_of(void *block) {
    return (block_header *)((char *)block - ALIGNMENT);
}

static void *small_block(size_t bytes) {
    void *base;
    if (bytes > SIZE_MAX - 2 * ALIGNMENT || posix_memalign(&base, ALIGNMENT, bytes + ALIGNMENT) != 0)
        return NULL;
    memset(base, 0, bytes + ALIGNMENT);
    void *block = (char *)base + ALIGNMENT;
    header_of(block)->base = base;
    return block;
}

static void *large_block(size_t bytes) {
    if (bytes > SIZE_MAX - HUGE_PAGE - 2 * SMALL_PAGE)
        return NULL;
    size_t whole = (bytes + SMALL_PAGE - 1) / SMALL_PAGE * SMALL_PAGE;
    size_t mapped = whole + HUGE_PAGE + SMALL_PAGE;
    char *map = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    uintptr_t first = ((uintptr_t)map + SMALL_PAGE + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    char *block = map + (first - (uintptr_t)map), *base = block - SMALL_PAGE;
    if (base > map)
        munmap(map, (size_t)(base - map));
    if (map + mapped > block + whole)
        munmap(block + whole, (size_t)(map + mapped - (block + whole)));
    /* Advice only: a kernel without huge pages serves as well, slower. */
    madvise(block, whole, MADV_HUGEPAGE);
    header_of(block)->base = base;
    header_of(block)->mapped = whole + SMALL_PAGE;
    return block;
}

void *crs_alloc(size_t count, size_t size, crs_purpose purpose) {
    size_t bytes;
    CRS_ASSERT(purpose >= 0 && purpose < CRS_MEMORY_PURPOSES);
    allocations++;
    if (fail_countdown > 0 && --fail_countdown == 0)
        return NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > (size_t)PTRDIFF_MAX)
        return NULL;
    void *block = MAP_LARGE_BLOCKS && bytes >= LARGE_BYTES ? large_block(bytes) : small_block(bytes);
    if (!block)
        return NULL;
    block_header *header = header_of(block);
    header->mark = block_mark;
    header->bytes = bytes;
    header->purpose = purpose;
    blocks++;
    bytes_now[purpose] += (int64_t)bytes;
    if (bytes_now[purpose] > bytes_peak[purpose])
        bytes_peak[purpose] = bytes_now[purpose];
    return block;
}

void *crs_alloc_or_fail(size_t count, size_t size, crs_purpose purpose, const char *what, crs_error *error) {
    void *block = crs_alloc(count, size, purpose);
    if (!block)
        crs_fail(error, CRS_INTERNAL,
                 "out of memory: %.6g MiB wanted for %s (%s); a smaller model or batch, or more ranks, need less",
                 (double)count * (double)size * 0x1p-20, what, crs_purpose_name(purpose));
    return block;
}

void crs_free_block(void *block) {
    if (!block)
        return;
    block_header *header = header_of(block);
    CRS_ASSERT(header->mark == block_mark);
    header->mark = freed_mark;
    blocks--;
    bytes_now[header->purpose] -= (int64_t)header->bytes;
    if (header->mapped)
        munmap(header->base, header->mapped);
    else
        free(header->base);
}

bool crs_list_grow(void *list, size_t count, size_t size) {
    void *old, *more;
    if ((count & (count - 1)) != 0)
        return true;
    more = crs_alloc(count > 0 ? 2 * count : 1, size, CRS_MEMORY_OTHER);
    if (!more)
        return false;
    memcpy(&old, list, sizeof old); /* a pointer of whatever type */
    if (count > 0)
        memcpy(more, old, count * size);
    crs_free_block(old);
    memcpy(list, &more, sizeof more);
    return true;
}

char *crs_copy_text(const char *text) {
    return crs_format_text("%s", text);
}

char *crs_format_text(const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : crs_alloc((size_t)length + 1, 1, CRS_MEMORY_OTHER);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

int64_t crs_memory_blocks(void) {
    return blocks;
}

int64_t crs_memory_bytes(crs_purpose purpose) {
    return bytes_now[purpose];
}

int64_t crs_memory_peak(crs_purpose purpose) {
    return bytes_peak[purpose];
}

int64_t crs_memory_allocations(void) {
    return allocations;
}

const char *crs_purpose_name(crs_purpose purpose) {
    static const char *const names[CRS_MEMORY_PURPOSES] = {
        "other", "parameters", "packed parameters", "gradients", "optimizer", "activations", "data",
    };
    CRS_ASSERT(purpose >= 0 && purpose < CRS_MEMORY_PURPOSES);
    return names[purpose];
}

void crs_memory_fail_at(int64_t n) {
    fail_countdown = n;
}

void crs_free_foreign(void *block) {
    free(block);
}
