/* One step's sums and parameters over ranks: what each rank's share of the sums gets from the others, and what the
 * others get of its parameters, on the way while the network computes. Messages are packed (kernel). */
#include "config.h"

#include <string.h>

#include "comm/comm.h"

struct crs_exchange {
    crs_comm *comm;
    crs_exchange_plan plan; /* its arrays are the caller's */
    int others;             /* ranks but this one */
    bool rounded;           /* sums travel as floats */
    /* sums */
    int64_t *sums, *notes;     /* the caller's */
    int sent, arrived;         /* regions sent; messages with sums that came */
    MPI_Request *request;      /* [most]: of receives, then of sends, [region or stage][other] */
    uint8_t **from, **to;      /* [regions][others]: the messages */
    uint8_t *incoming, *going; /* where they stand */
    size_t room;               /* bytes of each of both */
    bool *waiting;             /* [regions][others]: came before this rank's own sums of the region were complete */
    double looked;             /* when it was last looked what came */
    /* parameters */
    float *before;       /* [owned]: this rank's parameters before the update */
    float *values;       /* all parameters */
    int here;            /* stages of which all are here */
    MPI_Request *spread; /* [2][stages][others]: receives, sends */
    int64_t bytes;       /* sent so far */
};

/* ---- what goes where ---- */

static int peer_of(const crs_exchange *x, int other) {
    return other + (other >= x->comm->rank);
}

static const size_t *bounds(const crs_exchange *x, int region) {
    return x->plan.bound + (size_t)region * (size_t)(x->comm->size + 1);
}

static size_t share_of(const crs_exchange *x, int region, int rank) {
    return bounds(x, region)[rank + 1] - bounds(x, region)[rank];
}

static bool is_last(const crs_exchange *x, int region) {
    return region == x->plan.regions - 1;
}

static size_t trailer_bytes(const crs_exchange *x) {
    return (x->plan.trailer + x->plan.notes) * sizeof(int64_t);
}

static const crs_extent *extents_of(const crs_exchange *x, int stage, int rank, int *count) {
    const int *first = x->plan.first_extent + (size_t)rank * (size_t)(x->plan.stages + 1) + stage;
    *count = first[1] - first[0];
    return x->plan.extent + first[0];
}

static size_t floats_of(const crs_exchange *x, int stage, int rank) {
    int count;
    const crs_extent *extent = extents_of(x, stage, rank, &count);
    size_t floats = 0;
    for (int i = 0; i < count; i++)
        floats += extent[i].count;
    return floats;
}

/* The most that a message with a rank's share of a region takes, in whole cache lines. Derived ones go back as well. */
static size_t most_bytes(const crs_exchange *x, int region, int rank) {
    const size_t trailer = is_last(x, region) ? trailer_bytes(x) : 0;
    size_t most = share_of(x, region, rank);
    for (int r = 0; r < x->comm->size && x->plan.derived[region]; r++)
        most = share_of(x, region, r) > most ? share_of(x, region, r) : most;
    return (crs_packed_most(most) + trailer + 63) / 64 * 64;
}

/* The same of a rank's parameters of a stage: of each 4 bytes, of each block one. */
static size_t most_changes(const crs_exchange *x, int stage, int rank) {
    const size_t blocks = floats_of(x, stage, rank) / CRS_BLOCK;
    return (blocks * (1 + CRS_BLOCK * sizeof(float)) + sizeof(uint64_t) + 63) / 64 * 64;
}

/* ---- made and freed ---- */

static void place_messages(crs_exchange *x) {
    uint8_t *in = x->incoming, *out = x->going;
    for (int k = 0; k < x->plan.regions; k++)
        for (int o = 0; o < x->others; o++) {
            x->from[k * x->others + o] = in;
            x->to[k * x->others + o] = out;
            in += most_bytes(x, k, x->comm->rank);
            out += most_bytes(x, k, peer_of(x, o));
        }
}

/* Parameters travel in the same room: when they do, no sums do. */
static size_t room_of(const crs_exchange *x) {
    size_t in = 0, out = 0, all = 0, own = 0;
    for (int k = 0; k < x->plan.regions; k++)
        for (int o = 0; o < x->others; o++) {
            in += most_bytes(x, k, x->comm->rank);
            out += most_bytes(x, k, peer_of(x, o));
        }
    for (int g = 0; g < x->plan.stages; g++) {
        own += most_changes(x, g, x->comm->rank);
        for (int o = 0; o < x->others; o++)
            all += most_changes(x, g, peer_of(x, o));
    }
    const size_t sums = in > out ? in : out, parameters = all > own ? all : own;
    return sums > parameters ? sums : parameters;
}

