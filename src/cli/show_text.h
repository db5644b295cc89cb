/* Numbers, vocabularies and tables as a person likes to read them. Private to `carousel show`. */
#ifndef CRS_CLI_SHOW_TEXT_H
#define CRS_CLI_SHOW_TEXT_H

#include <jansson.h>

#include "carousel/schema.h"

/* "about 232 thousand"; "" below a thousand, where the number itself is as short. */
void crs_show_words(int64_t number, char out[48]);
/* "2.8 MiB" */
void crs_show_bytes(int64_t bytes, char out[32]);

/* The beginning of a text that takes at most so many columns of a terminal, and of memory `size`; what can't be shown
 * becomes '?'. Returns how many it takes. */
int crs_show_cut(const char *text, int most, char *out, size_t size);
/* Columns of a terminal that (the first few hundred bytes of) a text take. */
int crs_show_columns(const char *text);

/* A line of the summary: "  name        value". */
void crs_show_line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* How many there are, and the characters: neighbours as ranges ("a-z"), wrapped, at most a few lines of them. */
void crs_show_vocabulary(const crs_vocabulary *vocabulary);
/* What is to be said of a data set's sequences: "a class of each sequence, of 9". */
void crs_show_targets(const crs_schema *schema, char *out, size_t size);

/* A JSON string; bytes that are no UTF-8 (in a file's name, say) become '?'. */
json_t *crs_show_json_text(const char *text);
/* A JSON number, or null for what JSON has no number for. */
json_t *crs_show_json_real(double value);
/* The characters or words of a vocabulary, in the order of the tokens. */
json_t *crs_show_json_vocabulary(const crs_vocabulary *vocabulary);
/* Prints the object on a line of its own and frees it. flags: as JSON_COMPACT. CRS_INTERNAL when out of memory. */
crs_status crs_show_json_print(json_t *object, size_t flags, crs_error *error);

#endif
