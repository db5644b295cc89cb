/* The kinds of input that `carousel pack` knows, one file each, and what they share. Private to it. */
#ifndef CRS_CLI_PACK_H
#define CRS_CLI_PACK_H

#include "carousel/data.h"
#include "cli/cli.h"

/* argv[0] is the kind. */
crs_command crs_pack_notes_command, crs_pack_series_command, crs_pack_table_command, crs_pack_task_command,
    crs_pack_text_command;

/* Three shares that make 1. example: for messages, as "0.9,0.05,0.05". */
crs_status crs_pack_take_shares(const crs_typed *typed, const char *example, double split[CRS_SPLITS],
                                crs_error *error);
/* Three whole numbers, a split each; with one, also a single number for all three. give: what would do, for
 * messages. */
crs_status crs_pack_take_three(const crs_typed *typed, int64_t low, int64_t high, bool one, const char *give,
                               int64_t number[CRS_SPLITS], crs_error *error);
/* --missing */
crs_status crs_pack_take_missing(const crs_typed *typed, crs_missing *missing, crs_error *error);
/* CRS_USAGE where there is no -o (NULL). */
crs_status crs_pack_check_output(const char *output, const crs_cli *cli, crs_error *error);
/* What was packed, what was done about missing values, and what one would do next. */
void crs_pack_tell_sequences(const char *output, const crs_packed_sequences *packed, crs_missing missing);
/* What one would do next with the data set. */
void crs_pack_tell_next(const char *output);

#endif
