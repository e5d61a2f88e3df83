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

/* The inked pixels of a data set, packed: most pixels of a digit are 0, and a sample without them
 * is a third as long. Training fetches its samples from memory in random order, and the memory is
 * what a small network waits for.
 *
 * A sample's record: a bit for each pixel, in words of 64, set if the pixel is not 0; then the
 * pixels that are not 0, in their order; then zeros, to a whole unit. */
#define NN_INK_UNIT ((size_t)8)   /* bytes */
#define NN_INK_SLACK ((size_t)64) /* bytes that may be read behind the last record */

/* Bytes of the bits in a record. */
#define NN_INK_MASKS(inputs) (((inputs) + 63) / 64 * 8)

typedef struct {
    const uint8_t *pixels; /* of the data that were packed */
    size_t n;              /* samples */
    size_t typical;        /* bytes of most records, and of what may stand before them in a line */
    uint8_t *records;
    uint32_t *start; /* [n + 1] of each record, in units */
} nn_ink;

static inline const uint8_t *nn_ink_record(const nn_ink *ink, size_t sample)
{
    return ink->records + ink->start[sample] * NN_INK_UNIT;
}

/* The samples of a batch as bytes: sample b is pixels + index[b] * inputs, or + b * inputs if index
 * is NULL; the network sees x[b][i] = byte / 255. */
typedef struct {
    const uint8_t *pixels;
    const uint32_t *index;
    size_t n, inputs;
    size_t ahead;      /* so many samples more will come in the next batch */
    bool learning;     /* learn_pixels follows forward_pixels */
    const nn_ink *ink; /* the same pixels, for kernels that have write_ink; or NULL */
} nn_pixel_batch;

/* Work space of the kernels that take bytes, for batches of up to n samples: x has NN_X_ROWS rows
 * of at least NN_X_STRIDE numbers, lists NN_LISTS_SIZE entries. */
#define NN_X_ROWS(n) ((n) + 24)
#define NN_X_STRIDE(inputs) (((inputs) + 63) / 64 * 80)
#define NN_LISTS_SIZE(inputs) (2 * ((inputs) + NN_LANES + 1))

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

/* What the outputs of a batch should be. Those of sample b are values + index[b] * outputs, or,
 * with labels instead of values, 1 for unit labels[index[b]] and 0 for the others; b stands for
 * index[b] where index is NULL. */
typedef struct {
    const nn_real *values;
    const uint8_t *labels;
    const uint32_t *index;
    size_t outputs;
} nn_targets;

/* Whether z[k] is the largest of z[n], the first of equals; a NaN never is, nor is any beside it.
 */
static inline bool nn_is_largest(const nn_real *z, size_t n, size_t k)
{
    size_t beaten = 0;
    for (size_t c = 0; c < n; c++) {
        bool below = c < k ? z[c] < z[k] : z[c] <= z[k];
        beaten += below ? 0 : 1;
    }
    return beaten == 0;
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

    /* Writes a sample's record (see ink.h) and returns its size in bytes; only that if `to` is
     * NULL. NULL: these kernels take all pixels as they are. */
    size_t (*write_ink)(uint8_t *to, const uint8_t *pixels, size_t inputs);

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

    /* logs[b] = nn_log_sum(sums[b]) */
    void (*log_sums)(double *logs, const nn_sum *sums, size_t n);

    /* Returns how many samples have their largest output, or the first of several, where their
     * label says; a NaN is never right. */
    size_t (*count_right)(const nn_real *z, size_t stride, size_t units, const nn_targets *targets,
                          size_t n);

    /* delta[b][o] = share dC/da for o < units, +0 if its magnitude is below NN_FLOOR; the padding
     * becomes 0. z and slope are the layer's outputs and slopes. */
    void (*output_delta)(nn_loss loss, nn_real *delta, const nn_real *z, const nn_real *slope,
                         size_t stride, size_t units, const nn_targets *targets, size_t n,
                         nn_real share);

    /* delta_in[b][i] = (sum over o < units of w[i][o] delta[b][o]) slope[b][i], +0 if its magnitude
     * is below NN_FLOOR; padding stays 0 */
    void (*backward)(nn_real *delta_in, size_t in_stride, const nn_real *slope,
                     const nn_real *delta, size_t stride, const nn_real *w, size_t n, size_t inputs,
                     size_t units, const nn_work *work);

    /* gw[i][o] = sum over b of x[b][i] delta[b][o] */
    void (*gradient)(nn_real *gw, const nn_real *x, size_t x_stride, const nn_real *delta,
                     size_t stride, size_t n, size_t inputs);

    /* The same from bytes; x is work space, as above. */
    void (*gradient_pixels)(nn_real *gw, nn_real *x, const nn_pixel_batch *batch,
                            const nn_real *delta, size_t stride);

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

/* A product of fewer multiplications than this is done before other threads have woken up, and one
 * of fewer than that before those that are awake have looked up. */
#define NN_WORTH_WAKING ((size_t)1 << 22)
#define NN_WORTH_SHARING ((size_t)1 << 19)
#define NN_WORTH_ACTIVATING ((size_t)1 << 15) /* the same of values */

extern const nn_kernels nn_kernels_ref;
extern const nn_kernels nn_kernels_avx2;
extern const nn_kernels nn_kernels_avx512;
extern const nn_kernels nn_kernels_neon;

/* Finds the best table for this processor, or the one that the environment variable NN_KERNEL
 * names. NN_ERR_ARGUMENT: that one does not exist or cannot run here. */
nn_status nn_kernels_choose(const nn_kernels **out);

#endif
