/* Promise: a training that is stopped at any batch, written down and gone on with, once or at each
 * batch, comes to the same bits as one that was left alone; a checkpoint that is damaged, or of
 * another training, is refused and leaves the training where it stood. */
#include "fixtures.h"
#include "train.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

TestSuite(checkpoint, .init = fixtures_begin, .fini = fixtures_end);

/* ---- what the tests share ------------------------------------------------------------------ */

enum {
    N_LEARN = 23, /* no batch size divides it */
    N_VALIDATE = 6,
    N_PIXELS = 12,
    N_CLASSES = 3,
    MAX_LOSSES = 1000
};

static uint8_t pixels[(N_LEARN + N_VALIDATE) * N_PIXELS], labels[N_LEARN + N_VALIDATE];

/* Pictures whose class shows in their brightness, more or less. */
static nn_data all_data(void)
{
    nn_rng rng;
    nn_rng_seed(&rng, 7);
    for (size_t b = 0; b < sizeof labels; b++) {
        labels[b] = (uint8_t)(b % N_CLASSES);
        for (size_t i = 0; i < N_PIXELS; i++) {
            pixels[b * N_PIXELS + i] = (uint8_t)(60 * labels[b] + nn_rng_below(&rng, 100));
        }
    }
    return (nn_data){.n = sizeof labels,
                     .inputs = N_PIXELS,
                     .outputs = N_CLASSES,
                     .pixels = pixels,
                     .labels = labels};
}

static nn_data learn_data(void)
{
    const nn_data all = all_data();
    return nn_data_slice(&all, 0, N_LEARN);
}

static nn_data validation_data(void)
{
    const nn_data all = all_data();
    return nn_data_slice(&all, N_LEARN, N_VALIDATE);
}

/* One way to train. */
typedef struct {
    size_t hidden;
    nn_activation activation;
    double dropout, input_dropout;
    bool validate;
    nn_train_options options;
} recipe;

static const recipe plain = {
    .hidden = 5,
    .activation = NN_SIGMOID,
    .options = {.epochs = 3, .batch = 4, .learning_rate = 0.1, .momentum = 0.9, .seed = 1}};

static const recipe recipes[] = {
    {4, NN_TANH, 0, 0, false, {.epochs = 3, .batch = 1, .learning_rate = 0.05, .seed = 2}},
    {0, NN_IDENTITY, 0, 0, false, {.epochs = 2, .batch = 10, .learning_rate = 0.1, .seed = 3}},
    {5,
     NN_RELU,
     0.3,
     0,
     true,
     {.epochs = 4, .batch = 5, .learning_rate = 0.1, .momentum = 0.9, .decay = 0.3, .l2 = 1e-3}},
    {6,
     NN_LEAKY_RELU,
     0.3,
     0.2,
     true,
     {.epochs = 4, .batch = 7, .learning_rate = 0.1, .momentum = 0.5, .mask = NN_MASK_EPOCH}},
    {5,
     NN_SIGMOID,
     0.2,
     0,
     true,
     {.epochs = 60, .batch = 8, .learning_rate = 2, .momentum = 0.9, .patience = 2}},
    {5,
     NN_SIGMOID,
     0,
     0,
     true,
     {.epochs = 3, .batch = 100, .learning_rate = 0.5, .momentum = 0.9, .patience = 3}},
    {8,
     NN_TANH,
     0,
     0,
     true,
     {.epochs = 6, .batch = 4, .learning_rate = 1.5, .momentum = 0.9, .patience = 100}},
    {5,
     NN_TANH,
     0,
     0.5,
     false,
     {.epochs = 3, .batch = 23, .learning_rate = 0.1, .mask = NN_MASK_EPOCH}},
    {5,
     NN_TANH,
     0.3,
     0.2,
     false,
     {.epochs = 2, .batch = 1, .learning_rate = 0.05, .mask = NN_MASK_EPOCH}},
};

enum {
    N_RECIPES = sizeof recipes / sizeof recipes[0]
};

static nn_net *make_net(const recipe *r)
{
    const nn_layer hidden = {r->hidden, r->activation, r->dropout};
    const nn_layer last = {N_CLASSES, NN_SOFTMAX, 0};
    const nn_layer layers[] = {r->hidden > 0 ? hidden : last, last};
    const nn_config config = {.inputs = N_PIXELS,
                              .n_layers = r->hidden > 0 ? 2 : 1,
                              .layers = layers,
                              .input_dropout = r->input_dropout};
    nn_net *net = NULL;
    cr_assert_eq(nn_net_new(&net, &config, 1), NN_OK, "%s", nn_error_text());
    return net;
}

/* A training and what it works on. */
typedef struct {
    nn_net *net;
    nn_data learn, validate;
    nn_trainer *trainer;
    size_t batches, stop_at; /* batches seen, at which to stop; 0: never */
    size_t last_epoch;       /* after which to stop; 0: none */
    double losses[MAX_LOSSES], validation[MAX_LOSSES];
    size_t n_epochs;
    nn_train_result result;
} run;

static bool note_batch(void *context, size_t epoch, size_t images_done, double mean_loss)
{
    run *r = context;
    (void)images_done;
    cr_assert_leq(epoch, MAX_LOSSES);
    cr_assert_lt(r->batches, MAX_LOSSES);
    r->losses[r->batches++] = mean_loss;
    return r->batches != r->stop_at;
}

static bool note_epoch(void *context, const nn_epoch *epoch)
{
    run *r = context;
    r->validation[r->n_epochs++] = epoch->validation_loss;
    return epoch->epoch != r->last_epoch;
}

