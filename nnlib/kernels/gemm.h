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
#define BLOCK_K ((size_t)320) /* a strip of B, BLOCK_K x GEMM_N, in the first */
#define BLOCK_N (GEMM_N * 32)

/* A matrix in memory: element [r][c] is at[r * row + c * column]. */
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
    size_t b_columns; /* of B, where fewer than n are there: the others are 0; 0: n */
    float *c;         /* [m][c_row] */
    size_t c_row;
    gemm_end end;
    const float *bias;  /* ADD_BIAS: [n] */
    const float *slope; /* TIMES_SLOPE: as c */
    float *w, *v;       /* TAKE_STEP: as c */
    float *pack;        /* work space of GEMM_PACK numbers */
} gemm;

#define GEMM_PACK (BLOCK_M * BLOCK_K + BLOCK_K * BLOCK_N)

static inline size_t smaller(size_t x, size_t y)
{
    return x < y ? x : y;
}

/* Copies rows x columns of a matrix into strips of `width` columns (of the transpose, for A), each
 * strip running along k; what a last strip lacks is 0. */
static void pack_strips(float *to, const float *from, size_t along_k, size_t across, size_t n_k,
                        size_t n_across, size_t width)
{
    for (size_t first = 0; first < n_across; first += width) {
        size_t used = smaller(width, n_across - first);
        const float *strip = from + first * across;
        for (size_t k = 0; k < n_k; k++) {
            for (size_t x = 0; x < used; x++) {
                to[k * width + x] = strip[k * along_k + x * across];
            }
            for (size_t x = used; x < width; x++) {
                to[k * width + x] = 0;
            }
        }
        to += n_k * width;
    }
}

/* The same where the elements across lie side by side. */
static void pack_rows(float *to, const float *from, size_t along_k, size_t n_k, size_t n_across,
                      size_t width)
{
    for (size_t first = 0; first < n_across; first += width) {
        size_t used = smaller(width, n_across - first);
        for (size_t k = 0; k < n_k; k++) {
            memcpy(to + k * width, from + first + k * along_k, used * sizeof *to);
            memset(to + k * width + used, 0, (width - used) * sizeof *to);
        }
        to += n_k * width;
    }
}

static void pack(float *to, matrix from, bool along_rows, size_t n_k, size_t n_across, size_t width)
{
    size_t along_k = along_rows ? from.row : from.column;
    size_t across = along_rows ? from.column : from.row;
    if (across == 1) {
        pack_rows(to, from.at, along_k, n_k, n_across, width);
    } else {
        pack_strips(to, from.at, along_k, across, n_k, n_across, width);
    }
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
                waiting ? row_load(p->c + (m + i) * p->c_row + n + j * NN_LANES) : row_zero();
        }
    }
    for (size_t k = 0; k < n_k; k++) {
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
    for (size_t i = 0; i < GEMM_M; i++) {
        for (size_t j = 0; j < GEMM_ROWS; j++) {
            if (i < n_m && j < n_rows) {
                size_t column = n + j * NN_LANES;
                finish(p, (m + i) * p->c_row + column, column, sum[i][j], last);
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

static void multiply(const gemm *p)
{
    float *packed_a = p->pack, *packed_b = p->pack + BLOCK_M * BLOCK_K;
    for (size_t n = 0; n < p->n; n += BLOCK_N) {
        size_t n_n = smaller(BLOCK_N, p->n - n);
        for (size_t k = 0; k < p->k; k += BLOCK_K) {
            size_t n_k = smaller(BLOCK_K, p->k - k);
            matrix b = {p->b.at + k * p->b.row + n * p->b.column, p->b.row, p->b.column};
            size_t columns = p->b_columns ? p->b_columns : p->n;
            pack(packed_b, b, true, n_k, smaller(n_n, columns - n), GEMM_N);
            for (size_t m = 0; m < p->m; m += BLOCK_M) {
                size_t n_m = smaller(BLOCK_M, p->m - m);
                matrix a = {p->a.at + m * p->a.row + k * p->a.column, p->a.row, p->a.column};
                pack(packed_a, a, false, n_k, n_m, GEMM_M);
                multiply_block(p, packed_a, packed_b, m, n_m, n, n_n, n_k, k == 0, k + n_k == p->k);
            }
        }
    }
}

#endif
