/* Six steps, all in whole numbers, so that app/report/prepare.js makes the same of a picture:
 *
 *     shrink     a large picture becomes a smaller one, which also takes noise away
 *     grey       the mean of the colours, or one of them if ink stands out much more in it
 *     ink        is what is rare: dark or light, and turned to dark
 *     even       each pixel is divided by the paper around it: shadows vanish
 *     smooth     noise that could be taken for ink is averaged away
 *     levels     how dark ink is, and paper */
#include "light.h"

static nn_status plane_init(plane *out, size_t width, size_t height)
{
    uint8_t *at = nn_alloc_array(height, width);
    if (!at) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for a picture of %zu x %zu pixels", width,
                       height);
    }
    *out = (plane){width, height, at};
    return NN_OK;
}

void light_release(light *l)
{
    nn_free(l->dark.at);
    *l = (light){0};
}

/* ---- shrink ------------------------------------------------------------------------------- */

/* The mean of a channel over a square of pixels, cut off at the picture's edge. */
static uint8_t square_mean(const image *from, size_t channel, size_t left, size_t top, size_t side)
{
    size_t right = smaller(left + side, from->width), bottom = smaller(top + side, from->height);
    size_t n = (right - left) * (bottom - top), sum = 0;
    for (size_t y = top; y < bottom; y++) {
        for (size_t x = left; x < right; x++) {
            sum += from->pixels[(y * from->width + x) * from->channels + channel];
        }
    }
    return (uint8_t)((2 * sum + n) / (2 * n));
}

/* Makes of each square of factor x factor pixels one. */
static nn_status shrink(plane *out, const image *from, size_t channel, size_t factor)
{
    plane small;
    factor = larger(factor, 1);
    nn_status status = plane_init(&small, (from->width + factor - 1) / factor,
                                  (from->height + factor - 1) / factor);
    if (status != NN_OK) {
        return status;
    }
    for (size_t y = 0; y < small.height; y++) {
        for (size_t x = 0; x < small.width; x++) {
            small.at[y * small.width + x] =
                square_mean(from, channel, x * factor, y * factor, factor);
        }
    }
    *out = small;
    return NN_OK;
}

static image plane_image(const plane *p)
{
    return (image){p->width, p->height, 1, p->at};
}

/* ---- grey --------------------------------------------------------------------------------- */

/* Another view of a picture must vary so many times as much as its brightness to be preferred. */
#define PREFER_COLOUR 2

/* The sum of the squared distances from the mean. */
static uint64_t variation(const plane *p)
{
    uint64_t sum = 0, squares = 0, n = p->width * p->height;
    for (size_t i = 0; i < n; i++) {
        sum += p->at[i];
    }
    uint64_t mean = sum / larger(n, 1);
    for (size_t i = 0; i < n; i++) {
        uint64_t distance = p->at[i] > mean ? p->at[i] - mean : mean - p->at[i];
        squares += distance * distance;
    }
    return squares;
}

/* Writes brightness (ITU-R BT.601) over red. */
static void mix_colours(plane *red, const plane *green, const plane *blue)
{
    for (size_t i = 0; i < red->width * red->height; i++) {
        red->at[i] =
            (uint8_t)((299U * red->at[i] + 587U * green->at[i] + 114U * blue->at[i] + 500) / 1000);
    }
}

/* Makes one plane of three: brightness, unless ink and paper differ in colour rather than in
 * brightness. */
static nn_status grey_of_colours(plane *out, const image *from, size_t factor)
{
    plane views[4] = {{0}}; /* red, green, blue, brightness */
    nn_status status = NN_OK;
    for (size_t k = 0; k < 4 && status == NN_OK; k++) {
        status = shrink(&views[k], from, k % 3, factor);
    }
    if (status == NN_OK) {
        mix_colours(&views[3], &views[1], &views[2]);
        size_t best = 3;
        uint64_t most = variation(&views[3]) * PREFER_COLOUR;
        for (size_t k = 0; k < 3; k++) {
            uint64_t own = variation(&views[k]);
            best = own > most ? k : best;
            most = larger(own, most);
        }
        *out = views[best];
        views[best].at = NULL;
    }
    for (size_t k = 0; k < 4; k++) {
        nn_free(views[k].at);
    }
    return status;
}

/* ---- a small copy, on which paper is looked for ------------------------------------------- */

#define COARSE_SIDE 64 /* cells along the shorter side at most */

/* Half the window in which paper is looked for, as a share of the shorter side: no stroke of a pen
 * may fill the window. */
#define REACH_OF_SIDE 7

static size_t reach_of(const plane *coarse)
{
    return smaller(coarse->width, coarse->height) / REACH_OF_SIDE + 1;
}

/* Replaces n values, `step` apart, by the largest of those within reach, or the smallest. */
static void extreme_line(uint8_t *line, size_t n, size_t step, size_t reach, bool largest,
                         uint8_t *copy)
{
    for (size_t i = 0; i < n; i++) {
        copy[i] = line[i * step];
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t best = copy[i];
        for (size_t j = i > reach ? i - reach : 0; j < n && j <= i + reach; j++) {
            best = (copy[j] > best) == largest ? copy[j] : best;
        }
        line[i * step] = best;
    }
}

