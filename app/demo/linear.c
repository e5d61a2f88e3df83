/* Stacked linear layers are one linear layer. */
#include "demo.h"
#include "learner.h"
#include "message.h"

#include <math.h>

enum {
    N_INPUTS = 3,
    WIDEST = 4,
    N_LAYERS = 3
};

/* Floats of about 100 agree to so much. */
#define SAME 1e-4

static const size_t units[N_LAYERS] = {4, 4, 1};

static nn_status make(learner *l, nn_activation hidden, uint64_t seed)
{
    nn_layer layers[N_LAYERS];
    for (size_t k = 0; k < N_LAYERS; k++) {
        layers[k] = (nn_layer){units[k], k + 1 < N_LAYERS ? hidden : NN_IDENTITY, 0};
    }
    nn_config config = {N_INPUTS, N_LAYERS, layers, NN_SQUARED_ERROR, NN_NORMAL, 0};
    return learner_init(l, &config, seed, 1);
}

/* A map of up to WIDEST numbers: y = m x + b. */
typedef struct {
    size_t rows, columns;
    double m[WIDEST][WIDEST], b[WIDEST];
} linear_map;

static linear_map layer_map(const learner *l, size_t k)
{
    linear_map map = {.rows = units[k], .columns = k > 0 ? units[k - 1] : N_INPUTS};
    for (size_t j = 0; j < map.rows; j++) {
        for (size_t i = 0; i < map.columns; i++) {
            map.m[j][i] = (double)*nn_net_weight(l->net, k, j, i);
        }
        map.b[j] = (double)*nn_net_bias(l->net, k, j);
    }
    return map;
}

/* outer after inner: (M2 M1) x + (M2 b1 + b2) */
static linear_map compose(const linear_map *outer, const linear_map *inner)
{
    linear_map map = {.rows = outer->rows, .columns = inner->columns};
    for (size_t j = 0; j < map.rows; j++) {
        map.b[j] = outer->b[j];
        for (size_t k = 0; k < inner->rows; k++) {
            map.b[j] += outer->m[j][k] * inner->b[k];
            for (size_t i = 0; i < map.columns; i++) {
                map.m[j][i] += outer->m[j][k] * inner->m[k][i];
            }
        }
    }
    return map;
}

static void say_map(const demo *d, const char *name, const linear_map *map)
{
    for (size_t j = 0; j < map->rows; j++) {
        demo_say(d, "  %-6s [", j == 0 ? name : "");
        for (size_t i = 0; i < map->columns; i++) {
            demo_say(d, " %6.3f", map->m[j][i]);
        }
        demo_say(d, " ]    [ %6.3f ]\n", map->b[j]);
    }
}

/* Gives each bias a number of its own: they start at 0. */
static void draw_biases(learner *l, uint64_t seed)
{
    nn_rng rng;
    nn_rng_seed(&rng, seed);
    nn_rng_jump(&rng);
    for (size_t k = 0; k < N_LAYERS; k++) {
        for (size_t j = 0; j < units[k]; j++) {
            *nn_net_bias(l->net, k, j) = (nn_real)nn_rng_normal(&rng);
        }
    }
}

static const nn_real samples[][N_INPUTS] = {{0, 0, 0}, {1, 0, 0}, {1, 2, 3}, {2, 4, 6}};

static double apply(const linear_map *map, const nn_real *x)
{
    double y = map->b[0];
    for (size_t i = 0; i < N_INPUTS; i++) {
        y += map->m[0][i] * (double)x[i];
    }
    return y;
}

static void say_outputs(demo *d, learner *straight, learner *bent, const linear_map *product)
{
    double worst = 0;
    demo_say(d, "\n  x              stack     one layer    stack with tanh\n");
    for (size_t k = 0; k < DEMO_COUNT(samples); k++) {
        const nn_real *x = samples[k];
        double stack = learner_output(straight, x, 0), single = apply(product, x);
        worst = fmax(worst, fabs(stack - single));
        demo_say(d, "  (%.0f, %.0f, %.0f)   %9.3f     %9.3f    %15.3f\n", (double)x[0],
                 (double)x[1], (double)x[2], stack, single, learner_output(bent, x, 0));
    }
    demo_say(d, "  largest difference between stack and one layer: %s\n\n",
             worst < SAME ? "below 0.0001" : "MORE THAN 0.0001");
    json_bool(&d->document, d->document.root, "stack_equals_product", worst < SAME);
}

static void say_count(demo *d, const learner *l)
{
    demo_say(d,
             "The network is 3-4-4-1: 3*4 = 12 weights into the first hidden layer, 4*4 = 16\n"
             "into the second, 4*1 = 4 into the output, a bias a unit: %zu parameters in all.\n"
             "Its activation is the identity, h(a) = a.\n\n",
             nn_net_n_params(l->net));
    json_size(&d->document, d->document.root, "parameters", nn_net_n_params(l->net));
}

static void say_layers(demo *d, const learner *l, linear_map *product)
{
    static const char *const names[N_LAYERS] = {"W1", "W2", "W3"};
    demo_say(d, "         weights                              biases\n");
    for (size_t k = 0; k < N_LAYERS; k++) {
        linear_map map = layer_map(l, k);
        say_map(d, names[k], &map);
        *product = k > 0 ? compose(&map, product) : map;
    }
    demo_say(d, "\nMultiplied out, W = W3 W2 W1 and b = W3 (W2 b1 + b2) + b3:\n");
    say_map(d, "W", product);
    demo_numbers(d, d->document.root, "product", product->m[0], N_INPUTS);
}

static int run(demo *d)
{
    learner straight = {0}, bent = {0};
    linear_map product;
    nn_status status = make(&straight, NN_IDENTITY, d->seed);
    if (status == NN_OK) {
        status = make(&bent, NN_TANH, d->seed);
    }
    if (status == NN_OK) {
        draw_biases(&straight, d->seed);
        draw_biases(&bent, d->seed);
        demo_say(d,
                 "Stacked linear layers\n\n"
                 "If h(a) = c a, then h(h(h(x))) = c^3 x: three layers do what one does. With\n"
                 "c = 2 and x = 5: 2 * (2 * (2 * 5)) = %.0f = 8 * 5.\n\n",
                 2.0 * (2.0 * (2.0 * 5.0)));
        say_count(d, &straight);
        say_layers(d, &straight, &product);
        say_outputs(d, &straight, &bent, &product);
        demo_say(d,
                 "Notice: the stack and the one layer agree on every input; depth has bought\n"
                 "nothing. In a linear layer the step from (0,0,0) to (1,2,3) is also that from\n"
                 "(1,2,3) to (2,4,6); with tanh between the same weights it is not, and no\n"
                 "single layer can say the same. Hidden layers need an activation that bends.\n\n"
                 "Read on: Bishop, Pattern recognition and machine learning (2006), section 5.1;\n"
                 "Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of\n"
                 "learning in deep linear neural networks (2014).\n");
    }
    learner_release(&straight);
    learner_release(&bent);
    return fail(status, ROLE_OUTPUT);
}

const demo_row demo_linear = {"linear",
                              "stacked linear layers collapse into one; a 3-4-4-1 network", run};
