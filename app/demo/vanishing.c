/* Gradients that fade on their way back, and ReLU units that die. */
#include "demo.h"
#include "learner.h"
#include "message.h"

#include <math.h>

enum {
    N_IMAGES = 1000,
    BATCH = 200,
    UNITS = 30,
    TWO_LAYERS = 2 * UNITS,
    MIN_DEPTH = 2,
    MAX_DEPTH = 10
};

static const nn_activation shown[] = {NN_SIGMOID, NN_TANH, NN_RELU, NN_LEAKY_RELU};

enum {
    N_SHOWN = DEMO_COUNT(shown)
};

static nn_status make(learner *l, nn_activation activation, size_t depth, size_t max_batch,
                      uint64_t seed)
{
    nn_layer layers[MAX_DEPTH + 1];
    for (size_t k = 0; k < depth; k++) {
        layers[k] = (nn_layer){UNITS, activation, 0};
    }
    layers[depth] = (nn_layer){10, NN_SOFTMAX, 0};
    nn_config config = {784, depth + 1, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    return learner_init(l, &config, seed, max_batch);
}

/* ---- gradients ---------------------------------------------------------------------------- */

/* norms[activation][depth][l] = |dC/db(l)|, the length of the mean delta of hidden layer l */
typedef double norm_table[N_SHOWN][MAX_DEPTH + 1][MAX_DEPTH];

static double bias_gradient_norm(const learner *l, size_t layer)
{
    double sum = 0;
    for (size_t j = 0; j < UNITS; j++) {
        double g = (double)nn_bias_gradient(l->net, l->state, layer, j);
        sum += g * g;
    }
    return sqrt(sum);
}

static nn_status measure(norm_table norms, const nn_data *data, size_t a, size_t depth,
                         uint64_t seed)
{
    learner l;
    nn_status status = make(&l, shown[a], depth, BATCH, seed);
    if (status == NN_OK) {
        learner_gradients(&l, &(nn_batch){.data = data, .n = BATCH < data->n ? BATCH : data->n});
        for (size_t k = 0; k < depth; k++) {
            norms[a][depth][k] = bias_gradient_norm(&l, k);
        }
    }
    learner_release(&l);
    return status;
}

static nn_status measure_all(norm_table norms, const nn_data *data, uint64_t seed)
{
    for (size_t a = 0; a < N_SHOWN; a++) {
        for (size_t depth = MIN_DEPTH; depth <= MAX_DEPTH; depth++) {
            nn_status status = measure(norms, data, a, depth, seed);
            if (status != NN_OK) {
                return status;
            }
        }
    }
    return NN_OK;
}

static void say_head(const demo *d, const char *first)
{
    demo_say(d, "  %-8s", first);
    for (size_t a = 0; a < N_SHOWN; a++) {
        demo_say(d, " %12s", nn_activation_name(shown[a]));
    }
    demo_say(d, "\n");
}

static void say_layers(const demo *d, norm_table norms)
{
    demo_say(d,
             "The length of the gradient dC/db(l) by layer, %d hidden layers, before training:\n\n",
             MAX_DEPTH);
    say_head(d, "layer");
    for (size_t k = 0; k < MAX_DEPTH; k++) {
        demo_say(d, "  %-8zu", k + 1);
        for (size_t a = 0; a < N_SHOWN; a++) {
            demo_say(d, " %12.2e", norms[a][MAX_DEPTH][k]);
        }
        demo_say(d, "\n");
    }
    demo_say(d, "\n");
}

static void say_ratios(demo *d, norm_table norms)
{
    cJSON *list = json_array(&d->document, d->document.root, "gradients");
    demo_say(d, "The first hidden layer's gradient as a share of the last one's, by depth:\n\n");
    say_head(d, "hidden");
    for (size_t depth = MIN_DEPTH; depth <= MAX_DEPTH; depth++) {
        demo_say(d, "  %-8zu", depth);
        for (size_t a = 0; a < N_SHOWN; a++) {
            demo_say(d, " %12.1e", norms[a][depth][0] / norms[a][depth][depth - 1]);
            cJSON *item = json_object(&d->document, list, NULL);
            json_text(&d->document, item, "activation", nn_activation_name(shown[a]));
            json_size(&d->document, item, "hidden_layers", depth);
            demo_numbers(d, item, "norms", norms[a][depth], depth);
        }
        demo_say(d, "\n");
    }
    demo_say(d, "\n");
}

/* ---- dead units --------------------------------------------------------------------------- */

static const double rates[] = {0.05, 0.2, 0.5, 1};

/* Counts the units of a two-layer network whose sum is negative for every image. Leaky ReLU's
 * output is then negative, ReLU's is 0. */
static size_t count_dead(learner *l, const nn_data *data)
{
    size_t dead = 0;
    nn_forward(l->net, l->state, &(nn_batch){.data = data, .n = data->n});
    for (size_t k = 0; k < TWO_LAYERS; k++) {
        bool alive = false;
        for (size_t b = 0; b < data->n && !alive; b++) {
            alive = nn_hidden(l->state, k / UNITS, b)[k % UNITS] > 0;
        }
        dead += !alive;
    }
    return dead;
}

/* Trains for three epochs with a learning rate; counts dead units and images read rightly. */
static nn_status wear(size_t *dead, double *accuracy, const nn_data *data, nn_activation activation,
                      double rate, uint64_t seed)
{
    const nn_train_options how = {.epochs = 3, .batch = 10, .learning_rate = rate, .seed = seed};
    learner l;
    nn_status status = make(&l, activation, 2, data->n, seed);
    if (status == NN_OK) {
        status = nn_train(l.net, data, NULL, &how, NULL);
        status = status == NN_ERR_DIVERGED ? NN_OK : status; /* what it had learned is left */
    }
    if (status == NN_OK) {
        *dead = count_dead(&l, data);
        learner_loss(&l, data, data->n, accuracy);
    }
    learner_release(&l);
    return status;
}

static nn_status show_dead(demo *d, const nn_data *data)
{
    cJSON *list = json_array(&d->document, d->document.root, "dead_units");
    demo_say(d,
             "Units (of %d) whose sum is negative for all images after three epochs, and the\n"
             "share of training images that the network then reads rightly:\n\n"
             "  learning rate            relu         leaky-relu\n",
             TWO_LAYERS);
    for (size_t r = 0; r < DEMO_COUNT(rates); r++) {
        demo_say(d, "  %-13.2f", rates[r]);
        for (size_t a = 2; a < N_SHOWN; a++) {
            size_t dead;
            double accuracy;
            nn_status status = wear(&dead, &accuracy, data, shown[a], rates[r], d->seed);
            if (status != NN_OK) {
                return status;
            }
            demo_say(d, "  %6zu %7.1f %%", dead, 100 * accuracy);
            cJSON *item = json_object(&d->document, list, NULL);
            json_text(&d->document, item, "activation", nn_activation_name(shown[a]));
            demo_number(d, item, "learning_rate", rates[r]);
            json_size(&d->document, item, "dead", dead);
            demo_number(d, item, "accuracy", accuracy);
        }
        demo_say(d, "\n");
    }
    demo_say(d, "\n");
    return NN_OK;
}

/* ---- picture ------------------------------------------------------------------------------ */

static int draw(demo *d, norm_table norms)
{
    static const plot_colour colours[N_SHOWN] = {PLOT_BLUE, PLOT_GREEN, PLOT_VERMILION,
                                                 PLOT_ORANGE};
    double layer[MAX_DEPTH], depth[MAX_DEPTH - MIN_DEPTH + 1];
    double share[N_SHOWN][MAX_DEPTH - MIN_DEPTH + 1];
    plot_series by_layer[N_SHOWN], by_depth[N_SHOWN];
    for (size_t k = 0; k < MAX_DEPTH; k++) {
        layer[k] = (double)(k + 1);
    }
    for (size_t a = 0; a < N_SHOWN; a++) {
        const char *name = nn_activation_name(shown[a]);
        for (size_t n = MIN_DEPTH; n <= MAX_DEPTH; n++) {
            depth[n - MIN_DEPTH] = (double)n;
            share[a][n - MIN_DEPTH] = norms[a][n][0] / norms[a][n][n - 1];
        }
        by_layer[a] =
            (plot_series){name, PLOT_MARKED, colours[a], layer, norms[a][MAX_DEPTH], MAX_DEPTH};
        by_depth[a] = (plot_series){name,  PLOT_MARKED, colours[a],
                                    depth, share[a],    MAX_DEPTH - MIN_DEPTH + 1};
    }
    const plot_panel panels[] = {
        {.title = "gradient norm in a network of 10 hidden layers",
         .x.label = "hidden layer",
         .y.logarithmic = true,
         .series = by_layer,
         .n_series = N_SHOWN},
        {.title = "first layer's gradient / last layer's",
         .x.label = "hidden layers",
         .y.logarithmic = true,
         .series = by_depth,
         .n_series = N_SHOWN},
    };
    return demo_plot(d, "norms", "Gradients on their way back", panels, 2, 2);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int show(demo *d, const nn_data *data)
{
    static norm_table norms;
    nn_status status = measure_all(norms, data, d->seed);
    if (status == NN_OK) {
        say_layers(d, norms);
        say_ratios(d, norms);
        status = show_dead(d, data);
    }
    if (status != NN_OK) {
        return fail(status, ROLE_OUTPUT);
    }
    demo_say(d, "Notice: the sigmoid's slope is at most 0.25, so ten layers multiply the gradient\n"
                "by at most 0.25^10, a millionth, times the weights: the first layers hardly\n"
                "learn. tanh, with slopes up to 1, and ReLU, whose slope is 1 wherever it is not\n"
                "0, keep most of it. ReLU pays otherwise: a large step can push a unit to where\n"
                "its sum is negative for every image. Its slope is 0 there; it never comes back.\n"
                "A leaky unit on the negative side still learns.\n\n"
                "Read on: Hochreiter, Bengio, Frasconi and Schmidhuber, Gradient flow in\n"
                "recurrent nets (2001); Glorot and Bengio, Understanding the difficulty of\n"
                "training deep feedforward neural networks (2010); Maas, Hannun and Ng, Rectifier\n"
                "nonlinearities improve neural network acoustic models (2013).\n");
    return draw(d, norms);
}

static int run(demo *d)
{
    demo_digits digits;
    demo_say(d, "Vanishing gradients\n\n"
                "Networks 784-30-...-30-10 with 2 to 10 hidden layers. On its way back through a\n"
                "layer, delta(l-1) = h'(a(l-1)) * (W(l)^T delta(l)) is multiplied by the slope h'\n"
                "of each unit.\n\n");
    int code = demo_digits_load(&digits, d, N_IMAGES, 0);
    if (code != EXIT_DONE) {
        return code;
    }
    code = show(d, &digits.train);
    demo_digits_release(&digits);
    return code;
}

const demo_row demo_vanishing = {"vanishing",
                                 "gradients by layer in deep networks; dead ReLU units", run};
