/* Promise: a contact sheet shows every digit with its caption, however many there are, and is
 * written whole or not at all. */
#include "sheet.h"

#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include <libpng16/png.h>

TestSuite(sheet, .init = fixtures_begin, .fini = fixtures_end, .timeout = 120);

/* ---- looking at a sheet ------------------------------------------------------------------- */

typedef struct {
    size_t width, height;
    blob rgb; /* [height][width][3] */
} picture;

static picture look_at(const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    cr_assert(png_image_begin_read_from_file(&image, path), "%s", image.message);
    cr_assert_eq(image.format, PNG_FORMAT_RGB);
    picture seen = {image.width, image.height, {NULL, 0}};
    seen.rgb = fixture_repeat(0, seen.width * seen.height * 3);
    cr_assert(png_image_finish_read(&image, NULL, seen.rgb.data, 0, NULL), "%s", image.message);
    return seen;
}

/* The colours, as they look: what a caption says must not depend on their exact values. */
typedef enum {
    DARK,  /* ink */
    WHITE, /* a card */
    BLUE,  /* the true digit */
    RED    /* the predicted digit */
} tint;

static bool is_tint(const unsigned char *rgb, tint which)
{
    int red = rgb[0], green = rgb[1], blue = rgb[2];
    switch (which) {
    case DARK:
        return red < 64 && green < 64 && blue < 64;
    case WHITE:
        return red == 255 && green == 255 && blue == 255;
    case BLUE:
        return blue > red + 80;
    default:
        return red > blue + 80;
    }
}

static size_t count_tint(picture seen, tint which)
{
    size_t n = 0;
    for (size_t k = 0; k < seen.rgb.n; k += 3) {
        n += is_tint(&seen.rgb.data[k], which);
    }
    return n;
}

/* The mean column of all pixels of a tint. */
static double mean_column(picture seen, tint which)
{
    double sum = 0;
    for (size_t k = 0; k < seen.rgb.n; k += 3) {
        if (is_tint(&seen.rgb.data[k], which)) {
            sum += (double)(k / 3 % seen.width);
        }
    }
    return sum / (double)count_tint(seen, which);
}

/* ---- digits to show ----------------------------------------------------------------------- */

static uint8_t blank[28 * 28], full[28 * 28];

static void fill_full(void)
{
    memset(full, 255, sizeof full);
}

/* Returns n tiles of one picture: 8, misread as 1 with probability 0.5. */
static sheet_tile *make_tiles(size_t n, const uint8_t *pixels)
{
    blob memory = fixture_repeat(0, n * sizeof(sheet_tile));
    sheet_tile *tiles = (sheet_tile *)(void *)memory.data;
    for (size_t k = 0; k < n; k++) {
        tiles[k] = (sheet_tile){pixels, 8, 1, 0.5F, k};
    }
    return tiles;
}

static picture make_sheet(sheet_kind kind, const char *heading, const sheet_tile *tiles, size_t n)
{
    const char *path = fixture_path("sheet.png");
    cr_assert_eq(sheet_write(path, kind, heading, tiles, n), NN_OK, "%s", nn_error_text());
    return look_at(path);
}

/* ---- tests -------------------------------------------------------------------------------- */

Test(sheet, every_digit_is_shown_at_its_scale)
{
    static const struct {
        size_t n, scale;
    } sheets[] = {{1, 3}, {7, 3}, {600, 3}, {601, 2}, {2500, 2}, {2501, 1}};
    fill_full();
    for (size_t k = 0; k < sizeof sheets / sizeof sheets[0]; k++) {
        size_t n = sheets[k].n, scale = sheets[k].scale;
        picture seen = make_sheet(SHEET_LABELLED, "", make_tiles(n, full), n);
        cr_assert_eq(count_tint(seen, DARK), n * 28 * 28 * scale * scale, "%zu digits", n);
    }
}

