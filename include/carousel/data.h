/* HDF5 data sets, of one text as tokens or of sequences of any kind: packing, and which row reads what. Format:
 * docs/formats.md.
 *
 * Local: each rank opens and reads by itself, hyperslabs only, never a whole split; callers agree on errors. */
#ifndef CAROUSEL_DATA_H
#define CAROUSEL_DATA_H

#include "carousel/base.h"
#include "carousel/batch.h"
#include "carousel/schema.h"

typedef enum crs_split { CRS_TRAIN, CRS_VALIDATION, CRS_TEST, CRS_SPLITS } crs_split;
const char *crs_split_name(crs_split split); /* "train", ... */

typedef struct crs_dataset_file crs_dataset_file; /* what is open of it; private to room data */

/* The sequences of a split. */
typedef struct crs_sequences {
    int64_t count;        /* N */
    int64_t *length;      /* [N] steps of each, owned */
    int64_t *start;       /* [N + 1] steps before each, owned */
    int64_t *lead;        /* [N] first steps that are context alone, owned; NULL: 0 each */
    bool has_weights;     /* read as they are needed */
    bool weights_by_step; /* else by sequence */
    bool has_names;
    int64_t windows;       /* forecasting: of all sequences */
    int64_t *window_start; /* [N + 1] windows before each, owned; NULL elsewhere */
    int64_t longest;       /* steps */
} crs_sequences;

typedef struct crs_dataset {
    char *path;                          /* owned */
    char *source;                        /* owned: what it was packed from */
    crs_schema schema;                   /* owned; of a text: tokens, next, step */
    bool text;                           /* one text, cut into streams: format carousel/tokens */
    crs_sequences sequences[CRS_SPLITS]; /* owned; empty for a text */
    crs_vocabulary vocabulary;           /* owned; count 0 where inputs are no tokens */
    int64_t length[CRS_SPLITS];          /* tokens or steps */
    int token_bytes;                     /* 1, 2 or 4 on the disk */
    char hash[CRS_SPLITS][CRS_HASH_HEX]; /* of a text, as the file says; empty where it says none */
    char digest[CRS_HASH_HEX];           /* of schema, vocabulary and the hashes of all: `show --digest` prints it */
    crs_dataset_file *file;              /* owned */
} crs_dataset;

/* Opens and checks everything but the tokens or values (which are read only where the file states no hash of them:
 * the digest needs one). CRS_NO_INPUT: missing or unreadable; CRS_DATA: not HDF5, foreign, truncated, a version from
 * the future, wrong types. On failure *dataset is empty. To be closed before MPI ends. */
crs_status crs_dataset_open(crs_dataset *dataset, const char *path, crs_error *error);
void crs_dataset_close(crs_dataset *dataset);
/* Reads a split from end to end in constant memory and compares its hash (where the file states one) and its greatest
 * token; of sequences every array of it, and whether each value can be (CRS_DATA). */
crs_status crs_dataset_verify(const crs_dataset *dataset, crs_split split, crs_error *error);
/* tokens[offset .. offset + count) of a split (of sequences of tokens: laid end to end); a token outside the vocabulary
 * is CRS_DATA with its place. So is, here and whenever else tokens or values are read, a file that has changed since it
 * was opened: its size, time or inode. */
crs_status crs_dataset_read(const crs_dataset *dataset, crs_split split, int64_t offset, int64_t count,
                            uint32_t *tokens, crs_error *error);

/* What an attribute of the root says for a person (description, missing), to be freed with crs_free; NULL where
 * there is none. */
char *crs_dataset_text(const crs_dataset *dataset, const char *attribute);

/* What stands in the sequences of a data set. */
typedef struct crs_summary {
    int64_t targets[CRS_SPLITS];  /* of weight above 0, outside the lead: what `eval` counts, but for labels */
    int64_t *classes[CRS_SPLITS]; /* [target_size] targets of each; else NULL. Owned, as all that follows */
    float *least, *most;          /* [input_size] values in training; else NULL */
    int64_t *ones;                /* [input_size] bits that are 1, in all splits; else NULL */
    int64_t *target_ones;         /* [target_size] the same of targets; else NULL */
} crs_summary;
/* Reads inputs, targets and weights once, in constant memory. On failure *summary is empty. */
crs_status crs_dataset_summarize(const crs_dataset *dataset, crs_summary *summary, crs_error *error);
void crs_summary_free(crs_summary *summary);
/* Whether a split of sequences has a target at all; reads no further than the first. Errors as of crs_dataset_read. */
crs_status crs_dataset_any_target(const crs_dataset *dataset, crs_split split, bool *any, crs_error *error);

