/* Choosing a token against exact probabilities; texts of small models. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "carousel/generate.h"
#include "generate/text.h"
#include "harness.h"

/* ---- words, and what ends a text ---- */

/* Words of `given`, separated by bars, as they are written; ~ stands for a line end. */
static void join(crs_words words, const char *given, const char *wanted) {
    crs_join j = {.words = words};
    char text[200] = "", copy[200], *state;
    size_t used = 0;
    snprintf(copy, sizeof copy, "%s", given);
    for (char *word = strtok_r(copy, "|", &state); word; word = strtok_r(NULL, "|", &state)) {
        if (*word == '~')
            *word = '\n';
        const bool blank = crs_join_blank(&j, word, strlen(word));
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", blank ? " " : "", word);
    }
    CU_ASSERT_STRING_EQUAL(text, wanted);
}

static void test_join(void) {
    join(CRS_WORDS_UNICODE, "KING|:|~|No|,|my|lord|;|(|go|)|!", "KING:\nNo, my lord; (go)!");
    join(CRS_WORDS_UNICODE, "don|'|t|o|'|er|kings|'|crown|,|'|tis|I|'|ll", "don't o'er kings' crown, 'tis I'll");
    join(CRS_WORDS_UNICODE, "\"|Yes|,|\"|he|said|.|~|\"|a|\"", "\"Yes,\" he said.\n\"a\"");
    join(CRS_WORDS_UNICODE, "3|.|14|and|1|,|000|.|Two|$|5|well|-|known|/|#|7", "3.14 and 1,000. Two $5 well-known/#7");
    join(CRS_WORDS_UNICODE, "a|+|b|=|<unk>|.", "a + b = <unk>.");
    join(CRS_WORDS_UNICODE, "\xe6\x97\xa5\xe6\x9c\xac|\xe3\x80\x82|\xe4\xba\xba",
         "\xe6\x97\xa5\xe6\x9c\xac\xe3\x80\x82\xe4\xba\xba");
    join(CRS_WORDS_BLANK, "KING:|~|No,|(|a", "KING:\nNo, ( a");
}

/* Every way to cut a text in two finds what a search in the whole finds. */
static void test_until(void) {
    static const char text[] = "abababcababd", *const wanted[] = {"ababc", "ababd", "aba",         "bc",
                                                                  "a",     "x",     "abababcababd"};
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
        const char *found = strstr(text, wanted[w]);
        const size_t end = found ? (size_t)(found - text) + strlen(wanted[w]) : sizeof text;
        crs_until until;
        crs_error error = {0};
        CU_ASSERT_EQUAL_FATAL(crs_until_create(&until, wanted[w], strlen(wanted[w]), &error), CRS_OK);
        for (size_t first = 0; first < sizeof text; first++) {
            crs_until_begin(&until);
            CU_ASSERT_EQUAL(crs_until_take(&until, text, first), end <= first);
            size_t at = first;
            while (at < sizeof text - 1 && !crs_until_take(&until, text + at, 1))
                at++;
            if (end > first)
                CU_ASSERT_EQUAL(at + 1, found ? end : sizeof text);
        }
        crs_until_free(&until);
    }
}

/* ---- one choice ---- */

enum { MOST = 300 };

static uint32_t choose(const float *logits, uint32_t count, double temperature, int64_t top_k, double top_p, double u) {
    crs_candidate scratch[MOST];
    return crs_choose(logits, count, temperature, top_k, top_p, u, scratch);
}

/* The probabilities by the book, in long double, likeliest first; how many are left after both cuts. */
static int expected(const float *logits, int count, double temperature, int64_t top_k, double top_p,
                    long double *probability, uint32_t *token) {
    long double total = 0, kept = 0;
    int left = 0;
    for (int i = 0; i < count; i++) {
        long double p = expl(logits[i] / (long double)temperature);
        int at = i;
        total += p;
        for (; at > 0 && probability[at - 1] < p; at--) {
            probability[at] = probability[at - 1];
            token[at] = token[at - 1];
        }
        probability[at] = p;
        token[at] = (uint32_t)i;
    }
    while (left < count && (top_k == 0 || left < top_k) && (left == 0 || top_p >= 1 || kept < top_p * total))
        kept += probability[left++];
    for (int i = 0; i < left; i++)
        probability[i] /= kept;
    return left;
}

