/* Training: epochs of shuffled mini-batches, validation, early stopping. */
#include "net.h"

typedef struct {
    nn_net *net;
    const nn_data *train, *validation;
    const nn_train_options *options;
    nn_state *state;
    nn_sgd *sgd;
    nn_net *kept;    /* the parameters to fall back to: the last good epoch's, or the best one's */
    uint32_t *order; /* [train->n], shuffled anew each epoch */
    nn_rng rng;
    double learning_rate;
    double first_loss;      /* of the first batch */
    double best_validation; /* the lowest validation loss so far */
    size_t best_epoch, epochs_done;
} trainer;

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

static nn_status check(const trainer *t)
{
    nn_status status = check_options(t->options, t->validation);
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

static size_t batch_size(const trainer *t)
{
    return t->options->batch < t->train->n ? t->options->batch : t->train->n;
}

static nn_status init(trainer *t)
{
    size_t max_batch = batch_size(t);
    if (t->validation && max_batch < VALIDATION_BLOCK) {
        max_batch = VALIDATION_BLOCK;
    }
    nn_status status = nn_state_new(&t->state, t->net, max_batch, true);
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
    nn_rng_seed(&t->rng, t->options->seed);
    nn_rng_jump(&t->rng); /* the stream before the jump is that of the first weights */
    t->learning_rate = t->options->learning_rate;
    return NN_OK;
}

static void release(trainer *t)
{
    nn_free(t->order);
    nn_net_free(t->kept);
    nn_sgd_free(t->sgd);
    nn_state_free(t->state);
}

/* ---- one epoch ---- */

static nn_status diverged(size_t epoch, double loss)
{
    return nn_fail(NN_ERR_DIVERGED,
                   "training diverged in epoch %zu: the loss is %g; try a smaller learning rate",
                   epoch, loss);
}

/* One step: forward, loss, backward, update. Adds the batch to the epoch's sums. */
static nn_status train_batch(trainer *t, const nn_batch *batch, nn_epoch *epoch, double *loss_sum,
                             size_t *correct)
{
    const nn_train_options *options = t->options;
    const nn_sgd_options step = {t->learning_rate, options->momentum, options->l2};
    size_t right;
    nn_forward_train(t->net, t->state, batch, options->mask, &t->rng);
    double loss = nn_batch_loss(t->net, t->state, batch, &right);
    if (!isfinite(loss)) {
        return diverged(epoch->epoch, loss);
    }
    nn_backward_and_step(t->net, t->state, batch, t->sgd, &step);
    if (epoch->epoch == 1 && epoch->images == 0) {
        t->first_loss = loss;
    }
    *loss_sum += loss * (double)batch->n;
    *correct += right;
    epoch->images += batch->n;
    return NN_OK;
}

/* All samples once, in a new order. */
static nn_status train_epoch(trainer *t, nn_epoch *epoch)
{
    const nn_train_options *options = t->options;
    double loss_sum = 0;
    size_t correct = 0;
    nn_rng_shuffle(&t->rng, t->order, t->train->n);
    if (options->mask == NN_MASK_EPOCH) {
        nn_draw_masks(t->net, t->state, &t->rng);
    }
    for (size_t first = 0; first < t->train->n; first += options->batch) {
        size_t left = t->train->n - first;
        size_t n = left < options->batch ? left : options->batch;
        nn_batch batch = {t->train, t->order + first, n};
        nn_state_expect(t->state, left - n);
        nn_status status = train_batch(t, &batch, epoch, &loss_sum, &correct);
        if (status != NN_OK) {
            return status;
        }
        epoch->loss = loss_sum / (double)epoch->images;
        epoch->accuracy = (double)correct / (double)epoch->images;
        if (options->on_batch &&
            !options->on_batch(options->context, epoch->epoch, epoch->images, epoch->loss)) {
            return nn_fail(NN_ERR_STOPPED, "training was stopped in epoch %zu", epoch->epoch);
        }
        if (left <= options->batch) {
            break; /* first + batch may overflow */
        }
    }
    bool good = epoch->loss <= NN_DIVERGED_FACTOR * (1 + t->first_loss) && nn_net_is_finite(t->net);
    return good ? NN_OK : diverged(epoch->epoch, epoch->loss);
}

static void validate(trainer *t, nn_epoch *epoch)
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
                  (t->best_epoch == 0 || epoch->validation_loss < t->best_validation);
    if (epoch->best) {
        t->best_validation = epoch->validation_loss;
        t->best_epoch = epoch->epoch;
    }
}

/* ---- all epochs ---- */

static bool out_of_patience(const trainer *t)
{
    return t->options->patience > 0 && t->epochs_done - t->best_epoch >= t->options->patience;
}

/* Trains to the end, to the end of patience, or to a stop. */
static nn_status run(trainer *t)
{
    const nn_train_options *options = t->options;
    while (t->epochs_done < options->epochs && !out_of_patience(t)) {
        nn_epoch epoch = {.epoch = t->epochs_done + 1,
                          .epochs = options->epochs,
                          .learning_rate = t->learning_rate};
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
        t->epochs_done++;
        if (options->patience == 0 || epoch.best) {
            nn_net_copy_params(t->kept, t->net);
        }
        t->learning_rate /= 1 + options->decay; /* mu(k+1) = mu(k) / (1 + decay) */
        if (options->on_epoch && !options->on_epoch(options->context, &epoch)) {
            return nn_fail(NN_ERR_STOPPED, "training was stopped after epoch %zu", epoch.epoch);
        }
    }
    return NN_OK;
}

/* Puts the parameters in place that the outcome promises, and tells which they are. */
static void settle(trainer *t, nn_status status, nn_train_result *result)
{
    bool take_kept = status == NN_ERR_DIVERGED || (status == NN_OK && t->options->patience > 0);
    if (take_kept) {
        nn_net_copy_params(t->net, t->kept);
    }
    if (result) {
        result->epochs = t->epochs_done;
        result->best_epoch = take_kept && t->options->patience > 0 ? t->best_epoch : t->epochs_done;
        result->stopped_early = status == NN_OK && t->epochs_done < t->options->epochs;
    }
}

nn_status nn_train(nn_net *net, const nn_data *train, const nn_data *validation,
                   const nn_train_options *options, nn_train_result *result)
{
    trainer t = {.net = net, .train = train, .validation = validation, .options = options};
    nn_status status = check(&t);
    if (status != NN_OK) {
        return status;
    }
    status = init(&t);
    if (status == NN_OK) {
        status = run(&t);
        settle(&t, status, result);
    }
    release(&t);
    return status;
}
