/*
 * The first layer on bytes, for vectors of any width (see vector.h).
 *
 * Only one pixel in five of a digit is inked, and much the same ones in many digits. A tile of
 * SLOTS samples walks the pixels that are not zero in at least one of them: its rows, for they are
 * rows of the weight matrix. Forward packs each tile once, its list of rows and the samples' values
 * there, side by side; the gradient walks the same packs.
 */
#ifndef NN_KERNELS_PIXELS_H
#define NN_KERNELS_PIXELS_H

#include "vector.h"

/* ---- bytes to numbers ---- */

/* p / 255 correctly rounded, without a division: the quotient by the rounded reciprocal is put
 * right by its own remainder (Markstein 1990). */
static inline vec vec_over_255(vec p)
{
    const vec reciprocal = vec_set(1.0f / 255);
    vec quotient = vec_mul(p, reciprocal);
    vec remainder = vec_fma(quotient, vec_set(-255), p);
    return vec_fma(remainder, reciprocal, quotient);
}

static void vector_load_pixels(float *x, size_t x_stride, const nn_pixel_batch *batch)
{
    for (size_t b = 0; b < batch->n; b++) {
        const uint8_t *pixels = sample_pixels(batch, b);
        float *to = x + b * x_stride;
        size_t i = 0;
        for (; i + VEC_LANES <= batch->inputs; i += VEC_LANES) {
            vec_store(to + i, vec_over_255(vec_bytes(pixels + i)));
        }
        for (; i < batch->inputs; i++) {
            to[i] = byte_value[pixels[i]];
        }
    }
}

/* ---- packing ---- */

#define CHUNK ((size_t)64) /* pixels whose use one machine word tells */

/* A tile of samples, and where its pack is. */
typedef struct {
    const uint8_t *pixels[SLOTS];
    size_t first, n; /* samples of the batch */
    float *x;        /* [n][x_stride]: of each sample the values of the rows, in their order */
    size_t x_stride; /* at least inputs + NN_LANES */
    uint32_t *rows;  /* [n_rows] */
    uint32_t *n_rows;
} tile;

/* Each tile has so many entries in the kernels' list of rows: their number, the rows, and what
 * list_16 writes behind them. */
static inline size_t list_size(size_t inputs)
{
    return 1 + inputs + NN_LANES;
}

static inline tile tile_at(const nn_pixel_batch *batch, size_t first, float *x, size_t x_stride,
                           uint32_t *lists)
{
    uint32_t *list = lists + first / SLOTS * list_size(batch->inputs);
    tile t = {.first = first,
              .n = smaller(SLOTS, batch->n - first),
              .x = x + first * x_stride,
              .x_stride = x_stride,
              .n_rows = list,
              .rows = list + 1};
    for (size_t k = 0; k < t.n; k++) {
        t.pixels[k] = sample_pixels(batch, first + k);
    }
    return t;
}

/* A bit for each of the pixels i to i + n - 1: whether it is not zero in one of the samples. */
static inline uint64_t used_pixels(const tile *t, size_t i, size_t n)
{
    if (n == CHUNK) {
        return used_in_chunk(t->pixels, t->n, i);
    }
    if (i + n >= CHUNK) {
        return used_in_chunk(t->pixels, t->n, i + n - CHUNK) >> (CHUNK - n);
    }
    uint64_t used = 0;
    for (size_t k = 0; k < n; k++) {
        unsigned any = 0;
        for (size_t b = 0; b < t->n; b++) {
            any |= t->pixels[b][i + k];
        }
        used |= (uint64_t)(any != 0) << k;
    }
    return used;
}

/* Appends i + k to the list for each bit k of `used` that is set among the lowest n. */
static inline size_t list_bits(uint32_t *list, size_t listed, uint64_t used, size_t i, size_t n)
{
    for (size_t k = 0; k < n; k += 16) {
        uint32_t bits = (uint32_t)(used >> k) & 0xffff;
        list_16(list + listed, bits, (uint32_t)(i + k));
        listed += (size_t)__builtin_popcount(bits);
    }
    return listed;
}

/* Packs the values of the rows of one sample; bytes are the sample's pixels there, and what stands
 * behind the last one has no meaning, up to a whole vector. */