static bool reserve(crs_exchange *x) {
    const crs_exchange_plan *p = &x->plan;
    const int longer = p->regions > p->stages ? p->regions : p->stages;
    const size_t messages = (size_t)(longer * x->others), spread = (size_t)(2 * p->stages * x->others);
    size_t owned = 0;
    for (int g = 0; g < p->stages; g++)
        owned += floats_of(x, g, x->comm->rank);
    x->room = x->others > 0 ? room_of(x) : 0;
    x->request = crs_alloc(2 * messages, sizeof *x->request, CRS_MEMORY_OTHER);
    x->spread = crs_alloc(spread, sizeof *x->spread, CRS_MEMORY_OTHER);
    x->from = crs_alloc(messages, sizeof *x->from, CRS_MEMORY_OTHER);
    x->to = crs_alloc(messages, sizeof *x->to, CRS_MEMORY_OTHER);
    x->waiting = crs_alloc(messages, sizeof *x->waiting, CRS_MEMORY_OTHER);
    x->incoming = crs_alloc(x->room, 1, CRS_MEMORY_GRADIENTS);
    x->going = crs_alloc(x->room, 1, CRS_MEMORY_GRADIENTS);
    x->before = crs_alloc(x->others > 0 ? owned : 0, sizeof *x->before, CRS_MEMORY_OPTIMIZER);
    if (!x->request || !x->spread || !x->from || !x->to || !x->waiting || !x->incoming || !x->going || !x->before)
        return false;
    for (size_t i = 0; i < 2 * messages; i++)
        x->request[i] = MPI_REQUEST_NULL;
    for (size_t i = 0; i < spread; i++)
        x->spread[i] = MPI_REQUEST_NULL;
    place_messages(x);
    return true;
}

crs_status crs_exchange_create(crs_exchange **exchange, crs_comm *comm, const crs_exchange_plan *plan,
                               crs_error *error) {
    crs_exchange *x = *exchange = crs_alloc_or_fail(1, sizeof *x, CRS_MEMORY_OTHER, "sums over ranks", error);
    if (!x)
        return error->status;
    x->comm = comm;
    x->plan = *plan;
    x->others = comm->size - 1;
    x->here = plan->stages;
    if (!reserve(x)) {
        crs_exchange_free(exchange);
        return crs_fail(error, CRS_INTERNAL, "out of memory for messages to %d other ranks", comm->size - 1);
    }
    return CRS_OK;
}

void crs_exchange_free(crs_exchange **exchange) {
    crs_exchange *x = *exchange;
    if (!x)
        return;
    crs_free(&x->request);
    crs_free(&x->spread);
    crs_free(&x->from);
    crs_free(&x->to);
    crs_free(&x->waiting);
    crs_free(&x->incoming);
    crs_free(&x->going);
    crs_free(&x->before);
    crs_free(exchange);
}

/* ---- sums that are rounded to floats on the way ---- */

static size_t round_sums(const int64_t *values, size_t n, uint8_t *out) {
    float *to = (float *)(void *)out;
    for (size_t i = 0; i < n; i++)
        to[i] = (float)((double)values[i] * 0x1p-32);
    return n * sizeof *to;
}

/* In steps of 2^-32; what an int64 can't hold becomes the most it can, NaN the least. */
static int64_t fixed_of(float x) {
    if (x >= 0x1p31f)
        return INT64_MAX;
    if (!(x > -0x1p31f))
        return INT64_MIN;
    return (int64_t)((double)x * 0x1p32);
}

/* Of the same bits on every rank, since one rank adds them, in the order of ranks. */
static void add_rounded(const crs_exchange *x, int region) {
    const int rank = x->comm->rank;
    int64_t *own = x->sums + bounds(x, region)[rank];
    for (size_t i = 0; i < share_of(x, region, rank); i++) {
        float sum = 0;
        for (int r = 0; r < x->comm->size; r++)
            sum += r == rank ? (float)((double)own[i] * 0x1p-32)
                             : ((const float *)(void *)x->from[region * x->others + r - (r > rank)])[i];
        own[i] = fixed_of(sum);
    }
}

/* ---- sums to their owners ---- */

void crs_exchange_begin(crs_exchange *x, int64_t *sums, bool rounded) {
    x->sums = sums;
    x->rounded = rounded || crs_fault("sum-float");
    x->sent = x->arrived = 0;
    x->looked = crs_seconds();
    for (int k = 0; k < x->plan.regions; k++)
        for (int o = 0; o < x->others; o++) {
            const int i = k * x->others + o;
            x->waiting[i] = false;
            CRS_MPI(MPI_Irecv(x->from[i], (int)most_bytes(x, k, x->comm->rank), MPI_BYTE, peer_of(x, o),
                              CRS_TAG_EXCHANGE + k, x->comm->world, &x->request[i]));
        }
}

