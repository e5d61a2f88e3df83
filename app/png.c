/* PNG pictures: stb_image_write makes them, zlib packs them, nn_writer puts them on the disk;
 * libpng reads them. */
#include "png.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include <libpng16/png.h> /* with its folder: "png.h" is ours */

/* ---- writing ------------------------------------------------------------------------------ */

/* The packed bytes on their way through stb_image_write, which loses them when it finds no memory
 * for the finished file; png_write gives them back then. */
static _Thread_local unsigned char *packed;

static void picture_free(void *memory)
{
    if (memory == packed) {
        packed = NULL;
    }
    nn_free(memory);
}

static voidpf zlib_alloc(voidpf opaque, uInt count, uInt size)
{
    (void)opaque;
    return nn_alloc_array(count, size);
}

static void zlib_free(voidpf opaque, voidpf memory)
{
    (void)opaque;
    nn_free(memory);
}

/* Packs size bytes into a zlib stream, for picture_free; NULL if there is no memory or the stream
 * is too long for the int that stb_image_write counts with. */
static unsigned char *zlib_pack(unsigned char *bytes, int size, int *packed_size, int level)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (deflateInit(&stream, level) != Z_OK) {
        return NULL;
    }
    uLong bound = deflateBound(&stream, (uLong)size);
    packed = bound <= INT_MAX - 64 ? nn_alloc(bound) : NULL;
    if (packed != NULL) {
        stream.next_in = bytes;
        stream.avail_in = (uInt)size;
        stream.next_out = packed;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {
            picture_free(packed);
        }
        *packed_size = (int)stream.total_out;
    }
    deflateEnd(&stream);
    return packed;
}

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#define STBIW_ZLIB_COMPRESS zlib_pack
#define STBIW_MALLOC(size) nn_alloc((size_t)(size))
#define STBIW_FREE(memory) picture_free(memory)
/* Only its own compressor, which zlib stands in for, lets blocks grow. */
#define STBIW_REALLOC_SIZED(memory, old_size, size) NULL

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function" /* GCC judges at the end of the file */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wdouble-promotion"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wunused-variable"
#endif
#if defined(__clang__) /* it turns bytes into signed characters, and means it */
#pragma clang attribute push(__attribute__((no_sanitize("implicit-conversion"))),                  \
                             apply_to = function)
#endif
#include <stb/stb_image_write.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* Takes the finished file. The writer keeps a failure and returns it from nn_writer_commit. */
static void writer_take(void *context, void *bytes, int size)
{
    (void)nn_writer_write(context, bytes, (size_t)size);
}

static nn_status png_write(const char *path, const uint8_t *pixels, size_t width, size_t height,
                           size_t channels)
{
    if (width == 0 || height == 0 || width > (INT_MAX / 2 - 1) / channels ||
        height > (size_t)INT_MAX / 2 / (width * channels + 1)) {
        return nn_fail(NN_ERR_ARGUMENT, "cannot write '%s': no PNG of %zu x %zu pixels", path,
                       width, height);
    }
    nn_writer *writer = NULL;
    nn_status status = nn_writer_open(&writer, path);
    if (status != NN_OK) {
        return status;
    }
    int made = stbi_write_png_to_func(writer_take, writer, (int)width, (int)height, (int)channels,
                                      pixels, (int)(width * channels));
    picture_free(packed);
    if (!made) {
        nn_writer_abandon(writer);
        return nn_fail(NN_ERR_MEMORY, "cannot write '%s': out of memory", path);
    }
    return nn_writer_commit(writer);
}

nn_status png_write_gray(const char *path, const uint8_t *pixels, size_t width, size_t height)
{
    return png_write(path, pixels, width, height, 1);
}

nn_status png_write_rgb(const char *path, const uint8_t *pixels, size_t width, size_t height)
{
    return png_write(path, pixels, width, height, 3);
}

/* ---- reading ------------------------------------------------------------------------------ */

#define SIGNATURE_SIZE 8

/* Deflate makes at most 1032 bytes of one (zlib's technical notes), and one pixel takes a bit. */
#define PIXELS_PER_BYTE_MAX ((uintmax_t)1032 * 8)

/* A file in memory. */
typedef struct {
    const char *path;
    uint8_t *bytes;
    size_t n;
} content;

