/* PNG pictures, through libpng. Its memory comes through the one door; its errors are jumps, which
 * stay within read_safely. */
#include "image_format.h"

#include <libpng16/png.h> /* with its folder: "png.h" is ours */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* Deflate makes at most 1032 bytes of one (zlib's technical notes). */
#define BYTES_PER_BYTE_MAX ((uintmax_t)1032)

/* Everything that changes between a jump's start and its end is in here. */
typedef struct {
    const image_file *file;
    size_t at; /* bytes of it taken */
    png_structp png;
    png_infop info;
    image made;       /* with 1 to 4 channels: grey or colour, with or without alpha */
    nn_status status; /* why reading failed, if it is known better than `why` tells */
    bool no_memory;
    char why[128];
} reader;

static png_voidp take_memory(png_structp png, png_alloc_size_t size)
{
    reader *r = png_get_mem_ptr(png);
    void *memory = nn_alloc(size);
    r->no_memory = r->no_memory || !memory;
    return memory;
}

static void give_memory(png_structp png, png_voidp memory)
{
    (void)png;
    nn_free(memory);
}

static void on_error(png_structp png, png_const_charp why)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->why, sizeof r->why, "%s", why);
    png_longjmp(png, 1);
}

/* What libpng can live with, so can we. */
static void on_warning(png_structp png, png_const_charp why)
{
    (void)png;
    (void)why;
}

static void take_bytes(png_structp png, png_bytep to, size_t n)
{
    reader *r = png_get_io_ptr(png);
    if (n > r->file->n - r->at) {
        png_error(png, "it ends early");
    }
    memcpy(to, r->file->bytes + r->at, n);
    r->at += n;
}

/* Checks that a picture of the header's size could be packed into this file. */
static nn_status check_header(const reader *r)
{
    uintmax_t width = png_get_image_width(r->png, r->info);
    uintmax_t height = png_get_image_height(r->png, r->info);
    nn_status status = image_check_size(r->file, width, height);
    uintmax_t bits = (uintmax_t)png_get_bit_depth(r->png, r->info) *
                     png_get_channels(r->png, r->info) * width * height;
    if (status == NN_OK && bits / 8 / BYTES_PER_BYTE_MAX > r->file->n) {
        return nn_fail(NN_ERR_DATA, "'%s' is a damaged PNG file: %zu bytes cannot hold %ju pixels",
                       r->file->path, r->file->n, width * height);
    }
    return status;
}

/* Reads all rows as 8 bits a channel, palettes and transparent colours resolved. */
static bool read_rows(reader *r)
{
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->made.width = png_get_image_width(r->png, r->info);
    r->made.height = png_get_image_height(r->png, r->info);
    r->made.channels = png_get_channels(r->png, r->info);
    r->made.pixels = nn_alloc_array(r->made.height, r->made.width * r->made.channels);
    if (!r->made.pixels) {
        r->no_memory = true;
        return false;
    }
    for (int pass = 0; pass < passes; pass++) {
        for (size_t y = 0; y < r->made.height; y++) {
            png_read_row(r->png, r->made.pixels + y * r->made.width * r->made.channels, NULL);
        }
    }
    png_read_end(r->png, NULL);
    return true;
}

/* Whether no chunk up to the last claims more bytes than the file has: libpng takes memory for a
 * chunk first, 2 GiB if it is told so, and reads it then. (png_set_chunk_malloc_max only warns
 * where errors are benign.) */
static bool chunks_fit(const uint8_t *bytes, size_t n)
{
    const size_t field = 4; /* bytes of a chunk's length, type and CRC each */
    for (size_t at = 8; at <= n && n - at >= 2 * field;) {
        const uint8_t *head = bytes + at;
        const size_t length = png_get_uint_32(head), left = n - at - 2 * field;
        if (memcmp(head + field, "IEND", field) == 0) {
            break;
        }
        if (left < field || length > left - field) {
            return false;
        }
        at += 3 * field + length;
    }
    return true;
}

static bool read_safely(reader *r)
{
    if (setjmp(png_jmpbuf(r->png))) {
        return false;
    }
    png_set_read_fn(r->png, r, take_bytes);
    png_set_benign_errors(r->png, 1);
    if (!chunks_fit(r->file->bytes, r->file->n)) {
        png_error(r->png, "it ends early");
    }
    png_read_info(r->png, r->info);
    r->status = check_header(r);
    return r->status == NN_OK && read_rows(r);
}

/* Lays a picture with alpha on white, in place: fewer channels are left. */
static void lay_on_white(image *picture)
{
    size_t channels = picture->channels, colours = channels - 1;
    for (size_t i = 0; i < picture->width * picture->height; i++) {
        unsigned opaque = picture->pixels[i * channels + colours];
        for (size_t c = 0; c < colours; c++) {
            unsigned sum = picture->pixels[i * channels + c] * opaque + 255 * (255 - opaque);
            picture->pixels[i * colours + c] = (uint8_t)((2 * sum + 255) / 510);
        }
    }
    picture->channels = colours;
}

nn_status image_read_png(image *out, const image_file *file)
{
    reader r = {.file = file};
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning, &r,
                                     take_memory, give_memory);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    r.no_memory = !r.info;
    bool read = r.info && read_safely(&r);
    png_destroy_read_struct(r.png ? &r.png : NULL, r.info ? &r.info : NULL, NULL);
    if (read) {
        if (r.made.channels % 2 == 0) {
            lay_on_white(&r.made);
        }
        *out = r.made;
        return NN_OK;
    }
    image_release(&r.made);
    if (r.status != NN_OK) {
        return r.status;
    }
    return r.no_memory ? image_no_memory(file) : image_damaged(file, "PNG", r.why);
}
