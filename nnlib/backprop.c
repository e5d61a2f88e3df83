/*
 * Forward and backward: from a batch of samples to the gradients of their mean loss.
 *
 *   forward    a(l) = W(l) z(l-1) + b(l);  z(l) = h(a(l)) * mask(l)
 *   output     delta(L) = dC/da(L) / n
 *   backward   delta(l-1) = (W(l)^T delta(l)) * h'(a(l-1)) * mask(l-1)
 *   gradient   dC/dW(l) = sum over b of delta(l) z(l-1)^T;  dC/db(l) = sum over b of delta(l)
 */
#include "loss.h"
#include "net.h"

/* What one layer leaves behind for a batch; each array is [max_batch][stride]. */
typedef struct {
    size_t stride, units;
    nn_real *z;        /* outputs, after the mask */
    nn_real *slope;    /* h'(a) times the mask */
    nn_real *delta;    /* dC/da */
    nn_real *mask;     /* 0 or 1/(1-p); NULL without dropout */
    nn_real *one_mask; /* [stride], the mask of NN_MASK_EPOCH */
} layer_state;

struct nn_state {
    size_t max_batch;
    size_t n;          /* samples of the last forward pass */
    bool learning;     /* whether that pass was one of training */
    bool masked_input; /* whether that pass had dropout on its inputs */
    size_t ahead;      /* see nn_state_expect */
    const nn_ink *ink; /* of the training data; NULL: none */
    size_t n_layers;
    layer_state input; /* z is x; no slope, no delta */
    layer_state layers[NN_MAX_LAYERS];
    nn_real *logits;    /* a(L): [max_batch][stride of the last layer] */
    nn_real *target;    /* y of a label: [stride of the last layer], zero but for a moment */
    nn_sum *sums;       /* [max_batch], sum exp a(L) of a softmax layer */
    nn_real *gradients; /* as net->params */
    nn_work work;       /* the kernels' scratch space, and who helps them */
    nn_real *block;     /* all of the above but the sums */
    uint32_t *lists;    /* [NN_LISTS_SIZE], the kernels' lists of pixels in use */
};

/* ---- work space ---- */

/* Takes count numbers from the block; with a NULL block it only counts them. */
static nn_real *take(nn_real *block, size_t *used, size_t count)
{
    nn_real *taken = block ? block + *used : NULL;
    *used += nn_padded(count);
    return taken;
}

static void place_layer(layer_state *layer, nn_real *block, size_t *used, size_t max_batch,
                        size_t units, bool training, bool dropout)
{
    layer->units = units;
    layer->stride = nn_padded(units);
    size_t count = max_batch * layer->stride;
    layer->z = take(block, used, count);
    if (training) {
        layer->slope = take(block, used, count);
        layer->delta = take(block, used, count);
    }
    if (training && dropout) {
        layer->mask = take(block, used, count);
        layer->one_mask = take(block, used, layer->stride);
    }
}

/* Gives every array its place in the block and returns how many numbers that takes. */
static size_t place_arrays(nn_state *state, nn_real *block, const nn_net *net, bool gradients)
{
    const nn_config *config = &net->config;
    size_t used = 0, max_batch = state->max_batch;
    state->input.units = config->inputs;
    state->input.stride = NN_X_STRIDE(config->inputs);
    state->input.z = take(block, &used, NN_X_ROWS(max_batch) * state->input.stride);
    if (gradients && config->input_dropout > 0) {
        state->input.mask = take(block, &used, max_batch * state->input.stride);
        state->input.one_mask = take(block, &used, state->input.stride);
    }
    for (size_t l = 0; l < config->n_layers; l++) {
        place_layer(&state->layers[l], block, &used, max_batch, config->layers[l].units, gradients,
                    config->layers[l].dropout > 0);
    }
    size_t stride = state->layers[config->n_layers - 1].stride;
    state->logits = take(block, &used, max_batch * stride);
    state->target = take(block, &used, stride);
    if (gradients) {
        state->gradients = take(block, &used, net->block_size);
    }
    size_t scratch = 0;
    for (size_t l = 0; l < config->n_layers; l++) {
        size_t size = net->kernels->scratch_size(net->shapes[l].inputs, net->shapes[l].units);
        scratch = size > scratch ? size : scratch;
    }
    state->work.scratch = take(block, &used, scratch * nn_team_size(state->work.team));
    return used;
}

