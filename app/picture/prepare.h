/* Digits in a picture, prepared as those of MNIST were: what a network that learned from MNIST can
 * read. app/report/prepare.js does the same, byte for byte. */
#ifndef DIGITS_PREPARE_H
#define DIGITS_PREPARE_H

#include "image.h"
#include "segment.h"

#define PREPARED_SIDE 28

typedef struct {
    box box;                                       /* in the picture's pixels */
    uint8_t pixels[PREPARED_SIDE * PREPARED_SIDE]; /* 0 paper to 255 ink */
    bool is_digit; /* it may be one; else it is a scribble, a line or the like */
} prepared_digit;

typedef struct {
    size_t n;
    prepared_digit *digits; /* [n], in reading order */
} prepared;

/* Finds and prepares the digits of a picture; none, if it is blank. NN_ERR_MEMORY. */
nn_status prepare(prepared *out, const image *picture);

void prepare_release(prepared *p);

#endif
