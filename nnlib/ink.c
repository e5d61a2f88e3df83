#include "ink.h"

/* Finds where each record begins, and returns how many units they take; 0: more than half as many
 * as the pixels themselves. */
static size_t measure(uint32_t *start, const nn_kernels *kernels, const nn_data *data)
{
    const size_t limit = data->n * data->inputs / 2 / NN_INK_UNIT;
    size_t units = 0;
    for (size_t k = 0; k < data->n; k++) {
        start[k] = (uint32_t)units;
        size_t bytes = kernels->write_ink(NULL, data->pixels + k * data->inputs, data->inputs);
        units += (bytes + NN_INK_UNIT - 1) / NN_INK_UNIT;
        if (units > limit || units > UINT32_MAX) {
            return 0;
        }
    }
    start[data->n] = (uint32_t)units;
    return units;
}

/* False: no memory for it, or too much ink. */
static bool fill(nn_ink *ink, const nn_kernels *kernels, const nn_data *data)
{
    ink->start = nn_alloc_array(data->n + 1, sizeof *ink->start);
    size_t units = ink->start ? measure(ink->start, kernels, data) : 0;
    if (units == 0) {
        return false;
    }
    ink->records = nn_alloc(units * NN_INK_UNIT + NN_INK_SLACK);
    if (!ink->records) {
        return false;
    }
    ink->pixels = data->pixels;
    ink->n = data->n;
    ink->typical = units * NN_INK_UNIT / data->n + 64;
    for (size_t k = 0; k < data->n; k++) {
        kernels->write_ink(ink->records + ink->start[k] * NN_INK_UNIT,
                           data->pixels + k * data->inputs, data->inputs);
    }
    return true;
}

void nn_ink_new(nn_ink **out, const nn_kernels *kernels, const nn_data *data)
{
    *out = NULL;
    nn_ink *ink = kernels->write_ink && data->pixels ? nn_alloc(sizeof *ink) : NULL;
    if (ink && !fill(ink, kernels, data)) {
        nn_ink_free(ink);
        ink = NULL;
    }
    *out = ink;
}

void nn_ink_free(nn_ink *ink)
{
    if (ink) {
        nn_free(ink->start);
        nn_free(ink->records);
        nn_free(ink);
    }
}
