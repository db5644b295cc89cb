/* Piano rolls as files: standard MIDI by libsmf, JSON by jansson. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <smf.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "carousel/generate.h"
#include "carousel/store.h"

enum { PULSES = 480, LOUDNESS = 80, NOTE_ON = 0x90, NOTE_OFF = 0x80, MICROSECONDS_MOST = 0xffffff };

static bool ends_with(const char *path, const char *end) {
    const size_t length = strlen(path), size = strlen(end);
    return length > size && strcasecmp(path + length - size, end) == 0;
}

crs_status crs_score_check(const char *path, crs_error *error) {
    if (ends_with(path, ".mid") || ends_with(path, ".midi") || ends_with(path, ".json"))
        return CRS_OK;
    return crs_fail(error, CRS_USAGE, "-o %s: what is to be written? Give a name that ends in .mid (MIDI) or .json",
                    path);
}

/* ---- standard MIDI ---- */

/* One that libsmf is making. */
typedef struct midi {
    const crs_score *score;
    smf_track_t *track;
    int64_t step; /* pulses */
} midi;

/* libsmf's messages are for its authors. */
static void hush(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer context) {
    (void)domain, (void)level, (void)message, (void)context;
}

static bool put(const midi *m, const unsigned char *bytes, int count, int64_t step) {
    smf_event_t *event = smf_event_new_from_pointer((void *)bytes, count);
    if (event)
        smf_track_add_event_pulses(m->track, event, (int)(step * m->step));
    return event != NULL;
}

static bool put_note(const midi *m, int kind, int note, int64_t step) {
    const int channel = m->score->drums ? CRS_DRUM_CHANNEL : 0;
    return put(m, (const unsigned char[]){(unsigned char)(kind | channel), (unsigned char)note, LOUDNESS}, 3, step);
}

/* Whether a note sounds; beyond either end none does. */
static bool sounds(const crs_roll *roll, int64_t step, int note) {
    return step >= 0 && step < roll->steps && crs_roll_sounds(roll, step, note);
}

/* What ends, then what begins with a step. Drums end after one. */
static bool put_step(const midi *m, int64_t step) {
    const crs_roll *roll = m->score->roll;
    bool good = true;
    for (int note = 0; note < CRS_NOTES && good; note++)
        if (sounds(roll, step - 1, note) && (m->score->drums || !sounds(roll, step, note)))
            good = put_note(m, NOTE_OFF, note, step);
    for (int note = 0; note < CRS_NOTES && good; note++)
        if (sounds(roll, step, note) && (m->score->drums || !sounds(roll, step - 1, note)))
            good = put_note(m, NOTE_ON, note, step);
    return good;
}

static bool put_tempo(const midi *m) {
    const double exact = 60e6 / m->score->tempo;
    const unsigned value = exact > MICROSECONDS_MOST ? MICROSECONDS_MOST : exact < 1 ? 1 : (unsigned)(exact + 0.5);
    return put(m,
               (const unsigned char[]){0xff, 0x51, 3, (unsigned char)(value >> 16), (unsigned char)(value >> 8),
                                       (unsigned char)value},
               6, 0);
}

static bool put_all(const midi *m) {
    const int64_t steps = m->score->roll->steps;
    bool good = put_tempo(m);
    for (int64_t step = 0; step <= steps && good; step++)
        good = put_step(m, step);
    return good && smf_track_add_eot_pulses(m->track, (int)(steps * m->step)) == 0;
}

/* False with errno (0: libsmf says no reason). */
static bool save_midi(const crs_score *score, const char *path) {
    const int quarter = PULSES * 4 % score->grid == 0 ? PULSES
                        : score->grid < PULSES        ? PULSES / score->grid * score->grid
                                                      : score->grid;
    const GLogFunc before = g_log_set_default_handler(hush, NULL);
    smf_t *smf = smf_new();
    midi m = {.score = score, .track = smf_track_new(), .step = 4 * quarter / score->grid};
    errno = 0;
    bool good = smf && m.track && score->roll->steps < INT_MAX / m.step;
    if (smf && m.track)
        smf_add_track(smf, m.track);
    good = good && smf_set_format(smf, 0) == 0 && smf_set_ppqn(smf, quarter) == 0 && put_all(&m) &&
           smf_save(smf, path) == 0;
    const int reason = errno;
    if (smf)
        smf_delete(smf);
    g_log_set_default_handler(before, NULL);
    errno = reason;
    return good;
}

/* Flushes what another wrote to path. False with errno. */
static bool flush(const char *path) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    const bool good = file >= 0 && crs_disk_flush(file);
    const int reason = errno;
    if (file >= 0)
        close(file);
    errno = reason;
    return good;
}

/* By errno; 0: libsmf says no reason. */
static crs_status unwritten(const char *name, crs_error *error) {
    const char *hint = errno == ENOSPC || errno == EDQUOT ? "; make room, or choose another folder with -o"
                       : errno == EFBIG                   ? "; raise the limit on file sizes (ulimit -f)"
                       : errno == ENOENT                  ? "; make the folder first (mkdir -p)"
                                                          : "; choose another place with -o";
    return crs_fail(error, CRS_CREATE, "%s: it can't be written: %s%s", name,
                    errno ? strerror(errno) : "libsmf gives no reason", hint);
}

static crs_status write_midi(const crs_score *score, const char *path, const char *name, crs_error *error) {
    return save_midi(score, path) && flush(path) ? CRS_OK : unwritten(name, error);
}

/* ---- JSON ---- */

/* What a note of the roll is called: drums have notes of their own. */
static int name_of(const crs_score *score, int note) {
    const int drum = score->drums ? crs_drum_of_pad(note) : -1;
    return drum >= 0 ? crs_drum_note(drum) : note;
}

static json_t *list_step(const crs_score *score, int64_t step) {
    bool named[CRS_NOTES] = {false};
    json_t *notes = json_array();
    for (int note = 0; note < CRS_NOTES; note++)
        if (crs_roll_sounds(score->roll, step, note))
            named[name_of(score, note)] = true;
    for (int note = 0; note < CRS_NOTES; note++)
        if (named[note])
            json_array_append_new(notes, json_integer(note));
    return notes;
}

static crs_status write_json(const crs_score *score, const char *path, crs_error *error) {
    json_t *list = json_array();
    for (int64_t step = 0; step < score->roll->steps; step++)
        json_array_append_new(list, list_step(score, step));
    char *text = list ? json_dumps(list, 0) : NULL;
    json_decref(list);
    const size_t length = text ? strlen(text) : 0;
    if (text)
        text[length] = '\n'; /* in place of the zero: what is written has its length */
    const crs_status status = text ? crs_disk_write(path, text, length + 1, error)
                                   : crs_fail(error, CRS_INTERNAL, "out of memory while JSON is put together");
    crs_free_foreign(text);
    return status;
}

crs_status crs_score_write(const crs_score *score, const char *path, crs_error *error) {
    char temporary[4200];
    if (!crs_disk_temporary(path, temporary, sizeof temporary))
        return crs_fail(error, CRS_CREATE, "%s: the name is too long", path);
    const int made = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (made < 0)
        return unwritten(path, error);
    close(made);
    crs_status status =
        ends_with(path, ".json") ? write_json(score, temporary, error) : write_midi(score, temporary, path, error);
    if (!status)
        status = crs_disk_rename(temporary, path, error);
    if (status)
        unlink(temporary);
    return status;
}
