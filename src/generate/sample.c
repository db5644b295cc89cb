/* Text, character by character. */
#include "config.h"

#include <string.h>

#include "carousel/generate.h"

typedef struct sampler {
    crs_model *model;
    const crs_vocabulary *vocabulary;
    const crs_sampling *sampling;
    crs_workspace *workspace;
    crs_candidate *candidates; /* [V] */
    float *state, *logits;
    uint32_t *prime; /* [primes]; with an empty prime: the one token that the model is given to begin with */
    size_t primes;
    crs_sink sink;
    void *context;
    /* level byte: the beginning of a character */
    unsigned char pending[4];
    size_t pending_count;
} sampler;

/* ---- the prime ---- */

static crs_status prime_token(const sampler *s, const unsigned char *at, size_t left, size_t offset, size_t *length,
                              uint32_t *token, crs_error *error) {
    uint32_t code_point = *at;
    *length = 1;
    if (s->vocabulary->level == CRS_LEVEL_CHAR) {
        const int decoded = crs_utf8_decode(at, left, &code_point);
        if (decoded <= 0)
            return crs_fail(error, CRS_USAGE, "--prime: byte %zu is not valid UTF-8; give UTF-8 text", offset);
        *length = (size_t)decoded;
    }
    const int64_t found = crs_vocabulary_token(s->vocabulary, code_point);
    if (found < 0) {
        char name[32];
        crs_utf8_name(code_point, name);
        return crs_fail(error, CRS_DATA, "--prime: the model has never seen %s (byte %zu); leave it out", name, offset);
    }
    *token = (uint32_t)found;
    return CRS_OK;
}

static crs_status read_prime(sampler *s, crs_error *error) {
    const size_t bytes = strlen(s->sampling->prime);
    const unsigned char *text = (const unsigned char *)s->sampling->prime;
    s->prime = crs_alloc_or_fail(bytes + 1, sizeof *s->prime, CRS_MEMORY_OTHER, "the prime", error);
    if (!s->prime)
        return error->status;
    for (size_t at = 0, length; at < bytes; at += length)
        if (prime_token(s, text + at, bytes - at, at, &length, &s->prime[s->primes++], error))
            return error->status;
    if (s->primes == 0) {
        const int64_t newline = crs_vocabulary_token(s->vocabulary, '\n');
        s->prime[s->primes++] = newline >= 0 ? (uint32_t)newline : 0;
    }
    return CRS_OK;
}

/* ---- what is printed ---- */

static crs_status print_code_point(sampler *s, uint32_t code_point, int64_t *made, crs_error *error) {
    char bytes[4];
    const int length = crs_utf8_encode(code_point, bytes);
    ++*made;
    return s->sink(s->context, bytes, (size_t)length, error);
}

/* Bytes are held back until they are a character; what can't become one is U+FFFD. */
static crs_status print_byte(sampler *s, unsigned char byte, int64_t *made, crs_error *error) {
    enum { REPLACEMENT = 0xfffd };
    s->pending[s->pending_count++] = byte;
    uint32_t code_point;
    const int length = crs_utf8_decode(s->pending, s->pending_count, &code_point);
    if (length == 0)
        return CRS_OK;
    const bool begins_anew = length < 0 && s->pending_count > 1;
    s->pending_count = 0;
    if (print_code_point(s, length > 0 ? code_point : REPLACEMENT, made, error))
        return error->status;
    return begins_anew && *made < s->sampling->length ? print_byte(s, byte, made, error) : CRS_OK;
}

static crs_status print_token(sampler *s, uint32_t token, int64_t *made, crs_error *error) {
    if (s->vocabulary->level == CRS_LEVEL_BYTE)
        return print_byte(s, (unsigned char)token, made, error);
    return print_code_point(s, s->vocabulary->code_points[token], made, error);
}

/* ---- one text ---- */

static crs_status write_text(sampler *s, int64_t number, crs_error *error) {
    const crs_sampling *g = s->sampling;
    memset(s->state, 0, crs_model_state(s->model) * sizeof *s->state);
    s->pending_count = 0;
    if (*g->prime && s->sink(s->context, g->prime, strlen(g->prime), error))
        return error->status;
    for (size_t i = 0; i + 1 < s->primes; i++)
        crs_model_step(s->model, s->workspace, 1, &s->prime[i], s->state, s->logits);
    uint32_t token = s->prime[s->primes - 1];
    uint64_t position = 0;
    for (int64_t made = 0; made < g->length; position++) {
        uint64_t draw[4];
        crs_model_step(s->model, s->workspace, 1, &token, s->state, s->logits);
        crs_random(g->seed, CRS_DRAW_SAMPLE, (uint64_t)number, position, 0, 0, draw);
        token = crs_choose(s->logits, s->vocabulary->count, g->temperature, g->top_k, g->top_p,
                           crs_unit_double(draw[0]), s->candidates);
        if (print_token(s, token, &made, error))
            return error->status;
    }
    return s->sink(s->context, "\n", 1, error);
}

crs_status crs_sample(crs_model *model, const crs_vocabulary *vocabulary, const crs_sampling *sampling, crs_sink sink,
                      void *context, crs_error *error) {
    sampler s = {.model = model, .vocabulary = vocabulary, .sampling = sampling, .sink = sink, .context = context};
    s.candidates = crs_alloc(vocabulary->count, sizeof *s.candidates, CRS_MEMORY_OTHER);
    s.logits = crs_alloc(vocabulary->count, sizeof *s.logits, CRS_MEMORY_OTHER);
    s.state = crs_alloc(crs_model_state(model), sizeof *s.state, CRS_MEMORY_OTHER);
    if (!s.candidates || !s.logits || !s.state)
        crs_fail(error, CRS_INTERNAL, "out of memory for sampling from %u tokens", vocabulary->count);
    else if (crs_workspace_create(&s.workspace, model, 1, 1, CRS_FORWARD, error) == CRS_OK &&
             read_prime(&s, error) == CRS_OK)
        for (int64_t i = 0; i < sampling->count && error->status == CRS_OK; i++)
            write_text(&s, i, error);
    crs_workspace_free(&s.workspace);
    crs_free(&s.prime);
    crs_free(&s.state);
    crs_free(&s.logits);
    crs_free(&s.candidates);
    return error->status;
}
