/* Checkpoints to test with. */
#include "config.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint/listing.h"
#include "checkpoint_fixture.h"

enum { HIDDEN = 5, LAYERS = 2, CHARACTERS = 4 };

static const uint32_t characters[CHARACTERS] = {0, 'a', 0xe9, 0x1f600};

static void fill(crs_array *array, uint64_t seed) {
    static const uint32_t odd[] = {0x7fc00123u, 0x80000000u, 0x00000001u, 0xff800000u}; /* nan, -0, subnormal, -inf */
    int64_t size = crs_array_size(array);
    for (int64_t i = 0; i < size; i++) {
        uint64_t draw[4];
        crs_random(seed, CRS_DRAW_PARAMETER, (uint64_t)i, 0, 0, 0, draw);
        double real = crs_unit_double(draw[0]) - 0.5;
        if (array->type == CRS_F32)
            ((float *)array->values)[i] = (float)real;
        else if (array->type == CRS_F64)
            ((double *)array->values)[i] = real;
        else
            ((uint64_t *)array->values)[i] = draw[1];
    }
    if (strncmp(array->path, "/state/", 7) == 0 && array->type == CRS_F32)
        memcpy(array->values, odd, sizeof odd); /* bits that arithmetic would change */
}

static void add(crs_checkpoint *checkpoint, const char *path, crs_type type, int rank, int64_t a, int64_t b,
                int64_t c) {
    int64_t dims[3] = {a, b, c};
    crs_error error;
    crs_array *array = crs_checkpoint_add(checkpoint, path, type, rank, dims, &error);
    if (!array)
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    fill(array, (uint64_t)crs_checkpoint_step(checkpoint) * 1000 + (uint64_t)checkpoint->arrays);
}

static void add_tensor(crs_checkpoint *checkpoint, const char *name, int rank, int64_t rows, int64_t columns) {
    static const char *const folders[] = {"/model", "/optimizer/adam/first_moment", "/optimizer/adam/second_moment"};
    for (int i = 0; i < 3; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        add(checkpoint, path, CRS_F32, rank, rows, columns, 0);
    }
}

static void add_layer(crs_checkpoint *c, const char *cell, int layer, int64_t inputs) {
    bool gru = strcmp(cell, "gru") == 0, peephole = strcmp(cell, "peephole") == 0;
    int64_t rows = (strcmp(cell, "rnn") == 0 ? 1 : gru ? 3 : 4) * HIDDEN;
    char name[40];
    snprintf(name, sizeof name, "layers/%d/weight_ih", layer);
    add_tensor(c, name, 2, rows, inputs);
    snprintf(name, sizeof name, "layers/%d/weight_hh", layer);
    add_tensor(c, name, 2, rows, HIDDEN);
    snprintf(name, sizeof name, "layers/%d/bias_ih", layer);
    add_tensor(c, name, 1, rows, 0);
    snprintf(name, sizeof name, "layers/%d/%s", layer, gru ? "bias_hh" : "peephole");
    if (gru)
        add_tensor(c, name, 1, rows, 0);
    if (peephole)
        add_tensor(c, name, 2, 3, HIDDEN);
}

void fixture_make(crs_checkpoint *checkpoint, const char *cell, int64_t embed, crs_level level, int64_t step) {
    crs_checkpoint *c = checkpoint;
    crs_error error;
    memset(c, 0, sizeof *c);
    char data[CRS_HASH_HEX];
    crs_hash_bytes("data", 4, data);
    crs_attributes *a = &c->attributes;
    crs_attributes_put_text(a, "cell", cell);
    crs_attributes_put_integer(a, "hidden", HIDDEN);
    crs_attributes_put_integer(a, "layers", LAYERS);
    crs_attributes_put_integer(a, "embed", embed);
    crs_attributes_put_integer(a, "step", step);
    crs_attributes_put_integer(a, "epoch", step / 10);
    crs_attributes_put_integer(a, "tokens", step * 2500);
    crs_attributes_put_real(a, "best_validation_loss", 1.25 + 1.0 / (double)(step + 1));
    crs_attributes_put_text(a, "best_validation_loss_units", "nats a token");
    crs_attributes_put_text(a, "level", crs_level_name(level));
    crs_attributes_put_text(a, "data", data);
    c->config = crs_copy_text("cell = lstm\nhidden = 5\n; a note with a \xc3\xa9\nrate = 0.002\n");
    if (!c->config || crs_vocabulary_create(&c->vocabulary, level, characters, CHARACTERS, &error))
        crs_panic(__FILE__, __LINE__, "no vocabulary");
    int64_t tokens = c->vocabulary.count;
    if (embed)
        add_tensor(c, "embedding/weight", 2, tokens, embed);
    for (int i = 0; i < LAYERS; i++)
        add_layer(c, cell, i, i ? HIDDEN : embed ? embed : tokens);
    add_tensor(c, "output/weight", 2, tokens, HIDDEN);
    add_tensor(c, "output/bias", 1, tokens, 0);
    add(c, "/optimizer/adam/updates", CRS_I64, 0, 0, 0, 0);
    add(c, "/state/hidden", CRS_F32, 3, 2, LAYERS, 2 * HIDDEN);
    add(c, "/state/position", CRS_I64, 0, 0, 0, 0);
    add(c, "/state/seed", CRS_U64, 1, 2, 0, 0);
    add(c, "/state/losses", CRS_F64, 1, 3, 0, 0);
    add(c, "/history/validation_loss", CRS_F64, 1, step > 3 ? 3 : 0, 0, 0);
}

