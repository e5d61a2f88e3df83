/* Promise: a seed means the same numbers on every machine, and they are as random as they should
 * be. Known answers come from the published generators, and from a second implementation in
 * Python, written from the papers. */
#include "nnlib.h"

#include <criterion/criterion.h>
#include <math.h>

static nn_rng seeded(uint64_t seed)
{
    nn_rng rng;
    nn_rng_seed(&rng, seed);
    return rng;
}

/* Pearson's statistic for counts that should all be equal. */
static double chi_square(const size_t *counts, size_t n)
{
    double total = 0;
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        total += (double)counts[k];
    }
    for (size_t k = 0; k < n; k++) {
        const double expected = total / (double)n;
        sum += ((double)counts[k] - expected) * ((double)counts[k] - expected) / expected;
    }
    return sum;
}

/* ---- known answers ------------------------------------------------------------------------- */

Test(rng, seed_gives_the_published_words_of_splitmix64)
{
    const nn_rng rng = seeded(1234567);
    cr_assert_eq(rng.s[0], UINT64_C(6457827717110365317));
    cr_assert_eq(rng.s[1], UINT64_C(3203168211198807973));
    cr_assert_eq(rng.s[2], UINT64_C(9817491932198370423));
    cr_assert_eq(rng.s[3], UINT64_C(4593380528125082431));
}

/* The vector that Rust's rand_xoshiro took from the authors' C code. */
Test(rng, next_gives_the_published_numbers_of_xoshiro256_starstar)
{
    static const uint64_t expected[] = {
        11520,
        0,
        1509978240,
        1215971899390074240,
        1216172134540287360,
        607988272756665600,
        UINT64_C(16172922978634559625),
        8476171486693032832,
        UINT64_C(10595114339597558777),
        2904607092377533576,
    };
    nn_rng rng = {{1, 2, 3, 4}};
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        cr_assert_eq(nn_rng_next(&rng), expected[k], "number %zu", k);
    }
}

/* Python: the generator's 256 x 256 matrix over GF(2), squared 128 times, times the state. */
Test(rng, jump_equals_two_to_the_128_steps)
{
    static const struct {
        nn_rng from, to;
    } table[] = {
        {{{1, 2, 3, 4}},
         {{0x8c7a153956b5f3d1, 0x701f1a713401d85e, 0x6527f66a65469085, 0x8386b786c4408050}}},
        /* SplitMix64 of 42 */
        {{{0xbdd732262feb6e95, 0x28efe333b266f103, 0x47526757130f9f52, 0x581ce1ff0e4ae394}},
         {{0x81746704fde896b5, 0x645e944932dae0ae, 0xf4776829231c282c, 0x2393f9798732dba1}}},
    };
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        nn_rng rng = table[t].from;
        nn_rng_jump(&rng);
        cr_assert_arr_eq(rng.s, table[t].to.s, sizeof rng.s, "case %zu", t);
    }
}

/* Python, seed 42, as are the next three. */
Test(rng, uniform_gives_the_high_53_bits)
{
    static const double expected[] = {0x1.5780b2e0c2ec0p-4, 0x1.84136619b444ep-2,
                                      0x1.5c2ea66473c93p-1, 0x1.d9715a8e0766cp-1};
    nn_rng rng = seeded(42);
    for (size_t k = 0; k < 4; k++) {
        cr_assert_eq(nn_rng_uniform(&rng), expected[k], "number %zu", k);
    }
}

Test(rng, normal_gives_the_numbers_of_the_polar_method)
{
    static const double expected[] = {-0.7262191382447857, 0.2216227015035933, 0.46417731016247366,
                                      1.476249461018415,   1.0078198992420604, 1.0272109607595328};
    nn_rng rng = seeded(42);
    for (size_t k = 0; k < 6; k++) {
        const double error = fabs(nn_rng_normal(&rng) - expected[k]);
        cr_assert_leq(error, 1e-15 * fabs(expected[k]), "number %zu", k);
    }
}

Test(rng, below_gives_the_same_integers_everywhere)
{
    static const uint64_t expected[] = {83, 378, 680, 924, 991, 769, 719, 850, 761, 583};
    nn_rng rng = seeded(42);
    for (size_t k = 0; k < 10; k++) {
        cr_assert_eq(nn_rng_below(&rng, 1000), expected[k], "number %zu", k);
    }
}

