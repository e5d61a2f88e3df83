/* Watches a training run: Ctrl-C, a line an epoch, a progress bar, the course of the loss, the
 * log. */

#ifndef DIGITS_WATCH_H
#define DIGITS_WATCH_H

#include "log.h"
#include "nnlib.h"
#include "sparkline.h"
#include "terminal.h"

#include <signal.h>

/* Catches SIGINT and SIGTERM, so that training can finish its batch and save; a second one kills
 * as usual. Signals that were ignored (nohup) stay ignored. */
void interrupt_catch(void);

/* Reports whether such a signal has come. */
bool interrupt_came(void);

typedef struct {
    bool quiet;
    size_t images; /* an epoch has */
    size_t epochs; /* asked for */
    train_log *log;
    progress bar;
    unsigned columns;        /* of the table: those that the last heading named */
    sparkline losses;        /* an epoch each */
    double first_loss;       /* of the first epoch */
    double last_loss;        /* and of the last one */
    char validation[16];     /* the last epoch's validation accuracy; "" before there is one */
    double started_at;       /* clock_seconds when training began */
    double epoch_started_at; /* and this epoch */
    size_t before;           /* images of this epoch that an earlier run trained on */
    double epoch_seconds;    /* spent on this epoch's batches so far */
    double pace[3];          /* the last epochs' seconds an image, validation included */
    size_t n_paces;          /* epochs that have set one */
    size_t done;             /* images of this epoch; all of them after it */
} watch;

void watch_start(watch *w, bool quiet, size_t images, size_t epochs, train_log *log);

/* Tells, after watch_start, that the training goes on from here. */
void watch_resume(watch *w, const nn_position *from);

/* The callbacks of nn_train; context is a watch. */
bool watch_batch(void *context, size_t epoch, size_t images_done, double mean_loss);
bool watch_epoch(void *context, const nn_epoch *epoch);

#endif
