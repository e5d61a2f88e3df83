/* What holds for the digits found in any picture. */
#include "check_prepared.h"

#include "picture/prepare.h"
#include "picture/shape.h"

#include <string.h>

enum {
    BUFFERS = 1 << 20, /* bytes of memory that do not depend on the picture */
    PER_PIXEL = 32     /* and those for each of its pixels */
};

static void check_digit(const prepared_digit *digit, const image *picture)
{
    const box *b = &digit->box;
    unsigned darkest = 0;
    require(b->left < b->right && b->right <= picture->width);
    require(b->top < b->bottom && b->bottom <= picture->height);
    require(digit->is_digit == shape_is_digit(digit->pixels));
    for (size_t k = 0; k < sizeof digit->pixels; k++) {
        darkest = digit->pixels[k] > darkest ? digit->pixels[k] : darkest;
    }
    require(darkest > 0);
}

static void check_same(const prepared *expected, const image *picture)
{
    prepared found = {0};
    require(prepare(&found, picture) == NN_OK);
    require(found.n == expected->n);
    for (size_t k = 0; k < found.n; k++) {
        const prepared_digit *a = &expected->digits[k], *b = &found.digits[k];
        require(a->box.left == b->box.left && a->box.right == b->box.right);
        require(a->box.top == b->box.top && a->box.bottom == b->box.bottom);
        require(a->is_digit == b->is_digit);
        require(memcmp(a->pixels, b->pixels, sizeof a->pixels) == 0);
    }
    prepare_release(&found);
}

/* A grey picture is also one of three equal colours. */
static void check_same_in_colour(const prepared *expected, const image *grey)
{
    const size_t n = grey->width * grey->height;
    const image colour = {grey->width, grey->height, 3, malloc(3 * n)};
    require(colour.pixels);
    for (size_t k = 0; k < n; k++) {
        memset(colour.pixels + 3 * k, grey->pixels[k], 3);
    }
    check_same(expected, &colour);
    free(colour.pixels);
}

void check_prepared(const image *picture)
{
    prepared p = {0};
    fuzz_memory_begin();
    require(prepare(&p, picture) == NN_OK);
    require(fuzz_memory_peak() <= BUFFERS + PER_PIXEL * picture->width * picture->height);
    require((p.n > 0) == (p.digits != NULL));
    for (size_t k = 0; k < p.n; k++) {
        check_digit(&p.digits[k], picture);
    }
    if (picture->channels == 1) {
        check_same_in_colour(&p, picture);
    } else {
        check_same(&p, picture);
    }
    prepare_release(&p);
}
