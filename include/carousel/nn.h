/* Models of recurrent layers: parameters, forward and backward through time. No MPI, no HDF5.
 *
 * A model is an input (an embedding, or one-hot), layers of one cell, and a linear output with a head; where a
 * sequence has one target, it reads a row's last output, or their mean. Cells:
 *   lstm      i, f, o = s(W x + U h + b), g = tanh(...); c' = f c + i g; h' = o tanh(c')
 *   peephole  the same; i and f also see p_i c and p_f c, o sees p_o c' (Gers, Schraudolph & Schmidhuber 2002)
 *   gru       r, z = s(...); n = tanh(W x + b + r (U h + b')); h' = (1 - z) n + z h (PyTorch's: reset after)
 *   rnn       h' = tanh(W x + U h + b)
 *
 * Local. A model uses its own OpenMP threads; call from one thread. Every result has the same bits for any number of
 * threads, any instruction set, and any set of rows beside a row. Memory is owned by the model or workspace unless
 * stated. */
#ifndef CAROUSEL_NN_H
#define CAROUSEL_NN_H

#include "carousel/batch.h"
#include "carousel/spec.h"

typedef struct crs_model crs_model;

/* Refuses (CRS_CONFIG) sizes below 1 (embed: below 0) or whose memory would overflow. Parameters are zero. */
crs_status crs_model_create(crs_model **model, const crs_spec *spec, const crs_kernels *kernels, int threads,
                            crs_error *error);
void crs_model_free(crs_model **model);
const crs_spec *crs_model_spec(const crs_model *model);

/* Uniform in +-k/sqrt(H), k = 4 for input weights, 2 for output weights, 1 for recurrent weights, peepholes and biases;
 * embedding: uniform in +-sqrt(3), variance 1. Drawn by tensor and index (CRS_DRAW_PARAMETER). lstm, peephole: biases 0
 * but forget_bias for the forget gates. Calls crs_model_refresh. */
void crs_model_initialize(crs_model *model, uint64_t seed, float forget_bias);
/* lstm, peephole: what the input gates' biases begin with, instead of 0: far below 0, a cell takes little in until it
 * has learned what to. Calls crs_model_refresh. */
void crs_model_set_input_bias(crs_model *model, float input_bias);

/* Arenas: the parameters, a gradient and each moment are flat arrays of crs_model_arena() floats in the same (blocked,
 * padded) order; padding stays zero. Tensors are numbered in the order of the file. */
size_t crs_model_arena(const crs_model *model);
float *crs_model_parameters(crs_model *model);
int crs_model_tensors(const crs_model *model);
const crs_tensor *crs_model_tensor(const crs_model *model, int tensor);
/* Arena order to file order and back; values[crs_tensor_size]. */
void crs_model_export(const crs_model *model, const float *arena, int tensor, float *values);
void crs_model_import(const crs_model *model, float *arena, int tensor, const float *values);
/* bias[outputs]; crs_model_refresh is the caller's. */
void crs_model_set_output_bias(crs_model *model, const float *bias);
/* To be called after the parameters changed and before the next pass: rebuilds what is derived from them. */
void crs_model_refresh(crs_model *model);
/* The same of the parts first .. end - 1 alone, of which no other's parameters have changed. */
void crs_model_refresh_parts(crs_model *model, int first, int end);

/* Euclidean norm of what has these sums of squares, one a row of each tensor: added in double, in the order of the
 * file. */
double crs_norm_of(const double *squares, int64_t rows);

/* ---- passes ---- */

/* The carried state of one row: [layers][parts][H] floats, parts = h, c (lstm, peephole) or h. */
size_t crs_model_state(const crs_model *model); /* floats a row */

/* Activations of at most rows x steps, of lanes that have at least half of lane_rows, and no more. A workspace for
 * training needs about steps * rows * H * (gates + 3) floats a layer. */
typedef struct crs_workspace crs_workspace;
/* What it is for; | CRS_DROPOUT where batches have dropout > 0. */
enum { CRS_FORWARD = 0, CRS_TRAINING = 1, CRS_DROPOUT = 2 };
crs_status crs_workspace_create(crs_workspace **workspace, const crs_model *model, int rows, int steps, int uses,
                                crs_error *error);
/* For rows of unlike lengths, and lanes of unlike rows: at most so many (time, row) pairs, at least rows, at most
 * rows * steps. */
crs_status crs_workspace_create_packed(crs_workspace **workspace, const crs_model *model, int rows, int steps,
                                       int pairs, int uses, crs_error *error);
void crs_workspace_free(crs_workspace **workspace);
/* Of how many of `pairs` the outputs stand in memory at a time, where there are `rows` rows. */
double crs_workspace_chunk(int outputs, double rows, double pairs);

/* Exact sums: 64-bit fixed point with step 2^-32, so that adding them in any order gives the same bits. One flat array
 * of crs_model_sums() int64: the gradient of the summed loss (not yet divided by the number of targets), in the order
 * in which a pass completes it, from the output down; then: */