/* Of sequences taken whole, how many rows a split has: sequences, or windows of a forecast. */
int64_t crs_dataset_rows(const crs_dataset *dataset, crs_split split);
/* Of sequence n of a split its name ("" where it has none), to be freed with crs_free; NULL with *error. */
char *crs_dataset_name(const crs_dataset *dataset, crs_split split, int64_t n, crs_error *error);

/* The first steps of sequence n, which are bits: [steps][D]. Errors as of crs_dataset_read. */
crs_status crs_dataset_bits(const crs_dataset *dataset, crs_split split, int64_t n, int64_t steps, uint8_t *bits,
                            crs_error *error);

/* ---- feeds: which row reads what at which step, and the buffers that batches point into ----
 *
 * Of a text, or of sequences: streams, whole sequences, and either read once. Whoever trains or evaluates only opens
 * one and asks it for batches. What a row reads, and which rows make a lane, depends on the plan alone, never on ranks
 * or passes. */

/* In which order an epoch has the sequences. */
typedef enum crs_order { CRS_ORDER_SHUFFLED, CRS_ORDER_FILE, CRS_ORDERS } crs_order;

typedef struct crs_feed_plan {
    crs_split split;
    int64_t batch;   /* rows of the global batch; once: streams of a text */
    int window;      /* steps of a batch of streams; 0: whole sequences (windows of forecasts), a row each */
    bool once;       /* for evaluation: every target of the split, from zero states */
    bool whole;      /* with once: rows may not be cut in time (both directions, or a target by sequence) */
    bool change;     /* forecasts: inputs and targets relative to the context's last values */
    crs_order order; /* of sequences */
    uint64_t seed;
    /* this rank's lanes; once: 0 and NULL */
    int lanes;
    const int *lane_start; /* [lanes + 1]: rows of the global batch; copied */
    int64_t first, end;    /* once: this rank's sequences (forecasts: windows), or streams of a text */
    /* about how much goes through the network at once: whole lanes, at least one */
    int pass_rows;
    int pass_pairs; /* of rows of unlike lengths; once: no more than this, where rows may be cut in time */
} crs_feed_plan;

/* What a workspace must have room for; and rows of carried state, 0 where each row begins from zero. */
typedef struct crs_feed_size {
    int rows, steps, pairs;
    int states;
} crs_feed_size;

typedef struct crs_feed crs_feed;
/* Borrows dataset. CRS_INTERNAL: out of memory. */
crs_status crs_feed_open(crs_feed **feed, const crs_dataset *dataset, const crs_feed_plan *plan, crs_error *error);
/* The bytes that what stays of the data between steps takes at most: pages, and the order of an epoch. Of a text: 0. */
double crs_feed_memory(const crs_dataset *dataset, const crs_feed_plan *plan);
void crs_feed_close(crs_feed **feed);
/* Steps of an epoch, before whose first the carried states are to be zero; with once: batches of this rank's share. */
int64_t crs_feed_steps(const crs_feed *feed);
crs_feed_size crs_feed_most(const crs_feed *feed);
/* Passes of a step (from 0, of any epoch), at least 1. */
int crs_feed_passes(crs_feed *feed, int64_t step);
/* Of the rank's rows of state (crs_feed_size) that at which batch.state of a pass begins. */
int crs_feed_state_row(const crs_feed *feed, int pass);
/* Fills a batch for a pass of a step: all but state, lane_rows, dropout and what else training sets. state_from and
 * state_to count from crs_feed_state_row. What it points to is the feed's, until the next call. Reads ahead, so that
 * most calls touch no file; the errors are those of crs_dataset_read. */
crs_status crs_feed_read(crs_feed *feed, int64_t step, int pass, crs_batch *batch, crs_error *error);

/* Of the batch read last: of which sequence, and which of its steps, target number i of the batch (pair, or row by
 * sequence) is; of next: the step that is said; forecasts: the first of the horizon. base: forecasts with change: [K]
 * what was subtracted, scaled; else NULL. For reports, of sequences alone. */
