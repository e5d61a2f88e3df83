/* Promise: the computational graph differentiates rightly, and the network's back-propagation
 * agrees with it on random networks. The graph is proved by hand and by numerical differentiation;
 * it shares no code with the network. */
#include "nnlib.h"

#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>

static nn_graph *g;

static void begin(void)
{
    fixtures_begin();
    cr_assert_eq(nn_graph_new(&g), NN_OK);
}

static void end(void)
{
    nn_graph_free(g);
    g = NULL;
    fixtures_end();
}

TestSuite(graph, .init = begin, .fini = end);

/* ---- operations --------------------------------------------------------------------------- */

/* Python: the values and derivatives at a = 0.5 (and b = -2 where there is a b). */
static const struct {
    nn_op op;
    bool binary;
    double value, da, db;
} rows[] = {
    {NN_OP_ADD, true, -1.5, 1, 1},
    {NN_OP_MULTIPLY, true, -1, -2, 0.5},
    {NN_OP_NEGATE, false, -0.5, -1, 0},
    {NN_OP_INCREMENT, false, 1.5, 1, 0},
    {NN_OP_INVERSE, false, 2, -4, 0},
    {NN_OP_EXP, false, 1.6487212707001282, 1.6487212707001282, 0},
    {NN_OP_LOG, false, -0.6931471805599453, 2, 0},
    {NN_OP_SIGMOID, false, 0.6224593312018546, 0.2350037122015945, 0},
    {NN_OP_TANH, false, 0.46211715726000973, 0.7864477329659274, 0},
    {NN_OP_RELU, false, 0.5, 1, 0},
    {NN_OP_LEAKY_RELU, false, 0.5, 1, 0},
};

Test(graph, every_operation_has_its_value_and_slopes)
{
    cr_assert_eq(sizeof rows / sizeof rows[0], NN_N_OPS - 1); /* all but the leaf */
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        nn_node a = nn_graph_leaf(g, 0.5), b = nn_graph_leaf(g, -2);
        nn_node z = rows[k].binary ? nn_graph_binary(g, rows[k].op, a, b)
                                   : nn_graph_unary(g, rows[k].op, a);
        nn_graph_backward(g, z);
        cr_assert_float_eq(nn_graph_value(g, z), rows[k].value, 1e-12, "%s",
                           nn_op_name(rows[k].op));
        cr_assert_float_eq(nn_graph_gradient(g, a), rows[k].da, 1e-12, "%s",
                           nn_op_name(rows[k].op));
        cr_assert_float_eq(nn_graph_gradient(g, b), rows[k].db, 1e-12, "%s",
                           nn_op_name(rows[k].op));
        cr_assert_eq(nn_graph_op(g, z), rows[k].op);
    }
}

Test(graph, rectifiers_below_zero)
{
    nn_node a = nn_graph_leaf(g, -3);
    nn_node relu = nn_graph_unary(g, NN_OP_RELU, a), leaky = nn_graph_unary(g, NN_OP_LEAKY_RELU, a);
    cr_assert_eq(nn_graph_value(g, relu), 0);
    cr_assert_float_eq(nn_graph_value(g, leaky), -0.03, 1e-15);
    nn_graph_backward(g, relu);
    cr_assert_eq(nn_graph_gradient(g, a), 0);
    nn_graph_backward(g, leaky);
    cr_assert_eq(nn_graph_gradient(g, a), 0.01);
}

Test(graph, operations_have_names)
{
    for (nn_op op = 0; op < NN_N_OPS; op++) {
        cr_assert_not_null(nn_op_name(op));
    }
    cr_assert_str_eq(nn_op_name(NN_OP_INVERSE), "1 / a");
    cr_assert_null(nn_op_name(NN_N_OPS));
}

/* ---- the notes ---------------------------------------------------------------------------- */

