/* Columns of a table: what each is for, and what stands in a row. */
#include "config.h"

#include "data/pack_table.h"

#include <math.h>
#include <string.h>

enum { CLASSES_MOST = 1 << 16, LIST_BYTES = 200 };

bool crs_table_is_forecast(const crs_table_pack *pack) {
    return pack->context > 0;
}

int crs_table_targets(const crs_tabling *t) {
    return crs_table_is_forecast(t->pack) ? 0 : t->columns.targets;
}

void crs_table_columns_free(crs_table_columns *c) {
    crs_names_free(&c->name);
    crs_free(&c->input);
    crs_free(&c->target);
}

static crs_status fail_memory(crs_error *error) {
    return crs_fail(error, CRS_INTERNAL, "out of memory for the columns of a table");
}

/* ---- the header ---- */

static crs_status refuse_column(const crs_csv_row *row, const char *option, const char *name, const crs_names *columns,
                                crs_error *error) {
    char list[LIST_BYTES + 8] = "";
    size_t length = 0;
    for (int i = 0; i < columns->count && length < LIST_BYTES; i++)
        length += (size_t)snprintf(list + length, LIST_BYTES - length, "%s%s", i ? ", " : "", columns->name[i]);
    if (length >= LIST_BYTES)
        snprintf(list + LIST_BYTES - 1, 8, " ...");
    crs_utf8_mend(list); /* it may be cut within a character */
    return crs_fail(error, CRS_USAGE, "%s: '%.60s' is no column of %s; it has: %s", option, name,
                    crs_source_name(row->source), list);
}

/* The number of the column that an option names; NULL names none. */
static crs_status find_column(const crs_csv_row *row, const crs_names *columns, const char *option, const char *name,
                              int *column, crs_error *error) {
    *column = CRS_NO_COLUMN;
    if (!name)
        return CRS_OK;
    *column = crs_names_find(columns, name);
    return *column >= 0 ? CRS_OK : refuse_column(row, option, name, columns, error);
}

static crs_status find_columns(const crs_csv_row *row, const crs_names *columns, const char *option,
                               const crs_names *wanted, int *column, crs_error *error) {
    for (int i = 0; i < wanted->count; i++) {
        if (find_column(row, columns, option, wanted->name[i], &column[i], error))
            return error->status;
        for (int k = 0; k < i; k++)
            if (column[k] == column[i])
                return crs_fail(error, CRS_USAGE, "%s: '%.60s' stands there twice", option, wanted->name[i]);
    }
    return CRS_OK;
}

static bool is_taken(const crs_table_columns *c, int column, bool forecast) {
    if (column == c->time || column == c->group || column == c->class || column == c->split)
        return true;
    for (int i = 0; i < c->targets && !forecast; i++)
        if (c->target[i] == column)
            return true;
    return false;
}

/* All columns that are nothing else. */
static crs_status choose_inputs(crs_table_columns *c, const crs_csv_row *row, bool forecast, crs_error *error) {
    for (int i = 0; i < c->name.count; i++) {
        if (is_taken(c, i, forecast))
            continue;
        if (!*c->name.name[i])
            return crs_csv_fail(row, error, "column %d has no name; name the inputs with --inputs", i + 1);
        c->input[c->inputs++] = i;
    }
    if (c->inputs == 0)
        return crs_csv_fail(row, error, "no column is left to be an input; name some with --inputs");
    return CRS_OK;
}

static bool is_input(const crs_table_columns *c, int column) {
    for (int i = 0; i < c->inputs; i++)
        if (c->input[i] == column)
            return true;
    return false;
}

/* Of a forecast: among the inputs, or all of them. */
static crs_status check_forecast(crs_table_columns *c, crs_error *error) {
    for (int i = 0; i < c->targets; i++)
        if (!is_input(c, c->target[i]))
            return crs_fail(error, CRS_USAGE,
                            "--targets: '%.60s' is to be forecast, and is none of --inputs; name it there too",
                            c->name.name[c->target[i]]);
    if (c->targets == 0) {
        c->targets = c->inputs;
        memcpy(c->target, c->input, (size_t)c->inputs * sizeof *c->input);
    }
    return CRS_OK;
}