static inline void pack_values(float *x, const uint8_t *bytes, size_t n_rows)
{
    for (size_t r = 0; r < n_rows; r += VEC_LANES) {
        vec_store(x + r, vec_over_255(vec_bytes(bytes + r)));
    }
}

/* Packs the values of the listed rows, one by one. */
static inline void pack_sample(float *x, const uint8_t *pixels, const uint32_t *rows, size_t n_rows)
{
    for (size_t r = 0; r < n_rows; r++) {
        x[r] = byte_value[pixels[rows[r]]];
    }
}

/* A tile's values on their way to its pack, as bytes: a few chunks at a time. */
typedef struct {
    uint8_t bytes[SLOTS][16 * CHUNK + CHUNK];
    size_t n; /* rows of each sample */
} lorry;

/* Takes on a chunk's pixels in the rows listed from number `first` on. */
static inline void load_chunk(lorry *l, const tile *t, size_t first, size_t n_rows, uint64_t used,
                              size_t i)
{
    for (size_t b = 0; b < t->n; b++) {
#ifdef HAVE_COMPRESS
        compress_chunk(l->bytes[b] + l->n, used, t->pixels[b] + i);
        (void)first;
#else
        for (size_t r = first; r < n_rows; r++) {
            l->bytes[b][l->n + r - first] = t->pixels[b][t->rows[r]];
        }
        (void)used;
        (void)i;
#endif
    }
    l->n += n_rows - first;
}

/* Puts its values where the pack's rows end with number n_rows. */
static inline void unload(lorry *l, const tile *t, size_t n_rows)
{
    for (size_t b = 0; b < t->n; b++) {
        pack_values(t->x + b * t->x_stride + n_rows - l->n, l->bytes[b], l->n);
    }
    l->n = 0;
}

/* Lists the tile's rows and packs their values; idle, if not NULL, gets the list of other pixels.
 */
static inline void pack_tile(const tile *t, size_t inputs, uint32_t *idle)
{
    lorry l;
    size_t n_rows = 0, n_idle = 0;
    l.n = 0;
    for (size_t i = 0; i < inputs; i += CHUNK) {
        size_t first = n_rows, n = smaller(CHUNK, inputs - i);
        uint64_t used = used_pixels(t, i, n);
        n_rows = list_bits(t->rows, n_rows, used, i, n);
        if (idle) {
            n_idle = list_bits(idle + 1, n_idle, (UINT64_MAX >> (CHUNK - n)) & ~used, i, n);
        }
        load_chunk(&l, t, first, n_rows, used, i);
        if (l.n > 15 * CHUNK || i + n == inputs) {
            unload(&l, t, n_rows);
        }
    }
    *t->n_rows = (uint32_t)n_rows;
    if (idle) {
        idle[0] = (uint32_t)n_idle;
    }
}

/* ---- wide layers ---- */

/* Packs a whole batch as one tile: x[b][r] is sample b's value in the r-th row. */
static void pack_batch(float *x, size_t x_stride, const nn_pixel_batch *batch, uint32_t *lists)
{
    uint32_t *rows = lists + 1, *idle = lists + list_size(batch->inputs);
    size_t n_rows = 0, n_idle = 0;
    for (size_t i = 0; i < batch->inputs; i += CHUNK) {
        size_t n = smaller(CHUNK, batch->inputs - i);
        uint64_t used = 0, all = UINT64_MAX >> (CHUNK - n);
        for (size_t first = 0; first < batch->n; first += SLOTS) {
            const tile t = tile_at(batch, first, x, x_stride, lists);
            used |= used_pixels(&t, i, n);
        }
        size_t from = n_rows;
        n_rows = list_bits(rows, n_rows, used, i, n);
        n_idle = list_bits(idle + 1, n_idle, all & ~used, i, n);
        for (size_t b = 0; b < batch->n; b++) {
            pack_sample(x + b * x_stride + from, sample_pixels(batch, b), rows + from,
                        n_rows - from);
        }
    }
    lists[0] = (uint32_t)n_rows;
    idle[0] = (uint32_t)n_idle;
}