/* At a = 1: -1, 1/e, 1 + 1/e, 0.731; backwards 1, -0.534, -0.534, -0.197, 0.197. */
Test(graph, the_sigmoid_as_a_chain_has_the_slope_of_the_fused_one)
{
    nn_node a = nn_graph_leaf(g, 1);
    nn_node negative = nn_graph_unary(g, NN_OP_NEGATE, a);
    nn_node power = nn_graph_unary(g, NN_OP_EXP, negative);
    nn_node one_more = nn_graph_unary(g, NN_OP_INCREMENT, power);
    nn_node s = nn_graph_unary(g, NN_OP_INVERSE, one_more);
    nn_graph_backward(g, s);
    cr_assert_float_eq(nn_graph_value(g, s), 0.7310585786300049, 1e-15);
    cr_assert_eq(nn_graph_gradient(g, s), 1);
    cr_assert_float_eq(nn_graph_gradient(g, one_more), -0.5344466455, 1e-9);
    cr_assert_float_eq(nn_graph_gradient(g, power), -0.5344466455, 1e-9);
    cr_assert_float_eq(nn_graph_gradient(g, negative), -0.1966119332, 1e-9);
    cr_assert_float_eq(nn_graph_gradient(g, a), 0.1966119332, 1e-9);
    double by_chain = nn_graph_gradient(g, a);
    nn_graph_backward(g, nn_graph_unary(g, NN_OP_SIGMOID, a));
    cr_assert_float_eq(nn_graph_gradient(g, a), by_chain, 1e-15);
}

Test(graph, gradients_add_where_a_node_feeds_several)
{
    nn_node x = nn_graph_leaf(g, 2), three = nn_graph_leaf(g, 3);
    nn_node square = nn_graph_binary(g, NN_OP_MULTIPLY, x, x);
    nn_node triple = nn_graph_binary(g, NN_OP_MULTIPLY, three, x);
    nn_graph_backward(g, nn_graph_binary(g, NN_OP_ADD, square, triple));
    cr_assert_eq(nn_graph_gradient(g, x), 2 * 2 + 3);
    cr_assert_eq(nn_graph_gradient(g, three), 2);
}

/* dq[k]/dW[i][j] = x[j] where k = i, else 0;  dq[k]/dx[i] = W[k][i] */
Test(graph, a_matrix_times_a_vector_has_the_notes_gradients)
{
    static const double weights[2][3] = {{1, 2, -1}, {0.5, 0, 3}}, inputs[3] = {2, -1, 4};
    nn_node w[2][3], x[3], q[2];
    for (size_t i = 0; i < 3; i++) {
        x[i] = nn_graph_leaf(g, inputs[i]);
    }
    for (size_t k = 0; k < 2; k++) {
        q[k] = nn_graph_leaf(g, 0);
        for (size_t i = 0; i < 3; i++) {
            w[k][i] = nn_graph_leaf(g, weights[k][i]);
            q[k] = nn_graph_binary(g, NN_OP_ADD, q[k],
                                   nn_graph_binary(g, NN_OP_MULTIPLY, w[k][i], x[i]));
        }
    }
    for (size_t k = 0; k < 2; k++) {
        nn_graph_backward(g, q[k]);
        for (size_t j = 0; j < 3; j++) {
            cr_assert_eq(nn_graph_gradient(g, x[j]), weights[k][j]);
            for (size_t i = 0; i < 2; i++) {
                cr_assert_eq(nn_graph_gradient(g, w[i][j]), k == i ? inputs[j] : 0);
            }
        }
    }
}

/* ---- use ---------------------------------------------------------------------------------- */

Test(graph, a_changed_leaf_changes_what_it_feeds)
{
    nn_node x = nn_graph_leaf(g, 2), y = nn_graph_binary(g, NN_OP_MULTIPLY, x, x);
    nn_graph_set(g, x, 5);
    nn_graph_forward(g);
    cr_assert_eq(nn_graph_value(g, y), 25);
    nn_graph_backward(g, y);
    cr_assert_eq(nn_graph_gradient(g, x), 10);
}

Test(graph, gradients_do_not_pile_up_from_call_to_call)
{
    nn_node x = nn_graph_leaf(g, 3), y = nn_graph_unary(g, NN_OP_NEGATE, x);
    for (size_t k = 0; k < 3; k++) {
        nn_graph_backward(g, y);
        cr_assert_eq(nn_graph_gradient(g, x), -1);
    }
}

Test(graph, nodes_after_the_root_have_no_gradient)
{
    nn_node x = nn_graph_leaf(g, 3), y = nn_graph_unary(g, NN_OP_NEGATE, x);
    nn_node later = nn_graph_unary(g, NN_OP_EXP, y);
    nn_graph_backward(g, y);
    cr_assert_eq(nn_graph_gradient(g, later), 0);
    cr_assert_eq(nn_graph_gradient(g, x), -1);
}

