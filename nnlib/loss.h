/*
 * Loss functions: one row in the table, one pair of functions.
 *
 * value(z, a, y) is a sample's loss; delta(z, y, slope) is dC/da for one output unit, given its
 * output z, its target y and the slope h'(a).
 */
#ifndef NN_LOSS_H
#define NN_LOSS_H

#include "nnlib.h"

typedef struct {
    const char *name;
    /* Returns a sample's loss in nats (squared error: in squared units). y[units] are the targets;
     * a[units] the pre-activations; log_sum is ln sum exp a for a softmax layer. */
    double (*value)(const nn_real *z, const nn_real *a, const nn_real *y, size_t units,
                    double log_sum);
    nn_real (*delta)(nn_real z, nn_real y, nn_real slope);
    /* Which activations of the last layer it goes with. */
    bool (*goes_with)(nn_activation activation);
} nn_loss_row;

/* Returns the row of a loss. */
const nn_loss_row *nn_loss_get(nn_loss loss);

#endif
