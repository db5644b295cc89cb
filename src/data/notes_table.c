/* Which file is in which split, from a table. */
#include "config.h"

#include "data/notes_files.h"

#include <stdlib.h>
#include <string.h>

#include "data/csv.h"

enum { NOWHERE = -1 };

typedef struct sorting {
    crs_notes_files *files;
    int *by_name;    /* [files]: files by name; owned */
    int64_t *row;    /* [files]: the row of each; owned */
    int name, split; /* columns; NOWHERE: the header has not come */
    int64_t rows, missing;
} sorting;

/* The file of a name: below a folder that was given, or at the end of a path that was. */
static int find(const sorting *s, const char *name) {
    int first = 0, end = s->files->count;
    while (first < end) {
        const int middle = first + (end - first) / 2;
        const int order = strcmp(s->files->file[s->by_name[middle]].name, name);
        if (order == 0)
            return s->by_name[middle];
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    const size_t length = strlen(name);
    for (int i = 0; i < s->files->count && length > 0; i++) {
        const char *path = s->files->file[i].path;
        const size_t size = strlen(path);
        if (size > length && path[size - length - 1] == '/' && strcmp(path + size - length, name) == 0)
            return i;
    }
    return NOWHERE;
}

static crs_status take_header(sorting *s, const crs_csv_row *row, crs_error *error) {
    for (int i = 0; i < row->count; i++)
        if (strcmp(row->field[i].text, "midi_filename") == 0)
            s->name = i;
        else if (strcmp(row->field[i].text, "split") == 0)
            s->split = i;
    if (s->name == NOWHERE || s->split == NOWHERE)
        return crs_csv_fail(row, error, "its header has no column '%s'; it should have midi_filename and split",
                            s->name == NOWHERE ? "midi_filename" : "split");
    return CRS_OK;
}

static crs_status take_row(void *context, const crs_csv_row *row, crs_error *error) {
    sorting *s = context;
    if (s->name == NOWHERE)
        return take_header(s, row, error);
    const int most = s->name > s->split ? s->name : s->split;
    if (row->count <= most)
        return crs_csv_fail(row, error, "it has %d fields, and the column '%s' is number %d", row->count,
                            most == s->name ? "midi_filename" : "split", most + 1);
    const char *name = row->field[s->name].text, *split = row->field[s->split].text;
    int kind = 0;
    while (kind < CRS_SPLITS && strcmp(split, crs_split_name((crs_split)kind)) != 0)
        kind++;
    if (strcmp(split, "valid") == 0)
        kind = CRS_VALIDATION;
    if (kind == CRS_SPLITS)
        return crs_csv_fail(row, error, "split is '%.60s'; it should be train, validation or test", split);
    const int at = find(s, name);
    if (at == NOWHERE) {
        s->missing++;
        return CRS_OK;
    }
    crs_notes_file *file = &s->files->file[at];
    if (file->split != NOWHERE && file->split != kind)
        return crs_csv_fail(row, error, "%.200s is in two splits, %s and %s", name,
                            crs_split_name((crs_split)file->split), split);
    if (file->split == NOWHERE)
        s->row[at] = s->rows++;
    file->split = kind;
    return CRS_OK;
}

static const sorting *comparing; /* qsort has no context */

static int compare_names(const void *left, const void *right) {
    const crs_notes_file *file = comparing->files->file;
    return strcmp(file[*(const int *)left].name, file[*(const int *)right].name);
}

static int compare_rows(const void *left, const void *right) {
    const int64_t a = comparing->row[*(const int *)left], b = comparing->row[*(const int *)right];
    return (a > b) - (a < b);
}

/* Files in the order of the table. */
static crs_status put_in_order(sorting *s, const char *table, crs_error *error) {
    crs_notes_files *files = s->files;
    for (int i = 0; i < files->count; i++)
        if (files->file[i].split == NOWHERE)
            return crs_fail(error, CRS_DATA, "%s: it is not in the table %s (column midi_filename)",
                            files->file[i].path, table);
    crs_notes_file *sorted =
        crs_alloc_or_fail((size_t)files->count, sizeof *sorted, CRS_MEMORY_DATA, "a list of files", error);
    if (!sorted)
        return error->status;
    qsort(s->by_name, (size_t)files->count, sizeof *s->by_name, compare_rows);
    for (int i = 0; i < files->count; i++)
        sorted[i] = files->file[s->by_name[i]];
    crs_free(&files->file);
    files->file = sorted;
    return CRS_OK;
}

static crs_status read_table(sorting *s, const char *table, const crs_output *output, crs_error *error) {
    crs_source source = {.spool = -1};
    crs_csv csv = {.source = &source, .delimiter = ',', .take = take_row, .context = s};
    crs_status status = crs_source_open(&source, table, output, error);
    if (!status)
        status = crs_csv_read(&csv, NULL, NULL, error);
    crs_source_close(&source);
    if (!status && s->name == NOWHERE)
        status = crs_fail(error, CRS_DATA, "%s: it is empty; a table with midi_filename and split was expected", table);
    return status ? status : put_in_order(s, table, error);
}

crs_status crs_notes_files_sort(crs_notes_files *files, const char *table, const crs_output *output, int64_t *missing,
                                crs_error *error) {
    const size_t count = (size_t)files->count;
    sorting s = {.files = files, .name = NOWHERE, .split = NOWHERE};
    s.by_name = crs_alloc_or_fail(count, sizeof *s.by_name, CRS_MEMORY_DATA, "a list of files", error);
    s.row = crs_alloc_or_fail(count, sizeof *s.row, CRS_MEMORY_DATA, "a list of files", error);
    crs_status status = s.by_name && s.row ? CRS_OK : CRS_INTERNAL;
    for (int i = 0; i < files->count && !status; i++) {
        s.by_name[i] = i;
        files->file[i].split = NOWHERE;
    }
    comparing = &s;
    if (!status) {
        qsort(s.by_name, count, sizeof *s.by_name, compare_names);
        status = read_table(&s, table, output, error);
    }
    *missing = s.missing;
    crs_free(&s.row);
    crs_free(&s.by_name);
    return status;
}
