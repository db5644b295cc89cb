/* Series of the UEA/UCR archive into a data set: text, after a header of lines with @ one series a line, its dimensions
 * and in the end its class with colons between, the values of a dimension with commas. */
#include "config.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "data/csv.h"
#include "data/dictionary.h"
#include "data/sequence_writer.h"

enum { READ_BYTES = 1 << 18, WORD_MOST = 255, LINE_MOST = 1 << 20, BLOCK = 256 };

/* Where a class stands: in training; else the first place elsewhere, or in the header alone. */
typedef struct seen {
    bool trained, elsewhere;
    const crs_source *source;
    int64_t line;
} seen;

typedef struct packing {
    const crs_series_pack *pack;
    crs_output output;
    crs_source source[2]; /* train, test */
    int sources;
    crs_schema schema; /* owned; classes are empty before the first file's header has been read */
    crs_dictionary classes;
    seen *seen; /* [classes], owned */
    crs_sequence_plan plan;
    crs_sequence_writer *writer; /* NULL before the first series */
    char text[CRS_SOURCES_TEXT];
    int64_t every, series; /* every so many-th of training validates; 0: none. Series of training so far */
    int64_t filled, dropped;
    crs_pack_progress progress;
    /* the file that is read */
    const crs_source *at;
    bool test, within_data, has_classes;
    int64_t line;
    int64_t dimensions; /* by its header; 0: not said */
    char *header;       /* owned, [LINE_MOST + 1]: a line of it */
    size_t header_length;
    /* the series that is read */
    char word[WORD_MOST + 1];
    size_t word_length;
    bool alone;   /* the word begins behind a colon: it may be the class */
    bool begun;   /* something but blanks stands in the line */
    float *value; /* owned: dimension after dimension; NaN: missing */
    size_t values, room;
    int64_t steps; /* of the first dimension */
    int64_t first; /* of values, of this dimension */
    int dimension; /* from 0 */
    float *block;  /* owned, [BLOCK][dimensions] */
} packing;

