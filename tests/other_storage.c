/* other_storage KIND FROM TO OTHER: copies the data set of tokens FROM to TO as others might store it, for h5repack to
 * mend: /train in another file, external (OTHER gets its raw bytes) or virtual (it is OTHER's), or in one huge
 * compressed chunk (chunk). */
#include "config.h"

#include <hdf5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20, HUGE_CHUNK = 270000000 };

static void must(int good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "other_storage: %s\n", what);
    exit(99);
}

static herr_t copy_attribute(hid_t from, const char *name, const H5A_info_t *info, void *to) {
    char value[4096];
    (void)info;
    hid_t attribute = H5Aopen(from, name, H5P_DEFAULT), type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    must(H5Aget_storage_size(attribute) <= sizeof value, "too long an attribute");
    must(H5Aread(attribute, type, value) >= 0, "an attribute can't be read");
    hid_t copy = H5Acreate2(*(hid_t *)to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    must(H5Awrite(copy, type, value) >= 0, "an attribute can't be written");
    H5Aclose(copy);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return 0;
}

/* The plan of a data set of this kind. */
static hid_t plan_of(const char *kind, const char *other, const uint8_t *tokens, hsize_t count, hid_t space) {
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    if (strcmp(kind, "virtual") == 0) {
        must(H5Pset_virtual(plan, space, other, "/train", space) >= 0, "no virtual data set");
        return plan;
    }
    if (strcmp(kind, "chunk") == 0) {
        const hsize_t chunk = HUGE_CHUNK;
        must(H5Pset_chunk(plan, 1, &chunk) >= 0 && H5Pset_deflate(plan, 1) >= 0, "no compressed chunk");
        return plan;
    }
    FILE *file = fopen(other, "wb");
    must(file && fwrite(tokens, 1, count, file) == count && fclose(file) == 0, "the other file can't be written");
    must(H5Pset_external(plan, other, 0, count) >= 0, "no external data set");
    return plan;
}

int main(int argc, char **argv) {
    static uint8_t tokens[MOST];
    hsize_t count = 0;
    must(argc == 5, "usage: other_storage external|virtual|chunk FROM TO OTHER");
    hid_t from = H5Fopen(argv[2], H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t to = H5Fcreate(argv[3], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    must(from >= 0 && to >= 0, "a file can't be opened");
    must(H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_attribute, &to) >= 0, "no attributes");
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"vocabulary", "validation", "test"};
        must(H5Ocopy(from, names[i], to, names[i], H5P_DEFAULT, H5P_DEFAULT) >= 0, "a part can't be copied");
    }
    hid_t set = H5Dopen2(from, "train", H5P_DEFAULT), type = H5Dget_type(set), space = H5Dget_space(set);
    H5Sget_simple_extent_dims(space, &count, NULL);
    must(H5Tget_size(type) == 1 && count <= MOST, "the data set is none that this knows");
    must(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens) >= 0, "it can't be read");
    const hsize_t unlimited = H5S_UNLIMITED;
    hid_t fixed = H5Screate_simple(1, &count, strcmp(argv[1], "chunk") == 0 ? &unlimited : NULL),
          plan = plan_of(argv[1], argv[4], tokens, count, fixed);
    hid_t made = H5Dcreate2(to, "train", type, fixed, H5P_DEFAULT, plan, H5P_DEFAULT);
    must(made >= 0, "it can't be made");
    if (strcmp(argv[1], "chunk") == 0)
        must(H5Dwrite(made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens) >= 0, "it can't be written");
    H5Dclose(made);
    H5Pclose(plan);
    H5Sclose(fixed);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(set);
    H5Fclose(to);
    must(H5Fclose(from) >= 0, "it can't be closed");
    return 0;
}
