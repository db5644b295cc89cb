/* The second pass over a table: rows into sequences. */
#include "config.h"

#include "data/pack_table.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { REPLAY_BYTES = 1 << 16 };

/* A row in the spool: inputs, then numbers or the class. */
static size_t record_numbers(const crs_tabling *t) {
    const bool class = t->schema.targets == CRS_TARGET_CLASS;
    return (size_t)t->columns.inputs + (class ? 1 : (size_t)crs_table_targets(t));
}

crs_status crs_table_put_begin(crs_tabling *t, crs_error *error) {
    const size_t inputs = (size_t)t->columns.inputs;
    const bool forecast = crs_table_is_forecast(t->pack);
    int64_t start = 0;
    crs_sources_describe(t->source, t->pack->files, t->sources);
    t->plan =
        (crs_sequence_plan){.schema = &t->schema,
                            .source = t->sources,
                            .description = forecast ? "a table: its rows are steps, its columns are to be forecast"
                                                    : "a table: its rows are steps, its columns inputs and targets",
                            .lead = forecast && !t->pack->group,
                            .names = t->pack->group != NULL};
    if (crs_sequence_writer_open(&t->writer, &t->output, &t->plan, error))
        return error->status;
    t->carried = crs_alloc_or_fail(inputs + (size_t)t->columns.targets, sizeof *t->carried, CRS_MEMORY_DATA,
                                   "a row of a table", error);
    if (t->carried && t->plan.lead)
        t->ring = crs_alloc_or_fail((size_t)t->pack->context, inputs * sizeof *t->ring, CRS_MEMORY_DATA,
                                    "the context of a forecast", error);
    for (int i = 0; i < t->groups.names.count && t->mixed; i++) {
        t->series[i].start = start;
        start += t->series[i].rows;
    }
    if (!error->status && t->mixed && (t->spool = crs_spool_open(&t->output, &t->spool_folder)) < 0)
        crs_spool_fail(t->spool_folder, "the rows of mixed groups", errno, error);
    return error->status;
}

/* ---- rows in the order of their series ---- */

static crs_status begin(crs_tabling *t, crs_split split, int open, int64_t lead, crs_error *error) {
    t->open = open;
    return crs_sequence_writer_begin(t->writer, split, t->pack->group ? t->groups.names.name[open] : NULL, lead, error);
}

/* Ends the sequence that is open, if any. */
static crs_status end(crs_tabling *t, crs_error *error) {
    const void *target = NULL;
    uint32_t class;
    if (t->open < 0)
        return CRS_OK;
    if (t->pack->per_sequence && t->schema.targets == CRS_TARGET_CLASS) {
        class = (uint32_t)t->class[t->series[t->open].class].number;
        target = &class;
    } else if (t->pack->per_sequence) {
        target = t->series_target + (size_t)t->open * (size_t)t->columns.targets;
    }
    t->open = -1;
    return crs_sequence_writer_end(t->writer, target, 1, error);
}

/* What is missing becomes what was there last. */
static void carry(crs_tabling *t, float *input, float *target) {
    float *carried = t->carried;
    for (int i = 0; i < t->columns.inputs; i++, carried++)
        *carried = input[i] = isnan(input[i]) ? *carried : input[i];
    for (int k = 0; k < crs_table_targets(t) && target; k++, carried++)
        *carried = target[k] = isnan(target[k]) ? *carried : target[k];
}

/* Of the sequence that is open. class: as in the data set. */
static crs_status add(crs_tabling *t, const float *input, const float *target, uint32_t class, crs_error *error) {
    const bool by_step = t->schema.alignment == CRS_ALIGN_STEP;
    const void *said = !by_step ? NULL : t->schema.targets == CRS_TARGET_CLASS ? (const void *)&class : target;
    return crs_sequence_writer_add(t->writer, 1, input, said, NULL, error);
}

/* ---- one series, cut into pieces ---- */

static float *ring_row(const crs_tabling *t, int64_t row) {
    return t->ring + (row % t->pack->context) * t->columns.inputs;
}

/* A piece begins with the rows before it, as many as the context needs. */
static crs_status begin_piece(crs_tabling *t, crs_split split, crs_error *error) {
    const int64_t start = t->piece[split].start, context = t->pack->context;
    const int64_t lead = split == CRS_TRAIN ? 0 : start < context ? start : context;
    if (end(t, error) || begin(t, split, (int)split, lead, error))
        return error->status;
    for (int64_t row = start - lead; row < start; row++)
        if (add(t, ring_row(t, row), NULL, 0, error))
            return error->status;
    return CRS_OK;
}

/* The split of a row, or CRS_SPLITS. */
static crs_split piece_of(const crs_tabling *t, int64_t row) {
    crs_split split = 0;
    while (split < CRS_SPLITS && (row < t->piece[split].start || row >= t->piece[split].start + t->piece[split].rows))
        split++;
    return split;
}

