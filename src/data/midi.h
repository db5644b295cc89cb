/* Standard MIDI files, read by libsmf. */
#ifndef CAROUSEL_DATA_MIDI_H
#define CAROUSEL_DATA_MIDI_H

#include "carousel/notes.h"

/* Of a piece the steps are at most so many. */
#define CRS_ROLL_STEPS (INT64_C(1) << 22)

/* A file of format 0 or 1 as a roll of `grid` steps a whole note: times become the nearest step, halfway the even one.
 * A note sounds for at least a step. drums: the hits of channel 10 alone, each in one step; else the notes of all other
 * channels. The roll ends with the last note. name: of the file, for messages.
 * CRS_DATA: it is no such file or is cut off, a note never ends, it is too long. roll is the caller's, to be freed. */
crs_status crs_midi_read(const void *bytes, size_t count, const char *name, int grid, bool drums, crs_roll *roll,
                         crs_error *error);

#endif
