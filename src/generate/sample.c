/* Text, token by token. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "carousel/generate.h"
#include "generate/text.h"

typedef struct sampler {
    crs_model *model;
    const crs_vocabulary *vocabulary;
    const crs_sampling *sampling;
    crs_workspace *workspace;
    crs_candidate *candidates; /* [V] */
    float *state, *logits;
    float *begun;    /* the state before the last token of the prime: where every text begins */
    uint32_t *prime; /* [primes]; with an empty prime: the one token that the model is given to begin with */
    size_t primes;
    crs_sink sink;
    void *context;
    /* level byte: the beginning of a character, and how many of its bytes the prime gave */
    unsigned char pending[4];
    size_t pending_count, pending_primed;
    crs_join primed; /* level word: what the prime ends with */
    bool blank;      /* the prime ends with a blank */
    crs_join join;
    crs_until until;
    bool ended; /* the text that ends a text has come */
} sampler;

/* ---- the prime ---- */

static crs_status prime_token(const sampler *s, const unsigned char *at, size_t left, size_t offset, size_t *length,
                              uint32_t *token, crs_error *error) {
    uint32_t code_point = *at;
    *length = 1;
    if (s->vocabulary->level == CRS_LEVEL_CHAR) {
        const int decoded = crs_utf8_decode(at, left, &code_point);
        if (decoded <= 0)
            return crs_fail(error, CRS_USAGE, "%s: byte %zu is not valid UTF-8; give UTF-8 text",
                            s->sampling->prime_name, offset);
        *length = (size_t)decoded;
    }
    const int64_t found = crs_vocabulary_token(s->vocabulary, code_point);
    if (found < 0) {
        char name[32];
        crs_utf8_name(code_point, name);
        return crs_fail(error, CRS_DATA, "%s: the model has never seen %s (byte %zu); leave it out",
                        s->sampling->prime_name, name, offset);
    }
    *token = (uint32_t)found;
    return CRS_OK;
}

/* Level word: the prime is cut as the text was. */
static crs_status prime_word(sampler *s, const crs_word_reader *word, crs_error *error) {
    int64_t token = crs_vocabulary_find(s->vocabulary, word->bytes, word->length);
    if (token < 0)
        token = crs_vocabulary_find(s->vocabulary, CRS_UNKNOWN, sizeof CRS_UNKNOWN - 1);
    if (token < 0)
        return crs_fail(error, CRS_DATA, "%s: the model has never seen the word '%.*s' (byte %lld); leave it out",
                        s->sampling->prime_name, (int)(word->length < 60 ? word->length : 60), word->bytes,
                        (long long)word->start);
    crs_join_blank(&s->primed, word->bytes, word->length);
    s->prime[s->primes++] = (uint32_t)token;
    return CRS_OK;
}

static crs_status read_words(sampler *s, crs_error *error) {
    const unsigned char *text = (const unsigned char *)s->sampling->prime;
    const size_t bytes = s->sampling->prime_bytes;
    crs_word_reader reader = {.words = s->vocabulary->words, .lower = s->vocabulary->lower};
    s->primed = (crs_join){.words = s->vocabulary->words};
    for (size_t at = 0; at < bytes;) {
        uint32_t code_point;
        const int length = crs_utf8_decode(text + at, bytes - at, &code_point);
        if (length <= 0)
            return crs_fail(error, CRS_USAGE, "%s: byte %zu is not valid UTF-8; give UTF-8 text",
                            s->sampling->prime_name, at);
        at += (size_t)length;
        size_t taken = 0;
        while (crs_word_next(&reader, &code_point, 1, &taken))
            if (prime_word(s, &reader, error))
                return error->status;
        s->blank = reader.length == 0;
    }
    return crs_word_last(&reader) ? prime_word(s, &reader, error) : CRS_OK;
}

