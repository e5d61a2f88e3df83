/* Handwriting in four steps:
 *
 *     skeleton   one of several ways to write the digit: strokes, as a few knots on a sheet
 *     trace      the knots shaken and joined by smooth curves, cut into short straight pieces
 *     hand       the trace bent, stretched, slanted and turned
 *     ink        the trace fitted into MNIST's box, painted with soft edges, moved to its centre
 *
 * Only sums, products, quotients and square roots of doubles are used, each of which IEEE 754
 * rounds in one way only: that is why the digits are the same on every machine. */
#include "synth.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* ---- skeletons: how people write ---------------------------------------------------------- */

enum move {
    DONE,    /* no more knots */
    DOWN,    /* the pen comes down: a stroke begins */
    THROUGH, /* the stroke runs through smoothly */
    CORNER   /* the stroke turns sharply */
};

struct knot {
    signed char move, x, y; /* x to the right, y downwards, 0..100 */
};

#define KNOTS_MAX 16

struct form {
    unsigned char label, weight; /* how often this form is chosen among those of its label */
    struct knot knots[KNOTS_MAX + 1];
};

/* clang-format off */
#define D(x, y) {DOWN, x, y}
#define T(x, y) {THROUGH, x, y}
#define C(x, y) {CORNER, x, y}

static const struct form forms[] = {
    /* 0: against the clock; with the clock; ending in a small inner hook */
    {0, 55, {D(60,4), T(30,8), T(10,36), T(9,66), T(30,95), T(60,94), T(84,66), T(84,32),
             T(64,6), T(46,3)}},
    {0, 25, {D(38,4), T(66,4), T(87,32), T(84,68), T(60,96), T(32,94), T(10,66), T(12,32),
             T(36,8)}},
    {0, 20, {D(48,2), T(22,18), T(8,50), T(20,88), T(50,98), T(80,76), T(86,40), T(66,12),
             T(40,14), T(30,28)}},

    /* 1: a plain stroke; with a flag; with flag and foot */
    {1, 72, {D(52,0), T(51,50), T(50,100)}},
    {1, 18, {D(30,24), T(44,12), C(54,0), T(53,50), T(51,100)}},
    {1, 10, {D(32,20), C(52,0), T(51,50), T(50,98), D(28,99), T(52,98), T(76,98)}},

    /* 2: with a corner; with a loop; flat like a Z */
    {2, 45, {D(10,24), T(30,5), T(58,1), T(78,20), T(68,48), T(40,76), C(8,97), T(46,95),
             T(92,94)}},
    {2, 40, {D(12,22), T(34,3), T(64,6), T(72,32), T(54,64), T(26,92), T(8,94), T(10,79),
             T(32,79), T(60,92), T(92,93)}},
    {2, 15, {D(8,10), T(44,4), T(78,6), T(70,34), T(38,68), C(10,94), T(48,96), T(88,92)}},

    /* 3: two bows; two bows meeting in a small loop; with a flat top */
    {3, 60, {D(14,15), T(40,1), T(70,10), T(66,34), C(36,48), T(68,54), T(80,76), T(54,98),
             T(24,97), T(8,84)}},
    {3, 25, {D(16,14), T(42,1), T(72,12), T(62,38), T(38,50), T(34,44), T(54,44), T(78,62),
             T(72,88), T(42,99), T(10,90)}},
    {3, 15, {D(12,6), T(44,3), C(78,3), T(58,24), C(38,42), T(72,52), T(80,76), T(52,98),
             T(10,90)}},

    /* 4: open, in two strokes; closed to a triangle; in one stroke, like an open 9 */
    {4, 50, {D(22,2), T(16,28), C(8,56), T(46,56), T(90,50), D(70,2), T(66,50), T(60,100)}},
    {4, 25, {D(64,2), T(36,32), C(6,64), T(46,63), T(94,60), D(66,2), T(63,50), T(58,100)}},
    {4, 25, {D(16,4), T(10,34), T(24,54), T(54,50), T(76,26), C(82,2), T(74,48), T(64,100)}},

    /* 5: in one stroke; with a separate roof; round like an S */
    {5, 40, {D(86,3), T(56,4), C(24,5), C(16,46), T(46,38), T(78,52), T(78,82), T(46,99), T(8,90)}},
    {5, 45, {D(28,8), C(18,44), T(48,38), T(76,54), T(74,84), T(42,99), T(6,88), D(27,7),
             T(58,5), T(96,1)}},
    {5, 15, {D(84,5), T(48,4), T(22,20), T(34,42), T(64,56), T(74,80), T(44,99), T(8,90)}},

    /* 6: a bow with a loop; a straight back; a wide loop that starts low */
    {6, 50, {D(64,1), T(36,20), T(14,54), T(16,86), T(42,99), T(70,86), T(70,62), T(46,54),
             T(18,74)}},
    {6, 30, {D(58,0), T(34,34), T(12,76), T(28,98), T(58,92), T(68,70), T(46,60), T(16,80)}},
    {6, 20, {D(48,0), T(20,26), T(8,62), T(24,96), T(60,96), T(76,76), T(60,60), T(34,68),
             T(26,88)}},

    /* 7: plain; with a bar; with a serif; round */
    {7, 45, {D(8,10), T(48,8), C(86,6), T(62,46), T(42,100)}},
    {7, 18, {D(10,9), T(48,7), C(84,5), T(60,48), T(40,100), D(30,54), T(54,51), T(80,48)}},
    {7, 20, {D(6,30), C(12,8), T(50,9), C(86,5), T(62,48), T(46,100)}},
    {7, 17, {D(6,22), T(20,7), T(56,10), T(84,8), T(80,26), T(60,58), T(48,100)}},

    /* 8: an S closed upwards; begun in the middle; open at the top */
    {8, 55, {D(74,14), T(46,1), T(20,18), T(36,42), T(66,60), T(76,82), T(48,99), T(18,84),
             T(34,58), T(64,38), T(80,14), T(62,2)}},
    {8, 25, {D(50,46), T(22,26), T(46,1), T(76,22), T(54,46), T(22,74), T(46,99), T(78,78),
             T(50,47)}},
    {8, 20, {D(84,10), T(52,3), T(22,18), T(42,44), T(62,68), T(50,96), T(20,92), T(22,68),
             T(56,40), T(90,4)}},

    /* 9: a straight back; a hooked tail; one bend */
    {9, 50, {D(76,12), T(46,2), T(16,22), T(22,46), T(52,46), T(76,18), T(74,52), T(64,100)}},
    {9, 25, {D(76,12), T(46,2), T(16,22), T(24,48), T(54,46), T(77,16), T(80,48), T(66,88),
             T(40,99), T(16,90)}},
    {9, 25, {D(66,10), T(38,6), T(14,28), T(28,48), T(58,38), C(80,4), T(70,52), T(54,100)}},
};
/* clang-format on */