/* Every candidate is chosen for the draws of its own interval, up to 1e-9 from both ends, and for no other. */
static void check_intervals(const float *logits, int count, double temperature, int64_t top_k, double top_p) {
    long double probability[MOST], below = 0;
    uint32_t token[MOST] = {0};
    const int left = expected(logits, count, temperature, top_k, top_p, probability, token);
    int wrong = 0;
    for (int i = 0; i < left; below += probability[i++]) {
        if (probability[i] < 4e-9L)
            continue;
        for (int part = 0; part < 5; part++) {
            const long double width = probability[i] - 2e-9L, u = below + 1e-9L + width * part / 4;
            wrong += choose(logits, (uint32_t)count, temperature, top_k, top_p, (double)u) != token[i];
        }
    }
    wrong += choose(logits, (uint32_t)count, temperature, top_k, top_p, 0) != token[0];
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_probabilities(void) {
    static const double temperatures[] = {0.05, 0.5, 0.8, 1, 1.7, 40};
    static const int counts[] = {1, 2, 7, 65, MOST};
    float logits[MOST];
    for (int c = 0; c < 5; c++)
        for (int t = 0; t < 6; t++) {
            const int count = counts[c];
            for (int i = 0; i < count; i++)
                logits[i] = (float)((i * 7919 + 13) % 101) / 12.0F - 4.0F;
            check_intervals(logits, count, temperatures[t], 0, 1);
            check_intervals(logits, count, temperatures[t], 1, 1);
            check_intervals(logits, count, temperatures[t], 3, 1);
            check_intervals(logits, count, temperatures[t], count, 1);
            check_intervals(logits, count, temperatures[t], count + 5, 1);
            check_intervals(logits, count, temperatures[t], 0, 0.9);
            check_intervals(logits, count, temperatures[t], 0, 0.123);
            check_intervals(logits, count, temperatures[t], 2, 0.7);
            check_intervals(logits, count, temperatures[t], 40, 0.2);
        }
}

/* Four equal logits: 1/4 each, in floating point too, so that the limits themselves can be asked for. */
static void test_ties(void) {
    const float logits[4] = {-3, -3, -3, -3};
    const double last = 1 - 0x1p-53;
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 0, 1, 0.25 * i), i);
        CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 0, 1, 0.25 * (i + 1) - 0x1p-53), i);
        CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 2, 1, 0.25 * i), i / 2);
    }
    CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 3, 1, last), 2);
    CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 1, 1, last), 0);
    /* The likeliest that make the share: just so many, and one more where it is more than they make. */
    CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 0, 0.5, last), 1);
    CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 0, 0.5 + 1e-12, last), 2);
    CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 0, 1e-300, last), 0);
    CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 0, 0.75, last), 2);
    CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 2, 0.75, last), 1);
    CU_ASSERT_EQUAL(choose(logits, 4, 0.7, 3, 0.25, last), 0);
}

static void test_likeliest(void) {
    const float logits[5] = {1, 4, 2, 4, -9};
    CU_ASSERT_EQUAL(choose(logits, 5, 0, 0, 1, 0.999), 1);
    CU_ASSERT_EQUAL(choose(logits, 5, 0, 3, 0.5, 0), 1);
    /* As the temperature falls, the likeliest (here: both) are left. */
    CU_ASSERT_EQUAL(choose(logits, 5, 1e-6, 0, 1, 0.49), 1);
    CU_ASSERT_EQUAL(choose(logits, 5, 1e-6, 0, 1, 0.999999), 3);
    CU_ASSERT_EQUAL(choose(logits, 5, 1e-300, 0, 1, 0.999999), 3);
    /* As it rises, all are alike. */
    CU_ASSERT_EQUAL(choose(logits, 5, 1e6, 0, 1, 0.999), 4);
    /* Logits that overflow by themselves. */
    const float large[3] = {3e38F, -3e38F, 3e38F};
    CU_ASSERT_EQUAL(choose(large, 3, 1, 0, 1, 0.4), 0);
    CU_ASSERT_EQUAL(choose(large, 3, 1, 0, 1, 0.6), 2);
    CU_ASSERT_EQUAL(choose(large, 3, 1, 0, 1, 1 - 0x1p-53), 2);
}

