/* What the layer that reads tokens from a table needs of them. Private to the room nn. */
#ifndef CRS_TOKENS_H
#define CRS_TOKENS_H

#include "nn/pieces.h"

/* Adds a piece's gate gradients of one group, gathered as [block][n][16], to the sums of the table's rows. */
void crs_tokens_add_table(const crs_pass *pass, const crs_worker *worker, const crs_tokens *tokens, const crs_piece *p,
                          int group, const float *panel, int64_t *refused);

#endif
