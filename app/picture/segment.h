/* Digits found in a picture: pieces of ink that hang together, and pieces that belong to one
 * digit, in the order in which they are read. */
#ifndef DIGITS_SEGMENT_H
#define DIGITS_SEGMENT_H

#include "light.h"

/* A rectangle of pixels, without its right and bottom end. */
typedef struct {
    size_t left, top, right, bottom;
} box;

/* The largest pieces of ink; more are not looked at. */
#define SEGMENT_MAX_PIECES ((size_t)1000)

typedef struct {
    uint16_t *piece; /* [height][width]: the piece that a pixel belongs to, from 1, or 0 */
    size_t n_pieces;
    uint16_t *digit; /* [n_pieces + 1]: the digit that a piece belongs to, from 1, or 0: none */
    size_t n_digits;
    box *boxes; /* [n_digits], in reading order: lines from the top, each from the left */
} segments;

/* Finds the digits in what light_measure found. A blank picture has none. NN_ERR_MEMORY. */
nn_status segment_find(segments *out, const light *l);

void segment_release(segments *s);

#endif
