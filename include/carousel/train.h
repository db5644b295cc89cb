/* Runs: the step, the loop, evaluation. */
#ifndef CAROUSEL_TRAIN_H
#define CAROUSEL_TRAIN_H

#include "carousel/checkpoint.h"
#include "carousel/comm.h"
#include "carousel/config.h"
#include "carousel/data.h"
#include "carousel/nn.h"

/* ---- the run. Collective: every rank calls with the same settings and gets the same status. ---- */

/* From now on SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 are remembered, and ask crs_train to stop; those that were
 * ignored before (nohup; SIGINT of a job in the background) stay ignored. A second SIGINT ends the process, for whom
 * the step takes too long; not alone, once it is no echo of the first. To be called before crs_comm_open, which takes a
 * while; crs_train would do it itself. Local. */
void crs_signals_catch(bool alone);

/* Whether every rank was given the same settings, and opened the same data; to be asked before anything depends on it.
 * *error may come with what this rank failed at before; settings may be NULL then. more: further options as lines
 * `name = value`, or NULL. Threads may differ, and so may paths that lead to the same. CRS_CONFIG, CRS_DATA.
 * Collective. */
crs_status crs_settings_agree(crs_comm *comm, const crs_settings *settings, const char *more, crs_error *error);
crs_status crs_dataset_agree(crs_comm *comm, const crs_dataset *dataset, crs_error *error);

/* Trains to the end, or to a signal or --stop-after (CRS_STOPPED).
 * Resumes where the run's folder holds a checkpoint. */
crs_status crs_train(crs_comm *comm, crs_settings *settings, crs_error *error);

/* Of a column of values, in its units. */
typedef struct crs_column_error {
    double mse, mae;
    double r2; /* NaN: the truth is the same everywhere */
    double guess_mse, guess_mae, guess_r2;
} crs_column_error;

/* What a model does on a split. guess: the same of the simplest guess: the shares of classes, tokens or bits in the
 * training split; the mean; in a forecast the last value. */
typedef struct crs_evaluation {
    int64_t sequences; /* of a text: 0 */
    int64_t targets;   /* of a weight above 0 */
    double loss;       /* weighted mean: nats a token, step or number, or squares, as the model was trained by */
    double seconds;
    bool guessed;      /* whether there is a guess beside it */
    double guess_loss; /* nats; infinite where training has never shown what is true here. Values: NaN */
    /* next token */
    double bits_per_token, perplexity;
    /* class */
    double accuracy, macro_f1;
    int classes;
    int64_t *confusion; /* [true][said], owned */
    int guess_class;    /* the likeliest one */
    double guess_accuracy, guess_macro_f1;
    /* bits, at 0.5 */
    double precision, recall, f1, guess_precision, guess_recall, guess_f1;
    /* values, scaled */
    double mse, mae, guess_mse, guess_mae;
    int columns;
    crs_column_error *column; /* [columns], owned */
} crs_evaluation;

void crs_evaluation_free(crs_evaluation *evaluation);

typedef struct crs_evaluation_plan {
    crs_split split;
    int64_t streams; /* text alone: row b reads the tokens from b * S on, S = floor((n - 1) / streams) */
    bool guess;      /* whether to read the training split for what the simplest guess would have had (not of a text) */
} crs_evaluation_plan;

/* Whether this split can be read once, and for this model: as crs_evaluate and crs_predict ask, but before it is read.
 * streams: of a text. CRS_DATA, CRS_CONFIG. Local. */
crs_status crs_evaluation_check(const crs_model *model, const crs_dataset *dataset, crs_split split, int64_t streams,
                                crs_error *error);
/* Reads the split once, streams and sequences each from a zero state, shared out over ranks. The same figures at any
 * number of ranks and threads. *evaluation is to be freed where this succeeds. Collective. */
crs_status crs_evaluate(crs_comm *comm, crs_model *model, const crs_dataset *dataset, const crs_evaluation_plan *plan,
                        crs_evaluation *evaluation, crs_error *error);

typedef struct crs_prediction_plan {
    crs_split split;
    int64_t streams;         /* text alone: as in crs_evaluation_plan; each counts as a sequence */
    const char *output;      /* OUT.csv or OUT.h5; written under a temporary name, flushed, renamed */
    const char *description; /* what it is, for OUT.h5 */
} crs_prediction_plan;

/* Writes what the model says of each target of a split that has a weight above 0, in the order of the data, the truth
 * beside it; *targets: how many. The same bytes at any number of ranks and threads. The file is as it was where this
 * fails. Collective. */
crs_status crs_predict(crs_comm *comm, crs_model *model, const crs_dataset *dataset, const crs_prediction_plan *plan,
                       int64_t *targets, crs_error *error);

/* The model of a checkpoint file, its parameters in place; vocabulary and schema go to the caller, who frees them. Read
 * by rank 0 alone and sent to the others: collective; comm NULL: local. */
crs_status crs_model_load(crs_comm *comm, const char *path, const crs_kernels *kernels, int threads, crs_model **model,
                          crs_vocabulary *vocabulary, crs_schema *schema, crs_error *error);

#endif
