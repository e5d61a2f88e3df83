/* Promise: training takes every sample once an epoch, in an order that the seed decides, moves the
 * parameters by the mean gradient of each batch, and leaves behind the parameters that its result
 * says, however it ends. */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(train, .init = fixtures_begin, .fini = fixtures_end);

/* ---- what the tests share ------------------------------------------------------------------ */

static nn_net *new_net(const nn_config *config, uint64_t seed)
{
    nn_net *net = NULL;
    cr_assert_eq(nn_net_new(&net, config, seed), NN_OK, "%s", nn_error_text());
    return net;
}

static nn_net *copy_of(const nn_net *net)
{
    nn_net *copy = NULL;
    cr_assert_eq(nn_net_clone(&copy, net), NN_OK);
    return copy;
}

static bool same_params(nn_net *a, nn_net *b)
{
    for (size_t k = 0; k < nn_net_n_params(a); k++) {
        if (memcmp(nn_net_param(a, k), nn_net_param(b, k), sizeof(nn_real)) != 0) {
            return false;
        }
    }
    return true;
}

/* What the callbacks saw. */
enum {
    MAX_EPOCHS = 400,
    MAX_BATCHES = 1000
};

typedef struct {
    nn_net *net;
    size_t n_epochs, n_batches;
    nn_epoch epochs[MAX_EPOCHS];
    nn_net *after[MAX_EPOCHS]; /* the parameters after each epoch, where asked for */
    bool keep;
    double mean_loss[MAX_BATCHES];
    size_t images[MAX_BATCHES], epoch_of[MAX_BATCHES];
    size_t stop_epoch, stop_batch; /* at which to return false; 0: never */
} record;

static bool note_epoch(void *context, const nn_epoch *epoch)
{
    record *r = context;
    cr_assert_lt(r->n_epochs, MAX_EPOCHS);
    r->epochs[r->n_epochs] = *epoch;
    r->after[r->n_epochs] = r->keep ? copy_of(r->net) : NULL;
    r->n_epochs++;
    return r->n_epochs != r->stop_epoch;
}

static bool note_batch(void *context, size_t epoch, size_t images_done, double mean_loss)
{
    record *r = context;
    cr_assert_lt(r->n_batches, MAX_BATCHES);
    r->epoch_of[r->n_batches] = epoch;
    r->images[r->n_batches] = images_done;
    r->mean_loss[r->n_batches] = mean_loss;
    r->n_batches++;
    return r->n_batches != r->stop_batch;
}

static void forget(record *r)
{
    for (size_t k = 0; k < r->n_epochs; k++) {
        nn_net_free(r->after[k]);
    }
}

/* Options that a test then changes. */
static nn_train_options options_for(record *r)
{
    return (nn_train_options){.epochs = 1,
                              .batch = 1,
                              .learning_rate = 0.1,
                              .seed = 1,
                              .context = r,
                              .on_epoch = r ? note_epoch : NULL,
                              .on_batch = r ? note_batch : NULL};
}

static void train(nn_net *net, const nn_data *data, const nn_train_options *options)
{
    cr_assert_eq(nn_train(net, data, NULL, options, NULL), NN_OK, "%s", nn_error_text());
}

/* ---- XOR and its kin ----------------------------------------------------------------------- */

static const float corners[] = {0, 0, 0, 1, 1, 0, 1, 1};
static const float xor_answers[] = {0, 1, 1, 0};
static const nn_data xor_data = {
    .n = 4, .inputs = 2, .outputs = 1, .values = corners, .targets = xor_answers};

/* Trains 2-hidden-1 on XOR and returns how many corners come out right, rounded at 0.5. */
static size_t corners_right(size_t hidden, nn_activation activation, nn_loss loss, uint64_t seed)
{
    const nn_layer layers[] = {{hidden, activation, 0}, {1, NN_SIGMOID, 0}};
    const nn_config config = {2,    hidden > 0 ? 2 : 1, hidden > 0 ? layers : layers + 1,
                              loss, NN_GLOROT,          0};
    nn_net *net = new_net(&config, seed);
    nn_train_options options = options_for(NULL);
    float z[4];
    size_t right = 0;
    options.epochs = 3000;
    options.batch = 4;
    options.learning_rate = 0.5;
    options.momentum = 0.9;
    train(net, &xor_data, &options);
    cr_assert_eq(nn_predict(z, net, &xor_data), NN_OK);
    for (size_t k = 0; k < 4; k++) {
        right += (z[k] > 0.5f) == (xor_answers[k] > 0.5f);
    }
    nn_net_free(net);
    return right;
}

/* Two units are enough; from half of all seeds they get stuck in a local minimum. */
Test(train, one_hidden_layer_learns_xor)
{
    cr_assert_eq(corners_right(2, NN_TANH, NN_BINARY_CROSS_ENTROPY, 2), 4);
    cr_assert_eq(corners_right(2, NN_SIGMOID, NN_BINARY_CROSS_ENTROPY, 2), 4);
    cr_assert_eq(corners_right(4, NN_SIGMOID, NN_BINARY_CROSS_ENTROPY, 1), 4);
    cr_assert_eq(corners_right(4, NN_TANH, NN_SQUARED_ERROR, 1), 4);
    cr_assert_eq(corners_right(8, NN_RELU, NN_BINARY_CROSS_ENTROPY, 1), 4);
    cr_assert_eq(corners_right(8, NN_LEAKY_RELU, NN_BINARY_CROSS_ENTROPY, 1), 4);
}