/* What has no probability is never chosen: too unlikely for a double, or no number at all. */
static void test_never(void) {
    const double draws[] = {0, 0.3, 0.9999999, 1 - 0x1p-53};
    const float rare[4] = {-800, 0, 0, -800}, odd[5] = {NAN, 2, NAN, 2, -INFINITY};
    const float endless[4] = {5, INFINITY, -INFINITY, INFINITY}, none[2] = {NAN, NAN};
    for (int i = 0; i < 4; i++) {
        const uint32_t among[] = {choose(rare, 4, 1, 0, 1, draws[i]), choose(rare, 4, 1, 3, 1, draws[i]),
                                  choose(odd, 5, 0.5, 0, 1, draws[i]) == 1 ? 1 : 2,
                                  choose(endless, 4, 1, 0, 1, draws[i]) == 1 ? 1 : 2};
        for (int j = 0; j < 4; j++)
            CU_ASSERT(among[j] == 1 || among[j] == 2);
        CU_ASSERT(choose(odd, 5, 0.5, 0, 1, draws[i]) % 2 == 1);
        CU_ASSERT(choose(endless, 4, 1, 0, 1, draws[i]) % 2 == 1);
        CU_ASSERT_EQUAL(choose(none, 2, 1, 0, 1, draws[i]), 0);
    }
    CU_ASSERT_EQUAL(choose(odd, 5, 0, 0, 1, 0), 1);
    CU_ASSERT_EQUAL(choose(endless, 4, 0, 0, 1, 0), 1);
    CU_ASSERT_EQUAL(choose(none, 2, 0, 0, 1, 0), 0);
}

/* ---- texts ---- */

typedef struct page {
    char text[8192];
    size_t length;
    int calls, broken; /* calls with anything but one whole character (the prime apart) */
    int last_call;     /* the call that fails; 0: none */
} page;

static crs_status write_page(void *context, const char *bytes, size_t count, crs_error *error) {
    page *p = context;
    uint32_t code_point;
    p->calls++;
    p->broken += crs_utf8_decode((const unsigned char *)bytes, count, &code_point) != (int)count;
    CRS_ASSERT(p->length + count < sizeof p->text);
    memcpy(p->text + p->length, bytes, count);
    p->length += count;
    p->text[p->length] = 0;
    return p->calls == p->last_call ? crs_fail(error, CRS_CREATE, "the page is full") : CRS_OK;
}

static const uint32_t letters[] = {'\n', ' ', 'a', 'b', 'c', 0xe4, 0x20ac, 0x1f3a0};
enum { LETTERS = sizeof letters / sizeof *letters };

static crs_model *model_of(crs_cell cell, int vocabulary, crs_isa isa) {
    const crs_spec shape = crs_spec_text(cell, vocabulary, 5, 19, 2);
    crs_model *model = NULL;
    crs_error error;
    if (crs_model_create(&model, &shape, crs_kernels_of(isa), 1, &error))
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    crs_model_initialize(model, 3, 1);
    return model;
}

static crs_vocabulary vocabulary_of(crs_level level) {
    crs_vocabulary vocabulary;
    crs_error error;
    if (crs_vocabulary_create(&vocabulary, level, letters, LETTERS, &error))
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    return vocabulary;
}

static const crs_sampling usual = {
    .prime = "ab", .prime_name = "--prime", .length = 60, .temperature = 1, .top_p = 1, .seed = 5, .count = 1};

