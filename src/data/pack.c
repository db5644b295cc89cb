/* Text into a data set, in two passes: the first checks, counts and finds the vocabulary, the second writes tokens. */
#include "config.h"

#include "data/dataset.h"
#include "data/pack.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { UNICODE = 0x110000, CHARACTERS = 8192 };

typedef struct packing {
    const crs_pack *pack;
    const crs_pack_tuning *tuning;
    crs_output output;
    crs_source *source;   /* [pack->inputs], owned */
    unsigned char *bytes; /* owned, [read_bytes + 3] */
    uint32_t *characters; /* owned, [CHARACTERS] */
    /* By code point (level byte: byte): token + 1; 0 for what is unknown or was not met. While the first pass makes a
     * vocabulary: 1 where met. Owned. */
    uint32_t *token_of;
    crs_cutter *cutter; /* level word: which has the tokens instead; owned */
    uint32_t *tokens;   /* level word: owned, [CHARACTERS + 1] */
    crs_level level;    /* that of the vocabulary, where one is given */
    crs_vocabulary vocabulary;
    bool made;                  /* the vocabulary comes from the text itself */
    const char *guess;          /* of the source that is read: another encoding that it looks like, or NULL */
    crs_hash *hash;             /* owned */
    crs_writer *writer;         /* owned; NULL in the first pass */
    int64_t known, dropped;     /* characters or words, in this pass */
    int64_t unknown;            /* of the known: words that are but CRS_UNKNOWN */
    crs_pack_progress progress; /* of both passes */
} packing;

/* ---- shares ---- */

/* n times share, rounded down; but where it is a whole number up to the rounding of the share, of a sum of two shares
 * and of the product, that number. */
static int64_t take_share(int64_t n, double share) {
    double exact = (double)n * share, nearest = round(exact);
    return (int64_t)(fabs(exact - nearest) <= exact * 4 * DBL_EPSILON ? nearest : floor(exact));
}

void crs_split_lengths(const double share[CRS_SPLITS], int64_t n, int64_t length[CRS_SPLITS]) {
    int64_t first = take_share(n, share[CRS_TRAIN]);
    int64_t second = take_share(n, share[CRS_TRAIN] + share[CRS_VALIDATION]);
    if (second > n || share[CRS_TEST] == 0)
        second = n;
    if (first > second || share[CRS_VALIDATION] + share[CRS_TEST] == 0)
        first = second;
    length[CRS_TRAIN] = first;
    length[CRS_VALIDATION] = second - first;
    length[CRS_TEST] = n - second;
}

/* What is said of words must be said of words; with a vocabulary that is only known once it is read. */
static crs_status check_words(const crs_pack *pack, crs_error *error) {
    const char *option = pack->min_count > 1 ? "--min-count" : pack->words_given ? "--words" : "--lower";
    if (pack->min_count > 1 && pack->vocabulary)
        return crs_fail(error, CRS_USAGE, "--min-count: the vocabulary of %s is as it is; leave out one of them",
                        pack->vocabulary);
    if (pack->level == CRS_LEVEL_WORD || (pack->vocabulary && !pack->level_given) ||
        (pack->min_count <= 1 && !pack->words_given && !pack->lower_given))
        return CRS_OK;
    return crs_fail(error, CRS_USAGE, "%s is about words, and tokens are %ss here; give --level=word with it", option,
                    crs_level_unit(pack->level));
}

