/* Contact sheets: many digits in one picture, each with a caption. */
#ifndef DIGITS_SHEET_H
#define DIGITS_SHEET_H

#include "nnlib.h"

/* A sheet shows at most so many digits; its heading says so when there are more. */
#define SHEET_MAX ((size_t)10000)

typedef enum {
    SHEET_LABELLED, /* captions: the true digit */
    SHEET_MISREAD   /* captions: true digit, predicted digit, and as room permits the prediction's
                       probability and the digit's place in its file */
} sheet_kind;

typedef struct {
    const uint8_t *pixels; /* [28][28], 0 paper to 255 ink */
    unsigned truth;        /* 0..9 */
    unsigned guess;        /* 0..9; the rest is only looked at in a sheet of misread digits */
    float probability;     /* of the guess, 0..1 */
    size_t index;          /* in the file, from 0 */
} sheet_tile;

/* Writes a picture of tiles[n] in their order, row by row, under a heading: printable ASCII (other
 * bytes become '?'), cut after 120 bytes. The more tiles, the smaller each: up to 600 digits are
 * drawn three times their size, up to 2,500 twice, more as they are; 10,000 make a picture of about
 * 5,000 x 4,000 pixels. n may be 0. NN_ERR_IO: the file cannot be written in full; NN_ERR_MEMORY.
 * After an error the target is as it was. */
nn_status sheet_write(const char *path, sheet_kind kind, const char *heading,
                      const sheet_tile *tiles, size_t n);

/* Makes a picture `scale` times as wide and high: each pixel becomes a square. pixels is
 * [height][width]; *out is then [height * scale][width * scale] and nn_free gives it back.
 * NN_ERR_ARGUMENT: a side or the scale is 0, or the sizes overflow; NN_ERR_MEMORY. */
nn_status sheet_enlarge(uint8_t **out, const uint8_t *pixels, size_t width, size_t height,
                        size_t scale);

#endif
