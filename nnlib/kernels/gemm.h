/*
 * Products of large matrices, for wide layers:  C[m][n] = sum over k of A[m][k] B[k][n].
 *
 * The order of the work is that of Goto and van de Geijn (2008): a block of one factor is copied
 * ("packed") so that it stays in the second-level cache and is read front to back, the other factor
 * flows by in packed strips, and the innermost loop keeps a tile of GEMM_M x GEMM_N sums in
 * registers. Each sum still runs along k in rising order; between two blocks of k it waits in C.
 * What is done with finished sums (bias, slope, step) is done while they are in registers.
 *
 * The weights of wide layers come from memory, and so does what their step needs. Therefore a strip
 * is packed piece by piece while the one before it is multiplied, and what the next piece and the
 * next tile need is asked for between the multiplications.
 *
 * The including file says GEMM_M, a multiple of 3, and GEMM_ROWS; a tile is GEMM_N = GEMM_ROWS *
 * NN_LANES wide.
 */
#ifndef NN_KERNELS_GEMM_H
#define NN_KERNELS_GEMM_H

#define GEMM_N (GEMM_ROWS * NN_LANES)
#define BLOCK_K ((size_t)1024)     /* products of a sum before it waits */
#define BLOCK ((size_t)256 * 1024) /* numbers that stay in the second-level cache */

/* A matrix in memory: element [r][c] is at[r * row + c * column], and one of the two steps is 1. */
typedef struct {
    const float *at;
    size_t row, column;
} matrix;

/* What becomes of finished sums. */
typedef enum {
    WAIT, /* in C, for the next block of k */
    ADD_BIAS,
    TIMES_SLOPE,
    TAKE_STEP
} gemm_end;

typedef struct {
    step_vecs step; /* TAKE_STEP */
    size_t m, n, k; /* n is a multiple of NN_LANES */
    matrix a, b;
    const uint32_t *b_rows; /* the rows of `b` that are B's; NULL: 0, 1, 2, ... */
    size_t b_columns;       /* of B; the others, up to n, are 0 */
    float *c;               /* [m][c_row] */
    size_t c_row;
    const uint32_t *c_rows; /* the rows of c, slope, w and v that are C's; NULL: 0, 1, 2, ... */
    gemm_end end;
    const float *bias;    /* ADD_BIAS: [n] */
    const float *slope;   /* TIMES_SLOPE: as c */
    float *w, *v;         /* TAKE_STEP: as c */
    const uint32_t *idle; /* TAKE_STEP: the rows of w and v that are not C's */
    size_t n_idle;
    const nn_work *work; /* its scratch: GEMM_PACK numbers a thread */
} gemm;

#define PACKED_BLOCK (BLOCK + NN_LANES)
#define STRIP (BLOCK_K * GEMM_N + NN_LANES)
#define GEMM_PACK (PACKED_BLOCK + 2 * STRIP)

static inline size_t smaller(size_t x, size_t y)
{
    return x < y ? x : y;
}

/* Parts of `size` that cover a total. */
static inline size_t parts_of(size_t total, size_t size)
{
    return (total + size - 1) / size;
}

/* The r-th of the listed rows. */
static inline size_t row_number(const uint32_t *list, size_t r)
{
    return list ? list[r] : r;
}

/* ---- packing ---- */

/* A factor of the product: element [k][x] is at[k * along + x * across] for x < n, and one of the
 * two steps is 1. It is packed in strips of `width` elements across, each strip running along k:
 * to[k][width]. What a last strip lacks is 0. */
typedef struct {
    const float *at;
    size_t along, across;
    const uint32_t *rows; /* where across is 1: the rows that are [0], [1], ... along k; or NULL */
    size_t n, width;
} factor;

/* The strips of elements that lie side by side, from the listed rows; width is a constant. All
 * strips of a row come before the next row: that is how it lies in memory. */
static inline void copy_strips(float *to, const float *from, size_t along_k, const uint32_t *rows,
                               size_t n_k, size_t n_across, const size_t width)
{
    for (size_t k = 0; k < n_k; k++) {
        const float *elements = from + row_number(rows, k) * along_k;
        float *strip = to + k * width;
        size_t left = n_across;
        for (; left >= width; left -= width, elements += width, strip += n_k * width) {
            memcpy(strip, elements, width * sizeof *strip);
        }
        if (left > 0) {
            memset(strip, 0, width * sizeof *strip);
            memcpy(strip, elements, left * sizeof *strip);
        }
    }
}