/* ((x + 1) + 1) + ... : far more nodes than there is room for at first. */
Test(graph, grows_as_needed)
{
    nn_node x = nn_graph_leaf(g, 0), z = x;
    for (size_t k = 0; k < 5000; k++) {
        z = nn_graph_unary(g, NN_OP_INCREMENT, z);
    }
    nn_graph_backward(g, z);
    cr_assert_eq(nn_graph_n_nodes(g), 5001);
    cr_assert_eq(nn_graph_value(g, z), 5000);
    cr_assert_eq(nn_graph_gradient(g, x), 1);
    cr_assert_eq(nn_graph_status(g), NN_OK);
}

Test(graph, remembers_that_memory_ran_out)
{
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    for (size_t k = 0; k < 100; k++) {
        (void)nn_graph_leaf(g, (double)k);
    }
    cr_assert_eq(nn_graph_status(g), NN_ERR_MEMORY);
    fault_clear();
    for (unsigned long n = 1; n <= 2; n++) {
        nn_graph *none = NULL;
        fault_at(FAULT_ALLOC, n, ENOMEM, false);
        cr_assert_eq(nn_graph_new(&none), NN_ERR_MEMORY);
        cr_assert_null(none);
        fault_clear();
    }
    nn_graph_free(NULL);
}

/* ---- the oracle --------------------------------------------------------------------------- */

enum {
    MAX_UNITS = 6,
    MAX_PARAMS = 4 * MAX_UNITS * (MAX_UNITS + 1)
};

/* A network and, leaf for leaf, its parameters in the graph. */
typedef struct {
    nn_net *net;
    nn_node params[MAX_PARAMS];
} twin;

static nn_node add(nn_node a, nn_node b)
{
    return nn_graph_binary(g, NN_OP_ADD, a, b);
}

static nn_node times(nn_node a, nn_node b)
{
    return nn_graph_binary(g, NN_OP_MULTIPLY, a, b);
}

static nn_node minus(nn_node a)
{
    return nn_graph_unary(g, NN_OP_NEGATE, a);
}

static nn_node activate(nn_activation activation, nn_node a)
{
    static const nn_op ops[] = {[NN_SIGMOID] = NN_OP_SIGMOID,
                                [NN_TANH] = NN_OP_TANH,
                                [NN_RELU] = NN_OP_RELU,
                                [NN_LEAKY_RELU] = NN_OP_LEAKY_RELU};
    return activation == NN_IDENTITY ? a : nn_graph_unary(g, ops[activation], a);
}

static void softmax(nn_node *z, size_t n)
{
    nn_node sum = nn_graph_leaf(g, 0);
    for (size_t k = 0; k < n; k++) {
        z[k] = nn_graph_unary(g, NN_OP_EXP, z[k]);
        sum = add(sum, z[k]);
    }
    for (size_t k = 0; k < n; k++) {
        z[k] = times(z[k], nn_graph_unary(g, NN_OP_INVERSE, sum));
    }
}

/* Makes the leaves of all parameters, in the order of nn_net_param. */
static void make_params(twin *t)
{
    for (size_t k = 0; k < nn_net_n_params(t->net); k++) {
        t->params[k] = nn_graph_leaf(g, (double)*nn_net_param(t->net, k));
    }
}

/* Replaces z by the outputs of the network; z holds the inputs. */
static void feed(const twin *t, nn_node z[MAX_UNITS])
{
    const nn_config *config = nn_net_config(t->net);
    const nn_node *param = t->params;
    size_t inputs = config->inputs;
    for (size_t l = 0; l < config->n_layers; l++) {
        const size_t units = config->layers[l].units;
        nn_node next[MAX_UNITS];
        for (size_t j = 0; j < units; j++) {
            next[j] = param[units * inputs + j];
            for (size_t i = 0; i < inputs; i++) {
                next[j] = add(next[j], times(param[j * inputs + i], z[i]));
            }
        }
        param += units * (inputs + 1);
        inputs = units;
        for (size_t j = 0; j < units; j++) {
            nn_activation activation = config->layers[l].activation;
            z[j] = activation == NN_SOFTMAX ? next[j] : activate(activation, next[j]);
        }
        if (config->layers[l].activation == NN_SOFTMAX) {
            softmax(z, units);
        }
    }
}

