/* Music: standard MIDI read and written, piano rolls in JSON, drums; steps drawn from a model of bits. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "carousel/generate.h"
#include "data/midi.h"
#include "data/notes_files.h"
#include "data_fixture.h"
#include "harness.h"

/* ---- MIDI, as bytes ---- */

enum { MOST = 4096 };

typedef struct bytes {
    unsigned char byte[MOST];
    size_t count;
} bytes;

static void put(bytes *b, const char *text, size_t count) {
    CU_ASSERT_FATAL(b->count + count <= MOST);
    memcpy(b->byte + b->count, text, count);
    b->count += count;
}
#define PUT(b, text) put(b, text, sizeof text - 1)

static void put_header(bytes *b, int format, int tracks, int division) {
    const char numbers[] = {0, (char)format, 0, (char)tracks, (char)(division >> 8), (char)division};
    PUT(b, "MThd\0\0\0\6");
    put(b, numbers, sizeof numbers);
}

static void put_chunk(bytes *b, const char *kind, const bytes *events) {
    const char length[] = {0, 0, (char)(events->count >> 8), (char)events->count};
    put(b, kind, 4);
    put(b, length, 4);
    put(b, (const char *)events->byte, events->count);
}

/* A file of one track of these events, to which the end of the track is added. */
static bytes file_of(int format, int division, const char *events, size_t count) {
    bytes track = {.count = 0}, file = {.count = 0};
    put(&track, events, count);
    PUT(&track, "\0\xff\x2f\0");
    put_header(&file, format, 1, division);
    put_chunk(&file, "MTrk", &track);
    return file;
}
#define FILE_OF(format, division, events) file_of(format, division, events, sizeof events - 1)

/* Reads it from memory of just its size, so that a sanitizer sees what is read beyond. */
static crs_status read_bytes(const bytes *file, size_t count, int grid, bool drums, crs_roll *roll) {
    unsigned char *exact = crs_alloc(count, 1, CRS_MEMORY_OTHER);
    memcpy(exact, file->byte, count);
    said = (crs_error){0};
    const crs_status status = crs_midi_read(exact, count, "some.mid", grid, drums, roll, &said);
    crs_free(&exact);
    return status;
}

/* "60.64|60||": the notes of each step, a bar behind it. */
static void text_of(const crs_roll *roll, char *text, size_t size) {
    size_t used = 0;
    *text = 0;
    for (int64_t step = 0; step < roll->steps; step++) {
        bool first = true;
        for (int note = 0; note < CRS_NOTES; note++)
            if (crs_roll_sounds(roll, step, note)) {
                used += (size_t)snprintf(text + used, size - used, "%s%d", first ? "" : ".", note);
                first = false;
            }
        used += (size_t)snprintf(text + used, size - used, "|");
    }
}

static void reads(bytes file, int grid, bool drums, const char *wanted) {
    crs_roll roll = {0};
    char text[512];
    CU_ASSERT_EQUAL(read_bytes(&file, file.count, grid, drums, &roll), CRS_OK);
    text_of(&roll, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, wanted);
    crs_roll_free(&roll);
}

static void refused(bytes file, const char *words) {
    crs_roll roll = {0};
    CU_ASSERT(refuses(&said, read_bytes(&file, file.count, 4, false, &roll), CRS_DATA, words));
    crs_roll_free(&roll);
}

/* Division 4: a quarter note has 4 pulses, and with 4 steps a whole note so has a step. */
static void test_midi(void) {
    reads(FILE_OF(0, 4, "\0\x90\x3c\x40\4\x80\x3c\0"), 4, false, "60|");
    reads(FILE_OF(0, 4, "\0\x90\x3c\x40\x08\x80\x3c\0"), 4, false, "60|60|");
    reads(FILE_OF(0, 4, "\0\x90\x3c\x40\x08\x80\x3c\0"), 8, false, "60|60|60|60|");
    /* running status; loudness 0 ends a note; a rest, and a chord */
    reads(FILE_OF(0, 4, "\0\x91\x3c\x40\4\x3c\0\4\x3c\x40\0\x40\x40\4\x3c\0\0\x40\0"), 4, false, "60||60.64|");
    /* struck again while it sounds; ended twice; another channel's end is not its own */
    reads(FILE_OF(0, 4, "\0\x90\x3c\1\4\x90\x3c\1\0\x81\x3c\0\4\x80\x3c\0\1\x80\x3c\0"), 4, false, "60|60|");
    /* short ones last a step; halfway it is the even one: 2 of 4 pulses are step 0, 6 are step 2 */
    reads(FILE_OF(0, 4, "\0\x90\x3c\1\1\x80\x3c\0\1\x90\x3e\1\1\x80\x3e\0\3\x90\x40\1\1\x80\x40\0"), 4, false,
          "60.62||64|");
    /* what is no message of a channel: a long text, a tempo, a message of a system, one that goes on */
    bytes events = {.count = 0};
    PUT(&events, "\1\xff\1\x81\x48");
    for (int i = 0; i < 200; i++)
        PUT(&events, "x");
    PUT(&events,
        "\1\xff\x51\3\7\xa1\x20\2\xf0\5\x7e\x7f\x09\1\xf7\0\xf7\2\1\2\0\xc0\5\0\xe0\0\x40\0\x90\x3c\1\4\x80\x3c\0");
    reads(file_of(0, 4, (const char *)events.byte, events.count), 4, false, "|60|");
}

