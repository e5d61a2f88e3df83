/* PGM and PPM pictures (netpbm), as text or as bytes: P2, P3, P5, P6. */
#include "image_format.h"

#include <string.h>

typedef struct {
    const image_file *file;
    size_t at;
    unsigned long most; /* the value of white, 1 to 65535 */
    bool text;
} reader;

static nn_status damaged(const reader *r, const char *why)
{
    return image_damaged(r->file, "PGM or PPM", why);
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Passes over blanks, and comments from # to the line's end. */
static void skip_blanks(reader *r)
{
    bool comment = false;
    for (; r->at < r->file->n; r->at++) {
        uint8_t byte = r->file->bytes[r->at];
        comment = comment ? byte != '\n' && byte != '\r' : byte == '#';
        if (!comment && !is_blank(byte)) {
            return;
        }
    }
}

/* Reads a decimal number that is at most `limit`. */
static bool read_number(reader *r, unsigned long *out, unsigned long limit)
{
    unsigned long value = 0;
    skip_blanks(r);
    size_t start = r->at;
    for (; r->at < r->file->n; r->at++) {
        uint8_t byte = r->file->bytes[r->at];
        if (byte < '0' || byte > '9') {
            break;
        }
        value = value * 10 + (byte - '0');
        if (value > limit) {
            return false;
        }
    }
    *out = value;
    return r->at > start;
}

/* Reads what stands before the pixels. */
static nn_status read_header(reader *r, image *made)
{
    unsigned long width, height;
    r->text = r->file->bytes[1] <= '3';
    made->channels = r->file->bytes[1] % 3 == '3' % 3 ? 3 : 1;
    r->at = 2;
    if (!read_number(r, &width, UINT32_MAX) || !read_number(r, &height, UINT32_MAX) ||
        !read_number(r, &r->most, UINT16_MAX) || r->most == 0) {
        return damaged(r, "its header is not three numbers");
    }
    if (r->at == r->file->n || !is_blank(r->file->bytes[r->at])) {
        return damaged(r, "no blank stands between header and pixels");
    }
    r->at++;
    made->width = width;
    made->height = height;
    return image_check_size(r->file, width, height);
}

/* Reads one value. */
static bool read_value(reader *r, unsigned long *out)
{
    size_t bytes = r->most > UINT8_MAX ? 2 : 1;
    if (r->text) {
        return read_number(r, out, r->most);
    }
    if (r->file->n - r->at < bytes) {
        return false;
    }
    const uint8_t *at = r->file->bytes + r->at;
    *out = bytes == 2 ? (unsigned long)at[0] << 8 | at[1] : at[0];
    r->at += bytes;
    return *out <= r->most;
}

static nn_status read_pixels(reader *r, image *made)
{
    size_t n = made->width * made->height * made->channels;
    if (n > r->file->n - r->at) { /* a value takes a byte at least */
        return damaged(r, "it ends early");
    }
    made->pixels = nn_alloc(n);
    if (!made->pixels) {
        return image_no_memory(r->file);
    }
    for (size_t i = 0; i < n; i++) {
        unsigned long value;
        if (!read_value(r, &value)) {
            return damaged(r, "it ends early, or a value is too large");
        }
        made->pixels[i] = (uint8_t)((value * 510 + r->most) / (2 * r->most));
    }
    if (r->text) {
        skip_blanks(r);
    }
    return r->at == r->file->n ? NN_OK : damaged(r, "it goes on after the last pixel");
}

nn_status image_read_pnm(image *out, const image_file *file)
{
    reader r = {.file = file};
    image made = {0};
    nn_status status = read_header(&r, &made);
    if (status == NN_OK) {
        status = read_pixels(&r, &made);
    }
    if (status != NN_OK) {
        image_release(&made);
        return status;
    }
    *out = made;
    return NN_OK;
}