/* One output's part of the loss, as the notes write it. */
static nn_node loss_term(nn_loss loss, nn_node z, double y)
{
    nn_node difference = add(z, nn_graph_leaf(g, -y));
    nn_node log_z, log_rest;
    switch (loss) {
    case NN_SQUARED_ERROR:
        return times(nn_graph_leaf(g, 0.5), times(difference, difference));
    case NN_BINARY_CROSS_ENTROPY:
        log_z = nn_graph_unary(g, NN_OP_LOG, z);
        log_rest = nn_graph_unary(g, NN_OP_LOG, nn_graph_unary(g, NN_OP_INCREMENT, minus(z)));
        return minus(
            add(times(nn_graph_leaf(g, y), log_z), times(nn_graph_leaf(g, 1 - y), log_rest)));
    default:
        return minus(times(nn_graph_leaf(g, y), nn_graph_unary(g, NN_OP_LOG, z)));
    }
}

static nn_node mean_loss(const twin *t, const nn_data *data)
{
    nn_node sum = nn_graph_leaf(g, 0);
    for (size_t b = 0; b < data->n; b++) {
        nn_node z[MAX_UNITS];
        for (size_t i = 0; i < data->inputs; i++) {
            z[i] = nn_graph_leaf(g, (double)data->values[b * data->inputs + i]);
        }
        feed(t, z);
        for (size_t k = 0; k < data->outputs; k++) {
            double y = (double)data->targets[b * data->outputs + k];
            sum = add(sum, loss_term(nn_net_config(t->net)->loss, z[k], y));
        }
    }
    return times(sum, nn_graph_leaf(g, 1.0 / (double)data->n));
}

/* Compares loss and all gradients; the network computes in float. */
static void assert_agrees(const twin *t, const nn_data *data, const char *what)
{
    nn_state *state;
    size_t correct;
    const nn_batch batch = {.data = data, .n = data->n};
    cr_assert_eq(nn_state_new(&state, t->net, data->n, true), NN_OK);
    nn_forward_train(t->net, state, &batch, NN_MASK_SAMPLE, NULL);
    double loss = nn_batch_loss(t->net, state, &batch, &correct);
    nn_backward(t->net, state, &batch);
    nn_node root = mean_loss(t, data);
    nn_graph_backward(g, root);
    cr_assert_float_eq(loss, nn_graph_value(g, root), 1e-5 * (1 + loss), "%s", what);
    for (size_t k = 0; k < nn_net_n_params(t->net); k++) {
        double found = (double)nn_param_gradient(t->net, state, k);
        double expected = nn_graph_gradient(g, t->params[k]);
        cr_assert_float_eq(found, expected, 2e-6 * (1 + fabs(expected)),
                           "%s: gradient %zu is %.9g, the graph says %.9g", what, k, found,
                           expected);
    }
    cr_assert_eq(nn_graph_status(g), NN_OK);
    nn_state_free(state);
}

/* A random shape with the given last layer and hidden activation. */
static size_t draw_layers(nn_layer layers[4], nn_rng *rng, nn_activation hidden,
                          nn_activation output)
{
    size_t n = 1 + (size_t)nn_rng_below(rng, 4);
    for (size_t l = 0; l < n; l++) {
        layers[l] =
            (nn_layer){1 + (size_t)nn_rng_below(rng, MAX_UNITS), l + 1 < n ? hidden : output, 0};
    }
    return n;
}

/* Random inputs; targets that any of the losses takes: one 1 and else 0. */
static nn_data draw_data(nn_real *values, nn_real *targets, nn_rng *rng, size_t inputs,
                         size_t outputs)
{
    size_t n = 1 + (size_t)nn_rng_below(rng, 5);
    for (size_t k = 0; k < n * inputs; k++) {
        values[k] = (nn_real)nn_rng_normal(rng);
    }
    for (size_t b = 0; b < n; b++) {
        size_t class = (size_t)nn_rng_below(rng, outputs);
        for (size_t k = 0; k < outputs; k++) {
            targets[b * outputs + k] = k == class;
        }
    }
    return (nn_data){
        .n = n, .inputs = inputs, .outputs = outputs, .values = values, .targets = targets};
}

static void try_random(nn_rng *rng, nn_activation hidden, nn_activation output, nn_loss loss)
{
    nn_layer layers[4];
    nn_real values[5 * MAX_UNITS], targets[5 * MAX_UNITS];
    size_t n = draw_layers(layers, rng, hidden, output), inputs = 1 + nn_rng_below(rng, MAX_UNITS);
    nn_config config = {inputs, n, layers, loss, NN_LECUN, 0};
    nn_data data = draw_data(values, targets, rng, inputs, layers[n - 1].units);
    twin t;
    cr_assert_eq(nn_net_new(&t.net, &config, nn_rng_next(rng)), NN_OK);
    for (size_t l = 0; l < n; l++) {
        for (size_t j = 0; j < layers[l].units; j++) {
            *nn_net_bias(t.net, l, j) = (nn_real)(0.5 * nn_rng_normal(rng));
        }
    }
    make_params(&t);
    assert_agrees(&t, &data,
                  fixture_text("%s, then %s, %s", nn_activation_name(hidden),
                               nn_activation_name(output), nn_loss_name(loss)));
    nn_net_free(t.net);
}