static void begin(run *r, const recipe *how)
{
    *r = (run){.net = make_net(how), .learn = learn_data(), .validate = validation_data()};
    nn_train_options options = how->options;
    options.context = r;
    options.on_batch = note_batch;
    options.on_epoch = note_epoch;
    cr_assert_eq(nn_trainer_new(&r->trainer, r->net, &r->learn, how->validate ? &r->validate : NULL,
                                &options),
                 NN_OK, "%s", nn_error_text());
}

static void end(run *r)
{
    nn_trainer_free(r->trainer);
    nn_net_free(r->net);
}

static void assert_same(run *a, run *b, const char *what)
{
    for (size_t k = 0; k < nn_net_n_params(a->net); k++) {
        cr_assert_eq(memcmp(nn_net_param(a->net, k), nn_net_param(b->net, k), sizeof(float)), 0,
                     "%s: parameter %zu", what, k);
    }
    cr_assert_eq(memcmp(&a->result, &b->result, sizeof a->result), 0, "%s: result", what);
}

static void save(run *r, const char *name)
{
    cr_assert_eq(nn_checkpoint_save(r->trainer, fixture_path(name)), NN_OK, "%s", nn_error_text());
}

static void load(run *r, const char *name)
{
    cr_assert_eq(nn_checkpoint_load(r->trainer, fixture_path(name)), NN_OK, "%s", nn_error_text());
}

static nn_status go(run *r)
{
    return nn_trainer_run(r->trainer, &r->result);
}

/* Trains without a stop. */
static void train_whole(run *r, const recipe *how)
{
    begin(r, how);
    cr_assert_eq(go(r), NN_OK, "%s", nn_error_text());
    cr_assert_gt(r->batches, 2);
}

/* Trains to a batch and stops there. */
static void train_to(run *r, const recipe *how, size_t batch)
{
    begin(r, how);
    r->stop_at = batch;
    cr_assert_eq(go(r), NN_ERR_STOPPED);
    cr_assert_eq(r->batches, batch);
}

static bool same_bytes(blob a, blob b)
{
    return a.n == b.n && memcmp(a.data, b.data, a.n) == 0;
}

/* ---- going on ------------------------------------------------------------------------------ */

Test(checkpoint, training_stopped_at_any_batch_and_resumed_ends_in_the_same_bits)
{
    for (size_t k = 0; k < N_RECIPES; k++) {
        run whole;
        train_whole(&whole, &recipes[k]);
        for (size_t stop = 1; stop <= whole.batches; stop++) {
            const char *what = fixture_text("recipe %zu, stopped at batch %zu", k, stop);
            run first, second;
            train_to(&first, &recipes[k], stop);
            save(&first, "point");
            begin(&second, &recipes[k]);
            load(&second, "point");
            cr_assert_eq(go(&second), NN_OK, "%s: %s", what, nn_error_text());
            assert_same(&whole, &second, what);
            cr_assert_eq(second.batches, whole.batches - stop, "%s", what);
            cr_assert_eq(memcmp(second.losses, whole.losses + stop, second.batches * 8), 0, "%s",
                         what);
            cr_assert_eq(
                memcmp(second.validation, whole.validation + first.n_epochs, second.n_epochs * 8),
                0, "%s", what);
            cr_assert_eq(first.n_epochs + second.n_epochs, whole.n_epochs, "%s", what);
            end(&first);
            end(&second);
        }
        end(&whole);
    }
}

/* Between two epochs no image of the next one has been seen. */
Test(checkpoint, training_stopped_after_any_epoch_and_resumed_ends_in_the_same_bits)
{
    run whole;
    train_whole(&whole, &plain);
    for (size_t epoch = 1; epoch < plain.options.epochs; epoch++) {
        const char *what = fixture_text("stopped after epoch %zu", epoch);
        run first, second;
        begin(&first, &plain);
        first.last_epoch = epoch;
        cr_assert_eq(go(&first), NN_ERR_STOPPED);
        cr_assert_eq(nn_trainer_position(first.trainer).images, 0);
        save(&first, "point");
        begin(&second, &plain);
        load(&second, "point");
        cr_assert_eq(go(&second), NN_OK, "%s: %s", what, nn_error_text());
        assert_same(&whole, &second, what);
        end(&first);
        end(&second);
    }
    end(&whole);
}

Test(checkpoint, training_stopped_at_every_batch_ends_in_the_same_bits)
{
    for (size_t k = 0; k < N_RECIPES; k++) {
        run whole, one;
        nn_status status = NN_ERR_STOPPED;
        train_whole(&whole, &recipes[k]);
        begin(&one, &recipes[k]);
        save(&one, "point");
        for (size_t steps = 0; status == NN_ERR_STOPPED; steps++) {
            cr_assert_leq(steps, whole.batches);
            end(&one);
            begin(&one, &recipes[k]);
            load(&one, "point");
            one.stop_at = 1;
            status = go(&one);
            save(&one, "point");
        }
        cr_assert_eq(status, NN_OK, "%s", nn_error_text());
        assert_same(&whole, &one, fixture_text("recipe %zu", k));
        end(&one);
        end(&whole);
    }
}

Test(checkpoint, trainer_that_was_stopped_goes_on_without_a_file)
{
    for (size_t k = 0; k < N_RECIPES; k++) {
        run whole, one;
        nn_status status;
        train_whole(&whole, &recipes[k]);
        begin(&one, &recipes[k]);
        do {
            one.stop_at = one.batches + 1;
            status = go(&one);
        } while (status == NN_ERR_STOPPED);
        cr_assert_eq(status, NN_OK);
        assert_same(&whole, &one, fixture_text("recipe %zu", k));
        end(&one);
        end(&whole);
    }
}

Test(checkpoint, saving_disturbs_nothing)
{
    run whole, one;
    train_whole(&whole, &recipes[4]);
    begin(&one, &recipes[4]);
    do {
        save(&one, "point");
        one.stop_at = one.batches + 3;
    } while (go(&one) == NN_ERR_STOPPED);
    save(&one, "point");
    assert_same(&whole, &one, "saved now and then");
    end(&one);
    end(&whole);
}

