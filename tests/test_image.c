/* Promise: a picture of any kind is read exactly, or refused with a reason; nothing is lost,
 * nothing is printed, and no more memory is asked for than the file can fill. */
#include "picture/image.h"

#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <jpeglib.h> /* after stdio.h, which it needs */

TestSuite(image, .init = fixtures_begin, .fini = fixtures_end, .timeout = 60);

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

/* Checks that a picture is read as expected bytes of so many channels. */
static void check_reads_as_colour(const char *path, const uint8_t *expected, size_t width,
                                  size_t height, size_t channels)
{
    image found;
    cr_assert_eq(image_read(&found, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(found.width, width);
    cr_assert_eq(found.height, height);
    cr_assert_eq(found.channels, channels);
    cr_assert_arr_eq(found.pixels, expected, width * height * channels);
    image_release(&found);
}

static void check_reads_as(const char *path, const uint8_t *expected, size_t width, size_t height)
{
    check_reads_as_colour(path, expected, width, height, 1);
}

/* Checks that a picture is refused with a text that names the file and says why. */
static void check_refused(const char *path, nn_status status, const char *why)
{
    uint8_t byte = 0;
    image picture = {11, 12, 13, &byte};
    nn_status found = image_read(&picture, path);
    cr_assert_eq(found, status, "%d: %s", found, nn_error_text());
    cr_assert_not_null(strstr(nn_error_text(), path), "%s", nn_error_text());
    cr_assert_not_null(strstr(nn_error_text(), why), "%s", nn_error_text());
    cr_assert(picture.pixels == &byte && picture.width == 11 && picture.channels == 13);
}

/* ---- PNG ---------------------------------------------------------------------------------- */

Test(image, hand_made_picture_is_read)
{
    uint8_t pixels[28 * 28];
    const char *path = fixture_write("digit.png", digit_picture(pixels));
    check_reads_as(path, pixels, 28, 28);
}

Test(image, fewer_and_more_bits_a_pixel_are_read_as_eight)
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

Test(image, colours_are_kept)
{
    const char *path =
        fixture_write("a.png", picture(2, 1, 8, RGB, BYTES("\0\x10\x20\x30\x40\x50\x60")));
    check_reads_as_colour(path, (const uint8_t[]){0x10, 0x20, 0x30, 0x40, 0x50, 0x60}, 2, 1, 3);
    path = fixture_write("b.png", picture(1, 1, 16, RGB, BYTES("\0\x10\x10\x20\x20\xff\xff")));
    check_reads_as_colour(path, (const uint8_t[]){0x10, 0x20, 0xff}, 1, 1, 3);
}

Test(image, what_is_transparent_is_seen_on_white)
{
    /* (value alpha + 255 (255 - alpha)) / 255, rounded: 0 at 0x80 is 127, 16 at 51 is 207.2. */
    const char *path =
        fixture_write("a.png", picture(3, 1, 8, GREY_ALPHA, BYTES("\0\0\x80\x10\x33\x10\xff")));
    check_reads_as(path, (const uint8_t[]){127, 207, 0x10}, 3, 1);
    path = fixture_write("a.png", picture(1, 2, 8, GREY_ALPHA, BYTES("\0\0\x80\0\x10\x33")));
    check_reads_as(path, (const uint8_t[]){127, 207}, 1, 2);
    path = fixture_write("b.png", picture(1, 1, 8, RGBA, BYTES("\0\0\x10\xff\0")));
    check_reads_as_colour(path, (const uint8_t[]){255, 255, 255}, 1, 1, 3);
    blob head = signature_and_header(2, 1, 8, GREY);
    blob rest = fixture_join(chunk("tRNS", BYTES("\0\x05")), image_data(BYTES("\0\x05\x06")));
    path = fixture_write("c.png", fixture_join(head, rest));
    check_reads_as(path, (const uint8_t[]){255, 6}, 2, 1);
}

Test(image, palettes_are_looked_up)
{
    blob head = signature_and_header(4, 1, 2, PALETTE);
    blob palette = chunk("PLTE", BYTES("\x01\x02\x03\x11\x12\x13\x21\x22\x23"));
    blob rest = fixture_join(palette, image_data(BYTES("\0\x18"))); /* 0, 1, 2, 0 */
    const char *path = fixture_write("a.png", fixture_join(head, rest));
    check_reads_as_colour(path, (const uint8_t[]){1, 2, 3, 17, 18, 19, 33, 34, 35, 1, 2, 3}, 4, 1,
                          3);
}

Test(image, interlaced_rows_find_their_places)
{
    /* Adam7 (PNG specification, section 8): of 4 x 2 pixels, pass 1 holds the first, pass 4 the
     * third of row 0, pass 6 the others of row 0, pass 7 row 1. */
    blob file = signature_and_header(4, 2, 8, GREY);
    file.data[8 + 8 + 12] = 1;
    put_u32(file.data + 29, (uint32_t)crc32(0, file.data + 12, 17));
    blob rows = BYTES("\0\x0a"
                      "\0\x0c"
                      "\0\x0b\x0d"
                      "\0\x14\x15\x16\x17");
    const char *path = fixture_write("a.png", fixture_join(file, image_data(rows)));
    check_reads_as(path, (const uint8_t[]){10, 11, 12, 13, 20, 21, 22, 23}, 4, 2);
}

Test(image, other_files_are_no_pictures)
{
    const char *path = fixture_write("a.png", BYTES(""));
    check_refused(path, NN_ERR_DATA, "is empty");
    fixture_write("a.png", BYTES("\x89PNG"));
    check_refused(path, NN_ERR_DATA, "no PNG, JPEG, PGM or PPM");
    fixture_write("a.png", BYTES("<!doctype html><title>404</title>"));
    check_refused(path, NN_ERR_DATA, "no PNG, JPEG, PGM or PPM");
    fixture_write("a.png", BYTES("P4\n1 1\n\x80"));
    check_refused(path, NN_ERR_DATA, "no PNG, JPEG, PGM or PPM");
}

Test(image, every_cut_is_noticed)
{
    uint8_t pixels[28 * 28];
    blob whole = digit_picture(pixels);
    for (size_t n = 1; n < whole.n - 8; n++) {
        const char *path = fixture_write("cut.png", fixture_cut(whole, n));
        check_refused(path, NN_ERR_DATA, "damaged");
    }
}

Test(image, no_changed_byte_gives_other_pixels)
{
    uint8_t expected[28 * 28];
    blob whole = digit_picture(expected);
    size_t refused = 0;
    for (size_t k = 0; k < whole.n; k++) {
        blob changed = fixture_bytes(whole.data, whole.n);
        changed.data[k] ^= 0x10;
        const char *path = fixture_write("changed.png", changed);
        image found;
        nn_status status = image_read(&found, path);
        if (status == NN_OK) {
            cr_assert_eq(found.width * found.height * found.channels, 28 * 28);
            cr_assert_arr_eq(found.pixels, expected, sizeof expected);
            image_release(&found);
        } else {
            cr_assert_eq(status, NN_ERR_DATA, "byte %zu: %s", k, nn_error_text());
            refused++;
        }
    }
    cr_assert_geq(refused, whole.n - 12, "%zu of %zu", refused, whole.n);
}

Test(image, huge_pictures_are_refused_before_memory_is_asked_for)
{
    blob rows = BYTES("\0\0\0\0");
    const char *path = fixture_write("a.png", picture(100000, 100000, 8, GREY, rows));
    check_refused(path, NN_ERR_DATA, "too large");
    fixture_write("a.png", picture(10000, 5001, 8, GREY, rows));
    check_refused(path, NN_ERR_DATA, "10000 x 5001");
    fixture_write("a.png", picture(10000, 5000, 8, GREY, rows));
    check_refused(path, NN_ERR_DATA, "cannot hold");
}

/* Deflate makes no more than 1032 bytes of one (zlib's technical notes). */
Test(image, pixels_are_looked_for_if_the_file_can_hold_them)
{
    blob rows = BYTES("\0\0\0\0");
    uint32_t n = (uint32_t)picture(1032, 1, 8, GREY, rows).n;
    const char *path = fixture_write("a.png", picture(1032, n, 8, GREY, rows));
    check_refused(path, NN_ERR_DATA, "is a damaged PNG file: Not enough");
    fixture_write("a.png", picture(1032, n + 1, 8, GREY, rows));
    check_refused(path, NN_ERR_DATA, "cannot hold");
}

Test(image, chunks_longer_than_the_file_are_refused)
{
    static const char *const types[] = {"IDAT", "tEXt", "iCCP", "tRNS", "PLTE"};
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
        blob file = fixture_join(signature_and_header(28, 28, 8, GREY), BYTES("\x10\0\0\0"));
        file = fixture_join(file, fixture_join(fixture_bytes(types[k], 4), BYTES("0123456789")));
        check_refused(fixture_write("claim.png", file), NN_ERR_DATA, "damaged");
    }
}

Test(image, what_follows_the_end_of_a_picture_is_ignored)
{
    uint8_t pixels[28 * 28];
    blob file = fixture_join(digit_picture(pixels), BYTES("\xff\xff\xff\xfftEXt and so on"));
    check_reads_as(fixture_write("more.png", file), pixels, 28, 28);
}

Test(image, sides_of_0_are_damage)
{
    const char *path = fixture_write("a.png", picture(0, 1, 8, GREY, BYTES("\0")));
    check_refused(path, NN_ERR_DATA, "damaged");
}

Test(image, files_that_cannot_be_read_are_refused)
{
    check_refused(fixture_path("missing.png"), NN_ERR_IO, strerror(ENOENT));
    check_refused(fixture_path(""), NN_ERR_IO, "folder");
    check_refused("/dev/null", NN_ERR_IO, "device");
}

Test(image, fifo_is_refused_without_waiting)
{
    const char *path = fixture_path("fifo.png");
    cr_assert_eq(mkfifo(path, 0600), 0);
    check_refused(path, NN_ERR_IO, "FIFO");
}

Test(image, reading_without_memory_fails_cleanly)
{
    uint8_t pixels[28 * 28];
    const char *path = fixture_write("digit.png", digit_picture(pixels));
    image found;
    cr_assert_eq(image_read(&found, path), NN_OK);
    image_release(&found);
    unsigned long calls = fault_calls(FAULT_ALLOC);
    cr_assert_gt(calls, 4); /* the file, libpng's state, zlib's, the pixels */
    for (unsigned long n = 1; n <= calls; n++) {
        fault_clear();
        fault_at(FAULT_ALLOC, n, ENOMEM, true);
        check_refused(path, NN_ERR_MEMORY, "out of memory");
    }
    fault_clear();
}

Test(image, nothing_is_printed)
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

/* ---- JPEG --------------------------------------------------------------------------------- */

/* How a photograph is packed: in one scan, in the ten or so that libjpeg makes of it, or in a
 * number of scans. */
enum {
    BASELINE = 0,
    PROGRESSIVE = -1,
    MEANS = 1, /* of blocks, and nothing else: no photograph takes fewer bits */
    SCANS_MAX = 127
};

/* The mean of each block, then each frequency without its last bit, then the last bits. */
static const jpeg_scan_info *list_scans(void)
{
    static jpeg_scan_info scans[SCANS_MAX];
    for (int k = 0; k < SCANS_MAX; k++) {
        const int frequency = k > 63 ? k - 63 : k;
        scans[k] = (jpeg_scan_info){.comps_in_scan = 1,
                                    .Ss = frequency,
                                    .Se = frequency,
                                    .Ah = k > 63,
                                    .Al = k > 0 && k <= 63};
    }
    return scans;
}

/* Packs pixels [height][width][channels] as a JPEG of the best quality, with EXIF's orientation if
 * it is not 0. */
static blob jpeg(const uint8_t *pixels, int width, int height, int channels, int orientation,
                 int scans)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &n);
    c.image_width = (JDIMENSION)width;
    c.image_height = (JDIMENSION)height;
    c.input_components = channels;
    c.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 100, TRUE);
    c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = 1; /* colours in full */
    if (scans != BASELINE) {
        jpeg_simple_progression(&c);
    }
    if (scans > 0) {
        c.scan_info = list_scans();
        c.num_scans = scans;
    }
    jpeg_start_compress(&c, TRUE);
    if (orientation) {
        /* TIFF, big-endian: one entry, 0x0112 of type 3 (short), 1 value. */
        unsigned char exif[] =
            "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0";
        exif[6 + 8 + 2 + 9] = (unsigned char)orientation;
        jpeg_write_marker(&c, JPEG_APP0 + 1, exif, sizeof exif - 1);
    }
    for (int y = 0; y < height; y++) {
        JSAMPROW row = (JSAMPROW)pixels + y * width * channels;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    blob file = fixture_bytes(bytes, n);
    free(bytes);
    return file;
}

