/* What a model and a workspace are made of. Private to the room nn.
 *
 * A model is a stack of parts, each of which reads what the one below gives: the input, the recurrent layers, the
 * output. A layer of two directions is four parts: what is below reversed, a layer that reads that, a layer that
 * reads what is below, and the joint of both.
 *
 * Units, inputs and columns are padded to blocks of 16 (suffix `_padded`); padding of parameters, states and
 * gradients is zero. Gates stand as gates.h says; panels, sums and biases follow the same groups; a bias is a panel
 * with K = 1. */
#ifndef CRS_MODEL_H
#define CRS_MODEL_H

#include "carousel/nn.h"
#include "kernel/kernels.h"
#include "nn/gates.h"

typedef struct crs_part crs_part;
typedef struct crs_pass crs_pass;
typedef struct crs_worker crs_worker;

/* ---- parts ---- */

/* Neighbouring parameters whose sums, where they are summed as they stand, have the same layout. */
typedef struct crs_slice {
    size_t arena, count; /* floats of an arena from here on */
    bool summed;
    size_t sum; /* where their sums begin */
} crs_slice;

enum { CRS_SLICES = 2 };

/* What a kind of part does. refresh, forward and backward are called by every thread. */
typedef struct crs_part_kind {
    size_t bytes; /* of a part of this kind; an input is made from it */
    /* Takes its slices of the arena, places its tensors, makes room for what it derives from the parameters. */
    bool (*declare)(crs_model *, crs_part *);
    /* Takes its room in a workspace: y, dy, and what it keeps for the way back. */
    bool (*reserve)(crs_workspace *, const crs_part *);
    /* Derives anew from the parameters. Barriers within. NULL: nothing to derive. */
    void (*refresh)(crs_model *, const crs_part *);
    void (*forward)(const crs_pass *, const crs_worker *, const crs_part *);
    /* From its dy to the dy of the part below; then the gradients of its weights, added to the sums. */
    void (*backward)(const crs_pass *, const crs_worker *, const crs_part *);
    /* Parameters that are not summed as they stand: from their sums to their gradient. NULL: none. By one thread. */
    void (*gradient)(const crs_model *, const crs_part *, const int64_t *sums, double factor, float *gradient);
    void (*release)(crs_part *); /* what it derived; NULL: nothing */
} crs_part_kind;

struct crs_part {
    const crs_part_kind *kind;
    int number;            /* from the input, 0, up; the output is the last */
    const crs_part *below; /* what it reads; NULL for the input */
    bool within;           /* a joint reads it, and gives on what it gives */
    int width, padded;     /* columns that it gives */
    crs_groups groups;     /* of them, as products make their gradient */
    int slices;
    crs_slice slice[CRS_SLICES];
    size_t other_sums, other_sum; /* how many it has that are not of a parameter as it stands, and where they begin */
    size_t sums_end;              /* where those of the next part to be complete begin */
};

/* Tokens: embeddings, gathered; or, where there is a table, the first layer's input product of each token. */
typedef struct crs_tokens {
    crs_part part;
    int tokens; /* V */
    size_t embedding;
    /* the table: gates of V rows, of the layer that reads it; NULL without */
    const struct crs_layer *reader;
    float *table;
    float *table_gradient;
    float *embedding_columns; /* [E][V padded]: the embedding transposed, for the gradient of W_ih */
} crs_tokens;

/* The sums of the parameters in slice[0] (of the state before) and slice[1] (of the input) are complete together. */
typedef struct crs_layer {
    crs_part part;
    int layer;
    bool reverse; /* the backward direction */
    bool adds;    /* to the gradient of what is below, which a residual has begun */
    crs_gates gates;
    int inputs;              /* below->width */
    const crs_tokens *table; /* the input's product is a row of this table; NULL: a product with what is below */
    bool joined;             /* the input's product runs beside the recurrent one, step by step: small panels */
    size_t weight_ih, weight_hh, bias_ih, bias_hh, peephole; /* offsets in an arena */
    float *start;         /* gates of one row: what the products start from, the biases */
    float *transposed_ih; /* panels of W^T, [input group][gate columns][group columns]; NULL where nothing needs it */
    float *transposed_hh; /* as above over hidden groups */
} crs_layer;

/* What a layer gives, where that is more than its state (joint.c). */
typedef struct crs_joint {
    crs_part part;
    int layer;
    const crs_layer *way[2];  /* forward, backward; of one direction: NULL */
    const crs_part *residual; /* what is added; NULL: nothing */
    size_t weight, bias;      /* of the norm: offsets in an arena */
} crs_joint;