static void test_tracks(void) {
    bytes file = {.count = 0}, first = {.count = 0}, second = {.count = 0}, drums = {.count = 0}, alien = {.count = 0};
    put_header(&file, 1, 3, 4);
    PUT(&first, "\0\x90\x3c\1\x08\x80\x3c\0\0\xff\x2f\0");
    PUT(&second, "\4\x92\x43\1\4\x82\x43\0\0\xff\x2f\0");
    PUT(&drums, "\0\x99\x24\1\1\x89\x24\0\7\x99\x2d\1\1\x89\x2d\0\0\xff\x2f\0");
    PUT(&alien, "?");
    put_chunk(&file, "MTrk", &first);
    put_chunk(&file, "XFIH", &alien);
    put_chunk(&file, "MTrk", &second);
    put_chunk(&file, "MTrk", &drums);
    PUT(&file, "what stands behind");
    reads(file, 4, false, "60|60.67|");
    reads(file, 4, true, "36||45|");
}

static void test_midi_refused(void) {
    refused(FILE_OF(2, 4, "\0\x90\x3c\1\4\x80\x3c\0"), "some.mid format 2 byte 8 format 0");
    refused(FILE_OF(0, 0, "\0\x90\x3c\1\4\x80\x3c\0"), "some.mid byte 12 frames");
    refused(FILE_OF(0, 0xe728, "\0\x90\x3c\1\4\x80\x3c\0"), "some.mid frames");
    refused(FILE_OF(0, 4, "\0\x90\x3c\1\4\x90\x3d\1\4\x80\x3d\0"), "some.mid note 60 channel 1 0.00 ends");
    refused(FILE_OF(0, 4, "\0\x3c\1"), "some.mid byte 23 0x3c");
    refused(FILE_OF(0, 4, "\0\x90\x3c\xc1"), "some.mid byte 25 0xc1");
    refused(FILE_OF(0, 4, "\0\xf4\0"), "some.mid byte 23 0xf4");
    refused(FILE_OF(0, 4, "\xff\xff\xff\xff\x7f\x90\x3c\1"), "some.mid byte 22 damaged");
    refused(FILE_OF(0, 4, "\xff\xff\xff\x7f\x90\x3c\1\0\x80\x3c\0"), "some.mid");
    refused(FILE_OF(0, 1, "\xb0\x80\x80\0\x90\x3c\1\0\x80\x3c\0"), "some.mid 4194304 steps --grid");
    bytes file = FILE_OF(0, 4, "\0\x90\x3c\1\4\x80\x3c\0");
    file.byte[0] = 'R';
    refused(file, "some.mid MThd");
    file.byte[0] = 'M';
    file.byte[11] = 2;
    refused(file, "some.mid cut off 1 of its 2 tracks");
    file.byte[11] = 0;
    refused(file, "some.mid no tracks");
}

