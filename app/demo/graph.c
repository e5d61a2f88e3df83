/* Computational graphs: the chain rule, one operation at a time. */
#include "demo.h"
#include "message.h"

#define ARGUMENT 1.0

/* ---- a chain ------------------------------------------------------------------------------ */

static const nn_op chain[] = {NN_OP_NEGATE, NN_OP_EXP, NN_OP_INCREMENT, NN_OP_INVERSE};

static void say_chain(demo *d, nn_graph *g)
{
    nn_node z[DEMO_COUNT(chain) + 1] = {nn_graph_leaf(g, ARGUMENT)};
    for (size_t k = 0; k < DEMO_COUNT(chain); k++) {
        z[k + 1] = nn_graph_unary(g, chain[k], z[k]);
    }
    nn_node result = z[DEMO_COUNT(chain)];
    nn_graph_backward(g, result);
    demo_say(d,
             "1. The sigmoid 1 / (1 + exp -a) as a chain of four nodes, at a = %.0f\n\n"
             "  node       value   local slope   gradient d result / d node\n",
             ARGUMENT);
    demo_say(d, "  %-8s  %6.3f                       %6.3f\n", "a", nn_graph_value(g, z[0]),
             nn_graph_gradient(g, z[0]));
    for (size_t k = 1; k <= DEMO_COUNT(chain); k++) {
        demo_say(d, "  %-8s  %6.3f        %6.3f         %6.3f\n", nn_op_name(nn_graph_op(g, z[k])),
                 nn_graph_value(g, z[k]), nn_graph_slope(g, z[k], 0), nn_graph_gradient(g, z[k]));
    }
    double by_chain = nn_graph_gradient(g, z[0]), s = nn_graph_value(g, result);
    nn_node fused = nn_graph_unary(g, NN_OP_SIGMOID, z[0]);
    nn_graph_backward(g, fused);
    demo_say(d,
             "\nRead from below: the result's gradient is 1; each node hands up its gradient\n"
             "times its local slope (in this table 'a' is always the node above). What arrives\n"
             "at the top is %.3f. The whole chain as one node has slope\n"
             "s (1 - s) = %.3f * %.3f = %.3f, the same.\n\n",
             by_chain, s, 1 - s, nn_graph_gradient(g, z[0]));
    demo_number(d, d->document.root, "slope_by_chain", by_chain);
    demo_number(d, d->document.root, "slope_fused", nn_graph_gradient(g, z[0]));
}

/* ---- gradients add ------------------------------------------------------------------------ */

/* f = x x + 3 x at x = 2: x feeds the square twice and the product once. */
static void say_adding(demo *d, nn_graph *g)
{
    nn_node x = nn_graph_leaf(g, 2), three = nn_graph_leaf(g, 3);
    nn_node square = nn_graph_binary(g, NN_OP_MULTIPLY, x, x);
    nn_node triple = nn_graph_binary(g, NN_OP_MULTIPLY, three, x);
    nn_node f = nn_graph_binary(g, NN_OP_ADD, square, triple);
    nn_graph_backward(g, f);
    demo_say(d,
             "2. Where a node feeds several, what comes back adds up: f = x x + 3 x at x = 2\n\n"
             "  f = %.0f\n"
             "  back from x x, to its first factor    %.0f\n"
             "  back from x x, to its second factor   %.0f\n"
             "  back from 3 x                         %.0f\n"
             "  df/dx, the sum                        %.0f   (2 x + 3 at x = 2)\n\n",
             nn_graph_value(g, f), nn_graph_gradient(g, square) * nn_graph_slope(g, square, 0),
             nn_graph_gradient(g, square) * nn_graph_slope(g, square, 1),
             nn_graph_gradient(g, triple) * nn_graph_slope(g, triple, 1), nn_graph_gradient(g, x));
    demo_number(d, d->document.root, "gradients_add", nn_graph_gradient(g, x));
}

/* ---- vectors ------------------------------------------------------------------------------ */

enum {
    ROWS = 2,
    COLUMNS = 3
};

