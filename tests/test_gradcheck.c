/* Promise: in double precision back-propagation agrees with numerical differentiation to 1e-7, for
 * every activation, loss, depth and initialiser, with dropout masks frozen; and the comparison
 * notices when it does not. This program is linked with the library's double build. */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define STEP 1e-5 /* h: the error of the difference is about h^2 and 1e-16 / h */
#define TOLERANCE 1e-7

TestSuite(gradcheck, .init = fixtures_begin, .fini = fixtures_end);

enum {
    INPUTS = 4,
    OUTPUTS = 3,
    SAMPLES = 7
};

/* The losses with each last activation that they go with. */
static const struct {
    nn_loss loss;
    nn_activation last;
} ends[] = {
    {NN_CROSS_ENTROPY, NN_SOFTMAX},  {NN_BINARY_CROSS_ENTROPY, NN_SIGMOID},
    {NN_SQUARED_ERROR, NN_SIGMOID},  {NN_SQUARED_ERROR, NN_TANH},
    {NN_SQUARED_ERROR, NN_RELU},     {NN_SQUARED_ERROR, NN_LEAKY_RELU},
    {NN_SQUARED_ERROR, NN_IDENTITY},
};

#define N_ENDS (sizeof ends / sizeof *ends)

typedef struct {
    nn_real x[SAMPLES * INPUTS], y[SAMPLES * OUTPUTS];
    nn_data data;
} samples;

static void make_samples(samples *s)
{
    nn_rng rng;
    nn_rng_seed(&rng, 2024);
    for (size_t k = 0; k < SAMPLES * INPUTS; k++) {
        s->x[k] = nn_rng_normal(&rng);
    }
    for (size_t b = 0; b < SAMPLES; b++) {
        for (size_t k = 0; k < OUTPUTS; k++) {
            s->y[b * OUTPUTS + k] = b % OUTPUTS == k ? 0.9 : 0.05; /* they add up to 1 */
        }
    }
    s->data = (nn_data){
        .n = SAMPLES, .inputs = INPUTS, .outputs = OUTPUTS, .values = s->x, .targets = s->y};
}

/* A network of `depth` layers, biases drawn as well, its state, and a batch fed forward. */
typedef struct {
    nn_net *net;
    nn_state *state;
    nn_batch batch;
} setup;

typedef struct {
    size_t depth;
    nn_activation hidden;
    size_t end; /* in ends */
    nn_initialiser initialiser;
    double dropout, input_dropout;
    size_t batch;
    uint64_t seed;
} trial;

static setup begin(const trial *shape, const nn_data *data)
{
    static const size_t widths[] = {5, 3, 6};
    nn_layer layers[4];
    for (size_t l = 0; l + 1 < shape->depth; l++) {
        layers[l] = (nn_layer){widths[l], shape->hidden, shape->dropout};
    }
    layers[shape->depth - 1] = (nn_layer){OUTPUTS, ends[shape->end].last, 0};
    const nn_config config = {INPUTS,
                              shape->depth,
                              layers,
                              ends[shape->end].loss,
                              shape->initialiser,
                              shape->input_dropout};
    setup s = {.batch = {data, NULL, shape->batch}};
    nn_rng rng;
    cr_assert_eq(nn_net_new(&s.net, &config, shape->seed), NN_OK, "%s", nn_error_text());
    cr_assert_eq(nn_state_new(&s.state, s.net, shape->batch, true), NN_OK);
    nn_rng_seed(&rng, shape->seed + 1000);
    for (size_t l = 0; l < shape->depth; l++) {
        for (size_t j = 0; j < layers[l].units; j++) {
            *nn_net_bias(s.net, l, j) = 0.3 * nn_rng_normal(&rng);
        }
    }
    nn_forward_train(s.net, s.state, &s.batch, NN_MASK_SAMPLE, &rng);
    return s;
}

static void end(setup *s)
{
    nn_state_free(s->state);
    nn_net_free(s->net);
}

static void assert_agreement(const trial *shape)
{
    static samples s;
    make_samples(&s);
    setup it = begin(shape, &s.data);
    const double error = nn_gradient_error(it.net, it.state, &it.batch, STEP);
    end(&it);
    cr_assert_leq(
        error, TOLERANCE, "%g: depth %zu, %s, %s with %s, %s, dropout %g and %g, batch %zu", error,
        shape->depth, nn_activation_name(shape->hidden), nn_loss_name(ends[shape->end].loss),
        nn_activation_name(ends[shape->end].last), nn_initialiser_name(shape->initialiser),
        shape->dropout, shape->input_dropout, shape->batch);
}

/* ---- agreement ----------------------------------------------------------------------------- */

/* The seed is one with which no ReLU is closer to its kink than the step. */
Test(gradcheck, every_activation_loss_and_depth_agrees)
{
    for (size_t depth = 1; depth <= 4; depth++) {
        for (size_t hidden = NN_SIGMOID; hidden <= NN_IDENTITY; hidden++) {
            for (size_t e = 0; e < N_ENDS; e++) {
                assert_agreement(&(trial){.depth = depth,
                                          .hidden = (nn_activation)hidden,
                                          .end = e,
                                          .batch = SAMPLES,
                                          .seed = 1});
            }
        }
    }
}