static void wide_forward_pixels(float *a, size_t stride, float *x, size_t x_stride,
                                const nn_pixel_batch *batch, const float *w, const float *bias,
                                uint32_t *lists, const nn_work *work)
{
    pack_batch(x, x_stride, batch, lists);
    multiply(&(gemm){.m = batch->n,
                     .n = stride,
                     .k = lists[0],
                     .a = {x, x_stride, 1},
                     .b = {w, stride, 1},
                     .b_rows = lists + 1,
                     .b_columns = stride,
                     .c = a,
                     .c_row = stride,
                     .end = ADD_BIAS,
                     .bias = bias,
                     .work = work});
}

/* The step of rows without a gradient. One without a velocity either stays as it is, unless l2
 * pulls at its weights. */
static inline void step_idle_rows(float *w, float *v, size_t stride, const step_vecs *s,
                                  bool decays, const uint32_t *idle)
{
    for (size_t r = 1; r <= idle[0]; r++) {
        for (size_t o = 0; o < stride; o += NN_LANES) {
            size_t place = idle[r] * stride + o;
            row velocity = row_load(v + place);
            bool asleep = !decays;
            EACH_VEC asleep = asleep && vec_is_zero(velocity.v[k]);
            if (!asleep) {
                step_row(w + place, v + place, row_zero(), s);
            }
        }
    }
}

static void wide_learn_pixels(float *w, float *v, float *g, const float *x, size_t x_stride,
                              const nn_pixel_batch *batch, const float *delta, size_t stride,
                              const nn_step *step, const uint32_t *lists, const nn_work *work)
{
    const step_vecs s = step_vecs_of(step);
    multiply(&(gemm){.m = lists[0],
                     .n = stride,
                     .k = batch->n,
                     .a = {x, 1, x_stride},
                     .b = {delta, stride, 1},
                     .b_columns = stride,
                     .c = g,
                     .c_row = stride,
                     .c_rows = lists + 1,
                     .end = TAKE_STEP,
                     .w = w,
                     .v = v,
                     .step = s,
                     .work = work});
    step_idle_rows(w, v, stride, &s, step->l2 != 0, lists + list_size(batch->inputs));
}

/* ---- looking ahead ---- */

/* Samples come in random order from a set larger than the caches, so the memory is asked for the
 * next tile's while this one's are computed: a cache line now and then, because it can only look
 * for a few at a time. */
typedef struct {
    const uint8_t *pixels[SLOTS];
    size_t n_samples, sample, line, inputs;
} prefetcher;

#define LINE 64
#define ROWS_A_LINE 2 /* of work between two lines */

static inline prefetcher prefetch_from(const nn_pixel_batch *batch, size_t first)
{
    size_t end = batch->n + batch->ahead;
    prefetcher p = {.inputs = batch->inputs};
    p.n_samples = first < end ? smaller(SLOTS, end - first) : 0;
    for (size_t k = 0; k < p.n_samples; k++) {
        p.pixels[k] = sample_pixels(batch, first + k);
    }
    return p;
}

static inline void prefetch_line(prefetcher *p)
{
    if (p->sample < p->n_samples) {
        __builtin_prefetch(p->pixels[p->sample] + p->line, 0, 2); /* as far as the second cache */
        p->line += LINE;
        if (p->line >= p->inputs + LINE - 1) { /* a sample may begin inside a line */
            p->line = 0;
            p->sample++;
        }
    }
}

/* ---- forward ---- */

/* The samples of a tile for a loop over `slots` of them, a constant, so that it becomes straight
 * code. Slots beyond the tile repeat its first sample; what comes of them is not used. */
static inline void slot_values(const float *x[SLOTS], const tile *t, const size_t slots)
{
    for (size_t k = 0; k < slots; k++) {
        x[k] = t->x + (k < t->n ? k : 0) * t->x_stride;
    }
}

