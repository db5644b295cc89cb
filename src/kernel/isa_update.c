/* Optimizers: elementwise, so the bits depend on nothing but the element. Formulas: carousel/kernel.h. */
#include "config.h"

#include "isa.h"

CRS_INLINE vf root(vf x) {
    vf r;
    CRS_SIMD
    for (int i = 0; i < VL; i++)
        r[i] = __builtin_sqrtf(x[i]);
    return r;
}

static void adam(const crs_update *u) {
    const vf a = all(1.0f - u->beta1), b = all(1.0f - u->beta2);
    const vf step = all(u->rate / u->correction1), shrink = all(__builtin_sqrtf(u->correction2));
    const vf decay = all(u->rate * u->weight_decay);
    for (size_t i = 0; i < u->n; i += VL) {
        vf w = load(u->values + i), g = load(u->gradient + i) * all(u->scale);
        vf m = load(u->first + i), v = load(u->second + i);
        m = fma_(a, g - m, m);
        v = fma_(b, g * g - v, v);
        w = fma_(-decay, w, w);
        w -= step * m / (root(v) / shrink + all(u->epsilon));
        store(u->first + i, m);
        store(u->second + i, v);
        store(u->values + i, w);
    }
}

static void rmsprop(const crs_update *u) {
    const vf b = all(1.0f - u->beta2), decay = all(u->rate * u->weight_decay);
    for (size_t i = 0; i < u->n; i += VL) {
        vf w = load(u->values + i), g = load(u->gradient + i) * all(u->scale), v = load(u->second + i);
        v = fma_(b, g * g - v, v);
        w = fma_(-decay, w, w);
        w -= all(u->rate) * g / (root(v) + all(u->epsilon));
        store(u->second + i, v);
        store(u->values + i, w);
    }
}

static void adagrad(const crs_update *u) {
    const vf decay = all(u->rate * u->weight_decay);
    for (size_t i = 0; i < u->n; i += VL) {
        vf w = load(u->values + i), g = load(u->gradient + i) * all(u->scale), v = load(u->second + i);
        v = fma_(g, g, v);
        w = fma_(-decay, w, w);
        w -= all(u->rate) * g / (root(v) + all(u->epsilon));
        store(u->second + i, v);
        store(u->values + i, w);
    }
}

static void sgd(const crs_update *u) {
    const vf decay = all(u->rate * u->weight_decay);
    for (size_t i = 0; i < u->n; i += VL) {
        vf w = load(u->values + i), g = load(u->gradient + i) * all(u->scale);
        if (u->first) {
            g = fma_(all(u->beta1), load(u->first + i), g);
            store(u->first + i, g);
        }
        w = fma_(-decay, w, w);
        store(u->values + i, fma_(-all(u->rate), g, w));
    }
}

void CRS_ISA(crs_update)(const crs_update *u) {
    static void (*const by_optimizer[CRS_OPTIMIZERS])(const crs_update *) = {
        [CRS_ADAM] = adam, [CRS_RMSPROP] = rmsprop, [CRS_SGD] = sgd, [CRS_ADAGRAD] = adagrad};
    by_optimizer[u->optimizer](u);
}
