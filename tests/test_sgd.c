/* Promise: a step is v <- m v - mu (g + l2 w), w <- w + v, in just that arithmetic, and velocities
 * never become subnormal. The figures are worked out by hand in numbers that a float holds exactly,
 * so that they must agree to the bit. */
#include "fixtures.h"
#include "net.h"

#include <criterion/criterion.h>
#include <errno.h>

TestSuite(sgd, .init = fixtures_begin, .fini = fixtures_end);

/* One linear unit with squared error: z = w x + b, dC/dw = (z - y) x, dC/db = z - y. */
typedef struct {
    nn_net *net;
    nn_state *state;
    nn_sgd *sgd;
} unit;

static unit new_unit(float w, float b)
{
    const nn_layer layer = {1, NN_IDENTITY, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    unit u = {NULL, NULL, NULL};
    cr_assert_eq(nn_net_new(&u.net, &config, 0), NN_OK);
    cr_assert_eq(nn_state_new(&u.state, u.net, 1, true), NN_OK);
    cr_assert_eq(nn_sgd_new(&u.sgd, u.net), NN_OK);
    *nn_net_weight(u.net, 0, 0, 0) = w;
    *nn_net_bias(u.net, 0, 0) = b;
    return u;
}

static void free_unit(unit *u)
{
    nn_sgd_free(u->sgd);
    nn_state_free(u->state);
    nn_net_free(u->net);
}

/* One step on the sample (x, y). */
static void step(unit *u, float x, float y, const nn_sgd_options *options)
{
    const nn_data data = {.n = 1, .inputs = 1, .outputs = 1, .values = &x, .targets = &y};
    const nn_batch batch = {&data, NULL, 1};
    nn_forward_train(u->net, u->state, &batch, NN_MASK_SAMPLE, NULL);
    nn_backward(u->net, u->state, &batch);
    nn_sgd_step(u->sgd, u->net, u->state, options);
}

static void assert_params(unit *u, float w, float b)
{
    const float found_w = *nn_net_weight(u->net, 0, 0, 0);
    const float found_b = *nn_net_bias(u->net, 0, 0);
    cr_assert(found_w == w && found_b == b, "w %.9g, b %.9g; expected %.9g, %.9g", (double)found_w,
              (double)found_b, (double)w, (double)b);
}

/* ---- steps by hand ------------------------------------------------------------------------- */

/* z = 0.5 * 2 + 0.25 = 1.25, so the slopes are 2.5 and 1.25. */
Test(sgd, plain_step_goes_down_the_slope)
{
    const nn_sgd_options options = {.learning_rate = 0.125};
    unit u = new_unit(0.5f, 0.25f);
    step(&u, 2, 0, &options);
    assert_params(&u, 0.5f - 0.125f * 2.5f, 0.25f - 0.125f * 1.25f);
    free_unit(&u);
}

/* Step 1: v = -0.3125, -0.15625; w = 0.1875, b = 0.09375.
 * Step 2: z = 0.46875; slopes 0.9375, 0.46875; v = -0.15625 - 0.1171875 = -0.2734375 and
 * -0.078125 - 0.05859375 = -0.13671875; w = -0.0859375, b = -0.04296875. */
Test(sgd, momentum_carries_half_of_a_step_into_the_next)
{
    const nn_sgd_options options = {.learning_rate = 0.125, .momentum = 0.5};
    unit u = new_unit(0.5f, 0.25f);
    step(&u, 2, 0, &options);
    assert_params(&u, 0.1875f, 0.09375f);
    step(&u, 2, 0, &options);
    assert_params(&u, -0.0859375f, -0.04296875f);
    free_unit(&u);
}

/* As above with l2 = 0.5: the weight's slope is 2.5 + 0.25 = 2.75, then 0.8125 + 0.078125. */
Test(sgd, momentum_and_decay_work_together)
{
    const nn_sgd_options options = {0.125, 0.5, 0.5};
    unit u = new_unit(0.5f, 0.25f);
    step(&u, 2, 0, &options);
    assert_params(&u, 0.15625f, 0.09375f);
    step(&u, 2, 0, &options);
    assert_params(&u, -0.126953125f, -0.03515625f);
    free_unit(&u);
}

/* The target is what the unit gives, so that only the decay acts. */
Test(sgd, l2_shrinks_weights_and_leaves_biases)
{
    const nn_sgd_options options = {.learning_rate = 0.5, .l2 = 0.25};
    unit u = new_unit(-4, 3);
    step(&u, 0, 3, &options);
    assert_params(&u, -4 * 0.875f, 3);
    step(&u, 0, 3, &options);
    assert_params(&u, -4 * 0.875f * 0.875f, 3);
    free_unit(&u);
}

Test(sgd, l2_acts_on_the_weights_of_every_layer_and_on_no_bias)
{
    const nn_layer layers[] = {{5, NN_IDENTITY, 0}, {3, NN_IDENTITY, 0}, {2, NN_IDENTITY, 0}};
    const nn_config config = {4, 3, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    const nn_sgd_options options = {.learning_rate = 0.5, .l2 = 0.5};
    const float x[4] = {0};
    const float y[2] = {0}; /* no input, no bias: no output, no gradient */
    const nn_data data = {.n = 1, .inputs = 4, .outputs = 2, .values = x, .targets = y};
    const nn_batch batch = {&data, NULL, 1};
    unit u = {NULL, NULL, NULL};
    nn_net *before = NULL;
    cr_assert_eq(nn_net_new(&u.net, &config, 1), NN_OK);
    cr_assert_eq(nn_state_new(&u.state, u.net, 1, true), NN_OK);
    cr_assert_eq(nn_sgd_new(&u.sgd, u.net), NN_OK);
    cr_assert_eq(nn_net_clone(&before, u.net), NN_OK);
    nn_forward_train(u.net, u.state, &batch, NN_MASK_SAMPLE, NULL);
    nn_backward(u.net, u.state, &batch);
    for (size_t l = 0; l < 3; l++) {
        for (size_t j = 0; j < layers[l].units; j++) {
            *nn_net_bias(u.net, l, j) = 1;
        }
    }
    nn_sgd_step(u.sgd, u.net, u.state, &options);
    const size_t inputs[] = {4, 5, 3};
    for (size_t l = 0; l < 3; l++) {
        for (size_t j = 0; j < layers[l].units; j++) {
            cr_assert_eq(*nn_net_bias(u.net, l, j), 1.0f);
            for (size_t i = 0; i < inputs[l]; i++) {
                cr_assert_eq(*nn_net_weight(u.net, l, j, i),
                             0.75f * *nn_net_weight(before, l, j, i));
            }
        }
    }
    nn_net_free(before);
    free_unit(&u);
}

Test(sgd, velocities_start_at_0_and_belong_to_their_own_descent)
{
    const nn_sgd_options options = {.learning_rate = 0.125, .momentum = 0.5};
    unit u = new_unit(0.5f, 0.25f);
    nn_sgd *first = u.sgd;
    step(&u, 2, 0, &options);
    assert_params(&u, 0.1875f, 0.09375f);
    cr_assert_eq(nn_sgd_new(&u.sgd, u.net), NN_OK); /* no memory of that step */
    step(&u, 2, 0, &options);
    assert_params(&u, 0.1875f - 0.125f * 0.9375f, 0.09375f - 0.125f * 0.46875f);
    nn_sgd_free(first);
    free_unit(&u);
}

/* ---- the floor of velocities --------------------------------------------------------------- */

/* After one push the unit is where it should be; from there v halves at each step: a power of two,
 * until it is smaller than 2^-60 and becomes +0. */
Test(sgd, velocity_below_its_floor_becomes_0)
{
    static const float pushes[] = {1, -1};
    for (size_t p = 0; p < 2; p++) {
        const nn_sgd_options options = {.learning_rate = 0.5, .momentum = 0.5};
        unit u = new_unit(0, 0);
        step(&u, 1, pushes[p], &options); /* v = +-0.5 for both */
        const nn_real *v = nn_sgd_velocity(u.sgd) + nn_net_place(u.net, 0);
        cr_assert_eq(*v, 0.5f * pushes[p]);
        for (int k = 2; k <= 60; k++) {
            step(&u, 0, *nn_net_bias(u.net, 0, 0), &options);
            cr_assert_eq(*v, ldexpf(pushes[p], -k), "step %d", k);
        }
        cr_assert_eq((double)fabsf(*v), NN_FLOOR);
        for (int k = 0; k < 100; k++) {
            step(&u, 0, *nn_net_bias(u.net, 0, 0), &options);
            cr_assert_eq(*v, 0.0f);
            cr_assert_not(signbit(*v)); /* -0 would show in the saved bits of some other step */
        }
        free_unit(&u);
    }
}

/* What the floor takes away is nothing that a weight of ordinary size could hold. */
Test(sgd, weight_has_the_limit_of_the_geometric_series)
{
    const nn_sgd_options options = {.learning_rate = 0.5, .momentum = 0.5};
    unit u = new_unit(0, 0);
    step(&u, 1, 1, &options);
    for (int k = 0; k < 200; k++) {
        step(&u, 0, *nn_net_bias(u.net, 0, 0), &options);
    }
    cr_assert_eq(*nn_net_weight(u.net, 0, 0, 0), 1.0f); /* 1/2 + 1/4 + ... */
    free_unit(&u);
}

/* ---- in one with backward ------------------------------------------------------------------ */

enum {
    N_SAMPLES = 9,
    N_INPUTS = 70
};

/* Pictures, half of their pixels 0, as bytes and as numbers. */
typedef struct {
    uint8_t pixels[N_SAMPLES * N_INPUTS], labels[N_SAMPLES];
    float values[N_SAMPLES * N_INPUTS];
} pictures;

static void make_pictures(pictures *p)
{
    nn_rng rng;
    nn_rng_seed(&rng, 77);
    for (size_t k = 0; k < N_SAMPLES * N_INPUTS; k++) {
        p->pixels[k] = nn_rng_below(&rng, 2) ? 0 : (uint8_t)nn_rng_below(&rng, 256);
        p->values[k] = (float)p->pixels[k] / 255;
    }
    for (size_t b = 0; b < N_SAMPLES; b++) {
        p->labels[b] = (uint8_t)b;
    }
}

/* Five steps, each either behind the backward pass or within it. */
static unit after_five_steps(const nn_config *config, const nn_batch *batch, bool within)
{
    const nn_sgd_options options = {0.5, 0.9, 0.01};
    unit u = {NULL, NULL, NULL};
    nn_rng rng;
    nn_rng_seed(&rng, 1);
    cr_assert_eq(nn_net_new(&u.net, config, 1), NN_OK);
    cr_assert_eq(nn_state_new(&u.state, u.net, batch->n, true), NN_OK);
    cr_assert_eq(nn_sgd_new(&u.sgd, u.net), NN_OK);
    for (size_t k = 0; k < 5; k++) {
        nn_forward_train(u.net, u.state, batch, NN_MASK_SAMPLE, &rng);
        if (within) {
            nn_backward_and_step(u.net, u.state, batch, u.sgd, &options);
        } else {
            nn_backward(u.net, u.state, batch);
            nn_sgd_step(u.sgd, u.net, u.state, &options);
        }
    }
    return u;
}

/* Training uses nn_backward_and_step: the same parameters, bit for bit, and the same velocities. */
Test(sgd, step_within_backward_gives_the_same_bits_as_a_step_behind_it)
{
    static pictures p;
    static const uint32_t index[] = {8, 0, 3, 3, 5};
    static const double input_dropout[] = {0, 0, 0.25, 0.25};
    const nn_layer layers[] = {{33, NN_TANH, 0.25}, {17, NN_RELU, 0}, {10, NN_SOFTMAX, 0}};
    make_pictures(&p);
    for (size_t kind = 0; kind < 4; kind++) {
        const nn_config config = {N_INPUTS,         3,         layers,
                                  NN_CROSS_ENTROPY, NN_GLOROT, input_dropout[kind]};
        const nn_data data = {.n = N_SAMPLES,
                              .inputs = N_INPUTS,
                              .outputs = 10,
                              .pixels = kind % 2 ? p.pixels : NULL,
                              .values = p.values,
                              .labels = p.labels};
        const nn_batch batch = {&data, index, 5};
        unit behind = after_five_steps(&config, &batch, false);
        unit within = after_five_steps(&config, &batch, true);
        for (size_t k = 0; k < nn_net_n_params(behind.net); k++) {
            const size_t at = nn_net_place(behind.net, k);
            cr_assert_eq(*nn_net_param(behind.net, k), *nn_net_param(within.net, k),
                         "kind %zu, parameter %zu", kind, k);
            cr_assert_eq(nn_sgd_velocity(behind.sgd)[at], nn_sgd_velocity(within.sgd)[at]);
        }
        free_unit(&behind);
        free_unit(&within);
    }
}

/* ---- decay of the learning rate ------------------------------------------------------------ */

typedef struct {
    double rates[4];
    float weights[4];
    nn_net *net;
} record;

static bool note_epoch(void *context, const nn_epoch *epoch)
{
    record *r = context;
    r->rates[epoch->epoch - 1] = epoch->learning_rate;
    r->weights[epoch->epoch - 1] = *nn_net_weight(r->net, 0, 0, 0);
    return true;
}

/* mu = 1/2, 1/4, 1/8, 1/16 with decay 1. With x = 1/2, y = 0: z = w/2 + b, and w and b lose mu z /
 * 2 and mu z. */
Test(sgd, learning_rate_falls_from_epoch_to_epoch)
{
    const float x = 0.5f;
    const float y = 0;
    const nn_data data = {.n = 1, .inputs = 1, .outputs = 1, .values = &x, .targets = &y};
    unit u = new_unit(1, 0);
    record r = {.net = u.net};
    const nn_train_options options = {.epochs = 4,
                                      .batch = 1,
                                      .learning_rate = 0.5,
                                      .decay = 1,
                                      .context = &r,
                                      .on_epoch = note_epoch};
    cr_assert_eq(nn_train(u.net, &data, NULL, &options, NULL), NN_OK, "%s", nn_error_text());
    double w = 1;
    double b = 0;
    double rate = 0.5;
    for (size_t k = 0; k < 4; k++) {
        cr_assert_eq(r.rates[k], rate);
        const double z = w / 2 + b;
        w -= rate * z / 2;
        b -= rate * z;
        cr_assert_leq(fabs((double)r.weights[k] - w), 1e-6, "epoch %zu", k + 1);
        rate /= 2; /* mu / (1 + 1) */
    }
    free_unit(&u);
}

/* ---- memory -------------------------------------------------------------------------------- */

Test(sgd, failing_memory_is_reported_and_nothing_is_left_behind)
{
    unit u = new_unit(0, 0);
    nn_sgd *sgd = NULL;
    for (unsigned long n = 1; n <= 2; n++) {
        fault_clear();
        fault_at(FAULT_ALLOC, n, ENOMEM, false);
        cr_assert_eq(nn_sgd_new(&sgd, u.net), NN_ERR_MEMORY);
        cr_assert_null(sgd);
        cr_assert_str_eq(nn_error_text(), "out of memory for the velocities of 2 parameters");
    }
    free_unit(&u);
}
