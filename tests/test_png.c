/* Promise: pictures are written whole or not at all, whatever fails; a picture is read exactly or
 * refused with a reason, and the program prints nothing on its own. */
#include "png.h"

#include "fixtures.h"

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

/* ---- pictures made by hand, after the PNG specification ----------------------------------- */

static void put_u32(unsigned char *to, uint32_t value)
{
    to[0] = (unsigned char)(value >> 24);
    to[1] = (unsigned char)(value >> 16);
    to[2] = (unsigned char)(value >> 8);
    to[3] = (unsigned char)value;
}

/* Length, type, data, CRC-32 of type and data. */
static blob chunk(const char *type, blob data)
{
    unsigned char length[4], crc[4];
    blob body = fixture_join(fixture_bytes(type, 4), data);
    put_u32(length, (uint32_t)data.n);
    put_u32(crc, (uint32_t)crc32(0, body.data, (uInt)body.n));
    return fixture_join(fixture_join(fixture_bytes(length, 4), body), fixture_bytes(crc, 4));
}

enum {
    GREY = 0,
    RGB = 2,
    PALETTE = 3,
    GREY_ALPHA = 4,
    RGBA = 6
};

static blob signature_and_header(uint32_t width, uint32_t height, int depth, int colour)
{
    unsigned char header[13] = {0};
    put_u32(header, width);
    put_u32(header + 4, height);
    header[8] = (unsigned char)depth;
    header[9] = (unsigned char)colour;
    return fixture_join(BYTES("\x89PNG\r\n\x1a\n"), chunk("IHDR", fixture_bytes(header, 13)));
}

static blob image_data(blob rows)
{
    unsigned char packed[4096];
    uLongf n = sizeof packed;
    cr_assert_eq(compress(packed, &n, rows.data, (uLong)rows.n), Z_OK);
    return fixture_join(chunk("IDAT", fixture_bytes(packed, n)), chunk("IEND", BYTES("")));
}

/* A picture: rows hold a filter byte (0) and the packed samples of each row. */
static blob picture(uint32_t width, uint32_t height, int depth, int colour, blob rows)
{
    return fixture_join(signature_and_header(width, height, depth, colour), image_data(rows));
}

/* A grey 28 x 28 picture, pixel k being k mod 251. */
static blob digit_picture(uint8_t pixels[28 * 28])
{
    unsigned char rows[28 * 29] = {0};
    for (size_t k = 0; k < 28 * 28; k++) {
        pixels[k] = (uint8_t)(k % 251);
        rows[k / 28 * 29 + 1 + k % 28] = pixels[k];
    }
    return picture(28, 28, 8, GREY, fixture_bytes(rows, sizeof rows));
}

/* Checks that a picture is read as width x height expected bytes. */
static void check_reads_as(const char *path, const uint8_t *expected, size_t width, size_t height)
{
    uint8_t *pixels = NULL;
    size_t found_width = 0, found_height = 0;
    cr_assert_eq(png_read_gray(&pixels, &found_width, &found_height, path), NN_OK, "%s",
                 nn_error_text());
    cr_assert_eq(found_width, width);
    cr_assert_eq(found_height, height);
    cr_assert_arr_eq(pixels, expected, width * height);
    nn_free(pixels);
}