nn_status nn_state_new(nn_state **out, const nn_net *net, size_t max_batch, bool gradients)
{
    return nn_state_new_shared(out, net, max_batch, gradients, NULL);
}

nn_status nn_state_new_shared(nn_state **out, const nn_net *net, size_t max_batch, bool gradients,
                              nn_team *team)
{
    if (max_batch < 1) {
        return nn_fail(NN_ERR_ARGUMENT, "a batch must have at least 1 sample");
    }
    nn_state *state = nn_alloc(sizeof *state);
    if (!state) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for a network's work space");
    }
    state->max_batch = max_batch;
    state->work.team = team;
    state->n_layers = net->config.n_layers;
    state->block = nn_alloc_array(place_arrays(state, NULL, net, gradients), sizeof(nn_real));
    state->sums = nn_alloc_array(max_batch, sizeof *state->sums);
    state->lists = nn_alloc_array(NN_LISTS_SIZE(net->config.inputs), sizeof *state->lists);
    if (!state->block || !state->sums || !state->lists) {
        nn_state_free(state);
        return nn_fail(NN_ERR_MEMORY, "out of memory for batches of %zu samples", max_batch);
    }
    place_arrays(state, state->block, net, gradients);
    *out = state;
    return NN_OK;
}

void nn_state_free(nn_state *state)
{
    if (state) {
        nn_free(state->lists);
        nn_free(state->sums);
        nn_free(state->block);
        nn_free(state);
    }
}

const nn_real *nn_state_gradients(const nn_state *state)
{
    return state->gradients;
}

/* ---- dropout ---- */

/* Draws keep or leave out for `units` units, 32 random bits each. */
static void draw_mask(nn_real *mask, size_t units, double dropout, nn_rng *rng)
{
    const uint64_t threshold = (uint64_t)(dropout * 0x1p32);
    const nn_real kept = (nn_real)(1.0 / (1.0 - dropout));
    uint64_t bits = 0;
    for (size_t u = 0; u < units; u++) {
        bits = u % 2 == 0 ? nn_rng_next(rng) : bits >> 32;
        mask[u] = (bits & UINT32_MAX) < threshold ? 0 : kept;
    }
}

void nn_draw_masks(const nn_net *net, nn_state *state, nn_rng *rng)
{
    if (state->input.mask) {
        draw_mask(state->input.one_mask, state->input.units, net->config.input_dropout, rng);
    }
    for (size_t l = 0; l < state->n_layers; l++) {
        layer_state *layer = &state->layers[l];
        if (layer->mask) {
            draw_mask(layer->one_mask, layer->units, net->layers[l].dropout, rng);
        }
    }
}

/* Fills mask[b][] for the n samples of a batch. */
static void fill_masks(layer_state *layer, size_t n, double dropout, nn_mask kind, nn_rng *rng)
{
    for (size_t b = 0; b < n; b++) {
        nn_real *mask = layer->mask + b * layer->stride;
        if (kind == NN_MASK_SAMPLE) {
            draw_mask(mask, layer->units, dropout, rng);
        } else {
            memcpy(mask, layer->one_mask, layer->units * sizeof *mask);
        }
    }
}

static void apply_mask(nn_real *values, const nn_real *mask, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        values[k] *= mask[k];
    }
}

/* ---- forward ---- */

static nn_pixel_batch pixel_batch(const nn_state *state, const nn_batch *batch)
{
    const nn_data *data = batch->data;
    const bool has_ink = state->learning && state->ink && state->ink->pixels == data->pixels;
    return (nn_pixel_batch){.pixels = data->pixels,
                            .index = batch->index,
                            .n = batch->n,
                            .inputs = data->inputs,
                            .ahead = state->ahead,
                            .learning = state->learning,
                            .ink = has_ink ? state->ink : NULL};
}

void nn_state_use_ink(nn_state *state, const nn_ink *ink)
{
    state->ink = ink;
}

void nn_state_expect(nn_state *state, size_t ahead)
{
    state->ahead = ahead;
}

/* Whether the first layer works on the bytes themselves. With dropout on the inputs they become
 * numbers first. */
static bool takes_bytes(const nn_state *state, const nn_batch *batch)
{
    return batch->data->pixels && !state->masked_input;
}