/* One strip whose elements lie `across` apart and side by side along k: squares of VEC_LANES are
 * transposed in registers. Each row is stored in whole vectors, from the right to the left, and
 * what hangs over is written over by the next row: the pack has room for the last one. */
static inline void transpose_strip(float *to, const float *from, size_t across, size_t n_k,
                                   size_t used, const size_t width)
{
    const size_t parts = (width + VEC_LANES - 1) / VEC_LANES;
    size_t k = 0;
    for (; k + VEC_LANES <= n_k; k += VEC_LANES) {
        for (size_t left = parts; left > 0; left--) {
            const size_t part = left - 1;
            vec square[VEC_LANES];
            for (size_t r = 0; r < VEC_LANES; r++) {
                size_t x = part * VEC_LANES + r;
                square[r] = x < used ? vec_load(from + x * across + k) : vec_set(0);
            }
            vec_transpose(square);
            for (size_t r = 0; r < VEC_LANES; r++) {
                vec_store(to + (k + r) * width + part * VEC_LANES, square[r]);
            }
        }
    }
    for (; k < n_k; k++) {
        for (size_t x = 0; x < width; x++) {
            to[k * width + x] = x < used ? from[x * across + k] : 0;
        }
    }
}

static inline void pack_strips(float *to, const factor *f, size_t x, size_t n_x, size_t k,
                               size_t n_k, const size_t width)
{
    const uint32_t *rows = f->rows ? f->rows + k : NULL;
    const float *from = f->at + (rows ? 0 : k * f->along) + x * f->across;
    if (f->across == 1) {
        copy_strips(to, from, f->along, rows, n_k, n_x, width);
        return;
    }
    for (size_t first = 0; first < n_x; first += width, to += n_k * width) {
        transpose_strip(to, from + first * f->across, f->across, n_k, smaller(width, n_x - first),
                        width);
    }
}

/* Packs n_x elements across from x, or those that there are, over n_k values of k. */
static void pack(float *to, const factor *f, size_t x, size_t n_x, size_t k, size_t n_k)
{
    n_x = smaller(n_x, f->n - x);
    if (f->width == GEMM_N) {
        pack_strips(to, f, x, n_x, k, n_k, GEMM_N);
    } else {
        pack_strips(to, f, x, n_x, k, n_k, GEMM_M);
    }
}

/* ---- tiles ---- */

/* GEMM_M rows from m and GEMM_N columns from n of C, or those that there are, and n_k products of
 * their sums, from k. */
typedef struct {
    size_t m, n, k, n_k;
} gemm_tile;

/* What is fetched from memory while a tile is multiplied: what the next tile needs, and a piece of
 * a strip that will be packed before it. */
typedef struct {
    gemm_tile tile;
    const factor *flows;
    size_t x, k, n_k;
} expected;

static inline size_t place_of(const gemm *p, size_t m, size_t n)
{
    return row_number(p->c_rows, m) * p->c_row + n;
}

/* Asks for the i-th row of what the next tile's sums go to, to write it: another thread may have it
 * in its cache. To a compiler a function that only asks does nothing, so a call of it might be left
 * out. */
__attribute__((always_inline)) static inline void expect_sums(const gemm *p, const gemm_tile *next,
                                                              size_t i, gemm_end end)
{
    const size_t place = place_of(p, next->m + i, next->n);
    const float *to = end == TAKE_STEP ? p->w : p->c;
    const float *beside = end == TAKE_STEP ? p->v : end == TIMES_SLOPE ? p->slope : to;
    for (size_t j = 0; j < GEMM_ROWS; j++) {
        __builtin_prefetch(to + place + j * NN_LANES, 1);
        __builtin_prefetch(beside + place + j * NN_LANES, 1);
    }
}

