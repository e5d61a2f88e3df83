/* Promise: a network has the shape that was asked for and no other, starts from weights drawn as
 * its initialiser says, and gives access to each parameter under its place in the formulas. */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(net, .init = fixtures_begin, .fini = fixtures_end);

static nn_net *new_net(const nn_config *config, uint64_t seed)
{
    nn_net *net = NULL;
    cr_assert_eq(nn_net_new(&net, config, seed), NN_OK, "%s", nn_error_text());
    return net;
}

/* 784-15-10, sigmoid and softmax: the example of the notes. */
static const nn_layer example_layers[] = {{15, NN_SIGMOID, 0.02}, {10, NN_SOFTMAX, 0}};
static const nn_config example = {
    .inputs = 784,
    .n_layers = 2,
    .layers = example_layers,
    .loss = NN_CROSS_ENTROPY,
    .initialiser = NN_GLOROT,
    .input_dropout = 0.1,
};

static bool same_params(nn_net *a, nn_net *b)
{
    for (size_t k = 0; k < nn_net_n_params(a); k++) {
        if (*nn_net_param(a, k) != *nn_net_param(b, k)) {
            return false;
        }
    }
    return nn_net_n_params(a) == nn_net_n_params(b);
}

/* ---- shape --------------------------------------------------------------------------------- */

Test(net, example_784_15_10_has_11935_parameters)
{
    nn_net *net = new_net(&example, 1);
    cr_assert_eq(nn_net_n_params(net), 11935);
    cr_assert_eq(nn_net_n_params(net), 11760 + 15 + 150 + 10);
    cr_assert_eq(nn_net_outputs(net), 10);
    /* Where each block begins in a file's order. */
    cr_assert_eq(nn_net_param(net, 0), nn_net_weight(net, 0, 0, 0));
    cr_assert_eq(nn_net_param(net, 11759), nn_net_weight(net, 0, 14, 783));
    cr_assert_eq(nn_net_param(net, 11760), nn_net_bias(net, 0, 0));
    cr_assert_eq(nn_net_param(net, 11760 + 15), nn_net_weight(net, 1, 0, 0));
    cr_assert_eq(nn_net_param(net, 11760 + 15 + 150), nn_net_bias(net, 1, 0));
    cr_assert_eq(nn_net_param(net, 11934), nn_net_bias(net, 1, 9));
    nn_net_free(net);
}

