/* Dropout: what it costs a small network and gives a large one. */
#include "demo.h"
#include "learner.h"
#include "message.h"

enum {
    N_TRAIN = 1000,
    N_TEST = 1000,
    EPOCHS = 25,
    BLOCK = 100
};

static const struct {
    double share;
    nn_mask mask;
    const char *when;
} kinds[] = {
    {0, NN_MASK_SAMPLE, "-"},      {0.1, NN_MASK_SAMPLE, "sample"}, {0.5, NN_MASK_SAMPLE, "sample"},
    {0.1, NN_MASK_EPOCH, "epoch"}, {0.5, NN_MASK_EPOCH, "epoch"},
};

static const size_t sizes[] = {15, 100};

enum {
    N_KINDS = sizeof kinds / sizeof kinds[0],
    N_SIZES = DEMO_COUNT(sizes)
};

typedef struct {
    double train, test; /* accuracy */
} outcome;

static nn_status try_one(outcome *out, const demo_digits *digits, size_t units, size_t kind,
                         uint64_t seed)
{
    const nn_layer layers[] = {{units, NN_SIGMOID, kinds[kind].share}, {10, NN_SOFTMAX, 0}};
    const nn_config config = {784, 2, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    const nn_train_options how = {.epochs = EPOCHS,
                                  .batch = 20,
                                  .learning_rate = 0.1,
                                  .momentum = 0.9,
                                  .decay = 0.05,
                                  .mask = kinds[kind].mask,
                                  .seed = seed};
    learner l;
    nn_status status = learner_init(&l, &config, seed, BLOCK);
    if (status == NN_OK) {
        status = nn_train(l.net, &digits->train, NULL, &how, NULL);
    }
    if (status == NN_OK) {
        learner_loss(&l, &digits->train, BLOCK, &out->train);
        learner_loss(&l, &digits->test, BLOCK, &out->test);
    }
    learner_release(&l);
    return status;
}

static void say_outcome(demo *d, cJSON *list, size_t units, size_t kind, const outcome *o)
{
    demo_say(d, "  %-8.1f %-12s %8.1f %%   %8.1f %%   %6.1f points\n", kinds[kind].share,
             kinds[kind].when, 100 * o->train, 100 * o->test, 100 * (o->train - o->test));
    cJSON *item = json_object(&d->document, list, NULL);
    json_size(&d->document, item, "units", units);
    demo_number(d, item, "dropout", kinds[kind].share);
    json_text(&d->document, item, "mask", kinds[kind].when);
    demo_number(d, item, "training_accuracy", o->train);
    demo_number(d, item, "test_accuracy", o->test);
}

static nn_status show(demo *d, const demo_digits *digits)
{
    cJSON *list = json_array(&d->document, d->document.root, "networks");
    for (size_t s = 0; s < N_SIZES; s++) {
        demo_say(d, "784-%zu-10\n  dropout  drawn anew     training        test          gap\n",
                 sizes[s]);
        for (size_t k = 0; k < N_KINDS; k++) {
            outcome o;
            nn_status status = try_one(&o, digits, sizes[s], k, d->seed);
            if (status != NN_OK) {
                return status;
            }
            say_outcome(d, list, sizes[s], k, &o);
        }
        demo_say(d, "\n");
    }
    return NN_OK;
}

static int run(demo *d)
{
    demo_digits digits;
    demo_say(d,
             "Dropout\n\n"
             "In training, a random share p of the hidden units is left out, so that none can\n"
             "rely on another. Those that stay are scaled by 1 / (1 - p); in use all take\n"
             "part. Units are drawn anew for each sample, or once an epoch for all samples.\n"
             "%d epochs on few images, so that there is something to overfit.\n\n",
             EPOCHS);
    int code = demo_digits_load(&digits, d, N_TRAIN, N_TEST);
    if (code != EXIT_DONE) {
        return code;
    }
    code = fail(show(d, &digits), ROLE_OUTPUT);
    if (code == EXIT_DONE) {
        demo_say(d,
                 "Notice: the gap between training and test is what dropout works on. With 15\n"
                 "hidden units there are none to spare: leaving out half of them costs accuracy\n"
                 "in training, and at times in the test as well. A wide network can afford it.\n"
                 "Drawn once an epoch, as in the notes, the units left out learn nothing for a\n"
                 "whole epoch while the rest drift away from them; drawn for each sample, as in\n"
                 "the literature, all keep learning together.\n"
                 "With %d test images a difference of less than two points or so is chance.\n\n"
                 "Read on: Hinton, Srivastava, Krizhevsky, Sutskever and Salakhutdinov, Improving\n"
                 "neural networks by preventing co-adaptation of feature detectors (2012);\n"
                 "Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout: a simple\n"
                 "way to prevent neural networks from overfitting (2014).\n",
                 N_TEST);
    }
    demo_digits_release(&digits);
    return code;
}

const demo_row demo_dropout = {
    "dropout", "accuracy with 0, 0.1 and 0.5 left out, in a small and a wide network", run};