/* q = W x, one node a number */
typedef struct {
    nn_node w[ROWS][COLUMNS], x[COLUMNS], q[ROWS];
} product;

static product multiply(nn_graph *g)
{
    static const double weights[ROWS][COLUMNS] = {{1, 2, -1}, {0.5, 0, 3}};
    static const double inputs[COLUMNS] = {2, -1, 4};
    product p;
    for (size_t i = 0; i < COLUMNS; i++) {
        p.x[i] = nn_graph_leaf(g, inputs[i]);
    }
    for (size_t k = 0; k < ROWS; k++) {
        p.q[k] = nn_graph_leaf(g, 0);
        for (size_t i = 0; i < COLUMNS; i++) {
            p.w[k][i] = nn_graph_leaf(g, weights[k][i]);
            p.q[k] = nn_graph_binary(g, NN_OP_ADD, p.q[k],
                                     nn_graph_binary(g, NN_OP_MULTIPLY, p.w[k][i], p.x[i]));
        }
    }
    return p;
}

/* + 0.0 turns -0 into 0. */
static double tidy(double value)
{
    return value + 0.0;
}

static void say_gradients(demo *d, nn_graph *g, const product *p, size_t k)
{
    nn_graph_backward(g, p->q[k]);
    cJSON *list = json_array(&d->document, d->document.root, k == 0 ? "dq1_dx" : "dq2_dx");
    demo_say(d, "  dq%zu/dW  ", k + 1);
    for (size_t r = 0; r < ROWS; r++) {
        demo_say(d, "%s[", r > 0 ? "  " : "");
        for (size_t i = 0; i < COLUMNS; i++) {
            demo_say(d, " %4.1f", tidy(nn_graph_gradient(g, p->w[r][i])));
        }
        demo_say(d, " ]");
    }
    demo_say(d, "   dq%zu/dx  [", k + 1);
    for (size_t i = 0; i < COLUMNS; i++) {
        demo_say(d, " %4.1f", tidy(nn_graph_gradient(g, p->x[i])));
        demo_number(d, list, NULL, nn_graph_gradient(g, p->x[i]));
    }
    demo_say(d, " ]\n");
}

static void say_vectors(demo *d, nn_graph *g)
{
    product p = multiply(g);
    demo_say(d,
             "3. The same for a layer, q = W x\n\n"
             "  W  [ 1  2 -1 ]   x = (2, -1, 4)   q = (%.0f, %.0f)\n"
             "     [ .5 0  3 ]\n\n",
             nn_graph_value(g, p.q[0]), nn_graph_value(g, p.q[1]));
    for (size_t k = 0; k < ROWS; k++) {
        say_gradients(d, g, &p, k);
    }
    demo_say(d, "\nIn words: dq[k]/dW[i][j] is x[j] where k = i and 0 elsewhere; dq[k]/dx[i] is\n"
                "W[k][i]. So a gradient delta on q becomes delta x^T on W and W^T delta on x:\n"
                "the two products that back-propagation is made of.\n\n");
}

static int run(demo *d)
{
    nn_graph *g;
    nn_status status = nn_graph_new(&g);
    if (status != NN_OK) {
        return fail(status, ROLE_OUTPUT);
    }
    demo_say(d, "The computational graph\n\n"
                "Every formula is a graph of simple operations. Each node needs to know only its\n"
                "own local slope; the chain rule does the rest, from the result backwards.\n\n");
    say_chain(d, g);
    say_adding(d, g);
    say_vectors(d, g);
    demo_say(d, "Notice: nothing here knows what it is part of. The tests use this graph as an\n"
                "oracle: it must agree with the library's back-propagation on random networks.\n\n"
                "Read on: Linnainmaa, Taylor expansion of the accumulated rounding error (1976);\n"
                "Baydin, Pearlmutter, Radul and Siskind, Automatic differentiation in machine\n"
                "learning: a survey (2018).\n");
    status = nn_graph_status(g);
    nn_graph_free(g);
    return fail(status, ROLE_OUTPUT);
}

const demo_row demo_graph = {"graph", "the chain rule one operation at a time; gradients add", run};
