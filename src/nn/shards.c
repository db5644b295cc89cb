/* Which owner has which parameters: in each region of the sums about as many each, cut where no row of a tensor is. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "nn/model.h"

/* Sums that an owner's share of a region should have at least and at most: a message each, worth its latency, and small
 * enough that one is added while the next is on its way. */
enum { SHARE_LEAST = 1 << 14, SHARE_MOST = 1 << 18 };

typedef struct run {
    int owner, stage;
    crs_extent of;
    size_t sum;
} run;

typedef struct layout {
    const crs_model *m;
    crs_shards *s;
    bool *cut; /* [blocks of the arena]: whether one owner may end before it */
    run *run;  /* [runs]: as they are found */
    int regions_most, runs_most;
} layout;

/* ---- where to cut ---- */

/* A row's elements stand from its base on, as far as its last one: no cut within. */
static void mark_cuts(layout *l, size_t *reach) {
    const crs_model *m = l->m;
    for (int i = 0; i < m->tensors; i++)
        for (int64_t j = 0; j < m->tensor[i].dims[0]; j++) {
            const crs_place *place = &m->place[i][j];
            const size_t last = place->base + (size_t)((m->tensor[i].dims[1] - 1) * place->stride);
            size_t *to = &reach[place->base / CRS_BLOCK];
            *to = last / CRS_BLOCK > *to ? last / CRS_BLOCK : *to;
        }
    size_t far = 0;
    for (size_t b = 0; b < m->arena / CRS_BLOCK; b++) {
        l->cut[b] = b == 0 || far < b;
        far = reach[b] > far ? reach[b] : far;
    }
}

/* The slice whose sums (arena: whose parameters) these are; NULL: sums of no parameter as it stands. */
static const crs_slice *slice_at(const crs_model *m, bool arena, size_t at) {
    for (int p = 0; p < m->parts; p++)
        for (int i = 0; i < m->part[p]->slices; i++) {
            const crs_slice *slice = &m->part[p]->slice[i];
            const size_t first = arena ? slice->arena : slice->sum;
            if ((arena || slice->summed) && at >= first && at < first + slice->count)
                return slice;
        }
    return NULL;
}

static bool may_cut(const layout *l, const crs_slice *slice, bool arena, size_t at) {
    if (!slice)
        return true;
    return l->cut[(arena ? at : slice->arena + (at - slice->sum)) / CRS_BLOCK];
}

/* bound[owners + 1] of the stretch begin .. end: each where a cut may be, next to where it should be. */
static void share_out(const layout *l, bool arena, size_t begin, size_t end, size_t *bound) {
    const size_t owners = (size_t)l->s->owners;
    size_t k = 1, before = begin;
    bound[0] = begin;
    const crs_slice *slice = NULL;
    for (size_t at = begin; at <= end && k < owners; at += CRS_BLOCK) {
        const size_t first = slice ? (arena ? slice->arena : slice->sum) : 0;
        if (at < end && (!slice || at >= first + slice->count))
            slice = slice_at(l->m, arena, at);
        if (at < end && !may_cut(l, slice, arena, at))
            continue;
        for (; k < owners; k++) {
            const size_t ideal = begin + (end - begin) * k / owners;
            if (at < ideal)
                break;
            bound[k] = at - ideal > ideal - before && before >= bound[k - 1] ? before : at;
        }
        before = at;
    }
    for (; k < owners; k++)
        bound[k] = end;
    bound[owners] = end;
}

/* ---- regions of sums ---- */

/* Ends of stretches that are alike (of parameters, or not), in the order of the sums. */
static size_t stretch_end(const crs_model *m, size_t at, bool *derived) {
    const size_t all = m->sums - CRS_SUM_TRAILER;
    const crs_slice *slice = slice_at(m, false, at);
    *derived = slice == NULL;
    while (at < all && (slice == NULL) == *derived) {
        if (slice) {
            at = slice->sum + slice->count;
        } else {
            for (int p = 0; p < m->parts; p++)
                if (m->part[p]->other_sums > 0 && at == m->part[p]->other_sum)
                    at += m->part[p]->other_sums;
        }
        slice = at < all ? slice_at(m, false, at) : NULL;
        /* A part's sums are a region where they are enough for one. */
        for (int p = 0; p < m->parts; p++)
            if (m->part[p]->sums_end == at && !*derived)
                return at;
    }
    return at;
}

static void add_region(layout *l, size_t begin, size_t end, bool derived) {
    crs_shards *s = l->s;
    size_t *bound = s->bound + (size_t)s->regions * (size_t)(s->owners + 1);
    CRS_ASSERT(s->regions < l->regions_most);
    share_out(l, false, begin, end, bound);
    s->derived[s->regions++] = derived;
}

