/*
 * The kernels written for vectors of any width. The including file says what a vector is:
 *
 *   vec, VEC_LANES         a vector of floats and how many it holds; a divisor of NN_LANES
 *   vec_load, vec_store    from and to any address
 *   vec_set(x)             x in every lane
 *   vec_add, vec_mul       lane by lane
 *   vec_negate(v)          -v
 *   vec_fma(x, y, z)       x y + z, rounded once
 *   vec_flush(v)           +0 in the lanes where |v| < NN_VELOCITY_FLOOR, else v
 *   vec_is_zero(v)         whether every lane is 0
 *   vec_div                lane by lane
 *   vec_bytes(p)           VEC_LANES bytes from p, as floats
 *   vec_sum, vec_max       of all lanes; the sum adds the upper half to the lower until one is left
 *   used_in_chunk          a bit for each of 64 pixels: whether it is not zero in one of the
 * samples list_16(list, bits, i) writes i + k for each set bit k < 16, and what it likes behind
 * them GEMM_M, GEMM_ROWS      the tile of gemm.h, as large as the registers allow
 *
 * Work goes in tiles: TILE_IMAGES samples by NN_LANES units, whose sums stay in registers while
 * the loop runs along the pixels. A sum belongs to one lane of one register from beginning to end:
 * the order of kernels.h.
 *
 * Only one pixel in five of a digit is inked, and the same ones in many digits: a tile walks the
 * pixels that are not zero in at least one of its samples (its "rows": rows of the weight matrix).
 */
#ifndef NN_KERNELS_VECTOR_H
#define NN_KERNELS_VECTOR_H

#include "portable.h"

#define VECS (NN_LANES / VEC_LANES)

/* One row of NN_LANES units. */
typedef struct {
    vec v[VECS];
} row;

#define EACH_VEC(k) for (size_t k = 0; k < VECS; k++)

static inline row row_load(const float *from)
{
    row r;
    EACH_VEC(k) r.v[k] = vec_load(from + k * VEC_LANES);
    return r;
}

static inline void row_store(float *to, row r)
{
    EACH_VEC(k) vec_store(to + k * VEC_LANES, r.v[k]);
}

static inline row row_zero(void)
{
    row r;
    EACH_VEC(k) r.v[k] = vec_set(0);
    return r;
}

static inline row row_add(row x, row y)
{
    EACH_VEC(k) x.v[k] = vec_add(x.v[k], y.v[k]);
    return x;
}

