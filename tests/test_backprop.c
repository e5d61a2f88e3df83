/* Promise: forward and backward compute what the formulas say, for any width, batch and kind of
 * input, and dropout leaves out the share that was asked for, in training only. The oracle is the
 * formulas written down once more, plainly and in double precision. */
#include "fixtures.h"
#include "ink.h"
#include "net.h"

#include <criterion/criterion.h>
#include <errno.h>

TestSuite(backprop, .init = fixtures_begin, .fini = fixtures_end);

/* ---- what the tests share ------------------------------------------------------------------ */

static nn_net *new_net(const nn_config *config, uint64_t seed)
{
    nn_net *net = NULL;
    cr_assert_eq(nn_net_new(&net, config, seed), NN_OK, "%s", nn_error_text());
    return net;
}

static nn_state *new_state(const nn_net *net, size_t max_batch)
{
    nn_state *state = NULL;
    cr_assert_eq(nn_state_new(&state, net, max_batch, true), NN_OK, "%s", nn_error_text());
    return state;
}

/* Gives every bias a value, so that a forgotten one is noticed. */
static void set_biases(nn_net *net)
{
    const nn_config *config = nn_net_config(net);
    for (size_t l = 0; l < config->n_layers; l++) {
        for (size_t j = 0; j < config->layers[l].units; j++) {
            *nn_net_bias(net, l, j) = 0.125f * (float)((j + l) % 5) - 0.25f;
        }
    }
}

#define ASSERT_NEAR(found, expected, tolerance, ...)                                               \
    do {                                                                                           \
        const double found_ = (double)(found);                                                     \
        const double expected_ = (expected);                                                       \
        cr_assert_leq(fabs(found_ - expected_), tolerance, __VA_ARGS__);                           \
    } while (0)

/* ---- the formulas once more ---------------------------------------------------------------- */

enum {
    MAX_UNITS = 48,
    MAX_DEPTH = 4
};

/* a, z, delta of each layer for one sample; index 0 is the input, 1 the first layer. */
typedef struct {
    double a[MAX_DEPTH + 1][MAX_UNITS], z[MAX_DEPTH + 1][MAX_UNITS],
        delta[MAX_DEPTH + 1][MAX_UNITS];
} trace;

static double value_of(nn_activation activation, double a)
{
    switch (activation) {
    case NN_SIGMOID:
        return 1 / (1 + exp(-a));
    case NN_TANH:
        return tanh(a);
    case NN_RELU:
        return a > 0 ? a : 0;
    case NN_LEAKY_RELU:
        return a > 0 ? a : 0.01 * a;
    default:
        return a;
    }
}

static double slope_of(nn_activation activation, double a)
{
    switch (activation) {
    case NN_SIGMOID:
        return exp(-a) / pow(1 + exp(-a), 2);
    case NN_TANH:
        return 1 / pow(cosh(a), 2);
    case NN_RELU:
        return a > 0 ? 1 : 0;
    case NN_LEAKY_RELU:
        return a > 0 ? 1 : 0.01;
    default:
        return 1;
    }
}

static void reference_softmax(double *z, const double *a, size_t units)
{
    double sum = 0;
    for (size_t k = 0; k < units; k++) {
        sum += exp(a[k]);
    }
    for (size_t k = 0; k < units; k++) {
        z[k] = exp(a[k]) / sum;
    }
}

static size_t units_of(const nn_config *config, size_t level)
{
    return level == 0 ? config->inputs : config->layers[level - 1].units;
}

/* From t->z[0] on: a(l) = W(l) z(l-1) + b(l), z(l) = h(a(l)). */
static void reference_forward(trace *t, nn_net *net)
{
    const nn_config *config = nn_net_config(net);
    for (size_t l = 0; l < config->n_layers; l++) {
        const nn_layer *layer = &config->layers[l];
        for (size_t j = 0; j < layer->units; j++) {
            double a = (double)*nn_net_bias(net, l, j);
            for (size_t i = 0; i < units_of(config, l); i++) {
                a += (double)*nn_net_weight(net, l, j, i) * t->z[l][i];
            }
            t->a[l + 1][j] = a;
            t->z[l + 1][j] = value_of(layer->activation, a);
        }
        if (layer->activation == NN_SOFTMAX) {
            reference_softmax(t->z[l + 1], t->a[l + 1], layer->units);
        }
    }
}

/* delta(L) = z - y, times h' for squared error; delta(l-1) = h'(a(l-1)) (W(l)^T delta(l)). */
static void reference_backward(trace *t, nn_net *net, const double *y)
{
    const nn_config *config = nn_net_config(net);
    const size_t last = config->n_layers;
    for (size_t k = 0; k < units_of(config, last); k++) {
        const double slope = config->loss == NN_SQUARED_ERROR
                                 ? slope_of(config->layers[last - 1].activation, t->a[last][k])
                                 : 1;
        t->delta[last][k] = (t->z[last][k] - y[k]) * slope;
    }
    for (size_t l = last; l > 1; l--) {
        for (size_t i = 0; i < units_of(config, l - 1); i++) {
            double sum = 0;
            for (size_t j = 0; j < units_of(config, l); j++) {
                sum += (double)*nn_net_weight(net, l - 1, j, i) * t->delta[l][j];
            }
            t->delta[l - 1][i] = sum * slope_of(config->layers[l - 2].activation, t->a[l - 1][i]);
        }
    }
}

/* Adds a sample's share of dC/dW(l)[j][i] = delta(l)[j] z(l-1)[i] and dC/db(l)[j] = delta(l)[j] to
 * gradient[n_params], in the order of nn_net_param. */
static void reference_gradient(double *gradient, const trace *t, const nn_config *config,
                               double share)
{
    for (size_t l = 1; l <= config->n_layers; l++) {
        for (size_t j = 0; j < units_of(config, l); j++) {
            for (size_t i = 0; i < units_of(config, l - 1); i++) {
                *gradient++ += share * t->delta[l][j] * t->z[l - 1][i];
            }
        }
        for (size_t j = 0; j < units_of(config, l); j++) {
            *gradient++ += share * t->delta[l][j];
        }
    }
}

/* ---- data ---------------------------------------------------------------------------------- */

enum {
    SAMPLES = 40
};

/* Pixels with many zeros, as in pictures; the same as numbers; targets that suit any loss. */
typedef struct {
    uint8_t pixels[SAMPLES * MAX_UNITS];
    float values[SAMPLES * MAX_UNITS], targets[SAMPLES * MAX_UNITS];
    nn_data as_pixels, as_values;
} sample_data;

