/*
 * The first layer on bytes, for vectors of any width (see vector.h).
 *
 * Only one pixel in five of a digit is inked, and much the same ones in many digits. A tile of
 * SLOTS samples walks the pixels that are not zero in at least one of them: its rows, for they are
 * rows of the weight matrix. Forward goes tile by tile, packing the tile's values side by side, 64
 * pixels (a chunk) at a time. The gradient walks the same packs, but all tiles of a chunk before
 * the next chunk, so that the chunk's sums stay in the first cache.
 */
#ifndef NN_KERNELS_PIXELS_H
#define NN_KERNELS_PIXELS_H

#include "vector.h"

#include <stdalign.h>

#ifdef HAVE_COMPRESS
#define HAVE_INK 1
#else
#define HAVE_INK 0
#endif

/* ---- bytes to numbers ---- */

/* p / 255 correctly rounded, without a division: 1 / 255 is taken as the sum of two numbers. */
static inline vec vec_over_255(vec p)
{
    const float high = 1.0f / 255, low = (float)(1.0 / 255 - (double)high);
    return vec_fma(p, vec_set(high), vec_mul(p, vec_set(low)));
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

/* ---- samples ---- */

#define CHUNK ((size_t)64) /* pixels whose use one machine word tells */

static inline size_t chunk_size(size_t inputs, size_t i)
{
    return smaller(CHUNK, inputs - i);
}

/* Up to SLOTS samples, and where their pixels are read from. With ink, these are the pixels from
 * here on that are not zero, and the masks are those of the whole sample. */
typedef struct {
    size_t n;
    const uint8_t *pixels[SLOTS], *masks[SLOTS];
} source;

static inline bool takes_ink(const nn_pixel_batch *batch)
{
    return HAVE_INK && batch->ink;
}

static inline source source_of(const nn_pixel_batch *batch, size_t first, bool ink)
{
    source s = {.n = smaller(SLOTS, batch->n - first)};
    for (size_t k = 0; k < s.n; k++) {
        if (ink) {
            s.masks[k] = sample_ink(batch, first + k);
            s.pixels[k] = s.masks[k] + NN_INK_MASKS(batch->inputs);
        } else {
            s.pixels[k] = sample_pixels(batch, first + k);
        }
    }
    return s;
}

/* A bit for each of the pixels i to i + n - 1: whether it is not zero in one of the samples. */
static inline uint64_t used_pixels(const source *s, size_t i, size_t n)
{
    if (n == CHUNK) {
        return used_in_chunk(s->pixels, s->n, i);
    }
    if (i + n >= CHUNK) {
        return used_in_chunk(s->pixels, s->n, i + n - CHUNK) >> (CHUNK - n);
    }
    uint64_t used = 0;
    for (size_t k = 0; k < n; k++) {
        unsigned any = 0;
        for (size_t b = 0; b < s->n; b++) {
            any |= s->pixels[b][i + k];
        }
        used |= (uint64_t)(any != 0) << k;
    }
    return used;
}

static inline uint64_t mask_at(const source *s, size_t b, size_t i)
{
    uint64_t mask;
    memcpy(&mask, s->masks[b] + i / 8, sizeof mask);
    return mask;
}

/* The same from ink. */
static inline uint64_t used_ink(const source *s, size_t i)
{
    uint64_t used = 0;
    for (size_t b = 0; b < s->n; b++) {
        used |= mask_at(s, b, i);
    }
    return used;
}

/* The lowest set bit leaves a word; CHUNK if there is none. */
NN_WRAPS static inline size_t take_bit(uint64_t *bits)
{
    size_t k = *bits ? (size_t)__builtin_ctzll(*bits) : CHUNK;
    *bits &= *bits - 1;
    return k;
}

static inline size_t count_bits(uint64_t bits)
{
    return (size_t)__builtin_popcountll(bits);
}

/* ---- packing ---- */

/* So many samples a loop takes that is made for a tile of n: one of a few numbers, for which it
 * becomes straight code. */
static inline size_t slots_for(size_t n)
{
    static const size_t made[] = {1, 2, 4, 8, 10};
    for (size_t k = 0; k < sizeof made / sizeof *made && made[k] < SLOTS; k++) {
        if (n <= made[k]) {
            return made[k];
        }
    }
    return SLOTS;
}

/* CALL(slots) for that number, as a constant. */
#define WITH_SLOTS(n, CALL)                                                                        \
    switch (slots_for(n)) {                                                                        \
    case 1:                                                                                        \
        CALL(1);                                                                                   \
        break;                                                                                     \
    case 2:                                                                                        \
        CALL(2);                                                                                   \
        break;                                                                                     \
    case 4:                                                                                        \
        CALL(4);                                                                                   \
        break;                                                                                     \
    case 8:                                                                                        \
        CALL(8 < SLOTS ? 8 : SLOTS);                                                               \
        break;                                                                                     \
    case 10:                                                                                       \
        CALL(10 < SLOTS ? 10 : SLOTS);                                                             \
        break;                                                                                     \
    default:                                                                                       \
        CALL(SLOTS);                                                                               \
    }

/* A chunk of a tile: x[k][r] is the k-th sample's value in the r-th row; slots beyond the tile hold
 * 0. */
typedef struct {
    uint64_t rows; /* a bit for each pixel of the chunk */
    float (*x)[CHUNK];
} chunk_pack;

/* What waits for the gradient in the work space: a block for each tile and chunk, aligned. It holds
 * the numbers, or, where these are quickly made again, bytes. */
#if HAVE_INK
typedef uint8_t packed;
#else
typedef float packed;
#endif

typedef struct {
    alignas(64) packed values[SLOTS][CHUNK];
    uint64_t rows;
} block;

/* Without a gradient to come, all tiles use the same blocks. */
static inline block *block_at(float *space, const nn_pixel_batch *batch, size_t first, size_t i)
{
    const size_t chunks = (batch->inputs + CHUNK - 1) / CHUNK;
    const size_t tile = batch->learning ? first / SLOTS : 0;
    const size_t beyond = (uintptr_t)space % alignof(block);
    char *begin = (char *)space + (alignof(block) - beyond) % alignof(block);
    return (block *)(void *)begin + tile * chunks + i / CHUNK;
}

static inline void clear_slots(float x[SLOTS][CHUNK], size_t n)
{
    for (size_t k = n; k < slots_for(n); k++) {
        memset(x[k], 0, CHUNK * sizeof *x[k]);
    }
}

#if HAVE_INK
#define KEPT ((size_t)128) /* samples whose numbers the second cache has room for */

/* Whether the numbers wait after all, and not the bytes. */
static inline bool keeps_numbers(const nn_pixel_batch *batch)
{
    return batch->learning && batch->n <= KEPT;
}

/* Where they wait: behind the blocks. */
static inline float (*numbers_at(float *space, const nn_pixel_batch *batch, size_t first,
                                 size_t i))[CHUNK]
{
    const size_t chunks = (batch->inputs + CHUNK - 1) / CHUNK;
    const size_t behind = (batch->n + SLOTS - 1) / SLOTS * SLOTS;
    float(*numbers)[CHUNK] = (void *)block_at(space, batch, behind, 0);
    return numbers + (first / SLOTS * chunks + i / CHUNK) * SLOTS;
}

/* Packs rows that are known, `vecs` vectors of them. */
static inline void pack_rows(float x[SLOTS][CHUNK], block *p, source *tile,
                             const nn_pixel_batch *batch, size_t i, const size_t vecs)
{
    const bool ink = takes_ink(batch), keep_bytes = batch->learning && !keeps_numbers(batch);
    for (size_t k = 0; k < tile->n; k++) {
        bytes_64 bytes;
        if (ink) {
            uint64_t inked = mask_at(tile, k, i);
            bytes = expand_64(p->rows, inked, tile->pixels[k]);
            tile->pixels[k] += count_bits(inked);
        } else {
            bytes = compress_64(p->rows, tile->pixels[k] + i);
        }
        if (keep_bytes) {
            bytes_store(p->values[k], bytes);
        }
        UNROLLED for (size_t v = 0; v < vecs; v++)
        {
            vec_store(x[k] + v * VEC_LANES, vec_over_255(bytes_low(bytes)));
            bytes = bytes_next(bytes);
        }
    }
}

/* Packs a chunk of a tile; `room` is for its numbers where they are not kept. */
static inline chunk_pack pack_chunk(float *space, const nn_pixel_batch *batch, source *tile,
                                    size_t first, size_t i, float room[SLOTS][CHUNK])
{
    block *p = block_at(space, batch, first, i);
    float(*x)[CHUNK] = keeps_numbers(batch) ? numbers_at(space, batch, first, i) : room;
    p->rows =
        takes_ink(batch) ? used_ink(tile, i) : used_pixels(tile, i, chunk_size(batch->inputs, i));
    switch ((count_bits(p->rows) + VEC_LANES - 1) / VEC_LANES) {
    case 0:
        break;
    case 1:
        pack_rows(x, p, tile, batch, i, 1);
        break;
    case 2:
        pack_rows(x, p, tile, batch, i, 2);
        break;
    case 3:
        pack_rows(x, p, tile, batch, i, 3);
        break;
    default:
        pack_rows(x, p, tile, batch, i, CHUNK / VEC_LANES);
    }
    clear_slots(x, tile->n);
    return (chunk_pack){p->rows, x};
}

/* The same chunk, for the gradient. */
static inline chunk_pack packed_chunk(float *space, const nn_pixel_batch *batch, size_t first,
                                      size_t i, float room[SLOTS][CHUNK])
{
    const block *p = block_at(space, batch, first, i);
    const size_t n = smaller(SLOTS, batch->n - first), n_rows = count_bits(p->rows);
    if (keeps_numbers(batch)) {
        return (chunk_pack){p->rows, numbers_at(space, batch, first, i)};
    }
    for (size_t r = 0; r < n_rows; r += VEC_LANES) {
        for (size_t k = 0; k < n; k++) {
            vec_store(room[k] + r, vec_over_255(vec_bytes(p->values[k] + r)));
        }
    }
    clear_slots(room, n);
    return (chunk_pack){p->rows, room};
}
#else
static inline chunk_pack pack_chunk(float *space, const nn_pixel_batch *batch, source *tile,
                                    size_t first, size_t i, float room[SLOTS][CHUNK])
{
    block *p = block_at(space, batch, first, i);
    uint8_t pixels[CHUNK];
    size_t n_rows = 0;
    p->rows = used_pixels(tile, i, chunk_size(batch->inputs, i));
    for (uint64_t left = p->rows; left; n_rows++) {
        pixels[n_rows] = (uint8_t)take_bit(&left);
    }
    for (size_t k = 0; k < tile->n; k++) {
        for (size_t r = 0; r < n_rows; r++) {
            p->values[k][r] = byte_value[tile->pixels[k][i + pixels[r]]];
        }
    }
    clear_slots(p->values, tile->n);
    (void)room;
    return (chunk_pack){p->rows, p->values};
}

static inline chunk_pack packed_chunk(float *space, const nn_pixel_batch *batch, size_t first,
                                      size_t i, float room[SLOTS][CHUNK])
{
    block *p = block_at(space, batch, first, i);
    (void)room;
    return (chunk_pack){p->rows, p->values};
}
#endif

/* ---- looking ahead ---- */

#define AHEAD ((size_t)64)         /* samples from one that is computed to one that is fetched */
#define PLACES_AHEAD ((size_t)100) /* and on to one whose place is found out */

/* Samples come in random order from a set larger than the caches, so the memory is asked for later
 * ones while these are computed, a few cache lines at a time. Where a record of ink begins is asked
 * for before that; where it ends is not looked up, that would be waiting too. To a compiler a
 * function that only asks does nothing, so a call of it might be left out. */
__attribute__((always_inline)) static inline void prefetch_sample(const nn_pixel_batch *batch,
                                                                  size_t b)
{
    const size_t line = 64, known = batch->n + batch->ahead;
    const bool ink = takes_ink(batch);
    if (b >= known) {
        return;
    }
    const uint8_t *from = ink ? sample_ink(batch, b) : sample_pixels(batch, b);
    const size_t size = ink ? batch->ink->typical : batch->inputs + line - 1;
    if (ink && batch->index && b + PLACES_AHEAD < known) {
        __builtin_prefetch(&batch->ink->start[batch->index[b + PLACES_AHEAD]]);
    }
    for (size_t k = 0; k < size; k += line) {
        __builtin_prefetch(from + k, 0, 2); /* as far as the second cache */
    }
}

/* For a tile of n samples from `first` on whose chunk at pixel i is next. In use, where no batch is
 * known but this one, the next tile is asked for. */
__attribute__((always_inline)) static inline void prefetch_part(const nn_pixel_batch *batch,
                                                                size_t first, size_t n, size_t i)
{
    const size_t inputs = batch->inputs, ahead = batch->learning ? AHEAD : SLOTS;
    const size_t end = n * smaller(i + CHUNK, inputs) / inputs;
    for (size_t k = n * i / inputs; k < end; k++) {
        prefetch_sample(batch, first + ahead + k);
    }
}

/* ---- wide layers ---- */

/* Each list of rows has so many entries: their number, the rows, and what list_16 writes behind
 * them. */
static inline size_t list_size(size_t inputs)
{
    return 1 + inputs + NN_LANES;
}

/* Appends i + k to the list for each bit k of `used` that is set among the lowest n. */
static inline size_t list_bits(uint32_t *list, size_t listed, uint64_t used, size_t i, size_t n)
{
    for (size_t k = 0; k < n; k += 16) {
        uint32_t bits = (uint32_t)(used >> k) & 0xffff;
        list_16(list + listed, bits, (uint32_t)(i + k));
        listed += count_bits(bits);
    }
    return listed;
}

/* Lists the pixels that are not zero in one of a batch's samples, its rows, and those that are.
 * used[] is room for a bit for each. */
static void list_rows(const nn_pixel_batch *batch, uint64_t *used, uint32_t *rows, uint32_t *idle)
{
    size_t n_rows = 0, n_idle = 0;
    memset(used, 0, NN_INK_MASKS(batch->inputs));
    for (size_t b = 0; b < batch->n; b++) {
        const source one = {.n = 1, .pixels = {sample_pixels(batch, b)}};
        for (size_t i = 0; i < batch->inputs; i += CHUNK) {
            used[i / CHUNK] |= used_pixels(&one, i, chunk_size(batch->inputs, i));
        }
    }
    for (size_t i = 0; i < batch->inputs; i += CHUNK) {
        const size_t n = chunk_size(batch->inputs, i);
        const uint64_t all = UINT64_MAX >> (CHUNK - n);
        n_rows = list_bits(rows + 1, n_rows, used[i / CHUNK], i, n);
        n_idle = list_bits(idle + 1, n_idle, all & ~used[i / CHUNK], i, n);
    }
    rows[0] = (uint32_t)n_rows;
    idle[0] = (uint32_t)n_idle;
}

/* A whole batch as one tile: x[b][r] is sample b's value in the r-th of the listed rows. */
typedef struct {
    float *x;
    size_t x_stride;
    const nn_pixel_batch *batch;
    const uint32_t *rows;
    const nn_work *work;
} batch_pack;

static void pack_share(void *context, size_t part)
{
    const batch_pack *p = context;
    const size_t parts = nn_team_size(p->work->team), n = p->batch->n;
    for (size_t b = n * part / parts; b < n * (part + 1) / parts; b++) {
        const uint8_t *pixels = sample_pixels(p->batch, b);
        prefetch_sample(p->batch, n + b);
        for (size_t r = 0; r < p->rows[0]; r++) {
            p->x[b * p->x_stride + r] = byte_value[pixels[p->rows[r + 1]]];
        }
    }
}

static void wide_forward_pixels(float *a, size_t stride, float *x, size_t x_stride,
                                const nn_pixel_batch *batch, const float *w, const float *bias,
                                uint32_t *lists, const nn_work *work)
{
    batch_pack p = {x, x_stride, batch, lists, work};
    list_rows(batch, (void *)x, lists, lists + list_size(batch->inputs));
    nn_team_run(work->team, pack_share, &p);
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

static void wide_learn_pixels(float *w, float *v, float *g, const float *x, size_t x_stride,
                              const nn_pixel_batch *batch, const float *delta, size_t stride,
                              const nn_step *step, const uint32_t *lists, const nn_work *work)
{
    const uint32_t *idle = lists + list_size(batch->inputs);
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
                     .step = step_vecs_of(step),
                     .idle = idle + 1,
                     .n_idle = idle[0],
                     .work = work});
}

