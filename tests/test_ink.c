/* The training pixels packed: nothing is lost, and where it would not pay nothing is packed. */
#include "ink.h"

#include <criterion/criterion.h>

#define SAMPLES ((size_t)40)
#define INPUTS ((size_t)100) /* not a multiple of 64 */

static const nn_kernels *best_kernels(void)
{
    const nn_kernels *kernels;
    cr_assert_eq(nn_kernels_choose(&kernels), NN_OK);
    if (!kernels->write_ink) {
        cr_skip_test("these kernels take no ink");
    }
    return kernels;
}

/* One pixel in `rarity` is inked. */
static nn_data random_data(uint8_t *pixels, size_t rarity)
{
    nn_rng rng;
    nn_rng_seed(&rng, 1);
    for (size_t k = 0; k < SAMPLES * INPUTS; k++) {
        pixels[k] = nn_rng_below(&rng, rarity) == 0 ? (uint8_t)(1 + nn_rng_below(&rng, 255)) : 0;
    }
    return (nn_data){.n = SAMPLES, .inputs = INPUTS, .pixels = pixels};
}

static void unpack(uint8_t *pixels, const uint8_t *record)
{
    const uint8_t *inked = record + NN_INK_MASKS(INPUTS);
    for (size_t i = 0; i < INPUTS; i++) {
        uint64_t mask;
        memcpy(&mask, record + i / 64 * 8, sizeof mask);
        pixels[i] = mask >> (i % 64) & 1 ? *inked++ : 0;
    }
}

Test(ink, holds_every_pixel)
{
    const nn_kernels *kernels = best_kernels();
    uint8_t pixels[SAMPLES * INPUTS], found[INPUTS];
    nn_data data = random_data(pixels, 6);
    nn_ink *ink;
    nn_ink_new(&ink, kernels, &data);
    cr_assert_not_null(ink);
    for (size_t k = 0; k < SAMPLES; k++) {
        unpack(found, nn_ink_record(ink, k));
        cr_assert_arr_eq(found, pixels + k * INPUTS, INPUTS, "sample %zu", k);
    }
    nn_ink_free(ink);
}

Test(ink, is_not_made_where_most_pixels_are_inked)
{
    const nn_kernels *kernels = best_kernels();
    uint8_t pixels[SAMPLES * INPUTS];
    nn_data data = random_data(pixels, 2);
    nn_ink *ink;
    nn_ink_new(&ink, kernels, &data);
    cr_assert_null(ink);
}

Test(ink, is_not_made_of_numbers_or_for_kernels_that_take_none)
{
    uint8_t pixels[SAMPLES * INPUTS];
    const nn_real values[INPUTS] = {0};
    nn_data data = random_data(pixels, 6), numbers = {.n = 1, .inputs = INPUTS, .values = values};
    nn_ink *ink;
    nn_ink_new(&ink, &nn_kernels_ref, &data);
    cr_assert_null(ink);
    nn_ink_new(&ink, best_kernels(), &numbers);
    cr_assert_null(ink);
}