static void make_regions(layout *l) {
    const size_t all = l->m->sums - CRS_SUM_TRAILER, owners = (size_t)l->s->owners;
    const size_t least = SHARE_LEAST * owners, most = SHARE_MOST * owners;
    for (size_t begin = 0, end; begin < all; begin = end) {
        bool derived, next;
        end = stretch_end(l->m, begin, &derived);
        while (end < all && end - begin < least) {
            const size_t further = stretch_end(l->m, end, &next);
            if (next != derived)
                break;
            end = further;
        }
        const crs_slice *slice = NULL;
        for (size_t at = begin + most; at < end; at += CRS_BLOCK) {
            if (!slice || at >= slice->sum + slice->count)
                slice = slice_at(l->m, false, at);
            if (!may_cut(l, slice, false, at) || end - at < least)
                continue;
            add_region(l, begin, at, derived);
            begin = at;
            at += most - CRS_BLOCK;
        }
        add_region(l, begin, end, derived);
    }
}

/* ---- stages of parameters ---- */

/* The first parameter of a part, or of one above it. */
static size_t arena_of(const crs_model *m, int part) {
    for (; part < m->parts; part++)
        if (m->part[part]->slices > 0)
            return m->part[part]->slice[0].arena;
    return m->arena;
}

/* The output, with what gathers for it, is a stage as each layer is; with the first one goes the input. */
static void make_stages(layout *l) {
    const crs_model *m = l->m;
    crs_shards *s = l->s;
    const int layers = m->spec.layers;
    const size_t least = SHARE_LEAST * (size_t)s->owners;
    s->stages = 1;
    for (int i = 1; i <= layers; i++) {
        int part = m->output.part.number;
        if (i < layers)
            part = m->spec.bidirectional ? m->reversals[i].number : m->layers[i].part.number;
        else if (m->spec.alignment == CRS_ALIGN_SEQUENCE)
            part = m->pool.number;
        const size_t begin = arena_of(m, part), before = arena_of(m, s->stage_part[s->stages - 1]);
        if (begin - before >= least && m->arena - begin >= least)
            s->stage_part[s->stages++] = part;
    }
    s->stage_part[s->stages] = m->parts;
}

static int stage_of(const crs_model *m, const crs_shards *s, size_t arena) {
    int stage = s->stages - 1;
    while (stage > 0 && arena < arena_of(m, s->stage_part[stage]))
        stage--;
    return stage;
}

/* ---- runs of parameters ---- */

static void add_run(const layout *l, int owner, size_t arena, size_t count, size_t sum) {
    crs_shards *s = l->s;
    if (count == 0)
        return;
    CRS_ASSERT(s->runs < l->runs_most);
    l->run[s->runs++] = (run){owner, stage_of(l->m, s, arena), {arena, count}, sum};
}

static int by_owner(const void *a, const void *b) {
    const run *x = a, *y = b;
    if (x->owner != y->owner)
        return x->owner - y->owner;
    return (x->of.at > y->of.at) - (x->of.at < y->of.at);
}

static bool goes_on(const run *last, const run *next) {
    const bool summed = next->sum != CRS_NOT_SUMMED;
    return last->owner == next->owner && last->stage == next->stage && last->of.at + last->of.count == next->of.at &&
           (last->sum != CRS_NOT_SUMMED) == summed && (!summed || last->sum + last->of.count == next->sum);
}

/* Neighbours whose sums are neighbours too are one. */
static void list_runs(const layout *l) {
    crs_shards *s = l->s;
    int runs = 0;
    qsort(l->run, (size_t)s->runs, sizeof *l->run, by_owner);
    for (int i = 0; i < s->runs; i++)
        if (runs > 0 && goes_on(&l->run[runs - 1], &l->run[i]))
            l->run[runs - 1].of.count += l->run[i].of.count;
        else
            l->run[runs++] = l->run[i];
    s->runs = runs;
    for (int i = 0; i < runs; i++) {
        s->run[i] = l->run[i].of;
        s->run_sum[i] = l->run[i].sum;
    }
    for (int i = 0, owner = 0; owner < s->owners; owner++)
        for (int stage = 0; stage <= s->stages; stage++) {
            while (i < runs && l->run[i].owner == owner && l->run[i].stage < stage)
                i++;
            s->first_run[owner * (s->stages + 1) + stage] = i;
        }
}

static void runs_of_slice(const layout *l, const crs_slice *slice, size_t *bound) {
    const crs_shards *s = l->s;
    if (!slice->summed) {
        share_out(l, true, slice->arena, slice->arena + slice->count, bound);
        for (int r = 0; r < s->owners; r++)
            add_run(l, r, bound[r], bound[r + 1] - bound[r], CRS_NOT_SUMMED);
        return;
    }
    for (int k = 0; k < s->regions; k++)
        for (int r = 0; r < s->owners; r++) {
            const size_t *of = s->bound + (size_t)k * (size_t)(s->owners + 1) + r;
            const size_t from = of[0] > slice->sum ? of[0] : slice->sum;
            const size_t to = of[1] < slice->sum + slice->count ? of[1] : slice->sum + slice->count;
            if (from < to)
                add_run(l, r, slice->arena + (from - slice->sum), to - from, from);
        }
}