static void make_data(sample_data *data, size_t inputs, size_t outputs)
{
    nn_rng rng;
    nn_rng_seed(&rng, 4711);
    for (size_t k = 0; k < SAMPLES * inputs; k++) {
        const uint8_t pixel = (uint8_t)nn_rng_below(&rng, 256);
        data->pixels[k] = nn_rng_below(&rng, 3) == 0 ? 0 : pixel;
        data->values[k] = (float)data->pixels[k] / 255;
    }
    for (size_t b = 0; b < SAMPLES; b++) {
        for (size_t k = 0; k < outputs; k++) {
            data->targets[b * outputs + k] = b % outputs == k ? 1 : 0;
        }
    }
    data->as_values = (nn_data){.n = SAMPLES,
                                .inputs = inputs,
                                .outputs = outputs,
                                .values = data->values,
                                .targets = data->targets};
    data->as_pixels = data->as_values;
    data->as_pixels.pixels = data->pixels;
    data->as_pixels.values = NULL;
}

/* Compares a batch's outputs, hidden outputs and gradients with the formulas. */
static void assert_as_formulas(nn_net *net, const nn_data *data, const nn_batch *batch,
                               const sample_data *samples)
{
    static double gradient[MAX_DEPTH * (MAX_UNITS + 1) * MAX_UNITS];
    static trace t;
    const nn_config *config = nn_net_config(net);
    nn_state *state = new_state(net, batch->n);
    memset(gradient, 0, sizeof gradient);
    nn_forward_train(net, state, batch, NN_MASK_SAMPLE, NULL);
    nn_backward(net, state, batch);
    for (size_t b = 0; b < batch->n; b++) {
        const size_t sample = batch->index ? batch->index[b] : b;
        double y[MAX_UNITS];
        for (size_t i = 0; i < data->inputs; i++) {
            t.z[0][i] = (double)samples->values[sample * data->inputs + i];
        }
        for (size_t k = 0; k < data->outputs; k++) {
            y[k] = (double)samples->targets[sample * data->outputs + k];
        }
        reference_forward(&t, net);
        reference_backward(&t, net, y);
        reference_gradient(gradient, &t, config, 1 / (double)batch->n);
        for (size_t l = 0; l < config->n_layers; l++) {
            for (size_t j = 0; j < config->layers[l].units; j++) {
                ASSERT_NEAR(nn_hidden(state, l, b)[j], t.z[l + 1][j], 2e-6,
                            "sample %zu, layer %zu, unit %zu", b, l, j);
            }
        }
        cr_assert_eq(nn_output(state, b), nn_hidden(state, config->n_layers - 1, b));
    }
    for (size_t k = 0; k < nn_net_n_params(net); k++) {
        ASSERT_NEAR(nn_param_gradient(net, state, k), gradient[k], 2e-6, "parameter %zu", k);
    }
    nn_state_free(state);
}

/* ---- the worked example of the notes ------------------------------------------------------- */

typedef struct {
    nn_net *net;
    nn_state *state;
    nn_batch batch;
    nn_data data;
} example;

/* 2-2-2, sigmoid everywhere, no biases, squared error, fed forward and backward once. */
static void run_example(example *e)
{
    static const float x[] = {0.4f, 0.1f};
    static const float targets[] = {0.2f, 0.7f};
    static const float weights[2][2][2] = {{{0.2f, 0.6f}, {0.2f, 0.7f}},
                                           {{0.4f, 0.1f}, {0.1f, 0.7f}}};
    const nn_layer layers[] = {{2, NN_SIGMOID, 0}, {2, NN_SIGMOID, 0}};
    const nn_config config = {2, 2, layers, NN_SQUARED_ERROR, NN_ZERO, 0};
    e->net = new_net(&config, 0);
    e->state = new_state(e->net, 1);
    e->data = (nn_data){.n = 1, .inputs = 2, .outputs = 2, .values = x, .targets = targets};
    e->batch = (nn_batch){&e->data, NULL, 1};
    for (size_t k = 0; k < 8; k++) {
        *nn_net_weight(e->net, k / 4, k / 2 % 2, k % 2) = weights[k / 4][k / 2 % 2][k % 2];
    }
    nn_forward_train(e->net, e->state, &e->batch, NN_MASK_SAMPLE, NULL);
    nn_backward(e->net, e->state, &e->batch);
}

static void end_example(example *e)
{
    nn_state_free(e->state);
    nn_net_free(e->net);
}

/* Each figure as the note prints it: half a unit of its last digit is the tolerance. */
Test(backprop, worked_example_gives_every_printed_figure)
{
    example e;
    run_example(&e);
    ASSERT_NEAR(nn_hidden(e.state, 0, 0)[0], 0.53, 0.005, "a10");
    ASSERT_NEAR(nn_hidden(e.state, 0, 0)[1], 0.54, 0.005, "a11");
    ASSERT_NEAR(nn_output(e.state, 0)[0], 0.57, 0.005, "y1");
    ASSERT_NEAR(nn_output(e.state, 0)[1], 0.61, 0.005, "y2");
    ASSERT_NEAR(nn_output(e.state, 0)[0] - 0.2f, 0.37, 0.005, "dE/dy1");
    ASSERT_NEAR(nn_batch_loss(e.net, e.state, &e.batch, NULL), 0.072, 0.0005, "E");
    ASSERT_NEAR(nn_weight_gradient(e.net, e.state, 1, 0, 0), 0.048, 0.0005, "dE/dw(1)10");
    ASSERT_NEAR(nn_weight_gradient(e.net, e.state, 0, 0, 0), 0.0034, 0.00005, "dE/dw(0)10");
    end_example(&e);
}