/* sum + value w */
static inline row row_fma(float value, row w, row sum)
{
    vec x = vec_set(value);
    EACH_VEC(k) sum.v[k] = vec_fma(x, w.v[k], sum.v[k]);
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
    EACH_VEC(k)
    {
        vec slope = vec_fma(s->l2, weights.v[k], g.v[k]);
        velocity.v[k] = vec_flush(vec_fma(s->m, velocity.v[k], vec_negate(vec_mul(s->mu, slope))));
        weights.v[k] = vec_add(weights.v[k], velocity.v[k]);
    }
    row_store(v, velocity);
    row_store(w, weights);
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

/* Layers of more units than this go through gemm.h. */
#define NARROW 64

static size_t vector_scratch_size(size_t inputs, size_t units)
{
    return units > NARROW || inputs > NARROW ? GEMM_PACK : NARROW * NARROW;
}

/* Whether a product of n samples and so many units is worth gemm.h's packing. */
static bool is_wide(size_t n, size_t stride)
{
    return n >= 16 && stride > NARROW;
}

/* ---- the pixels in use ---- */

#define CHUNK 64 /* pixels whose use one machine word tells */

/* The same for a last chunk of fewer than CHUNK pixels. */
static uint64_t used_in_last(const uint8_t *const *pixels, size_t count, size_t i, size_t inputs)
{
    uint64_t used = 0;
    for (size_t k = i; k < inputs; k++) {
        unsigned any = 0;
        for (size_t b = 0; b < count; b++) {
            any |= pixels[b][k];
        }
        used |= (uint64_t)(any != 0) << (k - i);
    }
    return used;
}

/* Writes i + k for each bit k of `used` that is set among the lowest `n`; may write up to NN_LANES
 * entries more. Returns how many count. */
static inline size_t list_bits(uint32_t *list, uint64_t used, size_t i, size_t n)
{
    size_t listed = 0;
    for (size_t k = 0; k < n; k += 16) {
        uint32_t bits = (uint32_t)(used >> k) & 0xffff;
        list_16(list + listed, bits, (uint32_t)(i + k));
        listed += (size_t)__builtin_popcount(bits);
    }
    return listed;
}

/* Lists the pixels that are not zero in at least one of `count` samples; and, if idle is not NULL,
 * the others there. Both lists have room for inputs + NN_LANES entries. */
static inline size_t find_rows(uint32_t *rows, uint32_t *idle, const uint8_t *const *pixels,
                               const size_t count, size_t inputs)
{
    size_t n_rows = 0, n_idle = 0;
    for (size_t i = 0; i < inputs; i += CHUNK) {
        size_t n = smaller(CHUNK, inputs - i);
        uint64_t used =
            n == CHUNK ? used_in_chunk(pixels, count, i) : used_in_last(pixels, count, i, inputs);
        n_rows += list_bits(rows + n_rows, used, i, n);
        if (idle) {
            uint64_t others = n == CHUNK ? ~used : ~used & (((uint64_t)1 << n) - 1);
            n_idle += list_bits(idle + n_idle, others, i, n);
        }
    }
    return n_rows;
}

/* ---- samples ---- */

/* p / 255 correctly rounded, without a division: the quotient by the rounded reciprocal is put
 * right by its own remainder (Markstein 1990). */
static inline vec vec_over_255(vec p)
{
    const vec reciprocal = vec_set(1.0f / 255);
    vec quotient = vec_mul(p, reciprocal);
    vec remainder = vec_fma(quotient, vec_set(-255), p);
    return vec_fma(remainder, reciprocal, quotient);
}

/* x[] = pixels[] / 255 for one sample */
static void load_sample(float *x, const uint8_t *pixels, size_t inputs)
{
    size_t i = 0;
    for (; i + VEC_LANES <= inputs; i += VEC_LANES) {
        vec_store(x + i, vec_over_255(vec_bytes(pixels + i)));
    }
    for (; i < inputs; i++) {
        x[i] = byte_value[pixels[i]];
    }
}

static void vector_load_pixels(float *x, size_t x_stride, const nn_pixel_batch *batch)
{
    for (size_t b = 0; b < batch->n; b++) {
        load_sample(x + b * x_stride, sample_pixels(batch, b), batch->inputs);
    }
}

/* Samples of a batch as numbers, and the list of pixels that any of them has. */
typedef struct {
    size_t sample[TILE_IMAGES];
    const float *x[TILE_IMAGES];
    size_t n_rows;
} tile;

/* Up to this many samples, forward_pixels leaves the whole batch in x; learn_pixels finds it there,
 * and the deltas fit in the registers. */
#define SMALL_BATCH 16

/* Takes TILE_IMAGES samples from `first`. A last tile that is not full repeats its last sample: the
 * same work is done twice, to the same place. */
static inline tile load_tile(const nn_pixel_batch *batch, size_t first, float *x, size_t x_stride,
                             uint32_t *rows)
{
    tile t;
    const uint8_t *pixels[TILE_IMAGES];
    for (size_t k = 0; k < TILE_IMAGES; k++) {
        size_t b = first + k < batch->n ? first + k : batch->n - 1;
        float *to = x + (batch->n <= SMALL_BATCH ? b : k) * x_stride;
        t.sample[k] = b;
        t.x[k] = to;
        pixels[k] = sample_pixels(batch, b);
        if (first + k < batch->n || batch->n > SMALL_BATCH) {
            load_sample(to, pixels[k], batch->inputs);
        }
    }
    t.n_rows = find_rows(rows, NULL, pixels, TILE_IMAGES, batch->inputs);
    return t;
}

/* Samples come in random order from a set larger than the caches, so the memory is asked for the
 * next tile's while this one's are computed: a cache line now and then, because it can only look
 * for a few at a time. */
typedef struct {
    const uint8_t *pixels[TILE_IMAGES];
    size_t n_samples, sample, line, inputs;
} prefetcher;

#define LINE 64

static inline prefetcher prefetch_from(const nn_pixel_batch *batch, size_t first)
{
    size_t end = batch->n + batch->ahead;
    prefetcher p = {.inputs = batch->inputs};
    p.n_samples = first < end ? smaller(TILE_IMAGES, end - first) : 0;
    for (size_t k = 0; k < p.n_samples; k++) {
        p.pixels[k] = sample_pixels(batch, first + k);
    }
    return p;
}

static inline void prefetch_line(prefetcher *p)
{
    if (p->sample < p->n_samples) {
        __builtin_prefetch(p->pixels[p->sample] + p->line);
        p->line += LINE;
        if (p->line >= p->inputs + LINE - 1) { /* a sample may begin inside a line */
            p->line = 0;
            p->sample++;
        }
    }
}

#define ROWS_A_LINE 4 /* of work between two lines */

/* ---- forward ---- */

/* sum[k] = sum over the rows of x[k][i] w[i], for one vector row of units */
static inline void forward_rows(row sum[TILE_IMAGES], const tile *t, const float *w, size_t stride,
                                const uint32_t *rows, size_t from, size_t to)
{
    for (size_t r = from; r < to; r++) {
        size_t i = rows[r];
        row weights = row_load(w + i * stride);
        for (size_t k = 0; k < TILE_IMAGES; k++) {
            sum[k] = row_fma(t->x[k][i], weights, sum[k]);
        }
    }
}

static void vector_forward_pixels(float *a, size_t stride, float *x, size_t x_stride,
                                  const nn_pixel_batch *batch, const float *w, const float *bias,
                                  uint32_t *rows)
{
    for (size_t first = 0; first < batch->n; first += TILE_IMAGES) {
        const tile t = load_tile(batch, first, x, x_stride, rows);
        prefetcher next = prefetch_from(batch, smaller(first + TILE_IMAGES, batch->n));
        for (size_t o = 0; o < stride; o += NN_LANES) {
            row sum[TILE_IMAGES];
            for (size_t k = 0; k < TILE_IMAGES; k++) {
                sum[k] = row_zero();
            }
            for (size_t r = 0; r < t.n_rows; r += ROWS_A_LINE) {
                prefetch_line(&next);
                forward_rows(sum, &t, w + o, stride, rows, r, smaller(r + ROWS_A_LINE, t.n_rows));
            }
            for (size_t k = 0; k < TILE_IMAGES; k++) {
                row_store(a + t.sample[k] * stride + o, row_add(sum[k], row_load(bias + o)));
            }
        }
    }
}

/* The same from numbers, without a list: hidden layers seldom hold zeros. */
static void vector_forward(float *a, size_t stride, const float *x, size_t x_stride, const float *w,
                           const float *bias, size_t n, size_t inputs, size_t width, float *scratch)
{
    if (is_wide(n, width)) {
        multiply(&(gemm){.m = n,
                         .n = width,
                         .k = inputs,
                         .a = {x, x_stride, 1},
                         .b = {w, stride, 1},
                         .c = a,
                         .c_row = stride,
                         .end = ADD_BIAS,
                         .bias = bias,
                         .pack = scratch});
        return;
    }
    for (size_t first = 0; first < n; first += TILE_IMAGES) {
        size_t sample[TILE_IMAGES];
        for (size_t k = 0; k < TILE_IMAGES; k++) {
            sample[k] = first + k < n ? first + k : n - 1;
        }
        for (size_t o = 0; o < width; o += NN_LANES) {
            row sum[TILE_IMAGES];
            for (size_t k = 0; k < TILE_IMAGES; k++) {
                sum[k] = row_zero();
            }
            for (size_t i = 0; i < inputs; i++) {
                row weights = row_load(w + i * stride + o);
                for (size_t k = 0; k < TILE_IMAGES; k++) {
                    sum[k] = row_fma(x[sample[k] * x_stride + i], weights, sum[k]);
                }
            }
            for (size_t k = 0; k < TILE_IMAGES; k++) {
                row_store(a + sample[k] * stride + o, row_add(sum[k], row_load(bias + o)));
            }
        }
    }
}

/* ---- backward ---- */

/* delta_in = delta W^T: with W transposed, lanes run over the inputs and the chain over o. */
static void vector_backward(float *delta_in, size_t in_stride, const float *slope,
                            const float *delta, size_t stride, const float *w, size_t n,
                            size_t inputs, size_t units, float *scratch)
{
    if (units > NARROW || inputs > NARROW) {
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
                         .pack = scratch});
        return;
    }
    for (size_t o = 0; o < units; o++) {
        for (size_t i = 0; i < inputs; i++) {
            scratch[o * NARROW + i] = w[i * stride + o];
        }
        for (size_t i = inputs; i < nn_padded(inputs); i++) {
            scratch[o * NARROW + i] = 0;
        }
    }
    for (size_t first = 0; first < inputs; first += NN_LANES) {
        for (size_t b = 0; b < n; b++) {
            row sum = row_zero();
            for (size_t o = 0; o < units; o++) {
                sum = row_fma(delta[b * stride + o], row_load(scratch + o * NARROW + first), sum);
            }
            row slopes = row_load(slope + b * in_stride + first);
            EACH_VEC(k) sum.v[k] = vec_mul(sum.v[k], slopes.v[k]);
            row_store(delta_in + b * in_stride + first, sum);
        }
    }
}

