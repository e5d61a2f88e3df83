/* A computational graph of numbers: values forward, gradients backward. */
#include "fpenv.h"
#include "nnlib.h"

#include <math.h>
#include <string.h>

/* ---- operations: one row, one pair of functions ---- */

typedef struct {
    const char *name;
    size_t n_operands;
    double (*value)(double a, double b);
    /* dz/da and dz/db, given the operands and z */
    void (*slopes)(double slope[2], double a, double b, double z);
} op_row;

/* Declares the pair of a row: z = VALUE with the slopes DA and DB. */
#define OPERATION(name, VALUE, DA, DB)                                                             \
    static double name##_value(double a, double b)                                                 \
    {                                                                                              \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        return (VALUE);                                                                            \
    }                                                                                              \
    static void name##_slopes(double slope[2], double a, double b, double z)                       \
    {                                                                                              \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        (void)z;                                                                                   \
        slope[0] = (DA);                                                                           \
        slope[1] = (DB);                                                                           \
    }

OPERATION(add, a + b, 1, 1)
OPERATION(multiply, (a * b), b, a)
OPERATION(negate, -a, -1, 0)
OPERATION(increment, a + 1, 1, 0)
OPERATION(inverse, 1 / a, z * -z, 0)
OPERATION(exponential, exp(a), z, 0)
OPERATION(logarithm, log(a), 1 / a, 0)
OPERATION(sigmoid, 1 / (1 + exp(-a)), (z * (1 - z)), 0)
OPERATION(tanh, tanh(a), 1 - z * z, 0)
OPERATION(relu, a > 0 ? a : 0, a > 0 ? 1 : 0, 0)
OPERATION(leaky_relu, a > 0 ? a : 0.01 * a, a > 0 ? 1 : 0.01, 0)

static const op_row ops[NN_N_OPS] = {
    [NN_OP_LEAF] = {"leaf", 0, NULL, NULL},
    [NN_OP_ADD] = {"a + b", 2, add_value, add_slopes},
    [NN_OP_MULTIPLY] = {"a b", 2, multiply_value, multiply_slopes},
    [NN_OP_NEGATE] = {"-a", 1, negate_value, negate_slopes},
    [NN_OP_INCREMENT] = {"a + 1", 1, increment_value, increment_slopes},
    [NN_OP_INVERSE] = {"1 / a", 1, inverse_value, inverse_slopes},
    [NN_OP_EXP] = {"exp a", 1, exponential_value, exponential_slopes},
    [NN_OP_LOG] = {"ln a", 1, logarithm_value, logarithm_slopes},
    [NN_OP_SIGMOID] = {"sigmoid a", 1, sigmoid_value, sigmoid_slopes},
    [NN_OP_TANH] = {"tanh a", 1, tanh_value, tanh_slopes},
    [NN_OP_RELU] = {"relu a", 1, relu_value, relu_slopes},
    [NN_OP_LEAKY_RELU] = {"leaky relu a", 1, leaky_relu_value, leaky_relu_slopes},
};

const char *nn_op_name(nn_op op)
{
    return (size_t)op < NN_N_OPS ? ops[op].name : NULL;
}

/* ---- nodes ---- */

typedef struct {
    nn_op op;
    nn_node operand[2]; /* made earlier, so with smaller numbers */
    double value, gradient;
} node;

struct nn_graph {
    node *nodes;
    size_t n, room;
    bool out_of_memory;
};

enum {
    FIRST_ROOM = 64
};

nn_status nn_graph_new(nn_graph **out)
{
    nn_graph *graph = nn_alloc(sizeof *graph);
    if (graph) {
        graph->room = FIRST_ROOM;
        graph->nodes = nn_alloc_array(graph->room, sizeof *graph->nodes);
    }
    if (!graph || !graph->nodes) {
        nn_graph_free(graph);
        return nn_fail(NN_ERR_MEMORY, "out of memory for a graph");
    }
    *out = graph;
    return NN_OK;
}

void nn_graph_free(nn_graph *graph)
{
    if (graph) {
        nn_free(graph->nodes);
        nn_free(graph);
    }
}

