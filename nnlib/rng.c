/* The random numbers behind every result: one generator, and nothing of the C library's, so that
 * a seed means the same on every machine. */
#include "fpenv.h"
#include "nnlib.h"
#include "real.h"
#include "wraps.h"

/* SplitMix64 (Steele, Lea and Flood 2014): turns any seed into well-mixed words. */
NN_WRAPS static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

NN_WRAPS static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void nn_rng_seed(nn_rng *rng, uint64_t seed)
{
    for (size_t w = 0; w < 4; w++) {
        rng->s[w] = splitmix64(&seed);
    }
}

/* xoshiro256** (Blackman and Vigna 2018). */
NN_WRAPS uint64_t nn_rng_next(nn_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Multiplies the state by the generator's transition matrix to the power 2^128: the words are the
 * coefficients of that jump's polynomial, as published with the generator. */
void nn_rng_jump(nn_rng *rng)
{
    static const uint64_t jump[4] = {0x180ec6d33cfd0aba, 0xd5a61266f0c9392c, 0xa9582618e03fc9aa,
                                     0x39abdc4529b1661c};
    nn_rng sum = {{0, 0, 0, 0}};
    for (size_t w = 0; w < 4; w++) {
        for (int bit = 0; bit < 64; bit++) {
            if (jump[w] >> bit & 1) {
                for (size_t k = 0; k < 4; k++) {
                    sum.s[k] ^= rng->s[k];
                }
            }
            nn_rng_next(rng);
        }
    }
    *rng = sum;
}

double nn_rng_uniform(nn_rng *rng)
{
    return (double)(nn_rng_next(rng) >> 11) * 0x1p-53;
}

/* Takes a point in the unit disc; its squared radius s is uniform, and x sqrt(-2 ln s / s) is
 * normal (Marsaglia and Bray 1964). The second number of the pair is dropped: no hidden state. */
static NN_NOINLINE double normal(nn_rng *rng)
{
    double x, s;
    do {
        x = 2.0 * nn_rng_uniform(rng) - 1.0;
        double y = 2.0 * nn_rng_uniform(rng) - 1.0;
        s = x * x + y * y;
    } while (s >= 1.0 || s == 0.0);
    return x * sqrt(-2.0 * nn_log(s) / s);
}

double nn_rng_normal(nn_rng *rng)
{
    const nn_fpenv before = nn_fpenv_set();
    double x = normal(rng);
    nn_fpenv_restore(&before);
    return x;
}

/* Takes the high word of a 32 x 32 bit product, and draws again in the few cases that would favour
 * some results (Lemire 2019). Larger n: draws again what lies beyond a multiple of n. */
uint64_t nn_rng_below(nn_rng *rng, uint64_t n)
{
    if (n <= UINT32_MAX) { /* 32 random bits do, and the product fits in 64 */
        uint64_t product = (nn_rng_next(rng) >> 32) * n;
        if ((uint32_t)product < n) {
            uint32_t threshold = (uint32_t)((UINT64_C(1) << 32) % n);
            while ((uint32_t)product < threshold) {
                product = (nn_rng_next(rng) >> 32) * n;
            }
        }
        return product >> 32;
    }
    uint64_t limit = UINT64_MAX - UINT64_MAX % n; /* a multiple of n */
    uint64_t draw = nn_rng_next(rng);
    while (draw >= limit) {
        draw = nn_rng_next(rng);
    }
    return draw % n;
}

void nn_rng_shuffle(nn_rng *rng, uint32_t *index, size_t n)
{
    for (size_t left = n; left > 1; left--) {
        size_t pick = (size_t)nn_rng_below(rng, left);
        uint32_t other = index[left - 1];
        index[left - 1] = index[pick];
        index[pick] = other;
    }
}