Test(checkpoint, finished_training_stays_finished)
{
    for (size_t k = 0; k < N_RECIPES; k++) {
        run whole, again;
        train_whole(&whole, &recipes[k]);
        save(&whole, "end");
        begin(&again, &recipes[k]);
        load(&again, "end");
        cr_assert_eq(go(&again), NN_OK);
        cr_assert_eq(again.batches, 0);
        assert_same(&whole, &again, fixture_text("recipe %zu", k));
        cr_assert_eq(go(&again), NN_OK);
        assert_same(&whole, &again, "and once more");
        end(&again);
        end(&whole);
    }
}

/* Also where the best epoch was taken: training goes on from the last one. */
Test(checkpoint, finished_training_goes_on_when_more_epochs_are_asked_for)
{
    size_t taken_back = 0;
    for (size_t k = 0; k < N_RECIPES; k++) {
        recipe more = recipes[k];
        run whole, first, second;
        more.options.epochs += 2;
        train_whole(&whole, &more);
        train_whole(&first, &recipes[k]);
        taken_back += first.result.best_epoch < first.result.epochs && !first.result.stopped_early;
        save(&first, "end");
        begin(&second, &more);
        load(&second, "end");
        cr_assert_eq(go(&second), NN_OK);
        assert_same(&whole, &second, fixture_text("recipe %zu", k));
        end(&second);
        end(&first);
        end(&whole);
    }
    cr_assert_gt(taken_back, 0); /* or recipes are to be chosen anew */
}

Test(checkpoint, ended_training_can_be_put_back)
{
    for (size_t k = 0; k < N_RECIPES; k++) {
        run whole, again;
        train_whole(&whole, &recipes[k]);
        train_to(&again, &recipes[k], 2);
        save(&again, "two");
        cr_assert_eq(go(&again), NN_OK);
        load(&again, "two");
        cr_assert_eq(go(&again), NN_OK);
        assert_same(&whole, &again, fixture_text("recipe %zu", k));
        end(&again);
        end(&whole);
    }
}

/* It diverges at the same batch, and leaves the same parameters of the last good epoch. */
Test(checkpoint, diverging_training_that_is_put_back_diverges_again)
{
    recipe wild = plain;
    wild.activation = NN_RELU;
    wild.options.epochs = 50;
    for (double rate = 0.5;; rate *= 1.3) {
        run whole, again;
        wild.options.learning_rate = rate;
        cr_assert_lt(rate, 1e6);
        begin(&whole, &wild);
        const nn_status status = go(&whole);
        if (status == NN_ERR_DIVERGED && whole.result.epochs > 0) {
            train_to(&again, &wild, 7); /* in epoch 2 */
            save(&again, "point");
            cr_assert_eq(go(&again), NN_ERR_DIVERGED);
            assert_same(&whole, &again, "gone on");
            again.batches = 7;
            load(&again, "point");
            cr_assert_eq(go(&again), NN_ERR_DIVERGED);
            assert_same(&whole, &again, "put back");
            cr_assert_eq(again.batches, whole.batches);
            end(&again);
            end(&whole);
            return;
        }
        end(&whole);
    }
}

Test(checkpoint, position_tells_epochs_and_images)
{
    run r;
    train_to(&r, &plain, 8); /* 6 batches an epoch */
    nn_position at = nn_trainer_position(r.trainer);
    cr_assert(at.epochs == 1 && at.images == 8);
    save(&r, "point");
    end(&r);
    begin(&r, &plain);
    at = nn_trainer_position(r.trainer);
    cr_assert(at.epochs == 0 && at.images == 0);
    load(&r, "point");
    at = nn_trainer_position(r.trainer);
    cr_assert(at.epochs == 1 && at.images == 8);
    end(&r);
}

Test(checkpoint, diverged_training_is_neither_saved_nor_gone_on_with)
{
    recipe wild = plain;
    run r;
    wild.options.learning_rate = 1e20;
    wild.activation = NN_RELU;
    begin(&r, &wild);
    cr_assert_eq(go(&r), NN_ERR_DIVERGED);
    cr_assert_eq(nn_checkpoint_save(r.trainer, fixture_path("point")), NN_ERR_DIVERGED);
    cr_assert_eq(fixture_count(), 0);
    cr_assert_eq(go(&r), NN_ERR_ARGUMENT);
    end(&r);
}

/* Stopped in the middle of blowing up: the step has overflowed, and no loss has told yet. */
Test(checkpoint, training_that_has_overflowed_is_not_saved)
{
    static const float x[] = {1e10f, 1e10f}, y[] = {1, 1};
    const nn_data data = {.n = 2, .inputs = 1, .outputs = 1, .values = x, .targets = y};
    const nn_layer layer = {1, NN_IDENTITY, 0};
    const nn_config config = {1, 1, &layer, NN_SQUARED_ERROR, NN_ZERO, 0};
    run r = {.stop_at = 1};
    const nn_train_options options = {
        .epochs = 1, .batch = 1, .learning_rate = 1e30, .context = &r, .on_batch = note_batch};
    cr_assert_eq(nn_net_new(&r.net, &config, 1), NN_OK);
    cr_assert_eq(nn_trainer_new(&r.trainer, r.net, &data, NULL, &options), NN_OK);
    cr_assert_eq(go(&r), NN_ERR_STOPPED);
    cr_assert_not(nn_net_is_finite(r.net));
    cr_assert_eq(nn_checkpoint_save(r.trainer, fixture_path("point")), NN_ERR_DIVERGED);
    cr_assert_eq(fixture_count(), 0);
    end(&r);
}