/* In any order: a file's are read by name. */
static bool equal_attributes(const crs_attributes *a, const crs_attributes *b) {
    bool equal = a->count == b->count;
    for (int i = 0; equal && i < a->count; i++) {
        const crs_attribute *x = &a->list[i], *y = crs_attributes_find(b, x->name);
        equal = y && x->kind == y->kind && strcmp(x->text, y->text) == 0 && x->integer == y->integer &&
                memcmp(&x->real, &y->real, sizeof x->real) == 0;
    }
    return equal;
}

bool fixture_equal(const crs_checkpoint *a, const crs_checkpoint *b) {
    if (!equal_attributes(&a->attributes, &b->attributes) || strcmp(a->config, b->config) != 0 ||
        !crs_vocabulary_equal(&a->vocabulary, &b->vocabulary) || a->arrays != b->arrays)
        return false;
    for (int i = 0; i < a->arrays; i++) {
        const crs_array *x = &a->array[i], *y = crs_checkpoint_find(b, x->path);
        if (!y || x->type != y->type || x->rank != y->rank ||
            memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0 ||
            memcmp(x->values, y->values, (size_t)crs_array_size(x) * crs_type_size(x->type)) != 0)
            return false;
    }
    return true;
}

/* ---- files ---- */

unsigned char *fixture_slurp(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) != 0) {
        if (file)
            fclose(file);
        return NULL;
    }
    *size = (size_t)status.st_size;
    unsigned char *bytes = malloc(*size + 1);
    CRS_ASSERT(bytes && fread(bytes, 1, *size, file) == *size);
    fclose(file);
    return bytes;
}

void fixture_spill(const char *path, const unsigned char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    CRS_ASSERT(file != NULL);
    CRS_ASSERT(fwrite(bytes, 1, size, file) == size);
    CRS_ASSERT(fclose(file) == 0);
}

bool fixture_exists(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0;
}

int fixture_count(const char *folder) {
    DIR *open = opendir(folder);
    int count = 0;
    if (!open)
        return -1;
    while (readdir(open))
        count++;
    closedir(open);
    return count - 2;
}

/* ---- changing a file ---- */

static void seal_set(hid_t file, const crs_object *object) {
    char hash[CRS_HASH_HEX];
    size_t size = crs_type_size(object->type) * (size_t)object->count;
    void *values = malloc(size + 1);
    hid_t set = H5Dopen2(file, object->path, H5P_DEFAULT);
    CRS_ASSERT(values && set >= 0);
    CRS_ASSERT(H5Dread(set, crs_type_stored(object->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    crs_hash_bytes(values, size, hash);
    if (H5Aexists(set, CRS_HASH_ATTRIBUTE) > 0)
        H5Adelete(set, CRS_HASH_ATTRIBUTE);
    CRS_ASSERT(crs_h5_put_text(set, CRS_HASH_ATTRIBUTE, hash));
    H5Dclose(set);
    free(values);
}

static void seal_all(hid_t file) {
    crs_listing listing;
    crs_error error;
    char hash[CRS_HASH_HEX];
    CRS_ASSERT(crs_listing_make(&listing, file, "edited", INT64_MAX, &error) == CRS_OK);
    for (int i = 0; i < listing.count; i++)
        if (listing.object[i].kind == CRS_OBJECT_ARRAY)
            seal_set(file, &listing.object[i]);
    CRS_ASSERT(crs_listing_hash(&listing, file, "edited", hash, &error) == CRS_OK);
    if (H5Aexists(file, CRS_LISTING_ATTRIBUTE) > 0)
        H5Adelete(file, CRS_LISTING_ATTRIBUTE);
    CRS_ASSERT(crs_h5_put_text(file, CRS_LISTING_ATTRIBUTE, hash));
    crs_listing_free(&listing);
}

void fixture_edit(const char *path, fixture_change *change, const void *context, bool seal) {
    crs_h5_silence();
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    CRS_ASSERT(file >= 0);
    change(file, context);
    if (seal)
        seal_all(file);
    CRS_ASSERT(H5Fclose(file) >= 0);
}
