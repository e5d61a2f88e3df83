/* Promise: a digit is found and prepared as MNIST's were, however large it is, wherever it stands,
 * dark or light, in whatever light; blank paper has none, and several are in reading order. */
#include "picture/prepare.h"

#include "fixtures.h"
#include "picture/normalise.h"
#include "picture/shape.h"
#include "synth.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(prepare, .init = fixtures_begin, .fini = fixtures_end, .timeout = 120);

enum {
    SIDE = SYNTH_SIDE,
    PIXELS = SIDE * SIDE,
    PAGE_MAX = 800
};

/* ---- pages -------------------------------------------------------------------------------- */

static uint8_t page_pixels[PAGE_MAX * PAGE_MAX * 3];

/* A page of one value. */
static image blank_page(size_t width, size_t height, uint8_t paper)
{
    cr_assert(width <= PAGE_MAX && height <= PAGE_MAX);
    memset(page_pixels, paper, width * height);
    return (image){width, height, 1, page_pixels};
}

/* Draws a synthetic digit `scale` times its size: 0 stays paper, 255 becomes ink. */
static void draw(image *page, const uint8_t digit[PIXELS], size_t left, size_t top, size_t scale,
                 int paper, int ink)
{
    for (size_t y = 0; y < SIDE * scale; y++) {
        for (size_t x = 0; x < SIDE * scale; x++) {
            int share = digit[y / scale * SIDE + x / scale];
            if (share > 0) {
                page->pixels[(top + y) * page->width + left + x] =
                    (uint8_t)(paper + (ink - paper) * share / 255);
            }
        }
    }
}

static void write_digit(uint8_t digit[PIXELS], unsigned label, uint64_t seed)
{
    nn_rng rng;
    nn_rng_seed(&rng, seed);
    synth_digit(&rng, label, digit);
}

/* Prepares a page that must hold exactly one digit. */
static prepared_digit only_digit(const image *page)
{
    prepared p;
    cr_assert_eq(prepare(&p, page), NN_OK, "%s", nn_error_text());
    cr_assert_eq(p.n, 1, "%zu digits", p.n);
    prepared_digit digit = p.digits[0];
    prepare_release(&p);
    return digit;
}

/* A digit of its own page, 4 times its size, black on white. */
static prepared_digit usual(const uint8_t digit[PIXELS])
{
    image page = blank_page(200, 200, 255);
    draw(&page, digit, 44, 44, 4, 255, 0);
    return only_digit(&page);
}

static double mean_difference(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;
    for (size_t i = 0; i < PIXELS; i++) {
        sum += abs(a[i] - b[i]);
    }
    return sum / PIXELS;
}

/* ---- normalisation ------------------------------------------------------------------------ */

Test(prepare, bar_is_normalised_as_by_hand)
{
    /* A bar 6 wide and 40 high: half its size is 3 by 20, columns 8.5 to 11.5 of the box, so 128,
     * 255, 255, 128. Its centre of mass is at 10, so the box begins at 15 - 10 = 5. */
    uint8_t bar[40 * 6], expected[PIXELS] = {0}, found[PIXELS];
    memset(bar, 255, sizeof bar);
    for (size_t y = 5; y < 25; y++) {
        memcpy(expected + y * SIDE + 13, (const uint8_t[]){128, 255, 255, 128}, 4);
    }
    normalise(found, &(plane){6, 40, bar});
    cr_assert_arr_eq(found, expected, PIXELS);
}

Test(prepare, small_digits_become_small_pictures)
{
    /* The square has a side of at least 10: 1 pixel by 5 becomes 2 by 10. */
    uint8_t bar[5], found[PIXELS];
    memset(bar, 255, sizeof bar);
    normalise(found, &(plane){1, 5, bar});
    size_t rows = 0;
    for (size_t y = 0; y < SIDE; y++) {
        rows += found[y * SIDE + 14] == 255;
    }
    cr_assert_eq(rows, 10);
}

