/* Whether ranks still hold the same: each updates its own copy of the parameters, and a bit that flips in the memory of
 * one would spoil the gradients of all from then on. */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "train/training.h"

/* What a rank tells of itself. */
typedef struct witness {
    int64_t hash;
    char host[56];
} witness;

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

static int count_of(const witness *all, int ranks, int64_t hash) {
    int count = 0;
    for (int r = 0; r < ranks; r++)
        count += all[r].hash == hash;
    return count;
}

/* Names the ranks that are not as most are; where there is no most, two that differ. Rank 0. */
static crs_status tell(const crs_training *t, const witness *all, int ranks, crs_error *error) {
    int most = 0, first = 0, others;
    for (int r = 0; r < ranks && count_of(all, ranks, all[most].hash) * 2 <= ranks; r++)
        most = r;
    others = ranks - count_of(all, ranks, all[most].hash);
    while (all[first].hash == all[most].hash)
        first++;
    if (others * 2 >= ranks)
        return crs_fail(error, CRS_INTERNAL,
                        "step %" PRId64 ": the parameters of rank %d (on %s) are not those of rank %d (on %s): memory "
                        "or a processor of one of them fails",
                        t->step, first, all[first].host, most, all[most].host);
    char more[32] = "";
    if (others > 1)
        snprintf(more, sizeof more, " and %d more", others - 1);
    return crs_fail(error, CRS_INTERNAL,
                    "step %" PRId64 ": the parameters of rank %d (on %s)%s are not those of the others: memory or a "
                    "processor there fails",
                    t->step, first, all[first].host, more);
}

crs_status crs_parameters_agree(crs_training *t, crs_error *error) {
    const int ranks = crs_comm_size(t->comm);
    if (ranks == 1)
        return CRS_OK;
    crs_engine_settle(&t->engine);
    if (crs_fault("flip-bit") || crs_fault("flip-bit-again"))
        flip_a_bit(t);
    const float *parameters = crs_model_parameters(t->model);
    const uint64_t hash = crs_hash_short(parameters, crs_model_arena(t->model) * sizeof *parameters);
    witness mine = {.hash = (int64_t)(hash >> 1)}, *all = NULL;
    if (crs_comm_min(t->comm, mine.hash) == crs_comm_max(t->comm, mine.hash))
        return CRS_OK;
    t->differ = true;
    gethostname(mine.host, sizeof mine.host - 1);
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
