/* Data sets that grow. */
#include "config.h"

#include "data/growing.h"

#include <errno.h>
#include <string.h>

static size_t row_numbers(const crs_growing *g) {
    return g->width > 0 ? g->width : 1;
}

static size_t row_bytes(const crs_growing *g) {
    return row_numbers(g) * g->size;
}

bool crs_growing_begin(crs_growing *g, size_t chunk_bytes) {
    g->size = H5Tget_size(g->type);
    g->chunk = chunk_bytes / row_bytes(g);
    if (g->chunk < 1)
        g->chunk = 1;
    g->set = H5I_INVALID_HID;
    g->hash = crs_hash_new();
    errno = ENOMEM;
    return g->hash != NULL;
}

/* Made when the first rows are to be written: a chunk is no longer than what there is, so that little data make little
 * files. */
static bool create(crs_growing *g) {
    const int dimensions = g->width > 0 ? 2 : 1;
    const hsize_t none[2] = {0, g->width}, most[2] = {H5S_UNLIMITED, g->width};
    const hsize_t chunk[2] = {g->filled > 0 ? g->filled : 1, g->width};
    hid_t space = H5Screate_simple(dimensions, none, most);
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE), access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk(plan, dimensions, chunk);
    H5Pset_obj_track_times(plan, false);
    H5Pset_chunk_cache(access, 1, 0, 1.0); /* none: each chunk is written once */
    g->set = H5Dcreate2(g->group, g->name, g->type, space, H5P_DEFAULT, plan, access);
    crs_h5_close(&access);
    crs_h5_close(&plan);
    crs_h5_close(&space);
    return g->set >= 0;
}

/* Numbers as the file has them, little-endian. */
static void put_little(const crs_growing *g, char *to, const char *from, size_t numbers) {
    memcpy(to, from, numbers * g->size);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < numbers && !g->text && !g->little; i++)
        for (size_t byte = 0; byte < g->size; byte++)
            to[i * g->size + byte] = from[(i + 1) * g->size - 1 - byte];
#endif
}

static bool flush(crs_growing *g) {
    const int dimensions = g->width > 0 ? 2 : 1;
    const hsize_t start[2] = {g->written, 0}, count[2] = {g->filled, g->width};
    const hsize_t extent[2] = {g->written + g->filled, g->width};
    errno = 0;
    if (g->set < 0 && !create(g))
        return false;
    if (g->filled == 0)
        return true;
    bool good = H5Dset_extent(g->set, extent) >= 0;
    hid_t space = H5Dget_space(g->set), memory = H5Screate_simple(dimensions, count, NULL);
    good = good && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
           H5Dwrite(g->set, g->type, memory, space, H5P_DEFAULT, g->block) >= 0;
    const int reason = errno;
    crs_h5_close(&memory);
    crs_h5_close(&space);
    crs_hash_add(g->hash, g->block, g->filled * row_bytes(g));
    g->written += g->filled;
    g->filled = 0;
    errno = reason;
    return good;
}

bool crs_growing_add(crs_growing *g, const void *rows, size_t count) {
    const size_t bytes = row_bytes(g);
    const char *from = rows;
    if (!g->block && count > 0)
        g->block = crs_alloc(g->chunk, bytes, CRS_MEMORY_DATA);
    errno = ENOMEM;
    if (!g->block)
        return count == 0;
    while (count > 0) {
        const size_t left = g->chunk - g->filled, part = count < left ? count : left;
        put_little(g, g->block + g->filled * bytes, from, part * row_numbers(g));
        g->filled += part;
        from += part * bytes;
        count -= part;
        if (g->filled == g->chunk && !flush(g))
            return false;
    }
    return true;
}

bool crs_growing_finish(crs_growing *g, const char *units, const char *description) {
    char hex[CRS_HASH_HEX];
    if (!flush(g))
        return false;
    crs_hash_text(g->hash, hex);
    errno = 0;
    bool good = (!units || crs_h5_put_text(g->set, "units", units)) &&
                crs_h5_put_text(g->set, "description", description) && crs_h5_put_text(g->set, CRS_HASH_ATTRIBUTE, hex);
    return crs_h5_close(&g->set) && good;
}

void crs_growing_free(crs_growing *g) {
    crs_h5_close(&g->set);
    crs_hash_free(&g->hash);
    crs_free(&g->block);
}