static inline void forward_tile(float *a, size_t stride, const tile *t, const float *w,
                                const float *bias, prefetcher *next, const size_t slots)
{
    const float *x[SLOTS];
    row sum[SLOTS];
    const size_t n_rows = *t->n_rows;
    slot_values(x, t, slots);
    for (size_t k = 0; k < slots; k++) {
        sum[k] = row_zero();
    }
    for (size_t r = 0; r < n_rows; r++) {
        row weights = row_load(w + t->rows[r] * stride);
        for (size_t k = 0; k < slots; k++) {
            sum[k] = row_fma(x[k][r], weights, sum[k]);
        }
        if (r % ROWS_A_LINE == 0) {
            prefetch_line(next);
        }
    }
    for (size_t k = 0; k < slots; k++) {
        if (k < t->n) {
            row_store(a + (t->first + k) * stride, row_add(sum[k], row_load(bias)));
        }
    }
}

/* One sample alone, without a pack: the chain of its sums takes longer than finding its values. */
static inline void forward_one(float *a, size_t stride, const nn_pixel_batch *batch, const float *w,
                               const float *bias, uint32_t *rows)
{
    const uint8_t *pixels = sample_pixels(batch, 0);
    const tile t = {.pixels = {pixels}, .n = 1};
    size_t n_rows = 0;
    for (size_t i = 0; i < batch->inputs; i += CHUNK) {
        size_t n = smaller(CHUNK, batch->inputs - i);
        n_rows = list_bits(rows, n_rows, used_pixels(&t, i, n), i, n);
    }
    for (size_t o = 0; o < stride; o += NN_LANES) {
        row sum = row_zero();
        for (size_t r = 0; r < n_rows; r++) {
            sum = row_fma(byte_value[pixels[rows[r]]], row_load(w + rows[r] * stride + o), sum);
        }
        row_store(a + o, row_add(sum, row_load(bias + o)));
    }
}

static void vector_forward_pixels(float *a, size_t stride, float *x, size_t x_stride,
                                  const nn_pixel_batch *batch, const float *w, const float *bias,
                                  uint32_t *lists, const nn_work *work)
{
    if (is_wide(batch->n, 0, stride)) {
        wide_forward_pixels(a, stride, x, x_stride, batch, w, bias, lists, work);
        return;
    }
    if (batch->n == 1 && !batch->learning) {
        forward_one(a, stride, batch, w, bias, lists);
        return;
    }
    uint32_t *idle = batch->learning && batch->n <= SLOTS ? lists + list_size(batch->inputs) : NULL;
    for (size_t first = 0; first < batch->n; first += SLOTS) {
        const tile t = tile_at(batch, first, x, x_stride, lists);
        prefetcher next = prefetch_from(batch, smaller(first + SLOTS, batch->n));
        pack_tile(&t, batch->inputs, idle);
        for (size_t o = 0; o < stride; o += NN_LANES) {
            if (t.n == 1) {
                forward_tile(a + o, stride, &t, w + o, bias + o, &next, 1);
            } else if (t.n == 2) {
                forward_tile(a + o, stride, &t, w + o, bias + o, &next, 2);
            } else if (t.n <= SLOTS / 2) {
                forward_tile(a + o, stride, &t, w + o, bias + o, &next, SLOTS / 2);
            } else {
                forward_tile(a + o, stride, &t, w + o, bias + o, &next, SLOTS);
            }
        }
    }
}

/* ---- gradient and step ---- */

/* A tile's deltas for NN_LANES units; slots beyond the tile get 0, which adds nothing. */
static inline void slot_deltas(row d[SLOTS], const float *delta, size_t stride, const tile *t,
                               const size_t slots)
{
    for (size_t k = 0; k < slots; k++) {
        d[k] = k < t->n ? row_load(delta + (t->first + k) * stride) : row_zero();
    }
}

/* g + sum over the tile's samples of x delta, for the r-th row */
static inline row add_products(row g, const float *const x[SLOTS], const row d[SLOTS], size_t r,
                               const size_t slots)
{
    for (size_t k = 0; k < slots; k++) {
        g = row_fma(x[k][r], d[k], g);
    }
    return g;
}

static inline void gradient_tile(float *gw, size_t stride, const tile *t, const float *delta,
                                 const size_t slots)
{
    const float *x[SLOTS];
    row d[SLOTS];
    const size_t n_rows = *t->n_rows;
    slot_values(x, t, slots);
    slot_deltas(d, delta, stride, t, slots);
    for (size_t r = 0; r < n_rows; r++) {
        float *g = gw + t->rows[r] * stride;
        row_store(g, add_products(row_load(g), x, d, r, slots));
    }
}

