/*
 * Arithmetic on nn_real that gives the same bits on every machine.
 *
 * The C library's exp and tanh differ between systems in the last bit. Float training therefore
 * uses polynomials evaluated in a fixed order; every operation in them is one that IEEE 754
 * rounds correctly. They are written without branches, so that a compiler can turn a loop over
 * them into vector code, which changes no bit. The double build, which only tests use, takes the
 * C library's functions for their accuracy.
 */
#ifndef NN_REAL_H
#define NN_REAL_H

#include "nnlib.h"
#include "wraps.h"

#include <math.h>
#include <string.h>

/* Units of a layer are padded to a multiple of this, on every machine, so that a row of weights
 * fills whole vectors. The padding of weights and deltas stays 0. */
#define NN_LANES ((size_t)16)

static inline size_t nn_padded(size_t units)
{
    return (units + NN_LANES - 1) / NN_LANES * NN_LANES;
}

/* x, or +0 where its magnitude is below NN_FLOOR; NaN passes. */
static inline nn_real nn_flush(nn_real x)
{
    const nn_real floor = (nn_real)NN_FLOOR;
    return x < floor && x > -floor ? 0 : x;
}

/* ln x for finite x > 0 (not subnormal), to about 1e-16: x = m 2^e with m from sqrt(1/2) to
 * sqrt(2), and ln m = 2 artanh s = 2 (s + s^3/3 + s^5/5 + ...) with s = (m-1) / (m+1). */
NN_WRAPS static inline double nn_log(double x)
{
    const uint64_t root_half = 0x3fe6a09e667f3bcd, bias = (uint64_t)1024 << 52;
    uint64_t bits;
    double m, sum = 0.0;
    memcpy(&bits, &x, sizeof bits);
    uint64_t biased = (bits - root_half + bias) >> 52; /* e + 1024 */
    bits -= (biased - 1024) << 52;
    memcpy(&m, &bits, sizeof m);
    double s = (m - 1.0) / (m + 1.0), s2 = s * s;
    for (int k = 21; k >= 1; k -= 2) {
        sum = sum * s2 + 1.0 / k;
    }
    return 2.0 * s * sum + ((double)(int32_t)biased - 1024.0) * 0.69314718055994531;
}

#ifdef NN_DOUBLE

static inline nn_real nn_fma(nn_real x, nn_real y, nn_real z)
{
    return fma(x, y, z);
}

static inline nn_real nn_exp(nn_real x)
{
    return exp(x);
}

static inline nn_real nn_tanh(nn_real x)
{
    return tanh(x);
}

#else

static inline nn_real nn_fma(nn_real x, nn_real y, nn_real z)
{
    return fmaf(x, y, z);
}

/* exp x to about 1 ulp, for x cut to [-87, 87]; NaN gives NaN. With n = round(x / ln 2) and
 * r = x - n ln 2, exp x = 2^n exp r; ln 2 is split in two so that r keeps its last bits. The
 * coefficients minimise the largest relative error over |r| <= ln 2 / 2 (3e-9). */
NN_WRAPS static inline nn_real nn_exp(nn_real x)
{
    const float shift = 0x1.8p23f; /* adding it rounds to an integer, left in the low bits */
    x = x < -87.0f ? -87.0f : x;
    x = x > 87.0f ? 87.0f : x;
    float shifted = fmaf(x, 0x1.715476p0f, shift);
    float n = shifted - shift;
    float r = fmaf(n, -0x1.62e4p-1f, x);
    r = fmaf(n, -0x1.7f7d1cp-20f, r);
    float q = fmaf(0x1.6a244cp-10f, r, 0x1.1239d4p-7f);
    q = fmaf(q, r, 0x1.5558f2p-5f);
    q = fmaf(q, r, 0x1.555492p-3f);
    q = fmaf(q, r, 0x1.fffffcp-2f);
    float p = fmaf(q * r, r, r) + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + (UINT32_C(127) << 23); /* the low bits of shifted are n */
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* tanh x to a few ulp: an odd polynomial near 0, where the other form would cancel, and
 * 1 - 2 / (exp 2|x| + 1) elsewhere. */
static inline nn_real nn_tanh(nn_real x)
{
    float u = x * x;
    float q = fmaf(-0x1.75e1ccp-8f, u, 0x1.52269ap-6f);
    q = fmaf(q, u, -0x1.b83c5ap-5f);
    q = fmaf(q, u, 0x1.110726p-3f);
    q = fmaf(q, u, -0x1.555532p-2f);
    float near_zero = fmaf(q * u, x, x);
    float magnitude = fabsf(x);
    float far = copysignf(1.0f - 2.0f / (nn_exp(2.0f * magnitude) + 1.0f), x);
    return magnitude < 0.625f ? near_zero : far;
}

#endif
#endif
