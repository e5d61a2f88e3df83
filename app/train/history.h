/* The epochs of a training run, read back from its log. */

#ifndef DIGITS_TRAIN_HISTORY_H
#define DIGITS_TRAIN_HISTORY_H

#include "nnlib.h"

typedef struct {
    size_t n;
    nn_epoch *epochs; /* [n], in order; a figure that the log lacks is NaN */
    size_t room;
} train_history;

/* Reads the log of a training run. An epoch that comes twice, because training was taken up again,
 * counts as it came last. Each line that starts a run must contain the texts of plan, whose last
 * is NULL. NN_ERR_DATA: not a log, without epochs, or of another plan; NN_ERR_IO, NN_ERR_MEMORY. */
nn_status train_history_load(train_history *out, const char *path, const char *const *plan);
void train_history_release(train_history *history);

#endif
