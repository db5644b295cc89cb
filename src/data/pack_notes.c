/* Piano rolls into a data set: each piece is read whole, and written before the next. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "data/midi.h"
#include "data/notes_files.h"
#include "data/sequence_writer.h"

enum { FILE_MOST = 1 << 30, STEPS_AT_ONCE = 1024, FEW = 10, GRID_OF_MIDI = 16, WORDS = CRS_NOTES / 64 };

typedef struct packing {
    const crs_notes_pack *pack;
    crs_notes_packed *packed;
    crs_output output;
    crs_notes_files files; /* owned */
    crs_schema schema;     /* owned */
    int column[CRS_NOTES]; /* of each note, -1: none */
    crs_roll roll;         /* the piece at hand, owned */
    uint8_t *bits;         /* [STEPS_AT_ONCE][columns], owned */
    crs_sequence_writer *writer;
    bool json; /* all files are */
} packing;

/* ---- what there is to pack ---- */

static crs_status check_request(const crs_notes_pack *pack, crs_error *error) {
    if (pack->low > pack->high)
        return crs_fail(error, CRS_USAGE, "--low=%d is above --high=%d; give a range, as --low=21 --high=108",
                        pack->low, pack->high);
    if (pack->split_given && pack->split_table)
        return crs_fail(error, CRS_USAGE, "--split and --split-table both say how to split; leave out one of them");
    return CRS_OK;
}

/* The columns, and what they are called. */
static crs_status make_schema(packing *p, crs_error *error) {
    const crs_notes_pack *pack = p->pack;
    crs_schema *s = &p->schema;
    *s = (crs_schema){.inputs = CRS_INPUT_BITS, .targets = CRS_TARGET_NEXT, .alignment = CRS_ALIGN_STEP};
    const int columns = pack->drums ? CRS_DRUMS : pack->high - pack->low + 1;
    for (int i = 0; i < columns; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", pack->low + i);
        if (!crs_names_add(&s->columns, pack->drums ? crs_drum_name(i) : number))
            return crs_fail(error, CRS_INTERNAL, "out of memory for the names of columns");
    }
    s->input_size = s->target_size = p->packed->columns = columns;
    return CRS_OK;
}

/* The column of each note, once it is known whether drums are written as such. */
static void map_notes(packing *p) {
    const crs_notes_pack *pack = p->pack;
    for (int note = 0; note < CRS_NOTES; note++)
        if (pack->drums)
            p->column[note] = p->json ? crs_drum_of_note(note) : crs_drum_of_pad(note);
        else
            p->column[note] = note < pack->low || note > pack->high ? -1 : note - pack->low;
}

/* The times of MIDI are put into steps; how long a step of JSON is, who packs it may know. */
static int grid_of(const packing *p) {
    return p->pack->grid > 0 || p->json ? p->pack->grid : GRID_OF_MIDI;
}

/* Which file is for what, by shares of all. */
static crs_status share_out(packing *p, crs_error *error) {
    const crs_notes_pack *pack = p->pack;
    int64_t length[CRS_SPLITS];
    crs_split split = CRS_TRAIN;
    p->packed->whole = !pack->split_given && p->files.count < FEW;
    crs_split_lengths(p->packed->whole ? (const double[CRS_SPLITS]){1, 0, 0} : pack->split, p->files.count, length);
    if (length[CRS_TRAIN] == 0)
        return crs_fail(error, CRS_DATA,
                        "--split=%g,%g,%g of %d file%s leaves nothing to train on; give more files, or other shares",
                        pack->split[0], pack->split[1], pack->split[2], p->files.count,
                        crs_plural(p->files.count, "", "s"));
    for (int i = 0; i < p->files.count; i++) {
        while (length[split] == 0)
            split++;
        p->files.file[i].split = (int)split;
        length[split]--;
    }
    return CRS_OK;
}

static crs_status sort_files(packing *p, crs_error *error) {
    bool any = false;
    if (!p->pack->split_table)
        return share_out(p, error);
    if (crs_notes_files_sort(&p->files, p->pack->split_table, &p->output, &p->packed->missing, error))
        return error->status;
    for (int i = 0; i < p->files.count; i++)
        any = any || p->files.file[i].split == CRS_TRAIN;
    return any ? CRS_OK
               : crs_fail(error, CRS_DATA, "%s: none of the %d files is for training (column split)",
                          p->pack->split_table, p->files.count);
}

