/* Whether ranks still hold the same: each updates its own copy of the parameters, and a bit that flips in the memory of
 * one would spoil the gradients of all from then on. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "train/training.h"

static void flip_a_bit(crs_training *t) {
    static bool done;
    float *parameters = crs_model_parameters(t->model);
    uint32_t bits;
    if (done || t->step < 25 || crs_comm_rank(t->comm) != crs_comm_size(t->comm) - 1)
        return;
    done = !crs_fault("flip-bit-again");
    memcpy(&bits, parameters, sizeof bits);
    bits ^= 1;
    memcpy(parameters, &bits, sizeof bits);
}

static int count_of(const int64_t *all, int ranks, int64_t hash) {
    int count = 0;
    for (int r = 0; r < ranks; r++)
        count += all[r] == hash;
    return count;
}

/* Names the ranks that are not as most are; where there is no most, two that differ. Rank 0. */
static crs_status tell(const crs_training *t, const int64_t *all, int ranks, crs_error *error) {
    int most = 0, first = 0, others;
    for (int r = 0; r < ranks && count_of(all, ranks, all[most]) * 2 <= ranks; r++)
        most = r;
    others = ranks - count_of(all, ranks, all[most]);
    while (all[first] == all[most])
        first++;
    if (others * 2 >= ranks)
        return crs_fail(error, CRS_INTERNAL,
                        "step %" PRId64 ": the parameters of rank %d (on %s) are not those of rank %d (on %s): memory "
                        "or a processor of one of them fails",
                        t->step, first, crs_comm_host(t->comm, first), most, crs_comm_host(t->comm, most));
    char more[32] = "";
    if (others > 1)
        snprintf(more, sizeof more, " and %d more", others - 1);
    return crs_fail(error, CRS_INTERNAL,
                    "step %" PRId64 ": the parameters of rank %d (on %s)%s are not those of the others: memory or a "
                    "processor there fails",
                    t->step, first, crs_comm_host(t->comm, first), more);
}

crs_status crs_parameters_agree(crs_training *t, crs_error *error) {
    const int ranks = crs_comm_size(t->comm);
    crs_engine_settle(&t->engine);
    if (ranks == 1)
        return CRS_OK;
    if (crs_fault("flip-bit") || crs_fault("flip-bit-again"))
        flip_a_bit(t);
    const float *parameters = crs_model_parameters(t->model);
    const uint64_t hash = crs_hash_short(parameters, crs_model_arena(t->model) * sizeof *parameters);
    const int64_t mine = (int64_t)(hash >> 1);
    int64_t *all = NULL;
    if (crs_comm_min(t->comm, mine) == crs_comm_max(t->comm, mine))
        return CRS_OK;
    t->differ = true;
    int *rows_of = crs_alloc_or_fail((size_t)ranks, sizeof *rows_of, CRS_MEMORY_OTHER, "a list of ranks", error);
    for (int r = 0; rows_of && r < ranks; r++)
        rows_of[r] = 1;
    if (rows_of && crs_at_root(t))
        all = crs_alloc_or_fail((size_t)ranks, sizeof *all, CRS_MEMORY_OTHER, "a list of ranks", error);
    if (crs_comm_agree(t->comm, error) == CRS_OK) {
        crs_comm_gather(t->comm, &mine, all, rows_of, sizeof mine);
        if (crs_at_root(t))
            tell(t, all, ranks, error);
        crs_comm_agree(t->comm, error);
    }
    crs_free(&rows_of);
    crs_free(&all);
    return error->status;
}

void crs_name_refuser(const crs_training *t, char out[96]) {
    const int64_t rank = crs_comm_rank(t->comm), size = crs_comm_size(t->comm);
    int64_t refusers = t->own_refused > 0;
    out[0] = '\0';
    crs_comm_sum(t->comm, &refusers, 1);
    const int64_t first = crs_comm_min(t->comm, t->own_refused > 0 ? rank : size);
    if (size > 1 && refusers == 1)
        snprintf(out, 96, ", each time by the rows of rank %" PRId64 " alone", first);
}
