/* Gaussian noise on numbers. What a column gets depends on seed, step, global row, time and column alone: of the
 * draw of its pair of columns, two numbers u, v of its own, sqrt(-2 ln (1 - u)) cos(pi v) (Box & Muller 1958; a half
 * turn does, as the cosine alone is taken). */
#include "config.h"

#include <math.h>

#include "nn/model.h"

static double gaussian(const uint64_t bits[2]) {
    return sqrt(-2 * crs_log(1 - crs_unit_double(bits[0]))) * crs_cospi(crs_unit_double(bits[1]));
}

void crs_add_noise(const crs_batch *b, int row, int time, int width, float *y) {
    uint64_t bits[4] = {0};
    for (int j = 0; j < width; j++) {
        if (j % 2 == 0)
            crs_random(b->seed, CRS_DRAW_INPUT_NOISE, b->step, (uint64_t)b->row_id[row], (uint64_t)time,
                       (uint64_t)j / 2, bits);
        y[j] += (float)((double)b->input_noise * gaussian(bits + j % 2 * 2));
    }
}
