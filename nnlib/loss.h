/*
 * Loss functions: one row in the table, one pair of functions.
 *
 * value(z, a, y) is a sample's loss; delta is dC/da for its output units, given their outputs z,
 * targets y and slopes h'(a).
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
    /* The same where y is 1 for the unit `label` and 0 for all others; NULL: value does it. */
    double (*label_value)(const nn_real *a, size_t label, double log_sum);
    /* delta[units] = share dC/da, +0 below NN_FLOOR; share is 1/n for the mean over n samples. */
    void (*delta)(nn_real *delta, const nn_real *z, const nn_real *y, const nn_real *slope,
                  size_t units, nn_real share);
    /* Which activations of the last layer it goes with. */
    bool (*goes_with)(nn_activation activation);
} nn_loss_row;

/* Returns the row of a loss. */
const nn_loss_row *nn_loss_get(nn_loss loss);

#endif