static const struct form *form_choose(nn_rng *rng, unsigned label)
{
    size_t count = sizeof forms / sizeof forms[0];
    unsigned total = 0;
    for (size_t i = 0; i < count; i++) {
        total += forms[i].label == label ? forms[i].weight : 0;
    }
    double left = nn_rng_uniform(rng) * total;
    const struct form *chosen = NULL;
    for (size_t i = 0; i < count && left >= 0; i++) {
        if (forms[i].label == label) {
            chosen = &forms[i];
            left -= forms[i].weight;
        }
    }
    return chosen;
}

/* Returns a bell-shaped number, mean 0, variance 1, within +-3.47: a sum of four uniform ones. A
 * normal number could be anything, and so could the digit. */
static double bell(nn_rng *rng)
{
    double sum = nn_rng_uniform(rng);
    sum += nn_rng_uniform(rng);
    sum += nn_rng_uniform(rng);
    sum += nn_rng_uniform(rng);
    return (sum - 2) * 1.7320508075688772;
}

static double between(nn_rng *rng, double low, double high)
{
    return low + (high - low) * nn_rng_uniform(rng);
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* ---- the hand: what one writer does to every knot of a digit ------------------------------ */

struct hand {
    double haste;             /* 0.5 careful .. 2.1 careless: scales all that shakes */
    double wide, slant, turn; /* stretch across; shear; tan(half the angle of rotation) */
    double bend[6];           /* smooth warp, see hand_move */
    double pen;               /* line thickness, in pixels of the finished picture */
    double pressure;          /* how much the thickness varies along the line */
};

static struct hand hand_pick(nn_rng *rng)
{
    struct hand hand;
    double haste = nn_rng_uniform(rng);
    hand.haste = 0.5 + 1.6 * haste * haste;
    hand.wide = clamp(0.88 + 0.16 * bell(rng), 0.55, 1.5);
    hand.slant = 0.22 + 0.24 * bell(rng);
    hand.turn = 0.065 * bell(rng);
    for (int i = 0; i < 6; i++) {
        hand.bend[i] = 0.06 * hand.haste * bell(rng);
    }
    hand.pen = clamp(2.6 + 0.8 * bell(rng), 1.4, 5.0);
    hand.pressure = between(rng, 0.03, 0.16);
    return hand;
}

struct dot {
    double x, y, r; /* r: pen radius; relative to the mean one until the trace is fitted */
    bool down;      /* no line leads here from the dot before */
};

#define STEPS_MAX 12
#define DOTS_MAX (KNOTS_MAX * STEPS_MAX)

struct trace {
    size_t n;
    struct dot dots[DOTS_MAX];
};

/* Moves a dot as the hand does: warp, stretch, slant, rotation, about the middle of the sheet. */
static void hand_move(const struct hand *hand, struct dot *dot)
{
    const double *c = hand->bend;
    double u = (dot->x - 50) / 50;
    double v = (dot->y - 50) / 50;
    double x = u + c[0] * v * v + c[1] * u * v + c[2] * v * (v * v - 1);
    double y = v + c[3] * u * u + c[4] * u * v + c[5] * u * (u * u - 1);
    x = x * hand->wide - hand->slant * y;
    /* With t = tan(angle / 2): cos = (1 - t^2) / (1 + t^2), sin = 2t / (1 + t^2). */
    double t = hand->turn;
    double cosine = (1 - t * t) / (1 + t * t);
    double sine = 2 * t / (1 + t * t);
    dot->x = cosine * x - sine * y;
    dot->y = sine * x + cosine * y;
}

/* ---- the trace: shaken knots joined by curves --------------------------------------------- */

/* Shakes the knots and returns their number. A stroke moves as a whole, too, and its ends most. */
static size_t knots_shake(nn_rng *rng, const struct hand *hand, const struct form *form,
                          struct dot knots[KNOTS_MAX])
{
    size_t n = 0;
    double dx = 0;
    double dy = 0;
    for (const struct knot *knot = form->knots; knot->move != DONE; knot++, n++) {
        bool end = knot->move == DOWN || knot[1].move == DOWN || knot[1].move == DONE;
        double shake = hand->haste * (end ? 5.0 : 3.6);
        if (knot->move == DOWN) {
            dx = hand->haste * 2.5 * bell(rng);
            dy = hand->haste * 2.5 * bell(rng);
        }
        knots[n].x = knot->x + dx + shake * bell(rng);
        knots[n].y = knot->y + dy + shake * bell(rng);
        knots[n].r = clamp(1 + hand->pressure * bell(rng) - (end ? 0.08 : 0), 0.5, 1.5);
        knots[n].down = knot->move == DOWN;
    }
    return n;
}

static double chord_root(const struct dot *a, const struct dot *b)
{
    double dx = b->x - a->x;
    double dy = b->y - a->y;
    return sqrt(sqrt(dx * dx + dy * dy)) + 1e-3;
}

/* Returns the point that lies as far before a as b lies behind it: a straight way in. */
static struct dot mirrored(const struct dot *a, const struct dot *b)
{
    struct dot dot = {2 * a->x - b->x, 2 * a->y - b->y, a->r, false};
    return dot;
}

/* Adds the curve from p[1] to p[2] without its start: a Catmull-Rom spline with centripetal knots
 * (Barry and Goldman 1988; Yuksel, Schaefer and Keyser 2011: no loops or cusps within a piece),
 * written as a cubic Hermite curve. */
static void trace_curve(struct trace *trace, const struct dot p[4])
{
    double t01 = chord_root(&p[0], &p[1]);
    double t12 = chord_root(&p[1], &p[2]);
    double t23 = chord_root(&p[2], &p[3]);
    double ax = (p[1].x - p[0].x) / t01 - (p[2].x - p[0].x) / (t01 + t12);
    double ay = (p[1].y - p[0].y) / t01 - (p[2].y - p[0].y) / (t01 + t12);
    double bx = (p[3].x - p[2].x) / t23 - (p[3].x - p[1].x) / (t12 + t23);
    double by = (p[3].y - p[2].y) / t23 - (p[3].y - p[1].y) / (t12 + t23);
    double mx = p[2].x - p[1].x + t12 * ax; /* tangents at both ends */
    double my = p[2].y - p[1].y + t12 * ay;
    double nx = p[2].x - p[1].x + t12 * bx;
    double ny = p[2].y - p[1].y + t12 * by;
    int steps = (int)clamp(t12 * t12 / 6, 2, STEPS_MAX); /* about one a pixel */
    for (int i = 1; i <= steps; i++) {
        double s = (double)i / steps;
        double q = 1 - s;
        double h0 = q * q * (1 + 2 * s);
        double h1 = s * s * (1 + 2 * q);
        struct dot *dot = &trace->dots[trace->n++];
        dot->x = h0 * p[1].x + h1 * p[2].x + q * q * s * mx - q * s * s * nx;
        dot->y = h0 * p[1].y + h1 * p[2].y + q * q * s * my - q * s * s * ny;
        dot->r = q * p[1].r + s * p[2].r;
        dot->down = false;
    }
}

static void trace_write(nn_rng *rng, const struct hand *hand, const struct form *form,
                        struct trace *trace)
{
    struct dot knots[KNOTS_MAX];
    size_t n = knots_shake(rng, hand, form, knots);
    trace->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (knots[i].down) {
            trace->dots[trace->n++] = knots[i];
            continue;
        }
        bool first = form->knots[i - 1].move != THROUGH;
        bool last = form->knots[i].move == CORNER || i + 1 == n || knots[i + 1].down;
        struct dot p[4];
        p[1] = knots[i - 1];
        p[2] = knots[i];
        p[0] = first ? mirrored(&p[1], &p[2]) : knots[i - 2];
        p[3] = last ? mirrored(&p[2], &p[1]) : knots[i + 1];
        trace_curve(trace, p);
    }
    for (size_t i = 0; i < trace->n; i++) {
        hand_move(hand, &trace->dots[i]);
        trace->dots[i].r *= 1 + 0.05 * bell(rng); /* the paper's grain */
    }
}