/* A smooth picture, which JPEG keeps nearly as it is. */
static void fill_smooth(uint8_t *pixels, int width, int height, int channels)
{
    for (int i = 0; i < width * height * channels; i++) {
        int x = i / channels % width, y = i / channels / width;
        pixels[i] = (uint8_t)(40 + 3 * x + 2 * y + 10 * (i % channels));
    }
}

static void check_nearly(const image *found, const uint8_t *expected)
{
    for (size_t i = 0; i < found->width * found->height * found->channels; i++) {
        cr_assert(abs(found->pixels[i] - expected[i]) <= 4, "%zu: %d, expected %d", i,
                  found->pixels[i], expected[i]);
    }
}

Test(image, photographs_are_read_in_grey_and_colour)
{
    uint8_t pixels[32 * 24 * 3];
    for (int channels = 1; channels <= 3; channels += 2) {
        for (int scans = PROGRESSIVE; scans <= BASELINE; scans++) {
            fill_smooth(pixels, 32, 24, channels);
            const char *path = fixture_write("a.jpg", jpeg(pixels, 32, 24, channels, 0, scans));
            image found;
            cr_assert_eq(image_read(&found, path), NN_OK, "%s", nn_error_text());
            cr_assert(found.width == 32 && found.height == 24);
            cr_assert_eq(found.channels, (size_t)channels);
            check_nearly(&found, pixels);
            image_release(&found);
        }
    }
}

