/* Promise: digits are found and prepared in any picture whatever, of any size; see
 * check_prepared.c. An input is a picture without format: colours, width, pixels. */
#include "check_prepared.h"
#include "fuzz.h"
#include "synth.h"

#include <string.h>

enum {
    COLOURS,    /* a byte: even for grey, odd for colours */
    WIDTH,      /* two bytes, big-endian, less one */
    PIXELS = 3, /* as many rows as are complete */
    WIDTH_MAX = 2048
};

void fuzz_one(const uint8_t *data, size_t n)
{
    if (n <= PIXELS) {
        return;
    }
    image picture = {.channels = data[COLOURS] % 2 == 0 ? 1 : 3};
    picture.width = ((size_t)data[WIDTH] << 8 | data[WIDTH + 1]) % WIDTH_MAX + 1;
    picture.height = (n - PIXELS) / (picture.width * picture.channels);
    const size_t size = picture.height * picture.width * picture.channels;
    if (size == 0) {
        return;
    }
    picture.pixels = malloc(size);
    require(picture.pixels);
    memcpy(picture.pixels, data + PIXELS, size);
    check_prepared(&picture);
    free(picture.pixels);
}

/* ---- inputs ------------------------------------------------------------------------------- */

typedef struct {
    size_t width, height, colours;
    uint8_t paper, ink[3];
    size_t digits; /* beside each other and below */
} page;

static void draw(uint8_t *pixels, const page *p, size_t left, size_t top, unsigned label)
{
    uint8_t digit[SYNTH_SIDE * SYNTH_SIDE];
    nn_rng rng;
    nn_rng_seed(&rng, label);
    synth_digit(&rng, label, digit);
    for (size_t k = 0; k < sizeof digit; k++) {
        const size_t x = left + k % SYNTH_SIDE, y = top + k / SYNTH_SIDE;
        for (size_t c = 0; c < p->colours && x < p->width && y < p->height; c++) {
            const int range = p->ink[c] - p->paper;
            pixels[(y * p->width + x) * p->colours + c] =
                (uint8_t)(p->paper + range * digit[k] / 255);
        }
    }
}

static void seed_page(fuzz_seed *seed, const page *p)
{
    const size_t size = p->width * p->height * p->colours, across = p->width / SYNTH_SIDE + 1;
    uint8_t *data = malloc(PIXELS + size);
    require(data);
    data[COLOURS] = p->colours == 3;
    data[WIDTH] = (uint8_t)((p->width - 1) >> 8);
    data[WIDTH + 1] = (uint8_t)(p->width - 1);
    memset(data + PIXELS, p->paper, size);
    for (size_t k = 0; k < p->digits; k++) {
        draw(data + PIXELS, p, k % across * SYNTH_SIDE, k / across * SYNTH_SIDE, (unsigned)k);
    }
    seed(data, PIXELS + size);
    free(data);
}

void fuzz_seeds(fuzz_seed *seed)
{
    static const page pages[] = {
        {28, 28, 1, 0, {255}, 1},           {28, 28, 1, 255, {0}, 1},
        {56, 56, 1, 230, {30}, 4},          {84, 40, 1, 60, {200}, 3},
        {40, 30, 3, 250, {0, 0, 0}, 1},     {33, 28, 3, 200, {200, 40, 200}, 1},
        {28, 33, 3, 200, {255, 255, 0}, 1}, {130, 30, 1, 255, {0}, 4},
        {1, 4000, 1, 255, {0}, 0},          {1300, 3, 1, 128, {0}, 2},
        {700, 1, 3, 9, {90, 0, 0}, 2},      {4, 4, 1, 0, {255}, 1},
        {20, 20, 1, 127, {128}, 1},         {1, 1, 3, 7, {0}, 0},
    };
    for (size_t k = 0; k < sizeof pages / sizeof pages[0]; k++) {
        seed_page(seed, &pages[k]);
    }
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t max, uint32_t random)
{
    if (random % 4 == 0 || n <= PIXELS) {
        return LLVMFuzzerMutate(data, n, max);
    }
    return PIXELS + LLVMFuzzerMutate(data + PIXELS, n - PIXELS, max - PIXELS);
}
