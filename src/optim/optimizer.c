/* The state of an optimizer, and one update shared out over threads. The arithmetic is crs_kernel_update's. */
#include "config.h"

#include <string.h>

#include "carousel/optim.h"

/* A thread gets at least this many floats: starting it costs more than updating fewer. A multiple of CRS_BLOCK. */
enum { THREAD_FLOATS = 8192 };

static const char *const optimizer_names[CRS_OPTIMIZERS + 1] = {
    [CRS_ADAM] = "adam",
    [CRS_RMSPROP] = "rmsprop",
    [CRS_SGD] = "sgd",
    [CRS_ADAGRAD] = "adagrad",
};

const char *const *crs_optimizer_names(void) {
    return optimizer_names;
}

const char *crs_optimizer_name(crs_optimizer optimizer) {
    CRS_ASSERT((unsigned)optimizer < CRS_OPTIMIZERS);
    return optimizer_names[optimizer];
}

void crs_optimizer_defaults(crs_optimizer_settings *settings) {
    const crs_optimizer o = settings->optimizer;
    if (settings->momentum < 0)
        settings->momentum = 0;
    if (settings->beta1 < 0 && o == CRS_ADAM)
        settings->beta1 = 0.9;
    if (settings->beta2 < 0 && (o == CRS_ADAM || o == CRS_RMSPROP))
        settings->beta2 = o == CRS_ADAM ? 0.999 : 0.99;
    if (settings->epsilon < 0 && o != CRS_SGD)
        settings->epsilon = o == CRS_ADAGRAD ? 1e-10 : 1e-8;
}

/* Which moments there are, in the order of optim->moment. */
static void name_moments(crs_optim *optim) {
    switch (optim->settings.optimizer) {
    case CRS_ADAM:
        optim->moment_name[0] = "first_moment";
        optim->moment_name[1] = "second_moment";
        optim->moments = 2;
        break;
    case CRS_RMSPROP:
        optim->moment_name[0] = "second_moment";
        optim->moments = 1;
        break;
    case CRS_SGD:
        optim->moment_name[0] = "momentum";
        optim->moments = optim->settings.momentum > 0 ? 1 : 0;
        break;
    default:
        optim->moment_name[0] = "sum_of_squares";
        optim->moments = 1;
        break;
    }
}

crs_status crs_optim_create(crs_optim *optim, const crs_optimizer_settings *settings, size_t n, crs_error *error) {
    CRS_ASSERT((unsigned)settings->optimizer < CRS_OPTIMIZERS);
    CRS_ASSERT(n % CRS_BLOCK == 0);
    memset(optim, 0, sizeof *optim);
    optim->settings = *settings;
    crs_optimizer_defaults(&optim->settings);
    optim->n = n;
    name_moments(optim);
    for (int m = 0; m < optim->moments; m++) {
        optim->moment[m] = crs_alloc_or_fail(n, sizeof(float), CRS_MEMORY_OPTIMIZER, optim->moment_name[m], error);
        if (optim->moment[m] == NULL) {
            crs_optim_free(optim);
            return error->status;
        }
    }
    return CRS_OK;
}

void crs_optim_free(crs_optim *optim) {
    for (int m = 0; m < CRS_MOMENTS_MAX; m++)
        crs_free(&optim->moment[m]);
    memset(optim, 0, sizeof *optim);
}

/* What all elements share. The corrections are those of the betas as the kernel has them, rounded to float: from the
 * doubles, Adam's first steps would be off by 1e-5. */
static crs_update plan_update(const crs_optim *optim, double scale, double rate) {
    const crs_optimizer_settings *settings = &optim->settings;
    crs_update update = {
        .optimizer = settings->optimizer,
        .scale = (float)scale,
        .rate = (float)rate,
        .weight_decay = (float)settings->weight_decay,
        .beta1 = (float)(settings->optimizer == CRS_SGD ? settings->momentum : settings->beta1),
        .beta2 = (float)settings->beta2,
        .epsilon = (float)settings->epsilon,
    };
    uint64_t t = (uint64_t)optim->updates;
    update.correction1 = (float)(1 - crs_power((double)update.beta1, t));
    update.correction2 = (float)(1 - crs_power((double)update.beta2, t));
    return update;
}

static float *moment_at(const crs_optim *optim, int m, size_t from) {
    return m < optim->moments ? optim->moment[m] + from : NULL;
}

/* Updates `count` floats, whose moments stand from `moment` on. */
static void update_range(const crs_optim *optim, const crs_kernels *kernels, crs_update update, float *values,
                         const float *gradient, size_t moment, size_t count) {
    bool second_only = optim->settings.optimizer == CRS_RMSPROP || optim->settings.optimizer == CRS_ADAGRAD;
    update.n = count;
    update.values = values;
    update.gradient = gradient;
    update.first = second_only ? NULL : moment_at(optim, 0, moment);
    update.second = moment_at(optim, second_only ? 0 : 1, moment);
    crs_kernel_update(kernels, &update);
}

typedef struct share {
    const crs_optim *optim;
    const crs_kernels *kernels;
    crs_update update;
    const crs_extent *extent;
    int extents;
    float *values;
    const float *gradient;
} share;

/* A thread's share of all floats, where it lies in each extent. */
static void update_share(void *context, int thread, int threads) {
    const share *s = context;
    const size_t blocks = s->optim->n / CRS_BLOCK, of = (size_t)threads, number = (size_t)thread;
    const size_t begin = blocks * number / of * CRS_BLOCK, end = blocks * (number + 1) / of * CRS_BLOCK;
    size_t first = 0;
    for (int i = 0; i < s->extents; first += s->extent[i++].count) {
        const size_t from = begin > first ? begin : first, last = first + s->extent[i].count;
        const size_t to = end < last ? end : last, at = s->extent[i].at + (from - first);
        if (from < to)
            update_range(s->optim, s->kernels, s->update, s->values + at, s->gradient + at, from, to - from);
    }
}

void crs_optim_update(crs_optim *optim, const crs_kernels *kernels, const crs_extent *extent, int extents,
                      float *values, const float *gradient, double scale, double rate, int threads) {
    optim->updates++;
    share s = {optim, kernels, plan_update(optim, scale, rate), extent, extents, values, gradient};
    const size_t most = (optim->n + THREAD_FLOATS - 1) / THREAD_FLOATS;
    if (optim->n > 0)
        crs_parallel(threads < 1 || (size_t)threads < most ? threads : (int)most, update_share, &s);
}
