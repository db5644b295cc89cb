/* What this machine can do, and how close training comes. */
#ifndef CAROUSEL_BENCH_H
#define CAROUSEL_BENCH_H

#include "carousel/train.h"

/* Of a rank's way to others: bytes and seconds; bandwidth 0: to be measured. */
typedef struct crs_bench_link {
    double bandwidth, latency, message; /* message: of each of many small ones that are on their way together */
} crs_bench_link;

typedef struct crs_bench_request {
    crs_settings
        settings; /* model, batch, window, lane, dropout, optimizer, threads; nothing given: models of its own */
    bool comm;    /* what ranks have to say to each other, and a step over more of them, instead of the machine */
    crs_bench_link link;
    double faster; /* work steps out for ranks that compute so many times as fast */
    int64_t vocabulary;
    double seconds; /* about how long to measure the steps of a model */
    bool json;
} crs_bench_request;

/* Measures, and prints to standard output at rank 0. CRS_CONFIG: sizes that can't be had. Collective. */
crs_status crs_bench(crs_comm *comm, const crs_kernels *kernels, const crs_bench_request *request, crs_error *error);

#endif