static crs_status check_names(const crs_csv_row *row, const crs_names *names, crs_error *error) {
    double number;
    bool numbers = true;
    for (int i = 0; i < row->count; i++) {
        numbers = numbers && (crs_csv_number(&row->field[i], &number) || crs_csv_missing(&row->field[i]));
        const int first = crs_names_find(names, names->name[i]);
        if (first < i && *names->name[i])
            return crs_csv_fail(row, error, "columns %d and %d are both called '%.60s'", first + 1, i + 1,
                                names->name[i]);
    }
    if (numbers)
        return crs_csv_fail(row, error, "numbers, and not the names of the columns: a table begins with these");
    return CRS_OK;
}

/* What each column is for. */
static crs_status assign(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const crs_table_pack *pack = t->pack;
    crs_table_columns *c = &t->columns;
    const size_t most = (size_t)c->name.count + 1;
    c->input = crs_alloc(most + (size_t)pack->inputs.count, sizeof *c->input, CRS_MEMORY_DATA);
    c->target = crs_alloc(most + (size_t)pack->targets.count, sizeof *c->target, CRS_MEMORY_DATA);
    if (!c->input || !c->target)
        return fail_memory(error);
    if (find_column(row, &c->name, "--time", pack->time, &c->time, error) ||
        find_column(row, &c->name, "--group", pack->group, &c->group, error) ||
        find_column(row, &c->name, "--class", pack->class, &c->class, error) ||
        find_column(row, &c->name, "--split-column", pack->split_column, &c->split, error) ||
        find_columns(row, &c->name, "--inputs", &pack->inputs, c->input, error) ||
        find_columns(row, &c->name, "--targets", &pack->targets, c->target, error))
        return error->status;
    c->inputs = pack->inputs.count;
    c->targets = pack->targets.count;
    const bool forecast = crs_table_is_forecast(pack);
    if (c->inputs == 0 && choose_inputs(c, row, forecast, error))
        return error->status;
    return forecast ? check_forecast(c, error) : CRS_OK;
}

static crs_status make_row(crs_tabling *t, crs_error *error) {
    t->row.input = crs_alloc((size_t)t->columns.inputs, sizeof *t->row.input, CRS_MEMORY_DATA);
    t->row.target = crs_alloc((size_t)t->columns.targets, sizeof *t->row.target, CRS_MEMORY_DATA);
    return t->row.input && t->row.target ? CRS_OK : fail_memory(error);
}

static crs_status compare_header(const crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const crs_names *names = &t->columns.name;
    const char *first = crs_source_name(&t->source[0]);
    if (row->count != names->count)
        return crs_csv_fail(row, error, "%d columns, and %.200s has %d; tables packed together have the same",
                            row->count, first, names->count);
    for (int i = 0; i < row->count; i++)
        if (strcmp(row->field[i].text, names->name[i]) != 0)
            return crs_csv_fail(row, error,
                                "column %d is '%.60s', and in %.200s '%.60s'; tables packed together have the same",
                                i + 1, row->field[i].text, first, names->name[i]);
    return CRS_OK;
}

crs_status crs_table_header(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    t->headed = true;
    if (t->columns.name.count > 0)
        return compare_header(t, row, error);
    for (int i = 0; i < row->count; i++)
        if (!crs_names_add(&t->columns.name, row->field[i].text))
            return fail_memory(error);
    if (check_names(row, &t->columns.name, error) || assign(t, row, error))
        return error->status;
    return make_row(t, error);
}

/* ---- a row ---- */

/* A column that is no number, and can't be made up. */
static crs_status check_there(crs_tabling *t, const crs_csv_row *row, int column, crs_error *error) {
    if (column == CRS_NO_COLUMN || !crs_csv_missing(&row->field[column]))
        return CRS_OK;
    if (t->pack->missing != CRS_MISSING_DROP)
        return crs_csv_fail(row, error, "column %.60s is empty; --missing=drop would leave such rows out",
                            t->columns.name.name[column]);
    t->row.dropped = true;
    return CRS_OK;
}