/* x = z(0) as numbers, where the first layer needs them */
static void load_inputs(const nn_net *net, nn_state *state, const nn_batch *batch)
{
    const nn_data *data = batch->data;
    nn_real *x = state->input.z;
    if (takes_bytes(state, batch)) {
        return;
    }
    if (data->pixels) {
        const nn_pixel_batch pixels = pixel_batch(state, batch);
        net->kernels->load_pixels(x, state->input.stride, &pixels);
        return;
    }
    for (size_t b = 0; b < batch->n; b++) {
        size_t sample = batch->index ? batch->index[b] : b;
        memcpy(x + b * state->input.stride, data->values + sample * data->inputs,
               data->inputs * sizeof *x);
    }
}

/* a(l) = W(l) z(l-1) + b(l) */
static void pre_activations(const nn_net *net, nn_state *state, const nn_batch *batch, size_t l)
{
    const nn_shape *shape = &net->shapes[l];
    const nn_real *w = net->params + shape->weights, *bias = net->params + shape->biases;
    layer_state *layer = &state->layers[l];
    if (l == 0 && takes_bytes(state, batch)) {
        const nn_pixel_batch pixels = pixel_batch(state, batch);
        net->kernels->forward_pixels(layer->z, layer->stride, state->input.z, state->input.stride,
                                     &pixels, w, bias, state->lists, &state->work);
    } else {
        const layer_state *below = l > 0 ? &state->layers[l - 1] : &state->input;
        net->kernels->forward(layer->z, layer->stride, below->z, below->stride, w, bias, batch->n,
                              shape->inputs, shape->stride, &state->work);
    }
}

/* What a team shares of one layer's activations; as for the kernel. */
typedef struct {
    const nn_kernels *kernels;
    nn_activation activation;
    nn_real *z, *slope;
    size_t count, parts;
} activations;

static void activate_share(void *context, size_t part)
{
    const activations *a = context;
    const size_t first = a->count * part / a->parts, end = a->count * (part + 1) / a->parts;
    a->kernels->activate(a->activation, a->z + first, a->slope ? a->slope + first : NULL,
                         end - first);
}

static void activate(const nn_net *net, const nn_state *state, nn_activation activation, nn_real *z,
                     nn_real *slope, size_t count)
{
    nn_team *team = state->work.team;
    if (team && count >= NN_WORTH_ACTIVATING) {
        nn_team_run(team, activate_share,
                    &(activations){net->kernels, activation, z, slope, count, nn_team_size(team)});
    } else {
        net->kernels->activate(activation, z, slope, count);
    }
}

/* z(l) = h(a(l)), with slopes when training */
static void forward_layer(const nn_net *net, nn_state *state, const nn_batch *batch, size_t l,
                          bool training)
{
    layer_state *layer = &state->layers[l];
    size_t count = state->n * layer->stride;
    pre_activations(net, state, batch, l);
    if (l + 1 == state->n_layers) {
        memcpy(state->logits, layer->z, count * sizeof *layer->z);
    }
    if (net->layers[l].activation == NN_SOFTMAX) {
        net->kernels->softmax(layer->z, layer->stride, state->sums, state->n, layer->units);
    } else {
        activate(net, state, net->layers[l].activation, layer->z, training ? layer->slope : NULL,
                 count);
    }
}

void nn_forward(const nn_net *net, nn_state *state, const nn_batch *batch)
{
    const nn_fpenv before = nn_fpenv_set();
    state->n = batch->n;
    state->learning = false;
    state->masked_input = false;
    load_inputs(net, state, batch);
    for (size_t l = 0; l < state->n_layers; l++) {
        forward_layer(net, state, batch, l, false);
    }
    nn_fpenv_restore(&before);
}

void nn_forward_train(const nn_net *net, nn_state *state, const nn_batch *batch, nn_mask mask,
                      nn_rng *rng)
{
    const nn_fpenv before = nn_fpenv_set();
    layer_state *input = &state->input;
    state->n = batch->n;
    state->learning = true;
    state->masked_input = input->mask != NULL;
    load_inputs(net, state, batch);
    if (input->mask) {
        if (rng) {
            fill_masks(input, batch->n, net->config.input_dropout, mask, rng);
        }
        apply_mask(input->z, input->mask, batch->n * input->stride);
    }
    for (size_t l = 0; l < state->n_layers; l++) {
        layer_state *layer = &state->layers[l];
        forward_layer(net, state, batch, l, true);
        if (layer->mask) {
            if (rng) {
                fill_masks(layer, batch->n, net->layers[l].dropout, mask, rng);
            }
            apply_mask(layer->z, layer->mask, batch->n * layer->stride);
            apply_mask(layer->slope, layer->mask, batch->n * layer->stride);
        }
    }
    nn_fpenv_restore(&before);
}

