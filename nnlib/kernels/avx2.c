/* The kernels for processors with AVX2 and FMA: 8 floats a vector, 16 registers. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_LANES 8
#define TILE ((size_t)4)
#define SLOTS ((size_t)6)
#define AT_ONCE ((size_t)1)
#define GEMM_M ((size_t)6)
#define GEMM_ROWS ((size_t)1)

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

static inline vec vec_bytes(const uint8_t *from)
{
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

static inline vec vec_div(vec x, vec y)
{
    return _mm256_div_ps(x, y);
}

static inline float vec_sum(vec v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vec_max(vec v)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline uint32_t vec_less(vec x, vec y)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x, y, _CMP_LT_OQ));
}

static inline uint32_t vec_at_most(vec x, vec y)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x, y, _CMP_LE_OQ));
}

static inline vec vec_negate(vec v)
{
    return -v;
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

/* Within each group of four rows and lanes first, then the groups. */
static inline void vec_transpose(vec square[VEC_LANES])
{
    vec pairs[VEC_LANES];
    for (size_t r = 0; r < VEC_LANES; r += 2) {
        pairs[r] = _mm256_unpacklo_ps(square[r], square[r + 1]);
        pairs[r + 1] = _mm256_unpackhi_ps(square[r], square[r + 1]);
    }
    for (size_t r = 0; r < VEC_LANES; r += 4) {
        square[r] = _mm256_shuffle_ps(pairs[r], pairs[r + 2], 0x44);
        square[r + 1] = _mm256_shuffle_ps(pairs[r], pairs[r + 2], 0xee);
        square[r + 2] = _mm256_shuffle_ps(pairs[r + 1], pairs[r + 3], 0x44);
        square[r + 3] = _mm256_shuffle_ps(pairs[r + 1], pairs[r + 3], 0xee);
    }
    for (size_t r = 0; r < 4; r++) {
        vec low = _mm256_permute2f128_ps(square[r], square[r + 4], 0x20);
        square[r + 4] = _mm256_permute2f128_ps(square[r], square[r + 4], 0x31);
        square[r] = low;
    }
}

/* A bit for each of the 64 pixels from i: whether it is not zero in one of the samples. */
static inline uint64_t used_in_chunk(const uint8_t *const *pixels, size_t count, size_t i)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = zero, high = zero;
    for (size_t b = 0; b < count; b++) {
        const uint8_t *from = pixels[b] + i;
        low = _mm256_or_si256(low, _mm256_loadu_si256((const __m256i *)(const void *)from));
        high =
            _mm256_or_si256(high, _mm256_loadu_si256((const __m256i *)(const void *)(from + 32)));
    }
    uint32_t low_zero = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, zero));
    uint32_t high_zero = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, zero));
    return ~((uint64_t)high_zero << 32 | low_zero);
}

/* Without a branch: each number is written, and written over unless its bit is set. */
static inline void list_16(uint32_t *list, uint32_t bits, uint32_t i)
{
    for (uint32_t k = 0; k < 16; k++) {
        *list = i + k;
        list += bits >> k & 1;
    }
}

#include "pixels.h"

const nn_kernels nn_kernels_avx2 = VECTOR_KERNELS("avx2");
