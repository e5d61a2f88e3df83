/* Promise: a report counts what the network gets right and wrong, and its shares and interval are
 * those of the textbooks. */
#include "fixtures.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

TestSuite(eval, .init = fixtures_begin, .fini = fixtures_end);

/* A softmax layer whose weights are the identity: the largest input is the prediction. */
static nn_net *identity_net(size_t classes)
{
    const nn_layer layer = {classes, NN_SOFTMAX, 0};
    const nn_config config = {classes, 1, &layer, NN_CROSS_ENTROPY, NN_ZERO, 0};
    nn_net *net = NULL;
    cr_assert_eq(nn_net_new(&net, &config, 0), NN_OK, "%s", nn_error_text());
    for (size_t k = 0; k < classes; k++) {
        *nn_net_weight(net, 0, k, k) = 1;
    }
    return net;
}

/* Reports on n samples of which the k-th is of class labels[k] and taken for predicted[k]. */
static nn_report report_on(size_t classes, size_t n, const uint8_t *labels,
                           const uint8_t *predicted)
{
    float *x = calloc(n * classes, sizeof *x);
    cr_assert_not_null(x);
    for (size_t k = 0; k < n; k++) {
        x[k * classes + predicted[k]] = 1;
    }
    const nn_data data = {
        .n = n, .inputs = classes, .outputs = classes, .values = x, .labels = labels};
    nn_net *net = identity_net(classes);
    nn_report report;
    cr_assert_eq(nn_evaluate(&report, net, &data), NN_OK, "%s", nn_error_text());
    nn_net_free(net);
    free(x);
    return report;
}

/* `correct` of `total` right, in two classes. */
static nn_report share_right(size_t correct, size_t total)
{
    uint8_t *labels = calloc(2 * total, 1);
    cr_assert_not_null(labels);
    uint8_t *predicted = labels + total;
    for (size_t k = correct; k < total; k++) {
        predicted[k] = 1;
    }
    const nn_report report = report_on(2, total, labels, predicted);
    free(labels);
    return report;
}

#define ASSERT_NEAR(found, expected, tolerance)                                                    \
    cr_assert_leq(fabs((found) - (expected)), tolerance, "found %.17g, expected %.17g",            \
                  (double)(found), (double)(expected))

/* ---- counts -------------------------------------------------------------------------------- */

static const uint8_t true_classes[] = {0, 0, 0, 0, 1, 1, 2};
static const uint8_t taken_for[] = {0, 0, 1, 2, 1, 0, 2};

Test(eval, confusion_has_a_row_for_each_true_class)
{
    static const size_t expected[3][3] = {{2, 1, 1}, {1, 1, 0}, {0, 0, 1}};
    nn_report report = report_on(3, 7, true_classes, taken_for);
    cr_assert_eq(report.total, 7);
    cr_assert_eq(report.correct, 4);
    cr_assert_eq(report.classes, 3);
    ASSERT_NEAR(report.accuracy, 4.0 / 7, 1e-15);
    cr_assert_arr_eq(report.confusion, expected, sizeof expected);
    cr_assert_arr_eq(report.predicted, taken_for, sizeof taken_for);
    nn_report_release(&report);
}

/* Class 0: 2 of 3 predictions right, 2 of 4 found; F1 = 2 (2/3 1/2) / (2/3 + 1/2) = 4/7. */
Test(eval, precision_recall_and_f1_are_worked_out_by_hand)
{
    static const double expected[3][3] = {
        {2.0 / 3, 1.0 / 2, 4.0 / 7}, {1.0 / 2, 1.0 / 2, 1.0 / 2}, {1.0 / 2, 1, 2.0 / 3}};
    nn_report report = report_on(3, 7, true_classes, taken_for);
    for (size_t k = 0; k < 3; k++) {
        ASSERT_NEAR(nn_report_precision(&report, k), expected[k][0], 1e-15);
        ASSERT_NEAR(nn_report_recall(&report, k), expected[k][1], 1e-15);
        ASSERT_NEAR(nn_report_f1(&report, k), expected[k][2], 1e-15);
    }
    nn_report_release(&report);
}

/* Class 1 is never predicted, class 2 never there, class 3 neither. */
Test(eval, empty_classes_have_shares_of_0)
{
    const uint8_t labels[] = {0, 0, 1};
    const uint8_t predicted[] = {0, 2, 0};
    nn_report report = report_on(4, 3, labels, predicted);
    for (size_t k = 1; k < 4; k++) {
        cr_assert_eq(nn_report_precision(&report, k), 0.0);
        cr_assert_eq(nn_report_recall(&report, k), 0.0);
        cr_assert_eq(nn_report_f1(&report, k), 0.0);
    }
    cr_assert_eq(nn_report_precision(&report, 0), 0.5);
    cr_assert_eq(nn_report_recall(&report, 0), 0.5);
    nn_report_release(&report);
}

