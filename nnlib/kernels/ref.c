/*
 * The reference kernels: the contract of kernels.h in plain C, for any processor and for float and
 * double. What kernels differ in is here; what they share is in portable.h.
 */
#include "portable.h"

static void ref_load_pixels(nn_real *x, size_t x_stride, const nn_pixel_batch *batch)
{
    for (size_t b = 0; b < batch->n; b++) {
        const uint8_t *pixels = sample_pixels(batch, b);
        for (size_t i = 0; i < batch->inputs; i++) {
            x[b * x_stride + i] = byte_value[pixels[i]];
        }
    }
}

/* sum[o] += value w[o] for a row of weights. */
static inline void add_row(nn_real *sum, nn_real value, const nn_real *w, size_t stride)
{
    for (size_t o = 0; o < stride; o++) {
        sum[o] = nn_fma(value, w[o], sum[o]);
    }
}

static inline void add_bias(nn_real *sum, const nn_real *bias, size_t stride)
{
    for (size_t o = 0; o < stride; o++) {
        sum[o] += bias[o];
    }
}

static size_t ref_scratch_size(size_t inputs, size_t units)
{
    (void)inputs;
    (void)units;
    return 0;
}

static void ref_forward(nn_real *a, size_t stride, const nn_real *x, size_t x_stride,
                        const nn_real *w, const nn_real *bias, size_t n, size_t inputs,
                        size_t width, const nn_work *work)
{
    (void)work;
    for (size_t b = 0; b < n; b++) {
        memset(a + b * stride, 0, width * sizeof *a);
        for (size_t i = 0; i < inputs; i++) {
            add_row(a + b * stride, x[b * x_stride + i], w + i * stride, width);
        }
        add_bias(a + b * stride, bias, width);
    }
}

static void ref_forward_pixels(nn_real *a, size_t stride, nn_real *x, size_t x_stride,
                               const nn_pixel_batch *batch, const nn_real *w, const nn_real *bias,
                               uint32_t *lists, const nn_work *work)
{
    (void)x;
    (void)x_stride;
    (void)lists;
    (void)work;
    memset(a, 0, batch->n * stride * sizeof *a);
    for (size_t b = 0; b < batch->n; b++) {
        const uint8_t *pixels = sample_pixels(batch, b);
        for (size_t i = 0; i < batch->inputs; i++) {
            if (pixels[i] != 0) {
                add_row(a + b * stride, byte_value[pixels[i]], w + i * stride, stride);
            }
        }
        add_bias(a + b * stride, bias, stride);
    }
}

static void ref_backward(nn_real *delta_in, size_t in_stride, const nn_real *slope,
                         const nn_real *delta, size_t stride, const nn_real *w, size_t n,
                         size_t inputs, size_t units, const nn_work *work)
{
    (void)work;
    for (size_t b = 0; b < n; b++) {
        for (size_t i = 0; i < inputs; i++) {
            nn_real sum = 0;
            for (size_t o = 0; o < units; o++) {
                sum = nn_fma(w[i * stride + o], delta[b * stride + o], sum);
            }
            delta_in[b * in_stride + i] = nn_flush(sum * slope[b * in_stride + i]);
        }
    }
}

static void ref_gradient(nn_real *gw, const nn_real *x, size_t x_stride, const nn_real *delta,
                         size_t stride, size_t n, size_t inputs)
{
    memset(gw, 0, inputs * stride * sizeof *gw);
    for (size_t b = 0; b < n; b++) {
        for (size_t i = 0; i < inputs; i++) {
            add_row(gw + i * stride, x[b * x_stride + i], delta + b * stride, stride);
        }
    }
}

static void ref_gradient_pixels(nn_real *gw, nn_real *x, const nn_pixel_batch *batch,
                                const nn_real *delta, size_t stride)
{
    (void)x;
    memset(gw, 0, batch->inputs * stride * sizeof *gw);
    for (size_t b = 0; b < batch->n; b++) {
        const uint8_t *pixels = sample_pixels(batch, b);
        for (size_t i = 0; i < batch->inputs; i++) {
            if (pixels[i] != 0) {
                add_row(gw + i * stride, byte_value[pixels[i]], delta + b * stride, stride);
            }
        }
    }
}

static void ref_gradient_bias(nn_real *gb, const nn_real *delta, size_t stride, size_t n)
{
    memset(gb, 0, stride * sizeof *gb);
    for (size_t b = 0; b < n; b++) {
        for (size_t o = 0; o < stride; o++) {
            gb[o] += delta[b * stride + o];
        }
    }
}

static void ref_step(nn_real *w, nn_real *v, const nn_real *g, size_t count, const nn_step *step)
{
    const nn_real mu = step->learning_rate, m = step->momentum, l2 = step->l2;
    for (size_t k = 0; k < count; k++) {
        nn_real slope = nn_fma(l2, w[k], g[k]);
        v[k] = nn_flush(nn_fma(m, v[k], -(mu * slope)));
        w[k] += v[k];
    }
}

static void ref_learn(nn_real *w, nn_real *v, nn_real *g, const nn_real *x, size_t x_stride,
                      const nn_real *delta, size_t stride, size_t n, size_t inputs, size_t width,
                      const nn_step *step, const nn_work *work)
{
    (void)work;
    for (size_t i = 0; i < inputs; i++) {
        nn_real *row = g + i * stride;
        memset(row, 0, width * sizeof *row);
        for (size_t b = 0; b < n; b++) {
            add_row(row, x[b * x_stride + i], delta + b * stride, width);
        }
        ref_step(w + i * stride, v + i * stride, row, width, step);
    }
}

static void ref_learn_pixels(nn_real *w, nn_real *v, nn_real *g, nn_real *x, size_t x_stride,
                             const nn_pixel_batch *batch, const nn_real *delta, size_t stride,
                             const nn_step *step, uint32_t *lists, const nn_work *work)
{
    (void)work;
    (void)x_stride;
    (void)lists;
    ref_gradient_pixels(g, x, batch, delta, stride);
    ref_step(w, v, g, batch->inputs * stride, step);
}

const nn_kernels nn_kernels_ref = {
    .name = "ref",
    .load_pixels = ref_load_pixels,
    .scratch_size = ref_scratch_size,
    .forward = ref_forward,
    .forward_pixels = ref_forward_pixels,
    .activate = portable_activate,
    .softmax = portable_softmax,
    .backward = ref_backward,
    .gradient = ref_gradient,
    .gradient_pixels = ref_gradient_pixels,
    .log_sums = portable_log_sums,
    .count_right = portable_count_right,
    .output_delta = portable_output_delta,
    .gradient_bias = ref_gradient_bias,
    .step = ref_step,
    .learn = ref_learn,
    .learn_pixels = ref_learn_pixels,
};
