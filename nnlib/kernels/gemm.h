/*
 * Products of large matrices, for wide layers:  C[m][n] = sum over k of A[m][k] B[k][n].
 *
 * The order of the work is that of Goto and van de Geijn (2008): blocks of A and B are copied
 * ("packed") so that the innermost loop reads them front to back from the nearest cache, and it
 * keeps a tile of GEMM_M x GEMM_N sums in registers. Each sum still runs along k in rising order;
 * between two blocks of k it waits in C. What is done with finished sums (bias, slope, step) is
 * done while they are in registers.
 *
 * The including file says GEMM_M and GEMM_ROWS; a tile is GEMM_N = GEMM_ROWS * NN_LANES wide.
 */
#ifndef NN_KERNELS_GEMM_H
#define NN_KERNELS_GEMM_H

#define GEMM_N (GEMM_ROWS * NN_LANES)
#define BLOCK_M (GEMM_M * 10) /* a block of A stays in the second-level cache */
#define BLOCK_K ((size_t)512) /* a strip of B, BLOCK_K x GEMM_N, in the first */
#define BLOCK_N (GEMM_N * 16)

/* A matrix in memory: element [r][c] is at[r * row + c * column], and one of the two steps is 1. */
typedef struct {
    const float *at;
    size_t row, column;
} matrix;

/* What becomes of finished sums. */
typedef enum {
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
    const uint32_t *idle; /* TAKE_STEP: how many rows of w and v are not C's, and which; or NULL */
    const nn_work *work;  /* its scratch: GEMM_PACK numbers a thread */
} gemm;

#define PACKED_A (BLOCK_M * BLOCK_K + NN_LANES)
#define GEMM_PACK (PACKED_A + BLOCK_K * BLOCK_N + NN_LANES)

static inline size_t smaller(size_t x, size_t y)
{
    return x < y ? x : y;
}

/* A block of a matrix is packed in strips of `width` elements across, each strip running along k:
 * to[k][width]. What a last strip lacks is 0. */

/* The r-th of the listed rows. */
static inline size_t row_number(const uint32_t *list, size_t r)
{
    return list ? list[r] : r;
}

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

/* Element [k][x] is from[k * along_k + x * across]; only where across is 1 may there be a list of
 * rows. */
static inline void pack(float *to, const float *from, size_t along_k, const uint32_t *rows,
                        size_t across, size_t n_k, size_t n_across, const size_t width)
{
    if (across == 1) {
        copy_strips(to, from, along_k, rows, n_k, n_across, width);
        return;
    }
    for (size_t first = 0; first < n_across; first += width, to += n_k * width) {
        transpose_strip(to, from + first * across, across, n_k, smaller(width, n_across - first),
                        width);
    }
}

static inline size_t place_of(const gemm *p, size_t m, size_t n)
{
    return row_number(p->c_rows, m) * p->c_row + n;
}

/* The finished (or, before the last block of k, waiting) sums of one row of a tile. */
static inline void finish(const gemm *p, size_t place, size_t column, row sum, bool last)
{
    if (!last) {
        row_store(p->c + place, sum);
    } else if (p->end == ADD_BIAS) {
        row_store(p->c + place, row_add(sum, row_load(p->bias + column)));
    } else if (p->end == TIMES_SLOPE) {
        row slope = row_load(p->slope + place);
        EACH_VEC sum.v[k] = vec_flush(vec_mul(sum.v[k], slope.v[k]));
        row_store(p->c + place, sum);
    } else {
        step_row(p->w + place, p->v + place, sum, &p->step);
    }
}

/* Asks for the weights and velocities of one row of the next tile. */
static inline void expect_step(const gemm *p, size_t place)
{
    for (size_t j = 0; j < GEMM_ROWS; j++) {
        __builtin_prefetch(p->w + place + j * NN_LANES, 1);
        __builtin_prefetch(p->v + place + j * NN_LANES, 1);
    }
}

/* Asks for the waiting sums of one row of the next tile. */
static inline void expect_sums(const gemm *p, size_t place)
{
    for (size_t j = 0; j < GEMM_ROWS; j++) {
        __builtin_prefetch(p->c + place + j * NN_LANES, 1);
    }
}

