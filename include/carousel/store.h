/* Files that are whole on the disk before they get their names. Local.
 *
 * A limit on file sizes (ulimit -f) is an error like a full disk where SIGXFSZ is ignored, as main does. */
#ifndef CAROUSEL_STORE_H
#define CAROUSEL_STORE_H

#include "carousel/base.h"

/* PATH.tmp-PID: beside path, as a rename must not cross file systems. False where it does not fit. */
bool crs_disk_temporary(const char *path, char *out, size_t size);
/* Whether name (without a folder) is such a name. */
bool crs_disk_is_temporary(const char *name);

/* fsync of a file or a folder, where its file system has one for it: where it has none, there is nothing to wait for.
 * False with errno. */
bool crs_disk_flush(int file);

/* Writes the file anew and flushes it to the disk. CRS_CREATE; the caller removes what is left. */
crs_status crs_disk_write(const char *path, const void *bytes, size_t count, crs_error *error);
/* As crs_disk_write, with the bytes of another file. */
crs_status crs_disk_copy(const char *from, const char *path, crs_error *error);
/* Whether both are there, and hold the same bytes. */
bool crs_disk_same(const char *a, const char *b);
/* Renames and flushes the folder. CRS_CREATE. */
crs_status crs_disk_rename(const char *from, const char *to, crs_error *error);
/* Flushes the folder in which path stands. CRS_CREATE. */
crs_status crs_disk_flush_folder(const char *path, crs_error *error);

#endif
