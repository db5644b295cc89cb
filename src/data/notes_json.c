/* Piano rolls in JSON: {"train": [[[60, 64], ...], ...], ...}: pieces, steps, notes. */
#include "config.h"

#include "data/notes_files.h"

#include <jansson.h>
#include <string.h>

#include "data/midi.h"

struct crs_notes_json {
    const char *path;
    json_t *root;
    json_t *pieces[CRS_SPLITS]; /* of root; NULL: none */
    int split;
    size_t piece;
};

/* The split of a key, or CRS_SPLITS. */
static int split_of(const char *key) {
    static const struct {
        const char *key;
        crs_split split;
    } known[] = {{"train", CRS_TRAIN}, {"valid", CRS_VALIDATION}, {"validation", CRS_VALIDATION}, {"test", CRS_TEST}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(key, known[i].key) == 0)
            return (int)known[i].split;
    return CRS_SPLITS;
}

static crs_status take_split(crs_notes_json *j, const char *key, json_t *value, crs_error *error) {
    const int split = split_of(key);
    if (split == CRS_SPLITS)
        return json_is_array(value)
                   ? crs_fail(error, CRS_DATA, "%s: '%.60s' is no split; they are train, valid or validation, and test",
                              j->path, key)
                   : CRS_OK; /* something about the data, for a person */
    if (!json_is_array(value))
        return crs_fail(error, CRS_DATA, "%s: '%s' is no list of pieces", j->path, key);
    if (j->pieces[split])
        return crs_fail(error, CRS_DATA, "%s: it has 'valid' and 'validation', which are the same split", j->path);
    j->pieces[split] = value;
    return CRS_OK;
}

crs_status crs_notes_json_open(crs_notes_json **json, const char *path, const char *text, size_t count,
                               crs_error *error) {
    json_error_t said;
    const char *key;
    json_t *value;
    crs_notes_json *j = *json = crs_alloc_or_fail(1, sizeof *j, CRS_MEMORY_DATA, "reading JSON", error);
    if (!j)
        return error->status;
    j->path = path;
    const size_t mark = crs_utf8_mark(text, count); /* some editors begin UTF-8 with it, and JSON has no place for it */
    j->root = json_loadb(text + mark, count - mark, JSON_REJECT_DUPLICATES, &said);
    if (!j->root)
        return crs_fail(error, json_error_code(&said) == json_error_out_of_memory ? CRS_INTERNAL : CRS_DATA,
                        "%s:%d: it is no JSON: %s (column %d)", path, said.line, said.text, said.column);
    if (!json_is_object(j->root))
        return crs_fail(error, CRS_DATA, "%s: piano rolls are an object: {\"train\": [[[60, 64], ...], ...], ...}",
                        path);
    json_object_foreach(j->root, key, value) if (take_split(j, key, value, error)) return error->status;
    if (json_array_size(j->pieces[CRS_TRAIN]) == 0)
        return crs_fail(error, CRS_DATA, "%s: 'train' is missing or empty: there is nothing to train on", path);
    return CRS_OK;
}

void crs_notes_json_close(crs_notes_json **json) {
    if (*json)
        json_decref((*json)->root);
    crs_free(json);
}

static crs_status take_step(const crs_notes_json *j, json_t *step, size_t number, crs_roll *roll, crs_error *error) {
    const char *split = crs_split_name((crs_split)j->split);
    size_t i;
    json_t *note;
    if (!json_is_array(step))
        return crs_fail(error, CRS_DATA, "%s: %s, piece %zu, step %zu: it is no list of notes", j->path, split,
                        j->piece, number);
    json_array_foreach(step, i, note) {
        const json_int_t value = json_is_integer(note) ? json_integer_value(note) : -1;
        if (value < 0 || value >= CRS_NOTES)
            return crs_fail(error, CRS_DATA,
                            "%s: %s, piece %zu, step %zu: number %zu is no note of MIDI, from 0 to 127", j->path, split,
                            j->piece, number, i);
        if (crs_roll_put(roll, (int)value, (int64_t)number, (int64_t)number + 1, error))
            return error->status;
    }
    return CRS_OK;
}

crs_status crs_notes_json_next(crs_notes_json *j, crs_split *split, crs_roll *roll, bool *more, crs_error *error) {
    size_t number;
    json_t *step;
    crs_roll_clear(roll);
    while (j->split < CRS_SPLITS && j->piece >= json_array_size(j->pieces[j->split])) {
        j->split++;
        j->piece = 0;
    }
    *more = j->split < CRS_SPLITS;
    if (!*more)
        return CRS_OK;
    *split = (crs_split)j->split;
    json_t *piece = json_array_get(j->pieces[j->split], j->piece);
    const size_t steps = json_array_size(piece);
    if (steps == 0 || steps > (size_t)CRS_ROLL_STEPS)
        return crs_fail(error, CRS_DATA, "%s: %s, piece %zu: it is no list of 1 to %lld steps", j->path,
                        crs_split_name(*split), j->piece, (long long)CRS_ROLL_STEPS);
    if (crs_roll_extend(roll, (int64_t)steps, error))
        return error->status;
    json_array_foreach(piece, number, step) if (take_step(j, step, number, roll, error)) return error->status;
    j->piece++;
    return CRS_OK;
}