typedef struct crs_feed_place {
    int64_t sequence, step;
    const float *base;
} crs_feed_place;
crs_feed_place crs_feed_place_of(const crs_feed *feed, const crs_batch *batch, ptrdiff_t i);
/* The numbers of a target of values as the data have them, neither scaled nor rounded; sequence and step: of
 * crs_feed_place. numbers: crs_schema_numbers. Local. */
typedef struct crs_truth crs_truth;
crs_status crs_truth_open(crs_truth **truth, const crs_dataset *dataset, crs_split split, crs_error *error);
void crs_truth_close(crs_truth **truth);
crs_status crs_truth_read(crs_truth *truth, int64_t sequence, int64_t step, double *numbers, crs_error *error);

/* Steps of an epoch of such a plan, without opening anything; with once, of a text: as crs_feed_steps. */
int64_t crs_epoch_steps(const crs_dataset *dataset, const crs_feed_plan *plan);

/* Of a text that has fewer tokens, a twentieth is less than the two that a prediction needs. */
enum { CRS_PACK_SHORT = 40 };

typedef struct crs_pack {
    const char *output; /* DATA.h5; written under a temporary name, flushed, renamed */
    int inputs;
    const char *const *input; /* [inputs] file names, "-" for standard input */
    crs_level level;
    double split[CRS_SPLITS]; /* shares, each >= 0, of a sum of 1 */
    bool whole_if_short;      /* a text below CRS_PACK_SHORT tokens is all for training */
    const char *vocabulary;   /* take the vocabulary of this file (its level, and how its words are cut, are to be
                                 those given, where they are given); NULL: make one */
    bool drop_unknown;        /* with vocabulary: drop and count what it lacks, instead of an error */
    bool level_given, words_given, lower_given;
    crs_words words;   /* level word: how to cut */
    bool lower;        /* level word: capital letters become small ones */
    int64_t min_count; /* level word: rarer words are CRS_UNKNOWN; 1: none */
} crs_pack;

typedef struct crs_packed {
    crs_level level;
    int64_t bytes, tokens, dropped;
    int64_t unknown; /* words that became CRS_UNKNOWN */
    int64_t length[CRS_SPLITS];
    uint32_t vocabulary;
    double seconds;
} crs_packed;

/* Text in constant memory into a data set. The file is as it was where this fails. */
crs_status crs_pack_text(const crs_pack *pack, crs_packed *packed, crs_error *error);

/* ---- what else is packed: data sets of sequences. The file is as it was where this fails. ---- */

/* What came of it. */
typedef struct crs_packed_sequences {
    int64_t sequences[CRS_SPLITS], steps[CRS_SPLITS];
    int64_t windows[CRS_SPLITS]; /* forecasting */
    crs_input_kind inputs;
    int input_size, target_size;
    int64_t filled, dropped; /* values that were missing, and rows left out for that */
    int64_t unused;          /* rows that no split takes */
    double seconds;
} crs_packed_sequences;

/* What is done about a value that is missing: an error, the last one of the series, 0, the row left out. */
typedef enum crs_missing { CRS_MISSING_ERROR, CRS_MISSING_FORWARD, CRS_MISSING_ZERO, CRS_MISSING_DROP } crs_missing;

/* How a table is cut into splits. */
typedef enum crs_cut { CRS_CUT_SHARES, CRS_CUT_ROWS, CRS_CUT_COLUMN } crs_cut;

/* Tables (CSV) with a header line of names, taken as one. Columns by their names; NULL: none. */
typedef struct crs_table_pack {
    const char *output;
    int files;
    const char *const *file; /* [files] names, "-" for standard input */
    char delimiter;
    const char *time;          /* must grow within a series */
    const char *group;         /* the rows of a group are a series; NULL: all are one */
    const char *class;         /* what is to be said: a class ... */
    crs_names inputs, targets; /* ... or numbers. inputs: empty for all that are nothing else. Borrowed */
    bool per_sequence;         /* of the series, not of each step */
    int64_t context, horizon;  /* forecasting (of targets; empty: of all inputs); else 0 */
    crs_cut cut;
    double split[CRS_SPLITS]; /* CRS_CUT_SHARES: of the rows of the one series, or of the groups */
    int64_t rows[CRS_SPLITS]; /* CRS_CUT_ROWS: of the one series */
    const char *split_column; /* CRS_CUT_COLUMN: train, validation or test */
    crs_missing missing;
} crs_table_pack;

