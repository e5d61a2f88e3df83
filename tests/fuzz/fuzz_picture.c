/* Promise: a PNG, JPEG, PGM or PPM file is read as a picture, or refused with a reason, in memory
 * in proportion to the file. What was read is written as a PNG picture that reads the same and is
 * written as the very same bytes, and digits in it are found and prepared. */
#include "check_prepared.h"
#include "fuzz.h"
#include "inputs.h"
#include "picture/image.h"
#include "png.h"

#include <string.h>

enum {
    BUFFERS = 1 << 20,              /* bytes of memory that do not depend on the file */
    SIGNATURE_MIN = 2,              /* bytes by which the kinds can be told apart */
    PNG_EXPANSION = 1032 * 8 * 8,   /* deflate makes 1032 bytes of one, each with eight pixels of
                                       four bytes, which libpng may hold a second time */
    JPEG_EXPANSION = 8 * 64 * 3 * 8 /* a bit is a block of 64 pixels of three bytes, and those may
                                       be there as coefficients, and turned */
};

/* ---- what is checked ---------------------------------------------------------------------- */

static void write_picture(const char *path, const image *picture)
{
    require((picture->channels == 1 ? png_write_gray : png_write_rgb)(
                path, picture->pixels, picture->width, picture->height) == NN_OK);
}

static void check_writes_the_same(const image *picture)
{
    image again;
    size_t n, n_again;
    write_picture(fuzz_path("first.png"), picture);
    require(image_read(&again, fuzz_path("first.png")) == NN_OK);
    require(again.width == picture->width && again.height == picture->height);
    require(again.channels == picture->channels);
    const size_t size = again.width * again.height * again.channels;
    fuzz_written(again.pixels, size);
    require(memcmp(picture->pixels, again.pixels, size) == 0);
    write_picture(fuzz_path("second.png"), &again);
    uint8_t *first = fuzz_read("first.png", &n), *second = fuzz_read("second.png", &n_again);
    require(n == n_again && memcmp(first, second, n) == 0);
    free(first);
    free(second);
    image_release(&again);
}

/* So many bytes of memory may be taken for each of a file. */
static size_t expansion(const uint8_t *data, size_t n)
{
    if (n < SIGNATURE_MIN || data[0] == 'P') {
        return 2; /* the file itself, and a pixel for each byte */
    }
    return data[0] == 0xff ? JPEG_EXPANSION : PNG_EXPANSION;
}

static void check_picture(const image *picture)
{
    const size_t n = picture->width * picture->height;
    require(picture->pixels && picture->width > 0 && picture->height > 0);
    require(picture->channels == 1 || picture->channels == 3);
    require(picture->width <= IMAGE_MAX_PIXELS / picture->height);
    fuzz_written(picture->pixels, n * picture->channels);
    if (n <= 1 << 16) {
        check_writes_the_same(picture);
    }
    if (n <= 1 << 12) {
        check_prepared(picture);
    }
}

void fuzz_one(const uint8_t *data, size_t n)
{
    image picture = {0};
    if (fuzz_must_see_writing() && n > 0 && data[0] == 0xff) {
        return; /* libjpeg hands out memory that it has written */
    }
    const char *path = fuzz_write("picture", data, n);
    fuzz_memory_begin();
    const nn_status status = image_read(&picture, path);
    require(fuzz_memory_peak() <= BUFFERS + expansion(data, n) * n);
    require(status == NN_OK || status == NN_ERR_DATA);
    if (status == NN_OK) {
        check_picture(&picture);
        image_release(&picture);
    } else {
        require(*nn_error_text() && !picture.pixels && picture.width == 0);
    }
}

/* ---- inputs ------------------------------------------------------------------------------- */

void fuzz_seeds(fuzz_seed *seed)
{
    static const char *const pnm[] = {
        "P5 3 2 255\nabcdef",        "P5\n# comment\n2 2\n65535\nabcdefgh",
        "P6 1 2 255\nabcdef",        "P2 2 2 15\n0 1\n2 15\n",
        "P3 1 1 255 1 2 3 ",         "P5 99999 99999 255\n",
        "P2 1 1 65535 # a\n 65535 ", "P5 1 1 0\na",
    };
    for (size_t k = 0; k < sizeof pnm / sizeof pnm[0]; k++) {
        seed(pnm[k], strlen(pnm[k]));
    }
    png_seeds(seed);
    if (!fuzz_must_see_writing()) {
        jpeg_seeds(seed);
    }
    seed("", 0);
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    if (n < SIGNATURE_MIN || data[0] == 'P') {
        return LLVMFuzzerMutate(data, n, max);
    }
    return (data[0] == 0xff ? jpeg_mutate : png_mutate)(data, n, max, random);
}