Test(net, example_3_4_4_1_has_12_and_16_weights_and_a_bias_a_unit)
{
    const nn_layer layers[] = {{4, NN_TANH, 0}, {4, NN_TANH, 0}, {1, NN_SIGMOID, 0}};
    const nn_config config = {3, 3, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    nn_net *net = new_net(&config, 1);
    cr_assert_eq(nn_net_n_params(net), (12 + 4) + (16 + 4) + (4 + 1));
    cr_assert_eq(nn_net_param(net, 12), nn_net_bias(net, 0, 0));
    cr_assert_eq(nn_net_param(net, 12 + 4), nn_net_weight(net, 1, 0, 0));
    cr_assert_eq(nn_net_param(net, 12 + 4 + 16), nn_net_bias(net, 1, 0));
    cr_assert_eq(nn_net_param(net, 12 + 4 + 16 + 4), nn_net_weight(net, 2, 0, 0));
    cr_assert_eq(nn_net_param(net, 12 + 4 + 16 + 4 + 4), nn_net_bias(net, 2, 0));
    nn_net_free(net);
}

Test(net, parameters_are_in_the_order_of_a_file_and_each_has_its_own_place)
{
    const nn_layer layers[] = {{17, NN_RELU, 0}, {3, NN_TANH, 0}, {2, NN_SIGMOID, 0}};
    const nn_config config = {5, 3, layers, NN_SQUARED_ERROR, NN_ZERO, 0};
    nn_net *net = new_net(&config, 1);
    const size_t inputs[] = {5, 17, 3};
    size_t k = 0;
    for (size_t l = 0; l < 3; l++) {
        for (size_t j = 0; j < layers[l].units; j++) {
            for (size_t i = 0; i < inputs[l]; i++) {
                cr_assert_eq(nn_net_param(net, k++), nn_net_weight(net, l, j, i));
            }
        }
        for (size_t j = 0; j < layers[l].units; j++) {
            cr_assert_eq(nn_net_param(net, k++), nn_net_bias(net, l, j));
        }
    }
    cr_assert_eq(nn_net_n_params(net), k);
    for (k = 0; k < nn_net_n_params(net); k++) {
        *nn_net_param(net, k) = (nn_real)k + 1;
    }
    for (k = 0; k < nn_net_n_params(net); k++) {
        cr_assert_eq(*nn_net_param(net, k), (nn_real)k + 1);
    }
    nn_net_free(net);
}

Test(net, config_is_copied_with_its_layers)
{
    nn_layer layers[] = {{4, NN_LEAKY_RELU, 0.25}, {3, NN_SIGMOID, 0}};
    nn_config config = {2, 2, layers, NN_BINARY_CROSS_ENTROPY, NN_HE, 0.5};
    nn_net *net = new_net(&config, 1);
    layers[0] = (nn_layer){99, NN_TANH, 0.75};
    config.inputs = 99;
    const nn_config *kept = nn_net_config(net);
    cr_assert_eq(kept->inputs, 2);
    cr_assert_eq(kept->n_layers, 2);
    cr_assert_eq(kept->layers[0].units, 4);
    cr_assert_eq(kept->layers[0].activation, NN_LEAKY_RELU);
    cr_assert_eq(kept->layers[0].dropout, 0.25);
    cr_assert_eq(kept->layers[1].units, 3);
    cr_assert_eq(kept->layers[1].activation, NN_SIGMOID);
    cr_assert_eq(kept->loss, NN_BINARY_CROSS_ENTROPY);
    cr_assert_eq(kept->initialiser, NN_HE);
    cr_assert_eq(kept->input_dropout, 0.5);
    nn_net_free(net);
}

Test(net, sixty_four_layers_and_a_million_units_are_allowed)
{
    nn_layer layers[NN_MAX_LAYERS];
    for (size_t l = 0; l < NN_MAX_LAYERS; l++) {
        layers[l] = (nn_layer){1, NN_TANH, 0};
    }
    const nn_config deep = {1, NN_MAX_LAYERS, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    nn_net *net = new_net(&deep, 1);
    cr_assert_eq(nn_net_n_params(net), 2 * NN_MAX_LAYERS);
    nn_net_free(net);
    layers[0].units = NN_MAX_UNITS;
    const nn_config wide = {1, 1, layers, NN_SQUARED_ERROR, NN_ZERO, 0};
    net = new_net(&wide, 1);
    cr_assert_eq(nn_net_n_params(net), 2 * NN_MAX_UNITS);
    nn_net_free(net);
}

/* ---- initialisers -------------------------------------------------------------------------- */

typedef struct {
    size_t n;
    double mean, variance, kurtosis, least, largest;
} moments;

static moments first_layer_moments(nn_initialiser initialiser, size_t inputs, size_t units)
{
    const nn_layer layer = {units, NN_IDENTITY, 0};
    const nn_config config = {inputs, 1, &layer, NN_SQUARED_ERROR, initialiser, 0};
    nn_net *net = new_net(&config, 5);
    moments m = {.n = inputs * units, .least = HUGE_VAL, .largest = -HUGE_VAL};
    double power[5] = {0};
    for (size_t k = 0; k < m.n; k++) {
        const double w = (double)*nn_net_param(net, k);
        m.least = fmin(m.least, w);
        m.largest = fmax(m.largest, w);
        power[1] += w / (double)m.n;
        power[2] += w * w / (double)m.n;
        power[4] += w * w * w * w / (double)m.n;
    }
    for (size_t j = 0; j < units; j++) {
        cr_assert_eq(*nn_net_bias(net, 0, j), 0);
    }
    nn_net_free(net);
    m.mean = power[1];
    m.variance = power[2] - power[1] * power[1];
    m.kurtosis = power[4] / (power[2] * power[2]);
    return m;
}

/* Uniform in +-sqrt(6 / (784 + 16)) = +-0.0866: variance limit^2 / 3, kurtosis 9/5. */
Test(net, glorot_weights_are_uniform_within_their_bound)
{
    const moments m = first_layer_moments(NN_GLOROT, 784, 16);
    const double limit = 0.08660254037844387; /* sqrt(6 / 800) */
    cr_assert(m.least >= -limit && m.largest <= limit);
    cr_assert(m.least < -0.999 * limit && m.largest > 0.999 * limit);
    cr_assert_lt(fabs(m.mean), 0.02 * limit);
    cr_assert_lt(fabs(m.variance / (limit * limit / 3) - 1), 0.03);
    cr_assert_lt(fabs(m.kurtosis - 1.8), 0.05);
}

/* Kurtosis 3 of 100,000 draws: standard error 0.0155; variance: 0.0045. */
Test(net, normal_initialisers_have_their_variances)
{
    static const struct {
        nn_initialiser initialiser;
        double variance;
    } table[] = {{NN_LECUN, 1.0 / 500}, {NN_HE, 2.0 / 500}, {NN_NORMAL, 1.0}};
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        const moments m = first_layer_moments(table[t].initialiser, 500, 200);
        const char *name = nn_initialiser_name(table[t].initialiser);
        const double deviation = sqrt(table[t].variance);
        cr_assert_lt(fabs(m.mean), 0.013 * deviation, "%s", name);
        cr_assert_lt(fabs(m.variance / table[t].variance - 1), 0.018, "%s", name);
        cr_assert_lt(fabs(m.kurtosis - 3), 0.065, "%s", name);
        cr_assert_gt(m.largest, 3.5 * deviation, "%s", name);
    }
}

Test(net, zero_initialiser_gives_zeros)
{
    const moments m = first_layer_moments(NN_ZERO, 10, 10);
    cr_assert_eq(m.least, 0);
    cr_assert_eq(m.largest, 0);
}

/* Fan-out counts as well, and each layer has its own bound. */
Test(net, each_layer_is_drawn_for_its_own_fan_in_and_fan_out)
{
    nn_net *net = new_net(&example, 9);
    const double limit = sqrt(6.0 / (15 + 10));
    double largest = 0;
    for (size_t k = 11775; k < 11775 + 150; k++) {
        largest = fmax(largest, fabs((double)*nn_net_param(net, k)));
    }
    cr_assert(largest <= limit && largest > 0.95 * limit);
    nn_net_free(net);
}

/* Python: float32(sqrt(6 / 799) (2 u - 1)) for the first u of xoshiro256** seeded with 42. */
Test(net, seed_means_the_same_weights_everywhere)
{
    static const float expected[] = {-0x1.27698c0p-4f, -0x1.57a4cc0p-6f, 0x1.ff3ed20p-6f,
                                     0x1.2d7c6e0p-4f};
    nn_net *net = new_net(&example, 42);
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        cr_assert_eq(*nn_net_param(net, k), expected[k], "weight %zu", k);
    }
    nn_net_free(net);
}

