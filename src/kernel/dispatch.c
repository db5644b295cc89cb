/* Which instruction set's table is used. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static const char *const names[CRS_ISA_COUNT] = {"baseline", "v3", "v4"};

#ifdef __x86_64__
static const crs_kernels *const tables[CRS_ISA_COUNT] = {&crs_kernels_baseline, &crs_kernels_v3, &crs_kernels_v4};
#else
static const crs_kernels *const tables[CRS_ISA_COUNT] = {&crs_kernels_baseline, NULL, NULL};
#endif

const char *crs_isa_name(crs_isa isa) {
    return names[isa];
}

bool crs_isa_here(crs_isa isa) {
#ifdef __x86_64__
    if (isa == CRS_ISA_V4)
        return __builtin_cpu_supports("x86-64-v4");
    if (isa == CRS_ISA_V3)
        return __builtin_cpu_supports("x86-64-v3");
#endif
    return isa == CRS_ISA_BASELINE;
}

crs_isa crs_isa_best(void) {
    crs_isa isa = CRS_ISA_COUNT - 1;
    while (!crs_isa_here(isa))
        isa--;
    return isa;
}

crs_status crs_isa_choose(crs_isa *isa, crs_error *error) {
    const char *wanted = getenv("CAROUSEL_ISA");
    *isa = crs_isa_best();
    if (!wanted)
        return CRS_OK;
    char list[64] = "";
    size_t length = 0;
    for (int i = CRS_ISA_COUNT - 1; i >= 0; i--) {
        if (!crs_isa_here(i))
            continue;
        if (strcmp(wanted, names[i]) == 0) {
            *isa = i;
            return CRS_OK;
        }
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", length ? ", " : "", names[i]);
    }
    for (int i = 0; i < CRS_ISA_COUNT; i++)
        if (strcmp(wanted, names[i]) == 0)
            return crs_fail(error, CRS_USAGE, "CAROUSEL_ISA=%s: this processor lacks it; it has: %s", wanted, list);
    return crs_fail(error, CRS_USAGE, "CAROUSEL_ISA=%s: no such instruction set; this processor has: %s", wanted, list);
}

const crs_kernels *crs_kernels_of(crs_isa isa) {
    return tables[isa];
}

void crs_kernel_update(const crs_kernels *kernels, const crs_update *update) {
    kernels->update(update);
}

size_t crs_pack_sums(const crs_kernels *kernels, const int64_t *values, size_t n, uint8_t *out) {
    CRS_ASSERT(n % CRS_BLOCK == 0);
    return kernels->pack_sums(values, n, out);
}

size_t crs_unpack_sums(const crs_kernels *kernels, const uint8_t *in, size_t n, bool add, int64_t *values) {
    CRS_ASSERT(n % CRS_BLOCK == 0);
    return kernels->unpack_sums(in, n, add, values);
}

size_t crs_pack_changes(const crs_kernels *kernels, const float *after, const float *before, size_t n, uint8_t *out) {
    CRS_ASSERT(n % CRS_BLOCK == 0);
    return kernels->pack_changes(after, before, n, out);
}

size_t crs_unpack_changes(const crs_kernels *kernels, const uint8_t *in, size_t n, float *values) {
    CRS_ASSERT(n % CRS_BLOCK == 0);
    return kernels->unpack_changes(in, n, values);
}
