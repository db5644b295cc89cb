/* Gates: activations forward, their derivatives backward. Formulas: carousel/nn.h. */
#include "config.h"

#include "isa.h"

/* Derivatives from the outputs: s' = s (1 - s), tanh' = 1 - t^2. */
CRS_INLINE vf logistic_slope(vf s) {
    return s * (all(1.0f) - s);
}
CRS_INLINE vf tanh_slope(vf t) {
    return fma_(-t, t, all(1.0f));
}

/* Input and forget gates, candidate and cell state of a row. One division gives three of them: dividing is the dear
 * part. */
CRS_INLINE void lstm_cell(const crs_cell_step *s, const bool peephole, int r, int u) {
    float *z = s->gates + r * s->gates_row + u;
    vf c = load(s->c_before + r * s->row + u), zi = load(z), zf = load(z + 16), zg = load(z + 32);
    if (peephole) {
        zi = fma_(load(s->peephole + u), c, zi);
        zf = fma_(load(s->peephole + s->peephole_row + u), c, zf);
    }
    vf di = logistic_denominator(zi), df = logistic_denominator(zf), e = tanh_numerator(zg);
    vf dg = e + all(2.0f), both = di * df, inverse = all(1.0f) / (both * dg);
    vf i = inverse * (df * dg), f = inverse * (di * dg), g = with_sign(e * (inverse * both), zg);
    store(z, i);
    store(z + 16, f);
    store(z + 32, g);
    store(s->c + r * s->row + u, fma_(f, c, i * g));
}

/* Output gate and hidden state. */
CRS_INLINE void lstm_output(const crs_cell_step *s, const bool peephole, int r, int u) {
    float *z = s->gates + r * s->gates_row + u;
    vf c = load(s->c + r * s->row + u), zo = load(z + 48);
    if (peephole)
        zo = fma_(load(s->peephole + 2 * s->peephole_row + u), c, zo);
    vf outer = logistic_denominator(zo), e = tanh_numerator(c), dc = e + all(2.0f);
    vf inverse = all(1.0f) / (outer * dc);
    vf o = inverse * dc, t = with_sign(e * (inverse * outer), c);
    store(z + 48, o);
    store(s->h + r * s->row + u, o * t);
}

/* Two loops: in one, each row would be a single long chain, of which the processor sees too few at a time. */
CRS_INLINE void lstm_forward(const crs_cell_step *s, const bool peephole) {
    for (int r = 0; r < s->rows; r++)
        for (int u = 0; u < CRS_BLOCK; u += VL)
            lstm_cell(s, peephole, r, u);
    for (int r = 0; r < s->rows; r++)
        for (int u = 0; u < CRS_BLOCK; u += VL)
            lstm_output(s, peephole, r, u);
}

CRS_INLINE void lstm_backward(const crs_cell_step *s, const bool peephole) {
    for (int r = 0; r < s->rows; r++) {
        float *gates = s->gates + r * s->gates_row;
        for (int u = 0; u < CRS_BLOCK; u += VL) {
            float *z = gates + u;
            const ptrdiff_t at = r * s->row + u;
            vf i = load(z), f = load(z + 16), g = load(z + 32), o = load(z + 48);
            vf t = tanh_(load(s->c + at)), dh = load(s->dh + at), dc = load(s->dc + at);
            vf zo = dh * t * logistic_slope(o);
            dc = fma_(dh * o, tanh_slope(t), dc);
            if (peephole)
                dc = fma_(zo, load(s->peephole + 2 * s->peephole_row + u), dc);
            vf zi = dc * g * logistic_slope(i);
            vf zf = dc * load(s->c_before + at) * logistic_slope(f);
            vf zg = dc * i * tanh_slope(g);
            dc = dc * f;
            if (peephole) {
                dc = fma_(zi, load(s->peephole + u), dc);
                dc = fma_(zf, load(s->peephole + s->peephole_row + u), dc);
            }
            store(z, zi);
            store(z + 16, zf);
            store(z + 32, zg);
            store(z + 48, zo);
            store(s->dc + at, dc);
        }
    }
}

void CRS_ISA(crs_lstm_forward)(const crs_cell_step *s) {
    lstm_forward(s, false);
}
void CRS_ISA(crs_lstm_backward)(const crs_cell_step *s) {
    lstm_backward(s, false);
}
void CRS_ISA(crs_peephole_forward)(const crs_cell_step *s) {
    lstm_forward(s, true);
}
void CRS_ISA(crs_peephole_backward)(const crs_cell_step *s) {
    lstm_backward(s, true);
}

