/* other_storage KIND FROM TO OTHER: copies the data set of tokens FROM to TO as others might store it, for h5repack to
 * mend, or to be refused: /train in another file, external (OTHER gets its raw bytes), virtual (it is OTHER's) or a
 * link (likewise), in one huge compressed chunk (chunk), or with a filter that only a plug-in has (filter); or
 * /vocabulary in another file (vocabulary; OTHER is there and stays as it is). */
#include "config.h"

#include <hdf5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20, HUGE_CHUNK = 270000000, FILTER = 305 };

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

static size_t pass_through(unsigned flags, size_t values, const unsigned *value, size_t bytes, size_t *size,
                           void **buffer) {
    (void)flags, (void)values, (void)value, (void)size, (void)buffer;
    return bytes;
}

static hid_t filtered_plan(hsize_t count) {
    static const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, FILTER, 1, 1, "of a plug-in", NULL, NULL, pass_through};
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    must(H5Zregister(&filter) >= 0 && H5Pset_chunk(plan, 1, &count) >= 0, "no filter");
    must(H5Pset_filter(plan, FILTER, H5Z_FLAG_MANDATORY, 0, NULL) >= 0, "no filter");
    return plan;
}

/* Entries of one byte, as many as OTHER has. */
static void put_vocabulary(hid_t to, const char *other) {
    FILE *file = fopen(other, "rb");
    must(file && fseek(file, 0, SEEK_END) == 0, "the other file can't be read");
    const hsize_t count = (hsize_t)ftell(file);
    fclose(file);
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &count, NULL), type = H5Tcopy(H5T_C_S1);
    must(H5Tset_size(type, 1) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0, "no strings");
    must(H5Pset_external(plan, other, 0, count) >= 0, "no external data set");
    hid_t set = H5Dcreate2(to, "vocabulary", type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    must(set >= 0, "the vocabulary can't be made");
    H5Dclose(set);
    H5Tclose(type);
    H5Sclose(space);
    H5Pclose(plan);
}

/* The plan of a data set of this kind. */
static hid_t plan_of(const char *kind, const char *other, const uint8_t *tokens, hsize_t count, hid_t space) {
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    if (strcmp(kind, "virtual") == 0) {
        must(H5Pset_virtual(plan, space, other, "/train", space) >= 0, "no virtual data set");
        return plan;
    }
    if (strcmp(kind, "filter") == 0)
        return filtered_plan(count);
    if (strcmp(kind, "vocabulary") == 0)
        return H5Pcreate(H5P_DATASET_CREATE);
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
    must(argc == 5, "usage: other_storage external|virtual|link|chunk|filter|vocabulary FROM TO OTHER");
    const char *kind = argv[1], *other = argv[4];
    hid_t from = H5Fopen(argv[2], H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t to = H5Fcreate(argv[3], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    must(from >= 0 && to >= 0, "a file can't be opened");
    must(H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_attribute, &to) >= 0, "no attributes");
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"vocabulary", "validation", "test"};
        if (i == 0 && strcmp(kind, "vocabulary") == 0)
            put_vocabulary(to, other);
        else
            must(H5Ocopy(from, names[i], to, names[i], H5P_DEFAULT, H5P_DEFAULT) >= 0, "a part can't be copied");
    }
    hid_t set = H5Dopen2(from, "train", H5P_DEFAULT), type = H5Dget_type(set), space = H5Dget_space(set);
    H5Sget_simple_extent_dims(space, &count, NULL);
    must(H5Tget_size(type) == 1 && count <= MOST, "the data set is none that this knows");
    must(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens) >= 0, "it can't be read");
    if (strcmp(kind, "link") == 0) {
        must(H5Lcreate_external(other, "/train", to, "train", H5P_DEFAULT, H5P_DEFAULT) >= 0, "no link");
        must(H5Fclose(to) >= 0, "it can't be closed");
        return 0;
    }
    const hsize_t unlimited = H5S_UNLIMITED;
    hid_t fixed = H5Screate_simple(1, &count, strcmp(kind, "chunk") == 0 ? &unlimited : NULL),
          plan = plan_of(kind, other, tokens, count, fixed);
    hid_t made = H5Dcreate2(to, "train", type, fixed, H5P_DEFAULT, plan, H5P_DEFAULT);
    must(made >= 0, "it can't be made");
    if (strcmp(kind, "external") != 0 && strcmp(kind, "virtual") != 0)
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