Test(image, photographs_are_turned_upright)
{
    /* Where the pixel at the top left of the upright picture is stored, for orientations 1 to 8
     * (EXIF 2.3: row 0 and column 0 are top and left, top and right, bottom and right, ...). */
    static const struct {
        bool sideways, right, bottom;
    } corner[] = {{0, 0, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1},
                  {1, 0, 0}, {1, 0, 1}, {1, 1, 1}, {1, 1, 0}};
    uint8_t pixels[32 * 24];
    fill_smooth(pixels, 32, 24, 1);
    for (int k = 0; k < 8; k++) {
        const char *path = fixture_write("a.jpg", jpeg(pixels, 32, 24, 1, k + 1, BASELINE));
        image found;
        cr_assert_eq(image_read(&found, path), NN_OK, "%s", nn_error_text());
        cr_assert_eq(found.width, corner[k].sideways ? 24 : 32);
        int expected = pixels[(corner[k].bottom ? 23 : 0) * 32 + (corner[k].right ? 31 : 0)];
        int beside = corner[k].sideways ? (corner[k].bottom ? -2 : 2) : (corner[k].right ? -3 : 3);
        cr_assert(abs(found.pixels[0] - expected) <= 4, "%d", k + 1);
        cr_assert(abs(found.pixels[8] - expected - 8 * beside) <= 4, "%d", k + 1);
        image_release(&found);
    }
}