Test(rng, shuffle_gives_the_same_order_everywhere)
{
    static const uint32_t expected[] = {9, 1, 4, 2, 8, 7, 6, 5, 3, 0};
    uint32_t order[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    nn_rng rng = seeded(42);
    nn_rng_shuffle(&rng, order, 10);
    cr_assert_arr_eq(order, expected, sizeof expected);
}

/* ---- streams ------------------------------------------------------------------------------- */

Test(rng, saved_state_goes_on_where_it_was)
{
    nn_rng rng = seeded(7);
    (void)nn_rng_normal(&rng);
    const nn_rng saved = rng;
    double first[50];
    for (size_t k = 0; k < 50; k++) {
        first[k] = nn_rng_normal(&rng) + (double)nn_rng_below(&rng, 100);
    }
    rng = saved;
    for (size_t k = 0; k < 50; k++) {
        cr_assert_eq(nn_rng_normal(&rng) + (double)nn_rng_below(&rng, 100), first[k]);
    }
}

Test(rng, neighbouring_seeds_have_nothing_in_common)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        nn_rng one = seeded(seed);
        nn_rng other = seeded(seed + 1);
        for (size_t k = 0; k < 100; k++) {
            cr_assert_neq(nn_rng_next(&one), nn_rng_next(&other), "seed %zu", (size_t)seed);
        }
    }
}

Test(rng, jumped_stream_differs_from_the_one_before)
{
    nn_rng one = seeded(1);
    nn_rng other = one;
    nn_rng_jump(&other);
    for (size_t k = 0; k < 1000; k++) {
        cr_assert_neq(nn_rng_next(&one), nn_rng_next(&other));
    }
}

/* ---- uniform numbers ----------------------------------------------------------------------- */

/* s[1] = 0 gives 0; the other s[1] is the one whose output is 2^64 - 1 (Python, by inverting). */
Test(rng, uniform_reaches_0_and_stays_below_1)
{
    nn_rng rng = {{1, 0, 3, 4}};
    cr_assert_eq(nn_rng_uniform(&rng), 0.0);
    rng = (nn_rng){{1, 0x4fc71c71c71c71c7, 3, 4}};
    cr_assert_eq(nn_rng_uniform(&rng), 1.0 - 0x1p-53);
}

/* Chi-square with 99 degrees of freedom exceeds 148.23 once in a thousand. */
Test(rng, uniform_fills_the_interval_evenly)
{
    size_t counts[100] = {0};
    nn_rng rng = seeded(3);
    for (size_t k = 0; k < 1000000; k++) {
        const double u = nn_rng_uniform(&rng);
        cr_assert(u >= 0 && u < 1);
        counts[(size_t)(100 * u)]++;
    }
    cr_assert_lt(chi_square(counts, 100), 148.23);
}

/* ---- integers ------------------------------------------------------------------------------ */

Test(rng, below_stays_below)
{
    static const uint64_t limits[] = {
        1, 2, 3, 10, 255, UINT32_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, UINT64_MAX,
    };
    nn_rng rng = seeded(5);
    for (size_t n = 0; n < sizeof limits / sizeof *limits; n++) {
        for (size_t k = 0; k < 10000; k++) {
            cr_assert_lt(nn_rng_below(&rng, limits[n]), limits[n]);
        }
    }
}

/* Chi-square with 6 degrees of freedom exceeds 22.46 once in a thousand. */
Test(rng, below_7_gives_each_equally_often)
{
    size_t counts[7] = {0};
    nn_rng rng = seeded(11);
    for (size_t k = 0; k < 700000; k++) {
        counts[nn_rng_below(&rng, 7)]++;
    }
    cr_assert_lt(chi_square(counts, 7), 22.46);
}

/* 2^32 values over n = 3 2^30 results: without a second draw every third result comes twice as
 * often. With 2 degrees of freedom 13.82 is exceeded once in a thousand; such a bias gives 10^4. */
Test(rng, below_a_large_32_bit_limit_is_unbiased)
{
    size_t counts[3] = {0};
    nn_rng rng = seeded(12);
    for (size_t k = 0; k < 300000; k++) {
        counts[nn_rng_below(&rng, UINT64_C(3) << 30) % 3]++;
    }
    cr_assert_lt(chi_square(counts, 3), 13.82);
}

/* The same for 64 bits, where a remainder would favour the first third. */
Test(rng, below_a_large_64_bit_limit_is_unbiased)
{
    size_t thirds[3] = {0};
    size_t residues[3] = {0};
    nn_rng rng = seeded(13);
    for (size_t k = 0; k < 300000; k++) {
        const uint64_t draw = nn_rng_below(&rng, UINT64_C(3) << 62);
        thirds[draw >> 62]++;
        residues[draw % 3]++;
    }
    cr_assert_lt(chi_square(thirds, 3), 13.82);
    cr_assert_lt(chi_square(residues, 3), 13.82);
}