nn_status nn_graph_status(const nn_graph *graph)
{
    return graph->out_of_memory
               ? nn_fail(NN_ERR_MEMORY, "out of memory for a graph of more than %zu nodes",
                         graph->n)
               : NN_OK;
}

static bool make_room(nn_graph *graph)
{
    if (graph->n < graph->room) {
        return true;
    }
    node *nodes = nn_alloc_array(2 * graph->room, sizeof *nodes);
    if (!nodes) {
        graph->out_of_memory = true;
        return false;
    }
    memcpy(nodes, graph->nodes, graph->n * sizeof *nodes);
    nn_free(graph->nodes);
    graph->nodes = nodes;
    graph->room *= 2;
    return true;
}

static void evaluate(nn_graph *graph, node *z)
{
    if (z->op != NN_OP_LEAF) {
        z->value =
            ops[z->op].value(graph->nodes[z->operand[0]].value, graph->nodes[z->operand[1]].value);
    }
}

static nn_node append(nn_graph *graph, node z)
{
    if (!make_room(graph)) {
        return 0;
    }
    const nn_fpenv before = nn_fpenv_set();
    graph->nodes[graph->n] = z;
    evaluate(graph, &graph->nodes[graph->n]);
    nn_fpenv_restore(&before);
    return graph->n++;
}

nn_node nn_graph_leaf(nn_graph *graph, double value)
{
    return append(graph, (node){.op = NN_OP_LEAF, .value = value});
}

nn_node nn_graph_unary(nn_graph *graph, nn_op op, nn_node a)
{
    return append(graph, (node){.op = op, .operand = {a, a}});
}

nn_node nn_graph_binary(nn_graph *graph, nn_op op, nn_node a, nn_node b)
{
    return append(graph, (node){.op = op, .operand = {a, b}});
}

size_t nn_graph_n_nodes(const nn_graph *graph)
{
    return graph->n;
}

nn_op nn_graph_op(const nn_graph *graph, nn_node z)
{
    return graph->nodes[z].op;
}

double nn_graph_value(const nn_graph *graph, nn_node z)
{
    return graph->nodes[z].value;
}

double nn_graph_gradient(const nn_graph *graph, nn_node z)
{
    return graph->nodes[z].gradient;
}

static NN_NOINLINE double slope_of(const nn_graph *graph, nn_node z, size_t k)
{
    const node *n = &graph->nodes[z];
    double slope[2] = {0, 0};
    if (n->op != NN_OP_LEAF) {
        ops[n->op].slopes(slope, graph->nodes[n->operand[0]].value,
                          graph->nodes[n->operand[1]].value, n->value);
    }
    return k == 0 ? slope[0] : slope[1];
}

double nn_graph_slope(const nn_graph *graph, nn_node z, size_t k)
{
    const nn_fpenv before = nn_fpenv_set();
    double slope = slope_of(graph, z, k);
    nn_fpenv_restore(&before);
    return slope;
}

/* ---- forward and backward ---- */

void nn_graph_set(nn_graph *graph, nn_node leaf, double value)
{
    graph->nodes[leaf].value = value;
}

void nn_graph_forward(nn_graph *graph)
{
    const nn_fpenv before = nn_fpenv_set();
    for (size_t z = 0; z < graph->n; z++) {
        evaluate(graph, &graph->nodes[z]);
    }
    nn_fpenv_restore(&before);
}

/* From the last node to the first, each when all that it feeds has been done:
 * dy/da = sum over the nodes z that a feeds of dy/dz dz/da. */
void nn_graph_backward(nn_graph *graph, nn_node root)
{
    const nn_fpenv before = nn_fpenv_set();
    for (size_t z = 0; z < graph->n; z++) {
        graph->nodes[z].gradient = 0;
    }
    graph->nodes[root].gradient = 1;
    for (size_t left = root + 1; left > 0; left--) {
        const nn_node z = left - 1;
        const node *n = &graph->nodes[z];
        for (size_t k = 0; k < ops[n->op].n_operands; k++) {
            graph->nodes[n->operand[k]].gradient += n->gradient * slope_of(graph, z, k);
        }
    }
    nn_fpenv_restore(&before);
}
