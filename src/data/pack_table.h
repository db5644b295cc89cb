/* What the parts of packing tables share: columns, series, the two passes. The first pass checks and counts; the second
 * writes. */
#ifndef CAROUSEL_DATA_PACK_TABLE_H
#define CAROUSEL_DATA_PACK_TABLE_H

#include "data/csv.h"
#include "data/dictionary.h"
#include "data/sequence_writer.h"

/* Of a column that none of the options names. */
enum { CRS_NO_COLUMN = -1 };

/* What the columns are for, by their numbers. */
typedef struct crs_table_columns {
    crs_names name;                /* of all, owned */
    int inputs, targets;           /* targets: of step or series; of a forecast, too */
    int *input, *target;           /* [inputs], [targets], owned */
    int time, group, class, split; /* or CRS_NO_COLUMN */
} crs_table_columns;

/* A series: a group, or the whole table. */
typedef struct crs_table_series {
    int64_t rows; /* that stay */
    double time;  /* of the last row */
    crs_split split;
    int class;          /* per sequence: its number in the dictionary */
    int64_t start, put; /* mixed groups: of its rows in the spool, and how many are there */
} crs_table_series;

typedef struct crs_table_class {
    bool trained;             /* stands in training */
    const crs_source *source; /* where it stands elsewhere first; NULL: nowhere */
    int64_t line;
    int number; /* in the data set: classes are sorted */
} crs_table_class;

/* Consecutive rows of the one series. */
typedef struct crs_table_piece {
    int64_t start, rows;
} crs_table_piece;

/* A row that has been read. */
typedef struct crs_table_row {
    float *input, *target; /* [inputs], [targets of a step or series]; NaN: missing, to be carried forward */
    int series, class;     /* class: number in the dictionary */
    crs_split split;       /* by its column */
    bool dropped;          /* left out: the rest says nothing */
} crs_table_row;

typedef struct crs_tabling {
    const crs_table_pack *pack;
    crs_output output;
    crs_source *source; /* [pack->files], owned */
    crs_table_columns columns;
    bool headed; /* the header of this file has been read */
    bool second; /* pass */
    crs_dictionary groups, classes;
    crs_table_series *series;          /* [groups] or [1], owned */
    float *series_target;              /* [series][targets] per sequence, owned */
    crs_table_class *class;            /* [classes], owned */
    crs_table_piece piece[CRS_SPLITS]; /* of the one series */
    crs_table_row row;                 /* arrays owned */
    int64_t rows;                      /* that stay, in this pass */
    int last;                          /* series of the last row; -1 */
    bool mixed;                        /* the rows of some group don't stand together */
    int64_t filled, dropped;
    crs_pack_progress progress; /* of both passes */
    /* the second pass */
    crs_schema schema; /* owned */
    char sources[CRS_SOURCES_TEXT];
    crs_sequence_plan plan;
    crs_sequence_writer *writer;
    int64_t unused; /* rows that no split takes */
    int open;       /* the series, or split of the one series, whose sequence is begun; -1 */
    float *carried; /* [inputs + targets] last values; owned */
    float *ring;    /* [context][inputs] last rows of a forecast; owned */
    int spool;      /* of mixed groups: a descriptor, or -1 */
    const char *spool_folder;
} crs_tabling;

bool crs_table_is_forecast(const crs_table_pack *pack);
/* Numbers that a target of a step or series has (a class: 0; a forecast: 0). */
int crs_table_targets(const crs_tabling *t);

/* ---- pack_table_columns.c ---- */

/* Takes the header of a file: of the first, what each column is for; of others, that it is the same. CRS_USAGE: an
 * option names a column that is not there. */
crs_status crs_table_header(crs_tabling *tabling, const crs_csv_row *row, crs_error *error);
/* Reads a row into tabling->row. */
crs_status crs_table_read(crs_tabling *tabling, const crs_csv_row *row, crs_error *error);
void crs_table_columns_free(crs_table_columns *columns);

/* ---- pack_table_put.c: the second pass ---- */

crs_status crs_table_put_begin(crs_tabling *tabling, crs_error *error);
crs_status crs_table_put(crs_tabling *tabling, const crs_csv_row *row, crs_error *error);
/* After the last row: mixed groups are written. */
crs_status crs_table_put_end(crs_tabling *tabling, crs_error *error);

#endif
