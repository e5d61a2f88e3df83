/* What a row of numbers comes to. */

#ifndef DIGITS_STATS_H
#define DIGITS_STATS_H

#include "nnlib.h"

typedef struct {
    size_t n;
    size_t n_zero;
    size_t n_odd; /* not finite; they count in nothing else but n */
    double min, max, sum, squares;
} stats;

/* Starts with no numbers: min is then INFINITY, max -INFINITY. */
stats stats_none(void);

void stats_add(stats *s, double value);

/* Return the mean, and the root of the sum of squares; 0 of no numbers. */
double stats_mean(const stats *s);
double stats_norm(const stats *s);

/* Counts all elements of an IDX array. */
stats stats_of_idx(const nn_idx *idx);

#endif
