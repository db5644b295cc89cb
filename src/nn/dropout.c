/* Dropout of a layer's output on its way up. The mask of a unit depends on seed, step, global row, layer, time and unit
 * alone.
 *
 * A unit is kept where its 32-bit word is at least p * 2^32, and then scaled by 1 / (1 - p). Word j of 8 is the low
 * (even j) or high half of out[j / 2] of crs_random(seed, CRS_DRAW_DROPOUT, step, row, layer * 2^32 + time, unit / 8).
 */
#include "config.h"

#include "nn/model.h"

static uint16_t draw_block(const crs_batch *b, uint64_t row, uint64_t place, uint64_t block, uint64_t threshold) {
    uint16_t kept = 0;
    for (unsigned half = 0; half < 2; half++) {
        uint64_t out[4];
        crs_random(b->seed, CRS_DRAW_DROPOUT, b->step, row, place, block * 2 + half, out);
        for (unsigned j = 0; j < 8; j++) {
            const uint64_t word = j % 2 ? out[j / 2] >> 32 : out[j / 2] & 0xffffffffu;
            kept |= (uint16_t)((word >= threshold) << (half * 8 + j));
        }
    }
    return kept;
}

static void apply(float *to, const float *from, uint16_t kept, float scale) {
    for (int i = 0; i < CRS_BLOCK; i++)
        to[i] = kept >> i & 1 ? from[i] * scale : 0.0f;
}

void crs_dropout_forward(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer) {
    const crs_batch *b = pass->batch;
    const crs_part_memory *own = crs_memory_of(pass->workspace, &layer->part);
    const int hidden = layer->gates.padded, blocks = hidden / CRS_BLOCK;
    const uint64_t threshold = (uint64_t)((double)b->dropout * 0x1p32);
    const float scale = 1.0f / (1.0f - b->dropout);
    for (int t = worker->member; t < b->steps; t += worker->team_size)
        for (int r = worker->first_row; r < worker->first_row + crs_worker_rows(pass, worker, t); r++) {
            const ptrdiff_t n = crs_pair(b, t, r);
            const float *h = own->h + crs_state_after(b, t, r) * hidden;
            for (int block = 0; block < blocks; block++) {
                const uint16_t kept = draw_block(b, (uint64_t)b->row_id[r], (uint64_t)layer->layer << 32 | (unsigned)t,
                                                 (unsigned)block, threshold);
                own->kept[n * blocks + block] = kept;
                apply(own->dropped + n * hidden + block * CRS_BLOCK, h + block * CRS_BLOCK, kept, scale);
            }
        }
    crs_team_wait(worker);
}

void crs_dropout_backward(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer) {
    const crs_batch *b = pass->batch;
    const crs_part_memory *own = crs_memory_of(pass->workspace, &layer->part);
    const int hidden = layer->gates.padded, blocks = hidden / CRS_BLOCK;
    const float scale = 1.0f / (1.0f - b->dropout);
    for (int t = worker->member; t < b->steps; t += worker->team_size)
        for (int r = worker->first_row; r < worker->first_row + crs_worker_rows(pass, worker, t); r++) {
            const ptrdiff_t n = crs_pair(b, t, r);
            for (int block = 0; block < blocks; block++) {
                float *x = own->dy + n * hidden + block * CRS_BLOCK;
                apply(x, x, own->kept[n * blocks + block], scale);
            }
        }
    crs_team_wait(worker);
}
