/* Activations, allocated once for the largest batch. */
#include "config.h"

#include "nn/pieces.h"

/* A group's columns of so many pairs, 256 KiB, stay in the second-level cache. */
enum { PANEL_PAIRS = 1024 };
/* Blocks of a workspace: those of a part, and those of all. */
enum { PART_BLOCKS = 8, OTHER_BLOCKS = 16 };

static size_t most_blocks(const crs_model *m) {
    return (size_t)m->parts * PART_BLOCKS + 2 * (size_t)m->threads + OTHER_BLOCKS;
}

void *crs_reserve_block(crs_workspace *w, size_t count, size_t size) {
    CRS_ASSERT((size_t)w->blocks < most_blocks(w->model));
    return w->block[w->blocks++] = crs_alloc(count, size, CRS_MEMORY_ACTIVATIONS);
}

bool crs_reserve(crs_workspace *w, float **to, size_t rows, size_t columns) {
    if (columns && rows > SIZE_MAX / 64 / columns)
        return false;
    *to = crs_reserve_block(w, rows * columns, sizeof(float));
    return *to != NULL;
}

/* A part's columns are read by the one above and, of a layer's state, by itself: then they are done with. */
bool crs_reserve_backward(crs_workspace *w, const crs_part *part) {
    crs_part_memory *own = crs_memory_of(w, part);
    const int given = part->kind == &crs_pool_kind ? w->rows : w->pairs;
    if (part->number >= 2)
        own->packed = w->memory[part->number - 2].packed;
    return (!crs_learns(w->model, part) || crs_reserve(w, &own->dy, (size_t)given, (size_t)part->padded)) &&
           (own->packed || crs_reserve(w, &own->packed, (size_t)w->packed, (size_t)w->widest));
}

/* Of so many pairs. Every lane's last piece may be short. */
static bool reserve_list(crs_workspace *w, crs_pieces *list, int pairs) {
    const size_t n = (size_t)pairs, most = n / (CRS_PIECE_PAIRS / 2) + (size_t)w->rows + 1;
    list->piece_at = crs_reserve_block(w, most, sizeof *list->piece_at);
    list->span_at = crs_reserve_block(w, n, sizeof *list->span_at);
    list->pair = crs_reserve_block(w, n, sizeof *list->pair);
    list->before = crs_reserve_block(w, n, sizeof *list->before);
    return list->piece_at && list->span_at && list->pair && list->before;
}

/* What the weight gradients of all parts share. */
static bool reserve_pieces(crs_workspace *w) {
    const crs_model *m = w->model;
    const int64_t n = w->pairs, rows = w->rows;
    /* A piece packs one time more than it has, where all rows run to the end. */
    const int64_t pieces = n / (CRS_PIECE_PAIRS / 2) + 1 < w->steps ? n / (CRS_PIECE_PAIRS / 2) + 1 : w->steps;
    w->packed = (int)(pieces * rows < n ? n + pieces * rows : 2 * n);
    w->panel_pairs = PANEL_PAIRS < n ? PANEL_PAIRS : w->pairs;
    w->panel = crs_reserve_block(w, (size_t)m->threads, sizeof *w->panel);
    const size_t panel = (size_t)(w->piece > w->panel_pairs ? w->piece : w->panel_pairs);
    for (int p = 0; p < m->parts - 1; p++)
        w->widest = m->part[p]->padded > w->widest ? m->part[p]->padded : w->widest;
    bool good = w->panel && reserve_list(w, &w->pieces, w->pairs) &&
                (m->spec.alignment != CRS_ALIGN_SEQUENCE || reserve_list(w, &w->top_pieces, w->rows)) &&
                crs_reserve(w, &w->dc, (size_t)w->rows, (size_t)w->widest);
    for (int i = 0; good && i < m->threads; i++)
        good = crs_reserve(w, &w->panel[i], panel, CRS_GROUP);
    return good;
}

static bool reserve(crs_workspace *w) {
    const crs_model *m = w->model;
    w->memory = crs_reserve_block(w, (size_t)m->parts, sizeof *w->memory);
    w->losses = crs_reserve_block(w, (size_t)m->threads, CRS_LOSS_STRIDE * sizeof *w->losses);
    bool good = w->memory && w->losses && (!(w->uses & CRS_TRAINING) || reserve_pieces(w));
    for (int p = 0; good && p < m->parts; p++)
        good = m->part[p]->kind->reserve(w, m->part[p]);
    return good;
}

enum { MOST_PAIRS = INT32_MAX / 2 - 1 };

/* wanted: its sizes. */
static crs_status create(crs_workspace **workspace, const crs_workspace *wanted, crs_error *error) {
    *workspace = NULL;
    const crs_model *m = wanted->model;
    crs_workspace *w =
        crs_alloc_or_fail(1, sizeof *w + most_blocks(m) * sizeof *w->block, CRS_MEMORY_OTHER, "a workspace", error);
    if (!w)
        return error->status;
    *w = *wanted;
    if (w->pairs > MOST_PAIRS || !reserve(w)) {
        crs_workspace_free(&w);
        return crs_fail(
            error, CRS_INTERNAL,
            "out of memory for the activations of %d rows x %d steps; a smaller --batch or --window would do",
            wanted->rows, wanted->steps);
    }
    *workspace = w;
    return CRS_OK;
}

static int bounded(int64_t n, int64_t least, int64_t most) {
    return (int)(n < least ? least : n < most ? n : most);
}

/* Lanes of like rows: a piece has CRS_PIECE_PAIRS, and up to a step's more. */
crs_status crs_workspace_create(crs_workspace **workspace, const crs_model *model, int rows, int steps, int uses,
                                crs_error *error) {
    crs_workspace w = {.model = model, .uses = uses, .rows = rows > 0 ? rows : 1, .steps = steps > 0 ? steps : 1};
    w.pairs = bounded((int64_t)w.rows * w.steps, 1, INT32_MAX);
    w.piece = bounded(CRS_PIECE_PAIRS + (int64_t)w.rows, 1, w.pairs);
    return create(workspace, &w, error);
}

crs_status crs_workspace_create_packed(crs_workspace **workspace, const crs_model *model, int rows, int steps,
                                       int pairs, int uses, crs_error *error) {
    crs_workspace w = {.model = model, .uses = uses, .rows = rows > 0 ? rows : 1, .steps = steps > 0 ? steps : 1};
    w.pairs = bounded(pairs, w.rows, bounded((int64_t)w.rows * w.steps, 1, INT32_MAX));
    w.piece = bounded(2 * CRS_PIECE_PAIRS + (int64_t)w.rows, 1, w.pairs);
    return create(workspace, &w, error);
}

void crs_workspace_free(crs_workspace **workspace) {
    crs_workspace *w = *workspace;
    if (!w)
        return;
    for (int i = 0; i < w->blocks; i++)
        crs_free(&w->block[i]);
    crs_free(workspace);
}
