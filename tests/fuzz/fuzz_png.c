/* Promise: a PNG, PGM or PPM file is read as a picture, or refused with a reason; what was read is
 * written as a picture that reads the same and is written as the very same bytes; and refusing
 * takes memory in proportion to the file. */
#include "fuzz.h"
#include "picture/image.h"
#include "png.h"

#include <string.h>
#include <zlib.h>

enum {
    BUFFERS = 1 << 20,        /* bytes of memory that do not depend on the file */
    EXPANSION = 1032 * 8 * 8, /* deflate makes 1032 bytes of one, each with eight pixels of four
                                 bytes, which libpng may hold a second time */
    SIGNATURE = 8,
    CHUNK = 12 /* length, type and CRC-32 of a chunk */
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

void fuzz_one(const uint8_t *data, size_t n)
{
    image picture = {0};
    const char *path = fuzz_write("picture.png", data, n);
    fuzz_memory_begin();
    const nn_status status = image_read(&picture, path);
    require(fuzz_memory_peak() <= BUFFERS + EXPANSION * n);
    require(status == NN_OK || status == NN_ERR_DATA);
    if (status != NN_OK) {
        require(*nn_error_text() && !picture.pixels && picture.width == 0);
        return;
    }
    require(picture.pixels && picture.width > 0 && picture.height > 0);
    require(picture.channels == 1 || picture.channels == 3);
    require(picture.width <= IMAGE_MAX_PIXELS / picture.height);
    fuzz_written(picture.pixels, picture.width * picture.height * picture.channels);
    if (picture.width * picture.height <= 1 << 16) {
        check_writes_the_same(&picture);
    }
    image_release(&picture);
}

/* ---- inputs ------------------------------------------------------------------------------- */

/* Appends a chunk to file[at] and returns the length of the file then. */
static size_t append_chunk(uint8_t *file, size_t at, const char *type, const uint8_t *data,
                           size_t n)
{
    fuzz_put_u32(file + at, (uint32_t)n);
    memcpy(file + at + 4, type, 4);
    memcpy(file + at + 8, data, n);
    fuzz_put_u32(file + at + 8 + n, (uint32_t)crc32(0, file + at + 4, (uInt)n + 4));
    return at + CHUNK + n;
}

typedef struct {
    uint8_t depth, colour, interlaced;
    const char *extra; /* the type of a chunk before the pixels, or NULL */
} kind;

/* A picture of 5 x 5 pixels: enough for all seven passes of an interlaced one. */
static void seed_kind(fuzz_seed *seed, const kind *k)
{
    static const uint8_t signature[SIGNATURE] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    const uint8_t header[13] = {0, 0, 0, 5, 0, 0, 0, 5, k->depth, k->colour, 0, 0, k->interlaced};
    const uint8_t extra[16] = {0, 1, 0x86, 0xa0, 0, 0, 0xff, 0xff};
    uint8_t rows[512], packed[600], file[1024];
    uLongf packed_size = sizeof packed;
    for (size_t i = 0; i < sizeof rows; i++) {
        rows[i] = 0; /* filter 0, black */
    }
    require(compress(packed, &packed_size, rows, sizeof rows) == Z_OK);
    fuzz_written(packed, packed_size);
    memcpy(file, signature, SIGNATURE);
    size_t n = append_chunk(file, SIGNATURE, "IHDR", header, sizeof header);
    if (k->extra) {
        n = append_chunk(file, n, k->extra, extra, strcmp(k->extra, "gAMA") == 0 ? 4 : 6);
    }
    n = append_chunk(file, n, "IDAT", packed, packed_size);
    n = append_chunk(file, n, "IEND", packed, 0);
    seed(file, n);
}

void fuzz_seeds(fuzz_seed *seed)
{
    static const kind kinds[] = {
        {1, 0, 0, NULL},    {2, 0, 0, NULL},    {4, 0, 1, NULL},   {8, 0, 0, NULL},
        {8, 0, 1, NULL},    {16, 0, 0, NULL},   {16, 0, 1, NULL},  {8, 0, 0, "tRNS"},
        {8, 0, 0, "gAMA"},  {16, 0, 0, "gAMA"}, {8, 0, 0, "bKGD"}, {8, 2, 0, NULL},
        {8, 3, 0, "PLTE"},  {8, 4, 0, NULL},    {8, 6, 1, NULL},   {16, 6, 0, NULL},
        {16, 0, 0, "tRNS"}, {8, 0, 0, "sBIT"},  {8, 0, 0, "tEXt"}, {8, 0, 0, "iCCP"},
    };
    uint8_t pixels[28 * 28];
    size_t n;
    for (size_t k = 0; k < sizeof pixels; k++) {
        pixels[k] = (uint8_t)(k * k);
    }
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        seed_kind(seed, &kinds[k]);
    }
    require(png_write_gray(fuzz_path("seed.png"), pixels, 28, 28) == NN_OK);
    uint8_t *data = fuzz_read("seed.png", &n);
    seed(data, n);
    free(data);
    static const char *const pnm[] = {
        "P5 3 2 255\nabcdef",        "P5\n# comment\n2 2\n65535\nabcdefgh",
        "P6 1 2 255\nabcdef",        "P2 2 2 15\n0 1\n2 15\n",
        "P3 1 1 255 1 2 3 ",         "P5 99999 99999 255\n",
        "P2 1 1 65535 # a\n 65535 ", "P5 1 1 0\na",
    };
    for (size_t k = 0; k < sizeof pnm / sizeof pnm[0]; k++) {
        seed(pnm[k], strlen(pnm[k]));
    }
    seed("\x89PNG\r\n\x1a\n", SIGNATURE);
    seed("", 0);
}