Test(prepare, ink_fills_the_box_and_its_centre_of_mass_is_in_the_middle)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint8_t digit[PIXELS];
        write_digit(digit, (unsigned)(seed % 10), seed);
        prepared_digit p = usual(digit);
        size_t sum = 0, across = 0, down = 0, left = SIDE, right = 0, top = SIDE, bottom = 0,
               most = 0;
        for (size_t i = 0; i < PIXELS; i++) {
            sum += p.pixels[i];
            across += p.pixels[i] * (i % SIDE);
            down += p.pixels[i] * (i / SIDE);
            most = larger(most, p.pixels[i]);
            if (p.pixels[i] > 0) {
                left = smaller(left, i % SIDE);
                right = larger(right, i % SIDE + 1);
                top = smaller(top, i / SIDE);
                bottom = larger(bottom, i / SIDE + 1);
            }
        }
        double x = (double)across / (double)sum + 0.5, y = (double)down / (double)sum + 0.5;
        cr_assert_eq(most, 255);
        cr_assert(x >= 13.9 && x <= 15.1 && y >= 13.9 && y <= 15.1, "%g, %g", x, y);
        cr_assert(right - left <= 20 && bottom - top <= 20);
        cr_assert_geq(larger(right - left, bottom - top), 19);
    }
}

Test(prepare, thin_and_thick_pens_write_alike)
{
    /* A cross of strokes 2 and 14 pixels wide on 100 x 100: a tenth and three quarters of the
     * usual width. */
    uint8_t found[2][PIXELS];
    for (size_t k = 0; k < 2; k++) {
        size_t half = k ? 9 : 1;
        image page = blank_page(200, 200, 255);
        for (size_t i = 0; i < 100 * 100; i++) {
            size_t x = i % 100, y = i / 100;
            bool ink = (x >= 50 - half && x < 50 + half) || (y >= 50 - half && y < 50 + half);
            page.pixels[(50 + y) * 200 + 50 + x] = ink ? 0 : 255;
        }
        prepared_digit p = only_digit(&page);
        memcpy(found[k], p.pixels, PIXELS);
    }
    size_t ink[2] = {0};
    for (size_t i = 0; i < PIXELS; i++) {
        ink[0] += found[0][i];
        ink[1] += found[1][i];
    }
    cr_assert(ink[0] * 2 > ink[1], "%zu, %zu", ink[0], ink[1]);
}

/* ---- size, place, colour, light ----------------------------------------------------------- */

Test(prepare, place_changes_nothing)
{
    uint8_t digit[PIXELS];
    write_digit(digit, 5, 3);
    prepared_digit expected = usual(digit);
    for (size_t k = 0; k < 5; k++) {
        image page = blank_page(200, 200, 255);
        draw(&page, digit, k * 22, 88 - k * 22, 4, 255, 0);
        prepared_digit found = only_digit(&page);
        cr_assert_arr_eq(found.pixels, expected.pixels, PIXELS);
        cr_assert_eq(found.box.left + 44, expected.box.left + k * 22);
        cr_assert_eq(found.box.top + 44, expected.box.top + 88 - k * 22);
    }
}

Test(prepare, light_on_dark_is_the_same_as_dark_on_light)
{
    for (unsigned label = 0; label < 10; label++) {
        uint8_t digit[PIXELS];
        write_digit(digit, label, 4);
        prepared_digit expected = usual(digit);
        image page = blank_page(200, 200, 0);
        draw(&page, digit, 44, 44, 4, 0, 255);
        prepared_digit found = only_digit(&page);
        cr_assert_arr_eq(found.pixels, expected.pixels, PIXELS);
    }
}

Test(prepare, size_changes_little)
{
    for (unsigned label = 0; label < 10; label++) {
        uint8_t digit[PIXELS];
        write_digit(digit, label, 5);
        for (size_t scale = 1; scale <= 20; scale += 3) {
            image page = blank_page(600, 600, 255);
            draw(&page, digit, 10, 20, scale, 255, 0);
            prepared_digit found = only_digit(&page);
            double difference = mean_difference(found.pixels, digit);
            cr_assert_lt(difference, 12, "%u, %zu: %g", label, scale, difference);
        }
    }
}

