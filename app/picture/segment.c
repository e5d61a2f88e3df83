#include "segment.h"

static size_t width_of(const box *b)
{
    return b->right - b->left;
}

static size_t height_of(const box *b)
{
    return b->bottom - b->top;
}

static size_t side_of(const box *b)
{
    return larger(width_of(b), height_of(b));
}

static box box_around(const box *a, const box *b)
{
    return (box){smaller(a->left, b->left), smaller(a->top, b->top), larger(a->right, b->right),
                 larger(a->bottom, b->bottom)};
}

void segment_release(segments *s)
{
    nn_free(s->piece);
    nn_free(s->digit);
    nn_free(s->boxes);
    *s = (segments){0};
}

/* ---- pieces: ink that hangs together ------------------------------------------------------ */

/* Ink that differs less from paper is none. */
#define CONTRAST_MIN 45

/* A piece is of pixels that are nearer to ink than this part of the way from paper, and one of
 * them is at least half way. */
#define WEAK_SHARE 3

/* The longer side of a piece is at least this, more in large pictures; the rest is specks. */
#define PIECE_SIDE_MIN 2
#define PIECE_SIDE_SHARE 100

typedef struct {
    const light *l;
    unsigned weak, strong; /* darkness from which on a pixel belongs to a piece, or makes one */
    size_t side_min;
    uint32_t *queue; /* [pixels]: those of the piece at hand */
    uint16_t *piece; /* as in segments; UNSEEN before a pixel is looked at */
    box *boxes;      /* [SEGMENT_MAX_PIECES] */
    size_t n;
} finder;

enum {
    NONE = 0,
    UNSEEN = UINT16_MAX
};

/* Follows a piece from one of its pixels to all that touch, corners included, and gives them its
 * number. Returns how many there are; *around and *strong tell of them. */
static size_t follow(finder *f, size_t start, uint16_t number, box *around, bool *strong)
{
    const plane *dark = &f->l->dark;
    const size_t width = larger(dark->width, 1);
    size_t n = 0;
    *around = (box){SIZE_MAX, SIZE_MAX, 0, 0};
    *strong = false;
    f->queue[n++] = (uint32_t)start;
    f->piece[start] = number;
    for (size_t k = 0; k < n; k++) {
        size_t x = f->queue[k] % width, y = f->queue[k] / width;
        const box own = {x, y, x + 1, y + 1};
        *around = box_around(around, &own);
        *strong = *strong || dark->at[f->queue[k]] >= f->strong;
        for (size_t row = y > 0 ? y - 1 : 0; row < smaller(y + 2, dark->height); row++) {
            for (size_t column = x > 0 ? x - 1 : 0; column < smaller(x + 2, dark->width);
                 column++) {
                size_t at = row * dark->width + column;
                if (f->piece[at] == UNSEEN) {
                    f->piece[at] = number;
                    f->queue[n++] = (uint32_t)at;
                }
            }
        }
    }
    return n;
}

/* Finds the pieces in the order of their first pixels. */
static void find_pieces(finder *f)
{
    size_t n = f->l->dark.width * f->l->dark.height;
    for (size_t i = 0; i < n; i++) {
        f->piece[i] = f->l->dark.at[i] >= f->weak ? UNSEEN : NONE;
    }
    for (size_t i = 0; i < n; i++) {
        box around;
        bool strong;
        if (f->piece[i] != UNSEEN) {
            continue;
        }
        size_t pixels = follow(f, i, (uint16_t)(f->n + 1), &around, &strong);
        if (strong && side_of(&around) >= f->side_min && f->n < SEGMENT_MAX_PIECES) {
            f->boxes[f->n++] = around;
        } else {
            for (size_t k = 0; k < pixels; k++) {
                f->piece[f->queue[k]] = NONE;
            }
        }
    }
}

/* ---- pieces that are no part of a digit --------------------------------------------------- */

/* What lies along the picture's edge for more than this part of its longer side is no digit: the
 * table under the paper, a shadow, a finger. */
#define ALONG_EDGE 2

/* Unless there is nothing else of some size: so large a part of the shorter side, and of the
 * largest piece at the edge. */
#define CLEAR_OF_SIDE 12
#define CLEAR_OF_EDGE 4

/* The longer side of a piece is at least this part of the largest one's. */
#define SPECK_SHARE 8

/* Counts the pixels of each piece on the picture's edge. */
static void count_edges(const finder *f, size_t *along)
{
    size_t width = f->l->dark.width, height = f->l->dark.height;
    for (size_t x = 0; x < width; x++) {
        along[f->piece[x]]++;
        along[f->piece[(height - 1) * width + x]]++;
    }
    for (size_t y = 0; y < height; y++) {
        along[f->piece[y * width]]++;
        along[f->piece[y * width + width - 1]]++;
    }
}