static void add_trailer(const crs_exchange *x, int peer, const uint8_t *message) {
    int64_t *trailer = x->sums + bounds(x, x->plan.regions - 1)[x->comm->size];
    memcpy(x->notes + (size_t)peer * x->plan.notes, message + x->plan.trailer * sizeof *trailer,
           x->plan.notes * sizeof *trailer);
    for (size_t i = 0; i < x->plan.trailer; i++) {
        int64_t theirs;
        memcpy(&theirs, message + i * sizeof theirs, sizeof theirs);
        trailer[i] = (int64_t)((uint64_t)trailer[i] + (uint64_t)theirs);
    }
}

/* A message is added to this rank's own sums, once these are complete: in any order, the bits are the same. */
static void take(crs_exchange *x, int i) {
    const int k = i / x->others;
    const size_t share = share_of(x, k, x->comm->rank);
    size_t read = share * sizeof(float);
    if (!x->rounded)
        read = crs_unpack_sums(x->plan.kernels, x->from[i], share, true, x->sums + bounds(x, k)[x->comm->rank]);
    if (is_last(x, k))
        add_trailer(x, peer_of(x, i % x->others), x->from[i] + read);
    x->waiting[i] = false;
    x->arrived++;
}

static void look(crs_exchange *x) {
    const int messages = x->plan.regions * x->others;
    int i, found;
    for (;;) {
        CRS_MPI(MPI_Testany(2 * messages, x->request, &i, &found, MPI_STATUS_IGNORE));
        if (!found || i == MPI_UNDEFINED)
            break;
        if (i < messages)
            x->waiting[i] = true;
    }
    for (i = 0; i < x->sent * x->others; i++)
        if (x->waiting[i])
            take(x, i);
    x->looked = crs_seconds();
}

/* The last one takes the trailer along, and this rank's notes. */
static void send_region(crs_exchange *x) {
    const int64_t *trailer = x->sums + bounds(x, x->plan.regions - 1)[x->comm->size];
    const size_t trailing = x->plan.trailer * sizeof *trailer;
    const int k = x->sent, messages = x->plan.regions * x->others;
    for (int o = 0; o < x->others; o++) {
        /* The next rank first: not all to the same one at a time. */
        const int other = (o + x->comm->rank) % x->others, i = k * x->others + other, peer = peer_of(x, other);
        const int64_t *values = x->sums + bounds(x, k)[peer];
        const size_t n = share_of(x, k, peer);
        size_t bytes =
            x->rounded ? round_sums(values, n, x->to[i]) : crs_pack_sums(x->plan.kernels, values, n, x->to[i]);
        if (is_last(x, k)) {
            memcpy(x->to[i] + bytes, trailer, trailing);
            memcpy(x->to[i] + bytes + trailing, x->notes + (size_t)x->comm->rank * x->plan.notes,
                   x->plan.notes * sizeof *trailer);
            bytes += trailer_bytes(x);
        }
        CRS_MPI(MPI_Isend(x->to[i], (int)bytes, MPI_BYTE, peer, CRS_TAG_EXCHANGE + k, x->comm->world,
                          &x->request[messages + i]));
        x->bytes += (int64_t)bytes;
    }
    x->sent++;
}

void crs_exchange_ready(crs_exchange *x, size_t complete) {
    while (x->others > 0 && !is_last(x, x->sent) && bounds(x, x->sent)[x->comm->size] <= complete)
        send_region(x);
}

void crs_exchange_progress(crs_exchange *x) {
    /* Without a look now and then nothing moves; one that finds nothing costs some microseconds. */
    if (x->others == 0 || crs_seconds() - x->looked < 250e-6)
        return;
    if (x->here == x->plan.stages) {
        look(x);
        return;
    }
    int none;
    MPI_Status status;
    CRS_MPI(MPI_Iprobe(MPI_ANY_SOURCE, CRS_TAG_ROWS, x->comm->world, &none, &status));
    x->looked = crs_seconds();
}

