#include "normalise.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- square and scale --------------------------------------------------------------------- */

/* A part of a picture that stands in the middle of a square. */
typedef struct {
    const uint8_t *at; /* its first pixel */
    size_t stride;     /* from row to row */
    size_t width, height;
    size_t side;      /* of the square, not less than either */
    size_t left, top; /* where the part stands in the square */
} square;

#define SQUARE_MIN 10 /* a digit smaller than this becomes a small one */

static square square_around(const uint8_t *at, size_t stride, size_t width, size_t height)
{
    size_t side = larger(larger(width, height), SQUARE_MIN);
    return (square){at, stride, width, height, side, (side - width) / 2, (side - height) / 2};
}

/* The length that pixel `from` of `side` shares with cell `to` of `cells`, both rows being
 * side * cells long: a pixel takes `cells` of that, a cell `side`. */
static uint32_t shared(size_t from, size_t side, size_t to, size_t cells)
{
    size_t begin = larger(from * cells, to * side);
    size_t end = smaller((from + 1) * cells, (to + 1) * side);
    return (uint32_t)(end - begin);
}

/* Adds up a row of the square in cells, each pixel weighted by the length it shares. */
static void add_row(uint32_t *sums, const square *s, const uint8_t *row, size_t cells)
{
    memset(sums, 0, cells * sizeof *sums);
    for (size_t x = 0; x < s->width; x++) {
        size_t from = s->left + x;
        for (size_t to = from * cells / s->side; to * s->side < (from + 1) * cells; to++) {
            sums[to] += row[x] * shared(from, s->side, to, cells);
        }
    }
}

/* The grid on which the pen is measured: four cells a pixel of the box. */
#define FINE ((size_t)4 * NORMAL_BOX)

/* Resamples a square to cells x cells sums: each is the mean of the area under it times side^2. The
 * weights are whole numbers and exact, so that doubling a small square before, as MNIST's makers
 * did, would change nothing. cells is at most FINE; a sum stays below 2^32 for sides up to 4096. */
static void resample(uint32_t *sums, const square *s, size_t cells)
{
    uint32_t across[FINE];
    memset(sums, 0, cells * cells * sizeof *sums);
    for (size_t y = 0; y < s->height; y++) {
        size_t from = s->top + y;
        add_row(across, s, s->at + y * s->stride, cells);
        for (size_t to = from * cells / s->side; to * s->side < (from + 1) * cells; to++) {
            uint32_t weight = shared(from, s->side, to, cells);
            for (size_t x = 0; x < cells; x++) {
                sums[to * cells + x] += across[x] * weight;
            }
        }
    }
}

/* ---- the pen ------------------------------------------------------------------------------ */

/* In quarters of a fine cell; nine in ten digits of MNIST lie between (the median is 40). */
#define PEN_MIN 34
#define PEN_MAX 52

#define SPREAD_MAX ((size_t)6)
#define MARGIN (2 * SPREAD_MAX)
#define SHEET (FINE + 2 * MARGIN)

/* The fine grid with paper around it. */
typedef struct {
    uint8_t at[SHEET][SHEET];
} sheet;

static void sheet_fill(sheet *out, const square *s)
{
    uint32_t sums[FINE * FINE];
    resample(sums, s, FINE);
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < FINE * FINE; i++) {
        out->at[MARGIN + i / FINE][MARGIN + i % FINE] = (uint8_t)(sums[i] / (s->side * s->side));
    }
}

/* The mean width of the strokes in quarters of a cell. A stroke's width is twice its area over the
 * length of its edge; steps across and down overrate that length, by 4 / pi over all directions:
 * 4 * 2 * 4 / pi is 10. */
static size_t pen_width(const sheet *s)
{
    size_t area = 0, edge = 0;
    for (size_t y = 1; y < SHEET; y++) {
        for (size_t x = 1; x < SHEET; x++) {
            int own = s->at[y][x];
            area += (size_t)own;
            edge += (size_t)abs(own - s->at[y][x - 1]) + (size_t)abs(own - s->at[y - 1][x]);
        }
    }
    return edge > 0 ? area * 10 / edge : 0;
}

