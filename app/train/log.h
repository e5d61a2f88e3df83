/* The log of a training run: one JSON object a line, each on disk as soon as it is written. */

#ifndef DIGITS_TRAIN_LOG_H
#define DIGITS_TRAIN_LOG_H

#include "json.h"
#include "nnlib.h"

#include <sys/types.h>

typedef struct {
    bool open; /* false: no log was asked for, and nothing below does anything */
    int fd;
    off_t whole; /* bytes of complete lines */
    const char *path;
    bool out_of_memory; /* for a line; it and the rest are left out */
    int error;          /* errno of a line that could not be written or synced; likewise */
} train_log;

/* Opens a log, replacing what is there or going on behind it. NN_ERR_IO. */
nn_status train_log_open(train_log *log, const char *path, bool append);

/* Makes the lines so far outlast a loss of power, where that can be. */
void train_log_sync(train_log *log);

/* Appends a document as a line. If it cannot be written whole, none of it stays. */
void train_log_write(train_log *log, json *line);

/* Appends an epoch: its figures, and the seconds that training on it took. */
void train_log_epoch(train_log *log, const nn_epoch *epoch, double seconds);

/* Closes the log. NN_ERR_IO, NN_ERR_MEMORY: some of it could not be written. */
nn_status train_log_close(train_log *log);

/* Tells whether path is such a log, or empty: NN_OK, else NN_ERR_DATA. NN_ERR_IO. */
nn_status train_log_check(const char *path);

#endif
