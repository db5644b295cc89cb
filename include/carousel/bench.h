/* What this machine can do, and how close training comes. */
#ifndef CAROUSEL_BENCH_H
#define CAROUSEL_BENCH_H

#include "carousel/train.h"

typedef struct crs_bench_request {
    crs_settings
        settings; /* model, batch, window, lane, dropout, optimizer, threads; nothing given: models of its own */
    int64_t vocabulary;
    double seconds; /* about how long to measure the steps of a model */
    bool json;
} crs_bench_request;

/* Measures, and prints to standard output at rank 0. CRS_CONFIG: sizes that can't be had. Collective. */
crs_status crs_bench(crs_comm *comm, const crs_kernels *kernels, const crs_bench_request *request, crs_error *error);

#endif