Test(graph, back_propagation_agrees_on_random_networks)
{
    static const struct {
        nn_activation output;
        nn_loss loss;
    } ends[] = {
        {NN_SOFTMAX, NN_CROSS_ENTROPY},  {NN_SIGMOID, NN_BINARY_CROSS_ENTROPY},
        {NN_SIGMOID, NN_SQUARED_ERROR},  {NN_TANH, NN_SQUARED_ERROR},
        {NN_RELU, NN_SQUARED_ERROR},     {NN_LEAKY_RELU, NN_SQUARED_ERROR},
        {NN_IDENTITY, NN_SQUARED_ERROR},
    };
    nn_rng rng;
    nn_rng_seed(&rng, 2024);
    for (nn_activation hidden = 0; hidden < NN_SOFTMAX; hidden++) {
        for (size_t e = 0; e < sizeof ends / sizeof ends[0]; e++) {
            for (size_t trial = 0; trial < 5; trial++) {
                try_random(&rng, hidden, ends[e].output, ends[e].loss);
            }
        }
    }
}

/* ---- the worked example ------------------------------------------------------------------- */

/* The source notes' 2-2-2 network; see their figures: y = 0.57, 0.61, E = 0.072, slopes 0.048 and
 * 0.0034, new weights 0.386 and 0.199. */
Test(graph, the_worked_example_gives_the_figures_of_the_notes)
{
    static const nn_real x[] = {0.4F, 0.1F}, y[] = {0.2F, 0.7F};
    static const nn_real weights[] = {0.2F, 0.6F, 0.2F, 0.7F, 0.4F, 0.1F, 0.1F, 0.7F};
    const nn_layer layers[] = {{2, NN_SIGMOID, 0}, {2, NN_SIGMOID, 0}};
    const nn_config config = {2, 2, layers, NN_SQUARED_ERROR, NN_ZERO, 0};
    nn_data data = {.n = 1, .inputs = 2, .outputs = 2, .values = x, .targets = y};
    const nn_batch batch = {.data = &data, .n = 1};
    twin t;
    nn_state *state;
    nn_sgd *sgd;
    cr_assert_eq(nn_net_new(&t.net, &config, 1), NN_OK);
    cr_assert_eq(nn_state_new(&state, t.net, 1, true), NN_OK);
    cr_assert_eq(nn_sgd_new(&sgd, t.net), NN_OK);
    for (size_t k = 0; k < 8; k++) {
        *nn_net_weight(t.net, k / 4, k % 4 / 2, k % 2) = weights[k];
    }
    make_params(&t);
    assert_agrees(&t, &data, "the worked example");
    nn_forward_train(t.net, state, &batch, NN_MASK_SAMPLE, NULL);
    cr_assert_float_eq((double)nn_hidden(state, 0, 0)[0], 0.53, 0.005);
    cr_assert_float_eq((double)nn_hidden(state, 0, 0)[1], 0.54, 0.005);
    cr_assert_float_eq((double)nn_output(state, 0)[0], 0.57, 0.005);
    cr_assert_float_eq((double)nn_output(state, 0)[1], 0.61, 0.005);
    cr_assert_float_eq((double)nn_output(state, 0)[0] - (double)y[0], 0.37, 0.005);
    cr_assert_float_eq(nn_batch_loss(t.net, state, &batch, NULL), 0.072, 0.0005);
    nn_backward(t.net, state, &batch);
    cr_assert_float_eq((double)nn_weight_gradient(t.net, state, 1, 0, 0), 0.048, 0.0005);
    cr_assert_float_eq((double)nn_weight_gradient(t.net, state, 0, 0, 0), 0.0034, 0.00005);
    nn_sgd_step(sgd, t.net, state, &(nn_sgd_options){.learning_rate = 0.3});
    cr_assert_float_eq((double)*nn_net_weight(t.net, 1, 0, 0), 0.386, 0.0005);
    cr_assert_float_eq((double)*nn_net_weight(t.net, 0, 0, 0), 0.199, 0.0005);
    nn_sgd_free(sgd);
    nn_state_free(state);
    nn_net_free(t.net);
}