/* NumPy, in double precision. */
Test(backprop, worked_example_agrees_with_numpy_in_all_gradients)
{
    static const double expected[2][2][2] = {
        {{0.003358991306, 0.000839747827}, {-0.000670785318, -0.00016769633}},
        {{0.048150623458, 0.048374471245}, {-0.012033718929, -0.012089662574}},
    };
    example e;
    run_example(&e);
    ASSERT_NEAR(nn_hidden(e.state, 0, 0)[0], 0.534942945158, 1e-7, "a10");
    ASSERT_NEAR(nn_hidden(e.state, 0, 0)[1], 0.537429845344, 1e-7, "a11");
    ASSERT_NEAR(nn_output(e.state, 0)[0], 0.566533122825, 1e-7, "y1");
    ASSERT_NEAR(nn_output(e.state, 0)[1], 0.605800879376, 1e-7, "y2");
    ASSERT_NEAR(nn_batch_loss(e.net, e.state, &e.batch, NULL), 0.071610002227, 1e-7, "E");
    for (size_t k = 0; k < 8; k++) {
        const size_t l = k / 4;
        const size_t j = k / 2 % 2;
        const size_t i = k % 2;
        ASSERT_NEAR(nn_weight_gradient(e.net, e.state, l, j, i), expected[l][j][i], 1e-8,
                    "w(%zu)[%zu][%zu]", l, j, i);
    }
    /* The slope by a bias is that by a weight whose input is 1. */
    ASSERT_NEAR(nn_bias_gradient(e.net, e.state, 0, 0), 0.003358991306 / 0.4, 1e-7, "b(0)[0]");
    end_example(&e);
}

Test(backprop, worked_example_moves_its_weights_as_printed)
{
    const nn_sgd_options options = {0.3, 0, 0};
    example e;
    nn_sgd *sgd = NULL;
    run_example(&e);
    cr_assert_eq(nn_sgd_new(&sgd, e.net), NN_OK);
    nn_sgd_step(sgd, e.net, e.state, &options);
    ASSERT_NEAR(*nn_net_weight(e.net, 1, 0, 0), 0.386, 0.0005, "w(1)10");
    ASSERT_NEAR(*nn_net_weight(e.net, 0, 0, 0), 0.199, 0.0005, "w(0)10");
    ASSERT_NEAR(*nn_net_weight(e.net, 1, 0, 0), 0.385554812963, 1e-7, "w(1)10");
    ASSERT_NEAR(*nn_net_weight(e.net, 0, 0, 0), 0.198992302608, 1e-7, "w(0)10");
    nn_sgd_free(sgd);
    end_example(&e);
}

/* ---- against the formulas ------------------------------------------------------------------ */

/* Widths around the 16 lanes of the kernels: what lies in the padding must not leak. */
Test(backprop, any_width_agrees_with_the_formulas)
{
    static const size_t widths[] = {1, 2, 15, 16, 17, 31, 32, 33};
    static sample_data samples;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        for (size_t v = 0; v < sizeof widths / sizeof *widths; v++) {
            const nn_layer layers[] = {{widths[w], NN_SIGMOID, 0}, {widths[v], NN_SOFTMAX, 0}};
            const nn_config config = {widths[v], 2, layers, NN_CROSS_ENTROPY, NN_NORMAL, 0};
            nn_net *net = new_net(&config, 3);
            set_biases(net);
            make_data(&samples, widths[v], widths[v]);
            const nn_batch batch = {&samples.as_values, NULL, 7};
            assert_as_formulas(net, &samples.as_values, &batch, &samples);
            nn_net_free(net);
        }
    }
}

Test(backprop, any_activation_and_loss_agree_with_the_formulas)
{
    static const struct {
        nn_loss loss;
        nn_activation last;
    } table[] = {{NN_CROSS_ENTROPY, NN_SOFTMAX}, {NN_BINARY_CROSS_ENTROPY, NN_SIGMOID},
                 {NN_SQUARED_ERROR, NN_SIGMOID}, {NN_SQUARED_ERROR, NN_TANH},
                 {NN_SQUARED_ERROR, NN_RELU},    {NN_SQUARED_ERROR, NN_LEAKY_RELU},
                 {NN_SQUARED_ERROR, NN_IDENTITY}};
    static sample_data samples;
    make_data(&samples, 11, 5);
    const nn_batch batch = {&samples.as_values, NULL, 13};
    for (size_t h = NN_SIGMOID; h <= NN_IDENTITY; h++) {
        for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
            const nn_layer layers[] = {{9, (nn_activation)h, 0},
                                       {20, (nn_activation)h, 0},
                                       {6, NN_TANH, 0},
                                       {5, table[t].last, 0}};
            const nn_config config = {11, 4, layers, table[t].loss, NN_GLOROT, 0};
            nn_net *net = new_net(&config, 5);
            set_biases(net);
            assert_as_formulas(net, &samples.as_values, &batch, &samples);
            nn_net_free(net);
        }
    }
}

static const nn_layer two_layers[] = {{19, NN_TANH, 0}, {10, NN_SOFTMAX, 0}};
static const nn_config two_layer_net = {37, 2, two_layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};

Test(backprop, batch_takes_the_samples_that_its_index_names)
{
    static const uint32_t index[] = {39, 3, 3, 0, 17};
    static sample_data samples;
    make_data(&samples, 37, 10);
    nn_net *net = new_net(&two_layer_net, 1);
    set_biases(net);
    const nn_batch values = {&samples.as_values, index, 5};
    const nn_batch pixels = {&samples.as_pixels, index, 5};
    assert_as_formulas(net, &samples.as_values, &values, &samples);
    assert_as_formulas(net, &samples.as_pixels, &pixels, &samples);
    nn_net_free(net);
}

Test(backprop, batch_without_an_index_takes_the_first_samples)
{
    static sample_data samples;
    make_data(&samples, 37, 10);
    nn_net *net = new_net(&two_layer_net, 1);
    for (size_t n = 1; n <= SAMPLES; n += 13) {
        const nn_batch values = {&samples.as_values, NULL, n};
        const nn_batch pixels = {&samples.as_pixels, NULL, n};
        assert_as_formulas(net, &samples.as_values, &values, &samples);
        assert_as_formulas(net, &samples.as_pixels, &pixels, &samples);
    }
    nn_net_free(net);
}

/* ---- the same bits ------------------------------------------------------------------------- */

static void assert_same_bits(nn_net *net, nn_state *a, nn_state *b, size_t n)
{
    const size_t outputs = nn_net_outputs(net);
    for (size_t k = 0; k < n; k++) {
        cr_assert_arr_eq(nn_output(a, k), nn_output(b, k), outputs * sizeof(nn_real), "sample %zu",
                         k);
    }
    for (size_t k = 0; k < nn_net_n_params(net); k++) {
        cr_assert_eq(nn_param_gradient(net, a, k), nn_param_gradient(net, b, k), "parameter %zu",
                     k);
    }
}

