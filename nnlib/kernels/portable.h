/*
 * The kernels in plain C. ref.c compiles them for any processor; the vector kernels compile the
 * same text for theirs and replace what is worth writing by hand. The loops over lanes have
 * independent iterations, so that a compiler may turn them into vector code.
 */
#ifndef NN_KERNELS_PORTABLE_H
#define NN_KERNELS_PORTABLE_H

#include "../act.h"
#include "kernels.h"

static void portable_load_pixels(nn_real *x, size_t x_stride, const uint8_t *pixels,
                                 const uint32_t *index, size_t n, size_t inputs)
{
    for (size_t b = 0; b < n; b++) {
        const uint8_t *from = pixels + (index ? index[b] : b) * inputs;
        nn_real *to = x + b * x_stride;
        for (size_t i = 0; i < inputs; i++) {
            to[i] = (nn_real)from[i] / 255;
        }
    }
}

static void portable_forward(nn_real *a, size_t stride, const nn_real *x, size_t x_stride,
                             const nn_real *w, const nn_real *bias, size_t n, size_t inputs)
{
    for (size_t b = 0; b < n; b++) {
        nn_real *sum = a + b * stride;
        memset(sum, 0, stride * sizeof *sum);
        for (size_t i = 0; i < inputs; i++) {
            nn_real value = x[b * x_stride + i];
            if (value != 0) {
                for (size_t o = 0; o < stride; o++) {
                    sum[o] = nn_fma(value, w[i * stride + o], sum[o]);
                }
            }
        }
        for (size_t o = 0; o < stride; o++) {
            sum[o] += bias[o];
        }
    }
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
    static void (*const table[NN_N_ACTIVATIONS])(nn_real *, nn_real *, size_t) = {
        NN_UNIT_ACTIVATIONS(ROW)};
#undef ROW
    table[activation](z, slope, count);
}

/* The largest value is taken off first, so that exp cannot overflow; it cancels in the quotient. */
static void portable_softmax(nn_real *z, size_t stride, double *log_sum, size_t n, size_t units)
{
    for (size_t b = 0; b < n; b++) {
        nn_real *row = z + b * stride;
        nn_real largest = row[0], sum = 0;
        for (size_t k = 1; k < units; k++) {
            largest = row[k] > largest ? row[k] : largest;
        }
        for (size_t k = 0; k < stride; k++) {
            row[k] = nn_exp(row[k] - largest);
        }
        for (size_t k = 0; k < units; k++) {
            sum += row[k];
        }
        for (size_t k = 0; k < units; k++) {
            row[k] /= sum;
        }
        memset(row + units, 0, (stride - units) * sizeof *row);
        log_sum[b] = (double)largest + (sum > 0 ? nn_log((double)sum) : (double)sum);
    }
}

static void portable_backward(nn_real *delta_in, size_t in_stride, const nn_real *slope,
                              const nn_real *delta, size_t stride, const nn_real *w, size_t n,
                              size_t inputs, size_t units)
{
    for (size_t b = 0; b < n; b++) {
        for (size_t i = 0; i < inputs; i++) {
            nn_real sum = 0;
            for (size_t o = 0; o < units; o++) {
                sum = nn_fma(w[i * stride + o], delta[b * stride + o], sum);
            }
            delta_in[b * in_stride + i] = sum * slope[b * in_stride + i];
        }
    }
}

static void portable_gradient(nn_real *gw, nn_real *gb, const nn_real *x, size_t x_stride,
                              const nn_real *delta, size_t stride, size_t n, size_t inputs)
{
    memset(gw, 0, inputs * stride * sizeof *gw);
    memset(gb, 0, stride * sizeof *gb);
    for (size_t b = 0; b < n; b++) {
        const nn_real *d = delta + b * stride;
        for (size_t i = 0; i < inputs; i++) {
            nn_real value = x[b * x_stride + i];
            if (value != 0) {
                for (size_t o = 0; o < stride; o++) {
                    gw[i * stride + o] = nn_fma(value, d[o], gw[i * stride + o]);
                }
            }
        }
        for (size_t o = 0; o < stride; o++) {
            gb[o] += d[o];
        }
    }
}

static void portable_step(nn_real *w, nn_real *v, const nn_real *g, size_t count, nn_real mu,
                          nn_real m, nn_real l2)
{
    const nn_real floor = (nn_real)NN_VELOCITY_FLOOR;
    for (size_t k = 0; k < count; k++) {
        nn_real slope = nn_fma(l2, w[k], g[k]);
        nn_real velocity = nn_fma(m, v[k], -(mu * slope));
        velocity = velocity < floor && velocity > -floor ? 0 : velocity;
        v[k] = velocity;
        w[k] += velocity;
    }
}

#endif
