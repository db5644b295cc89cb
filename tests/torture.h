/* Memory runs out at every allocation of a whole command in turn, on one rank: all ranks leave with the same error,
 * nothing leaks, and what lies on the disk is as whole as before; or the command makes what it makes undisturbed. */
#ifndef CAROUSEL_TESTS_TORTURE_H
#define CAROUSEL_TESTS_TORTURE_H

#include "carousel/base.h"
#include "carousel/comm.h"

/* A command, as main calls it. */
typedef struct command {
    crs_status (*alone)(int argc, char **argv, crs_error *error);                     /* by rank 0; or: */
    crs_status (*all_ranks)(crs_comm *comm, int argc, char **argv, crs_error *error); /* by all */
    const char *words; /* separated by blanks; DIR/ stands for this program's folder */
} command;

typedef struct torture {
    const char *name;
    command command;
    void (*prepare)(void); /* collective: before each run */
    void (*check)(void);   /* collective: what must hold after a run that failed */
    /* What the command makes, and a hash of it: after each run that ended well it is that of the undisturbed one. */
    void (*look)(const char *name, char hex[CRS_HASH_HEX]);
    const char *result;
} torture;

extern crs_comm *torture_comm; /* open while there are commands of all ranks; torture_fail_all closes it */

/* Collective: each allocation of each in turn, on the first and on the last rank (each third of them, unless
 * TEST_ALLOCATIONS=all). */
void torture_fail_all(const torture *all, size_t count);
/* Collective. */
void torture_must_run(const command *c);
void torture_nothing(void);

/* Of files in this program's folder. torture_remove_all is collective. */
void torture_remove_all(const char *name);
int torture_files_in(const char *name);
/* The hash of a file, or of nothing. */
void torture_hash_file(const char *name, char hex[CRS_HASH_HEX]);

/* To prepare and to check: made/old.h5 is there, and nothing else is, before a command that writes this file anew and
 * after one that failed. Collective. */
void torture_put_output(void);
void torture_check_output(void);

#endif
