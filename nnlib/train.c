/* Training: epochs of shuffled mini-batches, validation, early stopping. */
#include "train.h"

/* ---- checks ---- */

static nn_status check_data(const nn_net *net, const nn_data *data, const char *what)
{
    if (data->n < 1) {
        return nn_fail(NN_ERR_ARGUMENT, "there is no %s data", what);
    }
    if (data->n > UINT32_MAX) {
        return nn_fail(NN_ERR_ARGUMENT, "%zu samples of %s data are too many", data->n, what);
    }
    if (data->inputs != net->config.inputs || data->outputs != nn_net_outputs(net)) {
        return nn_fail(NN_ERR_ARGUMENT,
                       "the %s data have %zu inputs and %zu outputs, the network %zu and %zu", what,
                       data->inputs, data->outputs, net->config.inputs, nn_net_outputs(net));
    }
    if (!data->pixels && !data->values) {
        return nn_fail(NN_ERR_ARGUMENT, "the %s data have neither pixels nor values", what);
    }
    if (!data->labels && !data->targets) {
        return nn_fail(NN_ERR_ARGUMENT, "the %s data have neither labels nor targets", what);
    }
    return nn_check_labels(data);
}

#define MAX_RATE 1e30 /* fits into a float */

static nn_status check_options(const nn_train_options *options, const nn_data *validation)
{
    if (options->epochs < 1 || options->batch < 1) {
        return nn_fail(NN_ERR_ARGUMENT, "epochs and batch must be at least 1");
    }
    if (!(options->learning_rate > 0 && options->learning_rate <= MAX_RATE)) {
        return nn_fail(NN_ERR_ARGUMENT, "the learning rate must be more than 0 and at most %g",
                       MAX_RATE);
    }
    if (!(options->momentum >= 0 && (nn_real)options->momentum < 1)) {
        return nn_fail(NN_ERR_ARGUMENT, "momentum must be at least 0 and less than 1");
    }
    if (!(options->decay >= 0 && isfinite(options->decay) && options->l2 >= 0 &&
          isfinite(options->l2))) {
        return nn_fail(NN_ERR_ARGUMENT, "decay and l2 must be at least 0");
    }
    if (options->patience > 0 && !validation) {
        return nn_fail(NN_ERR_ARGUMENT, "early stopping needs validation data");
    }
    return NN_OK;
}

static nn_status check(const nn_trainer *t)
{
    nn_status status = check_options(&t->options, t->validation);
    if (status == NN_OK) {
        status = check_data(t->net, t->train, "training");
    }
    if (status == NN_OK && t->validation) {
        status = check_data(t->net, t->validation, "validation");
    }
    return status;
}

/* ---- making and freeing ---- */

#define VALIDATION_BLOCK 100 /* samples a forward pass: small enough to stay in the cache */

static size_t batch_size(const nn_trainer *t)
{
    return t->options.batch < t->train->n ? t->options.batch : t->train->n;
}

/* Whether a layer is so wide that threads can share its products. */
static bool wants_team(const nn_trainer *t)
{
    for (size_t l = 0; l < t->net->config.n_layers; l++) {
        const nn_shape *shape = &t->net->shapes[l];
        if (shape->units > NN_NARROW &&
            batch_size(t) * shape->units >= NN_WORTH_WAKING / shape->inputs) {
            return t->options.threads != 1;
        }
    }
    return false;
}

/* Whether the first layer takes its inputs as bytes, and is so narrow that it would wait for them.
 */
static bool wants_ink(const nn_trainer *t)
{
    const nn_config *config = &t->net->config;
    return config->input_dropout == 0 && config->layers[0].units <= NN_NARROW;
}

static nn_status init(nn_trainer *t)
{
    size_t max_batch = batch_size(t);
    if (t->validation && max_batch < VALIDATION_BLOCK) {
        max_batch = VALIDATION_BLOCK;
    }
    nn_status status = wants_team(t) ? nn_team_new(&t->team, t->options.threads) : NN_OK;
    if (status == NN_OK) {
        status = nn_state_new_shared(&t->state, t->net, max_batch, true, t->team);
    }
    if (status == NN_OK) {
        status = nn_sgd_new(&t->sgd, t->net);
    }
    if (status == NN_OK) {
        status = nn_net_clone(&t->kept, t->net);
    }
    if (status != NN_OK) {
        return status;
    }
    t->order = nn_alloc_array(t->train->n, sizeof *t->order);
    if (!t->order) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for the order of %zu samples", t->train->n);
    }
    for (size_t k = 0; k < t->train->n; k++) {
        t->order[k] = (uint32_t)k;
    }
    if (wants_ink(t)) {
        nn_ink_new(&t->ink, t->net->kernels, t->train);
        nn_state_use_ink(t->state, t->ink);
    }
    nn_rng_seed(&t->now.rng, t->options.seed);
    nn_rng_jump(&t->now.rng); /* the stream before the jump is that of the first weights */
    t->now.mask_rng = t->now.rng;
    t->now.learning_rate = t->options.learning_rate;
    return NN_OK;
}

