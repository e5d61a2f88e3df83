#include "prepare.h"

#include "normalise.h"
#include "shape.h"

void prepare_release(prepared *p)
{
    nn_free(p->digits);
    *p = (prepared){0};
}

/* The usual darkness of a digit's own ink. */
static unsigned own_ink(const light *l, const segments *s, size_t k)
{
    const box *b = &s->boxes[k];
    size_t sum = 0, n = 0;
    for (size_t y = b->top; y < b->bottom; y++) {
        for (size_t x = b->left; x < b->right; x++) {
            size_t at = y * l->dark.width + x;
            if (s->digit[s->piece[at]] == k + 1 && l->dark.at[at] > (l->ink + l->paper) / 2) {
                sum += l->dark.at[at];
                n++;
            }
        }
    }
    return n > 0 ? (unsigned)(sum / n) : l->ink;
}

/* Cuts digit k out: its ink and nothing else, 0 to 255. A quarter of the way from paper to ink is
 * none yet, three quarters are full: edges that a lens or a scaling has softened become sharp. */
static void cut(uint8_t *ink, const light *l, const segments *s, size_t k)
{
    const box *b = &s->boxes[k];
    unsigned contrast = own_ink(l, s, k) - l->paper;
    unsigned none = l->paper + contrast / 4, span = contrast / 2;
    for (size_t y = b->top; y < b->bottom; y++) {
        for (size_t x = b->left; x < b->right; x++, ink++) {
            size_t at = y * l->dark.width + x;
            unsigned dark = l->dark.at[at];
            bool own = s->digit[s->piece[at]] == k + 1 && dark > none;
            *ink = (uint8_t)(own ? smaller((dark - none) * 255 / span, 255) : 0);
        }
    }
}

/* The box in the picture's own pixels. */
static box enlarge(const box *b, const light *l, const image *picture)
{
    return (box){b->left * l->factor, b->top * l->factor,
                 smaller(b->right * l->factor, picture->width),
                 smaller(b->bottom * l->factor, picture->height)};
}

static nn_status prepare_digit(prepared_digit *out, const light *l, const segments *s, size_t k)
{
    const box *b = &s->boxes[k];
    plane ink = {b->right - b->left, b->bottom - b->top, NULL};
    ink.at = nn_alloc_array(ink.height, ink.width);
    if (!ink.at) {
        return nn_fail(NN_ERR_MEMORY, "out of memory");
    }
    cut(ink.at, l, s, k);
    normalise(out->pixels, &ink);
    out->is_digit = shape_is_digit(out->pixels);
    nn_free(ink.at);
    return NN_OK;
}

static nn_status prepare_all(prepared *out, const image *picture, const light *l, const segments *s)
{
    nn_status status = NN_OK;
    prepared p = {.digits = nn_alloc_array(s->n_digits, sizeof *p.digits)};
    if (!p.digits) {
        return nn_fail(NN_ERR_MEMORY, "out of memory");
    }
    for (; p.n < s->n_digits && status == NN_OK; p.n++) {
        p.digits[p.n].box = enlarge(&s->boxes[p.n], l, picture);
        status = prepare_digit(&p.digits[p.n], l, s, p.n);
    }
    if (status != NN_OK) {
        prepare_release(&p);
        return status;
    }
    *out = p;
    return NN_OK;
}

nn_status prepare(prepared *out, const image *picture)
{
    light l = {0};
    segments s = {0};
    prepared p = {0};
    nn_status status = light_measure(&l, picture);
    if (status == NN_OK) {
        status = segment_find(&s, &l);
    }
    if (status == NN_OK && s.n_digits > 0) {
        status = prepare_all(&p, picture, &l, &s);
    }
    if (status == NN_OK) {
        *out = p;
    }
    light_release(&l);
    segment_release(&s);
    return status;
}
