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
 * ignored before (nohup; SIGINT of a job in the background) stay ignored. alone: a second SIGINT ends the process, for
 * whom the step takes too long. To be called before crs_comm_open, which takes a while; crs_train would do it itself.
 * Local. */
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

typedef struct crs_evaluation {
    int64_t tokens; /* predictions */
    double nats_per_token, bits_per_token, perplexity;
    double seconds;
} crs_evaluation;

/* Row b of `streams` reads the tokens from b * S on, S = floor((n - 1) / streams), each from a zero state; streams are
 * shared out over ranks. The same number at any number of ranks and threads. */
crs_status crs_evaluate(crs_comm *comm, crs_model *model, const crs_dataset *dataset, crs_split split, int64_t streams,
                        crs_evaluation *evaluation, crs_error *error);

/* The model of a checkpoint file, its parameters in place; the vocabulary goes to *vocabulary. Read by rank 0 alone and
 * sent to the others: collective; comm NULL: local. */
crs_status crs_model_load(crs_comm *comm, const char *path, const crs_kernels *kernels, int threads, crs_model **model,
                          crs_vocabulary *vocabulary, crs_error *error);

#endif