/* Checks that a picture is refused with a text that names the file and says why. */
static void check_refused(const char *path, nn_status status, const char *why)
{
    uint8_t byte = 0;
    uint8_t *pixels = &byte;
    size_t width = 11, height = 12;
    nn_status found = png_read_gray(&pixels, &width, &height, path);
    cr_assert_eq(found, status, "%d: %s", found, nn_error_text());
    cr_assert_not_null(strstr(nn_error_text(), path), "%s", nn_error_text());
    cr_assert_not_null(strstr(nn_error_text(), why), "%s", nn_error_text());
    cr_assert(pixels == &byte && width == 11 && height == 12, "outputs are touched");
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
        png_image image = {.version = PNG_IMAGE_VERSION};
        cr_assert(png_image_begin_read_from_file(&image, path), "%s", image.message);
        cr_assert_eq(image.format, PNG_FORMAT_RGB);
        cr_assert_eq(image.width, sizes[k].width);
        cr_assert_eq(image.height, sizes[k].height);
        cr_assert(png_image_finish_read(&image, NULL, found, 0, NULL), "%s", image.message);
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

/* ---- reading ------------------------------------------------------------------------------ */

Test(png, hand_made_picture_is_read)
{
    uint8_t pixels[28 * 28];
    const char *path = fixture_write("digit.png", digit_picture(pixels));
    check_reads_as(path, pixels, 28, 28);
}

Test(png, fewer_and_more_bits_a_pixel_are_read_as_eight)
{
    /* 255 / (2^depth - 1) times the sample; of 16 bits the nearest of value / 257. */
    static const struct {
        int depth;
        const char *row;
        size_t n;
        uint8_t expected[4];
    } rows[] = {
        {1, "\0\x50", 2, {0, 255, 0, 255}},
        {2, "\0\x1b", 2, {0, 85, 170, 255}},
        {4, "\0\x01\x9f", 3, {0, 17, 153, 255}},
        {8, "\0\x00\x01\x80\xff", 5, {0, 1, 128, 255}},
        {16, "\0\x00\x00\x12\x12\x80\x80\xff\xff", 9, {0, 0x12, 0x80, 255}},
    };
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        blob row = fixture_bytes(rows[k].row, rows[k].n);
        const char *path = fixture_write("depth.png", picture(4, 1, rows[k].depth, GREY, row));
        check_reads_as(path, rows[k].expected, 4, 1);
    }
}

Test(png, colour_and_transparency_are_refused)
{
    const char *path = fixture_path("a.png");
    fixture_write("a.png", picture(1, 1, 8, RGB, BYTES("\0\x10\x10\x10")));
    check_refused(path, NN_ERR_DATA, "in colour");
    fixture_write("a.png", picture(1, 1, 8, RGBA, BYTES("\0\x10\x10\x10\xff")));
    check_refused(path, NN_ERR_DATA, "in colour");
    fixture_write("a.png", picture(1, 1, 8, GREY_ALPHA, BYTES("\0\x10\x80")));
    check_refused(path, NN_ERR_DATA, "transparency");
}

Test(png, palette_and_transparent_grey_are_refused)
{
    const char *path = fixture_path("a.png");
    blob head = signature_and_header(1, 1, 8, PALETTE);
    blob palette = chunk("PLTE", BYTES("\x01\x02\x03"));
    fixture_write("a.png", fixture_join(fixture_join(head, palette), image_data(BYTES("\0\0"))));
    check_refused(path, NN_ERR_DATA, "in colour");
    head = signature_and_header(1, 1, 8, GREY);
    blob transparent = chunk("tRNS", BYTES("\0\x05"));
    fixture_write("a.png",
                  fixture_join(fixture_join(head, transparent), image_data(BYTES("\0\x05"))));
    check_refused(path, NN_ERR_DATA, "transparency");
}

Test(png, other_files_are_no_png_files)
{
    const char *path = fixture_path("a.png");
    fixture_write("a.png", BYTES(""));
    check_refused(path, NN_ERR_DATA, "not a PNG file");
    fixture_write("a.png", BYTES("\x89PNG"));
    check_refused(path, NN_ERR_DATA, "not a PNG file");
    fixture_write("a.png", BYTES("<!doctype html><title>404</title>"));
    check_refused(path, NN_ERR_DATA, "not a PNG file");
    fixture_write("a.png", fixture_gzip(BYTES("not a picture")));
    check_refused(path, NN_ERR_DATA, "not a PNG file");
}

Test(png, every_cut_is_noticed)
{
    uint8_t pixels[28 * 28];
    blob whole = digit_picture(pixels);
    const size_t end = 12; /* IEND: what comes after the pixels is not looked at */
    for (size_t n = end + 1; n < whole.n - 8; n++) {
        const char *path = fixture_write("cut.png", fixture_cut(whole, n));
        check_refused(path, NN_ERR_DATA, "damaged");
    }
}

