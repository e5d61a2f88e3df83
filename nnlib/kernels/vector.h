/*
 * The kernels written for vectors of any width; pixels.h has those that work on bytes, gemm.h those
 * for wide layers. The including file says what a vector is:
 *
 *   vec, VEC_LANES         a vector of floats and how many it holds; a divisor of NN_LANES
 *   vec_load, vec_store    from and to any address
 *   vec_set(x)             x in every lane
 *   vec_add, vec_mul, vec_div
 *                          lane by lane
 *   vec_negate(v)          -v
 *   vec_fma(x, y, z)       x y + z, rounded once
 *   vec_flush(v)           +0 in the lanes where |v| < NN_FLOOR, else v
 *   vec_is_zero(v)         whether every lane is 0
 *   vec_less, vec_at_most  a bit for each lane: whether x < y, x <= y
 *   vec_transpose(square)  VEC_LANES rows become columns
 *   vec_sum, vec_max       of all lanes; the sum adds the upper half to the lower until one is left
 *   vec_bytes(p)           VEC_LANES bytes from p, as floats
 *   vec_mul_down(x, y)     x y, rounded down; there if HAVE_MUL_DOWN is
 *   used_in_chunk          a bit for each of 64 pixels: whether it is not 0 in one of the samples
 *   list_16(list, bits, i) writes i + k for each set bit k < 16, and what it likes behind them
 *
 * and, with HAVE_COMPRESS, how some of 64 bytes are brought together in a register (bytes_64):
 *
 *   compress_64(bits, p)   those at p whose bits are set, side by side; no others are read
 *   expand_64(bits, inked, p)
 *                          the same from ink, whose bytes begin at p
 *   bytes_store(to, bytes) all 64
 *   or_words(to, from, count, words)
 *                          ors `count` arrays of 64-bit words, at any address
 *   write_chunk(to, bits, p)
 *                          writes what compress_64 returns, and no more than there is
 *
 * and how much its registers hold:
 *
 *   TILE                   rows of NN_LANES sums, beside what they are made of
 *   SLOTS                  the same in pixels.h
 *   AT_ONCE                rows whose gradients are summed at once there
 *   GEMM_M, GEMM_ROWS      the same in gemm.h
 *
 * Work goes in tiles whose sums stay in registers while the loop runs along the summation index. A
 * sum belongs to one lane of one register from beginning to end: the order of kernels.h.
 */
#ifndef NN_KERNELS_VECTOR_H
#define NN_KERNELS_VECTOR_H

#include "portable.h"

#define VECS (NN_LANES / VEC_LANES)

/* One row of NN_LANES units. */
typedef struct {
    vec v[VECS];
} row;

/* Before a loop whose values must stay in registers: its bound is a small constant. */
#ifdef __clang__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

/* A function that is written for constants, of which it is made anew for each. */
#define ALWAYS_INLINE __attribute__((always_inline)) static inline

#define EACH_VEC UNROLLED for (size_t k = 0; k < VECS; k++)

static inline row row_load(const float *from)
{
    row r;
    EACH_VEC r.v[k] = vec_load(from + k * VEC_LANES);
    return r;
}

static inline void row_store(float *to, row r)
{
    EACH_VEC vec_store(to + k * VEC_LANES, r.v[k]);
}

static inline row row_zero(void)
{
    row r;
    EACH_VEC r.v[k] = vec_set(0);
    return r;
}

static inline row row_add(row x, row y)
{
    EACH_VEC x.v[k] = vec_add(x.v[k], y.v[k]);
    return x;
}

/* sum + value w */
static inline row row_fma(float value, row w, row sum)
{
    vec x = vec_set(value);
    EACH_VEC sum.v[k] = vec_fma(x, w.v[k], sum.v[k]);
    return sum;
}

/* ---- update ---- */

typedef struct {
    vec mu, m, l2;
} step_vecs;

/* One row's step for a gradient in registers. */
static inline void step_row(float *w, float *v, row g, const step_vecs *s)
{
    row weights = row_load(w), velocity = row_load(v);
    EACH_VEC
    {
        vec slope = vec_fma(s->l2, weights.v[k], g.v[k]);
        velocity.v[k] = vec_flush(vec_fma(s->m, velocity.v[k], vec_negate(vec_mul(s->mu, slope))));
        weights.v[k] = vec_add(weights.v[k], velocity.v[k]);
    }
    row_store(v, velocity);
    row_store(w, weights);
}

