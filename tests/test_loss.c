/* Promise: the losses are those of the formulas, whatever the outputs: by hand where a hand can do
 * it, else from the formula in double precision. */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

/* The loss of a one-layer network whose weights are the identity, so that inputs are logits. */
static double loss_of(nn_loss loss, nn_activation activation, size_t n, const nn_data *data)
{
    const nn_layer layer = {data->outputs, activation, 0};
    const nn_config config = {data->outputs, 1, &layer, loss, NN_ZERO, 0};
    const nn_batch batch = {data, NULL, n};
    nn_net *net = NULL;
    nn_state *state = NULL;
    cr_assert_eq(nn_net_new(&net, &config, 0), NN_OK, "%s", nn_error_text());
    cr_assert_eq(nn_state_new(&state, net, n, false), NN_OK);
    for (size_t k = 0; k < data->outputs; k++) {
        *nn_net_weight(net, 0, k, k) = 1;
    }
    nn_forward(net, state, &batch);
    const double result = nn_batch_loss(net, state, &batch, NULL);
    nn_state_free(state);
    nn_net_free(net);
    return result;
}

static double of_label(const float *logits, size_t units, uint8_t label)
{
    const nn_data data = {
        .n = 1, .inputs = units, .outputs = units, .values = logits, .labels = &label};
    return loss_of(NN_CROSS_ENTROPY, NN_SOFTMAX, 1, &data);
}

static double of_targets(nn_loss loss, nn_activation activation, const float *logits,
                         const float *targets, size_t units)
{
    const nn_data data = {
        .n = 1, .inputs = units, .outputs = units, .values = logits, .targets = targets};
    return loss_of(loss, activation, 1, &data);
}

TestSuite(loss, .init = fixtures_begin, .fini = fixtures_end);

#define ASSERT_NEAR(found, expected, tolerance)                                                    \
    cr_assert_leq(fabs((found) - (expected)), tolerance, "found %.17g, expected %.17g", found,     \
                  expected)

/* ---- softmax and cross-entropy ------------------------------------------------------------- */

/* Logits 0, 0, ln 2 make probabilities 1/4, 1/4, 1/2. */
Test(loss, cross_entropy_is_minus_the_logarithm_of_the_true_class)
{
    const float logits[] = {0, 0, 0.69314718f};
    ASSERT_NEAR(of_label(logits, 3, 0), 1.3862943611198906, 1e-7); /* ln 4 */
    ASSERT_NEAR(of_label(logits, 3, 1), 1.3862943611198906, 1e-7);
    ASSERT_NEAR(of_label(logits, 3, 2), 0.6931471805599453, 1e-7); /* ln 2 */
}

Test(loss, cross_entropy_of_two_classes_is_the_logarithm_of_one_plus_an_exponential)
{
    for (float d = -80.0f; d <= 80.0f; d += 0.37f) {
        const float logits[] = {d, 0};
        const double expected = log1p(exp(-(double)d));
        ASSERT_NEAR(of_label(logits, 2, 0), expected, 2e-7 + 2e-7 * expected);
    }
}

Test(loss, cross_entropy_is_0_when_the_true_class_is_certain)
{
    const float logits[] = {-100, 100, -100};
    cr_assert_eq(of_label(logits, 3, 1), 0.0);
}

Test(loss, cross_entropy_grows_without_bound_when_the_true_class_is_ruled_out)
{
    static const float gaps[] = {10, 100, 1e4f, 1e8f, 1e30f};
    for (size_t k = 0; k < sizeof gaps / sizeof *gaps; k++) {
        const float logits[] = {gaps[k], 0};
        ASSERT_NEAR(of_label(logits, 2, 1), (double)gaps[k], 1e-4 * (double)gaps[k]);
    }
}

Test(loss, cross_entropy_does_not_change_when_all_logits_are_shifted)
{
    const float logits[] = {0.5f, -1, 2};
    const float shifted[] = {1024.5f, 1023, 1026};
    ASSERT_NEAR(of_label(shifted, 3, 0), of_label(logits, 3, 0), 1e-9);
}

/* -sum y ln z with z = 1/4, 1/4, 1/2 and y = 1/2, 0, 1/2: (ln 4 + ln 2) / 2. */
Test(loss, cross_entropy_takes_targets_that_are_shares)
{
    const float logits[] = {0, 0, 0.69314718f};
    const float targets[] = {0.5f, 0, 0.5f};
    const double found = of_targets(NN_CROSS_ENTROPY, NN_SOFTMAX, logits, targets, 3);
    ASSERT_NEAR(found, 1.0397207708399179, 1e-7);
}

