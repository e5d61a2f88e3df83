/* The kernels for processors with AVX-512 (F, BW, DQ, VL, VBMI2: since Ice Lake and Zen 4): 16
 * floats a vector, 32 registers. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_LANES 16
#define TILE ((size_t)8)
#define SLOTS ((size_t)16)
#define AT_ONCE ((size_t)4)
#define HAVE_COMPRESS 1
#define GEMM_M ((size_t)12)
#define GEMM_ROWS ((size_t)2)

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

#define HAVE_MUL_DOWN 1
static inline vec vec_mul_down(vec x, vec y)
{
    return _mm512_mul_round_ps(x, y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

static inline vec vec_bytes(const uint8_t *from)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}

static inline vec vec_div(vec x, vec y)
{
    return _mm512_div_ps(x, y);
}

static inline float vec_sum(vec v)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vec_max(vec v)
{
    return _mm512_reduce_max_ps(v);
}

static inline uint32_t vec_less(vec x, vec y)
{
    return _mm512_cmp_ps_mask(x, y, _CMP_LT_OQ);
}

static inline uint32_t vec_at_most(vec x, vec y)
{
    return _mm512_cmp_ps_mask(x, y, _CMP_LE_OQ);
}

static inline vec vec_negate(vec v)
{
    return -v;
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

/* Within each group of four rows and lanes first, then the groups. */
static inline void vec_transpose(vec square[VEC_LANES])
{
    vec pairs[VEC_LANES];
    for (size_t r = 0; r < VEC_LANES; r += 2) {
        pairs[r] = _mm512_unpacklo_ps(square[r], square[r + 1]);
        pairs[r + 1] = _mm512_unpackhi_ps(square[r], square[r + 1]);
    }
    for (size_t r = 0; r < VEC_LANES; r += 4) {
        square[r] = _mm512_shuffle_ps(pairs[r], pairs[r + 2], 0x44);
        square[r + 1] = _mm512_shuffle_ps(pairs[r], pairs[r + 2], 0xee);
        square[r + 2] = _mm512_shuffle_ps(pairs[r + 1], pairs[r + 3], 0x44);
        square[r + 3] = _mm512_shuffle_ps(pairs[r + 1], pairs[r + 3], 0xee);
    }
    for (size_t r = 0; r < 4; r++) {
        vec even = _mm512_shuffle_f32x4(square[r], square[r + 4], 0x88);
        vec odd = _mm512_shuffle_f32x4(square[r], square[r + 4], 0xdd);
        vec even2 = _mm512_shuffle_f32x4(square[r + 8], square[r + 12], 0x88);
        vec odd2 = _mm512_shuffle_f32x4(square[r + 8], square[r + 12], 0xdd);
        square[r] = _mm512_shuffle_f32x4(even, even2, 0x88);
        square[r + 4] = _mm512_shuffle_f32x4(odd, odd2, 0x88);
        square[r + 8] = _mm512_shuffle_f32x4(even, even2, 0xdd);
        square[r + 12] = _mm512_shuffle_f32x4(odd, odd2, 0xdd);
    }
}

/* A bit for each of the 64 pixels from i: whether it is not zero in one of the samples. */
static inline uint64_t used_in_chunk(const uint8_t *const *pixels, size_t count, size_t i)
{
    __m512i any = _mm512_setzero_si512();
    for (size_t b = 0; b < count; b++) {
        any = _mm512_or_si512(any, _mm512_loadu_si512(pixels[b] + i));
    }
    return _mm512_test_epi8_mask(any, any);
}

/* to[i] = all words i of `count` arrays, or-ed */
static inline void or_words(uint64_t *to, const uint8_t *const *from, size_t count, size_t words)
{
    for (size_t i = 0; i < words; i += 8) {
        const __mmask8 there = (__mmask8)(words - i < 8 ? (1u << (words - i)) - 1 : 0xffu);
        __m512i any = _mm512_setzero_si512();
        for (size_t b = 0; b < count; b++) {
            any = _mm512_or_si512(any, _mm512_maskz_loadu_epi64(there, from[b] + i * sizeof *to));
        }
        _mm512_mask_storeu_epi64(to + i, there, any);
    }
}

static inline void list_16(uint32_t *list, uint32_t bits, uint32_t i)
{
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)i));
    _mm512_storeu_si512(list, _mm512_maskz_compress_epi32((__mmask16)bits, numbers));
}

typedef __m512i bytes_64;

/* Those of 64 pixels whose bits are set, side by side; the others are not touched. */
static inline bytes_64 compress_64(uint64_t used, const uint8_t *pixels)
{
    return _mm512_maskz_compress_epi8(used, _mm512_maskz_loadu_epi8(used, pixels));
}

/* Those of 64 pixels whose bits are set in `used`, from the bytes of those that are not zero, whose
 * bits are set in `inked`, all of them among the former. */
static inline bytes_64 expand_64(uint64_t used, uint64_t inked, const uint8_t *bytes)
{
    return _mm512_maskz_expand_epi8(_pext_u64(inked, used), _mm512_loadu_si512(bytes));
}

static inline void bytes_store(uint8_t *to, bytes_64 bytes)
{
    _mm512_storeu_si512(to, bytes);
}

/* Writes those of 64 pixels whose bits are set, and nothing else. */
static inline void write_chunk(uint8_t *to, uint64_t used, const uint8_t *pixels)
{
    _mm512_mask_compressstoreu_epi8(to, used, _mm512_maskz_loadu_epi8(used, pixels));
}

#include "pixels.h"

const nn_kernels nn_kernels_avx512 = VECTOR_KERNELS("avx512");