/* Runs both batches through a copy of the network of one seed, dropout and all. */
static void assert_batches_agree(nn_net *net, const nn_batch *a, const nn_batch *b)
{
    nn_state *first = new_state(net, a->n);
    nn_state *second = new_state(net, b->n);
    nn_rng rng;
    nn_rng_seed(&rng, 99);
    nn_rng again = rng;
    nn_forward_train(net, first, a, NN_MASK_SAMPLE, &rng);
    nn_backward(net, first, a);
    nn_forward_train(net, second, b, NN_MASK_SAMPLE, &again);
    nn_backward(net, second, b);
    assert_same_bits(net, first, second, a->n);
    nn_state_free(first);
    nn_state_free(second);
}

Test(backprop, bytes_and_the_numbers_they_stand_for_give_the_same_bits)
{
    static const uint32_t index[] = {8, 1, 30, 22, 22, 5, 39};
    static const double input_dropout[] = {0, 0.3};
    static sample_data samples;
    make_data(&samples, 37, 10);
    for (size_t d = 0; d < 2; d++) {
        const nn_layer layers[] = {{19, NN_RELU, 0.25}, {10, NN_SOFTMAX, 0}};
        const nn_config config = {37, 2, layers, NN_CROSS_ENTROPY, NN_HE, input_dropout[d]};
        nn_net *net = new_net(&config, 1);
        assert_batches_agree(net, &(nn_batch){&samples.as_pixels, index, 7},
                             &(nn_batch){&samples.as_values, index, 7});
        assert_batches_agree(net, &(nn_batch){&samples.as_pixels, NULL, SAMPLES},
                             &(nn_batch){&samples.as_values, NULL, SAMPLES});
        nn_net_free(net);
    }
}

/* The ink of some images, in training on these and on others. */
Test(backprop, ink_changes_no_bit_and_is_not_taken_for_that_of_other_images)
{
    static sample_data inked, others;
    make_data(&inked, 37, 10);
    make_data(&others, 37, 10);
    for (size_t k = 0; k < SAMPLES * 37; k++) {
        inked.pixels[k] = k % 5 == 0 ? inked.pixels[k] : 0;
        others.pixels[k] = k % 7 == 0 ? others.pixels[k] : 0;
    }
    nn_net *net = new_net(&two_layer_net, 1);
    nn_state *with = new_state(net, SAMPLES), *without = new_state(net, SAMPLES);
    nn_ink *ink; /* NULL where the kernels take none */
    nn_ink_new(&ink, net->kernels, &inked.as_pixels);
    nn_state_use_ink(with, ink);
    for (size_t k = 0; k < 2; k++) {
        const nn_batch batch = {k == 0 ? &inked.as_pixels : &others.as_pixels, NULL, SAMPLES};
        nn_forward_train(net, with, &batch, NN_MASK_SAMPLE, NULL);
        nn_backward(net, with, &batch);
        nn_forward_train(net, without, &batch, NN_MASK_SAMPLE, NULL);
        nn_backward(net, without, &batch);
        assert_same_bits(net, with, without, SAMPLES);
    }
    nn_ink_free(ink);
    nn_state_free(without);
    nn_state_free(with);
    nn_net_free(net);
}

static double loss_of(const nn_net *net, const nn_batch *batch, size_t *correct)
{
    nn_state *state = new_state(net, batch->n);
    nn_forward(net, state, batch);
    const double loss = nn_batch_loss(net, state, batch, correct);
    nn_state_free(state);
    return loss;
}

Test(backprop, labels_and_the_vectors_they_stand_for_give_the_same_bits)
{
    static const struct {
        nn_activation output;
        nn_loss loss;
    } kinds[] = {{NN_SOFTMAX, NN_CROSS_ENTROPY},
                 {NN_SIGMOID, NN_BINARY_CROSS_ENTROPY},
                 {NN_TANH, NN_SQUARED_ERROR}};
    static sample_data samples;
    uint8_t labels[SAMPLES];
    make_data(&samples, 37, 10);
    for (size_t b = 0; b < SAMPLES; b++) {
        labels[b] = (uint8_t)(b % 10);
    }
    nn_data labelled = samples.as_values;
    labelled.labels = labels;
    labelled.targets = NULL;
    const nn_batch a = {&samples.as_values, NULL, SAMPLES};
    const nn_batch b = {&labelled, NULL, SAMPLES};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const nn_layer layers[] = {{19, NN_SIGMOID, 0.1}, {10, kinds[k].output, 0}};
        const nn_config config = {37, 2, layers, kinds[k].loss, NN_GLOROT, 0};
        nn_net *net = new_net(&config, 1);
        size_t right, right_by_labels;
        assert_batches_agree(net, &a, &b);
        cr_assert_eq(loss_of(net, &a, &right), loss_of(net, &b, &right_by_labels), "%s",
                     nn_loss_name(kinds[k].loss));
        cr_assert_eq(right, right_by_labels);
        nn_net_free(net);
    }
}

Test(backprop, sample_has_the_same_output_alone_and_in_any_company)
{
    static sample_data samples;
    make_data(&samples, 37, 10);
    nn_net *net = new_net(&two_layer_net, 1);
    nn_state *all = new_state(net, SAMPLES);
    nn_state *one = new_state(net, 1);
    nn_forward(net, all, &(nn_batch){&samples.as_pixels, NULL, SAMPLES});
    for (uint32_t b = 0; b < SAMPLES; b++) {
        nn_forward(net, one, &(nn_batch){&samples.as_pixels, &b, 1});
        cr_assert_arr_eq(nn_output(one, 0), nn_output(all, b), 10 * sizeof(nn_real));
    }
    nn_state_free(one);
    nn_state_free(all);
    nn_net_free(net);
}

Test(backprop, used_work_space_leaves_no_trace_in_the_next_batch)
{
    static sample_data samples;
    make_data(&samples, 37, 10);
    nn_net *net = new_net(&two_layer_net, 1);
    nn_state *used = new_state(net, SAMPLES);
    nn_state *fresh = new_state(net, 3);
    const nn_batch before = {&samples.as_values, NULL, SAMPLES};
    const nn_batch batch = {&samples.as_pixels, (const uint32_t[]){4, 2, 9}, 3};
    nn_forward_train(net, used, &before, NN_MASK_SAMPLE, NULL);
    nn_backward(net, used, &before);
    nn_forward_train(net, used, &batch, NN_MASK_SAMPLE, NULL);
    nn_backward(net, used, &batch);
    nn_forward_train(net, fresh, &batch, NN_MASK_SAMPLE, NULL);
    nn_backward(net, fresh, &batch);
    assert_same_bits(net, used, fresh, 3);
    nn_state_free(fresh);
    nn_state_free(used);
    nn_net_free(net);
}