/* From the packs that forward_pixels left. */
static void gradient_packed(float *gw, float *x, size_t x_stride, const nn_pixel_batch *batch,
                            const float *delta, size_t stride, uint32_t *lists)
{
    memset(gw, 0, batch->inputs * stride * sizeof *gw);
    for (size_t first = 0; first < batch->n; first += SLOTS) {
        const tile t = tile_at(batch, first, x, x_stride, lists);
        for (size_t o = 0; o < stride; o += NN_LANES) {
            if (t.n <= 2) {
                gradient_tile(gw + o, stride, &t, delta + o, 2);
            } else if (t.n <= SLOTS / 2) {
                gradient_tile(gw + o, stride, &t, delta + o, SLOTS / 2);
            } else {
                gradient_tile(gw + o, stride, &t, delta + o, SLOTS);
            }
        }
    }
}

static void vector_gradient_pixels(float *gw, float *x, size_t x_stride,
                                   const nn_pixel_batch *batch, const float *delta, size_t stride,
                                   uint32_t *lists)
{
    for (size_t first = 0; first < batch->n; first += SLOTS) {
        const tile t = tile_at(batch, first, x, x_stride, lists);
        pack_tile(&t, batch->inputs, NULL);
    }
    gradient_packed(gw, x, x_stride, batch, delta, stride, lists);
}

/* Gradient and step of a batch of one tile: the gradients never go to memory. */
static inline void learn_tile(float *w, float *v, const tile *t, const float *delta, size_t stride,
                              const step_vecs *s, const size_t slots)
{
    const float *x[SLOTS];
    row d[SLOTS];
    const size_t n_rows = *t->n_rows;
    slot_values(x, t, slots);
    slot_deltas(d, delta, stride, t, slots);
    for (size_t r = 0; r < n_rows; r++) {
        size_t place = t->rows[r] * stride;
        step_row(w + place, v + place, add_products(row_zero(), x, d, r, slots), s);
    }
}

static void vector_learn_pixels(float *w, float *v, float *g, float *x, size_t x_stride,
                                const nn_pixel_batch *batch, const float *delta, size_t stride,
                                const nn_step *step, uint32_t *lists, const nn_work *work)
{
    if (is_wide(batch->n, 0, stride)) {
        wide_learn_pixels(w, v, g, x, x_stride, batch, delta, stride, step, lists, work);
        return;
    }
    if (batch->n > SLOTS) {
        gradient_packed(g, x, x_stride, batch, delta, stride, lists);
        vector_step(w, v, g, batch->inputs * stride, step);
        return;
    }
    const step_vecs s = step_vecs_of(step);
    const tile t = tile_at(batch, 0, x, x_stride, lists);
    for (size_t o = 0; o < stride; o += NN_LANES) {
        if (t.n == 1) {
            learn_tile(w + o, v + o, &t, delta + o, stride, &s, 1);
        } else if (t.n == 2) {
            learn_tile(w + o, v + o, &t, delta + o, stride, &s, 2);
        } else if (t.n <= SLOTS / 2) {
            learn_tile(w + o, v + o, &t, delta + o, stride, &s, SLOTS / 2);
        } else {
            learn_tile(w + o, v + o, &t, delta + o, stride, &s, SLOTS);
        }
    }
    step_idle_rows(w, v, stride, &s, step->l2 != 0, lists + list_size(batch->inputs));
}

/* The table of these kernels; what is not here is taken as the compiler makes it of portable.h. */
#define VECTOR_KERNELS(NAME)                                                                       \
    {                                                                                              \
        .name = (NAME), .load_pixels = vector_load_pixels, .scratch_size = vector_scratch_size,    \
        .forward = vector_forward, .forward_pixels = vector_forward_pixels,                        \
        .activate = portable_activate, .softmax = vector_softmax, .backward = vector_backward,     \
        .gradient = vector_gradient, .gradient_pixels = vector_gradient_pixels,                    \
        .gradient_bias = portable_gradient_bias, .step = vector_step, .learn = vector_learn,       \
        .learn_pixels = vector_learn_pixels,                                                       \
    }

#endif
