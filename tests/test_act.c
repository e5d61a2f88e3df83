/* Promise: activations and their slopes are what their formulas say, to a few units in the last
 * place of a float, at every argument. The C library's double functions are the reference. */
#include "act.h"

#include <criterion/criterion.h>
#include <float.h>
#include <stdio.h>

/* Returns the distance of a float from its true value, in units of that value's last place. */
static double ulps(nn_real found, double expected)
{
    const float nearest = fabsf((float)expected);
    const double unit = (double)nextafterf(nearest, INFINITY) - (double)nearest;
    return fabs((double)found - expected) / unit;
}

/* The k-th of a sweep: odd k even steps over [-limit, limit], even k both signs of powers from
 * 2^-60 up to limit, so that small arguments are met as well. */
static float sweep(size_t k, size_t n, float limit)
{
    const float share = (float)k / (float)n;
    if (k % 2 == 1) {
        return (2 * share - 1) * limit;
    }
    const float magnitude = limit * powf(2.0f, -60 * share);
    return k % 4 == 0 ? magnitude : -magnitude;
}

#define N_SWEEP 400000

static double sigmoid(double a)
{
    return 1 / (1 + exp(-a));
}

/* ---- values -------------------------------------------------------------------------------- */

/* Python: the polynomials of real.h in exact fractions, each operation rounded to a float. */
Test(act, exp_and_tanh_give_the_same_bits_everywhere)
{
    static const struct {
        float x, exp, tanh;
    } table[] = {
        {0x1p-20f, 0x1.00001p+0f, 0x1p-20f},
        {-0x1p-3f, 0x1.c3d6a2p-1f, -0x1.fd5992p-4f},
        {0x1.4ccccep-2f, 0x1.624fd6p+0f, 0x1.418eb4p-2f},
        {-0x1.99999ap-1f, 0x1.cc1ce4p-2f, -0x1.53fcap-1f},
        {0x1.8p+0f, 0x1.1ed3fep+2f, 0x1.cf6f98p-1f},
        {-0x1.2p+3f, 0x1.02cf22p-13f, -0x1.fffffep-1f},
        {0x1.91eb86p+1f, 0x1.71a974p+4f, 0x1.fe15d2p-1f},
        {-0x1.8d70a4p+4f, 0x1.1eb618p-36f, -1.0f},
        {0x1.4d3334p+5f, 0x1.102608p+60f, 1.0f},
        {-0x1.5cp+6f, 0x1.666d0ep-126f, -1.0f},
        /* where a coefficient that is off by one bit shows */
        {0x1.615d7p+2f, 0x1.f3eefcp+7f, 0x1.fffbcep-1f},
        {0x1.28378ep+4f, 0x1.a29964p+26f, 1.0f},
        {0x1.8bb04cp+1f, 0x1.6018ccp+4f, 0x1.fde3ccp-1f},
        {-0x1.322e7ep-1f, 0x1.198d1p-1f, -0x1.123e72p-1f},
        {0x1.73bd88p-2f, 0x1.700b84p+0f, 0x1.643a2ap-2f},
    };
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        cr_assert_eq(nn_exp(table[t].x), table[t].exp, "exp %a", (double)table[t].x);
        cr_assert_eq(nn_tanh(table[t].x), table[t].tanh, "tanh %a", (double)table[t].x);
    }
}

Test(act, exp_is_right_to_about_one_unit_in_the_last_place)
{
    double worst = 0;
    for (size_t k = 0; k <= N_SWEEP; k++) {
        const float x = sweep(k, N_SWEEP, 87.0f);
        worst = fmax(worst, ulps(nn_exp(x), exp((double)x)));
    }
    cr_assert_leq(worst, 1.1);
    cr_assert_eq(nn_exp(0.0f), 1.0f);
    cr_assert_eq(nn_exp(-0.0f), 1.0f);
}

Test(act, exp_is_cut_so_that_it_neither_overflows_nor_vanishes)
{
    cr_assert_eq(nn_exp(INFINITY), nn_exp(87.0f));
    cr_assert_eq(nn_exp(FLT_MAX), nn_exp(87.0f));
    cr_assert_eq(nn_exp(-INFINITY), nn_exp(-87.0f));
    cr_assert_eq(nn_exp(-100.0f), nn_exp(-87.0f));
    cr_assert(isfinite(nn_exp(87.0f)));
    cr_assert_geq(nn_exp(-87.0f), FLT_MIN); /* subnormal numbers are slow */
    cr_assert(isnan(nn_exp(NAN)));
}

Test(act, exp_never_falls_where_its_argument_rises)
{
    float before = nn_exp(-2.0f);
    for (float x = -2.0f; x < 2.0f; x += 0x1p-15f) {
        const float now = nn_exp(x);
        cr_assert_geq(now, before, "at %a", (double)x);
        before = now;
    }
}

