/* How a network lies in memory; for the library's own files. */
#ifndef NN_NET_H
#define NN_NET_H

#include "fpenv.h"
#include "kernels/kernels.h"
#include "real.h"

/* One layer's place. Weights are kept as [inputs][stride], the transpose of W with its rows padded
 * to vectors: a row holds what leaves one input, which is what forward, gradient and update walk
 * along, and what can be skipped when that input is 0. */
typedef struct {
    size_t inputs, units;
    size_t stride;  /* units, padded to NN_LANES */
    size_t weights; /* offset of [inputs][stride] in a parameter block */
    size_t biases;  /* offset of [stride] */
} nn_shape;

struct nn_net {
    nn_config config; /* its layers point at the array below */
    nn_layer layers[NN_MAX_LAYERS];
    nn_shape shapes[NN_MAX_LAYERS];
    size_t n_params;   /* without padding */
    size_t block_size; /* with padding: numbers in params, gradients, velocities */
    nn_real *params;   /* [block_size] */
    const nn_kernels *kernels;
};

/* Returns the place of the k-th parameter (in a model file's order) in a block. */
size_t nn_net_place(const nn_net *net, size_t k);

/* nn_state_new, for work that a team shares; the team must outlive the state. */
nn_status nn_state_new_shared(nn_state **out, const nn_net *net, size_t max_batch, bool gradients,
                              nn_team *team);

/* The gradients of a state, in the layout of the parameters. */
const nn_real *nn_state_gradients(const nn_state *state);

/* The velocities, in the layout of the parameters. */
nn_real *nn_sgd_velocity(nn_sgd *sgd);

static inline nn_step nn_step_of(const nn_sgd_options *options, bool weights)
{
    return (nn_step){(nn_real)options->learning_rate, (nn_real)options->momentum,
                     weights ? (nn_real)options->l2 : 0};
}

/* Tells that the next batch will begin with `ahead` samples that stand behind this one's in its
 * index: a hint, so that the kernels can fetch them early. 0 takes it back. */
void nn_state_expect(nn_state *state, size_t ahead);

/* From now on, training batches of the data that were packed take their pixels from the ink, which
 * must outlive the state; NULL takes it back. */
void nn_state_use_ink(nn_state *state, const nn_ink *ink);

/* nn_backward and nn_sgd_step in one, with the same result: each layer moves as soon as its deltas
 * have been passed on, while its inputs are still at hand. */
void nn_backward_and_step(nn_net *net, nn_state *state, const nn_batch *batch, nn_sgd *sgd,
                          const nn_sgd_options *options);

/* NN_ERR_ARGUMENT: a label is not below data->outputs. */
nn_status nn_check_labels(const nn_data *data);

#endif
