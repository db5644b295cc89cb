/* The shape of a model: what it reads, what it is made of, what it says; and the one list of its parameters, which
 * every room asks that has to know them.
 *
 * A new kind of input, cell or head is a name here, and its tensors one line of the list in src/spec/spec.c. Local;
 * nothing here keeps a state. */
#ifndef CAROUSEL_SPEC_H
#define CAROUSEL_SPEC_H

#include "carousel/kernel.h"
#include "carousel/schema.h"

/* One of `outputs` classes; bits; real numbers by one of four losses (gaussian: means, then log-variances). */
typedef enum crs_head_kind {
    CRS_HEAD_SOFTMAX,
    CRS_HEAD_LOGISTIC,
    CRS_HEAD_MSE,
    CRS_HEAD_MAE,
    CRS_HEAD_HUBER,
    CRS_HEAD_GAUSSIAN,
    CRS_HEADS
} crs_head_kind;
/* Alignment sequence: what of a row's outputs the head reads: each direction's after its last step, or their mean. */
typedef enum crs_pool { CRS_POOL_LAST, CRS_POOL_MEAN, CRS_POOLS } crs_pool;

typedef struct crs_spec {
    crs_input_kind input;
    int input_size; /* V or D */
    int embed;      /* E, the width of the embedding; 0: one-hot input, or numbers */
    crs_cell cell;
    int hidden; /* H */
    int layers; /* L */
    bool bidirectional;
    bool layer_norm; /* over a layer's output of a step, before dropout */
    bool residual;   /* a layer above the first adds its input to its output, where widths agree */
    bool tie;        /* the output's weight is the embedding's */
    bool change;     /* forecasts are relative to the context's last values: whoever fills batches subtracts them */
    crs_target_kind targets;
    crs_alignment alignment;
    crs_pool pool; /* alignment sequence */
    crs_head_kind head;
    int outputs; /* rows of the output layer: V, D, classes, K, 2K (gaussian), horizon * columns */
    bool
        gather; /* embeddings are gathered even where a table would be cheaper: they are dropped out. No file says it */
} crs_spec;

/* A model that says the next of so many tokens. */
crs_spec crs_spec_text(crs_cell cell, int vocabulary, int embed, int hidden, int layers);
/* One for these data; options that a model of such data can't have are refused (CRS_CONFIG), with what would do.
 * wanted: cell, hidden, layers, embed (values, bits: taken as 0) and the switches; loss: what values are to be
 * learned by. */
crs_status crs_spec_for(const crs_schema *schema, const crs_spec *wanted, crs_head_kind loss, crs_spec *spec,
                        crs_error *error);
/* Refuses (CRS_CONFIG) sizes below 1 (embed: below 0), and what is larger than this program can train. */
crs_status crs_spec_check(const crs_spec *spec, crs_error *error);

/* As a checkpoint's attributes say it, with the tokens of its vocabulary: CRS_DATA where one is missing, or none that a
 * model of this program has. file: for the message. */
crs_status crs_spec_of(const crs_attributes *attributes, uint32_t tokens, const char *file, crs_spec *spec,
                       crs_error *error);
/* The opposite. */
void crs_spec_put(const crs_spec *spec, crs_attributes *attributes);
/* "cell gru, hidden 5, layers 2, embed 3 and 4 tokens" */
void crs_spec_describe(const crs_spec *spec, char out[128]);

const char *const *crs_loss_names(void); /* "softmax", "logistic", "mse", ... by crs_head_kind; ended by NULL */
const char *const *crs_pool_names(void);
const char *const *crs_cell_names(void); /* "lstm", "peephole", "gru", "rnn", by crs_cell; ended by NULL */
const char *crs_cell_name(crs_cell cell);
int crs_cell_gates(crs_cell cell); /* 4, 4, 3, 1 */
int crs_cell_parts(crs_cell cell); /* of the carried state: h, c (lstm, peephole), or h: 2, 2, 1, 1 */

/* How a tensor begins: uniform in +-range (0: zeros); forget: zeros, but the forget gate's rows have --forget-bias;
 * one: ones. */
typedef struct crs_start {
    double range;
    bool forget, one;
} crs_start;

/* A parameter tensor as files have it: name below /model ("layers/0/weight_ih"), row-major dims, gates in the order
 * i f g o (gru: r z n). */
typedef struct crs_tensor {
    char name[64];
    int rank;        /* 1 or 2 */
    int64_t dims[2]; /* dims[1] = 1 where rank is 1 */
    crs_start start;
} crs_tensor;

int64_t crs_tensor_size(const crs_tensor *tensor);
/* The model's tensors, in the order of the file: writes the first `most`, returns how many there are. Tensors keep
 * their numbers: initial values are drawn by number and element. */
int crs_spec_tensors(const crs_spec *spec, crs_tensor *out, int most);
/* All parameters. In double, as it is asked before it is known whether the sizes can be had. */
double crs_spec_parameters(const crs_spec *spec);
/* The carried state of a row, in floats: [layers][parts][H]; bidirectional models carry none: 0. */
size_t crs_spec_state(const crs_spec *spec);
/* The width of what layer l reads: E (one-hot: V; numbers: D), or H or 2H. */
int crs_spec_layer_inputs(const crs_spec *spec, int layer);
/* The width of what a layer gives: H or 2H. */
int crs_spec_width(const crs_spec *spec);
/* Whether layer 0's input product is a row of a table of V rows, built once a step: it saves the product; beyond V = E
 * gathering embeddings is cheaper. */
bool crs_spec_has_table(const crs_spec *spec);

#endif
