/* Options: as an INI file of a person's, and as the text that a checkpoint carries. What was taken is written down and
 * read again as the same. */
#include "config.h"

#include <string.h>

#include "carousel/train.h"
#include "fuzz.h"

enum { TEXT_MAX = 1 << 14 };

/* One text is all there is to a configuration's recorded options. */
static void write_and_read(const crs_config *config) {
    crs_config again;
    crs_error error = {0};
    char *text = crs_config_text(config);
    CRS_ASSERT(text);
    CRS_ASSERT(crs_config_parse(&again, text, "again", &error) == CRS_OK);
    char *same = crs_config_text(&again);
    CRS_ASSERT(same && strcmp(text, same) == 0);
    crs_free(&same);
    crs_free(&text);
}

static bool any_given(const crs_settings *settings) {
    bool any = false;
    for (int i = 0; i < crs_options_count; i++)
        any |= settings->given[i];
    return any;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static crs_settings settings;
    static crs_config config;
    static char text[TEXT_MAX];
    const int64_t blocks = crs_memory_blocks();
    crs_error error = {0};
    crs_settings_default(&settings);
    crs_status status = crs_settings_read_file(&settings, fuzz_file(data, size), &error);
    fuzz_check_outcome(status, &error);
    if (status == CRS_OK) {
        status = crs_settings_check(&settings, &error);
        fuzz_check_outcome(status, &error);
        if (any_given(&settings)) /* the defaults alone are known to come back */
            write_and_read(&settings.config);
        fuzz_accepted += status == CRS_OK && any_given(&settings);
    }
    const bool given = any_given(&settings);
    crs_settings_free(&settings);
    if (size < sizeof text) {
        memcpy(text, data, size);
        text[size] = '\0';
        error = (crs_error){0};
        status = crs_config_parse(&config, text, "fuzz", &error);
        fuzz_check_outcome(status, &error);
        if (status == CRS_OK && given)
            write_and_read(&config);
    }
    fuzz_check_memory(blocks);
    return 0;
}
