/*
 * Loss functions: one row in the table, one pair of functions.
 *
 * value(z, a, y) is a sample's loss; the slope functions are what dC/da is for an output unit with
 * output z, target y and slope h'(a). The loop over whole layers is in kernels/portable.h, made
 * from this table.
 */
#ifndef NN_LOSS_H
#define NN_LOSS_H

#include "real.h"

/* X(constant, slope function) */
#define NN_LOSS_SLOPES(X)                                                                          \
    X(NN_CROSS_ENTROPY, difference)                                                                \
    X(NN_BINARY_CROSS_ENTROPY, difference)                                                         \
    X(NN_SQUARED_ERROR, sloped_difference)

/* dC/da = z - y: the logarithm cancels the slope of softmax and of the sigmoid. */
static inline nn_real nn_difference(nn_real z, nn_real y, nn_real slope)
{
    (void)slope;
    return z - y;
}

/* dC/da = (z - y) h'(a) */
static inline nn_real nn_sloped_difference(nn_real z, nn_real y, nn_real slope)
{
    return (z - y) * slope;
}

typedef struct {
    const char *name;
    /* Returns a sample's loss in nats (squared error: in squared units). y[units] are the targets;
     * a[units] the pre-activations; log_sum is ln sum exp a for a softmax layer. */
    double (*value)(const nn_real *z, const nn_real *a, const nn_real *y, size_t units,
                    double log_sum);
    /* The same where y is 1 for the unit `label` and 0 for all others; NULL: value does it. */
    double (*label_value)(const nn_real *a, size_t label, double log_sum);
    /* Which activations of the last layer it goes with. */
    bool (*goes_with)(nn_activation activation);
} nn_loss_row;

/* Returns the row of a loss. */
const nn_loss_row *nn_loss_get(nn_loss loss);

#endif