Test(net, same_seed_gives_the_same_weights_and_another_seed_others)
{
    nn_net *one = new_net(&example, 7);
    nn_net *same = new_net(&example, 7);
    nn_net *other = new_net(&example, 8);
    cr_assert(same_params(one, same));
    size_t equal = 0;
    for (size_t k = 0; k < 11760; k++) {
        equal += *nn_net_param(one, k) == *nn_net_param(other, k);
    }
    cr_assert_lt(equal, 5);
    nn_net_free(one);
    nn_net_free(same);
    nn_net_free(other);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void assert_refused(const nn_config *config, const char *text)
{
    nn_net *const before = (nn_net *)(void *)&example_layers; /* anything but NULL */
    nn_net *net = before;
    cr_assert_eq(nn_net_new(&net, config, 1), NN_ERR_ARGUMENT, "accepted, expected: %s", text);
    cr_assert_eq(net, before);
    cr_assert_str_eq(nn_error_text(), text);
}

Test(net, impossible_sizes_are_refused)
{
    const nn_layer one = {1, NN_SIGMOID, 0};
    const nn_layer none = {0, NN_SIGMOID, 0};
    const nn_layer many = {NN_MAX_UNITS + 1, NN_SIGMOID, 0};
    const nn_layer second_empty[] = {{1, NN_SIGMOID, 0}, {0, NN_SIGMOID, 0}};
    static nn_layer deep[NN_MAX_LAYERS + 1];
    const nn_loss loss = NN_SQUARED_ERROR;
    assert_refused(&(nn_config){0, 1, &one, loss, NN_GLOROT, 0},
                   "a network must have 1 to 1048576 inputs, not 0");
    assert_refused(&(nn_config){1048577, 1, &one, loss, NN_GLOROT, 0},
                   "a network must have 1 to 1048576 inputs, not 1048577");
    assert_refused(&(nn_config){1, 0, &one, loss, NN_GLOROT, 0},
                   "a network must have 1 to 64 layers, not 0");
    assert_refused(&(nn_config){1, 65, deep, loss, NN_GLOROT, 0},
                   "a network must have 1 to 64 layers, not 65");
    assert_refused(&(nn_config){1, 1, &none, loss, NN_GLOROT, 0},
                   "layer 1 must have 1 to 1048576 units, not 0");
    assert_refused(&(nn_config){1, 1, &many, loss, NN_GLOROT, 0},
                   "layer 1 must have 1 to 1048576 units, not 1048577");
    assert_refused(&(nn_config){1, 2, second_empty, loss, NN_GLOROT, 0},
                   "layer 2 must have 1 to 1048576 units, not 0");
}

Test(net, impossible_dropouts_are_refused)
{
    static const double wrong[] = {-0.1, 1.0, 2.0, -HUGE_VAL, HUGE_VAL, (double)NAN};
    const char *const hidden =
        "dropout must be at least 0 and less than 1, and 0 in the last layer";
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        const nn_layer layers[] = {{2, NN_SIGMOID, wrong[k]}, {1, NN_SIGMOID, 0}};
        const nn_layer last = {1, NN_SIGMOID, 0};
        assert_refused(&(nn_config){1, 2, layers, NN_SQUARED_ERROR, NN_GLOROT, 0}, hidden);
        assert_refused(&(nn_config){1, 1, &last, NN_SQUARED_ERROR, NN_GLOROT, wrong[k]},
                       "input dropout must be at least 0 and less than 1");
    }
    const nn_layer last = {1, NN_SIGMOID, 0.5};
    assert_refused(&(nn_config){1, 1, &last, NN_SQUARED_ERROR, NN_GLOROT, 0}, hidden);
}