Test(sheet, digit_is_drawn_as_it_is)
{
    uint8_t pixels[28 * 28] = {0};
    pixels[0] = 255;            /* top left */
    pixels[27 * 28 + 27] = 255; /* bottom right */
    pixels[1] = 128;
    sheet_tile tile = {pixels, 1, 0, 0, 0};
    picture seen = make_sheet(SHEET_LABELLED, "", &tile, 1);
    cr_assert_eq(count_tint(seen, DARK), 2 * 3 * 3);
    size_t first = 0;
    while (!is_tint(&seen.rgb.data[first * 3], DARK)) {
        first++;
    }
    /* Three times its size: the other corner's square begins 27 * 3 pixels to the right and below,
     * the half-grey one 3 to the right. */
    size_t last = first + 27 * 3 * seen.width + 27 * 3;
    cr_assert(is_tint(&seen.rgb.data[last * 3], DARK));
    cr_assert(is_tint(&seen.rgb.data[(last + 2 * seen.width + 2) * 3], DARK));
    int grey = seen.rgb.data[(first + 3) * 3];
    cr_assert(grey > 110 && grey < 170, "%d", grey);
    cr_assert(is_tint(&seen.rgb.data[(first + 6) * 3], WHITE));
}

Test(sheet, tiles_stand_in_reading_order)
{
    fill_full();
    sheet_tile *tiles = make_tiles(7, blank);
    tiles[0].pixels = full;
    double first = mean_column(make_sheet(SHEET_LABELLED, "", tiles, 7), DARK);
    tiles[0].pixels = blank;
    tiles[1].pixels = full;
    double second = mean_column(make_sheet(SHEET_LABELLED, "", tiles, 7), DARK);
    tiles[1].pixels = blank;
    tiles[4].pixels = full; /* four columns: the first of the second row */
    double fifth = mean_column(make_sheet(SHEET_LABELLED, "", tiles, 7), DARK);
    cr_assert_gt(second, first + 84);
    cr_assert_float_eq(fifth, first, 0.001);
}

Test(sheet, caption_is_the_label)
{
    /* Pixels of ink in the 5 x 7 letters 8 and 1, drawn twice their size: an 8 has rows of 3, 2,
     * 2, 3, 2, 2 and 3; a 1 has 1, 2, 2, 1, 1, 1 and 5. */
    sheet_tile *tiles = make_tiles(3, blank);
    picture seen = make_sheet(SHEET_LABELLED, "", tiles, 3);
    cr_assert_eq(count_tint(seen, BLUE), 3 * 17 * 4);
    cr_assert_eq(count_tint(seen, RED), 0);
    tiles[2].truth = 1;
    cr_assert_eq(count_tint(make_sheet(SHEET_LABELLED, "", tiles, 3), BLUE), (17 + 17 + 13) * 4);
}

Test(sheet, caption_of_a_misread_digit_is_truth_then_guess)
{
    sheet_tile *tiles = make_tiles(1, blank);
    picture legend = make_sheet(SHEET_MISREAD, "", tiles, 0);
    picture seen = make_sheet(SHEET_MISREAD, "", tiles, 1);
    cr_assert_eq(count_tint(seen, BLUE) - count_tint(legend, BLUE), 17 * 4);
    cr_assert_eq(count_tint(seen, RED) - count_tint(legend, RED), 13 * 4);
    /* Blue is left of red, in the legend as in the caption. */
    cr_assert_lt(mean_column(legend, BLUE), mean_column(legend, RED));
    cr_assert_lt(mean_column(seen, BLUE), mean_column(seen, RED));
}

/* Checks whether two sheets of one misread digit each look the same. */
static bool look_alike(sheet_tile a, sheet_tile b)
{
    picture first = make_sheet(SHEET_MISREAD, "", &a, 1);
    picture second = make_sheet(SHEET_MISREAD, "", &b, 1);
    return first.rgb.n == second.rgb.n && memcmp(first.rgb.data, second.rgb.data, first.rgb.n) == 0;
}