/* The loss shows neither in a velocity nor in the parameters to fall back to what has overflowed.
 */
Test(checkpoint, number_that_is_not_finite_is_not_saved)
{
    static const nn_real wrong[] = {INFINITY, -INFINITY, NAN};
    run r;
    train_to(&r, &plain, 8);
    nn_real *const blocks[] = {r.net->params, nn_sgd_velocity(r.trainer->sgd),
                               r.trainer->kept->params};
    const size_t places[] = {nn_net_place(r.net, 0), nn_net_place(r.net, r.net->n_params - 1)};
    for (size_t k = 0; k < 3 * 2 * 3; k++) {
        nn_real *at = &blocks[k / 6][places[k / 3 % 2]], before = *at;
        *at = wrong[k % 3];
        cr_assert_eq(nn_checkpoint_save(r.trainer, fixture_path("point")), NN_ERR_DIVERGED);
        cr_assert_eq(fixture_count(), 0);
        *at = before;
    }
    save(&r, "point");
    end(&r);
}

/* ---- the file ------------------------------------------------------------------------------ */

Test(checkpoint, saving_what_was_loaded_gives_the_same_bytes)
{
    for (size_t k = 0; k < N_RECIPES; k++) {
        run first, second;
        train_to(&first, &recipes[k], 2);
        save(&first, "one");
        begin(&second, &recipes[k]);
        load(&second, "one");
        save(&second, "two");
        cr_assert(same_bytes(fixture_read("one"), fixture_read("two")), "recipe %zu", k);
        end(&first);
        end(&second);
    }
}

/* A file of plain's after 8 batches, saved once a test. */
static blob file_of_8(void)
{
    static blob file;
    if (!file.data) {
        run r;
        train_to(&r, &plain, 8);
        save(&r, "eight");
        end(&r);
        file = fixture_read("eight");
    }
    return fixture_bytes(file.data, file.n);
}

static size_t header_size(blob file)
{
    size_t n = 0;
    for (size_t k = 8; k-- > 0;) {
        n = n << 8 | file.data[k];
    }
    return n;
}

/* Returns where a tensor's bytes are; *n is their number. */
static unsigned char *tensor_of(blob file, const char *name, size_t *n)
{
    cJSON *json = cJSON_ParseWithLength((char *)file.data + 8, header_size(file));
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(json, name), "data_offsets");
    cr_assert_not_null(offsets, "no tensor %s", name);
    const size_t begins = (size_t)cJSON_GetArrayItem(offsets, 0)->valuedouble;
    *n = (size_t)cJSON_GetArrayItem(offsets, 1)->valuedouble - begins;
    cJSON_Delete(json);
    return file.data + 8 + header_size(file) + begins;
}

static uint64_t word_of(blob file, const char *name, size_t k)
{
    size_t n;
    const unsigned char *bytes = tensor_of(file, name, &n) + 8 * k;
    uint64_t word = 0;
    cr_assert_lt(8 * k, n);
    for (size_t b = 8; b-- > 0;) {
        word = word << 8 | bytes[b];
    }
    return word;
}

static double double_of(blob file, const char *name)
{
    const uint64_t word = word_of(file, name, 0);
    double value;
    memcpy(&value, &word, 8);
    return value;
}

/* Finds a text in the header, in which a quotation mark in the metadata is escaped. */
static bool header_has(blob file, const char *text)
{
    return strstr((char *)file.data + 8, text) != NULL;
}

/* 12-5-3: 83 parameters. 23 samples in batches of 4: the 8th batch is the second of epoch 2. */
Test(checkpoint, file_tells_where_the_training_stands)
{
    static const char *const names[] = {"fc1.weight", "velocity.fc1.weight", "kept.fc1.weight"};
    blob file = file_of_8();
    size_t n;
    cr_assert_eq(word_of(file, "epochs_done", 0), 1);
    cr_assert_eq(word_of(file, "images", 0), 8);
    cr_assert_leq(word_of(file, "correct", 0), 8);
    cr_assert_eq(word_of(file, "best_epoch", 0), 0); /* nothing was validated */
    cr_assert_eq(double_of(file, "learning_rate"), 0.1);
    cr_assert_gt(double_of(file, "loss_sum"), 0);
    cr_assert(double_of(file, "first_loss") > 0.1 && double_of(file, "first_loss") < 5);
    for (size_t k = 0; k < 3; k++) {
        (void)tensor_of(file, names[k], &n);
        cr_assert_eq(n, 4 * 60);
    }
    (void)tensor_of(file, "order", &n);
    cr_assert_eq(n, 4 * N_LEARN);
    const char *order = fixture_text("\"order\":{\"dtype\":\"U32\",\"shape\":[%d]", (int)N_LEARN);
    cr_assert(header_has(file, order), "no %s", order);
}

/* Ours are those of zlib, over the pixels and then the labels. */
Test(checkpoint, file_tells_the_data_by_their_crc)
{
    recipe validated = plain;
    run r;
    validated.validate = true;
    begin(&r, &validated);
    save(&r, "validated");
    const uLong ours[] = {
        crc32(crc32(0, pixels, N_LEARN * N_PIXELS), labels, N_LEARN),
        crc32(crc32(0, pixels + N_LEARN * N_PIXELS, N_VALIDATE * N_PIXELS), labels + N_LEARN,
              N_VALIDATE),
    };
    static const char *const keys[] = {"training-crc32", "validation-crc32"};
    for (size_t k = 0; k < 2; k++) {
        const char *text = fixture_text("\\\"%s\\\":\\\"%08lx\\\"", keys[k], ours[k]);
        cr_assert(header_has(fixture_read("validated"), text), "no %s", text);
    }
    end(&r);
}

