/* The kernels for 64-bit ARM: 4 floats a vector, 32 registers. */
#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_LANES 4
#define TILE_IMAGES 5
#define GEMM_M 6
#define GEMM_ROWS 1

typedef float32x4_t vec;

static inline vec vec_load(const float *from)
{
    return vld1q_f32(from);
}

static inline void vec_store(float *to, vec v)
{
    vst1q_f32(to, v);
}

static inline vec vec_set(float x)
{
    return vdupq_n_f32(x);
}

static inline vec vec_add(vec x, vec y)
{
    return vaddq_f32(x, y);
}

static inline vec vec_mul(vec x, vec y)
{
    return vmulq_f32(x, y);
}

static inline vec vec_negate(vec v)
{
    return vnegq_f32(v);
}

static inline vec vec_fma(vec x, vec y, vec z)
{
    return vfmaq_f32(z, x, y);
}

/* Clearing where "less than" holds keeps a NaN, as the comparison in ref_step does. */
static inline vec vec_flush(vec v)
{
    const uint32x4_t small = vcaltq_f32(v, vdupq_n_f32(0x1p-60f));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), small));
}

static inline bool vec_is_zero(vec v)
{
    return vmaxvq_u32(vreinterpretq_u32_f32(v)) == 0;
}

/* Lists those of the 16 pixels from i that are not zero in one of the samples, and the others. */
static inline size_t rows_16(uint32_t *rows, uint32_t *idle, const uint8_t *const *pixels,
                             size_t count, size_t i)
{
    uint8_t any[16];
    uint8x16_t all = vdupq_n_u8(0);
    for (size_t b = 0; b < count; b++) {
        all = vorrq_u8(all, vld1q_u8(pixels[b] + i));
    }
    vst1q_u8(any, all);
    size_t n_rows = 0;
    for (size_t k = 0; k < 16; k++) { /* both stores, without a branch; the right one stays */
        rows[n_rows] = (uint32_t)(i + k);
        if (idle) {
            idle[k - n_rows] = (uint32_t)(i + k);
        }
        n_rows += any[k] != 0;
    }
    return n_rows;
}

#include "vector.h"

const nn_kernels nn_kernels_neon = VECTOR_KERNELS("neon");
