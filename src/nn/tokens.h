/* What a layer that reads tokens from a table, and an output that shares their embedding, need of them. Private to the
 * room nn. */
#ifndef CRS_TOKENS_H
#define CRS_TOKENS_H

#include "nn/pieces.h"

/* Adds a piece's gate gradients of one group, gathered as [block][n][16], to the sums of the table's rows. */
void crs_tokens_add_table(const crs_pass *pass, const crs_worker *worker, const crs_tokens *tokens, const crs_piece *p,
                          int group, const float *panel, int64_t *refused);

/* An output whose weight is the embedding's: room for its panels and their gradient, no parameter. */
bool crs_tie_declare(crs_model *model, crs_output *output);
void crs_tie_release(crs_output *output);
/* Makes a group's panel. */
void crs_tie_refresh(const crs_model *model, const crs_output *output, int group);
/* Adds to the gradient of the embedding, which is there. */
void crs_tie_gradient(const crs_model *model, const crs_output *output, const int64_t *sums, double factor,
                      float *gradient);

#endif