/* Asks, as far as the second cache, for the i-th row of a piece: GEMM_N elements side by side. */
__attribute__((always_inline)) static inline void expect_piece(const expected *soon, size_t i)
{
    const factor *f = soon->flows;
    const float *elements = f->at;
    if (f->across == 1) {
        elements += row_number(f->rows, soon->k + i) * f->along + soon->x;
    } else {
        const size_t x = smaller(soon->x + i % GEMM_N, f->n - 1);
        elements += x * f->across + soon->k + i / GEMM_N * GEMM_N;
    }
    for (size_t j = 0; j < GEMM_ROWS; j++) {
        __builtin_prefetch(elements + j * NN_LANES, 0, 2);
    }
}

/* Adds a[i] b[j] to each sum of `rows` rows. */
ALWAYS_INLINE void add_outer(row sum[GEMM_M][GEMM_ROWS], const float *a, const float *b,
                             const size_t rows)
{
    row across[GEMM_ROWS];
    UNROLLED for (size_t j = 0; j < GEMM_ROWS; j++)
    {
        across[j] = row_load(b + j * NN_LANES);
    }
    UNROLLED for (size_t i = 0; i < rows; i++)
    {
        UNROLLED for (size_t j = 0; j < GEMM_ROWS; j++)
        {
            sum[i][j] = row_fma(a[i], across[j], sum[i][j]);
        }
    }
}

/* Nothing yet, or what waits in C; where a tile ends before its last row or column, that again. */
ALWAYS_INLINE void begin_sums(const gemm *p, const gemm_tile *t, row sum[GEMM_M][GEMM_ROWS],
                              const size_t rows)
{
    UNROLLED for (size_t i = 0; i < rows; i++)
    {
        const size_t m = smaller(t->m + i, p->m - 1);
        UNROLLED for (size_t j = 0; j < GEMM_ROWS; j++)
        {
            const size_t n = smaller(t->n + j * NN_LANES, p->n - NN_LANES);
            sum[i][j] = t->k > 0 ? row_load(p->c + place_of(p, m, n)) : row_zero();
        }
    }
}

ALWAYS_INLINE void end_row(const gemm *p, size_t place, size_t column, row sum, const gemm_end end)
{
    if (end == WAIT) {
        row_store(p->c + place, sum);
    } else if (end == ADD_BIAS) {
        row_store(p->c + place, row_add(sum, row_load(p->bias + column)));
    } else if (end == TIMES_SLOPE) {
        row slope = row_load(p->slope + place);
        EACH_VEC sum.v[k] = vec_flush(vec_mul(sum.v[k], slope.v[k]));
        row_store(p->c + place, sum);
    } else {
        step_row(p->w + place, p->v + place, sum, &p->step);
    }
}

ALWAYS_INLINE void end_sums(const gemm *p, const gemm_tile *t, row sum[GEMM_M][GEMM_ROWS],
                            const size_t rows, const gemm_end end)
{
    UNROLLED for (size_t i = 0; i < rows; i++)
    {
        if (t->m + i >= p->m) {
            return;
        }
        const size_t place = place_of(p, t->m + i, t->n);
        UNROLLED for (size_t j = 0; j < GEMM_ROWS; j++)
        {
            const size_t along = j * NN_LANES;
            if (t->n + along < p->n) {
                end_row(p, place + along, t->n + along, sum[i][j], end);
            }
        }
    }
}

#define K_STEP ((size_t)8) /* between requests to memory, which cannot follow too fast */

/* A tile of up to `rows` rows. */
ALWAYS_INLINE void multiply_rows(const gemm *p, const float *a, const float *b, const gemm_tile *t,
                                 const expected *soon, const size_t rows)
{
    const gemm_end end = t->k + t->n_k == p->k ? p->end : WAIT;
    const size_t n_expected = smaller(GEMM_M, p->m - soon->tile.m);
    row sum[GEMM_M][GEMM_ROWS];
    begin_sums(p, t, sum, rows);
    size_t k = 0;
    for (size_t step = 0; k + K_STEP <= t->n_k; k += K_STEP, step++) {
        if (step < n_expected) {
            expect_sums(p, &soon->tile, step, end);
        }
        if (step < soon->n_k) {
            expect_piece(soon, step);
        }
        UNROLLED for (size_t r = 0; r < K_STEP; r++)
        {
            add_outer(sum, a + (k + r) * GEMM_M, b + (k + r) * GEMM_N, rows);
        }
    }
    for (; k < t->n_k; k++) {
        add_outer(sum, a + k * GEMM_M, b + k * GEMM_N, rows);
    }
    switch (end) {
    case WAIT:
        end_sums(p, t, sum, rows, WAIT);
        break;
    case ADD_BIAS:
        end_sums(p, t, sum, rows, ADD_BIAS);
        break;
    case TIMES_SLOPE:
        end_sums(p, t, sum, rows, TIMES_SLOPE);
        break;
    case TAKE_STEP:
        end_sums(p, t, sum, rows, TAKE_STEP);
    }
}