static crs_status open_writer(packing *p, crs_error *error) {
    crs_attributes more = {0};
    char text[CRS_SOURCES_TEXT], description[160], grid[16];
    crs_source *sources = crs_alloc_or_fail((size_t)p->pack->inputs, sizeof *sources, CRS_MEMORY_DATA, "files", error);
    if (!sources)
        return error->status;
    for (int i = 0; i < p->pack->inputs; i++)
        sources[i].input = p->pack->input[i];
    crs_sources_describe(sources, p->pack->inputs, text);
    crs_free(&sources);
    snprintf(description, sizeof description, "piano rolls: which of %d %s in each step", p->packed->columns,
             p->pack->drums ? "drums are hit" : "keys sound");
    snprintf(grid, sizeof grid, "1/%d", grid_of(p));
    if (grid_of(p) > 0)
        crs_attributes_put_text(&more, "grid", grid);
    const crs_sequence_plan plan = {
        .schema = &p->schema, .source = text, .description = description, .more = &more, .names = true};
    return crs_sequence_writer_open(&p->writer, &p->output, &plan, error);
}

/* ---- pieces ---- */

/* Some steps of the roll as rows of bits. Returns how many notes sound, and counts those that no column is for. */
static int64_t make_bits(packing *p, int64_t start, int64_t count) {
    int64_t sounding = 0;
    const size_t columns = (size_t)p->packed->columns;
    memset(p->bits, 0, (size_t)count * columns);
    for (int64_t i = 0; i < count; i++)
        for (int word = 0; word < WORDS; word++)
            for (uint64_t rest = p->roll.step[start + i][word]; rest; rest &= rest - 1) {
                const int column = p->column[64 * word + __builtin_ctzll(rest)];
                if (column >= 0)
                    p->bits[(size_t)i * columns + (size_t)column] = 1;
                p->packed->out_of_range += column < 0;
                sounding += column >= 0;
            }
    return sounding;
}

/* Silence at the end of what MIDI has: a piece ends with its last note. */
static void trim(packing *p) {
    while (p->roll.steps > 0) {
        const uint64_t *last = p->roll.step[p->roll.steps - 1];
        for (int note = 0; note < CRS_NOTES; note++)
            if (p->column[note] >= 0 && (last[note / 64] >> (note % 64) & 1))
                return;
        p->packed->out_of_range += __builtin_popcountll(last[0]) + __builtin_popcountll(last[1]);
        p->roll.steps--;
    }
}

/* The roll, as a sequence. *sounding: notes. */
static crs_status put_piece(packing *p, crs_split split, const char *name, int64_t *sounding, crs_error *error) {
    if (crs_sequence_writer_begin(p->writer, split, name, 0, error))
        return error->status;
    for (int64_t at = 0; at < p->roll.steps; at += STEPS_AT_ONCE) {
        const int64_t left = p->roll.steps - at, count = left < STEPS_AT_ONCE ? left : STEPS_AT_ONCE;
        *sounding += make_bits(p, at, count);
        if (crs_sequence_writer_add(p->writer, count, p->bits, NULL, NULL, error))
            return error->status;
    }
    return crs_sequence_writer_end(p->writer, NULL, 1, error);
}

static crs_status fail_silent(const packing *p, const char *path, crs_error *error) {
    if (p->pack->drums)
        return crs_fail(error, CRS_DATA, "%s: no drum is hit in it%s", path,
                        p->json ? "" : " (drums stand in channel 10); leave it out");
    return crs_fail(error, CRS_DATA, "%s: no note from %d to %d is in it; leave it out, or give another --low, --high",
                    path, p->pack->low, p->pack->high);
}

static crs_status put_midi(packing *p, const crs_notes_file *file, const char *bytes, size_t count, crs_error *error) {
    int64_t sounding = 0;
    if (crs_midi_read(bytes, count, file->path, grid_of(p), p->pack->drums, &p->roll, error))
        return error->status;
    trim(p);
    if (p->roll.steps == 0)
        return fail_silent(p, file->path, error);
    return put_piece(p, (crs_split)file->split, file->name, &sounding, error);
}