Test(prepare, coloured_ink_on_coloured_paper_is_ink)
{
    /* Blue and green of the same brightness: 0.587 * 114 is 0.299 * 0 + ... : only colour tells. */
    uint8_t digit[PIXELS];
    write_digit(digit, 3, 6);
    prepared_digit expected = usual(digit);
    image page = blank_page(200, 200, 255);
    draw(&page, digit, 44, 44, 4, 255, 0);
    for (size_t i = 200 * 200; i-- > 0;) {
        bool ink = page.pixels[i] < 128;
        uint8_t colours[2][3] = {{200, 98, 0}, {0, 200, 0}};
        memcpy(page.pixels + 3 * i, colours[ink], 3);
    }
    page.channels = 3;
    prepared_digit found = only_digit(&page);
    cr_assert_lt(mean_difference(found.pixels, expected.pixels), 12);
}

Test(prepare, uneven_light_is_evened)
{
    uint8_t digit[PIXELS];
    write_digit(digit, 8, 7);
    prepared_digit expected = usual(digit);
    image page = blank_page(200, 200, 255);
    draw(&page, digit, 44, 44, 4, 255, 60);
    for (size_t i = 0; i < 200 * 200; i++) { /* from full light down to a third */
        page.pixels[i] = (uint8_t)(page.pixels[i] * (300 - i % 200) / 300);
    }
    prepared_digit found = only_digit(&page);
    cr_assert_lt(mean_difference(found.pixels, expected.pixels), 5);
}

Test(prepare, noise_and_specks_are_no_digits)
{
    nn_rng rng;
    uint8_t digit[PIXELS];
    nn_rng_seed(&rng, 8);
    write_digit(digit, 2, 8);
    prepared_digit expected = usual(digit);
    image page = blank_page(200, 200, 230);
    draw(&page, digit, 44, 44, 4, 230, 40);
    for (size_t i = 0; i < 200 * 200; i++) {
        page.pixels[i] = (uint8_t)(page.pixels[i] + nn_rng_below(&rng, 21) - 10);
    }
    for (size_t k = 0; k < 20; k++) {
        page.pixels[nn_rng_below(&rng, 200 * 40)] = 0;
    }
    prepared_digit found = only_digit(&page);
    cr_assert_lt(mean_difference(found.pixels, expected.pixels), 8);
}

Test(prepare, blank_paper_has_no_digit)
{
    nn_rng rng;
    nn_rng_seed(&rng, 9);
    for (unsigned noise = 1; noise <= 41; noise += 8) {
        for (size_t side = 21; side <= 321; side += 60) {
            image page = blank_page(side, side + 20, 200);
            for (size_t i = 0; i < page.width * page.height; i++) {
                uint64_t shade = 200 - 60 * (i % side) / side; /* a shadow, too */
                page.pixels[i] = (uint8_t)(shade + nn_rng_below(&rng, noise));
            }
            prepared p;
            cr_assert_eq(prepare(&p, &page), NN_OK);
            cr_assert_eq(p.n, 0, "noise %u, side %zu: %zu", noise, side, p.n);
            prepare_release(&p);
        }
    }
}

/* ---- several digits ----------------------------------------------------------------------- */

Test(prepare, digits_are_in_reading_order)
{
    /* Two lines of four, the first rising, the second falling. */
    image page = blank_page(500, 300, 255);
    size_t left[8], top[8];
    for (size_t k = 0; k < 8; k++) {
        uint8_t digit[PIXELS];
        write_digit(digit, (unsigned)k, 10 + k);
        left[k] = 20 + k % 4 * 120;
        top[k] = k < 4 ? 50 - 12 * k : 140 + 12 * (k - 4);
        draw(&page, digit, left[k], top[k], 3, 255, 0);
    }
    prepared p;
    cr_assert_eq(prepare(&p, &page), NN_OK);
    cr_assert_eq(p.n, 8, "%zu", p.n);
    for (size_t k = 0; k < 8; k++) {
        box b = p.digits[k].box;
        cr_assert(b.left >= left[k] && b.right <= left[k] + 84, "%zu", k);
        cr_assert(b.top >= top[k] && b.bottom <= top[k] + 84, "%zu", k);
    }
    prepare_release(&p);
}