typedef struct crs_head crs_head;

typedef struct crs_output {
    crs_part part;
    const crs_head *head;
    int inputs;
    size_t weight, bias; /* offsets in an arena; weight: of a tied one none */
    float *transposed;   /* [group below][outputs padded][group columns] */
    /* a weight that is the embedding's */
    const crs_tokens *tied; /* whose; NULL: it has its own */
    float *panels;          /* [group][K][group columns], and a gradient of them */
    float *panels_gradient;
} crs_output;

extern const crs_part_kind crs_tokens_kind, crs_numbers_kind, crs_layer_kind, crs_reverse_kind, crs_joint_kind,
    crs_pool_kind, crs_output_kind;

/* ---- the model ---- */

/* element (j, k) of a tensor stands at base + k * stride of row j in an arena */
typedef struct crs_place {
    size_t base;
    ptrdiff_t stride;
} crs_place;

struct crs_model {
    crs_spec spec;
    const crs_kernels *kernels;
    int threads;
    crs_part *input;
    int directions;      /* 1 or 2 */
    crs_layer *layers;   /* [directions][spec.layers] */
    crs_part *reversals; /* [spec.layers]: what the backward directions read; of two directions */
    crs_joint *joints;   /* [spec.layers]; where layers give more than their state */
    crs_part pool;       /* alignment sequence */
    crs_output output;
    int parts;
    crs_part **part; /* [parts], from the input up */
    size_t arena, sums;
    float *parameters;
    int tensors, placed; /* placed: by the parts that are declared */
    crs_tensor *tensor;  /* [tensors] */
    crs_place **place;   /* [tensors][rows] */
};

/* Whether a part, or what is below it, has parameters: whether a gradient of what it gives is of use. */
static inline bool crs_learns(const crs_model *model, const crs_part *part) {
    while (part->below && part->kind != &crs_layer_kind)
        part = part->below;
    return part->below || model->spec.embed > 0;
}

/* By every thread. */
void crs_refresh_parts(crs_model *model, int first, int end);

/* ---- layout.c ---- */

/* Begins a slice of the arena, takes a piece of it (padded to whole blocks). */
crs_slice *crs_slice_begin(crs_model *model, crs_part *part, bool summed);
size_t crs_slice_take(crs_model *model, crs_slice *slice, size_t count);
/* The sums of the parameters that stand from `at` on. */
static inline size_t crs_sum_of(const crs_slice *slice, size_t at) {
    return slice->sum + (at - slice->arena);
}
/* The places of the tensor of this name, to be filled: [rows]. NULL: out of memory. */
crs_place *crs_place_tensor(crs_model *model, const char *name);
/* Places it as rows of `row` floats; as columns of groups, [group][K][columns of the group], the tensor's rows being
 * the columns. */
bool crs_place_rows(crs_model *model, const char *name, size_t at, int row);
bool crs_place_columns(crs_model *model, const char *name, size_t at, const crs_groups *groups);

/* The sums of all parts, from the output down: the order in which the way back completes them. */
void crs_lay_out_sums(crs_model *model);

/* Panels [K][columns] of one group to panels [column group over K][all columns][group], from column `first` on. */
void crs_transpose_panel(const crs_kernels *kernels, const float *panel, int k_count, int columns, ptrdiff_t first,
                         ptrdiff_t all_columns, const crs_groups *groups, float *out);

/* A run of sums with the layout of a slice of an arena. */
void crs_convert(const crs_model *model, const int64_t *sums, size_t count, double factor, float *out);

/* ---- passes ---- */

/* What each thread is for: teams share the rows out; the team_size members of a team share the units out. */
struct crs_worker {
    int thread, threads;
    int member, team_size;
    int first_row, end_row;
    bool all_rows; /* the team has all rows, so that rows of neighbouring times are one run */
};

/* Named by the first thread for all. */
static inline void crs_worker_phase(const crs_worker *worker, crs_phase phase) {
    if (worker->thread == 0)
        crs_phase_begin(phase);
}

/* Waits for the other members of the team (and so for all threads). */
static inline void crs_team_wait(const crs_worker *worker) {
    if (worker->team_size > 1) {
#pragma omp barrier
    }
}

/* What the weight gradient of a pass sums as floats: pieces, a lane's rows over some time each (pieces.h). */
typedef struct crs_pieces {
    int pieces, spans, pairs, packed; /* of this pass */
    struct crs_piece *piece_at;
    struct crs_span *span_at;
    int *pair, *before; /* [pairs], piece by piece: where a pair, and its state before, stand */
} crs_pieces;

