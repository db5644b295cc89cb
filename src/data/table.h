/* What the two forms of a table have in common. */
#ifndef CAROUSEL_DATA_TABLE_H
#define CAROUSEL_DATA_TABLE_H

#include "data/pack.h"

/* One of them: text with commas (table.c), HDF5 (table_h5.c). errno tells why what is false failed. */
typedef struct crs_table_form {
    bool (*begin)(crs_table *table, const char *description);
    bool (*cell)(crs_table *table, const void *values, int count); /* of column table->column */
    bool (*end_row)(crs_table *table);
    bool (*finish)(crs_table *table); /* all is written, and closed */
    void (*release)(crs_table *table);
} crs_table_form;

struct crs_table {
    const crs_table_form *form;
    crs_output output;
    char *name;                /* owned: as output borrows it */
    crs_table_column *columns; /* owned, [count] */
    int count;
    int column;   /* the next one */
    int64_t rows; /* ended */
    int failed;   /* errno of the first cell that could not be put; 0: none */
    void *own;    /* the form's */
};

extern const crs_table_form crs_table_text_form, crs_table_h5_form;

#endif
