/* Promise: whatever rounding mode, flush-to-zero mode or trap the caller has set, results are the
 * same bytes, and the caller's setting is as it was afterwards. */
#include "fixtures.h"
#include "nnlib.h"

#include <criterion/criterion.h>
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

TestSuite(fpenv, .init = fixtures_begin, .fini = fixtures_end, .timeout = 60);

/* ---- environments ------------------------------------------------------------------------- */

static void round_up(void)
{
    fesetround(FE_UPWARD);
}

static void round_down(void)
{
    fesetround(FE_DOWNWARD);
}

static void round_to_zero(void)
{
    fesetround(FE_TOWARDZERO);
}

/* As a compiler's start-up code does for -ffast-math. */
static void flush_to_zero(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | UINT64_C(1) << 24));
#endif
}

/* Numbers that overflow or are rounded would end the program. */
static void trap(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() & ~0x1f80U);
#endif
}

static void (*const settings[])(void) = {round_up, round_down, round_to_zero, flush_to_zero, trap};

enum {
    N_SETTINGS = sizeof settings / sizeof settings[0]
};

/* Returns a fingerprint of the environment: how it rounds, and whether it flushes. */
static uint64_t fingerprint(void)
{
#if defined(__x86_64__)
    return _mm_getcsr() & 0xffc0;
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
#else
    return (uint64_t)fegetround();
#endif
}

/* ---- work --------------------------------------------------------------------------------- */

enum {
    INPUTS = 20,
    CLASSES = 3,
    SAMPLES = 50
};

typedef struct {
    float outputs[SAMPLES * CLASSES], shown[CLASSES];
    float params[INPUTS * 7 + 7 + 7 * CLASSES + CLASSES];
    double loss, accuracy, ci95[2], rates[CLASSES][3];
    double gradient_error, normal[8];
    double perceptron[INPUTS + 3]; /* weights, bias, a sum, a bound */
    double graph[12];              /* values, gradients and slopes */
    char file[4096];               /* the model as saved */
    size_t file_size;
} results;

static nn_config shape(nn_layer layers[2])
{
    layers[0] = (nn_layer){7, NN_TANH, 0.1};
    layers[1] = (nn_layer){CLASSES, NN_SOFTMAX, 0};
    return (nn_config){.inputs = INPUTS, .n_layers = 2, .layers = layers, .initialiser = NN_HE};
}

static nn_data make_data(void)
{
    static uint8_t pixels[SAMPLES * INPUTS], labels[SAMPLES];
    nn_rng rng;
    nn_rng_seed(&rng, 4);
    for (size_t k = 0; k < SAMPLES; k++) {
        labels[k] = (uint8_t)nn_rng_below(&rng, CLASSES);
        for (size_t i = 0; i < INPUTS; i++) {
            pixels[k * INPUTS + i] =
                (uint8_t)(i % CLASSES == labels[k] ? nn_rng_below(&rng, 256) : 0);
        }
    }
    return (nn_data){.n = SAMPLES,
                     .inputs = INPUTS,
                     .outputs = CLASSES,
                     .rows = 4,
                     .columns = 5,
                     .pixels = pixels,
                     .labels = labels};
}

/* Makes two classes so likely that the softmax of the third is a subnormal number. */
static void make_sure(nn_net *net)
{
    for (size_t j = 0; j < CLASSES; j++) {
        *nn_net_bias(net, 1, j) = j > 0 ? 200.0F : 0.1F;
        for (size_t i = 0; i < 7; i++) {
            *nn_net_weight(net, 1, j, i) /= 64.0F;
        }
    }
}

/* Takes single steps, as a program with a loop of its own does. */
static void step_by_hand(nn_net *net, const nn_data *data, const nn_sgd_options *options)
{
    nn_state *state;
    nn_sgd *sgd;
    nn_batch batch = {data, NULL, 10};
    cr_assert_eq(nn_state_new(&state, net, 10, true), NN_OK);
    cr_assert_eq(nn_sgd_new(&sgd, net), NN_OK);
    for (int k = 0; k < 20; k++) {
        nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, NULL);
        nn_backward(net, state, &batch);
        nn_sgd_step(sgd, net, state, options);
    }
    nn_sgd_free(sgd);
    nn_state_free(state);
}