/* Of the last tile of a column, whole thirds without rows are left out: a batch of 100 has 4 rows
 * there. */
static void multiply_tile(const gemm *p, const float *a, const float *b, const gemm_tile *t,
                          const expected *soon)
{
    const size_t rows = p->m - t->m;
    if (rows <= GEMM_M / 3) {
        multiply_rows(p, a, b, t, soon, GEMM_M / 3);
    } else if (rows <= GEMM_M / 3 * 2) {
        multiply_rows(p, a, b, t, soon, GEMM_M / 3 * 2);
    } else {
        multiply_rows(p, a, b, t, soon, GEMM_M);
    }
}

/* ---- blocks ---- */

/* The tile where a strip that flows meets one that stays. */
static gemm_tile tile_at(bool a_flows, size_t flowing, size_t staying, size_t k, size_t n_k)
{
    return (gemm_tile){a_flows ? flowing : staying, a_flows ? staying : flowing, k, n_k};
}

/* n_x elements from x of the factor that stays, times all strips of the one that flows. While a
 * strip is multiplied, the next is packed, piece by piece between the tiles; each piece has been
 * asked for during the tile before. */
static void multiply_block(const gemm *p, const factor *stays, const factor *flows, float *scratch,
                           size_t x, size_t n_x, size_t k, size_t n_k)
{
    const bool a_flows = flows->width == GEMM_M;
    const size_t tiles = parts_of(n_x, stays->width);
    const size_t whole = flows->across == 1 ? 1 : GEMM_N;
    const size_t size = parts_of(n_k, tiles * whole) * whole; /* of a piece, along k */
    float *strip = scratch + PACKED_BLOCK, *next = strip + STRIP;
    pack(scratch, stays, x, n_x, k, n_k);
    pack(strip, flows, 0, flows->width, k, n_k);
    for (size_t y = 0, next_y; y < flows->n; y = next_y) {
        next_y = y + flows->width;
        for (size_t i = 0; i < tiles; i++) {
            const size_t here = x + i * stays->width;
            const size_t from = smaller(i * size, n_k);
            const size_t n = next_y < flows->n ? smaller(size, n_k - from) : 0;
            const gemm_tile tile = tile_at(a_flows, y, here, k, n_k);
            const float *other = scratch + i * stays->width * n_k;
            expected soon = {tile, flows, next_y, k + from, n};
            if (i + 1 < tiles) {
                soon.tile = tile_at(a_flows, y, here + stays->width, k, n_k);
            } else if (next_y < flows->n) {
                soon.tile = tile_at(a_flows, next_y, x, k, n_k);
            }
            multiply_tile(p, a_flows ? strip : other, a_flows ? other : strip, &tile, &soon);
            pack(next + from * flows->width, flows, smaller(next_y, flows->n), flows->width,
                 k + from, n);
        }
        float *done = strip;
        strip = next;
        next = done;
    }
}

/* The product where C is one row of lanes wide: what is packed would be used once, so A and B are
 * read where they lie. */
static void multiply_thin(const gemm *p)
{
    for (size_t m = 0; m < p->m; m += TILE) {
        const float *a[TILE];
        row sum[TILE];
        UNROLLED for (size_t i = 0; i < TILE; i++)
        {
            a[i] = p->a.at + smaller(m + i, p->m - 1) * p->a.row;
            sum[i] = row_zero();
        }
        for (size_t k = 0; k < p->k; k++) {
            row across = row_load(p->b.at + k * p->b.row);
            UNROLLED for (size_t i = 0; i < TILE; i++)
            {
                sum[i] = row_fma(a[i][k * p->a.column], across, sum[i]);
            }
        }
        UNROLLED for (size_t i = 0; i < TILE; i++)
        {
            if (m + i < p->m) {
                end_row(p, place_of(p, m + i, 0), 0, sum[i], p->end);
            }
        }
    }
}