static nn_status make_trainer(nn_trainer **out, nn_net *net, const nn_data *train,
                              const nn_data *validation, const nn_train_options *options)
{
    const nn_trainer start = {
        .net = net, .train = train, .validation = validation, .options = *options};
    nn_status status = check(&start);
    if (status != NN_OK) {
        return status;
    }
    nn_trainer *t = nn_alloc(sizeof *t);
    if (!t) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for a training");
    }
    *t = start;
    status = init(t);
    if (status != NN_OK) {
        nn_trainer_free(t);
        return status;
    }
    *out = t;
    return NN_OK;
}

nn_status nn_trainer_new(nn_trainer **out, nn_net *net, const nn_data *train,
                         const nn_data *validation, const nn_train_options *options)
{
    const nn_fpenv before = nn_fpenv_set();
    nn_status status = make_trainer(out, net, train, validation, options);
    nn_fpenv_restore(&before);
    return status;
}

void nn_trainer_free(nn_trainer *t)
{
    if (t) {
        nn_free(t->order);
        nn_net_free(t->kept);
        nn_sgd_free(t->sgd);
        nn_state_free(t->state);
        nn_ink_free(t->ink);
        nn_team_free(t->team);
        nn_free(t);
    }
}

/* ---- one epoch ---- */

static nn_status diverged(size_t epoch, double loss)
{
    return nn_fail(NN_ERR_DIVERGED,
                   "training diverged in epoch %zu: the loss is %g; try a smaller learning rate",
                   epoch, isnan(loss) ? (double)NAN : loss); /* without a sign */
}

/* One step: forward, loss, backward, update. Adds the batch to the epoch's sums. */
static nn_status train_batch(nn_trainer *t, const nn_batch *batch)
{
    const nn_sgd_options step = {t->now.learning_rate, t->options.momentum, t->options.l2};
    size_t correct;
    nn_forward_train(t->net, t->state, batch, t->options.mask, &t->now.rng);
    double loss = nn_batch_loss(t->net, t->state, batch, &correct);
    if (!isfinite(loss)) {
        return diverged((size_t)t->now.epochs_done + 1, loss);
    }
    nn_backward_and_step(t->net, t->state, batch, t->sgd, &step);
    if (t->now.epochs_done == 0 && t->now.images == 0) {
        t->now.first_loss = loss;
    }
    t->now.loss_sum += loss * (double)batch->n;
    t->now.correct += correct;
    t->now.images += batch->n;
    return NN_OK;
}

/* Begins an epoch: a new order of the samples, and masks that are drawn once. */
static void begin_epoch(nn_trainer *t)
{
    nn_rng_shuffle(&t->now.rng, t->order, t->train->n);
    t->now.mask_rng = t->now.rng;
    if (t->options.mask == NN_MASK_EPOCH) {
        nn_draw_masks(t->net, t->state, &t->now.rng);
    }
}

/* Tells what the epoch has come to so far. */
static void sum_up(const nn_trainer *t, nn_epoch *epoch)
{
    epoch->images = (size_t)t->now.images;
    epoch->loss = t->now.loss_sum / (double)t->now.images;
    epoch->accuracy = (double)t->now.correct / (double)t->now.images;
}

/* All samples once, or those that are left of an epoch that was stopped. */
static nn_status train_epoch(nn_trainer *t, nn_epoch *epoch)
{
    const nn_train_options *options = &t->options;
    if (t->now.images == 0) {
        begin_epoch(t);
    }
    while (t->now.images < t->train->n) {
        size_t first = (size_t)t->now.images, left = t->train->n - first;
        size_t n = left < options->batch ? left : options->batch;
        nn_batch batch = {t->train, t->order + first, n};
        nn_state_expect(t->state, left - n);
        nn_status status = train_batch(t, &batch);
        if (status != NN_OK) {
            return status;
        }
        sum_up(t, epoch);
        if (options->on_batch &&
            !options->on_batch(options->context, epoch->epoch, epoch->images, epoch->loss)) {
            return nn_fail(NN_ERR_STOPPED, "training was stopped in epoch %zu", epoch->epoch);
        }
    }
    sum_up(t, epoch);
    bool good =
        epoch->loss <= NN_DIVERGED_FACTOR * (1 + t->now.first_loss) && nn_net_is_finite(t->net);
    return good ? NN_OK : diverged(epoch->epoch, epoch->loss);
}