/* ---- ink ---------------------------------------------------------------------------------- */

#define BOX 20 /* MNIST's digits fit this square of pixels */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

struct bounds {
    double left, top, right, bottom;
};

/* Returns the box around the trace; ink scales the radii, 0 measures the pen's path. */
static struct bounds trace_bounds(const struct trace *trace, double ink)
{
    struct bounds box = {1e9, 1e9, -1e9, -1e9};
    for (size_t i = 0; i < trace->n; i++) {
        const struct dot *dot = &trace->dots[i];
        double r = ink * dot->r;
        box.left = smaller(box.left, dot->x - r);
        box.top = smaller(box.top, dot->y - r);
        box.right = larger(box.right, dot->x + r);
        box.bottom = larger(box.bottom, dot->y + r);
    }
    return box;
}

/* Scales the trace into the middle of the 20 x 20 box, lines pen pixels thick: the longer side
 * fills it. */
static void trace_fit(struct trace *trace, double pen)
{
    struct bounds path = trace_bounds(trace, 0);
    double length = larger(path.right - path.left, path.bottom - path.top);
    double radius = length * pen / (2 * (BOX - pen));
    struct bounds box = trace_bounds(trace, radius);
    double scale = BOX / larger(box.right - box.left, box.bottom - box.top);
    for (size_t i = 0; i < trace->n; i++) {
        struct dot *dot = &trace->dots[i];
        dot->x = BOX / 2.0 + scale * (dot->x - (box.left + box.right) / 2);
        dot->y = BOX / 2.0 + scale * (dot->y - (box.top + box.bottom) / 2);
        dot->r *= scale * radius;
    }
}