static crs_status check_request(const crs_pack *pack, crs_error *error) {
    double sum = 0;
    bool good = true;
    int standard_inputs = 0;
    for (int split = 0; split < CRS_SPLITS; split++) {
        good = good && pack->split[split] >= 0;
        sum += pack->split[split];
    }
    if (!good || !(fabs(sum - 1) <= 1e-9))
        return crs_fail(
            error, CRS_USAGE,
            "--split=%g,%g,%g: the shares of train, validation and test must be 0 or more and add up to 1, as "
            "in --split=0.9,0.05,0.05",
            pack->split[0], pack->split[1], pack->split[2]);
    for (int i = 0; i < pack->inputs; i++)
        standard_inputs += strcmp(pack->input[i], "-") == 0;
    if (pack->inputs < 1)
        return crs_fail(error, CRS_USAGE, "nothing to pack: give text files, or - for standard input");
    if (standard_inputs > 1)
        return crs_fail(error, CRS_USAGE, "-: standard input can be read only once; give - once");
    if (check_words(pack, error))
        return error->status;
    if (pack->vocabulary && pack->level == CRS_LEVEL_BYTE)
        return crs_fail(
            error, CRS_USAGE,
            "--vocabulary=%s: it contradicts --level=byte, where tokens are the bytes; leave out one of them",
            pack->vocabulary);
    if (pack->drop_unknown && !pack->vocabulary)
        return crs_fail(error, CRS_USAGE,
                        "--unknown=drop: nothing is unknown to a vocabulary made of the text itself; give "
                        "--vocabulary=OTHER.h5 with it");
    return CRS_OK;
}

/* ---- one pass over the inputs ---- */

/* First pass: counts characters. Returns how many were taken: less than count where one is unknown and not to be
 * dropped. */
static size_t count_characters(packing *p, size_t count) {
    size_t known = 0;
    if (p->made) {
        for (size_t i = 0; i < count; i++)
            p->token_of[p->characters[i]] = 1;
        p->known += (int64_t)count;
        return count;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_known = p->token_of[p->characters[i]] != 0;
        if (!is_known && !p->pack->drop_unknown)
            return i;
        known += is_known;
    }
    p->known += (int64_t)known;
    p->dropped += (int64_t)(count - known);
    return count;
}

/* Second pass: characters become tokens, in place. Returns how many tokens; *strange where one is unexpectedly unknown.
 */
static size_t make_tokens(const packing *p, size_t count, bool *strange) {
    uint32_t *tokens = p->characters;
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t token = p->token_of[tokens[i]];
        tokens[known] = token - 1;
        known += token != 0;
    }
    *strange = known < count && !p->pack->drop_unknown;
    return known;
}

static crs_status write_characters(packing *p, const crs_source *source, size_t count, crs_error *error) {
    bool strange, fits = true;
    size_t tokens = make_tokens(p, count, &strange);
    if (strange)
        return crs_source_changed(source, error);
    crs_status status = crs_writer_add(p->writer, p->characters, tokens, &fits, error);
    return status || fits ? status : crs_source_changed(source, error);
}

static crs_status fail_unknown_word(const packing *p, const crs_source *source, crs_error *error) {
    const crs_word_reader *word = crs_cutter_word(p->cutter);
    const int most = word->length > 60 ? 60 : (int)word->length;
    return crs_fail(error, CRS_DATA,
                    "%s: the word '%.*s' at byte %lld is not in the vocabulary of %s, nor is " CRS_UNKNOWN
                    "; --unknown=drop would drop such words",
                    crs_source_name(source), most, word->bytes, (long long)word->start, p->pack->vocabulary);
}

/* What the cutter made of some characters. */
static crs_status take_cut(packing *p, const crs_source *source, const crs_cut_words *cut, crs_error *error) {
    bool fits = true;
    if (cut->stopped)
        return p->writer ? crs_source_changed(source, error) : fail_unknown_word(p, source, error);
    const bool dropped = !p->made && !crs_cutter_has_unknown(p->cutter);
    p->known += cut->words - (dropped ? cut->unknown : 0);
    *(dropped ? &p->dropped : &p->unknown) += cut->unknown;
    crs_status status = p->writer ? crs_writer_add(p->writer, cut->tokens, cut->count, &fits, error) : CRS_OK;
    return status || fits ? status : crs_source_changed(source, error);
}

static crs_status take_words(packing *p, const crs_source *source, size_t count, crs_error *error) {
    crs_cut_words cut = {.tokens = p->tokens, .drop = p->pack->drop_unknown};
    if (crs_cutter_take(p->cutter, p->characters, count, &cut, error))
        return error->status;
    return take_cut(p, source, &cut, error);
}