/* XOR is not linearly separable: neither without a hidden layer nor with one of identities. */
Test(train, no_single_layer_learns_xor)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        cr_assert_lt(corners_right(0, NN_SIGMOID, NN_BINARY_CROSS_ENTROPY, seed), 4);
        cr_assert_lt(corners_right(4, NN_IDENTITY, NN_BINARY_CROSS_ENTROPY, seed), 4);
    }
}

/* ---- three classes of points in the plane -------------------------------------------------- */

enum {
    POINTS = 90
};

typedef struct {
    float values[2 * POINTS];
    uint8_t pixels[2 * POINTS];
    uint8_t labels[POINTS];
    nn_data data;
} points;

static void make_points(points *p, uint64_t seed)
{
    static const double centres[3][2] = {{0.2, 0.2}, {0.8, 0.3}, {0.4, 0.8}};
    nn_rng rng;
    nn_rng_seed(&rng, seed);
    for (size_t k = 0; k < POINTS; k++) {
        p->labels[k] = (uint8_t)(k % 3);
        for (size_t d = 0; d < 2; d++) {
            const double at = centres[k % 3][d] + 0.15 * nn_rng_normal(&rng);
            p->pixels[2 * k + d] = (uint8_t)(255 * fmin(1, fmax(0, at)));
            p->values[2 * k + d] = (float)p->pixels[2 * k + d] / 255;
        }
    }
    p->data =
        (nn_data){.n = POINTS, .inputs = 2, .outputs = 3, .values = p->values, .labels = p->labels};
}