/* ---- gradients ---- */

/* A tile's deltas for NN_LANES units; the samples that a last tile lacks get delta 0, which adds
 * nothing. */
static inline void load_deltas(row d[TILE_IMAGES], const float *delta, size_t stride, size_t first,
                               size_t n)
{
    for (size_t k = 0; k < TILE_IMAGES; k++) {
        d[k] = first + k < n ? row_load(delta + (first + k) * stride) : row_zero();
    }
}

static void vector_gradient_pixels(float *gw, float *x, size_t x_stride,
                                   const nn_pixel_batch *batch, const float *delta, size_t stride,
                                   uint32_t *rows)
{
    memset(gw, 0, batch->inputs * stride * sizeof *gw);
    for (size_t first = 0; first < batch->n; first += TILE_IMAGES) {
        const tile t = load_tile(batch, first, x, x_stride, rows);
        prefetcher next = prefetch_from(batch, smaller(first + TILE_IMAGES, batch->n));
        for (size_t o = 0; o < stride; o += NN_LANES) {
            row d[TILE_IMAGES];
            load_deltas(d, delta + o, stride, first, batch->n);
            for (size_t r = 0; r < t.n_rows; r++) {
                size_t i = rows[r];
                row g = row_load(gw + i * stride + o);
                for (size_t k = 0; k < TILE_IMAGES; k++) {
                    g = row_fma(t.x[k][i], d[k], g);
                }
                row_store(gw + i * stride + o, g);
                if (r % ROWS_A_LINE == 0) {
                    prefetch_line(&next);
                }
            }
        }
    }
}

