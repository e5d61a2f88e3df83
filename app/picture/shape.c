#include "shape.h"

#include "plane.h"

/* From here on a pixel counts as ink where ink is counted in stretches. */
#define INK_FROM 128

/* Counts the stretches of ink among pixels that are `step` apart. */
static unsigned count_runs(const uint8_t *first, size_t step)
{
    unsigned runs = 0;
    for (size_t i = 0; i < SHAPE_SIDE; i++) {
        bool starts = i == 0 || first[(i - 1) * step] < INK_FROM;
        runs += first[i * step] >= INK_FROM && starts;
    }
    return runs;
}

static unsigned ink_of(const uint8_t *pixels)
{
    unsigned sum = 0;
    for (size_t i = 0; i < (size_t)SHAPE_SIDE * SHAPE_SIDE; i++) {
        sum += pixels[i];
    }
    return sum / 255;
}

/* A picture's rows and columns that hold ink. */
typedef struct {
    size_t first, last; /* last is 0 if there are none */
} extent;

static void extend(extent *e, size_t at)
{
    e->first = smaller(e->first, at);
    e->last = larger(e->last, at + 1);
}

shape shape_measure(const uint8_t pixels[SHAPE_SIDE * SHAPE_SIDE])
{
    shape s = {.ink = ink_of(pixels)};
    extent across = {SHAPE_SIDE, 0}, down = {SHAPE_SIDE, 0};
    for (size_t i = 0; i < SHAPE_SIDE; i++) {
        unsigned row = count_runs(pixels + i * SHAPE_SIDE, 1);
        unsigned column = count_runs(pixels + i, SHAPE_SIDE);
        s.runs += row + column;
        s.busiest = (unsigned)larger(s.busiest, larger(row, column));
        if (row > 0) {
            extend(&down, i);
        }
        if (column > 0) {
            extend(&across, i);
        }
    }
    if (down.last > 0) {
        s.flat = (unsigned)((across.last - across.first) * 10 / (down.last - down.first));
    }
    return s;
}

bool shape_is_digit(const uint8_t pixels[SHAPE_SIDE * SHAPE_SIDE])
{
    shape s = shape_measure(pixels);
    return s.runs > 0 && s.ink <= SHAPE_INK_MAX && s.runs <= SHAPE_RUNS_MAX &&
           s.busiest <= SHAPE_BUSIEST_MAX && s.flat <= SHAPE_FLAT_MAX;
}
