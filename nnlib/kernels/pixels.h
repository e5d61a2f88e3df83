/*
 * The first layer on bytes, for vectors of any width (see vector.h).
 *
 * Only one pixel in five of a digit is inked, and much the same ones in many digits. A tile of
 * SLOTS samples walks the pixels that are not zero in at least one of them: its rows, for they are
 * rows of the weight matrix. Forward lists a tile's rows, brings each sample's bytes in them
 * together, and makes numbers of these, 64 rows (a block) at a time, which it multiplies while they
 * are in the first cache. The gradient walks the same lists and numbers again.
 */
#ifndef NN_KERNELS_PIXELS_H
#define NN_KERNELS_PIXELS_H

#include "vector.h"

#ifdef HAVE_COMPRESS
#define HAVE_INK 1
#else
#define HAVE_INK 0
#endif

/* ---- bytes to numbers ---- */

/* p / 255 correctly rounded, without a division: 1 / 255 is taken as the sum of two numbers, or,
 * the float next to it being the larger one, each product is rounded down. */
static inline vec vec_over_255(vec p)
{
    const float high = 1.0f / 255;
#ifdef HAVE_MUL_DOWN
    return vec_mul_down(p, vec_set(high));
#else
    const float low = (float)(1.0 / 255 - (double)high);
    return vec_fma(p, vec_set(high), vec_mul(p, vec_set(low)));
#endif
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

static inline size_t count_chunks(size_t inputs)
{
    return (inputs + CHUNK - 1) / CHUNK;
}

/* Up to SLOTS samples, and where their pixels are read from. With ink, these are the pixels that
 * are not zero, and the masks tell which. */
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

/* ---- lists ---- */

/* Each list of rows has so many entries: their number, the rows, and what list_16 writes behind
 * them. */
static inline size_t list_size(size_t inputs)
{
    return 1 + inputs + NN_LANES;
}

/* Appends i + k to the list for each bit k of `used` that is set. */
static inline size_t list_bits(uint32_t *list, size_t listed, uint64_t used, size_t i)
{
    UNROLLED for (size_t k = 0; k < CHUNK; k += 16)
    {
        uint32_t bits = (uint32_t)(used >> k) & 0xffff;
        list_16(list + listed, bits, (uint32_t)(i + k));
        listed += count_bits(bits);
    }
    return listed;
}

/* ---- looking ahead ---- */

#define PLACES_AHEAD ((size_t)100) /* samples from one that is asked for to one whose place is */

/* Samples come in random order from a set larger than the caches, so the memory is asked for later
 * ones, the next tile's, while these are computed, a few cache lines at a time. Where a record of
 * ink begins is asked for before that; where it ends is not looked up, that would be waiting too.
 * To a compiler a function that only asks does nothing, so a call of it might be left out. */
ALWAYS_INLINE void prefetch_sample(const nn_pixel_batch *batch, size_t b)
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

/* What forward leaves of a tile for its gradient. */
typedef float block[SLOTS][CHUNK]; /* [k][r]: sample k's value in the block's row r */
typedef struct {
    size_t n;       /* samples */
    uint64_t *used; /* a bit for each pixel: whether it is a row */
    uint32_t *rows; /* how many, and which */
    block *x;       /* numbers, a block for each CHUNK rows */
    uint8_t *bytes; /* [SLOTS][line], what they are made of */
    size_t line;
} tile_pack;

#define KEPT ((size_t)128) /* samples whose numbers the second cache has room for */

/* Whether the numbers wait for the gradient, or the bytes. */
static inline bool keeps_numbers(const nn_pixel_batch *batch)
{
    return batch->learning && batch->n <= KEPT;
}

/* A tile's place in the work space. What does not wait has the same place for all tiles; without a
 * gradient to come, nothing waits. */
static inline tile_pack pack_at(float *space, const nn_pixel_batch *batch, size_t first)
{
    const size_t line = 64; /* of the cache; all sizes below are multiples of it */
    const size_t chunks = count_chunks(batch->inputs), tile = batch->learning ? first / SLOTS : 0;
    const size_t used = (chunks * sizeof(uint64_t) + line - 1) / line * line;
    const size_t rows = (chunks * CHUNK + 2 * NN_LANES) * sizeof(uint32_t);
    const size_t numbers = chunks * sizeof(block), bytes = SLOTS * (chunks + 1) * CHUNK;
    const bool keeps = keeps_numbers(batch);
    const size_t shared = keeps ? bytes : sizeof(block),
                 own = used + rows + (keeps ? numbers : bytes);
    char *begin = (char *)space + (line - (uintptr_t)space % line) % line;
    char *at = begin + shared + tile * own;
    return (tile_pack){.n = smaller(SLOTS, batch->n - first),
                       .used = (void *)at,
                       .rows = (void *)(at + used),
                       .x = (void *)(keeps ? at + used + rows : begin),
                       .bytes = (void *)(keeps ? begin : at + used + rows),
                       .line = (chunks + 1) * CHUNK};
}

/* Brings together the bytes that a sample has in a tile's rows. */
static inline void gather_bytes(const tile_pack *p, size_t k, const source *tile,
                                const nn_pixel_batch *batch)
{
    uint8_t *to = p->bytes + k * p->line;
    const uint8_t *from = tile->pixels[k];
#ifdef HAVE_COMPRESS
    for (size_t c = 0; c < count_chunks(batch->inputs); c++) {
        if (takes_ink(batch)) {
            const uint64_t inked = mask_at(tile, k, c * CHUNK);
            bytes_store(to, expand_64(p->used[c], inked, from));
            from += count_bits(inked);
        } else {
            bytes_store(to, compress_64(p->used[c], from));
            from += CHUNK;
        }
        to += count_bits(p->used[c]);
    }
#else
    (void)batch;
    for (size_t r = 0; r < p->rows[0]; r++) {
        to[r] = from[p->rows[r + 1]];
    }
#endif
}

/* Lists the pixels that are not zero in one of a tile's samples. */
static inline void find_rows(const tile_pack *p, const source *tile, const nn_pixel_batch *batch)
{
    const bool ink = takes_ink(batch);
    size_t n_rows = 0;
#ifdef HAVE_COMPRESS
    if (ink) {
        or_words(p->used, tile->masks, tile->n, count_chunks(batch->inputs));
    }
#endif
    for (size_t i = 0; i < batch->inputs; i += CHUNK) {
        uint64_t *used = &p->used[i / CHUNK];
        if (!ink) {
            *used = used_pixels(tile, i, chunk_size(batch->inputs, i));
        }
        n_rows = list_bits(p->rows + 1, n_rows, *used, i);
    }
    p->rows[0] = (uint32_t)n_rows;
}

/* Finds a tile's rows, and its bytes in them. */
static inline tile_pack pack_tile(float *space, const nn_pixel_batch *batch, size_t first)
{
    const tile_pack p = pack_at(space, batch, first);
    const source tile = source_of(batch, first, takes_ink(batch));
    find_rows(&p, &tile, batch);
    for (size_t k = 0; k < p.n; k++) {
        gather_bytes(&p, k, &tile, batch);
    }
    return p;
}

/* The rows of block j. */
static inline size_t block_rows(const tile_pack *p, size_t j)
{
    return smaller(CHUNK, p->rows[0] - j * CHUNK);
}

static inline size_t count_blocks(const tile_pack *p)
{
    return count_chunks(p->rows[0]);
}

/* Where the numbers of block j are. */
static inline block *block_at(const tile_pack *p, const nn_pixel_batch *batch, size_t j)
{
    return p->x + (keeps_numbers(batch) ? j : 0);
}

/* Makes numbers of block j; slots beyond the tile that a loop takes get 0. */
static inline void fill_block(block x, const tile_pack *p, size_t j)
{
    for (size_t k = 0; k < p->n; k++) {
        const uint8_t *bytes = p->bytes + k * p->line + j * CHUNK;
        UNROLLED for (size_t r = 0; r < CHUNK; r += VEC_LANES)
        {
            vec_store(x[k] + r, vec_over_255(vec_bytes(bytes + r)));
        }
    }
    for (size_t k = p->n; k < slots_for(p->n); k++) {
        memset(x[k], 0, sizeof x[k]);
    }
}

/* ---- wide layers ---- */

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
        n_rows = list_bits(rows + 1, n_rows, used[i / CHUNK], i);
        n_idle = list_bits(idle + 1, n_idle, all & ~used[i / CHUNK], i);
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

/* Adds a block's products to the sums of a tile, or begins them: a = sum over its rows of x w. */
ALWAYS_INLINE void forward_block(float *a, size_t stride, size_t n, block x, const uint32_t *rows,
                                 size_t n_rows, const float *w, bool begins, const size_t slots)
{
    row sum[SLOTS];
    UNROLLED for (size_t k = 0; k < SLOTS; k++)
    {
        sum[k] = k < n && !begins ? row_load(a + k * stride) : row_zero();
    }
    for (size_t r = 0; r < n_rows; r++) {
        row weights = row_load(w + rows[r] * stride);
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
    const tile_pack p = pack_tile(space, batch, first);
    const size_t n = p.n, blocks = count_blocks(&p);
    if (blocks == 0) {
        memset(a, 0, n * stride * sizeof *a);
    }
    for (size_t j = 0; j < blocks; j++) {
        float(*x)[CHUNK] = *block_at(&p, batch, j);
        const uint32_t *rows = p.rows + 1 + j * CHUNK;
        fill_block(x, &p, j);
        for (size_t k = n * j / blocks; k < n * (j + 1) / blocks; k++) {
            prefetch_sample(batch, first + SLOTS + k);
        }
        for (size_t o = 0; o < stride; o += NN_LANES) {
#define FORWARD(slots)                                                                             \
    forward_block(a + o, stride, n, x, rows, block_rows(&p, j), w + o, j == 0, slots)
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

/* What a tile's gradients come to: they are added to what the tiles before left in g, or begin;
 * and they wait in g for the next tile, or the step is taken. */
typedef struct {
    float *w, *v, *g;
    size_t stride;
    step_vecs step;
} learning;

/* That for `at_once` rows from a block's r-th on: the chain of one row's sum would leave the
 * processor waiting. */
ALWAYS_INLINE void learn_rows(const learning *l, block x, const uint32_t *rows, size_t r,
                              const row d[SLOTS], size_t o, const bool begins, const bool ends,
                              const size_t slots, const size_t at_once)
{
    row g[AT_ONCE];
    size_t place[AT_ONCE];
    UNROLLED for (size_t j = 0; j < at_once; j++)
    {
        place[j] = rows[r + j] * l->stride + o;
        g[j] = begins ? row_zero() : row_load(l->g + place[j]);
    }
    UNROLLED for (size_t k = 0; k < slots; k++)
    {
        UNROLLED for (size_t j = 0; j < at_once; j++)
        {
            g[j] = row_fma(x[k][r + j], d[k], g[j]);
        }
    }
    UNROLLED for (size_t j = 0; j < at_once; j++)
    {
        if (ends) {
            step_row(l->w + place[j], l->v + place[j], g[j], &l->step);
        } else {
            row_store(l->g + place[j], g[j]);
        }
    }
}

/* The same for all rows of a tile and NN_LANES units, o being the first. Slots beyond the tile get
 * deltas of 0, which add nothing. */
ALWAYS_INLINE void learn_units(learning l, const tile_pack *p, const nn_pixel_batch *batch,
                               const float *delta, size_t o, const bool begins, const bool ends,
                               const size_t slots)
{
    row d[SLOTS];
    UNROLLED for (size_t k = 0; k < SLOTS; k++)
    {
        d[k] = k < p->n ? row_load(delta + k * l.stride + o) : row_zero();
    }
    for (size_t j = 0; j < count_blocks(p); j++) {
        float(*x)[CHUNK] = *block_at(p, batch, j);
        const uint32_t *rows = p->rows + 1 + j * CHUNK;
        const size_t n = block_rows(p, j);
        size_t r = 0;
        if (!keeps_numbers(batch)) {
            fill_block(x, p, j);
        }
        for (; r + AT_ONCE <= n; r += AT_ONCE) {
            learn_rows(&l, x, rows, r, d, o, begins, ends, slots, AT_ONCE);
        }
        for (; r < n; r++) {
            learn_rows(&l, x, rows, r, d, o, begins, ends, slots, 1);
        }
    }
}

/* The first of several tiles has all SLOTS samples. */
static void learn_tile(const learning *l, const tile_pack *p, const nn_pixel_batch *batch,
                       const float *delta, bool begins, bool ends)
{
    for (size_t o = 0; o < l->stride; o += NN_LANES) {
        if (begins && ends) {
#define ALONE(slots) learn_units(*l, p, batch, delta, o, true, true, slots)
            WITH_SLOTS(p->n, ALONE)
        } else if (begins) {
            learn_units(*l, p, batch, delta, o, true, false, SLOTS);
        } else if (ends) {
#define END(slots) learn_units(*l, p, batch, delta, o, false, true, slots)
            WITH_SLOTS(p->n, END)
        } else {
#define GO_ON(slots) learn_units(*l, p, batch, delta, o, false, false, slots)
            WITH_SLOTS(p->n, GO_ON)
        }
    }
}

static void vector_gradient_pixels(float *gw, float *x, const nn_pixel_batch *batch,
                                   const float *delta, size_t stride)
{
    const learning l = {.g = gw, .stride = stride};
    nn_pixel_batch again = *batch;
    again.learning = false; /* one tile after the other, nothing waits */
    memset(gw, 0, batch->inputs * stride * sizeof *gw);
    for (size_t first = 0; first < batch->n; first += SLOTS) {
        const tile_pack p = pack_tile(x, &again, first);
        learn_tile(&l, &p, &again, delta + first * stride, false, false);
    }
}

/* A bit for each pixel of a chunk: whether it is a row of one of the tiles. */
static inline uint64_t used_in_batch(float *space, const nn_pixel_batch *batch, size_t chunk)
{
    uint64_t used = 0;
    for (size_t first = 0; first < batch->n; first += SLOTS) {
        used |= pack_at(space, batch, first).used[chunk];
    }
    return used;
}

/* The gradients of a chunk's rows that are not the first tile's begin with 0. */
static void clear_gradients(const learning *l, size_t chunk, uint64_t rows)
{
    while (rows) {
        const size_t r = chunk * CHUNK + take_bit(&rows);
        memset(l->g + r * l->stride, 0, l->stride * sizeof *l->g);
    }
}

/* The step of a chunk's rows that are not the last tile's; and of those that are no rows. */
static void step_others(const learning *l, size_t chunk, uint64_t rows, uint64_t idle, bool decays)
{
    while (rows) {
        const size_t place = (chunk * CHUNK + take_bit(&rows)) * l->stride;
        for (size_t o = place; o < place + l->stride; o += NN_LANES) {
            step_row(l->w + o, l->v + o, row_load(l->g + o), &l->step);
        }
    }
    while (idle) {
        const size_t place = (chunk * CHUNK + take_bit(&idle)) * l->stride;
        for (size_t o = place; o < place + l->stride; o += NN_LANES) {
            step_idle_row(l->w + o, l->v + o, &l->step, decays);
        }
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
    const learning l = {w, v, g, stride, step_vecs_of(step)};
    const size_t last = (batch->n - 1) / SLOTS * SLOTS;
    const uint64_t *in_first = pack_at(x, batch, 0).used, *in_last = pack_at(x, batch, last).used;
    for (size_t c = 0; last > 0 && c < count_chunks(batch->inputs); c++) {
        clear_gradients(&l, c, used_in_batch(x, batch, c) & ~in_first[c]);
    }
    for (size_t first = 0; first <= last; first += SLOTS) {
        const tile_pack p = pack_at(x, batch, first);
        learn_tile(&l, &p, batch, delta + first * stride, first == 0, first == last);
    }
    for (size_t c = 0; c < count_chunks(batch->inputs); c++) {
        const uint64_t all = UINT64_MAX >> (CHUNK - chunk_size(batch->inputs, c * CHUNK));
        const uint64_t used = used_in_batch(x, batch, c);
        step_others(&l, c, used & ~in_last[c], all & ~used, step->l2 != 0);
    }
}

#undef FORWARD
#undef ALONE
#undef END
#undef GO_ON

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
