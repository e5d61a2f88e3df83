/* What is ink and what is paper in a picture, whatever its colours and the light on it. */
#ifndef DIGITS_LIGHT_H
#define DIGITS_LIGHT_H

#include "image.h"
#include "plane.h"

#include <stdbool.h>

/* Pictures whose longer side exceeds this are made smaller, by averaging squares of pixels. */
#define LIGHT_MAX_SIDE ((size_t)1200)

/* How dark each pixel is, seen as dark ink on white paper in even light. */
typedef struct {
    plane dark;         /* 0 paper to 255 black; light_release gives it back */
    size_t factor;      /* a pixel here is a square of factor x factor pixels of the picture */
    uint8_t paper, ink; /* usual darkness of either; ink - paper is the contrast */
} light;

/* Looks at a picture. NN_ERR_MEMORY; NN_ERR_ARGUMENT: it has no pixels. */
nn_status light_measure(light *out, const image *picture);

void light_release(light *l);

#endif
