/* Promise: generated digits sit in MNIST's frame, look like the digit that they are labelled with,
 * and are the same everywhere. */
#include "synth.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

enum {
    SIDE = 28,
    PIXELS = SIDE * SIDE,
    N = 2000 /* digits looked at where a property is to hold for all or for most */
};

static uint8_t digits[N][PIXELS]; /* digits[i] is a picture of i % 10 */

static void draw_digits(void)
{
    nn_rng rng;
    nn_rng_seed(&rng, 42);
    for (unsigned i = 0; i < N; i++) {
        synth_digit(&rng, i % 10, digits[i]);
    }
}

TestSuite(synth, .init = draw_digits);

/* The smallest box around all ink. */
struct box {
    int left, top, right, bottom;
};

static struct box ink_box(const uint8_t pixels[PIXELS])
{
    struct box box = {SIDE, SIDE, -1, -1};
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            if (pixels[y * SIDE + x] != 0) {
                box.left = x < box.left ? x : box.left;
                box.top = y < box.top ? y : box.top;
                box.right = x > box.right ? x : box.right;
                box.bottom = y > box.bottom ? y : box.bottom;
            }
        }
    }
    return box;
}

Test(synth, same_seed_draws_the_same_digits_on_every_machine)
{
    /* As gcc 12 and clang 14 drew them on x86-64, with -O0 as with -O3 -march=native. */
    nn_rng rng;
    nn_rng_seed(&rng, 1);
    uLong crc = crc32(0, NULL, 0);
    uint8_t pixels[PIXELS];
    for (unsigned i = 0; i < 1000; i++) {
        synth_digit(&rng, i % 10, pixels);
        crc = crc32(crc, pixels, PIXELS);
    }
    cr_assert_eq(crc, 0x4e20ec4bUL, "found %08lx", crc);
}

Test(synth, another_seed_draws_other_digits)
{
    nn_rng rng;
    uint8_t pixels[PIXELS];
    nn_rng_seed(&rng, 43);
    synth_digit(&rng, 0, pixels);
    cr_assert(memcmp(pixels, digits[0], PIXELS) != 0);
}

Test(synth, no_two_digits_are_alike)
{
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < i; k++) {
            cr_assert(memcmp(digits[i], digits[k], PIXELS) != 0, "digits %zu and %zu", k, i);
        }
    }
}

Test(synth, longer_side_of_the_ink_is_20_pixels)
{
    for (size_t i = 0; i < N; i++) {
        struct box box = ink_box(digits[i]);
        int width = box.right - box.left + 1;
        int height = box.bottom - box.top + 1;
        cr_assert_eq(width > height ? width : height, 20, "digit %zu: %d x %d", i, width, height);
    }
}

Test(synth, centre_of_mass_is_at_pixel_14)
{
    for (size_t i = 0; i < N; i++) {
        double sum = 0, sum_x = 0, sum_y = 0;
        for (int p = 0; p < PIXELS; p++) {
            sum += digits[i][p];
            sum_x += digits[i][p] * (p % SIDE);
            sum_y += digits[i][p] * (p / SIDE);
        }
        double x = sum_x / sum, y = sum_y / sum;
        struct box box = ink_box(digits[i]);
        /* A digit that reaches the edge of the frame may have been stopped there. */
        bool stopped_x = box.left == 0 || box.right == SIDE - 1;
        bool stopped_y = box.top == 0 || box.bottom == SIDE - 1;
        cr_assert(stopped_x || (x >= 13.499 && x <= 14.501), "digit %zu: column %.3f", i, x);
        cr_assert(stopped_y || (y >= 13.499 && y <= 14.501), "digit %zu: row %.3f", i, y);
        cr_assert(x > 12.5 && x < 15.5 && y > 12.5 && y < 15.5, "digit %zu: %.3f %.3f", i, x, y);
    }
}

Test(synth, ink_covers_as_much_as_in_mnist)
{
    /* Of MNIST's 60,000 training images 19.1 % of the pixels are not 0, and of these 37 % are at
     * least 252 (counted with NumPy). */
    double inked = 0, full = 0;
    for (size_t i = 0; i < N; i++) {
        for (int p = 0; p < PIXELS; p++) {
            inked += digits[i][p] != 0;
            full += digits[i][p] >= 252;
        }
    }
    double share = inked / N / PIXELS;
    cr_assert(share > 0.17 && share < 0.21, "%.3f", share);
    cr_assert(full / inked > 0.3 && full / inked < 0.44, "%.3f", full / inked);
}