Test(sheet, probability_and_place_are_shown)
{
    sheet_tile tile = {blank, 2, 7, 0.86F, 321};
    sheet_tile other = tile;
    other.probability = 0.8604F; /* two decimals */
    cr_assert(look_alike(tile, other));
    other.probability = 0.87F;
    cr_assert_not(look_alike(tile, other));
    other = tile;
    other.index = 322;
    cr_assert_not(look_alike(tile, other));
}

Test(sheet, probability_out_of_range_is_taken_as_the_nearest_end)
{
    sheet_tile none = {blank, 2, 7, 0, 0}, sure = {blank, 2, 7, 1, 0};
    sheet_tile low = {blank, 2, 7, -3, 0}, high = {blank, 2, 7, 1e30F, 0};
    sheet_tile no_number = {blank, 2, 7, NAN, 0};
    cr_assert(look_alike(none, low));
    cr_assert(look_alike(sure, high));
    cr_assert(look_alike(none, no_number));
    cr_assert_not(look_alike(none, sure));
}

Test(sheet, note_without_room_is_left_out)
{
    sheet_tile far = {blank, 2, 7, 0.5F, 99999999999U}, farther = {blank, 2, 7, 0.5F, 99999999998U};
    cr_assert(look_alike(far, farther));
    far.index = SIZE_MAX;
    cr_assert(look_alike(far, farther));
}

Test(sheet, heading_is_written_in_ink)
{
    /* H has rows of 2, 2, 2, 5, 2, 2 and 2; i has 1, 0, 2, 1, 1, 1 and 3. */
    picture seen = make_sheet(SHEET_LABELLED, "Hi", make_tiles(4, blank), 4);
    cr_assert_eq(count_tint(seen, DARK), (17 + 9) * 4);
}

Test(sheet, heading_of_other_characters_shows_question_marks)
{
    picture odd = make_sheet(SHEET_LABELLED, "a\x01\xc3\xa9", NULL, 0);
    picture plain = make_sheet(SHEET_LABELLED, "a???", NULL, 0);
    cr_assert_eq(odd.rgb.n, plain.rgb.n);
    cr_assert_arr_eq(odd.rgb.data, plain.rgb.data, odd.rgb.n);
}

Test(sheet, long_heading_widens_the_sheet_and_is_cut)
{
    char heading[1000];
    memset(heading, 'x', sizeof heading);
    heading[sizeof heading - 1] = '\0';
    picture longest = make_sheet(SHEET_LABELLED, heading, make_tiles(1, blank), 1);
    heading[120] = '\0';
    picture cut = make_sheet(SHEET_LABELLED, heading, make_tiles(1, blank), 1);
    cr_assert_eq(longest.width, cut.width);
    cr_assert_eq(longest.height, cut.height);
    cr_assert_arr_eq(longest.rgb.data, cut.rgb.data, cut.rgb.n);
    /* An x has rows of 2, 2, 1, 2 and 2. */
    cr_assert_eq(count_tint(cut, DARK), (size_t)120 * 9 * 4);
}

Test(sheet, sheet_without_digits_has_its_heading)
{
    cr_assert_gt(count_tint(make_sheet(SHEET_MISREAD, "0 of 10000 misread", NULL, 0), DARK), 100);
}

Test(sheet, beyond_10000_the_heading_says_so)
{
    /* One more changes the heading alone, to what this one says. */
    sheet_tile *tiles = make_tiles(10001, blank);
    picture all = make_sheet(SHEET_LABELLED, "10001 digits, first 10000 shown", tiles, 10000);
    picture cut = make_sheet(SHEET_LABELLED, "10001 digits", tiles, 10001);
    cr_assert_eq(all.width, cut.width);
    cr_assert_eq(all.height, cut.height);
    cr_assert_arr_eq(all.rgb.data, cut.rgb.data, all.rgb.n);
    cr_assert_eq(count_tint(cut, BLUE), (size_t)10000 * 17);
    cr_assert(cut.width <= 8192 && cut.height <= 8192, "%zu x %zu", cut.width, cut.height);
}