/* The last word of all, which no other character ends. */
static crs_status end_words(packing *p, crs_error *error) {
    crs_cut_words cut = {.tokens = p->tokens, .drop = p->pack->drop_unknown};
    if (crs_cutter_end(p->cutter, &cut, error))
        return error->status;
    return take_cut(p, &p->source[p->pack->inputs - 1], &cut, error);
}

/* place: of the first of these characters in the source; bytes: theirs. */
static crs_status fail_unknown(const packing *p, const crs_source *source, int64_t place, const unsigned char *bytes,
                               size_t count, size_t index, crs_error *error) {
    char name[32];
    size_t skip = 0;
    uint32_t code_point = 0;
    for (size_t i = 0; i < index; i++)
        skip += (size_t)crs_utf8_decode(bytes + skip, count - skip, &code_point);
    crs_utf8_name(p->characters[index], name);
    return crs_fail(error, CRS_DATA,
                    "%s: the character %s at byte %lld is not in the vocabulary of %s; --unknown=drop would drop such "
                    "characters",
                    crs_source_name(source), name, (long long)(place + (int64_t)skip), p->pack->vocabulary);
}

/* Bytes as characters of level byte. */
static crs_decoded take_bytes(const unsigned char *bytes, size_t count, uint32_t *characters, size_t room,
                              size_t *found, size_t *used) {
    size_t n = count < room ? count : room;
    for (size_t i = 0; i < n; i++)
        characters[i] = bytes[i];
    *found = *used = n;
    return CRS_DECODED_ALL;
}

/* What else would do for a text that is not UTF-8: a vocabulary is one of characters. */
static const char *or_bytes(const packing *p) {
    return p->pack->vocabulary ? "" : ", or pack with --level=byte";
}

static crs_status fail_invalid(const packing *p, const crs_source *source, int64_t place, unsigned char byte,
                               crs_error *error) {
    /* Of the bytes that are letters in the code pages of DOS, Windows left five without a meaning. */
    const char *guess = p->guess ? p->guess : memchr("\x81\x8d\x8f\x90\x9d", byte, 5) ? "CP850" : "WINDOWS-1252";
    return crs_fail(error, CRS_DATA,
                    "%s: byte %lld (0x%02x) is not valid UTF-8; convert the text, which may be %s (iconv -f %s -t "
                    "UTF-8)%s",
                    crs_source_name(source), (long long)place, byte, guess, guess, or_bytes(p));
}

/* Takes all whole characters of bytes[0..count), which stand at `place` of the source. *used: the bytes taken. */
static crs_status take_block(packing *p, const crs_source *source, int64_t place, size_t count, size_t *used,
                             crs_error *error) {
    crs_status status = CRS_OK;
    crs_decoded result = CRS_DECODED_ALL;
    *used = 0;
    while (*used < count && result == CRS_DECODED_ALL && !status) {
        const unsigned char *bytes = p->bytes + *used;
        size_t found, part, left = count - *used;
        result = (p->level == CRS_LEVEL_BYTE ? take_bytes : crs_decode)(bytes, left, p->characters, CHARACTERS, &found,
                                                                        &part);
        int64_t here = place + (int64_t)*used;
        if (p->level == CRS_LEVEL_WORD) {
            status = take_words(p, source, found, error);
        } else if (p->writer) {
            status = write_characters(p, source, found, error);
        } else {
            size_t taken = count_characters(p, found);
            if (taken < found)
                status = fail_unknown(p, source, here, bytes, left, taken, error);
        }
        *used += part;
        if (!status && result == CRS_DECODED_INVALID)
            status = p->writer ? crs_source_changed(source, error)
                               : fail_invalid(p, source, here + (int64_t)part, bytes[part], error);
    }
    return status;
}