/* The prime ends at its first zero byte where prime_bytes is 0. */
static crs_status sample(crs_model *model, crs_level level, const crs_sampling *given, page *p, crs_error *error) {
    crs_sampling sampling = *given;
    if (sampling.prime_bytes == 0)
        sampling.prime_bytes = strlen(sampling.prime);
    crs_vocabulary vocabulary = vocabulary_of(level);
    *error = (crs_error){0};
    *p = (page){.last_call = p->last_call};
    const crs_status status = crs_sample(model, &vocabulary, &sampling, write_page, p, error);
    CU_ASSERT_EQUAL(status, error->status);
    crs_vocabulary_free(&vocabulary);
    return status;
}

static int characters(const char *text) {
    int count = 0;
    for (; *text; text++)
        count += (*text & 0xc0) != 0x80;
    return count;
}

static void test_form(void) {
    crs_model *model = model_of(CRS_LSTM, LETTERS, crs_isa_best());
    crs_sampling sampling = usual;
    crs_error error;
    page one = {0}, other = {0};
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &one, &error), CRS_OK);
    CU_ASSERT_EQUAL(strncmp(one.text, "ab", 2), 0);
    CU_ASSERT_EQUAL(one.text[one.length - 1], '\n');
    CU_ASSERT_EQUAL(characters(one.text), 2 + 60 + 1);
    CU_ASSERT_EQUAL(one.calls, 1 + 60 + 1);
    CU_ASSERT_EQUAL(one.broken, 1); /* the prime comes as a whole */

    /* A longer text begins with the shorter one. */
    sampling.length = 100;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &other, &error), CRS_OK);
    CU_ASSERT_EQUAL(strncmp(one.text, other.text, one.length - 1), 0);
    CU_ASSERT_EQUAL(characters(other.text), 2 + 100 + 1);

    /* Three texts: the first is the one alone, the others are others. */
    sampling = usual;
    sampling.count = 3;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &other, &error), CRS_OK);
    CU_ASSERT_EQUAL(characters(other.text), 3 * (2 + 60 + 1));
    CU_ASSERT_EQUAL(strncmp(one.text, other.text, one.length), 0);
    CU_ASSERT_NOT_EQUAL(strncmp(one.text, other.text + one.length, one.length), 0);

    sampling = usual;
    sampling.seed = 6;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &other, &error), CRS_OK);
    CU_ASSERT_STRING_NOT_EQUAL(one.text, other.text);
    sampling.length = 0;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &other, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(other.text, "ab\n");
    sampling.prime = "";
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &other, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(other.text, "\n");
    crs_model_free(&model);
}

static void step(crs_model *model, crs_workspace *workspace, const uint32_t *token, float *state, float *logits) {
    const crs_batch batch = {.steps = 1, .rows = 1, .input.tokens = token, .state = state};
    crs_model_step(model, workspace, &batch, logits);
}

/* The text, token by token, of the steps of the model and the draws of the contract. */
static void by_hand(crs_model *model, const uint32_t *prime, int primes, const crs_sampling *g, page *p) {
    crs_workspace *workspace = NULL;
    crs_error error;
    crs_candidate scratch[LETTERS];
    float logits[LETTERS];
    float *state = crs_alloc(crs_model_state(model), sizeof *state, CRS_MEMORY_OTHER);
    *p = (page){0};
    CRS_ASSERT(state && crs_workspace_create(&workspace, model, 1, 1, CRS_FORWARD, &error) == CRS_OK);
    for (int i = 0; i < primes; i++)
        step(model, workspace, &prime[i], state, logits);
    for (int64_t i = 0; i < g->length; i++) {
        uint64_t draw[4];
        char bytes[4];
        crs_random(g->seed, CRS_DRAW_SAMPLE, 0, (uint64_t)i, 0, 0, draw);
        const uint32_t token =
            crs_choose(logits, LETTERS, g->temperature, g->top_k, g->top_p, crs_unit_double(draw[0]), scratch);
        write_page(p, bytes, (size_t)crs_utf8_encode(letters[token], bytes), &error);
        step(model, workspace, &token, state, logits);
    }
    write_page(p, "\n", 1, &error);
    crs_workspace_free(&workspace);
    crs_free(&state);
}