static void show_one(results *r, const nn_net *net, const nn_data *data)
{
    nn_state *state;
    nn_batch batch = {data, NULL, 1};
    cr_assert_eq(nn_state_new(&state, net, 1, false), NN_OK);
    nn_forward(net, state, &batch);
    r->loss = nn_batch_loss(net, state, &batch, NULL);
    memcpy(r->shown, nn_output(state, 0), sizeof r->shown);
    nn_state_free(state);
}

static void differentiate(results *r, nn_net *net, const nn_data *data)
{
    nn_state *state;
    nn_batch batch = {data, NULL, 10};
    cr_assert_eq(nn_state_new(&state, net, 10, true), NN_OK);
    nn_forward_train(net, state, &batch, NN_MASK_SAMPLE, NULL);
    r->gradient_error = nn_gradient_error(net, state, &batch, 1e-2);
    nn_state_free(state);
}

/* Is it class 0? */
static void perceive(results *r, const nn_data *data)
{
    uint8_t labels[SAMPLES];
    nn_data two = *data;
    nn_perceptron *p;
    two.labels = labels;
    for (size_t k = 0; k < SAMPLES; k++) {
        labels[k] = data->labels[k] == 0;
    }
    cr_assert_eq(nn_perceptron_new(&p, INPUTS), NN_OK);
    for (int pass = 0; pass < 100 && nn_perceptron_pass(p, &two, 0.1) > 0; pass++) {
    }
    memcpy(r->perceptron, p->weights, INPUTS * sizeof *p->weights);
    r->perceptron[INPUTS] = p->bias;
    r->perceptron[INPUTS + 1] = nn_perceptron_sum(p, &two, 1);
    r->perceptron[INPUTS + 2] = nn_perceptron_bound(p, &two);
    nn_perceptron_free(p);
}

/* y = ln(1 + a b) at a = 1/3, b = 0.7, then at a = 0.1. */
static void derive(results *r)
{
    nn_graph *graph;
    size_t n = 0;
    cr_assert_eq(nn_graph_new(&graph), NN_OK);
    const nn_node a = nn_graph_leaf(graph, 1.0 / 3), b = nn_graph_leaf(graph, 0.7);
    const nn_node product = nn_graph_binary(graph, NN_OP_MULTIPLY, a, b);
    const nn_node sum = nn_graph_unary(graph, NN_OP_INCREMENT, product);
    const nn_node y = nn_graph_unary(graph, NN_OP_LOG, sum);
    for (int k = 0; k < 2; k++) {
        r->graph[n++] = nn_graph_value(graph, product);
        r->graph[n++] = nn_graph_value(graph, y);
        nn_graph_backward(graph, y);
        r->graph[n++] = nn_graph_gradient(graph, a);
        r->graph[n++] = nn_graph_gradient(graph, b);
        r->graph[n++] = nn_graph_slope(graph, y, 0);
        nn_graph_set(graph, a, 0.1);
        nn_graph_forward(graph);
    }
    cr_assert_eq(nn_graph_status(graph), NN_OK);
    nn_graph_free(graph);
}

static void draw(results *r)
{
    nn_rng rng;
    nn_rng_seed(&rng, 5);
    for (size_t k = 0; k < sizeof r->normal / sizeof *r->normal; k++) {
        r->normal[k] = nn_rng_normal(&rng);
    }
}