/* Derived regions: each owner's totals to all. */
static void share_totals(crs_exchange *x) {
    const int rank = x->comm->rank, messages = x->plan.regions * x->others;
    for (int k = 0; k < x->plan.regions; k++) {
        if (!x->plan.derived[k])
            continue;
        uint8_t *own = x->to[k * x->others]; /* the same to all; it has room for the largest share */
        size_t bytes = crs_pack_sums(x->plan.kernels, x->sums + bounds(x, k)[rank], share_of(x, k, rank), own);
        for (int o = 0; o < x->others; o++) {
            const int i = k * x->others + o, peer = peer_of(x, o), tag = CRS_TAG_EXCHANGE + k;
            CRS_MPI(MPI_Irecv(x->from[i], (int)most_bytes(x, k, peer), MPI_BYTE, peer, tag, x->comm->world,
                              &x->request[i]));
            CRS_MPI(MPI_Isend(own, (int)bytes, MPI_BYTE, peer, tag, x->comm->world, &x->request[messages + i]));
        }
    }
    crs_wait(x->comm, x->request, 2 * messages);
    for (int k = 0; k < x->plan.regions; k++)
        for (int o = 0; o < x->others && x->plan.derived[k]; o++)
            crs_unpack_sums(x->plan.kernels, x->from[k * x->others + o], share_of(x, k, peer_of(x, o)), false,
                            x->sums + bounds(x, k)[peer_of(x, o)]);
}

void crs_exchange_finish(crs_exchange *x, int64_t *notes) {
    const double start = crs_seconds();
    const int messages = x->plan.regions * x->others;
    crs_vigil vigil = {0};
    bool derived = false;
    if (x->others == 0)
        return;
    x->notes = notes;
    while (x->sent < x->plan.regions)
        send_region(x);
    for (look(x); x->arrived < messages; look(x))
        crs_vigil_turn(x->comm, &vigil);
    crs_wait(x->comm, x->request + messages, messages);
    for (int k = 0; k < x->plan.regions; k++) {
        derived = derived || x->plan.derived[k];
        if (x->rounded)
            add_rounded(x, k);
    }
    if (derived)
        share_totals(x);
    x->comm->seconds += crs_seconds() - start;
}

/* ---- parameters from their owners ---- */

void crs_exchange_keep(crs_exchange *x, const float *values) {
    float *to = x->before;
    for (int g = 0, count; g < x->plan.stages && x->others > 0; g++) {
        const crs_extent *extent = extents_of(x, g, x->comm->rank, &count);
        for (int i = 0; i < count; to += extent[i++].count)
            memcpy(to, values + extent[i].at, extent[i].count * sizeof *to);
    }
}

/* This rank's changes of a stage, packed; where they end. */
static uint8_t *pack_stage(const crs_exchange *x, int stage, const float **before, uint8_t *to) {
    int count;
    const crs_extent *extent = extents_of(x, stage, x->comm->rank, &count);
    for (int i = 0; i < count; *before += extent[i++].count)
        to += crs_pack_changes(x->plan.kernels, x->values + extent[i].at, *before, extent[i].count, to);
    return to;
}

void crs_exchange_spread(crs_exchange *x, float *values) {
    const int messages = x->plan.stages * x->others;
    const float *before = x->before;
    uint8_t *in = x->incoming, *out = x->going;
    x->values = values;
    x->here = x->others > 0 ? 0 : x->plan.stages;
    for (int g = 0; g < x->plan.stages && x->others > 0; g++) {
        const int tag = CRS_TAG_EXCHANGE + x->plan.regions + g;
        const int bytes = (int)(pack_stage(x, g, &before, out) - out);
        for (int o = 0; o < x->others; o++) {
            const int other = (o + x->comm->rank) % x->others, i = g * x->others + other, peer = peer_of(x, other);
            x->from[i] = in;
            CRS_MPI(MPI_Irecv(in, (int)most_changes(x, g, peer), MPI_BYTE, peer, tag, x->comm->world, &x->spread[i]));
            CRS_MPI(MPI_Isend(out, bytes, MPI_BYTE, peer, tag, x->comm->world, &x->spread[messages + i]));
            in += most_changes(x, g, peer);
            x->bytes += bytes;
        }
        out += most_changes(x, g, x->comm->rank);
    }
}

bool crs_exchange_here(crs_exchange *x, int stage) {
    const double start = crs_seconds();
    const int messages = x->plan.stages * x->others;
    if (x->here > stage)
        return false;
    CRS_ASSERT(x->here == stage);
    crs_wait(x->comm, x->spread + stage * x->others, x->others);
    for (int o = 0, count; o < x->others; o++) {
        const uint8_t *from = x->from[stage * x->others + o];
        const crs_extent *extent = extents_of(x, stage, peer_of(x, o), &count);
        for (int i = 0; i < count; i++)
            from += crs_unpack_changes(x->plan.kernels, from, extent[i].count, x->values + extent[i].at);
    }
    x->here++;
    if (x->here == x->plan.stages) {
        crs_wait(x->comm, x->spread + messages, messages);
        place_messages(x);
    }
    x->comm->seconds += crs_seconds() - start;
    return true;
}

int64_t crs_exchange_bytes(const crs_exchange *x) {
    return x->bytes;
}
