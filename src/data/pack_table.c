/* Tables into a data set of sequences, in two passes. */
#include "config.h"

#include "data/pack_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what was asked for ---- */

static crs_status check_target(const crs_table_pack *pack, crs_error *error) {
    const bool forecast = pack->context > 0 || pack->horizon > 0;
    if (forecast && (pack->context < 1 || pack->horizon < 1))
        return crs_fail(error, CRS_USAGE, "--context and --horizon go together: give both, to forecast");
    if (forecast && (pack->class || pack->per_sequence))
        return crs_fail(error, CRS_USAGE, "--horizon forecasts numbers: it does not go with --class, --per-sequence");
    if (pack->class && pack->targets.count > 0)
        return crs_fail(error, CRS_USAGE, "--class and --targets both say what is to be said; leave out one of them");
    if (!forecast && !pack->class && pack->targets.count == 0)
        return crs_fail(error, CRS_USAGE,
                        "what is to be said? give --class=COLUMN, --targets=A,B, or --context=N --horizon=N to "
                        "forecast");
    if (pack->per_sequence && !pack->group)
        return crs_fail(error, CRS_USAGE, "--per-sequence: without --group all rows are one sequence; give both");
    return CRS_OK;
}

static crs_status check_request(const crs_table_pack *pack, crs_error *error) {
    int standard_inputs = 0;
    for (int i = 0; i < pack->files; i++)
        standard_inputs += strcmp(pack->file[i], "-") == 0;
    if (standard_inputs > 1)
        return crs_fail(error, CRS_USAGE, "-: standard input can be read only once; give - once");
    if (pack->group && pack->cut == CRS_CUT_ROWS)
        return crs_fail(error, CRS_USAGE,
                        "--split-rows cuts one series, and --group makes several; give --split or --split-column");
    return check_target(pack, error);
}

/* ---- the first pass ---- */

static crs_status check_time(crs_tabling *t, const crs_csv_row *row, crs_table_series *s, crs_error *error) {
    double time = 0;
    const int column = t->columns.time;
    if (column == CRS_NO_COLUMN)
        return CRS_OK;
    const char *name = t->columns.name.name[column], *text = row->field[column].text;
    if (!crs_csv_time(&row->field[column], &time))
        return crs_csv_fail(row, error, "column %.60s: '%.60s' is no time: a number, or a date as 2016-07-01 13:00:00",
                            name, text);
    if (s->rows > 0 && !(time > s->time))
        return crs_csv_fail(row, error,
                            "column %.60s: '%.60s' is no later than the row before%s; sort the rows by time", name,
                            text, t->pack->group ? " in its group" : "");
    s->time = time;
    return CRS_OK;
}

static const char *group_name(const crs_tabling *t) {
    return t->pack->group ? t->groups.names.name[t->row.series] : "";
}

/* What a series has once must be the same in all its rows. */
static crs_status check_constant(crs_tabling *t, const crs_csv_row *row, crs_table_series *s, crs_error *error) {
    const int numbers = crs_table_targets(t);
    float *target = numbers > 0 ? t->series_target + (size_t)t->row.series * (size_t)numbers : NULL;
    if (s->rows == 0) {
        s->class = t->row.class;
        for (int k = 0; k < numbers; k++)
            target[k] = t->row.target[k];
        return CRS_OK;
    }
    if (t->columns.class != CRS_NO_COLUMN && s->class != t->row.class)
        return crs_csv_fail(row, error, "group '%.60s' is of class '%.60s' here, and '%.60s' before", group_name(t),
                            t->classes.names.name[t->row.class], t->classes.names.name[s->class]);
    for (int k = 0; k < numbers; k++)
        if (!isnan(t->row.target[k]) && t->row.target[k] != target[k])
            return crs_csv_fail(row, error, "column %.60s is %g in group '%.60s' here, and %g before",
                                t->columns.name.name[t->columns.target[k]], (double)t->row.target[k], group_name(t),
                                (double)target[k]);
    return CRS_OK;
}

