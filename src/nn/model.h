/* What a model and a workspace are made of. Private to the room nn.
 *
 * Units, inputs and columns are padded to blocks of 16 (suffix `_padded`); padding of parameters, states and gradients
 * is zero. The gates of N rows stand as [group][N or N + 1][64] (lstm, gru: a group is 16 units), or as
 * [N][hidden_padded] (rnn). Panels, sums and biases follow the same groups; a bias is a panel with K = 1. */
#ifndef CRS_MODEL_H
#define CRS_MODEL_H

#include "carousel/nn.h"
#include "kernel/kernels.h"

/* Columns in groups of at most 4 blocks, as even as can be. */
typedef struct crs_groups {
    int columns, padded, groups;
} crs_groups;

static inline int crs_pad(int n) {
    return (n + CRS_BLOCK - 1) / CRS_BLOCK * CRS_BLOCK;
}

static inline crs_groups crs_groups_of(int columns) {
    const int blocks = crs_pad(columns) / CRS_BLOCK;
    return (crs_groups){columns, blocks * CRS_BLOCK, (blocks + CRS_GROUP_BLOCKS - 1) / CRS_GROUP_BLOCKS};
}

/* The first column of a group; of group number `groups`: the end. */
static inline int crs_group_first(const crs_groups *g, int group) {
    return (int)((int64_t)group * (g->padded / CRS_BLOCK) / g->groups) * CRS_BLOCK;
}

static inline int crs_group_columns(const crs_groups *g, int group) {
    return crs_group_first(g, group + 1) - crs_group_first(g, group);
}

/* Where the gates of a cell stand; the same for all layers. */
typedef struct crs_gates {
    int groups;
    bool flat;                /* rnn: [N][row] */
    ptrdiff_t row;            /* floats from one row to the next */
    int x_slot, h_slot;       /* columns where the input's and the hidden state's products begin in a group */
    int x_columns, h_columns; /* of a group (rnn: of the whole row) */
} crs_gates;

typedef struct crs_layer {
    int inputs, inputs_padded;
    bool from_tokens; /* layer 0: the input product is a row of a table */
    crs_groups input_groups;
    size_t weight_ih, weight_hh, bias_ih, bias_hh, peephole; /* offsets in an arena */
    size_t sum_ih, sum_hh, sum_bias_ih, sum_bias_hh,
        sum_peephole;     /* offsets in the sums; unused where from_tokens but _hh, _peephole */
    float *start;         /* gates of one row: what the products start from, the biases */
    float *transposed_ih; /* panels of W^T, [input group][gate columns][group columns]; NULL where nothing needs it */
    float *transposed_hh; /* as above over hidden groups */
} crs_layer;

/* element (j, k) of a tensor stands at base[j] + k * stride in an arena */
typedef struct crs_place {
    size_t *base; /* [rows], owned */
    int stride;
} crs_place;

struct crs_model {
    crs_spec spec;
    const crs_kernels *kernels;
    int threads;
    int hidden_padded;
    crs_groups hidden_groups, vocabulary_groups;
    crs_gates gates;
    crs_layer *layers; /* [shape.layers] */
    size_t arena, sums;
    size_t embedding, output_weight, output_bias; /* offsets in an arena */
    size_t sum_embedding, sum_table, sum_output_weight, sum_output_bias;
    float *parameters;
    float *table;             /* gates of V rows: one for each token, where layer 0 is from_tokens */
    float *table_gradient;    /* as the table; made by crs_model_gradient */
    float *embedding_columns; /* [E][V padded]: the embedding transposed, for the gradient of W_ih */
    float *transposed_output; /* [hidden group][V padded][group columns] */
    int tensors;
    int placed;         /* of the tensors, while they are */
    crs_tensor *tensor; /* [tensors] */
    crs_place *place;   /* [tensors] */
};

/* What each thread is for: teams share the rows out; the team_size members of a team share the units out. */
typedef struct crs_worker {
    int thread, threads;
    int member, team_size;
    int first_row, end_row;
    bool all_rows; /* the team has all rows, so that rows of neighbouring times are one run */
} crs_worker;

/* Named by the first thread for all. */
static inline void crs_worker_phase(const crs_worker *worker, crs_phase phase) {
    if (worker->thread == 0)
        crs_phase_begin(phase);
}

struct crs_workspace {
    const crs_model *model;
    int rows, steps;
    int uses;
    float **gates;   /* [layers]: gates of steps * rows */
    float **h, **c;  /* [layers]: [steps + 1][rows][hidden_padded]; c NULL where the cell has none */
    float *inputs;   /* [steps][rows][E padded]: gathered embeddings, where layer 0 is not from_tokens */
    float **dropped; /* [layers]: [steps][rows][hidden_padded], h after dropout; NULL without */
    uint16_t **kept; /* [layers]: [steps][rows][hidden_padded / 16], a bit a unit */
    float *logits;   /* [steps][rows][V padded] */
    float *dh[2];    /* [steps][rows][widest]: gradients of this layer's h and of the one below */
    float *dc;       /* [rows][hidden_padded] */
    int64_t *losses; /* [threads][CRS_SUM_TRAILER], a cache line each */
    /* the weight gradient's pieces: a lane's rows over some time */
    int piece;            /* most (time, row) pairs of one */
    int packed;           /* most packed rows of all */
    int panel_pairs;      /* most of those that a thread gathers at a time, but for one long piece */
    float *columns[2];    /* packed columns of all pieces; of the state of layer l: [l & 1] */
    float **panel;        /* [threads]: of each piece of a run [block][n][16], a group's gradients */
    float **scatter;      /* [threads]: [piece][64 or E padded] */
    int *slot_of;         /* [V]: -1, or the slot of a token in this piece */
    int *slot;            /* [steps * rows], by piece */
    uint32_t *slot_token; /* [steps * rows], by piece */
    int *slots;           /* [steps * rows]: how many, by piece */
};