/* Cut off anywhere, it is said to be; any byte may be any other, and all that may happen is an error. */
static void test_midi_damaged(void) {
    bytes file = {.count = 0}, events = {.count = 0};
    put_header(&file, 1, 2, 96);
    PUT(&events, "\0\xff\3\4name\0\xff\x51\3\7\xa1\x20\0\xf0\5\x7e\x7f\x09\1\xf7\0\xff\x2f\0");
    put_chunk(&file, "MTrk", &events);
    events.count = 0;
    PUT(&events, "\0\xc0\1\0\x90\x3c\x40\0\x40\x40\x60\x3c\0\0\x40\0\x81\x40\xb0\x7b\0\0\xff\x2f\0");
    put_chunk(&file, "MTrk", &events);
    crs_roll roll = {0};
    for (size_t count = 0; count < file.count; count++)
        CU_ASSERT(refuses(&said, read_bytes(&file, count, 16, false, &roll), CRS_DATA,
                          count < 8 ? "some.mid MThd" : "some.mid cut off"));
    int good = 0;
    for (size_t at = 0; at < file.count; at++)
        for (int value = 0; value < 256; value++) {
            bytes other = file;
            other.byte[at] = (unsigned char)value;
            const crs_status status = read_bytes(&other, other.count, 16, false, &roll);
            CU_ASSERT(status == CRS_OK || (status == CRS_DATA && strstr(said.message, "some.mid")));
            good += status == CRS_OK;
        }
    CU_ASSERT(good > 1000); /* some bytes say little */
    crs_roll_free(&roll);
}

/* ---- written, and read back ---- */

/* A roll that ends with a note, of some notes. */
static void fill(crs_roll *roll, int64_t steps, uint64_t seed, bool drums) {
    uint64_t random[4];
    crs_roll_clear(roll);
    for (int64_t step = 0; step < steps; step++)
        for (int i = 0; i < (drums ? CRS_DRUMS : CRS_NOTES); i++) {
            crs_random(seed, CRS_DRAW_SAMPLE, (uint64_t)step / 3, (uint64_t)i, 0, 0, random);
            const int note = drums ? crs_drum_pad(i) : i;
            if (random[0] % 8 == 0 || (step == steps - 1 && i == 1))
                CU_ASSERT_EQUAL(crs_roll_put(roll, note, step, step + 1, &said), CRS_OK);
            if (roll->steps <= step)
                CU_ASSERT_EQUAL(crs_roll_extend(roll, step + 1 - roll->steps, &said), CRS_OK);
        }
}

static void test_round_trip(void) {
    static const int grids[] = {1, 4, 7, 16, 48, 500, 960};
    crs_roll roll = {0}, back = {0};
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++)
        for (int drums = 0; drums < 2; drums++) {
            const char *path = own("round.mid");
            const crs_score score = {.roll = &roll, .grid = grids[i], .tempo = 90, .drums = drums};
            size_t count;
            said = (crs_error){0};
            fill(&roll, 20, i, drums);
            CU_ASSERT_EQUAL_FATAL(crs_score_write(&score, path, &said), CRS_OK);
            unsigned char *file = get_file(path, &count);
            CU_ASSERT_EQUAL(crs_midi_read(file, count, path, grids[i], drums, &back, &said), CRS_OK);
            CU_ASSERT(back.steps == 20 && memcmp(back.step, roll.step, 20 * sizeof *roll.step) == 0);
            crs_free(&file);
        }
    crs_roll_free(&back);
    crs_roll_free(&roll);
}

