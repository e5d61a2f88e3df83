/* Networks: shape, parameters, first weights. What they compute is in backprop.c. */
#include "net.h"

#include "loss.h"
#include "names.h"

static nn_status check_layer(const nn_config *config, size_t l)
{
    const nn_layer *layer = &config->layers[l];
    bool last = l + 1 == config->n_layers;
    if (layer->units < 1 || layer->units > NN_MAX_UNITS) {
        return nn_fail(NN_ERR_ARGUMENT, "layer %zu must have 1 to %zu units, not %zu", l + 1,
                       NN_MAX_UNITS, layer->units);
    }
    if (!nn_activation_name(layer->activation)) {
        return nn_fail(NN_ERR_ARGUMENT, "layer %zu has no known activation", l + 1);
    }
    if (layer->activation == NN_SOFTMAX && !last) {
        return nn_fail(NN_ERR_ARGUMENT, "softmax goes into the last layer only, not into layer %zu",
                       l + 1);
    }
    if (!(layer->dropout >= 0 && (nn_real)layer->dropout < 1) || (last && layer->dropout > 0)) {
        return nn_fail(NN_ERR_ARGUMENT,
                       "dropout must be at least 0 and less than 1, and 0 in the last layer");
    }
    return NN_OK;
}

static nn_status check_config(const nn_config *config)
{
    if (config->inputs < 1 || config->inputs > NN_MAX_UNITS) {
        return nn_fail(NN_ERR_ARGUMENT, "a network must have 1 to %zu inputs, not %zu",
                       NN_MAX_UNITS, config->inputs);
    }
    if (config->n_layers < 1 || config->n_layers > NN_MAX_LAYERS) {
        return nn_fail(NN_ERR_ARGUMENT, "a network must have 1 to %d layers, not %zu",
                       NN_MAX_LAYERS, config->n_layers);
    }
    if (!(config->input_dropout >= 0 && (nn_real)config->input_dropout < 1)) {
        return nn_fail(NN_ERR_ARGUMENT, "input dropout must be at least 0 and less than 1");
    }
    for (size_t l = 0; l < config->n_layers; l++) {
        nn_status status = check_layer(config, l);
        if (status != NN_OK) {
            return status;
        }
    }
    nn_activation last = config->layers[config->n_layers - 1].activation;
    if (!nn_loss_name(config->loss) || !nn_loss_get(config->loss)->goes_with(last)) {
        const char *loss = nn_loss_name(config->loss);
        return nn_fail(NN_ERR_ARGUMENT, "the loss %s does not go with %s in the last layer",
                       loss ? loss : "given", nn_activation_name(last));
    }
    if (!nn_initialiser_name(config->initialiser)) {
        return nn_fail(NN_ERR_ARGUMENT, "no known initialiser");
    }
    return NN_OK;
}

/* Lays the layers out one behind the other: W(0), b(0), W(1), b(1), ... */
static void lay_out(nn_net *net, const nn_config *config)
{
    net->config = *config;
    net->config.layers = net->layers;
    size_t inputs = config->inputs;
    for (size_t l = 0; l < config->n_layers; l++) {
        net->layers[l] = config->layers[l];
        nn_shape *shape = &net->shapes[l];
        shape->inputs = inputs;
        shape->units = config->layers[l].units;
        shape->stride = nn_padded(shape->units);
        shape->weights = net->block_size;
        shape->biases = shape->weights + inputs * shape->stride;
        net->block_size = shape->biases + shape->stride;
        net->n_params += (inputs + 1) * shape->units;
        inputs = shape->units;
    }
}

/* ---- initialisers: one row, one function ---- */

typedef struct {
    const char *name;
    double (*draw)(nn_rng *rng, double fan_in, double fan_out);
} initialiser_row;

static double draw_glorot(nn_rng *rng, double fan_in, double fan_out)
{
    return sqrt(6.0 / (fan_in + fan_out)) * (2.0 * nn_rng_uniform(rng) - 1.0);
}

static double draw_lecun(nn_rng *rng, double fan_in, double fan_out)
{
    (void)fan_out;
    return sqrt(1.0 / fan_in) * nn_rng_normal(rng);
}

static double draw_he(nn_rng *rng, double fan_in, double fan_out)
{
    (void)fan_out;
    return sqrt(2.0 / fan_in) * nn_rng_normal(rng);
}

static double draw_normal(nn_rng *rng, double fan_in, double fan_out)
{
    (void)fan_in;
    (void)fan_out;
    return nn_rng_normal(rng);
}

static double draw_zero(nn_rng *rng, double fan_in, double fan_out)
{
    (void)rng;
    (void)fan_in;
    (void)fan_out;
    return 0;
}

static const initialiser_row initialisers[NN_N_INITIALISERS] = {
    [NN_GLOROT] = {"glorot", draw_glorot},
    [NN_LECUN] = {"lecun", draw_lecun},
    [NN_HE] = {"he", draw_he},
    [NN_NORMAL] = {"normal", draw_normal},
    [NN_ZERO] = {"zero", draw_zero},
};

const char *nn_initialiser_name(nn_initialiser initialiser)
{
    return (size_t)initialiser < NN_N_INITIALISERS ? initialisers[initialiser].name : NULL;
}

