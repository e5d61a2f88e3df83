#include "stats.h"

#include <math.h>

stats stats_none(void)
{
    return (stats){.min = (double)INFINITY, .max = -(double)INFINITY};
}

void stats_add(stats *s, double value)
{
    s->n++;
    if (!isfinite(value)) {
        s->n_odd++;
        return;
    }
    s->n_zero += value == 0.0;
    s->min = fmin(s->min, value);
    s->max = fmax(s->max, value);
    s->sum += value;
    s->squares += value * value;
}

double stats_mean(const stats *s)
{
    return s->n > s->n_odd ? s->sum / (double)(s->n - s->n_odd) : 0;
}

double stats_norm(const stats *s)
{
    return sqrt(s->squares);
}

static double element(const nn_idx *idx, size_t k)
{
    switch (idx->type) {
    case NN_IDX_U8:
        return ((const uint8_t *)idx->data)[k];
    case NN_IDX_I8:
        return ((const int8_t *)idx->data)[k];
    case NN_IDX_I16:
        return ((const int16_t *)idx->data)[k];
    case NN_IDX_I32:
        return ((const int32_t *)idx->data)[k];
    case NN_IDX_F32:
        return (double)((const float *)idx->data)[k];
    case NN_IDX_F64:
        return ((const double *)idx->data)[k];
    }
    return 0;
}

stats stats_of_idx(const nn_idx *idx)
{
    stats s = stats_none();
    for (size_t k = 0; k < idx->count; k++) {
        stats_add(&s, element(idx, k));
    }
    return s;
}
