/* Numerical differentiation: the slow, certain way to a gradient, against back-propagation. */
#include "fpenv.h"
#include "net.h"

/* C with the parameter at place moved by h, for the same dropout masks. */
static double loss_at(nn_net *net, nn_state *state, const nn_batch *batch, nn_real *parameter,
                      nn_real value)
{
    nn_real before = *parameter;
    *parameter = value;
    nn_forward_train(net, state, batch, NN_MASK_SAMPLE, NULL);
    *parameter = before;
    return nn_batch_loss(net, state, batch, NULL);
}

static NN_NOINLINE double gradient_error(nn_net *net, nn_state *state, const nn_batch *batch,
                                         double h)
{
    double worst = 0;
    nn_backward(net, state, batch); /* the gradients stay while the losses are taken */
    for (size_t k = 0; k < net->n_params; k++) {
        nn_real *parameter = nn_net_param(net, k);
        nn_real up = *parameter + (nn_real)h, down = *parameter - (nn_real)h;
        double difference = (loss_at(net, state, batch, parameter, up) -
                             loss_at(net, state, batch, parameter, down)) /
                            ((double)up - (double)down);
        double gradient = (double)nn_param_gradient(net, state, k);
        double error = fabs(gradient - difference);
        double relative = error / fmax(1.0, fabs(gradient) + fabs(difference));
        /* fmax drops a NaN, which would make a broken gradient look perfect. */
        worst = isfinite(relative) ? fmax(worst, relative) : HUGE_VAL;
    }
    return worst;
}

double nn_gradient_error(nn_net *net, nn_state *state, const nn_batch *batch, double h)
{
    const nn_fpenv before = nn_fpenv_set();
    double error = gradient_error(net, state, batch, h);
    nn_fpenv_restore(&before);
    return error;
}
