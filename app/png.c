/* PNG pictures: stb_image_write makes them, zlib packs them, nn_writer puts them on the disk. */
#include "png.h"

#include "deflate.h"

#include <limits.h>
#include <string.h>

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

/* Packs size bytes into a zlib stream, for picture_free; NULL if there is no memory. */
static unsigned char *zlib_pack(unsigned char *bytes, int size, int *packed_size, int level)
{
    size_t n = 0;
    packed = deflate_bytes(&n, bytes, (size_t)size, level);
    *packed_size = (int)n; /* png_write lets pass what has half as many bytes as an int counts */
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
