/* Notes, drums and piano rolls. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "carousel/notes.h"

enum { PADS_MOST = 4, ROOM_LEAST = 64 };

/* The note of each drum where one is meant, and the pads of a kit that are taken for it. */
static const struct {
    const char *name;
    int note, pads[PADS_MOST]; /* 0: no more */
} drums[CRS_DRUMS] = {
    {"kick", 36, {36, 35}},          {"snare", 38, {38, 40, 37}},   {"closed hi-hat", 42, {42, 22, 44}},
    {"low tom", 45, {43, 58}},       {"open hi-hat", 46, {46, 26}}, {"mid tom", 48, {47, 45}},
    {"crash", 49, {49, 52, 55, 57}}, {"high tom", 50, {50, 48}},    {"ride", 51, {51, 53, 59}},
};

int crs_drum_note(int drum) {
    return drums[drum].note;
}

int crs_drum_pad(int drum) {
    return drums[drum].pads[0];
}

const char *crs_drum_name(int drum) {
    return drums[drum].name;
}

int crs_drum_of_note(int note) {
    for (int drum = 0; drum < CRS_DRUMS; drum++)
        if (drums[drum].note == note)
            return drum;
    return crs_drum_of_pad(note);
}

int crs_drum_of_pad(int note) {
    for (int drum = 0; drum < CRS_DRUMS; drum++)
        for (int i = 0; i < PADS_MOST; i++)
            if (note > 0 && drums[drum].pads[i] == note)
                return drum;
    return -1;
}

int crs_column_note(const char *column, bool *drum) {
    char *end;
    for (int d = 0; d < CRS_DRUMS; d++)
        if (strcmp(column, drums[d].name) == 0) {
            *drum = true;
            return crs_drum_pad(d);
        }
    *drum = false;
    const long note = *column >= '0' && *column <= '9' ? strtol(column, &end, 10) : -1;
    return note >= 0 && note < CRS_NOTES && !*end ? (int)note : -1;
}

int crs_grid_of(const char *text) {
    int grid = 0;
    if (text[0] != '1' || text[1] != '/')
        return 0;
    for (text += 2; *text >= '0' && *text <= '9' && grid <= CRS_GRID_MOST; text++)
        grid = 10 * grid + (*text - '0');
    return !*text && grid <= CRS_GRID_MOST ? grid : 0;
}

crs_status crs_roll_extend(crs_roll *roll, int64_t steps, crs_error *error) {
    const int64_t wanted = roll->steps + steps;
    if (wanted > roll->room) {
        const int64_t room = wanted > ROOM_LEAST ? 2 * wanted : ROOM_LEAST;
        uint64_t(*step)[CRS_NOTES / 64] =
            crs_alloc_or_fail((size_t)room, sizeof *step, CRS_MEMORY_DATA, "a piano roll", error);
        if (!step)
            return error->status;
        if (roll->steps > 0)
            memcpy(step, roll->step, (size_t)roll->steps * sizeof *step);
        crs_free(&roll->step);
        roll->step = step;
        roll->room = room;
    }
    for (; roll->steps < wanted; roll->steps++)
        memset(roll->step[roll->steps], 0, sizeof *roll->step);
    return CRS_OK;
}

crs_status crs_roll_put(crs_roll *roll, int note, int64_t from, int64_t to, crs_error *error) {
    CRS_ASSERT(note >= 0 && note < CRS_NOTES && from >= 0 && from <= to);
    if (to > roll->steps && crs_roll_extend(roll, to - roll->steps, error))
        return error->status;
    for (int64_t step = from; step < to; step++)
        roll->step[step][note / 64] |= UINT64_C(1) << (note % 64);
    return CRS_OK;
}

void crs_roll_clear(crs_roll *roll) {
    roll->steps = 0;
}

void crs_roll_free(crs_roll *roll) {
    crs_free(&roll->step);
    *roll = (crs_roll){0};
}
