/* The worked example of back-propagation: a 2-2-2 network, every slope found in three ways. */
#include "demo.h"
#include "learner.h"
#include "message.h"

#include <math.h>

enum {
    N = 2, /* inputs, hidden units, outputs */
    N_LAYER_WEIGHTS = N * N,
    N_WEIGHTS = 2 * N_LAYER_WEIGHTS
};

#define LEARNING_RATE 0.3

static const double x[N] = {0.4, 0.1}, t[N] = {0.2, 0.7};

/* W(0)[j][i], then W(1)[j][i]: from unit i to unit j */
static const double start[N_WEIGHTS] = {0.2, 0.6, 0.2, 0.7, 0.4, 0.1, 0.1, 0.7};

static const char *const names[N_WEIGHTS] = {
    "x1  -> z10  w(0)10", "x2  -> z10", "x1  -> z11", "x2  -> z11",
    "a10 -> z20  w(1)10", "a11 -> z20", "a10 -> z21", "a11 -> z21",
};

enum {
    W0_10 = 0, /* places of the two weights that are worked out in full */
    W1_10 = 4
};

/* ---- the plain way ------------------------------------------------------------------------ */

static double sigmoid(double a)
{
    return 1 / (1 + exp(-a));
}

/* z[j] = sigmoid(sum over i of w[j][i] input[i]) */
static void layer(double z[N], const double *w, const double input[N])
{
    for (size_t j = 0; j < N; j++) {
        z[j] = sigmoid(w[j * N] * input[0] + w[j * N + 1] * input[1]);
    }
}

/* E = 1/2 sum over k of (t[k] - y[k])^2 */
static double error_of(const double *w, double a[N], double y[N])
{
    layer(a, w, x);
    layer(y, w + N_LAYER_WEIGHTS, a);
    return ((t[0] - y[0]) * (t[0] - y[0]) + (t[1] - y[1]) * (t[1] - y[1])) / 2;
}

/* [E(w + h) - E(w - h)] / 2h, one weight at a time */
static void by_differences(double slopes[N_WEIGHTS])
{
    const double h = 1e-5;
    double a[N], y[N];
    for (size_t k = 0; k < N_WEIGHTS; k++) {
        double up[N_WEIGHTS], down[N_WEIGHTS];
        for (size_t i = 0; i < N_WEIGHTS; i++) {
            up[i] = start[i] + (i == k ? h : 0);
            down[i] = start[i] - (i == k ? h : 0);
        }
        slopes[k] = (error_of(up, a, y) - error_of(down, a, y)) / (2 * h);
    }
}

/* ---- the graph ---------------------------------------------------------------------------- */

/* Adds the nodes of a layer; w[N][N] receives its weights. */
static void graph_layer(nn_graph *g, nn_node z[N], nn_node *w, const double *values,
                        const nn_node input[N])
{
    for (size_t j = 0; j < N; j++) {
        nn_node product[N];
        for (size_t i = 0; i < N; i++) {
            w[j * N + i] = nn_graph_leaf(g, values[j * N + i]);
            product[i] = nn_graph_binary(g, NN_OP_MULTIPLY, w[j * N + i], input[i]);
        }
        z[j] =
            nn_graph_unary(g, NN_OP_SIGMOID, nn_graph_binary(g, NN_OP_ADD, product[0], product[1]));
    }
}

static nn_node graph_error(nn_graph *g, const nn_node y[N])
{
    nn_node squares[N];
    for (size_t k = 0; k < N; k++) {
        nn_node e = nn_graph_binary(g, NN_OP_ADD, y[k], nn_graph_leaf(g, -t[k]));
        squares[k] = nn_graph_binary(g, NN_OP_MULTIPLY, e, e);
    }
    return nn_graph_binary(g, NN_OP_MULTIPLY, nn_graph_leaf(g, 0.5),
                           nn_graph_binary(g, NN_OP_ADD, squares[0], squares[1]));
}