static void test_tokens(void) {
    static const uint32_t prime[] = {2, 6, 7, 5, 1}, newline[] = {0};
    static const double temperatures[] = {0, 0.5, 1, 3};
    for (int cell = 0; cell < CRS_CELLS; cell++)
        for (int t = 0; t < 4; t++) {
            crs_model *model = model_of((crs_cell)cell, LETTERS, crs_isa_best());
            crs_sampling sampling = usual;
            crs_error error;
            page mine, theirs = {0};
            sampling.temperature = temperatures[t];
            sampling.top_k = t == 3 ? 4 : 0;
            sampling.prime = "a€🎠ä ";
            by_hand(model, prime, 5, &sampling, &mine);
            CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &theirs, &error), CRS_OK);
            CU_ASSERT_EQUAL(strncmp(theirs.text, sampling.prime, strlen(sampling.prime)), 0);
            CU_ASSERT_STRING_EQUAL(theirs.text + strlen(sampling.prime), mine.text);
            /* Without a prime the model is given a newline. */
            sampling.prime = "";
            by_hand(model, newline, 1, &sampling, &mine);
            CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &theirs, &error), CRS_OK);
            CU_ASSERT_STRING_EQUAL(theirs.text, mine.text);
            CU_ASSERT_EQUAL(theirs.broken, 0);
            crs_model_free(&model);
        }
}

static void test_same_everywhere(void) {
    for (int cell = 0; cell < CRS_CELLS; cell++) {
        page first = {0}, other = {0};
        for (int isa = 0; isa < CRS_ISA_COUNT; isa++) {
            crs_error error;
            if (!crs_isa_here((crs_isa)isa))
                continue;
            crs_model *model = model_of((crs_cell)cell, LETTERS, (crs_isa)isa);
            crs_sampling sampling = usual;
            sampling.length = 300;
            CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, isa ? &other : &first, &error), CRS_OK);
            if (isa)
                CU_ASSERT_STRING_EQUAL(other.text, first.text);
            crs_model_free(&model);
        }
    }
}

/* ---- bytes ---- */

/* A model that gives the bytes of text alone, each as likely as it is often there, whatever came before. */
static crs_model *model_of_bytes(const char *text) {
    crs_model *model = model_of(CRS_RNN, 256, crs_isa_best());
    float values[256];
    memset(crs_model_parameters(model), 0, crs_model_arena(model) * sizeof(float));
    for (int i = 0; i < 256; i++)
        values[i] = -1000;
    for (; *text; text++)
        values[(unsigned char)*text] = 0;
    const int last = crs_model_tensors(model) - 1;
    CU_ASSERT_STRING_EQUAL(crs_model_tensor(model, last)->name, "output/bias");
    crs_model_import(model, crs_model_parameters(model), last, values);
    crs_model_refresh(model);
    return model;
}

/* Characters, and what is none: the longest beginning of one, or a single byte. */
static int pieces(const page *p) {
    int count = 0;
    for (size_t at = 0; at < p->length; count++) {
        const unsigned char *rest = (const unsigned char *)p->text + at;
        uint32_t code_point;
        int length = crs_utf8_decode(rest, p->length - at, &code_point);
        if (length <= 0)
            for (length = 1; crs_utf8_decode(rest, (size_t)length + 1, &code_point) == 0;)
                length++;
        at += (size_t)length;
    }
    return count;
}

/* A thousand pieces of these bytes, as they are. */
static void check_bytes(const char *bytes, const char *const *wanted, bool broken) {
    crs_model *model = model_of_bytes(bytes);
    crs_sampling sampling = usual;
    crs_error error;
    page p = {0};
    sampling.prime = "";
    sampling.length = 1000;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_BYTE, &sampling, &p, &error), CRS_OK);
    CU_ASSERT_EQUAL(p.broken > 0, broken);
    CU_ASSERT_EQUAL(p.calls, 1000 + 1);
    CU_ASSERT_EQUAL(pieces(&p), 1000 + 1);
    CU_ASSERT_EQUAL(strspn(p.text, bytes), p.length - 1);
    for (; *wanted; wanted++)
        CU_ASSERT_PTR_NOT_NULL(strstr(p.text, *wanted));
    crs_model_free(&model);
}

