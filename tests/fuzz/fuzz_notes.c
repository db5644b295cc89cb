/* Music: as standard MIDI, and as a piano roll in JSON. What was taken is no longer than it may be. */
#include "config.h"

#include "data/midi.h"
#include "data/notes_files.h"
#include "fuzz.h"

enum { GRID = 16 };

static void read_midi(const uint8_t *data, size_t size, bool drums) {
    crs_roll roll = {0};
    crs_error error = {0};
    const crs_status status = crs_midi_read(data, size, "fuzz.mid", GRID, drums, &roll, &error);
    fuzz_check_outcome(status, &error);
    if (status == CRS_OK) {
        CRS_ASSERT(roll.steps <= CRS_ROLL_STEPS);
        fuzz_accepted++;
    }
    crs_roll_free(&roll);
}

static void read_json(const uint8_t *data, size_t size) {
    crs_notes_json *json = NULL;
    crs_roll roll = {0};
    crs_error error = {0};
    crs_split split = CRS_TRAIN, before;
    bool more = true;
    crs_status status = crs_notes_json_open(&json, "fuzz.json", (const char *)data, size, &error);
    while (status == CRS_OK && more) {
        before = split;
        status = crs_notes_json_next(json, &split, &roll, &more, &error);
        if (status == CRS_OK && more)
            CRS_ASSERT(roll.steps > 0 && split >= before);
    }
    fuzz_check_outcome(status, &error);
    fuzz_accepted += status == CRS_OK;
    crs_notes_json_close(&json);
    crs_roll_free(&roll);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int64_t blocks = crs_memory_blocks();
    read_midi(data, size, false);
    read_midi(data, size, true);
    read_json(data, size);
    fuzz_check_memory(blocks);
    return 0;
}
