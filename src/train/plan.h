/* What a run will do, worked out before anything is allocated. Private to room train. Local. */
#ifndef CRS_TRAIN_PLAN_H
#define CRS_TRAIN_PLAN_H

#include "carousel/train.h"

typedef struct crs_plan {
    int64_t stride;  /* of a text: tokens from one row to the next */
    int64_t windows; /* steps an epoch */
    int64_t longest; /* the most time steps of a row: the window, or the longest sequence (forecasts: the context) */
    int64_t total;   /* the step at which the run ends */
    double data;     /* bytes that stay of the data between steps, at most */
    bool fitted;     /* batch and window were made smaller, to fit a short text */
    const char *resumed; /* the run that goes on, whose model, batch, window and lanes can't change; NULL: a new one */
    crs_spec spec;
    crs_lanes lanes;
} crs_plan;

/* Batch and window for a train split of so many tokens or steps (unit: "token", "step"), the length of an epoch and of
 * the run. Where the user gave neither --batch nor --window (or one of them), makes the others small enough: the batch
 * first, as long as one whole window is left to a row, then the window. CRS_DATA: no text at all; CRS_CONFIG: what was
 * given does not fit. */
crs_status crs_plan_length(crs_plan *plan, crs_settings *settings, int64_t length, const char *unit, const char *data,
                           crs_error *error);

/* The same for data of any kind: of sequences, also whether they are taken whole (--window=0). wanted: the model
 * that is asked for. */
crs_status crs_plan_data(crs_plan *plan, crs_settings *settings, const crs_dataset *dataset, crs_error *error);

/* The shape of the model and this rank's rows, and whether they can be had: sizes, memory, the number of contributions
 * to a sum. memory: bytes that one rank may use. Refuses with CRS_CONFIG, on every rank alike. */
crs_status crs_plan_ranks(crs_plan *plan, const crs_config *config, const crs_schema *schema, int rank, int ranks,
                          double memory, crs_error *error);

/* The schedule; total: the step at which the first run of this training was to end. */
crs_schedule_plan crs_plan_schedule(const crs_plan *plan, const crs_config *config, int64_t total);

/* The most rows that go through the network at once: they share the memory of one workspace. */
int crs_plan_pass_rows(const crs_config *config, int threads);

/* What loss of a target is out of range: so that a step's sum of losses is not. 0 for a text (crs_batch). */
double crs_plan_loss_limit(const crs_plan *plan, const crs_config *config, const crs_dataset *dataset);
/* And the most pairs of rows of unlike lengths. */
int crs_plan_pass_pairs(const crs_plan *plan, const crs_config *config, int threads);

/* An estimate of the bytes that a rank needs; steps: of a row. */
double crs_plan_memory(const crs_config *config, const crs_spec *spec, double rows, double pass_rows, double steps);
/* The same by what they are for, where the ranks share the moments; of data of any kind. */
typedef struct crs_plan_bytes {
    double parameters, gradients, moments, messages, activations, data, all;
} crs_plan_bytes;
/* moments: of the optimizer. plan: of crs_plan_ranks. */
crs_plan_bytes crs_plan_bytes_of(const crs_plan *plan, const crs_config *config, int ranks, int threads, int moments);
/* The model of this configuration. Refuses (CRS_CONFIG) options that a model of such data can't have. */
crs_status crs_plan_spec(const crs_config *config, const crs_schema *schema, crs_spec *spec, crs_error *error);

#endif