static crs_status check_carried(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const crs_table_columns *c = &t->columns;
    int column = CRS_NO_COLUMN;
    for (int i = 0; i < c->inputs; i++)
        column = isnan(t->row.input[i]) ? c->input[i] : column;
    for (int k = 0; k < crs_table_targets(t); k++)
        column = isnan(t->row.target[k]) ? c->target[k] : column;
    if (column == CRS_NO_COLUMN)
        return CRS_OK;
    return crs_csv_fail(row, error,
                        "column %.60s: the first value of a series is missing, so that there is none to carry "
                        "forward; give --missing=zero or drop",
                        c->name.name[column]);
}

/* By its column: a series is in one split; rows of one series for a split stand together. */
static crs_status check_split(crs_tabling *t, const crs_csv_row *row, crs_table_series *s, crs_error *error) {
    const char *here = crs_split_name(t->row.split);
    if (t->columns.split == CRS_NO_COLUMN)
        return CRS_OK;
    if (t->pack->group) {
        if (s->rows > 0 && s->split != t->row.split)
            return crs_csv_fail(row, error, "group '%.60s' is in %s here, and in %s before; a group is in one split",
                                group_name(t), here, crs_split_name(s->split));
        s->split = t->row.split;
        return CRS_OK;
    }
    crs_table_piece *piece = &t->piece[t->row.split];
    if (piece->rows == 0)
        piece->start = t->rows;
    if (piece->start + piece->rows != t->rows)
        return crs_csv_fail(row, error,
                            "the rows of one series that are for %s don't stand together; --group=COLUMN would make "
                            "several series",
                            here);
    piece->rows++;
    return CRS_OK;
}

static crs_status count(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    crs_table_series *s = &t->series[t->row.series];
    if (check_time(t, row, s, error) || check_split(t, row, s, error))
        return error->status;
    if (s->rows == 0 && check_carried(t, row, error))
        return error->status;
    if (t->pack->per_sequence && check_constant(t, row, s, error))
        return error->status;
    t->mixed = t->mixed || (s->rows > 0 && t->last != t->row.series);
    t->last = t->row.series;
    s->rows++;
    t->rows++;
    return CRS_OK;
}

/* ---- passes ---- */

static crs_status take_row(void *context, const crs_csv_row *row, crs_error *error) {
    crs_tabling *t = context;
    if (!t->headed)
        return crs_table_header(t, row, error);
    if (crs_table_read(t, row, error))
        return error->status;
    t->dropped += t->row.dropped;
    if (t->row.dropped)
        return CRS_OK;
    return t->second ? crs_table_put(t, row, error) : count(t, row, error);
}

static void show_progress(void *context, int64_t bytes) {
    crs_tabling *t = context;
    crs_pack_progress_add(&t->progress, bytes);
}

static crs_status read_file(crs_tabling *t, crs_source *source, crs_error *error) {
    const crs_csv csv = {source, t->pack->delimiter, take_row, show_progress, t, 0};
    char hash[CRS_HASH_HEX] = "";
    int64_t size = 0;
    t->headed = false;
    if (crs_csv_read(&csv, &size, hash, error))
        return error->status;
    if (!t->headed)
        return crs_fail(error, CRS_DATA, "%s: it is empty; a table begins with the names of its columns",
                        crs_source_name(source));
    if (t->second && (size != source->size || strcmp(hash, source->hash) != 0))
        return crs_source_changed(source, error);
    source->size = size;
    memcpy(source->hash, hash, sizeof hash);
    return CRS_OK;
}

static crs_status read_all(crs_tabling *t, crs_error *error) {
    crs_status status = CRS_OK;
    t->rows = t->filled = t->dropped = 0;
    t->last = -1;
    for (int i = 0; i < t->pack->files && !status; i++)
        status = read_file(t, &t->source[i], error);
    return status;
}

/* ---- between the passes: who goes where ---- */

/* A class's name as a number; false where it is none. */
static bool name_number(const char *name, double *number) {
    const crs_csv_field field = {name, strlen(name)};
    return crs_csv_number(&field, number);
}

/* Numbers by their size, before names by their bytes. */
static int compare_classes(const void *a, const void *b) {
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    double p, q;
    const bool is_p = name_number(x, &p), is_q = name_number(y, &q);
    if (is_p && is_q && p != q)
        return p < q ? -1 : 1;
    return is_p != is_q ? is_q - is_p : strcmp(x, y);
}