/* Puts segments (marker, length, data) in front of a photograph's own. */
static blob with_segments(blob photograph, blob segments)
{
    blob rest = fixture_bytes(photograph.data + 2, photograph.n - 2);
    return fixture_join(fixture_join(BYTES("\xff\xd8"), segments), rest);
}

static blob segment(unsigned char marker, blob data)
{
    const unsigned char head[] = {0xff, marker, (unsigned char)((data.n + 2) >> 8),
                                  (unsigned char)(data.n + 2)};
    return fixture_join(fixture_bytes(head, sizeof head), data);
}

/* EXIF 2.3, section 4.6: a TIFF file with a directory of entries of 12 bytes. */
Test(image, photographs_are_turned_by_sound_exif_only)
{
#define ENTRY "\1\x12\0\3\0\0\0\1\0\6\0\0"
#define OTHER "\1\x0f\0\3\0\0\0\1\0\3\0\0"
    const struct {
        blob exif;
        size_t width; /* 24 when turned */
    } files[] = {
        {BYTES("MM\0*\0\0\0\x08\0\1" ENTRY), 24},
        {BYTES("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 24},
        {BYTES("MM\0*\0\0\0\x08\0\2" OTHER ENTRY), 24},
        {BYTES("MM\0*\0\0\0\x0b...\0\1" ENTRY), 24},
        {BYTES("MM\0*\0\0\0\x08\0\xff" OTHER ENTRY), 24},
        {BYTES("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0"), 32}, /* ends early */
        {BYTES("MM\0*\0\0\0\x08\0\1" OTHER ENTRY), 32},
        {BYTES("MM\0*\0\0\0\x08\0\0" ENTRY), 32},
        {BYTES("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\0\0\0"), 32},
        {BYTES("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x09\0\0"), 32},
        {BYTES("MM\0*\0\0\0\xff\0\1" ENTRY), 32},
        {BYTES("MM\0*\xff\xff\xff\xff\0\1" ENTRY), 32},
        {BYTES("MM\0*\0\0\0\x0a\0\1"), 32},
        {BYTES("MM\0*\0\0\0\x09\0\1"), 32},
        {BYTES("MM\0+\0\0\0\x08\0\1" ENTRY), 32},
        {BYTES("IM*\0\0\0\0\x08\0\1" ENTRY), 32},
        {BYTES("MM\0*\0\0\0"), 32},
    };
    uint8_t pixels[32 * 24];
    fill_smooth(pixels, 32, 24, 1);
    blob upright = jpeg(pixels, 32, 24, 1, 0, BASELINE);
    blob before = segment(0xe1, BYTES("http://ns.adobe.com/xap/1.0/\0<x>"));
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        blob exif = segment(0xe1, fixture_join(BYTES("Exif\0\0"), files[k].exif));
        for (int both = 0; both < 2; both++) {
            blob file = with_segments(upright, both ? fixture_join(before, exif) : exif);
            image found;
            cr_assert_eq(image_read(&found, fixture_write("a.jpg", file)), NN_OK, "%s",
                         nn_error_text());
            cr_assert_eq(found.width, files[k].width, "%zu", k);
            if (found.width == 32) {
                check_nearly(&found, pixels);
            }
            image_release(&found);
        }
    }
}

/* What programs write that see it less strictly, and what loses nothing. */
Test(image, photographs_with_harmless_faults_are_read)
{
    uint8_t pixels[32 * 24 * 3];
    fill_smooth(pixels, 32, 24, 3);
    blob good = jpeg(pixels, 32, 24, 3, 0, BASELINE), version = fixture_bytes(good.data, good.n);
    cr_assert_arr_eq(version.data + 6, "JFIF\0\1", 6);
    version.data[11] = 3; /* of JFIF */
    blob plain = fixture_join(BYTES("\xff\xd8"), fixture_bytes(good.data + 20, good.n - 20));
    const blob files[] = {
        version, with_segments(good, fixture_join(segment(0xfe, BYTES("a comment")), BYTES(".."))),
        with_segments(plain, segment(0xee, BYTES("Adobe\0\x64\0\0\0\0\3"))), /* of 0, 1, 2 */
    };
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        image found;
        cr_assert_eq(image_read(&found, fixture_write("a.jpg", files[k])), NN_OK, "%zu: %s", k,
                     nn_error_text());
        check_nearly(&found, pixels);
        image_release(&found);
    }
}

