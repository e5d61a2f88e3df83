/* Handwritten-looking digits, made from stroke skeletons: the data of `digits synth`. */
#ifndef DIGITS_SYNTH_H
#define DIGITS_SYNTH_H

#include "nnlib.h"

/* Pixels along a side. */
#define SYNTH_SIDE 28

/* Draws one digit, each time in another hand, in MNIST's frame: paper 0, ink up to 255, the longer
 * side of the ink's box 20 pixels, its centre of mass within half a pixel of row and column 14
 * (counted from 0), or as near as the frame lets it come: one digit in 2,000, mostly a 7, would
 * reach over the edge otherwise.
 *
 * All choices come from rng; equal generators draw equal bytes on every machine. label is 0..9; of
 * a larger one the last decimal digit is drawn. pixels is [28][28], overwritten whole. */
void synth_digit(nn_rng *rng, unsigned label, uint8_t pixels[SYNTH_SIDE * SYNTH_SIDE]);

#endif
