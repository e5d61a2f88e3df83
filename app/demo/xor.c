/* A hidden layer solves XOR; how often, by its size and activation. */
#include "demo.h"
#include "learner.h"
#include "message.h"

#include <string.h>

enum {
    N_SAMPLES = 4,
    N_SEEDS = 100,
    MAX_EPOCHS = 2000,
    SHOWN_UNITS = 3
};

static const nn_real inputs[2 * N_SAMPLES] = {0, 0, 0, 1, 1, 0, 1, 1};
static const nn_real targets[N_SAMPLES] = {0, 1, 1, 0};

static const nn_data samples = {
    .n = N_SAMPLES, .inputs = 2, .outputs = 1, .values = inputs, .targets = targets};

static const nn_activation activations[] = {NN_SIGMOID, NN_TANH, NN_RELU, NN_LEAKY_RELU};
static const size_t sizes[] = {1, 2, 3, 4, 8};

enum {
    N_ACTIVATIONS = DEMO_COUNT(activations),
    N_SIZES = DEMO_COUNT(sizes)
};

static nn_status make(learner *l, size_t units, nn_activation activation, uint64_t seed)
{
    nn_layer layers[] = {{units, activation, 0}, {1, NN_SIGMOID, 0}};
    nn_config config = {2, 2, layers, NN_BINARY_CROSS_ENTROPY, NN_NORMAL, 0};
    return learner_init(l, &config, seed, N_SAMPLES);
}

/* If the mean of four losses is below this, each is below 0.4 < ln 2: z is on the right side of
 * 0.5 for every input. */
#define SOLVED_LOSS 0.1

static const nn_sgd_options steps = {.learning_rate = 0.5, .momentum = 0.9};

/* Trains on all four inputs at a time; returns how many epochs it took, 0 if they did not do. */
static size_t train(learner *l)
{
    const nn_batch all = {.data = &samples, .n = N_SAMPLES};
    for (size_t epoch = 0; epoch < MAX_EPOCHS; epoch++) {
        if (learner_step(l, &all, &steps) < SOLVED_LOSS) {
            return epoch + 1;
        }
    }
    return 0;
}

/* ---- one network -------------------------------------------------------------------------- */

static void say_state(const demo *d, learner *l, size_t epoch, double loss)
{
    demo_say(d, "  %5zu  %.3f ", epoch, loss);
    for (size_t k = 0; k < N_SAMPLES; k++) {
        demo_say(d, "  %.3f", learner_output(l, inputs + 2 * k, 0));
    }
    demo_say(d, "\n");
}

static void say_weights(const demo *d, learner *l)
{
    demo_say(d, "\n  hidden unit     w1      w2       b    to the output\n");
    for (size_t j = 0; j < SHOWN_UNITS; j++) {
        demo_say(d, "  %11zu %6.1f  %6.1f  %6.1f   %14.1f\n", j + 1,
                 (double)*nn_net_weight(l->net, 0, j, 0), (double)*nn_net_weight(l->net, 0, j, 1),
                 (double)*nn_net_bias(l->net, 0, j), (double)*nn_net_weight(l->net, 1, 0, j));
    }
    demo_say(d, "\n");
}

/* The plane from (-0.5, -0.5) to (1.5, 1.5), # where the network says 1. */
static void sketch(const demo *d, learner *l)
{
    enum {
        ROWS = 13,
        COLUMNS = 33
    };
    for (size_t r = 0; r < ROWS; r++) {
        char line[COLUMNS + 1] = "";
        for (size_t c = 0; c < COLUMNS; c++) {
            nn_real x[] = {(nn_real)(-0.5 + 2.0 * (double)c / (COLUMNS - 1)),
                           (nn_real)(1.5 - 2.0 * (double)r / (ROWS - 1))};
            line[c] = learner_output(l, x, 0) >= 0.5 ? '#' : '.';
        }
        for (size_t k = 0; k < N_SAMPLES; k++) {
            size_t at_row = inputs[2 * k + 1] > 0 ? 3 : 9, at_column = inputs[2 * k] > 0 ? 24 : 8;
            if (r == at_row) {
                line[at_column] = targets[k] > 0 ? '1' : '0';
            }
        }
        demo_say(d, "    %s\n", line);
    }
}

static nn_status show_one(demo *d)
{
    static const size_t looks[] = {0, 10, 20, 50, 100, 200, 500};
    const nn_batch all = {.data = &samples, .n = N_SAMPLES};
    learner l;
    nn_status status = make(&l, SHOWN_UNITS, NN_TANH, d->seed);
    demo_say(d,
             "A network 2-%d-1 with tanh in between, from seed %llu:\n\n"
             "  epoch   loss    0,0    0,1    1,0    1,1   (should be 0 1 1 0)\n",
             SHOWN_UNITS, (unsigned long long)d->seed);
    for (size_t epoch = 0, k = 0; k < DEMO_COUNT(looks) && status == NN_OK; epoch++) {
        if (epoch == looks[k]) {
            say_state(d, &l, epoch, learner_loss(&l, &samples, N_SAMPLES, NULL));
            k++;
        }
        learner_step(&l, &all, &steps);
    }
    if (status == NN_OK) {
        say_weights(d, &l);
        demo_say(d, "The plane, x1 to the right and x2 up; # where it says 1:\n\n");
        sketch(d, &l);
    }
    learner_release(&l);
    return status;
}

