/* carousel pack notes: music into a data set. */
#include "config.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "carousel/notes.h"
#include "cli/pack.h"

enum { OPTION_OUTPUT, OPTION_LOW, OPTION_HIGH, OPTION_GRID, OPTION_DRUMS, OPTION_SPLIT, OPTION_SPLIT_TABLE, OPTIONS };

static const crs_cli_option options[OPTIONS] = {
    [OPTION_OUTPUT] = {'o', "output", "DATA.h5", "the data set to write"},
    [OPTION_LOW] = {0, "low", "N", "the lowest key, a note of MIDI (21)"},
    [OPTION_HIGH] = {0, "high", "N", "the highest key (108)"},
    [OPTION_GRID] = {0, "grid", "1/N", "a step is this part of a whole note (MIDI: 1/16; JSON: not known)"},
    [OPTION_DRUMS] = {0, "drums", NULL, "nine drums of the General MIDI kit (channel 10) instead of keys"},
    [OPTION_SPLIT] = {0, "split", "A,B,C",
                      "MIDI: shares of the files for training, validation and test (0.8,0.1,0.1; of fewer than 10: "
                      "1,0,0)"},
    [OPTION_SPLIT_TABLE] = {0, "split-table", "INFO.csv",
                            "MIDI: the split of each file, from the columns midi_filename and split"},
};

static const char *const operands[] = {"FILE"};

static crs_status take_note(const crs_typed *typed, int *note, crs_error *error) {
    int64_t value;
    if (crs_typed_whole(typed, 0, CRS_NOTES - 1, &value, error) == CRS_OK)
        *note = (int)value;
    return error->status;
}

static crs_status take(void *context, int option, const crs_typed *typed, crs_error *error) {
    crs_notes_pack *pack = context;
    switch (option) {
    case OPTION_OUTPUT:
        pack->output = typed->value;
        return CRS_OK;
    case OPTION_LOW:
        return take_note(typed, &pack->low, error);
    case OPTION_HIGH:
        return take_note(typed, &pack->high, error);
    case OPTION_GRID:
        return crs_take_grid(typed, &pack->grid, error);
    case OPTION_DRUMS:
        pack->drums = true;
        return CRS_OK;
    case OPTION_SPLIT:
        pack->split_given = true;
        return crs_pack_take_shares(typed, "0.8,0.1,0.1", pack->split, error);
    default:
        if (!*typed->value)
            return crs_fail(error, typed->status, "%s: an empty name; give a table", typed->where);
        pack->split_table = typed->value;
        return CRS_OK;
    }
}

static const crs_cli notes_cli = {
    .name = "pack notes",
    .usage = "[OPTION]... -o DATA.h5 FILE|FOLDER...",
    .about = "Turn music into a data set of piano rolls: standard MIDI files (a folder stands\n"
             "for those below it), or JSON: {\"train\": [[[60, 64], ...], ...], \"valid\": ...,\n"
             "\"test\": ...}; also packed by gzip.",
    .more = "Examples:\n"
            "  carousel pack notes -o chorales.h5 jsb-chorales-quarter.json\n"
            "  carousel pack notes -o drums.h5 --drums --split-table=groove/info.csv groove\n",
    .operands = operands,
    .operands_least = 1,
    .operands_most = INT_MAX,
    .options = options,
    .options_count = OPTIONS,
    .take = take,
};

static void tell(const crs_notes_pack *pack, const crs_notes_packed *packed) {
    int64_t pieces = 0, steps = 0;
    char number[3][32];
    for (int i = 0; i < CRS_SPLITS; i++) {
        pieces += packed->pieces[i];
        steps += packed->steps[i];
    }
    crs_note("%s: %s piece%s, %s steps of %d %s", pack->output, crs_format_count(pieces, number[0]),
             crs_plural(pieces, "", "s"), crs_format_count(steps, number[1]), packed->columns,
             pack->drums ? "drums" : "keys");
    if (packed->out_of_range > 0)
        crs_note("left out: %s note%s (counted in steps) that %s", crs_format_count(packed->out_of_range, number[0]),
                 crs_plural(packed->out_of_range, "", "s"),
                 pack->drums ? "are none of the nine drums" : "are out of --low, --high");
    if (packed->missing > 0)
        crs_note("%s: %s of its rows name files that were not given", pack->split_table,
                 crs_format_count(packed->missing, number[0]));
    crs_note("splits: train %s, validation %s, test %s pieces", crs_format_count(packed->pieces[CRS_TRAIN], number[0]),
             crs_format_count(packed->pieces[CRS_VALIDATION], number[1]),
             crs_format_count(packed->pieces[CRS_TEST], number[2]));
    if (packed->whole)
        crs_note("too few files for three splits: all are for training; --split says otherwise");
    crs_pack_tell_next(pack->output);
}

crs_status crs_pack_notes_command(int argc, char **argv, crs_error *error) {
    crs_notes_pack pack = {.low = 21, .high = 108, .split = {0.8, 0.1, 0.1}};
    crs_cli_arguments arguments;
    crs_notes_packed packed;
    if (crs_cli_parse(&notes_cli, argc, argv, &pack, &arguments, error) || arguments.help)
        return error->status;
    if (crs_pack_check_output(pack.output, &notes_cli, error))
        return error->status;
    pack.inputs = arguments.count;
    pack.input = (const char *const *)arguments.operand;
    if (crs_pack_notes(&pack, &packed, error) == CRS_OK)
        tell(&pack, &packed);
    return error->status;
}
