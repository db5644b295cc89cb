/* A table as HDF5: a data set a column, written some rows at a time. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "data/sink.h"
#include "data/table.h"

enum { CHUNK_BYTES = 1 << 20, ROWS_MOST = 4096 };

typedef struct column {
    hid_t set, type;  /* set: below 0 until the first rows are written */
    size_t row_bytes; /* of the buffer */
    char *buffer;     /* owned, [rows of a block] */
} column;

typedef struct book {
    hid_t file;
    int failed;     /* errno of what could not be written to it */
    int rows;       /* of a block */
    int filled;     /* rows of this one */
    column *column; /* owned, [count] */
} book;

static size_t row_bytes(const crs_table_column *c) {
    if (c->kind == CRS_TABLE_TEXT)
        return c->width > 0 ? (size_t)c->width : 1;
    return (c->number ? (size_t)c->width : 1) * sizeof(int64_t); /* a double has as many */
}

/* On the disk. */
static hid_t file_type(crs_table_kind kind, const column *c) {
    return kind == CRS_TABLE_TEXT ? c->type : kind == CRS_TABLE_INTEGER ? H5T_STD_I64LE : H5T_IEEE_F64LE;
}

static bool open_columns(crs_table *t, book *b) {
    size_t widest = 1;
    for (int i = 0; i < t->count; i++)
        widest = row_bytes(&t->columns[i]) > widest ? row_bytes(&t->columns[i]) : widest;
    b->rows = widest > CHUNK_BYTES ? 1 : (int)(CHUNK_BYTES / widest);
    b->rows = b->rows > ROWS_MOST ? ROWS_MOST : b->rows;
    b->column = crs_alloc((size_t)t->count, sizeof *b->column, CRS_MEMORY_DATA);
    for (int i = 0; b->column && i < t->count; i++)
        b->column[i].set = b->column[i].type = H5I_INVALID_HID;
    bool good = b->column != NULL;
    for (int i = 0; good && i < t->count; i++) {
        column *c = &b->column[i];
        const crs_table_kind kind = t->columns[i].kind;
        c->row_bytes = row_bytes(&t->columns[i]);
        c->buffer = crs_alloc((size_t)b->rows, c->row_bytes, CRS_MEMORY_DATA);
        c->type = kind == CRS_TABLE_TEXT      ? crs_h5_text_type(c->row_bytes)
                  : kind == CRS_TABLE_INTEGER ? H5Tcopy(H5T_NATIVE_INT64)
                                              : H5Tcopy(H5T_NATIVE_DOUBLE);
        good = c->buffer && c->type >= 0;
    }
    if (!good)
        errno = ENOMEM;
    return good;
}

static bool begin(crs_table *t, const char *description) {
    book *b = t->own = crs_alloc(1, sizeof *b, CRS_MEMORY_DATA);
    if (!b) {
        errno = ENOMEM;
        return false;
    }
    *b = (book){.file = H5I_INVALID_HID};
    crs_h5_silence();
    if (!open_columns(t, b))
        return false;
    b->file = crs_h5_create(t->output.temporary, crs_sink_access(&b->failed));
    return b->file >= 0 && crs_h5_put_text(b->file, "format", "carousel/table") &&
           crs_h5_put_integer(b->file, "version", 1) && crs_h5_put_text(b->file, "description", description);
}

static bool cell(crs_table *t, const void *values, int count) {
    book *b = t->own;
    const column *c = &b->column[t->column];
    char *to = c->buffer + (size_t)b->filled * c->row_bytes;
    if (t->columns[t->column].kind != CRS_TABLE_TEXT) {
        memcpy(to, values, (size_t)count * sizeof(int64_t));
        return true;
    }
    const size_t length = strlen(values);
    CRS_ASSERT(length <= c->row_bytes);
    memset(to, 0, c->row_bytes);
    memcpy(to, values, length);
    return true;
}

/* Of as many rows a chunk as are written at once; compressed, where HDF5 can. */
static bool create_set(const crs_table *t, const book *b, int i) {
    const crs_table_column *as = &t->columns[i];
    const hsize_t size[] = {0, (hsize_t)as->width}, most[] = {H5S_UNLIMITED, (hsize_t)as->width},
                  chunk[] = {b->filled > 0 ? (hsize_t)b->filled : 1, (hsize_t)as->width};
    const int rank = as->number ? 2 : 1;
    column *c = &b->column[i];
    hid_t space = H5Screate_simple(rank, size, most), plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(plan, rank, chunk);
    H5Pset_obj_track_times(plan, false);
    if (H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) {
        H5Pset_shuffle(plan);
        H5Pset_deflate(plan, 1);
    }
    c->set = H5Dcreate2(b->file, as->name, file_type(as->kind, c), space, H5P_DEFAULT, plan, H5P_DEFAULT);
    crs_h5_close(&plan);
    crs_h5_close(&space);
    return c->set >= 0 && crs_h5_put_text(c->set, "description", as->description) &&
           (!as->units || crs_h5_put_text(c->set, "units", as->units));
}

static bool write_column(const crs_table *t, const book *b, int i, hsize_t before) {
    const crs_table_column *as = &t->columns[i];
    const int rank = as->number ? 2 : 1;
    const hsize_t first[] = {before, 0}, count[] = {(hsize_t)b->filled, (hsize_t)as->width},
                  size[] = {before + (hsize_t)b->filled, (hsize_t)as->width};
    const column *c = &b->column[i];
    if (H5Dset_extent(c->set, size) < 0)
        return false;
    hid_t space = H5Dget_space(c->set), memory = H5Screate_simple(rank, count, NULL);
    const bool good = H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count, NULL) >= 0 &&
                      H5Dwrite(c->set, c->type, memory, space, H5P_DEFAULT, c->buffer) >= 0;
    crs_h5_close(&memory);
    crs_h5_close(&space);
    return good;
}

/* rows: those ended so far, with the block's. */
static bool write_block(const crs_table *t, book *b, int64_t rows) {
    for (int i = 0; i < t->count; i++) {
        if (b->column[i].set < 0 && !create_set(t, b, i))
            return false;
        if (b->filled > 0 && !write_column(t, b, i, (hsize_t)(rows - b->filled)))
            return false;
    }
    b->filled = 0;
    return true;
}

static bool end_row(crs_table *t) {
    book *b = t->own;
    if (++b->filled < b->rows)
        return true;
    const bool good = write_block(t, b, t->rows + 1);
    errno = b->failed;
    return good && errno == 0;
}

static bool close_sets(const crs_table *t, const book *b) {
    bool good = true;
    for (int i = 0; b->column && i < t->count; i++)
        good = crs_h5_close(&b->column[i].set) && good;
    return good;
}

static bool finish(crs_table *t) {
    book *b = t->own;
    /* Without rows the data sets are there all the same. */
    const bool good = ((b->filled == 0 && t->rows > 0) || write_block(t, b, t->rows)) && close_sets(t, b);
    const bool closed = crs_h5_close(&b->file);
    errno = b->failed;
    return good && closed && errno == 0;
}

static void release(crs_table *t) {
    book *b = t->own;
    if (!b)
        return;
    b->failed = ECANCELED;
    close_sets(t, b);
    for (int i = 0; b->column && i < t->count; i++) {
        crs_h5_close(&b->column[i].type);
        crs_free(&b->column[i].buffer);
    }
    crs_h5_close(&b->file);
    crs_free(&b->column);
    crs_free(&t->own);
}

const crs_table_form crs_table_h5_form = {
    .begin = begin, .cell = cell, .end_row = end_row, .finish = finish, .release = release};