/* ---- forward ---- */

/* Adds a chunk's products to the sums of n samples: a = a + sum over its rows of x w. */
static inline void forward_block(float *a, size_t stride, size_t n, float x[SLOTS][CHUNK],
                                 const float *w, uint64_t rows, const size_t slots)
{
    row sum[SLOTS];
    UNROLLED for (size_t k = 0; k < SLOTS; k++)
    {
        sum[k] = k < n ? row_load(a + k * stride) : row_zero();
    }
    for (size_t r = 0; rows; r++) {
        row weights = row_load(w + take_bit(&rows) * stride);
        UNROLLED for (size_t k = 0; k < slots; k++)
        {
            sum[k] = row_fma(x[k][r], weights, sum[k]);
        }
    }
    UNROLLED for (size_t k = 0; k < slots; k++)
    {
        if (k < n) {
            row_store(a + k * stride, sum[k]);
        }
    }
}

/* The sums of one tile, without the bias. */
static inline void forward_tile(float *a, size_t stride, float *space, const nn_pixel_batch *batch,
                                size_t first, const float *w)
{
    const size_t n = smaller(SLOTS, batch->n - first), inputs = batch->inputs;
    source tile = source_of(batch, first, takes_ink(batch));
    memset(a, 0, n * stride * sizeof *a);
    for (size_t i = 0; i < inputs; i += CHUNK) {
        alignas(64) float room[SLOTS][CHUNK];
        prefetch_part(batch, first, n, i);
        const chunk_pack c = pack_chunk(space, batch, &tile, first, i, room);
        for (size_t o = 0; o < stride; o += NN_LANES) {
#define FORWARD(slots) forward_block(a + o, stride, n, c.x, w + i * stride + o, c.rows, slots)
            WITH_SLOTS(n, FORWARD)
        }
    }
}

