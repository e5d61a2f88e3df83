/* Promise: a perceptron learns by Rosenblatt's rule whatever a line separates, within the mistakes
 * that the convergence theorem allows, and nothing else. Expected weights are worked out by hand.
 */
#include "nnlib.h"

#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>

TestSuite(perceptron, .init = fixtures_begin, .fini = fixtures_end);

static const nn_real square[] = {0, 0, 0, 1, 1, 0, 1, 1};

static nn_data gate(const uint8_t labels[4])
{
    return (nn_data){.n = 4, .inputs = 2, .outputs = 2, .values = square, .labels = labels};
}

static const uint8_t and_labels[] = {0, 0, 0, 1}, or_labels[] = {0, 1, 1, 1},
                     xor_labels[] = {0, 1, 1, 0};

static nn_perceptron *fresh(size_t inputs)
{
    nn_perceptron *p = NULL;
    cr_assert_eq(nn_perceptron_new(&p, inputs), NN_OK);
    return p;
}

static void assert_weights(const nn_perceptron *p, double w1, double w2, double bias)
{
    cr_assert_eq(p->weights[0], w1, "w1 is %g, expected %g", p->weights[0], w1);
    cr_assert_eq(p->weights[1], w2, "w2 is %g, expected %g", p->weights[1], w2);
    cr_assert_eq(p->bias, bias, "the bias is %g, expected %g", p->bias, bias);
}

/* ---- the unit ----------------------------------------------------------------------------- */

Test(perceptron, a_step_is_1_from_0_on_and_0_below)
{
    cr_assert_eq(nn_step_value(-HUGE_VAL), 0);
    cr_assert_eq(nn_step_value(-1e-300), 0);
    cr_assert_eq(nn_step_value(-0.0), 1);
    cr_assert_eq(nn_step_value(0), 1);
    cr_assert_eq(nn_step_value(1e-300), 1);
    cr_assert_eq(nn_step_value(HUGE_VAL), 1);
}

Test(perceptron, starts_from_zero)
{
    nn_perceptron *p = fresh(2);
    cr_assert_eq(p->inputs, 2);
    assert_weights(p, 0, 0, 0);
    nn_perceptron_free(p);
}

Test(perceptron, answers_with_the_step_of_its_sum)
{
    double weights[] = {2, -3};
    nn_perceptron p = {2, weights, 0.5};
    nn_data data = gate(and_labels);
    const double sums[] = {0.5, -2.5, 2.5, -0.5};
    for (size_t k = 0; k < 4; k++) {
        cr_assert_eq(nn_perceptron_sum(&p, &data, k), sums[k]);
        cr_assert_eq(nn_perceptron_output(&p, &data, k), sums[k] >= 0);
    }
}

Test(perceptron, sees_bytes_as_shares_of_255)
{
    const uint8_t pixels[] = {255, 51}, label = 1;
    double weights[] = {1, 10};
    nn_perceptron p = {2, weights, 0};
    nn_data data = {.n = 1, .inputs = 2, .outputs = 2, .pixels = pixels, .labels = &label};
    cr_assert_float_eq(nn_perceptron_sum(&p, &data, 0), 1 + 10 * 0.2, 1e-12);
}

/* ---- the rule ----------------------------------------------------------------------------- */

/* (0,0): a = 0, says 1, should be 0: b = -1. (0,1): a = -1, says 0: right. (1,0): likewise.
 * (1,1): a = -1, says 0, should be 1: w = (1,1), b = 0. */
Test(perceptron, one_pass_over_AND_is_as_by_hand)
{
    nn_perceptron *p = fresh(2);
    nn_data data = gate(and_labels);
    cr_assert_eq(nn_perceptron_pass(p, &data, 1), 2);
    assert_weights(p, 1, 1, 0);
    nn_perceptron_free(p);
}

Test(perceptron, the_rate_scales_the_steps)
{
    nn_perceptron *p = fresh(2);
    nn_data data = gate(and_labels);
    cr_assert_eq(nn_perceptron_pass(p, &data, 0.25), 2);
    assert_weights(p, 0.25, 0.25, 0);
    nn_perceptron_free(p);
}

Test(perceptron, weights_change_only_on_a_mistake)
{
    nn_perceptron *p = fresh(2);
    nn_data data = gate(or_labels);
    p->weights[0] = p->weights[1] = 7;
    p->bias = -3.5;
    cr_assert_eq(nn_perceptron_pass(p, &data, 1), 0);
    assert_weights(p, 7, 7, -3.5);
    nn_perceptron_free(p);
}

static size_t passes_until_right(nn_perceptron *p, const nn_data *data, size_t most,
                                 size_t *mistakes)
{
    *mistakes = 0;
    for (size_t pass = 1; pass <= most; pass++) {
        size_t here = nn_perceptron_pass(p, data, 1);
        *mistakes += here;
        if (here == 0) {
            return pass;
        }
    }
    return 0;
}