Test(eval, all_256_classes_of_a_byte_can_be_told_apart)
{
    uint8_t labels[256];
    for (size_t k = 0; k < 256; k++) {
        labels[k] = (uint8_t)k;
    }
    nn_report report = report_on(256, 256, labels, labels);
    cr_assert_eq(report.correct, 256);
    cr_assert_eq(report.confusion[255 * 256 + 255], 1);
    nn_report_release(&report);
}

/* ---- outputs and loss ---------------------------------------------------------------------- */

/* An input of 1 among zeros: probability e / (e + 2) for it, 1 / (e + 2) for the others. */
Test(eval, outputs_are_probabilities_and_the_loss_is_their_logarithm)
{
    const double e = 2.718281828459045;
    nn_report report = report_on(3, 7, true_classes, taken_for);
    for (size_t b = 0; b < 7; b++) {
        for (size_t k = 0; k < 3; k++) {
            const double expected = (taken_for[b] == k ? e : 1) / (e + 2);
            ASSERT_NEAR((double)report.outputs[3 * b + k], expected, 1e-7);
        }
    }
    ASSERT_NEAR(report.loss, log(e + 2) - 4.0 / 7, 1e-7); /* 4 of 7 have logit 1, 3 have 0 */
    nn_report_release(&report);
}

/* 333 samples are more than one block, and no multiple of it. */
Test(eval, report_does_not_depend_on_blocks)
{
    enum {
        N = 333
    };
    static uint8_t pixels[N * 5];
    static uint8_t labels[N];
    const nn_layer layers[] = {{4, NN_TANH, 0.5}, {3, NN_SOFTMAX, 0}};
    const nn_config config = {5, 2, layers, NN_CROSS_ENTROPY, NN_NORMAL, 0.5};
    const nn_data data = {.n = N, .inputs = 5, .outputs = 3, .pixels = pixels, .labels = labels};
    static float outputs[N * 3];
    nn_net *net = NULL;
    nn_rng rng;
    nn_rng_seed(&rng, 1);
    for (size_t k = 0; k < N * 5; k++) {
        pixels[k] = (uint8_t)nn_rng_below(&rng, 256);
        labels[k / 5] = (uint8_t)nn_rng_below(&rng, 3);
    }
    cr_assert_eq(nn_net_new(&net, &config, 1), NN_OK);
    nn_report report;
    cr_assert_eq(nn_evaluate(&report, net, &data), NN_OK);
    cr_assert_eq(nn_predict(outputs, net, &data), NN_OK);
    double loss = 0;
    size_t correct = 0;
    for (size_t b = 0; b < N; b++) {
        const nn_data one = nn_data_slice(&data, b, 1);
        float alone[3];
        cr_assert_eq(nn_predict(alone, net, &one), NN_OK);
        cr_assert_arr_eq(alone, outputs + 3 * b, sizeof alone, "sample %zu", b);
        cr_assert_arr_eq(alone, report.outputs + 3 * b, sizeof alone, "sample %zu", b);
        cr_assert_eq(report.predicted[b], nn_argmax(alone, 3));
        loss -= log((double)alone[labels[b]]) / N;
        correct += nn_argmax(alone, 3) == labels[b];
    }
    cr_assert_eq(report.correct, correct);
    ASSERT_NEAR(report.loss, loss, 1e-6);
    nn_report_release(&report);
    nn_net_free(net);
}

Test(eval, prediction_needs_no_labels_and_no_samples)
{
    const float x[] = {3, 1, 2};
    const nn_data data = {.n = 1, .inputs = 3, .outputs = 0, .values = x};
    const nn_data none = {.n = 0, .inputs = 3, .values = x};
    float outputs[3] = {7, 7, 7};
    nn_net *net = identity_net(3);
    cr_assert_eq(nn_predict(outputs, net, &none), NN_OK);
    cr_assert_eq(outputs[0], 7);
    cr_assert_eq(nn_predict(outputs, net, &data), NN_OK);
    cr_assert_eq(nn_argmax(outputs, 3), 0);
    nn_net_free(net);
}

Test(eval, largest_is_the_first_of_equals)
{
    static const struct {
        float values[4];
        size_t n, expected;
    } table[] = {
        {{1, 2, 3, 4}, 4, 3}, {{4, 3, 2, 1}, 4, 0},     {{1, 5, 5, 5}, 4, 1},
        {{0, 0, 0, 0}, 4, 0}, {{-3, -1, -2, -1}, 4, 1}, {{1, 2, 3, 4}, 2, 1},
        {{9, 0, 0, 0}, 1, 0}, {{-0.0f, 0, 0, 0}, 2, 0},
    };
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        cr_assert_eq(nn_argmax(table[t].values, table[t].n), table[t].expected, "case %zu", t);
    }
}

/* ---- the interval -------------------------------------------------------------------------- */