static const nn_layer point_layers[] = {{9, NN_TANH, 0.1}, {3, NN_SOFTMAX, 0}};
static const nn_config point_net = {2, 2, point_layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
static const nn_layer plain_layers[] = {{9, NN_TANH, 0}, {3, NN_SOFTMAX, 0}};
static const nn_config plain_net = {2, 2, plain_layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};

Test(train, full_batch_loss_falls_at_every_step)
{
    static points p;
    static record r;
    make_points(&p, 1);
    nn_net *net = new_net(&plain_net, 1);
    nn_train_options options = options_for(&r);
    options.epochs = 300;
    options.batch = POINTS;
    train(net, &p.data, &options);
    for (size_t k = 1; k < 300; k++) {
        cr_assert_lt(r.epochs[k].loss, r.epochs[k - 1].loss, "epoch %zu", k + 1);
    }
    nn_net_free(net);
}

/* The note's point for mini-batches: sooner per pass. */
Test(train, small_batches_arrive_sooner_than_the_full_batch)
{
    static points p;
    double loss[2];
    make_points(&p, 1);
    for (size_t way = 0; way < 2; way++) {
        record r = {0};
        nn_net *net = new_net(&plain_net, 1);
        nn_train_options options = options_for(&r);
        options.epochs = 20;
        options.batch = way == 0 ? POINTS : 10;
        train(net, &p.data, &options);
        loss[way] = r.epochs[19].loss;
        nn_net_free(net);
    }
    cr_assert_lt(loss[1], 0.8 * loss[0]);
}

Test(train, network_learns_to_tell_classes_apart)
{
    static points p;
    static points unseen;
    make_points(&p, 1);
    make_points(&unseen, 2);
    nn_net *net = new_net(&point_net, 1);
    nn_train_options options = options_for(NULL);
    nn_report report;
    options.epochs = 40;
    options.batch = 10;
    options.momentum = 0.9;
    options.decay = 0.05;
    options.l2 = 1e-4;
    train(net, &p.data, &options);
    cr_assert_eq(nn_evaluate(&report, net, &unseen.data), NN_OK);
    cr_assert_geq(report.accuracy, 0.9);
    nn_report_release(&report);
    nn_net_free(net);
}

/* ---- the same every time ------------------------------------------------------------------- */

static nn_net *trained(const nn_data *data, uint64_t seed, nn_mask mask)
{
    nn_net *net = new_net(&point_net, 1);
    nn_train_options options = options_for(NULL);
    options.epochs = 3;
    options.batch = 7;
    options.momentum = 0.5;
    options.mask = mask;
    options.seed = seed;
    train(net, data, &options);
    return net;
}

Test(train, same_seed_gives_the_same_bits)
{
    static points p;
    make_points(&p, 1);
    for (size_t mask = 0; mask < 2; mask++) {
        nn_net *one = trained(&p.data, 5, (nn_mask)mask);
        nn_net *same = trained(&p.data, 5, (nn_mask)mask);
        nn_net *other = trained(&p.data, 6, (nn_mask)mask);
        cr_assert(same_params(one, same));
        cr_assert_not(same_params(one, other));
        nn_net_free(one);
        nn_net_free(same);
        nn_net_free(other);
    }
}

Test(train, bytes_and_the_numbers_they_stand_for_train_to_the_same_bits)
{
    static points p;
    make_points(&p, 1);
    nn_data bytes = p.data;
    bytes.pixels = p.pixels;
    bytes.values = NULL;
    nn_net *a = trained(&p.data, 5, NN_MASK_SAMPLE);
    nn_net *b = trained(&bytes, 5, NN_MASK_SAMPLE);
    cr_assert(same_params(a, b));
    nn_net_free(a);
    nn_net_free(b);
}

Test(train, masks_per_sample_and_per_epoch_train_differently)
{
    static points p;
    make_points(&p, 1);
    nn_net *a = trained(&p.data, 5, NN_MASK_SAMPLE);
    nn_net *b = trained(&p.data, 5, NN_MASK_EPOCH);
    cr_assert_not(same_params(a, b));
    nn_net_free(a);
    nn_net_free(b);
}

/* Units left out for a whole epoch do not learn in it; drawn per sample, all learn. */
Test(train, mask_per_epoch_leaves_out_the_same_units_all_the_time)
{
    static points p;
    const nn_layer layers[] = {{40, NN_TANH, 0.5}, {3, NN_SOFTMAX, 0}};
    const nn_config config = {2, 2, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    make_points(&p, 1);
    for (size_t mask = 0; mask < 2; mask++) {
        nn_net *net = new_net(&config, 1);
        nn_net *before = copy_of(net);
        nn_train_options options = options_for(NULL);
        size_t asleep = 0;
        options.mask = (nn_mask)mask;
        train(net, &p.data, &options);
        for (size_t j = 0; j < 40; j++) {
            asleep += *nn_net_weight(net, 0, j, 0) == *nn_net_weight(before, 0, j, 0) &&
                      *nn_net_bias(net, 0, j) == 0 &&
                      *nn_net_weight(net, 1, 0, j) == *nn_net_weight(before, 1, 0, j);
        }
        if ((nn_mask)mask == NN_MASK_EPOCH) {
            cr_assert(asleep > 8 && asleep < 32, "%zu", asleep);
        } else {
            cr_assert_eq(asleep, 0);
        }
        nn_net_free(before);
        nn_net_free(net);
    }
}

/* Callbacks watch; they change nothing. */
Test(train, callbacks_and_validation_do_not_change_the_result)
{
    static points p;
    static record r;
    make_points(&p, 1);
    nn_net *quiet = trained(&p.data, 5, NN_MASK_SAMPLE);
    nn_net *watched = new_net(&point_net, 1);
    nn_train_options options = options_for(&r);
    options.epochs = 3;
    options.batch = 7;
    options.momentum = 0.5;
    options.seed = 5;
    cr_assert_eq(nn_train(watched, &p.data, &p.data, &options, NULL), NN_OK);
    cr_assert(same_params(quiet, watched));
    nn_net_free(quiet);
    nn_net_free(watched);
}

/* ---- samples and batches ------------------------------------------------------------------- */

/* Each sample lights an input of its own, whose weight moves only when that sample comes. */
Test(train, every_sample_comes_once_an_epoch)
{
    enum {
        N = 50
    };
    static float x[N * N];
    static float y[N];
    static record r;
    const nn_layer layer = {1, NN_IDENTITY, 0};
    const nn_config config = {N, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    const nn_data data = {.n = N, .inputs = N, .outputs = 1, .values = x, .targets = y};
    for (size_t k = 0; k < N; k++) {
        x[k * N + k] = 1;
        y[k] = 1;
    }
    nn_net *net = new_net(&config, 0);
    nn_train_options options = options_for(&r);
    options.learning_rate = 1e-3;
    train(net, &data, &options);
    /* w = mu (1 - b) once: about 0.001. Twice would be about 0.002. */
    for (size_t k = 0; k < N; k++) {
        const double w = (double)*nn_net_weight(net, 0, 0, k);
        cr_assert(w > 0.0009 && w < 0.0011, "sample %zu: %g", k, w);
    }
    cr_assert_eq(r.epochs[0].images, N);
    cr_assert_eq(r.n_batches, N);
    nn_net_free(net);
}

/* With so small a rate nothing is learned, and a batch of one tells which sample it was. */
Test(train, each_epoch_has_an_order_of_its_own)
{
    enum {
        N = 20
    };
    static float x[N];
    static float y[N];
    static record r;
    const nn_layer layer = {1, NN_IDENTITY, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    const nn_data data = {.n = N, .inputs = 1, .outputs = 1, .values = x, .targets = y};
    size_t order[3][N];
    for (size_t k = 0; k < N; k++) {
        y[k] = sqrtf(2 * (float)k); /* loss k */
    }
    nn_net *net = new_net(&config, 0);
    nn_train_options options = options_for(&r);
    options.epochs = 3;
    options.learning_rate = 1e-9;
    train(net, &data, &options);
    for (size_t epoch = 0; epoch < 3; epoch++) {
        bool seen[N] = {false};
        double before = 0; /* the sum over the epoch so far */
        for (size_t k = 0; k < N; k++) {
            const double sum = r.mean_loss[epoch * N + k] * (double)(k + 1);
            const size_t sample = (size_t)lround(sum - before);
            cr_assert_lt(sample, N);
            cr_assert_not(seen[sample], "sample %zu comes twice", sample);
            seen[sample] = true;
            order[epoch][k] = sample;
            before = sum;
        }
    }
    size_t fixed = 0;
    for (size_t k = 0; k < N; k++) {
        fixed += order[0][k] == k;
    }
    cr_assert_lt(fixed, 6, "the first epoch is not shuffled");
    cr_assert_arr_neq(order[0], order[1], sizeof order[0]);
    cr_assert_arr_neq(order[1], order[2], sizeof order[0]);
    cr_assert_arr_neq(order[0], order[2], sizeof order[0]);
    nn_net_free(net);
}

/* One epoch by hand: a step with the first two of an order, and one with the third alone. */
static void two_steps(nn_net *net, const nn_data *data, const uint32_t *order)
{
    const nn_sgd_options step = {0.1, 0.9, 0.01};
    nn_state *state = NULL;
    nn_sgd *sgd = NULL;
    cr_assert_eq(nn_state_new(&state, net, 2, true), NN_OK);
    cr_assert_eq(nn_sgd_new(&sgd, net), NN_OK);
    for (size_t k = 0; k < 2; k++) {
        const nn_batch batch = {data, order + 2 * k, 2 - k};
        nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, NULL);
        nn_backward(net, state, &batch);
        nn_sgd_step(sgd, net, state, &step);
    }
    nn_sgd_free(sgd);
    nn_state_free(state);
}

Test(train, short_last_batch_is_averaged_over_its_own_size)
{
    static points p;
    static const uint32_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    make_points(&p, 1);
    const nn_data three = nn_data_slice(&p.data, 0, 3);
    nn_net *net = new_net(&plain_net, 1);
    nn_net *start = copy_of(net);
    nn_train_options options = options_for(NULL);
    size_t matches = 0;
    options.batch = 2;
    options.momentum = 0.9;
    options.l2 = 0.01;
    train(net, &three, &options);
    for (size_t k = 0; k < 6; k++) {
        nn_net *by_hand = copy_of(start);
        two_steps(by_hand, &three, orders[k]);
        matches += same_params(net, by_hand);
        nn_net_free(by_hand);
    }
    /* The order is one of the six; swapping two in a batch may or may not change a rounding. */
    cr_assert(matches == 1 || matches == 2, "%zu orders match", matches);
    nn_net_free(start);
    nn_net_free(net);
}

Test(train, batch_larger_than_the_data_is_all_of_the_data)
{
    static const size_t batches[] = {POINTS, POINTS + 1, 100000, SIZE_MAX};
    static points p;
    make_points(&p, 1);
    nn_net *expected = NULL;
    for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
        record r = {0};
        nn_net *net = new_net(&plain_net, 1);
        nn_train_options options = options_for(&r);
        options.epochs = 3;
        options.batch = batches[k];
        train(net, &p.data, &options);
        cr_assert_eq(r.n_batches, 3);
        cr_assert_eq(r.epochs[0].images, POINTS);
        if (k == 0) {
            expected = net;
        } else {
            cr_assert(same_params(net, expected), "batch %zu", batches[k]);
            nn_net_free(net);
        }
    }
    nn_net_free(expected);
}

/* ---- what the callbacks are told ----------------------------------------------------------- */

Test(train, callbacks_are_told_how_far_it_is)
{
    static points p;
    static record r;
    make_points(&p, 1);
    nn_net *net = new_net(&plain_net, 1);
    nn_train_options options = options_for(&r);
    options.epochs = 4;
    options.batch = 40; /* 40, 40, 10 */
    options.decay = 0.25;
    train(net, &p.data, &options);
    cr_assert_eq(r.n_epochs, 4);
    cr_assert_eq(r.n_batches, 12);
    double rate = 0.1;
    for (size_t e = 0; e < 4; e++) {
        const nn_epoch *epoch = &r.epochs[e];
        static const size_t images[] = {40, 80, 90};
        cr_assert_eq(epoch->epoch, e + 1);
        cr_assert_eq(epoch->epochs, 4);
        cr_assert_eq(epoch->images, POINTS);
        cr_assert_eq(epoch->has_validation, false);
        cr_assert_eq(epoch->best, false);
        cr_assert_leq(fabs(epoch->learning_rate - rate), 1e-15);
        cr_assert(epoch->accuracy >= 0 && epoch->accuracy <= 1);
        for (size_t b = 0; b < 3; b++) {
            cr_assert_eq(r.epoch_of[3 * e + b], e + 1);
            cr_assert_eq(r.images[3 * e + b], images[b]);
        }
        cr_assert_eq(epoch->loss, r.mean_loss[3 * e + 2]);
        rate /= 1.25;
    }
    nn_net_free(net);
}

/* Three samples whose losses are 2, 8 and 18, so slowly that they stay so: the mean is over the
 * samples, not over the batches of two and one. */
Test(train, loss_of_an_epoch_is_the_mean_over_its_samples)
{
    static record r;
    const nn_layer layer = {1, NN_IDENTITY, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    const float x[] = {0, 0, 0};
    const float y[] = {2, 4, 6};
    const nn_data data = {.n = 3, .inputs = 1, .outputs = 1, .values = x, .targets = y};
    nn_net *net = new_net(&config, 0);
    nn_train_options options = options_for(&r);
    options.batch = 2;
    options.learning_rate = 1e-9;
    train(net, &data, &options);
    cr_assert_leq(fabs(r.epochs[0].loss - 28.0 / 3), 1e-6);
    nn_net_free(net);
}

Test(train, accuracy_of_an_epoch_is_the_share_that_was_right)
{
    static points p;
    static record r;
    make_points(&p, 1);
    nn_net *net = new_net(&plain_net, 3);
    nn_report before;
    nn_train_options options = options_for(&r);
    options.batch = 13;
    options.learning_rate = 1e-9; /* the network stays what it was */
    cr_assert_eq(nn_evaluate(&before, net, &p.data), NN_OK);
    train(net, &p.data, &options);
    cr_assert_eq(r.epochs[0].accuracy, before.accuracy);
    cr_assert_leq(fabs(r.epochs[0].loss - before.loss), 1e-6);
    nn_report_release(&before);
    nn_net_free(net);
}

Test(train, validation_numbers_are_those_of_an_evaluation)
{
    static points p;
    static points unseen;
    static record r;
    make_points(&p, 1);
    make_points(&unseen, 2);
    nn_net *net = new_net(&point_net, 1);
    nn_train_options options = options_for(&r);
    r.net = net;
    r.keep = true;
    options.epochs = 5;
    options.batch = 8;
    cr_assert_eq(nn_train(net, &p.data, &unseen.data, &options, NULL), NN_OK);
    double lowest = HUGE_VAL;
    for (size_t e = 0; e < 5; e++) {
        nn_report report;
        cr_assert_eq(nn_evaluate(&report, r.after[e], &unseen.data), NN_OK);
        cr_assert(r.epochs[e].has_validation);
        cr_assert_eq(r.epochs[e].validation_accuracy, report.accuracy);
        cr_assert_leq(fabs(r.epochs[e].validation_loss - report.loss), 1e-12);
        cr_assert_eq(r.epochs[e].best, report.loss < lowest);
        lowest = fmin(lowest, report.loss);
        nn_report_release(&report);
    }
    forget(&r);
    nn_net_free(net);
}

/* More samples than one block of the evaluation takes. */
Test(train, validation_covers_every_sample)
{
    enum {
        N = 257
    };
    static float x[N];
    static float y[N];
    static record r;
    const nn_layer layer = {1, NN_IDENTITY, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    const nn_data all = {.n = N, .inputs = 1, .outputs = 1, .values = x, .targets = y};
    const nn_data one = nn_data_slice(&all, 0, 1);
    double expected = 0;
    for (size_t k = 0; k < N; k++) {
        y[k] = (float)k;
        expected += (double)k * (double)k / 2 / N;
    }
    nn_net *net = new_net(&config, 0);
    nn_train_options options = options_for(&r);
    cr_assert_eq(nn_train(net, &one, &all, &options, NULL), NN_OK); /* 0 was right: no change */
    cr_assert_leq(fabs(r.epochs[0].validation_loss - expected), 1e-9 * expected);
    nn_net_free(net);
}

/* ---- early stopping ------------------------------------------------------------------------ */

/* A linear unit at 0 moves towards its target 2: z = 2 (1 - 0.9^k) after k epochs, w and b taking
 * 0.05 each. Validation wants 1, which z comes nearest to in epoch 7 (1.043; 0.937 before). */
static const nn_layer line_layer = {1, NN_IDENTITY, 0};
static const nn_config line = {1, 1, &line_layer, NN_SQUARED_ERROR, NN_ZERO, 0};
static const float line_x = 1;
static const float line_target = 2;
static const float line_other = 1;
static const nn_data line_data = {
    .n = 1, .inputs = 1, .outputs = 1, .values = &line_x, .targets = &line_target};
static const nn_data line_validation = {
    .n = 1, .inputs = 1, .outputs = 1, .values = &line_x, .targets = &line_other};

static nn_train_result stop_early(record *r, size_t epochs, size_t patience)
{
    nn_train_options options = options_for(r);
    nn_train_result result;
    r->net = new_net(&line, 0);
    r->keep = true;
    options.epochs = epochs;
    options.patience = patience;
    options.learning_rate = 0.05;
    cr_assert_eq(nn_train(r->net, &line_data, &line_validation, &options, &result), NN_OK, "%s",
                 nn_error_text());
    return result;
}

static void end_early(record *r)
{
    forget(r);
    nn_net_free(r->net);
}

Test(train, patience_runs_out_and_the_best_epoch_is_taken)
{
    for (size_t patience = 1; patience <= 3; patience++) {
        static record r;
        r = (record){0};
        const nn_train_result result = stop_early(&r, 100, patience);
        cr_assert_eq(result.epochs, 7 + patience);
        cr_assert_eq(result.best_epoch, 7);
        cr_assert(result.stopped_early);
        cr_assert_eq(r.n_epochs, 7 + patience);
        cr_assert(same_params(r.net, r.after[6]));
        for (size_t e = 0; e < r.n_epochs; e++) {
            cr_assert_eq(r.epochs[e].best, e < 7, "epoch %zu", e + 1);
        }
        const double z = (double)*nn_net_param(r.net, 0) + (double)*nn_net_param(r.net, 1);
        cr_assert_leq(fabs(z - 2 * (1 - pow(0.9, 7))), 1e-6);
        end_early(&r);
    }
}

Test(train, best_epoch_is_taken_when_the_end_comes_before_patience_runs_out)
{
    static record r;
    const nn_train_result result = stop_early(&r, 9, 5);
    cr_assert_eq(result.epochs, 9);
    cr_assert_eq(result.best_epoch, 7);
    cr_assert_not(result.stopped_early);
    cr_assert(same_params(r.net, r.after[6]));
    end_early(&r);
}

/* There is nothing to learn: all epochs are as good, so the first is the best. */
Test(train, first_of_equal_epochs_is_the_best)
{
    static record r;
    const float zero = 0;
    const nn_data done = {.n = 1, .inputs = 1, .outputs = 1, .values = &line_x, .targets = &zero};
    nn_net *net = new_net(&line, 0);
    nn_train_options options = options_for(&r);
    nn_train_result result;
    options.epochs = 100;
    options.patience = 4;
    cr_assert_eq(nn_train(net, &done, &done, &options, &result), NN_OK);
    cr_assert_eq(result.epochs, 5);
    cr_assert_eq(result.best_epoch, 1);
    cr_assert(result.stopped_early);
    nn_net_free(net);
}

Test(train, last_epoch_is_taken_without_patience)
{
    static record r;
    const nn_train_result result = stop_early(&r, 12, 0);
    cr_assert_eq(result.epochs, 12);
    cr_assert_eq(result.best_epoch, 12);
    cr_assert_not(result.stopped_early);
    cr_assert(same_params(r.net, r.after[11]));
    end_early(&r);
}

/* ---- stopping ------------------------------------------------------------------------------ */

Test(train, stop_after_a_batch_keeps_the_parameters_of_that_moment)
{
    static points p;
    static record r;
    make_points(&p, 1);
    nn_net *net = new_net(&point_net, 1);
    nn_net *before = copy_of(net);
    nn_train_options options = options_for(&r);
    nn_train_result result;
    options.epochs = 5;
    options.batch = 30;
    r.stop_batch = 5; /* the second of the second epoch */
    cr_assert_eq(nn_train(net, &p.data, NULL, &options, &result), NN_ERR_STOPPED);
    cr_assert_str_eq(nn_error_text(), "training was stopped in epoch 2");
    cr_assert_eq(result.epochs, 1);
    cr_assert_not(result.stopped_early);
    cr_assert_eq(r.n_batches, 5);
    cr_assert_not(same_params(net, before));
    cr_assert(nn_net_is_finite(net));
    nn_net_free(before);
    nn_net_free(net);
}

/* Nothing of the epoch is left to train when it goes on; its numbers are told all the same. */
Test(train, stop_after_an_epochs_last_batch_loses_none_of_its_numbers)
{
    static points p;
    static record whole, stopped;
    make_points(&p, 1);
    nn_net *net = new_net(&point_net, 1), *again = new_net(&point_net, 1);
    nn_train_options options = options_for(&whole);
    nn_trainer *trainer;
    options.epochs = 2;
    options.batch = 30;
    train(net, &p.data, &options);
    options.context = &stopped;
    stopped.stop_batch = 3; /* of three */
    cr_assert_eq(nn_trainer_new(&trainer, again, &p.data, NULL, &options), NN_OK);
    cr_assert_eq(nn_trainer_run(trainer, NULL), NN_ERR_STOPPED);
    cr_assert_eq(stopped.n_epochs, 0);
    cr_assert_eq(nn_trainer_run(trainer, NULL), NN_OK);
    cr_assert_eq(stopped.n_epochs, 2);
    for (size_t e = 0; e < 2; e++) {
        cr_assert_eq(stopped.epochs[e].images, whole.epochs[e].images);
        cr_assert_eq(stopped.epochs[e].loss, whole.epochs[e].loss);
        cr_assert_eq(stopped.epochs[e].accuracy, whole.epochs[e].accuracy);
    }
    cr_assert(same_params(net, again));
    nn_trainer_free(trainer);
    nn_net_free(again);
    nn_net_free(net);
}

Test(train, stop_after_an_epoch_keeps_its_parameters)
{
    static points p;
    static record r;
    make_points(&p, 1);
    nn_net *net = new_net(&point_net, 1);
    nn_train_options options = options_for(&r);
    nn_train_result result;
    options.epochs = 5;
    options.batch = 30;
    r.net = net;
    r.keep = true;
    r.stop_epoch = 2;
    cr_assert_eq(nn_train(net, &p.data, NULL, &options, &result), NN_ERR_STOPPED);
    cr_assert_str_eq(nn_error_text(), "training was stopped after epoch 2");
    cr_assert_eq(result.epochs, 2);
    cr_assert_eq(result.best_epoch, 2);
    cr_assert(same_params(net, r.after[1]));
    forget(&r);
    nn_net_free(net);
}

Test(train, stop_with_patience_keeps_the_parameters_of_that_moment_too)
{
    static record r;
    nn_train_options options = options_for(&r);
    nn_train_result result;
    r.net = new_net(&line, 0);
    r.keep = true;
    r.stop_epoch = 9; /* the 7th was the best */
    options.epochs = 100;
    options.patience = 20;
    options.learning_rate = 0.05;
    cr_assert_eq(nn_train(r.net, &line_data, &line_validation, &options, &result), NN_ERR_STOPPED);
    cr_assert_eq(result.epochs, 9);
    cr_assert_eq(result.best_epoch, 9);
    cr_assert(same_params(r.net, r.after[8]));
    end_early(&r);
}

/* ---- divergence ---------------------------------------------------------------------------- */

/* z = w + b with target 0: at rate 1.5 an epoch takes 3 z off z, so the error doubles each time and
 * changes sign. From w = b = 2: losses 8, 32, 128, which is more than 10 (1 + 8); after two epochs
 * w = b = 8. */
static nn_status diverge(record *r, const nn_data *validation, size_t patience,
                         nn_train_result *result)
{
    static const float zero = 0;
    const nn_data data = {.n = 1, .inputs = 1, .outputs = 1, .values = &line_x, .targets = &zero};
    nn_train_options options = options_for(r);
    options.epochs = 50;
    options.learning_rate = 1.5;
    options.patience = patience;
    r->net = new_net(&line, 0);
    r->keep = true;
    *nn_net_weight(r->net, 0, 0, 0) = 2;
    *nn_net_bias(r->net, 0, 0) = 2;
    return nn_train(r->net, &data, validation, &options, result);
}

Test(train, growing_loss_is_divergence_and_the_last_good_epoch_is_kept)
{
    static record r;
    nn_train_result result;
    cr_assert_eq(diverge(&r, NULL, 0, &result), NN_ERR_DIVERGED);
    cr_assert_str_eq(nn_error_text(),
                     "training diverged in epoch 3: the loss is 128; try a smaller learning rate");
    cr_assert_eq(result.epochs, 2);
    cr_assert_eq(result.best_epoch, 2);
    cr_assert_not(result.stopped_early);
    cr_assert_eq(r.n_epochs, 2);
    cr_assert_eq(r.epochs[1].loss, 32);
    cr_assert_eq(*nn_net_weight(r.net, 0, 0, 0), 8);
    cr_assert_eq(*nn_net_bias(r.net, 0, 0), 8);
    end_early(&r);
}

Test(train, divergence_with_patience_keeps_the_epoch_that_the_result_names)
{
    static record r;
    nn_train_result result;
    cr_assert_eq(diverge(&r, &line_validation, 10, &result), NN_ERR_DIVERGED);
    cr_assert(result.best_epoch >= 1 && result.best_epoch <= 2);
    cr_assert(same_params(r.net, r.after[result.best_epoch - 1]));
    end_early(&r);
}

Test(train, divergence_in_the_first_epoch_gives_back_the_first_weights)
{
    static points p;
    make_points(&p, 1);
    const nn_layer layers[] = {{8, NN_RELU, 0}, {3, NN_IDENTITY, 0}};
    const nn_config config = {2, 2, layers, NN_SQUARED_ERROR, NN_HE, 0};
    nn_net *net = new_net(&config, 1);
    nn_net *before = copy_of(net);
    nn_train_options options = options_for(NULL);
    nn_train_result result = {9, 9, true};
    options.epochs = 5;
    options.batch = 3;
    options.learning_rate = 1e6;
    cr_assert_eq(nn_train(net, &p.data, NULL, &options, &result), NN_ERR_DIVERGED);
    cr_assert_eq(strncmp(nn_error_text(), "training diverged in epoch 1: ", 30), 0);
    cr_assert_eq(result.epochs, 0);
    cr_assert_eq(result.best_epoch, 0);
    cr_assert_not(result.stopped_early);
    cr_assert(same_params(net, before));
    nn_net_free(before);
    nn_net_free(net);
}

/* The only step of the only epoch: its loss was fine, what it did to the weights was not. */
Test(train, parameter_that_is_not_finite_after_the_last_batch_is_divergence)
{
    const float x = 1e30f;
    const float y = 0;
    const nn_data data = {.n = 1, .inputs = 1, .outputs = 1, .values = &x, .targets = &y};
    nn_net *net = new_net(&line, 0);
    nn_train_options options = options_for(NULL);
    nn_train_result result;
    *nn_net_weight(net, 0, 0, 0) = 1;
    options.learning_rate = 1;
    cr_assert_eq(nn_train(net, &data, NULL, &options, &result), NN_ERR_DIVERGED);
    cr_assert_eq(*nn_net_weight(net, 0, 0, 0), 1);
    cr_assert_eq(result.best_epoch, 0);
    nn_net_free(net);
}

Test(train, data_that_are_not_numbers_are_divergence)
{
    const float x[] = {1, NAN};
    const float y[] = {1, 1};
    const nn_data data = {.n = 2, .inputs = 1, .outputs = 1, .values = x, .targets = y};
    nn_net *net = new_net(&line, 0);
    nn_train_options options = options_for(NULL);
    cr_assert_eq(nn_train(net, &data, NULL, &options, NULL), NN_ERR_DIVERGED);
    cr_assert_not_null(strstr(nn_error_text(), "the loss is nan"), "%s", nn_error_text());
    cr_assert_eq(*nn_net_weight(net, 0, 0, 0), 0);
    nn_net_free(net);
}

/* ---- refusals ------------------------------------------------------------------------------ */

/* Options are right but for one; nothing is called and nothing moves. */
static void assert_refused(const nn_train_options *options, const nn_data *data,
                           const nn_data *validation, const char *text)
{
    nn_net *net = new_net(&plain_net, 1);
    nn_net *before = copy_of(net);
    nn_train_result result = {77, 78, true};
    cr_assert_eq(nn_train(net, data, validation, options, &result), NN_ERR_ARGUMENT,
                 "accepted, expected: %s", text);
    cr_assert_str_eq(nn_error_text(), text);
    cr_assert(same_params(net, before));
    cr_assert(result.epochs == 77 && result.best_epoch == 78 && result.stopped_early);
    nn_net_free(before);
    nn_net_free(net);
}

Test(train, options_out_of_range_are_refused)
{
    static const double nan = (double)NAN;
    static const struct {
        size_t offset;
        double value;
        const char *text;
    } table[] = {
#define RATE offsetof(nn_train_options, learning_rate)
#define MOMENTUM offsetof(nn_train_options, momentum)
#define DECAY offsetof(nn_train_options, decay)
#define L2 offsetof(nn_train_options, l2)
        {RATE, 0, "the learning rate must be more than 0 and at most 1e+30"},
        {RATE, -1, "the learning rate must be more than 0 and at most 1e+30"},
        {RATE, HUGE_VAL, "the learning rate must be more than 0 and at most 1e+30"},
        {RATE, nan, "the learning rate must be more than 0 and at most 1e+30"},
        {MOMENTUM, -0.1, "momentum must be at least 0 and less than 1"},
        {MOMENTUM, 1, "momentum must be at least 0 and less than 1"},
        {MOMENTUM, nan, "momentum must be at least 0 and less than 1"},
        {DECAY, -0.1, "decay and l2 must be at least 0"},
        {DECAY, HUGE_VAL, "decay and l2 must be at least 0"},
        {DECAY, nan, "decay and l2 must be at least 0"},
        {L2, -0.1, "decay and l2 must be at least 0"},
        {L2, HUGE_VAL, "decay and l2 must be at least 0"},
        {L2, nan, "decay and l2 must be at least 0"},
    };
    static points p;
    make_points(&p, 1);
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        nn_train_options options = options_for(NULL);
        memcpy((char *)&options + table[t].offset, &table[t].value, sizeof table[t].value);
        assert_refused(&options, &p.data, NULL, table[t].text);
    }
    nn_train_options options = options_for(NULL);
    options.epochs = 0;
    assert_refused(&options, &p.data, NULL, "epochs and batch must be at least 1");
    options = options_for(NULL);
    options.batch = 0;
    assert_refused(&options, &p.data, NULL, "epochs and batch must be at least 1");
    options = options_for(NULL);
    options.patience = 1;
    assert_refused(&options, &p.data, NULL, "early stopping needs validation data");
}

Test(train, data_of_another_shape_are_refused)
{
    static points p;
    make_points(&p, 1);
    const nn_train_options options = options_for(NULL);
    nn_data wrong = p.data;
    wrong.inputs = 3;
    assert_refused(&options, &wrong, NULL,
                   "the training data have 3 inputs and 3 outputs, the network 2 and 3");
    assert_refused(&options, &p.data, &wrong,
                   "the validation data have 3 inputs and 3 outputs, the network 2 and 3");
    wrong = p.data;
    wrong.outputs = 4;
    assert_refused(&options, &wrong, NULL,
                   "the training data have 2 inputs and 4 outputs, the network 2 and 3");
    wrong = p.data;
    wrong.n = 0;
    assert_refused(&options, &wrong, NULL, "there is no training data");
    assert_refused(&options, &p.data, &wrong, "there is no validation data");
    wrong = p.data;
    wrong.labels = NULL;
    assert_refused(&options, &wrong, NULL, "the training data have neither labels nor targets");
    assert_refused(&options, &p.data, &wrong,
                   "the validation data have neither labels nor targets");
    wrong = p.data;
    wrong.n = (size_t)UINT32_MAX + 1;
    assert_refused(&options, &wrong, NULL, "4294967296 samples of training data are too many");
}

/* ---- memory -------------------------------------------------------------------------------- */

Test(train, failing_memory_leaves_the_network_untouched)
{
    static points p;
    make_points(&p, 1);
    nn_net *net = new_net(&plain_net, 1);
    nn_net *before = copy_of(net);
    const nn_train_options options = options_for(NULL);
    nn_status status = NN_ERR_MEMORY;
    unsigned long failures = 0;
    while (status == NN_ERR_MEMORY) {
        fault_clear();
        fault_at(FAULT_ALLOC, failures + 1, ENOMEM, false);
        status = nn_train(net, &p.data, &p.data, &options, NULL);
        if (status == NN_ERR_MEMORY) {
            cr_assert_eq(strncmp(nn_error_text(), "out of memory for ", 18), 0);
            cr_assert(same_params(net, before));
            failures++;
        }
    }
    cr_assert_eq(status, NN_OK);
    cr_assert_geq(failures, 5); /* work space, velocities, a copy, the order */
    nn_net_free(before);
    nn_net_free(net);
}

Test(train, memory_is_asked_for_before_the_first_epoch_only)
{
    static points p;
    unsigned long calls[2];
    make_points(&p, 1);
    for (size_t k = 0; k < 2; k++) {
        nn_net *net = new_net(&point_net, 1);
        nn_train_options options = options_for(NULL);
        options.epochs = k == 0 ? 1 : 7;
        options.patience = 100;
        fault_clear();
        cr_assert_eq(nn_train(net, &p.data, &p.data, &options, NULL), NN_OK);
        calls[k] = fault_calls(FAULT_ALLOC);
        nn_net_free(net);
    }
    cr_assert_eq(calls[0], calls[1]);
}

/* ---- threads ------------------------------------------------------------------------------- */

/* Returns how many threads this process has; skips the test where the system does not tell. */
static size_t count_threads(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char text[256];
    size_t n = 0;
    while (file && n == 0 && fgets(text, sizeof text, file)) {
        n = strncmp(text, "Threads:", 8) == 0 ? strtoul(text + 8, NULL, 10) : 0;
    }
    if (file) {
        (void)fclose(file);
    }
    if (n == 0) {
        cr_skip_test("this system does not count threads");
    }
    return n;
}

static bool note_threads(void *context, size_t epoch, size_t images_done, double mean_loss)
{
    size_t *n = context;
    (void)epoch;
    (void)images_done;
    (void)mean_loss;
    *n = count_threads();
    return true;
}

/* That one joined may be counted for a moment still; its memory is not. */
Test(train, threads_share_a_wide_layer_and_are_dismissed)
{
    enum {
        SAMPLES = 64,
        INPUTS = 512
    };
    static const uint8_t pixels[SAMPLES * INPUTS] = {1};
    static const uint8_t labels[SAMPLES] = {1};
    const nn_data data = {
        .n = SAMPLES, .inputs = INPUTS, .outputs = 128, .pixels = pixels, .labels = labels};
    const nn_layer layer = {128, NN_SOFTMAX, 0};
    const nn_config config = {.inputs = INPUTS, .n_layers = 1, .layers = &layer};
    nn_net *net = new_net(&config, 1);
    const size_t blocks = fault_blocks(), before = count_threads();
    for (size_t threads = 1; threads <= 3; threads += 2) {
        size_t during = 0;
        nn_train_options options = options_for(NULL);
        options.batch = SAMPLES;
        options.threads = threads;
        options.context = &during;
        options.on_batch = note_threads;
        train(net, &data, &options);
        cr_assert_eq(during, before + threads - 1);
        cr_assert_eq(fault_blocks(), blocks);
    }
    nn_net_free(net);
}
