/*
 * The kernel table: all arithmetic that takes time.
 *
 * THE CONTRACT. Every sum of products is one chain of fused multiply-adds, in rising order of the
 * summation index, starting at +0; what is not a product is added after the chain. Vector lanes
 * run over independent outputs, never along a sum. So a wider vector, another compiler, another
 * order of the loops or more threads give the same bits, and ref.c, which is the contract in
 * plain C, agrees with every other kernel bit for bit.
 *
 * A product with an exact zero factor (the other factor finite) may be left out: it could change a
 * sum only from -0 to +0, and no caller can tell the two apart, because the bias is added last and
 * a velocity of -0 is flushed to +0.
 *
 * Shapes: a row of a layer's outputs is padded to `stride` values, a multiple of NN_LANES;
 * weights are [inputs][stride], row i holding what leaves input i.
 *   b sample of the batch   i input unit   o output unit   n samples
 */
#ifndef NN_KERNELS_H
#define NN_KERNELS_H

#include "../real.h"
#include "../team.h"

/* The samples of a batch as bytes: sample b is pixels + index[b] * inputs, or + b * inputs if index
 * is NULL; the network sees x[b][i] = byte / 255. */
typedef struct {
    const uint8_t *pixels;
    const uint32_t *index;
    size_t n, inputs;
    size_t ahead;  /* so many samples more will come in the next batch */
    bool learning; /* learn_pixels follows forward_pixels */
} nn_pixel_batch;

/* Work space of the kernels that take bytes: x has rows of at least NN_X_STRIDE numbers, lists
 * NN_LISTS_SIZE entries for batches of up to n samples. */
#define NN_X_STRIDE(inputs) (nn_padded(inputs) + NN_LANES)
#define NN_LISTS_SIZE(n, inputs) (((n) / 5 + 2) * ((inputs) + NN_LANES + 1))

typedef struct {
    nn_real learning_rate, momentum, l2; /* mu, m, l2 */
} nn_step;

/* A sum of exponentials: exp(largest) * rest, the largest exponent having been taken off first. */
typedef struct {
    nn_real largest, rest;
} nn_sum;

/* Its logarithm; NaN where it is not finite, as nn_log takes only finite numbers. */
static inline double nn_log_sum(nn_sum s)
{
    return (double)s.largest + (nn_log((double)s.rest) + (double)(s.rest - s.rest));
}

/* What a layer's kernels work with. */
typedef struct {
    nn_real *scratch; /* scratch_size numbers for each thread */
    nn_team *team;    /* shares out what is large enough; NULL: the caller alone */
} nn_work;

typedef struct {
    const char *name;

    /* x[b][i] as above; the padding of x stays as it is. */
    void (*load_pixels)(nn_real *x, size_t x_stride, const nn_pixel_batch *batch);

    /* Numbers of scratch space that a layer's kernels need for each thread. */
    size_t (*scratch_size)(size_t inputs, size_t units);

    /* a[b][o] = (sum over i of x[b][i] w[i][o]) + bias[o] for o < width, a multiple of NN_LANES */
    void (*forward)(nn_real *a, size_t stride, const nn_real *x, size_t x_stride, const nn_real *w,
                    const nn_real *bias, size_t n, size_t inputs, size_t width,
                    const nn_work *work);

    /* The same from bytes. x[n][x_stride] and lists are work space, see NN_LISTS_SIZE. */
    void (*forward_pixels)(nn_real *a, size_t stride, nn_real *x, size_t x_stride,
                           const nn_pixel_batch *batch, const nn_real *w, const nn_real *bias,
                           uint32_t *lists, const nn_work *work);

    /* z = h(a) in place for `count` values; slope[] = h'(a) too, unless it is NULL */
    void (*activate)(nn_activation activation, nn_real *z, nn_real *slope, size_t count);

    /* z[b][] = softmax of a[b][0..units-1] in place, padding 0; sums[b] is sum exp a[b][] in parts.
     * The sum over k: one partial sum for each k mod NN_LANES, in rising order of k; then the upper
     * half of the partial sums is added to the lower half until one is left. */
    void (*softmax)(nn_real *z, size_t stride, nn_sum *sums, size_t n, size_t units);

    /* delta_in[b][i] = (sum over o < units of w[i][o] delta[b][o]) slope[b][i], +0 if its magnitude
     * is below NN_FLOOR; padding stays 0 */
    void (*backward)(nn_real *delta_in, size_t in_stride, const nn_real *slope,
                     const nn_real *delta, size_t stride, const nn_real *w, size_t n, size_t inputs,
                     size_t units, const nn_work *work);

    /* gw[i][o] = sum over b of x[b][i] delta[b][o] */
    void (*gradient)(nn_real *gw, const nn_real *x, size_t x_stride, const nn_real *delta,
                     size_t stride, size_t n, size_t inputs);

    /* The same from bytes; x and lists as above. */
    void (*gradient_pixels)(nn_real *gw, nn_real *x, size_t x_stride, const nn_pixel_batch *batch,
                            const nn_real *delta, size_t stride, uint32_t *lists);

    /* gb[o] = sum over b of delta[b][o] */
    void (*gradient_bias)(nn_real *gb, const nn_real *delta, size_t stride, size_t n);

    /* g = fma(l2, w, g);  v = fma(m, v, -(mu g)), +0 if |v| < NN_FLOOR;  w = w + v */
    void (*step)(nn_real *w, nn_real *v, const nn_real *g, size_t count, const nn_step *step);

    /* gradient and step in one, for o < width; g[inputs][stride] is work space. */
    void (*learn)(nn_real *w, nn_real *v, nn_real *g, const nn_real *x, size_t x_stride,
                  const nn_real *delta, size_t stride, size_t n, size_t inputs, size_t width,
                  const nn_step *step, const nn_work *work);

    /* The same from bytes, for all units; x and lists are as forward_pixels left them. */
    void (*learn_pixels)(nn_real *w, nn_real *v, nn_real *g, nn_real *x, size_t x_stride,
                         const nn_pixel_batch *batch, const nn_real *delta, size_t stride,
                         const nn_step *step, uint32_t *lists, const nn_work *work);
} nn_kernels;

/* Layers of more units than this are wide: a team may share their work. */
#define NN_NARROW ((size_t)64)

/* A product of fewer multiplications than this is done before other threads have woken up. */
#define NN_WORTH_SHARING ((size_t)1 << 22)

extern const nn_kernels nn_kernels_ref;
extern const nn_kernels nn_kernels_avx2;
extern const nn_kernels nn_kernels_avx512;
extern const nn_kernels nn_kernels_neon;

/* Finds the best table for this processor, or the one that the environment variable NN_KERNEL
 * names. NN_ERR_ARGUMENT: that one does not exist or cannot run here. */
nn_status nn_kernels_choose(const nn_kernels **out);

#endif