/* Pashto has a decimal point of two bytes. */
Test(checkpoint, decimal_point_of_two_bytes_changes_no_byte)
{
    recipe dropping = plain;
    run r;
    dropping.dropout = 0.25;
    train_to(&r, &dropping, 8);
    save(&r, "eight");
    end(&r);
    fixture_locale("ps_AF");
    cr_assert_str_eq(fixture_text("%g", 0.5), "0\xd9\xab"
                                              "5");
    train_to(&r, &dropping, 8);
    save(&r, "again");
    cr_assert(same_bytes(fixture_read("eight"), fixture_read("again")));
    load(&r, "eight");
    end(&r);
    dropping.dropout = 0.5;
    begin(&r, &dropping);
    cr_assert_eq(nn_checkpoint_load(r.trainer, fixture_path("eight")), NN_ERR_ARGUMENT);
    cr_assert_not_null(strstr(nn_error_text(), "layer 1 dropout 0.25, not 0.5"), "%s",
                       nn_error_text());
    end(&r);
}

/* Returns what follows "'PATH' is " in the text of a refusal with this code; the training must then
 * start as if nothing had been tried. */
static const char *refusal_by(const recipe *how, blob content, nn_status code)
{
    const char *path = fixture_write("refused", content);
    const char *start = fixture_text("'%s' is ", path);
    run r, untouched;
    begin(&r, how);
    cr_assert_eq(nn_checkpoint_load(r.trainer, path), code, "%s", nn_error_text());
    cr_assert_eq(strncmp(nn_error_text(), start, strlen(start)), 0, "%s", nn_error_text());
    const char *why = fixture_text("%s", nn_error_text() + strlen(start));
    train_whole(&untouched, how);
    cr_assert_eq(go(&r), NN_OK);
    assert_same(&untouched, &r, "after a refusal");
    end(&r);
    end(&untouched);
    return why;
}

static void assert_damaged(blob content, const char *why)
{
    cr_assert_str_eq(refusal_by(&plain, content, NN_ERR_MODEL),
                     fixture_text("not a usable checkpoint: %s", why));
}

/* ---- damage -------------------------------------------------------------------------------- */

Test(checkpoint, file_cut_anywhere_is_refused)
{
    blob file = file_of_8();
    const char *path = fixture_path("eight");
    run r;
    begin(&r, &plain);
    save(&r, "before");
    for (size_t n = file.n; n-- > 0;) {
        cr_assert_eq(truncate(path, (off_t)n), 0);
        cr_assert_eq(nn_checkpoint_load(r.trainer, path), NN_ERR_MODEL, "%zu bytes", n);
    }
    save(&r, "after");
    cr_assert(same_bytes(fixture_read("before"), fixture_read("after")));
    end(&r);
}