static crs_status put_piece(crs_tabling *t, crs_split split, uint32_t class, crs_error *error) {
    carry(t, t->row.input, t->row.target);
    if (split == CRS_SPLITS)
        t->unused++;
    else if ((t->rows == t->piece[split].start && begin_piece(t, split, error)) ||
             add(t, t->row.input, t->row.target, class, error))
        return error->status;
    if (t->ring)
        memcpy(ring_row(t, t->rows), t->row.input, (size_t)t->columns.inputs * sizeof *t->ring);
    return CRS_OK;
}

/* ---- groups ---- */

/* Rows that don't stand together are put in their places in the spool. */
static crs_status put_spool(crs_tabling *t, crs_table_series *s, uint32_t class, crs_error *error) {
    const size_t numbers = record_numbers(t), bytes = numbers * sizeof(float);
    float record[512], *room = record;
    if (numbers > sizeof record / sizeof *record)
        room = crs_alloc_or_fail(numbers, sizeof *room, CRS_MEMORY_DATA, "a row of a table", error);
    if (!room)
        return error->status;
    memcpy(room, t->row.input, (size_t)t->columns.inputs * sizeof *room);
    if (t->schema.targets == CRS_TARGET_CLASS)
        memcpy(room + t->columns.inputs, &class, sizeof class);
    else
        memcpy(room + t->columns.inputs, t->row.target, (size_t)crs_table_targets(t) * sizeof *room);
    if (pwrite(t->spool, room, bytes, (off_t)((size_t)(s->start + s->put) * bytes)) != (ssize_t)bytes)
        crs_spool_fail(t->spool_folder, "the rows of mixed groups", errno, error);
    if (room != record)
        crs_free(&room);
    return error->status;
}

static crs_status put_group(crs_tabling *t, const crs_csv_row *row, uint32_t class, crs_error *error) {
    crs_table_series *s = &t->series[t->row.series];
    if (s->put == s->rows)
        return crs_source_changed(row->source, error);
    if (t->mixed) {
        if (put_spool(t, s, class, error))
            return error->status;
    } else {
        if (t->open != t->row.series && (end(t, error) || begin(t, s->split, t->row.series, 0, error)))
            return error->status;
        carry(t, t->row.input, t->row.target);
        if (add(t, t->row.input, t->row.target, class, error))
            return error->status;
    }
    s->put++;
    return CRS_OK;
}

static void note_class(crs_tabling *t, crs_split split, const crs_csv_row *row) {
    crs_table_class *c = &t->class[t->row.class];
    c->trained = c->trained || split == CRS_TRAIN;
    if (split != CRS_TRAIN && split != CRS_SPLITS && !c->source) {
        c->source = row->source;
        c->line = row->line;
    }
}

crs_status crs_table_put(crs_tabling *t, const crs_csv_row *row, crs_error *error) {
    const bool class = t->columns.class != CRS_NO_COLUMN, groups = t->pack->group != NULL;
    const crs_split split = groups ? t->series[t->row.series].split : piece_of(t, t->rows);
    const uint32_t number = class ? (uint32_t)t->class[t->row.class].number : 0;
    if (class)
        note_class(t, split, row);
    if (groups ? put_group(t, row, number, error) : put_piece(t, split, number, error))
        return error->status;
    t->rows++;
    return CRS_OK;
}

/* ---- mixed groups, from the spool ---- */

static crs_status replay_series(crs_tabling *t, int series, float *block, int64_t most, crs_error *error) {
    const crs_table_series *s = &t->series[series];
    const size_t numbers = record_numbers(t), bytes = numbers * sizeof(float);
    const bool class = t->schema.targets == CRS_TARGET_CLASS;
    crs_status status = begin(t, s->split, series, 0, error);
    for (int64_t row = 0; row < s->rows && !status; row += most) {
        const int64_t some = s->rows - row < most ? s->rows - row : most;
        const ssize_t wanted = (ssize_t)((size_t)some * bytes);
        if (pread(t->spool, block, (size_t)wanted, (off_t)((size_t)(s->start + row) * bytes)) != wanted)
            return crs_spool_fail(t->spool_folder, "the rows of mixed groups", errno, error);
        for (int64_t i = 0; i < some && !status; i++) {
            float *record = block + (size_t)i * numbers, *target = record + t->columns.inputs;
            uint32_t number = 0;
            if (class)
                memcpy(&number, target, sizeof number);
            carry(t, record, class ? NULL : target);
            status = add(t, record, target, number, error);
        }
    }
    return status ? status : end(t, error);
}

crs_status crs_table_put_end(crs_tabling *t, crs_error *error) {
    const size_t bytes = record_numbers(t) * sizeof(float), most = REPLAY_BYTES > bytes ? REPLAY_BYTES / bytes : 1;
    if (!t->mixed)
        return end(t, error);
    float *block = crs_alloc_or_fail(most, bytes, CRS_MEMORY_DATA, "the rows of mixed groups", error);
    for (int i = 0; i < t->groups.names.count && block && !error->status; i++)
        replay_series(t, i, block, (int64_t)most, error);
    crs_free(&block);
    return error->status;
}