static crs_status put_json(packing *p, const crs_notes_file *file, const char *bytes, size_t count, crs_error *error) {
    crs_notes_json *json = NULL;
    crs_split split;
    int64_t sounding = 0;
    bool more = true;
    crs_status status = crs_notes_json_open(&json, file->path, bytes, count, error);
    while (!status && more) {
        status = crs_notes_json_next(json, &split, &p->roll, &more, error);
        if (!status && more)
            status = put_piece(p, split, file->name, &sounding, error);
    }
    crs_notes_json_close(&json);
    return !status && sounding == 0 ? fail_silent(p, file->path, error) : status;
}

static bool is_json(const char *bytes, size_t count) {
    const size_t mark = crs_utf8_mark(bytes, count), first = mark + strspn(bytes + mark, " \t\r\n");
    return first < count && bytes[first] == '{';
}

static crs_status fail_kind(const packing *p, const char *path, crs_error *error) {
    return crs_fail(error, CRS_DATA, "%s: it is %s, and %s is not; pack them one by one", path,
                    p->json ? "no JSON" : "JSON", p->files.file[0].path);
}

static crs_status put_file(packing *p, const crs_notes_file *file, crs_error *error) {
    size_t count;
    char *bytes = crs_file_read(file->path, &p->output, FILE_MOST, &count, error);
    if (!bytes)
        return error->status;
    crs_status status = is_json(bytes, count) != p->json ? fail_kind(p, file->path, error)
                        : p->json                        ? put_json(p, file, bytes, count, error)
                                                         : put_midi(p, file, bytes, count, error);
    crs_free(&bytes);
    return status;
}

/* JSON says its splits itself. The first file tells which kind it is. */
static crs_status look_at_first(packing *p, crs_error *error) {
    size_t count;
    const char *path = p->files.file[0].path;
    char *bytes = crs_file_read(path, &p->output, FILE_MOST, &count, error);
    if (!bytes)
        return error->status;
    p->json = is_json(bytes, count);
    crs_free(&bytes);
    map_notes(p);
    if (p->json && (p->pack->split_given || p->pack->split_table))
        return crs_fail(error, CRS_USAGE, "--split%s: %s is JSON, which says its splits itself; leave it out",
                        p->pack->split_table ? "-table" : "", path);
    return p->json ? CRS_OK : sort_files(p, error);
}

static crs_status put_all(packing *p, crs_error *error) {
    for (int i = 0; i < p->files.count; i++) {
        char line[64];
        snprintf(line, sizeof line, "packing: file %d of %d", i + 1, p->files.count);
        crs_live(line);
        if (put_file(p, &p->files.file[i], error))
            return error->status;
    }
    const crs_sequence_counts *counts = crs_sequence_writer_counts(p->writer);
    memcpy(p->packed->pieces, counts->sequences, sizeof p->packed->pieces);
    memcpy(p->packed->steps, counts->steps, sizeof p->packed->steps);
    return crs_sequence_writer_finish(p->writer, error);
}

static crs_status run(packing *p, crs_error *error) {
    if (check_request(p->pack, error) || make_schema(p, error) || crs_output_open(&p->output, p->pack->output, error) ||
        crs_notes_files_find(&p->files, p->pack->input, p->pack->inputs, error) || look_at_first(p, error))
        return error->status;
    p->bits = crs_alloc_or_fail(STEPS_AT_ONCE, (size_t)p->packed->columns, CRS_MEMORY_DATA, "steps", error);
    if (!p->bits || open_writer(p, error) || put_all(p, error))
        return error->status;
    crs_sequence_writer_free(&p->writer);
    return crs_output_finish(&p->output, error);
}

crs_status crs_pack_notes(const crs_notes_pack *pack, crs_notes_packed *packed, crs_error *error) {
    packing p = {.pack = pack, .packed = packed, .output.lock = -1};
    const double start = crs_seconds();
    *packed = (crs_notes_packed){0};
    const crs_status status = run(&p, error);
    crs_sequence_writer_free(&p.writer);
    crs_output_discard(&p.output);
    crs_notes_files_free(&p.files);
    crs_schema_free(&p.schema);
    crs_roll_free(&p.roll);
    crs_free(&p.bits);
    crs_live("");
    packed->seconds = crs_seconds() - start;
    return status;
}
