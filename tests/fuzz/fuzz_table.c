/* Tables and series: packed whole into a data set, which then is one: it opens, and verifies. The first byte says what
 * the columns are for; the rest is the file. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carousel/data.h"
#include "fuzz.h"

static const char *output(void) {
    static char path[4096];
    const char *base = getenv("TMPDIR");
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : base && *base ? base : "/tmp";
    if (!*path)
        snprintf(path, sizeof path, "%s/carousel-fuzz-%ld.h5", folder, (long)getpid());
    return path;
}

/* What is wrong with the options (a column that is not there) is the header's fault here. */
static void check(crs_status status, const crs_error *error) {
    crs_dataset dataset;
    crs_error opened = {0};
    if (status == CRS_USAGE) {
        CRS_ASSERT(error->status == CRS_USAGE && *error->message);
        return;
    }
    fuzz_check_outcome(status, error);
    if (status != CRS_OK) {
        CRS_ASSERT(access(output(), F_OK) != 0);
        return;
    }
    CRS_ASSERT(crs_dataset_open(&dataset, output(), &opened) == CRS_OK);
    for (crs_split split = 0; split < CRS_SPLITS; split++)
        CRS_ASSERT(crs_dataset_verify(&dataset, split, &opened) == CRS_OK);
    crs_dataset_close(&dataset);
    unlink(output());
    fuzz_accepted++;
}

static void pack_table(const char *path, unsigned choice) {
    static char target[] = "b", *targets[] = {target};
    const bool grouped = choice & 1, class = choice & 2, whole = grouped && choice & 4,
               ahead = !class && !whole && choice & 4;
    crs_table_pack pack = {.output = output(),
                           .files = 1,
                           .file = &path,
                           .delimiter = choice & 8 ? ';' : ',',
                           .time = choice & 16 ? "t" : NULL,
                           .group = grouped ? "g" : NULL,
                           .class = class ? "c" : NULL,
                           .per_sequence = whole,
                           .context = ahead ? 2 : 0,
                           .horizon = ahead,
                           .cut = choice & 32 ? CRS_CUT_COLUMN : CRS_CUT_SHARES,
                           .split = {0.6, 0.2, 0.2},
                           .split_column = choice & 32 ? "p" : NULL,
                           .missing = (crs_missing)(choice >> 6)};
    crs_packed_sequences packed;
    crs_error error = {0};
    if (!class)
        pack.targets = (crs_names){.name = targets, .count = 1};
    check(crs_pack_table(&pack, &packed, &error), &error);
}

static void pack_series(const char *path, unsigned choice) {
    const crs_series_pack pack = {.output = output(),
                                  .train = path,
                                  .test = choice & 1 ? path : NULL,
                                  .validation = choice & 2 ? 0.5 : 0,
                                  .missing = (crs_missing)(choice >> 6)};
    crs_packed_sequences packed;
    crs_error error = {0};
    check(crs_pack_series(&pack, &packed, &error), &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t blocks = crs_memory_blocks();
    if (size == 0)
        return 0;
    const char *path = fuzz_file(data + 1, size - 1);
    if (size > 1 && (data[1] == '@' || data[1] == '#'))
        pack_series(path, data[0]);
    else
        pack_table(path, data[0]);
    fuzz_check_memory(blocks);
    return 0;
}
