/* carousel sample: music. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/sample.h"

enum { GRID_OF_DRUMS = 16, GRID_OF_KEYS = 4 };

/* What the music goes on from. */
typedef struct prime {
    float *bits; /* [steps][D], owned */
    int64_t steps;
    int grid; /* as its data say; 0: they don't */
} prime;

/* DATA.h5:N. path: owned by the caller. */
static crs_status split_name(const char *given, char **path, int64_t *n, crs_error *error) {
    const char *colon = strrchr(given, ':');
    const crs_typed number = {colon ? colon + 1 : "", "--prime-from", CRS_USAGE};
    crs_error ours = {0};
    if (!colon || colon == given || crs_typed_whole(&number, 0, INT64_MAX, n, &ours))
        return crs_fail(error, CRS_USAGE,
                        "--prime-from=%s: give a data set and the number of a piece of its test split, as "
                        "--prime-from=DATA.h5:0",
                        given);
    *path = crs_format_text("%.*s", (int)(colon - given), given);
    return *path ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory");
}

static crs_status check(const crs_dataset *data, int64_t n, const char *checkpoint, const crs_schema *schema,
                        crs_error *error) {
    if (crs_schema_same(schema, checkpoint, &data->schema, data->path, error))
        return error->status;
    if (n >= data->sequences[CRS_TEST].count)
        return crs_fail(error, CRS_USAGE,
                        "--prime-from: the test split of %s has %" PRId64 " pieces, and number %" PRId64
                        ", from 0, is none of them",
                        data->path, data->sequences[CRS_TEST].count, n);
    return CRS_OK;
}

/* The piece, or its first steps. */
static crs_status read_piece(const crs_sample_request *r, const crs_dataset *data, int64_t n, prime *p,
                             crs_error *error) {
    const int64_t length = data->sequences[CRS_TEST].length[n];
    const size_t columns = (size_t)data->schema.input_size;
    p->steps = r->prime_steps < 0 || r->prime_steps > length ? length : r->prime_steps;
    const size_t count = (size_t)p->steps * columns;
    uint8_t *bits = crs_alloc_or_fail(count, 1, CRS_MEMORY_DATA, "a piece", error);
    p->bits = crs_alloc_or_fail(count, sizeof *p->bits, CRS_MEMORY_DATA, "a piece", error);
    if (bits && p->bits && crs_dataset_bits(data, CRS_TEST, n, p->steps, bits, error) == CRS_OK)
        for (size_t i = 0; i < count; i++)
            p->bits[i] = bits[i];
    crs_free(&bits);
    return error->status;
}

static crs_status read_prime(const crs_sample_request *r, const char *checkpoint, const crs_schema *schema, prime *p,
                             crs_error *error) {
    crs_dataset data = {0};
    char *path = NULL;
    int64_t n;
    if (!r->prime_from || split_name(r->prime_from, &path, &n, error))
        return error->status;
    if (crs_dataset_open(&data, path, error) == CRS_OK && check(&data, n, checkpoint, schema, error) == CRS_OK &&
        read_piece(r, &data, n, p, error) == CRS_OK)
        p->grid = data.schema.grid;
    crs_dataset_close(&data);
    crs_free(&path);
    return error->status;
}

static void tell(const crs_sample_request *r, const crs_score *score, const prime *p) {
    char steps[2][32];
    const double minutes = 4 * (double)score->roll->steps / (double)score->grid / score->tempo;
    crs_format_time(60 * minutes, steps[1]);
    crs_note("%s: %s steps of 1/%d, %" PRId64 " of them given; %s at %g quarter notes a minute", r->output,
             crs_format_count(score->roll->steps, steps[0]), score->grid, p->steps, steps[1], score->tempo);
}

crs_status crs_sample_music(const crs_sample_request *request, const char *checkpoint, crs_model *model,
                            const crs_schema *schema, crs_error *error) {
    prime p = {0};
    crs_roll roll = {0};
    crs_score score = {.roll = &roll, .tempo = request->tempo};
    if (!request->output)
        return crs_fail(error, CRS_USAGE, "-o is missing: where to write the music, as in -o OUT.mid or -o OUT.json");
    if (request->prime_steps >= 0 && !request->prime_from)
        return crs_fail(error, CRS_USAGE, "--prime-steps goes with --prime-from: of which piece?");
    if (read_prime(request, checkpoint, schema, &p, error) == CRS_OK) {
        const crs_music music = {.prime = p.bits,
                                 .prime_steps = p.steps,
                                 .steps = request->steps,
                                 .temperature = request->sampling.temperature,
                                 .seed = request->sampling.seed};
        if (crs_music_make(model, &schema->columns, checkpoint, &music, &roll, &score.drums, error) == CRS_OK) {
            const int usual = score.drums ? GRID_OF_DRUMS : GRID_OF_KEYS, known = p.grid ? p.grid : schema->grid;
            score.grid = request->grid ? request->grid : known ? known : usual;
            if (crs_score_write(&score, request->output, error) == CRS_OK)
                tell(request, &score, &p);
        }
    }
    crs_roll_free(&roll);
    crs_free(&p.bits);
    return error->status;
}