/* The largest value within a radius of a cell, or the smallest. */
static uint8_t extreme(const sheet *s, size_t x, size_t y, int radius, bool largest)
{
    uint8_t best = s->at[y][x];
    for (int dy = -radius; dy <= radius; dy++) {
        for (int dx = -radius; dx <= radius; dx++) {
            uint8_t other = s->at[(int)y + dy][(int)x + dx];
            if (dx * dx + dy * dy <= radius * radius && (other > best) == largest) {
                best = other;
            }
        }
    }
    return best;
}

/* Lets ink grow into paper by a radius, or paper into ink. */
static void spread(sheet *to, const sheet *from, size_t radius, bool ink)
{
    memset(to, 0, sizeof *to);
    for (size_t y = radius; y < SHEET - radius; y++) {
        for (size_t x = radius; x < SHEET - radius; x++) {
            to->at[y][x] = extreme(from, x, y, (int)radius, ink);
        }
    }
}

/* Finds the ink's own square on a sheet. Returns false if there is no ink. */
static bool find_square(square *out, const sheet *s)
{
    size_t left = SHEET, top = SHEET, right = 0, bottom = 0;
    for (size_t y = 0; y < SHEET; y++) {
        for (size_t x = 0; x < SHEET; x++) {
            if (s->at[y][x] > 0) {
                left = smaller(left, x);
                top = smaller(top, y);
                right = larger(right, x + 1);
                bottom = larger(bottom, y + 1);
            }
        }
    }
    if (right == 0) {
        return false;
    }
    *out = square_around(&s->at[top][left], SHEET, right - left, bottom - top);
    return true;
}

/* Makes strokes that are too thin wider on `changed`, those too thick narrower, and *s the square
 * there; leaves others as they are. */
static void correct_pen(square *s, sheet *changed)
{
    sheet fine;
    sheet_fill(&fine, s);
    size_t width = pen_width(&fine);
    bool thin = width < PEN_MIN;
    size_t excess = thin ? PEN_MIN - width : width > PEN_MAX ? width - PEN_MAX : 0;
    size_t radius = smaller((excess + 3) / 8, SPREAD_MAX); /* an edge each side, 4 to a cell */
    if (radius > 0) {
        spread(changed, &fine, radius, thin);
        (void)find_square(s, changed); /* if no ink were left, as it was */
    }
}

/* ---- contrast and centre ------------------------------------------------------------------ */

/* Scales sums so that the largest becomes 255. */
static void stretch(uint8_t *out, const uint32_t *sums, size_t n)
{
    uint64_t most = 1;
    for (size_t i = 0; i < n; i++) {
        most = sums[i] > most ? sums[i] : most;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)((510 * (uint64_t)sums[i] + most) / (2 * most));
    }
}

/* Where the box begins in the frame: 15 less the centre of mass, rounded towards 0. moment is the
 * sum of ink times the pixel's number, whose middle lies half a pixel farther. */
static int begin(int moment, int ink)
{
    return (29 * ink - 2 * moment) / (2 * ink);
}

static void frame(uint8_t out[NORMAL_SIDE * NORMAL_SIDE],
                  const uint8_t boxed[NORMAL_BOX * NORMAL_BOX])
{
    int ink = 0, across = 0, down = 0;
    for (int i = 0; i < NORMAL_BOX * NORMAL_BOX; i++) {
        ink += boxed[i];
        across += boxed[i] * (i % NORMAL_BOX);
        down += boxed[i] * (i / NORMAL_BOX);
    }
    int left = begin(across, ink), top = begin(down, ink);
    memset(out, 0, (size_t)NORMAL_SIDE * NORMAL_SIDE);
    for (int i = 0; i < NORMAL_BOX * NORMAL_BOX; i++) {
        int x = left + i % NORMAL_BOX, y = top + i / NORMAL_BOX;
        if (x >= 0 && x < NORMAL_SIDE && y >= 0 && y < NORMAL_SIDE) {
            out[y * NORMAL_SIDE + x] = boxed[i];
        }
    }
}

/* ---- the whole ---------------------------------------------------------------------------- */

void normalise(uint8_t out[NORMAL_SIDE * NORMAL_SIDE], const plane *ink)
{
    uint32_t sums[NORMAL_BOX * NORMAL_BOX];
    uint8_t boxed[NORMAL_BOX * NORMAL_BOX];
    sheet changed;
    square s = square_around(ink->at, ink->width, ink->width, ink->height);
    correct_pen(&s, &changed);
    resample(sums, &s, NORMAL_BOX);
    stretch(boxed, sums, sizeof boxed);
    frame(out, boxed);
}