/* One tile: GEMM_M rows by GEMM_N columns of C from `m`, `n`, over n_k values of k. */
static void multiply_tile(const gemm *p, const float *a, const float *b, size_t m, size_t n,
                          size_t n_k, bool first, bool last)
{
    row sum[GEMM_M][GEMM_ROWS];
    size_t n_m = smaller(GEMM_M, p->m - m), n_rows = smaller(GEMM_ROWS, (p->n - n) / NN_LANES);
    for (size_t i = 0; i < GEMM_M; i++) {
        for (size_t j = 0; j < GEMM_ROWS; j++) {
            bool waiting = !first && i < n_m && j < n_rows;
            sum[i][j] =
                waiting ? row_load(p->c + place_of(p, m + i, n + j * NN_LANES)) : row_zero();
        }
    }
    for (size_t part = 0; part < GEMM_M; part++) {
        if (last && p->end == TAKE_STEP && m + GEMM_M + part < p->m) {
            expect_step(p, place_of(p, m + GEMM_M + part, n));
        }
        if (!first && m + GEMM_M + part < p->m) {
            expect_sums(p, place_of(p, m + GEMM_M + part, n));
        }
        for (size_t k = n_k * part / GEMM_M; k < n_k * (part + 1) / GEMM_M; k++) {
            row across[GEMM_ROWS];
            for (size_t j = 0; j < GEMM_ROWS; j++) {
                across[j] = row_load(b + k * GEMM_N + j * NN_LANES);
            }
            for (size_t i = 0; i < GEMM_M; i++) {
                for (size_t j = 0; j < GEMM_ROWS; j++) {
                    sum[i][j] = row_fma(a[k * GEMM_M + i], across[j], sum[i][j]);
                }
            }
        }
    }
    for (size_t i = 0; i < GEMM_M; i++) {
        for (size_t j = 0; j < GEMM_ROWS; j++) {
            if (i < n_m && j < n_rows) {
                size_t column = n + j * NN_LANES;
                finish(p, place_of(p, m + i, column), column, sum[i][j], last);
            }
        }
    }
}

static void multiply_block(const gemm *p, const float *a, const float *b, size_t m, size_t n_m,
                           size_t n, size_t n_n, size_t n_k, bool first, bool last)
{
    for (size_t j = 0; j < n_n; j += GEMM_N) {
        for (size_t i = 0; i < n_m; i += GEMM_M) {
            multiply_tile(p, a + i * n_k, b + j * n_k, m + i, n + j, n_k, first, last);
        }
    }
}

static void pack_b(float *to, const gemm *p, size_t k, size_t n_k, size_t n, size_t n_n)
{
    size_t columns = smaller(n_n, p->b_columns - n);
    const uint32_t *rows = p->b_rows ? p->b_rows + k : NULL;
    const float *from = p->b.at + (rows ? 0 : k * p->b.row) + n * p->b.column;
    pack(to, from, p->b.row, rows, p->b.column, n_k, columns, GEMM_N);
}

/* The step of rows for which there is no product. */
static inline void step_idle_rows(const gemm *p)
{
    const bool decays = !vec_is_zero(p->step.l2);
    for (size_t r = 1; p->idle && r <= p->idle[0]; r++) {
        for (size_t n = 0; n < p->n; n += NN_LANES) {
            size_t place = p->idle[r] * p->c_row + n;
            step_idle_row(p->w + place, p->v + place, &p->step, decays);
        }
    }
}

/* The product, by one thread in its part of the scratch space. */
static void multiply_alone(const gemm *p, float *scratch)
{
    float *packed_a = scratch, *packed_b = scratch + PACKED_A;
    for (size_t n = 0; n < p->n; n += BLOCK_N) {
        size_t n_n = smaller(BLOCK_N, p->n - n), n_k, k = 0;
        do {
            n_k = smaller(BLOCK_K, p->k - k);
            pack_b(packed_b, p, k, n_k, n, n_n);
            for (size_t m = 0; m < p->m; m += BLOCK_M) {
                size_t n_m = smaller(BLOCK_M, p->m - m);
                pack(packed_a, p->a.at + m * p->a.row + k * p->a.column, p->a.column, NULL,
                     p->a.row, n_k, n_m, GEMM_M);
                multiply_block(p, packed_a, packed_b, m, n_m, n, n_n, n_k, k == 0, k + n_k == p->k);
            }
            k += n_k;
        } while (k < p->k);
    }
    step_idle_rows(p);
}

/* ---- by several threads ---- */

/* The part-th of `parts` shares of whole strips; *from is where it begins. */
static size_t share_of(size_t *from, size_t total, size_t strip, size_t part, size_t parts)
{
    size_t strips = (total + strip - 1) / strip;
    size_t first = strips * part / parts * strip, end = strips * (part + 1) / parts * strip;
    *from = smaller(first, total);
    return smaller(end, total) - *from;
}

/* Shares are columns of C, or rows where there are not enough columns; sums are never shared. */
static void multiply_share(void *context, size_t part)
{
    const gemm *whole = context;
    const size_t parts = nn_team_size(whole->work->team);
    gemm p = *whole;
    size_t m = 0, n = 0;
    if (p.n >= parts * GEMM_N) {
        p.n = share_of(&n, p.n, GEMM_N, part, parts);
        p.b.at += n * p.b.column;
        p.b_columns -= n;
    } else {
        p.m = share_of(&m, p.m, GEMM_M, part, parts);
        p.a.at += m * p.a.row;
        p.idle = part == 0 ? p.idle : NULL;
    }
    size_t place = n + (p.c_rows ? 0 : m * p.c_row);
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
