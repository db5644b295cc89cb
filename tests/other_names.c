/* other_names FILE LIST TEXT...: makes the list of names LIST ("classes") anew, of these texts and without a hash, as
 * others might write it. other_names FILE LIST@ATTRIBUTE TEXT...: the same of an attribute of the list, one text or
 * several. Strings are of variable length, as those of h5py. */
#include "config.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "other_names: %s\n", what);
    exit(99);
}

int main(int argc, char **argv) {
    must(argc > 3, "FILE LIST[@ATTRIBUTE] TEXT...");
    const hsize_t count = (hsize_t)argc - 3;
    char *list = argv[2], *attribute = strchr(list, '@');
    hid_t file = H5Fopen(argv[1], H5F_ACC_RDWR, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1),
          space = H5Screate_simple(1, &count, NULL);
    must(file >= 0, "the file can't be opened");
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    if (attribute) {
        *attribute++ = '\0';
        if (H5Aexists_by_name(file, list, attribute, H5P_DEFAULT) > 0)
            H5Adelete_by_name(file, list, attribute, H5P_DEFAULT);
        hid_t made = H5Acreate_by_name(file, list, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        must(made >= 0 && H5Awrite(made, type, argv + 3) >= 0, "the attribute can't be written");
        H5Aclose(made);
    } else {
        H5Ldelete(file, list, H5P_DEFAULT);
        hid_t made = H5Dcreate2(file, list, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        must(made >= 0 && H5Dwrite(made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, argv + 3) >= 0,
             "the list can't be written");
        H5Dclose(made);
    }
    H5Sclose(space);
    H5Tclose(type);
    must(H5Fclose(file) >= 0, "the file can't be closed");
    return 0;
}
