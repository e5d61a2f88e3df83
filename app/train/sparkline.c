#include "sparkline.h"

#include <math.h>
#include <string.h>

/* Halves the number of values: each becomes the mean of two. */
static void fold(sparkline *s)
{
    for (size_t i = 0; i < s->n / 2; i++) {
        s->values[i] = s->values[2 * i] / 2 + s->values[2 * i + 1] / 2;
    }
    s->n /= 2;
    s->weight *= 2;
}

void sparkline_add(sparkline *s, double value)
{
    if (!isfinite(value)) {
        return;
    }
    s->weight = s->weight > 0 ? s->weight : 1;
    s->sum += value;
    s->n_sum++;
    if (s->n_sum < s->weight) {
        return;
    }
    s->values[s->n++] = s->sum / (double)s->n_sum;
    s->sum = 0;
    s->n_sum = 0;
    if (s->n == SPARKLINE_VALUES) {
        fold(s);
    }
}

/* Copies the values, the unfinished one too; returns how many there are. */
static size_t all_values(double values[SPARKLINE_VALUES], const sparkline *s)
{
    size_t n = s->n;
    memcpy(values, s->values, n * sizeof *values);
    if (s->n_sum > 0) {
        values[n++] = s->sum / (double)s->n_sum;
    }
    return n;
}

/* The mean of the values that fall into column c of so many. */
static double column_value(const double *values, size_t n, size_t c, size_t columns)
{
    size_t from = c * n / columns, to = (c + 1) * n / columns;
    double sum = 0;
    for (size_t i = from; i < to; i++) {
        sum += values[i];
    }
    return sum / (double)(to - from);
}

const char *sparkline_text(char text[SPARKLINE_TEXT_SIZE], const sparkline *s, size_t columns,
                           bool utf8)
{
    static const char *const blocks[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
                                         "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
                                         "\xe2\x96\x87", "\xe2\x96\x88"}; /* U+2581 to U+2588 */
    static const char *const plain[] = {"_", ".", "-", "~", "=", "+", "*", "#"};
    const double levels = 8;
    double values[SPARKLINE_VALUES], low = HUGE_VAL, high = -HUGE_VAL;
    size_t n = all_values(values, s);
    columns = columns < SPARKLINE_COLUMNS ? columns : SPARKLINE_COLUMNS;
    columns = columns < n ? columns : n;
    char *end = text;
    for (size_t c = 0; c < columns; c++) {
        low = fmin(low, column_value(values, n, c, columns));
        high = fmax(high, column_value(values, n, c, columns));
    }
    for (size_t c = 0; c < columns && n > 1; c++) {
        double range = high / 2 - low / 2; /* halves, as the whole may be infinite */
        double height = column_value(values, n, c, columns) / 2 - low / 2;
        size_t level = high > low ? (size_t)(height / range * (levels - 0.001)) : 0;
        const char *sign = utf8 ? blocks[level] : plain[level];
        size_t length = strlen(sign);
        memcpy(end, sign, length);
        end += length;
    }
    *end = '\0';
    return text;
}