/* A pass over a batch, as all threads see it. */
typedef struct crs_pass {
    crs_model *model;
    crs_workspace *workspace;
    const crs_batch *batch;
    int64_t *sums;
    bool with_loss, backward;
    int n;       /* batch->steps * batch->rows */
    bool joined; /* the input product runs beside the recurrent one, step by step: small panels */
} crs_pass;

enum { CRS_LOSS_STRIDE = 8 };

/* Offset of a group's columns in a row of gates of one group ([64]) or, flat, in the row. */
static inline int crs_gate_first(const crs_model *m, int group) {
    return m->gates.flat ? crs_group_first(&m->hidden_groups, group) : 0;
}

/* Rows that a group of the gates of `rows` rows takes: an odd number, so that neighbouring groups don't fall on the
 * same lines of a cache. */
static inline ptrdiff_t crs_group_rows(int rows) {
    return rows | 1;
}

/* Floats of the gates of so many rows. */
static inline size_t crs_gates_size(const crs_model *m, int rows) {
    if (m->gates.flat)
        return (size_t)rows * (size_t)m->gates.row;
    return (size_t)m->gates.groups * (size_t)crs_group_rows(rows) * CRS_GROUP;
}

/* The gates of N rows: those of `group`, row n. */
static inline float *crs_gates_at(const crs_model *m, float *gates, int rows, int group, ptrdiff_t n) {
    if (m->gates.flat)
        return gates + n * m->gates.row + crs_group_first(&m->hidden_groups, group);
    return gates + (group * crs_group_rows(rows) + n) * CRS_GROUP;
}

/* The columns of a group that the input's (hidden state's) product fills, and where they begin in a panel of K = 1. */
static inline int crs_x_columns(const crs_model *m, int group) {
    return m->gates.flat ? crs_group_columns(&m->hidden_groups, group) : m->gates.x_columns;
}
static inline int crs_h_columns(const crs_model *m, int group) {
    return m->gates.flat ? crs_group_columns(&m->hidden_groups, group) : m->gates.h_columns;
}
static inline ptrdiff_t crs_x_first(const crs_model *m, int group) {
    return m->gates.flat ? crs_group_first(&m->hidden_groups, group) : (ptrdiff_t)group * m->gates.x_columns;
}
static inline ptrdiff_t crs_h_first(const crs_model *m, int group) {
    return m->gates.flat ? crs_group_first(&m->hidden_groups, group) : (ptrdiff_t)group * m->gates.h_columns;
}
/* Columns of all groups' input (hidden) products: the rows of a transposed panel. */
static inline int crs_x_all(const crs_model *m) {
    return (int)crs_x_first(m, m->gates.groups);
}
static inline int crs_h_all(const crs_model *m) {
    return (int)crs_h_first(m, m->gates.groups);
}
/* The first unit of a group and its units. */
static inline int crs_unit_first(const crs_model *m, int group) {
    return m->gates.flat ? crs_group_first(&m->hidden_groups, group) : group * CRS_BLOCK;
}
static inline int crs_units(const crs_model *m, int group) {
    return m->gates.flat ? crs_group_columns(&m->hidden_groups, group) : CRS_BLOCK;
}
static inline bool crs_has_c(crs_cell cell) {
    return cell == CRS_LSTM || cell == CRS_PEEPHOLE;
}

/* The chain over all groups' gate gradients of row n on (64-wide groups of gates of `rows` rows): a of a transposed
 * product. */
crs_chain crs_chain_of_gates(const crs_model *m, const float *gates, int rows, ptrdiff_t n, bool hidden);

/* The input of a layer as rows: x(t, row) = base + (t * rows + row) * *length. */
const float *crs_layer_input(const crs_pass *pass, int layer, int *length);

/* A group's units of `rows` rows of h or c, asked for. Always inlined: gcc drops calls that do no more than this. */
static inline __attribute__((always_inline)) void crs_fetch_units(const crs_model *m, const float *at, int rows,
                                                                  int units) {
    for (int r = 0; r < rows; r++)
        for (int u = 0; u < units; u += CRS_BLOCK)
            __builtin_prefetch(at + r * m->hidden_padded + u, 1);
}

/* Called by every thread of a parallel region. */
void crs_forward(const crs_pass *pass, const crs_worker *worker);
void crs_logits(const crs_pass *pass, const crs_worker *worker);
void crs_loss(const crs_pass *pass, const crs_worker *worker);
void crs_backward(const crs_pass *pass, const crs_worker *worker);
/* The weight gradient of one layer (layers: of the output), added to the sums. Every thread; barriers within. */
void crs_weight_gradient(const crs_pass *pass, const crs_worker *worker, int layer);
void crs_dropout_forward(const crs_pass *pass, const crs_worker *worker, int layer);
void crs_dropout_backward(const crs_pass *pass, const crs_worker *worker, int layer, float *dh);

/* Steps in one piece of the weight gradient, so that a piece has about 256 (time, row) pairs. */
static inline int crs_piece_steps(int lane_rows) {
    return lane_rows >= 256 ? 1 : (256 + lane_rows - 1) / lane_rows;
}

#endif