nn_status nn_initialiser_find(nn_initialiser *out, const char *name)
{
    const char *names[NN_N_INITIALISERS];
    size_t found;
    for (size_t k = 0; k < NN_N_INITIALISERS; k++) {
        names[k] = initialisers[k].name;
    }
    nn_status status = nn_name_find(&found, names, NN_N_INITIALISERS, "initialiser", name);
    if (status == NN_OK) {
        *out = (nn_initialiser)found;
    }
    return status;
}

static void draw_weights(nn_net *net, uint64_t seed)
{
    const initialiser_row *row = &initialisers[net->config.initialiser];
    nn_rng rng;
    nn_rng_seed(&rng, seed);
    for (size_t l = 0; l < net->config.n_layers; l++) {
        const nn_shape *shape = &net->shapes[l];
        for (size_t j = 0; j < shape->units; j++) {
            for (size_t i = 0; i < shape->inputs; i++) {
                *nn_net_weight(net, l, j, i) =
                    (nn_real)row->draw(&rng, (double)shape->inputs, (double)shape->units);
            }
        }
    }
}

/* ---- making and freeing ---- */

static nn_status make_net(nn_net **out, const nn_config *config, uint64_t seed)
{
    nn_status status = check_config(config);
    const nn_kernels *kernels = NULL;
    if (status == NN_OK) {
        status = nn_kernels_choose(&kernels);
    }
    if (status != NN_OK) {
        return status;
    }
    nn_net *net = nn_alloc(sizeof *net);
    if (!net) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for a network");
    }
    lay_out(net, config);
    net->kernels = kernels;
    net->params = nn_alloc_array(net->block_size, sizeof *net->params);
    if (!net->params) {
        status =
            nn_fail(NN_ERR_MEMORY, "out of memory for a network of %zu parameters", net->n_params);
        nn_net_free(net);
        return status;
    }
    draw_weights(net, seed);
    *out = net;
    return NN_OK;
}

nn_status nn_net_new(nn_net **out, const nn_config *config, uint64_t seed)
{
    const nn_fpenv before = nn_fpenv_set();
    nn_status status = make_net(out, config, seed);
    nn_fpenv_restore(&before);
    return status;
}

nn_status nn_net_clone(nn_net **out, const nn_net *net)
{
    nn_config config = net->config;
    config.initialiser = NN_ZERO; /* the weights are copied, not drawn */
    nn_net *copy;
    nn_status status = nn_net_new(&copy, &config, 0);
    if (status == NN_OK) {
        copy->config.initialiser = net->config.initialiser;
        nn_net_copy_params(copy, net);
        *out = copy;
    }
    return status;
}

void nn_net_copy_params(nn_net *to, const nn_net *from)
{
    memcpy(to->params, from->params, from->block_size * sizeof *from->params);
}

void nn_net_free(nn_net *net)
{
    if (net) {
        nn_free(net->params);
        nn_free(net);
    }
}

/* ---- looking ---- */

const nn_config *nn_net_config(const nn_net *net)
{
    return &net->config;
}

size_t nn_net_outputs(const nn_net *net)
{
    return net->shapes[net->config.n_layers - 1].units;
}

size_t nn_net_n_params(const nn_net *net)
{
    return net->n_params;
}

const char *nn_net_kernel(const nn_net *net)
{
    return net->kernels->name;
}

static size_t weight_place(const nn_shape *shape, size_t j, size_t i)
{
    return shape->weights + i * shape->stride + j;
}

size_t nn_net_place(const nn_net *net, size_t k)
{
    const nn_shape *shape = net->shapes;
    while (k >= (shape->inputs + 1) * shape->units) {
        k -= (shape->inputs + 1) * shape->units;
        shape++;
    }
    size_t n_weights = shape->inputs * shape->units;
    return k < n_weights ? weight_place(shape, k / shape->inputs, k % shape->inputs)
                         : shape->biases + (k - n_weights);
}

nn_real *nn_net_weight(nn_net *net, size_t l, size_t j, size_t i)
{
    return net->params + weight_place(&net->shapes[l], j, i);
}

nn_real *nn_net_bias(nn_net *net, size_t l, size_t j)
{
    return net->params + net->shapes[l].biases + j;
}

nn_real *nn_net_param(nn_net *net, size_t k)
{
    return net->params + nn_net_place(net, k);
}

nn_real nn_weight_gradient(const nn_net *net, const nn_state *state, size_t l, size_t j, size_t i)
{
    return nn_state_gradients(state)[weight_place(&net->shapes[l], j, i)];
}

nn_real nn_bias_gradient(const nn_net *net, const nn_state *state, size_t l, size_t j)
{
    return nn_state_gradients(state)[net->shapes[l].biases + j];
}

nn_real nn_param_gradient(const nn_net *net, const nn_state *state, size_t k)
{
    return nn_state_gradients(state)[nn_net_place(net, k)];
}

bool nn_net_is_finite(const nn_net *net)
{
    for (size_t k = 0; k < net->block_size; k++) {
        if (!isfinite(net->params[k])) {
            return false;
        }
    }
    return true;
}
