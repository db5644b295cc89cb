/* Pages of a split of sequences. */
#include "config.h"

#include <string.h>

#include "data/pages.h"
#include "data/tokens.h"

/* Reads of less cost more than the rows that they bring; of more, sequences here and there bring too many others. */
enum { PAGE_BYTES = 64 << 10, LEAST_PAGES = 256 };

/* How many rows a page has, how many pages there are, and how many of them may be here at once. */
static crs_pages cut(const crs_set *set, size_t bytes) {
    crs_pages p = {.set = set, .width = (int)set->width, .rows = set->rows};
    p.each = PAGE_BYTES / ((int64_t)p.width * (int64_t)sizeof(float));
    p.each = p.each > 0 ? p.each : 1;
    p.pages = (p.rows + p.each - 1) / p.each;
    p.most = (int64_t)(bytes / PAGE_BYTES);
    p.most = p.most > LEAST_PAGES ? p.most : LEAST_PAGES;
    p.most = p.most < p.pages ? p.most : p.pages;
    return p;
}

double crs_pages_memory(const crs_set *set, size_t bytes) {
    const crs_pages p = cut(set, bytes);
    return (double)p.most * (double)(p.each * p.width) * sizeof(float) + (double)p.pages * sizeof *p.page +
           (double)p.most * sizeof *p.ring;
}

crs_status crs_pages_open(crs_pages *p, const crs_dataset *dataset, crs_split split, crs_part part, size_t bytes,
                          crs_error *error) {
    const crs_set *set = crs_part_of(dataset, split, part);
    *p = cut(set, bytes);
    p->dataset = dataset;
    p->split = split;
    p->part = part;
    p->page = crs_alloc_or_fail((size_t)p->pages, sizeof *p->page, CRS_MEMORY_DATA, "pages of the data", error);
    p->ring = crs_alloc_or_fail((size_t)p->most, sizeof *p->ring, CRS_MEMORY_DATA, "pages of the data", error);
    return error->status;
}

void crs_pages_close(crs_pages *p) {
    for (int64_t i = 0; i < p->pages && p->page; i++)
        crs_free(&p->page[i]);
    crs_free(&p->page);
    crs_free(&p->ring);
    crs_free(&p->spare);
}

/* (x - mean) / deviation, in double, rounded once. */
static void scale(float *restrict values, int64_t rows, int width, const crs_scale *scale) {
    const double *restrict mean = scale->mean, *restrict deviation = scale->deviation;
    for (int64_t row = 0; row < rows; row++, values += width)
        for (int column = 0; column < width; column++)
            values[column] = (float)(((double)values[column] - mean[column]) / deviation[column]);
}

/* Numbers of `unit` bytes at the end of a page become ones of 4 bytes from its beginning on: none is overwritten before
 * it is read. */
static void widen(char *page, const char *stored, int unit, size_t count, bool bits) {
    enum { AT_A_TIME = 256 };
    for (size_t done = 0; done < count; done += AT_A_TIME) {
        const size_t part = count - done < AT_A_TIME ? count - done : AT_A_TIME;
        uint32_t numbers[AT_A_TIME];
        float reals[AT_A_TIME];
        crs_tokens_widen(stored + done * (size_t)unit, unit, part, numbers);
        for (size_t i = 0; bits && i < part; i++)
            reals[i] = (float)numbers[i];
        memcpy(page + done * sizeof *numbers, bits ? (const void *)reals : (const void *)numbers,
               part * sizeof *numbers);
    }
}

static crs_status fill(const crs_pages *p, int64_t first, int64_t count, void *out, crs_error *error) {
    const crs_schema *s = &p->dataset->schema;
    const int unit = p->set->unit;
    const size_t all = (size_t)(count * p->width);
    char *stored = (char *)out + all * (sizeof(float) - (size_t)unit);
    if (crs_part_read(p->dataset, p->split, p->part, first, count, stored, error))
        return error->status;
    const bool bits = p->part == CRS_PART_INPUTS    ? s->inputs == CRS_INPUT_BITS
                      : p->part == CRS_PART_TARGETS ? s->targets == CRS_TARGET_BITS
                                                    : false;
    if (bits || p->set->plan.kind == CRS_SET_TOKENS)
        widen(out, stored, unit, all, bits);
    if (p->plain)
        return CRS_OK;
    if (p->part == CRS_PART_INPUTS && s->inputs == CRS_INPUT_VALUES)
        scale(out, count, p->width, &s->scale);
    if (p->part == CRS_PART_TARGETS && s->targets == CRS_TARGET_VALUES)
        scale(out, count, p->width, &s->target_scale);
    return CRS_OK;
}

/* Memory for a page: where no more may be had, that of another, in turn. */
static bool make_room(crs_pages *p, crs_error *error) {
    if (p->spare)
        return true;
    if (p->held < p->most) {
        p->spare = crs_alloc_or_fail((size_t)(p->each * p->width), sizeof(float), CRS_MEMORY_DATA, "a page of the data",
                                     error);
        return p->spare != NULL;
    }
    void **old = &p->page[p->ring[p->next]];
    p->spare = *old;
    *old = NULL;
    p->ring[p->next] = p->ring[--p->held];
    p->next = p->held > 0 ? (p->next + 1) % p->held : 0;
    return true;
}

static crs_status load(crs_pages *p, int64_t number, crs_error *error) {
    const int64_t first = number * p->each, left = p->rows - first;
    if (!make_room(p, error) || fill(p, first, left < p->each ? left : p->each, p->spare, error))
        return error->status;
    p->page[number] = p->spare;
    p->spare = NULL;
    p->ring[p->held++] = number;
    return CRS_OK;
}

const void *crs_pages_at(crs_pages *p, int64_t row, int64_t *count, crs_error *error) {
    CRS_ASSERT(row >= 0 && row < p->rows);
    const int64_t number = row / p->each, skip = row % p->each, end = (number + 1) * p->each;
    if (!p->page[number] && load(p, number, error))
        return NULL;
    *count = (end < p->rows ? end : p->rows) - row;
    return (const char *)p->page[number] + skip * p->width * (int64_t)sizeof(float);
}

crs_status crs_pages_copy(crs_pages *p, int64_t row, int64_t count, void *out, crs_error *error) {
    const size_t bytes = (size_t)p->width * sizeof(float);
    char *to = out;
    for (int64_t part = 0; count > 0; count -= part, row += part) {
        const void *from = crs_pages_at(p, row, &part, error);
        if (!from)
            return error->status;
        part = part < count ? part : count;
        memcpy(to, from, (size_t)part * bytes);
        to += (size_t)part * bytes;
    }
    return CRS_OK;
}