Test(gradcheck, every_activation_loss_and_depth_agrees_with_masks_frozen)
{
    for (size_t depth = 1; depth <= 4; depth++) {
        for (size_t hidden = NN_SIGMOID; hidden <= NN_IDENTITY; hidden++) {
            for (size_t e = 0; e < N_ENDS; e++) {
                assert_agreement(&(trial){.depth = depth,
                                          .hidden = (nn_activation)hidden,
                                          .end = e,
                                          .dropout = 0.4,
                                          .input_dropout = 0.2,
                                          .batch = SAMPLES,
                                          .seed = 2});
            }
        }
    }
}

Test(gradcheck, every_initialiser_agrees)
{
    for (size_t initialiser = 0; initialiser < NN_N_INITIALISERS; initialiser++) {
        for (size_t hidden = NN_SIGMOID; hidden <= NN_TANH; hidden++) {
            assert_agreement(&(trial){.depth = 3,
                                      .hidden = (nn_activation)hidden,
                                      .initialiser = (nn_initialiser)initialiser,
                                      .batch = SAMPLES,
                                      .seed = 3});
        }
    }
}

Test(gradcheck, every_batch_size_agrees)
{
    for (size_t batch = 1; batch <= SAMPLES; batch++) {
        for (size_t e = 0; e < N_ENDS; e++) {
            assert_agreement(&(trial){.depth = 2,
                                      .hidden = NN_TANH,
                                      .end = e,
                                      .dropout = 0.25,
                                      .batch = batch,
                                      .seed = 4});
        }
    }
}

Test(gradcheck, many_weights_agree)
{
    for (uint64_t seed = 10; seed < 40; seed++) {
        assert_agreement(&(trial){.depth = 3,
                                  .hidden = seed % 2 ? NN_TANH : NN_SIGMOID,
                                  .end = seed % N_ENDS % 4,
                                  .initialiser = NN_NORMAL,
                                  .dropout = 0.3,
                                  .input_dropout = 0.3,
                                  .batch = 3,
                                  .seed = seed});
    }
}

Test(gradcheck, mask_of_an_epoch_agrees)
{
    static samples s;
    make_samples(&s);
    const trial shape = {
        .depth = 3, .hidden = NN_SIGMOID, .dropout = 0.5, .batch = SAMPLES, .seed = 5};
    setup it = begin(&shape, &s.data);
    nn_rng rng;
    nn_rng_seed(&rng, 6);
    nn_draw_masks(it.net, it.state, &rng);
    nn_forward_train(it.net, it.state, &it.batch, NN_MASK_EPOCH, &rng);
    cr_assert_leq(nn_gradient_error(it.net, it.state, &it.batch, STEP), TOLERANCE);
    end(&it);
}

/* The 11,935 parameters of the notes' example, with every tenth pixel inked, labels and dropout. */
Test(gradcheck, example_784_15_10_agrees)
{
    static uint8_t pixels[784];
    const uint8_t label = 7;
    const nn_layer layers[] = {{15, NN_SIGMOID, 0.2}, {10, NN_SOFTMAX, 0}};
    const nn_config config = {784, 2, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    const nn_data data = {.n = 1, .inputs = 784, .outputs = 10, .pixels = pixels, .labels = &label};
    const nn_batch batch = {&data, NULL, 1};
    nn_net *net = NULL;
    nn_state *state = NULL;
    nn_rng rng;
    for (size_t k = 0; k < 784; k += 10) {
        pixels[k] = (uint8_t)(k % 251);
    }
    cr_assert_eq(nn_net_new(&net, &config, 1), NN_OK);
    cr_assert_eq(nn_net_n_params(net), 11935);
    cr_assert_eq(nn_state_new(&state, net, 1, true), NN_OK);
    nn_rng_seed(&rng, 1);
    nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, &rng);
    cr_assert_leq(nn_gradient_error(net, state, &batch, 1e-4), TOLERANCE);
    nn_state_free(state);
    nn_net_free(net);
}

/* The library's measure forgives small gradients, which deep sigmoid layers have. Here each counts
 * by its own size. */
