/* A picture in memory to draw on: rectangles, lines, discs, and text in a small font. */
#ifndef DIGITS_CANVAS_H
#define DIGITS_CANVAS_H

#include "nnlib.h"

/* A character's cell, in pixels at scale 1. */
#define GLYPH_WIDTH ((size_t)6)  /* 5 and the gap to the next */
#define GLYPH_HEIGHT ((size_t)9) /* 7 above the base line, 2 below */
#define GLYPH_ASCENT ((size_t)7)

/* In a text: an arrow to the right, in the place of DEL. */
#define CANVAS_ARROW "\x7f"

typedef struct {
    uint8_t red, green, blue;
} colour;

typedef struct {
    size_t width, height;
    uint8_t *rgb; /* [height][width][3], from the top left; nn_free gives it back */
} canvas;

/* Makes a canvas of one colour. NN_ERR_MEMORY. */
nn_status canvas_init(canvas *out, size_t width, size_t height, colour c);

/* Returns a colour between two: share 0 gives paper, 1 gives ink. */
colour colour_mix(colour paper, colour ink, double share);

/* What lies outside the canvas is cut off in all that follow. */

/* Fills a rectangle. */
void canvas_fill(canvas *page, size_t left, size_t top, size_t width, size_t height, colour c);

/* Writes printable ASCII with its top left corner at (left, top), `scale` times the font's size
 * (other characters become '?'); returns where the next text begins. */
size_t canvas_text(canvas *page, size_t left, size_t top, size_t scale, colour c, const char *text);

/* Returns the width of a text in pixels, without the gap after the last character. */
size_t canvas_text_width(const char *text, size_t scale);

/* A point, in pixels; whole numbers are the corners of pixels. */
typedef struct {
    double x, y;
} point;

/* Draw with smooth edges: a line with round ends, a disc. */
void canvas_line(canvas *page, point from, point to, double width, colour c);
void canvas_disc(canvas *page, point centre, double radius, colour c);

#endif