Test(image, photographs_of_more_than_100_scans_are_refused)
{
    uint8_t pixels[32 * 24];
    fill_smooth(pixels, 32, 24, 1);
    image found;
    const char *path = fixture_write("a.jpg", jpeg(pixels, 32, 24, 1, 0, 100));
    cr_assert_eq(image_read(&found, path), NN_OK, "%s", nn_error_text());
    image_release(&found);
    fixture_write("a.jpg", jpeg(pixels, 32, 24, 1, 0, 101));
    check_refused(path, NN_ERR_DATA, "too many scans");
}

Test(image, photographs_for_printers_are_refused)
{
    uint8_t pixels[8 * 8 * 4] = {0};
    check_refused(fixture_write("a.jpg", jpeg(pixels, 8, 8, 4, 0, BASELINE)), NN_ERR_DATA,
                  "4 colours");
}

Test(image, every_cut_of_a_photograph_is_noticed)
{
    uint8_t pixels[32 * 24 * 3];
    fill_smooth(pixels, 32, 24, 3);
    for (int scans = PROGRESSIVE; scans <= BASELINE; scans++) {
        blob whole = jpeg(pixels, 32, 24, 3, 6, scans);
        for (size_t n = 1; n < whole.n - 3; n++) {
            check_refused(fixture_write("cut.jpg", fixture_cut(whole, n)), NN_ERR_DATA, "damaged");
        }
    }
}