/* Gives each chunk of a file its right CRC-32. */
static void mend_crcs(uint8_t *data, size_t n)
{
    for (size_t at = SIGNATURE; at + CHUNK <= n;) {
        const size_t length = fuzz_get_u32(data + at);
        if (length > n - at - CHUNK) {
            break;
        }
        fuzz_put_u32(data + at + 8 + length, (uint32_t)crc32(0, data + at + 4, (uInt)length + 4));
        at += CHUNK + length;
    }
}

/* Changes what is packed in the chunk at data[at], of n bytes, which is at the end of the file's
 * pixels; returns the chunk's new length, or 0 if it holds nothing packed or there is no room. */
static size_t mutate_pixels(uint8_t *chunk, size_t n, size_t max)
{
    static uint8_t plain[1 << 16];
    uLongf size = sizeof plain, packed_size = max > CHUNK ? max - CHUNK : 0;
    if (uncompress(plain, &size, chunk + 8, n - CHUNK) != Z_OK) {
        return 0;
    }
    fuzz_written(plain, size);
    size = LLVMFuzzerMutate(plain, size, sizeof plain);
    uint8_t *packed = malloc(compressBound(size));
    require(packed);
    uLongf bound = compressBound(size);
    require(compress2(packed, &bound, plain, size, 1) == Z_OK);
    fuzz_written(packed, bound);
    const bool fits = bound <= packed_size;
    if (fits) {
        fuzz_put_u32(chunk, (uint32_t)bound);
        memcpy(chunk + 8, packed, bound);
    }
    free(packed);
    return fits ? CHUNK + bound : 0;
}

/* Changes what the first IDAT chunk holds and moves what follows; returns the new length. */
static size_t mutate_picture(uint8_t *data, size_t n, size_t max)
{
    for (size_t at = SIGNATURE; at + CHUNK <= n;) {
        const size_t size = CHUNK + (size_t)fuzz_get_u32(data + at);
        if (size > n - at) {
            break;
        }
        if (memcmp(data + at + 4, "IDAT", 4) == 0) {
            const size_t rest = n - at - size;
            uint8_t *copy = malloc(rest + 1);
            require(copy);
            memcpy(copy, data + at + size, rest);
            const size_t changed = mutate_pixels(data + at, size, max - at - rest);
            memcpy(data + at + (changed > 0 ? changed : size), copy, rest);
            free(copy);
            return changed > 0 ? at + changed + rest : n;
        }
        at += size;
    }
    return n;
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    const bool png = n > SIGNATURE && data[0] == 0x89;
    n = png && random % 4 == 0 ? mutate_picture(data, n, max) : LLVMFuzzerMutate(data, n, max);
    if (png && random % 16 != 15) {
        mend_crcs(data, n);
    }
    return n;
}