Test(sheet, many_digits_make_a_page_and_not_a_strip)
{
    for (size_t n = 20; n <= 5120; n *= 4) {
        picture seen = make_sheet(SHEET_MISREAD, "", make_tiles(n, blank), n);
        double ratio = (double)seen.width / (double)seen.height;
        cr_assert(ratio > 1 && ratio < 1.8, "%zu digits: %zu x %zu", n, seen.width, seen.height);
    }
}

Test(sheet, target_stays_when_memory_runs_out)
{
    sheet_tile *tiles = make_tiles(1, blank);
    const char *path = fixture_write("old.png", BYTES("the old content"));
    unsigned long n = 0;
    nn_status status = NN_ERR_MEMORY;
    while (status != NN_OK) {
        n++;
        fault_clear();
        fault_at(FAULT_ALLOC, n, ENOMEM, true);
        status = sheet_write(path, SHEET_MISREAD, "", tiles, 1);
        cr_assert(status == NN_OK || status == NN_ERR_MEMORY, "%d", status);
        if (status != NN_OK) {
            cr_assert_not_null(strstr(nn_error_text(), path), "%s", nn_error_text());
            cr_assert_eq(fixture_read("old.png").n, 15);
        }
        cr_assert_eq(fixture_count(), 1);
    }
    cr_assert_gt(n, 5);
}

Test(sheet, target_stays_when_the_disk_is_full)
{
    const char *path = fixture_write("old.png", BYTES("the old content"));
    fault_at(FAULT_WRITE, 1, ENOSPC, true);
    cr_assert_eq(sheet_write(path, SHEET_MISREAD, "", make_tiles(1, blank), 1), NN_ERR_IO);
    fault_clear();
    cr_assert_eq(fixture_read("old.png").n, 15);
    cr_assert_eq(fixture_count(), 1);
}

Test(sheet, enlarging_makes_squares_of_pixels)
{
    const uint8_t small[2 * 3] = {1, 2, 3, 4, 5, 6};
    const uint8_t expected[4 * 6] = {1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3,
                                     4, 4, 5, 5, 6, 6, 4, 4, 5, 5, 6, 6};
    uint8_t *large = NULL;
    cr_assert_eq(sheet_enlarge(&large, small, 3, 2, 2), NN_OK);
    cr_assert_arr_eq(large, expected, sizeof expected);
    nn_free(large);
    cr_assert_eq(sheet_enlarge(&large, small, 3, 2, 1), NN_OK);
    cr_assert_arr_eq(large, small, sizeof small);
    nn_free(large);
}

Test(sheet, enlarging_beyond_all_sizes_is_refused)
{
    uint8_t *large = full;
    cr_assert_eq(sheet_enlarge(&large, blank, 28, 28, 0), NN_ERR_ARGUMENT);
    cr_assert_eq(sheet_enlarge(&large, blank, 0, 28, 1), NN_ERR_ARGUMENT);
    cr_assert_eq(sheet_enlarge(&large, blank, 28, 0, 1), NN_ERR_ARGUMENT);
    cr_assert_eq(sheet_enlarge(&large, blank, 28, 28, SIZE_MAX / 2), NN_ERR_ARGUMENT);
    cr_assert_eq(sheet_enlarge(&large, blank, 28, 28, SIZE_MAX / 28), NN_ERR_ARGUMENT);
    cr_assert_eq(fault_calls(FAULT_ALLOC), 0);
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    cr_assert_eq(sheet_enlarge(&large, blank, 28, 28, 4), NN_ERR_MEMORY);
    cr_assert_eq(large, full);
}
