/* Pictures of any kind, read from a user's file: PNG, JPEG, PGM and PPM, told apart by content. */
#ifndef DIGITS_IMAGE_H
#define DIGITS_IMAGE_H

#include "nnlib.h"

/* Larger pictures and files are not read. */
#define IMAGE_MAX_PIXELS ((size_t)50 * 1000 * 1000)
#define IMAGE_MAX_FILE ((size_t)256 << 20)

typedef struct {
    size_t width, height;
    size_t channels; /* 1: grey; 3: red, green, blue */
    uint8_t *pixels; /* [height][width][channels], from the top left, 0 dark to 255 light */
} image;

#endif
