/* The norm of an arena, in the order of the file. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "nn/model.h"

/* A row of a tensor is summed by itself, k ascending; 16 rows at a time keep the adders busy. */
static void row_squares(const crs_model *m, const float *arena, int tensor, int64_t first, int rows, double *squares) {
    const int64_t columns = m->tensor[tensor].dims[1];
    const float *from[CRS_BLOCK];
    ptrdiff_t stride[CRS_BLOCK];
    double sum[CRS_BLOCK] = {0};
    for (int i = 0; i < CRS_BLOCK; i++) {
        const int64_t row = first + (i < rows ? i : 0);
        from[i] = arena + m->place[tensor][row].base;
        stride[i] = m->place[tensor][row].stride;
    }
    bool neighbours = true;
    for (int i = 1; i < CRS_BLOCK; i++)
        neighbours = neighbours && from[i] == from[0] + i && stride[i] == stride[0];
    if (neighbours)
        m->kernels->squares(from[0], stride[0], columns, sum);
    for (int64_t k = 0; k < columns && !neighbours; k++)
        for (int i = 0; i < CRS_BLOCK; i++) {
            const double x = from[i][k * stride[i]];
            sum[i] += x * x;
        }
    memcpy(squares, sum, (size_t)rows * sizeof *sum);
}

typedef struct squares_of {
    const crs_model *m;
    const float *arena;
    int owner;
    const int *owner_of; /* [rows of this tensor]; NULL: all are its own */
    int tensor;
    double *squares; /* [rows of this tensor] */
} squares_of;

static void share_of_squares(void *context, int thread, int threads) {
    const squares_of *s = context;
    const int64_t count = s->m->tensor[s->tensor].dims[0];
    const int blocks = (int)((count + CRS_BLOCK - 1) / CRS_BLOCK);
    for (int i = crs_share(blocks, thread, threads); i < crs_share(blocks, thread + 1, threads); i++) {
        const int64_t first = (int64_t)i * CRS_BLOCK;
        const int rows = count - first < CRS_BLOCK ? (int)(count - first) : CRS_BLOCK;
        bool own = !s->owner_of;
        for (int j = 0; j < rows && !own; j++)
            own = s->owner_of[first + j] == s->owner;
        if (own)
            row_squares(s->m, s->arena, s->tensor, first, rows, s->squares + first);
    }
}

void crs_model_squares(const crs_model *m, const crs_shards *shards, int owner, const float *arena, double *sums) {
    enum { WORTH_THREADS = 64 };
    const int *owner_of = shards ? shards->owner_of_row : NULL;
    for (int tensor = 0; tensor < m->tensors; tensor++) {
        const int64_t rows = m->tensor[tensor].dims[0];
        squares_of s = {m, arena, owner, owner_of, tensor, sums};
        crs_parallel(rows > WORTH_THREADS ? m->threads : 1, share_of_squares, &s);
        owner_of += owner_of ? rows : 0;
        sums += rows;
    }
}

double crs_norm_of(const double *squares, int64_t rows) {
    double total = 0;
    for (int64_t i = 0; i < rows; i++)
        total += squares[i];
    return sqrt(total);
}
