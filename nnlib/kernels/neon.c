/* The kernels for 64-bit ARM: 4 floats a vector, 32 registers. */
#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VEC_LANES 4
#define TILE ((size_t)4)
#define SLOTS ((size_t)6)
#define AT_ONCE ((size_t)1)
#define GEMM_M ((size_t)6)
#define GEMM_ROWS ((size_t)1)

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

static inline vec vec_bytes(const uint8_t *from)
{
    const uint32x4_t bytes = {from[0], from[1], from[2], from[3]};
    return vcvtq_f32_u32(bytes);
}

static inline vec vec_div(vec x, vec y)
{
    return vdivq_f32(x, y);
}

static inline float vec_sum(vec v)
{
    float32x2_t two = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static inline float vec_max(vec v)
{
    return vmaxvq_f32(v);
}

/* A bit for each lane that is all ones. */
static inline uint32_t lane_bits(uint32x4_t lanes)
{
    const uint32x4_t bit = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(lanes, bit));
}

static inline uint32_t vec_less(vec x, vec y)
{
    return lane_bits(vcltq_f32(x, y));
}

static inline uint32_t vec_at_most(vec x, vec y)
{
    return lane_bits(vcleq_f32(x, y));
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

static inline void vec_transpose(vec square[VEC_LANES])
{
    float32x4x2_t low = vzipq_f32(square[0], square[2]), high = vzipq_f32(square[1], square[3]);
    float32x4x2_t first = vzipq_f32(low.val[0], high.val[0]);
    float32x4x2_t last = vzipq_f32(low.val[1], high.val[1]);
    square[0] = first.val[0];
    square[1] = first.val[1];
    square[2] = last.val[0];
    square[3] = last.val[1];
}

/* A bit for each of the 64 pixels from i: whether it is not zero in one of the samples. */
static inline uint64_t used_in_chunk(const uint8_t *const *pixels, size_t count, size_t i)
{
    static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint64_t used = 0;
    for (size_t quarter = 0; quarter < 4; quarter++) {
        uint8x16_t any = vdupq_n_u8(0);
        for (size_t b = 0; b < count; b++) {
            any = vorrq_u8(any, vld1q_u8(pixels[b] + i + 16 * quarter));
        }
        uint8x16_t bits = vandq_u8(vtstq_u8(any, any), vld1q_u8(bit));
        uint64_t low = vaddv_u8(vget_low_u8(bits)), high = vaddv_u8(vget_high_u8(bits));
        used |= (low | high << 8) << (16 * quarter);
    }
    return used;
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

const nn_kernels nn_kernels_neon = VECTOR_KERNELS("neon");