Test(png, no_changed_byte_gives_other_pixels)
{
    uint8_t expected[28 * 28];
    blob whole = digit_picture(expected);
    size_t refused = 0;
    for (size_t k = 0; k < whole.n; k++) {
        blob changed = fixture_bytes(whole.data, whole.n);
        changed.data[k] ^= 0x10;
        const char *path = fixture_write("changed.png", changed);
        uint8_t *pixels = NULL;
        size_t width = 0, height = 0;
        nn_status status = png_read_gray(&pixels, &width, &height, path);
        if (status == NN_OK) {
            cr_assert_eq(width * height, 28 * 28);
            cr_assert_arr_eq(pixels, expected, sizeof expected);
            nn_free(pixels);
        } else {
            cr_assert_eq(status, NN_ERR_DATA, "byte %zu: %s", k, nn_error_text());
            refused++;
        }
    }
    cr_assert_geq(refused, whole.n - 12, "%zu of %zu", refused, whole.n);
}

Test(png, huge_pictures_are_refused_before_memory_is_asked_for)
{
    blob rows = BYTES("\0\0\0\0");
    const char *path = fixture_write("a.png", picture(100000, 100000, 8, GREY, rows));
    check_refused(path, NN_ERR_DATA, "too large");
    fixture_write("a.png", picture(8192, 8193, 8, GREY, rows));
    check_refused(path, NN_ERR_DATA, "8192 x 8193");
    fixture_write("a.png", picture(8192, 8192, 8, GREY, rows));
    check_refused(path, NN_ERR_DATA, "cannot hold");
    cr_assert_eq(fault_calls(FAULT_ALLOC), 3, "for the three files themselves");
}

Test(png, chunks_longer_than_the_file_are_refused_before_libpng_sees_them)
{
    static const char *const types[] = {"IDAT", "tEXt", "iCCP", "tRNS"};
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
        blob file = fixture_join(signature_and_header(28, 28, 8, GREY), BYTES("\x10\0\0\0"));
        file = fixture_join(file, fixture_join(fixture_bytes(types[k], 4), BYTES("0123456789")));
        check_refused(fixture_write("claim.png", file), NN_ERR_DATA,
                      fixture_text("chunk '%s' claims 268435456 bytes", types[k]));
    }
}

Test(png, what_follows_the_end_of_a_picture_is_ignored)
{
    uint8_t pixels[28 * 28];
    blob file = fixture_join(digit_picture(pixels), BYTES("\xff\xff\xff\xfftEXt and so on"));
    check_reads_as(fixture_write("more.png", file), pixels, 28, 28);
}

Test(png, sides_of_0_are_damage)
{
    const char *path = fixture_write("a.png", picture(0, 1, 8, GREY, BYTES("\0")));
    check_refused(path, NN_ERR_DATA, "damaged");
}

Test(png, files_that_cannot_be_read_are_refused)
{
    check_refused(fixture_path("missing.png"), NN_ERR_IO, strerror(ENOENT));
    check_refused(fixture_path(""), NN_ERR_IO, "folder");
    check_refused("/dev/null", NN_ERR_IO, "device");
}

Test(png, fifo_is_refused_without_waiting)
{
    const char *path = fixture_path("fifo.png");
    cr_assert_eq(mkfifo(path, 0600), 0);
    check_refused(path, NN_ERR_IO, "FIFO");
}

Test(png, reading_without_memory_fails_cleanly)
{
    uint8_t pixels[28 * 28];
    const char *path = fixture_write("digit.png", digit_picture(pixels));
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    check_refused(path, NN_ERR_MEMORY, "out of memory");
}

Test(png, nothing_is_printed)
{
    uint8_t pixels[28 * 28];
    blob head = signature_and_header(1, 1, 8, GREY);
    blob odd = chunk("gAMA", BYTES("\0")); /* too short: libpng finds fault and reads on */
    const char *path = fixture_write(
        "odd.png", fixture_join(fixture_join(head, odd), image_data(BYTES("\0\x07"))));
    const char *cut = fixture_write("cut.png", fixture_cut(digit_picture(pixels), 30));
    int printed = open(fixture_path("stderr"), O_RDWR | O_CREAT, 0600);
    int saved = dup(STDERR_FILENO);
    cr_assert(printed >= 0 && saved >= 0 && dup2(printed, STDERR_FILENO) >= 0);
    check_reads_as(path, (const uint8_t[]){7}, 1, 1);
    check_refused(cut, NN_ERR_DATA, "damaged");
    (void)fflush(stderr);
    cr_assert_geq(dup2(saved, STDERR_FILENO), 0);
    (void)close(saved);
    (void)close(printed);
    cr_assert_eq(fixture_read("stderr").n, 0);
}
