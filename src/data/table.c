/* Tables of many rows, whole or not at all; as text with commas. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "data/table.h"

/* ---- either form ---- */

static const crs_table_form *form_of(const char *path) {
    const char *dot = strrchr(path, '.');
    if (dot && strcasecmp(dot, ".csv") == 0)
        return &crs_table_text_form;
    return dot && strcasecmp(dot, ".h5") == 0 ? &crs_table_h5_form : NULL;
}

crs_status crs_table_check(const char *path, crs_error *error) {
    if (form_of(path))
        return CRS_OK;
    return crs_fail(error, CRS_USAGE,
                    "-o: '%.200s' ends neither in .csv (text) nor in .h5 (HDF5): give a name that does", path);
}

static crs_status fail(const crs_table *table, int reason, crs_error *error) {
    return crs_output_fail(&table->output, reason, error);
}

crs_status crs_table_create(crs_table **table, const char *path, const char *description,
                            const crs_table_column *columns, int count, crs_error *error) {
    *table = NULL;
    if (crs_table_check(path, error))
        return error->status;
    crs_table *t = crs_alloc_or_fail(1, sizeof *t, CRS_MEMORY_DATA, "a table", error);
    if (!t)
        return error->status;
    *t = (crs_table){.form = form_of(path), .count = count, .output.lock = -1};
    t->name = crs_copy_text(path);
    t->columns = crs_alloc((size_t)count, sizeof *t->columns, CRS_MEMORY_DATA);
    if (!t->name || !t->columns) {
        crs_fail(error, CRS_INTERNAL, "out of memory for a table");
    } else {
        memcpy(t->columns, columns, (size_t)count * sizeof *columns);
        errno = 0;
        if (crs_output_open(&t->output, t->name, error) == CRS_OK && !t->form->begin(t, description))
            fail(t, errno, error);
    }
    if (error->status)
        crs_table_free(&t);
    *table = t;
    return error->status;
}

static void put(crs_table *t, crs_table_kind kind, const void *values, int count) {
    CRS_ASSERT(t->column < t->count && t->columns[t->column].kind == kind);
    errno = 0;
    if (t->failed == 0 && !t->form->cell(t, values, count))
        t->failed = errno ? errno : EIO;
    t->column++;
}

void crs_table_integer(crs_table *table, int64_t value) {
    put(table, CRS_TABLE_INTEGER, &value, 1);
}

void crs_table_text(crs_table *table, const char *text) {
    put(table, CRS_TABLE_TEXT, text, 1);
}

void crs_table_reals(crs_table *table, const double *values, int count) {
    const crs_table_column *column = &table->columns[table->column];
    CRS_ASSERT(count == (column->number ? column->width : 1));
    put(table, CRS_TABLE_REAL, values, count);
}

crs_status crs_table_end(crs_table *table, crs_error *error) {
    CRS_ASSERT(table->column == table->count);
    errno = 0;
    table->column = 0;
    if (table->failed)
        return fail(table, table->failed, error);
    if (!table->form->end_row(table))
        return fail(table, errno, error);
    table->rows++;
    return CRS_OK;
}

crs_status crs_table_finish(crs_table *table, crs_error *error) {
    CRS_ASSERT(table->column == 0);
    errno = 0;
    if (!table->form->finish(table))
        return fail(table, errno, error);
    return crs_output_finish(&table->output, error);
}

void crs_table_free(crs_table **table) {
    crs_table *t = *table;
    if (!t)
        return;
    t->form->release(t);
    crs_output_discard(&t->output);
    crs_free(&t->columns);
    crs_free(&t->name);
    crs_free(table);
}

/* ---- text: RFC 4180, but for the ends of lines, which are a newline ---- */

static FILE *file_of(const crs_table *t) {
    return t->own;
}

/* Between quotes where it must be. False where it is not written. */
static bool write_text(FILE *file, const char *prefix, const char *text) {
    const bool quoted = strpbrk(prefix, ",\"\r\n") || strpbrk(text, ",\"\r\n");
    if (quoted)
        fputc('"', file);
    for (int part = 0; part < 2; part++)
        for (const char *c = part ? text : prefix; *c; c++) {
            if (*c == '"')
                fputc('"', file);
            fputc(*c, file);
        }
    if (quoted)
        fputc('"', file);
    return !ferror(file);
}

static bool begin(crs_table *t, const char *description) {
    (void)description;
    FILE *file = t->own = fopen(t->output.temporary, "w");
    if (!file)
        return false;
    for (int i = 0; i < t->count; i++) {
        const crs_table_column *c = &t->columns[i];
        for (int j = 0; j < (c->number ? c->width : 1); j++) {
            char prefix[64] = "";
            if (i + j > 0)
                fputc(',', file);
            if (c->number)
                snprintf(prefix, sizeof prefix, "%s:", c->name);
            write_text(file, prefix, c->number ? c->number[j] : c->name);
        }
    }
    fputc('\n', file);
    return !ferror(file);
}

static bool cell(crs_table *t, const void *values, int count) {
    FILE *file = file_of(t);
    const crs_table_kind kind = t->columns[t->column].kind;
    if (t->column > 0)
        fputc(',', file);
    if (kind == CRS_TABLE_TEXT)
        return write_text(file, "", values);
    if (kind == CRS_TABLE_INTEGER)
        fprintf(file, "%" PRId64, *(const int64_t *)values);
    for (int i = 0; i < count && kind == CRS_TABLE_REAL; i++) {
        const double value = ((const double *)values)[i];
        if (i > 0)
            fputc(',', file);
        if (isnan(value))
            fputs("nan", file); /* without a sign, which has no meaning */
        else
            fprintf(file, "%.9g", value);
    }
    return !ferror(file);
}

static bool end_row(crs_table *t) {
    return fputc('\n', file_of(t)) != EOF;
}

static bool finish(crs_table *t) {
    FILE *file = file_of(t);
    t->own = NULL;
    const bool good = !ferror(file);
    return fclose(file) == 0 && good;
}

static void release(crs_table *t) {
    if (t->own)
        fclose(t->own);
}

const crs_table_form crs_table_text_form = {
    .begin = begin, .cell = cell, .end_row = end_row, .finish = finish, .release = release};