/* In constant memory, but for the names of groups. CRS_USAGE, CRS_NO_INPUT, CRS_DATA, CRS_CREATE. */
crs_status crs_pack_table(const crs_table_pack *pack, crs_packed_sequences *packed, crs_error *error);
/* ---- piano rolls: standard MIDI files, or JSON ---- */

typedef struct crs_notes_pack {
    const char *output; /* DATA.h5, as of crs_pack */
    int inputs;
    const char *const *input; /* [inputs] files and folders */
    int low, high;            /* columns are the notes from low to high (0 to 127); */
    bool drums;               /* or nine drums */
    int grid;                 /* steps a whole note; 0: MIDI has 16, and nobody says of JSON */
    double split[CRS_SPLITS]; /* MIDI: shares of the files, in their order, of a sum of 1 */
    bool split_given;         /* else a few files are all for training */
    const char *split_table;  /* MIDI: a table with the split of each; NULL: none */
} crs_notes_pack;

typedef struct crs_notes_packed {
    int64_t pieces[CRS_SPLITS], steps[CRS_SPLITS];
    int64_t out_of_range; /* notes, in steps, that no column is for */
    int64_t missing;      /* rows of the table whose file was not given */
    int columns;
    bool whole; /* all for training, as there were too few */
    double seconds;
} crs_notes_packed;

/* Into a data set of sequences. The file is as it was where this fails. */
crs_status crs_pack_notes(const crs_notes_pack *pack, crs_notes_packed *packed, crs_error *error);

/* Series of the UEA/UCR archive (.ts), each with a class. */
typedef struct crs_series_pack {
    const char *output, *train, *test; /* "-" for standard input; test NULL: none */
    double validation;                 /* every k-th series of train, k the nearest to 1 / share; 0: none */
    crs_missing missing;
} crs_series_pack;

/* In the memory of the longest series. CRS_USAGE, CRS_NO_INPUT, CRS_DATA, CRS_CREATE. */
crs_status crs_pack_series(const crs_series_pack *pack, crs_packed_sequences *packed, crs_error *error);

/* Sequences of a task that are made up; the same numbers give the same bytes. */
typedef struct crs_task_pack {
    const char *output, *name;
    int64_t length[CRS_SPLITS]; /* steps, about; 0: the default */
    int64_t count[CRS_SPLITS];  /* sequences */
    int64_t period;             /* 0: the default */
    uint64_t seed;
} crs_task_pack;

const char *const *crs_task_names(void); /* ended by NULL */
/* CRS_USAGE, CRS_CREATE. */
crs_status crs_pack_task(const crs_task_pack *pack, crs_packed_sequences *packed, crs_error *error);

/* ---- tables: a row for each of many things, as text (.csv) or as HDF5 (.h5: a data set a column) ---- */

typedef enum crs_table_kind { CRS_TABLE_INTEGER, CRS_TABLE_REAL, CRS_TABLE_TEXT } crs_table_kind;

typedef struct crs_table_column {
    const char *name;
    crs_table_kind kind;
    int width;                 /* text: most bytes; numbers: how many a row, where `number` is not NULL */
    const char *const *number; /* [width]: names of a row's numbers: as text a column each, "name:number"; else NULL */
    const char *description, *units; /* for .h5; units may be NULL */
} crs_table_column;

typedef struct crs_table crs_table;

/* Whether path ends in .csv or .h5: else CRS_USAGE. */
crs_status crs_table_check(const char *path, crs_error *error);
/* Begins it under a temporary name beside path. columns: [count], copied, but what it points to is borrowed until the
 * table is freed. CRS_CREATE; then *table is NULL. */
crs_status crs_table_create(crs_table **table, const char *path, const char *description,
                            const crs_table_column *columns, int count, crs_error *error);
/* The cells of a row, one after the other: each call puts what the next column is to have; crs_table_end ends the row.
 * What fails is told at the end of the row. */
void crs_table_integer(crs_table *table, int64_t value);
void crs_table_text(crs_table *table, const char *text);
void crs_table_reals(crs_table *table, const double *values, int count);
crs_status crs_table_end(crs_table *table, crs_error *error);
/* Writes what is left, flushes it to the disk and gives it its name. */
crs_status crs_table_finish(crs_table *table, crs_error *error);
/* Unfinished: nothing is left of it. */
void crs_table_free(crs_table **table);

#endif
