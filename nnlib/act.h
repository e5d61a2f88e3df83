/*
 * Activation functions: one row in the table, one pair of functions.
 *
 * value(a) is what a unit makes of its pre-activation, slope(z) is h'(a) written in terms of the
 * output z = h(a). The loops over whole layers are in kernels/portable.h, made from this table.
 */
#ifndef NN_ACT_H
#define NN_ACT_H

#include "real.h"

/* X(constant, name on the command line, function). Softmax needs the whole layer: it has a kernel
 * of its own and, being last, its slope is never asked for. */
#define NN_UNIT_ACTIVATIONS(X)                                                                     \
    X(NN_SIGMOID, "sigmoid", sigmoid)                                                              \
    X(NN_TANH, "tanh", tanh)                                                                       \
    X(NN_RELU, "relu", relu)                                                                       \
    X(NN_LEAKY_RELU, "leaky-relu", leaky_relu)                                                     \
    X(NN_IDENTITY, "identity", identity)

/* sigma(a) = 1 / (1 + exp -a);  sigma' = sigma (1 - sigma), between 0 and 1/4 */
static inline nn_real nn_sigmoid_value(nn_real a)
{
    return nn_flush(1 / (1 + nn_exp(-a)));
}

static inline nn_real nn_sigmoid_slope(nn_real z)
{
    return z * (1 - z);
}

/* tanh' = 1 - tanh^2, up to 1 */
static inline nn_real nn_tanh_value(nn_real a)
{
    return nn_tanh(a);
}

static inline nn_real nn_tanh_slope(nn_real z)
{
    return nn_fma(-z, z, 1);
}

/* NaN passes through, so that a network that blew up is noticed. */
static inline nn_real nn_relu_value(nn_real a)
{
    return a < 0 ? 0 : a;
}

static inline nn_real nn_relu_slope(nn_real z)
{
    return z > 0 ? 1 : 0;
}

#define NN_LEAK ((nn_real)0.01)

static inline nn_real nn_leaky_relu_value(nn_real a)
{
    return a < 0 ? NN_LEAK * a : a;
}

static inline nn_real nn_leaky_relu_slope(nn_real z)
{
    return z > 0 ? 1 : NN_LEAK;
}

static inline nn_real nn_identity_value(nn_real a)
{
    return a;
}

static inline nn_real nn_identity_slope(nn_real z)
{
    (void)z;
    return 1;
}

#endif
