/* Pictures of any kind, read from a user's file: PNG, JPEG, PGM and PPM, told apart by content. */
#ifndef DIGITS_IMAGE_H
#define DIGITS_IMAGE_H

#include "nnlib.h"

#include <stdbool.h>

/* Larger pictures and files are not read. */
#define IMAGE_MAX_PIXELS ((size_t)50 * 1000 * 1000)
#define IMAGE_MAX_FILE ((size_t)256 << 20)

typedef struct {
    size_t width, height;
    size_t channels; /* 1: grey; 3: red, green, blue */
    uint8_t *pixels; /* [height][width][channels], from the top left, 0 dark to 255 light */
} image;

/* Reads a picture, as 8 bits a channel whatever its own depth; what is transparent is seen on
 * white, a photograph that says which way up it was taken is turned so, gamma and colour profiles
 * are left alone. The file is read whole, and nothing is allocated that its header's size does not
 * ask for; the largest takes 4 bytes a pixel, a progressive JPEG 6 more. NN_ERR_DATA: of no kind
 * that is known, damaged, cut short, too large, or a JPEG for printers (CMYK) or with arithmetic
 * coding. NN_ERR_IO: missing, unreadable, or not a regular file. NN_ERR_MEMORY. */
nn_status image_read(image *out, const char *path);

void image_release(image *picture);

/* Reports whether a file that begins so is of a kind that image_read knows. */
bool image_is_known(const void *start, size_t n);

/* How many bytes image_is_known needs. */
#define IMAGE_SIGNATURE_SIZE 8

#endif