Test(act, log_is_right_to_a_few_units_in_the_last_place_of_a_double)
{
    double worst = 0;
    for (size_t k = 1; k <= N_SWEEP; k++) {
        const double share = (double)k / N_SWEEP;
        const double argument[] = {
            ldexp(1 + share, (int)(k % 2000) - 1000),
            1 + ldexp(share, -(int)(k % 52)), /* near 1, where ln is near 0 */
            1 - ldexp(share, -1 - (int)(k % 52)),
        };
        for (size_t a = 0; a < sizeof argument / sizeof *argument; a++) {
            const double expected = log(argument[a]);
            const double unit = nextafter(fabs(expected), DBL_MAX) - fabs(expected);
            worst = fmax(worst, fabs(nn_log(argument[a]) - expected) / unit);
        }
    }
    cr_assert_leq(worst, 4);
    cr_assert_eq(nn_log(1.0), 0.0);
}

Test(act, sigmoid_is_right_to_a_few_units_in_the_last_place)
{
    double worst = 0;
    for (size_t k = 0; k <= N_SWEEP; k++) {
        const float a = sweep(k, N_SWEEP, 41.5f); /* where it is above NN_FLOOR */
        worst = fmax(worst, ulps(nn_sigmoid_value(a), sigmoid((double)a)));
    }
    cr_assert_leq(worst, 3);
}

Test(act, sigmoid_below_the_floor_is_0)
{
    cr_assert_gt(nn_sigmoid_value(-41.5f), (float)NN_FLOOR);
    cr_assert_eq(nn_sigmoid_value(-41.6f), 0.0f);
}

Test(act, tanh_is_right_to_a_few_units_in_the_last_place)
{
    double worst = 0;
    for (size_t k = 0; k <= N_SWEEP; k++) {
        const float a = sweep(k, N_SWEEP, 20.0f);
        worst = fmax(worst, ulps(nn_tanh_value(a), tanh((double)a)));
    }
    cr_assert_leq(worst, 2);
}

/* Python: 1 / (1 + math.exp(-a)), math.tanh(a). */
Test(act, values_agree_with_published_functions)
{
    static const struct {
        float a;
        double sigmoid, tanh, relu, leaky, identity;
    } table[] = {
        {-5.0f, 0.0066928509242848554, -0.9999092042625951, 0, -0.05, -5},
        {-1.0f, 0.2689414213699951, -0.7615941559557649, 0, -0.01, -1},
        {-0.25f, 0.43782349911420193, -0.24491866240370913, 0, -0.0025, -0.25},
        {0.0f, 0.5, 0, 0, 0, 0},
        {-0.0f, 0.5, 0, 0, 0, 0},
        {1e-30f, 0.5, 1e-30, 1e-30, 1e-30, 1e-30},
        {-1e-30f, 0.5, -1e-30, 0, -1e-32, -1e-30},
        {0.25f, 0.5621765008857981, 0.24491866240370913, 0.25, 0.25, 0.25},
        {1.0f, 0.7310585786300049, 0.7615941559557649, 1, 1, 1},
        {5.0f, 0.9933071490757153, 0.9999092042625951, 5, 5, 5},
        {100.0f, 1, 1, 100, 100, 100},
    };
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        const float a = table[t].a;
        cr_assert_leq(ulps(nn_sigmoid_value(a), table[t].sigmoid), 2, "sigmoid %g", (double)a);
        cr_assert_leq(ulps(nn_tanh_value(a), table[t].tanh), 2, "tanh %g", (double)a);
        cr_assert_leq(ulps(nn_relu_value(a), table[t].relu), 1, "relu %g", (double)a);
        cr_assert_leq(ulps(nn_leaky_relu_value(a), table[t].leaky), 2, "leaky %g", (double)a);
        cr_assert_leq(ulps(nn_identity_value(a), table[t].identity), 1, "identity %g", (double)a);
    }
}

Test(act, extreme_arguments_saturate)
{
    static const float large[] = {100.0f, 1e30f, FLT_MAX, INFINITY};
    for (size_t k = 0; k < sizeof large / sizeof *large; k++) {
        cr_assert_eq(nn_sigmoid_value(large[k]), 1.0f);
        cr_assert_eq(nn_sigmoid_value(-large[k]), 0.0f);
        cr_assert_eq(nn_tanh_value(large[k]), 1.0f);
        cr_assert_eq(nn_tanh_value(-large[k]), -1.0f);
        cr_assert_eq(nn_relu_value(large[k]), large[k]);
        cr_assert_eq(nn_relu_value(-large[k]), 0.0f);
        cr_assert_eq(nn_leaky_relu_value(large[k]), large[k]);
        cr_assert_eq(nn_leaky_relu_value(-large[k]), -0.01f * large[k]);
        cr_assert_eq(nn_identity_value(-large[k]), -large[k]);
    }
}