static crs_status take_value(crs_tabling *t, const crs_csv_row *row, int column, float *value, crs_error *error) {
    const crs_csv_field *field = &row->field[column];
    const char *name = t->columns.name.name[column];
    double number = 0;
    if (!crs_csv_missing(field)) {
        if (!crs_csv_number(field, &number))
            return crs_csv_fail(row, error, "column %.60s: '%.60s' is no number%s", name, field->text,
                                t->pack->inputs.count == 0 ? "; --inputs=A,B names the columns that have some" : "");
        *value = (float)number;
        return CRS_OK;
    }
    *value = t->pack->missing == CRS_MISSING_FORWARD ? NAN : 0;
    if (t->pack->missing == CRS_MISSING_DROP)
        t->row.dropped = true;
    else if (t->pack->missing == CRS_MISSING_ERROR)
        return crs_csv_fail(row, error,
                            "column %.60s: a value is missing; --missing=forward, zero or drop says what to do", name);
    else
        t->filled++;
    return CRS_OK;
}

static crs_status take_values(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const crs_table_columns *c = &t->columns;
    crs_status status = CRS_OK;
    for (int i = 0; i < c->inputs && !status; i++)
        status = take_value(t, row, c->input[i], &t->row.input[i], error);
    for (int i = 0; i < crs_table_targets(t) && !status; i++)
        status = take_value(t, row, c->target[i], &t->row.target[i], error);
    return status;
}

/* The number of a name in a list, which may be new. */
static crs_status take_name(crs_dictionary *names, const char *name, int *number, bool *added, crs_error *error) {
    *number = crs_dictionary_add(names, name, added);
    return *number >= 0 ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory for the names of groups and classes");
}

static crs_status take_class(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const int column = t->columns.class;
    bool added;
    if (column == CRS_NO_COLUMN)
        return CRS_OK;
    if (take_name(&t->classes, row->field[column].text, &t->row.class, &added, error))
        return error->status;
    if (!added)
        return CRS_OK;
    if (t->second)
        return crs_source_changed(row->source, error);
    if (t->classes.names.count > CLASSES_MOST)
        return crs_csv_fail(row, error, "column %.60s has more than %d classes; is it the right one?",
                            t->columns.name.name[column], (int)CLASSES_MOST);
    if (!crs_list_grow(&t->class, (size_t)t->row.class, sizeof *t->class))
        return fail_memory(error);
    t->class[t->row.class] = (crs_table_class){0};
    return CRS_OK;
}

static crs_status take_split(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const int column = t->columns.split;
    if (column == CRS_NO_COLUMN)
        return CRS_OK;
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        if (strcmp(row->field[column].text, crs_split_name(split)) == 0) {
            t->row.split = split;
            return CRS_OK;
        }
    return crs_csv_fail(row, error, "column %.60s: '%.60s' is none of train, validation, test",
                        t->columns.name.name[column], row->field[column].text);
}

/* Which series it belongs to: a new one is added. */
static crs_status take_series(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const int column = t->columns.group;
    bool added = t->rows == 0 && !t->second;
    t->row.series = 0;
    if (column != CRS_NO_COLUMN) {
        if (take_name(&t->groups, row->field[column].text, &t->row.series, &added, error))
            return error->status;
        if (added && t->second)
            return crs_source_changed(row->source, error);
    }
    if (!added)
        return CRS_OK;
    const size_t numbers = (size_t)(t->pack->per_sequence ? crs_table_targets(t) : 0);
    if (!crs_list_grow(&t->series, (size_t)t->row.series, sizeof *t->series) ||
        (numbers > 0 && !crs_list_grow(&t->series_target, (size_t)t->row.series, numbers * sizeof *t->series_target)))
        return fail_memory(error);
    t->series[t->row.series] = (crs_table_series){.split = t->row.split};
    return CRS_OK;
}

crs_status crs_table_read(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const crs_table_columns *c = &t->columns;
    if (row->count != c->name.count)
        return crs_csv_fail(row, error, "%d fields, and the header has %d", row->count, c->name.count);
    t->row.dropped = false;
    if (take_values(t, row, error) || check_there(t, row, c->time, error) || check_there(t, row, c->group, error) ||
        check_there(t, row, c->class, error))
        return error->status;
    if (t->row.dropped) /* it makes no class and no series */
        return CRS_OK;
    if (take_split(t, row, error) || take_class(t, row, error))
        return error->status;
    return take_series(t, row, error);
}