static void test_whole_characters(void) {
    static const char *const plain[] = {"a", "b", NULL}, *const mixed[] = {"a", "ä", "€", "\xc3\x61", NULL};
    static const char *const nothing[] = {"\xff\xc0", NULL};
    check_bytes("ab", plain, false);
    check_bytes("aä€", mixed, true);
    check_bytes("a\xf0\x9f\x8e\xa0", (const char *const[]){"a", "\xf0\x9f\x61", NULL}, true);
    check_bytes("\xff\xc0\x80", nothing, true); /* bytes that no character has, or none can begin with */
    check_bytes("\xc3", (const char *const[]){"\xc3\xc3", NULL}, true); /* beginnings alone */
    check_bytes("\xe2\x82", (const char *const[]){"\xe2\x82\xe2", NULL}, true);
}

/* What is no UTF-8 begins a text, and comes out, as it is; a zero byte too. */
static void test_any_byte(void) {
    crs_model *model = model_of(CRS_GRU, 256, crs_isa_best());
    crs_sampling sampling = usual;
    crs_error error;
    page p = {0}, other = {0};
    sampling.prime = "\xff\xfe";
    sampling.temperature = 0.9;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_BYTE, &sampling, &p, &error), CRS_OK);
    CU_ASSERT_EQUAL(strncmp(p.text, "\xff\xfe", 2), 0);
    CU_ASSERT_EQUAL(p.calls, 2 + 60 + 1);
    CU_ASSERT_EQUAL(pieces(&p), 2 + 60 + 1);
    sampling.prime = "\xff\0\xfe";
    sampling.prime_bytes = 3;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_BYTE, &sampling, &other, &error), CRS_OK);
    CU_ASSERT_EQUAL(memcmp(other.text, "\xff\0\xfe", 3), 0);
    CU_ASSERT_EQUAL(other.calls, 3 + 60 + 1);
    /* A character that the prime begins and nothing ends. */
    sampling.prime = "a\xe2\x82";
    sampling.prime_bytes = 0;
    sampling.length = 0;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_BYTE, &sampling, &p, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(p.text, "a\xe2\x82\n");
    crs_model_free(&model);
}

/* What the prime begins is ended by the first byte after it, or never; what the prime alone gave is not counted. */
static void test_begun_character(void) {
    crs_model *model = model_of_bytes("\xac"), *other = model_of_bytes("a");
    crs_sampling sampling = usual;
    crs_error error;
    page p = {0};
    sampling.prime = "a\xe2\x82";
    sampling.length = 2;
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_BYTE, &sampling, &p, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(p.text, "a€\xac\n");
    CU_ASSERT_EQUAL(sample(other, CRS_LEVEL_BYTE, &sampling, &p, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(p.text, "a\xe2\x82"
                                   "aa\n");
    sampling.length = 1;
    CU_ASSERT_EQUAL(sample(other, CRS_LEVEL_BYTE, &sampling, &p, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(p.text, "a\xe2\x82"
                                   "a\n");
    sampling.length = 0;
    sampling.count = 2; /* the second text begins anew */
    CU_ASSERT_EQUAL(sample(other, CRS_LEVEL_BYTE, &sampling, &p, &error), CRS_OK);
    CU_ASSERT_STRING_EQUAL(p.text, "a\xe2\x82\na\xe2\x82\n");
    crs_model_free(&model);
    crs_model_free(&other);
}

/* Weights that are finite, and an output that is not. */
static void test_diverged(void) {
    crs_model *model = model_of(CRS_LSTM, LETTERS, crs_isa_best());
    crs_error error;
    page p = {0};
    const int last = crs_model_tensors(model) - 1;
    float values[LETTERS * 19];
    for (int i = 0; i < LETTERS * 19; i++)
        values[i] = 3e38F;
    CU_ASSERT_STRING_EQUAL(crs_model_tensor(model, last - 1)->name, "output/weight");
    crs_model_import(model, crs_model_parameters(model), last - 1, values);
    crs_model_import(model, crs_model_parameters(model), last, values);
    crs_model_refresh(model);
    CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &usual, &p, &error), CRS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "diverged"));
    crs_model_free(&model);
}

/* ---- what it refuses ---- */

static void test_refused_primes(void) {
    static const struct {
        const char *prime;
        crs_status status;
        const char *says;
    } cases[] = {
        {"abx", CRS_DATA, "'x'"},       {"€é", CRS_DATA, "byte 3"},          {"\t", CRS_DATA, "U+0009"},
        {"a\xff", CRS_USAGE, "byte 1"}, {"ab\xe2\x82", CRS_USAGE, "byte 2"}, {"\xc0\x80", CRS_USAGE, "UTF-8"},
    };
    crs_model *model = model_of(CRS_LSTM, LETTERS, crs_isa_best());
    const int64_t blocks = crs_memory_blocks();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crs_sampling sampling = usual;
        crs_error error;
        page p = {0};
        sampling.prime = cases[i].prime;
        CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &p, &error), cases[i].status);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "--prime"));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, cases[i].says));
        CU_ASSERT_EQUAL(p.calls, 0);
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    }
    crs_model_free(&model);
}