/* Rows of weights are padded to 16; a padding that is not 0 would reach a sum some day. */
Test(backprop, padding_of_parameters_and_gradients_stays_0)
{
    static sample_data samples;
    const nn_layer layers[] = {{17, NN_SIGMOID, 0.5}, {3, NN_SIGMOID, 0.25}, {10, NN_SOFTMAX, 0}};
    const nn_config config = {37, 3, layers, NN_CROSS_ENTROPY, NN_NORMAL, 0.1};
    const nn_sgd_options options = {0.5, 0.9, 0.01};
    make_data(&samples, 37, 10);
    nn_net *net = new_net(&config, 1);
    nn_state *state = new_state(net, SAMPLES);
    bool *used = nn_alloc_array(net->block_size, sizeof *used);
    nn_sgd *sgd = NULL;
    nn_rng rng;
    cr_assert_not_null(used);
    cr_assert_eq(nn_sgd_new(&sgd, net), NN_OK);
    nn_rng_seed(&rng, 1);
    for (size_t step = 0; step < 10; step++) {
        const nn_batch batch = {step % 2 ? &samples.as_pixels : &samples.as_values, NULL,
                                SAMPLES - step};
        nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, &rng);
        nn_backward(net, state, &batch);
        nn_sgd_step(sgd, net, state, &options);
    }
    for (size_t k = 0; k < nn_net_n_params(net); k++) {
        used[nn_net_place(net, k)] = true;
    }
    for (size_t k = 0; k < net->block_size; k++) {
        cr_assert(used[k] || net->params[k] == 0, "parameter block at %zu", k);
        cr_assert(used[k] || nn_state_gradients(state)[k] == 0, "gradient block at %zu", k);
        cr_assert(used[k] || nn_sgd_velocity(sgd)[k] == 0, "velocity block at %zu", k);
    }
    nn_free(used);
    nn_sgd_free(sgd);
    nn_state_free(state);
    nn_net_free(net);
}

/* ---- softmax ------------------------------------------------------------------------------- */

Test(backprop, softmax_sums_to_1_and_keeps_the_order)
{
    const nn_layer layer = {10, NN_SOFTMAX, 0};
    const nn_config config = {1, 1, &layer, NN_CROSS_ENTROPY, NN_NORMAL, 0};
    const float x = 1;
    const nn_data data = {.n = 1, .inputs = 1, .outputs = 10, .values = &x};
    for (uint64_t seed = 0; seed < 200; seed++) {
        nn_net *net = new_net(&config, seed);
        nn_state *state = new_state(net, 1);
        nn_forward(net, state, &(nn_batch){&data, NULL, 1});
        const nn_real *z = nn_output(state, 0);
        double sum = 0;
        for (size_t k = 0; k < 10; k++) {
            cr_assert_gt(z[k], 0);
            sum += (double)z[k];
            for (size_t c = 0; c < 10; c++) {
                const nn_real a = *nn_net_weight(net, 0, k, 0);
                const nn_real other = *nn_net_weight(net, 0, c, 0);
                cr_assert(a <= other || z[k] >= z[c], "seed %zu", (size_t)seed);
                cr_assert(a <= other + 1e-5f || z[k] > z[c], "seed %zu", (size_t)seed);
            }
        }
        ASSERT_NEAR(sum, 1.0, 1e-6, "seed %zu", (size_t)seed);
        nn_state_free(state);
        nn_net_free(net);
    }
}

/* ---- counting what is right ---------------------------------------------------------------- */

Test(backprop, correct_counts_largest_outputs_and_the_first_of_equals)
{
    const nn_layer layer = {3, NN_IDENTITY, 0};
    const nn_config config = {3, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    const float values[] = {
        1,  2,  3,  /* largest: 2 */
        5,  5,  1,  /* 0 and 1 */
        0,  0,  0,  /* all */
        -3, -2, -1, /* 2 */
    };
    static const struct {
        uint8_t labels[4];
        size_t correct;
    } table[] = {{{2, 0, 0, 2}, 4}, {{2, 1, 0, 2}, 3}, {{0, 1, 2, 0}, 0}, {{2, 1, 1, 1}, 1}};
    nn_net *net = new_net(&config, 0);
    nn_state *state = new_state(net, 4);
    for (size_t k = 0; k < 3; k++) {
        *nn_net_weight(net, 0, k, k) = 1;
    }
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        const nn_data data = {
            .n = 4, .inputs = 3, .outputs = 3, .values = values, .labels = table[t].labels};
        const nn_batch batch = {&data, NULL, 4};
        size_t correct = 99;
        nn_forward(net, state, &batch);
        (void)nn_batch_loss(net, state, &batch, &correct);
        cr_assert_eq(correct, table[t].correct, "case %zu", t);
    }
    nn_state_free(state);
    nn_net_free(net);
}

Test(backprop, correct_takes_the_first_of_equal_targets)
{
    const nn_layer layer = {3, NN_IDENTITY, 0};
    const nn_config config = {3, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    const float values[] = {1, 0, 0, /**/ 0, 1, 0, /**/ 0, 0, 1, /**/ 0, 0, 1};
    const float targets[] = {1, 1, 0, /**/ 1, 1, 0, /**/ 0, 1, 1, /**/ -2, -3, -1};
    const nn_data data = {.n = 4, .inputs = 3, .outputs = 3, .values = values, .targets = targets};
    const nn_batch batch = {&data, NULL, 4};
    nn_net *net = new_net(&config, 0);
    nn_state *state = new_state(net, 4);
    size_t correct = 99;
    for (size_t k = 0; k < 3; k++) {
        *nn_net_weight(net, 0, k, k) = 1;
    }
    nn_forward(net, state, &batch);
    (void)nn_batch_loss(net, state, &batch, &correct);
    cr_assert_eq(correct, 2); /* the first and the last */
    nn_state_free(state);
    nn_net_free(net);
}

/* ---- dropout ------------------------------------------------------------------------------- */

/* A network whose hidden units all give 1, so that their outputs show the mask; the output is their
 * mean. */
enum {
    MASKED = 200
};

static nn_net *mask_net(double dropout, double input_dropout)
{
    const nn_layer layers[] = {{MASKED, NN_IDENTITY, dropout}, {1, NN_IDENTITY, 0}};
    const nn_config config = {1, 2, layers, NN_SQUARED_ERROR, NN_ZERO, input_dropout};
    nn_net *net = new_net(&config, 0);
    for (size_t j = 0; j < MASKED; j++) {
        *nn_net_bias(net, 0, j) = 1;
        *nn_net_weight(net, 1, 0, j) = 1.0f / MASKED;
    }
    return net;
}

enum {
    MASK_SAMPLES = 500
};

static const float mask_zeros[MASK_SAMPLES];
static const nn_data mask_data = {
    .n = MASK_SAMPLES, .inputs = 1, .outputs = 1, .values = mask_zeros, .targets = mask_zeros};
static const nn_batch mask_batch = {&mask_data, NULL, MASK_SAMPLES};

/* Four standard deviations of a share of n draws. */
static double spread(double p, double n)
{
    return 4 * sqrt(p * (1 - p) / n);
}

Test(backprop, dropout_leaves_out_its_share_and_scales_up_the_rest)
{
    static const double shares[] = {0.02, 0.1, 0.5, 0.9};
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        const double p = shares[s];
        nn_net *net = mask_net(p, 0);
        nn_state *state = new_state(net, MASK_SAMPLES);
        size_t left_out = 0;
        nn_rng rng;
        nn_rng_seed(&rng, 1);
        nn_forward_train(net, state, &mask_batch, NN_MASK_SAMPLE, &rng);
        for (size_t b = 0; b < MASK_SAMPLES; b++) {
            for (size_t j = 0; j < MASKED; j++) {
                const float z = nn_hidden(state, 0, b)[j];
                cr_assert(z == 0 || z == (float)(1 / (1 - p)), "%g", (double)z);
                left_out += z == 0;
            }
        }
        const double draws = MASKED * MASK_SAMPLES;
        ASSERT_NEAR((double)left_out / draws, p, spread(p, draws), "%g", p);
        nn_state_free(state);
        nn_net_free(net);
    }
}