const nn_real *nn_output(const nn_state *state, size_t b)
{
    return nn_hidden(state, state->n_layers - 1, b);
}

const nn_real *nn_hidden(const nn_state *state, size_t l, size_t b)
{
    const layer_state *layer = &state->layers[l];
    return layer->z + b * layer->stride;
}

/* ---- loss ---- */

static nn_targets targets_of(const nn_batch *batch)
{
    const nn_data *data = batch->data;
    return (nn_targets){data->targets, data->labels, batch->index, data->outputs};
}

/* A sample's targets: its own numbers, or those that its label stands for, until that is dropped.
 */
static const nn_real *take_targets(nn_state *state, const nn_data *data, size_t sample)
{
    if (!data->labels) {
        return data->targets + sample * data->outputs;
    }
    state->target[data->labels[sample]] = 1;
    return state->target;
}

static void drop_targets(nn_state *state, const nn_data *data, size_t sample)
{
    if (data->labels) {
        state->target[data->labels[sample]] = 0;
    }
}

static size_t largest(const nn_real *values, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++) {
        best = values[k] > values[best] ? k : best;
    }
    return best;
}

/* Whether the outputs say what the targets say: the same largest of several, or, of a single one,
 * the same side of 0.5. */
static bool is_right(const nn_real *z, const nn_real *y, size_t n)
{
    const nn_real half = (nn_real)0.5;
    if (n == 1) {
        return y[0] < half ? z[0] < half : z[0] >= half;
    }
    return nn_is_largest(z, n, largest(y, n));
}

#define LOSS_BLOCK ((size_t)64) /* samples whose logarithms are taken in one go */

/* Adds the losses of up to LOSS_BLOCK samples to a sum, in their order. */
static double add_losses(double sum, const nn_net *net, nn_state *state, const nn_batch *batch,
                         size_t first, size_t n)
{
    const nn_data *data = batch->data;
    const nn_loss_row *loss = nn_loss_get(net->config.loss);
    const layer_state *last = &state->layers[state->n_layers - 1];
    double logs[LOSS_BLOCK] = {0};
    if (net->layers[state->n_layers - 1].activation == NN_SOFTMAX) {
        net->kernels->log_sums(logs, state->sums + first, n);
    }
    for (size_t k = 0; k < n; k++) {
        const size_t b = first + k, sample = batch->index ? batch->index[b] : b;
        const nn_real *z = last->z + b * last->stride, *a = state->logits + b * last->stride;
        if (data->labels && loss->label_value) {
            sum += loss->label_value(a, data->labels[sample], logs[k]);
        } else {
            sum += loss->value(z, a, take_targets(state, data, sample), last->units, logs[k]);
            drop_targets(state, data, sample);
        }
    }
    return sum;
}

static size_t count_right(const nn_net *net, nn_state *state, const nn_batch *batch)
{
    const nn_data *data = batch->data;
    const layer_state *last = &state->layers[state->n_layers - 1];
    const nn_targets targets = targets_of(batch);
    if (data->labels && last->units > 1) {
        return net->kernels->count_right(last->z, last->stride, last->units, &targets, batch->n);
    }
    size_t right = 0;
    for (size_t b = 0; b < batch->n; b++) {
        const size_t sample = batch->index ? batch->index[b] : b;
        const nn_real *y = take_targets(state, data, sample);
        right += is_right(last->z + b * last->stride, y, last->units);
        drop_targets(state, data, sample);
    }
    return right;
}

static NN_NOINLINE double batch_loss(const nn_net *net, nn_state *state, const nn_batch *batch,
                                     size_t *correct)
{
    double sum = 0;
    for (size_t first = 0; first < batch->n; first += LOSS_BLOCK) {
        size_t left = batch->n - first;
        sum = add_losses(sum, net, state, batch, first, left < LOSS_BLOCK ? left : LOSS_BLOCK);
    }
    if (correct) {
        *correct = count_right(net, state, batch);
    }
    return sum / (double)batch->n;
}

