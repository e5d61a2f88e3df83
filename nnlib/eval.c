/* Evaluation: outputs for a whole data set, accuracy, loss, confusion. */
#include "net.h"

#define BLOCK 100 /* samples a forward pass: small enough to stay in the cache */

size_t nn_argmax(const float *values, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++) {
        best = values[k] > values[best] ? k : best;
    }
    return best;
}

static nn_status check_shape(const nn_net *net, const nn_data *data)
{
    if (data->inputs != net->config.inputs) {
        return nn_fail(NN_ERR_ARGUMENT, "the data have %zu inputs, the network %zu", data->inputs,
                       net->config.inputs);
    }
    return NN_OK;
}

/* Feeds all samples forward; takes their outputs and, where loss is not NULL, the mean loss. */
static nn_status run(float *outputs, double *loss, const nn_net *net, const nn_data *data)
{
    const size_t classes = nn_net_outputs(net);
    nn_state *state;
    nn_status status = nn_state_new(&state, net, data->n < BLOCK ? data->n : BLOCK, false);
    if (status != NN_OK) {
        return status;
    }
    const nn_fpenv before = nn_fpenv_set();
    double loss_sum = 0;
    for (size_t first = 0; first < data->n; first += BLOCK) {
        nn_data block = nn_data_slice(data, first, BLOCK);
        nn_batch batch = {&block, NULL, block.n};
        nn_forward(net, state, &batch);
        for (size_t b = 0; b < block.n; b++) {
            const nn_real *z = nn_output(state, b);
            for (size_t k = 0; k < classes; k++) {
                outputs[(first + b) * classes + k] = (float)z[k];
            }
        }
        if (loss) {
            loss_sum += nn_batch_loss(net, state, &batch, NULL) * (double)block.n;
        }
    }
    if (loss) {
        *loss = data->n > 0 ? loss_sum / (double)data->n : 0;
    }
    nn_fpenv_restore(&before);
    nn_state_free(state);
    return NN_OK;
}

nn_status nn_predict(float *outputs, const nn_net *net, const nn_data *data)
{
    nn_status status = check_shape(net, data);
    if (status != NN_OK || data->n == 0) {
        return status;
    }
    return run(outputs, NULL, net, data);
}

/* The score interval (Wilson 1927) for `correct` of `total`, z = 1.96. */
static void wilson_interval(double ci[2], size_t correct, size_t total)
{
    const double z = 1.959963984540054;
    double n = (double)total, p = (double)correct / n;
    double centre = p + z * z / (2 * n);
    double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    double scale = 1 + z * z / n;
    ci[0] = fmax(0, (centre - half) / scale);
    ci[1] = fmin(1, (centre + half) / scale);
}

/* Fills in what follows from the outputs and the labels. */
static void count(nn_report *report, const nn_data *data)
{
    const size_t classes = report->classes;
    const nn_fpenv before = nn_fpenv_set();
    for (size_t k = 0; k < report->total; k++) {
        size_t predicted = nn_argmax(report->outputs + k * classes, classes);
        report->predicted[k] = (uint8_t)predicted;
        report->confusion[data->labels[k] * classes + predicted]++;
        report->correct += predicted == data->labels[k];
    }
    report->accuracy = (double)report->correct / (double)report->total;
    wilson_interval(report->ci95, report->correct, report->total);
    nn_fpenv_restore(&before);
}

nn_status nn_evaluate(nn_report *out, const nn_net *net, const nn_data *data)
{
    const size_t classes = nn_net_outputs(net);
    nn_status status = check_shape(net, data);
    if (status != NN_OK) {
        return status;
    }
    if (data->n < 1 || !data->labels || data->outputs != classes || classes > 256) {
        return nn_fail(NN_ERR_ARGUMENT, "evaluation needs samples with labels of %zu classes",
                       classes);
    }
    status = nn_check_labels(data);
    if (status != NN_OK) {
        return status;
    }
    nn_report report = {.total = data->n, .classes = classes};
    report.confusion = nn_alloc_array(classes * classes, sizeof *report.confusion);
    report.predicted = nn_alloc_array(data->n, sizeof *report.predicted);
    report.outputs = nn_alloc_array(data->n * classes, sizeof *report.outputs);
    if (!report.confusion || !report.predicted || !report.outputs) {
        status = nn_fail(NN_ERR_MEMORY, "out of memory for a report on %zu samples", data->n);
    } else {
        status = run(report.outputs, &report.loss, net, data);
    }
    if (status != NN_OK) {
        nn_report_release(&report);
        return status;
    }
    count(&report, data);
    *out = report;
    return NN_OK;
}

void nn_report_release(nn_report *report)
{
    if (report) {
        nn_free(report->confusion);
        nn_free(report->predicted);
        nn_free(report->outputs);
        *report = (nn_report){0};
    }
}

static double ratio(size_t part, size_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

static NN_NOINLINE double precision(const nn_report *report, size_t k)
{
    size_t predicted = 0;
    for (size_t c = 0; c < report->classes; c++) {
        predicted += report->confusion[c * report->classes + k];
    }
    return ratio(report->confusion[k * report->classes + k], predicted);
}

static NN_NOINLINE double recall(const nn_report *report, size_t k)
{
    size_t present = 0;
    for (size_t c = 0; c < report->classes; c++) {
        present += report->confusion[k * report->classes + c];
    }
    return ratio(report->confusion[k * report->classes + k], present);
}

static NN_NOINLINE double f1(const nn_report *report, size_t k)
{
    double p = precision(report, k), r = recall(report, k);
    return p + r > 0 ? 2 * p * r / (p + r) : 0;
}

static double measure(double (*what)(const nn_report *, size_t), const nn_report *report, size_t k)
{
    const nn_fpenv before = nn_fpenv_set();
    double value = what(report, k);
    nn_fpenv_restore(&before);
    return value;
}

double nn_report_precision(const nn_report *report, size_t k)
{
    return measure(precision, report, k);
}

double nn_report_recall(const nn_report *report, size_t k)
{
    return measure(recall, report, k);
}

double nn_report_f1(const nn_report *report, size_t k)
{
    return measure(f1, report, k);
}
