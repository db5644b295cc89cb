/* Where the gates of a recurrent layer stand, and groups of columns. Private to the rooms nn and bench.
 *
 * The gates of N rows stand as [group][N or N + 1][64] (lstm, peephole, gru: a group is the gates of 16 units), or
 * flat as [N][padded] (rnn: with one gate, a group is up to 64 units). Panels, sums and biases follow the same groups.
 */
#ifndef CRS_GATES_H
#define CRS_GATES_H

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

typedef struct crs_gates {
    crs_cell cell;
    int hidden, padded;
    crs_groups units; /* the hidden units as columns */
    int groups;       /* of gates */
    bool flat;
    ptrdiff_t row;            /* floats from one row to the next */
    int x_slot, h_slot;       /* columns where the input's and the hidden state's products begin in a group */
    int x_columns, h_columns; /* of a group (flat: of the whole row) */
} crs_gates;

static inline crs_gates crs_gates_of(crs_cell cell, int hidden) {
    const crs_groups units = crs_groups_of(hidden);
    crs_gates g = {.cell = cell, .hidden = hidden, .padded = units.padded, .units = units, .flat = cell == CRS_RNN};
    g.groups = g.flat ? units.groups : g.padded / CRS_BLOCK;
    g.row = g.flat ? g.padded : CRS_GROUP;
    g.h_slot = cell == CRS_GRU ? CRS_BLOCK : 0; /* n r z n': the input fills the first three, the state the last */
    g.x_columns = g.h_columns = g.flat ? g.padded : cell == CRS_GRU ? 48 : CRS_GROUP;
    return g;
}

/* Rows that a group of the gates of `rows` rows takes: an odd number, so that neighbouring groups don't fall on the
 * same lines of a cache. */
static inline ptrdiff_t crs_group_rows(int rows) {
    return rows | 1;
}

/* Floats of the gates of so many rows. */
static inline size_t crs_gates_size(const crs_gates *g, int rows) {
    if (g->flat)
        return (size_t)rows * (size_t)g->row;
    return (size_t)g->groups * (size_t)crs_group_rows(rows) * CRS_GROUP;
}

/* Where those of `group`, row n, stand among the gates of `rows` rows. */
static inline ptrdiff_t crs_gates_offset(const crs_gates *g, int rows, int group, ptrdiff_t n) {
    if (g->flat)
        return n * g->row + crs_group_first(&g->units, group);
    return (group * crs_group_rows(rows) + n) * CRS_GROUP;
}

/* The first unit of a group, its units, the columns of its gates. */
static inline int crs_unit_first(const crs_gates *g, int group) {
    return g->flat ? crs_group_first(&g->units, group) : group * CRS_BLOCK;
}
static inline int crs_units(const crs_gates *g, int group) {
    return g->flat ? crs_group_columns(&g->units, group) : CRS_BLOCK;
}
static inline int crs_gate_columns(const crs_gates *g, int group) {
    return g->flat ? crs_group_columns(&g->units, group) : CRS_GROUP;
}

/* The columns of a group that the input's (hidden state's) product fills, and where they begin in a panel of K = 1;
 * group number `groups`: all columns, the rows of a transposed panel. */
static inline int crs_x_columns(const crs_gates *g, int group) {
    return g->flat ? crs_group_columns(&g->units, group) : g->x_columns;
}
static inline int crs_h_columns(const crs_gates *g, int group) {
    return g->flat ? crs_group_columns(&g->units, group) : g->h_columns;
}
static inline ptrdiff_t crs_x_first(const crs_gates *g, int group) {
    return g->flat ? crs_group_first(&g->units, group) : (ptrdiff_t)group * g->x_columns;
}
static inline ptrdiff_t crs_h_first(const crs_gates *g, int group) {
    return g->flat ? crs_group_first(&g->units, group) : (ptrdiff_t)group * g->h_columns;
}

static inline bool crs_has_c(crs_cell cell) {
    return cell == CRS_LSTM || cell == CRS_PEEPHOLE;
}

/* The chain over the gradients of all groups' gates of row n on (of `rows` rows in all): a of a transposed product,
 * with the columns that the input's (hidden: the hidden state's) product fills. */
static inline crs_chain crs_chain_of_gates(const crs_gates *g, const float *gates, int rows, ptrdiff_t n, bool hidden) {
    if (g->flat)
        return (crs_chain){.a = gates + n * g->row, .a_row = g->row, .segments = 1, .segment = g->padded};
    return (crs_chain){.a = gates + n * CRS_GROUP + (hidden ? g->h_slot : g->x_slot),
                       .a_row = CRS_GROUP,
                       .a_segment = crs_group_rows(rows) * CRS_GROUP,
                       .segments = g->groups,
                       .segment = hidden ? g->h_columns : g->x_columns};
}

/* A chain over the K columns of rows that stand a_row floats apart, with a panel [K][columns]. */
static inline crs_chain crs_chain_of_rows(const float *a, ptrdiff_t a_row, int k, const float *panel, int columns) {
    return (crs_chain){.a = a, .a_row = a_row, .segments = 1, .segment = k, .panel = panel, .panel_row = columns};
}

/* A chain's product, in parts of k: beyond PRODUCT_K the part of the panel that all rows share would leave the
 * second-level cache; the sums are parked in c. */
static inline void crs_product_in_parts(const crs_kernels *kernels, crs_product *p) {
    enum { PRODUCT_K = 512 };
    crs_chain *chain = &p->chain[0];
    const int segments = chain->segments, most = PRODUCT_K / chain->segment > 1 ? PRODUCT_K / chain->segment : 1;
    const int parts = (segments + most - 1) / most;
    for (int i = 0; i < parts; i++) {
        chain->segments = crs_share(segments, i + 1, parts) - crs_share(segments, i, parts);
        kernels->product(p);
        chain->a += chain->segments * chain->a_segment;
        chain->panel += (ptrdiff_t)chain->segments * chain->segment * chain->panel_row;
        p->start = NULL;
    }
}

#endif
