/* A run of `digits train`: what it needs and what comes of it. */

#ifndef DIGITS_TRAIN_RUN_H
#define DIGITS_TRAIN_RUN_H

#include "dataset.h"
#include "recipe.h"
#include "train_log.h"
#include "watch.h"

typedef struct {
    recipe steps;
    const char *data, *out, *log;
    bool quiet, json, force;
} train_values;

/* In the order in which it comes about. */
typedef struct {
    train_values values; /* effective: nothing is automatic any more */
    dataset set;
    nn_data learn, validate; /* views of set; validate.n may be 0 */
    nn_net *net;
    char *network; /* in words */
    train_log log;
    watch watch;
    nn_status status; /* of nn_train */
    nn_train_result result;
    double seconds;
    nn_report report; /* on the validation images */
    bool saved;
} train_run;

/* Returns how training ended: "finished", "stopped early", "interrupted" or "diverged". */
const char *train_outcome(const train_run *run);

/* Prints what is going to happen: data, network, parameters, steps. */
void train_print_plan(FILE *to, const train_run *run);

/* Prints what came of it, and what to do next. */
void train_print_result(const train_run *run);

/* Print the plan and the result as a JSON document; as the first and last line of the log, where
 * there is one. The options are those of the table that are recorded. */
bool train_print_json(const train_run *run, const option_spec *options);
void train_log_start(train_run *run, const option_spec *options);
void train_log_end(train_run *run);

#endif
