/* The output's weight is the embedding's: panels of it, made anew at each refresh, and its gradient, which is summed as
 * an output's is and then added to that of the embedding. */
#include "config.h"

#include "nn/tokens.h"

bool crs_tie_declare(crs_model *m, crs_output *o) {
    const size_t weights = (size_t)o->inputs * (size_t)o->part.padded;
    o->tied = (const crs_tokens *)m->input;
    CRS_ASSERT(m->input->kind == &crs_tokens_kind && o->inputs == m->spec.embed && o->part.width == o->tied->tokens);
    o->part.other_sums = (weights + CRS_BLOCK - 1) / CRS_BLOCK * CRS_BLOCK;
    o->panels = crs_alloc(o->part.other_sums, sizeof(float), CRS_MEMORY_PACKED);
    o->panels_gradient = crs_alloc(o->part.other_sums, sizeof(float), CRS_MEMORY_GRADIENTS);
    return o->panels && o->panels_gradient;
}

void crs_tie_release(crs_output *o) {
    crs_free(&o->panels);
    crs_free(&o->panels_gradient);
}

/* Row j of a group's tokens; the last group's padding has none. */
static int tokens_in(const crs_output *o, int group) {
    const int first = crs_group_first(&o->part.groups, group), columns = crs_group_columns(&o->part.groups, group);
    return o->part.width - first < columns ? o->part.width - first : columns;
}

void crs_tie_refresh(const crs_model *m, const crs_output *o, int group) {
    const int first = crs_group_first(&o->part.groups, group), columns = crs_group_columns(&o->part.groups, group);
    const ptrdiff_t row = o->tied->part.padded;
    const float *embedding = m->parameters + o->tied->embedding + first * row;
    float *panel = o->panels + (ptrdiff_t)first * o->inputs;
    const int tokens = tokens_in(o, group);
    for (int j = 0; j < tokens; j += CRS_BLOCK)
        for (int k = 0; k < o->inputs; k += CRS_BLOCK) {
            if (tokens - j >= CRS_BLOCK && o->inputs - k >= CRS_BLOCK) {
                m->kernels->transpose(embedding + j * row + k, row, panel + (ptrdiff_t)k * columns + j, columns);
                continue;
            }
            for (int i = j; i < tokens && i < j + CRS_BLOCK; i++)
                for (int l = k; l < o->inputs && l < k + CRS_BLOCK; l++)
                    panel[(ptrdiff_t)l * columns + i] = embedding[i * row + l];
        }
}

typedef struct share {
    const crs_output *o;
    float *gradient;
} share;

static void add_share(void *context, int thread, int threads) {
    const share *s = context;
    const crs_output *o = s->o;
    const crs_groups *g = &o->part.groups;
    const ptrdiff_t row = o->tied->part.padded;
    for (int group = crs_share(g->groups, thread, threads); group < crs_share(g->groups, thread + 1, threads);
         group++) {
        const int first = crs_group_first(g, group), columns = crs_group_columns(g, group);
        const float *panel = o->panels_gradient + (ptrdiff_t)first * o->inputs;
        float *to = s->gradient + o->tied->embedding + first * row;
        for (int j = 0; j < tokens_in(o, group); j++)
            for (int k = 0; k < o->inputs; k++)
                to[j * row + k] += panel[(ptrdiff_t)k * columns + j];
    }
}

void crs_tie_gradient(const crs_model *m, const crs_output *o, const int64_t *sums, double factor, float *gradient) {
    crs_convert(m, sums + o->part.other_sum, o->part.other_sums, factor, o->panels_gradient);
    share s = {o, gradient};
    crs_parallel(m->threads, add_share, &s);
}
