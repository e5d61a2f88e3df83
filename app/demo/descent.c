/* Full-batch, mini-batch and single-sample descent, with momentum and decay. */
#include "demo.h"
#include "learner.h"
#include "message.h"

#include <string.h>

enum {
    N_IMAGES = 1000,
    N_PASSES = 30,
    N_WATCHED = 100 /* updates after which the cost of all images is taken */
};

static const struct {
    const char *name;
    size_t batch; /* 0: all */
    double momentum, decay;
    plot_colour colour;
} methods[] = {
    {"full batch", 0, 0, 0, PLOT_BLUE},
    {"full batch, momentum 0.9", 0, 0.9, 0, PLOT_SKY},
    {"mini-batch of 25", 25, 0, 0, PLOT_GREEN},
    {"mini-batch, momentum 0.9", 25, 0.9, 0, PLOT_PURPLE},
    {"mini-batch, mom. and decay", 25, 0.9, 0.1, PLOT_BLACK},
    {"single sample", 1, 0, 0, PLOT_VERMILION},
    {"single sample, decay 0.1", 1, 0, 0.1, PLOT_ORANGE},
};

enum {
    N_METHODS = sizeof methods / sizeof methods[0]
};

#define LEARNING_RATE 0.1

typedef struct {
    double by_pass[N_PASSES + 1];    /* cost of all images after each pass */
    double by_update[N_WATCHED + 1]; /* and after each of the first updates */
    size_t watched, rises;           /* how many of these there are; how often the cost rose */
    size_t updates;
} history;

typedef struct {
    history h[N_METHODS];
    uint32_t order[N_IMAGES];
} descents;

static void watch(history *h, learner *l, const nn_data *data)
{
    if (h->watched < N_WATCHED) {
        h->by_update[++h->watched] = learner_loss(l, data, N_IMAGES, NULL);
        h->rises += h->by_update[h->watched] > h->by_update[h->watched - 1];
    }
}

/* All images once, in a new order. */
static void pass(history *h, learner *l, const nn_data *data, uint32_t *order, size_t n_batch,
                 const nn_sgd_options *step)
{
    for (size_t first = 0; first < data->n; first += n_batch) {
        size_t left = data->n - first;
        nn_batch batch = {
            .data = data, .index = order + first, .n = left < n_batch ? left : n_batch};
        learner_step(l, &batch, step);
        h->updates++;
        watch(h, l, data);
    }
}

static nn_status descend(descents *all, size_t which, const nn_data *data, uint64_t seed)
{
    const nn_layer layers[] = {{15, NN_SIGMOID, 0}, {10, NN_SOFTMAX, 0}};
    const nn_config config = {784, 2, layers, NN_CROSS_ENTROPY, NN_GLOROT, 0};
    nn_sgd_options step = {LEARNING_RATE, methods[which].momentum, 0};
    history *h = &all->h[which];
    learner l;
    nn_rng rng;
    nn_status status = learner_init(&l, &config, seed, N_IMAGES);
    nn_rng_seed(&rng, seed);
    nn_rng_jump(&rng);
    for (uint32_t k = 0; k < data->n; k++) {
        all->order[k] = k;
    }
    if (status == NN_OK) {
        h->by_pass[0] = h->by_update[0] = learner_loss(&l, data, N_IMAGES, NULL);
    }
    for (size_t p = 1; p <= N_PASSES && status == NN_OK; p++) {
        nn_rng_shuffle(&rng, all->order, data->n);
        pass(h, &l, data, all->order, methods[which].batch ? methods[which].batch : data->n, &step);
        h->by_pass[p] = learner_loss(&l, data, N_IMAGES, NULL);
        step.learning_rate /= 1 + methods[which].decay;
    }
    learner_release(&l);
    return status;
}

/* ---- words -------------------------------------------------------------------------------- */

static const size_t looks[] = {1, 2, 5, 10, 20, 30};

static void say_head(const demo *d)
{
    demo_say(d, "  cost after pass            ");
    for (size_t k = 0; k < DEMO_COUNT(looks); k++) {
        demo_say(d, " %6zu", looks[k]);
    }
    demo_say(d, "  updates\n");
}