/* Slots: n (its input part), r, z, and U h + b' of n, which the backward pass needs. */
void CRS_ISA(crs_gru_forward)(const crs_cell_step *s) {
    for (int row = 0; row < s->rows; row++) {
        float *gates = s->gates + row * s->gates_row;
        for (int u = 0; u < CRS_BLOCK; u += VL) {
            float *q = gates + u;
            vf dr = logistic_denominator(load(q + 16)), dz = logistic_denominator(load(q + 32));
            vf inverse = all(1.0f) / (dr * dz), r = inverse * dz, z = inverse * dr;
            vf n = tanh_(fma_(r, load(q + 48), load(q)));
            vf h = load(s->h_before + row * s->row + u);
            store(q, n);
            store(q + 16, r);
            store(q + 32, z);
            store(s->h + row * s->row + u, fma_(z, h - n, n));
        }
    }
}

void CRS_ISA(crs_gru_backward)(const crs_cell_step *s) {
    for (int row = 0; row < s->rows; row++) {
        float *gates = s->gates + row * s->gates_row;
        for (int u = 0; u < CRS_BLOCK; u += VL) {
            float *q = gates + u;
            const ptrdiff_t at = row * s->row + u;
            vf n = load(q), r = load(q + 16), z = load(q + 32), hidden = load(q + 48);
            vf dh = load(s->dh + at);
            vf dn = dh * (all(1.0f) - z) * tanh_slope(n);
            store(q, dn);
            store(q + 16, dn * hidden * logistic_slope(r));
            store(q + 32, dh * (load(s->h_before + at) - n) * logistic_slope(z));
            store(q + 48, dn * r);
            if (s->dh_before)
                store(s->dh_before + at, fma_(dh, z, load(s->dh_before + at)));
        }
    }
}

void CRS_ISA(crs_rnn_forward)(const crs_cell_step *s) {
    for (int r = 0; r < s->rows; r++)
        for (int u = 0; u < s->blocks * CRS_BLOCK; u += VL)
            store(s->h + r * s->row + u, tanh_(load(s->gates + r * s->gates_row + u)));
}

void CRS_ISA(crs_rnn_backward)(const crs_cell_step *s) {
    for (int r = 0; r < s->rows; r++)
        for (int u = 0; u < s->blocks * CRS_BLOCK; u += VL) {
            vf h = load(s->h + r * s->row + u);
            store(s->gates + r * s->gates_row + u, load(s->dh + r * s->row + u) * tanh_slope(h));
        }
}

void CRS_ISA(crs_exp)(float *values, size_t n) {
    for (size_t i = 0; i < n; i += VL)
        store(values + i, exp_(load(values + i)));
}

void CRS_ISA(crs_tanh)(float *values, size_t n) {
    for (size_t i = 0; i < n; i += VL)
        store(values + i, tanh_(load(values + i)));
}

void CRS_ISA(crs_logistic)(float *values, size_t n) {
    for (size_t i = 0; i < n; i += VL)
        store(values + i, logistic(load(values + i)));
}

/* 16 partial sums over the blocks, added in ascending order. */
double CRS_ISA(crs_softmax)(float *values, int columns, uint32_t target) {
    const int padded = (columns + CRS_BLOCK - 1) / CRS_BLOCK * CRS_BLOCK;
    for (int j = columns; j < padded; j++)
        values[j] = -__builtin_inff();
    float most = values[0];
    vf top[PARTS];
    for (int p = 0; p < PARTS; p++)
        top[p] = load(values + p * VL);
    for (int j = CRS_BLOCK; j < padded; j += CRS_BLOCK)
        for (int p = 0; p < PARTS; p++) {
            vf x = load(values + j + p * VL);
            top[p] = max_(x, top[p]);
        }
    for (int p = 0; p < PARTS; p++)
        for (int i = 0; i < VL; i++)
            most = top[p][i] > most ? top[p][i] : most;
    const float wanted = values[target];
    float partial[CRS_BLOCK] __attribute__((aligned(64)));
    vf sums[PARTS];
    for (int p = 0; p < PARTS; p++)
        sums[p] = (vf){0};
    for (int j = 0; j < padded; j += CRS_BLOCK)
        for (int p = 0; p < PARTS; p++) {
            vf e = exp_(load(values + j + p * VL) - all(most));
            sums[p] += e;
            store(values + j + p * VL, e);
        }
    for (int p = 0; p < PARTS; p++)
        store(partial + p * VL, sums[p]);
    double total = 0;
    for (int i = 0; i < CRS_BLOCK; i++)
        total += partial[i];
    const vf scale = all((float)(1.0 / total));
    for (int j = 0; j < padded; j += VL)
        store(values + j, load(values + j) * scale);
    values[target] -= 1.0f;
    return crs_log(total) + ((double)most - (double)wanted);
}
