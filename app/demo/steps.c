/* The eight steps of training, on a 2-2-1 network, two mini-batches in full. */
#include "demo.h"
#include "learner.h"
#include "message.h"

enum {
    N_INPUTS = 2,
    N_HIDDEN = 2,
    N_SAMPLES = 4,
    BATCH = 2,
    N_PARAMS = (N_INPUTS + 1) * N_HIDDEN + N_HIDDEN + 1
};

#define LEARNING_RATE 0.5

static const nn_real inputs[N_SAMPLES * N_INPUTS] = {0.1F, 0.9F, 0.8F, 0.2F,
                                                     0.9F, 0.7F, 0.2F, 0.1F};
static const nn_real targets[N_SAMPLES] = {1, 1, 0, 0};

static const nn_data samples = {
    .n = N_SAMPLES, .inputs = N_INPUTS, .outputs = 1, .values = inputs, .targets = targets};

/* ---- one sample --------------------------------------------------------------------------- */

/* a(l)[j] = sum over i of W(l)[j][i] z(l-1)[i] + b(l)[j], for the sample last fed forward */
static double sum_of(const learner *l, size_t layer, size_t j, const nn_real *below)
{
    double a = (double)*nn_net_bias(l->net, layer, j);
    for (size_t i = 0; i < 2; i++) {
        a += (double)*nn_net_weight(l->net, layer, j, i) * (double)below[i];
    }
    return a;
}

static void say_forward(const demo *d, const learner *l, const nn_real *x)
{
    const nn_real *hidden = nn_hidden(l->state, 0, 0);
    demo_say(d, "  2 input     x = (%.1f, %.1f)\n", (double)x[0], (double)x[1]);
    for (size_t j = 0; j < N_HIDDEN; j++) {
        demo_say(d, "%s a(1)[%zu] = %6.3f   z(1)[%zu] = %.3f\n",
                 j == 0 ? "  3 forward  " : "             ", j + 1, sum_of(l, 0, j, x), j + 1,
                 (double)hidden[j]);
    }
    demo_say(d, "              a(2)    = %6.3f   z(2)    = %.3f\n", sum_of(l, 1, 0, hidden),
             (double)nn_output(l->state, 0)[0]);
}

static void say_backward(const demo *d, const learner *l, double y, double loss)
{
    double z = (double)nn_output(l->state, 0)[0];
    demo_say(d,
             "  4 error     y = %.0f, C = -[y ln z + (1 - y) ln(1 - z)] = %.3f\n"
             "  5 backward  delta(2) = z - y = %.3f\n"
             "              delta(1) = h' W(2)^T delta(2) =",
             y, loss, z - y);
    for (size_t j = 0; j < N_HIDDEN; j++) {
        demo_say(d, " %6.3f", (double)nn_bias_gradient(l->net, l->state, 0, j));
    }
    demo_say(d, "\n");
}

/* The parameters in the order of a model file: W(1), b(1), W(2), b(2) */
static void say_numbers(const demo *d, const char *label, const double v[N_PARAMS])
{
    demo_say(d, "  %s  W(1) [%6.3f %6.3f] [%6.3f %6.3f]  b(1) %6.3f %6.3f\n", label, v[0], v[1],
             v[2], v[3], v[4], v[5]);
    demo_say(d, "              W(2) [%6.3f %6.3f]                  b(2) %6.3f\n", v[6], v[7], v[8]);
}

static void take_gradients(double v[N_PARAMS], const learner *l)
{
    for (size_t k = 0; k < N_PARAMS; k++) {
        v[k] = (double)nn_param_gradient(l->net, l->state, k);
    }
}

static void show_sample(demo *d, learner *l, uint32_t sample, double sum[N_PARAMS])
{
    const nn_batch one = {.data = &samples, .index = &sample, .n = 1};
    double gradient[N_PARAMS], loss = learner_gradients(l, &one);
    demo_say(d, "  sample %u\n", (unsigned)sample + 1);
    say_forward(d, l, inputs + (size_t)sample * N_INPUTS);
    say_backward(d, l, (double)targets[sample], loss);
    take_gradients(gradient, l);
    say_numbers(d, "6 gradient", gradient);
    for (size_t k = 0; k < N_PARAMS; k++) {
        sum[k] += gradient[k];
    }
}

