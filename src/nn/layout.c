/* Where each parameter stands: arenas, sums, the tensors of the file. */
#include "config.h"

#include <string.h>

#include "nn/model.h"

static size_t padded(size_t count) {
    return (count + CRS_BLOCK - 1) / CRS_BLOCK * CRS_BLOCK;
}

crs_slice *crs_slice_begin(crs_model *m, crs_part *part, bool summed) {
    CRS_ASSERT(part->slices < CRS_SLICES);
    crs_slice *slice = &part->slice[part->slices++];
    *slice = (crs_slice){.arena = m->arena, .summed = summed};
    return slice;
}

size_t crs_slice_take(crs_model *m, crs_slice *slice, size_t count) {
    const size_t at = m->arena;
    CRS_ASSERT(at == slice->arena + slice->count); /* it is the last that was begun */
    m->arena += padded(count);
    slice->count += padded(count);
    return at;
}

void crs_lay_out_sums(crs_model *m) {
    for (int p = m->parts - 1; p >= 0; p--) {
        crs_part *part = m->part[p];
        for (int i = 0; i < part->slices; i++) {
            part->slice[i].sum = m->sums;
            m->sums += part->slice[i].summed ? part->slice[i].count : 0;
        }
        part->other_sum = m->sums;
        m->sums += part->other_sums;
        part->sums_end = m->sums;
    }
    m->sums += CRS_SUM_TRAILER;
}

static int tensor_of(const crs_model *m, const char *name) {
    int tensor = 0;
    while (tensor < m->tensors && strcmp(m->tensor[tensor].name, name) != 0)
        tensor++;
    CRS_ASSERT(tensor < m->tensors);
    return tensor;
}

crs_place *crs_place_tensor(crs_model *m, const char *name) {
    const int tensor = tensor_of(m, name);
    CRS_ASSERT(!m->place[tensor]);
    m->placed++;
    return m->place[tensor] = crs_alloc((size_t)m->tensor[tensor].dims[0], sizeof(crs_place), CRS_MEMORY_OTHER);
}

bool crs_place_rows(crs_model *m, const char *name, size_t at, int row) {
    crs_place *place = crs_place_tensor(m, name);
    const int64_t rows = m->tensor[tensor_of(m, name)].dims[0];
    for (int64_t j = 0; place && j < rows; j++)
        place[j] = (crs_place){at + (size_t)j * (size_t)row, 1};
    return place != NULL;
}

bool crs_place_columns(crs_model *m, const char *name, size_t at, const crs_groups *groups) {
    crs_place *place = crs_place_tensor(m, name);
    const size_t k = (size_t)m->tensor[tensor_of(m, name)].dims[1];
    for (int group = 0; place && group < groups->groups; group++) {
        const int first = crs_group_first(groups, group), columns = crs_group_columns(groups, group);
        for (int j = first; j < first + columns && j < groups->columns; j++)
            place[j] = (crs_place){at + (size_t)first * k + (size_t)(j - first), columns};
    }
    return place != NULL;
}

void crs_model_export(const crs_model *m, const float *arena, int tensor, float *values) {
    const int64_t rows = m->tensor[tensor].dims[0], columns = m->tensor[tensor].dims[1];
    for (int64_t j = 0; j < rows; j++) {
        const crs_place *place = &m->place[tensor][j];
        for (int64_t k = 0; k < columns; k++)
            values[j * columns + k] = arena[place->base + (size_t)(k * place->stride)];
    }
}

void crs_model_import(const crs_model *m, float *arena, int tensor, const float *values) {
    const int64_t rows = m->tensor[tensor].dims[0], columns = m->tensor[tensor].dims[1];
    for (int64_t j = 0; j < rows; j++) {
        const crs_place *place = &m->place[tensor][j];
        for (int64_t k = 0; k < columns; k++)
            arena[place->base + (size_t)(k * place->stride)] = values[j * columns + k];
    }
}

void crs_transpose_panel(const crs_kernels *kernels, const float *panel, int k_count, int columns, ptrdiff_t first,
                         ptrdiff_t all_columns, const crs_groups *groups, float *out) {
    for (int group = 0; group < groups->groups; group++) {
        const int k_first = crs_group_first(groups, group), width = crs_group_columns(groups, group);
        float *to = out + k_first * all_columns + first * width;
        /* Prefetched line by line: squares are too far apart to be foreseen. */
        for (int i = 0; i < columns * width; i += CRS_BLOCK) {
            __builtin_prefetch(panel + (ptrdiff_t)k_first * columns + i);
            __builtin_prefetch(to + i, 1);
        }
        for (int block = 0; block < width; block += CRS_BLOCK) {
            const int k_end = k_count - k_first - block < CRS_BLOCK ? k_count - k_first - block : CRS_BLOCK;
            const float *from = panel + (ptrdiff_t)(k_first + block) * columns;
            for (int c = 0; c < columns && k_end == CRS_BLOCK; c += CRS_BLOCK)
                kernels->transpose(from + c, columns, to + c * width + block, width);
            for (int c = 0; c < columns && k_end < CRS_BLOCK; c++)
                for (int k = 0; k < k_end; k++)
                    to[c * width + block + k] = from[k * columns + c];
        }
    }
}
