/* Checkpoints: read whole, with the options in them. What was read is finite and hangs together. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "carousel/checkpoint.h"
#include "carousel/spec.h"
#include "fuzz.h"

static void look_through(const crs_checkpoint *checkpoint) {
    char parameters[CRS_HASH_HEX], state[CRS_HASH_HEX];
    CRS_ASSERT(checkpoint->config && checkpoint->vocabulary.count > 0);
    crs_spec spec;
    crs_error error = {0};
    CRS_ASSERT(crs_checkpoint_step(checkpoint) >= 0);
    CRS_ASSERT(crs_spec_of(&checkpoint->attributes, checkpoint->vocabulary.count, "fuzz", &spec, &error) == CRS_OK);
    for (int i = 0; i < checkpoint->arrays; i++) {
        const crs_array *array = &checkpoint->array[i];
        CRS_ASSERT(array->rank >= 0 && array->rank <= 3 && array->values);
        const int64_t count = crs_array_size(array);
        const bool parameter = array->type == CRS_F32 && strncmp(array->path, "/model/", 7) == 0;
        for (int64_t k = 0; k < count && parameter; k++)
            CRS_ASSERT(isfinite(((const float *)array->values)[k]));
    }
    crs_checkpoint_digests(checkpoint, parameters, state);
    CRS_ASSERT(strlen(parameters) == CRS_HASH_HEX - 1 && strlen(state) == CRS_HASH_HEX - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    const int64_t blocks = crs_memory_blocks();
    crs_checkpoint checkpoint = {0};
    crs_error error = {0};
    const crs_status status = crs_checkpoint_read(path, &checkpoint, &error);
    fuzz_check_outcome(status, &error);
    if (status == CRS_OK)
        look_through(&checkpoint);
    fuzz_accepted += status == CRS_OK;
    crs_checkpoint_free(&checkpoint);
    fuzz_check_memory(blocks);
    return 0;
}