/* The mean over masks is what the network gives without dropout, here 1. */
Test(backprop, dropout_does_not_change_the_mean_output)
{
    const double p = 0.5;
    nn_net *net = mask_net(p, 0);
    nn_state *state = new_state(net, MASK_SAMPLES);
    double mean = 0;
    nn_rng rng;
    nn_rng_seed(&rng, 2);
    nn_forward_train(net, state, &mask_batch, NN_MASK_SAMPLE, &rng);
    for (size_t b = 0; b < MASK_SAMPLES; b++) {
        mean += (double)nn_output(state, b)[0] / MASK_SAMPLES;
    }
    ASSERT_NEAR(mean, 1.0, spread(p, MASKED * MASK_SAMPLES) / (1 - p), "%g", mean);
    nn_forward(net, state, &mask_batch);
    ASSERT_NEAR(nn_output(state, 0)[0], 1.0, 1e-5, "without dropout");
    nn_state_free(state);
    nn_net_free(net);
}

/* One draw of 64 bits serves two neighbours: they must not know of each other. */
Test(backprop, neighbouring_units_and_samples_are_left_out_independently)
{
    const double p = 0.3;
    nn_net *net = mask_net(p, 0);
    nn_state *state = new_state(net, MASK_SAMPLES);
    size_t both_units[2] = {0};
    size_t both_samples = 0;
    nn_rng rng;
    nn_rng_seed(&rng, 3);
    nn_forward_train(net, state, &mask_batch, NN_MASK_SAMPLE, &rng);
    for (size_t b = 0; b + 1 < MASK_SAMPLES; b++) {
        const nn_real *z = nn_hidden(state, 0, b);
        const nn_real *next = nn_hidden(state, 0, b + 1);
        for (size_t j = 0; j + 1 < MASKED; j++) {
            both_units[j % 2] += z[j] == 0 && z[j + 1] == 0;
            both_samples += z[j] == 0 && next[j] == 0;
        }
    }
    const double pairs = (MASK_SAMPLES - 1) * (MASKED - 1);
    ASSERT_NEAR((double)both_units[0] / (pairs / 2), p * p, 2 * spread(p * p, pairs / 2), "even");
    ASSERT_NEAR((double)both_units[1] / (pairs / 2), p * p, 2 * spread(p * p, pairs / 2), "odd");
    ASSERT_NEAR((double)both_samples / pairs, p * p, 2 * spread(p * p, pairs), "samples");
    nn_state_free(state);
    nn_net_free(net);
}

static bool same_mask(const nn_state *state, size_t b, const nn_real *mask)
{
    return memcmp(nn_hidden(state, 0, b), mask, MASKED * sizeof *mask) == 0;
}

Test(backprop, masks_per_sample_differ_from_sample_to_sample)
{
    nn_net *net = mask_net(0.5, 0);
    nn_state *state = new_state(net, MASK_SAMPLES);
    nn_rng rng;
    nn_rng_seed(&rng, 4);
    nn_forward_train(net, state, &mask_batch, NN_MASK_SAMPLE, &rng);
    for (size_t b = 1; b < MASK_SAMPLES; b++) {
        cr_assert_not(same_mask(state, b, nn_hidden(state, 0, b - 1)), "sample %zu", b);
    }
    nn_state_free(state);
    nn_net_free(net);
}

Test(backprop, mask_per_epoch_is_one_for_all_until_the_next_is_drawn)
{
    nn_net *net = mask_net(0.5, 0);
    nn_state *state = new_state(net, MASK_SAMPLES);
    nn_real mask[MASKED];
    nn_rng rng;
    nn_rng_seed(&rng, 5);
    nn_draw_masks(net, state, &rng);
    nn_forward_train(net, state, &mask_batch, NN_MASK_EPOCH, &rng);
    memcpy(mask, nn_hidden(state, 0, 0), sizeof mask);
    for (size_t b = 0; b < MASK_SAMPLES; b++) {
        cr_assert(same_mask(state, b, mask));
    }
    const nn_batch next = {&mask_data, (const uint32_t[]){7, 8, 9}, 3};
    nn_forward_train(net, state, &next, NN_MASK_EPOCH, &rng);
    cr_assert(same_mask(state, 2, mask));
    nn_draw_masks(net, state, &rng);
    nn_forward_train(net, state, &next, NN_MASK_EPOCH, &rng);
    cr_assert_not(same_mask(state, 0, mask));
    size_t left_out = 0;
    for (size_t j = 0; j < MASKED; j++) {
        left_out += mask[j] == 0;
    }
    ASSERT_NEAR((double)left_out / MASKED, 0.5, spread(0.5, MASKED), "%zu", left_out);
    nn_state_free(state);
    nn_net_free(net);
}

