/* Data sets: opened, verified, read from end to end; and their vocabulary alone, as `pack --vocabulary` reads it. */
#include "config.h"

#include "carousel/data.h"
#include "data/dataset.h"
#include "data/sequences.h"
#include "fuzz.h"

enum { TOKENS = 1 << 12, PIECE = 1 << 10 };

/* Of sequences: what was read indexes weights, or goes into sums, without a further look. */
static void read_part(const crs_dataset *dataset, crs_split split, crs_part part) {
    static char values[1 << 16];
    const crs_schema *s = &dataset->schema;
    const crs_set *set = crs_part_of(dataset, split, part);
    crs_error error = {0};
    if (!set || set->rows < 1)
        return;
    CRS_ASSERT(set->width > 0 && set->unit > 0);
    const int64_t room = (int64_t)sizeof values / set->width / set->unit;
    const int64_t rows = set->rows < room ? set->rows : room;
    if (rows < 1)
        return;
    const crs_status status = crs_part_read(dataset, split, part, set->rows - rows, rows, values, &error);
    fuzz_check_outcome(status, &error);
    if (status != CRS_OK)
        return;
    const bool input = part == CRS_PART_INPUTS;
    const crs_value_kind kind = part == CRS_PART_WEIGHTS          ? CRS_VALUE_WEIGHT
                                : input                           ? (s->inputs == CRS_INPUT_BITS     ? CRS_VALUE_BIT
                                                                     : s->inputs == CRS_INPUT_VALUES ? CRS_VALUE_REAL
                                                                                                     : CRS_VALUE_BELOW)
                                : s->targets == CRS_TARGET_BITS   ? CRS_VALUE_BIT
                                : s->targets == CRS_TARGET_VALUES ? CRS_VALUE_REAL
                                                                  : CRS_VALUE_BELOW;
    const size_t count = (size_t)(rows * set->width);
    const uint32_t limit = (uint32_t)(input ? s->input_size : s->target_size);
    CRS_ASSERT(crs_values_wrong(kind, limit, values, set->unit, count) == count);
}

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
    for (crs_part part = 0; part < CRS_PARTS; part++)
        if (part == CRS_PART_INPUTS || part == CRS_PART_TARGETS || part == CRS_PART_WEIGHTS)
            read_part(dataset, split, part);
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
