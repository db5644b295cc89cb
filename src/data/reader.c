/* Windows of neighbouring rows of a split, read ahead in pieces. */
#include "config.h"

#include "data/reader.h"

#include "data/dataset.h"
#include "data/tokens.h"

/* The buffers of all readers together, and the most and the least tokens a row: reads of a megabyte gain nothing,
 * reads of a few bytes cost a lot. */
enum { BUDGET = 16 << 20, MOST_BYTES = 256 << 10, LEAST = 1024 };

/* Invariant: packed holds the tokens start .. start + count - 1 of the split. */
typedef struct piece {
    int64_t start, count;
    unsigned char *packed; /* [room] tokens; of the reader's one block */
} piece;

struct crs_reader {
    const crs_dataset *dataset; /* borrowed */
    crs_split split;
    int64_t stride, first_row;
    int rows;
    int64_t room, reads;  /* room: tokens a piece */
    piece *pieces;        /* [rows], owned */
    unsigned char *block; /* owned */
};

crs_status crs_reader_create_within(crs_reader **reader, const crs_dataset *dataset, crs_split split, int64_t stride,
                                    int64_t first_row, int rows, size_t budget, size_t least, crs_error *error) {
    size_t token_bytes = (size_t)dataset->token_bytes, each = budget / token_bytes / (rows > 0 ? (size_t)rows : 1);
    CRS_ASSERT(stride >= 1 && first_row >= 0 && rows >= 0);
    if (each > MOST_BYTES / token_bytes)
        each = MOST_BYTES / token_bytes;
    if (each < least)
        each = least;
    if (each > (size_t)stride + 1) /* a row's windows end with the first token of the next row */
        each = (size_t)stride + 1;
    crs_reader *r = *reader = crs_alloc_or_fail(1, sizeof *r, CRS_MEMORY_DATA, "a reader", error);
    if (!r)
        return error->status;
    *r = (crs_reader){.dataset = dataset, .split = split, .stride = stride, .first_row = first_row, .rows = rows};
    r->room = (int64_t)each;
    r->pieces = crs_alloc_or_fail((size_t)rows, sizeof *r->pieces, CRS_MEMORY_DATA, "a reader's rows", error);
    if (r->pieces)
        r->block = crs_alloc_or_fail((size_t)rows, each * token_bytes, CRS_MEMORY_DATA, "reading ahead", error);
    if (!r->block) {
        crs_reader_free(reader);
        return error->status;
    }
    for (int row = 0; row < rows; row++)
        r->pieces[row].packed = r->block + (size_t)row * each * token_bytes;
    return CRS_OK;
}

crs_status crs_reader_create(crs_reader **reader, const crs_dataset *dataset, crs_split split, int64_t stride,
                             int64_t first_row, int rows, int readers, crs_error *error) {
    return crs_reader_create_within(reader, dataset, split, stride, first_row, rows, BUDGET / (size_t)readers, LEAST,
                                    error);
}

void crs_reader_free(crs_reader **reader) {
    if (!*reader)
        return;
    crs_free(&(*reader)->block);
    crs_free(&(*reader)->pieces);
    crs_free(reader);
}

int64_t crs_reader_reads(const crs_reader *reader) {
    return reader->reads;
}

/* Makes the piece hold the token at `place`, and what follows it up to the end of the row. */
static crs_status fill(crs_reader *reader, int row, int64_t place, crs_error *error) {
    piece *p = &reader->pieces[row];
    int64_t end = (reader->first_row + row + 1) * reader->stride + 1, length = reader->dataset->length[reader->split];
    if (end > length)
        end = length;
    int64_t count = end - place < reader->room ? end - place : reader->room;
    CRS_ASSERT(count > 0);
    p->count = 0;
    crs_status status = crs_dataset_read_packed(reader->dataset, reader->split, place, count, p->packed, error);
    if (status)
        return status;
    reader->reads++;
    p->start = place;
    p->count = count;
    return CRS_OK;
}

/* count tokens of a piece from `skip` on are those of the times t, t + 1, ... of this row. */
static void spread(const crs_reader *reader, const piece *p, int64_t skip, int64_t count, int t, int steps, int row,
                   uint32_t *inputs, uint32_t *targets) {
    enum { PART = 256 };
    uint32_t tokens[PART];
    size_t token_bytes = (size_t)reader->dataset->token_bytes, rows = (size_t)reader->rows;
    for (int64_t done = 0; done < count; done += PART) {
        int part = count - done < PART ? (int)(count - done) : PART;
        crs_tokens_widen(p->packed + (size_t)(skip + done) * token_bytes, (int)token_bytes, (size_t)part, tokens);
        for (int i = 0; i < part; i++, t++) {
            if (t < steps)
                inputs[(size_t)t * rows + (size_t)row] = tokens[i];
            if (t > 0)
                targets[(size_t)(t - 1) * rows + (size_t)row] = tokens[i];
        }
    }
}

crs_status crs_reader_window(crs_reader *reader, int64_t offset, int steps, uint32_t *inputs, uint32_t *targets,
                             crs_error *error) {
    CRS_ASSERT(offset >= 0 && steps > 0 && offset + steps <= reader->stride);
    for (int row = 0; row < reader->rows; row++) {
        piece *p = &reader->pieces[row];
        int64_t base = (reader->first_row + row) * reader->stride + offset;
        /* A window has steps + 1 tokens: the inputs, and the last target. */
        for (int t = 0; t <= steps;) {
            int64_t place = base + t;
            if (place < p->start || place >= p->start + p->count) {
                crs_status status = fill(reader, row, place, error);
                if (status)
                    return status;
            }
            int64_t skip = place - p->start, count = p->count - skip;
            if (count > steps + 1 - t)
                count = steps + 1 - t;
            spread(reader, p, skip, count, t, steps, row, inputs, targets);
            t += (int)count;
        }
    }
    return CRS_OK;
}
