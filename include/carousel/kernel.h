/* Everything that knows a vector register. One source, compiled once an instruction set; all give the same bits.
 *
 * Local; any thread. Pointers are aligned to 64 bytes unless stated. "Block": 16 neighbouring units, on every
 * instruction set. */
#ifndef CAROUSEL_KERNEL_H
#define CAROUSEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "carousel/base.h"

typedef enum crs_isa { CRS_ISA_BASELINE, CRS_ISA_V3, CRS_ISA_V4, CRS_ISA_COUNT } crs_isa;

enum { CRS_BLOCK = 16 };

typedef enum crs_cell { CRS_LSTM, CRS_PEEPHOLE, CRS_GRU, CRS_RNN, CRS_CELLS } crs_cell;
typedef enum crs_optimizer { CRS_ADAM, CRS_RMSPROP, CRS_SGD, CRS_ADAGRAD, CRS_OPTIMIZERS } crs_optimizer;

/* One elementwise update of n values (n a multiple of 16). The gradient of element i is gradient[i] * scale.
 * Formulas as PyTorch's: Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019), which all
 * optimizers share: w -= rate * weight_decay * w first. first and second: the moments, NULL where unused
 * (adam: both; rmsprop: second = average of squares; sgd: first = momentum, NULL for plain; adagrad: second = sum of
 * squares). */
typedef struct crs_update {
    crs_optimizer optimizer;
    size_t n;
    float *values, *first, *second;
    const float *gradient;
    float scale, rate, weight_decay;
    float beta1, beta2, epsilon;    /* sgd: beta1 is the momentum; rmsprop: beta2 is the decay */
    float correction1, correction2; /* adam: 1 - beta^t */
} crs_update;

typedef struct crs_kernels crs_kernels; /* the table of one instruction set; private to kernel and nn but for: */

const char *crs_isa_name(crs_isa isa); /* "baseline", "v3", "v4" */
bool crs_isa_here(crs_isa isa);        /* whether this processor has it */
crs_isa crs_isa_best(void);            /* the best this processor has */
/* CAROUSEL_ISA where set (CRS_USAGE with the list of those there are, for an unknown name or what this processor
 * lacks), the best otherwise. */
crs_status crs_isa_choose(crs_isa *isa, crs_error *error);
const crs_kernels *crs_kernels_of(crs_isa isa); /* static storage */

void crs_kernel_update(const crs_kernels *kernels, const crs_update *update);

/* Numbers packed without loss for the way to another rank, n a multiple of CRS_BLOCK: blocks of 16, each in as many
 * bits as its largest needs, and a byte. The same bytes by every instruction set. out[crs_packed_most(n)]; returns how
 * many bytes there are (that were read). What is read must be what was packed: it is not checked, and up to 8 bytes
 * behind it are read. */
static inline size_t crs_packed_most(size_t n) {
    return n / CRS_BLOCK * (1 + CRS_BLOCK * sizeof(int64_t)) + sizeof(uint64_t);
}
size_t crs_pack_sums(const crs_kernels *kernels, const int64_t *values, size_t n, uint8_t *out);
/* add: to values[n] (modulo 2^64); else they are set. */
size_t crs_unpack_sums(const crs_kernels *kernels, const uint8_t *in, size_t n, bool add, int64_t *values);
/* How far the bit pattern of each float is from that before it; values[n] go as far. */
size_t crs_pack_changes(const crs_kernels *kernels, const float *after, const float *before, size_t n, uint8_t *out);
size_t crs_unpack_changes(const crs_kernels *kernels, const uint8_t *in, size_t n, float *values);

#endif