static void validate(nn_trainer *t, nn_epoch *epoch)
{
    nn_state_expect(t->state, 0);
    const nn_data *data = t->validation;
    double loss_sum = 0;
    size_t correct = 0;
    for (size_t first = 0; first < data->n; first += VALIDATION_BLOCK) {
        nn_data block = nn_data_slice(data, first, VALIDATION_BLOCK);
        nn_batch batch = {&block, NULL, block.n};
        size_t right;
        nn_forward(t->net, t->state, &batch);
        loss_sum += nn_batch_loss(t->net, t->state, &batch, &right) * (double)block.n;
        correct += right;
    }
    epoch->has_validation = true;
    epoch->validation_loss = loss_sum / (double)data->n;
    epoch->validation_accuracy = (double)correct / (double)data->n;
    epoch->best = isfinite(epoch->validation_loss) &&
                  (t->now.best_epoch == 0 || epoch->validation_loss < t->now.best_validation);
    if (epoch->best) {
        t->now.best_validation = epoch->validation_loss;
        t->now.best_epoch = epoch->epoch;
    }
}

/* ---- all epochs ---- */

static bool out_of_patience(const nn_trainer *t)
{
    return t->options.patience > 0 && t->now.epochs_done - t->now.best_epoch >= t->options.patience;
}

/* Goes over to the next epoch. */
static void end_epoch(nn_trainer *t, const nn_epoch *epoch)
{
    if (t->options.patience == 0 || epoch->best) {
        nn_net_copy_params(t->kept, t->net);
    }
    t->now.epochs_done++;
    t->now.images = 0;
    t->now.correct = 0;
    t->now.loss_sum = 0;
    t->now.learning_rate /= 1 + t->options.decay; /* mu(k+1) = mu(k) / (1 + decay) */
}

/* Trains to the end, to the end of patience, or to a stop. */
static nn_status run(nn_trainer *t)
{
    const nn_train_options *options = &t->options;
    while (t->now.epochs_done < options->epochs && !out_of_patience(t)) {
        nn_epoch epoch = {.epoch = (size_t)t->now.epochs_done + 1,
                          .epochs = options->epochs,
                          .learning_rate = t->now.learning_rate};
        nn_status status = train_epoch(t, &epoch);
        if (status != NN_OK) {
            return status;
        }
        if (t->validation) {
            validate(t, &epoch);
            if (!isfinite(epoch.validation_loss)) {
                return diverged(epoch.epoch, epoch.validation_loss);
            }
        }
        end_epoch(t, &epoch);
        if (options->on_epoch && !options->on_epoch(options->context, &epoch)) {
            return nn_fail(NN_ERR_STOPPED, "training was stopped after epoch %zu", epoch.epoch);
        }
    }
    return NN_OK;
}

/* Exchanges the parameters that training goes on with and those that were kept. */
static void swap_params(nn_trainer *t)
{
    nn_real *net = t->net->params, *kept = t->kept->params;
    for (size_t k = 0; k < t->net->block_size; k++) {
        nn_real last = net[k];
        net[k] = kept[k];
        kept[k] = last;
    }
    t->swapped = !t->swapped;
}

/* Puts the parameters in place that the outcome promises, and tells which they are. */
static void settle(nn_trainer *t, nn_status status, nn_train_result *result)
{
    bool best = status != NN_ERR_STOPPED && t->options.patience > 0;
    t->diverged = status == NN_ERR_DIVERGED;
    if (t->diverged) {
        nn_net_copy_params(t->net, t->kept);
    } else if (best) {
        swap_params(t);
    }
    if (result) {
        result->epochs = (size_t)t->now.epochs_done;
        result->best_epoch = (size_t)(best ? t->now.best_epoch : t->now.epochs_done);
        result->stopped_early = status == NN_OK && t->now.epochs_done < t->options.epochs;
    }
}

nn_status nn_trainer_run(nn_trainer *t, nn_train_result *result)
{
    if (t->diverged) {
        return nn_fail(NN_ERR_ARGUMENT, "a training that has diverged cannot go on");
    }
    if (t->swapped) {
        swap_params(t);
    }
    const nn_fpenv before = nn_fpenv_set();
    nn_status status = run(t);
    settle(t, status, result);
    nn_fpenv_restore(&before);
    return status;
}

nn_position nn_trainer_position(const nn_trainer *t)
{
    return (nn_position){(size_t)t->now.epochs_done, (size_t)t->now.images};
}

nn_status nn_train(nn_net *net, const nn_data *train, const nn_data *validation,
                   const nn_train_options *options, nn_train_result *result)
{
    nn_trainer *t;
    nn_status status = nn_trainer_new(&t, net, train, validation, options);
    if (status == NN_OK) {
        status = nn_trainer_run(t, result);
        nn_trainer_free(t);
    }
    return status;
}