/* The inputs are all 1 and go through the identity. */
Test(backprop, input_mask_per_epoch_is_one_for_all_and_kept_without_a_generator)
{
    enum {
        INPUTS = 40
    };
    static uint8_t whites[3 * INPUTS];
    const nn_layer layer = {INPUTS, NN_IDENTITY, 0};
    const nn_config config = {INPUTS, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0.5};
    const nn_data data = {.n = 3, .inputs = INPUTS, .outputs = INPUTS, .pixels = whites};
    const nn_batch batch = {&data, NULL, 3};
    nn_net *net = new_net(&config, 0);
    nn_state *state = new_state(net, 3);
    nn_real mask[INPUTS];
    nn_rng rng;
    nn_rng_seed(&rng, 5);
    memset(whites, 255, sizeof whites);
    for (size_t k = 0; k < INPUTS; k++) {
        *nn_net_weight(net, 0, k, k) = 1;
    }
    nn_draw_masks(net, state, &rng);
    nn_forward_train(net, state, &batch, NN_MASK_EPOCH, &rng);
    memcpy(mask, nn_output(state, 0), sizeof mask);
    size_t left_out = 0;
    for (size_t k = 0; k < INPUTS; k++) {
        cr_assert(mask[k] == 0 || mask[k] == 2);
        left_out += mask[k] == 0;
    }
    cr_assert(left_out > 5 && left_out < 35);
    nn_forward_train(net, state, &batch, NN_MASK_EPOCH, NULL);
    for (size_t b = 0; b < 3; b++) {
        cr_assert_arr_eq(nn_output(state, b), mask, sizeof mask);
    }
    nn_state_free(state);
    nn_net_free(net);
}

Test(backprop, masks_are_kept_when_there_is_no_generator)
{
    static nn_real before[MASK_SAMPLES][MASKED];
    nn_net *net = mask_net(0.5, 0);
    nn_state *state = new_state(net, MASK_SAMPLES);
    nn_rng rng;
    nn_rng_seed(&rng, 6);
    nn_forward_train(net, state, &mask_batch, NN_MASK_SAMPLE, &rng);
    for (size_t b = 0; b < MASK_SAMPLES; b++) {
        memcpy(before[b], nn_hidden(state, 0, b), sizeof before[b]);
    }
    nn_forward(net, state, &mask_batch);
    nn_forward_train(net, state, &mask_batch, NN_MASK_SAMPLE, NULL);
    for (size_t b = 0; b < MASK_SAMPLES; b++) {
        cr_assert(same_mask(state, b, before[b]));
    }
    nn_state_free(state);
    nn_net_free(net);
}

Test(backprop, forward_in_use_leaves_nothing_out)
{
    nn_net *net = mask_net(0.9, 0.9);
    nn_state *state = new_state(net, MASK_SAMPLES);
    nn_rng rng;
    nn_rng_seed(&rng, 7);
    nn_forward_train(net, state, &mask_batch, NN_MASK_SAMPLE, &rng);
    nn_forward(net, state, &mask_batch);
    for (size_t b = 0; b < MASK_SAMPLES; b++) {
        for (size_t j = 0; j < MASKED; j++) {
            cr_assert_eq(nn_hidden(state, 0, b)[j], 1.0f);
        }
    }
    nn_state_free(state);
    nn_net_free(net);
}

/* The first layer is the identity, so that its outputs show the inputs. */
Test(backprop, input_dropout_leaves_out_inputs)
{
    enum {
        INPUTS = 40
    };
    static float ones[MASK_SAMPLES * INPUTS];
    static uint8_t whites[MASK_SAMPLES * INPUTS];
    const double p = 0.2;
    const nn_layer layer = {INPUTS, NN_IDENTITY, 0};
    const nn_config config = {INPUTS, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, p};
    nn_net *net = new_net(&config, 0);
    nn_state *state = new_state(net, MASK_SAMPLES);
    for (size_t k = 0; k < MASK_SAMPLES * INPUTS; k++) {
        ones[k] = 1;
        whites[k] = 255;
    }
    for (size_t k = 0; k < INPUTS; k++) {
        *nn_net_weight(net, 0, k, k) = 1;
    }
    for (size_t kind = 0; kind < 2; kind++) {
        const nn_data data = {.n = MASK_SAMPLES,
                              .inputs = INPUTS,
                              .outputs = INPUTS,
                              .values = ones,
                              .pixels = kind == 0 ? NULL : whites};
        size_t left_out = 0;
        nn_rng rng;
        nn_rng_seed(&rng, 8);
        nn_forward_train(net, state, &(nn_batch){&data, NULL, MASK_SAMPLES}, NN_MASK_SAMPLE, &rng);
        for (size_t b = 0; b < MASK_SAMPLES; b++) {
            for (size_t k = 0; k < INPUTS; k++) {
                const float z = nn_output(state, b)[k];
                cr_assert(z == 0 || z == 1.25f, "%g", (double)z);
                left_out += z == 0;
            }
        }
        const double draws = MASK_SAMPLES * INPUTS;
        ASSERT_NEAR((double)left_out / draws, p, spread(p, draws), "kind %zu", kind);
    }
    nn_state_free(state);
    nn_net_free(net);
}

/* What was left out has no part in the loss: neither its own weights nor those behind it. */
Test(backprop, unit_left_out_learns_nothing)
{
    const nn_layer layers[] = {{50, NN_SIGMOID, 0.5}, {3, NN_SOFTMAX, 0}};
    const nn_config config = {4, 2, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    const float x[] = {0.5f, -1, 2, 1};
    const uint8_t label = 1;
    const nn_data data = {.n = 1, .inputs = 4, .outputs = 3, .values = x, .labels = &label};
    const nn_batch batch = {&data, NULL, 1};
    nn_net *net = new_net(&config, 1);
    nn_state *state = new_state(net, 1);
    size_t left_out = 0;
    nn_rng rng;
    nn_rng_seed(&rng, 9);
    nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, &rng);
    nn_backward(net, state, &batch);
    for (size_t j = 0; j < 50; j++) {
        const bool out = nn_hidden(state, 0, 0)[j] == 0;
        left_out += out;
        for (size_t i = 0; i < 4; i++) {
            cr_assert_eq(nn_weight_gradient(net, state, 0, j, i) == 0, out);
        }
        cr_assert_eq(nn_bias_gradient(net, state, 0, j) == 0, out);
        for (size_t k = 0; k < 3; k++) {
            cr_assert_eq(nn_weight_gradient(net, state, 1, k, j) == 0, out);
        }
    }
    cr_assert(left_out > 10 && left_out < 40);
    nn_state_free(state);
    nn_net_free(net);
}