/* Everything that the library computes, on a small network. */
static void work(results *r, const nn_data *data)
{
    nn_layer layers[2];
    const nn_config config = shape(layers);
    const nn_train_options how = {.epochs = 3,
                                  .batch = 7,
                                  .learning_rate = 0.3,
                                  .momentum = 0.9,
                                  .decay = 0.1,
                                  .l2 = 1e-4,
                                  .seed = 1};
    nn_net *net, *loaded;
    nn_report report;
    memset(r, 0, sizeof *r);
    cr_assert_eq(nn_net_new(&net, &config, 1), NN_OK);
    cr_assert_eq(nn_train(net, data, data, &how, NULL), NN_OK);
    step_by_hand(net, data, &(nn_sgd_options){0.1, 0.7, 1e-3});
    for (size_t k = 0; k < nn_net_n_params(net); k++) {
        r->params[k] = *nn_net_param(net, k);
    }
    make_sure(net);
    const char *path = fixture_path("model");
    cr_assert_eq(nn_model_save(net, NULL, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(nn_model_load(&loaded, NULL, path), NN_OK, "%s", nn_error_text());
    cr_assert_eq(nn_predict(r->outputs, loaded, data), NN_OK);
    cr_assert_eq(nn_evaluate(&report, loaded, data), NN_OK);
    show_one(r, loaded, data);
    differentiate(r, loaded, data);
    perceive(r, data);
    derive(r);
    draw(r);
    r->accuracy = report.accuracy;
    for (size_t k = 0; k < CLASSES; k++) {
        r->rates[k][0] = nn_report_precision(&report, k);
        r->rates[k][1] = nn_report_recall(&report, k);
        r->rates[k][2] = nn_report_f1(&report, k);
    }
    memcpy(r->ci95, report.ci95, sizeof r->ci95);
    nn_report_release(&report);
    nn_net_free(loaded);
    nn_net_free(net);
    FILE *file = fopen(path, "rb");
    cr_assert(file);
    r->file_size = fread(r->file, 1, sizeof r->file, file);
    fclose(file);
}

Test(fpenv, changes_no_result)
{
    static results plain, other;
    nn_data data = make_data();
    work(&plain, &data);
    cr_assert(plain.file_size > 500 && plain.file_size < sizeof plain.file);
    cr_assert(plain.shown[0] > 0 && plain.shown[0] < 1.17549435e-38F, "%g is no subnormal number",
              (double)plain.shown[0]);
    for (size_t k = 0; k < N_SETTINGS; k++) {
        fesetenv(FE_DFL_ENV);
        settings[k]();
        uint64_t before = fingerprint();
        work(&other, &data);
        uint64_t after = fingerprint();
        fesetenv(FE_DFL_ENV);
        cr_expect_eq(before, after, "setting %zu is gone", k);
        cr_expect_arr_eq(plain.params, other.params, sizeof plain.params, "setting %zu", k);
        cr_expect_arr_eq(plain.file, other.file, sizeof plain.file, "setting %zu", k);
        cr_expect_arr_eq(plain.outputs, other.outputs, sizeof plain.outputs, "setting %zu", k);
        cr_expect_arr_eq(plain.shown, other.shown, sizeof plain.shown, "setting %zu", k);
        cr_expect_eq(plain.gradient_error, other.gradient_error, "setting %zu", k);
        cr_expect_arr_eq(plain.perceptron, other.perceptron, sizeof plain.perceptron, "setting %zu",
                         k);
        cr_expect_arr_eq(plain.graph, other.graph, sizeof plain.graph, "setting %zu", k);
        cr_expect_arr_eq(plain.normal, other.normal, sizeof plain.normal, "setting %zu", k);
        cr_expect_arr_eq(plain.rates, other.rates, sizeof plain.rates, "setting %zu", k);
        cr_expect(memcmp(&plain, &other, sizeof plain) == 0, "setting %zu", k);
    }
}

Test(fpenv, a_comma_for_a_point_changes_no_result)
{
    static results plain, other;
    nn_data data = make_data();
    work(&plain, &data);
    fixture_locale("de_DE");
    char text[8];
    snprintf(text, sizeof text, "%.1f", 0.5);
    cr_assert_str_eq(text, "0,5");
    work(&other, &data);
    cr_expect(memcmp(&plain, &other, sizeof plain) == 0);
}
