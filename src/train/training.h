/* Everything a run holds while it trains. Private to room train. */
#ifndef CRS_TRAIN_TRAINING_H
#define CRS_TRAIN_TRAINING_H

#include "train/metrics.h"
#include "train/plan.h"
#include "train/progress.h"
#include "train/step.h"

/* What changed at some steps, in their order. The list grows. */
typedef struct crs_event {
    int64_t step;
    double value[2];
} crs_event;
typedef struct crs_history {
    int64_t count;
    crs_event *list; /* [count] */
} crs_history;

typedef struct crs_training {
    crs_comm *comm;         /* borrowed */
    crs_settings *settings; /* borrowed */
    const crs_config *config;

    /* set up */
    crs_dataset dataset;
    crs_plan plan;
    crs_isa isa;
    const crs_kernels *kernels;
    int threads;
    crs_crowd crowd;
    int lock; /* rank 0: of RUN/.lock; -1 elsewhere */
    bool resumed, finished;
    crs_run_names names; /* rank 0: what is wrong with them in a run that goes on */
    crs_model *model;
    crs_shards shards; /* of the model, among the ranks */
    crs_optim optim;   /* of what this rank owns */
    crs_engine engine;

    /* where it stands */
    int64_t step;   /* steps made */
    int64_t tokens; /* targets trained on (of a text: tokens), also those of refused steps */
    int64_t schedule_total;
    int64_t refused_row, refused_total;
    double best_validation_loss; /* NaN: none yet */
    /* validation losses, and the means of the steps since the validation before (NaN where all were refused) */
    crs_history history;
    crs_history rates;  /* each rate, from that step on; empty where there was but one */
    double rate_before; /* of the run that is resumed */
    struct {
        double sum;
        int64_t count;
    } mean;                  /* of the losses since the last validation */
    double seconds_before;   /* of training, up to `start` */
    int64_t owes_validation; /* 1: one was due at this step, and is not done */
    int64_t window;          /* of the epoch, where it was saved or restored */
    int64_t saved;           /* the step of the newest checkpoint; -1: none yet */

    /* this invocation */
    double start, last_save, last_validation;              /* times, of crs_seconds; seconds are counted from start */
    double step_seconds, save_seconds, validation_seconds; /* how long the longest of late took */
    double told_validation, told_save;                     /* times when a person was told; 0: not yet */
    double looked;                                         /* rank 0: for RUN/stop; 0: not yet */
    double best_before;                                    /* the lowest validation loss before the last validation */
    bool save_failed;      /* the last save that was tried; nobody has been told since */
    bool differ;           /* ranks hold different parameters */
    int64_t own_refused;   /* of the refused_row steps: how many for this rank's rows */
    crs_error pending;     /* of this rank alone, and not yet told to the others */
    bool told_start;       /* rank 0: a line of metrics has it */
    double *pace;          /* rank 0: [2][ranks]: what a row takes each rank of late; room to sort them */
    int *rows_of;          /* [ranks] */
    int64_t timed;         /* steps that went into pace */
    bool told_slow;        /* a rank that keeps the others waiting has been named */
    crs_metrics metrics;   /* rank 0 */
    crs_progress progress; /* rank 0 */
} crs_training;

static inline bool crs_at_root(const crs_training *training) {
    return crs_comm_rank(training->comm) == 0;
}

/* How many streams the validation split is read in (sequences: 1); 0 where it is too short for one prediction. */
int64_t crs_training_streams(const crs_training *training);
/* What a step trains on, on average: tokens, steps, sequences or windows. */
double crs_training_targets(const crs_training *training, const char **unit);
/* Whether --patience is over: so many validations since the lowest. */
bool crs_training_gave_up(const crs_training *training);

/* ---- setup.c ---- */

/* Everything up to the first step; on success either finished is set, or all is ready. Collective. */
crs_status crs_training_open(crs_training *training, crs_comm *comm, crs_settings *settings, crs_error *error);
void crs_training_close(crs_training *training); /* collective */

/* ---- dry_run.c ---- */

/* Tells, on standard output, what the run would be: parameters, memory, lanes, and by some steps of the real data how
 * long an epoch takes. Nothing of it is kept. CRS_STOPPED: given up, for a signal. Collective. */