/* The same in a square window. */
static void extremes(plane *p, size_t reach, bool largest, uint8_t *copy)
{
    for (size_t y = 0; y < p->height; y++) {
        extreme_line(p->at + y * p->width, p->width, 1, reach, largest, copy);
    }
    for (size_t x = 0; x < p->width; x++) {
        extreme_line(p->at + x, p->height, p->width, reach, largest, copy);
    }
}

/* Writes the sums of all values above and to the left: sums[y][x] of p[0..y-1][0..x-1]. */
static void sum_corners(uint32_t *sums, const plane *p)
{
    size_t stride = p->width + 1;
    for (size_t y = 0; y < p->height; y++) {
        uint32_t row = 0;
        for (size_t x = 0; x < p->width; x++) {
            row += p->at[y * p->width + x];
            sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + row;
        }
    }
}

/* The mean of the values within reach of cell (x, y). */
static int64_t window_mean(const uint32_t *sums, const plane *p, size_t x, size_t y, size_t reach)
{
    size_t left = x > reach ? x - reach : 0, right = smaller(x + reach + 1, p->width);
    size_t top = y > reach ? y - reach : 0, bottom = smaller(y + reach + 1, p->height);
    const uint32_t *upper = sums + top * (p->width + 1), *lower = sums + bottom * (p->width + 1);
    size_t sum = (size_t)lower[right] + upper[left] - lower[left] - upper[right];
    return (int64_t)(sum / larger((right - left) * (bottom - top), 1));
}

/* Ink is rarer than paper, so it lies farther from the mean around it: the sum of the cubes of
 * the distances leans to its side. */
static nn_status find_ink(bool *ink_is_light, const plane *coarse)
{
    uint32_t *sums = nn_alloc_array(coarse->height + 1, (coarse->width + 1) * sizeof *sums);
    if (!sums) {
        return nn_fail(NN_ERR_MEMORY, "out of memory");
    }
    sum_corners(sums, coarse);
    int64_t lean = 0;
    for (size_t y = 0; y < coarse->height; y++) {
        for (size_t x = 0; x < coarse->width; x++) {
            int64_t far = coarse->at[y * coarse->width + x] -
                          window_mean(sums, coarse, x, y, 2 * reach_of(coarse));
            lean += far * far * far;
        }
    }
    nn_free(sums);
    *ink_is_light = lean > 0;
    return NN_OK;
}

/* ---- even light --------------------------------------------------------------------------- */

/* Wipes the ink away: paper is the lightest in the window, and where that came from a lighter
 * region, the darkest of those (a morphological closing). */
static nn_status wipe_ink(plane *coarse)
{
    uint8_t *copy = nn_alloc(larger(coarse->width, coarse->height));
    if (!copy) {
        return nn_fail(NN_ERR_MEMORY, "out of memory");
    }
    extremes(coarse, reach_of(coarse), true, copy);
    extremes(coarse, reach_of(coarse), false, copy);
    nn_free(copy);
    return NN_OK;
}

/* Where a pixel lies among cells of `side` pixels: between the middles of cell `at` and the next,
 * `share` of 2 side of the way. */
typedef struct {
    size_t at, next, share;
} between;

static between place(size_t pixel, size_t side, size_t cells)
{
    size_t middle = 2 * pixel + 1;
    if (side < 1 || middle < side) {
        return (between){0, 0, 0};
    }
    size_t at = (middle - side) / (2 * side);
    return (between){at, smaller(at + 1, cells - 1), (middle - side) % (2 * side)};
}

/* The paper's value at a pixel: the four cells around it, weighted by nearness. */
static unsigned paper_at(const plane *coarse, const between *x, const between *y, size_t side)
{
    const uint8_t *upper = coarse->at + y->at * coarse->width;
    const uint8_t *lower = coarse->at + y->next * coarse->width;
    size_t a = upper[x->at] * (2 * side - x->share) + upper[x->next] * x->share;
    size_t b = lower[x->at] * (2 * side - x->share) + lower[x->next] * x->share;
    return (unsigned)((a * (2 * side - y->share) + b * y->share) / (4 * side * side));
}

/* Turns brightness into darkness against the paper around: 0 as light as that, 255 black. */
static void even(plane *p, const plane *coarse, size_t side)
{
    for (size_t y = 0; y < p->height; y++) {
        between row = place(y, side, coarse->height);
        for (size_t x = 0; x < p->width; x++) {
            between column = place(x, side, coarse->width);
            unsigned paper = paper_at(coarse, &column, &row, side);
            uint8_t *pixel = &p->at[y * p->width + x];
            unsigned lightness = paper > 0 ? *pixel * 255U / paper : 255;
            *pixel = (uint8_t)(255 - (lightness < 255 ? lightness : 255));
        }
    }
}

static void invert(plane *p)
{
    for (size_t i = 0; i < p->width * p->height; i++) {
        p->at[i] = (uint8_t)(255 - p->at[i]);
    }
}

