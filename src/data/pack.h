/* What the parts of packing share. */
#ifndef CAROUSEL_DATA_PACK_H
#define CAROUSEL_DATA_PACK_H

#include <sys/types.h>

#include "carousel/data.h"

/* ---- the whole, with what tests turn ---- */

typedef struct crs_pack_tuning {
    size_t read_bytes;              /* read at once; at least 1 */
    size_t chunk_bytes;             /* of a chunk of the data sets; at least 4 */
    void (*between)(void *context); /* called between the two passes; may be NULL */
    void *context;
} crs_pack_tuning;

/* crs_pack_text is this with tuning of its own. */
crs_status crs_pack_text_tuned(const crs_pack *pack, const crs_pack_tuning *tuning, crs_packed *packed,
                               crs_error *error);

/* The lengths of consecutive pieces with these shares of n: where a share times n is a whole number but for the
 * rounding of doubles, it is that number; else it is rounded down. */
void crs_split_lengths(const double share[CRS_SPLITS], int64_t n, int64_t length[CRS_SPLITS]);

/* ---- UTF-8 (decode.c) ---- */

typedef enum crs_decoded { CRS_DECODED_ALL, CRS_DECODED_PART, CRS_DECODED_INVALID } crs_decoded;

/* Decodes whole characters of bytes[0..count) into at most `room` (> 0) code points: *found of them from *used bytes.
 * ALL: nothing is left, or room is full; PART: what is left is the beginning of a character; INVALID: it begins with
 * none. */
crs_decoded crs_decode(const unsigned char *bytes, size_t count, uint32_t *code_points, size_t room, size_t *found,
                       size_t *used);

/* The encoding (a name that iconv knows) that the beginning of a text looks like: where it has a byte order mark, or
 * mostly control characters at every other place (or three of four), the high bytes of UTF-16 or UTF-32; else NULL. */
const char *crs_guess_encoding(const unsigned char *bytes, size_t count);

/* ---- words (words.c): code points become tokens of words ---- */

typedef struct crs_cutter crs_cutter;

/* What came of some code points. */
typedef struct crs_cut_words {
    uint32_t *tokens; /* with a vocabulary: [code points + 1] room for them, by the caller */
    bool drop;        /* by the caller: words without a token are passed over, where there is no CRS_UNKNOWN */
    size_t count;     /* of tokens */
    int64_t words, unknown;
    bool stopped; /* at a word that has no token, which is crs_cutter_word; words count it */
} crs_cut_words;

crs_status crs_cutter_create(crs_cutter **cutter, crs_words words, bool lower, crs_error *error);
void crs_cutter_free(crs_cutter **cutter);
/* Begins a source, at place 0; anew: also the text, so that no word goes on. */
void crs_cutter_begin(crs_cutter *cutter, bool anew);
/* Without a vocabulary, words are but counted. */
crs_status crs_cutter_take(crs_cutter *cutter, const uint32_t *code_points, size_t count, crs_cut_words *cut,
                           crs_error *error);
/* The text's last word, where no other character ended it. */
crs_status crs_cutter_end(crs_cutter *cutter, crs_cut_words *cut, crs_error *error);
/* The last word that was taken, and its place. */
const crs_word_reader *crs_cutter_word(const crs_cutter *cutter);
/* From now on words are tokens of this one. */
crs_status crs_cutter_know(crs_cutter *cutter, const crs_vocabulary *vocabulary, crs_error *error);
/* Whether it has CRS_UNKNOWN, which stands for words that it lacks. */
bool crs_cutter_has_unknown(const crs_cutter *cutter);
/* A vocabulary of the words counted: CRS_UNKNOWN first, where the text has it or `least` is above 1; then those that
 * were met at least `least` times, the more frequent first, equally frequent ones in the order of their bytes. */
crs_status crs_cutter_vocabulary(const crs_cutter *cutter, int64_t least, crs_vocabulary *vocabulary, crs_error *error);

/* ---- the output (output.c): a temporary file beside it, which takes its place in the end ---- */

typedef struct crs_output {
    const char *name; /* as the user says it; borrowed */
    char *path;       /* owned: where it leads (links followed) */
    char *folder;     /* owned */
    char *temporary;  /* owned; NULL while there is none */
    int lock;         /* a descriptor of it, locked as long as this process lives; -1 */
} crs_output;

