/* The kernels for processors with AVX2 and FMA: 8 floats a vector, 16 registers. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_LANES 8
#define TILE_IMAGES 5
#define GEMM_M 6
#define GEMM_ROWS 1

typedef __m256 vec;

static inline vec vec_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

static inline void vec_store(float *to, vec v)
{
    _mm256_storeu_ps(to, v);
}

static inline vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vec vec_add(vec x, vec y)
{
    return _mm256_add_ps(x, y);
}

static inline vec vec_mul(vec x, vec y)
{
    return _mm256_mul_ps(x, y);
}

static inline vec vec_negate(vec v)
{
    return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f));
}

static inline vec vec_fma(vec x, vec y, vec z)
{
    return _mm256_fmadd_ps(x, y, z);
}

/* Not-less-than keeps a NaN, as the comparison in ref_step does. */
static inline vec vec_flush(vec v)
{
    const vec floor = _mm256_set1_ps(0x1p-60f), sign = _mm256_set1_ps(-0.0f);
    return _mm256_and_ps(_mm256_cmp_ps(_mm256_andnot_ps(sign, v), floor, _CMP_NLT_UQ), v);
}

static inline bool vec_is_zero(vec v)
{
    return _mm256_testz_si256(_mm256_castps_si256(v), _mm256_castps_si256(v));
}

/* Lists those of the 16 pixels from i that are not zero in one of the samples, and the others. */
static inline size_t rows_16(uint32_t *rows, uint32_t *idle, const uint8_t *const *pixels,
                             size_t count, size_t i)
{
    __m128i any = _mm_setzero_si128();
    for (size_t b = 0; b < count; b++) {
        any = _mm_or_si128(any, _mm_loadu_si128((const __m128i *)(const void *)(pixels[b] + i)));
    }
    unsigned empty = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(any, _mm_setzero_si128()));
    size_t n_rows = 0;
    for (size_t k = 0; k < 16; k++) { /* both stores, without a branch; the right one stays */
        size_t used = ~empty >> k & 1;
        rows[n_rows] = (uint32_t)(i + k);
        if (idle) {
            idle[k - n_rows] = (uint32_t)(i + k);
        }
        n_rows += used;
    }
    return n_rows;
}

#include "vector.h"

const nn_kernels nn_kernels_avx2 = VECTOR_KERNELS("avx2");
