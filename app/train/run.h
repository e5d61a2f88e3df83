/* A run of `digits train`: what it needs and what comes of it. */

#ifndef DIGITS_TRAIN_RUN_H
#define DIGITS_TRAIN_RUN_H

#include "dataset.h"
#include "log.h"
#include "recipe.h"
#include "watch.h"

typedef struct {
    recipe steps;
    const char *data, *out, *log;
    const char *checkpoint, *resume;
    size_t threads; /* OPTION_AUTOMATIC: one for each processor */
    size_t every;   /* batches from one checkpoint to the next; OPTION_AUTOMATIC: an epoch's */
    bool quiet, json, force;
} train_values;

/* In the order in which it comes about. */
typedef struct {
    train_values values; /* effective: nothing is automatic any more */
    dataset set;
    nn_data learn, validate; /* views of set; validate.n may be 0 */
    nn_net *net;
    char *network; /* in words */
    nn_trainer *trainer;
    nn_position from; /* where training begins: not at 0 if it is resumed */
    bool checkpoint_due;
    int checkpoint_code;       /* exit code of the last one written */
    nn_position checkpoint_at; /* where training stood then */
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

/* Add what is going to happen to a document. */
void train_plan_json(json *document, const train_run *run, const option_spec *options);

/* Print the plan and the result as a JSON document; as the first and last line of the log, where
 * there is one. The options are those of the table that are recorded. */
bool train_print_json(const train_run *run, const option_spec *options);
void train_log_start(train_run *run, const option_spec *options);
void train_log_end(train_run *run);

/* Tells whether path is a checkpoint, by its first bytes: NN_OK, else NN_ERR_MODEL. */
nn_status train_checkpoint_check(const char *path);

/* Go on from the checkpoint that --resume names; write one if it is due after a batch or an epoch,
 * and at the end unless the last one tells it all. Exit codes; what cannot be written is told
 * once. */
int train_resume(train_run *run);
int train_checkpoint_finish(train_run *run);
void train_checkpoint_batch(train_run *run, size_t epoch, size_t images_done);
void train_checkpoint_epoch(train_run *run);

/* Cuts the log of a training that is resumed behind the last epoch that the checkpoint counts.
 * *kept: there was one, and it is to be continued. NN_ERR_IO: it is another training's;
 * NN_ERR_MEMORY. */
nn_status train_log_cut(bool *kept, const train_run *run, const option_spec *options);

#endif
