/* What this processor's fused multiply-add units can do: accumulators enough to fill them, nothing else. */
#include "config.h"

#include "isa.h"

#if VL == 16
enum { ACCUMULATORS = 24 };
#else
enum { ACCUMULATORS = 12 };
#endif

double CRS_ISA(crs_peak)(int64_t rounds, float *sink) {
    vf acc[ACCUMULATORS];
#pragma GCC unroll 32
    for (int i = 0; i < ACCUMULATORS; i++)
        acc[i] = all((float)i);
    const vf x = load(sink), y = load(sink + CRS_BLOCK);
    for (int64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 32
        for (int i = 0; i < ACCUMULATORS; i++)
            acc[i] = fma_(acc[i], x, y);
    }
    vf total = {0};
#pragma GCC unroll 32
    for (int i = 0; i < ACCUMULATORS; i++)
        total += acc[i];
    store(sink, total);
    return 2.0 * VL * ACCUMULATORS * (double)rounds;
}
