/* What the tests of room data share: files of a rank, packing in short, HDF5 files as others write them. */
#include "config.h"

#include "data_fixture.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

/* ---- files ---- */

/* A file of this rank, in one of 32 buffers used in turn. */
const char *own(const char *name) {
    static char paths[32][4096];
    static int turn;
    char *path = paths[turn++ % 32];
    int length = snprintf(path, sizeof *paths, "%s/rank%d", harness_dir(), harness_rank());
    mkdir(path, 0777);
    snprintf(path + length, sizeof *paths - (size_t)length, "/%s", name);
    return path;
}

void put_file(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, count, file), count);
    CU_ASSERT_EQUAL(fclose(file), 0);
}

void put_text(const char *path, const char *text) {
    put_file(path, text, strlen(text));
}

/* Owned by the caller (crs_free). */
unsigned char *get_file(const char *path, size_t *count) {
    struct stat about;
    FILE *file = fopen(path, "rb");
    CU_ASSERT_FATAL(file != NULL && fstat(fileno(file), &about) == 0);
    *count = (size_t)about.st_size;
    unsigned char *bytes = crs_alloc(*count, 1, CRS_MEMORY_OTHER);
    CU_ASSERT_EQUAL(fread(bytes, 1, *count, file), *count);
    fclose(file);
    return bytes;
}

bool same_files(const char *a, const char *b) {
    size_t count_a, count_b;
    unsigned char *bytes_a = get_file(a, &count_a), *bytes_b = get_file(b, &count_b);
    bool same = count_a == count_b && memcmp(bytes_a, bytes_b, count_a) == 0;
    crs_free(&bytes_a);
    crs_free(&bytes_b);
    return same;
}

/* Files of this rank's folder that packing should have removed. */
int count_leftovers(void) {
    char folder[4096];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/rank%d", harness_dir(), harness_rank());
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        count += strstr(entry->d_name, ".tmp") != NULL || strncmp(entry->d_name, ".carousel", 9) == 0;
    if (entries)
        closedir(entries);
    return count;
}

/* The status is the wanted one, and the message has each of the blank-separated words. */
bool refuses(const crs_error *error, crs_status status, crs_status wanted, const char *words) {
    char copy[512], *rest = copy;
    bool good = status == wanted && error->status == wanted && error->message[0] && !strchr(error->message, '\n');
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word; (word = strtok_r(rest, " ", &rest));)
        good = good && strstr(error->message, word);
    if (!good)
        fprintf(stderr, "status %d, wanted %d with '%s': %s\n", (int)status, (int)wanted, words, error->message);
    return good;
}

/* ---- packing in short ---- */

/* What most tests want: one input, level char, the usual shares and sizes. */
request usual(const char *output, const char *input) {
    return (request){.pack = {.output = output, .inputs = 1, .split = {0.9, 0.05, 0.05}},
                     .tuning = {.read_bytes = 1 << 16, .chunk_bytes = 1 << 16},
                     .input = {input}};
}

crs_packed last; /* what the last packing said */
crs_error said;

crs_status pack(request r) {
    r.pack.input = r.input;
    memset(&said, 0, sizeof said);
    return crs_pack_text_tuned(&r.pack, &r.tuning, &last, &said);
}

/* All tokens of a file, in the order train, validation, test; owned by the caller (crs_free). */
uint32_t *read_tokens(const crs_dataset *dataset, int64_t *count) {
    crs_error error = {0};
    *count = dataset->length[0] + dataset->length[1] + dataset->length[2];
    uint32_t *tokens = crs_alloc((size_t)*count, sizeof *tokens, CRS_MEMORY_OTHER), *place = tokens;
    for (crs_split split = 0; split < CRS_SPLITS; split++) {
        CU_ASSERT_EQUAL(crs_dataset_read(dataset, split, 0, dataset->length[split], place, &error), CRS_OK);
        CU_ASSERT_EQUAL(crs_dataset_verify(dataset, split, &error), CRS_OK);
        place += dataset->length[split];
    }
    return tokens;
}

size_t encode(const uint32_t *characters, size_t count, char *bytes) {
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += (size_t)crs_utf8_encode(characters[i], bytes + length);
    return length;
}

/* ---- HDF5 files by other hands ---- */

void put_string(hid_t object, const char *name, const char *text, bool variable) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, variable ? H5T_VARIABLE : strlen(text) + 1);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Awrite(attribute, type, variable ? (const void *)&text : text) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

void put_number(hid_t object, const char *name, int value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, H5T_STD_I32BE, space, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Awrite(attribute, H5T_NATIVE_INT, &value) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
}

/* size 0: strings of variable length. */
void put_vocabulary(hid_t file, const char *const *entries, hsize_t count, size_t size, H5T_str_t padding) {
    char block[64 * 16] = {0};
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &count, NULL);
    H5Tset_size(type, size ? size : H5T_VARIABLE);
    H5Tset_strpad(type, padding);
    H5Tset_cset(type, H5T_CSET_UTF8);
    if (padding == H5T_STR_SPACEPAD)
        memset(block, ' ', sizeof block);
    for (hsize_t i = 0; i < count && size; i++)
        memcpy(block + i * size, entries[i], strlen(entries[i]));
    hid_t set = H5Dcreate2(file, "vocabulary", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, size ? (const void *)block : entries) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(type);
}

/* chunk 0: contiguous. plan: more properties, or H5P_DEFAULT. */
void put_tokens(hid_t file, const char *name, hid_t type, const uint8_t *tokens, hsize_t count, hsize_t chunk,
                hid_t plan) {
    hid_t space = H5Screate_simple(1, &count, NULL);
    plan = plan == H5P_DEFAULT ? H5Pcreate(H5P_DATASET_CREATE) : H5Pcopy(plan);
    if (chunk)
        H5Pset_chunk(plan, 1, &chunk);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    CU_ASSERT(set >= 0);
    if (tokens) {
        CU_ASSERT(H5Dwrite(set, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens) >= 0);
    }
    H5Dclose(set);
    H5Pclose(plan);
    H5Sclose(space);
}

hid_t new_file(const char *path) {
    crs_h5_silence();
    return H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
}

void put_head(hid_t file, const char *format, int version) {
    put_string(file, "format", format, true);
    put_number(file, "version", version);
    put_string(file, "level", "char", false);
    put_string(file, "source", "by hand", true);
}

crs_status try_open(const char *path) {
    crs_dataset dataset;
    memset(&said, 0, sizeof said);
    int64_t blocks = crs_memory_blocks();
    crs_status status = crs_dataset_open(&dataset, path, &said);
    if (!status)
        crs_dataset_close(&dataset);
    CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    return status;
}
