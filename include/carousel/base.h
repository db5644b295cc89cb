/* What every room stands on: errors, messages, memory, random numbers, hashes, text.
 *
 * Nothing here talks to other ranks. All functions are local (not collective) and may be called from
 * the main thread only, except crs_random, the hash functions and the text functions, which keep no state. */
#ifndef CAROUSEL_BASE_H
#define CAROUSEL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- errors -------------------------------------------------------------------------------------------
 *
 * Two tiers. What a person can cause (input, files, options, a diverged model) is a returned status with a
 * message; a broken invariant of ours, or a failure of MPI, is a panic: rank, file:line, and the end of all ranks.
 *
 * A status is 0 or the exit status of the process (sysexits.h). */
typedef enum crs_status {
    CRS_OK = 0,
    CRS_USAGE = 64,    /* the command line is wrong */
    CRS_DATA = 65,     /* an input file is not what it should be */
    CRS_NO_INPUT = 66, /* an input file is missing or can't be read */
    CRS_INTERNAL = 70, /* our own fault; also: out of memory */
    CRS_CREATE = 73,   /* an output file can't be written */
    CRS_STOPPED = 75,  /* stopped early with everything saved: run me again */
    CRS_CONFIG = 78,   /* the configuration can't work */
} crs_status;

enum { CRS_MESSAGE_MAX = 1024 };

/* One line without a newline: what, where, and what would do. */
typedef struct crs_error {
    crs_status status;
    char message[CRS_MESSAGE_MAX];
} crs_error;

/* A caller passes an error that is clear (CRS_OK); it stays so unless the function fails.
 * Fills *error (which may not be NULL) and returns status, for `return crs_fail(error, CRS_DATA, "...", ...)`.
 * Control characters in the message are replaced by '?', so that it stays one line. */