static void drop_edges(const finder *f, const size_t *along, bool *dropped)
{
    size_t clear = 0, edge = 0;
    for (size_t k = 0; k < f->n; k++) {
        dropped[k] = along[k + 1] * ALONG_EDGE > side_of(&f->boxes[k]);
        size_t *largest = dropped[k] ? &edge : &clear;
        *largest = larger(*largest, side_of(&f->boxes[k]));
    }
    bool alone = clear * CLEAR_OF_SIDE < smaller(f->l->dark.width, f->l->dark.height) &&
                 clear * CLEAR_OF_EDGE < edge;
    for (size_t k = 0; k < f->n; k++) {
        dropped[k] = dropped[k] && !alone;
    }
}

static void drop_specks(const finder *f, bool *dropped)
{
    size_t largest = 0;
    for (size_t k = 0; k < f->n; k++) {
        largest = larger(largest, dropped[k] ? 0 : side_of(&f->boxes[k]));
    }
    for (size_t k = 0; k < f->n; k++) {
        dropped[k] = dropped[k] || side_of(&f->boxes[k]) * SPECK_SHARE < largest;
    }
}

/* ---- pieces of one digit ------------------------------------------------------------------ */

/* The gap between two stretches, and how far they overlap. */
static size_t gap(size_t a_from, size_t a_to, size_t b_from, size_t b_to)
{
    return larger(a_from, b_from) > smaller(a_to, b_to)
               ? larger(a_from, b_from) - smaller(a_to, b_to)
               : 0;
}

static size_t overlap(size_t a_from, size_t a_to, size_t b_from, size_t b_to)
{
    return smaller(a_to, b_to) > larger(a_from, b_from)
               ? smaller(a_to, b_to) - larger(a_from, b_from)
               : 0;
}

/* Whether one piece stands above the other, near, as the halves of a broken 3 do. Two digits that
 * stand so differ little in height, leave a gap, and are taller together than a digit is. */
static bool are_halves(const box *a, const box *b)
{
    box both = box_around(a, b);
    size_t high = larger(height_of(a), height_of(b)), low = smaller(height_of(a), height_of(b));
    size_t across = overlap(a->left, a->right, b->left, b->right);
    size_t apart = gap(a->top, a->bottom, b->top, b->bottom);
    bool like_one = overlap(a->top, a->bottom, b->top, b->bottom) > 0 || low * 3 <= high * 2 ||
                    height_of(&both) * 2 <= width_of(&both) * 3;
    return across * 2 >= smaller(width_of(a), width_of(b)) && apart * 5 <= high && like_one;
}

/* Whether one piece is near another, and too low for a digit in the same line, as the roof of a 5
 * is. */
static bool is_roof(const box *a, const box *b)
{
    size_t high = larger(height_of(a), height_of(b)), low = smaller(height_of(a), height_of(b));
    size_t side = larger(side_of(a), side_of(b));
    return low * 2 <= high && gap(a->left, a->right, b->left, b->right) * 6 <= side &&
           gap(a->top, a->bottom, b->top, b->bottom) * 4 <= side;
}

static bool belong_together(const box *a, const box *b)
{
    return are_halves(a, b) || is_roof(a, b);
}

/* Gives each piece the number of the first piece of its digit; dropped ones keep 0. */
static void join_pieces(segments *s, const finder *f, const bool *dropped)
{
    for (size_t k = 0; k < f->n; k++) {
        s->digit[k + 1] = (uint16_t)(dropped[k] ? 0 : k + 1);
    }
    for (size_t a = 0; a < f->n; a++) {
        for (size_t b = a + 1; b < f->n; b++) {
            uint16_t one = s->digit[a + 1], other = s->digit[b + 1];
            if (one == other || !one || !other || !belong_together(&f->boxes[a], &f->boxes[b])) {
                continue;
            }
            uint16_t first = (uint16_t)smaller(one, other), later = (uint16_t)larger(one, other);
            for (size_t k = 0; k < f->n; k++) {
                s->digit[k + 1] = s->digit[k + 1] == later ? first : s->digit[k + 1];
            }
        }
    }
}

/* Counts the digits by their pieces, and puts boxes around them. */
static void number_digits(segments *s, const finder *f)
{
    for (size_t first = 1; first <= f->n; first++) {
        if (s->digit[first] != first) {
            continue;
        }
        box around = f->boxes[first - 1];
        for (size_t k = first; k <= f->n; k++) {
            if (s->digit[k] == first) {
                around = box_around(&around, &f->boxes[k - 1]);
                s->digit[k] = (uint16_t)(s->n_digits + 1);
            }
        }
        s->boxes[s->n_digits++] = around;
    }
}

/* ---- reading order ------------------------------------------------------------------------ */

/* Whether b stands in the line of a, its neighbour to the left: they overlap by half the lower
 * one's height. */