/* ---- normal numbers ------------------------------------------------------------------------ */

/* Of 10^6 draws: the standard errors of the four moments are 0.001, 0.0014, 0.0039, 0.0098. */
Test(rng, normal_has_the_moments_of_the_normal_distribution)
{
    const size_t n = 1000000;
    double power[5] = {0};
    nn_rng rng = seeded(21);
    for (size_t k = 0; k < n; k++) {
        const double x = nn_rng_normal(&rng);
        for (size_t p = 1; p < 5; p++) {
            power[p] += pow(x, (double)p) / (double)n;
        }
    }
    cr_assert_leq(fabs(power[1]), 0.004);
    cr_assert_leq(fabs(power[2] - 1), 0.006);
    cr_assert_leq(fabs(power[3]), 0.016);
    cr_assert_leq(fabs(power[4] - 3), 0.04);
}

/* Shares within 1, 2 and 3 standard deviations: erf(k / sqrt 2). */
Test(rng, normal_has_the_tails_of_the_normal_distribution)
{
    static const double expected[] = {0.6826894921, 0.9544997361, 0.9973002039};
    size_t within[3] = {0};
    const size_t n = 1000000;
    nn_rng rng = seeded(22);
    for (size_t k = 0; k < n; k++) {
        const double x = fabs(nn_rng_normal(&rng));
        for (size_t s = 0; s < 3; s++) {
            within[s] += x < (double)(s + 1);
        }
    }
    for (size_t s = 0; s < 3; s++) {
        const double error = fabs((double)within[s] / (double)n - expected[s]);
        const double deviation = sqrt(expected[s] * (1 - expected[s]) / (double)n);
        cr_assert_lt(error, 4 * deviation, "within %zu", s + 1);
    }
}

Test(rng, successive_normal_numbers_are_not_correlated)
{
    const size_t n = 1000000;
    double sum = 0;
    nn_rng rng = seeded(23);
    double before = nn_rng_normal(&rng);
    for (size_t k = 0; k < n; k++) {
        const double x = nn_rng_normal(&rng);
        sum += x * before;
        before = x;
    }
    cr_assert_leq(fabs(sum / (double)n), 0.004); /* 4 standard errors */
}

/* ---- shuffling ----------------------------------------------------------------------------- */

Test(rng, shuffle_keeps_every_element_once)
{
    enum {
        N = 1000
    };
    uint32_t order[N];
    bool seen[N] = {false};
    nn_rng rng = seeded(31);
    for (uint32_t k = 0; k < N; k++) {
        order[k] = k;
    }
    nn_rng_shuffle(&rng, order, N);
    size_t in_place = 0;
    for (size_t k = 0; k < N; k++) {
        cr_assert_lt(order[k], N);
        cr_assert_not(seen[order[k]]);
        seen[order[k]] = true;
        in_place += order[k] == k;
    }
    cr_assert_lt(in_place, 8); /* 1 is expected */
}

/* Numbers the orders of 4 elements 0..23 (Lehmer's code). */
static size_t order_number(const uint32_t *order)
{
    size_t number = 0;
    for (size_t k = 0; k < 4; k++) {
        size_t smaller = 0;
        for (size_t later = k + 1; later < 4; later++) {
            smaller += order[later] < order[k];
        }
        number = number * (4 - k) + smaller;
    }
    return number;
}

/* Chi-square with 23 degrees of freedom exceeds 49.73 once in a thousand. Swapping each place with
 * any other, the usual mistake, gives thousands. */
Test(rng, shuffle_gives_all_24_orders_of_4_elements_equally_often)
{
    size_t counts[24] = {0};
    nn_rng rng = seeded(32);
    for (size_t k = 0; k < 240000; k++) {
        uint32_t order[] = {0, 1, 2, 3};
        nn_rng_shuffle(&rng, order, 4);
        counts[order_number(order)]++;
    }
    cr_assert_lt(chi_square(counts, 24), 49.73);
}

Test(rng, shuffle_of_none_or_one_draws_nothing)
{
    uint32_t order[] = {17};
    nn_rng rng = seeded(33);
    const nn_rng before = rng;
    nn_rng_shuffle(&rng, NULL, 0);
    nn_rng_shuffle(&rng, order, 1);
    cr_assert_eq(order[0], 17);
    cr_assert_arr_eq(rng.s, before.s, sizeof rng.s);
}
