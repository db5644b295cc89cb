/* Counter-based random numbers. */
#include "config.h"

#include <Random123/philox.h>

#include "carousel/base.h"

void crs_random(uint64_t seed, crs_draw draw, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t out[4]) {
    philox4x64_ctr_t counter = {{a, b, c, d}};
    philox4x64_key_t key = {{seed, (uint64_t)draw}};
    philox4x64_ctr_t drawn = philox4x64_R(10, counter, key);
    for (int i = 0; i < 4; i++)
        out[i] = drawn.v[i];
}
