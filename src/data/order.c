/* In which order an epoch has its sequences. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "data/feed.h"

/* Batches that are sorted together: rows of a batch then are of about the same length, and batches still differ from
 * one epoch to the next. */
enum { BLOCK_BATCHES = 64 };

/* A draw below n. The bias is below n * 2^-64. */
static int64_t draw(uint64_t seed, int64_t epoch, uint64_t what, int64_t place, int64_t n) {
    uint64_t out[4];
    crs_random(seed, CRS_DRAW_ORDER, (uint64_t)epoch, what, (uint64_t)place, 0, out);
    return (int64_t)(((__uint128_t)out[0] * (uint64_t)n) >> 64);
}

/* what: which of the epoch's permutations. */
static void shuffle(int64_t *list, int64_t count, uint64_t seed, int64_t epoch, uint64_t what) {
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t other = draw(seed, epoch, what, i, i + 1), kept = list[i];
        list[i] = list[other];
        list[other] = kept;
    }
}

void crs_order_shuffle(int64_t *order, int64_t count, uint64_t seed, int64_t epoch) {
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    shuffle(order, count, seed, epoch, 0);
}

void crs_order_sort(int64_t *order, int64_t count, const int *steps, int64_t *room) {
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t first = 0; first < count; first += 2 * width) {
            const int64_t middle = first + width < count ? first + width : count,
                          end = middle + width < count ? middle + width : count;
            int64_t a = first, b = middle, to = first;
            while (a < middle || b < end)
                room[to++] = b == end || (a < middle && steps[order[a]] >= steps[order[b]]) ? order[a++] : order[b++];
        }
        memcpy(order, room, (size_t)count * sizeof *order);
    }
}

void crs_order_batches(int64_t *order, int64_t count, int64_t batch, const int *steps, uint64_t seed, int64_t epoch,
                       int64_t *batch_start) {
    const int64_t batches = (count + batch - 1) / batch, block = BLOCK_BATCHES * batch;
    int64_t *room = order + count; /* [count], and [batches] of numbers */
    crs_order_shuffle(order, count, seed, epoch);
    for (int64_t first = 0; first < count && steps; first += block)
        crs_order_sort(order + first, count - first < block ? count - first : block, steps, room + first);
    memcpy(room, order, (size_t)count * sizeof *order);
    int64_t *number = room + count, at = 0;
    for (int64_t b = 0; b < batches; b++)
        number[b] = b;
    shuffle(number, batches, seed, epoch, 1);
    for (int64_t b = 0; b < batches; b++) {
        const int64_t first = number[b] * batch, rows = count - first < batch ? count - first : batch;
        memcpy(order + at, room + first, (size_t)rows * sizeof *order);
        batch_start[b] = at;
        at += rows;
    }
    batch_start[batches] = at;
}
