/* The log of a training run: one JSON object a line, each on disk as soon as it is written. */

#ifndef DIGITS_TRAIN_LOG_H
#define DIGITS_TRAIN_LOG_H

#include "json.h"
#include "nnlib.h"

typedef struct {
    FILE *file; /* NULL: no log was asked for, and nothing below does anything */
    const char *path;
    bool failed; /* a line could not be written; the rest is left out */
} train_log;

/* Opens a log, replacing what is there or going on behind it. NN_ERR_IO. */
nn_status train_log_open(train_log *log, const char *path, bool append);

/* Makes the lines so far outlast a loss of power, where that can be. */
void train_log_sync(train_log *log);

/* Appends a document as a line. */
void train_log_write(train_log *log, json *line);

/* Appends an epoch: its figures, and the seconds that training on it took. */
void train_log_epoch(train_log *log, const nn_epoch *epoch, double seconds);

/* Closes the log. NN_ERR_IO: some of it could not be written. */
nn_status train_log_close(train_log *log);

/* Tells whether path is such a log, or empty: NN_OK, else NN_ERR_DATA. */
nn_status train_log_check(const char *path);

#endif