static void test_json(void) {
    crs_roll roll = {0};
    size_t count;
    const char *path = own("some.json");
    said = (crs_error){0};
    CU_ASSERT_EQUAL(crs_roll_put(&roll, 60, 0, 2, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_roll_put(&roll, 43, 1, 2, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_roll_extend(&roll, 1, &said), CRS_OK);
    crs_score score = {.roll = &roll, .grid = 4, .tempo = 120};
    CU_ASSERT_EQUAL(crs_score_write(&score, path, &said), CRS_OK);
    unsigned char *text = get_file(path, &count);
    CU_ASSERT(count == 21 && memcmp(text, "[[60], [43, 60], []]\n", 21) == 0);
    crs_free(&text);
    score.drums = true; /* 43 is a pad of the low tom, whose own note is 45 */
    CU_ASSERT_EQUAL(crs_score_write(&score, path, &said), CRS_OK);
    text = get_file(path, &count);
    CU_ASSERT(memcmp(text, "[[60], [45, 60], []]\n", 21) == 0);
    crs_free(&text);
    CU_ASSERT_EQUAL(crs_score_check("a.mid", &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_score_check("a.JSON", &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_score_check("a.wav", &said), CRS_USAGE);
    said = (crs_error){0};
    CU_ASSERT(refuses(&said, crs_score_write(&score, own("none/a.mid"), &said), CRS_CREATE, "a.mid"));
    said = (crs_error){0};
    CU_ASSERT(refuses(&said, crs_score_write(&score, own("none/a.json"), &said), CRS_CREATE, "a.json"));
    crs_roll_free(&roll);
}

static void test_drums(void) {
    static const int pads[] = {36, 35, 38, 40, 37, 42, 22, 44, 46, 26, 43, 58,
                               47, 45, 50, 48, 49, 52, 55, 57, 51, 53, 59};
    static const int taken[] = {36, 36, 38, 38, 38, 42, 42, 42, 46, 46, 45, 45,
                                48, 48, 50, 50, 49, 49, 49, 49, 51, 51, 51};
    int known = 0;
    bool drum;
    for (size_t i = 0; i < sizeof pads / sizeof *pads; i++)
        CU_ASSERT_EQUAL(crs_drum_note(crs_drum_of_pad(pads[i])), taken[i]);
    for (int note = 0; note < CRS_NOTES; note++)
        known += crs_drum_of_pad(note) >= 0;
    CU_ASSERT_EQUAL(known, sizeof pads / sizeof *pads);
    for (int d = 0; d < CRS_DRUMS; d++) {
        CU_ASSERT_EQUAL(crs_drum_of_pad(crs_drum_pad(d)), d);
        CU_ASSERT_EQUAL(crs_drum_of_note(crs_drum_note(d)), d);
        CU_ASSERT(crs_column_note(crs_drum_name(d), &drum) == crs_drum_pad(d) && drum);
    }
    CU_ASSERT_EQUAL(crs_drum_of_note(35), 0);
    CU_ASSERT(crs_column_note("108", &drum) == 108 && !drum);
    CU_ASSERT(crs_column_note("128", &drum) < 0 && crs_column_note("6a", &drum) < 0 && crs_column_note("", &drum) < 0);
}

/* ---- packed ---- */

static crs_notes_packed packed;

/* Up to three inputs, one after the other. */
static crs_status pack_some(crs_notes_pack how, const char *output, const char *a, const char *b, const char *c) {
    const char *input[] = {a, b, c};
    how.output = output;
    how.input = input;
    how.inputs = 1 + (b != NULL) + (c != NULL);
    said = (crs_error){0};
    return crs_pack_notes(&how, &packed, &said);
}

static const crs_notes_pack plain = {.low = 21, .high = 108, .grid = 4, .split = {0.5, 0.25, 0.25}};

/* What stands in a split: "name: steps; ", with columns where notes sound. */
static void contents(const char *path, crs_split split, char *text, size_t size) {
    crs_dataset d;
    size_t used = 0;
    *text = 0;
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&d, path, &said), CRS_OK);
    CU_ASSERT_EQUAL(crs_dataset_verify(&d, split, &said), CRS_OK);
    for (int64_t n = 0; n < d.sequences[split].count; n++) {
        const int64_t steps = d.sequences[split].length[n];
        const size_t columns = (size_t)d.schema.input_size;
        uint8_t *bits = crs_alloc((size_t)steps, columns, CRS_MEMORY_OTHER);
        char *name = crs_dataset_name(&d, split, n, &said);
        CU_ASSERT_EQUAL(crs_dataset_bits(&d, split, n, steps, bits, &said), CRS_OK);
        const char *base = name && strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
        used += (size_t)snprintf(text + used, size - used, "%s:", base ? base : "");
        for (size_t i = 0; i < (size_t)steps * columns; i++) {
            if (bits[i])
                used += (size_t)snprintf(text + used, size - used, " %s", d.schema.columns.name[i % columns]);
            if (i % columns == columns - 1)
                used += (size_t)snprintf(text + used, size - used, "|");
        }
        used += (size_t)snprintf(text + used, size - used, "; ");
        crs_free(&name);
        crs_free(&bits);
    }
    crs_dataset_close(&d);
}

static void holds(const char *path, const char *train, const char *validation, const char *test) {
    const char *wanted[CRS_SPLITS] = {train, validation, test};
    char text[1000];
    for (crs_split split = 0; split < CRS_SPLITS; split++) {
        contents(path, split, text, sizeof text);
        CU_ASSERT_STRING_EQUAL(text, wanted[split]);
    }
}

static void put_midi(const char *path, const bytes *file) {
    put_file(path, file->byte, file->count);
}

static void test_pack_json(void) {
    const char *in = own("in.json"), *out = own("json.h5");
    put_text(in,
             "{\"about\": 3, \"train\": [[[60, 20], [], [108, 60, 60]], [[21]]], \"valid\": [[[64]]], \"test\": []}");
    CU_ASSERT_EQUAL(pack_some(plain, out, in, NULL, NULL), CRS_OK);
    holds(out, "in.json: 60|| 60 108|; in.json: 21|; ", "in.json: 64|; ", "");
    CU_ASSERT(packed.columns == 88 && packed.pieces[CRS_TRAIN] == 2 && packed.steps[CRS_TRAIN] == 4);
    CU_ASSERT(packed.out_of_range == 1 && !packed.whole);
    /* Two files are one data set. */
    CU_ASSERT_EQUAL(pack_some(plain, out, in, in, NULL), CRS_OK);
    holds(out, "in.json: 60|| 60 108|; in.json: 21|; in.json: 60|| 60 108|; in.json: 21|; ",
          "in.json: 64|; in.json: 64|; ", "");
    /* Drums are written by their own notes; a pad is taken for one. */
    crs_notes_pack drums = plain;
    drums.drums = true;
    put_text(in, "{\"train\": [[[45, 36], [43], [35, 99]]]}");
    CU_ASSERT_EQUAL(pack_some(drums, out, in, NULL, NULL), CRS_OK);
    holds(out, "in.json: kick low tom| low tom| kick|; ", "", "");
    CU_ASSERT(packed.columns == CRS_DRUMS && packed.out_of_range == 1);
}

static void test_json_refused(void) {
    static const struct {
        const char *text, *words;
    } cases[] = {{"{\"train\": [[[60]]", "in.json:1: JSON"},
                 {"{\"train\": [[[60]]], \"train\": []}", "in.json JSON"},
                 {"{\"valid\": [[[60]]]}", "in.json 'train' missing"},
                 {"{\"train\": []}", "in.json 'train' empty"},
                 {"{\"train\": 3}", "in.json 'train' list"},
                 {"{\"train\": [[[60]]], \"valid\": [], \"validation\": []}", "in.json valid validation"},
                 {"{\"train\": [[[60]]], \"dev\": []}", "in.json 'dev' validation"},
                 {"{\"train\": [[[60]], []]}", "in.json train piece 1"},
                 {"{\"train\": [[[60], 61]]}", "in.json train piece 0 step 1"},
                 {"{\"train\": [[[60], [61, 128]]]}", "in.json train piece 0 step 1 number 1 127"},
                 {"{\"train\": [[[60], [-1]]]}", "in.json step 1 number 0"},
                 {"{\"train\": [[[60.5]]]}", "in.json step 0 number 0"},
                 {"{\"train\": [[[20], []]]}", "in.json no note 21 108 --low"}};
    const char *in = own("in.json"), *out = own("refused.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text(in, cases[i].text);
        CU_ASSERT(refuses(&said, pack_some(plain, out, in, NULL, NULL), CRS_DATA, cases[i].words));
    }
    crs_notes_pack split = plain;
    split.split_given = true;
    CU_ASSERT(refuses(&said, pack_some(split, out, in, NULL, NULL), CRS_USAGE, "--split in.json JSON"));
    CU_ASSERT(refuses(&said, pack_some(plain, in, in, NULL, NULL), CRS_USAGE, "in.json output -o"));
    CU_ASSERT_EQUAL(count_leftovers(), 0);
}

/* Files, and a folder that has more in it, in the order of their names. */
static void test_pack_midi(void) {
    const bytes low = FILE_OF(0, 4, "\0\x90\x3c\1\4\x80\x3c\0\x08\x90\x15\1\4\x80\x15\0"),
                high = FILE_OF(1, 4, "\4\x90\x3e\1\4\x80\x3e\0\4\x90\x14\1\4\x80\x14\0");
    const char *out = own("midi.h5"), *folder = own("songs");
    char name[4][300];
    CU_ASSERT(mkdir(folder, 0700) == 0);
    snprintf(name[0], sizeof name[0], "%s/b", folder);
    CU_ASSERT(mkdir(name[0], 0700) == 0);
    snprintf(name[0], sizeof name[0], "%s/b/1.MID", folder);
    snprintf(name[1], sizeof name[1], "%s/a.midi", folder);
    snprintf(name[2], sizeof name[2], "%s/c.txt", folder);
    snprintf(name[3], sizeof name[3], "%s/d.mid", folder);
    put_midi(name[0], &low);
    put_midi(name[1], &high);
    put_text(name[2], "no music");
    put_midi(name[3], &low);
    CU_ASSERT_EQUAL(pack_some(plain, out, folder, NULL, NULL), CRS_OK);
    CU_ASSERT(packed.whole && packed.out_of_range == 1); /* silence at the end is no part of a piece */
    holds(out, "a.midi:| 62|; 1.MID: 60||| 21|; d.mid: 60||| 21|; ", "", "");
    crs_dataset d;
    CU_ASSERT_EQUAL_FATAL(crs_dataset_open(&d, out, &said), CRS_OK);
    char *below = crs_dataset_name(&d, CRS_TRAIN, 1, &said), *grid = crs_dataset_text(&d, "grid");
    CU_ASSERT_STRING_EQUAL(below, "b/1.MID");
    CU_ASSERT(grid && strcmp(grid, "1/4") == 0);
    crs_free(&below);
    crs_free(&grid);
    crs_dataset_close(&d);
    crs_notes_pack split = plain;
    split.split_given = true;
    split.grid = 8;
    CU_ASSERT_EQUAL(pack_some(split, out, folder, name[3], NULL), CRS_OK);
    holds(out, "a.midi:|| 62| 62|; 1.MID: 60| 60||||| 21| 21|; ", "d.mid: 60| 60||||| 21| 21|; ",
          "d.mid: 60| 60||||| 21| 21|; ");
    CU_ASSERT(refuses(&said, pack_some(split, out, name[3], NULL, NULL), CRS_DATA, "--split 1 file train"));
    CU_ASSERT(refuses(&said, pack_some(plain, out, name[2], NULL, NULL), CRS_DATA, "c.txt MThd"));
    CU_ASSERT(refuses(&said, pack_some(plain, out, folder, name[2], NULL), CRS_DATA, "c.txt MThd"));
    CU_ASSERT(refuses(&said, pack_some(plain, out, own("nothing"), NULL, NULL), CRS_NO_INPUT, "nothing"));
    split.low = 70;
    CU_ASSERT(refuses(&said, pack_some(split, out, folder, NULL, NULL), CRS_DATA, "a.midi 70 108 --low"));
    split.high = 69;
    CU_ASSERT(refuses(&said, pack_some(split, out, folder, NULL, NULL), CRS_USAGE, "--low=70 --high=69"));
    split.low = 0;
    split.drums = true;
    CU_ASSERT(refuses(&said, pack_some(split, out, folder, NULL, NULL), CRS_DATA, "a.midi drum channel 10"));
    put_text(name[3], "{\"train\": [[[60]]]}");
    CU_ASSERT(refuses(&said, pack_some(plain, out, folder, NULL, NULL), CRS_DATA, "d.mid JSON a.midi"));
    unlink(name[0]);
    unlink(name[1]);
    unlink(name[3]);
    CU_ASSERT(refuses(&said, pack_some(plain, out, folder, NULL, NULL), CRS_NO_INPUT, "songs no MIDI .mid"));
    CU_ASSERT_EQUAL(count_leftovers(), 0);
}

/* The same, packed by gzip; and where that is cut off or damaged. */
static void test_pack_gzip(void) {
    const bytes song = FILE_OF(0, 4, "\0\x90\x3c\1\4\x80\x3c\0");
    const char *in = own("song.mid.gz"), *out = own("gzip.h5"), *cut = own("cut.mid.gz");
    size_t count;
    gzFile file = gzopen(in, "wb");
    CU_ASSERT_EQUAL(gzwrite(file, song.byte, (unsigned)song.count), (int)song.count);
    gzclose(file);
    CU_ASSERT_EQUAL(pack_some(plain, out, in, NULL, NULL), CRS_OK);
    holds(out, "song.mid.gz: 60|; ", "", "");
    unsigned char *whole = get_file(in, &count);
    for (size_t i = 18; i < count; i++) {
        put_file(cut, whole, i);
        CU_ASSERT(refuses(&said, pack_some(plain, out, cut, NULL, NULL), CRS_DATA, "cut.mid.gz gzip"));
    }
    whole[count - 5] ^= 1; /* of the sum of all bytes */
    put_file(cut, whole, count);
    CU_ASSERT(refuses(&said, pack_some(plain, out, cut, NULL, NULL), CRS_DATA, "cut.mid.gz gzip"));
    crs_free(&whole);
}

/* Out of memory at each allocation in turn: an error, and no file. */
static void test_pack_memory(void) {
    const bytes song = FILE_OF(0, 4, "\0\x90\x3c\1\4\x80\x3c\0");
    const char *in[] = {own("memory.mid"), own("memory.json")}, *out = own("memory.h5");
    put_midi(in[0], &song);
    put_text(in[1], "{\"train\": [[[60, 20], [], [108, 60, 60]], [[21]]]}");
    for (int kind = 0; kind < 2; kind++) {
        crs_status status = CRS_INTERNAL;
        unlink(out);
        for (int64_t n = 1; n < 500 && status; n++) {
            crs_memory_fail_at(n);
            status = pack_some(plain, out, in[kind], NULL, NULL);
            crs_memory_fail_at(0);
            CU_ASSERT(!status || (status == CRS_INTERNAL && access(out, F_OK) != 0));
        }
        CU_ASSERT_EQUAL(status, CRS_OK);
    }
    CU_ASSERT_EQUAL(count_leftovers(), 0);
}

/* ---- drawn from a model ---- */

enum { KEYS = 6 };

static void make_schema(crs_schema *s, const char *const name[KEYS]) {
    *s = (crs_schema){.inputs = CRS_INPUT_BITS,
                      .targets = CRS_TARGET_NEXT,
                      .alignment = CRS_ALIGN_STEP,
                      .input_size = KEYS,
                      .target_size = KEYS};
    for (int i = 0; i < KEYS; i++)
        CU_ASSERT(crs_names_add(&s->columns, name[i]));
}

static const char *const keys[KEYS] = {"60", "62", "64", "65", "67", "72"};

static crs_model *model_of(const crs_schema *s, crs_isa isa, int threads) {
    const crs_spec wanted = {.cell = CRS_LSTM, .hidden = 9, .layers = 2};
    crs_spec spec;
    crs_model *model = NULL;
    said = (crs_error){0};
    if (crs_spec_for(s, &wanted, CRS_HEAD_LOGISTIC, &spec, &said) ||
        crs_model_create(&model, &spec, crs_kernels_of(isa), threads, &said))
        CU_FAIL_FATAL("no model");
    crs_model_initialize(model, 7, 1);
    crs_model_refresh(model);
    return model;
}

static void play(crs_isa isa, int threads, const crs_music *music, char *text, size_t size) {
    crs_schema s;
    crs_roll roll = {0};
    bool drums;
    make_schema(&s, keys);
    crs_model *model = model_of(&s, isa, threads);
    CU_ASSERT_EQUAL(crs_music_make(model, &s.columns, "some.h5", music, &roll, &drums, &said), CRS_OK);
    CU_ASSERT_FALSE(drums);
    CU_ASSERT_EQUAL(roll.steps, music->prime_steps + music->steps);
    text_of(&roll, text, size);
    crs_roll_free(&roll);
    crs_model_free(&model);
    crs_schema_free(&s);
}

static void test_music(void) {
    static const float given[2 * KEYS] = {1, 0, 0, 0, 1, 0, 0, 1};
    char first[2000], other[2000];
    crs_music music = {.prime = given, .prime_steps = 2, .steps = 40, .temperature = 1, .seed = 3};
    play(CRS_ISA_BASELINE, 1, &music, first, sizeof first);
    CU_ASSERT(strncmp(first, "60.67|62|", 9) == 0);
    for (int isa = 0; isa <= (int)crs_isa_best(); isa++) {
        play((crs_isa)isa, 1 + isa, &music, other, sizeof other);
        CU_ASSERT_STRING_EQUAL(other, first);
    }
    music.seed = 4;
    play(CRS_ISA_BASELINE, 1, &music, other, sizeof other);
    CU_ASSERT_STRING_NOT_EQUAL(other, first);
    music.prime_steps = 0;
    play(CRS_ISA_BASELINE, 1, &music, first, sizeof first);
    CU_ASSERT_STRING_NOT_EQUAL(other, first);
    /* Cold, a bit is what it is likelier to be, whatever the seed. */
    music.temperature = 0;
    play(CRS_ISA_BASELINE, 1, &music, first, sizeof first);
    music.seed = 5;
    play(CRS_ISA_BASELINE, 1, &music, other, sizeof other);
    CU_ASSERT_STRING_EQUAL(other, first);
}

/* All parameters but (where it is given) the output's bias. */
static void set_all(crs_model *model, float value, const double *bias) {
    enum { TENSOR = 4096 };
    for (int i = 0; i < crs_model_tensors(model); i++) {
        const crs_tensor *tensor = crs_model_tensor(model, i);
        float values[TENSOR];
        CU_ASSERT_FATAL(crs_tensor_size(tensor) <= TENSOR);
        for (int k = 0; k < TENSOR; k++)
            values[k] = value;
        for (int k = 0; k < KEYS && bias && strcmp(tensor->name, "output/bias") == 0; k++)
            values[k] = (float)bias[k];
        crs_model_import(model, crs_model_parameters(model), i, values);
    }
    crs_model_refresh(model);
}

/* With no weights but the output's bias, bits are drawn with its chances, each by itself. */
static void test_chances(void) {
    static const double bias[KEYS] = {-4, -1, 0, 0.5, 2, 800};
    enum { STEPS = 20000 };
    crs_schema s;
    crs_roll roll = {0};
    bool drums;
    make_schema(&s, keys);
    crs_model *model = model_of(&s, CRS_ISA_BASELINE, 1);
    set_all(model, 0, bias);
    for (int cold = 0; cold < 2; cold++) {
        const crs_music music = {.steps = STEPS, .temperature = cold ? 0.5 : 1, .seed = 1};
        CU_ASSERT_EQUAL(crs_music_make(model, &s.columns, "some.h5", &music, &roll, &drums, &said), CRS_OK);
        for (int k = 0; k < KEYS; k++) {
            const double chance = 1 / (1 + exp(-bias[k] / music.temperature));
            int count = 0, both = 0;
            for (int64_t step = 0; step < STEPS; step++) {
                const bool now = crs_roll_sounds(&roll, step, atoi(keys[k]));
                count += now;
                both += now && crs_roll_sounds(&roll, step, 64);
            }
            const double error = 4 * sqrt(chance * (1 - chance) / STEPS) + 1e-9;
            CU_ASSERT(fabs((double)count / STEPS - chance) < error);
            if (k != 2)
                CU_ASSERT(fabs((double)both / STEPS - chance / 2) < error + 0.015);
        }
    }
    crs_roll_free(&roll);
    crs_model_free(&model);
    crs_schema_free(&s);
}

static void test_music_refused(void) {
    static const char *const lists[][KEYS] = {{"60", "62", "64", "65", "67", "load"},
                                              {"60", "62", "64", "65", "67", "60"},
                                              {"60", "62", "64", "65", "67", "kick"}};
    const crs_music music = {.steps = 3, .temperature = 1};
    crs_schema s;
    crs_roll roll = {0};
    bool drums;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        make_schema(&s, lists[i]);
        crs_model *model = model_of(&s, CRS_ISA_BASELINE, 1);
        CU_ASSERT(refuses(&said, crs_music_make(model, &s.columns, "some.h5", &music, &roll, &drums, &said), CRS_DATA,
                          "some.h5 column 5"));
        CU_ASSERT_PTR_NOT_NULL(strstr(said.message, lists[i][5]));
        crs_model_free(&model);
        crs_schema_free(&s);
    }
    make_schema(&s, keys);
    crs_model *model = model_of(&s, CRS_ISA_BASELINE, 1);
    set_all(model, NAN, NULL);
    CU_ASSERT(refuses(&said, crs_music_make(model, &s.columns, "some.h5", &music, &roll, &drums, &said), CRS_DATA,
                      "not finite"));
    crs_roll_free(&roll);
    crs_model_free(&model);
    crs_schema_free(&s);
}

static const harness_test midi_tests[] = {HARNESS_TEST(test_midi),         HARNESS_TEST(test_tracks),
                                          HARNESS_TEST(test_midi_refused), HARNESS_TEST(test_midi_damaged),
                                          HARNESS_TEST(test_round_trip),   HARNESS_TEST(test_json),
                                          HARNESS_TEST(test_drums),        HARNESS_END};
static const harness_test pack_tests[] = {HARNESS_TEST(test_pack_json),   HARNESS_TEST(test_json_refused),
                                          HARNESS_TEST(test_pack_midi),   HARNESS_TEST(test_pack_gzip),
                                          HARNESS_TEST(test_pack_memory), HARNESS_END};
static const harness_test music_tests[] = {HARNESS_TEST(test_music), HARNESS_TEST(test_chances),
                                           HARNESS_TEST(test_music_refused), HARNESS_END};

int main(int argc, char **argv) {
    harness_add("midi", midi_tests);
    harness_add("pack", pack_tests);
    harness_add("music", music_tests);
    return harness_run(argc, argv);
}