static void assert_learns(const uint8_t labels[4], double bound)
{
    nn_perceptron *p = fresh(2);
    nn_data data = gate(labels);
    size_t mistakes;
    cr_assert_neq(passes_until_right(p, &data, 100, &mistakes), 0);
    cr_assert_leq((double)mistakes, bound);
    for (size_t k = 0; k < 4; k++) {
        cr_assert_eq(nn_perceptron_output(p, &data, k), labels[k]);
    }
    nn_perceptron_free(p);
}

/* The widest margins: u = (-3, 2, 2) for AND, |u|^2 = 17; u = (-1, 2, 2) for OR, |u|^2 = 9; both
 * leave all four at distance 1 / |u| or more, and the longest input (1, 1, 1) has length^2 3. */
Test(perceptron, learns_AND_within_51_mistakes)
{
    assert_learns(and_labels, 3 * 17);
}

Test(perceptron, learns_OR_within_27_mistakes)
{
    assert_learns(or_labels, 3 * 9);
}

Test(perceptron, never_learns_XOR)
{
    nn_perceptron *p = fresh(2);
    nn_data data = gate(xor_labels);
    size_t mistakes;
    cr_assert_eq(passes_until_right(p, &data, 10000, &mistakes), 0);
    cr_assert_geq(mistakes, 10000);
    nn_perceptron_free(p);
}

/* Points on both sides of a random line, none closer to it than a margin. */
Test(perceptron, keeps_the_bound_on_random_separable_data)
{
    enum {
        N = 50
    };
    nn_rng rng;
    nn_rng_seed(&rng, 7);
    for (size_t trial = 0; trial < 40; trial++) {
        nn_real values[2 * N];
        uint8_t labels[N];
        double u[] = {nn_rng_normal(&rng), nn_rng_normal(&rng)}, bias = nn_rng_normal(&rng) / 2;
        for (size_t n = 0; n < N;) {
            double x = nn_rng_normal(&rng), y = nn_rng_normal(&rng);
            double a = u[0] * x + u[1] * y + bias;
            if (fabs(a) > 0.1) {
                values[2 * n] = (nn_real)x;
                values[2 * n + 1] = (nn_real)y;
                labels[n++] = a > 0;
            }
        }
        nn_data data = {.n = N, .inputs = 2, .outputs = 2, .values = values, .labels = labels};
        nn_perceptron separator = {2, u, bias}, *p = fresh(2);
        double bound = nn_perceptron_bound(&separator, &data);
        size_t mistakes;
        cr_assert(isfinite(bound));
        cr_assert_neq(passes_until_right(p, &data, (size_t)bound + 1, &mistakes), 0);
        cr_assert_leq((double)mistakes, bound);
        nn_perceptron_free(p);
    }
}

/* ---- the bound ---------------------------------------------------------------------------- */

static double bound_of(const uint8_t labels[4], double bias, double w1, double w2)
{
    double weights[] = {w1, w2};
    nn_perceptron separator = {2, weights, bias};
    nn_data data = gate(labels);
    return nn_perceptron_bound(&separator, &data);
}

Test(perceptron, bound_is_R2_u2_over_margin2)
{
    cr_assert_float_eq(bound_of(and_labels, -3, 2, 2), 51, 1e-9);
    cr_assert_float_eq(bound_of(or_labels, -1, 2, 2), 27, 1e-9);
    cr_assert_float_eq(bound_of(or_labels, -2, 4, 4), 27, 1e-9); /* the scale does not matter */
    cr_assert_float_eq(bound_of(and_labels, -1.5, 1, 1), 3 * (2.25 + 2) / 0.25, 1e-9);
}

Test(perceptron, bound_is_infinite_where_nothing_separates)
{
    cr_assert_eq(bound_of(and_labels, -1, 2, 2), HUGE_VAL);
    cr_assert_eq(bound_of(or_labels, 0.5, 2, 2), HUGE_VAL); /* only (0, 0) is on the wrong side */
    cr_assert_eq(bound_of(xor_labels, -1, 2, 2), HUGE_VAL);
    cr_assert_eq(bound_of(xor_labels, 0, 0, 0), HUGE_VAL);
}

/* ---- failures ----------------------------------------------------------------------------- */

Test(perceptron, refuses_impossible_numbers_of_inputs)
{
    nn_perceptron *p = NULL;
    cr_assert_eq(nn_perceptron_new(&p, 0), NN_ERR_ARGUMENT);
    cr_assert_eq(nn_perceptron_new(&p, NN_MAX_UNITS + 1), NN_ERR_ARGUMENT);
    cr_assert_null(p);
    for (size_t inputs = 1; inputs <= NN_MAX_UNITS; inputs *= NN_MAX_UNITS) {
        cr_assert_eq(nn_perceptron_new(&p, inputs), NN_OK);
        nn_perceptron_free(p);
    }
}

Test(perceptron, reports_that_memory_ran_out)
{
    for (unsigned long n = 1; n <= 2; n++) {
        nn_perceptron *p = NULL;
        fault_at(FAULT_ALLOC, n, ENOMEM, false);
        cr_assert_eq(nn_perceptron_new(&p, 3), NN_ERR_MEMORY);
        cr_assert_null(p);
        fault_clear();
    }
    nn_perceptron_free(NULL);
}
