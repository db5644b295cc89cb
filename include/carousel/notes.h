/* Notes of MIDI, drums, and piano rolls: which notes sound in which step. Local. */
#ifndef CAROUSEL_NOTES_H
#define CAROUSEL_NOTES_H

#include "carousel/base.h"

enum { CRS_NOTES = 128, CRS_CHANNELS = 16, CRS_DRUM_CHANNEL = 9 }; /* channel 10, as people count */

/* Nine drums of the kit of General MIDI, by ascending note. A kit has more pads, each of which is taken for one of
 * them: so in MIDI files; where drums themselves are written as notes (JSON), it is by the note of each. They differ:
 * the note of a tom is, as a pad, taken for the tom above. */
enum { CRS_DRUMS = 9 };
const char *crs_drum_name(int drum); /* "kick" */
int crs_drum_note(int drum);         /* where drums are written */
int crs_drum_pad(int drum);          /* in MIDI, the first pad that is taken for it */
int crs_drum_of_note(int note);      /* the drum that is written so, or that the pad is taken for; or -1 */
int crs_drum_of_pad(int note);       /* the drum that a pad is taken for, or -1 */

/* The note (of a drum: the pad) that a column of bits stands for: a number from 0 to 127, or a drum's name; -1:
 * neither. */
int crs_column_note(const char *column, bool *drum);

/* Of a grid as options and files say it ("1/16"), the steps of a whole note; 0 where it is none. */
enum { CRS_GRID_MOST = 960 };
int crs_grid_of(const char *text);

/* Begins as zeros: no steps. */
typedef struct crs_roll {
    int64_t steps, room;
    uint64_t (*step)[CRS_NOTES / 64]; /* [room], owned: a bit for each note */
} crs_roll;

static inline bool crs_roll_sounds(const crs_roll *roll, int64_t step, int note) {
    return roll->step[step][note / 64] >> (note % 64) & 1;
}
/* Lets a note sound from step `from` to before `to`, and the roll last as long. CRS_INTERNAL: out of memory. */
crs_status crs_roll_put(crs_roll *roll, int note, int64_t from, int64_t to, crs_error *error);
/* Lets it last so many steps more, which are silent. */
crs_status crs_roll_extend(crs_roll *roll, int64_t steps, crs_error *error);
void crs_roll_clear(crs_roll *roll); /* no steps; its memory stays */
void crs_roll_free(crs_roll *roll);

#endif
