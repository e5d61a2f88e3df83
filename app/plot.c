/* A plot is drawn into one picture in memory: cards on a page, and on each card a frame with axes.
 */
#include "plot.h"

#include "canvas.h"
#include "png.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- looks -------------------------------------------------------------------------------- */

static const colour page_colour = {0xf1, 0xf0, 0xec};
static const colour card_colour = {0xff, 0xff, 0xff};
static const colour edge_colour = {0xd9, 0xd7, 0xd0};
static const colour grid_colour = {0xe9, 0xe8, 0xe4};
static const colour ink_colour = {0x1c, 0x21, 0x2b};
static const colour faint_colour = {0x5c, 0x60, 0x68};

static const colour palette[PLOT_N_COLOURS] = {
    [PLOT_BLUE] = {0x00, 0x62, 0xb4},   [PLOT_VERMILION] = {0xd5, 0x4e, 0x00},
    [PLOT_GREEN] = {0x00, 0x96, 0x6e},  [PLOT_PURPLE] = {0xb8, 0x5a, 0x96},
    [PLOT_ORANGE] = {0xe0, 0x98, 0x00}, [PLOT_SKY] = {0x4a, 0xac, 0xe0},
    [PLOT_BLACK] = {0x1c, 0x21, 0x2b},  [PLOT_GREY] = {0xa8, 0xa9, 0xac},
};

/* All in pixels. */
enum {
    MARGIN = 24, /* around the page, and between cards */
    HEAD = 40,   /* the page's title */
    TEXT = 2,    /* scale of the font */
    TITLE = 3,   /* of the page's title */
    PAD = 16,    /* inside a card, */
    PADS = 32,   /* on both sides */
    LINE = 24,   /* from one line of text to the next */
    LEFT = 92,   /* from the card's edge to the frame: room for numbers */
    BOTTOM = 60, /* likewise below: numbers and a label */
    TICK = 6,
    SWATCH = 26
};

/* The frame by the number of columns. */
static const struct {
    size_t width, height;
} frames[] = {{880, 500}, {560, 380}, {400, 320}};

typedef struct {
    double left, top, width, height;
} frame;

typedef struct {
    canvas *page;
    const plot_panel *panel;
    plot_axis x, y;                  /* with their ranges settled */
    size_t left, top, width, height; /* of the card */
    frame frame;
} plot;

/* ---- axes --------------------------------------------------------------------------------- */

static double scaled(const plot_axis *axis, double value)
{
    return axis->logarithmic ? log10(value) : value;
}

/* 0 at the low end, 1 at the high one */
static double place(const plot_axis *axis, double value)
{
    double low = scaled(axis, axis->low), high = scaled(axis, axis->high);
    return (scaled(axis, value) - low) / (high - low);
}

static bool can_show(const plot_axis *axis, double value)
{
    return isfinite(value) && (!axis->logarithmic || value > 0);
}

static double series_x(const plot_series *series, size_t k)
{
    return series->x ? series->x[k] : (double)k;
}

static void widen(plot_axis *axis, double value)
{
    if (can_show(axis, value)) {
        axis->low = fmin(axis->low, value);
        axis->high = fmax(axis->high, value);
    }
}

/* Makes room where there is none, and some air above and below curves. */
static void finish_range(plot_axis *axis, double air)
{
    if (!(axis->low <= axis->high)) {
        axis->low = 1;
        axis->high = 2;
    }
    if (axis->logarithmic) {
        double ratio = pow(axis->high / axis->low, air);
        ratio = axis->high > axis->low ? ratio : 2;
        axis->low /= ratio;
        axis->high *= ratio;
    } else {
        double extra = axis->high > axis->low ? (axis->high - axis->low) * air : 1;
        axis->low -= extra;
        axis->high += extra;
    }
}

static void settle_ranges(plot *p)
{
    bool free_x = p->x.low == p->x.high, free_y = p->y.low == p->y.high;
    plot_axis x = {.low = HUGE_VAL, .high = -HUGE_VAL, .logarithmic = p->x.logarithmic};
    plot_axis y = {.low = HUGE_VAL, .high = -HUGE_VAL, .logarithmic = p->y.logarithmic};
    for (size_t s = 0; s < p->panel->n_series; s++) {
        const plot_series *series = &p->panel->series[s];
        for (size_t k = 0; k < series->n; k++) {
            widen(&x, series_x(series, k));
            widen(&y, series->y[k]);
        }
    }
    finish_range(&x, 0);
    finish_range(&y, 0.06);
    if (free_x) {
        p->x.low = x.low;
        p->x.high = x.high;
    }
    if (free_y) {
        p->y.low = y.low;
        p->y.high = y.high;
    }
}