Test(net, impossible_choices_are_refused)
{
    const nn_layer early[] = {{2, NN_SOFTMAX, 0}, {2, NN_SOFTMAX, 0}};
    const nn_layer unknown = {2, NN_N_ACTIVATIONS, 0};
    const nn_layer softmax = {2, NN_SOFTMAX, 0};
    const nn_layer sigmoid = {2, NN_SIGMOID, 0};
    assert_refused(&(nn_config){1, 2, early, NN_CROSS_ENTROPY, NN_GLOROT, 0},
                   "softmax goes into the last layer only, not into layer 1");
    assert_refused(&(nn_config){1, 1, &unknown, NN_CROSS_ENTROPY, NN_GLOROT, 0},
                   "layer 1 has no known activation");
    assert_refused(&(nn_config){1, 1, &softmax, NN_SQUARED_ERROR, NN_GLOROT, 0},
                   "the loss squared-error does not go with softmax in the last layer");
    assert_refused(&(nn_config){1, 1, &sigmoid, NN_CROSS_ENTROPY, NN_GLOROT, 0},
                   "the loss cross-entropy does not go with sigmoid in the last layer");
    assert_refused(&(nn_config){1, 1, &sigmoid, NN_N_LOSSES, NN_GLOROT, 0},
                   "the loss given does not go with sigmoid in the last layer");
    assert_refused(&(nn_config){1, 1, &sigmoid, NN_SQUARED_ERROR, NN_N_INITIALISERS, 0},
                   "no known initialiser");
}

Test(net, failing_memory_is_reported_and_nothing_is_left_behind)
{
    nn_net *net = NULL;
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    cr_assert_eq(nn_net_new(&net, &example, 1), NN_ERR_MEMORY);
    cr_assert_str_eq(nn_error_text(), "out of memory for a network");
    fault_at(FAULT_ALLOC, 2, ENOMEM, false);
    cr_assert_eq(nn_net_new(&net, &example, 1), NN_ERR_MEMORY);
    cr_assert_str_eq(nn_error_text(), "out of memory for a network of 11935 parameters");
    cr_assert_null(net);
    fault_clear();
    nn_net *original = new_net(&example, 1);
    fault_at(FAULT_ALLOC, 1, ENOMEM, true);
    cr_assert_eq(nn_net_clone(&net, original), NN_ERR_MEMORY);
    cr_assert_null(net);
    fault_clear();
    nn_net_free(original);
}

/* ---- copies -------------------------------------------------------------------------------- */

