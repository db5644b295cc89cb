/* The folder of a run, seen from outside its files: which checkpoints stand in it under which names. Private to room
 * checkpoint. */
#ifndef CRS_CHECKPOINT_FOLDER_H
#define CRS_CHECKPOINT_FOLDER_H

#include <sys/stat.h>

#include "carousel/checkpoint.h"

#define CRS_RUN_LAST "last.h5"
#define CRS_RUN_BEST "best.h5"

typedef struct crs_run_file {
    char name[CRS_RUN_NAME];
    int64_t step; /* what a step file's name says, or -1 */
    double loss;  /* for whoever ranks by it */
    dev_t device;
    ino_t inode; /* 0: not known */
} crs_run_file;

typedef struct crs_run_files {
    int count;
    crs_run_file *file; /* [count], owned */
    bool remains;       /* there are temporary files of checkpoints, too */
} crs_run_files;

/* The step files of RUN, the newest first, then last.h5 and best.h5 as far as they are there. CRS_NO_INPUT where the
 * folder can't be listed. */
crs_status crs_run_list(crs_run_files *files, const char *run, crs_error *error);
void crs_run_files_free(crs_run_files *files);
/* By step, the newest first; of one step the step file, then last.h5. For qsort. */
int crs_run_newest_first(const void *a, const void *b);
/* What the file itself says that its step is; -1 where it can't say so. */
int64_t crs_run_ask_step(const char *run, const crs_run_file *file);
/* Removes what a run left that was killed while it saved. */
void crs_run_sweep(const char *run);

/* Refuses (CRS_CREATE) a name of a run that leaves no room for those of its files. */
crs_status crs_run_check_name(const char *run, crs_error *error);
/* RUN/name, of a run that crs_run_check_name lets pass; in one of two buffers used in turn. */
const char *crs_run_path(const char *run, const char *name);
void crs_run_step_name(int64_t step, char name[CRS_RUN_NAME]);

/* Makes RUN/alias another name of RUN/name: a hard link or, where there are none, a copy, made under a temporary name
 * and renamed. CRS_CREATE. */
crs_status crs_run_alias(const char *run, const char *name, const char *alias, crs_error *error);

#endif