static crs_status sort_classes(crs_tabling *t, crs_error *error) {
    const int classes = t->classes.names.count;
    char **sorted = crs_alloc_or_fail((size_t)classes, sizeof *sorted, CRS_MEMORY_DATA, "classes", error);
    if (!sorted)
        return error->status;
    for (int i = 0; i < classes; i++)
        sorted[i] = t->classes.names.name[i];
    qsort(sorted, (size_t)classes, sizeof *sorted, compare_classes);
    bool good = true;
    for (int i = 0; i < classes; i++) {
        t->class[crs_dictionary_find(&t->classes, sorted[i])].number = i;
        good = good && crs_names_add(&t->schema.classes, sorted[i]);
    }
    crs_free(&sorted);
    return good ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory for classes");
}

/* The rows of the one series, or the groups in their order. */
static crs_status cut(crs_tabling *t, crs_error *error) {
    const crs_table_pack *pack = t->pack;
    int64_t length[CRS_SPLITS], start = 0;
    const int64_t all = pack->group ? t->groups.names.count : t->rows;
    memcpy(length, pack->rows, sizeof length);
    if (pack->cut == CRS_CUT_SHARES)
        crs_split_lengths(pack->split, all, length);
    for (crs_split split = 0; split < CRS_SPLITS && pack->cut != CRS_CUT_COLUMN; split++) {
        if (!pack->group)
            t->piece[split] = (crs_table_piece){start, length[split]};
        for (int64_t i = 0; i < length[split] && pack->group; i++)
            t->series[start + i].split = split;
        start += length[split];
    }
    if (pack->cut == CRS_CUT_ROWS && start > all)
        return crs_fail(error, CRS_DATA, "--split-rows asks for %lld rows, and %s%s %lld", (long long)start,
                        crs_source_name(&t->source[0]), pack->files > 1 ? " and the others have" : " has",
                        (long long)all);
    return CRS_OK;
}

/* The most rows that a series of training has. */
static int64_t longest_trained(const crs_tabling *t) {
    int64_t longest = 0;
    if (!t->pack->group)
        return t->piece[CRS_TRAIN].rows;
    for (int i = 0; i < t->groups.names.count; i++)
        if (t->series[i].split == CRS_TRAIN && t->series[i].rows > longest)
            longest = t->series[i].rows;
    return longest;
}

static crs_status check_cut(const crs_tabling *t, crs_error *error) {
    const crs_table_pack *pack = t->pack;
    const char *name = crs_source_name(&t->source[0]), *others = pack->files > 1 ? " and the others" : "";
    const int64_t longest = longest_trained(t);
    if (t->rows == 0)
        return crs_fail(error, CRS_DATA, "%s%s: nothing to pack: no row stays below the header", name, others);
    if (longest == 0)
        return crs_fail(error, CRS_DATA, "%s%s: nothing is for training (%lld %s in all); give other shares", name,
                        others, (long long)(pack->group ? t->groups.names.count : t->rows),
                        pack->group ? "groups" : "rows");
    if (crs_table_is_forecast(pack) && longest - pack->horizon < pack->context)
        return crs_fail(
            error, CRS_DATA,
            "%s%s: --context=%lld and --horizon=%lld need series of %lld rows, and the longest for training "
            "has %lld",
            name, others, (long long)pack->context, (long long)pack->horizon,
            (long long)(pack->context + pack->horizon), (long long)longest);
    return CRS_OK;
}

/* Names of the numbers of an input or a target. */
static bool add_names(const crs_tabling *t, crs_names *names, const int *column, int columns) {
    bool good = true;
    for (int i = 0; i < columns && good; i++)
        good = crs_names_add(names, t->columns.name.name[column[i]]);
    return good;
}

