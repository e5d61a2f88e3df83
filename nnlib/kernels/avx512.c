/* The kernels for processors with AVX-512 (F, BW, DQ, VL): 16 floats a vector, 32 registers. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_LANES 16
#define TILE_IMAGES 6
#define GEMM_M 12
#define GEMM_ROWS 2

typedef __m512 vec;

static inline vec vec_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static inline void vec_store(float *to, vec v)
{
    _mm512_storeu_ps(to, v);
}

static inline vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vec vec_add(vec x, vec y)
{
    return _mm512_add_ps(x, y);
}

static inline vec vec_mul(vec x, vec y)
{
    return _mm512_mul_ps(x, y);
}

static inline vec vec_negate(vec v)
{
    return _mm512_xor_ps(v, _mm512_set1_ps(-0.0f));
}

static inline vec vec_fma(vec x, vec y, vec z)
{
    return _mm512_fmadd_ps(x, y, z);
}

/* Not-less-than keeps a NaN, as the comparison in ref_step does. */
static inline vec vec_flush(vec v)
{
    const vec floor = _mm512_set1_ps(0x1p-60f);
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(v), floor, _CMP_NLT_UQ), v);
}

static inline bool vec_is_zero(vec v)
{
    return _mm512_test_epi32_mask(_mm512_castps_si512(v), _mm512_castps_si512(v)) == 0;
}

/* Lists those of the 16 pixels from i that are not zero in one of the samples, and the others. */
static inline size_t rows_16(uint32_t *rows, uint32_t *idle, const uint8_t *const *pixels,
                             size_t count, size_t i)
{
    const __m512i numbers = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m128i any = _mm_setzero_si128();
    for (size_t b = 0; b < count; b++) {
        any = _mm_or_si128(any, _mm_loadu_si128((const __m128i *)(const void *)(pixels[b] + i)));
    }
    __mmask16 used = _mm_test_epi8_mask(any, any);
    __m512i row = _mm512_add_epi32(numbers, _mm512_set1_epi32((int)i));
    _mm512_storeu_si512(rows, _mm512_maskz_compress_epi32(used, row));
    if (idle) {
        _mm512_storeu_si512(idle, _mm512_maskz_compress_epi32((__mmask16)~used, row));
    }
    return (size_t)__builtin_popcount(used);
}

#include "vector.h"

const nn_kernels nn_kernels_avx512 = VECTOR_KERNELS("avx512");