static point at(const plot *p, double x, double y)
{
    return (point){p->frame.left + place(&p->x, x) * p->frame.width,
                   p->frame.top + (1 - place(&p->y, y)) * p->frame.height};
}

/* ---- ticks -------------------------------------------------------------------------------- */

/* The round step (1, 2 or 5 times a power of ten) that gives about `wanted` ticks. */
static double round_step(double range, double wanted)
{
    double raw = range / wanted, power = pow(10, floor(log10(raw))), share = raw / power;
    return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

typedef void (*tick_drawer)(plot *p, double value);

static void each_linear_tick(plot *p, const plot_axis *axis, double wanted, tick_drawer draw)
{
    double step = round_step(axis->high - axis->low, wanted);
    long first = (long)ceil(axis->low / step - 1e-6), last = (long)floor(axis->high / step + 1e-6);
    for (long k = first; k <= last; k++) {
        draw(p, (double)k * step);
    }
}

/* Powers of ten; within few of them 2 and 5 times those as well. */
static void each_logarithmic_tick(plot *p, const plot_axis *axis, tick_drawer draw)
{
    static const double between[] = {1, 2, 5};
    long first = (long)floor(log10(axis->low)), last = (long)ceil(log10(axis->high));
    size_t n = last - first > 3 ? 1 : 3;
    long stride = last - first > 8 ? 2 : 1;
    for (long power = first; power <= last; power += stride) {
        for (size_t k = 0; k < n; k++) {
            double value = between[k] * pow(10, (double)power);
            if (value >= axis->low * 0.999 && value <= axis->high * 1.001) {
                draw(p, value);
            }
        }
    }
}

static void each_tick(plot *p, const plot_axis *axis, double wanted, tick_drawer draw)
{
    if (axis->logarithmic) {
        each_logarithmic_tick(p, axis, draw);
    } else {
        each_linear_tick(p, axis, wanted, draw);
    }
}

static size_t whole(double coordinate)
{
    return coordinate > 0 ? (size_t)(coordinate + 0.5) : 0;
}

static void draw_x_tick(plot *p, double value)
{
    char text[32];
    double x = at(p, value, p->y.low).x, bottom = p->frame.top + p->frame.height;
    snprintf(text, sizeof text, "%g", value);
    if (!p->panel->field) {
        canvas_fill(p->page, whole(x), whole(p->frame.top), 1, whole(p->frame.height), grid_colour);
    }
    canvas_fill(p->page, whole(x), whole(bottom), 1, TICK, faint_colour);
    canvas_text(p->page, whole(x - (double)canvas_text_width(text, TEXT) / 2),
                whole(bottom) + TICK + 4, TEXT, faint_colour, text);
}

static void draw_y_tick(plot *p, double value)
{
    char text[32];
    double y = at(p, p->x.low, value).y;
    snprintf(text, sizeof text, "%g", value);
    if (!p->panel->field) {
        canvas_fill(p->page, whole(p->frame.left), whole(y), whole(p->frame.width), 1, grid_colour);
    }
    canvas_fill(p->page, whole(p->frame.left) - TICK, whole(y), TICK, 1, faint_colour);
    canvas_text(p->page, whole(p->frame.left) - TICK - 5 - canvas_text_width(text, TEXT),
                whole(y) - GLYPH_ASCENT * TEXT / 2, TEXT, faint_colour, text);
}

static void draw_axes(plot *p)
{
    const frame *f = &p->frame;
    each_tick(p, &p->x, f->width / 100, draw_x_tick);
    each_tick(p, &p->y, f->height / 70, draw_y_tick);
    size_t left = whole(f->left), bottom = whole(f->top + f->height);
    canvas_fill(p->page, left, bottom, whole(f->width) + 1, 1, faint_colour);
    canvas_fill(p->page, left, whole(f->top), 1, whole(f->height), faint_colour);
    if (p->x.label) {
        canvas_text(p->page,
                    whole(f->left + (f->width - (double)canvas_text_width(p->x.label, TEXT)) / 2),
                    bottom + TICK + LINE + 4, TEXT, faint_colour, p->x.label);
    }
    if (p->y.label) {
        canvas_text(p->page, p->left + PAD, whole(f->top) - LINE, TEXT, faint_colour, p->y.label);
    }
}

/* ---- field -------------------------------------------------------------------------------- */

static colour field_colour(double value)
{
    double share = fmin(fmax(value, 0), 1);
    colour side = share < 0.5 ? palette[PLOT_BLUE] : palette[PLOT_VERMILION];
    return colour_mix(card_colour, side, 0.06 + 0.4 * fabs(2 * share - 1));
}

static double field_at(const plot *p, size_t column, size_t row)
{
    double right = ((double)column + 0.5) / p->frame.width;
    double up = 1 - ((double)row + 0.5) / p->frame.height;
    return p->panel->field(p->panel->context, p->x.low + right * (p->x.high - p->x.low),
                           p->y.low + up * (p->y.high - p->y.low));
}

enum {
    FIELD_GRAIN = 2 /* pixels a side of what has one value */
};

static void draw_field(plot *p)
{
    size_t left = whole(p->frame.left), top = whole(p->frame.top);
    for (size_t row = 0; row < whole(p->frame.height); row += FIELD_GRAIN) {
        double before = field_at(p, 0, row);
        for (size_t column = 0; column < whole(p->frame.width); column += FIELD_GRAIN) {
            double value = field_at(p, column, row), above = field_at(p, column, row + FIELD_GRAIN);
            bool edge = (value < 0.5) != (before < 0.5) || (value < 0.5) != (above < 0.5);
            canvas_fill(p->page, left + column, top + row, FIELD_GRAIN, FIELD_GRAIN,
                        edge ? ink_colour : field_colour(value));
            before = value;
        }
    }
}

/* ---- series ------------------------------------------------------------------------------- */

/* Cuts the part of a line that lies in the frame (Liang and Barsky 1984); false if none does. */
static bool clip(const frame *f, point *a, point *b)
{
    double dx = b->x - a->x, dy = b->y - a->y, enter = 0, leave = 1;
    const double p[] = {-dx, dx, -dy, dy};
    const double q[] = {a->x - f->left, f->left + f->width - a->x, a->y - f->top,
                        f->top + f->height - a->y};
    for (size_t side = 0; side < 4; side++) {
        if (p[side] == 0 && q[side] < 0) {
            return false;
        }
        if (p[side] < 0) {
            enter = fmax(enter, q[side] / p[side]);
        } else if (p[side] > 0) {
            leave = fmin(leave, q[side] / p[side]);
        }
    }
    point start = *a;
    *a = (point){start.x + enter * dx, start.y + enter * dy};
    *b = (point){start.x + leave * dx, start.y + leave * dy};
    return enter <= leave;
}

static bool point_of(const plot *p, const plot_series *series, size_t k, point *out)
{
    double x = series_x(series, k);
    if (!can_show(&p->x, x) || !can_show(&p->y, series->y[k])) {
        return false;
    }
    *out = at(p, x, series->y[k]);
    return true;
}

static void draw_line(plot *p, const plot_series *series, double width)
{
    point from, to;
    for (size_t k = 1; k < series->n; k++) {
        if (point_of(p, series, k - 1, &from) && point_of(p, series, k, &to) &&
            clip(&p->frame, &from, &to)) {
            canvas_line(p->page, from, to, width, palette[series->colour]);
        }
    }
}

static void draw_dots(plot *p, const plot_series *series, double radius)
{
    point centre;
    for (size_t k = 0; k < series->n; k++) {
        point same;
        if (point_of(p, series, k, &centre) && (same = centre, clip(&p->frame, &centre, &same))) {
            canvas_disc(p->page, centre, radius + 1.5, card_colour);
            canvas_disc(p->page, centre, radius, palette[series->colour]);
        }
    }
}

static void draw_series(plot *p, const plot_series *series)
{
    static const double line_width[] = {
        [PLOT_LINE] = 3, [PLOT_THIN] = 1.4, [PLOT_DOTS] = 0, [PLOT_MARKED] = 3};
    static const double radius[] = {
        [PLOT_LINE] = 0, [PLOT_THIN] = 0, [PLOT_DOTS] = 6, [PLOT_MARKED] = 4.5};
    if (line_width[series->style] > 0) {
        draw_line(p, series, line_width[series->style]);
    }
    if (radius[series->style] > 0) {
        draw_dots(p, series, radius[series->style]);
    }
}

/* ---- legend ------------------------------------------------------------------------------- */

static size_t entry_width(const char *name)
{
    return SWATCH + 8 + canvas_text_width(name, TEXT) + 24;
}

/* Lays the legend out in lines as wide as the card, and draws it unless page is NULL. Returns the
 * number of lines. */
static size_t lay_legend(canvas *page, const plot_panel *panel, size_t left, size_t top,
                         size_t width)
{
    size_t lines = 0, x = width;
    for (size_t s = 0; s < panel->n_series; s++) {
        const plot_series *series = &panel->series[s];
        if (!series->name) {
            continue;
        }
        if (x + entry_width(series->name) - 24 > width) {
            lines++;
            x = 0;
        }
        if (page) {
            double y = (double)(top + (lines - 1) * LINE) + 7, start = (double)(left + x);
            bool dots = series->style == PLOT_DOTS;
            canvas_line(page, (point){dots ? start + SWATCH / 2.0 : start + 2, y},
                        (point){dots ? start + SWATCH / 2.0 : start + SWATCH - 2, y}, dots ? 12 : 4,
                        palette[series->colour]);
            canvas_text(page, left + x + SWATCH + 8, top + (lines - 1) * LINE, TEXT, ink_colour,
                        series->name);
        }
        x += entry_width(series->name);
    }
    return lines;
}

/* ---- panels ------------------------------------------------------------------------------- */

static size_t head_height(const plot_panel *panel, size_t width)
{
    return PAD + LINE + 6 + lay_legend(NULL, panel, 0, 0, width - PADS) * LINE +
           (panel->y.label ? LINE : 0) + 10;
}

static void draw_panel(plot *p, size_t head, size_t frame_width, size_t frame_height)
{
    const plot_panel *panel = p->panel;
    canvas_fill(p->page, p->left, p->top, p->width, p->height, edge_colour);
    canvas_fill(p->page, p->left + 1, p->top + 1, p->width - 2, p->height - 2, card_colour);
    canvas_text(p->page, p->left + PAD, p->top + PAD, TEXT, ink_colour, panel->title);
    lay_legend(p->page, panel, p->left + PAD, p->top + PAD + LINE + 6, p->width - PADS);
    p->frame = (frame){(double)(p->left + LEFT), (double)(p->top + head), (double)frame_width,
                       (double)frame_height};
    p->x = panel->x;
    p->y = panel->y;
    settle_ranges(p);
    if (panel->field) {
        draw_field(p);
    }
    draw_axes(p);
    for (size_t s = 0; s < panel->n_series; s++) {
        draw_series(p, &panel->series[s]);
    }
}

nn_status plot_write(const char *path, const char *title, const plot_panel *panels, size_t n,
                     size_t columns)
{
    const size_t n_frames = sizeof frames / sizeof frames[0];
    size_t kind = (columns < n_frames ? columns : n_frames) - 1, head = 0;
    size_t width = LEFT + frames[kind].width + PADS;
    for (size_t k = 0; k < n; k++) {
        size_t one = head_height(&panels[k], width);
        head = one > head ? one : head;
    }
    size_t height = head + frames[kind].height + BOTTOM + PAD, rows = (n + columns - 1) / columns;
    canvas page;
    nn_status status = canvas_init(&page, columns * (width + MARGIN) + MARGIN,
                                   HEAD + rows * (height + MARGIN) + MARGIN, page_colour);
    if (status != NN_OK) {
        return status;
    }
    canvas_text(&page, MARGIN, MARGIN, TITLE, ink_colour, title);
    for (size_t k = 0; k < n; k++) {
        plot p = {.page = &page, .panel = &panels[k], .width = width, .height = height};
        p.left = MARGIN + k % columns * (width + MARGIN);
        p.top = MARGIN + HEAD + k / columns * (height + MARGIN);
        draw_panel(&p, head, frames[kind].width, frames[kind].height);
    }
    status = png_write_rgb(path, page.rgb, page.width, page.height);
    nn_free(page.rgb);
    return status;
}
