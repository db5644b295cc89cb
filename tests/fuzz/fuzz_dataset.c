/* Data sets: opened, verified, read from end to end; and their vocabulary alone, as `pack --vocabulary` reads it. */
#include "config.h"

#include "carousel/data.h"
#include "data/dataset.h"
#include "fuzz.h"

enum { TOKENS = 1 << 12, PIECE = 1 << 10 };

/* What was read may be used without a further look: a token indexes the embedding. Returns whether it is as it was
 * written. */
static bool read_split(const crs_dataset *dataset, crs_split split) {
    static uint32_t tokens[PIECE];
    const int64_t length = dataset->length[split] < TOKENS ? dataset->length[split] : TOKENS;
    crs_error error = {0};
    CRS_ASSERT(length >= 0);
    const crs_status verified = crs_dataset_verify(dataset, split, &error);
    fuzz_check_outcome(verified, &error);
    for (int64_t offset = 0; offset < length && dataset->schema.inputs == CRS_INPUT_TOKENS; offset += PIECE) {
        const int64_t count = length - offset < PIECE ? length - offset : PIECE;
        error = (crs_error){0};
        const crs_status status = crs_dataset_read(dataset, split, offset, count, tokens, &error);
        fuzz_check_outcome(status, &error);
        for (int64_t i = 0; i < count && status == CRS_OK; i++)
            CRS_ASSERT(tokens[i] < dataset->vocabulary.count);
    }
    return verified == CRS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    const int64_t blocks = crs_memory_blocks();
    crs_dataset dataset;
    crs_vocabulary vocabulary = {0};
    crs_error error = {0};
    const crs_status status = crs_dataset_open(&dataset, path, &error);
    fuzz_check_outcome(status, &error);
    bool valid = status == CRS_OK;
    for (int split = 0; split < CRS_SPLITS && status == CRS_OK; split++)
        valid &= read_split(&dataset, (crs_split)split);
    fuzz_accepted += valid;
    if (status == CRS_OK)
        crs_dataset_close(&dataset);
    fuzz_check_memory(blocks);
    error = (crs_error){0};
    fuzz_check_outcome(crs_vocabulary_load(path, &vocabulary, &error), &error);
    crs_vocabulary_free(&vocabulary);
    fuzz_check_memory(blocks);
    return 0;
}