/* The step of a row without a gradient. If no l2 pulls at its weights, only its velocity moves
 * them. That most of those velocities are 0 in the end is not asked: a wrong guess of the processor
 * costs more. */
static inline void step_idle_row(float *w, float *v, const step_vecs *s, bool decays)
{
    if (decays) {
        step_row(w, v, row_zero(), s);
        return;
    }
    row velocity = row_load(v);
    EACH_VEC velocity.v[k] = vec_flush(vec_mul(s->m, velocity.v[k]));
    row_store(v, velocity);
    row_store(w, row_add(row_load(w), velocity));
}

static inline step_vecs step_vecs_of(const nn_step *step)
{
    return (step_vecs){vec_set(step->learning_rate), vec_set(step->momentum), vec_set(step->l2)};
}

static void vector_step(float *w, float *v, const float *g, size_t count, const nn_step *step)
{
    const step_vecs s = step_vecs_of(step);
    for (size_t k = 0; k < count; k += NN_LANES) {
        step_row(w + k, v + k, row_load(g + k), &s);
    }
}

#include "gemm.h"

static size_t vector_scratch_size(size_t inputs, size_t units)
{
    return units > NN_NARROW || inputs > NN_NARROW ? GEMM_PACK : NN_NARROW * NN_NARROW;
}

/* Whether a layer's products for n samples are worth gemm.h's packing. */
static bool is_wide(size_t n, size_t inputs, size_t units)
{
    return n >= 16 && (inputs > NN_NARROW || units > NN_NARROW);
}

/* ---- forward ---- */

/* Up to TILE samples from numbers, without a list: hidden layers seldom hold zeros. */
static inline void forward_few(float *a, size_t stride, const float *x, size_t x_stride,
                               const float *w, const float *bias, size_t n, size_t inputs,
                               size_t width, const size_t slots)
{
    size_t sample[TILE];
    UNROLLED for (size_t k = 0; k < TILE; k++)
    {
        sample[k] = smaller(k, n - 1);
    }
    for (size_t o = 0; o < width; o += NN_LANES) {
        row sum[TILE];
        UNROLLED for (size_t k = 0; k < TILE; k++)
        {
            sum[k] = row_zero();
        }
        for (size_t i = 0; i < inputs; i++) {
            row weights = row_load(w + i * stride + o);
            UNROLLED for (size_t k = 0; k < slots; k++)
            {
                sum[k] = row_fma(x[sample[k] * x_stride + i], weights, sum[k]);
            }
        }
        UNROLLED for (size_t k = 0; k < slots; k++)
        {
            row_store(a + sample[k] * stride + o, row_add(sum[k], row_load(bias + o)));
        }
    }
}

static void vector_forward(float *a, size_t stride, const float *x, size_t x_stride, const float *w,
                           const float *bias, size_t n, size_t inputs, size_t width,
                           const nn_work *work)
{
    if (is_wide(n, inputs, width)) {
        multiply(&(gemm){.m = n,
                         .n = width,
                         .k = inputs,
                         .a = {x, x_stride, 1},
                         .b = {w, stride, 1},
                         .b_columns = width,
                         .c = a,
                         .c_row = stride,
                         .end = ADD_BIAS,
                         .bias = bias,
                         .work = work});
        return;
    }
    if (n == 1) {
        forward_few(a, stride, x, x_stride, w, bias, n, inputs, width, 1);
        return;
    }
    for (size_t b = 0; b < n; b += TILE) {
        forward_few(a + b * stride, stride, x + b * x_stride, x_stride, w, bias, n - b, inputs,
                    width, TILE);
    }
}

/* ---- backward ---- */