static crs_status fail_cut_off(const packing *p, const crs_source *source, int64_t place, crs_error *error) {
    return crs_fail(error, CRS_DATA,
                    "%s: byte %lld (0x%02x) begins a character of UTF-8 that the end of the file cuts off; mend the "
                    "text%s",
                    crs_source_name(source), (long long)place, p->bytes[0], or_bytes(p));
}

/* All of one source. *size: its bytes; p->hash: of them. */
static crs_status take_source(packing *p, const crs_source *source, int descriptor, int64_t *size, crs_error *error) {
    size_t kept = 0, used = 0; /* bytes kept: the beginning of a character */
    crs_hash_reset(p->hash);
    p->guess = NULL;
    for (*size = 0;;) {
        ssize_t got = crs_source_read(source, descriptor, p->bytes + kept, p->tuning->read_bytes, error);
        if (got < 0)
            return error->status;
        if (got == 0)
            break;
        crs_hash_add(p->hash, p->bytes + kept, (size_t)got);
        if (*size == 0)
            p->guess = crs_guess_encoding(p->bytes, (size_t)got);
        size_t count = kept + (size_t)got;
        crs_status status = take_block(p, source, *size - (int64_t)kept, count, &used, error);
        if (status)
            return status;
        *size += got;
        kept = count - used;
        memmove(p->bytes, p->bytes + used, kept);
        crs_pack_progress_add(&p->progress, got);
    }
    if (kept > 0)
        return p->writer ? crs_source_changed(source, error) : fail_cut_off(p, source, *size - (int64_t)kept, error);
    if (p->guess && !p->writer && p->level != CRS_LEVEL_BYTE)
        crs_warn("%s: it looks like %s, not UTF-8: there is a control character at every other place; to convert it: "
                 "iconv -f %s -t UTF-8",
                 crs_source_name(source), p->guess, p->guess);
    return CRS_OK;
}

static crs_status take_all(packing *p, crs_error *error) {
    crs_status status = CRS_OK;
    p->known = p->dropped = p->unknown = 0;
    for (int i = 0; i < p->pack->inputs && !status; i++) {
        crs_source *source = &p->source[i];
        char hex[CRS_HASH_HEX];
        int64_t size = 0;
        int descriptor = crs_source_begin(source, error);
        if (descriptor < 0)
            return error->status;
        if (p->cutter)
            crs_cutter_begin(p->cutter, i == 0);
        status = take_source(p, source, descriptor, &size, error);
        crs_source_end(source, descriptor);
        crs_hash_text(p->hash, hex);
        if (!status && p->writer && (size != source->size || strcmp(hex, source->hash) != 0))
            status = crs_source_changed(source, error);
        source->size = size;
        memcpy(source->hash, hex, sizeof hex);
    }
    return !status && p->cutter ? end_words(p, error) : status;
}

/* ---- from the first pass to the second ---- */

/* Tokens for the words that the first pass met often enough. */
static crs_status make_words(packing *p, crs_error *error) {
    if (crs_cutter_vocabulary(p->cutter, p->pack->min_count, &p->vocabulary, error))
        return error->status;
    return crs_cutter_know(p->cutter, &p->vocabulary, error);
}

/* Tokens for what the first pass met, in ascending order. */
static crs_status make_vocabulary(packing *p, crs_error *error) {
    uint32_t count = 0;
    if (p->cutter)
        return make_words(p, error);
    for (uint32_t code_point = 0; code_point < UNICODE; code_point++)
        if (p->token_of[code_point])
            p->token_of[code_point] = ++count;
    uint32_t *code_points = crs_alloc_or_fail(count, sizeof *code_points, CRS_MEMORY_DATA, "a vocabulary", error);
    if (!code_points)
        return error->status;
    for (uint32_t code_point = 0; code_point < UNICODE; code_point++)
        if (p->token_of[code_point])
            code_points[p->token_of[code_point] - 1] = code_point;
    crs_status status = crs_vocabulary_create(&p->vocabulary, CRS_LEVEL_CHAR, code_points, count, error);
    crs_free(&code_points);
    return status;
}