Test(act, not_a_number_passes_through)
{
    cr_assert(isnan(nn_sigmoid_value(NAN)));
    cr_assert(isnan(nn_tanh_value(NAN)));
    cr_assert(isnan(nn_relu_value(NAN)));
    cr_assert(isnan(nn_leaky_relu_value(NAN)));
    cr_assert(isnan(nn_identity_value(NAN)));
}

/* tanh a = 2 sigmoid(2a) - 1: absolute error, as the difference loses digits near 0. */
Test(act, tanh_is_a_stretched_sigmoid)
{
    for (float a = -10.0f; a <= 10.0f; a += 0.01f) {
        const double stretched = 2 * (double)nn_sigmoid_value(2 * a) - 1;
        cr_assert_leq(fabs((double)nn_tanh_value(a) - stretched), 3e-7, "at %g", (double)a);
    }
}

Test(act, sigmoid_and_tanh_are_symmetric)
{
    for (float a = 0.0f; a <= 20.0f; a += 0.01f) {
        const double sum = (double)nn_sigmoid_value(a) + (double)nn_sigmoid_value(-a);
        cr_assert_leq(fabs(sum - 1), 1.2e-7, "at %g", (double)a);
        cr_assert_eq(nn_tanh_value(-a), -nn_tanh_value(a), "at %g", (double)a);
    }
}

/* ---- slopes -------------------------------------------------------------------------------- */

/* sigma'(a) = e^-a / (1 + e^-a)^2;  tanh'(a) = 1 / cosh^2 a. Both are made from z, whose rounding
 * near 1 costs them their relative precision there: so absolute errors. */
Test(act, slopes_are_the_derivatives)
{
    for (float a = -10.0f; a <= 10.0f; a += 0.001f) {
        const double x = (double)a;
        const double sigmoid_slope = exp(-x) / pow(1 + exp(-x), 2);
        const double tanh_slope = 1 / pow(cosh(x), 2);
        const double sigmoid_found = (double)nn_sigmoid_slope(nn_sigmoid_value(a));
        const double tanh_found = (double)nn_tanh_slope(nn_tanh_value(a));
        cr_assert_leq(fabs(sigmoid_found - sigmoid_slope), 1e-7, "sigmoid at %g", x);
        cr_assert_leq(fabs(tanh_found - tanh_slope), 3e-7, "tanh at %g", x);
    }
}

Test(act, slope_of_sigmoid_is_at_most_a_quarter_and_that_of_tanh_four_times_as_much)
{
    cr_assert_eq(nn_sigmoid_slope(nn_sigmoid_value(0.0f)), 0.25f);
    cr_assert_eq(nn_tanh_slope(nn_tanh_value(0.0f)), 1.0f);
    for (float a = -100.0f; a <= 100.0f; a += 0.01f) {
        const float slow = nn_sigmoid_slope(nn_sigmoid_value(a));
        const float fast = nn_tanh_slope(nn_tanh_value(a));
        cr_assert(slow >= 0 && slow <= 0.25f, "at %g", (double)a);
        cr_assert(fast >= 0 && fast <= 1.0f, "at %g", (double)a);
    }
}

Test(act, relu_dies_below_0_and_leaky_relu_does_not)
{
    static const float below[] = {-1e-30f, -1.0f, -1e30f};
    for (size_t k = 0; k < 3; k++) {
        cr_assert_eq(nn_relu_slope(nn_relu_value(below[k])), 0.0f);
        cr_assert_eq(nn_leaky_relu_slope(nn_leaky_relu_value(below[k])), 0.01f);
        cr_assert_eq(nn_relu_slope(nn_relu_value(-below[k])), 1.0f);
        cr_assert_eq(nn_leaky_relu_slope(nn_leaky_relu_value(-below[k])), 1.0f);
    }
}

Test(act, slope_of_identity_is_1)
{
    cr_assert_eq(nn_identity_slope(-3.0f), 1.0f);
    cr_assert_eq(nn_identity_slope(0.0f), 1.0f);
}

/* ---- the table ----------------------------------------------------------------------------- */

