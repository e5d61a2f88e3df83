/* What an HTML report shows, as JSON: figures, digits and the network itself. */

#ifndef DIGITS_REPORT_DATA_H
#define DIGITS_REPORT_DATA_H

#include "dataset.h"
#include "json.h"
#include "train/history.h"
#include "trained.h"

/* A network of more parameters is not put into a page. */
#define REPORT_MAX_PARAMETERS ((size_t)4 << 20)

typedef struct {
    const trained *model;
    const char *model_sha256;
    const dataset *set;
    const char *set_name; /* "test" or "train" */
    const nn_report *result;
    const train_history *history; /* NULL: there is no log */
    const char *network;          /* in words */
    const char *train_command;    /* that makes the model again; NULL: it is not known */
    size_t per_cell;              /* pictures kept of each cell of the confusion matrix */
} report_source;

/* Fills an empty document. It remembers if memory ran out. Pictures, outputs and parameters are in
 * base64: bytes [n][rows][columns] as a zlib stream, little-endian floats [n][classes], and the
 * parameters in the order of a model file. */
void report_data(json *document, const report_source *source);

/* How far confidence can be trusted: the samples by the probability of what they were read as. */
enum {
    CALIBRATION_BINS = 10
};
typedef struct {
    struct {
        size_t n, correct;
        double confidence;    /* sum over the samples */
    } bins[CALIBRATION_BINS]; /* bin i from i/10 up to, but without, (i+1)/10; the last with 1 */
    double error;
} calibration;

/* Computes the expected calibration error, the mean over all samples of |accuracy - confidence| of
 * their bin (Naeini, Cooper and Hauskrecht 2015). Outputs must be probabilities. */
calibration calibration_of(const nn_report *result, const uint8_t *labels);

#endif