/* Creates the temporary file (CRS_CREATE). It is removed by crs_output_discard, and by SIGINT, SIGTERM and SIGHUP; what
 * is left of a process that was killed, by the next one with the same output. */
crs_status crs_output_open(crs_output *output, const char *name, crs_error *error);
/* Reads back what was written, before it takes its place: HDF5 is known to lose chunks without a word. */
crs_status crs_output_verify(const crs_output *output, crs_error *error);
/* Flushes the closed temporary file to the disk and gives it its name. */
crs_status crs_output_finish(crs_output *output, crs_error *error);
/* Removes the temporary file, if there is one still, and frees. */
void crs_output_discard(crs_output *output);
/* CRS_CREATE: FILE can't be written, with the reason of errno where it has one. */
crs_status crs_output_fail(const crs_output *output, int reason, crs_error *error);
/* Whether this is the file that output would replace. */
bool crs_output_is(const crs_output *output, dev_t device, ino_t inode);

/* ---- the inputs (source.c): each is read twice, and must be the same both times ---- */

typedef struct crs_source {
    const char *input;       /* as the user says it; borrowed */
    int spool;               /* a descriptor to read from where it can't be opened twice, or -1 */
    off_t start;             /* of spool */
    int64_t size;            /* bytes: first an estimate, after the first pass the count */
    char hash[CRS_HASH_HEX]; /* of the first pass */
} crs_source;

/* "standard input", or the file's name. */
const char *crs_source_name(const crs_source *source);
/* The names of sources for the attribute `source`: UTF-8; those past CRS_SOURCES_MOST bytes are counted. */
enum { CRS_SOURCES_MOST = 4096, CRS_SOURCES_TEXT = CRS_SOURCES_MOST + 64 };
void crs_sources_describe(const crs_source *sources, int count, char text[CRS_SOURCES_TEXT]);
/* Checks that it can be read, is no folder, is not the output; copies what can't be read twice to a file beside the
 * output (or in $TMPDIR) that has no name. */
crs_status crs_source_open(crs_source *source, const char *input, const crs_output *output, crs_error *error);
/* Also one that was never opened, all zero. */
void crs_source_close(crs_source *source);
/* A new file without a name, in $TMPDIR or else beside the output: a descriptor, or -1 with errno. *folder: where it
 * is, or would be; borrowed. */
int crs_spool_open(const crs_output *output, const char **folder);
/* CRS_CREATE, or CRS_INTERNAL for ENOMEM: a temporary copy of what can't be written there. */
crs_status crs_spool_fail(const char *folder, const char *what, int reason, crs_error *error);
/* A descriptor at its beginning, or -1 with *error; to be closed by crs_source_end. */
int crs_source_begin(const crs_source *source, crs_error *error);
void crs_source_end(const crs_source *source, int descriptor);
/* read(), whole unless the end comes; -1 with *error. */
ssize_t crs_source_read(const crs_source *source, int descriptor, void *bytes, size_t count, crs_error *error);
/* CRS_DATA: it is not what it was in the first pass. */
crs_status crs_source_changed(const crs_source *source, crs_error *error);

/* How far it is: bytes of all passes over the inputs, expected, read, and read when it was last said. */
typedef struct crs_pack_progress {
    int64_t total, done, reported;
} crs_pack_progress;
/* So many more were read: says so now and then, with crs_live. */
void crs_pack_progress_add(crs_pack_progress *progress, int64_t bytes);

/* ---- the HDF5 file (writer.c) ---- */

typedef struct crs_writer crs_writer;

typedef struct crs_writer_plan {
    const crs_vocabulary *vocabulary; /* borrowed until crs_writer_free */
    const char *source;
    int64_t length[CRS_SPLITS];
    size_t chunk_bytes;
} crs_writer_plan;

/* Makes the data sets in output->temporary (CRS_CREATE). output is borrowed. */
crs_status crs_writer_open(crs_writer **writer, const crs_output *output, const crs_writer_plan *plan,
                           crs_error *error);
/* Appends tokens; false in *fits where there are more than planned. */
crs_status crs_writer_add(crs_writer *writer, const uint32_t *tokens, size_t count, bool *fits, crs_error *error);
/* Writes what is left, and closes the file. No tokens may be missing. */
crs_status crs_writer_finish(crs_writer *writer, crs_error *error);
void crs_writer_free(crs_writer **writer); /* closes it, if it is open still */

#endif