Test(image, no_changed_byte_of_a_photograph_does_harm)
{
    uint8_t pixels[32 * 24 * 3];
    fill_smooth(pixels, 32, 24, 3);
    blob whole = jpeg(pixels, 32, 24, 3, 6, BASELINE);
    for (size_t k = 3; k < whole.n; k++) {
        blob changed = fixture_bytes(whole.data, whole.n);
        changed.data[k] ^= 0x55;
        image found;
        nn_status status = image_read(&found, fixture_write("changed.jpg", changed));
        cr_assert(status == NN_OK || status == NN_ERR_DATA, "%zu: %s", k, nn_error_text());
        if (status == NN_OK) {
            image_release(&found);
        }
    }
}

Test(image, photographs_without_memory_fail_cleanly)
{
    uint8_t pixels[32 * 24];
    fill_smooth(pixels, 32, 24, 1);
    const char *path = fixture_write("a.jpg", jpeg(pixels, 32, 24, 1, 6, BASELINE));
    for (unsigned long n = 1; n <= 3; n++) { /* the file, the pixels, those turned */
        fault_clear();
        fault_at(FAULT_ALLOC, n, ENOMEM, false);
        check_refused(path, NN_ERR_MEMORY, "out of memory");
    }
    fault_clear();
}

/* Finds the frame header (SOF0 to SOF2): the marker, its length and precision, height, width. */
static unsigned char *frame_header(blob photograph)
{
    size_t at = 2;
    while (photograph.data[at + 1] < 0xc0 || photograph.data[at + 1] > 0xc2) {
        at += 2 + ((size_t)photograph.data[at + 2] << 8 | photograph.data[at + 3]);
        cr_assert_lt(at + 9, photograph.n);
    }
    return photograph.data + at;
}

/* Changes the size that a photograph claims to have. */
static blob claim(blob photograph, unsigned width, unsigned height)
{
    unsigned char *frame = frame_header(photograph);
    frame[5] = (unsigned char)(height >> 8);
    frame[6] = (unsigned char)height;
    frame[7] = (unsigned char)(width >> 8);
    frame[8] = (unsigned char)width;
    return photograph;
}