/* delta_in = delta W^T: with W transposed, lanes run over the inputs and the chain over o. */
static void vector_backward(float *delta_in, size_t in_stride, const float *slope,
                            const float *delta, size_t stride, const float *w, size_t n,
                            size_t inputs, size_t units, const nn_work *work)
{
    if (units > NN_NARROW || inputs > NN_NARROW) {
        multiply(&(gemm){.m = n,
                         .n = nn_padded(inputs),
                         .k = units,
                         .a = {delta, stride, 1},
                         .b = {w, 1, stride},
                         .b_columns = inputs,
                         .c = delta_in,
                         .c_row = in_stride,
                         .end = TIMES_SLOPE,
                         .slope = slope,
                         .work = work});
        return;
    }
    float *columns = work->scratch; /* [o][NN_LANES], of W^T */
    for (size_t first = 0; first < inputs; first += NN_LANES) {
        transpose_strip(columns, w + first * stride, stride, stride,
                        smaller(NN_LANES, inputs - first), NN_LANES);
        for (size_t b = 0; b < n; b++) {
            row sum = row_zero();
            for (size_t o = 0; o < units; o++) {
                sum = row_fma(delta[b * stride + o], row_load(columns + o * NN_LANES), sum);
            }
            row slopes = row_load(slope + b * in_stride + first);
            EACH_VEC sum.v[k] = vec_flush(vec_mul(sum.v[k], slopes.v[k]));
            row_store(delta_in + b * in_stride + first, sum);
        }
    }
}

/* ---- gradients ---- */

/* From numbers: the gradients for TILE inputs, or `inputs` if that is less, stay in registers while
 * the loop runs along the samples. */
static inline void gradient_tile(row g[TILE], const float *x, size_t x_stride, const float *delta,
                                 size_t stride, size_t n, size_t inputs)
{
    size_t input[TILE];
    UNROLLED for (size_t k = 0; k < TILE; k++)
    {
        input[k] = k < inputs ? k : inputs - 1;
        g[k] = row_zero();
    }
    for (size_t b = 0; b < n; b++) {
        row d = row_load(delta + b * stride);
        UNROLLED for (size_t k = 0; k < TILE; k++)
        {
            g[k] = row_fma(x[b * x_stride + input[k]], d, g[k]);
        }
    }
}

static void vector_gradient(float *gw, const float *x, size_t x_stride, const float *delta,
                            size_t stride, size_t n, size_t inputs)
{
    for (size_t first = 0; first < inputs; first += TILE) {
        for (size_t o = 0; o < stride; o += NN_LANES) {
            row g[TILE];
            gradient_tile(g, x + first, x_stride, delta + o, stride, n, inputs - first);
            for (size_t k = 0; k < TILE && first + k < inputs; k++) {
                row_store(gw + (first + k) * stride + o, g[k]);
            }
        }
    }
}

/* Sums `rows` rows of NN_LANES units that lie side by side. */
static inline void sum_deltas(float *gb, const float *delta, size_t stride, size_t n,
                              const size_t rows)
{
    row sum[TILE];
    UNROLLED for (size_t k = 0; k < TILE; k++)
    {
        sum[k] = row_zero();
    }
    for (size_t b = 0; b < n; b++) {
        UNROLLED for (size_t k = 0; k < rows; k++)
        {
            sum[k] = row_add(sum[k], row_load(delta + b * stride + k * NN_LANES));
        }
    }
    UNROLLED for (size_t k = 0; k < rows; k++)
    {
        row_store(gb + k * NN_LANES, sum[k]);
    }
}

static void vector_gradient_bias(float *gb, const float *delta, size_t stride, size_t n)
{
    size_t o = 0;
    for (; o + TILE * NN_LANES <= stride; o += TILE * NN_LANES) {
        sum_deltas(gb + o, delta + o, stride, n, TILE);
    }
    for (; o < stride; o += NN_LANES) {
        sum_deltas(gb + o, delta + o, stride, n, 1);
    }
}

/* ---- gradient and step in one ---- */

