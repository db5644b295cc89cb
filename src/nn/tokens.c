/* Tokens as input. Either their embeddings are gathered, or, for small vocabularies, the first layer's input product of
 * every token stands in a table: bias + W_ih embedding[v], built anew once a step. Then the table's gradient is what is
 * summed, and those of embedding, W_ih and biases follow from it. */
#include "config.h"

#include <string.h>

#include "nn/pieces.h"
#include "nn/tokens.h"

static const float zeros[CRS_GROUP] __attribute__((aligned(64)));

static crs_tokens *tokens_of(const crs_part *part) {
    return (crs_tokens *)part;
}

/* ---- parameters ---- */

static bool declare(crs_model *m, crs_part *part) {
    crs_tokens *x = tokens_of(part);
    const int embed = m->spec.embed;
    x->tokens = m->spec.input_size;
    if (crs_spec_has_table(&m->spec)) {
        x->reader = &m->layers[0];
        m->layers[0].table = x;
    }
    if (embed > 0) {
        crs_slice *slice = crs_slice_begin(m, part, !x->reader);
        x->embedding = crs_slice_take(m, slice, (size_t)x->tokens * (size_t)part->padded);
        if (!crs_place_rows(m, "embedding/weight", x->embedding, part->padded))
            return false;
    }
    if (!x->reader)
        return true;
    const size_t table = part->other_sums = crs_gates_size(&x->reader->gates, x->tokens);
    x->table = crs_alloc(table, sizeof(float), CRS_MEMORY_PACKED);
    x->table_gradient = crs_alloc(table, sizeof(float), CRS_MEMORY_GRADIENTS);
    x->embedding_columns = crs_alloc((size_t)embed * (size_t)crs_pad(x->tokens), sizeof(float), CRS_MEMORY_PACKED);
    return x->table && x->table_gradient && x->embedding_columns;
}

static void release(crs_part *part) {
    crs_tokens *x = tokens_of(part);
    crs_free(&x->table);
    crs_free(&x->table_gradient);
    crs_free(&x->embedding_columns);
}

/* Row v of the table: the biases, and the chain over the embedding of v (one-hot: its column of W_ih). */
static void refresh_table(crs_model *m, const crs_tokens *x, int group) {
    const crs_layer *layer = x->reader;
    const crs_gates *g = &layer->gates;
    const int rows = x->tokens, columns = crs_panel_columns(g, group);
    const float *panel = m->parameters + layer->weight_ih + crs_panel_first(g, group) * layer->inputs;
    const float *start = layer->start + crs_gates_offset(g, 1, group, 0);
    float *table = x->table + crs_gates_offset(g, rows, group, 0);
    for (int v = 0; v < rows; v++)
        memcpy(table + v * g->row, start, (size_t)crs_gate_columns(g, group) * sizeof *table);
    if (m->spec.embed == 0) {
        for (int v = 0; v < rows; v++)
            for (int j = 0; j < columns; j++)
                table[v * g->row + j] += panel[(ptrdiff_t)v * columns + j];
        return;
    }
    crs_product product = {.rows = rows, .blocks = columns / CRS_BLOCK, .c = table, .c_row = g->row, .chains = 1};
    product.chain[0] = crs_chain_of_rows(m->parameters + x->embedding, x->part.padded, m->spec.embed, panel, columns);
    m->kernels->product(&product);
}

static void refresh(crs_model *m, const crs_part *part) {
    const crs_tokens *x = tokens_of(part);
    if (!x->reader)
        return;
    const int groups = x->reader->gates.groups, v_padded = crs_pad(x->tokens);
#pragma omp barrier /* the biases that the table begins with */
#pragma omp for schedule(static) nowait
    for (int group = 0; group < groups; group++)
        refresh_table(m, x, group);
#pragma omp for schedule(static)
    for (int e = 0; e < m->spec.embed; e++)
        for (int v = 0; v < x->tokens; v++)
            x->embedding_columns[(ptrdiff_t)e * v_padded + v] =
                m->parameters[x->embedding + (size_t)(v * part->padded + e)];
}

/* ---- a pass ---- */

static bool reserve(crs_workspace *w, const crs_part *part) {
    const crs_tokens *x = tokens_of(part);
    const size_t pairs = (size_t)w->pairs, tokens = (size_t)x->tokens;
    bool good = x->reader || crs_reserve(w, &crs_memory_of(w, part)->y, pairs, (size_t)part->padded);
    if (!good || !(w->uses & CRS_TRAINING))
        return good;
    w->slot_of = crs_reserve_block(w, tokens, sizeof *w->slot_of);
    w->slot = crs_reserve_block(w, pairs, sizeof *w->slot);
    w->slot_token = crs_reserve_block(w, pairs, sizeof *w->slot_token);
    w->slots = crs_reserve_block(w, pairs, sizeof *w->slots);
    for (size_t v = 0; w->slot_of && v < tokens; v++)
        w->slot_of[v] = -1;
    good = w->slot_of && w->slot && w->slot_token && w->slots && (x->reader || crs_reserve_backward(w, part));
    w->scatter = crs_reserve_block(w, (size_t)w->model->threads, sizeof *w->scatter);
    const int columns = !x->reader && part->padded > CRS_GROUP ? part->padded : CRS_GROUP;
    for (int i = 0; good && w->scatter && i < w->model->threads; i++)
        good = crs_reserve(w, &w->scatter[i], (size_t)w->piece, (size_t)columns);
    return good && w->scatter;
}

