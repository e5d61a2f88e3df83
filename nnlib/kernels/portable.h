/*
 * The kernels that all tables share: plain C, compiled once for each kind of processor. Their loops
 * have independent iterations and no branches, so that a compiler can turn them into vector code,
 * which changes no bit.
 */
#ifndef NN_KERNELS_PORTABLE_H
#define NN_KERNELS_PORTABLE_H

#include "../act.h"
#include "kernels.h"

/* byte / 255, correctly rounded: the 256 values that a pixel can have. */
#define BYTE_1(p) ((nn_real)(p) / 255)
#define BYTE_4(p) BYTE_1(p), BYTE_1((p) + 1), BYTE_1((p) + 2), BYTE_1((p) + 3)
#define BYTE_16(p) BYTE_4(p), BYTE_4((p) + 4), BYTE_4((p) + 8), BYTE_4((p) + 12)
#define BYTE_64(p) BYTE_16(p), BYTE_16((p) + 16), BYTE_16((p) + 32), BYTE_16((p) + 48)
static const nn_real byte_value[256] = {BYTE_64(0), BYTE_64(64), BYTE_64(128), BYTE_64(192)};

static inline const uint8_t *sample_pixels(const nn_pixel_batch *batch, size_t b)
{
    return batch->pixels + (batch->index ? batch->index[b] : b) * batch->inputs;
}

#define ACTIVATE(constant, name, function)                                                         \
    static void activate_##function(nn_real *z, nn_real *slope, size_t count)                      \
    {                                                                                              \
        for (size_t k = 0; k < count; k++) {                                                       \
            z[k] = nn_##function##_value(z[k]);                                                    \
        }                                                                                          \
        for (size_t k = 0; slope && k < count; k++) {                                              \
            slope[k] = nn_##function##_slope(z[k]);                                                \
        }                                                                                          \
    }
NN_UNIT_ACTIVATIONS(ACTIVATE)
#undef ACTIVATE

static void portable_activate(nn_activation activation, nn_real *z, nn_real *slope, size_t count)
{
#define ROW(constant, name, function) [constant] = activate_##function,
    static void (*const table[NN_N_ACTIVATIONS])(nn_real *, nn_real *,
                                                 size_t) = {NN_UNIT_ACTIVATIONS(ROW)};
#undef ROW
    table[activation](z, slope, count);
}

/* z[k] = exp(a[k] - largest) for k < units, else 0; returns their sum in the contract's order. */
static inline nn_real exponentials(nn_real *z, size_t stride, size_t units, nn_real largest)
{
    nn_real partial[NN_LANES] = {0};
    for (size_t k = 0; k < stride; k++) {
        z[k] = nn_exp(z[k] - largest);
    }
    for (size_t k = units; k < stride; k++) {
        z[k] = 0;
    }
    for (size_t k = 0; k < stride; k += NN_LANES) {
        for (size_t lane = 0; lane < NN_LANES; lane++) {
            partial[lane] += z[k + lane];
        }
    }
    for (size_t half = NN_LANES / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            partial[lane] += partial[lane + half];
        }
    }
    return partial[0];
}

/* The largest value is taken off first, so that exp cannot overflow; it cancels in the quotient.
 */
static void portable_softmax(nn_real *z, size_t stride, nn_sum *sums, size_t n, size_t units)
{
    for (size_t b = 0; b < n; b++) {
        nn_real *row = z + b * stride;
        nn_real largest = row[0];
        for (size_t k = 1; k < units; k++) {
            largest = row[k] > largest ? row[k] : largest;
        }
        nn_real sum = exponentials(row, stride, units, largest);
        for (size_t k = 0; k < stride; k++) {
            row[k] /= sum;
        }
        sums[b] = (nn_sum){largest, sum};
    }
}

static void portable_gradient_bias(nn_real *gb, const nn_real *delta, size_t stride, size_t n)
{
    memset(gb, 0, stride * sizeof *gb);
    for (size_t b = 0; b < n; b++) {
        for (size_t o = 0; o < stride; o++) {
            gb[o] += delta[b * stride + o];
        }
    }
}

#endif
