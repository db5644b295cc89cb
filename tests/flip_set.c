/* flip_set FILE N: flips a bit in the values of the N-th data set of FILE, from 0, that has any, leaves its hash as it
 * is, and prints its path. Status 1: there are not so many.
 * flip_set --version FILE: makes it one of a version to come. */
#include "config.h"

#define H5_USE_110_API
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "flip_set: %s\n", what);
    exit(99);
}

/* Every value is read and written as it stands. */
static void flip(hid_t set, size_t bytes) {
    hid_t type = H5Dget_type(set);
    unsigned char *values = malloc(bytes);
    must(values && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, "a data set can't be read");
    values[bytes / 2] ^= 1;
    must(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, "a data set can't be written");
    free(values);
    H5Tclose(type);
}

static herr_t visit(hid_t file, const char *name, const H5O_info_t *info, void *wanted) {
    (void)info;
    hid_t id = H5Oopen(file, name, H5P_DEFAULT);
    int done = 0;
    if (H5Iget_type(id) == H5I_DATASET) {
        hid_t type = H5Dget_type(id), space = H5Dget_space(id);
        const size_t bytes = H5Tget_size(type) * (size_t)H5Sget_simple_extent_npoints(space);
        if (bytes > 0 && (*(long *)wanted)-- == 0) {
            flip(id, bytes);
            printf("/%s\n", name);
            done = 1;
        }
        H5Tclose(type);
        H5Sclose(space);
    }
    H5Oclose(id);
    return done;
}

static int raise_version(const char *path) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), attribute = H5Aopen(file, "version", H5P_DEFAULT);
    const long long version = 2;
    must(attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_LLONG, &version) >= 0, "the version can't be written");
    H5Aclose(attribute);
    must(H5Fclose(file) >= 0, "the file can't be closed");
    return 0;
}

int main(int argc, char **argv) {
    must(argc == 3, "usage: flip_set FILE N");
    if (strcmp(argv[1], "--version") == 0)
        return raise_version(argv[2]);
    long wanted = strtol(argv[2], NULL, 10);
    hid_t file = H5Fopen(argv[1], H5F_ACC_RDWR, H5P_DEFAULT);
    must(file >= 0, "the file can't be opened");
    const herr_t found = H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, visit, &wanted);
    must(found >= 0 && H5Fclose(file) >= 0, "the file can't be gone through");
    return found == 0;
}