/* Makes *p darkness in even light. */
static nn_status flatten(plane *p)
{
    size_t side = (smaller(p->width, p->height) + COARSE_SIDE - 1) / COARSE_SIDE;
    image picture = plane_image(p);
    plane coarse;
    bool ink_is_light = false;
    nn_status status = shrink(&coarse, &picture, 0, side);
    if (status != NN_OK) {
        return status;
    }
    status = find_ink(&ink_is_light, &coarse);
    if (status == NN_OK && ink_is_light) {
        invert(p);
        invert(&coarse);
    }
    if (status == NN_OK) {
        status = wipe_ink(&coarse);
    }
    if (status == NN_OK) {
        even(p, &coarse, side);
    }
    nn_free(coarse.at);
    return status;
}

/* ---- levels ------------------------------------------------------------------------------- */

/* So many pixels, as one in this number or at least these, are as dark as the darkest ink. */
#define DARKEST_SHARE 10000
#define DARKEST_LEAST 8

/* The mean of the values in [from, to) of a histogram; `otherwise` if there are none. */
static unsigned histogram_mean(const size_t count[256], unsigned from, unsigned to,
                               unsigned otherwise)
{
    uint64_t n = 0, sum = 0;
    for (unsigned v = from; v < to; v++) {
        n += count[v];
        sum += (uint64_t)count[v] * v;
    }
    return n > 0 ? (unsigned)(sum / n) : otherwise;
}

/* Finds the usual darkness of ink and of paper: a threshold that starts half as dark as the darkest
 * pixels moves to the middle of the means on either side (Ridler and Calvard 1978). Starting so
 * high, it finds the ink even where there is little of it. */
static void find_levels(light *l)
{
    size_t count[256] = {0}, n = l->dark.width * l->dark.height;
    for (size_t i = 0; i < n; i++) {
        count[l->dark.at[i]]++;
    }
    unsigned darkest = 255;
    for (size_t above = count[255]; darkest > 0; above += count[--darkest]) {
        if (above >= larger(n / DARKEST_SHARE, DARKEST_LEAST)) {
            break;
        }
    }
    unsigned threshold = darkest / 2, before = 256, paper = 0, ink = 0;
    for (int turn = 0; turn < 256 && threshold != before; turn++) {
        before = threshold;
        paper = histogram_mean(count, 0, threshold + 1, 0);
        ink = histogram_mean(count, threshold + 1, 256, threshold);
        threshold = (paper + ink) / 2;
    }
    l->paper = (uint8_t)paper;
    l->ink = (uint8_t)ink;
}

/* ---- smooth ------------------------------------------------------------------------------- */

#define NOISE_SHARE 12 /* noise must be less than this part of the contrast */
#define SMOOTHINGS_MAX 4

/* The noise: the median difference between neighbours, which is about the standard deviation of
 * a normal distribution (0.954 of it). */
static unsigned noise_of(const plane *p)
{
    size_t count[256] = {0}, n = 0;
    for (size_t y = 0; y < p->height; y++) {
        for (size_t x = 1; x < p->width; x++, n++) {
            int step = p->at[y * p->width + x] - p->at[y * p->width + x - 1];
            count[step < 0 ? -step : step]++;
        }
    }
    unsigned median = 0;
    for (size_t below = count[0]; 2 * below < n; below += count[++median]) {
    }
    return median;
}

/* Replaces n values by the means of three neighbours; the ends count double. */
static void smooth_line(uint8_t *line, size_t n, size_t step)
{
    unsigned before = line[0];
    for (size_t i = 0; i < n; i++) {
        unsigned own = line[i * step], next = i + 1 < n ? line[(i + 1) * step] : own;
        line[i * step] = (uint8_t)((before + own + next + 1) / 3);
        before = own;
    }
}

static void smooth(plane *p)
{
    for (size_t y = 0; y < p->height; y++) {
        smooth_line(p->at + y * p->width, p->width, 1);
    }
    for (size_t x = 0; x < p->width; x++) {
        smooth_line(p->at + x, p->height, p->width);
    }
}

/* ---- the whole ---------------------------------------------------------------------------- */

nn_status light_measure(light *out, const image *picture)
{
    light l = {0};
    if (picture->width < 1 || picture->height < 1) {
        return nn_fail(NN_ERR_ARGUMENT, "a picture must have at least 1 pixel");
    }
    size_t side = larger(picture->width, picture->height);
    l.factor = larger((side + LIGHT_MAX_SIDE - 1) / LIGHT_MAX_SIDE, 1);
    nn_status status = picture->channels == 1 ? shrink(&l.dark, picture, 0, l.factor)
                                              : grey_of_colours(&l.dark, picture, l.factor);
    if (status == NN_OK) {
        status = flatten(&l.dark);
    }
    if (status != NN_OK) {
        light_release(&l);
        return status;
    }
    find_levels(&l);
    for (int k = 0; k < SMOOTHINGS_MAX; k++) {
        if (noise_of(&l.dark) * NOISE_SHARE <= (unsigned)(l.ink - l.paper)) {
            break;
        }
        smooth(&l.dark);
        find_levels(&l);
    }
    *out = l;
    return NN_OK;
}
