#include "loss.h"

#include "names.h"
#include "real.h"

/* -sum over k of y[k] ln z[k], with ln z[k] = a[k] - ln sum exp a: no logarithm of a number that
 * was rounded to 0. */
static double cross_entropy_value(const nn_real *z, const nn_real *a, const nn_real *y,
                                  size_t units, double log_sum)
{
    (void)z;
    double loss = 0;
    for (size_t k = 0; k < units; k++) {
        double one = (double)y[k] * (log_sum - (double)a[k]);
        loss += y[k] != 0 ? one : 0; /* 0 ln z is 0 even where ln z is not finite */
    }
    return loss;
}

/* -ln z[label] */
static double cross_entropy_label(const nn_real *a, size_t label, double log_sum)
{
    return log_sum - (double)a[label];
}

static bool goes_with_softmax(nn_activation activation)
{
    return activation == NN_SOFTMAX;
}

/* -[y ln z + (1-y) ln(1-z)] with z = sigmoid(a) is max(a, 0) - a y + ln(1 + exp -|a|). */
static double binary_cross_entropy_value(const nn_real *z, const nn_real *a, const nn_real *y,
                                         size_t units, double log_sum)
{
    (void)z;
    (void)log_sum;
    double loss = 0;
    for (size_t k = 0; k < units; k++) {
        double positive = a[k] > 0 ? (double)a[k] : 0;
        double magnitude = fabs((double)a[k]);
        loss += positive - (double)a[k] * (double)y[k] +
                nn_log(1.0 + (double)nn_exp((nn_real)-magnitude));
    }
    return loss;
}

static bool goes_with_sigmoid(nn_activation activation)
{
    return activation == NN_SIGMOID;
}

static double squared_error_value(const nn_real *z, const nn_real *a, const nn_real *y,
                                  size_t units, double log_sum)
{
    (void)a;
    (void)log_sum;
    double loss = 0;
    for (size_t k = 0; k < units; k++) {
        double error = (double)z[k] - (double)y[k];
        loss += error * error / 2;
    }
    return loss;
}

static bool goes_with_units(nn_activation activation)
{
    return activation != NN_SOFTMAX;
}

static const nn_loss_row rows[NN_N_LOSSES] = {
    [NN_CROSS_ENTROPY] = {"cross-entropy", cross_entropy_value, cross_entropy_label,
                          goes_with_softmax},
    [NN_BINARY_CROSS_ENTROPY] = {"binary-cross-entropy", binary_cross_entropy_value, NULL,
                                 goes_with_sigmoid},
    [NN_SQUARED_ERROR] = {"squared-error", squared_error_value, NULL, goes_with_units},
};

const nn_loss_row *nn_loss_get(nn_loss loss)
{
    return &rows[loss];
}

const char *nn_loss_name(nn_loss loss)
{
    return (size_t)loss < NN_N_LOSSES ? rows[loss].name : NULL;
}

nn_status nn_loss_find(nn_loss *out, const char *name)
{
    const char *names[NN_N_LOSSES];
    size_t found;
    for (size_t k = 0; k < NN_N_LOSSES; k++) {
        names[k] = rows[k].name;
    }
    nn_status status = nn_name_find(&found, names, NN_N_LOSSES, "loss", name);
    if (status == NN_OK) {
        *out = (nn_loss)found;
    }
    return status;
}