static nn_status signature_check(const content *file)
{
    if (file->n < SIGNATURE_SIZE || png_sig_cmp(file->bytes, 0, SIGNATURE_SIZE) != 0) {
        return nn_fail(NN_ERR_DATA, "'%s' is not a PNG file", file->path);
    }
    return NN_OK;
}

/* Checks that no chunk up to the last claims more bytes than the file has: libpng takes memory for
 * a chunk first, 2 GiB if it is told so, and reads it then. Damage of other kinds is left to it. */
static nn_status chunks_check(const content *file)
{
    enum {
        FIELD = 4 /* bytes of a chunk's length, type and CRC each */
    };
    for (size_t at = SIGNATURE_SIZE; file->n - at >= 2 * FIELD;) {
        const uint8_t *head = file->bytes + at;
        size_t length = png_get_uint_32(head), left = file->n - at - 2 * FIELD;
        if (memcmp(head + FIELD, "IEND", FIELD) == 0) {
            break;
        }
        if (left < FIELD || length > left - FIELD) {
            return nn_fail(NN_ERR_DATA,
                           "'%s' is a damaged PNG file: its chunk '%.4s' claims %zu bytes, more "
                           "than the file has",
                           file->path, (const char *)head + FIELD, length);
        }
        at += 2 * FIELD + length + FIELD;
    }
    return NN_OK;
}

/* Tells what libpng's message means: it has no codes, and runs out of memory in two spellings. */
static nn_status libpng_fail(const png_image *image, const char *path)
{
    if (strstr(image->message, "memory") != NULL) {
        return nn_fail(NN_ERR_MEMORY, "cannot read '%s': out of memory", path);
    }
    return nn_fail(NN_ERR_DATA, "'%s' is a damaged PNG file: %s", path, image->message);
}

/* Refuses what a digit cannot be, before anything is allocated for its pixels. */
static nn_status header_check(const png_image *image, size_t file_size, const char *path)
{
    uintmax_t pixels = (uintmax_t)image->width * image->height;
    if (pixels > PNG_MAX_PIXELS) {
        return nn_fail(NN_ERR_DATA, "'%s' is too large: %lu x %lu pixels, expected at most %zu",
                       path, (unsigned long)image->width, (unsigned long)image->height,
                       PNG_MAX_PIXELS);
    }
    if (pixels / PIXELS_PER_BYTE_MAX > file_size) {
        return nn_fail(NN_ERR_DATA, "'%s' is a damaged PNG file: %zu bytes cannot hold %ju pixels",
                       path, file_size, pixels);
    }
    if (image->format & PNG_FORMAT_FLAG_COLOR) {
        return nn_fail(NN_ERR_DATA, "'%s' is in colour, expected a grey picture", path);
    }
    if (image->format & PNG_FORMAT_FLAG_ALPHA) {
        return nn_fail(NN_ERR_DATA, "'%s' has transparency, expected a plain grey picture", path);
    }
    return NN_OK;
}

/* Decodes a file that looks like a picture. */
static nn_status decode(uint8_t **pixels, png_image *image, const content *file)
{
    if (!png_image_begin_read_from_memory(image, file->bytes, file->n)) {
        return libpng_fail(image, file->path);
    }
    nn_status status = header_check(image, file->n, file->path);
    if (status != NN_OK) {
        return status;
    }
    image->format = PNG_FORMAT_GRAY;
    image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB; /* 16-bit greys are encoded as 8-bit ones are */
    uint8_t *bytes = nn_alloc_array(image->height, image->width);
    if (bytes == NULL) {
        return nn_fail(NN_ERR_MEMORY, "cannot read '%s': out of memory", file->path);
    }
    if (!png_image_finish_read(image, NULL, bytes, 0, NULL)) {
        nn_free(bytes);
        return libpng_fail(image, file->path);
    }
    *pixels = bytes;
    return NN_OK;
}

nn_status png_read_gray(uint8_t **pixels, size_t *width, size_t *height, const char *path)
{
    content file = {.path = path};
    png_image image = {.version = PNG_IMAGE_VERSION};
    nn_status status = nn_file_load(&file.bytes, &file.n, PNG_MAX_FILE, path);
    if (status == NN_OK) {
        status = signature_check(&file);
    }
    if (status == NN_OK) {
        status = chunks_check(&file);
    }
    if (status == NN_OK) {
        status = decode(pixels, &image, &file);
    }
    if (status == NN_OK) {
        *width = image.width;
        *height = image.height;
    }
    png_image_free(&image);
    nn_free(file.bytes);
    return status;
}