static crs_status fail_at(const packing *p, crs_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static crs_status fail_at(const packing *p, crs_error *error, const char *format, ...) {
    char text[CRS_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    crs_utf8_mend(text); /* a word of the file may be any bytes, and is cut short */
    return crs_fail(error, CRS_DATA, "%s:%lld: %s", crs_source_name(p->at), (long long)p->line, text);
}

static crs_status fail_memory(crs_error *error) {
    return crs_fail(error, CRS_INTERNAL, "out of memory for a series");
}

/* ---- the header ---- */

static crs_status check_text(const packing *p, const char *word, crs_error *error) {
    uint32_t code_point;
    for (size_t at = 0, length = strlen(word); at < length;) {
        const int step = crs_utf8_decode((const unsigned char *)word + at, length - at, &code_point);
        if (step < 1)
            return fail_at(p, error,
                           "a class is not valid UTF-8; convert the file, which may be WINDOWS-1252 (iconv -f "
                           "WINDOWS-1252 -t UTF-8)");
        at += (size_t)step;
    }
    return CRS_OK;
}

/* @classLabel true A B C */
static crs_status take_classes(packing *p, char *words, crs_error *error) {
    char *rest = words;
    const char *word = strtok_r(rest, " \t", &rest);
    const bool first = p->schema.classes.count == 0;
    bool added;
    if (!word || strcasecmp(word, "true") != 0)
        return fail_at(p, error, "@classLabel is not true: series without a class can't be packed");
    while ((word = strtok_r(rest, " \t", &rest))) {
        const int known = crs_dictionary_find(&p->classes, word);
        if (check_text(p, word, error))
            return error->status;
        if (first && known >= 0)
            return fail_at(p, error, "class '%.60s' stands there twice", word);
        if (!first && known < 0)
            return fail_at(p, error, "class '%.60s' is none of those of %.200s", word, crs_source_name(&p->source[0]));
        if (first && (crs_dictionary_add(&p->classes, word, &added) < 0 || !crs_names_add(&p->schema.classes, word) ||
                      !crs_list_grow(&p->seen, (size_t)p->classes.names.count - 1, sizeof *p->seen)))
            return fail_memory(error);
        if (first)
            p->seen[p->classes.names.count - 1] = (seen){.source = p->at, .line = p->line};
    }
    p->has_classes = true;
    return p->schema.classes.count > 0 ? CRS_OK : fail_at(p, error, "@classLabel names no class");
}

static crs_status take_header(packing *p, crs_error *error) {
    char *rest = p->header, *key = strtok_r(rest, " \t", &rest);
    double number;
    if (!key || key[0] == '#')
        return CRS_OK;
    if (key[0] != '@')
        return fail_at(p, error, "'%.60s': before @data, lines begin with @ or #; is it a .ts file?", key);
    if (strcasecmp(key, "@data") == 0) {
        p->within_data = true;
        return p->has_classes ? CRS_OK
                              : fail_at(p, error, "@data, and no line before with @classLabel true and classes");
    }
    if (strcasecmp(key, "@classLabel") == 0)
        return take_classes(p, rest, error);
    const char *value = strtok_r(rest, " \t", &rest);
    if (strcasecmp(key, "@targetLabel") == 0 && value && strcasecmp(value, "true") == 0)
        return fail_at(p, error, "@targetLabel: series with a number instead of a class can't be packed");
    if (strcasecmp(key, "@timeStamps") == 0 && value && strcasecmp(value, "true") == 0)
        return fail_at(p, error, "@timeStamps is true: series with times can't be packed");
    if (strncasecmp(key, "@dimension", 10) == 0 && value) {
        const crs_csv_field field = {value, strlen(value)};
        if (!crs_csv_number(&field, &number) || number < 1 || number > 1e6 || number != floor(number))
            return fail_at(p, error, "%.20s: '%.60s' is no number of dimensions", key, value);
        p->dimensions = (int64_t)number;
    }
    return CRS_OK;
}

/* ---- the values of a series ---- */

static crs_status add_value(packing *p, crs_error *error) {
    const crs_csv_field field = {p->word, p->word_length};
    double number = NAN;
    const bool missing = crs_csv_missing(&field) || strcmp(p->word, "?") == 0;
    if (!missing && !crs_csv_number(&field, &number))
        return fail_at(p, error, "dimension %d, value %lld: '%.60s' is no number", p->dimension + 1,
                       (long long)((int64_t)p->values - p->first + 1), p->word);
    if (missing && p->pack->missing == CRS_MISSING_ERROR)
        return fail_at(p, error,
                       "dimension %d, value %lld: it is missing; --missing=forward, zero or drop says what to do",
                       p->dimension + 1, (long long)((int64_t)p->values - p->first + 1));
    if (p->values == p->room) {
        const size_t room = p->room ? 2 * p->room : 1024;
        float *more = crs_alloc(room, sizeof *more, CRS_MEMORY_DATA);
        if (!more)
            return fail_memory(error);
        if (p->values > 0)
            memcpy(more, p->value, p->values * sizeof *more);
        crs_free(&p->value);
        p->value = more;
        p->room = room;
    }
    p->value[p->values++] = (float)number;
    return CRS_OK;
}

/* The word before a comma, a colon or the end of a line is whole. */
static void trim_word(packing *p) {
    size_t from = 0;
    while (p->word_length > 0 && strchr(" \t", p->word[p->word_length - 1]))
        p->word_length--;
    p->word[p->word_length] = '\0';
    from = strspn(p->word, " \t");
    memmove(p->word, p->word + from, p->word_length - from + 1);
    p->word_length -= from;
}

static crs_status end_dimension(packing *p, crs_error *error) {
    const int64_t steps = (int64_t)p->values - p->first;
    if (p->dimension == 0)
        p->steps = steps;
    if (steps != p->steps)
        return fail_at(p, error, "dimension %d has %lld values, and the first has %lld", p->dimension + 1,
                       (long long)steps, (long long)p->steps);
    p->first = (int64_t)p->values;
    p->dimension++;
    return CRS_OK;
}

static crs_status end_word(packing *p, char by, crs_error *error) {
    trim_word(p);
    if (add_value(p, error) || (by == ':' && end_dimension(p, error)))
        return error->status;
    p->word_length = 0;
    p->alone = by == ':';
    return CRS_OK;
}

/* ---- a whole series ---- */

/* What is missing, by --missing. *steps: those that stay. */
static crs_status mend(packing *p, int64_t *steps, crs_error *error) {
    int64_t kept = 0;
    for (int64_t t = 0; t < p->steps; t++) {
        bool whole = true;
        for (int d = 0; d < p->dimension; d++) {
            float *value = p->value + d * p->steps, x = value[t];
            if (isnan(x) && p->pack->missing == CRS_MISSING_FORWARD && t == 0)
                return fail_at(p, error,
                               "dimension %d: the first value is missing, so that there is none to carry forward; give "
                               "--missing=zero or drop",
                               d + 1);
            whole = whole && !isnan(x);
            if (isnan(x) && p->pack->missing != CRS_MISSING_DROP) {
                x = p->pack->missing == CRS_MISSING_FORWARD ? value[t - 1] : 0;
                p->filled++;
            }
            value[t] = x;
            value[kept] = x;
        }
        if (whole || p->pack->missing != CRS_MISSING_DROP)
            kept++;
        else
            p->dropped++;
    }
    *steps = kept;
    return kept > 0 ? CRS_OK : fail_at(p, error, "no step of the series stays, as each lacks a value");
}

static crs_status begin_data(packing *p, crs_error *error) {
    crs_schema *s = &p->schema;
    s->inputs = CRS_INPUT_VALUES;
    s->targets = CRS_TARGET_CLASS;
    s->alignment = CRS_ALIGN_SEQUENCE;
    s->input_size = p->dimension;
    s->target_size = s->classes.count;
    for (int d = 0; d < p->dimension; d++) {
        char name[32];
        snprintf(name, sizeof name, "dimension %d", d + 1);
        if (!crs_names_add(&s->columns, name))
            return fail_memory(error);
    }
    p->block = crs_alloc_or_fail((size_t)p->dimension * BLOCK, sizeof *p->block, CRS_MEMORY_DATA, "a series", error);
    if (!p->block)
        return error->status;
    crs_sources_describe(p->source, p->sources, p->text);
    p->plan = (crs_sequence_plan){.schema = s, .source = p->text, .description = "series with a class each"};
    return crs_sequence_writer_open(&p->writer, &p->output, &p->plan, error);
}

/* From dimension after dimension to step after step. */
static crs_status put_steps(packing *p, int64_t steps, crs_error *error) {
    crs_status status = CRS_OK;
    for (int64_t t = 0; t < steps && !status; t += BLOCK) {
        const int64_t some = steps - t < BLOCK ? steps - t : BLOCK;
        for (int d = 0; d < p->dimension; d++)
            for (int64_t i = 0; i < some; i++)
                p->block[i * p->dimension + d] = p->value[d * p->steps + t + i];
        status = crs_sequence_writer_add(p->writer, some, p->block, NULL, NULL, error);
    }
    return status;
}

static crs_split choose_split(packing *p) {
    if (p->test)
        return CRS_TEST;
    p->series++;
    return p->every > 0 && p->series % p->every == 0 ? CRS_VALIDATION : CRS_TRAIN;
}

static crs_status put_series(packing *p, crs_error *error) {
    const int class = crs_dictionary_find(&p->classes, p->word);
    const uint32_t target = (uint32_t) class;
    int64_t steps;
    if (class < 0)
        return fail_at(p, error, "class '%.60s' is none of @classLabel", p->word);
    if (p->dimensions > 0 && p->dimension != p->dimensions)
        return fail_at(p, error, "a series of %d dimensions, and the header says %lld", p->dimension,
                       (long long)p->dimensions);
    if (!p->writer && begin_data(p, error))
        return error->status;
    if (p->dimension != p->schema.input_size)
        return fail_at(p, error, "a series of %d dimensions, and the first has %d", p->dimension, p->schema.input_size);
    if (mend(p, &steps, error))
        return error->status;
    const crs_split split = choose_split(p);
    seen *s = &p->seen[class];
    s->trained = s->trained || split == CRS_TRAIN;
    if (split != CRS_TRAIN && !s->elsewhere)
        *s = (seen){s->trained, true, p->at, p->line};
    if (crs_sequence_writer_begin(p->writer, split, NULL, 0, error) || put_steps(p, steps, error))
        return error->status;
    return crs_sequence_writer_end(p->writer, &target, 1, error);
}

static void begin_line(packing *p) {
    p->values = p->word_length = 0;
    p->first = 0;
    p->dimension = 0;
    p->alone = p->begun = false;
}

static crs_status end_line(packing *p, crs_error *error) {
    if (p->begun) {
        trim_word(p);
        if (!p->alone || p->word_length == 0)
            return fail_at(p, error, "the line ends without a class behind a colon");
        if (put_series(p, error))
            return error->status;
    }
    begin_line(p);
    return CRS_OK;
}

/* ---- files ---- */

static crs_status take_data(packing *p, char c, crs_error *error) {
    if (c == '\n')
        return end_line(p, error);
    if (c == ',' || c == ':')
        return p->begun = true, end_word(p, c, error);
    if (p->word_length == WORD_MOST)
        return fail_at(p, error, "a value or class of more than %d bytes; is it a .ts file?", (int)WORD_MOST);
    p->begun = p->begun || !strchr(" \t\r", c);
    if (c != '\r')
        p->word[p->word_length++] = c;
    return CRS_OK;
}

static crs_status take_header_byte(packing *p, char c, crs_error *error) {
    if (c == '\n') {
        p->header[p->header_length] = '\0';
        p->header_length = 0;
        return take_header(p, error);
    }
    if (p->header_length == LINE_MOST)
        return fail_at(p, error, "a line of more than %d bytes before @data; is it a .ts file?", (int)LINE_MOST);
    if (c != '\r')
        p->header[p->header_length++] = c;
    return CRS_OK;
}

static crs_status take_bytes(packing *p, const char *bytes, ssize_t count, crs_error *error) {
    crs_status status = CRS_OK;
    for (ssize_t i = 0; i < count && !status; i++) {
        if (bytes[i] == '\0') /* it would end a class or a value for us alone */
            return fail_at(p, error, "there is a zero byte in the line; is it a .ts file at all?");
        status = p->within_data ? take_data(p, bytes[i], error) : take_header_byte(p, bytes[i], error);
        p->line += bytes[i] == '\n';
    }
    return status;
}

static crs_status read_bytes(packing *p, char *bytes, crs_error *error) {
    ssize_t got = 0;
    bool first = true;
    const int descriptor = crs_source_begin(p->at, error);
    while (descriptor >= 0 && !error->status &&
           (got = crs_source_read(p->at, descriptor, bytes, READ_BYTES, error)) > 0) {
        const size_t mark = first ? crs_utf8_mark(bytes, (size_t)got) : 0;
        first = false;
        take_bytes(p, bytes + mark, got - (ssize_t)mark, error);
        crs_pack_progress_add(&p->progress, got);
    }
    crs_source_end(p->at, descriptor);
    return error->status;
}

static crs_status read_file(packing *p, int file, char *bytes, crs_error *error) {
    p->at = &p->source[file];
    p->test = file == 1;
    p->within_data = p->has_classes = false;
    p->line = 1;
    p->dimensions = 0;
    p->header_length = 0;
    begin_line(p);
    if (read_bytes(p, bytes, error))
        return error->status;
    if (take_bytes(p, "\n", 1, error)) /* where the last line has no end */
        return error->status;
    if (!p->within_data)
        return crs_fail(error, CRS_DATA, "%s: it has no line @data; is it a .ts file?", crs_source_name(p->at));
    const crs_sequence_counts *counts = p->writer ? crs_sequence_writer_counts(p->writer) : NULL;
    if (!counts || counts->sequences[p->test ? CRS_TEST : CRS_TRAIN] == 0)
        return crs_fail(error, CRS_DATA, "%s: no series stands in it%s", crs_source_name(p->at),
                        counts && !p->test ? " that is for training; give a smaller --validation" : "");
    return CRS_OK;
}

static crs_status check_classes(const packing *p, crs_error *error) {
    for (int i = 0; i < p->classes.names.count; i++)
        if (!p->seen[i].trained)
            return crs_fail(error, CRS_DATA, "%s:%lld: class '%.60s' stands nowhere in training",
                            crs_source_name(p->seen[i].source), (long long)p->seen[i].line, p->classes.names.name[i]);
    return CRS_OK;
}

static crs_status open_all(packing *p, crs_error *error) {
    const char *const names[] = {p->pack->train, p->pack->test};
    if (names[1] && strcmp(names[0], "-") == 0 && strcmp(names[1], "-") == 0)
        return crs_fail(error, CRS_USAGE, "-: standard input can be read only once; give - once");
    crs_status status = crs_output_open(&p->output, p->pack->output, error);
    for (; p->sources < 2 && names[p->sources] && !status; p->sources++) {
        status = crs_source_open(&p->source[p->sources], names[p->sources], &p->output, error);
        p->progress.total += p->source[p->sources].size;
    }
    return status;
}

static crs_status run(packing *p, crs_error *error) {
    if (open_all(p, error))
        return error->status;
    char *bytes = crs_alloc_or_fail(READ_BYTES, 1, CRS_MEMORY_DATA, "reading series", error);
    p->header = bytes ? crs_alloc_or_fail(LINE_MOST + 1, 1, CRS_MEMORY_DATA, "reading series", error) : NULL;
    for (int file = 0; file < p->sources && !error->status; file++)
        read_file(p, file, bytes, error);
    crs_free(&bytes);
    if (error->status || check_classes(p, error))
        return error->status;
    crs_sequence_writer_missing(p->writer, p->pack->missing, p->filled, p->dropped);
    if (crs_sequence_writer_finish(p->writer, error) || crs_output_verify(&p->output, error))
        return error->status;
    return crs_output_finish(&p->output, error);
}

crs_status crs_pack_series(const crs_series_pack *pack, crs_packed_sequences *packed, crs_error *error) {
    const double start = crs_seconds();
    packing p = {.pack = pack, .output = {.lock = -1}, .source = {{.spool = -1}, {.spool = -1}}};
    p.every = pack->validation > 0 ? (int64_t)llround(1 / pack->validation) : 0;
    if (run(&p, error) == CRS_OK) {
        crs_sequence_writer_result(p.writer, packed);
        packed->filled = p.filled;
        packed->dropped = p.dropped;
        packed->seconds = crs_seconds() - start;
    }
    crs_live("");
    crs_source_close(&p.source[0]);
    crs_source_close(&p.source[1]);
    crs_sequence_writer_free(&p.writer);
    crs_output_discard(&p.output);
    crs_schema_free(&p.schema);
    crs_dictionary_free(&p.classes);
    crs_free(&p.seen);
    crs_free(&p.header);
    crs_free(&p.value);
    crs_free(&p.block);
    return error->status;
}