crs_status crs_dry_run(crs_training *training, crs_error *error);

/* ---- start.c ---- */

/* Sets the output's biases of a new model of bits to ln(p / (1 - p)), p being each bit's share in the training targets.
 * Collective. */
crs_status crs_training_start_bits(crs_training *training, crs_error *error);

/* ---- times.c: rank 0 ---- */

crs_status crs_times_open(crs_training *training, crs_error *error);
/* After each step: names, once, a rank that is much slower than the others. */
void crs_times_watch(crs_training *training);
/* Where the last step's time went, with --verbose. */
void crs_times_tell(const crs_training *training);

/* ---- state.c ---- */

/* The whole state as a checkpoint: at rank 0; elsewhere *checkpoint stays empty. Collective. */
crs_status crs_state_capture(crs_training *training, crs_checkpoint *checkpoint, crs_error *error);
/* The opposite, for all but the step and the best validation loss; model, optimizer and engine exist. Local. */
crs_status crs_state_restore(crs_training *training, const crs_checkpoint *checkpoint, const char *path,
                             crs_error *error);
/* The value of a scalar of 8 bytes, as /run/schedule_total. CRS_DATA where it is missing. */
crs_status crs_state_scalar(const crs_checkpoint *checkpoint, const char *name, crs_type type, const char *path,
                            void *value, crs_error *error);
/* Whether a validation at the checkpoint's step is in its history. */
bool crs_state_validated(const crs_checkpoint *checkpoint);
/* Whether the checkpoint was made with this data. */
crs_status crs_state_check_data(const crs_checkpoint *checkpoint, const char *path, const crs_dataset *dataset,
                                crs_error *error);
crs_status crs_history_add(crs_history *history, int64_t step, double value, double second, crs_error *error);

/* ---- save.c: collective ---- */

/* Writes a checkpoint of where it stands, and tells of it. last: the run ends with it; else a disk that does not take
 * it (CRS_CREATE) is warned of, and no error. */
crs_status crs_training_save(crs_training *training, bool best, bool last, crs_error *error);
/* Data that can't be read any more end a run, but what it made of them is whole. *error stays, and tells of it. */
crs_status crs_training_save_good(crs_training *training, crs_error *error);

/* ---- same.c: collective ---- */

/* That all ranks hold the same parameters; else CRS_INTERNAL, with the ranks that differ, and `differ` is set. */
crs_status crs_parameters_agree(crs_training *training, crs_error *error);
/* Of a row of refused steps: which rank they are due to, if it is but one, as the end of a sentence; else "". */
void crs_name_refuser(const crs_training *training, char out[96]);

/* ---- report.c: what a run says at its turning points; rank 0 (elsewhere nothing is printed). Local. ---- */

void crs_report_start(const crs_training *training);
/* loss: NaN where the model gives no number. seconds: how long it took. */
void crs_report_validation(crs_training *training, double loss, bool best, double seconds);
void crs_report_save(crs_training *training);
/* Fills *error with CRS_STOPPED and why, by what all ranks had to say. */
crs_status crs_report_stop(const crs_training *training, const int64_t news[CRS_NEWS], crs_error *error);
/* Adds to *error, which says that the run has diverged, what would do. Returns its status. */
crs_status crs_report_diverged(const crs_training *training, crs_error *error);
void crs_report_end(const crs_training *training);
/* Of a run that has nothing left to do. */
void crs_report_finished(const crs_training *training);

/* ---- signals.c: what asks a run to stop, and the clock of the process. Local. ---- */

/* The first signal since crs_signals_catch (carousel/train.h), or 0. */
int crs_signals_caught(void);
/* Whether there is a file (or folder) RUN/stop; asked more often than a few times a second, it does not look. *looked:
 * when it did; 0: not yet. Rank 0. */
bool crs_stop_file_seen(const char *run, double *looked);
/* Where there is none, all is well. CRS_CREATE. */
crs_status crs_stop_file_remove(const char *run, bool *removed, crs_error *error);
/* As it was before crs_signals_catch. */
void crs_signals_release(void);
/* Seconds since the process began. */
double crs_process_seconds(void);

#endif