double nn_batch_loss(const nn_net *net, nn_state *state, const nn_batch *batch, size_t *correct)
{
    const nn_fpenv before = nn_fpenv_set();
    double loss = batch_loss(net, state, batch, correct);
    nn_fpenv_restore(&before);
    return loss;
}

/* ---- backward ---- */

/* delta(L) = dC/da(L) / n: the mean's 1/n goes in here, once. */
static void output_delta(const nn_net *net, nn_state *state, const nn_batch *batch)
{
    const layer_state *last = &state->layers[state->n_layers - 1];
    const nn_targets targets = targets_of(batch);
    net->kernels->output_delta(net->config.loss, last->delta, last->z, last->slope, last->stride,
                               last->units, &targets, batch->n, 1 / (nn_real)batch->n);
}

/* delta(l-1) = (W(l)^T delta(l)) * h'(a(l-1)) * mask(l-1) */
static void hidden_delta(const nn_net *net, nn_state *state, size_t l)
{
    const nn_shape *shape = &net->shapes[l];
    const layer_state *layer = &state->layers[l];
    layer_state *below = &state->layers[l - 1];
    net->kernels->backward(below->delta, below->stride, below->slope, layer->delta, layer->stride,
                           net->params + shape->weights, state->n, shape->inputs, shape->units,
                           &state->work);
}

/* dC/dW(l) = sum over b of delta(l) z(l-1)^T */
static void weight_gradient(const nn_net *net, nn_state *state, const nn_batch *batch, size_t l)
{
    const layer_state *layer = &state->layers[l];
    nn_real *gw = state->gradients + net->shapes[l].weights;
    if (l == 0 && takes_bytes(state, batch)) {
        const nn_pixel_batch pixels = pixel_batch(state, batch);
        net->kernels->gradient_pixels(gw, state->input.z, &pixels, layer->delta, layer->stride);
    } else {
        const layer_state *below = l > 0 ? &state->layers[l - 1] : &state->input;
        net->kernels->gradient(gw, below->z, below->stride, layer->delta, layer->stride, state->n,
                               net->shapes[l].inputs);
    }
}

/* dC/db(l) = sum over b of delta(l) */
static void bias_gradient(const nn_net *net, nn_state *state, size_t l)
{
    const layer_state *layer = &state->layers[l];
    net->kernels->gradient_bias(state->gradients + net->shapes[l].biases, layer->delta,
                                layer->stride, state->n);
}

void nn_backward(const nn_net *net, nn_state *state, const nn_batch *batch)
{
    const nn_fpenv before = nn_fpenv_set();
    output_delta(net, state, batch);
    for (size_t left = state->n_layers; left > 0; left--) {
        const size_t l = left - 1;
        if (l > 0) {
            hidden_delta(net, state, l);
        }
        weight_gradient(net, state, batch, l);
        bias_gradient(net, state, l);
    }
    nn_fpenv_restore(&before);
}

void nn_backward_and_step(nn_net *net, nn_state *state, const nn_batch *batch, nn_sgd *sgd,
                          const nn_sgd_options *options)
{
    const nn_step weights = nn_step_of(options, true), biases = nn_step_of(options, false);
    nn_real *w = net->params, *v = nn_sgd_velocity(sgd), *g = state->gradients;
    output_delta(net, state, batch);
    for (size_t left = state->n_layers; left > 0; left--) {
        const size_t l = left - 1;
        const nn_shape *s = &net->shapes[l];
        if (l > 0) {
            hidden_delta(net, state, l);
        }
        if (l == 0 && takes_bytes(state, batch)) {
            const nn_pixel_batch pixels = pixel_batch(state, batch);
            net->kernels->learn_pixels(
                w + s->weights, v + s->weights, g + s->weights, state->input.z, state->input.stride,
                &pixels, state->layers[0].delta, s->stride, &weights, state->lists, &state->work);
        } else {
            const layer_state *below = l > 0 ? &state->layers[l - 1] : &state->input;
            net->kernels->learn(w + s->weights, v + s->weights, g + s->weights, below->z,
                                below->stride, state->layers[l].delta, s->stride, state->n,
                                s->inputs, s->stride, &weights, &state->work);
        }
        bias_gradient(net, state, l);
        net->kernels->step(w + s->biases, v + s->biases, g + s->biases, s->stride, &biases);
    }
}
