/* One split of a data set of tokens. */
#include "config.h"

#include "data/dataset.h"

#include <string.h>

const char *crs_split_name(crs_split split) {
    static const char *const names[CRS_SPLITS] = {"train", "validation", "test"};
    return names[split];
}

crs_status crs_split_open(crs_dataset *dataset, crs_split split, crs_error *error) {
    crs_set *set = &dataset->file->split[split];
    const crs_set_plan plan = {.file = dataset->path,
                               .path = crs_split_name(split),
                               .kind = CRS_SET_TOKENS,
                               .dimensions = 1,
                               .things = "tokens",
                               .advice = "store the tokens as one sequence"};
    if (!crs_set_exists(dataset->file->file, plan.path))
        return crs_fail(error, CRS_DATA,
                        "%s: it has no /%s; a data set has /train, /validation and /test (which may be empty)",
                        dataset->path, plan.path);
    if (crs_set_open(set, dataset->file->file, &plan, error))
        return error->status;
    dataset->length[split] = set->rows;
    dataset->token_bytes = set->unit > dataset->token_bytes ? set->unit : dataset->token_bytes;
    memcpy(dataset->hash[split], set->hash, CRS_HASH_HEX);
    return CRS_OK;
}