/* From numbers: the sums of a few inputs stay in registers while the loop runs along the samples.
 */
static void vector_gradient(float *gw, const float *x, size_t x_stride, const float *delta,
                            size_t stride, size_t n, size_t inputs)
{
    for (size_t first = 0; first < inputs; first += TILE_IMAGES) {
        size_t input[TILE_IMAGES];
        for (size_t k = 0; k < TILE_IMAGES; k++) {
            input[k] = first + k < inputs ? first + k : inputs - 1;
        }
        for (size_t o = 0; o < stride; o += NN_LANES) {
            row g[TILE_IMAGES];
            for (size_t k = 0; k < TILE_IMAGES; k++) {
                g[k] = row_zero();
            }
            for (size_t b = 0; b < n; b++) {
                row d = row_load(delta + b * stride + o);
                for (size_t k = 0; k < TILE_IMAGES; k++) {
                    g[k] = row_fma(x[b * x_stride + input[k]], d, g[k]);
                }
            }
            for (size_t k = 0; k < TILE_IMAGES; k++) {
                row_store(gw + input[k] * stride + o, g[k]);
            }
        }
    }
}

/* ---- gradient and step in one ---- */

/* Gradient and step of the rows in use, while a small batch's deltas fit in the registers: the
 * gradients never go to memory. slots >= n is a constant, so that the loop along the samples
 * becomes straight code; those that the batch lacks get delta 0. */
static inline void learn_rows(float *w, float *v, const float *x, size_t x_stride, size_t n,
                              const float *delta, size_t stride, const step_vecs *s,
                              const uint32_t *rows, size_t n_rows, const size_t slots)
{
    const float *sample[SMALL_BATCH];
    row d[SMALL_BATCH];
    for (size_t b = 0; b < slots; b++) {
        sample[b] = x + (b < n ? b : 0) * x_stride;
        d[b] = b < n ? row_load(delta + b * stride) : row_zero();
    }
    for (size_t r = 0; r < n_rows; r++) {
        size_t i = rows[r];
        row g = row_zero();
        for (size_t b = 0; b < slots; b++) {
            g = row_fma(sample[b][i], d[b], g);
        }
        step_row(w + i * stride, v + i * stride, g, s);
    }
}

/* The step of rows without a gradient. One without a velocity either stays as it is, unless l2
 * pulls at its weights. */
static inline void step_idle_rows(float *w, float *v, size_t stride, const step_vecs *s,
                                  bool decays, const uint32_t *idle, size_t n_idle)
{
    for (size_t r = 0; r < n_idle; r++) {
        size_t place = idle[r] * stride;
        row velocity = row_load(v + place);
        bool asleep = !decays;
        EACH_VEC(k) asleep = asleep && vec_is_zero(velocity.v[k]);
        if (!asleep) {
            step_row(w + place, v + place, row_zero(), s);
        }
    }
}

