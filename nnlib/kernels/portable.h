/*
 * The kernels that all tables share: plain C, compiled once for each kind of processor. Their loops
 * have independent iterations and no branches, so that a compiler can turn them into vector code,
 * which changes no bit.
 */
#ifndef NN_KERNELS_PORTABLE_H
#define NN_KERNELS_PORTABLE_H

#include "../act.h"
#include "../loss.h"
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

static inline const uint8_t *sample_ink(const nn_pixel_batch *batch, size_t b)
{
    return nn_ink_record(batch->ink, batch->index ? batch->index[b] : b);
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

/* ---- outputs and targets ---- */

static void portable_log_sums(double *logs, const nn_sum *sums, size_t n)
{
    for (size_t b = 0; b < n; b++) {
        logs[b] = nn_log_sum(sums[b]);
    }
}

static inline size_t target_place(const nn_targets *targets, size_t b)
{
    return targets->index ? targets->index[b] : b;
}

static size_t portable_count_right(const nn_real *z, size_t stride, size_t units,
                                   const nn_targets *targets, size_t n)
{
    size_t right = 0;
    for (size_t b = 0; b < n; b++) {
        const uint8_t label = targets->labels[target_place(targets, b)];
        right += nn_is_largest(z + b * stride, units, label);
    }
    return right;
}

/* dC/da of a unit; the loss is a constant wherever this is called. */
static inline nn_real loss_slope(const nn_loss loss, nn_real z, nn_real y, nn_real slope)
{
#define ROW(constant, function)                                                                    \
    if (loss == (constant)) {                                                                      \
        return nn_##function(z, y, slope);                                                         \
    }
    NN_LOSS_SLOPES(ROW)
#undef ROW
    return 0;
}

/* As output_delta, for one sample with targets y. */
static inline void value_delta(const nn_loss loss, nn_real *delta, const nn_real *z,
                               const nn_real *slope, size_t units, const nn_real *y, nn_real share)
{
    for (size_t o = 0; o < units; o++) {
        delta[o] = nn_flush(loss_slope(loss, z[o], y[o], slope[o]) * share);
    }
    memset(delta + units, 0, (nn_padded(units) - units) * sizeof *delta);
}

/* The same for NN_LANES units of all samples, with targets that are all 0. Units that are padding
 * have no share. */
static inline void zero_deltas(const nn_loss loss, nn_real *delta, const nn_real *z,
                               const nn_real *slope, size_t stride, size_t n,
                               const nn_real shares[NN_LANES])
{
    for (size_t b = 0; b < n; b++, delta += stride, z += stride, slope += stride) {
        nn_real d[NN_LANES];
        for (size_t k = 0; k < NN_LANES; k++) {
            d[k] = nn_flush(loss_slope(loss, z[k], 0, slope[k]) * shares[k]);
        }
        memcpy(delta, d, sizeof d);
    }
}

/* The same for labels: all targets are 0, and then one of them is 1. */
static inline void label_deltas(const nn_loss loss, nn_real *delta, const nn_real *z,
                                const nn_real *slope, size_t stride, size_t units,
                                const nn_targets *targets, size_t n, nn_real share)
{
    for (size_t o = 0; o < stride; o += NN_LANES) {
        nn_real shares[NN_LANES];
        for (size_t k = 0; k < NN_LANES; k++) {
            shares[k] = o + k < units ? share : 0;
        }
        zero_deltas(loss, delta + o, z + o, slope + o, stride, n, shares);
    }
    for (size_t b = 0; b < n; b++) {
        const size_t o = b * stride + targets->labels[target_place(targets, b)];
        delta[o] = nn_flush(loss_slope(loss, z[o], 1, slope[o]) * share);
    }
}

static inline void deltas(const nn_loss loss, nn_real *delta, const nn_real *z,
                          const nn_real *slope, size_t stride, size_t units,
                          const nn_targets *targets, size_t n, nn_real share)
{
    if (targets->labels) {
        label_deltas(loss, delta, z, slope, stride, units, targets, n, share);
        return;
    }
    for (size_t b = 0; b < n; b++) {
        const nn_real *y = targets->values + target_place(targets, b) * targets->outputs;
        const size_t from = b * stride;
        value_delta(loss, delta + from, z + from, slope + from, units, y, share);
    }
}

static void portable_output_delta(nn_loss loss, nn_real *delta, const nn_real *z,
                                  const nn_real *slope, size_t stride, size_t units,
                                  const nn_targets *targets, size_t n, nn_real share)
{
    switch (loss) {
#define CASE(constant, function)                                                                   \
    case constant:                                                                                 \
        deltas(constant, delta, z, slope, stride, units, targets, n, share);                       \
        break;
        NN_LOSS_SLOPES(CASE)
#undef CASE
    case NN_N_LOSSES:
        break;
    }
}

#endif
