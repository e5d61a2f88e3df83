/* Numerical differentiation against back-propagation on the 784-15-10 network. */
#include "demo.h"
#include "learner.h"
#include "message.h"
#include "terminal.h"
#include "text.h"

#include <math.h>

enum {
    N_IMAGES = 10,
    REPEATS = 200, /* of back-propagation, to time it */
    N_SHOWN = 6,
    WEIGHTS_1 = 784 * 15,
    LAYER_1 = 785 * 15,   /* parameters below the second layer's */
    MIDDLE = 14 * 28 + 14 /* the pixel there */
};

/* A power of two, so that w + h and w - h are as far apart as they claim. Much smaller, and the
 * rounding of floats drowns the difference. */
#define H 0x1p-6

typedef struct {
    double worst, largest; /* |slope - difference|; |slope| */
    double back_propagation_seconds, difference_seconds;
    size_t n_params;
} comparison;

static double cost_at(learner *l, const nn_batch *batch, nn_real *parameter, double value)
{
    nn_real before = *parameter;
    *parameter = (nn_real)value;
    nn_forward(l->net, l->state, batch);
    *parameter = before;
    return nn_batch_loss(l->net, l->state, batch, NULL);
}

/* [C(w + h) - C(w - h)] / 2h */
static double difference(learner *l, const nn_batch *batch, size_t k)
{
    nn_real *w = nn_net_param(l->net, k);
    double middle = (double)*w;
    nn_real up = (nn_real)(middle + H), down = (nn_real)(middle - H);
    return (cost_at(l, batch, w, (double)up) - cost_at(l, batch, w, (double)down)) /
           ((double)up - (double)down);
}

static double time_back_propagation(learner *l, const nn_batch *batch)
{
    double begin = clock_seconds();
    for (size_t k = 0; k < REPEATS; k++) {
        learner_gradients(l, batch);
    }
    return (clock_seconds() - begin) / REPEATS;
}

/* The differences of all parameters; the slopes are in the state. */
static void compare(comparison *c, learner *l, const nn_batch *batch, double *differences)
{
    double begin = clock_seconds();
    for (size_t k = 0; k < c->n_params; k++) {
        differences[k] = difference(l, batch, k);
    }
    c->difference_seconds = clock_seconds() - begin;
    for (size_t k = 0; k < c->n_params; k++) {
        double slope = (double)nn_param_gradient(l->net, l->state, k);
        c->worst = fmax(c->worst, fabs(slope - differences[k]));
        c->largest = fmax(c->largest, fabs(slope));
    }
}

static void say_some(const demo *d, const learner *l, const double *differences)
{
    static const struct {
        const char *name;
        size_t place;
    } shown[N_SHOWN] = {
        {"fc1.weight[0], middle pixel", MIDDLE},
        {"fc1.weight[14], middle pixel", (size_t)14 * 784 + MIDDLE},
        {"fc1.bias[0]", WEIGHTS_1},
        {"fc2.weight[0][0]", LAYER_1},
        {"fc2.weight[9][14]", LAYER_1 + 149},
        {"fc2.bias[9]", LAYER_1 + 159},
    };
    demo_say(d, "  parameter                      back-propagation   difference\n");
    for (size_t k = 0; k < N_SHOWN; k++) {
        demo_say(d, "  %-30s        %9.5f    %9.5f\n", shown[k].name,
                 (double)nn_param_gradient(l->net, l->state, shown[k].place),
                 differences[shown[k].place]);
    }
    demo_say(d, "\n");
}

static void say_comparison(demo *d, const comparison *c)
{
    double ratio = c->difference_seconds / c->back_propagation_seconds;
    demo_say(d,
             "  largest slope                      %11.7f\n"
             "  largest disagreement               %11.7f\n"
             "  forward passes for differences     2 * 11,935 = %zu\n"
             "  passes for back-propagation        1 forward, 1 backward\n\n"
             "time  back-propagation     %10.3f ms\n"
             "time  differences          %10.3f ms\n"
             "time  ratio                %10.0f\n\n",
             c->largest, c->worst, 2 * c->n_params, 1e3 * c->back_propagation_seconds,
             1e3 * c->difference_seconds, ratio);
    json *document = &d->document;
    json_size(document, document->root, "parameters", c->n_params);
    demo_number(d, document->root, "largest_slope", c->largest);
    demo_number(d, document->root, "largest_disagreement", c->worst);
    json_number(document, document->root, "back_propagation_seconds", c->back_propagation_seconds);
    json_number(document, document->root, "difference_seconds", c->difference_seconds);
    json_number(document, document->root, "times_faster", ratio);
}

static int measure(demo *d, learner *l, const nn_data *data)
{
    const nn_batch batch = {.data = data, .n = data->n};
    comparison c = {.n_params = nn_net_n_params(l->net)};
    double *differences = nn_alloc_array(c.n_params, sizeof *differences);
    if (!differences) {
        return fail_memory();
    }
    c.back_propagation_seconds = time_back_propagation(l, &batch);
    compare(&c, l, &batch, differences);
    say_some(d, l, differences);
    say_comparison(d, &c);
    nn_free(differences);
    return EXIT_DONE;
}

static int run(demo *d)
{
    const nn_layer layers[] = {{15, NN_SIGMOID, 0}, {10, NN_SOFTMAX, 0}};
    const nn_config config = {784, 2, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    demo_digits digits;
    learner l;
    demo_say(d, "Numerical differentiation\n\n"
                "The slope of the cost C by one weight w, without any theory: move w a little and\n"
                "see how much C moves, [C(w + h) - C(w - h)] / 2h. It must agree with back-\n"
                "propagation, and it costs two passes forward for each of the parameters:\n"
                "784*15 + 15 + 15*10 + 10 = 11,935 of them in the 784-15-10 network.\n\n");
    int code = demo_digits_load(&digits, d, N_IMAGES, 0);
    if (code != EXIT_DONE) {
        return code;
    }
    code = fail(learner_init(&l, &config, d->seed, N_IMAGES), ROLE_OUTPUT);
    if (code == EXIT_DONE) {
        code = measure(d, &l, &digits.train);
        demo_say(d,
                 "Notice: they agree to the precision of the arithmetic, which is float, with\n"
                 "h = 1/64. Back-propagation gets all 11,935 slopes for about the price of three\n"
                 "passes forward. Differences stay useful for one thing: to prove that back-\n"
                 "propagation is programmed right. The tests do so in double precision.\n\n"
                 "Read on: Bishop, Pattern recognition and machine learning (2006), section\n"
                 "5.3.3.\n");
    }
    learner_release(&l);
    demo_digits_release(&digits);
    return code;
}

const demo_row demo_numeric = {
    "numeric", "numerical differentiation against back-propagation, 11,935 slopes", run};