/* 0 ln z is 0, even where z is. */
Test(loss, class_that_cannot_be_costs_nothing_unless_it_is_the_true_one)
{
    const nn_layer layer = {2, NN_SOFTMAX, 0};
    const nn_config config = {1, 1, &layer, NN_CROSS_ENTROPY, NN_ZERO, 0};
    const float x = 1;
    nn_net *net = NULL;
    nn_state *state = NULL;
    cr_assert_eq(nn_net_new(&net, &config, 0), NN_OK);
    cr_assert_eq(nn_state_new(&state, net, 1, false), NN_OK);
    *nn_net_bias(net, 0, 1) = -INFINITY;
    for (uint8_t label = 0; label < 2; label++) {
        const nn_data data = {.n = 1, .inputs = 1, .outputs = 2, .values = &x, .labels = &label};
        const nn_batch batch = {&data, NULL, 1};
        nn_forward(net, state, &batch);
        const double loss = nn_batch_loss(net, state, &batch, NULL);
        cr_assert_eq(loss, label == 0 ? 0.0 : HUGE_VAL, "class %u: %g", label, loss);
    }
    nn_state_free(state);
    nn_net_free(net);
}

Test(loss, label_means_the_target_vector_with_1_in_its_place)
{
    const float logits[] = {0.3f, -0.7f, 0.1f, 1.9f};
    for (uint8_t label = 0; label < 4; label++) {
        float targets[4] = {0};
        targets[label] = 1;
        cr_assert_eq(of_label(logits, 4, label),
                     of_targets(NN_CROSS_ENTROPY, NN_SOFTMAX, logits, targets, 4));
    }
}

/* ---- binary cross-entropy ------------------------------------------------------------------ */

Test(loss, binary_cross_entropy_adds_what_each_output_costs)
{
    const float logits[] = {0, 0};
    const float targets[] = {0, 1};
    const double found = of_targets(NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, logits, targets, 2);
    ASSERT_NEAR(found, 1.3862943611198906, 1e-7); /* 2 ln 2 */
}

/* -[y ln z + (1-y) ln(1-z)] from z in double precision, where that still has digits. */
Test(loss, binary_cross_entropy_is_its_formula)
{
    static const float targets[] = {0, 0.25f, 0.5f, 0.9f, 1};
    for (float a = -30.0f; a <= 30.0f; a += 0.61f) {
        for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
            const double y = (double)targets[t];
            const double log_z = -log1p(exp(-(double)a));
            const double log_rest = -log1p(exp((double)a));
            const double expected = -(y * log_z + (1 - y) * log_rest);
            const double found =
                of_targets(NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, &a, &targets[t], 1);
            ASSERT_NEAR(found, expected, 2e-7 + 2e-7 * expected);
        }
    }
}

Test(loss, binary_cross_entropy_is_0_when_right_and_unbounded_when_wrong)
{
    const float certain[] = {1000, -1000};
    const float right[] = {1, 0};
    const float wrong[] = {0, 1};
    cr_assert_eq(of_targets(NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, certain, right, 2), 0.0);
    cr_assert_eq(of_targets(NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, certain, wrong, 2), 2000.0);
}

/* ---- squared error ------------------------------------------------------------------------- */

/* The worked example's outputs and targets: (0.37^2 + 0.09^2) / 2. */
Test(loss, squared_error_is_half_the_sum_of_squares)
{
    const float outputs[] = {0.57f, 0.61f};
    const float targets[] = {0.2f, 0.7f};
    const double found = of_targets(NN_SQUARED_ERROR, NN_IDENTITY, outputs, targets, 2);
    ASSERT_NEAR(found, 0.0725, 1e-7);
    cr_assert_eq(of_targets(NN_SQUARED_ERROR, NN_IDENTITY, outputs, outputs, 2), 0.0);
}

/* ---- all of them --------------------------------------------------------------------------- */

