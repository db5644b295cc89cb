/* Activations, allocated once for the largest batch. */
#include "config.h"

#include "model.h"

/* A group's columns of so many (time, row) pairs, 256 KiB, stay in the second-level cache. */
enum { PANEL_PAIRS = 1024 };

static bool allocate_floats(float **to, size_t rows, size_t columns) {
    if (columns && rows > SIZE_MAX / 64 / columns)
        return false;
    *to = crs_alloc(rows * columns, sizeof(float), CRS_MEMORY_ACTIVATIONS);
    return *to != NULL;
}

static bool allocate_layers(crs_workspace *w) {
    const crs_model *m = w->model;
    const size_t layers = (size_t)m->spec.layers, n = (size_t)w->rows * (size_t)w->steps,
                 hidden = (size_t)m->hidden_padded;
    const size_t gates = crs_gates_size(m, w->rows * w->steps);
    w->gates = crs_alloc(layers, sizeof *w->gates, CRS_MEMORY_OTHER);
    w->h = crs_alloc(layers, sizeof *w->h, CRS_MEMORY_OTHER);
    w->c = crs_alloc(layers, sizeof *w->c, CRS_MEMORY_OTHER);
    w->dropped = crs_alloc(layers, sizeof *w->dropped, CRS_MEMORY_OTHER);
    w->kept = crs_alloc(layers, sizeof *w->kept, CRS_MEMORY_OTHER);
    bool good = w->gates && w->h && w->c && w->dropped && w->kept;
    for (size_t l = 0; good && l < layers; l++) {
        good = allocate_floats(&w->gates[l], 1, gates) && allocate_floats(&w->h[l], n + (size_t)w->rows, hidden);
        if (good && crs_has_c(m->spec.cell))
            good = allocate_floats(&w->c[l], n + (size_t)w->rows, hidden);
        if (good && (w->uses & CRS_DROPOUT)) {
            w->kept[l] = crs_alloc(n, hidden / CRS_BLOCK * sizeof **w->kept, CRS_MEMORY_ACTIVATIONS);
            good = w->kept[l] && allocate_floats(&w->dropped[l], n, hidden);
        }
    }
    return good;
}

/* What the backward pass and the weight gradient need. */
static bool allocate_training(crs_workspace *w) {
    const crs_model *m = w->model;
    const int e_padded = crs_pad(m->spec.embed), n = w->rows * w->steps;
    const int inputs = m->layers[0].from_tokens ? 0 : e_padded;
    const size_t widest = (size_t)(m->hidden_padded > inputs ? m->hidden_padded : inputs);
    /* A piece packs one time more than it has. A lane has at least half of the rows that pieces are made for. */
    const int pieces = n / 128 + 1 < w->steps ? n / 128 + 1 : w->steps;
    w->packed = w->rows * (w->steps + pieces);
    const size_t row = widest > CRS_GROUP ? widest : CRS_GROUP;
    w->piece = 256 + w->rows < n ? 256 + w->rows : n;
    w->panel_pairs = PANEL_PAIRS < n ? PANEL_PAIRS : n;
    w->panel = crs_alloc((size_t)m->threads, sizeof *w->panel, CRS_MEMORY_OTHER);
    w->scatter = crs_alloc((size_t)m->threads, sizeof *w->scatter, CRS_MEMORY_OTHER);
    w->slot_of = crs_alloc((size_t)m->spec.input_size, sizeof *w->slot_of, CRS_MEMORY_ACTIVATIONS);
    w->slot = crs_alloc((size_t)n, sizeof *w->slot, CRS_MEMORY_ACTIVATIONS);
    w->slot_token = crs_alloc((size_t)n, sizeof *w->slot_token, CRS_MEMORY_ACTIVATIONS);
    w->slots = crs_alloc((size_t)n, sizeof *w->slots, CRS_MEMORY_ACTIVATIONS);
    bool good = w->panel && w->scatter && w->slot_of && w->slot && w->slot_token && w->slots;
    good = good && allocate_floats(&w->dh[0], (size_t)n, widest) && allocate_floats(&w->dh[1], (size_t)n, widest) &&
           allocate_floats(&w->dc, (size_t)w->rows, (size_t)m->hidden_padded) &&
           allocate_floats(&w->columns[0], (size_t)w->packed, widest) &&
           allocate_floats(&w->columns[1], (size_t)w->packed, widest);
    for (int i = 0; good && i < m->threads; i++)
        good =
            allocate_floats(&w->panel[i], (size_t)(w->piece > w->panel_pairs ? w->piece : w->panel_pairs), CRS_GROUP) &&
            allocate_floats(&w->scatter[i], (size_t)w->piece, row);
    for (int v = 0; good && v < m->spec.input_size; v++)
        w->slot_of[v] = -1;
    return good;
}

crs_status crs_workspace_create(crs_workspace **workspace, const crs_model *model, int rows, int steps, int uses,
                                crs_error *error) {
    *workspace = NULL;
    crs_workspace *w = crs_alloc_or_fail(1, sizeof *w, CRS_MEMORY_OTHER, "a workspace", error);
    if (!w)
        return error->status;
    w->model = model;
    w->rows = rows > 0 ? rows : 1;
    w->steps = steps > 0 ? steps : 1;
    w->uses = uses;
    bool good = (int64_t)w->rows * w->steps < INT32_MAX / 2 && allocate_layers(w);
    const size_t n = (size_t)w->rows * (size_t)w->steps;
    good = good && allocate_floats(&w->logits, n, (size_t)model->vocabulary_groups.padded);
    if (good && !model->layers[0].from_tokens)
        good = allocate_floats(&w->inputs, n, (size_t)crs_pad(model->spec.embed));
    w->losses = crs_alloc((size_t)model->threads, CRS_LOSS_STRIDE * sizeof *w->losses, CRS_MEMORY_OTHER);
    good = good && w->losses;
    if (good && (uses & CRS_TRAINING))
        good = allocate_training(w);
    if (!good) {
        crs_workspace_free(&w);
        return crs_fail(
            error, CRS_INTERNAL,
            "out of memory for the activations of %d rows x %d steps; a smaller --batch or --window would do", rows,
            steps);
    }
    *workspace = w;
    return CRS_OK;
}

void crs_workspace_free(crs_workspace **workspace) {
    crs_workspace *w = *workspace;
    if (!w)
        return;
    for (int l = 0; l < w->model->spec.layers; l++) {
        if (w->gates)
            crs_free(&w->gates[l]);
        if (w->h)
            crs_free(&w->h[l]);
        if (w->c)
            crs_free(&w->c[l]);
        if (w->dropped)
            crs_free(&w->dropped[l]);
        if (w->kept)
            crs_free(&w->kept[l]);
    }
    for (int i = 0; i < w->model->threads; i++) {
        if (w->panel)
            crs_free(&w->panel[i]);
        if (w->scatter)
            crs_free(&w->scatter[i]);
    }
    crs_free(&w->gates);
    crs_free(&w->h);
    crs_free(&w->c);
    crs_free(&w->dropped);
    crs_free(&w->kept);
    crs_free(&w->inputs);
    crs_free(&w->logits);
    crs_free(&w->dh[0]);
    crs_free(&w->dh[1]);
    crs_free(&w->dc);
    crs_free(&w->losses);
    crs_free(&w->columns[0]);
    crs_free(&w->columns[1]);
    crs_free(&w->panel);
    crs_free(&w->scatter);
    crs_free(&w->slot_of);
    crs_free(&w->slot);
    crs_free(&w->slot_token);
    crs_free(&w->slots);
    crs_free(workspace);
}