/* A pass over a batch, as all threads see it. */
struct crs_pass {
    crs_model *model;
    crs_workspace *workspace;
    const crs_batch *batch;
    int64_t *sums;
    float *outputs; /* [rows][outputs]: where those of one step are wanted */
    bool loss;      /* the head's is wanted */
    bool backward;
    bool dropout; /* what layers give is dropped out */
    int n;        /* pairs of the batch */
    crs_pieces *pieces;
    const crs_pass *top;    /* that of the output: this one, or, by sequence, one of a single step */
    const crs_batch *whole; /* the caller's */
    const crs_watch *watch;
    const crs_said *said;
    int renewed; /* parts that have new parameters, from the one whose way up is next */
};

/* Every time step, and each group of a weight gradient. */
static inline void crs_pass_progress(const crs_pass *pass, const crs_worker *worker) {
    if (worker->thread == 0 && pass->watch && pass->watch->progress)
        pass->watch->progress(pass->watch->context);
}

/* A worker's rows that run at a time. */
static inline int crs_worker_rows(const crs_pass *pass, const crs_worker *worker, int time) {
    const int at = crs_rows_at(pass->batch, time), end = worker->end_row < at ? worker->end_row : at;
    return end > worker->first_row ? end - worker->first_row : 0;
}

/* Where a row's state from before (after) the step at a time stands: [rows + pairs], those from before the first step
 * first. */
static inline ptrdiff_t crs_state_after(const crs_batch *batch, int time, int row) {
    return batch->rows + crs_pair(batch, time, row);
}
static inline ptrdiff_t crs_state_before(const crs_batch *batch, int time, int row) {
    return time > 0 ? crs_state_after(batch, time - 1, row) : row;
}

/* Steps of a row, of which the one before it (no shorter) has `most`. */
static inline int crs_row_steps(const crs_batch *batch, int row, int most) {
    while (crs_rows_at(batch, most - 1) <= row)
        most--;
    return most;
}

/* What one part has in a workspace; pairs are (time, row) pairs. */
typedef struct crs_part_memory {
    float *y;        /* [pairs][padded]: what it gives; layers: see h and dropped */
    float *dy;       /* [pairs][padded]: the gradient of that, made by the part above */
    float *packed;   /* columns of what it gives, of all pieces; shared with the part after next */
    float *gates;    /* layers: gates of all pairs */
    float *h, *c;    /* layers: [rows + pairs][padded], from before the first step on; c NULL where there is none */
    float *dropped;  /* layers: [pairs][padded], h after dropout; NULL without */
    uint16_t *kept;  /* layers, joints: [pairs][padded / 16], a bit a unit */
    uint16_t *set;   /* numbers that are mostly zero: [pairs][padded / 16], a bit for each that is not; NULL: others */
    float *standard; /* joints with a norm: [pairs][padded], z */
    float *inverse;  /* joints with a norm: [pairs], 1 / sqrt(variance + 1e-5) */
    float *outputs;  /* the output: [chunk][padded], outputs and then their gradients */
    float *gathered; /* the output: [chunk][padded below], where a chunk's rows are not neighbours */
} crs_part_memory;

struct crs_workspace {
    const crs_model *model;
    int rows, steps, pairs, uses;
    crs_part_memory *memory; /* [parts] */
    int chunk;               /* pairs that the output works on at a time, but for one long piece */
    float *dc;               /* [rows][widest] */
    int64_t *losses;         /* [threads][CRS_LOSS_STRIDE], a cache line each */
    /* the weight gradient */
    int widest; /* columns that a part below the output gives */
    crs_pieces pieces, top_pieces;
    int piece;       /* most pairs of one piece */
    int packed;      /* most packed rows of all */
    int panel_pairs; /* most of those that a thread gathers at a time, but for one long piece */
    float **panel;   /* [threads]: of each piece of a run [block][n][16], a group's gradients */
    /* tokens: a slot for each that occurs in a piece */
    float **scatter;      /* [threads]: [piece][64 or E padded] */
    int *slot_of;         /* [V]: -1, or the slot of a token in this piece */
    int *slot;            /* [pairs], by piece */
    uint32_t *slot_token; /* [pairs], by piece */
    int *slots;           /* [pairs]: how many, by piece */
    int blocks;           /* allocated so far */
    void *block[];        /* [most] */
};

enum { CRS_LOSS_STRIDE = 8 };

