/* The last step of preparation: one digit, made as those of MNIST were made. */
#ifndef DIGITS_NORMALISE_H
#define DIGITS_NORMALISE_H

#include "plane.h"

#define NORMAL_SIDE 28 /* pixels along a side of the finished picture */
#define NORMAL_BOX 20  /* and of the box in it that the digit fits */

/*
 * Makes a digit's ink (0 none to 255 full; it is not all 0) into a
 * picture [28][28] as MNIST's are, 0 paper to 255 ink. After what Yadav and Bottou found out about
 * MNIST ("Cold Case: The Lost MNIST Digits", 2019):
 *
 *     square     the ink's box is widened to a square, with a side of at least 10 pixels
 *     scale      resampled to 20 x 20, each pixel the mean of the area under it
 *     contrast   multiplied so that the darkest pixel is 255
 *     centre     put into 28 x 28 so that its centre of mass lies in the pixel to the right of
 *                and below the middle; what would lie outside is cut off
 *
 * Theirs were all written with one kind of pen. Strokes thinner or thicker than nearly all of
 * theirs are first made wider, or narrower.
 */
void normalise(uint8_t out[NORMAL_SIDE * NORMAL_SIDE], const plane *ink);

#endif
