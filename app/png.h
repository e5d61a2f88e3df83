/* PNG pictures, written for people to look at; image.h reads them. */
#ifndef DIGITS_PNG_H
#define DIGITS_PNG_H

#include "nnlib.h"

/* Writes a grey picture, 8 bits a pixel, whole or not at all. pixels is [height][width], from the
 * top left, 0 black to 255 white. NN_ERR_ARGUMENT: a side is 0, or the picture exceeds 2 GiB.
 * NN_ERR_IO: the file cannot be written in full; NN_ERR_MEMORY. After an error the target is as it
 * was. */
nn_status png_write_gray(const char *path, const uint8_t *pixels, size_t width, size_t height);

/* As png_write_gray, in colour: pixels is [height][width][3], red, green and blue. */
nn_status png_write_rgb(const char *path, const uint8_t *pixels, size_t width, size_t height);

#endif
