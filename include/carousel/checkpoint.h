/* The state of a run as one HDF5 file. Format: docs/formats.md.
 * Local: rank 0 writes and reads; room train shares out. */
#ifndef CAROUSEL_CHECKPOINT_H
#define CAROUSEL_CHECKPOINT_H

#include "carousel/base.h"
#include "carousel/schema.h"

/* A named array. Paths are full: "/model/layers/0/weight_ih", "/optimizer/adam/first_moment/output/bias",
 * "/state/hidden". */
typedef enum crs_type { CRS_F32, CRS_F64, CRS_I64, CRS_U64 } crs_type;

typedef struct crs_array {
    char path[96];
    crs_type type;
    int rank; /* 0 (a scalar) to 3 */
    int64_t dims[3];
    void *values; /* row-major; owned by the checkpoint */
} crs_array;

typedef struct crs_checkpoint {
    /* root attributes, but for those that say what kind of file it is: the shape of the model, as its kind needs it;
     * step, epoch, tokens; level (of vocabulary); best_validation_loss (NaN: none yet); data (optional:
     * crs_dataset.digest of what it was trained on) */
    crs_attributes attributes;
    /* data sets */
    char *config;              /* owned: INI */
    crs_vocabulary vocabulary; /* owned; count 0 where inputs are no tokens */
    crs_schema schema; /* owned: of the data that it was trained on. Names stand in it alone, scales also as arrays */
    int arrays;
    crs_array *array; /* [arrays], owned, with their values */
} crs_checkpoint;

void crs_checkpoint_free(crs_checkpoint *checkpoint);
/* Adds an array with room for its values (zeroed), and returns it, or NULL with *error. The path is a new one. What was
 * returned before may have moved; the values have not. */
crs_array *crs_checkpoint_add(crs_checkpoint *checkpoint, const char *path, crs_type type, int rank,
                              const int64_t *dims, crs_error *error);
/* Copies the schema into the checkpoint, its scales as arrays (/scale/mean, ...) too. */
crs_status crs_checkpoint_put_schema(crs_checkpoint *checkpoint, const crs_schema *schema, crs_error *error);
/* From the attributes and arrays, with the names that stand in schema already: all of it, checked. file: for
 * messages. */
crs_status crs_checkpoint_take_schema(crs_checkpoint *checkpoint, const char *file, crs_error *error);
/* The array of that path, or NULL. */
crs_array *crs_checkpoint_find(const crs_checkpoint *checkpoint, const char *path);
int64_t crs_array_size(const crs_array *array);                /* elements */
int64_t crs_checkpoint_step(const crs_checkpoint *checkpoint); /* the attribute; 0 where there is none */

/* Writes path atomically: a temporary name beside it, closed, flushed to the disk, read back and checked, renamed, the
 * folder flushed. On failure (CRS_CREATE) nothing of that name has changed and the temporary file is gone. */
crs_status crs_checkpoint_write(const char *path, const crs_checkpoint *checkpoint, crs_error *error);
/* Reads all and checks every hash, that floats of /model are finite, and that shapes fit the attributes. CRS_NO_INPUT,
 * CRS_DATA; on failure *checkpoint is empty. */
crs_status crs_checkpoint_read(const char *path, crs_checkpoint *checkpoint, crs_error *error);

/* XXH3-128 over the parameters, and over parameters, optimizer, step, position, carried hidden state: each array's
 * path, shape and bytes, in the order of the paths. */
void crs_checkpoint_digests(const crs_checkpoint *checkpoint, char parameters[CRS_HASH_HEX], char state[CRS_HASH_HEX]);

/* What a file of this project says that it is: "carousel/checkpoint", "carousel/tokens" or "carousel/sequences".
 * CRS_NO_INPUT; CRS_DATA where it says none of these. */
crs_status crs_file_format(const char *path, char format[32], crs_error *error);

/* ---- a run's folder ---- */

/* Writes RUN/step-NNNNNNNN.h5, then makes RUN/last.h5 (and best.h5 where best) a hard link to it, or a copy, each by a
 * temporary name and a rename; then removes the oldest step files beyond keep. RUN is there. Where it fails, nothing is
 * removed, and the names may have to be put right. */
crs_status crs_run_save(const char *run, const crs_checkpoint *checkpoint, bool best, int keep, crs_error *error);
/* The newest good checkpoint of RUN. Each damaged one that it passes over is said with crs_warn. *found is false where
 * RUN holds none at all (or does not exist); CRS_DATA where there are some and none is whole.
 * path: of the file read. */
crs_status crs_run_load(const char *run, bool *found, crs_checkpoint *checkpoint, char *path, size_t path_size,
                        crs_error *error);
/* What is wrong with the names in RUN, as a run leaves them that is killed while it saves, or meets a full disk. */
enum { CRS_RUN_NAME = 32 };
typedef struct crs_run_names {
    char last[CRS_RUN_NAME]; /* of which file in RUN last.h5 should be another name; "": right as it is */
    char best[CRS_RUN_NAME]; /* likewise best.h5; "" also where there is none to be had */
    bool remains;            /* temporary files are left */
    bool wrong;              /* any of this */
} crs_run_names;

/* Finds that out, and changes no file. newest, path: as crs_run_load gave them; last.h5 should be that file. best.h5
 * should be that of the whole files which has the lowest validation loss by the history of the newest. Where this is
 * not the lowest on record, says so with crs_warn and puts what there is (NaN: nothing) into best_validation_loss. */
crs_status crs_run_check_names(const char *run, crs_checkpoint *newest, const char *path, crs_run_names *names,
                               crs_error *error);
/* Puts them right, and says so with crs_note. CRS_CREATE. */
crs_status crs_run_mend_names(const char *run, const crs_run_names *names, crs_error *error);

/* Moves RUN to RUN.old, RUN.old-2, ... (the first free name), told in moved. Where RUN is a link, the folder that it
 * leads to is moved, and made anew, empty: the link stays. moved is "" where there is no such folder. */
crs_status crs_run_move_aside(const char *run, char *moved, size_t moved_size, crs_error *error);

#endif