/* One sample alone, without a pack: its pixels are found while the chain of its sums runs. */
static inline void forward_one(float *a, size_t stride, const nn_pixel_batch *batch, const float *w,
                               const float *bias)
{
    const source from = {.n = 1, .pixels = {sample_pixels(batch, 0)}};
    const uint8_t *pixels = from.pixels[0];
    for (size_t o = 0; o < stride; o += NN_LANES) {
        row sum = row_zero();
        for (size_t i = 0; i < batch->inputs; i += CHUNK) {
            uint64_t rows = used_pixels(&from, i, chunk_size(batch->inputs, i));
            while (rows) {
                size_t r = i + take_bit(&rows);
                sum = row_fma(byte_value[pixels[r]], row_load(w + r * stride + o), sum);
            }
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
        forward_one(a, stride, batch, w, bias);
        return;
    }
    for (size_t first = 0; first < batch->n; first += SLOTS) {
        forward_tile(a + first * stride, stride, x, batch, first, w);
    }
    for (size_t b = 0; b < batch->n; b++) {
        for (size_t o = 0; o < stride; o += NN_LANES) {
            float *to = a + b * stride + o;
            row_store(to, row_add(row_load(to), row_load(bias + o)));
        }
    }
}

/* ---- gradient and step ---- */

/* A tile's deltas for NN_LANES units; slots beyond the tile get 0, which adds nothing. */
static inline void slot_deltas(row d[SLOTS], const float *delta, size_t stride, size_t n,
                               const size_t slots)
{
    for (size_t k = 0; k < slots; k++) {
        d[k] = k < n ? row_load(delta + k * stride) : row_zero();
    }
}

/* g + sum over the samples of x delta, for AT_ONCE rows from the r-th on: the chain of one row's
 * sum would leave the processor waiting. */
static inline void add_products(row g[AT_ONCE], float x[SLOTS][CHUNK], size_t r, const row d[SLOTS],
                                const size_t slots)
{
    UNROLLED for (size_t k = 0; k < slots; k++)
    {
        UNROLLED for (size_t j = 0; j < AT_ONCE; j++)
        {
            g[j] = row_fma(x[k][r + j], d[k], g[j]);
        }
    }
}

/* The gradients of a chunk's rows, and a place for those of rows that are none. */
typedef float chunk_gradient[CHUNK + 1][NN_LANES];

/* Adds a tile's products to the gradients of a chunk. */
static inline void gradient_block(chunk_gradient g, float x[SLOTS][CHUNK], uint64_t rows,
                                  const float *delta, size_t stride, size_t n, const size_t slots)
{
    row d[SLOTS];
    slot_deltas(d, delta, stride, n, slots);
    for (size_t r = 0; rows; r += AT_ONCE) {
        float *to[AT_ONCE];
        row sum[AT_ONCE];
        UNROLLED for (size_t j = 0; j < AT_ONCE; j++)
        {
            to[j] = g[take_bit(&rows)];
            sum[j] = row_load(to[j]);
        }
        add_products(sum, x, r, d, slots);
        UNROLLED for (size_t j = 0; j < AT_ONCE; j++)
        {
            row_store(to[j], sum[j]);
        }
    }
}

/* The gradients of a chunk's rows for NN_LANES units, from the packs that forward_pixels left;
 * returns the rows. */
static inline uint64_t gradient_chunk(chunk_gradient g, float *space, const nn_pixel_batch *batch,
                                      size_t i, const float *delta, size_t stride)
{
    uint64_t used = 0;
    memset(g, 0, sizeof(chunk_gradient));
    for (size_t first = 0; first < batch->n; first += SLOTS) {
        const size_t n = smaller(SLOTS, batch->n - first);
        alignas(64) float room[SLOTS][CHUNK];
        const chunk_pack c = packed_chunk(space, batch, first, i, room);
#define GRADIENT(slots) gradient_block(g, c.x, c.rows, delta + first * stride, stride, n, slots)
        WITH_SLOTS(n, GRADIENT)
        used |= c.rows;
    }
    return used;
}

static void vector_gradient_pixels(float *gw, float *x, const nn_pixel_batch *batch,
                                   const float *delta, size_t stride)
{
    nn_pixel_batch again = *batch;
    again.learning = true; /* the blocks of all tiles wait */
    for (size_t first = 0; first < batch->n; first += SLOTS) {
        source tile = source_of(batch, first, takes_ink(batch));
        for (size_t i = 0; i < batch->inputs; i += CHUNK) {
            alignas(64) float room[SLOTS][CHUNK];
            pack_chunk(x, &again, &tile, first, i, room);
        }
    }
    for (size_t i = 0; i < batch->inputs; i += CHUNK) {
        for (size_t o = 0; o < stride; o += NN_LANES) {
            alignas(64) chunk_gradient g;
            gradient_chunk(g, x, &again, i, delta + o, stride);
            for (size_t r = 0; r < chunk_size(batch->inputs, i); r++) {
                row_store(gw + (i + r) * stride + o, row_load(g[r]));
            }
        }
    }
}

/* Gradient and step of a chunk's rows for a batch of one tile: the gradients stay in registers. */
static inline void learn_block(float *w, float *v, float x[SLOTS][CHUNK], uint64_t rows,
                               const float *delta, size_t stride, size_t n, const step_vecs *s,
                               const size_t slots)
{
    row d[SLOTS];
    slot_deltas(d, delta, stride, n, slots);
    for (size_t r = 0; rows; r += AT_ONCE) {
        row g[AT_ONCE];
        UNROLLED for (size_t j = 0; j < AT_ONCE; j++)
        {
            g[j] = row_zero();
        }
        add_products(g, x, r, d, slots);
        UNROLLED for (size_t j = 0; j < AT_ONCE && rows; j++)
        {
            size_t place = take_bit(&rows) * stride;
            step_row(w + place, v + place, g[j], s);
        }
    }
}

/* All of that; returns the rows. */
static inline uint64_t learn_alone(float *w, float *v, float *space, const nn_pixel_batch *batch,
                                   size_t i, const float *delta, size_t stride, const step_vecs *s)
{
    alignas(64) float room[SLOTS][CHUNK];
    const chunk_pack c = packed_chunk(space, batch, 0, i, room);
#define LEARN(slots) learn_block(w, v, c.x, c.rows, delta, stride, batch->n, s, slots)
    WITH_SLOTS(batch->n, LEARN)
    return c.rows;
}

/* The same for a batch of several tiles. */
static inline uint64_t learn_chunk(float *w, float *v, float *space, const nn_pixel_batch *batch,
                                   size_t i, const float *delta, size_t stride, const step_vecs *s)
{
    alignas(64) chunk_gradient g;
    const uint64_t used = gradient_chunk(g, space, batch, i, delta, stride);
    for (uint64_t rows = used; rows;) {
        size_t r = take_bit(&rows);
        step_row(w + r * stride, v + r * stride, row_load(g[r]), s);
    }
    return used;
}

static void vector_learn_pixels(float *w, float *v, float *g, float *x, size_t x_stride,
                                const nn_pixel_batch *batch, const float *delta, size_t stride,
                                const nn_step *step, uint32_t *lists, const nn_work *work)
{
    if (is_wide(batch->n, 0, stride)) {
        wide_learn_pixels(w, v, g, x, x_stride, batch, delta, stride, step, lists, work);
        return;
    }
    const step_vecs s = step_vecs_of(step);
    const bool decays = step->l2 != 0;
    for (size_t i = 0; i < batch->inputs; i += CHUNK) {
        const uint64_t all = UINT64_MAX >> (CHUNK - chunk_size(batch->inputs, i));
        for (size_t o = 0; o < stride; o += NN_LANES) {
            float *wi = w + i * stride + o, *vi = v + i * stride + o;
            uint64_t used = batch->n <= SLOTS
                                ? learn_alone(wi, vi, x, batch, i, delta + o, stride, &s)
                                : learn_chunk(wi, vi, x, batch, i, delta + o, stride, &s);
            for (uint64_t idle = all & ~used; idle;) {
                size_t place = take_bit(&idle) * stride;
                step_idle_row(wi + place, vi + place, &s, decays);
            }
        }
    }
}

#undef FORWARD
#undef GRADIENT
#undef LEARN

/* ---- ink ---- */

#if HAVE_INK
static size_t write_ink(uint8_t *to, const uint8_t *pixels, size_t inputs)
{
    size_t masks = NN_INK_MASKS(inputs), n = 0;
    for (size_t i = 0; i < inputs; i += CHUNK) {
        const source from = {.pixels = {pixels}, .n = 1};
        uint64_t mask = used_pixels(&from, i, chunk_size(inputs, i));
        if (to) {
            memcpy(to + i / 8, &mask, sizeof mask);
            write_chunk(to + masks + n, mask, pixels + i);
        }
        n += count_bits(mask);
    }
    return masks + n;
}
#define WRITE_INK write_ink
#else
#define WRITE_INK NULL
#endif

/* The table of these kernels; what is not here is taken as the compiler makes it of portable.h. */
#define VECTOR_KERNELS(NAME)                                                                       \
    {                                                                                              \
        .name = (NAME), .load_pixels = vector_load_pixels, .write_ink = WRITE_INK,                 \
        .scratch_size = vector_scratch_size, .forward = vector_forward,                            \
        .forward_pixels = vector_forward_pixels, .activate = portable_activate,                    \
        .softmax = vector_softmax, .backward = vector_backward, .gradient = vector_gradient,       \
        .gradient_pixels = vector_gradient_pixels, .log_sums = portable_log_sums,                  \
        .count_right = vector_count_right, .output_delta = portable_output_delta,                  \
        .gradient_bias = vector_gradient_bias, .step = vector_step, .learn = vector_learn,         \
        .learn_pixels = vector_learn_pixels,                                                       \
    }

#endif