static nn_status by_graph(double slopes[N_WEIGHTS], size_t *n_nodes)
{
    nn_graph *g;
    nn_status status = nn_graph_new(&g);
    if (status != NN_OK) {
        return status;
    }
    nn_node input[N] = {nn_graph_leaf(g, x[0]), nn_graph_leaf(g, x[1])}, a[N], y[N], w[N_WEIGHTS];
    graph_layer(g, a, w, start, input);
    graph_layer(g, y, w + N_LAYER_WEIGHTS, start + N_LAYER_WEIGHTS, a);
    nn_node error = graph_error(g, y);
    nn_graph_backward(g, error);
    for (size_t k = 0; k < N_WEIGHTS; k++) {
        slopes[k] = nn_graph_gradient(g, w[k]);
    }
    *n_nodes = nn_graph_n_nodes(g);
    status = nn_graph_status(g);
    nn_graph_free(g);
    return status;
}

/* ---- the library -------------------------------------------------------------------------- */

static nn_status by_back_propagation(double slopes[N_WEIGHTS], double moved[N_WEIGHTS])
{
    const nn_layer layers[] = {{N, NN_SIGMOID, 0}, {N, NN_SIGMOID, 0}};
    const nn_config config = {N, 2, layers, NN_SQUARED_ERROR, NN_ZERO, 0};
    const nn_real input[N] = {(nn_real)x[0], (nn_real)x[1]};
    const nn_real target[N] = {(nn_real)t[0], (nn_real)t[1]};
    const nn_data data = {.n = 1, .inputs = N, .outputs = N, .values = input, .targets = target};
    learner l;
    nn_status status = learner_init(&l, &config, 1, 1);
    if (status == NN_OK) {
        for (size_t k = 0; k < N_WEIGHTS; k++) {
            *nn_net_weight(l.net, k / 4, k % 4 / N, k % N) = (nn_real)start[k];
        }
        learner_step(&l, &(nn_batch){.data = &data, .n = 1},
                     &(nn_sgd_options){.learning_rate = LEARNING_RATE});
        for (size_t k = 0; k < N_WEIGHTS; k++) {
            slopes[k] = (double)nn_weight_gradient(l.net, l.state, k / 4, k % 4 / N, k % N);
            moved[k] = (double)*nn_net_weight(l.net, k / 4, k % 4 / N, k % N);
        }
    }
    learner_release(&l);
    return status;
}

/* ---- words -------------------------------------------------------------------------------- */

static void say_forward(demo *d, const double a[N], const double y[N], double error)
{
    demo_say(d,
             "Forward\n"
             "  z10 = 0.2 x1 + 0.6 x2     a10 = sigmoid(z10) = %.2f\n"
             "  z11 = 0.2 x1 + 0.7 x2     a11 = sigmoid(z11) = %.2f\n"
             "  z20 = 0.4 a10 + 0.1 a11   y1  = sigmoid(z20) = %.2f   should be t1 = 0.2\n"
             "  z21 = 0.1 a10 + 0.7 a11   y2  = sigmoid(z21) = %.2f   should be t2 = 0.7\n"
             "  E = [(t1 - y1)^2 + (t2 - y2)^2] / 2 = %.3f\n\n",
             a[0], a[1], y[0], y[1], error);
    demo_numbers(d, d->document.root, "hidden", a, N);
    demo_numbers(d, d->document.root, "outputs", y, N);
    demo_number(d, d->document.root, "error", error);
}