/* Makes the network x -> h(x): one unit, weight 1, bias 0. */
static nn_net *one_unit(nn_activation activation)
{
    const nn_layer layer = {1, activation, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    nn_net *net = NULL;
    cr_assert_eq(nn_net_new(&net, &config, 0), NN_OK, "%s", nn_error_text());
    *nn_net_weight(net, 0, 0, 0) = 1;
    return net;
}

/* With target z - 1 the squared error's slope by b is (z - y) h'(a) = h'(a). */
Test(act, each_constant_stands_for_its_function_in_a_network)
{
    static const struct {
        nn_activation activation;
        double at_half, slope_at_half, at_minus_half, slope_at_minus_half;
    } table[] = {
        /* Python: math.exp, math.tanh */
        {NN_SIGMOID, 0.6224593312018546, 0.2350037122015945, 0.3775406687981454,
         0.2350037122015945},
        {NN_TANH, 0.46211715726000973, 0.7864477329659275, -0.46211715726000973,
         0.7864477329659275},
        {NN_RELU, 0.5, 1, 0, 0},
        {NN_LEAKY_RELU, 0.5, 1, -0.005, 0.01},
        {NN_IDENTITY, 0.5, 1, -0.5, 1},
    };
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        const float x[] = {0.5f, -0.5f};
        const double z[] = {table[t].at_half, table[t].at_minus_half};
        const double slope[] = {table[t].slope_at_half, table[t].slope_at_minus_half};
        nn_net *net = one_unit(table[t].activation);
        nn_state *state = NULL;
        cr_assert_eq(nn_state_new(&state, net, 1, true), NN_OK);
        for (size_t k = 0; k < 2; k++) {
            const float y = (float)z[k] - 1;
            const nn_data data = {
                .n = 1, .inputs = 1, .outputs = 1, .values = &x[k], .targets = &y};
            const nn_batch batch = {&data, NULL, 1};
            nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, NULL);
            nn_backward(net, state, &batch);
            const double found = (double)nn_output(state, 0)[0];
            const double gradient = (double)nn_bias_gradient(net, state, 0, 0);
            const char *name = nn_activation_name(table[t].activation);
            cr_assert_leq(fabs(found - z[k]), 1e-7, "%s of %g", name, (double)x[k]);
            cr_assert_leq(fabs(gradient - slope[k]), 3e-7, "slope of %s at %g", name, (double)x[k]);
        }
        nn_state_free(state);
        nn_net_free(net);
    }
}

/* Layers without an activation collapse into one: h(h(h(x))) = c^3 x. */
Test(act, stacked_identity_layers_collapse_into_one)
{
    const nn_layer layers[] = {{1, NN_IDENTITY, 0}, {1, NN_IDENTITY, 0}, {1, NN_IDENTITY, 0}};
    const nn_config config = {1, 3, layers, NN_SQUARED_ERROR, NN_ZERO, 0};
    const float x[] = {1, -2, 0.5f};
    const nn_data data = {.n = 3, .inputs = 1, .outputs = 1, .values = x};
    nn_net *net = NULL;
    float found[3];
    cr_assert_eq(nn_net_new(&net, &config, 0), NN_OK);
    for (size_t l = 0; l < 3; l++) {
        *nn_net_weight(net, l, 0, 0) = 1.5f;
    }
    cr_assert_eq(nn_predict(found, net, &data), NN_OK);
    for (size_t b = 0; b < 3; b++) {
        cr_assert_eq(found[b], 3.375f * x[b]);
    }
    nn_net_free(net);
}

/* ---- names --------------------------------------------------------------------------------- */

Test(act, names_lead_there_and_back)
{
    static const char *const names[] = {"sigmoid",    "tanh",     "relu",
                                        "leaky-relu", "identity", "softmax"};
    cr_assert_eq(sizeof names / sizeof *names, NN_N_ACTIVATIONS);
    for (size_t k = 0; k < NN_N_ACTIVATIONS; k++) {
        nn_activation found = NN_N_ACTIVATIONS;
        cr_assert_str_eq(nn_activation_name((nn_activation)k), names[k]);
        cr_assert_eq(nn_activation_find(&found, names[k]), NN_OK);
        cr_assert_eq(found, (nn_activation)k);
    }
    cr_assert_null(nn_activation_name(NN_N_ACTIVATIONS));
    cr_assert_null(nn_activation_name((nn_activation)-1));
}

Test(act, unknown_name_is_refused_with_the_names_there_are)
{
    static const char *const wrong[] = {"", "Sigmoid", "sigmoid ", "step", "leaky_relu"};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        nn_activation found = NN_TANH;
        char expected[256];
        cr_assert_eq(nn_activation_find(&found, wrong[k]), NN_ERR_ARGUMENT);
        cr_assert_eq(found, NN_TANH);
        (void)snprintf(expected, sizeof expected,
                       "no activation is called '%s'; there are sigmoid, tanh, relu, leaky-relu, "
                       "identity, softmax",
                       wrong[k]);
        cr_assert_str_eq(nn_error_text(), expected);
    }
}
