/* Text and music from a trained model. Local. */
#ifndef CAROUSEL_GENERATE_H
#define CAROUSEL_GENERATE_H

#include "carousel/nn.h"
#include "carousel/notes.h"

typedef struct crs_sampling {
    const char *prime; /* [prime_bytes] UTF-8 (level byte: any bytes), owned by the caller */
    size_t prime_bytes;
    const char *prime_name; /* where it comes from, for messages: "--prime", a file's name */
    int64_t length;         /* characters after the prime; level byte: a sequence that is no UTF-8 counts as one; level
                               word: words, and line ends */
    const char *until; /* [until_bytes] where a text, with what was made after the prime, ends with this, it ends early;
                          level word: where a word brings it */
    size_t until_bytes; /* 0: none */
    double temperature; /* 0: the likeliest */
    int64_t top_k;      /* 0: all */
    double top_p;       /* 1: all */
    uint64_t seed;
    int64_t count; /* texts; text k differs from text 0 by its random numbers alone */
} crs_sampling;

/* Takes finished characters or words (whole UTF-8; level byte: also bytes that are none), as they are made; a status
 * other than CRS_OK ends the sampling. */
typedef crs_status (*crs_sink)(void *context, const char *bytes, size_t count, crs_error *error);

/* For each text: the prime, length characters or words (with blanks between them as src/generate/text.h says), a
 * newline. A character of the prime that the vocabulary lacks, or a word where it has no CRS_UNKNOWN either, is
 * CRS_DATA and shows it. */
crs_status crs_sample(crs_model *model, const crs_vocabulary *vocabulary, const crs_sampling *sampling, crs_sink sink,
                      void *context, crs_error *error);

/* ---- music ---- */

typedef struct crs_music {
    const float *prime; /* [prime_steps][D] bits, 0 or 1, that the model reads first; steps 0: it begins with silence */
    int64_t prime_steps, steps; /* steps: to be made after the prime */
    double temperature;         /* of each bit's probability; 0: 1 where it is above a half */
    uint64_t seed, piece;       /* pieces of one seed differ by their draws alone */
} crs_music;

/* What a model of next bits makes: a roll of the prime's and the made steps. columns: names of its D bits; one that
 * stands for no note of MIDI, or the note of another, is CRS_DATA; file: for that message. drums: whether they are
 * drums. roll is the caller's, to be freed. */
crs_status crs_music_make(crs_model *model, const crs_names *columns, const char *file, const crs_music *music,
                          crs_roll *roll, bool *drums, crs_error *error);

/* How a roll is written. */
typedef struct crs_score {
    const crs_roll *roll;
    int grid;     /* steps a whole note */
    double tempo; /* quarter notes a minute */
    bool drums;   /* each hit by itself, in channel 10; else a key that sounds in neighbouring steps is one note */
} crs_score;
/* Whether path ends in .mid, .midi or .json: else CRS_USAGE. */
crs_status crs_score_check(const char *path, crs_error *error);
/* As standard MIDI of format 0, or as JSON: a list of steps, each the list of its notes. Whole on the disk, or not at
 * all (CRS_CREATE). */
crs_status crs_score_write(const crs_score *score, const char *path, crs_error *error);

/* ---- choosing a token ---- */

/* One choice from logits[count] (not changed) with a draw u in [0, 1): softmax at this temperature in double, tokens by
 * falling probability (ties: the lower token first), cut by top_k and top_p. scratch: [count] of crs_candidate. */
typedef struct crs_candidate {
    double probability;
    uint32_t token;
} crs_candidate;
uint32_t crs_choose(const float *logits, uint32_t count, double temperature, int64_t top_k, double top_p, double u,
                    crs_candidate *scratch);

#endif
