/* The perceptron: a step unit and Rosenblatt's rule. */
#include "fpenv.h"
#include "nnlib.h"

#include <math.h>

int nn_step_value(double a)
{
    return a >= 0 ? 1 : 0;
}

nn_status nn_perceptron_new(nn_perceptron **out, size_t inputs)
{
    if (inputs < 1 || inputs > NN_MAX_UNITS) {
        return nn_fail(NN_ERR_ARGUMENT, "a perceptron must have 1 to %zu inputs, not %zu",
                       NN_MAX_UNITS, inputs);
    }
    nn_perceptron *p = nn_alloc(sizeof *p);
    if (p) {
        p->inputs = inputs;
        p->weights = nn_alloc_array(inputs, sizeof *p->weights);
    }
    if (!p || !p->weights) {
        nn_perceptron_free(p);
        return nn_fail(NN_ERR_MEMORY, "out of memory for a perceptron of %zu inputs", inputs);
    }
    *out = p;
    return NN_OK;
}

void nn_perceptron_free(nn_perceptron *p)
{
    if (p) {
        nn_free(p->weights);
        nn_free(p);
    }
}

/* x[i] of sample k */
static double input(const nn_data *data, size_t k, size_t i)
{
    size_t place = k * data->inputs + i;
    return data->pixels ? data->pixels[place] / 255.0 : (double)data->values[place];
}

static NN_NOINLINE double weighted_sum(const nn_perceptron *p, const nn_data *data, size_t k)
{
    double a = p->bias;
    for (size_t i = 0; i < p->inputs; i++) {
        a = fma(p->weights[i], input(data, k, i), a);
    }
    return a;
}

double nn_perceptron_sum(const nn_perceptron *p, const nn_data *data, size_t k)
{
    const nn_fpenv before = nn_fpenv_set();
    double a = weighted_sum(p, data, k);
    nn_fpenv_restore(&before);
    return a;
}

static NN_NOINLINE int output(const nn_perceptron *p, const nn_data *data, size_t k)
{
    return nn_step_value(weighted_sum(p, data, k));
}

int nn_perceptron_output(const nn_perceptron *p, const nn_data *data, size_t k)
{
    const nn_fpenv before = nn_fpenv_set();
    int z = output(p, data, k);
    nn_fpenv_restore(&before);
    return z;
}

/* w <- w + mu (y - z) x;  b <- b + mu (y - z) */
static NN_NOINLINE bool learn(nn_perceptron *p, const nn_data *data, size_t k, double rate)
{
    double error = data->labels[k] - output(p, data, k); /* y - z: -1, 0 or 1 */
    for (size_t i = 0; i < p->inputs; i++) {
        p->weights[i] += rate * error * input(data, k, i);
    }
    p->bias += rate * error;
    return error != 0;
}

size_t nn_perceptron_pass(nn_perceptron *p, const nn_data *data, double rate)
{
    const nn_fpenv before = nn_fpenv_set();
    size_t mistakes = 0;
    for (size_t k = 0; k < data->n; k++) {
        mistakes += learn(p, data, k, rate);
    }
    nn_fpenv_restore(&before);
    return mistakes;
}

/* 1 + |x|^2: the bias is the weight of an input that is always 1. */
static double squared_length(const nn_data *data, size_t k)
{
    double sum = 1;
    for (size_t i = 0; i < data->inputs; i++) {
        sum += input(data, k, i) * input(data, k, i);
    }
    return sum;
}

static NN_NOINLINE double bound(const nn_perceptron *separator, const nn_data *data)
{
    double norm = separator->bias * separator->bias, longest = 0, margin = HUGE_VAL;
    for (size_t i = 0; i < separator->inputs; i++) {
        norm += separator->weights[i] * separator->weights[i];
    }
    for (size_t k = 0; k < data->n; k++) {
        double a = weighted_sum(separator, data, k);
        margin = fmin(margin, data->labels[k] ? a : -a);
        longest = fmax(longest, squared_length(data, k));
    }
    return margin > 0 ? longest * norm / (margin * margin) : HUGE_VAL;
}

double nn_perceptron_bound(const nn_perceptron *separator, const nn_data *data)
{
    const nn_fpenv before = nn_fpenv_set();
    double most = bound(separator, data);
    nn_fpenv_restore(&before);
    return most;
}
