/* The table of this instruction set. */
#include "config.h"

#include "isa.h"

const crs_kernels CRS_ISA(crs_kernels) = {
#if VL == 16
    .isa = CRS_ISA_V4,
#elif VL == 8
    .isa = CRS_ISA_V3,
#else
    .isa = CRS_ISA_BASELINE,
#endif
    .product = CRS_ISA(crs_product),
    .outer = CRS_ISA(crs_outer),
    .sparse_product = CRS_ISA(crs_sparse_product),
    .sparse_outer = CRS_ISA(crs_sparse_outer),
    .forward = {[CRS_LSTM] = CRS_ISA(crs_lstm_forward),
                [CRS_PEEPHOLE] = CRS_ISA(crs_peephole_forward),
                [CRS_GRU] = CRS_ISA(crs_gru_forward),
                [CRS_RNN] = CRS_ISA(crs_rnn_forward)},
    .backward = {[CRS_LSTM] = CRS_ISA(crs_lstm_backward),
                 [CRS_PEEPHOLE] = CRS_ISA(crs_peephole_backward),
                 [CRS_GRU] = CRS_ISA(crs_gru_backward),
                 [CRS_RNN] = CRS_ISA(crs_rnn_backward)},
    .softmax = CRS_ISA(crs_softmax),
    .bits = CRS_ISA(crs_bits),
    .pack_columns = CRS_ISA(crs_pack_columns),
    .gather = CRS_ISA(crs_gather),
    .transpose = CRS_ISA(crs_transpose),
    .squares = CRS_ISA(crs_squares),
    .add_fixed = CRS_ISA(crs_add_fixed),
    .column_sums = CRS_ISA(crs_column_sums),
    .scatter_rows = CRS_ISA(crs_scatter_rows),
    .dot_rows = CRS_ISA(crs_dot_rows),
    .from_fixed = CRS_ISA(crs_from_fixed),
    .pack_sums = CRS_ISA(crs_pack_sums),
    .unpack_sums = CRS_ISA(crs_unpack_sums),
    .pack_changes = CRS_ISA(crs_pack_changes),
    .unpack_changes = CRS_ISA(crs_unpack_changes),
    .update = CRS_ISA(crs_update),
    .peak = CRS_ISA(crs_peak),
    .negate = CRS_ISA(crs_negate),
    .outer_float = CRS_ISA(crs_outer_float),
    .activation = {[CRS_ACTIVATION_EXP] = CRS_ISA(crs_exp),
                   [CRS_ACTIVATION_TANH] = CRS_ISA(crs_tanh),
                   [CRS_ACTIVATION_LOGISTIC] = CRS_ISA(crs_logistic)},
};
