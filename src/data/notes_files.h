/* The files that `pack notes` reads: which they are, and what is in them. */
#ifndef CAROUSEL_DATA_NOTES_FILES_H
#define CAROUSEL_DATA_NOTES_FILES_H

#include "carousel/notes.h"
#include "data/pack.h"

typedef struct crs_notes_file {
    char *path, *name; /* owned; name: below the folder that was given, or the path */
    int split;         /* crs_split; -1: in none */
} crs_notes_file;

typedef struct crs_notes_files {
    int count;
    crs_notes_file *file; /* [count], owned */
} crs_notes_files;

/* A file stands for itself, a folder for all .mid and .midi files (also with .gz) below it, by name. CRS_NO_INPUT: one
 * is missing, or a folder has none. To be freed in any case. */
crs_status crs_notes_files_find(crs_notes_files *files, const char *const *input, int inputs, crs_error *error);
/* Splits and order from the columns midi_filename and split of a table; names that it lacks are CRS_DATA, rows without
 * a file are counted. */
crs_status crs_notes_files_sort(crs_notes_files *files, const char *table, const crs_output *output, int64_t *missing,
                                crs_error *error);
void crs_notes_files_free(crs_notes_files *files);

/* All of a file, unpacked where it is gzip'ed, and a zero byte behind it; owned by the caller. CRS_NO_INPUT, CRS_DATA
 * (damaged, or more than `most` bytes), CRS_USAGE (it is the output). NULL with *error. */
char *crs_file_read(const char *path, const crs_output *output, size_t most, size_t *count, crs_error *error);

/* JSON piano rolls: each piece of each split in turn. */
typedef struct crs_notes_json crs_notes_json;
/* text[0..count) of the file path, which is borrowed. */
crs_status crs_notes_json_open(crs_notes_json **json, const char *path, const char *text, size_t count,
                               crs_error *error);
/* The next piece. *more: whether there was one. */
crs_status crs_notes_json_next(crs_notes_json *json, crs_split *split, crs_roll *roll, bool *more, crs_error *error);
void crs_notes_json_close(crs_notes_json **json);

#endif