#define SOFT 1.1  /* pixels from bare paper to full ink, across the edge of a line */
#define ROUGH 0.3 /* pixels by which the edge strays at most */

/* Lowers the depth field (signed distance to the ink, in pixels) by the line from a to b. */
static void line_draw(double depth[BOX][BOX], const struct dot *a, const struct dot *b)
{
    double dx = b->x - a->x;
    double dy = b->y - a->y;
    double dr = b->r - a->r;
    double inverse = 1 / (dx * dx + dy * dy + 1e-12);
    double reach = larger(a->r, b->r) + SOFT / 2 + ROUGH;
    int left = (int)larger(0, smaller(a->x, b->x) - reach);
    int top = (int)larger(0, smaller(a->y, b->y) - reach);
    int right = (int)clamp(larger(a->x, b->x) + reach, 0, BOX - 1);
    int bottom = (int)clamp(larger(a->y, b->y) + reach, 0, BOX - 1);
    for (int y = top; y <= bottom; y++) {
        for (int x = left; x <= right; x++) {
            double px = x + 0.5 - a->x;
            double py = y + 0.5 - a->y;
            double t = clamp((px * dx + py * dy) * inverse, 0, 1);
            double ex = px - t * dx;
            double ey = py - t * dy;
            double d = sqrt(ex * ex + ey * ey) - (a->r + t * dr);
            depth[y][x] = d < depth[y][x] ? d : depth[y][x];
        }
    }
}

