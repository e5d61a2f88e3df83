/* What a unit makes of its sum: activations and their slopes, softmax, and the losses above them.
 */
#include "demo.h"
#include "learner.h"
#include "message.h"

static const nn_activation shown[] = {NN_SIGMOID, NN_TANH, NN_RELU, NN_LEAKY_RELU, NN_IDENTITY};

enum {
    N_SHOWN = DEMO_COUNT(shown),
    N_CURVE = 161
};

static const nn_real zero = 0, one = 1;

/* Feeds x = 0 through one layer whose biases are the pre-activations a[units]; what comes back is
 * the loss and, in delta, dC/da. */
static nn_status through_layer(double *z, double *delta, double *loss, nn_activation activation,
                               nn_loss kind, const double *a, const nn_real *y, size_t units)
{
    nn_layer layer = {units, activation, 0};
    nn_config config = {1, 1, &layer, kind, NN_ZERO, 0};
    learner l;
    nn_data data = {.n = 1, .inputs = 1, .outputs = units, .values = &zero, .targets = y};
    nn_status status = learner_init(&l, &config, 1, 1);
    if (status == NN_OK) {
        for (size_t k = 0; k < units; k++) {
            *nn_net_bias(l.net, 0, k) = (nn_real)a[k];
        }
        *loss = learner_gradients(&l, &(nn_batch){.data = &data, .n = 1});
        for (size_t k = 0; k < units; k++) {
            z[k] = (double)nn_output(l.state, 0)[k];
            delta[k] = (double)nn_bias_gradient(l.net, l.state, 0, k);
        }
    }
    learner_release(&l);
    return status;
}

/* h(a) and h'(a): for squared error and y = z - 1, the delta (z - y) h'(a) is the slope itself. */
static nn_status unit(double *z, double *slope, nn_activation activation, double a)
{
    double loss;
    nn_status status = through_layer(z, slope, &loss, activation, NN_SQUARED_ERROR, &a, &zero, 1);
    if (status != NN_OK) {
        return status;
    }
    nn_real y = (nn_real)*z - 1;
    return through_layer(z, slope, &loss, activation, NN_SQUARED_ERROR, &a, &y, 1);
}

/* ---- units -------------------------------------------------------------------------------- */

static const double sums[] = {-4, -2, -1, 0, 1, 2, 4};

static void say_sums(const demo *d, const char *what)
{
    demo_say(d, "  %-11s", what);
    for (size_t k = 0; k < DEMO_COUNT(sums); k++) {
        demo_say(d, " %7.0f", sums[k]);
    }
    demo_say(d, "\n");
}

static void say_row(const demo *d, const char *name, const double *values)
{
    demo_say(d, "  %-11s", name);
    for (size_t k = 0; k < DEMO_COUNT(sums); k++) {
        demo_say(d, " %7.3f", values[k]);
    }
    demo_say(d, "\n");
}

static nn_status show_units(demo *d)
{
    double z[N_SHOWN][DEMO_COUNT(sums)], slope[N_SHOWN][DEMO_COUNT(sums)];
    double step[DEMO_COUNT(sums)];
    cJSON *list = json_array(&d->document, d->document.root, "units");
    for (size_t f = 0; f < N_SHOWN; f++) {
        for (size_t k = 0; k < DEMO_COUNT(sums); k++) {
            nn_status status = unit(&z[f][k], &slope[f][k], shown[f], sums[k]);
            if (status != NN_OK) {
                return status;
            }
            step[k] = nn_step_value(sums[k]);
        }
        cJSON *item = json_object(&d->document, list, NULL);
        json_text(&d->document, item, "name", nn_activation_name(shown[f]));
        demo_numbers(d, item, "a", sums, DEMO_COUNT(sums));
        demo_numbers(d, item, "h", z[f], DEMO_COUNT(sums));
        demo_numbers(d, item, "slope", slope[f], DEMO_COUNT(sums));
    }
    say_sums(d, "h(a), a =");
    say_row(d, "step", step);
    for (size_t f = 0; f < N_SHOWN; f++) {
        say_row(d, nn_activation_name(shown[f]), z[f]);
    }
    demo_say(d, "\n");
    say_sums(d, "h'(a), a =");
    for (size_t f = 0; f < N_SHOWN; f++) {
        say_row(d, nn_activation_name(shown[f]), slope[f]);
    }
    demo_say(d,
             "\nNotice: the sigmoid's slope is h (1 - h), 0.25 at most; that of tanh a, which is\n"
             "2 sigmoid(2a) - 1, is four times as much. ReLU passes the slope on whole or not\n"
             "at all: a unit whose sum is negative for every input has slope 0 and never\n"
             "learns again. Leaky ReLU keeps 0.01 there. The step has slope 0 everywhere.\n\n");
    return NN_OK;
}

/* ---- softmax and losses ------------------------------------------------------------------- */

static nn_status show_softmax(demo *d)
{
    static const double a[] = {2, 1, 0, -1};
    static const nn_real y[] = {1, 0, 0, 0};
    double z[DEMO_COUNT(a)], delta[DEMO_COUNT(a)], loss, sum = 0;
    nn_status status =
        through_layer(z, delta, &loss, NN_SOFTMAX, NN_CROSS_ENTROPY, a, y, DEMO_COUNT(a));
    if (status != NN_OK) {
        return status;
    }
    demo_say(d, "Softmax, z[k] = exp(a[k]) / sum of exp(a), makes probabilities of a layer:\n"
                "  a           y    z      delta = z - y\n");
    for (size_t k = 0; k < DEMO_COUNT(a); k++) {
        demo_say(d, "  %4.1f        %.0f  %.3f  %6.3f\n", a[k], (double)y[k], z[k], delta[k]);
        sum += z[k];
    }
    demo_say(d, "  sum            %.3f\n  loss = -ln %.3f = %.3f\n\n", sum, z[0], loss);
    demo_numbers(d, d->document.root, "softmax", z, DEMO_COUNT(a));
    demo_number(d, d->document.root, "softmax_loss", loss);
    return NN_OK;
}

