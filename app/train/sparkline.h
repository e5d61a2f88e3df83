/* A curve in a line of text: one character a value, the higher the larger (Tufte's sparkline). */

#ifndef DIGITS_SPARKLINE_H
#define DIGITS_SPARKLINE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SPARKLINE_VALUES = 64,  /* kept at most; beyond that, neighbours are averaged */
    SPARKLINE_COLUMNS = 40, /* drawn at most */
    SPARKLINE_TEXT_SIZE = 3 * SPARKLINE_COLUMNS + 1
};

/* However many values are added, it takes no more memory. All zero: empty. */
typedef struct {
    double values[SPARKLINE_VALUES];
    size_t n;
    size_t weight; /* values added that each of these is the mean of; 0 counts as 1 */
    double sum;    /* of those that are not yet enough for another */
    size_t n_sum;
} sparkline;

/* Adds a value; one that is not finite is passed over. */
void sparkline_add(sparkline *s, double value);

/* Draws the curve in at most `columns` characters, between its least value and its largest, and
 * returns text; "" while there are fewer than two values. */
const char *sparkline_text(char text[SPARKLINE_TEXT_SIZE], const sparkline *s, size_t columns,
                           bool utf8);

#endif