/* B stays in the cache if it is small enough, else blocks of A. */
static void multiply_packed(const gemm *p, float *scratch)
{
    const factor a = {p->a.at, p->a.column, p->a.row, NULL, p->m, GEMM_M};
    const factor b = {p->b.at, p->b.row, p->b.column, p->b_rows, smaller(p->b_columns, p->n),
                      GEMM_N};
    const size_t most_k = smaller(BLOCK_K, p->k);
    const bool b_stays = (p->n + GEMM_N) * most_k <= BLOCK;
    const factor *stays = b_stays ? &b : &a, *flows = b_stays ? &a : &b;
    const size_t most_x = BLOCK / (most_k + 1) / stays->width * stays->width;
    for (size_t x = 0; x < stays->n; x += most_x) {
        size_t k = 0, n_k;
        do {
            n_k = smaller(BLOCK_K, p->k - k);
            multiply_block(p, stays, flows, scratch, x, smaller(most_x, stays->n - x), k, n_k);
            k += n_k;
        } while (k < p->k);
    }
}

/* The step of rows for which there is no product. */
static inline void step_idle_rows(const gemm *p)
{
    const bool decays = !vec_is_zero(p->step.l2);
    for (size_t r = 0; r < p->n_idle; r++) {
        for (size_t n = 0; n < p->n; n += NN_LANES) {
            size_t place = p->idle[r] * p->c_row + n;
            step_idle_row(p->w + place, p->v + place, &p->step, decays);
        }
    }
}

/* The product, by one thread in its part of the scratch space. */
static void multiply_alone(const gemm *p, float *scratch)
{
    if (p->n == NN_LANES && p->b.column == 1 && !p->b_rows) {
        multiply_thin(p);
    } else {
        multiply_packed(p, scratch);
    }
    step_idle_rows(p);
}

/* ---- by several threads ---- */

/* The part-th of `parts` shares of whole strips; *from is where it begins. */
static size_t share_of(size_t *from, size_t total, size_t strip, size_t part, size_t parts)
{
    size_t strips = parts_of(total, strip);
    size_t first = strips * part / parts * strip, end = strips * (part + 1) / parts * strip;
    *from = smaller(first, total);
    return smaller(end, total) - *from;
}

/* Shares are rows of C or columns, whichever are more strips; sums are never shared. */
static void multiply_share(void *context, size_t part)
{
    const gemm *whole = context;
    const size_t parts = nn_team_size(whole->work->team);
    gemm p = *whole;
    size_t m = 0, n = 0, idle = 0;
    if (p.m * GEMM_N >= p.n * GEMM_M) {
        p.m = share_of(&m, p.m, GEMM_M, part, parts);
        p.a.at += m * p.a.row;
        p.n_idle = share_of(&idle, p.n_idle, 1, part, parts);
        p.idle = p.idle ? p.idle + idle : NULL;
    } else {
        p.n = share_of(&n, p.n, GEMM_N, part, parts);
        p.b.at += n * p.b.column;
        p.b_columns -= n;
    }
    const size_t place = n + (p.c_rows ? 0 : m * p.c_row);
    p.c_rows = p.c_rows ? p.c_rows + m : NULL;
    p.c += place;
    p.bias = p.bias ? p.bias + n : NULL;
    p.slope = p.slope ? p.slope + place : NULL;
    p.w = p.w ? p.w + place : NULL;
    p.v = p.v ? p.v + place : NULL;
    multiply_alone(&p, p.work->scratch + part * GEMM_PACK);
}

static void multiply(gemm *p)
{
    if (p->work->team && p->m * p->n * p->k >= NN_WORTH_SHARING) {
        nn_team_run(p->work->team, multiply_share, p);
    } else {
        multiply_alone(p, p->work->scratch);
    }
}

#endif
