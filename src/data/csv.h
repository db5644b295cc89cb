/* Rows of a CSV file, in constant memory, by libcsv. */
#ifndef CAROUSEL_DATA_CSV_H
#define CAROUSEL_DATA_CSV_H

#include "data/pack.h"

typedef struct crs_csv_field {
    const char *text; /* ended by a zero byte, without the quotes; blanks around it that no quotes keep are gone */
    size_t length;
} crs_csv_field;

/* A row that is not empty. */
typedef struct crs_csv_row {
    const crs_source *source;
    int64_t line; /* where it begins, from 1 */
    int count;
    const crs_csv_field *field; /* [count], until the function that gets the row returns */
} crs_csv_row;

typedef struct crs_csv {
    const crs_source *source;
    char delimiter;
    /* Gets each row in turn; what it returns ends the reading, unless it is CRS_OK. */
    crs_status (*take)(void *context, const crs_csv_row *row, crs_error *error);
    /* Is told of bytes that were read; may be NULL. */
    void (*progress)(void *context, int64_t bytes);
    void *context;
    size_t read_bytes; /* at once; 0: the usual */
} crs_csv;

/* Reads a file from its beginning to its end. size, hash: of the bytes, to be compared where it is read again; may be
 * NULL. A byte order mark of UTF-8 at the beginning is left out. CRS_DATA: quotes where none may be, or that don't end;
 * a field or a row too long for a table; text that is not UTF-8 or has zero bytes. CRS_NO_INPUT: it can't be read. */
crs_status crs_csv_read(const crs_csv *csv, int64_t *size, char hash[CRS_HASH_HEX], crs_error *error);

/* CRS_DATA: "FILE:LINE: ". */
crs_status crs_csv_fail(const crs_csv_row *row, crs_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A number in decimal, with or without a point and an exponent, and nothing but it; false where it is none, or too
 * large for a float. */
bool crs_csv_number(const crs_csv_field *field, double *number);
/* A time: a number, or a date as 2016-07-01, 2016-07-01 13:00 or 2016-07-01T13:00:00.5+02:00, in seconds. */
bool crs_csv_time(const crs_csv_field *field, double *time);
/* Whether there is no value: an empty field, NA or nan, in any case. */
bool crs_csv_missing(const crs_csv_field *field);

#endif
