/* PNG pictures: written for people to look at, read for the network to classify. */
#ifndef DIGITS_PNG_H
#define DIGITS_PNG_H

#include "nnlib.h"

/* Pictures of more pixels are not read. */
#define PNG_MAX_PIXELS ((size_t)64 << 20)

/* Larger files are not read: they are taken into memory whole. */
#define PNG_MAX_FILE ((size_t)256 << 20)

/* Writes a grey picture, 8 bits a pixel, whole or not at all. pixels is [height][width], from the
 * top left, 0 black to 255 white. NN_ERR_ARGUMENT: a side is 0, or the picture exceeds 2 GiB.
 * NN_ERR_IO: the file cannot be written in full; NN_ERR_MEMORY. After an error the target is as it
 * was. */
nn_status png_write_gray(const char *path, const uint8_t *pixels, size_t width, size_t height);

/* As png_write_gray, in colour: pixels is [height][width][3], red, green and blue. */
nn_status png_write_rgb(const char *path, const uint8_t *pixels, size_t width, size_t height);

/* Reads a grey picture as 8 bits a pixel, whatever its own depth. *pixels is then
 * [*height][*width], 0 black to 255 white; nn_free gives it back.
 * NN_ERR_DATA: not a PNG file, a damaged one, more than PNG_MAX_PIXELS pixels, in colour, or with
 * transparency. NN_ERR_IO: missing, unreadable, or not a regular file. NN_ERR_MEMORY. */
nn_status png_read_gray(uint8_t **pixels, size_t *width, size_t *height, const char *path);

#endif