/* A small photograph. */
static blob snapshot(int scans)
{
    uint8_t pixels[32 * 24 * 3];
    fill_smooth(pixels, 32, 24, 3);
    return jpeg(pixels, 32, 24, 3, 0, scans);
}

Test(image, photographs_hold_no_more_than_a_block_a_bit)
{
    static uint8_t pixels[2000 * 2000];
    memset(pixels, 255, sizeof pixels);
    blob white = jpeg(pixels, 2000, 2000, 1, 0, MEANS); /* 250 x 250 blocks, and just a bit each */
    cr_assert_lt(white.n, 250 * 250 / 8 + 400);
    const char *path = fixture_write("a.jpg", white);
    check_reads_as(path, pixels, 2000, 2000);
    unsigned most = (unsigned)(white.n * 8 + 7) / 250; /* rows of blocks */
    fixture_write("a.jpg", claim(white, 2000, 8 * most));
    check_refused(path, NN_ERR_DATA, "is a damaged JPEG file: Corrupt");
    fixture_write("a.jpg", claim(white, 2000, 8 * most + 1));
    check_refused(path, NN_ERR_DATA, "cannot hold");
}

Test(image, photographs_that_no_browser_reads_are_refused)
{
    blob photograph = snapshot(BASELINE);
    frame_header(photograph)[1] = 0xc9; /* SOF9: not Huffman's codes, but arithmetic coding */
    check_refused(fixture_write("a.jpg", photograph), NN_ERR_DATA, "arithmetic coding");
}

/* ---- PGM and PPM -------------------------------------------------------------------------- */

Test(image, netpbm_files_are_read_as_text_and_as_bytes)
{
    check_reads_as(fixture_write("a", BYTES("P2 # a comment\n2 2 255\n0 1 # two\n254\n255 \n")),
                   (const uint8_t[]){0, 1, 254, 255}, 2, 2);
    check_reads_as(fixture_write("a", BYTES("P5\n2 2\n255\n\x00\x01\xfe\xff")),
                   (const uint8_t[]){0, 1, 254, 255}, 2, 2);
    check_reads_as_colour(fixture_write("a", BYTES("P3 1 2 255 1 2 3 4 5 6")),
                          (const uint8_t[]){1, 2, 3, 4, 5, 6}, 1, 2, 3);
    check_reads_as_colour(fixture_write("a", BYTES("P6 1 2 255 \x01\x02\x03\x04\x05\x06")),
                          (const uint8_t[]){1, 2, 3, 4, 5, 6}, 1, 2, 3);
}

Test(image, netpbm_headers_have_blanks_of_all_kinds)
{
    check_reads_as(fixture_write("a", BYTES("P5\t1\v1\f255\rx")), (const uint8_t[]){'x'}, 1, 1);
    check_reads_as(fixture_write("a", BYTES("P5#\r1# 2\n#3\n\n1 255\n#")), (const uint8_t[]){'#'},
                   1, 1);
    check_reads_as(fixture_write("a", BYTES("P2 2 1 9 0#1\r9#")), (const uint8_t[]){0, 255}, 2, 1);
}

Test(image, netpbm_values_are_scaled_to_255)
{
    check_reads_as(fixture_write("a", BYTES("P5 2 1 256 \1\0\0\x80")), (const uint8_t[]){255, 128},
                   2, 1);
    check_reads_as(fixture_write("a", BYTES("P5 1 1 1 \1")), (const uint8_t[]){255}, 1, 1);
    check_reads_as(fixture_write("a", BYTES("P2 3 1 2 0 1 2")), (const uint8_t[]){0, 128, 255}, 3,
                   1);
    check_reads_as(fixture_write("a", BYTES("P5 3 1 65535 \0\0\x80\x80\xff\xff")),
                   (const uint8_t[]){0, 128, 255}, 3, 1);
}