/* Newcombe 1998, table I, method 3: the Wilson intervals to four digits. */
Test(eval, interval_agrees_with_published_examples)
{
    static const struct {
        size_t correct, total;
        double low, high;
    } table[] = {{81, 263, 0.2553, 0.3662},
                 {15, 148, 0.0624, 0.1605},
                 {0, 20, 0.0000, 0.1611},
                 {1, 29, 0.0061, 0.1718}};
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        nn_report report = share_right(table[t].correct, table[t].total);
        ASSERT_NEAR(report.ci95[0], table[t].low, 0.00005);
        ASSERT_NEAR(report.ci95[1], table[t].high, 0.00005);
        nn_report_release(&report);
    }
}

/* Python, from the formula with z = 1.959963984540054. */
Test(eval, interval_is_the_formula)
{
    static const struct {
        size_t correct, total;
        double low, high;
    } table[] = {{9500, 10000, 0.9455528841569758, 0.9541015173094152},
                 {81, 263, 0.2552885198782742, 0.36620957698280004},
                 {20, 20, 0.8388748419471806, 1},
                 {0, 1, 0, 0.7934506856227626},
                 {1, 1, 0.20654931437723742, 1}};
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        nn_report report = share_right(table[t].correct, table[t].total);
        ASSERT_NEAR(report.ci95[0], table[t].low, 1e-14);
        ASSERT_NEAR(report.ci95[1], table[t].high, 1e-14);
        cr_assert(report.ci95[0] >= 0 && report.ci95[1] <= 1);
        nn_report_release(&report);
    }
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void assert_refused(const nn_net *net, const nn_data *data, const char *text)
{
    nn_report report = {.total = 77};
    cr_assert_eq(nn_evaluate(&report, net, data), NN_ERR_ARGUMENT, "accepted, expected: %s", text);
    cr_assert_str_eq(nn_error_text(), text);
    cr_assert_eq(report.total, 77);
}

Test(eval, data_that_do_not_fit_are_refused)
{
    const float x[] = {1, 2, 3};
    const uint8_t label = 2;
    const float target[] = {0, 0, 1};
    const nn_data good = {.n = 1, .inputs = 3, .outputs = 3, .values = x, .labels = &label};
    nn_net *net = identity_net(3);
    nn_data wrong = good;
    wrong.inputs = 2;
    assert_refused(net, &wrong, "the data have 2 inputs, the network 3");
    wrong = good;
    wrong.outputs = 2;
    assert_refused(net, &wrong, "evaluation needs samples with labels of 3 classes");
    wrong = good;
    wrong.labels = NULL;
    wrong.targets = target;
    assert_refused(net, &wrong, "evaluation needs samples with labels of 3 classes");
    wrong = good;
    wrong.n = 0;
    assert_refused(net, &wrong, "evaluation needs samples with labels of 3 classes");
    wrong = good;
    wrong.inputs = 2;
    float outputs[3] = {7, 7, 7};
    cr_assert_eq(nn_predict(outputs, net, &wrong), NN_ERR_ARGUMENT);
    cr_assert_str_eq(nn_error_text(), "the data have 2 inputs, the network 3");
    cr_assert_eq(outputs[0], 7);
    nn_net_free(net);
}

/* A label is a byte. */
Test(eval, more_than_256_classes_are_refused)
{
    static float x[257];
    const uint8_t label = 0;
    const nn_data data = {.n = 1, .inputs = 257, .outputs = 257, .values = x, .labels = &label};
    nn_net *net = identity_net(257);
    assert_refused(net, &data, "evaluation needs samples with labels of 257 classes");
    nn_net_free(net);
}

/* ---- memory -------------------------------------------------------------------------------- */

Test(eval, failing_memory_is_reported_and_nothing_is_left_behind)
{
    const float x[] = {1, 2, 3};
    const uint8_t label = 2;
    const nn_data data = {.n = 1, .inputs = 3, .outputs = 3, .values = x, .labels = &label};
    nn_net *net = identity_net(3);
    nn_report report = {.total = 77};
    nn_status status = NN_ERR_MEMORY;
    unsigned long failures = 0;
    while (status == NN_ERR_MEMORY) {
        cr_assert_eq(report.total, 77);
        fault_clear();
        fault_at(FAULT_ALLOC, ++failures, ENOMEM, false);
        status = nn_evaluate(&report, net, &data);
    }
    cr_assert_eq(status, NN_OK);
    cr_assert_gt(failures, 5); /* three arrays and the work space failed before */
    nn_report_release(&report);
    fault_clear();
    fault_at(FAULT_ALLOC, 1, ENOMEM, false);
    float outputs[3];
    cr_assert_eq(nn_predict(outputs, net, &data), NN_ERR_MEMORY);
    nn_net_free(net);
}

Test(eval, released_report_is_empty_and_can_be_released_again)
{
    nn_report report = report_on(3, 7, true_classes, taken_for);
    nn_report_release(&report);
    cr_assert_null(report.confusion);
    cr_assert_eq(report.total, 0);
    nn_report_release(&report);
    nn_report_release(NULL);
}