static void say_backward(const demo *d, const double a[N], const double y[N],
                         const double slopes[N_WEIGHTS], const double moved[N_WEIGHTS])
{
    double delta[N] = {(y[0] - t[0]) * y[0] * (1 - y[0]), (y[1] - t[1]) * y[1] * (1 - y[1])};
    demo_say(d,
             "Backward, from the error to one weight of the second layer\n"
             "  dE/dy1   = y1 - t1      = %5.2f\n"
             "  dy1/dz20 = y1 (1 - y1)  = %5.2f\n"
             "  dz20/dw  = a10          = %5.2f\n"
             "  dE/dw(1)10 = %.2f * %.2f * %.2f = %.3f\n"
             "  w(1)10 <- 0.4 - 0.3 * %.3f = %.3f\n\n",
             y[0] - t[0], y[0] * (1 - y[0]), a[0], y[0] - t[0], y[0] * (1 - y[0]), a[0],
             slopes[W1_10], slopes[W1_10], moved[W1_10]);
    demo_say(d,
             "and on, to one of the first; what reaches a10 comes from both outputs, added up\n"
             "  delta1 = dE/dz20 = (y1 - t1) y1 (1 - y1) = %6.3f\n"
             "  delta2 = dE/dz21 = (y2 - t2) y2 (1 - y2) = %6.3f\n"
             "  dE/da10 = 0.4 delta1 + 0.1 delta2        = %6.3f\n"
             "  da10/dz10 = a10 (1 - a10)                = %6.3f\n"
             "  dz10/dw = x1                             = %6.3f\n"
             "  dE/dw(0)10 = %.4f\n"
             "  w(0)10 <- 0.2 - 0.3 * %.4f = %.3f\n\n",
             delta[0], delta[1], start[W1_10] * delta[0] + start[W1_10 + N] * delta[1],
             a[0] * (1 - a[0]), x[0], slopes[W0_10], slopes[W0_10], moved[W0_10]);
}

/* The slopes in the order of `start`, each found in three ways. */
typedef struct {
    double back_propagation[N_WEIGHTS], graph[N_WEIGHTS], differences[N_WEIGHTS];
    double moved[N_WEIGHTS]; /* the weights after the step */
    size_t n_nodes;
} findings;

static void say_table(demo *d, const findings *f)
{
    demo_say(d, "All eight, by back-propagation, by the computational graph, and by moving each\n"
                "weight a little up and down (numerical differentiation):\n\n"
                "  weight              start  back-prop   graph  differences     new\n");
    cJSON *list = json_array(&d->document, d->document.root, "weights");
    for (size_t k = 0; k < N_WEIGHTS; k++) {
        demo_say(d, "  %-18s  %5.1f    %7.4f %7.4f      %7.4f  %6.3f\n", names[k], start[k],
                 f->back_propagation[k], f->graph[k], f->differences[k], f->moved[k]);
        cJSON *item = json_object(&d->document, list, NULL);
        json_text(&d->document, item, "name", names[k]);
        demo_number(d, item, "start", start[k]);
        demo_number(d, item, "back_propagation", f->back_propagation[k]);
        demo_number(d, item, "graph", f->graph[k]);
        demo_number(d, item, "differences", f->differences[k]);
        demo_number(d, item, "new", f->moved[k]);
    }
}

static int run(demo *d)
{
    findings f;
    double a[N], y[N], error = error_of(start, a, y);
    nn_status status = by_back_propagation(f.back_propagation, f.moved);
    if (status == NN_OK) {
        status = by_graph(f.graph, &f.n_nodes);
    }
    if (status != NN_OK) {
        return fail(status, ROLE_OUTPUT);
    }
    by_differences(f.differences);
    demo_say(d, "Back-propagation by hand\n\n"
                "A 2-2-2 network of sigmoids without biases, squared error, learning rate 0.3.\n"
                "Input x = (0.4, 0.1); it should answer t = (0.2, 0.7).\n\n");
    say_forward(d, a, y, error);
    say_backward(d, a, y, f.back_propagation, f.moved);
    say_table(d, &f);
    demo_say(d,
             "\nNotice: three ways, one answer. Differences took %d evaluations of E, two a\n"
             "weight; back-propagation one pass forward and one back, however many weights\n"
             "there are. The graph of %zu nodes does the same one operation at a time: 'digits\n"
             "demo graph'. How much faster it is for a real network: 'digits demo numeric'.\n\n"
             "Read on: Rumelhart, Hinton and Williams, Learning representations by\n"
             "back-propagating errors (1986).\n",
             2 * N_WEIGHTS, f.n_nodes);
    return EXIT_DONE;
}

const demo_row demo_backprop = {
    "backprop", "the slopes of a 2-2-2 network, worked out by hand and in three ways", run};