/* Paints the trace into ink[y][x], 0..255. */
static void trace_paint(nn_rng *rng, const struct trace *trace, uint8_t ink[BOX][BOX])
{
    double full = between(rng, 252, 255.4);
    double depth[BOX][BOX];
    for (int i = 0; i < BOX * BOX; i++) {
        depth[i / BOX][i % BOX] = SOFT / 2 + ROUGH; /* bare paper, however the edge strays */
    }
    for (size_t i = 0; i < trace->n; i++) {
        const struct dot *dot = &trace->dots[i];
        line_draw(depth, dot->down ? dot : dot - 1, dot);
    }
    for (int i = 0; i < BOX * BOX; i++) {
        double edge = depth[i / BOX][i % BOX] + between(rng, -ROUGH, ROUGH);
        double cover = clamp(0.5 - edge / SOFT, 0, 1);
        ink[i / BOX][i % BOX] = (uint8_t)(full * cover + 0.5);
    }
}

/* Returns where the box begins for its centre of mass to come nearest to pixel 14, as far as the
 * frame allows. moment is the sum of ink times place, in pixels from the box's first. */
static int centred_offset(double moment, double ink)
{
    return (int)clamp(14.5 - moment / ink, 0, SYNTH_SIDE - BOX);
}

void synth_digit(nn_rng *rng, unsigned label, uint8_t pixels[SYNTH_SIDE * SYNTH_SIDE])
{
    const struct form *form = form_choose(rng, label % 10);
    struct hand hand = hand_pick(rng);
    struct trace trace;
    trace_write(rng, &hand, form, &trace);
    trace_fit(&trace, hand.pen);
    uint8_t ink[BOX][BOX];
    trace_paint(rng, &trace, ink);

    double sum = 0;
    double sum_x = 0;
    double sum_y = 0;
    for (int y = 0; y < BOX; y++) {
        for (int x = 0; x < BOX; x++) {
            sum += ink[y][x];
            sum_x += ink[y][x] * x;
            sum_y += ink[y][x] * y;
        }
    }
    int left = centred_offset(sum_x, sum);
    int top = centred_offset(sum_y, sum);
    memset(pixels, 0, (size_t)SYNTH_SIDE * SYNTH_SIDE);
    for (int y = 0; y < BOX; y++) {
        memcpy(&pixels[(top + y) * SYNTH_SIDE + left], ink[y], BOX);
    }
}