/* The loss of two classes whose sums are `gap` apart. */
static nn_status show_log_loss(demo *d)
{
    static const double gaps[] = {40, 5, 2, 0, -2, -5, -10, -40};
    static const nn_real y[] = {1, 0};
    demo_say(d, "The loss is -ln of the true class's probability p:\n"
                "  p       loss\n");
    for (size_t k = 0; k < DEMO_COUNT(gaps); k++) {
        double a[] = {gaps[k], 0}, z[2], delta[2], loss;
        nn_status status = through_layer(z, delta, &loss, NN_SOFTMAX, NN_CROSS_ENTROPY, a, y, 2);
        if (status != NN_OK) {
            return status;
        }
        demo_say(d, "  %-6.2g %6.3f\n", z[0], loss);
    }
    demo_say(d, "0 where the network is certain and right; without bound as p goes to 0.\n\n");
    return NN_OK;
}

static nn_status show_deltas(demo *d)
{
    static const double a[] = {-6, -4, -2, 0, 2, 4};
    demo_say(d, "A sigmoid output that should be 1, under two losses. delta = dC/da is what\n"
                "learning gets to see; a decision rounds z at 0.5:\n"
                "      a      z  says   squared error         cross-entropy\n"
                "                       loss   delta          loss   delta\n");
    cJSON *list = json_array(&d->document, d->document.root, "deltas");
    for (size_t k = 0; k < DEMO_COUNT(a); k++) {
        double z, squared, entropy, loss[2];
        nn_status status =
            through_layer(&z, &squared, &loss[0], NN_SIGMOID, NN_SQUARED_ERROR, &a[k], &one, 1);
        if (status == NN_OK) {
            status = through_layer(&z, &entropy, &loss[1], NN_SIGMOID, NN_BINARY_CROSS_ENTROPY,
                                   &a[k], &one, 1);
        }
        if (status != NN_OK) {
            return status;
        }
        demo_say(d, "  %5.1f  %.3f  %4d  %.3f  %7.4f        %.3f  %7.4f\n", a[k], z,
                 nn_step_value(z - 0.5), loss[0], squared, loss[1], entropy);
        cJSON *item = json_object(&d->document, list, NULL);
        demo_number(d, item, "a", a[k]);
        demo_number(d, item, "squared_error", squared);
        demo_number(d, item, "cross_entropy", entropy);
    }
    demo_say(d, "\nNotice: where the unit is most wrong, squared error gives it almost nothing to\n"
                "learn from: delta has the factor h'(a) in it. In cross-entropy the logarithm\n"
                "cancels that factor; delta is z - y, the error itself.\n\n");
    return NN_OK;
}

/* ---- picture ------------------------------------------------------------------------------ */

static int draw(demo *d)
{
    static double x[N_CURVE], y[2][N_SHOWN][N_CURVE];
    static const plot_colour colours[N_SHOWN] = {PLOT_BLUE, PLOT_GREEN, PLOT_VERMILION, PLOT_ORANGE,
                                                 PLOT_GREY};
    plot_series series[2][N_SHOWN];
    if (!d->out) {
        return EXIT_DONE;
    }
    for (size_t f = 0; f < N_SHOWN; f++) {
        for (size_t k = 0; k < N_CURVE; k++) {
            x[k] = (double)k / 20 - 4;
            nn_status status = unit(&y[0][f][k], &y[1][f][k], shown[f], x[k]);
            if (status != NN_OK) {
                return fail(status, ROLE_OUTPUT);
            }
        }
        for (size_t p = 0; p < 2; p++) {
            series[p][N_SHOWN - 1 - f] = (plot_series){
                /* what covers most comes first */
                nn_activation_name(shown[f]), PLOT_LINE, colours[f], x, y[p][f], N_CURVE};
        }
    }
    const plot_panel panels[] = {
        {"h(a)", {"a", -4, 4, false}, {NULL, -1.5, 2.5, false}, series[0], N_SHOWN, NULL, NULL},
        {"h'(a)", {"a", -4, 4, false}, {NULL, -0.1, 1.2, false}, series[1], N_SHOWN, NULL, NULL},
    };
    return demo_plot(d, "curves", "Activations and their slopes", panels, 2, 2);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int run(demo *d)
{
    static nn_status (*const parts[])(demo *) = {show_units, show_softmax, show_log_loss,
                                                 show_deltas};
    nn_status status = NN_OK;
    demo_say(d, "Activations and losses\n\n"
                "A unit adds up what comes in, a = w x + b, and passes on h(a). Learning needs\n"
                "the slope h'(a).\n\n");
    for (size_t k = 0; k < DEMO_COUNT(parts) && status == NN_OK; k++) {
        status = parts[k](d);
    }
    if (status != NN_OK) {
        return fail(status, ROLE_OUTPUT);
    }
    demo_say(d, "Read on: LeCun, Bottou, Orr and Mueller, Efficient backprop (1998); Glorot,\n"
                "Bordes and Bengio, Deep sparse rectifier neural networks (2011); Maas, Hannun\n"
                "and Ng, Rectifier nonlinearities improve neural network acoustic models (2013);\n"
                "Bishop, Pattern recognition and machine learning (2006), chapters 4 and 5.\n");
    return draw(d);
}

const demo_row demo_activations = {
    "activations", "what units make of their sum; softmax; losses and their deltas", run};
