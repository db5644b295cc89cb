/* exp, log and cos from +, -, * and / alone, each sum in one fixed order. */
#include "config.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "carousel/base.h"

_Static_assert(FLT_EVAL_METHOD == 0, "a double expression is computed in double");

/* ln 2 in two parts; the first has 37 bits, so that its product with any exponent is exact. */
static const double ln2_high = 0x1.62e42fefap-1, ln2_low = 0x3.9ef35793c7673007e5p-41;
static const double inverse_ln2 = 0x1.71547652b82fe1777dp0;
static const double pi = 0x3.243f6a8885a308d313p0;

static double from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* 2^k for a k whose power is a normal number. */
static double power_of_two(int k) {
    return from_bits((uint64_t)(k + 1023) << 52);
}

/* c[0] x^(count - 1) + ... + c[count - 1]. */
static inline double polynomial(const double *c, int count, double x) {
    double sum = c[0];
    for (int i = 1; i < count; i++)
        sum = sum * x + c[i];
    return sum;
}

/* With x = k ln 2 + r and |r| <= ln 2 / 2, exp x = 2^k (1 + (r + r^2 P(r))), P the Taylor series of (exp r - 1 - r) /
 * r^2. The first term left out, r^14 / 14!, is below 2^-57. */
double crs_exp(double x) {
    if (x != x)
        return x;
    if (x > 710.0)
        return INFINITY;
    if (x < -746.0)
        return 0.0;
    int k = (int)(x * inverse_ln2 + (x < 0.0 ? -0.5 : 0.5));
    double high = x - (double)k * ln2_high, low = (double)k * ln2_low;
    double r = high - low;
    static const double c[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
                               1.0 / 362880.0,     1.0 / 40320.0,     1.0 / 5040.0,     1.0 / 720.0,
                               1.0 / 120.0,        1.0 / 24.0,        1.0 / 6.0,        0.5};
    double p = polynomial(c, sizeof c / sizeof *c, r);
    /* high + (r^2 P - low) rather than r + r^2 P: what r lost in rounding comes back. */
    double y = 1.0 + (high + (r * r * p - low));
    int half = k / 2;
    return y * power_of_two(half) * power_of_two(k - half);
}

/* With x = 2^k (1 + f), 1 + f between sqrt 1/2 and sqrt 2, and s = f / (2 + f):
 * log(1 + f) = 2 artanh s = f - s (f - R), R = 2 s^2/3 + 2 s^4/5 + ...; the first term left out is below 2^-60 of the
 * whole. */
double crs_log(double x) {
    if (x != x || x < 0.0)
        return NAN;
    if (x == 0.0)
        return -INFINITY;
    if (x > DBL_MAX)
        return INFINITY;
    int k = 0;
    if (x < DBL_MIN) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits = to_bits(x), fraction = bits & 0xfffffffffffffu;
    k += (int)(bits >> 52) - 1023;
    double m = from_bits(fraction | (uint64_t)1023 << 52);
    if (m > 0x1.6a09e667f3bcdp0) {
        m *= 0.5;
        k++;
    }
    double f = m - 1.0, s = f / (2.0 + f), z = s * s;
    static const double c[] = {2.0 / 23.0, 2.0 / 21.0, 2.0 / 19.0, 2.0 / 17.0, 2.0 / 15.0, 2.0 / 13.0,
                               2.0 / 11.0, 2.0 / 9.0,  2.0 / 7.0,  2.0 / 5.0,  2.0 / 3.0};
    double r = polynomial(c, sizeof c / sizeof *c, z);
    double correction = s * (f - z * r);
    return (double)k * ln2_high + (f - (correction - (double)k * ln2_low));
}

/* The Taylor series to y^16, for |y| <= pi / 4. */
static double cos_small(double y) {
    static const double c[] = {1.0 / 20922789888000.0, -1.0 / 87178291200.0, 1.0 / 479001600.0, -1.0 / 3628800.0,
                               1.0 / 40320.0,          -1.0 / 720.0,         1.0 / 24.0,        -0.5};
    double z = y * y;
    return 1.0 + polynomial(c, sizeof c / sizeof *c, z) * z;
}

/* The Taylor series to y^17, for |y| <= pi / 4. */
static double sin_small(double y) {
    static const double c[] = {1.0 / 355687428096000.0, -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0,
                               1.0 / 362880.0,          -1.0 / 5040.0,          1.0 / 120.0,        -1.0 / 6.0};
    double z = y * y;
    return y + y * z * polynomial(c, sizeof c / sizeof *c, z);
}

double crs_cospi(double x) {
    CRS_ASSERT(x >= 0.0 && x <= 1.0);
    /* 1 - x and 0.5 - x are exact where they are used. */
    double t = x > 0.5 ? 1.0 - x : x;
    double c = t <= 0.25 ? cos_small(pi * t) : sin_small(pi * (0.5 - t));
    return x > 0.5 ? -c : c;
}

double crs_power(double x, uint64_t n) {
    double power = 1.0;
    for (; n; n >>= 1) {
        if (n & 1)
            power *= x;
        x *= x;
    }
    return power;
}