Test(gradcheck, small_gradients_of_deep_layers_agree_by_their_own_size)
{
    static samples s;
    make_samples(&s);
    const trial shape = {
        .depth = 4, .hidden = NN_SIGMOID, .dropout = 0.2, .batch = SAMPLES, .seed = 7};
    setup it = begin(&shape, &s.data);
    nn_backward(it.net, it.state, &it.batch);
    double smallest = 1;
    for (size_t k = 0; k < nn_net_n_params(it.net); k++) {
        nn_real *w = nn_net_param(it.net, k);
        const double before = *w;
        const double gradient = nn_param_gradient(it.net, it.state, k);
        double loss[2];
        for (size_t side = 0; side < 2; side++) {
            *w = side == 0 ? before + 1e-4 : before - 1e-4;
            nn_forward_train(it.net, it.state, &it.batch, NN_MASK_SAMPLE, NULL);
            loss[side] = nn_batch_loss(it.net, it.state, &it.batch, NULL);
        }
        *w = before;
        const double difference = (loss[0] - loss[1]) / 2e-4;
        cr_assert_leq(fabs(gradient - difference), 1e-11 + 1e-6 * fabs(gradient),
                      "parameter %zu: %g, numerically %g", k, gradient, difference);
        smallest = gradient != 0 ? fmin(smallest, fabs(gradient)) : smallest;
    }
    cr_assert_lt(smallest, 1e-4); /* else this test would show nothing */
    end(&it);
}

Test(gradcheck, parameters_are_as_before)
{
    static samples s;
    static nn_real before[200];
    make_samples(&s);
    const trial shape = {.depth = 3, .hidden = NN_TANH, .batch = SAMPLES, .seed = 8};
    setup it = begin(&shape, &s.data);
    const size_t n = nn_net_n_params(it.net);
    cr_assert_lt(n, 200);
    for (size_t k = 0; k < n; k++) {
        before[k] = *nn_net_param(it.net, k);
    }
    (void)nn_gradient_error(it.net, it.state, &it.batch, STEP);
    for (size_t k = 0; k < n; k++) {
        cr_assert_eq(*nn_net_param(it.net, k), before[k], "parameter %zu", k);
    }
    end(&it);
}

/* ---- disagreement is noticed --------------------------------------------------------------- */

/* Back-propagation works on what the forward pass left behind: a weight that moves in between makes
 * its gradient wrong. */
Test(gradcheck, gradient_of_another_point_is_noticed)
{
    static samples s;
    make_samples(&s);
    for (size_t e = 0; e < N_ENDS; e++) {
        const trial shape = {.depth = 3, .hidden = NN_TANH, .end = e, .batch = SAMPLES, .seed = 9};
        setup it = begin(&shape, &s.data);
        *nn_net_weight(it.net, 0, 0, 0) += 0.01;
        cr_assert_gt(nn_gradient_error(it.net, it.state, &it.batch, STEP), 100 * TOLERANCE,
                     "end %zu", e);
        end(&it);
    }
}

/* All parameters are looked at, not only the first: that one has nothing to do here. */
Test(gradcheck, wrong_gradient_behind_right_ones_is_noticed)
{
    static samples s;
    make_samples(&s);
    for (size_t b = 0; b < SAMPLES; b++) {
        s.x[b * INPUTS] = 0;
    }
    const trial shape = {.depth = 2, .hidden = NN_TANH, .batch = SAMPLES, .seed = 13};
    setup it = begin(&shape, &s.data);
    *nn_net_bias(it.net, 1, OUTPUTS - 1) += 0.01;
    cr_assert_gt(nn_gradient_error(it.net, it.state, &it.batch, STEP), 100 * TOLERANCE);
    cr_assert_eq(nn_param_gradient(it.net, it.state, 0), 0);
    end(&it);
}

/* At 0 the slope of ReLU is 0 by definition; the central difference gives a half. */
Test(gradcheck, kink_of_relu_is_noticed)
{
    static samples s;
    make_samples(&s);
    const trial shape = {.depth = 2, .hidden = NN_RELU, .end = 6, .batch = SAMPLES, .seed = 10};
    setup it = begin(&shape, &s.data);
    for (size_t i = 0; i < INPUTS; i++) {
        *nn_net_weight(it.net, 0, 0, i) = 0;
    }
    *nn_net_bias(it.net, 0, 0) = 0;
    nn_forward_train(it.net, it.state, &it.batch, NN_MASK_SAMPLE, NULL);
    cr_assert_gt(nn_gradient_error(it.net, it.state, &it.batch, STEP), 1e-3);
    end(&it);
}

/* With a coarse step the difference is one indeed: off by about h^2. */
Test(gradcheck, coarse_step_differs_from_the_slope)
{
    static samples s;
    make_samples(&s);
    const trial shape = {.depth = 2, .hidden = NN_TANH, .batch = SAMPLES, .seed = 11};
    setup it = begin(&shape, &s.data);
    cr_assert_gt(nn_gradient_error(it.net, it.state, &it.batch, 0.5), 1e-4);
    end(&it);
}

Test(gradcheck, gradient_that_is_not_a_number_is_noticed)
{
    static samples s;
    make_samples(&s);
    const trial shape = {.depth = 2, .hidden = NN_TANH, .batch = SAMPLES, .seed = 12};
    setup it = begin(&shape, &s.data);
    *nn_net_bias(it.net, 0, 1) = (double)NAN;
    nn_forward_train(it.net, it.state, &it.batch, NN_MASK_SAMPLE, NULL);
    cr_assert_eq(nn_gradient_error(it.net, it.state, &it.batch, STEP), HUGE_VAL);
    end(&it);
}