Test(loss, extreme_logits_give_a_finite_loss)
{
    static const float extremes[] = {-FLT_MAX, -1e10f, -88, 0, 88, 1e10f, FLT_MAX};
    const size_t n = sizeof extremes / sizeof *extremes;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            const float logits[] = {extremes[i], extremes[j]};
            const float targets[] = {1, 0};
            const double softmax = of_label(logits, 2, 0);
            const double sigmoid =
                of_targets(NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, logits, targets, 2);
            const double squared = of_targets(NN_SQUARED_ERROR, NN_TANH, logits, targets, 2);
            cr_assert(isfinite(softmax) && softmax >= 0, "%g %g", (double)logits[0],
                      (double)logits[1]);
            cr_assert(isfinite(sigmoid) && sigmoid >= 0);
            cr_assert(isfinite(squared) && squared >= 0);
        }
    }
}

/* So that training notices a network that blew up; one output of several is enough. */
static void assert_nan_is_noticed(nn_loss loss, nn_activation activation, size_t output)
{
    const nn_layer layer = {3, activation, 0};
    const nn_config config = {1, 1, &layer, loss, NN_ZERO, 0};
    const float x = 1;
    const uint8_t label = 0;
    const nn_data data = {.n = 1, .inputs = 1, .outputs = 3, .values = &x, .labels = &label};
    const nn_batch batch = {&data, NULL, 1};
    nn_net *net = NULL;
    nn_state *state = NULL;
    cr_assert_eq(nn_net_new(&net, &config, 0), NN_OK);
    cr_assert_eq(nn_state_new(&state, net, 1, false), NN_OK);
    *nn_net_bias(net, 0, output) = NAN;
    nn_forward(net, state, &batch);
    cr_assert(isnan(nn_batch_loss(net, state, &batch, NULL)), "%s, output %zu", nn_loss_name(loss),
              output);
    nn_state_free(state);
    nn_net_free(net);
}

Test(loss, output_that_is_not_a_number_gives_a_loss_that_is_none)
{
    for (size_t k = 0; k < 3; k++) {
        assert_nan_is_noticed(NN_CROSS_ENTROPY, NN_SOFTMAX, k);
        assert_nan_is_noticed(NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, k);
        assert_nan_is_noticed(NN_SQUARED_ERROR, NN_RELU, k);
        assert_nan_is_noticed(NN_SQUARED_ERROR, NN_TANH, k);
    }
}

Test(loss, loss_of_a_batch_is_the_mean_over_its_samples)
{
    const float logits[] = {0, 0, /**/ 3, 1, /**/ -2, 5, /**/ 1, 1.5f};
    const uint8_t labels[] = {0, 1, 1, 0};
    double sum = 0;
    for (size_t b = 0; b < 4; b++) {
        sum += of_label(logits + 2 * b, 2, labels[b]);
    }
    const nn_data data = {.n = 4, .inputs = 2, .outputs = 2, .values = logits, .labels = labels};
    ASSERT_NEAR(loss_of(NN_CROSS_ENTROPY, NN_SOFTMAX, 4, &data), sum / 4, 1e-12);
    const double first_two = (log(2.0) + of_label(logits + 2, 2, 1)) / 2;
    ASSERT_NEAR(loss_of(NN_CROSS_ENTROPY, NN_SOFTMAX, 2, &data), first_two, 1e-7);
}

/* The slope of the loss by the pre-activation of one output, which is that by its bias. */
static double output_delta(nn_loss loss, nn_activation activation, float a, float target)
{
    const nn_layer layer = {2, activation, 0};
    const nn_config config = {1, 1, &layer, loss, NN_ZERO, 0};
    const float x = 1;
    const float targets[] = {target, 1 - target};
    const nn_data data = {.n = 1, .inputs = 1, .outputs = 2, .values = &x, .targets = targets};
    const nn_batch batch = {&data, NULL, 1};
    nn_net *net = NULL;
    nn_state *state = NULL;
    cr_assert_eq(nn_net_new(&net, &config, 0), NN_OK);
    cr_assert_eq(nn_state_new(&state, net, 1, true), NN_OK);
    *nn_net_bias(net, 0, 0) = a;
    nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, NULL);
    nn_backward(net, state, &batch);
    const double result = (double)nn_bias_gradient(net, state, 0, 0);
    nn_state_free(state);
    nn_net_free(net);
    return result;
}

/* delta(L) = z - y for the cross-entropies; squared error has the factor h' as well. With a = 1 and
 * the other output 0, z = 1 / (1 + 1/e) for sigmoid and softmax; 0.25 is the target. */
