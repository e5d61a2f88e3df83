/* Whether a prepared picture looks like a digit at all, or like a scribble. */
#ifndef DIGITS_SHAPE_H
#define DIGITS_SHAPE_H

#include "nnlib.h"

#include <stdbool.h>

#define SHAPE_SIDE 28

/* What is counted in a picture [28][28]. */
typedef struct {
    unsigned ink;     /* the sum of its pixels / 255 */
    unsigned runs;    /* stretches of ink in all rows and columns */
    unsigned busiest; /* the most of them in one row or column */
    unsigned flat;    /* ten times the width of the ink's box, over its height */
} shape;

/* A digit has no more of each. `scripts/own_pictures.sh --calibrate` prints how many of MNIST's
 * validation images keep to that, and how many scribbles. */
#define SHAPE_INK_MAX 180
#define SHAPE_RUNS_MAX 78
#define SHAPE_BUSIEST_MAX 4
#define SHAPE_FLAT_MAX 16

/* An answer of less probability is called unsure; the same command prints how often those above
 * are right. */
#define SURE_FROM 0.8F

shape shape_measure(const uint8_t pixels[SHAPE_SIDE * SHAPE_SIDE]);

/* Reports whether a picture has ink, and no more of anything than digits have. */
bool shape_is_digit(const uint8_t pixels[SHAPE_SIDE * SHAPE_SIDE]);

#endif