/* A slot for each token that occurs in a piece. */
static void assign_slots(const crs_pass *pass) {
    crs_workspace *w = pass->workspace;
    for (int j = 0; j < pass->pieces->pieces; j++) {
        const crs_piece *p = &pass->pieces->piece_at[j];
        uint32_t *token_of = w->slot_token + p->start;
        int slots = 0;
        for (int i = p->start; i < p->start + p->n; i++) {
            const uint32_t token = pass->batch->input.tokens[pass->pieces->pair[i]];
            if (w->slot_of[token] < 0) {
                w->slot_of[token] = slots;
                token_of[slots++] = token;
            }
            w->slot[i] = w->slot_of[token];
        }
        for (int i = 0; i < slots; i++)
            w->slot_of[token_of[i]] = -1;
        w->slots[j] = slots;
    }
}

/* Dropout of embeddings (gradient: of theirs), of this worker's rows, its share of the times. */
static void drop(const crs_pass *pass, const crs_worker *worker, const crs_part *part, float *y) {
    const crs_batch *b = pass->batch;
    const crs_dropout d = crs_input_dropout(b);
    for (int t = worker->member; t < b->steps; t += worker->team_size)
        for (int r = worker->first_row; r < worker->first_row + crs_worker_rows(pass, worker, t); r++) {
            float *row = y + crs_pair(b, t, r) * part->padded;
            crs_drop(&d, (uint64_t)b->row_id[r], (uint64_t)t, part->padded / CRS_BLOCK, row, row, NULL);
        }
}

/* Embeddings of this worker's rows, its share of the times. */
static void forward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    const crs_tokens *x = tokens_of(part);
    const crs_batch *b = pass->batch;
    const ptrdiff_t row = part->padded;
    if (pass->backward && worker->thread == 0)
        assign_slots(pass); /* all wait for each other before the weight gradient that needs them */
    CRS_ASSERT(!x->reader || !pass->backward || !(b->input_dropout > 0)); /* crs_spec.gather */
    if (x->reader)
        return;
    for (int t = worker->member; t < b->steps; t += worker->team_size)
        for (int r = worker->first_row; r < worker->first_row + crs_worker_rows(pass, worker, t); r++) {
            const ptrdiff_t n = crs_pair(b, t, r);
            memcpy(crs_memory_of(pass->workspace, part)->y + n * row,
                   pass->model->parameters + x->embedding + b->input.tokens[n] * row, (size_t)row * sizeof(float));
        }
    if (pass->backward && b->input_dropout > 0)
        drop(pass, worker, part, crs_memory_of(pass->workspace, part)->y);
    crs_team_wait(worker);
}

/* ---- gradients ---- */

void crs_tokens_add_table(const crs_pass *pass, const crs_worker *worker, const crs_tokens *x, const crs_piece *p,
                          int group, const float *panel, int64_t *refused) {
    const crs_kernels *kernels = pass->model->kernels;
    const crs_workspace *w = pass->workspace;
    const crs_gates *g = &x->reader->gates;
    const int count = crs_gate_columns(g, group), slots = w->slots[p->number];
    float *scatter = w->scatter[worker->thread];
    memset(scatter, 0, (size_t)slots * (size_t)count * sizeof *scatter);
    for (int j = 0; j < count; j += CRS_BLOCK)
        kernels->scatter_rows(panel + (ptrdiff_t)j * p->n, CRS_BLOCK, p->n, CRS_BLOCK, w->slot + p->start, scatter + j,
                              count);
    for (int i = 0; i < slots; i++)
        kernels->add_fixed(scatter + (ptrdiff_t)i * count, (size_t)count,
                           pass->sums + x->part.other_sum +
                               crs_gates_offset(g, x->tokens, group, w->slot_token[p->start + i]),
                           refused);
}

/* The gradient of the gathered embeddings; a thread takes its share of the columns. */
static void add_embedding(const crs_pass *pass, const crs_worker *worker, const crs_part *part, const crs_piece *p,
                          int64_t *refused) {
    const crs_kernels *kernels = pass->model->kernels;
    const crs_workspace *w = pass->workspace;
    const int length = part->padded, blocks = length / CRS_BLOCK, slots = w->slots[p->number];
    const int first = crs_share(blocks, worker->thread, worker->threads) * CRS_BLOCK;
    const int count = crs_share(blocks, worker->thread + 1, worker->threads) * CRS_BLOCK - first;
    if (count == 0)
        return;
    float *scatter = w->scatter[worker->thread];
    const float *dy = crs_memory_of(w, part)->dy;
    memset(scatter, 0, (size_t)slots * (size_t)count * sizeof *scatter);
    for (const crs_span *s = pass->pieces->span_at + p->first_span; s < pass->pieces->span_at + p->end_span; s++)
        kernels->scatter_rows(dy + crs_pair(pass->batch, s->time, s->row) * length + first, length, s->rows, count,
                              w->slot + p->start + s->at, scatter, count);
    for (int i = 0; i < slots; i++)
        kernels->add_fixed(scatter + (ptrdiff_t)i * count, (size_t)count,
                           pass->sums + part->slice[0].sum + (ptrdiff_t)w->slot_token[p->start + i] * length + first,
                           refused);
}