Test(prepare, broken_digit_is_one)
{
    /* A 5 whose roof does not touch the body. */
    image page = blank_page(120, 120, 255);
    for (size_t i = 0; i < 120 * 120; i++) {
        size_t x = i % 120, y = i / 120;
        bool roof = y >= 20 && y < 28 && x >= 52 && x < 90;
        bool body = y >= 32 && y < 100 && ((x >= 40 && x < 48) || (y >= 92 && x >= 40 && x < 80));
        page.pixels[i] = roof || body ? 0 : 255;
    }
    prepared_digit found = only_digit(&page);
    cr_assert_eq(found.box.top, 20);
    cr_assert_eq(found.box.bottom, 100);
}

Test(prepare, what_touches_the_edge_counts_only_when_alone)
{
    uint8_t digit[PIXELS];
    write_digit(digit, 6, 11);
    prepared_digit expected = usual(digit);
    image page = blank_page(200, 200, 255);
    draw(&page, digit, 44, 44, 4, 255, 0);
    for (size_t y = 0; y < 200; y++) {
        memset(page.pixels + y * 200 + 190, 0, 10); /* the table under the paper */
    }
    prepared_digit found = only_digit(&page);
    cr_assert_lt(mean_difference(found.pixels, expected.pixels), 2);
}

/* ---- scribbles ---------------------------------------------------------------------------- */

Test(prepare, digits_look_like_digits_and_scribbles_do_not)
{
    uint8_t pixels[PIXELS] = {0};
    cr_assert_not(shape_is_digit(pixels), "blank");
    for (uint64_t seed = 0; seed < 17; seed++) {
        write_digit(pixels, (unsigned)(seed % 10), seed);
        shape s = shape_measure(pixels);
        cr_assert(shape_is_digit(pixels), "%d: %u %u %u %u", (int)seed, s.ink, s.runs, s.busiest,
                  s.flat);
    }
    memset(pixels, 0, sizeof pixels);
    for (size_t y = 4; y < 24; y += 4) {
        memset(pixels + y * SIDE + 4, 255, 20); /* a hatching */
        memset(pixels + (y + 1) * SIDE + 4, 255, 20);
    }
    cr_assert_not(shape_is_digit(pixels), "hatching");
    memset(pixels, 0, sizeof pixels);
    memset(pixels + 14 * SIDE + 4, 255, 20);
    cr_assert_not(shape_is_digit(pixels), "dash");
    memset(pixels, 255, sizeof pixels);
    cr_assert_not(shape_is_digit(pixels), "blot");
}

Test(prepare, shapes_are_counted_as_by_hand)
{
    /* Two bars of 2 x 10 pixels, 4 apart: 20 runs in rows, 4 in columns; box 8 wide, 10 high. */
    uint8_t pixels[PIXELS] = {0};
    for (size_t y = 5; y < 15; y++) {
        memcpy(pixels + y * SIDE + 10, (const uint8_t[]){255, 255, 0, 0, 0, 0, 255, 255}, 8);
    }
    shape s = shape_measure(pixels);
    cr_assert_eq(s.ink, 40);
    cr_assert_eq(s.runs, 24);
    cr_assert_eq(s.busiest, 2);
    cr_assert_eq(s.flat, 8);
}

/* ---- memory ------------------------------------------------------------------------------- */

Test(prepare, without_memory_it_fails_cleanly)
{
    uint8_t digit[PIXELS];
    write_digit(digit, 4, 12);
    image page = blank_page(400, 100, 255);
    draw(&page, digit, 10, 5, 3, 255, 0);
    draw(&page, digit, 200, 5, 3, 255, 0);
    prepared p;
    cr_assert_eq(prepare(&p, &page), NN_OK);
    cr_assert_eq(p.n, 2);
    prepare_release(&p);
    unsigned long calls = fault_calls(FAULT_ALLOC);
    cr_assert_gt(calls, 10);
    for (unsigned long n = 1; n <= calls; n++) {
        fault_clear();
        fault_at(FAULT_ALLOC, n, ENOMEM, false);
        p = (prepared){.n = 77};
        cr_assert_eq(prepare(&p, &page), NN_ERR_MEMORY, "%lu", n);
        cr_assert_eq(p.n, 77);
        cr_assert_eq(fault_blocks(), 0);
    }
    fault_clear();
}
