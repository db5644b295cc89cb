/* Dropout of a row: of what a layer gives, or of the input. The mask of a unit depends on seed, step, global row, place
 * (layer and time) and unit alone.
 *
 * A unit is kept where its 32-bit word is at least p * 2^32, and then scaled by 1 / (1 - p). Word j of 8 is the low
 * (even j) or high half of out[j / 2] of crs_random(seed, draw, step, row, place, unit / 8).
 */
#include "config.h"

#include <string.h>

#include "nn/model.h"

crs_dropout crs_dropout_of(const crs_batch *b, crs_draw draw, float share) {
    return (crs_dropout){draw, b->seed, b->step, (uint64_t)((double)share * 0x1p32), 1.0f / (1.0f - share)};
}

static uint16_t draw_block(const crs_dropout *d, uint64_t row, uint64_t place, uint64_t block) {
    uint16_t kept = 0;
    for (unsigned half = 0; half < 2; half++) {
        uint64_t out[4];
        crs_random(d->seed, d->draw, d->step, row, place, block * 2 + half, out);
        for (unsigned j = 0; j < 8; j++) {
            const uint64_t word = j % 2 ? out[j / 2] >> 32 : out[j / 2] & 0xffffffffu;
            kept |= (uint16_t)((word >= d->threshold) << (half * 8 + j));
        }
    }
    return kept;
}

/* Four units: all ones where the unit's bit is set. */
#define FOUR(bits) \
    { -(bits & 1u), -(bits >> 1 & 1u), -(bits >> 2 & 1u), -(bits >> 3 & 1u) }
static const uint32_t masks[16][4] = {FOUR(0u),  FOUR(1u),  FOUR(2u),  FOUR(3u), FOUR(4u),  FOUR(5u),
                                      FOUR(6u),  FOUR(7u),  FOUR(8u),  FOUR(9u), FOUR(10u), FOUR(11u),
                                      FOUR(12u), FOUR(13u), FOUR(14u), FOUR(15u)};

/* Masks instead of branches, which are foreseen half of the time: small models spend a tenth of a step here. */
static void apply(float *to, const float *from, uint16_t kept, float scale) {
    for (int first = 0; first < CRS_BLOCK; first += 4) {
        const uint32_t *mask = masks[kept >> first & 15];
        uint32_t bits[4];
        float scaled[4];
        for (int i = 0; i < 4; i++)
            scaled[i] = from[first + i] * scale;
        memcpy(bits, scaled, sizeof bits);
        for (int i = 0; i < 4; i++)
            bits[i] &= mask[i];
        memcpy(to + first, bits, sizeof bits);
    }
}

void crs_drop(const crs_dropout *d, uint64_t row, uint64_t place, int blocks, const float *from, float *to,
              uint16_t *kept) {
    for (int block = 0; block < blocks; block++) {
        const uint16_t drawn = draw_block(d, row, place, (unsigned)block);
        if (kept)
            kept[block] = drawn;
        apply(to + block * CRS_BLOCK, from + block * CRS_BLOCK, drawn, d->scale);
    }
}

void crs_drop_gradient(const crs_dropout *d, int blocks, const uint16_t *kept, float *dy) {
    for (int block = 0; block < blocks; block++)
        apply(dy + block * CRS_BLOCK, dy + block * CRS_BLOCK, kept[block], d->scale);
}

void crs_dropout_forward(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer) {
    const crs_batch *b = pass->batch;
    const crs_part_memory *own = crs_memory_of(pass->workspace, &layer->part);
    const int hidden = layer->gates.padded, blocks = hidden / CRS_BLOCK;
    const crs_dropout d = crs_dropout_of(b, CRS_DRAW_DROPOUT, b->dropout);
    for (int t = worker->member; t < b->steps; t += worker->team_size)
        for (int r = worker->first_row; r < worker->first_row + crs_worker_rows(pass, worker, t); r++) {
            const ptrdiff_t n = crs_pair(b, t, r);
            crs_drop(&d, (uint64_t)b->row_id[r], crs_dropout_place(layer->layer, t), blocks,
                     own->h + crs_state_after(b, t, r) * hidden, own->dropped + n * hidden, own->kept + n * blocks);
        }
    crs_team_wait(worker);
}

void crs_dropout_backward(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer) {
    const crs_batch *b = pass->batch;
    const crs_part_memory *own = crs_memory_of(pass->workspace, &layer->part);
    const int hidden = layer->gates.padded, blocks = hidden / CRS_BLOCK;
    const crs_dropout d = crs_dropout_of(b, CRS_DRAW_DROPOUT, b->dropout);
    for (int t = worker->member; t < b->steps; t += worker->team_size)
        for (int r = worker->first_row; r < worker->first_row + crs_worker_rows(pass, worker, t); r++) {
            const ptrdiff_t n = crs_pair(b, t, r);
            crs_drop_gradient(&d, blocks, own->kept + n * blocks, own->dy + n * hidden);
        }
    crs_team_wait(worker);
}