crs_status crs_fail(crs_error *error, crs_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Tier one. Prints `carousel: rank R: FILE:LINE: message` and ends every rank by the hook (abort() without one). */
_Noreturn void crs_panic(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define CRS_ASSERT(condition) \
    ((condition) ? (void)0 : crs_panic(__FILE__, __LINE__, "broken invariant: %s", #condition))

/* What ends every rank; room comm sets it to MPI_Abort. May be NULL. */
void crs_set_abort(void (*hook)(int status));

/* ---- messages -----------------------------------------------------------------------------------------
 *
 * All go to standard error, each one whole line in one write. Only rank 0 prints notes and progress. */
typedef enum crs_verbosity { CRS_QUIET, CRS_NORMAL, CRS_VERBOSE } crs_verbosity;

void crs_set_rank(int rank); /* 0 until set */
int crs_rank(void);
void crs_set_verbosity(crs_verbosity verbosity);
crs_verbosity crs_get_verbosity(void);

/* Prints prefix and a line at rank 0, where the verbosity is at least this. Clears a live line first. */
void crs_say(crs_verbosity least, const char *prefix, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Not with CRS_QUIET. */
#define crs_note(...) crs_say(CRS_NORMAL, "", __VA_ARGS__)
/* With CRS_QUIET too: something a person should act on. Starts with "carousel: warning: ". */
#define crs_warn(...) crs_say(CRS_QUIET, "carousel: warning: ", __VA_ARGS__)
/* Only with CRS_VERBOSE. */
#define crs_debug(...) crs_say(CRS_VERBOSE, "", __VA_ARGS__)
/* Prints `carousel: MESSAGE`, at rank 0 only, whatever the verbosity. */
void crs_report(const crs_error *error);
/* Replaces the live line at the bottom of a terminal (rank 0; cut to its width); an empty string clears it.
 * Nothing happens where standard error is not a terminal or with CRS_QUIET. */
void crs_live(const char *line);
bool crs_is_terminal(void); /* whether standard error is one (and TERM is not dumb) */
/* The path of a file as (the beginning of) a word of a command to be typed into a shell: quoted where it must be, and
 * never an option. Owned by the caller, freed with crs_free; NULL when out of memory. */
char *crs_shell_word(const char *path);

/* Writes it all to a file; false with errno. */
bool crs_write(int file, const void *bytes, size_t count);

/* ---- numbers for a person: each writes to out and returns it, or returns a constant ---------------------*/

/* "1,003,854" */
const char *crs_format_count(int64_t count, char out[32]);
/* "0.3s", "12s", "4m10s", "3h02m", "2d04h" */
const char *crs_format_time(double seconds, char out[32]);
/* What follows a number: "layer" or "layers". */
const char *crs_plural(int64_t count, const char *one, const char *many);

/* Neighbouring elements of an array. */
typedef struct crs_extent {
    size_t at, count;
} crs_extent;

/* ---- memory -------------------------------------------------------------------------------------------*/

/* What a block is for; `bench` reports bytes by purpose. */
typedef enum crs_purpose {
    CRS_MEMORY_OTHER,
    CRS_MEMORY_PARAMETERS,
    CRS_MEMORY_PACKED, /* copies of the parameters in another order */
    CRS_MEMORY_GRADIENTS,
    CRS_MEMORY_OPTIMIZER,
    CRS_MEMORY_ACTIVATIONS,
    CRS_MEMORY_DATA,
    CRS_MEMORY_PURPOSES,
} crs_purpose;

/* count * size bytes, zeroed, aligned to 64; NULL where the product overflows or memory is out (count or size of 0
 * gives a valid empty block). Owned by the caller. */
void *crs_alloc(size_t count, size_t size, crs_purpose purpose);
/* As crs_alloc; where it fails, *error says how much was wanted and for what (CRS_INTERNAL). */
void *crs_alloc_or_fail(size_t count, size_t size, crs_purpose purpose, const char *what, crs_error *error);
/* Frees *pointer and sets it to NULL; a NULL *pointer is fine. `crs_free(&p)` with any pointer type. */
#define crs_free(address)           \
    do {                            \
        crs_free_block(*(address)); \
        *(address) = NULL;          \
    } while (0)
void crs_free_block(void *block);
void crs_free_foreign(void *block); /* what the C library allocated (getline, realpath) */
/* A copy of text; owned by the caller, freed with crs_free. NULL when out of memory. */
char *crs_copy_text(const char *text);
/* The same of what printf would make. */
char *crs_format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Room for one more in a list of count elements of this size, all by crs_list_grow: list is the address of the pointer
 * to the first (NULL: none yet), which may move. It grows at each power of two, so that nobody has to keep how much
 * room there is. False where memory is out: the list stays as it was. */
bool crs_list_grow(void *list, size_t count, size_t size);

int64_t crs_memory_blocks(void);               /* blocks allocated and not freed; 0 at exit */
int64_t crs_memory_bytes(crs_purpose purpose); /* now */
int64_t crs_memory_peak(crs_purpose purpose);  /* the most there were */
int64_t crs_memory_allocations(void);          /* calls of crs_alloc so far: a warm step makes none */
const char *crs_purpose_name(crs_purpose purpose);
/* For tests: the n-th allocation from now on fails (1: the next); 0 turns it off. */
void crs_memory_fail_at(int64_t n);

/* ---- random numbers -----------------------------------------------------------------------------------
 *
 * Philox 4x64-10 (Salmon et al. 2011; the Random123 library): a function of its arguments, without state, so that a
 * draw depends on what it is for, and never on the rank that makes it. */
typedef enum crs_draw {
    CRS_DRAW_PARAMETER = 1,     /* a: tensor, b: element / 4 in the order of the file */
    CRS_DRAW_DROPOUT = 2,       /* a: step, b: global row, c: layer * 2^32 + time, d: unit / 8 */
    CRS_DRAW_SAMPLE = 3,        /* a: text, b: position */
    CRS_DRAW_INPUT_DROPOUT = 4, /* a: step, b: global row, c: time, d: column / 8 */
    CRS_DRAW_INPUT_NOISE = 5,   /* a: step, b: global row, c: time, d: column / 2 */
    CRS_DRAW_ORDER = 16,        /* a: epoch, b: which permutation of it, c: place */
    CRS_DRAW_TASK = 17,         /* a: split, b: sequence, c: draw of it / 4 */
} crs_draw;

/* out[4] = Philox(counter = a, b, c, d; key = seed, draw). */
void crs_random(uint64_t seed, crs_draw draw, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t out[4]);
/* The top 53 bits of a draw as a double in [0, 1). */
static inline double crs_unit_double(uint64_t bits) {
    return (double)(bits >> 11) * 0x1p-53;
}

/* ---- scalar functions with the same bits everywhere ---------------------------------------------------
 *
 * Only +, -, *, / and fused multiply-adds in a fixed order, so that no libm's version shows. */
double crs_log(double x);               /* natural logarithm, within 2 ulp, x > 0 and finite */
double crs_exp(double x);               /* within 2 ulp for |x| < 700 */
double crs_cospi(double x);             /* cos(pi x), 0 <= x <= 1, absolute error below 1e-15 */
double crs_power(double x, uint64_t n); /* x^n by repeated squaring */

/* ---- hashes -------------------------------------------------------------------------------------------
 *
 * XXH3 with 128 bits (the xxHash library), written as 32 hexadecimal digits, as `xxhsum -H2` prints it. */
typedef struct crs_hash crs_hash;
enum { CRS_HASH_HEX = 33 };

crs_hash *crs_hash_new(void); /* owned by the caller; NULL when out of memory */
void crs_hash_free(crs_hash **hash);
void crs_hash_reset(crs_hash *hash);
void crs_hash_add(crs_hash *hash, const void *bytes, size_t count);
void crs_hash_text(const crs_hash *hash, char hex[CRS_HASH_HEX]); /* of all added so far */
void crs_hash_bytes(const void *bytes, size_t count, char hex[CRS_HASH_HEX]);
uint64_t crs_hash_short(const void *bytes, size_t count); /* XXH3 with 64 bits: for tables in memory */

/* ---- text and vocabularies ----------------------------------------------------------------------------*/

/* Reads one code point of valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF) from bytes[0..count).
 * Returns its length in bytes (1 to 4), 0 where the bytes are a valid but incomplete beginning, -1 where they are
 * invalid. */
int crs_utf8_decode(const unsigned char *bytes, size_t count, uint32_t *code_point);
/* Writes 1 to 4 bytes, no terminating zero. Returns the length. */
int crs_utf8_encode(uint32_t code_point, char out[4]);
/* Bytes of the byte order mark (U+FEFF) that a file of UTF-8 may begin with: 3, or 0 where there is none. */
size_t crs_utf8_mark(const void *bytes, size_t count);
/* What a terminal may obey instead of showing it: U+0000 to U+001F, U+007F to U+009F. */
bool crs_utf8_is_control(uint32_t code_point);
/* Replaces what is no UTF-8, and each byte of control characters, by '?', in place. */
void crs_utf8_mend(char *text);
/* A character as a person can read it in a message: 'a', U+0009, U+1F600 '...'. */
void crs_utf8_name(uint32_t code_point, char out[32]);

typedef enum crs_level { CRS_LEVEL_CHAR, CRS_LEVEL_BYTE, CRS_LEVEL_WORD, CRS_LEVELS } crs_level;
const char *crs_level_name(crs_level level); /* "char", "byte", "word" */
const char *crs_level_unit(crs_level level); /* what a token is: "character", "byte", "word" */
/* False: no level has that name. */
bool crs_level_of(const char *name, crs_level *level);

/* How a text is cut into words. A line end (U+000A) is always a word of its own.
 * unicode: runs of letters, digits and marks (general categories L, Nd, M), and each other visible character by itself;
 * separators (Z), control and format characters (Cc, Cf) only separate.
 * blank: what stands between separators and control characters.
 * A run of more than CRS_WORD_BYTES is cut after the last character that fits. */
typedef enum crs_words { CRS_WORDS_UNICODE, CRS_WORDS_BLANK } crs_words;
const char *const *crs_words_names(void); /* "unicode", "blank"; ended by NULL */
#define CRS_UNKNOWN "<unk>"               /* the word that stands for all that a vocabulary lacks */

enum { CRS_WORD_BYTES = 256 };
typedef struct crs_word_reader {
    crs_words words;
    bool lower;    /* capital letters become small ones */
    int64_t place; /* bytes of the text so far */
    int64_t start; /* bytes before the word */
    size_t length;
    bool whole; /* bytes hold a word that was returned */
    char bytes[CRS_WORD_BYTES];
} crs_word_reader;

/* Takes code_points[*at .. count) up to the end of the next word: bytes[0..length) of the reader. False where none ends
 * there: all is taken, and what is begun is kept. A reader begins as zeros but for words and lower. */
bool crs_word_next(crs_word_reader *reader, const uint32_t *code_points, size_t count, size_t *at);
/* At the end of the text: the word that it ends, if there is one. */
bool crs_word_last(crs_word_reader *reader);

/* Tokens 0 .. count-1. Level char: code_points[token], ascending as pack makes them but in any order where read from a
 * file; level byte: count is 256 and code_points NULL; level word: names of any length in text. */
enum { CRS_ASCII = 128 };
typedef struct crs_vocabulary {
    crs_level level;
    uint32_t count;
    uint32_t *code_points;      /* [count], owned; NULL but for characters */
    uint32_t *sorted;           /* [count], owned: tokens by code point, or words by their bytes; NULL for bytes */
    int32_t ascii[CRS_ASCII];   /* the tokens of the first code points, -1 where there is none: most look-ups */
    char *text;                 /* [text_bytes] words, one after the other, each with a zero behind it; owned */
    size_t text_bytes, longest; /* longest: bytes of a word */
    size_t *start;              /* [count] where each word begins in text; owned */
    crs_words words;            /* level word: how a text is cut */
    bool lower;
} crs_vocabulary;

/* Copies code_points. Refuses (CRS_DATA) an empty or repeating list, or one with values that are no code points. Level
 * byte: code_points and count are not looked at. What was refused needs no crs_vocabulary_free. */
crs_status crs_vocabulary_create(crs_vocabulary *vocabulary, crs_level level, const uint32_t *code_points,
                                 uint32_t count, crs_error *error);
/* Level word: copies text[0..bytes), count words each with a zero behind it. Refuses (CRS_DATA) a list that is empty or
 * repeats a word, an empty word, and one that is no UTF-8. */
crs_status crs_vocabulary_create_words(crs_vocabulary *vocabulary, const char *text, size_t bytes, uint32_t count,
                                       crs_error *error);
/* Also an empty one, of data without tokens. */
crs_status crs_vocabulary_copy(crs_vocabulary *to, const crs_vocabulary *from, crs_error *error);
void crs_vocabulary_free(crs_vocabulary *vocabulary);
bool crs_vocabulary_equal(const crs_vocabulary *a, const crs_vocabulary *b);
/* The token of a code point (level byte: of a byte), or -1; level word: of the word of this one character. */
int64_t crs_vocabulary_token(const crs_vocabulary *vocabulary, uint32_t code_point);
/* Level word: the token of a word, or -1. */
int64_t crs_vocabulary_find(const crs_vocabulary *vocabulary, const char *word, size_t length);
/* What a token stands for: its bytes, which are room's or the vocabulary's, and how many. Level byte: the byte. */
const char *crs_vocabulary_text(const crs_vocabulary *vocabulary, uint32_t token, char room[4], size_t *length);
/* The same as a person can read it in a message: as crs_utf8_name, or a word in quotes, cut short where it is long. */
void crs_vocabulary_name(const crs_vocabulary *vocabulary, uint32_t token, char out[64]);

/* ---- attributes: names with values, as a file keeps them -----------------------------------------------*/

typedef enum crs_attribute_kind { CRS_ATTRIBUTE_TEXT, CRS_ATTRIBUTE_INTEGER, CRS_ATTRIBUTE_REAL } crs_attribute_kind;

/* Of its values the one that kind says. */
typedef struct crs_attribute {
    char name[40], text[64];
    crs_attribute_kind kind;
    int64_t integer;
    double real;
} crs_attribute;

/* In the order in which they were put. Owns nothing: it may be copied, or sent, as it is. */
enum { CRS_ATTRIBUTES_MOST = 64 };
typedef struct crs_attributes {
    int count;
    crs_attribute list[CRS_ATTRIBUTES_MOST];
} crs_attributes;

/* Changes the attribute of that name, or adds one at the end. False where it does not fit: too many, or too long. */
bool crs_attributes_put(crs_attributes *attributes, const crs_attribute *attribute);
/* The same, of one's own: that it fits is known. */
void crs_attributes_put_text(crs_attributes *attributes, const char *name, const char *text);
void crs_attributes_put_integer(crs_attributes *attributes, const char *name, int64_t value);
void crs_attributes_put_real(crs_attributes *attributes, const char *name, double value);
/* Of that name, or NULL. */
const crs_attribute *crs_attributes_find(const crs_attributes *attributes, const char *name);
/* The value of one that must be there: CRS_DATA where it is missing or of another kind. file: for the message; the text
 * is the list's. */
crs_status crs_attributes_text(const crs_attributes *attributes, const char *name, const char *file, const char **text,
                               crs_error *error);
crs_status crs_attributes_integer(const crs_attributes *attributes, const char *name, const char *file, int64_t *value,
                                  crs_error *error);
crs_status crs_attributes_real(const crs_attributes *attributes, const char *name, const char *file, double *value,
                               crs_error *error);

/* What would do about a damaged checkpoint. */
#define CRS_DAMAGED_ADVICE "the file is damaged: use another checkpoint of the run, or a backup"

/* ---- faults -------------------------------------------------------------------------------------------
 *
 * In the test build alone (-DCRS_FAULTS), CAROUSEL_FAULT=NAME makes one thing go wrong on purpose, so that a test can
 * show that it would be noticed; the names stand where they are asked for. Elsewhere it is the constant false. */
#ifdef CRS_FAULTS
bool crs_fault(const char *name);
#else
#define crs_fault(name) false
#endif

/* `part` of `parts` even shares of n things: where it begins. */
static inline int crs_share(int n, int part, int parts) {
    return (int)((int64_t)n * part / parts);
}

/* Seconds of a clock that never goes back. */
double crs_seconds(void);

/* ---- where the time of a step goes --------------------------------------------------------------------
 *
 * A phase lasts until the next one is named, so that a place in the code needs one line and no clock of its own: off,
 * it costs a comparison. Main thread only; where threads work together, its time stands for all. */
typedef enum crs_phase {
    CRS_PHASE_READ,           /* tokens, carried states, clearing the sums */
    CRS_PHASE_INPUT,          /* input products for all times; where they run beside the recurrent ones: none */
    CRS_PHASE_RECURRENT,      /* recurrent products, gates */
    CRS_PHASE_OUTPUT,         /* products of the output layer, up and down */
    CRS_PHASE_LOSS,           /* softmax */
    CRS_PHASE_BACKWARD,       /* backward through time */
    CRS_PHASE_BACKWARD_INPUT, /* gradients of inputs for all times; where they are made step by step: none */
    CRS_PHASE_WEIGHTS,        /* weight gradients, exact */
    CRS_PHASE_SUM,            /* over ranks */
    CRS_PHASE_GRADIENT,       /* from the sums to a gradient, and its norm */
    CRS_PHASE_UPDATE,         /* the optimizer */
    CRS_PHASE_REFRESH,        /* copies of the parameters in other orders */
    CRS_PHASES,
} crs_phase;

const char *crs_phase_name(crs_phase phase);
/* Begins (seconds: where to add the time of each phase) or, with NULL, ends a measurement, within CRS_PHASE_READ. */
void crs_phase_watch(double seconds[CRS_PHASES]);
void crs_phase_begin(crs_phase phase);

/* body(context, thread, threads) by each of so many threads, the caller's being number 0; returns when all are done.
 * OpenMP's barriers and shared loops may stand within. One thread makes no team: OpenMP calls the kernel at each
 * barrier, even of a team of one. */
typedef void crs_parallel_body(void *context, int thread, int threads);
void crs_parallel(int threads, crs_parallel_body *body, void *context);

#endif