static crs_status read_characters(sampler *s, crs_error *error) {
    const size_t bytes = s->sampling->prime_bytes;
    const unsigned char *text = (const unsigned char *)s->sampling->prime;
    for (size_t at = 0, length; at < bytes; at += length)
        if (prime_token(s, text + at, bytes - at, at, &length, &s->prime[s->primes++], error))
            return error->status;
    return CRS_OK;
}

static crs_status read_prime(sampler *s, crs_error *error) {
    const bool words = s->vocabulary->level == CRS_LEVEL_WORD;
    s->prime = crs_alloc_or_fail(s->sampling->prime_bytes + 1, sizeof *s->prime, CRS_MEMORY_OTHER, "the prime", error);
    if (!s->prime || (words ? read_words : read_characters)(s, error))
        return error->status;
    if (s->primes == 0) {
        const int64_t newline = crs_vocabulary_token(s->vocabulary, '\n');
        s->prime[s->primes++] = newline >= 0 ? (uint32_t)newline : 0;
    }
    return CRS_OK;
}

/* ---- what is printed ---- */

/* Characters made so far, and after how many to end. */
typedef struct tally {
    int64_t made, most;
} tally;

static crs_status print_text(sampler *s, const char *bytes, size_t count, crs_error *error) {
    s->ended = crs_until_take(&s->until, bytes, count) || s->ended;
    return s->sink(s->context, bytes, count, error);
}

static crs_status print_pending(sampler *s, tally *count, crs_error *error) {
    const size_t bytes = s->pending_count;
    count->made += bytes > s->pending_primed;
    s->pending_count = s->pending_primed = 0;
    return print_text(s, (const char *)s->pending, bytes, error);
}

/* Bytes are held back until they are a character. What can't become one is written as it is, and counts as one. */
static crs_status print_byte(sampler *s, unsigned char byte, tally *count, crs_error *error) {
    uint32_t code_point;
    s->pending[s->pending_count++] = byte;
    const int length = crs_utf8_decode(s->pending, s->pending_count, &code_point);
    if (length == 0)
        return CRS_OK;
    const bool begins_anew = length < 0 && s->pending_count > 1;
    s->pending_count -= begins_anew;
    if (print_pending(s, count, error))
        return error->status;
    return begins_anew && count->made < count->most && !s->ended ? print_byte(s, byte, count, error) : CRS_OK;
}

static crs_status print_word(sampler *s, uint32_t token, tally *count, crs_error *error) {
    char room[4];
    size_t length;
    const char *word = crs_vocabulary_text(s->vocabulary, token, room, &length);
    const bool blank = crs_join_blank(&s->join, word, length) && !(count->made == 0 && s->blank);
    count->made++;
    if (blank && print_text(s, " ", 1, error))
        return error->status;
    return print_text(s, word, length, error);
}

static crs_status print_token(sampler *s, uint32_t token, tally *count, crs_error *error) {
    if (s->vocabulary->level == CRS_LEVEL_BYTE)
        return print_byte(s, (unsigned char)token, count, error);
    if (s->vocabulary->level == CRS_LEVEL_WORD)
        return print_word(s, token, count, error);
    char bytes[4];
    const int length = crs_utf8_encode(s->vocabulary->code_points[token], bytes);
    count->made++;
    return print_text(s, bytes, (size_t)length, error);
}

static crs_status print_prime(sampler *s, crs_error *error) {
    const char *text = s->sampling->prime;
    const size_t bytes = s->sampling->prime_bytes;
    tally count = {.most = INT64_MAX};
    s->join = s->primed;
    if (s->vocabulary->level != CRS_LEVEL_BYTE)
        return bytes > 0 ? print_text(s, text, bytes, error) : CRS_OK;
    for (size_t i = 0; i < bytes; i++)
        if (print_byte(s, (unsigned char)text[i], &count, error))
            return error->status;
    s->pending_primed = s->pending_count;
    return CRS_OK;
}

