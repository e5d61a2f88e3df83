#include "learner.h"

nn_status learner_init(learner *l, const nn_config *config, uint64_t seed, size_t max_batch)
{
    *l = (learner){0};
    nn_status status = nn_net_new(&l->net, config, seed);
    if (status == NN_OK) {
        status = nn_state_new(&l->state, l->net, max_batch, true);
    }
    return status == NN_OK ? nn_sgd_new(&l->sgd, l->net) : status;
}

void learner_release(learner *l)
{
    nn_sgd_free(l->sgd);
    nn_state_free(l->state);
    nn_net_free(l->net);
}

double learner_gradients(learner *l, const nn_batch *batch)
{
    nn_forward_train(l->net, l->state, batch, NN_MASK_SAMPLE, NULL);
    double loss = nn_batch_loss(l->net, l->state, batch, NULL);
    nn_backward(l->net, l->state, batch);
    return loss;
}

double learner_step(learner *l, const nn_batch *batch, const nn_sgd_options *options)
{
    double loss = learner_gradients(l, batch);
    nn_sgd_step(l->sgd, l->net, l->state, options);
    return loss;
}

double learner_loss(learner *l, const nn_data *data, size_t max_batch, double *accuracy)
{
    double sum = 0;
    size_t right = 0;
    for (size_t first = 0; first < data->n; first += max_batch) {
        nn_data block = nn_data_slice(data, first, max_batch);
        nn_batch batch = {.data = &block, .n = block.n};
        size_t correct;
        nn_forward(l->net, l->state, &batch);
        sum += nn_batch_loss(l->net, l->state, &batch, &correct) * (double)block.n;
        right += correct;
    }
    if (accuracy) {
        *accuracy = (double)right / (double)data->n;
    }
    return sum / (double)data->n;
}

double learner_output(learner *l, const nn_real *x, size_t j)
{
    const nn_config *config = nn_net_config(l->net);
    nn_data one = {
        .n = 1, .inputs = config->inputs, .outputs = nn_net_outputs(l->net), .values = x};
    nn_forward(l->net, l->state, &(nn_batch){.data = &one, .n = 1});
    return (double)nn_output(l->state, 0)[j];
}
