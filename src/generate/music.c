/* Music, step by step: every bit is drawn by itself. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "carousel/generate.h"

enum { DRAWS = 4 }; /* of a call of crs_random */

typedef struct player {
    crs_model *model;
    const crs_music *music;
    crs_workspace *workspace;
    float *state, *logits, *bits; /* bits: [columns], the step that the model reads next */
    int columns;
    int *note; /* [columns] */
    crs_roll *roll;
} player;

/* The note of each column. */
static crs_status name_notes(player *p, const crs_names *columns, const char *file, bool *drums, crs_error *error) {
    bool used[CRS_NOTES] = {false};
    *drums = false;
    for (int i = 0; i < p->columns; i++) {
        bool drum;
        const int note = crs_column_note(columns->name[i], &drum);
        if (note < 0 || used[note] || (i > 0 && drum != *drums))
            return crs_fail(error, CRS_DATA,
                            "%s: its column %d, '%.60s', stands for no note of its own, from 0 to 127, nor for a drum: "
                            "it is no music; predict writes what it says",
                            file, i, columns->name[i]);
        p->note[i] = note;
        used[note] = true;
        *drums = drum;
    }
    return CRS_OK;
}

static void read_step(player *p) {
    const crs_batch batch = {.steps = 1, .rows = 1, .input.numbers = p->bits, .state = p->state};
    crs_model_step(p->model, p->workspace, &batch, p->logits);
}

static crs_status put_step(player *p, crs_error *error) {
    const int64_t now = p->roll->steps;
    if (crs_roll_extend(p->roll, 1, error))
        return error->status;
    for (int i = 0; i < p->columns; i++)
        if (p->bits[i] != 0 && crs_roll_put(p->roll, p->note[i], now, now + 1, error))
            return error->status;
    return CRS_OK;
}

/* The next step, from what the model says of it. */
static crs_status draw(player *p, int64_t step, crs_error *error) {
    const double temperature = p->music->temperature;
    uint64_t random[DRAWS];
    for (int i = 0; i < p->columns; i++) {
        if (!isfinite(p->logits[i]))
            return crs_fail(error, CRS_DATA,
                            "the model's output is not finite after %" PRId64
                            " steps: it has diverged; sample from an earlier checkpoint",
                            step);
        if (i % DRAWS == 0)
            crs_random(p->music->seed, CRS_DRAW_SAMPLE, p->music->piece, (uint64_t)step, (uint64_t)(i / DRAWS), 0,
                       random);
        const double z = (double)p->logits[i] / temperature;
        const double chance = z < -700 ? 0 : 1 / (1 + crs_exp(-(z < 700 ? z : 700)));
        p->bits[i] = temperature > 0 ? crs_unit_double(random[i % DRAWS]) < chance : p->logits[i] > 0;
    }
    return put_step(p, error);
}

static crs_status play(player *p, crs_error *error) {
    const crs_music *m = p->music;
    for (int64_t i = 0; i < m->prime_steps; i++) {
        memcpy(p->bits, m->prime + i * p->columns, (size_t)p->columns * sizeof *p->bits);
        if (put_step(p, error))
            return error->status;
        read_step(p);
    }
    if (m->prime_steps == 0)
        read_step(p);
    for (int64_t i = 0; i < m->steps; i++) {
        if (draw(p, i, error))
            return error->status;
        read_step(p);
    }
    return CRS_OK;
}

crs_status crs_music_make(crs_model *model, const crs_names *columns, const char *file, const crs_music *music,
                          crs_roll *roll, bool *drums, crs_error *error) {
    player p = {.model = model, .music = music, .columns = columns->count, .roll = roll};
    const size_t count = (size_t)columns->count, state = crs_model_state(model);
    CRS_ASSERT(columns->count == crs_model_spec(model)->input_size && columns->count == crs_model_spec(model)->outputs);
    *error = (crs_error){0};
    crs_roll_clear(roll);
    p.note = crs_alloc(count, sizeof *p.note, CRS_MEMORY_OTHER);
    p.bits = crs_alloc(count, sizeof *p.bits, CRS_MEMORY_OTHER);
    p.logits = crs_alloc(count, sizeof *p.logits, CRS_MEMORY_OTHER);
    p.state = crs_alloc(state, sizeof *p.state, CRS_MEMORY_OTHER);
    if (!p.note || !p.bits || !p.logits || !p.state)
        crs_fail(error, CRS_INTERNAL, "out of memory for sampling %d bits", p.columns);
    else if (name_notes(&p, columns, file, drums, error) == CRS_OK &&
             crs_workspace_create(&p.workspace, model, 1, 1, CRS_FORWARD, error) == CRS_OK)
        play(&p, error);
    crs_workspace_free(&p.workspace);
    crs_free(&p.state);
    crs_free(&p.logits);
    crs_free(&p.bits);
    crs_free(&p.note);
    return error->status;
}