static inline crs_part_memory *crs_memory_of(const crs_workspace *workspace, const crs_part *part) {
    return &workspace->memory[part->number];
}
static inline int64_t *crs_losses_of(const crs_pass *pass, const crs_worker *worker) {
    return pass->workspace->losses + worker->thread * CRS_LOSS_STRIDE;
}

/* What a part gives to the one above: pair n at + n * padded. */
static inline const float *crs_given(const crs_pass *pass, const crs_part *part) {
    const crs_part_memory *own = crs_memory_of(pass->workspace, part);
    if (!own->h)
        return own->y;
    return pass->dropout ? own->dropped : own->h + crs_state_after(pass->batch, 0, 0) * part->padded;
}

/* What a part gives, from pair n on, where products leave out what is zero (numbers.c); false: they do not. The same on
 * every rank. */
bool crs_sparse_given(const crs_pass *pass, const crs_part *part, ptrdiff_t n, crs_sparse *sparse);

/* rows * columns floats of a workspace, which frees them. */
bool crs_reserve(crs_workspace *workspace, float **to, size_t rows, size_t columns);
/* count elements of any size. NULL: out of memory. */
void *crs_reserve_block(crs_workspace *workspace, size_t count, size_t size);
/* Room for the gradient of what a part gives, where it is of use, and for its columns as the weight gradient packs
 * them. */
bool crs_reserve_backward(crs_workspace *workspace, const crs_part *part);

/* A group's units of `rows` rows of h or c, prefetched for writing. Always inlined: gcc drops calls that do no more
 * than this. */
static inline __attribute__((always_inline)) void crs_prefetch_units(const crs_gates *g, const float *at, int rows,
                                                                     int units) {
    for (int r = 0; r < rows; r++)
        for (int u = 0; u < units; u += CRS_BLOCK)
            __builtin_prefetch(at + r * g->padded + u, 1);
}

/* A group's gates and states at a time, of rows from first_row on; the gradients are left out. */
static inline crs_cell_step crs_cell_step_of(const crs_pass *pass, const crs_layer *layer, int group, int t,
                                             int first_row, int rows) {
    const crs_gates *g = &layer->gates;
    const crs_part_memory *own = crs_memory_of(pass->workspace, &layer->part);
    const ptrdiff_t unit = crs_unit_first(g, group);
    const ptrdiff_t before = crs_state_before(pass->batch, t, first_row) * g->padded + unit,
                    after = crs_state_after(pass->batch, t, first_row) * g->padded + unit;
    crs_cell_step s = {.rows = rows, .blocks = crs_units(g, group) / CRS_BLOCK, .row = g->padded};
    s.gates = own->gates + crs_gates_offset(g, pass->n, group, crs_pair(pass->batch, t, first_row));
    s.gates_row = g->row;
    s.h_before = own->h + before;
    s.h = own->h + after;
    if (own->c) {
        s.c_before = own->c + before;
        s.c = own->c + after;
    }
    s.peephole = pass->model->parameters + layer->peephole + unit;
    s.peephole_row = g->padded;
    return s;
}

/* Dropout of rows of units: which draw keys it, and how much. */
typedef struct crs_dropout {
    crs_draw draw;
    uint64_t seed, step, threshold;
    float scale;
} crs_dropout;

crs_dropout crs_dropout_of(const crs_batch *batch, crs_draw draw, float share);
/* As CRS_DRAW_DROPOUT has it. */
static inline uint64_t crs_dropout_place(int layer, int time) {
    return (uint64_t)layer << 32 | (unsigned)time;
}
/* to[blocks * 16] = from (which may be the same), dropped out; kept[blocks]: which; NULL: nobody asks. */
void crs_drop(const crs_dropout *dropout, uint64_t row, uint64_t place, int blocks, const float *from, float *to,
              uint16_t *kept);
void crs_drop_gradient(const crs_dropout *dropout, int blocks, const uint16_t *kept, float *dy);
/* Of the input's rows; their gradient is dropped out as they are. */
static inline crs_dropout crs_input_dropout(const crs_batch *batch) {
    return crs_dropout_of(batch, CRS_DRAW_INPUT_DROPOUT, batch->input_dropout);
}
/* Adds noise to a row of numbers (noise.c). */
void crs_add_noise(const crs_batch *batch, int row, int time, int width, float *y);

/* Called by every thread of a team. */
void crs_layer_forward(const crs_pass *pass, const crs_worker *worker, const crs_part *part);
void crs_layer_backward(const crs_pass *pass, const crs_worker *worker, const crs_part *part);
void crs_dropout_forward(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer);
void crs_dropout_backward(const crs_pass *pass, const crs_worker *worker, const crs_layer *layer);

#endif
