/* Standard MIDI files. libsmf reads them; but it ends the program where a track is cut off, passes over tracks that it
 * can't read, and takes long texts for something else. So it gets a file of our making: its header, and of each track
 * what matters here, the messages of channels, once it is known that all is there. */
#include "config.h"

#include "data/midi.h"

#include <smf.h>
#include <string.h>

enum { HEADER = 14, CHUNK = 8, LONGEST = 4, TRACKS_MOST = 0xffff };

typedef struct midi {
    const char *name;
    const unsigned char *bytes;
    size_t count, at, end; /* at, end: of the track that is read */
    unsigned char *clean;  /* [at most 2 * count + CHUNK] what libsmf gets; owned */
    size_t used;
    int format, tracks, division; /* division: pulses a quarter note */
} midi;

static unsigned number16(const unsigned char *bytes) {
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static size_t number32(const unsigned char *bytes) {
    return (size_t)number16(bytes) << 16 | number16(bytes + 2);
}

/* ---- whether all is there ---- */

static crs_status read_header(midi *m, crs_error *error) {
    const char *name = m->name;
    if (m->count < CHUNK || memcmp(m->bytes, "MThd", 4) != 0)
        return crs_fail(error, CRS_DATA, "%s: it is no standard MIDI file: it does not begin with MThd", name);
    if (m->count < HEADER)
        return crs_fail(error, CRS_DATA, "%s: it is cut off at byte %zu, in its header; get it again", name, m->count);
    m->format = (int)number16(m->bytes + 8);
    m->tracks = (int)number16(m->bytes + 10);
    m->division = (int)number16(m->bytes + 12);
    if (number32(m->bytes + 4) != HEADER - CHUNK)
        return crs_fail(error, CRS_DATA, "%s: its header (byte 4) has %zu bytes and should have 6: it is damaged", name,
                        number32(m->bytes + 4));
    if (m->format > 1)
        return crs_fail(error, CRS_DATA,
                        "%s: it is MIDI of format %d (byte 8), whose tracks don't belong together; save it as format 0 "
                        "or 1",
                        name, m->format);
    if (m->division == 0 || m->division >= 0x8000)
        return crs_fail(error, CRS_DATA,
                        "%s: its times (byte 12) are in frames, not in parts of a quarter note; save it with those",
                        name);
    if (m->tracks == 0)
        return crs_fail(error, CRS_DATA, "%s: it has no tracks (byte 10)", name);
    return CRS_OK;
}

static crs_status fail_cut_off(const midi *m, crs_error *error) {
    return crs_fail(error, CRS_DATA, "%s: the track that ends at byte %zu is cut off there; get it again", m->name,
                    m->end);
}

/* A number of variable length. */
static crs_status read_length(midi *m, size_t *value, crs_error *error) {
    *value = 0;
    for (int i = 0; i < LONGEST; i++) {
        if (m->at >= m->end)
            return fail_cut_off(m, error);
        const unsigned char byte = m->bytes[m->at++];
        *value = *value << 7 | (byte & 0x7f);
        if (byte < 0x80)
            return CRS_OK;
    }
    return crs_fail(error, CRS_DATA, "%s: byte %zu: a number has no end: it is damaged", m->name, m->at - LONGEST);
}

static void put_byte(midi *m, unsigned byte) {
    m->clean[m->used++] = (unsigned char)byte;
}

/* A time of less than 2^28. */
static void put_length(midi *m, size_t value) {
    for (int shift = 7 * (LONGEST - 1); shift > 0; shift -= 7)
        if (value >> shift)
            put_byte(m, (unsigned)(value >> shift & 0x7f) | 0x80);
    put_byte(m, (unsigned)value & 0x7f);
}

/* A message of a channel, whose first byte is `status`; at stands at its data. wait: pulses since the last one that was
 * put. */
static crs_status take_message(midi *m, unsigned status, size_t wait, crs_error *error) {
    const size_t data = status >= 0xc0 && status < 0xe0 ? 1 : 2;
    if (m->end - m->at < data)
        return fail_cut_off(m, error);
    put_length(m, wait);
    put_byte(m, status);
    for (size_t i = 0; i < data; i++) {
        if (m->bytes[m->at] >= 0x80)
            return crs_fail(error, CRS_DATA, "%s: byte %zu (0x%02x) should be less than 0x80: it is damaged", m->name,
                            m->at, m->bytes[m->at]);
        put_byte(m, m->bytes[m->at++]);
    }
    return CRS_OK;
}

/* Passes over what is no message of a channel: texts, tempos, messages of systems. *last: the track ends here. */
static crs_status skip(midi *m, unsigned status, bool *last, crs_error *error) {
    size_t length;
    if (status == 0xff && m->at >= m->end)
        return fail_cut_off(m, error);
    *last = status == 0xff && m->bytes[m->at++] == 0x2f;
    if (status != 0xff && status != 0xf0 && status != 0xf7)
        return crs_fail(error, CRS_DATA, "%s: byte %zu (0x%02x) begins no event of a file: it is damaged", m->name,
                        m->at - 1, status);
    if (read_length(m, &length, error))
        return error->status;
    if (length > m->end - m->at)
        return fail_cut_off(m, error);
    m->at += length;
    return CRS_OK;
}

/* The events of a track, up to the one that says that it ends. */
static crs_status take_events(midi *m, crs_error *error) {
    unsigned running = 0;
    size_t wait = 0, now = 0;
    for (bool last = false; !last;) {
        size_t delta;
        if (read_length(m, &delta, error))
            return error->status;
        wait += delta;
        now += delta;
        if (wait >= (size_t)1 << 28 || now >= (size_t)1 << 30)
            return crs_fail(error, CRS_DATA, "%s: byte %zu: it lasts longer than any music: it is damaged", m->name,
                            m->at);
        if (m->at >= m->end)
            return fail_cut_off(m, error);
        const bool again = m->bytes[m->at] < 0x80;
        const unsigned status = again ? running : m->bytes[m->at++];
        if (status == 0)
            return crs_fail(error, CRS_DATA, "%s: byte %zu (0x%02x) begins no event: it is damaged", m->name, m->at,
                            m->bytes[m->at]);
        running = status < 0xf0 ? status : 0;
        if (status < 0xf0 ? take_message(m, status, wait, error) : skip(m, status, &last, error))
            return error->status;
        if (status < 0xf0)
            wait = 0;
    }
    put_length(m, wait);
    put_byte(m, 0xff);
    put_byte(m, 0x2f);
    put_byte(m, 0);
    return CRS_OK;
}

/* The track whose chunk begins at `start`. */
static crs_status take_track(midi *m, size_t start, size_t length, crs_error *error) {
    const size_t head = m->used;
    m->at = start + CHUNK;
    m->end = m->at + length;
    memcpy(m->clean + head, m->bytes + start, CHUNK);
    m->used += CHUNK;
    if (take_events(m, error))
        return error->status;
    const size_t put = m->used - head - CHUNK;
    for (int i = 0; i < 4; i++)
        m->clean[head + 4 + (size_t)i] = (unsigned char)(put >> (24 - 8 * i));
    return CRS_OK;
}

/* Chunks that are no tracks are passed over, as the standard wants it. */
static crs_status take_tracks(midi *m, crs_error *error) {
    size_t start = HEADER;
    memcpy(m->clean, m->bytes, HEADER);
    m->used = HEADER;
    for (int found = 0; found < m->tracks;) {
        if (m->count - start < CHUNK)
            return crs_fail(error, CRS_DATA,
                            "%s: it is cut off at byte %zu: %d of its %d tracks are there; get it again", m->name,
                            m->count, found, m->tracks);
        const size_t length = number32(m->bytes + start + 4), left = m->count - start - CHUNK;
        if (length > left)
            return crs_fail(
                error, CRS_DATA,
                "%s: it is cut off at byte %zu: its part at byte %zu should have %zu bytes and has %zu; get "
                "it again",
                m->name, m->count, start, length, left);
        if (memcmp(m->bytes + start, "MTrk", 4) == 0) {
            if (take_track(m, start, length, error))
                return error->status;
            found++;
        }
        start += CHUNK + length;
    }
    return CRS_OK;
}

/* ---- from events to steps ---- */

/* Notes that have begun, by channel and number: when; -1: none. */
typedef struct sounding {
    const midi *m;
    crs_roll *roll;
    int grid;
    bool drums;
    int since[CRS_CHANNELS][CRS_NOTES];
} sounding;

/* The nearest step, halfway the even one. */
static int64_t step_of(const sounding *s, int pulses) {
    const int64_t whole = 4 * (int64_t)s->m->division, at = (int64_t)pulses * s->grid;
    const int64_t step = at / whole, rest = at % whole;
    return step + (2 * rest > whole || (2 * rest == whole && step % 2 != 0));
}

static crs_status end_note(sounding *s, int channel, int note, int pulses, crs_error *error) {
    const int since = s->since[channel][note];
    if (since < 0)
        return CRS_OK;
    s->since[channel][note] = -1;
    const int64_t from = step_of(s, since), wanted = s->drums ? from : step_of(s, pulses);
    const int64_t to = wanted > from ? wanted : from + 1;
    if (to > CRS_ROLL_STEPS)
        return crs_fail(error, CRS_DATA, "%s: it has more than %lld steps; a coarser --grid, or a part of it, would do",
                        s->m->name, (long long)CRS_ROLL_STEPS);
    return crs_roll_put(s->roll, note, from, to, error);
}

static crs_status take_event(sounding *s, const smf_event_t *event, crs_error *error) {
    const unsigned char *bytes = event->midi_buffer;
    const int kind = bytes[0] & 0xf0, channel = bytes[0] & 0x0f;
    if (event->midi_buffer_length < 3 || (kind != 0x80 && kind != 0x90) || (channel == CRS_DRUM_CHANNEL) != s->drums)
        return CRS_OK;
    if (end_note(s, channel, bytes[1], event->time_pulses, error))
        return error->status;
    if (kind == 0x90 && bytes[2] > 0)
        s->since[channel][bytes[1]] = event->time_pulses;
    return CRS_OK;
}

/* Those that nothing has ended. */
static crs_status check_ended(const sounding *s, crs_error *error) {
    for (int channel = 0; channel < CRS_CHANNELS; channel++)
        for (int note = 0; note < CRS_NOTES; note++)
            if (s->since[channel][note] >= 0)
                return crs_fail(error, CRS_DATA,
                                "%s: note %d of channel %d, which begins at quarter note %.2f, never ends: it is "
                                "damaged, or cut off",
                                s->m->name, note, channel + 1, (double)s->since[channel][note] / s->m->division);
    return CRS_OK;
}

static crs_status take_notes(const midi *m, smf_t *smf, int grid, bool drums, crs_roll *roll, crs_error *error) {
    sounding s = {.m = m, .roll = roll, .grid = grid, .drums = drums};
    memset(s.since, -1, sizeof s.since);
    smf_rewind(smf);
    for (const smf_event_t *event; (event = smf_get_next_event(smf));)
        if (take_event(&s, event, error))
            return error->status;
    return check_ended(&s, error);
}

/* libsmf's messages are for its authors. */
static void hush(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer context) {
    (void)domain, (void)level, (void)message, (void)context;
}

static crs_status read_clean(const midi *m, int grid, bool drums, crs_roll *roll, crs_error *error) {
    const GLogFunc before = g_log_set_default_handler(hush, NULL);
    smf_t *smf = smf_load_from_memory(m->clean, (int)m->used);
    crs_status status;
    if (!smf || smf->number_of_tracks != m->tracks)
        status = crs_fail(error, CRS_DATA, "%s: libsmf can't read it; save it anew by another program", m->name);
    else
        status = take_notes(m, smf, grid, drums, roll, error);
    if (smf)
        smf_delete(smf);
    g_log_set_default_handler(before, NULL);
    return status;
}

crs_status crs_midi_read(const void *bytes, size_t count, const char *name, int grid, bool drums, crs_roll *roll,
                         crs_error *error) {
    midi m = {.name = name, .bytes = bytes, .count = count};
    crs_roll_clear(roll);
    if (read_header(&m, error))
        return error->status;
    m.clean = crs_alloc_or_fail(2 * count + CHUNK, 1, CRS_MEMORY_DATA, "reading MIDI", error);
    if (!m.clean)
        return error->status;
    crs_status status = take_tracks(&m, error);
    if (!status)
        status = read_clean(&m, grid, drums, roll, error);
    crs_free(&m.clean);
    return status;
}