static void vector_learn(float *w, float *v, float *g, const float *x, size_t x_stride,
                         const float *delta, size_t stride, size_t n, size_t inputs, size_t width,
                         const nn_step *step, float *scratch)
{
    const step_vecs s = step_vecs_of(step);
    if (is_wide(n, width)) {
        multiply(&(gemm){.m = inputs,
                         .n = width,
                         .k = n,
                         .a = {x, 1, x_stride},
                         .b = {delta, stride, 1},
                         .c = g,
                         .c_row = stride,
                         .end = TAKE_STEP,
                         .w = w,
                         .v = v,
                         .step = s,
                         .pack = scratch});
        return;
    }
    for (size_t o = 0; o < width; o += NN_LANES) {
        for (size_t i = 0; i < inputs; i++) {
            row sum = row_zero();
            for (size_t b = 0; b < n; b++) {
                sum = row_fma(x[b * x_stride + i], row_load(delta + b * stride + o), sum);
            }
            step_row(w + i * stride + o, v + i * stride + o, sum, &s);
        }
    }
}

static void vector_learn_pixels(float *w, float *v, float *g, float *x, size_t x_stride,
                                const nn_pixel_batch *batch, const float *delta, size_t stride,
                                const nn_step *step, uint32_t *rows)
{
    const size_t n = batch->n;
    if (n > SMALL_BATCH) {
        vector_gradient_pixels(g, x, x_stride, batch, delta, stride, rows);
        vector_step(w, v, g, batch->inputs * stride, step);
        return;
    }
    const step_vecs s = step_vecs_of(step);
    const uint8_t *pixels[SMALL_BATCH];
    for (size_t b = 0; b < n; b++) {
        pixels[b] = sample_pixels(batch, b);
    }
    uint32_t *idle = rows + batch->inputs + NN_LANES;
    size_t n_rows = find_rows(rows, idle, pixels, n, batch->inputs);
    for (size_t o = 0; o < stride; o += NN_LANES) {
        float *wo = w + o, *vo = v + o;
        const float *d = delta + o;
        if (n <= 2) {
            learn_rows(wo, vo, x, x_stride, n, d, stride, &s, rows, n_rows, 2);
        } else if (n <= 5) {
            learn_rows(wo, vo, x, x_stride, n, d, stride, &s, rows, n_rows, 5);
        } else if (n <= 10) {
            learn_rows(wo, vo, x, x_stride, n, d, stride, &s, rows, n_rows, 10);
        } else {
            learn_rows(wo, vo, x, x_stride, n, d, stride, &s, rows, n_rows, SMALL_BATCH);
        }
        step_idle_rows(wo, vo, stride, &s, step->l2 != 0, idle, batch->inputs - n_rows);
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
static void vector_softmax(float *z, size_t stride, double *log_sum, size_t n, size_t units)
{
    if (stride != NN_LANES) {
        portable_softmax(z, stride, log_sum, n, units);
        return;
    }
    const row hidden = row_load(hide + NN_LANES - units), kept = row_load(keep + NN_LANES - units);
    for (size_t b = 0; b < n; b++) {
        row a = row_add(row_load(z + b * stride), hidden);
        float largest = row_max(a);
        EACH_VEC(k) a.v[k] = vec_add(a.v[k], vec_set(-largest));
        row_store(z + b * stride, a);
        log_sum[b] = (double)largest;
    }
    for (size_t k = 0; k < n * stride; k++) {
        z[k] = nn_exp(z[k]);
    }
    for (size_t b = 0; b < n; b++) {
        row e = row_load(z + b * stride);
        EACH_VEC(k) e.v[k] = vec_mul(e.v[k], kept.v[k]);
        float sum = row_sum(e);
        EACH_VEC(k) e.v[k] = vec_div(e.v[k], vec_set(sum));
        row_store(z + b * stride, e);
        log_sum[b] += nn_log((double)sum) + (double)(sum - sum);
    }
}

/* The table of these kernels; what is not here is taken as the compiler makes it of portable.h. */
#define VECTOR_KERNELS(NAME)                                                                       \
    {                                                                                              \
        .name = NAME, .load_pixels = vector_load_pixels, .prefers_numbers = is_wide,               \
        .scratch_size = vector_scratch_size, .forward = vector_forward,                            \
        .forward_pixels = vector_forward_pixels, .activate = portable_activate,                    \
        .softmax = vector_softmax, .backward = vector_backward, .gradient = vector_gradient,       \
        .gradient_pixels = vector_gradient_pixels, .gradient_bias = portable_gradient_bias,        \
        .step = vector_step, .learn = vector_learn, .learn_pixels = vector_learn_pixels,           \
    }

#endif