Test(image, damaged_netpbm_files_are_refused)
{
    static const struct {
        const char *text, *why;
    } files[] = {
        {"P5", "three numbers"},
        {"P5 2", "three numbers"},
        {"P5 2 2 ", "three numbers"},
        {"P5 2 2 0 ", "three numbers"},
        {"P5 2 2 65536 ", "three numbers"},
        {"P5 -2 2 255 ", "three numbers"},
        {"P5 2 2 255", "no blank"},
        {"P5 2 2 255 abc", "ends early"},
        {"P5 2 2 255 abcde", "goes on"},
        {"P5 0 2 255 ", "0 x 2"},
        {"P5 2 2 99 abcd", "too large"},
        {"P2 2 1 9 1 10", "too large"},
        {"P2 2 1 9 1 x", "too large"},
        {"P2 2 1 9 1 2 3", "goes on"},
        {"P2 2 1 9 1", "ends early"},
        {"P6 100000 100000 255 abc", "too large"},
        {"P5 50000000 1 255 abc", "ends early"},
        {"P5 50000001 1 255 abc", "too large"},
        {"P5 1 50000000 255 abc", "ends early"},
        {"P5 1 50000001 255 abc", "too large"},
        {"P5 4294967295 1 255 abc", "too large"},
        {"P5 4294967296 1 255 abc", "three numbers"},
        {"P5 1 4294967296 255 abc", "three numbers"},
        {"P5 1 1 255\x0e.", "no blank"},
        {"P5 1 1 255\x08.", "no blank"},
        {"P5 1\x1f 1 255 .", "three numbers"},
        {"P5 1 1 1 \2", "too large"},
        {"P5 1 1 256 \1\1", "too large"},
        {"P5 1 1 256 a", "ends early"},
        {"P5 99999999999999999999 1 255 ", "three numbers"},
    };
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        const char *path = fixture_write("a", fixture_bytes(files[k].text, strlen(files[k].text)));
        check_refused(path, NN_ERR_DATA, files[k].why);
    }
}

/* ---- memory ------------------------------------------------------------------------------- */

extern size_t __sanitizer_get_allocated_size(const volatile void *memory) __attribute__((weak));

static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert(file && fscanf(file, "%lu", &pages) == 1);
    (void)fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Whoever takes memory in proportion to what these claim runs out of it. The door would not do
 * here: libjpeg does not come through it. */
Test(image, refusing_takes_no_more_memory_than_the_file_is_worth)
{
    const struct {
        blob file;
        const char *why;
    } files[] = {
        {claim(snapshot(BASELINE), 65500, 65500), "too large"},
        {claim(snapshot(PROGRESSIVE), 65500, 65500), "too large"},
        {claim(snapshot(BASELINE), 7000, 7000), "cannot hold"},
        {claim(snapshot(PROGRESSIVE), 7000, 7000), "cannot hold"},
        {picture(10000, 5000, 8, GREY, BYTES("\0\0")), "cannot hold"},
        {fixture_join(BYTES("\x89PNG\r\n\x1a\n"), BYTES("\x7f\xff\xff\xffIHDR")), "damaged"},
        {BYTES("P5 7000 7000 255 abc"), "ends early"},
        {BYTES("P6 4000000000 4000000000 65535 abc"), "too large"},
        {BYTES("P2 7000 7000 255 0 1 2"), "ends early"},
        {BYTES("P3 7000 7000 255 0 1 2"), "ends early"},
    };
    struct rlimit usual, tight;
    if (__sanitizer_get_allocated_size) {
        cr_skip("a sanitizer has its own memory; tests/fuzz/fuzz_picture.c counts it");
    }
    cr_assert_eq(getrlimit(RLIMIT_AS, &usual), 0);
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        const char *path = fixture_write("a", files[k].file);
        tight = (struct rlimit){address_space() + (8 << 20), usual.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_AS, &tight), 0);
        check_refused(path, NN_ERR_DATA, files[k].why);
        cr_assert_eq(setrlimit(RLIMIT_AS, &usual), 0);
    }
}
