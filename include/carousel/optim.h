/* Optimizers, schedules, clipping. Local; elementwise, so the bits depend on nothing but the values. */
#ifndef CAROUSEL_OPTIM_H
#define CAROUSEL_OPTIM_H

#include "carousel/kernel.h"

/* All names by their values, ended by NULL. */
const char *const *crs_optimizer_names(void);
const char *const *crs_schedule_names(void);
const char *crs_optimizer_name(crs_optimizer optimizer); /* "adam", ... */

typedef enum crs_schedule { CRS_CONSTANT, CRS_STEP, CRS_COSINE, CRS_SCHEDULES } crs_schedule;
const char *crs_schedule_name(crs_schedule schedule);

typedef struct crs_schedule_plan {
    crs_schedule schedule;
    double rate;         /* the highest */
    int64_t warmup;      /* steps of linear warm-up: step s < warmup has rate * (s + 1) / warmup */
    int64_t total;       /* steps of the whole schedule; past it the last rate holds */
    int64_t decay_after; /* steps before the first decay (step) */
    int64_t decay_every; /* steps from one to the next (step) */
    double decay_factor; /* (step) */
} crs_schedule_plan;

/* The rate of the step with this number (from 0). cosine: from rate to 0 over the steps after the warm-up:
 * rate * (1 + cos(pi p)) / 2 with p = (s - warmup) / (total - warmup); s is held at total - 1. */
double crs_schedule_rate(const crs_schedule_plan *plan, int64_t step);

typedef struct crs_optimizer_settings {
    crs_optimizer optimizer;
    double momentum, beta1, beta2, epsilon, weight_decay;
} crs_optimizer_settings;

enum { CRS_MOMENTS_MAX = 2 };

typedef struct crs_optim {
    crs_optimizer_settings settings;
    size_t n;                       /* floats that it updates */
    int64_t updates;                /* made so far: Adam's t */
    int moments;                    /* 0 to 2 */
    float *moment[CRS_MOMENTS_MAX]; /* [n] each, owned */
    /* as in files: "first_moment", "second_moment", "momentum", "sum_of_squares" */
    const char *moment_name[CRS_MOMENTS_MAX];
} crs_optim;

/* beta1, beta2, epsilon below 0 become the optimizer's own default (PyTorch's), where it has a use for them. */
void crs_optimizer_defaults(crs_optimizer_settings *settings);

/* Takes crs_optimizer_defaults of the settings. */
crs_status crs_optim_create(crs_optim *optim, const crs_optimizer_settings *settings, size_t n, crs_error *error);
void crs_optim_free(crs_optim *optim);
/* The factor that brings a gradient of this norm to at most clip; 1 where clip is 0 or the norm is below it. */
double crs_clip_scale(double norm, double clip);
/* One update of these extents of values[] (n floats in all; multiples of CRS_BLOCK), whose moments stand one after the
 * other, by gradient[] * scale at this rate; uses `threads` threads. */
void crs_optim_update(crs_optim *optim, const crs_kernels *kernels, const crs_extent *extent, int extents,
                      float *values, const float *gradient, double scale, double rate, int threads);

#endif
