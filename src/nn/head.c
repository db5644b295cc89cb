/* The heads that there are. */
#include "config.h"

#include "nn/head.h"

static const crs_head *const heads[CRS_HEADS] = {[CRS_HEAD_SOFTMAX] = &crs_head_softmax};

const crs_head *crs_head_of(crs_head_kind kind) {
    return heads[kind];
}