/* A single output is right on its target's side of 0.5, which itself belongs to the upper side. */
Test(backprop, correct_asks_a_single_output_on_which_side_of_a_half_it_is)
{
    const nn_layer layer = {1, NN_IDENTITY, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    static const struct {
        float output, target;
        size_t correct;
    } table[] = {{0.25f, 0, 1},   {0.75f, 0, 0},    {0.25f, 1, 0},    {0.75f, 1, 1},   {0.5f, 1, 1},
                 {0.5f, 0.5f, 1}, {0.25f, 0.5f, 0}, {0.5f, 0.25f, 0}, {0.75f, 0.5f, 1}};
    nn_net *net = new_net(&config, 1);
    nn_state *state = new_state(net, 1);
    *nn_net_weight(net, 0, 0, 0) = 1;
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        const nn_data data = {.n = 1,
                              .inputs = 1,
                              .outputs = 1,
                              .values = &table[t].output,
                              .targets = &table[t].target};
        const nn_batch batch = {&data, NULL, 1};
        size_t correct = 99;
        nn_forward(net, state, &batch);
        (void)nn_batch_loss(net, state, &batch, &correct);
        cr_assert_eq(correct, table[t].correct, "case %zu", t);
    }
    nn_state_free(state);
    nn_net_free(net);
}

/* One unit behind another, 0.5 at the input, target 0: z = 0.5 v w, delta(2) = z, delta(1) = z v,
 * where v and w are the weights of the second and the first layer. */
static void check_floor(float w, float v, bool second_moves, bool first_moves)
{
    const nn_layer layers[] = {{1, NN_IDENTITY, 0}, {1, NN_IDENTITY, 0}};
    const nn_config config = {1, 2, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    const float x = 0.5f, y = 0;
    const nn_data data = {.n = 1, .inputs = 1, .outputs = 1, .values = &x, .targets = &y};
    const nn_batch batch = {&data, NULL, 1};
    nn_net *net = new_net(&config, 1);
    nn_state *state = new_state(net, 1);
    *nn_net_weight(net, 0, 0, 0) = w;
    *nn_net_weight(net, 1, 0, 0) = v;
    nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, NULL);
    nn_backward(net, state, &batch);
    cr_assert_eq(nn_bias_gradient(net, state, 1, 0) != 0, second_moves);
    cr_assert_eq(nn_bias_gradient(net, state, 0, 0) != 0, first_moves);
    nn_state_free(state);
    nn_net_free(net);
}

/* Deltas below the floor would make subnormal gradients, with which an epoch takes many times as
 * long. */
Test(backprop, delta_below_the_floor_is_0)
{
    check_floor(1, 1, true, true);
    check_floor(0x1p-58f, 1, true, true);   /* delta(2) = delta(1) = 2^-59 */
    check_floor(0x1p-61f, 1, false, false); /* delta(2) = 2^-62 */
    check_floor(1, 0x1p-40f, true, false);  /* delta(2) = 2^-41, delta(1) = 2^-81 */
    check_floor(-1, -0x1p-29f, true, true); /* delta(1) = 2^-59, and negative */
    check_floor(-1, -0x1.fp-31f, true, false);
}

Test(backprop, same_seed_gives_the_same_masks)
{
    static nn_real before[MASKED];
    nn_net *net = mask_net(0.5, 0);
    nn_state *state = new_state(net, MASK_SAMPLES);
    for (size_t run = 0; run < 2; run++) {
        nn_rng rng;
        nn_rng_seed(&rng, 10);
        nn_forward_train(net, state, &mask_batch, NN_MASK_SAMPLE, &rng);
        cr_assert(run == 0 || same_mask(state, 17, before));
        memcpy(before, nn_hidden(state, 0, 17), sizeof before);
    }
    nn_state_free(state);
    nn_net_free(net);
}

/* ---- work space ---------------------------------------------------------------------------- */

Test(backprop, work_space_without_gradients_feeds_forward)
{
    static sample_data samples;
    make_data(&samples, 37, 10);
    nn_net *net = new_net(&two_layer_net, 1);
    nn_state *with = new_state(net, 5);
    nn_state *without = NULL;
    const nn_batch batch = {&samples.as_pixels, NULL, 5};
    cr_assert_eq(nn_state_new(&without, net, 5, false), NN_OK);
    nn_forward(net, with, &batch);
    nn_forward(net, without, &batch);
    for (size_t b = 0; b < 5; b++) {
        cr_assert_arr_eq(nn_output(without, b), nn_output(with, b), 10 * sizeof(nn_real));
    }
    cr_assert_eq(nn_batch_loss(net, without, &batch, NULL), nn_batch_loss(net, with, &batch, NULL));
    nn_state_free(without);
    nn_state_free(with);
    nn_net_free(net);
}

Test(backprop, failing_memory_is_reported_and_nothing_is_left_behind)
{
    nn_net *net = new_net(&two_layer_net, 1);
    nn_state *state = NULL;
    nn_status status = NN_ERR_MEMORY;
    size_t failures = 0;
    while (status == NN_ERR_MEMORY) {
        fault_clear();
        fault_at(FAULT_ALLOC, failures + 1, ENOMEM, false);
        status = nn_state_new(&state, net, 10, true);
        if (status == NN_ERR_MEMORY) {
            cr_assert_null(state);
            cr_assert_eq(strncmp(nn_error_text(), "out of memory for ", 18), 0);
            failures++;
        }
    }
    cr_assert_eq(status, NN_OK);
    cr_assert_geq(failures, 2);
    nn_state_free(state);
    nn_net_free(net);
}

/* As training does: once allocated, no more memory is asked for. */
Test(backprop, forward_and_backward_and_step_allocate_nothing)
{
    static sample_data samples;
    const nn_sgd_options options = {0.1, 0.9, 0.01};
    make_data(&samples, 37, 10);
    nn_net *net = new_net(&two_layer_net, 1);
    nn_state *state = new_state(net, SAMPLES);
    nn_sgd *sgd = NULL;
    cr_assert_eq(nn_sgd_new(&sgd, net), NN_OK);
    fault_clear();
    const nn_batch batch = {&samples.as_pixels, NULL, SAMPLES};
    nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, NULL);
    (void)nn_batch_loss(net, state, &batch, NULL);
    nn_backward(net, state, &batch);
    nn_sgd_step(sgd, net, state, &options);
    cr_assert_eq(fault_calls(FAULT_ALLOC), 0);
    nn_sgd_free(sgd);
    nn_state_free(state);
    nn_net_free(net);
}