/* ---- a mini-batch ------------------------------------------------------------------------- */

static void say_parameters(demo *d, learner *l, const char *label)
{
    double v[N_PARAMS];
    for (size_t k = 0; k < N_PARAMS; k++) {
        v[k] = (double)*nn_net_param(l->net, k);
    }
    say_numbers(d, label, v);
}

static void show_batch(demo *d, learner *l, size_t number, const uint32_t *index)
{
    const nn_batch batch = {.data = &samples, .index = index, .n = BATCH};
    double mean[N_PARAMS] = {0};
    demo_say(d, "Mini-batch %zu\n", number);
    for (size_t k = 0; k < BATCH; k++) {
        show_sample(d, l, index[k], mean);
    }
    for (size_t k = 0; k < N_PARAMS; k++) {
        mean[k] /= BATCH;
    }
    demo_say(d, "  7 all %d samples of the mini-batch are done; their mean\n", BATCH);
    say_numbers(d, "          ", mean);
    double loss = learner_step(l, &batch, &(nn_sgd_options){.learning_rate = LEARNING_RATE});
    demo_say(d, "  8 update: w <- w - %.1f g\n", LEARNING_RATE);
    say_parameters(d, l, "          ");
    demo_say(d, "  mean loss of the mini-batch %.3f before, %.3f after\n\n", loss,
             learner_gradients(l, &batch));
    demo_number(d, d->document.root, number == 1 ? "first_loss" : "second_loss", loss);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void show_epoch(demo *d, learner *l)
{
    uint32_t order[N_SAMPLES] = {0, 1, 2, 3};
    nn_rng rng;
    nn_rng_seed(&rng, d->seed);
    nn_rng_shuffle(&rng, order, N_SAMPLES);
    demo_say(d, "  1 initialise: weights at random from seed %llu, biases 0\n",
             (unsigned long long)d->seed);
    say_parameters(d, l, "          ");
    demo_say(d, "\nThe samples are shuffled, %u %u %u %u, and taken %d at a time.\n\n",
             order[0] + 1U, order[1] + 1U, order[2] + 1U, order[3] + 1U, BATCH);
    for (size_t k = 0; k < N_SAMPLES / BATCH; k++) {
        show_batch(d, l, k + 1, order + k * BATCH);
    }
}

static int run(demo *d)
{
    const nn_layer layers[] = {{N_HIDDEN, NN_SIGMOID, 0}, {1, NN_SIGMOID, 0}};
    const nn_config config = {N_INPUTS, 2, layers, NN_BINARY_CROSS_ENTROPY, NN_GLOROT, 0};
    learner l;
    nn_status status = learner_init(&l, &config, d->seed, N_SAMPLES);
    if (status == NN_OK) {
        demo_say(d,
                 "The eight steps of training\n\n"
                 "A 2-2-1 network of sigmoids learns four samples in mini-batches of two; loss:\n"
                 "cross-entropy; learning rate 0.5. Layer 1 is the hidden one, layer 2 the\n"
                 "output; W(l)[j][i] joins unit i below to unit j.\n\n");
        show_epoch(d, &l);
        demo_say(d,
                 "That was one epoch: every sample once. Training goes on with step 2 in a new\n"
                 "order.\n\n"
                 "Notice: the weights move once a mini-batch, not once a sample; delta(1) needs\n"
                 "delta(2), so errors travel backwards; each gradient is the delta above a\n"
                 "weight times the output below it.\n\n"
                 "Read on: Robbins and Monro, A stochastic approximation method (1951);\n"
                 "Rumelhart, Hinton and Williams (1986); Bottou, Stochastic gradient descent\n"
                 "tricks (2012).\n");
    }
    learner_release(&l);
    return fail(status, ROLE_OUTPUT);
}

const demo_row demo_steps = {
    "steps", "the eight steps of training a 2-2-1 network, two mini-batches in full", run};