/* Takes another file's, with its level and its way to cut. */
static crs_status load_vocabulary(packing *p, crs_error *error) {
    const crs_pack *pack = p->pack;
    const crs_vocabulary *v = &p->vocabulary;
    if (crs_vocabulary_load(pack->vocabulary, &p->vocabulary, error))
        return error->status;
    p->level = v->level;
    if (pack->level_given && pack->level != v->level)
        return crs_fail(error, CRS_USAGE, "--level=%s: the vocabulary of %s is one of %ss; leave out --level",
                        crs_level_name(pack->level), pack->vocabulary, crs_level_unit(v->level));
    if (v->level != CRS_LEVEL_WORD && (pack->words_given || pack->lower_given))
        return crs_fail(error, CRS_USAGE, "%s is about words, and the vocabulary of %s is one of %ss; leave it out",
                        pack->words_given ? "--words" : "--lower", pack->vocabulary, crs_level_unit(v->level));
    if (pack->words_given && pack->words != v->words)
        return crs_fail(error, CRS_USAGE, "--words=%s: the vocabulary of %s was made with --words=%s; leave it out",
                        crs_words_names()[pack->words], pack->vocabulary, crs_words_names()[v->words]);
    if (pack->lower_given && !v->lower)
        return crs_fail(error, CRS_USAGE, "--lower: the vocabulary of %s was made without; leave it out",
                        pack->vocabulary);
    return CRS_OK;
}

static crs_status prepare_words(packing *p, crs_error *error) {
    const bool given = p->pack->vocabulary != NULL;
    const crs_words words = given ? p->vocabulary.words : p->pack->words;
    p->tokens = crs_alloc_or_fail(CHARACTERS + 1, sizeof *p->tokens, CRS_MEMORY_DATA, "reading text", error);
    if (!p->tokens || crs_cutter_create(&p->cutter, words, given ? p->vocabulary.lower : p->pack->lower, error))
        return error->status;
    return given ? crs_cutter_know(p->cutter, &p->vocabulary, error) : CRS_OK;
}

/* What is known before any text is read. */
static crs_status prepare_vocabulary(packing *p, crs_error *error) {
    const crs_pack *pack = p->pack;
    crs_status status = CRS_OK;
    p->level = pack->level;
    if (pack->level == CRS_LEVEL_BYTE)
        status = crs_vocabulary_create(&p->vocabulary, CRS_LEVEL_BYTE, NULL, 0, error);
    else if (pack->vocabulary)
        status = load_vocabulary(p, error);
    p->made = p->level != CRS_LEVEL_BYTE && !pack->vocabulary;
    if (!status && p->level == CRS_LEVEL_WORD)
        return prepare_words(p, error);
    for (uint32_t token = 0; token < p->vocabulary.count && !status; token++)
        p->token_of[p->vocabulary.code_points ? p->vocabulary.code_points[token] : token] = token + 1;
    return status;
}

static crs_status write_tokens(packing *p, crs_packed *packed, crs_error *error) {
    char source[CRS_SOURCES_TEXT];
    int64_t tokens = p->known;
    crs_sources_describe(p->source, p->pack->inputs, source);
    crs_writer_plan plan = {.vocabulary = &p->vocabulary, .source = source, .chunk_bytes = p->tuning->chunk_bytes};
    crs_split_lengths(p->pack->split, tokens, plan.length);
    if (p->pack->whole_if_short && tokens < CRS_PACK_SHORT)
        crs_split_lengths((const double[CRS_SPLITS]){1, 0, 0}, tokens, plan.length);
    crs_status status = crs_writer_open(&p->writer, &p->output, &plan, error);
    if (!status)
        status = take_all(p, error);
    if (!status) /* every source hashed as before, so that what comes out is as long as it was counted */
        status = crs_writer_finish(p->writer, error);
    if (!status)
        status = crs_output_verify(&p->output, error);
    packed->level = p->level;
    packed->tokens = tokens;
    packed->unknown = p->unknown;
    packed->vocabulary = p->vocabulary.count;
    memcpy(packed->length, plan.length, sizeof packed->length);
    return status;
}

