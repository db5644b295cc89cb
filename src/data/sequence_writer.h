/* Writes a data set of sequences (docs/formats.md) in constant memory but for the names of sequences: split by split or
 * mixed, sequence by sequence, some steps at a time. The same calls give the same bytes. */
#ifndef CAROUSEL_DATA_SEQUENCE_WRITER_H
#define CAROUSEL_DATA_SEQUENCE_WRITER_H

#include "carousel/data.h"
#include "data/pack.h"

typedef struct crs_sequence_writer crs_sequence_writer;

typedef struct crs_sequence_plan {
    /* Without scale and target_scale, which are computed. Of a forecast target_columns is there, and no target_names.
     * Borrowed until crs_sequence_writer_free, as all that follows. */
    const crs_schema *schema;
    const crs_names *vocabulary; /* [input_size] inputs tokens; else NULL */
    const char *source;          /* UTF-8 (crs_sources_describe) */
    const char *description;     /* what it is, for a person */
    const crs_attributes *more;  /* more attributes of the root, all text; NULL: none */
    bool weights, lead, names;   /* whether these are written; else they are 1, 0 and "" */
    size_t chunk_bytes;          /* about so many a chunk; 0: the usual */
} crs_sequence_plan;

/* What there is so far. */
typedef struct crs_sequence_counts {
    int64_t sequences[CRS_SPLITS], steps[CRS_SPLITS];
    int64_t windows[CRS_SPLITS]; /* of forecasts */
} crs_sequence_counts;

/* Begins the file in output->temporary (CRS_CREATE). output is borrowed. */
crs_status crs_sequence_writer_open(crs_sequence_writer **writer, const crs_output *output,
                                    const crs_sequence_plan *plan, crs_error *error);
/* Begins a sequence. name: copied; NULL without plan->names. What is no UTF-8 or a control character in it becomes '?'.
 * lead: 0 without plan->lead. */
crs_status crs_sequence_writer_begin(crs_sequence_writer *writer, crs_split split, const char *name, int64_t lead,
                                     crs_error *error);
/* Adds steps to it, as often as wanted.
 * inputs: tokens uint32_t[steps], values float[steps][D], bits uint8_t[steps][D].
 * targets, where each step has one of its own (alignment step, but not next): class uint32_t[steps], values
 * float[steps][K], bits uint8_t[steps][K]; else NULL.
 * weights: [steps] with plan->weights and alignment step; else NULL.
 * Values are finite, bits 0 or 1, tokens and classes in range: callers have checked. */
crs_status crs_sequence_writer_add(crs_sequence_writer *writer, int64_t steps, const void *inputs, const void *targets,
                                   const float *weights, crs_error *error);
/* Ends it, after a step or more. target, weight: of alignment sequence (target NULL for a forecast; weight 1 without
 * plan->weights); else NULL and anything. */
crs_status crs_sequence_writer_end(crs_sequence_writer *writer, const void *target, float weight, crs_error *error);
/* Keeps for a person what was done about missing values; nothing where there were none. */
void crs_sequence_writer_missing(crs_sequence_writer *writer, crs_missing what, int64_t filled, int64_t dropped);
/* Writes what is left, the scales among it, and closes the file. No sequence is open. */
crs_status crs_sequence_writer_finish(crs_sequence_writer *writer, crs_error *error);
const crs_sequence_counts *crs_sequence_writer_counts(const crs_sequence_writer *writer);
/* The same, and the widths, for whoever asked for the packing; the rest of *packed is 0. */
void crs_sequence_writer_result(const crs_sequence_writer *writer, crs_packed_sequences *packed);
void crs_sequence_writer_free(crs_sequence_writer **writer); /* closes the file, if it is open still */

#endif
