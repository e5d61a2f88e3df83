/* A picture of one byte a pixel, and what is asked of its sizes again and again. */
#ifndef DIGITS_PLANE_H
#define DIGITS_PLANE_H

#include "nnlib.h"

typedef struct {
    size_t width, height;
    uint8_t *at; /* [height][width] */
} plane;

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
