/* Gradient descent with momentum. */
#include "net.h"

struct nn_sgd {
    nn_real *block;
    nn_real *velocity; /* v in the block, in the layout of the parameters */
};

/* A weight and its velocity are needed together, and many of a column at a time. Whole pages apart,
 * they would all have the same few places in the first cache; so velocities begin with half a page
 * that is not used. */
#define APART ((size_t)512)

nn_status nn_sgd_new(nn_sgd **out, const nn_net *net)
{
    nn_sgd *sgd = nn_alloc(sizeof *sgd);
    if (sgd) {
        sgd->block = nn_alloc_array(APART + net->block_size, sizeof *sgd->block);
    }
    if (!sgd || !sgd->block) {
        nn_sgd_free(sgd);
        return nn_fail(NN_ERR_MEMORY, "out of memory for the velocities of %zu parameters",
                       net->n_params);
    }
    sgd->velocity = sgd->block + APART;
    *out = sgd;
    return NN_OK;
}

void nn_sgd_free(nn_sgd *sgd)
{
    if (sgd) {
        nn_free(sgd->block);
        nn_free(sgd);
    }
}

nn_real *nn_sgd_velocity(nn_sgd *sgd)
{
    return sgd->velocity;
}

/* v <- m v - mu (g + l2 w);  w <- w + v;  biases without the l2 term. */
void nn_sgd_step(nn_sgd *sgd, nn_net *net, const nn_state *state, const nn_sgd_options *options)
{
    const nn_fpenv before = nn_fpenv_set();
    const nn_step weights = nn_step_of(options, true), biases = nn_step_of(options, false);
    const nn_real *g = nn_state_gradients(state);
    nn_real *w = net->params, *v = sgd->velocity;
    for (size_t l = 0; l < net->config.n_layers; l++) {
        const nn_shape *s = &net->shapes[l];
        net->kernels->step(w + s->weights, v + s->weights, g + s->weights, s->inputs * s->stride,
                           &weights);
        net->kernels->step(w + s->biases, v + s->biases, g + s->biases, s->stride, &biases);
    }
    nn_fpenv_restore(&before);
}