Test(loss, output_delta_has_the_slope_only_for_squared_error)
{
    const double z = 0.7310585786300049;
    const double tanh_1 = 0.7615941559557649;
    ASSERT_NEAR(output_delta(NN_CROSS_ENTROPY, NN_SOFTMAX, 1, 0.25f), z - 0.25, 1e-7);
    ASSERT_NEAR(output_delta(NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, 1, 0.25f), z - 0.25, 1e-7);
    ASSERT_NEAR(output_delta(NN_SQUARED_ERROR, NN_SIGMOID, 1, 0.25f),
                (z - 0.25) * 0.19661193324148185, 1e-7);
    ASSERT_NEAR(output_delta(NN_SQUARED_ERROR, NN_TANH, 1, 0.25f),
                (tanh_1 - 0.25) * 0.41997434161402614, 1e-7);
    ASSERT_NEAR(output_delta(NN_SQUARED_ERROR, NN_IDENTITY, 1, 0.25f), 0.75, 1e-7);
    ASSERT_NEAR(output_delta(NN_SQUARED_ERROR, NN_RELU, -1, 0.25f), 0.0, 1e-12);
}

/* However wrong and saturated the output; squared error has lost it there. */
Test(loss, cross_entropy_keeps_its_slope_where_the_sigmoid_is_flat)
{
    ASSERT_NEAR(output_delta(NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, 30, 0), 1.0, 1e-7);
    ASSERT_NEAR(output_delta(NN_CROSS_ENTROPY, NN_SOFTMAX, 30, 0), 1.0, 1e-7);
    ASSERT_NEAR(output_delta(NN_SQUARED_ERROR, NN_SIGMOID, 30, 0), 0.0, 1e-7);
}

/* ---- which goes with which ----------------------------------------------------------------- */

Test(loss, each_loss_goes_with_its_last_layer_only)
{
    static const bool fits[NN_N_LOSSES][NN_N_ACTIVATIONS] = {
        [NN_CROSS_ENTROPY] = {[NN_SOFTMAX] = true},
        [NN_BINARY_CROSS_ENTROPY] = {[NN_SIGMOID] = true},
        [NN_SQUARED_ERROR] = {[NN_SIGMOID] = true,
                              [NN_TANH] = true,
                              [NN_RELU] = true,
                              [NN_LEAKY_RELU] = true,
                              [NN_IDENTITY] = true},
    };
    for (size_t l = 0; l < NN_N_LOSSES; l++) {
        for (size_t a = 0; a < NN_N_ACTIVATIONS; a++) {
            const nn_layer layer = {2, (nn_activation)a, 0};
            const nn_config config = {2, 1, &layer, (nn_loss)l, NN_GLOROT, 0};
            nn_net *net = NULL;
            const nn_status status = nn_net_new(&net, &config, 0);
            cr_assert_eq(status, fits[l][a] ? NN_OK : NN_ERR_ARGUMENT, "%s with %s",
                         nn_loss_name((nn_loss)l), nn_activation_name((nn_activation)a));
            nn_net_free(net);
        }
    }
}

/* ---- names --------------------------------------------------------------------------------- */

Test(loss, names_lead_there_and_back)
{
    static const char *const names[] = {"cross-entropy", "binary-cross-entropy", "squared-error"};
    cr_assert_eq(sizeof names / sizeof *names, NN_N_LOSSES);
    for (size_t k = 0; k < NN_N_LOSSES; k++) {
        nn_loss found = NN_N_LOSSES;
        cr_assert_str_eq(nn_loss_name((nn_loss)k), names[k]);
        cr_assert_eq(nn_loss_find(&found, names[k]), NN_OK);
        cr_assert_eq(found, (nn_loss)k);
    }
    cr_assert_null(nn_loss_name(NN_N_LOSSES));
    cr_assert_null(nn_loss_name((nn_loss)-1));
}

Test(loss, unknown_name_is_refused_with_the_names_there_are)
{
    nn_loss found = NN_SQUARED_ERROR;
    cr_assert_eq(nn_loss_find(&found, "cross entropy"), NN_ERR_ARGUMENT);
    cr_assert_eq(found, NN_SQUARED_ERROR);
    cr_assert_str_eq(nn_error_text(), "no loss is called 'cross entropy'; there are cross-entropy, "
                                      "binary-cross-entropy, squared-error");
}