static int owner_of(const crs_shards *s, size_t arena) {
    int i = 0;
    while (i < s->runs && !(arena >= s->run[i].at && arena < s->run[i].at + s->run[i].count))
        i++;
    CRS_ASSERT(i < s->runs);
    int owner = 0;
    while (s->first_run[owner * (s->stages + 1) + s->stages] <= i)
        owner++;
    return owner;
}

static void number_rows(const crs_model *m, crs_shards *s) {
    int64_t row = 0;
    for (int i = 0; i < m->tensors; i++)
        for (int64_t j = 0; j < m->tensor[i].dims[0]; j++)
            s->owner_of_row[row++] = owner_of(s, m->place[i][j].base);
}

/* ---- made and freed ---- */

static bool reserve(layout *l, size_t **reach) {
    const crs_model *m = l->m;
    crs_shards *s = l->s;
    const size_t owners = (size_t)s->owners, blocks = m->arena / CRS_BLOCK;
    for (int i = 0; i < m->tensors; i++)
        s->rows += m->tensor[i].dims[0];
    l->regions_most = 3 * m->parts + (int)(m->sums / (SHARE_MOST * owners)) + 1;
    l->runs_most = (m->parts * CRS_SLICES + l->regions_most) * (s->owners + 1);
    s->stage_part = crs_alloc((size_t)m->spec.layers + 2, sizeof *s->stage_part, CRS_MEMORY_OTHER);
    s->bound = crs_alloc((size_t)l->regions_most * (owners + 1), sizeof *s->bound, CRS_MEMORY_OTHER);
    s->derived = crs_alloc((size_t)l->regions_most, sizeof *s->derived, CRS_MEMORY_OTHER);
    l->run = crs_alloc((size_t)l->runs_most, sizeof *l->run, CRS_MEMORY_OTHER);
    s->run = crs_alloc((size_t)l->runs_most, sizeof *s->run, CRS_MEMORY_OTHER);
    s->run_sum = crs_alloc((size_t)l->runs_most, sizeof *s->run_sum, CRS_MEMORY_OTHER);
    s->first_run = crs_alloc(owners * ((size_t)m->spec.layers + 2), sizeof *s->first_run, CRS_MEMORY_OTHER);
    s->owner_of_row = crs_alloc((size_t)s->rows, sizeof *s->owner_of_row, CRS_MEMORY_OTHER);
    l->cut = crs_alloc(blocks, sizeof *l->cut, CRS_MEMORY_OTHER);
    *reach = crs_alloc(blocks, sizeof **reach, CRS_MEMORY_OTHER);
    return s->stage_part && s->bound && s->derived && s->run && s->run_sum && s->first_run && s->owner_of_row &&
           l->run && l->cut && *reach;
}

crs_status crs_shards_create(crs_shards *shards, const crs_model *m, int owners, crs_error *error) {
    CRS_ASSERT(owners > 0);
    *shards = (crs_shards){.owners = owners};
    layout l = {.m = m, .s = shards};
    size_t *reach = NULL, *bound = crs_alloc((size_t)owners + 1, sizeof *bound, CRS_MEMORY_OTHER);
    if (!bound || !reserve(&l, &reach)) {
        crs_fail(error, CRS_INTERNAL, "out of memory for sharing %zu parameters among %d ranks", m->arena, owners);
        crs_shards_free(shards);
    } else {
        mark_cuts(&l, reach);
        make_regions(&l);
        make_stages(&l);
        for (int p = 0; p < m->parts; p++)
            for (int i = 0; i < m->part[p]->slices; i++)
                runs_of_slice(&l, &m->part[p]->slice[i], bound);
        list_runs(&l);
        number_rows(m, shards);
    }
    crs_free(&bound);
    crs_free(&reach);
    crs_free(&l.cut);
    crs_free(&l.run);
    return error->status;
}

void crs_shards_free(crs_shards *s) {
    crs_free(&s->stage_part);
    crs_free(&s->bound);
    crs_free(&s->derived);
    crs_free(&s->run);
    crs_free(&s->run_sum);
    crs_free(&s->first_run);
    crs_free(&s->owner_of_row);
    *s = (crs_shards){0};
}

size_t crs_shards_owned(const crs_shards *s, int owner) {
    size_t owned = 0;
    int first;
    const int runs = crs_shards_runs(s, owner, &first);
    for (int i = first; i < first + runs; i++)
        owned += s->run[i].count;
    return owned;
}
