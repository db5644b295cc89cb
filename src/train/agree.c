/* What every rank must have found alike before anything depends on it. */
#include "config.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "carousel/train.h"

/* Where files are may differ from rank to rank, and how many threads work. */
static bool may_differ(const char *name) {
    return strcmp(name, "config") == 0 || strcmp(name, "threads") == 0 || strcmp(name, "init-from") == 0;
}

/* A line an option, also of whether it was given: that decides what a resumed run and a short text may change. */
static char *text_of(const crs_settings *settings, const char *more) {
    char value[PATH_MAX + 1];
    const size_t size = sizeof value + (size_t)crs_options_count * 128 + (more ? strlen(more) : 0);
    char *text = crs_alloc(size, 1, CRS_MEMORY_OTHER);
    size_t used = 0;
    for (int i = 0; text && i < crs_options_count && used < size; i++) {
        const char *name = crs_options[i].name;
        crs_option_text(&settings->config, i, value, sizeof value);
        used += (size_t)snprintf(text + used, size - used, "%s = %s%s\n", name, may_differ(name) ? "" : value,
                                 settings->given[i] || may_differ(name) ? "" : " by default");
    }
    if (text && used < size)
        snprintf(text + used, size - used, "%s", more ? more : "");
    return text;
}

crs_status crs_settings_agree(crs_comm *comm, const crs_settings *settings, const char *more, crs_error *error) {
    char *text = error->status == CRS_OK ? text_of(settings, more) : NULL;
    if (!text && error->status == CRS_OK)
        crs_fail(error, CRS_INTERNAL, "out of memory for comparing the configuration over ranks");
    crs_comm_same(comm, text, CRS_CONFIG, "the configuration",
                  "start every rank with the same options, and the same contents of --config", error);
    crs_free(&text);
    return error->status;
}

crs_status crs_dataset_agree(crs_comm *comm, const crs_dataset *dataset, crs_error *error) {
    char text[2 * CRS_HASH_HEX + 96];
    snprintf(text, sizeof text, "digest %s\ntokens %" PRId64 " %" PRId64 " %" PRId64 "\n", dataset->digest,
             dataset->length[CRS_TRAIN], dataset->length[CRS_VALIDATION], dataset->length[CRS_TEST]);
    return crs_comm_same(comm, text, CRS_DATA, dataset->path ? dataset->path : "the data",
                         "give every rank the same file: one on a disk that all nodes share, or fresh copies", error);
}