static crs_status make_schema(crs_tabling *t, crs_error *error) {
    const crs_table_columns *c = &t->columns;
    crs_schema *s = &t->schema;
    const bool forecast = crs_table_is_forecast(t->pack), class = c->class != CRS_NO_COLUMN;
    s->inputs = CRS_INPUT_VALUES;
    s->targets = class ? CRS_TARGET_CLASS : CRS_TARGET_VALUES;
    s->alignment = forecast || t->pack->per_sequence ? CRS_ALIGN_SEQUENCE : CRS_ALIGN_STEP;
    s->context = t->pack->context;
    s->horizon = t->pack->horizon;
    s->input_size = c->inputs;
    s->target_size = class ? t->classes.names.count : c->targets;
    bool good = add_names(t, &s->columns, c->input, c->inputs);
    if (good && !forecast && !class)
        good = add_names(t, &s->target_names, c->target, c->targets);
    if (good && forecast)
        good = (s->target_columns = crs_alloc((size_t)c->targets, sizeof(int), CRS_MEMORY_DATA)) != NULL;
    for (int k = 0; k < c->targets && good && forecast; k++)
        for (int i = 0; i < c->inputs; i++)
            if (c->input[i] == c->target[k])
                s->target_columns[k] = i;
    if (!good)
        return crs_fail(error, CRS_INTERNAL, "out of memory for the names of columns");
    return class ? sort_classes(t, error) : CRS_OK;
}

/* ---- the whole ---- */

/* A class that stands nowhere in training can't be learned. */
static crs_status check_classes(const crs_tabling *t, crs_error *error) {
    for (int i = 0; i < t->classes.names.count; i++) {
        const crs_table_class *c = &t->class[i];
        if (!c->trained && c->source)
            return crs_fail(error, CRS_DATA, "%s:%lld: class '%.60s' stands nowhere in training; cut the splits anew",
                            crs_source_name(c->source), (long long)c->line, t->classes.names.name[i]);
    }
    return CRS_OK;
}

static crs_status open_all(crs_tabling *t, crs_error *error) {
    const crs_table_pack *pack = t->pack;
    t->source = crs_alloc_or_fail((size_t)pack->files, sizeof *t->source, CRS_MEMORY_DATA, "the inputs", error);
    crs_status status = t->source ? crs_output_open(&t->output, pack->output, error) : error->status;
    for (int i = 0; i < pack->files && !status; i++) {
        status = crs_source_open(&t->source[i], pack->file[i], &t->output, error);
        t->progress.total += 2 * t->source[i].size;
    }
    return status;
}

static crs_status run(crs_tabling *t, crs_error *error) {
    if (open_all(t, error) || read_all(t, error) || cut(t, error) || check_cut(t, error) || make_schema(t, error))
        return error->status;
    t->second = true;
    if (crs_table_put_begin(t, error) || read_all(t, error) || crs_table_put_end(t, error) || check_classes(t, error))
        return error->status;
    crs_sequence_writer_missing(t->writer, t->pack->missing, t->filled, t->dropped);
    if (crs_sequence_writer_finish(t->writer, error) || crs_output_verify(&t->output, error))
        return error->status;
    return crs_output_finish(&t->output, error);
}

static void close_all(crs_tabling *t) {
    for (int i = 0; i < t->pack->files && t->source; i++)
        crs_source_close(&t->source[i]);
    crs_sequence_writer_free(&t->writer);
    crs_output_discard(&t->output);
    if (t->spool >= 0)
        close(t->spool);
    crs_table_columns_free(&t->columns);
    crs_dictionary_free(&t->groups);
    crs_dictionary_free(&t->classes);
    crs_schema_free(&t->schema);
    crs_free(&t->source);
    crs_free(&t->series);
    crs_free(&t->series_target);
    crs_free(&t->class);
    crs_free(&t->row.input);
    crs_free(&t->row.target);
    crs_free(&t->carried);
    crs_free(&t->ring);
}

crs_status crs_pack_table(const crs_table_pack *pack, crs_packed_sequences *packed, crs_error *error) {
    crs_tabling t = {.pack = pack, .output = {.lock = -1}, .last = -1, .open = -1, .spool = -1};
    const double start = crs_seconds();
    t.columns.time = t.columns.group = t.columns.class = t.columns.split = CRS_NO_COLUMN;
    if (check_request(pack, error))
        return error->status;
    if (run(&t, error) == CRS_OK) {
        crs_sequence_writer_result(t.writer, packed);
        packed->filled = t.filled;
        packed->dropped = t.dropped;
        packed->unused = t.unused;
        packed->seconds = crs_seconds() - start;
    }
    crs_live("");
    close_all(&t);
    return error->status;
}