/* A page that can't be written ends it at once: at the prime, within the text, at its end. */
static void test_full_page(void) {
    static const int calls[] = {1, 2, 30, 62, 63, 100};
    crs_model *model = model_of(CRS_LSTM, LETTERS, crs_isa_best());
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        crs_sampling sampling = usual;
        crs_error error;
        page p = {.last_call = calls[i]};
        sampling.count = 4;
        CU_ASSERT_EQUAL(sample(model, CRS_LEVEL_CHAR, &sampling, &p, &error), CRS_CREATE);
        CU_ASSERT_EQUAL(p.calls, calls[i]);
        CU_ASSERT_STRING_EQUAL(error.message, "the page is full");
    }
    crs_model_free(&model);
}

static void test_out_of_memory(void) {
    crs_model *model = model_of(CRS_LSTM, LETTERS, crs_isa_best());
    crs_vocabulary vocabulary = vocabulary_of(CRS_LEVEL_CHAR);
    const int64_t blocks = crs_memory_blocks();
    int failures = 0;
    for (crs_status status = CRS_INTERNAL; status != CRS_OK && failures < 100; failures++) {
        page p = {0};
        crs_error error = {0};
        crs_memory_fail_at(failures + 1);
        status = crs_sample(model, &vocabulary, &usual, write_page, &p, &error);
        crs_memory_fail_at(0);
        CU_ASSERT(status == CRS_OK || (status == CRS_INTERNAL && error.message[0] && p.calls == 0));
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    }
    CU_ASSERT(failures > 4 && failures < 100);
    crs_vocabulary_free(&vocabulary);
    crs_model_free(&model);
}

int main(int argc, char **argv) {
    static const harness_test tests[] = {HARNESS_TEST(test_join),
                                         HARNESS_TEST(test_until),
                                         HARNESS_TEST(test_probabilities),
                                         HARNESS_TEST(test_ties),
                                         HARNESS_TEST(test_likeliest),
                                         HARNESS_TEST(test_form),
                                         HARNESS_TEST(test_tokens),
                                         HARNESS_TEST(test_same_everywhere),
                                         HARNESS_TEST(test_whole_characters),
                                         HARNESS_TEST(test_any_byte),
                                         HARNESS_TEST(test_refused_primes),
                                         HARNESS_TEST(test_full_page),
                                         HARNESS_TEST(test_never),
                                         HARNESS_TEST(test_begun_character),
                                         HARNESS_TEST(test_diverged),
                                         HARNESS_TEST(test_out_of_memory),
                                         HARNESS_END};
    harness_add("generate", tests);
    return harness_run(argc, argv);
}