Test(net, clone_is_equal_and_independent)
{
    nn_net *original = new_net(&example, 3);
    nn_net *copy = NULL;
    *nn_net_bias(original, 1, 9) = 0.5f;
    cr_assert_eq(nn_net_clone(&copy, original), NN_OK);
    cr_assert(same_params(original, copy));
    cr_assert_eq(nn_net_config(copy)->initialiser, NN_GLOROT);
    cr_assert_eq(nn_net_config(copy)->loss, NN_CROSS_ENTROPY);
    cr_assert_eq(nn_net_config(copy)->input_dropout, 0.1);
    cr_assert_eq(nn_net_config(copy)->layers[0].dropout, 0.02);
    *nn_net_weight(copy, 0, 0, 0) += 1;
    cr_assert_neq(*nn_net_weight(copy, 0, 0, 0), *nn_net_weight(original, 0, 0, 0));
    nn_net_free(original);
    cr_assert_eq(nn_net_config(copy)->layers[1].units, 10);
    cr_assert_eq(*nn_net_bias(copy, 1, 9), 0.5f);
    nn_net_free(copy);
}

Test(net, parameters_can_be_copied_between_networks_of_one_shape)
{
    nn_net *from = new_net(&example, 3);
    nn_net *to = new_net(&example, 4);
    cr_assert_not(same_params(from, to));
    nn_net_copy_params(to, from);
    cr_assert(same_params(from, to));
    nn_net_free(from);
    nn_net_free(to);
}

Test(net, null_can_be_freed)
{
    nn_net_free(NULL);
    nn_state_free(NULL);
    nn_sgd_free(NULL);
}

/* ---- looking ------------------------------------------------------------------------------- */

Test(net, parameter_that_is_not_finite_is_found_wherever_it_is)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const nn_layer layers[] = {{3, NN_RELU, 0}, {2, NN_SIGMOID, 0}};
    const nn_config config = {4, 2, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    nn_net *net = new_net(&config, 1);
    cr_assert(nn_net_is_finite(net));
    for (size_t k = 0; k < nn_net_n_params(net); k++) {
        const nn_real before = *nn_net_param(net, k);
        for (size_t v = 0; v < 3; v++) {
            *nn_net_param(net, k) = bad[v];
            cr_assert_not(nn_net_is_finite(net), "parameter %zu", k);
        }
        *nn_net_param(net, k) = before;
    }
    cr_assert(nn_net_is_finite(net));
    nn_net_free(net);
}

Test(net, kernel_is_the_one_that_the_environment_names)
{
    nn_net *net = NULL;
    cr_assert_eq(setenv("NN_KERNEL", "ref", 1), 0);
    net = new_net(&example, 1);
    cr_assert_str_eq(nn_net_kernel(net), "ref");
    nn_net_free(net);
    cr_assert_eq(setenv("NN_KERNEL", "", 1), 0); /* as if it were not set */
    net = new_net(&example, 1);
    cr_assert_not_null(nn_net_kernel(net));
    nn_net_free(net);
}

Test(net, kernel_that_does_not_exist_is_refused)
{
    nn_net *net = NULL;
    cr_assert_eq(setenv("NN_KERNEL", "abacus", 1), 0);
    cr_assert_eq(nn_net_new(&net, &example, 1), NN_ERR_ARGUMENT);
    cr_assert_not_null(strstr(nn_error_text(), "'abacus'"), "%s", nn_error_text());
    cr_assert_null(net);
}

/* ---- names --------------------------------------------------------------------------------- */

Test(net, initialiser_names_lead_there_and_back)
{
    static const char *const names[] = {"glorot", "lecun", "he", "normal", "zero"};
    cr_assert_eq(sizeof names / sizeof *names, NN_N_INITIALISERS);
    for (size_t k = 0; k < NN_N_INITIALISERS; k++) {
        nn_initialiser found = NN_N_INITIALISERS;
        cr_assert_str_eq(nn_initialiser_name((nn_initialiser)k), names[k]);
        cr_assert_eq(nn_initialiser_find(&found, names[k]), NN_OK);
        cr_assert_eq(found, (nn_initialiser)k);
    }
    cr_assert_null(nn_initialiser_name(NN_N_INITIALISERS));
    cr_assert_null(nn_initialiser_name((nn_initialiser)-1));
}

Test(net, unknown_initialiser_is_refused_with_the_names_there_are)
{
    nn_initialiser found = NN_HE;
    cr_assert_eq(nn_initialiser_find(&found, "xavier"), NN_ERR_ARGUMENT);
    cr_assert_eq(found, NN_HE);
    cr_assert_str_eq(
        nn_error_text(),
        "no initialiser is called 'xavier'; there are glorot, lecun, he, normal, zero");
}
