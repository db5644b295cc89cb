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

typedef struct norm {
    const crs_model *m;
    const float *arena;
    int tensor;
    int64_t begin;
    int count;
    double *squares; /* [count] */
} norm;

static void share_of_norm(void *context, int thread, int threads) {
    const norm *n = context;
    const int blocks = (n->count + CRS_BLOCK - 1) / CRS_BLOCK;
    for (int i = crs_share(blocks, thread, threads); i < crs_share(blocks, thread + 1, threads); i++) {
        const int first = i * CRS_BLOCK, rows = n->count - first < CRS_BLOCK ? n->count - first : CRS_BLOCK;
        row_squares(n->m, n->arena, n->tensor, n->begin + first, rows, n->squares + first);
    }
}

double crs_model_norm(const crs_model *m, const float *arena) {
    double total = 0;
    enum { ROWS = 4096, WORTH_THREADS = 64 };
    double squares[ROWS];
    for (int tensor = 0; tensor < m->tensors; tensor++) {
        const int64_t rows = m->tensor[tensor].dims[0];
        for (int64_t begin = 0; begin < rows; begin += ROWS) {
            const int count = (int)(rows - begin < ROWS ? rows - begin : ROWS);
            norm n = {m, arena, tensor, begin, count, squares};
            crs_parallel(count > WORTH_THREADS ? m->threads : 1, share_of_norm, &n);
            for (int j = 0; j < count; j++)
                total += squares[j];
        }
    }
    return sqrt(total);
}