static void backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part) {
    if (tokens_of(part)->reader)
        return;
    if (pass->batch->input_dropout > 0) {
        drop(pass, worker, part, crs_memory_of(pass->workspace, part)->dy);
#pragma omp barrier
    }
    crs_worker_phase(worker, CRS_PHASE_WEIGHTS);
    for (int i = 0; i < pass->pieces->pieces; i++)
        add_embedding(pass, worker, part, &pass->pieces->piece_at[i], &crs_losses_of(pass, worker)[CRS_SUM_REFUSED]);
}

/* ---- from the table's gradient ---- */

static void gradient_of_biases(const crs_model *m, const crs_tokens *x, int group, float *gradient) {
    const crs_layer *layer = x->reader;
    const crs_gates *g = &layer->gates;
    const float *rows = x->table_gradient + crs_gates_offset(g, x->tokens, group, 0);
    m->kernels->column_sums(rows, g->row, x->tokens, crs_panel_columns(g, group),
                            gradient + layer->bias_ih + crs_panel_first(g, group));
    if (g->cell == CRS_GRU)
        m->kernels->column_sums(rows + g->h_slot, g->row, x->tokens, crs_panel_columns(g, group),
                                gradient + layer->bias_hh + crs_panel_first(g, group));
}

/* W_ih = sum over tokens of embedding x table gradient; one-hot: the table's rows themselves. */
static void gradient_of_inputs(const crs_model *m, const crs_tokens *x, int group, float *gradient) {
    const crs_layer *layer = x->reader;
    const crs_gates *g = &layer->gates;
    const int columns = crs_panel_columns(g, group);
    const float *rows = x->table_gradient + crs_gates_offset(g, x->tokens, group, 0);
    float *out = gradient + layer->weight_ih + crs_panel_first(g, group) * layer->inputs;
    if (m->spec.embed == 0) {
        for (int v = 0; v < x->tokens; v++)
            memcpy(out + (ptrdiff_t)v * columns, rows + v * g->row, (size_t)columns * sizeof *out);
        return;
    }
    crs_product p = {.rows = m->spec.embed, .blocks = columns / CRS_BLOCK, .c = out, .c_row = columns, .start = zeros};
    p.chains = 1;
    p.chain[0] = crs_chain_of_rows(x->embedding_columns, crs_pad(x->tokens), x->tokens, rows, (int)g->row);
    m->kernels->product(&p);
}

static void gradient_of_embedding(const crs_model *m, const crs_tokens *x, int group, float *gradient) {
    const crs_groups *e = &x->part.groups;
    const crs_gates *g = &x->reader->gates;
    const int first = crs_group_first(e, group), columns = crs_group_columns(e, group);
    crs_product p = {.rows = x->tokens, .blocks = columns / CRS_BLOCK, .start = zeros, .chains = 1};
    p.c = gradient + x->embedding + first;
    p.c_row = e->padded;
    p.chain[0] = crs_chain_of_gates(g, x->table_gradient, x->tokens, 0, false);
    p.chain[0].panel = x->reader->transposed_ih + first * crs_panel_first(g, g->groups);
    p.chain[0].panel_row = columns;
    m->kernels->product(&p);
}

typedef struct table_share {
    const crs_model *m;
    const crs_tokens *x;
    float *gradient;
} table_share;

static void share_of_table(void *context, int thread, int threads) {
    const table_share *t = context;
    const int embedding = t->m->spec.embed > 0 ? t->x->part.groups.groups : 0;
    for (int i = thread; i < t->x->reader->gates.groups; i += threads) {
        gradient_of_biases(t->m, t->x, i, t->gradient);
        gradient_of_inputs(t->m, t->x, i, t->gradient);
    }
    for (int i = thread; i < embedding; i += threads)
        gradient_of_embedding(t->m, t->x, i, t->gradient);
}

static void gradient(const crs_model *m, const crs_part *part, const int64_t *sums, double factor, float *out) {
    const crs_tokens *x = tokens_of(part);
    if (!x->reader)
        return;
    crs_convert(m, sums + part->other_sum, part->other_sums, factor, x->table_gradient);
    table_share t = {m, x, out};
    crs_parallel(m->threads, share_of_table, &t);
}

const crs_part_kind crs_tokens_kind = {.bytes = sizeof(crs_tokens),
                                       .declare = declare,
                                       .reserve = reserve,
                                       .refresh = refresh,
                                       .forward = forward,
                                       .backward = backward,
                                       .gradient = gradient,
                                       .release = release};