Test(synth, edges_are_soft)
{
    for (size_t i = 0; i < N; i++) {
        int soft = 0;
        for (int p = 0; p < PIXELS; p++) {
            soft += digits[i][p] > 20 && digits[i][p] < 230;
        }
        cr_assert_gt(soft, 10, "digit %zu", i);
    }
}

static void flood(bool paper[PIXELS], int p)
{
    int stack[PIXELS], n = 0;
    paper[p] = false;
    stack[n++] = p;
    while (n > 0) {
        p = stack[--n];
        const int next[4] = {p - 1, p + 1, p - SIDE, p + SIDE};
        const bool inside[4] = {p % SIDE > 0, p % SIDE < SIDE - 1, p >= SIDE, p < PIXELS - SIDE};
        for (int k = 0; k < 4; k++) {
            if (inside[k] && paper[next[k]]) {
                paper[next[k]] = false;
                stack[n++] = next[k];
            }
        }
    }
}

/* Counts the areas of paper that the ink encloses. */
static int count_holes(const uint8_t pixels[PIXELS])
{
    bool paper[PIXELS];
    int areas = 0;
    for (int p = 0; p < PIXELS; p++) {
        paper[p] = pixels[p] < 100;
    }
    for (int p = 0; p < PIXELS; p++) {
        if (paper[p]) {
            flood(paper, p);
            areas++;
        }
    }
    return areas - 1;
}

Test(synth, most_digits_have_the_holes_that_they_should)
{
    /* What a reader expects; 2 and 4 are written with and without one. */
    static const int expected[10] = {1, 0, -1, 0, -1, 0, 1, 0, 2, 1};
    int right[10] = {0};
    for (size_t i = 0; i < N; i++) {
        right[i % 10] += count_holes(digits[i]) == expected[i % 10];
    }
    for (int label = 0; label < 10; label++) {
        int percent = right[label] * 100 / (N / 10);
        cr_assert(expected[label] < 0 || percent > 50, "%d: %d %%", label, percent);
    }
}

/* Squared distance from a picture to a mean one. */
static double distance(const uint8_t pixels[PIXELS], const double mean[PIXELS])
{
    double sum = 0;
    for (int p = 0; p < PIXELS; p++) {
        double d = pixels[p] - mean[p];
        sum += d * d;
    }
    return sum;
}

/* Returns the percentage of the second half of the digits that are nearest to the mean of their
 * own label in the first half. */
static int percent_nearest_to_own_mean(void)
{
    static double mean[10][PIXELS];
    int right = 0;
    for (size_t i = 0; i < N / 2; i++) {
        for (int p = 0; p < PIXELS; p++) {
            mean[i % 10][p] += digits[i][p] / (N / 20.0);
        }
    }
    for (size_t i = N / 2; i < N; i++) {
        size_t nearest = 0;
        for (size_t label = 1; label < 10; label++) {
            if (distance(digits[i], mean[label]) < distance(digits[i], mean[nearest])) {
                nearest = label;
            }
        }
        right += nearest == i % 10;
    }
    return right * 100 / (N / 2);
}

Test(synth, labels_can_be_told_apart_but_not_easily)
{
    /* The mean of each label is the simplest classifier there is: it reads 82 % of MNIST's test
     * images. Digits that it read all would teach a network nothing. */
    int percent = percent_nearest_to_own_mean();
    cr_assert(percent >= 70 && percent <= 92, "%d %%", percent);
}

Test(synth, larger_label_draws_its_last_decimal_digit)
{
    uint8_t seven[PIXELS], seventeen[PIXELS];
    nn_rng rng;
    nn_rng_seed(&rng, 5);
    synth_digit(&rng, 7, seven);
    nn_rng_seed(&rng, 5);
    synth_digit(&rng, 17, seventeen);
    cr_assert_arr_eq(seven, seventeen, PIXELS);
}

Test(synth, what_was_in_the_picture_is_gone)
{
    uint8_t pixels[PIXELS];
    nn_rng rng;
    memset(pixels, 0xa5, sizeof pixels);
    nn_rng_seed(&rng, 42);
    synth_digit(&rng, 0, pixels);
    cr_assert_arr_eq(pixels, digits[0], PIXELS);
}