/* The model reads a token: its state goes on, and logits say what could follow. */
static void read_token(sampler *s, const uint32_t *token, float *state) {
    const crs_batch batch = {.steps = 1, .rows = 1, .input.tokens = token, .state = state};
    crs_model_step(s->model, s->workspace, &batch, s->logits);
}

/* ---- one text ---- */

/* The next token after this one. */
static crs_status draw(sampler *s, int64_t text, uint64_t position, uint32_t *token, crs_error *error) {
    const crs_sampling *g = s->sampling;
    const uint32_t kinds = s->vocabulary->count;
    uint64_t bits[4];
    read_token(s, token, s->state);
    for (uint32_t i = 0; i < kinds; i++)
        if (!isfinite(s->logits[i]))
            return crs_fail(error, CRS_DATA,
                            "the model's output is not finite after %" PRIu64
                            " draws: it has diverged; sample from an earlier checkpoint",
                            position);
    crs_random(g->seed, CRS_DRAW_SAMPLE, (uint64_t)text, position, 0, 0, bits);
    *token = crs_choose(s->logits, kinds, g->temperature, g->top_k, g->top_p, crs_unit_double(bits[0]), s->candidates);
    return CRS_OK;
}

static crs_status write_text(sampler *s, int64_t text, crs_error *error) {
    tally count = {.most = s->sampling->length};
    uint32_t token = s->prime[s->primes - 1];
    memcpy(s->state, s->begun, crs_model_state(s->model) * sizeof *s->state);
    s->pending_count = s->pending_primed = 0;
    crs_until_begin(&s->until);
    if (print_prime(s, error))
        return error->status;
    s->ended = false; /* what ends in the prime does not count */
    for (uint64_t position = 0; count.made < count.most && !s->ended; position++)
        if (draw(s, text, position, &token, error) || print_token(s, token, &count, error))
            return error->status;
    if (s->pending_count > 0 && print_pending(s, &count, error)) /* a character that nothing has ended */
        return error->status;
    return s->sink(s->context, "\n", 1, error);
}

crs_status crs_sample(crs_model *model, const crs_vocabulary *vocabulary, const crs_sampling *sampling, crs_sink sink,
                      void *context, crs_error *error) {
    sampler s = {.model = model, .vocabulary = vocabulary, .sampling = sampling, .sink = sink, .context = context};
    const size_t state = crs_model_state(model);
    CRS_ASSERT((int64_t)vocabulary->count == crs_model_spec(model)->input_size);
    *error = (crs_error){0};
    s.candidates = crs_alloc(vocabulary->count, sizeof *s.candidates, CRS_MEMORY_OTHER);
    s.logits = crs_alloc(vocabulary->count, sizeof *s.logits, CRS_MEMORY_OTHER);
    s.state = crs_alloc(state, sizeof *s.state, CRS_MEMORY_OTHER);
    s.begun = crs_alloc(state, sizeof *s.begun, CRS_MEMORY_OTHER);
    if (!s.candidates || !s.logits || !s.state || !s.begun) {
        crs_fail(error, CRS_INTERNAL, "out of memory for sampling from %" PRIu32 " tokens", vocabulary->count);
    } else if (read_prime(&s, error) == CRS_OK &&
               crs_until_create(&s.until, sampling->until, sampling->until_bytes, error) == CRS_OK &&
               crs_workspace_create(&s.workspace, model, 1, 1, CRS_FORWARD, error) == CRS_OK) {
        for (size_t i = 0; i + 1 < s.primes; i++) /* all of the prime but its last token, once for all texts */
            read_token(&s, &s.prime[i], s.begun);
        for (int64_t i = 0; i < sampling->count && error->status == CRS_OK; i++)
            write_text(&s, i, error);
    }
    crs_workspace_free(&s.workspace);
    crs_until_free(&s.until);
    crs_free(&s.prime);
    crs_free(&s.begun);
    crs_free(&s.state);
    crs_free(&s.logits);
    crs_free(&s.candidates);
    return error->status;
}