static crs_status run_passes(packing *p, crs_packed *packed, crs_error *error) {
    crs_status status = take_all(p, error);
    if (status)
        return status;
    packed->dropped = p->dropped;
    for (int i = 0; i < p->pack->inputs; i++)
        packed->bytes += p->source[i].size;
    p->progress.total = 2 * packed->bytes;
    if (p->known == 0 && p->dropped > 0)
        return crs_fail(error, CRS_DATA, "nothing to pack: none of the text's %lld %ss is in the vocabulary of %s",
                        (long long)p->dropped, crs_level_unit(p->level), p->pack->vocabulary);
    if (p->known == 0)
        return crs_fail(error, CRS_DATA, "%s%s: nothing to pack: there is no text in it",
                        crs_source_name(&p->source[0]), p->pack->inputs > 1 ? " and the other inputs" : "");
    if (p->made)
        status = make_vocabulary(p, error);
    if (!status && p->tuning->between)
        p->tuning->between(p->tuning->context);
    return status ? status : write_tokens(p, packed, error);
}

/* Everything but the passes: room, the output's temporary file, the inputs. */
static crs_status open_all(packing *p, crs_error *error) {
    const crs_pack *pack = p->pack;
    p->source = crs_alloc_or_fail((size_t)pack->inputs, sizeof *p->source, CRS_MEMORY_DATA, "the inputs", error);
    p->bytes = crs_alloc_or_fail(p->tuning->read_bytes + 3, 1, CRS_MEMORY_DATA, "reading text", error);
    p->characters = crs_alloc_or_fail(CHARACTERS, sizeof *p->characters, CRS_MEMORY_DATA, "reading text", error);
    p->token_of = crs_alloc_or_fail(UNICODE, sizeof *p->token_of, CRS_MEMORY_DATA, "a vocabulary", error);
    p->hash = crs_hash_new();
    if (!p->source || !p->bytes || !p->characters || !p->token_of || !p->hash)
        return crs_fail(error, CRS_INTERNAL, "out of memory for packing");
    crs_status status = prepare_vocabulary(p, error);
    if (!status)
        status = crs_output_open(&p->output, pack->output, error);
    for (int i = 0; i < pack->inputs && !status; i++) {
        status = crs_source_open(&p->source[i], pack->input[i], &p->output, error);
        p->progress.total += 2 * p->source[i].size;
    }
    return status;
}

crs_status crs_pack_text_tuned(const crs_pack *pack, const crs_pack_tuning *tuning, crs_packed *packed,
                               crs_error *error) {
    packing p = {.pack = pack, .tuning = tuning, .output.lock = -1};
    double start = crs_seconds();
    memset(packed, 0, sizeof *packed);
    crs_status status = check_request(pack, error);
    if (!status)
        status = open_all(&p, error);
    if (!status)
        status = run_passes(&p, packed, error);
    crs_writer_free(&p.writer);
    if (!status)
        status = crs_output_finish(&p.output, error);
    for (int i = 0; i < pack->inputs && p.source; i++)
        crs_source_close(&p.source[i]);
    crs_output_discard(&p.output);
    crs_hash_free(&p.hash);
    crs_cutter_free(&p.cutter);
    crs_free(&p.tokens);
    crs_vocabulary_free(&p.vocabulary);
    crs_free(&p.token_of);
    crs_free(&p.characters);
    crs_free(&p.bytes);
    crs_free(&p.source);
    crs_live("");
    packed->seconds = crs_seconds() - start;
    return status;
}

crs_status crs_pack_text(const crs_pack *pack, crs_packed *packed, crs_error *error) {
    static const crs_pack_tuning tuning = {.read_bytes = 256 << 10, .chunk_bytes = 256 << 10};
    return crs_pack_text_tuned(pack, &tuning, packed, error);
}