/* The CRC covers the tensors, and each entry of the metadata is compared. */
Test(checkpoint, flip_of_any_bit_is_refused)
{
    blob file = file_of_8();
    run r;
    begin(&r, &plain);
    save(&r, "before");
    const int fd = open(fixture_path("eight"), O_WRONLY);
    cr_assert_geq(fd, 0);
    for (size_t bit = 0; bit < 8 * file.n; bit++) {
        const unsigned char flipped = (unsigned char)(file.data[bit / 8] ^ 1u << bit % 8);
        cr_assert_eq(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
        const nn_status status = nn_checkpoint_load(r.trainer, fixture_path("eight"));
        cr_assert(status == NN_ERR_MODEL || status == NN_ERR_ARGUMENT || status == NN_ERR_DATA,
                  "bit %zu of byte %zu: %d", bit % 8, bit / 8, (int)status);
        cr_assert_eq(pwrite(fd, &file.data[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    (void)close(fd);
    save(&r, "after");
    cr_assert(same_bytes(fixture_read("before"), fixture_read("after")));
    load(&r, "eight"); /* mended, it is taken */
    end(&r);
}

/* Returns the file with its k-th word of a tensor replaced and the CRC set right. */
static blob patched_file(blob file, const char *name, size_t k, size_t size, uint64_t word)
{
    size_t n;
    unsigned char *bytes = tensor_of(file, name, &n) + size * k;
    for (size_t b = 0; b < size; b++) {
        bytes[b] = (unsigned char)(word >> (8 * b));
    }
    const size_t start = 8 + header_size(file);
    const char *crc = fixture_text("%08lx", crc32(0, file.data + start, (uInt)(file.n - start)));
    char *place = strstr((char *)file.data + 8, "\"crc32\":\"");
    cr_assert_not_null(place);
    memcpy(place + 9, crc, 8);
    return file;
}

static blob patched(const char *name, size_t k, size_t size, uint64_t word)
{
    return patched_file(file_of_8(), name, k, size, word);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

Test(checkpoint, numbers_that_no_training_comes_to_are_refused)
{
    const struct {
        const char *name;
        uint64_t word;
    } wrong[] = {
        {"images", 24},
        {"images", 7},
        {"images", UINT64_MAX},
        {"correct", 9},
        {"best_epoch", 1}, /* without validation */
        {"best_epoch", UINT64_MAX},
        {"loss_sum", bits_of(HUGE_VAL)},
        {"loss_sum", bits_of(-HUGE_VAL)},
        {"loss_sum", bits_of((double)NAN)},
        {"first_loss", bits_of((double)NAN)},
        {"best_validation", bits_of(1)},
        {"best_validation", bits_of((double)NAN)},
        {"learning_rate", bits_of(0.2)},
        {"learning_rate", bits_of(-0.1)},
        {"learning_rate", bits_of((double)NAN)},
    };
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        assert_damaged(patched(wrong[k].name, 0, 8, wrong[k].word),
                       "no training can have come to its numbers");
    }
}

Test(checkpoint, sums_before_the_first_image_are_refused)
{
    run r;
    begin(&r, &plain);
    save(&r, "start");
    end(&r);
    blob start = fixture_read("start");
    assert_damaged(patched_file(start, "loss_sum", 0, 8, bits_of(1)),
                   "no training can have come to its numbers");
    start = fixture_read("start");
    assert_damaged(patched_file(start, "first_loss", 0, 8, bits_of(1)),
                   "no training can have come to its numbers");
}

Test(checkpoint, best_epoch_to_come_is_refused)
{
    static const char *const why = "not a usable checkpoint: no training can have come to its "
                                   "numbers";
    recipe validated = plain;
    run r;
    validated.validate = true;
    train_to(&r, &validated, 8);
    save(&r, "validated");
    end(&r);
    blob file = patched_file(fixture_read("validated"), "best_epoch", 0, 8, 2);
    cr_assert_str_eq(refusal_by(&validated, file, NN_ERR_MODEL), why);
    file = patched_file(fixture_read("validated"), "best_validation", 0, 8, bits_of(HUGE_VAL));
    cr_assert_str_eq(refusal_by(&validated, file, NN_ERR_MODEL), why);
}

/* Returns the file with a piece of its header replaced. */
static blob with_header(const char *old, const char *new)
{
    blob file = file_of_8();
    const size_t size = header_size(file);
    char *place = strstr((char *)file.data + 8, old);
    cr_assert_not_null(place, "no %s", old);
    const size_t before = (size_t)(place - (char *)file.data) - 8;
    blob header =
        fixture_join(fixture_bytes(file.data + 8, before), fixture_bytes(new, strlen(new)));
    header = fixture_join(header, fixture_bytes(place + strlen(old), size - before - strlen(old)));
    unsigned char length[8];
    for (size_t b = 0; b < 8; b++) {
        length[b] = (unsigned char)((uint64_t)header.n >> (8 * b));
    }
    blob tensors = fixture_bytes(file.data + 8 + size, file.n - 8 - size);
    return fixture_join(fixture_join(fixture_bytes(length, 8), header), tensors);
}

Test(checkpoint, metadata_that_nobody_wrote_are_refused)
{
    assert_damaged(with_header("\\\"patience\\\":0", "\\\"patience\\\":-0"),
                   "its metadata are not as they were written");
    assert_damaged(with_header("\"training\":", "\"trainer\":"),
                   "its metadata do not say what training it is of");
    assert_damaged(with_header("\"network\":", "\"more\":\"less\",\"network\":"),
                   "its metadata have more entries than there are");
    assert_damaged(with_header("\"checkpoint_version\":\"1\"", "\"checkpoint_version\":\"2\""),
                   "it was not written by this program, or by a version to come: "
                   "checkpoint_version is not 1");
}

/* All four words 0 would give 0 for ever. */
Test(checkpoint, generator_that_stands_still_is_refused)
{
    static const char *const names[] = {"generator", "mask_generator"};
    for (size_t g = 0; g < 2; g++) {
        blob file = file_of_8();
        size_t n;
        for (size_t k = 0; k < 4; k++) {
            cr_assert_neq(word_of(file, names[g], k), 0);
        }
        memset(tensor_of(file, names[g], &n), 0, 32);
        const size_t start = 8 + header_size(file);
        const char *crc =
            fixture_text("%08lx", crc32(0, file.data + start, (uInt)(file.n - start)));
        memcpy(strstr((char *)file.data + 8, "\"crc32\":\"") + 9, crc, 8);
        assert_damaged(file, "no training can have come to its numbers");
    }
}

/* One word that is not 0 is enough, whichever it is. */
Test(checkpoint, generator_with_one_word_is_taken)
{
    static const char *const names[] = {"generator", "mask_generator"};
    for (size_t k = 0; k < 2 * 4; k++) {
        blob file = file_of_8();
        run r;
        for (size_t word = 0; word < 4; word++) {
            file = patched_file(file, names[k / 4], word, 8, word == k % 4);
        }
        fixture_write("taken", file);
        begin(&r, &plain);
        load(&r, "taken");
        save(&r, "again");
        cr_assert(same_bytes(file, fixture_read("again")), "%s, word %zu", names[k / 4], k % 4);
        end(&r);
    }
}

Test(checkpoint, number_that_is_not_finite_is_refused)
{
    static const char *const names[] = {"fc1.weight", "fc2.bias", "velocity.fc2.weight",
                                        "kept.fc1.bias"};
    for (size_t k = 0; k < 4; k++) {
        assert_damaged(patched(names[k], 1, 4, 0x7f800000), "it holds a number that is not finite");
        assert_damaged(patched(names[k], 2, 4, 0xffc00000), "it holds a number that is not finite");
    }
}

Test(checkpoint, order_that_is_no_permutation_is_refused)
{
    blob file = file_of_8();
    size_t n;
    const uint64_t second = tensor_of(file, "order", &n)[4];
    assert_damaged(patched("order", 0, 4, second), "its order of the samples is none");
    assert_damaged(patched("order", N_LEARN - 1, 4, N_LEARN), "its order of the samples is none");
    assert_damaged(patched("order", 3, 4, UINT32_MAX), "its order of the samples is none");
}

Test(checkpoint, byte_too_many_is_refused)
{
    const char *why = refusal_by(&plain, fixture_join(file_of_8(), BYTES("\0")), NN_ERR_MODEL);
    cr_assert_not_null(strstr(why, "its tensors need"), "%s", why);
}

Test(checkpoint, models_and_checkpoints_are_not_mixed_up)
{
    run r;
    nn_net *net = NULL;
    begin(&r, &plain);
    cr_assert_eq(nn_model_save(r.net, NULL, fixture_path("model")), NN_OK);
    save(&r, "point");
    cr_assert_eq(nn_model_load(&net, NULL, fixture_path("point")), NN_ERR_MODEL);
    cr_assert_str_eq(nn_error_text(),
                     fixture_text("'%s' is not a usable model: it is a checkpoint of a training",
                                  fixture_path("point")));
    cr_assert_eq(nn_checkpoint_load(r.trainer, fixture_path("model")), NN_ERR_MODEL);
    cr_assert_str_eq(nn_error_text(), fixture_text("'%s' is not a usable checkpoint: it is a model",
                                                   fixture_path("model")));
    end(&r);
}

Test(checkpoint, missing_file_is_an_io_error)
{
    run r;
    begin(&r, &plain);
    cr_assert_eq(nn_checkpoint_load(r.trainer, fixture_path("none")), NN_ERR_IO);
    cr_assert_not_null(strstr(nn_error_text(), "none"));
    end(&r);
}

/* ---- other trainings ----------------------------------------------------------------------- */

Test(checkpoint, other_options_are_refused_by_name)
{
    recipe other[10];
    static const char *const differences[10] = {
        "batch 4, not 5",
        "learning rate 0.1, not 0.2",
        "momentum 0.9, not 0.8",
        "decay 0, not 0.5",
        "l2 0, not 0.001",
        "mask sample, not epoch",
        "seed 1, not 18446744073709551615",
        "layer 1 units 5, not 6",
        "layer 1 activation sigmoid, not tanh",
        "input_dropout 0, not 0.25; layer 1 dropout 0, not 0.5",
    };
    for (size_t k = 0; k < 10; k++) {
        other[k] = plain;
    }
    other[0].options.batch = 5;
    other[1].options.learning_rate = 0.2;
    other[2].options.momentum = 0.8;
    other[3].options.decay = 0.5;
    other[4].options.l2 = 0.001;
    other[5].options.mask = NN_MASK_EPOCH;
    other[6].options.seed = UINT64_MAX;
    other[7].hidden = 6;
    other[8].activation = NN_TANH;
    other[9].dropout = 0.5;
    other[9].input_dropout = 0.25;
    for (size_t k = 0; k < 10; k++) {
        cr_assert_str_eq(refusal_by(&other[k], file_of_8(), NN_ERR_ARGUMENT),
                         fixture_text("a checkpoint of another training: %s", differences[k]));
    }
}

/* 0.1 and the next number to it are different learning rates. */
Test(checkpoint, options_differ_if_a_bit_does)
{
    recipe other = plain;
    other.options.learning_rate = nextafter(0.1, 1);
    const char *why = refusal_by(&other, file_of_8(), NN_ERR_ARGUMENT);
    cr_assert_not_null(strstr(why, "learning rate 0.1, not 0.10000000000000002"), "%s", why);
}

Test(checkpoint, other_network_and_patience_are_refused_by_name)
{
    recipe validated = plain, patient;
    run r;
    validated.validate = true;
    patient = validated;
    patient.options.patience = 2;
    train_to(&r, &validated, 8);
    save(&r, "validated");
    end(&r);
    cr_assert_str_eq(refusal_by(&patient, fixture_read("validated"), NN_ERR_ARGUMENT),
                     "a checkpoint of another training: patience 0, not 2");
    recipe flat = plain;
    flat.hidden = 0;
    const char *why = refusal_by(&flat, file_of_8(), NN_ERR_ARGUMENT);
    cr_assert_not_null(strstr(why, "another training: layers ["), "%s", why);
}

Test(checkpoint, other_data_are_refused)
{
    recipe validated = plain;
    validated.validate = true;
    const char *why = refusal_by(&validated, file_of_8(), NN_ERR_DATA);
    cr_assert_not_null(strstr(why, "on other data: validation 0, not 6"), "%s", why);

    run r;
    (void)file_of_8();
    begin(&r, &plain);
    pixels[5]++;
    cr_assert_eq(nn_checkpoint_load(r.trainer, fixture_path("eight")), NN_ERR_DATA);
    cr_assert_not_null(strstr(nn_error_text(), "training-crc32"), "%s", nn_error_text());
    end(&r);
    begin(&r, &plain);
    labels[22] = (uint8_t)((labels[22] + 1) % N_CLASSES);
    cr_assert_eq(nn_checkpoint_load(r.trainer, fixture_path("eight")), NN_ERR_DATA);
    end(&r);
    begin(&r, &plain);
    load(&r, "eight");
    end(&r);
}

Test(checkpoint, fewer_epochs_than_are_done_are_refused)
{
    recipe less = plain;
    run r;
    train_whole(&r, &plain);
    save(&r, "end");
    end(&r);
    less.options.epochs = 2;
    cr_assert_str_eq(refusal_by(&less, fixture_read("end"), NN_ERR_ARGUMENT),
                     "the checkpoint of a training that has been through 3 epochs already, more "
                     "than the 2 asked for");
}

/* Numbers and target vectors in place of bytes and labels. */
Test(checkpoint, training_on_numbers_is_resumed_and_told_by_them)
{
    static float x[] = {0, 0, 0, 1, 1, 0, 1, 1}, y[] = {0, 1, 1, 0};
    const nn_data data = {.n = 4, .inputs = 2, .outputs = 1, .values = x, .targets = y};
    const nn_layer layers[] = {{3, NN_TANH, 0}, {1, NN_SIGMOID, 0}};
    const nn_config config = {2, 2, layers, NN_SQUARED_ERROR, NN_GLOROT, 0};
    run whole = {.stop_at = 0}, part = {.stop_at = 5};
    nn_train_options options = {
        .epochs = 4, .batch = 3, .learning_rate = 0.5, .on_batch = note_batch};
    run *const runs[] = {&whole, &part};
    for (size_t k = 0; k < 2; k++) {
        options.context = runs[k];
        cr_assert_eq(nn_net_new(&runs[k]->net, &config, 1), NN_OK);
        cr_assert_eq(nn_trainer_new(&runs[k]->trainer, runs[k]->net, &data, NULL, &options), NN_OK);
    }
    cr_assert_eq(go(&whole), NN_OK);
    cr_assert_eq(go(&part), NN_ERR_STOPPED);
    save(&part, "point");
    cr_assert_eq(go(&part), NN_OK);
    load(&part, "point");
    cr_assert_eq(go(&part), NN_OK);
    assert_same(&whole, &part, "XOR");
    end(&part);

    for (size_t k = 0; k < 8 + 4; k++) {
        float *changed = k < 8 ? &x[k] : &y[k - 8], before = *changed;
        *changed = 0.5f;
        part = (run){.stop_at = 0};
        cr_assert_eq(nn_net_new(&part.net, &config, 1), NN_OK);
        cr_assert_eq(nn_trainer_new(&part.trainer, part.net, &data, NULL, &options), NN_OK);
        cr_assert_eq(nn_checkpoint_load(part.trainer, fixture_path("point")), NN_ERR_DATA,
                     "number %zu", k);
        end(&part);
        *changed = before;
    }
    end(&whole);
}

/* ---- a failing world ----------------------------------------------------------------------- */

Test(checkpoint, full_disk_leaves_the_old_file)
{
    blob old = file_of_8();
    run r;
    begin(&r, &plain);
    fault_at(FAULT_WRITE, 1, ENOSPC, true);
    cr_assert_eq(nn_checkpoint_save(r.trainer, fixture_path("eight")), NN_ERR_IO);
    fault_clear();
    cr_assert(same_bytes(old, fixture_read("eight")));
    cr_assert_eq(fixture_count(), 1);
    end(&r);
}

static void assert_failing_memory_changes_nothing(fault which, unsigned long saving,
                                                  unsigned long loading)
{
    blob old = file_of_8();
    run r;
    (void)fixture_write("eight", old);
    begin(&r, &plain);
    save(&r, "before");
    nn_status status = NN_ERR_MEMORY;
    unsigned long failures = 0;
    while (status == NN_ERR_MEMORY) {
        cr_assert(same_bytes(old, fixture_read("eight")));
        fault_clear();
        fault_at(which, ++failures, ENOMEM, false);
        status = nn_checkpoint_save(r.trainer, fixture_path("eight"));
    }
    cr_assert_eq(status, NN_OK, "%s", nn_error_text());
    cr_assert_gt(failures, saving);

    const char *path = fixture_write("point", old);
    status = NN_ERR_MEMORY;
    failures = 0;
    while (status == NN_ERR_MEMORY) {
        fault_clear();
        save(&r, "after");
        cr_assert(same_bytes(fixture_read("before"), fixture_read("after")));
        fault_at(which, ++failures, ENOMEM, false);
        status = nn_checkpoint_load(r.trainer, path);
    }
    cr_assert_eq(status, NN_OK, "%s", nn_error_text());
    cr_assert_gt(failures, loading);
    fault_clear();
    end(&r);
}

/* Blocks: list of tensors, their bytes, the writer; header, list of tensors, their bytes, order,
 * what was seen. The locale of JSON: for each number that tells the training, and each text. */
Test(checkpoint, failing_memory_leaves_file_and_training_as_they_were)
{
    assert_failing_memory_changes_nothing(FAULT_ALLOC, 3, 5);
    assert_failing_memory_changes_nothing(FAULT_LOCALE, 4, 10);
}

/* The two numbers of the refusal are texts that need memory. */
Test(checkpoint, failing_memory_for_the_text_of_a_refusal_is_told)
{
    recipe dropping = plain;
    run r;
    (void)file_of_8();
    dropping.dropout = 0.5;
    begin(&r, &dropping);
    unsigned long failures = 0;
    nn_status status = NN_ERR_MEMORY;
    while (status == NN_ERR_MEMORY) {
        fault_clear();
        fault_at(FAULT_LOCALE, ++failures, ENOMEM, false);
        status = nn_checkpoint_load(r.trainer, fixture_path("eight"));
    }
    cr_assert_eq(status, NN_ERR_ARGUMENT, "%s", nn_error_text());
    cr_assert_not_null(strstr(nn_error_text(), "layer 1 dropout 0, not 0.5"), "%s",
                       nn_error_text());
    end(&r);
}

Test(checkpoint, failing_memory_in_json_leaves_file_and_training_as_they_were)
{
    blob old = file_of_8();
    const char *path = fixture_write("point", old);
    run r;
    begin(&r, &plain);
    save(&r, "before");
    nn_status status = NN_ERR_MEMORY;
    unsigned long failures = 0;
    for (; status != NN_OK; failures++) {
        fault_clear();
        save(&r, "after");
        cr_assert(same_bytes(fixture_read("before"), fixture_read("after")));
        fault_at(FAULT_JSON, failures + 1, ENOMEM, false);
        status = nn_checkpoint_load(r.trainer, path);
        cr_assert(status == NN_OK || status == NN_ERR_MODEL || status == NN_ERR_MEMORY, "%s",
                  nn_error_text());
    }
    cr_assert_gt(failures, 100);
    for (status = NN_ERR_MEMORY, failures = 0; status != NN_OK; failures++) {
        cr_assert(same_bytes(old, fixture_read("eight")));
        fault_clear();
        fault_at(FAULT_JSON, failures + 1, ENOMEM, false);
        status = nn_checkpoint_save(r.trainer, fixture_path("eight"));
        cr_assert(status == NN_OK || status == NN_ERR_MEMORY);
    }
    cr_assert_gt(failures, 100);
    fault_clear();
    end(&r);
}