/* ---- many networks ------------------------------------------------------------------------ */

static nn_status count(size_t *solved, size_t units, nn_activation activation, uint64_t seed)
{
    *solved = 0;
    for (uint64_t k = 0; k < N_SEEDS; k++) {
        learner l;
        nn_status status = make(&l, units, activation, seed + k);
        *solved += status == NN_OK && train(&l) > 0;
        learner_release(&l);
        if (status != NN_OK) {
            return status;
        }
    }
    return NN_OK;
}

static nn_status show_counts(demo *d)
{
    cJSON *list = json_array(&d->document, d->document.root, "solved_of_100");
    demo_say(d, "\nHow many of %d seeds solve it within %d epochs:\n\n  hidden units ", N_SEEDS,
             MAX_EPOCHS);
    for (size_t s = 0; s < N_SIZES; s++) {
        demo_say(d, "%5zu", sizes[s]);
    }
    for (size_t a = 0; a < N_ACTIVATIONS; a++) {
        demo_say(d, "\n  %-13s", nn_activation_name(activations[a]));
        for (size_t s = 0; s < N_SIZES; s++) {
            size_t solved;
            nn_status status = count(&solved, sizes[s], activations[a], d->seed);
            if (status != NN_OK) {
                return status;
            }
            demo_say(d, "%5zu", solved);
            cJSON *item = json_object(&d->document, list, NULL);
            json_text(&d->document, item, "activation", nn_activation_name(activations[a]));
            json_size(&d->document, item, "units", sizes[s]);
            json_size(&d->document, item, "solved", solved);
        }
    }
    demo_say(d, "\n\n");
    return NN_OK;
}

/* ---- picture ------------------------------------------------------------------------------ */

static double decide(void *context, double x, double y)
{
    nn_real at[] = {(nn_real)x, (nn_real)y};
    return learner_output(context, at, 0);
}

static const struct {
    const char *title;
    size_t units;
    nn_activation activation;
} drawn[] = {
    {"1 unit, tanh", 1, NN_TANH},  {"2 units, tanh", 2, NN_TANH}, {"8 units, tanh", 8, NN_TANH},
    {"2 units, ReLU", 2, NN_RELU}, {"4 units, ReLU", 4, NN_RELU}, {"8 units, ReLU", 8, NN_RELU},
};

enum {
    N_DRAWN = sizeof drawn / sizeof drawn[0]
};

static int draw(demo *d)
{
    static const double x[2][2] = {{0, 1}, {0, 1}}, y[2][2] = {{0, 1}, {1, 0}};
    static const plot_series series[] = {{"0", PLOT_DOTS, PLOT_BLUE, x[0], y[0], 2},
                                         {"1", PLOT_DOTS, PLOT_VERMILION, x[1], y[1], 2}};
    learner l[N_DRAWN] = {{0}};
    plot_panel panels[N_DRAWN];
    char titles[N_DRAWN][64];
    nn_status status = NN_OK;
    for (size_t k = 0; k < N_DRAWN && d->out && status == NN_OK; k++) {
        status = make(&l[k], drawn[k].units, drawn[k].activation, d->seed);
        if (status == NN_OK) {
            snprintf(titles[k], sizeof titles[k], "%s: %s", drawn[k].title,
                     train(&l[k]) > 0 ? "solved" : "not solved");
        }
        panels[k] = (plot_panel){
            titles[k], {"x1", -0.5, 1.5, false}, {"x2", -0.5, 1.5, false}, series, 2, decide,
            &l[k]};
    }
    int code = fail(status, ROLE_OUTPUT);
    if (code == EXIT_DONE) {
        code = demo_plot(d, "regions", "XOR: what networks with one hidden layer say", panels,
                         N_DRAWN, 3);
    }
    for (size_t k = 0; k < N_DRAWN; k++) {
        learner_release(&l[k]);
    }
    return code;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int run(demo *d)
{
    demo_say(d, "XOR with a hidden layer\n\n"
                "No line separates (0,1) and (1,0) from (0,0) and (1,1). A hidden layer first\n"
                "maps the four inputs to where a line does; back-propagation finds the map. The\n"
                "output is a sigmoid, rounded at 0.5, with cross-entropy for the loss.\n\n");
    nn_status status = show_one(d);
    if (status == NN_OK) {
        status = show_counts(d);
    }
    if (status != NN_OK) {
        return fail(status, ROLE_OUTPUT);
    }
    demo_say(d, "Notice: one hidden unit is still one line, and never enough. Two can do it, yet\n"
                "from many starts they get stuck on the way; spare units make that rare. ReLU\n"
                "units that are dead on all four inputs cannot come back; leaky ones can. With\n"
                "two or more hidden layers a network is called deep.\n\n"
                "Read on: Rumelhart, Hinton and Williams, Learning representations by\n"
                "back-propagating errors (1986).\n");
    return draw(d);
}

const demo_row demo_xor = {"xor", "a hidden layer solves XOR; how often, from 100 seeds", run};