enum { CRS_SUM_LOSS, CRS_SUM_TARGETS, CRS_SUM_REFUSED, CRS_SUM_WEIGHT, CRS_SUM_TRAILER };
/* loss: nats or squares, times weights, in steps of 2^-32; targets: how many of a weight above 0; refused:
 * contributions that were out of range or not finite; weight: the sum of weights (values: times K) in steps of 2^-32,
 * by which loss and gradient are divided. The trailer stands at sums[crs_model_sums() - CRS_SUM_TRAILER]. */
size_t crs_model_sums(const crs_model *model);
#define CRS_SUM_STEP 0x1p-32
/* How many contributions one step can make to one element; more than 4,095 are to be refused. */
int64_t crs_contributions(int lanes, int lane_rows, int window);

/* What a pass tells, to whoever sends sums and waits for parameters while it goes on. Called by the caller's own
 * thread; each may be NULL.
 * wanted: before the way up of each part: returns how many parts, from this one on, have got their parameters since
 * they were last refreshed. A pass without rows asks for none: what is still to come is then the caller's to wait for.
 * ready: sums[0 .. complete) will not change any more in this pass; complete never falls. All passes of a step add to
 * the same sums: only the last one is to be asked, and whoever watches sends by himself what a pass without rows, or
 * one that was not made, never told.
 * progress: every time step, and at times between. */
typedef struct crs_watch {
    int (*wanted)(void *context, int part);
    void (*ready)(void *context, size_t complete);
    void (*progress)(void *context);
    void *context;
} crs_watch;

/* Forward, loss, backward through time; adds to sums (which the caller has zeroed before the first batch of a step).
 * watch may be NULL. */
void crs_model_train(crs_model *model, crs_workspace *workspace, const crs_batch *batch, int64_t *sums,
                     const crs_watch *watch);
/* What a pass says, to whoever reports it, block by block: outputs[count][row] of the targets first .. first + count
 * - 1 of the batch (pairs, or rows by sequence). Called by several threads, one at a time, in any order. */
typedef struct crs_said {
    void (*take)(void *context, const crs_batch *batch, ptrdiff_t first, int count, const float *outputs,
                 ptrdiff_t row);
    void *context;
} crs_said;
/* Forward and loss; adds to trailer[CRS_SUM_TRAILER]. No dropout. said: NULL where the loss alone is wanted; without a
 * loss (no targets in the batch) trailer is NULL. */
void crs_model_evaluate(crs_model *model, crs_workspace *workspace, const crs_batch *batch, int64_t *trailer,
                        const crs_said *said);
/* One step without targets, for generation: outputs[rows][outputs] (logits) are written, in the caller's memory. */
void crs_model_step(crs_model *model, crs_workspace *workspace, const crs_batch *batch, float *outputs);

/* ---- shards: which of some owners has which parameters, and sums them up ---- */

/* Regions of sums and stages of parameters are what is sent at a time: regions in the order in which a pass completes
 * them, stages in the order in which a pass wants them (the input and the first layer; each further layer; the output;
 * small ones together). Each owner has about as much of each as the others, and never a part of a row of a tensor.
 * Runs are neighbouring parameters of one owner and stage. */
typedef struct crs_shards {
    int owners, regions, stages, runs;
    size_t *bound;     /* [regions][owners + 1]: owner r adds up the sums bound[r] .. bound[r + 1] of a region; all
                          regions, one after the other, are all sums but the trailer */
    bool *derived;     /* [regions]: these are of no parameter as it stands: every owner needs their totals */
    int *stage_part;   /* [stages + 1]: the first part of each */
    crs_extent *run;   /* [runs], of an arena: by owner, then in its order, and so by stage */
    size_t *run_sum;   /* [runs]: where their sums begin; CRS_NOT_SUMMED: their gradient follows from derived ones */
    int *first_run;    /* [owners][stages + 1] */
    int64_t rows;      /* of all tensors, in the order of the file */
    int *owner_of_row; /* [rows] */
} crs_shards;
#define CRS_NOT_SUMMED SIZE_MAX

crs_status crs_shards_create(crs_shards *shards, const crs_model *model, int owners, crs_error *error);
void crs_shards_free(crs_shards *shards);
/* The runs of an owner: their number, and the first. */
static inline int crs_shards_runs(const crs_shards *shards, int owner, int *first) {
    const int *of = shards->first_run + (ptrdiff_t)owner * (shards->stages + 1);
    *first = of[0];
    return of[shards->stages] - of[0];
}
size_t crs_shards_owned(const crs_shards *shards, int owner); /* parameters (with padding) of an owner */

/* From the total of all ranks' sums (of the owner's own and of derived regions: the rest of the arena is undefined) to
 * the gradient of the mean loss, in arena order. shards NULL, here and below: all is one owner's. */
void crs_model_gradient(crs_model *model, const crs_shards *shards, int owner, const int64_t *sums, float *gradient);
/* squares[rows of all tensors]: sums of squares of the owner's rows of an arena; of others undefined. */
void crs_model_squares(const crs_model *model, const crs_shards *shards, int owner, const float *arena,
                       double *squares);

#endif
