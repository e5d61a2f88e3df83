/* Promise: pictures are written whole or not at all, whatever fails. */
#include "png.h"

#include "fixtures.h"
#include "picture/image.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <libpng16/png.h>

TestSuite(png, .init = fixtures_begin, .fini = fixtures_end, .timeout = 60);

/* Checks that a picture is read as width x height expected bytes. */
static void check_reads_as(const char *path, const uint8_t *expected, size_t width, size_t height)
{
    image found;
    cr_assert_eq(image_read(&found, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(found.channels, 1);
    cr_assert_eq(found.width, width);
    cr_assert_eq(found.height, height);
    cr_assert_arr_eq(found.pixels, expected, width * height);
    image_release(&found);
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Fills pixels[n] with a pattern that no filter predicts. */
static void fill_pattern(uint8_t *pixels, size_t n)
{
    uint32_t state = 12345;
    for (size_t k = 0; k < n; k++) {
        state = (uint32_t)(state * UINT64_C(1664525) + 1013904223);
        pixels[k] = (uint8_t)(state >> 24);
    }
}

static const struct {
    size_t width, height;
} sizes[] = {{1, 1}, {28, 28}, {500, 3}, {3, 500}, {257, 129}};

enum {
    N_SIZES = sizeof sizes / sizeof sizes[0],
    LARGEST = 257 * 129
};

static uint8_t pattern[LARGEST * 3];

Test(png, grey_picture_comes_back_as_written)
{
    fill_pattern(pattern, sizeof pattern);
    for (size_t k = 0; k < N_SIZES; k++) {
        const char *path = fixture_path("grey.png");
        cr_assert_eq(png_write_gray(path, pattern, sizes[k].width, sizes[k].height), NN_OK, "%s",
                     nn_error_text());
        check_reads_as(path, pattern, sizes[k].width, sizes[k].height);
    }
    cr_assert_eq(fixture_count(), 1);
}

Test(png, libpng_reads_colours_as_written)
{
    static uint8_t found[LARGEST * 3];
    fill_pattern(pattern, sizeof pattern);
    for (size_t k = 0; k < N_SIZES; k++) {
        const char *path = fixture_path("colour.png");
        cr_assert_eq(png_write_rgb(path, pattern, sizes[k].width, sizes[k].height), NN_OK);
        png_image written = {.version = PNG_IMAGE_VERSION};
        cr_assert(png_image_begin_read_from_file(&written, path), "%s", written.message);
        cr_assert_eq(written.format, PNG_FORMAT_RGB);
        cr_assert_eq(written.width, sizes[k].width);
        cr_assert_eq(written.height, sizes[k].height);
        cr_assert(png_image_finish_read(&written, NULL, found, 0, NULL), "%s", written.message);
        cr_assert_arr_eq(found, pattern, sizes[k].width * sizes[k].height * 3);
    }
}

Test(png, smooth_picture_is_compressed)
{
    for (size_t k = 0; k < LARGEST; k++) {
        pattern[k] = (uint8_t)(k % 257);
    }
    cr_assert_eq(png_write_gray(fixture_path("smooth.png"), pattern, 257, 129), NN_OK);
    cr_assert_lt(fixture_read("smooth.png").n, LARGEST / 20);
}

Test(png, same_pixels_give_the_same_file)
{
    fill_pattern(pattern, sizeof pattern);
    cr_assert_eq(png_write_gray(fixture_path("a.png"), pattern, 28, 28), NN_OK);
    cr_assert_eq(png_write_gray(fixture_path("b.png"), pattern, 28, 28), NN_OK);
    blob a = fixture_read("a.png"), b = fixture_read("b.png");
    cr_assert_eq(a.n, b.n);
    cr_assert_arr_eq(a.data, b.data, a.n);
}

Test(png, sizes_that_no_picture_has_are_refused)
{
    const char *path = fixture_path("none.png");
    cr_assert_eq(png_write_gray(path, pattern, 0, 28), NN_ERR_ARGUMENT);
    cr_assert_eq(png_write_gray(path, pattern, 28, 0), NN_ERR_ARGUMENT);
    cr_assert_eq(png_write_gray(path, pattern, INT_MAX, 1), NN_ERR_ARGUMENT);
    cr_assert_eq(png_write_gray(path, pattern, 65536, 65536), NN_ERR_ARGUMENT);
    cr_assert_eq(png_write_rgb(path, pattern, SIZE_MAX, SIZE_MAX), NN_ERR_ARGUMENT);
    cr_assert_not_null(strstr(nn_error_text(), path));
    cr_assert_eq(fixture_count(), 0);
}

/* Without memory, pixels are asked for nowhere. */
Test(png, largest_pictures_fail_for_want_of_memory_only)
{
    const size_t half = INT_MAX / 2; /* filtered lines, a byte longer than the pixels' */
    const char *path = fixture_path("none.png");
    fault_at(FAULT_ALLOC, 1, ENOMEM, true);
    cr_assert_eq(png_write_gray(path, pattern, 1, half / 2), NN_ERR_MEMORY);
    cr_assert_eq(png_write_gray(path, pattern, 1, half / 2 + 1), NN_ERR_ARGUMENT);
    cr_assert_eq(png_write_gray(path, pattern, half - 1, 1), NN_ERR_MEMORY);
    cr_assert_eq(png_write_gray(path, pattern, half, 1), NN_ERR_ARGUMENT);
    cr_assert_eq(png_write_rgb(path, pattern, 1, half / 4), NN_ERR_MEMORY);
    cr_assert_eq(png_write_rgb(path, pattern, 1, half / 4 + 1), NN_ERR_ARGUMENT);
    cr_assert_eq(png_write_rgb(path, pattern, (half - 1) / 3, 1), NN_ERR_MEMORY);
    cr_assert_eq(png_write_rgb(path, pattern, half / 3 + 1, 1), NN_ERR_ARGUMENT);
    cr_assert_eq(fixture_count(), 0);
}

/* Lets the n-th call of a kind fail, for n = 1, 2, ..., until a picture is written without that
 * call; after each failure the old file must be there, alone and as it was. Returns the number of
 * failures. */
static unsigned long fail_each(fault which, int error, nn_status expected)
{
    fill_pattern(pattern, sizeof pattern);
    const char *path = fixture_write("old.png", BYTES("the old content"));
    for (unsigned long n = 1;; n++) {
        fault_clear();
        fault_at(which, n, error, true);
        nn_status status = png_write_rgb(path, pattern, 257, 129);
        bool struck = fault_calls(which) >= n;
        fault_clear();
        if (!struck) {
            cr_assert_eq(status, NN_OK, "%s", nn_error_text());
            return n - 1;
        }
        cr_assert_eq(status, expected, "call %lu: %d, %s", n, status, nn_error_text());
        cr_assert_not_null(strstr(nn_error_text(), path), "%s", nn_error_text());
        blob content = fixture_read("old.png");
        cr_assert_eq(content.n, 15);
        cr_assert_arr_eq(content.data, "the old content", 15);
        cr_assert_eq(fixture_count(), 1);
    }
}

Test(png, target_stays_when_memory_runs_out)
{
    /* The writer, the filtered lines, one line, zlib's state, window and tables, its output, the
     * finished file: more than five in any version of the libraries. */
    cr_assert_gt(fail_each(FAULT_ALLOC, ENOMEM, NN_ERR_MEMORY), 5);
}

Test(png, memory_is_given_back_when_only_the_last_request_fails)
{
    /* stb_image_write forgets the packed bytes when it finds no memory for the file around them.
     * A build with AddressSanitizer reports the leak if we forget them too. */
    fill_pattern(pattern, sizeof pattern);
    const char *path = fixture_path("new.png");
    cr_assert_eq(png_write_gray(path, pattern, 28, 28), NN_OK);
    unsigned long calls = fault_calls(FAULT_ALLOC);
    for (unsigned long n = 1; n <= calls; n++) {
        fault_clear();
        fault_at(FAULT_ALLOC, n, ENOMEM, false);
        cr_assert_eq(png_write_gray(path, pattern, 28, 28), NN_ERR_MEMORY, "call %lu", n);
    }
}

Test(png, target_stays_when_the_disk_is_full)
{
    cr_assert_geq(fail_each(FAULT_WRITE, ENOSPC, NN_ERR_IO), 1);
    cr_assert_not_null(strstr(nn_error_text(), strerror(ENOSPC)), "%s", nn_error_text());
}

Test(png, target_stays_when_the_disk_fails_late)
{
    cr_assert_geq(fail_each(FAULT_RENAME, EIO, NN_ERR_IO), 1);
}

Test(png, places_where_nothing_can_be_written_are_refused)
{
    cr_assert_eq(png_write_gray(fixture_path("missing/a.png"), pattern, 28, 28), NN_ERR_IO);
    cr_assert_eq(png_write_gray(fixture_path(""), pattern, 28, 28), NN_ERR_IO);
    cr_assert_eq(png_write_gray("/dev/full", pattern, 28, 28), NN_ERR_IO);
}