static bool in_line(const box *a, const box *b)
{
    return overlap(a->top, a->bottom, b->top, b->bottom) * 2 >= smaller(height_of(a), height_of(b));
}

typedef struct {
    size_t line, place; /* the line's number; where the digit comes */
    size_t top;         /* of the line's first digit */
} position;

static bool comes_before(const segments *s, const position *at, size_t a, size_t b)
{
    if (at[a].line != at[b].line) {
        return at[a].top != at[b].top ? at[a].top < at[b].top : at[a].line < at[b].line;
    }
    return s->boxes[a].left != s->boxes[b].left ? s->boxes[a].left < s->boxes[b].left : a < b;
}

/* Gives each digit, from the left to the right, the line of the nearest one before it that it
 * stands in line with, so that lines may rise or fall. */
static void find_lines(const segments *s, position *at)
{
    for (size_t turn = 0; turn < s->n_digits; turn++) {
        size_t own = SIZE_MAX, before = SIZE_MAX;
        for (size_t k = 0; k < s->n_digits; k++) {
            bool waiting = at[k].line == 0;
            if (waiting && (own == SIZE_MAX || s->boxes[k].left < s->boxes[own].left)) {
                own = k;
            }
        }
        for (size_t k = 0; k < s->n_digits; k++) {
            if (at[k].line > 0 && in_line(&s->boxes[k], &s->boxes[own]) &&
                (before == SIZE_MAX || s->boxes[k].left > s->boxes[before].left)) {
                before = k;
            }
        }
        at[own].line = before == SIZE_MAX ? turn + 1 : at[before].line;
        at[own].top = before == SIZE_MAX ? s->boxes[own].top : at[before].top;
    }
}

/* Puts the digits in reading order. */
static nn_status sort_digits(segments *s)
{
    if (s->n_digits < 2) {
        return NN_OK;
    }
    position *at = nn_alloc_array(s->n_digits, sizeof *at);
    box *sorted = nn_alloc_array(s->n_digits, sizeof *sorted);
    if (!at || !sorted) {
        nn_free(at);
        nn_free(sorted);
        return nn_fail(NN_ERR_MEMORY, "out of memory");
    }
    find_lines(s, at);
    for (size_t a = 0; a < s->n_digits; a++) {
        for (size_t b = 0; b < s->n_digits; b++) {
            at[a].place += b != a && comes_before(s, at, b, a);
        }
        sorted[at[a].place] = s->boxes[a];
    }
    for (size_t k = 1; k <= s->n_pieces; k++) {
        s->digit[k] = (uint16_t)(s->digit[k] ? at[s->digit[k] - 1].place + 1 : 0);
    }
    nn_free(s->boxes);
    s->boxes = sorted;
    nn_free(at);
    return NN_OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static nn_status group(segments *s, const finder *f)
{
    bool *dropped = nn_alloc_array(f->n + 1, sizeof *dropped);
    size_t *along = nn_alloc_array(f->n + 1, sizeof *along);
    s->digit = nn_alloc_array(f->n + 1, sizeof *s->digit);
    s->boxes = nn_alloc_array(f->n + 1, sizeof *s->boxes);
    s->n_pieces = f->n;
    if (!dropped || !along || !s->digit || !s->boxes) {
        nn_free(dropped);
        nn_free(along);
        return nn_fail(NN_ERR_MEMORY, "out of memory");
    }
    count_edges(f, along);
    drop_edges(f, along, dropped);
    drop_specks(f, dropped);
    join_pieces(s, f, dropped);
    number_digits(s, f);
    nn_free(dropped);
    nn_free(along);
    return sort_digits(s);
}

nn_status segment_find(segments *out, const light *l)
{
    size_t n = l->dark.width * l->dark.height;
    unsigned contrast = (unsigned)l->ink - l->paper;
    segments s = {.piece = nn_alloc_array(n, sizeof *s.piece)};
    finder f = {.l = l,
                .weak = l->paper + contrast / WEAK_SHARE + 1,
                .strong = l->paper + contrast / 2 + 1,
                .side_min =
                    PIECE_SIDE_MIN + smaller(l->dark.width, l->dark.height) / PIECE_SIDE_SHARE,
                .queue = nn_alloc_array(n, sizeof *f.queue),
                .piece = s.piece,
                .boxes = nn_alloc_array(SEGMENT_MAX_PIECES, sizeof *f.boxes)};
    nn_status status = NN_OK;
    if (!s.piece || !f.queue || !f.boxes) {
        status = nn_fail(NN_ERR_MEMORY, "out of memory");
    } else if (contrast >= CONTRAST_MIN) {
        find_pieces(&f);
        status = group(&s, &f);
    }
    nn_free(f.queue);
    nn_free(f.boxes);
    if (status != NN_OK) {
        segment_release(&s);
        return status;
    }
    *out = s;
    return NN_OK;
}