static void vector_learn(float *w, float *v, float *g, const float *x, size_t x_stride,
                         const float *delta, size_t stride, size_t n, size_t inputs, size_t width,
                         const nn_step *step, const nn_work *work)
{
    const step_vecs s = step_vecs_of(step);
    if (is_wide(n, inputs, width)) {
        multiply(&(gemm){.m = inputs,
                         .n = width,
                         .k = n,
                         .a = {x, 1, x_stride},
                         .b = {delta, stride, 1},
                         .b_columns = width,
                         .c = g,
                         .c_row = stride,
                         .end = TAKE_STEP,
                         .w = w,
                         .v = v,
                         .step = s,
                         .work = work});
        return;
    }
    for (size_t first = 0; first < inputs; first += TILE) {
        for (size_t o = 0; o < width; o += NN_LANES) {
            row sum[TILE];
            gradient_tile(sum, x + first, x_stride, delta + o, stride, n, inputs - first);
            for (size_t k = 0; k < TILE && first + k < inputs; k++) {
                size_t place = (first + k) * stride + o;
                step_row(w + place, v + place, sum[k], &s);
            }
        }
    }
}

/* ---- softmax ---- */

/* Row `NN_LANES - units` of each: 0 or 1 for the units, -infinity or 0 for the padding. */
#define FOUR(x) x, x, x, x
static const float hide[2 * NN_LANES] = {
    [NN_LANES] = FOUR(-INFINITY), FOUR(-INFINITY), FOUR(-INFINITY), FOUR(-INFINITY)};
static const float keep[2 * NN_LANES] = {FOUR(1), FOUR(1), FOUR(1), FOUR(1)};
#undef FOUR

/* The upper half of the lanes is added to the lower until one is left. */
static inline float row_sum(row r)
{
    for (size_t half = VECS / 2; half > 0; half /= 2) {
        for (size_t k = 0; k < half; k++) {
            r.v[k] = vec_add(r.v[k], r.v[k + half]);
        }
    }
    return vec_sum(r.v[0]);
}

static inline float row_max(row r)
{
    float largest = vec_max(r.v[0]);
    for (size_t k = 1; k < VECS; k++) {
        float other = vec_max(r.v[k]);
        largest = other > largest ? other : largest;
    }
    return largest;
}

/* As portable_softmax, for up to NN_LANES units: the exponentials of a whole batch in one go. */
static void vector_softmax(float *z, size_t stride, nn_sum *sums, size_t n, size_t units)
{
    if (stride != NN_LANES) {
        portable_softmax(z, stride, sums, n, units);
        return;
    }
    const row hidden = row_load(hide + NN_LANES - units), kept = row_load(keep + NN_LANES - units);
    for (size_t b = 0; b < n; b++) {
        row a = row_add(row_load(z + b * stride), hidden);
        float largest = row_max(a);
        EACH_VEC a.v[k] = vec_add(a.v[k], vec_set(-largest));
        row_store(z + b * stride, a);
        sums[b].largest = largest;
    }
    for (size_t k = 0; k < n * stride; k++) {
        z[k] = nn_exp(z[k]);
    }
    for (size_t b = 0; b < n; b++) {
        row e = row_load(z + b * stride);
        EACH_VEC e.v[k] = vec_mul(e.v[k], kept.v[k]);
        float sum = row_sum(e);
        EACH_VEC e.v[k] = vec_div(e.v[k], vec_set(sum));
        row_store(z + b * stride, e);
        sums[b].rest = sum;
    }
}

/* As portable_count_right, for up to NN_LANES units: none of the units before a label may be as
 * large, none of those behind it larger. */
static size_t vector_count_right(const float *z, size_t stride, size_t units,
                                 const nn_targets *targets, size_t n)
{
    if (stride != NN_LANES) {
        return portable_count_right(z, stride, units, targets, n);
    }
    const uint32_t all = (UINT32_C(1) << units) - 1;
    size_t right = 0;
    for (size_t b = 0; b < n; b++) {
        const row outputs = row_load(z + b * stride);
        const uint32_t label = targets->labels[target_place(targets, b)];
        const uint32_t before = (UINT32_C(1) << label) - 1;
        const vec own = vec_set(z[b * stride + label]);
        uint32_t less = 0, at_most = 0;
        EACH_VEC
        {
            less |= vec_less(outputs.v[k], own) << (k * VEC_LANES);
            at_most |= vec_at_most(outputs.v[k], own) << (k * VEC_LANES);
        }
        right += ((before & ~less) | (all & ~at_most)) == 0;
    }
    return right;
}

#endif