static void say_passes(demo *d, cJSON *list, size_t which, const history *h)
{
    demo_say(d, "  %-27s", methods[which].name);
    for (size_t k = 0; k < DEMO_COUNT(looks); k++) {
        demo_say(d, " %6.3f", h->by_pass[looks[k]]);
    }
    demo_say(d, " %8zu\n", h->updates);
    cJSON *item = json_object(&d->document, list, NULL);
    json_text(&d->document, item, "name", methods[which].name);
    json_size(&d->document, item, "updates", h->updates);
    json_size(&d->document, item, "rises", h->rises);
    demo_numbers(d, item, "cost_by_pass", h->by_pass, N_PASSES + 1);
    demo_numbers(d, item, "cost_by_update", h->by_update, h->watched + 1);
}

static void say_updates(const demo *d, const descents *all)
{
    demo_say(d, "\n  over the first updates       from     to   the cost rose\n");
    for (size_t m = 0; m < N_METHODS; m++) {
        const history *h = &all->h[m];
        demo_say(d, "  %-27s %5.3f  %5.3f   %3zu of %zu times\n", methods[m].name, h->by_update[0],
                 h->by_update[h->watched], h->rises, h->watched);
    }
}

static void say_decay(const demo *d)
{
    double rate = LEARNING_RATE;
    demo_say(d, "\n  learning rate with decay 0.1, mu(k+1) = mu(k) / (1 + 0.1):\n   ");
    for (size_t p = 1; p <= 6; p++) {
        demo_say(d, " %.4f", rate);
        rate /= 1.1;
    }
    demo_say(d, " ...\n");
}

/* ---- picture ------------------------------------------------------------------------------ */

static int draw(demo *d, const descents *all)
{
    plot_series by_pass[N_METHODS], by_update[N_METHODS];
    for (size_t m = 0; m < N_METHODS; m++) {
        const history *h = &all->h[m];
        by_pass[m] = (plot_series){methods[m].name, PLOT_LINE,   methods[m].colour, NULL,
                                   h->by_pass,      N_PASSES + 1};
        by_update[m] = (plot_series){methods[m].name, PLOT_LINE,     methods[m].colour, NULL,
                                     h->by_update,    h->watched + 1};
    }
    const plot_panel panels[] = {
        {.title = "cost of all images, per pass",
         .x.label = "pass",
         .y.logarithmic = true,
         .series = by_pass,
         .n_series = N_METHODS},
        {.title = "cost of all images, per update",
         .x.label = "update",
         .series = by_update,
         .n_series = N_METHODS},
    };
    return demo_plot(d, "cost", "Gradient descent: how many samples a step", panels, 2, 2);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int show(demo *d, const nn_data *data)
{
    descents *all = nn_alloc(sizeof *all);
    cJSON *list = json_array(&d->document, d->document.root, "methods");
    nn_status status = NN_OK;
    if (!all) {
        return fail_memory();
    }
    say_head(d);
    for (size_t m = 0; m < N_METHODS && status == NN_OK; m++) {
        status = descend(all, m, data, d->seed);
        if (status == NN_OK) {
            say_passes(d, list, m, &all->h[m]);
        }
    }
    int code = fail(status, ROLE_OUTPUT);
    if (code == EXIT_DONE) {
        say_updates(d, all);
        say_decay(d);
        demo_say(
            d, "\nNotice: the full batch goes downhill at every update and gets only one a pass.\n"
               "The smaller the batch, the more its cost wanders, and the sooner it arrives for\n"
               "the same number of images seen. Momentum, v <- m v - mu g and w <- w + v, makes\n"
               "steps in a steady direction up to 1 / (1 - m) = 10 times as long. Decay shortens\n"
               "them as time goes on, which calms the wandering and slows the rest.\n\n"
               "Read on: Robbins and Monro, A stochastic approximation method (1951); Polyak,\n"
               "Some methods of speeding up the convergence of iteration methods (1964);\n"
               "Bottou, Curtis and Nocedal, Optimization methods for large-scale machine\n"
               "learning (2018).\n");
        code = draw(d, all);
    }
    nn_free(all);
    return code;
}

static int run(demo *d)
{
    demo_digits digits;
    demo_say(d,
             "Gradient descent\n\n"
             "The same 784-15-10 network from the same weights, learning rate mu = %.1f, 30\n"
             "passes over the same images; what differs is how many samples' gradients are\n"
             "averaged before the weights move.\n\n",
             LEARNING_RATE);
    int code = demo_digits_load(&digits, d, N_IMAGES, 0);
    if (code != EXIT_DONE) {
        return code;
    }
    code = show(d, &digits.train);
    demo_digits_release(&digits);
    return code;
}

const demo_row demo_descent = {"descent",
                               "full batch, mini-batch and single sample; momentum and decay", run};
