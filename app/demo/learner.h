/* A network with what it takes to train it step by step, in the open. */
#ifndef DIGITS_LEARNER_H
#define DIGITS_LEARNER_H

#include "nnlib.h"

typedef struct {
    nn_net *net;
    nn_state *state;
    nn_sgd *sgd;
} learner;

/* Makes a network and its work space. NN_ERR_ARGUMENT, NN_ERR_MEMORY; learner_release in any
 * case. */
nn_status learner_init(learner *l, const nn_config *config, uint64_t seed, size_t max_batch);
void learner_release(learner *l);

/* Computes the gradients of the mean loss over a batch, and returns that loss. */
double learner_gradients(learner *l, const nn_batch *batch);

/* Computes the gradients and moves the parameters; returns the loss before the move. */
double learner_step(learner *l, const nn_batch *batch, const nn_sgd_options *options);

/* Returns the mean loss over a whole data set, in blocks of max_batch as given before; if accuracy
 * is not NULL, also the share of samples that are classified rightly. */
double learner_loss(learner *l, const nn_data *data, size_t max_batch, double *accuracy);

/* Returns output j of the network for one input x[inputs]. */
double learner_output(learner *l, const nn_real *x, size_t j);

#endif
